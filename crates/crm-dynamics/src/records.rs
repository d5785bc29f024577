//! Records of the few reads that are no scan: small ones, with known properties.

use crate::batch::PREFER;
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Result, json};
use crm_http::header::HeaderValue;
use crm_http::{Call, Followed};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Records of a page (Dynamics page, section 6).
const PAGE_SIZE: &str = "odata.maxpagesize=5000";
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
    #[cfg(test)]
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
    let mut followed = Followed::default();
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
        if !followed.note(&next) {
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
