//! Other people's client libraries against the sandbox: a misreading of the vendor shows here first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::proc::Output;
use crate::sandbox::Sandbox;
use crate::workspace;

/// The client scripts, by name.
///
/// # Errors
/// Fails when the folder exists but cannot be read.
pub fn scripts(root: &Path) -> Result<Vec<PathBuf>> {
    let folder = root.join("sandbox/clients");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "py") {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// A Python with the packages of `requirements.txt`, kept between runs as long as that file stays the same.
///
/// # Errors
/// Fails when the packages cannot be installed.
pub fn python(root: &Path, output: &Output) -> Result<PathBuf> {
    let wanted_file = root.join("sandbox/clients/requirements.txt");
    let wanted = std::fs::read_to_string(&wanted_file)
        .with_context(|| format!("cannot read {}", wanted_file.display()))?;
    let venv = workspace::cache_dir()?.join("clients-venv");
    let python = venv.join("bin/python");
    // Written last: its content says for which packages the environment is complete.
    let stamp = venv.join("requirements.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&venv);
    output
        .run(create)
        .context("cannot create a Python environment")?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]);
    install.arg("--requirement").arg(&wanted_file);
    output
        .run(install)
        .context("cannot install the Python clients")?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// Runs one script with the sandbox's addresses in its environment; exit code 0 is success.
///
/// # Errors
/// Fails when the script does.
pub fn run(python: &Path, script: &Path, sandbox: &Sandbox, output: &Output) -> Result<()> {
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(script)
        .arg(&sandbox.state_dir)
        .envs(sandbox.environment())
        .env("REQUESTS_CA_BUNDLE", sandbox.ca_file())
        .env("SSL_CERT_FILE", sandbox.ca_file());
    output.run(command)
}
