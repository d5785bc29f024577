//! Values ready to be compared: literals checked against the type of their field, and stored cells
//! read in that same type. The rules are sections 4.2 and 4.3 of the protocol page.

use std::cmp::Ordering;
use std::str::FromStr;

use bigdecimal::BigDecimal;
use chrono::{NaiveDate, NaiveTime};

use super::ast::{Glyph, Op, Value};
use super::dates;
use crate::salesforce::errors::ApiError;
use crate::salesforce::id;
use crate::salesforce::store::{Cell, Field, Kind};

/// A number that compares exactly, whatever its length.
#[derive(Debug, Clone)]
pub enum Number {
    /// At most fifteen digits: a double tells such numbers apart.
    Short(f64),
    Long(BigDecimal),
}

impl Number {
    /// Reads digits as they are stored or written; `None` for anything that is no number.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('+').unwrap_or(text);
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        if digits <= 15 {
            return text.parse().ok().map(Self::Short);
        }
        BigDecimal::from_str(text).ok().map(Self::Long)
    }

    /// The exact decimal.
    pub fn decimal(&self) -> BigDecimal {
        match self {
            Self::Short(number) => BigDecimal::from_str(&number.to_string()).unwrap_or_default(),
            Self::Long(number) => number.clone(),
        }
    }

    /// Order by size.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Short(a), Self::Short(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            _ => self.decimal().cmp(&other.decimal()),
        }
    }
}

/// A literal bound to the type of the field it is compared with.
#[derive(Debug, Clone)]
pub enum Bound {
    Null,
    Bool(bool),
    Number(Number),
    /// Text in the form it compares in: folded unless the field is case-sensitive.
    Text(String),
    /// The first fifteen characters of an id.
    Id(String),
    Date(NaiveDate),
    Instant(i64),
    Time(NaiveTime),
    /// First and last day of a date literal, the last excluded.
    Days(NaiveDate, NaiveDate),
}

/// What a stored cell is in a comparison.
pub enum Datum {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Date(NaiveDate),
    Instant(i64),
    Time(NaiveTime),
}

/// Folds text the way comparisons do.
pub fn fold(text: &str, field: &Field) -> String {
    if field.case_sensitive {
        text.to_owned()
    } else {
        text.to_lowercase()
    }
}

/// Reads a cell in the type of its field.
pub fn datum(cell: &Cell, field: &Field) -> Datum {
    let text = match cell {
        Cell::Null if field.kind == Kind::Bool => return Datum::Bool(false),
        Cell::Null => return Datum::Null,
        Cell::Bool(flag) => return Datum::Bool(*flag),
        Cell::Number(text) => {
            return Number::parse(text).map_or(Datum::Null, Datum::Number);
        }
        Cell::Object(_) | Cell::Blob(_) => return Datum::Null,
        Cell::Text(text) => text,
    };
    match field.kind {
        Kind::Id => Datum::Text(text.get(..15).unwrap_or(text).to_owned()),
        Kind::Date => day_of(text).map_or(Datum::Null, Datum::Date),
        Kind::Instant => instant_of(text).map_or(Datum::Null, Datum::Instant),
        Kind::Time => {
            NaiveTime::parse_from_str(text, "%H:%M:%S%.fZ").map_or(Datum::Null, Datum::Time)
        }
        _ => Datum::Text(fold(text, field)),
    }
}

/// A date in wire form.
fn day_of(text: &str) -> Option<NaiveDate> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    NaiveDate::from_ymd_opt(part(0, 4)? as i32, part(5, 7)?, part(8, 10)?)
}

/// A moment in wire form (`2024-01-31T23:59:59.000+0000`), in milliseconds since 1970.
fn instant_of(text: &str) -> Option<i64> {
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u32>().ok();
    let clock =
        NaiveTime::from_hms_milli_opt(part(11, 13)?, part(14, 16)?, part(17, 19)?, part(20, 23)?)?;
    Some(day_of(text)?.and_time(clock).and_utc().timestamp_millis())
}

