//! Exports to a CRM that does not exist: it takes records into memory and fails when told to.

mod checks;
mod crm;
mod history;
mod journal;
mod order;
