//! One foreign table being written: rows of the server into records, outcomes back into rows.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::modify::{RowOutcome, Unsayable, WriteState};
use crate::exec::scan::ScanState;
use crate::options::{CollectedTable, LocalColumn};
use crate::pg::catalog::relation_name;
use crate::pg::compat;
use crate::pg::expr::columns_named;
use crate::pg::written::to_written;
use crate::plan::modify::WritePlan;
use crate::plan::table::lookup_plan;
use crate::session;
use crm_core::{Error, ErrorKind, Reject};
use crm_export::{Record, Statement};
use pgrx::{IntoDatum, PgMemoryContexts, pg_sys};
use std::collections::HashMap;
use std::ffi::CString;

/// One foreign table being written.
pub struct Running {
    /// Nothing under EXPLAIN without ANALYZE.
    pub state: Option<WriteState>,
    pub table: CollectedTable,
    statement: Statement,
    /// Where the values of the written columns stand: in a row of the table, and in a row of the plan.
    columns: Vec<Place>,
    /// Columns that a trigger may fill although the INSERT does not name them.
    fillable: Vec<Place>,
    /// The same of the identifier.
    identifier: Option<Place>,
    /// Columns that RETURNING names, the identifier not among them; their places in a row of the plan for DELETE.
    returned: Vec<Place>,
    /// A finished row is looked at by RETURNING or a trigger.
    pub is_looked_at: bool,
    /// The look-ahead node sends; the callbacks hand out.
    pub sends_ahead: bool,
    /// Rows of a COPY on servers that do not batch it.
    pub buffer: Option<Vec<Result<Record, Box<Unsayable>>>>,
    /// Rows as the CRM stored them, by identifier; they live in `memory`.
    stored: HashMap<String, pg_sys::HeapTuple>,
    /// For what lives as long as a batch.
    memory: pg_sys::MemoryContext,
}

/// Where a column's value stands.
#[derive(Clone, Copy)]
struct Place {
    /// Number in a row of the table.
    attribute: i16,
    /// Number in a row of the plan, 0 where it is not there.
    in_plan: i16,
    type_oid: pg_sys::Oid,
}

#[allow(clippy::too_many_arguments)]
pub unsafe fn begin(
    rinfo: *mut pg_sys::ResultRelInfo,
    estate: *mut pg_sys::EState,
    statement: Statement,
    attributes: &[(i16, i16)],
    eflags: std::ffi::c_int,
    junk: impl Fn(&str) -> i16,
    returning: *mut pg_sys::List,
) -> Running {
    // SAFETY: the executor's own pointers.
    unsafe {
        let relation = (*(*rinfo).ri_RelationDesc).rd_id;
        let table = CollectedTable::read(relation).or_raise();
        let name = relation_name(relation);
        let numbers: Vec<i16> = attributes.iter().map(|(number, _)| *number).collect();
        let plan = WritePlan::new(&table, &name, statement, &numbers).or_raise();
        let in_plan = |number: i16| {
            let found = attributes
                .iter()
                .find(|(attribute, _)| *attribute == number);
            found.map_or(0, |(_, in_plan)| *in_plan)
        };
        let columns = plan
            .columns
            .iter()
            .map(|column| Place {
                attribute: column.number,
                in_plan: in_plan(column.number),
                type_oid: column.type_oid,
            })
            .collect();
        let identifier = plan.identifier.as_ref().map(|column| Place {
            attribute: column.number,
            in_plan: match statement {
                Statement::Insert => in_plan(column.number),
                _ => junk(&identifier_name(column.type_oid)),
            },
            type_oid: column.type_oid,
        });
        let index = (*rinfo).ri_RangeTableIndex;
        let returned = if returning.is_null() {
            Vec::new()
        } else {
            returned_columns(&table, returning, index, index)
        };
        let returned = returned
            .into_iter()
            .filter_map(|number| table.column(number))
            .map(|column| Place {
                attribute: column.number,
                in_plan: match statement {
                    Statement::Delete => junk(&returned_name(column.number)),
                    _ => 0,
                },
                type_oid: column.type_oid,
            })
            .collect();
        let is_looked_at = !returning.is_null() || has_row_triggers(rinfo, statement);
        let state = if eflags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as i32 != 0 {
            None
        } else {
            let user = compat::write_user(rinfo, estate);
            let session = session::open(&table.server, user).or_raise();
            let gives_identifier = identifier.is_some_and(|place| place.in_plan > 0);
            let state = WriteState::new(table.clone(), name, plan, gives_identifier, session);
            Some(state.or_raise())
        };
        let fillable = if statement == Statement::Insert && changes_rows(rinfo, statement) {
            let others = table.columns.iter().filter(|column| {
                column.insertable && !column.facts.identifier && !numbers.contains(&column.number)
            });
            let place = |column: &LocalColumn| Place {
                attribute: column.number,
                in_plan: 0,
                type_oid: column.type_oid,
            };
            others.map(place).collect()
        } else {
            Vec::new()
        };
        let memory = pg_sys::AllocSetContextCreateInternal(
            (*estate).es_query_cxt,
            c"crm batch".as_ptr(),
            pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        );
        Running {
            state,
            table,
            statement,
            columns,
            fillable,
            identifier,
            returned,
            is_looked_at,
            sends_ahead: false,
            buffer: None,
            stored: HashMap::new(),
            memory,
        }
    }
}

