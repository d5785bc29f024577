//! Building and installing the extension with pgrx, and running its in-server tests.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cleanup;
use crate::cluster::stop_server;
use crate::pg::Postgres;
use crate::proc::{self, Output};
use crate::user::ServerUser;
use crate::workspace::Workspace;

/// The package at the root of the workspace.
pub const PACKAGE: &str = "crm_fdw";

/// Builds the extension in the release profile and installs it into `postgres`.
///
/// # Errors
/// Fails when it does not build or the installation cannot be written.
pub fn install(workspace: &Workspace, postgres: &Postgres, output: &Output) -> Result<()> {
    let mut command = pgrx(workspace);
    command.args([
        "install",
        "--release",
        "--package",
        PACKAGE,
        "--no-default-features",
    ]);
    command.args(["--features", &postgres.major.feature()]);
    command.arg("--pg-config").arg(&postgres.pg_config);
    if !proc::succeeds(Command::new("test").arg("-w").arg(&postgres.extensions)) {
        command.arg("--sudo");
    }
    output.run(command).with_context(|| {
        format!(
            "cannot install the extension into PostgreSQL {}",
            postgres.major
        )
    })
}

/// Runs the `#[pg_test]`s in a server that pgrx starts; it leaves a build with the tests installed.
///
/// # Errors
/// Fails when a test fails.
pub fn pg_test(
    workspace: &Workspace,
    postgres: &Postgres,
    user: &ServerUser,
    output: &Output,
) -> Result<()> {
    let dir = user.private_dir()?;
    let data = dir.path().join("data");
    let _stop = {
        let (pg_ctl, user, data) = (postgres.program("pg_ctl"), user.clone(), data.clone());
        // pgrx stops its server itself, unless its process was ended.
        cleanup::at_end(move || stop_all_below(&pg_ctl, &user, &data))
    };
    let mut command = pgrx(workspace);
    command.args([
        "test",
        &postgres.major.feature(),
        "--release",
        "--package",
        PACKAGE,
    ]);
    command
        .arg("--no-default-features")
        .arg("--pgdata")
        .arg(&data);
    match user {
        ServerUser::Ourselves(name) => command.env("USER", name),
        ServerUser::Other(account) => command.args(["--runas", &account.name]),
    };
    // The framework calls `cargo pgrx install` without a package, which would build the
    // workspace's default members instead of the extension.
    command.env("PGRX_BUILD_FLAGS", format!("--package {PACKAGE}"));
    output.run(command)
}

fn pgrx(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.arg("pgrx");
    if cfg!(target_arch = "x86_64") {
        // pgrx builds the library with linker flags of its own, for linkers that lose its schema
        // section; here none is lost, and the flags would build every dependency a second time.
        command.env("CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND", "1");
    }
    command
}

fn stop_all_below(pg_ctl: &Path, user: &ServerUser, data: &Path) {
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        stop_server(pg_ctl, user, &entry.path());
    }
}
