//! Other people's client libraries against the sandbox: a misreading of the vendor shows here first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::proc::{self, Output};
use crate::sandbox::Sandbox;
use crate::workspace;

/// Where the scripts are, from the root of the repository.
const FOLDER: &str = "sandbox/clients";

/// A language that client scripts are written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Language {
    /// `*.py`, packages in `requirements.txt`.
    Python,
    /// `*.mjs`, packages in `package.json`.
    JavaScript,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Python, Self::JavaScript];

    /// What its stage is called.
    pub fn stage(self) -> &'static str {
        match self {
            Self::Python => "clients python",
            Self::JavaScript => "clients node",
        }
    }

    /// The program that is missing to run scripts of this language; Python comes with `setup`.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::Python => None,
            Self::JavaScript => ["node", "npm"]
                .into_iter()
                .find(|name| !proc::on_path(name)),
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Python => "py",
            Self::JavaScript => "mjs",
        }
    }
}

/// The scripts of a language, by name; none where there is no such folder.
///
/// # Errors
/// Fails when the folder exists but cannot be read.
pub fn scripts(root: &Path, language: Language) -> Result<Vec<PathBuf>> {
    let folder = root.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut scripts = Vec::new();
    for entry in std::fs::read_dir(&folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == language.ending())
        {
            scripts.push(path);
        }
    }
    scripts.sort();
    Ok(scripts)
}

/// Installs what the scripts of `language` need, once, and returns what runs them.
///
/// # Errors
/// Fails when the packages cannot be installed.
pub fn prepare(root: &Path, language: Language, output: &Output) -> Result<Runner> {
    match language {
        Language::Python => python(root, output),
        Language::JavaScript => node(root, output),
    }
}

/// What runs the scripts of one language.
pub struct Runner {
    program: PathBuf,
    /// JavaScript modules are looked for next to the script, so it is copied to them.
    beside: Option<PathBuf>,
}

fn node(root: &Path, output: &Output) -> Result<Runner> {
    let manifest = root.join(FOLDER).join("package.json");
    let wanted = std::fs::read_to_string(&manifest)
        .with_context(|| format!("cannot read {}", manifest.display()))?;
    let folder = workspace::cache_dir()?.join("clients-node");
    let runner = Runner {
        program: "node".into(),
        beside: Some(folder.clone()),
    };
    let stamp = folder.join("package.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(runner);
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
        .context("cannot install the JavaScript clients")?;
    std::fs::write(&stamp, wanted)?;
    Ok(runner)
}

/// A Python with the packages of `requirements.txt`, kept between runs as long as that file stays the same.
fn python(root: &Path, output: &Output) -> Result<Runner> {
    let wanted_file = root.join(FOLDER).join("requirements.txt");
    let wanted = std::fs::read_to_string(&wanted_file)
        .with_context(|| format!("cannot read {}", wanted_file.display()))?;
    let venv = workspace::cache_dir()?.join("clients-venv");
    let python = venv.join("bin/python");
    let runner = Runner {
        program: python.clone(),
        beside: None,
    };
    // Written last: its content says for which packages the environment is complete.
    let stamp = venv.join("requirements.installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(runner);
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
    Ok(runner)
}

/// Runs one script with the sandbox's folder as its argument; exit code 0 is success.
///
/// # Errors
/// Fails when the script does.
pub fn run(runner: &Runner, script: &Path, sandbox: &Sandbox, output: &Output) -> Result<()> {
    let script = match (&runner.beside, script.file_name()) {
        (Some(folder), Some(name)) => {
            let copy = folder.join(name);
            std::fs::copy(script, &copy)
                .with_context(|| format!("cannot copy {}", script.display()))?;
            copy
        }
        _ => script.to_owned(),
    };
    let mut command = Command::new(&runner.program);
    command
        .arg(script)
        .arg(&sandbox.state_dir)
        .envs(sandbox.environment())
        // No compiled copies next to the scripts.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("REQUESTS_CA_BUNDLE", sandbox.ca_file())
        .env("NODE_EXTRA_CA_CERTS", sandbox.ca_file());
    output.run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_told_apart_by_language() {
        let root = tempfile::tempdir().unwrap();
        assert!(scripts(root.path(), Language::Python).unwrap().is_empty());
        let folder = root.path().join(FOLDER);
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["b.py", "a.py", "c.mjs", "package.json"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let names = |language| -> Vec<String> {
            let scripts = scripts(root.path(), language).unwrap();
            scripts
                .iter()
                .map(|path| path.file_name().unwrap().to_string_lossy().into())
                .collect()
        };
        assert_eq!(names(Language::Python), ["a.py", "b.py"]);
        assert_eq!(names(Language::JavaScript), ["c.mjs"]);
    }
}
