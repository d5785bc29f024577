//! Writing in jobs: the way of a job, and what becomes of its records.

use crate::support::{asked, id, refused, server, session, words};
use crate::vendor::{
    CREATED, Full, JobState, Kept, Script, USUAL, in_job, job_name, serve, vendor,
};
use crm_core::{
    CallStats, ErrorKind, NoTickets, Operation, RecordOutcome, TicketKeeper, WriteBatch, WriteReply,
};
use crm_http::testkit::{Answer, Server};
use std::sync::{Arc, Mutex};

async fn write(server: &Server, batch: &WriteBatch, tickets: &dyn TicketKeeper) -> WriteReply {
    session(server)
        .write(batch, tickets, &CallStats::default())
        .await
}

#[tokio::test]
async fn a_job_from_its_making_to_its_end() {
    let server = vendor(USUAL, |_, _| None).await;
    let batch = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    let stats = CallStats::default();
    let reply = session(&server).write(&batch, &NoTickets, &stats).await;
    assert!(reply.failure.is_none(), "{reply:?}");
    let plus = |number: usize| format!("+{}", id(number));
    assert_eq!(
        words(&reply)[..3],
        [plus(0), "STRING_TOO_LONG".into(), plus(2)]
    );
    // Equal rows are interchangeable, and each is one record.
    let mut same = words(&reply)[3..].to_vec();
    same.sort();
    assert_eq!(same, [plus(3), plus(4)]);
    let RecordOutcome::Rejected(reject) = &reply.outcomes[1] else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (reject.kind, reject.message.as_str()),
        (ErrorKind::TextTooLong, "no: too long")
    );
    assert_eq!(reject.fields, ["LastName"]);
    let job = format!("/services/data/v66.0/jobs/ingest/{}", job_name(0));
    assert_eq!(
        asked(&server),
        [
            "POST /services/data/v66.0/jobs/ingest".to_owned(),
            format!("PUT {job}/batches"),
            format!("PATCH {job}"),
            format!("GET {job}"),
            format!("GET {job}"),
            format!("GET {job}/successfulResults/"),
            format!("GET {job}/failedResults/"),
            format!("DELETE {job}"),
        ]
    );
    let seen = server.seen();
    assert_eq!(
        seen[1].body,
        r#"{"object":"Contact","operation":"insert","contentType":"CSV","lineEnding":"LF"}"#
    );
    assert_eq!(
        seen[2].body,
        "LastName,Email\n\"a, \"\"quoted\"\"\",#N/A\nREFUSED,x\n\"two\nlines\",y\nsame,z\nsame,z\n"
    );
    assert_eq!(seen[2].header("content-type"), Some("text/csv"));
    assert_eq!(seen[6].header("accept"), Some("text/csv"));
    assert_eq!(stats.data_calls(), 8);
    assert!(stats.waited().as_millis() >= 100);
}

#[tokio::test]
async fn records_with_a_key_are_matched_by_it() {
    let (one, two) = (id(501), id(502));
    for (operation, fields, records, created) in [
        (
            Operation::Update,
            &["LastName"][..],
            vec![(&one[..15], &["a"][..]), (two.as_str(), &["REFUSED"])],
            r#""operation":"update""#,
        ),
        (
            Operation::Delete,
            &[],
            vec![(one.as_str(), &[][..]), (&two[..15], &[])],
            r#""operation":"delete""#,
        ),
        (
            Operation::Upsert,
            &["LastName"],
            vec![("key 1", &["a"][..]), ("key 2", &["REFUSED"])],
            r#""operation":"upsert","externalIdFieldName":"Ext__c""#,
        ),
    ] {
        let server = vendor(USUAL, |_, _| None).await;
        let reply = write(
            &server,
            &in_job(operation, fields, &records),
            &Kept::default(),
        )
        .await;
        assert!(reply.failure.is_none(), "{reply:?}");
        let expected = match operation {
            Operation::Update => vec![format!("={one}"), "STRING_TOO_LONG".into()],
            Operation::Delete => vec![one.clone(), two.clone()],
            _ => vec![format!("+{}", id(0)), "STRING_TOO_LONG".into()],
        };
        assert_eq!(words(&reply), expected);
        assert!(
            server.seen()[1].body.contains(created),
            "{}",
            server.seen()[1].body
        );
        // Who keeps tickets may ask again.
        assert!(
            !asked(&server)
                .iter()
                .any(|asked| asked.starts_with("DELETE"))
        );
    }
}

