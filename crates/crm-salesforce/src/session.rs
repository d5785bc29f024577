//! One signed-in account: every call goes through [`SalesforceSession::call`].

use crate::auth::{SignIn, SignInRequest, auth_of};
use crate::describe::{DescribeCache, Described, GlobalDescribe};
use crate::error::Fault;
use crate::native::Documents;
use crate::{changes, deparse, describe, error, options, scan, settle, variants, write};
use crm_core::json;
use crm_core::{
    Account, AccountInfo, BoxFuture, CallStats, Deletions, Error, ErrorKind, ObjectSummary,
    PageStream, RecordOutcome, RemoteObject, RemoteQuery, Result, SecretString, Session,
    TicketKeeper, Usage, WriteBatch, WriteReply, Zone,
};
use crm_http::header::{ACCEPT, HeaderValue, IF_MODIFIED_SINCE};
use crm_http::{
    Allotment, HttpOptions, HttpService, Reply, Request, RetryPolicy, StatusCode, TokenCache,
    send_again,
};
use crm_http::{Answered, Call, Trouble};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// A composite call takes so many requests (8.3).
const COMPOSITE_SIZE: usize = 25;

/// One account.
pub(crate) struct SalesforceSession {
    account: Account,
    http: HttpService,
    policy: RetryPolicy,
    token: TokenCache<SignIn>,
    rotated: Mutex<Option<SecretString>>,
    allotment: Allotment,
    version: String,
    described: DescribeCache,
    /// User and organisation, once they have been asked for.
    identity: Mutex<Option<(String, String)>>,
    /// How far the vendor's clock is ahead of this machine's, in microseconds.
    clock_lead: AtomicI64,
}

impl SalesforceSession {
    /// A session; nothing is sent yet.
    pub(crate) fn new(account: Account) -> Result<Self> {
        let http = HttpService::new(&HttpOptions::from_account(&account))?;
        let version = account
            .get("api_version")
            .unwrap_or(options::DEFAULT_VERSION);
        Ok(Self {
            http,
            policy: RetryPolicy::from_account(&account),
            token: TokenCache::default(),
            rotated: Mutex::new(None),
            allotment: Allotment::default(),
            version: version.to_owned(),
            described: DescribeCache::default(),
            identity: Mutex::new(None),
            clock_lead: AtomicI64::new(0),
            account,
        })
    }

    /// The account's zone.
    pub(crate) fn zone(&self) -> Zone {
        self.account.zone()
    }

