//! Texts and numbers of JSON, for bodies that are written without a tree for each record.

use std::fmt::Write;

/// Appends a text to a document, quoted.
pub fn push_text(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{0}'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(character));
            }
            plain => json.push(plain),
        }
    }
    json.push('"');
}

/// The text is a number by JSON's own grammar: sign, digits without leading zeros, fraction, exponent (RFC 8259,
/// section 6).
pub fn is_number(text: &str) -> bool {
    let text = text.as_bytes();
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let n_whole = digits(unsigned);
    if n_whole == 0 || (n_whole > 1 && unsigned[0] == b'0') {
        return false;
    }
    let mut rest = &unsigned[n_whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n_fraction = digits(fraction);
        if n_fraction == 0 {
            return false;
        }
        rest = &fraction[n_fraction..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        let n_exponent = digits(exponent);
        return n_exponent > 0 && n_exponent == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back_as_they_were() {
        for text in [
            "",
            "a \"b\" \\ c",
            "\n\r\t\u{0}\u{1f}\u{7f}",
            "ünï😀\u{2028}",
        ] {
            let mut json = String::new();
            push_text(text, &mut json);
            let read: String = serde_json::from_str(&json).unwrap();
            assert_eq!(read, text);
            assert!(!json.contains('\n') && !json.contains('\r'));
        }
    }

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "10", "1.50", "-0.1e5", "1E+2"] {
            assert!(is_number(text), "{text}");
        }
        for text in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "NaN", "1 ", "0x1",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
