//! A plan node under INSERT, UPDATE and DELETE that reads rows ahead and sends them in batches.
//!
//! The server asks for one row, has it written, and asks for the next; it batches nothing but plain INSERT. This node
//! reads as many rows as go into one batch, sends them, and then hands them up one by one; the callbacks in
//! `fdw::modify` hand out each row's outcome in the same order. So RETURNING, the command tag and what a later command
//! sees are those of rows that were written one by one.
//!
//! Rows go one by one where row triggers or a view's check option must see each before the next.
#![allow(unsafe_code)]

use crate::exec::modify::Unsayable;
use crate::fdw::running::{Running, has_row_triggers};
use crate::pg::explain::Explain;
use crate::pg::list;
use crm_export::{Record, Statement};
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::collections::VecDeque;

/// Rows are sent when they take this much memory, even if more would go into the batch.
const MOST_BYTES: usize = 4 << 20;

const NAME: &std::ffi::CStr = c"CrmBatch";

/// The server keeps addresses of these for as long as it runs.
struct Methods {
    scan: pg_sys::CustomScanMethods,
    execution: pg_sys::CustomExecMethods,
}

// SAFETY: written once at compile time, then only read; the pointers in it are to functions and constants.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods {
    scan: pg_sys::CustomScanMethods {
        CustomName: NAME.as_ptr(),
        CreateCustomScanState: Some(create_state),
    },
    execution: pg_sys::CustomExecMethods {
        CustomName: NAME.as_ptr(),
        BeginCustomScan: Some(begin),
        ExecCustomScan: Some(next_row),
        EndCustomScan: Some(end),
        ReScanCustomScan: Some(rescan),
        MarkPosCustomScan: None,
        RestrPosCustomScan: None,
        EstimateDSMCustomScan: None,
        InitializeDSMCustomScan: None,
        ReInitializeDSMCustomScan: None,
        InitializeWorkerCustomScan: None,
        ShutdownCustomScan: None,
        ExplainCustomScan: Some(explain),
    },
};

/// Makes the node known; called once, when the library is loaded.
pub fn register() {
    // SAFETY: the library is being loaded by the backend's only thread.
    unsafe { pg_sys::RegisterCustomScanMethods(&raw const METHODS.scan) };
}

/// Puts the node between a ModifyTable and its rows, once. This is done when the plan is made and its columns still are
/// expressions: the planner resolves them in the node as in every other.
///
/// # Safety
/// Called in planning with the planner's own node.
pub unsafe fn put_under(modify: *mut pg_sys::ModifyTable) {
    // SAFETY: a plan in the making; what is added is of the planner's memory, as the plan itself is.
    unsafe {
        let child = (*modify).plan.lefttree;
        let is_there = (*child).type_ == pg_sys::NodeTag::T_CustomScan
            && std::ptr::eq(
                (*child.cast::<pg_sys::CustomScan>()).methods,
                &raw const METHODS.scan,
            );
        if is_there {
            return;
        }
        let node = pg_sys::palloc0(size_of::<pg_sys::CustomScan>()).cast::<pg_sys::CustomScan>();
        let plan = &raw mut (*node).scan.plan;
        (*plan).type_ = pg_sys::NodeTag::T_CustomScan;
        (*plan).startup_cost = (*child).startup_cost;
        (*plan).total_cost = (*child).total_cost;
        (*plan).plan_rows = (*child).plan_rows;
        (*plan).plan_width = (*child).plan_width;
        (*plan).lefttree = child;
        (*plan).targetlist = pg_sys::copyObjectImpl((*child).targetlist.cast()).cast();
        (*node).custom_scan_tlist = pg_sys::copyObjectImpl((*child).targetlist.cast()).cast();
        for entry in list::pointers::<pg_sys::TargetEntry>((*node).custom_scan_tlist) {
            (*entry).resjunk = false;
        }
        (*node).methods = &raw const METHODS.scan;
        (*modify).plan.lefttree = plan;
    }
}

/// The executor's node, with what is ours behind it.
#[repr(C)]
struct State {
    node: pg_sys::CustomScanState,
    ahead: *mut Ahead,
}

