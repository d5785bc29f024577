//! What statements leave behind in a session that lives long: nothing.

use crm_sandbox::Config;
use crm_tests::{Backend, Bench, Crm, SALESFORCE, for_each_crm};
use serde_json::{Value, json};

for_each_crm!(
    five_hundred_failing_statements_leave_nothing_behind,
    a_thousand_scans_leave_nothing_behind
);

/// A leak of six kilobytes a statement would be seen; what the allocators keep for later moves by less.
const MOST_GROWTH: u64 = 3 << 20;
/// The backend itself, the network's thread, and one that looks names up and ends when it has been idle.
const MOST_THREADS: usize = 3;

/// What a backend held at some moment.
struct Held {
    backend: Backend,
    memory: u64,
    files: usize,
}

impl Held {
    fn by(backend: Backend) -> Self {
        Self {
            backend,
            memory: backend.own_memory(),
            files: backend.open_files(),
        }
    }

    fn growth(&self) -> u64 {
        self.backend.own_memory().saturating_sub(self.memory)
    }

    fn has_not_grown(&self) {
        let grown = self.growth();
        assert!(grown < MOST_GROWTH, "{} KiB more", grown / 1024);
        let threads = self.backend.threads();
        assert!(threads <= MOST_THREADS, "{threads} threads");
        // A connection to the CRM may be open now that was not then.
        let files = self.backend.open_files();
        assert!(
            files <= self.files + 2,
            "{files} files, {} before",
            self.files
        );
    }
}

/// Ways to fail: a fault, if one is needed, and a statement.
fn failures(crm: &Crm) -> Vec<(Option<Value>, &'static str)> {
    let fault = |fault: Value| Some(fault);
    let mut all = vec![
        (None, "SELECT nosuch FROM handmade"),
        (None, "SELECT * FROM nowhere"),
        (
            fault(json!({"path": crm.queries.first.path, "kind": "malformed"})),
            "SELECT * FROM contact",
        ),
        (
            fault(
                json!({"path": crm.queries.next.path, "after": crm.queries.next.after, "kind": "malformed"}),
            ),
            "SELECT name FROM contact",
        ),
        (
            fault(json!({"path": crm.queries.first.path, "kind": "status", "status": 400})),
            "SELECT * FROM contact WHERE score > 10",
        ),
        // A page is there, another is under way, and the executor fails.
        (
            None,
            "SELECT 1 / (length(name) - length(name)) FROM contact",
        ),
        (None, "SELECT * FROM crm.fields('{server}', 'Nowhere__c')"),
    ];
    // A page that falls short is noticed where the first one tells how many records there are.
    if crm.name == SALESFORCE.name {
        all.push((
            fault(
                json!({"path": crm.queries.next.path, "after": crm.queries.next.after, "kind": "short_page", "bytes": 10}),
            ),
            "SELECT name FROM contact",
        ));
    }
    all
}

async fn five_hundred_failing_statements_leave_nothing_behind(crm: &'static Crm) {
    let bench = Bench::of(
        crm,
        "failing",
        crate::with_contacts(crm.queries.page as u32 + 1_000),
    )
    .await;
    bench.collect(&["contact"]).await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE handmade (id {3} OPTIONS (field '{2}'), nosuch text OPTIONS (field 'NoSuch__c'))
                 SERVER {0} OPTIONS (object '{1}');
             CREATE FOREIGN TABLE nowhere (id {3} OPTIONS (field '{2}')) SERVER {0} OPTIONS (object 'Nowhere__c')",
            bench.name,
            crm.table("contact").object,
            crm.field("contact", "id"),
            crm.identifiers.sql_type
        ))
        .await;
    let failures = failures(crm);
    let run = async |count: usize| {
        for number in 0..count {
            let (fault, sql) = &failures[number % failures.len()];
            if let Some(fault) = fault {
                bench.admin.fault(fault.clone()).await;
            }
            let refusal = bench
                .db
                .refused(&sql.replace("{server}", &bench.name))
                .await;
            assert!(!refusal.message.contains("panicked"), "{refusal:?}");
            bench.admin.clear_faults().await;
        }
    };
    // Caches of catalogs and the pools of two allocators are filled by the first ones.
    run(600).await;
    let mut before = Held::by(bench.db.backend());
    run(500).await;
    // A pool may take its last step late; what leaks grows by as much again.
    if before.growth() >= MOST_GROWTH {
        before = Held::by(bench.db.backend());
        run(500).await;
    }
    before.has_not_grown();
    let contacts = bench.db.value("SELECT count(name) FROM contact").await;
    assert!(contacts.parse::<u64>().expect("a number") > crm.queries.page + 1_000);
    bench.finish().await;
}

async fn a_thousand_scans_leave_nothing_behind(crm: &'static Crm) {
    let bench = Bench::of(crm, "scans", Config::default()).await;
    bench.collect(&["account", "alltypes"]).await;
    let statements = [
        "SELECT name FROM account WHERE annualrevenue > 1e6 LIMIT 5",
        "SELECT * FROM alltypes",
        "SELECT count(*) FROM account WHERE numberofemployees < 50",
        &format!(
            "SELECT name FROM account WHERE id = '{}'",
            crm.identifiers.no_account
        ),
        "SELECT 1 FROM account a WHERE exists (SELECT FROM alltypes t WHERE t.whole = a.numberofemployees) LIMIT 1",
    ];
    let run = async |count: usize| {
        for number in 0..count {
            bench.db.rows(statements[number % statements.len()]).await;
        }
    };
    run(300).await;
    let mut before = Held::by(bench.db.backend());
    run(1_000).await;
    if before.growth() >= MOST_GROWTH {
        before = Held::by(bench.db.backend());
        run(1_000).await;
    }
    before.has_not_grown();
    bench.finish().await;
}
