//! The clock and the trash, which speak in the zone of the service's user.

use crm_core::{
    CallStats, Deletions, ErrorKind, MICROS_PER_DAY, MICROS_PER_SECOND, format_instant_seconds,
    parse_instant,
};
use serde_json::json;
use std::sync::Arc;

use crate::company::Company;
use crate::written::{accepted, find, titled, write};

const MINUTE: i64 = 60 * MICROS_PER_SECOND;

async fn deleted(
    session: &Arc<dyn crm_core::Session>,
    object: &str,
    start: i64,
    end: i64,
) -> Deletions {
    let stats = CallStats::default();
    session.deleted(object, start, end, &stats).await.unwrap()
}

async fn contacts(
    company: &Company,
    session: &Arc<dyn crm_core::Session>,
    n: usize,
) -> Vec<String> {
    let mut ids = Vec::new();
    for start in (0..n).step_by(20) {
        let titles = vec!["Gone"; (n - start).min(20)];
        ids.extend(accepted(&write(session, &titled(&titles)).await));
    }
    assert_eq!(find(company, "JobTitle", "Gone").await.len(), n);
    ids
}

async fn delete(company: &Company, id: &str, at: i64) {
    let at = format_instant_seconds(at).unwrap();
    let change = json!({"object": "Contact", "ids": [id], "delete": "bin", "at": at});
    company.admin.change(change).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_and_the_trash_are_right_in_every_zone() {
    let company = Company::start(10).await;
    let ids = contacts(&company, &company.session(&[]), 24).await;
    let utc = company
        .session(&[])
        .clock(&CallStats::default())
        .await
        .unwrap();
    let mut base = utc;
    for (zone, option, ids) in [
        ("(GMT-06:00) Central Time (US & Canada)", None, &ids[..4]),
        // The option names another zone than the user's: the clock decides.
        (
            "(GMT-06:00) Central Time (US & Canada)",
            Some("Asia/Kolkata"),
            &ids[4..8],
        ),
        (
            "(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London",
            None,
            &ids[8..12],
        ),
        ("(GMT) Coordinated Universal Time", None, &ids[12..16]),
        (
            "(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
            None,
            &ids[16..20],
        ),
        (
            "(GMT+05:30) Calcutta, Chennai, Mumbai, New Delhi",
            None,
            &ids[20..],
        ),
    ] {
        company.set(json!({"time_zone": zone})).await;
        let options: Vec<_> = option
            .map(|option| ("time_zone", option))
            .into_iter()
            .collect();
        let session = company.session(&options);
        let now = session.clock(&CallStats::default()).await.unwrap();
        assert!((now - utc).abs() < 2 * MINUTE, "{zone}");
        // Each zone has an hour of its own. In another season its clock may be otherwise.
        base -= 60 * MINUTE;
        let half_a_year_ago = base - 182 * MICROS_PER_DAY;
        let moments = [
            half_a_year_ago,
            base - 10 * MINUTE,
            base - 5 * MINUTE,
            base - 2 * MINUTE,
        ];
        for (id, at) in ids.iter().zip(moments) {
            delete(&company, id, at).await;
        }
        for (at, id) in moments.iter().zip(ids) {
            let second = at - at.rem_euclid(MICROS_PER_SECOND);
            let told = deleted(&session, "Contact", second, second).await;
            assert_eq!(told.records.len(), 1, "{zone} {option:?}");
            assert_eq!(&told.records[0].id, id);
            assert_eq!(told.records[0].deleted_at, Some(second));
            assert!(told.records[0].deleted_by.is_some());
        }
        let told = deleted(&session, "Contact", base - 10 * MINUTE, base - 3 * MINUTE).await;
        let told: Vec<_> = told
            .records
            .iter()
            .map(|record| record.id.clone())
            .collect();
        assert_eq!(told, ids[1..3], "{zone} {option:?}");
        let none = deleted(&session, "Account", base - 10 * MINUTE, base).await;
        assert!(none.records.is_empty() && none.incomplete.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_while_the_clock_was_put_back_is_found() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    let ids = contacts(&company, &session, 4).await;
    // In Chicago half past one comes twice on this night, and half past two never in spring.
    let moments = [
        "2024-11-03T06:30:00Z",
        "2024-11-03T07:30:00Z",
        "2024-03-10T07:59:59Z",
        "2024-03-10T08:00:00Z",
    ]
    .map(|text| parse_instant(text).unwrap());
    for (id, at) in ids.iter().zip(moments) {
        delete(&company, id, at).await;
    }
    for (id, at) in ids.iter().zip(moments) {
        let told = deleted(&session, "Contact", at, at).await;
        assert!(told.records.iter().any(|record| &record.id == id), "{id}");
        assert!(told.incomplete.unwrap().contains("30 days"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trash_of_many_pages_is_read_to_its_end() {
    let company = Company::start(10).await;
    let session = company.session(&[("auth", "ws_security")]);
    let now = session.clock(&CallStats::default()).await.unwrap();
    let ids = contacts(&company, &session, 240).await;
    for (n, id) in ids.iter().enumerate() {
        delete(&company, id, now - (600 - n as i64) * MICROS_PER_SECOND).await;
    }
    let stats = CallStats::default();
    let told = session
        .deleted("Contact", now - 20 * MINUTE, now, &stats)
        .await
        .unwrap();
    let told: Vec<_> = told.records.into_iter().map(|record| record.id).collect();
    assert_eq!(told, ids);
    assert_eq!(stats.data_calls(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_without_deletions_and_names_that_are_none_are_told_apart() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    let stats = CallStats::default();
    let user = session
        .deleted("User", 0, MINUTE, &stats)
        .await
        .unwrap_err();
    assert_eq!(user.kind(), ErrorKind::NotSupported, "{user:?}");
    assert_eq!(stats.calls(), 0);
    let none = session
        .deleted("NoSuchObject", 0, MINUTE, &stats)
        .await
        .unwrap_err();
    assert_eq!(none.kind(), ErrorKind::ObjectUnknown, "{none:?}");
}
