//! What the Oracle CRM On Demand connector does with what only that service does, tried against the sandbox.

mod company;
mod reading;
mod sessions;
mod trouble;
