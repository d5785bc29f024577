//! A statement that can be run: names looked up, literals typed, columns in a tree.
//! [`super::bind`] makes it, [`super::eval`] runs it.

use std::sync::Arc;

use super::ast::{Function, Glyph, Op};
use super::value::Bound;
use crate::salesforce::store::Field;

/// A statement that can be run.
pub struct Plan {
    /// Place of the object in the store.
    pub object: usize,
    pub output: Output,
    pub filter: Option<Filter>,
    pub order: Vec<SortKey>,
    pub limit: Option<u64>,
    pub offset: u64,
    /// Two or more long texts are selected: pages shrink to 200 (section 4.6).
    pub long_texts: bool,
}

/// What a statement returns.
pub enum Output {
    /// Records; the columns are a tree because parents nest.
    Records(Vec<Node>),
    /// `COUNT()`: the answer is `totalSize`.
    Count,
    /// Rows of AggregateResult.
    Groups {
        items: Vec<GroupItem>,
        group_by: Vec<FieldPath>,
        having: Option<GroupFilter>,
    },
}

/// A column of a record, or a parent record with its own columns.
#[derive(Debug, Clone)]
pub enum Node {
    Field(usize),
    Parent {
        /// Relationship name as described.
        name: String,
        hop: Hop,
        columns: Vec<ParentColumn>,
    },
}

/// A column below a parent; polymorphic parents know theirs by name only.
#[derive(Debug, Clone)]
pub enum ParentColumn {
    Known(Node),
    Named(String),
}

/// From a record to its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Hop {
    /// The lookup field in the child.
    pub lookup: usize,
    /// The parent object, or `None` when the id decides.
    pub target: Option<usize>,
}

/// A field at the end of a chain of parents.
#[derive(Debug, Clone)]
pub struct FieldPath {
    pub hops: Vec<Hop>,
    pub end: End,
    /// The description values are read by.
    pub field: Arc<Field>,
    /// The path in the case of the descriptions.
    pub name: String,
}

/// How the last step is found.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    Place(usize),
    /// In a parent known only by its id: `Id`, `Name` or `Type`.
    Named(String),
}

/// A condition over records.
pub enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Compare {
        path: FieldPath,
        op: Op,
        value: Bound,
    },
    Like {
        path: FieldPath,
        pattern: Vec<Glyph>,
    },
    In {
        path: FieldPath,
        negated: bool,
        values: Vec<Bound>,
    },
    Includes {
        path: FieldPath,
        negated: bool,
        sets: Vec<Vec<String>>,
    },
    SemiJoin {
        path: FieldPath,
        negated: bool,
        plan: Box<Plan>,
        column: FieldPath,
    },
}

/// A key of the order.
pub struct SortKey {
    pub by: SortBy,
    pub descending: bool,
    pub nulls_last: bool,
}

/// What a key sorts by.
pub enum SortBy {
    Field(FieldPath),
    Aggregate(Aggregate),
}

/// A column of a grouped result.
pub enum GroupItem {
    /// One of the grouping fields, by its place in GROUP BY.
    Key {
        place: usize,
        name: String,
    },
    Aggregate {
        aggregate: Aggregate,
        name: String,
    },
}

/// An aggregate over a field; `COUNT()` has none.
#[derive(Clone)]
pub struct Aggregate {
    pub function: Function,
    pub path: Option<FieldPath>,
}

/// A condition over groups.
pub enum GroupFilter {
    And(Vec<GroupFilter>),
    Or(Vec<GroupFilter>),
    Not(Box<GroupFilter>),
    Compare {
        aggregate: Aggregate,
        op: Op,
        value: Bound,
    },
    Key {
        place: usize,
        op: Op,
        value: Bound,
    },
}
