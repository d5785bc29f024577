//! Pages of a query, one after the other (Dynamics page 13.3), and records by their identifiers.
//!
//! Asking changes nothing, so a page that is lost is asked for again. The flag for more records alone says whether a
//! scan goes on: a page may be short, or empty, and not be the last.

use super::envelope::{answer, operation, request_end};
use super::exchange::{self, Operation};
use super::fetch::{self, Part};
use super::records::{RecordDecoder, Rest, Typed, value};
use super::{envelope, multiple};
use crate::describe::Entity;
use crate::query::{complete, with_query};
use crate::scan::{LARGEST_PAGE, page_size};
use crate::session::DynamicsSession;
use crate::{deparse, ids};
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result};
use crm_xml::Writer;
use std::collections::HashSet;
use std::sync::Arc;

/// Identifiers in one condition; each is a parameter of the server's own query, which takes some two thousand.
const IN_CONDITION: usize = 500;
/// Identifiers that one call takes, in several requests.
const IN_CALL: usize = 5_000;
/// The service counts no more than 50,000 records; what it says then (section 9).
const TOO_MANY: &str = "0x8004e023";

/// Begins reading; nothing is sent yet.
pub(crate) fn start(
    session: Arc<DynamicsSession>,
    mut query: RemoteQuery,
    stats: Arc<CallStats>,
) -> Box<dyn PageStream> {
    let lookup = query.lookup.take().map(|ids| {
        let mut known = HashSet::new();
        let ids = ids.iter().filter_map(|id| ids::canonical(id));
        ids.filter(|id| known.insert(id.clone())).collect()
    });
    Box::new(Pages {
        session,
        stats,
        query,
        lookup,
        ready: None,
        state: State::Page {
            number: 1,
            cookie: None,
        },
        n_delivered: 0,
    })
}

/// The pages of one query.
struct Pages {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    /// Identifiers wanted, each once.
    lookup: Option<Vec<String>>,
    ready: Option<Ready>,
    state: State,
    n_delivered: u64,
}

/// A query with all its types, and what reads its records.
#[derive(Clone)]
pub(crate) struct Ready {
    /// The query.
    pub query: Arc<RemoteQuery>,
    /// Reads its records.
    pub decoder: Arc<RecordDecoder>,
}

/// Where a scan stands. Changed only after a page has arrived, so that a `next` given up on may be called again.
#[derive(Clone)]
enum State {
    Page {
        number: u32,
        cookie: Option<String>,
    },
    /// So many identifiers have been asked for.
    Lookup(usize),
    Finished,
    Failed(Error),
}

impl Pages {
    async fn next_page(&mut self) -> Result<Option<Page>> {
        let result = self.advance().await;
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        let ready = match &self.ready {
            Some(ready) => ready.clone(),
            None => {
                let ready = ready(&self.session, self.query.clone(), &self.stats).await?;
                self.ready.insert(ready).clone()
            }
        };
        if self.lookup.is_some() && matches!(self.state, State::Page { .. }) {
            self.state = State::Lookup(0);
        }
        loop {
            let page = match self.state.clone() {
                State::Finished => return Ok(None),
                State::Failed(error) => return Err(error),
                State::Page { .. } if deparse::is_count(&ready.query) => {
                    let (count, n_bytes) =
                        exact_count(&self.session, &ready.query, &self.stats).await?;
                    self.state = State::Finished;
                    ready.decoder.count_page(count, n_bytes)
                }
                State::Page { number, cookie } => {
                    self.page(&ready, number, cookie.as_deref()).await?
                }
                State::Lookup(n_done) => self.lookup(&ready, n_done).await?,
            };
            if page.n_rows > 0 {
                return Ok(Some(page));
            }
        }
    }

    async fn page(&mut self, ready: &Ready, number: u32, cookie: Option<&str>) -> Result<Page> {
        let size = page_size(&self.query);
        let left = self.query.limit.map(|limit| limit - self.n_delivered);
        let fitting = left.and_then(|left| u32::try_from(left).ok());
        let part = Part {
            number,
            // The pages of a scan must be of one size; one that is the only one may be smaller.
            size: fitting
                .filter(|_| number == 1)
                .map_or(size, |left| left.clamp(1, size)),
            cookie,
        };
        let fetch = fetch::page(&ready.query, part)?;
        let body = query_body(&fetch)?;
        let operation = Operation::reading("RetrieveMultiple", body).for_data();
        let reply = exchange::call(&self.session, &operation, &self.stats).await;
        let reply = reply.map_err(|error| with_query(error, Ok(fetch.clone())))?;
        let answered = ready.decoder.answer(&reply.body)?;
        self.n_delivered += answered.page.n_rows as u64;
        let has_enough = self
            .query
            .limit
            .is_some_and(|limit| self.n_delivered >= limit);
        self.state = after(number, &answered.rest, has_enough, cookie)?;
        Ok(answered.page)
    }

