//! How the vendor's answer to a condition, an order or an aggregate compares with SQL's (Dynamics page 5.1).

use crm_core::{AggregateFunction, Capability, FieldFacts, Shape};

/// Which conditions the vendor answers with the same records, with more, or not at all.
pub(crate) fn capability(_field: &FieldFacts, _shape: Shape) -> Capability {
    Capability::No("conditions are not sent yet")
}

/// Whether the remote order of this field is PostgreSQL's.
pub(crate) fn sorts_alike(_field: &FieldFacts) -> bool {
    false
}

/// Whether the aggregate's answer is PostgreSQL's.
pub(crate) fn aggregates_alike(_function: AggregateFunction, _field: Option<&FieldFacts>) -> bool {
    false
}
