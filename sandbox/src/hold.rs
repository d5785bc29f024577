//! Requests held back in the middle, so that a test can kill a client or look at the records meanwhile.
//! A held request lives on when its client is gone.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};

/// Where a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// Nothing has been done yet.
    Before,
    /// It is carried out, the answer is not sent.
    After,
}

/// A request that waits.
struct Held {
    method: String,
    path: String,
    at: Point,
    go: oneshot::Sender<bool>,
    done: oneshot::Receiver<()>,
}

/// What a held request waits with.
pub struct Ticket {
    go: oneshot::Receiver<bool>,
    done: oneshot::Sender<()>,
}

impl Ticket {
    /// Waits; false when the request is to be given up.
    pub async fn wait(&mut self) -> bool {
        (&mut self.go).await.unwrap_or(false)
    }

    /// Tells whoever let it go that everything is done.
    pub fn finish(self) {
        // The release may have stopped waiting.
        let _ = self.done.send(());
    }
}

/// The requests that wait.
pub struct Holds {
    held: Mutex<Vec<Held>>,
    count: watch::Sender<usize>,
}

impl Default for Holds {
    fn default() -> Self {
        Self {
            held: Mutex::default(),
            count: watch::Sender::new(0),
        }
    }
}

impl Holds {
    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a request that is to wait.
    pub fn hold(&self, method: &str, path: &str, at: Point) -> Ticket {
        let (go, wait) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        let mut held = self.held();
        held.push(Held {
            method: method.to_owned(),
            path: path.to_owned(),
            at,
            go,
            done: finished,
        });
        self.count.send_replace(held.len());
        Ticket { go: wait, done }
    }

    /// Waits until so many requests are held, or the time is over, and lists them.
    pub async fn wait(&self, count: usize, most: Duration) -> Value {
        let mut counts = self.count.subscribe();
        // Both ends of the wait are answered by the list itself.
        let _ = tokio::time::timeout(most, counts.wait_for(|held| *held >= count)).await;
        let held: Vec<Value> = self
            .held()
            .iter()
            .map(|held| json!({"method": held.method, "path": held.path, "at": held.at}))
            .collect();
        json!({"held": held})
    }

    /// Lets every held request go on, or gives it up, and returns once all of them are done.
    pub async fn release(&self, go_on: bool) -> usize {
        let held = std::mem::take(&mut *self.held());
        self.count.send_replace(0);
        let count = held.len();
        let mut ends = Vec::new();
        for one in held {
            // A request that is gone already has nothing to be told.
            let _ = one.go.send(go_on);
            ends.push(one.done);
        }
        for end in ends {
            let _ = end.await;
        }
        count
    }
}
