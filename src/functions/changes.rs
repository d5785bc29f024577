//! The CRM's clock and its deletion log (L-1, I-2); `sql/changes.sql` and `sql/sync.sql` stand on them.

use crate::error::OrRaise;
use crate::exec::changes;
use crate::functions::catalog::collected;
use crate::pg::catalog::current_user;
use crate::pg::datum::{micros, timestamp};
use crate::runtime;
use crate::session;
use crm_core::{Deletion, ErrorKind};
use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

/// What time it is in the CRM of a foreign table.
#[pg_extern(strict, volatile)]
fn clock(relation: pg_sys::Oid) -> TimestampWithTimeZone {
    let table = collected(relation);
    let session = session::open(&table.server, current_user()).or_raise();
    let stats = session::stats_of_table(&table.server, relation);
    let now = runtime::run(async move { session.clock(&stats).await })
        .map_err(|error| {
            let server = &table.server.name;
            error.in_context(format!("could not read the clock of server \"{server}\""))
        })
        .map_err(|error| session::noted(&table.server, error));
    timestamp(now.or_raise())
}

/// Records of a foreign table's object deleted in a period, both ends included. The first row is about the log: up to
/// when it is complete, and why it may lack deletions; with `tolerant` also why it cannot be read at all.
#[pg_extern(strict, volatile)]
#[allow(clippy::type_complexity)]
fn deletion_log(
    relation: pg_sys::Oid,
    start: TimestampWithTimeZone,
    end: TimestampWithTimeZone,
    tolerant: bool,
) -> TableIterator<
    'static,
    (
        name!(id, Option<String>),
        name!(deleted_at, Option<TimestampWithTimeZone>),
        name!(name, Option<String>),
        name!(deleted_by, Option<String>),
        name!(covered_until, Option<TimestampWithTimeZone>),
        name!(incomplete, Option<String>),
        name!(refused, Option<String>),
    ),
> {
    let table = collected(relation);
    let session = session::open(&table.server, current_user()).or_raise();
    let stats = session::stats_of_table(&table.server, relation);
    let (object, start, end) = (table.options.object.clone(), micros(start), micros(end));
    let log = runtime::run(async move { session.deleted(&object, start, end, &stats).await });
    let about =
        |covered, incomplete, refused| (None, None, None, None, covered, incomplete, refused);
    let log = match log {
        Ok(log) => log,
        Err(error)
            if tolerant
                && matches!(
                    error.kind(),
                    ErrorKind::NotSupported | ErrorKind::OptionValue
                ) =>
        {
            return TableIterator::once(about(None, None, Some(error.message().to_owned())));
        }
        Err(error) => {
            let error = error.in_context(format!(
                "could not read deletions of object \"{}\" from server \"{}\"",
                table.options.object, table.server.name
            ));
            Err(session::noted(&table.server, error)).or_raise()
        }
    };
    let record = |deletion: Deletion| {
        (
            Some(deletion.id),
            deletion.deleted_at.map(timestamp),
            deletion.name,
            deletion.deleted_by,
            None,
            None,
            None,
        )
    };
    let first = about(log.covered_until.map(timestamp), log.incomplete, None);
    TableIterator::new(std::iter::once(first).chain(log.records.into_iter().map(record)))
}

/// The CRM of a foreign table has change tokens, though perhaps not for this object.
#[pg_extern(strict, volatile)]
fn offers_changes(relation: pg_sys::Oid) -> bool {
    changes::are_offered(&collected(relation)).or_raise()
}

/// Has the next scan of a foreign table read what has changed since the token was given, or everything without one.
#[pg_extern(volatile)]
fn follow_changes(relation: pg_sys::Oid, token: Option<String>) {
    changes::follow(collected(relation).relation, token);
}

/// What the scan that followed changes has come to: the records it gave, those that are gone, and the next token.
#[pg_extern(strict, volatile)]
fn followed_changes(
    relation: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(records, i64),
        name!(deleted, Vec<String>),
        name!(token, Option<String>),
    ),
> {
    let reached = changes::reached(relation).or_raise();
    TableIterator::once((
        i64::try_from(reached.records).unwrap_or(i64::MAX),
        reached.deleted.into_iter().collect(),
        reached.token,
    ))
}
