//! Puts the organisation together: recorded descriptions, recorded rows with links and ids, and
//! small described objects around them. Everything is computed from the embedded files alone.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::describe::{self, FieldSpec};
use super::id;
use super::small_objects as small;
use super::store::{Cell, SObject, Store};
use super::{all_types, custom_object, wide};
use crate::generate::{Contacts, address, instant, mix};

/// The user everything belongs to first; further ones follow it.
pub const USERS: &[(&str, &str, &str)] = &[
    ("reader@crm-sandbox.example", "Robin", "Reader"),
    ("expired@crm-sandbox.example", "Ellis", "Expired"),
    ("second@crm-sandbox.example", "Sasha", "Second"),
];
/// The organisation's name.
pub const ORGANISATION: &str = "CRM Sandbox Test Org";
/// The record type of household accounts, as recorded.
pub const HOUSEHOLD: &str = "01254000001upcKAAQ";

/// A record under construction: field name to value.
pub type Record = HashMap<&'static str, Cell>;

/// The organisation's id.
pub fn organisation_id() -> String {
    id::make("00D", 1)
}

/// The id of a user by its place in [`USERS`].
pub fn user_id(place: usize) -> String {
    id::make("005", place as u64 + 1)
}

/// Builds all objects; `contacts` generated ones follow the recorded contacts.
///
/// # Errors
/// A sentence naming the embedded file that does not parse.
pub fn build(contacts: Contacts) -> Result<Store, String> {
    let accounts = table(
        "accounts.csv",
        include_bytes!("../../data/records/accounts.csv"),
    )?;
    let people = table(
        "contacts.csv",
        include_bytes!("../../data/records/contacts.csv"),
    )?;
    let deals = table(
        "opportunities.csv",
        include_bytes!("../../data/records/opportunities.csv"),
    )?;
    let leads = table("leads.csv", include_bytes!("../../data/records/leads.csv"))?;
    let links = Links::new(&accounts, &people, &deals);
    let hostile: Vec<String> = deals
        .iter()
        .filter(|row| row["source"] == "apex-recipes" && !row["Description"].is_empty())
        .map(|row| row["Description"].clone())
        .collect();

    let mut global: Value = parse(
        "_global.json",
        include_str!("../../data/salesforce/describe/_global.json"),
    )?;
    let mut entries: HashMap<String, Value> = HashMap::new();
    let mut order: Vec<String> = Vec::new();
    for entry in global["sobjects"].as_array_mut().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default().to_owned();
        order.push(name.clone());
        entries.insert(name, entry.take());
    }

    let mut built: Vec<SObject> = Vec::new();
    let mut add = |document: Value, records: Vec<Record>, entries: &mut HashMap<String, Value>| {
        let name = document["name"].as_str().unwrap_or_default().to_owned();
        let recorded = entries.remove(&name).filter(|e| !e["keyPrefix"].is_null());
        let entry = recorded.unwrap_or_else(|| describe::global_entry(&document));
        built.push(SObject::new(&document, entry, records));
    };
    let recorded = |name: &str, text: &str| parse(name, text);
    let mut account = recorded(
        "Account.json",
        include_str!("../../data/salesforce/describe/Account.json"),
    )?;
    if let Some(fields) = account["fields"].as_array_mut() {
        fields.push(external_key().build());
    }
    add(account, account_records(&accounts, &links), &mut entries);
    let mut contact = recorded(
        "Contact.json",
        include_str!("../../data/salesforce/describe/Contact.json"),
    )?;
    if let Some(fields) = contact["fields"].as_array_mut() {
        fields.extend(contact_fields().into_iter().map(FieldSpec::build));
    }
    add(contact, contact_records(&people, &links), &mut entries);
    add(
        recorded(
            "Opportunity.json",
            include_str!("../../data/salesforce/describe/Opportunity.json"),
        )?,
        opportunity_records(&deals, &links),
        &mut entries,
    );
    add(
        recorded(
            "OpportunityContactRole.json",
            include_str!("../../data/salesforce/describe/OpportunityContactRole.json"),
        )?,
        role_records(&deals, &links),
        &mut entries,
    );
    let mut custom = recorded(
        "Custom__c.json",
        include_str!("../../data/salesforce/describe/Custom__c.json"),
    )?;
    custom_object::extend(&mut custom);
    let prefix = custom["keyPrefix"].as_str().unwrap_or("a00").to_owned();
    add(custom, custom_object::records(&prefix), &mut entries);
    add(
        small::lead_describe(),
        small::lead_records(&leads),
        &mut entries,
    );
    add(small::user_describe(), small::user_records(), &mut entries);
    add(
        small::organisation_describe(),
        small::organisation_records(),
        &mut entries,
    );
    add(
        small::record_type_describe(),
        small::record_type_records(),
        &mut entries,
    );
    add(
        all_types::describe(),
        all_types::records(&hostile),
        &mut entries,
    );
    add(wide::describe(), wide::records(), &mut entries);
    for name in &order {
        let Some(entry) = entries.get(name).cloned() else {
            continue;
        };
        let (mut first, last) = describe::standard_fields(80);
        first.extend(last);
        let mut document = describe::object(name, entry["keyPrefix"].as_str(), first);
        for attribute in [
            "label",
            "labelPlural",
            "createable",
            "updateable",
            "deletable",
            "queryable",
            "replicateable",
            "custom",
        ] {
            document[attribute] = entry[attribute].clone();
        }
        entries.remove(name);
        let mut object = SObject::new(&document, entry, Vec::new());
        object.needs_filter = matches!(name.as_str(), "Vote" | "UserFieldAccess");
        built.push(object);
    }
    built.sort_by(|a, b| a.name.cmp(&b.name));
    if contacts.count() > 0
        && let Some(contact) = built.iter_mut().find(|object| object.name == "Contact")
    {
        contact.generate(contacts);
    }
    Ok(Store::new(built))
}

