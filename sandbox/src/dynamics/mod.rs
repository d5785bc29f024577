//! The Dynamics face: the Web API of an organisation online and on-premise, and the endpoints that sign in.
//! Written from the protocol page and the recorded data alone; it shares no code with any client.

mod batch;
mod changes;
mod csdl;
mod distort;
pub mod entra;
mod errors;
mod fetch;
mod filter;
mod kept;
mod metadata;
mod model;
mod names;
mod ntlm;
mod query;
mod records;
mod rows;
mod settings;
mod soap;
mod store;
mod traffic;
mod typed;
mod value;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::faults::Fault;
use entra::{Caller, Issuer, Tokens};
use errors::{Refusal, reply};
use query::{Prefer, Reader};
use rows::{Call, Parts};
use settings::{Limiter, Limits};
use soap::Trust;
use store::{RowRef, Store, Written, made_id};
use traffic::realm;

pub use traffic::{GREETING, is_data, is_mine, kind, marks};

use crate::admin::change::Late;
use crate::generate::Contacts;
use crate::request::Request;
use crate::salesforce::clock::Clock;
use crate::salesforce::errors::{ApiError, Reply};

/// Longest address of a GET (section 1).
pub const MAX_ADDRESS: usize = 32_768;
/// Bytes of rendered pages kept.
const KEPT: usize = 1 << 30;
/// Pages of smaller tables are not worth keeping.
const WORTH_KEEPING: usize = 2_000;

/// Which deployment an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Realm {
    Online,
    /// On-premise with Windows accounts.
    Ad,
    /// On-premise behind AD FS with OAuth.
    Ifd,
    /// On-premise behind AD FS without OAuth: no Web API for strangers.
    Claims,
    /// On-premise before the Web API, with Windows accounts.
    Old,
}

impl Realm {
    fn prefix(self) -> &'static str {
        match self {
            Self::Online => "",
            Self::Ad => "/ad",
            Self::Ifd => "/ifd",
            Self::Claims => "/claims",
            Self::Old => "/crm2015",
        }
    }
}

/// Rendered pages, and the version of the rows they show.
#[derive(Default)]
struct Pages {
    version: i64,
    bytes: usize,
    pages: HashMap<String, Reply>,
}

/// Everything behind the Dynamics addresses.
pub struct Dynamics {
    login_url: String,
    instance_url: String,
    store: RwLock<Store>,
    clock: Arc<Clock>,
    /// Sign-ins and tokens.
    pub tokens: Tokens,
    page_cap: Option<usize>,
    pages: Mutex<Pages>,
    /// The query for a list that was asked last.
    last: Mutex<Option<Asked>>,
    late: Late,
    /// Tokens of WS-Trust.
    trust: Trust,
    /// Members of SOAP requests that were out of place and so were not read.
    misplaced: Mutex<Vec<String>>,
    limiter: Limiter,
}

/// A query for a list as it was asked.
#[derive(Clone)]
enum Asked {
    Options { request: Box<Request>, base: String },
    Fetch(String),
}

impl Dynamics {
    /// Builds the organisation.
    ///
    /// # Errors
    /// A sentence naming the embedded file that does not parse.
    pub fn new(
        login_url: &str,
        instance_url: &str,
        contacts: Contacts,
        page_cap: Option<usize>,
        clock: Arc<Clock>,
    ) -> Result<Self, String> {
        let store = records::build(model::schema()?, contacts)?;
        Ok(Self {
            login_url: login_url.to_owned(),
            instance_url: instance_url.to_owned(),
            store: RwLock::new(store),
            clock,
            tokens: Tokens::new(instance_url, &format!("{instance_url}/ifd")),
            page_cap,
            pages: Mutex::default(),
            last: Mutex::default(),
            late: Late::default(),
            trust: Trust::default(),
            misplaced: Mutex::default(),
            limiter: Limiter::default(),
        })
    }

