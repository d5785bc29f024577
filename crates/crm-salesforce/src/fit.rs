//! Fits the value of a condition to what Salesforce can hold and SOQL can say (spec S-2.5, Salesforce page 4.2).
//!
//! What lies outside is answered by its meaning: no record can hold it, or every record that holds anything passes.

use crate::ids;
use crate::semantics::FieldKind;
use crm_core::{
    FieldFacts, Filter, Fit, KeyForm, Operator, Value, fit_as_is, fit_day, fit_decimal, fit_list,
    fit_to_seconds, fit_whole_number, folds_alike,
};
use std::ops::RangeInclusive;

/// Longest text literal in characters.
const LONGEST_TEXT: usize = 4_000;
/// 1700-01-01 and 4000-12-31 in days since 1970-01-01: the range of dates.
pub(crate) const FIRST_DAY: i32 = -98_615;
pub(crate) const LAST_DAY: i32 = 741_807;
const DAYS: RangeInclusive<i32> = FIRST_DAY..=LAST_DAY;

const OTHER_TYPE: Fit = Fit::Unpushable("the value is of another type than the field");

/// Fits one comparison, list or pattern on `field`.
pub(crate) fn fit(field: &FieldFacts, filter: Filter<Value>) -> Fit {
    let kind = FieldKind::of(field);
    match filter {
        Filter::Compare {
            field: name,
            operator,
            value,
        } => compare(&name, kind, operator, value),
        Filter::In {
            field: name,
            values: Value::List(values),
        } => fit_list(&name, values, |value| {
            compare(&name, kind, Operator::Equal, value)
        }),
        Filter::Like {
            field: name,
            pattern: Value::Text(pattern),
        } => like(name, kind, &pattern),
        null_test @ (Filter::IsNull { .. } | Filter::IsNotNull { .. }) => Fit::Send {
            filter: null_test,
            exact: true,
        },
        _ => OTHER_TYPE,
    }
}

fn compare(name: &str, kind: FieldKind, operator: Operator, value: Value) -> Fit {
    match (kind, value) {
        (kind, Value::Int(value)) if kind.is_number() => {
            number(name, kind, operator, &value.to_string(), true)
        }
        (kind, Value::Numeric(value)) if kind.is_number() => {
            number(name, kind, operator, &value, false)
        }
        (FieldKind::Date, Value::Date(day)) => fit_day(name, operator, day, &DAYS),
        (FieldKind::Instant, Value::Instant(instant)) => {
            fit_to_seconds(name, operator, instant, &DAYS)
        }
        (FieldKind::Boolean, value @ Value::Bool(_)) => fit_as_is(name, operator, value),
        (kind, Value::Text(text)) => self::text(name, kind, operator, text),
        _ => OTHER_TYPE,
    }
}

fn number(name: &str, kind: FieldKind, operator: Operator, text: &str, is_int: bool) -> Fit {
    match kind {
        FieldKind::Decimal => fit_decimal(name, operator, text, is_int),
        FieldKind::Int => {
            let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
            fit_whole_number(name, operator, text, range)
        }
        _ => fit_whole_number(name, operator, text, i64::MIN..=i64::MAX),
    }
}

fn text(name: &str, kind: FieldKind, operator: Operator, text: String) -> Fit {
    match fit_text(kind, &text) {
        Some(Fit::Never) if operator != Operator::Equal => {
            Fit::Unpushable("the CRM does not hold such a value")
        }
        Some(fit) => fit,
        None => fit_as_is(name, operator, Value::Text(text)),
    }
}

/// What stands against sending this text, if anything.
fn fit_text(kind: FieldKind, text: &str) -> Option<Fit> {
    let is_text = matches!(
        kind,
        FieldKind::Id
            | FieldKind::Reference
            | FieldKind::Text
            | FieldKind::Picklist
            | FieldKind::MultiPicklist
            | FieldKind::Unsaid
    );
    if !is_text {
        return Some(OTHER_TYPE);
    }
    // An empty text is stored as none at all (4.3).
    if text.is_empty() {
        return Some(Fit::Never);
    }
    // Records carry the canonical form alone, and a filter with another may be refused as a whole.
    if kind == FieldKind::Id && ids::form(text) != KeyForm::Canonical {
        return Some(Fit::Never);
    }
    if kind == FieldKind::Reference && ids::form(text) != KeyForm::Canonical {
        return Some(Fit::Unpushable(
            "the text is not an identifier as the CRM writes it",
        ));
    }
    if text.contains('\0') {
        return Some(Fit::Unpushable("the CRM cannot read a zero byte"));
    }
    // Characters are counted as the vendor's language counts them.
    (text.encode_utf16().count() > LONGEST_TEXT)
        .then_some(Fit::Unpushable("the text is longer than the CRM reads"))
}

