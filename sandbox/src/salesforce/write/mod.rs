//! Writing one record: every way in (one record by its address, collections, bulk jobs) ends in [`apply`].
//! Values are checked against the description, lookups against the records, and the server's own fields
//! are stamped. Section 8 of the protocol page.

pub mod behind;
pub mod collections;
mod derive;
pub mod single;
pub mod value;

use super::errors::ApiError;
use super::id;
use super::organisation::user_id;
use super::rows::{Gone, Values};
use super::store::{Cell, Field, Kind, SObject, Store};
use crate::generate::instant;
use crate::input::{Input, Record};

/// Names of people and things that begin so are refused: this organisation's one validation rule.
pub const REFUSED: &str = "Refused";

/// What is to happen to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    Create,
    /// The record's `Id` says which.
    Update,
    /// The value of this field says which; without a match the record is created.
    Upsert(String),
    /// Into the recycle bin; the record's `Id` says which.
    Delete,
    /// Away for good.
    HardDelete,
}

/// Who writes, when and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Place in [`super::organisation::USERS`].
    pub user: usize,
    /// The stamp, in seconds since 1970.
    pub at: i64,
    /// Numbers and truth values come as text, as in a CSV upload.
    pub text_values: bool,
    /// `Sforce-Duplicate-Rule-Header: allowSave=true`.
    pub allow_save: bool,
    /// An upsert that finds nothing is an error.
    pub update_only: bool,
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// `statusCode` in collections, `errorCode` for a single record.
    pub code: String,
    pub message: String,
    pub fields: Vec<String>,
}

impl RowError {
    /// An error about no field.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// An error about a field.
    pub fn on(field: &Field, code: &str, message: impl Into<String>) -> Self {
        Self {
            fields: vec![field.name.clone()],
            ..Self::new(code, message)
        }
    }
}

/// How one record fared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The record's id; known for some refused ones as well.
    pub id: Option<String>,
    pub created: bool,
    /// Several records hold an upsert's key: their ids.
    pub candidates: Vec<String>,
    /// Empty means the record is written.
    pub errors: Vec<RowError>,
}

impl Outcome {
    /// A refused record.
    pub fn refused(errors: Vec<RowError>) -> Self {
        Self {
            errors,
            ..Self::default()
        }
    }
}

/// Writes one record of the object at `place`; on any error nothing is changed.
pub fn apply(
    store: &mut Store,
    operation: &Operation,
    place: usize,
    record: &Record,
    options: &Options,
) -> Outcome {
    let written = match operation {
        Operation::Create => create(store, place, record, options),
        Operation::Update => known(store, place, record)
            .and_then(|row| update(store, place, row, record, None, options)),
        Operation::Upsert(key) => upsert(store, place, key, record, options),
        Operation::Delete => delete(store, place, record, Gone::Bin, options),
        Operation::HardDelete => delete(store, place, record, Gone::Erased, options),
    };
    written.unwrap_or_else(Outcome::refused)
}

/// The record an `Id` names.
fn known(store: &Store, place: usize, record: &Record) -> Result<u32, Vec<RowError>> {
    let object = store.object(place);
    let text = match record.get("Id") {
        Some(Input::Text(text)) => text.as_str(),
        Some(Input::Null) | None => {
            return Err(vec![RowError::new(
                "MISSING_ARGUMENT",
                "Id not specified in an update call",
            )]);
        }
        Some(other) => other.text(),
    };
    let Some(id18) = id::normalise(text) else {
        return Err(vec![RowError::new(
            "MALFORMED_ID",
            format!("malformed id {text}"),
        )]);
    };
    let unknown = || {
        vec![RowError::new(
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        )]
    };
    let row = object.find(&id18).ok_or_else(unknown)?;
    match object.rows().gone(row) {
        None => Ok(row),
        Some(_) => Err(vec![RowError::new(
            "ENTITY_IS_DELETED",
            "entity is deleted",
        )]),
    }
}

