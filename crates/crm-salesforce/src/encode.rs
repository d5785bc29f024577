//! Values as the wire takes them, in JSON and in CSV: the inverse of what decoding makes of them (spec section 4,
//! Salesforce page 8.1, 7 and 11). Nothing is sent that would be read back as something else.

use crate::fit::{FIRST_DAY, LAST_DAY};
use crm_core::{
    ErrorKind, MICROS_PER_DAY, Plain, Reject, Value, WriteField, Zone, format_date,
    format_instant_millis, format_time_millis, json, shortened, uuid_text,
};

/// What a cell of CSV says to empty a field; an empty cell leaves it as it is.
pub(crate) const CSV_NULL: &str = "#N/A";

/// One value on the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wire {
    /// Empties the field.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, digit for digit.
    Number(String),
    /// Text.
    Text(String),
}

impl Wire {
    /// Appends it to a JSON document.
    pub(crate) fn push_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => json::push_text(text, out),
        }
    }

    /// A cell of CSV, not yet quoted.
    pub(crate) fn cell(&self) -> &str {
        match self {
            Self::Null => CSV_NULL,
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    /// CSV cannot say this text: it would empty the field.
    pub(crate) fn is_unsayable_in_csv(&self) -> bool {
        matches!(self, Self::Text(text) if text == CSV_NULL)
    }
}

/// What a field takes, as far as writing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Boolean,
    Number,
    Date,
    Instant,
    Time,
    MultiPicklist,
    Text,
    /// A compound, written through its parts only (3.3).
    Compound,
    /// The table does not say: the value's own type decides.
    Unsaid,
}

impl Target {
    /// Decided by the vendor's type word.
    pub(crate) fn of(remote_type: &str) -> Self {
        match remote_type.to_ascii_lowercase().as_str() {
            "" => Self::Unsaid,
            "boolean" => Self::Boolean,
            "int" | "long" | "double" | "currency" | "percent" => Self::Number,
            "date" => Self::Date,
            "datetime" => Self::Instant,
            "time" => Self::Time,
            "multipicklist" => Self::MultiPicklist,
            "address" | "location" | "complexvalue" => Self::Compound,
            _ => Self::Text,
        }
    }
}

/// A value as `field` takes it; an absent one empties the field.
///
/// # Errors
/// The reject that says why it cannot be written.
pub(crate) fn encode(
    field: &WriteField,
    value: Option<&Value>,
    zone: Zone,
) -> Result<Wire, Box<Reject>> {
    let Some(value) = value else {
        return Ok(Wire::Null);
    };
    let target = Target::of(&field.remote_type);
    let encoded = match (target, value) {
        (Target::Compound, _) => return Err(compound(field)),
        (_, Value::Placeholder(_)) => return Err(unfit(field, "a parameter without a value")),
        (Target::Boolean | Target::Unsaid, Value::Bool(value)) => Wire::Bool(*value),
        (Target::Number | Target::Unsaid, Value::Int(value)) => Wire::Number(value.to_string()),
        (Target::Number | Target::Unsaid, Value::Numeric(digits)) => {
            Wire::Number(plain_digits(field, digits)?)
        }
        (Target::Number, Value::Text(text)) if json::is_number(text) => Wire::Number(text.clone()),
        (Target::Boolean, Value::Text(text)) if text == "true" => Wire::Bool(true),
        (Target::Boolean, Value::Text(text)) if text == "false" => Wire::Bool(false),
        // The raw string, or a text column over another type: the vendor judges it.
        (_, Value::Text(text)) => text_or_null(text.clone()),
        (Target::Boolean | Target::Number, other) => return Err(unfit(field, other.kind())),
        (Target::Date, value) => Wire::Text(date(field, value, zone)?),
        (Target::Instant, value) => Wire::Text(instant(field, value, zone)?),
        (Target::Time, Value::Time(time)) => Wire::Text(time_of_day(field, *time)?),
        (Target::Time, other) => return Err(unfit(field, other.kind())),
        (Target::MultiPicklist, Value::List(parts)) => text_or_null(joined(field, parts)?),
        (Target::MultiPicklist | Target::Text | Target::Unsaid, value) => {
            text_or_null(text(field, value, zone)?)
        }
    };
    Ok(encoded)
}

