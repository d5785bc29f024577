//! Builds a page, record by record, from the cells that a format's parser finds.

use crate::cell::{CellDecoder, Raw};
use crate::error::{Error, ErrorKind, Result};
use crate::json::{self, Token};
use crate::page::{CellReject, Column, Page};

/// What a rejected value is shown as is cut after so many bytes.
const LONGEST_RAW: usize = 256;

/// A page in the making. Cells come in any order within a record; those that do not come are null.
#[derive(Debug)]
pub struct PageBuilder<'d> {
    cells: &'d [CellDecoder],
    columns: Vec<Column>,
    rejects: Vec<CellReject>,
    n_rows: usize,
}

impl<'d> PageBuilder<'d> {
    /// An empty page with a column for each of `cells`.
    pub fn new(cells: &'d [CellDecoder]) -> Self {
        Self {
            columns: cells
                .iter()
                .map(|cell| Column::new(cell.column_type))
                .collect(),
            cells,
            rejects: Vec::new(),
            n_rows: 0,
        }
    }

    /// Puts a cell of the current record; one that was put already counts, and so columns stay of equal length.
    /// `shown` is the value as it was sent, for a reject; an error of `raw` says why it is no value at all.
    pub fn append(
        &mut self,
        column: usize,
        raw: std::result::Result<Raw<'_>, &'static str>,
        shown: &str,
    ) {
        if self.columns[column].len() != self.n_rows {
            return;
        }
        let appended = match raw {
            Ok(raw) => self.cells[column].append(raw, &mut self.columns[column]),
            Err(reason) => Err(reason.into()),
        };
        if let Err(reason) = appended {
            self.columns[column].push_null();
            self.rejects.push(CellReject {
                row: self.n_rows,
                column,
                record: None,
                raw: shortened(shown),
                reason,
            });
        }
    }

    /// Puts a JSON value into these columns of the current record.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] for an escape that is none, or a document nested too deeply.
    pub fn append_json(&mut self, columns: &[usize], token: Token<'_>) -> Result<()> {
        if columns.is_empty() {
            return Ok(());
        }
        let unescaped;
        let (shown, raw) = match token {
            Token::Text(text) => (text, Ok(Raw::Text(text))),
            Token::Escaped(quoted) => {
                unescaped = json::unescaped(quoted)?;
                let raw = unescaped.as_deref().map(Raw::Text);
                (
                    quoted,
                    raw.ok_or("it holds a character that does not exist"),
                )
            }
            Token::Nested(document) if json::depth_of(document) > json::DEEPEST => {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the reply is nested too deeply",
                ));
            }
            Token::Nested(document) => (document, Ok(Raw::Json(document))),
            Token::Bare("null") => ("", Ok(Raw::Null)),
            Token::Bare("true") => ("true", Ok(Raw::Bool(true))),
            Token::Bare("false") => ("false", Ok(Raw::Bool(false))),
            Token::Bare(number) => (number, Ok(Raw::Number(number))),
        };
        for column in columns {
            self.append(*column, raw, shown);
        }
        Ok(())
    }

    /// How many cells have not converted so far.
    pub fn n_rejects(&self) -> usize {
        self.rejects.len()
    }

    /// Tells the rejects from `first` on which record they are of.
    pub fn name_record(&mut self, first: usize, id: Option<&str>) {
        for reject in &mut self.rejects[first..] {
            reject.record = id.map(str::to_owned);
        }
    }

    /// Ends the current record: what it did not hold is null.
    pub fn end_record(&mut self) {
        self.n_rows += 1;
        for column in &mut self.columns {
            if column.len() < self.n_rows {
                column.push_null();
            }
        }
    }

    /// The page; `n_bytes` of the reply it came in.
    pub fn finish(self, n_bytes: usize) -> Page {
        Page {
            n_rows: self.n_rows,
            columns: self.columns,
            rejects: self.rejects,
            bytes: n_bytes,
        }
    }
}

fn shortened(value: &str) -> String {
    let value = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value);
    if value.len() <= LONGEST_RAW {
        return value.into();
    }
    format!("{}…", &value[..value.floor_char_boundary(LONGEST_RAW)])
}
