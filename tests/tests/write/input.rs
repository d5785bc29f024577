//! Input that a CRM would refuse: a reject or an error that names record and field, and the other records get through
//! (X-1, X-4, E-1).

use crm_tests::{Bench, Note};

async fn keeping_rejects(label: &str, objects: &[&str]) -> Bench {
    let bench = Bench::plain(label).await;
    bench.import(objects).await;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {} OPTIONS (ADD process_rejects 'true')",
            bench.name
        ))
        .await;
    bench
}

async fn finish(bench: Bench) {
    let sql = format!("DELETE FROM crm.rejects WHERE server = '{}'", bench.name);
    bench.db.run(&sql).await;
    bench.finish().await;
}

/// Runs a statement of which `accepted` records get through and one does not; its warning, and its row among the
/// rejects has this symbol and column.
async fn one_refused(bench: &Bench, sql: &str, accepted: u64, symbol: &str, column: &str) -> Note {
    bench.db.notes();
    bench
        .db
        .run(&format!(
            "DELETE FROM crm.rejects WHERE server = '{}'",
            bench.name
        ))
        .await;
    assert_eq!(bench.db.counted(sql).await, accepted, "{sql}");
    let notes = bench.db.notes();
    let warnings: Vec<_> = notes
        .into_iter()
        .filter(|note| note.severity == "WARNING")
        .collect();
    assert_eq!(warnings.len(), 1, "{sql}: {warnings:#?}");
    let rows = bench
        .db
        .rows(&format!(
            "SELECT error_symbol, coalesce(column_name, ''), error_message <> '', kind FROM crm.rejects WHERE server = '{}'",
            bench.name
        ))
        .await;
    let expected = [symbol, column, "t", "reject"].map(|text| Some(text.to_owned()));
    assert_eq!(rows, [expected], "{sql}: {warnings:#?}");
    let note = warnings.into_iter().next().expect("one");
    if !column.is_empty() {
        let named = format!("column \"{column}\"");
        assert!(note.message.contains(&named), "{sql}: {note:#?}");
    }
    note
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_refused_before_any_call() {
    let bench = keeping_rejects("read_only", &["Contact"]).await;
    bench.admin.clear_counters().await;
    for (sql, column) in [
        (
            "INSERT INTO contact (lastname, createddate) VALUES ('a', now())",
            "createddate",
        ),
        (
            "INSERT INTO contact (lastname, name) VALUES ('a', 'b')",
            "name",
        ),
        (
            "UPDATE contact SET lastmodifieddate = now() WHERE id = '003000000000001AAA'",
            "lastmodifieddate",
        ),
        (
            "UPDATE contact SET id = '003000000000002AAA' WHERE id = '003000000000001AAA'",
            "id",
        ),
    ] {
        let refusal = bench.db.refused(sql).await;
        let expected =
            format!("column \"{column}\" of foreign table \"contact\" cannot be written");
        assert_eq!(refusal.message, expected, "{refusal:?}");
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
    }
    assert_eq!(bench.admin.all_calls().await, 0);
    finish(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_rejects_that_name_record_and_column() {
    let bench = keeping_rejects("bad_values", &["Contact", "AllTypes__c"]).await;
    let values = |bad: &str, columns: &str, good: &str| {
        format!("INSERT INTO {columns} VALUES ({good}), ({bad}), ({good})")
    };
    for (columns, good, bad, symbol, column) in [
        (
            "contact (lastname, firstname)",
            "'Good', 'f'",
            "repeat('x', 81), 'f'",
            "STRING_TOO_LONG",
            "lastname",
        ),
        (
            "contact (firstname, lastname)",
            "'f', 'Good'",
            "'f', NULL",
            "REQUIRED_FIELD_MISSING",
            "lastname",
        ),
        (
            "alltypes__c (restrictedpick__c, text__c)",
            "'A', 'Good'",
            "'Z', 'Good'",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "restrictedpick__c",
        ),
        (
            "alltypes__c (text__c, fixedmulti__c)",
            "'Good', '{A,B}'",
            "'Good', '{A,Z}'",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            "fixedmulti__c",
        ),
        (
            "alltypes__c (text__c, multi__c)",
            "'Good', '{A,B}'",
            "'Good', '{A,NULL}'",
            "INVALID_VALUE",
            "multi__c",
        ),
        (
            "alltypes__c (text__c, number__c)",
            "'Good', 1.5",
            "'Good', 'NaN'",
            "NUMBER_OUTSIDE_VALID_RANGE",
            "number__c",
        ),
        (
            "contact (lastname, birthdate)",
            "'Good', '1980-01-01'",
            "'Good', 'infinity'",
            "FIELD_INTEGRITY_EXCEPTION",
            "birthdate",
        ),
    ] {
        let sql = values(bad, columns, good);
        let note = one_refused(&bench, &sql, 2, symbol, column).await;
        assert!(
            note.message.starts_with("record 2 of the statement"),
            "{note:?}"
        );
    }
    // Where a statement shall stop at the first one, it says the same.
    let server = &bench.name;
    bench
        .db
        .run(&format!(
            "ALTER SERVER {server} OPTIONS (ADD on_reject 'error')"
        ))
        .await;
    let refusal = bench
        .db
        .refused("INSERT INTO contact (lastname) VALUES ('Good'), (repeat('x', 81))")
        .await;
    assert!(
        refusal.message.starts_with("record 2 of the statement")
            && refusal.message.contains("\"lastname\""),
        "{refusal:?}"
    );
    finish(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_field_that_the_statement_does_not_write_is_named() {
    let bench = keeping_rejects("required", &["Contact"]).await;
    let sql = "INSERT INTO contact (firstname) VALUES ('Alone')";
    one_refused(&bench, sql, 0, "REQUIRED_FIELD_MISSING", "lastname").await;
    finish(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_not_there_are_rejects() {
    let bench = keeping_rejects("not_there", &["Contact"]).await;
    let ids = bench
        .db
        .column("INSERT INTO contact (lastname) SELECT 'There ' || i FROM generate_series(1, 4) i RETURNING id")
        .await;
    bench
        .db
        .run(&format!("DELETE FROM contact WHERE id = '{}'", ids[3]))
        .await;
    for (id, symbol) in [
        ("003000000000ZZZAA2", "INVALID_CROSS_REFERENCE_KEY"),
        (ids[3].as_str(), "ENTITY_IS_DELETED"),
    ] {
        for sql in [
            format!(
                "UPDATE contact SET department = 'x' WHERE id IN ('{}', '{id}', '{}')",
                ids[0], ids[1]
            ),
            format!(
                "INSERT INTO contact (id, department) VALUES ('{}', 'y'), ('{id}', 'y'), ('{}', 'y')",
                ids[0], ids[1]
            ),
        ] {
            bench.db.notes();
            assert_eq!(bench.db.counted(&sql).await, 2, "{sql}");
            let notes = bench.db.notes();
            assert_eq!(notes.len(), 1, "{sql}: {notes:#?}");
            assert!(
                notes[0].message.contains(&format!("record \"{id}\"")),
                "{notes:?}"
            );
            assert!(notes[0].detail.contains(symbol), "{sql}: {notes:?}");
        }
    }
    let sql = format!(
        "DELETE FROM contact WHERE id IN ('{}', '{}')",
        ids[2], ids[3]
    );
    bench.db.notes();
    assert_eq!(bench.db.counted(&sql).await, 1);
    let notes = bench.db.notes();
    assert!(notes[0].detail.contains("ENTITY_IS_DELETED"), "{notes:?}");
    let kept = bench
        .db
        .rows(&format!(
            "SELECT count(*), count(remote_id) FROM crm.rejects WHERE server = '{}'",
            bench.name
        ))
        .await;
    assert_eq!(kept, [[Some("5".to_owned()), Some("5".to_owned())]]);
    finish(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_given_twice_is_refused_the_second_time() {
    let bench = keeping_rejects("twice", &["Contact"]).await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD key 'ExternalKey__c')")
        .await;
    let insert = "INSERT INTO contact (externalkey__c, lastname) VALUES ('K1', 'a'), ('K2', 'b'), ('K1', 'c')";
    let note = one_refused(&bench, insert, 2, "DUPLICATE_VALUE", "").await;
    assert!(note.detail.contains("K1"), "{note:?}");
    assert_eq!(
        bench
            .admin
            .find("Contact", "ExternalKey__c", "K1")
            .await
            .len(),
        1
    );
    assert_eq!(bench.admin.find("Contact", "LastName", "a").await.len(), 1);
    let id = bench.admin.find("Contact", "LastName", "b").await.remove(0);
    let sql = format!(
        "UPDATE contact SET department = v FROM (VALUES ('p'), ('q')) AS x (v) WHERE id = '{id}'"
    );
    one_refused(&bench, &sql, 1, "DUPLICATE_VALUE", "").await;
    finish(bench).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_of_fifteen_characters_name_records_to_change() {
    let bench = keeping_rejects("fifteen", &["Contact"]).await;
    let id = bench
        .db
        .value("INSERT INTO contact (lastname) VALUES ('Fifteen') RETURNING id")
        .await;
    assert_eq!(id.len(), 18);
    let sql = format!(
        "INSERT INTO contact (id, department) VALUES ('{}', 'short') RETURNING id",
        &id[..15]
    );
    assert_eq!(bench.db.value(&sql).await, id);
    assert_eq!(
        bench.admin.find("Contact", "Department", "short").await,
        std::slice::from_ref(&id)
    );
    // Both forms name one record.
    let sql = format!(
        "INSERT INTO contact (id, department) VALUES ('{}', 'one'), ('{id}', 'two')",
        &id[..15]
    );
    one_refused(&bench, &sql, 1, "DUPLICATE_VALUE", "").await;
    assert_eq!(bench.admin.writes("updated").await, 2);
    finish(bench).await;
}
