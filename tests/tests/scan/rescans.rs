//! Scans that run more than once in a plan, and plans that run more than once: each time with the right values.

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, for_each_crm};

for_each_crm!(
    a_generic_plan_runs_with_new_values_each_time,
    a_cached_plan_follows_altered_options,
    the_inner_side_of_a_nested_loop_is_read_anew,
    correlated_subqueries_get_the_value_of_their_row,
    a_join_to_local_identifiers_costs_batches_not_rows,
    loops_and_subtransactions_survive_what_fails_inside,
    a_cursor_with_hold_and_a_scrolling_one_give_every_row,
);

async fn accounts(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(crm, label, Config::default()).await;
    bench.collect(&["account", "opportunity"]).await;
    bench.copy(&["account", "opportunity"]).await;
    bench
}

/// Runs the statement on the foreign tables and on their copies; the rows are the same.
async fn same_as_local(bench: &Bench, sql: &str) {
    let foreign = bench.db.rows(sql).await;
    let local = sql
        .replace("account", "account_copy")
        .replace("opportunity", "opportunity_copy")
        // Column names hold the words too.
        .replace("account_copyid", "accountid");
    assert_eq!(foreign, bench.db.rows(&local).await, "{sql}");
    assert!(!foreign.is_empty(), "says nothing: {sql}");
}

async fn a_generic_plan_runs_with_new_values_each_time(crm: &'static Crm) {
    let bench = accounts(crm, "generic").await;
    bench
        .db
        .run("SET plan_cache_mode = force_generic_plan")
        .await;
    let key_type = crm.identifiers.sql_type;
    let key_types = &format!("{key_type}[]");
    for (name, types, condition) in [
        ("number", "numeric", "annualrevenue > $1"),
        ("whole", "int", "numberofemployees = $1"),
        ("list", "int[]", "numberofemployees = ANY ($1)"),
        ("key", key_type, "id = $1"),
        ("keys", key_types, "id = ANY ($1)"),
        ("moment", "timestamptz", "createddate >= $1"),
        ("day", "date", "createddate < $1"),
    ] {
        for table in ["account", "account_copy"] {
            bench
                .db
                .run(&format!(
                    "PREPARE {name}_{table} ({types}) AS
                     SELECT id, name FROM {table} WHERE {condition} ORDER BY id"
                ))
                .await;
        }
    }
    let ids = bench
        .db
        .column("SELECT id FROM account_copy ORDER BY name LIMIT 20")
        .await;
    let mut rows = 0;
    for round in 0..20 {
        for (name, value) in [
            ("number", format!("{}", round * 50_000)),
            ("whole", format!("{}", round * 10)),
            ("list", format!("'{{{},NULL,{}}}'", round, round * 100)),
            ("key", format!("'{}'", ids[round])),
            (
                "keys",
                format!(
                    "'{{{},{},{}}}'",
                    ids[round],
                    ids[(round + 7) % 20],
                    crm.identifiers.no_account
                ),
            ),
            (
                "moment",
                format!("'2023-01-01'::timestamptz + '{round} months'::interval"),
            ),
            ("day", format!("'2023-02-01'::date + {round} * 30")),
            ("number", "NULL".to_owned()),
            ("keys", "NULL".to_owned()),
        ] {
            let foreign = bench
                .db
                .rows(&format!("EXECUTE {name}_account ({value})"))
                .await;
            let local = bench
                .db
                .rows(&format!("EXECUTE {name}_account_copy ({value})"))
                .await;
            assert_eq!(foreign, local, "{name} {value}");
            rows += foreign.len();
        }
    }
    assert!(rows > 1_000, "{rows}");
    bench.finish().await;
}

