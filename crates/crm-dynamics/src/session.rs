//! One signed-in account: every OData call goes through [`DynamicsSession::exchange`].
//!
//! Which transport and which sign-in serve the account is settled at first use, see [`DynamicsSession::transport`];
//! the SOAP transport (`soap/`) takes from here the account, the connections and the caches.

use crate::auth::{self, Form, SignIn};
use crate::deferred::{DeferredChanges, DeferredPages};
use crate::describe::{self, Catalog, Entity};
use crate::native::Documents;
use crate::navigation::Addresses;
use crate::ntlm::Windows;
use crate::options::{OLD_VERSION, ON_PREMISE_VERSION, ONLINE_VERSION};
use crate::{batch, changes, deleted, deparse, error, native, probe, scan, settle, soap, write};
use crm_core::{
    Account, AccountInfo, BoxFuture, CallStats, ChangeStream, Deletions, Error, ErrorKind,
    ObjectSummary, PageStream, Place, RecordOutcome, RemoteObject, RemoteQuery, Result, Session,
    TicketKeeper, Usage, WriteBatch, WriteReply, Zone, json,
};
use crm_http::header::{ACCEPT, HeaderName, HeaderValue, IF_NONE_MATCH};
use crm_http::{
    Allotment, Answered, Call, Fresh, HttpOptions, HttpService, Outcome, Reply, Request,
    RetryPolicy, StatusCode, TokenCache, Trouble, Url, send_again,
};
use serde::Deserialize;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use tokio::sync::OnceCell;

/// What the server is, an option (section 0 of the Dynamics page).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deployment {
    /// Online, with an application of one's own.
    WebApi,
    /// Online, user and password alone.
    Office365,
    /// The customer's own server.
    OnPremise,
}

impl Deployment {
    /// What the account's options say.
    pub(crate) fn of(account: &Account) -> Self {
        match account.get("deployment") {
            Some("office_365") => Self::Office365,
            Some("on_premise") => Self::OnPremise,
            _ => Self::WebApi,
        }
    }
}

/// How records travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// The Web API.
    OData,
    /// The Organization service, on premise only.
    Soap,
}

/// What was settled at first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// How records travel.
    pub transport: Transport,
    /// How the account signs in.
    pub form: Form,
}

/// One account.
pub(crate) struct DynamicsSession {
    account: Account,
    http: HttpService,
    policy: RetryPolicy,
    root: Url,
    deployment: Deployment,
    access: OnceCell<Access>,
    /// The version in use; settled together with `access`.
    version: OnceLock<String>,
    token: TokenCache<SignIn>,
    windows: Windows,
    allotment: Allotment,
    catalog: Catalog,
    addresses: Addresses,
    soap: soap::State,
    /// User and organisation, once they have been asked for.
    identity: Mutex<Option<(String, String)>>,
    /// How far the server's clock is ahead of this machine's, in microseconds.
    clock_lead: AtomicI64,
}

impl DynamicsSession {
    /// A session; nothing is sent yet.
    pub(crate) fn new(account: Account) -> Result<Self> {
        let options = HttpOptions::from_account(&account);
        let http = HttpService::new(&options)?;
        let root = root_of(account.require("url", Place::Server)?)?;
        auth::named(&account)?;
        Ok(Self {
            policy: RetryPolicy::from_account(&account),
            deployment: Deployment::of(&account),
            access: OnceCell::new(),
            version: OnceLock::new(),
            token: TokenCache::default(),
            windows: Windows::new(&account, &options)?,
            allotment: Allotment::default(),
            catalog: Catalog::default(),
            addresses: Addresses::default(),
            soap: soap::State::default(),
            identity: Mutex::new(None),
            clock_lead: AtomicI64::new(0),
            http,
            root,
            account,
        })
    }

    /// The account's options.
    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    /// The account's zone.
    pub(crate) fn zone(&self) -> Zone {
        self.account.zone()
    }

    /// What the server is.
    pub(crate) fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// Connections without a sign-in.
    pub(crate) fn http(&self) -> &HttpService {
        &self.http
    }

    /// Connections signed in by Windows accounts.
    pub(crate) fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Bounds of trying again.
    pub(crate) fn policy(&self) -> RetryPolicy {
        self.policy
    }

    /// The statement's budget is asked of it before each try.
    pub(crate) fn allotment(&self) -> &Allotment {
        &self.allotment
    }

    /// The organisation's root, with a slash at its end.
    pub(crate) fn root(&self) -> &Url {
        &self.root
    }

