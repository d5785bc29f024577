//! What is asked of this extension beside reading everything: the first rows, and work behind the network.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::contest::{self, Driver, Run};
use super::figures::{Sample, median};
use super::matrix::{Cell, Crm, Width};
use super::results::Probes;
use super::stage::Stage;

/// How much longer an answer takes while overlap is measured.
const LATENCY_MS: u64 = 100;
const RUNS: usize = 3;
const LIMIT: Duration = Duration::from_secs(60);
/// Work that takes about as long for the rows of a page as the page takes to come.
const WORK: &str = "count(md5(repeat(name, 2500)))";

/// Asks all of it in a sandbox with few records.
///
/// # Errors
/// Fails when a statement does.
pub fn ask(stage: &Stage, rows: u64) -> Result<Probes> {
    let reading = stage.enter(Cell {
        crm: Crm::Salesforce,
        rows,
        width: Width::Wide,
        latency_ms: 0,
    })?;
    let list = reading.list();
    let first = samples(stage, &format!("SELECT {list} FROM sf.contact LIMIT 10"))?;
    let read = format!("SELECT {list} FROM sf.contact");
    let worked = format!("SELECT {WORK} FROM (SELECT {list} FROM sf.contact OFFSET 0) AS rows");
    let at_once = wall(&samples(stage, &read)?)?;
    let work = (wall(&samples(stage, &worked)?)? - at_once).max(0.0);
    stage.latency(LATENCY_MS)?;
    let reading = wall(&samples(stage, &read)?)?;
    let together = wall(&samples(stage, &worked)?)?;
    stage.latency(0)?;
    let calls = first.iter().map(|sample| sample.calls).max();
    Ok(Probes {
        first_rows: (calls.context("it was measured")?, wall(&first)?),
        latency_ms: LATENCY_MS,
        reading,
        work,
        together,
    })
}

fn samples(stage: &Stage, statement: &str) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for _ in 0..RUNS {
        let driver = Driver {
            command: stage.psql(),
            opening: "SELECT id FROM sf.contact LIMIT 1;\n\\echo ready\n".to_owned(),
            go: format!(
                "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) {statement};\n\\echo done\n"
            ),
        };
        match contest::run(driver, stage, LIMIT)? {
            Run::Done(sample, _) => samples.push(sample),
            Run::TooLong => bail!("{statement}: longer than {} s", LIMIT.as_secs()),
        }
    }
    Ok(samples)
}

fn wall(samples: &[Sample]) -> Result<f64> {
    median(
        samples
            .iter()
            .map(|sample| sample.wall.as_secs_f64())
            .collect(),
    )
    .context("it was measured")
}
