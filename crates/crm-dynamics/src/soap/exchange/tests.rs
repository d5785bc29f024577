use super::*;
use crate::options::OPTIONS;
use crate::soap::envelope;
use crm_core::{Account, COMMON_OPTIONS};
use crm_http::testkit::{Answer, Seen, Server};
use std::sync::atomic::{AtomicUsize, Ordering};

const TOKEN: &str =
    include_str!("../../../tests/fixtures/soap/request_security_token_response_onpremise.xml");
const WHO: &str = include_str!("../../../tests/fixtures/soap/who_am_i_result.xml");
const FAULT: &str = include_str!("../../../tests/fixtures/soap/sender_fault.xml");
const EXPIRED: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a="urn:a">a:InvalidSecurity</s:Value></s:Subcode></s:Code><s:Reason><s:Text>An error occurred when verifying security for the message.</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>"#;
const DEADLOCK: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>Generic SQL error.</s:Text></s:Reason><s:Detail><OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"><ErrorCode>-2147204784</ErrorCode><Message>Generic SQL error.</Message></OrganizationServiceFault></s:Detail></s:Fault></s:Body></s:Envelope>"#;

/// A session at `server`, which is the token service as well.
pub(crate) fn session(server: &Server) -> DynamicsSession {
    let ca_file = server.ca_file().to_str().unwrap().to_owned();
    let url = server.url();
    let mut account = Account::new("crm");
    for (name, value) in [
        ("url", &*url),
        ("ca_file", &*ca_file),
        ("deployment", "on_premise"),
        ("auth", "ws_trust"),
        ("authority", &*url),
        ("username", "CONTOSO\\jane"),
        ("password", "TEST-password"),
        ("max_retries", "2"),
    ] {
        let mut options = OPTIONS.iter().chain(COMMON_OPTIONS);
        let option = options.find(|option| option.name == name).unwrap();
        account.set(option, value.into());
    }
    DynamicsSession::new(account).unwrap()
}

fn is_sign_in(seen: &Seen) -> bool {
    seen.target.ends_with("/usernamemixed")
}

fn who_am_i(repeatable: bool) -> Operation {
    let body = envelope::executed(envelope::execute("q:WhoAmIRequest"), "WhoAmI").unwrap();
    let operation = Operation::reading("Execute", body).for_data();
    if repeatable {
        operation
    } else {
        operation.once()
    }
}

/// Answers sign-ins with a token, and the n-th operation by `answer`.
async fn service(answer: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Server {
    let n_calls = AtomicUsize::new(0);
    Server::start(move |seen| {
        if is_sign_in(seen) {
            return Answer::new(200, TOKEN);
        }
        answer(n_calls.fetch_add(1, Ordering::Relaxed))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn operations_are_signed_with_one_token() {
    let server = service(|_| Answer::new(200, WHO)).await;
    let session = session(&server);
    let stats = CallStats::default();
    for _ in 0..2 {
        call(&session, &who_am_i(true), &stats).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.iter().filter(|seen| is_sign_in(seen)).count(), 1);
    assert_eq!(seen.len(), 3);
    let last = &seen[2];
    assert_eq!(last.target, "/XRMServices/2011/Organization.svc");
    assert_eq!(
        last.header("content-type"),
        Some("application/soap+xml; charset=UTF-8")
    );
    assert!(last.body.contains("<SignatureValue>") && last.body.contains("<xenc:EncryptedData"));
    assert!(last.body.contains(
        "<SdkClientVersion xmlns=\"http://schemas.microsoft.com/xrm/2011/Contracts\">9.0.0.0<"
    ));
    assert!(!last.body.contains("TEST-password"));
    assert_eq!(stats.data_calls(), 2);
}

#[tokio::test]
async fn a_token_that_is_no_longer_taken_is_renewed_once() {
    let server = service(|n| {
        if n == 0 {
            Answer::new(500, EXPIRED)
        } else {
            Answer::new(200, WHO)
        }
    })
    .await;
    let session = session(&server);
    call(&session, &who_am_i(false), &CallStats::default())
        .await
        .unwrap();
    assert_eq!(server.seen().len(), 4);

    let server = service(|_| Answer::new(500, EXPIRED)).await;
    let session = self::session(&server);
    let error = call(&session, &who_am_i(true), &CallStats::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LoginRefused);
    assert!(error.hint().unwrap().contains("clocks"));
    assert_eq!(server.seen().len(), 4, "not a third time");
}

#[tokio::test]
async fn a_refused_password_is_sent_once() {
    let refusal = EXPIRED.replace("InvalidSecurity", "FailedAuthentication");
    let server = Server::start(move |_| Answer::new(500, refusal.clone()))
        .await
        .unwrap();
    let session = session(&server);
    for _ in 0..3 {
        let error = call(&session, &who_am_i(true), &CallStats::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LoginRefused);
        assert!(!format!("{error:?}").contains("TEST-password"));
    }
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_fault_is_final_unless_it_passes() {
    let server = service(|_| Answer::new(500, FAULT)).await;
    let session = session(&server);
    let trouble = exchange(&session, &who_am_i(true), &CallStats::default())
        .await
        .unwrap_err();
    assert_eq!(trouble.error.kind(), ErrorKind::FieldUnknown);
    assert!(!trouble.may_be_done);
    assert_eq!(server.seen().len(), 2);

    // A deadlock may come in the middle of several requests, so only what does no harm twice is sent again.
    for (repeatable, retries) in [(true, 1), (false, 0)] {
        let server = service(|n| {
            if n == 0 {
                Answer::new(500, DEADLOCK)
            } else {
                Answer::new(200, WHO)
            }
        })
        .await;
        let session = self::session(&server);
        let stats = CallStats::default();
        let answered = exchange(&session, &who_am_i(repeatable), &stats).await;
        assert_eq!(answered.is_ok(), repeatable);
        assert_eq!(stats.retries(), retries);
    }
}

#[tokio::test]
async fn what_is_no_message_is_said_to_be_none() {
    type Case = (fn() -> Answer, ErrorKind, bool);
    let cases: [Case; 5] = [
        (
            || Answer::new(200, "<html><body>Sign in</body></html>"),
            ErrorKind::Undecodable,
            true,
        ),
        (
            || Answer::new(404, "not here"),
            ErrorKind::RemoteFault,
            false,
        ),
        (
            || Answer::new(200, "<s:Envelope xmlns:s=\"urn:x\"><s:Body/></s:Envelope>"),
            ErrorKind::Undecodable,
            true,
        ),
        (
            || {
                Answer::new(
                    200,
                    "<!DOCTYPE x SYSTEM \"https://evil.example/x\"><s:Envelope/>",
                )
            },
            ErrorKind::Undecodable,
            true,
        ),
        (
            || Answer::new(302, "").header("location", "https://sts.example/adfs/ls/"),
            ErrorKind::Undecodable,
            false,
        ),
    ];
    for (answer, kind, may_be_done) in cases {
        let server = service(move |_| answer()).await;
        let session = session(&server);
        let trouble = exchange(&session, &who_am_i(false), &CallStats::default())
            .await
            .unwrap_err();
        assert_eq!(trouble.error.kind(), kind, "{trouble:?}");
        assert_eq!(trouble.may_be_done, may_be_done, "{trouble:?}");
        assert_eq!(server.seen().len(), 2);
    }
}
