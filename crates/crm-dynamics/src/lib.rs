//! Microsoft Dynamics CRM and Dataverse: options, language, sessions. The public surface is [`DYNAMICS`].
//!
//! Nothing here knows PostgreSQL. Planning uses `semantics.rs`, `fit.rs` and `deparse.rs`, which make no call;
//! everything else works for a session, see `session.rs`. Records travel by OData, or on premise by SOAP (`soap/`).

mod audited;
mod auth;
mod batch;
mod binding;
mod changes;
mod check;
mod decode;
mod deferred;
mod deleted;
mod deparse;
mod describe;
mod encode;
mod error;
mod fit;
mod ids;
mod labels;
mod lookup;
mod metadata;
mod multiple;
mod native;
mod navigation;
mod ntlm;
mod options;
mod plan;
mod probe;
mod query;
mod records;
mod reject;
mod rows;
mod scan;
mod semantics;
mod session;
mod settle;
mod soap;
#[cfg(test)]
mod testkit;
mod types;
mod write;
mod ws_trust;

use crm_core::{
    Account, AggregateFunction, Capability, ColumnType, Connector, Conversion, FieldFacts, Filter,
    Fit, KeyForm, Operation, OptionDef, Pushdown, Reject, RemoteField, RemoteQuery, Result, Route,
    Session, Shape, Value, WriteLimits, Zone,
};
use session::DynamicsSession;
use std::borrow::Cow;
use std::sync::Arc;

/// The Dynamics connector.
pub static DYNAMICS: Dynamics = Dynamics;

/// Dynamics CRM on premise, Dynamics 365 and Dataverse.
#[derive(Clone, Copy, Debug)]
pub struct Dynamics;

impl Connector for Dynamics {
    fn name(&self) -> &'static str {
        "dynamics"
    }

    fn query_language(&self) -> &'static str {
        "OData"
    }

    fn options(&self) -> &'static [OptionDef] {
        options::OPTIONS
    }

    fn annotations(&self) -> &'static [&'static str] {
        &["@odata.etag", "@odata.id", "@odata.editLink"]
    }

    fn transport(&self, server: &dyn Fn(&str) -> Option<String>) -> &'static str {
        options::transport(server)
    }

    fn is_vendor_host(&self, url: &str) -> bool {
        options::is_vendor_host(url)
    }

    fn modification_fields(&self, _object: &str) -> &'static [&'static str] {
        describe::MODIFICATION_FIELDS
    }

    /// Every entity names its own; a table made by hand should say. `activityid` and the like are rare enough.
    fn default_identifier(&self, object: &str) -> &'static str {
        describe::usual_identifier(object)
    }

    fn capability(&self, field: &FieldFacts, shape: Shape, _mode: Pushdown) -> Capability {
        semantics::capability(field, shape)
    }

    fn condition_name<'f>(&self, field: &'f FieldFacts) -> Cow<'f, str> {
        types::property(&field.name, &field.remote_type)
    }

    fn fit(&self, field: &FieldFacts, filter: Filter<Value>) -> Fit {
        fit::fit(field, filter)
    }

    fn sorts_alike(&self, field: &FieldFacts) -> bool {
        semantics::sorts_alike(field)
    }

    fn places_nulls(&self, descending: bool, nulls_first: bool) -> bool {
        semantics::places_nulls(descending, nulls_first)
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

    fn told_type(
        &self,
        field: &RemoteField,
        table: &dyn Fn(&str) -> Option<String>,
    ) -> Option<ColumnType> {
        options::told_type(field, table)
    }

    fn lookup_batch(&self, query: &RemoteQuery) -> usize {
        lookup::batch_size(query)
    }

    fn estimate_calls(&self, query: &RemoteQuery, rows: f64) -> f64 {
        scan::estimate_calls(query, rows)
    }

    fn write_limits(&self, operation: Operation, _route: Route) -> WriteLimits {
        write::limits(operation)
    }

    /// The interface has no jobs that answer for each record.
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

    /// Every entity does; the vendor advises it where answers may be lost (Dynamics page 7.1).
    fn takes_identifiers(&self, _object: &str) -> bool {
        true
    }

    fn open(&self, account: Account) -> Result<Arc<dyn Session>> {
        Ok(Arc::new(DynamicsSession::new(account)?))
    }
}
