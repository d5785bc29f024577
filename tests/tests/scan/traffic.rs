//! How much a scan asks of the CRM: no more than its plan says, nothing ahead without bound, nothing for EXPLAIN.

use std::time::Duration;

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, for_each_crm, holds_for, until};

use crate::with_contacts;

for_each_crm!(
    a_limit_without_filter_takes_one_data_call,
    an_offset_is_read_over_here,
    explain_makes_no_call,
    what_is_fetched_ahead_is_bounded,
    a_cursor_closed_early_stops_the_traffic,
    a_limit_checked_here_stops_the_traffic,
    a_field_list_too_long_for_an_address_is_handled,
    identifiers_are_fetched_in_batches,
);

/// Pages that may be under way beyond the one being read: one waiting, one being fetched.
const AHEAD: u64 = 2;

async fn a_limit_without_filter_takes_one_data_call(crm: &'static Crm) {
    let bench = Bench::of(crm, "limit", with_contacts(20_000)).await;
    bench.collect(&["contact"]).await;
    bench.admin.clear_counters().await;
    let names = bench.db.rows("SELECT name FROM contact LIMIT 10").await;
    assert_eq!(names.len(), 10);
    assert_eq!(bench.admin.data_calls().await, 1);
    let sent = bench
        .remote_queries("SELECT name FROM contact LIMIT 10")
        .await;
    assert!((crm.queries.limits)(&sent[0]), "{sent:?}");
    bench.finish().await;
}

async fn an_offset_is_read_over_here(crm: &'static Crm) {
    let bench = Bench::of(crm, "skip", Config::default()).await;
    bench.collect(&["account"]).await;
    let (all, part) = (
        "SELECT id FROM account ORDER BY createddate, id",
        "SELECT id FROM account ORDER BY createddate, id LIMIT 10 OFFSET 5",
    );
    let all = bench.db.column(all).await;
    bench.admin.clear_counters().await;
    assert_eq!(bench.db.column(part).await, all[5..15]);
    let n_read = if crm.queries.takes_orders {
        15
    } else {
        all.len() as u64
    };
    let n_pages = n_read.div_ceil(crm.queries.page);
    assert_eq!(bench.admin.data_calls().await, n_pages);
    bench.finish().await;
}

async fn explain_makes_no_call(crm: &'static Crm) {
    let bench = Bench::of(crm, "explain", with_contacts(100)).await;
    bench.collect(&["contact", "account"]).await;
    let secret = "TEST-not-the-password";
    let mapping = bench.mapping_with_password(secret);
    bench
        .db
        .run(&format!(
            "DROP USER MAPPING FOR CURRENT_USER SERVER {0};
             CREATE USER MAPPING FOR CURRENT_USER SERVER {0} OPTIONS ({mapping})",
            bench.name
        ))
        .await;
    bench.admin.reset().await;
    for sql in [
        "SELECT * FROM contact",
        "SELECT name FROM contact WHERE score > 3 ORDER BY createddate LIMIT 4",
        "SELECT count(*) FROM contact",
        &format!(
            "SELECT * FROM account WHERE id = '{}'",
            crm.identifiers.no_account
        ),
        "SELECT * FROM contact c JOIN account a ON a.id = c.accountid",
    ] {
        for options in ["", ", VERBOSE", ", VERBOSE, COSTS OFF"] {
            bench.plan(options, sql).await;
        }
    }
    let requests = bench.admin.requests().await;
    assert_eq!(
        requests["log"].as_array().map(Vec::len),
        Some(0),
        "{requests}"
    );
    bench.finish_with_secrets(&[secret]).await;
}

async fn what_is_fetched_ahead_is_bounded(crm: &'static Crm) {
    let bench = Bench::of(crm, "ahead", with_contacts(20_000)).await;
    bench.collect(&["contact"]).await;
    bench.admin.clear_counters().await;
    bench
        .db
        .run("BEGIN; DECLARE c CURSOR FOR SELECT name FROM contact")
        .await;
    assert_eq!(
        bench.admin.data_calls().await,
        0,
        "a cursor asks when it is read"
    );
    assert_eq!(bench.db.rows("FETCH 1 FROM c").await.len(), 1);
    let admin = &bench.admin;
    until(
        "the next page is fetched ahead",
        Duration::from_secs(10),
        || async { (admin.data_calls().await >= 2).then_some(()) },
    )
    .await;
    holds_for(
        "pages ahead are bounded",
        Duration::from_millis(400),
        || async { admin.data_calls().await <= 1 + AHEAD },
    )
    .await;
    // The second page and a row of the third.
    let more = 2 * crm.queries.page + 1;
    let rows = bench.db.rows(&format!("FETCH {more} FROM c")).await;
    assert_eq!(rows.len() as u64, more);
    holds_for(
        "pages ahead are bounded",
        Duration::from_millis(200),
        || async { admin.data_calls().await <= 3 + AHEAD },
    )
    .await;
    bench.db.run("CLOSE c; COMMIT").await;
    bench.finish().await;
}

