//! One foreign table being written: records in, one outcome for each out, in their order.
//!
//! Where rows come from and where outcomes go is the executor's business, see `fdw::modify` and `fdw::lookahead`.

use crate::error::warn;
use crate::exec::job;
use crate::exec::reject::{Kind, Report};
use crate::exec::xact;
use crate::options::CollectedTable;
use crate::plan::modify::WritePlan;
use crate::{guc, runtime, session};
use crm_core::{CallStats, Error, ErrorKind, Reject, Result, Session, Value};
use crm_export::{
    Exporter, Outcome, Record, Sent, SharedJob, Statement, Target, Totals, key_text, shown_record,
    signature,
};
use std::collections::VecDeque;
use std::sync::Arc;

/// What the executor is told of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowOutcome {
    /// It was written; this is the record's identifier.
    Written(String),
    /// It was not, and the statement goes on.
    Skipped,
}

/// A row that cannot even be said: why, and what it holds as far as it can be shown.
pub type Unsayable = (Reject, Record);

/// A write in execution.
pub struct WriteState {
    table: CollectedTable,
    name: String,
    plan: WritePlan,
    session: Arc<dyn Session>,
    stats: Arc<CallStats>,
    /// Away while records are being sent.
    exporter: Option<Exporter>,
    /// Totals as of the last return of the exporter.
    totals: Totals,
    /// Outcomes of rows that the executor has not asked for yet.
    outcomes: VecDeque<RowOutcome>,
    /// Rows given so far, for messages.
    n_rows: u64,
    /// Rows of which no record could be made; the exporter never saw them.
    n_unsayable: u64,
    /// Rows of an export job that were left out because nobody knows what became of them.
    n_unsettled: u64,
    job: Option<SharedJob>,
    is_dry: bool,
}

/// The statement as the CRM gets it: rejects of UPDATE that are sent again come by INSERT and stay changes, so that a
/// record that has vanished is not made anew where an identifier would do that.
fn sent_as(plan: &WritePlan) -> Statement {
    match plan.statement {
        Statement::Insert if guc::retried_changes() => Statement::Update,
        statement => statement,
    }
}

fn target_of(plan: &WritePlan, table: &CollectedTable) -> Target {
    Target {
        statement: sent_as(plan),
        ..plan.target(table)
    }
}

impl WriteState {
    /// Prepares a write; nothing is sent before the first records.
    ///
    /// # Errors
    /// When the export job that the session names cannot be used.
    pub fn new(
        table: CollectedTable,
        name: String,
        plan: WritePlan,
        gives_identifier: bool,
        session: Arc<dyn Session>,
    ) -> Result<Self> {
        let is_dry = guc::dry_run();
        let target = target_of(&plan, &table);
        let job = if is_dry {
            None
        } else {
            job::begin(signature(&target, gives_identifier))?
        };
        let exporter = Exporter::new(
            table.connector,
            Arc::clone(&session),
            target,
            job.clone(),
            is_dry,
        );
        Ok(Self {
            job,
            stats: session::stats_of_table(&table.server, table.relation),
            table,
            name,
            plan,
            session,
            exporter: Some(exporter),
            totals: Totals::default(),
            outcomes: VecDeque::new(),
            n_rows: 0,
            n_unsayable: 0,
            n_unsettled: 0,
            is_dry,
        })
    }

    /// Stops a statement that is expected to take more calls than its budget has left, before the first one (S-13).
    /// A job that has begun may need fewer than its rows, so each of its batches is looked at alone.
    ///
    /// # Errors
    /// When the budget is too small for so many rows.
    pub fn expect_rows(&self, rows: f64) -> Result<()> {
        let has_begun = |job: &SharedJob| job.lock().counts().recorded > 0;
        if self.is_dry || self.job.as_ref().is_some_and(has_begun) {
            return Ok(());
        }
        // The object is described first.
        self.expect_calls(1.0 + self.plan.expected_calls(&self.table, rows))
    }

