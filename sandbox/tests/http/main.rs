//! The sandbox as a client meets it, over HTTPS; one program, so that it is linked once.

mod common;
mod faults;
mod paging;
mod process;
mod sign_in;
