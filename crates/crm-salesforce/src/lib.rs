//! Salesforce: its options, its language, its sessions. The public surface is [`SALESFORCE`].
//!
//! Nothing here knows PostgreSQL. Planning uses `semantics.rs`, `fit.rs` and `deparse.rs`, which make no call;
//! everything else works for a session, see `session.rs`.

mod auth;
mod decode;
mod deparse;
mod describe;
mod error;
mod fit;
mod ids;
mod jwt;
mod lookup;
mod native;
mod options;
mod scan;
mod semantics;
mod session;
mod soap_login;

use crm_core::{
    Account, AggregateFunction, Capability, Connector, FieldFacts, Filter, Fit, KeyForm, OptionDef,
    Pushdown, RemoteQuery, Result, Session, Shape, Value,
};
use session::SalesforceSession;
use std::sync::Arc;

/// The Salesforce connector.
pub static SALESFORCE: Salesforce = Salesforce;

/// Salesforce.com: production, sandbox, My Domain.
#[derive(Clone, Copy, Debug)]
pub struct Salesforce;

impl Connector for Salesforce {
    fn name(&self) -> &'static str {
        "salesforce"
    }

    fn query_language(&self) -> &'static str {
        "SOQL"
    }

    fn options(&self) -> &'static [OptionDef] {
        options::OPTIONS
    }

    fn is_vendor_host(&self, url: &str) -> bool {
        options::is_vendor_host(url)
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
            // While a statement is planned the identifiers are not known yet, only how many are expected.
            let wanted = if ids.is_empty() {
                rows
            } else {
                ids.len() as f64
            };
            return (wanted / lookup::batch_size(query) as f64).ceil().max(1.0);
        }
        let rows = query.limit.map_or(rows, |limit| rows.min(limit as f64));
        (rows / f64::from(scan::page_size(query.page_size)))
            .ceil()
            .max(1.0)
    }

    fn open(&self, account: Account) -> Result<Arc<dyn Session>> {
        Ok(Arc::new(SalesforceSession::new(account)?))
    }
}
