//! The identifiers that a lookup join has seen, each with a number, and what its batches came to.

use crm_core::{Connector, KeyForm};
use std::collections::HashMap;

/// Rows of the other side in one batch at most, however few identifiers they bring.
pub const MOST_ROWS: usize = 65_536;

/// The number of no key: the row has none, or one that equals no record's.
pub const NO_KEY: u32 = u32::MAX;

const NO_RECORD: usize = usize::MAX;
/// Bytes that a key takes beside its text.
const KEY_OVERHEAD: usize = 64;

/// Identifiers by number, and where their records are.
#[derive(Default)]
pub struct Keys {
    numbers: HashMap<Box<str>, u32>,
    places: Vec<usize>,
    size: usize,
}

impl Keys {
    /// The number of an identifier, and whether it is a new one.
    pub fn number(&mut self, key: &str) -> (u32, bool) {
        if let Some(number) = self.numbers.get(key) {
            return (*number, false);
        }
        let number = u32::try_from(self.places.len()).expect("a batch holds fewer keys");
        self.numbers.insert(key.into(), number);
        self.places.push(NO_RECORD);
        self.size += key.len() + KEY_OVERHEAD;
        (number, true)
    }

    /// Notes where the record of an identifier is; one that was not asked for is passed over.
    pub fn found(&mut self, key: &str, place: usize) {
        if let Some(number) = self.numbers.get(key) {
            self.places[*number as usize] = place;
        }
    }

    /// Where the record of that number is, if there is one.
    pub fn place(&self, number: u32) -> Option<usize> {
        let place = self.places.get(number as usize).copied();
        place.filter(|place| *place != NO_RECORD)
    }

    /// Bytes taken.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.numbers.clear();
        self.places.clear();
        self.size = 0;
    }
}

/// One batch: a number for each row that waits, and the identifiers that must be fetched for them.
#[derive(Default)]
pub struct Batch {
    /// Key numbers of the rows, in order.
    pub rows: Vec<u32>,
    /// Identifiers to fetch, then those in another form than records carry, for the notice that says so.
    wanted: Vec<String>,
    variants: Vec<String>,
    /// Another form was met in an earlier batch.
    told_of_variants: bool,
}

impl Batch {
    /// The number of a row's identifier in `keys`.
    pub fn number(&mut self, key: &str, keys: &mut Keys, connector: &dyn Connector) -> u32 {
        match connector.key_form(key) {
            KeyForm::Canonical => {
                let (number, is_new) = keys.number(key);
                if is_new {
                    self.wanted.push(key.to_owned());
                }
                number
            }
            KeyForm::Variant => {
                if !self.told_of_variants {
                    self.variants.push(key.to_owned());
                }
                NO_KEY
            }
            KeyForm::Invalid => NO_KEY,
        }
    }

    /// No further row is taken before these identifiers are fetched; `most` is what a call takes.
    pub fn is_full(&self, most: usize) -> bool {
        self.wanted.len() >= most || self.rows.len() >= MOST_ROWS
    }

    /// How many identifiers there are to fetch.
    pub fn n_wanted(&self) -> usize {
        self.wanted.len()
    }

    /// What to ask for, in whatever form, once; nothing if every row's record is known.
    pub fn take_wanted(&mut self) -> Option<Vec<String>> {
        let mut wanted = std::mem::take(&mut self.wanted);
        if !self.variants.is_empty() {
            self.told_of_variants = true;
            wanted.append(&mut self.variants);
        }
        (!wanted.is_empty()).then_some(wanted)
    }

    /// Forgets the rows.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.wanted.clear();
        self.variants.clear();
    }
}

/// What was done, for EXPLAIN ANALYZE.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Identifiers asked for.
    pub keys: u64,
    /// How often some were asked for together.
    pub batches: u64,
}
