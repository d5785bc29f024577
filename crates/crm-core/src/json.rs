//! Steps over the text of a JSON value, from member to member, as strict as a parser and without building anything.
//!
//! What is rare (objects and lists as values, texts with escapes) is left to `serde_json`; what is frequent (keys, texts,
//! numbers) is read here, because a page has a hundred thousand of them.

use crate::error::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

mod writing;

pub use writing::{is_number, push_text};

/// Documents nested deeper are no data: PostgreSQL's own parser would give up on them.
pub const DEEPEST: usize = 200;

/// One value, as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Token<'a> {
    /// A text without escapes, without its quotes.
    Text(&'a str),
    /// A text with a backslash in it, in its quotes: what stands behind the backslash is still to be judged.
    Escaped(&'a str),
    /// An object or list.
    Nested(&'a str),
    /// A number, `true`, `false` or `null`.
    Bare(&'a str),
}

/// A place in the text.
#[derive(Debug)]
pub struct Walk<'a> {
    text: &'a str,
    at: usize,
    /// A member has just been taken, so a comma or the end must follow.
    is_behind_member: bool,
}

impl<'a> Walk<'a> {
    /// At the beginning of a value.
    pub fn new(text: &'a str) -> Self {
        let mut walk = Self {
            text,
            at: 0,
            is_behind_member: false,
        };
        walk.skip_space();
        walk
    }

    /// What is still to be walked.
    pub fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Steps into an object.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub fn open_object(&mut self) -> Result<()> {
        self.open(b'{')
    }

    /// Steps into a list.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub fn open_list(&mut self) -> Result<()> {
        self.open(b'[')
    }

    /// Whether another member follows in the object stepped into; steps out of it if not.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when neither follows.
    #[inline]
    pub fn has_key(&mut self) -> Result<bool> {
        self.has_more(b'}')
    }

    /// Whether another element follows in the list stepped into; steps out of it if not.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when neither follows.
    pub fn has_element(&mut self) -> Result<bool> {
        self.has_more(b']')
    }

    /// Takes the next key if it is this one, written without escapes.
    #[inline]
    pub fn take_key(&mut self, name: &str) -> Result<bool> {
        let rest = &self.text.as_bytes()[self.at..];
        let end = name.len() + 1;
        if rest.len() <= end || rest[0] != b'"' || rest[end] != b'"' {
            return Ok(false);
        }
        if &rest[1..end] != name.as_bytes() {
            return Ok(false);
        }
        self.at += end + 1;
        self.take_colon()?;
        Ok(true)
    }

    /// Takes the next key, whatever it is.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub fn key(&mut self) -> Result<Cow<'a, str>> {
        if self.peek() != b'"' {
            return Err(self.unexpected());
        }
        let key = match self.value()? {
            Token::Text(key) => Cow::Borrowed(key),
            // Half a surrogate pair is no text, and so the name of nothing.
            Token::Escaped(quoted) => Cow::Owned(unescaped(quoted)?.unwrap_or_default()),
            Token::Nested(_) | Token::Bare(_) => return Err(self.unexpected()),
        };
        self.take_colon()?;
        Ok(key)
    }

    /// Takes a null, if it is one.
    pub fn take_null(&mut self) -> bool {
        let rest = &self.text.as_bytes()[self.at..];
        let is_null = rest.starts_with(b"null") && rest.get(4).is_none_or(|byte| is_end(*byte));
        if is_null {
            self.at += 4;
            self.end_value();
        }
        is_null
    }

    /// Takes the next value.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    #[inline]
    pub fn value(&mut self) -> Result<Token<'a>> {
        let token = match self.peek() {
            b'"' => self.string()?,
            b'{' | b'[' => Token::Nested(self.whole_value()?),
            _ => Token::Bare(self.bare()?),
        };
        self.end_value();
        Ok(token)
    }

    /// Takes the next value, which nobody asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub fn skip_value(&mut self) -> Result<()> {
        match self.value()? {
            Token::Escaped(quoted) => unescaped(quoted).map(|_| ()),
            Token::Text(_) | Token::Nested(_) | Token::Bare(_) => Ok(()),
        }
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when something does.
    pub fn finish(&self) -> Result<()> {
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// The reply has another shape than wanted, here.
    pub fn unexpected(&self) -> Error {
        let message = if self.at >= self.text.len() {
            "the reply ends too early"
        } else {
            "the reply is not what was asked for"
        };
        Error::new(ErrorKind::Undecodable, message).with_detail(format!("JSON byte {}", self.at))
    }

    fn open(&mut self, bracket: u8) -> Result<()> {
        if self.peek() != bracket {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip_space();
        self.is_behind_member = false;
        Ok(())
    }

    #[inline]
    fn has_more(&mut self, end: u8) -> Result<bool> {
        let next = self.peek();
        if next == end {
            self.at += 1;
            self.end_value();
            return Ok(false);
        }
        if self.is_behind_member {
            if next != b',' {
                return Err(self.unexpected());
            }
            self.at += 1;
            self.skip_space();
            self.is_behind_member = false;
            if self.peek() == end {
                return Err(self.unexpected());
            }
        }
        Ok(true)
    }

    #[inline]
    fn string(&mut self) -> Result<Token<'a>> {
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let length = plain_length(rest);
        match rest.get(length) {
            Some(b'"') => {
                self.at = start + length + 1;
                Ok(Token::Text(&self.text[start..start + length]))
            }
            Some(b'\\') => self.escaped(length),
            // A control character, or the end.
            _ => {
                self.at = start + length;
                Err(self.unexpected())
            }
        }
    }

    /// A string whose first backslash is at `length`.
    fn escaped(&mut self, mut length: usize) -> Result<Token<'a>> {
        let (quote, start) = (self.at, self.at + 1);
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(start + length) {
                // It and what it escapes, which may be a quote.
                Some(b'\\') => length += 2,
                Some(b'"') => break,
                _ => {
                    self.at = bytes.len().min(start + length);
                    return Err(self.unexpected());
                }
            }
            length += plain_length(bytes.get(start + length..).unwrap_or_default());
        }
        self.at = start + length + 1;
        Ok(Token::Escaped(&self.text[quote..self.at]))
    }

    fn bare(&mut self) -> Result<&'a str> {
        let bytes = &self.text.as_bytes()[self.at..];
        let length = bytes.iter().position(|byte| is_end(*byte));
        let bare = &self.text[self.at..self.at + length.unwrap_or(bytes.len())];
        if !matches!(bare, "null" | "true" | "false") && !is_number(bare) {
            return Err(self.unexpected());
        }
        self.at += bare.len();
        Ok(bare)
    }

    /// Takes one value as `serde_json` reads it.
    fn whole_value(&mut self) -> Result<&'a str> {
        let rest = &self.text[self.at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        match values.next() {
            Some(Ok(_)) => {
                let value = &rest[..values.byte_offset()];
                self.at += value.len();
                Ok(value)
            }
            Some(Err(fault)) => Err(undecodable(&fault)),
            None => Err(self.unexpected()),
        }
    }

    #[inline]
    fn end_value(&mut self) {
        self.skip_space();
        self.is_behind_member = true;
    }

    /// The next byte; behind the end there is none, which is no part of JSON.
    #[inline]
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&mut self) {
        while is_space(self.peek()) {
            self.at += 1;
        }
    }

    #[inline]
    fn take_colon(&mut self) -> Result<()> {
        self.skip_space();
        if self.peek() != b':' {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }
}

