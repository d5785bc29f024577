//! query, queryAll and their next pages. Section 5 of the protocol page.
//! A full-table query is served from pages rendered once and kept, so that a benchmark measures the client.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
use serde_json::json;

use super::auth::Session;
use super::errors::{ApiError, JSON, Reply};
use super::id;
use super::soql::bind;
use super::soql::eval::{self, Found};
use super::soql::parser;
use super::soql::plan::{Node, Output, Plan};
use super::store::Store;
use crate::request::Request;

/// Page sizes a client may ask for (section 5).
const MIN_BATCH: usize = 200;
const MAX_BATCH: usize = 2_000;
/// Full-table results kept rendered at a time.
const MAX_PAGE_SETS: usize = 4;

/// Rows of a result, shared by its pages.
struct ResultSet {
    id: String,
    user: usize,
    version: String,
    object: usize,
    nodes: Vec<Node>,
    rows: Vec<u32>,
    size: usize,
    /// The edition of the store the rendered pages show.
    edition: usize,
    /// Rendered pages of a full-table result; empty for the others.
    pages: Vec<OnceLock<Page>>,
}

#[derive(Clone)]
struct Page {
    body: Bytes,
    gzip: Option<Bytes>,
}

#[derive(PartialEq, Eq, Hash, Clone)]
struct SetKey {
    user: usize,
    version: String,
    columns: String,
    object: usize,
    size: usize,
    all: bool,
}

#[derive(Default)]
struct Kept {
    results: HashMap<String, Arc<ResultSet>>,
    sets: VecDeque<(SetKey, Arc<ResultSet>)>,
    issued: u64,
    last_query: Option<String>,
}

/// Runs queries and remembers their results.
pub struct Queries {
    page_cap: Option<usize>,
    gzip: bool,
    kept: Mutex<Kept>,
}

