//! What a join asks of the CRM: as few calls as there are batches, within its budget, and a scan where that is cheaper.

use std::time::{Duration, Instant};

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Database, SALESFORCE, for_each_crm, until};
use serde_json::json;

use crate::{AS_IT_COMES, BY_LOOKUP, lookups_in};

for_each_crm!(
    five_batches_of_identifiers_against_many_records,
    most_of_a_table_is_scanned,
    nothing_is_fetched_for_rows_that_nobody_asks_for,
    a_budget_stops_the_join_before_its_first_call,
    cancel_acts_within_a_second_and_the_session_goes_on
);

/// What a table that was never analysed is taken for.
const UNKNOWN_ROWS: u64 = 1_000_000;
/// Memory of a join, whatever the number of rows: `work_mem` for rows and for records, and a batch in decoding.
const MOST_GROWTH: u64 = 32 << 20;

async fn with_contacts(crm: &'static Crm, label: &str, contacts: u32) -> Bench {
    let config = Config {
        contacts,
        ..Config::default()
    };
    let bench = Bench::of(crm, label, config).await;
    bench.collect(&["contact"]).await;
    bench
}

/// Runs the statement; gives its rows, in their order, and the data calls that it took.
async fn counted(bench: &Bench, sql: &str) -> (Vec<crm_tests::Row>, u64) {
    bench.admin.clear_counters().await;
    let rows = bench.db.rows(sql).await;
    (rows, bench.admin.data_calls().await)
}

async fn five_batches_of_identifiers_against_many_records(crm: &'static Crm) {
    let bench = with_contacts(crm, "five_batches", crm.queries.many).await;
    let (many, batch) = (crm.queries.many, crm.queries.lookup);
    let (first, wanted) = (batch * 150, batch * 5);
    // Every thirtieth of the first records, in no order.
    bench
        .db
        .run(&format!(
            "CREATE TABLE first_ones AS SELECT id, lastname, accountid FROM contact LIMIT {first};
             CREATE TABLE wanted AS SELECT id AS crm_id, n FROM
                 (SELECT id, row_number() OVER (ORDER BY id) AS n FROM first_ones) AS numbered
                 WHERE n % 30 = 0 ORDER BY md5(id::text);
             ANALYZE"
        ))
        .await;
    for (foreign, local) in [
        (
            "SELECT count(*), count(DISTINCT c.id), md5(string_agg(n || c.lastname || coalesce(c.accountid::text, '-'), ',' ORDER BY n))
             FROM wanted JOIN contact AS c ON c.id = crm_id",
            "SELECT count(*), count(DISTINCT c.id), md5(string_agg(n || c.lastname || coalesce(c.accountid::text, '-'), ',' ORDER BY n))
             FROM wanted JOIN first_ones AS c ON c.id = crm_id",
        ),
        (
            "SELECT count(*), md5(string_agg(lastname, ',' ORDER BY id)) FROM contact WHERE id IN (SELECT crm_id FROM wanted)",
            "SELECT count(*), md5(string_agg(lastname, ',' ORDER BY id)) FROM first_ones WHERE id IN (SELECT crm_id FROM wanted)",
        ),
        (
            "SELECT count(*), count(c.id) FROM wanted LEFT JOIN contact AS c ON c.id = crm_id AND c.lastname > 'M'",
            "SELECT count(*), count(c.id) FROM wanted LEFT JOIN first_ones AS c ON c.id = crm_id AND c.lastname > 'M'",
        ),
    ] {
        let (rows, calls) = counted(&bench, foreign).await;
        assert_eq!(rows, bench.db.rows(local).await, "{foreign}");
        assert_eq!(rows[0][0], Some(wanted.to_string()), "{foreign}");
        println!(
            "measured: {}: {wanted} identifiers, {many} records: {calls} data calls",
            crm.name
        );
        assert!(calls <= 6, "{calls} calls: {foreign}");
    }
    // Many batches, one after the other in the same memory.
    let sql = "SELECT count(c.lastname) FROM first_ones AS f JOIN contact AS c ON c.id = f.id";
    assert_eq!(lookups_in(&bench, sql).await, 1);
    let peak = bench.db.backend().watch();
    let (rows, calls) = counted(&bench, sql).await;
    let growth = peak.growth();
    println!(
        "measured: {}: {first} identifiers: {calls} data calls, {} MiB at most beyond the start",
        crm.name,
        growth >> 20
    );
    assert_eq!(rows[0][0].as_deref(), Some(first.to_string().as_str()));
    assert_eq!(calls, 150);
    assert!(growth < MOST_GROWTH, "{} MiB more", growth >> 20);
    bench.finish().await;
}

