//! One signed-in account: every OData call goes through [`DynamicsSession::exchange`].
//!
//! Which transport and which sign-in serve the account is settled at first use, see [`DynamicsSession::transport`];
//! the SOAP transport (`soap/`) takes from here the account, the connections and the caches.

mod calls;
mod interface;
mod links;

pub(crate) use links::host_of;

use crate::auth::{self, Form, SignIn};
use crate::describe::{self, Catalog, Entity};
use crate::multiple::Refusers;
use crate::navigation::{self, Address, Addresses};
use crate::ntlm::Windows;
use crate::options::{OLD_VERSION, ON_PREMISE_VERSION, ONLINE_VERSION};
use crate::{probe, soap};
use crm_core::{Account, CallStats, Error, ErrorKind, Place, Result, Zone};
use crm_http::{
    Allotment, Call, HttpOptions, HttpService, RetryPolicy, StatusCode, TokenCache, Trouble, Url,
};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
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
    refusers: Refusers,
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
        let root = links::root_of(account.require("url", Place::Server)?)?;
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
            refusers: Refusers::default(),
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

    /// Objects whose records are written one by one, as far as it has been tried.
    pub(crate) fn refusers(&self) -> &Refusers {
        &self.refusers
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
            let mut access = match auth::named(&self.account)? {
                Some(form) => Access {
                    transport: form.transport(),
                    form,
                },
                None => probe::access(self, stats).await?,
            };
            if access.transport == Transport::OData && !self.settle_version(access, stats).await? {
                access.transport = Transport::Soap;
            }
            Ok(access)
        });
        access.await.copied()
    }

    /// The transport, once it has been found out.
    pub(crate) fn known_transport(&self) -> Option<Transport> {
        self.access.get().map(|access| access.transport)
    }

    /// The transport alone.
    ///
    /// # Errors
    /// As [`Self::access`].
    pub(crate) async fn transport(&self, stats: &CallStats) -> Result<Transport> {
        Ok(self.access(stats).await?.transport)
    }

    /// A server of 2016 has no 9.0; it says so with 404 or 501 (section 1). False where there is no Web API at all, and
    /// the account can do without.
    async fn settle_version(&self, access: Access, stats: &CallStats) -> Result<bool> {
        let is_open = self.deployment == Deployment::OnPremise && !self.account.has("api_version");
        let mut version = self.wanted_version();
        let mut is_found = !is_open;
        let candidates = [version, OLD_VERSION].into_iter().filter(|_| is_open);
        for candidate in candidates {
            version = candidate;
            let call = Call::get(self.versioned_path(version, "WhoAmI"));
            match self.exchange_by(access, &call, stats).await {
                Err(Trouble {
                    status: Some(StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED),
                    ..
                }) => {}
                outcome => {
                    drop(outcome?);
                    is_found = true;
                    break;
                }
            }
        }
        if !is_found && access.form == Form::Ntlm {
            return Ok(false);
        }
        // Another caller cannot have been here: the cell lets one in at a time.
        drop(self.version.set(version.to_owned()));
        Ok(true)
    }

    /// The server's clock as far as its replies have told, microseconds since the Unix epoch.
    pub(crate) fn presumed_now(&self) -> i64 {
        local_clock() + self.clock_lead.load(Ordering::Relaxed)
    }

    /// What is known of an entity; asked for once in a session.
    ///
    /// # Errors
    /// As [`Self::call`]; [`ErrorKind::ObjectUnknown`] where there is none of that name.
    pub(crate) async fn entity(&self, object: &str, stats: &CallStats) -> Result<Arc<Entity>> {
        if let Some(known) = self.catalog.entity(object) {
            return Ok(known);
        }
        let objects = [object.to_owned()];
        let mut entities = match self.transport(stats).await? {
            Transport::OData => describe::entities(self, &objects, stats).await?,
            Transport::Soap => soap::entities(self, &objects, stats).await?,
        };
        entities
            .pop()
            .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply describes no object"))
    }

    /// Where an entity's records are; asked for once in a session, with those of all others.
    ///
    /// # Errors
    /// As [`Self::call`]; [`ErrorKind::ObjectUnknown`] where there is no entity of that name that has records.
    pub(crate) async fn address(&self, object: &str, stats: &CallStats) -> Result<Address> {
        if let Some(known) = self.catalog.entity(object) {
            return Ok(Address {
                set: known.set.clone(),
                primary_id: known.primary_id.clone(),
            });
        }
        let all = navigation::addresses(self, stats).await?;
        all.get(object).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::ObjectUnknown,
                format!("object \"{object}\": the CRM does not know the object"),
            )
            .with_hint("If it was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.")
        })
    }
}

fn local_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