    /// What is known of the organisation's entities.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Where the organisation's tables lie, as far as it has been asked for.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What the SOAP transport keeps.
    pub(crate) fn soap(&self) -> &soap::State {
        &self.soap
    }

    /// The language of labels that the account asks for.
    pub(crate) fn language(&self) -> Option<u32> {
        self.account.get("language")?.parse().ok()
    }

    /// Imported tables show the labels of option sets (N-3).
    pub(crate) fn shows_labels(&self) -> bool {
        self.account.get("value_format") == Some("label")
    }

    /// A path below the versioned root of the Web API, as a reference on the own host.
    pub(crate) fn path(&self, rest: &str) -> String {
        self.versioned_path(self.version(), rest)
    }

    fn versioned_path(&self, version: &str, rest: &str) -> String {
        format!("{}api/data/v{version}/{rest}", self.root.path())
    }

    /// The version of the Web API in use.
    pub(crate) fn version(&self) -> &str {
        let settled = self.version.get().map(String::as_str);
        settled.unwrap_or_else(|| self.wanted_version())
    }

    fn wanted_version(&self) -> &str {
        let usual = match self.deployment {
            Deployment::OnPremise => ON_PREMISE_VERSION,
            _ => ONLINE_VERSION,
        };
        self.account.get("api_version").unwrap_or(usual)
    }

    /// How the account signs in and how its records travel: by the options, or on premise by what the server offers.
    ///
    /// # Errors
    /// What the network says, or that the server offers nothing that is known here.
    pub(crate) async fn access(&self, stats: &CallStats) -> Result<Access> {
        let access = self.access.get_or_try_init(|| async {
            let access = match auth::named(&self.account)? {
                Some(form) => Access {
                    transport: form.transport(),
                    form,
                },
                None => probe::access(self, stats).await?,
            };
            if access.transport == Transport::OData {
                self.settle_version(access, stats).await?;
            }
            Ok(access)
        });
        access.await.copied()
    }

