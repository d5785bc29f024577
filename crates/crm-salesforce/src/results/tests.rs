//! Results find their rows by what they hold.

use super::*;
use crm_core::{Conversion, Operation, Route, Value, WriteBatch, WriteField, WriteRecord, Zone};

fn rows(operation: Operation, journal_key: Option<&str>, records: &[&[&str]]) -> Rows {
    let field = |name: &str| WriteField {
        name: name.into(),
        remote_type: "string".into(),
        conversion: Conversion::Default,
    };
    let batch = WriteBatch {
        object: "Contact".into(),
        identifier: "Id".into(),
        operation,
        key_field: None,
        journal_key: journal_key.map(Into::into),
        key_is_ours: false,
        fields: vec![field("LastName"), field("Ext__c")],
        records: records
            .iter()
            .map(|values| WriteRecord {
                key: None,
                values: values
                    .iter()
                    .map(|text| Some(Value::Text((*text).into())))
                    .collect(),
            })
            .collect(),
        route: Route::Job,
    };
    Rows::new(&batch, Zone::default()).unwrap()
}

/// The number of each row's result, and how many results belong to no row.
fn matched(all: &Rows, csv: &str) -> (Vec<Option<usize>>, usize) {
    let echo = Echo::read(Bytes::copy_from_slice(csv.as_bytes())).unwrap();
    let mut matcher = Matcher::new(all, &all.rows);
    let number = |line: &Line<'_>| line.cell("number").to_owned();
    matcher
        .take(&echo, |line| RecordOutcome::Accepted {
            id: number(line),
            created: None,
        })
        .unwrap();
    let n_strangers = matcher.n_strangers();
    let outcomes = matcher.into_outcomes().map(|(_, outcome)| match outcome {
        Some(RecordOutcome::Accepted { id, .. }) => id.parse().ok(),
        _ => None,
    });
    (outcomes.collect(), n_strangers)
}

#[test]
fn by_everything_that_comes_back() {
    let all = rows(
        Operation::Create,
        None,
        &[&["a", "1"], &["b", "1"], &["a", "1"], &["a1", ""]],
    );
    let header = "number,LASTNAME,Ext__c\n";
    let csv = format!("{header}10,b,1\n11,a,1\n12,a,1\n13,stranger,1\n14,a1,#N/A\n");
    assert_eq!(
        matched(&all, &csv),
        (vec![Some(11), Some(10), Some(12), Some(14)], 1)
    );
    // A column that the vendor dropped tells nothing apart.
    let (numbers, _) = matched(&all, "number,LastName\n10,a\n11,a1\n12,b\n");
    assert_eq!(numbers, [Some(10), Some(12), None, Some(11)]);
    assert_eq!(matched(&all, header).0, [None; 4]);
    assert_eq!(matched(&all, "").0, [None; 4]);
}

#[test]
fn by_the_journal_key_where_there_is_one() {
    let all = rows(
        Operation::Create,
        Some("ext__c"),
        &[&["a", "k1"], &["b", "k2"]],
    );
    // What the vendor made of the other fields does not matter.
    let csv = "number,LastName,Ext__c\n10,B changed,k2\n11,a,k1\n";
    assert_eq!(matched(&all, csv), (vec![Some(11), Some(10)], 0));
}

#[test]
fn line_ends_may_come_back_in_another_form() {
    let all = rows(
        Operation::Create,
        None,
        &[&["two\r\nlines", "1"], &["two\nlines", "1"], &["x\ry", "2"]],
    );
    let csv = "number,LastName,Ext__c\n10,\"two\nlines\",1\n11,\"two\nlines\",1\n12,\"x\ny\",2\n";
    let (numbers, n_strangers) = matched(&all, csv);
    // The row that is equal to the letter goes first.
    assert_eq!(
        (numbers, n_strangers),
        (vec![Some(11), Some(10), Some(12)], 0)
    );
}

#[test]
fn what_is_no_list_of_results_is_refused() {
    let all = rows(Operation::Create, None, &[&["a", "1"]]);
    for bad in ["<html>", "a,b\n1,2,3\n", "a,b\n1\n"] {
        let mut matcher = Matcher::new(&all, &all.rows);
        let read = Echo::read(Bytes::from_static(bad.as_bytes()));
        let taken = read.and_then(|echo| matcher.take(&echo, |_| RecordOutcome::NotApplied));
        assert_eq!(taken.unwrap_err().kind(), ErrorKind::Undecodable, "{bad}");
    }
    let echo = Echo::read(Bytes::from_static(
        b"\xef\xbb\xbf\"sf__Id\",\"LastName\",\"Ext__c\"\n\"\",\"a\",\"1\"\n",
    ))
    .unwrap();
    let mut matcher = Matcher::new(&all, &all.rows);
    let without_id = matcher.take(&echo, |line| RecordOutcome::Accepted {
        id: line.id().unwrap_or_default(),
        created: None,
    });
    assert_eq!(without_id.unwrap_err().kind(), ErrorKind::Undecodable);
}
