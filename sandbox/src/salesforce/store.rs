//! The objects of the organisation: their fields as described, their records, and lookups by name and id.
//! Values are kept in the letters they have on the wire, so that `300.0` never becomes `300`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::id;
use crate::generate::{Column, Contacts};

/// A stored value in wire form.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Null,
    Bool(bool),
    /// A JSON number, digit for digit.
    Number(Box<str>),
    /// Everything sent as a JSON string: text, ids, dates, times.
    Text(Box<str>),
    /// A rendered JSON object: addresses, locations.
    Object(Box<str>),
    /// Binary content; a query shows the address it can be fetched from.
    Blob(Arc<[u8]>),
}

impl Cell {
    /// Text, with the empty string stored as null as Salesforce does (section 4.3).
    pub fn text(value: impl AsRef<str>) -> Self {
        match value.as_ref() {
            "" => Self::Null,
            text => Self::Text(text.into()),
        }
    }

    /// A number in the given letters; the empty string is null.
    pub fn number(value: impl AsRef<str>) -> Self {
        match value.as_ref() {
            "" => Self::Null,
            text => Self::Number(text.into()),
        }
    }
}

/// How a field's values compare; several remote types share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Id,
    Bool,
    Number,
    Date,
    Instant,
    Time,
    MultiPicklist,
    /// Not comparable: compound, binary, unknown types.
    Opaque,
}

/// What the server needs to know of a field; the describe document itself is kept apart.
#[derive(Debug, Clone)]
pub struct Field {
    pub name: String,
    /// `type` as described.
    pub remote_type: String,
    pub kind: Kind,
    pub filterable: bool,
    pub sortable: bool,
    pub groupable: bool,
    pub aggregatable: bool,
    pub case_sensitive: bool,
    /// Characters; 0 for types without a length.
    pub length: u64,
    /// Position of each picklist value in the definition, with its label.
    pub picklist: HashMap<String, (usize, String)>,
    pub relationship: Option<String>,
    pub reference_to: Vec<String>,
}

impl Field {
    fn from_describe(field: &Value) -> Option<Self> {
        let flag = |name: &str| field[name].as_bool().unwrap_or(false);
        let remote_type = field["type"].as_str()?.to_owned();
        let picklist = field["picklistValues"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .filter_map(|(place, value)| {
                let name = value["value"].as_str()?.to_owned();
                let label = value["label"].as_str().unwrap_or(&name).to_owned();
                Some((name, (place, label)))
            })
            .collect();
        let strings = |value: &Value| {
            value
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        Some(Self {
            name: field["name"].as_str()?.to_owned(),
            kind: kind_of(&remote_type),
            remote_type,
            filterable: flag("filterable"),
            sortable: flag("sortable"),
            groupable: flag("groupable"),
            aggregatable: flag("aggregatable"),
            case_sensitive: flag("caseSensitive"),
            length: field["length"].as_u64().unwrap_or(0),
            picklist,
            relationship: field["relationshipName"].as_str().map(str::to_owned),
            reference_to: strings(&field["referenceTo"]),
        })
    }

    /// Long and rich text: two of them in a query shrink its pages (section 4.6).
    pub fn is_long_text(&self) -> bool {
        self.remote_type == "textarea" && self.length > 255
    }
}

fn kind_of(remote_type: &str) -> Kind {
    match remote_type {
        "id" | "reference" => Kind::Id,
        "boolean" => Kind::Bool,
        "int" | "long" | "double" | "currency" | "percent" => Kind::Number,
        "date" => Kind::Date,
        "datetime" => Kind::Instant,
        "time" => Kind::Time,
        "multipicklist" => Kind::MultiPicklist,
        "address" | "location" | "base64" | "complexvalue" => Kind::Opaque,
        _ => Kind::Text,
    }
}

/// One object: description and records.
pub struct SObject {
    pub name: String,
    pub key_prefix: Option<String>,
    pub queryable: bool,
    /// Refuses a query without a filter (trap 9).
    pub needs_filter: bool,
    /// The describe document; versions in its addresses read `vXX.0`.
    pub describe: String,
    /// Its entry in describeGlobal, in the same form.
    pub global: Value,
    pub fields: Vec<Field>,
    names: HashMap<String, usize>,
    folded: HashMap<String, usize>,
    rows: Vec<Vec<Cell>>,
    row_of_id: HashMap<String, u32>,
    generated: Option<(Contacts, Vec<Option<Column>>)>,
    id_field: usize,
    deleted_field: Option<usize>,
}

impl SObject {
    /// Builds an object from its describe document, its describeGlobal entry and its records, each a
    /// map from field name to value; a field a record does not name is null, or false for a checkbox.
    pub fn new(describe: &Value, global: Value, records: Vec<HashMap<&str, Cell>>) -> Self {
        let fields: Vec<Field> = describe["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Field::from_describe)
            .collect();
        let mut names = HashMap::new();
        let mut folded = HashMap::new();
        for (place, field) in fields.iter().enumerate() {
            names.insert(field.name.clone(), place);
            folded
                .entry(field.name.to_ascii_lowercase())
                .or_insert(place);
        }
        let rows: Vec<Vec<Cell>> = records
            .into_iter()
            .map(|mut record| {
                fields
                    .iter()
                    .map(|field| match record.remove(field.name.as_str()) {
                        Some(cell) => cell,
                        None if field.kind == Kind::Bool => Cell::Bool(false),
                        None => Cell::Null,
                    })
                    .collect()
            })
            .collect();
        let id_field = names.get("Id").copied().unwrap_or(0);
        let row_of_id = rows
            .iter()
            .zip(0u32..)
            .filter_map(|(row, place)| match row.get(id_field) {
                Some(Cell::Text(id)) => Some((id.to_string(), place)),
                _ => None,
            })
            .collect();
        Self {
            name: describe["name"].as_str().unwrap_or_default().to_owned(),
            key_prefix: describe["keyPrefix"].as_str().map(str::to_owned),
            queryable: global["queryable"].as_bool().unwrap_or(true),
            needs_filter: false,
            describe: describe.to_string(),
            global,
            deleted_field: names.get("IsDeleted").copied(),
            names,
            folded,
            rows,
            row_of_id,
            generated: None,
            id_field,
            fields,
        }
    }

    /// Adds records that are computed from their number instead of being kept.
    pub fn generate(&mut self, contacts: Contacts) {
        let columns = self
            .fields
            .iter()
            .map(|field| Column::of(&field.name))
            .collect();
        self.generated = Some((contacts, columns));
    }

    /// A field by name: the exact spelling first, then without regard to case.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.names
            .get(name)
            .or_else(|| self.folded.get(&name.to_ascii_lowercase()))
            .copied()
    }

    /// The lookup field behind a relationship name such as `Owner`.
    pub fn relationship(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| {
            field
                .relationship
                .as_deref()
                .is_some_and(|r| r.eq_ignore_ascii_case(name))
        })
    }

    /// Number of records, deleted ones included.
    pub fn len(&self) -> u32 {
        let generated = self.generated.as_ref().map_or(0, |(c, _)| c.count());
        self.rows.len() as u32 + generated
    }

    /// The value of a field in a record.
    pub fn cell(&self, row: u32, field: usize) -> Cow<'_, Cell> {
        match self.rows.get(row as usize) {
            Some(cells) => Cow::Borrowed(&cells[field]),
            None => match &self.generated {
                Some((contacts, columns)) => {
                    Cow::Owned(contacts.cell(row - self.rows.len() as u32, columns[field]))
                }
                None => Cow::Owned(Cell::Null),
            },
        }
    }

