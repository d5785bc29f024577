//! The FdwRoutine: one for all CRMs.
#![allow(unsafe_code)]

use crate::fdw::{analyze, import, modify, planning, scan};
use pgrx::prelude::*;
use pgrx::{AllocatedByRust, PgBox};

#[pg_extern(sql = "
CREATE FUNCTION fdw_handler() RETURNS fdw_handler
    STRICT LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
")]
fn fdw_handler() -> PgBox<pg_sys::FdwRoutine, AllocatedByRust> {
    // SAFETY: the node is allocated in the current context and handed to the server.
    let mut routine = unsafe {
        PgBox::<pg_sys::FdwRoutine, AllocatedByRust>::alloc_node(pg_sys::NodeTag::T_FdwRoutine)
    };
    routine.GetForeignRelSize = Some(planning::get_foreign_rel_size);
    routine.GetForeignPaths = Some(planning::get_foreign_paths);
    routine.GetForeignUpperPaths = Some(planning::get_foreign_upper_paths);
    routine.GetForeignPlan = Some(planning::get_foreign_plan);
    routine.BeginForeignScan = Some(scan::begin_foreign_scan);
    routine.IterateForeignScan = Some(scan::iterate_foreign_scan);
    routine.ReScanForeignScan = Some(scan::re_scan_foreign_scan);
    routine.EndForeignScan = Some(scan::end_foreign_scan);
    routine.ExplainForeignScan = Some(scan::explain_foreign_scan);
    routine.AddForeignUpdateTargets = Some(modify::add_foreign_update_targets);
    routine.PlanForeignModify = Some(modify::plan_foreign_modify);
    routine.BeginForeignModify = Some(modify::begin_foreign_modify);
    routine.ExecForeignInsert = Some(modify::exec_foreign_insert);
    routine.ExecForeignBatchInsert = Some(modify::exec_foreign_batch_insert);
    routine.GetForeignModifyBatchSize = Some(modify::get_foreign_modify_batch_size);
    routine.ExecForeignUpdate = Some(modify::exec_foreign_update);
    routine.ExecForeignDelete = Some(modify::exec_foreign_delete);
    routine.EndForeignModify = Some(modify::end_foreign_modify);
    routine.BeginForeignInsert = Some(modify::begin_foreign_insert);
    routine.EndForeignInsert = Some(modify::end_foreign_modify);
    routine.IsForeignRelUpdatable = Some(modify::is_foreign_rel_updatable);
    routine.ExplainForeignModify = Some(modify::explain_foreign_modify);
    routine.AnalyzeForeignTable = Some(analyze::analyze_foreign_table);
    routine.ImportForeignSchema = Some(import::import_foreign_schema);
    routine
}