/// The vendor stores empty text as none; said plainly it is the same in JSON and CSV.
fn text_or_null(text: String) -> Wire {
    if text.is_empty() {
        Wire::Null
    } else {
        Wire::Text(text)
    }
}

fn plain_digits(field: &WriteField, digits: &str) -> Result<String, Box<Reject>> {
    let plain = Plain::parse(digits).ok_or_else(|| {
        let reject = Reject::new(
            ErrorKind::NumberOutOfRange,
            "NUMBER_OUTSIDE_VALID_RANGE",
            format!(
                "{}: value outside of valid range on numeric field: {}",
                field.name,
                shortened(digits)
            ),
        );
        Box::new(reject.of_field(&field.name))
    })?;
    Ok(plain.text())
}

fn date(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let day = field.day(value, zone).map_err(|kind| unfit(field, kind))?;
    day.filter(|day| (FIRST_DAY..=LAST_DAY).contains(day))
        .and_then(format_date)
        .ok_or_else(|| out_of_calendar(field))
}

fn instant(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let instant = field
        .instant(value, zone)
        .map_err(|kind| unfit(field, kind))?;
    instant
        .filter(|instant| {
            let day = instant.div_euclid(MICROS_PER_DAY);
            (i64::from(FIRST_DAY)..=i64::from(LAST_DAY)).contains(&day)
        })
        .and_then(format_instant_millis)
        .ok_or_else(|| out_of_calendar(field))
}

fn time_of_day(field: &WriteField, time: i64) -> Result<String, Box<Reject>> {
    let digits = format_time_millis(time).ok_or_else(|| unfit(field, "the time 24:00"))?;
    Ok(format!("{digits}Z"))
}

fn joined(field: &WriteField, parts: &[Value]) -> Result<String, Box<Reject>> {
    let mut joined = String::new();
    for (at, part) in parts.iter().enumerate() {
        let part = match part {
            Value::Text(part) => part.clone(),
            Value::Int(part) => part.to_string(),
            other => return Err(unfit(field, other.kind())),
        };
        if part.contains(';') {
            return Err(unfit(field, "a list with \";\" inside an element"));
        }
        if at > 0 {
            joined.push(';');
        }
        joined.push_str(&part);
    }
    Ok(joined)
}

/// Any value in a field of text: the form in which it would be read back.
fn text(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Numeric(digits) => plain_digits(field, digits)?,
        Value::Text(text) | Value::Json(text) => text.clone(),
        Value::Date(_) => date(field, value, zone)?,
        Value::Instant(_) | Value::Timestamp(_) => instant(field, value, zone)?,
        Value::Time(time) => time_of_day(field, *time)?,
        Value::Uuid(bytes) => uuid_text(bytes),
        Value::List(parts) => joined(field, parts)?,
        Value::Placeholder(_) => return Err(unfit(field, value.kind())),
    })
}

fn compound(field: &WriteField) -> Box<Reject> {
    Box::new(
        Reject::new(
            ErrorKind::FieldUnknown,
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            format!(
                "{}: a compound field is written through its parts",
                field.name
            ),
        )
        .of_field(&field.name),
    )
}

fn unfit(field: &WriteField, what: &str) -> Box<Reject> {
    let remote_type = match field.remote_type.as_str() {
        "" => "such a field",
        known => known,
    };
    Box::new(
        Reject::new(
            ErrorKind::ValidationRule,
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
            format!("{}: {what} cannot be written to {remote_type}", field.name),
        )
        .of_field(&field.name),
    )
}

fn out_of_calendar(field: &WriteField) -> Box<Reject> {
    Box::new(
        Reject::new(
            ErrorKind::NumberOutOfRange,
            "FIELD_INTEGRITY_EXCEPTION",
            format!(
                "{}: invalid date: the CRM holds the years 1700 to 4000",
                field.name
            ),
        )
        .of_field(&field.name),
    )
}

#[cfg(test)]
mod tests;
