//! Datums of rows to be written, as the connectors take them.
//! Unlike a value that is compared with, a written one always has a form: what no connector knows goes as text.
#![allow(unsafe_code)]

use crate::pg::catalog::text_of;
use crate::pg::datum::to_value;
use crm_core::Value;
use pgrx::{FromDatum, pg_sys};

/// A value of a row that is written.
///
/// # Errors
/// A list with an empty element, which no CRM can hold.
///
/// # Safety
/// `datum` is a valid value of type `type_oid`.
pub unsafe fn to_written(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> Result<Value, String> {
    // SAFETY: each conversion is for the datum's own type, or for the type that its domain is over.
    unsafe {
        let base = pg_sys::getBaseType(type_oid);
        let value = match base {
            pg_sys::TIMEOID => Value::Time(datum.value() as i64),
            pg_sys::JSONOID | pg_sys::JSONBOID => Value::Json(as_text(base, datum)),
            pg_sys::TEXTARRAYOID | pg_sys::VARCHARARRAYOID => list::<String>(datum, Value::Text)?,
            pg_sys::INT4ARRAYOID => list::<i32>(datum, |number| Value::Int(number.into()))?,
            _ => match to_value(base, datum) {
                Some(value) => value,
                None => Value::Text(as_text(base, datum)),
            },
        };
        Ok(value)
    }
}

unsafe fn list<T>(datum: pg_sys::Datum, convert: fn(T) -> Value) -> Result<Value, String>
where
    T: FromDatum + for<'a> pgrx::datum::UnboxDatum<As<'a> = T> + 'static,
{
    // SAFETY: the caller names the element type of the datum.
    let elements = unsafe { Vec::<Option<T>>::from_datum(datum, false) }.unwrap_or_default();
    let values: Option<Vec<Value>> = elements
        .into_iter()
        .map(|element| element.map(convert))
        .collect();
    values
        .map(Value::List)
        .ok_or_else(|| "a list holds an empty element".into())
}

/// What the type's output function writes.
unsafe fn as_text(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> String {
    let mut output = pg_sys::InvalidOid;
    let mut is_varlena = false;
    // SAFETY: the output function of the datum's own type; its text lives in the current memory context.
    unsafe {
        pg_sys::getTypeOutputInfo(type_oid, &raw mut output, &raw mut is_varlena);
        text_of(pg_sys::OidOutputFunctionCall(output, datum)).to_owned()
    }
}
