//! Cuts a searchspec into tags, operators, words and literals.

use super::Op;

/// A piece of a searchspec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Open,
    Close,
    /// `[Tag]`
    Tag(String),
    Op(Op),
    And,
    Or,
    /// `'…'` with doubled quotes undone and escapes kept.
    Literal(String),
}

/// The pieces in order.
///
/// # Errors
/// The text at which nothing known begins.
pub fn cut(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, tail) = match first {
            '(' => (Token::Open, &rest[1..]),
            ')' => (Token::Close, &rest[1..]),
            '[' => {
                let end = rest.find(']').ok_or_else(|| rest.to_owned())?;
                let tag = &rest[1..end];
                if tag.is_empty() || !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                    return Err(rest.to_owned());
                }
                (Token::Tag(tag.to_owned()), &rest[end + 1..])
            }
            '\'' => literal(rest)?,
            _ => word(rest).ok_or_else(|| rest.to_owned())?,
        };
        tokens.push(token);
        rest = tail.trim_start();
    }
    Ok(tokens)
}

fn literal(text: &str) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\'' {
            value.push(c);
            continue;
        }
        match chars.peek() {
            Some((_, '\'')) => {
                chars.next();
                value.push('\'');
            }
            _ => return Ok((Token::Literal(value), &text[at + 1..])),
        }
    }
    Err(text.to_owned())
}

/// Operators and words, the longest first; a word must end where it ends.
fn word(text: &str) -> Option<(Token, &str)> {
    const SIGNS: &[(&str, Op)] = &[
        ("~=", Op::EqualAnyCase),
        ("<=", Op::AtMost),
        (">=", Op::AtLeast),
        ("<>", Op::NotEqual),
        ("=", Op::Equal),
        ("<", Op::Less),
        (">", Op::Greater),
    ];
    for (sign, op) in SIGNS {
        if let Some(tail) = text.strip_prefix(sign) {
            return Some((Token::Op(*op), tail));
        }
    }
    const WORDS: &[(&[&str], Token)] = &[
        (&["IS", "NOT", "NULL"], Token::Op(Op::IsNotNull)),
        (&["IS", "NULL"], Token::Op(Op::IsNull)),
        (&["NOT", "EXISTS"], Token::Op(Op::IsNull)),
        (&["EXISTS"], Token::Op(Op::IsNotNull)),
        (&["LIKE"], Token::Op(Op::Like)),
        (&["~LIKE"], Token::Op(Op::LikeAnyCase)),
        (&["AND"], Token::And),
        (&["OR"], Token::Or),
    ];
    WORDS.iter().find_map(|(words, token)| {
        let mut rest = text;
        for word in *words {
            rest = rest.trim_start();
            let head = rest.get(..word.len())?;
            if !head.eq_ignore_ascii_case(word) {
                return None;
            }
            rest = &rest[word.len()..];
            if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
                return None;
            }
        }
        Some((token.clone(), rest))
    })
}
