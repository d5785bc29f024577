//! The server's clock: this machine's, moved by as much as a test asks for.
//! Record stamps, the deletion log and the `Date` header follow it; sign-in does not.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, NaiveDate, Utc};

/// A clock that can be set.
#[derive(Debug, Default)]
pub struct Clock {
    offset: AtomicI64,
}

impl Clock {
    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        Utc::now().timestamp() + self.offset.load(Ordering::Relaxed)
    }

    /// The day in UTC, the zone of the organisation.
    pub fn today(&self) -> NaiveDate {
        DateTime::from_timestamp(self.now(), 0)
            .unwrap_or_default()
            .date_naive()
    }

    /// How far it is ahead of this machine's, in seconds.
    pub fn offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    /// Moves it so many seconds ahead of this machine's.
    pub fn set_offset(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::Relaxed);
    }

    /// The `Date` header.
    pub fn http_date(&self) -> String {
        DateTime::from_timestamp(self.now(), 0)
            .unwrap_or_default()
            .format("%a, %d %b %Y %H:%M:%S GMT")
            .to_string()
    }
}
