//! Pages of a query, one after the other (Salesforce page 5).
//!
//! A page is asked for again when it is lost, since asking changes nothing; what arrives is counted against what was
//! announced (spec S-10).

use crate::decode::{PageDecoder, QueryReply};
use crate::deparse;
use crate::lookup::Lookups;
use crate::session::{SalesforceSession, Subreply};
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result};
use crm_http::header::{HeaderName, HeaderValue};
use crm_http::{Bytes, Call, Followed};
use std::sync::Arc;
use url::form_urlencoded::byte_serialize;

/// The vendor reads 16,384 bytes of address and headers together (4.6); tokens and the rest take up to 4,000.
const LONGEST_ADDRESS: usize = 12_000;
/// Records a page at most and at least; the vendor takes smaller numbers for the least.
const LARGEST_PAGE: u32 = 2_000;
const SMALLEST_PAGE: u32 = 200;
/// More of a query than this is not repeated in an error.
const SHOWN_QUERY: usize = 1_000;

/// Records a page for a wish of the user's.
pub(crate) fn page_size(wish: Option<u32>) -> u32 {
    wish.map_or(LARGEST_PAGE, |wish| wish.clamp(SMALLEST_PAGE, LARGEST_PAGE))
}

/// A scan by identifiers or by a query; nothing is sent yet.
pub(crate) fn start(
    session: Arc<SalesforceSession>,
    mut query: RemoteQuery,
    stats: Arc<CallStats>,
) -> Box<dyn PageStream> {
    match query.lookup.take() {
        Some(ids) => Box::new(Lookups::new(session, query, ids, stats)),
        None => Box::new(Pages::new(session, query, stats)),
    }
}

/// The pages of one query.
pub(crate) struct Pages {
    session: Arc<SalesforceSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    decoder: Arc<PageDecoder>,
    state: State,
    announced: Option<u64>,
    n_delivered: u64,
    followed: Followed,
}

/// Where a scan stands. Changed only after a page has arrived, so that a `next` given up on may be called again.
#[derive(Clone)]
enum State {
    First,
    Next(String),
    Finished,
    Failed(Error),
}

impl Pages {
    /// A scan; nothing is sent yet.
    fn new(session: Arc<SalesforceSession>, query: RemoteQuery, stats: Arc<CallStats>) -> Self {
        let decoder = Arc::new(PageDecoder::new(&query, session.zone()));
        Self::with_decoder(session, query, stats, decoder)
    }

    /// A scan whose pages look like another one's.
    pub(crate) fn with_decoder(
        session: Arc<SalesforceSession>,
        query: RemoteQuery,
        stats: Arc<CallStats>,
        decoder: Arc<PageDecoder>,
    ) -> Self {
        Self {
            session,
            stats,
            query,
            decoder,
            state: State::First,
            announced: None,
            n_delivered: 0,
            followed: Followed::default(),
        }
    }

    /// The next page that holds records.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Page>> {
        let result = self.advance().await;
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        loop {
            let reply = match &self.state {
                State::Finished => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
                State::First => {
                    let reply = self.first().await.map_err(|error| self.about(error))?;
                    if deparse::is_count(&self.query) {
                        let page = self.counted(&reply)?;
                        self.state = State::Finished;
                        return Ok(Some(page));
                    }
                    self.announced = announced(&reply);
                    self.stats.announce(self.announced.unwrap_or(0));
                    reply
                }
                State::Next(link) => {
                    let call = self.sized(Call::get(link).for_data());
                    let reply = self.session.call(&call, &self.stats).await;
                    let reply = reply.and_then(|reply| self.decoder.query_reply(&reply.body));
                    reply.map_err(|error| self.about(error))?
                }
            };
            self.n_delivered += reply.page.n_rows as u64;
            self.state = self.after(&reply)?;
            if reply.page.n_rows > 0 {
                // A page that falls short is still handed out: what to do about it is the caller's option.
                return Ok(Some(reply.page));
            }
        }
    }

    /// Sends the statement in an address where it fits, else in the body of a composite call.
    async fn first(&self) -> Result<QueryReply> {
        let link = query_link(&self.session, &deparse::statement(&self.query)?);
        if link.len() <= LONGEST_ADDRESS {
            let call = self.sized(Call::get(link).for_data());
            let reply = self.session.call(&call, &self.stats).await?;
            return self.decoder.query_reply(&reply.body);
        }
        let text = ask_in_body(&self.session, link, &self.stats).await?;
        self.decoder.query_reply(text.body()?.as_bytes())
    }

    fn sized(&self, call: Call) -> Call {
        let Some(wish) = self.query.page_size else {
            return call;
        };
        let name = HeaderName::from_static("sforce-query-options");
        match HeaderValue::from_str(&format!("batchSize={}", page_size(Some(wish)))) {
            Ok(value) => call.header(name, value),
            Err(_) => call,
        }
    }

    fn counted(&self, reply: &QueryReply) -> Result<Page> {
        let count = announced(reply).ok_or_else(uncounted)?;
        Ok(self.decoder.count_page(count, reply.page.bytes))
    }

    /// What to do after a page: the end, the next link, or a fault.
    fn after(&mut self, reply: &QueryReply) -> Result<State> {
        let is_end = match (reply.done, &reply.next) {
            (Some(true), _) | (None, None) => true,
            (None, Some(_)) => reply.page.n_rows == 0,
            (Some(false), Some(_)) => false,
            (Some(false), None) => {
                return Err(self.about(Error::new(
                    ErrorKind::Undecodable,
                    "the reply announces another page and does not say where",
                )));
            }
        };
        if is_end {
            return Ok(match self.short_read() {
                Some(error) => State::Failed(error),
                None => State::Finished,
            });
        }
        let link = reply.next.clone().unwrap_or_default();
        if !self.followed.note(&link) {
            return Err(self.about(Error::new(
                ErrorKind::Undecodable,
                "the replies lead in a circle",
            )));
        }
        Ok(State::Next(link))
    }

    fn short_read(&self) -> Option<Error> {
        let announced = self.announced?;
        (self.n_delivered < announced).then(|| {
            Error::new(
                ErrorKind::ShortRead,
                format!(
                    "object \"{}\" returned {} of {announced} announced records",
                    self.query.object, self.n_delivered
                ),
            )
            .with_hint("If its records vanish while they are read, set the server option short_read to 'warning'.")
        })
    }

    fn about(&self, error: Error) -> Error {
        about(&self.query, error)
    }
}

