//! What becomes of records, whatever becomes of the calls that they travel in.

use super::*;
use crate::describe::Entity;
use crate::settle::settle;
use crate::testkit::{self, in_parts, requests};
use crm_core::{Conversion, Reject, Route, Value, WriteField, WriteRecord};
use crm_http::testkit::{Answer, Seen, Server};
use std::sync::Mutex;

const IDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000003",
];
const MADE: &str = "204 No Content\nOData-EntityId: https://x/api/data/v9.2/contacts(00000000-0000-0000-0000-00000000000a)\n\n";
const DONE: &str = "204 No Content\n\n";
const TAKEN: &str = "412 Precondition Failed\n\n{\"error\":{\"code\":\"0x80040237\",\"message\":\"Cannot insert duplicate key.\"}}";
const LOCKED: &str =
    "500 Error\n\n{\"error\":{\"code\":\"0x80044150\",\"message\":\"Generic SQL error.\"}}";
const TOO_MANY: &str = "429 Too Many Requests\nRetry-After: 0\n\n{\"error\":{\"code\":\"0x80072322\",\"message\":\"Number of requests exceeded\"}}";
const TOO_LONG: &str = "400 Bad Request\n\n{\"error\":{\"code\":\"0x80044331\",\"message\":\"The length of the 'lastname' attribute of the 'contact' entity exceeded\"}}";
const GONE: &str = "404 Not Found\n\n{\"error\":{\"code\":\"0x80040217\",\"message\":\"contact With Id = 00000000-0000-0000-0000-000000000001 Does Not Exist\"}}";
const THERE: &str = "200 OK\n\n{\"contactid\":\"x\"}";

/// A CRM that answers batches one after the other as told, and what it was asked.
struct Crm {
    server: Server,
    session: DynamicsSession,
}

impl Crm {
    async fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Mutex<std::collections::VecDeque<_>> =
            Mutex::new(answers.into_iter().collect());
        let server = Server::start(move |seen: &Seen| {
            if seen.target.ends_with("/token") {
                return testkit::token();
            }
            assert!(seen.target.ends_with("/$batch"), "{}", seen.target);
            let mut answers = answers.lock().unwrap();
            answers.pop_front().expect("no more calls than answers")
        });
        let server = server.await.unwrap();
        let mut entity = Entity {
            set: "contacts".into(),
            primary_id: "contactid".into(),
            keys: vec![vec!["new_key".into()]],
            ..Entity::default()
        };
        entity.object.summary.name = "contact".into();
        let session = testkit::session(&server, entity);
        Self { server, session }
    }

    async fn write(&self, batch: &WriteBatch) -> WriteReply {
        write(&self.session, batch, &CallStats::default()).await
    }

    async fn settle(&self, batch: &WriteBatch) -> Vec<RecordOutcome> {
        let settled = settle(&self.session, batch, &CallStats::default()).await;
        settled.unwrap()
    }

    /// The requests of each batch sent.
    fn asked(&self) -> Vec<Vec<String>> {
        let seen = self.server.seen();
        let batches = seen.iter().filter(|seen| seen.target.ends_with("/$batch"));
        batches
            .map(|seen| {
                assert_eq!(seen.header("prefer"), Some("odata.continue-on-error"));
                requests(&seen.body)
            })
            .collect()
    }
}

fn field(name: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: "StringType".into(),
        conversion: Conversion::Default,
    }
}

fn batch(operation: Operation, n_records: usize) -> WriteBatch {
    let text = |text: &str| Some(Value::Text(text.into()));
    let record = |at: usize| WriteRecord {
        key: (operation != Operation::Create)
            .then(|| text(IDS[at]))
            .flatten(),
        values: match operation {
            Operation::Delete => Vec::new(),
            _ => vec![text(&format!("Name {at}"))],
        },
    };
    WriteBatch {
        object: "contact".into(),
        identifier: "contactid".into(),
        operation,
        key_field: (operation == Operation::Upsert).then(|| field("contactid")),
        journal_key: None,
        key_is_ours: false,
        fields: match operation {
            Operation::Delete => Vec::new(),
            _ => vec![field("lastname")],
        },
        records: (0..n_records).map(record).collect(),
        route: Route::Calls,
    }
}

/// Creates with identifiers that were made up here.
fn with_ids(n_records: usize) -> WriteBatch {
    let mut batch = batch(Operation::Create, n_records);
    batch.fields.push(WriteField {
        remote_type: "UniqueidentifierType".into(),
        ..field("contactid")
    });
    for (record, id) in batch.records.iter_mut().zip(IDS) {
        record.values.push(Some(Value::Text(id.into())));
    }
    batch.journal_key = Some("contactid".into());
    batch.key_is_ours = true;
    batch
}

