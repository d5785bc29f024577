//! `EntityDefinitions`, `Attributes` with and without a cast, option sets. Sections 3 and 4.

pub mod describe;

use serde_json::{Map, Value, json};

use self::describe::{
    attribute, describe, entity_id, has_options, keys, meta_id, option_set, relationships,
};
use super::errors::{Refusal, reply};
use super::model::{Entity, Schema};
use super::store::{Store, Table};
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// The options of a metadata request; `$select`, `$expand` and simple `$filter` alone act.
struct Wanted {
    select: Option<Vec<String>>,
    expand: Vec<(String, Option<Vec<String>>)>,
    filter: Option<String>,
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Refusal> {
        let list = |text: &str| -> Vec<String> {
            text.split(',').map(|name| name.trim().to_owned()).collect()
        };
        for (name, _) in &request.query {
            if matches!(name.as_str(), "$top" | "$skip" | "$count" | "$orderby") {
                return Err(Refusal::unsupported(format!(
                    "The query parameter {name} is not supported"
                )));
            }
        }
        let mut expand = Vec::new();
        let mut depth = 0;
        let mut part = String::new();
        let text = request.parameter("$expand").unwrap_or_default();
        for c in text.chars().chain([',']) {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                ',' if depth == 0 => {
                    let done = std::mem::take(&mut part);
                    let (name, options) = done.trim().split_once('(').unwrap_or((done.trim(), ""));
                    if !name.is_empty() {
                        let select = options
                            .trim_end_matches(')')
                            .split(';')
                            .find_map(|option| option.trim().strip_prefix("$select="))
                            .map(list);
                        expand.push((name.to_owned(), select));
                    }
                    continue;
                }
                _ => {}
            }
            part.push(c);
        }
        Ok(Self {
            select: request.parameter("$select").map(list),
            expand,
            filter: request.parameter("$filter").map(str::to_owned),
        })
    }
}

/// Keeps what was selected; an unknown name is refused.
fn pick(
    map: Map<String, Value>,
    select: Option<&[String]>,
    kind: &str,
) -> Result<Map<String, Value>, Refusal> {
    let Some(select) = select else {
        return Ok(map);
    };
    let mut out = Map::new();
    for (name, value) in &map {
        let always = name == "MetadataId" || name.starts_with('@');
        if always || select.contains(name) {
            out.insert(name.clone(), value.clone());
        }
    }
    match select.iter().find(|name| !map.contains_key(*name)) {
        Some(unknown) => Err(Refusal::property(kind, unknown)),
        None => Ok(out),
    }
}

/// `A eq 'x'`, joined by `and`: labels and anything else cannot be filtered here.
fn filtered(map: &Map<String, Value>, filter: &str, kind: &str) -> Result<bool, Refusal> {
    for part in filter.split(" and ") {
        let words: Vec<&str> = part.trim().splitn(3, ' ').collect();
        let [path, operator, literal] = words[..] else {
            return Err(Refusal::syntax("Syntax error in the expression."));
        };
        let mut steps = path.split('/');
        let mut value = steps.next().and_then(|name| map.get(name));
        for step in steps {
            value = value.and_then(|value| value.get(step));
        }
        let value = value.ok_or_else(|| Refusal::property(kind, path))?;
        let text = literal.rsplit_once('\'').map_or(literal, |(head, _)| {
            head.rsplit_once('\'').map_or(head, |(_, text)| text)
        });
        let same = match value {
            Value::String(own) => own == text,
            other => serde_json::from_str::<Value>(text).is_ok_and(|value| value == *other),
        };
        match (operator, same) {
            ("eq", true) | ("ne", false) => {}
            ("eq", false) | ("ne", true) => return Ok(false),
            _ => {
                return Err(Refusal::unsupported(format!(
                    "The operator '{operator}' is not supported."
                )));
            }
        }
    }
    Ok(true)
}

/// A table with the parts that were asked for.
fn expanded(schema: &Schema, table: &Table, wanted: &Wanted) -> Result<Value, Refusal> {
    let entity = table.entity;
    let mut out = pick(describe(table), wanted.select.as_deref(), "EntityMetadata")?;
    for (name, select) in &wanted.expand {
        let parts: Vec<Value> = match name.as_str() {
            "Attributes" => (0..entity.attributes.len())
                .map(|at| {
                    let map = attribute(entity, at, false);
                    pick(map, select.as_deref(), "AttributeMetadata").map(Value::Object)
                })
                .collect::<Result<_, _>>()?,
            "Keys" => keys(entity),
            "ManyToOneRelationships" => relationships(schema, entity),
            "OneToManyRelationships" | "ManyToManyRelationships" => Vec::new(),
            other => return Err(Refusal::property("EntityMetadata", other)),
        };
        let parts: Vec<Value> = match (name.as_str(), select) {
            ("Attributes", _) | (_, None) => parts,
            (_, Some(select)) => parts
                .into_iter()
                .map(|part| match part {
                    Value::Object(map) => {
                        pick(map, Some(select), "MetadataBase").map(Value::Object)
                    }
                    other => Ok(other),
                })
                .collect::<Result<_, _>>()?,
        };
        out.insert(name.clone(), json!(parts));
    }
    Ok(Value::Object(out))
}

