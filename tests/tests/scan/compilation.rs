//! Waiting for a CRM makes no statement worth compiling: the compiler alone takes more memory than a read.

use crm_tests::{Bench, Crm, for_one_crm};

use crate::with_contacts;

for_one_crm!(salesforce, SALESFORCE, waiting_is_no_reason_to_compile);

async fn waiting_is_no_reason_to_compile(crm: &'static Crm) {
    let bench = Bench::of(crm, "compilation", with_contacts(100)).await;
    bench.collect(&["contact"]).await;
    bench.db.run("SET jit = on").await;
    let threshold: f64 = bench
        .db
        .value("SHOW jit_above_cost")
        .await
        .parse()
        .expect("a number");
    for statement in [
        "SELECT upper(name) FROM contact",
        "SELECT title, count(name) FROM contact GROUP BY title ORDER BY title",
        "SELECT upper(name) FROM contact UNION ALL SELECT upper(title) FROM contact",
        "WITH c AS MATERIALIZED (SELECT name, title FROM contact) SELECT upper(name) FROM c WHERE title IS NULL",
        "SELECT upper(name) FROM (SELECT name FROM contact OFFSET 3) AS later",
        "SELECT upper(name) FROM contact JOIN generate_series(1, 100) n ON n::text = title",
    ] {
        let plan = bench.db.column(&format!("EXPLAIN {statement}")).await;
        let cost = plan[0]
            .split_once("..")
            .and_then(|(_, rest)| rest.split(' ').next());
        let cost: f64 = cost.and_then(|cost| cost.parse().ok()).expect("a cost");
        assert!(
            cost > threshold,
            "{statement}: {cost} would not be compiled anyhow"
        );
        let is_compiled = plan.iter().any(|line| line.contains("JIT"));
        assert!(!is_compiled, "{statement}: {plan:#?}");
    }
    if bench.db.value("SELECT pg_jit_available()").await == "t" {
        // What the statement costs PostgreSQL itself still counts.
        bench.db.run("SET jit_above_cost = 10").await;
        let plan = bench
            .db
            .column("EXPLAIN SELECT sum(length(name)) FROM contact")
            .await;
        assert!(plan.iter().any(|line| line.contains("JIT")), "{plan:#?}");
    }
    bench.finish().await;
}
