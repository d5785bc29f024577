//! A query result as CSV: rendered once when the job is made, so that later writes do not show in it,
//! then cut into pages. Every field is quoted, null is the empty field (section 6 of the protocol page).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;

use super::job::Dialect;
use crate::salesforce::soql::eval;
use crate::salesforce::soql::plan::FieldPath;
use crate::salesforce::store::{Cell, Kind, Store};

/// Compressed pages remembered for one table.
const MAX_PAGES: usize = 1_024;
/// Rows a worker renders before it asks for more.
const BLOCK: usize = 10_000;

/// Rows as CSV, the header apart.
pub struct Table {
    header: Vec<u8>,
    blocks: Vec<Block>,
    len: usize,
    compressed: Mutex<HashMap<(usize, usize, bool), Bytes>>,
}

#[derive(Default)]
struct Block {
    text: Vec<u8>,
    /// Where each row ends.
    ends: Vec<usize>,
}

impl Table {
    /// Renders rows of an object, on all processors.
    pub fn render(
        store: &Store,
        object: usize,
        paths: &[FieldPath],
        rows: &[u32],
        dialect: Dialect,
    ) -> Self {
        let mut header = dialect.writer(Vec::new());
        // Writing to memory does not fail.
        let _ = header.write_record(paths.iter().map(|path| path.name.as_str()));
        let parts: Vec<&[u32]> = rows.chunks(BLOCK).collect();
        let mut blocks: Vec<Block> = Vec::new();
        blocks.resize_with(parts.len(), Block::default);
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        let share = parts.len().div_ceil(workers).max(1);
        std::thread::scope(|scope| {
            for (blocks, parts) in blocks.chunks_mut(share).zip(parts.chunks(share)) {
                scope.spawn(move || {
                    for (block, part) in blocks.iter_mut().zip(parts) {
                        *block = Block::render(store, object, paths, part, dialect);
                    }
                });
            }
        });
        Self {
            header: header.into_inner().unwrap_or_default(),
            blocks,
            len: rows.len(),
            compressed: Mutex::default(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Rows `from` to `to`, behind the header if asked for.
    pub fn page(&self, from: usize, to: usize, header: bool) -> Bytes {
        let mut out = Vec::new();
        if header {
            out.extend_from_slice(&self.header);
        }
        let mut at = from;
        while at < to {
            let (number, start) = (at / BLOCK, at % BLOCK);
            let block = &self.blocks[number];
            let end = (to - number * BLOCK).min(block.ends.len());
            let begin = start.checked_sub(1).map_or(0, |last| block.ends[last]);
            out.extend_from_slice(&block.text[begin..block.ends[end - 1]]);
            at = number * BLOCK + end;
        }
        Bytes::from(out)
    }

    /// The compressed form of a page, made once.
    pub fn compressed(&self, from: usize, to: usize, header: bool) -> Bytes {
        let key = (from, to, header);
        let kept = || {
            self.compressed
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(page) = kept().get(&key) {
            return page.clone();
        }
        let page = crate::gzip(&self.page(from, to, header));
        let mut kept = kept();
        if kept.len() < MAX_PAGES {
            kept.insert(key, page.clone());
        }
        page
    }
}

impl Block {
    fn render(
        store: &Store,
        object: usize,
        paths: &[FieldPath],
        rows: &[u32],
        dialect: Dialect,
    ) -> Self {
        let mut writer = dialect.writer(Vec::new());
        let mut ends = Vec::with_capacity(rows.len());
        // Writing to memory does not fail.
        for row in rows {
            for path in paths {
                let cell = eval::cell(store, object, *row, path);
                let _ = writer.write_field(value(&cell, path.field.kind).as_bytes());
            }
            let _ = writer.write_record(None::<&[u8]>);
            let _ = writer.flush();
            ends.push(writer.get_ref().len());
        }
        let text = writer.into_inner().unwrap_or_default();
        Self { text, ends }
    }
}

/// A value as CSV shows it; a moment ends in `Z`, unlike in JSON.
fn value(cell: &Cell, kind: Kind) -> Cow<'_, str> {
    match cell {
        Cell::Null | Cell::Blob(_) => Cow::Borrowed(""),
        Cell::Bool(true) => Cow::Borrowed("true"),
        Cell::Bool(false) => Cow::Borrowed("false"),
        Cell::Number(text) | Cell::Object(text) => Cow::Borrowed(text),
        Cell::Text(text) => match (kind, text.strip_suffix("+0000")) {
            (Kind::Instant, Some(moment)) => Cow::Owned(format!("{moment}Z")),
            _ => Cow::Borrowed(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Contacts;
    use crate::salesforce::organisation;
    use crate::salesforce::soql::{bind, parser};

    #[test]
    fn pages_of_any_size_add_up_to_the_table() {
        let store = organisation::build(Contacts::new(25_000, 7)).unwrap();
        let query = parser::parse("SELECT Id, Name FROM Contact").unwrap();
        let object = bind::bind(&query, &store).unwrap().object;
        let binder = bind::Binder {
            store: &store,
            object,
            alias: None,
        };
        let field = |name: &str| {
            let query = parser::parse(&format!("SELECT {name} FROM Contact")).unwrap();
            let crate::salesforce::soql::ast::Item::Field { path, .. } = &query.select[0] else {
                panic!("a field");
            };
            binder.path(path).unwrap()
        };
        let paths = [field("Id"), field("Name")];
        let rows: Vec<u32> = (0..store.object(object).len()).collect();
        let table = Table::render(&store, object, &paths, &rows, Dialect::default());
        let whole = table.page(0, rows.len(), true);
        for size in [1_999, 10_000, 10_001, 20_000] {
            let mut joined = table.page(0, 0, true).to_vec();
            for from in (0..rows.len()).step_by(size) {
                joined.extend(table.page(from, (from + size).min(rows.len()), false));
            }
            assert!(joined == whole, "pages of {size}");
        }
        let mut reader = csv::Reader::from_reader(&whole[..]);
        assert_eq!(reader.headers().unwrap(), vec!["Id", "Name"]);
        let ids: Vec<String> = reader.records().map(|r| r.unwrap()[0].to_owned()).collect();
        assert_eq!(ids.len(), rows.len());
        assert!(
            ids.iter()
                .zip(&rows)
                .all(|(id, row)| *id == store.object(object).id(*row))
        );
    }
}
