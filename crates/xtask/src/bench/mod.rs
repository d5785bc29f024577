//! `cargo xtask bench`: this extension and what people use today, side by side in one run against the sandbox.
//!
//! `matrix` says what is read, `contestants` by whom, `contest` runs and `measure` measures one of them; `bars` holds
//! the results against the specification, `report` and `chart` show them.

mod bars;
mod chart;
mod contest;
mod contestants;
mod figures;
mod matrix;
mod measure;
mod probes;
mod report;
mod results;
mod stage;
mod tools;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::extension;
use crate::pg::{Major, Postgres};
use crate::proc::Output;
use crate::sandbox;
use crate::setup;
use crate::user::ServerUser;
use crate::workspace::Workspace;

use contest::Run;
use contestants::Contestant;
use figures::Series;
use matrix::{Crm, FEW, MANY, Width};
use results::{Measured, Results};
use stage::{Reading, Stage};
use tools::Tools;

/// The page, from the root of the repository, and the picture beside it.
const PAGE: &str = "docs/benchmarks.md";
const CHART: &str = "benchmarks.svg";

/// How to measure.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only few records: minutes instead of an hour, and no page is written
    #[arg(long)]
    quick: bool,
    /// Runs of each contestant in each cell
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Seconds after which a contestant is not repeated in a cell
    #[arg(long, default_value_t = 100)]
    patience: u64,
    /// Seconds after which a run is stopped and the contestant left out of the cell
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// Only contestants with this in their name
    #[arg(long)]
    only: Option<String>,
    /// Only cells with this in their name
    #[arg(long)]
    cells: Option<String>,
    /// Take the extension as it is installed instead of building and installing it
    #[arg(long)]
    installed: bool,
    /// Write the page again from the results of the last run
    #[arg(long)]
    report: bool,
    /// PostgreSQL version
    #[arg(long, default_value_t = Major(15))]
    pg: Major,
}

/// Measures, prints the bars, and writes the page unless it was quick.
///
/// # Errors
/// Fails when something does not start or a measurement fails; a bar that is not met is no failure.
pub fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let kept = workspace.scratch().join("bench.json");
    if arguments.report {
        return publish(workspace, &Results::load(&kept)?);
    }
    let ready = setup::ensure_ready(workspace, &[arguments.pg])?;
    let postgres = &ready.installations[0];
    let _reserved = postgres.reserve()?;
    if !arguments.installed {
        extension::install(workspace, postgres, &Output::Shown)?;
    }
    let program = sandbox::build(workspace, &Output::Shown)?;
    let tools = Tools::prepare(workspace, postgres, &Output::Shown)?;
    let mut bench = Bench {
        workspace,
        arguments,
        postgres,
        user: &ready.user,
        program,
        tools,
        results: Results {
            circumstances: results::circumstances(workspace, postgres),
            rivals: results::rivals(workspace)?,
            cells: Vec::new(),
            probes: None,
        },
        failures: Vec::new(),
        kept,
    };
    bench.size(FEW)?;
    if !arguments.quick {
        bench.size(MANY)?;
    }
    println!("\n{}", report::bars_in_short(&bench.results));
    if !arguments.quick && arguments.only.is_none() {
        publish(workspace, &bench.results)?;
    }
    if !bench.failures.is_empty() {
        bail!("measurements failed:\n{}", bench.failures.join("\n"));
    }
    Ok(())
}

/// Writes the page and its picture.
fn publish(workspace: &Workspace, results: &Results) -> Result<()> {
    let page = workspace.root.join(PAGE);
    std::fs::write(&page, report::page(results, CHART))
        .with_context(|| format!("cannot write {}", page.display()))?;
    if let Some(measured) = results.largest(Crm::Salesforce, Width::Wide) {
        std::fs::write(page.with_file_name(CHART), chart::picture(measured))?;
    }
    println!("written: {PAGE}");
    Ok(())
}

struct Bench<'w> {
    workspace: &'w Workspace,
    arguments: &'w Arguments,
    postgres: &'w Postgres,
    user: &'w ServerUser,
    program: PathBuf,
    tools: Tools,
    results: Results,
    failures: Vec<String>,
    kept: PathBuf,
}

impl Bench<'_> {
    /// All cells of one number of records.
    fn size(&mut self, rows: u64) -> Result<()> {
        let stage = Stage::start(
            self.workspace,
            self.postgres,
            self.user,
            &self.program,
            &self.tools,
            rows,
        )?;
        let only = self.arguments.cells.as_deref().unwrap_or_default();
        for cell in matrix::cells(rows) {
            if !cell.to_string().contains(only) {
                continue;
            }
            println!("\n{cell}");
            let reading = stage.enter(cell)?;
            let series = self.cell(&stage, &reading)?;
            self.results.cells.push(Measured { cell, series });
            self.results.save(&self.kept)?;
        }
        if rows == FEW {
            println!("\nfirst rows, overlap");
            self.results.probes = Some(probes::ask(&stage, rows)?);
            self.results.save(&self.kept)?;
        }
        Ok(())
    }

    /// All contestants in one cell, taking turns.
    fn cell(&mut self, stage: &Stage, reading: &Reading) -> Result<Vec<Series>> {
        let only = self.arguments.only.as_deref().unwrap_or_default();
        let mut entered: Vec<(Contestant, Series)> = Contestant::all(reading.cell.crm)
            .into_iter()
            .filter(|contestant| contestant.key().contains(only))
            .map(|contestant| {
                let series = Series {
                    name: contestant.key(),
                    rows: reading.rows,
                    samples: Vec::new(),
                    left_out: contestant.missing(&self.tools, stage),
                };
                (contestant, series)
            })
            .collect();
        for turn in 1..=self.arguments.runs {
            for (contestant, series) in &mut entered {
                let spent: Duration = series.samples.iter().map(|sample| sample.wall).sum();
                if series.left_out.is_some() || spent.as_secs() >= self.arguments.patience {
                    continue;
                }
                print!("  {turn} {:<42}", series.name);
                // Only a progress display: nothing depends on it.
                let _ = std::io::stdout().flush();
                self.turn(stage, reading, *contestant, series);
            }
        }
        Ok(entered.into_iter().map(|(_, series)| series).collect())
    }

    /// One run; what goes wrong is kept and told at the end.
    fn turn(
        &mut self,
        stage: &Stage,
        reading: &Reading,
        contestant: Contestant,
        series: &mut Series,
    ) {
        let limit = Duration::from_secs(self.arguments.limit);
        let root: &Path = &self.workspace.root;
        let outcome = contestant
            .driver(root, &self.tools, stage, reading)
            .and_then(|driver| contest::run(driver, stage, limit));
        let failure = match outcome {
            Ok(Run::Done(sample, rows)) if rows == reading.rows => {
                println!(
                    "{:>8} {:>8} of processor, {:>4} MiB",
                    report::seconds(sample.wall.as_secs_f64()),
                    report::seconds(sample.cpu().as_secs_f64()),
                    sample.memory >> 20
                );
                series.samples.push(sample);
                return;
            }
            Ok(Run::Done(_, rows)) => format!("it brought {rows} of {} rows", reading.rows),
            Ok(Run::TooLong) => {
                println!("stopped after {} s", limit.as_secs());
                series.left_out = Some(format!("longer than {} s", limit.as_secs()));
                return;
            }
            Err(error) => format!("{error:#}"),
        };
        println!("failed: {failure}");
        self.failures
            .push(format!("{}: {}: {failure}", reading.cell, series.name));
        series.left_out = Some("failed".to_owned());
    }
}
