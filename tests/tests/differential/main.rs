//! Whatever is pushed down, the rows are those of a local table: random filters, orders and aggregates over a foreign
//! table and over its copy, which was read without pushdown. Everything random comes from a fixed seed.

mod domain;
mod filters;
mod harness;
mod literals;
mod orders;

use crm_tests::{Crm, for_each_crm, for_each_deployment};

use harness::Subject;

/// Filters tried on each of the four tables, in both modes: 1,200 in all.
const FILTERS: usize = 300;
/// Filters tried on each of two tables over each further deployment of a CRM, others for each.
const FURTHER: usize = 100;

for_each_crm!(
    filters_on_every_type_of_field,
    filters_on_accounts,
    filters_on_opportunities,
    filters_on_columns_of_other_types_and_conversions,
    orders_limits_and_aggregates,
);

for_each_deployment!(
    filters_over_a_further_deployment,
    orders_over_a_further_deployment,
);

async fn filters_on_every_type_of_field(crm: &'static Crm) {
    let subject = Subject::collected(crm, "alltypes", 11).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

async fn filters_on_accounts(crm: &'static Crm) {
    let subject = Subject::collected(crm, "account", 12).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

async fn filters_on_opportunities(crm: &'static Crm) {
    let subject = Subject::collected(crm, "opportunity", 13).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

async fn filters_on_columns_of_other_types_and_conversions(crm: &'static Crm) {
    let subject = Subject::handmade(crm, 14).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

async fn filters_over_a_further_deployment(crm: &'static Crm) {
    let seed: u64 = crm.name.bytes().map(u64::from).sum();
    let subject = Subject::collected(crm, "alltypes", seed).await;
    subject.filters(FURTHER).await;
    subject.finish().await;
    let subject = Subject::handmade(crm, seed + 1).await;
    subject.filters(FURTHER).await;
    subject.finish().await;
}

async fn orders_over_a_further_deployment(crm: &'static Crm) {
    let subject = Subject::collected(crm, "alltypes", 41).await;
    subject.orders(80).await;
    subject.aggregates(40).await;
    subject.finish().await;
}

async fn orders_limits_and_aggregates(crm: &'static Crm) {
    for (table, seed) in [("alltypes", 21), ("account", 22), ("opportunity", 23)] {
        let subject = Subject::collected(crm, table, seed).await;
        subject.orders(80).await;
        subject.aggregates(60).await;
        subject.finish().await;
    }
    let subject = Subject::handmade(crm, 24).await;
    subject.orders(80).await;
    subject.aggregates(60).await;
    subject.finish().await;
}
