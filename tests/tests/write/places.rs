//! Every place in a statement where records can be written: batches all the same, and rows as the CRM stored them (X-2,
//!

use crm_tests::{Bench, Crm, for_each_crm};
use serde_json::json;

for_each_crm!(
    a_thousand_records_are_as_many_calls_as_batches,
    updates_and_deletes_join_other_tables,
    writes_stand_in_ctes_loops_and_prepared_statements,
    copy_sends_batches,
    row_triggers_change_veto_and_see_rows,
    a_partitioned_table_hands_rows_to_a_crm,
    a_view_checks_what_goes_through_it,
    an_error_of_the_source_leaves_whole_batches,
    writing_acts_on_cancel_and_timeouts_within_a_second,
    an_ordinary_role_sees_its_own_rejects_and_jobs
);

/// Contacts made here, by their names `Place 1` and so on, in a local table `wanted`.
async fn with_contacts(crm: &'static Crm, label: &str, records: u32) -> Bench {
    let bench = crate::by_calls(crm, label).await;
    bench
        .db
        .run(&format!(
            "CREATE TABLE wanted (i int, id {});
             WITH made AS (
                 INSERT INTO contact (firstname, lastname) SELECT 'Given', 'Place ' || i
                 FROM generate_series(1, {records}) i RETURNING id, lastname)
             INSERT INTO wanted SELECT substr(lastname, 7)::int, id FROM made",
            crm.identifiers.sql_type
        ))
        .await;
    bench.admin.clear_counters().await;
    bench
}

async fn number(bench: &Bench, sql: &str) -> u64 {
    bench.db.value(sql).await.parse().expect("a number")
}

async fn a_thousand_records_are_as_many_calls_as_batches(crm: &'static Crm) {
    let bench = with_contacts(crm, "five", 1_000).await;
    let insert = "INSERT INTO contact (firstname, lastname) SELECT 'Given', 'Five ' || i FROM generate_series(1, 1000) i";
    for sql in [
        insert,
        "UPDATE contact SET department = 'five' WHERE id = ANY (ARRAY(SELECT id FROM wanted))",
        "DELETE FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted))",
    ] {
        bench.admin.clear_counters().await;
        assert_eq!(bench.db.counted(sql).await, 1_000, "{sql}");
        let calls = bench.writing_calls().await;
        assert_eq!(
            calls,
            crate::n_calls(crm, 1_000),
            "{sql}: nothing is read first"
        );
    }
    // What the CRM stored is read back in larger batches, as far as so many are sent together.
    for (option, value) in [
        ("transport", crm.writes.by_calls.is_some()),
        ("batch_size", crm.writes.small_batch_option().is_some()),
    ] {
        if value {
            let sql = format!("ALTER FOREIGN TABLE contact OPTIONS (DROP {option})");
            bench.db.run(&sql).await;
        }
    }
    bench.admin.clear_counters().await;
    let rows = bench
        .db
        .rows(&format!("{insert} RETURNING id, lastname, createddate IS NOT NULL, lastmodifieddate IS NOT NULL, department"))
        .await;
    assert_eq!(rows.len(), 1_000);
    for (at, row) in rows.iter().enumerate() {
        let name = Some(format!("Five {}", at + 1));
        assert_eq!(row[1..], [name, Some("t".into()), Some("t".into()), None]);
    }
    let written = 1_000_u64.div_ceil(crm.writes.batch);
    let read = bench.admin.data_calls().await - written;
    println!(
        "measured: {}: RETURNING of 1,000 records reads them back in {read} calls",
        crm.name
    );
    let together = match crm.writes.by_jobs {
        Some(_) => crm.queries.lookup,
        None => crm.writes.batch.min(crm.queries.lookup),
    };
    assert_eq!(read, 1_000_u64.div_ceil(together));
    bench.finish().await;
}

