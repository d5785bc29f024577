//! Seeing what happens: statistics across sessions, progress, and what a dump keeps (O-1, O-2).

use crm_sandbox::Config;
use crm_tests::{Bench, Database, until};
use serde_json::json;
use std::process::Command;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_count_together() {
    let bench = Bench::plain("counted").await;
    bench.import(&["Account"]).await;
    let n = bench.name.clone();
    let of_table = format!(
        "SELECT concat_ws(' ', data_calls, pages, rows, bytes > 0) FROM crm.stat_tables WHERE foreign_table = '{n}.account'::regclass"
    );
    assert_eq!(bench.db.value(&of_table).await, "0 0 0 f");
    let rows: u64 = bench.db.rows("SELECT id, name FROM account").await.len() as u64;
    assert_eq!(bench.db.value(&of_table).await, format!("1 1 {rows} t"));
    let others = futures_util::future::join_all((0..4).map(|_| {
        let n = n.clone();
        async move {
            let other = Database::connect(None).await;
            for _ in 0..5 {
                other.rows(&format!("SELECT id FROM {n}.account")).await;
            }
        }
    }));
    others.await;
    until(
        "the other sessions have counted",
        Duration::from_secs(10),
        || async {
            (bench.db.value(&of_table).await == format!("21 21 {} t", rows * 21)).then_some(())
        },
    )
    .await;
    // A statement that fails counts as well, and says why.
    bench.admin.fault(json!({"path": "/query", "kind": "status", "status": 400, "error_code": "MALFORMED_QUERY", "times": 1})).await;
    bench.db.refused("SELECT id FROM account").await;
    let of_server = format!(
        "SELECT concat_ws(' ', data_calls, last_error LIKE 'could not read object \"Account\"%', last_sqlstate, last_error_at > now() - interval '1 minute', calls_left > 0) FROM crm.stat_servers WHERE server = '{n}'"
    );
    assert!(
        bench.db.value(&of_server).await.starts_with("22 t HV"),
        "{}",
        bench.db.value(&of_server).await
    );
    // Retries and their waits.
    bench.admin.fault(json!({"path": "/query", "kind": "status", "status": 503, "retry_after": 1, "times": 1})).await;
    bench.db.rows("SELECT id FROM account").await;
    let retries = format!(
        "SELECT concat_ws(' ', retries, waits >= interval '1 s') FROM crm.stat_tables WHERE foreign_table = '{n}.account'::regclass"
    );
    assert_eq!(bench.db.value(&retries).await, "1 t");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_convert_are_counted() {
    let bench = Bench::plain("rejects").await;
    bench
        .db
        .run(&format!("CREATE FOREIGN TABLE names (id text OPTIONS (field 'Id'), n integer OPTIONS (field 'Name')) SERVER {} OPTIONS (object 'Account')", bench.name))
        .await;
    bench.db.rows("SELECT n FROM names LIMIT 3").await;
    assert_eq!(
        bench
            .db
            .value("SELECT rejects FROM crm.stat_tables WHERE foreign_table = 'names'::regclass")
            .await,
        "3"
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_tells_how_far_it_is() {
    let bench = Bench::start(
        "progress",
        Config {
            contacts: 20_000,
            ..Config::default()
        },
    )
    .await;
    bench.import(&["Contact"]).await;
    bench.db.run("SET crm.progress_interval = '1ms'").await;
    // The fourth page is late: the work is longer than the second that must have passed.
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "slow", "ms": 1_500, "times": 1, "after": 2}))
        .await;
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "hold", "times": 1, "after": 5}))
        .await;
    let other = Database::connect(None).await;
    let pid = bench.db.backend().pid;
    let sql = crate::call(&bench, "'contact', 'copy'");
    let running = bench.db.rows(&sql);
    let watching = async {
        bench.admin.held(1).await;
        let sql = format!(
            "SELECT work, rows > 2000, pages > 1, percent BETWEEN 10 AND 99, elapsed > interval '1 s' FROM crm.progress WHERE pid = {pid}"
        );
        let row = until("the progress is seen", Duration::from_secs(20), || async {
            other.rows(&sql).await.pop()
        })
        .await;
        bench.admin.post("/release", json!({})).await;
        row
    };
    let (_, row) = tokio::join!(running, watching);
    let n = &bench.name;
    let expected: Vec<_> = [
        format!("sync of {n}.contact into {n}.copy"),
        "t".into(),
        "t".into(),
        "t".into(),
        "t".into(),
    ]
    .into_iter()
    .map(Some)
    .collect();
    assert_eq!(row, expected);
    let notes = bench.db.notes();
    assert!(
        notes.iter().any(|note| note.severity == "NOTICE"
            && note.message.contains("rows, ")
            && note.message.ends_with('%')),
        "{notes:?}"
    );
    assert_eq!(
        other
            .value(&format!(
                "SELECT count(*) FROM crm.progress WHERE pid = {pid}"
            ))
            .await,
        "0"
    );
    // Off means off.
    bench.db.run("SET crm.progress_interval = 0").await;
    bench
        .admin
        .fault(json!({"path": "/query/", "kind": "slow", "ms": 1_500, "times": 1, "after": 2}))
        .await;
    bench.db.rows("SELECT count(lastname) FROM contact").await;
    assert_eq!(bench.db.notes(), []);
    bench.finish().await;
}

