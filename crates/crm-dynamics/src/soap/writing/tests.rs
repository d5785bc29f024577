use super::*;
use crate::soap::exchange::tests::session;
use crate::soap::finding::settle;
use crate::soap::requests::tests::{batch, contact, text};
use crm_core::Operation as Done;
use crm_http::testkit::{Answer, Seen, Server};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const TOKEN: &str =
    include_str!("../../../tests/fixtures/soap/request_security_token_response_onpremise.xml");
const IDS: [&str; 3] = [
    "00000000-0000-0000-0000-000000000001",
    "00000000-0000-0000-0000-000000000002",
    "00000000-0000-0000-0000-000000000003",
];

/// A CRM that answers one message after the other as told.
struct Crm {
    server: Server,
    session: DynamicsSession,
}

impl Crm {
    async fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers: Mutex<VecDeque<_>> = Mutex::new(answers.into_iter().collect());
        let server = Server::start(move |seen: &Seen| {
            if seen.target.ends_with("/usernamemixed") {
                return Answer::new(200, TOKEN);
            }
            answers
                .lock()
                .unwrap()
                .pop_front()
                .expect("no more calls than answers")
        });
        let server = server.await.unwrap();
        let session = session(&server);
        session.catalog().put("contact", Arc::new(contact()));
        Self { server, session }
    }

    async fn write(&self, batch: &WriteBatch) -> WriteReply {
        write(&self.session, batch, &CallStats::default()).await
    }

    fn n_calls(&self) -> usize {
        self.server.seen().len() - 1
    }
}

fn answers_of(items: &[String]) -> Answer {
    Answer::new(
        200,
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><ExecuteResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ExecuteResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:n="http://schemas.microsoft.com/xrm/2012/Contracts" xmlns:g="http://schemas.microsoft.com/2003/10/Serialization/" xmlns:x="http://www.w3.org/2001/XMLSchema"><b:Results><b:KeyValuePairOfstringanyType><c:key>Responses</c:key><c:value>{}</c:value></b:KeyValuePairOfstringanyType></b:Results></ExecuteResult></ExecuteResponse></s:Body></s:Envelope>"#,
            items.concat()
        ),
    )
}

fn done(at: usize, results: &str) -> String {
    format!(
        r#"<n:ExecuteMultipleResponseItem><n:Fault i:nil="true"/><n:RequestIndex>{at}</n:RequestIndex><n:Response><b:Results>{results}</b:Results></n:Response></n:ExecuteMultipleResponseItem>"#
    )
}

fn made(at: usize, id: &str) -> String {
    done(
        at,
        &format!(
            r#"<b:KeyValuePairOfstringanyType><c:key>id</c:key><c:value i:type="g:guid">{id}</c:value></b:KeyValuePairOfstringanyType>"#
        ),
    )
}

fn refused(at: usize, number: i32, message: &str) -> String {
    format!(
        r#"<n:ExecuteMultipleResponseItem><n:Fault><b:ErrorCode>{number}</b:ErrorCode><b:Message>{message}</b:Message></n:Fault><n:RequestIndex>{at}</n:RequestIndex><n:Response i:nil="true"/></n:ExecuteMultipleResponseItem>"#
    )
}

fn records_of(ids: &[&str]) -> Answer {
    let entities: String = ids
        .iter()
        .map(|id| format!("<b:Entity><b:Attributes/><b:Id>{id}</b:Id></b:Entity>"))
        .collect();
    Answer::new(
        200,
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><RetrieveMultipleResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><RetrieveMultipleResult xmlns:b="http://schemas.microsoft.com/xrm/2011/Contracts"><b:Entities>{entities}</b:Entities><b:MoreRecords>false</b:MoreRecords></RetrieveMultipleResult></RetrieveMultipleResponse></s:Body></s:Envelope>"#
        ),
    )
}

fn accepted(id: &str, created: Option<bool>) -> RecordOutcome {
    RecordOutcome::Accepted {
        id: id.into(),
        created,
    }
}

fn creates(n_records: usize) -> WriteBatch {
    let value = [text("A")];
    let records: Vec<_> = (0..n_records).map(|_| (None, &value[..])).collect();
    batch(Done::Create, &["lastname"], &records)
}

