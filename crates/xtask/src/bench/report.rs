//! The results as a page: what is asked and what was found, a table for each cell, and how it was done.

use std::fmt::Write as _;

use super::bars::{self, Verdict};
use super::contestants::{Contestant, End};
use super::figures::{Sample, Series};
use super::matrix::{FEW, MANY, cells, grouped};
use super::results::{Measured, Results};

const MIB: f64 = 1_048_576.0;

/// The page; `chart` is the name of the picture beside it.
pub fn page(results: &Results, chart: &str) -> String {
    let mut page = "# Benchmarks\n\n\
        `cargo xtask bench` measures this extension and what people use today side by side, in one run, against the sandbox on this machine, and writes this page.\n\
        Everybody reads the same pages of the same records, which the sandbox has ready; times are medians, and ratios within one run say more than any single time.\n\n"
        .to_owned();
    for line in &results.circumstances {
        let _ = writeln!(page, "- {line}");
    }
    let _ = writeln!(page, "- {}", noise(results));
    let _ = write!(
        page,
        "\n![Time and processor time of each]({chart})\n\n## The bars\n\n"
    );
    page.push_str(&verdict_table(&bars::judge(results)));
    page.push_str("\n## What was measured\n\nRatios are against `crm_fdw` with the same end: above 1 needs more than this extension.\n");
    page.push_str("CPU is that of the client and of PostgreSQL together; the sandbox's own stands apart.\nMemory is how far the client's processes and its sessions in PostgreSQL grew.\n");
    for measured in &results.cells {
        page.push_str(&cell_table(measured));
    }
    page.push_str(&not_measured(results));
    page.push_str(HOW);
    page.push_str("\n## Who takes part\n\n");
    page.push_str(WHO);
    page.push('\n');
    for rival in &results.rivals {
        let _ = writeln!(page, "- {rival}");
    }
    page
}

/// The bars alone, for a terminal.
pub fn bars_in_short(results: &Results) -> String {
    bars::judge(results)
        .iter()
        .map(|verdict| {
            format!(
                "{:<8} {:<7} {}: {}\n",
                word(verdict),
                verdict.rule,
                verdict.asks,
                verdict.found
            )
        })
        .collect()
}

const HOW: &str = "
## How it is measured

- A contestant makes itself ready: it starts, signs in, describes what it must, opens its connection, makes its table. Then it is told to begin, and is measured until it says that all rows are where they end.
- A sandbox has 10,000 or 1,000,000 contacts that are made by number, and some 1,100 recorded ones beside them.
- Contestants take turns, so that a busy moment of the machine strikes them all. One that took longer than its patience in a cell is not repeated there, and the number of runs is told.
- Processor time is what the kernel counted for the client's processes, for all of PostgreSQL's, and for the sandbox. Memory is the kernel's peak of each process, set back at the beginning; it holds pages of shared buffers too.
- Calls and bytes are counted by the sandbox: requests for records, and bodies as they travelled. REST answers are not compressed; Bulk answers are, where the client takes them so.
- To the executor: `EXPLAIN (ANALYZE, TIMING OFF)` of the columns, which gives every row with every column to the executor. Into a table: `CREATE TABLE AS` here, TRUNCATE and COPY in one transaction there; `wal_level` is `minimal`, so neither writes a log.
- Fetch alone: reqwest, one page after the other, dropped. Decode alone: the same bytes, held in memory, into typed columns by sonic-rs. Emit alone: a foreign data wrapper in C that gives out rows which it has ready.
";

const WHO: &str = "Each in the way its documentation calls fast, with scripts in [`bench/`](../bench):

- simple-salesforce: `query_all_iter` and psycopg's COPY row by row; and its Bulk 2.0 query, whose CSV goes into COPY as it is.
- jsforce: `query` and `queryMore`, a page of text at a time into pg-copy-streams.
- dlt: pages yielded as Arrow tables with types, loader files in CSV, which its destination loads by COPY. Its Salesforce source is not in its package; like that one, this one reads by simple-salesforce.
- supabase-wrappers: a wrapper by that framework that reads pages with reqwest and serde_json, as its own wrappers for REST services do. Later versions than the one measured want a newer Rust than this repository's.
- Microsoft's Dataverse client for Python, and zeep for Oracle's SOAP, both with psycopg's COPY.
";

/// The cells that this run left out.
fn not_measured(results: &Results) -> String {
    let measured: Vec<_> = results.cells.iter().map(|measured| measured.cell).collect();
    let missing: Vec<String> = [FEW, MANY]
        .into_iter()
        .flat_map(cells)
        .filter(|cell| !measured.contains(cell))
        .map(|cell| format!("- {cell}\n"))
        .collect();
    match missing.is_empty() {
        true => String::new(),
        false => format!("\nNot measured in this run:\n\n{}", missing.concat()),
    }
}

fn noise(results: &Results) -> String {
    let samples = results.cells.iter().flat_map(|cell| cell.series.iter());
    let loads: Vec<f64> = samples
        .clone()
        .flat_map(|series| series.samples.iter().map(|sample| sample.load))
        .collect();
    let least = loads.iter().copied().fold(f64::INFINITY, f64::min);
    let most = loads.iter().copied().fold(0.0, f64::max);
    let spreads: Vec<f64> = samples
        .filter(|series| series.samples.len() > 1)
        .filter_map(Series::spread)
        .collect();
    let spread = super::figures::median(spreads).unwrap_or(0.0);
    format!(
        "Noise: the machine's load was between {least:.1} and {most:.1} when runs began; slowest and quickest run of a contestant lie {:.0} % apart, in the median",
        spread * 100.0
    )
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict.met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "-",
    }
}

