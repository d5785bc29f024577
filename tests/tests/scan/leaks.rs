//! What statements leave behind in a session that lives long: nothing.

use crm_tests::{Backend, Bench};
use serde_json::{Value, json};

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
fn failures() -> Vec<(Option<Value>, &'static str)> {
    let fault = |fault: Value| Some(fault);
    vec![
        (None, "SELECT nosuch FROM handmade"),
        (None, "SELECT * FROM nowhere"),
        (
            fault(json!({"path": "/query?", "kind": "malformed"})),
            "SELECT * FROM contact",
        ),
        (
            fault(json!({"path": "/query/", "kind": "malformed"})),
            "SELECT name FROM contact",
        ),
        (
            fault(json!({"path": "/query?", "kind": "status", "status": 400})),
            "SELECT * FROM contact WHERE score__c > 10",
        ),
        (
            fault(json!({"path": "/query/", "kind": "short_page", "bytes": 10})),
            "SELECT name FROM contact",
        ),
        // A page is there, another is under way, and the executor fails.
        (
            None,
            "SELECT 1 / (length(name) - length(name)) FROM contact",
        ),
        (None, "SELECT * FROM crm.fields('{server}', 'Nowhere__c')"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_failing_statements_leave_nothing_behind() {
    let bench = Bench::start("failing", crate::with_contacts(3_000)).await;
    bench.import(&["Contact"]).await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE handmade (id text OPTIONS (field 'Id'), nosuch text OPTIONS (field 'NoSuch__c'))
                 SERVER {0} OPTIONS (object 'Contact');
             CREATE FOREIGN TABLE nowhere (id text OPTIONS (field 'Id')) SERVER {0} OPTIONS (object 'Nowhere__c')",
            bench.name
        ))
        .await;
    let failures = failures();
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
    if before.growth() >= MOST_GROWTH {
        // A pool may take its last step late; what leaks grows by as much again.
        before = Held::by(bench.db.backend());
        run(500).await;
    }
    before.has_not_grown();
    let contacts = bench.db.value("SELECT count(name) FROM contact").await;
    assert!(contacts.parse::<u64>().expect("a number") > 3_000);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_scans_leave_nothing_behind() {
    let bench = Bench::plain("scans").await;
    bench.import(&["Account", "AllTypes__c"]).await;
    let statements = [
        "SELECT name FROM account WHERE annualrevenue > 1e6 LIMIT 5",
        "SELECT * FROM alltypes__c",
        "SELECT count(*) FROM account WHERE numberofemployees < 50",
        "SELECT name FROM account WHERE id = '001000000000001AAA'",
        "SELECT 1 FROM account a WHERE exists (SELECT FROM alltypes__c t WHERE t.int__c = a.numberofemployees) LIMIT 1",
    ];
    let run = async |count: usize| {
        for number in 0..count {
            bench.db.rows(statements[number % statements.len()]).await;
        }
    };
    run(300).await;
    let before = Held::by(bench.db.backend());
    run(1_000).await;
    before.has_not_grown();
    bench.finish().await;
}
