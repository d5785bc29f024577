//! The values of columns: how they look on the wire, how they read to people, how they are parsed.
//! Sections 3.3, 11 and 12 of the protocol page.

use std::fmt::Write as _;
use std::str::FromStr as _;

use bigdecimal::{BigDecimal, RoundingMode};
use chrono::{DateTime, Datelike as _, NaiveDate, Timelike as _};
use uuid::Uuid;

use super::model::{Attribute, Behavior, Kind};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Val {
    Null,
    Bool(bool),
    Int(i64),
    Number(BigDecimal),
    Text(String),
    Guid(Uuid),
    /// Seconds since 1970.
    Time(i64),
    Date(NaiveDate),
    /// A row and the place of its table.
    Row(Uuid, usize),
    /// Chosen values in rising order.
    Many(Vec<i32>),
}

/// A moment as on the wire.
pub fn moment(seconds: i64) -> String {
    let at = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    // A million rows have several million moments: quicker than a format that is read each time.
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// Reads a moment; without an offset it is UTC. Fractions are cut.
pub fn read_moment(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_rfc3339(&format!("{text}Z")))
        .or_else(|_| {
            // Seconds may be left out: 2024-01-02T03:04Z.
            let (head, zone) = text.split_at(text.len().min(16));
            DateTime::parse_from_rfc3339(&format!("{head}:00{zone}"))
        });
    parsed.ok().map(|moment| moment.timestamp())
}

/// Rounds to a column's digits.
pub fn rounded(number: &BigDecimal, scale: i64) -> BigDecimal {
    number.with_scale_round(scale, RoundingMode::HalfEven)
}

/// Writes a value as JSON.
pub fn write_json(out: &mut String, value: &Val, column: &Attribute) {
    let written = match value {
        Val::Null => {
            out.push_str("null");
            Ok(())
        }
        Val::Bool(yes) => write!(out, "{yes}"),
        Val::Int(number) => write!(out, "{number}"),
        Val::Number(number) if column.kind == Kind::Double => {
            write!(
                out,
                "{}",
                rounded(number, column.scale())
                    .normalized()
                    .to_plain_string()
            )
        }
        // Values of rows are rounded already.
        Val::Number(number) if number.fractional_digit_count() == column.scale() => {
            out.push_str(&number.to_plain_string());
            Ok(())
        }
        Val::Number(number) => {
            write!(out, "{}", rounded(number, column.scale()).to_plain_string())
        }
        Val::Text(text) => {
            out.push_str(&quoted(text));
            Ok(())
        }
        Val::Guid(id) | Val::Row(id, _) => write!(out, "\"{id}\""),
        Val::Time(at) => write!(out, "\"{}\"", moment(*at)),
        Val::Date(day) => write!(out, "\"{day}\""),
        Val::Many(values) => write!(out, "\"{}\"", joined(values)),
    };
    // Writing to a text does not fail.
    let _ = written;
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    // Writing a text does not fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// `2,3,8`.
pub fn joined(values: &[i32]) -> String {
    let texts: Vec<String> = values.iter().map(i32::to_string).collect();
    texts.join(",")
}

/// What people read, except for references; `None` for plain texts and identifiers.
pub fn formatted(value: &Val, column: &Attribute) -> Option<String> {
    let label = |number: i64| column.label_of(number).map(str::to_owned);
    match value {
        Val::Bool(yes) => label(i64::from(*yes)),
        Val::Int(number) if column.kind.is_choice() => label(*number),
        Val::Int(number) if column.kind == Kind::BigInt || column.kind == Kind::Integer => {
            Some(thousands(&number.to_string()))
        }
        Val::Number(number) => {
            let shown = thousands(&rounded(number, 2).to_plain_string());
            Some(match (column.kind, shown.strip_prefix('-')) {
                (Kind::Money, None) => format!("${shown}"),
                (Kind::Money, Some(positive)) => format!("-${positive}"),
                _ => shown,
            })
        }
        Val::Time(at) => Some(
            DateTime::from_timestamp(*at, 0)
                .unwrap_or_default()
                .format("%-m/%-d/%Y %-I:%M %p")
                .to_string(),
        ),
        Val::Date(day) => Some(day.format("%-m/%-d/%Y").to_string()),
        Val::Many(values) => {
            let labels: Vec<String> = values.iter().filter_map(|v| label(i64::from(*v))).collect();
            Some(labels.join("; "))
        }
        _ => None,
    }
}

fn thousands(digits: &str) -> String {
    let (sign, rest) = match digits.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", digits),
    };
    let (whole, fraction) = rest
        .split_once('.')
        .map_or((rest, None), |(w, f)| (w, Some(f)));
    let mut out = sign.to_owned();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Reads a column's value from a text of the data files, or of a FetchXML condition.
pub fn from_text(text: &str, column: &Attribute) -> Option<Val> {
    if text.is_empty() {
        return Some(Val::Null);
    }
    Some(match column.kind {
        Kind::Uniqueidentifier | Kind::File => Val::Guid(Uuid::parse_str(text).ok()?),
        Kind::Integer | Kind::BigInt => Val::Int(text.parse().ok()?),
        Kind::Decimal | Kind::Double | Kind::Money => {
            Val::Number(rounded(&BigDecimal::from_str(text).ok()?, column.scale()))
        }
        Kind::Boolean => Val::Bool(matches!(text, "1" | "true")),
        Kind::DateTime if column.behavior == Behavior::DateOnly => Val::Date(text.parse().ok()?),
        Kind::DateTime => Val::Time(read_moment(text)?),
        Kind::Picklist | Kind::State | Kind::Status => match text.parse() {
            Ok(number) => Val::Int(number),
            Err(_) => {
                let choice = column.choices.iter().find(|choice| choice.label == text)?;
                Val::Int(choice.value.into())
            }
        },
        Kind::MultiSelectPicklist => Val::Many(read_many(text)?),
        _ => Val::Text(text.to_owned()),
    })
}

/// A value as plain text, the other way of [`from_text`]; nothing for null.
pub fn plain(value: &Val, column: &Attribute) -> String {
    match value {
        Val::Null => String::new(),
        Val::Text(text) => text.clone(),
        other => {
            let mut out = String::new();
            write_json(&mut out, other, column);
            out.trim_matches('"').to_owned()
        }
    }
}

/// Reads `2,3,8`.
pub fn read_many(text: &str) -> Option<Vec<i32>> {
    let mut values = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<Vec<i32>>>()?;
    values.sort_unstable();
    values.dedup();
    Some(values)
}
