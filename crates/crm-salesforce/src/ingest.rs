//! Records written in a job of the Bulk API 2.0 (Salesforce page, section 7): one upload, which the vendor works off by
//! itself and can be asked about for days.
//!
//! A job that is open has done nothing and is closed by nobody but us: until then every failure means "not applied".
//! A caller that goes away leaves the job as it is, for nothing can be sent any more; [`crate::settle`] finds it by its
//! name, aborts it where it is still open, and reads its results where it is not.

use crate::encode::Wire;
use crate::reject::{RecordFault, reject};
use crate::results::{Echo, Matcher};
use crate::rows::{Form, Row, Rows};
use crate::session::SalesforceSession;
use crm_core::json;
use crm_core::{CallStats, Error, ErrorKind, Outcomes, RecordOutcome, Result, TicketKeeper};
use crm_http::header::{ACCEPT, HeaderValue};
use crm_http::{Bytes, Method, Patience, pause_for};
use crm_http::{Call, Trouble};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// Records in one job: the vendor cuts larger ones into batches of this size by itself, and a job of this size keeps
/// the memory of both sides small.
pub(crate) const LARGEST_JOB: usize = 10_000;
/// Bytes of an upload: the vendor takes 100 MB, held here as a whole.
pub(crate) const LARGEST_UPLOAD: usize = 10_000_000;
/// Characters of one cell; the collections interface takes longer texts.
const LONGEST_CELL: usize = 32_000;
/// Waits between looks at a job that runs: the first, and the longest.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LONGEST_LOOK: Duration = Duration::from_secs(5);

/// What the vendor says of a job.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    id: String,
    state: String,
    #[serde(default)]
    number_records_processed: Option<u64>,
    #[serde(default)]
    number_records_failed: Option<u64>,
    #[serde(default)]
    error_message: Option<String>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits for its data and has done nothing.
    Open,
    /// It is queued or works.
    Running,
    /// It has ended; `well` when it got through.
    Ended {
        /// The vendor got through all records, refused ones included.
        well: bool,
    },
}

