//! One export, stopped at every byte it writes.

use super::disk::Disk;
use crate::fingerprint::Fingerprint;
use crate::job::Job;
use crate::line::{Outcome, Signature};
use crate::record::{Claim, IntendedRecord, Unsettled};
use crate::recovered::Recovered;
use crm_core::{ErrorKind, Operation, Result, Value};
use std::collections::BTreeMap;

/// What is known of each record, by number: what a reader of the file must find.
pub type Known = BTreeMap<u32, Option<Outcome>>;

pub fn signature() -> Signature {
    Signature::new("s", "o", [Operation::Create], ["Name"])
}

pub fn fingerprint(value: u8) -> Fingerprint {
    let value = Value::Int(i64::from(value));
    Fingerprint::new(Operation::Create, "o", None, [("Name", Some(&value))])
}

pub fn record(number: u32) -> IntendedRecord {
    IntendedRecord {
        number,
        operation: Operation::Create,
        record: format!("{{\"Name\":\"{number}\"}}"),
        key: Some(format!("key-{number}")),
    }
}

pub fn open(disk: &Disk) -> Result<Job> {
    Job::on(Box::new(disk.clone()), "j", signature())
}

/// What the file says of each record, read as a listing reads it.
pub fn known(content: &[u8]) -> Known {
    let left = Recovered::read(Box::new(Disk::with(content)), Some("j"), |_, _| {}).unwrap();
    let numbers = 1..=left.index.last();
    numbers
        .filter_map(|number| Some((number, left.index.get(number)?)))
        .map(|(number, (status, _, place))| {
            let outcome = (status != crate::index::Status::Sent).then(|| {
                let element: crate::line::OutcomeElement = left.log.value_at(place).unwrap();
                assert_eq!(element.n, number);
                element.outcome
            });
            (number, outcome)
        })
        .collect()
}

fn accepted(number: u32) -> Outcome {
    Outcome::Accepted {
        id: format!("id-{number}"),
    }
}

/// An export in two batches, the second in a remote job, with every outcome there is.
/// `durable` is what is promised once each call returned.
fn export(disk: &Disk, durable: &mut Known) -> Result<()> {
    let mut job = open(disk)?;
    for value in [1, 1, 2, 3, 4, 5, 6, 7] {
        job.claim(fingerprint(value))?;
    }
    job.intend(&(1..=6).map(record).collect::<Vec<_>>(), None)?;
    assert!(disk.is_flushed());
    durable.extend((1..=6).map(|number| (number, None)));
    let rejected = Outcome::Rejected {
        code: "BAD".to_owned(),
        message: "no".to_owned(),
    };
    let reason = || "lost".to_owned();
    let outcomes = [
        (1, accepted(1)),
        (2, rejected),
        (3, Outcome::NotApplied { reason: reason() }),
        (4, Outcome::Unknown { reason: reason() }),
    ];
    job.outcomes(&outcomes)?;
    assert!(disk.is_flushed());
    durable.extend(outcomes.map(|(number, outcome)| (number, Some(outcome))));
    job.intend(&[record(7), record(8)], None)?;
    assert!(disk.is_flushed());
    durable.extend([(7, None), (8, None)]);
    job.attach_ticket("750", &[7, 8])?;
    assert!(disk.is_flushed());
    job.outcomes(&[(7, accepted(7))])?;
    assert!(disk.is_flushed());
    durable.insert(7, Some(accepted(7)));
    job.finish()?;
    assert!(disk.is_flushed());
    Ok(())
}

#[test]
fn a_crash_at_any_byte_leaves_what_was_durable() {
    let whole = Disk::default();
    let mut all = Known::new();
    export(&whole, &mut all).unwrap();
    assert_eq!(known(&whole.content()), all);
    for room in 0..whole.len() {
        let disk = Disk::default();
        disk.set_room(Some(room));
        disk.fail_truncate(true);
        let mut durable = Known::new();
        let error = export(&disk, &mut durable).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFailed);
        assert_eq!(known(&disk.content()), durable, "stopped at byte {room}");

        // The next run goes on from there, and nothing accepted is sent again.
        disk.set_room(None);
        disk.fail_truncate(false);
        let mut job = open(&disk).unwrap();
        for value in [1, 1, 2, 3, 4, 5, 6, 7] {
            let claim = job.claim(fingerprint(value)).unwrap();
            let number = claim.number();
            match (durable.get(&number), &claim) {
                (None, Claim::New { .. })
                | (Some(None | Some(Outcome::Unknown { .. })), Claim::Unknown { .. })
                | (Some(Some(Outcome::NotApplied { .. })), Claim::Again { .. })
                | (Some(Some(Outcome::Rejected { .. })), Claim::Rejected { .. }) => {}
                (Some(Some(Outcome::Accepted { id })), Claim::Accepted { id: given, .. }) => {
                    assert_eq!(id, given);
                    assert!(job.intend(&[record(number)], None).is_err());
                }
                other => panic!("stopped at byte {room}: {other:?}"),
            }
            if let Claim::New { .. } = claim {
                job.intend(&[record(number)], None).unwrap();
            } else {
                assert_eq!(job.intent(number).unwrap().key, record(number).key);
            }
        }
        assert_eq!(job.counts().recorded, 8);
    }
}

