//! Many records at once: few calls, flat memory, each refused record told apart (Q-1, Q-3, E-2).

use crm_tests::{Bench, Crm, for_each_crm};
use serde_json::json;

const RECORDS: u64 = 10_000;
const MOST_GROWTH: u64 = 64 << 20;

for_each_crm!(
    ten_thousand_records_cost_few_calls,
    of_ten_thousand_records_one_percent_is_refused,
    memory_is_flat_in_the_number_of_records
);

/// Inserts the records; checks what they cost in calls and memory, and gives how many were accepted.
async fn inserted(bench: &Bench, what: &str, sql: &str, most_calls: u64) -> u64 {
    bench.admin.clear_counters().await;
    let started = std::time::Instant::now();
    let peak = bench.db.backend().watch();
    let accepted = bench.db.counted(sql).await;
    let growth = peak.growth();
    let calls = bench.writing_calls().await;
    println!(
        "measured: {}: {what}: {:.2?}, {calls} data calls, {} MiB at most beyond the start",
        bench.crm.name,
        started.elapsed(),
        growth >> 20
    );
    assert!(calls <= most_calls, "{what}: {calls} calls");
    assert!(growth <= MOST_GROWTH, "{what}: {} MiB", growth >> 20);
    assert_eq!(bench.admin.writes("created").await, accepted);
    accepted
}

async fn ten_thousand_records_cost_few_calls(crm: &'static Crm) {
    let bench = crate::contacts(crm, "many").await;
    bench.travel("contact", crm.writes.by_calls).await;
    let sql = format!(
        "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Many ' || i, 'many'
         FROM generate_series(1, {RECORDS}) i"
    );
    let most = crm.writes.most_calls[0];
    let accepted = inserted(&bench, "10,000 records", &sql, most).await;
    assert_eq!(accepted, RECORDS);
    let found = bench.find("contact", "department", "many").await;
    assert_eq!(found.len() as u64, RECORDS);
    bench.finish().await;
}

async fn of_ten_thousand_records_one_percent_is_refused(crm: &'static Crm) {
    // Looks at a job that has work for a moment come in growing distances: three or four see it end.
    let by_calls = (crm.writes.by_calls, crm.writes.most_calls[1]);
    let by_jobs = [crm.writes.by_jobs, crm.writes.by_jobs.map(|_| "auto")];
    let by_jobs = by_jobs.into_iter().flatten().map(|way| (Some(way), 11));
    for (transport, most_calls) in [by_calls].into_iter().chain(by_jobs) {
        let what = transport.unwrap_or("calls");
        let bench = crate::contacts(crm, &format!("percent_{what}")).await;
        bench.travel("contact", transport).await;
        bench
            .db
            .run("ALTER FOREIGN TABLE contact OPTIONS (ADD process_rejects 'true')")
            .await;
        let rule = json!({"object": crm.table("contact").object, "field": crm.field("contact", "lastname"),
            "value": "Refused by rule", "code": crm.writes.refused.0, "times": 0});
        bench.admin.record_rule(rule).await;
        let sql = format!(
            "INSERT INTO contact (firstname, lastname, department)
             SELECT 'Given ' || i, CASE WHEN i % 100 = 0 THEN 'Refused by rule' ELSE 'Good ' || i END, 'percent'
             FROM generate_series(1, {RECORDS}) i"
        );
        let accepted = inserted(&bench, what, &sql, most_calls).await;
        assert_eq!(accepted, RECORDS - RECORDS / 100, "{what}");
        let found = bench.find("contact", "department", "percent").await;
        assert_eq!(found.len() as u64, accepted, "{what}");
        let warnings = bench.db.notes();
        let refused = warnings.iter().filter(|note| note.severity == "WARNING");
        assert_eq!(refused.count() as u64, RECORDS / 100, "{what}");
        let kept = bench
            .db
            .rows(&format!(
                "SELECT count(*), count(DISTINCT record ->> 'firstname'), min(coalesce(nullif(error_symbol, ''), error_code)), max(coalesce(nullif(error_symbol, ''), error_code)),
                     bool_and(error_message <> ''), bool_and(record ->> 'lastname' = 'Refused by rule'), min(kind)
                 FROM crm.rejects WHERE server = '{}'",
                bench.name
            ))
            .await;
        let symbol = crm.writes.refused.1;
        let expected = ["100", "100", symbol, symbol, "t", "t", "reject"];
        assert_eq!(kept, [expected.map(|text| Some(text.to_owned()))]);
        let sql = format!("DELETE FROM crm.rejects WHERE server = '{}'", bench.name);
        bench.db.run(&sql).await;
        bench.finish().await;
    }
}

async fn memory_is_flat_in_the_number_of_records(crm: &'static Crm) {
    // As many as take some hundred calls.
    let many = if crm.writes.by_jobs.is_some() {
        200_000
    } else {
        crm.writes.batch * 200
    };
    let bench = crate::contacts(crm, "flat").await;
    bench.travel("contact", crm.writes.by_jobs).await;
    // What a backend loads once in its life is not growth with the records.
    let one = "INSERT INTO contact (firstname, lastname) VALUES ('Given', 'First')";
    assert_eq!(bench.db.counted(one).await, 1);
    let sql = format!(
        "INSERT INTO contact (firstname, lastname, department) SELECT 'Given', 'Flat ' || i, 'flat'
         FROM generate_series(1, {many}) i"
    );
    let accepted = inserted(&bench, &format!("{many} records"), &sql, many).await;
    assert_eq!(accepted, many);
    bench.finish().await;
}
