//! Salesforce: its options, its language, its sessions. The public surface is [`SALESFORCE`].
//!
//! Nothing here knows PostgreSQL. Planning uses `semantics.rs`, `fit.rs` and `deparse.rs`, which make no call;
//! everything else works for a session, see `session.rs`.

mod auth;
mod changes;
mod check;
mod collections;
mod decode;
mod deparse;
mod describe;
mod encode;
mod error;
mod fit;
mod ids;
mod ingest;
mod jwt;
mod lookup;
mod native;
mod options;
mod records;
mod reject;
mod results;
mod rows;
mod scan;
mod semantics;
mod session;
mod settle;
mod soap_login;
mod variants;
mod write;

use crm_core::{
    Account, AggregateFunction, Capability, Connector, Conversion, FieldFacts, Filter, Fit,
    KeyForm, Operation, OptionDef, Pushdown, Reject, RemoteField, RemoteQuery, Result, Route,
    Session, Shape, Value, WriteLimits, Zone,
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

    fn modification_fields(&self, _object: &str) -> &'static [&'static str] {
        describe::MODIFICATION_FIELDS
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

    fn canonical_form(&self) -> &'static str {
        "stored identifiers have their long form, as crm.id18() gives"
    }

    fn annotations(&self) -> &'static [&'static str] {
        &["attributes"]
    }

    fn deparse(&self, query: &RemoteQuery) -> Result<String> {
        deparse::query(query)
    }

    fn lookup_batch(&self, query: &RemoteQuery) -> usize {
        lookup::batch_size(query)
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

    fn write_limits(&self, _operation: Operation, route: Route) -> WriteLimits {
        write::limits(route)
    }

    fn write_route(
        &self,
        operation: Operation,
        records: usize,
        transport: Option<&str>,
        settles: bool,
    ) -> Route {
        write::route(operation, records, transport, settles)
    }

    fn estimate_write_calls(&self, _operation: Operation, route: Route, records: f64) -> f64 {
        write::estimate_calls(route, records)
    }

    fn check_value(
        &self,
        field: &RemoteField,
        conversion: Conversion,
        value: Option<&Value>,
        zone: Zone,
    ) -> Option<Reject> {
        check::check_value(field, conversion, value, zone)
    }

    fn open(&self, account: Account) -> Result<Arc<dyn Session>> {
        Ok(Arc::new(SalesforceSession::new(account)?))
    }
}
