//! Bulk API 2.0: the jobs of the server, their addresses, and the switches that tests set.
//! Sections 6 and 7 of the protocol page.

mod ingest;
mod job;
mod load;
mod query;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::ingest::{IngestJob, Plan};
use self::job::{Dialect, Head, State, wrong_state};
use self::query::{Create, QueryJob, Statement};
use self::table::Table;
use super::Salesforce;
use super::auth::Session;
use super::errors::{ApiError, Reply};
use super::store::Store;
use crate::request::Request;

/// Content type of results and uploads.
const CSV: &str = "text/csv";
/// First version with query jobs.
const QUERY_SINCE: u32 = 47;
/// First version with ingest jobs.
const INGEST_SINCE: u32 = 41;
/// Whole-table results kept rendered at a time.
const MAX_TABLES: usize = 2;
/// Query jobs of 24 hours.
const DAILY_QUERY_JOBS: usize = 10_000;
/// Objects Bulk API 2.0 refuses beside those named after a status.
const REFUSED: &[&str] = &[
    "AcceptedEventRelation",
    "DeclinedEventRelation",
    "RecentlyViewed",
    "TaskPriority",
    "UndecidedEventRelation",
];

/// What tests can change; [`Settings::default`] is what a server starts with.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Looks at a job that show it running.
    polls_until_done: u32,
    /// Milliseconds a job runs at least.
    ms_until_done: u64,
    /// Result pages after the first have no header.
    header_on_first_page_only: bool,
    /// A result without records is empty, else it is a header.
    empty_result_without_header: bool,
    /// No result page holds more records.
    page_cap: Option<usize>,
    /// Further objects that refuse query jobs.
    refused_objects: Vec<String>,
    /// New query jobs fail with this message.
    query_error: Option<String>,
    /// Largest upload in bytes.
    upload_limit: usize,
    /// The users have the permission for hard deletion.
    hard_delete: bool,
    /// Ingest jobs go on no further than so many records.
    hold_after: Option<usize>,
    /// Ingest jobs fail after so many records.
    fail_after: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polls_until_done: 1,
            ms_until_done: 0,
            header_on_first_page_only: false,
            empty_result_without_header: false,
            page_cap: None,
            refused_objects: Vec::new(),
            query_error: None,
            // What makes 150 MB in base64.
            upload_limit: 112_500_000,
            hard_delete: false,
            hold_after: None,
            fail_after: None,
        }
    }
}

/// Which rendered table a statement can share.
#[derive(PartialEq, Eq)]
struct TableKey {
    object: usize,
    columns: Vec<String>,
    all: bool,
    dialect: Dialect,
    /// Which state of the records it shows.
    edition: usize,
}

#[derive(Default)]
struct Kept {
    settings: Settings,
    issued: u64,
    queries: BTreeMap<String, QueryJob>,
    ingests: BTreeMap<String, Arc<IngestJob>>,
    tables: VecDeque<(TableKey, Arc<Table>)>,
}

/// The jobs of a server.
pub struct Bulk {
    page_cap: Option<usize>,
    kept: Mutex<Kept>,
}

