//! A query made ready to be sent: what the table does not say and the address needs is asked for once in a session.

use crate::decode::{PageDecoder, shows_labels};
use crate::deparse;
use crate::describe::Entity;
use crate::navigation::Address;
use crate::session::DynamicsSession;
use crate::types::Kind;
use crm_core::{CallStats, Error, ErrorKind, RemoteQuery, Result};
use std::sync::Arc;

/// More of a query than this is not repeated in an error.
const SHOWN_QUERY: usize = 1_000;

/// Gives the fields of `query` the types that the table does not say, and what is known of the entity where that is
/// needed to read them.
///
/// # Errors
/// As [`DynamicsSession::entity`].
pub(crate) async fn complete(
    session: &DynamicsSession,
    query: &mut RemoteQuery,
    stats: &CallStats,
) -> Result<Option<Arc<Entity>>> {
    let is_unsaid = |name: &str| name != query.identifier;
    let asks = !deparse::is_count(query)
        && query.fields.iter().any(|field| {
            shows_labels(field) || (field.remote_type.is_empty() && is_unsaid(&field.name))
        });
    if !asks {
        return Ok(None);
    }
    let entity = session.entity(&query.object, stats).await?;
    for field in &mut query.fields {
        if field.remote_type.is_empty() {
            let same = |name: &str| name.eq_ignore_ascii_case(&field.name);
            let mut known = entity.object.fields.iter();
            if let Some(told) = known.find(|known| same(&known.name)) {
                field.remote_type.clone_from(&told.remote_type);
            }
        }
    }
    Ok(Some(entity))
}

/// Says with which query it was read, where the vendor found fault with it.
pub(crate) fn with_query(error: Error, shown: Result<String>) -> Error {
    let is_refused = matches!(
        error.kind(),
        ErrorKind::FieldUnknown
            | ErrorKind::ObjectUnknown
            | ErrorKind::RemoteFault
            | ErrorKind::NotSupported
    );
    if error.code().is_none() || !is_refused {
        return error;
    }
    let Ok(shown) = shown else {
        return error;
    };
    let shown: String = shown.chars().take(SHOWN_QUERY).collect();
    let detail = error.detail().unwrap_or_default();
    let detail = format!("{detail}\nRemote query: {shown}");
    error.with_detail(detail)
}

/// A query that can be sent.
#[derive(Clone)]
pub(crate) struct Prepared {
    /// The query with the types of all its fields.
    pub query: Arc<RemoteQuery>,
    /// Where the entity's records are.
    pub address: Address,
    /// Reads the replies.
    pub decoder: Arc<PageDecoder>,
}

impl Prepared {
    /// Makes a query ready.
    ///
    /// # Errors
    /// As [`DynamicsSession::call`]; [`ErrorKind::NotSupported`] for a parameter that has no value.
    pub(crate) async fn new(
        session: &DynamicsSession,
        mut query: RemoteQuery,
        stats: &CallStats,
    ) -> Result<Self> {
        if query.filter.as_ref().is_some_and(deparse::has_placeholder) {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "a query with a parameter that has no value cannot be sent",
            ));
        }
        let entity = complete(session, &mut query, stats).await?;
        let known = entity
            .as_ref()
            .map(|entity| entity.object.fields.as_slice());
        let known = known.unwrap_or_default();
        let decoder = PageDecoder::new(&query, session.zone(), |name| {
            let field = known.iter().find(|field| field.name == name);
            field.map_or(&[], |field| &field.values)
        });
        Ok(Self {
            address: match &query.collection {
                Some(set) => Address {
                    set: deparse::set_name(set)?.to_owned(),
                    primary_id: query.identifier.clone(),
                },
                None => session.address(&query.object, stats).await?,
            },
            query: Arc::new(query),
            decoder: Arc::new(decoder),
        })
    }

    /// The preferences of each request: the size of pages, where they have one, and what is told beside the values.
    pub(crate) fn preferences(&self, page_size: Option<u32>) -> Option<String> {
        let has_targets = self
            .query
            .fields
            .iter()
            .any(|field| Kind::of(&field.remote_type) == Kind::Target);
        let size = page_size.map(|size| format!("odata.maxpagesize={size}"));
        // Asked for only where it is needed: such notes double a reply (section 12).
        let notes = has_targets.then(|| {
            "odata.include-annotations=\"Microsoft.Dynamics.CRM.lookuplogicalname\"".to_owned()
        });
        let all: Vec<_> = [size, notes].into_iter().flatten().collect();
        (!all.is_empty()).then(|| all.join(","))
    }

    /// Says with which query it was read, where the vendor found fault with it. The caller says what was read.
    pub(crate) fn about(&self, error: Error) -> Error {
        with_query(error, deparse::query(&self.query))
    }
}
