//! The results of a job, matched to the records that were sent: by what they hold, for their order is not that of the
//! upload (Salesforce page, section 7).

use crate::ids;
use crate::rows::{Form, Row, Rows};
use crm_core::json;
use crm_core::{Error, ErrorKind, RecordOutcome, Result};
use crm_http::Bytes;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;

/// One list of results: the vendor's columns, and those of the upload that it knows. Read as it is used, for it may be
/// as large as the upload.
pub(crate) struct Echo {
    header: csv::StringRecord,
    body: Bytes,
}

/// One result.
pub(crate) struct Line<'a> {
    echo: &'a Echo,
    row: &'a csv::StringRecord,
}

fn undecodable(error: &csv::Error) -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the results of a job cannot be read",
    )
    .with_detail(error.to_string())
}

impl Echo {
    /// A list; an empty body is an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it does not begin as CSV.
    pub(crate) fn read(body: Bytes) -> Result<Self> {
        if json::is_markup(&body) {
            return Err(json::not_json("the results of a job"));
        }
        let mut echo = Self {
            header: csv::StringRecord::new(),
            body,
        };
        let header = echo.reader().headers().cloned();
        echo.header = header.map_err(|error| undecodable(&error))?;
        Ok(echo)
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        let body = self.body.strip_prefix(b"\xef\xbb\xbf");
        csv::Reader::from_reader(body.unwrap_or(&self.body))
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
    }

    /// Columns of the upload that the vendor has dropped, which it does without a word.
    pub(crate) fn missing<'r>(&self, all: &'r Rows) -> Vec<&'r str> {
        let is_missing = |name: &&str| self.column(name).is_none();
        let names = all.columns.iter().map(String::as_str);
        names.filter(is_missing).collect()
    }
}

impl Line<'_> {
    fn cell(&self, name: &str) -> &str {
        let column = self.echo.column(name);
        column.and_then(|at| self.row.get(at)).unwrap_or_default()
    }

    /// The record's identifier.
    pub(crate) fn id(&self) -> Option<String> {
        ids::canonical(self.cell("sf__Id"))
    }

    /// The record is new.
    pub(crate) fn created(&self) -> Option<bool> {
        match self.cell("sf__Created") {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Why it is refused.
    pub(crate) fn error(&self) -> &str {
        self.cell("sf__Error")
    }
}

/// Rows by the hash of what tells them apart, so that the texts are not held once more.
#[derive(Default)]
struct Waiting {
    hasher: RandomState,
    by_hash: HashMap<u64, VecDeque<usize>>,
}

/// Rows that wait for their results. Rows that hold the same are interchangeable.
pub(crate) struct Matcher<'a> {
    all: &'a Rows,
    rows: &'a [Row],
    outcomes: Vec<Option<RecordOutcome>>,
    n_open: usize,
    n_strangers: usize,
}

impl<'a> Matcher<'a> {
    /// Nothing is known of any row.
    pub(crate) fn new(all: &'a Rows, rows: &'a [Row]) -> Self {
        Self {
            all,
            rows,
            outcomes: vec![None; rows.len()],
            n_open: rows.len(),
            n_strangers: 0,
        }
    }

