//! Records written by the collections interface, 200 a call (Salesforce page 8.2): the answer tells of each record.
//!
//! A create is never sent again unless it certainly did not arrive; what names its record is, as often as the policy
//! allows (spec E-5).

use crate::ids;
use crate::reject::{RecordFault, reject};
use crate::rows::{Form, Row, Rows};
use crate::session::SalesforceSession;
use crm_core::json;
use crm_core::{CallStats, Error, ErrorKind, Outcomes, RecordOutcome};
use crm_http::Call;
use crm_http::header::{HeaderName, HeaderValue};
use crm_http::{Method, Patience};
use serde::Deserialize;
use std::collections::HashMap;

/// Records in one call (8.2).
pub(crate) const LARGEST_CALL: usize = 200;
/// Bytes of a body. The vendor takes more, but works on a call at most ten minutes, and a lost one is sent whole again.
pub(crate) const LARGEST_BODY: usize = 4_000_000;

/// What became of one record.
#[derive(Deserialize)]
struct SaveResult {
    id: Option<String>,
    success: bool,
    created: Option<bool>,
    #[serde(default)]
    errors: Vec<RecordFault>,
}

/// Sends `rows`, which belong to `all`, and notes what became of them.
pub(crate) async fn send(
    session: &SalesforceSession,
    all: &Rows,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) {
    for wave in waves(all, rows) {
        for chunk in chunks(all, &wave) {
            if !send_chunk(session, all, chunk, outcomes, stats).await {
                // The rest has not been sent; it would fare the same.
                return;
            }
        }
    }
}

/// Rows that name the same record must not meet in one call: the vendor refuses the second. They follow each other.
fn waves<'a>(all: &Rows, rows: &'a [Row]) -> Vec<Vec<&'a Row>> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut waves: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let wave = all.key_of(row).map_or(0, |key| {
            let n_before = seen.entry(key).or_insert(0);
            *n_before += 1;
            *n_before - 1
        });
        if wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[wave].push(row);
    }
    waves
}

/// Rows with their records as JSON, as many as one call takes.
fn chunks<'a>(all: &Rows, wave: &[&'a Row]) -> Vec<Vec<(&'a Row, String)>> {
    let mut chunks: Vec<Vec<(&Row, String)>> = Vec::new();
    let mut n_bytes = 0;
    for row in wave {
        let record = match all.form {
            Form::Delete => row.cells[0].cell().to_owned(),
            _ => all.json(row),
        };
        let is_full = chunks.last().is_none_or(|chunk| {
            chunk.len() == LARGEST_CALL || n_bytes + record.len() > LARGEST_BODY
        });
        if is_full {
            chunks.push(Vec::new());
            n_bytes = 0;
        }
        n_bytes += record.len();
        if let Some(chunk) = chunks.last_mut() {
            chunk.push((row, record));
        }
    }
    chunks
}

