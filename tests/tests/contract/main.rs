//! What every connector promises, tried against the sandbox without a database: one fixture for each way to each CRM,
//! the same tests for all. A further CRM is a further fixture in [`for_each_fixture`].

mod changes;
mod describing;
mod fixture;
mod reading;
mod salesforce;
mod signin;
mod trouble;
mod writing;

/// Runs test functions, which take a fixture, for each: a failing CRM shows in the test's name.
macro_rules! for_each_fixture {
    ($($test:ident),+ $(,)?) => {
        $crate::for_fixture!(salesforce, crate::salesforce::FIXTURE, $($test),+);
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

use {for_each_fixture, for_fixture, for_salesforce};
