//! A join of rows with a foreign table on its record identifier, as a plan node of our own: it collects identifiers
//! from the rows and fetches those records in batches (S-4). `path` offers it, `node` makes it, `run` executes it.
#![allow(unsafe_code)]

mod columns;
mod fetched;
mod hooks;
mod joined;
mod node;
mod path;
mod run;

use pgrx::pg_sys;
use std::ffi::CStr;

/// The node's name in EXPLAIN and in dumped plans.
const NAME: &CStr = c"CrmLookupJoin";

/// A table of callbacks: constant pointers, which may stand in a static.
#[repr(transparent)]
struct Methods<T>(T);

// SAFETY: the tables hold pointers to functions and to a constant name, and are never written.
unsafe impl<T> Sync for Methods<T> {}

static PATH: Methods<pg_sys::CustomPathMethods> = Methods(pg_sys::CustomPathMethods {
    CustomName: NAME.as_ptr(),
    PlanCustomPath: Some(node::plan_lookup_join),
    ReparameterizeCustomPathByChild: None,
});

static SCAN: Methods<pg_sys::CustomScanMethods> = Methods(pg_sys::CustomScanMethods {
    CustomName: NAME.as_ptr(),
    CreateCustomScanState: Some(run::create_state),
});

static EXEC: Methods<pg_sys::CustomExecMethods> = Methods(pg_sys::CustomExecMethods {
    CustomName: NAME.as_ptr(),
    BeginCustomScan: Some(run::begin),
    ExecCustomScan: Some(run::next),
    EndCustomScan: Some(run::end),
    ReScanCustomScan: Some(run::rescan),
    MarkPosCustomScan: None,
    RestrPosCustomScan: None,
    EstimateDSMCustomScan: None,
    InitializeDSMCustomScan: None,
    ReInitializeDSMCustomScan: None,
    InitializeWorkerCustomScan: None,
    ShutdownCustomScan: None,
    ExplainCustomScan: Some(run::explain),
});

/// Makes the node and the planner's hooks known; called once, when the library is loaded.
pub fn register() {
    // SAFETY: the table lives as long as the process.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const SCAN.0) };
    hooks::install();
}

/// Whether a plan node is such a join.
///
/// # Safety
/// The node is whole.
pub unsafe fn is_ours(node: *const pg_sys::CustomScan) -> bool {
    // SAFETY: asked for by the caller.
    unsafe { std::ptr::eq((*node).methods, &raw const SCAN.0) }
}
