//! Input that a CRM would refuse: a reject or an error that names record and field, and the other records get through
//! (X-1, X-4, E-1).

use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Note, for_each_crm, for_one_crm};

for_each_crm!(
    what_cannot_be_written_is_refused_before_any_call,
    bad_values_are_rejects_that_name_record_and_column,
    a_required_field_that_the_statement_does_not_write_is_named,
    records_that_are_not_there_are_rejects,
    a_key_given_twice_is_refused_the_second_time
);

// Only there an identifier has two forms.
for_one_crm!(
    salesforce_identifiers,
    SALESFORCE,
    identifiers_of_fifteen_characters_name_records_to_change
);

async fn keeping_rejects(crm: &'static Crm, label: &str, tables: &[&str]) -> Bench {
    let bench = Bench::of(crm, label, Config::default()).await;
    // Before anything is asked of the server: another option makes another session of it.
    bench
        .db
        .run(&format!(
            "ALTER SERVER {} OPTIONS (ADD process_rejects 'true')",
            bench.name
        ))
        .await;
    bench.collect(tables).await;
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
            "SELECT coalesce(nullif(error_symbol, ''), error_code), coalesce(column_name, ''), error_message <> '', kind FROM crm.rejects WHERE server = '{}'",
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

async fn what_cannot_be_written_is_refused_before_any_call(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "read_only", &["contact"]).await;
    bench.admin.clear_counters().await;
    let identifiers = &crm.identifiers;
    let by_identifier = format!("WHERE id = '{}'", identifiers.no_contact);
    let other = identifiers.no_account;
    let mut statements = vec![(
        format!("UPDATE contact SET id = '{other}' {by_identifier}"),
        "id",
    )];
    for column in crm.writes.read_only {
        for sql in [
            format!("INSERT INTO contact (firstname, lastname, {column}) VALUES ('a', 'b', NULL)"),
            format!("UPDATE contact SET {column} = NULL {by_identifier}"),
        ] {
            statements.push((sql, column));
        }
    }
    for (sql, column) in &statements {
        let refusal = bench.db.refused(sql).await;
        let expected =
            format!("column \"{column}\" of foreign table \"contact\" cannot be written");
        assert_eq!(refusal.message, expected, "{refusal:?}");
        assert!(!refusal.hint.is_empty(), "{refusal:?}");
    }
    let report = bench.admin.requests().await;
    assert_eq!(bench.admin.all_calls().await, 0, "{report}");
    finish(bench).await;
}

async fn bad_values_are_rejects_that_name_record_and_column(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "bad_values", &["contact", "alltypes"]).await;
    for bad in crm.writes.bad_values {
        let (columns, good, symbol, column) = (bad.columns, bad.good, bad.symbol, bad.column);
        let sql = format!(
            "INSERT INTO {columns} VALUES ({good}), ({}), ({good})",
            bad.bad
        );
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
        .refused("INSERT INTO contact (firstname, lastname) VALUES ('Given', 'Good'), ('Given', repeat('x', 121))")
        .await;
    assert!(
        refusal.message.starts_with("record 2 of the statement")
            && refusal.message.contains("\"lastname\""),
        "{refusal:?}"
    );
    finish(bench).await;
}

async fn a_required_field_that_the_statement_does_not_write_is_named(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "required", &["contact", "alltypes"]).await;
    let (sql, column) = crm.writes.incomplete;
    one_refused(&bench, sql, 0, "REQUIRED_FIELD_MISSING", column).await;
    finish(bench).await;
}

async fn records_that_are_not_there_are_rejects(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "not_there", &["contact"]).await;
    let ids = bench
        .db
        .column("INSERT INTO contact (firstname, lastname) SELECT 'Given', 'There ' || i FROM generate_series(1, 4) i RETURNING id")
        .await;
    bench
        .db
        .run(&format!("DELETE FROM contact WHERE id = '{}'", ids[3]))
        .await;
    for (id, symbol) in [
        (crm.identifiers.no_contact, crm.writes.unknown_record),
        (ids[3].as_str(), crm.writes.deleted_record),
    ] {
        let update = format!(
            "UPDATE contact SET department = 'x' WHERE id IN ('{}', '{id}', '{}')",
            ids[0], ids[1]
        );
        let insert = format!(
            "INSERT INTO contact (id, department) VALUES ('{}', 'y'), ('{id}', 'y'), ('{}', 'y')",
            ids[0], ids[1]
        );
        let insert = (!crm.writes.makes_named_records).then_some(insert);
        for sql in [update].into_iter().chain(insert) {
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
    let symbol = crm.writes.deleted_record;
    assert!(notes[0].detail.contains(symbol), "{notes:?}");
    let kept = bench
        .db
        .rows(&format!(
            "SELECT count(*), count(remote_id) FROM crm.rejects WHERE server = '{}'",
            bench.name
        ))
        .await;
    let refused = if crm.writes.makes_named_records {
        "3"
    } else {
        "5"
    };
    assert_eq!(kept, [[refused, refused].map(|n| Some(n.to_owned()))]);
    finish(bench).await;
}

async fn a_key_given_twice_is_refused_the_second_time(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "twice", &["contact"]).await;
    let key = crm.field("contact", "externalkey");
    bench
        .db
        .run(&format!(
            "ALTER FOREIGN TABLE contact OPTIONS (ADD key '{key}')"
        ))
        .await;
    let insert = "INSERT INTO contact (externalkey, firstname, lastname)
        VALUES ('K1', 'Given', 'a'), ('K2', 'Given', 'b'), ('K1', 'Given', 'c')";
    let note = one_refused(&bench, insert, 2, "DUPLICATE_VALUE", "").await;
    assert!(note.detail.contains("K1"), "{note:?}");
    assert_eq!(bench.find("contact", "externalkey", "K1").await.len(), 1);
    assert_eq!(bench.find("contact", "lastname", "a").await.len(), 1);
    let id = bench.find("contact", "lastname", "b").await.remove(0);
    let sql = format!(
        "UPDATE contact SET department = v FROM (VALUES ('p'), ('q')) AS x (v) WHERE id = '{id}'"
    );
    one_refused(&bench, &sql, 1, "DUPLICATE_VALUE", "").await;
    finish(bench).await;
}

async fn identifiers_of_fifteen_characters_name_records_to_change(crm: &'static Crm) {
    let bench = keeping_rejects(crm, "fifteen", &["contact"]).await;
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
        bench.find("contact", "department", "short").await,
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
