//! The way of records to the CRM.
//!
//! Every record gets an outcome, in the order in which the records came, whatever the batches they travel in. Under an
//! export job each record is first looked up in the journal: one that was accepted is not sent again, one whose outcome
//! nobody knows is settled with the CRM before anything is sent.

use crate::checks::Checks;
use crate::job::{Known, SharedJob, Tickets, intended};
use crate::keys::{SeenKeys, made_up_key};
use crate::shown::key_text;
use crate::target::{Outcome, Record, Sent, Statement, Target};
use crm_core::{
    CallStats, Connector, Conversion, ErrorKind, NoTickets, Operation, RecordOutcome, Reject,
    Result, Route, Session, TicketKeeper, Value, WriteBatch, WriteField, WriteRecord, WriteReply,
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

/// Ticket of records that are to travel in a remote job before it has a name.
const UNNAMED_JOB: &str = "unnamed";

/// Sends the records of one statement.
pub struct Exporter {
    connector: &'static dyn Connector,
    session: Arc<dyn Session>,
    target: Target,
    job: Option<SharedJob>,
    checks: Option<Checks>,
    seen: SeenKeys,
    totals: Totals,
    is_dry: bool,
}

/// A record on its way.
#[derive(Clone)]
struct Pending {
    /// Its place among the records given.
    at: usize,
    operation: Operation,
    record: WriteRecord,
    /// Its number in the export job.
    number: Option<u32>,
    /// The value of the journal key that was made up for it.
    made_up_key: Option<String>,
}

/// Records that can share a batch: the same operation, and the same fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    operation: u8,
    has_made_up_key: bool,
}

/// What a batch of one kind looks like, without its records.
struct Form {
    operation: Operation,
    key_field: Option<WriteField>,
    journal_key: Option<String>,
    key_is_ours: bool,
    fields: Vec<WriteField>,
    /// A create goes back with an answer that can be lost, and no key of the record would settle it.
    settles: bool,
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
            let kind = Kind {
                operation: one.operation as u8,
                has_made_up_key: one.made_up_key.is_some(),
            };
            kinds.entry(kind).or_default().push(one);
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

    /// The record as the CRM was or will be given it, for the journal and for settling.
    fn sent_record(&self, one: &Pending) -> WriteRecord {
        self.record_to_send(one.clone())
    }

    /// What is to be done with a record, and why it will be refused if the metadata tells.
    fn judge(&mut self, at: usize, mut record: Record) -> (Pending, Option<Box<Reject>>) {
        if let Some(Value::Text(id)) = &record.id
            && let Some(canonical) = self.connector.canonical_key(id)
        {
            record.id = Some(Value::Text(canonical));
        }
        let operation = self.operation_of(&record);
        let checks = self.checks.as_ref().expect("described before");
        let mut reject = checks
            .reject_of(&record, operation, &self.target, self.connector)
            .map(Box::new);
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
            && reject.is_none()
            && !self.seen.insert(operation, key)
        {
            reject = Some(Box::new(Reject::new(
                ErrorKind::DuplicateKey,
                "DUPLICATE_VALUE",
                format!(
                    "record \"{}\" is given twice in one statement",
                    key_text(key)
                ),
            )));
        }
        let one = Pending {
            at,
            operation,
            record: WriteRecord { key, values },
            number: None,
            made_up_key: None,
        };
        (one, reject)
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
        self.place_of(self.target.key.as_deref()?)
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.target
            .fields
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The form of a batch that a record can travel in. A made-up journal key that is no field of the statement is the
    /// last field.
    fn form(&self, one: &Pending) -> Form {
        let mut form = Form {
            operation: one.operation,
            key_field: None,
            journal_key: None,
            key_is_ours: false,
            fields: Vec::new(),
            settles: true,
        };
        match one.operation {
            Operation::Delete => {}
            Operation::Update => form.fields = self.target.fields.clone(),
            Operation::Upsert => {
                form.fields = self.target.fields.clone();
                form.key_field = self.key_place().map(|place| form.fields.remove(place));
            }
            Operation::Create => {
                form.fields = self.target.fields.clone();
                form.settles = self.job.is_none();
                if let (Some(name), Some(_)) = (&self.target.journal_key, &self.job) {
                    let checks = self.checks.as_ref().expect("described before");
                    form.key_is_ours = one.made_up_key.is_some() && checks.journal_key_is_external;
                    let place = self.place_of(name);
                    if place.is_none() && one.made_up_key.is_some() {
                        form.fields.push(WriteField {
                            name: name.clone(),
                            remote_type: checks.journal_key_type(),
                            conversion: Conversion::Default,
                        });
                    }
                    let given = place.is_some_and(|at| one.record.values[at].is_some());
                    form.settles = given || one.made_up_key.is_some();
                    form.journal_key = form.settles.then(|| name.clone());
                }
            }
        }
        form
    }

    /// Under a job every create without a journal key of its own gets one, if the table has such a field.
    fn make_up_keys(&self, pending: &mut [Pending]) {
        let (Some(name), Some(_)) = (&self.target.journal_key, &self.job) else {
            return;
        };
        let place = self.place_of(name);
        let checks = self.checks.as_ref().expect("described before");
        for one in pending {
            let is_given = place.is_some_and(|at| one.record.values[at].is_some());
            if one.operation == Operation::Create && one.made_up_key.is_none() && !is_given {
                one.made_up_key = Some(made_up_key(checks.journal_key_length()));
            }
        }
    }

    /// The record as it is sent: with the key that was made up for it.
    fn record_to_send(&self, one: Pending) -> WriteRecord {
        let mut record = one.record;
        if let (Some(key), Some(name)) = (one.made_up_key, &self.target.journal_key) {
            let value = Some(Value::Text(key));
            match self.place_of(name) {
                Some(place) => record.values[place] = value,
                None => record.values.push(value),
            }
        }
        record
    }

    fn batch(&self, form: Form, records: Vec<WriteRecord>, route: Route) -> WriteBatch {
        WriteBatch {
            object: self.target.object.clone(),
            identifier: self.target.identifier.clone(),
            operation: form.operation,
            key_field: form.key_field,
            journal_key: form.journal_key,
            key_is_ours: form.key_is_ours,
            fields: form.fields,
            records,
            route,
        }
    }

    fn intended(&self, one: &Pending, number: u32) -> crm_journal::IntendedRecord {
        let form = self.form(one);
        let key_field = form
            .key_field
            .as_ref()
            .map_or(self.target.identifier.as_str(), |field| field.name.as_str());
        let record = self.sent_record(one);
        let made_up_key = one.made_up_key.clone();
        intended(
            number,
            one.operation,
            &record,
            &form.fields,
            key_field,
            made_up_key,
        )
    }

    /// Asks the CRM what became of records that an earlier run sent without an answer. What was not applied joins
    /// `pending`; what nobody can tell is left out.
    async fn settle(
        &mut self,
        unknown: Vec<(Option<String>, Pending)>,
        pending: &mut Vec<Pending>,
        sent: &mut Sent,
        stats: &CallStats,
    ) -> Result<()> {
        let job = self.job.clone().expect("only a job knows of such records");
        let mut groups: BTreeMap<(Option<String>, Kind), Vec<Pending>> = BTreeMap::new();
        for (ticket, one) in unknown {
            let kind = Kind {
                operation: one.operation as u8,
                has_made_up_key: one.made_up_key.is_some(),
            };
            groups.entry((ticket, kind)).or_default().push(one);
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
                    records.push(self.sent_record(one));
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

fn told(outcome: RecordOutcome, operation: Operation, earlier: bool) -> Outcome {
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
