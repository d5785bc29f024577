//! Export jobs and transactions: what a rollback leaves, who may use a job, and what is on the disk.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crm_tests::{Bench, Crm, for_each_crm, for_one_crm, until};
use serde_json::json;

const SOME: &str = "INSERT INTO contact (firstname, lastname, department)
    SELECT 'Given', 'Some ' || i, 'some' FROM generate_series(1, 300) i";

for_each_crm!(
    a_rollback_says_what_stays_changed_and_where_to_look,
    a_statement_rolled_back_to_a_savepoint_runs_again_under_its_job,
    a_transaction_that_has_written_is_not_prepared,
    a_job_is_for_one_session_and_one_export,
    a_jobs_files_are_closed_to_others_and_hold_no_secret
);

// Where an export chooses identifiers, every record can be settled.
for_one_crm!(
    salesforce_unsettled,
    SALESFORCE,
    records_that_cannot_be_settled_wait_for_a_person
);
for_one_crm!(
    oracle_unsettled,
    ORACLE,
    records_that_cannot_be_settled_wait_for_a_person
);

async fn under_job(crm: &'static Crm, label: &str) -> Bench {
    let bench = crate::contacts(crm, label).await;
    bench
        .db
        .run(&format!("SET crm.export_job = '{}'", bench.name))
        .await;
    bench
}

async fn forget(bench: Bench) {
    bench
        .db
        .run(&format!("SELECT crm.forget_export('{}')", bench.name))
        .await;
    bench.finish().await;
}

async fn a_rollback_says_what_stays_changed_and_where_to_look(crm: &'static Crm) {
    let bench = under_job(crm, "rollback").await;
    let name = &bench.name;
    bench.db.run("BEGIN").await;
    assert_eq!(bench.db.counted(SOME).await, 300);
    bench.db.notes();
    bench.db.run("ROLLBACK").await;
    let notes = bench.db.notes();
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert_eq!(notes[0].severity, "WARNING");
    assert_eq!(
        notes[0].message,
        format!(
            "300 records stay changed on server \"{name}\" although the transaction was rolled back"
        )
    );
    let query = format!("SELECT * FROM crm.export_records('{name}')");
    assert!(notes[0].hint.contains(&query), "{notes:?}");
    let mut listed = bench
        .db
        .column(&format!(
            "SELECT remote_id FROM crm.export_records('{name}') WHERE status = 'accepted' AND record ->> '{}' LIKE 'Some %'",
            crm.field("contact", "lastname")
        ))
        .await;
    listed.sort_unstable();
    let mut found = bench.find("contact", "department", "some").await;
    found.sort_unstable();
    assert_eq!(listed.len(), 300);
    assert_eq!(listed, found);
    // Without a job it says what would have helped.
    bench.db.run("RESET crm.export_job").await;
    let sql = format!(
        "BEGIN; DELETE FROM contact WHERE id = '{}'; ROLLBACK",
        found[0]
    );
    bench.db.run(&sql).await;
    let notes = bench.db.notes();
    assert!(
        notes[0].message.starts_with("1 record stays changed"),
        "{notes:?}"
    );
    assert!(notes[0].hint.contains("SET crm.export_job"), "{notes:?}");
    forget(bench).await;
}

async fn a_statement_rolled_back_to_a_savepoint_runs_again_under_its_job(crm: &'static Crm) {
    let bench = under_job(crm, "savepoint").await;
    let name = &bench.name;
    bench.db.run("BEGIN; SAVEPOINT s").await;
    let returning = format!("{SOME} RETURNING id");
    let first = bench.db.column(&returning).await;
    bench.db.run("ROLLBACK TO s").await;
    let warned = bench.db.notes();
    assert!(
        warned
            .iter()
            .any(|note| note.message.starts_with("300 records stay changed")),
        "{warned:?}"
    );
    assert_eq!(bench.db.column(&returning).await, first);
    bench.db.run("COMMIT").await;
    assert_eq!(bench.admin.writes("created").await, 300);
    // A loop that tries again in an exception block.
    bench.db.run("SET crm.export_job = ''").await;
    let job = format!("{name} block");
    bench
        .db
        .run(&format!(
            "SET crm.export_job = '{job}';
             DO $$
             DECLARE tries int := 0; n bigint;
             BEGIN
                 LOOP
                     tries := tries + 1;
                     BEGIN
                         INSERT INTO contact (firstname, lastname, department)
                             SELECT 'Given', 'Block ' || i, 'block' FROM generate_series(1, 250) i;
                         GET DIAGNOSTICS n = ROW_COUNT;
                         IF tries < 3 THEN RAISE 'not yet'; END IF;
                         EXIT;
                     EXCEPTION WHEN raise_exception THEN NULL;
                     END;
                 END LOOP;
                 IF n <> 250 OR tries <> 3 THEN RAISE 'wrong: %, %', n, tries; END IF;
             END $$"
        ))
        .await;
    assert_eq!(
        bench.find("contact", "department", "block").await.len(),
        250
    );
    assert_eq!(bench.admin.writes("created").await, 550);
    for job in [name, &job] {
        let sql = format!("SELECT state, accepted FROM crm.export_jobs WHERE job = '{job}'");
        let expected = [[Some("finished".to_owned()), None]];
        let rows = bench.db.rows(&sql).await;
        assert_eq!(rows[0][0], expected[0][0], "{job}");
    }
    bench
        .db
        .run(&format!("SELECT crm.forget_export('{job}')"))
        .await;
    forget(bench).await;
}

