//! Records of the few reads that are no scan: small ones, with known properties.

use crate::batch::PREFER;
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Result, json};
use crm_http::Call;
use crm_http::header::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Records of a page (Dynamics page, section 6).
const PAGE_SIZE: &str = "odata.maxpagesize=5000";
/// Everything but what no address ever encodes, and what keeps queries readable.
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b',')
    .remove(b':')
    .remove(b'(')
    .remove(b')')
    .remove(b'$');

/// Text as it stands in a query option.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_QUERY).to_string()
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Map<String, Value>>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

/// One record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(&'a Map<String, Value>);

impl<'a> Record<'a> {
    /// The record with these properties.
    pub(crate) fn of(properties: &'a Map<String, Value>) -> Self {
        Self(properties)
    }

    /// A property that is text.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)?.as_str()
    }

    /// A property that is a whole number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// A property that is a truth value.
    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        self.0.get(name)?.as_bool()
    }
}

/// Reads all pages from `link` on, with these annotations, and shows each record.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn each(
    session: &DynamicsSession,
    mut link: String,
    annotations: &[&str],
    stats: &CallStats,
    mut show: impl FnMut(&Record<'_>),
) -> Result<()> {
    let mut prefer = PAGE_SIZE.to_owned();
    if !annotations.is_empty() {
        let names = annotations.join(",");
        prefer.push_str(&format!(",odata.include-annotations=\"{names}\""));
    }
    let prefer = HeaderValue::from_str(&prefer).map_err(|_| unfollowable())?;
    let mut followed = HashSet::new();
    loop {
        // The same wish with every page (section 6).
        let call = Call::get(&link).header(PREFER, prefer.clone()).for_data();
        let reply = session.call(&call, stats).await?;
        let page: Page = json::parse(&reply.body, "records")?;
        for record in &page.value {
            show(&Record(record));
        }
        let Some(next) = page.next else {
            return Ok(());
        };
        if !followed.insert(next.clone()) {
            return Err(unfollowable());
        }
        link = next;
    }
}

fn unfollowable() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the reply leads to a page that was read before",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_stay_readable_and_whole() {
        for (text, expected) in [
            ("operation eq 3", "operation%20eq%203"),
            (
                "createdon ge 2024-01-02T03:04:05Z",
                "createdon%20ge%202024-01-02T03:04:05Z",
            ),
            ("x eq 'a&b+c#d'", "x%20eq%20%27a%26b%2Bc%23d%27"),
        ] {
            assert_eq!(encoded(text), expected);
        }
    }
}
