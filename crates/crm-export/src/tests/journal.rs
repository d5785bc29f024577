//! Under an export job: what a second run does with what the first one left.

use super::crm::{Crm, Fault, Imaginary, at_once, record, target};
use crate::journal::{Directory, Job, RecordStatus, Settlement};
use crate::{Exporter, Outcome, Record, Sent, SharedJob, Statement, Target, signature};
use crm_core::{CallStats, Error, ErrorKind, Operation, Result, Route, Value};
use std::sync::Arc;

/// A CRM, and the folder with the job.
pub struct Place {
    pub crm: Arc<Crm>,
    pub directory: Directory,
    _folder: tempfile::TempDir,
}

impl Place {
    pub fn new(faults: impl IntoIterator<Item = Fault>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            crm: Crm::failing(faults),
            directory: Directory::new(folder.path()).unwrap(),
            _folder: folder,
        }
    }

    pub fn exporter(&self, target: &Target) -> Result<(Exporter, SharedJob)> {
        let job = Job::open(&self.directory, "nightly", signature(target, true))?;
        let job = SharedJob::new(job);
        let crm = Arc::clone(&self.crm) as _;
        let exporter = Exporter::new(&Imaginary, crm, target.clone(), Some(job.clone()), false);
        Ok((exporter, job))
    }

    /// Runs the statement: nothing where this side died on the way.
    fn run(&self, target: &Target, records: &[Record]) -> Option<Result<Sent>> {
        let (mut exporter, _job) = self.exporter(target).unwrap();
        at_once(exporter.send(records, &CallStats::default()))
    }

    fn sent(&self, target: &Target, records: &[Record]) -> Sent {
        self.run(target, records).unwrap().unwrap()
    }

    pub fn statuses(&self) -> Vec<RecordStatus> {
        let records = self.directory.records("nightly").unwrap();
        records.map(|record| record.unwrap().status).collect()
    }
}

fn insert(fields: &[&str]) -> Target {
    target(Statement::Insert, fields)
}

fn traced(fields: &[&str]) -> Target {
    Target {
        journal_key: Some("Trace".into()),
        ..insert(fields)
    }
}

fn names(records: &[&str]) -> Vec<Record> {
    records.iter().map(|name| record("", &[name])).collect()
}

