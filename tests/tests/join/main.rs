//! Joins on the record identifier (S-4): few calls where few records are wanted, a scan where most are, and always the
//! rows of a join of local tables.

mod batches;
mod places;
mod random;

use crm_tests::Bench;

/// The node that looks records up.
const NODE: &str = "CrmLookupJoin";

/// Switches off every other way of joining, or this one.
const BY_LOOKUP: &str = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_nestloop = off; SET crm.enable_lookup_join = on";
const BY_SCAN: &str = "RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_nestloop; \
                       SET crm.enable_lookup_join = off";
const AS_IT_COMES: &str = "RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_nestloop; \
                           RESET crm.enable_lookup_join";

/// How many lookup joins the plan of a statement has.
async fn lookups_in(bench: &Bench, sql: &str) -> usize {
    let plan = bench.plan("", sql).await.to_string();
    plan.matches(NODE).count()
}