/// A row of an embedded file: column to text.
pub type Row = HashMap<String, String>;

fn table(name: &str, bytes: &[u8]) -> Result<Vec<Row>, String> {
    csv::Reader::from_reader(bytes)
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{name}: {error}"))
}

/// Addresses in recorded documents name the version and host they were recorded with.
fn parse(name: &str, text: &str) -> Result<Value, String> {
    let mut value: Value =
        serde_json::from_str(text).map_err(|error| format!("{name}: {error}"))?;
    neutral(&mut value);
    Ok(value)
}

fn neutral(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix("/services/data/v")
                && let Some((_, path)) = rest.split_once('/')
            {
                *text = format!("/services/data/vXX.0/{path}");
            } else if let Some((_, path)) = text.split_once(".my.salesforce.com/") {
                *text = format!("https://INSTANCE/{path}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(neutral),
        Value::Object(map) => map.values_mut().for_each(neutral),
        _ => {}
    }
}

/// Which id each key of the row files got, and who is referred to.
struct Links {
    accounts: HashMap<String, String>,
    contacts: HashMap<String, String>,
    used: HashSet<String>,
}

impl Links {
    fn new(accounts: &[Row], people: &[Row], deals: &[Row]) -> Self {
        let ids = |rows: &[Row], prefix: &str| {
            rows.iter()
                .zip(1..)
                .map(|(row, number)| (row["key"].clone(), id::make(prefix, number)))
                .collect()
        };
        let accounts: HashMap<String, String> = ids(accounts, "001");
        let contacts: HashMap<String, String> = ids(people, "003");
        let used = people
            .iter()
            .chain(deals)
            .filter_map(|row| accounts.get(&row["account_key"]))
            .chain(
                deals
                    .iter()
                    .filter_map(|row| contacts.get(&row["contact_key"])),
            )
            .cloned()
            .collect();
        Self {
            accounts,
            contacts,
            used,
        }
    }

    fn account(&self, key: &str) -> Cell {
        Cell::text(self.accounts.get(key).map_or("", String::as_str))
    }

    fn contact(&self, key: &str) -> Cell {
        Cell::text(self.contacts.get(key).map_or("", String::as_str))
    }

    /// In the recycle bin: one in `one_in` of the records nothing refers to.
    fn deleted(&self, id: &str, number: u64, one_in: u64) -> bool {
        !self.used.contains(id) && number.is_multiple_of(one_in)
    }
}

/// Id, owner and audit fields: dates spread over 2023 to 2025, the same in every process.
pub fn base(prefix: &str, number: u64) -> Record {
    let created = 1_672_531_200 + (mix(number * 3 + 1) % 63_000_000) as i64;
    let modified = created + (mix(number * 5 + 2) % 31_000_000) as i64;
    let stamp = modified + (mix(number) % 4) as i64 * 30;
    let owner = Cell::text(user_id((mix(number * 7) % 3) as usize));
    HashMap::from([
        ("Id", Cell::text(id::make(prefix, number))),
        ("IsDeleted", Cell::Bool(false)),
        ("OwnerId", owner.clone()),
        ("CreatedById", owner.clone()),
        ("LastModifiedById", owner),
        ("CreatedDate", Cell::text(instant(created))),
        ("LastModifiedDate", Cell::text(instant(modified))),
        ("SystemModstamp", Cell::text(instant(stamp))),
    ])
}

/// Takes texts and numbers of the same names from a row.
pub fn copy(record: &mut Record, row: &Row, texts: &[&'static str], numbers: &[&'static str]) {
    let value = |name: &str| row.get(name).map_or("", String::as_str);
    for name in texts {
        record.insert(name, Cell::text(value(name)));
    }
    for name in numbers {
        record.insert(name, Cell::number(value(name)));
    }
}

/// A compound address made of the components in a row, or null when all are empty.
pub fn compound(row: &Row, prefix: &str) -> Cell {
    let part = |name: &str| {
        row.get(&format!("{prefix}{name}"))
            .map_or("", String::as_str)
    };
    let parts = ["Street", "City", "State", "PostalCode", "Country"].map(part);
    if parts.iter().all(|p| p.is_empty()) {
        return Cell::Null;
    }
    let street = match parts[0] {
        "" => Value::Null,
        street => street.into(),
    };
    Cell::Object(address(street, parts[1], parts[2], parts[3], parts[4]).into())
}

fn account_records(rows: &[Row], links: &Links) -> Vec<Record> {
    let record = |(row, number): (&Row, u64)| {
        let mut record = base("001", number);
        copy(
            &mut record,
            row,
            &[
                "Name",
                "Type",
                "Industry",
                "Phone",
                "Fax",
                "Website",
                "Description",
                "BillingStreet",
                "BillingCity",
                "BillingState",
                "BillingPostalCode",
                "BillingCountry",
                "ShippingStreet",
                "ShippingCity",
                "ShippingState",
                "ShippingPostalCode",
            ],
            &["NumberOfEmployees", "AnnualRevenue"],
        );
        let id = &links.accounts[&row["key"]];
        record.insert("BillingAddress", compound(row, "Billing"));
        record.insert("ShippingAddress", compound(row, "Shipping"));
        record.insert("IsDeleted", Cell::Bool(links.deleted(id, number, 13)));
        record.insert("ns__LinkedAccount__c", Cell::text(id::make("001", 1)));
        if row["Type"] == "Household" {
            record.insert("RecordTypeId", Cell::text(HOUSEHOLD));
        }
        record.insert("CleanStatus", Cell::text("Pending"));
        record
    };
    rows.iter().zip(1..).map(record).collect()
}

/// A key of another system: unique, and good for upserts.
fn external_key() -> FieldSpec {
    FieldSpec::new("ExternalKey__c", "string")
        .length(64)
        .set("externalId", true)
        .set("unique", true)
        .set("idLookup", true)
}

/// Custom fields of Contact beyond the recorded ones; generated contacts fill them.
fn contact_fields() -> Vec<FieldSpec> {
    vec![
        FieldSpec::new("Score__c", "double").digits(18, 3),
        FieldSpec::new("Visits__c", "double").digits(18, 0),
        FieldSpec::new("Balance__c", "currency").digits(18, 2),
        FieldSpec::new("IsVip__c", "boolean"),
        FieldSpec::new("LastContacted__c", "datetime"),
        external_key(),
    ]
}

fn contact_records(rows: &[Row], links: &Links) -> Vec<Record> {
    let record = |(row, number): (&Row, u64)| {
        let mut record = base("003", number);
        copy(
            &mut record,
            row,
            &[
                "Salutation",
                "FirstName",
                "LastName",
                "Title",
                "Email",
                "Phone",
                "MobilePhone",
                "MailingStreet",
                "MailingCity",
                "MailingState",
                "MailingPostalCode",
                "MailingCountry",
            ],
            &[],
        );
        let name = format!("{} {}", row["FirstName"], row["LastName"]);
        let id = &links.contacts[&row["key"]];
        record.insert("Name", Cell::text(name.trim()));
        record.insert("AccountId", links.account(&row["account_key"]));
        record.insert("MailingAddress", compound(row, "Mailing"));
        record.insert("IsDeleted", Cell::Bool(links.deleted(id, number, 17)));
        if number.is_multiple_of(3) {
            record.insert("Score__c", Cell::number(format!("{number}.125")));
            record.insert("IsVip__c", Cell::Bool(number.is_multiple_of(2)));
        }
        record
    };
    rows.iter().zip(1..).map(record).collect()
}

fn opportunity_records(rows: &[Row], links: &Links) -> Vec<Record> {
    let record = |(row, number): (&Row, u64)| {
        let mut record = base("006", number);
        copy(
            &mut record,
            row,
            &[
                "Name",
                "StageName",
                "CloseDate",
                "Type",
                "LeadSource",
                "NextStep",
                "Description",
            ],
            &["Amount", "Probability"],
        );
        let stage = row["StageName"].as_str();
        let forecast = match stage {
            "Closed Won" => "Closed",
            "Closed Lost" => "Omitted",
            _ => "Pipeline",
        };
        let close = row["CloseDate"].as_str();
        let quarter = close
            .get(5..7)
            .and_then(|month| month.parse::<u32>().ok())
            .map_or(1, |month| (month - 1) / 3 + 1);
        let year = close.get(..4).unwrap_or("2020");
        record.extend([
            ("AccountId", links.account(&row["account_key"])),
            ("ContactId", links.contact(&row["contact_key"])),
            ("IsClosed", Cell::Bool(stage.starts_with("Closed"))),
            ("IsWon", Cell::Bool(stage == "Closed Won")),
            ("ForecastCategory", Cell::text(forecast)),
            ("ForecastCategoryName", Cell::text(forecast)),
            ("FiscalYear", Cell::number(year)),
            ("FiscalQuarter", Cell::number(quarter.to_string())),
            ("Fiscal", Cell::text(format!("{year} {quarter}"))),
            ("IsDeleted", Cell::Bool(number.is_multiple_of(101))),
        ]);
        record
    };
    rows.iter().zip(1..).map(record).collect()
}

fn role_records(rows: &[Row], links: &Links) -> Vec<Record> {
    let record = |(row, number): (&Row, u64)| {
        let contact = links.contact(&row["contact_key"]);
        (contact != Cell::Null).then(|| {
            let mut record = base("00K", number);
            record.insert("OpportunityId", Cell::text(id::make("006", number)));
            record.insert("ContactId", contact);
            record.insert("Role", Cell::text("Decision Maker"));
            record.insert("IsPrimary", Cell::Bool(true));
            record.insert("IsDeleted", Cell::Bool(number.is_multiple_of(101)));
            record
        })
    };
    rows.iter().zip(1..).filter_map(record).collect()
}
