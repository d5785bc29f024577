//! What is sent to a CRM: records to create, change or delete, and what became of each (spec section 5).
//!
//! A write never says "done" for a record it is not sure of: it was accepted, refused, not applied, or nobody knows.

use crate::error::{Error, ErrorKind, Result};
use crate::schema::Conversion;
use crate::temporal::{
    MICROS_PER_DAY, Zone, day_in_zone, day_start_in_zone, instant_of_wall_clock,
};
use crate::value::Value;
use serde::{Deserialize, Serialize};

/// What is done with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// A new record; its identifier is the CRM's to choose, or ours where it takes identifiers.
    Create,
    /// Fields of the record with this identifier.
    Update,
    /// The record whose key field has this value: changed if there is one, else created.
    Upsert,
    /// The record with this identifier is deleted.
    Delete,
}

impl Operation {
    /// For messages and views.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// One field that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteField {
    /// Remote name.
    pub name: String,
    /// The vendor's word for the type; empty when the table does not say.
    pub remote_type: String,
    /// The column's conversion (spec section 4, the writing side).
    pub conversion: Conversion,
}

impl WriteField {
    /// The calendar day that `value` is written as, in days since the Unix epoch; none where no day can be said
    /// (spec section 4).
    ///
    /// # Errors
    /// [`Value::kind`] of a value that is no date.
    pub fn day(&self, value: &Value, zone: Zone) -> std::result::Result<Option<i32>, &'static str> {
        match value {
            Value::Date(day) => Ok(Some(*day)),
            Value::Instant(instant) => Ok(day_in_zone(*instant, zone)),
            Value::Timestamp(wall) => Ok(i32::try_from(wall.div_euclid(MICROS_PER_DAY)).ok()),
            other => Err(other.kind()),
        }
    }

    /// The moment that `value` is written as, in microseconds since the Unix epoch; none where there is no such
    /// moment. The wall clock of a column without time offset is sent as it stands (spec section 4).
    ///
    /// # Errors
    /// [`Value::kind`] of a value that is no date or time.
    pub fn instant(
        &self,
        value: &Value,
        zone: Zone,
    ) -> std::result::Result<Option<i64>, &'static str> {
        match value {
            // Infinities are no wall clock.
            Value::Date(i32::MIN | i32::MAX) => Ok(None),
            Value::Date(day) => Ok(day_start_in_zone(*day, zone)),
            Value::Instant(instant) => Ok(Some(*instant)),
            Value::Timestamp(wall) if self.conversion == Conversion::WithoutTimeOffset => {
                Ok(Some(*wall))
            }
            Value::Timestamp(wall) => Ok(instant_of_wall_clock(*wall, zone)),
            other => Err(other.kind()),
        }
    }
}

/// One record to write.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteRecord {
    /// The identifier (update, delete) or the value of the key field (upsert); nothing for a create.
    pub key: Option<Value>,
    /// A value for each field of the batch; an absent one empties the remote field.
    pub values: Vec<Option<Value>>,
}

/// How records travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// In calls that answer at once with an outcome for each record.
    Calls,
    /// In a job that the CRM runs by itself and that can be asked for later.
    Job,
}

/// Records that are sent together: one object, one operation, the same fields.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteBatch {
    /// Remote object name.
    pub object: String,
    /// Remote name of the record identifier.
    pub identifier: String,
    /// What is done.
    pub operation: Operation,
    /// The field that an upsert finds its record by.
    pub key_field: Option<WriteField>,
    /// A field of `fields` whose values are unique to each record of a create, so that a record whose outcome is not
    /// known can be looked for. With it the create may be sent as an upsert by that field if
    /// `key_is_ours`. It may be the identifier, see [`crate::Connector::takes_identifiers`]: then never as an upsert.
    pub journal_key: Option<String>,
    /// The journal key's values were made up here: no other record of the CRM has them.
    pub key_is_ours: bool,
    /// Fields written, in the order of the records' values.
    pub fields: Vec<WriteField>,
    /// The records.
    pub records: Vec<WriteRecord>,
    /// How they travel.
    pub route: Route,
}

