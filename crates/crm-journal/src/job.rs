//! An export job that this process holds: claims, intents, outcomes.
//! The order of calls is told in the crate's documentation.

use crate::directory::Directory;
use crate::fingerprint::Fingerprint;
use crate::index::{Counts, Index, Status, is_open};
use crate::line::{
    self, Begin, End, Line, Outcome, OutcomeElement, SentElement, Signature, TicketLine, VERSION,
};
use crate::log::{Log, Medium, Span, forget_hint, shown};
use crate::record::{Claim, IntendedRecord, Intent, Unsettled};
use crate::recovered::Recovered;
use crm_core::{Error, ErrorKind, Result};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Elements go into lines of about this many bytes, so that reading needs little memory.
const LINE_BYTES: usize = if cfg!(test) { 400 } else { 1 << 20 };

/// An export job, held by this process alone until it is dropped.
pub struct Job {
    name: String,
    signature: Signature,
    log: Log,
    index: Index,
    /// Numbers in the order of their claims in this opening.
    claims: Vec<u32>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Records are the user's data and not for logs.
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("signature", &self.signature)
            .finish_non_exhaustive()
    }
}

impl Job {
    /// Takes the job and reads what an earlier run left. A job that finished starts anew.
    ///
    /// # Errors
    /// [`ErrorKind::RecordLocked`] when somebody holds it, [`ErrorKind::OptionValue`] when an unfinished job of
    /// this name exports something else, [`ErrorKind::StorageCorrupt`] when its file is damaged otherwise than by
    /// a crash, [`ErrorKind::StorageFailed`] when the disk fails.
    pub fn open(directory: &Directory, name: &str, signature: Signature) -> Result<Self> {
        let file = directory.take_or_create(name)?;
        let job = Self::on(Box::new(file), name, signature.clone())?;
        if !job.index.is_finished() {
            return Ok(job);
        }
        // The old file stays locked until the new one is in its place.
        let file = directory.replace(name, &first_line(name, &signature))?;
        Self::on(Box::new(file), name, signature)
    }

    /// The job in `medium`, which nobody else holds. A finished one is returned as it is.
    pub(crate) fn on(medium: Box<dyn Medium>, name: &str, signature: Signature) -> Result<Self> {
        let mut left = Recovered::read(medium, Some(name), |_, _| {})?;
        let Some(begin) = left.begin.take() else {
            // Whatever of a first line is there, nothing was ever sent.
            left.log.cut()?;
            left.log.add(once(first_line(name, &signature)))?;
            return Ok(Self::of(left, name, signature));
        };
        if !left.index.is_finished() {
            check_signature(name, &begin.signature, &signature)?;
        }
        left.log.cut()?;
        Ok(Self::of(left, name, signature))
    }

    /// The job as it was left, for changing single records of it; nothing when it has no first line.
    pub(crate) fn resume(medium: Box<dyn Medium>, name: &str) -> Result<Option<Self>> {
        let mut left = Recovered::read(medium, Some(name), |_, _| {})?;
        let Some(begin) = left.begin.take() else {
            return Ok(None);
        };
        left.log.cut()?;
        Ok(Some(Self::of(left, name, begin.signature)))
    }

