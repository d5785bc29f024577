//! Who runs PostgreSQL: it refuses to run as root, so root hands it to the system user `postgres`.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::unistd::{User, geteuid};

use crate::cleanup::TemporaryDir;
use crate::proc;

/// The system user that owns and runs a private PostgreSQL server.
#[derive(Clone)]
pub enum ServerUser {
    /// We are not root: we run it ourselves, under this name.
    Ourselves(String),
    /// We are root: this account runs it.
    Other(User),
}

impl ServerUser {
    /// Decides by our effective user; root creates the account `postgres` where it is missing.
    ///
    /// # Errors
    /// Fails when an account cannot be looked up or created.
    pub fn find() -> Result<Self> {
        if !geteuid().is_root() {
            let user = User::from_uid(geteuid())?.context("the current user has no name")?;
            return Ok(Self::Ourselves(user.name));
        }
        if User::from_name("postgres")?.is_none() {
            proc::read(Command::new("useradd").args([
                "--system",
                "--no-create-home",
                "--shell",
                "/usr/sbin/nologin",
                "postgres",
            ]))
            .context("cannot create the system user postgres")?;
        }
        let user = User::from_name("postgres")?.context("there is no system user postgres")?;
        Ok(Self::Other(user))
    }

    /// The account's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Ourselves(name) => name,
            Self::Other(user) => &user.name,
        }
    }

    /// A command that runs `program` as this user.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match self {
            Self::Ourselves(_) => Command::new(program),
            Self::Other(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", &user.name, "--"]).arg(program);
                // Our own working folder may be closed to that user.
                command.current_dir("/");
                command
            }
        }
    }

    /// Gives a file or folder to this user; root can still read and write it.
    ///
    /// # Errors
    /// Fails when the owner cannot be changed.
    pub fn own(&self, path: &Path) -> Result<()> {
        if let Self::Other(user) = self {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .with_context(|| format!("cannot give {} to {}", path.display(), user.name))?;
        }
        Ok(())
    }

    /// Whether this user can read and enter `path`.
    pub fn can_use(&self, path: &Path) -> bool {
        proc::succeeds(self.command("test").arg("-x").arg(path))
    }

    /// A new private folder of this user, removed with the returned value.
    ///
    /// It lies in the usual place for temporary files, or in `/tmp` where that is closed to the
    /// user or its name too long for a Unix socket (107 bytes).
    ///
    /// # Errors
    /// Fails when it cannot be made.
    pub fn private_dir(&self) -> Result<TemporaryDir> {
        let usual = std::env::temp_dir();
        let base = if usual.as_os_str().len() <= 60 && self.can_use(&usual) {
            usual
        } else {
            PathBuf::from("/tmp")
        };
        let dir = TemporaryDir::new_in(&base)?;
        self.own(dir.path())?;
        ensure!(
            self.can_use(dir.path()),
            "{} cannot enter {}: set TMPDIR to a folder open to all",
            self.name(),
            dir.path().display()
        );
        Ok(dir)
    }
}
