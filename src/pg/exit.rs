//! The end of a backend.
#![allow(unsafe_code)]

use pgrx::{pg_guard, pg_sys};
use std::cell::Cell;

thread_local! {
    static AT_EXIT: Cell<Option<fn()>> = const { Cell::new(None) };
}

/// Has `last` called once when this backend ends, before it lets go of the server's shared memory; it must not raise
/// and must not take long. Later calls change nothing.
pub fn at_exit(last: fn()) {
    if AT_EXIT.replace(Some(last)).is_none() {
        // SAFETY: the callback has the signature that the server calls, and lives as long as the library.
        unsafe { pg_sys::before_shmem_exit(Some(run_last), pg_sys::Datum::from(0_usize)) };
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn run_last(_code: std::ffi::c_int, _argument: pg_sys::Datum) {
    if let Some(last) = AT_EXIT.take() {
        last();
    }
}