/// Translates a pattern into one that finds at least as much.
fn like(name: String, kind: FieldKind, pattern: &str) -> Fit {
    if kind != FieldKind::Text {
        return OTHER_TYPE;
    }
    let mut remote = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(escaped @ ('%' | '_')) => {
                    remote.push('\\');
                    remote.push(escaped);
                }
                // How a pattern holds a backslash is not documented; a trailing one is PostgreSQL's to refuse.
                Some('\\') | None => {
                    return Fit::Unpushable("the CRM cannot read a pattern with a backslash");
                }
                Some(plain) => push_plain(plain, &mut remote),
            },
            // One character here may be two there, as an emoji in UTF-16.
            '%' | '_' => push_any(&mut remote),
            plain => push_plain(plain, &mut remote),
        }
    }
    if remote.is_empty() || remote.contains('\0') {
        return Fit::Unpushable("the CRM cannot read such a pattern");
    }
    if remote.encode_utf16().count() > LONGEST_TEXT {
        return Fit::Unpushable("the text is longer than the CRM reads");
    }
    Fit::Send {
        filter: Filter::Like {
            field: name,
            pattern: Value::Text(remote),
        },
        exact: false,
    }
}

/// A letter that may be folded differently there would be felt by `ILIKE`.
fn push_plain(character: char, remote: &mut String) {
    if folds_alike(character) {
        remote.push(character);
    } else {
        push_any(remote);
    }
}

