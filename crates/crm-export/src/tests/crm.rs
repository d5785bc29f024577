//! The CRM: one object, a script of faults, and everything that was sent to it.

use crate::{Record, Statement, Target, key_text};
use crm_core::{
    Account, AccountInfo, AggregateFunction, BoxFuture, CallStats, Capability, ColumnType,
    Connector, Conversion, Deletions, Error, ErrorKind, FieldFacts, Filter, Fit, KeyForm,
    ObjectSummary, Operation, OptionDef, PageStream, Pushdown, RecordOutcome, Reject, RemoteField,
    RemoteObject, RemoteQuery, Result, Route, Session, Shape, TicketKeeper, Usage, Value,
    WriteBatch, WriteField, WriteLimits, WriteRecord, WriteReply, Zone,
};
use std::collections::{BTreeMap, VecDeque};
use std::future::{pending, ready};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// Identifiers are written in upper case, chosen ones as they come; three records or 60 bytes a call, ten records a job.
pub struct Imaginary;

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It goes well.
    None,
    /// The call is refused as a whole.
    Refused,
    /// All is applied and the answer is lost.
    LostAfter,
    /// Nothing is applied, and this side cannot know.
    LostBefore,
    /// This side dies before anything has arrived; of a job before it has a name.
    DiesBefore,
    /// This side dies when the job has a name and no records.
    DiesNamed,
    /// This side dies when all is applied.
    DiesAfter,
}

/// The records of a job and what became of them; none while it is open.
type JobResults = Option<Vec<(WriteRecord, RecordOutcome)>>;

#[derive(Default)]
struct State {
    records: BTreeMap<String, BTreeMap<String, String>>,
    n_made: u32,
    faults: VecDeque<Fault>,
    jobs: BTreeMap<String, JobResults>,
    sent: Vec<WriteBatch>,
    n_settled: usize,
    cannot_be_asked: bool,
}

/// One account of it.
#[derive(Default)]
pub struct Crm(Mutex<State>);

impl Crm {
    pub fn failing(faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        let crm = Self::default();
        crm.0.lock().unwrap().faults.extend(faults);
        Arc::new(crm)
    }

    /// Adds a record behind everybody's back; its identifier.
    pub fn add(&self, fields: &[(&str, &str)]) -> String {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        self.0.lock().unwrap().make(None, fields.collect())
    }

    /// Records by identifier.
    pub fn records(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        self.0.lock().unwrap().records.clone()
    }

    /// Batches in the order in which they were sent.
    pub fn sent(&self) -> Vec<WriteBatch> {
        self.0.lock().unwrap().sent.clone()
    }

    pub fn n_settled(&self) -> usize {
        self.0.lock().unwrap().n_settled
    }

    pub fn refuse_to_settle(&self, refuses: bool) {
        self.0.lock().unwrap().cannot_be_asked = refuses;
    }
}

impl State {
    fn make(&mut self, id: Option<String>, fields: BTreeMap<String, String>) -> String {
        self.n_made += 1;
        let id = id.unwrap_or_else(|| format!("ID-{}", self.n_made));
        self.records.insert(id.clone(), fields);
        id
    }

    fn find(&self, field: &str, value: &str) -> Option<String> {
        if field == "Id" {
            return self.records.contains_key(value).then(|| value.to_owned());
        }
        let mut records = self.records.iter();
        records
            .find(|(_, fields)| fields.get(field).is_some_and(|held| held == value))
            .map(|(id, _)| id.clone())
    }

