use super::*;
use crm_core::{
    Aggregate, AggregateFunction, ColumnData, ColumnType, ErrorKind, QueryField, parse_date,
    parse_instant,
};

fn query(fields: &[(&str, ColumnType)]) -> RemoteQuery {
    let fields = fields
        .iter()
        .map(|(name, column_type)| QueryField::plain(name, "", *column_type));
    RemoteQuery::all("X", "Id", fields.collect())
}

fn decoder(fields: &[(&str, ColumnType)]) -> PageDecoder {
    PageDecoder::new(&query(fields), Zone::default())
}

fn texts(page: &Page, column: usize) -> Vec<Option<&str>> {
    let column = &page.columns[column];
    (0..page.n_rows).map(|row| column.text(row)).collect()
}

/// The page of one reply of records, each given as JSON.
fn page(fields: &[(&str, ColumnType)], records: &str) -> Page {
    let body = format!(r#"{{"totalSize":1,"done":true,"records":[{records}]}}"#);
    let reply = decoder(fields).query_reply(body.as_bytes()).unwrap();
    for column in &reply.page.columns {
        assert_eq!(column.len(), reply.page.n_rows);
    }
    assert_eq!(reply.page.bytes, body.len());
    reply.page
}

/// The body of one of the recorded exchanges.
fn recorded(name: &str) -> String {
    let all = include_str!("../../tests/fixtures/cumulusci_recordings.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(all).unwrap();
    let one = all.iter().find(|one| one["name"] == name).unwrap();
    one["response"]["body"].as_str().unwrap().to_owned()
}

#[test]
fn the_recorded_query_with_parent_and_children() {
    let body = include_bytes!("../../tests/fixtures/query_success_response.json");
    let reply = decoder(&[
        ("Checkbox_Label", ColumnType::Bool),
        ("Text_Label", ColumnType::Text),
        ("Date_Label", ColumnType::Date),
        ("DateTime_Label", ColumnType::Instant),
        ("Picklist_Multiselect_Label", ColumnType::TextArray),
        ("ParentWhizbang__r.Name", ColumnType::Text),
        ("ParentWhizbang__r.Text_Label", ColumnType::Text),
        ("Absent__c", ColumnType::Numeric),
    ])
    .query_reply(body)
    .unwrap();
    assert_eq!(
        (reply.total_size, reply.done, reply.next),
        (Some(1), Some(true), None)
    );
    let page = reply.page;
    assert_eq!((page.n_rows, page.rejects.len()), (1, 0));
    assert_eq!(page.columns[0].data(), &ColumnData::Bool(vec![false]));
    assert_eq!(texts(&page, 1), [Some("Hi there!")]);
    let day = parse_date("2010-01-01").unwrap();
    assert_eq!(page.columns[2].data(), &ColumnData::Date(vec![day]));
    let instant = parse_instant("2011-07-07T00:37:00Z").unwrap();
    assert_eq!(page.columns[3].data(), &ColumnData::Instant(vec![instant]));
    let ColumnData::TextArray(lists) = page.columns[4].data() else {
        panic!("not a list")
    };
    let parts: Vec<_> = lists.range(0).map(|at| lists.elements().get(at)).collect();
    assert_eq!(parts, ["four", "six"]);
    assert_eq!(texts(&page, 5), [Some("Parent Whizbang")]);
    assert_eq!(texts(&page, 6), [Some("Hello")]);
    assert!(page.columns[7].is_null(0));
}

#[test]
fn recorded_pages_and_their_links() {
    let decoder = decoder(&[("Text_Label", ColumnType::Text)]);
    let first = include_bytes!("../../tests/fixtures/query_paginated_first_page_response.json");
    let first = decoder.query_reply(first).unwrap();
    assert_eq!(
        first.next.as_deref(),
        Some("/services/data/v26.0/query/01gD")
    );
    assert_eq!((first.total_size, first.done), (Some(2), Some(false)));
    assert_eq!(texts(&first.page, 0), [Some("First Page")]);
    let last = include_bytes!("../../tests/fixtures/query_paginated_last_page_response.json");
    let last = decoder.query_reply(last).unwrap();
    assert_eq!((last.done, last.next), (Some(true), None));
    assert_eq!(texts(&last.page, 0), [Some("Last Page")]);
    let empty = include_bytes!("../../tests/fixtures/query_empty_response.json");
    let empty = decoder.query_reply(empty).unwrap();
    assert_eq!((empty.total_size, empty.page.n_rows), (Some(0), 0));
}

#[test]
fn the_recorded_account_with_many_nulls_equals_its_tree() {
    let body = recorded("query_account_41_fields");
    let tree: serde_json::Value = serde_json::from_str(&body).unwrap();
    let records = tree["records"].as_array().unwrap();
    let names: Vec<String> = records[0]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| *name != "attributes")
        .cloned()
        .collect();
    assert!(names.len() > 30);
    let fields: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), ColumnType::Text))
        .collect();
    let page = decoder(&fields).query_reply(body.as_bytes()).unwrap().page;
    assert_eq!((page.n_rows, page.rejects.len()), (records.len(), 0));
    for (row, record) in records.iter().enumerate() {
        for (column, name) in names.iter().enumerate() {
            let expected = match &record[name] {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text.clone()),
                serde_json::Value::Bool(value) => Some(value.to_string()),
                // Numbers and objects come as they are written, which a tree forgets.
                _ => continue,
            };
            let found = page.columns[column].text(row);
            assert_eq!(found, expected.as_deref(), "{name} of record {row}");
        }
    }
}

