//! EXPLAIN of a scan: the remote query, what became of each condition and why, what it costs (S-8).

use crate::exec::scan::ScanState;
use crate::options::CollectedTable;
use crate::pg::explain::Explain;
use crate::plan::private::{ConditionNote, ScanPlan};
use crate::plan::table::shown_query;
use crate::session;
use crm_core::Refusal;
use pgrx::pg_sys;

/// Writes the lines of one scan; `state` is there when it was started.
pub fn explain_scan(
    explain: &mut Explain,
    plan: &ScanPlan,
    table: &CollectedTable,
    user: pg_sys::Oid,
    state: Option<&ScanState>,
) {
    let sent = state.and_then(|state| state.progress().sent.clone());
    let query = sent.unwrap_or_else(|| {
        shown_query(plan, table).unwrap_or_else(|error| error.message().to_owned())
    });
    explain.text(
        &format!("Remote {}", table.connector.query_language()),
        &query,
    );
    if explain.is_verbose() {
        for (note, text) in plan.notes.iter().zip(&plan.texts) {
            let (label, text) = told(note, text);
            explain.text(label, &text);
        }
        explain.text("Transport", "rest");
        if explain.shows_costs() {
            explain.integer("Estimated Remote Rows", plan.estimated_rows.round() as u64);
            // A data call brings one page.
            explain.integer("Estimated Pages", plan.estimated_calls.round() as u64);
            explain.integer("Estimated API Calls", plan.estimated_calls.round() as u64);
        }
        let usage = session::existing(table.server.oid, user).and_then(|session| session.usage());
        let allotment = usage.map_or_else(
            || "unknown".into(),
            |usage| format!("{} of {} calls used", usage.used, usage.allowed),
        );
        if explain.shows_costs() {
            explain.text("API Allotment", &allotment);
        }
    }
    if let Some(state) = state.filter(|_| explain.is_analyze()) {
        let (stats, progress) = (state.stats(), state.progress());
        explain.integer("API Calls", stats.calls());
        explain.integer("Pages", progress.pages);
        explain.integer("Remote Rows", progress.records);
        explain.integer("Bytes Received", stats.bytes());
        if stats.retries() > 0 || explain.is_verbose() {
            explain.integer("Retries", stats.retries());
            let waited = u64::try_from(stats.waited().as_millis()).unwrap_or(u64::MAX);
            explain.integer("Waited Milliseconds", waited);
        }
    }
}

fn told(note: &ConditionNote, text: &str) -> (&'static str, String) {
    let label = match (note.pushed, note.checked) {
        (true, false) => "Pushed",
        (true, true) => "Rechecked",
        (false, _) => "Local",
    };
    let reasons: Vec<String> = note
        .reasons
        .iter()
        .map(|reason: &Refusal| format!("{}: {}", reason.rule(), reason.words()))
        .collect();
    if reasons.is_empty() {
        (label, text.to_owned())
    } else {
        (label, format!("{text} [{}]", reasons.join("; ")))
    }
}