    /// A path below the versioned root.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/services/data/v{}/{rest}", self.version)
    }

    /// Sends a call; signs in where needed, and once more when the session has expired (2.4).
    ///
    /// # Errors
    /// What the sign-in, the network or the vendor says.
    pub(crate) async fn call(&self, call: &Call, stats: &CallStats) -> Result<Reply> {
        Ok(self.exchange(call, stats).await?.reply)
    }

    /// As [`Self::call`], and tells whether the vendor may have done what was asked for.
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let sign_in = || async {
            SignInRequest {
                account: &self.account,
                http: &self.http,
                policy: self.policy,
                stats,
                rotated: &self.rotated,
            }
            .sign_in()
            .await
        };
        let unsent = |error| Trouble {
            error,
            may_be_done: false,
            status: None,
        };
        let mut token = self.token.get(sign_in).await.map_err(unsent)?;
        let mut renewed = false;
        let mut done_before = false;
        loop {
            let url = token.bearer.resolve(&call.link).map_err(unsent)?;
            let mut request = Request::new(call.method.clone(), url)
                .header(ACCEPT, HeaderValue::from_static("application/json"))
                .for_data(call.data);
            for (name, value) in &call.headers {
                request = request.header(name.clone(), value.clone());
            }
            if let Some(body) = &call.body {
                request = request.body(body.clone());
            }
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.http.send(&request, Some(&token.bearer), stats).await
            };
            let replied = send_again(self.policy, call.repeatable, stats, attempt).await;
            let replied = replied.map_err(|unanswered| Trouble {
                error: unanswered.error,
                may_be_done: unanswered.may_be_done || done_before,
                status: None,
            })?;
            self.listen(&replied.reply);
            let status = replied.reply.status;
            if status.is_success() || status == StatusCode::NOT_MODIFIED {
                return Ok(Answered {
                    done_before: done_before || replied.done_before,
                    reply: replied.reply,
                });
            }
            if has_expired(&replied.reply) && !renewed {
                renewed = true;
                done_before |= replied.done_before;
                let renewal = self.token.renew(&token, sign_in).await;
                token = renewal.map_err(|error| Trouble {
                    may_be_done: done_before,
                    ..unsent(error)
                })?;
                continue;
            }
            let error = error::from_reply(&replied.reply).without(token.bearer.secret());
            return Err(Trouble {
                may_be_done: replied.may_be_done() || done_before,
                error: replied.tell_tries(error),
                status: Some(status),
            });
        }
    }

    /// What every reply tells besides its answer: the calls used, and the vendor's clock.
    fn listen(&self, reply: &Reply) {
        if let Some(usage) = reply.header("sforce-limit-info").and_then(usage_of) {
            self.allotment.hear(usage);
        }
        if let Some(date) = reply.date() {
            self.clock_lead
                .store(date - local_clock(), Ordering::Relaxed);
        }
    }

    /// The vendor's clock as far as its replies have told, microseconds since the Unix epoch.
    pub(crate) fn presumed_now(&self) -> i64 {
        local_clock() + self.clock_lead.load(Ordering::Relaxed)
    }

    /// Bounds of trying again.
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// An option of the account that is not secret.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.account.get(name)
    }

    /// A truth-value option of the account.
    pub(crate) fn switch(&self, name: &str, default: bool) -> bool {
        self.account.boolean(name, default)
    }

    /// Bodies of GET requests, sent together in as few calls as the interface takes (8.3).
    pub(crate) async fn call_together(
        &self,
        links: &[String],
        data: bool,
        stats: &CallStats,
    ) -> Result<Vec<Subreply>> {
        let mut bodies = Vec::with_capacity(links.len());
        for chunk in links.chunks(COMPOSITE_SIZE) {
            let requests = chunk.iter().enumerate().map(|(at, link)| Subrequest {
                method: "GET",
                url: link,
                reference_id: format!("r{at}"),
            });
            let body = CompositeRequest {
                all_or_none: false,
                composite_request: requests.collect(),
            };
            let body = serde_json::to_vec(&body).map_err(|error| json::undecodable(&error))?;
            let mut call = Call::post(self.path("composite"), body);
            call.data = data;
            let reply = self.call(&call, stats).await?;
            let reply: CompositeReply =
                json::parse(&reply.body, "the replies to several requests")?;
            if reply.composite_response.len() != chunk.len() {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the reply answers fewer requests than were sent",
                ));
            }
            bodies.extend(reply.composite_response);
        }
        Ok(bodies)
    }

    /// The description of one object; costs nothing but the call where it has not changed.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn describe_one(
        &self,
        object: &str,
        stats: &CallStats,
    ) -> Result<RemoteObject> {
        let link = self.path(&describe_path(object)?);
        let mut call = Call::get(link);
        let held = self.described.get(object);
        if let Some(stamp) = held
            .as_ref()
            .and_then(|held| HeaderValue::from_str(&held.modified).ok())
        {
            call = call.header(IF_MODIFIED_SINCE, stamp);
        }
        let reply = self
            .call(&call, stats)
            .await
            .map_err(|error| error.in_context(format!("object \"{object}\"")))?;
        if let (StatusCode::NOT_MODIFIED, Some(held)) = (reply.status, held) {
            return Ok(held.object);
        }
        let object_described = describe::object(&reply.body)?;
        if let Some(modified) = reply.header("last-modified") {
            self.described.put(
                object,
                Described {
                    object: object_described.clone(),
                    modified: modified.to_owned(),
                },
            );
        }
        Ok(object_described)
    }

    async fn identify(&self, stats: &CallStats) -> Result<(String, String)> {
        #[derive(Deserialize)]
        struct UserInfo {
            #[serde(default)]
            preferred_username: String,
            #[serde(default)]
            organization_id: String,
        }
        let known = self
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let reply = self
            .call(&Call::get("/services/oauth2/userinfo"), stats)
            .await;
        let token = self.token.peek();
        let told = token.as_ref().and_then(|token| token.told.clone());
        let identity = match (told, reply) {
            // The sign-in's own words are the better ones, but it must still be seen to work.
            (Some(told), _) => told,
            (None, Ok(reply)) => {
                let info: UserInfo = json::parse(&reply.body, "the user's identity")?;
                (info.preferred_username, info.organization_id)
            }
            (None, Err(error)) if error.kind() == ErrorKind::NotPermitted => {
                let organization = token.map(|token| token.organization_id.clone());
                (String::new(), organization.unwrap_or_default())
            }
            (None, Err(error)) => return Err(error),
        };
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some(identity.clone());
        Ok(identity)
    }

    fn info(&self) -> Option<AccountInfo> {
        let token = self.token.peek()?;
        let identity = self
            .identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (user, organization) = identity.or_else(|| token.told.clone()).unwrap_or_else(|| {
            let user = self.account.get("username").unwrap_or_default().to_owned();
            (user, token.organization_id.clone())
        });
        Some(AccountInfo {
            user,
            organization,
            host: token.bearer.host(),
            api_version: self.version.clone(),
            auth: token.auth.to_owned(),
        })
    }
}

