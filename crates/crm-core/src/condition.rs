//! A WHERE clause in neutral words: what the rules of `rules.rs` judge.

use crate::query::Operator;
use crate::rules::Refusal;
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// What kind of value stands on the right of a comparison; spec S-2.4 tells numbers from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ValueClass {
    /// A whole number.
    Integer,
    /// A decimal number.
    Number,
    /// A day, a point on a line and so a number.
    Date,
    /// A point in time, likewise.
    Instant,
    /// What a clock shows, in no zone, likewise.
    Timestamp,
    /// Text.
    Text,
    /// A truth value.
    Boolean,
    /// A 128-bit identifier: equal or not, without an order that a CRM shares.
    Uuid,
    /// Anything else: never sent.
    Other,
}

/// The right side of a comparison: fixed before the scan starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Operand {
    /// Known when the statement is planned.
    Constant(Value),
    /// Evaluated once before each scan: a parameter, a stable function, an uncorrelated subquery.
    Parameter {
        /// Its place among the scan's parameters, from 0.
        index: usize,
        /// What it will be.
        class: ValueClass,
    },
}

/// One condition of a WHERE clause. Fields are named by their place in the caller's list of [`crate::FieldFacts`].
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All hold.
    And(Vec<Condition>),
    /// Any holds.
    Or(Vec<Condition>),
    /// A negation that the planner could not turn into a positive form.
    Not(Box<Condition>),
    /// `field operator operand`, the bare field on the left.
    Compare {
        /// Which field.
        field: usize,
        /// How.
        operator: Operator,
        /// With what.
        operand: Operand,
        /// The operand's class.
        class: ValueClass,
    },
    /// `field IN (…)`, `field = ANY (…)`.
    In {
        /// Which field.
        field: usize,
        /// A list.
        operand: Operand,
        /// The class of its elements.
        class: ValueClass,
    },
    /// `field NOT IN (…)`, `field <> ALL (…)`.
    NotIn {
        /// Which field.
        field: usize,
    },
    /// `field LIKE pattern`; also `ILIKE`, whose matches a remote side that ignores case finds as well.
    Like {
        /// Which field.
        field: usize,
        /// The pattern.
        pattern: Operand,
    },
    /// `field IS NULL`.
    IsNull {
        /// Which field.
        field: usize,
    },
    /// `field IS NOT NULL`.
    IsNotNull {
        /// Which field.
        field: usize,
    },
    /// Something that no rule lets through, and why.
    Opaque(Refusal),
}
