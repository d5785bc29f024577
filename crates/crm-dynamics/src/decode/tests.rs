use super::*;
use crm_core::{ColumnData, parse_date, parse_instant};
use proptest::prelude::*;

fn query(fields: &[(&str, &str, ColumnType)]) -> RemoteQuery {
    let fields = fields
        .iter()
        .map(|(name, remote_type, column_type)| QueryField::plain(name, remote_type, *column_type));
    RemoteQuery::all("account", "accountid", fields.collect())
}

fn decoder(fields: &[(&str, &str, ColumnType)]) -> PageDecoder {
    PageDecoder::new(&query(fields), "Europe/Vienna".parse().unwrap(), |_| &[])
}

fn texts(page: &Page, column: usize) -> Vec<Option<&str>> {
    let column = &page.columns[column];
    (0..page.n_rows).map(|row| column.text(row)).collect()
}

fn recorded(name: &str) -> String {
    let all = include_str!("../../tests/fixtures/webapi_exchanges.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(all).unwrap();
    let one = all.iter().find(|one| one["name"] == name).unwrap();
    one["response"]["body"].as_str().unwrap().to_owned()
}

#[test]
fn recorded_pages_are_read() {
    let body = recorded("contacts_page_1_of_3");
    let mut wanted = query(&[
        ("contactid", "UniqueidentifierType", ColumnType::Uuid),
        ("fullname", "StringType", ColumnType::Text),
        ("annualincome", "MoneyType", ColumnType::Numeric),
        ("transactioncurrencyid", "LookupType", ColumnType::Text),
        (
            "transactioncurrencyid@type",
            "LookupTarget",
            ColumnType::Text,
        ),
        ("nickname", "StringType", ColumnType::Text),
    ]);
    wanted.identifier = "contactid".into();
    let decoder = PageDecoder::new(&wanted, Zone::default(), |_| &[]);
    let reply = decoder.query_reply(body.as_bytes()).unwrap();
    assert_eq!(reply.page.n_rows, 4);
    assert!(reply.page.rejects.is_empty());
    assert!(
        reply
            .next
            .unwrap()
            .contains("$skiptoken=%3Ccookie%20pagenumber=%222%22")
    );
    assert_eq!(texts(&reply.page, 1)[0], Some("Yvonne McKay (sample)"));
    assert_eq!(
        texts(&reply.page, 2)[..2],
        [Some("45000.0"), Some("52000.0")]
    );
    let currency = Some("daf76074-6820-ed11-b83b-00224802b2ac");
    assert_eq!(texts(&reply.page, 3)[0], currency);
    assert_eq!(texts(&reply.page, 4)[0], Some("transactioncurrency"));
    // What a record does not hold is null.
    assert_eq!(texts(&reply.page, 5), [None; 4]);
    let body = recorded("account_top_1");
    let money = self::decoder(&[("revenue", "MoneyType", ColumnType::Numeric)]);
    let reply = money.query_reply(body.as_bytes()).unwrap();
    assert_eq!(texts(&reply.page, 0), [Some("20000.0000")]);
    assert_eq!(reply.next, None);
}

#[test]
fn dates_by_their_behaviour() {
    let body =
        br#"{"value":[{"a":"2016-07-28T22:57:53Z","b":"2016-07-28T22:57:53Z","c":"2016-07-28"}]}"#;
    let fields = [
        ("a", "DateTimeType:UserLocal", ColumnType::Instant),
        (
            "b",
            "DateTimeType:TimeZoneIndependent",
            ColumnType::Timestamp,
        ),
        ("c", "DateTimeType:DateOnly", ColumnType::Date),
        ("a", "DateTimeType:UserLocal", ColumnType::Timestamp),
        ("a", "DateTimeType:UserLocal", ColumnType::Date),
        ("b", "DateTimeType:TimeZoneIndependent", ColumnType::Date),
    ];
    let mut wanted = query(&fields);
    wanted.fields[4].conversion = Conversion::DateOnly;
    wanted.fields[5].conversion = Conversion::DateOnly;
    let decoder = PageDecoder::new(&wanted, "Europe/Vienna".parse().unwrap(), |_| &[]);
    let page = decoder.query_reply(body).unwrap().page;
    let at = parse_instant("2016-07-28T22:57:53Z").unwrap();
    let (day, next) = (
        parse_date("2016-07-28").unwrap(),
        parse_date("2016-07-29").unwrap(),
    );
    let expected = [
        ColumnData::Instant(vec![at]),
        // The wall clock's digits stay, whatever the account's zone.
        ColumnData::Timestamp(vec![at]),
        ColumnData::Date(vec![day]),
        ColumnData::Timestamp(vec![at + 7_200_000_000]),
        ColumnData::Date(vec![next]),
        ColumnData::Date(vec![day]),
    ];
    assert!(page.rejects.is_empty(), "{:?}", page.rejects);
    for (column, expected) in page.columns.iter().zip(expected) {
        assert_eq!(*column.data(), expected);
    }
}

#[test]
fn option_sets_as_numbers_and_as_labels() {
    let value = |value: &str, label: &str| EnumerationValue {
        value: value.into(),
        label: label.into(),
        active: true,
        is_default: false,
        controlling: None,
        variants: None,
    };
    let values = [value("1", "Hot; now"), value("2", "Warm")];
    let wanted = query(&[
        ("rating", "PicklistType", ColumnType::Int32),
        ("rating", "PicklistType", ColumnType::Text),
        ("tags", "MultiSelectPicklistType", ColumnType::Int32Array),
        ("tags", "MultiSelectPicklistType", ColumnType::TextArray),
        ("tags", "MultiSelectPicklistType", ColumnType::Text),
    ]);
    let decoder = PageDecoder::new(&wanted, Zone::default(), |_| &values);
    let body = br#"{"value":[{"rating":1,"tags":"1,2"},{"rating":7,"tags":"2"},{"rating":null,"tags":null}]}"#;
    let page = decoder.query_reply(body).unwrap().page;
    assert_eq!(*page.columns[0].data(), ColumnData::Int32(vec![1, 7, 0]));
    assert_eq!(texts(&page, 1), [Some("Hot; now"), Some("7"), None]);
    let ColumnData::Int32Array(numbers) = page.columns[2].data() else {
        panic!("{:?}", page.columns[2]);
    };
    assert_eq!(numbers.elements()[numbers.range(0)], [1, 2]);
    let ColumnData::TextArray(labels) = page.columns[3].data() else {
        panic!("{:?}", page.columns[3]);
    };
    let range = labels.range(0);
    let labels: Vec<_> = range.map(|at| labels.elements().get(at)).collect();
    assert_eq!(labels, ["Hot; now", "Warm"]);
    assert_eq!(texts(&page, 4), [Some("1,2"), Some("2"), None]);
}

#[test]
fn values_that_do_not_convert_name_their_record() {
    let body = br#"{"value":[
        {"@odata.etag":"W/\"1\"","n":"x","accountid":"6BA7B810-9DAD-11D1-80B4-00C04FD430C8"},
        {"n":5,"t":"a\u0000b"},{"t":"\ud800"}]}"#;
    let decoder = decoder(&[
        ("n", "IntegerType", ColumnType::Int32),
        ("t", "StringType", ColumnType::Text),
    ]);
    let page = decoder.query_reply(body).unwrap().page;
    assert_eq!(page.n_rows, 3);
    let rejects: Vec<_> = page
        .rejects
        .iter()
        .map(|reject| (reject.row, reject.column))
        .collect();
    assert_eq!(rejects, [(0, 0), (1, 1), (2, 1)]);
    let record = page.rejects[0].record.as_deref();
    assert_eq!(record, Some("6ba7b810-9dad-11d1-80b4-00c04fd430c8"));
    assert_eq!(page.rejects[1].record, None);
}

