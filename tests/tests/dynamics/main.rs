//! What only Dynamics does, tried against the sandbox without a database: lookups and their names, option sets, identifiers
//! chosen by the client, the audit, delta links.

mod changes;
mod describing;
mod organisation;
mod writing;
