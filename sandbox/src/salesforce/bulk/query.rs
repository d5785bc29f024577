//! Query jobs: what Bulk API 2.0 refuses, the life of a job, its results page by page.
//! Section 6 of the protocol page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::job::{Delimiter, Dialect, Head, LineEnding, Pace, State, wrong_state};
use super::table::Table;
use super::{CSV, Settings, refuses_bulk};
use crate::request::Request;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::soql::ast::{Item, Query};
use crate::salesforce::soql::bind::{self, Binder};
use crate::salesforce::soql::eval::{self, Found};
use crate::salesforce::soql::parser;
use crate::salesforce::soql::plan::{FieldPath, Plan};
use crate::salesforce::store::Store;

/// Rows on a page when the client does not say.
const USUAL_PAGE: usize = 50_000;
/// Most rows on a page, whatever the client says.
const MAX_PAGE: usize = 250_000;
/// Most addresses `resultPages` gives at once.
const MAX_RESULT_PAGES: usize = 5;
/// First version with `resultPages`.
const RESULT_PAGES_SINCE: u32 = 58;

/// Body of a create call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Create {
    pub operation: String,
    pub query: Option<String>,
    content_type: Option<String>,
    column_delimiter: Option<Delimiter>,
    line_ending: Option<LineEnding>,
}

impl Create {
    /// Reads the body.
    ///
    /// # Errors
    /// 400 for what is no such body, or asks for another format than CSV.
    pub fn parse(request: &Request) -> Result<(Self, Dialect), ApiError> {
        let create: Self = super::json_body(request)?;
        super::csv_only(create.content_type.as_deref())?;
        let dialect = Dialect {
            delimiter: create.column_delimiter.unwrap_or_default(),
            line_ending: create.line_ending.unwrap_or_default(),
        };
        Ok((create, dialect))
    }
}

/// A statement a query job can run.
pub struct Statement {
    pub plan: Plan,
    /// The columns in the order of the SELECT list.
    pub paths: Vec<FieldPath>,
    /// No WHERE, ORDER BY or LIMIT: the whole table.
    pub whole: bool,
    /// The server cuts the job into ranges of ids by itself.
    pub chunked: bool,
}

/// Reads a statement and refuses what query jobs do not know.
///
/// # Errors
/// 400 with the codes of a REST query; `INVALIDENTITY` for objects without bulk access; `API_ERROR` for
/// GROUP BY, OFFSET, aggregates, compound and binary fields.
pub fn statement(soql: &str, store: &Store, settings: &Settings) -> Result<Statement, ApiError> {
    let query = parser::parse(soql)?;
    if refuses_bulk(&query.from.text, settings) {
        let name = store
            .by_name(&query.from.text)
            .map_or(query.from.text.as_str(), |object| object.name.as_str());
        return Err(ApiError::bad(
            "INVALIDENTITY",
            format!("Entity '{name}' is not supported by the Bulk API."),
        ));
    }
    unsupported(&query)?;
    let plan = bind::bind(&query, store)?;
    let binder = Binder {
        store,
        object: plan.object,
        alias: query.alias.as_deref(),
    };
    let mut paths = Vec::new();
    for item in &query.select {
        let Item::Field { path, .. } = item else {
            continue;
        };
        let path = binder.path(path)?;
        match path.field.remote_type.as_str() {
            "address" | "location" | "complexvalue" => {
                return Err(api_error(
                    "Selecting compound data not supported in Bulk Query",
                ));
            }
            "base64" => {
                return Err(api_error(
                    "Selecting binary data not supported in Bulk Query",
                ));
            }
            _ => paths.push(path),
        }
    }
    let sorted_or_cut = !plan.order.is_empty() || plan.limit.is_some();
    Ok(Statement {
        whole: plan.filter.is_none() && !sorted_or_cut,
        chunked: !sorted_or_cut,
        plan,
        paths,
    })
}

fn api_error(message: &str) -> ApiError {
    ApiError::bad("API_ERROR", message)
}

