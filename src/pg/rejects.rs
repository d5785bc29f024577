//! The table of rejects, `crm.rejects` (E-3).
#![allow(unsafe_code)]

use crate::pg::catalog;
use crm_core::{Error, ErrorKind, Result};
use pgrx::datum::DatumWithOid;
use pgrx::{Spi, pg_sys};

/// One row of it.
pub struct KeptReject<'a> {
    /// The foreign server's name.
    pub server: &'a str,
    /// The foreign table.
    pub relation: pg_sys::Oid,
    /// `insert`, `update`, `delete` or `select`.
    pub operation: &'a str,
    /// `reject`, `error` or `unknown`.
    pub kind: &'a str,
    /// The record as a JSON object under the names of local columns.
    pub record: &'a str,
    /// Its identifier.
    pub remote_id: Option<&'a str>,
    /// The local column that is to blame.
    pub column: Option<&'a str>,
    /// The vendor's code; empty where it gives none.
    pub symbol: &'a str,
    /// The vendor's text.
    pub message: &'a str,
    /// The vendor's number of the error.
    pub code: Option<&'a str>,
    /// The vendor's log of the error.
    pub log_file: Option<&'a str>,
    /// How often it has been sent.
    pub tries: i32,
}

/// Adds a row, in the current transaction.
///
/// # Errors
/// When the row cannot be added.
pub fn keep(reject: &KeptReject<'_>) -> Result<()> {
    let table = catalog::qualified_name(reject.relation);
    let text = |value: &str| value.replace('\0', "");
    let arguments = [
        DatumWithOid::from(text(reject.server)),
        DatumWithOid::from(table),
        DatumWithOid::from(reject.operation),
        DatumWithOid::from(reject.kind),
        DatumWithOid::from(text(reject.record)),
        DatumWithOid::from(reject.remote_id.map(text)),
        DatumWithOid::from(reject.column.map(text)),
        DatumWithOid::from(Some(text(reject.symbol)).filter(|symbol| !symbol.is_empty())),
        DatumWithOid::from(text(reject.message)),
        DatumWithOid::from(reject.code.map(text)),
        DatumWithOid::from(reject.log_file.map(text)),
        DatumWithOid::from(reject.tries),
    ];
    Spi::run_with_args(
        "INSERT INTO crm.rejects (server, foreign_table, operation, kind, record, remote_id, column_name, \
         error_symbol, error_message, error_code, error_log_filename, tries) \
         VALUES ($1, $2, $3, $4, $5::pg_catalog.jsonb, $6, $7, $8, $9, $10, $11, $12)",
        &arguments,
    )
    .map_err(|error| {
        Error::new(ErrorKind::RemoteFault, "could not keep a reject").with_detail(error.to_string())
    })
}
