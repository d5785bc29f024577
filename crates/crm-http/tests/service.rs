//! The service against a real HTTPS server on the loopback interface.

use crm_core::{CallStats, Error, ErrorKind};
use crm_http::testkit::{Answer, Server};
use crm_http::{
    Bearer, HttpOptions, HttpService, Method, Outcome, Request, RetryPolicy, Stage, Url, send_again,
};
use std::path::PathBuf;
use std::time::Duration;

fn options(server: &Server) -> HttpOptions {
    HttpOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        ca_file: Some(server.ca_file().to_path_buf()),
        proxy: None,
        largest_reply: 1024 * 1024,
    }
}

fn get(address: &str) -> Request {
    Request::new(Method::GET, Url::parse(address).unwrap())
}

async fn ask(server: &Server, path: &str, options: &HttpOptions) -> (Outcome, CallStats) {
    let stats = CallStats::default();
    let service = HttpService::new(options).unwrap();
    let request = get(&format!("{}{path}", server.url())).for_data(true);
    let outcome = service.send(&request, None, &stats).await;
    (outcome, stats)
}

fn failed(outcome: Outcome) -> (Stage, Error) {
    let failure = outcome.unwrap_err();
    (failure.stage, failure.error)
}

#[tokio::test]
async fn a_reply_and_what_it_cost() {
    let server = Server::start(|seen| {
        assert_eq!(seen.header("user-agent"), Some("crm_fdw/0.1.0"));
        assert_eq!(seen.header("accept-encoding"), Some("gzip"));
        Answer::new(418, "hello").header("x-a", "b")
    })
    .await
    .unwrap();
    let (outcome, stats) = ask(&server, "/?q=1", &options(&server)).await;
    let reply = outcome.unwrap();
    assert_eq!(
        (reply.status.as_u16(), &reply.body[..]),
        (418, &b"hello"[..])
    );
    assert_eq!(reply.header("x-a"), Some("b"));
    assert_eq!((stats.data_calls(), stats.bytes()), (1, 5));
}

#[tokio::test]
async fn certificates_are_checked() {
    let server = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let mut untrusting = options(&server);
    untrusting.ca_file = None;
    let (outcome, stats) = ask(&server, "/", &untrusting).await;
    let (stage, error) = failed(outcome);
    assert_eq!(stage, Stage::CannotBeSent);
    assert_eq!(error.kind(), ErrorKind::CannotConnect);
    assert!(
        error
            .message()
            .starts_with("could not connect to \"localhost:")
    );
    assert_eq!(
        error.detail(),
        Some("TLS: the certificate's issuer is unknown")
    );
    assert!(error.hint().unwrap().contains("ca_file"));
    assert_eq!(stats.calls(), 0);

    let misnamed = Server::start_as("other.example", |_| Answer::new(200, ""))
        .await
        .unwrap();
    let (outcome, _) = ask(&misnamed, "/", &options(&misnamed)).await;
    let (_, error) = failed(outcome);
    assert_eq!(
        error.detail(),
        Some("TLS: the certificate is for another host name")
    );
}

