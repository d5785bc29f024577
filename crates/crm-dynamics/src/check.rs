//! What the description of a field says against a value, before a call is spent (spec X-4): the reject that the vendor
//! would give. Where its answer is not certain, nothing is said here and the CRM decides.

use crate::encode::{Wire, encode, no_such_choice, out_of_range};
use crate::reject::{INVALID_ARGUMENT, TOO_LONG, ours};
use crate::types::Kind;
use crm_core::{Conversion, ErrorKind, Plain, Reject, RemoteField, Value, WriteField, Zone};

/// Values of a multi-select column (Dynamics page 3.3).
const MOST_CHOICES: usize = 150;
/// Beyond this no decimal or floating-point column goes, whatever its description says.
const LARGEST_DECIMAL: &str = "100000000000";
/// The same for an amount of money.
const LARGEST_MONEY: &str = "922337203685477.5807";

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
    let kind = Kind::of(&field.remote_type);
    if field.identifier {
        return identifier(field, value);
    }
    let wire = match encode(&written, value, zone, &field.values) {
        Ok(wire) => wire,
        Err(reject) => return Some(*reject),
    };
    let unfit = match &wire {
        Wire::Null if field.required => return Some(missing(field)),
        Wire::Number(digits) => number(&written, kind, field.precision, digits),
        Wire::Choice(number) => unknown_choice(&written, field, std::slice::from_ref(number)),
        Wire::Choices(numbers) if numbers.len() > MOST_CHOICES => Some(too_many(&written)),
        Wire::Choices(numbers) => unknown_choice(&written, field, numbers),
        Wire::Text(text) => length(field, text),
        _ => None,
    };
    unfit.map(|reject| *reject)
}

/// An identifier that is none names no record.
fn identifier(field: &RemoteField, value: Option<&Value>) -> Option<Reject> {
    let text = value?.identifier().unwrap_or_default();
    if crate::ids::canonical(text.trim()).is_some() {
        return None;
    }
    let message = format!("\"{}\" is no identifier", crm_core::shortened(&text));
    let reject = ours(
        &crate::reject::DOES_NOT_EXIST,
        ErrorKind::RecordUnknown,
        message,
    );
    Some(reject.of_field(&field.name))
}

fn missing(field: &RemoteField) -> Reject {
    let message = format!("Attribute '{}' cannot be NULL", field.name);
    ours(&INVALID_ARGUMENT, ErrorKind::RequiredField, message).of_field(&field.name)
}

/// Characters are counted as the vendor's database does, in units of UTF-16.
fn length(field: &RemoteField, text: &str) -> Option<Box<Reject>> {
    let most = field.length?;
    text.encode_utf16().nth(most as usize)?;
    let message = format!(
        "The length of the '{}' attribute exceeded the maximum allowed length of '{most}': {}",
        field.name,
        crm_core::shortened(text)
    );
    let reject = ours(&TOO_LONG, ErrorKind::TextTooLong, message);
    Some(Box::new(reject.of_field(&field.name)))
}

fn number(
    field: &WriteField,
    kind: Kind,
    precision: Option<(u32, u32)>,
    digits: &str,
) -> Option<Box<Reject>> {
    let plain = Plain::parse(digits)?;
    let is_whole = plain.fraction.is_empty();
    let within = |low: i128, high: i128| {
        let floor = plain.floor();
        floor.is_some_and(|floor| (low..=high).contains(&floor))
    };
    let fits = match kind {
        Kind::Int => is_whole && within(i32::MIN.into(), i32::MAX.into()),
        Kind::BigInt => is_whole && within(i64::MIN.into(), i64::MAX.into()),
        Kind::Decimal | Kind::Double => !exceeds(&plain, LARGEST_DECIMAL),
        Kind::Money => !exceeds(&plain, LARGEST_MONEY),
        _ => true,
    };
    let n_whole = precision.map(|(digits, decimals)| digits.saturating_sub(decimals));
    let is_wider = n_whole.is_some_and(|most| plain.whole.len() > most as usize);
    (!fits || is_wider).then(|| out_of_range(field, digits))
}

/// Farther from zero than `largest`, a number in plain digits.
fn exceeds(plain: &Plain, largest: &str) -> bool {
    let (whole, fraction) = largest.split_once('.').unwrap_or((largest, ""));
    let by_length = plain.whole.len().cmp(&whole.len());
    let by_digits = plain.whole.as_str().cmp(whole);
    by_length
        .then(by_digits)
        .then(plain.fraction.as_str().cmp(fraction))
        .is_gt()
}

fn unknown_choice(
    written: &WriteField,
    field: &RemoteField,
    numbers: &[String],
) -> Option<Box<Reject>> {
    if !field.restricted || field.values.is_empty() {
        return None;
    }
    let is_known = |number: &&String| field.values.iter().any(|known| known.value == **number);
    let unknown = numbers.iter().find(|number| !is_known(number))?;
    Some(no_such_choice(written, unknown))
}

