//! What has changed since a change token was given.

use crate::session::DynamicsSession;
use crm_core::{
    BoxFuture, CallStats, ChangePage, ChangeStream, Error, ErrorKind, RemoteQuery, Result,
};
use std::sync::Arc;

struct Absent;

impl ChangeStream for Absent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
        Box::pin(std::future::ready(Err(Error::new(
            ErrorKind::NotSupported,
            "changes cannot be read by token yet",
        ))))
    }
}

/// Starts reading changes; nothing is sent yet.
pub(crate) fn start(
    _session: Arc<DynamicsSession>,
    _query: RemoteQuery,
    _token: Option<String>,
    _stats: Arc<CallStats>,
) -> Box<dyn ChangeStream> {
    Box::new(Absent)
}
