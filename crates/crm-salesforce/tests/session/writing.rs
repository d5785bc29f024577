//! Writing in calls: what is sent, what is made of each answer, and what is sent again.

use crate::support::{asked, batch, id, refused, server, session, session_with, words};
use crm_core::{
    CallStats, ErrorKind, NoTickets, Operation, RecordOutcome, Value, WriteBatch, WriteReply,
};
use crm_http::testkit::{Answer, Server};
use tokio::task::JoinSet;

async fn write(server: &Server, batch: &WriteBatch) -> WriteReply {
    let stats = CallStats::default();
    session(server).write(batch, &NoTickets, &stats).await
}

fn saved(results: &[String]) -> Answer {
    Answer::new(200, format!("[{}]", results.join(",")))
}

fn ok(number: usize) -> String {
    format!(r#"{{"id":"{}","success":true,"errors":[]}}"#, id(number))
}

fn fault(code: &str, fields: &str) -> String {
    format!(
        r#"{{"success":false,"errors":[{{"statusCode":"{code}","message":"no","fields":[{fields}]}}]}}"#
    )
}

#[tokio::test]
async fn each_operation_says_what_the_page_says() {
    let (one, two) = (id(1), id(2));
    let short = &one[..15];
    for (operation, records, request, body, expected) in [
        (
            Operation::Create,
            vec![("", &["a\"b", "-"][..]), ("", &["", "c"])],
            "POST /services/data/v66.0/composite/sobjects".to_owned(),
            r#"{"allOrNone":false,"records":[{"attributes":{"type":"Contact"},"LastName":"a\"b","Email":null},{"attributes":{"type":"Contact"},"LastName":null,"Email":"c"}]}"#.to_owned(),
            vec![format!("+{one}"), format!("+{two}")],
        ),
        (
            Operation::Update,
            vec![(short, &["a", "-"][..]), (two.as_str(), &["b", "c"])],
            "PATCH /services/data/v66.0/composite/sobjects".to_owned(),
            format!(r#"{{"allOrNone":false,"records":[{{"attributes":{{"type":"Contact"}},"id":"{one}","LastName":"a","Email":null}},{{"attributes":{{"type":"Contact"}},"id":"{two}","LastName":"b","Email":"c"}}]}}"#),
            vec![format!("={one}"), format!("={two}")],
        ),
        (
            Operation::Upsert,
            vec![("k1", &["a", "-"][..]), ("k2", &["b", "c"])],
            "PATCH /services/data/v66.0/composite/sobjects/Contact/Ext__c".to_owned(),
            r#"{"allOrNone":false,"records":[{"attributes":{"type":"Contact"},"Ext__c":"k1","LastName":"a","Email":null},{"attributes":{"type":"Contact"},"Ext__c":"k2","LastName":"b","Email":"c"}]}"#.to_owned(),
            vec![format!("+{one}"), two.clone()],
        ),
        (
            Operation::Delete,
            vec![(one.as_str(), &["-", "-"][..]), (two.as_str(), &["-", "-"])],
            format!("DELETE /services/data/v66.0/composite/sobjects?ids={one},{two}&allOrNone=false"),
            String::new(),
            vec![one.clone(), two.clone()],
        ),
    ] {
        let server = server(move |_, _, _| {
            // Only an upsert tells, and not always.
            let created = if operation == Operation::Upsert { r#""created":true,"# } else { "" };
            saved(&[ok(1).replace('{', &format!("{{{created}")), ok(2)])
        })
        .await;
        let batch = batch(operation, &["LastName", "Email"], &records);
        let reply = write(&server, &batch).await;
        assert!(reply.failure.is_none(), "{operation:?}: {reply:?}");
        assert_eq!(words(&reply), expected, "{operation:?}");
        assert_eq!(asked(&server), [request], "{operation:?}");
        let seen = server.seen().pop().unwrap();
        assert_eq!(seen.body, body, "{operation:?}");
        assert_eq!(seen.header("sforce-auto-assign"), Some("FALSE"));
        assert_eq!(seen.header("sforce-duplicate-rule-header"), None);
    }
}

#[tokio::test]
async fn an_upsert_by_identifier_makes_no_record() {
    let server = server(|_, _, _| saved(&[fault("NOT_FOUND", ""), ok(2)])).await;
    let mut batch = batch(
        Operation::Upsert,
        &["LastName"],
        &[(&id(1), &["a"]), (&id(2), &["b"])],
    );
    batch.key_field.as_mut().unwrap().name = "id".into();
    let reply = write(&server, &batch).await;
    assert_eq!(
        words(&reply),
        ["NOT_FOUND".to_owned(), format!("={}", id(2))]
    );
    assert_eq!(
        asked(&server),
        ["PATCH /services/data/v66.0/composite/sobjects"]
    );
    assert!(!server.seen()[1].body.contains("\"Id\""));
}

#[tokio::test]
async fn rules_of_the_organisation_run_as_the_options_say() {
    let server = server(|_, _, _| saved(&[ok(1)])).await;
    let options = [("assignment_rules", "on"), ("duplicate_rules", "allow")];
    let session = session_with(&server, &options);
    let batch = batch(Operation::Create, &["LastName"], &[("", &["a"])]);
    session
        .write(&batch, &NoTickets, &CallStats::default())
        .await;
    let seen = server.seen().pop().unwrap();
    assert_eq!(seen.header("sforce-auto-assign"), None);
    assert_eq!(
        seen.header("sforce-duplicate-rule-header"),
        Some("allowSave=true")
    );
}

#[tokio::test]
async fn a_record_refused_does_not_hold_up_the_others() {
    let server = server(|_, _, _| {
        saved(&[
            ok(1),
            fault("STRING_TOO_LONG", "\"LastName\""),
            r#"{"success":false}"#.into(),
        ])
    })
    .await;
    let mut batch = batch(
        Operation::Update,
        &["LastName"],
        &[
            ("no id", &["x"]),
            (&id(1), &["a"]),
            (&id(2), &["b"]),
            (&id(3), &["c"]),
        ],
    );
    batch.fields[0].remote_type = "string".into();
    let reply = write(&server, &batch).await;
    assert!(reply.failure.is_none());
    assert_eq!(
        words(&reply),
        [
            "MALFORMED_ID".to_owned(),
            format!("={}", id(1)),
            "STRING_TOO_LONG".into(),
            "UNKNOWN_EXCEPTION".into()
        ]
    );
    let RecordOutcome::Rejected(reject) = &reply.outcomes[2] else {
        panic!("{reply:?}")
    };
    assert_eq!(reject.kind, ErrorKind::TextTooLong);
    assert_eq!(
        (reject.message.as_str(), &reject.fields[..]),
        ("no", &["LastName".to_owned()][..])
    );
    // The one that cannot be said was not sent.
    assert!(!server.seen()[1].body.contains("no id"));
}

#[tokio::test]
async fn records_named_twice_follow_each_other() {
    let server = server(|seen, _, _| {
        let n = seen.body.matches("attributes").count();
        saved(&(1..=n).map(ok).collect::<Vec<_>>())
    })
    .await;
    let records = [("k", &["first"][..]), ("other", &["x"]), ("K", &["second"])];
    let reply = write(&server, &batch(Operation::Upsert, &["LastName"], &records)).await;
    assert!(reply.failure.is_none());
    let bodies: Vec<_> = server.seen()[1..]
        .iter()
        .map(|seen| seen.body.clone())
        .collect();
    assert_eq!(bodies.len(), 2);
    assert!(
        bodies[0].contains("first") && bodies[0].contains("other") && !bodies[0].contains("second")
    );
    assert!(bodies[1].contains("second"));
}

#[tokio::test]
async fn locked_records_are_sent_again_alone() {
    let server = server(|_, n, _| match n {
        0 => saved(&[
            ok(1),
            fault("UNABLE_TO_LOCK_ROW", ""),
            fault("STRING_TOO_LONG", ""),
        ]),
        _ => saved(&[ok(2)]),
    })
    .await;
    let records = [("", &["a"][..]), ("", &["b"]), ("", &["c"])];
    let batch = batch(Operation::Create, &["LastName"], &records);
    let stats = CallStats::default();
    let reply = session(&server).write(&batch, &NoTickets, &stats).await;
    assert_eq!(
        words(&reply),
        [
            format!("+{}", id(1)),
            format!("+{}", id(2)),
            "STRING_TOO_LONG".into()
        ]
    );
    let last = server.seen().pop().unwrap().body;
    assert!(last.contains("\"b\"") && !last.contains("\"a\"") && !last.contains("\"c\""));
    assert_eq!((stats.data_calls(), stats.retries()), (2, 1));
    // Within the policy only.
    let locked = crate::support::server(|_, _, _| saved(&[fault("UNABLE_TO_LOCK_ROW", "")])).await;
    let batch = crate::support::batch(Operation::Create, &["LastName"], &[("", &["a"])]);
    let reply = write(&locked, &batch).await;
    assert_eq!(words(&reply), ["UNABLE_TO_LOCK_ROW"]);
    assert_eq!(asked(&locked).len(), 3);
}

const OPERATIONS: [Operation; 4] = [
    Operation::Create,
    Operation::Update,
    Operation::Upsert,
    Operation::Delete,
];

/// How often a batch is sent, and what becomes of its one record, for an answer that stays the same.
async fn fate(operation: Operation, answer: Answer) -> (usize, String, Option<ErrorKind>) {
    let server = server(move |_, _, _| answer.clone()).await;
    let batch = batch(operation, &["LastName"], &[(&id(1), &["a"])]);
    let reply = write(&server, &batch).await;
    let kind = reply.failure.as_ref().map(|error| error.kind());
    (asked(&server).len(), words(&reply).remove(0), kind)
}

#[tokio::test]
async fn what_becomes_of_records_whose_call_failed() {
    use ErrorKind::{
        AllotmentUsedUp, ConnectionLost, LoginRefused, NotPermitted, RemoteFault, Undecodable,
    };
    let later = |status: u16| Answer::new(status, "").header("retry-after", "0");
    // A sign-in page, results of no or of two records, half a reply, half a document.
    let odd = [
        (Answer::new(200, "<html>"), Undecodable),
        (Answer::new(200, "[]"), Undecodable),
        (saved(&[ok(1), ok(2)]), Undecodable),
        (Answer::new(200, "[{"), Undecodable),
        (Answer::new(200, "[{}]"), Undecodable),
        (Answer::cut("[{\"success\":true}]"), ConnectionLost),
        (Answer::new(500, ""), RemoteFault),
        (Answer::new(502, ""), ConnectionLost),
        // Nobody says whether it was turned away at the door.
        (Answer::new(503, ""), ConnectionLost),
        (Answer::new(504, ""), ConnectionLost),
        (Answer::new(420, ""), ConnectionLost),
    ];
    let mut fates = JoinSet::new();
    for (answer, kind) in odd {
        for operation in OPERATIONS {
            let n_tries = if operation == Operation::Create { 1 } else { 3 };
            let expected = (n_tries, "unknown".to_owned(), Some(kind));
            let answer = answer.clone();
            fates.spawn(async move {
                let shown = format!("{operation:?} {answer:?}");
                assert_eq!(fate(operation, answer).await, expected, "{shown}");
            });
        }
    }
    let certain = [
        (refused(400, "JSON_PARSER_ERROR", "x"), 1, RemoteFault),
        (
            refused(403, "REQUEST_LIMIT_EXCEEDED", "x"),
            1,
            AllotmentUsedUp,
        ),
        (refused(403, "INSUFFICIENT_ACCESS", "x"), 1, NotPermitted),
        (Answer::new(414, "<html>"), 1, RemoteFault),
        (
            refused(401, "INVALID_SESSION_ID", "Session expired or invalid"),
            2,
            LoginRefused,
        ),
        (later(429), 3, AllotmentUsedUp),
        (later(503), 3, ConnectionLost),
        (
            Answer::new(302, "").header("location", "https://elsewhere.example/"),
            1,
            Undecodable,
        ),
    ];
    for (answer, n_tries, kind) in certain {
        for operation in OPERATIONS {
            let expected = (n_tries, "not applied".to_owned(), Some(kind));
            let answer = answer.clone();
            fates.spawn(async move {
                let shown = format!("{operation:?} {answer:?}");
                assert_eq!(fate(operation, answer).await, expected, "{shown}");
            });
        }
    }
    // The tests wait for each other's pauses together.
    while let Some(done) = fates.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_failed_ends_the_batch() {
    let server = server(|_, n, _| match n {
        0 => saved(&(0..200).map(ok).collect::<Vec<_>>()),
        _ => Answer::new(500, ""),
    })
    .await;
    let records: Vec<(&str, &[&str])> = vec![("", &["a"]); 601];
    let reply = write(&server, &batch(Operation::Create, &["LastName"], &records)).await;
    let n = |word: &str| words(&reply).iter().filter(|known| *known == word).count();
    assert_eq!((n("unknown"), n("not applied")), (200, 201));
    assert_eq!(asked(&server).len(), 2);
}

#[tokio::test]
async fn a_deletion_done_by_a_lost_try_is_done() {
    let server = server(|_, n, _| match n {
        0 => Answer::cut("[{\"success\":true}]"),
        _ => saved(&[
            fault("ENTITY_IS_DELETED", ""),
            fault("INSUFFICIENT_ACCESS", ""),
        ]),
    })
    .await;
    let records = [(id(1), vec![]), (id(2), vec![])];
    let records: Vec<(&str, &[&str])> = records
        .iter()
        .map(|(id, none)| (id.as_str(), &none[..]))
        .collect();
    let reply = write(&server, &batch(Operation::Delete, &[], &records)).await;
    assert_eq!(words(&reply), [id(1), "INSUFFICIENT_ACCESS".into()]);
    // At the first try it means what it says.
    let first = crate::support::server(|_, _, _| saved(&[fault("ENTITY_IS_DELETED", "")])).await;
    let reply = write(&first, &batch(Operation::Delete, &[], &records[..1])).await;
    assert_eq!(words(&reply), ["ENTITY_IS_DELETED"]);
}

#[tokio::test]
async fn a_create_with_a_key_of_ours_is_repeatable() {
    let server = server(|_, n, _| match n {
        0 => Answer::new(500, ""),
        _ => saved(&[format!(
            r#"{{"id":"{}","success":true,"created":false}}"#,
            id(1)
        )]),
    })
    .await;
    let mut create = batch(
        Operation::Create,
        &["LastName", "Ext__c"],
        &[("", &["a", "TEST-1"])],
    );
    create.journal_key = Some("ext__C".into());
    create.key_is_ours = true;
    let reply = write(&server, &create).await;
    // What was there the second time was made the first time.
    assert_eq!(words(&reply), [id(1)]);
    let path = "PATCH /services/data/v66.0/composite/sobjects/Contact/Ext__c";
    assert_eq!(asked(&server), [path, path]);
    // A key of the user's may be in an older record, which a create must not change.
    create.key_is_ours = false;
    let plain = crate::support::server(|_, _, _| saved(&[ok(1)])).await;
    write(&plain, &create).await;
    assert_eq!(
        asked(&plain),
        ["POST /services/data/v66.0/composite/sobjects"]
    );
    // Nor can one be found by a key it does not have.
    create.key_is_ours = true;
    create.records[0].values[1] = None;
    let keyless = crate::support::server(|_, _, _| saved(&[ok(1)])).await;
    write(&keyless, &create).await;
    assert_eq!(
        asked(&keyless),
        ["POST /services/data/v66.0/composite/sobjects"]
    );
}

#[tokio::test]
async fn a_renewed_session_sends_a_create_again() {
    let server = server(|seen, _, _| match seen.header("authorization") {
        Some("Bearer TEST!token1") => {
            refused(401, "INVALID_SESSION_ID", "Session expired or invalid")
        }
        _ => saved(&[ok(1)]),
    })
    .await;
    let reply = write(
        &server,
        &batch(Operation::Create, &["LastName"], &[("", &["a"])]),
    )
    .await;
    assert_eq!(words(&reply), [format!("+{}", id(1))]);
}

#[tokio::test]
async fn batches_that_make_no_sense_are_not_sent() {
    let server = server(|_, _, _| saved(&[ok(1)])).await;
    let mut mismatch = batch(Operation::Create, &["LastName"], &[("", &["a"])]);
    mismatch.records[0].values.clear();
    let mut name = batch(Operation::Create, &["Last Name"], &[("", &["a"])]);
    let mut object = batch(Operation::Create, &["LastName"], &[("", &["a"])]);
    object.object = "Contact/../Account".into();
    name.fields[0].remote_type = "string".into();
    for batch in [mismatch, name, object] {
        let reply = write(&server, &batch).await;
        assert_eq!(words(&reply), ["not applied"]);
        assert!(reply.failure.is_some());
    }
    let mut empty_key = batch(Operation::Upsert, &["LastName"], &[("k", &["a"])]);
    empty_key.records[0].key = Some(Value::Text(String::new()));
    assert_eq!(
        words(&write(&server, &empty_key).await),
        ["MISSING_ARGUMENT"]
    );
    assert!(asked(&server).is_empty());
}

#[tokio::test]
async fn what_a_sign_in_refuses_is_not_applied() {
    let server = Server::start(|_| refused(400, "invalid_grant", "no"))
        .await
        .unwrap();
    let reply = write(
        &server,
        &batch(Operation::Create, &["LastName"], &[("", &["a"])]),
    )
    .await;
    assert_eq!(words(&reply), ["not applied"]);
    assert!(reply.failure.is_some());
}
