//! A small vendor that runs jobs one after another, as a script says.

use crate::support::{batch, id, refused, server};
use crm_core::{Error, ErrorKind, Operation, Result, Route, TicketKeeper, WriteBatch};
use crm_http::testkit::{Answer, Seen, Server};
use std::sync::{Arc, Mutex};

/// Keeps tickets, as an export journal does.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<String>>);

impl TicketKeeper for Kept {
    fn keep(&self, ticket: &str) -> Result<()> {
        self.0.lock().unwrap().push(ticket.to_owned());
        Ok(())
    }
}

pub struct Full;

impl TicketKeeper for Full {
    fn keep(&self, _ticket: &str) -> Result<()> {
        Err(Error::new(ErrorKind::RemoteFault, "the disk is full"))
    }
}

#[derive(Clone, Default)]
pub struct JobState {
    state: &'static str,
    upload: String,
    pub looks: usize,
}

/// How a job goes.
#[derive(Clone)]
pub struct Script {
    /// What the vendor refuses, by a text in the row.
    pub refused: &'static str,
    /// Looks until it has ended.
    pub looks: usize,
    /// How it ends.
    pub ending: &'static str,
    /// Rows that are never worked off, by a text in the row.
    pub undone: &'static str,
    /// A column that the results do not have.
    pub dropped: Option<&'static str>,
}

pub const USUAL: Script = Script {
    refused: "REFUSED",
    looks: 2,
    ending: "JobComplete",
    undone: "UNDONE",
    dropped: None,
};

/// A vendor that runs jobs by `script`; `first` may answer a request in its place.
pub async fn vendor(
    script: Script,
    first: impl Fn(&Seen, usize) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    let jobs: Arc<Mutex<Vec<JobState>>> = Arc::default();
    server(move |seen, n, _| {
        // What is done is done, also when its answer is lost.
        let answer = serve(&script, &mut jobs.lock().unwrap(), seen);
        first(seen, n).unwrap_or(answer)
    })
    .await
}

pub fn serve(script: &Script, jobs: &mut Vec<JobState>, seen: &Seen) -> Answer {
    let Some(path) = seen.target.strip_prefix("/services/data/v66.0/jobs/ingest") else {
        return collections(seen);
    };
    if path.is_empty() {
        jobs.push(JobState {
            state: "Open",
            ..JobState::default()
        });
        return shown(jobs.len() - 1, &jobs[jobs.len() - 1]);
    }
    let (name, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let number: usize = name["750000000".len()..][..6].parse().unwrap();
    let Some(job) = jobs.get_mut(number) else {
        return refused(404, "NOT_FOUND", "no such job");
    };
    match (seen.method.as_str(), rest) {
        ("PUT", "batches") => {
            assert!(
                job.upload.is_empty() && job.state == "Open",
                "one upload a job"
            );
            job.upload = seen.body.clone();
            Answer::new(201, "")
        }
        ("PATCH", "") if job.state != "Open" => refused(400, "INVALIDJOBSTATE", "not open"),
        ("PATCH", "") => {
            job.state = if seen.body.contains("Aborted") {
                "Aborted"
            } else {
                "UploadComplete"
            };
            shown(number, job)
        }
        ("GET", "") => {
            job.looks += 1;
            if job.state == "UploadComplete" && job.looks >= script.looks {
                job.state = script.ending;
            }
            let mut answer = shown(number, job);
            if job.state == script.ending {
                let count =
                    |kind: &str| results(script, job, kind).lines().count().saturating_sub(1);
                let (well, ill) = (count("successfulResults"), count("failedResults"));
                answer = Answer::new(
                    200,
                    format!(
                        r#"{{"id":"{}","state":"{}","numberRecordsProcessed":{},"numberRecordsFailed":{ill},"errorMessage":"TEST reason"}}"#,
                        job_name(number),
                        job.state,
                        well + ill
                    ),
                );
            }
            answer
        }
        ("GET", kind) => Answer::new(200, results(script, job, kind.trim_end_matches('/'))),
        ("DELETE", "") => Answer::new(204, ""),
        other => panic!("{other:?}"),
    }
}

pub fn job_name(number: usize) -> String {
    format!("750000000{number:06}AAA")
}

fn shown(number: usize, job: &JobState) -> Answer {
    let name = job_name(number);
    Answer::new(200, format!(r#"{{"id":"{name}","state":"{}"}}"#, job.state))
}

/// Result lists; rows in the opposite order of the upload, identifiers by their place in it.
fn results(script: &Script, job: &JobState, kind: &str) -> String {
    let mut reader = csv::Reader::from_reader(job.upload.as_bytes());
    let header = reader.headers().unwrap().clone();
    let kept: Vec<usize> = (0..header.len())
        .filter(|at| Some(&header[*at]) != script.dropped)
        .collect();
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .from_writer(Vec::new());
    let front: &[&str] = match kind {
        "successfulResults" => &["sf__Id", "sf__Created"],
        "failedResults" => &["sf__Id", "sf__Error"],
        "unprocessedrecords" => &[],
        other => panic!("{other}"),
    };
    let columns = front
        .iter()
        .copied()
        .chain(kept.iter().map(|at| &header[*at]));
    writer.write_record(columns).unwrap();
    let rows: Vec<_> = reader
        .records()
        .map(|row| row.unwrap())
        .enumerate()
        .collect();
    for (number, row) in rows.iter().rev() {
        let has = |text: &str| row.iter().any(|cell| cell.contains(text));
        let belongs = match () {
            () if has(script.undone) => "unprocessedrecords",
            () if has("LOCKED") || has(script.refused) => "failedResults",
            () => "successfulResults",
        };
        if belongs != kind {
            continue;
        }
        let named = header.iter().position(|name| name == "Id");
        let id = named.map_or_else(|| id(*number), |at| row[at].to_owned());
        let front: Vec<String> = match kind {
            "successfulResults" => vec![id, named.is_none().to_string()],
            "failedResults" if has("LOCKED") => {
                vec![String::new(), "UNABLE_TO_LOCK_ROW:locked:--".into()]
            }
            "failedResults" => vec![
                String::new(),
                "STRING_TOO_LONG:no: too long:LastName --".into(),
            ],
            _ => vec![],
        };
        let cells = front
            .iter()
            .map(String::as_str)
            .chain(kept.iter().map(|at| &row[*at]));
        writer.write_record(cells).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// The collections interface, which takes everything.
fn collections(seen: &Seen) -> Answer {
    let results: Vec<_> = (0..seen.body.matches("attributes").count())
        .map(|at| format!(r#"{{"id":"{}","success":true,"errors":[]}}"#, id(900 + at)))
        .collect();
    Answer::new(200, format!("[{}]", results.join(",")))
}

pub fn in_job(operation: Operation, fields: &[&str], records: &[(&str, &[&str])]) -> WriteBatch {
    let mut batch = batch(operation, fields, records);
    batch.route = Route::Job;
    batch
}

/// Records of which the second is refused and the last two are equal.
pub const CREATED: &[(&str, &[&str])] = &[
    ("", &["a, \"quoted\"", "-"]),
    ("", &["REFUSED", "x"]),
    ("", &["two\nlines", "y"]),
    ("", &["same", "z"]),
    ("", &["same", "z"]),
];
