//! One cell: a raw value as a format's parser sees it, into a typed column.
//! Shared by every wire format, so that JSON, CSV and XML agree on what a date is.

use crate::page::{Column, ColumnData};
use crate::schema::Conversion;
use crate::temporal::{
    Zone, day_in_zone, parse_date, parse_instant, parse_time, parse_wall_clock, wall_clock_in_zone,
};
use crate::value::{ColumnType, parse_uuid};

/// A value before conversion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// Absent.
    Null,
    /// A literal truth value.
    Bool(bool),
    /// A number exactly as written.
    Number(&'a str),
    /// Text, unescaped.
    Text(&'a str),
    /// An object or list, as written.
    Json(&'a str),
}

/// How the cells of one column are converted (spec section 4).
#[derive(Clone, Copy, Debug)]
pub struct CellDecoder {
    /// The form wanted.
    pub column_type: ColumnType,
    /// The column's conversion.
    pub conversion: Conversion,
    /// The account's zone.
    pub zone: Zone,
    /// What separates the parts of a multi-select value.
    pub separator: char,
}

impl CellDecoder {
    /// Appends `raw` to `column`, which must have been made for this decoder's type.
    ///
    /// # Errors
    /// The reason why it does not convert; nothing was appended then.
    pub fn append(&self, raw: Raw<'_>, column: &mut Column) -> Result<(), String> {
        let text = match raw {
            Raw::Null => {
                column.push_null();
                return Ok(());
            }
            Raw::Bool(value) => {
                if let ColumnData::Bool(values) = column.data_mut() {
                    values.push(value);
                    column.mark_present();
                    return Ok(());
                }
                if value { "true" } else { "false" }
            }
            Raw::Number(text) | Raw::Text(text) | Raw::Json(text) => text,
        };
        match column.data_mut() {
            ColumnData::Text(texts) => {
                // A server in any encoding refuses this byte, and dropping it would change the value unseen.
                if text.as_bytes().contains(&0) {
                    return Err("it holds a zero byte".into());
                }
                texts.push(text);
            }
            ColumnData::Bool(values) => values.push(match text {
                "true" | "True" | "TRUE" | "1" | "Y" => true,
                "false" | "False" | "FALSE" | "0" | "N" => false,
                _ => return Err("it is not a truth value".into()),
            }),
            ColumnData::Int32(values) => {
                let value = integer(text)?;
                values.push(i32::try_from(value).map_err(|_| out_of_range())?);
            }
            ColumnData::Int64(values) => values.push(integer(text)?),
            ColumnData::Float64(values) => {
                if !is_decimal(text) {
                    return Err(not_a_number());
                }
                values.push(text.parse().map_err(|_| not_a_number())?);
            }
            ColumnData::Numeric(texts) => {
                if !is_decimal(text) {
                    return Err(not_a_number());
                }
                texts.push(text);
            }
            ColumnData::Json(texts) => {
                if text.contains("\\u0000") || text.contains('\0') {
                    return Err("it holds a zero byte".into());
                }
                match raw {
                    Raw::Text(text) => texts.push(&json_string(text)?),
                    _ => texts.push(text),
                }
            }
            ColumnData::Date(values) => values.push(self.date(text)?),
            ColumnData::Timestamp(values) => values.push(self.timestamp(text)?),
            ColumnData::Instant(values) => {
                values.push(parse_instant(text).ok_or("it is not a date and time with an offset")?);
            }
            ColumnData::Time(values) => {
                values.push(parse_time(text).ok_or("it is not a time of day")?);
            }
            ColumnData::Uuid(values) => values.push(parse_uuid(text).ok_or("it is not a uuid")?),
            ColumnData::TextArray(lists) => {
                if text.as_bytes().contains(&0) {
                    return Err("it holds a zero byte".into());
                }
                lists.push(text.split(self.separator));
            }
            ColumnData::Int32Array(lists) => {
                let parts: Result<Vec<i32>, _> =
                    text.split(self.separator).map(str::parse::<i32>).collect();
                let parts = parts.map_err(|_| "it is not a list of whole numbers")?;
                lists.push(parts.into_iter());
            }
        }
        column.mark_present();
        Ok(())
    }

    fn date(&self, text: &str) -> Result<i32, String> {
        if let Some(day) = parse_date(text) {
            return Ok(day);
        }
        parse_instant(text)
            .and_then(|instant| day_in_zone(instant, self.zone))
            .ok_or_else(|| "it is not a date".into())
    }

    fn timestamp(&self, text: &str) -> Result<i64, String> {
        if let Some(day) = parse_date(text) {
            return Ok(i64::from(day) * crate::temporal::MICROS_PER_DAY);
        }
        let wall = match (self.conversion, parse_instant(text)) {
            (Conversion::WithoutTimeOffset, _) | (_, None) => parse_wall_clock(text),
            (_, Some(instant)) => wall_clock_in_zone(instant, self.zone),
        };
        wall.ok_or_else(|| "it is not a date and time".into())
    }
}

fn not_a_number() -> String {
    "it is not a number".into()
}

fn out_of_range() -> String {
    "it is out of the column's range".into()
}

/// A whole number, also written as `300.0`, as Salesforce does.
fn integer(text: &str) -> Result<i64, String> {
    if let Ok(value) = text.parse() {
        return Ok(value);
    }
    if !is_decimal(text) {
        return Err(not_a_number());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|digit| digit == b'0') {
        return Err("it is not a whole number".into());
    }
    whole.parse().map_err(|_| out_of_range())
}

/// Sign, digits, point, digits, exponent: what every CRM writes and PostgreSQL's `numeric` reads.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_sane = exponent.is_none_or(|text| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        (1..=3).contains(&digits.len()) && all_digits(digits)
    });
    // PostgreSQL takes 131,072 digits; no CRM has a number of a thousand, so it is garbage or an attack.
    (1..=1000).contains(&(whole.len() + fraction.len()))
        && all_digits(whole)
        && all_digits(fraction)
        && exponent_is_sane
}

