//! A million contacts, or as many as the CRM is said to give in reasonable time: read whole, in flat memory, in no more calls than pages.

use std::time::Instant;

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, for_each_crm};

for_each_crm!(many_contacts_are_read_in_flat_memory);

const MOST_GROWTH: u64 = 64 << 20;

async fn many_contacts_are_read_in_flat_memory(crm: &'static Crm) {
    let contacts = crm.queries.many;
    let config = Config {
        contacts,
        ..Config::default()
    };
    let bench = Bench::of(crm, "million", config).await;
    bench.collect(&["contact"]).await;
    let expected = bench.db.value("SELECT count(*) FROM contact").await;
    let expected: u64 = expected.parse().expect("a number");
    assert!(expected > u64::from(contacts));
    // What a backend loads once in its life is not growth with the rows.
    bench.db.rows("SELECT lastname FROM contact LIMIT 1").await;

    let counted = measured(
        &bench,
        "SELECT count(lastname)",
        "SELECT count(lastname) FROM contact",
    )
    .await;
    assert_eq!(counted, expected.to_string());
    let columns = crm.queries.filled;
    let made = format!("CREATE UNLOGGED TABLE taken AS SELECT {columns} FROM contact");
    measured(&bench, "CREATE TABLE AS, 25 columns", &made).await;
    let rows = bench
        .db
        .rows("SELECT count(*), count(DISTINCT id), count(lastname) FROM taken")
        .await;
    let n = Some(expected.to_string());
    assert_eq!(rows, [[n.clone(), n.clone(), n]]);
    bench.finish().await;
}

/// Runs the statement against a sandbox that has its pages ready, and checks what it cost; gives its first value.
async fn measured(bench: &Bench, what: &str, sql: &str) -> String {
    let query = bench
        .remote_queries(sql)
        .await
        .pop()
        .expect("a remote query");
    let pages = bench.admin.prerender(&query).await;
    let most_calls = bench.crm.queries.most_calls;
    assert!(pages <= most_calls, "{pages} pages");
    bench.admin.clear_counters().await;
    let peak = bench.db.backend().watch();
    let started = Instant::now();
    let mut rows = bench.db.rows(sql).await;
    let took = started.elapsed();
    let growth = peak.growth();
    let calls = bench.admin.data_calls().await;
    println!(
        "measured: {}: {what}: {:.0} rows/s, {took:.2?}, {} MiB at most beyond the start, {calls} data calls",
        bench.crm.name,
        f64::from(bench.crm.queries.many) / took.as_secs_f64(),
        growth >> 20,
    );
    assert!(calls <= most_calls, "{what}: {calls} calls");
    assert!(growth <= MOST_GROWTH, "{what}: {} MiB more", growth >> 20);
    rows.pop()
        .and_then(|mut row| row.pop())
        .flatten()
        .unwrap_or_default()
}
