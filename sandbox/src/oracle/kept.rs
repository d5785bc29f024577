//! This face's records as the admin interface looks at them: counts, searches, changes behind the API's
//! back. Fields go by their tags in v2.0, values in the form of v2.0.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Oracle;
use super::objects::{Object, system};
use super::store::{Deleted, Record, Store, Table};
use super::write::stamp;
use crate::admin::change::{Change, Late, Removal};
use crate::admin::records::Records;
use crate::input::{self, Input};
use crate::record_rules::RecordRules;
use crate::salesforce::clock::Clock;
use crate::salesforce::errors::ApiError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    /// Entries of the trash older than so many seconds are not shown; all are without it.
    reach_s: Option<i64>,
}

impl Records for Oracle {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn late(&self) -> &Late {
        &self.late
    }

    fn count(&self, object: &str) -> Result<Value, ApiError> {
        let store = self.records();
        let place = store.place(object).ok_or_else(ApiError::not_found)?;
        let deleted = store
            .deleted
            .iter()
            .filter(|entry| entry.from.as_ref().is_some_and(|from| from.table == place));
        Ok(json!({
            "count": store.tables[place].numbers().count(), "deleted": deleted.count(), "erased": 0,
        }))
    }

    fn find(&self, object: &str, field: &str, value: &str) -> Result<Vec<String>, ApiError> {
        let store = self.records();
        let place = store.place(object).ok_or_else(ApiError::not_found)?;
        let table = &store.tables[place];
        let field = field_of(&table.object, field)?;
        let found: Vec<u64> = match field {
            system::ID | system::EXTERNAL => table.find(&[field], &[value]),
            _ => table
                .numbers()
                .filter(|number| table.cell(*number, field).unwrap_or_default() == value)
                .collect(),
        };
        Ok(found.into_iter().map(|number| table.id(number)).collect())
    }

    fn make(&self, change: &Change, at: i64) -> Result<Value, ApiError> {
        let mut store = self.records_mut();
        let place = store
            .place(&change.object)
            .ok_or_else(ApiError::not_found)?;
        make(&mut store, place, change, at)
    }

    fn rules(&self, look: &mut dyn FnMut(&mut RecordRules)) {
        look(&mut self.records_mut().rules);
    }

    fn deletion_log(&self, settings: &[u8]) -> Result<(), ApiError> {
        let wanted: Log = serde_json::from_slice(settings)
            .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
        self.settings().trash_reach_s = wanted.reach_s;
        Ok(())
    }
}

fn field_of(object: &Object, name: &str) -> Result<usize, ApiError> {
    object
        .place(name)
        .ok_or_else(|| ApiError::bad("INVALID_FIELD", format!("no field {name}")))
}

fn make(store: &mut Store, place: usize, change: &Change, at: i64) -> Result<Value, ApiError> {
    let object = store.tables[place].object.clone();
    if let Some(records) = &change.create {
        let mut ids = Vec::new();
        for (n, values) in records.iter().enumerate() {
            let mut record = Record::new();
            stamp(&mut record, at, 0, true);
            fill(&object, &mut record, values, n)?;
            let table = &mut store.tables[place];
            let number = table.new_number();
            table.keep(number, Some(record), false);
            ids.push(table.id(number));
        }
        return Ok(json!({"ids": ids}));
    }
    let ids = match &change.ids {
        Some(ids) => ids.clone(),
        None if change.undelete => {
            let entries = store
                .deleted
                .iter()
                .filter(|entry| entry.from.as_ref().is_some_and(|from| from.table == place));
            change.selected(entries.map(|entry| entry.object_id.clone()), |_| true)
        }
        None => {
            let table = &store.tables[place];
            let numbers = table
                .numbers()
                .filter(|number| !table.has_generated() || table.is_generated(*number));
            change.selected(numbers.map(|number| table.id(number)), |_| true)
        }
    };
    for (n, id) in ids.iter().enumerate() {
        let missing = || ApiError::bad("MALFORMED_ID", format!("no record {id}"));
        if change.undelete {
            store.take_back(place, id).ok_or_else(missing)?;
        }
        let table = &mut store.tables[place];
        let number = table
            .number(id)
            .filter(|number| table.has(*number))
            .ok_or_else(missing)?;
        if change.delete.is_none() {
            let mut record = table.record(number);
            stamp(&mut record, at, 0, false);
            if let Some(values) = &change.set {
                fill(&object, &mut record, values, n)?;
            }
            table.keep(number, Some(record), false);
            continue;
        }
        if change.delete == Some(Removal::Bin) {
            let entry = Deleted::of(store, place, number, 0, at);
            store.deleted.push(entry);
        }
        store.tables[place].keep(number, None, true);
    }
    Ok(json!({"records": ids.len()}))
}

fn fill(
    object: &Object,
    record: &mut Record,
    values: &input::Record,
    n: usize,
) -> Result<(), ApiError> {
    for (name, input) in &values.0 {
        let field = field_of(object, name)?;
        let text = match input {
            Input::Null => String::new(),
            Input::Text(text) => text.replace("{n}", &n.to_string()),
            other => other.text().to_owned(),
        };
        match text.is_empty() {
            true => record.remove(&field),
            false => record.insert(field, text),
        };
    }
    Ok(())
}

impl Table {
    /// The numbers of all records, by id.
    pub fn numbers(&self) -> impl Iterator<Item = u64> + '_ {
        let mut from = 0;
        std::iter::from_fn(move || {
            let number = self.at_or_behind(from)?;
            from = number + 1;
            Some(number)
        })
    }
}
