//! A CRM in the backend's own memory, whose records have uuids for identifiers, take chosen ones and are read by change
//! token: what the extension owes such a CRM can be tried before there is one.

use crm_core::{
    Account, AccountInfo, AggregateFunction, BoxFuture, CallStats, Capability, CellDecoder,
    ChangePage, ChangeStream, Column, ColumnType, Connector, Conversion, Deletion, Deletions,
    Error, ErrorKind, FieldFacts, Filter, Fit, KeyForm, ObjectSummary, Operation, Operator,
    OptionDef, Page, PageStream, Pushdown, Raw, RecordOutcome, Reject, RemoteField, RemoteObject,
    RemoteQuery, Result, Route, Session, Shape, TicketKeeper, Usage, Value, WriteBatch,
    WriteLimits, WriteRecord, WriteReply, Zone, parse_uuid, uuid_text,
};
use crm_export::key_text;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub struct Imaginary;
pub static IMAGINARY: Imaginary = Imaginary;

/// Identifiers a call, and records a page.
const BATCH: usize = 3;
const FIELDS: [(&str, ColumnType); 4] = [
    ("id", ColumnType::Uuid),
    ("name", ColumnType::Text),
    ("parent", ColumnType::Uuid),
    ("modified", ColumnType::Instant),
];

/// What the CRM holds and what was asked of it.
#[derive(Default)]
pub struct Crm {
    records: BTreeMap<String, BTreeMap<String, String>>,
    /// Identifiers in the order in which they were changed; a token is a place here.
    log: Vec<String>,
    /// Tokens before this one have expired.
    pub oldest_token: usize,
    /// Changes are not tracked.
    pub is_untracked: bool,
    /// What was asked, in a few words each.
    pub asked: Vec<String>,
}

/// The CRM of this backend.
pub fn crm() -> MutexGuard<'static, Crm> {
    static CRM: Mutex<Crm> = Mutex::new(Crm {
        records: BTreeMap::new(),
        log: Vec::new(),
        oldest_token: 0,
        is_untracked: false,
        asked: Vec::new(),
    });
    CRM.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crm {
    /// Makes or changes a record.
    pub fn put(&mut self, id: &str, fields: &[(&str, Option<&str>)]) {
        let record = self.records.entry(id.to_owned()).or_default();
        for (name, value) in fields {
            match value {
                Some(value) => record.insert((*name).into(), (*value).into()),
                None => record.remove(*name),
            };
        }
        self.log.push(id.to_owned());
        let second = self.log.len();
        record.insert(
            "modified".into(),
            format!("2024-01-01T00:{:02}:{:02}Z", second / 60, second % 60),
        );
    }

    pub fn delete(&mut self, id: &str) {
        self.records.remove(id);
        self.log.push(id.to_owned());
    }

    pub fn name_of(&self, id: &str) -> Option<&str> {
        self.records.get(id)?.get("name").map(String::as_str)
    }

    /// What was asked since the last time.
    pub fn take_asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.asked)
    }

    fn page(&self, query: &RemoteQuery, ids: &[String]) -> Page {
        let records: Vec<_> = ids.iter().map(|id| (id, &self.records[id])).collect();
        let columns = query.fields.iter().map(|field| {
            let decoder = CellDecoder {
                column_type: field.column_type,
                conversion: field.conversion,
                zone: Zone::default(),
                separator: ';',
            };
            let mut column = Column::new(field.column_type);
            for (id, record) in &records {
                let value = match field.name.as_str() {
                    "id" => Some(*id),
                    name => record.get(name),
                };
                let raw = value.map_or(Raw::Null, |value| Raw::Text(value));
                decoder
                    .append(raw, &mut column)
                    .expect("a value of its type");
            }
            column
        });
        Page {
            n_rows: ids.len(),
            columns: columns.collect(),
            ..Page::default()
        }
    }

    fn matches(&self, filter: &Filter<Value>, id: &str) -> bool {
        let holds = |field: &str, value: &Value| {
            let held = self.records[id].get(field);
            held.is_some_and(|held| *held == key_text(value))
        };
        match filter {
            Filter::Compare { field, value, .. } => holds(field, value),
            Filter::In {
                field,
                values: Value::List(values),
            } => values.iter().any(|value| holds(field, value)),
            other => unreachable!("it was said to be impossible: {other:?}"),
        }
    }

    fn write(&mut self, batch: &WriteBatch, record: &WriteRecord) -> RecordOutcome {
        let names = batch.fields.iter().map(|field| field.name.as_str());
        let texts: Vec<Option<String>> = record
            .values
            .iter()
            .map(|value| value.as_ref().map(key_text))
            .collect();
        let mut fields: Vec<_> = names.zip(texts.iter().map(Option::as_deref)).collect();
        let key = record.key.as_ref().map(|key| match key {
            Value::Text(id) => id.clone(),
            other => panic!("identifiers travel as texts: {other:?}"),
        });
        let reject = |kind, symbol| RecordOutcome::Rejected(Reject::new(kind, symbol, "no"));
        let id = match batch.operation {
            Operation::Create => {
                assert_eq!(batch.journal_key.as_deref(), Some("id"));
                let place = fields.iter().position(|(name, _)| *name == "id");
                let (_, id) = fields.remove(place.expect("a chosen identifier"));
                id.expect("a chosen identifier").to_owned()
            }
            _ => key.expect("a record is named"),
        };
        assert_eq!(Imaginary.key_form(&id), KeyForm::Canonical, "{id}");
        let is_known = self.records.contains_key(&id);
        match batch.operation {
            Operation::Update | Operation::Delete if !is_known => {
                return reject(ErrorKind::RecordUnknown, "GONE");
            }
            Operation::Create if is_known => return reject(ErrorKind::DuplicateKey, "TWICE"),
            Operation::Delete => self.delete(&id),
            _ => self.put(&id, &fields),
        }
        RecordOutcome::Accepted {
            id,
            created: Some(!is_known),
        }
    }
}

