//! The plan of a scan of one foreign table: what is sent, what is checked here, what is expected back.

use crate::options::CollectedTable;
use crate::pg::expr::Expression;
use crate::plan::private::{ConditionNote, Output, ScanPlan};
use crate::plan::qual::Translator;
use crm_core::{
    Bound, Dialect, FieldFacts, Filter, Operand, QueryField, Refusal, RemoteQuery, Sort, Value,
    ValueClass, bind,
};
use std::borrow::Cow;

/// One condition of the WHERE clause and what becomes of it.
struct Clause {
    pushed: Option<Filter<Operand>>,
    checked: bool,
    note: ConditionNote,
}

/// What planning knows of a foreign table in this statement.
pub struct TablePlan<'a> {
    table: &'a CollectedTable,
    clauses: Vec<Clause>,
    lookup: Option<Operand>,
    parameters: Vec<Expression<'a>>,
    filter_fields: Vec<FieldFacts>,
}

impl<'a> TablePlan<'a> {
    /// Judges the conditions, in the order given; `index` is the relation's in the range table.
    pub fn new(table: &'a CollectedTable, index: u32, conditions: &[Expression<'a>]) -> Self {
        let mut translator = Translator::new(table, index);
        let identifying = conditions.iter().position(|condition| {
            let (condition, _) = translator.decide(*condition);
            translator.lookup_of(&condition).is_some()
        });
        // Parameters of conditions that turn out not to be sent are not evaluated: start afresh.
        let mut translator = Translator::new(table, index);
        let mut lookup = None;
        let clauses = conditions
            .iter()
            .enumerate()
            .map(|(at, expression)| {
                let kept = |reasons, pushed| Clause {
                    pushed: None,
                    checked: true,
                    note: ConditionNote {
                        pushed,
                        checked: true,
                        reasons,
                    },
                };
                match identifying {
                    Some(identifying) if identifying == at => {
                        let (condition, _) = translator.decide(*expression);
                        lookup = translator.lookup_of(&condition);
                        kept(Vec::new(), true)
                    }
                    Some(_) => kept(vec![Refusal::Lookup], false),
                    None => {
                        let (_, decision) = translator.decide(*expression);
                        Clause {
                            checked: !decision.exact,
                            note: ConditionNote {
                                pushed: decision.pushed.is_some(),
                                checked: !decision.exact,
                                reasons: decision.reasons,
                            },
                            pushed: decision.pushed,
                        }
                    }
                }
            })
            .collect();
        Self {
            table,
            clauses,
            lookup,
            parameters: translator.parameters().to_vec(),
            filter_fields: translator.fields().to_vec(),
        }
    }

    /// The table.
    pub fn table(&self) -> &'a CollectedTable {
        self.table
    }

    /// The expressions evaluated when the scan starts.
    pub fn parameters(&self) -> &[Expression<'a>] {
        &self.parameters
    }

    /// The condition at that place is checked here.
    pub fn is_checked(&self, place: usize) -> bool {
        self.clauses[place].checked
    }

    /// What became of the condition at that place; of one that is none of the table's own, what a join condition gets.
    pub fn note(&self, place: Option<usize>) -> ConditionNote {
        place.map_or_else(
            || ConditionNote {
                pushed: false,
                checked: true,
                reasons: vec![Refusal::TwoFields],
            },
            |place| self.clauses[place].note.clone(),
        )
    }

    /// Something of the condition at that place is sent.
    pub fn is_pushed(&self, place: usize) -> bool {
        self.clauses[place].pushed.is_some()
    }

    /// Every condition is sent and means the same there, so a limit or an aggregate may go too (S-7).
    pub fn is_exact(&self) -> bool {
        self.lookup.is_none() && self.clauses.iter().all(|clause| !clause.checked)
    }

    /// Records are fetched by identifier.
    pub fn is_lookup(&self) -> bool {
        self.lookup.is_some()
    }

    /// Some condition is sent.
    pub fn narrows(&self) -> bool {
        self.lookup.is_some() || self.clauses.iter().any(|clause| clause.pushed.is_some())
    }

    /// How many identifiers are asked for, where that is known.
    pub fn n_identifiers(&self) -> Option<usize> {
        match &self.lookup {
            Some(Operand::Constant(Value::List(list))) => Some(list.len()),
            Some(Operand::Constant(_)) => Some(1),
            _ => None,
        }
    }

    /// The filter sent, if any.
    fn filter(&self) -> Option<Filter<Operand>> {
        let mut parts: Vec<_> = self
            .clauses
            .iter()
            .filter_map(|clause| clause.pushed.clone())
            .collect();
        match parts.len() {
            0 => None,
            1 => parts.pop(),
            _ => Some(Filter::And(parts)),
        }
    }

    /// The plan for these columns, this order and limit, with `rows` records expected from the CRM.
    pub fn scan(
        &self,
        attributes: &[i16],
        sort: Vec<Sort>,
        limit: Option<u64>,
        rows: f64,
    ) -> ScanPlan {
        let table = self.table;
        let filter = self.filter();
        let mut filter_fields: Vec<FieldFacts> = self.filter_fields.clone();
        if let Some(filter) = &filter {
            filter_fields.retain(|facts| names(filter, &facts.name));
        } else {
            filter_fields.clear();
        }
        let mut plan = ScanPlan {
            object: table.options.object.clone(),
            collection: table.options.collection.clone(),
            identifier: table.identifier(),
            outputs: Vec::new(),
            filter_fields,
            filter,
            lookup: self.lookup.clone(),
            trusts_identifiers: false,
            sort,
            limit,
            aggregates: Vec::new(),
            fetch_size: table.options.fetch_size,
            stop_at_reject: table.options.stop_at_reject,
            stop_at_short_read: table.options.stop_at_short_read,
            notes: Vec::new(),
            texts: Vec::new(),
            estimated_rows: limit.map_or(rows, |limit| rows.min(limit as f64)),
            estimated_calls: 0.0,
        };
        self.add_outputs(&mut plan, attributes);
        plan.estimated_calls = self.estimate_calls(&plan);
        plan
    }

    /// The plan that fetches the records of `n_keys` identifiers, given as a parameter when it runs (S-4). Nothing else
    /// can be sent with identifiers, so every condition is checked here.
    pub fn lookup_scan(&self, attributes: &[i16], n_keys: f64) -> ScanPlan {
        let mut plan = self.scan(attributes, Vec::new(), None, n_keys);
        plan.filter = None;
        plan.filter_fields.clear();
        plan.lookup = Some(Operand::Parameter {
            index: 0,
            class: ValueClass::Text,
        });
        let kept = ConditionNote {
            pushed: false,
            checked: true,
            reasons: vec![Refusal::Lookup],
        };
        plan.notes = vec![kept; self.clauses.len()];
        plan.estimated_calls = self.estimate_calls(&plan);
        plan
    }

    /// Identifiers that one call of such a plan takes.
    pub fn lookup_batch(&self, plan: &ScanPlan) -> usize {
        let query = remote_query(plan, None, Some(Vec::new()), None);
        self.table.connector.lookup_batch(&query).max(1)
    }

    /// Adds columns to what a plan reads.
    pub fn add_outputs(&self, plan: &mut ScanPlan, attributes: &[i16]) {
        let columns = attributes
            .iter()
            .filter_map(|attribute| self.table.column(*attribute));
        plan.outputs.extend(columns.map(|column| Output {
            attribute: column.number,
            facts: column.facts.clone(),
            type_oid: column.type_oid.to_u32(),
            type_modifier: column.type_modifier,
        }));
    }

    fn estimate_calls(&self, plan: &ScanPlan) -> f64 {
        let keys = plan.lookup.as_ref().map(|_| Vec::new());
        let query = remote_query(plan, None, keys, None);
        self.table
            .connector
            .estimate_calls(&query, plan.estimated_rows)
    }
}

