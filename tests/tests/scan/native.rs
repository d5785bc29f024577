//! Queries in the CRM's own language, passed through (S-14).

use std::time::{Duration, Instant};

use crm_tests::{Bench, Database, literal, until};
use serde_json::json;

fn native(bench: &Bench, query: &str) -> String {
    format!("crm.query('{}', {}) AS q", bench.name, literal(query))
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_as_they_are() {
    let bench = Bench::start("native", crate::with_contacts(5_000)).await;
    bench.import(&["Account", "Contact"]).await;
    let query = "SELECT Id, Name, AnnualRevenue, Owner.Name FROM Account WHERE AnnualRevenue > 1000000 ORDER BY Id";
    let sql = format!(
        "SELECT q ->> 'Id', q ->> 'Name', trim_scale((q ->> 'AnnualRevenue')::numeric) FROM {}",
        native(&bench, query)
    );
    let expected = "SELECT id, name, trim_scale(annualrevenue) FROM account WHERE annualrevenue > 1e6 ORDER BY id";
    let rows = bench.db.rows(&sql).await;
    assert!(!rows.is_empty());
    assert_eq!(rows, bench.db.rows(expected).await);
    let sql = format!(
        "SELECT DISTINCT q -> 'Owner' ->> 'Name' FROM {} LIMIT 1",
        native(&bench, query)
    );
    assert!(!bench.db.value(&sql).await.is_empty());
    // Page after page.
    let sql = format!(
        "SELECT count(DISTINCT q ->> 'Id') FROM {}",
        native(&bench, "SELECT Id FROM Contact")
    );
    let count = bench.db.value("SELECT count(*) FROM contact").await;
    bench.admin.clear_counters().await;
    assert_eq!(bench.db.value(&sql).await, count);
    assert_eq!(bench.admin.data_calls().await, 4);
    let grouped = "SELECT Type, COUNT(Id) n FROM Account GROUP BY Type";
    let sql = format!(
        "SELECT sum((q ->> 'n')::int) FROM {}",
        native(&bench, grouped)
    );
    assert_eq!(
        bench.db.value(&sql).await,
        bench.db.value("SELECT count(*) FROM account").await
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_crm_refuses_is_an_error() {
    let bench = Bench::plain("refused").await;
    for (query, sqlstate, told) in [
        ("SELECT Nothing__c FROM Account", "HV005", "Nothing__c"),
        ("SELECT Id FROM Nowhere__c", "HV00R", "Nowhere__c"),
        ("SELECT Id FROM Account WHERE", "HV000", "MALFORMED_QUERY"),
        ("DELETE FROM Account", "0A000", ""),
        ("", "0A000", ""),
    ] {
        let sql = format!("SELECT * FROM {}", native(&bench, query));
        let refusal = bench.db.refused(&sql).await;
        assert_eq!(refusal.sqlstate, sqlstate, "{query} {refusal:?}");
        assert!(refusal.message.contains(&bench.name), "{refusal:?}");
        assert!(refusal.detail.contains(told), "{refusal:?}");
        bench.db.is_alive().await;
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_cancelled_within_a_second() {
    let bench = Bench::plain("native_cancel").await;
    let other = Database::connect(None).await;
    bench
        .admin
        .fault(json!({"path": "/query?", "kind": "hang", "times": 0}))
        .await;
    let sql = format!("SELECT * FROM {}", native(&bench, "SELECT Id FROM Account"));
    let admin = &bench.admin;
    let ((refusal, ended), stopped) = tokio::join!(
        async { (bench.db.refused(&sql).await, Instant::now()) },
        async {
            until("the request arrives", Duration::from_secs(20), || async {
                (admin.calls("query").await > 0).then_some(())
            })
            .await;
            let now = Instant::now();
            other.cancel(&bench.db).await;
            now
        }
    );
    assert_eq!(refusal.sqlstate, "57014", "{refusal:?}");
    assert!(ended.duration_since(stopped) < Duration::from_secs(1));
    bench.admin.reset().await;
    bench.finish().await;
}
