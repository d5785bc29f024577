//! Oracle CRM On Demand: its options, its language, its sessions. The public surface is [`ORACLE`].
//!
//! Nothing here knows PostgreSQL. Planning uses `semantics.rs`, `fit.rs` and `deparse.rs`, which make no call;
//! everything else works for a session, see `session.rs`.

mod call;
mod check;
mod clock;
mod count;
mod decode;
mod deleted;
mod deparse;
mod describe;
mod encode;
mod envelope;
mod error;
mod fault;
mod find;
mod fit;
#[cfg(test)]
mod hostile;
mod kind;
mod lookup;
mod mapping;
mod message;
mod native;
mod objects;
mod options;
mod picklists;
mod position;
mod query_page;
mod reject;
mod reply;
mod rest;
mod rows;
mod scan;
mod semantics;
mod session;
mod settle;
mod sign_in;
mod split;
mod standard;
mod tags;
mod trash;
mod widen;
mod write;
mod zones;

use crm_core::{
    Account, AggregateFunction, Capability, Connector, Conversion, FieldFacts, Filter, Fit,
    KeyForm, Operation, OptionDef, Pushdown, Reject, RemoteField, RemoteQuery, Result, Route,
    Session, Shape, Value, WriteLimits, Zone,
};
use session::OracleSession;
use std::sync::Arc;

/// The Oracle CRM On Demand connector.
pub static ORACLE: Oracle = Oracle;

/// Oracle CRM On Demand: Web Services v2.0 for records, the Service API for what stands around them.
#[derive(Clone, Copy, Debug)]
pub struct Oracle;

/// Fields that say when a record was last changed: v1.0 names and the v2.0 ones that carry the same meaning (I-1).
const MODIFICATION_FIELDS: &[&str] = &["LastUpdated", "ModifiedDate", "LastLoggedIn"];

impl Connector for Oracle {
    fn name(&self) -> &'static str {
        "oracle_on_demand"
    }

    fn query_language(&self) -> &'static str {
        "Search Spec"
    }

    fn options(&self) -> &'static [OptionDef] {
        options::OPTIONS
    }

    fn transport(&self, _server: &dyn Fn(&str) -> Option<String>) -> &'static str {
        "soap"
    }

    fn is_vendor_host(&self, url: &str) -> bool {
        options::is_vendor_host(url)
    }

    fn default_identifier(&self, _object: &str) -> &'static str {
        "Id"
    }

    fn modification_fields(&self, _object: &str) -> &'static [&'static str] {
        MODIFICATION_FIELDS
    }

    fn capability(&self, field: &FieldFacts, shape: Shape, _mode: Pushdown) -> Capability {
        semantics::capability(field, shape)
    }

    fn fit(&self, field: &FieldFacts, filter: Filter<Value>) -> Fit {
        fit::fit(field, filter)
    }

    fn sorts_alike(&self, _field: &FieldFacts) -> bool {
        // S-6: never.
        false
    }

    fn aggregates_alike(&self, _function: AggregateFunction, _field: Option<&FieldFacts>) -> bool {
        false
    }

    fn key_form(&self, text: &str) -> KeyForm {
        match self.canonical_key(text) {
            Some(_) => KeyForm::Canonical,
            None => KeyForm::Invalid,
        }
    }

    fn canonical_key(&self, text: &str) -> Option<String> {
        tags::is_row_id(text).then(|| text.to_owned())
    }

    fn deparse(&self, query: &RemoteQuery) -> Result<String> {
        deparse::query(query)
    }

    fn lookup_batch(&self, _query: &RemoteQuery) -> usize {
        lookup::LARGEST
    }

    fn estimate_calls(&self, query: &RemoteQuery, rows: f64) -> f64 {
        if let Some(ids) = &query.lookup {
            // While a statement is planned the identifiers are not known yet, only how many are expected.
            let wanted = if ids.is_empty() {
                rows
            } else {
                ids.len() as f64
            };
            return (wanted / lookup::LARGEST as f64).ceil().max(1.0);
        }
        let rows = query.limit.map_or(rows, |limit| rows.min(limit as f64));
        (rows / f64::from(scan::page_size(query.page_size)))
            .ceil()
            .max(1.0)
    }

    fn write_limits(&self, operation: Operation, _route: Route) -> WriteLimits {
        write::limits(operation)
    }

    fn write_route(
        &self,
        _operation: Operation,
        _records: usize,
        _transport: Option<&str>,
        _settles: bool,
    ) -> Route {
        Route::Calls
    }

    fn estimate_write_calls(&self, operation: Operation, _route: Route, records: f64) -> f64 {
        write::estimate_calls(operation, records)
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
        Ok(Arc::new(OracleSession::new(account)?))
    }
}
