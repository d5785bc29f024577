//! Statements against the whole organisation: which are refused with which code, and what the others find.

use super::bind;
use super::eval::{self, Found};
use super::parser;
use crate::generate::Contacts;
use crate::salesforce::errors::ApiError;
use crate::salesforce::organisation;
use crate::salesforce::store::{Cell, Store};

fn store() -> &'static Store {
    static STORE: std::sync::OnceLock<Store> = std::sync::OnceLock::new();
    STORE.get_or_init(|| organisation::build(Contacts::new(1_000, 7)).unwrap())
}

fn run(soql: &str, all: bool) -> Result<Found, ApiError> {
    let plan = bind::bind(&parser::parse(soql)?, store())?;
    eval::run(&plan, store(), all)
}

/// Numbers of the `AllTypes__c` records a condition finds, in the order they come.
fn found(rest: &str) -> Vec<u32> {
    let soql = format!("SELECT Id FROM AllTypes__c {rest}");
    let object = store().by_name("AllTypes__c").unwrap();
    let name = object.field("Name").unwrap();
    match run(&soql, false).unwrap_or_else(|error| panic!("{soql}: {error}")) {
        Found::Records(rows) => rows
            .iter()
            .map(|&row| match object.cell(row, name).as_ref() {
                Cell::Text(text) => text.trim_start_matches("AT-").parse().unwrap(),
                other => panic!("a name is text, not {other:?}"),
            })
            .collect(),
        _ => panic!("{soql} gives no records"),
    }
}

fn count(soql: &str) -> u64 {
    match run(soql, false).unwrap_or_else(|error| panic!("{soql}: {error}")) {
        Found::Count(count) => count,
        Found::Records(rows) => rows.len() as u64,
        Found::Groups(groups) => groups.len() as u64,
    }
}

fn groups(soql: &str) -> Vec<String> {
    match run(soql, false).unwrap_or_else(|error| panic!("{soql}: {error}")) {
        Found::Groups(groups) => groups,
        _ => panic!("{soql} gives no groups"),
    }
}

/// Records outside the recycle bin: 60 less two.
const ALL: usize = 58;