async fn updates_and_deletes_join_other_tables(crm: &'static Crm) {
    let bench = with_contacts(crm, "joins", 300).await;
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
    assert_eq!(
        bench.admin.data_calls().await,
        crate::n_calls(crm, 250) + 250_u64.div_ceil(crm.writes.small_batch.min(crm.queries.lookup))
    );
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

async fn writes_stand_in_ctes_loops_and_prepared_statements(crm: &'static Crm) {
    let bench = with_contacts(crm, "ctes", 5).await;
    let db = &bench.db;
    // All of a data-modifying CTE runs, however little of it is asked for.
    let sql = "WITH made AS (INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Cte ' || i, 'cte' FROM generate_series(1, 450) i
        RETURNING id, lastname) SELECT lastname FROM made LIMIT 3";
    assert_eq!(db.column(sql).await, ["Cte 1", "Cte 2", "Cte 3"]);
    assert_eq!(bench.find("contact", "department", "cte").await.len(), 450);
    // Each batch is read back as well.
    let calls = bench.writing_calls().await;
    assert!(calls <= 2 * crate::n_calls(crm, 450), "{calls}");
    db.run(&format!(
        "CREATE TABLE looped (id {}, lastname text);
         DO $$
         DECLARE r record;
         BEGIN
             FOR r IN INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Loop ' || i, 'loop' FROM generate_series(1, 250) i
                 RETURNING id, lastname
             LOOP INSERT INTO looped VALUES (r.id, r.lastname); END LOOP;
         END $$",
        crm.identifiers.sql_type
    ))
    .await;
    let mut looped = db.column("SELECT id FROM looped").await;
    looped.sort_unstable();
    let mut found = bench.find("contact", "department", "loop").await;
    found.sort_unstable();
    assert_eq!(looped, found);
    assert_eq!(found.len(), 250);
    // The seventh run has a plan without its values.
    db.run("PREPARE p (text, int) AS INSERT INTO contact (firstname, lastname, department) SELECT 'Given', $1 || i, 'prepared' FROM generate_series(1, $2) i RETURNING lastname").await;
    for run in 1..=7 {
        let names = db.column(&format!("EXECUTE p ('Run {run}-', {run})")).await;
        let expected: Vec<_> = (1..=run).map(|i| format!("Run {run}-{i}")).collect();
        assert_eq!(names, expected);
    }
    db.run(&format!(
        "PREPARE u (text, {}) AS UPDATE contact SET title = $1 WHERE id = $2 RETURNING title",
        crm.identifiers.sql_type
    ))
    .await;
    for (run, id) in found.iter().take(7).enumerate() {
        let sql = format!("EXECUTE u ('Title {run}', '{id}')");
        assert_eq!(db.value(&sql).await, format!("Title {run}"));
    }
    assert_eq!(
        bench.find("contact", "department", "prepared").await.len(),
        28
    );
    bench.finish().await;
}

async fn copy_sends_batches(crm: &'static Crm) {
    let bench = with_contacts(crm, "copies", 1).await;
    let lines: String = (1..=450)
        .map(|i| format!("Given\tCopied {i}\tcopy\n"))
        .collect();
    let file = tempfile::TempDir::new().expect("a folder");
    let path = crm_tests::open_file(file.path(), "rows", &lines);
    let sql = format!("COPY contact (firstname, lastname, department) FROM '{path}'");
    assert_eq!(bench.db.counted(&sql).await, 450);
    assert_eq!(bench.find("contact", "department", "copy").await.len(), 450);
    assert_eq!(bench.writing_calls().await, crate::n_calls(crm, 450));
    bench.finish().await;
}

async fn row_triggers_change_veto_and_see_rows(crm: &'static Crm) {
    let bench = with_contacts(crm, "triggers", 3).await;
    let db = &bench.db;
    db.run(&format!(
        "CREATE TABLE seen (what text, id {}, lastname text);
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
        crm.identifiers.sql_type
    ))
    .await;
    let sql = "INSERT INTO contact (firstname, lastname) VALUES ('Given', 'Triggered'), ('Given', 'Vetoed'), ('Given', 'Triggered too')
        RETURNING id, department";
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
    assert!(bench.find("contact", "lastname", "Vetoed").await.is_empty());
    let sql = "UPDATE contact SET title = 't' WHERE id = ANY (ARRAY(SELECT id FROM wanted))";
    assert_eq!(db.counted(sql).await, 3);
    // What the triggers of the two inserts and the three updates filled in.
    assert_eq!(
        bench
            .find("contact", "department", "by%20trigger")
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
        bench.find("contact", "lastname", "Place%203").await.len(),
        1
    );
    bench.finish().await;
}