#[tokio::test]
async fn the_name_is_kept_before_anything_travels() {
    let server = vendor(USUAL, |_, _| None).await;
    let batch = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    let kept = Kept::default();
    write(&server, &batch, &kept).await;
    assert_eq!(*kept.0.lock().unwrap(), [job_name(0)]);
    let server = vendor(USUAL, |_, _| None).await;
    let reply = write(&server, &batch, &Full).await;
    assert_eq!(words(&reply), ["not applied"; 5]);
    assert_eq!(reply.failure.unwrap().message(), "the disk is full");
    assert!(!asked(&server).iter().any(|asked| asked.starts_with("PUT")));
    assert!(server.seen().pop().unwrap().body.contains("Aborted"));
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_goes_into_another_job() {
    let server = vendor(USUAL, |seen, n| {
        (seen.method == "PUT" && n == 1).then(|| Answer::new(500, ""))
    })
    .await;
    let batch = in_job(Operation::Create, &["LastName", "Email"], CREATED);
    let kept = Kept::default();
    let reply = write(&server, &batch, &kept).await;
    assert!(reply.failure.is_none(), "{reply:?}");
    assert_eq!(
        words(&reply)
            .iter()
            .filter(|word| word.starts_with('+'))
            .count(),
        4
    );
    assert_eq!(*kept.0.lock().unwrap(), [job_name(0), job_name(1)]);
    // The first one was given up before the second was made.
    let asked = asked(&server);
    assert!(
        asked[2].starts_with("PATCH") && asked[3].starts_with("POST"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn an_upload_that_cannot_be_made_is_not_applied() {
    let server = vendor(USUAL, |seen, _| {
        (seen.method == "PUT").then(|| refused(413, "TOO_LARGE", "too large"))
    })
    .await;
    let reply = write(
        &server,
        &in_job(Operation::Create, &["LastName", "Email"], CREATED),
        &NoTickets,
    )
    .await;
    assert_eq!(words(&reply), ["not applied"; 5]);
    assert!(reply.failure.is_some());
    assert!(server.seen().pop().unwrap().body.contains("Aborted"));
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_is_looked_after() {
    // The start is carried out and its answer lost; or it does not get through at all.
    for (is_done, n_starts) in [(true, 1), (false, 2)] {
        let lost = Arc::new(Mutex::new(0));
        let server = if is_done {
            vendor(USUAL, move |seen, _| {
                let is_start = seen.method == "PATCH" && seen.body.contains("UploadComplete");
                is_start.then(|| Answer::new(502, ""))
            })
            .await
        } else {
            let jobs: Arc<Mutex<Vec<JobState>>> = Arc::default();
            server(move |seen, _, _| {
                let mut lost = lost.lock().unwrap();
                if seen.method == "PATCH" && *lost == 0 {
                    *lost += 1;
                    return Answer::new(502, "");
                }
                serve(&USUAL, &mut jobs.lock().unwrap(), seen)
            })
            .await
        };
        let reply = write(
            &server,
            &in_job(Operation::Create, &["LastName", "Email"], CREATED),
            &Kept::default(),
        )
        .await;
        assert!(reply.failure.is_none(), "{reply:?}");
        let asked = asked(&server);
        assert_eq!(
            asked
                .iter()
                .filter(|asked| asked.starts_with("PATCH"))
                .count(),
            n_starts
        );
        assert_eq!(
            asked
                .iter()
                .filter(|asked| asked.starts_with("POST"))
                .count(),
            1
        );
    }
}

#[tokio::test]
async fn a_job_that_nobody_can_ask_about_is_unknown() {
    for lost in ["GET", "successfulResults"] {
        let server = vendor(USUAL, move |seen, _| {
            (seen.method == lost || seen.target.contains(lost)).then(|| Answer::new(500, ""))
        })
        .await;
        let reply = write(
            &server,
            &in_job(Operation::Create, &["LastName", "Email"], CREATED),
            &NoTickets,
        )
        .await;
        assert_eq!(words(&reply), ["unknown"; 5]);
        assert!(reply.failure.is_some());
        // It must stay, so that it can be asked about later.
        assert!(
            !asked(&server)
                .iter()
                .any(|asked| asked.starts_with("DELETE"))
        );
    }
}

#[tokio::test]
async fn what_a_job_left_undone_is_not_applied() {
    for (ending, message) in [
        ("JobComplete", "undone"),
        ("Failed", "before all"),
        ("Aborted", "before all"),
    ] {
        let server = vendor(Script { ending, ..USUAL }, |_, _| None).await;
        let records = [("", &["a"][..]), ("", &["UNDONE"]), ("", &["REFUSED"])];
        let reply = write(
            &server,
            &in_job(Operation::Create, &["LastName"], &records),
            &NoTickets,
        )
        .await;
        assert_eq!(
            words(&reply),
            [
                format!("+{}", id(0)),
                "not applied".into(),
                "STRING_TOO_LONG".into()
            ]
        );
        let failure = reply.failure.unwrap();
        assert!(failure.message().contains(message), "{failure}");
        if ending != "JobComplete" {
            assert!(failure.detail().unwrap().contains("TEST reason"));
        }
    }
}

#[tokio::test]
async fn a_field_that_the_crm_drops_is_told() {
    let script = Script {
        dropped: Some("Email"),
        ..USUAL
    };
    let server = vendor(script, |_, _| None).await;
    let reply = write(
        &server,
        &in_job(Operation::Create, &["LastName", "Email"], CREATED),
        &NoTickets,
    )
    .await;
    assert_eq!(words(&reply)[0], format!("+{}", id(0)));
    let failure = reply.failure.unwrap();
    assert_eq!(failure.kind(), ErrorKind::FieldUnknown);
    assert!(failure.message().contains("\"Email\""), "{failure}");
}

#[tokio::test]
async fn results_that_tell_of_other_records_leave_ours_unknown() {
    let server = vendor(USUAL, |seen, _| {
        seen.target.contains("successfulResults").then(|| {
            Answer::new(
                200,
                format!(
                    "\"sf__Id\",\"sf__Created\",\"LastName\"\n\"{}\",\"true\",\"other\"\n",
                    id(1)
                ),
            )
        })
    })
    .await;
    let reply = write(
        &server,
        &in_job(Operation::Create, &["LastName"], &[("", &["a"])]),
        &NoTickets,
    )
    .await;
    assert_eq!(words(&reply), ["unknown"]);
    assert!(
        reply
            .failure
            .unwrap()
            .message()
            .contains("1 of its records")
    );
}

#[tokio::test]
async fn what_csv_cannot_say_goes_by_calls() {
    let long = "x".repeat(32_001);
    let server = vendor(USUAL, |_, _| None).await;
    let records = [("", &["a"][..]), ("", &["#N/A"]), ("", &[long.as_str()])];
    let reply = write(
        &server,
        &in_job(Operation::Create, &["LastName"], &records),
        &NoTickets,
    )
    .await;
    assert!(reply.failure.is_none());
    assert_eq!(
        words(&reply),
        [
            format!("+{}", id(0)),
            format!("+{}", id(900)),
            format!("+{}", id(901))
        ]
    );
    assert!(!server.seen()[2].body.contains('x'));
    // So does a record named a second time, which the job might do first.
    let server = vendor(USUAL, |_, _| None).await;
    let records = [("k", &["first"][..]), ("K", &["second"])];
    write(
        &server,
        &in_job(Operation::Upsert, &["LastName"], &records),
        &NoTickets,
    )
    .await;
    let bodies: Vec<_> = server.seen().iter().map(|seen| seen.body.clone()).collect();
    assert!(bodies[2].contains("first") && !bodies[2].contains("second"));
    assert!(bodies.last().unwrap().contains("second"));
}

#[tokio::test]
async fn records_that_a_job_found_locked_go_by_calls_where_that_is_safe() {
    let records = [("", &["a"][..]), ("", &["LOCKED"])];
    let create = in_job(Operation::Create, &["LastName"], &records);
    let server = vendor(USUAL, |_, _| None).await;
    let reply = write(&server, &create, &NoTickets).await;
    assert_eq!(
        words(&reply),
        [format!("+{}", id(0)), format!("+{}", id(900))]
    );
    // A create whose answer were lost could not be settled.
    let server = vendor(USUAL, |_, _| None).await;
    let reply = write(&server, &create, &Kept::default()).await;
    assert_eq!(
        words(&reply),
        [format!("+{}", id(0)), "UNABLE_TO_LOCK_ROW".into()]
    );
}

#[tokio::test]
async fn objects_that_no_job_takes_go_by_calls_where_that_is_safe() {
    let refusing = || {
        vendor(USUAL, |seen, _| {
            seen.target.ends_with("/jobs/ingest").then(|| {
                refused(
                    400,
                    "INVALIDENTITY",
                    "Entity 'Contact' is not supported by the Bulk API.",
                )
            })
        })
    };
    let create = in_job(Operation::Create, &["LastName"], &[("", &["a"])]);
    let server = refusing().await;
    assert_eq!(
        words(&write(&server, &create, &NoTickets).await),
        [format!("+{}", id(900))]
    );
    let server = refusing().await;
    let reply = write(&server, &create, &Kept::default()).await;
    assert_eq!(words(&reply), ["not applied"]);
    assert!(
        reply
            .failure
            .unwrap()
            .hint()
            .unwrap()
            .contains("journal_key")
    );
    let server = refusing().await;
    let update = in_job(Operation::Update, &["LastName"], &[(&id(1), &["a"])]);
    assert_eq!(
        words(&write(&server, &update, &Kept::default()).await),
        [format!("={}", id(900))]
    );
}