#[test]
fn refused_with_the_code_salesforce_gives() {
    let long = format!(
        "SELECT Id FROM Account WHERE Name = '{}'",
        "x".repeat(4_001)
    );
    let huge = format!(
        "SELECT Id FROM Account WHERE Name = ''{}",
        " ".repeat(100_000)
    );
    let deep = format!(
        "SELECT Id FROM Account WHERE {}Name = 'a'{}",
        "(".repeat(200),
        ")".repeat(200)
    );
    for (soql, code) in [
        (
            "SELECT Id FROM Account WHERE Name = 'a' AND Fax = 'b' OR Phone = 'c'",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a' OR Fax = 'b' AND Phone = 'c'",
            "MALFORMED_QUERY",
        ),
        ("SELECT * FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account WHERE Name = Fax", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Account WHERE Name = \"a\"",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a\\q'",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a\\_b'",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a\\u12'",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id FROM Account WHERE Name = 'a", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Account WHERE Name IS NULL",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name NOT LIKE 'a%'",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue > 1e6",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue > 1,000",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue > null",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name IN ('a', null)",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id FROM Account WHERE Name IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT -1", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account LIMIT 1.5", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account OFFSET 1 LIMIT 1", "MALFORMED_QUERY"),
        ("SELECT DISTINCT Name FROM Account", "MALFORMED_QUERY"),
        ("SELECT Id FROM Account;", "MALFORMED_QUERY"),
        ("SELECT FROM Account", "MALFORMED_QUERY"),
        ("", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Account WHERE CreatedDate > 1699-12-31T23:59:59Z",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Opportunity WHERE CloseDate < 4001-01-01",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Opportunity WHERE CloseDate = 2023-02-30",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > 2024-01-01T00:00:00 01:00",
            "MALFORMED_QUERY",
        ),
        (&long, "MALFORMED_QUERY"),
        (&huge, "MALFORMED_QUERY"),
        (&deep, "QUERY_TOO_COMPLICATED"),
        ("SELECT Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Nope", "INVALID_FIELD"),
        ("SELECT Id, Name, iD FROM Account", "INVALID_FIELD"),
        ("SELECT Nope.Name FROM Account", "INVALID_FIELD"),
        ("SELECT Owner.Nope FROM Account", "INVALID_FIELD"),
        ("SELECT Related__r.Phone FROM AllTypes__c", "INVALID_FIELD"),
        (
            "SELECT Id FROM Account WHERE Description = 'a'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account ORDER BY Description",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Secret__c = 'a'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Any__c = 'a'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Body__c = 'a'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM AllTypes__c ORDER BY Multi__c",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue = '5'",
            "INVALID_FIELD",
        ),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = TRUE", "INVALID_FIELD"),
        (
            "SELECT Id FROM Account WHERE IsDeleted = 'false'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE IsDeleted = 0",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > 2024-01-01",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE CreatedDate > '2024-01-01T00:00:00Z'",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Opportunity WHERE CloseDate = 2024-01-01T00:00:00Z",
            "INVALID_FIELD",
        ),
        (
            "SELECT Id FROM Account WHERE Id = 'x'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM Account WHERE OwnerId IN ('0055x0000000001AAB')",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM Account WHERE IsDeleted > TRUE",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM Account WHERE AnnualRevenue LIKE '5%'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Multi__c > 'A'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Pick__c INCLUDES ('A')",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        (
            "SELECT Id FROM AllTypes__c WHERE Address__c = 'A'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        (
            "SELECT Id FROM UserChangeEvent",
            "INVALID_TYPE_FOR_OPERATION",
        ),
        ("SELECT Id FROM Vote", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Account LIMIT 1 OFFSET 2001",
            "NUMBER_OUTSIDE_VALID_RANGE",
        ),
        ("SELECT COUNT(), Id FROM Account", "MALFORMED_QUERY"),
        (
            "SELECT COUNT() FROM Account ORDER BY Name",
            "MALFORMED_QUERY",
        ),
        ("SELECT Name, COUNT(Id) FROM Account", "MALFORMED_QUERY"),
        ("SELECT COUNT(Id) FROM Account LIMIT 5", "MALFORMED_QUERY"),
        ("SELECT SUM(Name) FROM Account", "MALFORMED_QUERY"),
        (
            "SELECT Description, COUNT(Id) FROM Account GROUP BY Description",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Type, COUNT(Id) FROM Account GROUP BY Type ORDER BY Name",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id, COUNT(Name) FROM Contact GROUP BY Id",
            "EXCEEDED_ID_LIMIT",
        ),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT Id FROM Account)",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name IN (SELECT AccountId FROM Contact)",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Name = 'a' OR Id IN (SELECT AccountId FROM Contact)",
            "MALFORMED_QUERY",
        ),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact) AND Id IN (SELECT AccountId FROM Opportunity) AND Id IN (SELECT AccountId FROM Contact)",
            "EXCEEDED_MAX_SEMIJOIN_SUBSELECTS",
        ),
    ] {
        let start: String = soql.chars().take(90).collect();
        match run(soql, false) {
            Err(error) => {
                assert_eq!(error.code, code, "{start}: {}", error.message);
                assert_eq!(error.status, 400, "{start}");
            }
            Ok(_) => panic!("{start} is accepted"),
        }
    }
}

