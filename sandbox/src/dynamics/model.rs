//! The tables of the organisation and their columns, read once from `data/dynamics/entities.json`.
//! Columns are described after sections 3.2 and 3.3 of the protocol page.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

const SOURCE: &str = include_str!("../../data/dynamics/entities.json");

/// What a column holds; the names are those of `AttributeTypeName` without `Type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Kind {
    Uniqueidentifier,
    String,
    Memo,
    Integer,
    BigInt,
    Decimal,
    Double,
    Money,
    Boolean,
    DateTime,
    Picklist,
    State,
    Status,
    MultiSelectPicklist,
    Lookup,
    Customer,
    Owner,
    PartyList,
    EntityName,
    Image,
    File,
    Virtual,
    ManagedProperty,
    CalendarRules,
}

impl Kind {
    /// `AttributeType`: multi-select, image and file columns all say `Virtual`.
    pub fn legacy_name(self) -> String {
        match self {
            Self::MultiSelectPicklist | Self::Image | Self::File => "Virtual".to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// `AttributeTypeName/Value`.
    pub fn type_name(self) -> String {
        format!("{self:?}Type")
    }

    /// The cast below `Attributes`.
    pub fn metadata_type(self) -> String {
        let name = match self {
            Self::Customer | Self::Owner | Self::PartyList => "Lookup".to_owned(),
            Self::Uniqueidentifier | Self::Virtual | Self::CalendarRules => String::new(),
            other => format!("{other:?}"),
        };
        format!("Microsoft.Dynamics.CRM.{name}AttributeMetadata")
    }

    /// True for columns that point at a row.
    pub fn is_reference(self) -> bool {
        matches!(self, Self::Lookup | Self::Customer | Self::Owner)
    }

    /// True for columns with one of several numbers.
    pub fn is_choice(self) -> bool {
        matches!(self, Self::Picklist | Self::State | Self::Status)
    }
}

/// What moments mean in a column (section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Behavior {
    #[default]
    UserLocal,
    TimeZoneIndependent,
    DateOnly,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawChoice {
    WithState(i32, String, i32),
    Plain(i32, String),
}

/// One value of an option set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "RawChoice")]
pub struct Choice {
    pub value: i32,
    pub label: String,
    /// Of a status: its state. Of a state: its default status.
    pub state: Option<i32>,
}

impl From<RawChoice> for Choice {
    fn from(raw: RawChoice) -> Self {
        let (value, label, state) = match raw {
            RawChoice::WithState(value, label, state) => (value, label, Some(state)),
            RawChoice::Plain(value, label) => (value, label, None),
        };
        Self {
            value,
            label,
            state,
        }
    }
}

/// A column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Logical name, lower case.
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "l")]
    pub label: String,
    #[serde(rename = "d", default)]
    pub description: String,
    #[serde(rename = "t")]
    pub kind: Kind,
    /// Most characters of a text.
    #[serde(rename = "len")]
    pub length: Option<usize>,
    #[serde(rename = "f")]
    pub format: Option<String>,
    #[serde(rename = "o", default)]
    pub choices: Vec<Choice>,
    /// The option of a new record.
    #[serde(rename = "def")]
    pub chosen: Option<i32>,
    /// Tables a reference may point at, and the navigation property for each.
    #[serde(rename = "to", default)]
    pub targets: Vec<String>,
    #[serde(rename = "nav", default)]
    pub navigation: Vec<String>,
    #[serde(rename = "req")]
    pub required: Option<String>,
    /// The server alone writes it.
    #[serde(rename = "ro", default)]
    pub read_only: bool,
    #[serde(rename = "pk", default)]
    pub is_id: bool,
    #[serde(rename = "pn", default)]
    pub is_title: bool,
    /// The column this one belongs to.
    pub of: Option<String>,
    #[serde(rename = "b", default)]
    pub behavior: Behavior,
    /// `Format` of a moment where it is not the behaviour's own.
    #[serde(rename = "df")]
    pub date_format: Option<String>,
    #[serde(rename = "p")]
    pub precision: Option<i64>,
    /// Of a converted amount: the amount it is computed from.
    pub base: Option<String>,
    /// Name of the global option set.
    #[serde(rename = "g")]
    pub global: Option<String>,
    #[serde(rename = "sc")]
    pub schema_name: Option<String>,
    pub min: Option<i64>,
    pub max: Option<i64>,
}

impl Attribute {
    /// The name in data: `_x_value` for references.
    pub fn property(&self) -> String {
        match self.kind.is_reference() {
            true => format!("_{}_value", self.name),
            false => self.name.clone(),
        }
    }

    /// False for what the Web API does not show as a property.
    pub fn is_property(&self) -> bool {
        !matches!(
            self.kind,
            Kind::PartyList | Kind::Virtual | Kind::ManagedProperty | Kind::CalendarRules
        )
    }

    /// Digits behind the point.
    pub fn scale(&self) -> i64 {
        self.precision.unwrap_or(match self.kind {
            Kind::Money => 4,
            Kind::Double => 5,
            _ => 2,
        })
    }

    /// The label of a value, or what the switch shows.
    pub fn label_of(&self, value: i64) -> Option<&str> {
        self.choices
            .iter()
            .find(|choice| i64::from(choice.value) == value)
            .map(|choice| choice.label.as_str())
    }
}

