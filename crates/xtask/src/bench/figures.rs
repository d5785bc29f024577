//! What was measured, and the arithmetic on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One run of one contestant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// From the word to begin to the word that all is done.
    pub wall: Duration,
    /// Processor time of the contestant's own processes.
    pub client: Duration,
    /// Processor time of PostgreSQL.
    pub server: Duration,
    /// Processor time of the sandbox.
    pub sandbox: Duration,
    /// Bytes that the contestant's processes and its sessions in PostgreSQL grew by.
    pub memory: u64,
    /// Requests for records.
    pub calls: u64,
    /// Bytes of all answers.
    pub bytes: u64,
    /// Load of the machine when it began.
    pub load: f64,
}

impl Sample {
    /// Processor time of all but the sandbox.
    pub fn cpu(&self) -> Duration {
        self.client + self.server
    }
}

/// All runs of one contestant in one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// The contestant.
    pub name: String,
    /// Rows that each run brought.
    pub rows: u64,
    /// Its runs; empty where it was left out.
    pub samples: Vec<Sample>,
    /// Why it was left out, if it was.
    pub left_out: Option<String>,
}

impl Series {
    /// The median of a figure, unless there is none.
    pub fn median(&self, figure: impl Fn(&Sample) -> f64) -> Option<f64> {
        median(self.samples.iter().map(figure).collect())
    }

    /// Median seconds from begin to end.
    pub fn wall(&self) -> Option<f64> {
        self.median(|sample| sample.wall.as_secs_f64())
    }

    /// Median seconds of processor time without the sandbox's.
    pub fn cpu(&self) -> Option<f64> {
        self.median(|sample| sample.cpu().as_secs_f64())
    }

    /// How far the runs lie apart: the difference of slowest and quickest as a share of the median.
    pub fn spread(&self) -> Option<f64> {
        let walls = self.samples.iter().map(|sample| sample.wall.as_secs_f64());
        let most = walls.clone().fold(0.0, f64::max);
        let least = walls.fold(f64::INFINITY, f64::min);
        Some((most - least) / self.wall()?)
    }
}

/// The middle value; of an even number of values the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// How much of the shorter of two parts was hidden behind the longer: 0 when they ran one after the other, 1 when only
/// the longer can be seen.
pub fn overlap(one: f64, other: f64, together: f64) -> f64 {
    (one + other - together) / one.min(other)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A run of so many milliseconds on the wall and on the processor.
    pub fn sample(wall_ms: u64, cpu_ms: u64) -> Sample {
        Sample {
            wall: Duration::from_millis(wall_ms),
            client: Duration::from_millis(cpu_ms),
            server: Duration::ZERO,
            sandbox: Duration::from_millis(1),
            memory: 3 << 20,
            calls: 5,
            bytes: 8_000_000,
            load: 0.5,
        }
    }

    /// A contestant's runs.
    pub fn series(name: &str, rows: u64, samples: Vec<Sample>) -> Series {
        Series {
            name: name.to_owned(),
            rows,
            samples,
            left_out: None,
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 200.0]), Some(3.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn the_spread_is_a_share_of_the_median() {
        let runs = series("x", 1, vec![sample(100, 1), sample(90, 1), sample(140, 1)]);
        assert!((runs.spread().unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(series("x", 1, vec![]).spread(), None);
    }

    #[test]
    fn overlap_is_none_one_after_the_other_and_whole_when_hidden() {
        assert_eq!(overlap(2.0, 1.0, 3.0), 0.0);
        assert_eq!(overlap(2.0, 1.0, 2.0), 1.0);
        assert_eq!(overlap(2.0, 1.0, 2.5), 0.5);
    }
}
