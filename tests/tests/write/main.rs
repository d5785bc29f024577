//! Exports as a client sees them: what they send, what becomes of it when something breaks, and every place in a
//! statement where a table of a CRM can be written.

mod again;
mod crash;
mod export;
mod input;
mod jobs;
mod many;
mod places;
mod trouble;

use crm_sandbox::Config;
use crm_tests::{Bench, Crm};

/// A bench with contacts and accounts collected.
async fn contacts(crm: &'static Crm, label: &str) -> Bench {
    let bench = Bench::of(crm, label, Config::default()).await;
    bench.collect(&["contact", "account"]).await;
    bench
}

/// The same whose contacts are written by calls, several of them for 1,000 records.
async fn by_calls(crm: &'static Crm, label: &str) -> Bench {
    let bench = contacts(crm, label).await;
    go_by_calls(&bench).await;
    bench
}

/// Contacts are written so from now on.
async fn go_by_calls(bench: &Bench) {
    let writes = &bench.crm.writes;
    bench.travel("contact", writes.by_calls).await;
    if let Some(size) = writes.small_batch_option() {
        let sql = format!("ALTER FOREIGN TABLE contact OPTIONS (ADD batch_size '{size}')");
        bench.db.run(&sql).await;
    }
}

/// Calls that so many records take then.
fn n_calls(crm: &Crm, records: u64) -> u64 {
    records.div_ceil(crm.writes.small_batch)
}
