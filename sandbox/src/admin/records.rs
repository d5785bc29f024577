//! The part of the admin interface that looks at records and writes around the API: counts, searches,
//! record errors on demand, the clock, removal for good.

use serde::Deserialize;
use serde_json::{Value, json};

use super::parse;
use crate::request::Request;
use crate::salesforce::Salesforce;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::store::{Cell, SObject};
use crate::salesforce::write::input::{Input, Record};
use crate::salesforce::write::rules::RecordRule;
use crate::salesforce::write::{self, Operation, Options};

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<RecordRule>),
    One(Box<RecordRule>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    offset_s: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ids {
    object: String,
    ids: Vec<String>,
}

/// Answers what the rest of the admin interface does not know.
///
/// # Errors
/// 404 for an unknown call or object, 400 for a body that does not fit.
pub fn route(salesforce: &Salesforce, request: &Request, path: &str) -> Result<Reply, ApiError> {
    match (request.method.as_str(), path) {
        ("GET", "/record_count") => record_count(salesforce, request),
        ("GET", "/find") => find(salesforce, request),
        ("POST", "/record_rules") => {
            let mut store = salesforce.records_mut();
            match parse(&request.body)? {
                OneOrMany::One(rule) => store.rules.add(*rule),
                OneOrMany::Many(rules) => rules.into_iter().for_each(|r| store.rules.add(r)),
            }
            Ok(Reply::bare(204))
        }
        ("GET", "/record_rules") => Ok(Reply::ok(&json!(salesforce.records().rules.list()))),
        ("DELETE", "/record_rules") => {
            salesforce.records_mut().rules.clear();
            Ok(Reply::bare(204))
        }
        ("GET", "/clock") => Ok(Reply::ok(&json!({
            "now": salesforce.clock.now(), "offset_s": salesforce.clock.offset(),
        }))),
        ("POST", "/clock") => {
            let wanted: Clock = parse(&request.body)?;
            salesforce.clock.set_offset(wanted.offset_s);
            Ok(Reply::bare(204))
        }
        ("POST", "/deletion_log") => {
            salesforce.log.set(parse(&request.body)?);
            Ok(Reply::bare(204))
        }
        ("POST", "/erase") => erase(salesforce, &parse(&request.body)?),
        _ => Err(ApiError::not_found()),
    }
}

fn wanted<'r>(request: &'r Request, name: &str) -> Result<&'r str, ApiError> {
    request
        .parameter(name)
        .ok_or_else(|| ApiError::bad("MISSING_ARGUMENT", format!("{name} is missing")))
}

/// Records outside the recycle bin, in it, and removed for good.
fn record_count(salesforce: &Salesforce, request: &Request) -> Result<Reply, ApiError> {
    let store = salesforce.records();
    let object = store
        .by_name(wanted(request, "object")?)
        .ok_or_else(ApiError::not_found)?;
    let active = (0..object.len()).filter(|&row| object.is_visible(row, false));
    let seen = (0..object.len()).filter(|&row| object.is_visible(row, true));
    let (active, seen) = (active.count() as u64, seen.count() as u64);
    Ok(Reply::ok(&json!({
        "count": active, "deleted": seen - active, "erased": u64::from(object.len()) - seen,
    })))
}

/// Ids of the records outside the recycle bin whose field has a value, letter for letter.
fn find(salesforce: &Salesforce, request: &Request) -> Result<Reply, ApiError> {
    let store = salesforce.records();
    let object = store
        .by_name(wanted(request, "object")?)
        .ok_or_else(ApiError::not_found)?;
    let name = wanted(request, "field")?;
    let field = object
        .field(name)
        .ok_or_else(|| ApiError::bad("INVALID_FIELD", format!("no field {name}")))?;
    let value = wanted(request, "value")?;
    let ids: Vec<String> = (0..object.len())
        .filter(|&row| object.is_visible(row, false) && shows(object, row, field, value))
        .map(|row| object.id(row))
        .collect();
    Ok(Reply::ok(&json!({"ids": ids})))
}

fn shows(object: &SObject, row: u32, field: usize, value: &str) -> bool {
    match object.cell(row, field).as_ref() {
        Cell::Text(text) | Cell::Number(text) | Cell::Object(text) => text.as_ref() == value,
        Cell::Bool(flag) => flag.to_string() == value,
        Cell::Null => value.is_empty(),
        Cell::Blob(_) => false,
    }
}

/// Removes records for good; only the deletion log knows them afterwards.
fn erase(salesforce: &Salesforce, wanted: &Ids) -> Result<Reply, ApiError> {
    let options = Options {
        user: 0,
        at: salesforce.clock.now(),
        text_values: false,
        allow_save: true,
        update_only: false,
    };
    let mut erased: Vec<Value> = Vec::new();
    for id in &wanted.ids {
        let record = Record(vec![("Id".to_owned(), Input::Text(id.clone()))]);
        let outcome =
            salesforce.apply(&Operation::HardDelete, &wanted.object, &record, &options)?;
        if !outcome.errors.is_empty() {
            return Err(write::refusal(&outcome.errors));
        }
        erased.extend(outcome.id.map(Value::from));
    }
    Ok(Reply::ok(&json!({"ids": erased})))
}
