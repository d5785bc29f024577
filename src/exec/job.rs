//! The export job of this session: opened by the first statement under it, held until the transaction ends.
//!
//! A job is finished only when its transaction has committed and its last statement ended well. Everything else
//! leaves it as it is, so that the same statement can run again.

use crate::error::warn;
use crate::guc;
use crate::pg::catalog;
use crm_core::{Error, ErrorKind, Result};
use crm_export::SharedJob;
use crm_export::journal::{Directory, Job, Signature};
use pgrx::{PgSubXactCallbackEvent, PgXactCallbackEvent, pg_sys};
use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::{Mutex, Weak};
use std::time::{Duration, Instant};

/// How long a session may take to let go of a job after it has told of a failure.
const LETTING_GO: Duration = Duration::from_millis(500);

/// One statement under a job.
struct Use {
    subtransaction: pg_sys::SubTransactionId,
    /// The job's claims before it.
    mark: usize,
    has_ended: bool,
}

/// The job that the transaction holds.
struct Held {
    name: String,
    job: SharedJob,
    uses: Vec<Use>,
    /// A statement under it was rolled back and has not been run again.
    is_undone: bool,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
    /// The job held last: after a cancel the network thread may hold it a little longer.
    static LAST: Cell<Option<Weak<Mutex<Job>>>> = const { Cell::new(None) };
}

/// Where the jobs of the current role in this database are.
pub fn folder() -> PathBuf {
    catalog::data_directory()
        .join("crm_fdw")
        .join("export")
        .join(catalog::database().to_u32().to_string())
        .join(catalog::current_user().to_u32().to_string())
}

/// The jobs of the current role.
///
/// # Errors
/// When the folder cannot be made.
pub fn directory() -> Result<Directory> {
    Directory::new(folder())
}

/// The job that the setting `crm.export_job` names, for a statement that begins; nothing where it names none.
///
/// # Errors
/// When another session holds it, when it exports something else, or when its file cannot be used.
pub fn begin(signature: Signature) -> Result<Option<SharedJob>> {
    let Some(name) = guc::export_job() else {
        return Ok(None);
    };
    let subtransaction = catalog::current_subtransaction();
    let held = HELD.with_borrow_mut(|held| {
        let known = held.iter_mut().find(|held| held.name == name)?;
        known.uses.push(Use {
            subtransaction,
            mark: known.job.lock().claim_mark(),
            has_ended: false,
        });
        Some(known.job.clone())
    });
    if let Some(job) = held {
        let holds = job.lock().signature().clone();
        if holds != signature {
            return Err(another(&name));
        }
        return Ok(Some(job));
    }
    wait_for_the_last_one();
    let job = SharedJob::new(open(&name, &signature)?);
    LAST.set(Some(job.watch()));
    watch();
    HELD.with_borrow_mut(|held| {
        held.push(Held {
            name,
            job: job.clone(),
            uses: vec![Use {
                subtransaction,
                mark: 0,
                has_ended: false,
            }],
            is_undone: false,
        });
    });
    Ok(Some(job))
}

/// Opens a job. A session whose statement was cancelled has told its client so a moment before it lets go of the job:
/// another session that runs it again at once waits that long.
fn open(name: &str, signature: &Signature) -> Result<Job> {
    let directory = directory()?;
    let deadline = Instant::now() + LETTING_GO;
    loop {
        match Job::open(&directory, name, signature.clone()) {
            Err(error) if error.kind() == ErrorKind::RecordLocked && Instant::now() < deadline => {
                pgrx::check_for_interrupts!();
                std::thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// A statement under the job has ended well.
pub fn end(job: &SharedJob) {
    let subtransaction = catalog::current_subtransaction();
    HELD.with_borrow_mut(|held| {
        let held = held.iter_mut().find(|held| held.job.is_same(job));
        let Some(held) = held else {
            return;
        };
        held.is_undone = false;
        let running = held
            .uses
            .iter_mut()
            .rev()
            .find(|one| one.subtransaction == subtransaction && !one.has_ended);
        if let Some(running) = running {
            running.has_ended = true;
        }
    });
}

/// The name of the job a statement runs under, for messages.
pub fn name_of(job: &SharedJob) -> String {
    job.lock().name().to_owned()
}

/// Waits until the network thread has let go of what a cancelled statement left it with: a write to the disk at most.
fn wait_for_the_last_one() {
    let Some(last) = LAST.take() else {
        return;
    };
    let is_held = HELD.with_borrow(|held| {
        held.iter()
            .any(|held| Weak::ptr_eq(&held.job.watch(), &last))
    });
    while !is_held && last.strong_count() > 0 {
        pgrx::check_for_interrupts!();
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn another(name: &str) -> Error {
    Error::new(
        ErrorKind::OptionValue,
        format!("export job \"{name}\" exports something else in this transaction"),
    )
    .with_hint("Give each statement a job of its own with SET crm.export_job.")
}

/// Has the end of this transaction and of its subtransactions told, once.
fn watch() {
    if HELD.with_borrow(|held| !held.is_empty()) {
        return;
    }
    pgrx::register_xact_callback(PgXactCallbackEvent::Commit, || {
        for held in HELD.with_borrow_mut(std::mem::take) {
            if held.is_undone || !held.uses.iter().all(|one| one.has_ended) {
                continue;
            }
            // An ERROR is not possible here any more.
            match held.job.lock().finish() {
                Ok(true) => {}
                Ok(false) => warn(
                    &Error::new(
                        ErrorKind::RemoteFault,
                        format!("export job \"{}\" is not finished", held.name),
                    )
                    .with_hint(format!(
                        "SELECT * FROM crm.export_records('{}') WHERE status <> 'accepted' lists what is left; the same statement sends it.",
                        held.name.replace('\'', "''")
                    )),
                ),
                Err(error) => warn(&error),
            }
        }
    });
    pgrx::register_xact_callback(PgXactCallbackEvent::Abort, || {
        HELD.with_borrow_mut(std::mem::take);
    });
    pgrx::register_subxact_callback(PgSubXactCallbackEvent::AbortSub, |subtransaction, _| {
        HELD.with_borrow_mut(|all| {
            for held in all {
                // Subtransactions within an aborted one have larger numbers than it.
                let undone = |one: &Use| one.subtransaction >= subtransaction;
                let first = held.uses.iter().find(|one| undone(one));
                if let Some(mark) = first.map(|one| one.mark) {
                    held.uses.retain(|one| !undone(one));
                    held.is_undone = true;
                    held.job.lock().release_claims(mark);
                }
            }
        });
    });
}
