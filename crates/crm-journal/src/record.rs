//! What is said of a record between the exporter and its job.

use crm_core::Operation;

/// What the job knows of a record that the source gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It was never sent.
    New {
        /// Its number in the job, from 1.
        number: u32,
    },
    /// An earlier run meant to send it, and it is known not to be applied.
    /// It is sent again, with the key of its [`Intent`].
    Again {
        /// Its number.
        number: u32,
    },
    /// The CRM has it: it is skipped.
    Accepted {
        /// Its number.
        number: u32,
        /// Its remote identifier.
        id: String,
    },
    /// The CRM refused it. It is sent again, with the key of its [`Intent`].
    Rejected {
        /// Its number.
        number: u32,
        /// The vendor's code.
        code: String,
        /// The vendor's text.
        message: String,
    },
    /// It was sent, and nobody knows what became of it. It is settled with the CRM, or left out.
    Unknown {
        /// Its number.
        number: u32,
        /// The remote job it travelled in.
        ticket: Option<String>,
    },
}

impl Claim {
    /// The record's number in the job, from 1.
    pub fn number(&self) -> u32 {
        match self {
            Self::New { number }
            | Self::Again { number }
            | Self::Accepted { number, .. }
            | Self::Rejected { number, .. }
            | Self::Unknown { number, .. } => *number,
        }
    }
}

/// A record about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntendedRecord {
    /// The number its claim gave.
    pub number: u32,
    /// What is done with it.
    pub operation: Operation,
    /// The record as it is sent, a JSON document: for people, and for sending it again.
    pub record: String,
    /// The key that the exporter made up for it, so that it can be looked for.
    pub key: Option<String>,
}

/// What was kept of a record before it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// What was to be done with it.
    pub operation: Operation,
    /// The record, a JSON document.
    pub record: String,
    /// The key that the exporter made up for it.
    pub key: Option<String>,
}

/// Records that nobody knows the outcome of, and that travelled together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    /// The remote job. Where there is none, the records went by plain calls, or into a remote job that was not yet
    /// named, and then none of them was sent.
    pub ticket: Option<String>,
    /// Their numbers, in order.
    pub numbers: Vec<u32>,
}
