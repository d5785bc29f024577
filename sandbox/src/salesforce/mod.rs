//! The Salesforce face: one entry point that takes a request and gives an answer, and the tables behind it.
//! Written from the protocol page and the recorded data alone; it shares no code with any client.

mod all_types;
pub mod auth;
pub mod bulk;
pub mod changes;
pub mod clock;
mod composite;
mod custom_object;
mod describe;
pub mod errors;
pub mod id;
mod kept;
mod limits;
mod metadata;
mod organisation;
mod pages;
mod query;
mod retrieve;
mod rows;
mod small_objects;
mod soql;
pub mod store;
mod ui_api;
mod wide;
pub mod write;

use auth::{Doorman, Session};
use bulk::Bulk;
use clock::Clock;
use errors::{ApiError, Reply};
use limits::Allotment;
use query::Queries;
use store::Store;
use write::{Options, collections, single};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::admin::change::Late;
use crate::generate::Contacts;
use crate::request::{Host, Request};

/// Everything behind the Salesforce addresses.
pub struct Salesforce {
    instance_url: String,
    store: RwLock<Store>,
    /// Held by whoever writes, for as long as what is written may be taken back.
    writing: Mutex<()>,
    /// What stamps are made from.
    pub clock: Arc<Clock>,
    /// How the deletion log behaves.
    pub log: changes::Log,
    late: Late,
    /// Sign-ins and tokens.
    pub doorman: Doorman,
    /// The daily call count.
    pub allotment: Allotment,
    queries: Queries,
    /// Bulk API 2.0.
    pub bulk: Bulk,
}

/// What the face needs to know of the server around it.
pub struct Setup<'a> {
    pub login_url: &'a str,
    pub instance_url: &'a str,
    pub contacts: Contacts,
    pub page_cap: Option<usize>,
    pub gzip: bool,
}

impl Salesforce {
    /// Builds the organisation.
    ///
    /// # Errors
    /// A sentence naming the embedded file that does not parse.
    pub fn new(setup: &Setup<'_>) -> Result<Self, String> {
        let store = organisation::build(setup.contacts)?;
        Ok(Self {
            instance_url: setup.instance_url.to_owned(),
            clock: Arc::clone(&store.clock),
            store: RwLock::new(store),
            writing: Mutex::default(),
            log: changes::Log::default(),
            late: Late::default(),
            doorman: Doorman::new(setup.login_url, setup.instance_url),
            allotment: Allotment::default(),
            queries: Queries::new(setup.page_cap, setup.gzip),
            bulk: Bulk::new(setup.page_cap),
        })
    }

    /// Answers a request to a Salesforce address.
    pub fn answer(&self, request: &Request) -> Reply {
        let path = request.path.as_str();
        if path == "/services/oauth2/token" {
            return self.doorman.token(request);
        }
        if path == "/services/oauth2/userinfo" || path.starts_with("/id/") {
            return self.doorman.identity(request);
        }
        if let Some(version) = path
            .strip_prefix("/services/Soap/u/")
            .or_else(|| path.strip_prefix("/services/Soap/c/"))
        {
            let version = version.split('/').next().unwrap_or_default();
            return match request.method.as_str() {
                "POST" => self.doorman.soap(request, version),
                other => ApiError::method(other).into(),
            };
        }
        let Some(rest) = path.strip_prefix("/services/data") else {
            return ApiError::not_found().into();
        };
        if request.host == Host::Login {
            return ApiError::not_found().into();
        }
        if !rest.is_empty() && !rest.starts_with('/') {
            return ApiError::not_found().into();
        }
        if rest.is_empty() {
            return match request.method.as_str() {
                "GET" | "HEAD" => metadata::versions(),
                other => ApiError::method(other).into(),
            };
        }
        self.versioned(request).unwrap_or_else(Reply::from)
    }

    /// A counted call below a version.
    fn versioned(&self, request: &Request) -> Result<Reply, ApiError> {
        let mut segments = request.path["/services/data/".len()..].split('/');
        let version = metadata::version(segments.next().unwrap_or_default())?;
        let session = self.doorman.session(request)?;
        self.allotment.count()?;
        let reply = self
            .resource(request, session, &version, false)
            .unwrap_or_else(Reply::from);
        Ok(reply.header("Sforce-Limit-Info", self.allotment.header()))
    }