async fn a_partitioned_table_hands_rows_to_a_crm(crm: &'static Crm) {
    let bench = with_contacts(crm, "parts", 1).await;
    let db = &bench.db;
    db.run(
        "CREATE TABLE everyone (LIKE contact) PARTITION BY LIST (department);
         DO $$
         DECLARE needed name;
         BEGIN
             FOR needed IN SELECT attname FROM pg_attribute WHERE attrelid = 'everyone'::regclass AND attnotnull AND attnum > 0 LOOP
                 EXECUTE format('ALTER TABLE everyone ALTER COLUMN %I DROP NOT NULL', needed);
             END LOOP;
         END $$;
         CREATE TABLE everyone_else PARTITION OF everyone DEFAULT;
         ALTER TABLE everyone ATTACH PARTITION contact FOR VALUES IN ('remote')",
    )
    .await;
    let insert = "INSERT INTO everyone (firstname, lastname, department)
        SELECT 'Given', 'Part ' || i, CASE WHEN i % 2 = 0 THEN 'remote' ELSE 'local' END FROM generate_series(1, 500) i";
    assert_eq!(db.counted(insert).await, 500);
    let calls = bench.writing_calls().await;
    println!(
        "measured: {}: 250 rows routed to a foreign partition: {calls} calls",
        crm.name
    );
    assert!(calls <= crate::n_calls(crm, 250), "{calls}");
    let remote = bench.find("contact", "department", "remote").await;
    assert_eq!(remote.len(), 250);
    assert_eq!(
        number(&bench, "SELECT count(*) FROM everyone_else").await,
        250
    );
    let rows = db
        .rows(&format!(
            "{insert} RETURNING tableoid::regclass, id, lastname"
        ))
        .await;
    assert_eq!(rows.len(), 500);
    let remote = rows
        .iter()
        .filter(|row| row[0].as_deref() == Some("contact"));
    assert!(remote.clone().all(|row| row[1].is_some()));
    assert_eq!(remote.count(), 250);
    let sql = "UPDATE everyone SET lastname = 'All changed' WHERE lastname IN ('Part 1', 'Part 2')";
    assert_eq!(db.counted(sql).await, 4);
    assert_eq!(
        bench
            .find("contact", "lastname", "All%20changed")
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
            .find("contact", "lastname", "All%20changed")
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

async fn a_view_checks_what_goes_through_it(crm: &'static Crm) {
    let bench = with_contacts(crm, "view", 2).await;
    let db = &bench.db;
    db.run("CREATE VIEW sales AS SELECT id, firstname, lastname, department FROM contact WHERE department = 'sales' WITH CHECK OPTION").await;
    assert_eq!(
        db.counted("INSERT INTO sales (firstname, lastname, department) VALUES ('Given', 'Through', 'sales')")
            .await,
        1
    );
    bench.admin.clear_counters().await;
    let refusal = db
        .refused("INSERT INTO sales (firstname, lastname, department) VALUES ('Given', 'Not through', 'other')")
        .await;
    assert_eq!(refusal.sqlstate, "44000", "{refusal:?}");
    db.notes();
    let sql = "UPDATE sales SET lastname = 'Changed' WHERE lastname = 'Through'";
    assert_eq!(db.counted(sql).await, 1);
    assert_eq!(bench.find("contact", "lastname", "Changed").await.len(), 1);
    bench.finish().await;
}

async fn an_error_of_the_source_leaves_whole_batches(crm: &'static Crm) {
    let bench = with_contacts(crm, "source", 1).await;
    let sql = "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'S ' || 1 / (450 - i), 'source' FROM generate_series(1, 1000) i";
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, "22012", "{refusal:?}");
    // The warning of the abort follows the error.
    bench.db.is_alive().await;
    let notes = bench.db.notes();
    let whole = 449 / crm.writes.small_batch * crm.writes.small_batch;
    let stay = format!("{whole} records stay changed");
    assert!(
        notes.iter().any(|note| note.message.starts_with(&stay)),
        "{notes:?}"
    );
    let found = bench.find("contact", "department", "source").await;
    assert_eq!(found.len() as u64, whole);
    bench.finish().await;
}

async fn writing_acts_on_cancel_and_timeouts_within_a_second(crm: &'static Crm) {
    let bench = with_contacts(crm, "within", 3).await;
    let id = bench.db.value("SELECT id FROM wanted WHERE i = 1").await;
    let writes = &crm.writes;
    for ((method, path), sql) in [
        (
            writes.create,
            "INSERT INTO contact (firstname, lastname) VALUES ('Given', 'Hangs')".to_owned(),
        ),
        (
            writes.update,
            format!("UPDATE contact SET title = 'x' WHERE id = '{id}'"),
        ),
        (
            writes.delete,
            format!("DELETE FROM contact WHERE id = '{id}'"),
        ),
    ] {
        let fault =
            json!({"method": method, "path": path, "kind": "hold", "apply_on_release": false});
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

async fn an_ordinary_role_sees_its_own_rejects_and_jobs(crm: &'static Crm) {
    let bench = crate::contacts(crm, "ordinary").await;
    let rule = json!({"object": crm.table("contact").object, "field": crm.field("contact", "lastname"),
        "value": "Refused by rule", "code": crm.writes.refused.0, "times": 0});
    bench.admin.record_rule(rule).await;
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
             INSERT INTO contact (firstname, lastname) VALUES ('Given', 'By {who}'), ('{who}', 'Refused by rule')"
        )
    };
    bench.db.run(&sql("admin")).await;
    session.run(&sql("role")).await;
    let jobs = session.column("SELECT job FROM crm.export_jobs").await;
    assert_eq!(jobs, [format!("{name} role")]);
    let rejects = session
        .column("SELECT record ->> 'firstname' FROM crm.rejects")
        .await;
    assert_eq!(rejects, ["role"]);
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
