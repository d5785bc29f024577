//! What the description of a field says against a value, before a call is spent (spec X-4): the reject that Salesforce
//! would give. Where its answer is not certain, nothing is said here and the CRM decides.

use crate::encode::{Wire, encode};
use crate::ids;
use crm_core::Plain;
use crm_core::{
    Conversion, EnumerationValue, ErrorKind, Reject, RemoteField, Value, WriteField, Zone,
    shortened,
};

/// Length of an identifier; lookups to external objects hold other texts, which are longer.
const ID_LENGTH: u32 = 18;

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
    let wire = match encode(&written, value, zone) {
        Ok(wire) => wire,
        Err(reject) => return Some(*reject),
    };
    match &wire {
        // A field that is neither nullable nor required has a value of its own: what emptying it does is the CRM's.
        Wire::Null if field.required => Some(missing(field)),
        Wire::Null | Wire::Bool(_) => None,
        Wire::Number(digits) => number(field, digits),
        Wire::Text(value) => text(field, value),
    }
}

fn missing(field: &RemoteField) -> Reject {
    Reject::new(
        ErrorKind::RequiredField,
        "REQUIRED_FIELD_MISSING",
        format!("Required fields are missing: [{}]", field.name),
    )
    .of_field(&field.name)
}

fn number(field: &RemoteField, digits: &str) -> Option<Reject> {
    let plain = Plain::parse(digits)?;
    let remote_type = field.remote_type.to_ascii_lowercase();
    let fits = match remote_type.as_str() {
        "int" => is_within(&plain, i64::from(i32::MIN), i64::from(i32::MAX)),
        "long" => is_within(&plain, i64::MIN, i64::MAX),
        _ => true,
    };
    let n_whole = field
        .precision
        .map(|(digits, scale)| digits.saturating_sub(scale));
    let is_wider = n_whole.is_some_and(|most| plain.whole.len() > most as usize);
    (!fits || is_wider).then(|| {
        Reject::new(
            ErrorKind::NumberOutOfRange,
            "NUMBER_OUTSIDE_VALID_RANGE",
            format!(
                "{}: value outside of valid range on numeric field: {}",
                field.name,
                shortened(digits)
            ),
        )
        .of_field(&field.name)
    })
}

fn is_within(plain: &Plain, low: i64, high: i64) -> bool {
    let floor = plain.floor();
    floor.is_some_and(|floor| (i128::from(low)..=i128::from(high)).contains(&floor))
}

fn text(field: &RemoteField, value: &str) -> Option<Reject> {
    let remote_type = field.remote_type.to_ascii_lowercase();
    match remote_type.as_str() {
        "id" | "reference" => identifier(field, value),
        "picklist" if field.restricted => restricted(field, std::iter::once(value)),
        "multipicklist" if field.restricted => restricted(field, value.split(';')),
        "string" | "phone" | "email" | "url" | "combobox" | "encryptedstring" => {
            length(field, value)
        }
        // Of text with markup the CRM counts what is left when it has been cleaned.
        "textarea" if !value.contains('<') => length(field, value),
        // What is no number, date or truth value in a field of one is left to the CRM, which knows more forms.
        _ => None,
    }
}

/// Characters are counted generously: space around a text is cut off there, and one character here is at least one there.
fn length(field: &RemoteField, value: &str) -> Option<Reject> {
    let most = field.length?;
    let is_longer = value.trim().chars().nth(most as usize).is_some();
    is_longer.then(|| {
        Reject::new(
            ErrorKind::TextTooLong,
            "STRING_TOO_LONG",
            format!(
                "{}: data value too large: {} (max length={most})",
                field.name,
                shortened(value)
            ),
        )
        .of_field(&field.name)
    })
}

fn identifier(field: &RemoteField, value: &str) -> Option<Reject> {
    let is_external = field.references.iter().any(|name| name.ends_with("__x"))
        || field.length.is_some_and(|length| length > ID_LENGTH);
    if is_external || ids::canonical(value.trim()).is_some() {
        return None;
    }
    let reject = Reject::new(
        if field.identifier {
            ErrorKind::RecordUnknown
        } else {
            ErrorKind::LookupMissing
        },
        "MALFORMED_ID",
        format!(
            "{}: id value of incorrect type: {}",
            field.name,
            shortened(value)
        ),
    );
    Some(reject.of_field(&field.name))
}

