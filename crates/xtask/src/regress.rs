//! The regression tests: what a user types and what PostgreSQL answers, compared letter by letter.
//!
//! Each file of `pg_regress/sql` runs in a database of its own; `setup.sql`, where there is one,
//! runs before it in the same database.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cluster::Cluster;
use crate::proc::Output;
use crate::sandbox::Sandbox;

/// Runs before every test, when it exists.
const SETUP: &str = "setup";

/// How many files passed and failed.
pub struct Counts {
    /// Files whose output is as expected.
    pub passed: usize,
    /// Files whose output differs or that could not be run.
    pub failed: usize,
}

/// Runs the tests of `inputs` (the folder `pg_regress`) and writes results below `results`.
///
/// With `bless`, what came out becomes what is expected, and nothing fails.
///
/// # Errors
/// Fails when a test cannot be run at all; differing output is counted instead.
pub fn run(
    cluster: &Cluster,
    sandbox: &Sandbox,
    inputs: &Path,
    results: &Path,
    bless: bool,
    output: &Output,
) -> Result<Counts> {
    let pg_regress = cluster.postgres.pg_regress.as_ref().with_context(|| {
        format!(
            "there is no pg_regress for PostgreSQL {}: install postgresql-server-dev-15",
            cluster.postgres.major
        )
    })?;
    let names = test_names(&inputs.join("sql"))?;
    if results.exists() {
        std::fs::remove_dir_all(results)?;
    }
    let mut counts = Counts {
        passed: 0,
        failed: 0,
    };
    for (index, name) in names.iter().enumerate() {
        let folder = results.join(name);
        std::fs::create_dir_all(&folder)?;
        let database = format!("regress_{index}");
        cluster.create_database(&database)?;
        let mut command = cluster.connect(Command::new(pg_regress), &database);
        command
            .args(["--use-existing", "--host=127.0.0.1", "--user=postgres"])
            .arg(format!("--port={}", cluster.port))
            .arg(format!("--dbname={database}"))
            .arg(format!("--inputdir={}", inputs.display()))
            .arg(format!("--outputdir={}", folder.display()))
            .arg(format!("--bindir={}", cluster.postgres.bin.display()))
            .envs(sandbox.environment());
        if name != SETUP && names.iter().any(|other| other == SETUP) {
            command.arg(SETUP);
        }
        command.arg(name);
        match output.run(command) {
            Ok(()) => counts.passed += 1,
            Err(_) if bless => {}
            Err(error) => {
                counts.failed += 1;
                if inputs.join("expected").join(format!("{name}.out")).exists() {
                    output.note(&format!("{error:#}"))?;
                } else {
                    output.note(&format!(
                        "nothing says what {name} should print: read {} and run \
                         `cargo xtask test --only regress --bless`",
                        folder.join("results").display()
                    ))?;
                }
                let differences = folder.join("regression.diffs");
                if let Ok(text) = std::fs::read_to_string(&differences) {
                    output.note(&text)?;
                }
            }
        }
        if bless {
            copy_result(&folder, inputs, name)?;
            output.note(&format!("blessed {name}"))?;
        }
        cluster.drop_database(&database)?;
    }
    Ok(counts)
}

/// The names of the tests, `setup` first, then by name.
///
/// # Errors
/// Fails when the folder cannot be read or holds no test.
fn test_names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "sql")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    if names.is_empty() {
        bail!("there is no test in {}", folder.display());
    }
    names.sort_by_key(|name| (name != SETUP, name.clone()));
    Ok(names)
}

/// A file that has variants (`name_1.out`) keeps them: only a person can say which one changed.
fn copy_result(folder: &Path, inputs: &Path, name: &str) -> Result<()> {
    let file = PathBuf::from(name).with_extension("out");
    let from = folder.join("results").join(&file);
    let expected = inputs.join("expected");
    std::fs::create_dir_all(&expected)?;
    std::fs::copy(&from, expected.join(&file))
        .with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setup_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["select.sql", "setup.sql", "insert.sql", "notes.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            test_names(dir.path()).unwrap(),
            ["setup", "insert", "select"]
        );
    }

    #[test]
    fn a_folder_without_tests_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(test_names(dir.path()).is_err());
    }
}
