//! Changes behind the API's back, for tests: many records in one call, with any stamp, and visible later
//! than their stamp says, as those of a long transaction are.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::{Value, json};

use super::input::{Input, Record};
use super::{Operation, Options, RowError, apply, derive, refusal, stamps, value};
use crate::salesforce::errors::ApiError;
use crate::salesforce::id;
use crate::salesforce::rows::Values;
use crate::salesforce::store::Store;

/// What happens to which records.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub object: String,
    /// These records; without them the selection below.
    pub ids: Option<Vec<String>>,
    /// Generated records, or all where none are generated: leave out so many,
    #[serde(default)]
    pub skip: u32,
    /// then take every so manyth,
    pub every: Option<u32>,
    /// and so many of them, all unless given.
    pub first: Option<u32>,
    /// Values by field; `{n}` in a text becomes the place of the record in the selection.
    pub set: Option<Record>,
    pub delete: Option<Removal>,
    /// Takes the records out of the recycle bin.
    #[serde(default)]
    pub undelete: bool,
    /// Makes these records; nothing is selected then.
    pub create: Option<Vec<Record>>,
    /// The stamp of it all; the clock unless given.
    pub at: Option<String>,
    /// Wait for `POST /commit`; the stamp is that of the call.
    #[serde(default)]
    pub late: bool,
}

/// Where deleted records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    Bin,
    Erased,
}

/// Changes that wait for their commit, with their stamps.
#[derive(Debug, Default)]
pub struct Late {
    changes: Mutex<Vec<(Change, i64)>>,
}

impl Late {
    fn lock(&self) -> MutexGuard<'_, Vec<(Change, i64)>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a change, to be made by [`Self::take`]'s caller.
    pub fn add(&self, change: Change, at: i64) {
        self.lock().push((change, at));
    }

    /// All changes that wait, in order.
    pub fn take(&self) -> Vec<(Change, i64)> {
        std::mem::take(&mut *self.lock())
    }
}

impl Change {
    /// The stamp: the one given, or the clock's.
    ///
    /// # Errors
    /// `MALFORMED_DATE` for one that is no datetime.
    pub fn stamp(&self, now: i64) -> Result<i64, ApiError> {
        match &self.at {
            None => Ok(now),
            Some(text) => value::moment(text)
                .map(|moment| moment.timestamp())
                .ok_or_else(|| ApiError::bad("MALFORMED_DATE", format!("no datetime: {text}"))),
        }
    }

    /// Makes the change and says how many records it met; the counters of writes do not.
    ///
    /// # Errors
    /// 404 for an unknown object; 400 for an unknown field, id or value.
    pub fn make(&self, store: &mut Store, at: i64) -> Result<Value, ApiError> {
        let written = store.written;
        let made = self.carry_out(store, at);
        store.written = written;
        made
    }

    fn carry_out(&self, store: &mut Store, at: i64) -> Result<Value, ApiError> {
        let place = store.place(&self.object).ok_or_else(ApiError::not_found)?;
        let options = Options {
            user: 0,
            at,
            text_values: false,
            allow_save: true,
            update_only: false,
        };
        if let Some(records) = &self.create {
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
        let rows = self.rows(store, place)?;
        let count = rows.len();
        for (n, row) in rows.into_iter().enumerate() {
            let object = store.object(place);
            let mut values = Values::new();
            for (name, cell) in stamps(&options, false) {
                values.extend(object.field(name).map(|field| (field, cell)));
            }
            for (name, input) in self.set.iter().flat_map(|record| &record.0) {
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
            let removal = match self.delete {
                Some(Removal::Bin) => Operation::Delete,
                Some(Removal::Erased) => Operation::HardDelete,
                None => {
                    if self.undelete {
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

    fn rows(&self, store: &Store, place: usize) -> Result<Vec<u32>, ApiError> {
        let object = store.object(place);
        if let Some(ids) = &self.ids {
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
        let step = self.every.unwrap_or(1).max(1) as usize;
        let wanted = (start.saturating_add(self.skip)..end)
            .step_by(step)
            .filter(|&row| rows.is_visible(row, self.undelete));
        Ok(match self.first {
            Some(most) => wanted.take(most as usize).collect(),
            None => wanted.collect(),
        })
    }
}
