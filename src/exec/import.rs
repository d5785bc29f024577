//! IMPORT FOREIGN SCHEMA: described objects into CREATE FOREIGN TABLE statements (C-2 to C-5).

use crate::pg::catalog::{quote_identifier, quote_literal};
use crate::runtime;
use crm_core::{
    CallStats, ColumnType, Conversion, Error, ErrorKind, ObjectSummary, RemoteField, RemoteObject,
    Result, Session, parse_bool,
};
use pgrx::notice;
use std::collections::HashSet;
use std::sync::Arc;

/// Longest identifier in bytes.
const LONGEST_NAME: usize = 63;

/// Which objects of the listed ones are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// Only those listed.
    LimitTo,
    /// All but those listed.
    Except,
}

/// What the statement asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The foreign server's name.
    pub server: String,
    /// `standard`, `custom` or `all`.
    pub remote_schema: String,
    /// How the list is meant.
    pub selection: Selection,
    /// Names as they stand in the list.
    pub listed: Vec<String>,
    /// Column names keep the vendor's case.
    pub keep_case: bool,
    /// Conversion of date and time columns.
    pub conversion: Conversion,
    /// Fields that the CRM says are never empty become NOT NULL.
    pub not_null: bool,
    /// Schema that the statements name; nothing where the server itself puts the tables into one.
    pub schema: Option<String>,
}

impl Request {
    /// All objects of a server, as they come.
    pub fn everything(server: &str) -> Self {
        Self {
            server: server.into(),
            remote_schema: "all".into(),
            selection: Selection::All,
            listed: Vec::new(),
            keep_case: false,
            conversion: Conversion::Default,
            not_null: false,
            schema: None,
        }
    }

    /// Reads the statement's parts.
    ///
    /// # Errors
    /// An unknown remote schema or import option.
    pub fn new(
        server: &str,
        remote_schema: &str,
        selection: Selection,
        listed: Vec<String>,
        options: &[(String, String)],
    ) -> Result<Self> {
        if !matches!(remote_schema, "standard" | "custom" | "all") {
            return Err(Error::new(
                ErrorKind::ObjectUnknown,
                format!("remote schema \"{remote_schema}\" does not exist"),
            )
            .with_hint("There are: standard, custom, all."));
        }
        let mut request = Self {
            remote_schema: remote_schema.into(),
            selection,
            listed,
            ..Self::everything(server)
        };
        for (name, value) in options {
            let wrong = || {
                Error::new(
                    ErrorKind::OptionValue,
                    format!("invalid value for option \"{name}\": \"{value}\""),
                )
            };
            match name.as_str() {
                "case" => {
                    request.keep_case = match value.as_str() {
                        "keep" => true,
                        "lower" => false,
                        _ => return Err(wrong().with_hint("Valid values are: lower, keep.")),
                    }
                }
                "conversion" => {
                    request.conversion = Conversion::from_name(value).ok_or_else(|| {
                        wrong().with_hint(format!(
                            "Valid values are: {}.",
                            Conversion::NAMES.join(", ")
                        ))
                    })?;
                }
                "not_null" => {
                    request.not_null = parse_bool(value)
                        .ok_or_else(|| wrong().with_hint("Valid values are true and false."))?;
                }
                _ => {
                    return Err(Error::new(
                        ErrorKind::OptionUnknown,
                        format!("option \"{name}\" is not valid for IMPORT FOREIGN SCHEMA"),
                    )
                    .with_hint("Valid options here are: case, conversion, not_null."));
                }
            }
        }
        Ok(request)
    }
}

/// The statements that the import runs.
///
/// # Errors
/// What the CRM says, or a listed object that it does not have.
pub fn statements(
    session: Arc<dyn Session>,
    stats: Arc<CallStats>,
    request: &Request,
) -> Result<Vec<String>> {
    let in_context = |error: Error| {
        error.in_context(format!(
            "could not import from server \"{}\"",
            request.server
        ))
    };
    let listing = (Arc::clone(&session), Arc::clone(&stats));
    let objects =
        runtime::run(async move { listing.0.objects(&listing.1).await }).map_err(in_context)?;
    let wanted = choose(objects, request)?;
    let names: Vec<String> = wanted
        .iter()
        .map(|(object, _)| object.name.clone())
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let described =
        runtime::run(async move { session.describe(&names, &stats).await }).map_err(in_context)?;
    let mut taken = HashSet::new();
    Ok(described
        .iter()
        .zip(wanted)
        .map(|(object, (_, listed_as))| {
            // The server keeps a statement only if its table's name stands in the list letter by letter.
            let name =
                listed_as.unwrap_or_else(|| local_name(&object.summary.name, request.keep_case));
            let name = unique(name, &mut taken, "table", &object.summary.name);
            create_statement(object, &name, request)
        })
        .collect())
}

