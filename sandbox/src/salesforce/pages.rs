//! The rendered pages of a query for a whole table. After writes only the touched records are rendered
//! anew; a page keeps its place, so an open locator goes on and a page may grow shorter than asked for.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Bytes;
use flate2::Crc;

use super::errors::{JSON, Reply};
use super::soql::eval;
use super::soql::plan::{Node, ParentColumn};
use super::store::Store;

const TAIL: &[u8] = b"]}";

/// What a set shows, and how large its pages are.
#[derive(Clone)]
pub struct View {
    pub id: String,
    pub user: usize,
    pub version: String,
    pub object: usize,
    pub nodes: Vec<Node>,
    /// Most records of a page.
    pub size: usize,
    /// queryAll.
    pub all: bool,
    /// Keep each page compressed as well.
    pub gzip: bool,
}

/// All pages of a table. Offsets count as if every page were full.
pub struct PageSet {
    pub view: View,
    pages: Vec<Arc<Page>>,
    total: usize,
    /// Writes seen: to the object itself, and to the whole store.
    own: usize,
    edition: usize,
}

/// A run of row numbers and what a query shows of it.
struct Page {
    rows: Range<u32>,
    visible: usize,
    shown: OnceLock<Shown>,
    /// An older page of these rows, and the rows that changed since.
    older: Mutex<Option<(Arc<Page>, BTreeSet<u32>)>>,
}

/// The rendered records, with commas between them and the end of the document behind.
struct Shown {
    text: Bytes,
    /// Row number, and where its record ends in the text.
    ends: Vec<(u32, usize)>,
    packed: Option<Packed>,
}

/// The text as a raw deflate stream, so that any beginning can be put before it.
struct Packed {
    stream: Bytes,
    crc: Crc,
}

impl PageSet {
    /// Cuts the table into pages; nothing is rendered yet.
    pub fn new(view: View, store: &Store) -> Self {
        let object = store.object(view.object);
        let mut pages = Vec::new();
        cut(&view, store, 0..object.len(), &mut pages);
        Self::of(view, pages, store)
    }

    fn of(view: View, pages: Vec<Arc<Page>>, store: &Store) -> Self {
        Self {
            total: pages.iter().map(|page| page.visible).sum(),
            own: store.object(view.object).rows().touched().len(),
            edition: store.edition(),
            pages,
            view,
        }
    }

    /// Whether no write has been made since.
    pub fn is_current(&self, store: &Store) -> bool {
        self.edition == store.edition()
    }

    /// The set after the writes since, under the same locator; `None` when it is better begun anew:
    /// when it shows other objects that changed too, or when a page would be empty.
    pub fn follow(&self, store: &Store) -> Option<Self> {
        let object = store.object(self.view.object);
        let touched = object.rows().touched();
        let others_rest = self.edition - self.own == store.edition() - touched.len();
        let parents = self
            .view
            .nodes
            .iter()
            .any(|node| matches!(node, Node::Parent { .. }));
        if parents && (!others_rest || leads_back(&self.view.nodes, self.view.object)) {
            return None;
        }
        let touched: BTreeSet<u32> = touched[self.own..].iter().copied().collect();
        let mut pages = Vec::with_capacity(self.pages.len());
        for page in &self.pages {
            let changed: BTreeSet<u32> = touched.range(page.rows.clone()).copied().collect();
            if changed.is_empty() {
                pages.push(Arc::clone(page));
                continue;
            }
            let next = Page::after(page, changed, &self.view, store);
            if next.visible == 0 {
                return None;
            }
            pages.push(Arc::new(next));
        }
        let end = self.pages.last().map_or(0, |page| page.rows.end);
        if end < object.len() {
            // New records fill the last page up before they begin another.
            let start = match pages.last() {
                Some(last) if last.visible < self.view.size => {
                    let start = last.rows.start;
                    pages.pop();
                    start
                }
                _ => end,
            };
            cut(&self.view, store, start..object.len(), &mut pages);
        }
        Some(Self::of(self.view.clone(), pages, store))
    }

