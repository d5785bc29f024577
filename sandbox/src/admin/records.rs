//! The part of the admin interface that looks at records and writes around the API: counts, searches,
//! record errors on demand, the clock, bulk changes.

use serde::Deserialize;
use serde_json::json;

use super::parse;
use crate::request::Request;
use crate::salesforce::Salesforce;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::store::{Cell, SObject};
use crate::salesforce::write::rules::RecordRule;

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
        ("POST", "/records") => salesforce
            .change(parse(&request.body)?)
            .map(|made| Reply::ok(&made)),
        ("POST", "/commit") => salesforce.commit().map(|made| Reply::ok(&made)),
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
