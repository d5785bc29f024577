//! Aggregates that the CRM computes: only where the answer is provably PostgreSQL's (S-7).

use crate::options::CollectedTable;
use crate::pg::expr::{AggregateCall, Expression, View};
use crate::plan::private::{Output, ScanPlan};
use crate::plan::table::remote_query;
use crm_core::{Aggregate, AggregateFunction, ColumnType, Conversion, FieldFacts, Pushdown};

/// The plan that has the CRM answer all these expressions, or nothing if one of them must be computed here.
/// `scan` is the plan of the records they are computed from.
pub fn aggregate_plan(
    table: &CollectedTable,
    index: u32,
    scan: &ScanPlan,
    targets: &[Expression<'_>],
) -> Option<ScanPlan> {
    if table.options.pushdown == Pushdown::Off || targets.is_empty() {
        return None;
    }
    let mut plan = scan.clone();
    plan.outputs.clear();
    for (place, target) in targets.iter().enumerate() {
        let call = target.aggregate()?;
        let (aggregate, facts) = judge(table, index, &call)?;
        plan.aggregates.push(aggregate);
        plan.outputs.push(Output {
            attribute: i16::try_from(place + 1).ok()?,
            facts,
            type_oid: target.type_oid().to_u32(),
            type_modifier: -1,
        });
    }
    // A count of records is a query of its own; beside other aggregates it has no one form.
    let counts = plan
        .aggregates
        .iter()
        .filter(|aggregate| aggregate.function == AggregateFunction::CountAll)
        .count();
    if counts > 0 && plan.aggregates.len() > 1 {
        return None;
    }
    // A CRM may have to read records to count them: that depends on how many they are, not on the one row of the answer.
    let query = remote_query(&plan, None, None, None);
    plan.estimated_calls = table.connector.estimate_calls(&query, scan.estimated_rows);
    plan.estimated_rows = 1.0;
    Some(plan)
}

fn judge(
    table: &CollectedTable,
    index: u32,
    call: &AggregateCall<'_>,
) -> Option<(Aggregate, FieldFacts)> {
    if call.is_modified {
        return None;
    }
    match (call.name, call.arguments.as_slice()) {
        ("count", []) => table
            .connector
            .aggregates_alike(AggregateFunction::CountAll, None)
            .then(|| {
                let aggregate = Aggregate {
                    function: AggregateFunction::CountAll,
                    field: String::new(),
                };
                (aggregate, count_facts())
            }),
        (name @ ("min" | "max"), [argument]) => {
            let View::Column {
                relation,
                attribute,
            } = argument.view()
            else {
                return None;
            };
            let column = table.column(attribute).filter(|_| relation == index)?;
            let function = if name == "min" {
                AggregateFunction::Min
            } else {
                AggregateFunction::Max
            };
            let alike = column.facts.sortable
                && column.facts.conversion == Conversion::Default
                && table
                    .connector
                    .aggregates_alike(function, Some(&column.facts));
            alike.then(|| {
                let aggregate = Aggregate {
                    function,
                    field: column.facts.name.clone(),
                };
                (aggregate, column.facts.clone())
            })
        }
        _ => None,
    }
}

fn count_facts() -> FieldFacts {
    FieldFacts {
        name: "count".into(),
        remote_type: String::new(),
        column_type: ColumnType::Int64,
        conversion: Conversion::Default,
        filterable: false,
        sortable: false,
        case_sensitive: false,
        identifier: false,
    }
}
