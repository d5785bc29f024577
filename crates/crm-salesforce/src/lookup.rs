//! Records fetched by their identifiers (spec S-4): by the collections interface, 2,000 a call, or by a query where
//! a parent's field is wanted, which that interface does not give (Salesforce page 8.2).

use crate::decode::PageDecoder;
use crate::deparse;
use crate::ids;
use crate::scan::{self, Pages};
use crate::session::SalesforceSession;
use crm_core::{
    BoxFuture, CallStats, Error, ErrorKind, Filter, Page, PageStream, RemoteQuery, Result, Value,
};
use crm_http::Call;
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Arc;

/// Identifiers in one call of the collections interface.
const LARGEST_RETRIEVE: usize = 2_000;
/// Identifiers in one statement: a quarter of the characters it may have.
const LARGEST_QUERY: usize = 1_000;

/// Whether the collections interface cannot give all fields of the query.
fn needs_query(query: &RemoteQuery) -> bool {
    query.fields.iter().any(|field| field.name.contains('.'))
}

/// Identifiers a call takes for this query.
pub(crate) fn batch_size(query: &RemoteQuery) -> usize {
    if needs_query(query) {
        LARGEST_QUERY
    } else {
        LARGEST_RETRIEVE
    }
}

/// The records of a list of identifiers, in batches.
pub(crate) struct Lookups {
    session: Arc<SalesforceSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    decoder: Arc<PageDecoder>,
    ids: Vec<String>,
    n_done: usize,
    by_query: bool,
    /// The batch being read by a query, and how many identifiers it has.
    running: Option<(Pages, usize)>,
}

#[derive(Serialize)]
struct Body<'a> {
    ids: &'a [String],
    fields: &'a [&'a str],
}

impl Lookups {
    /// A lookup of `ids`; nothing is sent yet. One that occurs twice is fetched once.
    pub(crate) fn new(
        session: Arc<SalesforceSession>,
        query: RemoteQuery,
        ids: Vec<String>,
        stats: Arc<CallStats>,
    ) -> Self {
        let mut known = HashSet::new();
        // One that names no record would have the whole call refused.
        let ids = ids.iter().filter_map(|id| ids::canonical(id));
        let ids = ids.filter(|id| known.insert(id.clone())).collect();
        Self {
            decoder: Arc::new(PageDecoder::new(&query, session.zone())),
            by_query: needs_query(&query),
            session,
            stats,
            query,
            ids,
            n_done: 0,
            running: None,
        }
    }

    async fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            if let Some((pages, n_ids)) = &mut self.running {
                if let Some(page) = pages.next_page().await? {
                    return Ok(Some(page));
                }
                self.n_done += *n_ids;
                self.running = None;
            }
            if self.n_done == self.ids.len() {
                return Ok(None);
            }
            if self.by_query {
                self.start_query();
                continue;
            }
            match self.retrieve().await {
                Ok(page) if page.n_rows > 0 => return Ok(Some(page)),
                Ok(_) => {}
                // Identifiers of other objects have the call refused; a query passes over them.
                Err(error) if is_about_ids(&error) => self.by_query = true,
                Err(error) => return Err(scan::about(&self.query, error)),
            }
        }
    }

    async fn retrieve(&mut self) -> Result<Page> {
        let end = self.ids.len().min(self.n_done + LARGEST_RETRIEVE);
        let mut fields: Vec<&str> = Vec::new();
        for field in &self.query.fields {
            let name = deparse::field_name(&field.name)?;
            if !fields.contains(&name) {
                fields.push(name);
            }
        }
        if fields.is_empty() {
            fields.push(&self.query.identifier);
        }
        let body = Body {
            ids: &self.ids[self.n_done..end],
            fields: &fields,
        };
        let body = serde_json::to_vec(&body)
            .map_err(|error| Error::new(ErrorKind::Undecodable, error.to_string()))?;
        let object = deparse::object_name(&self.query.object)?;
        let target = self.session.path(&format!("composite/sobjects/{object}"));
        let call = Call::post(target, body).for_data();
        let reply = self.session.call(&call, &self.stats).await?;
        let page = self.decoder.record_list(&reply.body)?;
        self.n_done = end;
        Ok(page)
    }

    fn start_query(&mut self) {
        let end = self.ids.len().min(self.n_done + LARGEST_QUERY);
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
        self.running = Some((pages, end - self.n_done));
    }
}

impl PageStream for Lookups {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

fn is_about_ids(error: &Error) -> bool {
    matches!(error.code(), Some("MALFORMED_ID" | "INVALID_ID_FIELD"))
}
