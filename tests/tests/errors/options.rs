//! Options: unknown ones, wrong values, missing ones.

use crm_tests::Bench;

use crate::fails;

#[tokio::test(flavor = "multi_thread")]
async fn options_are_checked_where_they_are_given() {
    let bench = Bench::plain("options").await;
    bench.import(&["Account"]).await;
    let name = &bench.name;
    for (sql, sqlstate, message, hint) in [
        (
            "CREATE SERVER other FOREIGN DATA WRAPPER salesforce OPTIONS (urll 'https://login.salesforce.com')",
            "HV00D",
            "option \"urll\" is not valid for a server",
            "Perhaps you meant \"url\".",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD api_verson '66.0')",
            "HV00D",
            "option \"api_verson\" is not valid",
            "Perhaps you meant \"api_version\".",
        ),
        (
            "ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (ADD pasword 'TEST-value')",
            "HV00D",
            "option \"pasword\" is not valid for a user mapping",
            "Perhaps you meant \"password\".",
        ),
        (
            "ALTER FOREIGN TABLE account OPTIONS (ADD objekt 'Account')",
            "HV00D",
            "option \"objekt\" is not valid for a foreign table",
            "Perhaps you meant \"object\".",
        ),
        (
            "ALTER FOREIGN TABLE account ALTER COLUMN name OPTIONS (ADD converion 'copy_paste')",
            "HV00D",
            "option \"converion\" is not valid for a column",
            "Perhaps you meant \"conversion\".",
        ),
        (
            "ALTER FOREIGN TABLE account OPTIONS (ADD password 'TEST-value')",
            "HV00D",
            "option \"password\" is not valid for a foreign table",
            "It belongs to a user mapping.",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD password 'TEST-value')",
            "HV00D",
            "option \"password\" is not valid for a server",
            "It belongs to a user mapping.",
        ),
        (
            "CREATE SERVER other FOREIGN DATA WRAPPER salesforce OPTIONS (url 'http://login.salesforce.com')",
            "22023",
            "invalid value for option \"url\"",
            "Only https is allowed.",
        ),
        (
            "ALTER SERVER {name} OPTIONS (SET url 'http://localhost')",
            "22023",
            "invalid value for option \"url\"",
            "Only https is allowed.",
        ),
        (
            "CREATE SERVER other FOREIGN DATA WRAPPER salesforce OPTIONS (url 'https://me:TEST-word@localhost')",
            "22023",
            "option \"url\"",
            "belong to the user mapping",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD pushdown 'everything')",
            "22023",
            "invalid value for option \"pushdown\": \"everything\"",
            "Valid values are: connector, extended, off.",
        ),
        (
            "ALTER SERVER {name} OPTIONS (SET request_timeout '0')",
            "22023",
            "invalid value for option \"request_timeout\"",
            "whole number from 1 to 3600",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD time_zone 'Mars/Olympus')",
            "22023",
            "invalid value for option \"time_zone\"",
            "IANA",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD auth 'magic')",
            "22023",
            "invalid value for option \"auth\"",
            "password, client_credentials, jwt, refresh_token, soap",
        ),
        (
            "ALTER SERVER {name} OPTIONS (ADD api_version 'newest')",
            "22023",
            "invalid value for option \"api_version\"",
            "such as 66.0",
        ),
        (
            "ALTER USER MAPPING FOR CURRENT_USER SERVER {name} OPTIONS (SET password '')",
            "22023",
            "option \"password\" must not be empty",
            "",
        ),
        (
            "ALTER FOREIGN TABLE account ALTER COLUMN name OPTIONS (ADD conversion 'upside_down')",
            "22023",
            "invalid value for option \"conversion\"",
            "copy_paste",
        ),
        (
            "IMPORT FOREIGN SCHEMA nonsense FROM SERVER {name} INTO {name}",
            "HV00R",
            "nonsense",
            "standard",
        ),
        (
            "IMPORT FOREIGN SCHEMA standard FROM SERVER {name} INTO {name} OPTIONS (kase 'keep')",
            "HV00D",
            "option \"kase\" is not valid for IMPORT FOREIGN SCHEMA",
            "case",
        ),
        (
            "IMPORT FOREIGN SCHEMA standard LIMIT TO (acount) FROM SERVER {name} INTO {name}",
            "HV00R",
            "object \"acount\" does not exist",
            "crm.tables",
        ),
        (
            "IMPORT FOREIGN SCHEMA standard LIMIT TO (alltypes__c) FROM SERVER {name} INTO {name}",
            "HV00R",
            "object \"alltypes__c\" does not exist in remote schema standard",
            "custom",
        ),
    ] {
        fails(
            &bench,
            &sql.replace("{name}", name),
            sqlstate,
            message,
            hint,
        )
        .await;
    }
    assert_eq!(
        bench
            .db
            .value("SELECT count(*) FROM account WHERE annualrevenue > 1e30")
            .await,
        "0"
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_named_when_it_is_first_used() {
    let bench = Bench::bare("missing", crm_sandbox::Config::default()).await;
    bench.create_server("").await;
    let name = bench.name.clone();
    let check = format!("SELECT * FROM crm.check('{name}')");
    fails(&bench, &check, "42704", "user mapping not found", "").await;
    bench
        .db
        .run(&format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {name}"
        ))
        .await;
    let refusal = fails(
        &bench,
        &check,
        "HV00J",
        "is missing for server",
        "ALTER USER MAPPING",
    )
    .await;
    assert!(refusal.message.contains(&name), "{refusal:?}");
    let credentials = bench.sandbox.credentials.clone();
    bench
        .db
        .run(&format!(
            "ALTER USER MAPPING FOR CURRENT_USER SERVER {name}
             OPTIONS (ADD username '{}', ADD client_id '{}', ADD client_secret '{}');
             ALTER SERVER {name} OPTIONS (ADD auth 'password')",
            credentials.username, credentials.client_id, credentials.client_secret
        ))
        .await;
    let message = "option \"password\" is missing";
    fails(
        &bench,
        &check,
        "HV00J",
        message,
        "ALTER USER MAPPING … OPTIONS (ADD password",
    )
    .await;
    bench
        .db
        .run(&format!("ALTER SERVER {name} OPTIONS (SET auth 'jwt')"))
        .await;
    fails(
        &bench,
        &check,
        "HV00J",
        "\"private_key\"",
        "ALTER USER MAPPING",
    )
    .await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {name} OPTIONS (SET auth 'refresh_token')"
        ))
        .await;
    fails(
        &bench,
        &check,
        "HV00J",
        "\"refresh_token\"",
        "ALTER USER MAPPING",
    )
    .await;
    assert_eq!(bench.admin.all_calls().await, 0, "nothing was sent");
    bench
        .db
        .run(&format!(
            "CREATE SERVER {name}_bare FOREIGN DATA WRAPPER salesforce;
             CREATE USER MAPPING FOR CURRENT_USER SERVER {name}_bare OPTIONS ({})",
            bench.password_mapping()
        ))
        .await;
    let check = format!("SELECT * FROM crm.check('{name}_bare')");
    fails(
        &bench,
        &check,
        "HV00J",
        "option \"url\" is missing",
        "ALTER SERVER",
    )
    .await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE no_object (id text OPTIONS (field 'Id')) SERVER {name};
             CREATE FOREIGN TABLE no_field (id text) SERVER {name} OPTIONS (object 'Account')"
        ))
        .await;
    fails(
        &bench,
        "SELECT * FROM no_object",
        "HV00J",
        "option \"object\" is missing",
        "ADD object",
    )
    .await;
    fails(
        &bench,
        "SELECT * FROM no_field",
        "HV00J",
        "option \"field\" is missing",
        "ADD field",
    )
    .await;
    bench
        .db
        .run(&format!(
            "SET client_min_messages = error; DROP SERVER {name}_bare CASCADE"
        ))
        .await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_object_or_field_is_told_by_its_name() {
    let bench = Bench::plain("unknown").await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE wrong_object (id text OPTIONS (field 'Id')) SERVER {0} OPTIONS (object 'Nowhere__c');
             CREATE FOREIGN TABLE wrong_field (id text OPTIONS (field 'Id'), gone text OPTIONS (field 'Gone__c'))
                 SERVER {0} OPTIONS (object 'Account');
             CREATE FOREIGN TABLE hostile (id text OPTIONS (field 'Id FROM User --')) SERVER {0} OPTIONS (object 'Account')",
            bench.name
        ))
        .await;
    let import = "import the foreign table again";
    let read = format!(
        "could not read object \"Nowhere__c\" from server \"{}\"",
        bench.name
    );
    let refusal = fails(&bench, "SELECT * FROM wrong_object", "HV00R", &read, import).await;
    assert!(refusal.detail.contains("INVALID_TYPE"), "{refusal:?}");
    let refusal = fails(
        &bench,
        "SELECT * FROM wrong_field",
        "HV005",
        "\"Account\"",
        import,
    )
    .await;
    assert!(refusal.detail.contains("Gone__c"), "{refusal:?}");
    // The other columns are not affected.
    assert!(!bench.db.rows("SELECT id FROM wrong_field").await.is_empty());
    bench.admin.clear_counters().await;
    let refusal = bench.db.refused("SELECT * FROM hostile").await;
    assert!(refusal.message.contains("Id FROM User"), "{refusal:?}");
    assert_eq!(bench.admin.data_calls().await, 0, "such a name is not sent");
    let sql = format!("SELECT * FROM crm.fields('{}', 'Nowhere__c')", bench.name);
    fails(&bench, &sql, "HV00R", "\"Nowhere__c\"", "").await;
    fails(
        &bench,
        "SELECT * FROM crm.tables('no such server')",
        "42704",
        "no such server",
        "",
    )
    .await;
    bench.finish().await;
}
