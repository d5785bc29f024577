//! A million records kept true: what it costs (issue "Keep a local copy true", Q-3).

use crate::{change, clock, is_true, sync};
use crm_sandbox::Config;
use crm_tests::Bench;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_million_contacts_with_one_percent_changed() {
    let config = Config {
        contacts: 1_000_000,
        ..Config::default()
    };
    let bench = Bench::start("million_sync", config).await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE people (
               id text OPTIONS (field 'Id'), lastmodifieddate timestamptz OPTIONS (field 'LastModifiedDate'),
               lastname text OPTIONS (field 'LastName'), title text OPTIONS (field 'Title'),
               email text OPTIONS (field 'Email'), accountid text OPTIONS (field 'AccountId'))
             SERVER {} OPTIONS (object 'Contact')",
            bench.name
        ))
        .await;
    let peak = bench.db.backend().watch();
    let started = std::time::Instant::now();
    let first = sync(&bench, "'people', 'copy'").await;
    println!(
        "first sync: {first:?} in {:?}, {} KiB more",
        started.elapsed(),
        peak.growth() / 1024
    );
    assert!(first[0] > 1_000_000);
    assert!(first[4] <= 505, "{first:?}");

    clock(&bench, 7_200).await;
    change(
        &bench,
        json!({"object": "Contact", "every": 100, "set": {"Title": "Changed {n}"}}),
    )
    .await;
    change(
        &bench,
        json!({"object": "Contact", "skip": 1, "every": 1000, "delete": "bin"}),
    )
    .await;
    clock(&bench, 7_400).await;
    let before = writes(&bench).await;
    let peak = bench.db.backend().watch();
    let started = std::time::Instant::now();
    let second = sync(&bench, "'people', 'copy'").await;
    let growth = peak.growth();
    println!(
        "second sync: {second:?} in {:?}, {} KiB more",
        started.elapsed(),
        growth / 1024
    );
    assert_eq!(second[..4], [0, 10_000, 0, 1_000]);
    assert!(second[4] <= 12, "{second:?}");
    assert_eq!(writes(&bench).await, before + 11_000);
    is_true(
        &bench,
        "people",
        "copy",
        "id, lastmodifieddate, lastname, title, email, accountid",
    )
    .await;

    clock(&bench, 14_400).await;
    let before = writes(&bench).await;
    let third = sync(&bench, "'people', 'copy'").await;
    println!("third sync: {third:?}");
    // Within the overlap the changed ones are looked at again; none is written.
    assert_eq!(third[..4], [0, 0, 10_000, 0]);
    assert!(third[4] <= 12, "{third:?}");
    assert_eq!(writes(&bench).await, before);
    clock(&bench, 21_600).await;
    let fourth = sync(&bench, "'people', 'copy'").await;
    assert_eq!(fourth[..4], [0, 0, 0, 0]);
    assert!(fourth[4] <= 4, "{fourth:?}");
    assert_eq!(writes(&bench).await, before);
    bench.finish().await;
}

/// Rows written to the copy so far, as the server counts.
async fn writes(bench: &Bench) -> u64 {
    let sql = "SELECT pg_stat_force_next_flush(); SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid = 'copy'::regclass";
    let rows = bench.db.rows(sql).await;
    rows.last()
        .and_then(|row| row[0].clone())
        .expect("a count")
        .parse()
        .expect("a number")
}
