//! Values as the wire takes them: the inverse of what decoding makes of them (spec section 4, Dynamics page 3.3 and 11).
//! Nothing is sent that would be read back as something else.

use crate::labels::{Named, value_of};
use crate::reject::{INVALID_ARGUMENT, OUT_OF_RANGE, PAYLOAD, ours};
use crate::types::Kind;
use crm_core::{
    Conversion, EnumerationValue, ErrorKind, MICROS_PER_DAY, Plain, Reject, Value, WriteField,
    Zone, format_date, format_instant_seconds, json, parse_uuid, shortened, uuid_text,
    wall_clock_in_zone,
};

/// 1753-01-01 and 9999-12-31, the first and the last day that the vendor holds (section 11).
const FIRST_DAY: i32 = -79_257;
const LAST_DAY: i32 = 2_932_896;

/// One value on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Empties the field.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number, digit for digit; the field's type says which kind.
    Number(String),
    /// Text.
    Text(String),
    /// An identifier in canonical form, also of the record that a reference names.
    Guid(String),
    /// A day, `YYYY-MM-DD`.
    Date(String),
    /// A moment, `YYYY-MM-DDTHH:MM:SSZ`.
    Moment(String),
    /// The number of an option.
    Choice(String),
    /// Numbers of options.
    Choices(Vec<String>),
}

impl Wire {
    /// Appends it to a JSON document, as a property that is no reference.
    pub(crate) fn push_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(digits) | Self::Choice(digits) => out.push_str(digits),
            Self::Text(text) | Self::Guid(text) | Self::Date(text) | Self::Moment(text) => {
                json::push_text(text, out);
            }
            Self::Choices(numbers) => json::push_text(&numbers.join(","), out),
        }
    }
}

impl Wire {
    /// The digits of a number.
    pub(crate) fn digits(&self) -> Option<&str> {
        match self {
            Self::Number(digits) | Self::Choice(digits) => Some(digits),
            _ => None,
        }
    }

    /// What a property of text holds.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Guid(text) | Self::Date(text) | Self::Moment(text) => {
                Some(text)
            }
            _ => None,
        }
    }
}

/// A value as `field` takes it; an absent one empties the field. `choices` are the values of its option set,
/// where labels are to be understood.
///
/// # Errors
/// The reject that says why it cannot be written.
pub(crate) fn encode(
    field: &WriteField,
    value: Option<&Value>,
    zone: Zone,
    choices: &[EnumerationValue],
) -> Result<Wire, Box<Reject>> {
    let Some(value) = value else {
        return Ok(Wire::Null);
    };
    let kind = Kind::of(&field.remote_type);
    let is_raw = field.conversion == Conversion::CopyPaste;
    Ok(match (kind, value) {
        (Kind::File, _) => return Err(unwritable(field)),
        (_, Value::Placeholder(_)) => return Err(unfit(field, value.kind())),
        // The vendor stores empty text as none.
        (_, Value::Text(text)) if text.is_empty() => Wire::Null,
        (Kind::Boolean | Kind::Unsaid, Value::Bool(value)) => Wire::Bool(*value),
        (Kind::Boolean, Value::Text(text)) if text == "true" => Wire::Bool(true),
        (Kind::Boolean, Value::Text(text)) if text == "false" => Wire::Bool(false),
        (Kind::Boolean, other) => return Err(unfit(field, other.kind())),
        (Kind::Choice, value) => Wire::Choice(choice(field, value, choices, is_raw)?),
        (Kind::Choices, value) => several(field, value, choices, is_raw)?,
        (Kind::Lookup | Kind::Guid, value) => Wire::Guid(guid(field, kind, value)?),
        // Raw strings, and text columns over another type: the vendor judges them.
        (Kind::Day, Value::Text(text)) => Wire::Date(text.clone()),
        (Kind::Instant | Kind::WallClock, Value::Text(text)) => Wire::Moment(text.clone()),
        (Kind::Day, value) => Wire::Date(date(field, value, zone)?),
        (Kind::Instant, value) => Wire::Moment(moment(field, value, zone)?),
        (Kind::WallClock, value) => Wire::Moment(wall_clock(field, value, zone)?),
        (kind, Value::Int(number)) if kind.is_number() => Wire::Number(number.to_string()),
        (kind, Value::Numeric(digits)) if kind.is_number() => {
            Wire::Number(plain_digits(field, digits)?)
        }
        (kind, Value::Text(text)) if kind.is_number() && json::is_number(text) => {
            Wire::Number(text.clone())
        }
        (kind, other) if kind.is_number() => return Err(unfit(field, other.kind())),
        (Kind::Unsaid, Value::Int(number)) => Wire::Number(number.to_string()),
        (Kind::Unsaid, Value::Numeric(digits)) => Wire::Number(plain_digits(field, digits)?),
        (Kind::Unsaid, Value::Uuid(bytes)) => Wire::Guid(uuid_text(bytes)),
        (Kind::Unsaid, Value::Date(_)) => Wire::Date(date(field, value, zone)?),
        (Kind::Unsaid, Value::Instant(_) | Value::Timestamp(_)) => {
            Wire::Moment(moment(field, value, zone)?)
        }
        (_, value) => Wire::Text(text(field, value, zone)?),
    })
}

