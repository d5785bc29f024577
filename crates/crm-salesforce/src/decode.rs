//! The bytes of a reply into a page of columns: the hot path.
//!
//! A walk over its text puts each cell straight into its column: no tree for a record, no string for a cell.
//! Numbers go over as they are written. See `walk.rs` for the steps.

use crate::deparse;
use crate::ids;
use crm_core::json::{self, Token, Walk};
use crm_core::{CellDecoder, Page, PageBuilder, Raw, RemoteQuery, Result, Zone};

/// One reply to a query.
#[derive(Debug, Default)]
pub(crate) struct QueryReply {
    /// Its records.
    pub page: Page,
    /// How many records match in all; negative when the vendor does not know.
    pub total_size: Option<i64>,
    /// This was the last page.
    pub done: Option<bool>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// Turns replies to one query into pages.
#[derive(Debug)]
pub(crate) struct PageDecoder {
    root: Node,
    cells: Vec<CellDecoder>,
}

/// The fields expected in one object: the record itself, or a parent inside it.
#[derive(Debug, Default)]
struct Node {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    columns: Vec<usize>,
    parent: Option<Node>,
}

impl PageDecoder {
    /// A decoder for the fields or aggregates of `query`.
    pub(crate) fn new(query: &RemoteQuery, zone: Zone) -> Self {
        let mut root = Node::default();
        for (column, field) in query.fields.iter().enumerate() {
            if query.aggregates.is_empty() {
                root.expect(&field.name, column);
            } else {
                root.expect(&deparse::alias(column), column);
            }
        }
        let cells = query.fields.iter().map(|field| CellDecoder {
            column_type: field.column_type,
            conversion: field.conversion,
            zone,
            separator: ';',
        });
        Self {
            root,
            cells: cells.collect(),
        }
    }

    /// A query's reply.
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
                "totalSize" => reply.total_size = whole_number(&mut walk)?,
                "done" => reply.done = truth(&mut walk)?,
                "nextRecordsUrl" => reply.next = link(&mut walk)?,
                "records" => {
                    has_records = true;
                    records(&mut walk, &self.root, &mut page)?;
                }
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

    /// The list of records that a retrieve by identifiers returns; those not found are null and left out.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not a list of records.
    pub(crate) fn record_list(&self, body: &[u8]) -> Result<Page> {
        let mut walk = Walk::new(json::text_of(body, "records")?);
        let mut page = PageBuilder::new(&self.cells);
        records(&mut walk, &self.root, &mut page)?;
        walk.finish()?;
        Ok(page.finish(body.len()))
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
}

impl Node {
    fn expect(&mut self, path: &str, column: usize) {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        // Fields may differ in case alone; a parent comes once, in whatever case it was asked for.
        let known = self.entries.iter().position(|entry| match rest {
            Some(_) => entry.parent.is_some() && entry.name.eq_ignore_ascii_case(name),
            None => entry.parent.is_none() && entry.name == name,
        });
        let at = known.unwrap_or_else(|| {
            self.entries.push(Entry {
                name: name.into(),
                columns: Vec::new(),
                parent: None,
            });
            self.entries.len() - 1
        });
        let entry = &mut self.entries[at];
        match rest {
            Some(rest) => entry
                .parent
                .get_or_insert_with(Node::default)
                .expect(rest, column),
            None => entry.columns.push(column),
        }
    }

    /// The entry of that name, with regard to case before without.
    fn find(&self, name: &str) -> Option<usize> {
        let is_same = |entry: &Entry| entry.name == name;
        let is_alike = |entry: &Entry| entry.name.eq_ignore_ascii_case(name);
        let found = self.entries.iter().position(is_same);
        found.or_else(|| self.entries.iter().position(is_alike))
    }
}

/// A list of records; null ones and a null list hold nothing.
fn records(walk: &mut Walk<'_>, root: &Node, page: &mut PageBuilder<'_>) -> Result<()> {
    if walk.take_null() {
        return Ok(());
    }
    walk.open_list()?;
    while walk.has_element()? {
        if !walk.take_null() {
            let record = walk.rest();
            let n_rejects = page.n_rejects();
            fields(walk, root, page)?;
            if page.n_rejects() > n_rejects {
                let record = &record[..record.len() - walk.rest().len()];
                page.name_record(n_rejects, id_of(record).as_deref());
            }
            page.end_record();
        }
    }
    Ok(())
}

/// One object's fields: the record's, or a parent's.
fn fields(walk: &mut Walk<'_>, node: &Node, page: &mut PageBuilder<'_>) -> Result<()> {
    let mut expected = 0;
    walk.open_object()?;
    while walk.has_key()? {
        let next = node.entries.get(expected);
        let is_next = match next {
            Some(next) => walk.take_key(&next.name)?,
            None => false,
        };
        let found = if is_next {
            Some(expected)
        } else {
            match &*walk.key()? {
                // What Salesforce adds to each record is not a field, and must not cost a search.
                "attributes" => None,
                key => node.find(key),
            }
        };
        match found {
            Some(at) => {
                expected = at + 1;
                put(walk.value()?, &node.entries[at], page)?;
            }
            None => walk.skip_value()?,
        }
    }
    Ok(())
}

fn put(token: Token<'_>, entry: &Entry, page: &mut PageBuilder<'_>) -> Result<()> {
    if let (Some(parent), Token::Nested(json)) = (&entry.parent, token)
        && json.starts_with('{')
    {
        // The parent's text is walked twice; parents are few and small.
        fields(&mut Walk::new(json), parent, page)?;
    }
    page.append_json(&entry.columns, token)
}

/// Which record it is: each comes with its own address (page 5).
fn id_of(record: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Record {
        attributes: Attributes,
    }
    #[derive(serde::Deserialize)]
    struct Attributes {
        url: String,
    }
    let record = serde_json::from_str::<Record>(record).ok()?;
    record
        .attributes
        .url
        .rsplit('/')
        .next()
        .and_then(ids::canonical)
}

fn whole_number(walk: &mut Walk<'_>) -> Result<Option<i64>> {
    match walk.value()? {
        Token::Bare("null") => Ok(None),
        Token::Bare(digits) => digits.parse().map(Some).map_err(|_| walk.unexpected()),
        _ => Err(walk.unexpected()),
    }
}

fn truth(walk: &mut Walk<'_>) -> Result<Option<bool>> {
    match walk.value()? {
        Token::Bare("null") => Ok(None),
        Token::Bare("true") => Ok(Some(true)),
        Token::Bare("false") => Ok(Some(false)),
        _ => Err(walk.unexpected()),
    }
}

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

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
