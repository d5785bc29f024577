//! One value of a request against the description of its field: the stored form, or why it is refused.
//! Sections 7, 8.1 and 11 of the protocol page.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};

use super::RowError;
use crate::input::Input;
use crate::salesforce::id;
use crate::salesforce::store::{Cell, Field, Kind};

/// First and last year of a date (section 11).
const YEARS: std::ops::RangeInclusive<i32> = 1700..=4000;

/// Reads a value. `text_values` takes numbers and truth values from text, as a CSV upload has them.
///
/// # Errors
/// The row error Salesforce answers with; null is never refused here.
pub fn read(field: &Field, input: &Input, text_values: bool) -> Result<Cell, RowError> {
    match input {
        Input::Null if field.kind == Kind::Bool => {
            return Err(RowError::on(
                field,
                "INVALID_TYPE_ON_FIELD_IN_RECORD",
                format!("{}: value not of required type: null", field.label),
            ));
        }
        Input::Null => return Ok(Cell::Null),
        // Salesforce does not tell an empty text from none (section 4.3).
        Input::Text(text) if text.is_empty() => return Ok(Cell::Null),
        _ => {}
    }
    match field.remote_type.as_str() {
        "boolean" => boolean(field, input, text_values),
        "int" | "long" => whole_number(field, input, text_values),
        "double" | "currency" | "percent" => decimal(field, input, text_values),
        "anyType" => Ok(match input {
            Input::Bool(flag) => Cell::Bool(*flag),
            Input::Number(digits) => Cell::number(digits),
            Input::Text(text) => Cell::text(text),
            _ => return Err(unreadable(field, input)),
        }),
        remote_type => {
            let Input::Text(text) = input else {
                return Err(unreadable(field, input));
            };
            match remote_type {
                "date" => date(field, input, text),
                "datetime" => instant(field, input, text),
                "time" => time(field, input, text),
                "base64" => STANDARD
                    .decode(text)
                    .map(|bytes| Cell::Blob(bytes.into()))
                    .map_err(|_| unreadable(field, input)),
                "id" | "reference" => id::normalise(text).map(Cell::text).ok_or_else(|| {
                    RowError::on(
                        field,
                        "MALFORMED_ID",
                        format!("{}: id value of incorrect type: {text}", field.label),
                    )
                }),
                "picklist" => choice(field, text).and_then(|()| fitting(field, text)),
                "multipicklist" => text
                    .split(';')
                    .try_for_each(|value| choice(field, value))
                    .and_then(|()| fitting(field, text)),
                "email" => match is_email(text) {
                    true => fitting(field, text),
                    false => Err(RowError::on(
                        field,
                        "INVALID_EMAIL_ADDRESS",
                        format!("{}: invalid email address: {text}", field.label),
                    )),
                },
                _ => fitting(field, text),
            }
        }
    }
}

/// What the JSON reader says of a value of another type than the field has.
fn unreadable(field: &Field, input: &Input) -> RowError {
    let kind = match field.kind {
        Kind::Bool => "boolean",
        Kind::Number if field.remote_type == "int" => "int",
        Kind::Number if field.remote_type == "long" => "long",
        Kind::Number => "double",
        Kind::Date => "date",
        Kind::Instant => "datetime",
        Kind::Time => "time",
        _ => "string",
    };
    RowError {
        code: "JSON_PARSER_ERROR".to_owned(),
        message: format!(
            "Cannot deserialize instance of {kind} from {} value {} or request may be missing a required field",
            input.token(),
            input.text()
        ),
        fields: vec![field.name.clone()],
    }
}

fn boolean(field: &Field, input: &Input, text_values: bool) -> Result<Cell, RowError> {
    match input {
        Input::Bool(flag) => Ok(Cell::Bool(*flag)),
        Input::Text(text) if text_values => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Cell::Bool(true)),
            "false" | "0" => Ok(Cell::Bool(false)),
            _ => Err(unreadable(field, input)),
        },
        _ => Err(unreadable(field, input)),
    }
}

fn digits<'i>(field: &Field, input: &'i Input, text_values: bool) -> Result<&'i str, RowError> {
    match input {
        Input::Number(digits) => Ok(digits),
        Input::Text(text) if text_values => Ok(text),
        _ => Err(unreadable(field, input)),
    }
}

fn outside(field: &Field, digits: &str) -> RowError {
    RowError::on(
        field,
        "NUMBER_OUTSIDE_VALID_RANGE",
        format!(
            "{}: value outside of valid range on numeric field: {digits}",
            field.label
        ),
    )
}

/// Whole numbers, within the type and the digits described.
fn whole_number(field: &Field, input: &Input, text_values: bool) -> Result<Cell, RowError> {
    let text = digits(field, input, text_values)?;
    let number = BigInt::from_str(text).map_err(|_| unreadable(field, input))?;
    let value = i64::try_from(&number).map_err(|_| outside(field, text))?;
    let within = match field.remote_type.as_str() {
        "int" => i32::try_from(value).is_ok(),
        _ => true,
    };
    if !within || !has_room(field, number.magnitude().to_string().len()) {
        return Err(outside(field, text));
    }
    Ok(Cell::Number(value.to_string().into()))
}