fn plain_digits(field: &WriteField, digits: &str) -> Result<String, Box<Reject>> {
    let plain = Plain::parse(digits).ok_or_else(|| out_of_range(field, digits))?;
    Ok(plain.text())
}

fn choice(
    field: &WriteField,
    value: &Value,
    choices: &[EnumerationValue],
    is_raw: bool,
) -> Result<String, Box<Reject>> {
    let is_number = |text: &str| text.parse::<i32>().is_ok();
    match value {
        Value::Int(number) => Ok(number.to_string()),
        Value::Numeric(digits) => {
            let digits = plain_digits(field, digits)?;
            if is_number(&digits) {
                return Ok(digits);
            }
            Err(out_of_range(field, &digits))
        }
        Value::Text(text) if is_raw && is_number(text.trim()) => Ok(text.trim().to_owned()),
        Value::Text(text) if !is_raw => match value_of(choices, text) {
            Named::Value(value) => Ok(value.to_owned()),
            // Where the option set is not known, digits can still be nothing but a value.
            Named::Nothing if choices.is_empty() && is_number(text) => Ok(text.clone()),
            Named::Nothing => Err(no_such_choice(field, text)),
            Named::Several => Err(ambiguous(field, text)),
        },
        Value::Text(text) => Err(no_such_choice(field, text)),
        other => Err(unfit(field, other.kind())),
    }
}

fn several(
    field: &WriteField,
    value: &Value,
    choices: &[EnumerationValue],
    is_raw: bool,
) -> Result<Wire, Box<Reject>> {
    let numbers: Result<Vec<String>, _> = match value {
        Value::List(parts) => {
            let parts = parts.iter();
            parts
                .map(|part| choice(field, part, choices, is_raw))
                .collect()
        }
        // A text shows the numbers one behind the other, unless somebody has written labels.
        Value::Text(raw) if is_raw || are_numbers(raw) => {
            let parts = raw.split(',').map(|part| Value::Text(part.to_owned()));
            parts
                .map(|part| choice(field, &part, choices, true))
                .collect()
        }
        Value::Text(labels) => {
            let parts = labels
                .split(';')
                .map(|part| Value::Text(part.trim().to_owned()));
            parts
                .filter(|part| *part != Value::Text(String::new()))
                .map(|part| choice(field, &part, choices, false))
                .collect()
        }
        single => choice(field, single, choices, is_raw).map(|number| vec![number]),
    };
    let numbers = numbers?;
    Ok(if numbers.is_empty() {
        Wire::Null
    } else {
        Wire::Choices(numbers)
    })
}

fn are_numbers(text: &str) -> bool {
    text.split(',')
        .all(|part| part.trim().parse::<i32>().is_ok())
}

fn guid(field: &WriteField, kind: Kind, value: &Value) -> Result<String, Box<Reject>> {
    match value {
        Value::Uuid(bytes) => Ok(uuid_text(bytes)),
        Value::Text(text) => match parse_uuid(text.trim()) {
            Some(bytes) => Ok(uuid_text(&bytes)),
            None => Err(no_guid(field, kind, text)),
        },
        other => Err(unfit(field, other.kind())),
    }
}

fn date(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let day = field.day(value, zone).map_err(|kind| unfit(field, kind))?;
    day.filter(|day| (FIRST_DAY..=LAST_DAY).contains(day))
        .and_then(format_date)
        .ok_or_else(|| out_of_calendar(field))
}

