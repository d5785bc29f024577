//! The data of an ingest job: CSV read by the rules of section 7 of the protocol page, written in chunks of
//! 200 records, and the outcome of each row as CSV.

use std::io::Read as _;

use super::job::{Dialect, LineEnding};
use crate::generate::mix;
use crate::input::{Input, Record};
use crate::salesforce::store::{SObject, Store};
use crate::salesforce::write::collections::{self, Item};
use crate::salesforce::write::{Operation, Options, Outcome, RowError};

/// Records written at a time.
pub const CHUNK: usize = 200;
/// Stands for null in a cell; an empty cell leaves the field alone.
const NULL: &str = "#N/A";

/// Why data cannot be loaded at all: the job's `errorMessage`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("InvalidBatch : Field names are missing")]
    NoHeader,
    #[error("InvalidBatch : The 'delete' batch must contain only ids")]
    NotOnlyIds,
    #[error(
        "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {0}"
    )]
    LineEnding(&'static str),
    #[error("InvalidBatch : {0}")]
    Csv(String),
}

/// A column the object has; the others are dropped without a word.
struct Column {
    /// Place in the uploaded rows.
    at: usize,
    /// The header as uploaded.
    name: String,
    target: Target,
}

enum Target {
    Field,
    /// `Owner.Username` or `What:Account.Key__c`: a parent named by its key.
    Parent {
        relationship: String,
        object: Option<String>,
        key: String,
    },
}

/// Rows to be written, and how those written so far fared.
pub struct Load {
    place: usize,
    operation: Operation,
    dialect: Dialect,
    columns: Vec<Column>,
    rows: Vec<csv::StringRecord>,
    outcomes: Vec<Outcome>,
    /// Changes the order of the results.
    seed: u64,
}

impl Load {
    /// Reads an upload for an object.
    ///
    /// # Errors
    /// What makes the whole job fail.
    pub fn read(
        data: &[u8],
        object: (&SObject, usize),
        operation: Operation,
        dialect: Dialect,
        seed: u64,
    ) -> Result<Self, Refused> {
        let (object, place) = object;
        let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
        line_endings(data, dialect.line_ending)?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(dialect.delimiter.byte())
            .from_reader(data);
        let wrong = |error: csv::Error| Refused::Csv(error.to_string());
        let header = reader.headers().map_err(wrong)?.clone();
        if header.iter().all(str::is_empty) {
            return Err(Refused::NoHeader);
        }
        if matches!(operation, Operation::Delete | Operation::HardDelete)
            && !(header.len() == 1 && header[0].eq_ignore_ascii_case("Id"))
        {
            return Err(Refused::NotOnlyIds);
        }
        let columns = header
            .iter()
            .enumerate()
            .filter_map(|(at, name)| {
                let target = target(object, name)?;
                let name = name.to_owned();
                Some(Column { at, name, target })
            })
            .collect();
        let rows = reader.records().collect::<Result<_, _>>().map_err(wrong)?;
        Ok(Self {
            place,
            operation,
            dialect,
            columns,
            rows,
            outcomes: Vec::new(),
            seed,
        })
    }

    /// Rows that have an outcome.
    pub fn processed(&self) -> usize {
        self.outcomes.len()
    }

    /// Of those, the refused ones.
    pub fn failed(&self) -> usize {
        let refused = self.outcomes.iter().filter(|o| !o.errors.is_empty());
        refused.count()
    }

    /// Whether every row has an outcome.
    pub fn is_done(&self) -> bool {
        self.outcomes.len() == self.rows.len()
    }

    /// Writes the next chunk, stopping before row `stop`.
    pub fn write_chunk(&mut self, store: &mut Store, stop: usize, options: &Options) {
        let from = self.outcomes.len();
        let to = self.rows.len().min(from + CHUNK).min(stop.max(from));
        let items = self.rows[from..to]
            .iter()
            .map(|row| Item {
                place: self.place,
                record: self.record(row),
            })
            .collect();
        match collections::run(store, &self.operation, items, false, options) {
            Ok(outcomes) => self.outcomes.extend(outcomes),
            Err(error) => {
                let refused = Outcome::refused(vec![RowError::new(&error.code, error.message)]);
                self.outcomes.extend((from..to).map(|_| refused.clone()));
            }
        }
    }