    fn apply(&mut self, batch: &WriteBatch, record: &WriteRecord) -> RecordOutcome {
        let mut fields: BTreeMap<String, Option<String>> = batch
            .fields
            .iter()
            .zip(&record.values)
            .map(|(field, value)| (field.name.clone(), value.as_ref().map(key_text)))
            .collect();
        if fields.get("Name") == Some(&Some("refused".into())) {
            return RecordOutcome::Rejected(Reject::new(ErrorKind::ValidationRule, "NO", "no"));
        }
        let key = record.key.as_ref().map(key_text);
        let mut chosen = fields.remove("Id").flatten();
        let known = match batch.operation {
            Operation::Create if chosen.is_some() => {
                let known = chosen.as_ref().and_then(|id| self.find("Id", id));
                if known.is_some() {
                    // Such a create never overwrites: that it is there says that it arrived before.
                    assert!(batch.key_is_ours, "nobody else chooses identifiers");
                    return RecordOutcome::Accepted {
                        id: known.unwrap_or_default(),
                        created: Some(true),
                    };
                }
                None
            }
            Operation::Create => batch
                .journal_key
                .as_ref()
                .filter(|_| batch.key_is_ours)
                .and_then(|name| self.find(name, fields[name].as_ref()?)),
            Operation::Upsert => {
                let field = batch.key_field.as_ref().unwrap();
                if field.name == "Id" {
                    chosen = key.clone();
                } else {
                    fields.insert(field.name.clone(), key.clone());
                }
                self.find(&field.name, key.as_ref().unwrap())
            }
            Operation::Update | Operation::Delete => {
                let known = key.filter(|id| self.records.contains_key(id));
                if known.is_none() {
                    let reject = Reject::new(ErrorKind::RecordUnknown, "GONE", "no such record");
                    return RecordOutcome::Rejected(reject);
                }
                known
            }
        };
        let created = known.is_none();
        let id = known.unwrap_or_else(|| self.make(chosen, BTreeMap::new()));
        if batch.operation == Operation::Delete {
            self.records.remove(&id);
        } else {
            let held = self.records.get_mut(&id).unwrap();
            for (name, value) in fields {
                match value {
                    Some(value) => held.insert(name, value),
                    None => held.remove(&name),
                };
            }
        }
        RecordOutcome::Accepted {
            id,
            created: Some(created),
        }
    }

    fn apply_all(&mut self, batch: &WriteBatch) -> Vec<RecordOutcome> {
        let records = batch.records.iter();
        records.map(|record| self.apply(batch, record)).collect()
    }

    /// The n-th of equal records of `batch` is the n-th of equal records of the job.
    fn ask_job(&self, job: &str, batch: &WriteBatch) -> Vec<RecordOutcome> {
        let Some(Some(results)) = self.jobs.get(job) else {
            return vec![RecordOutcome::NotApplied; batch.records.len()];
        };
        let mut results: Vec<_> = results.iter().collect();
        let mut find = |record| {
            let at = results.iter().position(|(of, _)| of == record);
            at.map_or(RecordOutcome::NotApplied, |at| results.remove(at).1.clone())
        };
        batch.records.iter().map(&mut find).collect()
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::ConnectionLost, "the connection broke")
}

