//! `AllTypes__c`: one field of every type in section 3.3 and one type of the future, with records that
//! hold what breaks readers: hostile text, long decimals, dates at the bounds, case variants, nulls.

use std::sync::Arc;

use serde_json::{Value, json};

use super::describe::{self, FieldSpec};
use super::id;
use super::organisation::{Record, base};
use super::store::Cell;
use crate::generate::{address, mix};

const ROWS: u64 = 60;
const NAMED: &[&str] = &[
    "Acme",
    "ACME",
    "acme",
    "",
    "Äcme",
    "100% sure",
    "100_ sure",
    "O'Brien \\ Söhne",
    " leading and trailing ",
    "line one\nline two\ttab",
];
/// Digits as the server sends them: with and without a point, with trailing zeros, with an exponent.
const DECIMALS: &[&str] = &[
    "300.0",
    "400",
    "20000.00",
    "0.1",
    "-0.000001",
    "123456789012.123456",
    "0",
    "1.10",
    "-123456789.987654",
    "1.0E7",
    "",
];
const PRECISE: &[&str] = &[
    "12345678901234567890.123456789",
    "0.1000000000000000055511151231257827",
    "9007199254740993",
    "9007199254740992",
    "-0.00000000000000000001",
    "",
];
const DATES: &[&str] = &[
    "1700-01-01",
    "4000-12-31",
    "2024-02-29",
    "1999-12-31",
    "2000-01-01",
    "1969-12-31",
    "",
];
const INSTANTS: &[&str] = &[
    "1700-01-01T00:00:00.000+0000",
    "4000-12-31T00:00:00.000+0000",
    "2024-01-31T23:59:59.999+0000",
    "2024-01-31T23:59:59.000+0000",
    "2024-01-31T23:59:59.001+0000",
    "1969-12-31T23:59:59.500+0000",
    "2024-03-31T01:30:00.000+0000",
    "",
];
const TIMES: &[&str] = &["00:00:00.000Z", "23:59:59.999Z", "14:30:00.000Z", ""];
const MULTI: &[&str] = &["A", "A;B", "A;B;C", "C", "Red & Blue", ""];
const PICKS: &[&str] = &["hot", "warm", "cold", ""];

