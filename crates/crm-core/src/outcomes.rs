//! What becomes of a batch, while it is found out.

use crate::error::{Error, ErrorKind};
use crate::write::{RecordOutcome, Reject, WriteReply};

/// An outcome for each record; what nothing is said of was not applied.
#[derive(Debug)]
pub struct Outcomes {
    known: Vec<Option<RecordOutcome>>,
    failure: Option<Error>,
}

impl Outcomes {
    /// Nothing is known of any of `n_records`, save that some are refused here.
    pub fn new(n_records: usize, rejects: Vec<(usize, Reject)>) -> Self {
        let mut outcomes = Self {
            known: vec![None; n_records],
            failure: None,
        };
        for (at, reject) in rejects {
            outcomes.set(at, RecordOutcome::Rejected(reject));
        }
        outcomes
    }

    /// Notes an outcome.
    pub fn set(&mut self, at: usize, outcome: RecordOutcome) {
        self.known[at] = Some(outcome);
    }

    /// What is known of a record.
    pub fn get(&self, at: usize) -> Option<&RecordOutcome> {
        self.known[at].as_ref()
    }

    /// Forgets outcomes that are not the last word.
    pub fn revoke(&mut self, is_passing: impl Fn(&RecordOutcome) -> bool) {
        for known in &mut self.known {
            if known.as_ref().is_some_and(&is_passing) {
                *known = None;
            }
        }
    }

    /// Notes why records were not applied or are unknown; the first reason stays.
    pub fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// Something failed that is not one record's fault.
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The outcome of at least one record is not known.
    pub fn has_unknown(&self) -> bool {
        self.known.contains(&Some(RecordOutcome::Unknown))
    }

    /// At least one record was certainly not applied.
    pub fn has_not_applied(&self) -> bool {
        self.known.contains(&Some(RecordOutcome::NotApplied))
    }

    /// What the caller is told.
    pub fn into_reply(self) -> WriteReply {
        let outcomes = self.known.into_iter();
        let outcomes = outcomes.map(|known| known.unwrap_or(RecordOutcome::NotApplied));
        let outcomes: Vec<_> = outcomes.collect();
        let failure = self.failure.or_else(|| {
            // Unreachable while whoever leaves a record unknown says why; told rather than hidden.
            outcomes.contains(&RecordOutcome::Unknown).then(|| {
                Error::new(
                    ErrorKind::Undecodable,
                    "the reply does not name the records that were written",
                )
            })
        });
        WriteReply { outcomes, failure }
    }
}
