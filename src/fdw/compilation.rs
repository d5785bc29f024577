//! Compiling a statement's expressions pays where PostgreSQL computes much. The cost of a scan of ours is that of
//! waiting for a CRM, for which the planner would compile whenever some thousand records are read: a fifth of a second,
//! and more memory than the whole read takes. So what the statement costs without its waiting decides.
#![allow(unsafe_code)]

use crate::fdw::{join, scan};
use crate::pg::list;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::sync::OnceLock;

static PREVIOUS: OnceLock<pg_sys::ExecutorStart_hook_type> = OnceLock::new();

/// Puts the hook in, in front of one that is there; called once, when the library is loaded. A statement that loads the
/// library while it is planned meets the hook all the same.
pub fn register() {
    // SAFETY: the library is being loaded by this backend's only thread.
    unsafe {
        PREVIOUS.get_or_init(|| pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(executor_start);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: i32) {
    // SAFETY: the server's own pointers; what is put in their place lives as long as the query's description.
    unsafe {
        let statement = (*query).plannedstmt;
        if (*statement).jitFlags & PERFORM != 0 {
            let worth = worth_compiling(statement);
            if worth != (*statement).jitFlags
                && let Some(mut context) = PgMemoryContexts::of(query.cast())
            {
                // The plan may be a cached one, which is not ours to write to.
                let own = context.copy_ptr_into(statement, size_of::<pg_sys::PlannedStmt>());
                (*own).jitFlags = worth;
                (*query).plannedstmt = own;
            }
        }
        match PREVIOUS.get() {
            Some(Some(previous)) => {
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(query, flags));
            }
            _ => pg_sys::standard_ExecutorStart(query, flags),
        }
    }
}

const PERFORM: i32 = pg_sys::PGJIT_PERFORM.cast_signed();
const OPTIMISE: i32 = pg_sys::PGJIT_OPT3.cast_signed();
const INLINE: i32 = pg_sys::PGJIT_INLINE.cast_signed();

/// What is left of the planner's choice by its own thresholds when waiting costs nothing.
unsafe fn worth_compiling(statement: *mut pg_sys::PlannedStmt) -> i32 {
    // SAFETY: a finished plan.
    unsafe {
        let tree = (*statement).planTree;
        let aside: f64 = list::pointers((*statement).subplans)
            .map(|plan| waiting(plan))
            .sum();
        let cost = (*tree).total_cost - waiting(tree) - aside;
        if cost <= pg_sys::jit_above_cost {
            return pg_sys::PGJIT_NONE.cast_signed();
        }
        let mut flags = (*statement).jitFlags;
        if cost <= pg_sys::jit_optimize_above_cost {
            flags &= !OPTIMISE;
        }
        if cost <= pg_sys::jit_inline_above_cost {
            flags &= !INLINE;
        }
        flags
    }
}

/// The cost of our scans in a plan, and of what our joins fetch.
unsafe fn waiting(plan: *mut pg_sys::Plan) -> f64 {
    if plan.is_null() {
        return 0.0;
    }
    // SAFETY: nodes of a finished plan, each read as what its tag says.
    unsafe {
        let all = |plans: *mut pg_sys::List| -> f64 {
            list::pointers(plans).map(|plan| waiting(plan)).sum()
        };
        let inner = match (*plan).type_ {
            pg_sys::NodeTag::T_ForeignScan => {
                let node = plan.cast::<pg_sys::ForeignScan>();
                return if is_ours(node) {
                    (*plan).total_cost
                } else {
                    0.0
                };
            }
            pg_sys::NodeTag::T_CustomScan => {
                let node = plan.cast::<pg_sys::CustomScan>();
                let plans = (*node).custom_plans;
                let fetched = match join::is_ours(node) {
                    true => {
                        let given = list::pointers::<pg_sys::Plan>(plans);
                        (*plan).total_cost - given.map(|plan| (*plan).total_cost).sum::<f64>()
                    }
                    false => 0.0,
                };
                fetched + all(plans)
            }
            pg_sys::NodeTag::T_Append => all((*plan.cast::<pg_sys::Append>()).appendplans),
            pg_sys::NodeTag::T_MergeAppend => all((*plan.cast::<pg_sys::MergeAppend>()).mergeplans),
            pg_sys::NodeTag::T_SubqueryScan => {
                waiting((*plan.cast::<pg_sys::SubqueryScan>()).subplan)
            }
            _ => 0.0,
        };
        inner + waiting((*plan).lefttree) + waiting((*plan).righttree)
    }
}

unsafe fn is_ours(node: *mut pg_sys::ForeignScan) -> bool {
    // SAFETY: a scan names its server, and a server has a handler.
    unsafe {
        let routine = pg_sys::GetFdwRoutineByServerId((*node).fs_server);
        (*routine).IterateForeignScan.is_some_and(|iterate| {
            std::ptr::fn_addr_eq(iterate, scan::iterate_foreign_scan as IterateForeignScan)
        })
    }
}

type IterateForeignScan =
    unsafe extern "C-unwind" fn(*mut pg_sys::ForeignScanState) -> *mut pg_sys::TupleTableSlot;
