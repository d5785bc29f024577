//! Values as the service takes them: the inverse of what decoding makes of them (spec section 4, Oracle page 3.7, 10,
//! 11). The service stores nothing, 0 or false in place of a value it cannot read and says no word of it, so that
//! whatever leaves here has been checked to be of the field's type, the raw strings too.

use crate::kind::FieldKind as Kind;
use crm_core::{
    ErrorKind, Plain, Reject, Value, WriteField, Zone, format_date, format_instant_seconds,
    format_time_millis, parse_date, parse_instant, parse_time, parse_wall_clock, shortened,
    uuid_text,
};
use crm_xml::Writer;

/// The vendor's code of a value that does not fit its field.
pub(crate) const BAD_VALUE: &str = "SBL-EAI-13011";
/// The vendor's code of a character that a message cannot carry.
const BAD_CHARACTER: &str = "SBL-ODU-01008";
/// Between the codes of a multi-select picklist, whatever the locale (Oracle page 7.3).
const SEPARATOR: char = ';';

/// A value as `field` takes it; nothing where the field is emptied.
///
/// # Errors
/// The reject that says why it cannot be written.
pub(crate) fn encode(
    field: &WriteField,
    value: Option<&Value>,
    zone: Zone,
) -> Result<Option<String>, Box<Reject>> {
    let Some(value) = value else {
        return Ok(None);
    };
    let kind = Kind::of_word(&field.remote_type);
    let encoded = match (kind, value) {
        (_, Value::Placeholder(_)) => Err(unfit(field, value)),
        // The raw string, or a column of text over another type.
        (_, Value::Text(raw)) if raw.is_empty() => return Ok(None),
        (_, Value::Text(raw)) => raw_text(field, kind, raw),
        (Kind::Boolean, Value::Bool(value)) => Ok(value.to_string()),
        (Kind::Int, Value::Int(number)) => integer(field, &number.to_string()),
        (Kind::Int, Value::Numeric(digits)) => integer(field, digits),
        (Kind::Decimal, Value::Int(number)) => Ok(number.to_string()),
        (Kind::Decimal, Value::Numeric(digits)) => decimal(field, digits),
        (Kind::Date, value) => date(field, value, zone),
        (Kind::Instant, value) => instant(field, value, zone),
        (Kind::Time, Value::Time(time)) => time_of_day(field, *time),
        (Kind::MultiPicklist, Value::List(parts)) => joined(field, parts),
        (Kind::Boolean | Kind::Int | Kind::Decimal | Kind::Time, value) => Err(unfit(field, value)),
        // Where the table does not say, the value's own type decides.
        (_, value) => text(field, value, zone),
    }?;
    if !Writer::can_carry(&encoded) {
        return Err(uncarried(field, &encoded));
    }
    // The vendor keeps no empty text.
    Ok(Some(encoded).filter(|text| !text.is_empty()))
}

/// A string for a field of any type: what could not be read there is not sent.
fn raw_text(field: &WriteField, kind: Kind, raw: &str) -> Result<String, Box<Reject>> {
    let is_fit = match kind {
        Kind::Boolean => match raw {
            "true" | "false" | "1" | "0" => true,
            "Y" | "y" => return Ok("true".to_owned()),
            "N" | "n" => return Ok("false".to_owned()),
            _ => false,
        },
        Kind::Int => return integer(field, raw),
        Kind::Decimal => return decimal(field, raw),
        Kind::Date => parse_date(raw).is_some(),
        // Without a zone it is the user's own.
        Kind::Instant => {
            raw.contains('T')
                && parse_instant(raw)
                    .or_else(|| parse_wall_clock(raw))
                    .is_some()
        }
        Kind::Time => parse_time(raw).is_some(),
        _ => true,
    };
    if is_fit {
        Ok(raw.to_owned())
    } else {
        Err(unread(field, raw))
    }
}

fn integer(field: &WriteField, digits: &str) -> Result<String, Box<Reject>> {
    let plain = Plain::parse(digits).filter(|plain| plain.fraction.is_empty());
    let plain = plain.ok_or_else(|| unread(field, digits))?;
    let range = i128::from(i32::MIN)..=i128::from(i32::MAX);
    match plain.floor().filter(|number| range.contains(number)) {
        Some(_) => Ok(plain.text()),
        None => Err(refused(
            field,
            ErrorKind::NumberOutOfRange,
            format!(
                "{} is outside of -2147483648 to 2147483647",
                shortened(digits)
            ),
        )),
    }
}

