//! Tests of records whose identifiers are uuids: found, joined, written, kept in step with.

#[pgrx::pg_schema]
mod tests {
    use crate::backend_tests::crm::crm;
    use pgrx::prelude::*;

    /// The identifier made of that digit, as it travels.
    fn id(digit: char) -> String {
        let digits = |n: usize| digit.to_string().repeat(n);
        [8, 4, 4, 4, 12].map(digits).join("-")
    }

    /// A foreign table over records a to f, each the parent of the next.
    fn things() {
        Spi::run(
            "CREATE FOREIGN DATA WRAPPER imaginary HANDLER crm.fdw_handler OPTIONS (connector 'imaginary');
             CREATE SERVER memory FOREIGN DATA WRAPPER imaginary; CREATE USER MAPPING FOR CURRENT_USER SERVER memory;
             CREATE FOREIGN TABLE thing (
                 id uuid OPTIONS (field 'id'), name text OPTIONS (field 'name'),
                 parent uuid OPTIONS (field 'parent'), modified timestamptz OPTIONS (field 'modified', updatable 'false', insertable 'false')
             ) SERVER memory OPTIONS (object 'thing')",
        )
        .unwrap();
        let mut before = None;
        for digit in 'a'..='f' {
            let parent = before.map(id);
            let fields = [
                ("name", Some(&*digit.to_string())),
                ("parent", parent.as_deref()),
            ]
            .map(|(name, value): (&str, Option<&str>)| (name, value.map(str::to_owned)));
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (*name, value.as_deref()))
                .collect();
            crm().put(&id(digit), &fields);
            before = Some(digit);
        }
        crm().take_asked();
    }

    /// The one text that a query gives.
    fn text(query: &str) -> String {
        Spi::get_one::<String>(query).unwrap().unwrap_or_default()
    }

    /// A query's names in one text, and what the CRM was asked for them.
    fn asked(query: &str) -> (String, Vec<String>) {
        let names =
            format!("SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM ({query}) AS q");
        let names = text(&names);
        (names, crm().take_asked())
    }

    fn explained(query: &str) -> String {
        let lines = Spi::connect(|client| {
            let rows = client.select(&format!("EXPLAIN (VERBOSE, COSTS OFF) {query}"), None, &[]);
            let lines = rows
                .unwrap()
                .map(|row| row.get::<String>(1).unwrap().unwrap());
            lines.collect::<Vec<_>>()
        });
        lines.join("\n")
    }

    #[pg_test]
    fn records_are_fetched_by_uuid() {
        things();
        Spi::run("CREATE TABLE wanted AS SELECT repeat(d, 32)::uuid AS crm_id, d FROM unnest(ARRAY['a', 'c', 'e', 'f', '0']) AS d; ANALYZE wanted").unwrap();
        let (a, c) = (id('a'), id('c'));
        for (condition, names, calls) in [
            (format!("id = '{a}'"), "a", "1 identifiers"),
            (
                format!("id = '{{{}}}'", a.to_uppercase()),
                "a",
                "1 identifiers",
            ),
            (
                format!("id IN ('{a}', '{c}', '{a}')"),
                "a c",
                "2 identifiers",
            ),
            (
                format!("id = ANY (ARRAY['{a}', '{c}']::uuid[])"),
                "a c",
                "2 identifiers",
            ),
            (
                "id = ANY (ARRAY(SELECT crm_id FROM wanted))".into(),
                "a c e f",
                "5 identifiers",
            ),
            (
                "id = (SELECT crm_id FROM wanted WHERE d = 'c')".into(),
                "c",
                "1 identifiers",
            ),
        ] {
            let found = asked(&format!("SELECT name FROM thing WHERE {condition}"));
            assert_eq!(
                found,
                (names.to_owned(), vec![calls.to_owned()]),
                "{condition}"
            );
        }
        assert!(
            explained(&format!("SELECT name FROM thing WHERE id = '{c}'"))
                .contains(&format!("the records {c}"))
        );
        for ids in [
            format!("ARRAY['{}', 'nonsense', NULL]", a.to_uppercase()),
            format!("ARRAY['{a}']::uuid[]"),
            format!("'{{{a},{{{c}}}}}'").replace(&format!(",{{{c}}}"), ""),
        ] {
            let found = asked(&format!("SELECT name FROM crm.fetch(NULL::thing, {ids})"));
            assert_eq!(found, ("a".into(), vec!["1 identifiers".into()]), "{ids}");
        }
        let none = asked("SELECT name FROM crm.fetch(NULL::thing, '{}')");
        assert_eq!(none, (String::new(), Vec::new()));
    }

    #[pg_test]
    fn a_join_on_a_uuid_collects_identifiers() {
        things();
        Spi::run("CREATE TABLE wanted AS SELECT repeat(d, 32)::uuid AS crm_id, repeat(d, 32) AS digits FROM unnest(ARRAY['a', 'c', 'e', 'f', '0', 'a']) AS d; INSERT INTO wanted VALUES (NULL, NULL); ANALYZE wanted").unwrap();
        for (query, names, calls) in [
            (
                "SELECT t.name FROM wanted w JOIN thing t ON t.id = w.crm_id",
                "a a c e f",
                2,
            ),
            (
                "SELECT t.name FROM wanted w JOIN thing t ON t.id = w.digits::uuid",
                "a a c e f",
                2,
            ),
            (
                "SELECT coalesce(t.name, '-') AS name FROM wanted w LEFT JOIN thing t ON t.id = w.crm_id",
                "- - a a c e f",
                2,
            ),
            (
                "SELECT digits AS name FROM wanted w WHERE NOT EXISTS (SELECT FROM thing t WHERE t.id = w.crm_id) AND digits IS NOT NULL",
                "00000000000000000000000000000000",
                2,
            ),
            (
                "SELECT name FROM thing WHERE id IN (SELECT crm_id FROM wanted)",
                "a c e f",
                2,
            ),
        ] {
            assert!(explained(query).contains("CrmLookupJoin"), "{query}");
            let (found, calls_made) = asked(query);
            assert_eq!(found, names, "{query}");
            assert_eq!(calls_made.len(), calls, "{query}: {calls_made:?}");
        }
    }

    #[pg_test]
    fn another_uuid_is_compared_remotely_only_when_asked_for() {
        things();
        let query = format!("SELECT name FROM thing WHERE parent = '{}'", id('a'));
        assert!(
            explained(&query).contains("identifiers are compared only with pushdown 'extended'")
        );
        assert_eq!(asked(&query), ("b".into(), vec!["everything".into()]));
        Spi::run("ALTER FOREIGN TABLE thing OPTIONS (ADD pushdown 'extended')").unwrap();
        assert_eq!(asked(&query), ("b".into(), vec!["a filter".into()]));
        let two = format!(
            "SELECT name FROM thing WHERE parent IN ('{}', '{}')",
            id('a'),
            id('c')
        );
        assert_eq!(asked(&two), ("b d".into(), vec!["a filter".into()]));
    }

    #[pg_test]
    fn rows_are_written_under_their_uuid() {
        things();
        let (a, b) = (id('a'), id('b'));
        Spi::run(&format!(
            "UPDATE thing SET name = 'A', parent = '{b}' WHERE id = '{a}'"
        ))
        .unwrap();
        assert_eq!(crm().take_asked(), ["update 1"], "nothing is read first");
        assert_eq!(crm().name_of(&a), Some("A"));
        let made = text("INSERT INTO thing (name) VALUES ('new') RETURNING id::text");
        assert_eq!(
            crm().name_of(&made),
            Some("new"),
            "the CRM took the identifier chosen here"
        );
        // An identifier that the user gives changes that record, or makes it.
        let given = id('9');
        let both = format!(
            "WITH written AS (INSERT INTO thing (id, name) VALUES ('{given}', 'nine'), ('{b}', 'B') RETURNING id, name, parent)
             SELECT string_agg(concat_ws(' ', id, name, parent), ', ' ORDER BY name) FROM written"
        );
        assert_eq!(text(&both), format!("{b} B {a}, {given} nine"));
        assert_eq!(crm().name_of(&b), Some("B"));
        let gone = format!(
            "WITH gone AS (DELETE FROM thing WHERE id = ANY ('{{{a},{b}}}') RETURNING id) SELECT count(*)::text FROM gone"
        );
        assert_eq!(text(&gone), "2");
        assert_eq!(crm().name_of(&a), None);
    }

    #[pg_test]
    fn a_refused_record_is_sent_again_by_its_uuid() {
        things();
        Spi::run("ALTER FOREIGN TABLE thing OPTIONS (ADD process_rejects 'true')").unwrap();
        let lost = id('7');
        Spi::run(&format!(
            "UPDATE thing SET name = 'x' WHERE id = '{lost}'; DELETE FROM thing WHERE id = '{lost}'"
        ))
        .unwrap();
        assert_eq!(
            text(
                "SELECT string_agg(operation || ' ' || remote_id, ', ' ORDER BY reject_id) FROM crm.rejects"
            ),
            format!("update {lost}, delete {lost}")
        );
        crm().put(&lost, &[("name", Some("7"))]);
        assert_eq!(
            text(
                "SELECT string_agg(retried_operation || ' ' || accepted, ', ') FROM crm.retry_rejects()"
            ),
            "update 1, delete 1"
        );
        assert_eq!(crm().name_of(&lost), None);
    }

    /// Runs a sync and gives its counts, what the CRM was asked and the names in the target.
    fn synced(options: &str) -> (String, Vec<String>, String) {
        let counts = text(&format!(
            "DO $$ DECLARE i bigint; u bigint; s bigint; d bigint; c bigint; BEGIN
                 CALL crm.sync('thing', 'copy', inserted => i, updated => u, unchanged => s, deleted => d, calls => c{options});
                 PERFORM set_config('test.counts', format('%s %s %s %s', i, u, s, d), false);
             END $$; SELECT current_setting('test.counts')"
        ));
        let asked = crm().take_asked();
        (
            counts,
            asked,
            text("SELECT string_agg(name, ' ' ORDER BY name) FROM copy"),
        )
    }

    #[pg_test]
    fn a_sync_goes_by_change_token() {
        things();
        let token = "SELECT value FROM crm.option WHERE name LIKE 'CHANGETOKEN%'";
        let strings = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            synced(""),
            (
                "6 0 0 0".into(),
                strings(&["changes since None"]),
                "a b c d e f".into()
            )
        );
        assert_eq!(text(token), "6");
        assert_eq!(
            synced(""),
            (
                "0 0 0 0".into(),
                strings(&["changes since Some(6)"]),
                "a b c d e f".into()
            )
        );
        // Changed, written without a change, new, deleted, deleted and made again.
        crm().put(&id('a'), &[("name", Some("A"))]);
        crm().put(&id('9'), &[("name", Some("9"))]);
        crm().delete(&id('b'));
        crm().delete(&id('c'));
        crm().put(&id('c'), &[("name", Some("C"))]);
        let (counts, asked, names) = synced("");
        assert_eq!(
            (counts.as_str(), names.as_str()),
            ("1 2 0 1", "9 A C d e f")
        );
        assert_eq!(asked, strings(&["changes since Some(6)", "1 identifiers"]));
        // The copy of a record that was changed twice is the last one.
        crm().put(&id('d'), &[("name", Some("D1"))]);
        crm().put(&id('d'), &[("name", Some("D2"))]);
        assert_eq!(synced("").2, "9 A C D2 e f");
        // Not to be deleted now is not to be forgotten.
        crm().delete(&id('e'));
        assert_eq!(synced(", deletes => false").2, "9 A C D2 e f");
        assert_eq!(synced("").2, "9 A C D2 f");
    }

    #[pg_test]
    fn a_token_that_has_expired_or_is_gone_means_reading_everything() {
        things();
        synced("");
        crm().delete(&id('a'));
        crm().put(&id('b'), &[("name", Some("B"))]);
        crm().oldest_token = 100;
        // The last token is refused; one for everything is not.
        let (counts, asked, names) = synced("");
        assert_eq!((counts.as_str(), names.as_str()), ("0 1 4 1", "B c d e f"));
        assert_eq!(asked[..2], ["changes since Some(6)", "changes since None"]);
        crm().oldest_token = 0;
        for forget in [
            "DELETE FROM crm.option WHERE name LIKE 'CHANGETOKEN%'",
            "DELETE FROM crm.option WHERE name LIKE 'LASTIMPORT%'",
        ] {
            Spi::run(forget).unwrap();
            assert_eq!(synced("").1, ["changes since None"], "{forget}");
        }
        Spi::run("ALTER FOREIGN TABLE thing ADD COLUMN again text OPTIONS (field 'name'); ALTER TABLE copy ADD COLUMN again text").unwrap();
        assert_eq!(
            synced("").1,
            ["changes since None"],
            "all records for a new column"
        );
        assert_eq!(synced("").1, ["changes since Some(8)"]);
        // A mark that was set back is obeyed, and what has gone since is known by the log.
        Spi::run(
            "UPDATE crm.option SET value = '2024/01/01 00:00:01' WHERE name LIKE 'LASTIMPORT%'",
        )
        .unwrap();
        assert_eq!(
            synced("").1[0],
            "everything",
            "this CRM cannot filter by time"
        );
    }

    #[pg_test]
    fn an_untracked_object_goes_by_its_modification_field() {
        things();
        crm().is_untracked = true;
        assert_eq!(synced("").1, ["everything"]);
        crm().put(&id('a'), &[("name", Some("A"))]);
        crm().delete(&id('b'));
        let (counts, asked, names) = synced("");
        assert_eq!(names, "A c d e f");
        assert!(counts.ends_with(" 1"), "{counts}");
        assert_eq!(asked[..2], ["everything", "deletions"]);
        assert_eq!(
            text("SELECT count(*)::text FROM crm.option WHERE name LIKE 'CHANGETOKEN%'"),
            "0"
        );
    }
}
