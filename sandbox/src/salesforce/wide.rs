//! `Wide__c`: 280 fields with the longest names Salesforce allows (namespace 15, name 40), so that a
//! query for all of them is longer than the 16,384 bytes a request line and its headers may take.

use serde_json::Value;

use super::describe::{self, FieldSpec};
use super::organisation::{Record, base};
use super::store::Cell;
use crate::generate::{day, mix};

const COLUMNS: usize = 280;
const ROWS: u64 = 30;

fn names() -> Vec<&'static str> {
    static NAMES: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
    NAMES
        .get_or_init(|| {
            (0..COLUMNS)
                .map(|n| format!("sandbox_testing__Quarterly_Measurement_Of_Indicator_{n:04}__c"))
                .collect()
        })
        .iter()
        .map(String::as_str)
        .collect()
}

/// The describe document.
pub fn describe() -> Value {
    let (mut fields, audit) = describe::standard_fields(80);
    fields.extend(
        names()
            .into_iter()
            .enumerate()
            .map(|(n, name)| match n % 4 {
                0 => FieldSpec::new(name, "string").length(100),
                1 => FieldSpec::new(name, "double").digits(18, 4),
                2 => FieldSpec::new(name, "date"),
                _ => FieldSpec::new(name, "boolean"),
            }),
    );
    fields.push(describe::owner());
    fields.extend(audit);
    describe::object("Wide__c", Some("a02"), fields)
}

/// Thirty records, each value telling its row and column.
pub fn records() -> Vec<Record> {
    (1..=ROWS)
        .map(|row| {
            let mut record = base("a02", row);
            record.insert("Name", Cell::text(format!("W-{row:04}")));
            for (n, name) in names().into_iter().enumerate() {
                let dice = mix(row * 1_000 + n as u64);
                let value = match (n % 4, dice.is_multiple_of(9)) {
                    (3, _) => Cell::Bool(dice.is_multiple_of(2)),
                    (_, true) => Cell::Null,
                    (0, _) => Cell::text(format!("row {row} column {n}")),
                    (1, _) => Cell::number(format!("{row}.{:04}", dice % 9_999 + 1)),
                    _ => Cell::text(day(2000, dice % 9_000)),
                };
                record.insert(name, value);
            }
            record
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_long_as_allowed_and_together_too_long_for_a_url() {
        assert!(names().iter().all(|name| (59..=60).contains(&name.len())));
        let list = names().join("%2C");
        assert!(list.len() > 16_384);
    }
}
