//! Random statements, stopped anywhere and run again until they end: the CRM then holds each record once.

use super::crm::{Fault, at_once, record, target};
use super::journal::Place;
use crate::journal::{RecordStatus, Settlement};
use crate::{Outcome, Record, Statement, Target};
use crm_core::CallStats;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One record of the source.
#[derive(Clone, Copy, Debug)]
enum Row {
    /// A new record; several may be equal.
    Create(u8),
    /// A change of a record of its own.
    Update,
    /// A key of its own.
    Upsert,
    /// A new record that the CRM refuses.
    Refused,
    /// One that a check refuses.
    TooLong,
}

#[derive(Clone, Copy, Debug)]
enum Key {
    None,
    Ours,
    /// Not a field that records can be upserted by.
    Plain,
    /// The record's identifier.
    Identifier,
}

#[derive(Clone, Debug)]
struct History {
    rows: Vec<Row>,
    faults: Vec<Fault>,
    key: Key,
    transport: Option<&'static str>,
    /// Rows sent together, in each run.
    groups: Vec<usize>,
    /// By how much the source is turned round, in each run.
    turns: Vec<usize>,
}

fn history() -> impl Strategy<Value = History> {
    let row = prop_oneof![
        5 => (0_u8..3).prop_map(Row::Create),
        2 => Just(Row::Update),
        2 => Just(Row::Upsert),
        1 => Just(Row::Refused),
        1 => Just(Row::TooLong),
    ];
    let fault = prop::sample::select(vec![
        Fault::None,
        Fault::Refused,
        Fault::LostAfter,
        Fault::LostBefore,
        Fault::DiesBefore,
        Fault::DiesNamed,
        Fault::DiesAfter,
    ]);
    let key = prop::sample::select(vec![Key::None, Key::Ours, Key::Plain, Key::Identifier]);
    let transport = prop::sample::select(vec![None, Some("calls"), Some("job")]);
    (
        prop::collection::vec(row, 1..14),
        prop::collection::vec(fault, 0..8),
        key,
        transport,
        prop::collection::vec(1_usize..14, 1..10),
        prop::collection::vec(0_usize..14, 1..10),
    )
        .prop_map(|(rows, faults, key, transport, groups, turns)| History {
            rows,
            faults,
            key,
            transport,
            groups,
            turns,
        })
}

impl History {
    fn target(&self) -> Target {
        Target {
            journal_key: match self.key {
                Key::None | Key::Identifier => None,
                Key::Ours => Some("Trace".into()),
                Key::Plain => Some("Note".into()),
            },
            takes_identifiers: matches!(self.key, Key::Identifier),
            transport: self.transport.map(str::to_owned),
            ..target(Statement::Insert, &["Name", "Code"])
        }
    }

    /// Nobody can tell what became of a create: then creates are told apart by name, so that the test can.
    fn is_blind(&self) -> bool {
        matches!(self.key, Key::None) && self.transport == Some("calls")
    }

    fn name(&self, at: usize) -> String {
        match self.rows[at] {
            Row::Create(value) if self.is_blind() => format!("new {value} {at}"),
            Row::Create(value) => format!("new {value}"),
            Row::Update | Row::Upsert => format!("row {at}"),
            Row::Refused => "refused".into(),
            Row::TooLong => "x".repeat(41),
        }
    }

    fn record(&self, at: usize, seeds: &BTreeMap<usize, String>) -> Record {
        let id = seeds.get(&at).map_or("", String::as_str);
        let code = match self.rows[at] {
            Row::Upsert => format!("code {at}"),
            _ => String::new(),
        };
        record(id, &[&self.name(at), &code])
    }
}

/// The outcomes of the run that ended, by place in the source; nothing where it stopped before.
fn run(
    history: &History,
    n_run: usize,
    place: &Place,
    seeds: &BTreeMap<usize, String>,
) -> Option<Vec<Outcome>> {
    let (mut exporter, job) = place.exporter(&history.target()).unwrap();
    let mut order: Vec<usize> = (0..history.rows.len()).collect();
    let n_turn = history.turns[n_run % history.turns.len()] % order.len();
    order.rotate_left(n_turn);
    let mut outcomes = vec![Outcome::NotApplied; order.len()];
    for group in order.chunks(history.groups[n_run % history.groups.len()]) {
        let records: Vec<_> = group.iter().map(|at| history.record(*at, seeds)).collect();
        let sent = at_once(exporter.send(&records, &CallStats::default()))?.unwrap();
        if sent.failure.is_some() {
            return None;
        }
        for (at, outcome) in group.iter().zip(sent.outcomes) {
            outcomes[*at] = outcome;
        }
    }
    // A run that left records out is rolled back: once a person settles the last one, a committed job would be finished,
    // and the next run a new export.
    if !outcomes.contains(&Outcome::Unsettled) {
        assert!(job.lock().finish().unwrap());
    }
    Some(outcomes)
}

fn check(history: &History) {
    let place = Place::new(history.faults.iter().copied());
    let mut seeds = BTreeMap::new();
    for (at, row) in history.rows.iter().enumerate() {
        if matches!(row, Row::Update) {
            seeds.insert(at, place.crm.add(&[("Name", "old")]));
        }
    }
    let mut n_run = 0;
    let outcomes = loop {
        // A fault stops a run, and what it left unknown may stop one more.
        assert!(n_run <= 2 * history.faults.len(), "it never ends");
        n_run += 1;
        let Some(outcomes) = run(history, n_run, &place, &seeds) else {
            continue;
        };
        if !outcomes.contains(&Outcome::Unsettled) {
            break outcomes;
        }
        assert!(history.is_blind(), "something could have told");
        settle(&place);
    };
    let mut crm = place.crm.records();
    for (at, outcome) in outcomes.iter().enumerate() {
        match (history.rows[at], outcome) {
            (Row::Refused, Outcome::Rejected(reject)) => assert_eq!(reject.symbol, "NO"),
            (Row::TooLong, Outcome::Rejected(reject)) => assert_eq!(reject.symbol, "LONG"),
            (Row::Create(_) | Row::Update | Row::Upsert, Outcome::Accepted { id, .. }) => {
                let held = crm.remove(id).expect("each record has an id of its own");
                assert_eq!(held["Name"], history.name(at));
            }
            (row, outcome) => panic!("{row:?}: {outcome:?}"),
        }
    }
    assert!(crm.is_empty(), "nothing was sent twice: {crm:?}");
}

/// A person looks each unknown record up and settles it.
fn settle(place: &Place) {
    let records: Vec<_> = place.directory.records("nightly").unwrap().collect();
    for record in records {
        let record = record.unwrap();
        if record.status != RecordStatus::Unknown {
            continue;
        }
        let shown: serde_json::Value = serde_json::from_str(&record.record).unwrap();
        let mut crm = place.crm.records().into_iter();
        let known = crm.find(|(_, fields)| shown["Name"] == fields["Name"].as_str());
        let settlement = match known {
            Some((id, _)) => Settlement::Accepted { id },
            None => Settlement::Resend,
        };
        place
            .directory
            .settle("nightly", record.number, settlement)
            .unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_there_once_and_its_id_comes_back(history in history()) {
        check(&history);
    }
}
