//! A SOQL statement as parsed, before any name is looked up.
//! The grammar is section 4.1 of the protocol page.

use chrono::{NaiveDate, NaiveTime};

/// A whole statement.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    pub select: Vec<Item>,
    pub from: Name,
    pub alias: Option<String>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Path>,
    pub having: Option<Expr>,
    pub order_by: Vec<Order>,
    pub limit: Option<u64>,
    pub offset: Option<u64>,
}

/// A single name and where it stands (0-based byte in the statement).
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    pub text: String,
    pub at: usize,
}

/// A dotted field path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub parts: Vec<String>,
    pub at: usize,
}

impl Path {
    /// The path as written.
    pub fn text(&self) -> String {
        self.parts.join(".")
    }
}

/// An entry of the SELECT list.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Field { path: Path, alias: Option<String> },
    Aggregate { call: Call, alias: Option<String> },
}

/// An aggregate call; `COUNT()` has no argument.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub function: Function,
    pub argument: Option<Path>,
    pub at: usize,
}

/// The aggregate functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    Count,
    CountDistinct,
    Min,
    Max,
    Sum,
    Avg,
}

/// A condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Test { left: Operand, op: Op, right: Right },
}

/// The left side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    Field(Path),
    Aggregate(Call),
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    In,
    NotIn,
    Includes,
    Excludes,
}

/// The right side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Right {
    One(Literal),
    List(Vec<Literal>),
    Query(Box<Query>),
}

/// A literal and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Literal {
    pub value: Value,
    pub at: usize,
}

/// The value of a literal.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Digits as written: no exponent.
    Number(String),
    Text(Text),
    Date(NaiveDate),
    /// Milliseconds since 1970 in UTC.
    Instant(i64),
    Time(NaiveTime),
    /// `TODAY`, `LAST_N_DAYS:7`, …: name in capitals, and the number.
    Range(String, Option<i64>),
}

/// A string literal: its text, and the same as a LIKE pattern.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    pub text: String,
    pub pattern: Vec<Glyph>,
    /// `\_` or `\%` occurred: allowed in LIKE only.
    pub like_escape: bool,
}

/// One step of a LIKE pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyph {
    Char(char),
    /// `_`
    One,
    /// `%`
    Any,
}

/// An ORDER BY key.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub key: Operand,
    pub descending: bool,
    pub nulls_last: bool,
}
