//! A join that collects identifiers from its other side and fetches those records in batches (S-4): the clause that
//! makes one possible, and what its plan node carries.

use crate::options::CollectedTable;
use crate::pg::expr::{Expression, View};
use crate::plan::private::ScanPlan;
use pgrx::pg_sys;
use serde::{Deserialize, Serialize};

/// Which rows a join gives; the CRM's table stands on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    /// Rows with a record.
    Inner,
    /// All rows, with a record or nulls.
    Left,
    /// Rows that have a record, without it.
    Semi,
    /// Rows that have none.
    Anti,
}

impl JoinKind {
    /// Its name in EXPLAIN.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inner => "Inner",
            Self::Left => "Left",
            Self::Semi => "Semi",
            Self::Anti => "Anti",
        }
    }

    /// A row without a record is given too.
    pub fn keeps_unmatched(self) -> bool {
        matches!(self, Self::Left | Self::Anti)
    }
}

/// Where a column of the joined row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// A column of the other side's row, from 0.
    Outer(usize),
    /// A column of the table, by its number.
    Field(i16),
    /// The whole record as a value of the table's row type.
    Record,
    /// The table's identifier in the catalogs.
    Table,
    /// An expression over the record, by its place among the plan's computed ones.
    OfRecord(usize),
    /// An expression over the joined row, likewise.
    OfJoin(usize),
}

/// A planned lookup join. Its expressions stand in the node itself: the key; the conditions of the table; what is
/// computed; the join's conditions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LookupJoinPlan {
    /// How the records are fetched; its one parameter is the list of identifiers.
    pub scan: ScanPlan,
    /// Which rows are given.
    pub kind: JoinKind,
    /// Where the columns of the joined row come from.
    pub sources: Vec<Source>,
    /// The column that holds the identifier.
    pub identifier: i16,
    /// Identifiers a call.
    pub batch: usize,
    /// The role whose permissions count; 0 for the current one.
    pub user: u32,
    /// How many conditions of the table there are.
    pub n_conditions: usize,
    /// How many expressions are computed.
    pub n_computed: usize,
    /// The place of the clause that makes the lookup among the join's conditions.
    pub clause: usize,
}

impl LookupJoinPlan {
    /// As text for a plan node.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("a plan is plain data")
    }

    /// From a plan node.
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).expect("a plan node carries what was written into it")
    }

    /// Type of the identifier's column, as which the key's values are read too: texts of one kind lie like another's.
    pub fn identifier_type(&self) -> pg_sys::Oid {
        let mut outputs = self.scan.outputs.iter();
        let identifier = outputs.find(|output| output.attribute == self.identifier);
        let identifier = identifier.expect("a lookup's clause names the identifier");
        pg_sys::Oid::from(identifier.type_oid)
    }
}

/// An equality of the record identifier with an expression of the other side.
pub struct LookupClause<'a> {
    /// The identifier's column.
    pub identifier: i16,
    /// What gives the identifiers.
    pub key: Expression<'a>,
}

impl<'a> LookupClause<'a> {
    /// Reads a join condition of the table with that index in the range table; nothing if records cannot be fetched by
    /// it: only an equality of texts byte by byte, or of uuids, means what fetching by identifier means.
    pub fn read(table: &CollectedTable, index: u32, condition: Expression<'a>) -> Option<Self> {
        let View::Operation {
            name: "=",
            deterministic: true,
            left,
            right,
        } = condition.view()
        else {
            return None;
        };
        let column = |expression: Expression<'a>| identifier_column(table, index, expression);
        let (identifier, key) = match (column(left), column(right)) {
            (Some(identifier), None) => (identifier, right),
            (None, Some(identifier)) => (identifier, left),
            _ => return None,
        };
        identifies(key.type_oid()).then_some(Self { identifier, key })
    }
}

/// The identifier's column, if the expression is nothing else.
fn identifier_column(
    table: &CollectedTable,
    index: u32,
    expression: Expression<'_>,
) -> Option<i16> {
    match expression.view() {
        View::Relabel(inner) => identifier_column(table, index, inner),
        View::Column {
            relation,
            attribute,
        } => table
            .column(attribute)
            .filter(|column| {
                relation == index && column.facts.identifier && identifies(column.type_oid)
            })
            .map(|column| column.number),
        _ => None,
    }
}

/// A type whose values can be record identifiers. The two sides of an equality have the same one, or both are texts.
fn identifies(type_oid: pg_sys::Oid) -> bool {
    matches!(
        type_oid,
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::UUIDOID
    )
}
