//! Jobs in a folder: files and their rights, starting anew, settling, forgetting, listing.

use crm_core::{ErrorKind, Operation, Value};
use crm_journal::{
    Claim, Directory, Fingerprint, IntendedRecord, Job, JobState, Outcome, RecordStatus,
    Settlement, Signature,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

fn folder() -> (TempDir, Directory) {
    let temporary = tempfile::tempdir().unwrap();
    let directory = Directory::new(temporary.path().join("a/b")).unwrap();
    (temporary, directory)
}

fn signature() -> Signature {
    Signature::new("sf", "Account", [Operation::Create], ["Name", "Phone"])
}

fn open(directory: &Directory, name: &str) -> Job {
    Job::open(directory, name, signature()).unwrap()
}

fn fingerprint(name: &str) -> Fingerprint {
    let value = Value::Text(name.to_owned());
    Fingerprint::new(Operation::Create, "Account", None, [("Name", Some(&value))])
}

/// Claims a record and sends it.
fn send(job: &mut Job, name: &str) -> u32 {
    let number = job.claim(fingerprint(name)).unwrap().number();
    let record = IntendedRecord {
        number,
        operation: Operation::Create,
        record: format!("{{\n  \"Name\": \"{name}\"\r\n}}"),
        key: Some(format!("key of {name}")),
    };
    job.intend(&[record], None).unwrap();
    number
}

fn accepted(id: &str) -> Outcome {
    Outcome::Accepted { id: id.to_owned() }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_are_their_owners_and_stay_in_the_folder() {
    let (temporary, directory) = folder();
    assert_eq!(mode(directory.path()), 0o700);
    let long = "x".repeat(300);
    let names = ["", ".", "..", "../x", "a/b", "/tmp/x", "☃", "a\nb", &long];
    for name in names {
        let mut job = open(&directory, name);
        let number = send(&mut job, "Acme");
        job.outcomes(&[(number, accepted("1"))]).unwrap();
        assert!(job.finish().unwrap());
        drop(job);
        // A second run puts a new file in the place of the finished one.
        open(&directory, name);
    }
    let mut found: Vec<_> = directory
        .jobs()
        .unwrap()
        .into_iter()
        .map(|job| job.name)
        .collect();
    found.sort_unstable();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let files: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), names.len() + 1, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(temporary.path().join("a")).unwrap().count(), 1);
}

#[test]
fn a_second_opener_is_refused_while_the_first_lives() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    let refusals = [
        Job::open(&directory, "nightly", signature())
            .map(|_| ())
            .unwrap_err(),
        directory
            .settle("nightly", number, Settlement::Resend)
            .unwrap_err(),
        directory.forget("nightly").unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::RecordLocked);
        assert!(error.message().contains("\"nightly\""), "{error}");
    }
    // Watching is allowed.
    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Running);
    let records: Vec<_> = directory
        .records("nightly")
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(records[0].status, RecordStatus::Sent);
    open(&directory, "hourly");
    drop(job);
    open(&directory, "nightly");
}

#[test]
fn two_at_once_never_both_get_the_job() {
    let (_temporary, directory) = folder();
    let barrier = std::sync::Barrier::new(8);
    for _ in 0..20 {
        let jobs: Vec<_> = std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        let job = Job::open(&directory, "nightly", signature());
                        barrier.wait();
                        job.ok()
                    })
                })
                .collect();
            openers
                .into_iter()
                .filter_map(|opener| opener.join().unwrap())
                .collect()
        });
        assert_eq!(jobs.len(), 1);
        for mut job in jobs {
            // The next round meets a finished job, which is replaced.
            assert!(job.finish().unwrap());
        }
    }
}

#[test]
fn forgetting_and_opening_at_once_never_makes_two_holders() {
    let (_temporary, directory) = folder();
    let holders = AtomicUsize::new(0);
    let n_held = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..150 {
                    if let Ok(mut job) = Job::open(&directory, "nightly", signature()) {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        send(&mut job, "Acme");
                        n_held.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            });
            scope.spawn(|| {
                for _ in 0..150 {
                    // It may be held.
                    if let Err(error) = directory.forget("nightly") {
                        assert_eq!(error.kind(), ErrorKind::RecordLocked);
                    }
                }
            });
        }
    });
    assert!(n_held.load(Ordering::SeqCst) > 0);
}

