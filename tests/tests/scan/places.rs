//! Every place in a statement where a foreign table can stand gives what a local one gives.

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, SALESFORCE, for_each_crm};

for_each_crm!(
    statements_of_every_shape_give_what_local_tables_give,
    rows_can_be_locked_and_name_their_table,
    views_rules_and_tables_made_of_them_hold_the_rows,
    rows_can_be_copied_out_and_analyzed,
    a_foreign_table_without_rows_or_columns_is_empty,
);

async fn prepared(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(crm, label, Config::default()).await;
    bench.collect(&["account", "opportunity", "contact"]).await;
    bench.copy(&["account", "opportunity", "contact"]).await;
    bench
}

async fn statements_of_every_shape_give_what_local_tables_give(crm: &'static Crm) {
    let bench = prepared(crm, "shapes").await;
    // Foreign tables are written as <name>, so that copies can take their place.
    for sql in [
        "SELECT name FROM <account> UNION ALL SELECT name FROM <opportunity> ORDER BY 1",
        "SELECT accountid FROM <contact> EXCEPT SELECT id FROM <account> ORDER BY 1",
        "SELECT DISTINCT stagename FROM <opportunity> ORDER BY 1",
        "SELECT DISTINCT ON (accountid) accountid, amount, id FROM <opportunity> WHERE amount > 10
         ORDER BY accountid, amount DESC, id",
        "SELECT id, rank() OVER (PARTITION BY stagename ORDER BY amount DESC NULLS LAST, id) FROM <opportunity> ORDER BY id",
        "SELECT a.id, b.id FROM <account> a JOIN <account> b ON a.numberofemployees = b.numberofemployees AND a.id < b.id
         WHERE a.numberofemployees > 1000 ORDER BY 1, 2",
        "SELECT a.name, o.amount FROM <account> a LEFT JOIN <opportunity> o ON o.accountid = a.id AND o.amount > 5000
         ORDER BY a.id, o.id",
        "SELECT a.id, c.id FROM <account> a FULL JOIN <contact> c ON c.accountid = a.id ORDER BY 1, 2",
        "SELECT stagename, count(*), sum(amount), avg(amount), min(closedate) FROM <opportunity> GROUP BY stagename
         HAVING count(*) > 1 ORDER BY 1",
        "SELECT stagename, closedate, count(*) FROM <opportunity> GROUP BY ROLLUP (stagename, closedate) ORDER BY 1, 2, 3",
        "WITH big AS MATERIALIZED (SELECT * FROM <opportunity> WHERE amount > 1000)
         SELECT count(*), sum(amount) FROM big",
        "WITH RECURSIVE r AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3)
         SELECT n, (SELECT count(name) FROM <account> WHERE numberofemployees > n * 100) FROM r ORDER BY n",
        "SELECT name FROM <account> ORDER BY numberofemployees DESC NULLS LAST FETCH FIRST 7 ROWS WITH TIES",
        "SELECT numberofemployees FROM <account> ORDER BY numberofemployees NULLS FIRST LIMIT 20 OFFSET 3",
        "SELECT id FROM <account> ORDER BY createddate DESC, id LIMIT 20",
        "SELECT id FROM <account> ORDER BY name COLLATE \"C\", id LIMIT 20",
        "SELECT count(*), count(DISTINCT stagename), max(closedate), min(amount) FROM <opportunity>",
        "SELECT count(*) FILTER (WHERE amount > 1000), string_agg(stagename, ',' ORDER BY id) FROM <opportunity>",
        "SELECT id FROM <account> WHERE id IN (SELECT accountid FROM <opportunity> WHERE amount > 100000) ORDER BY id",
        "SELECT id FROM <account> WHERE id NOT IN (SELECT accountid FROM <contact> WHERE accountid IS NOT NULL) ORDER BY id",
        "SELECT CASE WHEN amount > 1000 THEN 'big' END, count(*) FROM <opportunity> GROUP BY 1 ORDER BY 1",
        "SELECT (SELECT name FROM <account> a WHERE a.id = o.accountid) FROM <opportunity> o ORDER BY o.id LIMIT 30",
        "SELECT a FROM <account> a ORDER BY a.id LIMIT 3",
        "SELECT to_jsonb(a) ->> 'name' FROM <account> a ORDER BY a.id LIMIT 3",
        "SELECT a.* FROM <account> a WHERE a.annualrevenue IS NOT NULL ORDER BY a.id LIMIT 3",
        "SELECT 1 FROM <account> WHERE false",
        "SELECT count(*) FROM <account> WHERE NULL::boolean",
        "SELECT count(*) FROM <account>, <opportunity> WHERE amount > 400000 AND numberofemployees > 5000",
    ] {
        let on = |suffix: &str| {
            ["account", "opportunity", "contact"].iter().fold(sql.to_owned(), |sql, table| {
                sql.replace(&format!("<{table}>"), &format!("{table}{suffix}"))
            })
        };
        let local = bench.db.rows(&on("_copy")).await;
        assert_eq!(bench.db.rows(&on("")).await, local, "{sql}");
    }
    bench.finish().await;
}

