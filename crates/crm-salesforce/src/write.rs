//! Records written over the collections interface and in jobs (Salesforce page, sections 7 and 8).

use crate::session::SalesforceSession;
use crm_core::{
    CallStats, Conversion, Error, ErrorKind, Operation, RecordOutcome, Reject, RemoteField, Result,
    Route, TicketKeeper, Value, WriteBatch, WriteLimits, WriteReply, Zone,
};

/// The most that one batch takes (8.2).
pub(crate) fn limits(_route: Route) -> WriteLimits {
    WriteLimits {
        records: 200,
        bytes: 10_000_000,
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
    (records / 200.0).ceil()
}

/// What the metadata says against a value.
pub(crate) fn check_value(
    _field: &RemoteField,
    _conversion: Conversion,
    _value: Option<&Value>,
    _zone: Zone,
) -> Option<Reject> {
    None
}

/// Sends one batch.
pub(crate) async fn write(
    _session: &SalesforceSession,
    batch: &WriteBatch,
    _tickets: &dyn TicketKeeper,
    _stats: &CallStats,
) -> WriteReply {
    WriteReply::not_applied(batch.records.len(), not_yet())
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
    Error::new(ErrorKind::NotSupported, "records cannot be written")
}
