//! Links that lead from page to page must not lead in a circle.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Links already followed, as hashes: the memory of a scan must not grow with its pages.
#[derive(Debug, Default)]
pub struct Followed {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Followed {
    /// Whether it is a new one.
    pub fn note(&mut self, link: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(link))
    }
}
