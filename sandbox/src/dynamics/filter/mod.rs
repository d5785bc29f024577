//! `$filter` and `$orderby`: text to tokens, tokens to an expression bound to a table, the expression
//! evaluated on rows with Dynamics' semantics. Section 5 of the protocol page.

mod eval;
mod lexer;
mod parser;

pub use eval::{compare_for_order, follow, holds, named_rows};
pub use parser::{parse, parse_order};

use super::model::Attribute;
use super::value::Val;

/// A way from a row to a value: over references, then a column.
#[derive(Debug, Clone)]
pub struct Path {
    /// Columns to follow, each with the table it leads to.
    pub steps: Vec<(usize, usize)>,
    pub column: usize,
    pub attribute: &'static Attribute,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// A text match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    Contains,
    StartsWith,
    EndsWith,
    /// A pattern with wildcards at any place.
    Like,
}

/// Which day bound a moment is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    On,
    OnOrAfter,
    OnOrBefore,
}

/// What stands on the right of a comparison.
#[derive(Debug, Clone)]
pub enum Operand {
    Value(Val),
    Path(Path),
}

/// A condition.
#[derive(Debug, Clone)]
pub enum Expr {
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Compare(Operator, Path, Operand),
    Match(Match, Path, String),
    In(Path, Vec<Val>, bool),
    Between(Path, Val, Val),
    Day(Day, Path, chrono::NaiveDate),
    /// Any of these chosen; the last is true for `DoesNotContainValues`.
    Chosen(Path, Vec<i32>, bool),
    Constant(bool),
}