fn json_string(text: &str) -> Result<String, String> {
    serde_json::to_string(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(
        column_type: ColumnType,
        conversion: Conversion,
        raw: Raw<'_>,
    ) -> Result<Column, String> {
        let decoder = CellDecoder {
            column_type,
            conversion,
            zone: "America/New_York".parse().unwrap(),
            separator: ';',
        };
        let mut column = Column::new(column_type);
        decoder.append(raw, &mut column).map(|()| column)
    }

    #[test]
    fn numbers_keep_every_digit() {
        for (text, good) in [
            ("20000.0000", true),
            ("-0.1", true),
            ("1.0E7", true),
            ("1e", false),
            ("NaN", false),
            ("", false),
            ("-", false),
            (".", false),
            ("1,000", false),
            ("1e9999", false),
        ] {
            let column = decode(ColumnType::Numeric, Conversion::Default, Raw::Number(text));
            assert_eq!(column.is_ok(), good, "{text}");
            if let Ok(column) = column {
                assert_eq!(column.text(0), Some(text));
            }
        }
    }

    #[test]
    fn integers_may_carry_a_zero_fraction() {
        let column = decode(ColumnType::Int32, Conversion::Default, Raw::Number("300.0")).unwrap();
        assert_eq!(column.data(), &ColumnData::Int32(vec![300]));
        for bad in ["300.5", "3000000000", "x", "1e3"] {
            assert!(decode(ColumnType::Int32, Conversion::Default, Raw::Number(bad)).is_err());
        }
    }

    #[test]
    fn the_four_conversions_of_one_instant() {
        let raw = Raw::Text("2024-01-01T02:00:00.000+0000");
        let at =
            |column_type, conversion| decode(column_type, conversion, raw).unwrap().data().clone();
        let instant = 1_704_074_400_000_000;
        assert_eq!(
            at(ColumnType::Instant, Conversion::Default),
            ColumnData::Instant(vec![instant])
        );
        assert_eq!(
            at(ColumnType::Date, Conversion::DateOnly),
            ColumnData::Date(vec![parse_date("2023-12-31").unwrap()])
        );
        assert_eq!(
            at(ColumnType::Timestamp, Conversion::WithoutTimeOffset),
            ColumnData::Timestamp(vec![instant])
        );
        assert_eq!(
            at(ColumnType::Timestamp, Conversion::Default),
            ColumnData::Timestamp(vec![instant - 5 * 3600 * 1_000_000])
        );
        let raw_text = decode(ColumnType::Text, Conversion::CopyPaste, raw).unwrap();
        assert_eq!(raw_text.text(0), Some("2024-01-01T02:00:00.000+0000"));
    }

    #[test]
    fn lists_and_identifiers() {
        let column = decode(
            ColumnType::TextArray,
            Conversion::Default,
            Raw::Text("a;b c;d"),
        )
        .unwrap();
        let ColumnData::TextArray(lists) = column.data() else {
            panic!("not a list")
        };
        let parts: Vec<_> = lists.range(0).map(|at| lists.elements().get(at)).collect();
        assert_eq!(parts, ["a", "b c", "d"]);
        assert!(decode(ColumnType::Uuid, Conversion::Default, Raw::Text("{0f-x}")).is_err());
        let uuid = "6FAB1E63-4A4C-4DD3-8FA9-2B8A3F4C5D6E";
        assert!(decode(ColumnType::Uuid, Conversion::Default, Raw::Text(uuid)).is_ok());
    }

    #[test]
    fn a_refused_value_leaves_the_column_as_it_was() {
        let decoder = CellDecoder {
            column_type: ColumnType::Text,
            conversion: Conversion::Default,
            zone: Zone::default(),
            separator: ';',
        };
        let mut column = Column::new(ColumnType::Text);
        assert!(decoder.append(Raw::Text("a\0b"), &mut column).is_err());
        assert!(column.is_empty());
    }
}
