//! Deletions of a period, put together from what a CRM's log, its recycle bin and its audit say.

use crate::connector::Deletion;
use crate::temporal::MICROS_PER_SECOND;
use std::collections::HashMap;

/// Deletions within a period, each record once (L-1).
#[derive(Debug)]
pub struct DeletionsOfPeriod {
    first_second: i64,
    last_second: i64,
    by_id: HashMap<String, Deletion>,
}

impl DeletionsOfPeriod {
    /// None yet of the period from `start` to `end`, microseconds since the Unix epoch; the seconds in which both lie
    /// belong to it.
    pub fn new(start: i64, end: i64) -> Self {
        Self {
            first_second: start.div_euclid(MICROS_PER_SECOND),
            last_second: end.div_euclid(MICROS_PER_SECOND),
            by_id: HashMap::new(),
        }
    }

    /// The first and the last second of the period, seconds since the Unix epoch.
    pub fn seconds(&self) -> (i64, i64) {
        (self.first_second, self.last_second)
    }

    /// The moment lies in the period, to the second.
    pub fn contains(&self, at: i64) -> bool {
        (self.first_second..=self.last_second).contains(&at.div_euclid(MICROS_PER_SECOND))
    }

    /// Keeps a deletion of the period; of several of one record the latest. One without a time is of no period.
    pub fn add(&mut self, deletion: Deletion) {
        if !deletion.deleted_at.is_some_and(|at| self.contains(at)) {
            return;
        }
        let known = self.by_id.entry(deletion.id.clone());
        let known = known.or_insert_with(|| deletion.clone());
        if known.deleted_at < deletion.deleted_at {
            *known = deletion;
        }
    }

    /// A deletion that was kept, by the record's identifier.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Deletion> {
        self.by_id.get_mut(id)
    }

    /// The deletions by time.
    pub fn into_records(self) -> Vec<Deletion> {
        let mut records: Vec<_> = self.by_id.into_values().collect();
        records.sort_by(|a, b| (a.deleted_at, &a.id).cmp(&(b.deleted_at, &b.id)));
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::temporal::parse_instant;

    #[test]
    fn the_period_is_cut_to_the_second_and_each_record_listed_once() {
        let at = |text: &str| parse_instant(text).unwrap();
        let mut found =
            DeletionsOfPeriod::new(at("2024-01-01T10:00:10.5Z"), at("2024-01-01T10:00:20.1Z"));
        for (id, text) in [
            ("a", "2024-01-01T10:00:09.999Z"),
            ("b", "2024-01-01T10:00:10Z"),
            ("c", "2024-01-01T10:00:20.900Z"),
            ("d", "2024-01-01T10:00:21Z"),
            ("b", "2024-01-01T10:00:15Z"),
            ("b", "2024-01-01T10:00:12Z"),
        ] {
            found.add(Deletion {
                id: id.into(),
                deleted_at: Some(at(text)),
                name: None,
                deleted_by: None,
            });
        }
        found.add(Deletion {
            id: "e".into(),
            deleted_at: None,
            name: None,
            deleted_by: None,
        });
        let records = found.into_records();
        let told: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(told, ["b", "c"]);
        assert_eq!(records[0].deleted_at, Some(at("2024-01-01T10:00:15Z")));
    }
}
