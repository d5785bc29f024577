//! `cargo xtask tidy`: the layers of the code keep to themselves, and files stay readable.
//!
//! Each rule is a row of a table with its reason. Dependencies between packages are judged in
//! `packages`, paths and tokens of the source in `source` and `words`, lines of text in `text`.

mod packages;
mod source;
mod text;
mod tokens;
mod words;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::proc::Output;
use crate::workspace::Workspace;

/// Folders with Rust source of this project.
const SOURCE_FOLDERS: &[&str] = &["src", "crates", "sandbox", "tests"];

/// A broken rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The file, from the root of the repository.
    pub file: String,
    /// The line, counted from 1; 0 where the whole file is meant.
    pub line: usize,
    /// What is there.
    pub what: String,
    /// Why it must not be.
    pub reason: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {} ({})", self.what, self.reason)
    }
}

/// A Rust file of the project.
pub struct SourceFile {
    /// Its path from the root of the repository, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl SourceFile {
    /// Whether the file is the module `area` (`src/plan.rs` is `src/plan`) or lies in it.
    pub fn is_in(&self, area: &str) -> bool {
        let Some(rest) = self.path.strip_prefix(area) else {
            return false;
        };
        rest.is_empty() || rest.starts_with('/') || rest == ".rs"
    }
}

/// Judges the whole repository.
///
/// # Errors
/// Fails when a rule is broken, after listing each place, or when a file cannot be read.
pub fn run(workspace: &Workspace, output: &Output) -> Result<()> {
    let mut files = Vec::new();
    for folder in SOURCE_FOLDERS {
        collect(&workspace.root, folder, &mut files)?;
    }
    let mut violations = packages::check(&packages::from_workspace(workspace));
    let lock = std::fs::read_to_string(workspace.root.join("Cargo.lock"))
        .context("cannot read Cargo.lock")?;
    violations.extend(packages::check_lock(&lock));
    for file in &files {
        violations.extend(check_file(file));
    }
    for violation in &violations {
        output.note(&violation.to_string())?;
    }
    if !violations.is_empty() {
        bail!("{} places break a rule of the house", violations.len());
    }
    output.note(&format!("{} files keep to the rules", files.len()))
}

fn check_file(file: &SourceFile) -> Vec<Violation> {
    let mut violations = text::check(file);
    match tokens::parse(&file.text) {
        Ok(parsed) => {
            violations.extend(source::check(file, &parsed));
            violations.extend(words::check(file, &parsed));
        }
        Err(line) => violations.push(Violation {
            file: file.path.clone(),
            line,
            what: "this is not Rust".to_owned(),
            reason: "the layers can be judged only in source that can be read",
        }),
    }
    violations.sort_by_key(|violation| violation.line);
    violations
}

fn collect(root: &Path, folder: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let dir = root.join(folder);
    if !dir.is_dir() {
        return Ok(());
    }
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        let full = root.join(&path);
        // A link leads to files that are judged at their own place.
        if full.is_symlink() || name == "target" || name.starts_with('.') {
            continue;
        }
        if full.is_dir() {
            collect(root, &path, files)?;
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&full)
                .with_context(|| format!("cannot read {}", full.display()))?;
            files.push(SourceFile { path, text });
        }
    }
    Ok(())
}

/// What the tests of the rules share.
#[cfg(test)]
mod examples {
    use super::{SourceFile, check_file};

    /// Judges `text` as if it stood in `path`; gives what is wrong, without the reasons.
    pub fn judge(path: &str, text: &str) -> Vec<String> {
        let file = SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        check_file(&file)
            .into_iter()
            .map(|violation| format!("{}: {}", violation.line, violation.what))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_is_a_file_or_a_folder() {
        let file = |path: &str| SourceFile {
            path: path.to_owned(),
            text: String::new(),
        };
        assert!(file("src/plan.rs").is_in("src/plan"));
        assert!(file("src/plan/qual.rs").is_in("src/plan"));
        assert!(file("src/runtime.rs").is_in("src/runtime.rs"));
        assert!(!file("src/planner.rs").is_in("src/plan"));
    }

    #[test]
    fn a_file_that_is_not_rust_is_reported() {
        assert_eq!(
            examples::judge("src/lib.rs", "fn f() {\n"),
            ["1: this is not Rust"]
        );
    }
}