fn create(
    store: &mut Store,
    place: usize,
    record: &Record,
    options: &Options,
) -> Result<Outcome, Vec<RowError>> {
    let object = store.object(place);
    if object.global["createable"] != true {
        return Err(vec![cannot(object, "inserted")]);
    }
    if record.get("Id").is_some_and(|id| *id != Input::Null) {
        return Err(vec![RowError {
            fields: vec!["Id".to_owned()],
            ..RowError::new(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                "cannot specify Id in an insert call",
            )
        }]);
    }
    let values = assigned(store, place, record, options, |field| field.createable)?;
    struck(store, place, record, options)?;
    let object = store.object(place);
    let mut cells = fresh(store, object, options);
    for (field, cell) in &values {
        cells[*field] = cell.clone();
    }
    let missing: Vec<String> = object
        .fields
        .iter()
        .zip(&cells)
        .filter(|(field, cell)| field.is_required() && **cell == Cell::Null)
        .map(|(field, _)| field.name.clone())
        .collect();
    if !missing.is_empty() {
        return Err(vec![RowError {
            code: "REQUIRED_FIELD_MISSING".to_owned(),
            message: format!("Required fields are missing: [{}]", missing.join(", ")),
            fields: missing,
        }]);
    }
    permitted(store, place, None, &values)?;
    for (field, cell) in derive::computed(object, &values, |field| cells[field].clone()) {
        cells[field] = cell;
    }
    let id = store
        .next_id(place)
        .ok_or_else(|| vec![cannot(store.object(place), "inserted")])?;
    let object = store.object(place);
    for (name, cell) in stamps(options, true) {
        if let Some(field) = object.field(name) {
            cells[field] = cell;
        }
    }
    if let Some(field) = object.field("Id") {
        cells[field] = Cell::text(&id);
    }
    for (at, field) in object.fields.iter().enumerate() {
        if field.auto_number {
            cells[at] = Cell::text(format!("A-{}", object.len() + 1));
        }
    }
    store.create(place, cells);
    store.written.created += 1;
    Ok(Outcome {
        id: Some(id),
        created: true,
        ..Outcome::default()
    })
}

fn update(
    store: &mut Store,
    place: usize,
    row: u32,
    record: &Record,
    key: Option<usize>,
    options: &Options,
) -> Result<Outcome, Vec<RowError>> {
    let object = store.object(place);
    if object.global["updateable"] != true {
        return Err(vec![cannot(object, "updated")]);
    }
    let mut values = assigned(store, place, record, options, |field| field.updateable)?;
    // The key of an upsert is what the record has already.
    values.retain(|(field, _)| Some(*field) != key);
    struck(store, place, record, options)?;
    let object = store.object(place);
    let emptied: Vec<String> = values
        .iter()
        .map(|(field, cell)| (&object.fields[*field], cell))
        .filter(|(field, cell)| !field.nillable && **cell == Cell::Null)
        .map(|(field, _)| field.name.clone())
        .collect();
    if !emptied.is_empty() {
        return Err(vec![RowError {
            code: "REQUIRED_FIELD_MISSING".to_owned(),
            message: format!("Required fields are missing: [{}]", emptied.join(", ")),
            fields: emptied,
        }]);
    }
    permitted(store, place, Some(row), &values)?;
    let id = object.id(row);
    let computed = derive::computed(object, &values, |field| {
        object.cell(row, field).into_owned()
    });
    values.extend(computed);
    touch(object, &mut values, options);
    store.set(place, row, values);
    store.written.updated += 1;
    Ok(Outcome {
        id: Some(id),
        ..Outcome::default()
    })
}

