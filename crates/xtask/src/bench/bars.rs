//! The bars of quality of the specification, section 11, held against what was measured.

use super::contestants::{Contestant, SCRIPTS, SIMPLE_SALESFORCE, Script};
use super::figures::{Series, overlap};
use super::matrix::{Crm, MANY, Width, grouped};
use super::results::{Measured, Results};

/// Rows a second to the executor.
const LEAST_ROWS_PER_SECOND: f64 = 300_000.0;
/// How many times as much simple-salesforce and COPY may need.
const LEAST_OVER_SIMPLE_SALESFORCE: f64 = 8.0;
/// How many times as much a wrapper of the supabase-wrappers framework needs.
const LEAST_OVER_WRAPPERS: f64 = 2.0;
/// How many times the sum of the parts the whole may be.
const MOST_OVER_PARTS: f64 = 1.5;
/// Bytes that a backend may grow by.
const MOST_GROWTH: f64 = 64.0 * MIB;
/// How far the cost of a row may differ between few and many (issue 7).
const MOST_DIFFERENCE: f64 = 0.15;
/// How much of the shorter part must be hidden to be called overlap.
const LEAST_OVERLAP: f64 = 0.5;
const MIB: f64 = 1_048_576.0;

/// A bar, and whether it is met.
#[derive(Debug, PartialEq)]
pub struct Verdict {
    /// The rule of the specification.
    pub rule: &'static str,
    /// What it asks for.
    pub asks: String,
    /// What was found.
    pub found: String,
    /// Whether that is enough; `None` where nothing was measured.
    pub met: Option<bool>,
}

/// All bars.
pub fn judge(results: &Results) -> Vec<Verdict> {
    let mut verdicts = calls(results);
    if let Some(main) = results.largest(Crm::Salesforce, Width::Wide) {
        verdicts.extend(speed(main));
    }
    verdicts.push(memory(results));
    verdicts.extend(first_rows_and_overlap(results));
    verdicts.extend(linear(results));
    verdicts
}

/// Calls of a full read: a page's records in each, and one more.
fn calls(results: &Results) -> Vec<Verdict> {
    let pages = [
        (Crm::Salesforce, Contestant::Scan, 2_000, "REST"),
        (Crm::Dynamics, Contestant::Scan, 5_000, "Web API"),
        (Crm::Oracle, Contestant::Scan, 100, "SOAP"),
    ];
    let mut verdicts = Vec::new();
    for (crm, contestant, page, way) in pages {
        let runs = results
            .largest(crm, Width::Wide)
            .and_then(|measured| measured.of(contestant));
        let Some((runs, calls)) = runs.and_then(|runs| Some((runs, most_calls(runs)?))) else {
            continue;
        };
        // What is recorded stands beside the records that were made.
        let allowed = runs.rows.div_ceil(page) + 1;
        verdicts.push(Verdict {
            rule: "Q-1",
            asks: format!(
                "{crm}: {} records in at most {allowed} calls by {way}",
                grouped(runs.rows)
            ),
            found: calls.to_string(),
            met: Some(calls <= allowed),
        });
    }
    let bulk = results
        .largest(Crm::Salesforce, Width::Wide)
        .filter(|measured| measured.cell.rows == MANY)
        .and_then(|measured| most_calls(measured.of(Contestant::BulkScan)?));
    if let Some(calls) = bulk {
        verdicts.push(Verdict {
            rule: "Q-1",
            asks: format!(
                "Salesforce: {} records in at most 45 calls by Bulk",
                grouped(MANY)
            ),
            found: calls.to_string(),
            met: Some(calls <= 45),
        });
    }
    verdicts
}

fn most_calls(runs: &Series) -> Option<u64> {
    runs.samples.iter().map(|sample| sample.calls).max()
}

fn speed(main: &Measured) -> Vec<Verdict> {
    let size = format!("{} × 25", grouped(main.cell.rows));
    let mut verdicts = Vec::new();
    for contestant in [Contestant::Scan, Contestant::BulkScan] {
        let Some(runs) = main.of(contestant) else {
            continue;
        };
        let (Some(seconds), Some(cpu)) = (runs.wall(), runs.cpu()) else {
            continue;
        };
        let rate = runs.rows as f64 / seconds;
        verdicts.push(Verdict {
            rule: "Q-2",
            asks: format!(
                "{}, {size}: 300,000 rows/s to the executor",
                contestant.name()
            ),
            found: format!(
                "{} rows/s; {} for each second of processor time",
                grouped(rate as u64),
                grouped((runs.rows as f64 / cpu) as u64)
            ),
            met: Some(rate >= LEAST_ROWS_PER_SECOND),
        });
    }
    let simple = simple_salesforce().and_then(|script| main.of(Contestant::Script(script)));
    verdicts.extend(times(
        "simple-salesforce + COPY needs at least 8 times as much",
        simple,
        main.of(Contestant::Import),
        LEAST_OVER_SIMPLE_SALESFORCE,
    ));
    verdicts.extend(times(
        "a supabase-wrappers wrapper needs at least twice as much",
        main.of(Contestant::Wrappers),
        main.of(Contestant::Scan),
        LEAST_OVER_WRAPPERS,
    ));
    verdicts.extend(parts(main));
    verdicts
}

