use super::*;
use crm_core::{ColumnType, QueryField, Sort};
use proptest::prelude::*;

fn asked(fields: &[&str]) -> RemoteQuery {
    let fields = fields
        .iter()
        .map(|name| QueryField::plain(name, "string", ColumnType::Text));
    RemoteQuery::all("Account", "Id", fields.collect())
}

fn compare(field: &str, operator: Operator, value: Value) -> Filter<Value> {
    Filter::Compare {
        field: field.into(),
        operator,
        value,
    }
}

fn aggregate(function: AggregateFunction, field: &str) -> Aggregate {
    Aggregate {
        function,
        field: field.into(),
    }
}

#[test]
fn statements() {
    let mut sorted = asked(&["Id"]);
    sorted.sort = vec![
        Sort {
            field: "AnnualRevenue".into(),
            descending: true,
            nulls_first: false,
        },
        Sort {
            field: "CreatedDate".into(),
            descending: false,
            nulls_first: true,
        },
    ];
    sorted.limit = Some(10);
    let mut grouped = asked(&["Id"]);
    grouped.filter = Some(Filter::And(vec![
        compare("A", Operator::NotEqual, Value::Int(1)),
        Filter::Or(vec![
            Filter::IsNull { field: "B".into() },
            Filter::IsNotNull { field: "C".into() },
        ]),
    ]));
    let mut counted = asked(&[]);
    counted.aggregates = vec![aggregate(AggregateFunction::CountAll, "")];
    let mut ranged = asked(&[]);
    ranged.aggregates = vec![
        aggregate(AggregateFunction::Min, "A"),
        aggregate(AggregateFunction::Max, "A"),
        aggregate(AggregateFunction::CountAll, ""),
    ];
    let mut looked_up = asked(&["Name"]);
    looked_up.lookup = Some(["a", "b", "c", "d", "e"].map(String::from).to_vec());
    for (query, expected) in [
        (asked(&[]), "SELECT Id FROM Account"),
        (
            asked(&["Id", "Owner.Name", "Id", "Name", "NAME"]),
            "SELECT Id,Owner.Name,Name,NAME FROM Account",
        ),
        (
            sorted,
            "SELECT Id FROM Account ORDER BY AnnualRevenue DESC NULLS LAST, CreatedDate ASC NULLS FIRST LIMIT 10",
        ),
        (
            grouped,
            "SELECT Id FROM Account WHERE A != 1 AND (B = null OR C != null)",
        ),
        (counted, "SELECT COUNT() FROM Account"),
        (
            ranged,
            "SELECT MIN(A) a0,MAX(A) a1,COUNT(Id) a2 FROM Account",
        ),
        (
            looked_up,
            "SELECT Name FROM Account WHERE Id IN ('a','b','c',… 2 more)",
        ),
    ] {
        assert_eq!(super::query(&query).unwrap(), expected);
    }
}

#[test]
fn names_that_are_not_names_are_refused() {
    for name in [
        "",
        "a b",
        "a'",
        "a,b",
        "a.",
        ".a",
        "1a",
        "a--b",
        "Ä",
        "a\0",
        "a\nb",
        "FIELDS(ALL)",
    ] {
        let error = super::query(&asked(&[name])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FieldUnknown, "{name}");
        let mut query = asked(&["Id"]);
        query.object = name.into();
        let error = super::query(&query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ObjectUnknown, "{name}");
        let condition = compare(name, Operator::Equal, Value::Int(1));
        assert!(filter(&condition).is_err(), "{name}");
    }
    assert!(super::query(&asked(&["ns__Parent__r.ns__F__c"])).is_ok());
}

#[test]
fn a_parameter_is_shown_and_never_sent() {
    let mut query = asked(&["Id"]);
    query.filter = Some(Filter::And(vec![
        compare("A", Operator::Less, Value::Placeholder(1)),
        Filter::In {
            field: "B".into(),
            values: Value::Placeholder(2),
        },
    ]));
    assert_eq!(
        super::query(&query).unwrap(),
        "SELECT Id FROM Account WHERE A < $1 AND B IN ($2)"
    );
    assert_eq!(
        statement(&query).unwrap_err().kind(),
        ErrorKind::NotSupported
    );
    assert!(count(&query).is_err());
}

#[test]
fn a_statement_too_long_is_refused() {
    let mut query = asked(&["Id"]);
    let values = vec![Value::Text("x".repeat(99)); 1_000];
    query.filter = Some(Filter::In {
        field: "A".into(),
        values: Value::List(values),
    });
    assert_eq!(
        super::query(&query).unwrap_err().kind(),
        ErrorKind::NotSupported
    );
}

#[test]
fn numbers_that_are_not_plain_are_refused() {
    for digits in ["", "-", "1e5", "1.", ".5", "1 OR 1=1", "NaN", "١"] {
        let condition = compare("A", Operator::Equal, Value::Numeric(digits.into()));
        assert!(filter(&condition).is_err(), "{digits}");
    }
}

/// Reads one literal by the vendor's rules alone; gives its value and what follows it.
fn read_literal(soql: &str) -> Option<(String, &str)> {
    let mut rest = soql.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let character = rest.chars().next()?;
        rest = &rest[character.len_utf8()..];
        match character {
            '\'' => return Some((value, rest)),
            '\\' => {
                let escape = rest.chars().next()?;
                rest = &rest[escape.len_utf8()..];
                let meant = match escape {
                    'n' | 'N' => '\n',
                    'r' | 'R' => '\r',
                    't' | 'T' => '\t',
                    'b' | 'B' => '\u{8}',
                    'f' | 'F' => '\u{c}',
                    'u' => {
                        let code = u32::from_str_radix(rest.get(..4)?, 16).ok()?;
                        rest = &rest[4..];
                        char::from_u32(code)?
                    }
                    '"' | '\'' | '\\' => escape,
                    '%' | '_' => {
                        value.push('\\');
                        escape
                    }
                    _ => return None,
                };
                value.push(meant);
            }
            control if control.is_control() => return None,
            plain => value.push(plain),
        }
    }
}

proptest! {
    #[test]
    fn no_text_leaves_its_quotes(value in r"(?s)[\\'%_\x00-\x20a-z\u{80}-\u{2030}]{0,40}|.{0,40}") {
        let condition = compare("A", Operator::Equal, Value::Text(value.clone()));
        let soql = filter(&condition).unwrap();
        let literal = soql.strip_prefix("A = ").unwrap();
        prop_assert_eq!(read_literal(literal), Some((value.clone(), "")));

        let listed = Filter::In {
            field: "A".into(),
            values: Value::List(vec![Value::Text(value.clone()), Value::Text("end".into())]),
        };
        let soql = filter(&listed).unwrap();
        let literal = soql.strip_prefix("A IN (").unwrap();
        prop_assert_eq!(read_literal(literal), Some((value, ",'end')")));
    }

    #[test]
    fn no_pattern_leaves_its_quotes(pattern in r"(?s)[\\'%_\x00-\x20a-z]{0,40}|.{0,40}") {
        let condition = Filter::Like {
            field: "A".into(),
            pattern: Value::Text(pattern.clone()),
        };
        let soql = filter(&condition).unwrap();
        let literal = soql.strip_prefix("A LIKE ").unwrap();
        let read = read_literal(literal);
        prop_assert_eq!(read, Some((pattern, "")));
    }
}
