//! Counters of what servers and foreign tables cost, kept across sessions (O-1).
//!
//! A backend counts for itself and adds to a file of the database when its transaction ends. Files work on a hot
//! standby too, and no SELECT writes to a table. What cannot be written now is kept and added the next time.

use crate::error::sqlstate;
use crate::pg::catalog;
use crate::pg::files;
use crm_core::{CallStats, Counts, Error, Usage};
use pgrx::{PgXactCallbackEvent, pg_sys, register_xact_callback};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Tables and servers remembered in one database; those heard of last win.
const MOST_ENTRIES: usize = 5_000;
/// Tries to get the file's lock, a millisecond apart.
const LOCK_TRIES: u32 = 50;

/// Counters of one server, or of one of its foreign tables.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    /// The server's row in `pg_foreign_server`.
    pub server: u32,
    /// The foreign table, or 0 for the server as a whole.
    pub relation: u32,
    /// What was spent and done.
    pub counts: Counts,
    /// The message of the latest error.
    pub last_error: Option<String>,
    /// Its SQLSTATE.
    pub last_sqlstate: Option<String>,
    /// When, in microseconds since the Unix epoch.
    pub last_error_at: Option<i64>,
    /// Calls used of the account's allotment, as last heard.
    pub calls_used: Option<u64>,
    /// Calls allowed in it.
    pub calls_allowed: Option<u64>,
    /// Heard of last, in microseconds since the Unix epoch.
    pub heard_at: i64,
}

#[derive(Default, Serialize, Deserialize)]
struct Contents {
    /// Counted since then, in microseconds since the Unix epoch.
    since: i64,
    entries: Vec<Entry>,
}

/// Counters that are being written to.
struct Live {
    server: u32,
    relation: u32,
    stats: Arc<CallStats>,
    counted: Counts,
    usage: Box<dyn Fn() -> Option<Usage>>,
}

#[derive(Default)]
struct Local {
    live: Vec<Live>,
    /// What the file does not have yet.
    pending: Vec<Entry>,
    /// Calls of each server since this backend started.
    calls: Vec<(u32, u64)>,
    flush_is_due: bool,
}

thread_local! {
    static LOCAL: RefCell<Local> = RefCell::default();
}

/// Counts what `stats` will hold for a server, and for a foreign table if it is one's.
pub fn watch(
    server: pg_sys::Oid,
    relation: Option<pg_sys::Oid>,
    stats: &Arc<CallStats>,
    usage: impl Fn() -> Option<Usage> + 'static,
) {
    flush_at_end();
    LOCAL.with_borrow_mut(|local| {
        local.collect();
        local.live.push(Live {
            server: server.to_u32(),
            relation: relation.map_or(0, pg_sys::Oid::to_u32),
            stats: Arc::clone(stats),
            counted: Counts::default(),
            usage: Box::new(usage),
        });
    });
}

/// Remembers why something failed.
pub fn failed(server: pg_sys::Oid, relation: Option<pg_sys::Oid>, error: &Error) {
    flush_at_end();
    let message = error.message().chars().take(500).collect::<String>();
    let state = catalog::sqlstate_text(sqlstate(error.kind()));
    let now = now();
    LOCAL.with_borrow_mut(|local| {
        let relation = relation.map_or(0, pg_sys::Oid::to_u32);
        for relation in [0, relation] {
            let entry = local.entry(server.to_u32(), relation);
            entry.last_error = Some(message.clone());
            entry.last_sqlstate = Some(state.clone());
            entry.last_error_at = Some(now);
        }
    });
}

/// Calls that this backend has made to a server.
pub fn calls_of(server: pg_sys::Oid) -> u64 {
    LOCAL.with_borrow_mut(|local| {
        local.collect();
        let known = local.calls.iter().find(|(of, _)| *of == server.to_u32());
        known.map_or(0, |(_, calls)| *calls)
    })
}

/// Everything counted in this database, and since when, in microseconds since the Unix epoch.
pub fn all() -> (i64, Vec<Entry>) {
    flush();
    let mut contents = read();
    // What could not be written is true all the same.
    LOCAL.with_borrow(|local| merge(&mut contents.entries, &local.pending));
    (contents.since, contents.entries)
}

/// Counts from zero; false when another session held the file all the time.
pub fn reset() -> bool {
    let Some(_lock) = lock() else { return false };
    LOCAL.with_borrow_mut(|local| {
        local.collect();
        local.pending.clear();
    });
    let contents = Contents {
        since: now(),
        entries: Vec::new(),
    };
    write(&contents)
}

