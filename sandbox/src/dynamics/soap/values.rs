//! Rows as the `Entity` of the contract, and the attributes of one read back (section 13.2 of the protocol
//! page).

use std::fmt::Write as _;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use serde_json::json;
use uuid::Uuid;

use super::contract::{CONTRACTS, Data, SERIALIZATION, XSD};
use crate::dynamics::errors::Refusal;
use crate::dynamics::fetch::{Link, column};
use crate::dynamics::filter::{self, Path};
use crate::dynamics::model::{Attribute, Behavior, Entity, Kind};
use crate::dynamics::names::{self, Name};
use crate::dynamics::store::{RowRef, Store};
use crate::dynamics::typed;
use crate::dynamics::value::{Val, formatted, moment, rounded};
use crate::xml::escape;

const MULTI: &str = "http://schemas.microsoft.com/xrm/9.0/Contracts";
/// Declarations that every answer with rows begins with.
pub const SPACES: &str = "xmlns:b=\"http://schemas.microsoft.com/xrm/2011/Contracts\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:c=\"http://schemas.datacontract.org/2004/07/System.Collections.Generic\" xmlns:x=\"http://www.w3.org/2001/XMLSchema\" xmlns:g=\"http://schemas.microsoft.com/2003/10/Serialization/\"";

/// The members of an `Entity`, for one row. Nulls are left out.
pub fn entity(
    out: &mut String,
    store: &Store,
    table: usize,
    row: RowRef<'_>,
    columns: &[usize],
    links: &[Link],
) {
    let rows = &store.tables[table];
    let mut shown = String::new();
    out.push_str("<b:Attributes>");
    for at in columns {
        let value = rows.get(row, *at);
        let attribute = &rows.entity.attributes[*at];
        if value == Val::Null {
            continue;
        }
        // Writing to a text does not fail.
        let _ = write!(
            out,
            "<b:KeyValuePairOfstringanyType><c:key>{}</c:key>",
            attribute.name
        );
        typed_value(out, "c:value", store, attribute, &value);
        out.push_str("</b:KeyValuePairOfstringanyType>");
        if let Some(text) = label(store, attribute, &value) {
            pair(&mut shown, &attribute.name, &text);
        }
    }
    for link in links {
        let entity = link
            .steps
            .last()
            .map_or(rows.entity, |(_, at)| store.tables[*at].entity);
        for at in &link.columns {
            let attribute = &entity.attributes[*at];
            let path = Path {
                steps: link.steps.clone(),
                column: *at,
                attribute,
            };
            let value = filter::follow(store, table, row, &path);
            if value == Val::Null {
                continue;
            }
            let name = format!("{}.{}", link.alias, attribute.name);
            let _ = write!(
                out,
                "<b:KeyValuePairOfstringanyType><c:key>{}</c:key><c:value i:type=\"b:AliasedValue\"><b:AttributeLogicalName>{}</b:AttributeLogicalName><b:EntityLogicalName>{}</b:EntityLogicalName>",
                escape(&name),
                attribute.name,
                entity.name
            );
            typed_value(out, "b:Value", store, attribute, &value);
            out.push_str("</c:value></b:KeyValuePairOfstringanyType>");
            if let Some(text) = label(store, attribute, &value) {
                pair(&mut shown, &name, &text);
            }
        }
    }
    let _ = write!(
        out,
        "</b:Attributes><b:EntityState i:nil=\"true\"/><b:FormattedValues>{shown}</b:FormattedValues><b:Id>{}</b:Id><b:KeyAttributes xmlns:k=\"http://schemas.microsoft.com/xrm/7.1/Contracts\"/><b:LogicalName>{}</b:LogicalName><b:RelatedEntities/><b:RowVersion>{}</b:RowVersion>",
        rows.id(row),
        rows.entity.name,
        rows.version(row)
    );
}

fn pair(out: &mut String, name: &str, text: &str) {
    let _ = write!(
        out,
        "<b:KeyValuePairOfstringstring><c:key>{}</c:key><c:value>{}</c:value></b:KeyValuePairOfstringstring>",
        escape(name),
        escape(text)
    );
}

fn label(store: &Store, attribute: &Attribute, value: &Val) -> Option<String> {
    match value {
        Val::Row(id, table) => store.title(*table, *id),
        other => formatted(other, attribute),
    }
}

