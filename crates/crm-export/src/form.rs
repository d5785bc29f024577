//! What is to be done with each record, and the form of the batch that it can travel in.

use crate::exporter::Exporter;
use crate::job::intended;
use crate::keys::made_up_key;
use crate::shown::key_text;
use crate::target::{Record, Statement};
use crm_core::{
    Conversion, ErrorKind, Operation, Reject, Route, Value, WriteBatch, WriteField, WriteRecord,
};
use crm_journal::IntendedRecord;

/// A record on its way.
#[derive(Clone)]
pub(crate) struct Pending {
    /// Its place among the records given.
    pub(crate) at: usize,
    pub(crate) operation: Operation,
    /// It is upserted by its identifier rather than by the table's key.
    by_identifier: bool,
    pub(crate) record: WriteRecord,
    /// Its number in the export job.
    pub(crate) number: Option<u32>,
    /// The value of the journal key that was made up for it.
    pub(crate) made_up_key: Option<String>,
}

impl Pending {
    pub(crate) fn kind(&self) -> Kind {
        Kind {
            operation: self.operation as u8,
            by_identifier: self.by_identifier,
            has_made_up_key: self.made_up_key.is_some(),
        }
    }
}

/// Records that can share a batch: the same operation, and the same fields.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    operation: u8,
    by_identifier: bool,
    has_made_up_key: bool,
}

/// What a batch of one kind looks like, without its records.
pub(crate) struct Form {
    operation: Operation,
    key_field: Option<WriteField>,
    journal_key: Option<String>,
    key_is_ours: bool,
    pub(crate) fields: Vec<WriteField>,
    /// A create whose answer is lost could be settled by a key of the record, or need not be settled.
    pub(crate) settles: bool,
}

impl Exporter {
    /// What is to be done with a record, and why it will be refused if the metadata tells.
    pub(crate) fn judge(
        &mut self,
        at: usize,
        mut record: Record,
    ) -> (Pending, Option<Box<Reject>>) {
        if let Some(id) = record.id.as_ref().and_then(Value::identifier) {
            let canonical = self.connector.canonical_key(&id);
            record.id = Some(Value::Text(canonical.unwrap_or_else(|| id.into_owned())));
        }
        let operation = self.operation_of(&record);
        let by_identifier = record.id.is_some();
        let checks = self.checks.as_ref().expect("described before");
        let mut reject = checks
            .reject_of(&record, operation, &self.target, self.connector)
            .map(Box::new);
        let (key, values) = match operation {
            Operation::Create => (None, record.values),
            Operation::Update => (record.id, record.values),
            Operation::Delete => (record.id, Vec::new()),
            Operation::Upsert if by_identifier => (record.id, record.values),
            Operation::Upsert => {
                let mut values = record.values;
                let key = self.key_place().and_then(|place| values.remove(place));
                (key, values)
            }
        };
        if let Some(key) = &key
            && reject.is_none()
            && !self.seen.insert(by_identifier, key)
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
            by_identifier,
            record: WriteRecord { key, values },
            number: None,
            made_up_key: None,
        };
        (one, reject)
    }

    /// an identifier names a record to change, or to create where the CRM takes identifiers; a key one to change
    /// or create.
    fn operation_of(&self, record: &Record) -> Operation {
        match self.target.statement {
            Statement::Update => Operation::Update,
            Statement::Delete => Operation::Delete,
            Statement::Insert if record.id.is_some() => self.target.operation_by_identifier(),
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

    /// The field that makes creates findable: under a job the one that the table names, else the identifier where the
    /// CRM takes one that was chosen here.
    fn journal_key(&self) -> Option<&str> {
        let named = self.target.journal_key.as_deref();
        match named.filter(|_| self.job.is_some()) {
            Some(named) => Some(named),
            None => self
                .target
                .takes_identifiers
                .then_some(self.target.identifier.as_str()),
        }
    }

    /// The form of a batch that a record can travel in. A made-up journal key that is no field of the statement is the
    /// last field.
    pub(crate) fn form(&self, one: &Pending) -> Form {
        let mut form = Form {
            operation: one.operation,
            key_field: None,
            journal_key: None,
            key_is_ours: false,
            fields: Vec::new(),
            settles: true,
        };
        let checks = self.checks.as_ref().expect("described before");
        match one.operation {
            Operation::Delete => {}
            Operation::Update => form.fields = self.target.fields.clone(),
            Operation::Upsert => {
                form.fields = self.target.fields.clone();
                form.key_field = if one.by_identifier {
                    let name = &self.target.identifier;
                    Some(plain_field(name, checks.type_of_key(name)))
                } else {
                    self.key_place().map(|place| form.fields.remove(place))
                };
            }
            Operation::Create => {
                form.fields = self.target.fields.clone();
                form.settles = self.job.is_none();
                if let Some(name) = self.journal_key() {
                    let is_identifier = name.eq_ignore_ascii_case(&self.target.identifier);
                    form.key_is_ours = one.made_up_key.is_some()
                        && (is_identifier || checks.journal_key_is_external);
                    let place = self.place_of(name);
                    if place.is_none() && one.made_up_key.is_some() {
                        form.fields
                            .push(plain_field(name, checks.type_of_key(name)));
                    }
                    let is_given = place.is_some_and(|at| one.record.values[at].is_some());
                    let has_key = is_given || one.made_up_key.is_some();
                    form.settles |= has_key;
                    form.journal_key = has_key.then(|| name.to_owned());
                }
            }
        }
        form
    }

    /// Every create without a journal key of its own gets one, if there is such a field.
    pub(crate) fn make_up_keys(&self, pending: &mut [Pending]) {
        let Some(name) = self.journal_key() else {
            return;
        };
        let place = self.place_of(name);
        let checks = self.checks.as_ref().expect("described before");
        let length = checks.key(name).and_then(|field| field.length);
        for one in pending {
            let is_given = place.is_some_and(|at| one.record.values[at].is_some());
            if one.operation == Operation::Create && one.made_up_key.is_none() && !is_given {
                one.made_up_key = Some(made_up_key(length));
            }
        }
    }

    /// The record as it is sent: with the key that was made up for it.
    pub(crate) fn record_to_send(&self, one: Pending) -> WriteRecord {
        let mut record = one.record;
        if let (Some(key), Some(name)) = (one.made_up_key, self.journal_key()) {
            let value = Some(Value::Text(key));
            match self.place_of(name) {
                Some(place) => record.values[place] = value,
                None => record.values.push(value),
            }
        }
        record
    }

    pub(crate) fn batch(&self, form: Form, records: Vec<WriteRecord>, route: Route) -> WriteBatch {
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

    /// The record as the journal keeps it: as the CRM was or will be given it.
    pub(crate) fn intended(&self, one: &Pending, number: u32) -> IntendedRecord {
        let form = self.form(one);
        let key_field = form
            .key_field
            .as_ref()
            .map_or(self.target.identifier.as_str(), |field| field.name.as_str());
        let record = self.record_to_send(one.clone());
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
}

fn plain_field(name: &str, remote_type: String) -> WriteField {
    WriteField {
        name: name.to_owned(),
        remote_type,
        conversion: Conversion::Default,
    }
}