    /// The 18-character id of a record.
    pub fn id(&self, row: u32) -> String {
        match self.cell(row, self.id_field).as_ref() {
            Cell::Text(id) => id.to_string(),
            _ => String::new(),
        }
    }

    /// Whether a record is in the recycle bin.
    pub fn is_deleted(&self, row: u32) -> bool {
        let stored = (row as usize) < self.rows.len();
        stored
            && self
                .deleted_field
                .is_some_and(|field| *self.cell(row, field) == Cell::Bool(true))
    }

    /// The record with an 18-character id.
    pub fn find(&self, id18: &str) -> Option<u32> {
        if let Some(row) = self.row_of_id.get(id18) {
            return Some(*row);
        }
        let (contacts, _) = self.generated.as_ref()?;
        let number = id::number(self.key_prefix.as_deref()?, id18)?;
        Some(self.rows.len() as u32 + contacts.index_of(number)?)
    }
}

/// All objects.
pub struct Store {
    objects: Vec<SObject>,
    by_name: HashMap<String, usize>,
    by_prefix: HashMap<String, usize>,
}

impl Store {
    /// Indexes the objects by name and by key prefix.
    pub fn new(objects: Vec<SObject>) -> Self {
        let by_name = objects
            .iter()
            .enumerate()
            .map(|(place, object)| (object.name.to_ascii_lowercase(), place))
            .collect();
        let by_prefix = objects
            .iter()
            .enumerate()
            .filter_map(|(place, object)| Some((object.key_prefix.clone()?, place)))
            .collect();
        Self {
            objects,
            by_name,
            by_prefix,
        }
    }

    /// The objects in describeGlobal's order.
    pub fn objects(&self) -> &[SObject] {
        &self.objects
    }

    /// The object at a place.
    pub fn object(&self, place: usize) -> &SObject {
        &self.objects[place]
    }

    /// The place of an object, by name without regard to case.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.by_name.get(&name.to_ascii_lowercase()).copied()
    }

    /// An object by name, without regard to case.
    pub fn by_name(&self, name: &str) -> Option<&SObject> {
        self.place(name).map(|place| &self.objects[place])
    }

    /// Object and record behind an id of any object.
    pub fn locate(&self, id18: &str) -> Option<(usize, u32)> {
        let place = *self.by_prefix.get(id18.get(..3)?)?;
        Some((place, self.objects[place].find(id18)?))
    }
}
