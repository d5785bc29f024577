//! Other people's client libraries against the sandbox: a misreading of the vendor shows here first.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::packages;
use crate::proc::{self, Output};
use crate::sandbox::Sandbox;

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
    let folder = root.join(FOLDER);
    Ok(match language {
        Language::Python => Runner {
            program: packages::python(&folder.join("requirements.txt"), "clients-venv", output)?,
            beside: None,
        },
        Language::JavaScript => Runner {
            program: "node".into(),
            beside: Some(packages::node(
                &folder.join("package.json"),
                "clients-node",
                output,
            )?),
        },
    })
}

/// What runs the scripts of one language.
pub struct Runner {
    program: PathBuf,
    /// JavaScript modules are looked for next to the script, so it is copied to them.
    beside: Option<PathBuf>,
}

impl Runner {
    /// The interpreter, with the packages that scripts need.
    pub fn program(&self) -> &Path {
        &self.program
    }
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