    /// The transport alone.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub(crate) async fn transport(&self, stats: &CallStats) -> Result<Transport> {
        Ok(self.access(stats).await?.transport)
    }

    /// A server of 2016 has no 9.0; it says so with 404 or 501 (section 1).
    async fn settle_version(&self, access: Access, stats: &CallStats) -> Result<()> {
        let is_open = self.deployment == Deployment::OnPremise && !self.account.has("api_version");
        let mut version = self.wanted_version();
        if is_open {
            let call = Call::get(self.versioned_path(version, "WhoAmI"));
            match self.exchange_by(access, &call, stats).await {
                Err(Trouble {
                    status: Some(StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED),
                    ..
                }) => version = OLD_VERSION,
                outcome => drop(outcome?),
            }
        }
        // Another caller cannot have been here: the cell lets one in at a time.
        drop(self.version.set(version.to_owned()));
        Ok(())
    }

    /// Sends a call; signs in where needed, and once more when the token is no longer taken (2.2).
    ///
    /// # Errors
    /// What the sign-in, the network or the server says.
    pub(crate) async fn call(&self, call: &Call, stats: &CallStats) -> Result<Reply> {
        Ok(self.exchange(call, stats).await?.reply)
    }

    /// As [`Self::call`], and tells whether the server may have done what was asked for.
    pub(crate) async fn exchange(
        &self,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let access = self.access(stats).await.map_err(unsent)?;
        self.exchange_by(access, call, stats).await
    }

    async fn exchange_by(
        &self,
        access: Access,
        call: &Call,
        stats: &CallStats,
    ) -> std::result::Result<Answered, Trouble> {
        let request = self.request(call).map_err(unsent)?;
        if access.form == Form::Ntlm {
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.windows.send(&request, stats).await
            };
            let (answered, _) = self.attempt(call, stats, false, attempt).await?;
            return answered.map_err(|(trouble, _)| trouble);
        }
        let mut token = self.token(access.form, stats).await.map_err(unsent)?;
        let mut renewed = false;
        let mut done_before = false;
        loop {
            let attempt = || async {
                self.allotment.admit(stats)?;
                self.http.send(&request, Some(&token.bearer), stats).await
            };
            let (answered, may_be_done) = self.attempt(call, stats, done_before, attempt).await?;
            match answered {
                Ok(answered) => return Ok(answered),
                Err((_, StatusCode::UNAUTHORIZED)) if !renewed => {
                    renewed = true;
                    done_before |= may_be_done;
                    let renewal = self
                        .token
                        .renew(&token, || self.sign_in(access.form, stats))
                        .await;
                    token = renewal.map_err(|error| Trouble {
                        may_be_done: done_before,
                        ..unsent(error)
                    })?;
                }
                Err((trouble, _)) => {
                    return Err(Trouble {
                        error: trouble.error.without(token.bearer.secret()),
                        ..trouble
                    });
                }
            }
        }
    }

    /// Sends by `attempt` and judges the reply. The outer failure is that there is none; the truth value says whether
    /// an earlier try may have done what was asked for.
    #[allow(clippy::type_complexity)]
    async fn attempt<F, Fut>(
        &self,
        call: &Call,
        stats: &CallStats,
        done_before: bool,
        attempt: F,
    ) -> std::result::Result<(std::result::Result<Answered, (Trouble, StatusCode)>, bool), Trouble>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Outcome>,
    {
        let replied = send_again(self.policy, call.repeatable, stats, attempt).await;
        let replied = replied.map_err(|unanswered| Trouble {
            error: unanswered.error,
            may_be_done: unanswered.may_be_done || done_before,
            status: None,
        })?;
        self.listen(&replied.reply);
        let status = replied.reply.status;
        let earlier = replied.done_before;
        // A batch is answered in parts even where one of them failed and gave the whole its status (7.4).
        let is_in_parts = batch::is_multipart(replied.reply.header("content-type"));
        if status.is_success() || status == StatusCode::NOT_MODIFIED || is_in_parts {
            let answered = Answered {
                done_before: done_before || earlier,
                reply: replied.reply,
            };
            return Ok((Ok(answered), earlier));
        }
        let trouble = Trouble {
            may_be_done: replied.may_be_done() || done_before,
            error: replied.tell_tries(error::from_reply(&replied.reply)),
            status: Some(status),
        };
        Ok((Err((trouble, status)), earlier))
    }

    fn request(&self, call: &Call) -> Result<Request> {
        let url = self.resolve(&call.link)?;
        let fixed = |value| HeaderValue::from_static(value);
        let mut request = Request::new(call.method.clone(), url)
            .header(ACCEPT, fixed("application/json"))
            .header(HeaderName::from_static("odata-maxversion"), fixed("4.0"))
            .header(HeaderName::from_static("odata-version"), fixed("4.0"))
            // Keeps caches on the way from answering (section 1).
            .header(IF_NONE_MATCH, fixed("null"))
            .for_data(call.data);
        for (name, value) in &call.headers {
            request = request.header(name.clone(), value.clone());
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        Ok(request)
    }

    /// The address of a path, or of a link that a reply gave, always on the own host.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it leads to another host; on premise, where a proxy may hide an inner name, its
    /// path is used on the own host instead.
    pub(crate) fn resolve(&self, link: &str) -> Result<Url> {
        resolve(&self.root, link, self.deployment == Deployment::OnPremise)
    }

    /// What every reply tells besides its answer: the server's clock.
    pub(crate) fn listen(&self, reply: &Reply) {
        if let Some(date) = reply.date() {
            self.clock_lead
                .store(date - local_clock(), Ordering::Relaxed);
        }
    }

    /// The server's clock as far as its replies have told, microseconds since the Unix epoch.
    pub(crate) fn presumed_now(&self) -> i64 {
        local_clock() + self.clock_lead.load(Ordering::Relaxed)
    }

    /// The token in force; signs in where there is none.
    ///
    /// # Errors
    /// What the sign-in says.
    pub(crate) async fn token(&self, form: Form, stats: &CallStats) -> Result<Arc<SignIn>> {
        self.token.get(|| self.sign_in(form, stats)).await
    }

    async fn sign_in(&self, form: Form, stats: &CallStats) -> Result<Fresh<SignIn>> {
        auth::sign_in(self, form, stats).await
    }

    /// What is known of an entity; asked for once in a session.
    ///
    /// # Errors
    /// As [`Self::call`]; [`ErrorKind::ObjectUnknown`] where there is none of that name.
    pub(crate) async fn entity(&self, object: &str, stats: &CallStats) -> Result<Arc<Entity>> {
        if let Some(known) = self.catalog.entity(object) {
            return Ok(known);
        }
        let mut entities = describe::entities(self, &[object.to_owned()], stats).await?;
        entities
            .pop()
            .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply describes no object"))
    }

    async fn identify(&self, stats: &CallStats) -> Result<()> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct WhoAmI {
            user_id: String,
            organization_id: String,
        }
        let reply = self.call(&Call::get(self.path("WhoAmI")), stats).await?;
        let who: WhoAmI = json::parse(&reply.body, "the user's identity")?;
        // Names are for people: who may not read them still is who he is.
        let user = format!("systemusers({})", deparse::guid(&who.user_id)?);
        let user = self.name_of(&user, "domainname", stats).await;
        let organization = format!("organizations({})", deparse::guid(&who.organization_id)?);
        let organization = self.name_of(&organization, "name", stats).await;
        *self.identity.lock().unwrap_or_else(PoisonError::into_inner) = Some((
            user.unwrap_or(who.user_id),
            organization.unwrap_or(who.organization_id),
        ));
        Ok(())
    }

    async fn name_of(&self, record: &str, field: &str, stats: &CallStats) -> Option<String> {
        let link = self.path(&format!("{record}?$select={field}"));
        let reply = self.call(&Call::get(link), stats).await.ok()?;
        let record: serde_json::Value = json::parse(&reply.body, "a record").ok()?;
        let name = record.get(field)?.as_str()?;
        (!name.is_empty()).then(|| name.to_owned())
    }

    fn info(&self) -> Option<AccountInfo> {
        let access = self.access.get()?;
        let signed_in = match access.form {
            Form::Ntlm | Form::WsTrust => true,
            _ => self.token.peek().is_some(),
        };
        if !signed_in {
            return None;
        }
        let known = self.identity.lock().unwrap_or_else(PoisonError::into_inner);
        let (user, organization) = known.clone().unwrap_or_else(|| {
            let user = self.account.get("username");
            let user = user.or_else(|| self.account.get("client_id"));
            (user.unwrap_or_default().to_owned(), String::new())
        });
        Some(AccountInfo {
            user,
            organization,
            host: host_of(&self.root),
            api_version: self.version().to_owned(),
            auth: access.form.name().to_owned(),
        })
    }
}

