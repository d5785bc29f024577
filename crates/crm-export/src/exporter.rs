//! The way of records to the CRM.
//!
//! Every record gets an outcome, in the order in which the records came, whatever the batches they travel in. Under an
//! export job each record is first looked up in the journal: one that was accepted is not sent again, one whose outcome
//! nobody knows is settled with the CRM before anything is sent.

use crate::checks::Checks;
use crate::form::{Kind, Pending};
use crate::job::{Known, SharedJob, Tickets};
use crate::keys::SeenKeys;
use crate::settling::UNNAMED_JOB;
use crate::target::{Outcome, Record, Sent, Target};
use crm_core::{
    CallStats, Connector, NoTickets, Operation, RecordOutcome, Result, Route, Session,
    TicketKeeper, Value, WriteRecord, WriteReply,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was done so far, for EXPLAIN ANALYZE and messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records that the CRM took.
    pub accepted: u64,
    /// Of these: taken in an earlier run of the export job.
    pub earlier: u64,
    /// Records refused.
    pub rejected: u64,
    /// Records that were not applied, or whose outcome nobody knows.
    pub failed: u64,
    /// Batches sent, or counted in a dry run.
    pub batches: u64,
    /// Calls that a dry run would have made.
    pub dry_calls: u64,
}

/// Sends the records of one statement.
pub struct Exporter {
    pub(crate) connector: &'static dyn Connector,
    pub(crate) session: Arc<dyn Session>,
    pub(crate) target: Target,
    pub(crate) job: Option<SharedJob>,
    pub(crate) checks: Option<Checks>,
    pub(crate) seen: SeenKeys,
    totals: Totals,
    is_dry: bool,
}

impl Exporter {
    /// An exporter; nothing is sent yet. `is_dry` makes checks and counts only; with `job` every record is kept in
    /// the journal.
    pub fn new(
        connector: &'static dyn Connector,
        session: Arc<dyn Session>,
        target: Target,
        job: Option<SharedJob>,
        is_dry: bool,
    ) -> Self {
        Self {
            connector,
            session,
            target,
            job,
            checks: None,
            seen: SeenKeys::default(),
            totals: Totals::default(),
            is_dry,
        }
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Writes other fields from now on.
    pub fn retarget(&mut self, target: Target) {
        self.target = target;
        self.checks = None;
    }

    /// Sends records and says what became of each.
    ///
    /// # Errors
    /// When the object cannot be described, the statement writes what can never be written, or the journal fails; then
    /// nothing of these records was sent. Records sent before an error have their outcomes in the journal.
    pub async fn send(&mut self, records: &[Record], stats: &CallStats) -> Result<Sent> {
        if self.checks.is_none() {
            let names = [self.target.object.clone()];
            let described = self.session.describe(&names, stats).await?;
            let object = described.into_iter().next().unwrap_or_default();
            self.checks = Some(Checks::new(&self.target, &object)?);
        }
        let mut sent = Sent {
            outcomes: vec![Outcome::NotApplied; records.len()],
            failure: None,
        };
        let mut pending = Vec::with_capacity(records.len());
        let mut unknown = Vec::new();
        let mut refused = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let (mut one, reject) = self.judge(at, record.clone());
            let mut ticket = None;
            if let Some(job) = &self.job {
                let form = self.form(&one);
                let fields = &form.fields[..one.record.values.len()];
                match job.know(one.operation, &self.target.object, &one.record, fields)? {
                    Known::Accepted(id) => {
                        sent.outcomes[at] = Outcome::Accepted {
                            id,
                            operation: one.operation,
                            earlier: true,
                        };
                        continue;
                    }
                    Known::ToSend {
                        number,
                        made_up_key,
                    } => {
                        one.number = Some(number);
                        one.made_up_key = made_up_key;
                    }
                    Known::Unknown {
                        number,
                        ticket: its_ticket,
                        made_up_key,
                    } => {
                        one.number = Some(number);
                        one.made_up_key = made_up_key;
                        ticket = Some(its_ticket);
                    }
                }
            }
            match (reject, ticket) {
                (_, Some(ticket)) => unknown.push((ticket, one)),
                (Some(reject), None) => {
                    if let Some(number) = one.number {
                        refused.push((self.intended(&one, number), (*reject).clone()));
                    }
                    sent.outcomes[at] = Outcome::Rejected(*reject);
                }
                (None, None) => pending.push(one),
            }
        }
        if let Some(job) = &self.job {
            job.refuse(refused)?;
        }
        if !unknown.is_empty() {
            self.settle(unknown, &mut pending, &mut sent, stats).await?;
        }
        pending.sort_by_key(|one| one.at);
        self.make_up_keys(&mut pending);
        let mut kinds: BTreeMap<Kind, Vec<Pending>> = BTreeMap::new();
        for one in pending {
            kinds.entry(one.kind()).or_default().push(one);
        }
        for records in kinds.into_values() {
            self.send_kind(records, &mut sent, stats).await?;
        }
        for outcome in &sent.outcomes {
            match outcome {
                Outcome::Accepted { earlier, .. } => {
                    self.totals.accepted += 1;
                    self.totals.earlier += u64::from(*earlier);
                }
                Outcome::Rejected(_) => self.totals.rejected += 1,
                Outcome::NotApplied | Outcome::Unknown | Outcome::Unsettled => {
                    self.totals.failed += 1;
                }
                Outcome::Dry => {}
            }
        }
        Ok(sent)
    }

