use super::*;
use crate::options::OPTIONS;
use crm_http::Url;
use crm_http::testkit::{Answer, Seen, Server};
use std::collections::HashSet;
use std::sync::{Arc, Mutex as StdMutex};

/// The challenge that MS-NLMP prints in section 4.2.4.3.
const CHALLENGE: &str = "4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef00000000000000002400240044000000060070170000000f53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000";
const PASSWORD: &str = "TEST-password";

fn challenge() -> String {
    let byte = |at: usize| u8::from_str_radix(&CHALLENGE[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..CHALLENGE.len()).step_by(2).map(byte).collect();
    STANDARD.encode(bytes)
}

/// The scheme and the message of a request that brings one.
fn message_of(seen: &Seen) -> Option<(String, Vec<u8>)> {
    let (scheme, message) = seen.header("authorization")?.split_once(' ')?;
    Some((scheme.to_owned(), STANDARD.decode(message).ok()?))
}

fn kind(message: &[u8]) -> u8 {
    assert_eq!(&message[..8], b"NTLMSSP\0");
    message[8]
}

/// A field of the message that tells the user: its length and place stand at `at`.
fn field(message: &[u8], at: usize) -> Vec<u8> {
    let length = usize::from(u16::from_le_bytes([message[at], message[at + 1]]));
    let start = u32::from_le_bytes(message[at + 4..at + 8].try_into().unwrap()) as usize;
    message[start..start + length].to_vec()
}

fn text_field(message: &[u8], at: usize) -> String {
    let units: Vec<u16> = field(message, at)
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

/// A server that signs in one user by connection, and the schemes it takes.
async fn server(scheme: &'static str, domain: &'static str, user: &'static str) -> Server {
    let signed_in = Arc::new(StdMutex::new(HashSet::new()));
    Server::start(move |seen| {
        let offer = || Answer::new(401, "no").header("WWW-Authenticate", scheme);
        let mut signed_in = signed_in.lock().unwrap();
        match message_of(seen) {
            Some((named, message)) if named == scheme && kind(&message) == 1 => {
                assert_eq!(seen.body, "", "the greeting carries no body");
                let text = format!("{scheme} {}", challenge());
                Answer::new(401, "").header("www-authenticate", &text)
            }
            Some((named, message)) if named == scheme && kind(&message) == 3 => {
                // An answer of version 1 has 24 bytes.
                assert!(field(&message, 20).len() > 44);
                if (text_field(&message, 28), text_field(&message, 36))
                    != (domain.to_owned(), user.to_owned())
                {
                    return offer();
                }
                signed_in.insert(seen.connection);
                Answer::new(200, seen.body.clone())
            }
            None if signed_in.contains(&seen.connection) => {
                if seen.target == "/close" {
                    return Answer::new(200, "bye").and_close();
                }
                Answer::new(200, seen.body.clone())
            }
            _ => offer(),
        }
    })
    .await
    .unwrap()
}

fn windows(server: &Server, username: &str) -> Windows {
    let mut account = Account::new("crm");
    for (name, value) in [("username", username), ("password", PASSWORD)] {
        let option = OPTIONS.iter().find(|option| option.name == name).unwrap();
        account.set(option, value.into());
    }
    let mut options = HttpOptions::from_account(&account);
    options.ca_file = Some(server.ca_file().to_owned());
    Windows::new(&account, &options).unwrap()
}

fn post(server: &Server, path: &str, body: &'static str) -> Request {
    let url = Url::parse(&format!("{}{path}", server.url())).unwrap();
    Request::new(Method::POST, url).body(body).for_data(true)
}

#[tokio::test]
async fn a_connection_is_signed_in_once_and_kept() {
    for (scheme, username, domain, user) in [
        ("NTLM", "CONTOSO\\jane", "CONTOSO", "jane"),
        ("NTLM", "jane@contoso.example", "", "jane@contoso.example"),
        ("Negotiate", "CONTOSO\\jane", "CONTOSO", "jane"),
    ] {
        let server = server(scheme, domain, user).await;
        let windows = windows(&server, username);
        let stats = CallStats::default();
        for body in ["first", "second", "third"] {
            let reply = windows
                .send(&post(&server, "/", body), &stats)
                .await
                .unwrap();
            assert_eq!(reply.body, body);
        }
        let seen = server.seen();
        assert!(seen.iter().all(|seen| seen.connection == 0));
        assert_eq!(seen.last().unwrap().header("authorization"), None);
        assert_eq!(stats.data_calls(), 3, "greetings fetch no records");
        assert!(!format!("{seen:?}").contains(PASSWORD));
    }
}

#[tokio::test]
async fn a_closed_connection_is_replaced_and_signed_in_anew() {
    let server = server("NTLM", "CONTOSO", "jane").await;
    let windows = windows(&server, "CONTOSO\\jane");
    let stats = CallStats::default();
    for (path, body) in [("/", "a"), ("/close", "b"), ("/", "c")] {
        windows
            .send(&post(&server, path, body), &stats)
            .await
            .unwrap();
    }
    let last = server.seen().pop().unwrap();
    assert_eq!((last.connection, &*last.body), (1, "c"));
}

#[tokio::test]
async fn requests_at_once_have_connections_of_their_own() {
    let server = server("NTLM", "CONTOSO", "jane").await;
    let windows = windows(&server, "CONTOSO\\jane");
    let stats = CallStats::default();
    let (a, b) = (post(&server, "/", "a"), post(&server, "/", "b"));
    let (a, b) = tokio::join!(windows.send(&a, &stats), windows.send(&b, &stats));
    assert_eq!(
        (&a.unwrap().body[..], &b.unwrap().body[..]),
        (&b"a"[..], &b"b"[..])
    );
    let idle = windows.idle.lock().unwrap().len();
    assert_eq!(idle, 2);
}

#[tokio::test]
async fn a_refusal_is_final() {
    let server = server("NTLM", "CONTOSO", "jane").await;
    let windows = windows(&server, "CONTOSO\\john");
    let stats = CallStats::default();
    for _ in 0..3 {
        let failure = windows
            .send(&post(&server, "/", "x"), &stats)
            .await
            .unwrap_err();
        assert_eq!(failure.stage, Stage::CannotBeSent);
        assert_eq!(failure.error.kind(), ErrorKind::LoginRefused);
        assert!(failure.error.hint().unwrap().contains("DOMAIN\\user"));
        assert!(!format!("{failure:?}").contains(PASSWORD));
    }
    let proofs = server
        .seen()
        .iter()
        .filter(|seen| message_of(seen).is_some_and(|(_, message)| kind(&message) == 3))
        .count();
    assert_eq!(proofs, 1);
}

#[tokio::test]
async fn servers_without_windows_accounts_are_told_apart() {
    type Case = (fn() -> Answer, ErrorKind, &'static str);
    let cases: [Case; 5] = [
        (
            || Answer::new(302, "").header("location", "https://sts.example/adfs/ls/?wa=x"),
            ErrorKind::Undecodable,
            "adfs",
        ),
        (
            || Answer::new(401, "").header("www-authenticate", "Bearer authorization_uri=x"),
            ErrorKind::NotSupported,
            "adfs",
        ),
        (
            || Answer::new(200, "<html>"),
            ErrorKind::Undecodable,
            "adfs",
        ),
        (
            || Answer::new(401, "").header("www-authenticate", "NTLM AAAA"),
            ErrorKind::Undecodable,
            "",
        ),
        (
            || Answer::new(401, "").header("www-authenticate", "Negotiate"),
            ErrorKind::NotSupported,
            "Kerberos",
        ),
    ];
    for (answer, kind, hint) in cases {
        let server = Server::start(move |_| answer()).await.unwrap();
        let windows = windows(&server, "CONTOSO\\jane");
        let stats = CallStats::default();
        let failure = windows
            .send(&post(&server, "/", "x"), &stats)
            .await
            .unwrap_err();
        assert_eq!(failure.error.kind(), kind, "{failure:?}");
        assert!(
            failure.error.hint().unwrap_or_default().contains(hint),
            "{failure:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_fails_at_the_greeting_is_heard() {
    let server = Server::start(|_| Answer::new(503, "later").header("retry-after", "7"))
        .await
        .unwrap();
    let windows = windows(&server, "CONTOSO\\jane");
    let reply = windows
        .send(&post(&server, "/", "x"), &CallStats::default())
        .await
        .unwrap();
    assert_eq!(reply.header("retry-after"), Some("7"));
    // Nobody has been signed in.
    assert!(windows.idle.lock().unwrap().is_empty());
    assert!(matches!(*windows.trust.lock().await, Trust::Untried));
}

#[test]
fn schemes_offered_in_one_line_or_many() {
    let reply = |lines: &[&'static str]| {
        let mut headers = crm_http::header::HeaderMap::new();
        for line in lines {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
        }
        Reply {
            status: StatusCode::UNAUTHORIZED,
            headers,
            body: "".into(),
        }
    };
    for (lines, scheme, expected) in [
        (&["Negotiate", "NTLM"][..], "ntlm", true),
        (&["Negotiate, NTLM"], "NTLM", true),
        (
            &["Bearer authorization_uri=https://x/NTLM, resource_id=y"],
            "NTLM",
            false,
        ),
        (&[], "NTLM", false),
    ] {
        assert_eq!(offers(&reply(lines), scheme), expected, "{lines:?}");
    }
}

#[test]
fn a_broken_challenge_does_no_harm() {
    let whole = STANDARD.decode(challenge()).unwrap();
    for length in 0..whole.len() {
        for poke in [0, 1, 255] {
            let mut broken = whole[..length].to_vec();
            if let Some(last) = broken.last_mut() {
                *last = poke;
            }
            let mut ntlm = Ntlm::with_config(NtlmConfig::default());
            let mut credentials = Some(AuthIdentityBuffers::from_utf8("jane", "", PASSWORD));
            step(&mut ntlm, &mut credentials, None, None).ok().unwrap();
            // Some cuts leave a challenge that can be used; none may end in a panic.
            let _ = step(&mut ntlm, &mut credentials, Some(broken), None);
        }
    }
}
