//! The executor's callbacks of a lookup join.
//!
//! A batch of rows is read and stored with the numbers of their identifiers, the identifiers not known yet are fetched
//! together, then the rows are joined one by one. Order is kept, and memory is bounded whatever the number of rows.

use crate::error::OrRaise;
use crate::exec::explain::explain_lookup_join;
use crate::exec::lookup_join::{Batch, Done, NO_KEY};
use crate::exec::scan::ScanState;
use crate::fdw::join::EXEC;
use crate::fdw::join::fetched::Fetched;
use crate::fdw::join::joined::{self, Joined};
use crate::options::CollectedTable;
use crate::pg::compat;
use crate::pg::datum::to_value;
use crate::pg::explain::Explain;
use crate::pg::list;
use crate::plan::lookup_join::{JoinKind, LookupJoinPlan};
use crate::session;
use crm_core::Value;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

/// The server's state of the node, and ours behind it.
#[repr(C)]
struct State {
    custom: pg_sys::CustomScanState,
    running: *mut Running,
}

/// A join in execution.
struct Running {
    plan: LookupJoinPlan,
    scan: ScanState,
    joined: Joined,
    /// What gives a row's identifier.
    key: *mut pg_sys::ExprState,
    /// Its type.
    key_type: pg_sys::Oid,
    batch: Batch,
    /// Rows of the batch that were given out or passed over.
    row: usize,
    /// The batch's rows.
    store: *mut pg_sys::Tuplestorestate,
    /// The row of `store` at hand.
    stored: *mut pg_sys::TupleTableSlot,
    /// The other side has no further row.
    is_exhausted: bool,
    fetched: Fetched,
    done: Done,
}

/// The empty state of a node.
#[pg_guard]
pub unsafe extern "C-unwind" fn create_state(_plan: *mut pg_sys::CustomScan) -> *mut pg_sys::Node {
    // SAFETY: zeroes are a valid state, whose first part is the node that the server sees.
    unsafe {
        let state = pg_sys::palloc0(size_of::<State>()).cast::<State>();
        (*state).custom.ss.ps.type_ = pg_sys::NodeTag::T_CustomScanState;
        (*state).custom.methods = &raw const EXEC.0;
        state.cast()
    }
}

/// Prepares both sides; nothing is sent. For EXPLAIN without ANALYZE only the other side is prepared.
#[pg_guard]
pub unsafe extern "C-unwind" fn begin(
    node: *mut pg_sys::CustomScanState,
    estate: *mut pg_sys::EState,
    eflags: std::ffi::c_int,
) {
    // SAFETY: the executor's own node, made by `create_state`; the state is dropped with the query's memory context.
    unsafe {
        let plan_node = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let forward_only = eflags & !((pg_sys::EXEC_FLAG_BACKWARD | pg_sys::EXEC_FLAG_MARK) as i32);
        let outer = pg_sys::ExecInitNode((*plan_node).scan.plan.lefttree, estate, forward_only);
        (*node).ss.ps.lefttree = outer;
        if eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
            return;
        }
        let plan = LookupJoinPlan::from_text(list::carried_text((*plan_node).custom_private));
        let table = CollectedTable::read(relation_of(node, &plan)).or_raise();
        let session = session::open(&table.server, user_of(&plan)).or_raise();
        let query_context = (*estate).es_query_cxt;
        let rows = pg_sys::ExecGetResultType(outer);
        let running = Running {
            joined: Joined::new(node, &plan),
            key: pg_sys::ExecInitExpr(
                pg_sys::list_nth((*plan_node).custom_exprs, 0).cast(),
                &raw mut (*node).ss.ps,
            ),
            key_type: plan.identifier_type(),
            batch: Batch::default(),
            row: 0,
            store: pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem),
            stored: pg_sys::ExecInitExtraTupleSlot(
                estate,
                rows,
                &raw const pg_sys::TTSOpsMinimalTuple,
            ),
            is_exhausted: false,
            fetched: Fetched::new(query_context, &plan),
            done: Done::default(),
            scan: ScanState::new(plan.scan.clone(), table, session),
            plan,
        };
        (*node.cast::<State>()).running =
            PgMemoryContexts::For(query_context).leak_and_drop_on_delete(running);
    }
}

