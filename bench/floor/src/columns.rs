//! The bytes of a page as typed columns, in one pass and with no more than is needed: text is put behind text, dates and
//! moments become numbers.

use std::error::Error;
use std::fmt;

use chrono::NaiveDate;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;

/// What a column holds; nulls are told apart by its bits.
enum Cells {
    Text {
        bytes: String,
        ends: Vec<usize>,
    },
    Number(Vec<f64>),
    Truth(Vec<bool>),
    /// Days since 1970.
    Date(Vec<i32>),
    /// Microseconds since 1970.
    Moment(Vec<i64>),
}

struct Column {
    field: String,
    cells: Cells,
    nulls: Vec<bool>,
}

/// One page's records, column by column.
pub struct Columns(Vec<Column>);

impl Columns {
    /// As the benchmark names them in the environment.
    pub fn from_environment() -> Result<Self, Box<dyn Error>> {
        let described: Value = serde_json::from_str(&std::env::var("BENCH_COLUMNS")?)?;
        let described = described.as_array().ok_or("no list of columns")?;
        let columns = described.iter().map(|column| Column {
            field: column["field"].as_str().unwrap_or_default().to_owned(),
            cells: match column["type"].as_str().unwrap_or_default() {
                "numeric" | "integer" => Cells::Number(Vec::new()),
                "boolean" => Cells::Truth(Vec::new()),
                "date" => Cells::Date(Vec::new()),
                "timestamp with time zone" => Cells::Moment(Vec::new()),
                _ => Cells::Text {
                    bytes: String::new(),
                    ends: Vec::new(),
                },
            },
            nulls: Vec::new(),
        });
        Ok(Self(columns.collect()))
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        for column in &mut self.0 {
            column.nulls.clear();
            match &mut column.cells {
                Cells::Text { bytes, ends } => {
                    bytes.clear();
                    ends.clear();
                }
                Cells::Number(cells) => cells.clear(),
                Cells::Truth(cells) => cells.clear(),
                Cells::Date(cells) => cells.clear(),
                Cells::Moment(cells) => cells.clear(),
            }
        }
    }

    /// Adds a page's records; gives how many.
    pub fn read(&mut self, page: &[u8]) -> Result<usize, Box<dyn Error>> {
        let mut reader = sonic_rs::Deserializer::from_slice(page);
        Ok(Document(self).deserialize(&mut reader)?)
    }
}

struct Document<'c>(&'c mut Columns);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<usize, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a page")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(name) = members.next_key::<&str>()? {
            if name == "records" {
                count = members.next_value_seed(Records(self.0))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(count)
    }
}

struct Records<'c>(&'c mut Columns);

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<usize, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while records.next_element_seed(Record(self.0))?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

struct Record<'c>(&'c mut Columns);

impl<'de> DeserializeSeed<'de> for Record<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Record<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        // Fields come in the order of the query.
        let mut place = 0;
        while let Some(name) = members.next_key::<&str>()? {
            match self
                .0
                .0
                .get_mut(place)
                .filter(|column| column.field == name)
            {
                Some(column) => {
                    members.next_value_seed(Cell(column))?;
                    place += 1;
                }
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        if place < self.0.0.len() {
            return Err(A::Error::custom(
                "a record lacks a field, or has it elsewhere",
            ));
        }
        Ok(())
    }
}

struct Cell<'c>(&'c mut Column);

impl<'de> DeserializeSeed<'de> for Cell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl Cell<'_> {
    fn number<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.0.nulls.push(false);
        match &mut self.0.cells {
            Cells::Number(cells) => cells.push(number),
            _ => return Err(E::custom("a number where none is expected")),
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Cell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.0.nulls.push(true);
        match &mut self.0.cells {
            Cells::Text { bytes, ends } => ends.push(bytes.len()),
            Cells::Number(cells) => cells.push(0.0),
            Cells::Truth(cells) => cells.push(false),
            Cells::Date(cells) => cells.push(0),
            Cells::Moment(cells) => cells.push(0),
        }
        Ok(())
    }

    fn visit_bool<E: serde::de::Error>(self, truth: bool) -> Result<(), E> {
        self.0.nulls.push(false);
        match &mut self.0.cells {
            Cells::Truth(cells) => cells.push(truth),
            _ => return Err(E::custom("true or false where none is expected")),
        }
        Ok(())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.nulls.push(false);
        match &mut self.0.cells {
            Cells::Text { bytes, ends } => {
                bytes.push_str(text);
                ends.push(bytes.len());
            }
            Cells::Date(cells) => cells.push(day(text).ok_or_else(|| E::custom("no date"))?),
            Cells::Moment(cells) => cells.push(moment(text).ok_or_else(|| E::custom("no moment"))?),
            Cells::Number(_) | Cells::Truth(_) => {
                return Err(E::custom("text where none is expected"));
            }
        }
        Ok(())
    }
}

fn digits(text: &str, from: usize, to: usize) -> Option<u32> {
    let text = text.as_bytes().get(from..to)?;
    text.iter().try_fold(0, |number, &digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u32::from(digit - b'0'))
    })
}

/// `2020-01-31`, as days since 1970.
fn day(text: &str) -> Option<i32> {
    let year = i32::try_from(digits(text, 0, 4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, digits(text, 5, 7)?, digits(text, 8, 10)?)?;
    Some(date.to_epoch_days())
}

/// `2020-01-31T12:30:00.000+0000`, as microseconds since 1970.
fn moment(text: &str) -> Option<i64> {
    if text.get(23..)? != "+0000" {
        return None;
    }
    let seconds =
        digits(text, 11, 13)? * 3_600 + digits(text, 14, 16)? * 60 + digits(text, 17, 19)?;
    let millis = i64::from(seconds) * 1_000 + i64::from(digits(text, 20, 23)?);
    Some(i64::from(day(text)?) * 86_400_000_000 + millis * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_counted_from_1970() {
        assert_eq!(moment("1970-01-02T00:00:01.002+0000"), Some(86_401_002_000));
        assert_eq!(moment("1970-01-02T00:00:01.002+0100"), None);
        assert_eq!(day("1969-12-31"), Some(-1));
    }
}