fn has_room(field: &Field, whole_digits: usize) -> bool {
    field
        .whole_digits
        .is_none_or(|most| whole_digits as u64 <= most)
}

/// Decimals, written back without an exponent and with at least one digit behind the point.
/// More decimals than the scale are kept, as the API does (section 3.3).
fn decimal(field: &Field, input: &Input, text_values: bool) -> Result<Cell, RowError> {
    let text = digits(field, input, text_values)?;
    let number = BigDecimal::from_str(text).map_err(|_| unreadable(field, input))?;
    let (_, scale) = number.as_bigint_and_exponent();
    // A few letters can name a number of a billion digits.
    if scale.unsigned_abs() > 400 {
        return Err(outside(field, text));
    }
    let plain = number.normalized().to_plain_string();
    let whole = plain
        .trim_start_matches('-')
        .split('.')
        .next()
        .map_or(0, |part| part.trim_start_matches('0').len());
    if !has_room(field, whole) {
        return Err(outside(field, text));
    }
    let point = if plain.contains('.') { "" } else { ".0" };
    Ok(Cell::Number(format!("{plain}{point}").into()))
}

fn in_years(field: &Field, year: i32, text: &str) -> Result<(), RowError> {
    match YEARS.contains(&year) {
        true => Ok(()),
        false => Err(RowError::on(
            field,
            "FIELD_INTEGRITY_EXCEPTION",
            format!("{}: invalid date: {text}", field.label),
        )),
    }
}

/// The calendar form only: four digits of year, two of month and day.
fn calendar(text: &str) -> Option<NaiveDate> {
    let shape = text.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (shape && text.len() == 10)
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

fn date(field: &Field, input: &Input, text: &str) -> Result<Cell, RowError> {
    let day = calendar(text).ok_or_else(|| unreadable(field, input))?;
    in_years(field, day.year(), text)?;
    Ok(Cell::text(text))
}

/// `yyyy-MM-ddTHH:mm:ss[.SSS]` with `Z` or an offset; stored in UTC with milliseconds.
fn instant(field: &Field, input: &Input, text: &str) -> Result<Cell, RowError> {
    let moment = moment(text).ok_or_else(|| unreadable(field, input))?;
    in_years(field, moment.year(), text)?;
    Ok(Cell::text(
        moment.format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string(),
    ))
}

/// Reads a datetime of a request; `None` for anything but the documented form.
pub fn moment(text: &str) -> Option<DateTime<Utc>> {
    calendar(text.get(..10)?)?;
    let rest = text.get(10..)?;
    let zone = rest.find(['Z', '+', '-'])?;
    let fraction = rest[..zone].split_once('.').map_or(0, |(_, f)| f.len());
    if !rest.starts_with('T') || fraction > 3 {
        return None;
    }
    let parsed = match &rest[zone..] {
        "Z" => DateTime::parse_from_rfc3339(text),
        _ => DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"),
    };
    parsed.ok().map(|moment| moment.with_timezone(&Utc))
}

fn time(field: &Field, input: &Input, text: &str) -> Result<Cell, RowError> {
    NaiveTime::parse_from_str(text.trim_end_matches('Z'), "%H:%M:%S%.f")
        .ok()
        .filter(|_| text.len() <= "00:00:00.000Z".len())
        .map(|time| Cell::text(time.format("%H:%M:%S%.3fZ").to_string()))
        .ok_or_else(|| unreadable(field, input))
}

fn choice(field: &Field, value: &str) -> Result<(), RowError> {
    let known = field.picklist.contains_key(value) && !field.inactive.contains(value);
    match field.restricted && !known {
        false => Ok(()),
        true => Err(RowError::on(
            field,
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            format!(
                "{}: bad value for restricted picklist field: {value}",
                field.label
            ),
        )),
    }
}

fn fitting(field: &Field, text: &str) -> Result<Cell, RowError> {
    let most = field.length;
    match most > 0 && text.chars().count() as u64 > most {
        false => Ok(Cell::text(text)),
        true => {
            let shown: String = text.chars().take(80).collect();
            Err(RowError::on(
                field,
                "STRING_TOO_LONG",
                format!(
                    "{}: data value too large: {shown} (max length={most})",
                    field.label
                ),
            ))
        }
    }
}

/// One `@` with something before it and a dotted name behind it, no blanks.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else {
        return false;
    };
    let blank = text.chars().any(|c| c.is_whitespace() || c.is_control());
    let labels = domain.split('.').all(|label| !label.is_empty());
    !local.is_empty() && !blank && labels && domain.contains('.') && !domain.contains('@')
}
