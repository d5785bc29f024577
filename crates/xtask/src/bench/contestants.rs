//! Who takes part, and how each is begun.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::contest::Driver;
use super::matrix::Crm;
use super::stage::{Reading, Stage, TARGET};
use super::tools::{FOLDER, Tools};

/// Where the rows end. Only those that end in the same place are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// In PostgreSQL's executor, which counts and drops them.
    Executor,
    /// In a local table.
    Table,
    /// Nowhere: a part of the work alone.
    Part,
}

/// Something that reads, in one of its ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contestant {
    /// This extension over the usual interface, to the executor.
    Scan,
    /// This extension over bulk jobs, to the executor.
    BulkScan,
    /// A wrapper by the supabase-wrappers framework.
    Wrappers,
    /// A bare HTTP client.
    Fetch,
    /// A decoder of the same bytes.
    Decode,
    /// A foreign data wrapper with its rows ready.
    Emit,
    /// This extension over the usual interface, into a table.
    Import,
    /// This extension over bulk jobs, into a table.
    BulkImport,
    /// A client in a scripting language that loads by COPY.
    Script(&'static Script),
}

/// A client in a scripting language.
#[derive(PartialEq, Eq, Debug)]
pub struct Script {
    /// How it is called in the report.
    pub name: &'static str,
    crm: Crm,
    /// Below the folder of the benchmark.
    file: &'static str,
}

const fn script(name: &'static str, crm: Crm, file: &'static str) -> Script {
    Script { name, crm, file }
}

/// The clients that people load with today.
pub const SCRIPTS: [Script; 6] = [
    script(
        SIMPLE_SALESFORCE,
        Crm::Salesforce,
        "python/simple_salesforce_copy.py",
    ),
    script(
        "simple-salesforce Bulk + COPY",
        Crm::Salesforce,
        "python/simple_salesforce_bulk_copy.py",
    ),
    script("jsforce + COPY", Crm::Salesforce, "node/jsforce_copy.mjs"),
    script("dlt", Crm::Salesforce, "python/dlt_load.py"),
    script(
        "Dataverse client + COPY",
        Crm::Dynamics,
        "python/dataverse_copy.py",
    ),
    script("zeep + COPY", Crm::Oracle, "python/zeep_copy.py"),
];

/// The rival that a bar of quality names.
pub const SIMPLE_SALESFORCE: &str = "simple-salesforce + COPY";

impl Contestant {
    /// Everybody who can read from a CRM.
    pub fn all(crm: Crm) -> Vec<Self> {
        let scripts = SCRIPTS.iter().filter(|script| script.crm == crm);
        let scripts = scripts.map(Self::Script);
        let own = match crm {
            Crm::Salesforce => vec![
                Self::Scan,
                Self::BulkScan,
                Self::Wrappers,
                Self::Fetch,
                Self::Decode,
                Self::Emit,
                Self::Import,
                Self::BulkImport,
            ],
            Crm::Dynamics | Crm::Oracle => vec![Self::Scan, Self::Import],
        };
        own.into_iter().chain(scripts).collect()
    }

