//! The way to the CRM: certificates, connections that break, throttling (A-2, E-5).

use crm_sandbox::Config;
use crm_tests::{Bench, literal};
use serde_json::json;

use crate::fails;

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_refused() {
    let config = Config {
        expired_certificate: true,
        ..Config::default()
    };
    let sandbox = crm_sandbox::start(config).await.expect("a sandbox");
    let bench = Bench::plain("expired").await;
    let ca = tempfile::tempdir().expect("a folder");
    let file = crm_tests::open_file(ca.path(), "ca.pem", &sandbox.ca_pem);
    bench
        .db
        .run(&format!(
            "ALTER SERVER {} OPTIONS (SET url {}, SET ca_file {})",
            bench.name,
            literal(&sandbox.login_url),
            literal(&file)
        ))
        .await;
    let sql = format!("SELECT * FROM crm.check('{}')", bench.name);
    let refusal = fails(
        &bench,
        &sql,
        "08001",
        "could not connect to \"localhost",
        "clock",
    )
    .await;
    assert!(refusal.detail.contains("expired"), "{refusal:?}");
    sandbox.shutdown();
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_refused() {
    let bench = Bench::plain("authority").await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {} OPTIONS (DROP ca_file)",
            bench.name
        ))
        .await;
    let sql = format!("SELECT * FROM crm.check('{}')", bench.name);
    let refusal = fails(
        &bench,
        &sql,
        "08001",
        "could not connect to \"localhost",
        "ca_file",
    )
    .await;
    assert!(refusal.detail.contains("unknown"), "{refusal:?}");
    // The authority of another sandbox is as unknown.
    let other = crm_sandbox::start(Config::default())
        .await
        .expect("a sandbox");
    let ca = tempfile::tempdir().expect("a folder");
    let file = crm_tests::open_file(ca.path(), "ca.pem", &other.ca_pem);
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (ADD ca_file {})",
            literal(&file)
        ))
        .await;
    fails(
        &bench,
        &sql,
        "08001",
        "could not connect to \"localhost",
        "",
    )
    .await;
    for (path, text) in [
        ("missing.pem", None),
        ("empty.pem", Some("")),
        ("words.pem", Some("no certificate")),
    ] {
        let file = match text {
            Some(text) => crm_tests::open_file(ca.path(), path, text),
            None => ca.path().join(path).display().to_string(),
        };
        bench
            .db
            .run(&format!(
                "ALTER SERVER {name} OPTIONS (SET ca_file {})",
                literal(&file)
            ))
            .await;
        let refusal = bench.db.refused(&sql).await;
        assert!(refusal.message.contains("ca_file"), "{refusal:?}");
        bench.db.is_alive().await;
    }
    assert_eq!(bench.admin.all_calls().await, 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_there_is_told() {
    let bench = Bench::plain("nowhere").await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("an address").port();
    drop(closed);
    let name = &bench.name;
    for url in [
        format!("https://127.0.0.1:{port}"),
        "https://no-such-host.invalid".to_owned(),
    ] {
        bench
            .db
            .run(&format!(
                "ALTER SERVER {name} OPTIONS (SET url {}, SET max_retries '1')",
                literal(&url)
            ))
            .await;
        let sql = format!("SELECT * FROM crm.check('{name}')");
        let host = url.trim_start_matches("https://");
        fails(
            &bench,
            &sql,
            "08001",
            &format!("could not connect to \"{host}\""),
            "",
        )
        .await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_lost_on_the_way_is_asked_for_again() {
    let bench = Bench::start(
        "lost",
        Config {
            contacts: 9_000,
            ..Config::default()
        },
    )
    .await;
    bench.import(&["Contact"]).await;
    let expected = bench
        .db
        .rows("SELECT count(*), count(DISTINCT id), min(id) FROM contact")
        .await;
    for fault in [
        json!({"path": "/query?", "kind": "cut", "bytes": 1000}),
        json!({"path": "/query/", "kind": "cut", "bytes": 0}),
        json!({"path": "/query/", "kind": "cut", "bytes": 100_000, "after": 1}),
        json!({"path": "/query/", "kind": "lose_reply", "after": 2}),
        json!({"path": "/query/", "kind": "status", "status": 503}),
        json!({"path": "/query/", "kind": "status", "status": 500}),
        json!({"path": "/query/", "kind": "status", "status": 502}),
        json!({"path": "/query?", "kind": "status", "status": 420}),
        json!({"path": "/query?", "kind": "status", "status": 429, "retry_after": 1}),
    ] {
        bench.admin.reset().await;
        bench.admin.fault(fault.clone()).await;
        let sql = "SELECT count(*), count(DISTINCT id), min(id) FROM (SELECT id FROM contact OFFSET 0) AS c";
        assert_eq!(bench.db.rows(sql).await, expected, "{fault}");
        // Five pages and the one that was lost.
        let counts = bench.admin.requests().await;
        let pages = expected[0][0]
            .as_ref()
            .and_then(|n| n.parse::<u64>().ok())
            .expect("a count")
            .div_ceil(2_000);
        assert_eq!(counts["data_calls"], json!(pages + 1), "{fault}");
    }
    // EXPLAIN ANALYZE says so.
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "status", "status": 503}))
        .await;
    let plan = bench
        .plan(", ANALYZE, VERBOSE", "SELECT id FROM contact")
        .await;
    assert_eq!(plan["Retries"], json!(1), "{plan}");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_that_lasts_ends_with_an_error() {
    let bench = Bench::plain("lasting").await;
    bench.import(&["Account"]).await;
    for (fault, sqlstate, calls) in [
        (json!({"kind": "status", "status": 503}), "08006", 3),
        (
            json!({"kind": "status", "status": 429, "retry_after": 0}),
            "53400",
            3,
        ),
        (json!({"kind": "cut", "bytes": 10}), "08006", 3),
        // A quota that is used up does not come back by asking.
        (
            json!({"kind": "status", "status": 403, "error_code": "REQUEST_LIMIT_EXCEEDED"}),
            "53400",
            1,
        ),
        (
            json!({"kind": "status", "status": 400, "error_code": "MALFORMED_QUERY"}),
            "HV000",
            1,
        ),
        (
            json!({"kind": "status", "status": 403, "error_code": "INSUFFICIENT_ACCESS"}),
            "42501",
            1,
        ),
        (json!({"kind": "status", "status": 410}), "0A000", 1),
    ] {
        bench.admin.reset().await;
        let mut lasting = fault.clone();
        lasting["path"] = json!("/query");
        lasting["times"] = json!(0);
        bench.admin.fault(lasting).await;
        let refusal = fails(
            &bench,
            "SELECT name FROM account",
            sqlstate,
            "could not read object \"Account\"",
            "",
        )
        .await;
        assert_eq!(bench.admin.data_calls().await, calls, "{fault} {refusal:?}");
        assert!(!refusal.detail.is_empty(), "{refusal:?}");
    }
    // The allotment, said by the CRM itself.
    bench.admin.reset().await;
    bench.admin.limits(15_000, 15_000).await;
    fails(
        &bench,
        "SELECT name FROM account",
        "53400",
        "could not read",
        "",
    )
    .await;
    bench.admin.reset().await;
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (ADD api_version '25.0')"
        ))
        .await;
    fails(
        &bench,
        "SELECT name FROM account",
        "0A000",
        "API version",
        "api_version",
    )
    .await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_wait_that_is_asked_for_is_bounded() {
    let bench = Bench::plain("bounded").await;
    bench.import(&["Account"]).await;
    bench
        .admin
        .fault(json!({"path": "/query", "kind": "status", "status": 503, "retry_after": 3600, "times": 0}))
        .await;
    let started = std::time::Instant::now();
    // The server's retry_timeout is 10 s: an hour is not waited for.
    fails(
        &bench,
        "SELECT name FROM account",
        "08006",
        "could not read",
        "",
    )
    .await;
    assert!(started.elapsed().as_secs() < 12);
    bench.finish().await;
}