/// The key in `Name(LogicalName='x')`, or the identifier in `Name(<guid>)`.
fn key<'a>(segment: &'a str, name: &str) -> Option<&'a str> {
    let inner = segment
        .strip_prefix(name)?
        .strip_prefix('(')?
        .strip_suffix(')')?;
    let inner = inner
        .strip_prefix("LogicalName=")
        .or_else(|| inner.strip_prefix("Name="))
        .unwrap_or(inner);
    Some(inner.trim_matches('\''))
}

fn attributes(
    entity: &'static Entity,
    rest: &[&str],
    context: &str,
    wanted: &Wanted,
) -> Result<Reply, Refusal> {
    let (one, rest) = match rest {
        [first, rest @ ..] if *first == "Attributes" => (None, rest),
        [first, rest @ ..] => (key(first, "Attributes"), rest),
        [] => return Err(Refusal::segment("Attributes")),
    };
    let cast = match rest {
        [] => None,
        [cast] => Some(*cast),
        [_, other, ..] => return Err(Refusal::segment(other)),
    };
    if let Some(cast) = cast {
        let known = entity_cast_exists(cast);
        if !known {
            return Err(Refusal::segment(cast));
        }
    }
    let mut out = Vec::new();
    for (at, column) in entity.attributes.iter().enumerate() {
        let same = one.is_none_or(|one| {
            one == column.name
                || one == meta_id(&format!("{}.{}", entity.name, column.name)).to_string()
        });
        if !same || cast.is_some_and(|cast| cast != column.kind.metadata_type()) {
            continue;
        }
        let full = attribute(entity, at, cast.is_some());
        if let Some(filter) = &wanted.filter
            && !filtered(&full, filter, "AttributeMetadata")?
        {
            continue;
        }
        let mut full = full;
        if cast.is_none() {
            // The base collection knows the common properties only, to select from.
            for name in TYPED {
                if wanted
                    .select
                    .as_ref()
                    .is_some_and(|list| list.iter().any(|n| n == name))
                {
                    return Err(Refusal::property("AttributeMetadata", name));
                }
            }
        }
        full = pick(full, wanted.select.as_deref(), "AttributeMetadata")?;
        for (name, _) in &wanted.expand {
            let value = match name.as_str() {
                "OptionSet" if has_options(column.kind) => option_set(entity, column),
                "GlobalOptionSet" if has_options(column.kind) => match column.global {
                    Some(_) => option_set(entity, column),
                    None => Value::Null,
                },
                other => return Err(Refusal::property(&column.kind.metadata_type(), other)),
            };
            full.insert(name.clone(), value);
        }
        out.push(Value::Object(full));
    }
    let of = format!("{context}/Attributes");
    match (one, out.pop()) {
        (None, last) => {
            out.extend(last);
            Ok(reply(
                200,
                json!({"@odata.context": of, "value": out}).to_string(),
            ))
        }
        (Some(_), Some(Value::Object(mut found))) => {
            found.shift_insert(
                0,
                "@odata.context".to_owned(),
                json!(format!("{of}/$entity")),
            );
            Ok(reply(200, Value::Object(found).to_string()))
        }
        (Some(name), _) => Err(Refusal::new(
            404,
            "0x80060888",
            format!("Could not find an attribute with specified name: {name}"),
        )),
    }
}

/// What only a cast shows.
const TYPED: &[&str] = &[
    "MaxLength",
    "MinValue",
    "MaxValue",
    "Precision",
    "PrecisionSource",
    "IsBaseCurrency",
    "CalculationOf",
    "Format",
    "FormatName",
    "DateTimeBehavior",
    "Targets",
    "OptionSet",
    "GlobalOptionSet",
];

