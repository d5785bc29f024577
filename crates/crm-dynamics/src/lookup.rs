//! Records fetched by their identifiers (spec S-4): a condition for some hundreds of them, and several such requests in
//! one call.

use crate::batch::{self, Part};
use crate::deparse;
use crate::query::Prepared;
use crate::scan::{Request, unanswered};
use crate::session::DynamicsSession;
use crate::{ids, scan};
use crm_core::{BoxFuture, CallStats, Page, PageStream, RemoteQuery, Result};
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Identifiers that one call takes: as many as a page has records.
pub(crate) fn batch_size(query: &RemoteQuery) -> usize {
    scan::largest_page(query) as usize
}
/// Identifiers in one condition: with their names and quotes they stay below what an address may hold.
const IN_CONDITION: usize = 500;

/// The records of a list of identifiers, in batches.
pub(crate) struct Lookups {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    prepared: Option<Prepared>,
    ids: Vec<String>,
    n_done: usize,
    /// Pages that have arrived with others, and links to pages that a part of a reply did not hold.
    pages: VecDeque<Page>,
    links: VecDeque<String>,
}

impl Lookups {
    /// A lookup of `ids`; nothing is sent yet. One that occurs twice is fetched once, one that names no record never.
    pub(crate) fn new(
        session: Arc<DynamicsSession>,
        query: RemoteQuery,
        ids: Vec<String>,
        stats: Arc<CallStats>,
    ) -> Self {
        let mut known = HashSet::new();
        let ids = ids.iter().filter_map(|id| ids::canonical(id));
        let ids = ids.filter(|id| known.insert(id.clone())).collect();
        Self {
            session,
            stats,
            query,
            prepared: None,
            ids,
            n_done: 0,
            pages: VecDeque::new(),
            links: VecDeque::new(),
        }
    }

    async fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            if let Some(page) = self.pages.pop_front() {
                return Ok(Some(page));
            }
            if self.links.is_empty() && self.n_done == self.ids.len() {
                return Ok(None);
            }
            let prepared = match &self.prepared {
                Some(prepared) => prepared.clone(),
                None => {
                    let query = self.query.clone();
                    let prepared = Prepared::new(&self.session, query, &self.stats).await?;
                    self.prepared.insert(prepared).clone()
                }
            };
            let fetched = match self.links.front().cloned() {
                Some(link) => self.follow(&prepared, &link).await,
                None => self.fetch(&prepared).await,
            };
            fetched.map_err(|error| prepared.about(error))?;
        }
    }

    /// A page that a part of a reply only named.
    async fn follow(&mut self, prepared: &Prepared, link: &str) -> Result<()> {
        let preferences = prepared.preferences(None);
        let request = Request {
            session: &self.session,
            preferences: preferences.as_deref(),
            stats: &self.stats,
        };
        let body = request.body(link).await?;
        let reply = prepared.decoder.query_reply(body.bytes())?;
        self.links.pop_front();
        self.pages
            .extend((reply.page.n_rows > 0).then_some(reply.page));
        self.links.extend(reply.next);
        Ok(())
    }

    async fn fetch(&mut self, prepared: &Prepared) -> Result<()> {
        let end = self.ids.len().min(self.n_done + batch_size(&self.query));
        let preferences = prepared.preferences(None);
        let request = Request {
            session: &self.session,
            preferences: preferences.as_deref(),
            stats: &self.stats,
        };
        let mut targets = Vec::new();
        for ids in self.ids[self.n_done..end].chunks(IN_CONDITION) {
            targets.push(target(&self.session, prepared, ids)?);
        }
        let mut replies = Vec::with_capacity(targets.len());
        if let [target] = targets.as_slice() {
            let body = request.body(target).await?;
            replies.push(prepared.decoder.query_reply(body.bytes())?);
        } else {
            let parts: Vec<Part> = targets.iter().map(|target| request.part(target)).collect();
            let reply = self
                .session
                .call_together(&parts, true, &self.stats)
                .await?;
            let answers = batch::replies(reply.header("content-type"), &reply.body)?;
            if answers.len() != parts.len() {
                return Err(unanswered());
            }
            for answer in answers {
                if !answer.is_success() {
                    return Err(answer.error());
                }
                replies.push(prepared.decoder.query_reply(answer.body)?);
            }
        }
        self.n_done = end;
        for reply in replies {
            self.pages
                .extend((reply.page.n_rows > 0).then_some(reply.page));
            self.links.extend(reply.next);
        }
        Ok(())
    }
}

/// The address of the records with these identifiers.
fn target(session: &DynamicsSession, prepared: &Prepared, ids: &[String]) -> Result<String> {
    let mut options = deparse::options(&prepared.query)?;
    options.push((
        "$filter",
        deparse::id_condition(&prepared.address.primary_id, ids)?,
    ));
    scan::address(session, prepared, options)
}

impl PageStream for Lookups {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}
