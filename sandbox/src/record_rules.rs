//! Record errors on demand: a record whose field holds a value is refused with a code, so many times.
//! They stand for what no test can bring about by itself: locks, duplicate rules, triggers.

use serde::{Deserialize, Serialize};

/// A rule; it strikes when the written record has this value in this field.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordRule {
    /// Name of the object in the CRM's own spelling.
    pub object: String,
    /// Name of the field, the identifier's included.
    pub field: String,
    /// The text of the value, as the request has it.
    pub value: String,
    /// The CRM's code of the refusal.
    pub code: String,
    pub message: Option<String>,
    /// Fields named in the refusal, where the CRM names any.
    #[serde(default)]
    pub fields: Vec<String>,
    /// HTTP status of the refusal, where the CRM gives each record one.
    pub status: Option<u16>,
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

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule a record of an object meets, and one time less of it. `holds` tells whether it fits.
    pub fn strike(
        &mut self,
        object: &str,
        holds: impl Fn(&RecordRule) -> bool,
    ) -> Option<RecordRule> {
        let place = self
            .rules
            .iter()
            .position(|rule| rule.object.eq_ignore_ascii_case(object) && holds(rule))?;
        let rule = &mut self.rules[place];
        let struck = rule.clone();
        if let Some(times) = &mut rule.times {
            *times -= 1;
            if *times == 0 {
                self.rules.remove(place);
            }
        }
        Some(struck)
    }
}
