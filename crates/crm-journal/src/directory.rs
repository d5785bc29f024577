//! The folder with the files of all jobs of one owner: who may touch which file, and what users do with a job
//! from outside a run. Reading is in `listing.rs`.

use crate::job::Job;
use crate::line::Outcome;
use crate::log::{could_not, shown};
use crate::name::{NEW_SUFFIX, SUFFIX, stem};
use crm_core::{Error, ErrorKind, Result};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Held for moments while a file is taken, replaced, removed or looked at, so that none of these meet.
const GUARD: &str = "guard";

/// How a user settles a record that nobody knows the outcome of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The CRM has it.
    Accepted {
        /// Its remote identifier.
        id: String,
    },
    /// The CRM has it not: the next run sends it.
    Resend,
}

/// The folder with the jobs of one owner.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The folder at `path`; it is made if it is missing, for its owner alone, and the folders above it too.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        make_folder(&path).map_err(|error| {
            Error::new(
                ErrorKind::StorageFailed,
                format!("could not make folder \"{}\": {error}", path.display()),
            )
        })?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Drops the list of a job, whatever state it is in, and says whether there was one.
    ///
    /// # Errors
    /// [`ErrorKind::RecordLocked`] when somebody holds the job.
    pub fn forget(&self, name: &str) -> Result<bool> {
        let _guard = self.guard(name)?;
        let path = self.file_path(name);
        let Some(_held) = open_locked(&path, name, false)? else {
            return Ok(false);
        };
        // Left by a process that was killed while it put a new file in the place of the old one.
        match fs::remove_file(self.new_path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(could_not("drop", name, &error));
            }
            _ => {}
        }
        fs::remove_file(&path)
            .and_then(|()| self.sync())
            .map_err(|error| could_not("drop", name, &error))?;
        Ok(true)
    }

    /// Settles a record that nobody knows the outcome of.
    ///
    /// # Errors
    /// [`ErrorKind::RecordLocked`] when somebody holds the job; [`ErrorKind::OptionValue`] when there is no such
    /// job or record, or its outcome is known.
    pub fn settle(&self, name: &str, number: u32, settlement: Settlement) -> Result<()> {
        let file = {
            let _guard = self.guard(name)?;
            open_locked(&self.file_path(name), name, false)?
        };
        let job = match file {
            Some(file) => Job::resume(Box::new(file), name)?,
            None => None,
        };
        let mut job = job.ok_or_else(|| no_job(name))?;
        if !job.is_open(number) {
            return Err(Error::new(
                ErrorKind::OptionValue,
                format!(
                    "record {number} of export job \"{}\" is not unknown",
                    shown(name)
                ),
            ));
        }
        let outcome = match settlement {
            Settlement::Accepted { id } => Outcome::Accepted { id },
            Settlement::Resend => Outcome::NotApplied {
                reason: String::new(),
            },
        };
        job.outcomes(&[(number, outcome)])
    }

    /// The file of a job, locked; a new one is empty.
    pub(crate) fn take_or_create(&self, name: &str) -> Result<File> {
        let _guard = self.guard(name)?;
        let path = self.file_path(name);
        if let Some(file) = open_locked(&path, name, false)? {
            return Ok(file);
        }
        let file = open_locked(&path, name, true)?.expect("it was just made");
        self.sync()
            .map_err(|error| could_not("write", name, &error))?;
        Ok(file)
    }

    /// Puts a new file with this content in the place of a job's file, which the caller holds; it is locked.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> Result<File> {
        let _guard = self.guard(name)?;
        let path = self.file_path(name);
        let new_path = self.new_path(name);
        let put = || -> io::Result<File> {
            let mut file = options().create(true).truncate(true).open(&new_path)?;
            file.try_lock()?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&new_path, &path)?;
            self.sync()?;
            Ok(file)
        };
        put().map_err(|error| could_not("write", name, &error))
    }

    /// The file of a job for reading, and whether somebody holds it.
    pub(crate) fn look(&self, path: &Path, name: &str) -> Result<Option<(File, bool)>> {
        let _guard = self.guard(name)?;
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(|error| could_not("read", name, &error))?,
        };
        let is_held = match file.try_lock_shared() {
            Ok(()) => {
                file.unlock()
                    .map_err(|error| could_not("read", name, &error))?;
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(error)) => return Err(could_not("read", name, &error)),
        };
        Ok(Some((file, is_held)))
    }

    pub(crate) fn file_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}{SUFFIX}", stem(name)))
    }

    fn new_path(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}{NEW_SUFFIX}", stem(name)))
    }

    fn guard(&self, name: &str) -> Result<File> {
        let take = || -> io::Result<File> {
            let file = options()
                .create(true)
                .truncate(false)
                .open(self.path.join(GUARD))?;
            loop {
                match file.lock() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => return result.map(|()| file),
                }
            }
        };
        take().map_err(|error| could_not("reach", name, &error))
    }

    /// Returns when the names of the files are on the disk.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// There is no such job.
pub(crate) fn no_job(name: &str) -> Error {
    Error::new(
        ErrorKind::OptionValue,
        format!("there is no export job \"{}\"", shown(name)),
    )
    .with_hint("The view crm.export_jobs has the names of all jobs.")
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Nothing when there is no file and none is to be made.
fn open_locked(path: &Path, name: &str, create: bool) -> Result<Option<File>> {
    let file = match options().create(create).truncate(false).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| could_not("open", name, &error))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::RecordLocked,
            format!("export job \"{}\" is running", shown(name)),
        )
        .with_hint("Wait until the statement that runs it has ended, or take another name.")),
        Err(TryLockError::Error(error)) => Err(could_not("lock", name, &error)),
    }
}

/// Makes a folder and those above it, and returns when their names are on the disk.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match DirBuilder::new().mode(0o700).create(path) {
        // Another process may make it at the same time.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    File::open(above)?.sync_all()
}
