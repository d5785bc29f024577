//! Whatever the service answers is read or refused, and nothing that was cut short is taken for whole.

use crate::rows::{Form, Rows};
use crate::{clock, fault, find, message, picklists, trash};
use proptest::prelude::*;

const RECORDED: &[&[u8]] = &[
    include_bytes!("../tests/fixtures/insert_contact_reply.xml"),
    include_bytes!("../tests/fixtures/deleted_items_last_page.xml"),
    include_bytes!("../tests/fixtures/picklist_account_type.xml"),
    include_bytes!("../tests/fixtures/server_time.xml"),
    include_bytes!("../tests/fixtures/query_page_contact_first.xml"),
    include_bytes!("../tests/fixtures/fault_unknown_field.xml"),
];

fn written() -> Rows {
    Rows {
        object: "Contact".into(),
        form: Form::Insert,
        identifier: "Id".into(),
        key: None,
        columns: Vec::new(),
        journal_key: None,
        key_is_ours: false,
        rows: Vec::new(),
        rejects: Vec::new(),
    }
}

/// How many of the readers take the answer for one of theirs.
fn taken(body: &[u8]) -> usize {
    if let Ok(text) = std::str::from_utf8(body) {
        drop(fault::find(text));
    }
    [
        message::ids(body, &written(), 2).is_ok(),
        trash::read(body).is_ok(),
        picklists::values(body).is_ok(),
        clock::read(body, 0, None).is_ok(),
        find::read(body, "Contact", "Id", "ExternalSystemId").is_ok(),
    ]
    .into_iter()
    .filter(|is_taken| *is_taken)
    .count()
}

#[test]
fn an_answer_is_taken_by_its_own_reader_and_by_no_other() {
    let taken: Vec<_> = RECORDED.iter().map(|body| taken(body)).collect();
    // A page of records reads like the answer to a write: either tells identifiers.
    assert_eq!(taken, [2, 1, 1, 1, 2, 0]);
}

proptest! {
    #[test]
    fn a_cut_answer_is_refused(which in 0..RECORDED.len(), cut in 1..200_usize) {
        let body = RECORDED[which];
        prop_assert_eq!(taken(&body[..body.len().saturating_sub(cut + 1)]), 0);
    }

    #[test]
    fn a_distorted_answer_does_no_harm(
        which in 0..RECORDED.len(),
        at in 0..4_000_usize,
        inserted in prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..8),
            Just(b"<!DOCTYPE a [<!ENTITY b 'c'>]>".to_vec()),
            Just(b"&#0;".to_vec()),
            Just(b"<a><b>".to_vec()),
            Just(b"</Contact>".to_vec()),
            Just(b"\xff\xfe".to_vec()),
        ],
    ) {
        let body = RECORDED[which];
        let at = at % body.len();
        taken(&[&body[..at], &inserted, &body[at..]].concat());
    }
}
