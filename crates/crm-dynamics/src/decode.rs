//! The bytes of a reply into a page of columns: the hot path (Dynamics page, sections 5, 6 and 12).
//!
//! A walk over its text puts each cell straight into its column: no tree for a record, no string for a cell.
//! Numbers go over as they are written; what a record does not hold is null.

use crate::error;
use crate::ids;
use crate::types::{Kind, property};
use crm_core::json::{self, Token, Walk};
use crm_core::{
    CellDecoder, ColumnType, Conversion, EnumerationValue, Error, ErrorKind, Page, PageBuilder,
    QueryField, Raw, RemoteQuery, Result, Zone,
};
use crm_http::StatusCode;
use std::collections::HashMap;

/// What stands behind a lookup's name where its target's kind is told.
const TARGET_ANNOTATION: &str = "@Microsoft.Dynamics.CRM.lookuplogicalname";
/// Between the labels of a set, which may hold any character that people write.
const BETWEEN_LABELS: char = '\u{1f}';

/// One reply to a query.
#[derive(Debug, Default)]
pub(crate) struct QueryReply {
    /// Its records.
    pub page: Page,
    /// Where the next page is; a page may be empty and still have one.
    pub next: Option<String>,
}

/// The labels of an option set, by value.
pub(crate) type Labels = HashMap<String, String>;

/// Turns replies to one query into pages.
#[derive(Debug)]
pub(crate) struct PageDecoder {
    entries: Vec<Entry>,
    cells: Vec<CellDecoder>,
    identifier: String,
}

/// A property that is expected in a record.
#[derive(Debug)]
struct Entry {
    name: String,
    columns: Vec<usize>,
    /// Columns that show labels in place of its values.
    labelled: Vec<(usize, Labels)>,
}

/// Whether a column shows labels of its field (N-3).
pub(crate) fn shows_labels(field: &QueryField) -> bool {
    field.conversion == Conversion::Default
        && matches!(
            (Kind::of(&field.remote_type), field.column_type),
            (Kind::Choice, ColumnType::Text) | (Kind::Choices, ColumnType::TextArray)
        )
}

impl PageDecoder {
    /// A decoder for the fields of `query`; `values` gives the values of an option set's field.
    pub(crate) fn new<'v>(
        query: &RemoteQuery,
        zone: Zone,
        values: impl Fn(&str) -> &'v [EnumerationValue],
    ) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (column, field) in query.fields.iter().enumerate() {
            let mut name = property(&field.name, &field.remote_type).into_owned();
            if Kind::of(&field.remote_type) == Kind::Target {
                name.push_str(TARGET_ANNOTATION);
            }
            let known = entries.iter().position(|entry| entry.name == name);
            let at = known.unwrap_or_else(|| {
                entries.push(Entry {
                    name,
                    columns: Vec::new(),
                    labelled: Vec::new(),
                });
                entries.len() - 1
            });
            if shows_labels(field) {
                let labels = values(&field.name).iter();
                let labels = labels.map(|value| (value.value.clone(), value.label.clone()));
                entries[at].labelled.push((column, labels.collect()));
            } else {
                entries[at].columns.push(column);
            }
        }
        Self {
            entries,
            cells: query.fields.iter().map(|field| cell(field, zone)).collect(),
            identifier: query.identifier.clone(),
        }
    }

    /// A reply to a query.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub(crate) fn query_reply(&self, body: &[u8]) -> Result<QueryReply> {
        let mut walk = Walk::new(json::text_of(body, "records")?);
        let mut page = PageBuilder::new(&self.cells);
        let mut reply = QueryReply::default();
        let mut has_records = false;
        walk.open_object()?;
        while walk.has_key()? {
            match &*walk.key()? {
                "@odata.nextLink" => reply.next = link(&mut walk)?,
                "value" => {
                    has_records = true;
                    self.records(&mut walk, &mut page)?;
                }
                // A server that fails in the middle of its answer can say so nowhere else.
                "error" => return Err(failed(body)),
                _ => walk.skip_value()?,
            }
        }
        walk.finish()?;
        if !has_records {
            return Err(walk.unexpected());
        }
        reply.page = page.finish(body.len());
        Ok(reply)
    }

    /// A page of one record that holds `count` alone.
    pub(crate) fn count_page(&self, count: u64, n_bytes: usize) -> Page {
        let mut page = PageBuilder::new(&self.cells);
        let digits = count.to_string();
        for column in 0..self.cells.len() {
            page.append(column, Ok(Raw::Number(&digits)), &digits);
        }
        page.end_record();
        page.finish(n_bytes)
    }

    fn records(&self, walk: &mut Walk<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        walk.open_list()?;
        while walk.has_element()? {
            let record = walk.rest();
            let n_rejects = page.n_rejects();
            self.record(walk, page)?;
            if page.n_rejects() > n_rejects {
                let record = &record[..record.len() - walk.rest().len()];
                page.name_record(n_rejects, self.id_of(record).as_deref());
            }
            page.end_record();
        }
        Ok(())
    }

    fn record(&self, walk: &mut Walk<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        let mut expected = 0;
        walk.open_object()?;
        while walk.has_key()? {
            let is_next = match self.entries.get(expected) {
                Some(next) => walk.take_key(&next.name)?,
                None => false,
            };
            let found = if is_next {
                Some(expected)
            } else {
                match &*walk.key()? {
                    // What every record has is no property, and must not cost a search.
                    "@odata.etag" => None,
                    key => self.entries.iter().position(|entry| entry.name == key),
                }
            };
            match found {
                Some(at) => {
                    expected = at + 1;
                    self.entries[at].put(walk.value()?, page)?;
                }
                None => skip(walk)?,
            }
        }
        Ok(())
    }

    /// Which record it is: its identifier comes unasked (section 5).
    fn id_of(&self, record: &str) -> Option<String> {
        let record: HashMap<String, serde_json::Value> = serde_json::from_str(record).ok()?;
        ids::canonical(record.get(&self.identifier)?.as_str()?)
    }
}