    fn of(left: Recovered, name: &str, signature: Signature) -> Self {
        let Recovered { log, mut index, .. } = left;
        index.make_claimable();
        Self {
            name: name.to_owned(),
            signature,
            log,
            index,
            claims: Vec::new(),
        }
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the job exports.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Numbers of records by what became of them.
    pub fn counts(&self) -> Counts {
        self.index.counts()
    }

    /// Says what is known of a record that the source gives.
    ///
    /// In one opening the n-th claim of a fingerprint is its n-th record, over all statements of the transaction.
    ///
    /// # Errors
    /// When the file cannot be read, and beyond 4,294,967,295 records.
    pub fn claim(&mut self, fingerprint: Fingerprint) -> Result<Claim> {
        let number = self.next_of(fingerprint)?;
        self.claims.push(number);
        let (status, _, place) = self.record(number)?;
        Ok(match status {
            Status::Vacant | Status::Claimed => Claim::New { number },
            Status::NotApplied => Claim::Again { number },
            Status::Sent | Status::Lost | Status::Unknown => Claim::Unknown {
                number,
                ticket: self.index.ticket(number).map(str::to_owned),
            },
            Status::Accepted | Status::Rejected => {
                match self.log.value_at::<OutcomeElement>(place)?.outcome {
                    Outcome::Accepted { id } => Claim::Accepted { number, id },
                    Outcome::Rejected { code, message } => Claim::Rejected {
                        number,
                        code,
                        message,
                    },
                    Outcome::NotApplied { .. } | Outcome::Unknown { .. } => {
                        return Err(self.misuse(number, "has another outcome than its line"));
                    }
                }
            }
        })
    }

    fn next_of(&mut self, fingerprint: Fingerprint) -> Result<u32> {
        self.index.claim(fingerprint).ok_or_else(|| {
            Error::new(
                ErrorKind::NotSupported,
                format!(
                    "export job \"{}\" cannot hold more records",
                    shown(&self.name)
                ),
            )
        })
    }

    /// A point to which claims can be given back; see [`Job::release_claims`].
    pub fn claim_mark(&self) -> usize {
        self.claims.len()
    }

    /// Gives back the claims made since `mark`: what made them was undone without the transaction ending, and the same
    /// records may be claimed again. What became of them stays known.
    pub fn release_claims(&mut self, mark: usize) {
        if mark < self.claims.len() {
            let released = self.claims.split_off(mark);
            self.index.release(&released);
        }
    }

    /// What was kept of a record before it was sent the last time.
    ///
    /// # Errors
    /// When nothing was kept of it, or the file cannot be read.
    pub fn intent(&self, number: u32) -> Result<Intent> {
        let place = self.intent_place(number)?;
        let element: SentElement = self.log.value_at(place)?;
        Ok(Intent {
            operation: element.op,
            record: element.record.get().to_owned(),
            key: element.key,
        })
    }

    /// Keeps records that are about to be sent. Only after it returns may they be sent.
    ///
    /// A record whose outcome is unknown may be sent again only where that cannot make a second one, by its key.
    /// Records that a check made here rejects can be kept with their batch, so that the list is complete.
    /// `ticket` is the remote job they travel in, if it is known by now.
    ///
    /// # Errors
    /// When the disk is full or fails: then nothing is kept and nothing may be sent. When a record is not claimed,
    /// is accepted already or under way, comes twice, or is no JSON document.
    pub fn intend(&mut self, records: &[IntendedRecord], ticket: Option<&str>) -> Result<()> {
        self.check_once(records.iter().map(|record| record.number))?;
        for record in records {
            self.check_sendable(record.number)?;
        }
        let at = now();
        let mut rest = records;
        let mut ticket = ticket.filter(|_| !records.is_empty());
        self.keep(|job, line| {
            let mut elements = Vec::new();
            let mut n_bytes = 0;
            while let [record, others @ ..] = rest {
                let element = job.sent_element(record)?;
                n_bytes += element.get().len();
                if n_bytes > LINE_BYTES && !elements.is_empty() {
                    break;
                }
                elements.push(element);
                rest = others;
            }
            let mut line = Line {
                line,
                at,
                ..Line::default()
            };
            if !elements.is_empty() {
                line.more = !rest.is_empty() || ticket.is_some();
                line.sent = elements.iter().map(|element| &**element).collect();
            } else if let Some(ticket) = ticket.take() {
                let numbers = records.iter().map(|record| record.number);
                line.ticket = Some(ticket_line(ticket, numbers));
            } else {
                return Ok(None);
            }
            Ok(Some(line::encode(&line)))
        })
        .map_err(|error| match error.detail() {
            None => error.with_detail("None of the records about to be sent was sent."),
            Some(_) => error,
        })
    }

    /// Keeps the name of the remote job that records travel in. Only after it returns may they be sent into it.
    ///
    /// # Errors
    /// When the disk is full or fails: then nothing may be sent. When a record is not open.
    pub fn attach_ticket(&mut self, ticket: &str, numbers: &[u32]) -> Result<()> {
        for number in numbers {
            self.open_record(*number)?;
        }
        if numbers.is_empty() {
            return Ok(());
        }
        self.keep_line(Line {
            ticket: Some(ticket_line(ticket, numbers.iter().copied())),
            ..Line::default()
        })
    }

    /// Keeps what became of records.
    ///
    /// # Errors
    /// When the disk is full or fails: then the records without a kept outcome stay unknown. When a record is not
    /// open.
    pub fn outcomes(&mut self, outcomes: &[(u32, Outcome)]) -> Result<()> {
        let mut elements = Vec::with_capacity(outcomes.len());
        for (number, outcome) in outcomes {
            self.open_record(*number)?;
            elements.push(raw(&OutcomeElement {
                n: *number,
                from: self.intent_place(*number)?,
                outcome: outcome.clone(),
            }));
        }
        self.check_once(outcomes.iter().map(|(number, _)| *number))?;
        // Line by line: each outcome that is on the disk is worth keeping if a later one fails.
        for group in groups(&elements) {
            self.keep_line(Line {
                outcomes: group.iter().map(|element| &**element).collect(),
                ..Line::default()
            })?;
        }
        Ok(())
    }

    /// Records whose outcome nobody knows, by the remote job they travelled in.
    pub fn unsettled(&self) -> Vec<Unsettled> {
        let mut by_ticket: BTreeMap<Option<&str>, Vec<u32>> = BTreeMap::new();
        for number in self.index.open() {
            by_ticket
                .entry(self.index.ticket(number))
                .or_default()
                .push(number);
        }
        by_ticket
            .into_iter()
            .map(|(ticket, numbers)| Unsettled {
                ticket: ticket.map(str::to_owned),
                numbers,
            })
            .collect()
    }

    /// For each of these records, in the order of their numbers: how many equal records of the same remote job come
    /// between it and the one before. A remote job tells equal records apart by their order alone, so whoever asks it
    /// for the n-th has to ask for those before it too.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn equals_between(&self, numbers: &[u32]) -> Result<Vec<u32>> {
        for number in numbers {
            self.record(*number)?;
        }
        Ok(self.index.equals_between(numbers))
    }

