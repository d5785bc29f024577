//! A batch as requests, one for each record (Dynamics page, sections 7.1 to 7.3).

use crate::batch::Part;
use crate::describe::Entity;
use crate::encode::{Wire, encode};
use crate::ids;
use crate::navigation::{Address, Lookup};
use crate::plan::{Form, Plan};
use crate::reject::{DOES_NOT_EXIST, INVALID_ARGUMENT, PAYLOAD, ours};
use crm_core::{
    ErrorKind, Reject, Result, Value, WriteBatch, WriteField, WriteRecord, Zone, json, shortened,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::{HashMap, HashSet};

mod columns;

use columns::{Column, columns, key_property};
pub(crate) use columns::{choices_of, typed};

/// Everything but what no address ever encodes.
const IN_KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What is known before a batch is taken apart.
pub(crate) struct Surroundings<'a> {
    /// The table.
    pub entity: &'a Entity,
    /// Addresses of the tables that lookups lead to.
    pub addresses: &'a HashMap<String, Address>,
    /// Which table a record is of, where the batch does not say.
    pub found: &'a HashSet<(String, String)>,
    /// The account's zone.
    pub zone: Zone,
    /// A version before 9.0, where a lookup is let go of by its property rather than by what binds it (7.3).
    pub is_old: bool,
    /// The path below which tables lie, from the root of the host, with a slash at its end.
    pub base: &'a str,
}

/// Where a record is found if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// An address that reads it, alone or in a list.
    pub target: String,
    /// A property and the value that it has there; for a record that is read by its identifier there is none.
    pub key: Option<(String, Wire)>,
}

/// What is sent for one record.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place in the batch.
    pub at: usize,
    /// Its identifier, where it is known beforehand.
    pub id: Option<String>,
    /// The request.
    pub part: Part,
    /// Where to look for it when the answer is lost; nowhere for a create without identifier or key of its own.
    pub look: Option<Look>,
}

/// The records of a batch that can be said on the wire, and rejects for the others.
#[derive(Debug)]
pub(crate) struct Rows {
    /// How its records are found.
    pub form: Form,
    /// A create with identifiers that were made up here: one that is there already was made by an earlier try.
    pub ids_are_ours: bool,
    /// Name of the table in addresses.
    pub set: String,
    /// The column that identifies records.
    pub primary_id: String,
    /// The rows, in the batch's order.
    pub rows: Vec<Row>,
    /// Records that cannot be written, by their places in the batch.
    pub rejects: Vec<(usize, Reject)>,
}

impl Rows {
    /// Sending a row twice leaves the same as sending it once.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.form != Form::Create || self.ids_are_ours
    }
}

/// The batch's columns, looked up once.
pub(crate) struct Columns<'a> {
    form: Form,
    ids_are_ours: bool,
    columns: Vec<Column<'a>>,
    /// The place of the column by whose value records are found, where it is not the batch's own key.
    key_column: Option<usize>,
    /// The key's property and column, where records are found by an alternate key.
    key: Option<(String, WriteField)>,
    /// Place of the identifier among the columns of a create.
    id_column: Option<usize>,
    /// Place of the journal key among them, with the property that holds it.
    journal: Option<(usize, String, WriteField)>,
}

impl<'a> Columns<'a> {
    /// The columns of `batch`.
    ///
    /// # Errors
    /// For a column that stands for nothing by itself.
    pub(crate) fn new(batch: &WriteBatch, entity: &'a Entity) -> Result<Self> {
        let Plan {
            form,
            ids_are_ours,
            key_field,
            key_column,
            id_column,
            journal,
        } = Plan::of(batch, entity);
        let columns = match form {
            Form::Delete => Vec::new(),
            _ => columns(batch, entity, id_column, key_column)?,
        };
        Ok(Self {
            form,
            ids_are_ours,
            columns,
            key_column,
            key: key_field.map(|field| (key_property(entity, &field.name), typed(field, entity))),
            id_column: id_column.filter(|_| form == Form::Create),
            journal: journal.map(|at| {
                let field = typed(batch.fields[at].clone(), entity);
                (at, key_property(entity, &field.name), field)
            }),
        })
    }

    /// Identifiers of lookups that may be of several tables and do not say of which, with each of those tables.
    pub(crate) fn unsaid(&self, records: &[WriteRecord]) -> HashSet<(String, String)> {
        let mut wanted = HashSet::new();
        for (at, column) in self.columns.iter().enumerate() {
            let Column::Lookup { lookup, target, .. } = column else {
                continue;
            };
            if lookup.only_target().is_some() {
                continue;
            }
            for record in records {
                let is_said = target.is_some_and(|at| record.values[at].is_some());
                let id = record.values[at].as_ref().and_then(Value::identifier);
                let id = id.and_then(|id| ids::canonical(id.trim()));
                if let Some(id) = id.filter(|_| !is_said) {
                    let tables = lookup.targets.iter();
                    wanted.extend(tables.map(|table| (id.clone(), table.clone())));
                }
            }
        }
        wanted
    }

