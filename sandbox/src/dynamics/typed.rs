//! What a column takes: values by type, length and range, and the status that belongs to a state.
//! Sections 3.3 and 7 of the protocol page.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use chrono::Datelike as _;
use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::errors::Refusal;
use super::model::{Attribute, Behavior, Entity, Kind};
use super::store::Row;
use super::value::{Val, read_many, read_moment, rounded};

/// Deepest nesting of a body.
const MAX_DEPTH: usize = 32;
/// Most values of a multi-select column.
const MOST_CHOSEN: usize = 150;

/// Keeps state and status together: a status belongs to its state.
///
/// # Errors
/// A state that cannot be set so, a status of another state.
pub fn settle_status(
    entity: &'static Entity,
    row: &mut Row,
    old: Option<&Row>,
) -> Result<(), Refusal> {
    let (Some(state), Some(status)) = (entity.column("statecode"), entity.column("statuscode"))
    else {
        return Ok(());
    };
    let Val::Int(state_value) = row.values[state] else {
        return Err(Refusal::argument("statecode cannot be null."));
    };
    if entity.name == "opportunity" && old.is_some_and(|old| old.values[state] != row.values[state])
    {
        return Err(Refusal::new(
            400,
            "0x80040203",
            "This message can not be used to set the state of opportunity. In order to set state of opportunity, use the WinOpportunity or LoseOpportunity message.",
        ));
    }
    let changed_state = old.is_some_and(|old| old.values[state] != row.values[state]);
    let same_status = old.is_some_and(|old| old.values[status] == row.values[status]);
    if row.values[status] == Val::Null || (changed_state && same_status) {
        let first = entity.attributes[state]
            .choices
            .iter()
            .find(|choice| i64::from(choice.value) == state_value);
        row.values[status] = first
            .and_then(|choice| choice.state)
            .map_or(Val::Null, |default| Val::Int(default.into()));
    }
    let belongs = entity.attributes[status].choices.iter().any(|choice| {
        row.values[status] == Val::Int(choice.value.into())
            && choice.state.map(i64::from) == Some(state_value)
    });
    match belongs {
        true => Ok(()),
        false => Err(Refusal::new(
            400,
            "0x80048408",
            format!(
                "The status code is not valid for state code {state_value} of {}.",
                entity.name
            ),
        )),
    }
}

/// A JSON value as a value of a column.
///
/// # Errors
/// A value of another type, or outside what the column takes.
pub fn read(entity: &Entity, column: &Attribute, value: &Value) -> Result<Val, Refusal> {
    let payload = |expected: &str| {
        Refusal::new(
            400,
            "0x80048d19",
            format!(
                "Error identified in Payload provided by the user for Entity :'{}', Error Message: Cannot convert the literal '{value}' to the expected type '{expected}'.",
                entity.set
            ),
        )
    };
    let outside = || outside(entity, column);
    if value.is_null() {
        return Ok(Val::Null);
    }
    Ok(match column.kind {
        Kind::String | Kind::Memo | Kind::EntityName => {
            let text = value.as_str().ok_or_else(|| payload("Edm.String"))?;
            if let Some(most) = column.length
                && text.encode_utf16().count() > most
            {
                return Err(Refusal::new(
                    400,
                    "0x80044331",
                    format!(
                        "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum allowed length of '{most}'.",
                        column.name, entity.name
                    ),
                ));
            }
            match text {
                // The empty text is stored as null.
                "" => Val::Null,
                text => Val::Text(text.to_owned()),
            }
        }
        Kind::Image => Val::Text(
            value
                .as_str()
                .ok_or_else(|| payload("Edm.Binary"))?
                .to_owned(),
        ),
        Kind::Boolean => Val::Bool(value.as_bool().ok_or_else(|| payload("Edm.Boolean"))?),
        Kind::Integer | Kind::BigInt => {
            let number = value.as_i64().ok_or_else(|| payload("Edm.Int32"))?;
            let (low, high) = match column.kind {
                Kind::Integer => (i32::MIN.into(), i32::MAX.into()),
                _ => (i64::MIN, i64::MAX),
            };
            let (low, high) = (column.min.unwrap_or(low), column.max.unwrap_or(high));
            if number < low || number > high {
                return Err(outside());
            }
            Val::Int(number)
        }
        Kind::Decimal | Kind::Double | Kind::Money => {
            let exact = match value {
                Value::Number(number) => BigDecimal::from_str(&number.to_string()).ok(),
                Value::Array(digits) => match digits.as_slice() {
                    [Value::String(digits)] => BigDecimal::from_str(digits).ok(),
                    _ => None,
                },
                _ => None,
            };
            let exact = exact.ok_or_else(|| payload("Edm.Decimal"))?;
            return number(entity, column, &exact);
        }
        Kind::Picklist | Kind::State | Kind::Status => {
            let number = value.as_i64().ok_or_else(|| payload("Edm.Int32"))?;
            if column.label_of(number).is_none() {
                return Err(outside());
            }
            Val::Int(number)
        }
        Kind::MultiSelectPicklist => {
            let text = value.as_str().ok_or_else(|| payload("Edm.String"))?;
            if text.is_empty() {
                return Ok(Val::Null);
            }
            let values = read_many(text).ok_or_else(|| payload("Edm.String"))?;
            let known = values
                .iter()
                .all(|v| column.label_of(i64::from(*v)).is_some());
            if !known || values.len() > MOST_CHOSEN {
                return Err(outside());
            }
            Val::Many(values)
        }
        Kind::DateTime if column.behavior == Behavior::DateOnly => {
            let day: chrono::NaiveDate = value
                .as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| payload("Edm.Date"))?;
            if day.year() < 1753 {
                return Err(outside());
            }
            Val::Date(day)
        }
        Kind::DateTime => {
            let at = value
                .as_str()
                .and_then(read_moment)
                .ok_or_else(|| payload("Edm.DateTimeOffset"))?;
            // The first of January 1753.
            if at < -6_847_804_800 {
                return Err(outside());
            }
            Val::Time(at)
        }
        Kind::Uniqueidentifier | Kind::File => {
            let text = value.as_str().ok_or_else(|| payload("Edm.Guid"))?;
            Val::Guid(Uuid::parse_str(text).map_err(|_| payload("Edm.Guid"))?)
        }
        _ => return Err(payload("Edm.Untyped")),
    })
}

