//! A foreign table and its local copy, asked the same.

use std::collections::BTreeMap;

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Row};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::domain::Domain;
use crate::filters::{Condition, Generator};

const MODES: [&str; 2] = ["connector", "extended"];

const ZONES: &[&str] = &["UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata"];

/// Differences shown before the test gives up.
const MOST_SHOWN: usize = 5;

/// What is tried.
pub struct Subject {
    pub bench: Bench,
    /// The foreign table; its copy has `_copy` behind the name.
    pub table: String,
    pub domain: Domain,
    pub seed: u64,
}

/// A statement for either table, in a session with this time zone.
pub struct Case {
    pub zone: &'static str,
    pub generic: bool,
    pub condition: Condition,
    /// The statement; `{table}` stands for the table, `{where}` for the condition.
    pub sql: String,
}

impl Subject {
    /// A table as an import makes it.
    pub async fn collected(crm: &'static Crm, table: &str, seed: u64) -> Self {
        let bench = Bench::of(crm, "differential", Config::default()).await;
        bench.collect(&[table]).await;
        Self::over(bench, table.to_owned(), seed).await
    }

    /// Fields read into other types than an import chooses, from an account in another time zone.
    pub async fn handmade(crm: &'static Crm, seed: u64) -> Self {
        let bench = Bench::of(crm, "handmade", Config::default()).await;
        bench
            .db
            .run(&format!(
                "ALTER SERVER {0} OPTIONS (ADD time_zone 'America/New_York');
                 CREATE FOREIGN TABLE handmade ({1}) SERVER {0} OPTIONS (object '{2}')",
                bench.name, crm.handmade.columns, crm.handmade.object
            ))
            .await;
        Self::over(bench, "handmade".into(), seed).await
    }

    async fn over(bench: Bench, table: String, seed: u64) -> Self {
        bench.copy(&[&table]).await;
        bench
            .db
            .run(&format!(
                "ALTER FOREIGN TABLE {table} OPTIONS (ADD pushdown 'off');
                 CREATE TABLE points (whole int, decimal numeric, day date, moment timestamptz);
                 INSERT INTO points VALUES
                     (17, 300, '2024-02-29', '2024-01-31 23:59:59.999+00'), (0, 0.1, '2000-01-01', '2023-06-01 00:00:00.5+00'),
                     (-1, 1e6, '2024-06-30', '2024-08-15 12:00:00+00'), (NULL, NULL, NULL, NULL);
                 ANALYZE points"
            ))
            .await;
        let domain = Domain::of(&bench.db, &format!("{table}_copy")).await;
        Self {
            bench,
            table,
            domain,
            seed,
        }
    }

    /// Tries `count` random filters in both modes.
    pub async fn filters(&self, count: usize) {
        let mut random = StdRng::seed_from_u64(self.seed);
        let cases: Vec<Case> = (0..count)
            .map(|_| self.case(&mut random, "SELECT id FROM {table} WHERE {where}"))
            .collect();
        let queries = &self.bench.crm.queries;
        let sent = self.compare(&cases, true, queries.filters);
        for ((mode, least), sent) in MODES.iter().zip(queries.sent).zip(sent.await) {
            let share = sent as f64 / count as f64;
            println!(
                "measured: {} {mode}: of {count} filters, something of {:.0} % was sent",
                self.table,
                share * 100.0
            );
            assert!(share >= least, "{} {mode}: {share}", self.table);
        }
    }

    /// A statement with a random condition.
    pub fn case(&self, random: &mut StdRng, sql: &str) -> Case {
        let condition = Generator::new(random, &self.domain).condition();
        Case {
            zone: ZONES.choose(random).expect("zones"),
            generic: [true, false].choose(random) == Some(&true),
            condition,
            sql: sql.to_owned(),
        }
    }

