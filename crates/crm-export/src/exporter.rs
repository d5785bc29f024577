//! The way of records to the CRM.
//!
//! Every record gets an outcome, in the order in which the records came, whatever the batches they travel in.

use crate::checks::Checks;
use crate::keys::SeenKeys;
use crate::shown::key_text;
use crate::target::{Outcome, Record, Sent, Statement, Target};
use crm_core::{
    CallStats, Connector, ErrorKind, NoTickets, Operation, RecordOutcome, Reject, Result, Route,
    Session, Value, WriteBatch, WriteField, WriteRecord, WriteReply,
};
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
    /// Records that were not applied or whose outcome nobody knows.
    pub failed: u64,
    /// Batches sent, or counted in a dry run.
    pub batches: u64,
    /// Calls that a dry run would have made.
    pub dry_calls: u64,
}

/// Sends the records of one statement.
pub struct Exporter {
    connector: &'static dyn Connector,
    session: Arc<dyn Session>,
    target: Target,
    checks: Option<Checks>,
    seen: SeenKeys,
    totals: Totals,
    dry: bool,
}

/// A record on its way.
struct Pending {
    /// Its place among the records given.
    at: usize,
    operation: Operation,
    record: WriteRecord,
}

impl Exporter {
    /// An exporter; nothing is sent yet. `dry` makes checks and counts only.
    pub fn new(
        connector: &'static dyn Connector,
        session: Arc<dyn Session>,
        target: Target,
        dry: bool,
    ) -> Self {
        Self {
            connector,
            session,
            target,
            checks: None,
            seen: SeenKeys::default(),
            totals: Totals::default(),
            dry,
        }
    }

    /// What was done so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Where records go.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends records and says what became of each.
    ///
    /// # Errors
    /// When the object cannot be described, or the statement writes what can never be written; then nothing was sent.
    pub async fn send(&mut self, records: &[Record], stats: &CallStats) -> Result<Sent> {
        if self.checks.is_none() {
            let names = [self.target.object.clone()];
            let described = self.session.describe(&names, stats).await?;
            let object = described.into_iter().next().unwrap_or_default();
            self.checks = Some(Checks::new(&self.target, &object)?);
        }
        let mut outcomes = vec![Outcome::NotApplied; records.len()];
        let mut pending = Vec::with_capacity(records.len());
        for (at, record) in records.iter().enumerate() {
            match self.accept(at, record.clone()) {
                Ok(record) => pending.push(record),
                Err(reject) => outcomes[at] = Outcome::Rejected(*reject),
            }
        }
        let mut failure = None;
        for operation in [
            Operation::Create,
            Operation::Update,
            Operation::Upsert,
            Operation::Delete,
        ] {
            let (these, others) = pending
                .into_iter()
                .partition(|one| one.operation == operation);
            pending = others;
            self.send_kind(operation, these, &mut outcomes, &mut failure, stats)
                .await;
        }
        for outcome in &outcomes {
            match outcome {
                Outcome::Accepted { earlier, .. } => {
                    self.totals.accepted += 1;
                    self.totals.earlier += u64::from(*earlier);
                }
                Outcome::Rejected(_) => self.totals.rejected += 1,
                Outcome::NotApplied | Outcome::Unknown => self.totals.failed += 1,
                Outcome::Dry => {}
            }
        }
        Ok(Sent { outcomes, failure })
    }

