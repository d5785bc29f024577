//! One bad record of twenty, and what it costs; keys; lost answers; values that the service would swallow.

use crm_core::{CallStats, ErrorKind, NoTickets, Operation, RecordOutcome, Value};
use serde_json::json;

use crate::company::Company;
use crate::written::{accepted, contacts, find, messages, refuse, rejected, titled, write};

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_record_of_twenty_is_told_and_the_others_are_written_once() {
    for (bare, status) in [(false, 500), (true, 200)] {
        let company = Company::start(10).await;
        company
            .set(json!({"bare_codes": bare, "fault_status": status}))
            .await;
        refuse(&company, "Bad", "SBL-DAT-00510").await;
        let session = company.session(&[]);
        for bad in [0, 7, 19] {
            company.admin.clear_counters().await;
            let good = format!("Good {bad}");
            let titles: Vec<&str> = (0..20)
                .map(|n| if n == bad { "Bad" } else { &good })
                .collect();
            let stats = CallStats::default();
            let batch = titled(&titles);
            let reply = session.write(&batch, &NoTickets, &stats).await;
            assert!(reply.failure.is_none(), "{:?}", reply.failure);
            for (at, outcome) in reply.outcomes.iter().enumerate() {
                if at != bad {
                    assert!(
                        matches!(outcome, RecordOutcome::Accepted { .. }),
                        "{outcome:?}"
                    );
                    continue;
                }
                let reject = rejected(outcome);
                assert_eq!(reject.kind, ErrorKind::ValidationRule);
                assert!(
                    reject.code.is_some() && reject.log_file.is_some(),
                    "{reject:?}"
                );
                assert!(reject.message.contains("SBL-DAT-00510"), "{reject:?}");
                assert!(!reject.code.as_ref().unwrap().contains('('), "{reject:?}");
            }
            assert_eq!(find(&company, "JobTitle", &good).await.len(), 19);
            let messages = messages(&company).await;
            assert!(messages <= 11, "{messages}");
            assert_eq!(stats.data_calls(), messages);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bad_records_cost_a_bounded_number_of_messages() {
    let company = Company::start(10).await;
    refuse(&company, "Bad", "SBL-DAT-00510").await;
    let session = company.session(&[]);
    for is_bad in [
        |_: usize| true,
        |n: usize| n.is_multiple_of(2),
        |n: usize| n > 14,
    ] {
        company.admin.clear_counters().await;
        let titles: Vec<&str> = (0..20)
            .map(|n| if is_bad(n) { "Bad" } else { "Good" })
            .collect();
        let reply = write(&session, &titled(&titles)).await;
        for (at, outcome) in reply.outcomes.iter().enumerate() {
            let is_rejected = matches!(outcome, RecordOutcome::Rejected(_));
            assert_eq!(is_rejected, is_bad(at), "{at} {outcome:?}");
        }
        let messages = messages(&company).await;
        assert!(messages <= 31, "{messages}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_record_would_be_refused_for_is_an_error_after_one_message() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    let mut batch = titled(&["a", "b", "c"]);
    batch.fields[2].name = "ShoeSize".into();
    let reply = write(&session, &batch).await;
    let failure = reply.failure.expect("an error");
    assert_eq!(failure.kind(), ErrorKind::FieldUnknown, "{failure:?}");
    assert!(
        failure.detail().unwrap().contains("ShoeSize"),
        "{failure:?}"
    );
    assert_eq!(reply.outcomes, vec![RecordOutcome::NotApplied; 3]);
    assert_eq!(messages(&company).await, 1);
    company.admin.limits(0, 0).await;
    let reply = write(&session, &titled(&["a", "b"])).await;
    let failure = reply.failure.expect("an error");
    assert_eq!(failure.kind(), ErrorKind::AllotmentUsedUp, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_with_and_without_a_user_key_share_a_batch() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    let fields = ["ContactFirstName", "ContactLastName", "ExternalSystemId"];
    let create = contacts(
        Operation::Create,
        &fields,
        &[
            ("", &["A", "Key 1", "TEST-K1"]),
            ("", &["B", "Key 2", ""]),
            ("", &["C", "Key 3", "TEST-K3"]),
        ],
    );
    let ids = accepted(&write(&session, &create).await);
    let update = contacts(
        Operation::Update,
        &["JobTitle", "ExternalSystemId"],
        &[
            (&ids[0], &["New", ""]),
            (&ids[1], &["New", "TEST-K2"]),
            (&ids[2], &["New", "TEST-K3b"]),
        ],
    );
    assert_eq!(accepted(&write(&session, &update).await), ids);
    assert_eq!(find(&company, "JobTitle", "New").await.len(), 3);
    assert_eq!(
        find(&company, "ExternalSystemId", "TEST-K3b").await,
        [ids[2].clone()]
    );
    // By the key: changed, made, and told apart by case and from wildcards.
    let upsert = contacts(
        Operation::Upsert,
        &["ContactFirstName", "ContactLastName", "JobTitle"],
        &[
            ("TEST-K2", &["B", "Key 2", "Upserted"]),
            ("TEST-K*", &["D", "Key 4", "Upserted"]),
            ("TEST-K?", &["E", "Key 5", "Upserted"]),
            ("TEST\\O'K", &["F", "Key 6", "Upserted"]),
        ],
    );
    for is_again in [false, true] {
        let reply = write(&session, &upsert).await;
        let created: Vec<_> = (reply.outcomes.iter())
            .map(|outcome| match outcome {
                RecordOutcome::Accepted { created, .. } => created.unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(created, [false, !is_again, !is_again, !is_again]);
        assert_eq!(accepted(&reply)[0], ids[1]);
    }
    assert_eq!(find(&company, "JobTitle", "Upserted").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_builds_on_an_older_version_is_refused() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    let ids = accepted(&write(&session, &titled(&["Versioned"])).await);
    let update = |version: i64| {
        let mut batch = contacts(
            Operation::Update,
            &["JobTitle", "ModId"],
            &[(&ids[0], &["x", ""])],
        );
        batch.fields[1].remote_type = "Integer".into();
        batch.records[0].values[1] = Some(Value::Int(version));
        batch
    };
    accepted(&write(&session, &update(0)).await);
    let reply = write(&session, &update(0)).await;
    assert_eq!(rejected(&reply.outcomes[0]).kind, ErrorKind::RecordLocked);
    // Whose change it was cannot be told afterwards.
    let stats = CallStats::default();
    let settled = session.settle(&update(0), None, &stats).await.unwrap();
    assert_eq!(settled, [RecordOutcome::Unknown]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_looked_for_and_never_repeated_blindly() {
    for fault in [json!({"kind": "lose_reply"}), json!({"kind": "malformed"})] {
        let company = Company::start(10).await;
        let session = company.session(&[]);
        let strike = async || {
            let mut fault = fault.clone();
            fault["path"] = json!("/Services/Integration");
            fault["times"] = json!(1);
            company.admin.fault(fault).await;
        };
        write(&session, &titled(&["Signed in"])).await;
        strike().await;
        let reply = write(&session, &titled(&["Lost", "Lost"])).await;
        assert_eq!(reply.outcomes, vec![RecordOutcome::Unknown; 2], "{fault}");
        assert!(reply.failure.is_some());
        assert_eq!(find(&company, "JobTitle", "Lost").await.len(), 2);
        // With a key that only this side can have made, the records are found.
        let fields = ["ContactFirstName", "ContactLastName", "ExternalSystemId"];
        let mut ours = contacts(
            Operation::Create,
            &fields,
            &[
                ("", &["A", "Ours", "TEST-o1"]),
                ("", &["B", "Ours", "TEST-o2"]),
            ],
        );
        ours.journal_key = Some("ExternalSystemId".into());
        ours.key_is_ours = true;
        strike().await;
        let ids = accepted(&write(&session, &ours).await);
        assert_eq!(find(&company, "ContactLastName", "Ours").await, ids);
        let settled = session
            .settle(&ours, None, &CallStats::default())
            .await
            .unwrap();
        assert_eq!(settled.len(), 2);
        // Deleted since: they were made all the same.
        strike().await;
        let delete = contacts(Operation::Delete, &[], &[(&ids[0], &[]), (&ids[1], &[])]);
        assert_eq!(accepted(&write(&session, &delete).await), ids, "{fault}");
        for batch in [&ours, &delete] {
            let settled = session
                .settle(batch, None, &CallStats::default())
                .await
                .unwrap();
            let told: Vec<_> = (settled.iter())
                .map(|outcome| match outcome {
                    RecordOutcome::Accepted { id, .. } => id.clone(),
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, ids, "{fault}");
        }
        let again = write(&session, &delete).await;
        for outcome in &again.outcomes {
            assert_eq!(rejected(outcome).kind, ErrorKind::RecordUnknown);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_service_would_swallow_is_not_sent() {
    let company = Company::start(10).await;
    let session = company.session(&[]);
    for (field, remote_type, value) in [
        ("CustomInteger0", "Integer", "12a"),
        ("CustomNumber0", "Number", "1,5"),
        ("CustomBoolean0", "Checkbox", "maybe"),
        ("CustomDate25", "Date", "31.01.2024"),
        ("CustomDate0", "Date/Time", "soon"),
        ("CustomText0", "Text (Short)", "bell \u{7}"),
    ] {
        company.admin.clear_counters().await;
        let mut batch = titled(&[value]);
        batch.fields[2].name = field.into();
        batch.fields[2].remote_type = remote_type.into();
        let reply = write(&session, &batch).await;
        let reject = rejected(&reply.outcomes[0]);
        assert_eq!(reject.fields, [field]);
        assert_eq!(messages(&company).await, 0, "{field}");
    }
}
