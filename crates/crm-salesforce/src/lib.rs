//! Salesforce: its options, its language, its sessions. The public surface is [`SALESFORCE`].
//!
//! Nothing here knows PostgreSQL. Planning uses `semantics.rs`, `fit.rs` and `deparse.rs`, which make no call;
//! everything else works for a session, see `session.rs`.

mod auth;
mod composite;
mod decode;
mod deparse;
mod describe;
mod error;
mod fit;
mod ids;
mod jwt;
mod lookup;
mod scan;
mod semantics;
mod session;
mod soap_login;

use crm_core::{
    Account, AccountInfo, AggregateFunction, BoxFuture, CallStats, Capability, Connector,
    FieldFacts, Filter, Fit, KeyForm, ObjectSummary, OptionDef, OptionKind, PageStream, Place,
    Pushdown, RemoteObject, RemoteQuery, Result, Session, Shape, Usage, Value,
};
use session::Org;
use std::sync::Arc;

/// The Salesforce connector.
pub static SALESFORCE: Salesforce = Salesforce;

/// Salesforce.com: production, sandbox, My Domain.
#[derive(Clone, Copy, Debug)]
pub struct Salesforce;

const OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "auth",
        &[Place::Server],
        OptionKind::Choice(auth::FLOWS),
        "How to sign in: password, client_credentials, jwt, refresh_token or soap; the default follows from the options given.",
    ),
    OptionDef::plain(
        "api_version",
        &[Place::Server],
        OptionKind::Version,
        "Version of the REST interface; default 66.0.",
    ),
    OptionDef::plain(
        "login_audience",
        &[Place::Server],
        OptionKind::HttpsUrl,
        "Whom a JWT assertion is addressed to; default the server's url.",
    ),
    OptionDef::plain(
        "username",
        &[Place::UserMapping],
        OptionKind::Text,
        "The Salesforce user.",
    ),
    OptionDef::plain(
        "client_id",
        &[Place::UserMapping],
        OptionKind::Text,
        "Consumer key of the connected app.",
    ),
    OptionDef::plain(
        "private_key_file",
        &[Place::UserMapping],
        OptionKind::Text,
        "PEM file with the private key for auth 'jwt'.",
    )
    .for_superusers(),
    OptionDef::secret("password", "The user's password."),
    OptionDef::secret(
        "security_token",
        "The user's security token, needed unless this machine's address is trusted.",
    ),
    OptionDef::secret("client_secret", "Consumer secret of the connected app."),
    OptionDef::secret(
        "refresh_token",
        "Refresh token for auth 'refresh_token'; the app must not rotate it.",
    ),
    OptionDef::secret("private_key", "Private key in PEM form for auth 'jwt'."),
];

impl Connector for Salesforce {
    fn name(&self) -> &'static str {
        "salesforce"
    }

    fn query_language(&self) -> &'static str {
        "SOQL"
    }

    fn options(&self) -> &'static [OptionDef] {
        OPTIONS
    }

    fn is_vendor_host(&self, url: &str) -> bool {
        let Ok(url) = url::Url::parse(url) else {
            return false;
        };
        let host = url.host_str().unwrap_or_default();
        // Not force.com: what its hosts serve is written by customers.
        url.scheme() == "https" && url.port().is_none() && host.ends_with(".salesforce.com")
    }

    fn default_identifier(&self, _object: &str) -> &'static str {
        "Id"
    }

    fn capability(&self, field: &FieldFacts, shape: Shape, _mode: Pushdown) -> Capability {
        semantics::capability(field, shape)
    }

    fn fit(&self, field: &FieldFacts, filter: Filter<Value>) -> Fit {
        fit::fit(field, filter)
    }

    fn sorts_alike(&self, field: &FieldFacts) -> bool {
        semantics::sorts_alike(field)
    }

    fn aggregates_alike(&self, function: AggregateFunction, field: Option<&FieldFacts>) -> bool {
        semantics::aggregates_alike(function, field)
    }

    fn key_form(&self, text: &str) -> KeyForm {
        ids::form(text)
    }

    fn canonical_key(&self, text: &str) -> Option<String> {
        ids::canonical(text)
    }

    fn deparse(&self, query: &RemoteQuery) -> Result<String> {
        deparse::query(query)
    }

    fn estimate_calls(&self, query: &RemoteQuery, rows: f64) -> f64 {
        if !query.aggregates.is_empty() {
            return 1.0;
        }
        if let Some(ids) = &query.lookup {
            let n_batches = ids.len().div_ceil(lookup::batch_size(query));
            return f64::from(u32::try_from(n_batches).unwrap_or(u32::MAX));
        }
        let rows = query.limit.map_or(rows, |limit| rows.min(limit as f64));
        (rows / f64::from(scan::page_size(query.page_size)))
            .ceil()
            .max(1.0)
    }

    fn open(&self, account: Account) -> Result<Arc<dyn Session>> {
        Ok(Arc::new(SalesforceSession(Arc::new(Org::open(&account)?))))
    }
}

/// One account on the network thread.
struct SalesforceSession(Arc<Org>);

impl Session for SalesforceSession {
    fn check<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<AccountInfo>> {
        Box::pin(self.0.check(stats))
    }

    fn objects<'a>(&'a self, stats: &'a CallStats) -> BoxFuture<'a, Result<Vec<ObjectSummary>>> {
        Box::pin(describe::objects(&self.0, stats))
    }

    fn describe<'a>(
        &'a self,
        objects: &'a [String],
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<Vec<RemoteObject>>> {
        Box::pin(describe::objects_with_fields(&self.0, objects, stats))
    }

    fn scan(self: Arc<Self>, mut query: RemoteQuery, stats: Arc<CallStats>) -> Box<dyn PageStream> {
        let org = Arc::clone(&self.0);
        match query.lookup.take() {
            Some(ids) => Box::new(lookup::Lookups::new(org, query, ids, stats)),
            None => Box::new(scan::Pages::new(org, query, stats)),
        }
    }

    fn count<'a>(
        &'a self,
        query: &'a RemoteQuery,
        stats: &'a CallStats,
    ) -> BoxFuture<'a, Result<u64>> {
        Box::pin(scan::count(&self.0, query, stats))
    }

    fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    fn signed_in(&self) -> Option<AccountInfo> {
        self.0.signed_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendor_hosts_by_whole_labels() {
        for (url, expected) in [
            ("https://login.salesforce.com", true),
            ("https://test.salesforce.com/", true),
            ("https://acme.my.salesforce.com", true),
            ("https://acme--dev.sandbox.my.salesforce.com", true),
            ("https://LOGIN.salesforce.com", true),
            ("https://salesforce.com.evil.example", false),
            ("https://evilsalesforce.com", false),
            ("https://acme.force.com", false),
            ("https://login.salesforce.com:8443", false),
            ("https://login.salesforce.com@evil.example", false),
            ("http://login.salesforce.com", false),
            ("login.salesforce.com", false),
        ] {
            assert_eq!(SALESFORCE.is_vendor_host(url), expected, "{url}");
        }
    }

    #[test]
    fn options_are_unlike_the_common_ones_and_told_in_sentences() {
        for option in OPTIONS {
            assert!(option.doc.ends_with('.'), "{}", option.name);
            let clash = crm_core::COMMON_OPTIONS.iter().find(|common| common.name == option.name);
            assert!(clash.is_none(), "{}", option.name);
        }
    }
}
