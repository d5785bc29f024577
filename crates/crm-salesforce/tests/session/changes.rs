//! The clock, and deletions as the log tells them.

use crate::support::{asked, id, refused, server, session};
use crm_core::{
    CallStats, Deletions, ErrorKind, MICROS_PER_DAY, MICROS_PER_SECOND, Result, parse_instant,
};
use crm_http::testkit::{Answer, Server};

const NOW: &str = "Sun, 06 Nov 2044 08:49:37 GMT";

fn now() -> i64 {
    parse_instant("2044-11-06T08:49:37Z").unwrap()
}

/// Answers carry a date, from which the session learns the vendor's time.
fn dated(answer: Answer) -> Answer {
    answer.header("date", NOW)
}

async fn deleted(server: &Server, start: i64, end: i64) -> Result<Deletions> {
    let (session, stats) = (session(server), CallStats::default());
    session.clock(&stats).await?;
    session.deleted("Contact", start, end, &stats).await
}

fn log(records: &[(usize, &str)], earliest: &str, covered: &str) -> Answer {
    let records: Vec<_> = records
        .iter()
        .map(|(number, at)| format!(r#"{{"id":"{}","deletedDate":"{at}"}}"#, &id(*number)[..15]))
        .collect();
    dated(Answer::new(
        200,
        format!(
            r#"{{"deletedRecords":[{}],"earliestDateAvailable":"{earliest}","latestDateCovered":"{covered}"}}"#,
            records.join(",")
        ),
    ))
}

const EARLY: &str = "2044-10-01T00:00:00.000+0000";

fn at(text: &str) -> i64 {
    parse_instant(text).unwrap()
}

#[tokio::test]
async fn the_clock_is_the_vendors() {
    let told = server(|_, _, _| dated(Answer::new(200, "[]"))).await;
    let stats = CallStats::default();
    assert_eq!(session(&told).clock(&stats).await.unwrap(), now());
    assert_eq!(asked(&told), ["GET /services/data"]);
    let untold = server(|_, _, _| Answer::new(200, "[]").header("date", "soon")).await;
    let error = session(&untold).clock(&stats).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
}

#[tokio::test]
async fn windows_are_widened_to_minutes_and_cut_to_seconds() {
    let second = MICROS_PER_SECOND;
    for (start, end, from, to) in [
        (
            "2044-11-06T08:10:30Z",
            "2044-11-06T08:20:30Z",
            "08%3A10",
            "08%3A21",
        ),
        (
            "2044-11-06T08:10:00Z",
            "2044-11-06T08:20:00Z",
            "08%3A10",
            "08%3A21",
        ),
        (
            "2044-11-06T08:10:30Z",
            "2044-11-06T08:10:30Z",
            "08%3A10",
            "08%3A12",
        ),
    ] {
        let (start, end) = (at(start), at(end));
        let show = |instant: i64| {
            crm_core::format_instant_seconds(instant)
                .unwrap()
                .replace('Z', ".000+0000")
        };
        let records = [
            (1, show(start - second)),
            (2, show(start)),
            (3, show(end)),
            (4, show(end + second)),
        ];
        let server = server(move |_, n, _| match n {
            0 => dated(Answer::new(200, "[]")),
            _ => {
                let records: Vec<_> = records
                    .iter()
                    .map(|(number, at)| (*number, at.as_str()))
                    .collect();
                log(&records, EARLY, "2044-11-06T08:49:00.000+0000")
            }
        })
        .await;
        let deletions = deleted(&server, start, end).await.unwrap();
        let ids: Vec<_> = deletions
            .records
            .iter()
            .map(|record| record.id.clone())
            .collect();
        assert_eq!(ids, [id(2), id(3)]);
        assert_eq!(deletions.covered_until, Some(end));
        assert_eq!(deletions.incomplete, None);
        let day = "2044-11-06T";
        assert_eq!(
            asked(&server)[1],
            format!(
                "GET /services/data/v66.0/sobjects/Contact/deleted/?start={day}{from}%3A00%2B00%3A00&end={day}{to}%3A00%2B00%3A00"
            )
        );
    }
}

#[tokio::test]
async fn too_long_ago_is_refused_without_a_call() {
    let server = server(|seen, _, _| match seen.target.as_str() {
        "/services/data" => dated(Answer::new(200, "[]")),
        _ => refused(
            400,
            "INVALID_REPLICATION_DATE",
            "startDate before org replication enabled date",
        ),
    })
    .await;
    let error = deleted(&server, now() - 31 * MICROS_PER_DAY, now())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    assert!(error.message().contains("30 days"), "{error}");
    assert_eq!(asked(&server).len(), 1);
    // The vendor's own refusal is told in the same words, with its own behind them.
    let error = deleted(&server, now() - MICROS_PER_DAY, now())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    assert!(error.detail().unwrap().contains("enabled date"), "{error}");
    let error = deleted(&server, now(), now() - 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
}

const DESCRIBED: &str = r#"{"name":"Contact","replicateable":true,"fields":[
    {"name":"Id","type":"id"},{"name":"Name","type":"string"},{"name":"IsDeleted","type":"boolean"},
    {"name":"SystemModstamp","type":"datetime"}]}"#;

fn bin(number: usize, at: &str) -> Answer {
    Answer::new(
        200,
        format!(
            r#"{{"totalSize":1,"done":true,"records":[{{"Id":"{}","SystemModstamp":"{at}","Name":"gone"}}]}}"#,
            id(number)
        ),
    )
}

#[tokio::test]
async fn gaps_of_the_log_are_told_and_filled_from_the_bin() {
    for (start, earliest, words) in [
        (now() - 20 * MICROS_PER_DAY, EARLY, "15 days"),
        (
            now() - MICROS_PER_DAY,
            "2044-11-06T00:00:00.000+0000",
            "2044-11-06T00:00:00Z",
        ),
    ] {
        let server = server(move |seen, _, _| {
            let target = seen.target.as_str();
            if target.contains("/deleted/") {
                log(
                    &[(1, "2044-11-06T01:00:00.000+0000")],
                    earliest,
                    "2044-11-06T08:40:00.000+0000",
                )
            } else if target.contains("/describe") {
                Answer::new(200, DESCRIBED)
            } else if target.contains("queryAll") {
                bin(2, "2044-11-05T23:00:00.000+0000")
            } else {
                dated(Answer::new(200, "[]"))
            }
        })
        .await;
        let deletions = deleted(&server, start, now()).await.unwrap();
        assert!(
            deletions.incomplete.as_ref().unwrap().contains(words),
            "{deletions:?}"
        );
        assert_eq!(deletions.covered_until, Some(at("2044-11-06T08:40:00Z")));
        let told: Vec<_> = deletions
            .records
            .iter()
            .map(|record| (record.id.clone(), record.name.as_deref()))
            .collect();
        assert_eq!(told, [(id(2), Some("gone")), (id(1), None)]);
    }
}

#[tokio::test]
async fn objects_without_a_log() {
    let without = |fields: &'static str| {
        server(move |seen, _, _| {
            let target = seen.target.as_str();
            if target.contains("/deleted/") {
                refused(400, "INVALID_TYPE_FOR_OPERATION", "not replicateable")
            } else if target.contains("/describe") {
                Answer::new(
                    200,
                    DESCRIBED
                        .replace("true", "false")
                        .replace("\"IsDeleted\"", fields),
                )
            } else if target.contains("queryAll") {
                bin(2, "2044-11-06T08:00:00.000+0000")
            } else {
                dated(Answer::new(200, "[]"))
            }
        })
    };
    let binned = without("\"IsDeleted\"").await;
    let deletions = deleted(&binned, now() - MICROS_PER_DAY, now())
        .await
        .unwrap();
    assert_eq!(deletions.records.len(), 1);
    assert_eq!(deletions.covered_until, None);
    assert!(deletions.incomplete.unwrap().contains("no deletion log"));
    let nowhere = without("\"Other\"").await;
    let error = deleted(&nowhere, now() - MICROS_PER_DAY, now())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.message().contains("Contact"));
}