/// A table that rows of the node are written to.
struct Served {
    relation: pg_sys::Oid,
    running: *mut Running,
    sends_ahead: bool,
}

struct Ahead {
    served: Vec<Served>,
    /// Rows read and not handed up yet; they live in `memory`.
    rows: VecDeque<pg_sys::MinimalTuple>,
    /// For taking a row apart.
    slot: *mut pg_sys::TupleTableSlot,
    memory: pg_sys::MemoryContext,
    /// Where a row says which table it is for, 0 where there is one table only.
    table_number: i16,
    is_finished: bool,
}

#[pg_guard]
unsafe extern "C-unwind" fn create_state(_plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: a node of the executor's memory, larger than the server knows.
    unsafe {
        let state = pg_sys::palloc0(size_of::<State>()).cast::<State>();
        (*state).node.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*state).node.methods = &raw const METHODS.execution;
        state.cast()
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::CustomScanState,
    estate: *mut pg_sys::EState,
    eflags: std::ffi::c_int,
) {
    // SAFETY: the executor's own pointers; the state is dropped with the query's memory, also after an error.
    unsafe {
        let child = (*(*node).ss.ps.plan).lefttree;
        (*node).ss.ps.lefttree = pg_sys::ExecInitNode(child, estate, eflags);
        let descriptor = (*(*node).ss.ss_ScanTupleSlot).tts_tupleDescriptor;
        let ahead = Ahead {
            served: Vec::new(),
            rows: VecDeque::new(),
            slot: pg_sys::ExecInitExtraTupleSlot(
                estate,
                descriptor,
                &raw const pg_sys::TTSOpsMinimalTuple,
            ),
            memory: pg_sys::AllocSetContextCreateInternal(
                (*estate).es_query_cxt,
                c"crm rows ahead".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            ),
            table_number: 0,
            is_finished: false,
        };
        let state = node.cast::<State>();
        (*state).ahead =
            PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(ahead);
    }
}

