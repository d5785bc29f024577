//! The SQL interface, a file for each family.

mod account;
pub mod catalog;
mod changes;
mod enumeration;
mod export;
mod query;
mod stat;
