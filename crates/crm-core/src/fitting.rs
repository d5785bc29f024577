//! What connectors share when they fit a condition's value to what their CRM can hold and read (spec S-2.5).
//!
//! What lies outside is answered by its meaning: no record can hold it, or every record that holds anything passes.

use crate::connector::Fit;
use crate::plain::Plain;
use crate::query::{Filter, Operator};
use crate::temporal::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::value::Value;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

/// More significant digits may be lost in a remote comparison, which is done in double precision somewhere.
const MOST_DIGITS: usize = 15;
/// More digits on one side of the point are not read everywhere.
const LONGEST_SIDE: usize = 30;

/// `field operator value`.
pub fn comparison(field: &str, operator: Operator, value: Value) -> Filter<Value> {
    Filter::Compare {
        field: field.into(),
        operator,
        value,
    }
}

/// Sends `field operator value` as it is.
pub fn fit_as_is(field: &str, operator: Operator, value: Value) -> Fit {
    Fit::Send {
        filter: comparison(field, operator, value),
        exact: true,
    }
}

/// A comparison with a value beyond everything that a field can hold, on the side that `ordering` says.
pub fn fit_beyond(operator: Operator, ordering: Ordering) -> Fit {
    let holds = match operator {
        Operator::Equal => false,
        Operator::NotEqual => true,
        Operator::Less | Operator::LessOrEqual => ordering == Ordering::Greater,
        Operator::Greater | Operator::GreaterOrEqual => ordering == Ordering::Less,
    };
    if holds { Fit::NotNull } else { Fit::Never }
}

/// A number against a field of decimals. `is_int` says that the value came as a whole number: given as a parameter it
/// was planned as one that the CRM can read, whatever its value.
pub fn fit_decimal(field: &str, operator: Operator, text: &str, is_int: bool) -> Fit {
    let plain = match read_number(operator, text) {
        Ok(plain) => plain,
        Err(fit) => return fit,
    };
    if !is_int && plain.significant_digits() > MOST_DIGITS {
        return Fit::Unpushable("the number has more digits than the CRM compares");
    }
    if plain.whole.len() > LONGEST_SIDE || plain.fraction.len() > LONGEST_SIDE {
        return Fit::Unpushable("the CRM cannot read such a number");
    }
    let text = plain.text();
    let value = text.parse().map_or(Value::Numeric(text), Value::Int);
    fit_as_is(field, operator, value)
}

/// A number against a field that holds whole numbers within `range`: a fraction moves to the neighbour that means the
/// same.
pub fn fit_whole_number(
    field: &str,
    operator: Operator,
    text: &str,
    range: RangeInclusive<i64>,
) -> Fit {
    let plain = match read_number(operator, text) {
        Ok(plain) => plain,
        Err(fit) => return fit,
    };
    let side = if plain.negative {
        Ordering::Less
    } else {
        Ordering::Greater
    };
    let Some(floor) = plain.floor().and_then(|floor| i64::try_from(floor).ok()) else {
        return fit_beyond(operator, side);
    };
    let has_fraction = !plain.fraction.is_empty();
    let (operator, value) = match (has_fraction, operator) {
        (false, operator) => (operator, Some(floor)),
        (true, Operator::Equal) => return Fit::Never,
        (true, Operator::NotEqual) => return Fit::NotNull,
        (true, Operator::Less | Operator::LessOrEqual) => (Operator::LessOrEqual, Some(floor)),
        (true, Operator::Greater | Operator::GreaterOrEqual) => {
            (Operator::GreaterOrEqual, floor.checked_add(1))
        }
    };
    match value {
        Some(value) if range.contains(&value) => fit_as_is(field, operator, Value::Int(value)),
        _ => fit_beyond(operator, side),
    }
}

/// PostgreSQL puts `NaN` above everything and makes it equal to itself.
fn read_number(operator: Operator, text: &str) -> Result<Plain, Fit> {
    match text {
        "NaN" | "Infinity" => Err(fit_beyond(operator, Ordering::Greater)),
        "-Infinity" => Err(fit_beyond(operator, Ordering::Less)),
        _ => Plain::parse(text).ok_or(Fit::Unpushable("the CRM cannot read such a number")),
    }
}