    /// The same pages without anything rendered, for locators still open.
    pub fn slim(&self) -> Self {
        let pages = self.pages.iter().map(|page| {
            Arc::new(Page {
                rows: page.rows.clone(),
                visible: page.visible,
                shown: OnceLock::new(),
                older: Mutex::default(),
            })
        });
        Self {
            view: self.view.clone(),
            pages: pages.collect(),
            ..*self
        }
    }

    /// How many pages there are.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether a locator may name this offset.
    pub fn holds(&self, offset: usize) -> bool {
        offset / self.view.size < self.pages.len()
    }

    /// Renders a page ahead.
    pub fn render(&self, store: &Store, page: usize) {
        self.pages[page].shown(&self.view, store);
    }

    /// The answer from an offset on, at most `size` records and never beyond the page.
    pub fn answer(&self, store: &Store, offset: usize, size: usize) -> Reply {
        let (page, skip) = (offset / self.view.size, offset % self.view.size);
        let Some(current) = self.pages.get(page) else {
            return Reply::json(200, self.head(None).into_bytes());
        };
        let shown = current.shown(&self.view, store);
        let count = shown.ends.len();
        let first = skip.min(count);
        let last = (first + size).min(count);
        let next = match last < count {
            true => Some(page * self.view.size + last),
            false => (page + 1 < self.pages.len()).then_some((page + 1) * self.view.size),
        };
        let head = Bytes::from(self.head(next));
        if first == 0 && last == count {
            return Reply {
                status: 200,
                content_type: Some(JSON),
                headers: Vec::new(),
                gzip: shown.packed.as_ref().map(|packed| packed.behind(&head)),
                lead: head,
                body: shown.text.clone(),
            };
        }
        let mut body = head.to_vec();
        for (at, place) in (first..last).enumerate() {
            if at > 0 {
                body.push(b',');
            }
            body.extend_from_slice(shown.record(place));
        }
        body.extend_from_slice(TAIL);
        Reply::json(200, body)
    }

    fn head(&self, next: Option<usize>) -> String {
        let (total, done) = (self.total, next.is_none());
        let (version, id) = (&self.view.version, &self.view.id);
        let link = next.map_or(String::new(), |offset| {
            format!("\"nextRecordsUrl\":\"/services/data/v{version}/query/{id}-{offset}\",")
        });
        format!("{{\"totalSize\":{total},\"done\":{done},{link}\"records\":[")
    }
}

/// Whether a parent may be a record of the object itself.
fn leads_back(nodes: &[Node], object: usize) -> bool {
    nodes.iter().any(|node| match node {
        Node::Field(_) => false,
        Node::Parent { hop, columns, .. } => {
            let inner: Vec<Node> = columns
                .iter()
                .filter_map(|column| match column {
                    ParentColumn::Known(node) => Some(node.clone()),
                    ParentColumn::Named(_) => None,
                })
                .collect();
            hop.target.is_none_or(|target| target == object) || leads_back(&inner, object)
        }
    })
}

/// Cuts rows into pages of as many visible records as fit; always at least one page.
fn cut(view: &View, store: &Store, rows: Range<u32>, pages: &mut Vec<Arc<Page>>) {
    let object = store.object(view.object);
    let mut start = rows.start;
    let mut visible = 0;
    let mut add = |rows: Range<u32>, visible: usize| {
        pages.push(Arc::new(Page {
            rows,
            visible,
            shown: OnceLock::new(),
            older: Mutex::default(),
        }));
    };
    for row in rows.clone() {
        if !object.is_visible(row, view.all) {
            continue;
        }
        if visible == view.size {
            add(start..row, visible);
            (start, visible) = (row, 0);
        }
        visible += 1;
    }
    add(start..rows.end, visible);
}