impl Queries {
    /// `page_cap` bounds every page; `gzip` keeps rendered pages compressed as well.
    pub fn new(page_cap: Option<usize>, gzip: bool) -> Self {
        Self {
            page_cap,
            gzip,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The statement run last.
    pub fn last_query(&self) -> Option<String> {
        self.kept().last_query.clone()
    }

    /// Forgets results and the last statement; rendered pages stay.
    pub fn reset(&self) {
        let mut kept = self.kept();
        let sets: Vec<Arc<ResultSet>> = kept.sets.iter().map(|(_, r)| Arc::clone(r)).collect();
        kept.results = sets.into_iter().map(|r| (r.id.clone(), r)).collect();
        kept.last_query = None;
    }

    /// First page of a statement; `all` is queryAll.
    ///
    /// # Errors
    /// What [`parser::parse`], [`bind::bind`] and [`eval::run`] refuse.
    pub fn first(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        request: &Request,
        all: bool,
    ) -> Result<Reply, ApiError> {
        let soql = request
            .parameter("q")
            .ok_or_else(|| ApiError::malformed("A query string has to be specified"))?;
        self.run(store, session, version, soql, batch_size(request)?, all)
    }

    fn run(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        soql: &str,
        batch: Option<usize>,
        all: bool,
    ) -> Result<Reply, ApiError> {
        self.kept().last_query = Some(soql.to_owned());
        let plan = bind::bind(&parser::parse(soql)?, store)?;
        let size = self.page_size(batch, &plan);
        if let Some(set) = self.full_table(store, session, version, &plan, size, all) {
            return Ok(self.page(store, &set, 0, size));
        }
        match eval::run(&plan, store, all)? {
            Found::Count(count) => Ok(Reply::ok(
                &json!({"totalSize": count, "done": true, "records": []}),
            )),
            Found::Groups(groups) => Ok(Reply::json(
                200,
                format!(
                    "{{\"totalSize\":{},\"done\":true,\"records\":[{}]}}",
                    groups.len(),
                    groups.join(",")
                ),
            )),
            Found::Records(rows) => {
                let Output::Records(nodes) = plan.output else {
                    return Err(ApiError::malformed("no columns"));
                };
                let result = Arc::new(ResultSet {
                    id: self.next_id(),
                    user: session.user,
                    version: version.to_owned(),
                    object: plan.object,
                    nodes,
                    rows,
                    size,
                    edition: 0,
                    pages: Vec::new(),
                });
                if result.rows.len() > size {
                    let mut kept = self.kept();
                    kept.results.insert(result.id.clone(), Arc::clone(&result));
                }
                Ok(self.page(store, &result, 0, size))
            }
        }
    }

    fn next_id(&self) -> String {
        let mut kept = self.kept();
        kept.issued += 1;
        id::make("01g", kept.issued)
    }

    fn page_size(&self, batch: Option<usize>, plan: &Plan) -> usize {
        let asked = match plan.long_texts {
            true => MIN_BATCH,
            false => batch.unwrap_or(MAX_BATCH),
        };
        self.cap(asked)
    }

    fn cap(&self, size: usize) -> usize {
        self.page_cap.map_or(size, |cap| size.min(cap.max(1)))
    }

    /// The kept result of a query for a whole table, if the statement is one.
    fn full_table(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        plan: &Plan,
        size: usize,
        all: bool,
    ) -> Option<Arc<ResultSet>> {
        let Output::Records(nodes) = &plan.output else {
            return None;
        };
        let bare = plan.filter.is_none()
            && plan.order.is_empty()
            && plan.limit.is_none()
            && plan.offset == 0;
        if !bare {
            return None;
        }
        let key = SetKey {
            user: session.user,
            version: version.to_owned(),
            columns: format!("{nodes:?}"),
            object: plan.object,
            size,
            all,
        };
        let edition = store.edition();
        let find = |kept: &Kept| {
            kept.sets
                .iter()
                .find(|(k, set)| *k == key && set.edition == edition)
                .map(|(_, result)| Arc::clone(result))
        };
        if let Some(found) = find(&self.kept()) {
            return Some(found);
        }
        let object = store.object(plan.object);
        let rows: Vec<u32> = (0..object.len())
            .filter(|&row| object.is_visible(row, all))
            .collect();
        let count = rows.len().div_ceil(size).max(1);
        let result = Arc::new(ResultSet {
            id: self.next_id(),
            user: session.user,
            version: version.to_owned(),
            object: plan.object,
            nodes: nodes.clone(),
            rows,
            size,
            edition,
            pages: (0..count).map(|_| OnceLock::new()).collect(),
        });
        let mut kept = self.kept();
        if let Some(found) = find(&kept) {
            return Some(found);
        }
        let outdated = kept.sets.iter().position(|(k, _)| *k == key);
        let old = match outdated {
            Some(place) => kept.sets.remove(place),
            None if kept.sets.len() >= MAX_PAGE_SETS => kept.sets.pop_front(),
            None => None,
        };
        if let Some((_, old)) = old {
            // Its locators stay good; only the rendered pages go.
            let slim = ResultSet {
                id: old.id.clone(),
                user: old.user,
                version: old.version.clone(),
                object: old.object,
                nodes: old.nodes.clone(),
                rows: old.rows.clone(),
                size: old.size,
                edition: old.edition,
                pages: Vec::new(),
            };
            kept.results.insert(slim.id.clone(), Arc::new(slim));
        }
        kept.results.insert(result.id.clone(), Arc::clone(&result));
        kept.sets.push_back((key, Arc::clone(&result)));
        Some(result)
    }

    /// The page a locator names.
    ///
    /// # Errors
    /// `INVALID_QUERY_LOCATOR` for one that is unknown, of another user or of another API version.
    pub fn next(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        locator: &str,
        request: &Request,
    ) -> Result<Reply, ApiError> {
        let invalid = || ApiError::bad("INVALID_QUERY_LOCATOR", "invalid query locator");
        let (id, offset) = locator.split_once('-').ok_or_else(invalid)?;
        let offset: usize = offset.parse().map_err(|_| invalid())?;
        let result = self.kept().results.get(id).cloned().ok_or_else(invalid)?;
        if result.user != session.user || result.version != version || offset >= result.rows.len() {
            return Err(invalid());
        }
        let size = match batch_size(request)? {
            Some(batch) if batch < result.size => self.cap(batch),
            _ => result.size,
        };
        Ok(self.page(store, &result, offset, size))
    }

    fn page(&self, store: &Store, result: &ResultSet, offset: usize, size: usize) -> Reply {
        let kept = (size == result.size && offset.is_multiple_of(size))
            .then(|| result.pages.get(offset / size))
            .flatten();
        let page = match kept {
            Some(slot) => slot
                .get_or_init(|| {
                    let body = render(store, result, offset, size);
                    let gzip = self.gzip.then(|| crate::gzip(&body));
                    Page { body, gzip }
                })
                .clone(),
            None => Page {
                body: render(store, result, offset, size),
                gzip: None,
            },
        };
        Reply {
            status: 200,
            content_type: Some(JSON),
            headers: Vec::new(),
            body: page.body,
            gzip: page.gzip,
        }
    }

    /// Renders all pages of a full-table statement ahead, on all processors.
    ///
    /// # Errors
    /// What the statement is refused for, or `INVALID_OPERATION` when it is not a full-table one.
    pub fn prerender(
        &self,
        store: &Store,
        session: Session,
        version: &str,
        soql: &str,
    ) -> Result<usize, ApiError> {
        let plan = bind::bind(&parser::parse(soql)?, store)?;
        let size = self.page_size(None, &plan);
        let set = self
            .full_table(store, session, version, &plan, size, false)
            .ok_or_else(|| {
                ApiError::bad(
                    "INVALID_OPERATION",
                    "only a query for a whole table is kept rendered",
                )
            })?;
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        std::thread::scope(|scope| {
            for worker in 0..workers {
                let set = &set;
                scope.spawn(move || {
                    for page in (worker..set.pages.len()).step_by(workers) {
                        self.page(store, set, page * size, size);
                    }
                });
            }
        });
        Ok(set.pages.len())
    }
}

fn render(store: &Store, result: &ResultSet, offset: usize, size: usize) -> Bytes {
    let total = result.rows.len();
    let end = (offset + size).min(total);
    let mut out = Vec::with_capacity(64 + (end - offset) * 256);
    let done = end >= total;
    let _ = write!(out, "{{\"totalSize\":{total},\"done\":{done},");
    if !done {
        let (version, id) = (&result.version, &result.id);
        let _ = write!(
            out,
            "\"nextRecordsUrl\":\"/services/data/v{version}/query/{id}-{end}\","
        );
    }
    out.extend_from_slice(b"\"records\":[");
    for (place, row) in result.rows[offset..end].iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        eval::render(
            &mut out,
            store,
            result.object,
            *row,
            &result.nodes,
            &result.version,
        );
    }
    out.extend_from_slice(b"]}");
    Bytes::from(out)
}

/// `Sforce-Query-Options: batchSize=N`, held between 200 and 2,000.
///
/// # Errors
/// `INVALID_OPERATION` for a value that is no number.
fn batch_size(request: &Request) -> Result<Option<usize>, ApiError> {
    let Some(header) = request.header("sforce-query-options") else {
        return Ok(None);
    };
    for option in header.split([',', ';']) {
        let Some((name, value)) = option.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("batchSize") {
            let size: usize = value.trim().parse().map_err(|_| {
                ApiError::bad(
                    "INVALID_OPERATION",
                    format!("bad batchSize: {}", value.trim()),
                )
            })?;
            return Ok(Some(size.clamp(MIN_BATCH, MAX_BATCH)));
        }
    }
    Ok(None)
}