/// Checks a literal against a field and an operator; date literals are those of `today`.
///
/// # Errors
/// `INVALID_FIELD` for a literal of another type, `INVALID_QUERY_FILTER_OPERATOR` for a malformed id
/// and for an operator the type does not have, `MALFORMED_QUERY` for null with anything but `=`, `!=`.
pub fn bind(value: &Value, op: Op, field: &Field, today: NaiveDate) -> Result<Bound, ApiError> {
    let name = &field.name;
    let wrong = |quoted: bool| {
        let rest = match quoted {
            true => "should be enclosed in quotes",
            false => "should not be enclosed in quotes",
        };
        ApiError::bad(
            "INVALID_FIELD",
            format!(
                "value of filter criterion for field '{name}' must be of type {} and {rest}",
                type_name(field)
            ),
        )
    };
    if let Value::Text(text) = value
        && text.like_escape
        && op != Op::Like
    {
        return Err(ApiError::malformed(
            "Invalid string literal: '\\_' and '\\%' are for LIKE only",
        ));
    }
    if *value == Value::Null {
        return match op {
            Op::Eq | Op::Ne if field.kind == Kind::Bool => Ok(Bound::Bool(false)),
            Op::Eq | Op::Ne => Ok(Bound::Null),
            _ => Err(ApiError::malformed(format!(
                "null is allowed with = and != only (field '{name}')"
            ))),
        };
    }
    match (field.kind, value) {
        (Kind::Text | Kind::MultiPicklist, Value::Text(text)) => Ok(match text.text.as_str() {
            "" if matches!(op, Op::Eq | Op::Ne | Op::In | Op::NotIn) => Bound::Null,
            text => Bound::Text(fold(text, field)),
        }),
        (Kind::Text | Kind::MultiPicklist, _) => Err(wrong(true)),
        (Kind::Id, Value::Text(text)) => match text.text.as_str() {
            "" if matches!(op, Op::Eq | Op::Ne | Op::In | Op::NotIn) => Ok(Bound::Null),
            text => id::normalise(text)
                .map(|id| Bound::Id(id[..15].to_owned()))
                .ok_or_else(|| {
                    ApiError::bad(
                        "INVALID_QUERY_FILTER_OPERATOR",
                        format!("invalid ID field: {text}"),
                    )
                }),
        },
        (Kind::Id, _) => Err(wrong(true)),
        (Kind::Bool, Value::Bool(flag)) => Ok(Bound::Bool(*flag)),
        (Kind::Number, Value::Number(text)) => Number::parse(text)
            .map(Bound::Number)
            .ok_or_else(|| wrong(false)),
        (Kind::Date, Value::Date(date)) => Ok(Bound::Date(*date)),
        (Kind::Instant, Value::Instant(instant)) => Ok(Bound::Instant(*instant)),
        (Kind::Time, Value::Time(time)) => Ok(Bound::Time(*time)),
        (Kind::Date | Kind::Instant, Value::Range(range, count)) => {
            dates::span(range, count.unwrap_or(0), today)
                .map(|(from, to)| Bound::Days(from, to))
                .ok_or_else(|| ApiError::malformed(format!("Invalid date literal: {range}")))
        }
        _ => Err(wrong(false)),
    }
}

fn type_name(field: &Field) -> &str {
    match (field.kind, field.remote_type.as_str()) {
        (Kind::Instant, _) => "dateTime",
        (Kind::Text, _) => "string",
        (Kind::Number, "currency" | "percent") => "double",
        (_, other) => other,
    }
}

/// How a cell stands to a bound literal; `None` when null or of another type.
/// A date literal compares as a span: inside it is equal.
pub fn order(datum: &Datum, bound: &Bound) -> Option<Ordering> {
    let span = |day: NaiveDate, from: &NaiveDate, to: &NaiveDate| {
        if day < *from {
            Ordering::Less
        } else if day >= *to {
            Ordering::Greater
        } else {
            Ordering::Equal
        }
    };
    Some(match (datum, bound) {
        (Datum::Bool(a), Bound::Bool(b)) => a.cmp(b),
        (Datum::Number(a), Bound::Number(b)) => a.compare(b),
        (Datum::Text(a), Bound::Text(b) | Bound::Id(b)) => a.cmp(b),
        (Datum::Date(a), Bound::Date(b)) => a.cmp(b),
        (Datum::Instant(a), Bound::Instant(b)) => a.cmp(b),
        (Datum::Time(a), Bound::Time(b)) => a.cmp(b),
        (Datum::Date(a), Bound::Days(from, to)) => span(*a, from, to),
        (Datum::Instant(a), Bound::Days(from, to)) => {
            let moment = chrono::DateTime::from_timestamp_millis(*a)?;
            span(moment.date_naive(), from, to)
        }
        _ => return None,
    })
}

/// Order of two cells of one field, nulls apart: text without case, picklists by definition.
pub fn sort_order(a: &Datum, b: &Datum) -> Ordering {
    match (a, b) {
        (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
        (Datum::Number(a), Datum::Number(b)) => a.compare(b),
        (Datum::Text(a), Datum::Text(b)) => a.cmp(b),
        (Datum::Date(a), Datum::Date(b)) => a.cmp(b),
        (Datum::Instant(a), Datum::Instant(b)) => a.cmp(b),
        (Datum::Time(a), Datum::Time(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

/// LIKE without case; the pattern is matched against all of the text.
pub fn like(text: &str, pattern: &[Glyph]) -> bool {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let pattern: Vec<Glyph> = pattern
        .iter()
        .flat_map(|glyph| match glyph {
            Glyph::Char(c) => c.to_lowercase().map(Glyph::Char).collect::<Vec<_>>(),
            other => vec![*other],
        })
        .collect();
    let (mut t, mut p) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(Glyph::Any) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(Glyph::One) => {
                t += 1;
                p += 1;
                continue;
            }
            Some(Glyph::Char(c)) if *c == text[t] => {
                t += 1;
                p += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_any, from)) = retry else {
            return false;
        };
        retry = Some((after_any, from + 1));
        p = after_any;
        t = from + 1;
    }
    pattern[p..].iter().all(|glyph| *glyph == Glyph::Any)
}
