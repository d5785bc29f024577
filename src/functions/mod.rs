//! The SQL interface, a file for each family.

mod account;
pub mod catalog;
mod changes;
mod drift;
mod enumeration;
mod export;
mod progress;
mod query;
mod stat;
