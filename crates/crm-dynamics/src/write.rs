//! Records written in batches.

use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Operation, WriteBatch, WriteLimits, WriteReply};

/// Records that one call takes (Dynamics page 7.4).
const LARGEST_CALL: usize = 1_000;

/// The most that one batch takes.
pub(crate) fn limits(_operation: Operation) -> WriteLimits {
    WriteLimits {
        records: LARGEST_CALL,
        bytes: 16 * 1024 * 1024,
    }
}

/// Calls that writing takes.
pub(crate) fn estimate_calls(_operation: Operation, records: f64) -> f64 {
    (records / LARGEST_CALL as f64).ceil()
}

/// Sends one batch.
pub(crate) async fn write(
    _session: &DynamicsSession,
    batch: &WriteBatch,
    _stats: &CallStats,
) -> WriteReply {
    let error = Error::new(ErrorKind::NotSupported, "records cannot be written yet");
    WriteReply::not_applied(batch.records.len(), error)
}
