//! Progress of long work as other sessions see it (O-2); the view is in `sql/stat.sql`.

use crate::pg::catalog;
use crate::progress;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// What the backends of this database say; the view leaves out those that have ended.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn progress_reports() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(backend_start, Option<TimestampWithTimeZone>),
        name!(work, String),
        name!(foreign_table, String),
        name!(records, i64),
        name!(pages, i64),
        name!(calls, i64),
        name!(expected, Option<i64>),
        name!(share, Option<i64>),
        name!(elapsed_ms, i64),
    ),
> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rows: Vec<_> = progress::reports()
        .into_iter()
        .map(|report| {
            (
                report.pid,
                report.backend_start.try_into().ok(),
                report.work.clone(),
                report.relation_name.clone(),
                number(report.rows),
                number(report.pages),
                number(report.calls),
                report.expected.map(number),
                report.share().map(number),
                number(report.elapsed),
            )
        })
        .collect();
    TableIterator::new(rows)
}

/// Names what the following reads of this transaction are for; null ends it.
#[pg_extern]
fn name_progress(work: Option<String>) {
    progress::name_work(work);
}

/// The statement under way has a LIMIT: it may not see every row that a function gives.
#[pg_extern]
fn statement_is_limited() -> bool {
    catalog::statement_is_limited()
}
