//! What a field holds, told from the vendor's word for its type (Oracle page 3.2, 3.7).

use crm_core::{ColumnType, FieldFacts};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// A row id, the record's own or another one's.
    Id,
    /// Text.
    Text,
    /// Text that may be too long to be sorted by.
    LongText,
    /// A code of a list of values.
    Picklist,
    /// Several codes in one.
    MultiPicklist,
    /// A phone number, which is compared in a form of its own (Oracle page 3.7).
    Phone,
    /// Truth value.
    Boolean,
    /// 32-bit integer.
    Int,
    /// Decimal number.
    Decimal,
    /// Day.
    Date,
    /// Point in time.
    Instant,
    /// Time of day.
    Time,
    /// Text that the CRM puts together when it is read.
    Computed,
    /// A type nobody here knows.
    Unknown,
}

impl FieldKind {
    /// By the mapping service's word, the type in a service description, or the REST interface's word.
    pub(crate) fn of_word(word: &str) -> Self {
        let plain: String = word
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|character| character.to_ascii_lowercase())
            .collect();
        match plain.as_str() {
            "id" => Self::Id,
            "textshort" | "text" | "string" | "varchar" | "email" => Self::Text,
            "textlong" | "note" | "clob" | "longtext" => Self::LongText,
            "picklist" => Self::Picklist,
            "multiselectpicklist" => Self::MultiPicklist,
            "phone" => Self::Phone,
            "checkbox" | "boolean" | "bool" => Self::Boolean,
            "integer" | "int" => Self::Int,
            "number" | "currency" | "percent" | "decimal" | "double" => Self::Decimal,
            "date" => Self::Date,
            "datetime" | "utcdatetime" => Self::Instant,
            "time" => Self::Time,
            "weblink" | "concatenated" | "picture" => Self::Computed,
            _ => Self::Unknown,
        }
    }

    /// By the field's type word, or by the column where the table does not say.
    pub(crate) fn of(field: &FieldFacts) -> Self {
        if field.identifier {
            return Self::Id;
        }
        if !field.remote_type.is_empty() {
            return Self::of_word(&field.remote_type);
        }
        match field.column_type {
            ColumnType::Bool => Self::Boolean,
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Float64 | ColumnType::Numeric => {
                Self::Decimal
            }
            ColumnType::Date => Self::Date,
            ColumnType::Instant => Self::Instant,
            ColumnType::Time => Self::Time,
            ColumnType::TextArray => Self::MultiPicklist,
            _ => Self::Unknown,
        }
    }

    /// The decoded form of such a field; nothing for a type nobody here knows.
    pub(crate) fn column_type(self) -> Option<ColumnType> {
        Some(match self {
            Self::Id
            | Self::Text
            | Self::LongText
            | Self::Picklist
            | Self::Phone
            | Self::Computed => ColumnType::Text,
            Self::MultiPicklist => ColumnType::TextArray,
            Self::Boolean => ColumnType::Bool,
            Self::Int => ColumnType::Int32,
            Self::Decimal => ColumnType::Numeric,
            Self::Date => ColumnType::Date,
            Self::Instant => ColumnType::Instant,
            Self::Time => ColumnType::Time,
            Self::Unknown => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_all_sources() {
        for (word, expected) in [
            ("ID", FieldKind::Id),
            ("Text (Short)", FieldKind::Text),
            ("Text (Long)", FieldKind::LongText),
            ("Picklist", FieldKind::Picklist),
            ("Multi-Select Picklist", FieldKind::MultiPicklist),
            ("Phone", FieldKind::Phone),
            ("Checkbox", FieldKind::Boolean),
            ("boolean", FieldKind::Boolean),
            ("Integer", FieldKind::Int),
            ("int", FieldKind::Int),
            ("Number", FieldKind::Decimal),
            ("Currency", FieldKind::Decimal),
            ("Percent", FieldKind::Decimal),
            ("decimal", FieldKind::Decimal),
            ("Date", FieldKind::Date),
            ("Date/Time", FieldKind::Instant),
            ("dateTime", FieldKind::Instant),
            ("Web Link", FieldKind::Computed),
            ("Hologram", FieldKind::Unknown),
        ] {
            assert_eq!(FieldKind::of_word(word), expected, "{word}");
        }
        assert_eq!(FieldKind::Unknown.column_type(), None);
    }
}
