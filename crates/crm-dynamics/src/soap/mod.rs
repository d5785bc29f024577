//! The Organization service of on-premise servers (Dynamics page, section 13): the same session, another transport.

pub(crate) mod envelope;
mod exchange;
pub(crate) mod fault;
pub(crate) mod policy;

use crate::session::DynamicsSession;
use crate::ws_trust::SamlToken;
use crm_core::{
    AccountInfo, BoxFuture, CallStats, ChangePage, ChangeStream, Deletions, Error, ErrorKind,
    ObjectSummary, Page, PageStream, RecordOutcome, RemoteObject, RemoteQuery, Result, WriteBatch,
    WriteReply,
};
use crm_http::TokenCache;
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
pub(crate) async fn check(_session: &DynamicsSession, _stats: &CallStats) -> Result<AccountInfo> {
    Err(absent())
}

/// All entities.
pub(crate) async fn objects(
    _session: &DynamicsSession,
    _stats: &CallStats,
) -> Result<Vec<ObjectSummary>> {
    Err(absent())
}

/// Entities with their attributes.
pub(crate) async fn describe(
    _session: &DynamicsSession,
    _objects: &[String],
    _stats: &CallStats,
) -> Result<Vec<RemoteObject>> {
    Err(absent())
}

struct Absent;

impl PageStream for Absent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(std::future::ready(Err(absent())))
    }
}

/// Starts reading.
pub(crate) fn scan(
    _session: Arc<DynamicsSession>,
    _query: RemoteQuery,
    _stats: Arc<CallStats>,
) -> Box<dyn PageStream> {
    Box::new(Absent)
}

/// Passes a query in FetchXML through.
pub(crate) fn native(
    _session: Arc<DynamicsSession>,
    _statement: &str,
    _stats: Arc<CallStats>,
) -> Result<Box<dyn PageStream>> {
    Err(absent())
}

/// Number of records.
pub(crate) async fn count(
    _session: &DynamicsSession,
    _query: &RemoteQuery,
    _stats: &CallStats,
) -> Result<u64> {
    Err(absent())
}

/// Sends one batch.
pub(crate) async fn write(
    _session: &DynamicsSession,
    batch: &WriteBatch,
    _stats: &CallStats,
) -> WriteReply {
    WriteReply::not_applied(batch.records.len(), absent())
}

/// What became of records.
pub(crate) async fn settle(
    _session: &DynamicsSession,
    _batch: &WriteBatch,
    _stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    Err(absent())
}

/// The server's clock.
pub(crate) async fn clock(_session: &DynamicsSession, _stats: &CallStats) -> Result<i64> {
    Err(absent())
}

/// Deleted records.
pub(crate) async fn deleted(
    _session: &DynamicsSession,
    _object: &str,
    _start: i64,
    _end: i64,
    _stats: &CallStats,
) -> Result<Deletions> {
    Err(absent())
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
