//! Single values: what a filter compares with.
//! Values of records travel in columns, see `page.rs`.

use serde::{Deserialize, Serialize};

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