/// A row trigger may change rows before they are written.
pub unsafe fn changes_rows(rinfo: *mut pg_sys::ResultRelInfo, statement: Statement) -> bool {
    // SAFETY: the executor's own pointer.
    let triggers = unsafe { (*rinfo).ri_TrigDesc.as_ref() };
    triggers.is_some_and(|triggers| match statement {
        Statement::Insert => triggers.trig_insert_before_row,
        Statement::Update => triggers.trig_update_before_row,
        Statement::Delete => false,
    })
}

/// Row triggers may change, veto or look at single rows, so rows then go one by one.
pub unsafe fn has_row_triggers(rinfo: *mut pg_sys::ResultRelInfo, statement: Statement) -> bool {
    // SAFETY: the executor's own pointer.
    unsafe {
        let Some(triggers) = (*rinfo).ri_TrigDesc.as_ref() else {
            return false;
        };
        match statement {
            Statement::Insert => triggers.trig_insert_before_row || triggers.trig_insert_after_row,
            Statement::Update => triggers.trig_update_before_row || triggers.trig_update_after_row,
            Statement::Delete => triggers.trig_delete_before_row || triggers.trig_delete_after_row,
        }
    }
}

/// Columns that a RETURNING list names; all of them where it was written for another relation, a partitioned one.
pub unsafe fn returned_columns(
    table: &CollectedTable,
    returning: *mut pg_sys::List,
    written_for: u32,
    index: u32,
) -> Vec<i16> {
    let mut named = Vec::new();
    // SAFETY: the caller's list of expressions.
    unsafe { columns_named(returning.cast(), written_for, &mut named) };
    let all = named.contains(&0) || written_for != index;
    let columns = table.columns.iter();
    columns
        .filter(|column| !column.facts.identifier && (all || named.contains(&column.number)))
        .map(|column| column.number)
        .collect()
}

/// Under which name the identifier goes with a row of the plan.
pub fn identifier_name(type_oid: pg_sys::Oid) -> String {
    format!("crm_identifier_{}", type_oid.to_u32())
}

/// Under which name a column that RETURNING names goes with a row of the plan.
pub fn returned_name(number: i16) -> String {
    format!("crm_returned_{number}")
}

impl Running {
    /// Where the table's rows are sent as they come in batches of this node.
    pub fn relation(&self) -> pg_sys::Oid {
        self.table.relation
    }

    /// What is written, made anew from the catalogs.
    pub fn plan(&self) -> WritePlan {
        let numbers: Vec<i16> = self.columns.iter().map(|place| place.attribute).collect();
        let name = relation_name(self.table.relation);
        WritePlan::new(&self.table, &name, self.statement, &numbers).or_raise()
    }

