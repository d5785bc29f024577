//! The demo: a private server with the extension, a sandbox, and a guided tour in SQL.

use std::io::{IsTerminal, stdin};

use anyhow::{Context, Result};

use crate::cleanup::{self, TemporaryDir};
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
    let reserved = postgres.reserve()?;
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
    let dir = TemporaryDir::new_in(&std::env::temp_dir())?;
    let script = dir.path().join("demo.sql");
    std::fs::write(&script, as_tour(&text))?;
    let start_file = dir.path().join("psqlrc");
    // No pager, which would wait for keys.
    let start = format!(
        "\\set QUIET 1\n\\pset pager off\n{}\\unset QUIET\n",
        sandbox.psql_variables()
    );
    std::fs::write(&start_file, start)?;
    let psql = || {
        let mut command = cluster.client("psql", DATABASE);
        command
            .env("PSQLRC", &start_file)
            .envs(sandbox.environment());
        command
    };

    let mut tour = psql();
    tour.args(["--set", "ON_ERROR_STOP=1", "--file"])
        .arg(&script);
    Output::Shown
        .run(tour)
        .context("the tour stopped at a statement that failed")?;
    // The prompt may stay open for hours; tests of another run need not wait for it.
    drop(reserved);
    if batch {
        println!("\nthe tour is over; everything it started is being stopped");
        return Ok(());
    }
    if stdin().is_terminal() {
        println!("\nNow it is yours: the server and the sandbox live until you leave with \\q.");
        return cleanup::leave_ctrl_c_to_child(|| psql().status())
            .context("cannot start psql")
            .map(drop);
    }
    println!("\nconnect with: psql \"{}\"", cluster.dsn(DATABASE));
    println!("Enter (or the end of input) stops the server and the sandbox");
    stdin().read_line(&mut String::new())?;
    Ok(())
}

/// The same script made to be read while it runs: line comments between statements become prose,
/// and each statement is printed as it is written, its variables (and so its secrets) not filled in.
///
/// Line numbers stay the same, so that psql's messages point into `docs/demo.sql`.
fn as_tour(script: &str) -> String {
    let lines: Vec<&str> = script.lines().collect();
    let mut tour = String::new();
    let mut after_prose = false;
    let mut index = 0;
    while index < lines.len() {
        let line = lines[index];
        if let Some(comment) = line.strip_prefix("--") {
            let lead = if after_prose { "" } else { r"\n" };
            let prose = quote_for_echo(comment.trim_start());
            tour.push_str(&format!("\\echo '{lead}{prose}'\n"));
            after_prose = true;
            index += 1;
        } else if line.trim().is_empty() || line.starts_with('\\') {
            tour.push_str(line);
            tour.push('\n');
            after_prose &= line.trim().is_empty();
            index += 1;
        } else {
            let end = index + statement_length(&lines[index..]);
            let shown: Vec<String> = lines[index..end]
                .iter()
                .map(|l| quote_for_echo(l))
                .collect();
            tour.push_str(&format!("\\echo '{}' \\\\ ", shown.join(r"\n")));
            for line in &lines[index..end] {
                tour.push_str(line);
                tour.push('\n');
            }
            after_prose = false;
            index = end;
        }
    }
    tour
}

/// How many lines the statement takes that begins in the first of `lines`.
fn statement_length(lines: &[&str]) -> usize {
    const SENDING: [&str; 5] = [r"\g", r"\gx", r"\gset", r"\gexec", r"\gdesc"];
    let mut dollar_quote = None;
    for (index, line) in lines.iter().enumerate() {
        follow_dollar_quotes(line, &mut dollar_quote);
        let code = line.trim_end();
        let last_word = code.split_whitespace().next_back().unwrap_or_default();
        if dollar_quote.is_none() && (code.ends_with(';') || SENDING.contains(&last_word)) {
            return index + 1;
        }
    }
    lines.len()
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
            "\\echo '\\nIt''s one.'\n\\echo 'Two \\\\ lines.'\n\\echo 'SELECT 1;' \\\\ SELECT 1;\n\\echo '\\nLast.'\n",
        );
    }

    #[test]
    fn statements_are_shown_before_they_run_and_as_written() {
        check(
            "SELECT\n-- why\n:'password';\n",
            "\\echo 'SELECT\\n-- why\\n:''password'';' \\\\ SELECT\n-- why\n:'password';\n",
        );
    }

    #[test]
    fn dollar_quotes_belong_to_their_statement() {
        let function = "DO $body$ BEGIN\n  NULL;\n-- inside\nEND $body$;";
        assert_eq!(statement_length(&function.lines().collect::<Vec<_>>()), 4);
        assert_eq!(statement_length(&["SELECT '$1';", "SELECT 2;"]), 1);
    }

    #[test]
    fn commands_of_psql_are_left_alone() {
        check("\\x on\n-- Wide.\n", "\\x on\n\\echo '\\nWide.'\n");
        assert_eq!(statement_length(&["SELECT 1 AS n \\gset", "-- Next."]), 1);
    }

    #[test]
    fn line_numbers_stay() {
        let script = "-- a\n\nSELECT 1;\n\n-- b\n-- c\nSELECT\n2;\n";
        assert_eq!(as_tour(script).lines().count(), script.lines().count());
    }
}
