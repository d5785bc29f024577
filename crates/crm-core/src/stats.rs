//! What a statement spent: calls, bytes, retries, waits.

use crate::budget::Budget;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters of one scan or function, written by the network side and read by anyone.
#[derive(Debug, Default)]
pub struct CallStats {
    calls: AtomicU64,
    data_calls: AtomicU64,
    bytes: AtomicU64,
    retries: AtomicU64,
    waited_micros: AtomicU64,
    pages: AtomicU64,
    records: AtomicU64,
    rejects: AtomicU64,
    announced: AtomicU64,
    budget: Budget,
}

/// What was spent and done, at one moment or between two (O-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Requests sent, logins and metadata included.
    pub calls: u64,
    /// Requests sent for records.
    pub data_calls: u64,
    /// Pages of records received.
    pub pages: u64,
    /// Records received.
    pub records: u64,
    /// Bytes of reply bodies.
    pub bytes: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Microseconds spent waiting before sending again.
    pub waited_micros: u64,
    /// Values and records that were refused, here or by the CRM (E-1).
    pub rejects: u64,
}

impl Counts {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    /// What came since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    fn with(self, other: Self, join: fn(u64, u64) -> u64) -> Self {
        Self {
            calls: join(self.calls, other.calls),
            data_calls: join(self.data_calls, other.data_calls),
            pages: join(self.pages, other.pages),
            records: join(self.records, other.records),
            bytes: join(self.bytes, other.bytes),
            retries: join(self.retries, other.retries),
            waited_micros: join(self.waited_micros, other.waited_micros),
            rejects: join(self.rejects, other.rejects),
        }
    }
}

impl CallStats {
    /// Counters of a scan that may spend no more than `budget` allows.
    pub fn within(budget: Budget) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// What may be spent.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// One request was sent; `data` when it fetches records rather than a login or metadata.
    pub fn add_call(&self, data: bool) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if data {
            self.data_calls.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Bytes of a reply body after decompression.
    pub fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request is sent again after `wait`.
    pub fn add_retry(&self, wait: Duration) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.add_wait(wait);
    }

    /// Time spent waiting for work that the CRM does by itself.
    pub fn add_wait(&self, wait: Duration) {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// A page of so many records came.
    pub fn add_page(&self, records: u64) {
        self.pages.fetch_add(1, Ordering::Relaxed);
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// A value or a record was refused.
    pub fn add_reject(&self) {
        self.rejects.fetch_add(1, Ordering::Relaxed);
    }

    /// The CRM says that so many records will come in all.
    pub fn announce(&self, records: u64) {
        self.announced.store(records, Ordering::Relaxed);
    }

    /// How many records the CRM has announced, if it has and there are any.
    pub fn announced(&self) -> Option<u64> {
        let records = self.announced.load(Ordering::Relaxed);
        (records > 0).then_some(records)
    }

    /// All counters as they are now.
    pub fn counts(&self) -> Counts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            calls: now(&self.calls),
            data_calls: now(&self.data_calls),
            pages: now(&self.pages),
            records: now(&self.records),
            bytes: now(&self.bytes),
            retries: now(&self.retries),
            waited_micros: now(&self.waited_micros),
            rejects: now(&self.rejects),
        }
    }

    /// Requests sent, logins and metadata included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Requests sent for records.
    pub fn data_calls(&self) -> u64 {
        self.data_calls.load(Ordering::Relaxed)
    }

    /// Bytes of reply bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Requests that were sent again.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Time spent waiting before sending again, and for the CRM's own work.
    pub fn waited(&self) -> Duration {
        Duration::from_micros(self.waited_micros.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_sums_of_what_came_since() {
        let stats = CallStats::default();
        stats.add_call(true);
        stats.add_page(2_000);
        let first = stats.counts();
        stats.add_call(false);
        stats.add_page(7);
        stats.add_reject();
        stats.add_retry(Duration::from_millis(3));
        let gained = stats.counts().since(first);
        let expected = Counts {
            calls: 1,
            pages: 1,
            records: 7,
            retries: 1,
            waited_micros: 3_000,
            rejects: 1,
            ..Counts::default()
        };
        assert_eq!(gained, expected);
        assert_eq!(first.plus(gained), stats.counts());
    }

    #[test]
    fn an_announced_nothing_is_no_announcement() {
        let stats = CallStats::default();
        stats.announce(0);
        assert_eq!(stats.announced(), None);
        stats.announce(5);
        assert_eq!(stats.announced(), Some(5));
    }
}