    /// A row as the values it sets.
    fn record(&self, row: &csv::StringRecord) -> Record {
        let mut values: Vec<(String, Input)> = Vec::new();
        for column in &self.columns {
            let input = match row.get(column.at).unwrap_or_default() {
                "" => continue,
                NULL => Input::Null,
                text => Input::Text(text.to_owned()),
            };
            match &column.target {
                Target::Field => values.push((column.name.clone(), input)),
                Target::Parent {
                    relationship,
                    object,
                    key,
                } => {
                    let mut parent = vec![(key.clone(), input)];
                    if let Some(object) = object {
                        let kind = ("type".to_owned(), Input::Text(object.clone()));
                        parent.push(("attributes".to_owned(), Input::Object(Record(vec![kind]))));
                    }
                    values.push((relationship.clone(), Input::Object(Record(parent))));
                }
            }
        }
        Record(values)
    }

    /// Rows that were written: id, whether created, and the columns of the upload.
    pub fn successful(&self) -> Vec<u8> {
        self.table(&["sf__Id", "sf__Created"], |outcome| {
            let id = outcome.id.clone().unwrap_or_default();
            let created = outcome.created.to_string();
            outcome.errors.is_empty().then_some([id, created])
        })
    }

    /// Rows that were refused: id where known, why, and the columns of the upload.
    pub fn refused(&self) -> Vec<u8> {
        self.table(&["sf__Id", "sf__Error"], |outcome| {
            let error = outcome.errors.first()?;
            Some([
                outcome.id.clone().unwrap_or_default(),
                format!(
                    "{}:{}:{} --",
                    code(error),
                    error.message,
                    error.fields.join(",")
                ),
            ])
        })
    }

    /// Rows no one came to: the columns of the upload alone.
    pub fn unprocessed(&self) -> Vec<u8> {
        let mut writer = self.dialect.writer(Vec::new());
        // Writing to memory does not fail.
        let _ = writer.write_record(self.columns.iter().map(|column| column.name.as_str()));
        for row in &self.rows[self.outcomes.len()..] {
            let _ = writer.write_record(self.uploaded(row));
        }
        writer.into_inner().unwrap_or_default()
    }

    fn uploaded<'r>(&'r self, row: &'r csv::StringRecord) -> impl Iterator<Item = &'r str> {
        self.columns
            .iter()
            .map(|column| row.get(column.at).unwrap_or_default())
    }

    /// Rows come in an order of their own, the same each time.
    fn table(&self, names: &[&str], of: impl Fn(&Outcome) -> Option<[String; 2]>) -> Vec<u8> {
        let mut order: Vec<usize> = (0..self.outcomes.len()).collect();
        order.sort_by_key(|at| mix(mix(self.seed) ^ *at as u64));
        let mut writer = self.dialect.writer(Vec::new());
        let header = names.iter().copied();
        let _ = writer.write_record(header.chain(self.columns.iter().map(|c| c.name.as_str())));
        for at in order {
            let Some(own) = of(&self.outcomes[at]) else {
                continue;
            };
            let own = own.iter().map(String::as_str);
            let _ = writer.write_record(own.chain(self.uploaded(&self.rows[at])));
        }
        writer.into_inner().unwrap_or_default()
    }
}

/// A value of the wrong type has another code here than in JSON, where the parser notices it.
fn code(error: &RowError) -> &str {
    match error.code.as_str() {
        "JSON_PARSER_ERROR" => "INVALID_TYPE_ON_FIELD_IN_RECORD",
        code => code,
    }
}

/// What a column header stands for, without regard to case.
fn target(object: &SObject, name: &str) -> Option<Target> {
    if object.field(name).is_some() {
        return Some(Target::Field);
    }
    let (relationship, key) = name.split_once('.')?;
    let (relationship, parent) = match relationship.split_once(':') {
        Some((relationship, parent)) => (relationship, Some(parent.to_owned())),
        None => (relationship, None),
    };
    object.relationship(relationship)?;
    Some(Target::Parent {
        relationship: relationship.to_owned(),
        object: parent,
        key: key.to_owned(),
    })
}

/// The first line must end as the job says; lines within quotes do not count.
fn line_endings(data: &[u8], wanted: LineEnding) -> Result<(), Refused> {
    let mut quoted = false;
    let end = data.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b'\n' && !quoted
    });
    let Some(end) = end else { return Ok(()) };
    let found = match end.checked_sub(1).map(|before| data[before]) {
        Some(b'\r') => LineEnding::Crlf,
        _ => LineEnding::Lf,
    };
    match (found == wanted, wanted) {
        (true, _) => Ok(()),
        (false, LineEnding::Lf) => Err(Refused::LineEnding("LF")),
        (false, LineEnding::Crlf) => Err(Refused::LineEnding("CRLF")),
    }
}

/// Undoes gzip, up to one byte more than `limit`.
///
/// # Errors
/// What is no gzip.
pub fn unpack(data: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(data)
        .take(limit as u64 + 1)
        .read_to_end(&mut out)?;
    Ok(out)
}
