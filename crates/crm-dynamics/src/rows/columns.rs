//! The columns of a batch: what each is in the CRM, and which is said with another.

use crate::describe::Entity;
use crate::navigation::Lookup;
use crate::types::{Kind, TARGET_SUFFIX};
use crm_core::{EnumerationValue, Error, ErrorKind, Result, WriteBatch, WriteField};

/// One column of a batch.
pub(crate) enum Column<'a> {
    /// A property.
    Plain {
        field: WriteField,
        choices: &'a [EnumerationValue],
    },
    /// A lookup, and the place of the column that says its table.
    Lookup {
        field: WriteField,
        lookup: Lookup,
        target: Option<usize>,
    },
    /// Said with another column.
    Silent,
}

/// The columns of a batch, of which those that say its records' identifier and key are said elsewhere.
///
/// # Errors
/// For a column that stands for nothing by itself.
pub(crate) fn columns<'a>(
    batch: &WriteBatch,
    entity: &'a Entity,
    id_column: Option<usize>,
    key_column: Option<usize>,
) -> Result<Vec<Column<'a>>> {
    let mut columns = Vec::with_capacity(batch.fields.len());
    for (at, field) in batch.fields.iter().enumerate() {
        // Where records are found by it, the address says it; a create says its identifier first.
        if Some(at) == key_column || Some(at) == id_column {
            columns.push(Column::Silent);
            continue;
        }
        if let Some(base) = field.name.strip_suffix(TARGET_SUFFIX) {
            let is_lookup = |known: &WriteField| known.name.eq_ignore_ascii_case(base);
            if !batch.fields.iter().any(is_lookup) {
                return Err(Error::new(
                    ErrorKind::FieldUnknown,
                    format!(
                        "field \"{}\" cannot be written without field \"{base}\"",
                        field.name
                    ),
                )
                .with_hint("The type of a lookup is written together with the lookup itself."));
            }
            columns.push(Column::Silent);
            continue;
        }
        let field = typed(field.clone(), entity);
        let kind = Kind::of(&field.remote_type);
        let lookup = match kind {
            Kind::Lookup | Kind::Unsaid => Lookup::of(entity, &field.name),
            _ => None,
        };
        columns.push(match (kind, lookup) {
            (_, Some(lookup)) => {
                let name = format!("{}{TARGET_SUFFIX}", field.name);
                let is_type = |known: &WriteField| known.name.eq_ignore_ascii_case(&name);
                Column::Lookup {
                    field: WriteField {
                        remote_type: "LookupType".into(),
                        ..field
                    },
                    lookup,
                    target: batch.fields.iter().position(is_type),
                }
            }
            (Kind::Lookup, None) => {
                return Err(Error::new(
                    ErrorKind::NotSupported,
                    format!(
                        "field \"{}\" of object \"{}\" cannot be written: the CRM names no property for it",
                        field.name, batch.object
                    ),
                ));
            }
            (_, None) => Column::Plain {
                choices: choices_of(entity, &field.name),
                field,
            },
        });
    }
    Ok(columns)
}

/// The field with the type that the CRM tells, where the table does not.
pub(crate) fn typed(field: WriteField, entity: &Entity) -> WriteField {
    if !field.remote_type.is_empty() {
        return field;
    }
    let is_it = |known: &&crm_core::RemoteField| known.name.eq_ignore_ascii_case(&field.name);
    let told = entity.object.fields.iter().find(is_it);
    WriteField {
        remote_type: told.map_or_else(String::new, |told| told.remote_type.clone()),
        ..field
    }
}

pub(crate) fn choices_of<'a>(entity: &'a Entity, name: &str) -> &'a [EnumerationValue] {
    let is_it = |known: &&crm_core::RemoteField| known.name.eq_ignore_ascii_case(name);
    let found = entity.object.fields.iter().find(is_it);
    found.map_or(&[], |field| &field.values)
}

/// The property that names a key's column in an address.
pub(crate) fn key_property(entity: &Entity, name: &str) -> String {
    match Lookup::of(entity, name) {
        Some(lookup) => format!("_{}_value", lookup.attribute),
        None => name.to_owned(),
    }
}