/// The objects wanted, each with its name in the list if there is one.
fn choose(
    objects: Vec<ObjectSummary>,
    request: &Request,
) -> Result<Vec<(ObjectSummary, Option<String>)>> {
    let in_schema = |object: &ObjectSummary| match request.remote_schema.as_str() {
        "standard" => !object.custom,
        "custom" => object.custom,
        _ => true,
    };
    let listed_as = |object: &ObjectSummary| {
        request
            .listed
            .iter()
            .find(|listed| listed.eq_ignore_ascii_case(&object.name))
            .cloned()
    };
    if request.selection == Selection::LimitTo {
        for listed in &request.listed {
            let found = objects
                .iter()
                .find(|object| listed.eq_ignore_ascii_case(&object.name));
            match found {
                None => return Err(unknown_object(listed, request)),
                Some(object) if !in_schema(object) => {
                    return Err(unknown_object(listed, request).with_hint(format!(
                        "It belongs to remote schema {}.",
                        if object.custom { "custom" } else { "standard" }
                    )));
                }
                Some(object) if !object.selectable => {
                    return Err(Error::new(
                        ErrorKind::NotPermitted,
                        format!("object \"{}\" cannot be read by queries", object.name),
                    ));
                }
                Some(_) => {}
            }
        }
    }
    Ok(objects
        .into_iter()
        .filter(|object| object.selectable && in_schema(object))
        .filter_map(|object| {
            let listed = listed_as(&object);
            match (request.selection, listed) {
                (Selection::All, _) | (Selection::Except, None) => Some((object, None)),
                (Selection::LimitTo, Some(listed)) => Some((object, Some(listed))),
                (Selection::LimitTo, None) | (Selection::Except, Some(_)) => None,
            }
        })
        .collect())
}

fn unknown_object(listed: &str, request: &Request) -> Error {
    Error::new(
        ErrorKind::ObjectUnknown,
        format!(
            "object \"{listed}\" does not exist in remote schema {} of server \"{}\"",
            request.remote_schema, request.server
        ),
    )
    .with_hint(format!(
        "SELECT object FROM crm.tables('{}') lists what there is.",
        request.server
    ))
}

fn create_statement(object: &RemoteObject, name: &str, request: &Request) -> String {
    let mut taken = HashSet::new();
    let columns: Vec<String> = in_order(&object.fields)
        .map(|field| {
            let local = local_name(&field.name, request.keep_case);
            let local = unique(
                local,
                &mut taken,
                "column",
                &format!("{}.{}", object.summary.name, field.name),
            );
            column_definition(&object.summary.name, field, &local, request)
        })
        .collect();
    let mut options = vec![format!("object {}", quote_literal(&object.summary.name))];
    options.extend(
        table_options(object)
            .iter()
            .map(|(name, value)| format!("{name} {}", quote_literal(value))),
    );
    for (name, holds) in [
        ("insertable", object.summary.insertable),
        ("updatable", object.summary.updatable),
        ("deletable", object.summary.deletable),
    ] {
        if !holds {
            options.push(format!("{name} 'false'"));
        }
    }
    let schema = request.schema.as_deref().map(quote_identifier);
    format!(
        "CREATE FOREIGN TABLE {}{} (\n  {}\n) SERVER {} OPTIONS ({})",
        schema.map_or_else(String::new, |schema| format!("{schema}.")),
        quote_identifier(name),
        columns.join(",\n  "),
        quote_identifier(&request.server),
        options.join(", ")
    )
}

/// The options of a table that the CRM's description names, where it does.
pub fn table_options(object: &RemoteObject) -> Vec<(&'static str, &str)> {
    let said = [
        ("collection", object.summary.collection.as_deref()),
        ("label", Some(object.summary.label.as_str())),
    ];
    let said = said.into_iter();
    said.filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)))
        .collect()
}

/// The identifier first (C-4), then the time of modification, then the vendor's order.
fn in_order(fields: &[RemoteField]) -> impl Iterator<Item = &RemoteField> {
    let rank = |field: &&RemoteField| match (field.identifier, field.modification_stamp) {
        (true, _) => 0,
        (_, true) => 1,
        _ => 2,
    };
    let mut ordered: Vec<_> = fields.iter().collect();
    ordered.sort_by_key(rank);
    ordered.into_iter()
}

