//! Asking later what became of records whose answer was lost.

use crate::support::{asked, batch, id, server, session, words_of};
use crate::vendor::{CREATED, Kept, Script, USUAL, in_job, job_name, vendor};
use crm_core::{CallStats, Operation, Result, Session, Value, WriteBatch};
use crm_http::testkit::{Answer, Seen, Server};
use std::sync::{Arc, Mutex};

async fn settle(server: &Server, batch: &WriteBatch, ticket: Option<&str>) -> Result<Vec<String>> {
    let session: Arc<dyn Session> = session(server);
    let outcomes = session.settle(batch, ticket, &CallStats::default()).await?;
    Ok(words_of(&outcomes))
}

/// Writes until the reply that `lost` names does not come, as a client does that is killed there, then asks.
async fn settled_after(lost: &'static str, batch: &WriteBatch) -> (Vec<String>, Vec<String>) {
    let is_over = Arc::new(Mutex::new(false));
    let over = Arc::clone(&is_over);
    let server = vendor(USUAL, move |seen, _| {
        let is_it = format!("{} {} {}", seen.method, seen.target, seen.body).contains(lost);
        (is_it && !*over.lock().unwrap()).then(Answer::silence)
    })
    .await;
    let session = session(&server);
    let (stats, kept) = (CallStats::default(), Kept::default());
    let is_there = async {
        let is_it =
            |seen: &Seen| format!("{} {} {}", seen.method, seen.target, seen.body).contains(lost);
        while !server.seen().iter().any(is_it) {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        reply = session.write(batch, &kept, &stats) => panic!("nothing answers: {reply:?}"),
        () = is_there => {}
    }
    *is_over.lock().unwrap() = true;
    let ticket = kept.0.lock().unwrap()[0].clone();
    let outcomes = settle(&server, batch, Some(&ticket)).await.unwrap();
    (outcomes, asked(&server))
}

#[tokio::test]
async fn a_job_tells_later_what_became_of_it() {
    let create = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    // Killed before or while the data travel: the open job is given up.
    let (outcomes, asked) = settled_after("/batches", &create).await;
    assert_eq!(outcomes, ["not applied"; 5]);
    assert!(asked.last().unwrap().starts_with("PATCH"));
    // Killed while it starts, runs, and while results are read.
    for lost in [
        "UploadComplete",
        "GET /services/data/v66.0/jobs/ingest/",
        "successfulResults",
        "failedResults",
    ] {
        let (outcomes, _) = settled_after(lost, &create).await;
        assert_eq!(outcomes[0], format!("+{}", id(0)), "{lost}");
        assert_eq!(outcomes[1], "STRING_TOO_LONG", "{lost}");
        assert_eq!(
            outcomes.iter().filter(|word| word.starts_with('+')).count(),
            4,
            "{lost}"
        );
    }
}

#[tokio::test]
async fn some_of_a_jobs_records_can_be_asked_for() {
    let server = vendor(USUAL, |_, _| None).await;
    let create = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    session(&server)
        .write(&create, &Kept::default(), &CallStats::default())
        .await;
    let mut some = create.clone();
    some.records.drain(1..4);
    let outcomes = settle(&server, &some, Some(&job_name(0))).await.unwrap();
    assert_eq!(outcomes[0], format!("+{}", id(0)));
    assert!([id(3), id(4)].contains(&outcomes[1][1..].to_owned()));
}

#[tokio::test]
async fn a_job_that_is_gone_or_does_not_end_tells_nothing() {
    let create = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    let update = in_job(Operation::Update, &["LastName"], &[(&id(1), &["a"])]);
    let server = vendor(USUAL, |_, _| None).await;
    let gone = job_name(7);
    assert_eq!(
        settle(&server, &create, Some(&gone)).await.unwrap(),
        ["unknown"; 5]
    );
    assert_eq!(
        settle(&server, &update, Some(&gone)).await.unwrap(),
        ["not applied"]
    );
    assert!(
        settle(&server, &update, Some("../../limits"))
            .await
            .is_err()
    );
    let slow = vendor(
        Script {
            looks: usize::MAX,
            ..USUAL
        },
        |_, _| None,
    )
    .await;
    let session = crate::support::session_with(&slow, &[("retry_timeout", "0")]);
    let stats = CallStats::default();
    let started = tokio::spawn({
        let (session, create) = (Arc::clone(&session), create.clone());
        async move {
            session
                .write(&create, &Kept::default(), &CallStats::default())
                .await
        }
    });
    while !slow.seen().iter().any(|seen| seen.method == "GET") {
        tokio::task::yield_now().await;
    }
    started.abort();
    let outcomes = session
        .settle(&create, Some(&job_name(0)), &stats)
        .await
        .unwrap();
    assert_eq!(words_of(&outcomes), ["unknown"; 5]);
}

#[tokio::test]
async fn without_a_job_a_key_of_the_record_tells() {
    let found = |seen: &Seen| {
        assert!(seen.target.contains("/query"), "{}", seen.target);
        Answer::new(
            200,
            format!(
                r#"{{"totalSize":2,"done":true,"records":[{{"Id":"{}","Ext__c":"k-1"}},{{"Id":"{}","ext__c":"K-2"}}]}}"#,
                id(1),
                id(2)
            ),
        )
    };
    let server = server(move |seen, _, _| found(seen)).await;
    let records = [
        ("", &["a", "k-1"][..]),
        ("", &["b", "k-2"]),
        ("", &["c", "it's"]),
    ];
    let mut create = batch(Operation::Create, &["LastName", "Ext__c"], &records);
    create.journal_key = Some("Ext__c".into());
    // The second one has the key in another case: it is another record's.
    assert_eq!(
        settle(&server, &create, None).await.unwrap(),
        [
            format!("+{}", id(1)),
            "not applied".into(),
            "not applied".into()
        ]
    );
    assert_eq!(
        asked(&server),
        [
            "GET /services/data/v66.0/query?q=SELECT+Id%2CExt__c+FROM+Contact+WHERE+Ext__c+IN+%28%27k-1%27%2C%27k-2%27%2C%27it%5C%27s%27%29"
        ]
    );
    create.key_is_ours = true;
    settle(&server, &create, None).await.unwrap();
    assert!(asked(&server)[1].contains("/queryAll?"));
    // Many keys are looked for in several statements, each short enough for an address.
    let many: Vec<String> = (0..600).map(|number| format!("key {number:040}")).collect();
    let values: Vec<[&str; 2]> = many.iter().map(|key| ["x", key.as_str()]).collect();
    let records: Vec<(&str, &[&str])> = values.iter().map(|values| ("", &values[..])).collect();
    create.records = batch(Operation::Create, &["LastName", "Ext__c"], &records).records;
    assert_eq!(settle(&server, &create, None).await.unwrap().len(), 600);
    let longest = asked(&server).iter().map(String::len).max().unwrap();
    assert!(asked(&server).len() > 4 && longest < 12_000, "{longest}");
}

#[tokio::test]
async fn without_job_and_key_only_a_create_is_unknown() {
    let server = server(|_, _, _| panic!("nothing need be asked")).await;
    for (operation, expected) in [
        (Operation::Create, "unknown"),
        (Operation::Update, "not applied"),
        (Operation::Upsert, "not applied"),
    ] {
        let mut one = batch(operation, &["LastName"], &[(&id(1), &["a"])]);
        assert_eq!(settle(&server, &one, None).await.unwrap(), [expected]);
        // What cannot be said was never sent.
        one.fields[0].remote_type = "address".into();
        let reject = settle(&server, &one, None).await.unwrap();
        assert_eq!(reject, ["INVALID_FIELD_FOR_INSERT_UPDATE"]);
        one.records[0].values[0] = Some(Value::Text("x".into()));
    }
}

#[tokio::test]
async fn a_deletion_is_looked_for_in_the_recycle_bin() {
    let server = server(|seen, _, _| {
        // The first lives, the second is in the recycle bin, the third was never there.
        let found: &[usize] = if seen.target.contains("/queryAll?") {
            &[1, 2]
        } else {
            &[1]
        };
        let records: Vec<String> = found
            .iter()
            .map(|number| format!(r#"{{"Id":"{}"}}"#, id(*number)))
            .collect();
        let (n_found, records) = (records.len(), records.join(","));
        Answer::new(
            200,
            format!(r#"{{"totalSize":{n_found},"done":true,"records":[{records}]}}"#),
        )
    })
    .await;
    let ids = [id(1), id(2), id(3)];
    let records: Vec<(&str, &[&str])> = ids.iter().map(|id| (id.as_str(), &[][..])).collect();
    let delete = batch(Operation::Delete, &[], &records);
    assert_eq!(
        settle(&server, &delete, None).await.unwrap(),
        ["not applied".to_owned(), id(2), "not applied".to_owned()]
    );
}
