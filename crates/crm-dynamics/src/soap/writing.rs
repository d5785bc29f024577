//! Records written by several requests in one message (Dynamics page 13.2): the answer tells of each record.
//!
//! A create whose answer is lost is not sent again unless it carries an identifier or key of ours; what names its
//! record is, as often as the policy allows (spec E-5).

use super::exchange::{self, Operation};
use super::fault::Fault;
use super::multiple;
use super::records::{Typed, value};
use super::requests::{Columns, Row, Rows};
use super::{envelope, finding};
use crate::error::code_of_number;
use crate::ids;
use crate::plan::Form;
use crate::reject::{RecordFault, reject};
use crate::session::DynamicsSession;
use crm_core::{
    CallStats, ErrorKind, Outcomes, RecordOutcome, Result, WriteBatch, WriteReply, check_batch,
};
use crm_http::{Patience, StatusCode};
use std::time::Duration;

/// Bytes of a message. Servers take some more by default, and each has two minutes.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// Sends one batch.
pub(crate) async fn write(
    session: &DynamicsSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> WriteReply {
    let mut all = match rows(session, batch, stats).await {
        Ok(all) => all,
        Err(error) => return WriteReply::not_applied(batch.records.len(), error),
    };
    let rejects = std::mem::take(&mut all.rejects);
    let mut outcomes = Outcomes::new(batch.records.len(), rejects);
    let rows = std::mem::take(&mut all.rows);
    let sending = Sending {
        session,
        batch,
        all: &all,
        stats,
    };
    for chunk in chunks(&rows) {
        if !sending.send(chunk.iter().collect(), &mut outcomes).await {
            // The rest has not been sent; it would fare the same.
            break;
        }
    }
    outcomes.into_reply()
}

/// The requests of a batch, with the metadata that they need.
///
/// # Errors
/// When the CRM cannot be asked for it, or the batch is no batch.
pub(crate) async fn rows(
    session: &DynamicsSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> Result<Rows> {
    check_batch(batch)?;
    let entity = session.entity(&batch.object, stats).await?;
    let columns = Columns::new(batch, &entity)?;
    let unsaid = columns.unsaid(&batch.records);
    let found = finding::find(session, &unsaid, stats).await?;
    Ok(columns.rows(batch, &found, session.zone()))
}

/// Rows by messages, none too large.
fn chunks(rows: &[Row]) -> Vec<&[Row]> {
    let mut chunks = Vec::new();
    let (mut start, mut length) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        let is_full = at - start == multiple::LARGEST
            || (at > start && length + row.request.len() > LARGEST_MESSAGE);
        if is_full {
            chunks.push(&rows[start..at]);
            (start, length) = (at, 0);
        }
        length += row.request.len();
    }
    if start < rows.len() {
        chunks.push(&rows[start..]);
    }
    chunks
}

/// What the rows of a batch are sent with.
struct Sending<'a> {
    session: &'a DynamicsSession,
    batch: &'a WriteBatch,
    all: &'a Rows,
    stats: &'a CallStats,
}

/// What an answer tells of one record.
#[derive(Clone, Debug, Default)]
struct Told {
    id: Option<String>,
    created: Option<bool>,
}

/// A record that was refused, and how.
struct Refused<'a> {
    row: &'a Row,
    fault: RecordFault,
}

