//! A second process: while it lives the job is its own; killed, it leaves everything it was promised.
//! The program starts itself with the folder as its argument to be that process.

use crm_core::{ErrorKind, Operation, Value};
use crm_journal::{
    Claim, Directory, Fingerprint, IntendedRecord, Job, JobState, Outcome, Signature,
};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

const FOLDER: &str = "CRM_JOURNAL_TEST_FOLDER";
const N_RECORDS: u32 = 500;

fn open(directory: &Directory) -> crm_core::Result<Job> {
    Job::open(
        directory,
        "nightly",
        Signature::new("s", "o", [Operation::Create], ["x"]),
    )
}

fn fingerprint(value: u32) -> Fingerprint {
    let value = Value::Int(value.into());
    Fingerprint::new(Operation::Create, "o", None, [("x", Some(&value))])
}

/// Sends records and says each step on its output, until it is killed.
fn export(directory: &Directory) {
    let mut job = open(directory).unwrap();
    let mut output = std::io::stdout();
    let mut say = |text: String| {
        writeln!(output, "{text}").unwrap();
        output.flush().unwrap();
    };
    for value in 1..=N_RECORDS {
        let number = job.claim(fingerprint(value)).unwrap().number();
        let record = IntendedRecord {
            number,
            operation: Operation::Create,
            record: "{}".to_owned(),
            key: None,
        };
        job.intend(&[record], None).unwrap();
        say(format!("sent {number}"));
        let id = number.to_string();
        job.outcomes(&[(number, Outcome::Accepted { id })]).unwrap();
        say(format!("done {number}"));
    }
    say("all".to_owned());
    // Lives until the other side is gone or kills it.
    let mut nothing = String::new();
    std::io::stdin().read_line(&mut nothing).unwrap();
}

fn kill_after(n_steps: usize) {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::new(folder.path()).unwrap();
    let mut other = Command::new(std::env::current_exe().unwrap())
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut steps = BufReader::new(other.stdout.take().unwrap()).lines();
    let mut said: Vec<String> = steps.by_ref().take(n_steps).map(Result::unwrap).collect();

    let error = open(&directory).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RecordLocked, "{error}");
    assert!(error.message().contains("\"nightly\""), "{error}");
    assert_eq!(
        directory.forget("nightly").unwrap_err().kind(),
        ErrorKind::RecordLocked
    );
    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Running);

    other.kill().unwrap();
    other.wait().unwrap();
    // What it said while it was being killed counts too; a line may be cut off.
    said.extend(steps.map_while(Result::ok));

    assert_eq!(directory.jobs().unwrap()[0].state, JobState::Interrupted);
    let mut job = open(&directory).unwrap();
    let was_said = |what: &str, number: u32| said.contains(&format!("{what} {number}"));
    for value in 1..=N_RECORDS {
        match job.claim(fingerprint(value)).unwrap() {
            Claim::Accepted { number, id } => {
                assert_eq!((number, id), (value, value.to_string()));
                assert!(
                    was_said("sent", value),
                    "record {value} was accepted and never sent"
                );
            }
            Claim::Unknown { .. } => {
                assert!(!was_said("done", value), "outcome of {value} is lost")
            }
            Claim::New { .. } => assert!(
                !was_said("sent", value),
                "record {value} would be sent twice"
            ),
            claim => panic!("{claim:?}"),
        }
    }
    println!("killed after {n_steps} steps ... ok");
}

fn main() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        export(&Directory::new(folder).unwrap());
        return;
    }
    for n_steps in [1, 2, 7, 100, 501, 2 * N_RECORDS as usize + 1] {
        kill_after(n_steps);
    }
}
