//! Pages of a query, one after the other (Oracle page 5).
//!
//! Where a page goes on is told in `position.rs`.

use crate::decode::{PageDecoder, QueryReply};
use crate::deparse;
use crate::lookup::Lookups;
use crate::objects;
use crate::position::Position;
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
    position: Position,
    failed: Option<Error>,
    n_delivered: u64,
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
            position: Position::First,
            failed: None,
            n_delivered: 0,
        }
    }

    /// The next page that holds records.
    pub(crate) async fn next_page(&mut self) -> Result<Option<Page>> {
        let result = self.advance().await;
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.position.is_end() {
            return Ok(None);
        }
        let left = self
            .query
            .limit
            .map(|limit| limit.saturating_sub(self.n_delivered));
        let size = u32::try_from(left.unwrap_or(u64::MAX)).unwrap_or(u32::MAX);
        let size = size.min(page_size(self.query.page_size));
        if size == 0 {
            return Ok(None);
        }
        let reply = self
            .ask(size)
            .await
            .map_err(|error| about(&self.query, error))?;
        // Moved only now, so that a `next` given up on may be called again.
        let next = self.position.after(&reply.ids, reply.last, size);
        self.position = next.map_err(|error| about(&self.query, error))?;
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
        let (behind, start) = self.position.from();
        let spec = specification(&self.session, &self.query, behind)?;
        let tags = deparse::tags(&self.query)?;
        let page = QueryPage {
            spec: spec.as_deref(),
            size,
            start,
            ..self
                .session
                .query_page(tags::object(&self.query.object)?, &tags)
        };
        let answered = self
            .session
            .call(&page.call()?.for_data(), &self.stats)
            .await?;
        self.decoder.reply(&answered.body)
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
///
/// # Errors
/// When the query cannot be said.
pub(crate) fn specification(
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

/// Says with which query it was read and which field is not known, where the vendor found fault with it.
pub(crate) fn about(query: &RemoteQuery, error: Error) -> Error {
    let error = without_object(&query.object, error);
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
            error.kind(),
            format!("object \"{}\" has no field \"{tag}\"", query.object),
        ),
        None => error,
    };
    error.with_detail(format!("{detail}\nRemote query: {shown}"))
}

/// The same words tell of a service that is not there and of one that is closed to the user: an object that is not among
/// the vendor's is more likely not there.
pub(crate) fn without_object(object: &str, error: Error) -> Error {
    if error.code() != Some("SBL-ODU-01011") || objects::find(object).is_some() {
        return error;
    }
    let message = format!("object \"{object}\" does not exist, or the account may not use it");
    told_anew(&error, ErrorKind::ObjectUnknown, message)
        .with_detail(error.detail().unwrap_or_default())
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

fn told_anew(error: &Error, kind: ErrorKind, message: String) -> Error {
    let mut told = Error::new(kind, message);
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
