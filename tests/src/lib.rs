//! What the tests stand on: a sandbox of their own, a database session, and a look at the server from outside.
//! Start with [`Bench`]; the tests themselves lie in `tests/tests`.

mod admin;
mod bench;
mod cluster;
mod crm;
mod database;
mod dynamics;
mod log;
mod odata;
mod oracle;
mod process;
mod salesforce;
mod wait;

pub use admin::Admin;
pub use bench::{Bench, open_file};
pub use cluster::{Cluster, Place};
pub use crm::{BadValue, Crm, Handmade, Identifiers, Options, Queries, Request, Table, Writes};
pub use database::{Database, Note, Refusal, Row, literal};
pub use dynamics::{
    DYNAMICS, DYNAMICS_2015, DYNAMICS_ADFS, DYNAMICS_APPLICATION, DYNAMICS_CLAIMS, DYNAMICS_NTLM,
    DYNAMICS_OFFICE_365,
};
pub use log::ServerLog;
pub use oracle::{ORACLE, ORACLE_WS_SECURITY};
pub use process::{Backend, Peak};
pub use salesforce::SALESFORCE;
pub use wait::{holds_for, until};
