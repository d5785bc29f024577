//! Up to 200 records in one call: create, update, upsert, delete, all or none where asked.
//! Section 8.2 of the protocol page.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Operation, Options, Outcome, RowError, apply, key_field};
use crate::input::{Input, Record};
use crate::request::Request;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::id;
use crate::salesforce::store::Store;

/// Most records of one call, and most runs of one type.
const MAX_RECORDS: usize = 200;
const MAX_RUNS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Record>,
}

/// A record and the object it is of.
pub struct Item {
    /// Place of the object.
    pub place: usize,
    pub record: Record,
}

/// `POST` and `PATCH {V}/composite/sobjects`: creates or updates records of one or several types.
///
/// # Errors
/// 400 for a bad body, for more than 200 records or ten runs of types, and for a record without a type.
pub fn write(store: &mut Store, request: &Request, options: &Options) -> Result<Reply, ApiError> {
    let call = parse(request)?;
    let operation = match request.method.as_str() {
        "POST" => Operation::Create,
        _ => Operation::Update,
    };
    let items = call
        .records
        .into_iter()
        .map(|record| {
            let name = record.object_type().ok_or_else(no_type)?;
            let place = store.place(name).ok_or_else(|| no_object(name))?;
            Ok(Item { place, record })
        })
        .collect::<Result<Vec<Item>, ApiError>>()?;
    let outcomes = run(store, &operation, items, call.all_or_none, options)?;
    Ok(answer(&outcomes, false))
}

/// `PATCH {V}/composite/sobjects/{Object}/{Field}`.
///
/// # Errors
/// 404 for an unknown object or a field that is no key; 400 as for [`write`] and for another type in the body.
pub fn upsert(
    store: &mut Store,
    name: &str,
    key: &str,
    request: &Request,
    options: &Options,
) -> Result<Reply, ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let call = parse(request)?;
    let object = store.object(place);
    let key = match key.eq_ignore_ascii_case("Id") {
        true => "Id".to_owned(),
        false => {
            let field = key_field(object, key)
                .map_err(|error| ApiError::new(404, "NOT_FOUND", error.message))?;
            object.fields[field].name.clone()
        }
    };
    for record in &call.records {
        let other = record
            .object_type()
            .is_some_and(|name| !name.eq_ignore_ascii_case(&object.name));
        if other {
            return Err(ApiError::bad(
                "INVALID_TYPE",
                "all records of an upsert are of the object in its address",
            ));
        }
    }
    let items = call
        .records
        .into_iter()
        .map(|record| Item { place, record })
        .collect();
    let operation = Operation::Upsert(key);
    let outcomes = run(store, &operation, items, call.all_or_none, options)?;
    Ok(answer(&outcomes, true))
}

/// `DELETE {V}/composite/sobjects?ids=a,b&allOrNone=false`.
///
/// # Errors
/// 400 for no ids and for more than 200.
pub fn delete(store: &mut Store, request: &Request, options: &Options) -> Result<Reply, ApiError> {
    let ids: Vec<&str> = request
        .parameter("ids")
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .collect();
    if ids.is_empty() {
        return Err(ApiError::bad("REQUIRED_FIELD_MISSING", "ids are required"));
    }
    let all_or_none = request
        .parameter("allOrNone")
        .is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let items = ids
        .into_iter()
        .map(|text| Item {
            // An id of no known object is refused below, as a record of any object would be.
            place: id::normalise(text)
                .and_then(|id18| store.place_of(&id18))
                .unwrap_or(0),
            record: Record(vec![("Id".to_owned(), Input::Text(text.to_owned()))]),
        })
        .collect();
    let outcomes = run(store, &Operation::Delete, items, all_or_none, options)?;
    Ok(answer(&outcomes, false))
}

fn parse(request: &Request) -> Result<Call, ApiError> {
    let call: Call = serde_json::from_slice(&request.body)
        .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
    match call.records.is_empty() {
        true => Err(ApiError::bad(
            "REQUIRED_FIELD_MISSING",
            "records are required",
        )),
        false => Ok(call),
    }
}

