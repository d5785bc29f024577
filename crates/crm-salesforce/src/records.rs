//! Records of a statement as they come, for the few reads that are no scan: small, with known fields.

use crate::ids;
use crate::session::SalesforceSession;
use crm_core::json;
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_http::Call;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::HashSet;
use url::form_urlencoded::byte_serialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    records: Vec<Map<String, Value>>,
    done: bool,
    next_records_url: Option<String>,
}

/// One record.
pub(crate) struct Record<'a>(&'a Map<String, Value>);

impl Record<'_> {
    /// A field's value as text, where it has one.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let (_, value) = (self.0.iter()).find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// The identifier.
    pub(crate) fn id(&self) -> Option<String> {
        ids::canonical(&self.text("Id")?)
    }
}

/// Runs a statement, which must be short, and shows each record; deleted and archived ones too where `with_deleted`.
///
/// # Errors
/// As [`SalesforceSession::call`].
pub(crate) async fn each(
    session: &SalesforceSession,
    soql: &str,
    with_deleted: bool,
    stats: &CallStats,
    mut show: impl FnMut(&Record<'_>),
) -> Result<()> {
    let path = if with_deleted { "queryAll" } else { "query" };
    let mut link = session.path(&format!("{path}?q={}", encoded(soql)));
    let mut followed = HashSet::new();
    loop {
        let reply = session.call(&Call::get(&link).for_data(), stats).await?;
        let page: Page = json::parse(&reply.body, "records")?;
        for record in &page.records {
            show(&Record(record));
        }
        if page.done {
            return Ok(());
        }
        let next = page
            .next_records_url
            .filter(|next| followed.insert(next.clone()));
        link = next.ok_or_else(|| {
            Error::new(
                ErrorKind::Undecodable,
                "the reply announces another page and does not say where",
            )
        })?;
    }
}

/// Text as it stands in an address.
pub(crate) fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}