/// Reads JSON; a number that a double would change becomes an array of its digits, which no column takes
/// otherwise. Decimals come with up to 23 digits.
///
/// # Errors
/// What is not well formed, or nested too deeply.
pub fn with_exact_numbers(raw: &RawValue) -> Result<Value, serde_json::Error> {
    exact(raw, 0)
}

fn exact(raw: &RawValue, depth: usize) -> Result<Value, serde_json::Error> {
    if depth > MAX_DEPTH {
        return Err(serde_json::Error::custom("nested too deeply"));
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let parts: Vec<(String, &RawValue)> = pairs(text)?;
            let mut out = Map::new();
            for (name, part) in parts {
                out.insert(name, exact(part, depth + 1)?);
            }
            Value::Object(out)
        }
        Some(b'[') => {
            let parts: Vec<&RawValue> = serde_json::from_str(text)?;
            let parts = parts.into_iter().map(|part| exact(part, depth + 1));
            Value::Array(parts.collect::<Result<_, _>>()?)
        }
        Some(b'"' | b't' | b'f' | b'n') => serde_json::from_str(text)?,
        _ => {
            let number: Value = serde_json::from_str(text)?;
            let kept = BigDecimal::from_str(&number.to_string()).ok();
            match kept == BigDecimal::from_str(text).ok() {
                true => number,
                false => json!([text]),
            }
        }
    })
}

/// The members of an object, in order.
fn pairs(text: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(entry) = map.next_entry()? {
                out.push(entry);
            }
            Ok(out)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Pairs)
}

/// A number as a value of a column, rounded to its digits.
///
/// # Errors
/// One outside what the column takes.
pub fn number(entity: &Entity, column: &Attribute, exact: &BigDecimal) -> Result<Val, Refusal> {
    let limit = match column.kind {
        Kind::Money => BigDecimal::from(922_337_203_685_478_i64),
        _ => BigDecimal::from(100_000_000_000_i64),
    };
    match exact.abs() > limit {
        true => Err(outside(entity, column)),
        false => Ok(Val::Number(rounded(exact, column.scale()))),
    }
}

fn outside(entity: &Entity, column: &Attribute) -> Refusal {
    Refusal::new(
        400,
        "0x80044330",
        format!(
            "A validation error occurred. The value of '{}' on record of type '{}' is outside the valid range.",
            column.name, entity.name
        ),
    )
}
