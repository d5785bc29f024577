//! How fast a page of usual size is decoded: `cargo test --release -p crm-dynamics speed -- --nocapture`.

use super::*;
use std::fmt::Write;
use std::time::{Duration, Instant};

const N_RECORDS: usize = 5_000;

/// Twenty-five fields of a contact, as the vendor writes them.
const FIELDS: &[(&str, &str, &str)] = &[
    (
        "contactid",
        "UniqueidentifierType",
        r#""81716234-9628-ed11-9db1-000d3a320482""#,
    ),
    (
        "accountid",
        "LookupType",
        r#""7d716234-9628-ed11-9db1-000d3a320482""#,
    ),
    ("lastname", "StringType", r#""Gonz\u00e1lez""#),
    ("firstname", "StringType", r#""Rose Marie""#),
    ("salutation", "StringType", r#""Ms.""#),
    ("fullname", "StringType", r#""Rose Marie Gonzalez""#),
    (
        "address1_composite",
        "MemoType",
        r#""313 Constitution Place\r\nAustin, TX 78767""#,
    ),
    ("address1_city", "StringType", r#""Austin""#),
    ("address1_postalcode", "StringType", r#""78767""#),
    ("address1_country", "StringType", r#""United States""#),
    ("address1_latitude", "DoubleType", "30.26715"),
    ("address1_longitude", "DoubleType", "-97.74306"),
    ("telephone1", "StringType", r#""(512) 757-6000""#),
    ("emailaddress1", "StringType", r#""rose@edge.example""#),
    ("jobtitle", "StringType", r#""SVP, Procurement""#),
    ("department", "StringType", "null"),
    ("leadsourcecode", "PicklistType", "1"),
    ("birthdate", "DateTimeType:DateOnly", r#""1963-11-14""#),
    ("donotemail", "BooleanType", "false"),
    (
        "ownerid",
        "OwnerType",
        r#""4026be43-6b69-e111-8f65-78e7d1620f5e""#,
    ),
    ("new_score", "DecimalType", "300.00"),
    ("annualincome", "MoneyType", "45000.0000"),
    ("statecode", "StateType", "0"),
    (
        "createdon",
        "DateTimeType:UserLocal",
        r#""2024-01-31T23:59:59Z""#,
    ),
    (
        "modifiedon",
        "DateTimeType:UserLocal",
        r#""2024-02-29T12:00:00Z""#,
    ),
];

#[test]
fn speed_of_a_page() {
    let mut body = r#"{"@odata.context":"https://contoso.crm4.dynamics.com/api/data/v9.2/$metadata#contacts","value":["#.to_owned();
    for record in 0..N_RECORDS {
        let comma = if record == 0 { "" } else { "," };
        let _ = write!(body, r#"{comma}{{"@odata.etag":"W/\"1146626\"""#);
        for (name, remote_type, value) in FIELDS {
            let _ = write!(body, r#","{}":{value}"#, property(name, remote_type));
        }
        body.push('}');
    }
    body.push_str("]}");
    let fields = FIELDS.iter().map(|(name, remote_type, _)| {
        let column_type = Kind::of(remote_type).column_type(false);
        QueryField::plain(name, remote_type, column_type.unwrap())
    });
    let query = RemoteQuery::all("contact", "contactid", fields.collect());
    let decoder = PageDecoder::new(&query, Zone::default(), |_| &[]);
    let n_pages = if cfg!(debug_assertions) { 2 } else { 400 };
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
