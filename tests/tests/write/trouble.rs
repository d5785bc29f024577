//! Calls that fail: what is waited for, what is told, and what is kept for later (E-4, E-5, S-13).

use std::time::{Duration, Instant};

use crm_tests::{Bench, Crm, for_each_crm};
use serde_json::{Value, json};

for_each_crm!(
    a_busy_crm_is_waited_for_and_nothing_is_doubled,
    a_token_that_ends_is_renewed_once,
    a_refused_call_is_an_error_that_counts,
    records_of_failed_calls_are_kept_and_sent_later,
    a_locked_record_is_sent_again_alone,
    a_budget_stops_an_export
);

const INSERT: &str = "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Row ' || i, 'trouble' FROM generate_series(1, 1000) i";
const ONE: &str = "INSERT INTO contact (firstname, lastname) VALUES ('Given', 'x')";
/// Records of [`INSERT`].
const RECORDS: u64 = 1_000;

/// A fault that strikes calls which create records, after two of them.
fn on_third_call(crm: &Crm, mut fault: Value) -> Value {
    let (method, path) = crm.writes.create;
    fault["method"] = json!(method);
    fault["path"] = json!(path);
    fault["after"] = json!(2);
    fault
}

async fn by_calls(crm: &'static Crm, label: &str) -> Bench {
    let bench = crate::by_calls(crm, label).await;
    bench.admin.clear_counters().await;
    bench
}

async fn count(bench: &Bench, sql: &str) -> String {
    bench.db.value(&sql.replace("{server}", &bench.name)).await
}

async fn a_busy_crm_is_waited_for_and_nothing_is_doubled(crm: &'static Crm) {
    let bench = by_calls(crm, "busy").await;
    for status in [429, 503] {
        bench.admin.clear_counters().await;
        bench
            .admin
            .fault(on_third_call(
                crm,
                json!({"kind": "status", "status": status, "retry_after": 1}),
            ))
            .await;
        let started = Instant::now();
        assert_eq!(bench.db.counted(INSERT).await, 1_000, "{status}");
        assert!(started.elapsed() >= Duration::from_secs(1), "{status}");
        assert_eq!(bench.admin.writes("created").await, 1_000, "{status}");
        assert_eq!(
            bench.writing_calls().await,
            crate::n_calls(crm, RECORDS) + 1,
            "{status}"
        );
    }
    bench.finish().await;
}

async fn a_token_that_ends_is_renewed_once(crm: &'static Crm) {
    let bench = by_calls(crm, "token").await;
    assert_eq!(bench.db.counted(ONE).await, 1);
    bench.admin.clear_counters().await;
    bench
        .admin
        .fault(on_third_call(crm, json!({"kind": "unauthorized"})))
        .await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.admin.writes("created").await, 1_000);
    assert_eq!(bench.admin.calls(crm.queries.sign_in.counter).await, 1);
    bench.finish().await;
}

async fn a_refused_call_is_an_error_that_counts(crm: &'static Crm) {
    let bench = by_calls(crm, "refused_call").await;
    bench
        .admin
        .fault(on_third_call(
            crm,
            json!({"kind": "status", "status": 400, "error_code": crm.writes.refused_call,
                "message": "No such column"}),
        ))
        .await;
    let refusal = bench.db.refused(INSERT).await;
    assert_eq!(refusal.sqlstate.len(), 5, "{refusal:?}");
    assert_ne!(refusal.sqlstate, "XX000", "{refusal:?}");
    let batch = crm.writes.small_batch;
    let counts = format!(
        "Records accepted before: {}; not applied: {batch}",
        2 * batch
    );
    assert!(refusal.detail.contains(&counts), "{refusal:?}");
    assert!(
        refusal.detail.contains(crm.writes.refused_call),
        "{refusal:?}"
    );
    assert!(!refusal.hint.is_empty(), "{refusal:?}");
    // The warning of the abort follows the error.
    bench.db.is_alive().await;
    let warned = bench.db.notes();
    let stay = format!("{} records stay changed", 2 * batch);
    assert!(
        warned.iter().any(|note| note.message.starts_with(&stay)),
        "{warned:?}"
    );
    assert_eq!(bench.admin.writes("created").await, 2 * batch);
    bench.finish().await;
}

async fn records_of_failed_calls_are_kept_and_sent_later(crm: &'static Crm) {
    let bench = by_calls(crm, "kept").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD process_errors 'true')")
        .await;
    bench
        .admin
        .fault(on_third_call(
            crm,
            json!({"kind": "status", "status": 403, "error_code": crm.writes.refused_call, "message": "too many"}),
        ))
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
    assert!(n_kept >= crm.writes.small_batch, "{kept}");
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
        bench.find("contact", "department", "trouble").await.len(),
        1_000
    );
    assert_eq!(bench.admin.writes("created").await, 1_000);
    bench.finish().await;
}

async fn a_locked_record_is_sent_again_alone(crm: &'static Crm) {
    let bench = by_calls(crm, "locked").await;
    let rule = |times: u64| {
        json!({"object": crm.table("contact").object, "field": crm.field("contact", "lastname"), "value": "Row 300",
            "code": crm.writes.locked, "times": times})
    };
    bench.admin.record_rule(rule(1)).await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.admin.writes("created").await, 1_000);
    assert_eq!(
        bench.writing_calls().await,
        crate::n_calls(crm, RECORDS) + 1
    );
    // It stays locked: a reject, and the others get through.
    bench.admin.record_rule(rule(0)).await;
    bench.db.notes();
    assert_eq!(bench.db.counted(INSERT).await, 999);
    let notes = bench.db.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].message.starts_with("record 300 of the statement"),
        "{notes:?}"
    );
    assert!(notes[0].detail.contains(crm.writes.locked), "{notes:?}");
    bench.finish().await;
}

async fn a_budget_stops_an_export(crm: &'static Crm) {
    let bench = by_calls(crm, "budget").await;
    // So many calls, and one that describes the object.
    let n_calls = crate::n_calls(crm, RECORDS);
    for most in [3, n_calls] {
        bench
            .db
            .run(&format!("SET crm.max_api_calls = {most}"))
            .await;
        let refusal = bench.db.refused(INSERT).await;
        assert_eq!(refusal.sqlstate, "53400", "{refusal:?}");
        assert!(refusal.hint.contains("crm.max_api_calls"), "{refusal:?}");
        let calls = bench.writing_calls().await;
        assert_eq!(calls, 0, "the plan expects more than {most}");
    }
    // Under a bound that fits, signed in by now.
    bench.db.run("SET crm.max_api_calls = 0").await;
    assert_eq!(bench.db.counted(ONE).await, 1);
    bench.admin.clear_counters().await;
    bench
        .db
        .run(&format!("SET crm.max_api_calls = {}", n_calls + 1))
        .await;
    assert_eq!(bench.db.counted(INSERT).await, 1_000);
    assert_eq!(bench.writing_calls().await, n_calls);
    bench.finish().await;
}
