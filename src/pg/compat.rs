//! What differs between the supported versions of PostgreSQL, under names for what changed.
//! The only file with `cfg(feature = "pgNN")`.
#![allow(unsafe_code)]

use pgrx::pg_sys;
use std::ffi::{c_char, c_void};
use std::ptr;

/// A path for a scan of a base relation; 17 added a list of join clauses, 18 a count of disabled nodes.
///
/// # Safety
/// Called in planning with the planner's own pointers.
#[allow(clippy::too_many_arguments)]
pub unsafe fn create_foreignscan_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    rows: f64,
    startup_cost: f64,
    total_cost: f64,
    pathkeys: *mut pg_sys::List,
    fdw_private: *mut pg_sys::List,
) -> *mut pg_sys::Path {
    // SAFETY: the caller's pointers are the planner's.
    unsafe {
        let required_outer = (*rel).lateral_relids;
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            ptr::null_mut(),
            rows,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            ptr::null_mut(),
            fdw_private,
        );
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            ptr::null_mut(),
            rows,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            ptr::null_mut(),
            ptr::null_mut(),
            fdw_private,
        );
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreignscan_path(
            root,
            rel,
            ptr::null_mut(),
            rows,
            0,
            startup_cost,
            total_cost,
            pathkeys,
            required_outer,
            ptr::null_mut(),
            ptr::null_mut(),
            fdw_private,
        );
        path.cast()
    }
}

/// A path for an upper relation computed remotely.
///
/// # Safety
/// Called in planning with the planner's own pointers.
pub unsafe fn create_foreign_upper_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
    rows: f64,
    startup_cost: f64,
    total_cost: f64,
    fdw_private: *mut pg_sys::List,
) -> *mut pg_sys::Path {
    // SAFETY: the caller's pointers are the planner's.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            startup_cost,
            total_cost,
            ptr::null_mut(),
            ptr::null_mut(),
            fdw_private,
        );
        #[cfg(feature = "pg17")]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            startup_cost,
            total_cost,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            fdw_private,
        );
        #[cfg(feature = "pg18")]
        let path = pg_sys::create_foreign_upper_path(
            root,
            rel,
            target,
            rows,
            0,
            startup_cost,
            total_cost,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            fdw_private,
        );
        path.cast()
    }
}

/// A path key asks for descending order; 18 replaced the strategy number by a comparison type.
///
/// # Safety
/// `pathkey` is a valid path key.
pub unsafe fn is_descending(pathkey: *mut pg_sys::PathKey) -> bool {
    // SAFETY: the caller's pointer is valid.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let descending = (*pathkey).pk_strategy == pg_sys::BTGreaterStrategyNumber as i32;
        #[cfg(feature = "pg18")]
        let descending = (*pathkey).pk_cmptype == pg_sys::CompareType::COMPARE_GT;
        descending
    }
}

/// The role whose permissions count for a scan; before 16 it is in the range table entry.
///
/// # Safety
/// `node` is a valid, initialised scan of a relation or of an upper relation.
pub unsafe fn scan_user(node: *mut pg_sys::ForeignScanState) -> pg_sys::Oid {
    // SAFETY: the caller's node is valid, and its plan is a foreign scan.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            let entry = scanned_entry(node, plan);
            (*entry).checkAsUser
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = (*plan).checkAsUser;
        or_current_user(user)
    }
}

/// The relation a scan reads, also under an upper relation.
///
/// # Safety
/// As for [`scan_user`].
pub unsafe fn scanned_relation(node: *mut pg_sys::ForeignScanState) -> pg_sys::Oid {
    // SAFETY: the caller's node is valid.
    unsafe {
        let plan = (*node).ss.ps.plan.cast::<pg_sys::ForeignScan>();
        (*scanned_entry(node, plan)).relid
    }
}

unsafe fn scanned_entry(
    node: *mut pg_sys::ForeignScanState,
    plan: *mut pg_sys::ForeignScan,
) -> *mut pg_sys::RangeTblEntry {
    // SAFETY: a foreign scan names at least one relation, and its range table holds it.
    unsafe {
        let index = if (*plan).scan.scanrelid > 0 {
            (*plan).scan.scanrelid as i32
        } else {
            #[cfg(any(feature = "pg14", feature = "pg15"))]
            let relids = (*plan).fs_relids;
            #[cfg(not(any(feature = "pg14", feature = "pg15")))]
            let relids = (*plan).fs_base_relids;
            pg_sys::bms_next_member(relids, -1)
        };
        let table = (*(*node).ss.ps.state).es_range_table;
        pg_sys::list_nth(table, index - 1).cast()
    }
}

