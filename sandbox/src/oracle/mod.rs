//! The Oracle CRM On Demand face: SOAP v2.0 for records, the Service API for the rest.
//! Written from the protocol page and the recorded shapes alone; it shares no code with any client.

mod deleted;
mod envelope;
mod faults;
mod kept;
mod mapping;
mod objects;
mod picklists;
mod query_page;
mod rest;
mod samples;
mod searchspec;
pub mod session;
mod settings;
mod store;
mod time;
mod write;
mod ws_security;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::Utc;
use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::admin::change::Late;
use crate::generate::Contacts;
use crate::request::Request;
use crate::salesforce::clock::Clock;
use crate::salesforce::errors::{ApiError, Reply};
use crate::xml::{self, Node};
use envelope::Fault;
use session::Sessions;
use settings::Settings;
use store::Store;
use write::{Operation, Written};

pub use faults::{distort, endless_piece, instead};

/// Path of every SOAP request and of the session commands.
const PATH: &str = "/Services/Integration";

/// Everything behind the Oracle addresses.
pub struct Oracle {
    store: RwLock<Store>,
    clock: Arc<Clock>,
    /// Who is signed in.
    pub sessions: Sessions,
    results: query_page::Results,
    settings: Mutex<Settings>,
    written: Mutex<Written>,
    page_cap: Option<usize>,
    late: Late,
}

/// Whether an address belongs to this face.
pub fn is_here(path: &str) -> bool {
    path.strip_prefix(PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ';']))
        || rest::is_here(path)
}

/// The action without its quotes; empty without one.
pub fn action(request: &Request) -> &str {
    request
        .header("soapaction")
        .unwrap_or_default()
        .trim_matches('"')
}

/// The counter a request belongs to, for the journal.
pub fn kind(request: &Request) -> &'static str {
    if rest::is_here(&request.path) {
        return match request.path.ends_with("/describe") {
            true => "describe",
            false => "rest_login",
        };
    }
    match request.parameter("command") {
        Some("login") => return "soap_login",
        Some("logoff") => return "soap_logoff",
        _ => {}
    }
    let action = action(request);
    let operation = action.rsplit(':').next().unwrap_or_default();
    match operation {
        "DeletedItemQueryPage" => "soap_deleted",
        "GetPicklistValues" => "soap_picklist",
        "GetMapping" => "soap_mapping",
        "GetServerTime" => "soap_time",
        _ if operation.ends_with("QueryPage") => "soap_query",
        _ if ["Insert", "Update", "Delete", "Execute"]
            .iter()
            .any(|word| operation.ends_with(word)) =>
        {
            "soap_write"
        }
        _ => "soap_other",
    }
}

/// True for the counters that carry records.
pub fn is_data(kind: &str) -> bool {
    matches!(kind, "soap_query" | "soap_write" | "soap_deleted")
}

