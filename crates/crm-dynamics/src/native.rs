//! A query in the vendor's own language, passed through as it is: an address below the Web API, with its options
//! (spec S-14). Only GET is sent, which changes nothing.

use crate::decode;
use crate::scan::{LARGEST_PAGE, Request};
use crate::session::DynamicsSession;
use crm_core::json::{self, Token};
use crm_core::{
    BoxFuture, CallStats, CellDecoder, ColumnType, Conversion, Error, ErrorKind, Page, PageBuilder,
    PageStream, Result, Zone,
};
use crm_http::Followed;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// What people write in an address although it may not stand there. What is encoded already stays so.
const UNFIT: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'+')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The statement, without what surrounds it.
///
/// # Errors
/// [`ErrorKind::NotSupported`] for an empty one.
pub(crate) fn checked(statement: &str) -> Result<String> {
    let statement = statement.trim().trim_end_matches(';').trim_end();
    if statement.is_empty() {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "there is no query to pass through",
        ));
    }
    Ok(statement.to_owned())
}

/// The documents of one statement, a page of one JSON column at a time.
pub(crate) struct Documents {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    state: State,
    preferences: Option<String>,
    followed: Followed,
}

#[derive(Clone)]
enum State {
    Next(String),
    Finished,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
}

impl Documents {
    /// A statement to run; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::NotSupported`] for anything but a path below the Web API.
    pub(crate) fn new(
        session: Arc<DynamicsSession>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Self> {
        let address = below(statement)?;
        // The two wishes exclude each other (trap 2).
        let preferences =
            (!address.contains("$top=")).then(|| format!("odata.maxpagesize={LARGEST_PAGE}"));
        Ok(Self {
            state: State::Next(session.path(&address)),
            session,
            stats,
            preferences,
            followed: Followed::default(),
        })
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        loop {
            let State::Next(link) = self.state.clone() else {
                return Ok(None);
            };
            let request = Request {
                session: &self.session,
                preferences: self.preferences.as_deref(),
                stats: &self.stats,
            };
            let body = request.body(&link).await?;
            let bytes = body.bytes();
            let text = json::text_of(bytes, "records")?;
            let text = text.trim_start_matches('\u{feff}').trim();
            let reply: Reply<'_> = match serde_json::from_str(text) {
                Ok(reply) => reply,
                // One record, or a number alone.
                Err(_) => {
                    let one: &RawValue =
                        serde_json::from_str(text).map_err(|fault| json::undecodable(&fault))?;
                    if decode::is_fault(one.get()) {
                        return Err(decode::failed(text.as_bytes()));
                    }
                    self.state = State::Finished;
                    return page_of([one.get()], bytes.len()).map(Some);
                }
            };
            self.state = match &reply.next {
                None => State::Finished,
                Some(next) if self.followed.note(next) => State::Next(next.clone()),
                Some(_) => {
                    return Err(Error::new(
                        ErrorKind::Undecodable,
                        "the replies lead in a circle",
                    ));
                }
            };
            if !reply.value.is_empty() {
                return page_of(
                    reply.value.iter().map(|document| document.get()),
                    bytes.len(),
                )
                .map(Some);
            }
        }
    }
}

impl PageStream for Documents {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.advance())
    }
}

/// The address below the versioned root that a statement names.
fn below(statement: &str) -> Result<String> {
    let refused = || {
        Error::new(
            ErrorKind::NotSupported,
            "only an address below the Web API can be passed through",
        )
        .with_hint("Write the entity set and its options, as accounts?$select=name&$top=5.")
    };
    let statement = statement.trim_start_matches('/');
    let (path, _) = statement.split_once('?').unwrap_or((statement, ""));
    let leaves = path.contains("://")
        || path.contains('\\')
        || path.starts_with('<')
        || path.split('/').any(|part| matches!(part, ".." | "."))
        || path.to_ascii_lowercase().contains("%2e");
    // Where several requests go in one there could be others than reading ones.
    if leaves || path.is_empty() || path.starts_with("$batch") {
        return Err(refused());
    }
    Ok(utf8_percent_encode(statement, &UNFIT).to_string())
}

/// A page of documents.
///
/// # Errors
/// [`ErrorKind::Undecodable`] for one that is nested too deeply.
pub(crate) fn page_of<'d>(
    documents: impl IntoIterator<Item = &'d str>,
    n_bytes: usize,
) -> Result<Page> {
    let cells = [CellDecoder {
        column_type: ColumnType::Json,
        conversion: Conversion::Default,
        zone: Zone::default(),
        separator: ',',
    }];
    let mut page = PageBuilder::new(&cells);
    for document in documents {
        page.append_json(&[0], Token::Nested(document))?;
        page.end_record();
    }
    Ok(page.finish(n_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_stay_below_the_interface() {
        for (statement, expected) in [
            (
                "accounts?$select=name&$filter=name eq 'A + B#1'",
                "accounts?$select=name&$filter=name%20eq%20'A%20%2B%20B%231'",
            ),
            ("/accounts?$top=5", "accounts?$top=5"),
            (
                "accounts?$filter=name%20eq%20'x'",
                "accounts?$filter=name%20eq%20'x'",
            ),
            ("WhoAmI", "WhoAmI"),
        ] {
            assert_eq!(below(statement).unwrap(), expected);
        }
        for statement in [
            "",
            "https://evil.example/x",
            "../../secret",
            "accounts/../../x",
            "a/%2e%2E/x",
            r"\\evil.example\x",
            "$batch",
            "<fetch/>",
        ] {
            let error = below(statement).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSupported, "{statement}");
        }
        assert!(checked(" ; ").is_err());
    }
}
