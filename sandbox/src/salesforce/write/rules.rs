//! Record errors on demand: a record whose field holds a value is refused with a code, so many times.
//! They stand for what no test can bring about by itself: locks, duplicate rules, triggers.

use serde::{Deserialize, Serialize};

use super::RowError;

/// A rule; it strikes when the written record has this value in this field.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRule {
    /// API name of the object.
    pub object: String,
    /// API name of the field, `Id` included.
    pub field: String,
    /// The text of the value, as the request has it.
    pub value: String,
    /// `statusCode` of the refusal.
    pub code: String,
    pub message: Option<String>,
    /// Fields named in the refusal.
    #[serde(default)]
    pub fields: Vec<String>,
    /// How often it strikes: once unless given; 0 for ever.
    pub times: Option<u64>,
}

/// The rules in force.
#[derive(Debug, Default)]
pub struct RecordRules {
    rules: Vec<RecordRule>,
}

impl RecordRules {
    /// Adds a rule behind the others.
    pub fn add(&mut self, mut rule: RecordRule) {
        rule.times = match rule.times {
            None => Some(1),
            Some(0) => None,
            times => times,
        };
        self.rules.push(rule);
    }

    /// The rules not used up.
    pub fn list(&self) -> &[RecordRule] {
        &self.rules
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The error a record meets. `holds` tells whether a field of it has a value; a duplicate that the
    /// caller allows to be saved is no error (section 8.4).
    pub fn strike(
        &mut self,
        object: &str,
        allow_save: bool,
        holds: impl Fn(&str, &str) -> bool,
    ) -> Option<RowError> {
        let place = self.rules.iter().position(|rule| {
            rule.object.eq_ignore_ascii_case(object)
                && !(allow_save && rule.code == "DUPLICATES_DETECTED")
                && holds(&rule.field, &rule.value)
        })?;
        let rule = &mut self.rules[place];
        let message = rule.message.clone().unwrap_or_else(|| {
            match rule.code.as_str() {
                "UNABLE_TO_LOCK_ROW" => "unable to obtain exclusive access to this record",
                "DUPLICATES_DETECTED" => "Use one of these records?",
                _ => "refused on demand",
            }
            .to_owned()
        });
        let error = RowError {
            code: rule.code.clone(),
            message,
            fields: rule.fields.clone(),
        };
        if let Some(times) = &mut rule.times {
            *times -= 1;
            if *times == 0 {
                self.rules.remove(place);
            }
        }
        Some(error)
    }
}
