//! The Salesforce face: one entry point that takes a request and gives an answer, and the tables behind it.
//! Written from the protocol page and the recorded data alone; it shares no code with any client.

mod all_types;
pub mod auth;
pub mod bulk;
mod composite;
mod custom_object;
mod describe;
pub mod errors;
pub mod id;
mod limits;
mod metadata;
mod organisation;
mod query;
mod retrieve;
mod small_objects;
mod soql;
pub mod store;
mod ui_api;
mod wide;

use auth::{Doorman, Session};
use bulk::Bulk;
use errors::{ApiError, Reply};
use limits::Allotment;
use query::Queries;
use store::Store;

use crate::generate::Contacts;
use crate::request::{Host, Request};

/// Everything behind the Salesforce addresses.
pub struct Salesforce {
    instance_url: String,
    store: Store,
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
        Ok(Self {
            instance_url: setup.instance_url.to_owned(),
            store: organisation::build(setup.contacts)?,
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
            .resource(request, session, &version)
            .unwrap_or_else(Reply::from);
        Ok(reply.header("Sforce-Limit-Info", self.allotment.header()))
    }

    /// A resource of a version; composite calls come back here for their parts.
    fn resource(
        &self,
        request: &Request,
        session: Session,
        version: &str,
    ) -> Result<Reply, ApiError> {
        let segments: Vec<&str> = request.path.split('/').skip(4).collect();
        let store = &self.store;
        let part = |inner: &Request| -> Reply {
            let nested = inner.path.split('/').nth(3).unwrap_or_default();
            metadata::version(nested)
                .and_then(|version| self.resource(inner, session, &version))
                .unwrap_or_else(Reply::from)
        };
        match (request.method.as_str(), segments.as_slice()) {
            ("POST", ["composite"]) => return composite::composite(request, &part),
            ("POST", ["composite", "batch"]) => return composite::batch(request, &part),
            ("GET" | "POST", ["composite", "sobjects", object]) => {
                return retrieve::many(store, object, version, request);
            }
            (_, ["jobs", rest @ ..]) => {
                return self.bulk.answer(store, session, version, rest, request);
            }
            ("GET" | "HEAD", _) => {}
            (other, _) => return Err(ApiError::method(other)),
        }
        match segments.as_slice() {
            [] => Ok(metadata::resources(version)),
            ["sobjects"] => Ok(metadata::global(store, version, request)),
            ["sobjects", object] => metadata::basics(store, object, version),
            ["sobjects", object, "describe"] => {
                metadata::describe(store, object, version, &self.instance_url, request)
            }
            ["sobjects", object, id] => retrieve::one(store, object, id, version, request),
            ["sobjects", object, id, field] => retrieve::blob(store, object, id, field),
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

    /// Renders the pages of a full-table query ahead, as the first user would see them.
    ///
    /// # Errors
    /// What the statement is refused for.
    pub fn prerender(&self, soql: &str, version: &str) -> Result<usize, ApiError> {
        let session = Session {
            user: 0,
            restricted: false,
        };
        self.queries.prerender(&self.store, session, version, soql)
    }

    /// Renders the pages of a bulk query for a whole table ahead, `size` records each.
    ///
    /// # Errors
    /// What the statement is refused for.
    pub fn prerender_bulk(&self, soql: &str, size: usize) -> Result<usize, ApiError> {
        self.bulk.prerender(&self.store, soql, size)
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
        ["sobjects", _] => "describe",
        ["sobjects", _, _] => "record",
        ["sobjects", _, _, _] => "blob",
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
        "query" | "query_more" | "retrieve" | "composite" | "record" | "blob"
    ) || kind.starts_with("bulk_")
}
