//! The records of a batch as requests, one for each (Dynamics page 13.2).

use super::envelope::{close_parameter, open_parameter, request_end};
use super::multiple;
use crate::describe::Entity;
use crate::encode::{Wire, encode};
use crate::ids;
use crate::plan::{Form, Plan};
use crate::reject::{DOES_NOT_EXIST, INVALID_ARGUMENT, PAYLOAD, ours};
use crate::rows::{choices_of, identifier, typed};
use crate::types::{Kind, TARGET_SUFFIX};
use crm_core::{
    EnumerationValue, Error, ErrorKind, Reject, Result, Value, WriteBatch, WriteField, WriteRecord,
    Zone, shortened,
};
use crm_xml::Writer;
use std::collections::HashSet;

const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// What is sent for one record.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its place in the batch.
    pub at: usize,
    /// Its identifier, where it is known beforehand.
    pub id: Option<String>,
    /// The value of the journal key, by which a created record is looked for.
    pub key: Option<Wire>,
    /// The request, whole.
    pub request: String,
}

/// The requests of a batch, and rejects for records of which none can be made.
#[derive(Debug)]
pub(crate) struct Rows {
    /// How records are found.
    pub plan: Plan,
    /// The requests, in the batch's order.
    pub rows: Vec<Row>,
    /// Records that cannot be written, by their places in the batch.
    pub rejects: Vec<(usize, Reject)>,
    /// Name and type of the journal key.
    pub journal: Option<WriteField>,
}

/// One column of a batch.
enum Column<'a> {
    Plain {
        field: WriteField,
        choices: &'a [EnumerationValue],
    },
    /// A lookup, the entities that it may lead to, and the place of the column that says to which.
    Lookup {
        field: WriteField,
        targets: &'a [String],
        target: Option<usize>,
    },
    /// Said with another column.
    Silent,
}

/// The batch's columns, looked up once.
pub(crate) struct Columns<'a> {
    entity: &'a Entity,
    plan: Plan,
    columns: Vec<Column<'a>>,
    key_field: Option<WriteField>,
    journal: Option<(usize, WriteField)>,
}

impl<'a> Columns<'a> {
    /// The columns of `batch`.
    ///
    /// # Errors
    /// For a column that stands for nothing by itself.
    pub(crate) fn new(batch: &WriteBatch, entity: &'a Entity) -> Result<Self> {
        let plan = Plan::of(batch, entity);
        let mut columns = Vec::with_capacity(batch.fields.len());
        let fields = batch.fields.iter().enumerate();
        for (at, field) in fields.filter(|_| plan.form != Form::Delete) {
            // Where records are found by it, the request says it in another place.
            if Some(at) == plan.key_column || Some(at) == plan.id_column {
                columns.push(Column::Silent);
                continue;
            }
            columns.push(column(batch, entity, field)?);
        }
        Ok(Self {
            key_field: plan.key_field.clone().map(|field| typed(field, entity)),
            journal: plan
                .journal
                .map(|at| (at, typed(batch.fields[at].clone(), entity))),
            entity,
            plan,
            columns,
        })
    }

    /// Identifiers of lookups that may be of several entities and do not say of which, with each of those entities.
    pub(crate) fn unsaid(&self, records: &[WriteRecord]) -> HashSet<(String, String)> {
        let mut wanted = HashSet::new();
        for (at, column) in self.columns.iter().enumerate() {
            let Column::Lookup {
                targets, target, ..
            } = column
            else {
                continue;
            };
            if targets.len() < 2 {
                continue;
            }
            for record in records {
                let is_said = target.is_some_and(|at| record.values[at].is_some());
                let id = record.values[at].as_ref().and_then(Value::identifier);
                let id = id.and_then(|id| ids::canonical(id.trim()));
                if let Some(id) = id.filter(|_| !is_said) {
                    wanted.extend(targets.iter().map(|target| (id.clone(), target.clone())));
                }
            }
        }
        wanted
    }

    /// The requests of the batch. `found` says of which entity records are, where the batch does not.
    pub(crate) fn rows(
        self,
        batch: &WriteBatch,
        found: &HashSet<(String, String)>,
        zone: Zone,
    ) -> Rows {
        let mut rows = Vec::with_capacity(batch.records.len());
        let mut rejects = Vec::new();
        for (at, record) in batch.records.iter().enumerate() {
            match self.request(batch, record, found, zone) {
                Ok((id, request)) => rows.push(Row {
                    at,
                    id,
                    key: self.journal.as_ref().and_then(|(at, field)| {
                        encode(field, record.values[*at].as_ref(), zone, &[]).ok()
                    }),
                    request,
                }),
                Err(reject) => rejects.push((at, *reject)),
            }
        }
        Rows {
            journal: self.journal.map(|(_, field)| field),
            plan: self.plan,
            rows,
            rejects,
        }
    }

