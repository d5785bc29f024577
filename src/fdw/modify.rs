//! The executor's callbacks of INSERT, UPDATE and DELETE.
//!
//! Rows are sent in batches by `fdw::lookahead` where it can; then these callbacks only hand out the outcomes. Else a
//! row is sent when its callback is called, or when a batch of the server's own is full.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::explain::explain_write;
use crate::exec::modify::RowOutcome;
use crate::fdw::lookahead;
use crate::fdw::running::{
    Running, begin, changes_rows, identifier_name, returned_columns, returned_name,
};
use crate::options::CollectedTable;
use crate::pg::explain::Explain;
use crate::pg::{compat, list};
use crm_core::{Error, ErrorKind};
use crm_export::Statement;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};
use std::ffi::CString;

/// Has rows read ahead. What ON CONFLICT asks for cannot be had; the rest is looked at when the write begins.
#[pg_guard]
pub unsafe extern "C-unwind" fn plan_foreign_modify(
    _root: *mut pg_sys::PlannerInfo,
    plan: *mut pg_sys::ModifyTable,
    _result_relation: pg_sys::Index,
    _subplan_index: std::ffi::c_int,
) -> *mut pg_sys::List {
    // SAFETY: the planner's own node.
    unsafe {
        refuse_conflicts(plan);
        lookahead::put_under(plan);
    }
    std::ptr::null_mut()
}

unsafe fn refuse_conflicts(plan: *mut pg_sys::ModifyTable) {
    // SAFETY: the caller's node.
    let has_conflict =
        unsafe { (*plan).onConflictAction != pg_sys::OnConflictAction::ONCONFLICT_NONE };
    if has_conflict {
        crate::error::raise(
            &Error::new(
                ErrorKind::NotSupported,
                "cannot use ON CONFLICT with a CRM's table",
            )
            .with_hint("With the table option key, a plain INSERT changes the record that has the key's value, or creates it."),
        );
    }
}

/// The identifier goes with each row to be changed or deleted; with DELETE also what RETURNING names.
#[pg_guard]
pub unsafe extern "C-unwind" fn add_foreign_update_targets(
    root: *mut pg_sys::PlannerInfo,
    index: pg_sys::Index,
    _entry: *mut pg_sys::RangeTblEntry,
    relation: pg_sys::Relation,
) {
    // SAFETY: the planner's own pointers.
    unsafe {
        let table = CollectedTable::read((*relation).rd_id).or_raise();
        let identifier = table.columns.iter().find(|column| column.facts.identifier);
        let Some(identifier) = identifier else {
            // The write plan says what is missing, in words.
            return;
        };
        let name = identifier_name(identifier.type_oid);
        add_row_variable(root, index, relation, identifier.number, &name);
        let parse = (*root).parse;
        if (*parse).commandType != pg_sys::CmdType::CMD_DELETE || (*parse).returningList.is_null() {
            return;
        }
        for number in returned_columns(
            &table,
            (*parse).returningList,
            (*parse).resultRelation as u32,
            index,
        ) {
            add_row_variable(root, index, relation, number, &returned_name(number));
        }
    }
}

unsafe fn add_row_variable(
    root: *mut pg_sys::PlannerInfo,
    index: pg_sys::Index,
    relation: pg_sys::Relation,
    number: i16,
    name: &str,
) {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: the relation is open, and the number is one of its columns.
    unsafe {
        let attribute = compat::attribute((*relation).rd_att, number);
        let variable = pg_sys::makeVar(
            index as _,
            number,
            (*attribute).atttypid,
            (*attribute).atttypmod,
            (*attribute).attcollation,
            0,
        );
        pg_sys::add_row_identity_var(root, variable, index, pg_sys::pstrdup(name.as_ptr()));
    }
}