/// Sends one call, and those records again that were locked. False when the call as a whole failed.
async fn send_chunk(
    session: &SalesforceSession,
    all: &Rows,
    mut left: Vec<(&Row, String)>,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> bool {
    let mut patience = Patience::new(session.policy());
    // An earlier try may have been carried out although its answer did not come.
    let mut done_before = false;
    loop {
        let answered = match session.exchange(&call(session, all, &left), stats).await {
            Ok(answered) => answered,
            Err(trouble) => {
                let outcome = if trouble.may_be_done || done_before {
                    RecordOutcome::Unknown
                } else {
                    RecordOutcome::NotApplied
                };
                for (row, _) in left {
                    outcomes.set(row.at, outcome.clone());
                }
                outcomes.fail(about_write(trouble.error));
                return false;
            }
        };
        done_before |= answered.done_before;
        let results = match results(&answered.reply.body, left.len()) {
            Ok(results) => results,
            Err(error) => {
                done_before = true;
                if all.is_repeatable() && patience.wait(None, stats).await {
                    continue;
                }
                for (row, _) in left {
                    outcomes.set(row.at, RecordOutcome::Unknown);
                }
                outcomes.fail(error);
                return false;
            }
        };
        let mut locked = Vec::new();
        let mut said = Vec::new();
        for ((row, record), result) in left.into_iter().zip(results) {
            if !result.success && result.errors.first().is_some_and(RecordFault::may_pass) {
                said.push(reject(all.form, &result.errors));
                locked.push((row, record));
            } else {
                outcomes.set(row.at, outcome(all, row, result, done_before));
            }
        }
        if locked.is_empty() {
            return true;
        }
        if !patience.wait(None, stats).await {
            for ((row, _), reject) in locked.into_iter().zip(said) {
                outcomes.set(
                    row.at,
                    if done_before {
                        RecordOutcome::Unknown
                    } else {
                        RecordOutcome::Rejected(reject)
                    },
                );
            }
            if done_before {
                outcomes.fail(Error::new(
                    ErrorKind::RecordLocked,
                    "records whose first answer was lost stay locked",
                ));
            }
            return true;
        }
        left = locked;
    }
}

fn call(session: &SalesforceSession, all: &Rows, rows: &[(&Row, String)]) -> Call {
    let records = rows.iter().map(|(_, record)| record.as_str());
    let records = records.collect::<Vec<_>>().join(",");
    let call = match all.form {
        Form::Delete => {
            let rest = format!("composite/sobjects?ids={records}&allOrNone=false");
            Call::new(Method::DELETE, session.path(&rest))
        }
        form => {
            let (method, path) = match form {
                Form::Create => (Method::POST, "composite/sobjects".to_owned()),
                Form::Upsert => {
                    let key = all.key.map_or("", |key| all.columns[key].as_str());
                    let path = format!("composite/sobjects/{}/{key}", all.object);
                    (Method::PATCH, path)
                }
                _ => (Method::PATCH, "composite/sobjects".to_owned()),
            };
            let body = format!("{{\"allOrNone\":false,\"records\":[{records}]}}");
            Call::new(method, session.path(&path)).body("application/json", body)
        }
    };
    let call = with_rules(session, call).for_data();
    if all.is_repeatable() {
        call
    } else {
        call.once()
    }
}

/// Rules of the organisation that the options speak of (8.4).
fn with_rules(session: &SalesforceSession, mut call: Call) -> Call {
    if !session.switch("assignment_rules", false) {
        let name = HeaderName::from_static("sforce-auto-assign");
        call = call.header(name, HeaderValue::from_static("FALSE"));
    }
    if session.option("duplicate_rules") == Some("allow") {
        let name = HeaderName::from_static("sforce-duplicate-rule-header");
        call = call.header(name, HeaderValue::from_static("allowSave=true"));
    }
    call
}

/// The results of `n_sent` records, in their order.
fn results(body: &[u8], n_sent: usize) -> crm_core::Result<Vec<SaveResult>> {
    let results: Vec<SaveResult> = json::parse(body, "the results of a write")?;
    if results.len() == n_sent {
        return Ok(results);
    }
    Err(Error::new(
        ErrorKind::Undecodable,
        format!(
            "the reply tells of {} of {n_sent} records that were sent",
            results.len()
        ),
    ))
}

fn outcome(all: &Rows, row: &Row, result: SaveResult, done_before: bool) -> RecordOutcome {
    let own_id = || match all.form {
        Form::Update | Form::Delete => Some(row.cells[0].cell().to_owned()),
        Form::Create | Form::Upsert => None,
    };
    if !result.success {
        let is_gone = result.errors.first().is_some_and(RecordFault::is_gone);
        return match own_id() {
            // The try whose answer was lost has deleted it.
            Some(id) if all.form == Form::Delete && done_before && is_gone => {
                RecordOutcome::Accepted { id, created: None }
            }
            _ => RecordOutcome::Rejected(reject(all.form, &result.errors)),
        };
    }
    let told = result.id.as_deref().and_then(ids::canonical);
    match told.or_else(own_id) {
        Some(id) => RecordOutcome::Accepted {
            id,
            created: match all.form {
                Form::Create => Some(true),
                Form::Update => Some(false),
                Form::Delete => None,
                // What was there the second time may have been made the first time.
                Form::Upsert => result.created.filter(|created| *created || !done_before),
            },
        },
        // It is there, but nobody knows under which name.
        None => RecordOutcome::Unknown,
    }
}

/// The same error in the words of a write.
pub(crate) fn about_write(error: Error) -> Error {
    if error.code() != Some("INVALID_FIELD") {
        return error;
    }
    let mut told = Error::new(error.kind(), "the CRM does not take a field")
        .with_code("INVALID_FIELD")
        .with_hint("If the field was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.");
    if let Some(detail) = error.detail() {
        told = told.with_detail(detail);
    }
    told
}
