//! What became of records whose answer was lost (spec X-6): their job tells, or a field with a value of their own.
//!
//! An update or upsert names its record and can simply be sent again. Of a create without both nobody can tell.
//! A delete is looked for in the recycle bin: sent again, it would be refused.

use crate::deparse;
use crate::encode::Wire;
use crate::ingest::{self, Stage};
use crate::records::{self, encoded};
use crate::rows::{Row, Rows};
use crate::session::SalesforceSession;
use crm_core::Plain;
use crm_core::{
    CallStats, Error, ErrorKind, Filter, Operation, Outcomes, RecordOutcome, Result, Value,
    WriteBatch, check_batch,
};
use crm_http::StatusCode;
use std::collections::{HashMap, HashSet};

/// Characters of the values that are looked for in one statement, encoded; well below what an address holds (4.6).
const LONGEST_LIST: usize = 8_000;

/// Settles the records of `batch`; `ticket` names the job that they travelled in.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn settle(
    session: &SalesforceSession,
    batch: &WriteBatch,
    ticket: Option<&str>,
    stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    check_batch(batch)?;
    let mut rows = Rows::new(batch, session.zone())?;
    // What could not be written was not sent, and stays refused.
    let rejects = std::mem::take(&mut rows.rejects);
    let mut outcomes = Outcomes::new(batch.records.len(), rejects);
    let all = std::mem::take(&mut rows.rows);
    let (in_job, mut left) = match ticket {
        Some(_) => ingest::divide(&rows, all),
        None => (Vec::new(), all),
    };
    if let Some(job) = ticket
        && !ask_job(session, &rows, &in_job, job, &mut outcomes, stats).await?
    {
        left.extend(in_job);
    }
    left.retain(|row| outcomes.get(row.at).is_none());
    match batch.operation {
        Operation::Create => look_for(session, batch, &rows, &left, &mut outcomes, stats).await?,
        Operation::Delete => look_for_deleted(session, &rows, &left, &mut outcomes, stats).await?,
        // It names its record and leaves the same when it is sent again.
        Operation::Update | Operation::Upsert => {}
    }
    Ok(outcomes.into_reply().outcomes)
}

/// Asks the job what became of `rows`. False when it does not exist any more.
async fn ask_job(
    session: &SalesforceSession,
    all: &Rows,
    rows: &[Row],
    job: &str,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<bool> {
    if !ingest::is_job_name(job) {
        return Err(Error::new(
            ErrorKind::Undecodable,
            format!("\"{job}\" is not the name of a job"),
        ));
    }
    let seen = match ingest::look_at(session, job, stats).await {
        Ok(seen) => seen,
        Err(trouble) if trouble.status == Some(StatusCode::NOT_FOUND) => return Ok(false),
        Err(trouble) => return Err(trouble.error),
    };
    let ended = match seen.stage()? {
        Stage::Open => {
            // It has done nothing, and nobody shall start it now.
            ingest::abort(session, job, stats).await?;
            for row in rows {
                outcomes.set(row.at, RecordOutcome::NotApplied);
            }
            return Ok(true);
        }
        Stage::Ended { .. } => Some(seen),
        Stage::Running => {
            let longest = session.policy().retry_timeout;
            ingest::wait(session, job, Some(longest), stats).await?
        }
    };
    match ended {
        Some(ended) => {
            ingest::tell(session, all, rows, &ended, outcomes, stats).await?;
            if all.is_repeatable() {
                // Locked records are sent again by whoever writes, in the job's wake.
                outcomes.revoke(|outcome| {
                    matches!(outcome, RecordOutcome::Rejected(reject) if reject.kind == ErrorKind::RecordLocked)
                });
            }
        }
        None => {
            for row in rows {
                outcomes.set(row.at, RecordOutcome::Unknown);
            }
        }
    }
    Ok(true)
}

/// Looks for created records by their journal key.
async fn look_for(
    session: &SalesforceSession,
    batch: &WriteBatch,
    all: &Rows,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let Some(key) = all.key else {
        for row in rows {
            outcomes.set(row.at, RecordOutcome::Unknown);
        }
        return Ok(());
    };
    let name = all.columns[key].as_str();
    let mut start = 0;
    while start < rows.len() {
        let (mut end, mut n_bytes) = (start, 0);
        while end < rows.len() && (end == start || n_bytes < LONGEST_LIST) {
            n_bytes += encoded(rows[end].cells[key].cell()).len() + 9;
            end += 1;
        }
        let wanted = &rows[start..end];
        let values = wanted.iter().map(|row| literal(&row.cells[key]));
        let condition = deparse::filter(&Filter::In {
            field: name.to_owned(),
            values: Value::List(values.collect()),
        })?;
        let soql = format!("SELECT Id,{name} FROM {} WHERE {condition}", all.object);
        let found = run(session, &soql, batch.key_is_ours, name, stats).await?;
        for row in wanted {
            let id = found.get(&comparable(row.cells[key].cell()));
            outcomes.set(
                row.at,
                match id {
                    Some(id) => RecordOutcome::Accepted {
                        id: id.clone(),
                        created: Some(true),
                    },
                    None => RecordOutcome::NotApplied,
                },
            );
        }
        start = end;
    }
    Ok(())
}

/// Looks for deleted records in the recycle bin. What is nowhere may have been removed for good or never have been:
/// sent again, it is refused, and the refusal tells.
async fn look_for_deleted(
    session: &SalesforceSession,
    all: &Rows,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    // An identifier has 18 characters, quotes and a comma, none of them longer when encoded but the quotes.
    for wanted in rows.chunks(LONGEST_LIST / 27) {
        let ids = wanted.iter().map(|row| literal(&row.cells[0]));
        let condition = deparse::filter(&Filter::In {
            field: "Id".to_owned(),
            values: Value::List(ids.collect()),
        })?;
        let soql = format!("SELECT Id FROM {} WHERE {condition}", all.object);
        let living = ids_of(session, &soql, false, stats).await?;
        if living.len() == wanted.len() {
            continue;
        }
        let known = ids_of(session, &soql, true, stats).await?;
        for row in wanted {
            let id = row.cells[0].cell();
            if known.contains(id) && !living.contains(id) {
                outcomes.set(
                    row.at,
                    RecordOutcome::Accepted {
                        id: id.to_owned(),
                        created: None,
                    },
                );
            }
        }
    }
    Ok(())
}

async fn ids_of(
    session: &SalesforceSession,
    soql: &str,
    with_deleted: bool,
    stats: &CallStats,
) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    records::each(session, soql, with_deleted, stats, |record| {
        found.extend(record.id());
    })
    .await?;
    Ok(found)
}

/// Identifiers by key. A record with a key of ours is ours even when somebody has deleted it since; with a key of the
/// user's, a deleted one may be older than what was sent.
async fn run(
    session: &SalesforceSession,
    soql: &str,
    with_deleted: bool,
    key: &str,
    stats: &CallStats,
) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    records::each(session, soql, with_deleted, stats, |record| {
        if let (Some(id), Some(value)) = (record.id(), record.text(key)) {
            found.entry(comparable(&value)).or_insert(id);
        }
    })
    .await?;
    Ok(found)
}

fn literal(cell: &Wire) -> Value {
    match cell {
        Wire::Number(digits) => Value::Numeric(digits.clone()),
        other => Value::Text(other.cell().to_owned()),
    }
}

/// The vendor finds keys without regard to case and stores them without space around them; what was sent is told apart
/// by case, and numbers by their value.
fn comparable(key: &str) -> String {
    match Plain::parse(key) {
        Some(plain) => plain.text(),
        None => key.trim().to_owned(),
    }
}
