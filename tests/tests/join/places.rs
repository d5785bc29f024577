//! Where in a statement such a join can stand, and how often it runs: the rows are those of local tables.

use std::time::Duration;

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Database, for_each_crm, until};

use crate::{BY_LOOKUP, NODE, lookups_in};

for_each_crm!(
    every_place_in_a_statement,
    a_generic_plan_and_a_cursor_run_it_again_and_again,
    a_local_table_is_updated_and_thinned_out_from_records,
    records_are_written_from_a_local_table,
    a_row_that_another_session_changed_is_joined_anew,
    the_owner_of_a_view_reads_for_its_users
);

/// Accounts, opportunities, copies of both, and a local table that names some of them: some twice, some not at all.
pub async fn with_references(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(crm, label, Config::default()).await;
    bench.collect(&["account", "opportunity"]).await;
    bench.copy(&["account", "opportunity"]).await;
    let identifiers = &crm.identifiers;
    let variant = identifiers.variant.replace("{id}", "a.id");
    let (nonsense, nobody) = (identifiers.nonsense, identifiers.no_account);
    bench
        .db
        .run(&format!(
            "CREATE TABLE refs AS
             SELECT n::int, CASE WHEN n % 10 = 3 THEN NULL WHEN n % 19 = 4 THEN {variant} WHEN n % 17 = 5 THEN {nonsense}
                 WHEN n % 23 = 6 THEN '{nobody}' ELSE a.id END AS acc,
                 CASE WHEN n % 7 <> 2 THEN o.id END AS opp, chr(65 + n::int % 26) AS note
             FROM generate_series(1, 400) AS n
             LEFT JOIN (SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS k FROM account_copy) AS a ON a.k = n % 150
             LEFT JOIN (SELECT id, row_number() OVER (ORDER BY md5(id::text)) AS k FROM opportunity_copy) AS o ON o.k = n;
             ALTER TABLE refs ADD PRIMARY KEY (n);
             ANALYZE refs"
        ))
        .await;
    bench
}

/// Runs the statement on the foreign tables and on their copies: the same rows, and `n_lookups` lookup joins planned.
async fn same(bench: &Bench, n_lookups: usize, sql: &str) {
    let foreign = sql
        .replace("{account}", "account")
        .replace("{opportunity}", "opportunity");
    let local = sql
        .replace("{account}", "account_copy")
        .replace("{opportunity}", "opportunity_copy");
    assert_eq!(lookups_in(bench, &foreign).await, n_lookups, "{sql}");
    let mut rows = bench.db.rows(&foreign).await;
    let mut expected = bench.db.rows(&local).await;
    if !sql.contains("ORDER BY") {
        rows.sort();
        expected.sort();
    }
    assert!(!expected.is_empty(), "says nothing: {sql}");
    assert_eq!(rows, expected, "{sql}");
}