/// The describe document.
pub fn describe() -> Value {
    let (mut fields, audit) = describe::standard_fields(80);
    let field = FieldSpec::new;
    let letters = [
        ("A", "A"),
        ("B", "B"),
        ("C", "C"),
        ("Red & Blue", "Red & Blue"),
    ];
    let degrees = [
        ("hot", "Hot lead"),
        ("warm", "Warm lead"),
        ("cold", "Cold lead"),
        ("-frozen", "Frozen"),
    ];
    fields.extend([
        describe::owner(),
        field("Account__c", "reference").refers(&["Account"], "Account__r"),
        field("Related__c", "reference").refers(&["Account", "Contact"], "Related__r"),
        field("Text__c", "string").length(255),
        field("ExternalId__c", "string")
            .length(40)
            .set("externalId", true)
            .set("unique", true)
            .set("idLookup", true)
            .set("caseSensitive", true),
        field("BatchKey__c", "string")
            .length(64)
            .set("externalId", true)
            .set("idLookup", true),
        field("AutoNumber__c", "string")
            .length(30)
            .system()
            .set("autoNumber", true),
        field("ShortArea__c", "textarea")
            .length(255)
            .set("extraTypeInfo", "plaintextarea"),
        field("LongText__c", "textarea")
            .length(32_768)
            .set("extraTypeInfo", "plaintextarea"),
        field("RichText__c", "textarea")
            .length(131_072)
            .set("extraTypeInfo", "richtextarea")
            .set("htmlFormatted", true),
        field("Phone__c", "phone"),
        field("Email__c", "email"),
        field("Url__c", "url"),
        field("Pick__c", "picklist").values(&degrees),
        field("RestrictedPick__c", "picklist")
            .values(&letters)
            .set("restrictedPicklist", true),
        field("Multi__c", "multipicklist")
            .length(4_099)
            .values(&letters),
        field("FixedMulti__c", "multipicklist")
            .length(4_099)
            .values(&letters)
            .set("restrictedPicklist", true),
        field("Combo__c", "combobox").values(&letters),
        field("Check__c", "boolean"),
        field("Int__c", "int").set("digits", 10),
        field("Long__c", "long"),
        field("Number__c", "double").digits(18, 6),
        field("Precise__c", "double")
            .digits(38, 20)
            .set("highScaleNumber", true),
        field("Formula__c", "double")
            .digits(18, 2)
            .set("calculated", true)
            .set("calculatedFormula", "Number__c * 2")
            .set("createable", false)
            .set("updateable", false),
        field("Currency__c", "currency").digits(18, 2),
        field("Percent__c", "percent").digits(5, 2),
        field("Date__c", "date"),
        field("DateTime__c", "datetime"),
        field("Time__c", "time"),
        field("Body__c", "base64"),
        field("Address__Street__s", "textarea")
            .length(255)
            .set("compoundFieldName", "Address__c"),
        field("Address__City__s", "string")
            .length(40)
            .set("compoundFieldName", "Address__c"),
        field("Address__PostalCode__s", "string")
            .length(20)
            .set("compoundFieldName", "Address__c"),
        field("Address__c", "address"),
        field("Location__Latitude__s", "double")
            .digits(9, 6)
            .set("compoundFieldName", "Location__c"),
        field("Location__Longitude__s", "double")
            .digits(9, 6)
            .set("compoundFieldName", "Location__c"),
        field("Location__c", "location"),
        field("Any__c", "anyType"),
        field("Secret__c", "encryptedstring")
            .length(40)
            .set("mask", "*")
            .set("maskType", "all"),
        field("Complex__c", "complexvalue"),
        field("Category__c", "datacategorygroupreference").length(80),
        field("Master__c", "masterrecord").length(18),
        field("Json__c", "json"),
        field("Hologram__c", "hologram"),
        field("Total__c", "double").digits(18, 2),
        field("TOTAL__c", "currency").digits(18, 2),
    ]);
    fields.extend(audit);
    describe::object("AllTypes__c", Some("a01"), fields)
}

