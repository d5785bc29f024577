//! Field values as a request gives them. Numbers keep their digits, which a double would lose.

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value in a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Null,
    Bool(bool),
    /// Digit for digit.
    Number(String),
    Text(String),
    /// A parent named by its external id, or `attributes`.
    Object(Record),
    Array,
}

/// Values of one record by name, in the order given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record(pub Vec<(String, Input)>);

impl Record {
    /// A value by name, without regard to case.
    pub fn get(&self, name: &str) -> Option<&Input> {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The object a record says it is of: `attributes.type`.
    pub fn object_type(&self) -> Option<&str> {
        match self.get("attributes")? {
            Input::Object(attributes) => match attributes.get("type")? {
                Input::Text(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

impl Input {
    /// The kind of value in the words of the parser's errors.
    pub fn token(&self) -> &'static str {
        match self {
            Self::Null => "VALUE_NULL",
            Self::Bool(true) => "VALUE_TRUE",
            Self::Bool(false) => "VALUE_FALSE",
            Self::Number(text) if text.contains(['.', 'e', 'E']) => "VALUE_NUMBER_FLOAT",
            Self::Number(_) => "VALUE_NUMBER_INT",
            Self::Text(_) => "VALUE_STRING",
            Self::Object(_) => "START_OBJECT",
            Self::Array => "START_ARRAY",
        }
    }

    /// The value as text.
    pub fn text(&self) -> &str {
        match self {
            Self::Null => "null",
            Self::Bool(true) => "true",
            Self::Bool(false) => "false",
            Self::Number(text) | Self::Text(text) => text,
            Self::Object(_) => "{",
            Self::Array => "[",
        }
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <Box<RawValue>>::deserialize(deserializer)?;
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'n') => Self::Null,
            Some(b't') => Self::Bool(true),
            Some(b'f') => Self::Bool(false),
            Some(b'"') => Self::Text(serde_json::from_str(text).map_err(de::Error::custom)?),
            Some(b'{') => Self::Object(serde_json::from_str(text).map_err(de::Error::custom)?),
            Some(b'[') => Self::Array,
            _ => Self::Number(text.to_owned()),
        })
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Record;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of field values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
                let mut record = Record::default();
                while let Some((name, value)) = map.next_entry::<String, Input>()? {
                    record.0.retain(|(known, _)| *known != name);
                    record.0.push((name, value));
                }
                Ok(record)
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_nesting_survive() {
        let record: Record = serde_json::from_str(
            r#"{"A": 12345678901234567890.10, "B": null, "P": {"K__c": "x\n"}, "A": 1e3, "L": [1]}"#,
        )
        .unwrap();
        assert_eq!(record.get("a"), Some(&Input::Number("1e3".into())));
        assert_eq!(record.get("L"), Some(&Input::Array));
        let Some(Input::Object(parent)) = record.get("P") else {
            panic!("a nested object");
        };
        assert_eq!(parent.get("k__C"), Some(&Input::Text("x\n".into())));
        assert!(serde_json::from_str::<Record>("[]").is_err());
    }
}
