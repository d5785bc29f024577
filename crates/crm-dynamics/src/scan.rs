//! Pages of a query, one after the other (Dynamics page, section 6).
//!
//! A page is asked for again when it is lost, since asking changes nothing. Only the absence of a next link ends a
//! scan: a page may be short, or empty, and still have one.

use crate::batch::{self, Part};
use crate::decode::{PageDecoder, QueryReply};
use crate::deparse::{self, LONGEST_ADDRESS, LONGEST_IN_BATCH};
use crate::lookup::{self, Lookups};
use crate::query::Prepared;
use crate::session::{Deployment, DynamicsSession};
use crm_core::{
    BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result, json,
};
use crm_http::header::HeaderValue;
use crm_http::{Bytes, Call, Followed, Method, StatusCode};
use serde::Deserialize;
use std::sync::Arc;

/// Records a page at most; more silently means as many (trap 7).
pub(crate) const LARGEST_PAGE: u32 = 5_000;
/// A count that is not below this may be any larger one (section 6).
const LARGEST_COUNT: u64 = 5_000;

/// Values in a page at most, about 12 MB as they travel: a page is held whole, with the next one behind it (spec Q-3).
const MOST_VALUES: usize = 300_000;
/// However many fields a record has, a page has so many.
const SMALLEST_PAGE: u32 = 250;

/// Records a page: as many as the user wishes, else as many as there are, of wide records fewer.
pub(crate) fn page_size(query: &RemoteQuery) -> u32 {
    match query.page_size {
        Some(wish) => wish.clamp(1, LARGEST_PAGE),
        None => largest_page(query),
    }
}

/// Records a page where nobody wishes anything.
pub(crate) fn largest_page(query: &RemoteQuery) -> u32 {
    let fitting = MOST_VALUES / query.fields.len().max(1);
    let fitting = u32::try_from(fitting).unwrap_or(LARGEST_PAGE);
    fitting.clamp(SMALLEST_PAGE, LARGEST_PAGE)
}

/// Data calls that reading so many records takes, or computing aggregates from them.
pub(crate) fn estimate_calls(query: &RemoteQuery, rows: f64) -> f64 {
    if deparse::is_count(query) {
        let asked = 1.0;
        // The vendor counts no further: identifiers are read instead.
        return match rows < LARGEST_COUNT as f64 {
            true => asked,
            false => asked + (rows / f64::from(page_size(query))).ceil(),
        };
    }
    if let Some(ids) = &query.lookup {
        // While a statement is planned the identifiers are not known yet, only how many are expected.
        let wanted = if ids.is_empty() {
            rows
        } else {
            ids.len() as f64
        };
        return (wanted / lookup::batch_size(query) as f64).ceil().max(1.0);
    }
    let rows = query.limit.map_or(rows, |limit| rows.min(limit as f64));
    (rows / f64::from(page_size(query))).ceil().max(1.0)
}

/// A scan by identifiers or by a query; nothing is sent yet.
pub(crate) fn start(
    session: Arc<DynamicsSession>,
    mut query: RemoteQuery,
    stats: Arc<CallStats>,
) -> Box<dyn PageStream> {
    match query.lookup.take() {
        Some(ids) => Box::new(Lookups::new(session, query, ids, stats)),
        None => Box::new(Pages::new(session, query, stats)),
    }
}

/// The pages of one query.
struct Pages {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    prepared: Option<Prepared>,
    state: State,
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
    fn new(session: Arc<DynamicsSession>, query: RemoteQuery, stats: Arc<CallStats>) -> Self {
        Self {
            session,
            stats,
            query,
            prepared: None,
            state: State::First,
            n_delivered: 0,
            followed: Followed::default(),
        }
    }

    async fn next_page(&mut self) -> Result<Option<Page>> {
        let result = self.advance().await;
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        let prepared = match &self.prepared {
            Some(prepared) => prepared.clone(),
            None => {
                let query = self.query.clone();
                let prepared = Prepared::new(&self.session, query, &self.stats).await?;
                self.prepared.insert(prepared).clone()
            }
        };
        loop {
            let link = match &self.state {
                State::Finished => return Ok(None),
                State::Failed(error) => return Err(error.clone()),
                State::First if deparse::is_count(&self.query) => {
                    let count = exact_count(&self.session, &prepared, &self.stats).await;
                    let count = count.map_err(|error| prepared.about(error))?;
                    self.state = State::Finished;
                    return Ok(Some(prepared.decoder.count_page(count, 0)));
                }
                State::First => first_link(&self.session, &prepared)?,
                State::Next(link) => link.clone(),
            };
            let preferences = prepared.preferences(self.page_size());
            let request = Request {
                session: &self.session,
                preferences: preferences.as_deref(),
                stats: &self.stats,
            };
            let body = request.body(&link).await;
            let reply = body.and_then(|body| prepared.decoder.query_reply(body.bytes()));
            let reply = reply.map_err(|error| prepared.about(error))?;
            self.n_delivered += reply.page.n_rows as u64;
            self.state = self.after(&reply)?;
            if reply.page.n_rows > 0 {
                return Ok(Some(reply.page));
            }
        }
    }

