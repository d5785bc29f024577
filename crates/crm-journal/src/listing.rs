//! Jobs and their records as users see them (`crm.export_jobs`, `crm.export_records`).
//! Reading needs no lock, so a job can be watched while it runs.

use crate::directory::{Directory, no_job};
use crate::index::{Counts, Status};
use crate::line::{Outcome, OutcomeElement, SentElement, Signature};
use crate::name::{SUFFIX, job_of_stem};
use crate::recovered::Recovered;
use crm_core::{Error, ErrorKind, Operation, Result};
use std::fs;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// A statement runs it now.
    Running,
    /// It ended before its transaction committed: the same statement run again goes on with it.
    Interrupted,
    /// Its transaction committed; some records wait to be settled or to be sent by another run.
    Waiting,
    /// Its transaction committed and every outcome is known: the next run starts anew.
    Finished,
    /// Its file cannot be read.
    Damaged,
}

impl JobState {
    /// For views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
            Self::Damaged => "damaged",
        }
    }
}

/// A job.
#[derive(Clone, Debug)]
pub struct JobSummary {
    /// Its name; of a damaged file with a long name, the name of the file.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// What it exports; nothing for a damaged one.
    pub signature: Option<Signature>,
    /// When it was begun, in microseconds since the Unix epoch.
    pub started_at: Option<i64>,
    /// When its transaction committed.
    pub finished_at: Option<i64>,
    /// Numbers of its records.
    pub counts: Counts,
    /// What is wrong with a damaged one.
    pub damage: Option<Error>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordStatus {
    /// Known not to be applied: the next run sends it.
    Pending,
    /// Under way.
    Sent,
    /// The CRM has it.
    Accepted,
    /// The CRM refuses it.
    Rejected,
    /// Nobody knows.
    Unknown,
}

impl RecordStatus {
    /// For views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// A record of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordEntry {
    /// Its number in the job, from 1.
    pub number: u32,
    /// What was to be done with it.
    pub operation: Operation,
    /// The record as it was sent, a JSON document.
    pub record: String,
    /// The key that the exporter made up for it.
    pub key: Option<String>,
    /// The remote job it travelled in.
    pub ticket: Option<String>,
    /// Where it stands.
    pub status: RecordStatus,
    /// Its remote identifier, once accepted.
    pub remote_id: Option<String>,
    /// The vendor's code of a reject.
    pub code: Option<String>,
    /// The vendor's text of a reject, or why a record is pending or unknown.
    pub message: Option<String>,
    /// When its latest intent was kept, in microseconds since the Unix epoch.
    pub sent_at: Option<i64>,
    /// When its outcome was kept.
    pub settled_at: Option<i64>,
}

/// The records of a job in the order of their numbers, as they stood when the listing began.
pub struct Records {
    left: Recovered,
    /// Where each line begins and when it was written, in microseconds since the Unix epoch.
    times: Vec<(u64, i64)>,
    is_running: bool,
    next: u32,
}

impl Directory {
    /// All jobs, in the order of their names.
    ///
    /// # Errors
    /// When the folder cannot be read. A damaged file is a [`JobState::Damaged`] job and no error.
    pub fn jobs(&self) -> Result<Vec<JobSummary>> {
        let mut jobs = Vec::new();
        let failed = |error| {
            let folder = self.path().display();
            Error::new(
                ErrorKind::StorageFailed,
                format!("could not read folder \"{folder}\": {error}"),
            )
        };
        for entry in fs::read_dir(self.path()).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let file_name = entry.file_name();
            let Some(stem) = file_name
                .to_str()
                .and_then(|name| name.strip_suffix(SUFFIX))
            else {
                continue;
            };
            let name = job_of_stem(stem);
            let shown_name = name.as_deref().unwrap_or(stem);
            let summary = self.look(&entry.path(), shown_name).and_then(|found| {
                let Some((file, is_held)) = found else {
                    return Ok(None);
                };
                let left = Recovered::read(Box::new(file), name.as_deref(), |_, _| {})?;
                Ok(summary(left, is_held))
            });
            match summary {
                Ok(summary) => jobs.extend(summary),
                Err(error) => jobs.push(JobSummary {
                    name: shown_name.to_owned(),
                    state: JobState::Damaged,
                    signature: None,
                    started_at: None,
                    finished_at: None,
                    counts: Counts::default(),
                    damage: Some(error),
                }),
            }
        }
        jobs.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(jobs)
    }

    /// The records of a job.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] when there is no such job, otherwise when its file cannot be read.
    pub fn records(&self, name: &str) -> Result<Records> {
        let (file, is_running) = self
            .look(&self.file_path(name), name)?
            .ok_or_else(|| no_job(name))?;
        let mut times = Vec::new();
        let see = |place, at| times.push((place, at));
        let left = Recovered::read(Box::new(file), Some(name), see)?;
        Ok(Records {
            left,
            times,
            is_running,
            next: 1,
        })
    }
}

/// Nothing for a file without a first line: nothing was sent.
fn summary(left: Recovered, is_held: bool) -> Option<JobSummary> {
    let begin = left.begin?;
    let state = if is_held {
        JobState::Running
    } else if left.index.is_finished() {
        JobState::Finished
    } else if left.index.is_committed() {
        JobState::Waiting
    } else {
        JobState::Interrupted
    };
    Some(JobSummary {
        name: begin.job,
        state,
        signature: Some(begin.signature),
        started_at: Some(left.begun_at),
        finished_at: left.index.committed_at(),
        counts: left.index.counts(),
        damage: None,
    })
}

impl Records {
    fn entry(&self, number: u32, status: Status, place: u64) -> Result<RecordEntry> {
        let log = &self.left.log;
        let (outcome, sent_place) = if status == Status::Sent {
            (None, place)
        } else {
            let element: OutcomeElement = log.value_at(place)?;
            (Some(element.outcome), element.from)
        };
        let sent: SentElement = log.value_at(sent_place)?;
        let mut entry = RecordEntry {
            number,
            operation: sent.op,
            record: sent.record.get().to_owned(),
            key: sent.key,
            ticket: self.left.index.ticket(number).map(str::to_owned),
            status: RecordStatus::Unknown,
            remote_id: None,
            code: None,
            message: None,
            sent_at: self.time(sent_place),
            settled_at: outcome.as_ref().and_then(|_| self.time(place)),
        };
        let told = |reason: String| Some(reason).filter(|reason| !reason.is_empty());
        match outcome {
            None if self.is_running => entry.status = RecordStatus::Sent,
            None => {}
            Some(Outcome::Accepted { id }) => {
                entry.status = RecordStatus::Accepted;
                entry.remote_id = Some(id);
            }
            Some(Outcome::Rejected { code, message }) => {
                entry.status = RecordStatus::Rejected;
                entry.code = Some(code);
                entry.message = Some(message);
            }
            Some(Outcome::NotApplied { reason }) => {
                entry.status = RecordStatus::Pending;
                entry.message = told(reason);
            }
            Some(Outcome::Unknown { reason }) => {
                entry.message = told(reason);
                entry.settled_at = None;
            }
        }
        Ok(entry)
    }

    /// When the line was written that `place` is in.
    fn time(&self, place: u64) -> Option<i64> {
        let after = self.times.partition_point(|(start, _)| *start <= place);
        Some(self.times[after.checked_sub(1)?].1)
    }
}

impl Iterator for Records {
    type Item = Result<RecordEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next <= self.left.index.last() {
            let number = self.next;
            self.next += 1;
            if let Some((status, _, place)) = self.left.index.get(number) {
                return Some(self.entry(number, status, place));
            }
        }
        None
    }
}
