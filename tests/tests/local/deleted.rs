//! `crm.deleted` (L-1, L-2).

use crate::{clock, fails};
use crm_sandbox::Config;
use crm_tests::{Bench, Crm, for_each_crm};
use serde_json::json;

for_each_crm!(
    deletions_of_a_period_to_the_second,
    periods_and_tables_that_are_none_are_refused
);

async fn deletions_of_a_period_to_the_second(crm: &'static Crm) {
    let bench = Bench::of(crm, "deleted", Config::default()).await;
    bench.collect(&["contact"]).await;
    let ids = bench
        .db
        .column("SELECT id FROM contact ORDER BY id LIMIT 3")
        .await;
    for (seconds, id) in [(600, &ids[0]), (630, &ids[1]), (720, &ids[2])] {
        clock(&bench, seconds).await;
        let removed = json!({"ids": [id], "delete": crm.writes.logged_removal});
        bench.change("contact", removed).await;
    }
    clock(&bench, 3_600).await;
    let rows = bench
        .db
        .rows("SELECT id, deleted_at::text FROM crm.deleted('contact', now() - interval '1 day') ORDER BY deleted_at")
        .await;
    let found: Vec<_> = rows
        .iter()
        .map(|row| row[0].clone().expect("an identifier"))
        .collect();
    assert_eq!(found, ids);
    let at: Vec<_> = rows
        .iter()
        .map(|row| row[1].clone().expect("a time"))
        .collect();
    let between = |start: &str, end: &str| {
        format!("SELECT count(*) FROM crm.deleted('contact', {start}, {end})")
    };
    let quoted = |text: &str| format!("timestamptz '{text}'");
    for (start, end, expected) in [
        (quoted(&at[0]), quoted(&at[0]), "1"),
        (quoted(&at[0]), quoted(&at[2]), "3"),
        (
            format!("{} + interval '1 s'", quoted(&at[0])),
            quoted(&at[2]),
            "2",
        ),
        (
            quoted(&at[0]),
            format!("{} - interval '1 s'", quoted(&at[2])),
            "2",
        ),
    ] {
        assert_eq!(
            bench.db.value(&between(&start, &end)).await,
            expected,
            "{start} to {end}"
        );
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_cannot_say_is_told() {
    let bench = Bench::plain("untold").await;
    bench.import(&["Lead"]).await;
    bench
        .db
        .rows("SELECT count(*) FROM crm.deleted('lead', now() - interval '20 days')")
        .await;
    let notes = bench.db.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.severity == "WARNING" && note.message.contains("may be incomplete")),
        "{notes:?}"
    );
    fails(
        &bench,
        "SELECT * FROM crm.deleted('lead', now() - interval '40 days')",
        "22023",
        "30 days",
    )
    .await;
    bench.finish().await;
}

async fn periods_and_tables_that_are_none_are_refused(crm: &'static Crm) {
    let bench = Bench::of(crm, "no_period", Config::default()).await;
    bench.collect(&["contact"]).await;
    for (arguments, sqlstate, words) in [
        (
            "'contact', now(), now() - interval '1 hour'",
            "22023",
            "before start",
        ),
        (
            "'contact', now() + interval '1 day'",
            "22023",
            "after the time of the CRM",
        ),
        ("'contact', '-infinity'", "22008", "finite"),
        ("'contact', NULL", "22004", "must not be null"),
        ("'pg_class', now()", "42809", "not a foreign table"),
    ] {
        fails(
            &bench,
            &format!("SELECT * FROM crm.deleted({arguments})"),
            sqlstate,
            words,
        )
        .await;
    }
    bench.finish().await;
}
