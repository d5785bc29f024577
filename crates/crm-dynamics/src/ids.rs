//! Record identifiers: GUIDs, which the vendor takes in any case and form and writes in one.

use crm_core::{KeyForm, parse_uuid, uuid_text};

/// The form that the vendor writes: lower case with hyphens.
pub(crate) fn canonical(text: &str) -> Option<String> {
    parse_uuid(text).map(|bytes| uuid_text(&bytes))
}

/// What a text is as an identifier.
pub(crate) fn form(text: &str) -> KeyForm {
    match canonical(text) {
        Some(canonical) if canonical == text => KeyForm::Canonical,
        Some(_) => KeyForm::Variant,
        None => KeyForm::Invalid,
    }
}