#[test]
fn a_full_disk_leaves_the_job_usable_once_there_is_room() {
    let whole = Disk::default();
    export(&whole, &mut Known::new()).unwrap();
    let disk = Disk::default();
    let mut job = open(&disk).unwrap();
    job.claim(fingerprint(1)).unwrap();
    let before = disk.content();
    // Every place a write may stop at, and one where it does not.
    for room in 0.. {
        disk.set_room(Some(room));
        match job.intend(&[record(1)], Some("750")) {
            Ok(()) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StorageFailed);
                assert!(error.hint().is_some(), "{error}");
                assert_eq!(disk.content(), before, "room for {room}");
            }
        }
    }
    assert!(disk.len() > before.len() + 100);
    disk.set_room(None);
    job.outcomes(&[(1, accepted(1))]).unwrap();
    assert_eq!(known(&disk.content())[&1], Some(accepted(1)));
}

#[test]
fn what_cannot_be_flushed_is_taken_back() {
    let disk = Disk::default();
    let mut job = open(&disk).unwrap();
    job.claim(fingerprint(1)).unwrap();
    disk.fail_sync(true);
    assert!(job.intend(&[record(1)], None).is_err());
    disk.fail_sync(false);
    // Taking it back could not be flushed either, so what is on the disk is not known.
    let error = job.intend(&[record(1)], None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFailed);
    assert!(
        error.message().contains("after an earlier failure"),
        "{error}"
    );
    drop(job);
    let mut job = open(&disk).unwrap();
    assert_eq!(job.claim(fingerprint(1)).unwrap(), Claim::New { number: 1 });
    job.intend(&[record(1)], None).unwrap();
}

#[test]
fn a_lost_outcome_leaves_the_record_unknown_with_its_ticket() {
    let disk = Disk::default();
    let mut job = open(&disk).unwrap();
    for value in 1..=3 {
        job.claim(fingerprint(value)).unwrap();
    }
    job.intend(&[record(1), record(2)], Some("750")).unwrap();
    job.intend(&[record(3)], None).unwrap();
    disk.set_room(Some(0));
    assert!(job.outcomes(&[(1, accepted(1))]).is_err());
    disk.set_room(None);
    drop(job);
    let job = open(&disk).unwrap();
    let groups = [(None, vec![3]), (Some("750".to_owned()), vec![1, 2])];
    let groups = groups.map(|(ticket, numbers)| Unsettled { ticket, numbers });
    assert_eq!(job.unsettled(), groups);
}

#[test]
fn a_record_sent_again_leaves_its_old_ticket() {
    let disk = Disk::default();
    let mut job = open(&disk).unwrap();
    job.claim(fingerprint(1)).unwrap();
    job.intend(&[record(1)], Some("750")).unwrap();
    let reason = String::new();
    job.outcomes(&[(1, Outcome::NotApplied { reason })])
        .unwrap();
    job.intend(&[record(1)], None).unwrap();
    for job in [job, open(&disk).unwrap()] {
        let tickets: Vec<_> = job
            .unsettled()
            .into_iter()
            .map(|group| group.ticket)
            .collect();
        assert_eq!(tickets, [None]);
    }
}

#[test]
fn a_crash_between_the_lines_of_a_large_batch_leaves_none_of_it() {
    let disk = Disk::default();
    let mut job = open(&disk).unwrap();
    let records: Vec<_> = (1..=50)
        .map(|value| record(job.claim(fingerprint(value)).unwrap().number()))
        .collect();
    let before = disk.len();
    job.intend(&records, None).unwrap();
    drop(job);
    let content = disk.content();
    let ends: Vec<_> = (before..content.len())
        .filter(|place| content[*place] == b'\n')
        .collect();
    assert!(ends.len() > 5);
    let (last, others) = ends.split_last().unwrap();
    for end in others {
        let disk = Disk::with(&content[..=*end]);
        assert_eq!(open(&disk).unwrap().counts().recorded, 0);
        assert_eq!(disk.len(), before);
    }
    let job = open(&Disk::with(&content[..=*last])).unwrap();
    assert_eq!(job.unsettled()[0].numbers, (1..=50).collect::<Vec<_>>());
}

#[test]
fn harm_is_an_error_unless_it_is_at_the_end() {
    let disk = Disk::default();
    export(&disk, &mut Known::new()).unwrap();
    let content = disk.content();
    let last_line = content[..content.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    let whole = known(&content);
    for place in 0..content.len() {
        for bit in [0x01, 0x10, 0x80] {
            let mut harmed = content.clone();
            harmed[place] ^= bit;
            let read = Recovered::read(Box::new(Disk::with(&harmed)), Some("j"), |_, _| {});
            match read {
                Err(error) => assert_eq!(error.kind(), ErrorKind::StorageCorrupt),
                Ok(_) if place < last_line => panic!("harm at byte {place} was not seen"),
                // The last line of this export says that it is committed; no record hangs on it.
                Ok(left) => {
                    assert!(
                        !left.index.is_committed(),
                        "harm at byte {place} was not seen"
                    );
                    assert_eq!(known(&harmed), whole);
                }
            }
        }
    }
}

#[test]
fn a_missing_line_is_harm() {
    let disk = Disk::default();
    export(&disk, &mut Known::new()).unwrap();
    let content = disk.content();
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines.len() > 5);
    for missing in 0..lines.len() - 1 {
        let mut rest = lines.clone();
        rest.remove(missing);
        let error = open(&Disk::with(&rest.concat())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageCorrupt, "line {missing}");
    }
}

#[test]
fn zeros_at_the_end_are_cut_off() {
    // Some file systems give a file its length before its content when the power fails.
    let disk = Disk::default();
    let mut durable = Known::new();
    export(&disk, &mut durable).unwrap();
    let mut content = disk.content();
    content.extend_from_slice(&[0; 5000]);
    let disk = Disk::with(&content);
    open(&disk).unwrap();
    assert_eq!(known(&disk.content()), durable);
    assert_eq!(disk.len(), content.len() - 5000);
}
