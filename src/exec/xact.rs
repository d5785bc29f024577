//! What a transaction has written that no rollback takes back.
//!
//! A CRM has no transactions. Accepted records are counted here by server; an abort says how many stay changed, and
//! PREPARE TRANSACTION is refused.

use crate::error::warn;
use crm_core::{Error, ErrorKind};
use pgrx::{PgSubXactCallbackEvent, PgXactCallbackEvent, pg_sys};
use std::cell::RefCell;

/// Records of one server accepted in one (sub)transaction.
struct Accepted {
    subtransaction: pg_sys::SubTransactionId,
    server: String,
    records: u64,
    /// Where each record can be looked up: the export job's name.
    job: Option<String>,
}

#[derive(Default)]
struct Transaction {
    is_watched: bool,
    accepted: Vec<Accepted>,
}

thread_local! {
    static TRANSACTION: RefCell<Transaction> = RefCell::default();
}

/// Counts records that the CRM has accepted in the current subtransaction.
pub fn note_accepted(server: &str, records: u64, job: Option<&str>) {
    if records == 0 {
        return;
    }
    watch();
    let subtransaction = crate::pg::catalog::current_subtransaction();
    TRANSACTION.with_borrow_mut(|transaction| {
        let known = transaction.accepted.iter_mut().find(|accepted| {
            accepted.subtransaction == subtransaction
                && accepted.server == server
                && accepted.job.as_deref() == job
        });
        match known {
            Some(accepted) => accepted.records += records,
            None => transaction.accepted.push(Accepted {
                subtransaction,
                server: server.to_owned(),
                records,
                job: job.map(str::to_owned),
            }),
        }
    });
}

/// Has the end of this transaction and of its subtransactions told, once.
fn watch() {
    let is_watched = TRANSACTION
        .with_borrow_mut(|transaction| std::mem::replace(&mut transaction.is_watched, true));
    if is_watched {
        return;
    }
    pgrx::register_xact_callback(PgXactCallbackEvent::Commit, forget);
    pgrx::register_xact_callback(PgXactCallbackEvent::Abort, || {
        let accepted = TRANSACTION.with_borrow_mut(std::mem::take).accepted;
        warn_of(accepted);
    });
    pgrx::register_xact_callback(PgXactCallbackEvent::PrePrepare, || {
        pgrx::ereport!(
            ERROR,
            pgrx::PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "cannot PREPARE a transaction that has written to a CRM"
        );
    });
    pgrx::register_subxact_callback(PgSubXactCallbackEvent::AbortSub, |subtransaction, _| {
        let lost = TRANSACTION.with_borrow_mut(|transaction| {
            let all = std::mem::take(&mut transaction.accepted);
            // Subtransactions within an aborted one have larger numbers than it.
            let (lost, kept) = all
                .into_iter()
                .partition(|accepted| accepted.subtransaction >= subtransaction);
            transaction.accepted = kept;
            lost
        });
        warn_of(lost);
    });
}

fn forget() {
    TRANSACTION.with_borrow_mut(|transaction| *transaction = Transaction::default());
}

fn warn_of(accepted: Vec<Accepted>) {
    for one in accepted {
        let records = if one.records == 1 {
            "record stays"
        } else {
            "records stay"
        };
        let warning = Error::new(
            ErrorKind::RemoteFault,
            format!(
                "{} {records} changed on server \"{}\" although the transaction was rolled back",
                one.records, one.server
            ),
        );
        warn(&warning.with_hint(match one.job {
            Some(job) => format!(
                "SELECT * FROM crm.export_records('{}') lists them; running the statement again under the same job sends none of them twice.",
                job.replace('\'', "''")
            ),
            None => "A CRM has no rollback. With SET crm.export_job = '…' each record is kept in a journal and sent once, however often the statement runs.".into(),
        }));
    }
}
