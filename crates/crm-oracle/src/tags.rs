//! Names as they stand in messages: tags of objects and fields, and row identifiers.

use crm_core::{Error, ErrorKind, Result, shortened};

/// Longer names are none.
const LONGEST: usize = 128;

/// The object's name, if it can be a tag.
///
/// # Errors
/// [`ErrorKind::ObjectUnknown`] for anything else.
pub(crate) fn object(name: &str) -> Result<&str> {
    if is_tag(name) {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::ObjectUnknown,
        format!("\"{}\" is not the name of an object", shortened(name)),
    ))
}

/// The field's name, if it can be a tag.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] for anything else.
pub(crate) fn field(name: &str) -> Result<&str> {
    if is_tag(name) {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::FieldUnknown,
        format!("\"{}\" is not the name of a field", shortened(name)),
    )
    .with_hint("If the field was renamed in the CRM, import the foreign table again."))
}

/// The text can be a row identifier such as `1QA2-34ISOM` (Oracle page 3.6).
pub(crate) fn is_row_id(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=30).contains(&text.len()) && text.bytes().all(is_plain)
}

/// A letter, then letters, digits, underscores and hyphens: what every tag of the vendor is made of.
fn is_tag(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    name.len() <= LONGEST
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_not_sent() {
        for good in ["Id", "CustomText0", "plCustomer_Tier"] {
            assert!(field(good).is_ok() && object(good).is_ok());
        }
        for bad in ["", "1x", "a b", "a><b", "a:b", "Näme", "a\"b", "a.b", "a'b"] {
            assert_eq!(field(bad).unwrap_err().kind(), ErrorKind::FieldUnknown);
            assert_eq!(object(bad).unwrap_err().kind(), ErrorKind::ObjectUnknown);
        }
        assert!(is_row_id("1QA2-34ISOM"));
        for bad in ["", "no id", "a'b", "ä", "1234567890123456789012345678901"] {
            assert!(!is_row_id(bad), "{bad}");
        }
    }
}