fn too_many(field: &WriteField) -> Box<Reject> {
    let message = format!("'{}' takes at most {MOST_CHOICES} options", field.name);
    let reject = ours(&INVALID_ARGUMENT, ErrorKind::ValidationRule, message);
    Box::new(reject.of_field(&field.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit;
    use crm_core::EnumerationValue;

    fn symbol(field: &RemoteField, value: Option<Value>) -> Option<String> {
        let reject = check_value(field, Conversion::Default, value.as_ref(), Zone::default())?;
        assert!(reject.message.contains('f'), "{reject:?}");
        assert_eq!(reject.fields, ["f"]);
        Some(reject.symbol)
    }

    fn text(text: &str) -> Option<Value> {
        Some(Value::Text(text.into()))
    }

    #[test]
    fn what_is_refused_and_what_is_not() {
        let field = |remote_type: &str| testkit::field("f", remote_type, None);
        let short = RemoteField {
            length: Some(5),
            ..field("StringType")
        };
        let must = RemoteField {
            required: true,
            ..short.clone()
        };
        let money = RemoteField {
            precision: Some((7, 2)),
            ..field("MoneyType")
        };
        let value = |value: &str, label: &str| EnumerationValue {
            value: value.into(),
            label: label.into(),
            active: true,
            is_default: false,
            controlling: None,
            variants: None,
        };
        let choice = RemoteField {
            restricted: true,
            values: vec![value("1", "One"), value("2", "Two")],
            ..field("PicklistType")
        };
        let choices = RemoteField {
            remote_type: "MultiSelectPicklistType".into(),
            ..choice.clone()
        };
        let id = RemoteField {
            identifier: true,
            ..field("UniqueidentifierType")
        };
        let numeric = |digits: &str| Some(Value::Numeric(digits.into()));
        let list = |numbers: &[i64]| {
            let numbers = numbers.iter().map(|number| Value::Int(*number));
            Some(Value::List(numbers.collect()))
        };
        let many: Vec<i64> = [1; 151].into();
        for (field, value, expected) in [
            (&short, text("12345"), None),
            (&short, text("123456"), Some("0x80044331")),
            (&short, text("😀😀"), None),
            (&short, text("😀😀😀"), Some("0x80044331")),
            (&short, None, None),
            (&must, None, Some("InvalidArgument")),
            (&must, text(""), Some("InvalidArgument")),
            (&money, numeric("-99999.99"), None),
            (&money, numeric("100000"), Some("0x80044330")),
            (&money, numeric("NaN"), Some("0x80044330")),
            (&field("MoneyType"), numeric("922337203685477.5807"), None),
            (
                &field("MoneyType"),
                numeric("-922337203685477.5808"),
                Some("0x80044330"),
            ),
            (&field("DecimalType"), numeric("100000000000"), None),
            (
                &field("DecimalType"),
                numeric("100000000000.1"),
                Some("0x80044330"),
            ),
            (&field("IntegerType"), Some(Value::Int(2_147_483_647)), None),
            (
                &field("IntegerType"),
                Some(Value::Int(2_147_483_648)),
                Some("0x80044330"),
            ),
            (&field("IntegerType"), numeric("1.5"), Some("0x80044330")),
            (&field("BigIntType"), Some(Value::Int(i64::MAX)), None),
            (&choice, Some(Value::Int(2)), None),
            (&choice, Some(Value::Int(3)), Some("0x80044330")),
            (&choice, text("two"), None),
            (&choice, text("Three"), Some("0x80044330")),
            (&choices, list(&[1, 2]), None),
            (&choices, list(&[1, 3]), Some("0x80044330")),
            (&choices, list(&many), Some("InvalidArgument")),
            (&choices, text("One; Two"), None),
            (&choices, text("One; Three"), Some("0x80044330")),
            (
                &field("LookupType"),
                text("6BA7B810-9DAD-11D1-80B4-00C04FD430C8"),
                None,
            ),
            (&field("LookupType"), text("f"), Some("InvalidArgument")),
            (&id, text("f"), Some("ObjectDoesNotExist")),
            (&id, Some(Value::Uuid([7; 16])), None),
            (
                &field("DateTimeType:UserLocal"),
                Some(Value::Instant(i64::MAX)),
                Some("0x80044330"),
            ),
            (
                &field("DateTimeType:DateOnly"),
                Some(Value::Date(-79_257)),
                None,
            ),
            (
                &field("DateTimeType:DateOnly"),
                Some(Value::Date(-79_258)),
                Some("0x80044330"),
            ),
            (
                &field("BooleanType"),
                Some(Value::Int(1)),
                Some("0x80048d19"),
            ),
            (&field("FileType"), text("x"), Some("0x80048d19")),
            (&field("HologramType"), text("anything"), None),
        ] {
            let told = symbol(field, value.clone());
            assert_eq!(told.as_deref(), expected, "{} {value:?}", field.remote_type);
        }
    }
}