/// Reads a reply that is not a page of records; `what` names it for the user.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it is something else.
pub fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T> {
    if is_markup(body) {
        return Err(not_json(what));
    }
    serde_json::from_slice(body).map_err(|fault| undecodable(&fault))
}

/// The text of a reply that should hold `what` as JSON.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it is markup or not UTF-8.
pub fn text_of<'a>(body: &'a [u8], what: &str) -> Result<&'a str> {
    if is_markup(body) {
        return Err(not_json(what));
    }
    std::str::from_utf8(body).map_err(|fault| {
        Error::new(ErrorKind::Undecodable, "the reply is not UTF-8")
            .with_detail(format!("The first bad byte is at {}.", fault.valid_up_to()))
    })
}

/// The body looks like HTML or XML.
pub fn is_markup(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<')
}

/// The error for a body that is not what was asked for: a sign-in page, a proxy's message.
pub fn not_json(what: &str) -> Error {
    Error::new(
        ErrorKind::Undecodable,
        format!("the reply is a page for people instead of {what}"),
    )
    .with_hint("A proxy or a sign-in page may have answered in the CRM's place. Check the server options url and proxy.")
}

/// Says where a reply breaks, never what it holds.
pub fn undecodable(fault: &serde_json::Error) -> Error {
    use serde_json::error::Category;
    let message = match fault.classify() {
        Category::Eof => "the reply ends too early",
        Category::Syntax => "the reply is broken",
        Category::Data | Category::Io => "the reply is not what was asked for",
    };
    Error::new(ErrorKind::Undecodable, message).with_detail(format!(
        "JSON line {}, column {}",
        fault.line(),
        fault.column()
    ))
}

/// The text that a string with escapes stands for; nothing where it holds half a surrogate pair, which JSON allows and
/// text does not.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when an escape is none.
pub fn unescaped(quoted: &str) -> Result<Option<String>> {
    match serde_json::from_str(quoted) {
        Ok(text) => Ok(Some(text)),
        Err(_) => serde_json::from_str::<IgnoredAny>(quoted)
            .map(|_| None)
            .map_err(|fault| undecodable(&fault)),
    }
}

