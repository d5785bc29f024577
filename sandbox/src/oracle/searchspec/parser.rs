//! Builds a condition from the pieces, and refuses what the service is documented to refuse.

use super::Op;
use super::lexer::{Token, cut};

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 400;

/// A condition on tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    Test {
        tag: String,
        op: Op,
        literal: String,
    },
    All(Vec<Spec>),
    Any(Vec<Spec>),
}

/// Reads a searchspec; `strict` holds it to the rule on parentheses.
///
/// # Errors
/// The text of SBL-EAI-13010.
pub fn parse(text: &str, strict: bool) -> Result<Spec, String> {
    let tokens = cut(text).map_err(|at| unexpected(&at))?;
    let mut parser = Parser {
        tokens: &tokens,
        strict,
        depth: 0,
    };
    let lone = matches!(tokens.first(), Some(Token::Open));
    let spec = parser.joined()?;
    match parser.tokens.first() {
        None if strict && lone && matches!(spec, Spec::Test { .. }) => {
            Err("Unexpected text: a lone expression must not stand in parentheses".to_owned())
        }
        None => Ok(spec),
        Some(token) => Err(unexpected(&format!("{token:?}"))),
    }
}

/// Reads the query text of a v1.0 field: `= 'a' OR LIKE 'b*'`, for one tag.
///
/// # Errors
/// The text of SBL-EAI-13010.
pub fn by_example(tag: &str, text: &str) -> Result<Spec, String> {
    let tokens = cut(text).map_err(|at| unexpected(&at))?;
    let mut any = Vec::new();
    let mut all = Vec::new();
    let mut rest = tokens.as_slice();
    loop {
        let (op, literal, tail) = match rest {
            [Token::Op(op), tail @ ..] if op.is_unary() => (*op, String::new(), tail),
            [Token::Op(op), Token::Literal(literal), tail @ ..] => (*op, literal.clone(), tail),
            [Token::Literal(literal), tail @ ..] => (Op::Equal, literal.clone(), tail),
            _ => return Err(unexpected(text)),
        };
        all.push(Spec::Test {
            tag: tag.to_owned(),
            op,
            literal,
        });
        rest = match tail {
            [] => break,
            [Token::And, tail @ ..] => tail,
            [Token::Or, tail @ ..] => {
                any.push(Spec::All(std::mem::take(&mut all)));
                tail
            }
            _ => return Err(unexpected(text)),
        };
    }
    any.push(Spec::All(all));
    Ok(Spec::Any(any))
}

fn unexpected(at: &str) -> String {
    let at: String = at.chars().take(60).collect();
    format!("Unexpected text '{at}' in the search specification")
}

struct Parser<'t> {
    tokens: &'t [Token],
    strict: bool,
    depth: usize,
}

impl Parser<'_> {
    /// Parts with AND and OR between them; AND binds tighter.
    fn joined(&mut self) -> Result<Spec, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(unexpected("too many parentheses"));
        }
        let (mut bare, first) = self.part()?;
        let mut all = vec![first];
        let mut any = Vec::new();
        let mut parts = 1;
        while let [joint @ (Token::And | Token::Or), tail @ ..] = self.tokens {
            self.tokens = tail;
            if *joint == Token::Or {
                any.push(group(std::mem::take(&mut all)));
            }
            let (is_bare, part) = self.part()?;
            bare |= is_bare;
            parts += 1;
            all.push(part);
        }
        if self.strict && parts > 1 && bare {
            return Err("Unexpected text: joined expressions must stand in parentheses".to_owned());
        }
        self.depth -= 1;
        if any.is_empty() {
            return Ok(group(all));
        }
        any.push(group(all));
        Ok(Spec::Any(any))
    }

    /// One expression, and whether it stands without parentheses.
    fn part(&mut self) -> Result<(bool, Spec), String> {
        match self.tokens {
            [Token::Open, tail @ ..] => {
                self.tokens = tail;
                let inner = self.joined()?;
                match self.tokens {
                    [Token::Close, tail @ ..] => {
                        self.tokens = tail;
                        Ok((false, inner))
                    }
                    _ => Err(unexpected("a parenthesis is missing")),
                }
            }
            [Token::Tag(tag), Token::Op(op), tail @ ..] if op.is_unary() => {
                let spec = Spec::Test {
                    tag: tag.clone(),
                    op: *op,
                    literal: String::new(),
                };
                self.tokens = tail;
                Ok((true, spec))
            }
            [
                Token::Tag(tag),
                Token::Op(op),
                Token::Literal(literal),
                tail @ ..,
            ] => {
                let spec = Spec::Test {
                    tag: tag.clone(),
                    op: *op,
                    literal: literal.clone(),
                };
                self.tokens = tail;
                Ok((true, spec))
            }
            [token, ..] => Err(unexpected(&format!("{token:?}"))),
            [] => Err(unexpected("")),
        }
    }
}

fn group(mut parts: Vec<Spec>) -> Spec {
    match parts.len() {
        1 => parts.remove(0),
        _ => Spec::All(parts),
    }
}
