//! A backend seen from outside, through `/proc`: memory, threads, open files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A server process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its process id.
    pub pid: i32,
}

impl Backend {
    /// The process still runs.
    pub fn is_alive(self) -> bool {
        self.field("VmPeak:").is_some()
    }

    /// Ends it at once, as the kernel does when memory is short; the server then starts itself again.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn kill(self) {
        let sent = std::process::Command::new("kill")
            .args(["-9", &self.pid.to_string()])
            .status();
        assert!(sent.is_ok_and(|status| status.success()), "not killed");
    }

    /// Resident memory of its own in bytes: what it shares with the other backends is left out, since a
    /// statement that fills shared buffers makes every backend look larger.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn own_memory(self) -> u64 {
        let of = |name| self.field(name).expect("the backend runs");
        (of("RssAnon:") + of("RssFile:")) * 1024
    }

    /// Threads.
    pub fn threads(self) -> usize {
        self.entries("task")
    }

    /// Open files, sockets included.
    pub fn open_files(self) -> usize {
        self.entries("fd")
    }

    /// Watches [`Backend::own_memory`] until it is asked for the peak.
    pub fn watch(self) -> Peak {
        let (peak, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let before = self.own_memory();
        let thread = std::thread::spawn({
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) && self.is_alive() {
                    peak.fetch_max(self.own_memory(), Ordering::Relaxed);
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        });
        Peak {
            before,
            peak,
            stop,
            thread: Some(thread),
        }
    }

    /// A line of `status`, in its own unit: KiB.
    fn field(self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    fn entries(self, folder: &str) -> usize {
        let path = format!("/proc/{}/{folder}", self.pid);
        std::fs::read_dir(path).expect("the backend runs").count()
    }
}

/// The largest memory seen while it was watched.
pub struct Peak {
    before: u64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peak {
    /// Stops watching; bytes at the peak beyond those at the start.
    ///
    /// # Panics
    /// When the backend has ended meanwhile.
    pub fn growth(mut self) -> u64 {
        self.end();
        self.peak
            .load(Ordering::Relaxed)
            .saturating_sub(self.before)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the backend ran to the end");
        }
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}
