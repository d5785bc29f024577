//! This face's records as the admin interface looks at them.

use serde_json::{Value, json};

use super::Salesforce;
use super::clock::Clock;
use super::errors::ApiError;
use super::store::{Cell, SObject};
use super::write::behind;
use crate::admin::change::{Change, Late};
use crate::admin::records::Records;
use crate::record_rules::RecordRules;

impl Records for Salesforce {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn late(&self) -> &Late {
        &self.late
    }

    /// Records outside the recycle bin, in it, and removed for good.
    fn count(&self, object: &str) -> Result<Value, ApiError> {
        let store = self.records();
        let object = store.by_name(object).ok_or_else(ApiError::not_found)?;
        let active = (0..object.len()).filter(|&row| object.is_visible(row, false));
        let seen = (0..object.len()).filter(|&row| object.is_visible(row, true));
        let (active, seen) = (active.count() as u64, seen.count() as u64);
        Ok(json!({
            "count": active, "deleted": seen - active, "erased": u64::from(object.len()) - seen,
        }))
    }

    fn find(&self, object: &str, field: &str, value: &str) -> Result<Vec<String>, ApiError> {
        let store = self.records();
        let object = store.by_name(object).ok_or_else(ApiError::not_found)?;
        let place = object
            .field(field)
            .ok_or_else(|| ApiError::bad("INVALID_FIELD", format!("no field {field}")))?;
        Ok((0..object.len())
            .filter(|&row| object.is_visible(row, false) && shows(object, row, place, value))
            .map(|row| object.id(row))
            .collect())
    }

    fn make(&self, change: &Change, at: i64) -> Result<Value, ApiError> {
        let _turn = self.writing();
        behind::make(change, &mut self.records_mut(), at)
    }

    fn rules(&self, look: &mut dyn FnMut(&mut RecordRules)) {
        look(&mut self.records_mut().rules);
    }

    fn deletion_log(&self, settings: &[u8]) -> Result<(), ApiError> {
        let settings = serde_json::from_slice(settings)
            .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
        self.log.set(settings);
        Ok(())
    }
}

fn shows(object: &SObject, row: u32, field: usize, value: &str) -> bool {
    match object.cell(row, field).as_ref() {
        Cell::Text(text) | Cell::Number(text) | Cell::Object(text) => text.as_ref() == value,
        Cell::Bool(flag) => flag.to_string() == value,
        Cell::Null => value.is_empty(),
        Cell::Blob(_) => false,
    }
}
