//! EXPLAIN of a scan: the remote query, what became of each condition and why, what it costs (S-8).

use crate::exec::lookup_join::Done;
use crate::exec::modify::WriteState;
use crate::exec::scan::ScanState;
use crate::options::CollectedTable;
use crate::pg::explain::Explain;
use crate::plan::lookup_join::LookupJoinPlan;
use crate::plan::modify::WritePlan;
use crate::plan::private::{ConditionNote, ScanPlan};
use crate::plan::table::shown_query;
use crate::session;
use crm_core::{Refusal, Route};
use crm_export::Statement;
use pgrx::pg_sys;

/// Writes the lines of one scan; `state` is there when it was started.
pub fn explain_scan(
    explain: &mut Explain,
    plan: &ScanPlan,
    table: &CollectedTable,
    user: pg_sys::Oid,
    state: Option<&ScanState>,
) {
    let session = session::existing(table.server.oid, user);
    let dialect = session.as_ref().and_then(|session| session.dialect());
    let sent = state.and_then(|state| state.progress().sent.as_ref());
    let query = match sent {
        Some(sent) => sent.shown(table, dialect.as_ref()),
        None if plan.trusts_identifiers => {
            Ok("none: the identifiers are given, so nothing is read".into())
        }
        None => shown_query(plan, table, dialect.as_ref()),
    };
    let query = query.unwrap_or_else(|error| error.message().to_owned());
    let language = dialect.map_or(table.connector.query_language(), |dialect| dialect.language);
    explain.text(&format!("Remote {language}"), &query);
    if explain.is_verbose() {
        for (note, text) in plan.notes.iter().zip(&plan.texts) {
            let (label, text) = told(note, text);
            explain.text(label, &text);
        }
        let option = |name: &str| table.server.option(name).map(str::to_owned);
        let transport = dialect.map_or_else(
            || table.connector.transport(&option),
            |dialect| dialect.transport,
        );
        explain.text("Transport", transport);
        if explain.shows_costs() {
            explain.integer("Estimated Remote Rows", plan.estimated_rows.round() as u64);
            // A data call brings one page.
            explain.integer("Estimated Pages", plan.estimated_calls.round() as u64);
            explain.integer("Estimated API Calls", plan.estimated_calls.round() as u64);
        }
        let usage = session.and_then(|session| session.usage());
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

/// Writes the lines of one write; `rows` records are expected, `state` is there when it was started.
pub fn explain_write(
    explain: &mut Explain,
    table: &CollectedTable,
    plan: &WritePlan,
    rows: f64,
    state: Option<&WriteState>,
) {
    let fields = plan.columns.iter().map(|column| column.facts.name.as_str());
    let fields = fields.collect::<Vec<_>>().join(", ");
    let object = &table.options.object;
    let (label, what) = match plan.statement {
        Statement::Insert => ("Remote Insert", format!("{object} ({fields})")),
        Statement::Update => ("Remote Update", format!("{object} ({fields})")),
        Statement::Delete => ("Remote Delete", object.clone()),
    };
    explain.text(label, &what);
    if explain.shows_costs() || explain.is_verbose() {
        let route = plan.route(table, rows);
        let sent_in = match route {
            Route::Calls => "calls",
            Route::Job => "a job",
        };
        explain.text("Sent In", sent_in);
        explain.integer("Batch Size", plan.batch_size(table, route) as u64);
    }
    if explain.shows_costs() {
        let calls = plan.expected_calls(table, rows);
        explain.integer("Estimated API Calls", calls.round() as u64);
    }
    if let Some(state) = state.filter(|_| explain.is_analyze()) {
        let (stats, totals) = (state.stats(), state.totals());
        explain.integer("API Calls", stats.calls());
        explain.integer("Data Calls", stats.data_calls());
        explain.integer("Batches", totals.batches);
        explain.integer("Accepted", totals.accepted);
        explain.integer("Rejected", totals.rejected);
        if totals.earlier > 0 {
            explain.integer("Accepted Earlier", totals.earlier);
        }
        if totals.failed > 0 {
            explain.integer("Not Applied Or Unknown", totals.failed);
        }
        if stats.retries() > 0 || explain.is_verbose() {
            explain.integer("Retries", stats.retries());
        }
    }
}

/// Writes the lines of a lookup join: what is collected, what is fetched for it, what is checked. `expressions` are the
/// node's own as SQL, in their order; `run` is there when it was started.
pub fn explain_lookup_join(
    explain: &mut Explain,
    plan: &LookupJoinPlan,
    expressions: &[String],
    table: &CollectedTable,
    user: pg_sys::Oid,
    run: Option<(&ScanState, Done)>,
) {
    let (conditions, others) = expressions[1..].split_at(plan.n_conditions);
    let mut matching = others[plan.n_computed..].to_vec();
    explain.text("Join Type", plan.kind.name());
    explain.text("Lookup", &matching.remove(plan.clause));
    if !matching.is_empty() {
        explain.text("Join Filter", &all_of(&matching));
    }
    if !conditions.is_empty() && !explain.is_verbose() {
        explain.text("Remote Filter", &all_of(conditions));
    }
    explain.integer("Batch Size", plan.batch as u64);
    if explain.shows_costs() && !explain.is_verbose() {
        explain.integer(
            "Estimated API Calls",
            plan.scan.estimated_calls.round() as u64,
        );
    }
    if let Some((_, done)) = run.filter(|_| explain.is_analyze()) {
        explain.integer("Identifiers", done.keys);
        explain.integer("Batches", done.batches);
    }
    let scan = ScanPlan {
        texts: conditions.to_vec(),
        ..plan.scan.clone()
    };
    explain_scan(explain, &scan, table, user, run.map(|(state, _)| state));
}

/// Conditions as one.
fn all_of(conditions: &[String]) -> String {
    match conditions {
        [one] => one.clone(),
        several => format!("({})", several.join(" AND ")),
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