/// An element with a value and its type.
fn typed_value(out: &mut String, tag: &str, store: &Store, attribute: &Attribute, value: &Val) {
    let (kind, text) = match value {
        Val::Null => {
            let _ = write!(out, "<{tag} i:nil=\"true\"/>");
            return;
        }
        Val::Bool(yes) => ("x:boolean", yes.to_string()),
        Val::Int(number) if attribute.kind.is_choice() => {
            ("b:OptionSetValue", format!("<b:Value>{number}</b:Value>"))
        }
        Val::Int(number) if attribute.kind == Kind::BigInt => ("x:long", number.to_string()),
        Val::Int(number) => ("x:int", number.to_string()),
        Val::Number(number) => {
            let text = rounded(number, attribute.scale()).to_plain_string();
            match attribute.kind {
                Kind::Money => ("b:Money", format!("<b:Value>{text}</b:Value>")),
                Kind::Double => (
                    "x:double",
                    rounded(number, attribute.scale())
                        .normalized()
                        .to_plain_string(),
                ),
                _ => ("x:decimal", text),
            }
        }
        Val::Text(text) => ("x:string", escape(text).into_owned()),
        Val::Guid(id) => ("g:guid", id.to_string()),
        Val::Time(at) => ("x:dateTime", moment(*at)),
        Val::Date(day) => ("x:dateTime", format!("{day}T00:00:00Z")),
        Val::Row(id, table) => {
            let name = match store.title(*table, *id) {
                Some(title) => format!("<b:Name>{}</b:Name>", escape(&title)),
                None => "<b:Name i:nil=\"true\"/>".to_owned(),
            };
            (
                "b:EntityReference",
                format!(
                    "<b:Id>{id}</b:Id><b:KeyAttributes xmlns:k=\"http://schemas.microsoft.com/xrm/7.1/Contracts\"/><b:LogicalName>{}</b:LogicalName>{name}<b:RowVersion i:nil=\"true\"/>",
                    store.schema.entities[*table].name
                ),
            )
        }
        Val::Many(values) => {
            let _ = write!(
                out,
                "<{tag} i:type=\"m:OptionSetValueCollection\" xmlns:m=\"{MULTI}\">"
            );
            for value in values {
                let _ = write!(
                    out,
                    "<m:OptionSetValue><b:Value>{value}</b:Value></m:OptionSetValue>"
                );
            }
            let _ = write!(out, "</{tag}>");
            return;
        }
    };
    let _ = write!(out, "<{tag} i:type=\"{kind}\">{text}</{tag}>");
}