/// How deep a value is nested; the value is known to be JSON.
pub fn depth_of(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    deepest
}

/// How many bytes come before a quote, a backslash or a control character.
#[inline]
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let (words, _) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let controls = word.wrapping_sub(ONES * 0x20) & !word;
        let quotes = has_zero(word ^ (ONES * u64::from(b'"')));
        let backslashes = has_zero(word ^ (ONES * u64::from(b'\\')));
        // Bytes above the lowest one marked may be marked in error, the lowest never.
        let marks = (controls | quotes | backslashes) & HIGHS;
        if marks != 0 {
            return at * 8 + marks.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    let start = words.len() * 8;
    let rest = &bytes[start..];
    start + rest.iter().position(is_special).unwrap_or(rest.len())
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']') || is_space(byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_as_they_are_written() {
        for (text, expected) in [
            (r#" "a" "#, Token::Text("a")),
            (r#""""#, Token::Text("")),
            (r#""a\"b""#, Token::Escaped(r#""a\"b""#)),
            (r#""\\""#, Token::Escaped(r#""\\""#)),
            (" -1.50e3 ", Token::Bare("-1.50e3")),
            ("null", Token::Bare("null")),
            (r#"{"a]":["}",{}]} "#, Token::Nested(r#"{"a]":["}",{}]}"#)),
        ] {
            let mut walk = Walk::new(text);
            assert_eq!(walk.value().unwrap(), expected, "{text}");
            walk.finish().unwrap();
        }
        assert_eq!(depth_of(r#"{"a]":["}",{}]}"#), 3);
    }

    #[test]
    fn plain_lengths_around_words() {
        for before in 0..20 {
            for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
                for filler in [b'a', b' ', 0x7f, b'!', b'#', b'[', b']', 0x80, 0xff] {
                    let mut bytes = vec![filler; before];
                    assert_eq!(plain_length(&bytes), before);
                    bytes.push(special);
                    bytes.extend([filler; 9]);
                    assert_eq!(plain_length(&bytes), before, "{special} in {filler}");
                }
            }
        }
    }

    /// Reads a value by walking, down to its leaves.
    fn read(text: &str) -> Result<serde_json::Value> {
        let mut walk = Walk::new(text);
        let value = match walk.peek() {
            b'{' => {
                let mut map = serde_json::Map::new();
                walk.open_object()?;
                while walk.has_key()? {
                    let key = walk.key()?.into_owned();
                    map.insert(key, part(walk.value()?)?);
                }
                map.into()
            }
            b'[' => {
                let mut list = Vec::new();
                walk.open_list()?;
                while walk.has_element()? {
                    list.push(if walk.take_null() {
                        serde_json::Value::Null
                    } else {
                        part(walk.value()?)?
                    });
                }
                list.into()
            }
            _ => part(walk.value()?)?,
        };
        walk.finish()?;
        Ok(value)
    }

    fn part(token: Token<'_>) -> Result<serde_json::Value> {
        Ok(match token {
            Token::Text(text) => text.into(),
            Token::Escaped(json) | Token::Bare(json) => {
                serde_json::from_str(json).map_err(|fault| undecodable(&fault))?
            }
            Token::Nested(json) => read(json)?,
        })
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            (-1e9..1e9_f64).prop_map(Into::into),
            r#"(?s)["\\{}\[\],: a-z\n]{0,8}|.{0,8}"#.prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::btree_map(r#"["\\{}a-z]{0,4}"#, inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn written(value: &serde_json::Value, is_pretty: bool) -> String {
        if is_pretty {
            serde_json::to_string_pretty(value).unwrap()
        } else {
            value.to_string()
        }
    }

    proptest! {
        #[test]
        fn a_walk_reads_what_a_parser_reads(value in any_json(), is_pretty in any::<bool>()) {
            // Read back rather than kept: a parser may round the last digit of a fraction.
            let text = written(&value, is_pretty);
            let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read(&text).unwrap(), parsed);
        }

        /// One byte replaced, removed or added: whatever the parser takes or refuses, the walk does.
        #[test]
        fn a_walk_refuses_what_a_parser_refuses(
            value in any_json(),
            is_pretty in any::<bool>(),
            place in any::<prop::sample::Index>(),
            byte in prop::sample::select(br#"{}[]",:\0-1.eE+ntx"#.to_vec()),
            kind in 0..3,
        ) {
            let mut bytes = written(&value, is_pretty).into_bytes();
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
            let Ok(text) = String::from_utf8(bytes) else {
                return Ok(());
            };
            let parsed = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(read(&text).ok(), parsed.ok(), "{}", text);
        }
    }
}