fn ids(sent: &Sent) -> Vec<&str> {
    let outcomes = sent.outcomes.iter();
    outcomes
        .map(|outcome| match outcome {
            Outcome::Accepted { id, .. } => id.as_str(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn what_was_accepted_is_not_sent_again_and_gives_its_id_back() {
    let place = Place::new([Fault::None, Fault::Refused]);
    let target = traced(&["Name"]);
    let first = place.sent(&target, &names(&["a", "a", "b", "c", "a"]));
    assert_eq!(first.failure.unwrap().kind(), ErrorKind::RemoteFault);
    // The order of the source does not matter, the number of equal records does.
    let second = place.sent(&target, &names(&["c", "a", "b", "a", "a"]));
    assert!(second.failure.is_none());
    assert_eq!(place.crm.records().len(), 5);
    let is_earlier = |outcome: &Outcome| matches!(outcome, Outcome::Accepted { earlier: true, .. });
    let earlier: Vec<_> = second.outcomes.iter().map(is_earlier).collect();
    assert_eq!(earlier, [false, true, true, true, false]);
    assert_eq!(ids(&second)[1..4], ["ID-1", "ID-3", "ID-2"]);
    assert_eq!(place.crm.n_settled(), 0, "everything was known");
}

#[test]
fn a_made_up_key_is_kept_and_sent_again() {
    for (name, is_ours) in [("Trace", true), ("Note", false)] {
        for written in [&["Name"][..], &["Name", name]] {
            let place = Place::new([Fault::LostBefore]);
            let target = Target {
                journal_key: Some(name.into()),
                ..insert(written)
            };
            let records: Vec<_> = ["a", "a"]
                .map(|value| record("", &[value, ""][..written.len()]))
                .into();
            let first = place.sent(&target, &records);
            assert_eq!(first.outcomes, [Outcome::Unknown, Outcome::Unknown]);
            let second = place.sent(&target, &records);
            assert_eq!(ids(&second), ["ID-1", "ID-2"]);
            let sent = place.crm.sent();
            assert_eq!(sent.len(), 2);
            assert_eq!(sent[0].records, sent[1].records, "the same keys");
            assert_eq!(sent[1].journal_key.as_deref(), Some(name));
            assert_eq!(sent[1].key_is_ours, is_ours);
            let keys = sent[0].records.iter().map(|record| &record.values[1]);
            let keys: Vec<&Value> = keys.map(|key| key.as_ref().unwrap()).collect();
            assert_ne!(keys[0], keys[1]);
            let entries = place.directory.records("nightly").unwrap();
            for (entry, key) in entries.zip(keys) {
                assert_eq!(Some(crate::key_text(key)), entry.unwrap().key);
            }
        }
    }
}

#[test]
fn a_key_that_the_user_gives_settles_too_and_is_never_an_upsert() {
    let place = Place::new([Fault::LostAfter]);
    let target = traced(&["Name", "Trace"]);
    let records = [record("", &["a", "mine"]), record("", &["b", "too"])];
    place.sent(&target, &records);
    let again = place.sent(&target, &records);
    assert_eq!(ids(&again), ["ID-1", "ID-2"]);
    let sent = place.crm.sent();
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].key_is_ours, "another record may have the value");
}

fn chosen(fields: &[&str]) -> Target {
    Target {
        takes_identifiers: true,
        ..insert(fields)
    }
}

#[test]
fn a_chosen_identifier_settles_a_create_whose_answer_is_lost() {
    for (fault, n_sent) in [(Fault::LostAfter, 1), (Fault::LostBefore, 2)] {
        let place = Place::new([fault]);
        let target = chosen(&["Name", "Note"]);
        let records = [record("", &["a", ""]), record("", &["a", ""])];
        let first = place.sent(&target, &records);
        assert_eq!(first.outcomes, [Outcome::Unknown, Outcome::Unknown]);
        let second = place.sent(&target, &records);
        let held: Vec<String> = place.crm.records().into_keys().collect();
        let mut given = ids(&second);
        given.sort_unstable();
        assert_eq!(given, held, "each record once, under the identifier chosen");
        assert_eq!(place.crm.n_settled(), 1);
        let sent = place.crm.sent();
        assert_eq!(sent.len(), n_sent);
        for batch in &sent {
            assert_eq!(batch.records, sent[0].records, "the same identifiers");
            assert_eq!(batch.operation, Operation::Create);
            assert_eq!(batch.route, Route::Calls, "no remote job is needed");
            assert_eq!(batch.journal_key.as_deref(), Some("Id"));
            assert!(batch.key_is_ours);
            assert_eq!(batch.fields.last().unwrap().name, "Id");
        }
    }
}

#[test]
fn a_run_that_dies_anywhere_creates_under_the_identifier_it_chose() {
    for fault in [Fault::DiesBefore, Fault::DiesAfter] {
        let place = Place::new([fault]);
        let target = chosen(&["Name"]);
        assert!(place.run(&target, &names(&["a", "b"])).is_none());
        let kept = place.directory.records("nightly").unwrap();
        let mut kept: Vec<_> = kept.map(|entry| entry.unwrap().key.unwrap()).collect();
        let again = place.sent(&target, &names(&["b", "a"]));
        let mut given = ids(&again);
        given.sort_unstable();
        kept.sort_unstable();
        assert_eq!(given, kept, "{fault:?}");
        assert_eq!(place.crm.records().len(), 2, "{fault:?}");
    }
}

#[test]
fn without_a_job_a_create_is_given_an_identifier_as_well() {
    let crm = Crm::failing([]);
    let exporter = Exporter::new(
        &Imaginary,
        Arc::clone(&crm) as _,
        chosen(&["Name"]),
        None,
        false,
    );
    let mut exporter = exporter;
    let sent = at_once(exporter.send(&names(&["a"]), &CallStats::default()));
    let sent = sent.unwrap().unwrap();
    assert_eq!(crm.sent()[0].journal_key.as_deref(), Some("Id"));
    assert_eq!(ids(&sent), crm.records().into_keys().collect::<Vec<_>>());
}

#[test]
fn a_key_that_the_table_names_comes_before_a_chosen_identifier_under_a_job() {
    let place = Place::new([Fault::LostBefore]);
    let target = Target {
        takes_identifiers: true,
        ..traced(&["Name"])
    };
    place.sent(&target, &names(&["a"]));
    assert_eq!(ids(&place.sent(&target, &names(&["a"]))), ["ID-1"]);
    assert_eq!(place.crm.sent()[0].journal_key.as_deref(), Some("Trace"));
}

#[test]
fn an_identifier_that_the_user_gives_is_an_upsert_where_the_crm_takes_one() {
    let place = Place::new([Fault::DiesAfter]);
    place.crm.add(&[("Name", "old"), ("Code", "k")]);
    let target = chosen(&["Name", "Code"]);
    let records = [
        record("id-1", &["changed", "k"]),
        record("new", &["made", ""]),
        record("", &["by key", "k2"]),
    ];
    assert!(place.run(&target, &records).is_none());
    let again = place.sent(&target, &records);
    assert_eq!(ids(&again)[..2], ["ID-1", "NEW"]);
    let held = place.crm.records();
    assert_eq!(held.len(), 3);
    assert_eq!(held["ID-1"]["Name"], "changed");
    assert_eq!(held["ID-1"]["Code"], "k", "the key is a field like others");
    let sent = place.crm.sent();
    let by_identifier = sent.last().unwrap();
    assert_eq!(by_identifier.operation, Operation::Upsert);
    assert_eq!(by_identifier.key_field.as_ref().unwrap().name, "Id");
    let twice = [record("new", &["a", ""]), record("NEW", &["b", ""])];
    let outcomes = place.sent(&target, &twice).outcomes;
    assert!(
        matches!(&outcomes[1], Outcome::Rejected(reject) if reject.kind == ErrorKind::DuplicateKey)
    );
}

#[test]
fn an_identifier_of_128_bits_travels_as_its_text() {
    let place = Place::new([]);
    let update = target(Statement::Update, &["Name"]);
    let mut one = record("", &["a"]);
    one.id = Some(Value::Uuid([0xab; 16]));
    place.sent(&update, &[one]);
    let id = "ABABABAB-ABAB-ABAB-ABAB-ABABABABABAB";
    assert_eq!(
        place.crm.sent()[0].records[0].key,
        Some(Value::Text(id.into()))
    );
}

#[test]
fn without_a_key_a_create_travels_in_a_job_that_tells() {
    let place = Place::new([Fault::LostAfter]);
    let target = insert(&["Name"]);
    let records = names(&["a", "refused", "a"]);
    let first = place.sent(&target, &records);
    assert_eq!(first.outcomes[0], Outcome::Unknown);
    assert_eq!(place.crm.sent()[0].route, Route::Job);
    let again = place.sent(&target, &records);
    assert!(matches!(again.outcomes[1], Outcome::Rejected(_)));
    assert_eq!(place.crm.records().len(), 2);
    assert_eq!(place.crm.sent().len(), 1, "the job has told all");
}

#[test]
fn a_job_without_a_name_or_without_records_has_done_nothing() {
    for (fault, n_asked) in [(Fault::DiesBefore, 0), (Fault::DiesNamed, 1)] {
        let place = Place::new([fault]);
        let target = insert(&["Name"]);
        let records = names(&["a", "b"]);
        assert!(place.run(&target, &records).is_none());
        assert_eq!(place.statuses(), [RecordStatus::Unknown; 2]);
        let again = place.sent(&target, &records);
        assert_eq!(ids(&again), ["ID-1", "ID-2"]);
        assert_eq!(place.crm.n_settled(), n_asked, "{fault:?}");
    }
}

#[test]
fn what_nobody_can_tell_is_left_out_until_a_person_settles_it() {
    let place = Place::new([Fault::LostAfter, Fault::None]);
    let target = Target {
        transport: Some("calls".into()),
        ..insert(&["Name"])
    };
    let records = names(&["a", "b"]);
    place.sent(&target, &records);
    for _ in 0..2 {
        let again = place.sent(&target, &names(&["a", "b", "c"]));
        assert_eq!(
            again.outcomes[..2],
            [Outcome::Unsettled, Outcome::Unsettled]
        );
        assert_eq!(
            ids(&Sent {
                outcomes: again.outcomes[2..].into(),
                failure: None
            }),
            ["ID-3"]
        );
    }
    let accepted = Settlement::Accepted { id: "ID-1".into() };
    place.directory.settle("nightly", 1, accepted).unwrap();
    place
        .directory
        .settle("nightly", 2, Settlement::Resend)
        .unwrap();
    let last = place.sent(&target, &records);
    assert_eq!(ids(&last), ["ID-1", "ID-4"]);
}

#[test]
fn changes_and_upserts_name_their_record_and_are_sent_again() {
    let place = Place::new([Fault::DiesAfter]);
    place.crm.add(&[("Name", "old")]);
    let update = target(Statement::Update, &["Name"]);
    let records = [record("ID-1", &["new"])];
    assert!(place.run(&update, &records).is_none());
    assert_eq!(ids(&place.sent(&update, &records)), ["ID-1"]);
    assert_eq!(place.crm.sent().len(), 2);

    let place = Place::new([Fault::DiesAfter]);
    let upsert = insert(&["Name", "Code"]);
    let records = [record("", &["a", "k"])];
    assert!(place.run(&upsert, &records).is_none());
    assert_eq!(ids(&place.sent(&upsert, &records)), ["ID-1"]);
    assert_eq!(place.crm.records().len(), 1);
    assert_eq!(place.crm.sent()[1].operation, Operation::Upsert);
}

#[test]
fn a_crm_that_cannot_be_asked_stops_the_run_before_anything_is_sent() {
    let place = Place::new([Fault::LostAfter]);
    let target = traced(&["Name"]);
    place.sent(&target, &names(&["a"]));
    place.crm.refuse_to_settle(true);
    let error = place.run(&target, &names(&["a", "b"])).unwrap();
    let error: Error = error.unwrap_err();
    assert!(error.message().starts_with("could not settle"), "{error}");
    assert_eq!(place.crm.sent().len(), 1);
    place.crm.refuse_to_settle(false);
    assert_eq!(
        ids(&place.sent(&target, &names(&["a", "b"]))),
        ["ID-1", "ID-2"]
    );
}

#[test]
fn what_the_checks_refuse_is_listed_with_its_reason_and_tried_again() {
    let place = Place::new([]);
    let target = insert(&["Name"]);
    let records = names(&[&"x".repeat(41), "a"]);
    for _ in 0..2 {
        let sent = place.sent(&target, &records);
        assert!(matches!(sent.outcomes[0], Outcome::Rejected(_)));
    }
    let entry = place.directory.records("nightly").unwrap().next().unwrap();
    let entry = entry.unwrap();
    assert_eq!(entry.status, RecordStatus::Rejected);
    assert_eq!(entry.code.as_deref(), Some("LONG"));
    assert_eq!(place.crm.records().len(), 1);
}

#[test]
fn another_statement_under_the_job_is_refused() {
    let place = Place::new([]);
    place.sent(&insert(&["Name"]), &names(&["a"]));
    for other in [
        insert(&["Name", "Note"]),
        target(Statement::Update, &["Name"]),
    ] {
        let error = place.exporter(&other).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::OptionValue);
    }
}
