//! Turns the text of a statement into tokens: names, literals, operators.
//! Literal forms are section 4.2 of the protocol page; anything else is `MALFORMED_QUERY`.

use chrono::{NaiveDate, NaiveTime};

use super::ast::{Glyph, Text, Value};
use crate::salesforce::errors::ApiError;

/// Longest statement, in characters (section 4.6).
pub const MAX_STATEMENT: usize = 100_000;
/// Longest string literal, in characters (section 4.2).
pub const MAX_STRING: usize = 4_000;

/// A token and the byte it starts at.
#[derive(Debug, Clone, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub at: usize,
}

/// What a statement is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Word(String),
    Literal(Value),
    Comma,
    Dot,
    Colon,
    Open,
    Close,
    /// `=`, `!=`, `<>`, `<`, `<=`, `>`, `>=`
    Compare(&'static str),
    End,
}

/// Splits a statement.
///
/// # Errors
/// `MALFORMED_QUERY` for an overlong statement or string, a bad escape, a double quote, a number
/// with an exponent, and every character the grammar does not know.
pub fn tokens(statement: &str) -> Result<Vec<Spanned>, ApiError> {
    if statement.chars().count() > MAX_STATEMENT {
        return Err(ApiError::malformed(format!(
            "SOQL statements cannot be longer than {MAX_STATEMENT} characters."
        )));
    }
    let mut lexer = Lexer {
        text: statement,
        at: 0,
    };
    let mut out = Vec::new();
    loop {
        let spanned = lexer.next()?;
        let end = spanned.token == Token::End;
        out.push(spanned);
        if end {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn next(&mut self) -> Result<Spanned, ApiError> {
        let blanks = self.rest().len() - self.rest().trim_start().len();
        self.at += blanks;
        let at = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(Spanned {
                token: Token::End,
                at,
            });
        };
        let token = match first {
            ',' => self.take(1, Token::Comma),
            '.' => self.take(1, Token::Dot),
            ':' => self.take(1, Token::Colon),
            '(' => self.take(1, Token::Open),
            ')' => self.take(1, Token::Close),
            '=' => self.take(1, Token::Compare("=")),
            '<' | '>' | '!' => self.comparison()?,
            '\'' => self.string()?,
            '"' => {
                return Err(ApiError::malformed(
                    "unexpected token: '\"' (string literals take single quotes)",
                ));
            }
            '0'..='9' | '+' | '-' => Token::Literal(self.number_or_date()?),
            c if c.is_ascii_alphabetic() => {
                let length = self
                    .rest()
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                    .unwrap_or(self.rest().len());
                let word = self.rest()[..length].to_owned();
                self.take(length, Token::Word(word))
            }
            other => return Err(ApiError::malformed(format!("unexpected token: '{other}'"))),
        };
        Ok(Spanned { token, at })
    }

    fn take(&mut self, length: usize, token: Token) -> Token {
        self.at += length;
        token
    }

    fn comparison(&mut self) -> Result<Token, ApiError> {
        for form in ["<=", ">=", "!=", "<>", "<", ">"] {
            if self.rest().starts_with(form) {
                return Ok(self.take(form.len(), Token::Compare(form)));
            }
        }
        Err(ApiError::malformed("unexpected token: '!'"))
    }

    fn string(&mut self) -> Result<Token, ApiError> {
        let mut text = String::new();
        let mut pattern = Vec::new();
        let mut like_escape = false;
        let mut chars = self.text[self.at + 1..].char_indices();
        let start = self.at + 1;
        loop {
            let Some((offset, c)) = chars.next() else {
                return Err(ApiError::malformed("unterminated string literal"));
            };
            let plain = match c {
                '\'' => {
                    self.at = start + offset + 1;
                    break;
                }
                '%' => {
                    text.push('%');
                    pattern.push(Glyph::Any);
                    continue;
                }
                '_' => {
                    text.push('_');
                    pattern.push(Glyph::One);
                    continue;
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n' | 'N') => '\n',
                    Some('r' | 'R') => '\r',
                    Some('t' | 'T') => '\t',
                    Some('b' | 'B') => '\u{8}',
                    Some('f' | 'F') => '\u{c}',
                    Some(c @ ('"' | '\'' | '\\')) => c,
                    Some(c @ ('_' | '%')) => {
                        like_escape = true;
                        c
                    }
                    Some('u') => unicode_escape(&mut chars)?,
                    Some(c) => {
                        return Err(ApiError::malformed(format!(
                            "Invalid string literal: illegal character sequence '\\{c}' in string"
                        )));
                    }
                    None => return Err(ApiError::malformed("unterminated string literal")),
                },
                c => c,
            };
            text.push(plain);
            pattern.push(Glyph::Char(plain));
        }
        if text.chars().count() > MAX_STRING {
            return Err(ApiError::malformed(format!(
                "string literals cannot be longer than {MAX_STRING} characters"
            )));
        }
        Ok(Token::Literal(Value::Text(Text {
            text,
            pattern,
            like_escape,
        })))
    }

    /// A number, a date, a datetime or a time: whatever starts with a digit or a sign.
    fn number_or_date(&mut self) -> Result<Value, ApiError> {
        let length = self
            .rest()
            .char_indices()
            .find(|&(i, c)| {
                !(c.is_ascii_alphanumeric()
                    || matches!(c, '.' | ':' | '_')
                    || (i == 0 && matches!(c, '+' | '-'))
                    || (matches!(c, '-' | '+') && looks_like_date(&self.rest()[..i])))
            })
            .map_or(self.rest().len(), |(i, _)| i);
        let word = self.rest()[..length].to_owned();
        self.at += length;
        let bytes = word.as_bytes();
        if looks_like_date(&word) && bytes.len() > 4 && bytes[4] == b'-' {
            return date_or_instant(&word);
        }
        if bytes.len() > 2 && bytes[2] == b':' {
            return time(&word)
                .map(Value::Time)
                .ok_or_else(|| ApiError::malformed(format!("Invalid time: {word}")));
        }
        let digits = word.strip_prefix(['+', '-']).unwrap_or(&word);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) {
            return Err(ApiError::malformed(format!("unexpected token: '{word}'")));
        }
        Ok(Value::Number(word))
    }
}

