//! ANALYZE's callbacks.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::analyze::sample;
use crate::options::CollectedTable;
use crate::session;
use pgrx::{PgMemoryContexts, pg_guard, pg_sys};

/// Always possible; the number of pages is a guess that only makes the planner's density look sane.
#[pg_guard]
pub unsafe extern "C-unwind" fn analyze_foreign_table(
    _relation: pg_sys::Relation,
    func: *mut pg_sys::AcquireSampleRowsFunc,
    totalpages: *mut pg_sys::BlockNumber,
) -> bool {
    // SAFETY: the caller's own variables.
    unsafe {
        *func = Some(acquire_sample_rows);
        *totalpages = 1;
    }
    true
}

#[pg_guard]
unsafe extern "C-unwind" fn acquire_sample_rows(
    relation: pg_sys::Relation,
    _elevel: std::ffi::c_int,
    rows: *mut pg_sys::HeapTuple,
    targrows: std::ffi::c_int,
    totalrows: *mut f64,
    totaldeadrows: *mut f64,
) -> std::ffi::c_int {
    // SAFETY: the caller's own relation and an array of `targrows` tuples.
    unsafe {
        let table = CollectedTable::read((*relation).rd_id).or_raise();
        let session = session::open(&table.server, (*(*relation).rd_rel).relowner).or_raise();
        let most = usize::try_from(targrows).unwrap_or(0);
        let sample = sample(&table, session, most).or_raise();
        let descriptor = (*relation).rd_att;
        let width = usize::try_from((*descriptor).natts).unwrap_or(0);
        let mut n_rows = 0;
        // Only the tuples are wanted in the caller's context, not the values they are formed of.
        let mut values_context = PgMemoryContexts::new("crm sample row");
        let mut reader = sample.reader(width);
        for at in 0..sample.n_rows().min(most) {
            let (values, nulls) = values_context.switch_to(|_| reader.read(at));
            let tuple =
                pg_sys::heap_form_tuple(descriptor, values.as_mut_ptr(), nulls.as_mut_ptr());
            *rows.add(n_rows) = tuple;
            n_rows += 1;
            values_context.reset();
        }
        *totalrows = sample.total as f64;
        *totaldeadrows = 0.0;
        n_rows as std::ffi::c_int
    }
}
