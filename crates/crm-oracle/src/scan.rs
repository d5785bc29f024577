//! Pages of a query, one after the other (Oracle page 5).
//!
//! Pages are sorted by identifier and each goes on behind the last one of the page before, so that they neither repeat
//! nor skip a record whatever is written meanwhile, whichever session asks, and however many there are.

use crate::decode::{PageDecoder, QueryReply};
use crate::deparse;
use crate::lookup::Lookups;
use crate::query_page::{LARGEST_PAGE, QueryPage};
use crate::session::OracleSession;
use crate::tags;
use crate::widen::widen;
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, RemoteQuery, Result};
use std::sync::Arc;

/// More of a query than this is not repeated in an error.
const SHOWN_QUERY: usize = 1_000;

/// Records a page for a wish of the user's.
pub(crate) fn page_size(wish: Option<u32>) -> u32 {
    wish.map_or(LARGEST_PAGE, |wish| wish.clamp(1, LARGEST_PAGE))
}

/// A scan by identifiers or by a query; nothing is sent yet.
pub(crate) fn start(
    session: Arc<OracleSession>,
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
    session: Arc<OracleSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    decoder: Arc<PageDecoder>,
    state: State,
    n_delivered: u64,
}

/// Where a scan stands. Changed only after a page has arrived, so that a `next` given up on may be called again.
#[derive(Clone)]
enum State {
    First,
    /// Goes on behind this identifier.
    Behind(String),
    /// Goes on by number, for the CRM sorts identifiers in an order of its own. The first identifier of the page before
    /// shows whether there is any progress.
    ByNumber {
        n_passed: u64,
        first: String,
    },
    Finished,
    Failed(Error),
}

impl Pages {
    /// A scan; nothing is sent yet.
    fn new(session: Arc<OracleSession>, query: RemoteQuery, stats: Arc<CallStats>) -> Self {
        let decoder = Arc::new(decoder_of(&session, &query));
        Self::with_decoder(session, query, stats, decoder)
    }

    /// A scan whose pages look like another one's.
    pub(crate) fn with_decoder(
        session: Arc<OracleSession>,
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
            n_delivered: 0,
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
        match &self.state {
            State::Finished => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
            _ => {}
        }
        let left = self
            .query
            .limit
            .map(|limit| limit.saturating_sub(self.n_delivered));
        let size = u32::try_from(left.unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let size = size.min(page_size(self.query.page_size));
        if size == 0 {
            self.state = State::Finished;
            return Ok(None);
        }
        let reply = self
            .ask(size)
            .await
            .map_err(|error| about(&self.query, error))?;
        self.state = self.after(&reply, size)?;
        self.n_delivered += reply.page.n_rows as u64;
        Ok((reply.page.n_rows > 0).then_some(reply.page))
    }

    async fn ask(&self, size: u32) -> Result<QueryReply> {
        if !self.query.aggregates.is_empty() {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "the CRM computes no aggregates",
            ));
        }
        let (behind, start) = match &self.state {
            State::Behind(id) => (Some(id.as_str()), 0),
            State::ByNumber { n_passed, .. } => (None, *n_passed),
            _ => (None, 0),
        };
        let spec = specification(&self.session, &self.query, behind)?;
        let tags = deparse::tags(&self.query)?;
        let page = QueryPage {
            object: tags::object(&self.query.object)?,
            tags: &tags,
            spec: spec.as_deref(),
            size,
            start,
            counted: false,
            view_mode: self.session.option("view_mode"),
            custom_tags: self.session.custom_tags(),
        };
        let answered = self
            .session
            .call(&page.call()?.for_data(), &self.stats)
            .await?;
        self.decoder.reply(&answered.body)
    }

    /// What to do after a page: the end, or where to go on.
    fn after(&self, reply: &QueryReply, size: u32) -> Result<State> {
        let (Some(first), Some(last)) = (reply.ids.first(), reply.ids.last()) else {
            return Ok(State::Finished);
        };
        // Where the CRM does not say, a page that is not full is the last one.
        let is_last = reply.last.unwrap_or(reply.ids.len() < size as usize);
        let is_sorted = reply.ids.is_sorted_by(|one, next| one < next);
        let next = match &self.state {
            State::Behind(id) if !is_sorted || first <= id => {
                // What came before may have gaps then.
                return Err(about(&self.query, out_of_order()));
            }
            State::ByNumber {
                n_passed,
                first: before,
            } => {
                if before == first {
                    return Err(about(&self.query, out_of_order()));
                }
                State::ByNumber {
                    n_passed: n_passed + reply.ids.len() as u64,
                    first: first.clone(),
                }
            }
            State::First if !is_sorted => State::ByNumber {
                n_passed: reply.ids.len() as u64,
                first: first.clone(),
            },
            _ => State::Behind(last.clone()),
        };
        Ok(if is_last { State::Finished } else { next })
    }
}

