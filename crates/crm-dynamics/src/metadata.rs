//! Attributes as either transport describes them, and the fields they become.

use crate::types::{self, Kind};
use crm_core::{EnumerationValue, RemoteField};

/// One attribute as the vendor tells it (Dynamics page 3.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Attribute {
    /// Logical name.
    pub name: String,
    /// Label in the language wanted.
    pub label: String,
    /// `AttributeTypeName`; where it is not told, `AttributeType` with `Type` behind it.
    pub type_name: String,
    /// `DateTimeBehavior`, of dates.
    pub behavior: Option<String>,
    /// The attribute it is a shadow of.
    pub attribute_of: Option<String>,
    /// Identifies records.
    pub is_primary_id: bool,
    /// May be read.
    pub readable: bool,
    /// May be given when a record is created.
    pub creatable: bool,
    /// May be given when a record is changed.
    pub updatable: bool,
    /// Is a property of the Web API, as far as told.
    pub is_property: Option<bool>,
    /// `RequiredLevel`.
    pub required_level: String,
    /// Is computed by the vendor when it is read: calculated or rolled up.
    pub computed: bool,
    /// Longest text in characters.
    pub length: Option<u32>,
    /// Decimals of a number.
    pub decimals: Option<u32>,
    /// The largest number it holds.
    pub largest: Option<f64>,
    /// Entities that a lookup leads to.
    pub targets: Vec<String>,
    /// Name of its option set where several attributes share it.
    pub global_set: Option<String>,
    /// The options of its set, in order.
    pub options: Vec<ChoiceOption>,
    /// The option of a new record, where nothing else is said: `DefaultFormValue`, of truth values `DefaultValue`. A
    /// value that no option has says that there is none: it is told so, or not told at all.
    pub chosen: Option<String>,
}

/// One option of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChoiceOption {
    /// What records hold.
    pub value: String,
    /// What people see.
    pub label: String,
    /// Of a status: the state it belongs to.
    pub state: Option<String>,
}

impl From<ChoiceOption> for EnumerationValue {
    fn from(option: ChoiceOption) -> Self {
        Self {
            value: option.value,
            label: option.label,
            active: true,
            is_default: false,
            controlling: option.state.map(|state| vec![state]),
            variants: None,
        }
    }
}

/// The fields of an entity's attributes; a polymorphic lookup has a second one that says where it leads. `keys` are the
/// entity's alternate keys: records are found by an attribute that is one alone.
pub(crate) fn fields_of(
    object: &str,
    attributes: Vec<Attribute>,
    keys: &[Vec<String>],
    as_labels: bool,
) -> Vec<RemoteField> {
    let shown = attributes.into_iter().filter(Attribute::is_shown);
    shown
        .flat_map(|attribute| attribute.into_fields(object, keys, as_labels))
        .collect()
}

impl Attribute {
    /// Shadows of others and what is no property of records are left out (3.3).
    fn is_shown(&self) -> bool {
        self.readable
            && self.attribute_of.is_none()
            && self.is_property != Some(false)
            && !Kind::is_hidden(&self.type_name)
    }

    fn remote_type(&self) -> String {
        match &self.behavior {
            Some(behavior) => format!("{}:{behavior}", self.type_name),
            None if self.type_name == "DateTimeType" => "DateTimeType:UserLocal".into(),
            None => self.type_name.clone(),
        }
    }

    fn into_fields(
        self,
        object: &str,
        keys: &[Vec<String>],
        as_labels: bool,
    ) -> impl Iterator<Item = RemoteField> {
        let remote_type = self.remote_type();
        let kind = Kind::of(&remote_type);
        let column_type = kind.column_type(as_labels);
        let is_enumeration = matches!(kind, Kind::Choice | Kind::Choices | Kind::Boolean)
            && !self.options.is_empty();
        let precision = match (kind, self.decimals) {
            (Kind::Decimal | Kind::Money, Some(decimals)) => {
                // Digits before the point follow from the largest value; the database's type has 15 of them.
                let whole = self.largest.map_or(15, |largest| {
                    largest.abs().max(1.0).log10().floor() as u32 + 1
                });
                Some((whole + decimals, decimals))
            }
            _ => None,
        };
        let is_polymorphic = kind == Kind::Lookup
            && (self.targets.len() > 1
                || matches!(self.type_name.as_str(), "CustomerType" | "OwnerType"));
        // Only this level is kept by the server; the others are a matter of forms (3.2).
        let is_required = self.required_level == "SystemRequired";
        let options = self.options.iter().cloned();
        let values = options.map(|option| EnumerationValue {
            is_default: self.chosen.as_ref() == Some(&option.value),
            ..option.into()
        });
        let values: Vec<_> = values.collect();
        let field = RemoteField {
            label: self.label.clone(),
            remote_type,
            column_type,
            length: self.length.filter(|_| kind == Kind::Text),
            precision,
            nullable: !self.is_primary_id && !is_required,
            creatable: self.creatable,
            updatable: self.updatable && !self.is_primary_id,
            // What the server fills by itself needs not be given: identifiers, owners, states, numbers and truth values.
            required: is_required
                && self.creatable
                && matches!(kind, Kind::Text | Kind::Lookup)
                && self.type_name != "OwnerType",
            filterable: !matches!(kind, Kind::File | Kind::Target | Kind::Other),
            // Whether its order is PostgreSQL's is another question (`semantics.rs`).
            sortable: !matches!(
                kind,
                Kind::Choices | Kind::File | Kind::Target | Kind::Other
            ),
            case_sensitive: false,
            external_key: keys.iter().any(|key| *key == [self.name.as_str()]),
            identifier: self.is_primary_id,
            modification_stamp: self.name == "modifiedon",
            computed: self.computed,
            enumeration: is_enumeration.then(|| {
                let local = || format!("{object}.{}", self.name);
                self.global_set.clone().unwrap_or_else(local)
            }),
            restricted: is_enumeration && kind != Kind::Boolean,
            values,
            references: self.targets.clone(),
            name: self.name.clone(),
        };
        let target = is_polymorphic.then(|| RemoteField {
            name: format!("{}{}", self.name, types::TARGET_SUFFIX),
            label: format!("{} (type)", self.label),
            remote_type: types::TARGET.into(),
            column_type: Kind::Target.column_type(false),
            length: None,
            precision: None,
            required: false,
            filterable: false,
            sortable: false,
            external_key: false,
            modification_stamp: false,
            enumeration: None,
            restricted: false,
            values: Vec::new(),
            references: Vec::new(),
            ..field.clone()
        });
        [Some(field), target].into_iter().flatten()
    }
}
