//! Jobs: what becomes of records when a job's answers are lost or the job ends early.

use std::sync::{Arc, Mutex};

use crm_core::{CallStats, Operation, RecordOutcome, Result, Route, TicketKeeper};
use serde_json::json;

use crate::fixture::{Fixture, Remote, all_pages, texts};
use crate::writing::{accepted, batch, stored, write};

crate::for_salesforce!(
    a_job_whose_answers_are_lost_is_settled,
    a_job_that_ends_early_tells_what_it_did,
    objects_without_jobs_are_written_by_calls,
);

/// Keeps the name of the last job.
#[derive(Default)]
struct LastJob(Mutex<Option<String>>);

impl TicketKeeper for LastJob {
    fn keep(&self, ticket: &str) -> Result<()> {
        *self.0.lock().unwrap() = Some(ticket.to_owned());
        Ok(())
    }
}

async fn a_job_whose_answers_are_lost_is_settled(fixture: &'static Fixture) {
    for path in fixture.writes.job_paths {
        for fault in [
            json!({"kind": "lose_reply"}),
            json!({"kind": "status", "status": 500}),
        ] {
            for is_once in [true, false] {
                let remote = Remote::start(fixture, 10).await;
                let session = remote.session(&[("max_retries", "1")]);
                let mut on = fault.clone();
                on["path"] = json!(path);
                on["times"] = json!(u8::from(is_once));
                remote.admin.fault(on).await;
                let shown = format!("{path} {fault} {is_once}");
                let records = [
                    ("", ["Job 1", ""]),
                    ("", ["Job 2", "x@example.com"]),
                    ("", ["Job 2", "x@example.com"]),
                ];
                let create = batch(fixture, Operation::Create, Route::Job, &records);
                let kept = LastJob::default();
                let mut outcomes = session
                    .write(&create, &kept, &CallStats::default())
                    .await
                    .outcomes;
                let ticket = kept.0.lock().unwrap().clone();
                remote.admin.clear_faults().await;
                if outcomes.contains(&RecordOutcome::Unknown) {
                    let stats = CallStats::default();
                    outcomes = session
                        .settle(&create, ticket.as_deref(), &stats)
                        .await
                        .unwrap();
                }
                if outcomes.contains(&RecordOutcome::NotApplied) {
                    assert_eq!(outcomes, vec![RecordOutcome::NotApplied; 3], "{shown}");
                    outcomes = session
                        .write(&create, &kept, &CallStats::default())
                        .await
                        .outcomes;
                }
                let ids: std::collections::HashSet<_> = outcomes
                    .iter()
                    .map(|outcome| match outcome {
                        RecordOutcome::Accepted { id, .. } => id.clone(),
                        other => panic!("{shown}: {other:?}"),
                    })
                    .collect();
                assert_eq!(ids.len(), 3, "{shown}");
                for (name, n) in [("Job%201", 1), ("Job%202", 2)] {
                    let found = remote
                        .admin
                        .find(fixture.writes.object, fixture.writes.required.0, name)
                        .await;
                    assert_eq!(found.len(), n, "{shown} {name}");
                }
            }
        }
    }
}

async fn a_job_that_ends_early_tells_what_it_did(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    remote.admin.bulk(json!({"fail_after": 200})).await;
    let names: Vec<_> = (0..500).map(|n| format!("Early {n}")).collect();
    let records: Vec<_> = names.iter().map(|name| ("", [name.as_str(), ""])).collect();
    let create = batch(fixture, Operation::Create, Route::Job, &records);
    let reply = write(&session, &create).await;
    let n_applied = reply
        .outcomes
        .iter()
        .filter(|outcome| matches!(outcome, RecordOutcome::Accepted { .. }))
        .count();
    let n_left = reply
        .outcomes
        .iter()
        .filter(|outcome| **outcome == RecordOutcome::NotApplied)
        .count();
    assert_eq!((n_applied, n_left), (200, 300));
    assert!(reply.failure.is_some());
}

async fn objects_without_jobs_are_written_by_calls(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    remote
        .admin
        .bulk(json!({"refused_objects": [fixture.writes.object]}))
        .await;
    let create = batch(
        fixture,
        Operation::Create,
        Route::Job,
        &[("", ["Anyhow", ""])],
    );
    let ids = accepted(&write(&session, &create).await);
    assert_eq!(stored(&remote, &session, &ids).await, ["Anyhow -"]);
    let query = fixture.records.query();
    assert!(!texts(&all_pages(&session, query, &Arc::default()).await, 0).is_empty());
    // Where every record must be settled, it is refused before anything is sent.
    let reply = session
        .write(&create, &LastJob::default(), &CallStats::default())
        .await;
    assert_eq!(reply.outcomes, [RecordOutcome::NotApplied]);
}