impl PageStream for Pages {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.next_page())
    }
}

/// The decoder for a query's pages.
pub(crate) fn decoder_of(session: &OracleSession, query: &RemoteQuery) -> PageDecoder {
    PageDecoder::new(
        &query.object,
        &query.identifier,
        &query.fields,
        session.zone(),
    )
}

/// The search specification of a query, from behind an identifier on.
fn specification(
    session: &OracleSession,
    query: &RemoteQuery,
    behind: Option<&str>,
) -> Result<Option<String>> {
    let wanted = match &query.filter {
        Some(filter) if deparse::has_placeholder(filter) => {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "a parameter of the query has no value",
            ));
        }
        Some(filter) => Some(deparse::filter(&widen(filter.clone(), session.zone()))?),
        None => None,
    };
    deparse::behind(&query.identifier, behind, wanted)
}

/// How many records match the query's filter, in one call.
///
/// # Errors
/// As [`OracleSession::call`]; [`ErrorKind::NotSupported`] where the CRM does not count (Oracle page 4.1).
pub(crate) async fn count(
    session: &OracleSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<u64> {
    let spec = specification(session, query, None)?;
    let page = QueryPage {
        object: tags::object(&query.object)?,
        tags: &[tags::field(&query.identifier)?],
        spec: spec.as_deref(),
        size: 1,
        start: 0,
        counted: true,
        view_mode: session.option("view_mode"),
        custom_tags: session.custom_tags(),
    };
    let answered = session.call(&page.call()?.for_data(), stats).await;
    let answered = answered.map_err(|error| about(query, error))?;
    let decoder = PageDecoder::new(&query.object, &query.identifier, &[], session.zone());
    let reply = decoder.reply(&answered.body)?;
    reply.count.ok_or_else(|| {
        Error::new(
            ErrorKind::NotSupported,
            "the CRM does not count the records of this object",
        )
    })
}

fn out_of_order() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the CRM does not return records in the order of their identifiers",
    )
}

/// Says with which query it was read and which field is not known, where the vendor found fault with it.
pub(crate) fn about(query: &RemoteQuery, error: Error) -> Error {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::FieldUnknown | ErrorKind::RemoteFault | ErrorKind::NotSupported
    );
    if error.code().is_none() || !is_refused {
        return error;
    }
    let Ok(text) = deparse::query(query) else {
        return error;
    };
    let shown: String = text.chars().take(SHOWN_QUERY).collect();
    let detail = error.detail().unwrap_or_default().to_owned();
    let unknown = (error.kind() == ErrorKind::FieldUnknown)
        .then(|| deparse::tags(query).ok())
        .flatten()
        .and_then(|tags| named_in(&detail, tags.into_iter()).map(str::to_owned));
    let error = match unknown {
        Some(tag) => told_anew(
            &error,
            format!("object \"{}\" has no field \"{tag}\"", query.object),
        ),
        None => error,
    };
    error.with_detail(format!("{detail}\nRemote query: {shown}"))
}

/// The one of `tags` that the vendor's words name.
pub(crate) fn named_in<'t>(
    words: &str,
    mut tags: impl Iterator<Item = &'t str>,
) -> Option<&'t str> {
    tags.find(|tag| {
        ["'", "[", "\""].iter().any(|quote| {
            words.contains(&format!(
                "{quote}{tag}{}",
                if *quote == "[" { "]" } else { quote }
            ))
        })
    })
}

fn told_anew(error: &Error, message: String) -> Error {
    let mut told = Error::new(error.kind(), message);
    if let Some(hint) = error.hint() {
        told = told.with_hint(hint);
    }
    match error.code() {
        Some(code) => told.with_code(code),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_that_the_vendor_names() {
        let tags = || ["Id", "ShoeSize", "Shoe"].into_iter();
        for (words, expected) in [
            (
                "Element with XML tag 'ShoeSize' is not found",
                Some("ShoeSize"),
            ),
            ("No field [Shoe] in it", Some("Shoe")),
            ("ShoeSize is not known", None),
            ("", None),
        ] {
            assert_eq!(named_in(words, tags()), expected, "{words}");
        }
    }
}
