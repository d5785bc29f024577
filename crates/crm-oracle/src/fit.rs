//! Fits the value of a condition to what the CRM can hold and a search specification can say (spec S-2.5, Oracle page
//! 4.2).

use crate::kind::FieldKind;
use crate::tags;
use crm_core::{
    FieldFacts, Filter, Fit, Operator, Value, fit_as_is, fit_day, fit_decimal, fit_list,
    fit_to_seconds, fit_whole_number, folds_alike,
};
use std::ops::RangeInclusive;

/// A specification's longest form is not documented; fifty identifiers are known to be taken, and a page holds a
/// hundred.
pub(crate) const LONGEST_LIST: usize = 100;
/// Longer texts than any field that can be compared (Oracle page 3.6).
const LONGEST_TEXT: usize = 300;
/// 1753-01-01 and 9999-12-31 in days since 1970-01-01. Which days the CRM holds is not documented: the databases under
/// it and every client agree on these.
const DAYS: RangeInclusive<i32> = -79_257..=2_932_896;

const OTHER_TYPE: Fit = Fit::Unpushable("the value is of another type than the field");
const OTHER_DAY: Fit = Fit::Unpushable("it is not known whether the CRM can read such a date");

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
        } => {
            if values.len() > LONGEST_LIST {
                return Fit::Unpushable("the list is longer than the CRM is known to read");
            }
            fit_list(&name, values, |value| {
                compare(&name, kind, Operator::Equal, value)
            })
        }
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
        (FieldKind::Decimal, Value::Int(value)) => {
            fit_decimal(name, operator, &value.to_string(), true)
        }
        (FieldKind::Decimal, Value::Numeric(value)) => fit_decimal(name, operator, &value, false),
        (FieldKind::Int, Value::Int(value)) => whole(name, operator, &value.to_string()),
        (FieldKind::Int, Value::Numeric(value)) => whole(name, operator, &value),
        (FieldKind::Date, Value::Date(day)) => match day {
            // The two infinities lie beyond everything.
            i32::MIN | i32::MAX => fit_day(name, operator, day, &DAYS),
            day if DAYS.contains(&day) => fit_day(name, operator, day, &DAYS),
            _ => OTHER_DAY,
        },
        (FieldKind::Instant, Value::Instant(instant)) => {
            let fit = fit_to_seconds(name, operator, instant, &DAYS);
            match fit {
                Fit::Never | Fit::NotNull if !matches!(instant, i64::MIN | i64::MAX) => OTHER_DAY,
                fit => fit,
            }
        }
        (FieldKind::Id | FieldKind::Text | FieldKind::Picklist, Value::Text(text)) => {
            self::text(name, kind, operator, text)
        }
        _ => OTHER_TYPE,
    }
}

fn whole(name: &str, operator: Operator, text: &str) -> Fit {
    let range = i64::from(i32::MIN)..=i64::from(i32::MAX);
    fit_whole_number(name, operator, text, range)
}

fn text(name: &str, kind: FieldKind, operator: Operator, text: String) -> Fit {
    // An empty text is stored as none at all (Oracle page 4.1).
    if text.is_empty() && operator == Operator::Equal {
        return Fit::Never;
    }
    if kind == FieldKind::Id && !tags::is_row_id(&text) {
        return Fit::Unpushable("the text is not an identifier as the CRM writes it");
    }
    // Two pages of the vendor's guide disagree whether these act in `=`; so whether they need a backslash (4.2).
    if text.contains(['*', '?', '\\']) {
        return Fit::Unpushable(
            "what wildcards mean to the CRM in such a comparison is not certain",
        );
    }
    if !is_sayable(&text) || text.trim() != text {
        return Fit::Unpushable("the CRM cannot read such a text");
    }
    fit_as_is(name, operator, Value::Text(text))
}

fn is_sayable(text: &str) -> bool {
    let is_plain = |character: char| {
        !character.is_control() && !('\u{fff0}'..='\u{ffff}').contains(&character)
    };
    !text.is_empty() && text.chars().all(is_plain) && text.encode_utf16().count() <= LONGEST_TEXT
}