/// Has the node under a ModifyTable send rows of `rinfo` ahead; false where it may not, or where there is none.
///
/// # Safety
/// The executor's own pointers; `running` lives as long as the query.
pub unsafe fn serve(
    mtstate: *mut pg_sys::ModifyTableState,
    child: *mut pg_sys::PlanState,
    rinfo: *mut pg_sys::ResultRelInfo,
    running: *mut Running,
) -> bool {
    // SAFETY: by the caller's contract; a node with our methods is ours.
    unsafe {
        if (*child).type_ != pg_sys::NodeTag::T_CustomScanState {
            return false;
        }
        let state = child.cast::<State>();
        if !std::ptr::eq((*state).node.methods, &raw const METHODS.execution) {
            return false;
        }
        let statement = match (*mtstate).operation {
            pg_sys::CmdType::CMD_INSERT => Statement::Insert,
            pg_sys::CmdType::CMD_UPDATE => Statement::Update,
            _ => Statement::Delete,
        };
        let sends_ahead =
            !has_row_triggers(rinfo, statement) && (*rinfo).ri_WithCheckOptions.is_null();
        let ahead = &mut *(*state).ahead;
        let plan = (*mtstate).ps.plan.cast::<pg_sys::ModifyTable>();
        if (*(*plan).resultRelations).length > 1 {
            let targets = (*(*child).plan).targetlist;
            ahead.table_number =
                pg_sys::ExecFindJunkAttributeInTlist(targets, c"tableoid".as_ptr());
        }
        ahead.served.push(Served {
            relation: (*running).relation(),
            running,
            sends_ahead,
        });
        sends_ahead
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn next_row(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node.
    unsafe {
        let ahead = &mut *(*node.cast::<State>()).ahead;
        let child = (*node).ss.ps.lefttree;
        let result = (*node).ss.ss_ScanTupleSlot;
        if !ahead.served.iter().any(|served| served.sends_ahead) {
            let slot = pg_sys::ExecProcNode(child);
            if slot.is_null() || is_empty(slot) {
                return pg_sys::ExecClearTuple(result);
            }
            return pg_sys::ExecCopySlot(result, slot);
        }
        if ahead.rows.is_empty() && !ahead.is_finished {
            ahead.read(child);
        }
        pg_sys::ExecClearTuple(result);
        let Some(row) = ahead.rows.pop_front() else {
            return result;
        };
        pg_sys::ExecStoreMinimalTuple(row, ahead.slot, false);
        pg_sys::slot_getallattrs(ahead.slot);
        let width = (*(*ahead.slot).tts_tupleDescriptor).natts as usize;
        std::ptr::copy_nonoverlapping((*ahead.slot).tts_values, (*result).tts_values, width);
        std::ptr::copy_nonoverlapping((*ahead.slot).tts_isnull, (*result).tts_isnull, width);
        pg_sys::ExecStoreVirtualTuple(result)
    }
}

unsafe fn is_empty(slot: *mut pg_sys::TupleTableSlot) -> bool {
    // SAFETY: the caller's slot is valid.
    unsafe { u32::from((*slot).tts_flags) & pg_sys::TTS_FLAG_EMPTY != 0 }
}

impl Ahead {
    /// Reads the rows of one batch and sends them.
    unsafe fn read(&mut self, child: *mut pg_sys::PlanState) {
        // SAFETY: the executor's own node; rows handed up before are done with.
        unsafe {
            pg_sys::ExecClearTuple(self.slot);
            pg_sys::MemoryContextReset(self.memory);
            let most = self
                .served
                .iter()
                .filter(|served| served.sends_ahead)
                .map(|served| (*served.running).most_collected())
                .min()
                .unwrap_or(1);
            let mut records: Vec<Vec<Result<Record, Box<Unsayable>>>> =
                self.served.iter().map(|_| Vec::new()).collect();
            let mut n_bytes = 0;
            while self.rows.len() < most && n_bytes < MOST_BYTES {
                let slot = pg_sys::ExecProcNode(child);
                if slot.is_null() || is_empty(slot) {
                    self.is_finished = true;
                    break;
                }
                let row = PgMemoryContexts::For(self.memory)
                    .switch_to(|_| pg_sys::ExecCopySlotMinimalTuple(slot));
                n_bytes += (*row).t_len as usize;
                self.rows.push_back(row);
                let at = self.table_of(slot);
                if let Some(at) = at.filter(|at| self.served[*at].sends_ahead) {
                    records[at].push((*self.served[at].running).row_of_plan(slot));
                }
            }
            for (served, records) in self.served.iter().zip(records) {
                if !records.is_empty() {
                    (*served.running).send(records);
                }
            }
        }
    }

    /// Which of the tables served a row is for.
    unsafe fn table_of(&self, slot: *mut pg_sys::TupleTableSlot) -> Option<usize> {
        if self.table_number == 0 {
            return (!self.served.is_empty()).then_some(0);
        }
        let mut is_null = true;
        // SAFETY: the column is the one in which the server says which table a row is for.
        let table =
            unsafe { pg_sys::slot_getattr(slot, self.table_number.into(), &raw mut is_null) };
        let table = pg_sys::Oid::from(table.value() as u32);
        self.served
            .iter()
            .position(|served| !is_null && served.relation == table)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe { pg_sys::ExecEndNode((*node).ss.ps.lefttree) };
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        let ahead = &mut *(*node.cast::<State>()).ahead;
        ahead.rows.clear();
        ahead.is_finished = false;
        pg_sys::ExecReScan((*node).ss.ps.lefttree);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    _ancestors: *mut pg_sys::List,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and EXPLAIN's own state.
    unsafe {
        let ahead = &*(*node.cast::<State>()).ahead;
        let mut explain = Explain::new(es);
        let ahead = ahead.served.iter().filter(|served| served.sends_ahead);
        match ahead.map(|served| (*served.running).most_collected()).min() {
            Some(rows) => explain.integer("Rows Ahead", rows as u64),
            None => explain.text(
                "Rows Ahead",
                "none: triggers or a check option look at each row",
            ),
        }
    }
}
