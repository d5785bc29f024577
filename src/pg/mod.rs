//! Thin safe covers over what the extension needs of the server.
//! Unsafe code is allowed here and in `fdw`; nothing here knows connectors, plans or scans.

pub mod catalog;
pub mod compat;
pub mod datum;
pub mod exit;
pub mod explain;
pub mod expr;
pub mod files;
pub mod list;
pub mod numeric;
pub mod rejects;
pub mod signals;
pub mod wait;
pub mod written;