    /// Rows that are collected before they are sent.
    pub fn most_collected(&self) -> usize {
        match &self.state {
            Some(state) => state.plan().most_collected(&self.table),
            None => self.plan().most_collected(&self.table),
        }
    }

    /// The outcome that the look-ahead node left, or that of the row sent alone.
    pub unsafe fn outcome_of(
        &mut self,
        row: impl FnOnce(&Self) -> Result<Record, Box<Unsayable>>,
    ) -> RowOutcome {
        if !self.sends_ahead {
            let row = row(self);
            // SAFETY: called from a callback.
            unsafe { self.send(vec![row]) };
        }
        self.next_outcome()
    }

    pub fn next_outcome(&mut self) -> RowOutcome {
        let next = self.state.as_mut().and_then(WriteState::next_outcome);
        next.unwrap_or_else(|| {
            crate::error::raise(&Error::new(
                ErrorKind::RemoteFault,
                "a row of the statement was never sent",
            ))
        })
    }

    /// Sends rows together and reads back what RETURNING names.
    pub unsafe fn send(&mut self, rows: Vec<Result<Record, Box<Unsayable>>>) {
        self.stored.clear();
        // SAFETY: what lived there belonged to rows that the executor is done with.
        unsafe { pg_sys::MemoryContextReset(self.memory) };
        let Some(state) = self.state.as_mut() else {
            return;
        };
        state.send(rows).or_raise();
        if self.statement != Statement::Delete && !self.returned.is_empty() {
            let ids: Vec<String> = state
                .pending_outcomes()
                .filter_map(|outcome| match outcome {
                    RowOutcome::Written(id) => Some(id.clone()),
                    RowOutcome::Skipped => None,
                })
                .collect();
            // SAFETY: called from a callback.
            unsafe { self.read_stored(ids) };
        }
    }

    /// The records as the CRM has them now, in as few calls as it takes.
    unsafe fn read_stored(&mut self, ids: Vec<String>) {
        let (Some(state), Some(identifier)) = (&self.state, self.identifier) else {
            return;
        };
        if ids.is_empty() {
            return;
        }
        let mut attributes = vec![identifier.attribute];
        attributes.extend(self.returned.iter().map(|place| place.attribute));
        let plan = lookup_plan(&self.table, &attributes, ids);
        let session = std::sync::Arc::clone(state.session());
        let mut scan = ScanState::new(plan, self.table.clone(), session);
        // SAFETY: the relation is open for the statement; rows are made in the batch's memory.
        unsafe {
            let descriptor = pg_sys::RelationIdGetRelation(self.table.relation);
            let width = (*(*descriptor).rd_att).natts as usize;
            let mut memory = PgMemoryContexts::For(self.memory);
            loop {
                let mut values = vec![pg_sys::Datum::from(0); width];
                let mut nulls = vec![true; width];
                let found = memory.switch_to(|_| {
                    scan.next_row(Vec::new, |place, datum| {
                        if let Some(datum) = datum {
                            values[place] = datum;
                            nulls[place] = false;
                        }
                    })
                });
                if !found.or_raise() {
                    break;
                }
                let id = values[identifier.attribute as usize - 1];
                let id = memory.switch_to(|_| to_written(identifier.type_oid, id));
                let tuple = memory.switch_to(|_| {
                    pg_sys::heap_form_tuple(
                        (*descriptor).rd_att,
                        values.as_mut_ptr(),
                        nulls.as_mut_ptr(),
                    )
                });
                if let Ok(id) = id {
                    self.stored.insert(crm_export::key_text(&id), tuple);
                }
            }
            pg_sys::RelationClose(descriptor);
        }
    }