/// A column's definition as CREATE and ALTER FOREIGN TABLE take it.
pub fn column_definition(
    object: &str,
    field: &RemoteField,
    name: &str,
    request: &Request,
) -> String {
    if field.column_type.is_none() {
        notice!(
            "field \"{}\" of object \"{object}\" has the unknown type \"{}\": imported as text",
            field.name,
            field.remote_type
        );
    }
    let (type_name, conversion) = converted(column_type(field), request.conversion);
    let mut options = vec![format!("field {}", quote_literal(&field.name))];
    let described = column_options(field);
    let names = described.iter().map(|(name, _)| *name);
    let n_words = names.take_while(|name| matches!(*name, "remote_type" | "label"));
    let (words, facts) = described.split_at(n_words.count());
    let written = |(name, value): &(&str, String)| format!("{name} {}", quote_literal(value));
    options.extend(words.iter().map(written));
    if let Some(conversion) = conversion {
        options.push(format!("conversion {}", quote_literal(conversion)));
    }
    options.extend(facts.iter().map(written));
    // Vendors' word on what may be empty is not to be trusted for reading; the identifier is the exception.
    let not_null = field.identifier || (request.not_null && !field.nullable);
    format!(
        "{} {type_name} OPTIONS ({}){}",
        quote_identifier(name),
        options.join(", "),
        if not_null { " NOT NULL" } else { "" }
    )
}

/// How a field is decoded; an unknown type is text (C-5).
pub fn column_type(field: &RemoteField) -> ColumnType {
    field.column_type.unwrap_or(ColumnType::Text)
}

/// The options of a column that the CRM's description decides.
pub fn column_options(field: &RemoteField) -> Vec<(&'static str, String)> {
    let mut options = vec![("remote_type", field.remote_type.clone())];
    if !field.label.is_empty() && field.label != field.name {
        options.push(("label", field.label.clone()));
    }
    // The identifier names the record that is written; whether its field may be given does not matter.
    for (name, holds) in [
        ("filterable", field.filterable),
        ("sortable", field.sortable),
        ("insertable", field.creatable || field.identifier),
        ("updatable", field.updatable || field.identifier),
    ] {
        if !holds {
            options.push((name, "false".into()));
        }
    }
    for (name, holds) in [
        ("identifier", field.identifier),
        ("case_sensitive", field.case_sensitive),
        ("computed", field.computed),
    ] {
        if holds {
            options.push((name, "true".into()));
        }
    }
    options
}

/// The name of the local type, with the conversion where it fits the field's own type.
pub fn column_type_name(column_type: ColumnType, conversion: Conversion) -> &'static str {
    converted(column_type, conversion).0
}

/// The local type, and the conversion's name where it is not the default.
fn converted(column_type: ColumnType, wanted: Conversion) -> (&'static str, Option<&'static str>) {
    match (wanted, column_type) {
        (Conversion::DateOnly, ColumnType::Instant) => ("date", Some("date_only")),
        (Conversion::WithoutTimeOffset, ColumnType::Instant) => {
            ("timestamp without time zone", Some("without_time_offset"))
        }
        (Conversion::CopyPaste, other) if other != ColumnType::Text => ("text", Some("copy_paste")),
        _ => (sql_type(column_type), None),
    }
}

/// The local type of a decoded form (C-5).
pub fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Bool => "boolean",
        ColumnType::Int32 => "integer",
        ColumnType::Int64 => "bigint",
        ColumnType::Float64 => "double precision",
        ColumnType::Numeric => "numeric",
        ColumnType::Text => "text",
        ColumnType::Json => "jsonb",
        ColumnType::Date => "date",
        ColumnType::Timestamp => "timestamp without time zone",
        ColumnType::Instant => "timestamp with time zone",
        ColumnType::Time => "time without time zone",
        ColumnType::Uuid => "uuid",
        ColumnType::TextArray => "text[]",
        ColumnType::Int32Array => "integer[]",
    }
}

/// The column or table name that a remote name becomes. A name with a part of its own behind an `@` becomes one that can
/// be typed without quotes.
pub fn local_name(remote: &str, keep_case: bool) -> String {
    let name = remote.replace('@', "_");
    let name = if keep_case { name } else { name.to_lowercase() };
    shortened(&name, LONGEST_NAME)
}

fn shortened(name: &str, most: usize) -> String {
    let mut end = name.len().min(most);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// The name, or the name with a number behind it where it is taken, and then a notice (C-4).
fn unique(name: String, taken: &mut HashSet<String>, kind: &str, remote: &str) -> String {
    if taken.insert(name.clone()) {
        return name;
    }
    let renamed = (2..)
        .map(|number| {
            let suffix = format!("_{number}");
            format!("{}{suffix}", shortened(&name, LONGEST_NAME - suffix.len()))
        })
        .find(|candidate| taken.insert(candidate.clone()))
        .expect("numbers do not run out");
    notice!("{kind} \"{name}\" exists already: \"{remote}\" is imported as \"{renamed}\"");
    renamed
}
