//! Small objects around the recorded ones: Lead, User, Organization and RecordType, described and filled.

use serde_json::Value;

use super::custom_object;
use super::describe::{self, FieldSpec};
use super::organisation::{HOUSEHOLD, ORGANISATION, Record, Row, USERS, base, compound, copy};
use super::store::Cell;

/// The standard fields of objects for people: their name follows from its parts (trap 24).
fn people() -> (Vec<FieldSpec>, Vec<FieldSpec>) {
    let (fields, audit) = describe::standard_fields(121);
    let fields = fields
        .into_iter()
        .map(|field| match field.name() {
            "Name" => field.set("createable", false).set("updateable", false),
            _ => field,
        })
        .collect();
    (fields, audit)
}

/// A part of a person's name.
fn name_part(name: &str, length: u64) -> FieldSpec {
    FieldSpec::new(name, "string")
        .length(length)
        .set("compoundFieldName", "Name")
}

/// The describe document of Lead.
pub fn lead_describe() -> Value {
    let (mut fields, audit) = people();
    let text = |name: &str, length: u64| FieldSpec::new(name, "string").length(length);
    fields.extend([
        name_part("LastName", 80).set("nillable", false),
        name_part("FirstName", 40),
        text("Company", 255).set("nillable", false),
        text("Title", 128),
        FieldSpec::new("Email", "email"),
        FieldSpec::new("MobilePhone", "phone"),
        FieldSpec::new("Industry", "picklist"),
        FieldSpec::new("NumberOfEmployees", "int"),
        FieldSpec::new("Street", "textarea")
            .length(255)
            .set("compoundFieldName", "Address"),
        text("City", 40).set("compoundFieldName", "Address"),
        text("State", 80).set("compoundFieldName", "Address"),
        text("PostalCode", 20).set("compoundFieldName", "Address"),
        text("Country", 80).set("compoundFieldName", "Address"),
        FieldSpec::new("Address", "address"),
        FieldSpec::new("Status", "picklist")
            .set("nillable", false)
            .values(&[
                ("Open - Not Contacted", "Open - Not Contacted"),
                ("Working - Contacted", "Working - Contacted"),
                ("Closed - Converted", "Closed - Converted"),
                ("Closed - Not Converted", "Closed - Not Converted"),
            ]),
        FieldSpec::new("LeadSource", "picklist"),
        FieldSpec::new("IsConverted", "boolean"),
        describe::owner(),
    ]);
    fields.extend(audit);
    describe::object("Lead", Some("00Q"), fields)
}

/// The records of Lead.
pub fn lead_records(rows: &[Row]) -> Vec<Record> {
    let record = |(row, number): (&Row, u64)| {
        let mut record = base("00Q", number);
        copy(
            &mut record,
            row,
            &[
                "FirstName",
                "LastName",
                "Company",
                "Title",
                "Email",
                "MobilePhone",
                "Industry",
                "Street",
                "City",
                "State",
                "PostalCode",
                "Country",
                "Status",
                "LeadSource",
            ],
            &["NumberOfEmployees"],
        );
        let name = format!("{} {}", row["FirstName"], row["LastName"]);
        record.insert("Name", Cell::text(name.trim()));
        record.insert("Address", compound(row, ""));
        record.insert("IsDeleted", Cell::Bool(number == 14));
        record
    };
    rows.iter().zip(1..).map(record).collect()
}

/// The describe document of User.
pub fn user_describe() -> Value {
    let (fields, audit) = people();
    let mut fields: Vec<FieldSpec> = fields
        .into_iter()
        .filter(|field| field.name() != "IsDeleted")
        .collect();
    let text = |name: &str, length: u64| FieldSpec::new(name, "string").length(length);
    fields.extend([
        text("Username", 80)
            .set("nillable", false)
            .set("idLookup", true),
        name_part("LastName", 80).set("nillable", false),
        name_part("FirstName", 40),
        FieldSpec::new("Email", "email").set("nillable", false),
        FieldSpec::new("IsActive", "boolean"),
        FieldSpec::new("TimeZoneSidKey", "picklist").set("nillable", false),
    ]);
    fields.extend(audit);
    describe::object("User", Some("005"), fields)
}

/// The records of User.
pub fn user_records() -> Vec<Record> {
    USERS
        .iter()
        .zip(1..)
        .map(|((username, first, last), number)| {
            let mut record = base("005", number);
            record.extend([
                ("Name", Cell::text(format!("{first} {last}"))),
                ("Username", Cell::text(username)),
                ("FirstName", Cell::text(first)),
                ("LastName", Cell::text(last)),
                ("Email", Cell::text(username)),
                ("IsActive", Cell::Bool(true)),
                ("TimeZoneSidKey", Cell::text("GMT")),
            ]);
            record
        })
        .collect()
}

/// An object whose records the API does not write.
fn read_only(mut document: Value) -> Value {
    for operation in ["createable", "updateable", "deletable"] {
        document[operation] = false.into();
    }
    document
}

/// The describe document of Organization.
pub fn organisation_describe() -> Value {
    let (mut fields, audit) = describe::standard_fields(80);
    fields.extend([
        FieldSpec::new("Country", "string").length(80),
        FieldSpec::new("OrganizationType", "picklist"),
        FieldSpec::new("InstanceName", "string").length(5),
        FieldSpec::new("IsSandbox", "boolean"),
        FieldSpec::new("TimeZoneSidKey", "picklist"),
    ]);
    fields.extend(audit);
    read_only(describe::object("Organization", Some("00D"), fields))
}

/// The records of Organization.
pub fn organisation_records() -> Vec<Record> {
    let mut record = base("00D", 1);
    record.extend([
        ("Name", Cell::text(ORGANISATION)),
        ("Country", Cell::text("US")),
        ("OrganizationType", Cell::text("Developer Edition")),
        ("InstanceName", Cell::text("TEST1")),
        ("TimeZoneSidKey", Cell::text("GMT")),
    ]);
    vec![record]
}

/// The describe document of RecordType.
pub fn record_type_describe() -> Value {
    let (mut fields, audit) = describe::standard_fields(80);
    fields.extend([
        FieldSpec::new("DeveloperName", "string").length(80),
        FieldSpec::new("SobjectType", "picklist"),
        FieldSpec::new("IsActive", "boolean"),
    ]);
    fields.extend(audit);
    read_only(describe::object("RecordType", Some("012"), fields))
}

/// The records of RecordType.
pub fn record_type_records() -> Vec<Record> {
    let types = custom_object::record_types();
    let custom = types.iter().map(|t| (t.id.clone(), t.name, "Custom__c"));
    std::iter::once((HOUSEHOLD.to_owned(), "Household", "Account"))
        .chain(custom)
        .zip(1..)
        .map(|((id, name, object), number)| {
            let mut record = base("012", number);
            record.extend([
                ("Id", Cell::text(id)),
                ("Name", Cell::text(name)),
                ("DeveloperName", Cell::text(name)),
                ("SobjectType", Cell::text(object)),
                ("IsActive", Cell::Bool(true)),
            ]);
            record
        })
        .collect()
}