/// Prepares a write; under EXPLAIN no role's secret is looked at.
#[pg_guard]
pub unsafe extern "C-unwind" fn begin_foreign_modify(
    mtstate: *mut pg_sys::ModifyTableState,
    rinfo: *mut pg_sys::ResultRelInfo,
    _fdw_private: *mut pg_sys::List,
    subplan_index: std::ffi::c_int,
    eflags: std::ffi::c_int,
) {
    // SAFETY: the executor's own pointers.
    unsafe {
        let plan = (*mtstate).ps.plan.cast::<pg_sys::ModifyTable>();
        let estate = (*mtstate).ps.state;
        let statement = match (*mtstate).operation {
            pg_sys::CmdType::CMD_INSERT => Statement::Insert,
            pg_sys::CmdType::CMD_UPDATE => Statement::Update,
            _ => Statement::Delete,
        };
        let child = (*mtstate).ps.lefttree;
        let targets = (*(*child).plan).targetlist;
        let attributes: Vec<(i16, i16)> = match statement {
            Statement::Insert => inserted_columns(rinfo, estate),
            Statement::Update => {
                let numbers = pg_sys::list_nth((*plan).updateColnosLists, subplan_index);
                let mut in_plan = list::pointers::<pg_sys::TargetEntry>(targets)
                    .filter(|entry| !(**entry).resjunk)
                    .map(|entry| (*entry).resno);
                let named = list::integers(numbers.cast())
                    .map(|number| (number as i16, in_plan.next().unwrap_or(0)));
                let mut named: Vec<_> = named.collect();
                if changes_rows(rinfo, statement) {
                    // The trigger may change any column; the whole row was read for it.
                    let table = CollectedTable::read((*(*rinfo).ri_RelationDesc).rd_id).or_raise();
                    let others = table.columns.iter().filter(|column| {
                        let number = column.number;
                        column.updatable
                            && !column.facts.identifier
                            && !named.iter().any(|(other, _)| *other == number)
                    });
                    let others: Vec<_> = others.map(|column| (column.number, 0)).collect();
                    named.extend(others);
                }
                named
            }
            Statement::Delete => Vec::new(),
        };
        let junk = |name: &str| {
            let name = CString::new(name).unwrap_or_default();
            pg_sys::ExecFindJunkAttributeInTlist(targets, name.as_ptr())
        };
        let returning = if (*plan).returningLists.is_null() {
            std::ptr::null_mut()
        } else {
            pg_sys::list_nth((*plan).returningLists, subplan_index).cast()
        };
        let running = begin(
            rinfo,
            estate,
            statement,
            &attributes,
            eflags,
            junk,
            returning,
        );
        let running =
            PgMemoryContexts::For((*estate).es_query_cxt).leak_and_drop_on_delete(running);
        (*rinfo).ri_FdwState = running.cast();
        (*running).sends_ahead = lookahead::serve(mtstate, child, rinfo, running);
        let has_one_table = (*(*plan).resultRelations).length == 1;
        if let Some(state) = (*running).state.as_ref().filter(|_| has_one_table) {
            state.expect_rows((*(*child).plan).plan_rows).or_raise();
        }
    }
}

/// Prepares the rows of a COPY, or those that a partitioned table hands on.
#[pg_guard]
pub unsafe extern "C-unwind" fn begin_foreign_insert(
    mtstate: *mut pg_sys::ModifyTableState,
    rinfo: *mut pg_sys::ResultRelInfo,
) {
    // SAFETY: the executor's own pointers; a COPY comes without a plan.
    unsafe {
        let estate = (*mtstate).ps.state;
        let attributes = inserted_columns(rinfo, estate);
        let plan = (*mtstate).ps.plan.cast::<pg_sys::ModifyTable>();
        if !plan.is_null() && (*plan).onConflictAction != pg_sys::OnConflictAction::ONCONFLICT_NONE
        {
            refuse_conflicts(plan);
        }
        let returning = (*rinfo).ri_returningList;
        let mut running = begin(
            rinfo,
            estate,
            Statement::Insert,
            &attributes,
            0,
            |_| 0,
            returning,
        );
        if plan.is_null() && !compat::COPY_SENDS_BATCHES && !running.is_looked_at {
            running.buffer = Some(Vec::new());
        }
        (*rinfo).ri_FdwState = PgMemoryContexts::For((*estate).es_query_cxt)
            .leak_and_drop_on_delete(running)
            .cast();
    }
}

/// Columns of an INSERT: those it names, and those with a default of their own.
unsafe fn inserted_columns(
    rinfo: *mut pg_sys::ResultRelInfo,
    estate: *mut pg_sys::EState,
) -> Vec<(i16, i16)> {
    // SAFETY: the executor's own pointers.
    unsafe {
        let descriptor = (*(*rinfo).ri_RelationDesc).rd_att;
        let named = list::members(pg_sys::ExecGetInsertedCols(rinfo, estate))
            .map(|member| member + pg_sys::FirstLowInvalidHeapAttributeNumber)
            .filter_map(|number| i16::try_from(number).ok());
        let mut numbers: Vec<i16> = named.filter(|number| *number > 0).collect();
        let constraints = (*descriptor).constr;
        if !constraints.is_null() {
            for at in 0..usize::from((*constraints).num_defval) {
                numbers.push((*(*constraints).defval.add(at)).adnum);
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| (*compat::attribute(descriptor, *number)).attgenerated == 0);
        // A row of the plan is a row of the table.
        numbers.into_iter().map(|number| (number, number)).collect()
    }
}

/// A row whose outcome is known, or one that is sent now.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_insert(
    _estate: *mut pg_sys::EState,
    rinfo: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    _plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own pointers; the state was made by one of the functions above.
    unsafe {
        let running = &mut *(*rinfo).ri_FdwState.cast::<Running>();
        if running.buffer.is_some() {
            running.buffer_row(slot);
            return slot;
        }
        running.add_filled(slot);
        let outcome = running.outcome_of(|running| running.row_of_table(slot));
        running.finish_row(outcome, slot)
    }
}

