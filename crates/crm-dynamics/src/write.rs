//! Records written in batches of single requests (Dynamics page 7.4): the answer tells of each record.
//!
//! A create whose answer is lost is not sent again unless it carries an identifier or key of ours; what names its
//! record is, as often as the policy allows (spec E-5).

use crate::batch::{self, Part, PartReply};
use crate::ids;
use crate::multiple::{self, Tried};
use crate::navigation::{self, addresses};
use crate::plan::Form;
use crate::reject::{RecordFault, reject};
use crate::rows::{Columns, Row, Rows, Surroundings};
use crate::session::DynamicsSession;
use crm_core::{
    CallStats, Error, ErrorKind, Operation, Outcomes, RecordOutcome, Result, WriteBatch,
    WriteLimits, WriteReply, check_batch,
};
use crm_http::{Call, Method, Patience};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Bytes of a body. The vendor takes more, but a lost call is sent whole again, and each has two minutes.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// The most that one batch takes.
pub(crate) fn limits(_operation: Operation) -> WriteLimits {
    WriteLimits {
        records: batch::LARGEST_BATCH,
        bytes: LARGEST_BODY,
    }
}

/// Calls that writing takes.
pub(crate) fn estimate_calls(_operation: Operation, records: f64) -> f64 {
    (records / batch::LARGEST_BATCH as f64).ceil()
}

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
    let names: Vec<&str> = batch
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    let sending = Sending {
        session,
        all: &all,
        names: &names,
        stats,
    };
    for chunk in rows.chunks(batch::LARGEST_BATCH) {
        let object = &batch.object;
        let tried = multiple::send(session, object, &all, chunk, &mut outcomes, stats).await;
        let goes_on = match tried {
            Tried::Written => true,
            Tried::Failed => false,
            Tried::Nothing | Tried::Lost => {
                let chunk = chunk.iter().collect();
                let done_before = tried == Tried::Lost;
                sending.send(chunk, done_before, &mut outcomes).await
            }
        };
        if !goes_on {
            // The rest has not been sent; it would fare the same.
            break;
        }
    }
    outcomes.into_reply()
}

/// The rows of a batch, with the metadata that they need.
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
    let addresses = if columns.binds(&batch.records) {
        addresses(session, stats).await?
    } else {
        Default::default()
    };
    let unsaid = columns.unsaid(&batch.records);
    let found = if unsaid.is_empty() {
        HashSet::new()
    } else {
        navigation::find(session, &unsaid, stats).await?
    };
    let around = Surroundings {
        entity: &entity,
        addresses: &addresses,
        found: &found,
        zone: session.zone(),
        is_old: session.version().starts_with("8."),
        base: &session.path(""),
    };
    Ok(columns.rows(batch, &around))
}

/// What the rows of a batch are sent with.
struct Sending<'a> {
    session: &'a DynamicsSession,
    all: &'a Rows,
    names: &'a [&'a str],
    stats: &'a CallStats,
}

/// A record that was refused for a reason that may pass.
struct Waiting<'a> {
    row: &'a Row,
    fault: RecordFault,
}

