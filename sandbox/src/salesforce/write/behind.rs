//! Changes behind the API's back: what the admin interface's words do to records of this face.

use serde_json::{Value, json};

use super::{Operation, Options, RowError, apply, derive, refusal, stamps, value};
use crate::admin::change::{Change, Removal};
use crate::input::{Input, Record};
use crate::salesforce::errors::ApiError;
use crate::salesforce::id;
use crate::salesforce::rows::Values;
use crate::salesforce::store::Store;

/// Makes the change and says how many records it met; the counters of writes do not.
///
/// # Errors
/// 404 for an unknown object; 400 for an unknown field, id or value.
pub fn make(change: &Change, store: &mut Store, at: i64) -> Result<Value, ApiError> {
    let written = store.written;
    let made = carry_out(change, store, at);
    store.written = written;
    made
}

fn carry_out(change: &Change, store: &mut Store, at: i64) -> Result<Value, ApiError> {
    let place = store
        .place(&change.object)
        .ok_or_else(ApiError::not_found)?;
    let options = Options {
        user: 0,
        at,
        text_values: false,
        allow_save: true,
        update_only: false,
    };
    if let Some(records) = &change.create {
        let mut ids = Vec::new();
        for record in records {
            let outcome = apply(store, &Operation::Create, place, record, &options);
            if !outcome.errors.is_empty() {
                return Err(refusal(&outcome.errors));
            }
            ids.extend(outcome.id);
        }
        return Ok(json!({"ids": ids}));
    }
    let rows = rows(change, store, place)?;
    let count = rows.len();
    for (n, row) in rows.into_iter().enumerate() {
        let object = store.object(place);
        let mut values = Values::new();
        for (name, cell) in stamps(&options, false) {
            values.extend(object.field(name).map(|field| (field, cell)));
        }
        for (name, input) in change.set.iter().flat_map(|record| &record.0) {
            let field = object
                .field(name)
                .ok_or_else(|| ApiError::bad("INVALID_FIELD", format!("no field {name}")))?;
            let input = match input {
                Input::Text(text) => Input::Text(text.replace("{n}", &n.to_string())),
                other => other.clone(),
            };
            let cell = value::read(&object.fields[field], &input, false)
                .map_err(|error: RowError| refusal(&[error]))?;
            values.retain(|(known, _)| *known != field);
            values.push((field, cell));
        }
        let computed = derive::computed(object, &values, |field| {
            object.cell(row, field).into_owned()
        });
        values.extend(computed);
        store.set(place, row, values);
        let removal = match change.delete {
            Some(Removal::Bin) => Operation::Delete,
            Some(Removal::Erased) => Operation::HardDelete,
            None => {
                if change.undelete {
                    store.set_gone(place, row, None, at);
                }
                continue;
            }
        };
        let id = Input::Text(store.object(place).id(row));
        let record = Record(vec![("Id".to_owned(), id)]);
        let outcome = apply(store, &removal, place, &record, &options);
        if !outcome.errors.is_empty() {
            return Err(refusal(&outcome.errors));
        }
    }
    Ok(json!({"records": count}))
}

fn rows(change: &Change, store: &Store, place: usize) -> Result<Vec<u32>, ApiError> {
    let object = store.object(place);
    if let Some(ids) = &change.ids {
        return ids
            .iter()
            .map(|text| {
                id::normalise(text)
                    .and_then(|id18| object.find(&id18))
                    .ok_or_else(|| ApiError::bad("MALFORMED_ID", format!("no record {text}")))
            })
            .collect();
    }
    let rows = object.rows();
    let (start, end) = match rows.count_generated() {
        0 => (0, rows.len()),
        count => (rows.first_generated(), rows.first_generated() + count),
    };
    let most = end.saturating_sub(start);
    Ok(change.selected((0..most).map(|n| start + n), |&row| {
        rows.is_visible(row, change.undelete)
    }))
}
