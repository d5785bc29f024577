//! Many records at once: few calls, flat memory, each refused record told apart (Q-1, Q-3, E-2).

use crm_tests::Bench;

const RECORDS: u64 = 10_000;
const MOST_GROWTH: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_records_one_percent_is_refused() {
    // Looks at a job that has work for a moment come in growing distances: three or four see it end.
    for (transport, most_calls) in [("rest", 51), ("bulk", 11), ("auto", 11)] {
        let bench = crate::contacts(&format!("percent_{transport}")).await;
        bench
            .db
            .run(&format!(
                "ALTER FOREIGN TABLE contact OPTIONS (ADD transport '{transport}', ADD process_rejects 'true')"
            ))
            .await;
        bench.admin.clear_counters().await;
        let peak = bench.db.backend().watch();
        let accepted = bench
            .db
            .counted(&format!(
                "INSERT INTO contact (lastname, department)
                 SELECT CASE WHEN i % 100 = 0 THEN 'Refused ' || i ELSE 'Good ' || i END, 'percent'
                 FROM generate_series(1, {RECORDS}) i"
            ))
            .await;
        let growth = peak.growth();
        let calls = bench.admin.data_calls().await;
        println!(
            "measured: {RECORDS} records with {transport}: {calls} data calls, {} MiB at most beyond the start",
            growth >> 20
        );
        assert_eq!(accepted, RECORDS - RECORDS / 100, "{transport}");
        assert!(calls <= most_calls, "{transport}: {calls} calls");
        let jobs = bench.admin.calls("bulk_create").await;
        assert_eq!(jobs, u64::from(transport != "rest"), "{transport}");
        assert!(growth <= MOST_GROWTH, "{transport}: {} MiB", growth >> 20);
        let found = bench.admin.find("Contact", "Department", "percent").await;
        assert_eq!(found.len() as u64, accepted, "{transport}");
        assert_eq!(bench.admin.writes("created").await, accepted);
        let warnings = bench.db.notes();
        let refused = warnings.iter().filter(|note| note.severity == "WARNING");
        assert_eq!(refused.count() as u64, RECORDS / 100, "{transport}");
        let kept = bench
            .db
            .rows(&format!(
                "SELECT count(*), count(DISTINCT record ->> 'lastname'), min(error_symbol), max(error_symbol),
                     bool_and(error_message <> ''), bool_and(record ->> 'lastname' LIKE 'Refused %'), min(kind)
                 FROM crm.rejects WHERE server = '{}'",
                bench.name
            ))
            .await;
        let symbol = "FIELD_CUSTOM_VALIDATION_EXCEPTION";
        let expected = ["100", "100", symbol, symbol, "t", "t", "reject"];
        assert_eq!(kept, [expected.map(|text| Some(text.to_owned()))]);
        forget_rejects(&bench).await;
        bench.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_flat_in_the_number_of_records() {
    const MANY: u64 = 200_000;
    let bench = crate::contacts("flat").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD transport 'bulk')")
        .await;
    // What a backend loads once in its life is not growth with the records.
    let one = "INSERT INTO contact (lastname) VALUES ('First')";
    assert_eq!(bench.db.counted(one).await, 1);
    bench.admin.clear_counters().await;
    let started = std::time::Instant::now();
    let peak = bench.db.backend().watch();
    let accepted = bench
        .db
        .counted(&format!(
            "INSERT INTO contact (lastname, department) SELECT 'Flat ' || i, 'flat' FROM generate_series(1, {MANY}) i"
        ))
        .await;
    let growth = peak.growth();
    let calls = bench.admin.data_calls().await;
    println!(
        "measured: {MANY} records in jobs: {:.2?}, {} MiB at most beyond the start, {calls} data calls",
        started.elapsed(),
        growth >> 20
    );
    assert_eq!(accepted, MANY);
    assert_eq!(bench.admin.writes("created").await, MANY);
    assert!(growth <= MOST_GROWTH, "{} MiB", growth >> 20);
    bench.finish().await;
}

async fn forget_rejects(bench: &Bench) {
    let sql = format!("DELETE FROM crm.rejects WHERE server = '{}'", bench.name);
    bench.db.run(&sql).await;
}
