//! The executor's callbacks of a scan, and its EXPLAIN.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::explain::explain_scan;
use crate::exec::scan::ScanState;
use crate::options::CollectedTable;
use crate::pg::compat;
use crate::pg::datum::to_value;
use crate::pg::explain::Explain;
use crate::pg::list;
use crate::plan::private::ScanPlan;
use crate::session;
use crm_core::Value;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

/// A scan and the expressions of its parameters.
struct Running {
    state: ScanState,
    parameters: Vec<(*mut pg_sys::ExprState, pg_sys::Oid)>,
}

/// Prepares the scan; for EXPLAIN without ANALYZE nothing is prepared, and no role's secret is looked at.
#[pg_guard]
pub unsafe extern "C-unwind" fn begin_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    eflags: std::ffi::c_int,
) {
    if eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
        return;
    }
    // SAFETY: the executor's own node; the state is dropped with the query's memory context, also after an error.
    unsafe {
        let table = CollectedTable::read(compat::scanned_relation(node)).or_raise();
        let session = session::open(&table.server, compat::scan_user(node)).or_raise();
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let expressions = (*plan).fdw_exprs;
        let states = pg_sys::ExecInitExprList(expressions, &raw mut (*node).ss.ps);
        let parameters = list::pointers::<pg_sys::ExprState>(states)
            .zip(list::pointers::<pg_sys::Node>(expressions))
            .map(|(state, expression)| (state, pg_sys::exprType(expression)))
            .collect();
        let scan = ScanPlan::from_text(list::carried_text((*plan).fdw_private));
        let running = Running {
            state: ScanState::new(scan, table, session),
            parameters,
        };
        let query_context = (*(*node).ss.ps.state).es_query_cxt;
        (*node).fdw_state = PgMemoryContexts::For(query_context)
            .leak_and_drop_on_delete(running)
            .cast();
    }
}

/// The next row into the scan's slot; an empty slot at the end.
#[pg_guard]
pub unsafe extern "C-unwind" fn iterate_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node, whose state begin_foreign_scan made; the slot's arrays are as wide as the
    // relation, or as the scan's own target list, which the plan's places count.
    unsafe {
        let running = &mut *(*node).fdw_state.cast::<Running>();
        let slot = (*node).ss.ss_ScanTupleSlot;
        pg_sys::ExecClearTuple(slot);
        let width = (*(*slot).tts_tupleDescriptor).natts as usize;
        let values = std::slice::from_raw_parts_mut((*slot).tts_values, width);
        let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, width);
        nulls.fill(true);
        let Running { state, parameters } = running;
        let found = state
            .next_row(
                || evaluate(node, parameters),
                |place, datum| {
                    if let Some(datum) = datum {
                        values[place] = datum;
                        nulls[place] = false;
                    }
                },
            )
            .or_raise();
        if found {
            pg_sys::ExecStoreVirtualTuple(slot);
        }
        slot
    }
}

/// The values of the parameters now.
unsafe fn evaluate(
    node: *mut pg_sys::ForeignScanState,
    parameters: &[(*mut pg_sys::ExprState, pg_sys::Oid)],
) -> Vec<Option<Value>> {
    // SAFETY: the executor's own expression states, evaluated in the node's per-tuple context.
    unsafe {
        let context = (*node).ss.ps.ps_ExprContext;
        parameters
            .iter()
            .map(|(state, type_oid)| {
                let mut is_null = false;
                let datum = pg_sys::ExecEvalExprSwitchContext(*state, context, &raw mut is_null);
                if is_null {
                    None
                } else {
                    to_value(*type_oid, datum)
                }
            })
            .collect()
    }
}

/// Starts over, with other parameters perhaps.
#[pg_guard]
pub unsafe extern "C-unwind" fn re_scan_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        if let Some(running) = (*node).fdw_state.cast::<Running>().as_mut() {
            running.state.rescan(!(*node).ss.ps.chgParam.is_null());
        }
    }
}

/// Stops the traffic; the rest goes with the query's memory.
#[pg_guard]
pub unsafe extern "C-unwind" fn end_foreign_scan(node: *mut pg_sys::ForeignScanState) {
    // SAFETY: the executor's own node; there is no state after EXPLAIN without ANALYZE.
    unsafe {
        if let Some(running) = (*node).fdw_state.cast::<Running>().as_mut() {
            running.state.close();
        }
    }
}

/// What will be or was asked of the CRM.
#[pg_guard]
pub unsafe extern "C-unwind" fn explain_foreign_scan(
    node: *mut pg_sys::ForeignScanState,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and EXPLAIN's own state.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        let mut scan = ScanPlan::from_text(list::carried_text((*plan).fdw_private));
        let table = CollectedTable::read(compat::scanned_relation(node)).or_raise();
        let user = compat::scan_user(node);
        let state = (*node).fdw_state.cast::<Running>().as_ref();
        let mut explain = Explain::new(es);
        if scan.texts.is_empty() && explain.is_verbose() {
            let node = plan.cast::<pg_sys::Plan>();
            let told = |explain: &Explain, conditions| {
                explain.conditions(node, std::ptr::null_mut(), conditions, false)
            };
            scan.texts = told(&explain, (*plan).fdw_recheck_quals);
            scan.texts.extend(told(&explain, (*node).qual));
        }
        explain_scan(
            &mut explain,
            &scan,
            &table,
            user,
            state.map(|running| &running.state),
        );
    }
}
