//! What becomes of a batch, while it is found out.

use crm_core::{Error, RecordOutcome, Reject, WriteReply};

/// An outcome for each record; what nothing is said of was not applied.
#[derive(Debug)]
pub(crate) struct Outcomes {
    known: Vec<Option<RecordOutcome>>,
    failure: Option<Error>,
}

impl Outcomes {
    /// Nothing is known of any of `n_records`, save that some are refused here.
    pub(crate) fn new(n_records: usize, rejects: Vec<(usize, Reject)>) -> Self {
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
    pub(crate) fn set(&mut self, at: usize, outcome: RecordOutcome) {
        self.known[at] = Some(outcome);
    }

    /// Notes why records were not applied or are unknown; the first reason stays.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failure.get_or_insert(error);
    }

    /// What the caller is told.
    pub(crate) fn into_reply(self) -> WriteReply {
        let outcomes = self.known.into_iter();
        let outcomes = outcomes.map(|known| known.unwrap_or(RecordOutcome::NotApplied));
        let outcomes: Vec<_> = outcomes.collect();
        let failure = self.failure.or_else(|| {
            // Unreachable while whoever leaves a record unknown says why; told rather than hidden.
            outcomes.contains(&RecordOutcome::Unknown).then(|| {
                Error::new(
                    crm_core::ErrorKind::Undecodable,
                    "the reply does not name the records that were written",
                )
            })
        });
        WriteReply { outcomes, failure }
    }
}