    /// What `sandbox.json` says of this face.
    pub fn description(&self) -> Value {
        json!({
            "note": "test values, they protect nothing",
            "organisation_url": self.instance_url, "login_url": self.login_url,
            "tenant": entra::TENANT,
            "token_url": format!("{}/{}/oauth2/v2.0/token", self.login_url, entra::TENANT),
            "username": entra::USERS[0].0, "second_username": entra::USERS[1].0,
            "expired_username": entra::USERS[2].0, "mfa_username": entra::USERS[3].0,
            "blocked_username": entra::USERS[4].0, "disabled_username": entra::USERS[5].0,
            "password": entra::PASSWORD, "public_client_id": entra::PUBLIC_CLIENT,
            "client_id": entra::CLIENT_ID, "client_secret": entra::CLIENT_SECRET,
            "stranger_client_id": entra::STRANGER_CLIENT,
            "ad_url": format!("{}/ad", self.instance_url),
            "ifd_url": format!("{}/ifd", self.instance_url),
            "claims_url": format!("{}/claims", self.instance_url),
            "crm2015_url": format!("{}/crm2015", self.instance_url),
            "sts_url": format!("{}{}", self.login_url, soap::STS),
            "adfs_token_url": format!("{}/adfs/oauth2/token", self.login_url),
            "windows_username":
                format!("{}\\{}", entra::WINDOWS_DOMAIN, entra::WINDOWS_USERS[0]),
        })
    }

