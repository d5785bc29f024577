//! What a CRM says of its objects and fields, in neutral words.

use crate::value::ColumnType;
use serde::{Deserialize, Serialize};

/// One remote object as a list of objects shows it (spec C-1).
#[derive(Clone, Debug, Default)]
pub struct ObjectSummary {
    /// Name on the wire.
    pub name: String,
    /// What addresses call its records, where that is not its name: kept with a table, so that a query can be shown and
    /// sent as it is before anything has been asked (S-8).
    pub collection: Option<String>,
    /// Name for people, in the account's language.
    pub label: String,
    /// Made by the customer rather than the vendor.
    pub custom: bool,
    /// May be read.
    pub selectable: bool,
    /// Records may be created.
    pub insertable: bool,
    /// Records may be changed.
    pub updatable: bool,
    /// Records may be deleted.
    pub deletable: bool,
    /// The CRM can list records changed in a period.
    pub changes_tracked: bool,
    /// The CRM can list records deleted in a period.
    pub deletions_tracked: bool,
}

/// One remote object with its fields.
#[derive(Clone, Debug, Default)]
pub struct RemoteObject {
    /// The object itself.
    pub summary: ObjectSummary,
    /// Its fields in the vendor's order.
    pub fields: Vec<RemoteField>,
    /// Its variants; empty where all its records are of one kind.
    pub variants: Vec<RecordVariant>,
}

/// A kind of records of one object that has its own choice among the values of an enumeration: a record type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordVariant {
    /// Its identifier on the wire.
    pub id: String,
    /// Its name, the same in every language.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// May be chosen.
    pub active: bool,
}

/// One field of a remote object.
#[derive(Clone, Debug)]
pub struct RemoteField {
    /// Name on the wire.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// The vendor's word for the type.
    pub remote_type: String,
    /// How it is decoded when nothing else is asked; `None` for a type nobody here knows: text, with a notice (C-5).
    pub column_type: Option<ColumnType>,
    /// Longest text in characters, where the vendor says.
    pub length: Option<u32>,
    /// Total digits and decimals of a number, where the vendor says.
    pub precision: Option<(u32, u32)>,
    /// May be empty. Vendors' word is not to be trusted for reading.
    pub nullable: bool,
    /// May be given when a record is created.
    pub creatable: bool,
    /// May be given when a record is changed.
    pub updatable: bool,
    /// Must be given when a record is created.
    pub required: bool,
    /// May stand in a filter.
    pub filterable: bool,
    /// May be sorted by.
    pub sortable: bool,
    /// Text is compared with regard to case.
    pub case_sensitive: bool,
    /// Records can be found and upserted by it.
    pub external_key: bool,
    /// The record identifier.
    pub identifier: bool,
    /// The time of the record's last modification.
    pub modification_stamp: bool,
    /// The CRM computes the value when it is read: it may change while the modification stamp stays (I-3).
    pub computed: bool,
    /// The enumeration behind it, as `object.field` or a global name.
    pub enumeration: Option<String>,
    /// The CRM refuses other values than those of the enumeration.
    pub restricted: bool,
    /// The values of that enumeration, in the vendor's order.
    pub values: Vec<EnumerationValue>,
    /// Objects whose records it points to.
    pub references: Vec<String>,
}

/// An enumeration that belongs to no object (spec N-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Its name, as [`RemoteField::enumeration`] says it.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// Its values, in the vendor's order.
    pub values: Vec<EnumerationValue>,
}

/// One value of an enumeration (spec N-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumerationValue {
    /// What records hold.
    pub value: String,
    /// What people see, in the account's language.
    pub label: String,
    /// May be chosen.
    pub active: bool,
    /// Is chosen where nothing is.
    pub is_default: bool,
    /// Values of the controlling field with which it may be chosen; nothing where no field controls it.
    pub controlling: Option<Vec<String>>,
    /// Names of the object's variants in which it may be chosen; nothing where there are none or the CRM has not been
    /// asked, see [`crate::Session::with_variants`].
    pub variants: Option<Vec<String>>,
}

/// How values cross the border, a column option (spec section 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Conversion {
    /// Typed, time zones handled.
    #[default]
    Default,
    /// The day in the account's zone.
    DateOnly,
    /// The wall-clock digits as sent.
    WithoutTimeOffset,
    /// The raw string.
    CopyPaste,
}

impl Conversion {
    /// The option values, in the order of the specification.
    pub const NAMES: &'static [&'static str] =
        &["default", "date_only", "without_time_offset", "copy_paste"];

    /// The conversion that an option value names.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::Default),
            "date_only" => Some(Self::DateOnly),
            "without_time_offset" => Some(Self::WithoutTimeOffset),
            "copy_paste" => Some(Self::CopyPaste),
            _ => None,
        }
    }
}

/// What planning knows of a collected field, from the column's options alone: no call is made for it (S-8).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldFacts {
    /// Name on the wire.
    pub name: String,
    /// The vendor's word for the type; empty when a hand-written table does not say.
    pub remote_type: String,
    /// How the local column wants it.
    pub column_type: ColumnType,
    /// The column's conversion.
    pub conversion: Conversion,
    /// May stand in a filter.
    pub filterable: bool,
    /// May be sorted by.
    pub sortable: bool,
    /// Text is compared with regard to case.
    pub case_sensitive: bool,
    /// The record identifier.
    pub identifier: bool,
}