fn pick(list: &[&'static str], number: u64) -> &'static str {
    list[(number % list.len() as u64) as usize]
}

/// The records; `hostile` strings come first, then the named cases, the last one is all null.
pub fn records(hostile: &[String]) -> Vec<Record> {
    (1..=ROWS)
        .map(|number| {
            let mut record = base("a01", number);
            record.insert("Name", Cell::text(format!("AT-{number:04}")));
            record.insert("AutoNumber__c", Cell::text(format!("A-{number}")));
            record.insert("IsDeleted", Cell::Bool(number == 47 || number == 48));
            record.insert("Check__c", Cell::Bool(number.is_multiple_of(2)));
            if number < ROWS {
                let text = match number.checked_sub(ROWS - NAMED.len() as u64) {
                    Some(place) => NAMED[place as usize].to_owned(),
                    None => hostile
                        .get((number - 1) as usize)
                        .cloned()
                        .unwrap_or_else(|| format!("plain text {number}")),
                };
                fill(&mut record, number, &text);
            }
            record
        })
        .collect()
}

fn fill(record: &mut Record, number: u64, text: &str) {
    let any = match number % 4 {
        0 => Cell::number("42.50"),
        1 => Cell::Bool(true),
        2 => Cell::text("any text"),
        _ => Cell::Null,
    };
    let related = match number % 3 {
        0 => Cell::text(id::make("001", number)),
        1 => Cell::text(id::make("003", number)),
        _ => Cell::Null,
    };
    let account = match number.is_multiple_of(4) {
        true => Cell::Null,
        false => Cell::text(id::make("001", mix(number) % 40 + 1)),
    };
    let street = format!("{number} Market Street\nFloor {}", number % 9);
    let whole_address = address(street.clone().into(), "Zürich", "", "8001", "");
    let location = match number.is_multiple_of(5) {
        true => Cell::Null,
        false => Cell::Object(
            json!({"latitude": 37.7, "longitude": -122.4})
                .to_string()
                .into(),
        ),
    };
    let coordinate = |digits: &str| match location {
        Cell::Null => Cell::Null,
        _ => Cell::number(digits),
    };
    let long = text.repeat(40);
    let short: String = text.chars().take(255).collect();
    record.extend([
        ("Account__c", account),
        ("Related__c", related),
        ("Text__c", Cell::text(&short)),
        (
            "ExternalId__c",
            Cell::text(if number.is_multiple_of(2) {
                format!("Key-{number}")
            } else {
                format!("KEY-{}", number + 1)
            }),
        ),
        ("ShortArea__c", Cell::text(&short)),
        ("LongText__c", Cell::text(&long)),
        (
            "RichText__c",
            Cell::text(format!("<p>{number} &amp; more</p>")),
        ),
        ("Phone__c", Cell::text(format!("(415) 555-{number:04}"))),
        (
            "Email__c",
            Cell::text(format!("row{number}@crm-sandbox.example")),
        ),
        (
            "Url__c",
            Cell::text(format!("https://crm-sandbox.example/{number}?a=b&c=%20")),
        ),
        ("Pick__c", Cell::text(pick(PICKS, number))),
        (
            "RestrictedPick__c",
            Cell::text(pick(&["A", "B", "C", ""], number)),
        ),
        ("Multi__c", Cell::text(pick(MULTI, number))),
        (
            "Combo__c",
            Cell::text(pick(&["A", "free text", ""], number)),
        ),
        (
            "Int__c",
            Cell::number(pick(
                &["0", "-1", "2147483647", "-2147483648", "17", ""],
                number,
            )),
        ),
        (
            "Long__c",
            Cell::number(pick(
                &["9223372036854775807", "-9223372036854775808", "5", ""],
                number,
            )),
        ),
        ("Number__c", Cell::number(pick(DECIMALS, number))),
        ("Precise__c", Cell::number(pick(PRECISE, number))),
        (
            "Formula__c",
            Cell::number(pick(&["600.0", "800", ""], number)),
        ),
        (
            "Currency__c",
            Cell::number(pick(
                &["99999999999999.99", "0.01", "-5.00", "1234.5", ""],
                number,
            )),
        ),
        (
            "Percent__c",
            Cell::number(pick(&["50", "12.5", "100.0", "0.0", ""], number)),
        ),
        ("Date__c", Cell::text(pick(DATES, number))),
        ("DateTime__c", Cell::text(pick(INSTANTS, number))),
        ("Time__c", Cell::text(pick(TIMES, number))),
        (
            "Body__c",
            Cell::Blob(Arc::from(
                format!("blob of row {number}\u{0}\u{1}").into_bytes(),
            )),
        ),
        ("Address__Street__s", Cell::text(&street)),
        ("Address__City__s", Cell::text("Zürich")),
        ("Address__PostalCode__s", Cell::text("8001")),
        ("Address__c", Cell::Object(whole_address.into())),
        ("Location__Latitude__s", coordinate("37.7")),
        ("Location__Longitude__s", coordinate("-122.4")),
        ("Location__c", location),
        ("Any__c", any),
        ("Secret__c", Cell::text("*********")),
        (
            "Complex__c",
            Cell::Object(
                json!({"kind": "rule", "depth": number, "tags": ["a", null]})
                    .to_string()
                    .into(),
            ),
        ),
        ("Category__c", Cell::text("Products")),
        ("Master__c", Cell::text(id::make("a01", 1))),
        (
            "Json__c",
            Cell::text(json!({"n": number, "quote": "\""}).to_string()),
        ),
        ("Hologram__c", Cell::text(format!("hologram {number}"))),
        ("Total__c", Cell::number(format!("{number}.5"))),
        ("TOTAL__c", Cell::number(format!("{}.25", number * 10))),
    ]);
}