/// Pages of these records.
struct Pages {
    query: RemoteQuery,
    ids: Vec<String>,
}

impl PageStream for Pages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        let rest = self.ids.split_off(self.ids.len().min(BATCH));
        let ids = std::mem::replace(&mut self.ids, rest);
        let page = (!ids.is_empty()).then(|| crm().page(&self.query, &ids));
        Box::pin(ready(Ok(page)))
    }
}

/// What has changed since a token, records first.
struct Since {
    query: RemoteQuery,
    token: Option<String>,
    is_finished: bool,
}

impl ChangeStream for Since {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
        Box::pin(ready(self.next_page()))
    }
}

impl Since {
    fn next_page(&mut self) -> Result<Option<ChangePage>> {
        let crm = &mut *crm();
        if crm.is_untracked {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "changes are not tracked",
            ));
        }
        if std::mem::replace(&mut self.is_finished, true) {
            return Ok(None);
        }
        let start: Option<usize> = self.token.as_ref().map(|token| token.parse().unwrap());
        crm.asked.push(format!("changes since {start:?}"));
        if start.is_some_and(|start| start < crm.oldest_token) {
            return Err(Error::new(ErrorKind::ChangeTokenExpired, "too long ago"));
        }
        let changed: Vec<String> = match start {
            Some(start) => crm.log[start..].to_vec(),
            None => crm.records.keys().cloned().collect(),
        };
        let (alive, mut deleted): (Vec<_>, Vec<_>) = changed
            .into_iter()
            .partition(|id| crm.records.contains_key(id));
        deleted.sort_unstable();
        deleted.dedup();
        Ok(Some(ChangePage {
            page: crm.page(&self.query, &alive),
            deleted,
            token: Some(crm.log.len().to_string()),
        }))
    }
}

struct Backend;

impl Session for Backend {
    fn scan(self: Arc<Self>, query: RemoteQuery, _: Arc<CallStats>) -> Box<dyn PageStream> {
        let crm = &mut *crm();
        let ids: Vec<String> = match (&query.lookup, &query.filter) {
            (Some(ids), _) => {
                for id in ids {
                    assert_eq!(Imaginary.key_form(id), KeyForm::Canonical, "{id}");
                }
                crm.asked.push(format!("{} identifiers", ids.len()));
                let known = ids.iter().filter(|id| crm.records.contains_key(*id));
                known.cloned().collect()
            }
            (None, Some(filter)) => {
                crm.asked.push("a filter".into());
                let all = crm.records.keys().filter(|id| crm.matches(filter, id));
                all.cloned().collect()
            }
            (None, None) => {
                crm.asked.push("everything".into());
                crm.records.keys().cloned().collect()
            }
        };
        Box::new(Pages { query, ids })
    }

    fn changes(
        self: Arc<Self>,
        query: RemoteQuery,
        token: Option<String>,
        _: Arc<CallStats>,
    ) -> Option<Box<dyn ChangeStream>> {
        Some(Box::new(Since {
            query,
            token,
            is_finished: false,
        }))
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _: &'a dyn TicketKeeper,
        _: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        let mut crm = crm();
        crm.asked.push(format!(
            "{} {}",
            batch.operation.name(),
            batch.records.len()
        ));
        let outcomes = batch
            .records
            .iter()
            .map(|record| crm.write(batch, record))
            .collect();
        Box::pin(ready(WriteReply {
            outcomes,
            failure: None,
        }))
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        _: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(ready(Ok(objects.iter().map(|name| object(name)).collect())))
    }

