//! How fast a page of usual size is decoded: `cargo test --release -p crm-dynamics speed -- --nocapture`.

use super::*;
use crm_core::{ColumnType, QueryField};
use std::fmt::Write;
use std::time::{Duration, Instant};

const N_RECORDS: usize = 2_000;

/// Twenty-five attributes of a contact as the service writes them: name, column, type, value.
const FIELDS: &[(&str, ColumnType, &str, &str)] = &[
    (
        "contactid",
        ColumnType::Uuid,
        "g:guid",
        "7bf2e032-ad92-e311-9752-6c3be5a87df0",
    ),
    ("lastname", ColumnType::Text, "x:string", "González"),
    ("firstname", ColumnType::Text, "x:string", "Rose Marie"),
    ("salutation", ColumnType::Text, "x:string", "Ms."),
    (
        "fullname",
        ColumnType::Text,
        "x:string",
        "Rose Marie Gonzalez",
    ),
    (
        "address1_line1",
        ColumnType::Text,
        "x:string",
        "313 Constitution Place",
    ),
    ("address1_city", ColumnType::Text, "x:string", "Austin"),
    ("address1_postalcode", ColumnType::Text, "x:string", "78767"),
    (
        "address1_country",
        ColumnType::Text,
        "x:string",
        "United States",
    ),
    (
        "address1_latitude",
        ColumnType::Float64,
        "x:double",
        "30.267153",
    ),
    (
        "address1_longitude",
        ColumnType::Float64,
        "x:double",
        "-97.743061",
    ),
    ("telephone1", ColumnType::Text, "x:string", "(512) 757-6000"),
    (
        "emailaddress1",
        ColumnType::Text,
        "x:string",
        "rose@edge.example",
    ),
    (
        "jobtitle",
        ColumnType::Text,
        "x:string",
        "SVP, Procurement &amp; More",
    ),
    ("department", ColumnType::Text, "x:string", "Procurement"),
    (
        "leadsourcecode",
        ColumnType::Int32,
        "b:OptionSetValue",
        "<b:Value>1</b:Value>",
    ),
    (
        "birthdate",
        ColumnType::Date,
        "x:dateTime",
        "1963-11-14T00:00:00Z",
    ),
    ("donotbulkemail", ColumnType::Bool, "x:boolean", "false"),
    (
        "ownerid",
        ColumnType::Uuid,
        "b:EntityReference",
        "<b:Id>1bfa3886-df7e-468c-8435-b5adfb0441ed</b:Id><b:KeyAttributes/><b:LogicalName>systemuser</b:LogicalName><b:Name>Jane Roe</b:Name><b:RowVersion i:nil=\"true\"/>",
    ),
    (
        "creditlimit",
        ColumnType::Numeric,
        "b:Money",
        "<b:Value>300.0000</b:Value>",
    ),
    (
        "statecode",
        ColumnType::Int32,
        "b:OptionSetValue",
        "<b:Value>0</b:Value>",
    ),
    (
        "statuscode",
        ColumnType::Int32,
        "b:OptionSetValue",
        "<b:Value>1</b:Value>",
    ),
    ("numberofchildren", ColumnType::Int32, "x:int", "2"),
    (
        "createdon",
        ColumnType::Instant,
        "x:dateTime",
        "2024-01-31T23:59:59Z",
    ),
    (
        "modifiedon",
        ColumnType::Instant,
        "x:dateTime",
        "2024-02-29T12:00:00Z",
    ),
];

#[test]
fn speed_of_a_page() {
    let mut body = String::from(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://www.w3.org/2005/08/addressing" xmlns:u="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><s:Body><RetrieveMultipleResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><RetrieveMultipleResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><b:Entities>"#,
    );
    for _ in 0..N_RECORDS {
        body.push_str(r#"<b:Entity><b:Attributes xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic">"#);
        for (name, _, type_word, value) in FIELDS {
            // Each value declares the namespace of its own type.
            let declared = match &type_word[..1] {
                "g" => r#" xmlns:g="http://schemas.microsoft.com/2003/10/Serialization/""#,
                "x" => r#" xmlns:x="http://www.w3.org/2001/XMLSchema""#,
                _ => "",
            };
            let _ = write!(
                body,
                r#"<b:KeyValuePairOfstringanyType><c:key>{name}</c:key><c:value i:type="{type_word}"{declared}>{value}</c:value></b:KeyValuePairOfstringanyType>"#
            );
        }
        body.push_str(r#"</b:Attributes><b:EntityState i:nil="true"/><b:FormattedValues/><b:Id>7bf2e032-ad92-e311-9752-6c3be5a87df0</b:Id><b:KeyAttributes/><b:LogicalName>contact</b:LogicalName><b:RelatedEntities/><b:RowVersion>470867</b:RowVersion></b:Entity>"#);
    }
    body.push_str("</b:Entities><b:EntityName>contact</b:EntityName><b:MoreRecords>false</b:MoreRecords></RetrieveMultipleResult></RetrieveMultipleResponse></s:Body></s:Envelope>");
    let fields = FIELDS.iter().map(|(name, column_type, _, _)| {
        let remote_type = match column_type {
            ColumnType::Date => "DateTimeType:DateOnly",
            _ => "",
        };
        QueryField::plain(name, remote_type, *column_type)
    });
    let query = RemoteQuery::all("contact", "contactid", fields.collect());
    let decoder = RecordDecoder::new(&query, Zone::default(), |_| &[]);
    let n_pages = if cfg!(debug_assertions) { 2 } else { 300 };
    let mut best = Duration::MAX;
    for _ in 0..n_pages {
        let began = Instant::now();
        let page = decoder.answer(body.as_bytes()).unwrap().page;
        best = best.min(began.elapsed());
        assert_eq!((page.n_rows, page.rejects.len()), (N_RECORDS, 0));
    }
    println!(
        "{:.2} million records a second, {} bytes a record",
        N_RECORDS as f64 / best.as_secs_f64() / 1e6,
        body.len() / N_RECORDS
    );
}