    async fn lookup(&mut self, ready: &Ready, n_done: usize) -> Result<Page> {
        let wanted = self.lookup.as_deref().unwrap_or_default();
        let wanted = &wanted[n_done..wanted.len().min(n_done + IN_CALL)];
        let page = records_by_id(&self.session, ready, wanted, &self.stats).await?;
        let n_done = n_done + wanted.len();
        let is_last = self.lookup.as_ref().is_none_or(|ids| ids.len() == n_done);
        self.state = if is_last {
            State::Finished
        } else {
            State::Lookup(n_done)
        };
        Ok(page)
    }
}

impl PageStream for Pages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

fn after(number: u32, rest: &Rest, has_enough: bool, before: Option<&str>) -> Result<State> {
    if !rest.more || has_enough {
        return Ok(State::Finished);
    }
    if before.is_some() && rest.cookie.as_deref() == before {
        return Err(Error::new(
            ErrorKind::Undecodable,
            "the replies lead in a circle",
        ));
    }
    Ok(State::Page {
        // One more, and not the same page again (trap 3).
        number: number.saturating_add(1),
        cookie: rest.cookie.clone(),
    })
}

/// Makes a query ready.
///
/// # Errors
/// As [`exchange::call`]; [`ErrorKind::NotSupported`] for a parameter that has no value.
pub(crate) async fn ready(
    session: &DynamicsSession,
    mut query: RemoteQuery,
    stats: &CallStats,
) -> Result<Ready> {
    if query.filter.as_ref().is_some_and(deparse::has_placeholder) {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "a query with a parameter that has no value cannot be sent",
        ));
    }
    let entity: Option<Arc<Entity>> = complete(session, &mut query, stats).await?;
    let known = entity
        .as_ref()
        .map(|entity| entity.object.fields.as_slice());
    let known = known.unwrap_or_default();
    let decoder = RecordDecoder::new(&query, session.zone(), |name| {
        let field = known.iter().find(|field| field.name == name);
        field.map_or(&[], |field| &field.values)
    });
    Ok(Ready {
        query: Arc::new(query),
        decoder: Arc::new(decoder),
    })
}

/// The records with these identifiers: some hundreds in a request, and several requests in one call.
async fn records_by_id(
    session: &DynamicsSession,
    ready: &Ready,
    wanted: &[String],
    stats: &CallStats,
) -> Result<Page> {
    if wanted.is_empty() {
        return Ok(ready.decoder.page().finish(0));
    }
    if wanted.len() <= IN_CONDITION {
        let body = query_body(&fetch::lookup(&ready.query, wanted)?)?;
        let operation = Operation::reading("RetrieveMultiple", body).for_data();
        let reply = exchange::call(session, &operation, stats).await?;
        return Ok(ready.decoder.answer(&reply.body)?.page);
    }
    let groups: Vec<&[String]> = wanted.chunks(IN_CONDITION).collect();
    let operation = Operation::reading("Execute", lookups_body(&ready.query, &groups)?).for_data();
    let reply = exchange::call(session, &operation, stats).await?;
    let mut page = ready.decoder.page();
    let faults = multiple::answers(&reply.body, groups.len(), |_, reader| {
        envelope::pairs(reader, |key, reader| {
            if key == "EntityCollection" {
                return ready.decoder.collection(reader, &mut page).map(|_| ());
            }
            reader.skip()
        })
    })?;
    match faults.into_iter().flatten().next() {
        Some(fault) => Err(fault.to_error()),
        None => Ok(page.finish(reply.body.len())),
    }
}