#[tokio::test]
async fn windows_with_too_many_deletions_are_halved() {
    let server = server(
        |seen, n, _| match (n, seen.target.contains("start=2044-11-06T00")) {
            (0, _) => dated(Answer::new(200, "[]")),
            (1, _) => refused(400, "EXCEEDED_ID_LIMIT", "too many"),
            (_, true) => log(
                &[(1, "2044-11-06T01:00:00.000+0000")],
                EARLY,
                "2044-11-06T04:00:00.000+0000",
            ),
            _ => log(
                &[(2, "2044-11-06T05:00:00.000+0000")],
                EARLY,
                "2044-11-06T07:59:00.000+0000",
            ),
        },
    )
    .await;
    let deletions = deleted(
        &server,
        at("2044-11-06T00:00:00Z"),
        at("2044-11-06T07:59:59Z"),
    )
    .await
    .unwrap();
    assert_eq!(deletions.records.len(), 2);
    assert_eq!(deletions.covered_until, Some(at("2044-11-06T07:59:00Z")));
    assert_eq!(asked(&server).len(), 4);
    // A minute that holds too many cannot be halved.
    let full = crate::support::server(|_, n, _| match n {
        0 => dated(Answer::new(200, "[]")),
        _ => refused(400, "EXCEEDED_ID_LIMIT", "too many"),
    })
    .await;
    let error = deleted(&full, now(), now()).await.unwrap_err();
    assert_eq!(error.code(), Some("EXCEEDED_ID_LIMIT"));
    assert_eq!(asked(&full).len(), 2);
}
