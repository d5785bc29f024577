//! The Organization service of on-premise servers (Dynamics page, section 13): the same session, another transport.

mod audit;
#[cfg(test)]
mod bodies;
mod changes;
pub(crate) mod envelope;
mod exchange;
pub(crate) mod fault;
mod fetch;
mod finding;
mod identity;
mod metadata;
mod multiple;
mod native;
mod pages;
pub(crate) mod policy;
mod records;
mod requests;
mod rows;
mod shown;
mod writing;

use crate::session::DynamicsSession;
use crate::ws_trust::SamlToken;
use crm_core::{CallStats, Error, ErrorKind, RemoteObject, Result};
use crm_http::{Reply, TokenCache};
use exchange::Operation;

/// What the transport keeps for a session.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The token of a sign-in by WS-Trust.
    token: TokenCache<SamlToken>,
}

/// Signs in and says who and where.
///
/// # Errors
/// What the sign-in, the network or the server says.
pub(crate) async fn check(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<(String, String)> {
    let reply = who_am_i(session, stats).await?;
    let (user, organization) = identity::read(&reply.body)?;
    let names = identity::names(session, &user, &organization, stats).await;
    Ok((names.0.unwrap_or(user), names.1.unwrap_or(organization)))
}

async fn who_am_i(session: &DynamicsSession, stats: &CallStats) -> Result<Reply> {
    let body = envelope::executed(envelope::execute("q:WhoAmIRequest"), "WhoAmI")?;
    exchange::call(session, &Operation::reading("Execute", body), stats).await
}

pub(crate) use audit::deleted;
pub(crate) use changes::start as changes;
pub(crate) use finding::settle;
pub(crate) use metadata::{entities, objects};
pub(crate) use native::start as native;
pub(crate) use pages::{count, start as scan};
pub(crate) use shown::shown_query;
pub(crate) use writing::write;

/// Entities with their attributes.
///
/// # Errors
/// As [`entities`].
pub(crate) async fn describe(
    session: &DynamicsSession,
    objects: &[String],
    stats: &CallStats,
) -> Result<Vec<RemoteObject>> {
    let entities = entities(session, objects, stats).await?;
    Ok(entities
        .iter()
        .map(|entity| entity.object.clone())
        .collect())
}

/// The server's clock.
///
/// # Errors
/// As [`check`]; [`ErrorKind::NotSupported`] when it does not say.
pub(crate) async fn clock(session: &DynamicsSession, stats: &CallStats) -> Result<i64> {
    let reply = who_am_i(session, stats).await?;
    reply.date().ok_or_else(|| {
        Error::new(
            ErrorKind::NotSupported,
            "the CRM does not say what time it is",
        )
    })
}