    /// Some column is a lookup that is given a record.
    pub(crate) fn binds(&self, records: &[WriteRecord]) -> bool {
        self.columns.iter().enumerate().any(|(at, column)| {
            matches!(column, Column::Lookup { .. })
                && records.iter().any(|record| record.values[at].is_some())
        })
    }

    /// The rows of the batch.
    pub(crate) fn rows(&self, batch: &WriteBatch, around: &Surroundings<'_>) -> Rows {
        let mut rows = Rows {
            form: self.form,
            ids_are_ours: self.ids_are_ours,
            set: around.entity.set.clone(),
            primary_id: around.entity.primary_id.clone(),
            rows: Vec::with_capacity(batch.records.len()),
            rejects: Vec::new(),
        };
        for (at, record) in batch.records.iter().enumerate() {
            match self.row(batch, record, around) {
                Ok((id, part)) => rows.rows.push(Row {
                    look: self.look(record, id.as_deref(), around),
                    at,
                    id,
                    part,
                }),
                Err(reject) => rows.rejects.push((at, *reject)),
            }
        }
        rows
    }

    fn look(
        &self,
        record: &WriteRecord,
        id: Option<&str>,
        around: &Surroundings<'_>,
    ) -> Option<Look> {
        let Surroundings { entity, base, .. } = around;
        let (set, primary_id) = (&entity.set, &entity.primary_id);
        if let Some(id) = id {
            return Some(Look {
                target: format!("{base}{set}({id})?$select={primary_id}"),
                key: None,
            });
        }
        let (at, property, field) = self.journal.as_ref()?;
        let value = record.values[*at].as_ref();
        let wire = encode(field, value, around.zone, &[]).ok()?;
        let literal = key_literal(field, value, around.zone).ok()?;
        Some(Look {
            target: format!(
                "{base}{set}?$select={primary_id},{property}&$filter={property}%20eq%20{literal}"
            ),
            key: Some((property.clone(), wire)),
        })
    }

    fn row(
        &self,
        batch: &WriteBatch,
        record: &WriteRecord,
        around: &Surroundings<'_>,
    ) -> std::result::Result<(Option<String>, Part), Box<Reject>> {
        let entity = around.entity;
        let at_set = |rest: &str| format!("{}{}{rest}", around.base, entity.set);
        let by_id = || identifier(batch, record.key.as_ref());
        let (method, id, target, headers) = match (self.form, &self.key) {
            (Form::Create, _) => {
                let id = self
                    .id_column
                    .and_then(|at| record.values[at].as_ref())
                    .map(|value| identifier(batch, Some(value)))
                    .transpose()?;
                ("POST", id, at_set(""), Vec::new())
            }
            (Form::Delete, _) => {
                let id = by_id()?;
                (
                    "DELETE",
                    Some(id.clone()),
                    at_set(&format!("({id})")),
                    Vec::new(),
                )
            }
            // Without the condition a record that is not there would be made (7.2).
            (Form::Update, _) => {
                let id = by_id()?;
                let target = at_set(&format!("({id})"));
                ("PATCH", Some(id), target, vec![("If-Match", "*")])
            }
            // What comes back says whether the record is new, and its identifier.
            (Form::Upsert, key) => {
                let (id, key) = match key {
                    None => {
                        let id = by_id()?;
                        (Some(id.clone()), id)
                    }
                    Some((property, field)) => {
                        let value = match self.key_column {
                            Some(at) => record.values[at].as_ref(),
                            None => record.key.as_ref(),
                        };
                        let literal = key_literal(field, value, around.zone)?;
                        (None, format!("{property}={literal}"))
                    }
                };
                let target = at_set(&format!("({key})?$select={}", entity.primary_id));
                (
                    "PATCH",
                    id,
                    target,
                    vec![("Prefer", "return=representation")],
                )
            }
        };
        let body = match self.form {
            Form::Delete => None,
            _ => Some(self.body(record, id.as_deref(), around)?),
        };
        let part = Part {
            method,
            target,
            headers,
            prefer: None,
            body,
        };
        Ok((id, part))
    }

