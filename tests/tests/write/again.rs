//! Export jobs in every place where records are written: what an earlier run sent is never sent again.

use crm_tests::{Bench, Crm, for_each_crm, for_one_crm, open_file};
use serde_json::json;

for_each_crm!(
    every_way_of_writing_runs_again_under_its_job,
    records_of_failed_calls_that_are_kept_are_sent_by_the_next_run
);

// Only there records travel in jobs of the CRM.
for_one_crm!(
    salesforce_jobs,
    SALESFORCE,
    a_remote_job_that_ends_early_is_finished_by_the_next_run
);

async fn under_job(crm: &'static Crm, label: &str) -> Bench {
    let bench = crate::contacts(crm, label).await;
    bench
        .db
        .run(&format!(
            "ALTER FOREIGN TABLE contact OPTIONS (ADD journal_key '{}');
             CREATE TABLE wanted (i int, id {});
             WITH made AS (
                 INSERT INTO contact (firstname, lastname) SELECT 'Given', 'Again ' || i
                 FROM generate_series(1, 250) i RETURNING id, lastname)
             INSERT INTO wanted SELECT substr(lastname, 7)::int, id FROM made;
             SET crm.export_job = '{}'",
            crm.field("contact", "externalkey"),
            crm.identifiers.sql_type,
            bench.name
        ))
        .await;
    bench
}

/// The statement runs and is rolled back; run again it counts the same and writes nothing.
async fn runs_again(bench: &Bench, sql: &str, expected: u64) {
    let writes = async || {
        let report = bench.admin.requests().await;
        ["created", "updated", "deleted"]
            .map(|what| report["writes"][what].as_u64().expect("a counter"))
            .iter()
            .sum::<u64>()
    };
    bench.admin.clear_counters().await;
    bench.db.run("BEGIN").await;
    assert_eq!(bench.db.counted(sql).await, expected, "{sql}");
    bench.db.run("ROLLBACK").await;
    assert_eq!(writes().await, expected, "{sql}");
    assert_eq!(bench.db.counted(sql).await, expected, "{sql}");
    assert_eq!(writes().await, expected, "{sql}: written twice");
    let job = &bench.name;
    let state = format!("SELECT state FROM crm.export_jobs WHERE job = '{job}'");
    assert_eq!(bench.db.value(&state).await, "finished", "{sql}");
    bench
        .db
        .run(&format!("SELECT crm.forget_export('{job}')"))
        .await;
}

async fn every_way_of_writing_runs_again_under_its_job(crm: &'static Crm) {
    let bench = under_job(crm, "again").await;
    let lines: String = (1..=450)
        .map(|i| format!("Given\tLine {i}\tcopy\n"))
        .collect();
    let file = tempfile::TempDir::new().expect("a folder");
    let path = open_file(file.path(), "rows", &lines);
    for (sql, expected) in [
        (
            "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Row', 'equal' FROM generate_series(1, 300) RETURNING *",
            300,
        ),
        (
            &format!("COPY contact (firstname, lastname, department) FROM '{path}'"),
            450,
        ),
        (
            "UPDATE contact SET title = 'No ' || w.i FROM wanted w WHERE contact.id = w.id RETURNING title, contact.lastname",
            250,
        ),
        (
            "INSERT INTO contact (id, title) SELECT id, 'By id ' || i FROM wanted",
            250,
        ),
        (
            "DELETE FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted WHERE i <= 210)) RETURNING id",
            210,
        ),
    ] {
        runs_again(&bench, sql, expected).await;
    }
    // Row by row, with what a trigger fills in for some of them.
    bench
        .db
        .run(
            "CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.lastname LIKE '%5' THEN NEW.department := 'filled'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION fill()",
        )
        .await;
    let sql = "INSERT INTO contact (firstname, lastname) SELECT 'Given', 'Filled ' || i FROM generate_series(1, 20) i";
    runs_again(&bench, sql, 20).await;
    assert_eq!(bench.find("contact", "department", "filled").await.len(), 2);
    bench.finish().await;
}

async fn a_remote_job_that_ends_early_is_finished_by_the_next_run(crm: &'static Crm) {
    let bench = under_job(crm, "early").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD transport 'bulk')")
        .await;
    bench.admin.clear_counters().await;
    bench.admin.bulk(json!({"fail_after": 400})).await;
    let sql = "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Early ' || i, 'early' FROM generate_series(1, 1000) i";
    let refusal = bench.db.refused(sql).await;
    assert!(
        refusal
            .detail
            .contains("Records accepted before: 400; not applied: 600"),
        "{refusal:?}"
    );
    bench.admin.bulk(json!({"fail_after": null})).await;
    assert_eq!(bench.db.counted(sql).await, 1_000);
    assert_eq!(bench.admin.writes("created").await, 1_000);
    assert_eq!(
        bench.find("contact", "department", "early").await.len(),
        1_000
    );
    bench
        .db
        .run(&format!("SELECT crm.forget_export('{}')", bench.name))
        .await;
    bench.finish().await;
}

async fn records_of_failed_calls_that_are_kept_are_sent_by_the_next_run(crm: &'static Crm) {
    let bench = under_job(crm, "kept_job").await;
    crate::go_by_calls(&bench).await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD process_errors 'true')")
        .await;
    bench.admin.clear_counters().await;
    let (method, path) = crm.writes.create_with_key;
    bench
        .admin
        .fault(
            json!({"method": method, "path": path, "kind": "status", "status": 403,
            "error_code": crm.writes.refused_call, "message": "too many", "after": 2}),
        )
        .await;
    let sql = "INSERT INTO contact (firstname, lastname, department)
        SELECT 'Given', 'Kept ' || i, 'kept' FROM generate_series(1, 1000) i";
    let accepted = bench.db.counted(sql).await;
    assert!(accepted >= 2 * crm.writes.small_batch, "{accepted}");
    assert!(accepted <= 1_000 - crm.writes.small_batch, "{accepted}");
    let state = format!(
        "SELECT state FROM crm.export_jobs WHERE job = '{}'",
        bench.name
    );
    assert_ne!(bench.db.value(&state).await, "finished");
    assert_eq!(bench.db.counted(sql).await, 1_000);
    assert_eq!(bench.db.value(&state).await, "finished");
    assert_eq!(bench.admin.writes("created").await, 1_000);
    bench
        .db
        .run(&format!(
            "DELETE FROM crm.rejects WHERE server = '{0}'; SELECT crm.forget_export('{0}')",
            bench.name
        ))
        .await;
    bench.finish().await;
}