/// Only values that the description does not have at all are refused: an inactive one may stay in a record that holds
/// it, and whether values are told apart by case, or found by label, is not documented.
fn restricted<'a>(field: &RemoteField, mut parts: impl Iterator<Item = &'a str>) -> Option<Reject> {
    if field.values.is_empty() {
        return None;
    }
    let is_known = |part: &str| {
        let is_it = |known: &EnumerationValue| {
            let part = part.trim().to_lowercase();
            known.value.to_lowercase() == part || known.label.to_lowercase() == part
        };
        part.trim().is_empty() || field.values.iter().any(is_it)
    };
    let bad = parts.find(|part| !is_known(part))?;
    Some(
        Reject::new(
            ErrorKind::ValidationRule,
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            format!(
                "{}: bad value for restricted picklist field: {}",
                field.name,
                shortened(bad)
            ),
        )
        .of_field(&field.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe;

    fn field(description: &str) -> RemoteField {
        let nillable = if description.contains("nillable") {
            ""
        } else {
            r#""nillable":true,"#
        };
        let body = format!(
            r#"{{"name":"X","fields":[{{"name":"F","createable":true,{nillable}{description}}}]}}"#
        );
        describe::object(body.as_bytes()).unwrap().fields.remove(0)
    }

    fn symbol(description: &str, value: Option<Value>) -> Option<String> {
        let field = field(description);
        let reject = check_value(&field, Conversion::Default, value.as_ref(), Zone::default())?;
        assert!(reject.message.contains("F"), "{reject:?}");
        assert_eq!(reject.fields, ["F"]);
        Some(reject.symbol)
    }

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.into()))
    }

    #[test]
    fn what_is_refused_and_what_is_not() {
        let short = r#""type":"string","length":5"#;
        let money = r#""type":"currency","precision":5,"scale":2"#;
        let whole = r#""type":"int","digits":8"#;
        let list = r#""type":"picklist","restrictedPicklist":true,"picklistValues":[
            {"value":"A","label":"Alpha","active":true},{"value":"Old","label":"Old","active":false}]"#;
        let open = r#""type":"picklist","picklistValues":[{"value":"A","active":true}]"#;
        let several = list.replace("\"picklist\"", "\"multipicklist\"");
        let numeric = |digits: &str| Some(Value::Numeric(digits.into()));
        for (description, value, expected) in [
            (short, text("12345"), None),
            (short, text("123456"), Some("STRING_TOO_LONG")),
            (short, text(" 12345\n"), None),
            (short, text("😀😀😀😀😀"), None),
            (short, text("ééééée"), Some("STRING_TOO_LONG")),
            (short, Some(Value::Int(123_456)), Some("STRING_TOO_LONG")),
            (r#""type":"textarea","length":5"#, text("<b>x</b>"), None),
            (
                r#""type":"textarea","length":5"#,
                text("123456"),
                Some("STRING_TOO_LONG"),
            ),
            (money, numeric("999.994"), None),
            (money, numeric("-999"), None),
            (money, numeric("1000"), Some("NUMBER_OUTSIDE_VALID_RANGE")),
            (money, numeric("NaN"), Some("NUMBER_OUTSIDE_VALID_RANGE")),
            (whole, Some(Value::Int(99_999_999)), None),
            (
                whole,
                Some(Value::Int(100_000_000)),
                Some("NUMBER_OUTSIDE_VALID_RANGE"),
            ),
            (
                r#""type":"int""#,
                Some(Value::Int(2_147_483_648)),
                Some("NUMBER_OUTSIDE_VALID_RANGE"),
            ),
            (r#""type":"int""#, Some(Value::Int(-2_147_483_648)), None),
            (r#""type":"long""#, Some(Value::Int(i64::MAX)), None),
            (
                r#""type":"long""#,
                numeric("9223372036854775808"),
                Some("NUMBER_OUTSIDE_VALID_RANGE"),
            ),
            (list, text("A"), None),
            (list, text("alpha"), None),
            (list, text("Old"), None),
            (
                list,
                text("B"),
                Some("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
            ),
            (list, None, None),
            (open, text("B"), None),
            (several.as_str(), text("A;Old"), None),
            (
                several.as_str(),
                text("A;B"),
                Some("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
            ),
            (
                several.as_str(),
                Some(Value::List(vec![Value::Text("B".into())])),
                Some("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
            ),
            (
                r#""type":"reference","length":18"#,
                text("001D000000IqhSL"),
                None,
            ),
            (
                r#""type":"reference","length":18"#,
                text("no id"),
                Some("MALFORMED_ID"),
            ),
            (
                r#""type":"reference","length":18,"referenceTo":["Y__x"]"#,
                text("any key"),
                None,
            ),
            (
                r#""type":"datetime""#,
                Some(Value::Instant(i64::MAX)),
                Some("FIELD_INTEGRITY_EXCEPTION"),
            ),
            (
                r#""type":"address""#,
                Some(Value::Json("{}".into())),
                Some("INVALID_FIELD_FOR_INSERT_UPDATE"),
            ),
            (
                r#""type":"boolean","nillable":false"#,
                None,
                Some("REQUIRED_FIELD_MISSING"),
            ),
            (
                r#""type":"boolean","nillable":false,"defaultedOnCreate":true"#,
                None,
                None,
            ),
            (
                r#""type":"string","nillable":false"#,
                text(""),
                Some("REQUIRED_FIELD_MISSING"),
            ),
            (r#""type":"hologram""#, text("anything"), None),
        ] {
            let symbol = symbol(description, value.clone());
            assert_eq!(symbol.as_deref(), expected, "{description} {value:?}");
        }
    }

    #[test]
    fn a_raw_value_is_checked_as_what_it_will_be() {
        let field = field(r#""type":"double","precision":3,"scale":0"#);
        let check = |raw: &str| {
            let value = Value::Text(raw.into());
            check_value(&field, Conversion::CopyPaste, Some(&value), Zone::default())
        };
        assert!(check("999").is_none() && check("abc").is_none());
        assert_eq!(check("1e3").unwrap().kind, ErrorKind::NumberOutOfRange);
    }
}