async fn a_transaction_that_has_written_is_not_prepared(crm: &'static Crm) {
    let bench = crate::contacts(crm, "prepare").await;
    bench
        .db
        .run("BEGIN; INSERT INTO contact (firstname, lastname) VALUES ('Given', 'Prepared')")
        .await;
    let refusal = bench.db.refused("PREPARE TRANSACTION 'written'").await;
    assert_eq!(refusal.sqlstate, "0A000", "{refusal:?}");
    // The warning of the abort follows the error.
    bench.db.is_alive().await;
    let warned = bench.db.notes();
    assert!(
        warned
            .iter()
            .any(|note| note.message.starts_with("1 record stays changed")),
        "{warned:?}"
    );
    bench.finish().await;
}

async fn a_job_is_for_one_session_and_one_export(crm: &'static Crm) {
    let bench = under_job(crm, "one_job").await;
    let name = bench.name.clone();
    // The first holds it until its transaction ends.
    bench.db.run(&format!("BEGIN; {SOME}")).await;
    let other = bench.session().await;
    other.run(&format!("SET crm.export_job = '{name}'")).await;
    bench.admin.clear_counters().await;
    let refusal = other.refused(SOME).await;
    assert_eq!(refusal.sqlstate, "55P03", "{refusal:?}");
    assert!(refusal.message.contains(&name), "{refusal:?}");
    assert_eq!(bench.writing_calls().await, 0);
    bench.db.run("ROLLBACK").await;
    // It is unfinished: nothing else may run under its name.
    let no_contact = crm.identifiers.no_contact;
    for sql in [
        "INSERT INTO account (name) VALUES ('Other table')",
        "INSERT INTO contact (firstname, lastname, department, title) VALUES ('a', 'b', 'c', 'd')",
        "INSERT INTO contact (firstname, lastname) VALUES ('a', 'b')",
        &format!("UPDATE contact SET department = 'x' WHERE id = '{no_contact}'"),
        &format!("DELETE FROM contact WHERE id = '{no_contact}'"),
    ] {
        let refusal = other.refused(sql).await;
        assert!(
            refusal
                .message
                .contains("is unfinished and holds another export"),
            "{sql} {refusal:?}"
        );
        let field = crm.field("contact", "lastname");
        assert!(refusal.detail.contains(field), "{sql} {refusal:?}");
        assert!(
            refusal.hint.contains("crm.forget_export"),
            "{sql} {refusal:?}"
        );
    }
    assert_eq!(bench.writing_calls().await, 0);
    // The same export may, whatever the order of its source.
    let backwards = SOME.replace("generate_series(1, 300)", "generate_series(300, 1, -1)");
    assert_eq!(other.counted(&backwards).await, 300);
    assert_eq!(bench.writing_calls().await, 0);
    drop(other);
    until("the job is let go", Duration::from_secs(10), || async {
        let sql = format!("SELECT crm.forget_export('{name}')");
        bench.db.try_rows(&sql).await.ok()
    })
    .await;
    bench.finish().await;
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_below(&path, found);
        }
        found.push(path);
    }
}

async fn a_jobs_files_are_closed_to_others_and_hold_no_secret(crm: &'static Crm) {
    let bench = under_job(crm, "files").await;
    let key = crm.field("contact", "externalkey");
    bench
        .db
        .run(&format!(
            "ALTER FOREIGN TABLE contact OPTIONS (ADD journal_key '{key}'); {SOME}"
        ))
        .await;
    let mut jobs = vec![bench.name.clone()];
    if crm.writes.by_jobs.is_some() {
        let job = format!("{} jobs", bench.name);
        bench.travel("contact", crm.writes.by_jobs).await;
        bench
            .db
            .run(&format!("SET crm.export_job = '{job}'; {SOME}"))
            .await;
        jobs.push(job);
    }
    let data = bench.db.value("SHOW data_directory").await;
    let folder = Path::new(&data).join("crm_fdw");
    let mode = |path: &Path| {
        let facts = std::fs::symlink_metadata(path).expect("a file");
        facts.permissions().mode() & 0o7777
    };
    assert_eq!(mode(&folder), 0o700);
    let mut found = Vec::new();
    files_below(&folder, &mut found);
    let mut secrets = (crm.secrets)(&bench.sandbox);
    secrets.push("Bearer".to_owned());
    let mut holds = 0;
    for path in &found {
        // Other tests' jobs come and go.
        if !path.exists() {
            continue;
        }
        if path.is_dir() {
            assert_eq!(mode(path), 0o700, "{}", path.display());
            continue;
        }
        let Ok(text) = std::fs::read(path) else {
            continue;
        };
        assert_eq!(mode(path), 0o600, "{}", path.display());
        let text = String::from_utf8_lossy(&text);
        holds += u32::from(text.contains(&bench.name) && text.contains("Some 300"));
        for secret in &secrets {
            assert!(!text.contains(secret), "{} holds a secret", path.display());
        }
    }
    assert_eq!(holds as usize, jobs.len(), "{found:?}");
    for job in &jobs[1..] {
        bench
            .db
            .run(&format!("SELECT crm.forget_export('{job}')"))
            .await;
    }
    forget(bench).await;
}

