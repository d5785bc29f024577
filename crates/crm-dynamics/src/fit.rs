//! Fits the value of a condition to what the vendor can hold and OData can say (spec S-2.5, Dynamics page 5).

use crate::semantics::kind_of;
use crate::types::Kind;
use crm_core::{
    FieldFacts, Filter, Fit, Operator, Plain, Value, comparison, fit_as_is, fit_beyond, fit_day,
    fit_decimal, fit_list, fit_to_seconds, fit_whole_number, folds_alike, parse_uuid,
};
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// 1753-01-01 to 9999-12-31 in days since 1970-01-01: the range of dates (section 11).
pub(crate) const DAYS: RangeInclusive<i32> = -79_257..=2_932_896;
/// Longest text in UTF-16 units: as much as a usual text attribute holds.
const LONGEST_TEXT: usize = 4_000;
/// Decimals that the types hold (3.3).
const DECIMALS: usize = 10;
const MONEY_DECIMALS: usize = 4;
/// Digits before the point that the types hold: 100,000,000,000 and 922,337,203,685,477.
const DECIMAL_DIGITS: usize = 12;
const MONEY_DIGITS: usize = 15;
/// A query has so many conditions at most; identifiers and whole numbers go as one (see `deparse.rs`).
const MOST_CONDITIONS: usize = 400;

const OTHER_TYPE: Fit = Fit::Unpushable("the value is of another type than the field");
const UNREADABLE: Fit = Fit::Unpushable("the CRM cannot read such a number");

/// Fits one comparison, list or pattern on `field`.
pub(crate) fn fit(field: &FieldFacts, filter: Filter<Value>) -> Fit {
    let kind = kind_of(field);
    match filter {
        Filter::Compare {
            field: name,
            operator,
            value,
        } => compare(&name, kind, operator, value),
        Filter::In {
            field: name,
            values: Value::List(values),
        } => {
            let is_one = match kind {
                Kind::Guid | Kind::Lookup => true,
                kind => kind.is_number() && kind != Kind::Double,
            };
            if values.len() > MOST_CONDITIONS && !is_one {
                return Fit::Unpushable("the list is longer than the CRM reads");
            }
            fit_list(&name, values, |value| {
                compare(&name, kind, Operator::Equal, value)
            })
        }
        Filter::Like {
            field: name,
            pattern: Value::Text(pattern),
        } if kind == Kind::Text => beginning(name, &pattern),
        null_test @ (Filter::IsNull { .. } | Filter::IsNotNull { .. }) => Fit::Send {
            filter: null_test,
            exact: true,
        },
        _ => OTHER_TYPE,
    }
}

fn compare(name: &str, kind: Kind, operator: Operator, value: Value) -> Fit {
    match (kind, value) {
        (kind, Value::Int(value)) if kind.is_number() => {
            number(name, kind, operator, &value.to_string(), true)
        }
        (kind, Value::Numeric(value)) if kind.is_number() => {
            number(name, kind, operator, &value, false)
        }
        (Kind::Day, Value::Date(day)) => fit_day(name, operator, day, &DAYS),
        // A wall clock comes and goes as if it were UTC (section 11).
        (Kind::Instant, Value::Instant(at)) | (Kind::WallClock, Value::Timestamp(at)) => {
            fit_to_seconds(name, operator, at, &DAYS)
        }
        (Kind::Boolean, value @ Value::Bool(_)) => fit_as_is(name, operator, value),
        (Kind::Guid | Kind::Lookup, value @ Value::Uuid(_)) => fit_as_is(name, operator, value),
        (Kind::Guid | Kind::Lookup, Value::Text(text)) => match parse_uuid(&text) {
            // The column shows the canonical form alone, and equality stays SQL's.
            Some(bytes) if crm_core::uuid_text(&bytes) == text => {
                fit_as_is(name, operator, Value::Uuid(bytes))
            }
            _ if operator == Operator::Equal => Fit::Never,
            _ => OTHER_TYPE,
        },
        (Kind::Text, Value::Text(text)) => self::text(name, operator, text),
        _ => OTHER_TYPE,
    }
}

fn number(name: &str, kind: Kind, operator: Operator, text: &str, is_int: bool) -> Fit {
    let whole = |range| fit_whole_number(name, operator, text, range);
    match kind {
        Kind::Int | Kind::Choice => whole(i64::from(i32::MIN)..=i64::from(i32::MAX)),
        Kind::BigInt => whole(i64::MIN..=i64::MAX),
        Kind::Decimal => decimal(name, operator, text, is_int, DECIMAL_DIGITS, DECIMALS),
        Kind::Money => decimal(name, operator, text, is_int, MONEY_DIGITS, MONEY_DECIMALS),
        _ => double(name, operator, text),
    }
}

