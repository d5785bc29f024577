//! `CALL crm.sync` (I-3, I-4).

use crate::{call, clock, fails, is_true, sync};
use crm_sandbox::Config;
use crm_tests::{Bench, Crm, Database, SALESFORCE, for_each_crm, for_one_crm, until};
use serde_json::json;
use std::time::Duration;

for_each_crm!(
    a_copy_is_made_kept_and_left_alone,
    a_record_committed_late_is_caught_by_the_overlap,
    equal_stamps_at_the_edges_are_neither_missed_nor_doubled,
    a_failure_in_the_middle_changes_nothing,
    the_second_of_two_syncs_at_once_is_refused,
    a_target_keeps_its_own_columns_and_takes_a_subset,
    two_targets_of_one_activity_do_not_lose_each_others_changes,
    computed_columns_are_left_out_or_read_anew,
    without_a_stamp_everything_is_compared,
    what_cannot_be_synchronised_is_refused_before_any_call,
    a_cancelled_sync_leaves_nothing_behind,
);

for_one_crm!(
    dynamics_ntlm,
    DYNAMICS_NTLM,
    a_copy_is_made_kept_and_left_alone,
    equal_stamps_at_the_edges_are_neither_missed_nor_doubled,
    without_a_stamp_everything_is_compared
);
for_one_crm!(
    dynamics_adfs,
    DYNAMICS_ADFS,
    a_copy_is_made_kept_and_left_alone,
    equal_stamps_at_the_edges_are_neither_missed_nor_doubled,
    without_a_stamp_everything_is_compared
);
for_one_crm!(
    dynamics_2015,
    DYNAMICS_2015,
    a_copy_is_made_kept_and_left_alone,
    equal_stamps_at_the_edges_are_neither_missed_nor_doubled,
    without_a_stamp_everything_is_compared
);
// The others move the clock of the sandbox, which the signatures of messages do not follow there.
for_one_crm!(
    dynamics_claims,
    DYNAMICS_CLAIMS,
    without_a_stamp_everything_is_compared
);

/// Generated contacts: more than two pages.
fn contacts(crm: &Crm) -> u32 {
    5_000.max(crm.queries.page as u32 * 5 / 2)
}

/// Nearly all of them: more than two pages still.
fn most_of_them(crm: &Crm) -> u64 {
    u64::from(contacts(crm)) * 9 / 10
}

async fn bench(crm: &'static Crm, label: &str) -> Bench {
    let config = Config {
        contacts: contacts(crm),
        ..Config::default()
    };
    let bench = Bench::of(crm, label, config).await;
    bench.collect(&["contact", "account"]).await;
    // The clock of the tests stands well behind every stamp they make.
    clock(&bench, 0).await;
    bench
}

/// Rows whose version is not that of the note taken before.
async fn rewritten(bench: &Bench) -> String {
    bench
        .db
        .value("SELECT count(*) FROM copy c FULL JOIN versions v USING (id) WHERE c.xmin IS DISTINCT FROM v.was")
        .await
}

async fn note_versions(bench: &Bench) {
    bench
        .db
        .run("DROP TABLE IF EXISTS versions; CREATE TABLE versions AS SELECT id, xmin AS was FROM copy")
        .await;
}

