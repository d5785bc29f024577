//! What the tests stand on: a sandbox of their own, a database session, and a look at the server from outside.
//! Start with [`Bench`]; the tests themselves lie in `tests/tests`.

mod admin;
mod bench;
mod cluster;
mod database;
mod log;
mod process;
mod wait;

pub use admin::Admin;
pub use bench::{Bench, open_file};
pub use cluster::{Cluster, Place};
pub use database::{Database, Note, Refusal, Row, literal};
pub use log::ServerLog;
pub use process::{Backend, Peak};
pub use wait::{holds_for, until};
