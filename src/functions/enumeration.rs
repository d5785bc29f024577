//! Remote enumerations: picklists, option sets, lists of values (N-1).
//! `sql/enumeration.sql` keeps local copies of them.

use crate::error::OrRaise;
use crate::pg::catalog::{current_user, server_by_name};
use crate::runtime;
use crate::session;
use crm_core::{Enumeration, EnumerationValue, Error, RemoteObject};
use pgrx::prelude::*;
use std::sync::Arc;

/// The values of every enumeration of a server, or of one object. A global one has no object, and its name for a field.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn enumerations(
    server: &str,
    object: default!(Option<String>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(object, Option<String>),
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
    let mut list = |object: Option<&str>, field: &str, values: Vec<EnumerationValue>| {
        for (position, value) in (1..).zip(values) {
            rows.push((
                object.map(str::to_owned),
                field.to_owned(),
                value.value,
                value.label,
                position,
                value.active,
                value.is_default,
                value.controlling,
            ));
        }
    };
    let globals = global(server, object.is_none());
    for object in described(server, object) {
        for field in object.fields {
            list(Some(&object.summary.name), &field.name, field.values);
        }
    }
    for enumeration in globals {
        list(None, &enumeration.name, enumeration.values);
    }
    TableIterator::new(rows)
}

/// The enumerated fields of a server, or of one object: the enumeration's own name, and its values as a JSON list. Those
/// of a whole server are followed by its global enumerations, without object and field.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn enumerated_fields(
    server: &str,
    object: default!(Option<String>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(object, Option<String>),
        name!(field, Option<String>),
        name!(label, String),
        name!(enumeration, String),
        name!(listed, pgrx::JsonB),
    ),
> {
    let mut rows = Vec::new();
    let globals = global(server, object.is_none());
    for object in with_variants(server, described(server, object)) {
        for field in object.fields {
            let Some(enumeration) = field.enumeration else {
                continue;
            };
            rows.push((
                Some(object.summary.name.clone()),
                Some(field.name),
                field.label,
                enumeration,
                listed(field.values),
            ));
        }
    }
    let globals = globals.into_iter();
    rows.extend(globals.map(|one| (None, None, one.label, one.name, listed(one.values))));
    TableIterator::new(rows)
}

/// Values as a JSON list.
fn listed(values: Vec<EnumerationValue>) -> pgrx::JsonB {
    let listed = (1..).zip(values).map(|(position, value): (i32, _)| {
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
    pgrx::JsonB(listed.collect())
}

/// The enumerations of a server that belong to no object; none unless they are wanted.
fn global(server: &str, are_wanted: bool) -> Vec<Enumeration> {
    if !are_wanted {
        return Vec::new();
    }
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    runtime::run(async move { session.global_enumerations(&stats).await })
        .map_err(|error| {
            error.in_context(format!(
                "could not list the global enumerations of server \"{server}\""
            ))
        })
        .map_err(|error| session::noted(&found, error))
        .or_raise()
}

/// The global enumeration of that name as `crm.enumerated_fields` lists it; no row if there is none.
#[pg_extern(strict)]
fn global_enumeration(
    server: &str,
    name: &str,
) -> TableIterator<
    'static,
    (
        name!(label, String),
        name!(enumeration, String),
        name!(listed, pgrx::JsonB),
    ),
> {
    let globals = global(server, true).into_iter();
    let named: Vec<_> = globals
        .filter(|one| one.name == name)
        .map(|one| (one.label, one.name, listed(one.values)))
        .collect();
    TableIterator::new(named)
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

/// One object, or all that can be read, with the values of their enumerations.
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
    let described = runtime::run(async move {
        let mut known = Vec::with_capacity(names.len());
        for object in session.describe(&names, &stats).await? {
            known.push(session.with_values(object, &stats).await?);
        }
        Ok(known)
    });
    described.map_err(about).or_raise()
}
