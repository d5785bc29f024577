//! What the description of a field says against a value, before a call is spent (spec X-4). The service stores nothing
//! in place of a value it cannot read, so that its type is checked here or nowhere (Oracle page 3.7).

use crate::encode::{encode, with_code};
use crate::kind::FieldKind as Kind;
use crate::tags::is_row_id;
use crm_core::{
    Conversion, ErrorKind, Plain, Reject, RemoteField, Value, WriteField, Zone, shortened,
};

/// The vendor's codes for what is refused here.
const TOO_LONG: &str = "SBL-DAT-00235";
const NOT_LISTED: &str = "SBL-DAT-00225";
const NOT_FOUND: &str = "SBL-EAI-04378";

/// What stands against `value`; an absent one empties the field.
pub(crate) fn check_value(
    field: &RemoteField,
    conversion: Conversion,
    value: Option<&Value>,
    zone: Zone,
) -> Option<Reject> {
    let written = WriteField {
        name: field.name.clone(),
        remote_type: field.remote_type.clone(),
        conversion,
    };
    let text = match encode(&written, value, zone) {
        Ok(Some(text)) => text,
        // Required fields are checked when a record is made, not when it is changed (Oracle page 6.2).
        Ok(None) => return None,
        Err(reject) => return Some(*reject),
    };
    if field.identifier && !is_row_id(&text) {
        return Some(unknown_record(&field.name, &text));
    }
    match Kind::of_word(&field.remote_type) {
        Kind::Decimal => too_many_digits(field, &text),
        Kind::Picklist => {
            unlisted(field, std::iter::once(text.as_str())).or_else(|| too_long(field, &text))
        }
        Kind::MultiPicklist => unlisted(field, text.split(';')).or_else(|| too_long(field, &text)),
        Kind::Boolean | Kind::Int | Kind::Date | Kind::Instant | Kind::Time => None,
        _ => too_long(field, &text),
    }
}

/// No record has this identifier: the reject for a text that can be none.
pub(crate) fn unknown_record(name: &str, text: &str) -> Reject {
    *with_code(
        NOT_FOUND,
        name,
        ErrorKind::RecordUnknown,
        format!("\"{}\" is the identifier of no record", shortened(text)),
    )
}

fn too_long(field: &RemoteField, text: &str) -> Option<Reject> {
    let most = field.length?;
    let is_longer = text.chars().nth(most as usize).is_some();
    is_longer.then(|| {
        *with_code(
            TOO_LONG,
            &field.name,
            ErrorKind::TextTooLong,
            format!(
                "the value is longer than {most} characters: {}",
                shortened(text)
            ),
        )
    })
}

fn too_many_digits(field: &RemoteField, digits: &str) -> Option<Reject> {
    let (total, scale) = field.precision?;
    let most = total.saturating_sub(scale) as usize;
    let plain = Plain::parse(digits)?;
    (plain.whole.len() > most).then(|| {
        *with_code(
            crate::encode::BAD_VALUE,
            &field.name,
            ErrorKind::NumberOutOfRange,
            format!(
                "{} has more than {most} digits before the point",
                shortened(digits)
            ),
        )
    })
}

/// Values that the list does not have at all are refused; a disabled one may stay in a record that holds it.
fn unlisted<'a>(field: &RemoteField, mut codes: impl Iterator<Item = &'a str>) -> Option<Reject> {
    if !field.restricted || field.values.is_empty() {
        return None;
    }
    let is_known = |code: &str| field.values.iter().any(|known| known.value == code);
    let bad = codes.find(|code| !is_known(code))?;
    Some(*with_code(
        NOT_LISTED,
        &field.name,
        ErrorKind::ValidationRule,
        format!("\"{}\" is not in the picklist", shortened(bad)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{ColumnType, EnumerationValue};

    fn field(remote_type: &str) -> RemoteField {
        RemoteField {
            name: "F".into(),
            label: "F".into(),
            remote_type: remote_type.into(),
            column_type: Some(ColumnType::Text),
            length: Some(5),
            precision: Some((6, 2)),
            nullable: true,
            creatable: true,
            updatable: true,
            required: false,
            filterable: true,
            sortable: true,
            case_sensitive: true,
            external_key: false,
            identifier: false,
            modification_stamp: false,
            computed: false,
            enumeration: None,
            restricted: true,
            values: [("A", true), ("Old", false)]
                .map(|(value, active)| EnumerationValue {
                    value: value.into(),
                    label: value.into(),
                    active,
                    is_default: false,
                    controlling: None,
                    variants: None,
                })
                .to_vec(),
            references: Vec::new(),
        }
    }

    fn refused(field: &RemoteField, value: &Value) -> Option<(String, ErrorKind)> {
        let reject = check_value(field, Conversion::Default, Some(value), Zone::default())?;
        assert_eq!(reject.fields, ["F"]);
        Some((reject.word().to_owned(), reject.kind))
    }

    #[test]
    fn what_is_refused_and_what_is_not() {
        let text = |text: &str| Value::Text(text.into());
        for (remote_type, value, expected) in [
            ("Text (Short)", text("ééééé"), None),
            ("Text (Short)", text("éééééé"), Some(TOO_LONG)),
            ("Number", Value::Numeric("9999.999".into()), None),
            (
                "Number",
                Value::Numeric("10000".into()),
                Some(crate::encode::BAD_VALUE),
            ),
            (
                "Integer",
                Value::Int(9_000_000_000),
                Some(crate::encode::BAD_VALUE),
            ),
            ("Picklist", text("A"), None),
            ("Picklist", text("Old"), None),
            ("Picklist", text("B"), Some(NOT_LISTED)),
            ("Multi-Select Picklist", text("A;Old"), None),
            ("Multi-Select Picklist", text("A;B"), Some(NOT_LISTED)),
            ("Checkbox", text("maybe"), Some(crate::encode::BAD_VALUE)),
        ] {
            let word = refused(&field(remote_type), &value).map(|(word, _)| word);
            assert_eq!(word.as_deref(), expected, "{remote_type} {value:?}");
        }
        let mut open = field("Picklist");
        open.restricted = false;
        assert_eq!(refused(&open, &text("B")), None);
    }

    #[test]
    fn identifiers_are_row_ids() {
        let mut id = field("ID");
        id.identifier = true;
        id.length = Some(15);
        assert_eq!(refused(&id, &Value::Text("1QA2-21SEFX".into())), None);
        assert_eq!(
            refused(&id, &Value::Text("no id".into())),
            Some((NOT_FOUND.into(), ErrorKind::RecordUnknown))
        );
        assert_eq!(
            check_value(&id, Conversion::Default, None, Zone::default()),
            None
        );
    }
}
