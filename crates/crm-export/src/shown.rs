//! Records as people and `jsonb` columns see them.

use chrono::{DateTime, NaiveDate, NaiveTime};
use crm_core::Value;
use std::fmt::Write;

/// A record as a JSON object of these names and values; every digit of a number stays, dates and times are written
/// as ISO 8601 so that PostgreSQL reads them back.
pub fn shown_record<'a>(fields: impl IntoIterator<Item = (&'a str, Option<&'a Value>)>) -> String {
    let mut text = String::from("{");
    for (at, (name, value)) in fields.into_iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        push_quoted(&mut text, name);
        text.push_str(": ");
        match value {
            None => text.push_str("null"),
            Some(value) => push(&mut text, value),
        }
    }
    text.push('}');
    text
}

/// A key or identifier as text, for messages and comparisons.
pub fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) | Value::Numeric(text) | Value::Json(text) => text.clone(),
        other => {
            let mut text = String::new();
            push(&mut text, other);
            text.trim_matches('"').to_owned()
        }
    }
}

fn push(text: &mut String, value: &Value) {
    match value {
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(text, "{number}");
        }
        Value::Numeric(digits) if is_json_number(digits) => text.push_str(digits),
        Value::Numeric(other) | Value::Text(other) => push_quoted(text, other),
        Value::Json(document) => text.push_str(document),
        Value::Date(i32::MAX) | Value::Instant(i64::MAX) | Value::Timestamp(i64::MAX) => {
            text.push_str("\"infinity\"");
        }
        Value::Date(i32::MIN) | Value::Instant(i64::MIN) | Value::Timestamp(i64::MIN) => {
            text.push_str("\"-infinity\"");
        }
        Value::Date(days) => {
            let date = NaiveDate::from_epoch_days(*days);
            push_quoted(
                text,
                &date.map_or_else(String::new, |date| date.to_string()),
            );
        }
        Value::Instant(micros) => push_quoted(text, &moment(*micros, true)),
        Value::Timestamp(micros) => push_quoted(text, &moment(*micros, false)),
        Value::Time(micros) => {
            let seconds = u32::try_from(micros / 1_000_000).unwrap_or(0);
            let nanos = u32::try_from(micros % 1_000_000).unwrap_or(0) * 1_000;
            let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos);
            push_quoted(
                text,
                &time.map_or_else(|| "24:00:00".into(), |time| time.to_string()),
            );
        }
        Value::Uuid(bytes) => push_quoted(text, &uuid::Uuid::from_bytes(*bytes).to_string()),
        Value::List(values) => {
            text.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    text.push_str(", ");
                }
                push(text, value);
            }
            text.push(']');
        }
        Value::Placeholder(number) => {
            let _ = write!(text, "\"${number}\"");
        }
    }
}

fn moment(micros: i64, with_zone: bool) -> String {
    let format = if with_zone {
        "%Y-%m-%dT%H:%M:%S%.6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%S%.6f"
    };
    DateTime::from_timestamp_micros(micros)
        .map_or_else(String::new, |at| at.format(format).to_string())
}

fn push_quoted(text: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).unwrap_or_else(|_| "\"\"".into());
    text.push_str(&quoted);
}

fn is_json_number(digits: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(digits).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_digits_and_read_back() {
        for (value, expected) in [
            (Value::Bool(true), "true"),
            (Value::Int(-7), "-7"),
            (
                Value::Numeric("20000.100000000000000000001".into()),
                "20000.100000000000000000001",
            ),
            (Value::Numeric("NaN".into()), "\"NaN\""),
            (Value::Text("a \"b\"\n".into()), r#""a \"b\"\n""#),
            (Value::Date(19_723), "\"2024-01-01\""),
            (Value::Date(i32::MAX), "\"infinity\""),
            (Value::Instant(1_000_001), "\"1970-01-01T00:00:01.000001Z\""),
            (Value::Timestamp(0), "\"1970-01-01T00:00:00.000000\""),
            (Value::Time(3_600_000_000), "\"01:00:00\""),
            (Value::Json("{\"a\": 1}".into()), "{\"a\": 1}"),
            (
                Value::List(vec![Value::Text("a".into()), Value::Int(1)]),
                "[\"a\", 1]",
            ),
        ] {
            let shown = shown_record([("x", Some(&value))]);
            assert_eq!(shown, format!("{{\"x\": {expected}}}"));
            assert!(serde_json::from_str::<serde_json::Value>(&shown).is_ok());
        }
        assert_eq!(shown_record([("a", None)]), "{\"a\": null}");
        assert_eq!(key_text(&Value::Date(0)), "1970-01-01");
        assert_eq!(key_text(&Value::Int(5)), "5");
    }
}