#[tokio::test]
async fn options_that_cannot_be_used_are_named() {
    let server = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let mut bad = options(&server);
    bad.ca_file = Some(PathBuf::from("/nonexistent/ca.pem"));
    let error = HttpService::new(&bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    assert!(error.message().contains("/nonexistent/ca.pem"));
    let mut bad = options(&server);
    bad.proxy = Some("http://user:TEST-secret@".into());
    let error = HttpService::new(&bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
    assert!(!error.to_string().contains("TEST-secret"));
}

#[tokio::test]
async fn nothing_is_sent_in_the_clear_or_to_a_closed_port() {
    let server = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let service = HttpService::new(&options(&server)).unwrap();
    let stats = CallStats::default();
    let clear = server.url().replace("https:", "http:");
    let (stage, error) = failed(service.send(&get(&clear), None, &stats).await);
    assert_eq!(stage, Stage::CannotBeSent);
    assert!(server.seen().is_empty(), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let closed = format!("https://127.0.0.1:{port}/?secret=TEST-secret");
    let (stage, error) = failed(service.send(&get(&closed), None, &stats).await);
    assert_eq!(stage, Stage::NotSent);
    assert_eq!(error.kind(), ErrorKind::CannotConnect);
    assert!(!format!("{error:?}").contains("TEST-secret"));
    assert_eq!(stats.calls(), 0);
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/moved" => Answer::new(302, "").header("location", "https://elsewhere.example/x?t=TEST-t"),
        "/unchanged" => Answer::new(304, ""),
        _ => Answer::new(300, "[]"),
    })
    .await
    .unwrap();
    let (outcome, _) = ask(&server, "/moved", &options(&server)).await;
    let (stage, error) = failed(outcome);
    assert_eq!(
        (stage, error.kind()),
        (Stage::Redirected, ErrorKind::Undecodable)
    );
    assert_eq!(error.detail(), Some("It leads to \"elsewhere.example\"."));
    for (path, status) in [("/unchanged", 304), ("/choices", 300)] {
        let (outcome, _) = ask(&server, path, &options(&server)).await;
        assert_eq!(outcome.unwrap().status.as_u16(), status);
    }
}

#[tokio::test]
async fn a_token_goes_to_its_own_host_only() {
    let server =
        Server::start(|seen| Answer::new(200, seen.header("authorization").unwrap_or("none")))
            .await
            .unwrap();
    let service = HttpService::new(&options(&server)).unwrap();
    let stats = CallStats::default();
    let own = Bearer::new("TEST!token".into(), &server.url()).unwrap();
    let request = Request::new(Method::GET, own.resolve("/services/data").unwrap());
    let reply = service.send(&request, Some(&own), &stats).await.unwrap();
    assert_eq!(&reply.body[..], b"Bearer TEST!token");

    let foreign = Bearer::new("TEST!token".into(), "https://other.example").unwrap();
    let (stage, error) = failed(service.send(&request, Some(&foreign), &stats).await);
    assert_eq!(
        (stage, error.kind()),
        (Stage::CannotBeSent, ErrorKind::Undecodable)
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_reply_too_large_is_refused_before_it_is_held() {
    let server = Server::start(|_| Answer::new(200, vec![b'x'; 3 * 1024 * 1024]))
        .await
        .unwrap();
    let (outcome, stats) = ask(&server, "/", &options(&server)).await;
    let (stage, error) = failed(outcome);
    assert_eq!(
        (stage, error.kind()),
        (Stage::Unusable, ErrorKind::Undecodable)
    );
    assert!(error.message().ends_with("is larger than 1 MB"), "{error}");
    assert_eq!(stats.bytes(), 0);
}

#[tokio::test]
async fn silence_and_a_cut_body_are_lost_replies() {
    let server = Server::start(|seen| match seen.target.as_str() {
        "/silence" => Answer::silence(),
        _ => Answer::cut("half of this arrives"),
    })
    .await
    .unwrap();
    let mut hasty = options(&server);
    hasty.request_timeout = Duration::from_millis(200);
    for (path, words) in [("/silence", "did not answer in time"), ("/cut", "broke")] {
        let (outcome, stats) = ask(&server, path, &hasty).await;
        let (stage, error) = failed(outcome);
        assert_eq!(
            (stage, error.kind()),
            (Stage::Lost, ErrorKind::ConnectionLost)
        );
        assert!(error.message().contains(words), "{error}");
        assert_eq!(stats.calls(), 1);
    }
}

#[tokio::test]
async fn a_cut_reply_is_asked_for_again() {
    let n_asked = std::sync::atomic::AtomicUsize::new(0);
    let server =
        Server::start(
            move |_| match n_asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Answer::cut("half of this arrives"),
                1 => Answer::new(429, "").header("retry-after", "0"),
                _ => Answer::new(200, "whole"),
            },
        )
        .await
        .unwrap();
    let service = HttpService::new(&options(&server)).unwrap();
    let (request, stats) = (get(&server.url()), CallStats::default());
    let policy = RetryPolicy {
        max_retries: 3,
        retry_timeout: Duration::from_secs(60),
    };
    let replied = send_again(policy, true, &stats, || {
        service.send(&request, None, &stats)
    })
    .await
    .unwrap();
    assert_eq!((&replied.reply.body[..], replied.tries), (&b"whole"[..], 3));
    assert_eq!((stats.calls(), stats.retries()), (3, 2));
}
