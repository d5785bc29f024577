//! What is written, by type and conversion, and that it is read back as it was.

use super::*;
use Conversion::{CopyPaste, DateOnly, WithoutTimeOffset};
use crm_core::{
    CellDecoder, Column, ColumnData, ColumnType, Conversion, Raw, day_in_zone, day_start_in_zone,
    parse_date, parse_instant,
};
use proptest::prelude::*;

const PLAIN: Conversion = Conversion::Default;
const ZONE: &str = "America/New_York";

fn field(remote_type: &str, conversion: Conversion) -> WriteField {
    WriteField {
        name: "F".into(),
        remote_type: remote_type.into(),
        conversion,
    }
}

fn json(remote_type: &str, conversion: Conversion, value: &Value) -> Result<String, String> {
    let wire = encode(
        &field(remote_type, conversion),
        Some(value),
        ZONE.parse().unwrap(),
    );
    let wire = wire.map_err(|reject| reject.symbol)?;
    let mut json = String::new();
    wire.push_json(&mut json);
    Ok(json)
}

fn at(text: &str) -> i64 {
    parse_instant(text).unwrap()
}

fn day(text: &str) -> Value {
    Value::Date(parse_date(text).unwrap())
}

#[test]
fn values_by_type_and_conversion() {
    let text = |text: &str| Value::Text(text.into());
    let numeric = |text: &str| Value::Numeric(text.into());
    let noon = at("2024-07-01T12:00:00.123456Z");
    for (remote_type, conversion, value, expected) in [
        ("boolean", PLAIN, Value::Bool(true), "true"),
        ("boolean", CopyPaste, text("false"), "false"),
        ("boolean", CopyPaste, text("Yes"), r#""Yes""#),
        ("int", PLAIN, Value::Int(-5), "-5"),
        ("double", PLAIN, numeric("20000.0000"), "20000"),
        ("currency", PLAIN, numeric("1e3"), "1000"),
        ("percent", PLAIN, numeric("-0.10"), "-0.1"),
        ("double", CopyPaste, text("1.50"), "1.50"),
        ("double", CopyPaste, text("1.5E3"), "1.5E3"),
        ("double", CopyPaste, text("007"), r#""007""#),
        ("double", CopyPaste, text("1,5"), r#""1,5""#),
        ("date", PLAIN, day("2024-02-29"), r#""2024-02-29""#),
        ("date", DateOnly, day("1700-01-01"), r#""1700-01-01""#),
        ("date", CopyPaste, text("2024-02-30"), r#""2024-02-30""#),
        // 20:00 of the day before in New York.
        (
            "date",
            PLAIN,
            Value::Instant(at("2024-07-02T00:00:00Z")),
            r#""2024-07-01""#,
        ),
        (
            "datetime",
            PLAIN,
            Value::Instant(noon),
            r#""2024-07-01T12:00:00.123Z""#,
        ),
        (
            "datetime",
            DateOnly,
            day("2024-07-01"),
            r#""2024-07-01T04:00:00.000Z""#,
        ),
        (
            "datetime",
            WithoutTimeOffset,
            Value::Timestamp(noon),
            r#""2024-07-01T12:00:00.123Z""#,
        ),
        (
            "datetime",
            PLAIN,
            Value::Timestamp(noon),
            r#""2024-07-01T16:00:00.123Z""#,
        ),
        (
            "datetime",
            CopyPaste,
            text("2024-07-01T12:00:00+02:00"),
            r#""2024-07-01T12:00:00+02:00""#,
        ),
        (
            "time",
            PLAIN,
            Value::Time(52_200_000_000),
            r#""14:30:00.000Z""#,
        ),
        (
            "multipicklist",
            PLAIN,
            Value::List(vec![text("a"), text("b c")]),
            r#""a;b c""#,
        ),
        ("multipicklist", PLAIN, Value::List(vec![]), "null"),
        ("multipicklist", PLAIN, text("a;b"), r#""a;b""#),
        (
            "string",
            PLAIN,
            text("a\"b\\c\n\u{1}é😀"),
            "\"a\\\"b\\\\c\\n\\u0001é😀\"",
        ),
        ("string", PLAIN, text(""), "null"),
        ("string", PLAIN, Value::Int(42), r#""42""#),
        ("string", PLAIN, Value::Bool(false), r#""false""#),
        (
            "string",
            PLAIN,
            Value::Uuid([0x6f; 16]),
            r#""6f6f6f6f-6f6f-6f6f-6f6f-6f6f6f6f6f6f""#,
        ),
        ("textarea", PLAIN, Value::Json("{}".into()), r#""{}""#),
        ("", PLAIN, Value::Int(1), "1"),
        ("", PLAIN, Value::Bool(true), "true"),
        ("", PLAIN, text("x"), r#""x""#),
        ("", PLAIN, day("2024-01-01"), r#""2024-01-01""#),
    ] {
        let written = json(remote_type, conversion, &value);
        assert_eq!(
            written.as_deref(),
            Ok(expected),
            "{remote_type} {conversion:?} {value:?}"
        );
    }
}

#[test]
fn what_cannot_be_written_is_refused_by_the_vendors_code() {
    let text = |text: &str| Value::Text(text.into());
    for (remote_type, value, symbol) in [
        (
            "double",
            Value::Numeric("NaN".into()),
            "NUMBER_OUTSIDE_VALID_RANGE",
        ),
        (
            "double",
            Value::Numeric("Infinity".into()),
            "NUMBER_OUTSIDE_VALID_RANGE",
        ),
        (
            "double",
            Value::Bool(true),
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
        ),
        ("boolean", Value::Int(1), "INVALID_TYPE_ON_FIELD_IN_RECORD"),
        ("date", day("1699-12-31"), "FIELD_INTEGRITY_EXCEPTION"),
        ("date", day("4001-01-01"), "FIELD_INTEGRITY_EXCEPTION"),
        ("date", Value::Date(i32::MAX), "FIELD_INTEGRITY_EXCEPTION"),
        (
            "datetime",
            Value::Date(i32::MIN),
            "FIELD_INTEGRITY_EXCEPTION",
        ),
        (
            "datetime",
            Value::Instant(i64::MAX),
            "FIELD_INTEGRITY_EXCEPTION",
        ),
        (
            "datetime",
            Value::Timestamp(i64::MIN),
            "FIELD_INTEGRITY_EXCEPTION",
        ),
        (
            "time",
            Value::Time(MICROS_PER_DAY),
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
        ),
        (
            "multipicklist",
            Value::List(vec![text("a;b")]),
            "INVALID_TYPE_ON_FIELD_IN_RECORD",
        ),
        (
            "address",
            Value::Json("{}".into()),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
        ),
        ("location", text("{}"), "INVALID_FIELD_FOR_INSERT_UPDATE"),
    ] {
        let refused = json(remote_type, PLAIN, &value);
        assert_eq!(refused, Err(symbol.to_owned()), "{remote_type} {value:?}");
    }
    let reject = encode(
        &field("double", PLAIN),
        Some(&Value::Numeric("NaN".into())),
        Zone::default(),
    )
    .unwrap_err();
    assert_eq!(reject.fields, ["F"]);
    assert!(reject.message.starts_with("F: "));
}

#[test]
fn cells_of_csv_tell_empty_from_unsayable() {
    let cell =
        |value: Option<&Value>| encode(&field("string", PLAIN), value, Zone::default()).unwrap();
    assert_eq!(cell(None).cell(), "#N/A");
    assert_eq!(cell(Some(&Value::Text(String::new()))).cell(), "#N/A");
    assert!(!cell(None).is_unsayable_in_csv());
    let literal = cell(Some(&Value::Text("#N/A".into())));
    assert!(literal.is_unsayable_in_csv());
    assert_eq!(cell(Some(&Value::Bool(true))).cell(), "true");
}

/// Writes a value and reads it into a column, through JSON or through CSV.
fn round_trip(
    remote_type: &str,
    column_type: ColumnType,
    conversion: Conversion,
    zone: Zone,
    value: &Value,
) -> ColumnData {
    let wire = encode(&field(remote_type, conversion), Some(value), zone).unwrap();
    let decoder = CellDecoder {
        column_type,
        conversion,
        zone,
        separator: ';',
    };
    let (mut column, mut from_csv) = (Column::new(column_type), Column::new(column_type));
    let raw = match &wire {
        Wire::Null => Raw::Null,
        Wire::Bool(value) => Raw::Bool(*value),
        Wire::Number(digits) => Raw::Number(digits),
        Wire::Text(text) => Raw::Text(text),
    };
    decoder.append(raw, &mut column).unwrap();
    let cell = match &wire {
        Wire::Null => Raw::Null,
        other => Raw::Text(other.cell()),
    };
    decoder.append(cell, &mut from_csv).unwrap();
    assert_eq!(column, from_csv);
    column.data().clone()
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(vec![
        "UTC",
        "America/New_York",
        "Europe/Vienna",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Asia/Beirut",
        "America/St_Johns",
        "Pacific/Apia",
    ])
    .prop_map(|name| name.parse().unwrap())
}

/// Microseconds from 1700 to 4000, rounded to milliseconds.
fn moments() -> impl Strategy<Value = i64> {
    let day = MICROS_PER_DAY / 1_000;
    let all = i64::from(FIRST_DAY) * day + day..i64::from(LAST_DAY) * day - day;
    let of_now = at("1960-01-01T00:00:00Z") / 1_000..at("2040-01-01T00:00:00Z") / 1_000;
    prop_oneof![all, of_now].prop_map(|millis| millis * 1_000)
}

fn texts() -> impl Strategy<Value = String> {
    "[^\\x00]{1,40}"
}

proptest! {
    #[test]
    fn moments_are_read_back(moment in moments(), zone in zones()) {
        let back = round_trip("datetime", ColumnType::Instant, PLAIN, zone, &Value::Instant(moment));
        prop_assert_eq!(back, ColumnData::Instant(vec![moment]));
        let wall = Value::Timestamp(moment);
        let back = round_trip("datetime", ColumnType::Timestamp, WithoutTimeOffset, zone, &wall);
        prop_assert_eq!(back, ColumnData::Timestamp(vec![moment]));
        // A wall clock that the zone shows at all: what it skips has no moment to be read back from.
        let shown = crm_core::wall_clock_in_zone(moment, zone).unwrap();
        let back = round_trip("datetime", ColumnType::Timestamp, PLAIN, zone, &Value::Timestamp(shown));
        prop_assert_eq!(back, ColumnData::Timestamp(vec![shown]));
    }

    #[test]
    fn days_are_read_back(day in FIRST_DAY + 1..LAST_DAY, zone in zones()) {
        let value = Value::Date(day);
        for conversion in [PLAIN, DateOnly, WithoutTimeOffset] {
            let back = round_trip("date", ColumnType::Date, conversion, zone, &value);
            prop_assert_eq!(back, ColumnData::Date(vec![day]));
        }
        // A day that the zone's calendar left out has no midnight.
        let start = day_start_in_zone(day, zone).unwrap();
        if day_in_zone(start, zone) == Some(day) {
            let back = round_trip("datetime", ColumnType::Date, DateOnly, zone, &value);
            prop_assert_eq!(back, ColumnData::Date(vec![day]));
        }
    }

    #[test]
    fn texts_are_read_back(text in texts()) {
        let value = Value::Text(text.clone());
        for (remote_type, conversion) in [("string", PLAIN), ("textarea", CopyPaste), ("", PLAIN)] {
            let column = round_trip(remote_type, ColumnType::Text, conversion, Zone::default(), &value);
            let ColumnData::Text(texts) = column else { panic!("not a text") };
            prop_assert_eq!(texts.get(0), text.as_str());
        }
        let mut json = String::new();
        json::push_text(&text, &mut json);
        prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn numbers_are_read_back(whole in any::<i64>(), fraction in "[0-9]{0,12}", time in 0..MICROS_PER_DAY / 1_000) {
        let zone = Zone::default();
        let back = round_trip("long", ColumnType::Int64, PLAIN, zone, &Value::Int(whole));
        prop_assert_eq!(back, ColumnData::Int64(vec![whole]));
        let digits = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
        let back = round_trip("double", ColumnType::Numeric, PLAIN, zone, &Value::Numeric(digits.clone()));
        let ColumnData::Numeric(texts) = back else { panic!("not a number") };
        let expected = Plain::parse(&digits).unwrap();
        prop_assert_eq!(texts.get(0), expected.text());
        let time = time * 1_000;
        let back = round_trip("time", ColumnType::Time, PLAIN, zone, &Value::Time(time));
        prop_assert_eq!(back, ColumnData::Time(vec![time]));
    }

    #[test]
    fn lists_are_read_back(parts in prop::collection::vec("[^;\\x00]{1,9}", 1..5)) {
        let list = Value::List(parts.iter().map(|part| Value::Text(part.clone())).collect());
        let back = round_trip("multipicklist", ColumnType::TextArray, PLAIN, Zone::default(), &list);
        let ColumnData::TextArray(lists) = back else { panic!("not a list") };
        let read: Vec<_> = lists.range(0).map(|at| lists.elements().get(at).to_owned()).collect();
        prop_assert_eq!(read, parts);
    }
}
