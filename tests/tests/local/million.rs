//! A million records kept true: what it costs (issue "Keep a local copy true", Q-3).

use crate::{clock, is_true, sync};
use crm_sandbox::Config;
use crm_tests::{Bench, Crm, for_each_crm};
use serde_json::json;

for_each_crm!(many_contacts_with_one_percent_changed);

async fn many_contacts_with_one_percent_changed(crm: &'static Crm) {
    let many = crm.queries.many;
    let config = Config {
        contacts: many,
        ..Config::default()
    };
    let bench = Bench::of(crm, "million_sync", config).await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE people (
               id {1} OPTIONS (field '{2}'), lastmodifieddate timestamptz OPTIONS (field '{3}'),
               lastname text OPTIONS (field '{4}'), title text OPTIONS (field '{5}'), email text OPTIONS (field '{6}'))
             SERVER {0} OPTIONS (object '{7}')",
            bench.name,
            crm.identifiers.sql_type,
            crm.field("contact", "id"),
            crm.field("contact", "lastmodifieddate"),
            crm.field("contact", "lastname"),
            crm.field("contact", "title"),
            crm.field("contact", "email"),
            crm.table("contact").object
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
    assert!(first[0] > many.into());
    assert!(first[4] <= crm.queries.most_calls + 4, "{first:?}");

    clock(&bench, 7_200).await;
    bench
        .change(
            "contact",
            json!({"every": 100, "set": {"title": "Changed {n}"}}),
        )
        .await;
    bench
        .change(
            "contact",
            json!({"skip": 1, "every": 1000, "delete": "bin"}),
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
    let (n_changed, n_deleted) = (u64::from(many) / 100, u64::from(many) / 1_000);
    let few_calls = n_changed.div_ceil(crm.queries.page) + crm.queries.idle_sync + 3;
    assert_eq!(second[..4], [0, n_changed, 0, n_deleted]);
    assert!(second[4] <= few_calls, "{second:?}");
    assert_eq!(writes(&bench).await, before + n_changed + n_deleted);
    is_true(
        &bench,
        "people",
        "copy",
        "id, lastmodifieddate, lastname, title, email",
    )
    .await;

    clock(&bench, 14_400).await;
    let before = writes(&bench).await;
    let third = sync(&bench, "'people', 'copy'").await;
    println!("third sync: {third:?}");
    // Within the overlap the changed ones are looked at again; none is written.
    let n_seen = match crm.queries.changes_by_token {
        true => 0,
        false => n_changed,
    };
    assert_eq!(third[..4], [0, 0, n_seen, 0]);
    assert!(third[4] <= few_calls, "{third:?}");
    assert_eq!(writes(&bench).await, before);
    clock(&bench, 21_600).await;
    let fourth = sync(&bench, "'people', 'copy'").await;
    assert_eq!(fourth[..4], [0, 0, 0, 0]);
    assert!(fourth[4] <= crm.queries.idle_sync, "{fourth:?}");
    assert_eq!(writes(&bench).await, before);
    bench.finish().await;
}

/// Rows written to the copy so far, as the server counts.
async fn writes(bench: &Bench) -> u64 {
    // What a session has counted is told at the end of a transaction, so asking needs one of its own.
    bench.db.run("SELECT pg_stat_force_next_flush()").await;
    let sql = "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables WHERE relid = 'copy'::regclass";
    let rows = bench.db.rows(sql).await;
    rows.last()
        .and_then(|row| row[0].clone())
        .expect("a count")
        .parse()
        .expect("a number")
}