/// A batch of the server's own: a COPY, or rows routed to a partition.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_batch_insert(
    _estate: *mut pg_sys::EState,
    rinfo: *mut pg_sys::ResultRelInfo,
    slots: *mut *mut pg_sys::TupleTableSlot,
    _plan_slots: *mut *mut pg_sys::TupleTableSlot,
    n_slots: *mut std::ffi::c_int,
) -> *mut *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own pointers; accepted slots go back in a list of their own.
    unsafe {
        let running = &mut *(*rinfo).ri_FdwState.cast::<Running>();
        let slots = std::slice::from_raw_parts(slots, *n_slots as usize);
        let rows: Vec<_> = slots
            .iter()
            .map(|slot| running.row_of_table(*slot))
            .collect();
        running.send(rows);
        let accepted = pg_sys::palloc(size_of_val(slots)).cast::<*mut pg_sys::TupleTableSlot>();
        let mut n_accepted = 0;
        for slot in slots {
            let outcome = running.next_outcome();
            let finished = running.finish_row(outcome, *slot);
            if !finished.is_null() {
                accepted.add(n_accepted).write(finished);
                n_accepted += 1;
            }
        }
        *n_slots = n_accepted as std::ffi::c_int;
        accepted
    }
}

/// As [`exec_foreign_insert`]; the row of the plan holds the identifier.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_update(
    _estate: *mut pg_sys::EState,
    rinfo: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own pointers.
    unsafe {
        let running = &mut *(*rinfo).ri_FdwState.cast::<Running>();
        let outcome = running.outcome_of(|running| running.row_of_update(slot, plan_slot));
        running.finish_row(outcome, slot)
    }
}

/// As [`exec_foreign_update`]; what RETURNING names was read with the identifier.
#[pg_guard]
pub unsafe extern "C-unwind" fn exec_foreign_delete(
    _estate: *mut pg_sys::EState,
    rinfo: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    plan_slot: *mut pg_sys::TupleTableSlot,
) -> *mut pg_sys::TupleTableSlot {
    // SAFETY: the executor's own pointers.
    unsafe {
        let running = &mut *(*rinfo).ri_FdwState.cast::<Running>();
        let outcome = running.outcome_of(|running| running.row_of_plan(plan_slot));
        if outcome == RowOutcome::Skipped {
            return std::ptr::null_mut();
        }
        running.show_deleted(slot, plan_slot);
        slot
    }
}

/// Sends what a COPY has left over and says what a dry run would have done.
#[pg_guard]
pub unsafe extern "C-unwind" fn end_foreign_modify(
    _estate: *mut pg_sys::EState,
    rinfo: *mut pg_sys::ResultRelInfo,
) {
    // SAFETY: the executor's own pointer.
    unsafe {
        let Some(running) = (*rinfo).ri_FdwState.cast::<Running>().as_mut() else {
            return;
        };
        running.flush_buffer();
        if let Some(state) = &running.state {
            state.end();
        }
    }
}

/// Records in a batch of the server's own; with the look-ahead node, or where a row is looked at, there is none.
#[pg_guard]
pub unsafe extern "C-unwind" fn get_foreign_modify_batch_size(
    rinfo: *mut pg_sys::ResultRelInfo,
) -> std::ffi::c_int {
    // SAFETY: the executor's own pointer.
    unsafe {
        match (*rinfo).ri_FdwState.cast::<Running>().as_ref() {
            Some(running) if !running.sends_ahead && !running.is_looked_at => {
                let size = running.most_collected();
                std::ffi::c_int::try_from(size).unwrap_or(1)
            }
            _ => 1,
        }
    }
}

/// Which statements the table takes, as its options tell.
#[pg_guard]
pub unsafe extern "C-unwind" fn is_foreign_rel_updatable(
    relation: pg_sys::Relation,
) -> std::ffi::c_int {
    // SAFETY: the relation is open.
    let table = CollectedTable::read(unsafe { (*relation).rd_id }).or_raise();
    let writable = table.options.writable;
    let has_identifier = table.columns.iter().any(|column| column.facts.identifier);
    [
        (writable.insert, pg_sys::CmdType::CMD_INSERT),
        (
            writable.update && has_identifier,
            pg_sys::CmdType::CMD_UPDATE,
        ),
        (
            writable.delete && has_identifier,
            pg_sys::CmdType::CMD_DELETE,
        ),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, command)| 1 << command)
    .sum()
}

/// What will be or was sent.
#[pg_guard]
pub unsafe extern "C-unwind" fn explain_foreign_modify(
    mtstate: *mut pg_sys::ModifyTableState,
    rinfo: *mut pg_sys::ResultRelInfo,
    _fdw_private: *mut pg_sys::List,
    _subplan_index: std::ffi::c_int,
    es: *mut pg_sys::ExplainState,
) {
    // SAFETY: the executor's own pointers and EXPLAIN's own state.
    unsafe {
        let Some(running) = (*rinfo).ri_FdwState.cast::<Running>().as_ref() else {
            return;
        };
        let rows = (*(*(*mtstate).ps.lefttree).plan).plan_rows;
        let plan = running.plan();
        explain_write(
            &mut Explain::new(es),
            &running.table,
            &plan,
            rows,
            running.state.as_ref(),
        );
    }
}
