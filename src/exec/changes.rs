//! Reading a foreign table by change token (I-3): a sync announces it, and the next scan of the table within the same
//! (sub)transaction reads what has changed instead of what there is.
//!
//! So the rows travel, count and convert as those of any scan; deletions and the next token are asked for afterwards.

use crate::options::CollectedTable;
use crate::pg::catalog;
use crate::session;
use crm_core::{
    CallStats, Error, ErrorKind, FollowedChanges, PageStream, Reached, RemoteQuery, Result,
    Session, SharedReached,
};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::sync::Arc;

/// One announced or running reading of changes.
struct Followed {
    relation: pg_sys::Oid,
    /// The statement and subtransaction that announced it: whatever ends them ends it.
    statement: i64,
    subtransaction: pg_sys::SubTransactionId,
    token: Option<String>,
    is_taken: bool,
    reached: SharedReached,
}

impl Followed {
    fn is_current(&self, relation: pg_sys::Oid) -> bool {
        self.relation == relation
            && self.statement == catalog::statement_started()
            && self.subtransaction == catalog::current_subtransaction()
    }
}

/// A reading of changes that a scan has taken over.
pub struct Changes {
    /// Its pages.
    pub stream: Box<dyn PageStream>,
    /// It goes on from a token, so how much there is to read is not known.
    pub goes_on: bool,
}

thread_local! {
    static FOLLOWED: RefCell<Option<Followed>> = const { RefCell::new(None) };
}

/// The CRM of the table has change tokens, though perhaps not for this object; nothing is sent.
///
/// # Errors
/// Missing options of the account.
pub fn are_offered(table: &CollectedTable) -> Result<bool> {
    let session = session::open(&table.server, catalog::current_user())?;
    let query = RemoteQuery::all(&table.options.object, &table.identifier(), Vec::new());
    let stats = Arc::new(CallStats::default());
    Ok(session.changes(query, None, stats).is_some())
}

/// Has the next scan of the table read what has changed since the token was given, or everything without one.
pub fn follow(relation: pg_sys::Oid, token: Option<String>) {
    let followed = Followed {
        relation,
        statement: catalog::statement_started(),
        subtransaction: catalog::current_subtransaction(),
        token,
        is_taken: false,
        reached: SharedReached::default(),
    };
    FOLLOWED.set(Some(followed));
}

/// The next scan of the table will read changes, which come in no order.
pub fn are_followed(relation: pg_sys::Oid) -> bool {
    FOLLOWED.with_borrow(|followed| {
        followed
            .as_ref()
            .is_some_and(|followed| followed.is_current(relation) && !followed.is_taken)
    })
}

/// The reading that was announced for a scan of this table, once; `query` is what the scan wants.
///
/// # Errors
/// When the scan wants what a reading of changes cannot give.
pub fn stream(
    relation: pg_sys::Oid,
    session: &Arc<dyn Session>,
    query: &RemoteQuery,
    stats: &Arc<CallStats>,
) -> Result<Option<Changes>> {
    let announced = FOLLOWED.with_borrow_mut(|followed| {
        let followed = followed
            .as_mut()
            .filter(|followed| followed.is_current(relation) && !followed.is_taken)?;
        followed.is_taken = true;
        Some((followed.token.clone(), followed.reached.clone()))
    });
    let Some((token, reached)) = announced else {
        return Ok(None);
    };
    let identifier = query
        .fields
        .iter()
        .position(|field| field.name == query.identifier);
    let is_plain = query.filter.is_none()
        && query.lookup.is_none()
        && query.sort.is_empty()
        && query.limit.is_none()
        && query.aggregates.is_empty();
    let (Some(identifier), true) = (identifier, is_plain) else {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "changes are read of whole objects, with their identifiers",
        ));
    };
    let goes_on = token.is_some();
    let changes = Arc::clone(session)
        .changes(query.clone(), token, Arc::clone(stats))
        .ok_or_else(|| Error::new(ErrorKind::NotSupported, "the CRM has no change tokens"))?;
    Ok(Some(Changes {
        stream: Box::new(FollowedChanges::new(changes, identifier, reached)),
        goes_on,
    }))
}

/// What the reading of the table has come to.
///
/// # Errors
/// When none has ended.
pub fn reached(relation: pg_sys::Oid) -> Result<Reached> {
    let followed = FOLLOWED.take();
    let reached = followed
        .filter(|followed| followed.is_current(relation) && followed.is_taken)
        .map(|followed| followed.reached.now())
        .filter(|reached| reached.token.is_some());
    reached.ok_or_else(|| {
        Error::new(
            ErrorKind::RemoteFault,
            "no reading of changes of this foreign table has ended",
        )
    })
}
