//! A million contacts: read whole, in flat memory, in no more calls than pages.

use std::time::Instant;

use crm_sandbox::Config;
use crm_tests::Bench;

const CONTACTS: u32 = 1_000_000;
/// Pages of 2,000 for a million and the recorded ones.
const MOST_CALLS: u64 = 501;
const MOST_GROWTH: u64 = 64 << 20;

/// Columns of the generated contacts that hold values.
const COLUMNS: &str = "id, accountid, lastname, firstname, salutation, name, mailingstreet, mailingcity, mailingstate, \
    mailingpostalcode, mailingcountry, phone, mobilephone, email, title, department, leadsource, birthdate, ownerid, \
    createddate, lastmodifieddate, score__c, visits__c, balance__c, isvip__c";

#[tokio::test(flavor = "multi_thread")]
async fn a_million_contacts_are_read_in_flat_memory() {
    let config = Config {
        contacts: CONTACTS,
        ..Config::default()
    };
    let bench = Bench::start("million", config).await;
    bench.import(&["Contact"]).await;
    let expected = bench.db.value("SELECT count(*) FROM contact").await;
    let expected: u64 = expected.parse().expect("a number");
    assert!(expected > u64::from(CONTACTS));
    // What a backend loads once in its life is not growth with the rows.
    bench.db.rows("SELECT name FROM contact LIMIT 1").await;

    let counted = measured(
        &bench,
        "SELECT count(name)",
        "SELECT count(name) FROM contact",
    )
    .await;
    assert_eq!(counted, expected.to_string());
    let made = format!("CREATE UNLOGGED TABLE taken AS SELECT {COLUMNS} FROM contact");
    measured(&bench, "CREATE TABLE AS, 25 columns", &made).await;
    let rows = bench
        .db
        .rows("SELECT count(*), count(DISTINCT id), count(name) FROM taken")
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
    assert!(pages <= MOST_CALLS, "{pages} pages");
    bench.admin.clear_counters().await;
    let peak = bench.db.backend().watch();
    let started = Instant::now();
    let mut rows = bench.db.rows(sql).await;
    let took = started.elapsed();
    let growth = peak.growth();
    let calls = bench.admin.data_calls().await;
    println!(
        "measured: {what}: {:.0} rows/s, {took:.2?}, {} MiB at most beyond the start, {calls} data calls",
        f64::from(CONTACTS) / took.as_secs_f64(),
        growth >> 20,
    );
    assert!(calls <= MOST_CALLS, "{what}: {calls} calls");
    assert!(growth <= MOST_GROWTH, "{what}: {} MiB more", growth >> 20);
    rows.pop()
        .and_then(|mut row| row.pop())
        .flatten()
        .unwrap_or_default()
}