fn lookups_body(query: &RemoteQuery, groups: &[&[String]]) -> Result<String> {
    let mut writer = multiple::begin();
    for group in groups {
        multiple::open_request(&mut writer, "b:RetrieveMultipleRequest");
        envelope::open_parameter(&mut writer, "Query", "b:FetchExpression");
        writer.leaf("b:Query", &[], &fetch::lookup(query, group)?);
        envelope::close_parameter(&mut writer);
        request_end(&mut writer, "RetrieveMultiple");
    }
    multiple::end(writer)
}

/// The operation that answers a query in FetchXML.
///
/// # Errors
/// When the query holds a character that XML cannot carry.
pub(crate) fn query_body(fetch: &str) -> Result<String> {
    let mut writer: Writer = operation("RetrieveMultiple");
    writer.open("query", &[("i:type", "b:FetchExpression")]);
    writer.leaf("b:Query", &[], fetch);
    writer.finish()
}

/// How many records match the query's filter.
///
/// # Errors
/// As [`exchange::call`].
pub(crate) async fn count(
    session: &DynamicsSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<u64> {
    Ok(exact_count(session, query, stats).await?.0)
}

/// The number of records, counted by the service as far as it counts, else by reading their identifiers; and the bytes
/// that it took.
async fn exact_count(
    session: &DynamicsSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<(u64, usize)> {
    let fetch = fetch::count(query)?;
    let operation = Operation::reading("RetrieveMultiple", query_body(&fetch)?).for_data();
    match exchange::call(session, &operation, stats).await {
        Ok(reply) => Ok((counted(&reply.body)?, reply.body.len())),
        Err(error) if error.code() == Some(TOO_MANY) => {
            counted_by_pages(session, query, stats).await
        }
        Err(error) => Err(with_query(error, Ok(fetch))),
    }
}

async fn counted_by_pages(
    session: &DynamicsSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<(u64, usize)> {
    let bare = RemoteQuery {
        fields: Vec::new(),
        aggregates: Vec::new(),
        sort: Vec::new(),
        limit: None,
        ..query.clone()
    };
    let decoder = RecordDecoder::new(&bare, session.zone(), |_| &[]);
    let (mut n_records, mut n_bytes) = (0, 0);
    let (mut number, mut cookie) = (1, None);
    loop {
        let part = Part {
            number,
            size: LARGEST_PAGE,
            cookie: cookie.as_deref(),
        };
        let body = query_body(&fetch::page(&bare, part)?)?;
        let operation = Operation::reading("RetrieveMultiple", body).for_data();
        let reply = exchange::call(session, &operation, stats).await?;
        let answered = decoder.answer(&reply.body)?;
        n_records += answered.page.n_rows as u64;
        n_bytes += reply.body.len();
        match after(number, &answered.rest, false, cookie.as_deref())? {
            State::Page {
                number: next,
                cookie: place,
            } => (number, cookie) = (next, place),
            _ => return Ok((n_records, n_bytes)),
        }
    }
}

/// The number in an answer to a count. Of no records there may be no answer at all.
fn counted(body: &[u8]) -> Result<u64> {
    let mut reader = answer(body, "RetrieveMultiple")?;
    let mut found = None;
    while reader.child()? {
        if reader.name() != (envelope::CONTRACTS, "Entities") {
            reader.skip()?;
            continue;
        }
        found = found.or(Some(0));
        while reader.child_named(envelope::CONTRACTS, "Entity")? {
            while reader.child()? {
                if reader.name() != (envelope::CONTRACTS, "Attributes") {
                    reader.skip()?;
                    continue;
                }
                envelope::pairs(&mut reader, |key, reader| {
                    let told = value(reader)?;
                    if let (fetch::COUNT, Typed::Number(digits)) = (key, told) {
                        found = digits.parse().ok();
                    }
                    Ok(())
                })?;
            }
        }
    }
    reader.finish()?;
    found.ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply is not a number"))
}

/// The bodies that this file makes, for a validator.
#[cfg(test)]
pub(crate) fn bodies() -> Result<Vec<(&'static str, String)>> {
    let query = RemoteQuery::all("account", "accountid", Vec::new());
    let ids = ["00000000-0000-0000-0000-000000000001".to_owned()];
    let part = Part {
        number: 2,
        size: 5_000,
        cookie: Some("<cookie page=\"1\"/>"),
    };
    Ok(vec![
        (
            "retrieve_multiple",
            query_body(&fetch::page(&query, part)?)?,
        ),
        ("lookups", lookups_body(&query, &[&ids, &ids])?),
    ])
}

#[cfg(test)]
mod tests;