async fn every_place_in_a_statement(crm: &'static Crm) {
    let bench = with_references(crm, "join_places").await;
    bench.db.run(BY_LOOKUP).await;
    bench
        .db
        .run(
            "CREATE VIEW known AS SELECT id, upper(name) AS name, coalesce(industry, 'none') AS industry FROM account;
             CREATE VIEW known_copy AS SELECT id, upper(name) AS name, coalesce(industry, 'none') AS industry FROM account_copy",
        )
        .await;
    let canonical = crm.identifiers.canonical.replace("{id}", "acc");
    let by_canonical =
        format!("SELECT count(*) FROM {{account}} WHERE id IN (SELECT {canonical} FROM refs)");
    for (n_lookups, sql) in [
        (1, "SELECT n, name, annualrevenue FROM refs JOIN {account} ON id = acc"),
        (1, "SELECT n, a FROM refs LEFT JOIN {account} AS a ON id = acc AND annualrevenue > 1e6 ORDER BY n"),
        (1, "SELECT n, name FROM refs LEFT JOIN {account} ON id = acc WHERE name IS NULL OR name > note"),
        (1, "SELECT n FROM refs LEFT JOIN {account} ON id = acc WHERE id IS NULL"),
        (1, "SELECT n FROM refs WHERE NOT EXISTS (SELECT FROM {account} WHERE id = acc AND name > note)"),
        (1, "SELECT n FROM refs WHERE EXISTS (SELECT FROM {account} WHERE id = acc AND n < 200)"),
        (1, "SELECT id, name FROM {account} WHERE id IN (SELECT acc FROM refs WHERE n > 30)"),
        (1, &by_canonical),
        (2, "SELECT n, a.name, amount FROM refs JOIN {account} AS a ON a.id = acc LEFT JOIN {opportunity} AS o ON o.id = opp"),
        (2, "SELECT n, a.name, o.name FROM refs JOIN {opportunity} AS o ON o.id = opp JOIN {account} AS a ON a.id = o.accountid"),
        (2, "SELECT n, a.name, b.name FROM refs JOIN {account} AS a ON a.id = acc JOIN {account} AS b ON b.id = acc"),
        (1, "WITH w AS MATERIALIZED (SELECT n, acc, random() AS r FROM refs) SELECT n, name FROM w JOIN {account} ON id = acc WHERE r >= 0"),
        (1, "SELECT n, (SELECT name FROM refs AS k JOIN {account} ON id = acc WHERE k.n = refs.n) FROM refs ORDER BY n"),
        (1, "SELECT n, l.names FROM refs, LATERAL (SELECT count(name) AS names FROM refs AS k JOIN {account} ON id = acc
             WHERE k.n < refs.n % 9) AS l ORDER BY n"),
        (1, "SELECT name, count(*), min(n) FROM refs JOIN {account} ON id = acc GROUP BY name ORDER BY name, 2 LIMIT 20 OFFSET 3"),
        (1, "SELECT n, name FROM refs LEFT JOIN (SELECT id, coalesce(industry, 'none') AS name FROM {account}) AS s ON id = acc"),
        (1, "SELECT n, s.name, s.one FROM refs LEFT JOIN (SELECT id, name || '!' AS name, 1 AS one FROM {account}) AS s ON id = acc AND s.name > note"),
        (1, "SELECT n, name FROM refs JOIN {account} ON id = coalesce(acc, (SELECT k.acc FROM refs AS k WHERE k.note = refs.note ORDER BY k.n LIMIT 1))"),
        (1, "SELECT n, x FROM refs LEFT JOIN (SELECT k.n AS m, coalesce(name, 'none') AS x FROM refs AS k LEFT JOIN {account} ON id = acc) AS s
             ON m = n + 1 ORDER BY n, x"),
        (2, "SELECT n, a.name, o.name FROM refs LEFT JOIN ({opportunity} AS o LEFT JOIN {account} AS a ON a.id = o.accountid) ON o.id = opp"),
        (0, "SELECT n, name FROM refs RIGHT JOIN {account} ON id = acc WHERE name > 'X'"),
    ] {
        same(&bench, n_lookups, sql).await;
    }
    let view = "SELECT n, name, industry FROM refs LEFT JOIN {view} ON id = acc ORDER BY n";
    let known = bench.db.rows(&view.replace("{view}", "known")).await;
    assert_eq!(
        known,
        bench.db.rows(&view.replace("{view}", "known_copy")).await
    );
    assert_eq!(
        lookups_in(&bench, &view.replace("{view}", "known")).await,
        1
    );
    // System columns: the table's own is known, others are not of a record.
    let table = "SELECT DISTINCT a.tableoid::regclass FROM refs LEFT JOIN account AS a ON id = acc ORDER BY 1";
    assert_eq!(bench.db.column(table).await, ["account", ""]);
    bench.finish().await;
}

async fn a_generic_plan_and_a_cursor_run_it_again_and_again(crm: &'static Crm) {
    let bench = with_references(crm, "join_again").await;
    bench.db.run(BY_LOOKUP).await;
    bench
        .db
        .run("SET plan_cache_mode = force_generic_plan")
        .await;
    for table in ["account", "account_copy"] {
        bench
            .db
            .run(&format!(
                "PREPARE p_{table} (int, text) AS SELECT n, name FROM refs LEFT JOIN {table} ON id = acc AND name > $2
                 WHERE n < $1 ORDER BY n"
            ))
            .await;
    }
    assert_eq!(lookups_in(&bench, "EXECUTE p_account (5, 'a')").await, 1);
    for round in 0..7 {
        let arguments = format!("({}, '{}')", round * 40, ["A", "H", "P", "Z"][round % 4]);
        let foreign = bench
            .db
            .rows(&format!("EXECUTE p_account {arguments}"))
            .await;
        let local = bench
            .db
            .rows(&format!("EXECUTE p_account_copy {arguments}"))
            .await;
        assert_eq!(foreign, local, "{arguments}");
    }
    let fetched = |table: &str| {
        format!(
            "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT n, name FROM refs LEFT JOIN {table} ON id = acc ORDER BY n;
             FETCH 30 FROM c; FETCH BACKWARD 10 FROM c; FETCH ABSOLUTE 100 FROM c;
             SAVEPOINT s; FETCH 50 FROM c; ROLLBACK TO s; FETCH 20 FROM c; COMMIT"
        )
    };
    let foreign = bench.db.rows(&fetched("account")).await;
    assert_eq!(foreign, bench.db.rows(&fetched("account_copy")).await);
    assert_eq!(foreign.len(), 111);
    // The inner side of a nested loop runs again; what was fetched serves again.
    bench
        .db
        .run("SET enable_nestloop = on; SET enable_material = off; SET enable_memoize = off")
        .await;
    let again = |table: &str| {
        format!(
            "SELECT g, (SELECT count(name) FROM refs JOIN {table} ON id = acc WHERE n < g) FROM generate_series(1, 300, 10) AS g"
        )
    };
    bench.admin.clear_counters().await;
    let foreign = bench.db.rows(&again("account")).await;
    let calls = bench.admin.data_calls().await;
    assert_eq!(foreign, bench.db.rows(&again("account_copy")).await);
    assert!(calls < 30, "{calls}");
    bench.finish().await;
}

async fn a_local_table_is_updated_and_thinned_out_from_records(crm: &'static Crm) {
    let bench = with_references(crm, "join_update").await;
    bench.db.run(BY_LOOKUP).await;
    bench
        .db
        .run("CREATE TABLE other AS SELECT * FROM refs")
        .await;
    for (table, account) in [("refs", "account"), ("other", "account_copy")] {
        let sql = format!(
            "UPDATE {table} SET note = a.name FROM {account} AS a WHERE a.id = {table}.acc AND a.name > 'F';
             DELETE FROM {table} USING {account} AS a WHERE a.id = {table}.acc AND a.name < 'C'"
        );
        bench.db.run(&sql).await;
    }
    let plan = bench
        .plan(
            "",
            "UPDATE refs SET note = a.name FROM account AS a WHERE a.id = acc",
        )
        .await;
    assert!(plan.to_string().contains(NODE), "{plan}");
    let differing = "SELECT count(*) FROM (TABLE refs EXCEPT TABLE other) AS d";
    assert_eq!(bench.db.value(differing).await, "0");
    let left: u64 = bench
        .db
        .value("SELECT count(*) FROM refs")
        .await
        .parse()
        .expect("a number");
    assert!(left < 400, "{left}");
    let locked = "SELECT n, name FROM refs JOIN account ON id = acc ORDER BY n FOR UPDATE OF refs";
    assert_eq!(
        bench.db.rows(locked).await,
        bench
            .db
            .rows(&locked.replace("account", "account_copy"))
            .await
    );
    bench.finish().await;
}

async fn records_are_written_from_a_local_table(crm: &'static Crm) {
    let bench = with_references(crm, "join_write").await;
    bench
        .db
        .run(
            "CREATE TABLE news AS SELECT id AS crm_id, 'news ' || row_number() OVER (ORDER BY id) AS note
             FROM account_copy ORDER BY id LIMIT 120; ANALYZE news",
        )
        .await;
    let written = "SELECT count(*) FROM news JOIN account ON id = crm_id WHERE description = note";
    // Nothing but identifiers is wanted of the records: they are given.
    bench.admin.clear_counters().await;
    bench
        .db
        .run("UPDATE account SET description = note FROM news WHERE id = crm_id")
        .await;
    assert_eq!(bench.admin.calls(crm.queries.by_id.counter).await, 0);
    assert_eq!(bench.admin.calls(crm.queries.first.counter).await, 0);
    assert_eq!(bench.db.value(written).await, "120");
    bench
        .db
        .run(
            "UPDATE news SET note = left(a.name, 10) || note FROM account_copy AS a WHERE a.id = crm_id;
             UPDATE account SET description = left(name, 10) || replace(description, 'x', 'x') FROM news WHERE id = crm_id",
        )
        .await;
    assert_eq!(bench.db.value(written).await, "120");
    let returned = "UPDATE account SET description = 'new' FROM news WHERE id = crm_id AND note LIKE '%news 1_'
                    RETURNING id = crm_id, description, right(note, 7)";
    let mut rows = bench.db.rows(returned).await;
    rows.sort();
    assert_eq!(rows.len(), 10);
    let row = ["t", "new", "news 10"].map(|text| Some(text.to_owned()));
    assert_eq!(rows[0], row);
    bench
        .db
        .run("DELETE FROM account USING news WHERE id = crm_id AND note LIKE '%news 2_'")
        .await;
    let left = "SELECT count(*) FROM news WHERE EXISTS (SELECT FROM account WHERE id = crm_id)";
    assert_eq!(bench.db.value(left).await, "110");
    bench.finish().await;
}

async fn a_row_that_another_session_changed_is_joined_anew(crm: &'static Crm) {
    let bench = with_references(crm, "join_recheck").await;
    bench.db.run(BY_LOOKUP).await;
    bench
        .db
        .run(
            "CREATE TABLE seen AS SELECT n, acc, note FROM refs WHERE n IN (1, 2, 8) ORDER BY n;
             ALTER TABLE seen ADD name text; ANALYZE seen",
        )
        .await;
    let other = Database::connect(None).await;
    other
        .run(&format!(
            "SET search_path = {}; BEGIN;
             UPDATE seen SET note = 'changed' WHERE n = 1; UPDATE seen SET acc = '{}' WHERE n = 2",
            bench.name, crm.identifiers.no_account
        ))
        .await;
    let waiting = Database::connect(None).await;
    let sql = "UPDATE seen SET name = a.name || ' ' || note FROM account AS a WHERE a.id = acc";
    let plan = bench.plan("", sql).await.to_string();
    assert!(plan.contains(NODE), "{plan}");
    let pid = bench.db.value("SELECT pg_backend_pid()").await;
    tokio::join!(bench.db.run(sql), async {
        let blocked = format!("SELECT cardinality(pg_blocking_pids({pid})) > 0");
        until("the update waits", Duration::from_secs(20), || async {
            (waiting.value(&blocked).await == "t").then_some(())
        })
        .await;
        other.run("COMMIT").await;
    });
    let expected = "SELECT s.n, CASE WHEN s.n <> 2 THEN a.name || ' ' || s.note END
                    FROM seen AS s LEFT JOIN account_copy AS a ON a.id = s.acc ORDER BY s.n";
    let rows = bench.db.rows("SELECT n, name FROM seen ORDER BY n").await;
    assert_eq!(rows, bench.db.rows(expected).await);
    assert!(
        rows[0][1]
            .as_deref()
            .is_some_and(|name| name.ends_with(" changed")),
        "{rows:?}"
    );
    assert_eq!(rows[1][1], None);
    bench.finish().await;
}

async fn the_owner_of_a_view_reads_for_its_users(crm: &'static Crm) {
    let bench = with_references(crm, "join_owner").await;
    let role = format!("{}_reader", bench.name);
    bench
        .run_alone(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {0} TO {role};
             CREATE VIEW {0}.joined AS SELECT n, name FROM {0}.refs JOIN {0}.account ON id = acc;
             GRANT SELECT ON {0}.joined, {0}.refs TO {role}",
            bench.name
        ))
        .await;
    let reader = Database::connect(Some(&role)).await;
    reader
        .run(&format!("SET search_path = {}", bench.name))
        .await;
    let sql = "SELECT n, name FROM joined ORDER BY n";
    let rows = reader.rows(sql).await;
    let local = "SELECT n, name FROM refs JOIN account_copy ON id = acc ORDER BY n";
    assert_eq!(rows, bench.db.rows(local).await);
    let refusal = reader
        .refused("SELECT name FROM refs JOIN account ON id = acc")
        .await;
    assert_eq!(refusal.sqlstate, "42501", "{refusal:?}");
    drop(reader);
    bench
        .run_alone(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await;
    bench.finish().await;
}
