//! Writes elements in the form that Canonical XML gives them: what is written can be signed as it stands.

use crm_core::{Error, ErrorKind, Result};
use std::borrow::Cow;

/// A document in the making. Names are not checked: they are the program's own, or have been; values are
/// escaped.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    text: String,
    open: Vec<Cow<'static, str>>,
    refused: Option<char>,
}

impl Writer {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens an element. Attributes are written in the order given: where canonical form matters, namespace
    /// declarations come first, sorted by prefix, then attributes by namespace and name.
    pub fn open(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        attributes: &[(&str, &str)],
    ) -> &mut Self {
        let name = name.into();
        self.text.push('<');
        self.text.push_str(&name);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escape(value, true);
            self.text.push('"');
        }
        self.text.push('>');
        self.open.push(name);
        self
    }

    /// Closes the innermost open element.
    pub fn close(&mut self) -> &mut Self {
        if let Some(name) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(&name);
            self.text.push('>');
        }
        self
    }

    /// Writes text into the innermost open element.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.escape(text, false);
        self
    }

    /// Writes an element that holds nothing but text.
    pub fn leaf(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        attributes: &[(&str, &str)],
        text: &str,
    ) -> &mut Self {
        self.open(name, attributes).text(text).close()
    }

    /// Writes XML that is well-formed already: what another writer finished, or a reader gave as it was written.
    pub fn raw(&mut self, xml: &str) -> &mut Self {
        self.text.push_str(xml);
        self
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether XML can carry every character of `text`.
    pub fn can_carry(text: &str) -> bool {
        text.chars().all(is_allowed)
    }

    /// The document, its open elements closed.
    ///
    /// # Errors
    /// [`ErrorKind::ValidationRule`] when a value held a character that XML cannot carry, such as a control character.
    pub fn finish(mut self) -> Result<String> {
        while !self.open.is_empty() {
            self.close();
        }
        match self.refused {
            None => Ok(self.text),
            Some(character) => Err(Error::new(
                ErrorKind::ValidationRule,
                format!(
                    "cannot send the character U+{:04X}: XML has no place for it",
                    u32::from(character)
                ),
            )),
        }
    }

    fn escape(&mut self, value: &str, in_attribute: bool) {
        let mut written = 0;
        for (at, character) in value.char_indices() {
            let replacement = match character {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' if !in_attribute => "&gt;",
                '"' if in_attribute => "&quot;",
                '\t' if in_attribute => "&#x9;",
                '\n' if in_attribute => "&#xA;",
                // Readers turn a bare one into a line feed.
                '\r' => "&#xD;",
                character if is_allowed(character) => continue,
                character => {
                    self.refused.get_or_insert(character);
                    continue;
                }
            };
            self.text.push_str(&value[written..at]);
            self.text.push_str(replacement);
            written = at + character.len_utf8();
        }
        self.text.push_str(&value[written..]);
    }
}

fn is_allowed(character: char) -> bool {
    !matches!(character, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reader;
    use proptest::prelude::*;

    #[test]
    fn elements_stand_in_canonical_form() {
        let mut writer = Writer::new();
        writer.open("a", &[("xmlns:b", "urn:x"), ("q", "1\"<&>\t\n\r'")]);
        writer.leaf("b:c", &[], "<&>\"'\t\n\r").leaf("d", &[], "");
        assert_eq!(
            writer.finish().unwrap(),
            "<a xmlns:b=\"urn:x\" q=\"1&quot;&lt;&amp;>&#x9;&#xA;&#xD;'\">\
             <b:c>&lt;&amp;&gt;\"'\t\n&#xD;</b:c><d></d></a>"
        );
    }

    #[test]
    fn a_character_that_xml_cannot_carry_is_refused() {
        for bad in ["\0", "a\u{1}b", "\u{b}", "\u{fffe}"] {
            let mut writer = Writer::new();
            writer.leaf("a", &[], bad);
            assert_eq!(
                writer.finish().unwrap_err().kind(),
                ErrorKind::ValidationRule
            );
            assert!(!Writer::can_carry(bad));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(attribute in "\\PC*", text in any::<String>()) {
            let mut writer = Writer::new();
            writer.open("a", &[("b", &attribute)]).text(&text);
            match writer.finish() {
                Ok(document) => {
                    let mut reader = Reader::new(document.as_bytes()).unwrap();
                    prop_assert!(reader.child().unwrap());
                    prop_assert_eq!(reader.attribute("", "b").unwrap().unwrap(), attribute);
                    prop_assert_eq!(reader.text().unwrap(), text);
                    prop_assert!(!reader.child().unwrap());
                }
                Err(_) => prop_assert!(!Writer::can_carry(&text) || !Writer::can_carry(&attribute)),
            }
        }
    }
}
