//! Deleted records and the clock of the CRM (Salesforce page, section 9).

use crate::session::{Call, SalesforceSession};
use crm_core::{CallStats, Deletions, Error, ErrorKind, Result};

/// The CRM's clock, in whole seconds, as a reply's header tells it. The list of versions is the one address that is
/// not counted against the account's allotment (section 10).
///
/// # Errors
/// [`ErrorKind::Undecodable`] when the reply has no date.
pub(crate) async fn clock(session: &SalesforceSession, stats: &CallStats) -> Result<i64> {
    let reply = session.call(&Call::get("/services/data"), stats).await?;
    reply.date().ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply does not tell the CRM's time",
        )
        .with_hint("A proxy may have removed the header Date.")
    })
}

/// Records deleted in a period.
pub(crate) async fn deleted(
    _session: &SalesforceSession,
    _object: &str,
    _start: i64,
    _end: i64,
    _stats: &CallStats,
) -> Result<Deletions> {
    Err(not_yet())
}

fn not_yet() -> Error {
    Error::new(ErrorKind::NotSupported, "deletions cannot be read")
}
