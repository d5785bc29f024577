//! Keys of records: those that a statement has named, for one record twice in one statement is a mistake of the
//! statement, whatever batch each comes in; and those that are made up here.

use crate::shown::key_text;
use crm_core::Value;
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
    /// Remembers an identifier, or a value of the key field; false when it was there already.
    pub(crate) fn insert(&mut self, by_identifier: bool, key: &Value) -> bool {
        if self.seen.len() >= MOST_REMEMBERED {
            self.seen.clear();
        }
        self.seen
            .insert(self.state.hash_one((by_identifier, key_text(key))))
    }
}

/// A key that no other record has: 128 bits, as a uuid where the field holds as many characters as that takes, else in
/// 26 letters and digits. Either is in one case, for some CRMs tell keys apart without regard to it.
pub(crate) fn made_up_key(length: Option<u32>) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let key = uuid::Uuid::new_v4();
    if length.is_none_or(|most| most as usize >= uuid::fmt::Hyphenated::LENGTH) {
        return key.to_string();
    }
    let mut rest = key.as_u128();
    (0..26)
        .map(|_| {
            let digit = DIGITS[(rest % 32) as usize];
            rest /= 32;
            char::from(digit)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_key_fits_its_field_and_comes_once() {
        for (length, expected) in [(None, 36), (Some(255), 36), (Some(36), 36), (Some(30), 26)] {
            let keys: HashSet<String> = (0..1_000).map(|_| made_up_key(length)).collect();
            assert_eq!(keys.len(), 1_000);
            for key in keys {
                assert_eq!(key.len(), expected, "{key}");
                assert_eq!(key, key.to_lowercase());
            }
        }
    }

    #[test]
    fn a_key_is_new_once() {
        let mut seen = SeenKeys::default();
        let key = Value::Text("a".into());
        assert!(seen.insert(true, &key));
        assert!(!seen.insert(true, &key));
        assert!(seen.insert(false, &key), "another kind of key");
        assert!(seen.insert(true, &Value::Text("A".into())));
    }
}