#[test]
fn another_export_under_an_unfinished_job_is_refused() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "it's");
    let number = send(&mut job, "Acme");
    drop(job);
    let others = [
        Signature::new("other", "Account", [Operation::Create], ["Name", "Phone"]),
        Signature::new("sf", "Contact", [Operation::Create], ["Name", "Phone"]),
        Signature::new("sf", "Account", [Operation::Update], ["Name", "Phone"]),
        Signature::new("sf", "Account", [Operation::Create], ["Name"]),
    ];
    for other in &others {
        let error = Job::open(&directory, "it's", other.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OptionValue);
        assert!(
            error
                .detail()
                .unwrap()
                .contains("\"Account\" on server \"sf\""),
            "{error}"
        );
        assert!(
            error.hint().unwrap().contains("crm.forget_export('it''s')"),
            "{error:?}"
        );
    }
    let columns = Signature::new("sf", "Account", [Operation::Create], ["Phone", "Name"]);
    let mut job = Job::open(&directory, "it's", columns).unwrap();
    job.outcomes(&[(number, accepted("1"))]).unwrap();
    assert!(job.finish().unwrap());
    drop(job);
    let job = Job::open(&directory, "it's", others[1].clone()).unwrap();
    assert_eq!(job.counts().recorded, 0);
}

#[test]
fn a_finished_job_starts_anew_and_an_interrupted_one_goes_on() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    job.outcomes(&[(number, accepted("001"))]).unwrap();
    drop(job);
    let mut job = open(&directory, "nightly");
    let claim = job.claim(fingerprint("Acme")).unwrap();
    assert_eq!(
        claim,
        Claim::Accepted {
            number,
            id: "001".to_owned()
        }
    );
    assert_eq!(
        job.claim(fingerprint("Acme")).unwrap(),
        Claim::New { number: 2 }
    );
    assert!(job.finish().unwrap());
    drop(job);
    let mut job = open(&directory, "nightly");
    assert_eq!(
        job.claim(fingerprint("Acme")).unwrap(),
        Claim::New { number: 1 }
    );
    // The new file is held as the old one was.
    let error = Job::open(&directory, "nightly", signature()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordLocked);
}

#[test]
fn what_waits_keeps_a_committed_job_unfinished() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let done = send(&mut job, "done");
    let lost = send(&mut job, "lost");
    let left = send(&mut job, "left");
    let reason = || "no answer".to_owned();
    job.outcomes(&[
        (done, accepted("1")),
        (lost, Outcome::Unknown { reason: reason() }),
        (left, Outcome::NotApplied { reason: reason() }),
    ])
    .unwrap();
    assert!(!job.finish().unwrap());
    drop(job);
    let summary = directory.jobs().unwrap().remove(0);
    assert_eq!(summary.state, JobState::Waiting);
    assert!(summary.finished_at >= summary.started_at);
    let counts = summary.counts;
    assert_eq!(
        (
            counts.recorded,
            counts.accepted,
            counts.unknown,
            counts.pending
        ),
        (3, 1, 1, 1)
    );

    // The next run sends what is left, skips what is done, and leaves out what nobody knows.
    let mut job = open(&directory, "nightly");
    assert!(matches!(
        job.claim(fingerprint("done")).unwrap(),
        Claim::Accepted { .. }
    ));
    assert!(matches!(
        job.claim(fingerprint("lost")).unwrap(),
        Claim::Unknown { .. }
    ));
    assert_eq!(
        job.claim(fingerprint("left")).unwrap(),
        Claim::Again { number: left }
    );
    assert_eq!(
        job.intent(left).unwrap().key.as_deref(),
        Some("key of left")
    );
    let intent = job.intent(left).unwrap();
    let again = IntendedRecord {
        number: left,
        operation: intent.operation,
        record: intent.record,
        key: intent.key,
    };
    job.intend(&[again], None).unwrap();
    job.outcomes(&[(left, accepted("3"))]).unwrap();
    assert!(!job.finish().unwrap());
    drop(job);

    // With the last record settled nothing waits.
    directory
        .settle("nightly", lost, Settlement::Accepted { id: "2".to_owned() })
        .unwrap();
    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Finished);
    let error = directory
        .settle("nightly", lost, Settlement::Resend)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OptionValue);
}