async fn a_cached_plan_follows_altered_options(crm: &'static Crm) {
    let bench = accounts(crm, "altered").await;
    bench
        .db
        .run("SET plan_cache_mode = force_generic_plan")
        .await;
    bench
        .db
        .run("PREPARE q (numeric) AS SELECT count(name) FROM account WHERE annualrevenue > $1")
        .await;
    let filters = async || {
        let queries = bench.remote_queries("EXECUTE q (1000)").await;
        (crm.queries.filters)(&queries[0])
    };
    let before = bench.db.value("EXECUTE q (1000)").await;
    assert!(filters().await);
    bench
        .db
        .run("ALTER FOREIGN TABLE account OPTIONS (ADD pushdown 'off')")
        .await;
    assert_eq!(bench.db.value("EXECUTE q (1000)").await, before);
    assert!(!filters().await);
    bench.finish().await;
}

async fn the_inner_side_of_a_nested_loop_is_read_anew(crm: &'static Crm) {
    let bench = accounts(crm, "nested").await;
    bench
        .db
        .run(
            "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_material = off;
             SET enable_memoize = off;
             CREATE TABLE sizes AS SELECT n FROM generate_series(10, 500, 70) AS n;
             ANALYZE sizes",
        )
        .await;
    let sql = "SELECT n, count(name) FROM sizes LEFT JOIN account ON numberofemployees BETWEEN n AND n + 60
               GROUP BY n ORDER BY n";
    let plan = bench.plan("", sql).await.to_string();
    assert!(
        plan.contains("Nested Loop") && !plan.contains("Materialize"),
        "{plan}"
    );
    same_as_local(&bench, sql).await;
    // One page is kept for the next round, several are asked for again.
    let accounts = bench.db.value("SELECT count(*) FROM account_copy").await;
    let accounts: u64 = accounts.parse().expect("a number");
    let rounds = match accounts.div_ceil(crm.queries.page) {
        1 => 1,
        pages => pages * 8,
    };
    bench.admin.clear_counters().await;
    bench.db.rows(sql).await;
    assert_eq!(bench.admin.data_calls().await, rounds);
    bench
        .db
        .run(&format!(
            "ALTER FOREIGN TABLE account OPTIONS (ADD fetch_size '{}')",
            crm.queries.page / 10
        ))
        .await;
    same_as_local(&bench, sql).await;
    let semi = "SELECT n FROM sizes WHERE EXISTS (SELECT FROM account WHERE numberofemployees > n) ORDER BY n";
    same_as_local(&bench, semi).await;
    bench.finish().await;
}

async fn correlated_subqueries_get_the_value_of_their_row(crm: &'static Crm) {
    let bench = accounts(crm, "correlated").await;
    bench
        .db
        .run("CREATE TABLE bounds AS SELECT b FROM generate_series(0, 2000000, 250000) AS b")
        .await;
    for sql in [
        "SELECT b, (SELECT count(name) FROM account WHERE annualrevenue > b) FROM bounds ORDER BY b",
        "SELECT b, (SELECT max(annualrevenue) FROM account WHERE annualrevenue < b) FROM bounds ORDER BY b",
        "SELECT b, n FROM bounds, LATERAL (SELECT name AS n FROM account WHERE annualrevenue > b ORDER BY name LIMIT 2) AS l
         ORDER BY 1, 2",
        "SELECT name FROM account a WHERE (SELECT count(amount) FROM opportunity o WHERE o.accountid = a.id) > 2
         AND name < 'D' ORDER BY name",
        "SELECT count(name) FROM account WHERE annualrevenue > (SELECT avg(annualrevenue) FROM account)",
        "SELECT count(name) FROM account WHERE createddate > (SELECT min(closedate) FROM opportunity)",
    ] {
        same_as_local(&bench, sql).await;
    }
    bench.finish().await;
}

