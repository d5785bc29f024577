//! Calls that fail: what is waited for, what is told, and what is kept for later (E-4, E-5, S-13).

use std::time::{Duration, Instant};

use crm_tests::Bench;
use serde_json::json;

const INSERT: &str = "INSERT INTO contact (lastname, department) SELECT 'Row ' || i, 'trouble' FROM generate_series(1, 1000) i";

async fn by_calls(label: &str) -> Bench {
    let bench = crate::contacts(label).await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD transport 'rest')")
        .await;
    bench.admin.clear_counters().await;
    bench
}

async fn count(bench: &Bench, sql: &str) -> String {
    bench.db.value(&sql.replace("{server}", &bench.name)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_crm_is_waited_for_and_nothing_is_doubled() {
    let bench = by_calls("busy").await;
    for status in [429, 503] {
        bench.admin.clear_counters().await;
        bench
            .admin
            .fault(json!({"method": "POST", "path": "/composite/sobjects", "kind": "status", "status": status, "retry_after": 1, "after": 2}))
            .await;
        let started = Instant::now();
        assert_eq!(bench.db.counted(INSERT).await, 1_000, "{status}");
        assert!(started.elapsed() >= Duration::from_secs(1), "{status}");
        assert_eq!(bench.admin.writes("created").await, 1_000, "{status}");
        assert_eq!(bench.admin.calls("collection_create").await, 6, "{status}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_once() {
    let bench = by_calls("token").await;
    assert_eq!(
        bench
            .db
            .counted("INSERT INTO contact (lastname) VALUES ('x')")
            .await,
        1
    );
    bench.admin.clear_counters().await;
    bench
        .admin
        .fault(json!({"method": "POST", "path": "/composite/sobjects", "kind": "unauthorized", "after": 2}))
        .await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.admin.writes("created").await, 1_000);
    assert_eq!(bench.admin.calls("login").await, 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_is_an_error_that_counts() {
    let bench = by_calls("refused_call").await;
    bench
        .admin
        .fault(
            json!({"method": "POST", "path": "/composite/sobjects", "kind": "status", "status": 400,
            "error_code": "INVALID_FIELD", "message": "No such column", "after": 2}),
        )
        .await;
    let refusal = bench.db.refused(INSERT).await;
    assert_eq!(refusal.sqlstate.len(), 5, "{refusal:?}");
    assert_ne!(refusal.sqlstate, "XX000", "{refusal:?}");
    assert!(
        refusal
            .detail
            .contains("Records accepted before: 400; not applied: 200"),
        "{refusal:?}"
    );
    assert!(refusal.detail.contains("INVALID_FIELD"), "{refusal:?}");
    assert!(!refusal.hint.is_empty(), "{refusal:?}");
    // The warning of the abort follows the error.
    bench.db.is_alive().await;
    let warned = bench.db.notes();
    assert!(
        warned
            .iter()
            .any(|note| note.message.starts_with("400 records stay changed")),
        "{warned:?}"
    );
    assert_eq!(bench.admin.writes("created").await, 400);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_failed_calls_are_kept_and_sent_later() {
    let bench = by_calls("kept").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD process_errors 'true')")
        .await;
    bench
        .admin
        .fault(
            json!({"method": "POST", "path": "/composite/sobjects", "kind": "status", "status": 403,
            "error_code": "REQUEST_LIMIT_EXCEEDED", "message": "too many", "after": 2}),
        )
        .await;
    bench.db.notes();
    let accepted = bench.db.counted(INSERT).await;
    let warned = bench.db.notes();
    assert!(
        warned.iter().any(|note| note.severity == "WARNING"),
        "{warned:?}"
    );
    let kept = count(
        &bench,
        "SELECT count(*) FROM crm.rejects WHERE server = '{server}' AND kind = 'error'",
    )
    .await;
    let n_kept: u64 = kept.parse().expect("a number");
    assert!(n_kept >= 200, "{kept}");
    assert_eq!(accepted + n_kept, 1_000, "{warned:?}");
    let sent = bench
        .db
        .rows("SELECT retried, accepted FROM crm.retry_rejects('contact')")
        .await;
    assert_eq!(sent, [[Some(kept.clone()), Some(kept)]]);
    assert_eq!(
        count(
            &bench,
            "SELECT count(*) FROM crm.rejects WHERE server = '{server}'"
        )
        .await,
        "0"
    );
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "trouble")
            .await
            .len(),
        1_000
    );
    assert_eq!(bench.admin.writes("created").await, 1_000);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_record_is_sent_again_alone() {
    let bench = by_calls("locked").await;
    bench
        .admin
        .record_rule(json!({"object": "Contact", "field": "LastName", "value": "Row 300", "code": "UNABLE_TO_LOCK_ROW", "times": 1}))
        .await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.admin.writes("created").await, 1_000);
    assert_eq!(bench.admin.calls("collection_create").await, 6);
    // It stays locked: a reject, and the others get through.
    bench
        .admin
        .record_rule(json!({"object": "Contact", "field": "LastName", "value": "Row 300", "code": "UNABLE_TO_LOCK_ROW", "times": 0}))
        .await;
    bench.db.notes();
    assert_eq!(bench.db.counted(INSERT).await, 999);
    let notes = bench.db.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].message.starts_with("record 300 of the statement"),
        "{notes:?}"
    );
    assert!(notes[0].detail.contains("UNABLE_TO_LOCK_ROW"), "{notes:?}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_stops_an_export() {
    let bench = by_calls("budget").await;
    // Five calls, and one that describes the object.
    for most in [3, 5] {
        bench
            .db
            .run(&format!("SET crm.max_api_calls = {most}"))
            .await;
        let refusal = bench.db.refused(INSERT).await;
        assert_eq!(refusal.sqlstate, "53400", "{refusal:?}");
        assert!(refusal.hint.contains("crm.max_api_calls"), "{refusal:?}");
        let calls = bench.admin.data_calls().await;
        assert_eq!(calls, 0, "the plan expects more than {most}");
    }
    // Under a bound that fits, signed in by now.
    bench.db.run("SET crm.max_api_calls = 0").await;
    assert_eq!(
        bench
            .db
            .counted("INSERT INTO contact (lastname) VALUES ('x')")
            .await,
        1
    );
    bench.admin.clear_counters().await;
    bench.db.run("SET crm.max_api_calls = 6").await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.admin.data_calls().await, 5);
    bench.finish().await;
}