async fn a_copy_is_made_kept_and_left_alone(crm: &'static Crm) {
    let bench = bench(crm, "sync").await;
    let first = sync(&bench, "'contact', 'copy'").await;
    let all: u64 = bench
        .db
        .value("SELECT count(*) FROM contact")
        .await
        .parse()
        .expect("a number");
    assert!(all > contacts(crm).into());
    assert_eq!(first[..4], [all, 0, 0, 0]);
    is_true(
        &bench,
        "contact",
        "copy",
        "id, lastname, lastmodifieddate, birthdate",
    )
    .await;
    let key = "SELECT string_agg(a.attname, ',') FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
               WHERE i.indrelid = 'copy'::regclass AND i.indisprimary";
    assert_eq!(bench.db.value(key).await, "id");

    // Time has passed; nothing has changed since: nothing is read, nothing is written.
    clock(&bench, 7_200).await;
    note_versions(&bench).await;
    let second = sync(&bench, "'contact', 'copy'").await;
    assert_eq!(second[..4], [0, 0, 0, 0]);
    assert!(second[4] <= crm.queries.idle_sync, "{second:?}");
    assert_eq!(rewritten(&bench).await, "0");

    // Records changed, deleted, made.
    bench
        .change(
            "contact",
            json!({"every": 100, "set": {"title": "Changed {n}"}}),
        )
        .await;
    bench
        .change(
            "contact",
            json!({"skip": 1, "every": 1000, "delete": "bin"}),
        )
        .await;
    bench
        .change(
            "contact",
            json!({"skip": 2, "every": 1000, "delete": crm.writes.logged_removal}),
        )
        .await;
    bench
        .change(
            "contact",
            json!({"create": [{"firstname": "Given", "lastname": "New one"}]}),
        )
        .await;
    clock(&bench, 7_400).await;
    note_versions(&bench).await;
    let third = sync(&bench, "'contact', 'copy'").await;
    let n_changed = u64::from(contacts(crm)).div_ceil(100);
    let n_deleted = 2 * u64::from(contacts(crm)).div_ceil(1000);
    assert_eq!(third[..4], [1, n_changed, 0, n_deleted]);
    let n_rewritten = 1 + n_changed + n_deleted;
    assert_eq!(rewritten(&bench).await, n_rewritten.to_string());
    is_true(
        &bench,
        "contact",
        "copy",
        "id, lastname, title, lastmodifieddate",
    )
    .await;

    // What the overlap shows again is not written again.
    note_versions(&bench).await;
    let fourth = sync(&bench, "'contact', 'copy'").await;
    let n_seen = match crm.queries.changes_by_token {
        true => 0,
        false => 1 + n_changed,
    };
    assert_eq!(fourth[..4], [0, 0, n_seen, 0]);
    assert_eq!(rewritten(&bench).await, "0");
    bench.finish().await;
}

async fn a_record_committed_late_is_caught_by_the_overlap(crm: &'static Crm) {
    let bench = bench(crm, "late").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD sync_overlap '600')")
        .await;
    sync(&bench, "'contact', 'copy'").await;
    // Stamped before the next window's start, visible after it.
    bench
        .change(
            "contact",
            json!({"first": 3, "set": {"title": "Late"}, "late": true}),
        )
        .await;
    clock(&bench, 200).await;
    assert_eq!(sync(&bench, "'contact', 'copy'").await[..4], [0, 0, 0, 0]);
    bench.admin.commit().await;
    assert_eq!(sync(&bench, "'contact', 'copy'").await[..4], [0, 3, 0, 0]);
    is_true(&bench, "contact", "copy", "id, title").await;
    bench.finish().await;
}

async fn equal_stamps_at_the_edges_are_neither_missed_nor_doubled(crm: &'static Crm) {
    let bench = bench(crm, "edges").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE contact OPTIONS (ADD sync_overlap '0')")
        .await;
    sync(&bench, "'contact', 'copy'").await;
    let mark = bench.db.value("SELECT changed_until FROM crm.sync_state WHERE source LIKE '%.contact' AND target LIKE (current_schema() || '.%')").await;
    let at = bench
        .db
        .value(&format!("SELECT to_char('{mark}'::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.000+0000')"))
        .await;
    // More of them than a page holds, all with the stamp of the mark itself.
    bench
        .change(
            "contact",
            json!({"first": most_of_them(crm), "set": {"title": "Edge"}, "at": at}),
        )
        .await;
    clock(&bench, 3_600).await;
    assert_eq!(
        sync(&bench, "'contact', 'copy'").await[..4],
        [0, most_of_them(crm), 0, 0]
    );
    is_true(&bench, "contact", "copy", "id, title").await;
    // And at the other edge: the second in which the next window begins.
    let now = bench.db.value("SELECT to_char(crm.clock('contact'::regclass) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.000+0000')").await;
    bench
        .change(
            "contact",
            json!({"first": 10, "set": {"title": "Other edge"}, "at": now}),
        )
        .await;
    sync(&bench, "'contact', 'copy'").await;
    sync(&bench, "'contact', 'copy'").await;
    is_true(&bench, "contact", "copy", "id, title").await;
    bench.finish().await;
}