/// What cannot be held is decided by its meaning; more decimals than the type has might be cut there.
fn decimal(
    name: &str,
    operator: Operator,
    text: &str,
    is_int: bool,
    digits: usize,
    decimals: usize,
) -> Fit {
    if let Some(plain) = Plain::parse(text) {
        if plain.whole.len() > digits {
            return fit_beyond(operator, side_of(&plain));
        }
        if plain.fraction.len() > decimals {
            return Fit::Unpushable("the number has more digits than the CRM compares");
        }
    }
    fit_decimal(name, operator, text, is_int)
}

fn side_of(plain: &Plain) -> Ordering {
    if plain.negative {
        Ordering::Less
    } else {
        Ordering::Greater
    }
}

/// A double is shown rounded to the field's decimals, which may be none at all: what is shown as a number lies within a
/// half of it.
fn double(name: &str, operator: Operator, text: &str) -> Fit {
    if let "NaN" | "Infinity" | "-Infinity" = text {
        return fit_decimal(name, operator, text, false);
    }
    let Some(value) = Plain::parse(text).and_then(|plain| plain.text().parse::<f64>().ok()) else {
        return UNREADABLE;
    };
    // The range of the type (3.3); so large a number has no half left to be rounded by.
    if value.abs() > 1e11 {
        return UNREADABLE;
    }
    let at = |bound: f64, operator| {
        // Six decimals are one more than the type has.
        comparison(name, operator, Value::Numeric(format!("{bound:.6}")))
    };
    let (low, high) = (value - 0.500_001, value + 0.500_001);
    let filter = match operator {
        Operator::Equal => Filter::And(vec![
            at(low, Operator::GreaterOrEqual),
            at(high, Operator::LessOrEqual),
        ]),
        Operator::NotEqual => return Fit::Unpushable("the CRM rounds such numbers"),
        Operator::Less | Operator::LessOrEqual => at(high, Operator::LessOrEqual),
        Operator::Greater | Operator::GreaterOrEqual => at(low, Operator::GreaterOrEqual),
    };
    Fit::Send {
        filter,
        exact: false,
    }
}

fn text(name: &str, operator: Operator, text: String) -> Fit {
    // An empty text is stored as none at all, or so it is said (3.3): nothing is sent that depends on it.
    if text.is_empty() {
        return Fit::Unpushable("the CRM may take an empty text for none");
    }
    match unreadable(&text) {
        Some(refused) => refused,
        None => Fit::Send {
            filter: comparison(name, operator, Value::Text(text)),
            exact: false,
        },
    }
}

fn unreadable(text: &str) -> Option<Fit> {
    if text.contains('\0') {
        return Some(Fit::Unpushable("the CRM cannot read a zero byte"));
    }
    // By SOAP nothing else can be sent, and which way an account goes is not known here.
    if !crm_xml::Writer::can_carry(text) {
        return Some(Fit::Unpushable(
            "XML has no place for a character of the text",
        ));
    }
    (text.encode_utf16().count() > LONGEST_TEXT)
        .then_some(Fit::Unpushable("the text is longer than the CRM reads"))
}

