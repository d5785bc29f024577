//! Single connections against a server on the loopback interface.

use crm_core::{CallStats, ErrorKind};
use crm_http::testkit::{Answer, Server};
use crm_http::{Failure, HttpOptions, Method, PinnedService, Request, Stage, Url, header};
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

fn options(ca_file: &Path) -> HttpOptions {
    HttpOptions {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(5),
        ca_file: Some(ca_file.to_owned()),
        proxy: None,
        largest_reply: 1000,
    }
}

fn get(server: &Server, path: &str) -> Request {
    let url = Url::parse(&format!("{}{path}", server.url())).unwrap();
    Request::new(Method::GET, url).for_data(true)
}

/// The failure of the first request over a new connection.
async fn failure_of(server: &Server, options: &HttpOptions) -> Failure {
    let request = get(server, "/");
    let stats = CallStats::default();
    match PinnedService::new(options)
        .unwrap()
        .connect(&request.url)
        .await
    {
        Ok(mut connection) => connection.send(&request, None, &stats).await.unwrap_err(),
        Err(failure) => failure,
    }
}

#[tokio::test]
async fn all_requests_go_over_one_connection() {
    let server = Server::start(|seen| Answer::new(200, seen.target.clone()))
        .await
        .unwrap();
    let service = PinnedService::new(&options(server.ca_file())).unwrap();
    let stats = CallStats::default();
    let url = get(&server, "/").url;
    let mut connection = service.connect(&url).await.unwrap();
    let other = service.connect(&url).await.unwrap();
    assert!(
        connection
            .server_certificate()
            .is_some_and(|der| der[0] == 0x30)
    );
    for path in ["/a?b=%20", "/c"] {
        let mut request = get(&server, path);
        request.method = Method::POST;
        let request = request.body("TEST");
        let token = header::HeaderValue::from_static("TEST token");
        let reply = connection
            .send(&request, Some(&token), &stats)
            .await
            .unwrap();
        assert_eq!(reply.body, path);
        assert!(connection.is_open());
    }
    drop(other);
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|seen| seen.connection == 0 && seen.body == "TEST")
    );
    assert_eq!(seen[0].header("authorization"), Some("TEST token"));
    let host = server.url().replace("https://", "");
    assert_eq!(seen[0].header("host"), Some(&*host));
    assert_eq!(stats.calls(), 2);
}

#[tokio::test]
async fn a_connection_that_the_host_closes_is_no_longer_open() {
    let server = Server::start(|_| Answer::new(200, "bye").and_close())
        .await
        .unwrap();
    let service = PinnedService::new(&options(server.ca_file())).unwrap();
    let stats = CallStats::default();
    let request = get(&server, "/");
    let mut connection = service.connect(&request.url).await.unwrap();
    connection.send(&request, None, &stats).await.unwrap();
    let failure = connection.send(&request, None, &stats).await.unwrap_err();
    assert_eq!(failure.stage, Stage::NotSent, "{failure:?}");
    assert!(!connection.is_open());
}

#[tokio::test]
async fn failures_say_how_far_the_request_came() {
    let cut = Server::start(|_| Answer::cut("half of this"))
        .await
        .unwrap();
    let failure = failure_of(&cut, &options(cut.ca_file())).await;
    assert_eq!(failure.stage, Stage::Lost);

    let large = Server::start(|_| Answer::new(200, vec![b'x'; 1001]))
        .await
        .unwrap();
    let failure = failure_of(&large, &options(large.ca_file())).await;
    assert_eq!(failure.stage, Stage::Unusable);

    let moved =
        Server::start(|_| Answer::new(302, "").header("location", "https://sts.example/adfs/ls/"));
    let moved = moved.await.unwrap();
    let failure = failure_of(&moved, &options(moved.ca_file())).await;
    assert_eq!(failure.stage, Stage::Redirected);
    assert_eq!(failure.error.detail(), Some("It leads to \"sts.example\"."));

    let silent = Server::start(|_| Answer::silence()).await.unwrap();
    let hasty = HttpOptions {
        request_timeout: Duration::from_millis(50),
        ..options(silent.ca_file())
    };
    let failure = failure_of(&silent, &hasty).await;
    assert_eq!(failure.stage, Stage::Lost);
    assert!(failure.error.message().ends_with("did not answer in time"));
}

#[tokio::test]
async fn certificates_are_checked() {
    let server = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let other = Server::start_as("elsewhere.example", |_| Answer::new(200, ""))
        .await
        .unwrap();
    for (server, ca_file, words) in [
        (&server, other.ca_file(), "issuer"),
        (&other, other.ca_file(), "another host name"),
    ] {
        let failure = failure_of(server, &options(ca_file)).await;
        assert_eq!(failure.stage, Stage::CannotBeSent);
        assert_eq!(failure.error.kind(), ErrorKind::CannotConnect);
        assert!(
            failure.error.detail().unwrap().contains(words),
            "{failure:?}"
        );
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn a_connection_belongs_to_one_host_and_to_tls() {
    let server = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let other = Server::start(|_| Answer::new(200, "")).await.unwrap();
    let service = PinnedService::new(&options(server.ca_file())).unwrap();
    let mut connection = service.connect(&get(&server, "/").url).await.unwrap();
    let stats = CallStats::default();
    let failure = connection
        .send(&get(&other, "/"), None, &stats)
        .await
        .unwrap_err();
    assert_eq!(failure.stage, Stage::CannotBeSent);
    let bare = Url::parse("http://localhost:1/").unwrap();
    assert_eq!(
        service.connect(&bare).await.err().unwrap().stage,
        Stage::CannotBeSent
    );
    assert!(other.seen().is_empty());
}

/// Serves one CONNECT and carries the bytes; gives the head of the request.
async fn carry(listener: TcpListener, port: u16) -> String {
    let (mut inner, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(inner.read_u8().await.unwrap());
    }
    let mut outer = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    inner.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = copy_bidirectional(&mut inner, &mut outer).await;
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_proxy_carries_the_connection() {
    let server = Server::start(|_| Answer::new(200, "through"))
        .await
        .unwrap();
    let request = get(&server, "/");
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let carrying = tokio::spawn(carry(listener, request.url.port().unwrap()));
    let through = |address: String| HttpOptions {
        proxy: Some(address),
        ..options(server.ca_file())
    };
    let service = PinnedService::new(&through(format!("http://test:test-pw@{proxy}"))).unwrap();
    let stats = CallStats::default();
    let mut connection = service.connect(&request.url).await.unwrap();
    let reply = connection.send(&request, None, &stats).await.unwrap();
    assert_eq!(reply.body, "through");
    drop(connection);
    let head = carrying.await.unwrap().to_ascii_lowercase();
    assert!(head.starts_with("connect localhost:"), "{head}");
    assert!(head.contains("proxy-authorization: basic "), "{head}");
    for other in ["socks5://127.0.0.1:1", "https://127.0.0.1:1"] {
        let error = PinnedService::new(&through(other.into())).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotSupported);
    }
}
