//! Service protection limits: so many requests in a sliding window (section 10 of the protocol page), and
//! what else a test may set.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::errors::Refusal;

/// Requests of a window unless a test says otherwise.
const REQUESTS: usize = 6_000;
const WINDOW: Duration = Duration::from_secs(300);

/// What a test sets; what is not given is as at the start.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests of a window; there is no limit without it.
    pub requests: Option<usize>,
    pub window_s: Option<u64>,
    /// What `Retry-After` says instead of the time until there is room again.
    pub retry_after_s: Option<u64>,
    /// Requests that count as made already.
    pub used: usize,
    /// HTTP status of a detected duplicate.
    pub duplicate_status: Option<u16>,
}

#[derive(Default)]
struct Window {
    limits: Limits,
    made: VecDeque<Instant>,
}

/// Counts requests and refuses those that are too many.
#[derive(Default)]
pub struct Limiter {
    window: Mutex<Window>,
}

impl Limiter {
    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the limits and begins a new window.
    pub fn set(&self, limits: &Limits) {
        let now = Instant::now();
        *self.window() = Window {
            limits: limits.clone(),
            made: (0..limits.used).map(|_| now).collect(),
        };
    }

    /// Requests left in this window.
    pub fn left(&self) -> usize {
        let window = self.window();
        let most = window.limits.requests.unwrap_or(REQUESTS);
        most.saturating_sub(window.made.len())
    }

    /// Counts a request.
    ///
    /// # Errors
    /// 429 with `Retry-After` where it is one too many; such a request does not count.
    pub fn admit(&self) -> Result<(), Refusal> {
        let mut window = self.window();
        let Some(most) = window.limits.requests else {
            return Ok(());
        };
        let now = Instant::now();
        let span = window.limits.window_s.map_or(WINDOW, Duration::from_secs);
        while window
            .made
            .front()
            .is_some_and(|made| now.duration_since(*made) >= span)
        {
            window.made.pop_front();
        }
        if window.made.len() < most {
            window.made.push_back(now);
            return Ok(());
        }
        let until = window.made.front().map_or(Duration::ZERO, |made| {
            span.saturating_sub(now.duration_since(*made))
        });
        // Whole seconds, rounded up: a client that waits so long is let in.
        let seconds = until.as_secs() + u64::from(until.subsec_nanos() > 0);
        let mut refusal = Refusal::new(
            429,
            "0x80072322",
            format!(
                "Number of requests exceeded the limit of {most} over time window of {} seconds.",
                span.as_secs()
            ),
        );
        refusal.retry_after = Some(window.limits.retry_after_s.unwrap_or(seconds));
        Err(refusal)
    }
}
