//! Records written in messages of 20, all or none of each (Oracle page 6.3): which records go together, what is sent
//! again, and what is told of each.
//!
//! What may have been done is never done again unless that leaves the same: a record that is made is looked for by its
//! key first, and without one its outcome is unknown.

use crate::encode::with_code;
use crate::fault::Fault;
use crate::find::{self, VALUES_IN_QUERY};
use crate::message::{self, Action};
use crate::reject::{is_about_call, may_pass, reject, suspect};
use crate::rows::{Form, Row, Rows};
use crate::session::OracleSession;
use crate::split::Splitter;
use crate::trash;
use crm_core::{
    CallStats, Error, ErrorKind, Operation, Outcomes, RecordOutcome, Result, WriteBatch,
    WriteLimits, WriteReply, check_batch,
};
use crm_http::Patience;
use std::collections::HashSet;

/// Records in one message (Oracle page 5).
const IN_MESSAGE: usize = 20;
/// Bytes of their values. How many the service takes is not told; clients are known to send ten times as many.
const BYTES_OF_MESSAGE: usize = 1_000_000;
/// Records of one batch that are looked for before they are written, so that the messages behind are full.
const IN_UPSERT: usize = 2 * VALUES_IN_QUERY;

/// The most that one batch takes.
pub(crate) fn limits(operation: Operation) -> WriteLimits {
    let records = match operation {
        Operation::Upsert => IN_UPSERT,
        Operation::Create | Operation::Update | Operation::Delete => IN_MESSAGE,
    };
    WriteLimits {
        records,
        bytes: BYTES_OF_MESSAGE,
    }
}

/// Calls that writing takes when none is refused. An upsert looks for its records first.
pub(crate) fn estimate_calls(operation: Operation, records: f64) -> f64 {
    let messages = (records / IN_MESSAGE as f64).ceil();
    match operation {
        Operation::Upsert => messages + (records / VALUES_IN_QUERY as f64).ceil(),
        Operation::Create | Operation::Update | Operation::Delete => messages,
    }
}

/// Sends one batch.
pub(crate) async fn write(
    session: &OracleSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> WriteReply {
    let rows = check_batch(batch).and_then(|()| Rows::new(batch, session.zone()));
    let mut all = match rows {
        Ok(all) => all,
        Err(error) => return WriteReply::not_applied(batch.records.len(), error),
    };
    let rejects = std::mem::take(&mut all.rejects);
    let mut sender = Sender {
        session,
        all: &all,
        outcomes: Outcomes::new(batch.records.len(), rejects),
        patience: Patience::new(session.policy()),
        stats,
    };
    for wave in all.waves() {
        if !sender.send_wave(wave).await {
            // The rest has not been sent; it would fare the same.
            break;
        }
    }
    sender.outcomes.into_reply()
}

/// What became of one message.
enum Told {
    /// Its records are written, and noted so.
    Accepted,
    /// None of its records is written, and one of them is to blame.
    Refused(Box<Fault>),
    /// The call failed; what is known of its records is noted.
    Failed,
}

struct Sender<'a> {
    session: &'a OracleSession,
    all: &'a Rows,
    outcomes: Outcomes,
    patience: Patience,
    stats: &'a CallStats,
}

