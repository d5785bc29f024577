//! Records on their way to a CRM: checked, put into batches, journalled, sent, and each one's outcome handed back.
//!
//! Nothing here knows a vendor or PostgreSQL: it works over `crm_core::Connector` and `crm_core::Session`.
//! Read `exporter.rs` first; `target.rs` says what goes in and what comes out.

mod checks;
mod exporter;
mod form;
mod job;
mod keys;
mod settling;
mod shown;
mod target;
#[cfg(test)]
mod tests;

pub use crm_journal as journal;
pub use exporter::{Exporter, Totals};
pub use job::{SharedJob, signature};
pub use shown::{key_text, shown_record};
pub use target::{Outcome, Record, Sent, Statement, Target};