fn simple_salesforce() -> Option<&'static Script> {
    SCRIPTS
        .iter()
        .find(|script| script.name == SIMPLE_SALESFORCE)
}

/// How many times as much the rival needs, in time and on the processor.
fn times(asks: &str, rival: Option<&Series>, own: Option<&Series>, least: f64) -> Option<Verdict> {
    let (rival, own) = (rival?, own?);
    let wall = rival.wall()? / own.wall()?;
    let cpu = rival.cpu()? / own.cpu()?;
    Some(Verdict {
        rule: "Q-2",
        asks: asks.to_owned(),
        found: format!("{wall:.1} times the time, {cpu:.1} times the processor"),
        met: Some(wall >= least && cpu >= least),
    })
}

/// The whole against fetching, decoding and emitting one after the other.
fn parts(main: &Measured) -> Option<Verdict> {
    let parts = [Contestant::Fetch, Contestant::Decode, Contestant::Emit].map(|part| main.of(part));
    let sum = |figure: fn(&Series) -> Option<f64>| -> Option<f64> {
        parts.iter().map(|part| figure((*part)?)).sum()
    };
    let own = main.of(Contestant::Scan)?;
    let wall = own.wall()? / sum(Series::wall)?;
    let cpu = own.cpu()? / sum(Series::cpu)?;
    Some(Verdict {
        rule: "Q-2",
        asks: "at most 1.5 times the sum of fetch, decode and emit alone, and less in time"
            .to_owned(),
        found: format!("{wall:.2} times the time, {cpu:.2} times the processor"),
        met: Some(wall <= MOST_OVER_PARTS && cpu <= MOST_OVER_PARTS),
    })
}

/// The most that any session of ours grew by, in any cell.
fn memory(results: &Results) -> Verdict {
    let own = [
        Contestant::Scan,
        Contestant::Import,
        Contestant::BulkScan,
        Contestant::BulkImport,
    ];
    let most = results
        .cells
        .iter()
        .flat_map(|measured| own.iter().filter_map(|&own| measured.of(own)))
        .flat_map(|series| series.samples.iter().map(|sample| sample.memory as f64))
        .reduce(f64::max);
    Verdict {
        rule: "Q-3",
        asks: "a backend grows by at most 64 MiB, at any number of rows".to_owned(),
        found: most.map_or("not measured".to_owned(), |most| {
            format!("{:.0} MiB", most / MIB)
        }),
        met: most.map(|most| most <= MOST_GROWTH),
    }
}

fn first_rows_and_overlap(results: &Results) -> Vec<Verdict> {
    let Some(probes) = &results.probes else {
        return Vec::new();
    };
    let (calls, seconds) = probes.first_rows;
    let hidden = overlap(probes.reading, probes.work, probes.together);
    vec![
        Verdict {
            rule: "Q-4",
            asks: "LIMIT 10 in one call".to_owned(),
            found: format!("{calls} call, {:.0} ms", seconds * 1e3),
            met: Some(calls == 1),
        },
        Verdict {
            rule: "Q-4",
            asks: format!(
                "with {} ms a call, reading and work on the rows overlap",
                probes.latency_ms
            ),
            found: format!(
                "reading alone {:.2} s, work alone {:.2} s, together {:.2} s: {:.0} % of the shorter is hidden",
                probes.reading,
                probes.work,
                probes.together,
                hidden * 100.0
            ),
            met: Some(hidden >= LEAST_OVERLAP),
        },
    ]
}

