//! What an export is given and what it gives back.

use crm_core::{Error, Operation, Reject, Value, WriteField, Zone};
use serde::{Deserialize, Serialize};

/// The kind of statement that records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statement {
    /// New records, or changes of records that are named by identifier or key.
    Insert,
    /// Changes of records that are named by identifier.
    Update,
    /// Deletions of records that are named by identifier.
    Delete,
}

/// Where records go, the same for all of one statement.
#[derive(Clone, Debug)]
pub struct Target {
    /// The account's name, for messages and the journal.
    pub server: String,
    /// Remote object name.
    pub object: String,
    /// Remote name of the record identifier.
    pub identifier: String,
    /// Remote field by which an insert updates the record that has its value, or creates it.
    pub key: Option<String>,
    /// Remote field that makes each created record findable.
    pub journal_key: Option<String>,
    /// A new record may be given an identifier that was chosen here, see [`crm_core::Connector::takes_identifiers`].
    pub takes_identifiers: bool,
    /// The option `transport`.
    pub transport: Option<String>,
    /// Records in one call at most.
    pub batch_size: Option<usize>,
    /// The account's zone.
    pub zone: Zone,
    /// The kind of statement.
    pub statement: Statement,
    /// Fields written, the identifier not among them.
    pub fields: Vec<WriteField>,
}

impl Target {
    /// What an insert that gives the identifier does.
    pub fn operation_by_identifier(&self) -> Operation {
        if self.takes_identifiers {
            Operation::Upsert
        } else {
            Operation::Update
        }
    }
}

/// One record of a statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its identifier, if the statement gives one.
    pub id: Option<Value>,
    /// A value for each field of the target; an absent one empties the remote field.
    pub values: Vec<Option<Value>>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The CRM has it under this identifier.
    Accepted {
        /// In canonical form.
        id: String,
        /// What was done.
        operation: Operation,
        /// It was accepted by an earlier run of the same export job and not sent now.
        earlier: bool,
    },
    /// Refused by the CRM or by the checks.
    Rejected(Reject),
    /// Not sent, or certainly not applied, because a call failed.
    NotApplied,
    /// Sent without an answer.
    Unknown,
    /// Sent without an answer by an earlier run of the export job, and the CRM cannot tell what became of it: not sent
    /// now, and never guessed.
    Unsettled,
    /// Not sent because this is a dry run.
    Dry,
}

/// What became of the records of one [`crate::Exporter::send`].
#[derive(Debug)]
pub struct Sent {
    /// One for each record, in their order.
    pub outcomes: Vec<Outcome>,
    /// Why some are not applied or unknown.
    pub failure: Option<Error>,
}
