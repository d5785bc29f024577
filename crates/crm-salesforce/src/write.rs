//! Records written in calls or in jobs (Salesforce page, sections 7 and 8): which way, how many at once, how dear.

use crate::rows::Rows;
use crate::session::SalesforceSession;
use crate::{collections, ingest};
use crm_core::{
    CallStats, Operation, Outcomes, Route, TicketKeeper, WriteBatch, WriteLimits, WriteReply,
    check_batch,
};

/// A job takes six calls and a few looks at it, whatever its size; so many records take ten calls without one, and
/// their outcomes are known at once.
const FEWEST_IN_JOB: usize = 2_000;
/// Calls of a job: made, uploaded, started, two kinds of results, removed, and about four looks.
const JOB_CALLS: f64 = 10.0;

/// The most that one batch takes.
pub(crate) fn limits(route: Route) -> WriteLimits {
    match route {
        Route::Calls => WriteLimits {
            records: collections::LARGEST_CALL,
            bytes: collections::LARGEST_BODY,
        },
        Route::Job => WriteLimits {
            records: ingest::LARGEST_JOB,
            bytes: ingest::LARGEST_UPLOAD,
        },
    }
}

/// How records travel.
pub(crate) fn route(
    operation: Operation,
    records: usize,
    transport: Option<&str>,
    settles: bool,
) -> Route {
    match transport {
        Some("rest") => Route::Calls,
        Some("bulk") => Route::Job,
        _ if operation == Operation::Create && !settles => Route::Job,
        _ if records > FEWEST_IN_JOB => Route::Job,
        _ => Route::Calls,
    }
}

/// Calls that writing takes.
pub(crate) fn estimate_calls(route: Route, records: f64) -> f64 {
    match route {
        Route::Calls => (records / collections::LARGEST_CALL as f64).ceil(),
        Route::Job => (records / ingest::LARGEST_JOB as f64).ceil() * JOB_CALLS,
    }
}

/// Sends one batch.
pub(crate) async fn write(
    session: &SalesforceSession,
    batch: &WriteBatch,
    tickets: &dyn TicketKeeper,
    stats: &CallStats,
) -> WriteReply {
    let rows = check_batch(batch).and_then(|()| Rows::new(batch, session.zone()));
    let mut all = match rows {
        Ok(all) => all,
        Err(error) => return WriteReply::not_applied(batch.records.len(), error),
    };
    let mut outcomes = Outcomes::new(batch.records.len(), std::mem::take(&mut all.rejects));
    let rows = std::mem::take(&mut all.rows);
    let by_calls = match batch.route {
        Route::Calls => rows,
        Route::Job => {
            let (in_job, mut by_calls) = ingest::divide(&all, rows);
            if !in_job.is_empty() {
                let more = ingest::send(session, &all, in_job, tickets, &mut outcomes, stats).await;
                by_calls.extend(more);
            }
            by_calls
        }
    };
    if !outcomes.has_failed() {
        collections::send(session, &all, &by_calls, &mut outcomes, stats).await;
    }
    outcomes.into_reply()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_way_records_travel() {
        for (operation, records, transport, settles, expected) in [
            (Operation::Create, 200, None, true, Route::Calls),
            (Operation::Create, 2_000, Some("auto"), true, Route::Calls),
            (Operation::Create, 2_001, Some("auto"), true, Route::Job),
            (Operation::Create, 1, None, false, Route::Job),
            (Operation::Update, 1, None, false, Route::Calls),
            (Operation::Delete, 10_000, None, true, Route::Job),
            (Operation::Delete, 10_000, Some("rest"), true, Route::Calls),
            (Operation::Create, 1, Some("rest"), false, Route::Calls),
            (Operation::Upsert, 1, Some("bulk"), true, Route::Job),
        ] {
            let route = route(operation, records, transport, settles);
            assert_eq!(route, expected, "{operation:?} {records} {transport:?}");
        }
        // Spec Q-1: what exporting 10,000 records may cost.
        assert!(estimate_calls(Route::Calls, 10_000.0) <= 51.0);
        assert!(estimate_calls(Route::Job, 10_000.0) <= 11.0);
    }
}
