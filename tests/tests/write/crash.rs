//! The crash test: an export of 1,000 records is killed at every step, the same statement runs again under the same
//! job, and the CRM holds each record exactly once.

use std::time::Duration;

use crm_tests::{Cluster, Crm, Database, Place, for_each_crm, for_each_deployment, until};
use serde_json::json;

use crate::export::{Export, Kind, Stand};

for_each_crm!(an_export_that_is_killed_at_any_step_runs_again_and_doubles_nothing);
for_each_deployment!(an_export_that_is_killed_on_another_way_runs_again_and_doubles_nothing);

/// A request: method, part of the path, how many such pass before.
type Call = (&'static str, &'static str, u64);

/// Where in an export it is killed.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A request has arrived and is never carried out.
    Unsent(Call),
    /// A request has arrived, and is carried out after the statement has run again.
    Late(Call),
    /// A request was carried out and its answer never comes.
    Unanswered(Call),
    /// The source of the rows breaks.
    Source(u64),
    /// All is sent, and the transaction has not committed.
    Commit,
}

/// How it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Cancel,
    Timeout,
    Terminate,
    /// The client goes away with its transaction open.
    Leave,
    /// ROLLBACK, or an error of the statement itself.
    Abort,
    /// The network loses the answers of the request and of its repetitions.
    LoseReplies,
    /// The connections break in the middle of the answers.
    Cut,
    /// `kill -9`: the whole server starts again.
    Kill,
    /// The server stops at once.
    Stop,
}

fn steps_of(crm: &Crm, export: Export) -> Vec<(Step, Way)> {
    let mut points = Vec::new();
    if export.in_jobs {
        let requests = [
            ("POST", "/jobs/ingest", 0),
            ("PUT", "/batches", 0),
            ("PATCH", "/jobs/ingest/", 0),
            ("GET", "/jobs/ingest/", 0),
            ("GET", "/jobs/ingest/", 1),
            ("GET", "/successfulResults", 0),
        ];
        for (at, call) in requests.into_iter().enumerate() {
            let (one, other) = if at % 2 == 0 {
                (Way::Cancel, Way::Terminate)
            } else {
                (Way::Terminate, Way::Cancel)
            };
            points.push((Step::Unsent(call), one));
            points.push((Step::Unanswered(call), one));
            points.push((Step::Unanswered(call), other));
        }
        let [_, upload, start, ..] = requests;
        points.push((Step::Late(upload), Way::Terminate));
        points.push((Step::Late(start), Way::Cancel));
        points.push((Step::Unanswered(upload), Way::Timeout));
        points.push((Step::Unanswered(start), Way::LoseReplies));
        points.push((Step::Unanswered(start), Way::Cut));
    } else {
        // Where there are many calls, the first, the last, and some between them.
        let last = export.n_calls(crm) - 1;
        let calls = [0, 1, 2, 3, 4].map(|fifth| export.call(crm, fifth * last / 4));
        let [first, early, middle, late, last] = calls;
        for call in calls {
            for way in [Way::Cancel, Way::Terminate] {
                points.push((Step::Unsent(call), way));
                points.push((Step::Unanswered(call), way));
            }
        }
        points.push((Step::Late(early), Way::Cancel));
        points.push((Step::Late(last), Way::Terminate));
        points.push((Step::Unanswered(late), Way::Timeout));
        for call in [first, middle, last] {
            points.push((Step::Unanswered(call), Way::LoseReplies));
            points.push((Step::Unanswered(call), Way::Cut));
        }
    }
    if matches!(
        export.kind,
        Kind::Create | Kind::CreateWithKey | Kind::Upsert
    ) {
        for row in [1, 201, 777] {
            points.push((Step::Source(row), Way::Abort));
        }
    }
    for way in [Way::Abort, Way::Terminate, Way::Leave] {
        points.push((Step::Commit, way));
    }
    points
}

/// With a server of its own.
fn harsh_steps_of(crm: &Crm, export: Export) -> Vec<(Step, Way)> {
    if export.in_jobs {
        vec![
            (Step::Unanswered(("PUT", "/batches", 0)), Way::Kill),
            (Step::Unanswered(("PATCH", "/jobs/ingest/", 0)), Way::Kill),
            (
                Step::Unanswered(("GET", "/successfulResults", 0)),
                Way::Stop,
            ),
        ]
    } else {
        let last = export.n_calls(crm) - 1;
        let call = |n| export.call(crm, n);
        vec![
            (Step::Unsent(call(1)), Way::Kill),
            (Step::Unanswered(call(last / 2)), Way::Kill),
            (Step::Unanswered(call(last)), Way::Stop),
            (Step::Commit, Way::Kill),
        ]
    }
}