#[test]
fn numbers_come_as_they_are_written() {
    let written = [
        "300.0",
        "400",
        "20000.00",
        "1.0E7",
        "-0.10",
        "123456789012345678.90",
    ];
    let records: Vec<_> = written
        .iter()
        .map(|n| format!(r#"{{"A":{n},"B":{n}}}"#))
        .collect();
    let page = page(
        &[("A", ColumnType::Numeric), ("B", ColumnType::Text)],
        &records.join(","),
    );
    assert_eq!(texts(&page, 0), written.map(Some));
    assert_eq!(texts(&page, 1), written.map(Some));
}

#[test]
fn names_in_any_order_and_case_missing_twice_and_unknown() {
    let page = page(
        &[
            ("Id", ColumnType::Text),
            ("Name", ColumnType::Text),
            ("Name", ColumnType::Text),
        ],
        r#"{"attributes":{"type":"X"},"Id":"1","Name":"a"},
           {"NAME":"b","extra":[{"Name":"no"}],"ID":"2"},
           {"Id":"3"},
           {"Id":"4","Name":"c","Name":"d","Id":"5"},
           {}"#,
    );
    assert_eq!(page.n_rows, 5);
    assert_eq!(
        texts(&page, 0),
        [Some("1"), Some("2"), Some("3"), Some("4"), None]
    );
    let expected = [Some("a"), Some("b"), None, Some("c"), None];
    assert_eq!(texts(&page, 1), expected);
    // A field wanted by two columns comes once and fills both.
    assert_eq!(texts(&page, 2), expected);
}

#[test]
fn names_that_differ_in_case_only_are_kept_apart() {
    let fields = [
        ("Total__c", ColumnType::Numeric),
        ("TOTAL__c", ColumnType::Numeric),
        ("owner.Id", ColumnType::Text),
        ("Owner.Name", ColumnType::Text),
    ];
    let page = page(
        &fields,
        r#"{"Total__c":1,"TOTAL__c":2,"Owner":{"Id":"o","Name":"n"}},
           {"TOTAL__c":4,"Total__c":3,"owner":null}"#,
    );
    assert_eq!(texts(&page, 0), [Some("1"), Some("3")]);
    assert_eq!(texts(&page, 1), [Some("2"), Some("4")]);
    assert_eq!(texts(&page, 2), [Some("o"), None]);
    assert_eq!(texts(&page, 3), [Some("n"), None]);
}

#[test]
fn parents_deep_absent_and_of_another_form() {
    let page = page(
        &[
            ("Owner.Name", ColumnType::Text),
            ("Owner.Manager.Name", ColumnType::Text),
            ("Owner.Manager.Age__c", ColumnType::Int32),
        ],
        r#"{"Owner":{"attributes":{},"Manager":{"Age__c":7.0,"Name":"m\u0031"},"Name":"o"}},
           {"Owner":null},
           {"Owner":{"Name":"p","Manager":null}},
           {"Owner":"text"},
           {}"#,
    );
    assert_eq!(texts(&page, 0), [Some("o"), None, Some("p"), None, None]);
    assert_eq!(texts(&page, 1), [Some("m1"), None, None, None, None]);
    assert_eq!(
        page.columns[2].data(),
        &ColumnData::Int32(vec![7, 0, 0, 0, 0])
    );
    assert!(!page.columns[2].is_null(0) && page.columns[2].is_null(1));
}

#[test]
fn escapes_are_undone() {
    let page = page(
        &[("A", ColumnType::Text)],
        r#"{"A":"q\" b\\ s\/ n\n t\t u\u00e9 \ud83d\ude00"},{"A":""},{"A":"plain é 😀"}"#,
    );
    assert_eq!(
        texts(&page, 0),
        [
            Some("q\" b\\ s/ n\n t\t ué 😀"),
            Some(""),
            Some("plain é 😀")
        ]
    );
}

#[test]
fn what_does_not_convert_is_a_reject_and_null() {
    let long = "x".repeat(1_000);
    let page = page(
        &[
            ("Id", ColumnType::Text),
            ("N", ColumnType::Int32),
            ("T", ColumnType::Text),
        ],
        &format!(
            r#"{{"Id":"1","N":"word","T":"good"}},
               {{"Id":"2","N":3000000000,"T":"half \ud83d"}},
               {{"Id":"3","N":5,"T":"zero \u0000"}},
               {{"Id":"4","N":"{long}","T":null}}"#
        ),
    );
    assert_eq!(page.n_rows, 4);
    assert_eq!(page.columns[1].data(), &ColumnData::Int32(vec![0, 0, 5, 0]));
    assert_eq!(texts(&page, 2), [Some("good"), None, None, None]);
    let rejects: Vec<_> = page.rejects.iter().map(|r| (r.row, r.column)).collect();
    assert_eq!(rejects, [(0, 1), (1, 1), (1, 2), (2, 2), (3, 1)]);
    assert_eq!(page.rejects[0].raw, "word");
    assert!(page.rejects[4].raw.len() < 300);
}

#[test]
fn objects_in_json_columns_and_elsewhere() {
    let page = page(
        &[("A", ColumnType::Json), ("A", ColumnType::Numeric)],
        r#"{"A":{"latitude":37.70,"longitude":-122.4}},{"A":null},{"A":1}"#,
    );
    assert_eq!(
        texts(&page, 0),
        [
            Some(r#"{"latitude":37.70,"longitude":-122.4}"#),
            None,
            Some("1")
        ]
    );
    assert_eq!(texts(&page, 1), [None, None, Some("1")]);
    assert_eq!(page.rejects.len(), 1);
}

#[test]
fn the_envelope_in_any_order_and_incomplete() {
    let decoder = decoder(&[("A", ColumnType::Text)]);
    let reply = decoder
        .query_reply(
            br#" {"records":[{"A":"1"}],"new":{"x":[]},"nextRecordsUrl":"/n","done":false,"totalSize":-1} "#,
        )
        .unwrap();
    assert_eq!((reply.total_size, reply.done), (Some(-1), Some(false)));
    assert_eq!((reply.next.as_deref(), reply.page.n_rows), (Some("/n"), 1));
    let bare = decoder.query_reply(br#"{"records":null}"#).unwrap();
    assert_eq!(
        (bare.total_size, bare.done, bare.page.n_rows),
        (None, None, 0)
    );
}

#[test]
fn retrieved_records_leave_out_those_not_found() {
    let decoder = decoder(&[("Id", ColumnType::Text)]);
    let page = decoder
        .record_list(br#"[null,{"Id":"1"},null,{"Id":"2"}]"#)
        .unwrap();
    assert_eq!(texts(&page, 0), [Some("1"), Some("2")]);
    assert_eq!(decoder.record_list(b"[]").unwrap().n_rows, 0);
    assert!(decoder.record_list(b"{}").is_err());
    assert!(decoder.record_list(b"[1]").is_err());
}

#[test]
fn aggregates_and_counts() {
    let mut asked = query(&[("", ColumnType::Numeric), ("", ColumnType::Date)]);
    asked.aggregates = vec![
        Aggregate {
            function: AggregateFunction::Max,
            field: "A".into(),
        },
        Aggregate {
            function: AggregateFunction::Min,
            field: "B".into(),
        },
    ];
    let decoder = PageDecoder::new(&asked, Zone::default());
    let body = br#"{"totalSize":1,"done":true,"records":[{"attributes":{"type":"AggregateResult"},"a0":300.0,"a1":null}]}"#;
    let page = decoder.query_reply(body).unwrap().page;
    assert_eq!(texts(&page, 0), [Some("300.0")]);
    assert!(page.columns[1].is_null(0));

    let counted = decoder_of_count().count_page(42, 7);
    assert_eq!(counted.columns[0].data(), &ColumnData::Int64(vec![42]));
    assert_eq!((counted.n_rows, counted.bytes), (1, 7));
}

fn decoder_of_count() -> PageDecoder {
    decoder(&[("", ColumnType::Int64)])
}

#[test]
fn what_is_no_page_is_refused_without_being_shown() {
    let decoder = decoder(&[("A", ColumnType::Text)]);
    let deep = format!(
        r#"{{"records":[{{"A":{}{}}}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let deep_records = format!(r#"{{"records":{}"#, "[".repeat(100_000));
    let cases: &[&[u8]] = &[
        b"",
        b"null",
        b"[]",
        b"{}",
        b"TEST-text",
        br#"{"records":"TEST-text"}"#,
        br#"{"records":["TEST-text"]}"#,
        br#"{"records":[{"A":"TEST-text"}"#,
        br#"{"records":[{"A":"TEST-text"}]} trailing"#,
        br#"{"records":[{"A":"TEST-te"#,
        b"{\"records\":[{\"A\":\"TEST-\xff\"}]}",
        b"{\"records\":[{\"A\":\"TEST-\n\"}]}",
        br#"{"records":[],"totalSize":"TEST-text"}"#,
        br#"[{"errorCode":"TEST-text"}]"#,
        b"  <html>TEST-text</html>",
        deep.as_bytes(),
        deep_records.as_bytes(),
    ];
    for body in cases {
        let error = decoder.query_reply(body).unwrap_err();
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{shown}");
        assert!(!format!("{error:?}").contains("TEST"), "{error:?}");
    }
    // Depth in what nobody asked for does no harm.
    let ignored = deep.replace("\"A\"", "\"B\"");
    assert_eq!(
        decoder.query_reply(ignored.as_bytes()).unwrap().page.n_rows,
        1
    );
}

#[test]
fn a_reject_names_its_record_though_the_identifier_was_not_asked_for() {
    let page = page(
        &[("Age__c", ColumnType::Int32)],
        r#"{"attributes":{"type":"X","url":"/services/data/v66.0/sobjects/X/001D000000IRFmaIAH"},"Age__c":"old"},
           {"Age__c":"older"}"#,
    );
    let records: Vec<_> = page
        .rejects
        .iter()
        .map(|reject| reject.record.as_deref())
        .collect();
    assert_eq!(records, [Some("001D000000IRFmaIAH"), None]);
}