impl Entry {
    fn put(&self, token: Token<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        for (column, labels) in &self.labelled {
            match token {
                Token::Bare("null") => page.append(*column, Ok(Raw::Null), ""),
                Token::Bare(value) | Token::Text(value) => {
                    let label = labels_of(value, labels);
                    page.append(*column, Ok(Raw::Text(&label)), value);
                }
                other => page.append_json(&[*column], other)?,
            }
        }
        page.append_json(&self.columns, token)
    }
}

/// The labels of a value, or of several with commas between; one without a label shows as it is.
pub(crate) fn labels_of(value: &str, labels: &Labels) -> String {
    let mut text = String::new();
    for (at, one) in value.split(',').enumerate() {
        if at > 0 {
            text.push(BETWEEN_LABELS);
        }
        let one = one.trim();
        text.push_str(labels.get(one).map_or(one, String::as_str));
    }
    text
}

pub(crate) fn cell(field: &QueryField, zone: Zone) -> CellDecoder {
    let kind = Kind::of(&field.remote_type);
    let is_wall_clock = kind == Kind::WallClock;
    // Its digits are what counts, whatever follows them (section 11).
    let conversion = match field.conversion {
        Conversion::Default if is_wall_clock => Conversion::WithoutTimeOffset,
        conversion => conversion,
    };
    CellDecoder {
        column_type: field.column_type,
        conversion,
        zone: if is_wall_clock { Zone::default() } else { zone },
        separator: if shows_labels(field) {
            BETWEEN_LABELS
        } else {
            ','
        },
    }
}

/// Passes over a property that nobody asked for. Properties are no documents: what is nested deeply is no record.
fn skip(walk: &mut Walk<'_>) -> Result<()> {
    let rest = walk.rest();
    walk.skip_value()?;
    let skipped = &rest[..rest.len() - walk.rest().len()];
    if skipped.starts_with(['{', '[']) && json::depth_of(skipped) > json::DEEPEST {
        return Err(Error::new(
            ErrorKind::Undecodable,
            "the reply is nested too deeply",
        ));
    }
    Ok(())
}

/// Where the next page is, as it stands in a reply.
fn link(walk: &mut Walk<'_>) -> Result<Option<String>> {
    match walk.value()? {
        Token::Bare("null") => Ok(None),
        Token::Text(text) => Ok(Some(text.into())),
        Token::Escaped(quoted) => serde_json::from_str(quoted)
            .map(Some)
            .map_err(|fault| json::undecodable(&fault)),
        _ => Err(walk.unexpected()),
    }
}

/// A document that is a fault rather than a record.
pub(crate) fn is_fault(document: &str) -> bool {
    let mut walk = Walk::new(document);
    let mut has_error = || -> Result<bool> {
        walk.open_object()?;
        Ok(walk.has_key()? && walk.take_key("error")?)
    };
    has_error().unwrap_or(false)
}

/// The error that a reply of success says after all.
pub(crate) fn failed(body: &[u8]) -> Error {
    match error::fault_of(body) {
        Some(fault) => error::from_fault(StatusCode::INTERNAL_SERVER_ERROR, &fault),
        None => Error::new(
            ErrorKind::Undecodable,
            "the reply is not what was asked for",
        ),
    }
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
