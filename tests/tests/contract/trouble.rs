//! What a connector does when the network or the CRM does not behave: ask again what is safe, stop at what is wrong,
//! go to no other host, say how much is missing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crm_core::{CallStats, ErrorKind};
use serde_json::{Value, json};

use crate::fixture::{Fixture, Remote, all_pages, distinct, failure, pages, rows, texts};

crate::for_each_fixture!(
    a_page_that_is_lost_is_asked_for_again,
    retry_after_is_waited_for,
    a_reply_that_hangs_ends_with_the_request_timeout,
    trouble_that_lasts_is_an_error_after_the_retries_allowed,
    a_broken_reply_is_an_error_and_not_asked_for_again,
    values_of_other_types_are_rejects_of_a_page,
    no_other_host_is_asked,
    certificates_are_checked,
);

crate::for_salesforce!(
    fewer_records_than_announced_are_told_after_those_that_came,
    a_version_the_crm_gave_up_says_what_to_set,
);

async fn count(remote: &Remote) -> u64 {
    let query = remote.fixture.records.query();
    let session = remote.session(&[]);
    session.count(&query, &CallStats::default()).await.unwrap()
}

/// A path, and how many requests with it pass before.
type Way = (&'static str, u64);

fn first(fixture: &Fixture) -> Way {
    (fixture.paths.first, 0)
}

fn next(fixture: &Fixture) -> Way {
    (fixture.paths.next, fixture.paths.before_next)
}

fn on(fault: &Value, (path, after): Way) -> Value {
    let mut fault = fault.clone();
    fault["path"] = json!(path);
    fault["after"] = json!(after);
    fault
}

async fn a_page_that_is_lost_is_asked_for_again(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, fixture.some_pages()).await;
    let count = count(&remote).await;
    let n_pages = count.div_ceil(u64::from(fixture.page_sizes.0));
    for fault in [
        json!({"kind": "cut", "bytes": 500}),
        json!({"kind": "cut", "bytes": 0}),
        json!({"kind": "lose_reply"}),
        json!({"kind": "status", "status": 503}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "status", "status": 504}),
        json!({"kind": "status", "status": 429, "retry_after": 0}),
    ] {
        for path in [first(fixture), next(fixture)] {
            remote.admin.reset().await;
            remote.admin.fault(on(&fault, path)).await;
            let session = remote.session(&[]);
            let stats = Arc::new(CallStats::default());
            let pages = all_pages(&session, fixture.records.query(), &stats).await;
            assert_eq!(distinct(&texts(&pages, 0)) as u64, count, "{fault}");
            assert_eq!(rows(&pages) as u64, count, "{fault}");
            assert_eq!(stats.data_calls(), n_pages + 1, "{fault}");
            assert_eq!(stats.retries(), 1, "{fault}");
            assert_eq!(remote.admin.data_calls().await, n_pages + 1, "{fault}");
            assert_eq!(remote.sign_ins().await, fixture.login_calls, "{fault}");
        }
    }
}

async fn retry_after_is_waited_for(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    for status in [429, 503] {
        let session = remote.session(&[]);
        let fault = json!({"kind": "status", "status": status, "retry_after": 1});
        remote.admin.fault(on(&fault, first(fixture))).await;
        let stats = Arc::new(CallStats::default());
        let started = Instant::now();
        all_pages(&session, fixture.records.query(), &stats).await;
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert!(
            stats.waited() >= Duration::from_secs(1),
            "{:?}",
            stats.waited()
        );
        assert!(
            stats.waited() < Duration::from_secs(3),
            "{:?}",
            stats.waited()
        );
    }
}