    /// A resource of a version; composite calls come back here for their parts. `held` says that the
    /// caller holds the right to write already.
    fn resource(
        &self,
        request: &Request,
        session: Session,
        version: &str,
        held: bool,
    ) -> Result<Reply, ApiError> {
        let segments: Vec<&str> = request
            .segments
            .iter()
            .skip(3)
            .map(String::as_str)
            .collect();
        let part = |inner: &Request, held: bool| -> Reply {
            let nested = inner.segments.get(2).map_or("", String::as_str);
            metadata::version(nested)
                .and_then(|version| self.resource(inner, session, &version, held))
                .unwrap_or_else(Reply::from)
        };
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["composite"]) => {
                let call = composite::Composite::parse(request)?;
                let turn = (call.all_or_none && !held).then(|| self.writing());
                let mark = turn.is_some().then(|| self.records_mut().begin());
                let held = held || turn.is_some();
                let (reply, failed) =
                    composite::composite(&call, &request.headers, &|inner| part(inner, held));
                if let Some(mark) = mark {
                    self.records_mut().end(&mark, !failed);
                }
                Ok(reply)
            }
            (_, ["jobs", rest @ ..]) => self.bulk.answer(self, session, version, rest, request),
            ("POST", ["composite", "batch"]) => {
                composite::batch(request, &|inner| part(inner, held))
            }
            ("GET" | "POST", ["composite", "sobjects", object]) => {
                retrieve::many(&self.records(), object, version, request)
            }
            ("POST", ["sobjects", _])
            | ("POST" | "PATCH" | "DELETE", ["composite", "sobjects"])
            | ("PATCH" | "DELETE", ["sobjects", _, _])
            | ("PATCH", ["sobjects" | "composite", _, _, _]) => {
                let _turn = (!held).then(|| self.writing());
                let options = self.options(request, session);
                self.write(request, &segments, version, &options)
            }
            ("GET" | "HEAD", _) => self.read(request, &segments, session, version),
            (other, _) => Err(ApiError::method(other)),
        }
    }

    fn read(
        &self,
        request: &Request,
        segments: &[&str],
        session: Session,
        version: &str,
    ) -> Result<Reply, ApiError> {
        let store = &*self.records();
        match segments {
            [] => Ok(metadata::resources(version)),
            ["sobjects"] => Ok(metadata::global(store, version, request)),
            ["sobjects", object] => metadata::basics(store, object, version),
            ["sobjects", object, "describe"] => {
                metadata::describe(store, object, version, &self.instance_url, request)
            }
            ["sobjects", object, "deleted"] => {
                self.log.deleted(store, object, request, self.clock.now())
            }
            ["sobjects", object, "updated"] => {
                self.log.updated(store, object, request, self.clock.now())
            }
            ["sobjects", object, id] => retrieve::one(store, object, id, version, request),
            ["sobjects", object, id, field] => {
                match retrieve::by_key(store, object, id, field, version, request) {
                    Some(reply) => reply,
                    None => retrieve::blob(store, object, id, field),
                }
            }
            ["query"] => self.queries.first(store, session, version, request, false),
            ["queryAll"] => self.queries.first(store, session, version, request, true),
            ["query" | "queryAll", locator] => {
                self.queries.next(store, session, version, locator, request)
            }
            ["ui-api", "object-info", rest @ ..] => ui_api::answer(store, version, rest),
            ["limits"] => Ok(limits::limits(&self.allotment, self.bulk.query_jobs_left())),
            ["limits", "recordCount"] => {
                Ok(limits::record_count(store, request.parameter("sObjects")))
            }
            _ => Err(ApiError::not_found()),
        }
    }

    fn write(
        &self,
        request: &Request,
        segments: &[&str],
        version: &str,
        options: &Options,
    ) -> Result<Reply, ApiError> {
        let json = request
            .header("content-type")
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"));
        if !json && !request.body.is_empty() {
            return Err(ApiError::new(
                415,
                "UNSUPPORTED_MEDIA_TYPE",
                "Content-Type not supported, use application/json",
            ));
        }
        let store = &mut *self.records_mut();
        match (request.method.as_str(), segments) {
            ("DELETE", ["composite", "sobjects"]) => collections::delete(store, request, options),
            (_, ["composite", "sobjects"]) => collections::write(store, request, options),
            (_, ["composite", "sobjects", object, key]) => {
                collections::upsert(store, object, key, request, options)
            }
            (_, ["sobjects", object]) => single::create(store, object, version, request, options),
            (_, ["sobjects", object, id]) => single::change(store, object, id, request, options),
            (_, ["sobjects", object, field, value]) => {
                single::upsert(store, object, (field, value), version, request, options)
            }
            (other, _) => Err(ApiError::method(other)),
        }
    }

    /// Who writes, when, and what the headers of section 8.4 allow. `Sforce-Auto-Assign` is taken and
    /// changes nothing: there are no assignment rules.
    fn options(&self, request: &Request, session: Session) -> Options {
        let allow_save = request
            .header("sforce-duplicate-rule-header")
            .into_iter()
            .flat_map(|header| header.split([';', ',']))
            .filter_map(|option| option.split_once('='))
            .any(|(name, value)| {
                name.trim().eq_ignore_ascii_case("allowSave")
                    && value.trim().eq_ignore_ascii_case("true")
            });
        Options {
            user: session.user,
            at: self.clock.now(),
            text_values: false,
            allow_save,
            update_only: false,
        }
    }

    /// The records, to read; not to be held while asking for anything else of this face.
    pub fn records(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The records, to change; what is changed here cannot be taken back.
    pub fn records_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to write; reading goes on meanwhile.
    fn writing(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renders the pages of a full-table query ahead, as the first user would see them.
    ///
    /// # Errors
    /// What the statement is refused for.
    pub fn prerender(&self, soql: &str, version: &str) -> Result<usize, ApiError> {
        let session = Session {
            user: 0,
            restricted: false,
        };
        self.queries
            .prerender(&self.records(), session, version, soql)
    }

    /// Renders the pages of a bulk query for a whole table ahead, `size` records each.
    ///
    /// # Errors
    /// What the statement is refused for.
    pub fn prerender_bulk(&self, soql: &str, size: usize) -> Result<usize, ApiError> {
        self.bulk.prerender(&self.records(), soql, size)
    }

    /// The statement run last.
    pub fn last_query(&self) -> Option<String> {
        self.queries.last_query()
    }

    /// Back to the state after the start; tokens stay valid.
    pub fn reset(&self) {
        self.doorman.reset();
        self.allotment.reset();
        self.queries.reset();
        self.bulk.reset();
        self.clock.set_offset(0);
        self.log.set(changes::Settings::default());
        self.late.take();
        let mut store = self.records_mut();
        store.rules.clear();
        store.written = store::Written::default();
    }
}

/// The counter a request belongs to, for the journal.
pub fn kind(method: &str, path: &str) -> &'static str {
    let Some(rest) = path.strip_prefix("/services/data") else {
        return match path {
            "/services/oauth2/token" => "login",
            p if p.starts_with("/services/Soap/") => "login",
            "/services/oauth2/userinfo" => "identity",
            p if p.starts_with("/id/") => "identity",
            _ => "other",
        };
    };
    let segments: Vec<&str> = rest.trim_matches('/').split('/').skip(1).collect();
    match segments.as_slice() {
        [] if rest.trim_matches('/').is_empty() => "versions",
        [] => "resources",
        ["query" | "queryAll"] => "query",
        ["query" | "queryAll", _] => "query_more",
        ["sobjects"] => "describe_global",
        ["sobjects", _, "describe"] => "describe",
        ["sobjects", _, "deleted"] => "deleted",
        ["sobjects", _, "updated"] => "updated",
        ["sobjects", ..] if !matches!(method, "GET" | "HEAD") => "dml",
        ["sobjects", _] => "describe",
        ["sobjects", _, _] => "record",
        ["sobjects", _, _, ..] => "blob",
        ["composite", "sobjects"] if method == "POST" => "collection_create",
        ["composite", "sobjects"] if method == "PATCH" => "collection_update",
        ["composite", "sobjects"] if method == "DELETE" => "collection_delete",
        ["composite", "sobjects", _, ..] if method == "PATCH" => "collection_upsert",
        ["composite", "sobjects", _] if matches!(method, "GET" | "POST") => "retrieve",
        ["composite", ..] => "composite",
        ["jobs", "query" | "ingest", rest @ ..] => bulk::kind(method, rest),
        ["ui-api", "object-info", _] => "object_info",
        ["ui-api", "object-info", ..] => "picklist_values",
        ["limits", ..] => "limits",
        _ => "other",
    }
}

/// True for the counters that carry records.
pub fn is_data(kind: &str) -> bool {
    matches!(
        kind,
        "query"
            | "query_more"
            | "retrieve"
            | "composite"
            | "record"
            | "blob"
            | "collection_create"
            | "collection_update"
            | "collection_upsert"
            | "collection_delete"
            | "dml"
            | "deleted"
            | "updated"
    ) || kind.starts_with("bulk_")
}
