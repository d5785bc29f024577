//! Cancel, timeouts and termination: within a second, wherever the statement waits (S-9).

use std::time::{Duration, Instant};

use crm_tests::{Bench, Crm, Database, Request, for_each_crm, until};
use serde_json::json;

for_each_crm!(
    cancel_acts_within_a_second_while_a_reply_hangs,
    cancel_acts_while_a_retry_is_waited_for,
    a_statement_timeout_acts_within_a_second,
    termination_acts_within_a_second_while_a_reply_hangs,
    a_client_that_leaves_does_not_leave_its_scan_behind,
    a_reply_that_never_comes_ends_with_the_request_timeout
);

/// The promise.
const WITHIN: Duration = Duration::from_secs(1);

/// Places where a reply can be waited for, each with a statement that does.
fn waits(bench: &Bench) -> Vec<(Request, String)> {
    let (queries, name) = (&bench.crm.queries, &bench.name);
    let identifier = bench.crm.identifiers.no_contact;
    vec![
        (queries.first, "SELECT count(name) FROM contact".to_owned()),
        (queries.next, "SELECT count(name) FROM contact".to_owned()),
        (
            queries.objects,
            format!("SELECT * FROM crm.tables('{name}')"),
        ),
        (
            queries.sign_in,
            format!("SELECT * FROM crm.check('{name}')"),
        ),
        (
            queries.by_id,
            format!("SELECT name FROM contact WHERE id = '{identifier}'"),
        ),
    ]
}

async fn with_contact_table(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(
        crm,
        label,
        crate::with_contacts(crm.queries.page as u32 * 2),
    )
    .await;
    bench.collect(&["contact"]).await;
    // Some CRMs are asked for a record to learn what there is to collect.
    bench.admin.clear_counters().await;
    bench
}

/// Runs the statement until its reply hangs, and then `stop`; gives its error and the time from `stop` to it.
async fn stopped(
    bench: &Bench,
    wait: &(Request, String),
    stop: impl AsyncFnOnce(&Database),
) -> (crm_tests::Refusal, Duration) {
    let (request, sql) = wait;
    bench.admin.reset().await;
    bench.db.run("SELECT crm.disconnect_all()").await;
    bench
        .admin
        .fault(json!({"path": request.path, "after": request.after, "kind": "hang", "times": 0}))
        .await;
    let at_stop = async {
        let admin = &bench.admin;
        until("the request arrives", Duration::from_secs(20), || async {
            (admin.calls(request.counter).await >= request.arrived).then_some(())
        })
        .await;
        let now = Instant::now();
        stop(&bench.db).await;
        now
    };
    let (refusal, started) = tokio::join!(
        async { (bench.db.refused(sql).await, Instant::now()) },
        at_stop
    );
    (refusal.0, refusal.1.duration_since(started))
}

async fn cancel_acts_within_a_second_while_a_reply_hangs(crm: &'static Crm) {
    let bench = with_contact_table(crm, "cancel").await;
    let other = Database::connect(None).await;
    for wait in waits(&bench) {
        let (refusal, took) = stopped(&bench, &wait, async |db| other.cancel(db).await).await;
        assert_eq!(refusal.sqlstate, "57014", "{wait:?} {refusal:?}");
        assert!(took < WITHIN, "{wait:?} {took:?}");
        bench.db.is_alive().await;
    }
    // The session is as good as before.
    bench.admin.reset().await;
    let count = bench.db.value("SELECT count(*) FROM contact").await;
    assert!(count.parse::<u64>().expect("a number") > crm.queries.page * 2);
    bench.finish().await;
}

async fn cancel_acts_while_a_retry_is_waited_for(crm: &'static Crm) {
    let bench = with_contact_table(crm, "backoff").await;
    let other = Database::connect(None).await;
    bench
        .admin
        .fault(json!({"path": crm.queries.first.path, "kind": "status", "status": 429, "retry_after": 8, "times": 0}))
        .await;
    let admin = &bench.admin;
    let (refusal, stopped) = tokio::join!(
        async {
            let refusal = bench.db.refused("SELECT count(name) FROM contact").await;
            (refusal, Instant::now())
        },
        async {
            until("the request arrives", Duration::from_secs(20), || async {
                (admin.calls(crm.queries.first.counter).await > 0).then_some(())
            })
            .await;
            let now = Instant::now();
            other.cancel(&bench.db).await;
            now
        }
    );
    assert_eq!(refusal.0.sqlstate, "57014", "{refusal:?}");
    assert!(refusal.1.duration_since(stopped) < WITHIN);
    assert_eq!(
        admin.calls(crm.queries.first.counter).await,
        1,
        "Retry-After is kept to"
    );
    bench.finish().await;
}

