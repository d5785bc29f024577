//! The accounts this backend is signed in to.
//!
//! A session is kept for each server and role, and found again by comparing every option with what the catalogs say
//! now: ALTER SERVER or ALTER USER MAPPING makes a new one, without a callback that could miss something.

use crate::guc;
use crate::options::{account_of, connector_of};
use crate::pg::catalog::{self, Server};
use crate::pg::exit::at_exit;
use crate::runtime;
use crate::statistics;
use crm_core::{Account, Budget, CallLimit, CallStats, Error, ErrorKind, Result, Session};
use pgrx::pg_sys;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// How long signing off may take.
const CLOSING: Duration = Duration::from_secs(5);
/// The same while the backend ends and waits, for all sessions together.
const CLOSING_AT_EXIT: Duration = Duration::from_secs(1);

struct Entry {
    server: pg_sys::Oid,
    user: pg_sys::Oid,
    account: Account,
    session: Arc<dyn Session>,
}

/// The bounds of the statement that is running, so that all its scans share them.
#[derive(Default)]
struct Statement {
    started: i64,
    limits: Vec<(u64, Option<pg_sys::Oid>, CallLimit)>,
}

impl Statement {
    fn limit(&mut self, source: &'static str, most: u64, server: Option<pg_sys::Oid>) -> CallLimit {
        let known = self
            .limits
            .iter()
            .find(|(bound, of, _)| *bound == most && *of == server);
        if let Some((_, _, limit)) = known {
            return limit.clone();
        }
        let limit = CallLimit::new(most, source);
        self.limits.push((most, server, limit.clone()));
        limit
    }
}

thread_local! {
    static STATEMENT: RefCell<Statement> = RefCell::default();
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
            if let Some(goodbyes) = goodbyes([entries.swap_remove(at).session]) {
                runtime::run_aside(goodbyes, CLOSING, false);
            }
        }
        at_exit(close_all);
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

/// Counters for a function of the running statement, within its budget (S-13).
pub fn stats(server: &Server) -> Arc<CallStats> {
    counted(server, None)
}

/// The same for a scan of a foreign table.
pub fn stats_of_table(server: &Server, relation: pg_sys::Oid) -> Arc<CallStats> {
    counted(server, Some(relation))
}

fn counted(server: &Server, relation: Option<pg_sys::Oid>) -> Arc<CallStats> {
    let option = |name: &str| {
        let value = server.options.iter().find(|(option, _)| option == name)?;
        value.1.parse::<u64>().ok()
    };
    let limits = STATEMENT.with_borrow_mut(|statement| {
        let started = catalog::statement_started();
        if statement.started != started {
            *statement = Statement {
                started,
                ..Statement::default()
            };
        }
        let overall =
            guc::max_api_calls().map(|most| ("the setting crm.max_api_calls", most, None));
        let here = option("api_budget")
            .map(|most| ("the server option api_budget", most, Some(server.oid)));
        let bounds = overall.into_iter().chain(here);
        bounds
            .map(|(source, most, server)| statement.limit(source, most, server))
            .collect()
    });
    let stats = Arc::new(CallStats::within(Budget::new(
        limits,
        option("api_reserve"),
    )));
    let (oid, user) = (server.oid, catalog::current_user());
    statistics::watch(oid, relation, &stats, move || {
        existing(oid, user).and_then(|session| session.usage())
    });
    stats
}

/// An error of a function, remembered for the statistics of its server.
pub fn noted(server: &Server, error: Error) -> Error {
    statistics::failed(server.oid, None, &error);
    error
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

/// Forgets the sessions at a server, or at every server, and signs them off; gives how many there were.
pub fn forget(server: Option<&str>) -> usize {
    let forgotten: Vec<_> = SESSIONS.with_borrow_mut(|entries| {
        let all = std::mem::take(entries);
        let (kept, forgotten) = all
            .into_iter()
            .partition(|entry| server.is_some_and(|name| entry.account.server() != name));
        *entries = kept;
        forgotten
    });
    let sessions: Vec<_> = forgotten.into_iter().map(|entry| entry.session).collect();
    let n_sessions = sessions.len();
    if let Some(goodbyes) = goodbyes(sessions) {
        // Whether the CRM has heard it or not, this backend has forgotten them.
        let _ =
            runtime::run(async move { Ok(tokio::time::timeout(CLOSING, goodbyes).await.is_ok()) });
    }
    n_sessions
}

/// Signs off where somebody is signed in; whoever still holds such a session and asks it for something signs in anew.
fn goodbyes(
    sessions: impl IntoIterator<Item = Arc<dyn Session>>,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let open = sessions
        .into_iter()
        .filter(|session| session.signed_in().is_some());
    let open: Vec<_> = open.collect();
    (!open.is_empty()).then_some(async move {
        for session in open {
            session.close(&CallStats::default()).await;
        }
    })
}

fn close_all() {
    // The backend is ending: what is held here may have been dropped, and nothing may be raised.
    let sessions = SESSIONS.try_with(|entries| {
        entries
            .try_borrow_mut()
            .map(|mut all| std::mem::take(&mut *all))
    });
    if let Ok(Ok(entries)) = sessions
        && let Some(goodbyes) = goodbyes(entries.into_iter().map(|entry| entry.session))
    {
        runtime::run_aside(goodbyes, CLOSING_AT_EXIT, true);
    }
}