impl Session for Crm {
    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        stats.add_call(false);
        let objects = objects.iter().map(|name| object(name)).collect();
        Box::pin(ready(Ok(objects)))
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        Box::pin(async move {
            crm_core::check_batch(batch).expect("a batch is well formed");
            let n = batch.records.len();
            let limits = Imaginary.write_limits(batch.operation, batch.route);
            assert!(n > 0 && n <= limits.records);
            let fault = {
                let mut state = self.0.lock().unwrap();
                state.sent.push(batch.clone());
                state.faults.pop_front().unwrap_or(Fault::None)
            };
            stats.add_call(true);
            if fault == Fault::DiesBefore {
                pending::<()>().await;
            }
            let mut job = None;
            if batch.route == Route::Job {
                let name = {
                    let mut state = self.0.lock().unwrap();
                    let name = format!("job-{}", state.jobs.len());
                    state.jobs.insert(name.clone(), None);
                    name
                };
                if let Err(error) = tickets.keep(&name) {
                    return WriteReply::not_applied(n, error);
                }
                job = Some(name);
            }
            match fault {
                Fault::DiesNamed => pending::<()>().await,
                Fault::Refused => {
                    let error = Error::new(ErrorKind::RemoteFault, "the CRM is shut");
                    return WriteReply::not_applied(n, error);
                }
                Fault::LostBefore => {
                    return WriteReply {
                        outcomes: vec![RecordOutcome::Unknown; n],
                        failure: Some(lost()),
                    };
                }
                _ => {}
            }
            let outcomes = {
                let mut state = self.0.lock().unwrap();
                let outcomes = state.apply_all(batch);
                if let Some(job) = job {
                    let results = batch.records.iter().cloned().zip(outcomes.iter().cloned());
                    let results = results.collect();
                    state.jobs.insert(job, Some(results));
                }
                outcomes
            };
            match fault {
                Fault::DiesAfter => pending().await,
                Fault::LostAfter => WriteReply {
                    outcomes: vec![RecordOutcome::Unknown; n],
                    failure: Some(lost()),
                },
                _ => WriteReply {
                    outcomes,
                    failure: None,
                },
            }
        })
    }

    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        ticket: Option<&'a str>,
        _stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        let mut state = self.0.lock().unwrap();
        if state.cannot_be_asked {
            return Box::pin(ready(Err(lost())));
        }
        state.n_settled += 1;
        if let Some(job) = ticket {
            return Box::pin(ready(Ok(state.ask_job(job, batch))));
        }
        let outcome_of = |record: &WriteRecord| {
            if batch.operation != Operation::Create {
                return RecordOutcome::NotApplied;
            }
            let Some(name) = &batch.journal_key else {
                return RecordOutcome::Unknown;
            };
            let place = batch.fields.iter().position(|field| field.name == *name);
            let key = record.values[place.unwrap()].as_ref().map(key_text);
            match state.find(name, &key.unwrap()) {
                Some(id) => RecordOutcome::Accepted {
                    id,
                    created: Some(true),
                },
                None => RecordOutcome::NotApplied,
            }
        };
        let outcomes = batch.records.iter().map(outcome_of).collect();
        Box::pin(ready(Ok(outcomes)))
    }

    fn check<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        unreachable!("an export does not sign in by itself")
    }

    fn objects<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>> {
        unreachable!("an export knows its object")
    }

    fn scan(self: Arc<Self>, _: RemoteQuery, _: Arc<CallStats>) -> Box<dyn PageStream> {
        unreachable!("an export does not read")
    }

    fn native(self: Arc<Self>, _: &str, _: Arc<CallStats>) -> Result<Box<dyn PageStream>> {
        unreachable!("an export does not read")
    }

    fn clock<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        unreachable!("an export needs no clock")
    }

    fn deleted<'a>(
        &'a self,
        _: &'a str,
        _: i64,
        _: i64,
        _: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        unreachable!("an export does not read")
    }

    fn count<'a>(&'a self, _: &'a RemoteQuery, _: &'a CallStats) -> BoxFuture<'a, Result<u64>> {
        unreachable!("an export does not read")
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        None
    }
}

impl Connector for Imaginary {
    fn canonical_key(&self, text: &str) -> Option<String> {
        Some(text.to_ascii_uppercase())
    }

    fn write_limits(&self, _: Operation, route: Route) -> WriteLimits {
        match route {
            Route::Calls => WriteLimits {
                records: 3,
                bytes: 60,
            },
            Route::Job => WriteLimits {
                records: 10,
                bytes: 1_000,
            },
        }
    }

    fn write_route(
        &self,
        operation: Operation,
        records: usize,
        transport: Option<&str>,
        settles: bool,
    ) -> Route {
        let is_job = match transport {
            Some(named) => named == "job",
            None => records > 20 || operation == Operation::Create && !settles,
        };
        if is_job { Route::Job } else { Route::Calls }
    }

    fn estimate_write_calls(&self, _: Operation, route: Route, records: f64) -> f64 {
        match route {
            Route::Calls => (records / 3.0).ceil(),
            Route::Job => 5.0,
        }
    }

    fn check_value(
        &self,
        field: &RemoteField,
        _: Conversion,
        value: Option<&Value>,
        _: Zone,
    ) -> Option<Reject> {
        let length = field.length? as usize;
        let is_too_long = value.is_some_and(|value| key_text(value).len() > length);
        is_too_long
            .then(|| Reject::new(ErrorKind::TextTooLong, "LONG", "too long").of_field(&field.name))
    }

