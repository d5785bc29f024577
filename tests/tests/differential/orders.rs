//! ORDER BY with LIMIT, and aggregates: the same values in the same order as from the copy. Rows with equal keys may
//! come in any order, so keys are compared, not rows.

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::domain::{Column, Kind};
use crate::harness::{Case, Subject};
use crate::literals::pick;

impl Subject {
    /// Tries `count` random orders in both modes.
    pub async fn orders(&self, count: usize) {
        let mut random = StdRng::seed_from_u64(self.seed * 1_000 + 1);
        let columns = self.domain.of_kinds(Kind::is_ordered);
        let cases: Vec<Case> = (0..count)
            .map(|_| {
                let n_keys = random.random_range(1..3);
                let keys: Vec<_> = (0..n_keys)
                    .map(|_| {
                        let column = pick(&mut random, &columns);
                        let direction = pick(&mut random, &["ASC", "DESC"]);
                        let nulls = pick(&mut random, &["", " NULLS FIRST", " NULLS LAST"]);
                        (column, format!("{} {direction}{nulls}", column.name))
                    })
                    .collect();
                let order: Vec<_> = keys.iter().map(|key| key.1.as_str()).collect();
                let names: Vec<_> = keys
                    .iter()
                    .enumerate()
                    .map(|(at, key)| format!("{} AS k{at}", key.0.name))
                    .collect();
                let shown: Vec<_> = keys
                    .iter()
                    .enumerate()
                    .map(|(at, key)| shown(key.0, &format!("k{at}")))
                    .collect();
                let limit = random.random_range(1..40);
                let filter = if random.random_bool(0.3) { " WHERE {where}" } else { "" };
                let sql = format!(
                    "SELECT {} FROM (SELECT {} FROM {{table}}{filter} ORDER BY {} LIMIT {limit}) AS t",
                    shown.join(", "),
                    names.join(", "),
                    order.join(", ")
                );
                self.case_with(&mut random, &sql)
            })
            .collect();
        let queries = &self.bench.crm.queries;
        let sorted = self.compare(&cases, false, queries.sorts).await;
        println!("{}: of {count} orders {sorted:?} are the CRM's", self.table);
        let expected = |sorted: &usize| match queries.takes_orders {
            true => *sorted as f64 > queries.orders_sent * count as f64,
            false => *sorted == 0,
        };
        assert!(sorted.iter().all(expected), "{sorted:?}");
    }

    /// Tries `count` random aggregates in both modes.
    pub async fn aggregates(&self, count: usize) {
        let mut random = StdRng::seed_from_u64(self.seed * 1_000 + 2);
        let columns = self.domain.of_kinds(Kind::is_ordered);
        let cases: Vec<Case> = (0..count)
            .map(|_| {
                let column = pick(&mut random, &columns);
                let value = |function: &str| shown(column, &format!("{function}({})", column.name));
                let list = match random.random_range(0..6) {
                    0 | 1 => "count(*)".to_owned(),
                    2 => value("min"),
                    3 => format!("{}, {}", value("max"), value("min")),
                    4 => format!("count(*), {}", value("max")),
                    _ => format!("count({})", column.name),
                };
                let filter = if random.random_bool(0.6) {
                    " WHERE {where}"
                } else {
                    ""
                };
                let sql = format!("SELECT {list} FROM {{table}}{filter}");
                self.case_with(&mut random, &sql)
            })
            .collect();
        let queries = &self.bench.crm.queries;
        let computed = self.compare(&cases, false, queries.aggregates).await;
        println!(
            "{}: of {count} aggregates {computed:?} are the CRM's",
            self.table
        );
        assert!(
            computed
                .iter()
                .all(|computed| (*computed > 0) == queries.takes_aggregates),
            "{computed:?}"
        );
    }

    /// A case whose condition has no parameters where the statement does not hold it.
    fn case_with(&self, random: &mut StdRng, sql: &str) -> Case {
        let mut case = self.case(random, sql);
        if !sql.contains("{where}") {
            case.condition.parameters.clear();
        }
        case
    }
}

/// Equal numbers look alike, however many zeros they were sent with.
fn shown(column: &Column, value: &str) -> String {
    match column.kind {
        Kind::Numeric => format!("trim_scale({value})"),
        _ => value.to_owned(),
    }
}
