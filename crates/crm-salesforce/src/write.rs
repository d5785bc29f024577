//! Records written in calls or in jobs (Salesforce page, sections 7 and 8): which way, how many at once, how dear.

use crate::collections;
use crate::outcomes::Outcomes;
use crate::rows::Rows;
use crate::session::SalesforceSession;
use crm_core::{
    CallStats, Error, ErrorKind, Operation, RecordOutcome, Result, Route, TicketKeeper, WriteBatch,
    WriteLimits, WriteReply, check_batch,
};

/// The most that one batch takes.
pub(crate) fn limits(_route: Route) -> WriteLimits {
    WriteLimits {
        records: collections::LARGEST_CALL,
        bytes: collections::LARGEST_BODY,
    }
}

/// How records travel.
pub(crate) fn route(
    _operation: Operation,
    _records: usize,
    _transport: Option<&str>,
    _settles: bool,
) -> Route {
    Route::Calls
}

/// Calls that writing takes.
pub(crate) fn estimate_calls(_route: Route, records: f64) -> f64 {
    (records / collections::LARGEST_CALL as f64).ceil()
}

/// Sends one batch.
pub(crate) async fn write(
    session: &SalesforceSession,
    batch: &WriteBatch,
    _tickets: &dyn TicketKeeper,
    stats: &CallStats,
) -> WriteReply {
    let rows = check_batch(batch).and_then(|()| Rows::new(batch, session.zone()));
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return WriteReply::not_applied(batch.records.len(), error),
    };
    let mut outcomes = Outcomes::new(batch.records.len(), std::mem::take(&mut rows.rejects));
    collections::send(session, &rows, &rows.rows, &mut outcomes, stats).await;
    outcomes.into_reply()
}

/// Settles records that were sent without an answer.
pub(crate) async fn settle(
    _session: &SalesforceSession,
    _batch: &WriteBatch,
    _ticket: Option<&str>,
    _stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    Err(not_yet())
}

fn not_yet() -> Error {
    Error::new(ErrorKind::NotSupported, "records cannot be settled")
}
