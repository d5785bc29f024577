//! Signals while a thread is made.
#![allow(unsafe_code)]

/// Runs `make` with every signal blocked: a thread that it starts inherits the block and never handles one.
pub fn with_all_blocked<T>(make: impl FnOnce() -> T) -> T {
    // SAFETY: plain calls on sets that live on this stack; the old mask is put back before returning, and `make`
    // only starts a thread, which cannot unwind past here.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let made = make();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        made
    }
}
