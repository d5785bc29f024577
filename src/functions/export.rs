//! Export jobs: what they hold, and how a person settles what the CRM cannot.

use crate::error::OrRaise;
use crate::exec::job::directory;
use crate::pg::datum::timestamp;
use crm_core::{Error, ErrorKind};
use crm_export::journal::Settlement;
use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// The export jobs of the current role in this database.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn list_export_jobs() -> TableIterator<
    'static,
    (
        name!(job, String),
        name!(state, String),
        name!(server, Option<String>),
        name!(object, Option<String>),
        name!(operations, Option<Vec<String>>),
        name!(fields, Option<Vec<String>>),
        name!(started_at, Option<TimestampWithTimeZone>),
        name!(finished_at, Option<TimestampWithTimeZone>),
        name!(records, i64),
        name!(accepted, i64),
        name!(rejected, i64),
        name!(pending, i64),
        name!(unknown, i64),
        name!(damage, Option<String>),
    ),
> {
    let jobs = directory()
        .and_then(|directory| directory.jobs())
        .or_raise();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    TableIterator::new(jobs.into_iter().map(move |job| {
        let operations = job.signature.as_ref().map(|signature| {
            let operations = signature.operations.iter();
            operations
                .map(|operation| operation.name().to_owned())
                .collect()
        });
        (
            job.name,
            job.state.name().to_owned(),
            job.signature
                .as_ref()
                .map(|signature| signature.server.clone()),
            job.signature
                .as_ref()
                .map(|signature| signature.object.clone()),
            operations,
            job.signature.map(|signature| signature.columns),
            job.started_at.map(timestamp),
            job.finished_at.map(timestamp),
            number(job.counts.recorded),
            number(job.counts.accepted),
            number(job.counts.rejected),
            number(job.counts.pending),
            number(job.counts.unknown),
            job.damage.map(|error| error.to_string()),
        )
    }))
}

/// The records of an export job and what became of each.
#[pg_extern(strict)]
#[allow(clippy::type_complexity)]
fn export_records(
    job: &str,
) -> TableIterator<
    'static,
    (
        name!(number, i64),
        name!(operation, String),
        name!(record, JsonB),
        name!(status, String),
        name!(remote_id, Option<String>),
        name!(error_symbol, Option<String>),
        name!(error_message, Option<String>),
        name!(journal_key, Option<String>),
        name!(remote_job, Option<String>),
        name!(sent_at, Option<TimestampWithTimeZone>),
        name!(settled_at, Option<TimestampWithTimeZone>),
    ),
> {
    let records = directory()
        .and_then(|directory| directory.records(job))
        .or_raise();
    TableIterator::new(records.map(|entry| {
        let entry = entry.or_raise();
        let record = serde_json::from_str(&entry.record).unwrap_or_default();
        (
            i64::from(entry.number),
            entry.operation.name().to_owned(),
            JsonB(record),
            entry.status.name().to_owned(),
            entry.remote_id.filter(|id| !id.is_empty()),
            entry.code,
            entry.message,
            entry.key,
            entry.ticket,
            entry.sent_at.map(timestamp),
            entry.settled_at.map(timestamp),
        )
    }))
}

/// Drops the journal of an export job; true if there was one.
#[pg_extern(strict)]
fn forget_export(job: &str) -> bool {
    directory()
        .and_then(|directory| directory.forget(job))
        .or_raise()
}

/// Says what became of a record that nobody knows the outcome of: it was `accepted` (as `remote_id`, if that is known),
/// or it is to be sent again (`resend`).
#[pg_extern]
fn settle_export(
    job: &str,
    record: i64,
    decision: &str,
    remote_id: default!(Option<String>, "NULL"),
) {
    let settlement = match decision {
        "accepted" => Settlement::Accepted {
            id: remote_id.unwrap_or_default(),
        },
        "resend" => Settlement::Resend,
        _ => crate::error::raise(
            &Error::new(
                ErrorKind::OptionValue,
                format!("invalid decision: \"{decision}\""),
            )
            .with_hint(
                "The decision is 'accepted' if the CRM has the record, 'resend' if it has not.",
            ),
        ),
    };
    let number = u32::try_from(record).unwrap_or(0);
    directory()
        .and_then(|directory| directory.settle(job, number, settlement))
        .or_raise();
}