impl Bulk {
    /// `page_cap` bounds every result page.
    pub fn new(page_cap: Option<usize>) -> Self {
        Self {
            page_cap,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No jobs, no changed settings; rendered tables stay.
    pub fn reset(&self) {
        let mut kept = self.kept();
        kept.queries.clear();
        kept.ingests.clear();
        kept.settings = Settings::default();
    }

    /// The settings as JSON.
    pub fn settings(&self) -> Value {
        json!(self.kept().settings)
    }

    /// Changes the settings a JSON object names; null stands for the value at the start. Jobs that were
    /// held go on as far as they may now.
    ///
    /// # Errors
    /// `JSON_PARSER_ERROR` for an unknown name or a value of another type.
    pub fn change(&self, face: &Salesforce, body: &[u8]) -> Result<(), ApiError> {
        let wrong =
            |error: serde_json::Error| ApiError::bad("JSON_PARSER_ERROR", error.to_string());
        let wanted: serde_json::Map<String, Value> = serde_json::from_slice(body).map_err(wrong)?;
        let mut kept = self.kept();
        let mut settings = json!(kept.settings);
        let start = json!(Settings::default());
        for (name, value) in wanted {
            settings[&name] = match value {
                Value::Null => start[&name].clone(),
                value => value,
            };
        }
        kept.settings = serde_json::from_value(settings).map_err(wrong)?;
        let jobs: Vec<Arc<IngestJob>> = kept.ingests.values().cloned().collect();
        drop(kept);
        for job in jobs {
            job.work(face, || self.kept().settings.clone());
        }
        Ok(())
    }

    /// Query jobs a client may still create today.
    pub fn query_jobs_left(&self) -> usize {
        DAILY_QUERY_JOBS.saturating_sub(self.kept().queries.len())
    }

    /// Answers below `{V}/jobs`; `path` holds the segments behind that.
    ///
    /// # Errors
    /// What the call is refused for.
    pub fn answer(
        &self,
        face: &Salesforce,
        session: Session,
        version: &str,
        path: &[&str],
        request: &Request,
    ) -> Result<Reply, ApiError> {
        match path.split_first() {
            Some((&"query", rest)) if since(version, QUERY_SINCE) => {
                self.query(face, session, version, rest, request)
            }
            Some((&"ingest", rest)) if since(version, INGEST_SINCE) => {
                self.ingest(face, session, version, rest, request)
            }
            _ => Err(ApiError::not_found()),
        }
    }

    fn query(
        &self,
        face: &Salesforce,
        session: Session,
        version: &str,
        path: &[&str],
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let method = request.method.as_str();
        if let ("POST", []) = (method, path) {
            return self.create_query(&face.records(), session, version, request);
        }
        let mut kept = self.kept();
        if let ("GET", []) = (method, path) {
            let heads = kept.queries.values().map(|job| (&job.head, "V2Query"));
            return Ok(Reply::ok(&job::list(heads, request.parameter("jobState"))));
        }
        let Some((id, rest)) = path.split_first() else {
            return Err(ApiError::method(method));
        };
        let settings = kept.settings.clone();
        let job = kept.queries.get_mut(*id).ok_or_else(ApiError::not_found)?;
        match (method, rest) {
            ("GET", []) => Ok(Reply::ok(&job.look())),
            ("PATCH", []) => Ok(Reply::ok(&job.patch(wanted_state(request)?)?)),
            ("DELETE", []) => {
                if !job.head.state.is_final() {
                    return Err(wrong_state("only a job that has ended can be deleted"));
                }
                kept.queries.remove(*id);
                Ok(Reply::bare(204))
            }
            ("GET", [what @ ("results" | "resultPages")]) => {
                let table = job.results(version)?;
                let head = job.head.clone();
                // Compressing a page takes a while; other calls go on meanwhile.
                drop(kept);
                let cap = self.page_cap.into_iter().chain(settings.page_cap).min();
                match *what {
                    "results" => query::page(&table, &settings, cap, request),
                    _ => query::result_pages(&table, &head, cap, request),
                }
            }
            (_, [] | ["results" | "resultPages"]) => Err(ApiError::method(method)),
            _ => Err(ApiError::not_found()),
        }
    }

    fn ingest(
        &self,
        face: &Salesforce,
        session: Session,
        version: &str,
        path: &[&str],
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let method = request.method.as_str();
        let (id, rest) = match (method, path.split_first()) {
            ("POST", None) => return self.create_ingest(face, session, version, request),
            ("GET", None) => {
                let jobs: Vec<Arc<IngestJob>> = self.kept().ingests.values().cloned().collect();
                let heads: Vec<Head> = jobs.iter().map(|job| job.lock().head.clone()).collect();
                let heads = heads.iter().map(|head| (head, "V2Ingest"));
                return Ok(Reply::ok(&job::list(heads, request.parameter("jobState"))));
            }
            (_, None) => return Err(ApiError::method(method)),
            (_, Some(path)) => path,
        };
        let (job, limit) = {
            let kept = self.kept();
            let job = kept.ingests.get(*id).cloned();
            (
                job.ok_or_else(ApiError::not_found)?,
                kept.settings.upload_limit,
            )
        };
        match (method, rest) {
            ("GET", []) => Ok(Reply::ok(&job.lock().look())),
            ("PATCH", []) => {
                let (answer, work) = job.patch(wanted_state(request)?, face)?;
                if work {
                    job.work(face, || self.kept().settings.clone());
                }
                Ok(Reply::ok(&answer))
            }
            ("PUT", ["batches"]) => {
                job.lock().upload(request, limit)?;
                Ok(Reply::bare(201))
            }
            ("DELETE", []) => {
                let state = job.lock().head.state;
                if !state.is_final() {
                    return Err(wrong_state(format!(
                        "a job that is {state:?} cannot be deleted"
                    )));
                }
                self.kept().ingests.remove(*id);
                Ok(Reply::bare(204))
            }
            ("GET", [name]) if *name != "batches" => job.lock().results(name),
            (_, [] | [_]) => Err(ApiError::method(method)),
            _ => Err(ApiError::not_found()),
        }
    }

    fn create_ingest(
        &self,
        face: &Salesforce,
        session: Session,
        version: &str,
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let settings = self.kept().settings.clone();
        let plan = Plan::parse(request, &face.records(), &settings)?;
        let mut kept = self.kept();
        kept.issued += 1;
        let (word, object) = (plan.word.clone(), plan.object.clone());
        let head = Head::new(
            kept.issued,
            session,
            version,
            &word,
            &object,
            plan.dialect,
            State::Open,
        );
        let id = head.id.clone();
        let job = IngestJob::new(head, plan, &settings, kept.issued);
        let answer = Value::Object(job.lock().document());
        kept.ingests.insert(id, job);
        Ok(Reply::ok(&answer))
    }

    fn create_query(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let (create, dialect) = Create::parse(request)?;
        let all = match create.operation.as_str() {
            "query" => false,
            "queryAll" => true,
            other => {
                return Err(ApiError::bad(
                    "INVALIDJOB",
                    format!("a query job cannot have the operation {other}"),
                ));
            }
        };
        let soql = create
            .query
            .as_deref()
            .filter(|soql| !soql.is_empty())
            .ok_or_else(|| ApiError::bad("INVALIDJOB", "a query job needs a query"))?;
        let settings = self.kept().settings.clone();
        let statement = query::statement(soql, store, &settings)?;
        let table = self.table(store, &statement, all, dialect)?;
        let mut kept = self.kept();
        kept.issued += 1;
        let head = Head::new(
            kept.issued,
            session,
            version,
            &create.operation,
            &store.object(statement.plan.object).name,
            dialect,
            State::UploadComplete,
        );
        let answer = Value::Object(head.document());
        let job = QueryJob::new(head, &settings, table, statement.chunked);
        kept.queries.insert(job.head.id.clone(), job);
        Ok(Reply::ok(&answer))
    }

    /// The result of a statement; that of a whole table is rendered once and shared.
    fn table(
        &self,
        store: &Store,
        statement: &Statement,
        all: bool,
        dialect: Dialect,
    ) -> Result<Arc<Table>, ApiError> {
        let key = TableKey {
            object: statement.plan.object,
            columns: statement.paths.iter().map(|p| p.name.clone()).collect(),
            all,
            dialect,
            edition: store.edition(),
        };
        if statement.whole
            && let Some((_, table)) = self.kept().tables.iter().find(|(k, _)| *k == key)
        {
            return Ok(Arc::clone(table));
        }
        let rows = query::rows(statement, store, all)?;
        let table = Arc::new(Table::render(
            store,
            statement.plan.object,
            &statement.paths,
            &rows,
            dialect,
        ));
        if statement.whole {
            let mut kept = self.kept();
            kept.tables.retain(|(k, _)| k.edition == key.edition);
            if kept.tables.len() == MAX_TABLES {
                kept.tables.pop_front();
            }
            kept.tables.push_back((key, Arc::clone(&table)));
        }
        Ok(table)
    }

    /// Renders a whole-table result ahead, in pages of `size` records; says how many pages.
    ///
    /// # Errors
    /// What the statement is refused for, or `INVALID_OPERATION` when it is not for a whole table.
    pub fn prerender(&self, store: &Store, soql: &str, size: usize) -> Result<usize, ApiError> {
        let settings = self.kept().settings.clone();
        let statement = query::statement(soql, store, &settings)?;
        if !statement.whole {
            return Err(ApiError::bad(
                "INVALID_OPERATION",
                "only a query for a whole table is kept rendered",
            ));
        }
        let table = self.table(store, &statement, false, Dialect::default())?;
        let only_first = settings.header_on_first_page_only;
        Ok(query::prerender(&table, size, only_first))
    }
}

/// The counter a call below `{V}/jobs/query` or `{V}/jobs/ingest` belongs to.
pub fn kind(method: &str, path: &[&str]) -> &'static str {
    match (method, path) {
        ("POST", []) => "bulk_create",
        ("PUT", _) => "bulk_upload",
        ("PATCH", _) => "bulk_close",
        ("DELETE", _) => "bulk_delete",
        (_, [] | [_]) => "bulk_poll",
        _ => "bulk_results",
    }
}

/// Whether an object has no bulk access.
fn refuses_bulk(object: &str, settings: &Settings) -> bool {
    let listed = |list: &[&str]| list.iter().any(|name| name.eq_ignore_ascii_case(object));
    let further: Vec<&str> = settings
        .refused_objects
        .iter()
        .map(String::as_str)
        .collect();
    object.ends_with("Status") || listed(REFUSED) || listed(&further)
}

fn since(version: &str, first: u32) -> bool {
    let major = version.split('.').next().unwrap_or_default();
    major.parse::<u32>().is_ok_and(|major| major >= first)
}

fn json_body<T: DeserializeOwned>(request: &Request) -> Result<T, ApiError> {
    serde_json::from_slice(&request.body)
        .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))
}

fn csv_only(content_type: Option<&str>) -> Result<(), ApiError> {
    match content_type {
        None | Some("CSV") => Ok(()),
        Some(other) => Err(ApiError::bad(
            "INVALIDJOB",
            format!("contentType {other} is not supported, use CSV"),
        )),
    }
}

#[derive(Deserialize)]
struct Patch {
    state: State,
}

fn wanted_state(request: &Request) -> Result<State, ApiError> {
    json_body::<Patch>(request).map(|patch| patch.state)
}