    fn expect_calls(&self, calls: f64) -> Result<()> {
        self.stats
            .budget()
            .expect(calls.ceil() as u64, self.session.usage())
            .map_err(|error| self.in_context(error))
    }

    /// What is written.
    pub fn plan(&self) -> &WritePlan {
        &self.plan
    }

    /// Writes other columns from now on.
    pub fn replan(&mut self, plan: WritePlan) {
        if let Some(exporter) = &mut self.exporter {
            exporter.retarget(target_of(&plan, &self.table));
        }
        self.plan = plan;
    }

    /// The account.
    pub fn session(&self) -> &Arc<dyn Session> {
        &self.session
    }

    /// What was spent.
    pub fn stats(&self) -> &CallStats {
        &self.stats
    }

    /// What was done.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The outcome of the next row of those sent together, if there is one.
    pub fn next_outcome(&mut self) -> Option<RowOutcome> {
        self.outcomes.pop_front()
    }

    /// Outcomes that the executor has not asked for.
    pub fn pending_outcomes(&self) -> impl Iterator<Item = &RowOutcome> {
        self.outcomes.iter()
    }

    /// Sends records and keeps their outcomes for [`WriteState::next_outcome`].
    ///
    /// # Errors
    /// A call that failed (E-4), or a reject where `on_reject` is `error` (E-2).
    pub fn send(&mut self, rows: Vec<std::result::Result<Record, Box<Unsayable>>>) -> Result<()> {
        let first_row = self.n_rows + 1;
        self.n_rows += rows.len() as u64;
        let mut records = Vec::with_capacity(rows.len());
        let mut unsayable = Vec::new();
        for (at, row) in rows.into_iter().enumerate() {
            match row {
                Ok(record) => records.push(record),
                Err(reason) => unsayable.push((at, *reason)),
            }
        }
        let records = Arc::new(records);
        let sent = self.send_records(&records)?;
        self.n_unsayable += unsayable.len() as u64;
        let failure = sent.failure.map(|error| self.in_context(error));
        let accepted = sent
            .outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Accepted { earlier: false, .. }))
            .count();
        let job = self.job.as_ref().map(job::name_of);
        xact::note_accepted(&self.table.server.name, accepted as u64, job.as_deref());

        let mut report = Report::new(&self.table, &self.name, sent_as(&self.plan));
        let mut outcomes = sent.outcomes.into_iter().zip(records.iter());
        let mut unsayable = unsayable.into_iter().peekable();
        let mut n_lost = (0_u64, 0_u64);
        for at in 0.. {
            let (outcome, record) = match unsayable.next_if(|(place, _)| *place == at) {
                Some((_, (reject, record))) => (Outcome::Rejected(reject), record),
                None => match outcomes.next() {
                    Some((outcome, record)) => (outcome, record.clone()),
                    None => break,
                },
            };
            let row = first_row + at as u64;
            let told = match outcome {
                Outcome::Accepted { id, .. } => RowOutcome::Written(id),
                Outcome::Dry => RowOutcome::Skipped,
                Outcome::Rejected(reject) => {
                    self.stats.add_reject();
                    report.reject(&reject, row, &self.shown(&record), key_of(&record))?;
                    RowOutcome::Skipped
                }
                Outcome::Unsettled => {
                    self.n_unsettled += 1;
                    RowOutcome::Skipped
                }
                Outcome::NotApplied | Outcome::Unknown => {
                    let is_unknown = outcome == Outcome::Unknown;
                    n_lost.0 += 1;
                    n_lost.1 += u64::from(is_unknown);
                    if self.table.options.process_errors
                        && let Some(failure) = &failure
                    {
                        let kind = if is_unknown {
                            Kind::Unknown
                        } else {
                            Kind::Error
                        };
                        report.failure(kind, failure, &self.shown(&record), key_of(&record))?;
                    }
                    RowOutcome::Skipped
                }
            };
            self.outcomes.push_back(told);
        }
        if let Some(failure) = failure {
            let failure = self.with_counts(failure, n_lost);
            if !self.table.options.process_errors {
                return Err(failure);
            }
            warn(&failure);
        }
        Ok(())
    }

    fn send_records(&mut self, records: &Arc<Vec<Record>>) -> Result<Sent> {
        let mut exporter = self
            .exporter
            .take()
            .ok_or_else(|| Error::new(ErrorKind::RemoteFault, "the write was interrupted"))?;
        if !self.is_dry {
            self.expect_calls(self.plan.expected_calls(&self.table, records.len() as f64))?;
        }
        let (records, stats) = (Arc::clone(records), Arc::clone(&self.stats));
        let (exporter, sent) = runtime::run(async move {
            let sent = exporter.send(&records, &stats).await;
            Ok((exporter, sent))
        })?;
        self.totals = exporter.totals();
        self.totals.rejected += self.n_unsayable;
        self.exporter = Some(exporter);
        sent.map_err(|error| self.in_context(error))
    }

    /// The statement has ended well: says what it left out, and what a dry run would have done.
    pub fn end(&self) {
        if let Some(job) = &self.job {
            job::end(job);
            if self.n_unsettled > 0 {
                let name = job::name_of(job).replace('\'', "''");
                warn(
                    &Error::new(
                        ErrorKind::RemoteFault,
                        format!(
                            "{} left out: an earlier run got no answer, and the CRM cannot tell what it has",
                            counted(self.n_unsettled, "record was", "records were")
                        ),
                    )
                    .with_hint(format!(
                        "SELECT * FROM crm.export_records('{name}') WHERE status = 'unknown' lists them; crm.settle_export('{name}', number, 'accepted' or 'resend') settles each."
                    )),
                );
            }
        }
        if !self.is_dry || self.n_rows == 0 {
            return;
        }
        let refused = self.totals.rejected;
        pgrx::notice!(
            "dry run: {} of object \"{}\" would be sent in {} with {}; {refused} would be refused",
            counted(self.n_rows - refused, "record", "records"),
            self.table.options.object,
            counted(self.totals.batches, "batch", "batches"),
            counted(self.totals.dry_calls, "call", "calls"),
        );
    }

    /// A record under the names of its local columns.
    fn shown(&self, record: &Record) -> String {
        let id = self
            .plan
            .identifier
            .as_ref()
            .map(|column| column.name.as_str());
        let key = record
            .id
            .as_ref()
            .map(|value| (id.unwrap_or("id"), Some(value)));
        let names = self.plan.columns.iter().map(|column| column.name.as_str());
        let values = record.values.iter().map(Option::as_ref);
        shown_record(key.into_iter().chain(names.zip(values)))
    }

    fn in_context(&self, error: Error) -> Error {
        let does = match self.plan.statement {
            Statement::Insert => "insert into",
            Statement::Update => "update",
            Statement::Delete => "delete from",
        };
        error.in_context(format!(
            "could not {does} object \"{}\" on server \"{}\"",
            self.table.options.object, self.table.server.name
        ))
    }

    fn with_counts(&self, error: Error, (n_lost, n_unknown): (u64, u64)) -> Error {
        let mut detail = error
            .detail()
            .map_or_else(String::new, |detail| format!("{detail}\n"));
        detail.push_str(&format!(
            "Records accepted before: {}; not applied: {}",
            self.totals.accepted,
            n_lost - n_unknown
        ));
        if n_unknown > 0 {
            detail.push_str(&format!(
                "; sent without an answer: {n_unknown}, which the CRM may have"
            ));
        }
        detail.push('.');
        error.with_detail(detail)
    }
}

/// A number of things, in words.
fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The identifier of a record, where the statement gave one.
fn key_of(record: &Record) -> Option<String> {
    record.id.as_ref().map(|id: &Value| key_text(id))
}
