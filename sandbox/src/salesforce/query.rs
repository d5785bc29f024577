//! query, queryAll and their next pages. Section 5 of the protocol page.
//! A full-table query is served from pages rendered once and kept, so that a benchmark measures the client.

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::auth::Session;
use super::errors::{ApiError, Reply};
use super::id;
use super::pages::{PageSet, View};
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
}

/// A result a locator may name.
#[derive(Clone)]
enum Opened {
    Rows(Arc<ResultSet>),
    Table(Arc<PageSet>),
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
    results: HashMap<String, Opened>,
    sets: VecDeque<(SetKey, Arc<PageSet>)>,
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
        kept.results = kept
            .sets
            .iter()
            .map(|(_, set)| (set.view.id.clone(), Opened::Table(Arc::clone(set))))
            .collect();
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
            return Ok(set.answer(store, 0, size));
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
                });
                if result.rows.len() > size {
                    let mut kept = self.kept();
                    let opened = Opened::Rows(Arc::clone(&result));
                    kept.results.insert(result.id.clone(), opened);
                }
                Ok(page(store, &result, 0, size))
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
    ) -> Option<Arc<PageSet>> {
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
        let find = |kept: &Kept| {
            kept.sets
                .iter()
                .find(|(k, _)| *k == key)
                .map(|(_, set)| Arc::clone(set))
        };
        let known = find(&self.kept());
        if let Some(set) = &known
            && set.is_current(store)
        {
            return known;
        }
        let set = known.and_then(|set| set.follow(store)).unwrap_or_else(|| {
            let view = View {
                id: self.next_id(),
                user: session.user,
                version: version.to_owned(),
                object: plan.object,
                nodes: nodes.clone(),
                size,
                all,
                gzip: self.gzip,
            };
            PageSet::new(view, store)
        });
        let set = Arc::new(set);
        let mut kept = self.kept();
        if let Some(found) = find(&kept).filter(|found| found.is_current(store)) {
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
            let slim = Opened::Table(Arc::new(old.slim()));
            kept.results.insert(old.view.id.clone(), slim);
        }
        let opened = Opened::Table(Arc::clone(&set));
        kept.results.insert(set.view.id.clone(), opened);
        kept.sets.push_back((key, Arc::clone(&set)));
        Some(set)
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
        let opened = self.kept().results.get(id).cloned().ok_or_else(invalid)?;
        let (user, of, size, known) = match &opened {
            Opened::Rows(result) => (
                result.user,
                &result.version,
                result.size,
                offset < result.rows.len(),
            ),
            Opened::Table(set) => {
                let view = &set.view;
                (view.user, &view.version, view.size, set.holds(offset))
            }
        };
        if user != session.user || of != version || !known {
            return Err(invalid());
        }
        let size = match batch_size(request)? {
            Some(batch) if batch < size => self.cap(batch),
            _ => size,
        };
        Ok(match &opened {
            Opened::Rows(result) => page(store, result, offset, size),
            Opened::Table(set) => set.answer(store, offset, size),
        })
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
                    for page in (worker..set.len()).step_by(workers) {
                        set.render(store, page);
                    }
                });
            }
        });
        Ok(set.len())
    }
}

/// A page of a result that is no whole table.
fn page(store: &Store, result: &ResultSet, offset: usize, size: usize) -> Reply {
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
    Reply::json(200, out)
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