    /// A finished row as RETURNING and triggers see it; null for one that was not written.
    pub unsafe fn finish_row(
        &mut self,
        outcome: RowOutcome,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> *mut pg_sys::TupleTableSlot {
        let RowOutcome::Written(id) = outcome else {
            return std::ptr::null_mut();
        };
        if !self.is_looked_at {
            return slot;
        }
        // SAFETY: the executor's own slot of the relation's row type; the new row lives as long as the batch.
        unsafe {
            pg_sys::slot_getallattrs(slot);
            let descriptor = (*slot).tts_tupleDescriptor;
            let width = (*descriptor).natts as usize;
            let mut values = std::slice::from_raw_parts((*slot).tts_values, width).to_vec();
            let mut nulls = std::slice::from_raw_parts((*slot).tts_isnull, width).to_vec();
            if let Some(tuple) = self.stored.get(&id) {
                let mut stored = vec![pg_sys::Datum::from(0); width];
                let mut absent = vec![true; width];
                pg_sys::heap_deform_tuple(
                    *tuple,
                    descriptor,
                    stored.as_mut_ptr(),
                    absent.as_mut_ptr(),
                );
                for place in &self.returned {
                    let at = place.attribute as usize - 1;
                    (values[at], nulls[at]) = (stored[at], absent[at]);
                }
            }
            let mut memory = PgMemoryContexts::For(self.memory);
            let tuple = memory.switch_to(|_| {
                // A person may have settled a record without naming its identifier.
                if let Some(place) = self.identifier.filter(|_| !id.is_empty()) {
                    let at = place.attribute as usize - 1;
                    let datum = identifier_datum(&id, place.type_oid);
                    (values[at], nulls[at]) = (datum, false);
                }
                pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr())
            });
            pg_sys::ExecForceStoreHeapTuple(tuple, slot, false);
            slot
        }
    }