    fn records(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Back to the state after the start; rows and tokens stay.
    pub fn reset(&self) {
        self.tokens.reset();
        *self.pages() = Pages::default();
        *self.last() = None;
        self.late.take();
        self.limiter.set(&Limits::default());
        self.misplaced().clear();
        let mut store = self.records_mut();
        store.duplicate_status = 500;
        store.oldest_version = 0;
        store.rules.clear();
        store.written = Written::default();
        store.set_auditing(true);
        for table in &mut store.tables {
            table.audited = table.entity.audit;
            table.tracked = table.entity.tracking;
        }
    }

    /// Rows written since the counters began.
    pub fn writes(&self) -> Written {
        self.records().written
    }

    /// Lets the counters of rows written begin anew.
    pub fn clear_written(&self) {
        self.records_mut().written = Written::default();
    }

    fn last(&self) -> MutexGuard<'_, Option<Asked>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The query for a list that was asked last: entity set and options, decoded, or FetchXML.
    pub fn last_query(&self) -> Option<String> {
        let last = self.last();
        let request = match last.as_ref()? {
            Asked::Options { request, .. } => request,
            Asked::Fetch(text) => return Some(text.clone()),
        };
        let options: Vec<String> = request
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let set = request.segments.last()?;
        Some(match options.is_empty() {
            true => set.clone(),
            false => format!("{set}?{}", options.join("&")),
        })
    }

    fn asked_soap(&self, fetch: &str) {
        if !fetch.contains("paging-cookie") {
            *self.last() = Some(Asked::Fetch(fetch.to_owned()));
        }
    }

    fn misplaced(&self) -> MutexGuard<'_, Vec<String>> {
        self.misplaced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What stood out of place in SOAP requests since the last reset.
    pub fn soap_report(&self) -> Value {
        json!({"misplaced": *self.misplaced()})
    }

    /// Sets what a test may change: `{"requests", "window_s", "retry_after_s", "used",
    /// "duplicate_status"}`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn set_limits(&self, body: &[u8]) -> Result<(), ApiError> {
        let limits: Limits = serde_json::from_slice(body)
            .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))?;
        if let Some(status) = limits.duplicate_status {
            self.records_mut().duplicate_status = status;
        }
        self.limiter.set(&limits);
        Ok(())
    }

    /// Ends the tokens of every way of signing in.
    pub fn expire_tokens(&self) {
        self.tokens.expire(None);
        self.trust.expire();
    }

    /// The answer to a call whose sign-in is to have ended: it really has.
    pub fn unauthorized(&self, request: &Request) -> Reply {
        if let Some((_, false)) = soap::endpoint(&request.path) {
            self.trust.expire();
            return self.answer(request);
        }
        let token = request.header("authorization").unwrap_or_default();
        self.tokens.expire(token.rsplit(' ').next());
        let realm = soap::endpoint(&request.path)
            .map(|(realm, _)| realm)
            .or_else(|| realm(&request.path).map(|(realm, _)| realm));
        match realm {
            Some(Realm::Ad | Realm::Old) => ntlm::forgotten(request),
            realm => self.challenge(realm.unwrap_or(Realm::Online)),
        }
    }

    /// Renders every page of the query asked last, so that they are ready; says how many. FetchXML says
    /// itself which page it wants, so its pages are rendered as they are asked.
    ///
    /// # Errors
    /// 400 where none was asked or it is refused.
    pub fn prerender(&self) -> Result<usize, ApiError> {
        let bad = |text: String| ApiError::bad("NO_QUERY", text);
        let (mut request, base) = match self.last().clone() {
            Some(Asked::Options { request, base }) => (*request, base),
            Some(Asked::Fetch(_)) => return Ok(0),
            None => return Err(bad("no list was asked for yet".to_owned())),
        };
        let set = request.segments.last().cloned().unwrap_or_default();
        let mut pages = 0;
        loop {
            let reply = self
                .rows(&request, &[&set], &base)
                .map_err(|refusal| bad(refusal.to_string()))?;
            pages += 1;
            let Some(next) = query::next_link(&reply.body) else {
                return Ok(pages);
            };
            let target = next
                .find("/api/data")
                .map_or("", |at| &next[at..])
                .to_owned();
            let old = request;
            request = Request::new(&old.method, &target, old.headers, old.body, old.host);
            request.path = old.path;
        }
    }

    /// Makes every delta token given so far one of the past.
    pub fn expire_delta_tokens(&self) {
        let mut store = self.records_mut();
        store.oldest_version = store.take_version();
    }

    fn records_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request to one of the addresses of this face.
    pub fn answer(&self, request: &Request) -> Reply {
        if let Some((realm, web)) = soap::endpoint(&request.path) {
            return self.soap(request, realm, web);
        }
        if request.path == soap::STS {
            return self.sts(request);
        }
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            [tenant, "oauth2", "v2.0", "token"] => self.tokens.entra(request, tenant, true),
            ["adfs", "oauth2", "token"] => self.tokens.adfs(request),
            [tenant, "oauth2", "token"] => self.tokens.entra(request, tenant, false),
            [tenant, "v2.0", ".well-known", "openid-configuration"]
            | [tenant, ".well-known", "openid-configuration"] => self.discovery(tenant),
            ["adfs", "ls", ..] => {
                Reply::typed(200, "text/html; charset=utf-8", errors::SIGN_IN_PAGE)
            }
            _ => match realm(&request.path) {
                Some((Realm::Claims, _)) => self.sign_in_page(),
                Some((Realm::Old, _)) => Reply::typed(
                    404,
                    "text/html",
                    "<html><body>404 - File or directory not found.</body></html>",
                ),
                Some((realm, _)) => self.service(request, realm),
                None => Refusal::segment(&request.path).into(),
            },
        }
    }

    /// Where browsers are sent to sign in.
    fn sign_in_page(&self) -> Reply {
        let page = format!("{}/adfs/ls/?wa=wsignin1.0", self.login_url);
        Reply::bare(302).header("Location", page)
    }

    /// Service protection: online alone limits the requests of a window.
    fn admit(&self, realm: Realm) -> Result<(), Refusal> {
        match realm {
            Realm::Online => self.limiter.admit(),
            _ => Ok(()),
        }
    }

    /// A signed-in call of the Web API.
    fn service(&self, request: &Request, realm: Realm) -> Reply {
        // A host behind AD FS takes no Windows accounts: their owner is shown the sign-in page.
        let windows = request
            .header("authorization")
            .is_some_and(|text| text.starts_with("NTLM ") || text.starts_with("Negotiate "));
        if realm == Realm::Ifd && windows {
            return Reply::typed(200, "text/html; charset=utf-8", errors::SIGN_IN_PAGE);
        }
        let bearer = |issuer| {
            let caller = self.tokens.caller(request, issuer);
            caller.ok_or_else(|| Box::new(self.challenge(realm)))
        };
        let caller = match realm {
            Realm::Online => bearer(Issuer::Entra),
            Realm::Ad | Realm::Old => ntlm::user(request).map(Caller::User),
            Realm::Ifd | Realm::Claims => bearer(Issuer::Adfs),
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(reply) => return *reply,
        };
        let depth = realm.prefix().matches('/').count() + 2;
        let reply = self
            .admit(realm)
            .and_then(|()| self.versioned(request, realm, depth, caller))
            .unwrap_or_else(Reply::from)
            .header("REQ_ID", Uuid::new_v4().to_string());
        match realm {
            Realm::Online => reply
                .header(
                    "x-ms-ratelimit-burst-remaining-xrm-requests",
                    self.limiter.left().to_string(),
                )
                .header("x-ms-ratelimit-time-remaining-xrm-requests", "1200.00")
                .header("x-ms-service-request-id", Uuid::new_v4().to_string()),
            _ => reply,
        }
    }

    /// The directory's description, which identity libraries read first.
    fn discovery(&self, tenant: &str) -> Reply {
        let root = format!("{}/{tenant}", self.login_url);
        Reply::ok(&json!({
            "issuer": format!("{}/{}/v2.0", self.login_url, entra::TENANT),
            "authorization_endpoint": format!("{root}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{root}/oauth2/v2.0/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "tenant_region_scope": "EU",
        }))
    }

    /// 401 with where to get a token (section 2.1).
    fn challenge(&self, realm: Realm) -> Reply {
        let (authority, resource) = match realm {
            Realm::Online => (
                format!("{}/{}/oauth2/authorize", self.login_url, entra::TENANT),
                format!("{}/", self.instance_url),
            ),
            _ => (
                format!("{}/adfs/oauth2/authorize", self.login_url),
                format!("{}{}/", self.instance_url, realm.prefix()),
            ),
        };
        let challenge = format!("Bearer authorization_uri={authority}, resource_id={resource}");
        Reply::typed(
            401,
            "text/html",
            "HTTP Error 401 - Unauthorized: Access is denied",
        )
        .header("WWW-Authenticate", challenge)
    }

    fn versioned(
        &self,
        request: &Request,
        realm: Realm,
        depth: usize,
        caller: Caller,
    ) -> Result<Reply, Refusal> {
        if caller == Caller::Stranger {
            return Err(Refusal::new(
                403,
                "0x80072560",
                "The user is not a member of the organization.",
            ));
        }
        let segments: Vec<&str> = request.segments.iter().map(String::as_str).collect();
        let version = segments.get(depth).copied().unwrap_or_default();
        let versions = match realm {
            Realm::Online => ["v8.0", "v8.1", "v8.2", "v9.0", "v9.1", "v9.2"].as_slice(),
            _ => ["v8.0", "v8.1", "v8.2", "v9.0", "v9.1"].as_slice(),
        };
        if !versions.contains(&version) {
            return Err(Refusal::new(
                501,
                "0x80060888",
                format!("The Web API version '{version}' is not supported."),
            ));
        }
        let base = format!("{}{}/api/data/{version}", self.instance_url, realm.prefix());
        let call = Call {
            realm,
            caller,
            base: &base,
        };
        self.resource(request, &segments[depth + 1..], call)
    }

    fn resource(
        &self,
        request: &Request,
        segments: &[&str],
        call: Call<'_>,
    ) -> Result<Reply, Refusal> {
        let base = call.base;
        let first = segments.first().copied().unwrap_or_default();
        let schema = self.records().schema;
        let user = user_id(call.caller);
        match first {
            "" => Ok(reply(
                200,
                json!({
                    "@odata.context": format!("{base}/$metadata"),
                    "value": schema.entities.iter().map(|entity| json!({
                        "name": entity.set, "kind": "EntitySet", "url": entity.set,
                    })).collect::<Vec<_>>(),
                })
                .to_string(),
            )),
            "$metadata" => Ok(csdl::answer(schema, request)),
            "$batch" if request.method == "POST" => {
                batch::answer(request, &Parts { face: self, call })
            }
            "WhoAmI" | "WhoAmI()" => Ok(reply(
                200,
                json!({
                    "@odata.context":
                        format!("{base}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"),
                    "BusinessUnitId": made_id(10, 1), "UserId": user,
                    "OrganizationId": made_id(1_019, 1),
                })
                .to_string(),
            )),
            "RetrieveVersion()" | "RetrieveVersion" => Ok(reply(
                200,
                json!({
                    "@odata.context":
                        format!("{base}/$metadata#Microsoft.Dynamics.CRM.RetrieveVersionResponse"),
                    "Version": "9.2.24014.00198",
                })
                .to_string(),
            )),
            name if name.starts_with("RetrieveTotalRecordCount(") => {
                self.total_count(request, name, base)
            }
            name if name.starts_with("EntityDefinitions")
                || name.starts_with("GlobalOptionSetDefinitions") =>
            {
                metadata::answer(&self.records(), segments, base, request)
            }
            _ if request.method != "GET" => {
                let writer = self.writer(request, call.caller);
                let store = &mut *self.records_mut();
                self.write(store, request, segments, base, &writer)
            }
            _ => self.rows(request, segments, base),
        }
    }

    fn rows(&self, request: &Request, segments: &[&str], base: &str) -> Result<Reply, Refusal> {
        let store = &*self.records();
        let prefer = Prefer::of(request);
        let reader = Reader {
            store,
            base,
            prefer: &prefer,
            page_cap: self.page_cap,
        };
        let (name, key) = match segments[0].split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')')),
            None => (segments[0], None),
        };
        let (table, _) = store
            .schema
            .set(name)
            .ok_or_else(|| Refusal::segment(name))?;
        match (key, &segments[1..]) {
            (None, []) if request.parameter("fetchXml").is_some() => {
                let text = request.parameter("fetchXml").unwrap_or_default();
                let fetch = fetch::parse(store, text, made_id(8, 1))?;
                match fetch.query.table == table {
                    true => reader.fetched(&fetch),
                    false => Err(Refusal::argument(
                        "The entity of the query does not fit the address.",
                    )),
                }
            }
            (None, []) => {
                let query = query::parse(store, table, request, false)?;
                if request.parameter("$skiptoken").is_none() {
                    *self.last() = Some(Asked::Options {
                        request: Box::new(request.clone()),
                        base: base.to_owned(),
                    });
                }
                if let Some(token) = request.parameter("$deltatoken") {
                    return changes::since(&reader, &query, request, token);
                }
                if prefer.track_changes {
                    changes::check(&store.tables[table], request)?;
                }
                self.kept(store, table, request, base, &prefer, || {
                    reader.page(&query, request)
                })
            }
            (None, ["$count"]) => {
                let query = query::parse(store, table, request, false)?;
                Ok(reader.count_only(&query))
            }
            (Some(key), []) => {
                let query = query::parse(store, table, request, true)?;
                let row = by_key(store, table, key)?;
                Ok(reader.one(&query, row, 200))
            }
            (_, [other, ..]) => Err(Refusal::segment(other)),
        }
    }

    /// A page of a large table as it was rendered before, or rendered now.
    fn kept(
        &self,
        store: &Store,
        table: usize,
        request: &Request,
        base: &str,
        prefer: &Prefer,
        render: impl FnOnce() -> Reply,
    ) -> Result<Reply, Refusal> {
        if prefer.track_changes {
            return Ok(render());
        }
        let key = format!("{base} {} {:?} {prefer:?}", request.path, request.query);
        self.kept_page(store, table, key, || Ok(render()))
    }

    /// A page of a large table under a key that says all about it.
    fn kept_page(
        &self,
        store: &Store,
        table: usize,
        key: String,
        render: impl FnOnce() -> Result<Reply, Refusal>,
    ) -> Result<Reply, Refusal> {
        if store.tables[table].count() < WORTH_KEEPING {
            return render();
        }
        let version = store.version();
        {
            let mut pages = self.pages();
            if pages.version != version {
                *pages = Pages {
                    version,
                    ..Pages::default()
                };
            }
            if let Some(page) = pages.pages.get(&key) {
                return Ok(page.clone());
            }
        }
        let page = render()?;
        let mut pages = self.pages();
        if pages.version == version && pages.bytes + page.body.len() <= KEPT {
            pages.bytes += page.body.len();
            pages.pages.insert(key, page.clone());
        }
        Ok(page)
    }

    /// `RetrieveTotalRecordCount(EntityNames=['account'])`, the names perhaps behind an alias.
    fn total_count(&self, request: &Request, call: &str, base: &str) -> Result<Reply, Refusal> {
        let inner = call
            .split_once("EntityNames=")
            .and_then(|(_, rest)| rest.strip_suffix(')'))
            .ok_or_else(|| Refusal::syntax("The parameter EntityNames is missing."))?;
        let list = match inner.starts_with('@') {
            true => request
                .parameter(inner)
                .ok_or_else(|| Refusal::syntax(format!("'{inner}' has no value.")))?,
            false => inner,
        };
        let store = self.records();
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for name in list.trim_matches(['[', ']']).split(',') {
            let name = name.trim().trim_matches(['\'', '"']);
            let table = store
                .table(name)
                .ok_or_else(|| Refusal::argument(format!("The entity '{name}' is not known.")))?;
            keys.push(name.to_owned());
            values.push(table.count());
        }
        let collection =
            json!({"Count": keys.len(), "IsReadOnly": false, "Keys": keys, "Values": values});
        let kind = "Microsoft.Dynamics.CRM.RetrieveTotalRecordCountResponse";
        let answer = json!({
            "@odata.context": format!("{base}/$metadata#{kind}"),
            "EntityRecordCountCollection": collection,
        });
        Ok(reply(200, answer.to_string()))
    }

    /// Seconds since 1970 on the server's clock.
    fn now(&self) -> i64 {
        self.clock.now()
    }
}