fn upsert(
    store: &mut Store,
    place: usize,
    key: &str,
    record: &Record,
    options: &Options,
) -> Result<Outcome, Vec<RowError>> {
    let object = store.object(place);
    if key.eq_ignore_ascii_case("Id") {
        return match record.get("Id") {
            None | Some(Input::Null) => create(store, place, record, options),
            Some(_) => known(store, place, record)
                .and_then(|row| update(store, place, row, record, None, options)),
        };
    }
    let field = key_field(object, key).map_err(|error| vec![error])?;
    let described = &object.fields[field];
    let missing = || {
        vec![RowError::on(
            described,
            "MISSING_ARGUMENT",
            format!("{} not specified", described.name),
        )]
    };
    let given = record.get(&described.name).ok_or_else(missing)?;
    let wanted = match value::read(described, given, options.text_values) {
        Ok(Cell::Text(text) | Cell::Number(text)) => text.to_string(),
        Ok(_) => return Err(missing()),
        Err(error) => return Err(vec![error]),
    };
    let matches = object.holding(field, &wanted);
    let mut outcome = match matches.as_slice() {
        [] if options.update_only => {
            return Err(vec![RowError::new(
                "NOT_FOUND",
                "The requested resource does not exist",
            )]);
        }
        [] => create(store, place, record, options)?,
        [row] => update(store, place, *row, record, Some(field), options)?,
        several => {
            let ids: Vec<String> = several.iter().map(|&row| object.id(row)).collect();
            let error = RowError::on(
                described,
                "DUPLICATE_EXTERNAL_ID",
                format!(
                    "{}: more than one record found for external id field: [{}]",
                    described.name,
                    ids.join(", ")
                ),
            );
            return Ok(Outcome {
                candidates: ids,
                ..Outcome::refused(vec![error])
            });
        }
    };
    outcome.candidates.clear();
    store.written.upserted += 1;
    Ok(outcome)
}

/// A field that upserts may go by.
///
/// # Errors
/// `INVALID_FIELD` for any other.
pub fn key_field(object: &SObject, name: &str) -> Result<usize, RowError> {
    object
        .field(name)
        .filter(|&place| object.fields[place].external_id || object.fields[place].id_lookup)
        .ok_or_else(|| {
            RowError::new(
                "INVALID_FIELD",
                format!(
                    "Field name provided, {name} does not match an External ID, Salesforce Id, or indexed field for {}",
                    object.name
                ),
            )
        })
}

fn delete(
    store: &mut Store,
    place: usize,
    record: &Record,
    gone: Gone,
    options: &Options,
) -> Result<Outcome, Vec<RowError>> {
    let object = store.object(place);
    if object.global["deletable"] != true {
        return Err(vec![cannot(object, "deleted")]);
    }
    let row = match (known(store, place, record), gone) {
        (Err(errors), Gone::Erased) if errors[0].code == "ENTITY_IS_DELETED" => {
            in_bin(store, place, record).ok_or(errors)?
        }
        (row, _) => row?,
    };
    struck(store, place, record, options)?;
    let object = store.object(place);
    let id = object.id(row);
    let mut values = Values::new();
    touch(object, &mut values, options);
    store.set(place, row, values);
    store.set_gone(place, row, Some(gone), options.at);
    store.written.deleted += 1;
    Ok(Outcome {
        id: Some(id),
        ..Outcome::default()
    })
}

/// Hard deletion reaches into the recycle bin.
fn in_bin(store: &Store, place: usize, record: &Record) -> Option<u32> {
    store
        .object(place)
        .find(&id::normalise(record.get("Id")?.text())?)
}

fn cannot(object: &SObject, what: &str) -> RowError {
    RowError::new(
        "INVALID_TYPE_FOR_OPERATION",
        format!("entity type cannot be {what}: {}", object.name),
    )
}