    fn request(
        &self,
        batch: &WriteBatch,
        record: &WriteRecord,
        found: &HashSet<(String, String)>,
        zone: Zone,
    ) -> std::result::Result<(Option<String>, String), Box<Reject>> {
        let by_id = || identifier(batch, record.key.as_ref());
        let id = match (self.plan.form, &self.key_field) {
            (Form::Create, _) => {
                let told = self
                    .plan
                    .id_column
                    .and_then(|at| record.values[at].as_ref());
                told.map(|value| identifier(batch, Some(value)))
                    .transpose()?
            }
            (Form::Upsert, Some(_)) => None,
            (Form::Update | Form::Upsert | Form::Delete, _) => Some(by_id()?),
        };
        let mut writer = Writer::new();
        let entity = &self.entity.object.summary.name;
        match self.plan.form {
            Form::Delete => {
                multiple::open_request(&mut writer, "b:DeleteRequest");
                open_parameter(&mut writer, "Target", "b:EntityReference");
                reference(&mut writer, id.as_deref().unwrap_or(NO_ID), entity);
                close_parameter(&mut writer);
                request_end(&mut writer, "Delete");
            }
            form => {
                let (request_type, name) = match form {
                    Form::Create => ("b:CreateRequest", "Create"),
                    Form::Update => ("b:UpdateRequest", "Update"),
                    _ => ("b:UpsertRequest", "Upsert"),
                };
                multiple::open_request(&mut writer, request_type);
                open_parameter(&mut writer, "Target", "b:Entity");
                self.target(&mut writer, record, id.as_deref(), found, zone)?;
                close_parameter(&mut writer);
                request_end(&mut writer, name);
            }
        }
        let request = writer.finish().map_err(|error| {
            Box::new(ours(
                &INVALID_ARGUMENT,
                ErrorKind::ValidationRule,
                error.message(),
            ))
        })?;
        Ok((id, request))
    }

    /// The record, its elements in the order that the service wants (13.1).
    fn target(
        &self,
        writer: &mut Writer,
        record: &WriteRecord,
        id: Option<&str>,
        found: &HashSet<(String, String)>,
        zone: Zone,
    ) -> std::result::Result<(), Box<Reject>> {
        writer.open("b:Attributes", &[]);
        for (column, value) in self.columns.iter().zip(&record.values) {
            match column {
                Column::Silent => {}
                Column::Plain { field, choices } => {
                    let wire = encode(field, value.as_ref(), zone, choices)?;
                    pair(writer, &field.name, |writer| {
                        typed_value(writer, field, &wire)
                    });
                }
                Column::Lookup {
                    field,
                    targets,
                    target,
                } => {
                    let said = target.and_then(|at| record.values[at].as_ref());
                    match encode(field, value.as_ref(), zone, &[])? {
                        Wire::Guid(id) => {
                            let entity = entity_of(field, targets, said, &id, found)?;
                            pair(writer, &field.name, |writer| {
                                writer.open("c:value", &[("i:type", "b:EntityReference")]);
                                reference(writer, &id, &entity);
                                writer.close();
                            });
                        }
                        // A new record has nothing to let go of.
                        _ if self.plan.form == Form::Create => {}
                        _ => pair(writer, &field.name, null),
                    }
                }
            }
        }
        writer.close();
        writer.leaf("b:EntityState", &[("i:nil", "true")], "");
        writer.leaf("b:FormattedValues", &[], "");
        writer.leaf("b:Id", &[], id.unwrap_or(NO_ID));
        if let Some(field) = &self.key_field {
            let value = match self.plan.key_column {
                Some(at) => record.values[at].as_ref(),
                None => record.key.as_ref(),
            };
            let wire = encode(field, value, zone, &[])?;
            if wire == Wire::Null {
                let message = format!("the key '{}' is not given", field.name);
                let reject = ours(&INVALID_ARGUMENT, ErrorKind::RequiredField, message);
                return Err(Box::new(reject.of_field(&field.name)));
            }
            writer.open("b:KeyAttributes", &[]);
            key_pair(writer, &field.name, |writer| {
                typed_value(writer, field, &wire)
            });
            writer.close();
        }
        writer.leaf("b:LogicalName", &[], &self.entity.object.summary.name);
        writer.leaf("b:RelatedEntities", &[], "");
        Ok(())
    }
}

