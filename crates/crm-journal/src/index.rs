//! What is kept in memory of a job: for each record its fingerprint, its status and the place of its line.
//! Everything else stays in the file. Memory changes by reading lines only, those just written too, so that it
//! cannot differ from what the next opening finds.

use crate::fingerprint::Fingerprint;
use crate::line::{Line, Outcome, OutcomeElement, SentMark};
use hashbrown::HashTable;
use std::collections::HashMap;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// No record has this number.
    Vacant,
    /// It got its number in this opening; nothing is kept of it yet.
    Claimed,
    /// Its intent is kept, in this opening.
    Sent,
    /// Its intent was kept by an earlier opening, and no outcome.
    Lost,
    /// The CRM has it.
    Accepted,
    /// The CRM refuses it.
    Rejected,
    /// Known not to be applied.
    NotApplied,
    /// Nobody knows, and somebody said so.
    Unknown,
}

const STATUSES: [Status; 8] = [
    Status::Vacant,
    Status::Claimed,
    Status::Sent,
    Status::Lost,
    Status::Accepted,
    Status::Rejected,
    Status::NotApplied,
    Status::Unknown,
];

/// Numbers of records by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that were sent, or were about to be.
    pub recorded: u64,
    /// The CRM has them.
    pub accepted: u64,
    /// The CRM refuses them.
    pub rejected: u64,
    /// Known not to be applied: sent again by the next run.
    pub pending: u64,
    /// Nobody knows. While the job runs these are the records under way.
    pub unknown: u64,
}

/// 32 bytes; a million records take 32 MiB and their table 10.
#[derive(Clone, Copy)]
struct Entry {
    fingerprint: Fingerprint,
    /// From the high end: whether it is claimed (1 bit), the status (7 bits), the place of its latest element (56).
    word: u64,
    /// The next record with an equal fingerprint, or 0.
    next: u32,
    /// Its ticket, counted from 1, or 0.
    ticket: u32,
}

const CLAIMED: u64 = 1 << 63;
const STATUS_SHIFT: u32 = 56;
const PLACE: u64 = (1 << STATUS_SHIFT) - 1;

impl Entry {
    const VACANT: Self = Self {
        fingerprint: Fingerprint(0),
        word: 0,
        next: 0,
        ticket: 0,
    };

    fn status(&self) -> Status {
        STATUSES[(self.word >> STATUS_SHIFT & 0x7f) as usize]
    }

    fn place(&self) -> u64 {
        self.word & PLACE
    }

    fn set(&mut self, status: Status, place: u64) {
        debug_assert!(place <= PLACE);
        self.word = self.word & CLAIMED | (status as u64) << STATUS_SHIFT | place;
    }
}

/// The records of a job.
#[derive(Default)]
pub(crate) struct Index {
    /// Record number n is at n − 1.
    entries: Vec<Entry>,
    /// By fingerprint the number that the next claim gets, or the last of them if all are claimed.
    heads: HashTable<u32>,
    tickets: Vec<String>,
    ticket_numbers: HashMap<String, u32>,
    /// The line that says that the statement's transaction committed is there, and how many records it left.
    ended: Option<u32>,
    ended_at: Option<i64>,
}

impl Index {
    /// Takes a line that is on the disk at `place`; `bytes` is what it was read from.
    ///
    /// # Errors
    /// What is wrong with a line that contradicts the earlier ones.
    pub fn take(&mut self, bytes: &[u8], line: &Line<'_>, place: u64) -> Result<(), String> {
        let place_of =
            |element: &str| place + (element.as_ptr() as usize - bytes.as_ptr() as usize) as u64;
        for element in &line.sent {
            let mark: SentMark<'_> = parse(element.get())?;
            self.take_sent(&mark, place_of(element.get()))?;
        }
        if let Some(ticket) = &line.ticket {
            let number = self.ticket_number(&ticket.id);
            for (first, last) in &ticket.of {
                for n in *first..=*last {
                    self.known(n)?.ticket = number;
                }
            }
        }
        for element in &line.outcomes {
            let outcome: OutcomeElement = parse(element.get())?;
            self.take_outcome(&outcome, place_of(element.get()))?;
        }
        if let Some(end) = &line.end {
            self.ended = Some(end.pending);
            self.ended_at = Some(line.at);
        }
        Ok(())
    }