async fn rows_can_be_locked_and_name_their_table(crm: &'static Crm) {
    let bench = prepared(crm, "rows").await;
    bench.db.run("BEGIN").await;
    for lock in ["UPDATE", "SHARE", "NO KEY UPDATE SKIP LOCKED"] {
        let sql = format!(
            "SELECT id FROM account WHERE numberofemployees > 50 ORDER BY id LIMIT 5 FOR {lock}"
        );
        let expected =
            "SELECT id FROM account_copy WHERE numberofemployees > 50 ORDER BY id LIMIT 5";
        assert_eq!(bench.db.column(&sql).await, bench.db.column(expected).await);
    }
    // Rows of a local table are locked through a join with a foreign one.
    let sql =
        "SELECT c.id FROM account_copy c JOIN account a USING (id) WHERE a.numberofemployees > 900
               ORDER BY 1 FOR UPDATE OF c";
    assert!(!bench.db.rows(sql).await.is_empty());
    bench.db.run("COMMIT").await;
    let tables = bench
        .db
        .column("SELECT DISTINCT tableoid::regclass FROM account")
        .await;
    assert_eq!(tables, ["account"]);
    bench.finish().await;
}

async fn views_rules_and_tables_made_of_them_hold_the_rows(crm: &'static Crm) {
    let bench = prepared(crm, "views").await;
    bench
        .db
        .run(
            "CREATE VIEW big AS SELECT id, name, annualrevenue FROM account WHERE annualrevenue > 1e6;
             CREATE MATERIALIZED VIEW kept AS SELECT * FROM big WITH NO DATA;
             REFRESH MATERIALIZED VIEW kept;
             CREATE UNIQUE INDEX ON kept (id);
             REFRESH MATERIALIZED VIEW CONCURRENTLY kept;
             CREATE TABLE taken (LIKE account);
             INSERT INTO taken SELECT * FROM account;
             SELECT * INTO again FROM account",
        )
        .await;
    let expected = bench
        .db
        .rows("SELECT id, name, annualrevenue FROM account_copy WHERE annualrevenue > 1e6 ORDER BY id")
        .await;
    assert!(!expected.is_empty());
    for table in ["big", "kept"] {
        let rows = bench
            .db
            .rows(&format!("SELECT * FROM {table} ORDER BY id"))
            .await;
        assert_eq!(rows, expected, "{table}");
    }
    // A condition on the view reaches the CRM.
    let queries = bench
        .remote_queries("SELECT name FROM big WHERE annualrevenue < 5e6")
        .await;
    assert!(
        queries[0].contains("1000000") && queries[0].contains("5000000"),
        "{queries:?}"
    );
    for table in ["taken", "again"] {
        let sql = format!(
            "(TABLE {table} EXCEPT ALL TABLE account_copy) UNION ALL (TABLE account_copy EXCEPT ALL TABLE {table})"
        );
        let differing = bench.db.rows(&sql).await;
        assert!(differing.is_empty(), "{table}: {differing:?}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_table_works_as_a_partition_and_as_a_child() {
    let bench = prepared(&SALESFORCE, "partition").await;
    bench
        .db
        .run(
            "CREATE TABLE everything (LIKE account) PARTITION BY LIST (isdeleted);
             CREATE TABLE everything_gone PARTITION OF everything FOR VALUES IN (true);
             ALTER TABLE everything ATTACH PARTITION account FOR VALUES IN (false);
             INSERT INTO everything_gone (id, isdeleted, name, annualrevenue)
                 VALUES ('001000000000999AAA', true, 'gone', 2e6)",
        )
        .await;
    let live = bench.db.value("SELECT count(*) FROM account_copy").await;
    let live: u64 = live.parse().expect("a number");
    let count = async |sql: &str| -> u64 { bench.db.value(sql).await.parse().expect("a number") };
    assert_eq!(count("SELECT count(*) FROM everything").await, live + 1);
    assert_eq!(count("SELECT count(name) FROM everything").await, live + 1);
    assert_eq!(
        count("SELECT count(name) FROM everything WHERE NOT isdeleted").await,
        live
    );
    let rich = count("SELECT count(*) FROM account_copy WHERE annualrevenue > 1e6").await;
    let sql = "SELECT count(name) FROM everything WHERE annualrevenue > 1e6";
    assert_eq!(count(sql).await, rich + 1);
    let query = bench.admin.last_query().await.expect("a query");
    assert!(query.contains("WHERE AnnualRevenue > 1000000"), "{query}");
    let sql = "SELECT id FROM everything ORDER BY createddate NULLS LAST, id LIMIT 4";
    let expected = "SELECT id FROM account_copy ORDER BY createddate, id LIMIT 4";
    assert_eq!(bench.db.column(sql).await, bench.db.column(expected).await);
    assert_eq!(count("SELECT count(*) FROM everything_gone").await, 1);
    // Only the partition that can match is read.
    bench.admin.clear_counters().await;
    assert_eq!(
        count("SELECT count(name) FROM everything WHERE isdeleted").await,
        1
    );
    assert_eq!(bench.admin.data_calls().await, 0);
    bench
        .db
        .run(
            "ALTER TABLE everything DETACH PARTITION account;
             CREATE TABLE parent (LIKE account);
             ALTER FOREIGN TABLE account INHERIT parent",
        )
        .await;
    assert_eq!(count("SELECT count(*) FROM parent").await, live);
    assert_eq!(count("SELECT count(*) FROM ONLY parent").await, 0);
    bench.finish().await;
}

async fn rows_can_be_copied_out_and_analyzed(crm: &'static Crm) {
    let bench = prepared(crm, "copies").await;
    bench
        .db
        .run("ANALYZE account; ANALYZE opportunity (amount)")
        .await;
    let estimate = bench
        .db
        .value("SELECT reltuples::bigint FROM pg_class WHERE oid = 'account'::regclass")
        .await;
    let count = bench.db.value("SELECT count(*) FROM account_copy").await;
    assert_eq!(estimate, count);
    let statistics = bench
        .db
        .value(&format!(
            "SELECT count(*) FROM pg_stats WHERE schemaname = '{}' AND tablename = 'account'",
            bench.name
        ))
        .await;
    assert!(statistics.parse::<u64>().expect("a number") > 20);
    bench.db.run("VACUUM ANALYZE account_copy").await;
    // A table of known size is read at once where fetching by identifier would cost more.
    let plan = bench
        .plan("", "SELECT * FROM account WHERE numberofemployees > 10")
        .await;
    let expected = plan["Plan Rows"].as_f64().expect("rows");
    assert!(expected < 2_000.0, "{plan}");
    bench.finish().await;
}

async fn a_foreign_table_without_rows_or_columns_is_empty(crm: &'static Crm) {
    let bench = prepared(crm, "empty").await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE columnless () SERVER {0} OPTIONS (object '{1}');
             CREATE FOREIGN TABLE subset (name text OPTIONS (field '{2}')) SERVER {0} OPTIONS (object '{1}')",
            bench.name,
            crm.table("account").object,
            crm.field("account", "name")
        ))
        .await;
    let all = bench.db.value("SELECT count(*) FROM account_copy").await;
    assert_eq!(bench.db.value("SELECT count(*) FROM columnless").await, all);
    assert_eq!(
        bench
            .db
            .rows("SELECT FROM columnless")
            .await
            .len()
            .to_string(),
        all
    );
    assert_eq!(bench.db.value("SELECT count(name) FROM subset").await, all);
    assert_eq!(
        bench
            .db
            .rows("SELECT name FROM account WHERE annualrevenue > 1e30")
            .await
            .len(),
        0
    );
    let sql = "SELECT count(*), min(annualrevenue), max(createddate) FROM account WHERE annualrevenue > 1e30";
    assert_eq!(
        bench.db.rows(sql).await,
        [[Some("0".to_owned()), None, None]]
    );
    bench.finish().await;
}
