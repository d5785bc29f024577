//! Pages of a query, one after the other (Salesforce page 5).
//!
//! A page is asked for again when it is lost, since asking changes nothing; what arrives is counted against what was
//! announced (spec S-10).

use crate::composite;
use crate::decode::{PageDecoder, QueryReply};
use crate::deparse;
use crate::session::{Call, Org};
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result};
use crm_http::header::{HeaderName, HeaderValue};
use crm_http::Reply;
use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use url::form_urlencoded::byte_serialize;

/// The vendor reads so many bytes of address and headers together (4.6).
const LONGEST_HEAD: usize = 16_384;
/// Room for the headers the HTTP client adds.
const OTHER_HEADERS: usize = 1_000;
/// Records a page at most and at least; the vendor takes smaller numbers for the least.
const LARGEST_PAGE: u32 = 2_000;
const SMALLEST_PAGE: u32 = 200;
/// More of a query than this is not repeated in an error.
const SHOWN_QUERY: usize = 1_000;

/// Records a page for a wish of the user's.
pub(crate) fn page_size(wish: Option<u32>) -> u32 {
    wish.map_or(LARGEST_PAGE, |wish| wish.clamp(SMALLEST_PAGE, LARGEST_PAGE))
}

/// The pages of one query.
pub(crate) struct Pages {
    org: Arc<Org>,
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

/// Links already followed, as hashes: the memory of a scan must not grow with its pages.
#[derive(Default)]
struct Followed {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl Followed {
    /// Whether it is a new one.
    fn note(&mut self, link: &str) -> bool {
        self.hashes.insert(self.hasher.hash_one(link))
    }
}

impl Pages {
    /// A scan; nothing is sent yet.
    pub(crate) fn new(org: Arc<Org>, query: RemoteQuery, stats: Arc<CallStats>) -> Self {
        let decoder = Arc::new(PageDecoder::new(&query, org.zone));
        Self::with_decoder(org, query, stats, decoder)
    }

    /// A scan whose pages look like another one's.
    pub(crate) fn with_decoder(
        org: Arc<Org>,
        query: RemoteQuery,
        stats: Arc<CallStats>,
        decoder: Arc<PageDecoder>,
    ) -> Self {
        Self {
            org,
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
                    reply
                }
                State::Next(link) => {
                    let call = self.headed(Call::get(link).for_data());
                    let reply = self.org.call(&call, &self.stats).await;
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
        let soql = deparse::statement(&self.query)?;
        let (reply, is_wrapped) = ask(&self.org, &soql, self.query.page_size, &self.stats).await?;
        if !is_wrapped {
            return self.decoder.query_reply(&reply.body);
        }
        let answers = composite::answers(&reply, 1)?;
        let text = answers.into_iter().next().unwrap_or(Ok(""))?;
        let mut decoded = self.decoder.query_reply(text.as_bytes())?;
        decoded.page.bytes = reply.body.len();
        Ok(decoded)
    }

    fn headed<'a>(&self, call: Call<'a>) -> Call<'a> {
        match self.query.page_size {
            Some(wish) => call.with(
                HeaderName::from_static("sforce-query-options"),
                batch_size(wish),
            ),
            None => call,
        }
    }

    fn counted(&self, reply: &QueryReply) -> Result<Page> {
        let count = announced(reply).ok_or_else(|| {
            Error::new(ErrorKind::NotSupported, "the CRM does not count this object's records")
        })?;
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
/// As [`Org::call`]; [`ErrorKind::NotSupported`] where the vendor does not count.
pub(crate) async fn count(org: &Org, query: &RemoteQuery, stats: &CallStats) -> Result<u64> {
    let told = |error| about(query, error);
    let soql = deparse::count(query)?;
    let decoder = PageDecoder::new(
        &RemoteQuery {
            fields: Vec::new(),
            ..query.clone()
        },
        org.zone,
    );
    let (reply, is_wrapped) = ask(org, &soql, None, stats).await.map_err(told)?;
    let counted = if is_wrapped {
        let answers = composite::answers(&reply, 1)?;
        let text = answers.into_iter().next().unwrap_or(Ok("")).map_err(told)?;
        decoder.query_reply(text.as_bytes())
    } else {
        decoder.query_reply(&reply.body)
    };
    announced(&counted.map_err(told)?).ok_or_else(|| {
        Error::new(ErrorKind::NotSupported, "the CRM does not count this object's records")
    })
}

/// Sends a statement; whether the reply is a composite's.
async fn ask(
    org: &Org,
    soql: &str,
    wish: Option<u32>,
    stats: &CallStats,
) -> Result<(Reply, bool)> {
    let encoded: String = byte_serialize(soql.as_bytes()).collect();
    let target = format!("{}{encoded}", org.path("query?q="));
    // Signing in comes first: the token's length counts.
    if org.head_length(&target, stats).await? + OTHER_HEADERS <= LONGEST_HEAD {
        let mut call = Call::get(&target).for_data();
        if let Some(wish) = wish {
            let name = HeaderName::from_static("sforce-query-options");
            call = call.with(name, batch_size(wish));
        }
        return Ok((org.call(&call, stats).await?, false));
    }
    let mut headers = serde_json::Map::new();
    if let Some(wish) = wish {
        let value = format!("batchSize={}", page_size(Some(wish)));
        headers.insert("Sforce-Query-Options".into(), value.into());
    }
    let headers = (!headers.is_empty()).then_some(&headers);
    let body = composite::body(&[target], headers)?;
    let composite = org.path("composite");
    let call = Call::ask(&composite, body).for_data();
    Ok((org.call(&call, stats).await?, true))
}

fn batch_size(wish: u32) -> HeaderValue {
    let text = format!("batchSize={}", page_size(Some(wish)));
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("batchSize=2000"))
}

/// The number of records that will come; nothing where the vendor says that it does not know.
fn announced(reply: &QueryReply) -> Option<u64> {
    reply.total_size.and_then(|total| u64::try_from(total).ok())
}

/// Says what was read, and with which query where the vendor found fault with it.
pub(crate) fn about(query: &RemoteQuery, error: Error) -> Error {
    let error = error.in_context(format!("could not read object \"{}\"", query.object));
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
