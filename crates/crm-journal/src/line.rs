//! The lines of a journal file: their form, their checksum. The format is told in the crate's documentation.

use crm_core::{Error, Operation, RecordOutcome};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the format that is written and read.
pub(crate) const VERSION: u32 = 1;

const CRC_START: &[u8] = b"{\"crc\":\"";
const CRC_END: &[u8] = b"\",";
const CRC_DIGITS: usize = 8;
/// Where the bytes begin that the checksum is of.
const BODY: usize = CRC_START.len() + CRC_DIGITS + CRC_END.len();

/// What an export job exports. Another one under an unfinished job is refused (spec X-6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The name of the server.
    pub server: String,
    /// The remote name of the object.
    pub object: String,
    /// What the statement may do with records, each once, in alphabetical order.
    pub operations: Vec<Operation>,
    /// The columns it names, in alphabetical order: their order in the statement does not matter.
    pub columns: Vec<String>,
}

impl Signature {
    /// A signature, its lists put in order.
    pub fn new(
        server: impl Into<String>,
        object: impl Into<String>,
        operations: impl IntoIterator<Item = Operation>,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let mut operations: Vec<_> = operations.into_iter().collect();
        operations.sort_unstable_by_key(|operation| operation.name());
        operations.dedup();
        let mut columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        columns.sort_unstable();
        Self {
            server: server.into(),
            object: object.into(),
            operations,
            columns,
        }
    }
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The CRM has it.
    Accepted {
        /// Its remote identifier.
        id: String,
    },
    /// The CRM, or a check made here, refuses it: known not to be applied.
    Rejected {
        /// The vendor's code.
        code: String,
        /// The vendor's text.
        message: String,
    },
    /// Known not to be applied, for a reason outside the record.
    NotApplied {
        /// Why, in the words of the error; empty when there is nothing to say.
        reason: String,
    },
    /// Nobody knows.
    Unknown {
        /// Why, in the words of the error; empty when there is nothing to say.
        reason: String,
    },
}

impl Outcome {
    /// From what a connector said of a record; `failure` is why some records of its batch were not applied or are
    /// unknown.
    pub fn of_write(outcome: &RecordOutcome, failure: Option<&Error>) -> Self {
        let reason = || failure.map(ToString::to_string).unwrap_or_default();
        match outcome {
            RecordOutcome::Accepted { id, .. } => Self::Accepted { id: id.clone() },
            RecordOutcome::Rejected(reject) => Self::Rejected {
                code: reject.word().to_owned(),
                message: reject.message.clone(),
            },
            RecordOutcome::NotApplied => Self::NotApplied { reason: reason() },
            RecordOutcome::Unknown => Self::Unknown { reason: reason() },
        }
    }
}

/// A line without its checksum. One of the optional members is there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line<'a> {
    pub line: u64,
    /// Microseconds since the Unix epoch.
    pub at: i64,
    /// The intents of this call go on in the next line.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin: Option<Begin>,
    /// Each is a [`SentElement`].
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketLine>,
    /// Each is an [`OutcomeElement`].
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
}

/// The first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begin {
    pub version: u32,
    pub job: String,
    #[serde(flatten)]
    pub signature: Signature,
}

/// A record about to be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SentElement {
    pub n: u32,
    pub op: Operation,
    pub digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub record: Box<RawValue>,
}

/// The same, without what is not needed to know the record again.
#[derive(Debug, Deserialize)]
pub(crate) struct SentMark<'a> {
    pub n: u32,
    #[serde(borrow)]
    pub digest: &'a str,
}

/// The remote job that records travel in: ranges of their numbers, both ends included.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TicketLine {
    pub id: String,
    pub of: Vec<(u32, u32)>,
}

/// What became of a record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct OutcomeElement {
    pub n: u32,
    /// Where the record's intent is.
    pub from: u64,
    pub outcome: Outcome,
}

/// The statement's transaction committed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    /// Records of that statement that are known not to be applied and wait for another run.
    pub pending: u32,
}

/// Why bytes are no line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The checksum does not fit, as after a write that was cut off.
    Checksum,
    /// It was written like that.
    Form,
}

