use super::*;
use crm_core::{ColumnData, ColumnType, ErrorKind, QueryField, parse_date, parse_instant};

const ACCOUNTS: &str = include_str!("../../../tests/fixtures/soap/retrieve_multiple_result.xml");
const ID: &str = "7bf2e032-ad92-e311-9752-6c3be5a87df0";

fn decoder(fields: &[(&str, &str, ColumnType)]) -> RecordDecoder {
    let fields = fields
        .iter()
        .map(|(name, remote_type, column_type)| QueryField::plain(name, remote_type, *column_type));
    let query = RemoteQuery::all("account", "accountid", fields.collect());
    RecordDecoder::new(&query, "America/New_York".parse().unwrap(), |_| &[])
}

/// An answer of one account with these attributes.
fn account(attributes: &str) -> String {
    format!(
        r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><RetrieveMultipleResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><RetrieveMultipleResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:g="http://schemas.microsoft.com/2003/10/Serialization/" xmlns:o="http://schemas.microsoft.com/xrm/9.0/Contracts"><b:Entities><b:Entity><b:Attributes>{attributes}</b:Attributes><b:EntityState i:nil="true"/><b:FormattedValues/><b:Id>{ID}</b:Id><b:LogicalName>account</b:LogicalName><b:RelatedEntities/></b:Entity></b:Entities><b:EntityName>account</b:EntityName><b:MoreRecords>false</b:MoreRecords><b:PagingCookie i:nil="true"/></RetrieveMultipleResult></RetrieveMultipleResponse></s:Body></s:Envelope>"#
    )
}

fn pair(key: &str, attributes: &str, value: &str) -> String {
    format!(
        "<b:KeyValuePairOfstringanyType><c:key>{key}</c:key><c:value {attributes}>{value}</c:value></b:KeyValuePairOfstringanyType>"
    )
}

/// The one cell of a field in an answer of one account.
fn cell_of(remote_type: &str, column_type: ColumnType, attributes: &str, value: &str) -> Page {
    let decoder = decoder(&[("f", remote_type, column_type)]);
    decoder
        .answer(account(&pair("f", attributes, value)).as_bytes())
        .unwrap()
        .page
}

#[test]
fn the_recorded_page() {
    let decoder = decoder(&[
        ("accountid", "UniqueidentifierType", ColumnType::Text),
        ("name", "StringType", ColumnType::Text),
    ]);
    let answered = decoder.answer(ACCOUNTS.as_bytes()).unwrap();
    assert_eq!(answered.page.n_rows, 3);
    assert_eq!(answered.page.columns[0].text(0), Some(ID));
    assert!((0..3).all(|row| answered.page.columns[1].is_null(row)));
    assert!(!answered.rest.more);
    assert!(
        answered
            .rest
            .cookie
            .unwrap()
            .starts_with("<cookie page=\"1\"><accountid last=\"{BC73")
    );
}

