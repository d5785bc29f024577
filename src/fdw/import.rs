//! IMPORT FOREIGN SCHEMA's callback.
#![allow(unsafe_code)]

use crate::error::OrRaise;
use crate::exec::import::{Request, Selection, statements};
use crate::pg::catalog::{self, current_user, options_of, text_of};
use crate::pg::list;
use crate::session;
use pgrx::{pg_guard, pg_sys};
use std::ffi::CString;

/// The statements that make the foreign tables.
#[pg_guard]
pub unsafe extern "C-unwind" fn import_foreign_schema(
    stmt: *mut pg_sys::ImportForeignSchemaStmt,
    server: pg_sys::Oid,
) -> *mut pg_sys::List {
    // SAFETY: the caller's own statement; the result is a list of C strings in the current context.
    unsafe {
        let server = catalog::server(server);
        let selection = match (*stmt).list_type {
            pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_LIMIT_TO => Selection::LimitTo,
            pg_sys::ImportForeignSchemaType::FDW_IMPORT_SCHEMA_EXCEPT => Selection::Except,
            _ => Selection::All,
        };
        let listed = list::pointers::<pg_sys::RangeVar>((*stmt).table_list)
            .map(|table| text_of((*table).relname).to_owned())
            .collect();
        let request = Request::new(
            &server.name,
            text_of((*stmt).remote_schema),
            selection,
            listed,
            &options_of((*stmt).options),
        )
        .or_raise();
        let session = session::open(&server, current_user()).or_raise();
        let stats = session::stats(&server);
        let commands = statements(session, stats, &request).or_raise();
        list::from_pointers(commands.into_iter().map(|command| {
            let command = CString::new(command.replace('\0', "")).unwrap_or_default();
            pg_sys::pstrdup(command.as_ptr())
        }))
    }
}
