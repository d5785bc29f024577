use super::*;
use crm_core::{Conversion, MICROS_PER_DAY};
use proptest::prelude::*;

fn field(remote_type: &str, conversion: Conversion) -> WriteField {
    WriteField {
        name: "F".into(),
        remote_type: remote_type.into(),
        conversion,
    }
}

fn zone() -> Zone {
    "America/New_York".parse().unwrap()
}

fn sent(remote_type: &str, value: Value) -> Result<String, ErrorKind> {
    sent_as(remote_type, Conversion::Default, value)
}

fn sent_as(remote_type: &str, conversion: Conversion, value: Value) -> Result<String, ErrorKind> {
    match encode(&field(remote_type, conversion), Some(&value), zone()) {
        Ok(text) => Ok(text.unwrap_or_default()),
        Err(reject) => {
            assert_eq!(reject.fields, ["F"]);
            assert!(reject.message.starts_with("F: "), "{}", reject.message);
            assert!(reject.code.is_some() && reject.symbol.is_empty());
            Err(reject.kind)
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn numeric(digits: &str) -> Value {
    Value::Numeric(digits.into())
}

#[test]
fn values_of_each_type() {
    use ErrorKind::{NumberOutOfRange as Range, ValidationRule as Rule};
    let at = |text: &str| Value::Instant(parse_instant(text).unwrap());
    for (remote_type, value, expected) in [
        ("boolean", Value::Bool(true), Ok("true")),
        ("Checkbox", text("Y"), Ok("true")),
        ("Checkbox", text("0"), Ok("0")),
        ("Checkbox", text("yes"), Err(Rule)),
        ("boolean", Value::Int(1), Err(Rule)),
        ("int", Value::Int(-7), Ok("-7")),
        ("int", Value::Int(i64::from(i32::MAX) + 1), Err(Range)),
        ("Integer", numeric("3.0"), Ok("3")),
        ("Integer", numeric("3.5"), Err(Rule)),
        ("Integer", text("12a"), Err(Rule)),
        ("Integer", text("1e400"), Err(Range)),
        (
            "decimal",
            numeric("12345678901234567890.123"),
            Ok("12345678901234567890.123"),
        ),
        ("Number", numeric("1e3"), Ok("1000")),
        ("Currency", numeric("NaN"), Err(Range)),
        ("Percent", text("12,5"), Err(Rule)),
        ("Percent", text("12.50"), Ok("12.5")),
        ("date", Value::Date(0), Ok("1970-01-01")),
        ("Date", at("2024-01-01T02:00:00Z"), Ok("2023-12-31")),
        ("Date", text("01/31/2024"), Err(Rule)),
        ("Date", Value::Date(i32::MAX), Err(Range)),
        (
            "dateTime",
            at("2024-07-01T12:00:00.999Z"),
            Ok("2024-07-01T12:00:00Z"),
        ),
        ("Date/Time", Value::Date(0), Ok("1970-01-01T05:00:00Z")),
        (
            "Date/Time",
            text("2024-07-01T12:00:00"),
            Ok("2024-07-01T12:00:00"),
        ),
        ("Date/Time", text("2024-07-01 12:00:00"), Err(Rule)),
        ("Date/Time", text("tomorrow"), Err(Rule)),
        ("Date/Time", Value::Instant(i64::MAX), Err(Range)),
        ("Date/Time", Value::Bool(true), Err(Rule)),
        ("time", Value::Time(52_200_900_000), Ok("14:30:00")),
        ("time", Value::Time(MICROS_PER_DAY), Err(Range)),
        ("Picklist", text("Customer"), Ok("Customer")),
        (
            "Multi-Select Picklist",
            Value::List(vec![text("Mail"), text("Phone")]),
            Ok("Mail;Phone"),
        ),
        (
            "Multi-Select Picklist",
            Value::List(vec![text("a;b")]),
            Err(Rule),
        ),
        ("Multi-Select Picklist", Value::List(vec![]), Ok("")),
        ("Text (Short)", text("<&> \"x\"\r\n"), Ok("<&> \"x\"\r\n")),
        ("Text (Short)", text("a\u{1}b"), Err(Rule)),
        ("Text (Short)", text("a\0b"), Err(Rule)),
        ("Text (Short)", Value::Int(5), Ok("5")),
        ("", Value::Bool(false), Ok("false")),
        ("", numeric("1.50"), Ok("1.5")),
        ("", at("2024-07-01T12:00:00Z"), Ok("2024-07-01T12:00:00Z")),
    ] {
        let shown = format!("{remote_type} {value:?}");
        assert_eq!(
            sent(remote_type, value),
            expected.map(str::to_owned),
            "{shown}"
        );
    }
}

#[test]
fn the_conversions_of_a_moment() {
    let wall = parse_wall_clock("2024-07-01T12:00:00Z").unwrap();
    for (conversion, value, expected) in [
        (
            Conversion::Default,
            Value::Timestamp(wall),
            "2024-07-01T16:00:00Z",
        ),
        (
            Conversion::WithoutTimeOffset,
            Value::Timestamp(wall),
            "2024-07-01T12:00:00Z",
        ),
        (
            Conversion::DateOnly,
            Value::Date(19_905),
            "2024-07-01T04:00:00Z",
        ),
        (
            Conversion::CopyPaste,
            text("2024-07-01T12:00:00+02:00"),
            "2024-07-01T12:00:00+02:00",
        ),
    ] {
        assert_eq!(sent_as("dateTime", conversion, value), Ok(expected.into()));
    }
}

#[test]
fn nothing_and_empty_text_empty_the_field() {
    for value in [None, Some(text(""))] {
        let encoded = encode(&field("int", Conversion::Default), value.as_ref(), zone());
        assert_eq!(encoded, Ok(None));
    }
}

proptest! {
    /// Whatever is sent to a field of a type is a value of that type, for the service would store nothing in its place.
    #[test]
    fn raw_strings_are_sent_only_where_they_fit(raw in "\\PC{0,12}") {
        if let Ok(sent) = sent("int", text(&raw)) {
            prop_assert!(sent.is_empty() || sent.parse::<i32>().is_ok());
        }
        if let Ok(sent) = sent("decimal", text(&raw)) {
            prop_assert!(sent.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.')));
        }
        if let Ok(sent) = sent("date", text(&raw)) {
            prop_assert!(sent.is_empty() || parse_date(&sent).is_some());
        }
    }
}
