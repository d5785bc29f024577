//! Random joins on identifiers, by lookup, by scan and as the planner chooses: the rows of local copies each time.
//! Everything random comes from fixed seeds.

use crm_tests::{Bench, Crm, Row, SALESFORCE, for_each_crm};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::places::with_references;
use crate::{AS_IT_COMES, BY_LOOKUP, BY_SCAN, NODE};

for_each_crm!(every_plan_gives_the_rows_of_local_tables);

/// Random joins; the plans are the same for every CRM, so one is tried more than the others.
fn n_seeds(crm: &Crm) -> u64 {
    if crm.name == SALESFORCE.name { 300 } else { 60 }
}

/// A statement under construction; `{account}` and `{opportunity}` stand for the tables.
struct Statement<'a> {
    random: &'a mut StdRng,
    from: String,
    columns: Vec<String>,
    conditions: Vec<String>,
    /// The canonical form of an identifier.
    canonical: &'static str,
    /// Names of joined opportunities, which name accounts.
    opportunities: Vec<String>,
}

impl Statement<'_> {
    fn pick(&mut self, from: &[&str]) -> String {
        (*from.choose(self.random).expect("a choice")).to_owned()
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    /// Joins one more table under the name `t`.
    fn join(&mut self, t: &str) {
        let is_account = self.chance(65);
        let (table, key, more) = if is_account {
            let mut keys = vec![
                "l.acc".to_owned(),
                self.canonical.replace("{id}", "l.acc"),
                "coalesce(l.acc, l.opp)".to_owned(),
                "(SELECT k.acc FROM refs AS k WHERE k.note = l.note ORDER BY k.n LIMIT 1)"
                    .to_owned(),
            ];
            keys.extend(self.opportunities.iter().map(|o| format!("{o}.accountid")));
            let key = keys.choose(self.random).expect("a key").clone();
            let table = self.pick(&[
                "{account}",
                "{account}",
                "(SELECT id, name, coalesce(industry, 'none') AS industry, annualrevenue FROM {account})",
                "(SELECT id, upper(name) AS name, industry, annualrevenue FROM {account} WHERE annualrevenue > 1000)",
            ]);
            let more = self.pick(&[
                "",
                "",
                " AND {t}.annualrevenue > 1e6",
                " AND {t}.name > l.note",
                " AND l.n < 250",
                " AND {t}.industry IS NOT NULL",
                " AND ({t}.industry = 'none' OR l.n % 2 = 0)",
                " AND EXISTS (SELECT FROM refs AS k WHERE k.n = l.n + 1 AND k.note <> {t}.name)",
            ]);
            self.columns
                .push(self.random_column(t, &["name", "industry", "annualrevenue", "id"]));
            (table, key, more)
        } else {
            let table = self.pick(&[
                "{opportunity}",
                "{opportunity}",
                "(SELECT id, accountid, name, amount * 2 AS amount, 'x' || name AS named FROM {opportunity})",
            ]);
            let more = self.pick(&[
                "",
                "",
                " AND {t}.amount > 1000",
                " AND {t}.amount > l.n * 100",
                " AND l.n % 5 < 3",
            ]);
            self.opportunities.push(t.to_owned());
            self.columns
                .push(self.random_column(t, &["name", "amount", "accountid"]));
            (table, "l.opp".to_owned(), more)
        };
        let kind = self.pick(&[
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "FULL JOIN",
        ]);
        // The server has no way to do a full join by anything but its equalities.
        let more = if kind == "FULL JOIN" {
            String::new()
        } else {
            more
        };
        let (kind, key) = if key.starts_with("(SELECT") && kind == "FULL JOIN" {
            ("JOIN".to_owned(), key)
        } else {
            (kind, key)
        };
        let sides = if self.chance(50) {
            format!("{t}.id = {key}")
        } else {
            format!("{key} = {t}.id")
        };
        self.from.push_str(&format!(
            " {kind} {table} AS {t} ON {sides}{}",
            more.replace("{t}", t)
        ));
        if self.chance(40) {
            let condition = self.pick(&[
                "{t}.id IS NULL",
                "{t}.name IS NOT NULL",
                "coalesce({t}.name, 'none') < 'P'",
                "({t}.name > 'D' OR l.n < 100)",
                "{t}.name IS DISTINCT FROM l.note",
            ]);
            self.conditions.push(condition.replace("{t}", t));
        }
    }

    fn random_column(&self, t: &str, names: &[&str]) -> String {
        let name = names[self.columns.len() % names.len()];
        match self.columns.len() % 3 {
            0 => format!("{t}.{name}"),
            1 => format!("coalesce({t}.{name}::text, '-')"),
            _ => format!("({t}.id IS NULL, {t}.{name})::text"),
        }
    }

    fn sql(mut self) -> String {
        for at in 0..self.random.random_range(0..4) {
            self.join(&format!("t{at}"));
        }
        if self.chance(50) || self.columns.len() == 1 {
            let condition = self.pick(&[
                "EXISTS (SELECT FROM {account} AS x WHERE x.id = l.acc)",
                "EXISTS (SELECT FROM {account} AS x WHERE x.id = l.acc AND x.name > l.note)",
                "NOT EXISTS (SELECT FROM {account} AS x WHERE x.id = l.acc AND x.annualrevenue > 1e6)",
                "NOT EXISTS (SELECT FROM {opportunity} AS x WHERE x.id = l.opp)",
                "l.acc IN (SELECT id FROM {account} WHERE name > 'F')",
                "l.opp IN (SELECT o.id FROM {opportunity} AS o JOIN {account} AS a ON a.id = o.accountid WHERE a.name > 'F')",
                "(SELECT max(x.name) FROM refs AS k JOIN {account} AS x ON x.id = k.acc WHERE k.n = l.n) > 'C'",
            ]);
            self.conditions.push(condition);
        }
        let conditions = if self.conditions.is_empty() {
            "true".to_owned()
        } else {
            self.conditions.join(" AND ")
        };
        let columns = self.columns.join(", ");
        let from = &self.from;
        match self.random.random_range(0..8) {
            0 => format!("SELECT count(*), min(l.note), sum(l.n) FROM {from} WHERE {conditions}"),
            1 => format!("SELECT DISTINCT l.note FROM {from} WHERE {conditions}"),
            2 => format!(
                "SELECT g, s.* FROM generate_series(1, 3) AS g, LATERAL (SELECT {columns} FROM {from} WHERE {conditions} AND l.n % 3 < g) AS s"
            ),
            3 => format!(
                "SELECT x.id, x.name FROM {{account}} AS x WHERE x.id IN (SELECT l.acc FROM {from} WHERE {conditions})"
            ),
            4 => format!("SELECT {columns} FROM {from} WHERE {conditions} AND l.n < $1"),
            _ => format!("SELECT {columns} FROM {from} WHERE {conditions}"),
        }
    }
}

