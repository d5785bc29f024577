//! The accounts this backend is signed in to.
//!
//! A session is kept for each server and role, and found again by comparing every option with what the catalogs say
//! now: ALTER SERVER or ALTER USER MAPPING makes a new one, without a callback that could miss something.

use crate::options::{account_of, connector_of};
use crate::pg::catalog::{self, Server};
use crm_core::{Account, Error, ErrorKind, Result, Session};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::sync::Arc;

struct Entry {
    server: pg_sys::Oid,
    user: pg_sys::Oid,
    account: Account,
    session: Arc<dyn Session>,
}

thread_local! {
    static SESSIONS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// The session of `user` at `server`, made if there is none or its options have changed.
///
/// # Errors
/// Missing options, or a secret that must not be used like this.
pub fn open(server: &Server, user: pg_sys::Oid) -> Result<Arc<dyn Session>> {
    if !catalog::database_is_utf8() {
        return Err(Error::new(
            ErrorKind::NotSupported,
            "the database's encoding is not UTF8",
        )
        .with_hint("Create the database with ENCODING 'UTF8'."));
    }
    let connector = connector_of(server)?;
    let account = account_of(connector, server, user)?;
    SESSIONS.with_borrow_mut(|entries| {
        let known = entries
            .iter()
            .position(|entry| entry.server == server.oid && entry.user == user);
        if let Some(at) = known {
            if entries[at].account == account {
                return Ok(Arc::clone(&entries[at].session));
            }
            entries.swap_remove(at);
        }
        let session = connector.open(account.clone())?;
        entries.push(Entry {
            server: server.oid,
            user,
            account,
            session: Arc::clone(&session),
        });
        Ok(session)
    })
}

/// The session of `user` at a server if this backend has one, for what it last heard; nothing is made or sent.
pub fn existing(server: pg_sys::Oid, user: pg_sys::Oid) -> Option<Arc<dyn Session>> {
    SESSIONS.with_borrow(|entries| {
        entries
            .iter()
            .find(|entry| entry.server == server && entry.user == user)
            .map(|entry| Arc::clone(&entry.session))
    })
}

/// Server name, role and session of each account.
pub fn all() -> Vec<(String, pg_sys::Oid, Arc<dyn Session>)> {
    SESSIONS.with_borrow(|entries| {
        entries
            .iter()
            .map(|entry| {
                let name = entry.account.server().to_owned();
                (name, entry.user, Arc::clone(&entry.session))
            })
            .collect()
    })
}

/// Forgets the sessions at a server, or at every server; gives how many there were.
pub fn forget(server: Option<&str>) -> usize {
    SESSIONS.with_borrow_mut(|entries| {
        let before = entries.len();
        entries.retain(|entry| server.is_some_and(|name| entry.account.server() != name));
        before - entries.len()
    })
}
