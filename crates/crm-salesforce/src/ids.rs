//! Record identifiers: 15 characters that tell upper from lower case, or 18 with a check that survives its loss.
//! Salesforce takes both and writes the long form (Salesforce page, trap 3).

use crm_core::KeyForm;

/// The suffix's alphabet: each character says which of five others are upper case.
const SUFFIX: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character form of an identifier in either form, or in the long form with its case lost.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let mut id = match bytes.len() {
        15 => bytes.to_vec(),
        18 => restored(&bytes[..15], &bytes[15..])?,
        _ => return None,
    };
    let suffix = suffix_of(&id);
    id.extend_from_slice(&suffix);
    String::from_utf8(id).ok()
}

/// What a text is as an identifier.
pub(crate) fn form(text: &str) -> KeyForm {
    match canonical(text) {
        Some(canonical) if canonical == text => KeyForm::Canonical,
        Some(_) => KeyForm::Variant,
        None => KeyForm::Invalid,
    }
}

fn suffix_of(id: &[u8]) -> [u8; 3] {
    let mut suffix = [0; 3];
    for (chunk, character) in id.chunks(5).zip(&mut suffix) {
        let mask = chunk
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase())
            .fold(0, |mask, (at, _)| mask | 1 << at);
        *character = SUFFIX[mask];
    }
    suffix
}

/// The 15 characters in the case that the suffix tells; nothing when it tells of a digit in upper case.
fn restored(id: &[u8], suffix: &[u8]) -> Option<Vec<u8>> {
    let mut restored = Vec::with_capacity(18);
    for (chunk, character) in id.chunks(5).zip(suffix) {
        let mask = SUFFIX
            .iter()
            .position(|known| *known == character.to_ascii_uppercase())?;
        for (at, byte) in chunk.iter().enumerate() {
            let is_upper = mask & 1 << at != 0;
            match (is_upper, byte.is_ascii_digit()) {
                (true, true) => return None,
                (true, false) => restored.push(byte.to_ascii_uppercase()),
                (false, _) => restored.push(byte.to_ascii_lowercase()),
            }
        }
    }
    let is_lost = !id.iter().any(u8::is_ascii_uppercase) || !id.iter().any(u8::is_ascii_lowercase);
    // A mixture that contradicts the check is a typing error, not a lost case.
    (is_lost || restored == id).then_some(restored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_in_every_form() {
        for (text, expected, expected_form) in [
            (
                "001D000000IqhSL",
                Some("001D000000IqhSLIAZ"),
                KeyForm::Variant,
            ),
            (
                "001D000000IqhSLIAZ",
                Some("001D000000IqhSLIAZ"),
                KeyForm::Canonical,
            ),
            (
                "001d000000iqhsliaz",
                Some("001D000000IqhSLIAZ"),
                KeyForm::Variant,
            ),
            ("001D000000IqhSLIAA", None, KeyForm::Invalid),
            (
                "001D000000IQHSLIAZ",
                Some("001D000000IqhSLIAZ"),
                KeyForm::Variant,
            ),
            (
                "a00E0000004D5lsIAC",
                Some("a00E0000004D5lsIAC"),
                KeyForm::Canonical,
            ),
            (
                "000000000000000AAA",
                Some("000000000000000AAA"),
                KeyForm::Canonical,
            ),
            ("000000000000000BAA", None, KeyForm::Invalid),
            ("001D000000IqhSL9AZ", None, KeyForm::Invalid),
            ("001D000000Iqh'L", None, KeyForm::Invalid),
            ("001D000000IqhÄL", None, KeyForm::Invalid),
            ("001D", None, KeyForm::Invalid),
            ("", None, KeyForm::Invalid),
        ] {
            assert_eq!(canonical(text).as_deref(), expected, "{text}");
            assert_eq!(form(text), expected_form, "{text}");
        }
    }
}