fn statement(crm: &Crm, seed: u64) -> String {
    let mut random = StdRng::seed_from_u64(seed);
    let from = [
        "refs AS l",
        "(SELECT * FROM refs WHERE n % 3 <> 1 ORDER BY note, n) AS l",
    ]
    .choose(&mut random)
    .expect("a choice");
    Statement {
        from: (*from).to_owned(),
        columns: vec!["l.n".to_owned()],
        conditions: Vec::new(),
        opportunities: Vec::new(),
        canonical: crm.identifiers.canonical,
        random: &mut random,
    }
    .sql()
}

/// Its rows, sorted, over the copies or over the foreign tables.
async fn answer(bench: &Bench, sql: &str) -> Result<Vec<Row>, String> {
    let rows = if sql.contains("$1") {
        bench
            .db
            .run(&format!(
                "SET plan_cache_mode = force_generic_plan; PREPARE tried (int) AS {sql}"
            ))
            .await;
        let rows = bench.db.try_rows("EXECUTE tried (150)").await;
        bench
            .db
            .run("DEALLOCATE tried; RESET plan_cache_mode")
            .await;
        rows
    } else {
        bench.db.try_rows(sql).await
    };
    let mut rows = rows.map_err(|refusal| format!("{refusal:?}"))?;
    rows.sort();
    Ok(rows)
}

async fn uses_lookup(bench: &Bench, sql: &str) -> bool {
    let explained = sql.replace("$1", "150");
    bench.plan("", &explained).await.to_string().contains(NODE)
}

async fn every_plan_gives_the_rows_of_local_tables(crm: &'static Crm) {
    let bench = with_references(crm, "join_random").await;
    let mut n_lookups = 0;
    let mut n_found = 0;
    let mut differing = Vec::new();
    let n_seeds = n_seeds(crm);
    for seed in 0..n_seeds {
        let sql = statement(crm, seed);
        let foreign = sql
            .replace("{account}", "account")
            .replace("{opportunity}", "opportunity");
        let local = sql
            .replace("{account}", "account_copy")
            .replace("{opportunity}", "opportunity_copy");
        bench.db.run(AS_IT_COMES).await;
        let expected = match answer(&bench, &local).await {
            Ok(rows) => rows,
            Err(refusal) => panic!("the generator made a failing one: {local}\n{refusal}"),
        };
        n_found += usize::from(!expected.is_empty());
        for settings in [BY_LOOKUP, BY_SCAN, AS_IT_COMES] {
            bench.db.run(settings).await;
            if settings == BY_LOOKUP {
                n_lookups += usize::from(uses_lookup(&bench, &foreign).await);
            }
            let got = answer(&bench, &foreign).await;
            if got.as_ref() != Ok(&expected) {
                let got = got.map(|rows| rows.len());
                differing.push(format!(
                    "seed {seed}, {settings}: {got:?} of {}\n{foreign}",
                    expected.len()
                ));
            }
        }
    }
    assert!(
        differing.is_empty(),
        "{} differ\n{}",
        differing.len(),
        differing[..differing.len().min(5)].join("\n\n")
    );
    println!(
        "measured: of {n_seeds} random joins {n_found} find rows, {n_lookups} plans look records up"
    );
    assert!(n_found * 10 > n_seeds as usize * 7, "{n_found} find rows");
    assert!(n_lookups * 10 > n_seeds as usize * 8, "{n_lookups} look up");
    bench.finish().await;
}
