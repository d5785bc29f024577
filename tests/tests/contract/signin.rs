//! Signing in: in every form, once for all, once more when it ends, never again when it is refused.

use std::sync::Arc;

use crm_core::{CallStats, ErrorKind};
use serde_json::json;

use crate::fixture::{Fixture, Remote, all_pages, distinct, failure, rows, texts};

crate::for_each_fixture!(every_form_signs_in_and_reads,);

crate::for_each_token!(
    a_refusal_is_final,
    a_page_for_people_is_no_sign_in,
    requests_at_once_share_one_sign_in,
    a_token_that_ends_in_the_middle_is_renewed_and_the_page_asked_for_again,
);

crate::for_salesforce!(the_allotment_is_heard_with_each_reply,);

async fn every_form_signs_in_and_reads(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    for sign_in in (fixture.sign_ins)(&remote.sandbox) {
        let auth = sign_in.auth;
        remote.admin.clear_counters().await;
        let session = remote.session_with(sign_in.options);
        assert!(session.signed_in().is_none() && session.usage().is_none());
        let stats = CallStats::default();
        let info = session
            .check(&stats)
            .await
            .unwrap_or_else(|error| panic!("{auth}: {error:?}"));
        assert_eq!(info.auth, auth);
        assert_eq!(info.user, sign_in.user, "{auth}");
        assert!(
            fixture.organisation.contains(&info.organization.as_str()),
            "{info:?}"
        );
        assert_eq!(
            info.host,
            format!("127.0.0.1:{}", remote.sandbox.port),
            "{auth}"
        );
        assert_eq!(session.signed_in().expect("signed in").user, sign_in.user);
        assert_eq!(session.usage().is_some(), fixture.tells_usage, "{auth}");
        if let Some(usage) = session.usage() {
            assert!(usage.used > 0 && usage.allowed > usage.used);
        }
        let reading = Arc::default();
        let pages = all_pages(&session, fixture.records.query(), &reading).await;
        assert!(rows(&pages) > 10);
        assert_eq!(remote.sign_ins().await, sign_in.calls, "{auth}");
        assert_eq!(stats.data_calls(), 0, "{auth}");
        assert_eq!(
            stats.calls() + reading.calls(),
            remote.admin.all_calls().await,
            "{auth}"
        );
    }
}

async fn a_refusal_is_final(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    for options in (fixture.refused)(&remote.sandbox) {
        remote.admin.reset().await;
        let names: Vec<_> = options.iter().map(|option| option.0).collect();
        let session = remote.session_with(options);
        let first = failure(&session, fixture.records.query()).await;
        assert_eq!(first.kind(), ErrorKind::LoginRefused, "{names:?} {first:?}");
        assert!(first.detail().is_some(), "{first:?}");
        assert_eq!(remote.sign_ins().await, 1, "{names:?}");
        remote.keeps_secrets(&first);
        assert!(!format!("{first:?}").contains("TEST-"), "{first:?}");
        let stats = CallStats::default();
        let again = session.check(&stats).await.expect_err("refused");
        assert_eq!(again.detail(), first.detail());
        let other = session.objects(&stats).await.expect_err("refused");
        assert_eq!(other.kind(), ErrorKind::LoginRefused);
        assert_eq!(
            remote.admin.all_calls().await,
            1 + fixture.asks[0],
            "nothing but the one sign-in"
        );
    }
}

/// A proxy, or a host that wants a browser, answers a sign-in with success and HTML.
async fn a_page_for_people_is_no_sign_in(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    remote
        .admin
        .fault(json!({"path": fixture.paths.sign_in, "kind": "html"}))
        .await;
    let session = remote.session(&[]);
    let error = failure(&session, fixture.records.query()).await;
    // A page that says that the service is down is taken at its word.
    assert!(
        matches!(
            error.kind(),
            ErrorKind::Undecodable | ErrorKind::LoginRefused | ErrorKind::ConnectionLost
        ),
        "{error:?}"
    );
    assert!(!error.message().contains('\n'), "{error:?}");
    assert_eq!(remote.sign_ins().await, 1, "the password is sent once");
    assert_eq!(remote.admin.data_calls().await, 0);
    remote.keeps_secrets(&error);
}

