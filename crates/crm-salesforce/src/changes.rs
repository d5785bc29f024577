//! Deleted records and the clock of the CRM (Salesforce page, section 9).

use crate::session::SalesforceSession;
use crm_core::{CallStats, Deletions, Error, ErrorKind, Result};

/// The CRM's clock, as its replies tell it.
pub(crate) async fn clock(_session: &SalesforceSession, _stats: &CallStats) -> Result<i64> {
    Err(not_yet())
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