#[test]
fn accepted_forms() {
    for soql in [
        "select id from account",
        "SELECT a.Id, a.Owner.Name FROM Account a WHERE a.Name != null",
        "SELECT Account.Id FROM Account",
        "SELECT Id FROM Account WHERE ((Name = 'a') AND (Fax = 'b' OR Fax = 'c'))",
        "SELECT Id FROM Account WHERE (NOT (Name = 'a')) AND NOT Fax = 'b'",
        "SELECT Id FROM Account WHERE Name <> 'a' AND Name NOT IN ('b', 'c')",
        "SELECT Id FROM Account WHERE Name = 'it\\'s \\\\ \\n \\u00e9 \\\"'",
        "SELECT Id FROM Account WHERE Name LIKE '100\\%\\_%'",
        "SELECT Id FROM Account WHERE AnnualRevenue >= -10.50 AND NumberOfEmployees < +5",
        "SELECT Id FROM Account WHERE CreatedDate >= 2024-01-01T00:00:00+01:00",
        "SELECT Id FROM Account WHERE CreatedDate >= 2024-01-01T00:00:00.123Z",
        "SELECT Id FROM Account WHERE CreatedDate = LAST_N_DAYS:30",
        "SELECT Id FROM Account WHERE CreatedDate > 1700-01-01T00:00:00Z AND CreatedDate < 4000-12-31T00:00:00Z",
        "SELECT Id FROM AllTypes__c WHERE Time__c > 12:00:00.000Z",
        "SELECT Id FROM Account WHERE IsDeleted = FALSE ORDER BY Name ASC NULLS LAST, Id DESC LIMIT 5 OFFSET 2000",
        "SELECT COUNT() FROM Account WHERE Name LIKE 'a%' LIMIT 5",
        "SELECT COUNT(Id) c, MIN(CreatedDate), COUNT_DISTINCT(Type) FROM Account",
        "SELECT Type t, COUNT(Id) FROM Account GROUP BY Type HAVING COUNT(Id) > 1 ORDER BY COUNT(Id) DESC LIMIT 3",
        "SELECT Id FROM Vote WHERE Id = '0835x0000000001AAA'",
    ] {
        if let Err(error) = run(soql, false) {
            panic!("{soql}: {error}");
        }
    }
}

#[test]
fn text_compares_without_case_unless_the_field_says_otherwise() {
    assert_eq!(found("WHERE Text__c = 'aCmE'"), [50, 51, 52]);
    assert_eq!(found("WHERE Text__c = 'äcme'"), [54]);
    assert_eq!(found("WHERE ExternalId__c = 'Key-2'"), [2]);
    assert_eq!(found("WHERE ExternalId__c = 'KEY-2'"), [1]);
    assert_eq!(found("WHERE ExternalId__c = 'key-2'"), [0; 0]);
    assert_eq!(found("WHERE Name = 'at-0007'"), [7]);
}

#[test]
fn negations_are_the_exact_opposite_nulls_included() {
    for condition in [
        "Text__c = 'acme'",
        "Text__c IN ('acme', 'äcme')",
        "Text__c LIKE '%a%'",
        "Number__c > 10",
        "Multi__c INCLUDES ('A;B', 'C')",
        "Multi__c = 'A;B'",
        "Date__c < 2000-01-01",
        "Account__r.Name LIKE 'Z%'",
        "Check__c = TRUE",
    ] {
        let positive = found(&format!("WHERE {condition}"));
        let negative = found(&format!("WHERE NOT ({condition})"));
        assert!(!positive.is_empty() && !negative.is_empty(), "{condition}");
        assert_eq!(positive.len() + negative.len(), ALL, "{condition}");
        assert!(
            negative.contains(&60) || condition.contains("Check"),
            "{condition}"
        );
    }
    for (equal, unequal) in [
        ("Text__c = 'acme'", "Text__c != 'acme'"),
        ("Pick__c = 'hot'", "Pick__c <> 'hot'"),
        ("Pick__c IN ('hot')", "Pick__c NOT IN ('hot')"),
        ("Multi__c INCLUDES ('A')", "Multi__c EXCLUDES ('A')"),
        ("Date__c = 2024-02-29", "Date__c != 2024-02-29"),
        ("Int__c = 17", "Int__c != 17"),
    ] {
        let sum = found(&format!("WHERE {equal}")).len() + found(&format!("WHERE {unequal}")).len();
        assert_eq!(sum, ALL, "{equal}");
    }
}

#[test]
fn nulls_and_the_empty_string_are_one() {
    let nulls = found("WHERE Text__c = null");
    assert!(nulls.contains(&53) && nulls.contains(&60));
    assert_eq!(found("WHERE Text__c = ''"), nulls);
    assert_eq!(found("WHERE Text__c != null").len() + nulls.len(), ALL);
    assert!(!found("WHERE Number__c >= -1000000000000").contains(&60));
    assert!(!found("WHERE Number__c < 1000000000000").contains(&60));
    let missing_parent = found("WHERE Account__r.Name = null");
    assert_eq!(missing_parent, found("WHERE Account__c = null"));
    assert!(found("WHERE Account__r.Name = 'nobody' OR Text__c = null").contains(&53));
}