/// Once in each of the ways in which an export can break.
fn few_steps_of(crm: &Crm, export: Export) -> Vec<(Step, Way)> {
    let last = export.n_calls(crm) - 1;
    let call = |n| export.call(crm, n);
    vec![
        (Step::Unsent(call(last)), Way::Terminate),
        (Step::Late(call(1)), Way::Cancel),
        (Step::Unanswered(call(0)), Way::Cancel),
        (Step::Unanswered(call(last)), Way::LoseReplies),
        (Step::Unanswered(call(last / 2)), Way::Cut),
        (Step::Commit, Way::Abort),
    ]
}

/// Kills each of a CRM's exports at the points that `steps_of` names; gives how many there were.
async fn killed_gently(crm: &'static Crm, steps_of: fn(&Crm, Export) -> Vec<(Step, Way)>) -> usize {
    let tasks = Export::all(crm).into_iter().map(|export| {
        tokio::spawn(async move {
            let mut stand = Stand::new(Place::shared(), crm, export).await;
            let points = steps_of(crm, export);
            for (step, way) in &points {
                killed_once(&mut stand, *step, *way, None).await;
            }
            stand.bench.finish().await;
            points.len()
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut n_points = 0;
    for task in tasks {
        n_points += task.await.expect("an export survives");
    }
    n_points
}

async fn an_export_that_is_killed_at_any_step_runs_again_and_doubles_nothing(crm: &'static Crm) {
    let gentle = killed_gently(crm, steps_of);
    let harsh = tokio::spawn(async move {
        let cluster = Cluster::start();
        let mut n_points = 0;
        for export in Export::all(crm) {
            let mut stand = Stand::new(cluster.place(), crm, export).await;
            for (step, way) in harsh_steps_of(crm, export) {
                killed_once(&mut stand, step, way, Some(&cluster)).await;
                n_points += 1;
            }
            stand.bench.finish().await;
        }
        n_points
    });
    let (gentle, harsh) = tokio::join!(gentle, harsh);
    let n_points = gentle + harsh.expect("an export survives");
    told(crm, n_points);
    assert!(n_points >= 20 * Export::all(crm).len(), "{n_points}");
}

async fn an_export_that_is_killed_on_another_way_runs_again_and_doubles_nothing(crm: &'static Crm) {
    let n_points = killed_gently(crm, few_steps_of).await;
    told(crm, n_points);
    assert!(n_points >= 6 * Export::all(crm).len(), "{n_points}");
}

fn told(crm: &Crm, n_points: usize) {
    println!(
        "measured: {}: kill points of exports of 1,000 records: {n_points}, none doubled, none lost",
        crm.name
    );
}

/// One kill point: the export fails there, runs again, and has then done everything exactly once.
async fn killed_once(stand: &mut Stand, step: Step, way: Way, cluster: Option<&Cluster>) {
    stand.begin_round().await;
    let what = format!("{step:?} {way:?}");
    let first = kill(stand, step, way, cluster, &what).await;
    let again = stand.session().await;
    let before = stand.bench.writing_calls().await;
    let ids = match stand.run(&again).await {
        Ok(ids) => ids,
        Err(refusal) => panic!("{} {what}: {refusal:#?}", stand.export.label()),
    };
    if let Some(first) = first {
        assert_eq!(ids, first, "{what}: the stored ids");
        let after = stand.bench.writing_calls().await;
        assert_eq!(after, before, "{what}: nothing is sent again");
    }
    if matches!(step, Step::Late(..)) {
        stand.bench.admin.release().await;
    }
    stand.check(&ids, spare(stand, step, way), &what).await;
    stand.end_round().await;
}

/// Records whose outcome nobody knew and which name themselves may travel again.
fn spare(stand: &Stand, step: Step, way: Way) -> u64 {
    let (export, writes) = (stand.export, &stand.bench.crm.writes);
    let call = writes.small_batch;
    // Where several calls carry what is noted together, those before are forgotten with the one that is struck.
    let noted = match export.kind {
        Kind::Upsert => writes.upsert_batch,
        _ => call,
    };
    match step {
        _ if export.in_jobs => 0,
        Step::Unsent(..) => noted - call,
        Step::Late(..) => noted,
        Step::Unanswered(..) if matches!(way, Way::LoseReplies | Way::Cut) => noted + 2 * call,
        Step::Unanswered(..) => noted,
        Step::Source(..) | Step::Commit => 0,
    }
}

/// Runs the statement and kills it; gives the ids where it got through before its transaction failed.
async fn kill(
    stand: &mut Stand,
    step: Step,
    way: Way,
    cluster: Option<&Cluster>,
    what: &str,
) -> Option<Vec<String>> {
    let victim = stand.session().await;
    let what = format!("{} {what}", stand.export.label());
    match (step, way) {
        (Step::Commit, _) => {
            victim.run("BEGIN").await;
            let ids = stand.run(&victim).await;
            let ids = ids.unwrap_or_else(|refusal| panic!("{what}: {refusal:#?}"));
            end(stand, victim, way, cluster).await;
            return Some(ids);
        }
        (Step::Source(row), _) => {
            victim.run(&format!("SET crash.at = '{row}'")).await;
            let refusal = stand.run(&victim).await.expect_err(&what);
            let refusal = refusal.expect("an error");
            assert!(
                refusal.message.contains("the source breaks"),
                "{what}: {refusal:#?}"
            );
        }
        (Step::Unanswered((method, path, after)), Way::LoseReplies | Way::Cut) => {
            let kind = if way == Way::Cut { "cut" } else { "lose_reply" };
            stand
                .bench
                .admin
                .fault(json!({"method": method, "path": path, "after": after, "times": 3, "kind": kind, "bytes": 5}))
                .await;
            // The job's end may still be seen, and then nothing fails.
            let outcome = stand.run(&victim).await;
            if let Err(refusal) = &outcome {
                let refusal = refusal.as_ref().expect("an error");
                assert!(refusal.sqlstate.starts_with("08"), "{what}: {refusal:#?}");
            }
            assert!(
                outcome.is_err() || stand.export.in_jobs || stand.bench.crm.writes.settles_itself,
                "{what}: went well"
            );
            if let Ok(ids) = outcome {
                stand.check(&ids, 0, &what).await;
                stand.begin_round().await;
            }
            stand.bench.admin.clear_faults().await;
        }
        (
            Step::Unsent((method, path, after))
            | Step::Late((method, path, after))
            | Step::Unanswered((method, path, after)),
            _,
        ) => {
            let at = match step {
                Step::Unanswered(..) => "after",
                _ => "before",
            };
            let is_late = matches!(step, Step::Late(..));
            stand
                .bench
                .admin
                .fault(json!({"method": method, "path": path, "after": after, "kind": "hold", "at": at, "apply_on_release": is_late}))
                .await;
            if way == Way::Timeout {
                victim.run("SET statement_timeout = '5s'").await;
            }
            let (outcome, ()) = tokio::join!(stand.run(&victim), async {
                stand.bench.admin.wait_held().await;
                let backend = victim.backend();
                match way {
                    Way::Cancel => stand.bench.db.cancel(&victim).await,
                    Way::Timeout => {}
                    Way::Kill => backend.kill(),
                    Way::Stop => cluster.expect("a server").stop_at_once(),
                    _ => {
                        let sql = format!("SELECT pg_terminate_backend({})", backend.pid);
                        assert_eq!(stand.bench.db.value(&sql).await, "t");
                    }
                }
            });
            if let Ok(ids) = &outcome {
                panic!("{what}: {} rows in spite of it", ids.len());
            }
            if !is_late {
                stand.bench.admin.release().await;
            }
            gone(&victim, way).await;
            back(stand, way, cluster).await;
        }
    }
    None
}

/// Ends a transaction that has sent everything.
async fn end(stand: &mut Stand, victim: Database, way: Way, cluster: Option<&Cluster>) {
    match way {
        Way::Abort => victim.run("ROLLBACK").await,
        Way::Leave => {
            let backend = victim.backend();
            drop(victim);
            until("the session ends", Duration::from_secs(20), || async {
                (!backend.is_alive()).then_some(())
            })
            .await;
            return;
        }
        Way::Kill => victim.backend().kill(),
        _ => {
            let sql = format!("SELECT pg_terminate_backend({})", victim.backend().pid);
            assert_eq!(stand.bench.db.value(&sql).await, "t");
        }
    }
    gone(&victim, way).await;
    back(stand, way, cluster).await;
}

/// Waits until a killed session is really gone.
async fn gone(victim: &Database, way: Way) {
    if matches!(way, Way::Terminate | Way::Kill | Way::Stop) {
        let backend = victim.backend();
        until("the session ends", Duration::from_secs(20), || async {
            (!backend.is_alive()).then_some(())
        })
        .await;
    } else {
        // The error is told before the transaction has come to its end.
        victim.is_alive().await;
    }
}

/// Waits until the server that was killed takes connections again.
async fn back(stand: &mut Stand, way: Way, cluster: Option<&Cluster>) {
    let Some(cluster) = cluster else { return };
    if way == Way::Stop {
        cluster.start_again();
    }
    if !matches!(way, Way::Kill | Way::Stop) {
        return;
    }
    // The postmaster ends the other sessions as soon as it sees that one was killed, and starts again.
    let db = &stand.bench.db;
    until(
        "the other sessions end",
        Duration::from_secs(60),
        || async { db.attempt("SELECT 1").await.err() },
    )
    .await;
    let place = cluster.place();
    until("the server is back", Duration::from_secs(60), || async {
        Database::try_connect(&place, None).await.ok()
    })
    .await;
    stand.bench.db = stand.bench.session().await;
}