    /// The size of pages; none where the first is all that is wanted, for the two wishes exclude each other (trap 2).
    fn page_size(&self) -> Option<u32> {
        let size = page_size(&self.query);
        let is_single = deparse::is_single(&self.query);
        (!is_single).then_some(size)
    }

    fn after(&mut self, reply: &QueryReply) -> Result<State> {
        let has_enough = |limit| self.n_delivered >= limit;
        let Some(link) = reply
            .next
            .clone()
            .filter(|_| !self.query.limit.is_some_and(has_enough))
        else {
            return Ok(State::Finished);
        };
        if self.followed.note(&link) {
            return Ok(State::Next(link));
        }
        Err(Error::new(
            ErrorKind::Undecodable,
            "the replies lead in a circle",
        ))
    }
}

impl PageStream for Pages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

/// The address of the first page.
pub(crate) fn first_link(session: &DynamicsSession, prepared: &Prepared) -> Result<String> {
    address(session, prepared, deparse::options(&prepared.query)?)
}

/// The address of a query with these options. Where it would be longer than the vendor reads, the fields are not named,
/// and records come whole.
///
/// # Errors
/// [`ErrorKind::NotSupported`] for a condition that is too long by itself.
pub(crate) fn address(
    session: &DynamicsSession,
    prepared: &Prepared,
    mut options: Vec<(&'static str, String)>,
) -> Result<String> {
    let set = deparse::object_name(&prepared.address.set)?;
    loop {
        let link = session.path(&format!("{set}?{}", deparse::encoded(&options)));
        if link.len() <= LONGEST_IN_BATCH {
            return Ok(link);
        }
        let n_options = options.len();
        options.retain(|(name, _)| *name != "$select");
        if options.len() == n_options {
            return Err(Error::new(
                ErrorKind::NotSupported,
                format!("the query is longer than the {LONGEST_IN_BATCH} characters the CRM reads"),
            )
            .with_hint("Ask for a shorter list of values."));
        }
    }
}

/// How pages are asked for.
pub(crate) struct Request<'a> {
    pub session: &'a DynamicsSession,
    pub preferences: Option<&'a str>,
    pub stats: &'a CallStats,
}

/// The body of a reply, which may be a part of another.
pub(crate) struct Body {
    reply: Bytes,
    part: Option<std::ops::Range<usize>>,
}

impl Body {
    /// Its bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.part {
            Some(part) => &self.reply[part.clone()],
            None => &self.reply,
        }
    }
}

impl Request<'_> {
    /// The reply to a GET of `link`; one whose address is too long goes inside a batch (section 1).
    ///
    /// # Errors
    /// As [`DynamicsSession::call`].
    pub(crate) async fn body(&self, link: &str) -> Result<Body> {
        if link.len() <= LONGEST_ADDRESS {
            let mut call = Call::new(Method::GET, link).for_data();
            if let Some(preferences) = self.preferences {
                let value = HeaderValue::from_str(preferences).map_err(|_| {
                    Error::new(ErrorKind::NotSupported, "a preference cannot be sent")
                })?;
                call = call.header(batch::PREFER, value);
            }
            let reply = self.session.call(&call, self.stats).await?;
            return Ok(Body {
                reply: reply.body,
                part: None,
            });
        }
        // A part's address begins at the root, also where the link names the host.
        let url = self.session.resolve(link)?;
        let target = &url[url::Position::BeforePath..];
        let part = self.part(target);
        let reply = self
            .session
            .call_together(&[part], true, self.stats)
            .await?;
        let replies = batch::replies(reply.header("content-type"), &reply.body)?;
        let [part] = replies.as_slice() else {
            return Err(unanswered());
        };
        if !part.is_success() {
            return Err(part.error());
        }
        let start = part.body.as_ptr() as usize - reply.body.as_ptr() as usize;
        let part = Some(start..start + part.body.len());
        Ok(Body {
            reply: reply.body,
            part,
        })
    }

    /// The same as one of several requests in a batch.
    pub(crate) fn part(&self, target: &str) -> Part {
        Part::get(target).preferring(self.preferences)
    }
}

/// The error for a batch whose reply does not answer all of it.
pub(crate) fn unanswered() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the reply answers fewer requests than were sent",
    )
}

/// How many records match the query's filter.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn count(
    session: &DynamicsSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<u64> {
    let prepared = counting(session, query, stats).await?;
    let counted = async {
        let counted = capped_count(session, &prepared, stats).await?;
        if counted < LARGEST_COUNT {
            return Ok(counted);
        }
        // The vendor keeps the number of all records, a little old; what was counted is certain.
        if query.filter.is_none()
            && session.deployment() != Deployment::OnPremise
            && let Some(total) = total_of(session, &query.object, stats).await?
        {
            return Ok(total.max(counted));
        }
        counted_by_pages(session, &prepared, stats).await
    };
    counted.await.map_err(|error| prepared.about(error))
}

