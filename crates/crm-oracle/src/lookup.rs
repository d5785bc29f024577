//! Records fetched by their identifiers (spec S-4): a hundred in one search specification, which is a page.

use crate::decode::PageDecoder;
use crate::scan::{Pages, decoder_of};
use crate::session::OracleSession;
use crate::tags;
use crm_core::{BoxFuture, CallStats, Error, Filter, Page, PageStream, RemoteQuery, Result, Value};
use std::collections::HashSet;
use std::sync::Arc;

/// Identifiers in one specification.
pub(crate) const LARGEST: usize = 100;
/// So many are known to be taken (Oracle page 4.2).
const PROVEN: usize = 50;

/// The records of a list of identifiers, in batches.
pub(crate) struct Lookups {
    session: Arc<OracleSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    decoder: Arc<PageDecoder>,
    ids: Vec<String>,
    n_done: usize,
    batch: usize,
    /// The batch being read, how many identifiers it has, and whether a page of it has been handed out.
    running: Option<(Pages, usize, bool)>,
}

impl Lookups {
    /// A lookup of `ids`; nothing is sent yet. One that occurs twice is fetched once.
    pub(crate) fn new(
        session: Arc<OracleSession>,
        query: RemoteQuery,
        ids: Vec<String>,
        stats: Arc<CallStats>,
    ) -> Self {
        let mut known = HashSet::new();
        // One that names no record would have the whole call refused.
        let ids = ids.into_iter().filter(|id| tags::is_row_id(id));
        let ids = ids.filter(|id| known.insert(id.clone())).collect();
        Self {
            decoder: Arc::new(decoder_of(&session, &query)),
            session,
            stats,
            query,
            ids,
            n_done: 0,
            batch: LARGEST,
            running: None,
        }
    }

    async fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            if let Some((pages, n_ids, has_begun)) = &mut self.running {
                match pages.next_page().await {
                    Ok(Some(page)) => {
                        *has_begun = true;
                        return Ok(Some(page));
                    }
                    Ok(None) => self.n_done += *n_ids,
                    // The longest specification that the service takes is not documented.
                    Err(error)
                        if is_about_specification(&error) && !*has_begun && *n_ids > PROVEN =>
                    {
                        self.batch = PROVEN;
                    }
                    Err(error) => return Err(error),
                }
                self.running = None;
            }
            if self.n_done == self.ids.len() {
                return Ok(None);
            }
            self.start_batch();
        }
    }

    fn start_batch(&mut self) {
        let end = self.ids.len().min(self.n_done + self.batch);
        let ids = self.ids[self.n_done..end].iter();
        let query = RemoteQuery {
            lookup: None,
            filter: Some(Filter::In {
                field: self.query.identifier.clone(),
                values: Value::List(ids.map(|id| Value::Text(id.clone())).collect()),
            }),
            ..self.query.clone()
        };
        let pages = Pages::with_decoder(
            Arc::clone(&self.session),
            query,
            Arc::clone(&self.stats),
            Arc::clone(&self.decoder),
        );
        self.running = Some((pages, end - self.n_done, false));
    }
}

impl PageStream for Lookups {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

fn is_about_specification(error: &Error) -> bool {
    let words = error.detail().unwrap_or_default();
    ["SBL-EAI-13002", "SBL-EAI-13010", "SBL-EAI-13011"]
        .iter()
        .any(|code| error.code() == Some(code) || words.contains(code))
}