impl Page {
    /// The page of the same rows after some of them changed.
    fn after(page: &Arc<Self>, mut changed: BTreeSet<u32>, view: &View, store: &Store) -> Self {
        let object = store.object(view.object);
        let rows = page.rows.clone();
        let older = match page.shown.get() {
            Some(_) => Some((Arc::clone(page), changed)),
            None => {
                let before = page.older.lock().unwrap_or_else(PoisonError::into_inner);
                before.as_ref().map(|(older, earlier)| {
                    changed.extend(earlier);
                    (Arc::clone(older), changed)
                })
            }
        };
        Self {
            visible: rows
                .clone()
                .filter(|&row| object.is_visible(row, view.all))
                .count(),
            rows,
            shown: OnceLock::new(),
            older: Mutex::new(older),
        }
    }

    fn shown(&self, view: &View, store: &Store) -> &Shown {
        self.shown.get_or_init(|| {
            let mut older = self.older.lock().unwrap_or_else(PoisonError::into_inner);
            let older = older.take();
            let older = older
                .as_ref()
                .and_then(|(page, changed)| Some((page.shown.get()?, changed)));
            Shown::render(self.rows.clone(), older, view, store)
        })
    }
}

impl Shown {
    fn render(
        rows: Range<u32>,
        older: Option<(&Self, &BTreeSet<u32>)>,
        view: &View,
        store: &Store,
    ) -> Self {
        let object = store.object(view.object);
        let mut text = Vec::new();
        let mut ends = Vec::new();
        for row in rows.filter(|&row| object.is_visible(row, view.all)) {
            if !text.is_empty() {
                text.push(b',');
            }
            let kept = older
                .filter(|(_, changed)| !changed.contains(&row))
                .and_then(|(shown, _)| {
                    let place = shown.ends.binary_search_by_key(&row, |(row, _)| *row);
                    place.ok().map(|place| shown.record(place))
                });
            match kept {
                Some(record) => text.extend_from_slice(record),
                None => eval::render(
                    &mut text,
                    store,
                    view.object,
                    row,
                    &view.nodes,
                    &view.version,
                ),
            }
            ends.push((row, text.len()));
        }
        text.extend_from_slice(TAIL);
        Self {
            packed: view.gzip.then(|| Packed::new(&text)),
            text: text.into(),
            ends,
        }
    }

    /// One record's text.
    fn record(&self, place: usize) -> &[u8] {
        let start = match place.checked_sub(1) {
            Some(before) => self.ends[before].1 + 1,
            None => 0,
        };
        &self.text[start..self.ends[place].1]
    }
}

impl Packed {
    fn new(text: &[u8]) -> Self {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        // Writing to memory does not fail; an empty stream would be noticed at once.
        let _ = encoder.write_all(text);
        let mut crc = Crc::new();
        crc.update(text);
        Self {
            stream: encoder.finish().unwrap_or_default().into(),
            crc,
        }
    }

    /// A gzip file of `head` and the text (RFC 1952): the head as a stored block, for the stream refers to
    /// nothing before itself.
    fn behind(&self, head: &[u8]) -> Bytes {
        let mut crc = Crc::new();
        crc.update(head);
        crc.combine(&self.crc);
        let length = u16::try_from(head.len()).unwrap_or(u16::MAX);
        let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(&head[..usize::from(length)]);
        out.extend_from_slice(&self.stream);
        out.extend(crc.sum().to_le_bytes());
        out.extend(crc.amount().to_le_bytes());
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_beginning_is_put_before_a_compressed_text() {
        let text = br#"{"Name":"x"},{"Name":"x"},{"Name":"x"}]}"#.repeat(50);
        let head = br#"{"totalSize":3,"records":["#;
        let packed = Packed::new(&text);
        let mut whole = Vec::new();
        flate2::read::GzDecoder::new(&packed.behind(head)[..])
            .read_to_end(&mut whole)
            .unwrap();
        assert_eq!(whole, [head.as_slice(), &text].concat());
        assert!(packed.stream.len() < text.len() / 4);
    }
}
