//! One signed-in account: every operation goes through [`OracleSession::exchange`].

use crate::call::{Answered, Call, Trouble};
use crate::describe::{self, DescribeCache};
use crate::native::Documents;
use crate::query_page::{LARGEST_PAGE, QueryPage};
use crate::reply::{self, Again, Refusal};
use crate::sign_in::{self, SignInRequest, SignedIn, auth_of};
use crate::{clock, count, deleted, envelope, picklists, scan, settle, write};
use crm_core::{
    Account, AccountInfo, BoxFuture, CallStats, Deletions, Error, ErrorKind, ObjectSummary,
    PageStream, RecordOutcome, RemoteObject, RemoteQuery, Result, Session, TicketKeeper, Usage,
    WriteBatch, WriteReply, Zone,
};
use crm_http::header::COOKIE;
use crm_http::{
    Allotment, HttpOptions, HttpService, Method, Patience, Replied, Reply, Request, RetryPolicy,
    StatusCode, TokenCache, Unanswered, send_again,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Least time between two requests of a session, once the service has asked for it (Oracle page 5).
const PACE: Duration = Duration::from_millis(50);

/// One account.
pub(crate) struct OracleSession {
    account: Account,
    http: HttpService,
    policy: RetryPolicy,
    token: TokenCache<SignedIn>,
    /// The session at the REST interface, while it describes.
    rest: TokenCache<SignedIn>,
    allotment: Allotment,
    described: DescribeCache,
    /// When the next request may be sent, once the service has asked for fewer.
    pace: Mutex<Option<Instant>>,
}

impl OracleSession {
    /// A session; nothing is sent yet.
    pub(crate) fn new(account: Account) -> Result<Self> {
        Ok(Self {
            http: HttpService::new(&HttpOptions::from_account(&account))?,
            policy: RetryPolicy::from_account(&account),
            token: TokenCache::default(),
            rest: TokenCache::default(),
            allotment: Allotment::default(),
            described: DescribeCache::default(),
            pace: Mutex::new(None),
            account,
        })
    }

    /// Bounds of trying again.
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// The account's zone: the one that dates without a zone are in.
    pub(crate) fn zone(&self) -> Zone {
        self.account.zone()
    }

    /// Asks the REST interface; signs in there where needed, and once more when that session has expired.
    ///
    /// # Errors
    /// What the sign-in or the network says; a refusal is a reply like any other.
    pub(crate) async fn rest(&self, path: &str, stats: &CallStats) -> Result<Reply> {
        let sign_in = || async { self.sign_in_request(stats).sign_in().await };
        let to_rest = || async { self.sign_in_request(stats).to_rest().await };
        self.token.get(sign_in).await?;
        let mut token = self.rest.get(to_rest).await?;
        let url = sign_in::address(&self.account, &format!("{}{path}", sign_in::REST))?;
        let mut is_new = false;
        loop {
            let mut request = Request::new(Method::GET, url.clone());
            if let Some(cookie) = token.header() {
                request = request.header(COOKIE, cookie);
            }
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.http.send(&request, None, stats).await
            };
            let reply = send_again(self.policy, true, stats, attempt).await?.reply;
            // Without a session it answers so (Oracle page 2.5).
            if reply.status != StatusCode::FORBIDDEN || is_new {
                return Ok(reply);
            }
            token = self.rest.renew(&token, to_rest).await?;
            is_new = true;
        }
    }

    /// Gives the place at the REST interface back.
    async fn leave_rest(&self, stats: &CallStats) {
        if let Some(signed_in) = self.rest.forget().await {
            let request = self.sign_in_request(stats);
            request.sign_off(&signed_in, sign_in::REST_LOGOFF).await;
        }
    }

    /// Objects described before.
    pub(crate) fn described(&self) -> &DescribeCache {
        &self.described
    }

    /// The first page of all records of an object as this account sees them.
    pub(crate) fn query_page<'a>(&'a self, object: &'a str, tags: &'a [&'a str]) -> QueryPage<'a> {
        QueryPage {
            object,
            tags,
            spec: None,
            size: LARGEST_PAGE,
            start: 0,
            counted: false,
            view_mode: self.account.get("view_mode"),
            custom_tags: self.custom_tags(),
        }
    }

    /// An option of the account that is not secret.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.account.get(name)
    }

    /// Whether custom fields go by the company's own tags.
    pub(crate) fn custom_tags(&self) -> bool {
        self.account.boolean("custom_tags", false)
    }

    /// Sends an operation; signs in where needed, and once more when the session has expired.
    ///
    /// # Errors
    /// What the sign-in, the network or the vendor says.
    pub(crate) async fn call(&self, call: &Call, stats: &CallStats) -> Result<Answered> {
        Ok(self.exchange(call, stats).await?)
    }

    fn sign_in_request<'a>(&'a self, stats: &'a CallStats) -> SignInRequest<'a> {
        SignInRequest {
            account: &self.account,
            http: &self.http,
            allotment: &self.allotment,
            policy: self.policy,
            stats,
        }
    }

    /// As [`Self::call`], and tells whether the vendor may have done what was asked for.
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let sign_in = || async { self.sign_in_request(stats).sign_in().await };
        let mut token = self.token.get(sign_in).await.map_err(unsent)?;
        let mut patience = Patience::new(self.policy);
        let (mut renewed, mut done_before) = (false, false);
        loop {
            let request = self.request(call, &token).map_err(unsent)?;
            let replied = self.send(&request, call, stats).await;
            let replied = replied.map_err(|unanswered| Trouble {
                may_be_done: unanswered.may_be_done || done_before,
                ..unsent(unanswered.error)
            })?;
            done_before |= replied.done_before;
            let Refusal {
                error,
                fault,
                expired,
                again,
                may_be_done,
            } = match reply::read(&replied.reply) {
                Ok(()) => {
                    return Ok(Answered {
                        date: replied.reply.date(),
                        body: replied.reply.body,
                    });
                }
                Err(refusal) => *refusal,
            };
            if expired && !renewed && (call.repeatable || !may_be_done) {
                renewed = true;
                let renewal = self.token.renew(&token, sign_in).await;
                token = renewal.map_err(|error| Trouble {
                    may_be_done: done_before,
                    ..unsent(error)
                })?;
                continue;
            }
            let again = match again {
                Again::Never => false,
                Again::AfterPause(pause) => {
                    self.slow_down(pause);
                    patience.wait(Some(pause), stats).await
                }
                Again::IfRepeatable => call.repeatable && patience.wait(None, stats).await,
            };
            if again {
                done_before |= may_be_done;
                continue;
            }
            return Err(Trouble {
                error: replied.tell_tries(error),
                fault,
                may_be_done: may_be_done || done_before,
            });
        }
    }

    fn request(&self, call: &Call, token: &SignedIn) -> Result<Request> {
        let url = sign_in::address(&self.account, sign_in::PATH)?;
        Ok(match token.header() {
            Some(cookie) => {
                let body = envelope::message(None, &call.input)?;
                sign_in::post(url, call, body)?.header(COOKIE, cookie)
            }
            None => {
                let body = sign_in::with_credentials(&self.account, &call.input)?;
                sign_in::post(url, call, body)?
            }
        })
    }

    async fn send(
        &self,
        request: &Request,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Replied, Unanswered> {
        let attempt = || async {
            self.allotment.admit(stats)?;
            self.keep_pace(stats).await;
            let mut reply = self.http.send(request, None, stats).await?;
            // A fault comes with a status of success as well as of failure, and is looked at by itself.
            if reply::is_message(&reply.body) {
                reply.status = StatusCode::OK;
            }
            Ok(reply)
        };
        send_again(self.policy, call.repeatable, stats, attempt).await
    }

    /// From now on requests keep a distance.
    fn slow_down(&self, pause: Duration) {
        let mut next = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        *next = Some(Instant::now() + pause);
    }

    async fn keep_pace(&self, stats: &CallStats) {
        let wait = {
            let mut next = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(at) = next.as_mut() else {
                return;
            };
            let now = Instant::now();
            let turn = now.max(*at);
            *at = turn + PACE;
            turn - now
        };
        if !wait.is_zero() {
            crm_http::pause_for(wait, stats).await;
        }
    }

    fn info(&self) -> Option<AccountInfo> {
        self.token.peek()?;
        let user = sign_in::username(&self.account).unwrap_or_default();
        let company = user.split_once('/').map_or("", |(company, _)| company);
        let url = sign_in::address(&self.account, "").ok()?;
        let host = url.host_str().unwrap_or_default();
        Some(AccountInfo {
            organization: company.to_owned(),
            host: match url.port() {
                Some(port) => format!("{host}:{port}"),
                None => host.to_owned(),
            },
            api_version: "2.0".to_owned(),
            auth: auth_of(&self.account).unwrap_or_default().to_owned(),
            user,
        })
    }
}