#[test]
fn a_record_to_be_sent_again_is_sent_by_the_next_run() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    assert!(!job.finish().unwrap());
    drop(job);
    directory
        .settle("nightly", number, Settlement::Resend)
        .unwrap();
    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Waiting);
    let mut job = open(&directory, "nightly");
    assert_eq!(
        job.claim(fingerprint("Acme")).unwrap(),
        Claim::Again { number }
    );
}

#[test]
fn a_run_that_went_on_and_did_not_commit_is_interrupted() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let lost = send(&mut job, "lost");
    assert!(!job.finish().unwrap());
    drop(job);
    let mut job = open(&directory, "nightly");
    let more = send(&mut job, "more");
    job.outcomes(&[(more, accepted("2")), (lost, accepted("1"))])
        .unwrap();
    drop(job);
    // Started anew it would send both again.
    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Interrupted);
    let mut job = open(&directory, "nightly");
    assert!(matches!(
        job.claim(fingerprint("more")).unwrap(),
        Claim::Accepted { .. }
    ));
}

#[test]
fn a_file_left_by_a_killed_replacement_is_in_nobodys_way() {
    let (_temporary, directory) = folder();
    assert!(open(&directory, "nightly").finish().unwrap());
    let left = directory.path().join("job-nightly.journal.new");
    let garbage = "x".repeat(10_000);
    fs::write(&left, &garbage).unwrap();
    assert_eq!(directory.jobs().unwrap().len(), 1);
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    drop(job);
    assert!(!left.exists());
    let mut job = open(&directory, "nightly");
    assert_eq!(
        job.claim(fingerprint("Acme")).unwrap(),
        Claim::Unknown {
            number,
            ticket: None
        }
    );
    drop(job);
    fs::write(&left, &garbage).unwrap();
    assert!(directory.forget("nightly").unwrap());
    assert!(!left.exists());
}

#[test]
fn a_record_that_left_the_source_does_not_hold_up_the_job() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    let reason = String::new();
    job.outcomes(&[(number, Outcome::NotApplied { reason })])
        .unwrap();
    drop(job);
    let mut job = open(&directory, "nightly");
    assert!(job.finish().unwrap());
}

#[test]
fn records_are_listed_with_what_became_of_them() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let accepted_one = send(&mut job, "a");
    let rejected_one = send(&mut job, "b");
    let lost_one = send(&mut job, "c");
    job.attach_ticket("750", &[accepted_one, lost_one]).unwrap();
    job.outcomes(&[
        (accepted_one, accepted("001")),
        (
            rejected_one,
            Outcome::Rejected {
                code: "BAD".to_owned(),
                message: "no \"b\"".to_owned(),
            },
        ),
    ])
    .unwrap();
    drop(job);
    let records: Vec<_> = directory
        .records("nightly")
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let [a, b, c] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(
        (a.number, a.status, a.remote_id.as_deref()),
        (1, RecordStatus::Accepted, Some("001"))
    );
    assert_eq!(
        (a.ticket.as_deref(), a.key.as_deref()),
        (Some("750"), Some("key of a"))
    );
    let json: serde_json::Value = serde_json::from_str(&a.record).unwrap();
    assert_eq!(json, serde_json::json!({"Name": "a"}));
    assert!(a.sent_at.unwrap() > 1_700_000_000_000_000 && a.settled_at >= a.sent_at);
    assert_eq!(
        (b.status, b.code.as_deref()),
        (RecordStatus::Rejected, Some("BAD"))
    );
    assert_eq!(
        (b.message.as_deref(), b.ticket.as_deref()),
        (Some("no \"b\""), None)
    );
    assert_eq!(
        (c.status, c.settled_at, c.ticket.as_deref()),
        (RecordStatus::Unknown, None, Some("750"))
    );
}