/// A record rule that strikes stands before the checks, as a lock does.
fn struck(
    store: &mut Store,
    place: usize,
    record: &Record,
    options: &Options,
) -> Result<(), Vec<RowError>> {
    let name = store.object(place).name.clone();
    // A duplicate that the caller allows to be saved is no error (section 8.4).
    let struck = store.rules.strike(&name, |rule| {
        !(options.allow_save && rule.code == "DUPLICATES_DETECTED")
            && record
                .get(&rule.field)
                .is_some_and(|v| v.text() == rule.value)
    });
    let Some(rule) = struck else {
        return Ok(());
    };
    let usual = match rule.code.as_str() {
        "UNABLE_TO_LOCK_ROW" => "unable to obtain exclusive access to this record",
        "DUPLICATES_DETECTED" => "Use one of these records?",
        _ => "refused on demand",
    };
    Err(vec![RowError {
        message: rule.message.unwrap_or_else(|| usual.to_owned()),
        code: rule.code,
        fields: rule.fields,
    }])
}

/// The values a record assigns, read and with lookups followed.
fn assigned(
    store: &Store,
    place: usize,
    record: &Record,
    options: &Options,
    writable: impl Fn(&Field) -> bool,
) -> Result<Values, Vec<RowError>> {
    let object = store.object(place);
    let mut values = Values::new();
    let mut errors = Vec::new();
    let mut closed: Vec<&str> = Vec::new();
    for (name, input) in &record.0 {
        if name == "attributes" || name.eq_ignore_ascii_case("Id") {
            continue;
        }
        let unknown = || {
            vec![RowError::new(
                "INVALID_FIELD",
                format!("No such column '{name}' on sobject of type {}", object.name),
            )]
        };
        if let (Input::Object(parent), Some(lookup)) = (input, object.relationship(name)) {
            let field = &object.fields[lookup];
            match writable(field) {
                true => match parent_by_key(store, field, parent) {
                    Ok(id) => values.push((lookup, Cell::text(id))),
                    Err(error) => errors.push(error),
                },
                false => closed.push(&field.name),
            }
            continue;
        }
        let at = object.field(name).ok_or_else(unknown)?;
        let field = &object.fields[at];
        if !writable(field) {
            closed.push(&field.name);
            continue;
        }
        let read = value::read(field, input, options.text_values)
            .and_then(|cell| referring(store, field, cell));
        match read {
            Ok(cell) => values.push((at, cell)),
            Err(error) => errors.push(error),
        }
    }
    if !closed.is_empty() {
        return Err(vec![RowError {
            fields: closed.iter().map(|name| (*name).to_owned()).collect(),
            ..RowError::new(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                format!(
                    "Unable to create/update fields: {}. Please check the security settings of this field and verify that it is read/write for your profile or permission set.",
                    closed.join(", ")
                ),
            )
        }]);
    }
    match errors.is_empty() {
        true => Ok(values),
        false => Err(errors),
    }
}

/// A lookup must lead to a record of an object it may lead to.
fn referring(store: &Store, field: &Field, cell: Cell) -> Result<Cell, RowError> {
    let Cell::Text(target) = &cell else {
        return Ok(cell);
    };
    if field.kind != Kind::Id || field.reference_to.is_empty() {
        return Ok(cell);
    }
    let bad = || {
        RowError::on(
            field,
            "INVALID_CROSS_REFERENCE_KEY",
            "invalid cross reference id",
        )
    };
    let (place, row) = store.locate(target).ok_or_else(bad)?;
    let object = store.object(place);
    if !field.reference_to.contains(&object.name) {
        return Err(bad());
    }
    match object.is_visible(row, false) {
        true => Ok(cell),
        false => Err(RowError::on(
            field,
            "ENTITY_IS_DELETED",
            "entity is deleted",
        )),
    }
}