/// The row of the user a token stands for.
fn user_id(caller: Caller) -> Uuid {
    match caller {
        Caller::User(place) => made_id(8, place as u64 + 1),
        Caller::Application | Caller::Stranger => made_id(8, 3),
    }
}

/// A row by what stands in the brackets: an identifier, or the columns of a key.
fn by_key<'a>(store: &'a Store, table: usize, key: &str) -> Result<RowRef<'a>, Refusal> {
    let name = names::name(store, table, key)?;
    let found = names::find(store, table, &name).and_then(|id| store.tables[table].find(id));
    found.ok_or_else(|| Refusal::missing(&store.tables[table].entity.name, key))
}

/// The answer of a fault that stands in for the real one, where it is not the same on all faces.
pub fn instead(fault: &Fault, path: &str) -> Option<Reply> {
    match soap::version(path) {
        Some(version) => soap::distort::instead(fault, version),
        None => errors::fault(fault),
    }
}

/// Windows accounts are signed in before the application is asked, so a connection is theirs whatever it answers.
pub fn admit(request: &Request) {
    let soap = soap::endpoint(&request.path).map(|(realm, _)| realm);
    let realm = soap.or_else(|| realm(&request.path).map(|(realm, _)| realm));
    if matches!(realm, Some(Realm::Ad | Realm::Old)) {
        // Who it is does not matter here; what a stranger is told stands in the answer already.
        let _ = ntlm::user(request);
    }
}

/// Changes a real answer; false for the faults that are the same on all faces.
pub fn distort(fault: &Fault, path: &str, reply: &mut Reply) -> bool {
    match is_soap(path) {
        true => soap::distort::distort(fault, reply),
        false => distort::distort(fault, reply),
    }
}

/// Whether an address speaks SOAP.
pub fn is_soap(path: &str) -> bool {
    soap::version(path).is_some()
}