    fn name(&self) -> &'static str {
        "imaginary"
    }

    fn query_language(&self) -> &'static str {
        "Query"
    }

    fn options(&self) -> &'static [OptionDef] {
        &[]
    }

    fn is_vendor_host(&self, _: &str) -> bool {
        false
    }

    fn default_identifier(&self, _: &str) -> &'static str {
        "Id"
    }

    fn modification_fields(&self, _: &str) -> &'static [&'static str] {
        &[]
    }

    fn capability(&self, _: &FieldFacts, _: Shape, _: Pushdown) -> Capability {
        Capability::No("it is never asked")
    }

    fn fit(&self, _: &FieldFacts, _: Filter<Value>) -> Fit {
        Fit::Unpushable("it is never asked")
    }

    fn sorts_alike(&self, _: &FieldFacts) -> bool {
        false
    }

    fn aggregates_alike(&self, _: AggregateFunction, _: Option<&FieldFacts>) -> bool {
        false
    }

    fn key_form(&self, _: &str) -> KeyForm {
        KeyForm::Canonical
    }

    fn deparse(&self, _: &RemoteQuery) -> Result<String> {
        unreachable!("an export does not read")
    }

    fn estimate_calls(&self, _: &RemoteQuery, _: f64) -> f64 {
        unreachable!("an export does not read")
    }

    fn lookup_batch(&self, _: &RemoteQuery) -> usize {
        unreachable!("an export does not read")
    }

    fn open(&self, _: Account) -> Result<Arc<dyn Session>> {
        unreachable!("tests make the session")
    }
}

/// `Name` must be given; `Code` and `Trace` are external keys, `Note` is not; `Born` can only be given to new records,
/// `Grade` only to existing ones, `Made` to none. Object `Frozen` takes nothing.
fn object(name: &str) -> RemoteObject {
    let is_open = name != "Frozen";
    let field = |name: &str| RemoteField {
        name: name.into(),
        label: String::new(),
        remote_type: "string".into(),
        column_type: Some(ColumnType::Text),
        length: Some(40),
        precision: None,
        nullable: name != "Name",
        creatable: !matches!(name, "Id" | "Made" | "Grade"),
        updatable: !matches!(name, "Id" | "Made" | "Born"),
        required: name == "Name",
        filterable: true,
        sortable: true,
        case_sensitive: true,
        external_key: matches!(name, "Code" | "Trace"),
        identifier: name == "Id",
        modification_stamp: false,
        computed: false,
        enumeration: None,
        restricted: false,
        values: Vec::new(),
        references: Vec::new(),
    };
    let names = [
        "Id", "Name", "Code", "Trace", "Note", "Born", "Grade", "Made",
    ];
    RemoteObject {
        summary: ObjectSummary {
            name: name.into(),
            insertable: is_open,
            updatable: is_open,
            deletable: is_open,
            ..ObjectSummary::default()
        },
        fields: names.into_iter().map(field).collect(),
        variants: Vec::new(),
    }
}

/// A target that writes these fields of object `Thing`.
pub fn target(statement: Statement, fields: &[&str]) -> Target {
    let field = |name: &&str| WriteField {
        name: (*name).into(),
        remote_type: "string".into(),
        conversion: Conversion::Default,
    };
    Target {
        server: "shop".into(),
        object: "Thing".into(),
        identifier: "Id".into(),
        key: Some("Code".into()),
        journal_key: None,
        takes_identifiers: false,
        transport: None,
        batch_size: None,
        zone: Zone::default(),
        statement,
        fields: fields.iter().map(field).collect(),
    }
}

/// A record with this identifier, if it is not empty, and these values; an empty one is absent.
pub fn record(id: &str, values: &[&str]) -> Record {
    let value = |text: &&str| (!text.is_empty()).then(|| Value::Text((*text).into()));
    Record {
        id: value(&id),
        values: values.iter().map(value).collect(),
    }
}

/// The future's output, or nothing where this side died: the CRM answers at once or never.
pub fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
