//! Says what a journal costs: bytes of file and memory for each record, and the time of each step.
//! `cargo run --release -p crm-journal --example measure -- 1000000 200`: records, and records for each batch.

use crm_core::{Operation, Result, Value};
use crm_journal::{Claim, Directory, Fingerprint, IntendedRecord, Job, Outcome, Signature};
use std::time::Instant;

fn main() -> Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<usize>());
    let mut next = |default| {
        arguments
            .next()
            .map_or(default, |number| number.expect("a number"))
    };
    let (n_records, batch) = (next(100_000), next(200));
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let directory = Directory::new(folder.path())?;

    let start = Instant::now();
    let mut job = open(&directory)?;
    let numbers: Vec<usize> = (0..n_records).collect();
    for numbers in numbers.chunks(batch) {
        let mut records = Vec::with_capacity(batch);
        for n in numbers {
            records.push(IntendedRecord {
                number: job.claim(fingerprint(*n))?.number(),
                operation: Operation::Create,
                record: format!("{{\"LastName\":\"{n:08}\",\"Description\":\"{:0>66}\"}}", n),
                key: None,
            });
        }
        job.intend(&records, None)?;
        let outcomes: Vec<_> = records
            .iter()
            .map(|record| {
                (
                    record.number,
                    Outcome::Accepted {
                        id: format!("003{:015}", record.number),
                    },
                )
            })
            .collect();
        job.outcomes(&outcomes)?;
    }
    drop(job);
    said("sent", start);
    let bytes: u64 = std::fs::read_dir(folder.path())
        .expect("the folder is there")
        .map(|entry| {
            entry
                .and_then(|entry| entry.metadata())
                .expect("the file is there")
                .len()
        })
        .sum();
    println!(
        "{:.1} bytes of file for each record",
        bytes as f64 / n_records as f64
    );

    let before = resident();
    let start = Instant::now();
    let mut job = open(&directory)?;
    said("opened again", start);
    println!(
        "{:.1} bytes of memory for each record",
        (resident() - before) as f64 / n_records as f64
    );

    let start = Instant::now();
    for n in 0..n_records {
        assert!(matches!(job.claim(fingerprint(n))?, Claim::Accepted { .. }));
    }
    said("claimed again", start);
    drop(job);

    let start = Instant::now();
    assert_eq!(directory.records("measure")?.count(), n_records);
    said("listed", start);
    println!(
        "at most {:.1} MiB resident",
        status("VmHWM") as f64 / 1048576.0
    );
    Ok(())
}

fn open(directory: &Directory) -> Result<Job> {
    let columns = ["LastName", "Description"];
    Job::open(
        directory,
        "measure",
        Signature::new("s", "Contact", [Operation::Create], columns),
    )
}

fn fingerprint(n: usize) -> Fingerprint {
    let (name, text) = (
        Value::Text(format!("{n:08}")),
        Value::Text(format!("{n:0>66}")),
    );
    let fields = [("LastName", Some(&name)), ("Description", Some(&text))];
    Fingerprint::new(Operation::Create, "Contact", None, fields)
}

fn said(what: &str, start: Instant) {
    println!("{what} in {:.2} s", start.elapsed().as_secs_f64());
}

fn resident() -> usize {
    status("VmRSS")
}

/// A number of bytes that the kernel tells of this process.
fn status(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status
        .lines()
        .find(|line| line.starts_with(what))
        .expect("Linux tells it");
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<usize>().expect("digits are a number") * 1024
}
