//! The daily allotment of API calls: counted, announced on each answer, refused when used up.
//! Section 10 of the protocol page.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::errors::{ApiError, Reply};
use super::store::Store;

/// Calls used and allowed in the last 24 hours.
#[derive(Debug)]
pub struct Allotment {
    state: Mutex<(u64, u64)>,
}

const DEFAULT_MAX: u64 = 100_000;

impl Default for Allotment {
    fn default() -> Self {
        Self {
            state: Mutex::new((0, DEFAULT_MAX)),
        }
    }
}

impl Allotment {
    /// Counts a call.
    ///
    /// # Errors
    /// 403 `REQUEST_LIMIT_EXCEEDED` once the allotment is used up.
    pub fn count(&self) -> Result<(), ApiError> {
        let mut state = self.lock();
        if state.0 >= state.1 {
            return Err(ApiError::new(
                403,
                "REQUEST_LIMIT_EXCEEDED",
                "TotalRequests Limit exceeded.",
            ));
        }
        state.0 += 1;
        Ok(())
    }

    /// The value of `Sforce-Limit-Info`.
    pub fn header(&self) -> String {
        let (used, max) = *self.lock();
        format!("api-usage={used}/{max}")
    }

    /// Sets either number.
    pub fn set(&self, used: Option<u64>, max: Option<u64>) {
        let mut state = self.lock();
        state.0 = used.unwrap_or(state.0);
        state.1 = max.unwrap_or(state.1);
    }

    /// Calls used and allowed.
    pub fn get(&self) -> (u64, u64) {
        *self.lock()
    }

    /// Back to the start.
    pub fn reset(&self) {
        self.set(Some(0), Some(DEFAULT_MAX));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, u64)> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// `GET {V}/limits`: the recorded answer with the real counts of calls and query jobs in it.
pub fn limits(allotment: &Allotment, query_jobs_left: usize) -> Reply {
    let recorded = include_str!("../../data/salesforce/limits.json");
    let mut value: Value = serde_json::from_str(recorded).unwrap_or_else(|_| json!({}));
    let (used, max) = allotment.get();
    value["DailyApiRequests"] = json!({"Max": max, "Remaining": max.saturating_sub(used)});
    value["DailyBulkV2QueryJobs"] = json!({"Max": 10_000, "Remaining": query_jobs_left});
    value["DailyBulkV2QueryFileStorageMB"] = json!({"Max": 976_562, "Remaining": 976_562});
    Reply::ok(&value)
}

/// `GET {V}/limits/recordCount?sObjects=A,B`: records outside the recycle bin; unknown names are left out.
pub fn record_count(store: &Store, names: Option<&str>) -> Reply {
    let wanted = |name: &str| {
        names.is_none_or(|list| {
            list.split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(name))
        })
    };
    let counts: Vec<Value> = store
        .objects()
        .iter()
        .filter(|object| wanted(&object.name))
        .map(|object| {
            let count = (0..object.len())
                .filter(|&r| object.is_visible(r, false))
                .count();
            json!({"count": count, "name": object.name})
        })
        .collect();
    Reply::ok(&json!({"sObjects": counts}))
}
