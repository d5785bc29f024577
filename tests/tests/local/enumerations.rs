//! Local copies of enumerations (N-2, N-3).

use crate::fails;
use crm_tests::{Bench, Database};

async fn summary(bench: &Bench, call: &str) -> Vec<String> {
    let sql = format!("SELECT concat_ws(' ', added, changed, removed, kept) FROM {call}");
    bench.db.column(&sql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_merged_or_replaced() {
    let bench = Bench::plain("enumerations").await;
    bench.import(&["Account"]).await;
    let n = &bench.name;
    let call = "crm.sync_enumeration('account', 'rating')";
    assert_eq!(summary(&bench, call).await, ["3 0 0 0"]);
    assert_eq!(summary(&bench, call).await, ["0 0 0 3"]);
    bench
        .db
        .run(&format!(
            "INSERT INTO crm.enumeration_value (server, enumeration, value, label) VALUES ('{n}', 'Account.Rating', 'Mine', 'Mine');
             UPDATE crm.enumeration_value SET label = 'other' WHERE server = '{n}' AND value = 'Hot';
             DELETE FROM crm.enumeration_value WHERE server = '{n}' AND value = 'Cold'"
        ))
        .await;
    assert_eq!(summary(&bench, call).await, ["1 1 0 2"]);
    let replacing = "crm.sync_enumeration('account', 'rating', replace => true)";
    assert_eq!(summary(&bench, replacing).await, ["0 0 1 3"]);
    assert_eq!(summary(&bench, replacing).await, ["0 0 0 3"]);
    assert_eq!(bench.db.value("SELECT string_agg(value, ',' ORDER BY position) FROM crm.labels('account', 'rating')").await, "Hot,Warm,Cold");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_enumeration_of_a_field_is_remembered() {
    let bench = Bench::plain("remembered").await;
    bench.import(&["Account"]).await;
    let n = &bench.name;
    bench
        .db
        .run(&format!(
            "INSERT INTO crm.enumeration (server, name) VALUES ('{n}', 'branches')"
        ))
        .await;
    let name = |sql: &str| format!("SELECT local_enumeration FROM {sql}");
    assert_eq!(
        bench
            .db
            .value(&name(
                "crm.sync_enumeration('account', 'industry', 'branches')"
            ))
            .await,
        "branches"
    );
    assert_eq!(
        bench
            .db
            .value(&name("crm.sync_enumeration('account', 'industry')"))
            .await,
        "branches"
    );
    let all = format!(
        "SELECT string_agg(enumeration, ',') FROM crm.sync_enumerations('{n}', object => 'Account') WHERE enumeration IN ('branches', 'Account.Industry')"
    );
    assert_eq!(bench.db.value(&all).await, "branches");
    // A text field may hold another field's values.
    assert_eq!(
        bench
            .db
            .value(&name(
                "crm.sync_enumeration('account', 'site', 'Account.Rating')"
            ))
            .await,
        "Account.Rating"
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_server_twice_changes_nothing() {
    let bench = Bench::plain("all_of").await;
    let n = &bench.name;
    let totals = format!(
        "SELECT concat_ws(' ', sum(added) > 100, sum(changed), sum(removed)) FROM crm.sync_enumerations('{n}')"
    );
    assert_eq!(bench.db.value(&totals).await, "t 0 0");
    let contents = format!(
        "SELECT md5(string_agg(v::text || v.xmin::text, '' ORDER BY v.*)) FROM crm.enumeration_value v WHERE server = '{n}'"
    );
    let before = bench.db.value(&contents).await;
    assert_eq!(bench.db.value(&totals).await, "f 0 0");
    assert_eq!(bench.db.value(&contents).await, before);
    // Each value that the CRM lists is there, with what controls it and the record types it is for.
    let missing = format!(
        "SELECT count(*) FROM (SELECT f.enumeration, e.value, e.label, e.controlling_values
           FROM crm.enumerations('{n}') e JOIN crm.enumeration_field f ON f.server = '{n}' AND f.object = e.object AND f.field = e.field
         EXCEPT SELECT enumeration, value, label, controlling_values FROM crm.enumeration_value WHERE server = '{n}') m"
    );
    assert_eq!(bench.db.value(&missing).await, "0");
    let city = format!("SELECT controlling_values || ' ' || record_types FROM (
        SELECT controlling_values::text, record_types::text FROM crm.enumeration_value WHERE server = '{n}' AND enumeration = 'Custom__c.City__c' AND controlling_values <> '{{}}' AND record_types IS NOT NULL LIMIT 1) c");
    assert!(!bench.db.value(&city).await.is_empty());
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_none_is_refused_and_changes_nothing() {
    let bench = Bench::plain("no_enumeration").await;
    bench.import(&["Account"]).await;
    for (arguments, sqlstate, words) in [
        (
            "'account', 'name'",
            "42809",
            "field \"Name\" of object \"Account\" has no enumeration",
        ),
        ("'account', 'nam'", "42703", "column \"nam\""),
        (
            "'account', 'industry', 'nothing'",
            "42704",
            "enumeration \"nothing\" does not exist",
        ),
        (
            "'account', 'name', 'Account.Nothing'",
            "42704",
            "does not exist",
        ),
        ("'account', NULL", "22004", "must not be null"),
        ("'pg_class', 'relname'", "42809", "not a foreign table"),
    ] {
        fails(
            &bench,
            &format!("SELECT * FROM crm.sync_enumeration({arguments})"),
            sqlstate,
            words,
        )
        .await;
    }
    fails(
        &bench,
        "SELECT * FROM crm.sync_enumerations('nowhere')",
        "42704",
        "nowhere",
    )
    .await;
    let held = format!(
        "SELECT count(*) FROM crm.enumeration WHERE server = '{}'",
        bench.name
    );
    assert_eq!(bench.db.value(&held).await, "0");
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_use_the_server_sees_its_enumerations() {
    let bench = Bench::plain("seen_by").await;
    bench.import(&["Account"]).await;
    let n = &bench.name;
    bench
        .db
        .rows("SELECT * FROM crm.sync_enumeration('account', 'rating')")
        .await;
    bench
        .run_alone(&format!("CREATE ROLE {n}_user LOGIN; CREATE ROLE {n}_other LOGIN; GRANT USAGE ON FOREIGN SERVER {n} TO {n}_user"))
        .await;
    let sql = format!("SELECT count(*) FROM crm.enumeration_value WHERE server = '{n}'");
    for (role, expected) in [("user", "3"), ("other", "0")] {
        let role = Database::connect(Some(&format!("{n}_{role}"))).await;
        assert_eq!(role.value(&sql).await, expected);
        // Marks belong to the role that made them.
        assert_eq!(role.value("SELECT count(*) FROM crm.option").await, "0");
        role.run("INSERT INTO crm.option (name, value) VALUES ('mine', '2020/01/01 00:00:00')")
            .await;
        assert_eq!(
            role.value("SELECT crm.mark('mine')").await,
            "2020-01-01 00:00:00+00"
        );
        assert_eq!(
            role.refused("INSERT INTO crm.option (name, role) VALUES ('theirs', 'postgres')")
                .await
                .sqlstate,
            "42501"
        );
        assert_eq!(
            role.refused("SELECT crm.stat_reset()").await.sqlstate,
            "42501"
        );
        role.run("DELETE FROM crm.option").await;
    }
    bench
        .run_alone(&format!(
            "DROP OWNED BY {n}_user, {n}_other; DROP ROLE {n}_user, {n}_other"
        ))
        .await;
    bench.finish().await;
}