#[test]
fn a_null_boolean_is_false() {
    let checked = found("WHERE Check__c = TRUE");
    assert_eq!(found("WHERE Check__c != null"), checked);
    assert_eq!(
        found("WHERE Check__c = null"),
        found("WHERE Check__c = FALSE")
    );
    assert_eq!(
        found("WHERE Check__c != TRUE"),
        found("WHERE Check__c = FALSE")
    );
}

#[test]
fn like_has_two_wildcards_and_their_escapes() {
    assert_eq!(found("WHERE Text__c LIKE 'ACM_'"), [50, 51, 52]);
    assert_eq!(found("WHERE Text__c LIKE '100\\% sure'"), [55]);
    assert_eq!(found("WHERE Text__c LIKE '100_ sure'"), [55, 56]);
    assert_eq!(found("WHERE Text__c LIKE '100\\_ sure'"), [56]);
    assert_eq!(
        found("WHERE Text__c LIKE 'line one\\nline two\\ttab'"),
        [59]
    );
    assert_eq!(found("WHERE Pick__c LIKE 'hot'"), [0; 0]);
    assert_eq!(
        found("WHERE Pick__c LIKE 'hot lead'"),
        found("WHERE Pick__c = 'hot'")
    );
}

#[test]
fn multi_select_compares_sets() {
    let exact = found("WHERE Multi__c = 'a;b'");
    assert!(!exact.is_empty());
    let both = found("WHERE Multi__c INCLUDES ('A;B')");
    assert!(exact.iter().all(|row| both.contains(row)) && both.len() > exact.len());
    let either = found("WHERE Multi__c INCLUDES ('A;B', 'C')");
    assert!(either.len() > both.len());
    assert!(found("WHERE Multi__c EXCLUDES ('A')").contains(&60));
}

#[test]
fn numbers_compare_exactly() {
    let even = found("WHERE Precise__c = 9007199254740992");
    let odd = found("WHERE Precise__c = 9007199254740993");
    assert!(!even.is_empty() && !odd.is_empty());
    assert!(even.iter().all(|row| !odd.contains(row)));
    assert_eq!(
        found("WHERE Number__c = 300"),
        found("WHERE Number__c = 300.000")
    );
    assert_eq!(
        found("WHERE Number__c = 10000000"),
        (1..ALL as u32 + 2)
            .filter(|n| n % 11 == 9)
            .collect::<Vec<u32>>()
    );
    assert!(!found("WHERE Long__c = 9223372036854775807").is_empty());
}

#[test]
fn dates_and_times_compare_as_points() {
    assert!(!found("WHERE Date__c = 1700-01-01").is_empty());
    assert!(!found("WHERE Date__c = 4000-12-31").is_empty());
    let second = found("WHERE DateTime__c = 2024-01-31T23:59:59Z");
    assert!(second.iter().all(|n| n % 8 == 3) && !second.is_empty());
    let span =
        found("WHERE DateTime__c >= 2024-01-31T23:59:59Z AND DateTime__c < 2024-02-01T00:00:00Z");
    assert!(span.len() > 2 * second.len());
    assert_eq!(
        found("WHERE DateTime__c = 2024-02-01T00:59:59+01:00"),
        second
    );
    assert!(!found("WHERE Time__c = 14:30:00.000Z").is_empty());
    assert_eq!(
        count("SELECT COUNT() FROM Account WHERE CreatedDate < TODAY"),
        count("SELECT COUNT() FROM Account")
    );
}

#[test]
fn ids_match_in_both_lengths() {
    let object = store().by_name("AllTypes__c").unwrap();
    let id = object.id(6);
    assert_eq!(found(&format!("WHERE Id = '{id}'")), [7]);
    assert_eq!(found(&format!("WHERE Id = '{}'", &id[..15])), [7]);
    assert_eq!(found(&format!("WHERE Id > '{id}' LIMIT 1")), [8]);
    assert_eq!(found("WHERE Id = '0015x0000000001AAA'"), [0; 0]);
}

