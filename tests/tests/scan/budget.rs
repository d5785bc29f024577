//! A budget of calls: the statement stops with a clear error before the call that would break it (S-13).

use crm_tests::{Bench, Crm, SALESFORCE, for_each_crm};

for_each_crm!(
    the_estimate_stops_a_statement_before_its_first_call,
    the_call_that_would_break_it_is_not_made,
);

/// Ten pages and those of the recorded ones.
async fn contacts(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(
        crm,
        label,
        crate::with_contacts(crm.queries.page as u32 * 10),
    )
    .await;
    bench.collect(&["contact"]).await;
    bench
}

async fn over_budget(bench: &Bench, sql: &str, hint: &str) -> u64 {
    bench.admin.clear_counters().await;
    let refusal = bench.db.refused(sql).await;
    assert_eq!(refusal.sqlstate, "53400", "{refusal:?}");
    assert!(refusal.hint.contains(hint), "{refusal:?}");
    bench.db.is_alive().await;
    bench.admin.data_calls().await
}

async fn the_estimate_stops_a_statement_before_its_first_call(crm: &'static Crm) {
    let bench = contacts(crm, "estimate").await;
    let setting = "crm.max_api_calls";
    let count = bench.db.value("SELECT count(*) FROM contact").await;
    let count: u64 = count.parse().expect("a number");
    let n_pages = count.div_ceil(crm.queries.page);
    // Never analysed, so a million records are expected.
    bench
        .db
        .run(&format!("SET crm.max_api_calls = {}", n_pages + 9))
        .await;
    assert_eq!(
        over_budget(&bench, "SELECT name FROM contact", setting).await,
        0
    );
    bench.db.run("ANALYZE contact (name)").await;
    let all = async || bench.db.rows("SELECT name FROM contact").await.len() as u64;
    assert_eq!(all().await, count);
    bench.db.run("SET crm.max_api_calls = 5").await;
    assert_eq!(
        over_budget(&bench, "SELECT name FROM contact", setting).await,
        0
    );
    assert_eq!(
        bench
            .db
            .rows("SELECT name FROM contact LIMIT 10")
            .await
            .len(),
        10
    );
    bench.db.run("RESET crm.max_api_calls").await;
    let alter = |change: &str| format!("ALTER SERVER {} OPTIONS ({change})", bench.name);
    bench.db.run(&alter("ADD api_budget '5'")).await;
    assert_eq!(
        over_budget(&bench, "SELECT name FROM contact", "api_budget").await,
        0
    );
    bench
        .db
        .run(&alter(&format!("SET api_budget '{}'", n_pages + 1)))
        .await;
    assert_eq!(all().await, count);
    bench.finish().await;
}

async fn the_call_that_would_break_it_is_not_made(crm: &'static Crm) {
    let bench = contacts(crm, "budget").await;
    bench.db.run("ANALYZE contact (name)").await;
    let most = 5;
    bench
        .db
        .run(&format!("SET crm.max_api_calls = {most}"))
        .await;
    // Far more records pass than the planner expects.
    let sql = "SELECT count(name) FROM contact WHERE balance > -1e9 AND balance < 1e9";
    let made = over_budget(&bench, sql, "crm.max_api_calls").await;
    assert_eq!(made, most);
    // Both scans of a statement spend from the one budget.
    let part = "SELECT name FROM contact WHERE balance > -1e9 AND balance < 1e9 AND score < 300";
    let alone = bench.db.rows(part).await.len();
    assert!(alone as u64 > crm.queries.page);
    let made = over_budget(
        &bench,
        &format!("{part} UNION ALL {part}"),
        "crm.max_api_calls",
    )
    .await;
    assert!(made <= most, "{made}");
    // And the next statement has one of its own, also in one transaction or function.
    for _ in 0..3 {
        assert_eq!(bench.db.rows(part).await.len(), alone);
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_allotment_stays() {
    let bench = contacts(&SALESFORCE, "reserve").await;
    let name = &bench.name;
    bench.db.run("ANALYZE contact (name)").await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (ADD api_reserve '10')"
        ))
        .await;
    let check = format!("SELECT calls_left FROM crm.check('{name}')");
    bench.admin.limits(13_400, 15_000).await;
    bench.db.value(&check).await;
    assert!(bench.db.rows("SELECT name FROM contact").await.len() > 20_000);
    bench.admin.limits(13_495, 15_000).await;
    bench.db.value(&check).await;
    assert_eq!(
        over_budget(&bench, "SELECT name FROM contact", "api_reserve").await,
        0
    );
    assert_eq!(
        bench
            .db
            .rows("SELECT name FROM contact LIMIT 1")
            .await
            .len(),
        1
    );
    bench.finish().await;
}
