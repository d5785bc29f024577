//! `Custom__c`: the recorded description, extended by picklists that depend on each other and by record
//! types that allow different values. Section 3.5 of the protocol page.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::describe::{self, FieldSpec};
use super::id;
use super::organisation::Record;
use super::store::Cell;

/// Controlling values with their labels; the inactive one keeps its place in every bitmap.
const COUNTRIES: &[(&str, &str)] = &[
    ("AT", "Austria"),
    ("BE", "Belgium"),
    ("BG", "Bulgaria"),
    ("HR", "Croatia"),
    ("CY", "Cyprus"),
    ("CZ", "Czechia"),
    ("DK", "Denmark"),
    ("EE", "Estonia"),
    ("FI", "Finland"),
    ("FR", "France"),
    ("DE", "Germany"),
    ("GR", "Greece"),
    ("HU", "Hungary"),
    ("IE", "Ireland"),
    ("IT", "Italy"),
    ("LV", "Latvia"),
    ("LT", "Lithuania"),
    ("LU", "Luxembourg"),
    ("-GB", "United Kingdom"),
    ("MT", "Malta"),
    ("NL", "Netherlands"),
    ("PL", "Poland"),
    ("PT", "Portugal"),
    ("RO", "Romania"),
    ("SK", "Slovakia"),
    ("SI", "Slovenia"),
    ("ES", "Spain"),
    ("SE", "Sweden"),
];
/// Dependent values, their labels and the countries they go with.
const CITIES: &[(&str, &str, &[&str])] = &[
    ("vienna", "Wien", &["AT"]),
    ("paris", "Paris", &["FR"]),
    ("marseille", "Marseille", &["FR"]),
    ("-london", "London", &["GB"]),
    ("valletta", "Valletta", &["MT"]),
    ("madrid", "Madrid", &["ES"]),
    ("harbour", "Any harbour", &["FR", "GR", "MT", "ES", "SE"]),
    ("nowhere", "Nowhere", &[]),
];
/// Dependent on a checkbox: with it off, on, or both.
const PLANS: &[(&str, &str, &[&str])] = &[
    ("free", "Free", &["false"]),
    ("basic", "Basic", &["false", "true"]),
    ("gold", "Gold", &["true"]),
    ("-legacy", "Legacy", &["true"]),
];
const ON_OFF: &[(&str, &str)] = &[("false", "false"), ("true", "true")];
const COLOURS: &[(&str, &str)] = &[
    ("red", "Red"),
    ("green", "Green"),
    ("blue", "Blue"),
    ("-grey", "Grey"),
];

/// A record type of this object.
pub struct RecordType {
    pub id: String,
    pub name: &'static str,
    /// New records get it unless they say otherwise.
    pub default: bool,
    /// For some fields, the only values it allows.
    allowed: &'static [(&'static str, &'static [&'static str])],
}

/// The record types beside Master.
pub fn record_types() -> [RecordType; 2] {
    [
        RecordType {
            id: id::make("012", 2),
            name: "Direct",
            default: true,
            allowed: &[
                ("Country__c", &["FR", "MT", "ES"]),
                ("City__c", &["paris", "valletta", "madrid", "harbour"]),
                ("Colours__c", &["red", "green"]),
            ],
        },
        RecordType {
            id: id::make("012", 3),
            name: "Partner",
            default: false,
            allowed: &[
                ("Country__c", &["AT", "SE"]),
                ("City__c", &["vienna", "harbour", "nowhere"]),
                ("Plan__c", &["basic", "gold"]),
            ],
        },
    ]
}

/// The values a record type of this object allows in a field; `None` allows all.
pub fn allowed(record_type: &str, field: &str) -> Option<&'static [&'static str]> {
    let record_type = record_types().into_iter().find(|t| t.id == record_type)?;
    let (_, values) = record_type
        .allowed
        .iter()
        .find(|(name, _)| *name == field)?;
    Some(values)
}

fn dependent(field: FieldSpec, values: &[(&str, &str, &[&str])]) -> FieldSpec {
    let list: Vec<(&str, &str)> = values.iter().map(|(v, label, _)| (*v, *label)).collect();
    field.values(&list)
}

fn fields() -> Vec<FieldSpec> {
    let field = FieldSpec::new;
    let valid = |values: &[(&str, &str, &'static [&'static str])]| -> Vec<&'static [&'static str]> {
        values.iter().map(|(_, _, valid)| *valid).collect()
    };
    vec![
        field("RecordTypeId", "reference").refers(&["RecordType"], "RecordType"),
        field("Country__c", "picklist").values(COUNTRIES),
        dependent(field("City__c", "picklist"), CITIES).depends_on(
            "Country__c",
            COUNTRIES,
            &valid(CITIES),
        ),
        field("Premium__c", "boolean"),
        dependent(field("Plan__c", "picklist"), PLANS).depends_on(
            "Premium__c",
            ON_OFF,
            &valid(PLANS),
        ),
        field("Colours__c", "multipicklist")
            .length(4_099)
            .values(COLOURS),
    ]
}

/// Adds the fields and record types to the recorded description, which was emptied of its addresses.
pub fn extend(document: &mut Value) {
    document["urls"] = describe::urls("Custom__c");
    if let Some(list) = document["fields"].as_array_mut() {
        list.extend(fields().into_iter().map(FieldSpec::build));
    }
    let info = |id: &str, name: &str, default: bool| {
        json!({
            "active": true, "available": true, "defaultRecordTypeMapping": default,
            "developerName": name, "master": name == "Master", "name": name, "recordTypeId": id,
            "urls": {"layout": format!("/services/data/vXX.0/sobjects/Custom__c/describe/layouts/{id}")},
        })
    };
    let mut infos: Vec<Value> = record_types()
        .iter()
        .map(|t| info(&t.id, t.name, t.default))
        .collect();
    infos.push(info(describe::MASTER_RECORD_TYPE, "Master", false));
    document["recordTypeInfos"] = infos.into();
}

/// The records.
pub fn records(prefix: &str) -> Vec<Record> {
    let types = record_types();
    (1..=12u64)
        .map(|number| {
            let record_type = &types[(number % 2) as usize];
            let (country, city) = [
                ("FR", "paris"),
                ("ES", "madrid"),
                ("SE", "harbour"),
                ("", ""),
            ][(number % 4) as usize];
            HashMap::from([
                ("Id", Cell::text(id::make(prefix, number))),
                ("Name", Cell::text(format!("Custom {number}"))),
                (
                    "CustomField__c",
                    Cell::text(if number % 3 == 0 { "" } else { "value" }),
                ),
                ("RecordTypeId", Cell::text(&record_type.id)),
                ("Country__c", Cell::text(country)),
                ("City__c", Cell::text(city)),
                ("Premium__c", Cell::Bool(number % 5 == 0)),
                ("Plan__c", Cell::text("basic")),
            ])
        })
        .collect()
}