impl Job {
    /// How far it is.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] for a state that nobody here knows.
    pub(crate) fn stage(&self) -> Result<Stage> {
        Ok(match self.state.as_str() {
            "Open" => Stage::Open,
            "UploadComplete" | "InProgress" => Stage::Running,
            "JobComplete" => Stage::Ended { well: true },
            "Failed" | "Aborted" => Stage::Ended { well: false },
            other => {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    format!("the CRM's job is in an unknown state \"{other}\""),
                ));
            }
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewJob<'a> {
    object: &'a str,
    operation: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id_field_name: Option<&'a str>,
    content_type: &'a str,
    line_ending: &'a str,
}

/// Rows that a job takes, and those that only a call can say: a text that CSV reads as "empty it", a text too long,
/// and a record named a second time, which the job might do first.
pub(crate) fn divide(all: &Rows, rows: Vec<Row>) -> (Vec<Row>, Vec<Row>) {
    let mut seen = HashSet::new();
    rows.into_iter().partition(|row| {
        let is_sayable = row.cells.iter().all(|cell| match cell {
            Wire::Text(text) => {
                !cell.is_unsayable_in_csv()
                    && (text.len() <= LONGEST_CELL || text.chars().count() <= LONGEST_CELL)
            }
            _ => true,
        });
        let is_first = all.key_of(row).is_none_or(|key| seen.insert(key));
        is_sayable && is_first
    })
}

/// Sends `rows` in a job and notes what became of them. Gives back those that should go by calls instead.
pub(crate) async fn send(
    session: &SalesforceSession,
    all: &Rows,
    rows: Vec<Row>,
    tickets: &dyn TicketKeeper,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Vec<Row> {
    let may_go_by_calls = all.is_repeatable() || !tickets.must_settle();
    let body = match csv_of(all, &rows) {
        Ok(body) => body,
        Err(error) => {
            outcomes.fail(error);
            return Vec::new();
        }
    };
    let run = Run {
        session,
        all,
        tickets,
        stats,
    };
    let job = match run.upload(body).await {
        Ok(job) => job,
        Err(error) if is_no_object_for_jobs(&error) && may_go_by_calls => return rows,
        Err(error) if is_no_object_for_jobs(&error) => {
            outcomes.fail(error.with_hint(
                "Name a unique external id field in the table option journal_key: then the records can go by calls, and one whose answer is lost can be found again.",
            ));
            return Vec::new();
        }
        Err(error) => {
            outcomes.fail(error);
            return Vec::new();
        }
    };
    match run.finish(&job).await {
        Ok(Ending::NotStarted(error)) => {
            outcomes.fail(error);
            return Vec::new();
        }
        Ok(Ending::Ended(job)) => {
            let told = tell(session, all, &rows, &job, outcomes, stats).await;
            if let Err(error) = told {
                leave_unknown(&rows, outcomes);
                outcomes.fail(error);
            }
        }
        Err(error) => {
            leave_unknown(&rows, outcomes);
            outcomes.fail(error);
        }
    }
    // Whoever keeps tickets may ask again before the outcomes are kept; the vendor removes the job after a week.
    if !tickets.must_settle() && !outcomes.has_unknown() {
        let call = Call::new(Method::DELETE, job_path(session, &job, "")).for_data();
        drop(session.exchange(&call, stats).await);
    }
    if outcomes.has_failed() || !may_go_by_calls {
        return Vec::new();
    }
    let is_locked = |row: &Row| matches!(outcomes.get(row.at), Some(RecordOutcome::Rejected(reject)) if reject.kind == ErrorKind::RecordLocked);
    rows.into_iter().filter(is_locked).collect()
}

fn leave_unknown(rows: &[Row], outcomes: &mut Outcomes) {
    for row in rows
        .iter()
        .filter(|row| outcomes.get(row.at).is_none())
        .collect::<Vec<_>>()
    {
        outcomes.set(row.at, RecordOutcome::Unknown);
    }
}

/// How a job that has its data went on.
enum Ending {
    /// It was not started and will not be.
    NotStarted(Error),
    /// It has ended.
    Ended(Job),
}

/// One job on its way.
struct Run<'a> {
    session: &'a SalesforceSession,
    all: &'a Rows,
    tickets: &'a dyn TicketKeeper,
    stats: &'a CallStats,
}

impl Run<'_> {
    /// Makes a job, has its name kept, and uploads the data. An upload whose answer is lost is not repeated, for a job
    /// takes one: the job is given up and another one made.
    async fn upload(&self, body: Bytes) -> Result<String> {
        let mut patience = Patience::new(self.session.policy());
        loop {
            let job = self.create().await?;
            if let Err(error) = self.tickets.keep(&job) {
                drop(abort(self.session, &job, self.stats).await);
                return Err(error);
            }
            let call = Call::new(Method::PUT, job_path(self.session, &job, "/batches"))
                .body("text/csv", body.clone())
                .for_data()
                .once();
            let Err(trouble) = self.session.exchange(&call, self.stats).await else {
                return Ok(job);
            };
            let aborted = abort(self.session, &job, self.stats).await;
            let is_worth_it = trouble.may_be_done && aborted.is_ok();
            if !is_worth_it || !patience.wait(None, self.stats).await {
                return Err(trouble.error);
            }
        }
    }

    async fn create(&self) -> Result<String> {
        let operation = match self.all.form {
            Form::Create => "insert",
            Form::Update => "update",
            Form::Upsert => "upsert",
            Form::Delete => "delete",
        };
        let key = self.all.key.filter(|_| self.all.form == Form::Upsert);
        let body = serde_json::to_vec(&NewJob {
            object: &self.all.object,
            operation,
            external_id_field_name: key.map(|key| self.all.columns[key].as_str()),
            content_type: "CSV",
            line_ending: "LF",
        });
        let body = body.map_err(|error| Error::new(ErrorKind::Undecodable, error.to_string()))?;
        // A job that nobody knows of stays open and does nothing, so asking for one again does no harm.
        let call = Call::post(self.session.path("jobs/ingest"), body).for_data();
        let reply = self.session.call(&call, self.stats).await?;
        let job: Job = json::parse(&reply.body, "a job")?;
        if is_job_name(&job.id) {
            return Ok(job.id);
        }
        Err(Error::new(
            ErrorKind::Undecodable,
            "the reply names no job that can be asked for",
        ))
    }