fn unicode_escape(chars: &mut std::str::CharIndices<'_>) -> Result<char, ApiError> {
    let hex: String = chars.by_ref().take(4).map(|(_, c)| c).collect();
    let bad = || ApiError::malformed(format!("Invalid unicode escape: '\\u{hex}'"));
    if hex.len() != 4 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad());
    }
    u32::from_str_radix(&hex, 16)
        .ok()
        .and_then(char::from_u32)
        .ok_or_else(bad)
}

/// Four digits first: a minus behind them belongs to a date.
fn looks_like_date(text: &str) -> bool {
    text.len() >= 4 && text.as_bytes()[..4].iter().all(u8::is_ascii_digit)
}

fn date_or_instant(word: &str) -> Result<Value, ApiError> {
    let bad = || ApiError::malformed(format!("Invalid date: {word}"));
    let (day, clock) = match word.split_once('T') {
        Some((day, clock)) => (day, Some(clock)),
        None => (word, None),
    };
    let shape = day.len() == 10 && day.as_bytes()[7] == b'-';
    let date = shape
        .then(|| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok())
        .flatten()
        .ok_or_else(bad)?;
    let low = NaiveDate::from_ymd_opt(1700, 1, 1).ok_or_else(bad)?;
    let high = NaiveDate::from_ymd_opt(4000, 12, 31).ok_or_else(bad)?;
    let outside = || ApiError::malformed(format!("Date is out of range (1700 to 4000): {word}"));
    if date < low || date > high {
        return Err(outside());
    }
    let Some(clock) = clock else {
        return Ok(Value::Date(date));
    };
    let (clock, offset_minutes) = if let Some(clock) = clock.strip_suffix('Z') {
        (clock, 0)
    } else {
        let split = clock.rfind(['+', '-']).ok_or_else(bad)?;
        let (clock, zone) = clock.split_at(split);
        let sign = if zone.starts_with('-') { -1 } else { 1 };
        let (hours, minutes) = zone[1..].split_once(':').ok_or_else(bad)?;
        let two = |text: &str| {
            (text.len() == 2)
                .then(|| text.parse::<i64>().ok())
                .flatten()
                .ok_or_else(bad)
        };
        (clock, sign * (two(hours)? * 60 + two(minutes)?))
    };
    let clock = NaiveTime::parse_from_str(clock, "%H:%M:%S%.f").map_err(|_| bad())?;
    let instant = date.and_time(clock).and_utc().timestamp_millis() - offset_minutes * 60_000;
    let last = high.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    if instant > last {
        return Err(outside());
    }
    Ok(Value::Instant(instant))
}

fn time(word: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(word.strip_suffix('Z')?, "%H:%M:%S%.f").ok()
}
