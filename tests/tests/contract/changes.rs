//! The CRM's clock, and what it tells of deleted records.

use std::sync::Arc;

use crm_core::{
    CallStats, Deletions, ErrorKind, MICROS_PER_DAY, MICROS_PER_SECOND, Result, Session,
    format_instant_millis,
};
use serde_json::json;

use crate::fixture::{Fixture, Remote, all_pages, texts};

crate::for_each_fixture!(
    the_clock_is_the_crms_own,
    deletions_are_listed_to_the_second_at_both_ends,
    a_record_deleted_twice_is_listed_once_with_its_last_deletion,
    objects_whose_deletions_nobody_keeps_are_refused,
);

crate::for_salesforce!(
    what_the_log_does_not_cover_yet_is_told,
    how_far_the_log_reaches_is_told,
    many_deletions_are_asked_for_in_parts,
);

const MINUTE: i64 = 60 * MICROS_PER_SECOND;

async fn clock(session: &Arc<dyn Session>) -> i64 {
    session.clock(&CallStats::default()).await.unwrap()
}

async fn deleted(
    remote: &Remote,
    session: &Arc<dyn Session>,
    start: i64,
    end: i64,
) -> Result<Deletions> {
    let object = remote.fixture.writes.object;
    session
        .deleted(object, start, end, &CallStats::default())
        .await
}

fn ids(deletions: &Deletions) -> Vec<&str> {
    deletions
        .records
        .iter()
        .map(|record| record.id.as_str())
        .collect()
}

/// Identifiers of records that are there.
async fn some(remote: &Remote, session: &Arc<dyn Session>, n: usize) -> Vec<String> {
    let mut query = remote.fixture.records.query();
    query.object = remote.fixture.writes.object.into();
    query.fields.truncate(1);
    let mut ids = texts(&all_pages(session, query, &Arc::default()).await, 0);
    ids.truncate(n);
    ids
}

async fn delete(remote: &Remote, id: &str, at: i64) {
    let at = format_instant_millis(at).unwrap();
    let change =
        json!({"object": remote.fixture.writes.object, "ids": [id], "delete": "bin", "at": at});
    remote.admin.change(change).await;
}

async fn the_clock_is_the_crms_own(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let first = clock(&session).await;
    remote.admin.clock(86_400).await;
    let later = clock(&session).await;
    assert!(
        (MICROS_PER_DAY..MICROS_PER_DAY + MINUTE).contains(&(later - first)),
        "{later} {first}"
    );
}

async fn deletions_are_listed_to_the_second_at_both_ends(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 20).await;
    let session = remote.session(&[]);
    let end = clock(&session).await - 10 * MINUTE;
    let start = end - 90 * MICROS_PER_SECOND;
    let gone = some(&remote, &session, 5).await;
    let moments = [
        start - MICROS_PER_SECOND,
        start,
        end - 7 * MICROS_PER_SECOND,
        end,
        end + MICROS_PER_SECOND,
    ];
    for (id, at) in gone.iter().zip(moments) {
        delete(&remote, id, at).await;
    }
    let deletions = deleted(&remote, &session, start, end).await.unwrap();
    assert_eq!(ids(&deletions), gone[1..4]);
    let told: Vec<_> = deletions
        .records
        .iter()
        .map(|record| record.deleted_at.unwrap())
        .collect();
    assert_eq!(told, moments[1..4]);
    assert_eq!(deletions.covered_until, Some(end));
    assert_eq!(deletions.incomplete, None);
    // A single second is a period too.
    let one = deleted(&remote, &session, end, end).await.unwrap();
    assert_eq!(ids(&one), gone[3..4]);
    let none = deleted(
        &remote,
        &session,
        end - 5 * MICROS_PER_SECOND,
        end - MICROS_PER_SECOND,
    )
    .await
    .unwrap();
    assert!(none.records.is_empty());
}