async fn counting(
    session: &DynamicsSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<Prepared> {
    let bare = RemoteQuery {
        fields: Vec::new(),
        lookup: None,
        sort: Vec::new(),
        limit: None,
        aggregates: Vec::new(),
        page_size: None,
        ..query.clone()
    };
    Prepared::new(session, bare, stats).await
}

/// The number of records, counted by the vendor as far as it counts, else by reading their identifiers.
async fn exact_count(
    session: &DynamicsSession,
    prepared: &Prepared,
    stats: &CallStats,
) -> Result<u64> {
    let counted = capped_count(session, prepared, stats).await?;
    if counted < LARGEST_COUNT {
        return Ok(counted);
    }
    let bare = counting(session, &prepared.query, stats).await?;
    counted_by_pages(session, &bare, stats).await
}

async fn capped_count(
    session: &DynamicsSession,
    prepared: &Prepared,
    stats: &CallStats,
) -> Result<u64> {
    let set = deparse::object_name(&prepared.address.set)?;
    let filter = match &prepared.query.filter {
        Some(filter) => format!("?$filter={}", deparse::encode(&deparse::filter(filter)?)),
        None => String::new(),
    };
    let request = Request {
        session,
        preferences: None,
        stats,
    };
    let body = request
        .body(&session.path(&format!("{set}/$count{filter}")))
        .await?;
    // The number may stand behind a byte order mark (section 6).
    let text = json::text_of(body.bytes(), "a number")?;
    let digits = text.trim_start_matches('\u{feff}').trim();
    digits
        .parse()
        .map_err(|_| Error::new(ErrorKind::Undecodable, "the reply is not a number"))
}

async fn counted_by_pages(
    session: &DynamicsSession,
    prepared: &Prepared,
    stats: &CallStats,
) -> Result<u64> {
    let size = format!("odata.maxpagesize={LARGEST_PAGE}");
    let request = Request {
        session,
        preferences: Some(&size),
        stats,
    };
    let decoder = PageDecoder::new(&prepared.query, session.zone(), |_| &[]);
    let mut followed = Followed::default();
    let mut link = first_link(session, prepared)?;
    let mut n_records = 0;
    loop {
        let body = request.body(&link).await?;
        let reply = decoder.query_reply(body.bytes())?;
        n_records += reply.page.n_rows as u64;
        match reply.next {
            None => return Ok(n_records),
            Some(next) if followed.note(&next) => link = next,
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the replies lead in a circle",
                ));
            }
        }
    }
}

/// The number of all records as the vendor keeps it; nothing where it keeps none.
async fn total_of(
    session: &DynamicsSession,
    object: &str,
    stats: &CallStats,
) -> Result<Option<u64>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Reply {
        entity_record_count_collection: Collection,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Collection {
        values: Vec<i64>,
    }
    let object = deparse::object_name(object)?;
    let name = deparse::encode(&format!("[\"{object}\"]"));
    let rest = format!("RetrieveTotalRecordCount(EntityNames=@p1)?@p1={name}");
    let call = Call::get(session.path(&rest)).for_data();
    let reply = match session.exchange(&call, stats).await {
        Ok(answered) => answered.reply,
        // Not every version and kind of table has it.
        Err(trouble) => match trouble.status {
            Some(StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED) => {
                return Ok(None);
            }
            _ => return Err(trouble.error),
        },
    };
    let reply: Reply = json::parse(&reply.body, "a number of records")?;
    let count = reply.entity_record_count_collection.values.first();
    Ok(count.and_then(|count| u64::try_from(*count).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{Aggregate, AggregateFunction, ColumnType, QueryField};

    #[test]
    fn wide_records_come_in_smaller_pages() {
        for (n_fields, wish, expected) in [
            (0, None, 5_000),
            (60, None, 5_000),
            (100, None, 3_000),
            (725, None, 413),
            (5_000, None, 250),
            (725, Some(5_000), 5_000),
            (1, Some(50_000), 5_000),
            (1, Some(10), 10),
        ] {
            let field = QueryField::plain("f", "StringType", ColumnType::Text);
            let mut query = RemoteQuery::all("account", "accountid", vec![field; n_fields]);
            query.page_size = wish;
            assert_eq!(page_size(&query), expected, "{n_fields} {wish:?}");
            let calls = estimate_calls(&query, 10_000.0);
            assert_eq!(calls, (10_000.0 / f64::from(expected)).ceil());
        }
    }

    #[test]
    fn counting_many_records_takes_their_pages() {
        let mut query = RemoteQuery::all("account", "accountid", Vec::new());
        query.aggregates = vec![Aggregate {
            function: AggregateFunction::CountAll,
            field: String::new(),
        }];
        for (rows, calls) in [(1.0, 1.0), (4_999.0, 1.0), (5_000.0, 2.0), (1e6, 201.0)] {
            assert_eq!(estimate_calls(&query, rows), calls, "{rows}");
        }
    }
}
