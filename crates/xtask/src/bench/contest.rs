//! One run of one contestant: it makes itself ready, is told to go, and is measured until it says that it is done.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cleanup::{self, Guard};

use super::figures::Sample;
use super::measure::{self, MemoryWatch, Watched};
use super::stage::{DATABASE, Stage};

/// How long a contestant may take to make itself ready, or to end.
const PREPARATION: Duration = Duration::from_secs(180);
const END: Duration = Duration::from_secs(20);

/// A program that prints `ready` when it is, begins at a word, and prints `done` at the end.
pub struct Driver {
    /// The program.
    pub command: Command,
    /// What it is told first.
    pub opening: String,
    /// The word to begin.
    pub go: String,
}

/// How a run ended.
pub enum Run {
    /// With these figures and so many rows.
    Done(Sample, u64),
    /// It was stopped, for it took longer than it may.
    TooLong,
}

/// Runs it once; it may take as long as `limit`.
///
/// # Errors
/// Fails, with what it said, when it ends before it is done.
pub fn run(driver: Driver, stage: &Stage, limit: Duration) -> Result<Run> {
    // What earlier runs left to be written is not this one's work.
    stage.sql("CHECKPOINT")?;
    let load = measure::load();
    let mut player = Player::start(driver.command)?;
    player.say(&driver.opening)?;
    if player.until("ready", PREPARATION)?.is_none() {
        bail!("it was not ready within {} s", PREPARATION.as_secs());
    }
    stage.clear_counters()?;
    let watched = Watched {
        client: player.child.id(),
        server: stage.cluster.pid()?,
        database: DATABASE,
    };
    let before = Times::now(watched, stage);
    let memory = MemoryWatch::start(watched);
    let begun = Instant::now();
    player.say(&driver.go)?;
    let Some(said) = player.until("done", limit)? else {
        return Ok(Run::TooLong);
    };
    let wall = begun.elapsed();
    let after = Times::now(watched, stage);
    let memory = memory.growth();
    let (calls, bytes) = stage.counters()?;
    player.end();
    let rows = rows_in(&said).context("it does not say how many rows it brought")?;
    let sample = Sample {
        wall,
        client: after.client.saturating_sub(before.client),
        server: after.server.saturating_sub(before.server),
        sandbox: after.sandbox.saturating_sub(before.sandbox),
        memory,
        calls,
        bytes,
        load,
    };
    Ok(Run::Done(sample, rows))
}

/// Processor times so far.
struct Times {
    client: Duration,
    server: Duration,
    sandbox: Duration,
}

impl Times {
    fn now(watched: Watched, stage: &Stage) -> Self {
        Self {
            client: measure::processor_time(watched.client),
            server: measure::processor_time(watched.server),
            sandbox: measure::processor_time(stage.sandbox.pid()),
        }
    }
}

/// The contestant's process; dropping it ends it.
struct Player {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Option<thread::JoinHandle<String>>,
    _stop: Guard,
}

impl Player {
    fn start(mut command: Command) -> Result<Self> {
        let shown = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {shown}"))?;
        let pid = Pid::from_raw(child.id().cast_signed());
        let stop = cleanup::at_end(move || {
            // An error means that it has ended already.
            let _ = kill(pid, Signal::SIGTERM);
        });
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("its output is a pipe")?;
        let mut stderr = child.stderr.take().context("its complaints are a pipe")?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let complaints = thread::spawn(move || {
            let mut bytes = Vec::new();
            // What cannot be read is not shown; the failure is told all the same.
            let _ = stderr.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Self {
            child,
            stdin,
            lines,
            complaints: Some(complaints),
            _stop: stop,
        })
    }

    fn say(&mut self, text: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("it listens")?;
        stdin.write_all(text.as_bytes())?;
        stdin.flush()?;
        Ok(())
    }

    /// The lines up to the one that begins with `word`, that one included; none when it took too long.
    fn until(&mut self, word: &str, limit: Duration) -> Result<Option<Vec<String>>> {
        let begun = Instant::now();
        let mut said = Vec::new();
        loop {
            match self
                .lines
                .recv_timeout(limit.saturating_sub(begun.elapsed()))
            {
                Ok(line) => {
                    let last = line.split(' ').next() == Some(word);
                    said.push(line);
                    if last {
                        return Ok(Some(said));
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    let complaints = self.complaints.take().map(thread::JoinHandle::join);
                    let complaints = complaints.and_then(Result::ok).unwrap_or_default();
                    bail!("it ended early: {}", complaints.trim());
                }
            }
        }
    }

    /// Lets it end by itself, so that its sessions are closed in order.
    fn end(mut self) {
        // psql takes the end of its input as the end, the others any line.
        if let Some(mut stdin) = self.stdin.take() {
            let _ = stdin.write_all(b"\n");
        }
        let asked = Instant::now();
        while asked.elapsed() < END {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of rows in what a contestant said: behind `done`, in a plan with `rows=`, or in the tag `SELECT n`.
fn rows_in(lines: &[String]) -> Option<u64> {
    lines.iter().find_map(|line| {
        let told = line
            .strip_prefix("done ")
            .or_else(|| line.strip_prefix("SELECT "));
        let told = told.or_else(|| Some(line.split_once("actual rows=")?.1))?;
        let digits = told.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_in_three_ways() {
        let check = |lines: &[&str], expected| {
            let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            assert_eq!(rows_in(&lines), expected, "{lines:?}");
        };
        check(&["done 7"], Some(7));
        check(&["SELECT 12", "done"], Some(12));
        check(
            &["Foreign Scan on contact (actual rows=1000 loops=1)", "done"],
            Some(1000),
        );
        check(
            &[
                "Foreign Scan on contact (actual rows=1000.00 loops=1)",
                "done",
            ],
            Some(1000),
        );
        check(&["done"], None);
    }

    fn shell(script: &str) -> Player {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Player::start(command).unwrap()
    }

    #[test]
    fn a_contestant_is_listened_to_until_its_word() {
        let mut player =
            shell("echo one; echo ready now; read word; echo \"done $word\"; read word");
        let limit = Duration::from_secs(10);
        assert_eq!(
            player.until("ready", limit).unwrap().unwrap(),
            ["one", "ready now"]
        );
        player.say("5\n").unwrap();
        assert_eq!(player.until("done", limit).unwrap().unwrap(), ["done 5"]);
        player.end();
    }

    #[test]
    fn one_that_ends_early_is_an_error_with_its_words() {
        let error = shell("echo no luck >&2").until("ready", Duration::from_secs(10));
        assert_eq!(error.unwrap_err().to_string(), "it ended early: no luck");
    }

    #[test]
    fn one_that_takes_too_long_is_stopped() {
        let mut player = shell("sleep 60");
        assert!(
            player
                .until("ready", Duration::from_millis(10))
                .unwrap()
                .is_none()
        );
    }
}
