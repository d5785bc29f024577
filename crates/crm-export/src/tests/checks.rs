//! What is refused before a call is spent, by record and by statement.

use super::crm::{Crm, Imaginary, at_once, record, target};
use crate::{Exporter, Outcome, Record, Statement, Target};
use crm_core::{CallStats, Error, ErrorKind, Reject};
use std::sync::Arc;

/// The outcome of one record; nothing may have been sent for a refused one.
fn outcome(target: Target, record: Record) -> Result<Outcome, Error> {
    let crm = Crm::failing([]);
    crm.add(&[("Name", "old")]);
    let mut exporter = Exporter::new(&Imaginary, Arc::clone(&crm) as _, target, None, false);
    let sent = at_once(exporter.send(&[record], &CallStats::default())).unwrap();
    let outcome = sent.map(|sent| sent.outcomes.into_iter().next().unwrap());
    let is_taken = matches!(outcome, Ok(Outcome::Accepted { .. }));
    assert_eq!(crm.sent().len(), usize::from(is_taken));
    outcome
}

fn reject(target: Target, record: Record) -> Reject {
    match outcome(target, record) {
        Ok(Outcome::Rejected(reject)) => reject,
        other => panic!("{other:?}"),
    }
}

fn error(target: Target) -> Error {
    let n_fields = target.fields.len();
    outcome(target, record("ID-1", &vec!["x"; n_fields])).unwrap_err()
}

#[test]
fn a_required_field_must_be_given_to_new_records_only() {
    let insert = |fields: &[&str]| target(Statement::Insert, fields);
    let missing = reject(insert(&["Note"]), record("", &["n"]));
    assert_eq!(missing.kind, ErrorKind::RequiredField);
    assert_eq!(missing.fields, ["Name"]);
    let empty = reject(insert(&["Name"]), record("", &[""]));
    assert_eq!(empty.fields, ["Name"]);
    let changed = outcome(insert(&["Note"]), record("ID-1", &["n"]));
    assert!(matches!(changed, Ok(Outcome::Accepted { .. })));
}

#[test]
fn a_field_that_new_records_cannot_take_can_still_be_changed() {
    let insert = |field: &str| target(Statement::Insert, &["Name", field]);
    assert_eq!(
        reject(insert("Grade"), record("", &["a", "1"])).fields,
        ["Grade"]
    );
    assert_eq!(
        reject(insert("Born"), record("ID-1", &["a", "1"])).fields,
        ["Born"]
    );
    for (field, id) in [("Grade", "ID-1"), ("Born", "")] {
        let taken = outcome(insert(field), record(id, &["a", "1"]));
        assert!(matches!(taken, Ok(Outcome::Accepted { .. })), "{field}");
    }
}

#[test]
fn what_the_connector_says_of_a_value_and_of_an_identifier_counts() {
    let long = "x".repeat(41);
    let value = reject(
        target(Statement::Update, &["Note"]),
        record("ID-1", &[&long]),
    );
    assert_eq!(value.fields, ["Note"]);
    let identifier = reject(target(Statement::Delete, &[]), record(&long, &[]));
    assert_eq!(identifier.fields, ["Id"]);
}

#[test]
fn a_statement_that_can_never_work_sends_nothing() {
    let read_only = error(target(Statement::Update, &["Made"]));
    assert_eq!(read_only.kind(), ErrorKind::NotSupported);
    assert!(read_only.message().contains("\"Made\""));
    assert!(read_only.hint().is_some());
    let born = error(target(Statement::Update, &["Born"]));
    assert_eq!(born.kind(), ErrorKind::NotSupported);
    let unknown = error(target(Statement::Insert, &["Name", "Nmae"]));
    assert_eq!(unknown.kind(), ErrorKind::FieldUnknown);
    assert!(unknown.message().contains("\"Nmae\""));
    for (statement, word) in [
        (Statement::Insert, "create"),
        (Statement::Update, "change"),
        (Statement::Delete, "delete"),
    ] {
        let frozen = error(Target {
            object: "Frozen".into(),
            ..target(statement, &[])
        });
        assert_eq!(frozen.kind(), ErrorKind::NotPermitted);
        assert!(frozen.message().contains(word), "{frozen}");
    }
}

#[test]
fn a_key_must_be_one_by_which_records_are_found() {
    let no_key = error(Target {
        key: Some("Note".into()),
        ..target(Statement::Insert, &["Name"])
    });
    assert_eq!(no_key.kind(), ErrorKind::OptionValue);
    let no_field = error(Target {
        journal_key: Some("Nothing".into()),
        ..target(Statement::Insert, &["Name"])
    });
    assert_eq!(no_field.kind(), ErrorKind::FieldUnknown);
}
