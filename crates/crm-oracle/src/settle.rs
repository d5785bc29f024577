//! What became of records whose answer was lost (spec X-6): a record that was made is looked for by a field with a
//! value of its own, a deleted one in the trash.
//!
//! A change names its record, and an upsert looks for it, so that both can simply be sent again, unless the change
//! builds on a version. Of a record that was made without such a field nobody can tell.

use crate::find;
use crate::rows::{Form, Row, Rows};
use crate::session::OracleSession;
use crate::trash;
use crate::write::deleted_ones;
use crm_core::{CallStats, Outcomes, RecordOutcome, Result, WriteBatch, check_batch};
use std::collections::HashMap;

/// The key of another system, which the trash keeps.
const EXTERNAL_KEY: &str = "ExternalSystemId";

/// Settles the records of `batch`.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn settle(
    session: &OracleSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    check_batch(batch)?;
    let mut all = Rows::new(batch, session.zone())?;
    // What could not be written was not sent, and stays refused.
    let rejects = std::mem::take(&mut all.rejects);
    let mut outcomes = Outcomes::new(batch.records.len(), rejects);
    match all.form {
        Form::Insert => look_for(session, &all, &mut outcomes, stats).await?,
        Form::Delete => {
            let ids: Vec<String> = all.rows.iter().filter_map(|row| row.key.clone()).collect();
            let gone = deleted_ones(session, &all, &ids, stats).await?;
            for row in &all.rows {
                // What is nowhere is refused when it is sent again, and the refusal tells.
                if let Some(id) = row.key.clone().filter(|id| gone.contains(id)) {
                    outcomes.set(row.at, RecordOutcome::Accepted { id, created: None });
                }
            }
        }
        // Whether a version that has moved on is this change's doing or somebody else's cannot be told.
        Form::Update if all.is_guarded() => {
            for row in &all.rows {
                outcomes.set(row.at, RecordOutcome::Unknown);
            }
        }
        Form::Update | Form::Upsert => {}
    }
    Ok(outcomes.into_reply().outcomes)
}

async fn look_for(
    session: &OracleSession,
    all: &Rows,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let Some(column) = all.journal_key else {
        for row in &all.rows {
            outcomes.set(row.at, RecordOutcome::Unknown);
        }
        return Ok(());
    };
    let name = &all.columns[column];
    let value = |row: &Row| row.cells[column].clone().unwrap_or_default();
    let values: Vec<String> = all.rows.iter().map(value).collect();
    let found = find::by_field(session, &all.object, &all.identifier, name, &values, stats).await?;
    let mut missing = Vec::new();
    for row in &all.rows {
        match find::with_value(&found, &value(row)).first() {
            Some(one) => accept(outcomes, row, one.id.clone()),
            None => missing.push(row),
        }
    }
    // A record with a key of ours is ours even when somebody has deleted it since; with a key of the user's, a deleted
    // one may be older than what was sent.
    if all.key_is_ours && name == EXTERNAL_KEY && !missing.is_empty() {
        let values: Vec<String> = missing.iter().map(|row| value(row)).collect();
        let mut gone = HashMap::new();
        trash::with_value(session, EXTERNAL_KEY, &values, stats, |item| {
            gone.insert(item.external, item.object_id);
        })
        .await?;
        missing.retain(|row| match gone.get(&value(row)) {
            Some(id) => {
                accept(outcomes, row, id.clone());
                false
            }
            None => true,
        });
    }
    for row in missing {
        outcomes.set(row.at, RecordOutcome::NotApplied);
    }
    Ok(())
}

fn accept(outcomes: &mut Outcomes, row: &Row, id: String) {
    outcomes.set(
        row.at,
        RecordOutcome::Accepted {
            id,
            created: Some(true),
        },
    );
}