    /// How it is called in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan | Self::Import => "crm_fdw",
            Self::BulkScan | Self::BulkImport => "crm_fdw, Bulk",
            Self::Wrappers => "supabase-wrappers",
            Self::Fetch => "fetch alone",
            Self::Decode => "decode alone",
            Self::Emit => "emit alone",
            Self::Script(script) => script.name,
        }
    }

    /// Where its rows end.
    pub fn end(self) -> End {
        match self {
            Self::Scan | Self::BulkScan | Self::Wrappers => End::Executor,
            Self::Fetch | Self::Decode | Self::Emit => End::Part,
            Self::Import | Self::BulkImport | Self::Script(_) => End::Table,
        }
    }

    /// Name and end, by which its runs are found again.
    pub fn key(self) -> String {
        let end = match self.end() {
            End::Executor => "executor",
            End::Table => "table",
            End::Part => "part",
        };
        format!("{} ({end})", self.name())
    }

    /// Why it cannot take part, if so.
    pub fn missing(self, tools: &Tools, stage: &Stage) -> Option<String> {
        match self {
            Self::Wrappers => tools.wrappers.as_ref().err().cloned(),
            Self::BulkScan | Self::BulkImport if !stage.reads_in_bulk => {
                Some("this build does not read by bulk jobs".to_owned())
            }
            Self::Script(script) if script.is_javascript() => tools.node.as_ref().err().cloned(),
            _ => None,
        }
    }

    /// How it is begun for one run.
    ///
    /// # Errors
    /// Fails when its program cannot be put where it runs.
    pub fn driver(
        self,
        root: &Path,
        tools: &Tools,
        stage: &Stage,
        reading: &Reading,
    ) -> Result<Driver> {
        let list = reading.list();
        let table = reading.cell.crm.table();
        Ok(match self {
            Self::Scan => scan(stage, table, list),
            Self::BulkScan => scan(stage, "bulk.contact", list),
            Self::Wrappers => {
                let fields: Vec<String> = reading
                    .columns
                    .iter()
                    .map(|column| format!("\"{}\"", column.field))
                    .collect();
                scan(stage, "wrappers.contact", &fields.join(", "))
            }
            Self::Emit => scan(stage, "raw.contact", list),
            Self::Import => import(stage, table, list),
            Self::BulkImport => import(stage, "bulk.contact", list),
            Self::Fetch => program(with_words(stage.floor(), &["fetch"]), reading)?,
            Self::Decode => program(with_words(stage.floor(), &["decode"]), reading)?,
            Self::Script(script) => {
                let file = root.join(FOLDER).join(script.file);
                let command = if script.is_javascript() {
                    javascript(&file, tools, stage)?
                } else {
                    let mut python = Command::new(&tools.python);
                    python
                        .arg(file)
                        // No compiled copies next to the scripts.
                        .env("PYTHONDONTWRITEBYTECODE", "1");
                    python
                };
                let mut command = stage.cluster.connect(command, super::stage::DATABASE);
                command.arg(&stage.sandbox.state_dir);
                program(command, reading)?
            }
        })
    }
}

impl Script {
    fn is_javascript(&self) -> bool {
        self.file.ends_with(".mjs")
    }
}

fn with_words(mut command: Command, words: &[&str]) -> Command {
    command.args(words);
    command
}

/// All rows of a foreign table to the executor, with all their columns. It signs in before.
fn scan(stage: &Stage, table: &str, list: &str) -> Driver {
    Driver {
        command: stage.psql(),
        opening: format!("SELECT {list} FROM {table} LIMIT 1;\n\\echo ready\n"),
        go: format!(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT {list} FROM {table};\n\\echo done\n"
        ),
    }
}

/// All rows of a foreign table into a new local table.
fn import(stage: &Stage, table: &str, list: &str) -> Driver {
    let mut command = stage.psql();
    // The number of rows is in the command's tag, which `--quiet` leaves out.
    command.args(["--set", "QUIET=off"]);
    Driver {
        command,
        opening: format!(
            "SET client_min_messages = warning;\nDROP TABLE IF EXISTS {TARGET};\n\
             SELECT {list} FROM {table} LIMIT 1;\n\\echo ready\n"
        ),
        go: format!("CREATE TABLE {TARGET} AS SELECT {list} FROM {table};\n\\echo done\n"),
    }
}

/// A program that knows the signals itself.
fn program(mut command: Command, reading: &Reading) -> Result<Driver> {
    let columns = serde_json::to_string(&reading.columns).context("columns are plain text")?;
    command
        .env("BENCH_QUERY", &reading.query)
        .env("BENCH_COLUMNS", columns)
        .env("BENCH_VERSION", &reading.version)
        .env("BENCH_TARGET", TARGET);
    Ok(Driver {
        command,
        opening: String::new(),
        go: "go\n".to_owned(),
    })
}

/// Modules are looked for next to the script, so it is copied to them.
fn javascript(file: &Path, tools: &Tools, stage: &Stage) -> Result<Command> {
    let folder = tools
        .node
        .as_ref()
        .map_err(|reason| anyhow::anyhow!(reason.clone()))?;
    let copy = folder.join(file.file_name().context("a script has a name")?);
    std::fs::copy(file, &copy).with_context(|| format!("cannot copy {}", file.display()))?;
    let mut node = Command::new("node");
    node.arg(copy)
        .env("NODE_EXTRA_CA_CERTS", stage.sandbox.ca_file());
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_contestants_have_the_same_key() {
        for crm in [Crm::Salesforce, Crm::Dynamics, Crm::Oracle] {
            let mut keys: Vec<_> = Contestant::all(crm)
                .into_iter()
                .map(Contestant::key)
                .collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), count, "{crm}");
            assert!(keys.contains(&"crm_fdw (executor)".to_owned()), "{crm}");
        }
    }
}
