//! Ingest jobs: create, one upload, close, work, results. Section 7 of the protocol page.
//! The work is done by whoever closes the job, not by whoever waits for it: a client may go away.

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::job::{Delimiter, Dialect, Head, LineEnding, Pace, State, wrong_state};
use super::load::{self, Load};
use super::{CSV, Settings, refuses_bulk};
use crate::request::Request;
use crate::salesforce::Salesforce;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::store::Store;
use crate::salesforce::write::{Operation, Options, key_field};

/// Body of a create call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    object: String,
    pub operation: String,
    external_id_field_name: Option<String>,
    assignment_rule_id: Option<String>,
    content_type: Option<String>,
    column_delimiter: Option<Delimiter>,
    line_ending: Option<LineEnding>,
}

/// A create call that can be carried out.
pub struct Plan {
    pub operation: Operation,
    /// `operation` on the wire.
    pub word: String,
    pub dialect: Dialect,
    /// Place and name of the object.
    place: usize,
    pub object: String,
    external_id: Option<String>,
    assignment_rule: Option<String>,
}

impl Plan {
    /// Reads a create call.
    ///
    /// # Errors
    /// 400: `INVALIDENTITY` for objects without bulk access, `INVALIDJOB` for an operation or a key that
    /// does not fit, `FEATURENOTENABLED` for hard deletion without the permission.
    pub fn parse(request: &Request, store: &Store, settings: &Settings) -> Result<Self, ApiError> {
        let create: Create = super::json_body(request)?;
        super::csv_only(create.content_type.as_deref())?;
        let invalid = |message: String| ApiError::bad("INVALIDJOB", message);
        let place = store.place(&create.object).ok_or_else(|| {
            ApiError::bad(
                "INVALIDENTITY",
                format!("Unable to find object: {}", create.object),
            )
        })?;
        let object = store.object(place);
        if refuses_bulk(&object.name, settings) {
            return Err(ApiError::bad(
                "INVALIDENTITY",
                format!("Entity '{}' is not supported by the Bulk API.", object.name),
            ));
        }
        let mut external_id = None;
        let operation = match create.operation.as_str() {
            "insert" => Operation::Create,
            "update" => Operation::Update,
            "delete" => Operation::Delete,
            "hardDelete" if settings.hard_delete => Operation::HardDelete,
            "hardDelete" => {
                return Err(ApiError::bad(
                    "FEATURENOTENABLED",
                    "hard deletion needs the permission Bulk API Hard Delete",
                ));
            }
            "upsert" => {
                let name = create.external_id_field_name.as_deref().ok_or_else(|| {
                    invalid(format!(
                        "External ID was blank for {}. An External ID must be specified for upsert.",
                        object.name
                    ))
                })?;
                let field = key_field(object, name).map_err(|error| invalid(error.message))?;
                let name = object.fields[field].name.clone();
                external_id = Some(name.clone());
                Operation::Upsert(name)
            }
            other => return Err(invalid(format!("operation {other} is not supported"))),
        };
        Ok(Self {
            operation,
            word: create.operation,
            dialect: Dialect {
                delimiter: create.column_delimiter.unwrap_or_default(),
                line_ending: create.line_ending.unwrap_or_default(),
            },
            place,
            object: object.name.clone(),
            external_id,
            assignment_rule: create.assignment_rule_id,
        })
    }
}

/// A job as it stands.
pub struct Job {
    pub head: Head,
    plan: Plan,
    seed: u64,
    pace: Pace,
    upload: Option<Bytes>,
    load: Option<Load>,
    /// How the work ended; shown once the pace allows.
    end: Option<Result<(), String>>,
}

/// A job others may be looking at. Whoever needs the records as well locks the job first.
pub struct IngestJob {
    job: Mutex<Job>,
}

impl IngestJob {
    /// An open job; `seed` decides the order of its results.
    pub fn new(head: Head, plan: Plan, settings: &Settings, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            job: Mutex::new(Job {
                head,
                plan,
                seed,
                pace: Pace::new(settings),
                upload: None,
                load: None,
                end: None,
            }),
        })
    }

    /// The job, for as long as nobody else needs it.
    pub fn lock(&self) -> MutexGuard<'_, Job> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is left of the work, chunk by chunk, as far as `settings` lets it.
    pub fn work(&self, face: &Salesforce, settings: impl Fn() -> Settings) {
        loop {
            let settings = settings();
            let mut job = self.lock();
            if !job.step(face, &settings) {
                return;
            }
        }
    }

    /// `PATCH {"state":…}`: closes or aborts the job. True asks for [`Self::work`].
    ///
    /// # Errors
    /// `INVALIDJOBSTATE` where the state does not allow it.
    pub fn patch(&self, wanted: State, face: &Salesforce) -> Result<(Value, bool), ApiError> {
        let mut job = self.lock();
        let state = job.head.state;
        match wanted {
            State::UploadComplete if state == State::Open && job.upload.is_none() => {
                return Err(wrong_state(format!(
                    "Job {} has no data to process",
                    job.head.id
                )));
            }
            State::UploadComplete if state == State::Open => {
                if let Err(error) = job.read(&face.records()) {
                    job.end = Some(Err(error.to_string()));
                }
                job.head.enter(State::UploadComplete);
            }
            State::Aborted if !state.is_final() => {
                // What was uploaded counts as not processed; data that cannot be read has no rows.
                if job.load.is_none() {
                    let _ = job.read(&face.records());
                }
                job.head.enter(State::Aborted);
            }
            State::UploadComplete | State::Aborted => {
                return Err(wrong_state(format!(
                    "Job {} is {state:?} and cannot be set to {wanted:?}",
                    job.head.id
                )));
            }
            other => {
                return Err(ApiError::bad(
                    "INVALIDJOB",
                    format!("a job cannot be set to {other:?}"),
                ));
            }
        }
        let work = job.head.state == State::UploadComplete;
        Ok((Value::Object(job.document()), work))
    }
}

