//! The functions of the schema `crm`: who is signed in, what there is, records by identifier, labels (A-7, C-1, S-4).

use crm_tests::Bench;

use crate::fails;

fn some(values: &[&str]) -> Vec<Option<String>> {
    values
        .iter()
        .map(|value| Some((*value).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_who_and_where_and_what_is_left() {
    let bench = Bench::plain("check").await;
    bench.admin.limits(1_000, 15_000).await;
    let sql = format!(
        "SELECT server, user_name, organization IN ('CRM Sandbox Test Org', '00D5x0000000001EAA'), host, api_version, auth, calls_allowed,
                calls_used + calls_left = calls_allowed, calls_used BETWEEN 1000 AND 1010
         FROM crm.check('{}')",
        bench.name
    );
    let expected = some(&[
        &bench.name,
        &bench.sandbox.credentials.username,
        "t",
        &format!("127.0.0.1:{}", bench.sandbox.port),
        "66.0",
        "password",
        "15000",
        "t",
        "t",
    ]);
    assert_eq!(bench.db.rows(&sql).await, [expected]);
    assert_eq!(bench.admin.calls("login").await, 1);
    assert_eq!(bench.admin.data_calls().await, 0);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_come_and_go() {
    let bench = Bench::plain("connections").await;
    let name = bench.name.clone();
    let connections = format!(
        "SELECT role::regrole::text = current_user, signed_in, user_name, host FROM crm.connections() WHERE server = '{name}'"
    );
    assert_eq!(bench.db.rows(&connections).await.len(), 0);
    bench.import(&["Account"]).await;
    bench.db.rows("SELECT name FROM account LIMIT 1").await;
    let host = format!("127.0.0.1:{}", bench.sandbox.port);
    let here = some(&["t", "t", &bench.sandbox.credentials.username, &host]);
    assert_eq!(bench.db.rows(&connections).await, [here]);
    assert_eq!(
        bench
            .db
            .value(&format!("SELECT crm.disconnect('{name}')"))
            .await,
        "t"
    );
    assert_eq!(
        bench
            .db
            .value(&format!("SELECT crm.disconnect('{name}')"))
            .await,
        "f"
    );
    assert_eq!(bench.db.rows(&connections).await.len(), 0);
    bench.admin.clear_counters().await;
    bench.db.rows("SELECT name FROM account LIMIT 1").await;
    assert_eq!(bench.admin.calls("login").await, 1, "signed in anew");
    assert_eq!(bench.db.value("SELECT crm.disconnect_all()").await, "1");
    assert_eq!(bench.db.value("SELECT crm.disconnect_all()").await, "0");
    fails(
        &bench,
        "SELECT crm.disconnect('no such')",
        "42704",
        "no such",
        "",
    )
    .await;
    // A scan that is open goes on to its end.
    bench
        .db
        .run("BEGIN; DECLARE c CURSOR FOR SELECT id FROM account; FETCH 1 FROM c; SELECT crm.disconnect_all()")
        .await;
    assert!(bench.db.rows("FETCH ALL FROM c").await.len() > 1_000);
    bench.db.run("COMMIT").await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_and_fields_say_what_can_be_collected() {
    let bench = Bench::plain("tables").await;
    bench.import(&["Account"]).await;
    let name = &bench.name;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE second (id text OPTIONS (field 'Id')) SERVER {name} OPTIONS (object 'Account')"
        ))
        .await;
    bench.admin.clear_counters().await;
    let sql = format!(
        "SELECT label, custom, selectable, insertable, changes_tracked, deletions_tracked, foreign_tables
         FROM crm.tables('{name}') WHERE object = 'Account'"
    );
    let row = bench.db.rows(&sql).await;
    assert_eq!(
        row,
        [some(&[
            "Account",
            "f",
            "t",
            "t",
            "t",
            "t",
            "{account,second}"
        ])]
    );
    let sql = format!(
        "SELECT custom, foreign_tables FROM crm.tables('{name}') WHERE object = 'AllTypes__c'"
    );
    assert_eq!(bench.db.rows(&sql).await, [[Some("t".to_owned()), None]]);
    assert_eq!(bench.admin.calls("describe_global").await, 2);
    assert_eq!(bench.admin.calls("describe").await, 0);
    let sql = format!(
        "SELECT field, remote_type, local_type, filterable, sortable, enumeration FROM crm.fields('{name}', 'AllTypes__c')"
    );
    let fields = bench.db.rows(&sql).await;
    for (field, remote_type, local_type, filterable, sortable, enumeration) in [
        ("Id", "id", "text", "t", "t", None),
        ("Text__c", "string", "text", "t", "t", None),
        ("LongText__c", "textarea", "text", "f", "f", None),
        (
            "Pick__c",
            "picklist",
            "text",
            "t",
            "t",
            Some("AllTypes__c.Pick__c"),
        ),
        (
            "Multi__c",
            "multipicklist",
            "text[]",
            "t",
            "f",
            Some("AllTypes__c.Multi__c"),
        ),
        ("Check__c", "boolean", "boolean", "t", "t", None),
        ("Int__c", "int", "integer", "t", "t", None),
        ("Long__c", "long", "bigint", "t", "t", None),
        ("Number__c", "double", "numeric", "t", "t", None),
        ("Currency__c", "currency", "numeric", "t", "t", None),
        ("Percent__c", "percent", "numeric", "t", "t", None),
        ("Date__c", "date", "date", "t", "t", None),
        (
            "DateTime__c",
            "datetime",
            "timestamp with time zone",
            "t",
            "t",
            None,
        ),
        ("Time__c", "time", "time without time zone", "t", "t", None),
        ("Location__c", "location", "jsonb", "t", "f", None),
        ("Hologram__c", "hologram", "text", "f", "f", None),
    ] {
        let mut expected = some(&[field, remote_type, local_type, filterable, sortable]);
        expected.push(enumeration.map(str::to_owned));
        assert!(fields.contains(&expected), "{expected:?} in {fields:#?}");
    }
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_fetched_by_either_form_of_identifier() {
    let bench = Bench::plain("fetch").await;
    bench.import(&["Account"]).await;
    let ids = bench
        .db
        .column("SELECT id FROM account ORDER BY id LIMIT 4")
        .await;
    for id in &ids {
        let short = format!(
            "SELECT crm.id18('{}'), crm.id18('{id}'), crm.id18('nothing')",
            &id[..15]
        );
        let row = bench.db.rows(&short).await;
        assert_eq!(row, [[Some(id.clone()), Some(id.clone()), None]]);
    }
    let short = &ids[1][..15];
    let list = format!(
        "ARRAY['{}', '{short}', NULL, 'nonsense', '{}', '003000000000001']",
        ids[0], ids[0]
    );
    bench.admin.clear_counters().await;
    let sql =
        format!("SELECT id, name IS NOT NULL FROM crm.fetch(NULL::account, {list}) ORDER BY id");
    let rows = bench.db.rows(&sql).await;
    assert_eq!(rows, [some(&[&ids[0], "t"]), some(&[&ids[1], "t"])]);
    assert_eq!(bench.admin.calls("retrieve").await, 1);
    assert_eq!(bench.admin.data_calls().await, 1);
    // Equality stays SQL's: the short form equals no stored value, and a notice says so.
    bench.db.notes();
    bench.admin.clear_counters().await;
    let sql = format!("SELECT name FROM account WHERE id = '{short}'");
    assert_eq!(bench.db.rows(&sql).await.len(), 0);
    let notes = bench.db.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.severity == "NOTICE" && note.message.contains("crm.id18")),
        "{notes:?}"
    );
    assert_eq!(bench.admin.data_calls().await, 0);
    let sql = format!(
        "SELECT name FROM account WHERE id IN ('{}', '{}')",
        ids[2], ids[3]
    );
    assert_eq!(bench.db.rows(&sql).await.len(), 2);
    assert_eq!(
        bench
            .db
            .rows("SELECT * FROM crm.fetch(NULL::account, '{}')")
            .await
            .len(),
        0
    );
    fails(
        &bench,
        "SELECT * FROM crm.fetch(1, '{a}')",
        "42809",
        "row type",
        "crm.fetch(NULL::",
    )
    .await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_become_comments() {
    let bench = Bench::plain("labels").await;
    bench.import(&["Account"]).await;
    let written = bench
        .db
        .value(&format!("SELECT crm.comment('{}')", bench.name))
        .await;
    assert!(written.parse::<u64>().expect("a number") > 10);
    let comment = "SELECT col_description('account'::regclass,
        (SELECT attnum FROM pg_attribute WHERE attrelid = 'account'::regclass AND attname = 'annualrevenue'))";
    assert_eq!(bench.db.value(comment).await, "Annual Revenue");
    assert_eq!(
        bench
            .db
            .value("SELECT obj_description('account'::regclass)")
            .await,
        "Account"
    );
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn import_takes_few_calls_and_keeps_the_remote_names() {
    let bench = Bench::plain("import").await;
    let name = bench.name.clone();
    bench.admin.clear_counters().await;
    bench
        .db
        .run(&format!(
            "IMPORT FOREIGN SCHEMA standard EXCEPT (contact) FROM SERVER {name} INTO {name}"
        ))
        .await;
    let tables = bench
        .db
        .value(&format!(
            "SELECT count(*) FROM information_schema.foreign_tables WHERE foreign_table_schema = '{name}'"
        ))
        .await;
    let tables: u64 = tables.parse().expect("a number");
    assert!(tables > 20, "{tables}");
    let calls = bench.admin.all_calls().await;
    // The list, the sign-in, and the objects by 25.
    assert!(
        calls <= 2 + tables.div_ceil(25) + 1,
        "{calls} calls for {tables} tables"
    );
    bench
        .db
        .run(&format!(
            "CREATE SCHEMA {name}_kept;
             IMPORT FOREIGN SCHEMA \"all\" LIMIT TO (\"ALLTYPES__C\") FROM SERVER {name} INTO {name}_kept
                 OPTIONS (\"case\" 'keep')"
        ))
        .await;
    let sql = format!(
        "SELECT \"Text__c\", \"Total__c\", \"TOTAL__c\" FROM {name}_kept.\"ALLTYPES__C\" LIMIT 1"
    );
    assert_eq!(bench.db.rows(&sql).await.len(), 1);
    bench.db.notes();
    bench
        .db
        .run(&format!(
            "IMPORT FOREIGN SCHEMA custom LIMIT TO (alltypes__c) FROM SERVER {name} INTO {name}"
        ))
        .await;
    let notes = bench.db.notes();
    for word in ["total__c_2", "hologram"] {
        assert!(
            notes.iter().any(|note| note.message.contains(word)),
            "{word}: {notes:?}"
        );
    }
    let columns = bench
        .db
        .column(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{name}.alltypes__c'::regclass AND attnum > 0 ORDER BY attnum LIMIT 2"
        ))
        .await;
    assert_eq!(columns, ["id", "lastmodifieddate"]);
    let sql = "SELECT total__c, total__c_2 FROM alltypes__c WHERE total__c < total__c_2 ORDER BY 1 LIMIT 1";
    let row = ["1.5", "10.25"].map(|value| Some(value.to_owned()));
    assert_eq!(bench.db.rows(sql).await, [row]);
    bench
        .db
        .run(&format!(
            "SET client_min_messages = error; DROP SCHEMA {name}_kept CASCADE"
        ))
        .await;
    bench.finish().await;
}
