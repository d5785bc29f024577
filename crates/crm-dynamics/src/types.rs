//! The vendor's types of attributes (Dynamics page 3.3) and what they are here.
//!
//! A type's word is `AttributeTypeName`, with the behaviour of dates behind a colon; two words are of this crate:
//! [`TARGET`] for the kind of record that a polymorphic lookup leads to.

use crm_core::ColumnType;
use std::borrow::Cow;

/// Type word of the field beside a polymorphic lookup that says to what kind of record it leads.
pub(crate) const TARGET: &str = "LookupTarget";
/// What such a field's name ends in.
pub(crate) const TARGET_SUFFIX: &str = "@type";

/// What an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A GUID that is no lookup.
    Guid,
    /// Text.
    Text,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    BigInt,
    /// Decimal number with fixed digits.
    Decimal,
    /// Amount of money, likewise.
    Money,
    /// Double precision, rounded to the attribute's digits.
    Double,
    /// Truth value.
    Boolean,
    /// Point in time, whole seconds.
    Instant,
    /// Wall clock without a zone, which comes with a `Z` that means nothing.
    WallClock,
    /// Day.
    Day,
    /// One option of a set, a number with a label.
    Choice,
    /// Several of them.
    Choices,
    /// Another record.
    Lookup,
    /// The kind of that record.
    Target,
    /// A file, by its GUID.
    File,
    /// The table does not say.
    Unsaid,
    /// A type that is not known here.
    Other,
}

impl Kind {
    /// What a type word means.
    pub(crate) fn of(remote_type: &str) -> Self {
        match remote_type {
            "UniqueidentifierType" => Self::Guid,
            "StringType" | "MemoType" | "EntityNameType" => Self::Text,
            "IntegerType" => Self::Int,
            "BigIntType" => Self::BigInt,
            "DecimalType" => Self::Decimal,
            "MoneyType" => Self::Money,
            "DoubleType" => Self::Double,
            "BooleanType" => Self::Boolean,
            "DateTimeType:TimeZoneIndependent" => Self::WallClock,
            "DateTimeType:DateOnly" => Self::Day,
            "PicklistType" | "StateType" | "StatusType" => Self::Choice,
            "MultiSelectPicklistType" => Self::Choices,
            "LookupType" | "CustomerType" | "OwnerType" => Self::Lookup,
            TARGET => Self::Target,
            "FileType" => Self::File,
            "" => Self::Unsaid,
            // Before 7.1 there was no behaviour, and all were points in time (section 11).
            word if word == "DateTimeType" || word.starts_with("DateTimeType:") => Self::Instant,
            _ => Self::Other,
        }
    }

    /// The column of such an attribute; `as_labels` for option sets that show labels (N-3). Nothing for a type that is
    /// not known here.
    pub(crate) fn column_type(self, as_labels: bool) -> Option<ColumnType> {
        Some(match self {
            Self::Guid | Self::Lookup | Self::File => ColumnType::Uuid,
            Self::Text | Self::Target => ColumnType::Text,
            Self::Int => ColumnType::Int32,
            Self::BigInt => ColumnType::Int64,
            Self::Decimal | Self::Money => ColumnType::Numeric,
            Self::Double => ColumnType::Float64,
            Self::Boolean => ColumnType::Bool,
            Self::Instant => ColumnType::Instant,
            Self::WallClock => ColumnType::Timestamp,
            Self::Day => ColumnType::Date,
            Self::Choice if as_labels => ColumnType::Text,
            Self::Choice => ColumnType::Int32,
            Self::Choices if as_labels => ColumnType::TextArray,
            Self::Choices => ColumnType::Int32Array,
            Self::Unsaid | Self::Other => return None,
        })
    }

    /// A number of any kind.
    pub(crate) fn is_number(self) -> bool {
        matches!(
            self,
            Self::Int | Self::BigInt | Self::Decimal | Self::Money | Self::Double | Self::Choice
        )
    }

    /// An attribute that is no property of records, or none that a table could show (3.3).
    pub(crate) fn is_hidden(type_name: &str) -> bool {
        matches!(
            type_name,
            "VirtualType"
                | "PartyListType"
                | "ManagedPropertyType"
                | "CalendarRulesType"
                | "ImageType"
        )
    }
}

/// The property that carries an attribute's value in records and conditions: a lookup has one of its own.
pub(crate) fn property<'f>(name: &'f str, remote_type: &str) -> Cow<'f, str> {
    match Kind::of(remote_type) {
        Kind::Lookup => Cow::Owned(format!("_{name}_value")),
        Kind::Target => {
            let lookup = name.strip_suffix(TARGET_SUFFIX).unwrap_or(name);
            Cow::Owned(format!("_{lookup}_value"))
        }
        _ => Cow::Borrowed(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_table() {
        for (word, expected, labels) in [
            ("UniqueidentifierType", Some(ColumnType::Uuid), None),
            ("OwnerType", Some(ColumnType::Uuid), None),
            ("MoneyType", Some(ColumnType::Numeric), None),
            ("DoubleType", Some(ColumnType::Float64), None),
            ("DateTimeType:UserLocal", Some(ColumnType::Instant), None),
            ("DateTimeType", Some(ColumnType::Instant), None),
            (
                "DateTimeType:TimeZoneIndependent",
                Some(ColumnType::Timestamp),
                None,
            ),
            ("DateTimeType:DateOnly", Some(ColumnType::Date), None),
            (
                "StatusType",
                Some(ColumnType::Int32),
                Some(ColumnType::Text),
            ),
            (
                "MultiSelectPicklistType",
                Some(ColumnType::Int32Array),
                Some(ColumnType::TextArray),
            ),
            ("HologramType", None, None),
        ] {
            let kind = Kind::of(word);
            assert_eq!(kind.column_type(false), expected, "{word}");
            assert_eq!(kind.column_type(true), labels.or(expected), "{word}");
        }
    }

    #[test]
    fn lookups_have_properties_of_their_own() {
        for (name, remote_type, expected) in [
            ("name", "StringType", "name"),
            ("ownerid", "OwnerType", "_ownerid_value"),
            ("customerid@type", "LookupTarget", "_customerid_value"),
        ] {
            assert_eq!(property(name, remote_type), expected);
        }
    }
}
