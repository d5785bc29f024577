//! What the user sees of the stages: a line each while they run, the output of those that failed,
//! a table at the end.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

/// Begins a line of a test's output that is shown even when all is well.
const MEASURED: &str = "measured: ";

/// How a stage ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// With this message.
    Failed(String),
    /// It did not run, for this reason.
    Skipped(String),
}

/// One stage of the summary.
pub struct Line {
    /// What it is called.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Tests that passed, where it counts tests.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Wall clock time.
    pub took: Duration,
}

/// Says that a stage begins.
pub fn begin(name: &str) {
    print!("{name:<24}");
    // Only a progress display: nothing depends on it.
    let _ = std::io::stdout().flush();
}

/// Says how it ended, with everything it printed when it failed.
pub fn end(line: &Line, log: &str, log_path: &Path) {
    let seconds = line.took.as_secs_f64();
    match &line.outcome {
        Outcome::Passed => {
            println!("ok {seconds:>8.1} s{}", tests(line));
            for measured in log.lines().filter_map(|line| line.strip_prefix(MEASURED)) {
                println!("    {measured}");
            }
        }
        Outcome::Skipped(reason) => println!("skipped: {reason}"),
        Outcome::Failed(message) => {
            println!("FAILED {seconds:.1} s\n");
            println!("{log}");
            println!("{}: {message}", line.name);
            println!("log: {}\n", log_path.display());
        }
    }
}

/// Prints the table.
///
/// # Errors
/// Fails when a stage failed.
pub fn summarise(lines: &[Line]) -> Result<()> {
    println!("\n{:<28} {:>8} {:>8}  result", "stage", "seconds", "tests");
    for line in lines {
        let result = match &line.outcome {
            Outcome::Passed => "ok".to_owned(),
            Outcome::Skipped(reason) => format!("skipped: {reason}"),
            Outcome::Failed(message) => {
                format!("FAILED: {}", message.lines().next().unwrap_or_default())
            }
        };
        let count = line.passed + line.failed;
        let tests = if count == 0 {
            String::new()
        } else {
            count.to_string()
        };
        println!(
            "{:<28} {:>8.1} {tests:>8}  {result}",
            line.name,
            line.took.as_secs_f64()
        );
    }
    let seconds: f64 = lines.iter().map(|line| line.took.as_secs_f64()).sum();
    println!("{:<28} {seconds:>8.1}\n", "all");
    let passed: usize = lines.iter().map(|line| line.passed).sum();
    let failed: usize = lines.iter().map(|line| line.failed).sum();
    println!("{passed} passed, {failed} failed");
    let broken = lines
        .iter()
        .filter(|line| matches!(line.outcome, Outcome::Failed(_)))
        .count();
    if broken > 0 {
        bail!("{broken} of {} stages failed", lines.len());
    }
    Ok(())
}

/// Adds up the closing lines of cargo's test runner: passed, failed.
pub fn count_cargo_tests(log: &str) -> (usize, usize) {
    let number_before = |line: &str, word: &str| -> usize {
        line.split([';', '.'])
            .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
            .unwrap_or(0)
    };
    log.lines()
        .filter(|line| line.starts_with("test result: "))
        .fold((0, 0), |sums, line| {
            (
                sums.0 + number_before(line, " passed"),
                sums.1 + number_before(line, " failed"),
            )
        })
}

fn tests(line: &Line) -> String {
    match line.passed {
        0 => String::new(),
        1 => ", 1 test".to_owned(),
        n => format!(", {n} tests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let log = "test a ... ok\n\
            test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
            test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        assert_eq!(count_cargo_tests(log), (15, 2));
        assert_eq!(count_cargo_tests("nothing was tested"), (0, 0));
    }

    fn line(outcome: Outcome) -> Line {
        Line {
            name: "stage".to_owned(),
            outcome,
            passed: 0,
            failed: 0,
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_failed_stage_fails_the_run() {
        let skipped = || line(Outcome::Skipped("there are none".to_owned()));
        assert!(summarise(&[line(Outcome::Passed), skipped()]).is_ok());
        assert!(
            summarise(&[
                line(Outcome::Passed),
                line(Outcome::Failed("no".to_owned()))
            ])
            .is_err()
        );
    }
}