    fn take_sent(&mut self, mark: &SentMark<'_>, place: u64) -> Result<(), String> {
        let fingerprint = Fingerprint::from_text(mark.digest).ok_or("a digest is not one")?;
        let index = (mark.n as usize)
            .checked_sub(1)
            .ok_or("a record has number 0")?;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::VACANT);
        }
        let entry = &mut self.entries[index];
        match entry.status() {
            Status::Vacant => entry.fingerprint = fingerprint,
            Status::Accepted => return Err(format!("record {} is accepted already", mark.n)),
            _ if entry.fingerprint != fingerprint => {
                return Err(format!("record {} is another one", mark.n));
            }
            _ => {}
        }
        entry.set(Status::Sent, place);
        // A ticket of an earlier try says nothing about this one.
        entry.ticket = 0;
        self.ended = None;
        Ok(())
    }

    fn take_outcome(&mut self, element: &OutcomeElement, place: u64) -> Result<(), String> {
        let status = match element.outcome {
            Outcome::Accepted { .. } => Status::Accepted,
            Outcome::Rejected { .. } => Status::Rejected,
            Outcome::NotApplied { .. } => Status::NotApplied,
            Outcome::Unknown { .. } => Status::Unknown,
        };
        let entry = self.known(element.n)?;
        if !is_open(entry.status()) {
            return Err(format!("record {} is not open", element.n));
        }
        entry.set(status, place);
        if status == Status::NotApplied
            && let Some(pending) = &mut self.ended
        {
            *pending += 1;
        }
        Ok(())
    }

    fn known(&mut self, number: u32) -> Result<&mut Entry, String> {
        (number as usize)
            .checked_sub(1)
            .and_then(|index| self.entries.get_mut(index))
            .filter(|entry| !matches!(entry.status(), Status::Vacant | Status::Claimed))
            .ok_or_else(|| format!("record {number} is not known"))
    }

    fn ticket_number(&mut self, id: &str) -> u32 {
        if let Some(number) = self.ticket_numbers.get(id) {
            return *number;
        }
        self.tickets.push(id.to_owned());
        let number =
            u32::try_from(self.tickets.len()).expect("there are fewer tickets than records");
        self.ticket_numbers.insert(id.to_owned(), number);
        number
    }

    /// Gives claimed records free again: the statement that claimed them was undone, and may run once more.
    pub fn release(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.entries[*number as usize - 1].word &= !CLAIMED;
        }
        self.make_claimable();
    }

    /// Makes records that nobody has claimed findable by fingerprint, equal ones in the order of their numbers. Those
    /// sent without an outcome are lost: nobody waits for it any more.
    pub fn make_claimable(&mut self) {
        self.heads.clear();
        for index in (0..self.entries.len()).rev() {
            self.entries[index].next = 0;
            if self.entries[index].status() == Status::Vacant
                || self.entries[index].word & CLAIMED != 0
            {
                continue;
            }
            if self.entries[index].status() == Status::Sent {
                let place = self.entries[index].place();
                self.entries[index].set(Status::Lost, place);
            }
            let number = index as u32 + 1;
            match self.head(self.entries[index].fingerprint) {
                Some(head) => {
                    let next = std::mem::replace(head, number);
                    self.entries[index].next = next;
                }
                None => self.add_head(number),
            }
        }
    }

    /// The number of the next record with this fingerprint, a new one if all are claimed.
    /// Nothing when there are as many records as there are numbers.
    pub fn claim(&mut self, fingerprint: Fingerprint) -> Option<u32> {
        let head = self.head(fingerprint).map(|head| *head);
        if let Some(number) = head {
            let entry = &mut self.entries[number as usize - 1];
            if entry.word & CLAIMED == 0 {
                entry.word |= CLAIMED;
                let next = entry.next;
                if next != 0 {
                    *self.head(fingerprint).expect("it was just found") = next;
                }
                return Some(number);
            }
        }
        let number = u32::try_from(self.entries.len() + 1).ok()?;
        let mut entry = Entry {
            fingerprint,
            ..Entry::VACANT
        };
        entry.set(Status::Claimed, 0);
        entry.word |= CLAIMED;
        self.entries.push(entry);
        match self.head(fingerprint) {
            Some(head) => *head = number,
            None => self.add_head(number),
        }
        Some(number)
    }

    fn head(&mut self, fingerprint: Fingerprint) -> Option<&mut u32> {
        let entries = &self.entries;
        self.heads.find_mut(hash(fingerprint), |number| {
            entries[*number as usize - 1].fingerprint == fingerprint
        })
    }

    fn add_head(&mut self, number: u32) {
        let entries = &self.entries;
        let hash_of = |number: &u32| hash(entries[*number as usize - 1].fingerprint);
        self.heads.insert_unique(hash_of(&number), number, hash_of);
    }

    /// Status, fingerprint and place of the latest element of a record, if there is one with this number.
    pub fn get(&self, number: u32) -> Option<(Status, Fingerprint, u64)> {
        let entry = self.entries.get((number as usize).checked_sub(1)?)?;
        (entry.status() != Status::Vacant)
            .then(|| (entry.status(), entry.fingerprint, entry.place()))
    }

    /// The ticket of a record.
    pub fn ticket(&self, number: u32) -> Option<&str> {
        let entry = self.entries.get((number as usize).checked_sub(1)?)?;
        let index = (entry.ticket as usize).checked_sub(1)?;
        Some(&self.tickets[index])
    }

    /// For each of `numbers`, which are in order: how many equal records of the same ticket come between the one of
    /// `numbers` before it and itself.
    pub fn equals_between(&self, numbers: &[u32]) -> Vec<u32> {
        let kind = |entry: &Entry| (entry.fingerprint.0, entry.ticket);
        let entries = numbers
            .iter()
            .map(|number| &self.entries[*number as usize - 1]);
        let mut passed: HashMap<_, u32> = entries.map(|entry| (kind(entry), 0)).collect();
        let mut wanted = numbers.iter().copied().peekable();
        let mut between = Vec::with_capacity(numbers.len());
        for (number, entry) in (1..).zip(&self.entries) {
            let Some(n_passed) = passed.get_mut(&kind(entry)) else {
                continue;
            };
            if wanted.next_if_eq(&number).is_some() {
                between.push(std::mem::take(n_passed));
            } else {
                *n_passed += 1;
            }
        }
        between
    }

    /// The highest number.
    pub fn last(&self) -> u32 {
        self.entries.len() as u32
    }

    /// The numbers of records that are open, in order.
    pub fn open(&self) -> impl Iterator<Item = u32> + '_ {
        (1..)
            .zip(&self.entries)
            .filter(|(_, entry)| is_open(entry.status()))
            .map(|(number, _)| number)
    }

    /// Numbers of records by status.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            match entry.status() {
                Status::Vacant | Status::Claimed => continue,
                Status::Accepted => counts.accepted += 1,
                Status::Rejected => counts.rejected += 1,
                Status::NotApplied => counts.pending += 1,
                Status::Sent | Status::Lost | Status::Unknown => counts.unknown += 1,
            }
            counts.recorded += 1;
        }
        counts
    }

    /// Records of this opening that are known not to be applied.
    pub fn pending_here(&self) -> u32 {
        let pending =
            |entry: &&Entry| entry.status() == Status::NotApplied && entry.word & CLAIMED != 0;
        self.entries.iter().filter(pending).count() as u32
    }

    /// Whether the statement's transaction committed after the last record was sent.
    pub fn is_committed(&self) -> bool {
        self.ended.is_some()
    }

    /// When it committed.
    pub fn committed_at(&self) -> Option<i64> {
        self.ended.and(self.ended_at)
    }

    /// Whether it committed and no record waits for anything.
    pub fn is_finished(&self) -> bool {
        self.ended == Some(0) && self.open().next().is_none()
    }
}

/// Whether nobody knows what became of a record.
pub(crate) fn is_open(status: Status) -> bool {
    matches!(status, Status::Sent | Status::Lost | Status::Unknown)
}

fn parse<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("an element has no known form: {error}"))
}

fn hash(fingerprint: Fingerprint) -> u64 {
    // A digest's bits are as good as any hash of them.
    fingerprint.0 as u64
}
