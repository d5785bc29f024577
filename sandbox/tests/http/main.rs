//! The sandbox as a client meets it, over HTTPS; one program, so that it is linked once.

mod behind;
mod bulk_ingest;
mod bulk_query;
mod changed_rows;
mod collections;
mod common;
mod crashes;
mod dynamics;
mod dynamics_soap;
mod dynamics_writing;
mod faults;
mod jobs;
mod paging;
mod process;
mod sign_in;
mod soap;
mod ui_api;
mod writing;