async fn a_statement_timeout_acts_within_a_second(crm: &'static Crm) {
    let bench = with_contact_table(crm, "timeout").await;
    let limit = Duration::from_millis(300);
    for (request, sql) in waits(&bench) {
        bench.admin.reset().await;
        bench.db.run("SELECT crm.disconnect_all()").await;
        bench
            .admin
            .fault(
                json!({"path": request.path, "after": request.after, "kind": "hang", "times": 0}),
            )
            .await;
        bench
            .db
            .run(&format!(
                "SET statement_timeout = '{}ms'",
                limit.as_millis()
            ))
            .await;
        let started = Instant::now();
        let refusal = bench.db.refused(&sql).await;
        let took = started.elapsed();
        assert_eq!(refusal.sqlstate, "57014", "{sql} {refusal:?}");
        assert!(refusal.message.contains("statement timeout"), "{refusal:?}");
        assert!(took < limit + WITHIN, "{sql} {took:?}");
        bench.db.run("SET statement_timeout = 0").await;
    }
    bench.finish().await;
}

async fn termination_acts_within_a_second_while_a_reply_hangs(crm: &'static Crm) {
    let bench = with_contact_table(crm, "terminate").await;
    bench
        .admin
        .fault(json!({"path": crm.queries.first.path, "kind": "hang", "times": 0}))
        .await;
    let victim = Database::connect(None).await;
    victim
        .run(&format!("SET search_path = {}, public", bench.name))
        .await;
    let backend = victim.backend();
    let admin = &bench.admin;
    let (last_words, told) = tokio::join!(victim.dies("SELECT count(name) FROM contact"), async {
        until("the request arrives", Duration::from_secs(20), || async {
            (admin.calls(crm.queries.first.counter).await > 0).then_some(())
        })
        .await;
        let now = Instant::now();
        let sql = format!("SELECT pg_terminate_backend({})", backend.pid);
        assert_eq!(bench.db.value(&sql).await, "t");
        now
    });
    let last_words = last_words.expect("last words");
    assert_eq!(last_words.sqlstate, "57P01", "{last_words:?}");
    until("the process ends", WITHIN, || async {
        (!backend.is_alive()).then_some(())
    })
    .await;
    assert!(told.elapsed() < WITHIN, "{:?}", told.elapsed());
    // The others did not notice, as they would have if it had crashed.
    bench.admin.reset().await;
    bench.db.is_alive().await;
    bench.db.value("SELECT count(*) FROM contact").await;
    bench.finish().await;
}

async fn a_client_that_leaves_does_not_leave_its_scan_behind(crm: &'static Crm) {
    let bench = with_contact_table(crm, "leave").await;
    let leaver = Database::connect(None).await;
    leaver
        .run(&format!("SET search_path = {}, public", bench.name))
        .await;
    leaver
        .run("BEGIN; DECLARE c CURSOR FOR SELECT name FROM contact; FETCH 1 FROM c")
        .await;
    let backend = leaver.backend();
    drop(leaver);
    until("the process ends", Duration::from_secs(5), || async {
        (!backend.is_alive()).then_some(())
    })
    .await;
    bench.finish().await;
}

async fn a_reply_that_never_comes_ends_with_the_request_timeout(crm: &'static Crm) {
    let bench = with_contact_table(crm, "never").await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {} OPTIONS (SET request_timeout '1', SET max_retries '1')",
            bench.name
        ))
        .await;
    bench
        .admin
        .fault(json!({"path": crm.queries.first.path, "kind": "hang", "times": 0}))
        .await;
    let started = Instant::now();
    let refusal = bench.db.refused("SELECT count(name) FROM contact").await;
    assert_eq!(refusal.sqlstate, "08006", "{refusal:?}");
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        bench.admin.calls(crm.queries.first.counter).await,
        2,
        "a read is asked for again"
    );
    bench.finish().await;
}