fn unsupported(query: &Query) -> Result<(), ApiError> {
    let aggregated = query
        .select
        .iter()
        .any(|item| matches!(item, Item::Aggregate { .. }));
    match () {
        () if !query.group_by.is_empty() => {
            Err(api_error("GROUP BY is not supported in Bulk Query"))
        }
        () if aggregated => Err(api_error(
            "Aggregate functions are not supported in Bulk Query",
        )),
        () if query.offset.is_some() => Err(api_error("OFFSET is not supported in Bulk Query")),
        () => Ok(()),
    }
}

/// The rows of a statement, in stored order unless it sorts.
///
/// # Errors
/// What [`eval::run`] refuses.
pub fn rows(statement: &Statement, store: &Store, all: bool) -> Result<Vec<u32>, ApiError> {
    match eval::run(&statement.plan, store, all)? {
        Found::Records(rows) => Ok(rows),
        Found::Count(_) | Found::Groups(_) => {
            Err(api_error("Aggregate functions are not supported"))
        }
    }
}

/// A query job.
pub struct QueryJob {
    pub head: Head,
    pace: Pace,
    table: Arc<Table>,
    chunked: bool,
    /// The job will end with this instead of results.
    failure: Option<String>,
}

impl QueryJob {
    /// A job whose result is ready before anyone looks.
    pub fn new(head: Head, settings: &Settings, table: Arc<Table>, chunked: bool) -> Self {
        Self {
            head,
            pace: Pace::new(settings),
            table,
            chunked,
            failure: settings.query_error.clone(),
        }
    }

    /// `GET {V}/jobs/query/{id}`; each look moves the job on.
    pub fn look(&mut self) -> Value {
        if !self.head.state.is_final() {
            match (self.pace.look(), &self.failure) {
                (false, _) => self.head.enter(State::InProgress),
                (true, None) => self.head.enter(State::JobComplete),
                (true, Some(error)) => {
                    self.head.error = Some(error.clone());
                    self.head.enter(State::Failed);
                }
            }
        }
        let mut map = self.head.document();
        let processed = match self.head.state {
            State::JobComplete => self.table.len(),
            _ => 0,
        };
        map.insert("jobType".to_owned(), "V2Query".into());
        map.insert("numberRecordsProcessed".to_owned(), processed.into());
        map.insert("isPkChunkingSupported".to_owned(), self.chunked.into());
        self.head.details(&mut map);
        Value::Object(map)
    }

    /// `PATCH {"state":"Aborted"}`.
    ///
    /// # Errors
    /// `INVALIDJOBSTATE` for another state or a job that has ended.
    pub fn patch(&mut self, wanted: State) -> Result<Value, ApiError> {
        if wanted != State::Aborted {
            return Err(ApiError::bad(
                "INVALIDJOB",
                "a query job can only be set to Aborted",
            ));
        }
        if self.head.state.is_final() {
            return Err(wrong_state(format!(
                "Aborting a job that is {:?} is not allowed",
                self.head.state
            )));
        }
        self.head.enter(State::Aborted);
        Ok(Value::Object(self.head.document()))
    }

    /// What the results are, for a client of this API version.
    ///
    /// # Errors
    /// 409 for another version than the job's, 400 before the end.
    pub fn results(&self, version: &str) -> Result<Arc<Table>, ApiError> {
        if self.head.version != version {
            return Err(ApiError::new(
                409,
                "INVALID_API_VERSION",
                format!(
                    "The job was created with version {}, its results cannot be read with {version}",
                    self.head.version
                ),
            ));
        }
        match self.head.state {
            State::JobComplete => Ok(Arc::clone(&self.table)),
            state => Err(wrong_state(format!(
                "The job is {state:?}, it has no results"
            ))),
        }
    }
}

/// A locator: opaque to clients, the place of the page's first row to us.
fn locator(at: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("row-{at}"))
}

fn place(text: &str, len: usize) -> Result<usize, ApiError> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("row-")?.parse().ok())
        .filter(|at| *at == 0 || *at < len)
        .ok_or_else(|| ApiError::bad("INVALIDLOCATOR", format!("The locator {text} is invalid")))
}

