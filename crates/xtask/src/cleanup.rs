//! What must be undone when this program ends, however it ends.
//!
//! Everything started (a server, a sandbox, a build) leaves an action here.
//! The action runs once: when its guard is dropped (success, error, panic) or when a signal arrives.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

type Action = Box<dyn FnOnce() + Send>;

static PENDING: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);
static ENDING: AtomicBool = AtomicBool::new(false);
static CTRL_C_BELONGS_TO_CHILD: AtomicBool = AtomicBool::new(false);

/// Runs its action when dropped, unless a signal ran it before.
#[must_use = "the action runs as soon as the guard is dropped"]
pub struct Guard(u64);

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(action) = take(self.0) {
            action();
        }
    }
}

impl Guard {
    /// Forgets the action, because what it would undo has ended by itself.
    pub fn disarm(self) {
        drop(take(self.0));
    }
}

/// A new folder, removed when this value is dropped or a signal arrives.
pub struct TemporaryDir {
    path: PathBuf,
    _remove: Guard,
}

impl TemporaryDir {
    /// Makes a folder of a fresh name in `base`, closed to other accounts.
    ///
    /// # Errors
    /// Fails when it cannot be made.
    pub fn new_in(base: &Path) -> Result<Self> {
        let path = tempfile::Builder::new()
            .prefix("crm_fdw-")
            .tempdir_in(base)
            .with_context(|| format!("cannot create a folder in {}", base.display()))?
            .keep();
        let to_remove = path.clone();
        let remove = at_end(move || {
            if let Err(error) = std::fs::remove_dir_all(&to_remove) {
                eprintln!("cannot remove {}: {error}", to_remove.display());
            }
        });
        Ok(Self {
            path,
            _remove: remove,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Registers `action` for the end of the returned guard's life.
///
/// While a signal is being handled nothing new may start: the action then runs at once and the
/// calling thread stays here until the process is gone.
pub fn at_end(action: impl FnOnce() + Send + 'static) -> Guard {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    pending().push((id, Box::new(action)));
    if ENDING.load(Ordering::SeqCst) {
        drop(Guard(id));
        loop {
            thread::park();
        }
    }
    Guard(id)
}

/// Handles SIGINT, SIGTERM and SIGHUP on a thread of its own: undo everything, newest first, then exit.
///
/// # Errors
/// Fails when the handlers cannot be installed.
pub fn watch_signals() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot install signal handlers")?;
    thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGINT && CTRL_C_BELONGS_TO_CHILD.load(Ordering::SeqCst) {
                continue;
            }
            ENDING.store(true, Ordering::SeqCst);
            eprintln!("\ninterrupted: stopping what was started");
            while let Some(action) = take_newest() {
                action();
            }
            process::exit(128 + signal);
        }
    });
    Ok(())
}

/// While `body` runs, Ctrl-C is for the interactive child (psql cancels its query with it), not for us.
pub fn leave_ctrl_c_to_child<T>(body: impl FnOnce() -> T) -> T {
    CTRL_C_BELONGS_TO_CHILD.store(true, Ordering::SeqCst);
    let outcome = body();
    CTRL_C_BELONGS_TO_CHILD.store(false, Ordering::SeqCst);
    outcome
}

fn take(id: u64) -> Option<Action> {
    let mut pending = pending();
    let position = pending.iter().position(|(other, _)| *other == id)?;
    Some(pending.remove(position).1)
}

/// A function of its own, so that the lock is free while the action runs.
fn take_newest() -> Option<Action> {
    pending().pop().map(|(_, action)| action)
}

fn pending() -> MutexGuard<'static, Vec<(u64, Action)>> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counting_guard() -> (Guard, Arc<AtomicUsize>) {
        let runs = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&runs);
        let guard = at_end(move || {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        (guard, runs)
    }

    #[test]
    fn a_dropped_guard_runs_its_action_once() {
        let (guard, runs) = counting_guard();
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        drop(guard);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_disarmed_guard_does_not_run() {
        let (guard, runs) = counting_guard();
        guard.disarm();
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_temporary_folder_is_removed_with_its_content() {
        let dir = TemporaryDir::new_in(&std::env::temp_dir()).unwrap();
        let path = dir.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_panic_runs_the_action() {
        let (guard, runs) = counting_guard();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _held = guard;
            panic!("expected by the test");
        }));
        assert!(outcome.is_err());
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }
}
