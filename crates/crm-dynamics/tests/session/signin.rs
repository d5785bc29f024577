//! Who is signed in, where, and how often.

use crate::support::{
    TENANT, accounts, challenge, entities, granted, names, page, read, server, session, session_at,
};
use crm_core::{CallStats, ErrorKind};
use crm_http::testkit::{Answer, Server};
use std::sync::Arc;

#[tokio::test]
async fn the_challenge_says_where_and_for_what() {
    let server = server(|_, _, _| page(&["a"], None)).await;
    let session = session(&server, &[]);
    let stats = Arc::default();
    let pages = read(&session, accounts(), &stats).await.unwrap();
    assert_eq!(names(&pages), ["a"]);
    let seen = server.seen();
    let sign_in = &seen[1];
    assert_eq!(sign_in.target, format!("/{TENANT}/oauth2/v2.0/token"));
    let scope: String =
        url::form_urlencoded::byte_serialize(format!("{}/.default", server.url()).as_bytes())
            .collect();
    for part in [
        format!("scope={scope}"),
        "grant_type=password".into(),
        "username=user%40contoso.example".into(),
        "password=TEST-pass+word%2B%26".into(),
    ] {
        assert!(sign_in.body.contains(&part), "{part} in {}", sign_in.body);
    }
    assert_eq!(seen[2].header("authorization"), Some("Bearer TEST-token1"));
    read(&session, accounts(), &stats).await.unwrap();
    // Challenge, token, entities, and two pages.
    assert_eq!(server.seen().len(), 5);
    assert_eq!(stats.data_calls(), 2);
}

#[tokio::test]
async fn a_token_no_longer_taken_is_renewed_once() {
    let server = server(|seen, _, _| match seen.header("authorization") {
        Some("Bearer TEST-token1") => Answer::new(401, ""),
        _ => page(&["a"], None),
    })
    .await;
    let session = session(&server, &[("tenant", TENANT), ("authority", &server.url())]);
    let pages = read(&session, accounts(), &Arc::default()).await.unwrap();
    assert_eq!(names(&pages), ["a"]);
    let posts = server
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .count();
    assert_eq!(posts, 2);
    // One that is refused again is not asked for a third time.
    let stubborn = crate::support::server(|_, _, _| Answer::new(401, "")).await;
    let session = crate::support::session(&stubborn, &[]);
    let error = read(&session, accounts(), &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRefused);
    assert!(!format!("{error:?}").contains("TEST-"), "{error:?}");
    let posts = stubborn
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .count();
    assert_eq!(posts, 2);
}

#[tokio::test]
async fn a_refused_sign_in_is_not_tried_again() {
    let server = Server::start(|seen| {
        let own = format!("https://{}", seen.header("host").unwrap_or_default());
        if seen.method == "POST" {
            return Answer::new(
                400,
                r#"{"error":"invalid_grant","error_description":"AADSTS50126: Error validating credentials of TEST-pass word+&.\r\nTrace ID: x","error_codes":[50126]}"#,
            );
        }
        challenge(&format!("{own}/{TENANT}/oauth2/authorize"), &own)
    })
    .await
    .unwrap();
    let session = session(&server, &[]);
    for _ in 0..3 {
        let error = session.check(&CallStats::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRefused);
        assert_eq!(error.code(), Some("AADSTS50126"));
        assert!(!format!("{error:?}").contains("TEST-pass"), "{error:?}");
    }
    let posts = server
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .count();
    assert_eq!(posts, 1);
}

#[tokio::test]
async fn a_password_goes_nowhere_that_only_a_challenge_names() {
    let other = Server::start(|_| granted(1)).await.unwrap();
    let pointed = format!("{}/{TENANT}/oauth2/authorize", other.url());
    let pointing = pointed.clone();
    let server = Server::start(move |seen| {
        let own = format!("https://{}", seen.header("host").unwrap_or_default());
        match seen.header("authorization") {
            None => challenge(&pointing, &own),
            Some(_) if seen.target.contains("EntityDefinitions") => entities(),
            Some(_) => page(&[], None),
        }
    })
    .await
    .unwrap();
    let error = read(&session(&server, &[]), accounts(), &Arc::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionMissing);
    assert!(error.hint().unwrap().contains("authority"), "{error:?}");
    assert!(other.seen().is_empty());
    // The one that the user names sees it; the other host's certificate is none of ours, so that no more is seen here.
    let session = session(&server, &[("authority", &other.url())]);
    let error = read(&session, accounts(), &Arc::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CannotConnect, "{error:?}");
}

#[tokio::test]
async fn an_old_server_is_asked_in_its_version() {
    let server = server(|seen, _, _| {
        if seen.target.contains("/v9.0/") {
            return Answer::new(404, "");
        }
        page(&["a"], None)
    })
    .await;
    let url = format!("{}/Org", server.url());
    let on_premise = [("deployment", "on_premise"), ("auth", "adfs")];
    let session = session_at(&server, &url, &on_premise);
    let pages = read(&session, accounts(), &Arc::default()).await.unwrap();
    assert_eq!(names(&pages), ["a"]);
    let targets: Vec<_> = server
        .seen()
        .iter()
        .map(|seen| seen.target.clone())
        .collect();
    assert!(
        targets.contains(&"/Org/api/data/v9.0/WhoAmI".into()),
        "{targets:?}"
    );
    assert!(
        targets
            .last()
            .unwrap()
            .starts_with("/Org/api/data/v8.2/accounts?"),
        "{targets:?}"
    );
    assert_eq!(session.signed_in().unwrap().api_version, "8.2");
    let token = server.seen().into_iter().find(|seen| seen.method == "POST");
    let token = token.unwrap();
    assert!(token.body.contains("resource="), "{}", token.body);
}
