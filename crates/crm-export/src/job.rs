//! An export job beside an export: what it knows of a record before it is sent, and what it keeps of it.

use crate::target::{Statement, Target};
use crm_core::{
    Error, Operation, RecordOutcome, Reject, Result, TicketKeeper, Value, WriteField, WriteRecord,
};
use crm_journal::{Claim, Fingerprint, IntendedRecord, Job, Outcome, Signature};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A job that a transaction holds open; its statements share it.
#[derive(Clone, Debug)]
pub struct SharedJob(Arc<Mutex<Job>>);

/// What a job exports, as far as a rerun must agree with it.
pub fn signature(target: &Target, gives_identifier: bool) -> Signature {
    let writes_key = target.key.as_deref().is_some_and(|key| {
        let mut fields = target.fields.iter();
        fields.any(|field| field.name.eq_ignore_ascii_case(key))
    });
    let operations: Vec<Operation> = match target.statement {
        Statement::Update => vec![Operation::Update],
        Statement::Delete => vec![Operation::Delete],
        Statement::Insert => [
            (true, Operation::Create),
            (gives_identifier, target.operation_by_identifier()),
            (writes_key, Operation::Upsert),
        ]
        .into_iter()
        .filter_map(|(may, operation)| may.then_some(operation))
        .collect(),
    };
    let fields = target.fields.iter().map(|field| field.name.clone());
    Signature::new(&target.server, &target.object, operations, fields)
}

/// What the job says of a record that the source gives.
pub(crate) enum Known {
    /// It is to be sent; with the key it was or will be sent with, where one was made up before.
    ToSend {
        number: u32,
        made_up_key: Option<String>,
    },
    /// The CRM has it under this identifier.
    Accepted(String),
    /// Nobody knows; the remote job it travelled in, and the key made up for it.
    Unknown {
        number: u32,
        ticket: Option<String>,
        made_up_key: Option<String>,
    },
}

impl SharedJob {
    /// Shares an open job.
    pub fn new(job: Job) -> Self {
        Self(Arc::new(Mutex::new(job)))
    }

    /// The very same job.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Tells later whether somebody still holds the job.
    pub fn watch(&self) -> Weak<Mutex<Job>> {
        Arc::downgrade(&self.0)
    }

    /// The job itself.
    pub fn lock(&self) -> MutexGuard<'_, Job> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims a record, as the source gives it.
    pub(crate) fn know(
        &self,
        operation: Operation,
        object: &str,
        record: &WriteRecord,
        fields: &[WriteField],
    ) -> Result<Known> {
        let names = fields.iter().map(|field| field.name.as_str());
        let named = names.zip(record.values.iter().map(Option::as_ref));
        let fingerprint = Fingerprint::new(operation, object, record.key.as_ref(), named);
        let mut job = self.lock();
        Ok(match job.claim(fingerprint)? {
            Claim::New { number } => Known::ToSend {
                number,
                made_up_key: None,
            },
            Claim::Again { number } | Claim::Rejected { number, .. } => Known::ToSend {
                number,
                made_up_key: job.intent(number)?.key,
            },
            Claim::Accepted { id, .. } => Known::Accepted(id),
            Claim::Unknown { number, ticket } => Known::Unknown {
                number,
                ticket,
                made_up_key: job.intent(number)?.key,
            },
        })
    }

    /// Keeps records that are about to be sent, and the remote job they are to travel in.
    pub(crate) fn intend(&self, records: &[IntendedRecord], ticket: Option<&str>) -> Result<()> {
        self.lock().intend(records, ticket)
    }

    /// Keeps records that checks have refused, and why.
    pub(crate) fn refuse(&self, refused: Vec<(IntendedRecord, Reject)>) -> Result<()> {
        if refused.is_empty() {
            return Ok(());
        }
        let (records, rejects): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        let numbers: Vec<u32> = records.iter().map(|record| record.number).collect();
        self.intend(&records, None)?;
        let outcomes: Vec<_> = rejects.into_iter().map(RecordOutcome::Rejected).collect();
        self.outcomes(&numbers, &outcomes, None)
    }

    /// Keeps what became of records.
    pub(crate) fn outcomes(
        &self,
        numbers: &[u32],
        outcomes: &[RecordOutcome],
        failure: Option<&Error>,
    ) -> Result<()> {
        let outcomes: Vec<_> = numbers
            .iter()
            .zip(outcomes)
            .map(|(number, outcome)| (*number, Outcome::of_write(outcome, failure)))
            .collect();
        self.lock().outcomes(&outcomes)
    }
}

/// Keeps the remote job that some records of a job travel in.
pub(crate) struct Tickets<'a> {
    pub(crate) job: &'a SharedJob,
    pub(crate) numbers: &'a [u32],
}

impl TicketKeeper for Tickets<'_> {
    fn keep(&self, ticket: &str) -> Result<()> {
        self.job.lock().attach_ticket(ticket, self.numbers)
    }
}

/// A record as the journal keeps it.
pub(crate) fn intended(
    number: u32,
    operation: Operation,
    record: &WriteRecord,
    fields: &[WriteField],
    key_field: &str,
    made_up_key: Option<String>,
) -> IntendedRecord {
    let key = record.key.as_ref().map(|key| (key_field, Some(key)));
    let names = fields.iter().map(|field| field.name.as_str());
    let values = record.values.iter().map(Option::<Value>::as_ref);
    IntendedRecord {
        number,
        operation,
        record: crate::shown::shown_record(key.into_iter().chain(names.zip(values))),
        key: made_up_key,
    }
}