    async fn send_kind(
        &mut self,
        records: Vec<Pending>,
        sent: &mut Sent,
        stats: &CallStats,
    ) -> Result<()> {
        let Some(first) = records.first() else {
            return Ok(());
        };
        let operation = first.operation;
        let route = self.connector.write_route(
            operation,
            records.len(),
            self.target.transport.as_deref(),
            self.form(first).settles,
        );
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let chunk = self.next_chunk(operation, route, &mut records);
            if self.is_dry {
                let calls =
                    self.connector
                        .estimate_write_calls(operation, route, chunk.len() as f64);
                self.totals.batches += 1;
                self.totals.dry_calls += calls.ceil() as u64;
                for one in chunk {
                    sent.outcomes[one.at] = Outcome::Dry;
                }
                continue;
            }
            // After a call has failed the next one would most likely fail as well: these stay not applied.
            if sent.failure.is_some() {
                continue;
            }
            self.totals.batches += 1;
            let places: Vec<usize> = chunk.iter().map(|one| one.at).collect();
            let reply = self.send_chunk(chunk, route, stats).await?;
            sent.failure = reply.failure;
            for (at, outcome) in places.into_iter().zip(reply.outcomes) {
                sent.outcomes[at] = told(outcome, operation, false);
            }
        }
        Ok(())
    }

    /// Sends one batch, kept in the journal before and after.
    async fn send_chunk(
        &self,
        chunk: Vec<Pending>,
        route: Route,
        stats: &CallStats,
    ) -> Result<WriteReply> {
        let form = self.form(&chunk[0]);
        let numbers: Vec<u32> = chunk.iter().filter_map(|one| one.number).collect();
        if let Some(job) = &self.job {
            let numbered = chunk.iter().zip(&numbers);
            let intents: Vec<_> = numbered
                .map(|(one, number)| self.intended(one, *number))
                .collect();
            job.intend(&intents, (route == Route::Job).then_some(UNNAMED_JOB))?;
        }
        let records = chunk.into_iter().map(|one| self.record_to_send(one));
        let batch = self.batch(form, records.collect(), route);
        let Some(job) = &self.job else {
            return Ok(self.session.write(&batch, &NoTickets, stats).await);
        };
        let tickets = Tickets {
            job,
            numbers: &numbers,
        };
        let tickets: &dyn TicketKeeper = &tickets;
        let mut reply = self.session.write(&batch, tickets, stats).await;
        if let Err(error) = job.outcomes(&numbers, &reply.outcomes, reply.failure.as_ref()) {
            // What became of them is known now and will be asked of the CRM by the next run.
            reply.failure.get_or_insert(error);
        }
        Ok(reply)
    }

    /// The next records that fit into one batch; at least one.
    fn next_chunk(
        &self,
        operation: Operation,
        route: Route,
        records: &mut std::iter::Peekable<std::vec::IntoIter<Pending>>,
    ) -> Vec<Pending> {
        let limits = self.connector.write_limits(operation, route);
        let most = self
            .target
            .batch_size
            .map_or(limits.records, |size| size.min(limits.records));
        let mut chunk = Vec::new();
        let mut bytes = 0;
        while let Some(next) = records.peek() {
            bytes += size_of(&next.record);
            if !chunk.is_empty() && (chunk.len() >= most || bytes > limits.bytes) {
                break;
            }
            chunk.extend(records.next());
        }
        chunk
    }
}

pub(crate) fn told(outcome: RecordOutcome, operation: Operation, earlier: bool) -> Outcome {
    match outcome {
        RecordOutcome::Accepted { id, .. } => Outcome::Accepted {
            id,
            operation,
            earlier,
        },
        RecordOutcome::Rejected(reject) => Outcome::Rejected(reject),
        RecordOutcome::NotApplied => Outcome::NotApplied,
        RecordOutcome::Unknown => Outcome::Unknown,
    }
}

/// Bytes of a record, roughly as it is sent.
fn size_of(record: &WriteRecord) -> usize {
    let values = record.values.iter().chain(std::iter::once(&record.key));
    values
        .map(|value| value.as_ref().map_or(4, size_of_value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Text(text) | Value::Numeric(text) | Value::Json(text) => text.len() + 4,
        Value::List(values) => values.iter().map(size_of_value).sum(),
        _ => 26,
    }
}
