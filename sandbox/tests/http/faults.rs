//! Each fault as a client meets it, and that the next request is whole again.

use std::time::{Duration, Instant};

use crate::common::{V, World, code, world};
use crm_sandbox::Config;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

const SOQL: &str = "SELECT Id, Name, Number__c, Check__c FROM AllTypes__c";

async fn body(world: &World) -> Result<Vec<u8>, reqwest::Error> {
    let answer = world
        .send(Method::GET, &World::query_path(SOQL), None)
        .await?;
    answer.bytes().await.map(|b| b.to_vec())
}

#[tokio::test]
async fn statuses_come_with_their_usual_bodies() {
    let world = world(Config::default()).await;
    for (fault, status, retry_after, shown) in [
        (
            json!({"kind": "status", "status": 503, "retry_after": 2}),
            503,
            Some("2"),
            "<html>",
        ),
        (
            json!({"kind": "status", "status": 429}),
            429,
            None,
            "<html>",
        ),
        (
            json!({"kind": "status", "status": 500}),
            500,
            None,
            "UNKNOWN_EXCEPTION",
        ),
        (json!({"kind": "status", "status": 406}), 406, None, ""),
        (
            json!({"kind": "status", "status": 400, "error_code": "UNABLE_TO_LOCK_ROW"}),
            400,
            None,
            "UNABLE_TO_LOCK_ROW",
        ),
        (
            json!({"kind": "status", "status": 503, "body": "json"}),
            503,
            None,
            "SERVER_UNAVAILABLE",
        ),
    ] {
        world.fault(fault).await;
        let answer = world
            .send(Method::GET, &World::query_path(SOQL), None)
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status);
        let header = answer
            .headers()
            .get("retry-after")
            .map(|v| v.to_str().unwrap().to_owned());
        assert_eq!(header.as_deref(), retry_after);
        let text = answer.text().await.unwrap();
        assert!(text.contains(shown), "{text}");
        assert_eq!(world.query(SOQL).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_rule_strikes_the_requests_it_names() {
    let world = world(Config::default()).await;
    world
        .fault(json!([
            {"path": "FROM AllTypes__c", "kind": "status", "status": 500, "after": 1, "times": 2},
            {"path": "/limits", "method": "POST", "kind": "status", "status": 500, "times": 0},
        ]))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(world.query(SOQL).await.0.as_u16());
        assert_eq!(world.get(&format!("{V}/limits")).await.0, StatusCode::OK);
    }
    assert_eq!(statuses, [200, 500, 500, 200]);
    world.admin(Method::DELETE, "/faults", None).await;
    assert_eq!(world.admin(Method::GET, "/faults", None).await, json!([]));
}

#[tokio::test]
async fn a_cut_body_arrives_in_part() {
    let world = world(Config::default()).await;
    let whole = body(&world).await.unwrap();
    world.fault(json!({"kind": "cut", "bytes": 100})).await;
    let mut answer = world
        .send(Method::GET, &World::query_path(SOQL), None)
        .await
        .unwrap();
    assert_eq!(answer.content_length(), Some(whole.len() as u64));
    let mut got = Vec::new();
    let error = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => panic!("the body ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert_eq!(got, whole[..100], "{error}");
    assert_eq!(body(&world).await.unwrap(), whole);
}

#[tokio::test]
async fn a_lost_reply_was_carried_out() {
    let world = world(Config::default()).await;
    world.fault(json!({"kind": "lose_reply"})).await;
    assert!(body(&world).await.is_err());
    let url = format!("{}/last_query", world.sandbox.admin_url);
    let last = world
        .client
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(last, SOQL);
    let report = world.admin(Method::GET, "/requests", None).await;
    let log = report["log"].as_array().unwrap();
    assert_eq!(log[log.len() - 1]["fault"], "lose_reply");
    assert_eq!(log[log.len() - 1]["status"], 0);
}

#[tokio::test]
async fn slow_answers_come_later_and_hanging_ones_at_a_reset() {
    let world = world(Config::default()).await;
    world.fault(json!({"kind": "slow", "ms": 300})).await;
    let start = Instant::now();
    assert!(body(&world).await.is_ok());
    assert!(start.elapsed() >= Duration::from_millis(300));
    world.fault(json!({"kind": "hang"})).await;
    let hanging = body(&world);
    let reset = async {
        // The rule is used up at the moment the request begins to hang.
        while world.admin(Method::GET, "/faults", None).await != json!([]) {
            tokio::task::yield_now().await;
        }
        let unanswered = world.admin(Method::GET, "/requests", None).await["log"]
            .as_array()
            .unwrap()
            .len();
        world.admin(Method::POST, "/reset", None).await;
        unanswered
    };
    let (hung, unanswered) = tokio::join!(hanging, reset);
    assert!(hung.is_err(), "dropped without an answer");
    assert_eq!(
        unanswered, 2,
        "sign-in and the slow query were logged, the hanging one was not"
    );
}

#[tokio::test]
async fn an_unauthorized_token_is_really_ended() {
    let world = world(Config::default()).await;
    world.fault(json!({"kind": "unauthorized"})).await;
    for _ in 0..2 {
        let (status, answer) = world.query(SOQL).await;
        assert_eq!(
            (status.as_u16(), code(&answer)),
            (401, "INVALID_SESSION_ID")
        );
    }
}

#[tokio::test]
async fn links_and_redirects_lead_elsewhere() {
    let world = world(Config {
        page_cap: Some(10),
        ..Config::default()
    })
    .await;
    world.fault(json!({"kind": "foreign_next_link"})).await;
    let (_, page) = world.query(SOQL).await;
    assert!(
        page["nextRecordsUrl"]
            .as_str()
            .unwrap()
            .starts_with("https://evil.example/services/data/")
    );
    world.fault(json!({"kind": "redirect"})).await;
    let answer = world
        .send(Method::GET, &World::query_path(SOQL), None)
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(
        answer.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with("https://evil.example/")
    );
}

#[tokio::test]
async fn bodies_are_spoilt_in_many_ways() {
    let world = world(Config {
        page_cap: Some(10),
        ..Config::default()
    })
    .await;
    let whole = body(&world).await.unwrap();
    let mut spoilt = Vec::new();
    for kind in [
        "malformed",
        "short_page",
        "bad_utf8",
        "nul",
        "wrong_types",
        "deep",
        "html",
        "empty",
    ] {
        world.fault(json!({"kind": kind})).await;
        let bytes = body(&world).await.unwrap();
        assert_ne!(bytes, whole, "{kind}");
        spoilt.push((kind, bytes));
    }
    let of = |name: &str| &spoilt.iter().find(|(kind, _)| *kind == name).unwrap().1;
    let json = |name: &str| serde_json::from_slice::<Value>(of(name));
    for kind in ["malformed", "bad_utf8", "deep", "html", "empty"] {
        assert!(json(kind).is_err(), "{kind}");
    }
    let short = json("short_page").unwrap();
    assert_eq!(
        (
            short["records"].as_array().unwrap().len(),
            short["totalSize"].as_u64()
        ),
        (9, Some(58))
    );
    let nul = json("nul").unwrap();
    assert!(nul["records"][0]["Name"].as_str().unwrap().contains('\0'));
    let wrong = json("wrong_types").unwrap();
    assert!(wrong["records"][0]["Name"].is_object());
    assert_eq!(wrong["records"][0]["Check__c"], "perhaps");
    assert_eq!(of("malformed").len(), whole.len() / 2);
    assert!(std::str::from_utf8(of("bad_utf8")).is_err());
    assert!(of("deep").len() > 500_000);
    assert!(of("empty").is_empty());
    assert_eq!(body(&world).await.unwrap(), whole);
}

#[tokio::test]
async fn an_endless_body_goes_on_until_the_client_leaves() {
    let world = world(Config::default()).await;
    world.fault(json!({"kind": "huge"})).await;
    let mut answer = world
        .send(Method::GET, &World::query_path(SOQL), None)
        .await
        .unwrap();
    let mut got = 0;
    while got < 20_000_000 {
        got += answer
            .chunk()
            .await
            .unwrap()
            .expect("it does not end")
            .len();
    }
    drop(answer);
    assert_eq!(world.query(SOQL).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_shutdown_lets_hanging_requests_go() {
    let world = world(Config::default()).await;
    world.fault(json!({"kind": "hang"})).await;
    let hanging = body(&world);
    let stop = async {
        while world.admin(Method::GET, "/faults", None).await != json!([]) {
            tokio::task::yield_now().await;
        }
        world.sandbox.shutdown();
    };
    let (hung, ()) = tokio::join!(hanging, stop);
    assert!(hung.is_err());
}

#[tokio::test]
async fn answers_can_be_delayed_from_now_on_and_their_bytes_are_counted() {
    let world = world(Config::default()).await;
    let delayed = json!({"ms": 200});
    world.admin(Method::POST, "/latency", Some(delayed)).await;
    world.admin(Method::DELETE, "/requests", None).await;
    let begun = Instant::now();
    let bytes = body(&world).await.unwrap().len();
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let report = world.admin(Method::GET, "/requests", None).await;
    assert_eq!(report["bytes"], bytes);
    let at_once = json!({"ms": 0});
    world.admin(Method::POST, "/latency", Some(at_once)).await;
    let begun = Instant::now();
    body(&world).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(200));
}
