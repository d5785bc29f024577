//! From a kind of error to an SQLSTATE, and the report itself. The only such table.

use crm_core::{Error, ErrorKind};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// The SQLSTATE of a kind of error.
pub fn sqlstate(kind: ErrorKind) -> PgSqlErrorCode {
    match kind {
        ErrorKind::CannotConnect => {
            PgSqlErrorCode::ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION
        }
        ErrorKind::ConnectionLost => PgSqlErrorCode::ERRCODE_CONNECTION_FAILURE,
        ErrorKind::LoginRefused => PgSqlErrorCode::ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
        ErrorKind::NotPermitted => PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
        ErrorKind::ObjectUnknown => PgSqlErrorCode::ERRCODE_FDW_TABLE_NOT_FOUND,
        ErrorKind::FieldUnknown => PgSqlErrorCode::ERRCODE_FDW_COLUMN_NAME_NOT_FOUND,
        ErrorKind::OptionUnknown => PgSqlErrorCode::ERRCODE_FDW_INVALID_OPTION_NAME,
        ErrorKind::OptionMissing => PgSqlErrorCode::ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
        ErrorKind::OptionValue => PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        ErrorKind::AllotmentUsedUp => PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
        ErrorKind::RecordLocked => PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE,
        ErrorKind::DuplicateKey => PgSqlErrorCode::ERRCODE_UNIQUE_VIOLATION,
        ErrorKind::RequiredField => PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION,
        ErrorKind::LookupMissing => PgSqlErrorCode::ERRCODE_FOREIGN_KEY_VIOLATION,
        ErrorKind::ValidationRule => PgSqlErrorCode::ERRCODE_CHECK_VIOLATION,
        ErrorKind::RecordUnknown => PgSqlErrorCode::ERRCODE_NO_DATA_FOUND,
        ErrorKind::TextTooLong => PgSqlErrorCode::ERRCODE_STRING_DATA_RIGHT_TRUNCATION,
        ErrorKind::NumberOutOfRange => PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        ErrorKind::Undecodable | ErrorKind::ShortRead => {
            PgSqlErrorCode::ERRCODE_FDW_INVALID_DATA_TYPE
        }
        ErrorKind::ChangeTokenExpired => PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        ErrorKind::StorageFailed => PgSqlErrorCode::ERRCODE_IO_ERROR,
        ErrorKind::StorageCorrupt => PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
        ErrorKind::NotSupported => PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        ErrorKind::RemoteFault => PgSqlErrorCode::ERRCODE_FDW_ERROR,
    }
}

/// Raises `error` as an ERROR. Call it only when nothing borrowed is alive.
pub fn raise(error: &Error) -> ! {
    report(error, PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Says `error` as a WARNING.
pub fn warn(error: &Error) {
    report(error, PgLogLevel::WARNING);
}

fn report(error: &Error, level: PgLogLevel) {
    let mut report = ErrorReport::new(
        sqlstate(error.kind()),
        error.message().to_owned(),
        "crm_fdw",
    );
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint);
    }
    report.report(level);
}

/// Unwraps at the border to PostgreSQL: a callback or an SQL function, the only places that may raise.
pub trait OrRaise<T> {
    /// The value, or the error raised.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for crm_core::Result<T> {
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => raise(&error),
        }
    }
}