#[test]
fn replies_that_are_none() {
    let decoder = decoder(&[("name", "StringType", ColumnType::Text)]);
    let unasked = format!(
        r#"{{"value":[{{"x":{}1{}}}]}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    let deep = format!(
        r#"{{"value":[{{"name":{}1{}}}]}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    for body in [
        &b""[..],
        b"<html><body>Sign in</body></html>",
        b"[]",
        b"{}",
        br#"{"value":{}}"#,
        br#"{"value":[1]}"#,
        br#"{"value":[null]}"#,
        br#"{"value":[{"name":"a"}]"#,
        br#"{"value":[{"name":"a"}]} x"#,
        br#"{"value":[{"name":"a"},]}"#,
        br#"{"value":[],"@odata.nextLink":5}"#,
        b"{\"value\":[{\"name\":\"\xff\"}]}",
        deep.as_bytes(),
        unasked.as_bytes(),
    ] {
        let error = decoder.query_reply(body).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::Undecodable,
            "{}",
            body.escape_ascii()
        );
    }
    let fault =
        br#"{"value":[{"name":"a"}],"error":{"code":"0x80044151","message":"SQL timeout"}}"#;
    let error = decoder.query_reply(fault).unwrap_err();
    assert_eq!(error.code(), Some("0x80044151"));
}

#[test]
fn a_property_that_comes_twice_counts_once() {
    let body = br#"{"value":[{"name":"a","name":"b"},{"other":{"name":"c"}}]}"#;
    let decoder = decoder(&[
        ("name", "StringType", ColumnType::Text),
        ("name", "StringType", ColumnType::Text),
    ]);
    let page = decoder.query_reply(body).unwrap().page;
    assert_eq!(texts(&page, 0), [Some("a"), None]);
    assert_eq!(texts(&page, 1), [Some("a"), None]);
}

proptest! {
    #[test]
    fn whatever_comes_is_no_panic(body in prop::collection::vec(any::<u8>(), 0..200), cut in 0..400_usize) {
        let decoder = decoder(&[("name", "StringType", ColumnType::Text)]);
        drop(decoder.query_reply(&body));
        let whole = recorded("contacts_page_1_of_3");
        let end = whole.floor_char_boundary(cut * whole.len() / 400);
        let cut = &whole.as_bytes()[..end];
        prop_assert!(decoder.query_reply(cut).is_err());
    }

    /// Properties come in any order, with notes between them.
    #[test]
    fn the_order_of_properties_is_free(order in Just(vec![0, 1, 2, 3]).prop_shuffle()) {
        let parts = [r#""name":"a""#, r#""@odata.etag":"W""#, r#""n":5"#, r#""n@x.y":"five""#];
        let record: Vec<_> = order.iter().map(|at| parts[*at]).collect();
        let body = format!(r#"{{"value":[{{{}}}]}}"#, record.join(","));
        let decoder = decoder(&[
            ("n", "IntegerType", ColumnType::Int32),
            ("name", "StringType", ColumnType::Text),
        ]);
        let page = decoder.query_reply(body.as_bytes()).unwrap().page;
        prop_assert_eq!(page.columns[0].data(), &ColumnData::Int32(vec![5]));
        prop_assert_eq!(texts(&page, 1), [Some("a")]);
    }
}
