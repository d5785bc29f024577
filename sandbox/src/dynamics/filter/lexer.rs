//! Tokens of `$filter`. Words are told apart by their form: identifiers, numbers, dates, moments.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use uuid::Uuid;

use crate::dynamics::errors::Refusal;
use crate::dynamics::value::read_moment;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// Names, operators, functions, paths.
    Word(String),
    Text(String),
    Number(BigDecimal),
    Guid(Uuid),
    Date(NaiveDate),
    Time(i64),
    /// `( ) , = [ ]`
    Mark(char),
}

/// Cuts a text into tokens.
///
/// # Errors
/// 400 for a text without end or a character that belongs nowhere.
pub fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        match first {
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            '(' | ')' | ',' | '=' | '[' | ']' => {
                out.push(Token::Mark(first));
                rest = &rest[1..];
            }
            '\'' | '"' => {
                let (value, behind) = quoted(rest, first)?;
                out.push(Token::Text(value));
                rest = behind;
            }
            _ => {
                let end = rest
                    .find(|c: char| c.is_whitespace() || "(),=[]'\"".contains(c))
                    .unwrap_or(rest.len());
                out.push(word(&rest[..end])?);
                rest = &rest[end..];
            }
        }
    }
    Ok(out)
}

/// A quoted text: `'` is doubled inside its own quotes, `"` is escaped as in JSON.
fn quoted(text: &str, quote: char) -> Result<(String, &str), Refusal> {
    let unterminated =
        || Refusal::syntax("There is an unterminated string literal in the expression.");
    if quote == '"' {
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<String>();
        let value = stream
            .next()
            .and_then(Result::ok)
            .ok_or_else(unterminated)?;
        return Ok((value, &text[stream.byte_offset()..]));
    }
    let mut value = String::new();
    let mut rest = &text[1..];
    loop {
        let end = rest.find('\'').ok_or_else(unterminated)?;
        value.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('\'') {
            Some(behind) => {
                value.push('\'');
                rest = behind;
            }
            None => return Ok((value, rest)),
        }
    }
}

fn word(text: &str) -> Result<Token, Refusal> {
    if text.len() == 36
        && let Ok(id) = Uuid::parse_str(text)
    {
        return Ok(Token::Guid(id));
    }
    let starts_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
    if !starts_number {
        let fits = text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '@' | '$' | ':'));
        return match fits {
            true => Ok(Token::Word(text.to_owned())),
            false => Err(Refusal::syntax(format!(
                "Syntax error: character in '{text}' is not valid."
            ))),
        };
    }
    if let Ok(day) = NaiveDate::from_str(text) {
        return Ok(Token::Date(day));
    }
    if text.contains('T')
        && let Some(at) = read_moment(text)
    {
        return Ok(Token::Time(at));
    }
    BigDecimal::from_str(text)
        .map(Token::Number)
        .map_err(|_| Refusal::syntax(format!("Unrecognized literal '{text}'.")))
}
