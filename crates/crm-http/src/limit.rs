//! The account's allotment of calls, as the vendor last told it. No call is ever made to learn it.

use crm_core::Usage;
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

    /// What was last heard, if anything.
    pub fn usage(&self) -> Option<Usage> {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
