//! The Organization service of on-premise servers (Dynamics page, section 13): the same session, another transport.

mod audit;
pub(crate) mod envelope;
mod exchange;
pub(crate) mod fault;
mod fetch;
mod finding;
mod identity;
mod metadata;
mod multiple;
mod pages;
pub(crate) mod policy;
mod records;
mod requests;
mod rows;
mod writing;

use crate::session::DynamicsSession;
use crate::ws_trust::SamlToken;
use crm_core::{
    BoxFuture, CallStats, ChangePage, ChangeStream, Error, ErrorKind, Page, PageStream,
    RemoteObject, RemoteQuery, Result,
};
use crm_http::{Reply, TokenCache};
use exchange::Operation;
use std::sync::Arc;

/// What the transport keeps for a session.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The token of a sign-in by WS-Trust.
    token: TokenCache<SamlToken>,
}

fn absent() -> Error {
    Error::new(ErrorKind::NotSupported, "SOAP is not spoken yet")
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
pub(crate) use finding::settle;
pub(crate) use metadata::{entities, objects};
pub(crate) use pages::{count, start as scan};
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

struct Absent;

impl PageStream for Absent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(std::future::ready(Err(absent())))
    }
}

/// Passes a query in FetchXML through.
pub(crate) fn native(
    _session: Arc<DynamicsSession>,
    _statement: &str,
    _stats: Arc<CallStats>,
) -> Result<Box<dyn PageStream>> {
    Err(absent())
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

impl ChangeStream for Absent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
        Box::pin(std::future::ready(Err(absent())))
    }
}

/// Starts reading changes.
pub(crate) fn changes(
    _session: Arc<DynamicsSession>,
    _query: RemoteQuery,
    _token: Option<String>,
    _stats: Arc<CallStats>,
) -> Box<dyn ChangeStream> {
    Box::new(Absent)
}
