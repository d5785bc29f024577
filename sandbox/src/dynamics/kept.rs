//! This face's rows as the admin interface looks at them: counts, searches, changes behind the API's back.
//! Columns go by their logical names; a reference is `/accounts(<guid>)`, or an identifier alone.

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Dynamics;
use super::model::Entity;
use super::names::{self, Name};
use super::records::derive;
use super::store::{Row, Store};
use super::value::{self, Val};
use super::write::Writer;
use crate::admin::change::{Change, Late, Removal};
use crate::admin::records::Records;
use crate::input::{Input, Record};
use crate::record_rules::RecordRules;
use crate::salesforce::clock::Clock;
use crate::salesforce::errors::ApiError;

/// How audits and change tracking behave; what is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Log {
    /// Whether the organisation audits at all.
    enabled: Option<bool>,
    /// Whether a table is audited.
    #[serde(default)]
    audited: std::collections::BTreeMap<String, bool>,
    /// Whether a table's changes are tracked.
    #[serde(default)]
    tracked: std::collections::BTreeMap<String, bool>,
    /// Audits older than so many seconds go away now, and delta tokens given so far expire.
    reach_s: Option<i64>,
}

impl Records for Dynamics {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn late(&self) -> &Late {
        &self.late
    }

    fn count(&self, object: &str) -> Result<Value, ApiError> {
        let store = self.records();
        let table = store.table(object).ok_or_else(ApiError::not_found)?;
        Ok(json!({"count": table.count(), "deleted": table.bin.len(), "erased": 0}))
    }

    fn find(&self, object: &str, field: &str, value: &str) -> Result<Vec<String>, ApiError> {
        let store = self.records();
        let table = store.table(object).ok_or_else(ApiError::not_found)?;
        let at = column(table.entity, field)?;
        let wanted = value::from_text(value, &table.entity.attributes[at]);
        let rows = match &wanted {
            Some(wanted) if *wanted != Val::Null => table.candidates(&[(at, wanted.clone())]),
            _ => table.scan(None).collect(),
        };
        let attribute = &table.entity.attributes[at];
        Ok(rows
            .into_iter()
            .filter(|row| value::plain(&table.get(*row, at), attribute) == value)
            .map(|row| table.id(row).to_string())
            .collect())
    }

    fn make(&self, change: &Change, at: i64) -> Result<Value, ApiError> {
        let mut store = self.records_mut();
        let written = store.written;
        let made = make(&mut store, change, at);
        store.written = written;
        made
    }

    fn rules(&self, look: &mut dyn FnMut(&mut RecordRules)) {
        look(&mut self.records_mut().rules);
    }

    fn deletion_log(&self, settings: &[u8]) -> Result<(), ApiError> {
        let wanted: Log = serde_json::from_slice(settings)
            .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
        let now = self.now();
        let mut store = self.records_mut();
        let place = |name: &String| {
            let (at, _) = store.schema.entity(name).ok_or_else(ApiError::not_found)?;
            Ok::<_, ApiError>(at)
        };
        let audited: Vec<(usize, bool)> = wanted
            .audited
            .iter()
            .map(|(name, on)| Ok((place(name)?, *on)))
            .collect::<Result<_, ApiError>>()?;
        let tracked: Vec<(usize, bool)> = wanted
            .tracked
            .iter()
            .map(|(name, on)| Ok((place(name)?, *on)))
            .collect::<Result<_, ApiError>>()?;
        for (at, on) in audited {
            store.tables[at].audited = on;
        }
        for (at, on) in tracked {
            store.tables[at].tracked = on;
        }
        if let Some(on) = wanted.enabled {
            store.set_auditing(on);
        }
        if let Some(reach) = wanted.reach_s {
            store.forget_audits(now - reach);
            store.oldest_version = store.take_version();
        }
        Ok(())
    }
}

fn column(entity: &Entity, name: &str) -> Result<usize, ApiError> {
    entity
        .column(name)
        .ok_or_else(|| ApiError::bad("INVALID_FIELD", format!("no column {name}")))
}

fn refused(refusal: &super::errors::Refusal) -> ApiError {
    ApiError::bad("REFUSED", refusal.to_string())
}

