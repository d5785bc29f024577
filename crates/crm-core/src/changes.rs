//! A reading of changes seen as a scan: records go on as pages, deletions and the next token are kept for its end.

use crate::connector::{BoxFuture, ChangeStream, PageStream};
use crate::error::{Error, ErrorKind, Result};
use crate::page::{ColumnData, Page};
use crate::value::uuid_text;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a reading of changes has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Records given, each as often as it came.
    pub records: u64,
    /// Identifiers of records that are gone, in canonical form.
    pub deleted: BTreeSet<String>,
    /// Where the next reading goes on; nothing before all has been read.
    pub token: Option<String>,
}

/// Shared between the reading and whoever waits for its end.
#[derive(Clone, Debug, Default)]
pub struct SharedReached(Arc<Mutex<Reached>>);

impl SharedReached {
    /// What it has come to so far.
    pub fn now(&self) -> Reached {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Reached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages of a reading of changes.
pub struct FollowedChanges {
    stream: Box<dyn ChangeStream>,
    /// The column of the record identifier in its pages.
    identifier: usize,
    reached: SharedReached,
}

impl FollowedChanges {
    /// Reads `stream`, whose pages carry the identifier in the column of that number.
    pub fn new(stream: Box<dyn ChangeStream>, identifier: usize, reached: SharedReached) -> Self {
        Self {
            stream,
            identifier,
            reached,
        }
    }

    async fn next_page(&mut self) -> Result<Option<Page>> {
        let Some(change) = self.stream.next().await? else {
            if self.reached.lock().token.is_none() {
                return Err(Error::new(
                    ErrorKind::ShortRead,
                    "the changes end without a token for the next reading",
                ));
            }
            return Ok(None);
        };
        let mut reached = self.reached.lock();
        if !reached.deleted.is_empty() {
            // A record that was deleted and lives again, with its identifier.
            for row in 0..change.page.n_rows {
                if let Some(id) = identifier_at(&change.page, self.identifier, row) {
                    reached.deleted.remove(id.as_ref());
                }
            }
        }
        reached.records += change.page.n_rows as u64;
        reached.deleted.extend(change.deleted);
        reached.token = change.token.or(reached.token.take());
        Ok(Some(change.page))
    }
}

impl PageStream for FollowedChanges {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

fn identifier_at(page: &Page, column: usize, row: usize) -> Option<Cow<'_, str>> {
    let column = page.columns.get(column)?;
    match column.data() {
        ColumnData::Uuid(values) if !column.is_null(row) => {
            Some(Cow::Owned(uuid_text(&values[row])))
        }
        _ => column.text(row).map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CellDecoder, ChangePage, Column, ColumnType, Conversion, Raw, Zone};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    struct Script(Vec<ChangePage>);

    impl ChangeStream for Script {
        fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
            let next = (!self.0.is_empty()).then(|| self.0.remove(0));
            Box::pin(std::future::ready(Ok(next)))
        }
    }

    fn change(ids: &[&str], deleted: &[&str], token: Option<&str>, as_uuid: bool) -> ChangePage {
        let column_type = if as_uuid {
            ColumnType::Uuid
        } else {
            ColumnType::Text
        };
        let decoder = CellDecoder {
            column_type,
            conversion: Conversion::Default,
            zone: Zone::default(),
            separator: ';',
        };
        let mut column = Column::new(column_type);
        for id in ids {
            decoder.append(Raw::Text(id), &mut column).unwrap();
        }
        ChangePage {
            page: Page {
                n_rows: ids.len(),
                columns: vec![column],
                ..Page::default()
            },
            deleted: deleted.iter().map(|id| (*id).to_owned()).collect(),
            token: token.map(str::to_owned),
        }
    }

    fn read(pages: Vec<ChangePage>) -> (Result<usize>, Reached) {
        let reached = SharedReached::default();
        let mut stream = FollowedChanges::new(Box::new(Script(pages)), 0, reached.clone());
        let mut n_rows = 0;
        let outcome = loop {
            let Poll::Ready(next) =
                pin!(stream.next()).poll(&mut Context::from_waker(Waker::noop()))
            else {
                unreachable!("a script answers at once");
            };
            match next {
                Ok(Some(page)) => n_rows += page.n_rows,
                Ok(None) => break Ok(n_rows),
                Err(error) => break Err(error),
            }
        };
        (outcome, reached.now())
    }

    #[test]
    fn the_last_word_on_a_record_counts() {
        let id = |digit: &str| format!("{0}-0000-0000-0000-{1}", digit.repeat(8), digit.repeat(12));
        let (a, b, c) = (id("a"), id("b"), id("c"));
        for as_uuid in [true, false] {
            let (n_rows, reached) = read(vec![
                change(&[&a], &[&b, &c], None, as_uuid),
                change(&[&b], &[&a], None, as_uuid),
                change(&[], &[], Some("next"), as_uuid),
            ]);
            assert_eq!(n_rows.unwrap(), 2);
            assert_eq!(reached.records, 2);
            assert_eq!(reached.token.as_deref(), Some("next"));
            assert_eq!(Vec::from_iter(reached.deleted), [a.clone(), c.clone()]);
        }
    }

    #[test]
    fn an_end_without_a_token_is_an_error() {
        let (outcome, _) = read(vec![change(&["a"], &[], None, false)]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ShortRead);
    }
}