    /// Runs all cases on the copy and, in each mode, on the foreign table: the same rows, in any order if `unordered`.
    /// Gives for each mode how many remote queries `counts` accepts.
    /// What the CRM was sent is read by somebody else's parser too, where there is one.
    pub async fn compare(
        &self,
        cases: &[Case],
        unordered: bool,
        counts: fn(&str) -> bool,
    ) -> Vec<usize> {
        let copy = format!("{}_copy", self.table);
        let mut expected = Vec::new();
        for case in cases {
            let rows = self.answer(case, &copy, unordered).await;
            expected.push(
                rows.unwrap_or_else(|told| panic!("the generator made a failing one: {told}")),
            );
        }
        let found: usize = expected.iter().filter(|rows| !rows.is_empty()).count();
        assert!(
            found * 4 > cases.len(),
            "{found} of {} find a row",
            cases.len()
        );
        let mut counted = Vec::new();
        let mut differing: Vec<String> = Vec::new();
        let explained_as = self.bench.crm.explained_as();
        for mode in MODES {
            self.bench.admin.clear_counters().await;
            let alter = format!(
                "ALTER FOREIGN TABLE {} OPTIONS (SET pushdown '{mode}')",
                self.table
            );
            self.bench.db.run(&alter).await;
            let mut n_counted = 0;
            for (case, expected) in cases.iter().zip(&expected) {
                let plan = self.explain(case).await;
                let query = scan_of(&plan).and_then(|scan| scan[&explained_as].as_str());
                n_counted += usize::from(query.is_some_and(counts));
                let got = self.answer(case, &self.table, unordered).await;
                if got.as_ref() != Ok(expected) && differing.len() < MOST_SHOWN {
                    differing.push(format!(
                        "{mode} {}\n  {}\n  {}\n  {}",
                        case.zone,
                        statement(case, &self.table),
                        query.unwrap_or_default(),
                        difference(expected, got)
                    ));
                }
            }
            counted.push(n_counted);
            if let Some(read) = self.bench.crm.queries.read_elsewhere {
                let n_read = read(&self.bench.admin.requests().await);
                println!(
                    "measured: {} {mode}: another parser reads {n_read} different conditions",
                    self.table
                );
                assert!(
                    !unordered || n_read * 4 > cases.len(),
                    "{} {mode}: {n_read}",
                    self.table
                );
            }
        }
        assert!(
            differing.is_empty(),
            "seed {}\n{}",
            self.seed,
            differing.join("\n")
        );
        counted
    }

    async fn answer(&self, case: &Case, table: &str, unordered: bool) -> Result<Vec<Row>, String> {
        let (prepare, execute) = prepared(case, table);
        let db = &self.bench.db;
        db.run(&settings(case)).await;
        let prepared = db.try_rows(&prepare).await;
        let rows = match prepared {
            Ok(_) => db.try_rows(&execute).await,
            Err(refusal) => Err(refusal),
        };
        db.run("DEALLOCATE ALL").await;
        let mut rows = rows.map_err(|told| format!("{prepare}\n{execute}\n{told:?}"))?;
        if unordered {
            rows.sort();
        }
        Ok(rows)
    }

    async fn explain(&self, case: &Case) -> serde_json::Value {
        let (prepare, execute) = prepared(case, &self.table);
        let db = &self.bench.db;
        db.run(&format!("{}; {prepare}", settings(case))).await;
        let plan = self.bench.plan(", VERBOSE, COSTS OFF", &execute).await;
        db.run("DEALLOCATE ALL").await;
        plan
    }

    /// Ends the test.
    pub async fn finish(self) {
        self.bench
            .db
            .run("RESET timezone; RESET plan_cache_mode")
            .await;
        self.bench.finish().await;
    }
}

fn settings(case: &Case) -> String {
    let mode = if case.generic { "generic" } else { "custom" };
    format!(
        "SET timezone = '{}'; SET plan_cache_mode = force_{mode}_plan",
        case.zone
    )
}

fn statement(case: &Case, table: &str) -> String {
    case.sql
        .replace("{table}", table)
        .replace("{where}", &case.condition.sql)
}

fn prepared(case: &Case, table: &str) -> (String, String) {
    let parameters = &case.condition.parameters;
    let (types, values): (Vec<_>, Vec<_>) = parameters.iter().cloned().unzip();
    let list = |items: String| {
        if items.is_empty() {
            items
        } else {
            format!(" ({items})")
        }
    };
    (
        format!(
            "PREPARE tried{} AS {}",
            list(types.join(", ")),
            statement(case, table)
        ),
        format!("EXECUTE tried{}", list(values.join(", "))),
    )
}

/// The foreign scan of a plan.
fn scan_of(plan: &serde_json::Value) -> Option<&serde_json::Value> {
    if plan["Node Type"] == "Foreign Scan" {
        return Some(plan);
    }
    plan["Plans"].as_array()?.iter().find_map(scan_of)
}

fn difference(expected: &[Row], got: Result<Vec<Row>, String>) -> String {
    let got = match got {
        Ok(got) => got,
        Err(told) => return told,
    };
    let mut balance: BTreeMap<&Row, i64> = BTreeMap::new();
    for row in expected {
        *balance.entry(row).or_default() -= 1;
    }
    for row in &got {
        *balance.entry(row).or_default() += 1;
    }
    let side = |wanted: fn(i64) -> bool| {
        let rows = balance
            .iter()
            .filter(|(_, n)| wanted(**n))
            .map(|(row, _)| *row);
        rows.take(3).collect::<Vec<_>>()
    };
    format!(
        "{} rows, {} expected; missing {:?}; too many {:?}",
        got.len(),
        expected.len(),
        side(|n| n < 0),
        side(|n| n > 0)
    )
}
