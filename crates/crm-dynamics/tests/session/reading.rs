//! Pages, limits, identifiers and counts, as they are asked for.

use crate::support::{accounts, asked, names, page, read, server, session, session_at};
use crm_core::{
    Aggregate, AggregateFunction, CallStats, ColumnData, ColumnType, ErrorKind, Filter, Operator,
    QueryField, Value, comparison,
};
use crm_http::testkit::Answer;
use std::sync::Arc;

#[tokio::test]
async fn next_links_are_followed_as_they_are() {
    let server = server(|_, asked, own| match asked {
        0 => page(
            &["a"],
            Some(&format!(
                "{own}/api/data/v9.2/accounts?$select=name&$skiptoken=%3Ccookie%20pagingcookie=%22%253ccookie%22%20/%3E"
            )),
        ),
        1 => page(&[], Some("/api/data/v9.2/accounts?$skiptoken=2")),
        _ => page(&["b"], None),
    })
    .await;
    let stats = Arc::default();
    let pages = read(&session(&server, &[]), accounts(), &stats)
        .await
        .unwrap();
    // A page without records is no end.
    assert_eq!(names(&pages), ["a", "b"]);
    assert_eq!((pages.len(), stats.data_calls()), (2, 3));
    let asked = asked(&server);
    assert_eq!(
        asked[0].target,
        "/api/data/v9.2/accounts?$select=accountid,name"
    );
    assert!(
        asked[1]
            .target
            .ends_with("%3Ccookie%20pagingcookie=%22%253ccookie%22%20/%3E")
    );
    for seen in &asked {
        assert_eq!(seen.header("prefer"), Some("odata.maxpagesize=5000"));
        assert_eq!(seen.header("odata-version"), Some("4.0"));
        assert_eq!(seen.header("if-none-match"), Some("null"));
    }
}

#[tokio::test]
async fn links_to_other_hosts_and_in_circles_end_the_scan() {
    for next in [
        "https://evil.example/accounts?$skiptoken=1",
        "//evil.example/x",
    ] {
        let server = server(move |_, _, _| page(&["a"], Some(next))).await;
        let error = read(&session(&server, &[]), accounts(), &Arc::default()).await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{error:?}");
        assert_eq!(asked(&server).len(), 1);
    }
    let circling =
        server(|_, _, _| page(&["a"], Some("/api/data/v9.2/accounts?$skiptoken=1"))).await;
    let error = read(&session(&circling, &[]), accounts(), &Arc::default()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Undecodable);
    // On premise a proxy may hide an inner name: the path is asked for on the own host.
    let inner = server(|_, asked, _| match asked {
        0 => Answer::new(200, "{}"),
        1 => page(
            &["a"],
            Some("http://inner:5555/Org/api/data/v9.0/accounts?$skiptoken=1"),
        ),
        _ => page(&["b"], None),
    })
    .await;
    let url = format!("{}/Org", inner.url());
    let on_premise = [("deployment", "on_premise"), ("auth", "adfs")];
    let session = session_at(&inner, &url, &on_premise);
    let pages = read(&session, accounts(), &Arc::default()).await.unwrap();
    assert_eq!(names(&pages), ["a", "b"]);
}

#[tokio::test]
async fn a_limit_within_a_page_asks_for_no_page() {
    let server = server(|seen, _, own| {
        let next = format!("{own}/api/data/v9.2/accounts?$skiptoken=1");
        page(
            &["a", "b"],
            (!seen.target.contains("$top")).then_some(&next),
        )
    })
    .await;
    let session = session(&server, &[]);
    let mut query = accounts();
    query.limit = Some(2);
    let pages = read(&session, query.clone(), &Arc::default())
        .await
        .unwrap();
    assert_eq!(names(&pages), ["a", "b"]);
    query.page_size = Some(1);
    let stats = Arc::default();
    read(&session, query, &stats).await.unwrap();
    assert_eq!(stats.data_calls(), 1, "enough has come");
    let asked = asked(&server);
    assert!(asked[0].target.ends_with("&$top=2") && asked[0].header("prefer").is_none());
    assert!(!asked[1].target.contains("$top"));
    assert_eq!(asked[1].header("prefer"), Some("odata.maxpagesize=1"));
}

/// The addresses inside a batch.
fn parts(body: &str) -> Vec<&str> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("GET "));
    lines
        .filter_map(|line| line.strip_suffix(" HTTP/1.1"))
        .collect()
}

fn in_parts(bodies: &[&str]) -> Answer {
    let mut answer = String::new();
    for body in bodies {
        answer.push_str("--batchresponse_x\r\nContent-Type: application/http\r\n\r\n");
        answer.push_str("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n");
        answer.push_str(body);
        answer.push_str("\r\n");
    }
    answer.push_str("--batchresponse_x--\r\n");
    Answer::new(200, answer).header("content-type", "multipart/mixed; boundary=batchresponse_x")
}