async fn a_join_to_local_identifiers_costs_batches_not_rows(crm: &'static Crm) {
    let bench = accounts(crm, "population").await;
    bench
        .db
        .run("CREATE TABLE population AS SELECT id FROM account_copy ORDER BY name LIMIT 300; ANALYZE population")
        .await;
    for sql in [
        "SELECT count(name) FROM account WHERE id IN (SELECT id FROM population)",
        "SELECT count(name) FROM population JOIN account USING (id)",
    ] {
        bench.admin.clear_counters().await;
        assert_eq!(bench.db.value(sql).await, "300", "{sql}");
        let calls = bench.admin.data_calls().await;
        assert!(
            calls <= 1 + 300u64.div_ceil(crm.queries.lookup),
            "{sql}: {calls} calls"
        );
    }
    bench.finish().await;
}

async fn loops_and_subtransactions_survive_what_fails_inside(crm: &'static Crm) {
    let bench = accounts(crm, "loops").await;
    bench
        .db
        .run(
            "CREATE FUNCTION walk() RETURNS text LANGUAGE plpgsql AS $$
             DECLARE
                 row record;
                 n_rows int := 0;
                 n_caught int := 0;
                 inner_count int;
             BEGIN
                 FOR row IN SELECT name, numberofemployees FROM account ORDER BY name LOOP
                     n_rows := n_rows + 1;
                     CONTINUE WHEN n_rows % 400 <> 0;
                     BEGIN
                         -- Fails while both scans are open.
                         PERFORM 1 / (length(name) - length(name)) FROM account;
                     EXCEPTION WHEN division_by_zero THEN
                         n_caught := n_caught + 1;
                     END;
                     SELECT count(*) INTO inner_count FROM account WHERE numberofemployees > 5;
                     EXIT WHEN inner_count = 0;
                 END LOOP;
                 RETURN n_rows || ' ' || n_caught || ' ' || inner_count;
             END $$",
        )
        .await;
    let expected = bench
        .db
        .value(
            "SELECT count(*) || ' ' || count(*) / 400 || ' ' || count(*) FILTER (WHERE numberofemployees > 5)
             FROM account_copy",
        )
        .await;
    for _ in 0..3 {
        assert_eq!(bench.db.value("SELECT walk()").await, expected);
    }
    // A cursor opened before a savepoint goes on after what failed behind it.
    bench
        .db
        .run("BEGIN; DECLARE c CURSOR FOR SELECT id FROM account ORDER BY id; FETCH 10 FROM c; SAVEPOINT s")
        .await;
    let refusal = bench
        .db
        .refused("SELECT 1 / (length(id::text) - length(id::text)) FROM account")
        .await;
    assert_eq!(refusal.sqlstate, "22012");
    bench.db.run("ROLLBACK TO s").await;
    let next = bench.db.column("FETCH 5 FROM c").await;
    let expected = bench
        .db
        .column("SELECT id FROM account_copy ORDER BY id OFFSET 10 LIMIT 5")
        .await;
    assert_eq!(next, expected);
    bench.db.run("COMMIT").await;
    bench.finish().await;
}

async fn a_cursor_with_hold_and_a_scrolling_one_give_every_row(crm: &'static Crm) {
    let bench = accounts(crm, "cursors").await;
    let ids = bench
        .db
        .column("SELECT id FROM account_copy ORDER BY id")
        .await;
    bench
        .db
        .run("DECLARE held CURSOR WITH HOLD FOR SELECT id FROM account ORDER BY id")
        .await;
    assert_eq!(bench.db.column("FETCH ALL FROM held").await, ids);
    bench.db.run("CLOSE held").await;
    bench
        .db
        .run("BEGIN; DECLARE s SCROLL CURSOR FOR SELECT id FROM account WHERE numberofemployees IS NULL OR true")
        .await;
    let there = bench.db.column("FETCH ALL FROM s").await;
    let mut back = bench.db.column("FETCH BACKWARD ALL FROM s").await;
    back.reverse();
    assert_eq!(there, back);
    assert_eq!(there.len(), ids.len());
    assert_eq!(
        bench.db.column("FETCH ABSOLUTE 3 FROM s").await,
        [there[2].clone()]
    );
    bench.db.run("COMMIT").await;
    bench.finish().await;
}
