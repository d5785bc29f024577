//! The planner's hooks: one offers the join, one says that identifiers are unique, which statistics cannot.
//! Whoever was there before is asked first.

use crate::fdw::join::path;
use crate::fdw::planning::planning_of;
use crate::guc;
use pgrx::{pg_guard, pg_sys};
use std::sync::OnceLock;

static JOIN_PATHS: OnceLock<pg_sys::set_join_pathlist_hook_type> = OnceLock::new();
static STATISTICS: OnceLock<pg_sys::get_relation_stats_hook_type> = OnceLock::new();

/// Puts the hooks in, in front of those that are there.
pub fn install() {
    // SAFETY: the library is being loaded by this backend's only thread.
    unsafe {
        JOIN_PATHS.get_or_init(|| pg_sys::set_join_pathlist_hook);
        pg_sys::set_join_pathlist_hook = Some(set_join_pathlist);
        STATISTICS.get_or_init(|| pg_sys::get_relation_stats_hook);
        pg_sys::get_relation_stats_hook = Some(get_relation_stats);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn set_join_pathlist(
    root: *mut pg_sys::PlannerInfo,
    joinrel: *mut pg_sys::RelOptInfo,
    outerrel: *mut pg_sys::RelOptInfo,
    innerrel: *mut pg_sys::RelOptInfo,
    jointype: pg_sys::JoinType::Type,
    extra: *mut pg_sys::JoinPathExtraData,
) {
    // SAFETY: the planner's own pointers, handed on.
    unsafe {
        if let Some(Some(previous)) = JOIN_PATHS.get() {
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                previous(root, joinrel, outerrel, innerrel, jointype, extra);
            });
        }
        if guc::enable_lookup_join() {
            path::offer(root, joinrel, outerrel, innerrel, jointype, extra);
        }
    }
}

/// No two records share an identifier: without this a join on it would be taken for one that multiplies rows, and a
/// second lookup above it for one of a million identifiers.
#[pg_guard]
unsafe extern "C-unwind" fn get_relation_stats(
    root: *mut pg_sys::PlannerInfo,
    entry: *mut pg_sys::RangeTblEntry,
    attribute: pg_sys::AttrNumber,
    variable: *mut pg_sys::VariableStatData,
) -> bool {
    // SAFETY: the planner's own pointers.
    unsafe {
        let known = match STATISTICS.get() {
            Some(Some(previous)) => {
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, entry, attribute, variable))
            }
            _ => false,
        };
        let identifies = (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && planning_of((*variable).rel).is_some_and(|planning| {
                let column = planning.plan.table().column(attribute);
                column.is_some_and(|column| column.facts.identifier)
            });
        if identifies {
            (*variable).isunique = true;
        }
        known
    }
}