async fn a_failure_in_the_middle_changes_nothing(crm: &'static Crm) {
    let bench = bench(crm, "middle").await;
    sync(&bench, "'contact', 'copy'").await;
    let state = &format!(
        "SELECT (SELECT string_agg(s::text, ' ') FROM crm.sync_state s WHERE activity = '{0}')
             || (SELECT string_agg(o::text, ' ') FROM crm.option o WHERE name = crm.mark_name('{0}'))",
        bench.name
    );
    let before = bench.db.value(state).await;
    bench
        .change(
            "contact",
            json!({"first": most_of_them(crm), "set": {"title": "Changed"}}),
        )
        .await;
    clock(&bench, 3_600).await;
    note_versions(&bench).await;
    // Changes by token may come in one answer.
    let struck = match crm.queries.changes_by_token {
        true => &crm.queries.first,
        false => &crm.queries.next,
    };
    let fault =
        json!({"path": struck.path, "after": struck.after, "kind": "malformed", "times": 1});
    bench.admin.fault(fault).await;
    fails(
        &bench,
        &call(&bench, "'contact', 'copy'"),
        "HV004",
        &format!("could not read object \"{}\"", crm.table("contact").object),
    )
    .await;
    assert_eq!(rewritten(&bench).await, "0");
    assert_eq!(bench.db.value(state).await, before);
    // Rolled back by its caller, it is as if it had not been.
    bench.db.run("BEGIN").await;
    assert_eq!(
        sync(&bench, "'contact', 'copy'").await[1],
        most_of_them(crm)
    );
    bench.db.run("ROLLBACK").await;
    assert_eq!(bench.db.value(state).await, before);
    assert_eq!(
        sync(&bench, "'contact', 'copy'").await[1],
        most_of_them(crm)
    );
    is_true(&bench, "contact", "copy", "id, title").await;
    bench.finish().await;
}