async fn most_of_a_table_is_scanned(crm: &'static Crm) {
    let bench = with_contacts(crm, "most", 100).await;
    // Nothing is read: what a million records would cost is known without them. Looking so many up takes a tenth more calls
    // than there are pages.
    let n_ids = UNKNOWN_ROWS / crm.queries.page * crm.queries.lookup * 11 / 10;
    bench
        .db
        .run(&format!(
            "CREATE TABLE ids AS SELECT {} AS crm_id FROM generate_series(1, {n_ids}) AS n",
            crm.identifiers.made
        ))
        .await;
    bench.db.run("ANALYZE ids").await;
    for sql in [
        "SELECT lastname FROM ids JOIN contact ON id = crm_id",
        "SELECT lastname FROM contact WHERE id IN (SELECT crm_id FROM ids)",
    ] {
        let plan = bench.plan("", sql).await.to_string();
        assert!(
            plan.contains("Foreign Scan") && !plan.contains("CrmLookupJoin"),
            "{plan}"
        );
    }
    bench.admin.clear_counters().await;
    let few = format!(
        "SELECT lastname FROM (SELECT * FROM ids LIMIT {}) AS l JOIN contact ON id = crm_id",
        crm.queries.lookup * 50
    );
    assert_eq!(lookups_in(&bench, &few).await, 1);
    assert_eq!(bench.admin.all_calls().await, 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_identifiers_are_fetched_once_where_memory_allows() {
    let crm = &SALESFORCE;
    let bench = with_contacts(crm, "repeated", 10_000).await;
    bench
        .db
        .run(
            "CREATE TABLE contact_copy AS SELECT id, lastname FROM contact;
             CREATE TABLE visits AS SELECT id AS crm_id, n FROM contact_copy, generate_series(1, 12) AS n ORDER BY md5(id || n);
             INSERT INTO visits SELECT NULL, 100 FROM generate_series(1, 5000);
             INSERT INTO visits SELECT left(id, 15), 101 FROM contact_copy LIMIT 50;
             INSERT INTO visits SELECT '003000000000' || lpad(n::text, 3, '0') || 'AAA', 102 FROM generate_series(1, 500) AS n;
             ANALYZE",
        )
        .await;
    let n: u64 = bench
        .db
        .value("SELECT count(DISTINCT crm_id) FROM visits WHERE n < 100 OR n = 102")
        .await
        .parse()
        .expect("a number");
    for memory in ["64MB", "64kB"] {
        bench.db.run(&format!("SET work_mem = '{memory}'")).await;
        for sql in [
            "SELECT n, crm_id, lastname FROM visits JOIN {contact} ON id = crm_id",
            "SELECT n, crm_id, lastname FROM visits LEFT JOIN {contact} ON id = crm_id AND lastname > 'K'",
            "SELECT n, crm_id FROM visits WHERE NOT EXISTS (SELECT FROM {contact} WHERE id = crm_id)",
        ] {
            let of = |table: &str| {
                format!(
                    "SELECT count(*), md5(string_agg(r::text, ',' ORDER BY r::text)) FROM ({}) AS r",
                    sql.replace("{contact}", table)
                )
            };
            let expected = bench.db.rows(&of("contact_copy")).await;
            bench.db.run(BY_LOOKUP).await;
            assert_eq!(lookups_in(&bench, &of("contact")).await, 1, "{sql}");
            bench.db.notes();
            let (rows, calls) = counted(&bench, &of("contact")).await;
            let notes = bench.db.notes();
            bench.db.run(AS_IT_COMES).await;
            assert_eq!(rows, expected, "{sql}");
            // With little memory the rows are sorted by identifier, so that none is fetched twice. Many rows may end a
            // batch before it is full of identifiers.
            let calls_at_least = n.div_ceil(crm.queries.lookup);
            println!(
                "measured: {n} identifiers in 130,000 rows, work_mem {memory}: {calls} data calls"
            );
            assert!(
                (calls_at_least..=calls_at_least + 2).contains(&calls),
                "{calls} calls, {memory} {sql}"
            );
            assert_eq!(notes.len(), 1, "{notes:?}");
            assert!(notes[0].message.contains("crm.id18()"), "{notes:?}");
        }
    }
    bench.finish().await;
}

async fn nothing_is_fetched_for_rows_that_nobody_asks_for(crm: &'static Crm) {
    let bench = with_contacts(crm, "stop_early", crm.queries.lookup as u32 * 5).await;
    bench
        .db
        .run("CREATE TABLE ids AS SELECT id AS crm_id FROM contact; ANALYZE ids")
        .await;
    let (rows, calls) = counted(
        &bench,
        "SELECT lastname FROM ids JOIN contact ON id = crm_id LIMIT 10",
    )
    .await;
    assert_eq!((rows.len(), calls), (10, 1));
    bench.admin.clear_counters().await;
    bench
        .db
        .run(&format!(
            "BEGIN; DECLARE c CURSOR FOR SELECT lastname FROM ids JOIN contact ON id = crm_id;
             FETCH {} FROM c; CLOSE c; COMMIT",
            crm.queries.lookup + 1
        ))
        .await;
    assert_eq!(bench.admin.data_calls().await, 2);
    // None of these rows has an identifier.
    let (rows, calls) = counted(
        &bench,
        "SELECT lastname FROM (SELECT nullif(crm_id, crm_id) AS k FROM ids) AS l JOIN contact ON id = k",
    )
    .await;
    assert_eq!((rows.len(), calls), (0, 0));
    bench.finish().await;
}

async fn a_budget_stops_the_join_before_its_first_call(crm: &'static Crm) {
    let bench = with_contacts(crm, "join_budget", crm.queries.lookup as u32 * 5).await;
    let n_ids = crm.queries.lookup * 7 / 2;
    bench
        .db
        .run(&format!(
            "CREATE TABLE ids AS SELECT id AS crm_id FROM contact LIMIT {n_ids}; ANALYZE ids; SET crm.max_api_calls = 3"
        ))
        .await;
    let sql = "SELECT count(lastname) FROM ids JOIN contact ON id = crm_id";
    bench.db.run("SELECT lastname FROM contact LIMIT 1").await;
    bench.admin.clear_counters().await;
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, "53400", "{refusal:?}");
    let object = format!("object \"{}\"", crm.table("contact").object);
    assert!(refusal.message.contains(&object), "{refusal:?}");
    assert_eq!(bench.admin.all_calls().await, 0);
    bench.db.run("SET crm.max_api_calls = 4").await;
    assert_eq!(bench.db.value(sql).await, n_ids.to_string());
    bench.finish().await;
}

async fn cancel_acts_within_a_second_and_the_session_goes_on(crm: &'static Crm) {
    let bench = with_contacts(crm, "join_cancel", 5_000).await;
    bench
        .db
        .run("CREATE TABLE ids AS SELECT id AS crm_id FROM contact; ANALYZE ids")
        .await;
    let other = Database::connect(None).await;
    let sql = "SELECT count(lastname) FROM ids JOIN contact ON id = crm_id";
    bench.admin.clear_counters().await;
    bench
        .admin
        .fault(json!({"path": crm.queries.by_id.path, "kind": "hang", "times": 0}))
        .await;
    let ((refusal, ended), stopped) = tokio::join!(
        async { (bench.db.refused(sql).await, Instant::now()) },
        async {
            until("the request arrives", Duration::from_secs(20), || async {
                (bench.admin.data_calls().await > 0).then_some(())
            })
            .await;
            let now = Instant::now();
            other.cancel(&bench.db).await;
            now
        }
    );
    assert_eq!(refusal.sqlstate, "57014", "{refusal:?}");
    assert!(ended.duration_since(stopped) < Duration::from_secs(1));
    bench.admin.reset().await;
    let copied = bench.db.value("SELECT count(*) FROM ids").await;
    assert_eq!(bench.db.value(sql).await, copied);
    bench
        .admin
        .fault(json!({"path": crm.queries.by_id.path, "kind": "status", "status": 403, "times": 0}))
        .await;
    let refusal = bench.db.refused(sql).await;
    let told = format!(
        "could not read object \"{}\" from server \"{}\"",
        crm.table("contact").object,
        bench.name
    );
    assert!(refusal.message.contains(&told), "{refusal:?}");
    bench.db.run(AS_IT_COMES).await;
    bench.finish().await;
}