/// Translates a pattern into one that finds at least as much: `*` for any text, `?` for one character.
fn like(name: String, kind: FieldKind, pattern: &str) -> Fit {
    if kind != FieldKind::Text {
        return OTHER_TYPE;
    }
    let mut remote = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            // One character here may be two there, as an emoji in UTF-16.
            '%' | '_' => push_any(&mut remote),
            '\\' => match characters.next() {
                Some(escaped) => push_plain(escaped, &mut remote),
                // PostgreSQL's to refuse.
                None => return Fit::Unpushable("the CRM cannot read such a pattern"),
            },
            plain => push_plain(plain, &mut remote),
        }
    }
    // S-5: a pattern that does not begin with plain text has the CRM read all records.
    if remote.starts_with('*') {
        return Fit::Unpushable("the CRM is too slow with a pattern that begins with a wildcard");
    }
    if !is_sayable(&remote) {
        return Fit::Unpushable("the CRM cannot read such a pattern");
    }
    Fit::Send {
        filter: Filter::Like {
            field: name,
            pattern: Value::Text(remote),
        },
        exact: false,
    }
}

/// What has a meaning in the CRM's patterns, is folded in a way of its own or may be trimmed stands as a wildcard.
fn push_plain(character: char, remote: &mut String) {
    let is_special = matches!(character, '*' | '?' | '\\') || character.is_whitespace();
    if folds_alike(character) && !is_special {
        remote.push(character);
    } else {
        push_any(remote);
    }
}