impl Session for SalesforceSession {
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        Box::pin(async move {
            auth_of(&self.account)?;
            self.identify(stats).await?;
            // Tells the calls left in its header; who may not see the limits still gets that header.
            match self.call(&Call::get(self.path("limits")), stats).await {
                Err(error) if error.kind() != ErrorKind::NotPermitted => return Err(error),
                _ => {}
            }
            self.info().ok_or_else(|| {
                Error::new(
                    ErrorKind::ConnectionLost,
                    "the sign-in was lost while it was checked",
                )
            })
        })
    }

    fn objects<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>> {
        Box::pin(async move {
            let reply = self.call(&Call::get(self.path("sobjects")), stats).await?;
            let listed: GlobalDescribe = json::parse(&reply.body, "a list of objects")?;
            Ok(listed.into_objects())
        })
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(async move {
            if let [object] = objects {
                return Ok(vec![self.describe_one(object, stats).await?]);
            }
            let links: Result<Vec<_>> = objects
                .iter()
                .map(|object| describe_path(object).map(|path| self.path(&path)))
                .collect();
            let replies = self.call_together(&links?, false, stats).await?;
            objects
                .iter()
                .zip(replies)
                .map(|(object, reply)| {
                    let in_context =
                        |error: Error| error.in_context(format!("object \"{object}\""));
                    reply
                        .body()
                        .map_err(in_context)
                        .and_then(|body| describe::object(body.as_bytes()).map_err(in_context))
                })
                .collect()
        })
    }

    fn with_variants<'a>(
        &'a self,
        object: RemoteObject,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<RemoteObject>> {
        Box::pin(variants::fill(self, object, stats))
    }

    fn scan(self: Arc<Self>, query: RemoteQuery, stats: Arc<CallStats>) -> Box<dyn PageStream> {
        scan::start(self, query, stats)
    }

    fn native(
        self: Arc<Self>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Box<dyn PageStream>> {
        Ok(Box::new(Documents::new(self, statement, stats)?))
    }

    fn count<'a>(
        &'a self,
        query: &'a RemoteQuery,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(scan::count(self, query, stats))
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        Box::pin(write::write(self, batch, tickets, stats))
    }

    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        ticket: Option<&'a str>,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        Box::pin(settle::settle(self, batch, ticket, stats))
    }

    fn clock<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        Box::pin(changes::clock(self, stats))
    }

    fn deleted<'a>(
        &'a self,
        object: &'a str,
        start: i64,
        end: i64,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        Box::pin(changes::deleted(self, object, start, end, stats))
    }

    fn usage(&self) -> Option<Usage> {
        self.allotment.usage()
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        self.info()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CompositeRequest<'a> {
    all_or_none: bool,
    composite_request: Vec<Subrequest<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subrequest<'a> {
    method: &'static str,
    url: &'a str,
    reference_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CompositeReply {
    composite_response: Vec<Subreply>,
}

/// One reply inside another.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Subreply {
    body: Box<RawValue>,
    http_status_code: u16,
}

