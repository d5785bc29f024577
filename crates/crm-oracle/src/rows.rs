//! A batch as rows of values on the wire: how the vendor finds each record, and which may share a message.

use crate::check::unknown_record;
use crate::encode::{encode, with_code};
use crate::tags::{self, is_row_id};
use crm_core::{
    ErrorKind, Operation, Reject, Result, Value, WriteBatch, WriteField, WriteRecord, Zone,
};
use std::collections::HashMap;

/// Fields by which the vendor finds records beside the identifier, and that may be empty (Oracle page 6.2).
pub(crate) const USER_KEYS: &[&str] = &["ExternalSystemId", "IntegrationId"];
/// With this field the vendor refuses a change that does not build on the record as it was read (Oracle page 6.6).
pub(crate) const VERSION: &str = "ModId";

/// What is done, and how the vendor finds the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// It is new.
    Insert,
    /// By its identifier.
    Update,
    /// By the value of a user key, else it is new.
    Upsert,
    /// By its identifier, to be deleted.
    Delete,
}

/// What is sent for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its place in the batch.
    pub at: usize,
    /// What finds it: its identifier, or the value of the key; nothing for a record that is new.
    pub key: Option<String>,
    /// A value for each column; nothing where the field is emptied.
    pub cells: Vec<Option<String>>,
}

/// The records of a batch that can be said on the wire, and rejects for the others.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The object, as it stands in tags.
    pub object: String,
    /// What is done.
    pub form: Form,
    /// Tag of the identifier.
    pub identifier: String,
    /// Tag of the key that an upsert finds its records by.
    pub key: Option<String>,
    /// Tags of the columns; neither the identifier nor the key of an upsert.
    pub columns: Vec<String>,
    /// The column with a value of its own for each new record, by which a record whose answer was lost is found.
    pub journal_key: Option<usize>,
    /// The values of that column were made up here.
    pub key_is_ours: bool,
    /// The rows, in the batch's order.
    pub rows: Vec<Row>,
    /// Records that cannot be written, by their places in the batch.
    pub rejects: Vec<(usize, Reject)>,
}

impl Rows {
    /// The rows of `batch`.
    ///
    /// # Errors
    /// For a name that can be no tag.
    pub(crate) fn new(batch: &WriteBatch, zone: Zone) -> Result<Self> {
        let identifier = tags::field(&batch.identifier)?;
        let (form, key_field) = match (batch.operation, &batch.key_field) {
            (Operation::Delete, _) => (Form::Delete, None),
            (Operation::Update, _) => (Form::Update, None),
            // An identifier never makes a record, so that one the CRM does not know is a reject.
            (_, Some(field)) if field.name == identifier => (Form::Update, None),
            (_, Some(field)) => (Form::Upsert, Some(field)),
            (_, None) => (Form::Insert, None),
        };
        let key = key_field
            .map(|field| tags::field(&field.name).map(str::to_owned))
            .transpose()?;
        let mut columns: Vec<String> = Vec::new();
        let mut sources = Vec::new();
        if form != Form::Delete {
            for (at, field) in batch.fields.iter().enumerate() {
                let name = tags::field(&field.name)?;
                let is_named = name == identifier || key.as_deref() == Some(name);
                if !is_named && !columns.iter().any(|known| known == name) {
                    columns.push(name.to_owned());
                    sources.push(at);
                }
            }
        }
        let mut all = Self {
            object: tags::object(&batch.object)?.to_owned(),
            form,
            identifier: identifier.to_owned(),
            key,
            columns,
            journal_key: None,
            key_is_ours: batch.key_is_ours,
            rows: Vec::with_capacity(batch.records.len()),
            rejects: Vec::new(),
        };
        for (at, record) in batch.records.iter().enumerate() {
            match row(at, form, key_field, batch, &sources, record, zone) {
                Ok(row) => all.rows.push(row),
                Err(reject) => all.rejects.push((at, *reject)),
            }
        }
        all.journal_key = all.journal_column(batch);
        Ok(all)
    }