async fn a_cursor_closed_early_stops_the_traffic(crm: &'static Crm) {
    // Slow enough that the request for a page is under way at nearly any moment.
    let bench = Bench::of(
        crm,
        "early",
        Config {
            latency: Duration::from_millis(50),
            ..with_contacts(40_000)
        },
    )
    .await;
    bench.collect(&["contact"]).await;
    bench.admin.clear_counters().await;
    bench
        .db
        .run("BEGIN; DECLARE c CURSOR FOR SELECT name FROM contact")
        .await;
    let some = crm.queries.page + 1;
    let rows = bench.db.rows(&format!("FETCH {some} FROM c")).await;
    assert_eq!(rows.len() as u64, some);
    bench.db.run("CLOSE c").await;
    let admin = &bench.admin;
    let sent = admin.data_calls().await;
    assert!(sent <= 2 + AHEAD, "{sent} calls for two pages");
    holds_for(
        "a closed cursor sends nothing",
        Duration::from_millis(500),
        || async {
            // What left the machine before it was closed may still arrive.
            admin.data_calls().await <= sent + 1
        },
    )
    .await;
    let rest = admin.data_calls().await;
    bench.db.run("COMMIT").await;
    assert_eq!(bench.admin.data_calls().await, rest);
    bench.finish().await;
}

async fn a_limit_checked_here_stops_the_traffic(crm: &'static Crm) {
    let bench = Bench::of(
        crm,
        "enough",
        Config {
            latency: Duration::from_millis(20),
            ..with_contacts(40_000)
        },
    )
    .await;
    bench.collect(&["contact"]).await;
    bench.admin.clear_counters().await;
    // The condition is text, so the limit cannot be sent.
    let sql = "SELECT name FROM contact WHERE name ~ '.' LIMIT 10";
    assert_eq!(bench.db.rows(sql).await.len(), 10);
    let admin = &bench.admin;
    holds_for(
        "a finished scan sends nothing",
        Duration::from_millis(500),
        || async { admin.data_calls().await <= 1 + AHEAD },
    )
    .await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_columns_needed_are_asked_for() {
    let bench = Bench::plain("columns").await;
    bench.import(&["Account"]).await;
    for (sql, wanted) in [
        ("SELECT name FROM account", "SELECT Name FROM Account"),
        ("SELECT FROM account", "SELECT Id FROM Account"),
        (
            "SELECT phone FROM account WHERE annualrevenue > 5",
            "SELECT Phone FROM Account WHERE AnnualRevenue > 5",
        ),
    ] {
        bench.db.rows(sql).await;
        assert_eq!(
            bench.admin.last_query().await.as_deref(),
            Some(wanted),
            "{sql}"
        );
    }
    // A condition checked here needs its column, once.
    bench
        .db
        .rows("SELECT phone FROM account WHERE name = 'x' AND name <> 'y'")
        .await;
    let query = bench.admin.last_query().await.expect("a query");
    assert_eq!(query.matches("Name").count(), 1, "{query}");
    assert!(!query.contains("WHERE"), "{query}");
    bench.finish().await;
}

async fn a_field_list_too_long_for_an_address_is_handled(crm: &'static Crm) {
    let bench = Bench::of(crm, "wide", Config::default()).await;
    bench.collect(&["wide"]).await;
    let count = bench.db.value("SELECT count(*) FROM wide").await;
    let rows = bench.db.rows("SELECT * FROM wide").await;
    assert_eq!(rows.len().to_string(), count);
    assert!(rows[0].len() > 50, "{} columns", rows[0].len());
    assert!(rows.iter().flatten().any(Option::is_some));
    bench.finish().await;
}

async fn identifiers_are_fetched_in_batches(crm: &'static Crm) {
    let wanted = crm.queries.lookup * 5 / 2;
    let bench = Bench::of(crm, "batches", with_contacts(wanted as u32 * 4 / 3)).await;
    bench.collect(&["contact"]).await;
    bench
        .db
        .run(&format!(
            "CREATE TABLE wanted AS SELECT id FROM contact WHERE score IS NOT NULL LIMIT {wanted}"
        ))
        .await;
    bench.admin.clear_counters().await;
    let sql = "SELECT count(id), count(DISTINCT id) FROM contact WHERE id = ANY (ARRAY(SELECT id FROM wanted))";
    let counted = bench.db.rows(sql).await;
    let n = Some(wanted.to_string());
    assert_eq!(counted, [[n.clone(), n]]);
    assert_eq!(bench.admin.data_calls().await, 3);
    bench.finish().await;
}
