//! Without a job: the order of outcomes, batches, and what follows a failure.

use super::crm::{Crm, Fault, Imaginary, at_once, record, target};
use crate::{Exporter, Outcome, Sent, Statement, Target, Totals};
use crm_core::{CallStats, ErrorKind, Operation, Route};
use std::sync::Arc;

fn exporter(crm: &Arc<Crm>, target: Target) -> Exporter {
    Exporter::new(&Imaginary, Arc::clone(crm) as _, target, None, false)
}

fn send(exporter: &mut Exporter, records: &[crate::Record]) -> Sent {
    let sent = at_once(exporter.send(records, &CallStats::default()));
    sent.unwrap().unwrap()
}

fn accepted(id: &str, operation: Operation) -> Outcome {
    Outcome::Accepted {
        id: id.into(),
        operation,
        earlier: false,
    }
}

/// What is told of an outcome in one word.
fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { id, .. } => id.clone(),
        Outcome::Rejected(reject) => reject.symbol.clone(),
        Outcome::NotApplied => "not applied".into(),
        Outcome::Unknown => "unknown".into(),
        Outcome::Unsettled => "unsettled".into(),
        Outcome::Dry => "dry".into(),
    }
}

fn words(sent: &Sent) -> Vec<String> {
    sent.outcomes.iter().map(word).collect()
}

#[test]
fn one_insert_creates_changes_and_upserts_in_the_order_given() {
    let crm = Crm::failing([]);
    crm.add(&[("Name", "old"), ("Code", "k")]);
    let mut exporter = exporter(&crm, target(Statement::Insert, &["Name", "Code"]));
    let records = [
        record("", &["b", "k2"]),
        record("", &["a", ""]),
        record("id-1", &["c", "k"]),
        record("", &["refused", ""]),
        record("", &["d", "k2x"]),
        record("", &["e", ""]),
    ];
    let sent = send(&mut exporter, &records);
    assert!(sent.failure.is_none());
    assert_eq!(
        sent.outcomes[..3],
        [
            accepted("ID-4", Operation::Upsert),
            accepted("ID-2", Operation::Create),
            accepted("ID-1", Operation::Update),
        ]
    );
    assert_eq!(words(&sent)[3..], ["NO", "ID-5", "ID-3"]);
    let names: Vec<_> = crm
        .records()
        .into_values()
        .map(|mut fields| fields.remove("Name").unwrap())
        .collect();
    assert_eq!(names, ["c", "a", "e", "b", "d"]);
    let upsert = crm.sent().pop().unwrap();
    assert_eq!(upsert.operation, Operation::Upsert);
    assert_eq!(upsert.key_field.unwrap().name, "Code");
    assert_eq!(upsert.fields.len(), 1, "the key is no field beside itself");
    assert_eq!(
        exporter.totals(),
        Totals {
            accepted: 5,
            rejected: 1,
            batches: 3,
            ..Totals::default()
        }
    );
}

#[test]
fn batches_are_bounded_by_records_bytes_and_the_table() {
    let sizes = |target: Target, names: &[&str]| {
        let crm = Crm::failing([]);
        let records: Vec<_> = names.iter().map(|name| record("", &[name])).collect();
        let sent = send(&mut exporter(&crm, target), &records);
        assert_eq!(sent.outcomes.len(), names.len());
        assert!(sent.failure.is_none());
        let sent = crm.sent();
        let sizes: Vec<_> = sent.iter().map(|batch| batch.records.len()).collect();
        (sizes, sent[0].route)
    };
    let plain = || target(Statement::Insert, &["Name"]);
    assert_eq!(sizes(plain(), &["a"; 7]), (vec![3, 3, 1], Route::Calls));
    let long = "x".repeat(30);
    assert_eq!(
        sizes(plain(), &[&long, "a", &long, &long]).0,
        [2, 1, 1],
        "60 bytes"
    );
    let two = Target {
        batch_size: Some(2),
        ..plain()
    };
    assert_eq!(sizes(two, &["a"; 5]).0, [2, 2, 1]);
    let many = Target {
        batch_size: Some(500),
        ..plain()
    };
    assert_eq!(
        sizes(many, &["a"; 4]).0,
        [3, 1],
        "no more than the CRM takes"
    );
    let job = Target {
        transport: Some("job".into()),
        ..plain()
    };
    assert_eq!(sizes(job, &["a"; 12]), (vec![10, 2], Route::Job));
    assert_eq!(sizes(plain(), &["a"; 21]).1, Route::Job);
}

