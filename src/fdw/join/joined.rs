//! One joined row: columns of the other side and of a record in the node's scan slot, and the conditions over them.

use crate::fdw::join::fetched::Record;
use crate::pg::compat;
use crate::pg::list;
use crate::plan::lookup_join::{LookupJoinPlan, Source};
use pgrx::{PgMemoryContexts, pg_sys};

/// How rows are put together and checked.
pub struct Joined {
    sources: Vec<Source>,
    /// The foreign table's index in the range table.
    index: u32,
    /// A row of the foreign table, for the record as a whole.
    whole: *mut pg_sys::TupleTableSlot,
    /// The table's own conditions.
    conditions: *mut pg_sys::ExprState,
    /// What is computed from a record, by the places of the columns that get it.
    of_record: Vec<(usize, *mut pg_sys::ExprState)>,
    /// What is computed from a joined row, likewise.
    of_join: Vec<(usize, *mut pg_sys::ExprState)>,
    /// The join's conditions.
    matching: *mut pg_sys::ExprState,
}

/// The foreign table's index in the range table.
///
/// # Safety
/// `node` is a valid state of a node that was made with `plan`.
pub unsafe fn index_of(node: *mut pg_sys::CustomScanState, plan: &LookupJoinPlan) -> u32 {
    let identifier = Source::Field(plan.identifier);
    let place = plan.sources.iter().position(|source| *source == identifier);
    let place = place.expect("a lookup's clause names the identifier") as i32;
    // SAFETY: the target list has an entry for each source, and that of a field is a column.
    unsafe {
        let plan_node = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
        let entry = pg_sys::list_nth((*plan_node).custom_scan_tlist, place);
        let column = (*entry.cast::<pg_sys::TargetEntry>()).expr;
        (*column.cast::<pg_sys::Var>()).varno as u32
    }
}

impl Joined {
    /// For a node that is being prepared.
    ///
    /// # Safety
    /// `node` is a valid state of a node that was made with `plan`.
    pub unsafe fn new(node: *mut pg_sys::CustomScanState, plan: &LookupJoinPlan) -> Self {
        // SAFETY: the executor's own node; the expressions stand in the order that LookupJoinPlan says.
        unsafe {
            let plan_node = (*node).ss.ps.plan.cast::<pg_sys::CustomScan>();
            let parent = &raw mut (*node).ss.ps;
            let index = index_of(node, plan);
            let relation = compat::range_table_relation((*parent).state, index);
            let expressions: Vec<*mut pg_sys::Expr> =
                list::pointers((*plan_node).custom_exprs).collect();
            let (conditions, others) = expressions[1..].split_at(plan.n_conditions);
            let (computed, matching) = others.split_at(plan.n_computed);
            let checked = |conditions: &[*mut pg_sys::Expr]| {
                pg_sys::ExecInitQual(list::from_pointers(conditions.iter().copied()), parent)
            };
            let (mut of_record, mut of_join) = (Vec::new(), Vec::new());
            for (place, source) in plan.sources.iter().enumerate() {
                let (at, into) = match source {
                    Source::OfRecord(at) => (*at, &mut of_record),
                    Source::OfJoin(at) => (*at, &mut of_join),
                    _ => continue,
                };
                into.push((place, pg_sys::ExecInitExpr(computed[at], parent)));
            }
            Self {
                sources: plan.sources.clone(),
                index,
                whole: pg_sys::ExecInitExtraTupleSlot(
                    (*parent).state,
                    (*relation).rd_att,
                    &raw const pg_sys::TTSOpsVirtual,
                ),
                conditions: checked(conditions),
                of_record,
                of_join,
                matching: checked(matching),
            }
        }
    }

    /// Begins a row: the other side's columns, and nulls for the record's.
    ///
    /// # Safety
    /// The executor's own node and a filled slot of the other side.
    pub unsafe fn begin_row(
        &self,
        node: *mut pg_sys::CustomScanState,
        outer: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: a source names a column that the other side has; the slot is as wide as the sources are many.
        unsafe {
            pg_sys::slot_getallattrs(outer);
            let slot = (*node).ss.ss_ScanTupleSlot;
            pg_sys::ExecClearTuple(slot);
            for (place, source) in self.sources.iter().enumerate() {
                let (value, is_null) = match source {
                    Source::Outer(at) => {
                        (*(*outer).tts_values.add(*at), *(*outer).tts_isnull.add(*at))
                    }
                    _ => (pg_sys::Datum::from(0_usize), true),
                };
                *(*slot).tts_values.add(place) = value;
                *(*slot).tts_isnull.add(place) = is_null;
            }
            pg_sys::ExecStoreVirtualTuple(slot);
            (*(*node).ss.ps.ps_ExprContext).ecxt_scantuple = slot;
        }
    }

    /// Puts a row together; true if there is a record and all conditions of a match hold.
    ///
    /// # Safety
    /// As for `begin_row`; the per-tuple context was reset.
    pub unsafe fn join(
        &self,
        node: *mut pg_sys::CustomScanState,
        outer: *mut pg_sys::TupleTableSlot,
        record: Option<Record<'_>>,
    ) -> bool {
        // SAFETY: as the caller promises; the record's values outlive the row.
        unsafe {
            self.begin_row(node, outer);
            let Some(record) = record else {
                return false;
            };
            let is_whole = self.sources.contains(&Source::Record);
            if is_whole {
                self.fill_whole(record);
            }
            self.matches(node, |attribute| {
                record.value(usize::try_from(attribute - 1).unwrap_or(usize::MAX))
            })
        }
    }

