//! Progress of long work (O-2): a NOTICE now and then, and a small file that other sessions can read.
//!
//! Work that is over within a second leaves no trace. The file's name holds the process id, so that what a crashed
//! backend leaves behind is known as stale.

use crate::guc;
use crate::pg::catalog;
use crate::pg::files;
use crm_core::CallStats;
use pgrx::{PgXactCallbackEvent, notice, pg_sys, register_xact_callback};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time between two writes of the file, and before the first.
const STEP: Duration = Duration::from_secs(1);

/// What one backend says of one piece of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The backend's process id.
    pub pid: i32,
    /// When it started, as PostgreSQL counts time: a process id may come again.
    pub backend_start: i64,
    /// Its database.
    pub database: u32,
    /// What is being done, for people.
    pub work: String,
    /// The foreign table.
    pub relation: u32,
    /// Its name.
    pub relation_name: String,
    /// Records read so far.
    pub rows: u64,
    /// Pages read so far.
    pub pages: u64,
    /// Calls made so far.
    pub calls: u64,
    /// Records there will be, where the CRM says.
    pub expected: Option<u64>,
    /// Milliseconds since the work began.
    pub elapsed: u64,
}

/// One piece of work; dropping it ends it.
pub struct Progress {
    relation: pg_sys::Oid,
    /// When the first records were asked for.
    begun: Option<Instant>,
    told: Option<Instant>,
    written: Option<Instant>,
    file: Option<PathBuf>,
}

thread_local! {
    static WORK: RefCell<Option<String>> = const { RefCell::new(None) };
    static NUMBER: Cell<u32> = const { Cell::new(0) };
}

/// Names what the reads of this transaction are for, until it ends or is named anew.
pub fn name_work(work: Option<String>) {
    let is_named = work.is_some();
    WORK.set(work);
    if is_named {
        for event in [PgXactCallbackEvent::Commit, PgXactCallbackEvent::Abort] {
            register_xact_callback(event, || WORK.set(None));
        }
    }
}

impl Progress {
    /// Of reading a foreign table.
    pub fn of(relation: pg_sys::Oid) -> Self {
        Self {
            relation,
            begun: None,
            told: None,
            written: None,
            file: None,
        }
    }

    /// Reading begins, or begins anew.
    pub fn begin(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Says how far it has come, where it is time to.
    pub fn tell(&mut self, stats: &CallStats) {
        let Some(begun) = self.begun else { return };
        if begun.elapsed() < STEP {
            return;
        }
        let is_due =
            |last: Option<Instant>, step: Duration| last.is_none_or(|last| last.elapsed() >= step);
        if is_due(self.written, STEP) {
            self.written = Some(Instant::now());
            self.write(&self.report(begun, stats));
        }
        let Some(interval) = guc::progress_interval() else {
            return;
        };
        if begun.elapsed() >= interval && is_due(self.told, interval) {
            self.told = Some(Instant::now());
            let report = self.report(begun, stats);
            let share = report
                .share()
                .map_or_else(String::new, |share| format!(", {share} %"));
            notice!(
                "{}: {} rows, {} pages, {} calls{share}",
                report.work,
                report.rows,
                report.pages,
                report.calls
            );
        }
    }

    fn report(&self, begun: Instant, stats: &CallStats) -> Report {
        let counts = stats.counts();
        let relation_name = catalog::qualified_name(self.relation);
        let work = WORK.with_borrow(Clone::clone);
        Report {
            pid: catalog::process_id(),
            backend_start: catalog::backend_start(),
            database: catalog::database().to_u32(),
            work: work.unwrap_or_else(|| format!("read of {relation_name}")),
            relation: self.relation.to_u32(),
            relation_name,
            rows: counts.records,
            pages: counts.pages,
            calls: counts.calls,
            expected: stats.announced(),
            elapsed: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn write(&mut self, report: &Report) {
        let file = self.file.get_or_insert_with(|| {
            let number = NUMBER.get();
            NUMBER.set(number.wrapping_add(1));
            if number == 0 {
                clear_predecessors(report.pid);
            }
            files::folder("progress").join(format!("{}.{number}.json", report.pid))
        });
        // Nobody misses a report that could not be written.
        if let Ok(text) = serde_json::to_vec(report) {
            let _ = files::replace(file, &text);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

impl Report {
    /// Whole percents done, where it is known how much there will be.
    pub fn share(&self) -> Option<u64> {
        let expected = self.expected.filter(|expected| *expected > 0)?;
        Some((self.rows.saturating_mul(100) / expected).min(100))
    }
}

/// What all backends say of work in this database; whether they still run is not looked at.
pub fn reports() -> Vec<Report> {
    let files = std::fs::read_dir(files::folder("progress"));
    let database = catalog::database().to_u32();
    files
        .into_iter()
        .flatten()
        .flatten()
        .filter(|file| file.path().extension().is_some_and(|kind| kind == "json"))
        .filter_map(|file| std::fs::read(file.path()).ok())
        .filter_map(|text| serde_json::from_slice::<Report>(&text).ok())
        .filter(|report| report.database == database)
        .collect()
}

/// Removes what a crashed backend with the same process id has left.
fn clear_predecessors(pid: i32) {
    let own = format!("{pid}.");
    let files = std::fs::read_dir(files::folder("progress"));
    for file in files.into_iter().flatten().flatten() {
        if file.file_name().to_string_lossy().starts_with(&own) {
            let _ = std::fs::remove_file(file.path());
        }
    }
}
