//! Other people's packages for scripts, installed once into the cache and kept as long as the file that names them
//! stays the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::proc::Output;
use crate::workspace;

/// A Python with the packages of `wanted_file`, a list as pip reads it; `name` is its folder in the cache.
///
/// # Errors
/// Fails when the packages cannot be installed.
pub fn python(wanted_file: &Path, name: &str, output: &Output) -> Result<PathBuf> {
    let wanted = read(wanted_file)?;
    let venv = workspace::cache_dir()?.join(name);
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
    install.arg("--requirement").arg(wanted_file);
    output
        .run(install)
        .context("cannot install the Python packages")?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}

/// A folder with the packages of `manifest`, a `package.json`; `name` is that folder in the cache. JavaScript modules
/// are looked for next to the script, so scripts are copied there.
///
/// # Errors
/// Fails when the packages cannot be installed.
pub fn node(manifest: &Path, name: &str, output: &Output) -> Result<PathBuf> {
    let wanted = read(manifest)?;
    let folder = workspace::cache_dir()?.join(name);
    let stamp = folder.join("package.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("package.json"), &wanted)?;
    let mut install = Command::new("npm");
    install.current_dir(&folder);
    install.args([
        "install",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--loglevel=error",
    ]);
    output
        .run(install)
        .context("cannot install the JavaScript packages")?;
    std::fs::write(&stamp, wanted)?;
    Ok(folder)
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
