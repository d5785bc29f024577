//! Changes behind a CRM's interface, for tests: many records in one call, with any stamp, and visible later
//! than their stamp says, as those of a long transaction are. The words are the same for every face.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::DateTime;
use serde::Deserialize;

use crate::input::Record;
use crate::salesforce::errors::ApiError;

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
    /// Where the CRM's interface puts them, with an entry in its log of deletions.
    Bin,
    /// Away, without an entry.
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
    /// The stamp in seconds since 1970: the one given, or the clock's.
    ///
    /// # Errors
    /// `MALFORMED_DATE` for one that is no moment with an offset.
    pub fn stamp(&self, now: i64) -> Result<i64, ApiError> {
        let Some(text) = &self.at else {
            return Ok(now);
        };
        // Salesforce leaves the colon of an offset out.
        DateTime::parse_from_rfc3339(text)
            .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
            .map(|moment| moment.timestamp())
            .map_err(|_| ApiError::bad("MALFORMED_DATE", format!("no moment: {text}")))
    }

    /// The selection among records in their order; those that do not fit take a place, but are left out.
    pub fn selected<T>(
        &self,
        records: impl Iterator<Item = T>,
        fits: impl Fn(&T) -> bool,
    ) -> Vec<T> {
        let step = self.every.unwrap_or(1).max(1) as usize;
        let most = self.first.map_or(usize::MAX, |first| first as usize);
        records
            .skip(self.skip as usize)
            .step_by(step)
            .filter(fits)
            .take(most)
            .collect()
    }
}
