//! Fits the value of a condition to what the vendor can hold and OData can say (spec S-2.5).

use crm_core::{FieldFacts, Filter, Fit, Value};

/// Fits one comparison, list or pattern on `field`.
pub(crate) fn fit(_field: &FieldFacts, _filter: Filter<Value>) -> Fit {
    Fit::Unpushable("conditions are not sent yet")
}