/// The next joined row; nothing at the end.
#[pg_guard]
pub unsafe extern "C-unwind" fn next(
    node: *mut pg_sys::CustomScanState,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own node, whose state `begin` made.
    unsafe {
        let running = &mut *(*node.cast::<State>()).running;
        let context = (*node).ss.ps.ps_ExprContext;
        let rechecked = compat::rechecked_rows((*node).ss.ps.state);
        loop {
            pgrx::check_for_interrupts!();
            pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            let matched = if rechecked.is_null() {
                if running.row == running.batch.rows.len() {
                    if !running.next_batch(node) {
                        return std::ptr::null_mut();
                    }
                    continue;
                }
                let key = running.next_row();
                let record = running.fetched.record(key);
                running.joined.join(node, running.stored, record)
            } else {
                // A row changed under a statement that locks or updates it is joined anew, with the record of before.
                let outer = pg_sys::ExecProcNode((*node).ss.ps.lefttree);
                if outer.is_null() || compat::is_empty(outer) {
                    return std::ptr::null_mut();
                }
                running.joined.join_again(node, outer, rechecked)
            };
            let is_wanted = match running.plan.kind {
                JoinKind::Inner | JoinKind::Semi => matched,
                JoinKind::Anti => !matched,
                JoinKind::Left => true,
            };
            if !is_wanted {
                continue;
            }
            if !matched {
                running.joined.forget_record(node);
            }
            if let Some(row) = running.joined.given(node) {
                return row;
            }
        }
    }
}

impl Running {
    /// The key number of the batch's next row, which is then in `stored`.
    unsafe fn next_row(&mut self) -> u32 {
        let key = self.batch.rows[self.row];
        self.row += 1;
        // SAFETY: the store holds as many rows as the batch has numbers.
        unsafe { pg_sys::tuplestore_gettupleslot(self.store, true, false, self.stored) };
        key
    }

    /// Reads the next rows and fetches their records; false if there are no more rows.
    unsafe fn next_batch(&mut self, node: *mut pg_sys::CustomScanState) -> bool {
        // SAFETY: the executor's own node; no row waits for a record any more.
        unsafe {
            self.forget_rows();
            if self.fetched.size() > pg_sys::work_mem as usize * 1024 {
                self.fetched.clear();
            }
            while !self.is_exhausted && !self.batch.is_full(self.plan.batch) {
                let outer = pg_sys::ExecProcNode((*node).ss.ps.lefttree);
                if outer.is_null() || compat::is_empty(outer) {
                    self.is_exhausted = true;
                    break;
                }
                let key = self.key_of(node, outer);
                if key == NO_KEY && !self.plan.kind.keeps_unmatched() {
                    continue;
                }
                pg_sys::tuplestore_puttupleslot(self.store, outer);
                self.batch.rows.push(key);
            }
        }
        self.fetch().or_raise();
        !self.batch.rows.is_empty()
    }

    /// The number of a row's identifier.
    unsafe fn key_of(
        &mut self,
        node: *mut pg_sys::CustomScanState,
        outer: *mut pg_sys::TupleTableSlot,
    ) -> u32 {
        // SAFETY: the executor's own node and slot; the key is of the identifier's type, evaluated in the per-tuple
        // context.
        unsafe {
            let context = (*node).ss.ps.ps_ExprContext;
            let per_tuple = (*context).ecxt_per_tuple_memory;
            pg_sys::MemoryContextReset(per_tuple);
            self.joined.begin_row(node, outer);
            let value = PgMemoryContexts::For(per_tuple).switch_to(|_| {
                let mut is_null = false;
                let datum = pg_sys::ExecEvalExpr(self.key, context, &raw mut is_null);
                (!is_null).then(|| to_value(self.key_type, datum)).flatten()
            });
            let Some(key) = value.as_ref().and_then(Value::identifier) else {
                return NO_KEY;
            };
            let connector = self.scan.table().connector;
            self.batch.number(&key, &mut self.fetched.keys, connector)
        }
    }