fn unsent(error: Error) -> Trouble {
    Trouble {
        error,
        fault: None,
        may_be_done: false,
    }
}

impl Session for OracleSession {
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        Box::pin(async move {
            auth_of(&self.account)?;
            self.call(&sign_in::server_time(), stats).await?;
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
            // The interface has no list of objects. A call shows that this account may ask at all.
            self.call(&sign_in::server_time(), stats).await?;
            Ok(describe::objects())
        })
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(async move {
            let mut described = Vec::with_capacity(objects.len());
            for object in objects {
                let one = describe::describe(self, object, stats).await;
                if one.is_err() {
                    self.leave_rest(stats).await;
                }
                described.push(one?);
            }
            self.leave_rest(stats).await;
            Ok(described)
        })
    }

    fn with_values<'a>(
        &'a self,
        object: RemoteObject,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<RemoteObject>> {
        Box::pin(picklists::fill(self, object, stats))
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
        Box::pin(count::count(self, query, stats))
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        Box::pin(write::write(self, batch, stats))
    }

    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _ticket: Option<&'a str>,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        Box::pin(settle::settle(self, batch, stats))
    }

    fn clock<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move { Ok(clock::now(self, stats).await?.instant) })
    }

    fn deleted<'a>(
        &'a self,
        object: &'a str,
        start: i64,
        end: i64,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        Box::pin(deleted::deleted(self, object, start, end, stats))
    }

    fn usage(&self) -> Option<Usage> {
        self.allotment.usage()
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        self.info()
    }

    fn close<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.leave_rest(stats).await;
            if let Some(signed_in) = self.token.forget().await {
                let request = self.sign_in_request(stats);
                request.sign_off(&signed_in, sign_in::LOGOFF).await;
            }
        })
    }
}
