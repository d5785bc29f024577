//! Waiting for the network thread without deafness: to cancel, to termination, to a dead postmaster.
#![allow(unsafe_code)]

use crate::pg::compat;
use pgrx::pg_sys;
use std::os::fd::RawFd;

/// Waits until `doorbell` is readable or something happened to this backend, then lets interrupts through:
/// a cancel or a termination leaves this function as an error.
pub fn wait_for(doorbell: RawFd) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_SOCKET_READABLE | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: the latch is this backend's own, and this is its main thread.
    unsafe {
        pg_sys::WaitLatchOrSocket(
            pg_sys::MyLatch,
            events as i32,
            doorbell,
            -1,
            compat::wait_event(),
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}