async fn a_record_deleted_twice_is_listed_once_with_its_last_deletion(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let now = clock(&session).await;
    let id = some(&remote, &session, 1).await.remove(0);
    delete(&remote, &id, now - 5 * MINUTE).await;
    let back = json!({"object": fixture.writes.object, "ids": [id], "undelete": true});
    remote.admin.change(back).await;
    delete(&remote, &id, now - 3 * MINUTE).await;
    let deletions = deleted(&remote, &session, now - 10 * MINUTE, now)
        .await
        .unwrap();
    assert_eq!(ids(&deletions), [id]);
    assert_eq!(deletions.records[0].deleted_at, Some(now - 3 * MINUTE));
}

async fn what_the_log_does_not_cover_yet_is_told(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    remote
        .admin
        .deletion_log(json!({"covered_lag_s": 300}))
        .await;
    let now = clock(&session).await;
    let gone = some(&remote, &session, 2).await;
    delete(&remote, &gone[0], now - 8 * MINUTE).await;
    delete(&remote, &gone[1], now - MINUTE).await;
    let deletions = deleted(&remote, &session, now - 20 * MINUTE, now)
        .await
        .unwrap();
    assert_eq!(ids(&deletions), gone[..1]);
    let covered = deletions.covered_until.unwrap();
    assert!(
        (now - 7 * MINUTE..=now - 4 * MINUTE).contains(&covered),
        "{covered} {now}"
    );
    // Once it does, the deletion shows from there on.
    remote.admin.deletion_log(json!({"covered_lag_s": 0})).await;
    let later = deleted(&remote, &session, covered, now).await.unwrap();
    assert_eq!(ids(&later), gone[1..]);
}

async fn how_far_the_log_reaches_is_told(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let now = clock(&session).await;
    let (most, sure) = fixture.writes.log_days.expect("bounds");
    remote.admin.clear_counters().await;
    let error = deleted(&remote, &session, now - (most + 10) * MICROS_PER_DAY, now)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    assert!(error.message().contains(&most.to_string()), "{error}");
    assert_eq!(remote.admin.all_calls().await, 0);
    let error = deleted(&remote, &session, now, now - MINUTE)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    let long = deleted(&remote, &session, now - (sure + 5) * MICROS_PER_DAY, now)
        .await
        .unwrap();
    assert!(long.incomplete.unwrap().contains(&sure.to_string()));
    let short = deleted(&remote, &session, now - (sure - 5) * MICROS_PER_DAY, now)
        .await
        .unwrap();
    assert_eq!(short.incomplete, None);
    // A log that has been cut says since when it is kept.
    remote.admin.deletion_log(json!({"reach_s": 3_600})).await;
    let cut = deleted(&remote, &session, now - MICROS_PER_DAY, now)
        .await
        .unwrap();
    assert!(cut.incomplete.unwrap().contains("reaches back"));
}

async fn many_deletions_are_asked_for_in_parts(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 200).await;
    let session = remote.session(&[]);
    let now = clock(&session).await;
    let gone = some(&remote, &session, 40).await;
    for (minute, id) in gone.iter().enumerate() {
        delete(&remote, id, now - (60 - minute as i64) * MINUTE).await;
    }
    remote.admin.deletion_log(json!({"max_ids": 7})).await;
    let deletions = deleted(&remote, &session, now - 120 * MINUTE, now - 10 * MINUTE)
        .await
        .unwrap();
    assert_eq!(ids(&deletions), gone);
    assert_eq!(deletions.covered_until, Some(now - 10 * MINUTE));
}

async fn objects_whose_deletions_nobody_keeps_are_refused(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let now = clock(&session).await;
    let stats = CallStats::default();
    if let Some(untracked) = fixture.writes.untracked {
        match session.deleted(untracked, now - MINUTE, now, &stats).await {
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotSupported, "{error:?}"),
            Ok(deletions) => assert!(deletions.incomplete.is_some(), "{deletions:?}"),
        }
    }
    let unknown = session
        .deleted("NoSuchObject__c", now - MINUTE, now, &stats)
        .await;
    match unknown {
        Err(error) => assert_eq!(error.kind(), ErrorKind::ObjectUnknown, "{error:?}"),
        // One log for all objects tells nothing of this one.
        Ok(deletions) => assert!(
            fixture.writes.untracked.is_none() && deletions.records.is_empty(),
            "{deletions:?}"
        ),
    }
}