async fn a_reply_that_hangs_ends_with_the_request_timeout(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[("request_timeout", "1")]);
    let hang = json!({"kind": "hang"});
    remote.admin.fault(on(&hang, first(fixture))).await;
    let stats = Arc::new(CallStats::default());
    let pages = all_pages(&session, fixture.records.query(), &stats).await;
    assert!(rows(&pages) > 0);
    assert_eq!(stats.retries(), 1);
    let session = remote.session(&[("request_timeout", "1"), ("max_retries", "0")]);
    remote.admin.fault(on(&hang, first(fixture))).await;
    let started = Instant::now();
    let error = failure(&session, fixture.records.query()).await;
    assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
    remote.keeps_secrets(&error);
}

async fn trouble_that_lasts_is_an_error_after_the_retries_allowed(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    for (fault, kind, calls) in [
        (
            json!({"kind": "status", "status": 503}),
            ErrorKind::ConnectionLost,
            3,
        ),
        (
            json!({"kind": "status", "status": 429}),
            fixture.throttled,
            3,
        ),
        (
            json!({"kind": "cut", "bytes": 3}),
            ErrorKind::ConnectionLost,
            3,
        ),
        (json!({"kind": "lose_reply"}), ErrorKind::ConnectionLost, 3),
        (
            json!({"kind": "status", "status": 400}),
            ErrorKind::RemoteFault,
            1,
        ),
    ] {
        remote.admin.reset().await;
        let mut fault = on(&fault, first(fixture));
        fault["times"] = json!(0);
        remote.admin.fault(fault.clone()).await;
        let error = failure(&remote.session(&[]), fixture.records.query()).await;
        assert_eq!(error.kind(), kind, "{fault} {error:?}");
        assert_eq!(remote.admin.data_calls().await, calls, "{fault}");
        remote.keeps_secrets(&error);
    }
}

async fn a_broken_reply_is_an_error_and_not_asked_for_again(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, fixture.some_pages()).await;
    for kind in [
        "malformed",
        "bad_utf8",
        "deep",
        "entity_bomb",
        "huge",
        "html",
        "empty",
    ] {
        for (path, n_pages) in [(first(fixture), 0), (next(fixture), 1)] {
            remote.admin.reset().await;
            remote.admin.fault(on(&json!({"kind": kind}), path)).await;
            let session = remote.session(&[]);
            let (pages, error) = pages(&session, fixture.records.query(), &Arc::default()).await;
            let error = error.unwrap_or_else(|| panic!("{kind} went well"));
            assert_eq!(error.kind(), ErrorKind::Undecodable, "{kind} {error:?}");
            assert_eq!(pages.len() as u64, n_pages, "{kind}");
            assert_eq!(remote.admin.data_calls().await, n_pages + 1, "{kind}");
            assert!(!error.message().contains('\n'), "{error:?}");
            remote.keeps_secrets(&error);
        }
    }
}

async fn values_of_other_types_are_rejects_of_a_page(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 100).await;
    let session = remote.session(&[]);
    let first = json!({"path": fixture.paths.first, "kind": "wrong_types"});
    remote.admin.fault(first).await;
    let pages = all_pages(&session, fixture.records.query(), &Arc::default()).await;
    let rejects = &pages[0].rejects;
    assert!(!rejects.is_empty());
    for reject in rejects {
        assert!(
            pages[0].columns[reject.column].is_null(reject.row),
            "{reject:?}"
        );
        assert!(
            !reject.raw.is_empty() && !reject.reason.is_empty(),
            "{reject:?}"
        );
    }
    assert!(rows(&pages) > 100);
    let nul = json!({"path": fixture.paths.first, "kind": "nul"});
    remote.admin.fault(nul).await;
    let pages = all_pages(&session, fixture.records.query(), &Arc::default()).await;
    assert_eq!(pages[0].rejects.len(), 1, "{:?}", pages[0].rejects);
}

