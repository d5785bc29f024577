//! Which records were deleted and which changed in a span of time, ids only.
//! Section 9 of the protocol page.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::errors::{ApiError, Reply};
use super::store::{Cell, SObject, Store};
use crate::generate::instant;
use crate::request::Request;

const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
/// Neither call looks back further.
const MAX_AGE: i64 = 30 * DAY;
/// Deletions older than this are no longer told, without an error.
const LOG_AGE: i64 = 15 * DAY;
/// Ids one answer holds unless a test sets another number.
const MAX_IDS: usize = 600_000;

/// How the deletion log behaves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `latestDateCovered` is at most the clock less so many seconds.
    #[serde(default)]
    pub covered_lag_s: i64,
    /// The log reaches back so many seconds only; entries before that are purged from every answer.
    pub reach_s: Option<i64>,
    /// Ids one answer holds, 600,000 unless given.
    pub max_ids: Option<usize>,
}

/// The settings in force.
#[derive(Debug, Default)]
pub struct Log {
    settings: Mutex<Settings>,
}

impl Log {
    /// Replaces all settings.
    pub fn set(&self, settings: Settings) {
        *self.lock() = settings;
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET {V}/sobjects/{Object}/deleted/?start=…&end=…`.
    ///
    /// # Errors
    /// 404 for an unknown object; 400 for one that is not replicateable, for a bad span, too many ids.
    pub fn deleted(
        &self,
        store: &Store,
        name: &str,
        request: &Request,
        now: i64,
    ) -> Result<Reply, ApiError> {
        let settings = self.lock().clone();
        let (place, span) = checked(store, name, request, now)?;
        let object = store.object(place);
        let oldest = now - settings.reach_s.map_or(LOG_AGE, |reach| reach.min(LOG_AGE));
        let covered = now - settings.covered_lag_s;
        let entries: Vec<_> = store
            .deletions()
            .iter()
            .filter(|entry| entry.object == place)
            .filter(|entry| span.holds(entry.at) && entry.at >= oldest && entry.at <= covered)
            .collect();
        limited(entries.len(), &settings)?;
        // What the organisation was born with has been deleted at a time the log does not reach.
        let earliest = settings.reach_s.map_or(now - MAX_AGE, |_| oldest);
        let records: Vec<Value> = entries
            .iter()
            .map(|entry| json!({"id": object.id(entry.row), "deletedDate": instant(entry.at)}))
            .collect();
        Ok(Reply::ok(&json!({
            "deletedRecords": records,
            "earliestDateAvailable": instant(earliest / MINUTE * MINUTE),
            "latestDateCovered": covered_to(&span, covered),
        })))
    }

    /// `GET {V}/sobjects/{Object}/updated/?start=…&end=…`: created and changed records, deleted ones left out.
    ///
    /// # Errors
    /// As [`Self::deleted`].
    pub fn updated(
        &self,
        store: &Store,
        name: &str,
        request: &Request,
        now: i64,
    ) -> Result<Reply, ApiError> {
        let settings = self.lock().clone();
        let (place, span) = checked(store, name, request, now)?;
        let object = store.object(place);
        let covered = now - settings.covered_lag_s;
        let field = object
            .field("SystemModstamp")
            .or_else(|| object.field("LastModifiedDate"))
            .ok_or_else(|| not_replicateable(object))?;
        let ids: Vec<String> = (0..object.len())
            .filter(|&row| object.is_visible(row, false))
            .filter(|&row| match object.cell(row, field).as_ref() {
                Cell::Text(text) => seconds(text).is_some_and(|at| span.holds(at) && at <= covered),
                _ => false,
            })
            .map(|row| object.id(row))
            .collect();
        limited(ids.len(), &settings)?;
        Ok(Reply::ok(&json!({
            "ids": ids, "latestDateCovered": covered_to(&span, covered),
        })))
    }
}

/// A span in whole minutes, its end left out.
struct Span {
    start: i64,
    end: i64,
}

impl Span {
    fn holds(&self, at: i64) -> bool {
        (self.start..self.end).contains(&at)
    }
}

fn covered_to(span: &Span, covered: i64) -> String {
    instant(span.end.min(covered / MINUTE * MINUTE))
}

/// A moment in wire form or in a request, in seconds.
fn seconds(text: &str) -> Option<i64> {
    let parsed = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"));
    parsed.ok().map(|moment| moment.timestamp())
}

fn not_replicateable(object: &SObject) -> ApiError {
    ApiError::bad(
        "INVALID_TYPE_FOR_OPERATION",
        format!("entity type {} is not replicateable", object.name),
    )
}

fn limited(count: usize, settings: &Settings) -> Result<(), ApiError> {
    let most = settings.max_ids.unwrap_or(MAX_IDS);
    match count > most {
        true => Err(ApiError::bad(
            "EXCEEDED_ID_LIMIT",
            format!("the answer would hold {count} ids, at most {most} are possible"),
        )),
        false => Ok(()),
    }
}

fn checked(
    store: &Store,
    name: &str,
    request: &Request,
    now: i64,
) -> Result<(usize, Span), ApiError> {
    let place = store.place(name).ok_or_else(ApiError::not_found)?;
    let object = store.object(place);
    if object.global["replicateable"] != true {
        return Err(not_replicateable(object));
    }
    let minute = |name: &str| {
        let text = request.parameter(name).ok_or_else(|| {
            ApiError::bad("MISSING_ARGUMENT", format!("{name} has to be specified"))
        })?;
        seconds(text)
            .map(|at| at.div_euclid(MINUTE) * MINUTE)
            .ok_or_else(|| ApiError::bad("MALFORMED_DATE", format!("{name} is no date: {text}")))
    };
    let span = Span {
        start: minute("start")?,
        end: minute("end")?,
    };
    let bad = |text: &str| ApiError::bad("INVALID_REPLICATION_DATE", text);
    if span.end - span.start <= MINUTE {
        // The words are the vendor's, reversed as they are.
        return Err(bad(
            "startDate must be at least one minute greater than endDate",
        ));
    }
    if span.start < now - MAX_AGE {
        return Err(bad("startDate cannot be more than 30 days ago"));
    }
    Ok((place, span))
}
