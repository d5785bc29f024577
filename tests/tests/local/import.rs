//! The automatic index: `crm.import` (I-1, I-2).

use crate::{change, clock, fails};
use crm_sandbox::Config;
use crm_tests::Bench;
use serde_json::json;

async fn bench(label: &str) -> Bench {
    let bench = Bench::start(
        label,
        Config {
            contacts: 3_000,
            ..Config::default()
        },
    )
    .await;
    bench.import(&["Contact"]).await;
    bench
}

async fn mark(bench: &Bench, activity: &str) -> Option<String> {
    let sql = format!(
        "SELECT value FROM crm.option WHERE name = 'LASTIMPORT_' || current_database() || '_{activity}'"
    );
    let rows = bench.db.rows(&sql).await;
    rows.into_iter().next().and_then(|mut row| row.remove(0))
}

async fn count(bench: &Bench, activity: &str, more: &str) -> u64 {
    let sql =
        format!("SELECT count(*) FROM crm.import(NULL::contact, activity => '{activity}'{more})");
    bench.db.value(&sql).await.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_import_reads_what_changed_since_the_last() {
    let bench = bench("index").await;
    let name = format!("people_{}", bench.name);
    let all = count(&bench, &name, "").await;
    assert!(all > 3_000);
    let first = mark(&bench, &name).await.expect("a mark");
    assert_eq!(first.len(), "yyyy/MM/dd hh:mm:ss".len());
    let settings = "SELECT current_setting('crm.option_name') || '|' || current_setting('crm.start_import') || '|' || current_setting('crm.end_date')";
    let database = bench.db.value("SELECT current_database()").await;
    assert_eq!(
        bench.db.value(settings).await,
        format!("LASTIMPORT_{database}_{name}||{first}")
    );
    assert_eq!(bench.db.value("SHOW crm.end_date").await, first);

    clock(&bench, 3_600).await;
    change(
        &bench,
        json!({"object": "Contact", "first": 7, "set": {"Title": "Changed"}}),
    )
    .await;
    clock(&bench, 3_660).await;
    assert_eq!(count(&bench, &name, "").await, 7);
    let second = mark(&bench, &name).await.expect("a mark");
    assert_eq!(
        bench.db.value(settings).await,
        format!("LASTIMPORT_{database}_{name}|{first}|{second}")
    );
    assert_eq!(count(&bench, &name, "").await, 0);
    assert_eq!(count(&bench, &name, ", overlap => '10 minutes'").await, 7);

    // The mark may be set, read and deleted by hand.
    bench
        .db
        .run(&format!(
            "UPDATE crm.option SET value = '{first}' WHERE name = crm.mark_name('{name}')"
        ))
        .await;
    assert_eq!(count(&bench, &name, "").await, 7);
    bench
        .db
        .run(&format!(
            "DELETE FROM crm.option WHERE name = crm.mark_name('{name}')"
        ))
        .await;
    assert_eq!(count(&bench, &name, "").await, all);
    assert_eq!(count(&bench, "", ", option_name => 'my own'").await, all);
    assert_eq!(
        bench
            .db
            .value("SELECT count(*) FROM crm.option WHERE name = 'my own'")
            .await,
        "1"
    );
    bench
        .db
        .run("DELETE FROM crm.option WHERE name = 'my own'")
        .await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_window_has_its_start_and_not_its_end() {
    let bench = bench("window").await;
    let name = format!("window_{}", bench.name);
    clock(&bench, 86_400).await;
    let now = bench
        .db
        .value("SELECT crm.clock('contact'::regclass)")
        .await;
    let at = |seconds: i64| {
        let (bench, now) = (&bench, now.clone());
        async move {
            let sql = format!(
                "SELECT to_char(('{now}'::timestamptz + interval '{seconds} s') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.000+0000')"
            );
            bench.db.value(&sql).await
        }
    };
    change(
        &bench,
        json!({"object": "Contact", "first": 1, "set": {"Title": "Before"}, "at": at(-101).await}),
    )
    .await;
    change(&bench, json!({"object": "Contact", "skip": 1, "first": 2, "set": {"Title": "Start"}, "at": at(-100).await})).await;
    // Seconds from now: the end of the window lies before them.
    change(&bench, json!({"object": "Contact", "skip": 3, "first": 4, "set": {"Title": "Later"}, "at": at(3_600).await})).await;
    let start = bench
        .db
        .value(&format!(
            "SELECT crm.mark_text('{now}'::timestamptz - interval '100 s')"
        ))
        .await;
    bench
        .db
        .run(&format!(
            "INSERT INTO crm.option (name, value) VALUES (crm.mark_name('{name}'), '{start}')"
        ))
        .await;
    assert_eq!(count(&bench, &name, "").await, 2);
    clock(&bench, 86_400 + 7_200).await;
    assert_eq!(count(&bench, &name, "").await, 4);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mark_moves_only_with_the_transaction() {
    let bench = bench("moves").await;
    let name = format!("moves_{}", bench.name);
    bench.db.run("BEGIN").await;
    count(&bench, &name, "").await;
    bench.db.run("ROLLBACK").await;
    assert_eq!(mark(&bench, &name).await, None);
    bench.db.run("BEGIN; SAVEPOINT s").await;
    count(&bench, &name, "").await;
    bench.db.run("ROLLBACK TO s; COMMIT").await;
    assert_eq!(mark(&bench, &name).await, None);
    // Who looks at some rows only has not imported them.
    bench.db.notes();
    bench
        .db
        .rows(&format!(
            "SELECT id FROM crm.import(NULL::contact, activity => '{name}') LIMIT 5"
        ))
        .await;
    assert_eq!(mark(&bench, &name).await, None);
    assert!(
        bench
            .db
            .notes()
            .iter()
            .any(|note| note.message.contains("has a limit"))
    );
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "short_page", "bytes": 5, "times": 1}))
        .await;
    fails(
        &bench,
        &format!("SELECT count(*) FROM crm.import(NULL::contact, activity => '{name}')"),
        "HV004",
        "could not read",
    )
    .await;
    assert_eq!(mark(&bench, &name).await, None);
    bench.db.run("BEGIN; SAVEPOINT s").await;
    count(&bench, &name, "").await;
    bench.db.run("RELEASE s; COMMIT").await;
    assert!(mark(&bench, &name).await.is_some());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_imported_is_said() {
    let bench = bench("unimported").await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE bare (id text OPTIONS (field 'Id'), birthdate date OPTIONS (field 'Birthdate'),
                created timestamptz OPTIONS (field 'CreatedDate')) SERVER {} OPTIONS (object 'Contact');
             CREATE TABLE local (id text)",
            bench.name
        ))
        .await;
    for (arguments, sqlstate, words) in [
        ("NULL::bare", "42703", "no column that says when"),
        (
            "NULL::bare, index_field => 'modified'",
            "42703",
            "\"modified\"",
        ),
        (
            "NULL::bare, index_field => 'birthdate'",
            "42804",
            "has type date",
        ),
        ("NULL::local", "42809", "foreign table's row type"),
        ("NULL::contact, overlap => '-1 s'", "22023", "negative"),
    ] {
        let refusal = fails(
            &bench,
            &format!("SELECT count(*) FROM crm.import({arguments})"),
            sqlstate,
            words,
        )
        .await;
        assert!(
            !refusal.hint.is_empty() || words == "negative",
            "{refusal:#?}"
        );
    }
    assert_ne!(
        bench
            .db
            .value(&format!(
                "SELECT count(*) FROM crm.import(NULL::bare, '{}', index_field => 'created')",
                bench.name
            ))
            .await,
        "0"
    );
    bench
        .db
        .run("INSERT INTO crm.option VALUES (crm.mark_name('future'), '2999/01/01 00:00:00')")
        .await;
    fails(
        &bench,
        "SELECT count(*) FROM crm.import(NULL::contact, 'future')",
        "22023",
        "later than the time of the CRM",
    )
    .await;
    bench
        .db
        .run("DELETE FROM crm.option WHERE name = crm.mark_name('future')")
        .await;
    bench.finish().await;
}