fn make(store: &mut Store, change: &Change, at: i64) -> Result<Value, ApiError> {
    let (table, entity) = store
        .schema
        .entity(&change.object)
        .ok_or_else(ApiError::not_found)?;
    let writer = Writer::of(super::store::made_id(8, 1), at);
    if let Some(records) = &change.create {
        let mut ids = Vec::new();
        for (n, record) in records.iter().enumerate() {
            let values = values(store, entity, record, n)?;
            let id = writer
                .insert(store, table, &values)
                .map_err(|refusal| refused(&refusal))?;
            ids.push(id.to_string());
        }
        return Ok(json!({"ids": ids}));
    }
    let ids = match &change.ids {
        Some(ids) => ids
            .iter()
            .map(|text| {
                Uuid::parse_str(text)
                    .map_err(|_| ApiError::bad("MALFORMED_ID", format!("no identifier: {text}")))
            })
            .collect::<Result<Vec<_>, _>>()?,
        None if change.undelete => {
            change.selected(store.tables[table].bin.keys().copied(), |_| true)
        }
        None => {
            let table = &store.tables[table];
            let generated = table.has_generated();
            let rows = table
                .scan(None)
                .map(|row| table.id(row))
                .filter(|id| !generated || table.is_generated(*id));
            change.selected(rows, |_| true)
        }
    };
    for (n, id) in ids.iter().enumerate() {
        let missing = || ApiError::bad("MALFORMED_ID", format!("no row {id}"));
        if change.undelete {
            let row = store.tables[table].bin.remove(id).ok_or_else(missing)?;
            put(store, table, row, &[], at);
        }
        let found = store.tables[table].find(*id).ok_or_else(missing)?;
        let row = store.tables[table].copy(found);
        if let Some(record) = &change.set {
            let values = values(store, entity, record, n)?;
            put(store, table, row, &values, at);
        } else if change.delete.is_none() && !change.undelete {
            put(store, table, row, &[], at);
        }
        match change.delete {
            Some(Removal::Bin) => writer
                .delete(store, table, &Name::Id(*id))
                .map_err(|refusal| refused(&refusal))?,
            Some(Removal::Erased) => {
                store.remove(table, *id);
                // Pages rendered before show the row.
                store.take_version();
            }
            None => {}
        }
    }
    Ok(json!({"records": ids.len()}))
}

/// Puts a row back under a new version, stamped unless the values say otherwise.
fn put(store: &mut Store, table: usize, mut row: Row, values: &[(usize, Val)], at: i64) {
    let entity = store.tables[table].entity;
    row.version = store.take_version();
    let stamps = [
        ("modifiedon", Val::Time(at)),
        ("versionnumber", Val::Int(row.version)),
    ];
    for (name, value) in stamps {
        if let Some(at) = entity.column(name) {
            row.values[at] = value;
        }
    }
    for (at, value) in values {
        row.values[*at] = value.clone();
    }
    derive(entity, &mut row);
    store.put(table, row);
}

fn values(
    store: &Store,
    entity: &Entity,
    record: &Record,
    n: usize,
) -> Result<Vec<(usize, Val)>, ApiError> {
    record
        .0
        .iter()
        .map(|(name, input)| {
            let at = column(entity, name)?;
            let attribute = &entity.attributes[at];
            let text = match input {
                Input::Null => return Ok((at, Val::Null)),
                Input::Text(text) => text.replace("{n}", &n.to_string()),
                other => other.text().to_owned(),
            };
            let bad = || ApiError::bad("INVALID_VALUE", format!("no value of {name}: {text}"));
            if !attribute.kind.is_reference() {
                return Ok((at, value::from_text(&text, attribute).ok_or_else(bad)?));
            }
            if let Ok((table, id)) = names::reference(store, &text) {
                return Ok((at, Val::Row(id, table)));
            }
            let id = Uuid::parse_str(&text).map_err(|_| bad())?;
            attribute
                .targets
                .iter()
                .filter_map(|target| store.schema.entity(target))
                .find(|(place, _)| store.tables[*place].find(id).is_some())
                .map(|(place, _)| (at, Val::Row(id, place)))
                .ok_or_else(bad)
        })
        .collect()
}