#[test]
fn nothing_is_sent_after_a_failed_call() {
    for (fault, word) in [
        (Fault::Refused, "not applied"),
        (Fault::LostAfter, "unknown"),
    ] {
        let crm = Crm::failing([Fault::None, fault]);
        let mut exporter = exporter(&crm, target(Statement::Insert, &["Name"]));
        let records: Vec<_> = (0..8).map(|n| record("", &[&n.to_string()])).collect();
        let sent = send(&mut exporter, &records);
        let outcomes = words(&sent);
        assert_eq!(outcomes[..3], ["ID-1", "ID-2", "ID-3"]);
        assert_eq!(outcomes[3..6], [word; 3]);
        assert_eq!(outcomes[6..], ["not applied"; 2], "after {fault:?}");
        assert!(sent.failure.is_some());
        assert_eq!(crm.sent().len(), 2);
        assert_eq!(exporter.totals().failed, 5);
    }
}

#[test]
fn a_record_is_named_once_in_a_statement_whatever_batch_it_comes_in() {
    let crm = Crm::failing([]);
    crm.add(&[("Name", "a")]);
    crm.add(&[("Name", "b")]);
    let mut exporter = exporter(&crm, target(Statement::Update, &["Name"]));
    let first = send(
        &mut exporter,
        &[record("ID-1", &["1"]), record("ID-2", &["2"])],
    );
    assert_eq!(words(&first), ["ID-1", "ID-2"]);
    let second = send(&mut exporter, &[record("id-1", &["3"])]);
    let Outcome::Rejected(reject) = &second.outcomes[0] else {
        panic!("{second:?}");
    };
    assert_eq!(reject.kind, ErrorKind::DuplicateKey);
    assert!(reject.message.contains("ID-1"));
    assert_eq!(crm.records()["ID-1"]["Name"], "1");
}

#[test]
fn an_absent_value_empties_the_field_and_a_deletion_carries_none() {
    let crm = Crm::failing([]);
    crm.add(&[("Name", "a"), ("Note", "n")]);
    let mut update = exporter(&crm, target(Statement::Update, &["Note"]));
    send(&mut update, &[record("ID-1", &[""])]);
    assert!(!crm.records()["ID-1"].contains_key("Note"));
    assert_eq!(crm.records()["ID-1"]["Name"], "a", "only named fields go");
    let mut delete = exporter(&crm, target(Statement::Delete, &[]));
    let sent = send(&mut delete, &[record("ID-1", &[]), record("ID-9", &[])]);
    assert_eq!(words(&sent), ["ID-1", "GONE"]);
    assert!(crm.records().is_empty());
    assert!(crm.sent().pop().unwrap().fields.is_empty());
}

#[test]
fn a_dry_run_counts_and_sends_nothing() {
    let crm = Crm::failing([]);
    let target = target(Statement::Insert, &["Name"]);
    let mut exporter = Exporter::new(&Imaginary, Arc::clone(&crm) as _, target, None, true);
    let long = "x".repeat(41);
    let mut records: Vec<_> = (0..7).map(|n| record("", &[&n.to_string()])).collect();
    records.push(record("", &[&long]));
    let stats = CallStats::default();
    let sent = at_once(exporter.send(&records, &stats)).unwrap().unwrap();
    let mut expected = vec!["dry"; 7];
    expected.push("LONG");
    assert_eq!(words(&sent), expected);
    assert_eq!(
        exporter.totals(),
        Totals {
            rejected: 1,
            batches: 3,
            dry_calls: 3,
            ..Totals::default()
        }
    );
    assert!(crm.sent().is_empty());
    assert_eq!(stats.data_calls(), 0);
}