/// `user`, or the current one where the server says "the current one" by an invalid identifier.
pub fn or_current_user(user: pg_sys::Oid) -> pg_sys::Oid {
    if user == pg_sys::InvalidOid {
        // SAFETY: reads a variable of the backend.
        unsafe { pg_sys::GetUserId() }
    } else {
        user
    }
}

/// The wait event under which waiting for a CRM shows in `pg_stat_activity`; own names exist since 17.
pub fn wait_event() -> u32 {
    #[cfg(any(feature = "pg14", feature = "pg15", feature = "pg16"))]
    let event = pg_sys::PG_WAIT_EXTENSION;
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    let event = {
        use once_cell::sync::OnceCell;
        static EVENT: OnceCell<u32> = OnceCell::new();
        // SAFETY: registers a name in shared memory; called in a backend only.
        *EVENT.get_or_init(|| unsafe { pg_sys::WaitEventExtensionNew(c"CrmReply".as_ptr()) })
    };
    event
}

/// A string node; before 15 it was a general value node.
///
/// # Safety
/// `text` lives as long as the node.
pub unsafe fn string_node(text: *mut c_char) -> *mut c_void {
    // SAFETY: allocates in the current memory context.
    unsafe { pg_sys::makeString(text).cast() }
}

/// The text of a string node.
///
/// # Safety
/// `node` was made by [`string_node`].
pub unsafe fn string_node_text(node: *mut c_void) -> *const c_char {
    // SAFETY: the caller's node is a string node.
    unsafe {
        #[cfg(feature = "pg14")]
        let text = (*node.cast::<pg_sys::Value>()).val.str_;
        #[cfg(not(feature = "pg14"))]
        let text = (*node.cast::<pg_sys::String>()).sval;
        text
    }
}

/// The current role may use a foreign server; 16 made the look-up general.
///
/// # Safety
/// Called in a transaction.
pub unsafe fn may_use_server(server: pg_sys::Oid) -> bool {
    // SAFETY: a cache look-up.
    unsafe {
        let user = pg_sys::GetUserId();
        let mode = pg_sys::ACL_USAGE as pg_sys::AclMode;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let result = pg_sys::pg_foreign_server_aclcheck(server, user, mode);
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let result = pg_sys::object_aclcheck(pg_sys::ForeignServerRelationId, server, user, mode);
        result == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// The role whose permissions count for a write; 16 moved it out of the range table entry.
///
/// # Safety
/// Called in execution with the executor's own pointers.
pub unsafe fn write_user(
    rinfo: *mut pg_sys::ResultRelInfo,
    estate: *mut pg_sys::EState,
) -> pg_sys::Oid {
    // SAFETY: the caller's pointers are the executor's.
    unsafe {
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let user = {
            // A partition that rows are routed to has no entry of its own, only its parent has.
            let mut index = (*rinfo).ri_RangeTableIndex;
            if index == 0 && !(*rinfo).ri_RootResultRelInfo.is_null() {
                index = (*(*rinfo).ri_RootResultRelInfo).ri_RangeTableIndex;
            }
            if index == 0 {
                pg_sys::InvalidOid
            } else {
                (*pg_sys::exec_rt_fetch(index, estate)).checkAsUser
            }
        };
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let user = pg_sys::ExecGetResultRelCheckAsUser(rinfo, estate);
        or_current_user(user)
    }
}

/// COPY hands a foreign table's rows over in batches; before 16 it calls for each row.
pub const COPY_SENDS_BATCHES: bool = cfg!(not(any(feature = "pg14", feature = "pg15")));

/// A column of a tuple descriptor, by its number; 18 keeps them elsewhere.
///
/// # Safety
/// `descriptor` is valid and has a column of that number.
pub unsafe fn attribute(
    descriptor: pg_sys::TupleDesc,
    number: i16,
) -> *mut pg_sys::FormData_pg_attribute {
    // SAFETY: the caller's descriptor has the column.
    unsafe {
        let at = i32::from(number) - 1;
        #[cfg(not(feature = "pg18"))]
        let attribute = (*descriptor).attrs.as_mut_ptr().add(at as usize);
        #[cfg(feature = "pg18")]
        let attribute = pg_sys::TupleDescAttr(descriptor, at);
        attribute
    }
}

/// The members of an equivalence class that may be of `relids`, children included; 18 keeps children apart.
///
/// # Safety
/// Called in planning with the planner's own pointers.
pub unsafe fn class_members(
    class: *mut pg_sys::EquivalenceClass,
    relids: pg_sys::Relids,
) -> Vec<*mut pg_sys::EquivalenceMember> {
    // SAFETY: the caller's pointers are the planner's.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let members = {
            let _ = relids;
            crate::pg::list::pointers((*class).ec_members).collect()
        };
        #[cfg(feature = "pg18")]
        let members = {
            let mut iterator = pg_sys::EquivalenceMemberIterator::default();
            pg_sys::setup_eclass_member_iterator(&raw mut iterator, class, relids);
            std::iter::from_fn(|| {
                let member = pg_sys::eclass_member_iterator_next(&raw mut iterator);
                (!member.is_null()).then_some(member)
            })
            .collect()
        };
        members
    }
}

