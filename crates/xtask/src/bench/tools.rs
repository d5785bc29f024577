//! What is measured against: other people's clients and the programs of `bench/`, built or installed once into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages;
use crate::pg::Postgres;
use crate::proc::{self, Output};
use crate::workspace::{self, Workspace};

/// The folder of all of it, from the root of the repository.
pub const FOLDER: &str = "bench";

/// Everything that is ready to run.
pub struct Tools {
    /// A Python with the clients.
    pub python: PathBuf,
    /// Folder with the JavaScript clients, where node is there.
    pub node: Result<PathBuf, String>,
    /// The bare HTTP client and decoder.
    pub floor: PathBuf,
    /// A library with a foreign data wrapper that gives out rows it has ready.
    pub raw: PathBuf,
    /// A library with a wrapper of the supabase-wrappers framework, or why it is not there.
    pub wrappers: Result<PathBuf, String>,
}

impl Tools {
    /// Builds and installs what is missing. A rival that is not to be had is left out with its reason.
    ///
    /// # Errors
    /// Fails when Python's packages or a program of this repository cannot be made.
    pub fn prepare(workspace: &Workspace, postgres: &Postgres, output: &Output) -> Result<Self> {
        let folder = workspace.root.join(FOLDER);
        let cache = workspace::cache_dir()?.join("bench");
        std::fs::create_dir_all(&cache)?;
        let python = packages::python(
            &folder.join("python/requirements.txt"),
            "bench-venv",
            output,
        )?;
        let missing = ["node", "npm"]
            .into_iter()
            .find(|name| !proc::on_path(name));
        let node = match missing {
            Some(name) => Err(format!("{name} is not installed")),
            None => packages::node(&folder.join("node/package.json"), "bench-node", output)
                .map_err(|error| format!("{error:#}")),
        };
        let floor = cargo(&folder.join("floor"), &cache, None, output)
            .context("cannot build the bare HTTP client")?
            .join("bench-floor");
        let raw = raw(&folder.join("raw"), &cache, postgres, output)
            .context("cannot build the raw foreign data wrapper")?;
        let wrappers = cargo(&folder.join("wrappers"), &cache, Some(postgres), output)
            .map(|built| built.join("libbench_wrappers.so"))
            .map_err(|error| format!("{error:#}"));
        Ok(Self {
            python,
            node,
            floor,
            raw,
            wrappers,
        })
    }
}

/// Builds a package of its own workspace with its lock file; gives the folder of what was built.
fn cargo(
    package: &Path,
    cache: &Path,
    postgres: Option<&Postgres>,
    output: &Output,
) -> Result<PathBuf> {
    let target = cache.join(package.file_name().context("a package has a name")?);
    let mut build = Command::new("cargo");
    build
        .current_dir(package)
        .args(["build", "--release", "--locked"])
        .arg("--target-dir")
        .arg(&target);
    if let Some(postgres) = postgres {
        build
            .args(["--no-default-features", "--features"])
            .arg(postgres.major.feature())
            .env("PGRX_PG_CONFIG_PATH", &postgres.pg_config);
    }
    output.run(build)?;
    Ok(target.join("release"))
}

/// Builds with the server's own make rules, in a copy, for they build where the source is.
fn raw(source: &Path, cache: &Path, postgres: &Postgres, output: &Output) -> Result<PathBuf> {
    let folder = cache.join(format!("raw-{}", postgres.major));
    std::fs::create_dir_all(&folder)?;
    for name in ["Makefile", "bench_raw.c"] {
        let (from, to) = (source.join(name), folder.join(name));
        // A copy of the same text is left alone, or make would build it again.
        if std::fs::read(&from)? != std::fs::read(&to).unwrap_or_default() {
            std::fs::copy(&from, &to)?;
        }
    }
    let mut make = Command::new("make");
    make.current_dir(&folder)
        .arg("--quiet")
        .arg(format!("PG_CONFIG={}", postgres.pg_config.display()))
        .arg("with_llvm=no");
    output.run(make)?;
    Ok(folder.join("bench_raw.so"))
}