#[test]
fn values_of_all_types() {
    let wrapped = |inner: &str| format!("<b:Value>{inner}</b:Value>");
    for (remote_type, column_type, attributes, value, expected) in [
        (
            "IntegerType",
            ColumnType::Int32,
            "i:type='x:int'",
            "-5".to_owned(),
            ColumnData::Int32(vec![-5]),
        ),
        (
            "BigIntType",
            ColumnType::Int64,
            "i:type='x:long'",
            "9007199254740993".into(),
            ColumnData::Int64(vec![9_007_199_254_740_993]),
        ),
        (
            "DoubleType",
            ColumnType::Float64,
            "i:type='x:double'",
            "47.63958".into(),
            ColumnData::Float64(vec![47.63958]),
        ),
        (
            "BooleanType",
            ColumnType::Bool,
            "i:type='x:boolean'",
            "true".into(),
            ColumnData::Bool(vec![true]),
        ),
        (
            "PicklistType",
            ColumnType::Int32,
            "i:type='b:OptionSetValue'",
            wrapped("3"),
            ColumnData::Int32(vec![3]),
        ),
        (
            "DateTimeType:UserLocal",
            ColumnType::Instant,
            "i:type='x:dateTime'",
            "2014-03-04T14:59:23Z".into(),
            ColumnData::Instant(vec![parse_instant("2014-03-04T14:59:23Z").unwrap()]),
        ),
        (
            "DateTimeType:TimeZoneIndependent",
            ColumnType::Timestamp,
            "i:type='x:dateTime'",
            "2014-03-04T14:59:23Z".into(),
            ColumnData::Timestamp(vec![parse_instant("2014-03-04T14:59:23Z").unwrap()]),
        ),
        (
            "DateTimeType:DateOnly",
            ColumnType::Date,
            "i:type='x:dateTime'",
            "2014-03-04T00:00:00Z".into(),
            ColumnData::Date(vec![parse_date("2014-03-04").unwrap()]),
        ),
    ] {
        let page = cell_of(remote_type, column_type, attributes, &value);
        assert_eq!(page.columns[0].data(), &expected, "{remote_type}");
        assert!(page.rejects.is_empty(), "{remote_type}");
    }
    for (remote_type, column_type, attributes, value, expected) in [
        (
            "StringType",
            ColumnType::Text,
            "i:type='x:string'",
            "a&lt;b&#xD;",
            Some("a<b\r"),
        ),
        (
            "StringType",
            ColumnType::Text,
            "i:type='x:string'",
            "",
            Some(""),
        ),
        (
            "MoneyType",
            ColumnType::Numeric,
            "i:type='b:Money'",
            "<b:Value>20000.0000</b:Value>",
            Some("20000.0000"),
        ),
        (
            "DecimalType",
            ColumnType::Numeric,
            "i:type='x:decimal'",
            "0.10",
            Some("0.10"),
        ),
        (
            "UniqueidentifierType",
            ColumnType::Text,
            "i:type='g:guid'",
            "7BF2E032-AD92-E311-9752-6C3BE5A87DF0",
            Some(ID),
        ),
        ("StringType", ColumnType::Text, "i:nil='true'", "", None),
        (
            "StringType",
            ColumnType::Text,
            "i:type='b:AliasedValue'",
            "<b:AttributeLogicalName>n</b:AttributeLogicalName><b:Value i:type='b:OptionSetValue'><b:Value>7</b:Value></b:Value>",
            Some("7"),
        ),
        ("", ColumnType::Text, "", "plain", Some("plain")),
    ] {
        let page = cell_of(remote_type, column_type, attributes, value);
        assert_eq!(page.columns[0].text(0), expected, "{value}");
    }
}

#[test]
fn several_options_and_lookups() {
    let chosen = |numbers: &[&str]| {
        let numbers = numbers.iter().map(|number| {
            format!("<o:OptionSetValue><b:Value>{number}</b:Value></o:OptionSetValue>")
        });
        pair(
            "f",
            "i:type='o:OptionSetValueCollection'",
            &numbers.collect::<String>(),
        )
    };
    let decoder = decoder(&[
        ("f", "MultiSelectPicklistType", ColumnType::Int32Array),
        ("customerid@type", "LookupTarget", ColumnType::Text),
        ("customerid", "CustomerType", ColumnType::Text),
    ]);
    let customer = pair(
        "customerid",
        "i:type='b:EntityReference'",
        &format!(
            "<b:Id>{ID}</b:Id><b:KeyAttributes/><b:LogicalName>account</b:LogicalName><b:Name>Acme</b:Name>"
        ),
    );
    let body = account(&(customer + &chosen(&["1", "20"])));
    let page = decoder.answer(body.as_bytes()).unwrap().page;
    let ColumnData::Int32Array(lists) = page.columns[0].data() else {
        panic!("no list")
    };
    assert_eq!(&lists.elements()[lists.range(0)], [1, 20]);
    assert_eq!(page.columns[1].text(0), Some("account"));
    assert_eq!(page.columns[2].text(0), Some(ID));
    let page = decoder
        .answer(account(&chosen(&[])).as_bytes())
        .unwrap()
        .page;
    assert!((0..3).all(|column| page.columns[column].is_null(0)));
}

