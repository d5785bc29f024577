//! The bytes of a reply into a page of columns: the hot path.
//!
//! A streaming visitor writes each cell straight into its column: no tree for a record, no string for a cell.
//! Numbers go over as they are written. Fields are expected in the order asked for and found by name otherwise.

use crate::deparse;
use crate::error;
use crm_core::{
    CellDecoder, CellReject, Column, Error, ErrorKind, Page, Raw, RemoteQuery, Result, Zone,
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// What a rejected value is shown as is cut after so many bytes.
const LONGEST_RAW: usize = 256;
/// Documents nested deeper are no data: PostgreSQL's own parser would give up on them.
const DEEPEST: usize = 200;

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
        let text = text_of(body)?;
        let mut sink = Sink::new(self);
        let mut json = serde_json::Deserializer::from_str(text);
        let mut reply = Envelope { sink: &mut sink }
            .deserialize(&mut json)
            .and_then(|reply| json.end().map(|()| reply))
            .map_err(|error| undecodable(&error))?;
        reply.page = sink.into_page(body.len());
        Ok(reply)
    }

    /// The list of records that a retrieve by identifiers returns; those not found are null and left out.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not a list of records.
    pub(crate) fn record_list(&self, body: &[u8]) -> Result<Page> {
        let text = text_of(body)?;
        let mut sink = Sink::new(self);
        let mut json = serde_json::Deserializer::from_str(text);
        Records { sink: &mut sink }
            .deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| undecodable(&error))?;
        Ok(sink.into_page(body.len()))
    }

    /// A page of one record that holds `count` alone.
    pub(crate) fn count_page(&self, count: u64, n_bytes: usize) -> Page {
        let mut sink = Sink::new(self);
        let digits = count.to_string();
        for column in 0..self.cells.len() {
            sink.append(column, Ok(Raw::Number(&digits)), &digits);
        }
        sink.n_rows = 1;
        sink.into_page(n_bytes)
    }
}

impl Node {
    fn expect(&mut self, path: &str, column: usize) {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let known = self
            .entries
            .iter()
            .position(|e| e.name.eq_ignore_ascii_case(name));
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

    /// The entry of that name: the expected one, or any, with regard to case before without.
    fn find(&self, name: &str, expected: usize) -> Option<usize> {
        if self.entries.get(expected).is_some_and(|e| e.name == name) {
            return Some(expected);
        }
        let is_same = |entry: &Entry| entry.name == name;
        let is_alike = |entry: &Entry| entry.name.eq_ignore_ascii_case(name);
        let found = self.entries.iter().position(is_same);
        found.or_else(|| self.entries.iter().position(is_alike))
    }
}

/// Where cells go.
struct Sink<'d> {
    decoder: &'d PageDecoder,
    columns: Vec<Column>,
    rejects: Vec<CellReject>,
    n_rows: usize,
}

impl<'d> Sink<'d> {
    fn new(decoder: &'d PageDecoder) -> Self {
        let columns = decoder
            .cells
            .iter()
            .map(|cell| Column::new(cell.column_type));
        Self {
            decoder,
            columns: columns.collect(),
            rejects: Vec::new(),
            n_rows: 0,
        }
    }

    fn put(&mut self, entry: &Entry, value: &str) -> serde_json::Result<()> {
        if let Some(parent) = &entry.parent
            && value.starts_with('{')
        {
            // The parent's text is looked at twice; parents are few and small.
            let fields = Fields {
                node: parent,
                sink: self,
            };
            fields.deserialize(&mut serde_json::Deserializer::from_str(value))?;
        }
        if entry.columns.is_empty() {
            return Ok(());
        }
        let unescaped;
        let raw = match value.as_bytes().first() {
            Some(b'"') => {
                let inner = &value[1..value.len() - 1];
                if inner.as_bytes().contains(&b'\\') {
                    match serde_json::from_str::<String>(value) {
                        Ok(text) => {
                            unescaped = text;
                            Ok(Raw::Text(&unescaped))
                        }
                        // Half a surrogate pair: no text PostgreSQL could hold.
                        Err(_) => Err("it holds a character that does not exist".to_string()),
                    }
                } else {
                    Ok(Raw::Text(inner))
                }
            }
            Some(b'n') => Ok(Raw::Null),
            Some(b't') => Ok(Raw::Bool(true)),
            Some(b'f') => Ok(Raw::Bool(false)),
            Some(b'{' | b'[') if is_too_deep(value) => {
                return Err(serde::de::Error::custom("nested too deeply"));
            }
            Some(b'{' | b'[') => Ok(Raw::Json(value)),
            _ => Ok(Raw::Number(value)),
        };
        for column in &entry.columns {
            // A name that comes twice counts once, so that columns stay of equal length.
            if self.columns[*column].len() == self.n_rows {
                self.append(*column, raw.clone(), value);
            }
        }
        Ok(())
    }

