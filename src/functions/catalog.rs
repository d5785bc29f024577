//! What can be collected: objects and fields (C-1).

use crate::error::OrRaise;
use crate::exec::import::sql_type;
use crate::options::CollectedTable;
use crate::pg::catalog::{current_user, server_by_name};
use crate::runtime;
use crate::session;
use crm_core::{ColumnType, Error, ErrorKind};
use pgrx::prelude::*;

/// Every remote object; `crm.tables` adds where it was collected into.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn remote_objects(
    server: &str,
) -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(label, String),
        name!(custom, bool),
        name!(selectable, bool),
        name!(insertable, bool),
        name!(updatable, bool),
        name!(deletable, bool),
        name!(changes_tracked, bool),
        name!(deletions_tracked, bool),
    ),
> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let objects = runtime::run(async move { session.objects(&stats).await })
        .map_err(|error| {
            error.in_context(format!("could not list the objects of server \"{server}\""))
        })
        .map_err(|error| session::noted(&found, error))
        .or_raise();
    TableIterator::new(objects.into_iter().map(|object| {
        (
            object.name,
            object.label,
            object.custom,
            object.selectable,
            object.insertable,
            object.updatable,
            object.deletable,
            object.changes_tracked,
            object.deletions_tracked,
        )
    }))
}

/// The fields of one object with their remote and local types.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn fields(
    server: &str,
    object: &str,
) -> TableIterator<
    'static,
    (
        name!(field, String),
        name!(label, String),
        name!(remote_type, String),
        name!(local_type, String),
        name!(length, Option<i64>),
        name!(precision, Option<i64>),
        name!(scale, Option<i64>),
        name!(nullable, bool),
        name!(required, bool),
        name!(insertable, bool),
        name!(updatable, bool),
        name!(filterable, bool),
        name!(sortable, bool),
        name!(enumeration, Option<String>),
        name!(references_to, Option<Vec<String>>),
    ),
> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let wanted = object.to_owned();
    let described = runtime::run(async move { session.describe(&[wanted], &stats).await })
        .and_then(|mut objects| {
            objects.pop().ok_or_else(|| {
                Error::new(
                    ErrorKind::ObjectUnknown,
                    format!("object \"{object}\" does not exist"),
                )
            })
        })
        .map_err(|error| {
            error.in_context(format!(
                "could not describe object \"{object}\" of server \"{server}\""
            ))
        })
        .map_err(|error| session::noted(&found, error))
        .or_raise();
    TableIterator::new(described.fields.into_iter().map(|field| {
        (
            field.name,
            field.label,
            field.remote_type,
            sql_type(field.column_type.unwrap_or(ColumnType::Text)).to_owned(),
            field.length.map(i64::from),
            field.precision.map(|(precision, _)| i64::from(precision)),
            field.precision.map(|(_, scale)| i64::from(scale)),
            field.nullable,
            field.required,
            field.creatable,
            field.updatable,
            field.filterable,
            field.sortable,
            field.enumeration,
            (!field.references.is_empty()).then_some(field.references),
        )
    }))
}

/// An identifier of a foreign table's CRM in the form its records carry; null for what is none (S-4).
#[pg_extern(strict)]
fn canonical_id(relation: pg_sys::Oid, id: &str) -> Option<String> {
    collected(relation).connector.canonical_key(id)
}

/// The column of a foreign table that is the record identifier, if one is.
#[pg_extern(strict)]
fn identifier_column(relation: pg_sys::Oid) -> Option<String> {
    let columns = collected(relation).columns;
    let identifier = columns.into_iter().find(|column| column.facts.identifier);
    identifier.map(|column| column.name)
}

/// The type of a list of identifiers that can be compared with a foreign table's: `uuid[]`, or `text[]`.
#[pg_extern(strict)]
fn identifiers_type(relation: pg_sys::Oid) -> &'static str {
    let columns = collected(relation).columns;
    let is_uuid = columns
        .iter()
        .any(|column| column.facts.identifier && column.type_oid == pg_sys::UUIDOID);
    if is_uuid { "uuid[]" } else { "text[]" }
}

/// The columns of a foreign table, each with its remote object and field, the identifier, and the rank of those that
/// say when a record was last changed, the first one 1 (I-1).
#[pg_extern(strict)]
#[allow(clippy::type_complexity)]
fn collected_columns(
    relation: pg_sys::Oid,
) -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(object, String),
        name!(number, i16),
        name!(column_name, String),
        name!(field, String),
        name!(identifier, bool),
        name!(computed, bool),
        name!(modification_rank, Option<i32>),
        name!(sync_overlap, i32),
        name!(sync_computed, bool),
    ),
> {
    let table = collected(relation);
    let stamps = table.connector.modification_fields(&table.options.object);
    let overlap = i32::try_from(table.options.sync_overlap).unwrap_or(i32::MAX);
    TableIterator::new(table.columns.into_iter().map(move |column| {
        let of_field = |stamp: &&str| stamp.eq_ignore_ascii_case(&column.facts.name);
        let rank = (1..).zip(stamps).find(|(_, stamp)| of_field(stamp));
        (
            table.server.name.clone(),
            table.options.object.clone(),
            column.number,
            column.name,
            column.facts.name.clone(),
            column.facts.identifier,
            column.computed,
            rank.map(|(rank, _)| rank),
            overlap,
            table.options.sync_computed,
        )
    }))
}

/// A foreign table that the caller names and may read.
pub fn collected(relation: pg_sys::Oid) -> CollectedTable {
    crate::pg::catalog::lock_readable_foreign_table(relation);
    CollectedTable::read(relation).or_raise()
}