    /// The same with the record that the row had when the statement first joined it.
    ///
    /// # Safety
    /// As for `join`; `rechecked` is the executor's state of such a second look.
    pub unsafe fn join_again(
        &self,
        node: *mut pg_sys::CustomScanState,
        outer: *mut pg_sys::TupleTableSlot,
        rechecked: *mut pg_sys::EPQState,
    ) -> bool {
        // SAFETY: as the caller promises.
        unsafe {
            self.begin_row(node, outer);
            let row = compat::rechecked_row(rechecked, self.index, self.whole);
            if row.is_null() || compat::is_empty(row) {
                return false;
            }
            if row != self.whole {
                pg_sys::ExecCopySlot(self.whole, row);
            }
            let whole = self.whole;
            pg_sys::slot_getallattrs(whole);
            self.matches(node, |attribute| {
                let at = usize::try_from(attribute - 1).unwrap_or(0);
                (!*(*whole).tts_isnull.add(at)).then(|| *(*whole).tts_values.add(at))
            })
        }
    }

    /// Fills in the record's columns and checks.
    unsafe fn matches(
        &self,
        node: *mut pg_sys::CustomScanState,
        value: impl Fn(i16) -> Option<pg_sys::Datum>,
    ) -> bool {
        // SAFETY: the executor's own node, whose slot `begin_row` filled.
        unsafe {
            let slot = (*node).ss.ss_ScanTupleSlot;
            let context = (*node).ss.ps.ps_ExprContext;
            let set = |place: usize, value: Option<pg_sys::Datum>| {
                *(*slot).tts_isnull.add(place) = value.is_none();
                *(*slot).tts_values.add(place) = value.unwrap_or(pg_sys::Datum::from(0_usize));
            };
            for (place, source) in self.sources.iter().enumerate() {
                match source {
                    Source::Outer(_) | Source::OfRecord(_) | Source::OfJoin(_) => {}
                    Source::Field(attribute) => set(place, value(*attribute)),
                    Source::Table => {
                        let entry = pg_sys::list_nth(
                            (*(*node).ss.ps.state).es_range_table,
                            self.index as i32 - 1,
                        );
                        let table = (*entry.cast::<pg_sys::RangeTblEntry>()).relid;
                        set(place, Some(pg_sys::Datum::from(table)));
                    }
                    Source::Record => {
                        let per_tuple = (*context).ecxt_per_tuple_memory;
                        let whole = PgMemoryContexts::For(per_tuple)
                            .switch_to(|_| pg_sys::ExecFetchSlotHeapTupleDatum(self.whole));
                        set(place, Some(whole));
                    }
                }
            }
            if !pg_sys::ExecQual(self.conditions, context) {
                return false;
            }
            compute(node, &self.of_record);
            pg_sys::ExecQual(self.matching, context)
        }
    }

    unsafe fn fill_whole(&self, record: Record<'_>) {
        // SAFETY: the slot is as wide as the table, and a record's places are columns of it.
        unsafe {
            let slot = self.whole;
            pg_sys::ExecClearTuple(slot);
            let width = (*(*slot).tts_tupleDescriptor).natts as usize;
            for place in 0..width {
                let value = record.value(place);
                *(*slot).tts_isnull.add(place) = value.is_none();
                *(*slot).tts_values.add(place) = value.unwrap_or(pg_sys::Datum::from(0_usize));
            }
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// Makes the record's columns null: an outer join gives the row without one.
    ///
    /// # Safety
    /// The executor's own node, whose slot `begin_row` filled.
    pub unsafe fn forget_record(&self, node: *mut pg_sys::CustomScanState) {
        // SAFETY: the slot is as wide as the sources are many.
        unsafe {
            let slot = (*node).ss.ss_ScanTupleSlot;
            for (place, source) in self.sources.iter().enumerate() {
                if !matches!(source, Source::Outer(_)) {
                    *(*slot).tts_isnull.add(place) = true;
                }
            }
        }
    }

    /// The row as the node gives it, unless a condition checked after the join turns it away.
    ///
    /// # Safety
    /// The executor's own node, whose slot holds a joined row.
    pub unsafe fn given(
        &self,
        node: *mut pg_sys::CustomScanState,
    ) -> Option<*mut pg_sys::TupleTableSlot> {
        // SAFETY: as the caller promises.
        unsafe {
            compute(node, &self.of_join);
            let context = (*node).ss.ps.ps_ExprContext;
            let qual = (*node).ss.ps.qual;
            if !qual.is_null() && !pg_sys::ExecQual(qual, context) {
                if let Some(instrument) = (*node).ss.ps.instrument.as_mut() {
                    instrument.nfiltered1 += 1.0;
                }
                return None;
            }
            let projection = (*node).ss.ps.ps_ProjInfo;
            if projection.is_null() {
                return Some((*node).ss.ss_ScanTupleSlot);
            }
            Some(pg_sys::ExecProject(projection))
        }
    }
}

/// Computes columns of the joined row from those that are there.
unsafe fn compute(
    node: *mut pg_sys::CustomScanState,
    expressions: &[(usize, *mut pg_sys::ExprState)],
) {
    // SAFETY: the executor's own node and expressions; the slot has each of the places.
    unsafe {
        let slot = (*node).ss.ss_ScanTupleSlot;
        let context = (*node).ss.ps.ps_ExprContext;
        for (place, expression) in expressions {
            let mut is_null = false;
            let value = pg_sys::ExecEvalExprSwitchContext(*expression, context, &raw mut is_null);
            *(*slot).tts_values.add(*place) = value;
            *(*slot).tts_isnull.add(*place) = is_null;
        }
    }
}