async fn requests_at_once_share_one_sign_in(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let all = [(); 8].map(|()| {
        let session = Arc::clone(&session);
        tokio::spawn(async move {
            let pages = all_pages(&session, fixture.records.query(), &Arc::default()).await;
            rows(&pages)
        })
    });
    for one in all {
        assert!(one.await.unwrap() > 10);
    }
    assert_eq!(remote.sign_ins().await, 1);
    // The same when a token ends under all of them.
    remote.admin.expire_tokens().await;
    let all = [(); 8].map(|()| {
        let session = Arc::clone(&session);
        tokio::spawn(async move {
            session
                .objects(&CallStats::default())
                .await
                .map(|o| o.len())
        })
    });
    for one in all {
        assert!(one.await.unwrap().unwrap() > 0);
    }
    assert_eq!(remote.sign_ins().await, 2);
    // And when it is refused to all of them.
    let wrong = (fixture.refused)(&remote.sandbox).swap_remove(0);
    let session = remote.session_with(wrong);
    remote.admin.reset().await;
    let all = [(); 8].map(|()| {
        let session = Arc::clone(&session);
        tokio::spawn(async move {
            session
                .objects(&CallStats::default())
                .await
                .map(|o| o.len())
        })
    });
    for one in all {
        assert_eq!(
            one.await.unwrap().unwrap_err().kind(),
            ErrorKind::LoginRefused
        );
    }
    assert_eq!(remote.sign_ins().await, 1);
}

async fn a_token_that_ends_in_the_middle_is_renewed_and_the_page_asked_for_again(
    fixture: &'static Fixture,
) {
    let remote = Remote::start(fixture, fixture.some_pages()).await;
    let session = remote.session(&[]);
    let query = || fixture.records.query();
    let count = session
        .count(&query(), &CallStats::default())
        .await
        .unwrap();
    remote.admin.clear_counters().await;
    remote
        .admin
        .fault(json!({"path": fixture.paths.next, "kind": "unauthorized", "after": fixture.paths.before_next + 1}))
        .await;
    let stats = Arc::new(CallStats::default());
    let pages = all_pages(&session, query(), &stats).await;
    assert_eq!(distinct(&texts(&pages, 0)) as u64, count);
    assert_eq!(rows(&pages) as u64, count);
    assert_eq!(remote.sign_ins().await, 1);
    let n_pages = count.div_ceil(u64::from(fixture.page_sizes.0));
    assert_eq!(remote.admin.data_calls().await, n_pages + 1);
    assert_eq!(stats.data_calls(), n_pages + 1);
    assert_eq!(stats.calls(), n_pages + 2 + fixture.asks[1]);
    // A new one that is not taken either is the end.
    remote
        .admin
        .fault(json!({"path": fixture.paths.first, "kind": "unauthorized", "times": 0}))
        .await;
    remote.admin.clear_counters().await;
    let error = failure(&session, query()).await;
    assert_eq!(error.kind(), fixture.not_taken, "{error:?}");
    assert_eq!(remote.sign_ins().await, 1);
    assert_eq!(remote.admin.data_calls().await, 2);
    remote.keeps_secrets(&error);
}

async fn the_allotment_is_heard_with_each_reply(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    remote.admin.limits(4_000, 5_000).await;
    all_pages(&session, fixture.records.query(), &Arc::default()).await;
    let usage = session.usage().expect("heard");
    assert_eq!((usage.used, usage.allowed), (4_001, 5_000));
    remote.admin.limits(5_000, 5_000).await;
    let error = failure(&session, fixture.records.query()).await;
    assert_eq!(error.kind(), ErrorKind::AllotmentUsedUp, "{error:?}");
    assert!(error.hint().is_some(), "{error:?}");
}