fn push_any(remote: &mut String) {
    let is_escaped = remote.ends_with("\\%");
    if !remote.ends_with('%') || is_escaped {
        remote.push('%');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deparse;
    use crate::semantics::tests::usual;
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    use crm_core::{comparison, parse_date, parse_instant};

    fn show(fit: &Fit) -> String {
        match fit {
            Fit::Send { filter, exact } => {
                let text = deparse::filter(filter).unwrap();
                format!("{text}{}", if *exact { "" } else { " ~" })
            }
            Fit::NotNull => "not null".into(),
            Fit::Never => "never".into(),
            Fit::Unpushable(_) => "unpushable".into(),
        }
    }

    fn compared(remote_type: &str, operator: Operator, value: Value) -> String {
        let filter = comparison("F", operator, value);
        show(&fit(&usual(remote_type), filter))
    }

    fn numeric(text: &str) -> Value {
        Value::Numeric(text.into())
    }

    #[test]
    fn every_whole_number_is_decided_exactly_against_a_32_bit_field() {
        // The rules of crm-core take this for granted when the number is a parameter.
        for operator in [Equal, Less, LessOrEqual, Greater, GreaterOrEqual] {
            for value in [
                i64::MIN,
                -2_147_483_649,
                -1,
                0,
                2_147_483_647,
                2_147_483_648,
                i64::MAX,
            ] {
                let filter = comparison("F", operator, Value::Int(value));
                let fit = fit(&usual("int"), filter);
                let is_exact = !matches!(fit, Fit::Unpushable(_) | Fit::Send { exact: false, .. });
                assert!(is_exact, "{operator:?} {value}: {fit:?}");
            }
        }
    }

    #[test]
    fn numbers() {
        for (remote_type, operator, value, expected) in [
            ("double", Equal, "1.50", "F = 1.5"),
            ("double", Less, "1e3", "F < 1000"),
            ("double", Less, "1.25E-3", "F < 0.00125"),
            ("double", Less, "-0", "F < 0"),
            ("double", Less, "+007", "F < 7"),
            ("double", NotEqual, "3", "F != 3"),
            ("double", Less, "123456789012345", "F < 123456789012345"),
            ("double", Less, "1234567890123456", "unpushable"),
            ("double", Less, "0.1234567890123456", "unpushable"),
            ("double", Less, "1e20", "F < 100000000000000000000"),
            ("double", Less, "1e400", "unpushable"),
            ("double", Less, "1; DROP", "unpushable"),
            ("double", Less, "NaN", "not null"),
            ("double", GreaterOrEqual, "NaN", "never"),
            ("double", Less, "Infinity", "not null"),
            ("double", Greater, "Infinity", "never"),
            ("double", Greater, "-Infinity", "not null"),
            ("double", LessOrEqual, "-Infinity", "never"),
            ("double", NotEqual, "Infinity", "not null"),
            ("int", Equal, "1.5", "never"),
            ("int", NotEqual, "1.5", "not null"),
            ("int", Less, "1.5", "F <= 1"),
            ("int", LessOrEqual, "-1.5", "F <= -2"),
            ("int", Greater, "1.5", "F >= 2"),
            ("int", GreaterOrEqual, "-0.5", "F >= 0"),
            ("int", Equal, "2.0", "F = 2"),
            ("int", Less, "2147483648", "not null"),
            ("int", Less, "2147483647", "F < 2147483647"),
            ("int", Greater, "2147483647.5", "never"),
            ("int", Less, "-2147483648.5", "never"),
            (
                "int",
                GreaterOrEqual,
                "-99999999999999999999999",
                "not null",
            ),
            ("int", Equal, "1e300", "never"),
            (
                "long",
                Less,
                "9223372036854775807",
                "F < 9223372036854775807",
            ),
            ("long", Greater, "9223372036854775808", "never"),
            ("string", Equal, "1", "unpushable"),
            ("date", Equal, "1", "unpushable"),
        ] {
            let shown = compared(remote_type, operator, numeric(value));
            assert_eq!(shown, expected, "{remote_type} {operator:?} {value}");
        }
        // Planned as exact whatever it is.
        let shown = compared("double", Less, Value::Int(i64::MAX));
        assert_eq!(shown, "F < 9223372036854775807");
        assert_eq!(compared("int", Less, Value::Int(i64::MAX)), "not null");
    }

    #[test]
    fn dates() {
        for (operator, day, expected) in [
            (Equal, "2024-02-29", "F = 2024-02-29"),
            (GreaterOrEqual, "1700-01-01", "F >= 1700-01-01"),
            (GreaterOrEqual, "1699-12-31", "not null"),
            (Less, "1699-12-31", "never"),
            (LessOrEqual, "4000-12-31", "F <= 4000-12-31"),
            (LessOrEqual, "4001-01-01", "not null"),
            (Equal, "4001-01-01", "never"),
        ] {
            let value = Value::Date(parse_date(day).unwrap());
            assert_eq!(
                compared("date", operator, value),
                expected,
                "{operator:?} {day}"
            );
        }
        assert_eq!(compared("date", Less, Value::Date(i32::MAX)), "not null");
        assert_eq!(compared("date", Greater, Value::Date(i32::MAX)), "never");
        assert_eq!(compared("date", Greater, Value::Date(i32::MIN)), "not null");
        assert_eq!(compared("datetime", Less, Value::Date(0)), "unpushable");
    }

    #[test]
    fn instants() {
        let (whole, half) = ("2024-01-31T23:59:59Z", "2024-01-31T23:59:59.5Z");
        for (operator, at, expected) in [
            (Less, whole, "F < 2024-01-31T23:59:59Z"),
            (Less, half, "F < 2024-02-01T00:00:00Z ~"),
            (LessOrEqual, whole, "F <= 2024-01-31T23:59:59Z ~"),
            (LessOrEqual, half, "F < 2024-02-01T00:00:00Z ~"),
            (Greater, whole, "F >= 2024-01-31T23:59:59Z ~"),
            (Greater, half, "F >= 2024-01-31T23:59:59Z ~"),
            (GreaterOrEqual, whole, "F >= 2024-01-31T23:59:59Z"),
            (GreaterOrEqual, half, "F >= 2024-01-31T23:59:59Z ~"),
            (
                Equal,
                half,
                "F >= 2024-01-31T23:59:59Z AND F < 2024-02-01T00:00:00Z ~",
            ),
            (Greater, "1699-12-31T23:59:59Z", "not null"),
            (Less, "4001-01-01T00:00:00Z", "not null"),
        ] {
            let value = Value::Instant(parse_instant(at).unwrap());
            assert_eq!(
                compared("datetime", operator, value),
                expected,
                "{operator:?} {at}"
            );
        }
        assert_eq!(
            compared("datetime", Less, Value::Instant(i64::MAX)),
            "not null"
        );
        assert_eq!(
            compared("datetime", Less, Value::Instant(i64::MIN)),
            "never"
        );
        assert_eq!(compared("date", Less, Value::Instant(0)), "unpushable");
    }

    #[test]
    fn texts_and_truth_values() {
        let long = "x".repeat(4_001);
        for (remote_type, text, expected) in [
            ("string", "O'Brien\\", r"F = 'O\'Brien\\'"),
            ("string", "", "never"),
            ("string", "a\0b", "unpushable"),
            ("string", &long, "unpushable"),
            ("picklist", "Hot", "F = 'Hot'"),
            ("double", "5", "unpushable"),
            ("id", "x' OR '1'='1", "never"),
            ("id", "001D000000IqhSLIAZ", "F = '001D000000IqhSLIAZ'"),
            ("id", "001D000000IqhSL", "never"),
            ("id", "001d000000iqhsliaz", "never"),
            (
                "reference",
                "001D000000IqhSLIAZ",
                "F = '001D000000IqhSLIAZ'",
            ),
            ("reference", "001D000000IqhSL", "unpushable"),
            ("reference", "external key", "unpushable"),
        ] {
            let shown = compared(remote_type, Equal, Value::Text(text.into()));
            assert_eq!(shown, expected, "{remote_type} {text}");
        }
        assert_eq!(compared("boolean", Equal, Value::Bool(false)), "F = FALSE");
        assert_eq!(compared("string", Equal, Value::Bool(false)), "unpushable");
    }

    #[test]
    fn lists() {
        let listed = |remote_type, values| {
            let filter = Filter::In {
                field: "F".into(),
                values: Value::List(values),
            };
            show(&fit(&usual(remote_type), filter))
        };
        let texts = ["a", "", "b", "a"].map(|text| Value::Text(text.into()));
        assert_eq!(listed("string", texts.to_vec()), "F IN ('a','b')");
        assert_eq!(listed("string", vec![Value::Text(String::new())]), "never");
        let numbers = ["1", "1.5", "NaN", "2.0"].map(numeric);
        assert_eq!(listed("int", numbers.to_vec()), "F IN (1,2)");
        let numbers = ["1", "1.2345678901234567"].map(numeric);
        assert_eq!(listed("double", numbers.to_vec()), "unpushable");
        let instants = vec![
            Value::Instant(0),
            Value::Instant(500),
            Value::Instant(9_000_000),
        ];
        assert_eq!(
            listed("datetime", instants),
            "(F >= 1970-01-01T00:00:00Z AND F < 1970-01-01T00:00:01Z) OR \
             (F >= 1970-01-01T00:00:09Z AND F < 1970-01-01T00:00:10Z) ~"
        );
    }

    #[test]
    fn patterns_find_at_least_as_much() {
        for (pattern, expected) in [
            ("Acme%", "F LIKE 'Acme%' ~"),
            ("A__", "F LIKE 'A%' ~"),
            (r"50\%%", r"F LIKE '50\%%' ~"),
            (r"a\_b", r"F LIKE 'a\_b' ~"),
            (r"\Acme", "F LIKE 'Acme' ~"),
            (r"a\\b", "unpushable"),
            ("a\\", "unpushable"),
            ("", "unpushable"),
            ("O'B%", r"F LIKE 'O\'B%' ~"),
            ("Müller%", "F LIKE 'Müller%' ~"),
            ("Straße", "F LIKE 'Stra%e' ~"),
            ("İzmir", "F LIKE '%zmir' ~"),
        ] {
            let filter = Filter::Like {
                field: "F".into(),
                pattern: Value::Text(pattern.into()),
            };
            assert_eq!(show(&fit(&usual("string"), filter)), expected, "{pattern}");
        }
    }
}