/// Creates with identifiers that were made up here.
fn chosen(ids: &[&str]) -> WriteBatch {
    let values: Vec<_> = ids.iter().map(|id| [text(id), text("A")]).collect();
    let records: Vec<_> = values.iter().map(|values| (None, &values[..])).collect();
    WriteBatch {
        journal_key: Some("contactid".into()),
        key_is_ours: true,
        ..batch(Done::Create, &["contactid", "lastname"], &records)
    }
}

fn deletes(ids: &[&str]) -> WriteBatch {
    let records: Vec<_> = ids.iter().map(|id| (Some(*id), &[][..])).collect();
    batch(Done::Delete, &[], &records)
}

fn rejected(outcome: &RecordOutcome) -> &crm_core::Reject {
    match outcome {
        RecordOutcome::Rejected(reject) => reject,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_record_has_its_outcome() {
    let crm = Crm::new([answers_of(&[
        refused(
            1,
            -2_147_204_303,
            "The length of the 'lastname' attribute of the 'contact' entity exceeded the maximum",
        ),
        made(0, IDS[0]),
        made(2, IDS[2]),
    ])])
    .await;
    let reply = crm.write(&creates(3)).await;
    assert!(reply.failure.is_none());
    assert_eq!(reply.outcomes[0], accepted(IDS[0], Some(true)));
    assert_eq!(reply.outcomes[2], accepted(IDS[2], Some(true)));
    let reject = rejected(&reply.outcomes[1]);
    assert_eq!(reject.kind, ErrorKind::TextTooLong);
    assert_eq!(reject.code.as_deref(), Some("0x80044331"));
    assert_eq!(reject.fields, ["lastname"]);
    assert_eq!(crm.n_calls(), 1);
}

#[tokio::test]
async fn upserts_tell_whether_the_record_is_new() {
    let told = |created: bool| {
        format!(
            r#"<b:KeyValuePairOfstringanyType><c:key>RecordCreated</c:key><c:value i:type="x:boolean">{created}</c:value></b:KeyValuePairOfstringanyType><b:KeyValuePairOfstringanyType><c:key>Target</c:key><c:value i:type="b:EntityReference"><b:Id>{}</b:Id><b:LogicalName>contact</b:LogicalName></c:value></b:KeyValuePairOfstringanyType>"#,
            IDS[1]
        )
    };
    let crm = Crm::new([answers_of(&[done(0, &told(true)), done(1, &told(false))])]).await;
    let value = [text("A")];
    let mut upserts = batch(
        Done::Upsert,
        &["lastname"],
        &[(Some("K1"), &value), (Some("K2"), &value)],
    );
    upserts.key_field = Some(crate::soap::requests::tests::write_field("new_key"));
    let reply = crm.write(&upserts).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[1], Some(true)), accepted(IDS[1], Some(false))]
    );
}

#[tokio::test]
async fn records_that_somebody_held_are_sent_again_alone() {
    let locked = refused(0, -2_147_204_784, "Generic SQL error.");
    let crm = Crm::new([
        answers_of(&[locked, made(1, IDS[1])]),
        answers_of(&[made(0, IDS[0])]),
    ])
    .await;
    let reply = crm.write(&creates(2)).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[0], Some(true)), accepted(IDS[1], Some(true))]
    );
    let seen = crm.server.seen();
    assert_eq!(seen[2].body.matches("b:CreateRequest").count(), 1);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_is_not_sent_again() {
    let crm = Crm::new([Answer::cut("half of this message")]).await;
    let reply = crm.write(&creates(2)).await;
    assert_eq!(
        reply.outcomes,
        [RecordOutcome::Unknown, RecordOutcome::Unknown]
    );
    assert!(reply.failure.is_some());
    assert_eq!(crm.n_calls(), 1);

    // Half the answers are as good as none.
    let crm = Crm::new([answers_of(&[made(0, IDS[0])])]).await;
    let reply = crm.write(&creates(2)).await;
    assert_eq!(
        reply.outcomes,
        [RecordOutcome::Unknown, RecordOutcome::Unknown]
    );
    assert_eq!(reply.failure.unwrap().kind(), ErrorKind::Undecodable);
}