async fn the_second_of_two_syncs_at_once_is_refused(crm: &'static Crm) {
    let bench = bench(crm, "twice").await;
    let other = Database::connect(None).await;
    other
        .run(&format!("SET search_path = {}", bench.name))
        .await;
    bench
        .admin
        .fault(json!({"path": crm.queries.first.path, "kind": "hold", "times": 1}))
        .await;
    let running = async {
        other
            .try_rows("CALL crm.sync('contact', 'copy', 'twice')")
            .await
    };
    let trying = async {
        bench.admin.held(1).await;
        let refusal = fails(
            &bench,
            "CALL crm.sync('contact', 'copy', 'twice')",
            "55P03",
            "synchronised by another session",
        )
        .await;
        // Another activity into the same target is no better.
        fails(
            &bench,
            "CALL crm.sync('contact', 'copy', 'other')",
            "55P03",
            "synchronised by another session",
        )
        .await;
        bench.admin.release().await;
        refusal
    };
    let (first, _) = tokio::join!(running, trying);
    assert!(first.is_ok(), "{first:?}");
    // The first has made the table.
    assert_eq!(sync(&bench, "'contact', 'copy'").await[..2], [0, 0]);
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletions_come_when_the_log_covers_them_and_spare_the_living() {
    let crm = &SALESFORCE;
    let bench = bench(crm, "deletions").await;
    sync(&bench, "'contact', 'copy'").await;
    bench
        .admin
        .deletion_log(json!({"covered_lag_s": 1800}))
        .await;
    bench
        .change("contact", json!({"first": 4, "delete": "bin"}))
        .await;
    clock(&bench, 600).await;
    sync(&bench, "'contact', 'copy'").await;
    // Restored since: it is in the log and lives again.
    bench
        .change("contact", json!({"first": 1, "undelete": true}))
        .await;
    clock(&bench, 7_200).await;
    sync(&bench, "'contact', 'copy'").await;
    is_true(&bench, "contact", "copy", "id").await;
    // Asked to leave them alone, a sync does.
    bench
        .change("contact", json!({"skip": 10, "first": 2, "delete": "bin"}))
        .await;
    clock(&bench, 10_800).await;
    assert_eq!(
        sync(&bench, "'contact', 'copy', deletes => false").await[3],
        0
    );
    clock(&bench, 14_400).await;
    assert_eq!(sync(&bench, "'contact', 'copy'").await[3], 2);
    is_true(&bench, "contact", "copy", "id").await;
    bench.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_more_than_a_month_all_identifiers_are_compared() {
    let crm = &SALESFORCE;
    let bench = bench(crm, "month").await;
    sync(&bench, "'contact', 'copy'").await;
    bench
        .change("contact", json!({"first": 7, "delete": "erased"}))
        .await;
    clock(&bench, 40 * 86_400).await;
    bench.db.notes();
    assert_eq!(sync(&bench, "'contact', 'copy'").await[3], 7);
    let notes = bench.db.notes();
    assert!(
        notes.iter().any(|note| note
            .message
            .contains("the identifiers of all records are read")),
        "{notes:?}"
    );
    is_true(&bench, "contact", "copy", "id").await;
    bench.finish().await;
}

async fn a_target_keeps_its_own_columns_and_takes_a_subset(crm: &'static Crm) {
    let bench = bench(crm, "subset").await;
    bench
        .db
        .run(&format!("CREATE TABLE own (note text DEFAULT 'mine', title text, id {} PRIMARY KEY, twice text GENERATED ALWAYS AS (title || title) STORED)", crm.identifiers.sql_type))
        .await;
    sync(&bench, "'contact', 'own'").await;
    is_true(&bench, "contact", "own", "id, title").await;
    bench.db.run("UPDATE own SET note = 'kept'").await;
    bench
        .change("contact", json!({"first": 5, "set": {"title": "Changed"}}))
        .await;
    clock(&bench, 3_600).await;
    assert_eq!(sync(&bench, "'contact', 'own'").await[..2], [0, 5]);
    assert_eq!(
        bench
            .db
            .value("SELECT count(*) FROM own WHERE note <> 'kept'")
            .await,
        "0"
    );
    // A column that is added later is filled for every record.
    bench.db.run("ALTER TABLE own ADD lastname text").await;
    sync(&bench, "'contact', 'own'").await;
    is_true(&bench, "contact", "own", "id, title, lastname").await;
    bench.finish().await;
}

async fn two_targets_of_one_activity_do_not_lose_each_others_changes(crm: &'static Crm) {
    let bench = bench(crm, "targets").await;
    sync(&bench, "'contact', 'one'").await;
    bench
        .change("contact", json!({"first": 5, "set": {"title": "Changed"}}))
        .await;
    clock(&bench, 3_600).await;
    // The mark of the activity moves beyond what the first target has seen.
    sync(&bench, "'contact', 'two'").await;
    clock(&bench, 7_200).await;
    assert_eq!(sync(&bench, "'contact', 'one'").await[1], 5);
    is_true(&bench, "contact", "one", "id, title").await;
    bench.finish().await;
}

async fn computed_columns_are_left_out_or_read_anew(crm: &'static Crm) {
    let bench = bench(crm, "computed").await;
    bench
        .db
        .run("ALTER FOREIGN TABLE account ALTER COLUMN site OPTIONS (ADD computed 'true')")
        .await;
    bench.db.notes();
    sync(&bench, "'account', 'part'").await;
    let notes = bench.db.notes();
    assert!(
        notes
            .iter()
            .any(|note| note.severity == "NOTICE" && note.message.contains("site")),
        "{notes:?}"
    );
    let has =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'part'::regclass AND attname = 'site'";
    assert_eq!(bench.db.value(has).await, "0");
    bench
        .db
        .run("ALTER FOREIGN TABLE account OPTIONS (ADD sync_computed 'reread')")
        .await;
    sync(&bench, "'account', 'whole'").await;
    clock(&bench, 7_200).await;
    // A formula that changes moves no stamp.
    bench
        .change(
            "account",
            json!({"first": 6, "set": {"site": "Computed"}, "at": "2020-01-01T00:00:00.000+0000"}),
        )
        .await;
    let second = sync(&bench, "'account', 'whole'").await;
    assert_eq!(second[..2], [0, 6], "{second:?}");
    is_true(&bench, "account", "whole", "id, site").await;
    bench.finish().await;
}

async fn without_a_stamp_everything_is_compared(crm: &'static Crm) {
    let bench = bench(crm, "stampless").await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE bare (id {} OPTIONS (field '{}'), title text OPTIONS (field '{}')) SERVER {} OPTIONS (object '{}')",
            crm.identifiers.sql_type,
            crm.field("contact", "id"),
            crm.field("contact", "title"),
            bench.name,
            crm.table("contact").object
        ))
        .await;
    sync(&bench, "'bare', 'copy'").await;
    bench
        .change("contact", json!({"first": 5, "set": {"title": "Changed"}}))
        .await;
    bench
        .change(
            "contact",
            json!({"skip": 5, "first": 2, "delete": crm.writes.logged_removal}),
        )
        .await;
    bench.db.notes();
    let second = sync(&bench, "'bare', 'copy'").await;
    assert_eq!((second[0], second[1], second[3]), (0, 5, 2), "{second:?}");
    let notes = bench.db.notes();
    assert!(
        crm.queries.changes_by_token
            || notes
                .iter()
                .any(|note| note.message.contains("all records are read and compared")),
        "{notes:?}"
    );
    is_true(&bench, "bare", "copy", "id, title").await;
    bench.finish().await;
}