#[test]
fn a_job_can_be_forgotten_whatever_its_state() {
    let (_temporary, directory) = folder();
    assert!(!directory.forget("nightly").unwrap());
    for error in [
        directory.records("nightly").map(|_| ()).unwrap_err(),
        directory
            .settle("nightly", 1, Settlement::Resend)
            .unwrap_err(),
    ] {
        assert_eq!(error.message(), "there is no export job \"nightly\"");
    }
    send(&mut open(&directory, "nightly"), "Acme");
    send(&mut open(&directory, "other"), "Acme");
    // The second line of the first file is harmed.
    let path = directory.path().join("job-nightly.journal");
    let mut bytes = fs::read(&path).unwrap();
    let first_end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes[first_end - 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    let states: Vec<_> = directory
        .jobs()
        .unwrap()
        .into_iter()
        .map(|job| (job.name, job.state))
        .collect();
    assert_eq!(
        states,
        [
            ("nightly".to_owned(), JobState::Damaged),
            ("other".to_owned(), JobState::Interrupted)
        ]
    );
    let error = Job::open(&directory, "nightly", signature()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageCorrupt);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("crm.forget_export('nightly')")
    );
    assert!(directory.forget("nightly").unwrap());
    assert_eq!(directory.jobs().unwrap().len(), 1);
    assert_eq!(open(&directory, "nightly").counts().recorded, 0);
}

#[test]
fn a_file_of_another_job_is_not_taken_for_this_one() {
    let (_temporary, directory) = folder();
    send(&mut open(&directory, "a"), "Acme");
    let path = |name: &str| directory.path().join(format!("job-{name}.journal"));
    fs::rename(path("a"), path("b")).unwrap();
    let error = Job::open(&directory, "b", signature()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageCorrupt);
}

#[test]
fn misuse_is_told_and_changes_nothing() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let number = send(&mut job, "Acme");
    let record = |number, json: &str| IntendedRecord {
        number,
        operation: Operation::Create,
        record: json.to_owned(),
        key: None,
    };
    let done = send(&mut job, "done");
    job.outcomes(&[(done, accepted("1"))]).unwrap();
    let fresh = job.claim(fingerprint("new")).unwrap().number();
    let path = directory.path().join("job-nightly.journal");
    let before = fs::read(&path).unwrap();
    for (records, what) in [
        (vec![record(number, "{}")], "is under way"),
        (vec![record(done, "{}")], "is accepted already"),
        (
            vec![record(fresh, "{}"), record(fresh, "{}")],
            "comes twice",
        ),
        (
            vec![record(fresh, "{}"), record(99, "{}")],
            "does not exist",
        ),
        (vec![record(fresh, "{")], "is no JSON document"),
        (vec![record(fresh, "")], "is no JSON document"),
    ] {
        let error = job.intend(&records, None).unwrap_err();
        assert!(error.message().ends_with(what), "{error}");
    }
    for (outcome_of, what) in [
        (fresh, "is not under way"),
        (done, "is not under way"),
        (99, "does not exist"),
    ] {
        let error = job.outcomes(&[(outcome_of, accepted("1"))]).unwrap_err();
        assert!(error.message().ends_with(what), "{error}");
        assert!(job.attach_ticket("750", &[outcome_of]).is_err());
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    job.intend(&[record(fresh, "{}")], None).unwrap();
}

#[test]
fn claims_given_back_are_claimed_again() {
    let (_temporary, directory) = folder();
    let mut job = open(&directory, "nightly");
    let first = send(&mut job, "a");
    job.outcomes(&[(first, accepted("001"))]).unwrap();
    let mark = job.claim_mark();
    let second = send(&mut job, "a");
    job.outcomes(&[(second, accepted("002"))]).unwrap();
    let lost = send(&mut job, "b");
    let never_sent = job.claim(fingerprint("c")).unwrap().number();
    job.release_claims(mark);

    // The first stays claimed, so the next equal record is the second.
    let again = job.claim(fingerprint("a")).unwrap();
    assert!(matches!(again, Claim::Accepted { number, id } if number == second && id == "002"));
    let third = job.claim(fingerprint("a")).unwrap();
    assert!(matches!(third, Claim::New { .. }));
    let unknown = job.claim(fingerprint("b")).unwrap();
    assert!(matches!(unknown, Claim::Unknown { number, .. } if number == lost));
    let new = job.claim(fingerprint("c")).unwrap();
    assert!(matches!(new, Claim::New { number } if number == never_sent));
}