#[test]
fn labels_in_place_of_values() {
    let value = |value: &str, label: &str| EnumerationValue {
        value: value.into(),
        label: label.into(),
        active: true,
        is_default: false,
        controlling: None,
        variants: None,
    };
    let values = [value("1", "Hot"), value("2", "Cold, a little")];
    let fields = vec![
        QueryField::plain("rating", "PicklistType", ColumnType::Text),
        QueryField::plain("f", "MultiSelectPicklistType", ColumnType::TextArray),
    ];
    let query = RemoteQuery::all("account", "accountid", fields);
    let decoder = RecordDecoder::new(&query, Zone::default(), |_| &values);
    let attributes = pair(
        "rating",
        "i:type='b:OptionSetValue'",
        "<b:Value>2</b:Value>",
    ) + &pair(
        "f",
        "i:type='o:OptionSetValueCollection'",
        "<o:OptionSetValue><b:Value>2</b:Value></o:OptionSetValue><o:OptionSetValue><b:Value>9</b:Value></o:OptionSetValue>",
    );
    let page = decoder
        .answer(account(&attributes).as_bytes())
        .unwrap()
        .page;
    assert_eq!(page.columns[0].text(0), Some("Cold, a little"));
    let ColumnData::TextArray(lists) = page.columns[1].data() else {
        panic!("no list")
    };
    let labels: Vec<_> = lists.range(0).map(|at| lists.elements().get(at)).collect();
    assert_eq!(labels, ["Cold, a little", "9"]);
}

#[test]
fn what_does_not_convert_names_its_record() {
    for (column_type, attributes, value, reason) in [
        (
            ColumnType::Int32,
            "i:type='x:string'",
            "five",
            "it is not a number",
        ),
        (
            ColumnType::Text,
            "i:type='x:string'",
            "a&#x0;b",
            "it holds a zero byte",
        ),
        (
            ColumnType::Text,
            "i:type='b:EntityCollection'",
            "<b:Entities/>",
            "it is a list of records",
        ),
        (
            ColumnType::Float64,
            "i:type='x:double'",
            "INF",
            "it is not a number",
        ),
    ] {
        let page = cell_of("", column_type, attributes, value);
        assert_eq!(page.rejects.len(), 1, "{value}");
        assert_eq!(page.rejects[0].reason, reason);
        assert_eq!(page.rejects[0].record.as_deref(), Some(ID));
        assert!(page.columns[0].is_null(0));
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    let whole = account(&pair("f", "i:type='x:string'", "x"));
    let decoder = decoder(&[("f", "", ColumnType::Text)]);
    for (from, to) in [
        ("</RetrieveMultipleResult>", ""),
        ("</s:Envelope>", ""),
        ("b:Entities>", "b:Others>"),
        (
            "http://schemas.microsoft.com/xrm/2011/Contracts\"",
            "urn:other\"",
        ),
        ("RetrieveMultipleResponse", "CreateResponse"),
        ("<c:key>f</c:key>", ""),
        (">x<", ">&bomb;<"),
        (">x<", "><y/><"),
        (
            "<s:Envelope",
            "<!DOCTYPE a [<!ENTITY bomb SYSTEM 'https://evil.example'>]><s:Envelope",
        ),
    ] {
        let error = decoder
            .answer(whole.replace(from, to).as_bytes())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{from} {to}");
    }
    for length in 0..whole.len() {
        let _ = decoder.answer(&whole.as_bytes()[..length]).unwrap_err();
    }
    // The order of attributes is free, and what was not asked for is passed over.
    let more =
        account(&(pair("g", "i:type='b:Money'", "<b:Value>1</b:Value>") + &pair("f", "", "x")));
    let page = decoder.answer(more.as_bytes()).unwrap().page;
    assert_eq!(page.columns[0].text(0), Some("x"));
}
