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
use crm_tests::Bench;

/// A bench with contacts and accounts collected.
async fn contacts(label: &str) -> Bench {
    let bench = Bench::start(label, Config::default()).await;
    bench.import(&["Contact", "Account"]).await;
    bench
}
