//! The account's allotment of calls, as the vendor last told it. No call is ever made to learn it.

use crate::failure::{Failure, Stage};
use crm_core::{CallStats, Usage};
use std::sync::{Mutex, PoisonError};

/// The allotment last heard, shared by all calls of a session.
#[derive(Debug, Default)]
pub struct Allotment {
    // Used and allowed belong together, so one lock rather than two atomics.
    heard: Mutex<Option<Usage>>,
}

impl Allotment {
    /// Remembers what a reply said.
    pub fn hear(&self, usage: Usage) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
    }

    /// Takes one call out of the statement's budget (spec S-13); called before each try.
    ///
    /// # Errors
    /// A failure that is not tried again, when the call would break the budget.
    pub fn admit(&self, stats: &CallStats) -> Result<(), Failure> {
        let spent = stats.budget().spend(self.usage());
        spent.map_err(|error| Failure::at(Stage::CannotBeSent, error))
    }

    /// What was last heard, if anything.
    pub fn usage(&self) -> Option<Usage> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
