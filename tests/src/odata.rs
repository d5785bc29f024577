//! Conditions in OData, read by a parser that nobody here wrote: PyPI's `odata-query`.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Reads one condition a line, each a JSON text.
const SCRIPT: &str = include_str!("odata_conditions.py");

/// Has every condition of the requests in the sandbox's journal read; see [`crate::Queries::read_elsewhere`].
///
/// # Panics
/// At the first that is no OData, and when there is no Python with that parser.
pub(crate) fn conditions_are_read(journal: &Value) -> usize {
    let log = journal["log"].as_array().expect("a log");
    let conditions: BTreeSet<&str> = log
        .iter()
        .filter_map(|entry| entry["query"].as_str())
        .collect();
    let python = std::env::var("CRM_TEST_PYTHON").expect(
        "CRM_TEST_PYTHON names a Python with the packages of sandbox/clients/requirements.txt",
    );
    let mut reading = Command::new(python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a Python");
    let lines: String = conditions
        .iter()
        .map(|condition| format!("{}\n", Value::from(*condition)))
        .collect();
    let mut input = reading.stdin.take().expect("its input");
    // A reader that gives up early says why below.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    let outcome = reading.wait_with_output().expect("its end");
    let told = String::from_utf8_lossy(&outcome.stdout);
    let complaint = String::from_utf8_lossy(&outcome.stderr);
    assert!(outcome.status.success(), "{told}{complaint}");
    assert_eq!(told.trim(), conditions.len().to_string(), "{complaint}");
    conditions.len()
}
