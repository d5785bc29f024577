//! Drift between a collected table and the CRM today (C-6).

use crate::fails;
use crm_sandbox::Config;
use crm_tests::{Bench, DYNAMICS};

#[tokio::test(flavor = "multi_thread")]
async fn what_addresses_call_an_object_is_kept_shown_and_cured() {
    let bench = Bench::of(&DYNAMICS, "collection", Config::default()).await;
    bench.import(&["contact"]).await;
    // S-8: a session that knows nothing yet shows the query as it will be sent.
    bench.db.run("SELECT crm.disconnect_all()").await;
    let calls = bench.admin.all_calls().await;
    let select = "SELECT jobtitle FROM contact";
    let shown = bench.remote_queries(select).await;
    assert_eq!(shown, ["contacts?$select=jobtitle"]);
    assert_eq!(bench.admin.all_calls().await, calls);
    bench.db.rows(select).await;
    assert_eq!(bench.admin.last_query().await, Some(shown[0].clone()));
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (SET collection 'persons')")
        .await;
    let refusal = fails(&bench, select, "HV00R", "could not read object").await;
    assert!(
        refusal.detail.contains("persons?$select=jobtitle"),
        "{refusal:#?}"
    );
    let cured = bench.db.column("SELECT reason FROM crm.refresh('contact')");
    assert_eq!(cured.await, ["collection was \"persons\""]);
    bench.db.rows(select).await;
    // A table made by hand need not say it.
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (DROP collection)")
        .await;
    assert_eq!(
        bench.remote_queries(select).await,
        ["{contact}?$select=jobtitle"]
    );
    bench.db.rows(select).await;
    assert_eq!(bench.admin.last_query().await, Some(shown[0].clone()));
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_brought_in_line() {
    let bench = Bench::plain("drift").await;
    bench.import(&["Account", "Contact"]).await;
    let n = &bench.name;
    for of in [
        "'account'".to_owned(),
        format!("'{n}'::regnamespace"),
        format!("'{n}'"),
    ] {
        assert_eq!(
            bench
                .db
                .column(&format!("SELECT statement FROM crm.diff({of})"))
                .await,
            Vec::<String>::new(),
            "{of}"
        );
    }
    let shape = "SELECT md5(string_agg(concat_ws('|', attname, atttypid::regtype, attfdwoptions), E'\\n' ORDER BY attname COLLATE \"C\")) FROM pg_attribute WHERE attrelid = 'account'::regclass AND attnum > 0 AND NOT attisdropped";
    let as_imported = bench.db.value(shape).await;
    bench
        .db
        .run(
            "ALTER FOREIGN TABLE account DROP COLUMN industry, ADD COLUMN gone text OPTIONS (field 'Gone__c', remote_type 'string'),
                ALTER COLUMN annualrevenue TYPE text, ALTER COLUMN annualrevenue OPTIONS (SET remote_type 'string'),
                ALTER COLUMN site OPTIONS (ADD filterable 'false', SET label 'Old label');
             ALTER FOREIGN TABLE contact OPTIONS (SET object 'Gone__c')",
        )
        .await;
    let reasons = bench
        .db
        .column("SELECT reason FROM crm.diff('account') ORDER BY reason")
        .await;
    assert_eq!(
        reasons,
        [
            "field \"AnnualRevenue\": type was \"string\"",
            "field \"Gone__c\" is gone",
            "field \"Industry\" is new",
            "field \"Site\": label was \"Old label\", filterable was \"false\"",
        ]
    );
    let statement = bench
        .db
        .value("SELECT statement FROM crm.diff('account') WHERE reason LIKE '%AnnualRevenue%'")
        .await;
    assert_eq!(
        statement,
        format!(
            "ALTER FOREIGN TABLE {n}.account ALTER COLUMN annualrevenue TYPE numeric, ALTER COLUMN annualrevenue OPTIONS (SET remote_type 'currency')"
        )
    );
    let of_schema = format!("SELECT count(*) FROM crm.diff('{n}')");
    assert_eq!(bench.db.value(&of_schema).await, "5");
    assert_eq!(
        bench
            .db
            .value("SELECT count(*) FROM crm.refresh('account')")
            .await,
        "4"
    );
    assert_eq!(bench.db.value(shape).await, as_imported);
    assert_eq!(
        bench
            .db
            .column("SELECT statement FROM crm.refresh('contact')")
            .await,
        [format!("DROP FOREIGN TABLE {n}.contact")]
    );
    assert_eq!(
        bench
            .db
            .value("SELECT to_regclass('contact') IS NULL")
            .await,
        "t"
    );
    assert_eq!(bench.db.value(&of_schema).await, "0");
    assert_eq!(
        bench
            .db
            .rows("SELECT annualrevenue + 1, industry FROM account WHERE annualrevenue > 0 LIMIT 1")
            .await
            .len(),
        1
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_written_by_hand_keeps_its_choice() {
    let bench = Bench::plain("by_hand").await;
    let n = &bench.name;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE few (id text OPTIONS (field 'Id'), revenue varchar(20) OPTIONS (field 'AnnualRevenue'),
               owner text OPTIONS (field 'Owner.Name')) SERVER {n} OPTIONS (object 'Account')"
        ))
        .await;
    assert_eq!(
        bench.db.value("SELECT count(*) FROM crm.diff('few')").await,
        "0"
    );
    let proposed: u64 = bench
        .db
        .value("SELECT count(*) FROM crm.diff('few', new_fields => true)")
        .await
        .parse()
        .expect("a number");
    assert!(proposed > 60);
    bench
        .db
        .run("ALTER FOREIGN TABLE few ADD COLUMN no text OPTIONS (field 'No__c')")
        .await;
    assert_eq!(
        bench.db.column("SELECT reason FROM crm.diff('few')").await,
        ["field \"No__c\" is gone"]
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_objects_are_collected_when_asked_for() {
    let bench = Bench::plain("new_objects").await;
    bench.import(&["Account"]).await;
    let n = &bench.name;
    assert_eq!(
        bench
            .db
            .value(&format!("SELECT count(*) FROM crm.diff('{n}')"))
            .await,
        "0"
    );
    let lead = format!(
        "SELECT count(*) FROM crm.diff('{n}', new_objects => true) WHERE statement LIKE 'CREATE FOREIGN TABLE {n}.lead (%'"
    );
    assert_eq!(bench.db.value(&lead).await, "1");
    bench
        .db
        .rows(&format!(
            "SELECT count(*) FROM crm.refresh('{n}', new_objects => true)"
        ))
        .await;
    assert_ne!(bench.db.value("SELECT count(*) FROM lead").await, "0");
    assert_eq!(
        bench
            .db
            .value(&format!(
                "SELECT count(*) FROM crm.diff('{n}', new_objects => true)"
            ))
            .await,
        "0"
    );
    fails(
        &bench,
        "SELECT * FROM crm.diff('pg_class')",
        "42809",
        "not a foreign table",
    )
    .await;
    fails(
        &bench,
        "SELECT * FROM crm.diff('nowhere')",
        "42P01",
        "nowhere",
    )
    .await;
    bench.finish().await;
}