impl Sending<'_> {
    /// Sends rows in one call, and those again that somebody else held. `done_before` says that an earlier try may have
    /// been carried out although its answer did not come. False when the call as a whole failed.
    async fn send(
        &self,
        mut left: Vec<&Row>,
        mut done_before: bool,
        outcomes: &mut Outcomes,
    ) -> bool {
        let mut patience = Patience::new(self.session.policy());
        let mut to_confirm = Vec::new();
        while !left.is_empty() {
            let call = self.call(&left);
            let answered = match self.session.exchange(&call, self.stats).await {
                Ok(answered) => answered,
                Err(trouble) => {
                    let outcome = match trouble.may_be_done || done_before {
                        true => RecordOutcome::Unknown,
                        false => RecordOutcome::NotApplied,
                    };
                    set_all(&left, &outcome, outcomes);
                    outcomes.fail(trouble.error);
                    break;
                }
            };
            done_before |= answered.done_before;
            let reply = &answered.reply;
            // A server that passes over the wish to go on answers with the status of what failed and leaves out
            // what it has not come to (7.4).
            let has_stopped = !reply.status.is_success();
            let replies = batch::replies(reply.header("content-type"), &reply.body)
                .and_then(|replies| counted(replies, left.len(), has_stopped));
            let replies = match replies {
                Ok(replies) => replies,
                Err(error) => {
                    done_before = true;
                    if self.all.is_repeatable() && patience.wait(None, self.stats).await {
                        continue;
                    }
                    set_all(&left, &RecordOutcome::Unknown, outcomes);
                    outcomes.fail(error);
                    break;
                }
            };
            let mut waiting = Vec::new();
            let mut asked = None;
            for (row, reply) in left.iter().zip(&replies) {
                match self.judge(row, reply, done_before) {
                    Judged::Known(outcome) => outcomes.set(row.at, outcome),
                    Judged::Duplicate(fault) => to_confirm.push(Waiting { row, fault }),
                    Judged::MayPass(fault) => {
                        asked = asked.max(retry_after(reply));
                        waiting.push(Waiting { row, fault });
                    }
                }
            }
            let unreached: Vec<&Row> = left[replies.len()..].to_vec();
            if !waiting.is_empty() && !patience.wait(asked, self.stats).await {
                self.give_up(waiting, done_before, outcomes);
                waiting = Vec::new();
            }
            left = waiting.into_iter().map(|waiting| waiting.row).collect();
            left.extend(unreached);
            left.sort_by_key(|row| row.at);
        }
        if !to_confirm.is_empty() {
            self.confirm(to_confirm, outcomes).await;
        }
        !outcomes.has_failed()
    }

    fn call(&self, rows: &[&Row]) -> Call {
        let body = batch::body(rows.iter().map(|row| &row.part));
        let mut call = Call::new(Method::POST, self.session.path("$batch"))
            .body(batch::CONTENT_TYPE, body)
            .header(batch::PREFER, batch::GO_ON)
            .for_data();
        if !self.all.is_repeatable() {
            call = call.once();
        }
        call
    }

    fn judge(&self, row: &Row, reply: &PartReply<'_>, done_before: bool) -> Judged {
        if reply.is_success() {
            return Judged::Known(self.accepted(row, reply, done_before));
        }
        let fault = RecordFault::of(reply);
        if fault.may_pass() {
            return Judged::MayPass(fault);
        }
        if self.all.ids_are_ours && fault.is_duplicate() {
            return Judged::Duplicate(fault);
        }
        Judged::Known(match &row.id {
            // The try whose answer was lost has deleted it.
            Some(id) if self.all.form == Form::Delete && done_before && fault.is_gone(id) => {
                RecordOutcome::Accepted {
                    id: id.clone(),
                    created: None,
                }
            }
            _ => self.rejected(row, &fault),
        })
    }

    fn accepted(&self, row: &Row, reply: &PartReply<'_>, done_before: bool) -> RecordOutcome {
        let created = match (self.all.form, reply.status) {
            (Form::Create, _) => Some(true),
            (Form::Update, _) => Some(false),
            // What was there the second time may have been made the first time.
            (Form::Upsert, 201) => Some(true),
            (Form::Upsert, 200) if !done_before => Some(false),
            (Form::Upsert | Form::Delete, _) => None,
        };
        match row.id.clone().or_else(|| told_id(reply)) {
            Some(id) => RecordOutcome::Accepted { id, created },
            // It is there, but nobody knows under which name.
            None => RecordOutcome::Unknown,
        }
    }

    fn rejected(&self, row: &Row, fault: &RecordFault) -> RecordOutcome {
        let names = self.names.iter().copied();
        RecordOutcome::Rejected(reject(fault, row.id.as_deref(), names))
    }

    /// Records that stay locked, or for which the account may make no more calls.
    fn give_up(&self, waiting: Vec<Waiting<'_>>, done_before: bool, outcomes: &mut Outcomes) {
        for Waiting { row, fault } in waiting {
            if done_before {
                outcomes.set(row.at, RecordOutcome::Unknown);
                outcomes.fail(Error::new(
                    ErrorKind::RecordLocked,
                    "records whose first answer was lost stay locked",
                ));
            } else if fault.is_throttled() || fault.status == 503 {
                outcomes.set(row.at, RecordOutcome::NotApplied);
                outcomes.fail(fault.error());
            } else {
                outcomes.set(row.at, self.rejected(row, &fault));
            }
        }
    }

    /// A record with an identifier of ours that is there already was made by an earlier try; where it is not there, an
    /// alternate key is taken, which has the same codes.
    async fn confirm(&self, refused: Vec<Waiting<'_>>, outcomes: &mut Outcomes) {
        let parts: Vec<Part> = (refused.iter())
            .map(|waiting| {
                let id = waiting.row.id.as_deref().unwrap_or_default();
                Part::get(format!("{}({id})", waiting.row.part.target))
            })
            .collect();
        match navigation::exist(self.session, &parts, self.stats).await {
            Ok(there) => {
                for (Waiting { row, fault }, is_there) in refused.into_iter().zip(there) {
                    let outcome = match &row.id {
                        Some(id) if is_there => RecordOutcome::Accepted {
                            id: id.clone(),
                            created: Some(true),
                        },
                        _ => self.rejected(row, &fault),
                    };
                    outcomes.set(row.at, outcome);
                }
            }
            Err(error) => {
                for waiting in refused {
                    outcomes.set(waiting.row.at, RecordOutcome::Unknown);
                }
                outcomes.fail(error);
            }
        }
    }
}

