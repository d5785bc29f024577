//! Foreign scans as a client sees them: what they ask of the CRM, how they are stopped, what they leave behind,
//! and every place in a statement where a foreign table can stand.

mod budget;
mod compilation;
mod leaks;
mod native;
mod places;
mod rescans;
mod stopping;
mod traffic;

use crm_sandbox::Config;

/// A sandbox with generated contacts beside the recorded ones.
fn with_contacts(contacts: u32) -> Config {
    Config {
        contacts,
        ..Config::default()
    }
}
