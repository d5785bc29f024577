//! What the metadata says against a value, before a call is spent.

use crm_core::{Conversion, Reject, RemoteField, Value, Zone};

/// The reject that the vendor would give, if any.
pub(crate) fn check_value(
    _field: &RemoteField,
    _conversion: Conversion,
    _value: Option<&Value>,
    _zone: Zone,
) -> Option<Reject> {
    None
}
