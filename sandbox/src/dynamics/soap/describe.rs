//! Descriptions of tables and columns in the contract's form: the same descriptions as the Web API gives,
//! written member by member as the contract lists them.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::contract::{CONTRACTS, Contract, Name, contract};
use crate::dynamics::errors::Refusal;
use crate::dynamics::metadata::describe::{
    attribute, describe, has_options, keys, option_set, relationships,
};
use crate::dynamics::model::{Entity, Kind};
use crate::dynamics::store::{Store, Table};
use crate::xml::escape;

/// Which parts of a table are asked for.
#[derive(Debug, Clone, Copy)]
pub struct Filters {
    pub attributes: bool,
    pub relationships: bool,
}

impl Filters {
    /// Reads `EntityFilters`.
    pub fn of(text: &str) -> Self {
        let has = |word: &str| text.split_whitespace().any(|one| one == word);
        Self {
            attributes: has("Attributes"),
            relationships: has("Relationships"),
        }
    }
}

fn broken(message: String) -> Refusal {
    Refusal::new(500, "0x80040216", message)
}

fn metadata(name: &str) -> Result<(&'static Contract, &'static Name), Refusal> {
    let contract = contract().map_err(broken)?;
    let kind = contract
        .by_local_name(name)
        .ok_or_else(|| broken(format!("no type {name}")))?;
    Ok((contract, kind))
}

/// A table as `EntityMetadata`, under the element given with its attributes.
///
/// # Errors
/// The embedded schemas alone can be at fault.
pub fn entity(
    store: &Store,
    table: &Table,
    filters: Filters,
    tag: &str,
) -> Result<String, Refusal> {
    let (contract, kind) = metadata("EntityMetadata")?;
    let mut map = describe(table);
    if filters.attributes {
        let all: Vec<Value> = (0..table.entity.attributes.len())
            .map(|at| full_attribute(table.entity, at))
            .collect();
        map.insert("Attributes".to_owned(), json!(all));
    }
    if filters.relationships {
        map.insert(
            "ManyToOneRelationships".to_owned(),
            json!(relationships(store.schema, table.entity)),
        );
    }
    map.insert("Keys".to_owned(), json!(keys(table.entity)));
    Ok(element(contract, kind, &map, tag))
}

/// A column as the `AttributeMetadata` of its type.
///
/// # Errors
/// As [`entity`].
pub fn column(entity: &Entity, at: usize, tag: &str) -> Result<String, Refusal> {
    let value = full_attribute(entity, at);
    let map = value.as_object().cloned().unwrap_or_default();
    let name = attribute_type(entity.attributes[at].kind);
    let (contract, kind) = metadata(&name)?;
    Ok(element(contract, kind, &map, tag))
}

/// An option set that several columns share.
///
/// # Errors
/// As [`entity`].
pub fn global(entity: &Entity, at: usize, tag: &str) -> Result<String, Refusal> {
    let column = &entity.attributes[at];
    let name = match column.kind {
        Kind::Boolean => "BooleanOptionSetMetadata",
        _ => "OptionSetMetadata",
    };
    let (contract, kind) = metadata(name)?;
    let value = option_set(entity, column);
    let map = value.as_object().cloned().unwrap_or_default();
    Ok(element(contract, kind, &map, tag))
}

/// Name of the type a column is described by; those without one of their own have the general one.
fn attribute_type(kind: Kind) -> String {
    match kind {
        Kind::Uniqueidentifier => "UniqueIdentifierAttributeMetadata".to_owned(),
        Kind::Virtual | Kind::CalendarRules => "AttributeMetadata".to_owned(),
        other => other
            .metadata_type()
            .rsplit('.')
            .next()
            .unwrap_or_default()
            .to_owned(),
    }
}

fn full_attribute(entity: &Entity, at: usize) -> Value {
    let column = &entity.attributes[at];
    let mut map = attribute(entity, at, true);
    if has_options(column.kind) {
        map.insert("OptionSet".to_owned(), option_set(entity, column));
    }
    // Before the attribute's own kind is known the reader needs its type.
    map.insert("__type".to_owned(), json!(attribute_type(column.kind)));
    Value::Object(map)
}

