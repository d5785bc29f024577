//! What a statement spent: calls, bytes, retries, waits.

use crate::budget::Budget;
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
    budget: Budget,
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
