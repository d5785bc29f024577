//! The `searchspec` of v2.0 (section 4.2 of the protocol page) and the query text of v1.0 fields (4.3):
//! one lexer, two grammars, one evaluator.

mod eval;
mod lexer;
mod parser;

pub use eval::{Test, compare, literal, matches, test};
pub use parser::{Spec, by_example, parse};

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    EqualAnyCase,
    Less,
    AtMost,
    Greater,
    AtLeast,
    NotEqual,
    Like,
    LikeAnyCase,
    IsNull,
    IsNotNull,
}

impl Op {
    /// Has no literal behind it.
    pub fn is_unary(self) -> bool {
        matches!(self, Self::IsNull | Self::IsNotNull)
    }
}

#[cfg(test)]
mod tests;