impl Session for DynamicsSession {
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => self.identify(stats).await?,
                Transport::Soap => return soap::check(self, stats).await,
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
            match self.transport(stats).await? {
                Transport::OData => describe::objects(self, stats).await,
                Transport::Soap => soap::objects(self, stats).await,
            }
        })
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => {
                    let entities = describe::entities(self, objects, stats).await?;
                    Ok(entities
                        .iter()
                        .map(|entity| entity.object.clone())
                        .collect())
                }
                Transport::Soap => soap::describe(self, objects, stats).await,
            }
        })
    }

    fn scan(self: Arc<Self>, query: RemoteQuery, stats: Arc<CallStats>) -> Box<dyn PageStream> {
        Box::new(DeferredPages::new(
            self,
            stats,
            move |session, transport, stats| {
                Ok(match transport {
                    Transport::OData => scan::start(session, query, stats),
                    Transport::Soap => soap::scan(session, query, stats),
                })
            },
        ))
    }

    fn native(
        self: Arc<Self>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Box<dyn PageStream>> {
        let statement = native::checked(statement)?;
        Ok(Box::new(DeferredPages::new(
            self,
            stats,
            move |session, transport, stats| match transport {
                Transport::OData => {
                    let documents = Documents::new(session, &statement, stats)?;
                    Ok(Box::new(documents) as Box<dyn PageStream>)
                }
                Transport::Soap => soap::native(session, &statement, stats),
            },
        )))
    }

    fn count<'a>(
        &'a self,
        query: &'a RemoteQuery,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => scan::count(self, query, stats).await,
                Transport::Soap => soap::count(self, query, stats).await,
            }
        })
    }

    fn write<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _tickets: &'a dyn TicketKeeper,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, WriteReply> {
        Box::pin(async move {
            match self.transport(stats).await {
                Ok(Transport::OData) => write::write(self, batch, stats).await,
                Ok(Transport::Soap) => soap::write(self, batch, stats).await,
                Err(error) => WriteReply::not_applied(batch.records.len(), error),
            }
        })
    }

    fn settle<'a>(
        &'a self,
        batch: &'a WriteBatch,
        _ticket: Option<&'a str>,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RecordOutcome>>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => settle::settle(self, batch, stats).await,
                Transport::Soap => soap::settle(self, batch, stats).await,
            }
        })
    }

    fn changes(
        self: Arc<Self>,
        query: RemoteQuery,
        token: Option<String>,
        stats: Arc<CallStats>,
    ) -> Option<Box<dyn ChangeStream>> {
        Some(Box::new(DeferredChanges::new(
            self,
            stats,
            move |session, transport, stats| {
                Ok(match transport {
                    Transport::OData => changes::start(session, query, token, stats),
                    Transport::Soap => soap::changes(session, query, token, stats),
                })
            },
        )))
    }

    fn clock<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<i64>> {
        Box::pin(async move {
            if self.transport(stats).await? == Transport::Soap {
                return soap::clock(self, stats).await;
            }
            let reply = self.call(&Call::get(self.path("WhoAmI")), stats).await?;
            reply.date().ok_or_else(|| {
                Error::new(
                    ErrorKind::NotSupported,
                    "the CRM does not say what time it is",
                )
            })
        })
    }

    fn deleted<'a>(
        &'a self,
        object: &'a str,
        start: i64,
        end: i64,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Deletions>> {
        Box::pin(async move {
            match self.transport(stats).await? {
                Transport::OData => deleted::deleted(self, object, start, end, stats).await,
                Transport::Soap => soap::deleted(self, object, start, end, stats).await,
            }
        })
    }

    /// The limits of the interface are of five minutes and say nothing of a day (section 10).
    fn usage(&self) -> Option<Usage> {
        self.allotment.usage()
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        self.info()
    }
}

