//! Remote enumerations: picklists, option sets, lists of values (N-1).
//! `sql/enumeration.sql` keeps local copies of them.

use crate::error::OrRaise;
use crate::pg::catalog::{current_user, server_by_name};
use crate::runtime;
use crate::session;
use crm_core::{Error, RemoteObject};
use pgrx::prelude::*;
use std::sync::Arc;

/// The values of every enumeration of a server, or of one object.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn enumerations(
    server: &str,
    object: default!(Option<String>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(field, String),
        name!(value, String),
        name!(label, String),
        name!(position, i32),
        name!(active, bool),
        name!(is_default, bool),
        name!(controlling_values, Option<Vec<String>>),
    ),
> {
    let mut rows = Vec::new();
    for object in described(server, object) {
        for field in object.fields {
            for (position, value) in (1..).zip(field.values) {
                rows.push((
                    object.summary.name.clone(),
                    field.name.clone(),
                    value.value,
                    value.label,
                    position,
                    value.active,
                    value.is_default,
                    value.controlling,
                ));
            }
        }
    }
    TableIterator::new(rows)
}

/// The enumerated fields of a server, or of one object: the enumeration's own name, and its values as a JSON list.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn enumerated_fields(
    server: &str,
    object: default!(Option<String>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(object, String),
        name!(field, String),
        name!(label, String),
        name!(enumeration, String),
        name!(listed, pgrx::JsonB),
    ),
> {
    let mut rows = Vec::new();
    for object in with_variants(server, described(server, object)) {
        for field in object.fields {
            let Some(enumeration) = field.enumeration else {
                continue;
            };
            let listed = (1..).zip(field.values).map(|(position, value): (i32, _)| {
                serde_json::json!({
                    "value": value.value,
                    "label": value.label,
                    "position": position,
                    "active": value.active,
                    "is_default": value.is_default,
                    "controlling_values": value.controlling,
                    "record_types": value.variants,
                })
            });
            rows.push((
                object.summary.name.clone(),
                field.name,
                field.label,
                enumeration,
                pgrx::JsonB(listed.collect()),
            ));
        }
    }
    TableIterator::new(rows)
}

/// The objects with what each of their variants offers: a call a variant, none where there are none.
fn with_variants(server: &str, objects: Vec<RemoteObject>) -> Vec<RemoteObject> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let asked = async move {
        let mut known = Vec::with_capacity(objects.len());
        for object in objects {
            known.push(session.with_variants(object, &stats).await?);
        }
        Ok(known)
    };
    runtime::run(asked)
        .map_err(|error| {
            error.in_context(format!(
                "could not list the enumerations of server \"{server}\""
            ))
        })
        .map_err(|error| session::noted(&found, error))
        .or_raise()
}

/// One object, or all that can be read.
fn described(server: &str, object: Option<String>) -> Vec<RemoteObject> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let about = |error: Error| {
        let error = error.in_context(format!(
            "could not list the enumerations of server \"{server}\""
        ));
        session::noted(&found, error)
    };
    let names = match object {
        Some(object) => vec![object],
        None => {
            let (session, stats) = (Arc::clone(&session), Arc::clone(&stats));
            let objects = runtime::run(async move { session.objects(&stats).await });
            let objects = objects.map_err(about).or_raise();
            let readable = objects.into_iter().filter(|object| object.selectable);
            readable.map(|object| object.name).collect()
        }
    };
    let described = runtime::run(async move { session.describe(&names, &stats).await });
    described.map_err(about).or_raise()
}