/// Adds to the file what it does not have yet.
pub fn flush() {
    let pending = LOCAL.with_borrow_mut(|local| {
        local.collect();
        std::mem::take(&mut local.pending)
    });
    if pending.is_empty() {
        return;
    }
    let written = lock().is_some_and(|_lock| {
        let mut contents = read();
        merge(&mut contents.entries, &pending);
        if contents.entries.len() > MOST_ENTRIES {
            contents
                .entries
                .sort_by_key(|entry| std::cmp::Reverse(entry.heard_at));
            contents.entries.truncate(MOST_ENTRIES);
        }
        write(&contents)
    });
    if !written {
        LOCAL.with_borrow_mut(|local| {
            let newer = std::mem::replace(&mut local.pending, pending);
            merge(&mut local.pending, &newer);
        });
    }
}

/// The end of the transaction flushes, whichever it is; nothing of PostgreSQL is called there.
fn flush_at_end() {
    let is_due = LOCAL.with_borrow_mut(|local| std::mem::replace(&mut local.flush_is_due, true));
    if is_due {
        return;
    }
    for event in [
        PgXactCallbackEvent::Commit,
        PgXactCallbackEvent::Abort,
        PgXactCallbackEvent::Prepare,
    ] {
        register_xact_callback(event, || {
            LOCAL.with_borrow_mut(|local| local.flush_is_due = false);
            flush();
        });
    }
}

impl Local {
    /// Takes over what the live counters have gained; those that nobody writes to any more go.
    fn collect(&mut self) {
        let live = std::mem::take(&mut self.live);
        for mut one in live {
            // Looked at before the counters: what is alone now gains nothing more.
            let is_alone = Arc::strong_count(&one.stats) == 1;
            let counts = one.stats.counts();
            let gained = counts.since(one.counted);
            one.counted = counts;
            if gained != Counts::default() {
                let usage = (one.usage)();
                for relation in if one.relation == 0 {
                    vec![0]
                } else {
                    vec![0, one.relation]
                } {
                    let entry = self.entry(one.server, relation);
                    entry.counts = entry.counts.plus(gained);
                    if let Some(usage) = usage {
                        entry.calls_used = Some(usage.used);
                        entry.calls_allowed = Some(usage.allowed);
                    }
                }
                match self
                    .calls
                    .iter_mut()
                    .find(|(server, _)| *server == one.server)
                {
                    Some((_, calls)) => *calls += gained.calls,
                    None => self.calls.push((one.server, gained.calls)),
                }
            }
            if !is_alone {
                self.live.push(one);
            }
        }
    }

    fn entry(&mut self, server: u32, relation: u32) -> &mut Entry {
        let of = |entry: &Entry| entry.server == server && entry.relation == relation;
        let at = self.pending.iter().position(of).unwrap_or_else(|| {
            self.pending.push(Entry {
                server,
                relation,
                ..Entry::default()
            });
            self.pending.len() - 1
        });
        let entry = &mut self.pending[at];
        entry.heard_at = now();
        entry
    }
}

fn merge(entries: &mut Vec<Entry>, newer: &[Entry]) {
    for new in newer {
        let known = entries
            .iter_mut()
            .find(|entry| entry.server == new.server && entry.relation == new.relation);
        let Some(known) = known else {
            entries.push(new.clone());
            continue;
        };
        known.counts = known.counts.plus(new.counts);
        if new.last_error.is_some() {
            known.last_error.clone_from(&new.last_error);
            known.last_sqlstate.clone_from(&new.last_sqlstate);
            known.last_error_at = new.last_error_at;
        }
        if new.calls_allowed.is_some() {
            (known.calls_used, known.calls_allowed) = (new.calls_used, new.calls_allowed);
        }
        known.heard_at = known.heard_at.max(new.heard_at);
    }
}

fn place() -> PathBuf {
    let database = catalog::database();
    files::folder("statistics").join(database.to_u32().to_string())
}

/// Held while the file is changed; nothing when others hold it all the time.
fn lock() -> Option<File> {
    let file = files::open_private(&place().with_extension("lock")).ok()?;
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Some(file),
            // Others hold it as long as it takes to write a few kilobytes.
            Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            Err(std::fs::TryLockError::Error(_)) => return None,
        }
    }
    None
}

fn read() -> Contents {
    // The file is replaced as a whole, so it is either there or not; a damaged one is begun anew.
    let text = std::fs::read(place().with_extension("json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_else(|_| Contents {
        since: now(),
        entries: Vec::new(),
    })
}

fn write(contents: &Contents) -> bool {
    let Ok(text) = serde_json::to_vec(contents) else {
        return false;
    };
    files::replace(&place().with_extension("json"), &text).is_ok()
}

fn now() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |time| {
        i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
    })
}