#[tokio::test]
async fn a_create_under_our_identifier_settles_itself() {
    let taken = refused(0, -2_147_220_937, "Cannot insert duplicate key.");
    let crm = Crm::new([
        Answer::cut("half of this message"),
        answers_of(&[taken.clone(), made(1, IDS[1])]),
        records_of(&[IDS[0]]),
    ])
    .await;
    let reply = crm.write(&chosen(&IDS[..2])).await;
    assert_eq!(
        reply.outcomes,
        [accepted(IDS[0], Some(true)), accepted(IDS[1], Some(true))]
    );
    // A duplicate that is not the record itself is another key's.
    let crm = Crm::new([answers_of(&[taken]), records_of(&[])]).await;
    let reply = crm.write(&chosen(&IDS[..1])).await;
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::DuplicateKey);
}

#[tokio::test]
async fn a_call_turned_away_leaves_everything_as_it_was() {
    let fault = |number: i32| {
        let body = format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Detail><OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts"><ErrorCode>{number}</ErrorCode><Message>no</Message></OrganizationServiceFault></s:Detail></s:Fault></s:Body></s:Envelope>"#
        );
        Answer::new(500, body)
    };
    let crm = Crm::new([fault(-2_147_220_960)]).await;
    let reply = crm.write(&creates(1)).await;
    assert_eq!(reply.outcomes, [RecordOutcome::NotApplied]);
    assert_eq!(reply.failure.unwrap().kind(), ErrorKind::NotPermitted);
    // A trouble of the database may have come in the middle.
    let crm = Crm::new([fault(-2_147_204_783)]).await;
    let reply = crm.write(&creates(1)).await;
    assert_eq!(reply.outcomes, [RecordOutcome::Unknown]);
}

#[tokio::test]
async fn a_deletion_done_by_the_lost_try_is_done() {
    let gone = refused(
        0,
        -2_147_220_969,
        &format!("contact With Id = {} Does Not Exist", IDS[0]),
    );
    let crm = Crm::new([
        Answer::cut("half of this message"),
        answers_of(std::slice::from_ref(&gone)),
    ])
    .await;
    let reply = crm.write(&deletes(&IDS[..1])).await;
    assert_eq!(reply.outcomes, [accepted(IDS[0], None)]);
    let crm = Crm::new([answers_of(&[gone])]).await;
    let reply = crm.write(&deletes(&IDS[..1])).await;
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::RecordUnknown);
}

#[tokio::test]
async fn lost_creates_are_looked_for() {
    let crm = Crm::new([records_of(&[IDS[1]])]).await;
    let stats = CallStats::default();
    let outcomes = settle(&crm.session, &chosen(&IDS), &stats).await.unwrap();
    assert_eq!(
        outcomes,
        [
            RecordOutcome::NotApplied,
            accepted(IDS[1], Some(true)),
            RecordOutcome::NotApplied
        ]
    );
    // Nobody can tell without an identifier or key.
    let crm = Crm::new([]).await;
    // The session signs in at first use, and here it has none.
    let outcomes = settle(&crm.session, &creates(1), &stats).await.unwrap();
    assert_eq!(outcomes, [RecordOutcome::Unknown]);
    // What is there was not deleted; of an entity without an audit what is gone was.
    let crm = Crm::new([records_of(&[IDS[0]])]).await;
    let outcomes = settle(&crm.session, &deletes(&IDS[..2]), &stats)
        .await
        .unwrap();
    assert_eq!(
        outcomes,
        [RecordOutcome::NotApplied, accepted(IDS[1], None)]
    );
}

#[test]
fn messages_hold_a_thousand_requests_at_most() {
    let row = |length: usize| Row {
        at: 0,
        id: None,
        key: None,
        request: "x".repeat(length),
    };
    let many: Vec<Row> = (0..2_001).map(|_| row(1)).collect();
    let lengths: Vec<usize> = chunks(&many).iter().map(|chunk| chunk.len()).collect();
    assert_eq!(lengths, [1_000, 1_000, 1]);
    let large: Vec<Row> = (0..3).map(|_| row(LARGEST_MESSAGE / 2 + 1)).collect();
    assert_eq!(chunks(&large).len(), 3);
    assert!(chunks(&[]).is_empty());
}
