//! A batch as rows of values on the wire, the same for both routes.

use crate::encode::{Wire, encode};
use crate::{deparse, ids};
use crm_core::{
    ErrorKind, Operation, Reject, Result, Value, WriteBatch, WriteField, WriteRecord, Zone, json,
    shortened,
};

/// How the vendor finds the record of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is new.
    Create,
    /// By its identifier.
    Update,
    /// By the value of a key field, else it is new.
    Upsert,
    /// By its identifier, to be deleted.
    Delete,
}

/// What is sent for one record.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place in the batch.
    pub at: usize,
    /// A value for each column.
    pub cells: Vec<Wire>,
}

/// The records of a batch that can be said on the wire, and rejects for the others.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The object, as it may stand in an address.
    pub object: String,
    /// How its records are found.
    pub form: Form,
    /// Names of the columns; the identifier is `Id` whatever the batch calls it.
    pub columns: Vec<String>,
    /// The column by which records are found, or found again.
    pub key: Option<usize>,
    /// The rows, in the batch's order.
    pub rows: Vec<Row>,
    /// Records that cannot be written, by their places in the batch.
    pub rejects: Vec<(usize, Reject)>,
}

impl Rows {
    /// The rows of `batch`.
    ///
    /// # Errors
    /// For a name that Salesforce cannot have.
    pub(crate) fn new(batch: &WriteBatch, zone: Zone) -> Result<Self> {
        let object = deparse::object_name(&batch.object)?.to_owned();
        let by_identifier = |field: &WriteField| {
            field.name.eq_ignore_ascii_case(&batch.identifier)
                || field.name.eq_ignore_ascii_case("Id")
        };
        let (form, key_field) = match (batch.operation, &batch.key_field) {
            (Operation::Delete, _) => (Form::Delete, None),
            (Operation::Update, _) => (Form::Update, None),
            // An identifier never makes a record, so that one the CRM does not know is a reject.
            (_, Some(field)) if by_identifier(field) => (Form::Update, None),
            (_, Some(field)) => (Form::Upsert, Some(field)),
            (_, None) => (Form::Create, None),
        };
        let mut columns = Vec::with_capacity(batch.fields.len() + 1);
        match (form, key_field) {
            (Form::Update | Form::Delete, _) => columns.push("Id".to_owned()),
            (_, Some(field)) => columns.push(deparse::field_name(&field.name)?.to_owned()),
            _ => {}
        }
        let mut sources = Vec::with_capacity(batch.fields.len());
        if form != Form::Delete {
            for (at, field) in batch.fields.iter().enumerate() {
                let name = deparse::field_name(&field.name)?;
                if !columns.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                    columns.push(name.to_owned());
                    sources.push(at);
                }
            }
        }
        let mut rows = Self {
            object,
            form,
            key: (form != Form::Create).then_some(0),
            columns,
            rows: Vec::with_capacity(batch.records.len()),
            rejects: Vec::new(),
        };
        for (at, record) in batch.records.iter().enumerate() {
            match cells(form, key_field, batch, &sources, record, zone) {
                Ok(cells) => rows.rows.push(Row { at, cells }),
                Err(reject) => rows.rejects.push((at, *reject)),
            }
        }
        rows.use_journal_key(batch);
        Ok(rows)
    }

    /// A create whose journal key is made up here can be sent as an upsert by it, and so be sent twice.
    fn use_journal_key(&mut self, batch: &WriteBatch) {
        let Some(name) = batch.journal_key.as_deref() else {
            return;
        };
        if self.form != Form::Create {
            return;
        }
        let is_it = |known: &String| known.eq_ignore_ascii_case(name);
        let Some(column) = self.columns.iter().position(is_it) else {
            return;
        };
        if self.rows.iter().any(|row| row.cells[column] == Wire::Null) {
            return;
        }
        self.key = Some(column);
        if batch.key_is_ours {
            self.form = Form::Upsert;
        }
    }

    /// Sending a row twice leaves the same as sending it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.form != Form::Create
    }

    /// The key of a row, where its records are found by one. Keys are told apart without regard to case: the vendor's
    /// identifiers here are in one form, and external ids rarely tell it.
    pub(crate) fn key_of(&self, row: &Row) -> Option<String> {
        match self.form {
            Form::Create => None,
            Form::Update | Form::Delete => Some(row.cells[0].cell().to_owned()),
            Form::Upsert => Some(row.cells[self.key?].cell().to_lowercase()),
        }
    }

    /// A row as a record of the collections interface (8.2).
    pub(crate) fn json(&self, row: &Row) -> String {
        let mut json = String::from("{\"attributes\":{\"type\":");
        json::push_text(&self.object, &mut json);
        json.push('}');
        for (name, cell) in self.columns.iter().zip(&row.cells) {
            json.push(',');
            let is_identifier = self.form == Form::Update && name == "Id";
            json::push_text(if is_identifier { "id" } else { name }, &mut json);
            json.push(':');
            cell.push_json(&mut json);
        }
        json.push('}');
        json
    }
}

fn cells(
    form: Form,
    key_field: Option<&WriteField>,
    batch: &WriteBatch,
    sources: &[usize],
    record: &WriteRecord,
    zone: Zone,
) -> std::result::Result<Vec<Wire>, Box<Reject>> {
    let mut cells = Vec::with_capacity(sources.len() + 1);
    match (form, key_field) {
        (Form::Update | Form::Delete, _) => cells.push(identifier(batch, record.key.as_ref())?),
        (_, Some(field)) => cells.push(key_value(field, record.key.as_ref(), zone)?),
        _ => {}
    }
    for at in sources {
        cells.push(encode(
            &batch.fields[*at],
            record.values[*at].as_ref(),
            zone,
        )?);
    }
    Ok(cells)
}

fn identifier(batch: &WriteBatch, key: Option<&Value>) -> std::result::Result<Wire, Box<Reject>> {
    let text = match key {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    let id = ids::canonical(text).ok_or_else(|| {
        let reject = Reject::new(
            ErrorKind::RecordUnknown,
            "MALFORMED_ID",
            format!("{}: malformed id {}", batch.identifier, shortened(text)),
        );
        Box::new(reject.of_field(&batch.identifier))
    })?;
    Ok(Wire::Text(id))
}

fn key_value(
    field: &WriteField,
    key: Option<&Value>,
    zone: Zone,
) -> std::result::Result<Wire, Box<Reject>> {
    match encode(field, key, zone)? {
        Wire::Null => {
            let reject = Reject::new(
                ErrorKind::RequiredField,
                "MISSING_ARGUMENT",
                format!("{} not specified", field.name),
            );
            Err(Box::new(reject.of_field(&field.name)))
        }
        wire => Ok(wire),
    }
}