fn entity_cast_exists(cast: &str) -> bool {
    const NAMES: &[&str] = &[
        "String",
        "Memo",
        "Integer",
        "BigInt",
        "Decimal",
        "Double",
        "Money",
        "DateTime",
        "Lookup",
        "Picklist",
        "MultiSelectPicklist",
        "State",
        "Status",
        "Boolean",
        "Image",
        "File",
        "EntityName",
        "ManagedProperty",
    ];
    cast.strip_prefix("Microsoft.Dynamics.CRM.")
        .and_then(|name| name.strip_suffix("AttributeMetadata"))
        .is_some_and(|name| NAMES.contains(&name))
}

/// Answers below `EntityDefinitions` and `GlobalOptionSetDefinitions`.
///
/// # Errors
/// 404 for unknown names, 400 and 501 for options.
pub fn answer(
    store: &Store,
    segments: &[&str],
    base: &str,
    request: &Request,
) -> Result<Reply, Refusal> {
    let schema = store.schema;
    if request.method != "GET" {
        return Err(Refusal::method(&request.method));
    }
    let wanted = Wanted::of(request)?;
    let first = segments.first().copied().unwrap_or_default();
    let context = format!("{base}/$metadata#EntityDefinitions");
    if first.starts_with("GlobalOptionSetDefinitions") {
        return global(schema, segments, base, &wanted);
    }
    if first == "EntityDefinitions" {
        let mut out = Vec::new();
        for table in &store.tables {
            let keep = match &wanted.filter {
                Some(filter) => filtered(&describe(table), filter, "EntityMetadata")?,
                None => true,
            };
            if keep {
                out.push(expanded(schema, table, &wanted)?);
            }
        }
        return Ok(reply(
            200,
            json!({"@odata.context": context, "value": out}).to_string(),
        ));
    }
    let name = key(first, "EntityDefinitions").ok_or_else(|| Refusal::segment(first))?;
    let table = store
        .tables
        .iter()
        .find(|table| table.entity.name == name || entity_id(table.entity) == name)
        .ok_or_else(|| {
            Refusal::new(
                404,
                "0x80060888",
                format!("Could not find an entity with specified name: {name}"),
            )
        })?;
    let entity = table.entity;
    let context = format!("{context}({})", entity_id(entity));
    match &segments[1..] {
        [] => {
            let mut out = expanded(schema, table, &wanted)?;
            if let Value::Object(map) = &mut out {
                let of = format!("{base}/$metadata#EntityDefinitions/$entity");
                map.shift_insert(0, "@odata.context".to_owned(), json!(of));
            }
            Ok(reply(200, out.to_string()))
        }
        ["Keys"] => list(keys(entity), &format!("{context}/Keys"), &wanted),
        ["ManyToOneRelationships"] => list(
            relationships(schema, entity),
            &format!("{context}/ManyToOneRelationships"),
            &wanted,
        ),
        rest if rest[0].starts_with("Attributes") => attributes(entity, rest, &context, &wanted),
        [other, ..] => Err(Refusal::segment(other)),
    }
}

fn list(parts: Vec<Value>, context: &str, wanted: &Wanted) -> Result<Reply, Refusal> {
    let parts: Vec<Value> = parts
        .into_iter()
        .map(|part| match part {
            Value::Object(map) => {
                pick(map, wanted.select.as_deref(), "MetadataBase").map(Value::Object)
            }
            other => Ok(other),
        })
        .collect::<Result<_, _>>()?;
    Ok(reply(
        200,
        json!({"@odata.context": context, "value": parts}).to_string(),
    ))
}

/// The global option sets, all or one; they cannot be filtered.
fn global(
    schema: &Schema,
    segments: &[&str],
    base: &str,
    wanted: &Wanted,
) -> Result<Reply, Refusal> {
    if wanted.filter.is_some() {
        return Err(Refusal::unsupported(
            "The query parameter $filter is not supported",
        ));
    }
    let mut sets = Vec::new();
    for entity in &schema.entities {
        for column in &entity.attributes {
            if column.global.is_some() {
                sets.push(option_set(entity, column));
            }
        }
    }
    let context = format!("{base}/$metadata#GlobalOptionSetDefinitions");
    let first = segments[0];
    if first == "GlobalOptionSetDefinitions" {
        return list(sets, &context, wanted);
    }
    let name = key(first, "GlobalOptionSetDefinitions").ok_or_else(|| Refusal::segment(first))?;
    let found = sets
        .into_iter()
        .find(|set| set["Name"] == name || set["MetadataId"] == name)
        .ok_or_else(|| {
            Refusal::new(
                404,
                "0x80060888",
                format!("Could not find an option set with specified name: {name}"),
            )
        })?;
    Ok(reply(200, found.to_string()))
}