impl PageStream for Pages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

/// How many records match the query's filter, in one call.
///
/// # Errors
/// As [`SalesforceSession::call`]; [`ErrorKind::NotSupported`] where the vendor does not count.
pub(crate) async fn count(
    session: &SalesforceSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<u64> {
    let decoder = PageDecoder::new(
        &RemoteQuery {
            fields: Vec::new(),
            ..query.clone()
        },
        session.zone(),
    );
    let soql = deparse::count(query)?;
    let body = run_statement(session, &soql, stats).await;
    let reply = body.and_then(|body| decoder.query_reply(&body));
    let reply = reply.map_err(|error| about(query, error))?;
    announced(&reply).ok_or_else(uncounted)
}

/// The reply's body to a statement, sent in an address where it fits, else in the body of a composite call.
///
/// # Errors
/// As [`SalesforceSession::call`].
pub(crate) async fn run_statement(
    session: &SalesforceSession,
    soql: &str,
    stats: &CallStats,
) -> Result<Bytes> {
    let link = query_link(session, soql);
    if link.len() <= LONGEST_ADDRESS {
        return Ok(session.call(&Call::get(link).for_data(), stats).await?.body);
    }
    let reply = ask_in_body(session, link, stats).await?;
    Ok(Bytes::copy_from_slice(reply.body()?.as_bytes()))
}

/// The address that runs a statement.
pub(crate) fn query_link(session: &SalesforceSession, soql: &str) -> String {
    let encoded: String = byte_serialize(soql.as_bytes()).collect();
    format!("{}{encoded}", session.path("query?q="))
}

/// Runs a statement whose address is too long, in the body of a composite call.
async fn ask_in_body(
    session: &SalesforceSession,
    link: String,
    stats: &CallStats,
) -> Result<Subreply> {
    let mut replies = session.call_together(&[link], true, stats).await?;
    replies
        .pop()
        .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply holds no answer"))
}

fn uncounted() -> Error {
    Error::new(
        ErrorKind::NotSupported,
        "the CRM does not count the records of this object",
    )
}

/// The number of records that will come; nothing where the vendor says that it does not know.
fn announced(reply: &QueryReply) -> Option<u64> {
    reply.total_size.and_then(|total| u64::try_from(total).ok())
}

/// Says with which query it was read, where the vendor found fault with it. The caller says what was read.
pub(crate) fn about(query: &RemoteQuery, error: Error) -> Error {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::FieldUnknown | ErrorKind::RemoteFault | ErrorKind::NotSupported
    );
    if error.code().is_none() || !is_refused {
        return error;
    }
    let Ok(soql) = deparse::query(query) else {
        return error;
    };
    let shown: String = soql.chars().take(SHOWN_QUERY).collect();
    let detail = error.detail().unwrap_or_default();
    let detail = format!("{detail}\nRemote query: {shown}");
    error.with_detail(detail)
}
