//! The bytes of a reply into a page of columns: the hot path. A walk over the elements puts each value straight into
//! its column; what a record does not hold is null (Oracle page 4.1).

use crate::envelope::{close_message, open_list};
use crate::kind::FieldKind;
use crm_core::{
    CellDecoder, ColumnType, Conversion, Error, ErrorKind, Page, PageBuilder, QueryField, Raw,
    Result, Zone, format_instant_millis, instant_of_wall_clock, parse_date, parse_instant,
    parse_wall_clock,
};
use crm_xml::Reader;

/// One reply to a query.
#[derive(Debug, Default)]
pub(crate) struct QueryReply {
    /// Its records.
    pub page: Page,
    /// Their identifiers, in their order.
    pub ids: Vec<String>,
    /// It is the last page, where the CRM says.
    pub last: Option<bool>,
    /// How many records match, where it was asked.
    pub count: Option<u64>,
}

/// Turns replies to one query into pages.
#[derive(Debug)]
pub(crate) struct PageDecoder {
    object: String,
    /// Name of the list of records.
    list: String,
    identifier: String,
    entries: Vec<Entry>,
    cells: Vec<CellDecoder>,
    /// For each column, what its field holds.
    kinds: Vec<FieldKind>,
}

/// A field that is expected in a record.
#[derive(Debug)]
struct Entry {
    tag: String,
    columns: Vec<usize>,
}

/// Paging goes by identifiers.
pub(crate) fn without_identifier() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the reply holds a record without its identifier",
    )
}

impl PageDecoder {
    /// A decoder for `fields` of `object`.
    pub(crate) fn new(object: &str, identifier: &str, fields: &[QueryField], zone: Zone) -> Self {
        let mut entries: Vec<Entry> = vec![Entry {
            tag: identifier.to_owned(),
            columns: Vec::new(),
        }];
        for (column, field) in fields.iter().enumerate() {
            match entries.iter_mut().find(|entry| entry.tag == field.name) {
                Some(entry) => entry.columns.push(column),
                None => entries.push(Entry {
                    tag: field.name.clone(),
                    columns: vec![column],
                }),
            }
        }
        Self {
            list: format!("ListOf{object}"),
            object: object.to_owned(),
            identifier: identifier.to_owned(),
            entries,
            cells: fields
                .iter()
                .map(|field| CellDecoder {
                    column_type: field.column_type,
                    conversion: field.conversion,
                    zone,
                    separator: ';',
                })
                .collect(),
            kinds: fields
                .iter()
                .map(|field| FieldKind::of_word(&field.remote_type))
                .collect(),
        }
    }

    /// A query's reply.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when it is not one.
    pub(crate) fn reply(&self, body: &[u8]) -> Result<QueryReply> {
        let mut reader = Reader::new(body)?;
        open_list(&mut reader, &self.list)?;
        let mut reply = QueryReply {
            last: last_page(&reader)?,
            count: reader
                .attribute("", "recordcount")?
                .and_then(|text| text.trim().parse().ok()),
            ..QueryReply::default()
        };
        let mut builder = PageBuilder::new(&self.cells);
        while reader.child()? {
            if reader.name().1 != self.object {
                reader.skip()?;
                continue;
            }
            let n_rejects = builder.n_rejects();
            let id = self.record(&mut reader, &mut builder)?;
            builder.name_record(n_rejects, id.as_deref());
            builder.end_record();
            reply.ids.push(id.ok_or_else(without_identifier)?);
        }
        close_message(&mut reader)?;
        reply.page = builder.finish(body.len());
        Ok(reply)
    }

    /// Puts one record's values; gives its identifier.
    fn record(
        &self,
        reader: &mut Reader<'_>,
        builder: &mut PageBuilder<'_>,
    ) -> Result<Option<String>> {
        let mut expected = 0;
        let mut id = None;
        while reader.child()? {
            let tag = reader.name().1;
            // The CRM answers in an order of its own, but in the same one for every record.
            let found = match self.entries.get(expected) {
                Some(entry) if entry.tag == tag => Some(expected),
                _ => self.entries.iter().position(|entry| entry.tag == tag),
            };
            let Some(at) = found else {
                reader.skip()?;
                continue;
            };
            expected = at + 1;
            let entry = &self.entries[at];
            let text = reader.text()?;
            if entry.tag == self.identifier && id.is_none() && !text.is_empty() {
                id = Some(text.clone().into_owned());
            }
            for column in &entry.columns {
                self.put(*column, &text, builder);
            }
        }
        Ok(id)
    }

    fn put(&self, column: usize, text: &str, builder: &mut PageBuilder<'_>) {
        if text.is_empty() {
            builder.append(column, Ok(Raw::Null), text);
            return;
        }
        let cell = &self.cells[column];
        let mended = match (self.kinds[column], cell.conversion) {
            (_, Conversion::CopyPaste) => None,
            // A day has no zone, also where it comes with a time (Oracle page 10).
            (FieldKind::Date, _) => day_of(text).map(str::to_owned),
            (_, Conversion::WithoutTimeOffset) => None,
            _ if is_of_time(cell.column_type) => with_zone(text, cell.zone),
            _ => None,
        };
        let raw = mended.as_deref().unwrap_or(text);
        builder.append(column, Ok(Raw::Text(raw)), text);
    }
}

fn is_of_time(column_type: ColumnType) -> bool {
    matches!(
        column_type,
        ColumnType::Instant | ColumnType::Date | ColumnType::Timestamp
    )
}

/// The day at the start of a date with a time.
fn day_of(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let rest = &text[10..];
    (rest.starts_with('T') && parse_date(day).is_some() && parse_wall_clock(text).is_some())
        .then_some(day)
}

/// A date and time without a zone is one of the account's (D-1): the same moment, with its offset.
fn with_zone(text: &str, zone: Zone) -> Option<String> {
    if parse_instant(text).is_some() {
        return None;
    }
    let wall = parse_wall_clock(text)?;
    format_instant_millis(instant_of_wall_clock(wall, zone)?)
}

/// Whether the list just opened says that it is the last page, where it says.
///
/// # Errors
/// [`ErrorKind::Undecodable`].
pub(crate) fn last_page(reader: &Reader<'_>) -> Result<Option<bool>> {
    Ok(reader
        .attribute("", "lastpage")?
        .and_then(|text| truth(&text)))
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "y" | "1" => Some(true),
        "false" | "n" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