    /// Fetches the records that the batch waits for.
    fn fetch(&mut self) -> crm_core::Result<()> {
        let n_wanted = self.batch.n_wanted();
        let Some(wanted) = self.batch.take_wanted() else {
            return Ok(());
        };
        // If there are more rows to come, more calls will be needed: better stop before the first than before the last.
        if self.done.batches == 0 && !self.is_exhausted {
            self.scan.expect_calls(self.plan.scan.estimated_calls)?;
        }
        if n_wanted > 0 {
            self.done.batches += 1;
            self.done.keys += n_wanted as u64;
        }
        self.scan.rescan(true);
        let keys = wanted.into_iter().map(Value::Text).collect();
        let mut keys = Some(Value::List(keys));
        let scan = &mut self.scan;
        while self
            .fetched
            .take(|write| scan.next_row(|| vec![keys.take()], write))?
        {}
        Ok(())
    }

    fn forget_rows(&mut self) {
        self.batch.clear();
        self.row = 0;
        // SAFETY: the store is this node's own, and no slot is read after this without a row of its own.
        unsafe {
            pg_sys::ExecClearTuple(self.stored);
            pg_sys::tuplestore_clear(self.store);
        }
    }
}

/// Starts over: the rows may be others, records fetched before still serve.
#[pg_guard]
pub unsafe extern "C-unwind" fn rescan(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node.
    unsafe {
        if let Some(running) = (*node.cast::<State>()).running.as_mut() {
            running.forget_rows();
            running.is_exhausted = false;
        }
        let outer = (*node).ss.ps.lefttree;
        // With changed parameters it starts over by itself.
        if (*outer).chgParam.is_null() {
            pg_sys::ExecReScan(outer);
        }
    }
}

/// Stops the traffic; the rest goes with the query's memory.
#[pg_guard]
pub unsafe extern "C-unwind" fn end(node: *mut pg_sys::CustomScanState) {
    // SAFETY: the executor's own node; there is no state after EXPLAIN without ANALYZE.
    unsafe {
        if let Some(running) = (*node.cast::<State>()).running.as_mut() {
            running.scan.close();
            pg_sys::tuplestore_end(running.store);
        }
        pg_sys::ExecEndNode((*node).ss.ps.lefttree);
    }
}

/// What is collected and fetched, and what was.
#[pg_guard]
pub unsafe extern "C-unwind" fn explain(
    node: *mut pg_sys::CustomScanState,
    ancestors: *mut pg_sys::List,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own node and EXPLAIN's own state.
    unsafe {
        let plan_node = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let plan = LookupJoinPlan::from_text(list::carried_text((*plan_node).custom_private));
        let table = CollectedTable::read(relation_of(node, &plan)).or_raise();
        let mut explain = Explain::new(es);
        let expressions =
            explain.conditions(plan_node.cast(), ancestors, (*plan_node).custom_exprs, true);
        let running = (*node.cast::<State>()).running.as_ref();
        explain_lookup_join(
            &mut explain,
            &plan,
            &expressions,
            &table,
            user_of(&plan),
            running.map(|running| (&running.scan, running.done)),
        );
    }
}

/// The foreign table. The planner moves range tables about, so its index stands where the planner looks: in a column.
unsafe fn relation_of(node: *mut pg_sys::CustomScanState, plan: &LookupJoinPlan) -> pg_sys::Oid {
    // SAFETY: the executor's own node, of a plan that `node` made.
    unsafe {
        let table = (*(*node).ss.ps.state).es_range_table;
        let entry = pg_sys::list_nth(table, joined::index_of(node, plan) as i32 - 1);
        (*entry.cast::<pg_sys::RangeTblEntry>()).relid
    }
}

fn user_of(plan: &LookupJoinPlan) -> pg_sys::Oid {
    compat::or_current_user(pg_sys::Oid::from(plan.user))
}