fn unsent(error: Error) -> Trouble {
    Trouble {
        error,
        may_be_done: false,
        status: None,
    }
}

/// The organisation's root with a slash at its end: on premise the path is the organisation's name (section 1).
fn root_of(url: &str) -> Result<Url> {
    let wrong = || Error::new(ErrorKind::OptionValue, "option \"url\" is not an address");
    let mut root = Url::parse(url).map_err(|_| wrong())?;
    if root.scheme() != "https" || root.host_str().is_none() {
        return Err(wrong());
    }
    root.set_query(None);
    root.set_fragment(None);
    if !root.path().ends_with('/') {
        let path = format!("{}/", root.path());
        root.set_path(&path);
    }
    Ok(root)
}

/// See [`DynamicsSession::resolve`].
fn resolve(root: &Url, link: &str, rebases: bool) -> Result<Url> {
    let wrong = |message: String| Error::new(ErrorKind::Undecodable, message);
    let target = root
        .join(link)
        .map_err(|_| wrong("the reply holds a link that is not one".into()))?;
    let has_user = !target.username().is_empty() || target.password().is_some();
    if target.origin() == root.origin() && !has_user {
        return Ok(target);
    }
    if rebases && matches!(target.scheme(), "http" | "https") {
        let mut own = root.clone();
        own.set_path(target.path());
        own.set_query(target.query());
        return Ok(own);
    }
    let refusal = wrong(format!(
        "refused to follow a link from host \"{}\" to another host",
        host_of(root)
    ));
    Err(refusal.with_detail(format!("The link leads to \"{}\".", host_of(&target))))
}

/// Host and, where it is not the usual one, port.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.into(),
    }
}

fn local_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_on_the_own_host() {
        let online = root_of("https://contoso.crm4.dynamics.com").unwrap();
        let own = root_of("https://crm.contoso.example/Org").unwrap();
        for (root, link, rebases, expected) in [
            (
                &online,
                "/api/data/v9.2/accounts?$skiptoken=%3Ca%20b=%221%22",
                false,
                Some(
                    "https://contoso.crm4.dynamics.com/api/data/v9.2/accounts?$skiptoken=%3Ca%20b=%221%22",
                ),
            ),
            (
                &online,
                "https://CONTOSO.crm4.dynamics.com:443/x?a=%253c",
                false,
                Some("https://contoso.crm4.dynamics.com/x?a=%253c"),
            ),
            (&online, "https://evil.example/x", false, None),
            (&online, "//evil.example/x", false, None),
            (&online, "http://contoso.crm4.dynamics.com/x", false, None),
            (
                &online,
                "https://u@contoso.crm4.dynamics.com/x",
                false,
                None,
            ),
            (
                &own,
                "http://inner:5555/Org/api/data/v9.0/accounts?$skiptoken=1",
                true,
                Some("https://crm.contoso.example/Org/api/data/v9.0/accounts?$skiptoken=1"),
            ),
            (&own, "javascript:alert(1)", true, None),
        ] {
            let resolved = resolve(root, link, rebases);
            assert_eq!(resolved.ok().as_ref().map(Url::as_str), expected, "{link}");
        }
    }
}
