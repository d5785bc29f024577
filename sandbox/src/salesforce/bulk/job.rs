//! What query and ingest jobs have in common: the head of the job document, CSV dialect, states, and how
//! a job moves on. Sections 6 and 7 of the protocol page.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Settings;
use crate::salesforce::errors::ApiError;
use crate::salesforce::organisation::user_id;
use crate::salesforce::{auth::Session, id};

/// Key prefix of job ids.
const PREFIX: &str = "750";

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Ingest only: waits for its data.
    Open,
    UploadComplete,
    InProgress,
    JobComplete,
    Failed,
    Aborted,
}

impl State {
    /// Nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::JobComplete | Self::Failed | Self::Aborted)
    }
}

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Delimiter {
    Backquote,
    Caret,
    #[default]
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

impl Delimiter {
    /// The character.
    pub fn byte(self) -> u8 {
        match self {
            Self::Backquote => b'`',
            Self::Caret => b'^',
            Self::Comma => b',',
            Self::Pipe => b'|',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }
}

/// What stands between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LineEnding {
    #[default]
    Lf,
    Crlf,
}

/// How the CSV of a job is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dialect {
    pub delimiter: Delimiter,
    pub line_ending: LineEnding,
}

impl Dialect {
    /// A writer of CSV with every field in quotes, as Salesforce writes it.
    pub fn writer(self, out: Vec<u8>) -> csv::Writer<Vec<u8>> {
        csv::WriterBuilder::new()
            .delimiter(self.delimiter.byte())
            .quote_style(csv::QuoteStyle::Always)
            .terminator(match self.line_ending {
                LineEnding::Lf => csv::Terminator::Any(b'\n'),
                LineEnding::Crlf => csv::Terminator::CRLF,
            })
            .flexible(true)
            .from_writer(out)
    }
}

/// How many looks, and how much time, a job takes to end.
#[derive(Debug, Clone)]
pub struct Pace {
    polls_left: u32,
    done_at: Option<Instant>,
}

impl Pace {
    /// The pace tests have asked for, from now on.
    pub fn new(settings: &Settings) -> Self {
        Self {
            polls_left: settings.polls_until_done,
            done_at: (settings.ms_until_done > 0)
                .then(|| Instant::now() + Duration::from_millis(settings.ms_until_done)),
        }
    }

    /// Counts a look at the job; true once it may show its end.
    pub fn look(&mut self) -> bool {
        let waited = self.polls_left == 0;
        self.polls_left = self.polls_left.saturating_sub(1);
        waited && self.done_at.is_none_or(|at| Instant::now() >= at)
    }
}

/// The part of a job document that both kinds share.
#[derive(Debug, Clone)]
pub struct Head {
    pub id: String,
    pub operation: String,
    /// The object's name as described.
    pub object: String,
    /// API version the job was made with, such as `66.0`.
    pub version: String,
    pub dialect: Dialect,
    pub state: State,
    pub error: Option<String>,
    /// Who made the job; place in the list of users.
    pub user: usize,
    created: DateTime<Utc>,
    touched: DateTime<Utc>,
    started: Instant,
    took: Option<Duration>,
}

impl Head {
    /// A new job, the `number`-th of its server.
    pub fn new(
        number: u64,
        session: Session,
        version: &str,
        operation: &str,
        object: &str,
        dialect: Dialect,
        state: State,
    ) -> Self {
        let now = Utc::now();
        Self {
            id: id::make(PREFIX, number),
            operation: operation.to_owned(),
            object: object.to_owned(),
            version: version.to_owned(),
            dialect,
            state,
            error: None,
            user: session.user,
            created: now,
            touched: now,
            started: Instant::now(),
            took: None,
        }
    }

    /// Enters a state.
    pub fn enter(&mut self, state: State) {
        self.state = state;
        self.touched = Utc::now();
        if state.is_final() {
            self.took = Some(self.started.elapsed());
        }
    }

    /// The members every answer about the job has; `apiVersion` is a JSON number.
    pub fn document(&self) -> Map<String, Value> {
        let stamp = |at: DateTime<Utc>| at.format("%Y-%m-%dT%H:%M:%S.000+0000").to_string();
        let version: f64 = self.version.parse().unwrap_or_default();
        let Value::Object(map) = json!({
            "id": self.id, "operation": self.operation, "object": self.object,
            "createdById": user_id(self.user), "createdDate": stamp(self.created),
            "systemModstamp": stamp(self.touched), "state": self.state,
            "concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": version,
            "lineEnding": self.dialect.line_ending, "columnDelimiter": self.dialect.delimiter,
        }) else {
            return Map::new();
        };
        map
    }

    /// What `GET` adds for both kinds: milliseconds of work, retries, and why the job failed.
    pub fn details(&self, map: &mut Map<String, Value>) {
        let took = self.took.map_or(0, |took| took.as_millis() as u64);
        map.insert("retries".to_owned(), 0.into());
        map.insert("totalProcessingTime".to_owned(), took.into());
        if let Some(error) = &self.error {
            map.insert("errorMessage".to_owned(), error.as_str().into());
        }
    }
}

/// Refuses what the job's state does not allow.
pub fn wrong_state(message: impl Into<String>) -> ApiError {
    ApiError::bad("INVALIDJOBSTATE", message)
}

/// A list of jobs, newest last, all on one page.
pub fn list<'j>(
    heads: impl Iterator<Item = (&'j Head, &'static str)>,
    wanted: Option<&str>,
) -> Value {
    let records: Vec<Value> = heads
        .filter(|(head, _)| {
            let state = json!(head.state);
            wanted.is_none_or(|wanted| {
                state
                    .as_str()
                    .is_some_and(|s| wanted.split(',').any(|w| w.trim().eq_ignore_ascii_case(s)))
            })
        })
        .map(|(head, job_type)| {
            let mut map = head.document();
            map.insert("jobType".to_owned(), job_type.into());
            Value::Object(map)
        })
        .collect();
    json!({"done": true, "records": records, "nextRecordsUrl": null})
}