async fn no_other_host_is_asked(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, fixture.some_pages()).await;
    let other = Remote::start(fixture, 0).await;
    for kind in fixture.leads {
        for (path, asked) in [(first(fixture), 1), (next(fixture), 2)] {
            remote.admin.reset().await;
            remote
                .admin
                .fault(on(
                    &json!({"kind": kind, "host": other.sandbox.instance_url}),
                    path,
                ))
                .await;
            let error = failure(&remote.session(&[]), fixture.records.query()).await;
            assert_eq!(error.kind(), ErrorKind::Undecodable, "{kind} {error:?}");
            let told = format!("{} {}", error.message(), error.detail().unwrap_or_default());
            let host = format!("127.0.0.1:{}", other.sandbox.port);
            assert!(told.contains(&host), "{told}");
            assert_eq!(remote.admin.data_calls().await, asked);
            assert_eq!(other.admin.all_calls().await, 0);
            remote.keeps_secrets(&error);
        }
    }
    // Where each call signs itself in there is no call for it that could lead astray.
    let sign_in = (fixture.login_calls > 0).then_some(fixture.paths.sign_in);
    for path in sign_in.into_iter().chain([fixture.paths.objects]) {
        remote.admin.reset().await;
        remote
            .admin
            .fault(json!({"path": path, "kind": "redirect", "host": other.sandbox.instance_url}))
            .await;
        let session = remote.session(&[]);
        let error = session
            .objects(&CallStats::default())
            .await
            .expect_err("not followed");
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{error:?}");
        assert_eq!(other.admin.all_calls().await, 0);
    }
}

async fn fewer_records_than_announced_are_told_after_those_that_came(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, fixture.some_pages()).await;
    let count = count(&remote).await;
    for path in [first(fixture), next(fixture)] {
        remote
            .admin
            .fault(on(&json!({"kind": "short_page", "bytes": 7}), path))
            .await;
        let session = remote.session(&[]);
        let (pages, error) = pages(&session, fixture.records.query(), &Arc::default()).await;
        let error = error.expect("a short read");
        assert_eq!(error.kind(), ErrorKind::ShortRead, "{error:?}");
        assert_eq!(rows(&pages) as u64, count - 7);
        let told = format!("{} {}", error.message(), error.detail().unwrap_or_default());
        assert!(told.contains(&count.to_string()), "{told}");
    }
    // A limit is no short read.
    let mut query = fixture.records.query();
    query.limit = Some(2_300);
    let pages = all_pages(&remote.session(&[]), query, &Arc::default()).await;
    assert_eq!(rows(&pages), 2_300);
}

async fn a_version_the_crm_gave_up_says_what_to_set(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let (option, value) = fixture.retired.expect("a retired version");
    let session = remote.session(&[(option, value)]);
    let error = failure(&session, fixture.records.query()).await;
    assert_eq!(error.kind(), ErrorKind::NotSupported, "{error:?}");
    assert!(
        error.hint().is_some_and(|hint| hint.contains(option)),
        "{error:?}"
    );
    assert_eq!(remote.admin.data_calls().await, 1);
}

async fn certificates_are_checked(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 0).await;
    let expired = crm_sandbox::start(crm_sandbox::Config {
        expired_certificate: true,
        ..crm_sandbox::Config::default()
    })
    .await
    .expect("a sandbox");
    let file = crm_tests::open_file(remote.ca_folder(), "expired.pem", &expired.ca_pem);
    let mut options = fixture.usual(&expired);
    options.push(("ca_file", file.clone()));
    told(&remote, remote.session_with(options), "expired", fixture).await;
    // The right host, an authority that did not sign for it.
    let session = remote.session(&[("ca_file", &file)]);
    told(&remote, session, "unknown", fixture).await;
    assert_eq!(remote.admin.all_calls().await, 0);
}

async fn told(remote: &Remote, session: Arc<dyn crm_core::Session>, word: &str, fixture: &Fixture) {
    let error = failure(&session, fixture.records.query()).await;
    assert_eq!(error.kind(), ErrorKind::CannotConnect, "{error:?}");
    assert!(
        error.detail().is_some_and(|detail| detail.contains(word)),
        "{error:?}"
    );
    assert!(error.hint().is_some(), "{error:?}");
    remote.keeps_secrets(&error);
}