fn decimal(field: &WriteField, digits: &str) -> Result<String, Box<Reject>> {
    match (Plain::parse(digits), digits) {
        (Some(plain), _) => Ok(plain.text()),
        (None, "NaN" | "Infinity" | "-Infinity") => Err(refused(
            field,
            ErrorKind::NumberOutOfRange,
            format!("the CRM has no number {digits}"),
        )),
        (None, _) => Err(unread(field, digits)),
    }
}

fn date(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let day = field.day(value, zone).map_err(|_| unfit(field, value))?;
    day.and_then(format_date)
        .ok_or_else(|| out_of_calendar(field))
}

fn instant(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    let instant = field
        .instant(value, zone)
        .map_err(|_| unfit(field, value))?;
    instant
        .and_then(format_instant_seconds)
        .ok_or_else(|| out_of_calendar(field))
}

/// Whole seconds: the vendor's clock tells no finer.
fn time_of_day(field: &WriteField, time: i64) -> Result<String, Box<Reject>> {
    match format_time_millis(time) {
        Some(text) => Ok(text[..8].to_owned()),
        None => Err(refused(
            field,
            ErrorKind::NumberOutOfRange,
            "the CRM has no time 24:00".to_owned(),
        )),
    }
}

fn joined(field: &WriteField, parts: &[Value]) -> Result<String, Box<Reject>> {
    let mut codes = Vec::with_capacity(parts.len());
    for part in parts {
        let code = match part {
            Value::Text(code) => code.clone(),
            Value::Int(code) => code.to_string(),
            other => return Err(unfit(field, other)),
        };
        if code.contains(SEPARATOR) {
            return Err(refused(
                field,
                ErrorKind::ValidationRule,
                format!(
                    "\"{}\" holds a semicolon, which separates codes",
                    shortened(&code)
                ),
            ));
        }
        codes.push(code);
    }
    Ok(codes.join(";"))
}

/// Any value in a field of text: the form in which it would be read back.
fn text(field: &WriteField, value: &Value, zone: Zone) -> Result<String, Box<Reject>> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Numeric(digits) => decimal(field, digits)?,
        Value::Text(text) | Value::Json(text) => text.clone(),
        Value::Date(_) => date(field, value, zone)?,
        Value::Instant(_) | Value::Timestamp(_) => instant(field, value, zone)?,
        Value::Time(time) => time_of_day(field, *time)?,
        Value::Uuid(bytes) => uuid_text(bytes),
        Value::List(parts) => joined(field, parts)?,
        Value::Placeholder(_) => return Err(unfit(field, value)),
    })
}

/// A reject with the vendor's code for a value that does not fit; `why` follows the field's name.
pub(crate) fn refused(field: &WriteField, kind: ErrorKind, why: String) -> Box<Reject> {
    with_code(BAD_VALUE, &field.name, kind, why)
}

/// A reject made here, under the code the vendor has for such a thing.
pub(crate) fn with_code(code: &str, field: &str, kind: ErrorKind, why: String) -> Box<Reject> {
    let mut reject = Reject::new(kind, "", format!("{field}: {why}")).of_field(field);
    reject.code = Some(code.to_owned());
    Box::new(reject)
}

fn unread(field: &WriteField, raw: &str) -> Box<Reject> {
    refused(
        field,
        ErrorKind::ValidationRule,
        format!("\"{}\" is no value of {}", shortened(raw), type_of(field)),
    )
}

fn unfit(field: &WriteField, value: &Value) -> Box<Reject> {
    refused(
        field,
        ErrorKind::ValidationRule,
        format!("{} cannot be written to {}", value.kind(), type_of(field)),
    )
}

fn uncarried(field: &WriteField, text: &str) -> Box<Reject> {
    let character = text.chars().find(|character| {
        let mut buffer = [0; 4];
        !Writer::can_carry(character.encode_utf8(&mut buffer))
    });
    with_code(
        BAD_CHARACTER,
        &field.name,
        ErrorKind::ValidationRule,
        format!(
            "the character U+{:04X} cannot be sent",
            character.map_or(0, u32::from)
        ),
    )
}

fn out_of_calendar(field: &WriteField) -> Box<Reject> {
    refused(
        field,
        ErrorKind::NumberOutOfRange,
        "the CRM holds dates of the years 1 to 9999".to_owned(),
    )
}

fn type_of(field: &WriteField) -> &str {
    match field.remote_type.as_str() {
        "" => "such a field",
        known => known,
    }
}

#[cfg(test)]
mod tests;
