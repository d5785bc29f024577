//! What is written, by type and conversion, and that it is read back as it was.

use super::*;
use Conversion::{CopyPaste, WithoutTimeOffset};
use crm_core::{CellDecoder, Column, ColumnData, ColumnType, Raw, parse_date, parse_instant};
use proptest::prelude::*;

const PLAIN: Conversion = Conversion::Default;
const ZONE: &str = "America/New_York";

fn field(remote_type: &str, conversion: Conversion) -> WriteField {
    WriteField {
        name: "f".into(),
        remote_type: remote_type.into(),
        conversion,
    }
}

fn choices() -> Vec<EnumerationValue> {
    [("1", "One"), ("2", "Two; or so"), ("3", "Three")]
        .map(|(value, label)| EnumerationValue {
            value: value.into(),
            label: label.into(),
            active: true,
            is_default: false,
            controlling: None,
            variants: None,
        })
        .into()
}

fn json_of(remote_type: &str, conversion: Conversion, value: &Value) -> Result<String, String> {
    let field = field(remote_type, conversion);
    let wire = encode(&field, Some(value), ZONE.parse().unwrap(), &choices());
    let wire = wire.map_err(|reject| {
        assert_eq!(reject.fields, ["f"]);
        reject.symbol.clone()
    })?;
    let mut json = String::new();
    wire.push_json(&mut json);
    Ok(json)
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn numeric(digits: &str) -> Value {
    Value::Numeric(digits.into())
}

fn at(text: &str) -> i64 {
    parse_instant(text).unwrap()
}

#[test]
fn values_of_every_type() {
    let day = parse_date("2024-02-29").unwrap();
    let wall = at("2024-07-01T12:34:56.789Z");
    let list = |parts: Vec<Value>| Value::List(parts);
    for (remote_type, conversion, value, expected) in [
        (
            "StringType",
            PLAIN,
            text("a \"b\"\n\\"),
            Ok(r#""a \"b\"\n\\""#),
        ),
        ("MemoType", PLAIN, text(""), Ok("null")),
        ("StringType", PLAIN, Value::Int(5), Ok("\"5\"")),
        ("BooleanType", PLAIN, Value::Bool(true), Ok("true")),
        ("BooleanType", CopyPaste, text("false"), Ok("false")),
        ("BooleanType", PLAIN, Value::Int(1), Err("0x80048d19")),
        ("IntegerType", PLAIN, Value::Int(-7), Ok("-7")),
        (
            "BigIntType",
            PLAIN,
            Value::Int(i64::MAX),
            Ok("9223372036854775807"),
        ),
        // Exact digits, never through a floating-point number.
        (
            "MoneyType",
            PLAIN,
            numeric("922337203685477.5807"),
            Ok("922337203685477.5807"),
        ),
        ("DecimalType", PLAIN, numeric("1e-10"), Ok("0.0000000001")),
        ("DoubleType", PLAIN, numeric("-0.5"), Ok("-0.5")),
        ("DoubleType", PLAIN, numeric("NaN"), Err("0x80044330")),
        ("DecimalType", CopyPaste, text("1.50"), Ok("1.50")),
        ("DecimalType", PLAIN, text("much"), Err("0x80048d19")),
        ("DecimalType", PLAIN, Value::Date(0), Err("0x80048d19")),
        ("PicklistType", PLAIN, Value::Int(2), Ok("2")),
        ("PicklistType", PLAIN, text("three"), Ok("3")),
        ("PicklistType", PLAIN, text("2"), Ok("2")),
        ("StatusType", PLAIN, text("Four"), Err("0x80044330")),
        ("StateType", CopyPaste, text("100000000"), Ok("100000000")),
        ("PicklistType", CopyPaste, text("One"), Err("0x80044330")),
        ("PicklistType", PLAIN, numeric("2.0"), Ok("2")),
        ("PicklistType", PLAIN, numeric("2.5"), Err("0x80044330")),
        ("PicklistType", PLAIN, Value::Bool(true), Err("0x80048d19")),
        (
            "MultiSelectPicklistType",
            PLAIN,
            list(vec![Value::Int(3), Value::Int(1)]),
            Ok("\"3,1\""),
        ),
        (
            "MultiSelectPicklistType",
            PLAIN,
            list(vec![text("Two; or so"), text("One")]),
            Ok("\"2,1\""),
        ),
        (
            "MultiSelectPicklistType",
            PLAIN,
            text("One; Three"),
            Ok("\"1,3\""),
        ),
        ("MultiSelectPicklistType", PLAIN, text("3,1"), Ok("\"3,1\"")),
        (
            "MultiSelectPicklistType",
            CopyPaste,
            text("1,3"),
            Ok("\"1,3\""),
        ),
        ("MultiSelectPicklistType", PLAIN, list(vec![]), Ok("null")),
        (
            "MultiSelectPicklistType",
            PLAIN,
            text("One; Four"),
            Err("0x80044330"),
        ),
        (
            "DateTimeType:DateOnly",
            PLAIN,
            Value::Date(day),
            Ok("\"2024-02-29\""),
        ),
        (
            "DateTimeType:DateOnly",
            PLAIN,
            Value::Instant(at("2024-03-01T03:00:00Z")),
            Ok("\"2024-02-29\""),
        ),
        (
            "DateTimeType:DateOnly",
            PLAIN,
            Value::Date(i32::MAX),
            Err("0x80044330"),
        ),
        (
            "DateTimeType:UserLocal",
            PLAIN,
            Value::Instant(wall),
            Ok("\"2024-07-01T12:34:56Z\""),
        ),
        (
            "DateTimeType:UserLocal",
            PLAIN,
            Value::Instant(-1),
            Ok("\"1969-12-31T23:59:59Z\""),
        ),
        (
            "DateTimeType:UserLocal",
            PLAIN,
            Value::Timestamp(wall),
            Ok("\"2024-07-01T16:34:56Z\""),
        ),
        (
            "DateTimeType:UserLocal",
            WithoutTimeOffset,
            Value::Timestamp(wall),
            Ok("\"2024-07-01T12:34:56Z\""),
        ),
        (
            "DateTimeType:UserLocal",
            Conversion::DateOnly,
            Value::Date(day),
            Ok("\"2024-02-29T05:00:00Z\""),
        ),
        (
            "DateTimeType",
            PLAIN,
            Value::Instant(i64::MIN),
            Err("0x80044330"),
        ),
        (
            "DateTimeType:UserLocal",
            CopyPaste,
            text("2024-01-02T03:04:05Z"),
            Ok("\"2024-01-02T03:04:05Z\""),
        ),
        // The Z of a clock anywhere means nothing: no zone shifts it.
        (
            "DateTimeType:TimeZoneIndependent",
            PLAIN,
            Value::Timestamp(wall),
            Ok("\"2024-07-01T12:34:56Z\""),
        ),
        (
            "DateTimeType:TimeZoneIndependent",
            PLAIN,
            Value::Date(day),
            Ok("\"2024-02-29T00:00:00Z\""),
        ),
        (
            "DateTimeType:TimeZoneIndependent",
            PLAIN,
            Value::Timestamp(i64::MAX),
            Err("0x80044330"),
        ),
        (
            "UniqueidentifierType",
            PLAIN,
            text("{6BA7B810-9DAD-11D1-80B4-00C04FD430C8}"),
            Ok("\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\""),
        ),
        (
            "UniqueidentifierType",
            PLAIN,
            text("none"),
            Err("InvalidArgument"),
        ),
        ("LookupType", PLAIN, Value::Int(1), Err("0x80048d19")),
        ("FileType", PLAIN, Value::Uuid([1; 16]), Err("0x80048d19")),
        ("", PLAIN, Value::Int(1), Ok("1")),
        ("", PLAIN, Value::Bool(false), Ok("false")),
        ("", PLAIN, numeric("1.5"), Ok("1.5")),
        ("", PLAIN, Value::Date(0), Ok("\"1970-01-01\"")),
        ("", PLAIN, Value::Instant(0), Ok("\"1970-01-01T00:00:00Z\"")),
        ("HologramType", PLAIN, text("x"), Ok("\"x\"")),
        ("StringType", PLAIN, Value::Time(0), Err("0x80048d19")),
        ("", PLAIN, Value::Placeholder(1), Err("0x80048d19")),
    ] {
        let told = json_of(remote_type, conversion, &value);
        let told = told.as_deref().map_err(String::as_str);
        assert_eq!(told, expected, "{remote_type} {conversion:?} {value:?}");
    }
    let absent = encode(&field("MoneyType", PLAIN), None, Zone::default(), &[]);
    assert_eq!(absent, Ok(Wire::Null));
}

#[test]
fn a_label_that_several_options_have_is_refused() {
    let mut twice = choices();
    twice[1].label = "One".into();
    let refused = |value: &Value| {
        let encoded = encode(
            &field("PicklistType", PLAIN),
            Some(value),
            Zone::default(),
            &twice,
        );
        encoded.unwrap_err().message
    };
    assert!(refused(&text("One")).contains("several options"));
}

/// What a column of this type reads of what was written.
fn round_trip(remote_type: &str, column_type: ColumnType, value: &Value) -> ColumnData {
    let wire = encode(
        &field(remote_type, PLAIN),
        Some(value),
        Zone::default(),
        &[],
    )
    .unwrap();
    let decoder = CellDecoder {
        column_type,
        conversion: PLAIN,
        zone: Zone::default(),
        separator: ',',
    };
    let mut column = Column::new(column_type);
    let mut shown = String::new();
    wire.push_json(&mut shown);
    let quoted: Result<String, _> = serde_json::from_str(&shown);
    let raw = match (&quoted, &wire) {
        (_, Wire::Null) => Raw::Null,
        (Ok(text), _) => Raw::Text(text),
        (Err(_), _) => Raw::Number(&shown),
    };
    decoder.append(raw, &mut column).unwrap();
    column.data().clone()
}

proptest! {
    #[test]
    fn texts_are_read_back(text in "[^\u{0}]{1,40}") {
        let ColumnData::Text(texts) = round_trip("StringType", ColumnType::Text, &Value::Text(text.clone())) else {
            panic!("not a text")
        };
        prop_assert_eq!(texts.get(0), text.as_str());
    }

    #[test]
    fn numbers_and_moments_are_read_back(
        number in any::<i64>(), fraction in "[0-9]{0,10}", second in -6_847_804_800_i64..253_402_300_800, id in any::<[u8; 16]>()
    ) {
        let back = round_trip("BigIntType", ColumnType::Int64, &Value::Int(number));
        prop_assert_eq!(back, ColumnData::Int64(vec![number]));
        let digits = if fraction.is_empty() { number.to_string() } else { format!("{number}.{fraction}") };
        let ColumnData::Numeric(texts) = round_trip("MoneyType", ColumnType::Numeric, &Value::Numeric(digits.clone())) else {
            panic!("not a number")
        };
        prop_assert_eq!(texts.get(0), Plain::parse(&digits).unwrap().text());
        let micros = second * 1_000_000;
        let back = round_trip("DateTimeType:UserLocal", ColumnType::Instant, &Value::Instant(micros));
        prop_assert_eq!(back, ColumnData::Instant(vec![micros]));
        let day = i32::try_from(second.div_euclid(86_400)).unwrap();
        let back = round_trip("DateTimeType:DateOnly", ColumnType::Date, &Value::Date(day));
        prop_assert_eq!(back, ColumnData::Date(vec![day]));
        let back = round_trip("UniqueidentifierType", ColumnType::Uuid, &Value::Uuid(id));
        prop_assert_eq!(back, ColumnData::Uuid(vec![id]));
    }
}
