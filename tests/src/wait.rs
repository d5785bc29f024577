//! Waiting for what another process does: a condition asked again and again, with a deadline.

use std::future::Future;
use std::time::{Duration, Instant};

/// Time between two looks.
const STEP: Duration = Duration::from_millis(5);

/// Waits until `condition` gives a value.
///
/// # Panics
/// After `limit`, naming `what` did not happen.
pub async fn until<T, F>(what: &str, limit: Duration, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// Watches for the whole of `time` that `condition` holds: for what must not happen.
///
/// # Panics
/// As soon as it does not, naming `what` should have held.
pub async fn holds_for<F>(what: &str, time: Duration, mut condition: impl FnMut() -> F)
where
    F: Future<Output = bool>,
{
    let started = Instant::now();
    while started.elapsed() < time {
        assert!(condition().await, "no longer holds: {what}");
        tokio::time::sleep(STEP).await;
    }
}