/// The id of a parent named by its external id: `"Account": {"ExternalKey__c": "42"}`.
fn parent_by_key(store: &Store, lookup: &Field, parent: &Record) -> Result<String, RowError> {
    let name = parent
        .object_type()
        .or_else(|| lookup.reference_to.first().map(String::as_str))
        .unwrap_or_default();
    let keys: Vec<&(String, Input)> = parent
        .0
        .iter()
        .filter(|(key, _)| key != "attributes" && key != "type")
        .collect();
    let object = store
        .by_name(name)
        .filter(|object| lookup.reference_to.contains(&object.name));
    let (Some(object), [(key, value)]) = (object, keys.as_slice()) else {
        return Err(RowError::on(
            lookup,
            "INVALID_FIELD",
            format!(
                "More than 1 field provided in an external foreign key reference in entity: {name}"
            ),
        ));
    };
    let field = key_field(object, key)?;
    match object.holding(field, value.text()).as_slice() {
        [row] => Ok(object.id(*row)),
        _ => Err(RowError::new(
            "INVALID_FIELD",
            format!(
                "Foreign key external ID: {} not found for field {} in entity {}",
                value.text(),
                object.fields[field].name,
                object.name
            ),
        )),
    }
}

/// The validation rule, and fields no two records may share.
fn permitted(
    store: &Store,
    place: usize,
    row: Option<u32>,
    values: &Values,
) -> Result<(), Vec<RowError>> {
    let object = store.object(place);
    for (at, cell) in values {
        let field = &object.fields[*at];
        let Cell::Text(text) = cell else { continue };
        if matches!(field.name.as_str(), "Name" | "LastName") && text.starts_with(REFUSED) {
            return Err(vec![RowError::on(
                field,
                "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                format!("A name must not begin with {REFUSED}"),
            )]);
        }
        if !field.unique {
            continue;
        }
        if let Some(other) = object
            .holding(*at, text)
            .into_iter()
            .find(|other| Some(*other) != row)
        {
            return Err(vec![RowError::new(
                "DUPLICATE_VALUE",
                format!(
                    "duplicate value found: {} duplicates value on record with id: {}",
                    field.name,
                    &object.id(other)[..15]
                ),
            )]);
        }
    }
    Ok(())
}

/// A new record before its values: what the server supplies by itself.
fn fresh(store: &Store, object: &SObject, options: &Options) -> Vec<Cell> {
    object
        .fields
        .iter()
        .map(|field| match field.kind {
            Kind::Bool => Cell::Bool(false),
            _ if !field.defaulted || field.nillable || !field.createable => Cell::Null,
            Kind::Id => match field.reference_to.first().map(String::as_str) {
                Some("User") => Cell::text(user_id(options.user)),
                Some(target) => store
                    .by_name(target)
                    .filter(|target| target.len() > 0)
                    .map_or(Cell::Null, |target| Cell::text(target.id(0))),
                None => Cell::Null,
            },
            _ => Cell::Null,
        })
        .collect()
}

/// The server's own fields of a write.
fn stamps(options: &Options, create: bool) -> Vec<(&'static str, Cell)> {
    let at = || Cell::text(instant(options.at));
    let by = || Cell::text(user_id(options.user));
    let mut stamps = vec![
        ("LastModifiedDate", at()),
        ("LastModifiedById", by()),
        ("SystemModstamp", at()),
    ];
    if create {
        stamps.extend([("CreatedDate", at()), ("CreatedById", by())]);
    }
    stamps
}

fn touch(object: &SObject, values: &mut Values, options: &Options) {
    for (name, cell) in stamps(options, false) {
        if let Some(field) = object.field(name) {
            values.push((field, cell));
        }
    }
}

/// The refusal of a single record as a whole answer (section 8.5).
pub fn refusal(errors: &[RowError]) -> ApiError {
    let first = errors.first();
    let code = first.map_or("UNKNOWN_EXCEPTION", |error| error.code.as_str());
    // A lookup to a deleted record is a bad value; only the record itself can be missing.
    let status = match code {
        "NOT_FOUND" => 404,
        "ENTITY_IS_DELETED" if first.is_some_and(|error| error.fields.is_empty()) => 404,
        _ => 400,
    };
    ApiError {
        status,
        code: code.to_owned(),
        message: first.map(|error| error.message.clone()).unwrap_or_default(),
        fields: first.map(|error| error.fields.clone()).unwrap_or_default(),
    }
}