    /// Starts the job and waits for its end.
    ///
    /// # Errors
    /// When nobody knows any more what it does.
    async fn finish(&self, job: &str) -> Result<Ending> {
        let mut patience = Patience::new(self.session.policy());
        loop {
            let call = Call::new(Method::PATCH, job_path(self.session, job, ""))
                .body("application/json", &b"{\"state\":\"UploadComplete\"}"[..])
                .for_data()
                .once();
            let Err(trouble) = self.session.exchange(&call, self.stats).await else {
                break;
            };
            if !trouble.may_be_done {
                drop(abort(self.session, job, self.stats).await);
                return Ok(Ending::NotStarted(trouble.error));
            }
            if look(self.session, job, self.stats).await?.stage()? != Stage::Open {
                break;
            }
            if !patience.wait(None, self.stats).await {
                abort(self.session, job, self.stats).await?;
                return Ok(Ending::NotStarted(trouble.error));
            }
        }
        let ended = wait(self.session, job, None, self.stats).await?;
        ended.map(Ending::Ended).ok_or_else(|| {
            Error::new(
                ErrorKind::ConnectionLost,
                "the CRM's job did not end in time",
            )
        })
    }
}

/// Waits until a job has ended, no longer than `longest`. The waits grow, so that a long job costs few calls.
///
/// # Errors
/// When the job cannot be asked for.
pub(crate) async fn wait(
    session: &SalesforceSession,
    job: &str,
    longest: Option<Duration>,
    stats: &CallStats,
) -> Result<Option<Job>> {
    let mut pause = FIRST_LOOK;
    let mut waited = Duration::ZERO;
    loop {
        let seen = look(session, job, stats).await?;
        if matches!(seen.stage()?, Stage::Ended { .. }) {
            return Ok(Some(seen));
        }
        if longest.is_some_and(|longest| waited + pause > longest) {
            return Ok(None);
        }
        pause_for(pause, stats).await;
        waited += pause;
        pause = (pause * 2).min(LONGEST_LOOK);
    }
}

/// Looks at a job.
///
/// # Errors
/// As [`SalesforceSession::exchange`].
pub(crate) async fn look_at(
    session: &SalesforceSession,
    job: &str,
    stats: &CallStats,
) -> std::result::Result<Job, Trouble> {
    let call = Call::get(job_path(session, job, "")).for_data();
    let answered = session.exchange(&call, stats).await?;
    json::parse(&answered.reply.body, "a job").map_err(|error| Trouble {
        error,
        may_be_done: false,
        status: Some(answered.reply.status),
    })
}

async fn look(session: &SalesforceSession, job: &str, stats: &CallStats) -> Result<Job> {
    Ok(look_at(session, job, stats).await?)
}

/// Gives up a job that is open.
///
/// # Errors
/// When it cannot be given up, or nobody knows.
pub(crate) async fn abort(session: &SalesforceSession, job: &str, stats: &CallStats) -> Result<()> {
    let call = Call::new(Method::PATCH, job_path(session, job, ""))
        .body("application/json", &b"{\"state\":\"Aborted\"}"[..])
        .for_data();
    session.call(&call, stats).await.map(drop)
}

