//! Keys that a statement has named: one record twice in one statement is a mistake of the statement, whatever batch
//! each comes in.

use crate::shown::key_text;
use crm_core::{Operation, Value};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// So many keys are remembered; a statement of more is checked within each batch only, so that memory stays flat.
const MOST_REMEMBERED: usize = 1_000_000;

/// Fingerprints of the keys seen: eight bytes each. Two keys share one with a chance of 2⁻²⁵ at the bound.
#[derive(Default)]
pub(crate) struct SeenKeys {
    state: RandomState,
    seen: HashSet<u64>,
}

impl SeenKeys {
    /// Remembers a key; false when it was there already.
    pub(crate) fn insert(&mut self, operation: Operation, key: &Value) -> bool {
        if self.seen.len() >= MOST_REMEMBERED {
            self.seen.clear();
        }
        let by_identifier = operation != Operation::Upsert;
        self.seen
            .insert(self.state.hash_one((by_identifier, key_text(key))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_new_once() {
        let mut seen = SeenKeys::default();
        let key = Value::Text("a".into());
        assert!(seen.insert(Operation::Update, &key));
        assert!(!seen.insert(Operation::Delete, &key));
        assert!(seen.insert(Operation::Upsert, &key), "another kind of key");
        assert!(seen.insert(Operation::Update, &Value::Text("A".into())));
    }
}
