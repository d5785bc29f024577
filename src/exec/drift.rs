//! What has changed in the CRM since a table was collected, as the statements that would cure it (C-6).

use crate::exec::import::{
    Request, column_definition, column_options, column_type, column_type_name, local_name,
    table_options,
};
use crate::pg::catalog::{
    ColumnDefinition, RawOptions, qualified_name, quote_identifier, quote_literal, type_name,
};
use crm_core::{ColumnType, Connector, Conversion, RemoteField, RemoteObject, parse_bool};
use pgrx::pg_sys;
use std::collections::HashSet;

/// Options that the import writes from the CRM's description; others are the user's own.
const DESCRIBED: &[&str] = &[
    "remote_type",
    "label",
    "filterable",
    "sortable",
    "insertable",
    "updatable",
    "case_sensitive",
    "computed",
];

/// A statement that would cure a drift, and what has drifted.
pub struct Cure {
    /// The foreign table as it is called today; nothing for one that is not there yet.
    pub relation: Option<pg_sys::Oid>,
    /// ALTER, CREATE or DROP FOREIGN TABLE.
    pub statement: String,
    /// Why, in words.
    pub reason: String,
}

/// A collected table as the catalogs have it.
pub struct Collected {
    /// The foreign table.
    pub relation: pg_sys::Oid,
    /// The CRM.
    pub connector: &'static dyn Connector,
    /// Its server's name.
    pub server: String,
    /// The remote object.
    pub object: String,
    /// Its options.
    pub options: RawOptions,
    /// Its columns.
    pub columns: Vec<ColumnDefinition>,
}

/// The cures of one table; `described` is nothing when the object is gone. New fields are proposed as `new_fields`
/// says, and where it does not, if every column looks imported: a table written by hand has the fields it wants.
pub fn of_table(
    table: &Collected,
    described: Option<&RemoteObject>,
    new_fields: Option<bool>,
) -> Vec<Cure> {
    let target = qualified_name(table.relation);
    let cure = |statement: String, reason: String| Cure {
        relation: Some(table.relation),
        statement,
        reason,
    };
    let Some(described) = described else {
        return vec![cure(
            format!("DROP FOREIGN TABLE {target}"),
            format!("object \"{}\" is gone", table.object),
        )];
    };
    let mut cures = Vec::new();
    let mut alter = |what: String, reason: String| {
        cures.push(cure(format!("ALTER FOREIGN TABLE {target} {what}"), reason));
    };
    for (name, today) in table_options(described) {
        if let Some(said) = option(&table.options, name).filter(|said| *said != today) {
            alter(
                format!("OPTIONS (SET {name} {})", quote_literal(today)),
                format!("{name} was \"{said}\""),
            );
        }
    }
    let field_of = |column: &ColumnDefinition| {
        option(&column.options, "field")
            .unwrap_or(&column.name)
            .to_owned()
    };
    let told_type = |field: &RemoteField| {
        let told = |name: &str| option(&table.options, name).map(str::to_owned);
        table.connector.told_type(field, &told)
    };
    for column in &table.columns {
        let name = field_of(column);
        // A path goes through other objects, whose description is not at hand.
        if name.contains('.') {
            continue;
        }
        match field_named(described, &name) {
            None => alter(
                format!("DROP COLUMN {}", quote_identifier(&column.name)),
                format!("field \"{name}\" is gone"),
            ),
            Some(field) => {
                if let Some((what, reason)) = of_column(column, field, told_type(field)) {
                    alter(what, reason);
                }
            }
        }
    }
    let is_imported = |column: &ColumnDefinition| option(&column.options, "remote_type").is_some();
    if new_fields.unwrap_or_else(|| table.columns.iter().all(is_imported)) {
        let request = request_like(table);
        let mut taken: HashSet<String> = table
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect();
        let known: HashSet<&str> = table
            .columns
            .iter()
            .filter_map(|column| field_named(described, &field_of(column)))
            .map(|field| field.name.as_str())
            .collect();
        for field in described
            .fields
            .iter()
            .filter(|field| !known.contains(field.name.as_str()))
        {
            let name = free_name(local_name(&field.name, request.keep_case), &mut taken);
            let mut field = field.clone();
            field.column_type = told_type(&field).or(field.column_type);
            alter(
                format!(
                    "ADD COLUMN {}",
                    column_definition(&table.object, &field, &name, &request)
                ),
                format!("field \"{}\" is new", field.name),
            );
        }
    }
    cures
}

