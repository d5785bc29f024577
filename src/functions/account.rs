//! Accounts: who is signed in where.

use crate::error::OrRaise;
use crate::pg::catalog::{current_user, is_superuser, role_name, server_by_name};
use crate::runtime;
use crate::session;
use pgrx::prelude::*;
use std::sync::Arc;

/// Signs in and says who, which organisation, which interface version and how many calls are left.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn check(
    server: &str,
) -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(user_name, String),
        name!(organization, String),
        name!(host, String),
        name!(api_version, String),
        name!(auth, String),
        name!(calls_used, Option<i64>),
        name!(calls_allowed, Option<i64>),
        name!(calls_left, Option<i64>),
    ),
> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let checking = Arc::clone(&session);
    let stats = session::stats(&found);
    let info = runtime::run(async move { checking.check(&stats).await })
        .map_err(|error| error.in_context(format!("could not sign in to server \"{server}\"")))
        .map_err(|error| session::noted(&found, error))
        .or_raise();
    let usage = session.usage();
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    TableIterator::once((
        found.name,
        info.user,
        info.organization,
        info.host,
        info.api_version,
        info.auth,
        usage.map(|usage| number(usage.used)),
        usage.map(|usage| number(usage.allowed)),
        usage.map(|usage| number(usage.allowed.saturating_sub(usage.used))),
    ))
}

/// The accounts that this backend holds; those of other roles are shown to superusers only.
#[pg_extern]
#[allow(clippy::type_complexity)]
fn connections() -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(role, String),
        name!(signed_in, bool),
        name!(user_name, Option<String>),
        name!(host, Option<String>),
        name!(calls_used, Option<i64>),
        name!(calls_allowed, Option<i64>),
    ),
> {
    let me = current_user();
    let sees_all = is_superuser(me);
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let rows: Vec<_> = session::all()
        .into_iter()
        .filter(|(_, role, _)| sees_all || *role == me)
        .map(|(server, role, session)| {
            let info = session.signed_in();
            let usage = session.usage();
            (
                server,
                role_name(role),
                info.is_some(),
                info.as_ref().map(|info| info.user.clone()),
                info.map(|info| info.host),
                usage.map(|usage| number(usage.used)),
                usage.map(|usage| number(usage.allowed)),
            )
        })
        .collect();
    TableIterator::new(rows)
}

/// Forgets the sign-ins at a server; true if there was one.
#[pg_extern]
fn disconnect(server: &str) -> bool {
    let found = server_by_name(server);
    session::forget(Some(&found.name)) > 0
}

/// Forgets every sign-in of this backend; gives how many there were.
#[pg_extern]
fn disconnect_all() -> i64 {
    i64::try_from(session::forget(None)).unwrap_or(i64::MAX)
}