/// A scan of records by identifier, for what nobody planned: reading back what was written.
pub fn lookup_plan(table: &CollectedTable, attributes: &[i16], ids: Vec<String>) -> ScanPlan {
    let mut plan = TablePlan::new(table, 0, &[]);
    let n_ids = ids.len() as f64;
    plan.lookup = Some(Operand::Constant(Value::List(
        ids.into_iter().map(Value::Text).collect(),
    )));
    plan.scan(attributes, Vec::new(), None, n_ids)
}

/// The planned query with its filter, identifiers and limit in place.
pub fn remote_query(
    plan: &ScanPlan,
    filter: Option<Filter<Value>>,
    lookup: Option<Vec<String>>,
    limit: Option<u64>,
) -> RemoteQuery {
    RemoteQuery {
        object: plan.object.clone(),
        collection: plan.collection.clone(),
        fields: plan
            .outputs
            .iter()
            .map(|output| QueryField {
                name: output.facts.name.clone(),
                remote_type: output.facts.remote_type.clone(),
                column_type: output.facts.column_type,
                conversion: output.facts.conversion,
            })
            .collect(),
        identifier: plan.identifier.clone(),
        filter,
        lookup,
        sort: plan.sort.clone(),
        limit,
        aggregates: plan.aggregates.clone(),
        page_size: plan.fetch_size,
    }
}