/// A custom path can compute its target list; before 15 every one was taken to.
#[cfg(not(feature = "pg14"))]
pub const PROJECTS: u32 = pg_sys::CUSTOMPATH_SUPPORT_PROJECTION;
/// A custom path can compute its target list; before 15 every one was taken to.
#[cfg(feature = "pg14")]
pub const PROJECTS: u32 = 0;

/// A path over another one is as unwanted as that one; 18 counts disabled nodes, before it was the cost that said so.
///
/// # Safety
/// Valid paths of the planner.
pub unsafe fn inherit_disabled(path: *mut pg_sys::Path, from: *mut pg_sys::Path) {
    #[cfg(feature = "pg18")]
    // SAFETY: the caller's paths are valid.
    unsafe {
        (*path).disabled_nodes = (*from).disabled_nodes;
    }
    #[cfg(not(feature = "pg18"))]
    let _ = (path, from);
}

/// Makes a column or placeholder one that came through the same outer joins as another; 16 began to tell them apart.
///
/// # Safety
/// Valid nodes of the same kind: both columns or both placeholders.
pub unsafe fn take_joins_of(node: *mut pg_sys::Node, from: *mut pg_sys::Node) {
    #[cfg(not(any(feature = "pg14", feature = "pg15")))]
    // SAFETY: the casts follow the tag, and the set is a copy.
    unsafe {
        if (*node).type_ == pg_sys::NodeTag::T_Var {
            (*node.cast::<pg_sys::Var>()).varnullingrels =
                pg_sys::bms_copy((*from.cast::<pg_sys::Var>()).varnullingrels);
        } else {
            (*node.cast::<pg_sys::PlaceHolderVar>()).phnullingrels =
                pg_sys::bms_copy((*from.cast::<pg_sys::PlaceHolderVar>()).phnullingrels);
        }
    }
    #[cfg(any(feature = "pg14", feature = "pg15"))]
    let _ = (node, from);
}

/// The open relation of a range table entry of a running plan.
///
/// # Safety
/// `index` names a relation in the range table of `state`.
pub unsafe fn range_table_relation(state: *mut pg_sys::EState, index: u32) -> pg_sys::Relation {
    // SAFETY: the caller's pointers are the executor's.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let relation = pg_sys::ExecGetRangeTableRelation(state, index);
        #[cfg(feature = "pg18")]
        let relation = pg_sys::ExecGetRangeTableRelation(state, index, false);
        relation
    }
}

/// The state of a second look at a row that another session changed (EvalPlanQual); null in an ordinary run.
///
/// # Safety
/// `state` is a valid state of the executor.
pub unsafe fn rechecked_rows(state: *mut pg_sys::EState) -> *mut pg_sys::EPQState {
    // SAFETY: the caller's pointer is valid.
    unsafe { (*state).es_epq_active }
}

/// The row of a relation to take in a second look: the one that the statement saw. Null or empty if there was none;
/// `into` is a slot of the relation that may be used for it.
///
/// # Safety
/// `rechecked` is what [`rechecked_rows`] gave, `index` names a relation of its range table.
pub unsafe fn rechecked_row(
    rechecked: *mut pg_sys::EPQState,
    index: u32,
    into: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the arrays have a place for each relation of the range table.
    unsafe {
        let at = index as usize - 1;
        let slot = *(*rechecked).relsubs_slot.add(at);
        if !slot.is_null() {
            return slot;
        }
        let has_mark = !(*(*rechecked).relsubs_rowmark.add(at)).is_null();
        if has_mark && pg_sys::EvalPlanQualFetchRowMark(rechecked, index, into) {
            into
        } else {
            ptr::null_mut()
        }
    }
}

/// The slot holds no row.
///
/// # Safety
/// `slot` is a valid slot.
pub unsafe fn is_empty(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's slot is valid.
    unsafe { u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_EMPTY != 0 }
}
