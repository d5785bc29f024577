//! Signing in, both ways; sessions that end; their number.

use std::sync::Arc;

use crm_core::{CallStats, ErrorKind};
use serde_json::json;

use crate::company::{Company, contacts, ids, on_page, pages};

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_hold_one_session_and_give_it_back() {
    let company = Company::start(250).await;
    for auth in ["session", "ws_security"] {
        company.admin.clear_counters().await;
        let session = company.session(&[("auth", auth)]);
        assert!(session.signed_in().is_none());
        let stats = CallStats::default();
        let info = session.check(&stats).await.unwrap();
        assert_eq!(info.auth, auth);
        assert_eq!(
            (info.user.as_str(), info.organization.as_str()),
            ("TESTCO/ada.admin", "TESTCO")
        );
        assert_eq!(info.host, format!("127.0.0.1:{}", company.sandbox.port));
        assert!(ids(&session, contacts()).await.unwrap().len() >= 250);
        assert!(company.open_sessions().await <= 1, "{auth}");
        session.close(&stats).await;
        assert_eq!(company.open_sessions().await, 0, "{auth}");
        assert!(session.signed_in().is_none());
        // It signs in anew when it is used again.
        session.check(&stats).await.unwrap();
        session.close(&stats).await;
        assert_eq!(stats.data_calls(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_beyond_ascii_signs_in() {
    let company = Company::start(5).await;
    let second = company.sandbox.oracle.second_username.clone();
    for auth in ["session", "ws_security"] {
        let session = company.session(&[("auth", auth), ("username", &second.replace('/', "\\"))]);
        assert_eq!(
            session.check(&CallStats::default()).await.unwrap().user,
            second
        );
        session.close(&CallStats::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_final() {
    let company = Company::start(5).await;
    for auth in ["session", "ws_security"] {
        company.admin.clear_counters().await;
        let wrong = [("auth", auth), ("password", "TEST-wrong")];
        let session = company.session(&wrong);
        let first = ids(&session, contacts()).await.unwrap_err();
        assert_eq!(first.kind(), ErrorKind::LoginRefused, "{first:?}");
        assert!(first.detail().is_some() && first.hint().is_some());
        assert!(!format!("{first:?}").contains("TEST-wrong"));
        let again = session.check(&CallStats::default()).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::LoginRefused);
        assert_eq!(company.admin.all_calls().await, 1, "{auth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_mid_scan_is_opened_once_more() {
    let company = Company::start(950).await;
    for (auth, status) in [("session", 500), ("session", 200), ("ws_security", 500)] {
        company.set(json!({"fault_status": status})).await;
        let session = company.session(&[("auth", auth)]);
        let all = ids(&session, contacts()).await.unwrap();
        company.admin.clear_counters().await;
        company
            .admin
            .fault(on_page(json!({"kind": "unauthorized", "after": 3})))
            .await;
        let stats = Arc::new(CallStats::default());
        let (found, error) = pages(&session, contacts(), &stats).await;
        assert!(error.is_none(), "{auth}: {error:?}");
        assert_eq!(crate::company::texts(&found, 0), all, "{auth}");
        // The one page again, after one sign-in.
        assert_eq!(stats.data_calls(), all.len().div_ceil(100) as u64 + 1);
        assert_eq!(stats.calls(), stats.data_calls() + 1);
        // A new session that is not taken either is the end.
        company
            .admin
            .fault(on_page(json!({"kind": "unauthorized", "times": 0})))
            .await;
        let error = ids(&session, contacts()).await.unwrap_err();
        company.keeps_secrets(&error);
        company.admin.clear_faults().await;
        session.close(&CallStats::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_eleventh_session_is_told_clearly() {
    let company = Company::start(5).await;
    company.set(json!({"session_limit": 2})).await;
    let held = [company.session(&[]), company.session(&[])];
    for session in &held {
        session.check(&CallStats::default()).await.unwrap();
    }
    let session = company.session(&[]);
    let error = ids(&session, contacts()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AllotmentUsedUp, "{error:?}");
    assert_eq!(error.message(), "all sessions of the company are taken");
    assert!(error.hint().is_some());
    // No refusal of the credentials: it may work as soon as another one ends.
    held[0].close(&CallStats::default()).await;
    assert!(ids(&session, contacts()).await.unwrap().len() >= 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_share_one_session() {
    let company = Company::start(5).await;
    let session = company.session(&[]);
    let all = [(); 8].map(|()| {
        let session = Arc::clone(&session);
        tokio::spawn(async move { ids(&session, contacts()).await.map(|ids| ids.len()) })
    });
    for one in all {
        assert!(one.await.unwrap().unwrap() >= 5);
    }
    assert_eq!(company.admin.calls("soap_login").await, 1);
    assert_eq!(company.open_sessions().await, 1);
}
