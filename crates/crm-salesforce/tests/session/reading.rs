//! Reading: replies that a well-behaved CRM would not give.

use crate::support::{account, refused, server, session};
use crm_core::{
    CallStats, ColumnType, Connector, Error, ErrorKind, ExposeSecret, Page, QueryField,
    RemoteQuery, Session,
};
use crm_http::testkit::{Answer, Server};
use crm_salesforce::SALESFORCE;
use std::sync::Arc;

fn query(fields: &[&str]) -> RemoteQuery {
    let fields = fields
        .iter()
        .map(|name| QueryField::plain(name, "string", ColumnType::Text));
    RemoteQuery::all("Account", "Id", fields.collect())
}

async fn read(session: Arc<dyn Session>, query: RemoteQuery) -> Result<Vec<Page>, Error> {
    let mut stream = session.scan(query, Arc::new(CallStats::default()));
    let mut pages = Vec::new();
    while let Some(page) = stream.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

fn names(pages: &[Page]) -> Vec<String> {
    let of = |page: &Page| {
        let texts =
            (0..page.n_rows).map(|row| page.columns[0].text(row).unwrap_or("-").to_string());
        texts.collect::<Vec<_>>()
    };
    pages.iter().flat_map(of).collect()
}

fn page(records: &[&str], rest: &str) -> Answer {
    let records: Vec<_> = records
        .iter()
        .map(|name| format!(r#"{{"Name":"{name}"}}"#))
        .collect();
    Answer::new(
        200,
        format!(r#"{{"records":[{}]{rest}}}"#, records.join(",")),
    )
}

#[tokio::test]
async fn a_scan_ends_where_the_replies_say_and_nowhere_else() {
    for (first, second, expected) in [
        // The end is not said: a link goes on, none does not.
        (page(&["a"], ""), page(&["b"], ""), Ok(1)),
        (
            page(&["a"], r#","nextRecordsUrl":"/n""#),
            page(&["b"], ""),
            Ok(2),
        ),
        (
            page(&["a"], r#","nextRecordsUrl":"/n""#),
            page(&[], r#","nextRecordsUrl":"/m""#),
            Ok(1),
        ),
        // An empty page is not the end.
        (
            page(&[], r#","done":false,"nextRecordsUrl":"/n""#),
            page(&["b"], r#","done":true"#),
            Ok(1),
        ),
        // The end is said, whatever else is.
        (
            page(&["a"], r#","done":true,"nextRecordsUrl":"/n""#),
            page(&["b"], ""),
            Ok(1),
        ),
        // The count is unknown.
        (
            page(&["a"], r#","done":true,"totalSize":-1"#),
            page(&[], ""),
            Ok(1),
        ),
        (
            page(&["a"], r#","done":false"#),
            page(&["b"], ""),
            Err(ErrorKind::Undecodable),
        ),
        (
            page(&["a"], r#","done":true,"totalSize":2"#),
            page(&[], ""),
            Err(ErrorKind::ShortRead),
        ),
        (
            page(&[], r#","done":true,"totalSize":2"#),
            page(&[], ""),
            Err(ErrorKind::ShortRead),
        ),
    ] {
        let shown = format!("{first:?}");
        let server = server(move |_, n, _| {
            if n == 0 {
                first.clone()
            } else {
                second.clone()
            }
        })
        .await;
        let result = read(session(&server), query(&["Name"])).await;
        let result = result
            .map(|pages| names(&pages).len())
            .map_err(|error| error.kind());
        assert_eq!(result, expected, "{shown}");
    }
}

#[tokio::test]
async fn replies_that_lead_in_a_circle_are_left() {
    let server = server(|_, n, _| {
        page(
            &["a"],
            &format!(
                r#","done":false,"nextRecordsUrl":"/services/data/v66.0/query/{}""#,
                n % 3
            ),
        )
    })
    .await;
    let error = read(session(&server), query(&["Name"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert!(error.message().contains("circle"), "{error}");
    assert_eq!(server.seen().len(), 1 + 4);
}

#[tokio::test]
async fn a_page_given_up_on_is_asked_for_again() {
    let server = server(|_, n, _| match n {
        0 => Answer::silence(),
        _ => page(&["a"], r#","done":true"#),
    })
    .await;
    let mut stream = session(&server).scan(query(&["Name"]), Arc::new(CallStats::default()));
    let is_asked = async {
        while server.seen().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        page = stream.next() => panic!("nothing answers yet: {page:?}"),
        () = is_asked => {}
    }
    let page = stream.next().await.unwrap().unwrap();
    assert_eq!(names(&[page]), ["a"]);
    assert!(stream.next().await.unwrap().is_none());
}

#[tokio::test]
async fn an_error_stays_an_error() {
    let server = server(|_, n, own| match n {
        0 => page(
            &["a"],
            &format!(r#","done":false,"nextRecordsUrl":"{own}/services/data/next""#),
        ),
        1 => refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator"),
        _ => page(&["b"], r#","done":true"#),
    })
    .await;
    let mut stream = session(&server).scan(query(&["Name"]), Arc::new(CallStats::default()));
    assert_eq!(stream.next().await.unwrap().unwrap().n_rows, 1);
    for _ in 0..2 {
        let error = stream.next().await.unwrap_err();
        assert_eq!(error.code(), Some("INVALID_QUERY_LOCATOR"));
        assert_eq!(error.hint(), Some("Run the statement again."));
    }
}

#[tokio::test]
async fn a_renewed_session_uses_the_rotated_token() {
    let server = server(|seen, _, _| match seen.header("authorization") {
        Some("Bearer TEST!token1") => {
            refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        }
        _ => page(&["a"], r#","done":true"#),
    })
    .await;
    let pages = read(session(&server), query(&["Name"])).await.unwrap();
    assert_eq!(names(&pages), ["a"]);
    let sign_ins: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST")
        .collect();
    assert_eq!(sign_ins.len(), 2);
    assert!(sign_ins[0].body.contains("refresh_token=TEST-refresh0"));
    assert!(sign_ins[1].body.contains("refresh_token=TEST-refresh1"));
}

#[tokio::test]
async fn a_session_refused_for_good_costs_one_sign_in_or_two() {
    for (text, n_sign_ins) in [
        ("Session expired or invalid", 2),
        ("This session is not valid for use with the REST API", 1),
    ] {
        let server = server(move |_, _, _| refused(401, "INVALID_SESSION_ID", text)).await;
        let error = read(session(&server), query(&["Name"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRefused, "{text}");
        let sign_ins = server
            .seen()
            .into_iter()
            .filter(|seen| seen.method == "POST");
        assert_eq!(sign_ins.count(), n_sign_ins, "{text}");
    }
}

#[tokio::test]
async fn what_a_host_repeats_is_not_told() {
    let echo = server(|seen, _, _| {
        let header = seen.header("authorization").unwrap_or_default().to_string();
        refused(400, "MALFORMED_QUERY", &header)
    })
    .await;
    let error = read(session(&echo), query(&["Name"])).await.unwrap_err();
    assert!(!format!("{error:?}").contains("TEST!token"), "{error:?}");
    assert!(error.detail().unwrap().contains("Bearer …"));

    let repeats = Server::start(|seen| {
        Answer::new(
            400,
            format!(
                r#"{{"error":"invalid_grant","error_description":"{}"}}"#,
                seen.body
            ),
        )
    })
    .await
    .unwrap();
    let by_password = [
        ("client_id", "TEST-app"),
        ("client_secret", "TESTsecret"),
        ("username", "user@example.com"),
        ("password", "TESTpassword"),
        ("security_token", "TESTtoken"),
    ];
    let account = account(&repeats, &by_password);
    assert_eq!(
        account.secret("password").unwrap().expose_secret(),
        "TESTpassword"
    );
    let session = SALESFORCE.open(account).unwrap();
    let stats = CallStats::default();
    let error = session.check(&stats).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRefused);
    for secret in ["TESTsecret", "TESTpassword", "TESTtoken"] {
        assert!(repeats.seen()[0].body.contains(secret));
        assert!(!format!("{error:?}").contains(secret), "{error:?}");
    }
}

#[tokio::test]
async fn options_that_are_missing_or_exclude_each_other_are_named() {
    let server = server(|_, _, _| page(&[], "")).await;
    for (options, kind, name) in [
        (&[][..], ErrorKind::OptionMissing, "username"),
        (&[("username", "u")], ErrorKind::OptionMissing, "password"),
        (
            &[("auth", "jwt"), ("username", "u"), ("client_id", "c")],
            ErrorKind::OptionMissing,
            "private_key",
        ),
        (
            &[
                ("client_id", "c"),
                ("refresh_token", "TEST"),
                ("auth", "client_credentials"),
            ],
            ErrorKind::OptionMissing,
            "client_secret",
        ),
        (
            &[
                ("username", "u"),
                ("client_id", "c"),
                ("private_key", "TEST"),
                ("private_key_file", "/nonexistent"),
            ],
            ErrorKind::OptionValue,
            "private_key_file",
        ),
        (
            &[
                ("username", "u"),
                ("client_id", "c"),
                ("private_key_file", "/nonexistent"),
            ],
            ErrorKind::OptionValue,
            "/nonexistent",
        ),
    ] {
        let result = match SALESFORCE.open(account(&server, options)) {
            Ok(session) => session.check(&CallStats::default()).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let error = result.unwrap_err();
        assert_eq!(error.kind(), kind, "{options:?}: {error}");
        assert!(error.message().contains(name), "{options:?}: {error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn identifiers_of_another_object_do_not_stop_a_lookup() {
    let ids = [
        "001D000000IqhSLIAZ",
        "a00E0000004D5lsIAC",
        "001D000000IqhSL",
        "no id",
    ];
    let server = server(|seen, _, _| match seen.method.as_str() {
        "POST" => refused(400, "MALFORMED_ID", "bad id a00E0000004D5lsIAC"),
        _ => page(&["a"], r#","done":true,"totalSize":1"#),
    })
    .await;
    let mut query = query(&["Name"]);
    query.lookup = Some(ids.map(String::from).to_vec());
    let pages = read(session(&server), query).await.unwrap();
    assert_eq!(names(&pages), ["a"]);
    let seen = server.seen();
    let retrieve = &seen[1];
    assert_eq!(
        retrieve.target,
        "/services/data/v66.0/composite/sobjects/Account"
    );
    assert_eq!(
        retrieve.body,
        r#"{"ids":["001D000000IqhSLIAZ","a00E0000004D5lsIAC"],"fields":["Name"]}"#
    );
    assert!(seen[2].target.ends_with(
        "q=SELECT+Name+FROM+Account+WHERE+Id+IN+%28%27001D000000IqhSLIAZ%27%2C%27a00E0000004D5lsIAC%27%29"
    ));
}

#[tokio::test]
async fn a_lookup_with_a_parents_field_goes_by_query() {
    let server = server(|_, n, _| {
        assert!(n < 2);
        Answer::new(
            200,
            r#"{"totalSize":1,"done":true,"records":[{"Owner":{"Name":"o"}}]}"#,
        )
    })
    .await;
    let mut query = query(&["Owner.Name"]);
    query.lookup = Some(vec!["001D000000IqhSLIAZ".into()]);
    let pages = read(session(&server), query).await.unwrap();
    assert_eq!(names(&pages), ["o"]);
    assert_eq!(server.seen()[1].method, "GET");
}

#[tokio::test]
async fn a_page_size_is_asked_for_within_the_vendors_bounds() {
    for (wish, expected) in [
        (None, None),
        (Some(1), Some("batchSize=200")),
        (Some(500), Some("batchSize=500")),
        (Some(50_000), Some("batchSize=2000")),
    ] {
        let server = server(|_, n, _| match n {
            0 => page(
                &["a"],
                r#","done":false,"nextRecordsUrl":"/services/data/n""#,
            ),
            _ => page(&["b"], r#","done":true"#),
        })
        .await;
        let mut query = query(&["Name"]);
        query.page_size = wish;
        assert_eq!(read(session(&server), query).await.unwrap().len(), 2);
        for seen in &server.seen()[1..] {
            assert_eq!(seen.header("sforce-query-options"), expected);
        }
    }
}

#[tokio::test]
async fn a_page_for_people_is_told_as_one() {
    let server = server(|_, _, _| Answer::new(200, "<html>sign in</html>")).await;
    let session = session(&server);
    let stats = CallStats::default();
    let error = read(Arc::clone(&session), query(&["Name"]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert!(error.hint().unwrap().contains("proxy"));
    let error = session.objects(&stats).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    let error = session
        .describe(&["A".into(), "B".into()], &stats)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
}
