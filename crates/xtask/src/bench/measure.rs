//! What processes cost, from `/proc`: processor time and memory of a process with all below it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often memory is looked at. The kernel keeps each process's peak, so only what comes and goes in between is missed.
const LOOK: Duration = Duration::from_millis(100);
/// Linux counts processor time for user space in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// How far the exact count of the living threads may lie behind the ticks of all before ended threads are the reason.
const SLACK: Duration = Duration::from_millis(20);

/// Processor time of a process and all below it, also of those that have ended.
pub fn processor_time(root: u32) -> Duration {
    tree(root)
        .into_iter()
        .map(|pid| own_time(pid) + ended_children_time(pid))
        .sum()
}

/// The load of the machine: processes that ran or wanted to, on average of the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or_default()
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    while let Some(pid) = found.get(at) {
        let mut children = Vec::new();
        for task in fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            children.extend(
                text.split_whitespace()
                    .filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        found.extend(children);
        at += 1;
    }
    found
}

/// To the nanosecond where all its threads live, else in ticks.
fn own_time(pid: u32) -> Duration {
    let mut exact = Duration::ZERO;
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let ran = text.split(' ').next().and_then(|ns| ns.parse().ok());
        exact += Duration::from_nanos(ran.unwrap_or(0));
    }
    let ticks = ticks(pid)[0];
    if ticks > exact + SLACK { ticks } else { exact }
}

fn ended_children_time(pid: u32) -> Duration {
    ticks(pid)[1]
}

/// Of the process, and of its children that have ended and been waited for.
fn ticks(pid: u32) -> [Duration; 2] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    ticks_in(&stat).unwrap_or_default()
}

fn ticks_in(stat: &str) -> Option<[Duration; 2]> {
    // The name stands in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u32>().ok();
    // Fields 14 to 17 of proc(5); the first two are in front of the parenthesis.
    let own = number(11)? + number(12)?;
    let children = number(13)? + number(14)?;
    Some([TICK * own, TICK * children])
}

/// Watches how far memory grows in processes and all below them.
pub struct MemoryWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    over: AtomicBool,
    /// Of each process: bytes at the start (0 where it came later), and the most so far.
    seen: Mutex<BTreeMap<u32, (u64, u64)>>,
}

/// Processes to watch.
#[derive(Clone, Copy)]
pub struct Watched {
    /// With all below it.
    pub client: u32,
    /// The server's first process; of those below it, the sessions in a database are watched.
    pub server: u32,
    /// That database.
    pub database: &'static str,
}

impl Watched {
    fn pids(self) -> Vec<u32> {
        let sessions = tree(self.server)
            .into_iter()
            .filter(|&pid| is_session(pid, self.database));
        tree(self.client).into_iter().chain(sessions).collect()
    }
}

/// PostgreSQL's processes call themselves `postgres: user database address state`.
fn is_session(pid: u32, database: &str) -> bool {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    title.starts_with("postgres: ") && title.split(' ').nth(2) == Some(database)
}

impl MemoryWatch {
    /// From now on.
    pub fn start(watched: Watched) -> Self {
        let mut seen = BTreeMap::new();
        for pid in watched.pids() {
            // 5 sets the peak back to what is held now; without the right to, the peak of before counts.
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
            let now = status(pid, "VmRSS:");
            seen.insert(pid, (now, now));
        }
        let shared = Arc::new(Shared {
            over: AtomicBool::new(false),
            seen: Mutex::new(seen),
        });
        let thread = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.over.load(Ordering::Relaxed) {
                    shared.look(watched);
                    thread::park_timeout(LOOK);
                }
                shared.look(watched);
            })
        };
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// Bytes that all of them grew by, each at its own peak.
    pub fn growth(mut self) -> u64 {
        self.end();
        let seen = self.shared.seen.lock();
        let seen = seen.unwrap_or_else(PoisonError::into_inner);
        seen.values()
            .map(|(first, most)| most.saturating_sub(*first))
            .sum()
    }

    fn end(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It ends by itself and cannot fail but by a panic, which has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn look(&self, watched: Watched) {
        for pid in watched.pids() {
            let peak = status(pid, "VmHWM:");
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, most) = seen.entry(pid).or_default();
            *most = peak.max(*most);
        }
    }
}

/// Bytes of a line of `/proc/PID/status`, 0 for a process that is gone.
fn status(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_behind_a_name_that_may_hold_anything() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 30 20 20 0 1 0 5 0 0";
        let [own, ended] = ticks_in(stat).unwrap();
        assert_eq!(
            (own, ended),
            (Duration::from_secs(2), Duration::from_millis(500))
        );
        assert!(ticks_in("gone").is_none());
    }

    #[test]
    fn work_of_this_process_and_of_children_is_counted() {
        let before = processor_time(std::process::id());
        let shell = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done"])
            .status();
        assert!(shell.unwrap().success());
        assert!(processor_time(std::process::id()) > before);
    }

    #[test]
    fn memory_that_is_taken_and_given_back_is_seen() {
        let us = std::process::id();
        let watch = MemoryWatch::start(Watched {
            client: us,
            server: us,
            database: "none",
        });
        let taken = vec![1_u8; 64 << 20];
        assert_eq!(
            taken.iter().map(|&byte| u64::from(byte)).sum::<u64>(),
            64 << 20
        );
        drop(taken);
        let growth = watch.growth();
        assert!(growth > 60 << 20, "{growth}");
    }
}