#[tokio::test]
async fn many_identifiers_go_in_one_call() {
    let server = server(|seen, _, _| {
        if seen.method == "GET" {
            return page(&["one"], None);
        }
        let n_parts = parts(&seen.body).len();
        in_parts(&vec![r#"{"value":[{"name":"x"}]}"#; n_parts])
    })
    .await;
    let session = session(&server, &[]);
    let ids: Vec<_> = (0..1_201)
        .map(|n| format!("00000000-0000-4000-8000-{n:012}"))
        .collect();
    let mut query = accounts();
    query.lookup = Some([ids.clone(), ids[..10].to_vec(), vec!["no id".into()]].concat());
    let stats = Arc::default();
    let pages = read(&session, query.clone(), &stats).await.unwrap();
    assert_eq!((pages.len(), stats.data_calls()), (3, 1));
    let body = asked(&server)[0].body.clone();
    for (part, n_ids) in parts(&body).iter().zip([500, 500, 201]) {
        assert!(part.len() < 32_768, "{}", part.len());
        assert!(
            part.contains("Microsoft.Dynamics.CRM.In(PropertyName%3D%27accountid%27"),
            "{part}"
        );
        assert_eq!(part.matches("-4000-8000-").count(), n_ids);
    }
    query.lookup = Some(vec![ids[0].to_uppercase()]);
    read(&session, query, &stats).await.unwrap();
    let single = asked(&server)[1].target.clone();
    assert!(
        single.ends_with("$filter=accountid%20eq%2000000000-0000-4000-8000-000000000000"),
        "{single}"
    );
}

#[tokio::test]
async fn an_address_too_long_goes_inside_a_batch() {
    let server = server(|_, _, _| in_parts(&[r#"{"value":[{"name":"x"}]}"#])).await;
    let session = session(&server, &[]);
    let mut query = accounts();
    let long = |length: usize| comparison("name", Operator::Equal, Value::Text("ü".repeat(length)));
    query.filter = Some(Filter::Or(vec![long(4_000), long(3_999)]));
    let pages = read(&session, query.clone(), &Arc::default())
        .await
        .unwrap();
    assert_eq!(names(&pages), ["x"]);
    let asked = asked(&server);
    assert_eq!(asked[0].target, "/api/data/v9.2/$batch");
    assert!(asked[0].body.contains("Prefer: odata.maxpagesize=5000\r\n"));
    // What no address can hold is said, not sent.
    query.filter = Some(Filter::Or(vec![long(4_000), long(3_999), long(3_998)]));
    let error = read(&session, query, &Arc::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported, "{error:?}");
}

#[tokio::test]
async fn a_count_at_the_vendors_cap_is_counted_by_reading() {
    let server = server(|seen, _, _| {
        if seen.target.contains("/$count?$filter=n%20gt%205") {
            return Answer::new(200, "\u{feff}42");
        }
        if seen.target.contains("/$count") {
            return Answer::new(200, "5000");
        }
        if seen.target.contains("RetrieveTotalRecordCount") {
            return Answer::new(
                200,
                r#"{"EntityRecordCountCollection":{"Count":1,"Keys":["account"],"Values":[7000]}}"#,
            );
        }
        let next =
            (!seen.target.contains("skiptoken")).then_some("/api/data/v9.2/accounts?$skiptoken=1");
        page(&["a"; 3], next)
    })
    .await;
    let session = session(&server, &[]);
    let mut query = accounts();
    let stats = Arc::new(CallStats::default());
    assert_eq!(session.count(&query, &stats).await.unwrap(), 7_000);
    query.aggregates = vec![Aggregate {
        function: AggregateFunction::CountAll,
        field: String::new(),
    }];
    query.fields = vec![QueryField::plain("count", "", ColumnType::Int64)];
    let pages = read(&session, query.clone(), &stats).await.unwrap();
    assert_eq!(*pages[0].columns[0].data(), ColumnData::Int64(vec![6]));
    query.filter = Some(comparison("n", Operator::Greater, Value::Int(5)));
    let pages = read(&session, query, &stats).await.unwrap();
    assert_eq!(*pages[0].columns[0].data(), ColumnData::Int64(vec![42]));
}

#[tokio::test]
async fn a_page_for_people_is_no_page_of_records() {
    let server = server(|_, _, _| Answer::new(200, "<html>Sign in</html>")).await;
    let error = read(&session(&server, &[]), accounts(), &Arc::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Undecodable);
    assert!(error.message().contains("page for people"), "{error:?}");
}
