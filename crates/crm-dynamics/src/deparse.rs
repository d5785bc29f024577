//! Queries in OData: the only place that writes names and literals into an address.

use crate::ids;
use crm_core::{Error, ErrorKind, RemoteQuery, Result};

/// The query as it is shown.
///
/// # Errors
/// When it cannot be said in the vendor's language.
pub(crate) fn query(query: &RemoteQuery) -> Result<String> {
    Ok(format!("{{{}}}", query.object))
}

/// A GUID as it may stand in an address.
///
/// # Errors
/// [`ErrorKind::Undecodable`] for a text that is none.
pub(crate) fn guid(text: &str) -> Result<String> {
    ids::canonical(text)
        .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply holds no identifier"))
}