/// An element of a type, with the type named in it.
fn element(contract: &Contract, kind: &Name, map: &Map<String, Value>, tag: &str) -> String {
    let mut out = String::new();
    // Writing to a text does not fail.
    let _ = write!(
        out,
        "<{tag} i:type=\"t:{}\" xmlns:t=\"{}\">",
        kind.1, kind.0
    );
    members(&mut out, contract, kind, map);
    let _ = write!(out, "</{tag}>");
    out
}

fn members(out: &mut String, contract: &Contract, kind: &Name, map: &Map<String, Value>) {
    for member in contract.members(kind) {
        let open = format!("{} xmlns=\"{}\"", member.name, member.namespace);
        let value = map.get(&member.name).unwrap_or(&Value::Null);
        one(
            out,
            contract,
            &member.kind,
            value,
            (&open, &member.name),
            member.nillable,
        );
    }
}

/// One member: `tag` is what opens it and what closes it.
fn one(
    out: &mut String,
    contract: &Contract,
    kind: &Name,
    value: &Value,
    tag: (&str, &str),
    nillable: bool,
) {
    let (open, close) = tag;
    let nil = |out: &mut String| {
        let _ = write!(out, "<{open} i:nil=\"true\"/>");
    };
    if !contract.is_complex(kind) {
        // Managed values stand bare in places where the contract has them bare.
        let value = value.get("Value").unwrap_or(value);
        let text = match value {
            Value::Null if nillable => return nil(out),
            Value::Null => match contract.first_word(kind).unwrap_or(&kind.1) {
                "boolean" => "false".to_owned(),
                "int" | "long" | "decimal" | "double" => "0".to_owned(),
                word => word.to_owned(),
            },
            Value::String(text) => escape(text).into_owned(),
            other => other.to_string(),
        };
        let _ = write!(out, "<{open}>{text}</{close}>");
        return;
    }
    match value {
        Value::Null => nil(out),
        Value::Array(items) => {
            let _ = write!(out, "<{open}>");
            if let [item] = contract.members(kind).as_slice() {
                for value in items {
                    let own = own_type(contract, &item.kind, value);
                    let open = match own == &item.kind {
                        true => format!("{} xmlns=\"{}\"", item.name, item.namespace),
                        false => format!(
                            "{} xmlns=\"{}\" i:type=\"t:{}\" xmlns:t=\"{}\"",
                            item.name, item.namespace, own.1, own.0
                        ),
                    };
                    one(out, contract, own, value, (&open, &item.name), true);
                }
            }
            let _ = write!(out, "</{close}>");
        }
        Value::Object(map) => {
            let _ = write!(out, "<{open}>");
            members(out, contract, kind, map);
            let _ = write!(out, "</{close}>");
        }
        // A managed value that the Web API has bare.
        bare => {
            let mut map = Map::new();
            map.insert("Value".to_owned(), bare.clone());
            map.insert("CanBeChanged".to_owned(), json!(false));
            let _ = write!(out, "<{open}>");
            members(out, contract, kind, &map);
            let _ = write!(out, "</{close}>");
        }
    }
}

/// The type of an item of a list, which may be another than the list is declared with.
fn own_type<'c>(contract: &'c Contract, declared: &'c Name, value: &Value) -> &'c Name {
    let name = match value.get("__type").and_then(Value::as_str) {
        Some(name) => name,
        None if value.get("DefaultStatus").is_some() => "StateOptionMetadata",
        None if value.get("State").is_some() && declared.1 == "OptionMetadata" => {
            "StatusOptionMetadata"
        }
        None => return declared,
    };
    contract.by_local_name(name).unwrap_or(declared)
}

/// The key of a request that names what is described: by logical name, or by its identifier.
///
/// # Errors
/// `0x80041102` for an unknown table.
pub fn named<'s>(store: &'s Store, name: Option<&str>) -> Result<&'s Table, Refusal> {
    let name = name.unwrap_or_default();
    store.table(name).ok_or_else(|| {
        Refusal::new(
            400,
            "0x80041102",
            format!("Could not find an entity with name {name} in {CONTRACTS}."),
        )
    })
}