/// The planned query as EXPLAIN shows it before anything ran: parameters by their number; in the dialect of the account
/// where one is known.
///
/// # Errors
/// When the connector cannot say it.
pub fn shown_query(
    plan: &ScanPlan,
    table: &CollectedTable,
    dialect: Option<&Dialect>,
) -> crm_core::Result<String> {
    let n_parameters = plan.filter.as_ref().map_or(0, highest_parameter);
    let placeholders: Vec<_> = (1..=n_parameters)
        .map(|number| Some(Value::Placeholder(number)))
        .collect();
    let filter = match &plan.filter {
        None => None,
        Some(filter) => match bind(filter, &placeholders, &plan.filter_fields, table.connector) {
            Bound::Never => return Ok("none: no record can match".into()),
            Bound::Always { .. } => None,
            Bound::Filter { filter, .. } => Some(filter),
        },
    };
    let (filter, lookup) = match &plan.lookup {
        None => (filter, None),
        Some(Operand::Constant(value)) => (None, Some(identifiers(value))),
        Some(Operand::Parameter { index, .. }) => {
            let identified = Filter::In {
                field: plan.identifier.clone(),
                values: Value::Placeholder(index + 1),
            };
            (Some(identified), None)
        }
    };
    let query = remote_query(plan, filter, lookup, plan.limit);
    match dialect {
        Some(dialect) => (dialect.deparse)(&query),
        None => table.connector.deparse(&query),
    }
}

/// The identifiers that a value or a list of them names, as they travel.
pub fn identifiers(value: &Value) -> Vec<String> {
    let values = match value {
        Value::List(values) => values.as_slice(),
        one => std::slice::from_ref(one),
    };
    let named = values.iter().filter_map(Value::identifier);
    named.map(Cow::into_owned).collect()
}

fn highest_parameter(filter: &Filter<Operand>) -> usize {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            parts.iter().map(highest_parameter).max().unwrap_or(0)
        }
        Filter::Compare { value: operand, .. }
        | Filter::In {
            values: operand, ..
        }
        | Filter::Like {
            pattern: operand, ..
        } => match operand {
            Operand::Parameter { index, .. } => index + 1,
            Operand::Constant(_) => 0,
        },
        Filter::IsNull { .. } | Filter::IsNotNull { .. } => 0,
    }
}

fn names(filter: &Filter<Operand>, name: &str) -> bool {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(|part| names(part, name)),
        Filter::Compare { field, .. }
        | Filter::In { field, .. }
        | Filter::Like { field, .. }
        | Filter::IsNull { field }
        | Filter::IsNotNull { field } => field == name,
    }
}
