//! Deleted records.

use crate::session::DynamicsSession;
use crm_core::{CallStats, Deletions, Error, ErrorKind, Result};

/// Records deleted in a period.
///
/// # Errors
/// When the organisation keeps no trace of them.
pub(crate) async fn deleted(
    _session: &DynamicsSession,
    _object: &str,
    _start: i64,
    _end: i64,
    _stats: &CallStats,
) -> Result<Deletions> {
    Err(Error::new(
        ErrorKind::NotSupported,
        "deleted records cannot be listed yet",
    ))
}
