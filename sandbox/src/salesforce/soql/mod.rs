//! SOQL as section 4 of the protocol page describes it: text to tokens to tree, names bound to the
//! organisation's objects, then evaluated record by record.

mod aggregate;
pub mod ast;
pub mod bind;
mod condition;
mod dates;
pub mod eval;
mod lexer;
pub mod parser;
pub mod plan;
#[cfg(test)]
mod tests;
pub mod value;
