//! `crm.deleted` (L-1, L-2).

use crate::{change, clock, fails};
use crm_tests::Bench;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn deletions_of_a_period_to_the_second() {
    let bench = Bench::plain("deleted").await;
    bench.import(&["Lead"]).await;
    let ids = bench
        .db
        .column("SELECT id FROM lead ORDER BY id LIMIT 3")
        .await;
    for (seconds, id) in [(600, &ids[0]), (630, &ids[1]), (720, &ids[2])] {
        clock(&bench, seconds).await;
        change(
            &bench,
            json!({"object": "Lead", "ids": [id], "delete": "bin"}),
        )
        .await;
    }
    clock(&bench, 3_600).await;
    let rows = bench
        .db
        .rows("SELECT id, deleted_at::text FROM crm.deleted('lead', now() - interval '1 day') ORDER BY deleted_at")
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
        format!("SELECT count(*) FROM crm.deleted('lead', {start}, {end})")
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
    for (arguments, sqlstate, words) in [
        ("'lead', now() - interval '40 days'", "22023", "30 days"),
        (
            "'lead', now(), now() - interval '1 hour'",
            "22023",
            "before start",
        ),
        (
            "'lead', now() + interval '1 day'",
            "22023",
            "after the time of the CRM",
        ),
        ("'lead', '-infinity'", "22008", "finite"),
        ("'lead', NULL", "22004", "must not be null"),
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