/// The cost of a row at few and at many rows, where both were measured.
fn linear(results: &Results) -> Vec<Verdict> {
    let few = results.smallest(Crm::Salesforce, Width::Wide);
    let many = results.largest(Crm::Salesforce, Width::Wide);
    let (Some(few), Some(many)) = (few, many) else {
        return Vec::new();
    };
    if few.cell.rows == many.cell.rows {
        return Vec::new();
    }
    let verdict = |contestant: Contestant| {
        let per_row = |measured: &Measured, figure: fn(&Series) -> Option<f64>| {
            let series = measured.of(contestant)?;
            Some(figure(series)? * 1e6 / series.rows as f64)
        };
        let wall = (per_row(few, Series::wall)?, per_row(many, Series::wall)?);
        let cpu = (per_row(few, Series::cpu)?, per_row(many, Series::cpu)?);
        let grows = |(few, many): (f64, f64)| many / few - 1.0;
        Some(Verdict {
            rule: "linear",
            asks: format!(
                "{}: a row of {} costs at most 15 % more than one of {}",
                contestant.key(),
                grouped(many.cell.rows),
                grouped(few.cell.rows)
            ),
            found: format!(
                "time {:.2} µs after {:.2} µs ({:+.0} %), processor {:.2} µs after {:.2} µs ({:+.0} %)",
                wall.1,
                wall.0,
                grows(wall) * 100.0,
                cpu.1,
                cpu.0,
                grows(cpu) * 100.0
            ),
            met: Some(grows(wall) <= MOST_DIFFERENCE && grows(cpu) <= MOST_DIFFERENCE),
        })
    };
    [Contestant::Scan, Contestant::Import]
        .into_iter()
        .filter_map(verdict)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::tests::{sample, series};
    use crate::bench::matrix::{Cell, FEW};
    use crate::bench::results::Probes;

    fn measured(rows: u64, runs: &[(Contestant, u64, u64)]) -> Measured {
        Measured {
            cell: Cell {
                crm: Crm::Salesforce,
                rows,
                width: Width::Wide,
                latency_ms: 0,
            },
            series: runs
                .iter()
                .map(|&(contestant, wall, cpu)| {
                    series(&contestant.key(), rows, vec![sample(wall, cpu)])
                })
                .collect(),
        }
    }

    fn results(cells: Vec<Measured>) -> Results {
        Results {
            circumstances: Vec::new(),
            rivals: Vec::new(),
            cells,
            probes: Some(Probes {
                first_rows: (1, 0.01),
                latency_ms: 100,
                reading: 1.0,
                work: 1.0,
                together: 1.4,
            }),
        }
    }

    fn met(results: &Results, part: &str) -> Option<bool> {
        let verdicts = judge(results);
        let found: Vec<_> = verdicts.iter().filter(|v| v.asks.contains(part)).collect();
        assert_eq!(found.len(), 1, "{part}: {verdicts:?}");
        found[0].met
    }

    #[test]
    fn each_bar_can_be_met_and_missed() {
        let script = Contestant::Script(simple_salesforce().unwrap());
        let good = results(vec![
            measured(
                MANY,
                &[
                    (Contestant::Scan, 3_000, 3_500),
                    (Contestant::Import, 5_000, 5_000),
                    (Contestant::Wrappers, 7_000, 8_000),
                    (Contestant::Fetch, 1_500, 500),
                    (Contestant::Decode, 800, 800),
                    (Contestant::Emit, 1_200, 1_200),
                    (script, 41_000, 45_000),
                ],
            ),
            measured(
                FEW,
                &[(Contestant::Scan, 30, 35), (Contestant::Import, 50, 50)],
            ),
        ]);
        for part in [
            "calls by REST",
            "rows/s to the executor",
            "8 times",
            "twice",
            "sum of fetch",
            "64 MiB",
            "LIMIT 10",
            "overlap",
            "crm_fdw (executor): a row",
            "crm_fdw (table): a row",
        ] {
            assert_eq!(met(&good, part), Some(true), "{part}");
        }
        let bad = results(vec![
            measured(
                MANY,
                &[
                    (Contestant::Scan, 4_000, 9_000),
                    (Contestant::Import, 6_000, 5_000),
                    (Contestant::Wrappers, 7_000, 8_000),
                    (Contestant::Fetch, 1_500, 500),
                    (Contestant::Decode, 800, 800),
                    (Contestant::Emit, 300, 300),
                    (script, 41_000, 45_000),
                ],
            ),
            measured(
                FEW,
                &[(Contestant::Scan, 30, 35), (Contestant::Import, 50, 50)],
            ),
        ]);
        for part in [
            "rows/s to the executor",
            "8 times",
            "twice",
            "sum of fetch",
            "crm_fdw (executor): a row",
            "crm_fdw (table): a row",
        ] {
            assert_eq!(met(&bad, part), Some(false), "{part}");
        }
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        let mut empty = results(Vec::new());
        empty.probes = None;
        let verdicts = judge(&empty);
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0].met, None);
    }

    #[test]
    fn too_many_calls_and_too_little_overlap_are_missed() {
        let mut cell = measured(FEW, &[(Contestant::Scan, 30, 35)]);
        cell.series[0].samples[0].calls = 8;
        let mut results = results(vec![cell]);
        let probes = results.probes.as_mut().unwrap();
        (probes.together, probes.first_rows) = (1.9, (2, 0.1));
        for part in ["calls by REST", "LIMIT 10", "overlap"] {
            assert_eq!(met(&results, part), Some(false), "{part}");
        }
    }
}
