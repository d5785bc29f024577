//! Random histories of a job over several openings, cut off at every byte.

use super::crash::{Known, fingerprint, known, open, record};
use super::disk::Disk;
use crate::job::Job;
use crate::line::Outcome;
use crate::record::Claim;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One thing an exporter does.
#[derive(Clone, Debug)]
enum Step {
    /// Claims records with these values, and sends those that may be sent.
    Batch(Vec<u8>, Option<u8>),
    /// Tells the outcome of an open record: which one, and what.
    Settle(prop::sample::Index, Outcome),
    Ticket(u8),
    Finish,
    Reopen,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = "[a-z\"\\\\é\n]{0,4}";
    prop_oneof![
        3 => text.prop_map(|id| Outcome::Accepted { id }),
        1 => (text, text).prop_map(|(code, message)| Outcome::Rejected { code, message }),
        1 => text.prop_map(|reason| Outcome::NotApplied { reason }),
        1 => text.prop_map(|reason| Outcome::Unknown { reason }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::vec(0_u8..4, 1..6), prop::option::of(0_u8..3))
            .prop_map(|(values, ticket)| Step::Batch(values, ticket)),
        6 => (any::<prop::sample::Index>(), outcome()).prop_map(|(which, what)| Step::Settle(which, what)),
        1 => (0_u8..3).prop_map(Step::Ticket),
        1 => Just(Step::Finish),
        2 => Just(Step::Reopen),
    ]
}

/// What the test knows of the job by itself.
#[derive(Clone, Default)]
struct Model {
    known: Known,
    values: BTreeMap<u32, u8>,
    /// Claims of this opening, by value.
    claimed: BTreeMap<u8, BTreeSet<u32>>,
    next: u32,
}

impl Model {
    fn open(&self) -> Vec<u32> {
        let is_open =
            |outcome: &Option<Outcome>| matches!(outcome, None | Some(Outcome::Unknown { .. }));
        self.known
            .iter()
            .filter(|(_, outcome)| is_open(outcome))
            .map(|(number, _)| *number)
            .collect()
    }

    /// The number that the next claim of `value` must give, if it is an old one.
    fn expected(&self, value: u8) -> Option<u32> {
        let none = BTreeSet::new();
        let claimed = self.claimed.get(&value).unwrap_or(&none);
        let mut equal = self
            .known
            .keys()
            .filter(|number| self.values[*number] == value);
        equal.find(|number| !claimed.contains(number)).copied()
    }

    fn claim(&mut self, job: &mut Job, value: u8) -> Claim {
        let expected = self.expected(value);
        let claim = job.claim(fingerprint(value)).unwrap();
        let number = claim.number();
        match expected {
            Some(expected) => assert_eq!(number, expected),
            None => {
                self.next += 1;
                assert_eq!(claim, Claim::New { number: self.next });
            }
        }
        self.values.insert(number, value);
        assert!(self.claimed.entry(value).or_default().insert(number));
        claim
    }
}

/// Runs a history; returns after each durable step the length of the file and what was known then.
fn run(steps: &[Step], disk: &Disk) -> Vec<(usize, Known)> {
    let mut job = open(disk).unwrap();
    let mut model = Model::default();
    let mut moments = vec![(0, Known::new()), (disk.len(), Known::new())];
    for step in steps {
        match step {
            Step::Batch(values, ticket) => {
                let mut batch = Vec::new();
                for value in values {
                    let claim = model.claim(&mut job, *value);
                    let number = claim.number();
                    match &claim {
                        Claim::New { .. } => assert!(!model.known.contains_key(&number)),
                        Claim::Accepted { id, .. } => {
                            assert_eq!(
                                model.known[&number],
                                Some(Outcome::Accepted { id: id.clone() })
                            );
                            continue;
                        }
                        Claim::Unknown { .. } => {
                            assert!(model.open().contains(&number));
                            continue;
                        }
                        Claim::Again { .. } | Claim::Rejected { .. } => {
                            assert!(!model.open().contains(&number));
                        }
                    }
                    batch.push(record(number));
                }
                let ticket = ticket.map(|ticket| ticket.to_string());
                job.intend(&batch, ticket.as_deref()).unwrap();
                model
                    .known
                    .extend(batch.iter().map(|record| (record.number, None)));
            }
            Step::Settle(which, what) => {
                let open = model.open();
                if open.is_empty() {
                    continue;
                }
                let number = *which.get(&open);
                job.outcomes(&[(number, what.clone())]).unwrap();
                model.known.insert(number, Some(what.clone()));
            }
            Step::Ticket(ticket) => job
                .attach_ticket(&ticket.to_string(), &model.open())
                .unwrap(),
            Step::Finish => {
                let is_finished = job.finish().unwrap();
                assert!(!is_finished || model.open().is_empty());
                if is_finished {
                    // Another opening would start anew.
                    moments.push((disk.len(), model.known.clone()));
                    break;
                }
            }
            Step::Reopen => {
                drop(job);
                job = open(disk).unwrap();
                model.claimed.clear();
                model.next = model.known.keys().last().copied().unwrap_or(0);
                let mut unsettled: Vec<u32> = job
                    .unsettled()
                    .into_iter()
                    .flat_map(|group| group.numbers)
                    .collect();
                unsettled.sort_unstable();
                assert_eq!(unsettled, model.open());
            }
        }
        moments.push((disk.len(), model.known.clone()));
    }
    moments
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_history_cut_at_any_byte_is_a_shorter_history(steps in prop::collection::vec(step(), 1..25)) {
        let disk = Disk::default();
        let moments = run(&steps, &disk);
        let content = disk.content();
        for cut in 0..=content.len() {
            let durable = moments.iter().rev().find(|(length, _)| *length <= cut).unwrap();
            prop_assert_eq!(&known(&content[..cut]), &durable.1, "cut at byte {}", cut);
        }
    }

    #[test]
    fn a_job_goes_on_after_any_cut(steps in prop::collection::vec(step(), 1..25), cut in any::<prop::sample::Index>()) {
        let disk = Disk::default();
        run(&steps, &disk);
        let cut = cut.index(disk.len() + 1);
        let disk = Disk::with(&disk.content()[..cut]);
        let before = known(&disk.content());
        let mut job = open(&disk).unwrap();
        let claim = job.claim(fingerprint(200)).unwrap();
        job.intend(&[record(claim.number())], None).unwrap();
        let mut after = before;
        prop_assert!(after.insert(claim.number(), None).is_none());
        prop_assert_eq!(known(&disk.content()), after);
    }
}