/// A day against a field that holds days within `days`.
pub fn fit_day(field: &str, operator: Operator, day: i32, days: &RangeInclusive<i32>) -> Fit {
    if day < *days.start() {
        fit_beyond(operator, Ordering::Less)
    } else if day > *days.end() {
        fit_beyond(operator, Ordering::Greater)
    } else {
        fit_as_is(field, operator, Value::Date(day))
    }
}

/// A point in time against a field of times within `days`, where literals are whole seconds: one between two is widened
/// to the second that holds it. Whether fractions take part in the CRM's comparison does not matter to the result.
pub fn fit_to_seconds(
    field: &str,
    operator: Operator,
    instant: i64,
    days: &RangeInclusive<i32>,
) -> Fit {
    let day = instant.div_euclid(MICROS_PER_DAY);
    if day < i64::from(*days.start()) {
        return fit_beyond(operator, Ordering::Less);
    }
    if day > i64::from(*days.end()) {
        return fit_beyond(operator, Ordering::Greater);
    }
    if day == i64::from(*days.end()) {
        // Its first instant can be stored, but the second after that cannot be said.
        return Fit::Unpushable("the CRM cannot read such a time");
    }
    let floor = instant.div_euclid(MICROS_PER_SECOND) * MICROS_PER_SECOND;
    let is_whole = floor == instant;
    let next = floor + MICROS_PER_SECOND;
    let at = |operator, instant| comparison(field, operator, Value::Instant(instant));
    let (filter, exact) = match operator {
        Operator::Equal => {
            let second = vec![
                at(Operator::GreaterOrEqual, floor),
                at(Operator::Less, next),
            ];
            (Filter::And(second), false)
        }
        Operator::NotEqual => return Fit::Unpushable("the CRM compares whole seconds"),
        Operator::Less | Operator::GreaterOrEqual if is_whole => (at(operator, floor), true),
        Operator::Less => (at(Operator::Less, next), false),
        Operator::LessOrEqual if is_whole => (at(operator, floor), false),
        Operator::LessOrEqual => (at(Operator::Less, next), false),
        Operator::Greater | Operator::GreaterOrEqual => {
            (at(Operator::GreaterOrEqual, floor), false)
        }
    };
    Fit::Send { filter, exact }
}

/// A list, each value as `equal` fits it to `=`.
pub fn fit_list(field: &str, values: Vec<Value>, mut equal: impl FnMut(Value) -> Fit) -> Fit {
    let mut simple = Vec::new();
    let mut ranges = Vec::new();
    let mut exact = true;
    for value in values {
        match equal(value) {
            Fit::Send {
                filter: Filter::Compare { value, .. },
                exact: fits,
            } => {
                exact &= fits;
                if !simple.contains(&value) {
                    simple.push(value);
                }
            }
            Fit::Send { filter, .. } => {
                exact = false;
                if !ranges.contains(&filter) {
                    ranges.push(filter);
                }
            }
            Fit::Never => {}
            Fit::NotNull => return Fit::NotNull,
            refused @ Fit::Unpushable(_) => return refused,
        }
    }
    if !simple.is_empty() {
        ranges.push(Filter::In {
            field: field.into(),
            values: Value::List(simple),
        });
    }
    let filter = match ranges.len() {
        0 => return Fit::Never,
        1 => ranges.remove(0),
        _ => Filter::Or(ranges),
    };
    Fit::Send { filter, exact }
}

/// The letter's two cases are one character each, and lead to each other. Any other letter may be folded differently
/// by a CRM, which a pattern without regard to case would feel.
pub fn folds_alike(character: char) -> bool {
    let lower: Vec<char> = character.to_lowercase().collect();
    let upper: Vec<char> = character.to_uppercase().collect();
    lower.len() == 1
        && upper.len() == 1
        && (character == lower[0] || character == upper[0])
        && lower[0].to_uppercase().eq(upper.iter().copied())
        && upper[0].to_lowercase().eq(lower.iter().copied())
}
