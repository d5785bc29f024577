//! ORDER BY that the CRM does as PostgreSQL would (S-6).

use crate::options::CollectedTable;
use crate::pg::expr::{Expression, View};
use crm_core::{Conversion, Sort};

/// One key of an order wanted: the expression of this relation, if it has one, and the direction.
pub struct OrderKey<'a> {
    /// What is sorted by.
    pub expression: Option<Expression<'a>>,
    /// Largest first.
    pub descending: bool,
    /// Nulls first.
    pub nulls_first: bool,
}

/// The remote order for these keys, or nothing if one of them is not the CRM's to sort by.
pub fn remote_order(
    table: &CollectedTable,
    index: u32,
    keys: &[OrderKey<'_>],
) -> Option<Vec<Sort>> {
    keys.iter()
        .map(|key| {
            let View::Column {
                relation,
                attribute,
            } = key.expression?.view()
            else {
                return None;
            };
            let column = table.column(attribute).filter(|_| relation == index)?;
            let facts = &column.facts;
            let alike = facts.sortable
                && facts.conversion == Conversion::Default
                && table.connector.sorts_alike(facts)
                && table
                    .connector
                    .places_nulls(key.descending, key.nulls_first);
            alike.then(|| Sort {
                field: facts.name.clone(),
                descending: key.descending,
                nulls_first: key.nulls_first,
            })
        })
        .collect()
}
