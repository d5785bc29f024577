//! The SQL interface, a file for each family.

mod account;
mod catalog;
mod enumeration;
mod export;
mod query;
