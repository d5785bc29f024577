use super::*;
use crm_core::{
    Aggregate, AggregateFunction, ColumnType, QueryField, Sort, comparison, parse_date,
    parse_instant, parse_uuid,
};
use proptest::prelude::*;
use url::Url;

fn accounts(fields: &[(&str, &str)]) -> RemoteQuery {
    let fields = fields
        .iter()
        .map(|(name, remote_type)| QueryField::plain(name, remote_type, ColumnType::Text));
    RemoteQuery::all("account", "accountid", fields.collect())
}

#[test]
fn queries_as_they_are_shown() {
    let mut wanted = accounts(&[
        ("accountid", "UniqueidentifierType"),
        ("primarycontactid", "LookupType"),
        ("ownerid", "OwnerType"),
        ("ownerid@type", "LookupTarget"),
        ("name", "StringType"),
    ]);
    wanted.filter = Some(comparison("revenue", Operator::Greater, Value::Int(5)));
    wanted.sort = vec![Sort {
        field: "revenue".into(),
        descending: true,
        nulls_first: false,
    }];
    wanted.limit = Some(10);
    assert_eq!(
        query(&wanted).unwrap(),
        "{account}?$select=accountid,_primarycontactid_value,_ownerid_value,name&$filter=revenue gt 5\
         &$orderby=revenue desc,accountid asc&$top=10"
    );
    wanted.limit = Some(5_001);
    assert!(query(&wanted).unwrap().ends_with("accountid asc"));
    assert_eq!(
        query(&accounts(&[])).unwrap(),
        "{account}?$select=accountid"
    );
    let mut count = accounts(&[]);
    count.aggregates = vec![Aggregate {
        function: AggregateFunction::CountAll,
        field: String::new(),
    }];
    assert_eq!(query(&count).unwrap(), "{account}/$count");
    // The table says what the server calls the set.
    count.collection = Some("accounts".into());
    assert_eq!(query(&count).unwrap(), "accounts/$count");
    for name in ["accounts(x)", "a/b", "", "a?b"] {
        count.collection = Some(name.into());
        let error = query(&count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ObjectUnknown);
        assert!(error.hint().unwrap().contains("collection"));
    }
    let mut lookup = accounts(&[("name", "StringType")]);
    let ids = (0..7).map(|n| format!("6ba7b810-9dad-11d1-80b4-00c04fd430c{n}"));
    lookup.lookup = Some(ids.collect());
    let shown = query(&lookup).unwrap();
    assert!(
        shown.ends_with("accountid eq 6ba7b810-9dad-11d1-80b4-00c04fd430c4 … 2 more"),
        "{shown}"
    );
}

#[test]
fn conditions_in_every_form() {
    let at = parse_instant("2024-01-02T03:04:05Z").unwrap();
    let day = parse_date("2024-01-02").unwrap();
    let id = parse_uuid("6BA7B810-9DAD-11D1-80B4-00C04FD430C8").unwrap();
    let is = |value| comparison("f", Operator::Equal, value);
    let list = |values: Vec<Value>| Filter::In {
        field: "f".into(),
        values: Value::List(values),
    };
    for (condition, expected) in [
        (is(Value::Int(-5)), "f eq -5"),
        (is(Value::Numeric("-0.50".into())), "f eq -0.50"),
        (is(Value::Bool(true)), "f eq true"),
        (
            is(Value::Text("O'Brien & co".into())),
            "f eq 'O''Brien & co'",
        ),
        (is(Value::Date(day)), "f eq 2024-01-02"),
        (is(Value::Instant(at)), "f eq 2024-01-02T03:04:05Z"),
        (is(Value::Timestamp(at)), "f eq 2024-01-02T03:04:05Z"),
        (
            is(Value::Uuid(id)),
            "f eq 6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        ),
        (is(Value::Placeholder(1)), "f eq $1"),
        (
            comparison("f", Operator::NotEqual, Value::Int(1)),
            "(f ne 1 and f ne null)",
        ),
        (list(vec![Value::Int(1)]), "(f eq 1)"),
        (
            list(vec![Value::Int(1), Value::Int(2)]),
            "(f eq 1 or f eq 2)",
        ),
        (
            Filter::Like {
                field: "f".into(),
                pattern: Value::Text("a'b%".into()),
            },
            "startswith(f,'a''b')",
        ),
        (Filter::IsNull { field: "f".into() }, "f eq null"),
        (Filter::IsNotNull { field: "f".into() }, "f ne null"),
        (
            Filter::And(vec![
                Filter::Or(vec![
                    is(Value::Int(1)),
                    Filter::IsNull { field: "g".into() },
                ]),
                Filter::IsNotNull { field: "h".into() },
            ]),
            "(f eq 1 or g eq null) and h ne null",
        ),
    ] {
        assert_eq!(filter(&condition).unwrap(), expected);
    }
    let many = list((0..31).map(Value::Int).collect());
    let shown = filter(&many).unwrap();
    assert!(
        shown.starts_with("Microsoft.Dynamics.CRM.In(PropertyName='f',PropertyValues=[\"0\",\"1\"")
            && shown.ends_with("\"30\"])"),
        "{shown}"
    );
    let days = list((0..31).map(Value::Date).collect());
    assert_eq!(filter(&days).unwrap().matches(" or ").count(), 30);
}

#[test]
fn names_and_values_that_cannot_be_said() {
    for name in ["", "a b", "a/b", "a'", "a)", "1a", "é", "a.b"] {
        assert!(field_name(name).is_err(), "{name}");
        assert!(object_name(name).is_err(), "{name}");
    }
    for value in [
        Value::Numeric("NaN".into()),
        Value::Numeric("1e5".into()),
        Value::Numeric("1 or 1".into()),
        Value::Date(i32::MAX),
        Value::Instant(i64::MAX),
        Value::Time(0),
        Value::Json("{}".into()),
    ] {
        assert!(literal(&value).is_err(), "{value:?}");
    }
}

/// The values of a query's options as a server reads them.
fn read_back(encoded: &str) -> Vec<(String, String)> {
    let address = format!("https://contoso.crm4.dynamics.com/accounts?{encoded}");
    let url = Url::parse(&address).unwrap();
    // A plus sign is no blank here, so that a reading as a form must not differ.
    assert!(!encoded.contains('+') && url.fragment().is_none());
    let pairs = url.query_pairs();
    pairs
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

proptest! {
    /// Whatever a text holds, it stays inside its quotes, and comes out of the address as it went in.
    #[test]
    fn a_text_stays_a_text(value in "(?s).{0,30}|[' &#%+\"\\\\/?=$@]{0,10}") {
        let condition = comparison("f", Operator::Equal, Value::Text(value.clone()));
        let said = filter(&condition).unwrap();
        let encoded = encoded(&[("$select", "f".into()), ("$filter", said.clone()), ("$top", "1".into())]);
        let expected = vec![
            ("$select".to_owned(), "f".to_owned()),
            ("$filter".into(), said.clone()),
            ("$top".into(), "1".into()),
        ];
        prop_assert_eq!(read_back(&encoded), expected);
        let inner = said.strip_prefix("f eq '").and_then(|rest| rest.strip_suffix('\'')).unwrap();
        prop_assert_eq!(inner.replace("''", "\u{0}\u{0}").matches('\'').count(), 0);
        prop_assert_eq!(inner.replace("''", "'"), value);
    }
}