/// The field of that name; one that differs in case where there is none other, as the CRM takes it.
fn field_named<'a>(described: &'a RemoteObject, name: &str) -> Option<&'a RemoteField> {
    let mut fields = described.fields.iter();
    fields
        .clone()
        .find(|field| field.name == name)
        .or_else(|| fields.find(|field| field.name.eq_ignore_ascii_case(name)))
}

/// What has changed of one field, for a column that was imported; `told` is the type that the table's own options ask
/// for, if they do.
fn of_column(
    column: &ColumnDefinition,
    field: &RemoteField,
    told: Option<ColumnType>,
) -> Option<(String, String)> {
    let was = option(&column.options, "remote_type")?;
    let name = quote_identifier(&column.name);
    let (mut actions, mut reasons) = (Vec::new(), Vec::new());
    if was != field.remote_type {
        reasons.push(format!("type was \"{was}\""));
    }
    if was != field.remote_type || told.is_some() {
        let wanted = told.unwrap_or_else(|| column_type(field));
        let wanted = column_type_name(wanted, conversion_of(column));
        if wanted != type_name(column.type_oid, column.type_modifier) {
            actions.push(format!("ALTER COLUMN {name} TYPE {wanted}"));
            if was == field.remote_type {
                reasons.push(format!("the table's options ask for {wanted}"));
            }
        }
    }
    let today = column_options(field);
    let mut changes = Vec::new();
    for key in DESCRIBED {
        let is = option(&column.options, key);
        let new = today
            .iter()
            .find(|(option, _)| option == key)
            .map(|(_, value)| value.as_str());
        let same = match (is, new) {
            (Some(is), Some(new)) => {
                is == new
                    || matches!((parse_bool(is), parse_bool(new)), (Some(a), Some(b)) if a == b)
            }
            (None, None) => true,
            // What is not said is what the import does not write.
            (Some(is), None) => {
                parse_bool(is) == parse_bool(default_of(key)) && parse_bool(is).is_some()
            }
            (None, Some(_)) => false,
        };
        if same {
            continue;
        }
        changes.push(match (is, new) {
            (Some(_), Some(new)) => format!("SET {key} {}", quote_literal(new)),
            (None, Some(new)) => format!("ADD {key} {}", quote_literal(new)),
            _ => format!("DROP {key}"),
        });
        if *key != "remote_type" {
            let unsaid = if default_of(key).is_empty() {
                "unset"
            } else {
                default_of(key)
            };
            reasons.push(format!("{key} was \"{}\"", is.unwrap_or(unsaid)));
        }
    }
    if !changes.is_empty() {
        actions.push(format!(
            "ALTER COLUMN {name} OPTIONS ({})",
            changes.join(", ")
        ));
    }
    (!actions.is_empty()).then(|| {
        let reason = format!("field \"{}\": {}", field.name, reasons.join(", "));
        (actions.join(", "), reason)
    })
}

/// What a column option means where it does not stand.
fn default_of(option: &str) -> &'static str {
    match option {
        "filterable" | "sortable" | "insertable" | "updatable" => "true",
        "case_sensitive" | "computed" => "false",
        _ => "",
    }
}

/// New columns are made like those that are there.
fn request_like(table: &Collected) -> Request {
    let mut conversions = table.columns.iter().map(conversion_of);
    Request {
        keep_case: table
            .columns
            .iter()
            .any(|column| column.name != column.name.to_lowercase()),
        conversion: conversions
            .find(|conversion| *conversion != Conversion::Default)
            .unwrap_or_default(),
        ..Request::everything(&table.server)
    }
}

fn conversion_of(column: &ColumnDefinition) -> Conversion {
    option(&column.options, "conversion")
        .and_then(Conversion::from_name)
        .unwrap_or_default()
}

/// The name, with a number behind it where it is taken.
fn free_name(name: String, taken: &mut HashSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name))
        .expect("numbers do not run out");
    taken.insert(free.clone());
    free
}

fn option<'a>(options: &'a RawOptions, name: &str) -> Option<&'a str> {
    options
        .iter()
        .find(|(option, _)| option == name)
        .map(|(_, value)| value.as_str())
}