fn accepted(id: &str, created: Option<bool>) -> RecordOutcome {
    RecordOutcome::Accepted {
        id: id.into(),
        created,
    }
}

fn rejected(outcome: &RecordOutcome) -> &Reject {
    match outcome {
        RecordOutcome::Rejected(reject) => reject,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_record_gets_its_own_outcome_in_its_place() {
    let crm = Crm::new([in_parts(200, [MADE, TOO_LONG, MADE])]).await;
    let reply = crm.write(&batch(Operation::Create, 3)).await;
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    let made = accepted("00000000-0000-0000-0000-00000000000a", Some(true));
    assert_eq!([&reply.outcomes[0], &reply.outcomes[2]], [&made, &made]);
    let reject = rejected(&reply.outcomes[1]);
    assert_eq!(reject.kind, ErrorKind::TextTooLong);
    assert_eq!(reject.fields, ["lastname"]);
    let asked = crm.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0][0],
        "POST /api/data/v9.2/contacts HTTP/1.1\nContent-Type: application/json; type=entry\n\n{\"lastname\":\"Name 0\"}"
    );
    assert!(asked[0][2].contains("Name 2"));
}

#[tokio::test]
async fn a_server_that_stops_at_a_failure_is_sent_the_rest() {
    let crm = Crm::new([in_parts(400, [MADE, TOO_LONG]), in_parts(200, [MADE])]).await;
    let reply = crm.write(&batch(Operation::Create, 3)).await;
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    assert_eq!(rejected(&reply.outcomes[1]).kind, ErrorKind::TextTooLong);
    let asked = crm.asked();
    assert_eq!((asked[0].len(), asked[1].len()), (3, 1));
    assert!(asked[1][0].contains("Name 2"));
}

#[tokio::test]
async fn a_create_without_a_key_is_not_sent_again() {
    for lost in [
        Answer::cut("--batchresponse_x"),
        Answer::new(500, "{}"),
        Answer::new(200, "<html>Sign in</html>").header("content-type", "text/html"),
        in_parts(200, [MADE]),
        // Accepted, but nobody is told under which names.
        in_parts(200, [DONE, DONE]),
        in_parts(200, [MADE, MADE, MADE]),
        in_parts(400, []),
    ] {
        let shown = format!("{lost:?}");
        let crm = Crm::new([lost]).await;
        let reply = crm.write(&batch(Operation::Create, 2)).await;
        assert_eq!(reply.outcomes, vec![RecordOutcome::Unknown; 2], "{shown}");
        assert!(reply.failure.is_some(), "{shown}");
        let settled = crm.settle(&batch(Operation::Create, 2)).await;
        assert_eq!(settled, reply.outcomes);
        assert_eq!(crm.asked().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn what_was_turned_away_at_the_door_was_not_applied() {
    for answer in [
        Answer::new(403, r#"{"error":{"code":"0x80040220","message":"no"}}"#),
        Answer::new(413, "too large"),
    ] {
        let crm = Crm::new([answer]).await;
        let reply = crm.write(&batch(Operation::Create, 2)).await;
        assert_eq!(reply.outcomes, vec![RecordOutcome::NotApplied; 2]);
        assert!(reply.failure.is_some());
    }
}

#[tokio::test]
async fn identifiers_of_ours_settle_a_lost_answer() {
    // The first try was carried out in part; an alternate key is taken by another record.
    let crm = Crm::new([
        Answer::cut("--batchresponse_x"),
        in_parts(200, [TAKEN, DONE, TAKEN]),
        in_parts(200, [THERE, GONE]),
    ])
    .await;
    let reply = crm.write(&with_ids(3)).await;
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    assert_eq!(reply.outcomes[0], accepted(IDS[0], Some(true)));
    assert_eq!(reply.outcomes[1], accepted(IDS[1], Some(true)));
    assert_eq!(rejected(&reply.outcomes[2]).kind, ErrorKind::DuplicateKey);
    let asked = crm.asked();
    assert_eq!(asked[0], asked[1]);
    assert!(asked[2][0].starts_with(&format!("GET /api/data/v9.2/contacts({}) ", IDS[0])));
    // Another run asks for them.
    let crm = Crm::new([in_parts(200, [THERE, GONE, THERE])]).await;
    let settled = crm.settle(&with_ids(3)).await;
    assert_eq!(settled[0], accepted(IDS[0], Some(true)));
    assert_eq!(settled[1], RecordOutcome::NotApplied);
    assert_eq!(settled[2], accepted(IDS[2], Some(true)));
}

#[tokio::test]
async fn an_upsert_tells_what_is_new_unless_it_was_sent_twice() {
    let body = |status: &str| {
        format!(
            "{status}\n\n{{\"@odata.etag\":\"W/\\\"1\\\"\",\"contactid\":\"{}\"}}",
            IDS[1]
        )
    };
    let (created, updated) = (body("201 Created"), body("200 OK"));
    let mut upsert = batch(Operation::Upsert, 2);
    upsert.key_field = Some(field("new_key"));
    let crm = Crm::new([in_parts(200, [&created[..], &updated])]).await;
    let reply = crm.write(&upsert).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[1], Some(true)), accepted(IDS[1], Some(false))]
    );
    let crm = Crm::new([
        Answer::new(502, ""),
        in_parts(200, [&created[..], &updated]),
    ])
    .await;
    let reply = crm.write(&upsert).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[1], Some(true)), accepted(IDS[1], None)]
    );
}

