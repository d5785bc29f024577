//! The registry: one line for each CRM, and the validators made from the connectors' own option tables.

use crate::error::OrRaise;
use crate::options;
use crm_core::{Connector, Error, ErrorKind, Result};
use pgrx::prelude::*;

/// Every CRM this extension speaks to.
static CONNECTORS: &[&dyn Connector] = &[
    &crm_salesforce::SALESFORCE,
    &crm_dynamics::DYNAMICS,
    &crm_oracle::ORACLE,
    #[cfg(any(test, feature = "pg_test"))]
    &crate::backend_tests::crm::IMAGINARY,
];

/// The connector of that name.
///
/// # Errors
/// [`ErrorKind::NotSupported`] naming those there are.
pub fn by_name(name: &str) -> Result<&'static dyn Connector> {
    CONNECTORS
        .iter()
        .copied()
        .find(|connector| connector.name() == name)
        .ok_or_else(|| {
            let known: Vec<_> = CONNECTORS
                .iter()
                .map(|connector| connector.name())
                .collect();
            Error::new(
                ErrorKind::NotSupported,
                format!("no connector is named \"{name}\""),
            )
            .with_hint(format!("There are: {}.", known.join(", ")))
        })
}

#[pg_extern(sql = "
CREATE FUNCTION salesforce_validator(options text[], catalog oid) RETURNS void
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
")]
fn salesforce_validator(options: Vec<Option<String>>, catalog: pg_sys::Oid) {
    options::validate(&crm_salesforce::SALESFORCE, options, catalog).or_raise();
}

#[pg_extern(sql = "
CREATE FUNCTION dynamics_validator(options text[], catalog oid) RETURNS void
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
")]
fn dynamics_validator(options: Vec<Option<String>>, catalog: pg_sys::Oid) {
    options::validate(&crm_dynamics::DYNAMICS, options, catalog).or_raise();
}

#[pg_extern(sql = "
CREATE FUNCTION oracle_on_demand_validator(options text[], catalog oid) RETURNS void
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
")]
fn oracle_on_demand_validator(options: Vec<Option<String>>, catalog: pg_sys::Oid) {
    options::validate(&crm_oracle::ORACLE, options, catalog).or_raise();
}

/// The 18-character form of a Salesforce identifier, or null for what is none (S-4).
#[pg_extern(immutable, strict, parallel_safe)]
fn id18(id: &str) -> Option<String> {
    crm_salesforce::SALESFORCE.canonical_key(id)
}
