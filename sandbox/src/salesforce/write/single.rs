//! One record by its address: create, change, delete, and upsert by an external id.
//! Section 8.1 of the protocol page.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Operation, Options, Outcome, apply, key_field, refusal};
use crate::input::{Input, Record};
use crate::request::Request;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::id;
use crate::salesforce::store::{Cell, Store};

/// Upserts answer with a body since this version.
const UPSERT_BODY_SINCE: u32 = 46;

/// The fields in a body.
///
/// # Errors
/// `JSON_PARSER_ERROR` for anything but an object, `INVALID_FIELD` when it names the record's own key.
fn body(request: &Request, own: &str) -> Result<Record, ApiError> {
    let record: Record = serde_json::from_slice(&request.body)
        .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
    for name in ["Id", own] {
        if record.get(name).is_some() {
            return Err(ApiError {
                fields: vec![name.to_owned()],
                ..ApiError::bad(
                    "INVALID_FIELD",
                    format!("The {name} field should not be specified in the sobject data."),
                )
            });
        }
    }
    Ok(record)
}

fn done(outcome: Outcome) -> Result<String, ApiError> {
    match outcome.errors.is_empty() {
        true => Ok(outcome.id.unwrap_or_default()),
        false => Err(refusal(&outcome.errors)),
    }
}

/// `POST {V}/sobjects/{Object}`: 201 with the new id.
///
/// # Errors
/// 404 for an unknown object, else what refuses the record.
pub fn create(
    store: &mut Store,
    name: &str,
    version: &str,
    request: &Request,
    options: &Options,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let record = body(request, "Id")?;
    let id = done(apply(store, &Operation::Create, place, &record, options))?;
    let name = &store.object(place).name;
    Ok(Reply::json(
        201,
        json!({"id": id, "success": true, "errors": []}).to_string(),
    )
    .header(
        "Location",
        format!("/services/data/v{version}/sobjects/{name}/{id}"),
    ))
}

/// `PATCH` and `DELETE {V}/sobjects/{Object}/{id}`: 204 without a body.
///
/// # Errors
/// 404 for an unknown object or record, 412 for a record changed since `If-Unmodified-Since`, else what
/// refuses the record.
pub fn change(
    store: &mut Store,
    name: &str,
    text: &str,
    request: &Request,
    options: &Options,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let object = store.object(place);
    let id18 = id::normalise(text).ok_or_else(|| no_key(text))?;
    let row = object.find(&id18).ok_or_else(ApiError::not_found)?;
    let since = request
        .header("if-unmodified-since")
        .and_then(|since| DateTime::parse_from_rfc2822(since).ok());
    if let Some(since) = since
        && let Some(field) = object.field("LastModifiedDate")
        && let Cell::Text(modified) = object.cell(row, field).as_ref()
        && let Some(modified) = super::value::moment(&modified.replace("+0000", "Z"))
        && modified > since.with_timezone(&Utc)
    {
        return Err(ApiError::new(
            412,
            "PRECONDITION_FAILED",
            "The record was modified since the time given",
        ));
    }
    let (operation, mut record) = match request.method.as_str() {
        "DELETE" => (Operation::Delete, Record::default()),
        _ => (Operation::Update, body(request, "Id")?),
    };
    record.0.push(("Id".to_owned(), Input::Text(id18)));
    done(apply(store, &operation, place, &record, options))?;
    Ok(Reply::bare(204))
}

fn no_key(name: &str) -> ApiError {
    ApiError::new(
        404,
        "NOT_FOUND",
        format!("Provided external ID field does not exist or is not accessible: {name}"),
    )
}

/// `PATCH {V}/sobjects/{Object}/{Field}/{value}[?updateOnly=true]`: 201 created, 200 changed, 300 with the
/// addresses of the records when several have that value.
///
/// # Errors
/// 404 for an unknown object or a field that is no key, or with `updateOnly` for a value no record has;
/// else what refuses the record.
pub fn upsert(
    store: &mut Store,
    name: &str,
    key: (&str, &str),
    version: &str,
    request: &Request,
    options: &Options,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let object = store.object(place);
    if key.0.eq_ignore_ascii_case("Id") {
        return change(store, name, key.1, request, options);
    }
    let field = key_field(object, key.0).map_err(|_| no_key(key.0))?;
    let field = object.fields[field].name.clone();
    let mut record = body(request, &field)?;
    record
        .0
        .push((field.clone(), Input::Text(key.1.to_owned())));
    let options = Options {
        update_only: request
            .parameter("updateOnly")
            .is_some_and(|flag| flag.eq_ignore_ascii_case("true")),
        ..*options
    };
    let outcome = apply(store, &Operation::Upsert(field), place, &record, &options);
    if !outcome.candidates.is_empty() {
        let name = &store.object(place).name;
        let addresses: Vec<Value> = outcome
            .candidates
            .iter()
            .map(|id| format!("/services/data/v{version}/sobjects/{name}/{id}").into())
            .collect();
        return Ok(Reply::json(300, Value::Array(addresses).to_string()));
    }
    let created = outcome.created;
    let id = done(outcome)?;
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(u32::MAX);
    if !created && major < UPSERT_BODY_SINCE {
        return Ok(Reply::bare(204));
    }
    let mut answer = json!({"id": id, "success": true, "errors": []});
    if major >= UPSERT_BODY_SINCE {
        answer["created"] = created.into();
    }
    let status = if created { 201 } else { 200 };
    Ok(Reply::json(status, answer.to_string()))
}