fn column<'a>(batch: &WriteBatch, entity: &'a Entity, field: &WriteField) -> Result<Column<'a>> {
    if let Some(base) = field.name.strip_suffix(TARGET_SUFFIX) {
        let is_lookup = |known: &WriteField| known.name.eq_ignore_ascii_case(base);
        if batch.fields.iter().any(is_lookup) {
            return Ok(Column::Silent);
        }
        return Err(Error::new(
            ErrorKind::FieldUnknown,
            format!(
                "field \"{}\" cannot be written without field \"{base}\"",
                field.name
            ),
        )
        .with_hint("The type of a lookup is written together with the lookup itself."));
    }
    let field = typed(field.clone(), entity);
    if Kind::of(&field.remote_type) != Kind::Lookup {
        return Ok(Column::Plain {
            choices: choices_of(entity, &field.name),
            field,
        });
    }
    let name = format!("{}{TARGET_SUFFIX}", field.name);
    let is_type = |known: &WriteField| known.name.eq_ignore_ascii_case(&name);
    let mut known = entity.object.fields.iter();
    let known = known.find(|known| known.name.eq_ignore_ascii_case(&field.name));
    Ok(Column::Lookup {
        targets: known.map_or(&[], |known| &known.references),
        target: batch.fields.iter().position(is_type),
        field,
    })
}

/// The entity that a lookup leads to: said beside it, the only one there is, or the one in which the record was found.
fn entity_of(
    field: &WriteField,
    targets: &[String],
    said: Option<&Value>,
    id: &str,
    found: &HashSet<(String, String)>,
) -> std::result::Result<String, Box<Reject>> {
    let refused =
        |code, kind, message: String| Box::new(ours(code, kind, message).of_field(&field.name));
    if let Some(Value::Text(entity)) = said
        && !entity.trim().is_empty()
    {
        let entity = entity.trim().to_ascii_lowercase();
        if targets.is_empty() || targets.contains(&entity) {
            return Ok(entity);
        }
        let message = format!(
            "'{}' does not lead to records of \"{}\"",
            field.name,
            shortened(&entity)
        );
        return Err(refused(&PAYLOAD, ErrorKind::ValidationRule, message));
    }
    if let [only] = targets {
        return Ok(only.clone());
    }
    let is_there = |target: &&String| found.contains(&(id.to_owned(), (*target).clone()));
    targets.iter().find(is_there).cloned().ok_or_else(|| {
        let message = format!(
            "'{}': {id} is in none of {}",
            field.name,
            targets.join(", ")
        );
        refused(&DOES_NOT_EXIST, ErrorKind::LookupMissing, message)
    })
}

fn pair(writer: &mut Writer, name: &str, value: impl FnOnce(&mut Writer)) {
    writer.open("b:KeyValuePairOfstringanyType", &[]);
    writer.leaf("c:key", &[], name);
    value(writer);
    writer.close();
}

/// Alternate keys came later, and so did the space that their pairs are of.
fn key_pair(writer: &mut Writer, name: &str, value: impl FnOnce(&mut Writer)) {
    writer.open("k:KeyValuePairOfstringanyType", &[]);
    writer.leaf("c:key", &[], name);
    value(writer);
    writer.close();
}

fn null(writer: &mut Writer) {
    writer.leaf("c:value", &[("i:nil", "true")], "");
}

fn reference(writer: &mut Writer, id: &str, entity: &str) {
    writer.leaf("b:Id", &[], id);
    writer.leaf("b:LogicalName", &[], entity);
    writer.leaf("b:Name", &[("i:nil", "true")], "");
}

/// A value that is no reference, with the type that the attribute has (13.2).
fn typed_value(writer: &mut Writer, field: &WriteField, wire: &Wire) {
    let mut plain = |type_word: &str, text: &str| {
        writer.leaf("c:value", &[("i:type", type_word)], text);
    };
    match wire {
        Wire::Null => null(writer),
        Wire::Bool(value) => plain("x:boolean", if *value { "true" } else { "false" }),
        Wire::Number(digits) => match Kind::of(&field.remote_type) {
            Kind::BigInt => plain("x:long", digits),
            Kind::Decimal => plain("x:decimal", digits),
            Kind::Double => plain("x:double", digits),
            Kind::Money => wrapped(writer, "b:Money", digits),
            _ if digits.contains(['.', 'e', 'E']) => plain("x:decimal", digits),
            _ => plain("x:int", digits),
        },
        Wire::Text(text) => plain("x:string", text),
        Wire::Guid(id) => plain("g:guid", id),
        // Days travel as midnights (section 11).
        Wire::Date(day) if day.len() == 10 => plain("x:dateTime", &format!("{day}T00:00:00Z")),
        Wire::Date(moment) | Wire::Moment(moment) => plain("x:dateTime", moment),
        Wire::Choice(number) => wrapped(writer, "b:OptionSetValue", number),
        Wire::Choices(numbers) => {
            writer.open("c:value", &[("i:type", "o:OptionSetValueCollection")]);
            for number in numbers {
                writer.open("o:OptionSetValue", &[]);
                writer.leaf("b:Value", &[], number);
                writer.close();
            }
            writer.close();
        }
    }
}

fn wrapped(writer: &mut Writer, type_word: &str, number: &str) {
    writer.open("c:value", &[("i:type", type_word)]);
    writer.leaf("b:Value", &[], number);
    writer.close();
}

#[cfg(test)]
pub(crate) mod tests;
