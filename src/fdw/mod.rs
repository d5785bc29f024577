//! The border to the server's C interface: each function here checks pointers, makes safe views and calls inwards.
//! Unsafe code is allowed here and in `pg`.

pub mod analyze;
pub mod compilation;
pub mod handler;
pub mod import;
pub mod join;
pub mod lookahead;
pub mod modify;
pub mod planning;
pub mod running;
pub mod scan;
