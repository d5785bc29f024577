//! Pages of a query, one after the other (Dynamics page, section 6).

use crate::lookup;
use crate::session::DynamicsSession;
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result};
use std::sync::Arc;

/// Records a page at most.
const LARGEST_PAGE: u32 = 5_000;

/// Records a page for a wish of the user's.
pub(crate) fn page_size(wish: Option<u32>) -> u32 {
    wish.map_or(LARGEST_PAGE, |wish| wish.clamp(1, LARGEST_PAGE))
}

/// Data calls that reading so many records takes.
pub(crate) fn estimate_calls(query: &RemoteQuery, rows: f64) -> f64 {
    if !query.aggregates.is_empty() {
        return 1.0;
    }
    if let Some(ids) = &query.lookup {
        // While a statement is planned the identifiers are not known yet, only how many are expected.
        let wanted = if ids.is_empty() {
            rows
        } else {
            ids.len() as f64
        };
        return (wanted / lookup::BATCH as f64).ceil().max(1.0);
    }
    let rows = query.limit.map_or(rows, |limit| rows.min(limit as f64));
    (rows / f64::from(page_size(query.page_size)))
        .ceil()
        .max(1.0)
}

struct Absent;

impl PageStream for Absent {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(std::future::ready(Err(absent())))
    }
}

fn absent() -> Error {
    Error::new(ErrorKind::NotSupported, "records cannot be read yet")
}

/// A scan by identifiers or by a query; nothing is sent yet.
pub(crate) fn start(
    _session: Arc<DynamicsSession>,
    _query: RemoteQuery,
    _stats: Arc<CallStats>,
) -> Box<dyn PageStream> {
    Box::new(Absent)
}

/// How many records match the query's filter.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn count(
    _session: &DynamicsSession,
    _query: &RemoteQuery,
    _stats: &CallStats,
) -> Result<u64> {
    Err(absent())
}