/// The vendor holds whole seconds and cuts fractions off.
fn moment(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let instant = field
        .instant(value, zone)
        .map_err(|kind| unfit(field, kind))?;
    seconds(field, instant)
}

/// The digits of a clock, with the `Z` that the interface wants and that means nothing (section 11).
fn wall_clock(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let wall = match value {
        Value::Date(i32::MIN | i32::MAX) => None,
        Value::Date(day) => Some(i64::from(*day) * MICROS_PER_DAY),
        Value::Timestamp(wall) => Some(*wall),
        Value::Instant(i64::MIN | i64::MAX) => None,
        Value::Instant(instant) => wall_clock_in_zone(*instant, zone),
        other => return Err(unfit(field, other.kind())),
    };
    seconds(field, wall)
}

fn seconds(field: &WriteField, micros: Option<i64>) -> Result<String, Box<Reject>> {
    micros
        .filter(|micros| {
            let day = micros.div_euclid(MICROS_PER_DAY);
            (i64::from(FIRST_DAY)..=i64::from(LAST_DAY)).contains(&day)
        })
        .and_then(format_instant_seconds)
        .ok_or_else(|| out_of_calendar(field))
}

/// Any value in a field of text: the form in which it would be read back.
fn text(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Numeric(digits) => plain_digits(field, digits)?,
        Value::Text(text) | Value::Json(text) => text.clone(),
        Value::Date(_) => date(field, value, zone)?,
        Value::Instant(_) | Value::Timestamp(_) => moment(field, value, zone)?,
        Value::Uuid(bytes) => uuid_text(bytes),
        Value::Time(_) | Value::List(_) | Value::Placeholder(_) => {
            return Err(unfit(field, value.kind()));
        }
    })
}

fn boxed(reject: Reject, field: &WriteField) -> Box<Reject> {
    Box::new(reject.of_field(&field.name))
}

fn unwritable(field: &WriteField) -> Box<Reject> {
    let message = format!("'{}' is no property that can be written", field.name);
    boxed(ours(&PAYLOAD, ErrorKind::FieldUnknown, message), field)
}

fn unfit(field: &WriteField, what: &str) -> Box<Reject> {
    let remote_type = match field.remote_type.as_str() {
        "" => "such a column",
        known => known,
    };
    let message = format!(
        "'{}': {what} cannot be written to {remote_type}",
        field.name
    );
    boxed(ours(&PAYLOAD, ErrorKind::ValidationRule, message), field)
}

/// The reject for a number that the field does not hold.
pub(crate) fn out_of_range(field: &WriteField, digits: &str) -> Box<Reject> {
    let message = format!(
        "the value of '{}' is outside the valid range: {}",
        field.name,
        shortened(digits)
    );
    boxed(
        ours(&OUT_OF_RANGE, ErrorKind::NumberOutOfRange, message),
        field,
    )
}

/// The reject for a value that is not of the option set.
pub(crate) fn no_such_choice(field: &WriteField, text: &str) -> Box<Reject> {
    let message = format!(
        "the value of '{}' is outside the valid range: it has no option \"{}\"",
        field.name,
        shortened(text)
    );
    boxed(
        ours(&OUT_OF_RANGE, ErrorKind::ValidationRule, message),
        field,
    )
}

fn ambiguous(field: &WriteField, text: &str) -> Box<Reject> {
    let message = format!(
        "'{}' has several options with the label \"{}\"",
        field.name,
        shortened(text)
    );
    boxed(
        ours(&INVALID_ARGUMENT, ErrorKind::ValidationRule, message),
        field,
    )
}

fn no_guid(field: &WriteField, kind: Kind, text: &str) -> Box<Reject> {
    let kind = match kind {
        Kind::Lookup => ErrorKind::LookupMissing,
        _ => ErrorKind::ValidationRule,
    };
    let message = format!("'{}': \"{}\" is no identifier", field.name, shortened(text));
    boxed(ours(&INVALID_ARGUMENT, kind, message), field)
}

fn out_of_calendar(field: &WriteField) -> Box<Reject> {
    let message = format!(
        "the value of '{}' is outside the valid range: the CRM holds the years 1753 to 9999",
        field.name
    );
    boxed(
        ours(&OUT_OF_RANGE, ErrorKind::NumberOutOfRange, message),
        field,
    )
}

#[cfg(test)]
mod tests;