#[test]
fn order_puts_nulls_first_and_text_without_case() {
    let ascending = found("ORDER BY Number__c, Id");
    let descending = found("ORDER BY Number__c DESC, Id");
    let nulls = found("WHERE Number__c = null").len();
    let is_null = |row: &u32| found("WHERE Number__c = null").contains(row);
    assert!(ascending[..nulls].iter().all(is_null));
    assert!(descending[..nulls].iter().all(is_null));
    let last = found("ORDER BY Number__c NULLS LAST, Id");
    assert!(last[ALL - nulls..].iter().all(is_null));
    assert_eq!(
        found("WHERE Text__c = 'acme' ORDER BY Text__c DESC, Id DESC"),
        [52, 51, 50]
    );
    let picks = found("WHERE Pick__c != null ORDER BY Pick__c, Id");
    assert_eq!(picks[0] % 4, 0, "hot is defined first");
    assert_eq!(picks[picks.len() - 1] % 4, 2, "cold is defined last");
}

#[test]
fn windows_cut_what_was_ordered() {
    let all = found("ORDER BY Id");
    assert_eq!(all.len(), ALL);
    assert_eq!(found("ORDER BY Id LIMIT 3"), all[..3]);
    assert_eq!(found("ORDER BY Id LIMIT 3 OFFSET 5"), all[5..8]);
    assert_eq!(found("ORDER BY Id OFFSET 57"), all[57..]);
    assert_eq!(count("SELECT COUNT() FROM AllTypes__c LIMIT 5"), 5);
}

#[test]
fn the_recycle_bin_shows_in_query_all_only() {
    assert_eq!(
        count("SELECT COUNT() FROM AllTypes__c WHERE IsDeleted = TRUE"),
        0
    );
    match run("SELECT Id FROM AllTypes__c WHERE IsDeleted = TRUE", true).unwrap() {
        Found::Records(rows) => assert_eq!(rows.len(), 2),
        _ => panic!("records expected"),
    }
}

#[test]
fn groups_fold_case_and_aggregates_keep_their_form() {
    let texts = groups(
        "SELECT Text__c, COUNT(Id) n FROM AllTypes__c WHERE Text__c = 'acme' GROUP BY Text__c",
    );
    assert_eq!(
        texts,
        [r#"{"attributes":{"type":"AggregateResult"},"Text__c":"Acme","n":3}"#]
    );
    let sums = groups(
        "SELECT SUM(Total__c), MAX(TOTAL__c), COUNT(Text__c), AVG(Percent__c) FROM AllTypes__c WHERE Name IN ('AT-0001', 'AT-0002')",
    );
    assert_eq!(
        sums,
        [
            r#"{"attributes":{"type":"AggregateResult"},"expr0":4.0,"expr1":20.25,"expr2":2,"expr3":56.25}"#
        ]
    );
    let empty = groups("SELECT SUM(Total__c), COUNT(Id) FROM AllTypes__c WHERE Name = 'none'");
    assert_eq!(
        empty,
        [r#"{"attributes":{"type":"AggregateResult"},"expr0":null,"expr1":0}"#]
    );
    let having = groups("SELECT Pick__c FROM AllTypes__c GROUP BY Pick__c HAVING COUNT(Id) > 100");
    assert!(having.is_empty());
}

#[test]
fn generated_records_answer_filters_like_stored_ones() {
    let total =
        count("SELECT COUNT() FROM Contact WHERE Email LIKE 'contact.%@crm-sandbox.example'");
    let nulls = count(
        "SELECT COUNT() FROM Contact WHERE Email = null AND CreatedDate != null AND LastName LIKE '% %'",
    );
    assert!(total > 900 && total < 1_000, "{total}");
    assert!(nulls > 0);
    assert_eq!(
        count("SELECT Id FROM Contact WHERE Email = 'contact.7@crm-sandbox.example'"),
        1
    );
    let joined =
        count("SELECT COUNT() FROM Contact WHERE Account.Name LIKE '%household' AND Score__c > 10");
    assert!(joined > 0);
}
