//! How fast a page of usual size is decoded: `cargo test --release -p crm-salesforce speed -- --nocapture`.

use super::*;
use crm_core::{ColumnType, QueryField};
use std::fmt::Write;
use std::time::{Duration, Instant};

const N_RECORDS: usize = 2_000;

/// Twenty-five fields of a contact, about 810 bytes a record as Salesforce writes them.
const FIELDS: &[(&str, ColumnType, &str)] = &[
    ("Id", ColumnType::Text, r#""0035g00000AbCdEAAV""#),
    ("IsDeleted", ColumnType::Bool, "false"),
    ("AccountId", ColumnType::Text, r#""0015g00000XyZaBAAV""#),
    ("LastName", ColumnType::Text, r#""Gonz\u00e1lez""#),
    ("FirstName", ColumnType::Text, r#""Rose Marie""#),
    ("Salutation", ColumnType::Text, r#""Ms.""#),
    ("Name", ColumnType::Text, r#""Rose Marie Gonzalez""#),
    (
        "MailingStreet",
        ColumnType::Text,
        r#""313 Constitution Place\nAustin, TX 78767""#,
    ),
    ("MailingCity", ColumnType::Text, r#""Austin""#),
    ("MailingPostalCode", ColumnType::Text, r#""78767""#),
    ("MailingCountry", ColumnType::Text, r#""United States""#),
    ("MailingLatitude", ColumnType::Numeric, "30.267153"),
    ("MailingLongitude", ColumnType::Numeric, "-97.743061"),
    ("Phone", ColumnType::Text, r#""(512) 757-6000""#),
    ("Email", ColumnType::Text, r#""rose@edge.example""#),
    ("Title", ColumnType::Text, r#""SVP, Procurement""#),
    ("Department", ColumnType::Text, "null"),
    ("LeadSource", ColumnType::Text, r#""Trade Show""#),
    ("Birthdate", ColumnType::Date, r#""1963-11-14""#),
    ("HasOptedOutOfEmail", ColumnType::Bool, "false"),
    ("OwnerId", ColumnType::Text, r#""0055g00000AbCdEAAV""#),
    ("Score__c", ColumnType::Numeric, "300.0"),
    (
        "CreatedDate",
        ColumnType::Instant,
        r#""2024-01-31T23:59:59.000+0000""#,
    ),
    (
        "LastModifiedDate",
        ColumnType::Instant,
        r#""2024-02-29T12:00:00.000+0000""#,
    ),
    (
        "SystemModstamp",
        ColumnType::Instant,
        r#""2024-02-29T12:00:00.000+0000""#,
    ),
];

#[test]
fn speed_of_a_page() {
    let mut body = format!(r#"{{"totalSize":{N_RECORDS},"done":true,"records":["#);
    for record in 0..N_RECORDS {
        let comma = if record == 0 { "" } else { "," };
        let _ = write!(
            body,
            r#"{comma}{{"attributes":{{"type":"Contact","url":"/services/data/v66.0/sobjects/Contact/0035g00000AbCdEAAV"}}"#
        );
        for (name, _, value) in FIELDS {
            let _ = write!(body, r#","{name}":{value}"#);
        }
        body.push('}');
    }
    body.push_str("]}");
    let fields = FIELDS
        .iter()
        .map(|(name, column_type, _)| QueryField::plain(name, "", *column_type));
    let query = RemoteQuery::all("Contact", "Id", fields.collect());
    let decoder = PageDecoder::new(&query, Zone::default());
    let n_pages = if cfg!(debug_assertions) { 2 } else { 1000 };
    let mut best = Duration::MAX;
    for _ in 0..n_pages {
        let began = Instant::now();
        let page = decoder.query_reply(body.as_bytes()).unwrap().page;
        best = best.min(began.elapsed());
        assert_eq!((page.n_rows, page.rejects.len()), (N_RECORDS, 0));
    }
    println!(
        "{:.2} million records a second, {} bytes a record",
        N_RECORDS as f64 / best.as_secs_f64() / 1e6,
        body.len() / N_RECORDS
    );
}