/// Reads the results of a job that has ended and notes what became of `rows`; others of its records are passed over.
///
/// # Errors
/// When the results cannot be read.
pub(crate) async fn tell(
    session: &SalesforceSession,
    all: &Rows,
    rows: &[Row],
    job: &Job,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let mut matcher = Matcher::new(all, rows);
    let n_failed = job.number_records_failed;
    let n_done = job.number_records_processed;
    let n_well = n_done
        .zip(n_failed)
        .map(|(done, failed)| done.saturating_sub(failed));
    let mut n_told = 0;
    let mut unknown_columns = Vec::new();
    // What the vendor counts none of need not be asked for; what is missing in the end is.
    if n_well != Some(0) {
        let results = Echo::read(fetch(session, &job.id, "/successfulResults/", stats).await?)?;
        let n_read = matcher.take(&results, |result| RecordOutcome::Accepted {
            id: result.id().unwrap_or_default(),
            created: match all.form {
                Form::Delete => None,
                Form::Update => Some(false),
                Form::Create => Some(true),
                Form::Upsert => result.created(),
            },
        })?;
        n_told += n_read as u64;
        if n_read > 0 {
            unknown_columns = results.missing(all);
        }
    }
    if n_failed != Some(0) || matcher.n_open() > 0 && n_told < n_done.unwrap_or(u64::MAX) {
        let results = Echo::read(fetch(session, &job.id, "/failedResults/", stats).await?)?;
        let n_read = matcher.take(&results, |result| {
            let fault = RecordFault::from_cell(result.error());
            RecordOutcome::Rejected(reject(all.form, &[fault]))
        })?;
        n_told += n_read as u64;
    }
    if matcher.n_open() > 0 {
        let results = Echo::read(fetch(session, &job.id, "/unprocessedrecords/", stats).await?)?;
        matcher.take(&results, |_| RecordOutcome::NotApplied)?;
    }
    let n_open = matcher.n_open();
    let n_strangers = matcher.n_strangers();
    for (at, outcome) in matcher.into_outcomes() {
        // Where all that was worked off is told of, and all of that was recognised, the rest was not worked off.
        let is_told_whole = n_done == Some(n_told) && n_strangers == 0;
        outcomes.set(
            at,
            outcome.unwrap_or(if is_told_whole {
                RecordOutcome::NotApplied
            } else {
                RecordOutcome::Unknown
            }),
        );
    }
    if let Some(name) = unknown_columns.first() {
        outcomes.fail(
            Error::new(
                ErrorKind::FieldUnknown,
                format!(
                    "the CRM took the records without the field \"{name}\", which it does not know"
                ),
            )
            .with_hint("Check the column option field, or import the foreign table again."),
        );
    }
    if job.stage()? != (Stage::Ended { well: true }) {
        let error = Error::new(
            ErrorKind::RemoteFault,
            "the CRM ended a job before all its records were done",
        );
        let told = job.error_message.as_deref().unwrap_or("no reason given");
        outcomes.fail(error.with_detail(format!("Job {}: {}: {told}", job.id, job.state)));
    } else if n_open > 0 {
        outcomes.fail(
            Error::new(
                ErrorKind::Undecodable,
                format!("the results of a job do not tell of {n_open} of its records"),
            )
            .with_detail(format!("Job {}", job.id)),
        );
    } else if outcomes.has_not_applied() {
        outcomes.fail(
            Error::new(
                ErrorKind::RemoteFault,
                "the CRM left records of a job undone",
            )
            .with_detail(format!("Job {}", job.id)),
        );
    }
    Ok(())
}

async fn fetch(
    session: &SalesforceSession,
    job: &str,
    rest: &str,
    stats: &CallStats,
) -> Result<Bytes> {
    let call = Call::get(job_path(session, job, rest))
        .header(ACCEPT, HeaderValue::from_static("text/csv"))
        .for_data();
    Ok(session.call(&call, stats).await?.body)
}

fn job_path(session: &SalesforceSession, job: &str, rest: &str) -> String {
    session.path(&format!("jobs/ingest/{job}{rest}"))
}

/// The text may stand in an address.
pub(crate) fn is_job_name(text: &str) -> bool {
    (15..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The object exists, but not for this interface (section 6).
fn is_no_object_for_jobs(error: &Error) -> bool {
    let says = |words: &str| error.detail().is_some_and(|detail| detail.contains(words));
    error.code() == Some("INVALIDENTITY") || says("not supported by the Bulk API")
}

fn csv_of(all: &Rows, rows: &[Row]) -> Result<Bytes> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    let unwritable = |error: csv::Error| Error::new(ErrorKind::Undecodable, error.to_string());
    writer.write_record(&all.columns).map_err(unwritable)?;
    for row in rows {
        let cells = row.cells.iter().map(Wire::cell);
        writer.write_record(cells).map_err(unwritable)?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|error| Error::new(ErrorKind::Undecodable, error.to_string()))?;
    Ok(bytes.into())
}
