//! Remote enumerations: picklists, option sets, lists of values (N-1).

use crate::error::OrRaise;
use crate::pg::catalog::{current_user, server_by_name};
use crate::runtime;
use crate::session;
use crm_core::Error;
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
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let about = |error: Error| {
        error.in_context(format!(
            "could not list the enumerations of server \"{server}\""
        ))
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
    let mut rows = Vec::new();
    for object in described.map_err(about).or_raise() {
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
