//! The demo: a private server with the extension, a sandbox, and a guided tour in SQL.

use std::io::{IsTerminal, stdin};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cleanup;
use crate::cluster::{Access, Cluster};
use crate::extension;
use crate::pg::Major;
use crate::proc::Output;
use crate::sandbox::{self, Sandbox};
use crate::setup;
use crate::workspace::Workspace;

const DATABASE: &str = "demo";

/// Builds, starts, plays `docs/demo.sql`, then leaves the user at a prompt unless `batch`.
///
/// # Errors
/// Fails when something does not start or a statement of the tour fails.
pub fn run(workspace: &Workspace, major: Major, contacts: Option<u64>, batch: bool) -> Result<()> {
    let ready = setup::ensure_ready(workspace, &[major])?;
    let postgres = &ready.installations[0];
    extension::install(workspace, postgres, &Output::Shown)?;
    let program = sandbox::build(workspace, &Output::Shown)?;

    let arguments: Vec<String> = contacts
        .iter()
        .flat_map(|n| ["--contacts".to_owned(), n.to_string()])
        .collect();
    let sandbox = Sandbox::start(&program, &ready.user, &arguments)?;
    let cluster = Cluster::start(postgres, &ready.user, Access::Password, &[])?;
    cluster.create_database(DATABASE)?;

    let source = workspace.root.join("docs/demo.sql");
    let text = std::fs::read_to_string(&source)
        .with_context(|| format!("cannot read {}", source.display()))?;
    let dir = tempfile::tempdir()?;
    let script = dir.path().join("demo.sql");
    std::fs::write(&script, as_tour(&text))?;
    play(&cluster, &sandbox, &script)?;
    if batch {
        println!("\nthe tour is over; everything it started is being stopped");
        return Ok(());
    }
    if stdin().is_terminal() {
        println!("\nNow it is yours: the server and the sandbox live until you leave with \\q.");
        let mut prompt = psql(&cluster, &sandbox);
        return cleanup::leave_ctrl_c_to_child(|| prompt.status())
            .context("cannot start psql")
            .map(drop);
    }
    println!("\nconnect with: psql \"{}\"", cluster.dsn(DATABASE));
    println!("Enter (or the end of input) stops the server and the sandbox");
    stdin().read_line(&mut String::new())?;
    Ok(())
}

fn play(cluster: &Cluster, sandbox: &Sandbox, script: &Path) -> Result<()> {
    let mut tour = psql(cluster, sandbox);
    tour.args(["--echo-queries", "--set", "ON_ERROR_STOP=1", "--file"])
        .arg(script);
    Output::Shown
        .run(tour)
        .context("the tour stopped at a statement that failed")
}

fn psql(cluster: &Cluster, sandbox: &Sandbox) -> Command {
    let mut command = cluster.client("psql", DATABASE);
    command.arg("--no-psqlrc");
    // A pager would wait for keys in the middle of the tour.
    command.args(["--pset", "pager=off"]);
    for (name, value) in sandbox.variables() {
        command.arg("--set").arg(format!("{name}={value}"));
    }
    command
}

/// The same script with each line comment between statements turned into prose that psql prints.
///
/// Line numbers stay the same, so that psql's messages point into `docs/demo.sql`.
fn as_tour(script: &str) -> String {
    let mut tour = String::new();
    let mut between_statements = true;
    let mut dollar_quote: Option<String> = None;
    let mut after_prose = false;
    for line in script.lines() {
        if let Some(comment) = line.strip_prefix("--").filter(|_| between_statements) {
            let lead = if after_prose { "" } else { r"\n" };
            tour.push_str(&format!(
                "\\echo '{lead}{}'\n",
                quote_for_echo(comment.trim_start())
            ));
            after_prose = true;
            continue;
        }
        tour.push_str(line);
        tour.push('\n');
        follow_dollar_quotes(line, &mut dollar_quote);
        let code = line.trim();
        if code.is_empty() {
            continue;
        }
        after_prose = false;
        between_statements = dollar_quote.is_none()
            && (code.ends_with(';')
                || between_statements && code.starts_with('\\')
                || code.ends_with(r"\gset")
                || code.ends_with(r"\gx")
                || code.ends_with(r"\gexec"));
    }
    tour
}

/// psql reads backslash sequences and doubled quotes inside single quotes.
fn quote_for_echo(text: &str) -> String {
    text.replace('\\', r"\\").replace('\'', "''")
}

/// Keeps `open` at the dollar-quote tag (`$$`, `$body$`) that is open after `line`.
fn follow_dollar_quotes(line: &str, open: &mut Option<String>) {
    let mut rest = line;
    while let Some(start) = rest.find('$') {
        let after = &rest[start + 1..];
        let Some(length) = after.find('$') else {
            return;
        };
        let tag = &after[..length];
        let is_tag = tag.chars().all(|c| c.is_alphanumeric() || c == '_')
            && !tag.starts_with(|c: char| c.is_ascii_digit());
        if !is_tag {
            rest = after;
            continue;
        }
        match open {
            Some(current) if current == tag => *open = None,
            Some(_) => {}
            None => *open = Some(tag.to_owned()),
        }
        rest = &after[length + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(script: &str, expected: &str) {
        assert_eq!(as_tour(script), expected);
    }

    #[test]
    fn comments_between_statements_become_prose() {
        check(
            "-- It's one.\n-- Two \\ lines.\nSELECT 1;\n-- Last.\n",
            "\\echo '\\nIt''s one.'\n\\echo 'Two \\\\ lines.'\nSELECT 1;\n\\echo '\\nLast.'\n",
        );
    }

    #[test]
    fn comments_inside_statements_stay() {
        check("SELECT\n-- why\n1;\n", "SELECT\n-- why\n1;\n");
        let function = "DO $body$ BEGIN\n  NULL;\n-- inside\nEND $body$;\n";
        check(function, function);
    }

    #[test]
    fn comments_after_psql_commands_become_prose() {
        check("\\x on\n-- Wide.\n", "\\x on\n\\echo '\\nWide.'\n");
        check(
            "SELECT 1 AS n \\gset\n-- Next.\n",
            "SELECT 1 AS n \\gset\n\\echo '\\nNext.'\n",
        );
    }

    #[test]
    fn line_numbers_stay() {
        let script = "-- a\n\nSELECT 1;\n\n-- b\n-- c\nSELECT 2;\n";
        assert_eq!(as_tour(script).lines().count(), script.lines().count());
    }
}
