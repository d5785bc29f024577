//! Decides whether a record meets a condition. Blank fields meet none but the null tests;
//! plain text comparison goes by code points and minds the case, `~` does not.

use std::cmp::Ordering;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use chrono_tz::Tz;

use super::{Op, Spec};
use crate::oracle::envelope::Fault;
use crate::oracle::objects::{Kind, Object};
use crate::oracle::time;

/// A value that can be compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Text(String),
    Number(BigDecimal),
    Moment(i64),
    Day(NaiveDate),
    Flag(bool),
}

/// A condition bound to the fields of an object.
#[derive(Debug, Clone)]
pub enum Test {
    One {
        place: usize,
        kind: Kind,
        op: Op,
        /// In the case it is compared in.
        pattern: String,
        operand: Option<Operand>,
        wild: bool,
    },
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// Binds a condition; `wild` lets `=` honour wildcards.
///
/// # Errors
/// SBL-UNU-00133 for an unknown tag, SBL-EAI-13011 for a literal that does not fit its field.
pub fn test(spec: &Spec, object: &Object, zone: Tz, wild: bool) -> Result<Test, Fault> {
    let many = |parts: &[Spec]| -> Result<Vec<Test>, Fault> {
        parts
            .iter()
            .map(|part| test(part, object, zone, wild))
            .collect()
    };
    Ok(match spec {
        Spec::All(parts) => Test::All(many(parts)?),
        Spec::Any(parts) => Test::Any(many(parts)?),
        Spec::Test {
            tag,
            op,
            literal: text,
        } => {
            let place = object
                .place(tag)
                .filter(|place| !object.fields[*place].hidden);
            let Some(place) = place else {
                return Err(Fault::one(
                    "SBL-UNU-00133",
                    format!("Field '{tag}' in the search specification is unknown"),
                ));
            };
            let kind = object.fields[place].kind;
            let any_case = matches!(op, Op::EqualAnyCase | Op::LikeAnyCase);
            let pattern = if any_case {
                text.to_lowercase()
            } else {
                text.clone()
            };
            let is_like = matches!(op, Op::Like | Op::LikeAnyCase);
            let equals = matches!(op, Op::Equal | Op::EqualAnyCase) && wild && kind.is_text();
            let wild = is_like || equals && has_wildcard(&pattern);
            let operand = match op.is_unary() || wild {
                true => None,
                false => Some(literal(kind, &plain(&pattern), zone).ok_or_else(|| {
                    Fault::one(
                        "SBL-EAI-13011",
                        format!("The value '{text}' does not fit the field '{tag}'"),
                    )
                })?),
            };
            Test::One {
                place,
                kind,
                op: *op,
                pattern,
                operand,
                wild,
            }
        }
    })
}

/// Whether the record whose values `cell` gives meets a condition.
pub fn matches(test: &Test, zone: Tz, cell: &dyn Fn(usize) -> Option<String>) -> bool {
    match test {
        Test::All(parts) => parts.iter().all(|part| matches(part, zone, cell)),
        Test::Any(parts) => parts.iter().any(|part| matches(part, zone, cell)),
        Test::One {
            place,
            kind,
            op,
            pattern,
            operand,
            wild,
        } => {
            let value = cell(*place).filter(|value| !value.is_empty());
            let Some(value) = value else {
                return *op == Op::IsNull;
            };
            if op.is_unary() {
                return *op == Op::IsNotNull;
            }
            let any_case = matches!(op, Op::EqualAnyCase | Op::LikeAnyCase);
            let value = if any_case {
                value.to_lowercase()
            } else {
                value
            };
            if *wild {
                return fits(pattern, &value);
            }
            let order = literal(*kind, &value, zone)
                .zip(operand.as_ref())
                .and_then(|(left, right)| compare(&left, right));
            let Some(order) = order else {
                return false;
            };
            match op {
                Op::Equal | Op::EqualAnyCase => order == Ordering::Equal,
                Op::NotEqual => order != Ordering::Equal,
                Op::Less => order == Ordering::Less,
                Op::AtMost => order != Ordering::Greater,
                Op::Greater => order == Ordering::Greater,
                Op::AtLeast => order != Ordering::Less,
                _ => false,
            }
        }
    }
}

/// Reads a literal or a stored value by the type of its field.
pub fn literal(kind: Kind, text: &str, zone: Tz) -> Option<Operand> {
    Some(match kind {
        Kind::Bool => match text {
            "Y" | "true" | "1" => Operand::Flag(true),
            "N" | "false" | "0" => Operand::Flag(false),
            _ => return None,
        },
        Kind::Int | Kind::Decimal => Operand::Number(BigDecimal::from_str(text.trim()).ok()?),
        Kind::Date => Operand::Day(
            NaiveDate::from_str(text)
                .ok()
                .or_else(|| NaiveDate::parse_from_str(text, "%m/%d/%Y").ok())?,
        ),
        Kind::DateTime => {
            let day = NaiveDate::from_str(text)
                .ok()
                .map(|day| format!("{day}T00:00:00"));
            let text = day.as_deref().unwrap_or(text);
            Operand::Moment(time::from_xsd(text, zone).or_else(|| time::from_local(text, zone))?)
        }
        _ => Operand::Text(text.to_owned()),
    })
}

/// The order of two values of one type.
pub fn compare(left: &Operand, right: &Operand) -> Option<Ordering> {
    match (left, right) {
        (Operand::Text(a), Operand::Text(b)) => Some(a.cmp(b)),
        (Operand::Number(a), Operand::Number(b)) => Some(a.cmp(b)),
        (Operand::Moment(a), Operand::Moment(b)) => Some(a.cmp(b)),
        (Operand::Day(a), Operand::Day(b)) => Some(a.cmp(b)),
        (Operand::Flag(a), Operand::Flag(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn has_wildcard(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' => return true,
            _ => {}
        }
    }
    false
}

/// A literal with its escapes undone.
fn plain(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some('*' | '?' | '\\') if c == '\\' => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// A pattern's pieces: a sign to meet, any one, any many.
#[derive(Clone, Copy, PartialEq)]
enum Piece {
    Sign(char),
    One,
    Many,
}

/// Whether a text fits a pattern with `*`, `?` and `\` before what is meant literally.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Many,
            '?' => Piece::One,
            '\\' => match chars.peek().copied() {
                Some(next @ ('*' | '?' | '\\')) => {
                    chars.next();
                    Piece::Sign(next)
                }
                _ => Piece::Sign('\\'),
            },
            c => Piece::Sign(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut piece) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match pieces.get(piece) {
            Some(Piece::Many) => {
                back = Some((piece + 1, at));
                piece += 1;
            }
            Some(Piece::One) => (at, piece) = (at + 1, piece + 1),
            Some(Piece::Sign(c)) if *c == text[at] => (at, piece) = (at + 1, piece + 1),
            _ => match back {
                Some((behind, from)) => {
                    back = Some((behind, from + 1));
                    (piece, at) = (behind, from + 1);
                }
                None => return false,
            },
        }
    }
    pieces[piece..].iter().all(|piece| *piece == Piece::Many)
}