fn push_any(remote: &mut String) {
    if !remote.ends_with('*') {
        remote.push('*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deparse;
    use crate::semantics::tests::usual;
    use crm_core::{comparison, parse_date, parse_instant};
    use proptest::prelude::*;

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
        show(&fit(&usual(remote_type), comparison("F", operator, value)))
    }

    #[test]
    fn every_whole_number_is_decided_exactly_against_a_32_bit_field() {
        // The rules of crm-core take this for granted when the number is a parameter.
        for operator in [Operator::Equal, Operator::Less, Operator::GreaterOrEqual] {
            for value in [i64::MIN, -2_147_483_649, 0, 2_147_483_648, i64::MAX] {
                let fit = fit(
                    &usual("Integer"),
                    comparison("F", operator, Value::Int(value)),
                );
                let is_exact = !matches!(fit, Fit::Unpushable(_) | Fit::Send { exact: false, .. });
                assert!(is_exact, "{operator:?} {value}: {fit:?}");
            }
        }
    }

    #[test]
    fn numbers() {
        use Operator::{Equal, Greater, Less, NotEqual};
        for (remote_type, operator, value, expected) in [
            ("Number", Equal, "1.50", "[F] = '1.5'"),
            ("Currency", Less, "-1e3", "[F] < '-1000'"),
            ("Percent", NotEqual, "3", "[F] <> '3'"),
            ("Number", Less, "1234567890123456", "unpushable"),
            ("Number", Less, "NaN", "not null"),
            ("Number", Greater, "Infinity", "never"),
            ("Integer", Equal, "1.5", "never"),
            ("Integer", Less, "1.5", "[F] <= '1'"),
            ("Integer", Greater, "2147483648", "never"),
            ("Text (Short)", Equal, "1", "unpushable"),
            ("Date", Equal, "1", "unpushable"),
        ] {
            let shown = compared(remote_type, operator, Value::Numeric(value.into()));
            assert_eq!(shown, expected, "{remote_type} {operator:?} {value}");
        }
    }

    #[test]
    fn days_and_times() {
        use Operator::{Equal, Greater, GreaterOrEqual, Less};
        for (operator, day, expected) in [
            (Equal, "2024-02-29", "[F] = '2024-02-29'"),
            (GreaterOrEqual, "1753-01-01", "[F] >= '1753-01-01'"),
            (GreaterOrEqual, "1752-12-31", "unpushable"),
            (Less, "9999-12-31", "[F] < '9999-12-31'"),
        ] {
            let value = Value::Date(parse_date(day).unwrap());
            assert_eq!(
                compared("Date", operator, value),
                expected,
                "{operator:?} {day}"
            );
        }
        assert_eq!(compared("Date", Less, Value::Date(i32::MAX)), "not null");
        for (operator, at, expected) in [
            (Less, "2024-01-31T23:59:59Z", "[F] < '2024-01-31T23:59:59Z'"),
            (
                Greater,
                "2024-01-31T23:59:59.5Z",
                "[F] >= '2024-01-31T23:59:59Z' ~",
            ),
            (
                Equal,
                "2024-01-31T23:59:59Z",
                "([F] >= '2024-01-31T23:59:59Z') AND ([F] < '2024-02-01T00:00:00Z') ~",
            ),
            (Greater, "1700-01-01T00:00:00Z", "unpushable"),
        ] {
            let value = Value::Instant(parse_instant(at).unwrap());
            assert_eq!(
                compared("Date/Time", operator, value),
                expected,
                "{operator:?} {at}"
            );
        }
        assert_eq!(
            compared("Date/Time", Less, Value::Instant(i64::MIN)),
            "never"
        );
    }

    #[test]
    fn texts() {
        for (remote_type, text, expected) in [
            ("Text (Short)", "O'Brien", "[F] = 'O''Brien'"),
            ("Text (Short)", "", "never"),
            ("Text (Short)", "50*", "unpushable"),
            ("Text (Short)", "a?", "unpushable"),
            ("Text (Short)", "a\\b", "unpushable"),
            ("Text (Short)", " a", "unpushable"),
            ("Text (Short)", "a\nb", "unpushable"),
            ("Text (Short)", "a\0b", "unpushable"),
            ("Picklist", "Customer", "[F] = 'Customer'"),
            ("ID", "1QA2-34ISOM", "[F] = '1QA2-34ISOM'"),
            ("ID", "x' OR '1'='1", "unpushable"),
            ("Phone", "+1 5550100", "unpushable"),
            ("Number", "5", "unpushable"),
        ] {
            let shown = compared(remote_type, Operator::Equal, Value::Text(text.into()));
            assert_eq!(shown, expected, "{remote_type} {text}");
        }
        let list = |n: i64| Filter::In {
            field: "F".into(),
            values: Value::List((0..n).map(Value::Int).collect()),
        };
        assert_eq!(
            show(&fit(&usual("Integer"), list(2))),
            "([F] = '0') OR ([F] = '1')"
        );
        assert_eq!(show(&fit(&usual("Integer"), list(101))), "unpushable");
    }

    proptest! {
        #[test]
        fn what_is_sent_can_be_said(text in any::<String>(), number in any::<i64>(), digits in "-?[0-9]{0,40}(\\.[0-9]{0,20})?(e-?[0-9]{1,4})?") {
            let words = ["ID", "Text (Short)", "Picklist", "Number", "Integer", "Date", "Date/Time", "Phone", ""];
            let day = number as i32;
            for word in words {
                let field = usual(word);
                for value in [
                    Value::Text(text.clone()),
                    Value::Int(number),
                    Value::Numeric(digits.clone()),
                    Value::Date(day),
                    Value::Instant(number),
                ] {
                    for operator in [Operator::Equal, Operator::NotEqual, Operator::Less, Operator::GreaterOrEqual] {
                        if let Fit::Send { filter, .. } = fit(&field, comparison("F", operator, value.clone())) {
                            let said = deparse::filter(&filter);
                            prop_assert!(said.is_ok(), "{word} {value:?}");
                        }
                    }
                }
                let pattern = Filter::Like { field: "F".into(), pattern: Value::Text(text.clone()) };
                if let Fit::Send { filter, .. } = fit(&field, pattern) {
                    prop_assert!(deparse::filter(&filter).is_ok());
                }
            }
        }
    }

    #[test]
    fn patterns_find_at_least_as_much() {
        for (pattern, expected) in [
            ("Acme%", "[F] ~LIKE 'Acme*' ~"),
            ("A__%", "[F] ~LIKE 'A*' ~"),
            (r"50\%%", "[F] ~LIKE '50%*' ~"),
            (r"a\_b", "[F] ~LIKE 'a_b' ~"),
            (r"a\\b", "[F] ~LIKE 'a*b' ~"),
            ("a*b?", "[F] ~LIKE 'a*b*' ~"),
            ("a b", "[F] ~LIKE 'a*b' ~"),
            ("a\\", "unpushable"),
            ("", "unpushable"),
            ("%me", "unpushable"),
            ("O'B%", "[F] ~LIKE 'O''B*' ~"),
            ("Straße", "[F] ~LIKE 'Stra*e' ~"),
        ] {
            let filter = Filter::Like {
                field: "F".into(),
                pattern: Value::Text(pattern.into()),
            };
            assert_eq!(
                show(&fit(&usual("Text (Short)"), filter)),
                expected,
                "{pattern}"
            );
        }
    }
}
