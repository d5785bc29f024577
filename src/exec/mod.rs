//! Execution: what happens between a plan and the CRM's pages. Safe code; pointers stay in `fdw`.

pub mod analyze;
pub mod changes;
pub mod drift;
pub mod explain;
pub mod import;
pub mod job;
pub mod lookup_join;
pub mod modify;
pub mod reject;
pub mod scan;
pub mod xact;