impl Sending<'_> {
    /// Sends rows in one message, and those again that somebody else held. False when the call as a whole failed.
    async fn send(&self, mut left: Vec<&Row>, outcomes: &mut Outcomes) -> bool {
        let mut patience = Patience::new(self.session.policy());
        // An earlier try may have been carried out although its answer did not come.
        let mut done_before = false;
        let mut to_confirm = Vec::new();
        while !left.is_empty() {
            let body = match message(&left) {
                Ok(body) => body,
                Err(error) => {
                    outcomes.fail(error);
                    break;
                }
            };
            let mut operation = Operation::reading("Execute", body).for_data();
            if !self.all.plan.is_repeatable() {
                operation = operation.once();
            }
            let answered = exchange::exchange(self.session, &operation, self.stats).await;
            let answered = match answered {
                Ok(answered) => answered,
                Err(trouble) => {
                    // A message that holds a fault comes with success, see `exchange`.
                    let is_fault = trouble.status == Some(StatusCode::OK);
                    let may_be_done = done_before
                        || trouble.may_be_done
                        || (is_fault && !turns_away(trouble.error.kind()));
                    let outcome = match may_be_done {
                        true => RecordOutcome::Unknown,
                        false => RecordOutcome::NotApplied,
                    };
                    set_all(&left, &outcome, outcomes);
                    outcomes.fail(trouble.error);
                    break;
                }
            };
            done_before |= answered.done_before;
            let (told, faults) = match read(&answered.reply.body, left.len()) {
                Ok(read) => read,
                Err(error) => {
                    done_before = true;
                    if self.all.plan.is_repeatable() && patience.wait(None, self.stats).await {
                        continue;
                    }
                    set_all(&left, &RecordOutcome::Unknown, outcomes);
                    outcomes.fail(error);
                    break;
                }
            };
            let mut waiting = Vec::new();
            let mut asked: Option<Duration> = None;
            for ((row, told), fault) in left.iter().zip(told).zip(faults) {
                let Some(fault) = fault else {
                    outcomes.set(row.at, self.accepted(row, told, done_before));
                    continue;
                };
                asked = asked.max(fault.retry_after);
                let refused = Refused {
                    row,
                    fault: record_fault(&fault),
                };
                if refused.fault.may_pass() {
                    waiting.push(refused);
                } else if self.all.plan.ids_are_ours && refused.fault.is_duplicate() {
                    to_confirm.push(refused);
                } else {
                    outcomes.set(row.at, self.refused(&refused, done_before));
                }
            }
            if !waiting.is_empty() && !patience.wait(asked, self.stats).await {
                self.give_up(&waiting, done_before, outcomes);
                waiting.clear();
            }
            left = waiting.into_iter().map(|waiting| waiting.row).collect();
        }
        if !to_confirm.is_empty() {
            self.confirm(&to_confirm, outcomes).await;
        }
        !outcomes.has_failed()
    }

    fn accepted(&self, row: &Row, told: Told, done_before: bool) -> RecordOutcome {
        let created = match self.all.plan.form {
            Form::Create => Some(true),
            Form::Update => Some(false),
            // What was there the second time may have been made the first time.
            Form::Upsert => told.created.filter(|created| *created || !done_before),
            Form::Delete => None,
        };
        match row.id.clone().or(told.id) {
            Some(id) => RecordOutcome::Accepted { id, created },
            // It is there, but nobody knows under which name.
            None => RecordOutcome::Unknown,
        }
    }

    fn refused(&self, refused: &Refused<'_>, done_before: bool) -> RecordOutcome {
        let Refused { row, fault } = refused;
        match &row.id {
            // The try whose answer was lost has deleted it.
            Some(id) if self.all.plan.form == Form::Delete && done_before && fault.is_gone(id) => {
                RecordOutcome::Accepted {
                    id: id.clone(),
                    created: None,
                }
            }
            id => {
                let names = self.batch.fields.iter().map(|field| field.name.as_str());
                RecordOutcome::Rejected(reject(fault, id.as_deref(), names))
            }
        }
    }

    /// Records that stay locked, or for which the account may make no more calls.
    fn give_up(&self, waiting: &[Refused<'_>], done_before: bool, outcomes: &mut Outcomes) {
        for refused in waiting {
            let at = refused.row.at;
            if done_before {
                outcomes.set(at, RecordOutcome::Unknown);
                outcomes.fail(refused.fault.error());
            } else if refused.fault.is_throttled() {
                outcomes.set(at, RecordOutcome::NotApplied);
                outcomes.fail(refused.fault.error());
            } else {
                outcomes.set(at, self.refused(refused, false));
            }
        }
    }

    /// A record with an identifier of ours that is there already was made by an earlier try; where it is not there, an
    /// alternate key is taken, which has the same codes.
    async fn confirm(&self, all: &[Refused<'_>], outcomes: &mut Outcomes) {
        let ids: Vec<String> = all
            .iter()
            .filter_map(|refused| refused.row.id.clone())
            .collect();
        match finding::existing(self.session, &self.batch.object, &ids, self.stats).await {
            Ok(there) => {
                for refused in all {
                    let outcome = match &refused.row.id {
                        Some(id) if there.contains(id) => RecordOutcome::Accepted {
                            id: id.clone(),
                            created: Some(true),
                        },
                        _ => self.refused(refused, false),
                    };
                    outcomes.set(refused.row.at, outcome);
                }
            }
            Err(error) => {
                for refused in all {
                    outcomes.set(refused.row.at, RecordOutcome::Unknown);
                }
                outcomes.fail(error);
            }
        }
    }
}

/// A fault of the message as a whole that came before any of its requests was run. Others may come in the middle, for
/// each request is a transaction of its own.
fn turns_away(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotPermitted
            | ErrorKind::LoginRefused
            | ErrorKind::AllotmentUsedUp
            | ErrorKind::ObjectUnknown
            | ErrorKind::FieldUnknown
            | ErrorKind::NotSupported
    )
}

/// The message that holds these requests.
///
/// # Errors
/// When a value holds a character that XML cannot carry.
pub(crate) fn message(rows: &[&Row]) -> Result<String> {
    let mut writer = multiple::begin();
    for row in rows {
        writer.raw(&row.request);
    }
    multiple::end(writer)
}

type Answers = (Vec<Told>, Vec<Option<Fault>>);

fn read(body: &[u8], n_rows: usize) -> Result<Answers> {
    let mut told = vec![Told::default(); n_rows];
    let faults = multiple::answers(body, n_rows, |at, reader| {
        envelope::pairs(reader, |key, reader| {
            let told = &mut told[at];
            match (key, value(reader)?) {
                ("id", Typed::Text(id)) => told.id = ids::canonical(&id),
                ("Target", Typed::Reference { id, .. }) => told.id = ids::canonical(&id),
                ("RecordCreated", Typed::Bool(text)) => told.created = Some(&*text == "true"),
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok((told, faults))
}

fn record_fault(fault: &Fault) -> RecordFault {
    RecordFault {
        status: 0,
        code: code_of_number(fault.number),
        message: fault.text.clone(),
    }
}

fn set_all(rows: &[&Row], outcome: &RecordOutcome, outcomes: &mut Outcomes) {
    for row in rows {
        outcomes.set(row.at, outcome.clone());
    }
}

#[cfg(test)]
mod tests;