impl Sender<'_> {
    /// Sends rows that name different records. False when a call failed.
    async fn send_wave(&mut self, rows: Vec<Row>) -> bool {
        let parts = match self.all.form {
            Form::Insert => vec![(Action::Insert, rows)],
            Form::Update => vec![(Action::Update, rows)],
            Form::Delete => vec![(Action::Delete, rows)],
            Form::Upsert => match self.divide(rows).await {
                Ok(parts) => parts,
                Err(error) => {
                    self.outcomes.fail(error);
                    return false;
                }
            },
        };
        for (action, rows) in parts {
            let groups = match action {
                Action::Update => self.all.alike(rows),
                Action::Insert | Action::Delete => vec![rows],
            };
            for group in groups {
                for message in group.chunks(IN_MESSAGE) {
                    if !self.deliver(action, message.to_vec()).await {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Records that exist are changed by the identifier that was found, others are made.
    async fn divide(&mut self, rows: Vec<Row>) -> Result<Vec<(Action, Vec<Row>)>> {
        let Some(key) = &self.all.key else {
            return Ok(Vec::new());
        };
        let values: Vec<String> = rows.iter().filter_map(|row| row.key.clone()).collect();
        let found = loop {
            match self.find(key, &values).await {
                // A question can be asked again even where its answer could not be read: nothing depends on it yet.
                Err(error) if error.kind() == ErrorKind::Undecodable => {
                    if !self.patience.wait(None, self.stats).await {
                        return Err(error);
                    }
                }
                found => break found?,
            }
        };
        let (mut known, mut new) = (Vec::new(), Vec::new());
        for mut row in rows {
            let value = row.key.clone().unwrap_or_default();
            match find::with_value(&found, &value).as_slice() {
                [] => new.push(row),
                [one] => {
                    row.key = Some(one.id.clone());
                    known.push(row);
                }
                _ => {
                    let reject = with_code(
                        "SBL-EAI-04390",
                        key,
                        ErrorKind::DuplicateKey,
                        "several records have this key".to_owned(),
                    );
                    self.outcomes.set(row.at, RecordOutcome::Rejected(*reject));
                }
            }
        }
        Ok(vec![(Action::Update, known), (Action::Insert, new)])
    }

    async fn find(&self, field: &str, values: &[String]) -> Result<Vec<find::Found>> {
        let (object, identifier) = (&self.all.object, &self.all.identifier);
        find::by_field(self.session, object, identifier, field, values, self.stats).await
    }

    /// Sends rows in one message, and parts of it where it is refused, until each is told of. False when a call failed.
    async fn deliver(&mut self, action: Action, rows: Vec<Row>) -> bool {
        let mut splitter = Splitter::new(rows);
        while let Some(rows) = splitter.next() {
            match self.send(action, &rows).await {
                Told::Accepted => {}
                Told::Refused(fault) => {
                    let suspect = suspect(self.all, &rows, &fault);
                    if let Some(row) = splitter.refused(rows, suspect) {
                        let reject = reject(self.all, &fault);
                        self.outcomes.set(row.at, RecordOutcome::Rejected(reject));
                    }
                }
                Told::Failed => return false,
            }
        }
        true
    }

    /// Sends one message until something final is told of it.
    async fn send(&mut self, action: Action, rows: &[Row]) -> Told {
        let mut rows = rows.to_vec();
        // An earlier try may have been carried out although its answer did not come.
        let mut done_before = false;
        loop {
            if rows.is_empty() {
                return Told::Accepted;
            }
            let call = match message::call(self.all, action, &rows, self.session.custom_tags()) {
                Ok(call) => call,
                Err(error) => return self.not_applied(&rows, done_before, error),
            };
            let trouble = match self.session.exchange(&call, self.stats).await {
                Ok(answered) => match message::ids(&answered.body, self.all, rows.len()) {
                    Ok(ids) => {
                        self.accept(action, &rows, ids);
                        return Told::Accepted;
                    }
                    Err(error) => {
                        done_before = true;
                        if call.repeatable && self.patience.wait(None, self.stats).await {
                            continue;
                        }
                        return self.look_for(action, rows, error).await;
                    }
                },
                Err(trouble) => trouble,
            };
            let Some(fault) = trouble.fault.filter(|fault| !fault.may_be_done()) else {
                if trouble.may_be_done || done_before {
                    return self.look_for(action, rows, trouble.error).await;
                }
                return self.not_applied(&rows, false, trouble.error);
            };
            done_before |= trouble.may_be_done;
            if is_about_call(&fault) {
                return self.not_applied(&rows, done_before, trouble.error);
            }
            if may_pass(&fault)
                && !self.all.is_guarded()
                && self.patience.wait(None, self.stats).await
            {
                continue;
            }
            if done_before && action == Action::Delete {
                match self.without_deleted(rows.clone()).await {
                    // The rest is sent again.
                    Ok(left) if left.len() < rows.len() => {
                        rows = left;
                        continue;
                    }
                    Ok(_) => {}
                    Err(error) => return self.unknown(&rows, error),
                }
            }
            return Told::Refused(Box::new(fault));
        }
    }

    fn accept(&mut self, action: Action, rows: &[Row], ids: Vec<String>) {
        for (row, told) in rows.iter().zip(ids) {
            let (id, created) = match (action, &row.key) {
                (Action::Insert, _) | (_, None) => (told, Some(true)),
                (Action::Update, Some(id)) => (id.clone(), Some(false)),
                (Action::Delete, Some(id)) => (id.clone(), None),
            };
            self.outcomes
                .set(row.at, RecordOutcome::Accepted { id, created });
        }
    }

    /// The last try has certainly done nothing; an earlier one may have.
    fn not_applied(&mut self, rows: &[Row], done_before: bool, error: Error) -> Told {
        if done_before {
            return self.unknown(rows, error);
        }
        for row in rows {
            self.outcomes.set(row.at, RecordOutcome::NotApplied);
        }
        self.outcomes.fail(error);
        Told::Failed
    }

    fn unknown(&mut self, rows: &[Row], error: Error) -> Told {
        for row in rows {
            self.outcomes.set(row.at, RecordOutcome::Unknown);
        }
        self.outcomes.fail(error);
        Told::Failed
    }

    /// The answer is lost. New records with a key of their own are looked for; one that is not there may still come,
    /// so that it is unknown and not made again.
    async fn look_for(&mut self, action: Action, rows: Vec<Row>, error: Error) -> Told {
        let Some((name, key)) = self.own_key().filter(|_| action == Action::Insert) else {
            return self.unknown(&rows, error);
        };
        let name = name.to_owned();
        if !self.patience.wait(None, self.stats).await {
            return self.unknown(&rows, error);
        }
        let value = |row: &Row| match key {
            Some(column) => row.cells[column].clone(),
            None => row.key.clone(),
        };
        let values: Vec<String> = rows.iter().filter_map(value).collect();
        let Ok(found) = self.find(&name, &values).await else {
            return self.unknown(&rows, error);
        };
        let (mut ids, mut there, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            match find::with_value(&found, &value(&row).unwrap_or_default()).as_slice() {
                [one] => {
                    ids.push(one.id.clone());
                    there.push(row);
                }
                _ => missing.push(row),
            }
        }
        self.accept(Action::Insert, &there, ids);
        match missing.is_empty() {
            true => Told::Accepted,
            false => self.unknown(&missing, error),
        }
    }

    /// The field whose value no other record has: the key of an upsert, or a journal key that was made up here, which
    /// is a column.
    fn own_key(&self) -> Option<(&str, Option<usize>)> {
        if let Some(name) = &self.all.key {
            return Some((name, None));
        }
        let column = self.all.journal_key.filter(|_| self.all.key_is_ours)?;
        Some((&self.all.columns[column], Some(column)))
    }

    /// Notes those of `rows` that an earlier try has deleted, and gives the others.
    async fn without_deleted(&mut self, rows: Vec<Row>) -> Result<Vec<Row>> {
        let ids: Vec<String> = rows.iter().filter_map(|row| row.key.clone()).collect();
        let gone = deleted_ones(self.session, self.all, &ids, self.stats).await?;
        let (done, left): (Vec<_>, Vec<_>) = rows
            .into_iter()
            .partition(|row| row.key.as_ref().is_some_and(|id| gone.contains(id)));
        self.accept(Action::Delete, &done, vec![String::new(); done.len()]);
        Ok(left)
    }
}

/// Those of `ids` that are not there and lie in the trash.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn deleted_ones(
    session: &OracleSession,
    all: &Rows,
    ids: &[String],
    stats: &CallStats,
) -> Result<HashSet<String>> {
    let name = &all.identifier;
    let living = find::by_field(session, &all.object, name, name, ids, stats).await?;
    let living: HashSet<&str> = living.iter().map(|found| found.id.as_str()).collect();
    let gone: Vec<String> = ids
        .iter()
        .filter(|id| !living.contains(id.as_str()))
        .cloned()
        .collect();
    let mut deleted = HashSet::new();
    trash::with_value(session, "ObjectId", &gone, stats, |item| {
        deleted.insert(item.object_id);
    })
    .await?;
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ten_thousand_records_cost() {
        // Spec Q-1.
        assert!(estimate_calls(Operation::Create, 10_000.0) <= 501.0);
        assert!(estimate_calls(Operation::Upsert, 10_000.0) <= 701.0);
        assert_eq!(limits(Operation::Delete).records, 20);
    }
}
