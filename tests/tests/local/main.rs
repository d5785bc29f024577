//! Local copies: enumerations, deleted records, the automatic index, sync, drift, and what all of it cost
//! (N, L, I, O, C-6).

mod deleted;
mod drift;
mod enumerations;
mod import;
mod million;
mod seen;
mod sync;

use crm_tests::{Bench, Refusal};
use serde_json::json;

/// The statement fails with that SQLSTATE and these words; the session goes on.
async fn fails(bench: &Bench, sql: &str, sqlstate: &str, words: &str) -> Refusal {
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, sqlstate, "{sql}\n{refusal:#?}");
    assert!(refusal.message.contains(words), "{sql}\n{refusal:#?}");
    bench.db.is_alive().await;
    refusal
}

/// Changes records at the CRM, as its other users would.
async fn change(bench: &Bench, what: serde_json::Value) {
    bench.admin.post("/records", what).await;
}

/// Moves the CRM's clock to so many seconds from the machine's.
async fn clock(bench: &Bench, offset: i64) {
    bench
        .admin
        .post("/clock", json!({"offset_s": offset}))
        .await;
}

/// A sync under an activity of the test's own: tests run at once, and two syncs of one activity never do.
fn call(bench: &Bench, arguments: &str) -> String {
    format!("CALL crm.sync({arguments}, activity => '{}')", bench.name)
}

/// Inserted, updated, unchanged, deleted and calls of a sync.
async fn sync(bench: &Bench, arguments: &str) -> [u64; 5] {
    let sql = call(bench, arguments);
    let rows = bench.db.rows(&sql).await;
    let numbers: Vec<u64> = rows[0]
        .iter()
        .map(|value| value.as_deref().unwrap_or("null").parse().expect(&sql))
        .collect();
    numbers.try_into().expect("five numbers")
}

/// The local table holds just what the CRM does, in these columns.
async fn is_true(bench: &Bench, foreign: &str, local: &str, columns: &str) {
    let differences = format!(
        "SELECT count(*) FROM (
           (SELECT {columns} FROM {foreign} EXCEPT SELECT {columns} FROM {local}) UNION ALL
           (SELECT {columns} FROM {local} EXCEPT SELECT {columns} FROM {foreign})) d"
    );
    assert_eq!(
        bench.db.value(&differences).await,
        "0",
        "{foreign} and {local}"
    );
    let counts =
        format!("SELECT (SELECT count(*) FROM {foreign}) = (SELECT count(*) FROM {local})");
    assert_eq!(bench.db.value(&counts).await, "t", "{foreign} and {local}");
}
