//! Replies that are not what the protocol promises: an error or a reject, never fewer rows in silence, never a crash
//! (S-10, D-2, Q-6).

use crm_sandbox::Config;
use crm_tests::Bench;
use serde_json::json;

use crate::{fails, is_told};

async fn contacts(label: &str) -> Bench {
    let config = Config {
        contacts: 5_000,
        ..Config::default()
    };
    let bench = Bench::start(label, config).await;
    bench.import(&["Contact", "Account"]).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_pages_stop_the_statement() {
    let bench = contacts("broken").await;
    let read = "could not read object \"Contact\"";
    for page in ["/query?", "/query/"] {
        for kind in [
            "malformed",
            "bad_utf8",
            "html",
            "empty",
            "deep",
            "redirect",
            "huge",
        ] {
            bench.admin.reset().await;
            bench
                .admin
                .fault(json!({"path": page, "kind": kind, "times": 0}))
                .await;
            let peak = bench.db.backend().watch();
            let sql = "SELECT count(name) FROM contact";
            let refusal = fails(&bench, sql, "HV004", read, "").await;
            let growth = peak.growth() >> 20;
            println!(
                "{kind} {page}: {growth} MiB, {} {}",
                refusal.message, refusal.detail
            );
            // A broken reply is not asked for again: it would come back the same.
            let asked = bench.admin.data_calls().await;
            assert_eq!(
                asked,
                if page == "/query?" { 1 } else { 2 },
                "{kind} {page}"
            );
            assert!(
                growth <= if kind == "huge" { 320 } else { 64 },
                "{kind}: {growth} MiB"
            );
            assert!(
                !refusal.detail.contains("crm-sandbox.example"),
                "no payload: {refusal:?}"
            );
        }
    }
    // What an endless reply took is given back.
    bench.admin.reset().await;
    let before = bench.db.backend().own_memory();
    for _ in 0..3 {
        bench
            .admin
            .fault(json!({"path": "/query?", "kind": "huge"}))
            .await;
        bench.db.refused("SELECT count(name) FROM contact").await;
    }
    let grown = bench.db.backend().own_memory().saturating_sub(before) >> 20;
    assert!(grown < 16, "{grown} MiB kept");
    let count = bench.db.value("SELECT count(name) FROM contact").await;
    assert!(count.parse::<u64>().expect("a number") > 5_000);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_people_is_told_from_data() {
    let bench = contacts("html").await;
    bench
        .admin
        .fault(json!({"path": "/query?", "kind": "html"}))
        .await;
    fails(
        &bench,
        "SELECT name FROM contact",
        "HV004",
        "page for people",
        "proxy",
    )
    .await;
    for path in ["/sobjects", "/token"] {
        bench.db.run("SELECT crm.disconnect_all()").await;
        for kind in ["html", "malformed", "empty"] {
            bench.admin.reset().await;
            bench
                .admin
                .fault(json!({"path": path, "kind": kind, "times": 0}))
                .await;
            let sql = format!("SELECT count(*) FROM crm.tables('{}')", bench.name);
            fails(&bench, &sql, "HV004", &bench.name, "").await;
        }
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_redirects_to_other_hosts_are_not_followed() {
    let bench = contacts("links").await;
    // A second sandbox would hear of it.
    let other = crm_sandbox::start(Config::default())
        .await
        .expect("a sandbox");
    let elsewhere = crm_tests::Admin::new(&other.admin_url, &other.ca_pem, "");
    for kind in ["foreign_next_link", "redirect"] {
        for host in [other.instance_url.as_str(), "https://evil.example"] {
            bench.admin.reset().await;
            bench
                .admin
                .fault(json!({"path": "/query?", "kind": kind, "host": host}))
                .await;
            let words = match kind {
                "redirect" => "answered with a redirect",
                _ => "refused to follow a link",
            };
            let refusal = fails(&bench, "SELECT name FROM contact", "HV004", words, "").await;
            let named = host.trim_start_matches("https://");
            let told = format!("{} {}", refusal.message, refusal.detail);
            assert!(told.contains(named), "{refusal:?}");
            assert_eq!(bench.admin.data_calls().await, 1);
            assert_eq!(elsewhere.all_calls().await, 0);
        }
    }
    // The same for what describes objects and for sign-in itself.
    for path in ["/sobjects", "/token"] {
        bench.admin.reset().await;
        bench.db.run("SELECT crm.disconnect_all()").await;
        bench
            .admin
            .fault(json!({"path": path, "kind": "redirect", "host": other.instance_url}))
            .await;
        let sql = format!("SELECT count(*) FROM crm.tables('{}')", bench.name);
        fails(&bench, &sql, "HV004", "redirect", "").await;
        assert_eq!(elsewhere.all_calls().await, 0);
    }
    other.shutdown();
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_read_is_an_error_unless_a_warning_is_asked_for() {
    let bench = contacts("short").await;
    let all = bench.db.value("SELECT count(*) FROM contact").await;
    let all: u64 = all.parse().expect("a number");
    let name = bench.name.clone();
    for (page, hint) in [("/query?", "short_read"), ("/query/", "short_read")] {
        bench
            .admin
            .fault(json!({"path": page, "kind": "short_page", "bytes": 3}))
            .await;
        let sql = "SELECT count(name) FROM contact";
        let refusal = fails(&bench, sql, "HV004", "announced records", hint).await;
        let told = format!("{} {}", refusal.message, refusal.detail);
        assert!(told.contains(&all.to_string()), "{refusal:?}");
        assert!(told.contains(&(all - 3).to_string()), "{refusal:?}");
    }
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (ADD short_read 'warning')"
        ))
        .await;
    bench.db.notes();
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "short_page", "bytes": 3}))
        .await;
    let sql = "SELECT count(name) FROM contact";
    assert_eq!(bench.db.value(sql).await, (all - 3).to_string());
    let notes = bench.db.notes();
    let [warning] = notes.as_slice() else {
        panic!("one warning: {notes:?}");
    };
    assert_eq!(warning.severity, "WARNING");
    is_told(sql, warning, "HV004", "announced records", "");
    bench.db.value(sql).await;
    assert_eq!(bench.db.notes(), []);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_convert_are_rejects() {
    let bench = contacts("rejects").await;
    let sql = "SELECT id, birthdate, score__c, createddate, name FROM contact ORDER BY id LIMIT 1";
    let right = bench
        .db
        .rows("SELECT id FROM contact ORDER BY id LIMIT 1")
        .await;
    bench.db.notes();
    bench
        .admin
        .fault(json!({"path": "/query?", "kind": "wrong_types"}))
        .await;
    let rows = bench.db.rows(sql).await;
    assert_eq!(rows.len(), 1, "a reject is a value, not a row");
    let notes = bench.db.notes();
    assert!(!notes.is_empty());
    for note in &notes {
        assert_eq!(note.severity, "WARNING", "{note:?}");
        assert!(
            note.message
                .contains("of foreign table \"contact\" does not convert"),
            "{note:?}"
        );
        assert!(note.detail.contains("Record "), "{note:?}");
        assert!(note.detail.contains("value: "), "{note:?}");
    }
    assert!(
        notes
            .iter()
            .any(|note| note.message.contains("\"score__c\"")
                || note.message.contains("\"createddate\"")
                || note.message.contains("\"birthdate\"")),
        "{notes:?}"
    );
    assert!(right[0][0].is_some());
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD on_reject 'error')")
        .await;
    bench
        .admin
        .fault(json!({"path": "/query?", "kind": "wrong_types"}))
        .await;
    fails(&bench, sql, "HV004", "does not convert", "copy_paste").await;
    bench.admin.reset().await;
    assert_eq!(bench.db.rows(sql).await.len(), 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_no_database_can_hold_is_a_reject() {
    let bench = contacts("nul").await;
    let count = bench.db.value("SELECT count(*) FROM account").await;
    bench.db.notes();
    bench
        .admin
        .fault(json!({"path": "/query?", "kind": "nul"}))
        .await;
    let rows = bench.db.rows("SELECT id, name FROM account").await;
    assert_eq!(rows.len().to_string(), count);
    let missing: Vec<_> = rows.iter().filter(|row| row[1].is_none()).collect();
    assert_eq!(missing.len(), 1);
    let notes = bench.db.notes();
    let [warning] = notes.as_slice() else {
        panic!("one warning: {notes:?}");
    };
    assert!(
        warning
            .message
            .contains("column \"name\" of foreign table \"account\""),
        "{warning:?}"
    );
    let id = missing[0][0].as_deref().expect("an identifier");
    assert!(warning.detail.contains(id), "{warning:?}");
    bench.finish().await;
}