    fn journal_column(&self, batch: &WriteBatch) -> Option<usize> {
        let name = batch.journal_key.as_deref()?;
        let column = self
            .columns
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))?;
        let is_given = |row: &Row| row.cells[column].is_some();
        (self.form == Form::Insert && self.rows.iter().all(is_given)).then_some(column)
    }

    /// The records are changed only if nobody else has changed them: sent twice, the second is refused.
    pub(crate) fn is_guarded(&self) -> bool {
        self.columns.iter().any(|name| name == VERSION)
    }

    /// Rows that name the same record must not meet in one message: they follow each other.
    pub(crate) fn waves(&self) -> Vec<Vec<Row>> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut waves: Vec<Vec<Row>> = Vec::new();
        for row in &self.rows {
            let wave = row.key.as_ref().map_or(0, |key| {
                let n_before = seen.entry(key.to_lowercase()).or_insert(0);
                *n_before += 1;
                *n_before - 1
            });
            if wave == waves.len() {
                waves.push(Vec::new());
            }
            waves[wave].push(row.clone());
        }
        waves
    }

    /// Rows in groups that may share a message: the first record's user keys are looked for in all of them (Oracle
    /// page 6.2), so that those with and those without one go apart.
    pub(crate) fn alike(&self, rows: Vec<Row>) -> Vec<Vec<Row>> {
        let keys: Vec<usize> = (0..self.columns.len())
            .filter(|at| USER_KEYS.contains(&self.columns[*at].as_str()))
            .collect();
        let mut groups: Vec<(Vec<bool>, Vec<Row>)> = Vec::new();
        for row in rows {
            let given: Vec<bool> = keys.iter().map(|at| row.cells[*at].is_some()).collect();
            match groups.iter_mut().find(|(known, _)| *known == given) {
                Some((_, group)) => group.push(row),
                None => groups.push((given, vec![row])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

fn row(
    at: usize,
    form: Form,
    key_field: Option<&WriteField>,
    batch: &WriteBatch,
    sources: &[usize],
    record: &WriteRecord,
    zone: Zone,
) -> std::result::Result<Row, Box<Reject>> {
    let key = match (form, key_field) {
        (Form::Insert, _) => None,
        (_, Some(field)) => Some(key_value(field, record.key.as_ref(), zone)?),
        _ => Some(identifier(batch, record.key.as_ref())?),
    };
    let cells: std::result::Result<_, _> = sources
        .iter()
        .map(|at| encode(&batch.fields[*at], record.values[*at].as_ref(), zone))
        .collect();
    Ok(Row {
        at,
        key,
        cells: cells?,
    })
}

fn identifier(batch: &WriteBatch, key: Option<&Value>) -> std::result::Result<String, Box<Reject>> {
    let text = match key {
        Some(Value::Text(text)) => text.as_str(),
        _ => "",
    };
    if is_row_id(text) {
        return Ok(text.to_owned());
    }
    Err(Box::new(unknown_record(&batch.identifier, text)))
}

fn key_value(
    field: &WriteField,
    key: Option<&Value>,
    zone: Zone,
) -> std::result::Result<String, Box<Reject>> {
    encode(field, key, zone)?.ok_or_else(|| {
        with_code(
            "SBL-EAI-04397",
            &field.name,
            ErrorKind::RequiredField,
            "the key must not be empty".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{Conversion, Route};

    fn field(name: &str) -> WriteField {
        WriteField {
            name: name.into(),
            remote_type: "Text (Short)".into(),
            conversion: Conversion::Default,
        }
    }

    fn batch(operation: Operation, fields: &[&str], records: &[(&str, &[&str])]) -> WriteBatch {
        let text = |text: &str| (!text.is_empty()).then(|| Value::Text(text.into()));
        WriteBatch {
            object: "Contact".into(),
            identifier: "Id".into(),
            operation,
            key_field: (operation == Operation::Upsert).then(|| field("ExternalSystemId")),
            journal_key: None,
            key_is_ours: false,
            fields: fields.iter().copied().map(field).collect(),
            records: (records.iter())
                .map(|(key, values)| WriteRecord {
                    key: text(key),
                    values: values.iter().map(|value| text(value)).collect(),
                })
                .collect(),
            route: Route::Calls,
        }
    }

    fn rows(batch: &WriteBatch) -> Rows {
        Rows::new(batch, Zone::default()).unwrap()
    }

    #[test]
    fn an_identifier_names_a_record_and_never_makes_one() {
        let mut by_id = batch(Operation::Upsert, &["JobTitle"], &[("1QA2-1", &["Buyer"])]);
        by_id.key_field = Some(field("Id"));
        assert_eq!(rows(&by_id).form, Form::Update);
        let bad = rows(&batch(
            Operation::Delete,
            &[],
            &[("no id", &[]), ("1QA2-1", &[])],
        ));
        assert_eq!(bad.rejects[0].0, 0);
        assert_eq!(bad.rejects[0].1.kind, ErrorKind::RecordUnknown);
        assert_eq!(bad.rows.len(), 1);
        let mut odd = batch(Operation::Update, &["a b"], &[]);
        assert!(Rows::new(&odd, Zone::default()).is_err());
        odd.fields.clear();
        odd.object = "x><y".into();
        assert!(Rows::new(&odd, Zone::default()).is_err());
    }

    #[test]
    fn a_journal_key_counts_where_every_record_has_one() {
        let mut create = batch(
            Operation::Create,
            &["JobTitle", "ExternalSystemId"],
            &[("", &["a", "X-1"]), ("", &["b", "X-2"])],
        );
        assert_eq!(rows(&create).journal_key, None);
        create.journal_key = Some("ExternalSystemId".into());
        assert_eq!(rows(&create).journal_key, Some(1));
        create.records[1].values[1] = None;
        assert_eq!(rows(&create).journal_key, None);
    }

    #[test]
    fn the_same_record_waits_for_the_next_message() {
        let updates = [
            ("1QA2-1", &["a"] as &[_]),
            ("1QA2-2", &["b"]),
            ("1QA2-1", &["c"]),
        ];
        let all = rows(&batch(Operation::Update, &["JobTitle"], &updates));
        let waves: Vec<Vec<usize>> = (all.waves().iter())
            .map(|wave| wave.iter().map(|row| row.at).collect())
            .collect();
        assert_eq!(waves, [vec![0, 1], vec![2]]);
        assert!(!all.is_guarded());
        assert!(rows(&batch(Operation::Update, &["ModId"], &[])).is_guarded());
    }

    #[test]
    fn records_with_and_without_a_user_key_go_apart() {
        let updates = [
            ("1QA2-1", &["a", "X-1"] as &[_]),
            ("1QA2-2", &["b", ""]),
            ("1QA2-3", &["", "X-3"]),
        ];
        let all = rows(&batch(
            Operation::Update,
            &["JobTitle", "ExternalSystemId"],
            &updates,
        ));
        let groups: Vec<Vec<usize>> = (all.alike(all.rows.clone()).iter())
            .map(|group| group.iter().map(|row| row.at).collect())
            .collect();
        assert_eq!(groups, [vec![0, 2], vec![1]]);
    }
}
