//! The objects of the organisation: their fields as described, their records, and lookups by name and id.
//! Values are kept in the letters they have on the wire, so that `300.0` never becomes `300`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use super::clock::Clock;
use super::rows::{Gone, Rows, Values};
use crate::generate::Contacts;
use crate::record_rules::RecordRules;

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
    pub label: String,
    /// `type` as described.
    pub remote_type: String,
    pub kind: Kind,
    pub createable: bool,
    pub updateable: bool,
    pub nillable: bool,
    /// The server supplies a value when a record is created without one.
    pub defaulted: bool,
    pub external_id: bool,
    pub id_lookup: bool,
    pub unique: bool,
    pub auto_number: bool,
    /// Other values than those of the picklist are refused.
    pub restricted: bool,
    /// Digits before the point, for numbers that have such a limit.
    pub whole_digits: Option<u64>,
    /// The compound field this one is a part of.
    pub compound: Option<String>,
    pub filterable: bool,
    pub sortable: bool,
    pub groupable: bool,
    pub aggregatable: bool,
    pub case_sensitive: bool,
    /// Characters; 0 for types without a length.
    pub length: u64,
    /// Position of each picklist value in the definition, with its label.
    pub picklist: HashMap<String, (usize, String)>,
    /// Picklist values that records may hold but not newly get.
    pub inactive: HashSet<String>,
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
        let number = |name: &str| field[name].as_u64().unwrap_or(0);
        let whole_digits = match remote_type.as_str() {
            "int" => Some(number("digits")),
            _ => number("precision").checked_sub(number("scale")),
        };
        let name = field["name"].as_str()?.to_owned();
        Some(Self {
            label: field["label"].as_str().unwrap_or(&name).to_owned(),
            kind: kind_of(&remote_type),
            remote_type,
            createable: flag("createable"),
            updateable: flag("updateable"),
            nillable: flag("nillable"),
            defaulted: flag("defaultedOnCreate"),
            external_id: flag("externalId"),
            id_lookup: flag("idLookup"),
            unique: flag("unique"),
            auto_number: flag("autoNumber"),
            restricted: flag("restrictedPicklist"),
            whole_digits: whole_digits.filter(|digits| *digits > 0),
            compound: field["compoundFieldName"]
                .as_str()
                .filter(|compound| *compound != name)
                .map(str::to_owned),
            inactive: field["picklistValues"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|value| value["active"] == false)
                .filter_map(|value| value["value"].as_str().map(str::to_owned))
                .collect(),
            name,
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

    /// Can name a record instead of its id (section 3.2, upsert keys).
    pub fn is_key(&self) -> bool {
        self.external_id || self.id_lookup || self.unique
    }

    /// Must be given when a record is created.
    pub fn is_required(&self) -> bool {
        self.createable && !self.nillable && !self.defaulted
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
    rows: Rows,
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
        let deleted_field = names.get("IsDeleted").copied();
        Self {
            name: describe["name"].as_str().unwrap_or_default().to_owned(),
            key_prefix: describe["keyPrefix"].as_str().map(str::to_owned),
            queryable: global["queryable"].as_bool().unwrap_or(true),
            needs_filter: false,
            describe: describe.to_string(),
            global,
            names,
            folded,
            rows: Rows::new(rows, &fields, id_field, deleted_field),
            fields,
        }
    }

    /// Adds records that are computed from their number instead of being kept.
    pub fn generate(&mut self, contacts: Contacts) {
        self.rows.generate(contacts, &self.fields);
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

    /// The records.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Number of records, deleted ones included.
    pub fn len(&self) -> u32 {
        self.rows.len()
    }

    /// The value of a field in a record.
    pub fn cell(&self, row: u32, field: usize) -> Cow<'_, Cell> {
        self.rows.cell(row, field)
    }

    /// The 18-character id of a record.
    pub fn id(&self, row: u32) -> String {
        self.rows.id(row)
    }

    /// Whether a query meets a record; `all` is queryAll.
    pub fn is_visible(&self, row: u32, all: bool) -> bool {
        self.rows.is_visible(row, all)
    }

    /// The record with an 18-character id, deleted or not, unless removed for good.
    pub fn find(&self, id18: &str) -> Option<u32> {
        self.rows
            .find(self.key_prefix.as_deref(), id18)
            .filter(|&row| self.rows.gone(row) != Some(Gone::Erased))
    }

    /// Records outside the recycle bin whose field holds a value.
    pub fn holding(&self, field: usize, value: &str) -> Vec<u32> {
        self.rows.holding(field, &self.fields[field], value)
    }
}

/// All objects.
pub struct Store {
    objects: Vec<SObject>,
    by_name: HashMap<String, usize>,
    by_prefix: HashMap<String, usize>,
    deletions: Vec<Deletion>,
    transactions: u32,
    undo: Vec<Undo>,
    /// What stamps and date literals are made from.
    pub clock: Arc<Clock>,
    /// Record errors on demand.
    pub rules: RecordRules,
    /// Records written so far.
    pub written: Written,
}

/// An entry of the deletion log.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// Place of the object.
    pub object: usize,
    pub row: u32,
    /// Seconds since 1970.
    pub at: i64,
}