/// Without a key that settles it, a record whose answer was lost is not guessed.
async fn records_that_cannot_be_settled_wait_for_a_person(crm: &'static Crm) {
    let bench = under_job(crm, "unknown").await;
    let name = bench.name.clone();
    crate::go_by_calls(&bench).await;
    bench.admin.clear_counters().await;
    let batch = crm.writes.small_batch;
    // The first call is answered, the second carried out without an answer.
    let (method, path) = crm.writes.create;
    bench
        .admin
        .fault(json!({"method": method, "path": path, "kind": "lose_reply", "after": 1}))
        .await;
    let sql = SOME.replace("300", "600");
    let refusal = bench.db.refused(&sql).await;
    assert!(refusal.sqlstate.starts_with("08"), "{refusal:?}");
    for told in [
        format!("Records accepted before: {batch};"),
        format!("sent without an answer: {batch}"),
    ] {
        assert!(refusal.detail.contains(&told), "{refusal:?}");
    }
    bench.db.notes();
    let count = async |status: &str| {
        let sql =
            format!("SELECT count(*) FROM crm.export_records('{name}') WHERE status = '{status}'");
        bench.db.value(&sql).await
    };
    assert_eq!(count("accepted").await, batch.to_string());
    assert_eq!(count("unknown").await, batch.to_string());
    // The same statement sends what is left, and leaves those out.
    for run in [1, 2] {
        let accepted = bench.db.counted(&sql).await;
        assert_eq!(accepted, 600 - batch, "run {run}");
        let notes = bench.db.notes();
        let warned = notes
            .iter()
            .find(|note| note.message.contains("were left out"));
        let warned = warned.unwrap_or_else(|| panic!("run {run}: {notes:?}"));
        let left_out = format!("{batch} records");
        assert!(warned.message.starts_with(&left_out), "{warned:?}");
        assert!(warned.hint.contains("crm.settle_export"), "{warned:?}");
        assert_eq!(bench.admin.writes("created").await, 600);
    }
    let state = format!("SELECT state FROM crm.export_jobs WHERE job = '{name}'");
    assert_eq!(bench.db.value(&state).await, "waiting");
    // A person looks: all are there, and some of them are taken out of the CRM, to be sent again; of some the
    // identifier is told, and of the others nothing but that they are there.
    let (n_resent, n_told) = (batch / 20, batch / 10);
    let unknown = bench
        .db
        .rows(&format!(
            "SELECT number, record ->> '{}' FROM crm.export_records('{name}') WHERE status = 'unknown' ORDER BY 1",
            crm.field("contact", "lastname")
        ))
        .await;
    assert_eq!(unknown.len() as u64, batch);
    for (at, row) in (0..).zip(&unknown) {
        let number = row[0].as_deref().expect("a number");
        let last_name = row[1].as_deref().expect("a name").replace(' ', "%20");
        let settle = if at < n_resent {
            let ids = bench.find("contact", "lastname", &last_name).await;
            bench
                .change("contact", json!({"ids": ids, "delete": "erased"}))
                .await;
            format!("SELECT crm.settle_export('{name}', {number}, 'resend')")
        } else if at < n_told {
            let ids = bench.find("contact", "lastname", &last_name).await;
            format!(
                "SELECT crm.settle_export('{name}', {number}, 'accepted', '{}')",
                ids[0]
            )
        } else {
            format!("SELECT crm.settle_export('{name}', {number}, 'accepted')")
        };
        bench.db.run(&settle).await;
    }
    assert_eq!(count("unknown").await, "0");
    let refusal = bench
        .db
        .refused(&format!("SELECT crm.settle_export('{name}', 1, 'resend')"))
        .await;
    assert!(refusal.message.contains("record 1"), "{refusal:?}");
    let ids = bench.db.column(&format!("{sql} RETURNING id")).await;
    assert_eq!(ids.len(), 600);
    let unnamed = ids.iter().filter(|id| id.is_empty());
    assert_eq!(unnamed.count() as u64, batch - n_told);
    assert_eq!(bench.admin.writes("created").await, 600 + n_resent);
    assert_eq!(bench.find("contact", "department", "some").await.len(), 600);
    assert_eq!(bench.db.value(&state).await, "finished");
    forget(bench).await;
}
