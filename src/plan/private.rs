//! What a plan carries: plain data, written as JSON into the plan node and copied with it.

use crm_core::{Aggregate, FieldFacts, Filter, Operand, Refusal, Sort};
use serde::{Deserialize, Serialize};

/// What became of one condition, for EXPLAIN (S-8).
/// Its text is made there from the plan's own conditions: no query can fail because of a note.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConditionNote {
    /// Something of it is sent.
    pub pushed: bool,
    /// It is checked here as well, or only here.
    pub checked: bool,
    /// Why.
    pub reasons: Vec<Refusal>,
}

/// One column a scan gives.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Output {
    /// Number of the local column; for an aggregate, its place in the result from 1.
    pub attribute: i16,
    /// Its field.
    pub facts: FieldFacts,
    /// Type of the local column, an identifier of the catalogs.
    pub type_oid: u32,
    /// Its modifier.
    pub type_modifier: i32,
}

/// A planned scan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScanPlan {
    /// The remote object.
    pub object: String,
    /// Its name in addresses, where the table says one.
    pub collection: Option<String>,
    /// Remote name of the record identifier.
    pub identifier: String,
    /// What is read.
    pub outputs: Vec<Output>,
    /// The fields that the filter names.
    pub filter_fields: Vec<FieldFacts>,
    /// What is sent as a filter.
    pub filter: Option<Filter<Operand>>,
    /// Records are fetched by these identifiers (S-4).
    pub lookup: Option<Operand>,
    /// The rows to be changed or deleted are these identifiers and nothing else is needed of them: nothing is read.
    pub trusts_identifiers: bool,
    /// The order asked of the CRM.
    pub sort: Vec<Sort>,
    /// At most so many records, if the filter turns out exact (S-7).
    pub limit: Option<u64>,
    /// Aggregates instead of records.
    pub aggregates: Vec<Aggregate>,
    /// Records a page, if limited.
    pub fetch_size: Option<u32>,
    /// A value that does not convert stops the statement.
    pub stop_at_reject: bool,
    /// Fewer records than announced is an error.
    pub stop_at_short_read: bool,
    /// What became of each condition: those sent exactly, in the order in which the plan keeps them, then those
    /// checked here, likewise.
    pub notes: Vec<ConditionNote>,
    /// The texts of the conditions, where the plan keeps no conditions: under an aggregate.
    pub texts: Vec<String>,
    /// Records the CRM is expected to return.
    pub estimated_rows: f64,
    /// Data calls expected.
    pub estimated_calls: f64,
}

impl ScanPlan {
    /// As text for a plan node.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a plan is plain data")
    }

    /// From a plan node.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).expect("a plan node carries what was written into it")
    }
}