/// The line as bytes, with checksum and newline.
pub(crate) fn encode(line: &Line<'_>) -> Vec<u8> {
    let mut bytes = CRC_START.to_vec();
    bytes.extend_from_slice(&[b'0'; CRC_DIGITS]);
    bytes.extend_from_slice(CRC_END);
    let start = bytes.len() - 1;
    // The object's own brace goes over the comma, which is then put back.
    bytes.truncate(start);
    serde_json::to_writer(&mut bytes, line).expect("a line has text keys only");
    bytes[start] = b',';
    let crc = format!("{:08x}", crc32fast::hash(&bytes[BODY..]));
    bytes[CRC_START.len()..][..CRC_DIGITS].copy_from_slice(crc.as_bytes());
    bytes.push(b'\n');
    bytes
}

/// Reads a line; `bytes` are without its newline.
pub(crate) fn decode(bytes: &[u8]) -> Result<Line<'_>, Harm> {
    let crc = bytes
        .strip_prefix(CRC_START)
        .and_then(|rest| rest.split_at_checked(CRC_DIGITS))
        .filter(|(_, rest)| rest.starts_with(CRC_END))
        .and_then(|(crc, _)| u32::from_str_radix(std::str::from_utf8(crc).ok()?, 16).ok())
        .ok_or(Harm::Checksum)?;
    if crc32fast::hash(&bytes[BODY..]) != crc {
        return Err(Harm::Checksum);
    }
    // The whole line is read, not its body alone, so that places in it are places in the file.
    serde_json::from_slice(bytes).map_err(|_| Harm::Form)
}

/// Whether harmed bytes begin with a good line that something else than its newline follows: then the newline was
/// harmed later, for a line is never begun before the one before it is whole.
pub(crate) fn begins_with_line(bytes: &[u8]) -> bool {
    let Some(crc) = bytes.get(CRC_START.len()..BODY - CRC_END.len()) else {
        return false;
    };
    let mut hasher = crc32fast::Hasher::new();
    let mut done = BODY;
    for end in possible_ends(bytes) {
        hasher.update(&bytes[done..end]);
        done = end;
        let found = format!("{:08x}", hasher.clone().finalize());
        if found.as_bytes() == crc && end < bytes.len() {
            return true;
        }
    }
    false
}

/// Where a line could end in `bytes`: after each brace.
fn possible_ends(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let braces = bytes.iter().enumerate().skip(BODY);
    braces
        .filter(|(_, byte)| **byte == b'}')
        .map(|(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let record = RawValue::from_string("{\"Name\":\"Zoë\"}".to_owned()).unwrap();
        encode(&Line {
            line: 3,
            at: 7,
            sent: vec![&record],
            ..Line::default()
        })
    }

    #[test]
    fn a_line_is_an_object_with_its_checksum_first() {
        let bytes = sample();
        let text = std::str::from_utf8(&bytes).unwrap();
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["line"], 3);
        assert_eq!(value["sent"][0]["Name"], "Zoë");
        assert!(text.starts_with("{\"crc\":\"") && text.ends_with("}\n"));
        let line = decode(text.trim_end().as_bytes()).unwrap();
        assert_eq!((line.line, line.at, line.sent.len()), (3, 7, 1));
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let bytes = sample();
        let bytes = &bytes[..bytes.len() - 1];
        for place in 0..bytes.len() {
            let mut harmed = bytes.to_vec();
            harmed[place] ^= 1;
            assert_eq!(decode(&harmed).err(), Some(Harm::Checksum), "byte {place}");
            assert_eq!(
                decode(&bytes[..place]).err(),
                Some(Harm::Checksum),
                "cut at {place}"
            );
        }
    }

    #[test]
    fn a_signature_puts_its_lists_in_order() {
        let there = Signature::new("s", "o", [Operation::Upsert, Operation::Create], ["b", "a"]);
        let back = Signature::new(
            "s",
            "o",
            [Operation::Create, Operation::Upsert, Operation::Create],
            ["a", "b"],
        );
        assert_eq!(there, back);
    }
}