    /// Says that the statement's transaction committed.
    ///
    /// The job is finished, and `true` returned, if every outcome is known and no record of this opening was left
    /// over; rejected records do not count. Else it stays unfinished, so that the next run sends what is left, and
    /// nothing else, again.
    ///
    /// # Errors
    /// When the disk is full or fails: the job stays unfinished.
    pub fn finish(&mut self) -> Result<bool> {
        self.keep_line(Line {
            end: Some(End {
                pending: self.index.pending_here(),
            }),
            ..Line::default()
        })?;
        Ok(self.index.is_finished())
    }

    fn keep_line(&mut self, line: Line<'_>) -> Result<()> {
        let mut line = Some(line);
        self.keep(|_, number| {
            Ok(line.take().map(|line| {
                line::encode(&Line {
                    line: number,
                    at: now(),
                    ..line
                })
            }))
        })
    }

    /// Puts the lines of a call on the disk, then takes them into memory by reading them.
    fn keep(
        &mut self,
        mut next: impl FnMut(&Unsent<'_>, u64) -> Result<Option<Vec<u8>>>,
    ) -> Result<()> {
        let unsent = Unsent {
            name: &self.name,
            index: &self.index,
        };
        let spans = self.log.add(|number| next(&unsent, number))?;
        for span in spans {
            if let Err(error) = self.take_back(&span) {
                // What is on the disk and what is in memory differ: only another opening can tell.
                self.log.poison();
                return Err(error);
            }
        }
        Ok(())
    }

    fn take_back(&mut self, span: &Span) -> Result<()> {
        let bytes = self.log.bytes_of(span)?;
        let line = bytes.strip_suffix(b"\n").map(line::decode);
        let taken = match line {
            Some(Ok(line)) => self.index.take(&bytes, &line, span.place),
            _ => Err("a line cannot be read back".to_owned()),
        };
        taken.map_err(|what| {
            Error::new(
                ErrorKind::StorageCorrupt,
                format!(
                    "cannot keep the list of export job \"{}\": {what}",
                    shown(&self.name)
                ),
            )
        })
    }

    fn check_sendable(&self, number: u32) -> Result<()> {
        match self.record(number)?.0 {
            Status::Accepted => Err(self.misuse(number, "is accepted already")),
            Status::Sent => Err(self.misuse(number, "is under way")),
            _ => Ok(()),
        }
    }

    /// Where the latest intent of a record is.
    fn intent_place(&self, number: u32) -> Result<u64> {
        let (status, _, place) = self.record(number)?;
        match status {
            Status::Vacant | Status::Claimed => {
                Err(self.misuse(number, "was not meant to be sent"))
            }
            Status::Sent | Status::Lost => Ok(place),
            _ => Ok(self.log.value_at::<OutcomeElement>(place)?.from),
        }
    }

    fn record(&self, number: u32) -> Result<(Status, Fingerprint, u64)> {
        self.index
            .get(number)
            .ok_or_else(|| self.misuse(number, "does not exist"))
    }

    fn open_record(&self, number: u32) -> Result<()> {
        let (status, ..) = self.record(number)?;
        if is_open(status) {
            Ok(())
        } else {
            Err(self.misuse(number, "is not under way"))
        }
    }

    fn check_once(&self, numbers: impl Iterator<Item = u32>) -> Result<()> {
        let mut numbers: Vec<u32> = numbers.collect();
        numbers.sort_unstable();
        match numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(self.misuse(pair[0], "comes twice")),
            None => Ok(()),
        }
    }

