//! Records by id: one by its address, up to 2,000 in one call, and the binary content of a field.
//! Sections 8.1 and 8.2 of the protocol page.

use serde::Deserialize;
use serde_json::Value;

use super::errors::{ApiError, Reply};
use super::id;
use super::soql::eval;
use super::soql::plan::Node;
use super::store::{Cell, SObject, Store};
use crate::request::Request;

/// Most ids of one call.
const MAX_IDS: usize = 2_000;

#[derive(Deserialize)]
struct Wanted {
    ids: Vec<String>,
    fields: Vec<String>,
}

/// `POST {V}/composite/sobjects/{Object}` and its GET form: an array in the order of the ids, null for
/// those that are missing, in the recycle bin or no ids at all.
///
/// # Errors
/// 404 for an unknown object; 400 for a bad body, too many ids or an unknown field.
pub fn many(
    store: &Store,
    name: &str,
    version: &str,
    request: &Request,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let wanted = match request.method.as_str() {
        "POST" => serde_json::from_slice(&request.body)
            .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?,
        "GET" => {
            let list = |name: &str| {
                let text = request.parameter(name).unwrap_or_default();
                let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
                parts.map(str::to_owned).collect()
            };
            Wanted {
                ids: list("ids"),
                fields: list("fields"),
            }
        }
        other => return Err(ApiError::method(other)),
    };
    if wanted.ids.len() > MAX_IDS {
        return Err(ApiError::bad(
            "EXCEEDED_ID_LIMIT",
            format!("record limit reached. cannot retrieve more than {MAX_IDS} records"),
        ));
    }
    if wanted.ids.is_empty() || wanted.fields.is_empty() {
        return Err(ApiError::bad(
            "REQUIRED_FIELD_MISSING",
            "ids and fields are required",
        ));
    }
    let object = store.object(place);
    let nodes = nodes(object, wanted.fields.iter().map(String::as_str))?;
    let mut out = vec![b'['];
    for (at, text) in wanted.ids.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match find(object, text) {
            Some(row) => eval::render(&mut out, store, place, row, &nodes, version),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b']');
    Ok(Reply::json(200, out))
}

/// `GET {V}/sobjects/{Object}/{id}[?fields=A,B]`; without `fields` every field.
///
/// # Errors
/// 404 for an unknown object or record; 400 for an unknown field or a malformed id.
pub fn one(
    store: &Store,
    name: &str,
    text: &str,
    version: &str,
    request: &Request,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let row = row_of(store.object(place), text)?;
    shown(store, place, row, version, request)
}

/// `GET {V}/sobjects/{Object}/{Field}/{value}`, where the field is an external id; `None` where it is not.
pub fn by_key(
    store: &Store,
    name: &str,
    field: &str,
    value: &str,
    version: &str,
    request: &Request,
) -> Option<Result<Reply, ApiError>> {
    let place = store.place(name)?;
    let object = store.object(place);
    let field = object.field(field)?;
    if !object.fields[field].external_id {
        return None;
    }
    Some(match object.holding(field, value).as_slice() {
        [] => Err(ApiError::not_found()),
        [row] => shown(store, place, *row, version, request),
        several => Ok(Reply::json(
            300,
            addresses(object, several, version).to_string(),
        )),
    })
}

/// The addresses of several records, as a 300 lists them.
pub fn addresses(object: &SObject, rows: &[u32], version: &str) -> Value {
    rows.iter()
        .map(|&row| {
            let (name, id) = (&object.name, object.id(row));
            Value::from(format!("/services/data/v{version}/sobjects/{name}/{id}"))
        })
        .collect()
}

fn shown(
    store: &Store,
    place: usize,
    row: u32,
    version: &str,
    request: &Request,
) -> Result<Reply, ApiError> {
    let object = store.object(place);
    let nodes = match request.parameter("fields") {
        Some(list) => nodes(object, list.split(',').map(str::trim))?,
        None => (0..object.fields.len()).map(Node::Field).collect(),
    };
    let mut out = Vec::new();
    eval::render(&mut out, store, place, row, &nodes, version);
    Ok(Reply::json(200, out))
}

/// `GET {V}/sobjects/{Object}/{id}/{Field}`: the bytes of a base64 field.
///
/// # Errors
/// 404 when there is no such object, record, field or content.
pub fn blob(store: &Store, name: &str, text: &str, field: &str) -> Result<Reply, ApiError> {
    let object = store.by_name(name).ok_or_else(ApiError::not_found)?;
    let row = row_of(object, text)?;
    let place = object.field(field).ok_or_else(ApiError::not_found)?;
    match object.cell(row, place).as_ref() {
        Cell::Blob(bytes) => Ok(Reply::typed(200, "application/octetstream", bytes.to_vec())),
        _ => Err(ApiError::not_found()),
    }
}

fn row_of(object: &SObject, text: &str) -> Result<u32, ApiError> {
    if id::normalise(text).is_none() {
        return Err(ApiError::new(
            404,
            "NOT_FOUND",
            "Provided external ID field does not exist or is not accessible",
        ));
    }
    find(object, text).ok_or_else(ApiError::not_found)
}

fn find(object: &SObject, text: &str) -> Option<u32> {
    let row = object.find(&id::normalise(text)?)?;
    object.is_visible(row, false).then_some(row)
}

fn nodes<'n>(
    object: &SObject,
    names: impl Iterator<Item = &'n str>,
) -> Result<Vec<Node>, ApiError> {
    let mut places = Vec::new();
    for name in names {
        let place = object.field(name).ok_or_else(|| {
            ApiError::bad(
                "INVALID_FIELD",
                format!("No such column '{name}' on sobject of type {}", object.name),
            )
        })?;
        if !places.contains(&place) {
            places.push(place);
        }
    }
    Ok(places.into_iter().map(Node::Field).collect())
}
