//! What servers and foreign tables have cost (O-1); the views are in `sql/stat.sql`.

use crate::pg::catalog::{sees_relation, sees_server};
use crate::pg::datum::timestamp;
use crate::statistics;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// Counters of each server and foreign table that the caller may use; those of a whole server have no table.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn counters() -> TableIterator<
    'static,
    (
        name!(server, pg_sys::Oid),
        name!(foreign_table, Option<pg_sys::Oid>),
        name!(calls, i64),
        name!(data_calls, i64),
        name!(pages, i64),
        name!(records, i64),
        name!(bytes, i64),
        name!(retries, i64),
        name!(waited_micros, i64),
        name!(rejects, i64),
        name!(last_error, Option<String>),
        name!(last_sqlstate, Option<String>),
        name!(last_error_at, Option<TimestampWithTimeZone>),
        name!(calls_used, Option<i64>),
        name!(calls_allowed, Option<i64>),
        name!(since, TimestampWithTimeZone),
    ),
> {
    let (since, entries) = statistics::all();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rows: Vec<_> = entries
        .into_iter()
        .filter(|entry| {
            sees_server(entry.server.into())
                && (entry.relation == 0 || sees_relation(entry.relation.into()))
        })
        .map(|entry| {
            (
                entry.server.into(),
                (entry.relation != 0).then(|| entry.relation.into()),
                number(entry.counts.calls),
                number(entry.counts.data_calls),
                number(entry.counts.pages),
                number(entry.counts.records),
                number(entry.counts.bytes),
                number(entry.counts.retries),
                number(entry.counts.waited_micros),
                number(entry.counts.rejects),
                entry.last_error,
                entry.last_sqlstate,
                entry.last_error_at.map(timestamp),
                entry.calls_used.map(number),
                entry.calls_allowed.map(number),
                timestamp(since),
            )
        })
        .collect();
    TableIterator::new(rows)
}

/// Counts from zero in this database; false when other sessions were writing all the time.
#[pg_extern]
fn stat_reset() -> bool {
    statistics::reset()
}

/// Calls that this session has made to a server.
#[pg_extern(strict)]
fn calls_made(server: &str) -> i64 {
    let found = crate::pg::catalog::server_by_name(server);
    i64::try_from(statistics::calls_of(found.oid)).unwrap_or(i64::MAX)
}