impl Job {
    /// What every answer about the job has; `contentUrl` has no slash in front.
    pub fn document(&self) -> Map<String, Value> {
        let mut map = self.head.document();
        let (version, id) = (&self.head.version, &self.head.id);
        let url = format!("services/data/v{version}/jobs/ingest/{id}/batches");
        map.insert("contentUrl".to_owned(), url.into());
        let further = [
            ("externalIdFieldName", &self.plan.external_id),
            ("assignmentRuleId", &self.plan.assignment_rule),
        ];
        for (name, value) in further {
            if let Some(value) = value {
                map.insert(name.to_owned(), value.as_str().into());
            }
        }
        map
    }

    /// `PUT {V}/jobs/ingest/{id}/batches`: the one upload.
    ///
    /// # Errors
    /// 400 for a second upload or a closed job, 413 for too much, 415 for another type than CSV.
    pub fn upload(&mut self, request: &Request, limit: usize) -> Result<(), ApiError> {
        let content_type = request.header("content-type").unwrap_or_default();
        if !content_type.to_ascii_lowercase().starts_with(CSV) {
            return Err(ApiError::new(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                format!("The content type {content_type} does not fit contentType CSV"),
            ));
        }
        if self.head.state != State::Open {
            return Err(wrong_state(format!(
                "Job {} is {:?}, it takes no data",
                self.head.id, self.head.state
            )));
        }
        if self.upload.is_some() {
            return Err(wrong_state(format!(
                "Found multiple contents for job: {}, close or abort it and create a new one",
                self.head.id
            )));
        }
        let data = match request.header("content-encoding") {
            Some("gzip") => load::unpack(&request.body, limit)
                .map(Bytes::from)
                .map_err(|error| ApiError::bad("INVALIDBATCH", error.to_string()))?,
            _ => request.body.clone(),
        };
        if data.len() > limit {
            return Err(ApiError::new(
                413,
                "REQUEST_ENTITY_TOO_LARGE",
                format!("The upload is larger than {limit} bytes"),
            ));
        }
        self.upload = Some(data);
        Ok(())
    }

    fn read(&mut self, store: &Store) -> Result<(), load::Refused> {
        let data = self.upload.take().unwrap_or_default();
        let object = (store.object(self.plan.place), self.plan.place);
        let (operation, dialect) = (self.plan.operation.clone(), self.plan.dialect);
        self.load = Some(Load::read(&data, object, operation, dialect, self.seed)?);
        Ok(())
    }

    /// Writes one chunk; false when there is nothing to do, now or ever.
    fn step(&mut self, face: &Salesforce, settings: &Settings) -> bool {
        let Some(load) = &mut self.load else {
            return false;
        };
        if self.head.state.is_final() || self.end.is_some() {
            return false;
        }
        if settings.fail_after.is_some_and(|n| load.processed() >= n) {
            self.end = Some(Err("InternalServerError : failed on demand".to_owned()));
            return false;
        }
        if load.is_done() {
            self.end = Some(Ok(()));
            return false;
        }
        if settings.hold_after.is_some_and(|n| load.processed() >= n) {
            return false;
        }
        let stop = settings
            .fail_after
            .into_iter()
            .chain(settings.hold_after)
            .min();
        let options = Options {
            user: self.head.user,
            at: face.clock.now(),
            text_values: true,
            allow_save: false,
            update_only: false,
        };
        let _turn = face.writing();
        load.write_chunk(
            &mut face.records_mut(),
            stop.unwrap_or(usize::MAX),
            &options,
        );
        true
    }

    /// `GET {V}/jobs/ingest/{id}`; each look moves a closed job on.
    pub fn look(&mut self) -> Value {
        if !self.head.state.is_final() && self.head.state != State::Open {
            match (self.pace.look(), &self.end) {
                (true, Some(Ok(()))) => self.head.enter(State::JobComplete),
                (true, Some(Err(error))) => {
                    self.head.error = Some(error.clone());
                    self.head.enter(State::Failed);
                }
                _ => self.head.enter(State::InProgress),
            }
        }
        let mut map = self.document();
        let load = self.load.as_ref();
        for (name, count) in [
            ("numberRecordsProcessed", load.map_or(0, Load::processed)),
            ("numberRecordsFailed", load.map_or(0, Load::failed)),
            ("apiActiveProcessingTime", 0),
            ("apexProcessingTime", 0),
        ] {
            map.insert(name.to_owned(), count.into());
        }
        map.insert("jobType".to_owned(), "V2Ingest".into());
        self.head.details(&mut map);
        Value::Object(map)
    }

    /// One of the three result lists.
    ///
    /// # Errors
    /// 404 for another name, 400 before the end.
    pub fn results(&self, name: &str) -> Result<Reply, ApiError> {
        let list = match name {
            "successfulResults" => Load::successful,
            "failedResults" => Load::refused,
            // The page's spelling, and the one a widespread client sends.
            "unprocessedrecords" | "unprocessedRecords" => Load::unprocessed,
            _ => return Err(ApiError::not_found()),
        };
        if !self.head.state.is_final() {
            return Err(wrong_state(format!(
                "Job {} is {:?}, it has no results",
                self.head.id, self.head.state
            )));
        }
        let body = self.load.as_ref().map(list).unwrap_or_default();
        Ok(Reply::typed(200, CSV, body))
    }
}