async fn what_cannot_be_synchronised_is_refused_before_any_call(crm: &'static Crm) {
    let bench = bench(crm, "refused").await;
    bench
        .db
        .run(&format!(
            "CREATE FOREIGN TABLE keyless (title text OPTIONS (field '{1}')) SERVER {0} OPTIONS (object '{2}');
             CREATE TABLE other_types (id {3} PRIMARY KEY, annualrevenue integer);
             CREATE TABLE no_id (name text);
             CREATE TABLE no_key (id {3}, name text);
             CREATE VIEW a_view AS SELECT NULL::{3} AS id",
            bench.name,
            crm.field("contact", "title"),
            crm.table("contact").object,
            crm.identifiers.sql_type
        ))
        .await;
    bench.db.rows("SELECT 1 FROM account LIMIT 1").await;
    bench.admin.clear_counters().await;
    for (arguments, sqlstate, words) in [
        ("'keyless', 'target'", "42703", "no identifier column"),
        ("'account', 'other_types'", "42804", "other types"),
        ("'account', 'no_id'", "42703", "no column \"id\""),
        ("'account', 'no_key'", "42P16", "no unique index"),
        ("'account', 'a_view'", "42809", "is not a table"),
        ("'account', 'account'", "42809", "is not a table"),
        ("'account', 'nowhere.target'", "3F000", "nowhere"),
        ("'account', 'a.b.c'", "42602", "schema.table"),
        ("'account', NULL", "22004", "must not be null"),
        ("'no_id', 'target'", "42809", "not a foreign table"),
    ] {
        fails(
            &bench,
            &format!("CALL crm.sync({arguments})"),
            sqlstate,
            words,
        )
        .await;
    }
    assert_eq!(bench.admin.data_calls().await, 0);
    bench
        .db
        .run("INSERT INTO crm.option VALUES (crm.mark_name('wrong'), 'yesterday')")
        .await;
    fails(
        &bench,
        "CALL crm.sync('account', 'target', 'wrong')",
        "22007",
        "is no time",
    )
    .await;
    assert_eq!(
        bench.db.value("SELECT to_regclass('target') IS NULL").await,
        "t"
    );
    bench
        .db
        .run("DELETE FROM crm.option WHERE name = crm.mark_name('wrong')")
        .await;
    bench.finish().await;
}

async fn a_cancelled_sync_leaves_nothing_behind(crm: &'static Crm) {
    let bench = bench(crm, "cancelled").await;
    bench
        .admin
        .fault(json!({"path": crm.queries.next.path, "after": crm.queries.next.after, "kind": "hang", "times": 1}))
        .await;
    let other = Database::connect(None).await;
    let running = async { bench.db.try_rows(&call(&bench, "'contact', 'copy'")).await };
    let cancelling = async {
        until(
            "the second page is asked for",
            Duration::from_secs(20),
            || async {
                let next = &crm.queries.next;
                (bench.admin.calls(next.counter).await >= next.arrived).then_some(())
            },
        )
        .await;
        other.cancel(&bench.db).await;
    };
    let (outcome, ()) = tokio::join!(running, cancelling);
    assert_eq!(outcome.expect_err("cancelled").sqlstate, "57014");
    bench.admin.reset().await;
    assert_eq!(
        bench.db.value("SELECT to_regclass('copy') IS NULL").await,
        "t"
    );
    assert!(sync(&bench, "'contact', 'copy'").await[0] > contacts(crm).into());
    bench.finish().await;
}
