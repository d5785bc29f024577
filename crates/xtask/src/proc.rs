//! Running other programs: with their output shown, or kept in a log that is shown only on failure.
//!
//! Every child is undone at the end (see `cleanup`) and sees an environment free of what
//! `cargo run` added for this program, so that nested builds reuse what is already built.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::cleanup;

/// Where the output of the programs of one stage goes.
pub enum Output {
    /// To the terminal, as it comes.
    Shown,
    /// Appended to this file.
    Logged(PathBuf),
}

impl Output {
    /// An empty log at `path`.
    ///
    /// # Errors
    /// Fails when the file cannot be made.
    pub fn logged(path: PathBuf) -> Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self::Logged(path))
    }

    /// Runs `command` to its end.
    ///
    /// # Errors
    /// Fails when it cannot be started or does not exit with 0.
    pub fn run(&self, mut command: Command) -> Result<()> {
        let shown = render(&command);
        clean_environment(&mut command);
        let own_group = match self {
            Self::Shown => false,
            Self::Logged(path) => {
                let log = open_log(path)?;
                io::Write::write_all(&mut &log, format!("$ {shown}\n").as_bytes())?;
                command
                    .stdin(Stdio::null())
                    .stdout(log.try_clone()?)
                    .stderr(log)
                    .process_group(0);
                true
            }
        };
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program(&command)))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let guard = cleanup::at_end(move || {
            // An error means that it has ended already.
            let _ = if own_group {
                killpg(pid, Signal::SIGTERM)
            } else {
                kill(pid, Signal::SIGTERM)
            };
        });
        let status = child.wait()?;
        if own_group {
            // Ends what the child left running in its group.
            drop(guard);
        } else {
            guard.disarm();
        }
        if !status.success() {
            bail!("command failed ({status}): {shown}");
        }
        Ok(())
    }

    /// Writes a line to the log, or to the terminal.
    ///
    /// # Errors
    /// Fails when the log cannot be written.
    pub fn note(&self, line: &str) -> Result<()> {
        match self {
            Self::Shown => println!("{line}"),
            Self::Logged(path) => {
                io::Write::write_all(&mut open_log(path)?, format!("{line}\n").as_bytes())?;
            }
        }
        Ok(())
    }
}

/// Runs `command` and returns what it printed to its standard output, trimmed.
///
/// # Errors
/// Fails, quoting its error output, when it cannot be started or does not exit with 0.
pub fn read(command: &mut Command) -> Result<String> {
    let shown = render(command);
    clean_environment(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", program(command)))?;
    if !output.status.success() {
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!(
            "command failed ({}): {shown}\n{}{}",
            output.status,
            stdout,
            stderr.trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether `command` can be started and exits with 0; it prints nothing.
pub fn succeeds(command: &mut Command) -> bool {
    clean_environment(command);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether an executable of this name is on the search path.
pub fn on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// The last `lines` lines of the file at `path`, reading no more than its last 64 KiB.
///
/// # Errors
/// Fails when the file cannot be read.
pub fn tail(path: &Path, lines: usize) -> Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(64 * 1024)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

/// The command line as a person would type it.
pub fn render(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| {
            let part = part.to_string_lossy();
            if part.is_empty() || part.contains([' ', '"', '\'', '$', '\\', '*']) {
                format!("'{}'", part.replace('\'', r"'\''"))
            } else {
                part.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .append(true)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// Build scripts ask cargo to run them again when these differ, and libpq obeys stray `PG…` variables.
fn clean_environment(command: &mut Command) {
    let kept: Vec<_> = command
        .get_envs()
        .map(|(name, _)| name.to_owned())
        .collect();
    for (name, _) in std::env::vars_os() {
        if !kept.contains(&name) && is_stray(&name.to_string_lossy()) {
            command.env_remove(&name);
        }
    }
}

fn is_stray(name: &str) -> bool {
    let of_cargo_run = matches!(
        name,
        "CARGO" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR"
    ) || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
        .iter()
        .any(|prefix| name.starts_with(prefix));
    let of_libpq =
        name.starts_with("PG") && !name.starts_with("PGRX_") && !name.ends_with("_CONFIG");
    of_cargo_run || of_libpq
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = read(Command::new("sh").args(["-c", "echo no >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit 3") && text.contains("\nno"), "{text}");
    }

    #[test]
    fn a_logged_command_writes_both_streams_to_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stage.log");
        let output = Output::logged(path.clone()).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2"]);
        output.run(command).unwrap();
        let log = std::fs::read_to_string(path).unwrap();
        assert!(log.ends_with("\nout\nerr\n"), "{log}");
    }

    #[test]
    fn stray_variables_are_told_from_settings() {
        let check = |name, stray| assert_eq!(is_stray(name), stray, "{name}");
        check("CARGO_PKG_NAME", true);
        check("CARGO_MANIFEST_DIR", true);
        check("CARGO_HOME", false);
        check("CARGO_TARGET_DIR", false);
        check("PGHOST", true);
        check("PGRX_HOME", false);
        check("PG18_CONFIG", false);
    }

    #[test]
    fn tail_gives_the_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a\nb\nc\n").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), "b\nc");
    }
}
