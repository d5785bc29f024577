//! Every place in a statement where records can be written: batches all the same, and rows as the CRM stored them (X-2,
//!

use crm_sandbox::Config;
use crm_tests::Bench;

/// Contacts made here, by their names `Place 1` and so on, in a local table `wanted`.
async fn with_contacts(label: &str, records: u32) -> Bench {
    let bench = crate::contacts(label).await;
    bench
        .db
        .run(&format!(
            "ALTER FOREIGN TABLE contact OPTIONS (ADD transport 'rest');
             CREATE TABLE wanted (i int, id text);
             WITH made AS (
                 INSERT INTO contact (lastname) SELECT 'Place ' || i FROM generate_series(1, {records}) i RETURNING id, lastname)
             INSERT INTO wanted SELECT substr(lastname, 7)::int, id FROM made"
        ))
        .await;
    bench.admin.clear_counters().await;
    bench
}

async fn number(bench: &Bench, sql: &str) -> u64 {
    bench.db.value(sql).await.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_records_are_five_calls() {
    let bench = with_contacts("five", 1_000).await;
    let insert =
        "INSERT INTO contact (lastname) SELECT 'Five ' || i FROM generate_series(1, 1000) i";
    for (sql, call) in [
        (insert, "collection_create"),
        (
            "UPDATE contact SET department = 'five' WHERE id = ANY (ARRAY(SELECT id FROM wanted))",
            "collection_update",
        ),
        (
            "DELETE FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted))",
            "collection_delete",
        ),
    ] {
        bench.admin.clear_counters().await;
        assert_eq!(bench.db.counted(sql).await, 1_000, "{sql}");
        assert_eq!(bench.admin.calls(call).await, 5, "{sql}");
        assert_eq!(
            bench.admin.data_calls().await,
            5,
            "{sql}: nothing is read first"
        );
    }
    // What the CRM stored is read back by the 2,000, as far as so many are sent together.
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (DROP transport)")
        .await;
    bench.admin.clear_counters().await;
    let rows = bench
        .db
        .rows(&format!("{insert} RETURNING id, name, lastname, createddate IS NOT NULL, ownerid IS NOT NULL, department"))
        .await;
    assert_eq!(rows.len(), 1_000);
    for (at, row) in rows.iter().enumerate() {
        let name = Some(format!("Five {}", at + 1));
        assert_eq!(
            row[1..],
            [name.clone(), name, Some("t".into()), Some("t".into()), None]
        );
    }
    assert_eq!(bench.admin.calls("collection_create").await, 5);
    let read = bench.admin.data_calls().await - 5;
    println!("measured: RETURNING of 1,000 records reads them back in {read} calls");
    assert_eq!(read, 1);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_and_deletes_join_other_tables() {
    let bench = with_contacts("joins", 300).await;
    let db = &bench.db;
    let sql = "UPDATE contact SET department = 'n ' || w.i FROM wanted w WHERE contact.id = w.id AND w.i <= 250
        RETURNING contact.id, contact.lastname, contact.department, w.i";
    let rows = db.rows(sql).await;
    assert_eq!(rows.len(), 250);
    for row in &rows {
        let i = row[3].as_deref().expect("a number");
        assert_eq!(row[1].as_deref(), Some(format!("Place {i}").as_str()));
        assert_eq!(row[2].as_deref(), Some(format!("n {i}").as_str()));
    }
    assert_eq!(bench.admin.calls("collection_update").await, 2);
    // A statement of the same transaction sees it.
    db.run("BEGIN; UPDATE contact SET department = 'seen' WHERE id = (SELECT id FROM wanted WHERE i = 7)").await;
    let seen = db
        .value("SELECT department FROM contact WHERE id = (SELECT id FROM wanted WHERE i = 7)")
        .await;
    assert_eq!(seen, "seen");
    db.run("COMMIT").await;
    let sql = "DELETE FROM contact USING wanted w WHERE contact.id = w.id AND w.i > 250 RETURNING contact.lastname, w.i";
    let rows = db.rows(sql).await;
    assert_eq!(rows.len(), 50);
    for row in &rows {
        assert_eq!(row[0], row[1].as_ref().map(|i| format!("Place {i}")));
    }
    assert_eq!(
        number(
            &bench,
            "SELECT count(id) FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted))"
        )
        .await,
        250
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_stand_in_ctes_loops_and_prepared_statements() {
    let bench = with_contacts("ctes", 5).await;
    let db = &bench.db;
    // All of a data-modifying CTE runs, however little of it is asked for.
    let sql = "WITH made AS (INSERT INTO contact (lastname, department) SELECT 'Cte ' || i, 'cte' FROM generate_series(1, 450) i
        RETURNING id, lastname) SELECT lastname FROM made LIMIT 3";
    assert_eq!(db.column(sql).await, ["Cte 1", "Cte 2", "Cte 3"]);
    assert_eq!(
        bench.admin.find("Contact", "Department", "cte").await.len(),
        450
    );
    assert_eq!(bench.admin.calls("collection_create").await, 3);
    db.run(
        "CREATE TABLE looped (id text, lastname text);
         DO $$
         DECLARE r record;
         BEGIN
             FOR r IN INSERT INTO contact (lastname, department) SELECT 'Loop ' || i, 'loop' FROM generate_series(1, 250) i
                 RETURNING id, lastname
             LOOP INSERT INTO looped VALUES (r.id, r.lastname); END LOOP;
         END $$",
    )
    .await;
    let mut looped = db.column("SELECT id FROM looped").await;
    looped.sort_unstable();
    let mut found = bench.admin.find("Contact", "Department", "loop").await;
    found.sort_unstable();
    assert_eq!(looped, found);
    assert_eq!(found.len(), 250);
    // The seventh run has a plan without its values.
    db.run("PREPARE p (text, int) AS INSERT INTO contact (lastname, department) SELECT $1 || i, 'prepared' FROM generate_series(1, $2) i RETURNING lastname").await;
    for run in 1..=7 {
        let names = db.column(&format!("EXECUTE p ('Run {run}-', {run})")).await;
        let expected: Vec<_> = (1..=run).map(|i| format!("Run {run}-{i}")).collect();
        assert_eq!(names, expected);
    }
    db.run("PREPARE u (text, text) AS UPDATE contact SET title = $1 WHERE id = $2 RETURNING title")
        .await;
    for (run, id) in found.iter().take(7).enumerate() {
        let sql = format!("EXECUTE u ('Title {run}', '{id}')");
        assert_eq!(db.value(&sql).await, format!("Title {run}"));
    }
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "prepared")
            .await
            .len(),
        28
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_sends_batches() {
    let bench = with_contacts("copies", 1).await;
    let lines: String = (1..=450).map(|i| format!("Copied {i}\tcopy\n")).collect();
    let file = tempfile::TempDir::new().expect("a folder");
    let path = crm_tests::open_file(file.path(), "rows", &lines);
    let sql = format!("COPY contact (lastname, department) FROM '{path}'");
    assert_eq!(bench.db.counted(&sql).await, 450);
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "copy")
            .await
            .len(),
        450
    );
    assert_eq!(bench.admin.calls("collection_create").await, 3);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn row_triggers_change_veto_and_see_rows() {
    let bench = with_contacts("triggers", 3).await;
    let db = &bench.db;
    db.run(
        "CREATE TABLE seen (what text, id text, lastname text);
         CREATE FUNCTION before_row() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF TG_OP = 'DELETE' THEN
                 IF OLD.lastname = 'Place 3' THEN RETURN NULL; END IF;
                 RETURN OLD;
             END IF;
             IF NEW.lastname = 'Vetoed' THEN RETURN NULL; END IF;
             NEW.department := 'by trigger';
             RETURN NEW;
         END $$;
         CREATE FUNCTION after_row() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO seen VALUES (TG_OP, NEW.id, NEW.lastname); RETURN NULL; END $$;
         CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON contact FOR EACH ROW EXECUTE FUNCTION before_row();
         CREATE TRIGGER a AFTER INSERT OR UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION after_row()",
    )
    .await;
    let sql = "INSERT INTO contact (lastname) VALUES ('Triggered'), ('Vetoed'), ('Triggered too') RETURNING id, department";
    let rows = db.rows(sql).await;
    assert_eq!(rows.len(), 2);
    assert!(
        rows.iter()
            .all(|row| row[1].as_deref() == Some("by trigger")),
        "{rows:?}"
    );
    let seen = db
        .column("SELECT lastname FROM seen WHERE what = 'INSERT' AND id IS NOT NULL ORDER BY 1")
        .await;
    assert_eq!(seen, ["Triggered", "Triggered too"]);
    assert!(
        bench
            .admin
            .find("Contact", "LastName", "Vetoed")
            .await
            .is_empty()
    );
    let sql = "UPDATE contact SET title = 't' WHERE id = ANY (ARRAY(SELECT id FROM wanted))";
    assert_eq!(db.counted(sql).await, 3);
    // What the triggers of the two inserts and the three updates filled in.
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "by%20trigger")
            .await
            .len(),
        5
    );
    assert_eq!(
        number(&bench, "SELECT count(*) FROM seen WHERE what = 'UPDATE'").await,
        3
    );
    let sql = "DELETE FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted))";
    assert_eq!(db.counted(sql).await, 2);
    assert_eq!(
        bench
            .admin
            .find("Contact", "LastName", "Place%203")
            .await
            .len(),
        1
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_table_hands_rows_to_a_crm() {
    let bench = with_contacts("parts", 1).await;
    let db = &bench.db;
    db.run(&format!(
        "CREATE TABLE everyone (id text, lastname text, department text) PARTITION BY LIST (department);
         CREATE TABLE everyone_else PARTITION OF everyone DEFAULT;
         CREATE FOREIGN TABLE everyone_remote (
                 id text OPTIONS (field 'Id', identifier 'true'),
                 lastname text OPTIONS (field 'LastName'),
                 department text OPTIONS (field 'Department'))
             SERVER {} OPTIONS (object 'Contact', transport 'rest');
         ALTER TABLE everyone ATTACH PARTITION everyone_remote FOR VALUES IN ('remote')",
        bench.name
    ))
    .await;
    let insert = "INSERT INTO everyone (lastname, department)
        SELECT 'Part ' || i, CASE WHEN i % 2 = 0 THEN 'remote' ELSE 'local' END FROM generate_series(1, 500) i";
    assert_eq!(db.counted(insert).await, 500);
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "remote")
            .await
            .len(),
        250
    );
    assert_eq!(
        number(&bench, "SELECT count(*) FROM everyone_else").await,
        250
    );
    let calls = bench.admin.calls("collection_create").await;
    println!("measured: 250 rows routed to a foreign partition: {calls} calls");
    assert!(calls <= 2, "{calls}");
    let rows = db
        .rows(&format!(
            "{insert} RETURNING tableoid::regclass, id, lastname"
        ))
        .await;
    assert_eq!(rows.len(), 500);
    let remote = rows
        .iter()
        .filter(|row| row[0].as_deref() == Some("everyone_remote"));
    assert!(
        remote
            .clone()
            .all(|row| row[1].as_deref().is_some_and(|id| id.len() == 18))
    );
    assert_eq!(remote.count(), 250);
    let sql = "UPDATE everyone SET lastname = 'All changed' WHERE lastname IN ('Part 1', 'Part 2')";
    assert_eq!(db.counted(sql).await, 4);
    assert_eq!(
        bench
            .admin
            .find("Contact", "LastName", "All%20changed")
            .await
            .len(),
        2
    );
    assert_eq!(
        db.counted("DELETE FROM everyone WHERE lastname = 'All changed'")
            .await,
        4
    );
    assert!(
        bench
            .admin
            .find("Contact", "LastName", "All%20changed")
            .await
            .is_empty()
    );
    assert_eq!(
        number(
            &bench,
            "SELECT count(*) FROM everyone WHERE lastname LIKE 'Part %'"
        )
        .await,
        996
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_checks_what_goes_through_it() {
    let bench = with_contacts("view", 2).await;
    let db = &bench.db;
    db.run("CREATE VIEW sales AS SELECT id, lastname, department FROM contact WHERE department = 'sales' WITH CHECK OPTION").await;
    assert_eq!(
        db.counted("INSERT INTO sales (lastname, department) VALUES ('Through', 'sales')")
            .await,
        1
    );
    bench.admin.clear_counters().await;
    let refusal = db
        .refused("INSERT INTO sales (lastname, department) VALUES ('Not through', 'other')")
        .await;
    assert_eq!(refusal.sqlstate, "44000", "{refusal:?}");
    db.notes();
    let sql = "UPDATE sales SET lastname = 'Changed' WHERE lastname = 'Through'";
    assert_eq!(db.counted(sql).await, 1);
    assert_eq!(
        bench
            .admin
            .find("Contact", "LastName", "Changed")
            .await
            .len(),
        1
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_source_leaves_whole_batches() {
    let bench = with_contacts("source", 1).await;
    let sql = "INSERT INTO contact (lastname, department) SELECT 'S ' || 1 / (450 - i), 'source' FROM generate_series(1, 1000) i";
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, "22012", "{refusal:?}");
    // The warning of the abort follows the error.
    bench.db.is_alive().await;
    let notes = bench.db.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.message.starts_with("400 records stay changed")),
        "{notes:?}"
    );
    assert_eq!(
        bench
            .admin
            .find("Contact", "Department", "source")
            .await
            .len(),
        400
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_acts_on_cancel_and_timeouts_within_a_second() {
    let bench = with_contacts("within", 3).await;
    let id = bench.db.value("SELECT id FROM wanted WHERE i = 1").await;
    for (method, sql) in [
        (
            "POST",
            "INSERT INTO contact (lastname) VALUES ('Hangs')".to_owned(),
        ),
        (
            "PATCH",
            format!("UPDATE contact SET title = 'x' WHERE id = '{id}'"),
        ),
        ("DELETE", format!("DELETE FROM contact WHERE id = '{id}'")),
    ] {
        let fault = serde_json::json!({"method": method, "path": "/composite/sobjects", "kind": "hold", "apply_on_release": false});
        for by_timeout in [false, true] {
            bench.admin.fault(fault.clone()).await;
            let victim = bench.session().await;
            if by_timeout {
                victim.run("SET statement_timeout = '700ms'").await;
            }
            let ((refusal, at), stopped) = tokio::join!(
                async { (victim.refused(&sql).await, std::time::Instant::now()) },
                async {
                    let started = std::time::Instant::now();
                    bench.admin.wait_held().await;
                    if by_timeout {
                        return started + std::time::Duration::from_millis(700);
                    }
                    let now = std::time::Instant::now();
                    bench.db.cancel(&victim).await;
                    now
                }
            );
            assert_eq!(refusal.sqlstate, "57014", "{refusal:?}");
            let took = at.saturating_duration_since(stopped);
            assert!(took < std::time::Duration::from_secs(1), "{sql}: {took:?}");
            victim.is_alive().await;
            bench.admin.release().await;
            bench.admin.clear_faults().await;
        }
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_sees_its_own_rejects_and_jobs() {
    let bench = Bench::start("ordinary", Config::default()).await;
    bench.import(&["Contact"]).await;
    let (name, role) = (&bench.name, format!("{}_r", bench.name));
    bench
        .run_alone(&format!(
            "CREATE ROLE {role} LOGIN; GRANT ALL ON SCHEMA {name} TO {role}; GRANT ALL ON contact TO {role};
             GRANT USAGE ON FOREIGN SERVER {name} TO {role};
             CREATE USER MAPPING FOR {role} SERVER {name} OPTIONS ({});
             ALTER FOREIGN TABLE contact OPTIONS (ADD process_rejects 'true')",
            bench.password_mapping()
        ))
        .await;
    let session = crm_tests::Database::connect(Some(&role)).await;
    session
        .run(&format!("SET search_path = {name}, public"))
        .await;
    let sql = |who: &str| {
        format!(
            "SET crm.export_job = '{name} {who}';
             INSERT INTO contact (lastname) VALUES ('By {who}'), ('Refused by {who}')"
        )
    };
    bench.db.run(&sql("admin")).await;
    session.run(&sql("role")).await;
    let jobs = session.column("SELECT job FROM crm.export_jobs").await;
    assert_eq!(jobs, [format!("{name} role")]);
    let rejects = session
        .column("SELECT record ->> 'lastname' FROM crm.rejects")
        .await;
    assert_eq!(rejects, ["Refused by role"]);
    let refusal = session
        .refused(&format!("SELECT * FROM crm.export_records('{name} admin')"))
        .await;
    assert!(
        refusal.message.contains("there is no export job"),
        "{refusal:?}"
    );
    let count = "SELECT count(*) FROM crm.rejects WHERE server =";
    assert_eq!(bench.db.value(&format!("{count} '{name}'")).await, "2");
    session
        .run(&format!("SELECT crm.forget_export('{name} role')"))
        .await;
    drop(session);
    bench.db.run(&format!("DELETE FROM crm.rejects WHERE server = '{name}'; SELECT crm.forget_export('{name} admin')")).await;
    bench
        .run_alone(&format!(
            "SET LOCAL client_min_messages = error; DROP OWNED BY {role} CASCADE; DROP ROLE {role}"
        ))
        .await;
    bench.finish().await;
}
