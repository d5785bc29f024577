//! The results of a job, matched to the records that were sent: by what they hold, for their order is not that of the
//! upload (Salesforce page, section 7).

use crate::ids;
use crate::rows::{Form, Row, Rows};
use crm_core::{Error, ErrorKind, RecordOutcome, Result};
use std::collections::{HashMap, VecDeque};

/// One list of results: the vendor's columns, and those of the upload that it knows.
pub(crate) struct Echo {
    header: csv::StringRecord,
    rows: Vec<csv::StringRecord>,
}

/// One result.
pub(crate) struct Line<'a> {
    echo: &'a Echo,
    row: &'a csv::StringRecord,
}

impl Echo {
    /// Reads a list; an empty body is an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not CSV.
    pub(crate) fn read(body: &[u8]) -> Result<Self> {
        if crate::error::is_markup(body) {
            return Err(crate::error::not_json("the results of a job"));
        }
        let undecodable = |error: csv::Error| {
            Error::new(
                ErrorKind::Undecodable,
                "the results of a job cannot be read",
            )
            .with_detail(error.to_string())
        };
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut reader = csv::ReaderBuilder::new().from_reader(body);
        let header = reader.headers().map_err(undecodable)?.clone();
        let rows: std::result::Result<Vec<_>, _> = reader.records().collect();
        Ok(Self {
            header,
            rows: rows.map_err(undecodable)?,
        })
    }

    /// How many results.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.header
            .iter()
            .position(|known| known.eq_ignore_ascii_case(name))
    }

    /// Columns of the upload that the vendor has dropped, which it does without a word.
    pub(crate) fn missing<'r>(&self, all: &'r Rows) -> Vec<&'r str> {
        let is_missing = |name: &&str| !self.rows.is_empty() && self.column(name).is_none();
        all.columns
            .iter()
            .map(String::as_str)
            .filter(is_missing)
            .collect()
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

    /// Gives each result of a list to its row.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when an accepted record has no identifier.
    pub(crate) fn take(
        &mut self,
        results: &Echo,
        outcome: impl Fn(&Line<'_>) -> RecordOutcome,
    ) -> Result<()> {
        let echoed: Vec<(usize, Option<usize>)> = (self.all.columns.iter().enumerate())
            .map(|(at, name)| (at, results.column(name)))
            .collect();
        let mut left: Vec<&csv::StringRecord> = results.rows.iter().collect();
        // Line ends inside a text may come back in another form.
        for is_exact in [true, false] {
            if left.is_empty() {
                break;
            }
            let mut waiting = self.waiting(&echoed, is_exact);
            let mut strangers = Vec::new();
            for row in left {
                let key = self.key_of_echo(&echoed, row, is_exact);
                let Some(at) = waiting.get_mut(&key).and_then(VecDeque::pop_front) else {
                    strangers.push(row);
                    continue;
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
            }
            left = strangers;
        }
        self.n_strangers += left.len();
        Ok(())
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

    fn waiting(
        &self,
        echoed: &[(usize, Option<usize>)],
        is_exact: bool,
    ) -> HashMap<String, VecDeque<usize>> {
        let mut waiting: HashMap<String, VecDeque<usize>> = HashMap::new();
        for (at, row) in self.rows.iter().enumerate() {
            if self.outcomes[at].is_none() {
                let cell = |column: usize| Some(row.cells[column].cell());
                let key = self.key(echoed, |column, _| cell(column), is_exact);
                waiting.entry(key).or_default().push_back(at);
            }
        }
        waiting
    }

    fn key_of_echo(
        &self,
        echoed: &[(usize, Option<usize>)],
        row: &csv::StringRecord,
        is_exact: bool,
    ) -> String {
        self.key(echoed, |_, column| row.get(column?), is_exact)
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