fn page_size(request: &Request, cap: Option<usize>) -> Result<usize, ApiError> {
    let size = match request.parameter("maxRecords") {
        None => USUAL_PAGE,
        Some(text) => text
            .parse::<usize>()
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| {
                ApiError::bad(
                    "INVALID_PARAMETER_VALUE",
                    format!("maxRecords cannot be {text}"),
                )
            })?,
    };
    Ok(size.min(cap.unwrap_or(MAX_PAGE)).clamp(1, MAX_PAGE))
}

/// `GET {V}/jobs/query/{id}/results`: one page, compressed for every client that accepts it.
///
/// # Errors
/// 400 for a bad locator or number.
pub fn page(
    table: &Table,
    settings: &Settings,
    cap: Option<usize>,
    request: &Request,
) -> Result<Reply, ApiError> {
    let size = page_size(request, cap)?;
    let from = match request.parameter("locator") {
        None | Some("") => 0,
        Some(text) => place(text, table.len())?,
    };
    let to = (from + size).min(table.len());
    let header = match table.len() {
        0 => !settings.empty_result_without_header,
        _ => from == 0 || !settings.header_on_first_page_only,
    };
    let next = match to < table.len() {
        true => locator(to),
        false => "null".to_owned(),
    };
    let mut reply = Reply::typed(200, CSV, table.page(from, to, header));
    if accepts_gzip(request) {
        reply.gzip = Some(table.compressed(from, to, header));
    }
    Ok(reply
        .header("Sforce-Locator", next)
        .header("Sforce-NumberOfRecords", (to - from).to_string()))
}

fn accepts_gzip(request: &Request) -> bool {
    request
        .headers
        .get_all("accept-encoding")
        .iter()
        .any(|value| value.to_str().is_ok_and(|v| v.contains("gzip")))
}

/// `GET {V}/jobs/query/{id}/resultPages`: addresses of up to five pages that can be fetched at once.
///
/// # Errors
/// 404 before v58, 400 for a bad locator.
pub fn result_pages(
    table: &Table,
    head: &Head,
    cap: Option<usize>,
    request: &Request,
) -> Result<Reply, ApiError> {
    let version = &head.version;
    let major = version
        .split('.')
        .next()
        .and_then(|v| v.parse::<u32>().ok());
    if major.is_none_or(|major| major < RESULT_PAGES_SINCE) {
        return Err(ApiError::not_found());
    }
    let root = format!("/services/data/v{version}/jobs/query/{}", head.id);
    let size = page_size(request, cap)?;
    let mut at = match request.parameter("locator") {
        None | Some("") => 0,
        Some(text) => place(text, table.len())?,
    };
    let tail = request
        .parameter("maxRecords")
        .map_or(String::new(), |asked| format!("&maxRecords={asked}"));
    let mut pages = Vec::new();
    while pages.len() < MAX_RESULT_PAGES && (at < table.len() || pages.is_empty()) {
        let url = format!("{root}/results?locator={}{tail}", locator(at));
        pages.push(json!({"resultUrl": url}));
        at += size;
    }
    let done = at >= table.len();
    let mut answer = json!({"resultPages": pages, "done": done});
    if !done {
        let next = format!("{root}/resultPages?locator={}{tail}", locator(at));
        answer["nextRecordsUrl"] = next.into();
    }
    Ok(Reply::ok(&answer))
}

/// Renders the pages of a table ahead.
pub fn prerender(table: &Table, size: usize, header_on_first_page_only: bool) -> usize {
    let size = size.clamp(1, MAX_PAGE);
    let starts: Vec<usize> = (0..table.len().max(1)).step_by(size).collect();
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let starts = &starts;
            scope.spawn(move || {
                for from in starts.iter().skip(worker).step_by(workers) {
                    let to = (from + size).min(table.len());
                    table.compressed(*from, to, *from == 0 || !header_on_first_page_only);
                }
            });
        }
    });
    starts.len()
}