    /// What is to be done with a record, or why it cannot be.
    fn accept(
        &mut self,
        at: usize,
        mut record: Record,
    ) -> std::result::Result<Pending, Box<Reject>> {
        if let Some(Value::Text(id)) = &record.id
            && let Some(canonical) = self.connector.canonical_key(id)
        {
            record.id = Some(Value::Text(canonical));
        }
        let operation = self.operation_of(&record);
        let checks = self.checks.as_ref().expect("described before");
        if let Some(reject) = checks.reject_of(&record, operation, &self.target, self.connector) {
            return Err(Box::new(reject));
        }
        let (key, values) = match operation {
            Operation::Create => (None, record.values),
            Operation::Update => (record.id, record.values),
            Operation::Delete => (record.id, Vec::new()),
            Operation::Upsert => {
                let mut values = record.values;
                let key = self.key_place().and_then(|place| values.remove(place));
                (key, values)
            }
        };
        if let Some(key) = &key
            && !self.seen.insert(operation, key)
        {
            return Err(Box::new(Reject::new(
                ErrorKind::DuplicateKey,
                "DUPLICATE_VALUE",
                format!(
                    "record \"{}\" is given twice in one statement",
                    key_text(key)
                ),
            )));
        }
        Ok(Pending {
            at,
            operation,
            record: WriteRecord { key, values },
        })
    }

    /// an identifier names a record to change, a key one to change or create.
    fn operation_of(&self, record: &Record) -> Operation {
        match self.target.statement {
            Statement::Update => Operation::Update,
            Statement::Delete => Operation::Delete,
            Statement::Insert if record.id.is_some() => Operation::Update,
            Statement::Insert => {
                let key = self.key_place().and_then(|at| record.values[at].as_ref());
                if key.is_some() {
                    Operation::Upsert
                } else {
                    Operation::Create
                }
            }
        }
    }

    fn key_place(&self) -> Option<usize> {
        let key = self.target.key.as_deref()?;
        self.target
            .fields
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(key))
    }

    fn fields_of(&self, operation: Operation) -> (Vec<WriteField>, Option<WriteField>) {
        match operation {
            Operation::Delete => (Vec::new(), None),
            Operation::Upsert => {
                let mut fields = self.target.fields.clone();
                let key = self.key_place().map(|place| fields.remove(place));
                (fields, key)
            }
            Operation::Create | Operation::Update => (self.target.fields.clone(), None),
        }
    }

    async fn send_kind(
        &mut self,
        operation: Operation,
        records: Vec<Pending>,
        outcomes: &mut [Outcome],
        failure: &mut Option<crm_core::Error>,
        stats: &CallStats,
    ) {
        if records.is_empty() {
            return;
        }
        let (fields, key_field) = self.fields_of(operation);
        let route = self.connector.write_route(
            operation,
            records.len(),
            self.target.transport.as_deref(),
            true,
        );
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let chunk = self.next_chunk(operation, route, &mut records);
            self.totals.batches += 1;
            if self.dry {
                let calls =
                    self.connector
                        .estimate_write_calls(operation, route, chunk.len() as f64);
                self.totals.dry_calls += calls.ceil() as u64;
                for one in chunk {
                    outcomes[one.at] = Outcome::Dry;
                }
                continue;
            }
            let (places, records): (Vec<_>, Vec<_>) =
                chunk.into_iter().map(|one| (one.at, one.record)).unzip();
            let batch = WriteBatch {
                object: self.target.object.clone(),
                identifier: self.target.identifier.clone(),
                operation,
                key_field: key_field.clone(),
                journal_key: None,
                key_is_ours: false,
                fields: fields.clone(),
                records,
                route,
            };
            // After a call has failed the next one would most likely fail as well.
            let reply = if failure.is_some() {
                WriteReply {
                    outcomes: vec![RecordOutcome::NotApplied; places.len()],
                    failure: None,
                }
            } else {
                self.session.write(&batch, &NoTickets, stats).await
            };
            if failure.is_none() {
                *failure = reply.failure;
            }
            for (at, outcome) in places.into_iter().zip(reply.outcomes) {
                outcomes[at] = told(outcome, operation);
            }
        }
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

fn told(outcome: RecordOutcome, operation: Operation) -> Outcome {
    match outcome {
        RecordOutcome::Accepted { id, .. } => Outcome::Accepted {
            id,
            operation,
            earlier: false,
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
