//! All that one run found out, kept in a file so that the report can be written again.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::pg::Postgres;
use crate::proc;
use crate::workspace::Workspace;

use super::contestants::Contestant;
use super::figures::Series;
use super::matrix::{Cell, Crm, Width};
use super::tools::FOLDER;

/// Everything that was measured, and where.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// When, which machine, which versions: lines of prose.
    pub circumstances: Vec<String>,
    /// What each rival is, with its version.
    pub rivals: Vec<String>,
    /// The cells, in the order in which they were measured.
    pub cells: Vec<Measured>,
    /// What is asked beside the cells.
    pub probes: Option<Probes>,
}

/// One cell with all its contestants.
#[derive(Serialize, Deserialize)]
pub struct Measured {
    /// What was read.
    pub cell: Cell,
    /// Each contestant's runs.
    pub series: Vec<Series>,
}

/// What is asked beside the cells, about this extension alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Probes {
    /// Calls and seconds of the first ten records.
    pub first_rows: (u64, f64),
    /// Milliseconds that an answer took longer in what follows.
    pub latency_ms: u64,
    /// Seconds of reading alone.
    pub reading: f64,
    /// Seconds of the work on the rows alone.
    pub work: f64,
    /// Seconds of both in one statement.
    pub together: f64,
}

impl Measured {
    /// The runs of a contestant that has some.
    pub fn of(&self, contestant: Contestant) -> Option<&Series> {
        let key = contestant.key();
        let mut series = self.series.iter();
        series.find(|series| series.name == key && !series.samples.is_empty())
    }
}

impl Results {
    /// The cell without delays of so many columns and the most records.
    pub fn largest(&self, crm: Crm, width: Width) -> Option<&Measured> {
        let cells = self.cells.iter().filter(|measured| {
            let cell = measured.cell;
            (cell.crm, cell.width, cell.latency_ms) == (crm, width, 0)
        });
        cells.max_by_key(|measured| measured.cell.rows)
    }

    /// The same of the fewest records.
    pub fn smallest(&self, crm: Crm, width: Width) -> Option<&Measured> {
        let cells = self.cells.iter().filter(|measured| {
            let cell = measured.cell;
            (cell.crm, cell.width, cell.latency_ms) == (crm, width, 0)
        });
        cells.min_by_key(|measured| measured.cell.rows)
    }

    /// What an earlier run kept.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn load(file: &Path) -> Result<Self> {
        let text = std::fs::read(file)
            .with_context(|| format!("cannot read {}: measure first", file.display()))?;
        serde_json::from_slice(&text).context("the kept results are of another version")
    }

    /// Keeps them.
    ///
    /// # Errors
    /// Fails when the file cannot be written.
    pub fn save(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(file, serde_json::to_vec(self)?)
            .with_context(|| format!("cannot write {}", file.display()))
    }
}

/// When and where: date, commit, machine, programs.
pub fn circumstances(workspace: &Workspace, postgres: &Postgres) -> Vec<String> {
    let ask = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.current_dir(&workspace.root).args(arguments);
        proc::read(&mut command).unwrap_or_else(|_| "unknown".to_owned())
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find(|line| line.starts_with("model name"));
    let model = model
        .and_then(|line| line.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<u64>().ok());
    let gib = kib.unwrap_or(0) / (1 << 20);
    vec![
        format!(
            "{}, commit {}",
            ask("date", &["-u", "+%Y-%m-%d"]),
            ask("git", &["rev-parse", "--short", "HEAD"])
        ),
        format!(
            "{model}, {cores} cores, {gib} GiB, {} {}",
            ask("uname", &["-s"]),
            ask("uname", &["-r"])
        ),
        ask(
            &postgres.program("postgres").to_string_lossy(),
            &["--version"],
        ),
        ask("rustc", &["--version"]),
        ask("python3", &["--version"]),
        format!("node {}", ask("node", &["--version"])),
    ]
}

/// The pinned packages, as their files name them.
///
/// # Errors
/// Fails when a file cannot be read.
pub fn rivals(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.root.join(FOLDER);
    let read = |name: &str| {
        std::fs::read_to_string(folder.join(name)).with_context(|| format!("cannot read {name}"))
    };
    let mut rivals: Vec<String> = read("python/requirements.txt")?
        .lines()
        .map(|line| line.replace("==", " "))
        .collect();
    let manifest: serde_json::Value = serde_json::from_str(&read("node/package.json")?)?;
    for (name, version) in manifest["dependencies"].as_object().into_iter().flatten() {
        rivals.push(format!("{name} {}", version.as_str().unwrap_or_default()));
    }
    for (file, name) in [
        ("wrappers/Cargo.toml", "supabase-wrappers"),
        ("wrappers/Cargo.toml", "pgrx"),
        ("floor/Cargo.toml", "reqwest"),
        ("floor/Cargo.toml", "sonic-rs"),
    ] {
        let text = read(file)?;
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} =")));
        let version = line.and_then(pinned).unwrap_or("unknown");
        rivals.push(format!("{name} {version}"));
    }
    Ok(rivals)
}

/// The version in a line of a manifest such as `name = { version = "=1.2.3" }`.
fn pinned(line: &str) -> Option<&str> {
    let mut parts = line.split('"').map(|part| part.trim_start_matches('='));
    parts.find(|part| part.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_manifests() {
        assert_eq!(pinned("sonic-rs = \"=0.5.10\""), Some("0.5.10"));
        assert_eq!(
            pinned("pgrx = { version = \"=0.16.1\", default-features = false }"),
            Some("0.16.1")
        );
        assert_eq!(pinned("[package]"), None);
    }
}
