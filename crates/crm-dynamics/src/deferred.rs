//! Streams that begin when the first page is asked for: only then is it known by which transport the account is read.

use crate::session::{DynamicsSession, Transport};
use crm_core::{BoxFuture, CallStats, ChangePage, ChangeStream, Page, PageStream, Result};
use std::sync::Arc;

type Start<S> =
    dyn FnOnce(Arc<DynamicsSession>, Transport, Arc<CallStats>) -> Result<Box<S>> + Send;

/// A stream, or how to begin it.
struct Deferred<S: ?Sized> {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    start: Option<Box<Start<S>>>,
    begun: Option<Box<S>>,
}

impl<S: ?Sized> Deferred<S> {
    fn new(
        session: Arc<DynamicsSession>,
        stats: Arc<CallStats>,
        start: impl FnOnce(Arc<DynamicsSession>, Transport, Arc<CallStats>) -> Result<Box<S>>
        + Send
        + 'static,
    ) -> Self {
        Self {
            session,
            stats,
            start: Some(Box::new(start)),
            begun: None,
        }
    }

    /// The stream; nothing where it could not begin, which was said then.
    async fn begun(&mut self) -> Result<Option<&mut S>> {
        if self.begun.is_none() {
            let transport = self.session.transport(&self.stats).await?;
            if let Some(start) = self.start.take() {
                let session = Arc::clone(&self.session);
                self.begun = Some(start(session, transport, Arc::clone(&self.stats))?);
            }
        }
        Ok(self.begun.as_deref_mut())
    }
}

/// Pages of records.
pub(crate) struct DeferredPages(Deferred<dyn PageStream>);

/// Pages of changes.
pub(crate) struct DeferredChanges(Deferred<dyn ChangeStream>);

impl DeferredPages {
    /// Pages that `start` begins.
    pub(crate) fn new(
        session: Arc<DynamicsSession>,
        stats: Arc<CallStats>,
        start: impl FnOnce(
            Arc<DynamicsSession>,
            Transport,
            Arc<CallStats>,
        ) -> Result<Box<dyn PageStream>>
        + Send
        + 'static,
    ) -> Self {
        Self(Deferred::new(session, stats, start))
    }
}

impl DeferredChanges {
    /// Changes that `start` begins.
    pub(crate) fn new(
        session: Arc<DynamicsSession>,
        stats: Arc<CallStats>,
        start: impl FnOnce(
            Arc<DynamicsSession>,
            Transport,
            Arc<CallStats>,
        ) -> Result<Box<dyn ChangeStream>>
        + Send
        + 'static,
    ) -> Self {
        Self(Deferred::new(session, stats, start))
    }
}

impl PageStream for DeferredPages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(async move {
            match self.0.begun().await? {
                Some(pages) => pages.next().await,
                None => Ok(None),
            }
        })
    }
}

impl ChangeStream for DeferredChanges {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
        Box::pin(async move {
            match self.0.begun().await? {
                Some(changes) => changes.next().await,
                None => Ok(None),
            }
        })
    }
}