/// How many records calls have written; what was rolled back does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Of the created and updated ones, those that came by upsert.
    pub upserted: u64,
}

/// How a change is taken back.
enum Undo {
    Create(usize, u32),
    Set(usize, u32, Values),
    Move(usize, u32, Option<Gone>),
    Log,
}

/// A point a transaction can go back to.
pub struct Mark {
    undo: usize,
    written: Written,
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
            deletions: Vec::new(),
            transactions: 0,
            undo: Vec::new(),
            clock: Arc::default(),
            rules: RecordRules::default(),
            written: Written::default(),
        }
    }

    /// The day date literals go by.
    pub fn today(&self) -> NaiveDate {
        self.clock.today()
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

    /// The place of the object an id's prefix belongs to.
    pub fn place_of(&self, id18: &str) -> Option<usize> {
        self.by_prefix.get(id18.get(..3)?).copied()
    }

    /// Object and record behind an id of any object.
    pub fn locate(&self, id18: &str) -> Option<(usize, u32)> {
        let place = self.place_of(id18)?;
        Some((place, self.objects[place].find(id18)?))
    }

    /// Adds a record and returns its row number.
    pub fn create(&mut self, object: usize, cells: Vec<Cell>) -> u32 {
        let described = &mut self.objects[object];
        let row = described.rows.create(cells, &described.fields);
        self.note(Undo::Create(object, row));
        row
    }

    /// A new id for a record of an object; `None` for objects whose records have none.
    pub fn next_id(&mut self, object: usize) -> Option<String> {
        let described = &mut self.objects[object];
        let prefix = described.key_prefix.as_deref()?;
        Some(described.rows.next_id(prefix))
    }

    /// Sets values of a record.
    pub fn set(&mut self, object: usize, row: u32, values: Values) {
        let described = &mut self.objects[object];
        let before = described.rows.set(row, values, &described.fields);
        self.note(Undo::Set(object, row, before));
    }

    /// Moves a record into the recycle bin, out of it, or away; the bin and the log remember since when.
    pub fn set_gone(&mut self, object: usize, row: u32, gone: Option<Gone>, at: i64) {
        let described = &mut self.objects[object];
        let before = described.rows.set_gone(row, gone);
        if let Some(place) = described.field("IsDeleted") {
            let flag = Cell::Bool(gone.is_some());
            let values = described
                .rows
                .set(row, vec![(place, flag)], &described.fields);
            self.note(Undo::Set(object, row, values));
        }
        self.note(Undo::Move(object, row, before));
        match gone {
            Some(_) if before.is_none() => {
                self.deletions.push(Deletion { object, row, at });
                self.note(Undo::Log);
            }
            Some(_) => {}
            None => self
                .deletions
                .retain(|entry| (entry.object, entry.row) != (object, row)),
        }
    }

    /// Dates the records: changes with every write.
    pub fn edition(&self) -> usize {
        self.objects.iter().map(|o| o.rows.touched().len()).sum()
    }

    /// The deletion log, oldest entry first.
    pub fn deletions(&self) -> &[Deletion] {
        &self.deletions
    }

    /// Starts a transaction, or a part of the one that runs; [`Self::end`] must follow.
    pub fn begin(&mut self) -> Mark {
        self.transactions += 1;
        Mark {
            undo: self.undo.len(),
            written: self.written,
        }
    }

    /// Ends what [`Self::begin`] started; `keep` false takes every change since then back.
    pub fn end(&mut self, mark: &Mark, keep: bool) {
        self.transactions -= 1;
        if !keep {
            self.written = mark.written;
            for step in self.undo.split_off(mark.undo).into_iter().rev() {
                self.take_back(step);
            }
        }
        if self.transactions == 0 {
            self.undo.clear();
        }
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Create(object, row) => self.objects[object].rows.uncreate(row),
            Undo::Set(object, row, values) => {
                let described = &mut self.objects[object];
                described.rows.set(row, values, &described.fields);
            }
            Undo::Move(object, row, gone) => {
                self.objects[object].rows.set_gone(row, gone);
            }
            Undo::Log => {
                self.deletions.pop();
            }
        }
    }

    fn note(&mut self, step: Undo) {
        if self.transactions > 0 {
            self.undo.push(step);
        }
    }
}