impl Subreply {
    /// Its body.
    ///
    /// # Errors
    /// What the vendor says in place of it.
    pub(crate) fn body(&self) -> Result<&str> {
        let status = StatusCode::from_u16(self.http_status_code)
            .map_err(|_| Error::new(ErrorKind::Undecodable, "the reply holds no status"))?;
        if status.is_success() {
            return Ok(self.body.get());
        }
        let fault = error::faults(self.body.get().as_bytes()).into_iter().next();
        Err(error::from_fault(status, &fault.unwrap_or_default()))
    }
}

fn local_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

fn describe_path(object: &str) -> Result<String> {
    let object = deparse::object_name(object)?;
    Ok(format!("sobjects/{object}/describe"))
}

/// Only an expired session is cured by a new one; other refusals would cost a sign-in with each call (2.4).
fn has_expired(reply: &Reply) -> bool {
    reply.status == StatusCode::UNAUTHORIZED && error::faults(&reply.body).iter().any(is_expiry)
}

fn is_expiry(fault: &Fault) -> bool {
    fault.code == "INVALID_SESSION_ID"
        && !fault.text.contains("not valid for use with the REST API")
        && !fault.text.contains("Connected app is not attached")
}

/// `api-usage=10018/100000`, alone or among others (section 10).
fn usage_of(header: &str) -> Option<Usage> {
    header.split([';', ',']).find_map(|part| {
        let (used, allowed) = part.trim().strip_prefix("api-usage=")?.split_once('/')?;
        Some(Usage {
            used: used.trim().parse().ok()?,
            allowed: allowed.trim().parse().ok()?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allotment_is_found_among_others() {
        for (header, expected) in [
            ("api-usage=10018/100000", Some((10_018, 100_000))),
            (
                "api-usage=25/5000; per-app-api-usage=17/250(appName=x)",
                Some((25, 5_000)),
            ),
            ("api-bursts=1/750, api-usage=3/4", Some((3, 4))),
            ("per-app-api-usage=17/250", None),
            ("api-usage=x/4", None),
        ] {
            let usage = usage_of(header).map(|usage| (usage.used, usage.allowed));
            assert_eq!(usage, expected, "{header}");
        }
    }

    #[test]
    fn which_refusals_a_new_session_cures() {
        for (code, text, expected) in [
            ("INVALID_SESSION_ID", "Session expired or invalid", true),
            (
                "INVALID_SESSION_ID",
                "This session is not valid for use with the REST API",
                false,
            ),
            (
                "INVALID_SESSION_ID",
                "Connected app is not attached to Agent",
                false,
            ),
            ("INVALID_AUTH_HEADER", "", false),
        ] {
            let fault = Fault {
                code: code.into(),
                text: text.into(),
            };
            assert_eq!(is_expiry(&fault), expected, "{code} {text}");
        }
    }

    #[test]
    fn recorded_composites_are_taken_apart() {
        let all = include_str!("../tests/fixtures/cumulusci_recordings.json");
        let all: Vec<serde_json::Value> = serde_json::from_str(all).unwrap();
        let recorded = |name: &str| {
            let one = all.iter().find(|one| one["name"] == name).unwrap();
            let body = one["response"]["body"].as_str().unwrap();
            json::parse::<CompositeReply>(body.as_bytes(), "")
                .unwrap()
                .composite_response
        };
        for subreply in recorded("composite_four_queries") {
            assert!(subreply.body().unwrap().contains("records"));
        }
        let error = recorded("composite_not_found_404")[0].body().unwrap_err();
        assert_eq!(error.code(), Some("NOT_FOUND"));
        assert_eq!(error.kind(), ErrorKind::ObjectUnknown);
    }

    #[test]
    fn object_names_stay_in_the_path() {
        assert!(describe_path("ns__Thing__c").is_ok());
        for bad in ["", "a/b", "a?b", "..", "a b"] {
            assert!(describe_path(bad).is_err(), "{bad}");
        }
    }
}