/// A pattern is sent by its beginning, as far as it holds plain characters: what else stands in it would act as a
/// wildcard there, or not (page 5.1). It goes as that beginning with `%` behind it.
fn beginning(name: String, pattern: &str) -> Fit {
    let mut prefix = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let plain = match character {
            '%' | '_' => break,
            '\\' => match characters.next() {
                Some(escaped) => escaped,
                // A trailing one is PostgreSQL's to refuse.
                None => break,
            },
            plain => plain,
        };
        // A letter whose two cases are not one character each may be folded differently there, which ILIKE would feel.
        if matches!(plain, '%' | '_' | '[' | ']' | '^' | '\\') || !folds_alike(plain) {
            break;
        }
        prefix.push(plain);
    }
    if prefix.is_empty() {
        return Fit::Unpushable("the pattern has no beginning that the CRM could search by");
    }
    if let Some(refused) = unreadable(&prefix) {
        return refused;
    }
    prefix.push('%');
    Fit::Send {
        filter: Filter::Like {
            field: name,
            pattern: Value::Text(prefix),
        },
        exact: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::tests::{facts, usual};
    use crm_core::{ColumnType, parse_date, parse_instant};

    fn fitted(remote_type: &str, operator: Operator, value: Value) -> Fit {
        fit(&usual(remote_type), comparison("f", operator, value))
    }

    fn sent(filter: Filter<Value>, exact: bool) -> Fit {
        Fit::Send { filter, exact }
    }

    fn numeric(text: &str) -> Value {
        Value::Numeric(text.into())
    }

    #[test]
    fn numbers_at_the_borders_of_their_types() {
        use Operator::{Equal, Greater, Less, NotEqual};
        for (remote_type, operator, value, expected) in [
            (
                "IntegerType",
                Equal,
                Value::Int(5),
                sent(comparison("f", Equal, Value::Int(5)), true),
            ),
            (
                "IntegerType",
                Less,
                numeric("5.5"),
                sent(comparison("f", Operator::LessOrEqual, Value::Int(5)), true),
            ),
            (
                "IntegerType",
                Greater,
                Value::Int(3_000_000_000),
                Fit::Never,
            ),
            (
                "PicklistType",
                NotEqual,
                Value::Int(-3_000_000_000),
                Fit::NotNull,
            ),
            (
                "DecimalType",
                Equal,
                numeric("1.50"),
                sent(comparison("f", Equal, numeric("1.5")), true),
            ),
            (
                "DecimalType",
                Less,
                Value::Int(1_000_000_000_000),
                Fit::NotNull,
            ),
            ("DecimalType", Greater, numeric("NaN"), Fit::Never),
            (
                "MoneyType",
                Less,
                numeric("1.00001"),
                Fit::Unpushable("the number has more digits than the CRM compares"),
            ),
            (
                "MoneyType",
                Equal,
                Value::Int(20_000),
                sent(comparison("f", Equal, Value::Int(20_000)), true),
            ),
            (
                "DoubleType",
                Less,
                numeric("1.5"),
                sent(
                    comparison("f", Operator::LessOrEqual, numeric("2.000001")),
                    false,
                ),
            ),
            ("DoubleType", Greater, numeric("Infinity"), Fit::Never),
        ] {
            let shown = format!("{remote_type} {operator:?} {value:?}");
            assert_eq!(fitted(remote_type, operator, value), expected, "{shown}");
        }
    }

    #[test]
    fn times_go_as_whole_seconds() {
        use Operator::{Equal, GreaterOrEqual, Less};
        let at = parse_instant("2024-01-02T03:04:05Z").unwrap();
        let range = Filter::And(vec![
            comparison("f", GreaterOrEqual, Value::Instant(at)),
            comparison("f", Less, Value::Instant(at + 1_000_000)),
        ]);
        assert_eq!(
            fitted("DateTimeType:UserLocal", Equal, Value::Instant(at)),
            sent(range.clone(), false)
        );
        assert_eq!(
            fitted(
                "DateTimeType:TimeZoneIndependent",
                Equal,
                Value::Timestamp(at)
            ),
            sent(range, false)
        );
        assert_eq!(
            fitted("DateTimeType:UserLocal", Less, Value::Instant(at)),
            sent(comparison("f", Less, Value::Instant(at)), true)
        );
        assert_eq!(
            fitted("DateTimeType:UserLocal", Less, Value::Timestamp(at)),
            OTHER_TYPE
        );
        for (day, expected) in [
            ("1752-12-31", false),
            ("1753-01-01", true),
            ("9999-12-31", true),
        ] {
            let day = parse_date(day).unwrap();
            let found = fitted("DateTimeType:DateOnly", Equal, Value::Date(day));
            assert_eq!(matches!(found, Fit::Send { .. }), expected, "{day}");
        }
        let infinity = fitted("DateTimeType:DateOnly", Less, Value::Date(i32::MAX));
        assert_eq!(infinity, Fit::NotNull);
    }

    #[test]
    fn identifiers_in_their_canonical_form_alone() {
        let canonical = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let uuid = Value::Uuid(parse_uuid(canonical).unwrap());
        let equal = |value| {
            let field = facts("LookupType", ColumnType::Text);
            fit(&field, comparison("_f_value", Operator::Equal, value))
        };
        let expected = sent(comparison("_f_value", Operator::Equal, uuid.clone()), true);
        assert_eq!(equal(Value::Text(canonical.into())), expected);
        assert_eq!(equal(uuid), expected);
        assert_eq!(equal(Value::Text(canonical.to_uppercase())), Fit::Never);
        assert_eq!(equal(Value::Text("x".into())), Fit::Never);
    }

    #[test]
    fn patterns_go_by_their_beginning() {
        for (pattern, expected) in [
            ("Ab%", Some("Ab%")),
            ("Ab_d%", Some("Ab%")),
            ("Ab", Some("Ab%")),
            (r"10\%%", Some("10%")),
            ("a[b%", Some("a%")),
            ("straße%", Some("stra%")),
            ("%b", None),
            ("_b", None),
            ("[b", None),
            ("", None),
        ] {
            let filter = Filter::Like {
                field: "f".into(),
                pattern: Value::Text(pattern.into()),
            };
            let found = match fit(&usual("StringType"), filter) {
                Fit::Send {
                    filter:
                        Filter::Like {
                            pattern: Value::Text(pattern),
                            ..
                        },
                    exact: false,
                } => Some(pattern),
                _ => None,
            };
            assert_eq!(found.as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn texts_that_cannot_be_searched_for() {
        for text in ["", "a\0b", "\u{1}", "a\u{ffff}", &"x".repeat(4_001)] {
            let found = fitted("StringType", Operator::Equal, Value::Text(text.into()));
            assert!(matches!(found, Fit::Unpushable(_)), "{}", text.len());
        }
        let list = Filter::In {
            field: "f".into(),
            values: Value::List(vec![Value::Text("a".into()), Value::Text("b".into())]),
        };
        assert_eq!(fit(&usual("StringType"), list.clone()), sent(list, false));
    }
}