    /// What RETURNING names of a deleted record.
    pub unsafe fn show_deleted(
        &self,
        slot: *mut pg_sys::TupleTableSlot,
        plan_slot: *mut pg_sys::TupleTableSlot,
    ) {
        // SAFETY: the executor's own slots; the values live as long as the row of the plan.
        unsafe {
            pg_sys::ExecClearTuple(slot);
            let width = (*(*slot).tts_tupleDescriptor).natts as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, width);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, width);
            nulls.fill(true);
            for place in self.returned.iter().chain(&self.identifier) {
                if place.in_plan > 0 {
                    let at = place.attribute as usize - 1;
                    let mut is_null = true;
                    values[at] =
                        pg_sys::slot_getattr(plan_slot, place.in_plan.into(), &raw mut is_null);
                    nulls[at] = is_null;
                }
            }
            pg_sys::ExecStoreVirtualTuple(slot);
        }
    }

    /// Adds the columns that a trigger has filled to what is written, from this row on.
    pub unsafe fn add_filled(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        let before = self.columns.len();
        let (columns, fillable) = (&mut self.columns, &mut self.fillable);
        fillable.retain(|place| {
            let mut is_null = true;
            // SAFETY: the slot is a row of the table.
            unsafe { pg_sys::slot_getattr(slot, place.attribute.into(), &raw mut is_null) };
            if !is_null {
                columns.push(*place);
            }
            is_null
        });
        if self.columns.len() > before {
            let plan = self.plan();
            if let Some(state) = &mut self.state {
                state.replan(plan);
            }
        }
    }

    /// A record of a row of the table.
    pub unsafe fn row_of_table(
        &self,
        slot: *mut pg_sys::TupleTableSlot,
    ) -> Result<Record, Box<Unsayable>> {
        let identifier = self.identifier.filter(|place| place.in_plan > 0);
        let columns = self.columns.iter().map(|place| (place.attribute, *place));
        // SAFETY: the slot is a row of the table.
        unsafe {
            self.row(
                slot,
                identifier.map(|place| (slot, place.attribute, place)),
                columns,
            )
        }
    }

    /// A record of a changed row of the table, and the row of the plan that holds its identifier.
    pub unsafe fn row_of_update(
        &self,
        slot: *mut pg_sys::TupleTableSlot,
        plan_slot: *mut pg_sys::TupleTableSlot,
    ) -> Result<Record, Box<Unsayable>> {
        let identifier = self.identifier;
        let columns = self.columns.iter().map(|place| (place.attribute, *place));
        // SAFETY: the slots are a row of the table and one of the plan.
        unsafe {
            self.row(
                slot,
                identifier.map(|place| (plan_slot, place.in_plan, place)),
                columns,
            )
        }
    }

    /// A record of a row of the plan alone.
    pub unsafe fn row_of_plan(
        &self,
        plan_slot: *mut pg_sys::TupleTableSlot,
    ) -> Result<Record, Box<Unsayable>> {
        let identifier = self.identifier.filter(|place| place.in_plan > 0);
        let columns = self.columns.iter().map(|place| (place.in_plan, *place));
        // SAFETY: the slot is a row of the plan.
        unsafe {
            self.row(
                plan_slot,
                identifier.map(|place| (plan_slot, place.in_plan, place)),
                columns,
            )
        }
    }

    unsafe fn row(
        &self,
        slot: *mut pg_sys::TupleTableSlot,
        identifier: Option<(*mut pg_sys::TupleTableSlot, i16, Place)>,
        columns: impl Iterator<Item = (i16, Place)>,
    ) -> Result<Record, Box<Unsayable>> {
        let mut record = Record {
            id: None,
            values: Vec::with_capacity(self.columns.len()),
        };
        let mut reason = None;
        let mut value_at = |slot, number: i16, place: Place| {
            let mut is_null = true;
            // SAFETY: the slot has a column of that number and of the place's type; what is made on the way lives as
            // long as the batch.
            let value = unsafe {
                let datum = pg_sys::slot_getattr(slot, number.into(), &raw mut is_null);
                if is_null {
                    return None;
                }
                PgMemoryContexts::For(self.memory).switch_to(|_| to_written(place.type_oid, datum))
            };
            match value {
                Ok(value) => Some(value),
                Err(why) => {
                    reason.get_or_insert((why, place.attribute));
                    None
                }
            }
        };
        if let Some((slot, number, place)) = identifier {
            record.id = value_at(slot, number, place);
        }
        for (number, place) in columns {
            record.values.push(value_at(slot, number, place));
        }
        match reason {
            None => Ok(record),
            Some((why, attribute)) => {
                let reject = Reject::new(ErrorKind::ValidationRule, "INVALID_VALUE", why);
                let field = self.table.column(attribute);
                let field = field.map_or("", |column| column.facts.name.as_str());
                Err(Box::new((reject.of_field(field), record)))
            }
        }
    }

    pub unsafe fn buffer_row(&mut self, slot: *mut pg_sys::TupleTableSlot) {
        // SAFETY: the slot is a row of the table.
        let row = unsafe { self.row_of_table(slot) };
        let most = self.most_collected();
        let buffer = self.buffer.get_or_insert_default();
        buffer.push(row);
        if buffer.len() >= most {
            // SAFETY: called from a callback.
            unsafe { self.flush_buffer() };
        }
    }

    /// COPY has counted these rows already; those refused are told of by warnings.
    pub unsafe fn flush_buffer(&mut self) {
        let Some(rows) = self.buffer.as_mut().map(std::mem::take) else {
            return;
        };
        if rows.is_empty() {
            return;
        }
        // SAFETY: called from a callback.
        unsafe { self.send(rows) };
        let refused = std::iter::from_fn(|| self.state.as_mut()?.next_outcome())
            .filter(|outcome| *outcome == RowOutcome::Skipped)
            .count();
        if refused > 0 {
            pgrx::notice!("COPY counts {refused} rows that were not accepted");
        }
    }
}

/// The identifier as a value of its column's type.
unsafe fn identifier_datum(id: &str, type_oid: pg_sys::Oid) -> pg_sys::Datum {
    if matches!(type_oid, pg_sys::TEXTOID | pg_sys::VARCHAROID) {
        return id.into_datum().expect("a text is not null");
    }
    let text = CString::new(id).unwrap_or_default();
    let mut input = pg_sys::InvalidOid;
    let mut parameter = pg_sys::InvalidOid;
    // SAFETY: the type's own input function; it copies what it keeps.
    unsafe {
        pg_sys::getTypeInputInfo(type_oid, &raw mut input, &raw mut parameter);
        pg_sys::OidInputFunctionCall(input, text.as_ptr().cast_mut(), parameter, -1)
    }
}