fn verdict_table(verdicts: &[Verdict]) -> String {
    let mut table = "| Rule | Asks | Found | |\n|---|---|---|---|\n".to_owned();
    for verdict in verdicts {
        let word = match verdict.met {
            Some(false) => "**not met**",
            _ => word(verdict),
        };
        let _ = writeln!(
            table,
            "| {} | {} | {} | {word} |",
            verdict.rule, verdict.asks, verdict.found
        );
    }
    table
}

fn cell_table(measured: &Measured) -> String {
    let mut table = format!("\n### {}\n\n", measured.cell);
    for (end, heading, own) in [
        (End::Executor, "To the executor", Some(Contestant::Scan)),
        (End::Part, "The parts alone", None),
        (End::Table, "Into a table", Some(Contestant::Import)),
    ] {
        let rows: Vec<(Contestant, &Series)> = Contestant::all(measured.cell.crm)
            .into_iter()
            .filter(|contestant| contestant.end() == end)
            .filter_map(|contestant| {
                let key = contestant.key();
                let series = measured.series.iter().find(|series| series.name == key)?;
                Some((contestant, series))
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            table,
            "| {heading} | time | × | rows/s | CPU | × | sandbox's CPU | memory | calls | MB | runs |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
        );
        let own = own.and_then(|own| measured.of(own));
        for (contestant, series) in rows {
            table.push_str(&line(contestant, series, own));
        }
        table.push('\n');
    }
    table
}

fn line(contestant: Contestant, series: &Series, own: Option<&Series>) -> String {
    let name = contestant.name();
    let (Some(wall), Some(cpu)) = (series.wall(), series.cpu()) else {
        let reason = series.left_out.as_deref().unwrap_or("not run");
        return format!("| {name} | {reason} | | | | | | | | | 0 |\n");
    };
    let ratio = |figure: fn(&Series) -> Option<f64>, value: f64| {
        own.and_then(figure)
            .map_or(String::new(), |own| format!("{:.1}", value / own))
    };
    let figure = |figure: fn(&Sample) -> f64| series.median(figure).unwrap_or_default();
    format!(
        "| {name} | {} | {} | {} | {} | {} | {} | {:.0} MiB | {:.0} | {:.1} | {} |\n",
        seconds(wall),
        ratio(Series::wall, wall),
        grouped((series.rows as f64 / wall) as u64),
        seconds(cpu),
        ratio(Series::cpu, cpu),
        seconds(figure(|sample| sample.sandbox.as_secs_f64())),
        figure(|sample| sample.memory as f64) / MIB,
        figure(|sample| sample.calls as f64),
        figure(|sample| sample.bytes as f64) / 1e6,
        series.samples.len()
    )
}

/// With as many digits as mean something.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.1 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.2} s"),
        s => format!("{s:.1} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::tests::{sample, series};
    use crate::bench::matrix::{Cell, Crm, Width};

    fn cell(series: Vec<Series>) -> Measured {
        Measured {
            cell: Cell {
                crm: Crm::Salesforce,
                rows: 10_000,
                width: Width::Narrow,
                latency_ms: 50,
            },
            series,
        }
    }

    #[test]
    fn a_cell_compares_within_one_end() {
        let mut gone = series(&Contestant::BulkScan.key(), 0, vec![]);
        gone.left_out = Some("not here".to_owned());
        let table = cell_table(&cell(vec![
            series(&Contestant::Scan.key(), 10_000, vec![sample(100, 50)]),
            series(&Contestant::Wrappers.key(), 10_000, vec![sample(250, 200)]),
            gone,
            series(&Contestant::Fetch.key(), 10_000, vec![sample(20, 5)]),
        ]));
        assert!(
            table.contains("### Salesforce, 10,000 × 3 columns, 50 ms"),
            "{table}"
        );
        assert!(
            table.contains("| supabase-wrappers | 0.25 s | 2.5 | 40,000 | 0.20 s | 4.0 | 1 ms | 3 MiB | 5 | 8.0 | 1 |"),
            "{table}"
        );
        assert!(table.contains("| crm_fdw, Bulk | not here |"), "{table}");
        // A part has nothing to be compared with, and nothing ended in a table.
        assert!(
            table.contains("| fetch alone | 20 ms |  | 500,000 |"),
            "{table}"
        );
        assert!(!table.contains("Into a table"), "{table}");
    }

    #[test]
    fn times_have_digits_that_mean_something() {
        assert_eq!(seconds(0.0124), "12 ms");
        assert_eq!(seconds(1.234), "1.23 s");
        assert_eq!(seconds(12.34), "12.3 s");
    }

    #[test]
    fn the_page_tells_what_was_not_measured() {
        let results = Results {
            circumstances: vec!["2000-01-01".to_owned()],
            rivals: vec!["zeep 1".to_owned()],
            cells: vec![cell(vec![])],
            probes: None,
        };
        let page = page(&results, "chart.svg");
        assert!(page.contains("- 2000-01-01\n"));
        assert!(
            page.contains("Not measured in this run:\n\n- Salesforce, 10,000 × 25 columns, 0 ms\n")
        );
        assert!(!page.contains("- Salesforce, 10,000 × 3 columns, 50 ms\n"));
        assert!(page.contains(
            "| Q-3 | a backend grows by at most 64 MiB, at any number of rows | not measured | - |"
        ));
        assert!(page.ends_with("- zeep 1\n"));
    }
}
