//! What every connector promises, tried against the sandbox without a database: one fixture for each way to each CRM,
//! the same tests for all. A further CRM is a further fixture in [`for_each_fixture`].

mod changes;
mod describing;
mod dynamics;
mod fixture;
mod jobs;
mod oracle;
mod reading;
mod salesforce;
mod signin;
mod trouble;
mod writing;

/// Runs test functions, which take a fixture, for each: a failing CRM shows in the test's name.
macro_rules! for_each_fixture {
    ($($test:ident),+ $(,)?) => {
        $crate::for_fixture!(salesforce, crate::salesforce::FIXTURE, $($test),+);
        $crate::for_fixture!(dynamics, crate::dynamics::FIXTURE, $($test),+);
        $crate::for_fixture!(dynamics_office_365, crate::dynamics::OFFICE_365, $($test),+);
        $crate::for_fixture!(dynamics_ntlm, crate::dynamics::NTLM, $($test),+);
        $crate::for_fixture!(dynamics_adfs, crate::dynamics::ADFS, $($test),+);
        $crate::for_fixture!(dynamics_claims, crate::dynamics::CLAIMS, $($test),+);
        $crate::for_fixture!(dynamics_2015, crate::dynamics::CRM_2015, $($test),+);
        $crate::for_fixture!(oracle, crate::oracle::FIXTURE, $($test),+);
        $crate::for_fixture!(oracle_ws_security, crate::oracle::WS_SECURITY, $($test),+);
    };
}

/// The same for those that sign in once and then show a token.
macro_rules! for_each_token {
    ($($test:ident),+ $(,)?) => {
        $crate::for_fixture!(salesforce_token, crate::salesforce::FIXTURE, $($test),+);
        $crate::for_fixture!(dynamics_token, crate::dynamics::FIXTURE, $($test),+);
        $crate::for_fixture!(dynamics_adfs_token, crate::dynamics::ADFS, $($test),+);
        $crate::for_fixture!(dynamics_claims_token, crate::dynamics::CLAIMS, $($test),+);
        $crate::for_fixture!(oracle_token, crate::oracle::FIXTURE, $($test),+);
    };
}

/// The same for what Salesforce alone has, such as jobs and an allotment that it tells.
macro_rules! for_salesforce {
    ($($test:ident),+ $(,)?) => {
        $crate::for_fixture!(salesforce_alone, crate::salesforce::FIXTURE, $($test),+);
    };
}

macro_rules! for_fixture {
    ($module:ident, $fixture:path, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(&$fixture).await;
                }
            )+
        }
    };
}

use {for_each_fixture, for_each_token, for_fixture, for_salesforce};
