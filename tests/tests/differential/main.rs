//! Whatever is pushed down, the rows are those of a local table: random filters, orders and aggregates over a foreign
//! table and over its copy, which was read without pushdown. Everything random comes from a fixed seed.

mod domain;
mod filters;
mod harness;
mod literals;
mod orders;

use harness::Subject;

/// Filters tried on each of the four tables, in both modes: 1,200 in all.
const FILTERS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn filters_on_every_type_of_field() {
    let subject = Subject::imported("AllTypes__c", 11).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_on_accounts() {
    let subject = Subject::imported("Account", 12).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_on_opportunities() {
    let subject = Subject::imported("Opportunity", 13).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_on_columns_of_other_types_and_conversions() {
    let subject = Subject::handmade(14).await;
    subject.filters(FILTERS).await;
    subject.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_limits_and_aggregates() {
    for (object, seed) in [("AllTypes__c", 21), ("Account", 22), ("Opportunity", 23)] {
        let subject = Subject::imported(object, seed).await;
        subject.orders(80).await;
        subject.aggregates(60).await;
        subject.finish().await;
    }
    let subject = Subject::handmade(24).await;
    subject.orders(80).await;
    subject.aggregates(60).await;
    subject.finish().await;
}