#[tokio::test]
async fn a_deletion_that_was_carried_out_unseen_is_one() {
    let crm = Crm::new([Answer::new(504, ""), in_parts(200, [GONE])]).await;
    let reply = crm.write(&batch(Operation::Delete, 1)).await;
    assert_eq!(reply.outcomes, [accepted(IDS[0], None)]);
    let crm = Crm::new([in_parts(200, [GONE])]).await;
    let reply = crm.write(&batch(Operation::Delete, 1)).await;
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::RecordUnknown);
    // A table without an audit: what is there was not deleted, what is not there is gone.
    let crm = Crm::new([in_parts(200, [GONE, THERE])]).await;
    let settled = crm.settle(&batch(Operation::Delete, 2)).await;
    assert_eq!(settled, [accepted(IDS[0], None), RecordOutcome::NotApplied]);
}

#[tokio::test]
async fn locked_records_are_sent_again_and_no_others() {
    let crm = Crm::new([in_parts(200, [DONE, LOCKED]), in_parts(200, [DONE])]).await;
    let reply = crm.write(&batch(Operation::Update, 2)).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[0], Some(false)), accepted(IDS[1], Some(false))]
    );
    let asked = crm.asked();
    assert_eq!(asked[1].len(), 1);
    assert_eq!(asked[1][0], asked[0][1]);
    // For ever.
    let locked = || in_parts(200, [LOCKED]);
    let crm = Crm::new([locked(), locked(), locked()]).await;
    let reply = crm.write(&batch(Operation::Update, 1)).await;
    assert!(reply.failure.is_none());
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::RecordLocked);
}

#[tokio::test]
async fn too_many_calls_are_no_fault_of_the_record() {
    let answers = || in_parts(200, [TOO_MANY]);
    let crm = Crm::new([answers(), answers(), answers()]).await;
    let reply = crm.write(&batch(Operation::Create, 1)).await;
    assert_eq!(reply.outcomes, [RecordOutcome::NotApplied]);
    assert_eq!(reply.failure.unwrap().kind(), ErrorKind::AllotmentUsedUp);
}

#[test]
fn identifiers_stand_in_records_and_addresses() {
    let told = |part: &str| {
        let text = format!("--b\n\nHTTP/1.1 {part}\n--b--\n");
        let replies = batch::replies(None, text.as_bytes()).unwrap();
        told_id(&replies[0])
    };
    let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
    for part in [
        format!("204 No Content\nOData-EntityId: https://x/api/data/v9.2/contacts({id})\n"),
        format!(
            "204 No Content\nLocation: contacts({})\n",
            id.to_uppercase()
        ),
        format!("204 No Content\nodata-entityid: x(contoso_id={id},partitionid='p')\n"),
        format!(
            "201 Created\n\n{{\"_transactioncurrencyid_value\":\"{}\",\"contactid\":\"{id}\"}}",
            IDS[0]
        ),
    ] {
        assert_eq!(told(&part).as_deref(), Some(id), "{part}");
    }
    for part in [
        "204 No Content\nOData-EntityId: https://x/contacts(new_key='a')\n",
        "204 No Content\nOData-EntityId: nowhere\n",
        "204 No Content\n",
        "200 OK\n\n[1]",
    ] {
        assert_eq!(told(part), None, "{part}");
    }
}