    fn clock<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        let second = i64::try_from(crm().log.len()).unwrap();
        Box::pin(ready(Ok(1_704_067_200_000_000 + second * 1_000_000)))
    }

    fn deleted<'a>(
        &'a self,
        _: &'a str,
        _: i64,
        _: i64,
        _: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        let mut crm = crm();
        crm.asked.push("deletions".into());
        let gone = crm.log.iter().filter(|id| !crm.records.contains_key(*id));
        let records = gone.map(|id| Deletion {
            id: id.clone(),
            deleted_at: Some(1_704_067_200_000_000),
            name: None,
            deleted_by: None,
        });
        Box::pin(ready(Ok(Deletions {
            records: records.collect(),
            ..Deletions::default()
        })))
    }

    fn settle<'a>(
        &'a self,
        _: &'a WriteBatch,
        _: Option<&'a str>,
        _: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        unreachable!("no answer is lost")
    }

    fn check<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        unreachable!("it is not asked who it is")
    }

    fn objects<'a>(&'a self, _: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>> {
        Box::pin(ready(Ok(vec![object("thing").summary])))
    }

    fn native(self: Arc<Self>, _: &str, _: Arc<CallStats>) -> Result<Box<dyn PageStream>> {
        Err(Error::new(ErrorKind::NotSupported, "it has no language"))
    }

    fn count<'a>(&'a self, _: &'a RemoteQuery, _: &'a CallStats) -> BoxFuture<'a, Result<u64>> {
        Box::pin(ready(Ok(crm().records.len() as u64)))
    }

    fn usage(&self) -> Option<Usage> {
        None
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        None
    }
}

fn object(name: &str) -> RemoteObject {
    let field = |(name, column_type): (&str, ColumnType)| RemoteField {
        name: name.into(),
        label: String::new(),
        remote_type: String::new(),
        column_type: Some(column_type),
        length: None,
        precision: None,
        nullable: name != "id",
        creatable: name != "modified",
        updatable: !matches!(name, "id" | "modified"),
        required: false,
        filterable: true,
        sortable: true,
        case_sensitive: true,
        external_key: false,
        identifier: name == "id",
        modification_stamp: name == "modified",
        computed: false,
        enumeration: None,
        restricted: false,
        values: Vec::new(),
        references: Vec::new(),
    };
    RemoteObject {
        summary: ObjectSummary {
            name: name.into(),
            selectable: true,
            insertable: true,
            updatable: true,
            deletable: true,
            ..ObjectSummary::default()
        },
        fields: FIELDS.into_iter().map(field).collect(),
        variants: Vec::new(),
    }
}

impl Connector for Imaginary {
    fn name(&self) -> &'static str {
        "imaginary"
    }

    fn query_language(&self) -> &'static str {
        "Words"
    }

    fn options(&self) -> &'static [OptionDef] {
        &[]
    }

    fn is_vendor_host(&self, _: &str) -> bool {
        true
    }

    fn default_identifier(&self, _: &str) -> &'static str {
        "id"
    }

    fn modification_fields(&self, _: &str) -> &'static [&'static str] {
        &["modified"]
    }

    fn capability(&self, field: &FieldFacts, shape: Shape, _: Pushdown) -> Capability {
        match (field.column_type, shape) {
            (ColumnType::Uuid, Shape::Compare(Operator::Equal) | Shape::In) => Capability::Exact,
            _ => Capability::No("it has no such comparison"),
        }
    }

    fn fit(&self, _: &FieldFacts, filter: Filter<Value>) -> Fit {
        Fit::Send {
            filter,
            exact: true,
        }
    }

    fn sorts_alike(&self, _: &FieldFacts) -> bool {
        true
    }

    fn aggregates_alike(&self, _: AggregateFunction, _: Option<&FieldFacts>) -> bool {
        false
    }

    fn key_form(&self, text: &str) -> KeyForm {
        match self.canonical_key(text) {
            Some(canonical) if canonical == text => KeyForm::Canonical,
            Some(_) => KeyForm::Variant,
            None => KeyForm::Invalid,
        }
    }

    fn canonical_key(&self, text: &str) -> Option<String> {
        parse_uuid(text).map(|bytes| uuid_text(&bytes))
    }

    fn deparse(&self, query: &RemoteQuery) -> Result<String> {
        Ok(match (&query.lookup, &query.filter) {
            (Some(ids), _) => format!("the records {}", ids.join(", ")),
            (None, Some(filter)) => format!("what is like {filter:?}"),
            (None, None) => format!("all, by {:?}", query.sort.len()),
        })
    }

    fn lookup_batch(&self, _: &RemoteQuery) -> usize {
        BATCH
    }

    fn estimate_calls(&self, _: &RemoteQuery, rows: f64) -> f64 {
        (rows / BATCH as f64).ceil()
    }

    fn write_limits(&self, _: Operation, _: Route) -> WriteLimits {
        WriteLimits {
            records: BATCH,
            bytes: 10_000,
        }
    }

    fn write_route(&self, _: Operation, _: usize, _: Option<&str>, settles: bool) -> Route {
        assert!(settles, "a chosen identifier tells");
        Route::Calls
    }

    fn takes_identifiers(&self, _: &str) -> bool {
        true
    }

    fn estimate_write_calls(&self, _: Operation, _: Route, records: f64) -> f64 {
        (records / BATCH as f64).ceil()
    }

    fn check_value(
        &self,
        _: &RemoteField,
        _: Conversion,
        _: Option<&Value>,
        _: Zone,
    ) -> Option<Reject> {
        None
    }

    fn open(&self, _: Account) -> Result<Arc<dyn Session>> {
        Ok(Arc::new(Backend))
    }
}
