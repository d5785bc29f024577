//! Single values: what a filter compares with.
//! Values of records travel in columns, see `page.rs`.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The form in which a column's values are decoded, one Rust type each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ColumnType {
    /// Truth value.
    Bool,
    /// 32-bit integer.
    Int32,
    /// 64-bit integer.
    Int64,
    /// Double precision.
    Float64,
    /// Decimal number, kept as text: it never passes through a float (spec C-5).
    Numeric,
    /// Text; also the raw form of anything.
    Text,
    /// A JSON document as text.
    Json,
    /// Calendar day: days since 1970-01-01.
    Date,
    /// Wall-clock date and time without a zone: microseconds since 1970-01-01 00:00:00.
    Timestamp,
    /// A point in time: microseconds since 1970-01-01 00:00:00 UTC.
    Instant,
    /// Time of day: microseconds since midnight.
    Time,
    /// A 128-bit identifier.
    Uuid,
    /// A list of texts: a multi-select enumeration.
    TextArray,
    /// A list of integers: a multi-select enumeration with numeric values.
    Int32Array,
}

/// A value that a filter compares with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Truth value.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Decimal as text: optional sign, digits, optional point and digits; or `NaN`, `Infinity`, `-Infinity`.
    Numeric(String),
    /// Text.
    Text(String),
    /// Days since 1970-01-01; `i32::MIN` and `i32::MAX` are minus and plus infinity.
    Date(i32),
    /// Microseconds since the Unix epoch; `i64::MIN` and `i64::MAX` are minus and plus infinity.
    Instant(i64),
    /// Microseconds of a wall clock without a zone, as [`Value::Instant`].
    Timestamp(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// A 128-bit identifier.
    Uuid([u8; 16]),
    /// A JSON document.
    Json(String),
    /// The elements of a list, nulls left out: in a condition they never match.
    List(Vec<Value>),
    /// A value known only at execution, shown by its number in EXPLAIN. Never sent.
    Placeholder(usize),
}

impl Value {
    /// What kind of value it is, for messages: a noun with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a truth value",
            Self::Int(_) | Self::Numeric(_) => "a number",
            Self::Text(_) => "a text",
            Self::Date(_) => "a date",
            Self::Instant(_) | Self::Timestamp(_) => "a date and time",
            Self::Time(_) => "a time of day",
            Self::Uuid(_) => "a uuid",
            Self::Json(_) => "a document",
            Self::List(_) => "a list",
            Self::Placeholder(_) => "a parameter without a value",
        }
    }

    /// The value as a record identifier travels: as text, a 128-bit one in its canonical form.
    pub fn identifier(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Uuid(bytes) => Some(Cow::Owned(uuid_text(bytes))),
            _ => None,
        }
    }
}

/// A 128-bit identifier in its canonical form: lower case, hyphens after 8, 12, 16 and 20 digits (RFC 9562).
pub fn uuid_text(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
    text
}

/// A 128-bit identifier from 32 hexadecimal digits in either case, with hyphens or without, in braces or without.
pub fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let bare = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let mut bytes = [0_u8; 16];
    let mut n_digits = 0;
    for byte in bare.unwrap_or(text).bytes().filter(|byte| *byte != b'-') {
        let digit = char::from(byte).to_digit(16).filter(|_| n_digits < 32)?;
        bytes[n_digits / 2] = bytes[n_digits / 2] << 4 | u8::try_from(digit).ok()?;
        n_digits += 1;
    }
    (n_digits == 32).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_in_any_form_has_one_canonical_text() {
        let canonical = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        for form in [
            canonical,
            "6BA7B810-9DAD-11D1-80B4-00C04FD430C8",
            "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
            "6ba7b8109dad11d180b400c04fd430c8",
        ] {
            let bytes = parse_uuid(form).unwrap();
            assert_eq!(uuid_text(&bytes), canonical);
            let value = Value::Uuid(bytes);
            assert_eq!(value.identifier().as_deref(), Some(canonical));
        }
        for other in ["", "6ba7b810", &format!("{canonical}0"), "\u{e9}", "{", "-"] {
            assert_eq!(parse_uuid(other), None, "{other}");
        }
        assert_eq!(
            Value::Text("1QA2-X".into()).identifier().as_deref(),
            Some("1QA2-X")
        );
        assert_eq!(Value::Int(1).identifier(), None);
    }
}
