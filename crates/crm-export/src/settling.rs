//! What became of records that an earlier run sent without an answer.

use crate::exporter::{Exporter, told};
use crate::form::{Kind, Pending};
use crate::target::{Outcome, Sent};
use crm_core::{CallStats, RecordOutcome, Result, Route};
use std::collections::BTreeMap;

/// Ticket of records that are to travel in a remote job before it has a name.
pub(crate) const UNNAMED_JOB: &str = "unnamed";

impl Exporter {
    /// Asks the CRM what became of records that an earlier run sent without an answer. What was not applied joins
    /// `pending`; what nobody can tell is left out.
    pub(crate) async fn settle(
        &mut self,
        unknown: Vec<(Option<String>, Pending)>,
        pending: &mut Vec<Pending>,
        sent: &mut Sent,
        stats: &CallStats,
    ) -> Result<()> {
        let job = self.job.clone().expect("only a job knows of such records");
        let mut groups: BTreeMap<(Option<String>, Kind), Vec<Pending>> = BTreeMap::new();
        for (ticket, one) in unknown {
            groups.entry((ticket, one.kind())).or_default().push(one);
        }
        for ((ticket, _), mut group) in groups {
            // The run ended before the remote job had a name, so nothing had gone into it.
            if ticket.as_deref() == Some(UNNAMED_JOB) {
                let numbers: Vec<_> = group.iter().filter_map(|one| one.number).collect();
                let outcomes = vec![RecordOutcome::NotApplied; numbers.len()];
                job.outcomes(&numbers, &outcomes, None)?;
                pending.extend(group);
                continue;
            }
            let form = self.form(&group[0]);
            group.sort_by_key(|one| one.number);
            let numbers: Vec<_> = group.iter().filter_map(|one| one.number).collect();
            let mut records = Vec::with_capacity(group.len());
            let mut places = Vec::with_capacity(group.len());
            // Of equal records in a remote job the n-th is meant: those before it are asked for as well.
            let tells_by_order = ticket.is_some() && group[0].made_up_key.is_none();
            for (one, n_equals) in group.iter().zip(job.lock().equals_between(&numbers)?) {
                let n_before = if tells_by_order { n_equals } else { 0 };
                for _ in 0..=n_before {
                    records.push(self.record_to_send(one.clone()));
                }
                places.push(records.len() - 1);
            }
            let route = if ticket.is_some() {
                Route::Job
            } else {
                Route::Calls
            };
            let batch = self.batch(form, records, route);
            let outcomes = self
                .session
                .settle(&batch, ticket.as_deref(), stats)
                .await
                .map_err(|error| {
                    error.in_context("could not settle records of an earlier run with the CRM")
                })?;
            let outcomes: Vec<_> = places.iter().map(|at| outcomes[*at].clone()).collect();
            let known: Vec<_> = group
                .iter()
                .zip(&outcomes)
                .filter(|(_, outcome)| **outcome != RecordOutcome::Unknown)
                .map(|(one, outcome)| (one.number.unwrap_or_default(), outcome.clone()))
                .collect();
            let (numbers, kept): (Vec<_>, Vec<_>) = known.into_iter().unzip();
            job.outcomes(&numbers, &kept, None)?;
            for (one, outcome) in group.into_iter().zip(outcomes) {
                match outcome {
                    RecordOutcome::NotApplied => pending.push(one),
                    RecordOutcome::Unknown => sent.outcomes[one.at] = Outcome::Unsettled,
                    other => sent.outcomes[one.at] = told(other, one.operation, true),
                }
            }
        }
        Ok(())
    }
}