    /// Gives each result of a list to its row, and says how many there were.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when the list breaks off, or an accepted record has no identifier.
    pub(crate) fn take(
        &mut self,
        results: &Echo,
        outcome: impl Fn(&Line<'_>) -> RecordOutcome,
    ) -> Result<usize> {
        let echoed: Vec<(usize, Option<usize>)> = (self.all.columns.iter().enumerate())
            .map(|(at, name)| (at, results.column(name)))
            .collect();
        let mut waiting = self.waiting(&echoed, true);
        let mut reader = results.reader();
        let mut row = csv::StringRecord::new();
        let mut n_read = 0;
        let mut strangers = Vec::new();
        while reader
            .read_record(&mut row)
            .map_err(|error| undecodable(&error))?
        {
            n_read += 1;
            if !self.settle(&echoed, &mut waiting, results, &row, true, &outcome)? {
                strangers.push(row.clone());
            }
        }
        if !strangers.is_empty() {
            // Line ends inside a text may come back in another form.
            waiting = self.waiting(&echoed, false);
        }
        for row in strangers {
            if !self.settle(&echoed, &mut waiting, results, &row, false, &outcome)? {
                self.n_strangers += 1;
            }
        }
        Ok(n_read)
    }

    /// Gives one result to the first row that waits for such a one. False when none does.
    fn settle(
        &mut self,
        echoed: &[(usize, Option<usize>)],
        waiting: &mut Waiting,
        results: &Echo,
        row: &csv::StringRecord,
        is_exact: bool,
        outcome: &impl Fn(&Line<'_>) -> RecordOutcome,
    ) -> Result<bool> {
        let key = self.key(echoed, |_, column| row.get(column?), is_exact);
        let candidates = waiting.by_hash.get_mut(&waiting.hasher.hash_one(&key));
        let found = candidates.and_then(|rows| {
            let place = rows
                .iter()
                .position(|at| self.key_of(echoed, *at, is_exact) == key)?;
            rows.remove(place)
        });
        let Some(at) = found else {
            return Ok(false);
        };
        let outcome = outcome(&Line { echo: results, row });
        if matches!(&outcome, RecordOutcome::Accepted { id, .. } if id.is_empty()) {
            return Err(Error::new(
                ErrorKind::Undecodable,
                "the results of a job hold a record without an identifier",
            ));
        }
        self.outcomes[at] = Some(outcome);
        self.n_open -= 1;
        Ok(true)
    }

    /// Rows of which nothing is known.
    pub(crate) fn n_open(&self) -> usize {
        self.n_open
    }

    /// Results that belong to no row.
    pub(crate) fn n_strangers(&self) -> usize {
        self.n_strangers
    }

    /// What is known, by the rows' places in the batch.
    pub(crate) fn into_outcomes(self) -> impl Iterator<Item = (usize, Option<RecordOutcome>)> {
        let places: Vec<usize> = self.rows.iter().map(|row| row.at).collect();
        places.into_iter().zip(self.outcomes)
    }

    fn waiting(&self, echoed: &[(usize, Option<usize>)], is_exact: bool) -> Waiting {
        let mut waiting = Waiting::default();
        for at in 0..self.rows.len() {
            if self.outcomes[at].is_none() {
                let hash = waiting.hasher.hash_one(self.key_of(echoed, at, is_exact));
                waiting.by_hash.entry(hash).or_default().push_back(at);
            }
        }
        waiting
    }

    fn key_of(&self, echoed: &[(usize, Option<usize>)], at: usize, is_exact: bool) -> String {
        let row = &self.rows[at];
        self.key(echoed, |column, _| Some(row.cells[column].cell()), is_exact)
    }

    /// What tells rows apart: the key's value, or everything that comes back.
    fn key<'t>(
        &self,
        echoed: &[(usize, Option<usize>)],
        cell: impl Fn(usize, Option<usize>) -> Option<&'t str>,
        is_exact: bool,
    ) -> String {
        let by_key = self.all.key.filter(|key| echoed[*key].1.is_some());
        let mut text = String::new();
        let columns = echoed.iter().filter(|(at, column)| match by_key {
            Some(key) => *at == key,
            None => column.is_some(),
        });
        for (at, column) in columns {
            let value = cell(*at, *column).unwrap_or_default();
            let is_id = matches!(self.all.form, Form::Update | Form::Delete) && by_key.is_some();
            let canonical = if is_id { ids::canonical(value) } else { None };
            let value = canonical.as_deref().unwrap_or(value);
            // The lengths keep neighbours apart whatever they hold.
            if is_exact {
                text.push_str(&format!("{}:{value}", value.len()));
            } else {
                let plain = value.replace("\r\n", "\n").replace('\r', "\n");
                text.push_str(&format!("{}:{plain}", plain.len()));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