/// An alternate key.
#[derive(Debug, Deserialize)]
pub struct Key {
    #[serde(rename = "n")]
    pub name: String,
    #[serde(rename = "c")]
    pub columns: Vec<String>,
}

/// A table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    pub name: String,
    pub set: String,
    pub label: String,
    pub plural: String,
    /// `ObjectTypeCode`.
    pub code: u32,
    pub key: String,
    pub title: Option<String>,
    #[serde(default)]
    pub tracking: bool,
    #[serde(default)]
    pub audit: bool,
    #[serde(default)]
    pub custom: bool,
    #[serde(default)]
    pub intersect: bool,
    #[serde(default)]
    pub activity: bool,
    pub owner: Option<String>,
    pub meta: Option<String>,
    #[serde(default)]
    pub keys: Vec<Key>,
    pub attributes: Vec<Attribute>,
    #[serde(skip)]
    by_property: HashMap<String, usize>,
    #[serde(skip)]
    by_name: HashMap<String, usize>,
}

impl Entity {
    /// The place of the column behind a property name; case matters.
    pub fn property(&self, name: &str) -> Option<usize> {
        self.by_property.get(name).copied()
    }

    /// The place of a column by its logical name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The column and the target table of a single-valued navigation property.
    pub fn navigation(&self, name: &str) -> Option<(usize, Vec<&str>)> {
        self.attributes.iter().enumerate().find_map(|(at, column)| {
            let targets: Vec<&str> = column
                .navigation
                .iter()
                .zip(&column.targets)
                .filter(|(navigation, _)| navigation.as_str() == name)
                .map(|(_, target)| target.as_str())
                .collect();
            (!targets.is_empty()).then_some((at, targets))
        })
    }
}

/// All tables.
#[derive(Debug)]
pub struct Schema {
    pub entities: Vec<Entity>,
}

impl Schema {
    /// A table by its logical name, with its place.
    pub fn entity(&'static self, name: &str) -> Option<(usize, &'static Entity)> {
        self.entities
            .iter()
            .enumerate()
            .find(|(_, entity)| entity.name == name)
    }

    /// A table by its entity set; case matters.
    pub fn set(&'static self, name: &str) -> Option<(usize, &'static Entity)> {
        self.entities
            .iter()
            .enumerate()
            .find(|(_, entity)| entity.set == name)
    }
}

static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    let mut entities: Vec<Entity> =
        serde_json::from_str(SOURCE).map_err(|error| format!("entities.json: {error}"))?;
    entities.push(wide());
    for entity in &mut entities {
        for (at, column) in entity.attributes.iter().enumerate() {
            entity.by_name.insert(column.name.clone(), at);
            if column.is_property() {
                entity.by_property.insert(column.property(), at);
            }
        }
    }
    Ok(Schema { entities })
});

/// Columns of the table that is too wide for an address: their names alone take more than its 32,768 bytes.
const WIDE: usize = 720;

/// `new_wide`: names as long as Dynamics allows (50 characters), tracked by nobody, audited by nobody.
fn wide() -> Entity {
    let column = |name: String, kind: Kind| Attribute {
        label: name.clone(),
        description: String::new(),
        is_id: name == "new_wideid",
        is_title: name == "new_name",
        read_only: matches!(name.as_str(), "createdon" | "modifiedon" | "versionnumber"),
        name,
        kind,
        length: matches!(kind, Kind::String).then_some(100),
        format: None,
        chosen: None,
        choices: Vec::new(),
        targets: Vec::new(),
        navigation: Vec::new(),
        required: None,
        of: None,
        behavior: Behavior::default(),
        date_format: None,
        precision: None,
        base: None,
        global: None,
        schema_name: None,
        min: None,
        max: None,
    };
    let mut attributes = vec![
        column("new_wideid".to_owned(), Kind::Uniqueidentifier),
        column("new_name".to_owned(), Kind::String),
        column("createdon".to_owned(), Kind::DateTime),
        column("modifiedon".to_owned(), Kind::DateTime),
        column("versionnumber".to_owned(), Kind::BigInt),
    ];
    attributes.extend((0..WIDE).map(|n| {
        let name = format!(
            "new_{n:03}_{}",
            "a_column_name_as_long_as_names_may_ever_be_x"
        );
        column(name[..50.min(name.len())].to_owned(), Kind::String)
    }));
    Entity {
        name: "new_wide".to_owned(),
        set: "new_wides".to_owned(),
        label: "Wide".to_owned(),
        plural: "Wides".to_owned(),
        code: 10_044,
        key: "new_wideid".to_owned(),
        title: Some("new_name".to_owned()),
        tracking: false,
        audit: false,
        custom: true,
        intersect: false,
        activity: false,
        owner: None,
        meta: None,
        keys: Vec::new(),
        attributes,
        by_property: HashMap::new(),
        by_name: HashMap::new(),
    }
}

/// The schema.
///
/// # Errors
/// A sentence when the embedded file does not parse.
pub fn schema() -> Result<&'static Schema, String> {
    SCHEMA.as_ref().map_err(Clone::clone)
}