impl Oracle {
    /// Builds the company.
    ///
    /// # Errors
    /// A sentence naming the embedded data that does not load.
    pub fn new(
        contacts: Contacts,
        clock: Arc<Clock>,
        page_cap: Option<usize>,
    ) -> Result<Self, String> {
        Ok(Self {
            store: RwLock::new(Store::build(contacts)?),
            clock,
            sessions: Sessions::default(),
            results: query_page::Results::default(),
            settings: Mutex::default(),
            written: Mutex::default(),
            page_cap,
            late: Late::default(),
        })
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn records_mut(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records written since the counters began, in the words all faces share.
    pub fn writes(&self) -> Value {
        let written = *self.written();
        json!({
            "created": written.inserted, "updated": written.updated, "deleted": written.deleted,
            "upserted": 0,
        })
    }

    /// Lets the counters of records written begin anew.
    pub fn clear_written(&self) {
        *self.written() = Written::default();
    }

    /// The searchspec run last; nothing before the first query.
    pub fn last_query(&self) -> Option<String> {
        self.results.last()
    }

    /// Sets the allotment of operations: used so far, and in all.
    pub fn limit(&self, used: Option<u64>, max: Option<u64>) {
        if let Some(max) = max {
            self.settings().allotment = Some(max);
        }
        if let Some(used) = used {
            self.sessions.set_operations(used);
        }
    }

    /// Answers a request to an Oracle address.
    pub fn answer(&self, request: &Request) -> Reply {
        let settings = self.settings().clone();
        if rest::is_here(&request.path) {
            return self.rest(request, &settings);
        }
        match (request.method.as_str(), request.parameter("command")) {
            ("GET" | "POST", Some("login")) => {
                self.sessions.login(request, &settings, self.clock.now())
            }
            ("GET" | "POST", Some("logoff")) => self.sessions.logoff(request),
            ("POST", None) => self.soap(request, &settings),
            _ => Reply::typed(
                404,
                "text/html; charset=UTF-8",
                "<html><body>Not Found</body></html>",
            ),
        }
    }

    fn soap(&self, request: &Request, settings: &Settings) -> Reply {
        let refused = |fault: Fault| fault.reply(settings.fault_status, settings.bare_codes);
        let (header, input) = match envelope::open(&request.body) {
            Ok(parts) => parts,
            Err(fault) => return refused(fault),
        };
        let sender = ws_security::sender(header.as_ref());
        let now_ms = Utc::now().timestamp_millis() + self.clock.offset() * 1_000;
        let operations = write::count(&input).max(1);
        let (user, cookie) = match self
            .sessions
            .admit(request, &sender, settings, now_ms, operations)
        {
            Ok(admitted) => admitted,
            Err(fault) => return refused(fault),
        };
        let zone = self
            .sessions
            .zone(request)
            .unwrap_or_else(|| settings.time_zone.clone());
        let asker = query_page::Asker {
            user,
            settings,
            zone: time::zone(&zone).unwrap_or(Tz::UTC),
            page_cap: self.page_cap,
        };
        let reply = match self.operation(request, &input, &asker, &zone) {
            Ok(output) => envelope::reply(&output),
            Err(fault) => refused(fault),
        };
        match cookie {
            Some(id) => reply.header(
                "Set-Cookie",
                format!("JSESSIONID={id}; Path=/; Secure; HttpOnly"),
            ),
            None => reply,
        }
    }

    fn operation(
        &self,
        request: &Request,
        input: &Node,
        asker: &query_page::Asker<'_>,
        zone: &str,
    ) -> Result<String, Fault> {
        let unknown = || {
            Fault::front(
                "SBL-ODU-01011",
                format!(
                    "The service {}{} is not available",
                    input.namespace, input.name
                ),
            )
        };
        let word = input.name.strip_suffix("_Input").ok_or_else(unknown)?;
        let word = word
            .split_once("WS_")
            .map_or(word, |(_, operation)| operation);
        if !action(request).is_empty()
            && action(request) != format!("document/{}:{word}", input.namespace)
        {
            return Err(Fault::front(
                "SBL-ODU-01011",
                "The action does not fit the body of the request",
            ));
        }
        let area = input
            .namespace
            .strip_prefix("urn:crmondemand/ws/")
            .ok_or_else(unknown)?;
        // With this suffix custom fields go by the company's own tags.
        if let Some(area) = area.strip_suffix("/10/2004") {
            let done = self.record_operation(input, area, word, asker, true);
            return done.ok_or_else(unknown)?;
        }
        let area = area.strip_suffix('/').ok_or_else(unknown)?;
        match (area, input.name.as_str()) {
            ("deleteditem", "DeletedItemWS_DeletedItemQueryPage_Input") => {
                let reach = asker.settings.trash_reach_s;
                let oldest = reach.map_or(i64::MIN, |reach| self.clock.now() - reach);
                deleted::answer(&self.records(), input, asker.zone, oldest)
            }
            ("picklist", "PicklistWS_GetPicklistValues_Input") => {
                picklists::answer(&self.records(), input)
            }
            ("mapping", "MappingWS_GetMapping_Input") => mapping::answer(&self.records(), input),
            ("time", "TimeWS_GetServerTime_Input") => {
                let now = time::local(self.clock.now(), asker.zone);
                Ok(format!(
                    "<ns:TimeWS_GetServerTime_Output xmlns:ns=\"urn:crmondemand/ws/time/\"><ns:CurrentServerTime>{now}</ns:CurrentServerTime><ns:TimeZone>{}</ns:TimeZone></ns:TimeWS_GetServerTime_Output>",
                    xml::escape(zone)
                ))
            }
            ("time", "TimeWS_SetSessionTimeZone_Input") => {
                let wanted = input.text_of("TimeZone").unwrap_or_default();
                if time::zone(wanted).is_none() || !self.sessions.set_zone(request, wanted) {
                    return Err(Fault::one(
                        "SBL-EAI-13011",
                        "The time zone is unknown or there is no session",
                    ));
                }
                Ok(
                    "<ns:TimeWS_SetSessionTimeZone_Output xmlns:ns=\"urn:crmondemand/ws/time/\"/>"
                        .to_owned(),
                )
            }
            _ => self
                .record_operation(input, area, word, asker, false)
                .ok_or_else(unknown)?,
        }
    }

    /// An operation on records; `None` for what is no service.
    fn record_operation(
        &self,
        input: &Node,
        area: &str,
        word: &str,
        asker: &query_page::Asker<'_>,
        custom: bool,
    ) -> Option<Result<String, Fault>> {
        let (v1, object_word) = match area.strip_prefix("ecbs/") {
            Some(object) => (false, object),
            None => (true, area),
        };
        let store = self.records();
        let place = store
            .tables
            .iter()
            .position(|table| table.object.word() == object_word)?;
        let name = store.tables[place].object.name;
        let operation = word.strip_prefix(name)?;
        let expected = if v1 {
            format!("{name}WS_{word}_Input")
        } else {
            format!("{word}_Input")
        };
        if input.name != expected {
            return None;
        }
        if v1 && custom {
            return None;
        }
        let renamed = custom.then(|| {
            let object = &store.tables[place].object;
            object.with_custom_tags(mapping::custom_tag)
        });
        let operation = match operation {
            "QueryPage" if !v1 => {
                return Some(query_page::answer(
                    &store.tables[place],
                    renamed.as_ref().unwrap_or(&store.tables[place].object),
                    &self.results,
                    input,
                    asker,
                ));
            }
            "Insert" if !v1 => Operation::Insert,
            "Update" if !v1 => Operation::Update,
            "Delete" if !v1 => Operation::Delete,
            "Execute" if !v1 => Operation::Execute,
            "InsertOrUpdate" if v1 => Operation::InsertOrUpdate,
            _ => return None,
        };
        let view = renamed.unwrap_or_else(|| store.tables[place].object.clone());
        drop(store);
        let writer = write::Writer {
            user: asker.user.number,
            at: self.clock.now(),
            zone: asker.zone,
            v1,
        };
        let mut store = self.records_mut();
        let done = write::run(&mut store, place, &view, operation, input, &writer);
        Some(done.map(|(output, written)| {
            let mut sum = self.written();
            sum.inserted += written.inserted;
            sum.updated += written.updated;
            sum.deleted += written.deleted;
            output
        }))
    }

    /// The calls of the admin interface below `/oracle`.
    ///
    /// # Errors
    /// An unknown call or setting.
    pub fn admin(&self, request: &Request, path: &str) -> Result<Reply, ApiError> {
        match (request.method.as_str(), path) {
            ("GET", "") => Ok(Reply::ok(&json!(*self.settings()))),
            ("POST", "") => {
                let bad = |error: serde_json::Error| {
                    ApiError::bad("JSON_PARSER_ERROR", error.to_string())
                };
                let changes: serde_json::Map<String, Value> =
                    serde_json::from_slice(&request.body).map_err(bad)?;
                let mut settings = self.settings();
                let mut all = json!(*settings);
                for (name, value) in changes {
                    all[name] = value;
                }
                *settings = serde_json::from_value(all).map_err(bad)?;
                Ok(Reply::bare(204))
            }
            ("GET", "/report") => {
                let mut report = self.sessions.report();
                report["writes"] = json!(*self.written());
                report["last_searchspec"] = json!(self.results.last());
                Ok(Reply::ok(&report))
            }
            _ => Err(ApiError::not_found()),
        }
    }

    /// Settings and counters as at the start; sessions and records stay.
    pub fn reset(&self) {
        *self.settings() = Settings::default();
        self.clear_written();
        self.late.take();
        self.records_mut().rules.clear();
        self.sessions.reset();
        self.results.reset();
    }
}