    /// Whether nobody knows what became of this record.
    pub(crate) fn is_open(&self, number: u32) -> bool {
        self.open_record(number).is_ok()
    }

    fn misuse(&self, number: u32, what: &str) -> Error {
        misuse(&self.name, number, what)
    }
}

/// What is needed of a job while its lines are made.
struct Unsent<'a> {
    name: &'a str,
    index: &'a Index,
}

impl Unsent<'_> {
    fn sent_element(&self, record: &IntendedRecord) -> Result<Box<RawValue>> {
        let misuse = |what| misuse(self.name, record.number, what);
        let (_, fingerprint, _) = self
            .index
            .get(record.number)
            .ok_or_else(|| misuse("does not exist"))?;
        // A line break in JSON can only stand between its parts.
        let json = record.record.replace(['\n', '\r'], " ");
        let json = RawValue::from_string(json).map_err(|_| misuse("is no JSON document"))?;
        Ok(raw(&SentElement {
            n: record.number,
            op: record.operation,
            digest: fingerprint.to_text(),
            key: record.key.clone(),
            record: json,
        }))
    }
}

fn first_line(name: &str, signature: &Signature) -> Vec<u8> {
    line::encode(&Line {
        at: now(),
        begin: Some(Begin {
            version: VERSION,
            job: name.to_owned(),
            signature: signature.clone(),
        }),
        ..Line::default()
    })
}

fn check_signature(name: &str, held: &Signature, wanted: &Signature) -> Result<()> {
    if held == wanted {
        return Ok(());
    }
    let operations: Vec<_> = held
        .operations
        .iter()
        .map(|operation| operation.name())
        .collect();
    Err(Error::new(
        ErrorKind::OptionValue,
        format!(
            "export job \"{}\" is unfinished and holds another export",
            shown(name)
        ),
    )
    .with_detail(format!(
        "It holds {} of object \"{}\" on server \"{}\" with columns {}.",
        operations.join(", "),
        held.object,
        held.server,
        held.columns.join(", ")
    ))
    .with_hint(forget_hint(
        "Run the statement that the job holds again, take another name, or drop its list",
        name,
    )))
}

fn misuse(job: &str, number: u32, what: &str) -> Error {
    Error::new(
        ErrorKind::OptionValue,
        format!("record {number} of export job \"{}\" {what}", shown(job)),
    )
}

/// One line, given once.
fn once(line: Vec<u8>) -> impl FnMut(u64) -> Result<Option<Vec<u8>>> {
    let mut line = Some(line);
    move |_| Ok(line.take())
}

fn raw(element: &impl serde::Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(element).expect("elements have text keys only")
}

/// Cuts elements into runs of about [`LINE_BYTES`].
fn groups(elements: &[Box<RawValue>]) -> Vec<&[Box<RawValue>]> {
    let mut groups = Vec::new();
    let (mut start, mut n_bytes) = (0, 0);
    for (index, element) in elements.iter().enumerate() {
        let length = element.get().len();
        if index > start && n_bytes + length > LINE_BYTES {
            groups.push(&elements[start..index]);
            (start, n_bytes) = (index, 0);
        }
        n_bytes += length;
    }
    if start < elements.len() {
        groups.push(&elements[start..]);
    }
    groups
}

fn ticket_line(ticket: &str, numbers: impl Iterator<Item = u32>) -> TicketLine {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    let mut of: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match of.last_mut() {
            Some((_, last)) if number <= last.saturating_add(1) => *last = number,
            _ => of.push((number, number)),
        }
    }
    TicketLine {
        id: ticket.to_owned(),
        of,
    }
}

/// Microseconds since the Unix epoch.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
