//! What only Oracle CRM On Demand does, tried against the sandbox without a database: sessions, its query language,
//! messages that die as a whole, user keys, the user's clock.

mod changes;
mod company;
mod enumerations;
mod reading;
mod sessions;
mod trouble;
mod writing;
mod written;
