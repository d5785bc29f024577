//! What changed and what was deleted since a moment, the clock behind it, and pages after writes.

use crate::common::{V, World, code, world};
use chrono::{DateTime, TimeDelta, Utc};
use crm_sandbox::Config;
use reqwest::Method;
use serde_json::{Value, json};

impl World {
    /// The server's clock.
    async fn now(&self) -> DateTime<Utc> {
        let answer = self.admin(Method::GET, "/clock", None).await;
        DateTime::from_timestamp(answer["now"].as_i64().expect("seconds"), 0).expect("a moment")
    }

    async fn move_clock(&self, seconds: i64) {
        self.admin(Method::POST, "/clock", Some(json!({"offset_s": seconds})))
            .await;
    }

    async fn span(
        &self,
        what: &str,
        object: &str,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
    ) -> (u16, Value) {
        let text = |moment: DateTime<Utc>| moment.format("%Y-%m-%dT%H%%3A%M%%3A%SZ").to_string();
        let path = format!(
            "/sobjects/{object}/{what}/?start={}&end={}",
            text(start),
            text(end)
        );
        self.api(Method::GET, &path, None).await
    }
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn moment(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().expect("a moment").replace("+0000", "Z");
    DateTime::parse_from_rfc3339(&text)
        .expect("a moment")
        .to_utc()
}

#[tokio::test]
async fn deletions_are_told_until_the_log_forgets_them() {
    let world = world(Config {
        contacts: 100,
        ..Config::default()
    })
    .await;
    // To the middle of a minute, so that no test step crosses one.
    let now = world.now().await.timestamp();
    world.move_clock(30 - now % 60).await;
    let born = world.now().await;
    let id = world
        .create("Contact", json!({"LastName": "Short-lived"}))
        .await;
    world.move_clock(30 - now % 60 + 120).await;
    let deleted_at = world.now().await;
    world
        .api(Method::DELETE, &format!("/sobjects/Contact/{id}"), None)
        .await;
    world
        .admin(
            Method::POST,
            "/records",
            Some(json!({"object": "Contact", "first": 2, "delete": "erased"})),
        )
        .await;
    let end = deleted_at + minutes(2);
    let (status, answer) = world.span("deleted", "Contact", born, end).await;
    assert_eq!(status, 200, "{answer}");
    let records = answer["deletedRecords"].as_array().unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(records[0]["id"], id);
    let told = moment(&records[0]["deletedDate"]);
    assert!((told - deleted_at).num_seconds().abs() <= 5 && told >= deleted_at);
    // Covered as far as the clock, in whole minutes.
    assert_eq!(moment(&answer["latestDateCovered"]).timestamp() % 60, 0);
    assert!(moment(&answer["latestDateCovered"]) <= deleted_at);
    assert!(moment(&answer["earliestDateAvailable"]) < born);
    // The ends are cut to minutes: a span that ends within the minute of a deletion leaves it out.
    let (_, answer) = world.span("deleted", "Contact", born, deleted_at).await;
    assert_eq!(answer["deletedRecords"], json!([]));
    // queryAll sees the recycle bin, not what was removed for good.
    let counts = world
        .admin(Method::GET, "/record_count?object=Contact", None)
        .await;
    assert_eq!(counts["erased"], 2);

    let (_, updated) = world.span("updated", "Contact", born, end).await;
    assert_eq!(updated["ids"], json!([]));
    world
        .admin(
            Method::POST,
            "/records",
            Some(json!({"object": "Contact", "ids": [id], "undelete": true})),
        )
        .await;
    let (_, answer) = world.span("deleted", "Contact", born, end).await;
    assert_eq!(answer["deletedRecords"].as_array().unwrap().len(), 2);
    let (_, updated) = world.span("updated", "Contact", born, end).await;
    assert_eq!(updated["ids"], json!([id]));

    // A log that lags, and one that was purged.
    world
        .admin(
            Method::POST,
            "/deletion_log",
            Some(json!({"covered_lag_s": 180})),
        )
        .await;
    let (_, answer) = world.span("deleted", "Contact", born, end).await;
    assert_eq!(answer["deletedRecords"], json!([]));
    assert!(moment(&answer["latestDateCovered"]) <= deleted_at - minutes(2));
    world
        .admin(Method::POST, "/deletion_log", Some(json!({"reach_s": 0})))
        .await;
    let (_, answer) = world.span("deleted", "Contact", born, end).await;
    assert!(moment(&answer["earliestDateAvailable"]) > born);
    world
        .admin(Method::POST, "/deletion_log", Some(json!({"max_ids": 1})))
        .await;
    let (status, answer) = world.span("deleted", "Contact", born, end).await;
    assert_eq!((status, code(&answer)), (400, "EXCEEDED_ID_LIMIT"));
    world
        .admin(Method::POST, "/deletion_log", Some(json!({})))
        .await;

    // Fifteen days on the log is silent, after thirty the question is refused.
    world.move_clock(16 * 86_400).await;
    let (status, answer) = world.span("deleted", "Contact", born, end).await;
    assert_eq!((status, &answer["deletedRecords"]), (200, &json!([])));
    let (_, updated) = world.span("updated", "Contact", born, end).await;
    assert_eq!(updated["ids"], json!([id]));
    world.move_clock(31 * 86_400).await;
    for what in ["deleted", "updated"] {
        let (status, answer) = world.span(what, "Contact", born, end).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_REPLICATION_DATE"));
    }
}

#[tokio::test]
async fn spans_that_make_no_sense_are_refused() {
    let world = world(Config::default()).await;
    let end = world.now().await;
    for (object, start, expected) in [
        ("Contact", end - minutes(1), "INVALID_REPLICATION_DATE"),
        ("Contact", end + minutes(5), "INVALID_REPLICATION_DATE"),
        ("Nope", end - minutes(5), "NOT_FOUND"),
        (
            "UserChangeEvent",
            end - minutes(5),
            "INVALID_TYPE_FOR_OPERATION",
        ),
    ] {
        for what in ["deleted", "updated"] {
            let (_, answer) = world.span(what, object, start, end).await;
            assert_eq!(code(&answer), expected, "{object} {what}");
        }
    }
    for (query, expected) in [
        ("start=yesterday&end=2024-01-01T00:00:00Z", "MALFORMED_DATE"),
        ("end=2024-01-01T00:00:00Z", "MISSING_ARGUMENT"),
    ] {
        let path = format!("/sobjects/Contact/deleted/?{query}");
        let (status, answer) = world.api(Method::GET, &path, None).await;
        assert_eq!((status, code(&answer)), (400, expected));
    }
}

#[tokio::test]
async fn stamps_and_the_date_header_follow_the_clock() {
    let world = world(Config::default()).await;
    world.move_clock(-86_400).await;
    let answer = world
        .send(Method::GET, &format!("{V}/limits"), None)
        .await
        .unwrap();
    let date = answer.headers()["date"].to_str().unwrap();
    let date = DateTime::parse_from_rfc2822(date).unwrap().to_utc();
    assert!((Utc::now() - date).num_hours() >= 23);
    let id = world.create("Account", json!({"Name": "Yesterday"})).await;
    let record = world.fields("Account", &id, "CreatedDate").await;
    assert!((moment(&record["CreatedDate"]) - date).num_seconds().abs() < 60);
    // Half a year on, nothing was made today.
    let of = "Account WHERE CreatedDate = TODAY";
    assert_eq!(world.count(of).await, 1);
    world.move_clock(180 * 86_400).await;
    assert_eq!(world.count(of).await, 0);
}

#[tokio::test]
async fn a_late_commit_becomes_visible_with_an_earlier_stamp() {
    let world = world(Config {
        contacts: 100,
        ..Config::default()
    })
    .await;
    let of = "Contact WHERE Title = 'late'";
    world
        .admin(
            Method::POST,
            "/records",
            Some(json!({
                "object": "Contact", "every": 10, "late": true, "at": "2025-01-02T03:04:05Z",
                "set": {"Title": "late", "Department": "{n}"},
            })),
        )
        .await;
    world
        .admin(
            Method::POST,
            "/records",
            Some(json!({
                "object": "Contact", "late": true, "at": "2025-01-02T03:04:05Z",
                "create": [{"LastName": "Newcomer", "Title": "late"}],
            })),
        )
        .await;
    assert_eq!(world.count(of).await, 0);
    world.admin(Method::POST, "/commit", None).await;
    assert_eq!(world.count(of).await, 11);
    assert_eq!(
        world
            .count(&format!("{of} AND SystemModstamp = 2025-01-02T03:04:05Z"))
            .await,
        11
    );
    assert_eq!(world.count(&format!("{of} AND Department = '9'")).await, 1);
    world.admin(Method::POST, "/commit", None).await;
    assert_eq!(world.count(of).await, 11);
    let found = world
        .admin(
            Method::GET,
            "/find?object=Contact&field=LastName&value=Newcomer",
            None,
        )
        .await;
    assert_eq!(found["ids"].as_array().unwrap().len(), 1);
}

/// Every row of a whole-table query, and how many pages it took.
async fn read_all(world: &World, soql: &str) -> (Vec<Value>, usize) {
    let (_, mut page) = world.query(soql).await;
    let mut records = Vec::new();
    let mut pages = 1;
    loop {
        records.extend(page["records"].as_array().expect("records").iter().cloned());
        match page["nextRecordsUrl"].as_str() {
            Some(next) => page = world.get(next).await.1,
            None => break,
        }
        pages += 1;
    }
    assert_eq!(page["totalSize"], records.len());
    (records, pages)
}

#[tokio::test]
async fn a_table_read_again_shows_what_was_written() {
    for gzip in [false, true] {
        let world = world(Config {
            contacts: 5_000,
            gzip,
            ..Config::default()
        })
        .await;
        let soql = "SELECT Id, LastName, Title, SystemModstamp, Account.Name FROM Contact";
        let (before, pages_before) = read_all(&world, soql).await;
        let id = |at: usize| before[at]["Id"].as_str().unwrap().to_owned();
        let (changed, gone) = (id(3_000), id(1_500));
        let path = format!("/sobjects/Contact/{changed}");
        world
            .api(Method::PATCH, &path, Some(json!({"LastName": "Changed"})))
            .await;
        world
            .api(Method::DELETE, &format!("/sobjects/Contact/{gone}"), None)
            .await;
        let new = world.create("Contact", json!({"LastName": "New"})).await;
        let (after, pages) = read_all(&world, soql).await;
        assert_eq!(after.len(), before.len());
        assert_eq!(pages, pages_before);
        let ids: Vec<&str> = after.iter().map(|r| r["Id"].as_str().unwrap()).collect();
        assert!(!ids.contains(&gone.as_str()));
        assert_eq!(*ids.last().unwrap(), new);
        let other: Vec<&Value> = before
            .iter()
            .filter(|r| r["Id"] != changed && r["Id"] != gone)
            .collect();
        let kept: Vec<&Value> = after
            .iter()
            .filter(|r| r["Id"] != changed && r["Id"] != new)
            .collect();
        assert_eq!(other, kept);
        let found = after.iter().find(|r| r["Id"] == changed).unwrap();
        assert_eq!(found["LastName"], "Changed");

        // Many changes at once, then a parent's name, which every page may show.
        world
            .admin(
                Method::POST,
                "/records",
                Some(json!({"object": "Contact", "every": 3, "set": {"Title": "third"}})),
            )
            .await;
        world
            .admin(
                Method::POST,
                "/records",
                Some(json!({"object": "Contact", "first": 2_200, "delete": "bin"})),
            )
            .await;
        let (after, _) = read_all(&world, soql).await;
        assert_eq!(after.len() as u64, world.count("Contact").await);
        let thirds = after.iter().filter(|r| r["Title"] == "third").count() as u64;
        assert_eq!(thirds, world.count("Contact WHERE Title = 'third'").await);
        let child = after.iter().find(|r| r["Account"].is_object()).unwrap();
        let account = child["Account"]["attributes"]["url"].as_str().unwrap();
        world
            .send(Method::PATCH, account, Some(json!({"Name": "Renamed"})))
            .await
            .unwrap();
        let (after, _) = read_all(&world, soql).await;
        let child = after.iter().find(|r| r["Id"] == child["Id"]).unwrap();
        assert_eq!(child["Account"]["Name"], "Renamed");
    }
}

#[tokio::test]
async fn an_open_locator_goes_on_through_writes() {
    let world = world(Config {
        contacts: 5_000,
        ..Config::default()
    })
    .await;
    let soql = "SELECT Id FROM Contact";
    let (_, first) = world.query(soql).await;
    let next = first["nextRecordsUrl"].as_str().unwrap().to_owned();
    let (_, second) = world.get(&next).await;
    let gone = second["records"][5]["Id"].as_str().unwrap();
    world
        .api(Method::DELETE, &format!("/sobjects/Contact/{gone}"), None)
        .await;
    let (_, again) = world.query(soql).await;
    assert_eq!(again["totalSize"], first["totalSize"].as_u64().unwrap() - 1);
    let (status, second) = world.get(&next).await;
    assert_eq!(status, 200);
    let records = second["records"].as_array().unwrap();
    assert!(records.iter().all(|r| r["Id"] != gone));
    assert_eq!(second["done"], false);
    let mut seen = first["records"].as_array().unwrap().len() + records.len();
    let mut page = second;
    while let Some(next) = page["nextRecordsUrl"].as_str() {
        page = world.get(next).await.1;
        seen += page["records"].as_array().unwrap().len();
    }
    assert_eq!(again["totalSize"], seen);
}