    fn append(&mut self, column: usize, raw: std::result::Result<Raw<'_>, String>, value: &str) {
        let cell = &self.decoder.cells[column];
        let appended = raw.and_then(|raw| cell.append(raw, &mut self.columns[column]));
        if let Err(reason) = appended {
            self.columns[column].push_null();
            self.rejects.push(CellReject {
                row: self.n_rows,
                column,
                raw: shortened(value),
                reason,
            });
        }
    }

    /// What the record did not hold is null.
    fn end_record(&mut self) {
        self.n_rows += 1;
        for column in &mut self.columns {
            if column.len() < self.n_rows {
                column.push_null();
            }
        }
    }

    fn into_page(self, n_bytes: usize) -> Page {
        Page {
            n_rows: self.n_rows,
            columns: self.columns,
            rejects: self.rejects,
            bytes: n_bytes,
        }
    }
}

/// `{"totalSize":…,"done":…,"nextRecordsUrl":…,"records":[…]}`, in any order.
struct Envelope<'s, 'd> {
    sink: &'s mut Sink<'d>,
}

impl<'de> DeserializeSeed<'de> for Envelope<'_, '_> {
    type Value = QueryReply;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result2<QueryReply, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Envelope<'_, '_> {
    type Value = QueryReply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query's reply")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result2<QueryReply, A::Error> {
        let mut reply = QueryReply::default();
        let mut has_records = false;
        while let Some(key) = map.next_key::<EnvelopeKey>()? {
            match key {
                EnvelopeKey::TotalSize => reply.total_size = map.next_value()?,
                EnvelopeKey::Done => reply.done = map.next_value()?,
                EnvelopeKey::NextRecordsUrl => reply.next = map.next_value()?,
                EnvelopeKey::Records => {
                    has_records = true;
                    map.next_value_seed(Records {
                        sink: &mut *self.sink,
                    })?;
                }
                EnvelopeKey::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_records {
            Ok(reply)
        } else {
            Err(serde::de::Error::missing_field("records"))
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
enum EnvelopeKey {
    TotalSize,
    Done,
    NextRecordsUrl,
    Records,
    #[serde(other)]
    Other,
}

/// A list of records; null ones and a null list hold nothing.
struct Records<'s, 'd> {
    sink: &'s mut Sink<'d>,
}

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result2<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_unit<E>(self) -> Result2<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result2<(), A::Error> {
        loop {
            let record = Fields {
                node: &self.sink.decoder.root,
                sink: &mut *self.sink,
            };
            match list.next_element_seed(record)? {
                Some(true) => self.sink.end_record(),
                Some(false) => {}
                None => return Ok(()),
            }
        }
    }
}

/// One object's fields; whether there was an object rather than null.
struct Fields<'n, 's, 'd> {
    node: &'n Node,
    sink: &'s mut Sink<'d>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result2<bool, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_unit<E>(self) -> Result2<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result2<bool, A::Error> {
        let node = self.node;
        let mut expected = 0;
        while let Some(found) = map.next_key_seed(Key { node, expected })? {
            let Some(at) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = at + 1;
            let value: &RawValue = map.next_value()?;
            self.sink
                .put(&node.entries[at], value.get())
                .map_err(serde::de::Error::custom)?;
        }
        Ok(true)
    }
}

/// A key as the place of its entry, if it is one asked for.
struct Key<'n> {
    node: &'n Node,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result2<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E>(self, name: &str) -> Result2<Option<usize>, E> {
        // What Salesforce adds to each record is not a field, and must not cost a search.
        if name == "attributes" {
            return Ok(None);
        }
        Ok(self.node.find(name, self.expected))
    }
}

type Result2<T, E> = std::result::Result<T, E>;

fn text_of(body: &[u8]) -> Result<&str> {
    if error::is_markup(body) {
        return Err(error::not_json("records"));
    }
    std::str::from_utf8(body).map_err(|fault| {
        Error::new(ErrorKind::Undecodable, "the reply is not UTF-8")
            .with_detail(format!("The first bad byte is at {}.", fault.valid_up_to()))
    })
}

/// Says where a reply breaks, never what it holds.
pub(crate) fn undecodable(fault: &serde_json::Error) -> Error {
    use serde_json::error::Category;
    let message = match fault.classify() {
        Category::Eof => "the reply ends too early",
        Category::Syntax => "the reply is broken",
        Category::Data | Category::Io => "the reply is not what was asked for",
    };
    Error::new(ErrorKind::Undecodable, message).with_detail(format!(
        "JSON line {}, column {}",
        fault.line(),
        fault.column()
    ))
}

fn is_too_deep(json: &str) -> bool {
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b'}' | b']' if !in_text => depth -= 1,
            _ => {}
        }
    }
    false
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

#[cfg(test)]
mod tests;