#[test]
fn a_dump_keeps_marks_and_enumerations() {
    let dsn = std::env::var("CRM_TEST_DSN").expect("CRM_TEST_DSN");
    let bin = std::env::var("CRM_TEST_PG_BIN").expect("CRM_TEST_PG_BIN");
    let database = |name: &str| format!("{dsn} dbname={name}");
    let run = |program: &str, arguments: &[&str], input: &[u8]| -> Vec<u8> {
        let mut child = Command::new(format!("{bin}/{program}"))
            .args(arguments)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a program of the server");
        std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), input)
            .expect("a reader");
        let output = child.wait_with_output().expect("an end");
        assert!(output.status.success(), "{program} {arguments:?}");
        output.stdout
    };
    let psql = |name: &str, sql: &str| {
        let arguments = [
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &database(name),
        ];
        String::from_utf8(run("psql", &arguments, sql.as_bytes())).expect("text")
    };
    let (from, to) = (
        format!("dump_from_{}", std::process::id()),
        format!("dump_to_{}", std::process::id()),
    );
    psql(
        "postgres",
        &format!("CREATE DATABASE {from};\nCREATE DATABASE {to};"),
    );
    psql(
        &from,
        "CREATE EXTENSION crm_fdw;
         CREATE SERVER sf FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://login.salesforce.com');
         INSERT INTO crm.option (name, value) VALUES ('LASTIMPORT_x_y', '2020/01/01 00:00:00');
         INSERT INTO crm.sync_state VALUES ('y', 'sf.y', 'mart.y', '{id,name}', '2020-01-01Z', '2020-01-02Z');
         INSERT INTO crm.enumeration VALUES ('sf', 'Account.Rating', 'Rating', '2020-01-01Z');
         INSERT INTO crm.enumeration_field VALUES ('sf', 'Account', 'Rating', 'Account.Rating');
         INSERT INTO crm.enumeration_value VALUES ('sf', 'Account.Rating', 'Hot', 'Hot', 1, true, false, '{a,b}', NULL);",
    );
    let dump = run("pg_dump", &["-d", &database(&from)], b"");
    psql(&to, &String::from_utf8(dump).expect("text"));
    let contents = "SELECT o::text FROM crm.option o UNION ALL SELECT s::text FROM crm.sync_state s UNION ALL SELECT e::text FROM crm.enumeration e
        UNION ALL SELECT f::text FROM crm.enumeration_field f UNION ALL SELECT v::text FROM crm.enumeration_value v;";
    assert_eq!(psql(&to, contents), psql(&from, contents));
    assert_eq!(psql(&to, contents).lines().count(), 5);
    psql(
        "postgres",
        &format!("DROP DATABASE {from};\nDROP DATABASE {to};"),
    );
}
