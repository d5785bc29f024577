//! Every form of body that this transport sends, kept as files: a validator that nobody here wrote holds them against the
//! vendor's own schemas (`sandbox/clients/soap_bodies.py`). `CRM_BLESS=1` writes them anew.

use super::requests::tests::{ID, batch, contact, text, write_field};
use super::requests::{Columns, Row};
use super::{changes, metadata, pages, writing};
use crm_core::{Operation, Result, Value, WriteBatch, Zone};
use std::path::Path;

/// Records with an attribute of each kind, and by each operation.
fn batches() -> Vec<WriteBatch> {
    let everything = [
        ("lastname", text("O'B & <y>")),
        ("numberofchildren", Some(Value::Int(2))),
        ("new_big", Some(Value::Int(9_007_199_254_740_993))),
        ("new_decimal", Some(Value::Numeric("1.50".into()))),
        ("new_double", Some(Value::Numeric("1.5".into()))),
        ("creditlimit", Some(Value::Int(5))),
        ("donotemail", Some(Value::Bool(true))),
        ("birthdate", Some(Value::Date(0))),
        ("new_at", Some(Value::Instant(0))),
        ("gendercode", Some(Value::Int(1))),
        (
            "new_several",
            Some(Value::List(vec![Value::Int(1), Value::Int(9)])),
        ),
        ("accountid", text(ID)),
        ("parentcustomerid", text(ID)),
        ("parentcustomerid@type", text("contact")),
    ];
    let names: Vec<&str> = everything.iter().map(|(name, _)| *name).collect();
    let values: Vec<Option<Value>> = everything.iter().map(|(_, value)| value.clone()).collect();
    let nothing = vec![None; names.len()];
    let mut by_key = batch(
        Operation::Upsert,
        &["lastname"],
        &[(Some("K"), &[text("A")])],
    );
    by_key.key_field = Some(write_field("new_key"));
    let mut by_id = batch(
        Operation::Upsert,
        &["lastname"],
        &[(Some(ID), &[text("A")])],
    );
    by_id.key_field = Some(write_field("contactid"));
    vec![
        batch(Operation::Create, &names, &[(None, &values)]),
        batch(Operation::Update, &names, &[(Some(ID), &nothing)]),
        by_key,
        by_id,
        batch(Operation::Delete, &[], &[(Some(ID), &[])]),
    ]
}

fn writes() -> Result<String> {
    let entity = contact();
    let mut rows: Vec<Row> = Vec::new();
    for batch in batches() {
        let made =
            Columns::new(&batch, &entity)?.rows(&batch, &Default::default(), Zone::default());
        assert!(made.rejects.is_empty(), "{:?}", made.rejects);
        rows.extend(made.rows);
    }
    writing::message(&rows.iter().collect::<Vec<_>>())
}

#[test]
fn bodies_are_as_they_were_validated() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/soap/requests");
    let mut bodies = Vec::new();
    bodies.extend(metadata::bodies().unwrap());
    bodies.extend(pages::bodies().unwrap());
    bodies.extend(changes::bodies().unwrap());
    bodies.push(("writes", writes().unwrap()));
    let bless = std::env::var_os("CRM_BLESS").is_some();
    for (name, body) in &bodies {
        let file = folder.join(format!("{name}.xml"));
        if bless {
            std::fs::write(&file, format!("{body}\n")).unwrap();
        }
        let kept = std::fs::read_to_string(&file).unwrap();
        assert_eq!(kept.trim_end(), body, "{name}");
    }
    let kept = std::fs::read_dir(&folder).unwrap().count();
    assert_eq!(kept, bodies.len(), "a file for each body");
}