enum Judged {
    /// The last word.
    Known(RecordOutcome),
    /// Refused because there is such a record: perhaps this one.
    Duplicate(RecordFault),
    /// Refused for now.
    MayPass(RecordFault),
}

fn set_all(rows: &[&Row], outcome: &RecordOutcome, outcomes: &mut Outcomes) {
    for row in rows {
        outcomes.set(row.at, outcome.clone());
    }
}

/// As many replies as there were requests; fewer, but some, where the server has stopped at a failure.
fn counted(
    replies: Vec<PartReply<'_>>,
    n_sent: usize,
    has_stopped: bool,
) -> Result<Vec<PartReply<'_>>> {
    let is_part = has_stopped && (1..=n_sent).contains(&replies.len());
    if replies.len() == n_sent || is_part {
        return Ok(replies);
    }
    Err(Error::new(
        ErrorKind::Undecodable,
        format!(
            "the reply tells of {} of {n_sent} records that were sent",
            replies.len()
        ),
    ))
}

/// The identifier that a reply tells: in the record itself, or in the address of it (7.1).
fn told_id(reply: &PartReply<'_>) -> Option<String> {
    if !reply.body.is_empty() {
        // Of the record nothing but its identifier was asked for; annotations and a currency come unasked.
        let record: HashMap<String, serde_json::Value> = serde_json::from_slice(reply.body).ok()?;
        let mut ids = record
            .iter()
            .filter(|(name, _)| !name.contains('@') && !name.starts_with('_'));
        let found = ids.find_map(|(_, value)| ids::canonical(value.as_str()?));
        if found.is_some() {
            return found;
        }
    }
    let address = reply
        .header("odata-entityid")
        .or_else(|| reply.header("location"))?;
    let (_, key) = address.rsplit_once('(')?;
    let (key, _) = key.split_once(')')?;
    // An elastic table's address names the identifier among others.
    let mut parts = key.split(',');
    parts.find_map(|part| ids::canonical(part.rsplit('=').next()?.trim_matches('\'')))
}

fn retry_after(reply: &PartReply<'_>) -> Option<Duration> {
    let seconds = reply.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