/// The columns of a `ColumnSet`.
///
/// # Errors
/// `0x80041103` for an unknown one.
pub fn column_set(entity: &Entity, set: Option<&Data>) -> Result<Vec<usize>, Refusal> {
    let key = entity.column(&entity.key);
    let Some(set) = set else {
        return Ok(key.into_iter().collect());
    };
    if matches!(set.text_of("AllColumns"), Some("true" | "1")) {
        return Ok((0..entity.attributes.len())
            .filter(|at| entity.attributes[*at].is_property())
            .collect());
    }
    let mut out = set
        .get("Columns")
        .map_or(&[][..], |list| list.children.as_slice())
        .iter()
        .map(|name| column(entity, &name.text))
        .collect::<Result<Vec<_>, _>>()?;
    out.extend(key.filter(|key| !out.contains(key)));
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

/// The table, the identifier and the values of an `Entity` that is to be written.
pub struct Written {
    pub table: usize,
    pub id: Option<Uuid>,
    /// The values of an alternate key.
    pub key: Vec<(usize, Val)>,
    pub values: Vec<(usize, Val)>,
}

/// Reads an `Entity` that is to be written; what only the server writes is passed over.
///
/// # Errors
/// `0x80040203` where something is missing or has a type the column does not take, `0x80041103` for an unknown column.
pub fn written(store: &Store, data: &Data, creating: bool) -> Result<Written, Refusal> {
    let name = data.text_of("LogicalName").ok_or_else(|| {
        Refusal::new(400, "0x80040203", "Required field 'LogicalName' is missing")
    })?;
    let (table, entity) = known_table(store, name)?;
    let id = data
        .text_of("Id")
        .and_then(|text| Uuid::parse_str(text.trim()).ok())
        .filter(|id| !id.is_nil());
    let mut values = pairs(store, entity, data.get("Attributes"))?;
    values.retain(|(at, _)| {
        let attribute = &entity.attributes[*at];
        !attribute.read_only && (creating || !attribute.is_id)
    });
    Ok(Written {
        table,
        id,
        key: pairs(store, entity, data.get("KeyAttributes"))?,
        values,
    })
}

/// A table by its logical name.
///
/// # Errors
/// `0x80041102` for an unknown one.
pub fn known_table(store: &Store, name: &str) -> Result<(usize, &'static Entity), Refusal> {
    store.schema.entity(name).ok_or_else(|| {
        Refusal::new(
            400,
            "0x80041102",
            format!("The entity with a name = '{name}' was not found in the MetadataCache."),
        )
    })
}

fn pairs(
    store: &Store,
    entity: &Entity,
    list: Option<&Data>,
) -> Result<Vec<(usize, Val)>, Refusal> {
    let Some(list) = list else {
        return Ok(Vec::new());
    };
    list.children
        .iter()
        .map(|pair| {
            let name = pair.text_of("key").unwrap_or_default();
            let at = column(entity, name)?;
            let value = match pair.get("value") {
                None => Val::Null,
                Some(data) => value(store, entity, &entity.attributes[at], data)?,
            };
            Ok((at, value))
        })
        .collect()
}

fn mistyped(attribute: &Attribute, data: &Data) -> Refusal {
    Refusal::new(
        400,
        "0x80040203",
        format!(
            "Incorrect attribute value type {} for the attribute '{}' of the type {:?}.",
            data.kind.1, attribute.name, attribute.kind
        ),
    )
}

fn value(
    store: &Store,
    entity: &Entity,
    attribute: &Attribute,
    data: &Data,
) -> Result<Val, Refusal> {
    let bad = || mistyped(attribute, data);
    let kind = (data.kind.0.as_str(), data.kind.1.as_str());
    let text = data.text.trim();
    let inner = || data.text_of("Value").map(str::trim).ok_or_else(bad);
    match (attribute.kind, kind) {
        (Kind::String | Kind::Memo | Kind::EntityName | Kind::Image, (XSD, "string")) => {
            typed::read(entity, attribute, &json!(data.text))
        }
        (Kind::Integer, (XSD, "int")) | (Kind::BigInt, (XSD, "long")) => {
            let number: i64 = text.parse().map_err(|_| bad())?;
            typed::read(entity, attribute, &json!(number))
        }
        (Kind::Boolean, (XSD, "boolean")) => Ok(Val::Bool(matches!(text, "true" | "1"))),
        (Kind::Decimal, (XSD, "decimal")) | (Kind::Double, (XSD, "double")) => {
            let number = BigDecimal::from_str(text).map_err(|_| bad())?;
            typed::number(entity, attribute, &number)
        }
        (Kind::Money, (CONTRACTS, "Money")) => {
            let number = BigDecimal::from_str(inner()?).map_err(|_| bad())?;
            typed::number(entity, attribute, &number)
        }
        (Kind::DateTime, (XSD, "dateTime")) => {
            let text = match attribute.behavior {
                Behavior::DateOnly => text.get(..10).ok_or_else(bad)?,
                _ => text,
            };
            typed::read(entity, attribute, &json!(text))
        }
        (Kind::Picklist | Kind::State | Kind::Status, (CONTRACTS, "OptionSetValue")) => {
            let number: i64 = inner()?.parse().map_err(|_| bad())?;
            typed::read(entity, attribute, &json!(number))
        }
        (Kind::MultiSelectPicklist, (MULTI, "OptionSetValueCollection")) => {
            let values: Vec<&str> = data
                .children
                .iter()
                .filter_map(|one| one.text_of("Value").map(str::trim))
                .collect();
            typed::read(entity, attribute, &json!(values.join(",")))
        }
        (Kind::Uniqueidentifier | Kind::File, (SERIALIZATION, "guid")) => {
            typed::read(entity, attribute, &json!(text))
        }
        (kind, (CONTRACTS, "EntityReference")) if kind.is_reference() => {
            let (table, id) = reference(store, data)?;
            let target = &store.schema.entities[table].name;
            match attribute.targets.contains(target) {
                true => Ok(Val::Row(id, table)),
                false => Err(Refusal::new(
                    400,
                    "0x80040203",
                    format!(
                        "The entity '{target}' is no target of the attribute '{}'.",
                        attribute.name
                    ),
                )),
            }
        }
        _ => Err(bad()),
    }
}

/// The row an `EntityReference` stands for; it must be there.
///
/// # Errors
/// `0x80040217` where it is not, `0x80041102` for an unknown table.
pub fn reference(store: &Store, data: &Data) -> Result<(usize, Uuid), Refusal> {
    let name = data.text_of("LogicalName").unwrap_or_default();
    let (table, entity) = known_table(store, name)?;
    let id = data
        .text_of("Id")
        .and_then(|text| Uuid::parse_str(text.trim()).ok())
        .filter(|id| !id.is_nil());
    let wanted = match id {
        Some(id) => Name::Id(id),
        None => Name::Key(pairs(store, entity, data.get("KeyAttributes"))?),
    };
    match (names::find(store, table, &wanted), wanted) {
        (Some(id), _) => Ok((table, id)),
        (None, Name::Id(id)) => Err(Refusal::missing(&entity.name, &id.to_string())),
        (None, Name::Key(_)) => Err(names::unknown_key()),
    }
}

/// A pair of a collection of results.
pub fn result(key: &str, kind: &str, content: &str) -> String {
    format!(
        "<b:KeyValuePairOfstringanyType><c:key>{key}</c:key><c:value i:type=\"{kind}\">{content}</c:value></b:KeyValuePairOfstringanyType>"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_prefixes_are_those_of_the_contract() {
        for space in [super::CONTRACTS, super::XSD, super::SERIALIZATION] {
            assert!(super::SPACES.contains(&format!("=\"{space}\"")), "{space}");
        }
    }
}
