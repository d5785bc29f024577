//! What every connector promises, tried against the sandbox without a database: one fixture for each CRM, the same
//! tests for all. A further CRM is a further fixture in [`FIXTURES`].

mod changes;
mod describing;
mod fixture;
mod reading;
mod salesforce;
mod signin;
mod trouble;
mod writing;

use fixture::Fixture;

/// Every CRM.
static FIXTURES: &[Fixture] = &[salesforce::FIXTURE];