fn no_type() -> ApiError {
    ApiError::bad(
        "INVALID_INPUT",
        "Include an attributes.type value for each record",
    )
}

fn no_object(name: &str) -> ApiError {
    ApiError::bad(
        "INVALID_TYPE",
        format!("sObject type '{name}' is not supported."),
    )
}

/// Writes the records of one call, at most 200, one outcome for each.
///
/// # Errors
/// 400 for more records or more runs of objects than a call may have.
pub fn run(
    store: &mut Store,
    operation: &Operation,
    items: Vec<Item>,
    all_or_none: bool,
    options: &Options,
) -> Result<Vec<Outcome>, ApiError> {
    if items.len() > MAX_RECORDS {
        return Err(ApiError::bad(
            "EXCEEDED_ID_LIMIT",
            format!(
                "record limit reached. cannot submit more than {MAX_RECORDS} records in this call"
            ),
        ));
    }
    let runs = items.chunk_by(|a, b| a.place == b.place).count();
    if runs > MAX_RUNS && *operation != Operation::Delete {
        return Err(ApiError::bad(
            "LIMIT_EXCEEDED",
            format!("cannot have more than {MAX_RUNS} chunks in a single operation"),
        ));
    }
    let mark = store.begin();
    let mut seen: HashSet<(usize, String)> = HashSet::new();
    let mut outcomes: Vec<Outcome> = items
        .iter()
        .map(|item| match repeated(store, operation, item, &mut seen) {
            Some(error) => Outcome::refused(vec![error]),
            None => apply(store, operation, item.place, &item.record, options),
        })
        .collect();
    let roll_back = all_or_none && outcomes.iter().any(|outcome| !outcome.errors.is_empty());
    store.end(&mark, !roll_back);
    if roll_back {
        for outcome in outcomes.iter_mut().filter(|o| o.errors.is_empty()) {
            *outcome = Outcome::refused(vec![RowError::new(
                "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                "Record rolled back because not all records were valid and the request was using AllOrNone header",
            )]);
        }
    }
    Ok(outcomes)
}

/// The same id or key a second time in one call is refused; the first one stands.
fn repeated(
    store: &Store,
    operation: &Operation,
    item: &Item,
    seen: &mut HashSet<(usize, String)>,
) -> Option<RowError> {
    let (name, fold) = match operation {
        Operation::Create => return None,
        Operation::Upsert(key) if key != "Id" => {
            let object = store.object(item.place);
            let fold = object
                .field(key)
                .is_some_and(|field| !object.fields[field].case_sensitive);
            (key.as_str(), fold)
        }
        _ => ("Id", false),
    };
    let Some(Input::Text(text)) = item.record.get(name) else {
        return None;
    };
    let key = match name {
        "Id" => id::normalise(text)?,
        _ if fold => text.to_lowercase(),
        _ => text.clone(),
    };
    match seen.insert((item.place, key)) {
        true => None,
        false => Some(RowError {
            fields: match name {
                "Id" => Vec::new(),
                name => vec![name.to_owned()],
            },
            ..RowError::new(
                "DUPLICATE_VALUE",
                match name {
                    "Id" => format!("duplicate id in list: {text}"),
                    name => format!("Duplicate external id specified: {name} {text}"),
                },
            )
        }),
    }
}

/// One entry for each record, in the order of the request.
fn answer(outcomes: &[Outcome], upsert: bool) -> Reply {
    let entries: Vec<Value> = outcomes
        .iter()
        .map(|outcome| {
            let errors: Vec<Value> = outcome
                .errors
                .iter()
                .map(|error| {
                    json!({
                        "statusCode": error.code, "message": error.message,
                        "fields": error.fields,
                    })
                })
                .collect();
            let success = errors.is_empty();
            let mut entry = json!({});
            if success {
                entry["id"] = json!(outcome.id);
            }
            entry["success"] = success.into();
            entry["errors"] = errors.into();
            if upsert && success {
                entry["created"] = outcome.created.into();
            }
            entry
        })
        .collect();
    Reply::ok(&Value::Array(entries))
}
