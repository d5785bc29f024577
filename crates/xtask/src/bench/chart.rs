//! The largest cell as a picture: bars of time and of processor time, by where the rows end.

use std::fmt::Write as _;

use super::contestants::{Contestant, End};
use super::figures::Series;
use super::report::seconds;
use super::results::Measured;

const WIDTH: f64 = 860.0;
const LABELS: f64 = 230.0;
const VALUES: f64 = 80.0;
const BAR: f64 = 11.0;
const ROW: f64 = 32.0;
const HEADING: f64 = 34.0;
const TOP: f64 = 66.0;
const TIME: &str = "#3465a4";
const PROCESSOR: &str = "#e8963d";

/// A picture of one cell.
pub fn picture(measured: &Measured) -> String {
    let groups: Vec<(&str, Vec<Bars>)> = [
        (End::Executor, "Rows to the executor"),
        (End::Part, "The parts alone"),
        (End::Table, "Rows into a table"),
    ]
    .into_iter()
    .map(|(end, heading)| (heading, bars(measured, end)))
    .filter(|(_, bars)| !bars.is_empty())
    .collect();
    let most = groups
        .iter()
        .flat_map(|(_, bars)| bars.iter().map(|bars| bars.time.max(bars.processor)))
        .fold(f64::MIN_POSITIVE, f64::max);
    let scale = (WIDTH - LABELS - VALUES) / most;
    let mut body = String::new();
    let mut y = TOP;
    for (heading, bars) in &groups {
        let _ = writeln!(
            body,
            "<text x=\"16\" y=\"{:.0}\" font-weight=\"bold\">{heading}</text>",
            y + 20.0
        );
        y += HEADING;
        for bars in bars {
            let weight = if bars.own {
                " font-weight=\"bold\""
            } else {
                ""
            };
            let _ = writeln!(
                body,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\"{weight}>{}</text>",
                LABELS - 10.0,
                y + BAR + 4.0,
                bars.name
            );
            for (place, value, colour) in [
                (0.0, bars.time, TIME),
                (BAR + 1.0, bars.processor, PROCESSOR),
            ] {
                let length = (value * scale).max(1.0);
                let _ = writeln!(
                    body,
                    "<rect x=\"{LABELS:.0}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{BAR:.0}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"10\" fill=\"#444\">{}</text>",
                    y + place,
                    LABELS + length + 5.0,
                    y + place + 9.5,
                    seconds(value)
                );
            }
            y += ROW;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH:.0}\" height=\"{height:.0}\" fill=\"white\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"17\" font-weight=\"bold\">{}</text>\n\
         <rect x=\"16\" y=\"42\" width=\"12\" height=\"12\" fill=\"{TIME}\"/><text x=\"33\" y=\"53\">time</text>\n\
         <rect x=\"86\" y=\"42\" width=\"12\" height=\"12\" fill=\"{PROCESSOR}\"/><text x=\"103\" y=\"53\">processor time of client and PostgreSQL; shorter is better</text>\n\
         {body}</svg>\n",
        measured.cell,
        height = y + 12.0
    )
}

/// What is drawn of one contestant.
struct Bars {
    name: &'static str,
    /// Seconds.
    time: f64,
    /// Seconds.
    processor: f64,
    /// It is this extension.
    own: bool,
}

fn bars(measured: &Measured, end: End) -> Vec<Bars> {
    let contestants = Contestant::all(measured.cell.crm).into_iter();
    contestants
        .filter(|contestant| contestant.end() == end)
        .filter_map(|contestant| {
            let series: &Series = measured.of(contestant)?;
            let name = contestant.name();
            Some(Bars {
                name,
                time: series.wall()?,
                processor: series.cpu()?,
                own: name.starts_with("crm_fdw"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::tests::{sample, series};
    use crate::bench::matrix::{Cell, Crm, Width};

    #[test]
    fn bars_are_as_long_as_their_values() {
        let picture = picture(&Measured {
            cell: Cell {
                crm: Crm::Salesforce,
                rows: 10,
                width: Width::Wide,
                latency_ms: 0,
            },
            series: vec![
                series(&Contestant::Scan.key(), 10, vec![sample(1_000, 500)]),
                series(&Contestant::Wrappers.key(), 10, vec![sample(2_000, 4_000)]),
            ],
        });
        for expected in [
            "width=\"137.5\" height=\"11\" fill=\"#3465a4\"",
            "width=\"550.0\" height=\"11\" fill=\"#e8963d\"",
            ">4.00 s</text>",
            "font-weight=\"bold\">crm_fdw</text>",
        ] {
            assert!(picture.contains(expected), "{expected}: {picture}");
        }
        assert!(!picture.contains("into a table"), "{picture}");
    }
}