    fn body(
        &self,
        record: &WriteRecord,
        id: Option<&str>,
        around: &Surroundings<'_>,
    ) -> std::result::Result<String, Box<Reject>> {
        let mut json = String::from("{");
        let begin = |json: &mut String, name: &str| {
            if json.len() > 1 {
                json.push(',');
            }
            json::push_text(name, json);
            json.push(':');
        };
        if let (Form::Create, Some(id)) = (self.form, id) {
            begin(&mut json, &around.entity.primary_id);
            json::push_text(id, &mut json);
        }
        for (column, value) in self.columns.iter().zip(&record.values) {
            match column {
                Column::Silent => {}
                Column::Plain { field, choices } => {
                    let wire = encode(field, value.as_ref(), around.zone, choices)?;
                    begin(&mut json, &field.name);
                    wire.push_json(&mut json);
                }
                Column::Lookup {
                    field,
                    lookup,
                    target,
                } => {
                    let target = target.and_then(|at| record.values[at].as_ref());
                    let bound = bound(field, lookup, value.as_ref(), target, around)?;
                    match bound {
                        Some((property, address)) => {
                            begin(&mut json, &format!("{property}@odata.bind"));
                            json::push_text(&address, &mut json);
                        }
                        // A new record has nothing to let go of.
                        None if self.form == Form::Create => {}
                        None => {
                            if let Some(property) = lookup.any_property() {
                                let suffix = match around.is_old {
                                    true => "",
                                    false => "@odata.bind",
                                };
                                begin(&mut json, &format!("{property}{suffix}"));
                                json.push_str("null");
                            }
                        }
                    }
                }
            }
        }
        json.push('}');
        Ok(json)
    }
}

pub(crate) fn identifier(
    batch: &WriteBatch,
    key: Option<&Value>,
) -> std::result::Result<String, Box<Reject>> {
    let text = key.and_then(Value::identifier).unwrap_or_default();
    ids::canonical(text.trim()).ok_or_else(|| {
        let message = format!("\"{}\" is no identifier", shortened(&text));
        let reject = ours(&DOES_NOT_EXIST, ErrorKind::RecordUnknown, message);
        Box::new(reject.of_field(&batch.identifier))
    })
}

fn key_literal(
    field: &WriteField,
    value: Option<&Value>,
    zone: Zone,
) -> std::result::Result<String, Box<Reject>> {
    Ok(match encode(field, value, zone, &[])? {
        Wire::Null => {
            let message = format!("the key '{}' is not given", field.name);
            let reject = ours(&INVALID_ARGUMENT, ErrorKind::RequiredField, message);
            return Err(Box::new(reject.of_field(&field.name)));
        }
        Wire::Text(text) => {
            let doubled = text.replace('\'', "''");
            format!("'{}'", utf8_percent_encode(&doubled, IN_KEY))
        }
        Wire::Bool(value) => value.to_string(),
        Wire::Number(text)
        | Wire::Guid(text)
        | Wire::Date(text)
        | Wire::Moment(text)
        | Wire::Choice(text) => utf8_percent_encode(&text, IN_KEY).to_string(),
        Wire::Choices(numbers) => format!("'{}'", numbers.join(",")),
    })
}

/// The property and the address that bind a lookup; nothing where it is emptied.
fn bound(
    field: &WriteField,
    lookup: &Lookup,
    value: Option<&Value>,
    target: Option<&Value>,
    around: &Surroundings<'_>,
) -> std::result::Result<Option<(String, String)>, Box<Reject>> {
    let Wire::Guid(id) = encode(field, value, around.zone, &[])? else {
        return Ok(None);
    };
    let refused =
        |code, kind, message: String| Box::new(ours(code, kind, message).of_field(&field.name));
    let said = match target {
        Some(Value::Text(table)) if !table.is_empty() => Some(table.trim().to_ascii_lowercase()),
        _ => lookup.only_target().map(str::to_owned),
    };
    let table = match said {
        Some(table) => table,
        None => {
            let is_there = |table: &&String| around.found.contains(&(id.clone(), (*table).clone()));
            let found = lookup.targets.iter().find(is_there).cloned();
            found.ok_or_else(|| {
                let tables = lookup.targets.join(", ");
                let message = format!("'{}': {id} is in none of {tables}", field.name);
                refused(&DOES_NOT_EXIST, ErrorKind::LookupMissing, message)
            })?
        }
    };
    let property = lookup.property(&table);
    let address = around.addresses.get(&table);
    match (property, address) {
        (Some(property), Some(address)) if lookup.targets.contains(&table) => {
            let address = format!("/{}({id})", address.set);
            Ok(Some((property.to_owned(), address)))
        }
        _ => {
            let message = format!(
                "'{}' does not lead to records of \"{}\"",
                field.name,
                shortened(&table)
            );
            Err(refused(&PAYLOAD, ErrorKind::ValidationRule, message))
        }
    }
}

#[cfg(test)]
mod tests;