/// Why the CRM, or a check made here from its metadata, refuses a record (spec E-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// What it means.
    pub kind: ErrorKind,
    /// The vendor's code, such as `REQUIRED_FIELD_MISSING`; the code a vendor would give where the check is ours. Empty
    /// where the vendor has a number only.
    pub symbol: String,
    /// The vendor's text.
    pub message: String,
    /// Remote names of the fields that are to blame, where told.
    pub fields: Vec<String>,
    /// The vendor's number of the error, where it has one.
    pub code: Option<String>,
    /// The vendor's log of the error, where it has one.
    pub log_file: Option<String>,
}

impl Reject {
    /// A reject without fields, number and log.
    pub fn new(kind: ErrorKind, symbol: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind,
            symbol: symbol.into(),
            message: message.into(),
            fields: Vec::new(),
            code: None,
            log_file: None,
        }
    }

    /// The word by which people look the refusal up: the vendor's symbol, or its number where it gives no symbol.
    pub fn word(&self) -> &str {
        match (self.symbol.as_str(), &self.code) {
            ("", Some(code)) => code,
            (symbol, _) => symbol,
        }
    }

    /// Names the field that is to blame.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<String>) -> Self {
        self.fields.push(field.into());
        self
    }
}

/// A value that is refused is shown up to so many characters.
const LONGEST_SHOWN: usize = 100;

/// The beginning of a value, for messages about it.
pub fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(LONGEST_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordOutcome {
    /// The CRM has it.
    Accepted {
        /// Its identifier, in canonical form.
        id: String,
        /// Whether it is new, where the CRM tells.
        created: Option<bool>,
    },
    /// The CRM refuses it; sending it again gives the same.
    Rejected(Reject),
    /// The CRM has certainly not taken it, for a reason that lies outside the record: the call failed as a whole.
    NotApplied,
    /// It was sent and no answer came: the CRM may have it or not.
    Unknown,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct WriteReply {
    /// One for each record, in their order.
    pub outcomes: Vec<RecordOutcome>,
    /// Why some records were not applied or are unknown (spec E-4).
    pub failure: Option<Error>,
}

impl WriteReply {
    /// Nothing of the batch was applied.
    pub fn not_applied(n_records: usize, failure: Error) -> Self {
        Self {
            outcomes: vec![RecordOutcome::NotApplied; n_records],
            failure: Some(failure),
        }
    }
}

/// Keeps the name of a job that records travel in, durably, before they do.
pub trait TicketKeeper: Send + Sync {
    /// Keeps it; when this fails the records must not be sent.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn keep(&self, ticket: &str) -> Result<()>;

    /// Somebody will ask what became of every record: what could not be told later must not be done.
    fn must_settle(&self) -> bool {
        true
    }
}

/// For writes outside an export job: nothing is kept.
#[derive(Clone, Copy, Debug)]
pub struct NoTickets;

impl TicketKeeper for NoTickets {
    fn keep(&self, _ticket: &str) -> Result<()> {
        Ok(())
    }

    fn must_settle(&self) -> bool {
        false
    }
}

/// The most that one batch may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimits {
    /// Records.
    pub records: usize,
    /// Bytes of their values, roughly as they are sent.
    pub bytes: usize,
}

/// Checks that no metadata is needed for: a batch is well formed.
///
/// # Errors
/// [`ErrorKind::RemoteFault`] when a record's values do not match the batch's fields or its key is missing.
pub fn check_batch(batch: &WriteBatch) -> Result<()> {
    let needs_key = batch.operation != Operation::Create;
    let well_formed = batch.records.iter().all(|record| {
        record.values.len() == batch.fields.len() && record.key.is_some() == needs_key
    });
    let has_key_field = (batch.operation == Operation::Upsert) == batch.key_field.is_some();
    if well_formed && has_key_field {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::RemoteFault,
        "the records of a batch do not match its fields",
    ))
}
