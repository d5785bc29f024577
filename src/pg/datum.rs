//! Datums to and from the values of `crm-core`.
//!
//! [`RowWriter`] is the hot path: one allocation a row, whatever the number of columns.
#![allow(unsafe_code)]

use crate::pg::numeric;
use crm_core::{Column, ColumnData, ColumnType, MICROS_PER_DAY, Value};
use pgrx::datum::UnboxDatum;
use pgrx::{FromDatum, IntoDatum, pg_sys};
use std::ffi::CString;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * MICROS_PER_DAY;
const ALIGNMENT: usize = 8;

/// The four-byte header of a varlena of `length` bytes, header included.
pub fn varlena_header(length: usize) -> [u8; 4] {
    let length = u32::try_from(length).expect("a value is shorter than 4 GB");
    if cfg!(target_endian = "big") {
        (length & 0x3FFF_FFFF).to_ne_bytes()
    } else {
        (length << 2).to_ne_bytes()
    }
}

/// The microseconds since the Unix epoch of an instant; the nearest that there are for an infinite one.
pub fn micros(instant: pgrx::datum::TimestampWithTimeZone) -> i64 {
    since_unix_epoch(pg_sys::TimestampTz::from(instant))
}

/// Microseconds since the Unix epoch of a time as PostgreSQL counts it.
fn since_unix_epoch(since_2000: i64) -> i64 {
    match since_2000 {
        infinite @ (i64::MIN | i64::MAX) => infinite,
        micros => micros.saturating_add(EPOCH_MICROS),
    }
}

/// How values of a local column are made from a decoded one.
#[derive(Clone, Copy, Debug)]
pub struct LocalType {
    type_oid: pg_sys::Oid,
    type_modifier: i32,
    decoded: ColumnType,
    /// The decoded form is not the type's own: its input function reads the text.
    by_input: bool,
}

impl LocalType {
    /// For a column of that type and modifier.
    pub fn new(type_oid: pg_sys::Oid, type_modifier: i32) -> Self {
        let direct = match type_oid {
            pg_sys::BOOLOID => Some(ColumnType::Bool),
            pg_sys::INT4OID => Some(ColumnType::Int32),
            pg_sys::INT8OID => Some(ColumnType::Int64),
            pg_sys::FLOAT8OID => Some(ColumnType::Float64),
            pg_sys::NUMERICOID => Some(ColumnType::Numeric),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Some(ColumnType::Text),
            pg_sys::JSONOID | pg_sys::JSONBOID => Some(ColumnType::Json),
            pg_sys::DATEOID => Some(ColumnType::Date),
            pg_sys::TIMESTAMPOID => Some(ColumnType::Timestamp),
            pg_sys::TIMESTAMPTZOID => Some(ColumnType::Instant),
            pg_sys::TIMEOID => Some(ColumnType::Time),
            pg_sys::UUIDOID => Some(ColumnType::Uuid),
            pg_sys::TEXTARRAYOID => Some(ColumnType::TextArray),
            pg_sys::INT4ARRAYOID => Some(ColumnType::Int32Array),
            _ => None,
        };
        // With a modifier the input function does what an assignment would: round, or refuse what is too long.
        let has_modifier = type_modifier >= 0;
        let (decoded, by_input) = match direct {
            Some(ColumnType::Numeric) => (ColumnType::Numeric, has_modifier),
            Some(ColumnType::Text) => (ColumnType::Text, has_modifier),
            Some(direct) => (direct, false),
            None => (ColumnType::Text, true),
        };
        Self {
            type_oid,
            type_modifier,
            decoded,
            by_input,
        }
    }

    /// The column holds a value just as the CRM does: no input function rounds or refuses it on the way.
    pub fn is_faithful(self) -> bool {
        let keeps_time = !matches!(
            self.decoded,
            ColumnType::Timestamp | ColumnType::Instant | ColumnType::Time
        );
        !self.by_input && (keeps_time || self.type_modifier < 0)
    }

    /// The form in which pages carry the column's values.
    pub fn decoded(self) -> ColumnType {
        self.decoded
    }
}

/// A value that the server compares with, as the connectors know it; nothing for a type they do not.
///
/// # Safety
/// `datum` is a valid value of type `type_oid`.
pub unsafe fn to_value(type_oid: pg_sys::Oid, datum: pg_sys::Datum) -> Option<Value> {
    // SAFETY: each conversion is for the datum's own type.
    unsafe {
        Some(match type_oid {
            pg_sys::BOOLOID => Value::Bool(bool::from_datum(datum, false)?),
            pg_sys::INT2OID => Value::Int(i16::from_datum(datum, false)?.into()),
            pg_sys::INT4OID => Value::Int(i32::from_datum(datum, false)?.into()),
            pg_sys::INT8OID => Value::Int(i64::from_datum(datum, false)?),
            pg_sys::NUMERICOID => {
                Value::Numeric(pgrx::AnyNumeric::from_datum(datum, false)?.to_string())
            }
            pg_sys::FLOAT4OID => Value::Numeric(float_text(f32::from_datum(datum, false)?.into())),
            pg_sys::FLOAT8OID => Value::Numeric(float_text(f64::from_datum(datum, false)?)),
            pg_sys::DATEOID => Value::Date(match datum.value() as i32 {
                infinite @ (i32::MIN | i32::MAX) => infinite,
                days => days.saturating_add(EPOCH_DAYS),
            }),
            pg_sys::TIMESTAMPTZOID => Value::Instant(since_unix_epoch(datum.value() as i64)),
            pg_sys::TIMESTAMPOID => Value::Timestamp(since_unix_epoch(datum.value() as i64)),
            pg_sys::TEXTOID | pg_sys::VARCHAROID => Value::Text(String::from_datum(datum, false)?),
            pg_sys::UUIDOID => uuid(pgrx::Uuid::from_datum(datum, false)?),
            pg_sys::INT2ARRAYOID => list::<i16>(datum, |value| Value::Int(value.into()))?,
            pg_sys::INT4ARRAYOID => list::<i32>(datum, |value| Value::Int(value.into()))?,
            pg_sys::INT8ARRAYOID => list::<i64>(datum, Value::Int)?,
            pg_sys::NUMERICARRAYOID => {
                list::<pgrx::AnyNumeric>(datum, |value| Value::Numeric(value.to_string()))?
            }
            pg_sys::TEXTARRAYOID | pg_sys::VARCHARARRAYOID => list::<String>(datum, Value::Text)?,
            pg_sys::UUIDARRAYOID => list::<pgrx::Uuid>(datum, uuid)?,
            pg_sys::DATEARRAYOID => list::<pgrx::datum::Date>(datum, |value| {
                Value::Date(value.to_pg_epoch_days().saturating_add(EPOCH_DAYS))
            })?,
            pg_sys::TIMESTAMPTZARRAYOID => {
                list::<pgrx::datum::TimestampWithTimeZone>(datum, |value| {
                    Value::Instant(since_unix_epoch(pg_sys::TimestampTz::from(value)))
                })?
            }
            pg_sys::TIMESTAMPARRAYOID => list::<pgrx::datum::Timestamp>(datum, |value| {
                Value::Timestamp(since_unix_epoch(pg_sys::Timestamp::from(value)))
            })?,
            _ => return None,
        })
    }
}

/// A point in time as PostgreSQL counts it, from microseconds since the Unix epoch.
pub fn timestamp(micros: i64) -> pgrx::datum::TimestampWithTimeZone {
    let since_2000 = micros.saturating_sub(EPOCH_MICROS);
    pgrx::datum::TimestampWithTimeZone::try_from(since_2000)
        .unwrap_or_else(|_| pgrx::datum::TimestampWithTimeZone::positive_infinity())
}

unsafe fn list<T>(datum: pg_sys::Datum, convert: fn(T) -> Value) -> Option<Value>
where
    T: for<'a> UnboxDatum<As<'a> = T> + 'static,
{
    // SAFETY: the caller names the element type of the datum.
    let elements = unsafe { Vec::<Option<T>>::from_datum(datum, false)? };
    Some(Value::List(
        elements.into_iter().flatten().map(convert).collect(),
    ))
}

fn uuid(value: pgrx::Uuid) -> Value {
    Value::Uuid(*value.as_bytes())
}

/// The shortest decimal that reads back as the same float.
fn float_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        value.to_string()
    }
}

/// Writes rows of pages as datums into a slot's arrays.
pub struct RowWriter {
    types: Vec<LocalType>,
    inputs: Vec<Option<(pg_sys::FmgrInfo, pg_sys::Oid)>>,
}

impl RowWriter {
    /// For columns of these types, in the order of a page's columns.
    pub fn new(types: Vec<LocalType>) -> Self {
        let inputs = types
            .iter()
            .map(|local| {
                (local.by_input || local.type_oid == pg_sys::JSONBOID).then(|| input_of(local))
            })
            .collect();
        Self { types, inputs }
    }

    /// The datum of each column of `row`; `emit` gets the column's place, and nothing for null.
    /// Values live in the current memory context.
    pub fn write(
        &mut self,
        columns: &[Column],
        row: usize,
        mut emit: impl FnMut(usize, Option<pg_sys::Datum>),
    ) {
        let size = columns.iter().map(|column| room_for(column, row)).sum();
        let mut arena = Arena::new(size);
        for (at, column) in columns.iter().enumerate() {
            if column.is_null(row) {
                emit(at, None);
                continue;
            }
            emit(at, Some(self.datum(at, column, row, &mut arena)));
        }
    }

    fn datum(
        &mut self,
        at: usize,
        column: &Column,
        row: usize,
        arena: &mut Arena,
    ) -> pg_sys::Datum {
        let local = self.types[at];
        if let (Some((function, parameter)), Some(text)) = (&mut self.inputs[at], column.text(row))
        {
            return read_text(function, *parameter, local.type_modifier, text);
        }
        match column.data() {
            ColumnData::Bool(values) => pg_sys::Datum::from(values[row]),
            ColumnData::Int32(values) => pg_sys::Datum::from(values[row]),
            ColumnData::Int64(values) | ColumnData::Time(values) => {
                pg_sys::Datum::from(values[row])
            }
            ColumnData::Float64(values) => pg_sys::Datum::from(values[row].to_bits()),
            ColumnData::Date(values) => pg_sys::Datum::from(values[row] - EPOCH_DAYS),
            ColumnData::Timestamp(values) | ColumnData::Instant(values) => {
                pg_sys::Datum::from(values[row] - EPOCH_MICROS)
            }
            ColumnData::Text(texts) | ColumnData::Json(texts) => arena.text(texts.get(row)),
            ColumnData::Numeric(texts) => arena
                .numeric(texts.get(row))
                .unwrap_or_else(|| numeric_by_input(texts.get(row))),
            ColumnData::Uuid(values) => arena.bytes(&values[row]),
            ColumnData::TextArray(lists) => {
                let texts: Vec<&str> = lists
                    .range(row)
                    .map(|element| lists.elements().get(element))
                    .collect();
                texts.into_datum().expect("a list is not null")
            }
            ColumnData::Int32Array(lists) => lists.elements()[lists.range(row)]
                .to_vec()
                .into_datum()
                .expect("a list is not null"),
        }
    }
}

/// Bytes a value may take in the row's arena, rounded up to its alignment.
fn room_for(column: &Column, row: usize) -> usize {
    let bytes = match column.data() {
        ColumnData::Text(texts) | ColumnData::Json(texts) => 4 + texts.get(row).len(),
        ColumnData::Numeric(texts) => numeric::longest(texts.get(row).len()),
        ColumnData::Uuid(_) => 16,
        _ => 0,
    };
    bytes.next_multiple_of(ALIGNMENT)
}

/// Room for one row's by-reference values.
struct Arena {
    start: *mut u8,
    free: usize,
}

impl Arena {
    fn new(size: usize) -> Self {
        let start = if size == 0 {
            std::ptr::null_mut()
        } else {
            // SAFETY: allocates in the current context, which outlives the row.
            unsafe { pg_sys::palloc(size).cast() }
        };
        Self { start, free: size }
    }

    /// The next `length` bytes, aligned.
    fn take(&mut self, length: usize) -> &mut [u8] {
        let whole = length.next_multiple_of(ALIGNMENT);
        assert!(
            whole <= self.free,
            "a row's values fit the room counted for them"
        );
        self.free -= whole;
        let taken = self.start;
        // SAFETY: `whole` bytes are left, and no earlier slice reaches into them.
        unsafe {
            self.start = self.start.add(whole);
            std::slice::from_raw_parts_mut(taken, length)
        }
    }

    fn text(&mut self, text: &str) -> pg_sys::Datum {
        let length = 4 + text.len();
        let room = self.take(length);
        room[..4].copy_from_slice(&varlena_header(length));
        room[4..].copy_from_slice(text.as_bytes());
        pg_sys::Datum::from(room.as_mut_ptr())
    }

    fn bytes(&mut self, bytes: &[u8]) -> pg_sys::Datum {
        let room = self.take(bytes.len());
        room.copy_from_slice(bytes);
        pg_sys::Datum::from(room.as_mut_ptr())
    }

    fn numeric(&mut self, text: &str) -> Option<pg_sys::Datum> {
        let room = self.take(numeric::longest(text.len()));
        numeric::encode(text, room)?;
        Some(pg_sys::Datum::from(room.as_mut_ptr()))
    }
}

fn numeric_by_input(text: &str) -> pg_sys::Datum {
    let (mut function, parameter) = input_of(&LocalType::new(pg_sys::NUMERICOID, -1));
    read_text(&mut function, parameter, -1, text)
}

fn input_of(local: &LocalType) -> (pg_sys::FmgrInfo, pg_sys::Oid) {
    let mut input = pg_sys::InvalidOid;
    let mut parameter = pg_sys::InvalidOid;
    let mut function = pg_sys::FmgrInfo::default();
    // SAFETY: look-ups in the catalog; the function's information lives in the current context.
    unsafe {
        pg_sys::getTypeInputInfo(local.type_oid, &raw mut input, &raw mut parameter);
        pg_sys::fmgr_info(input, &raw mut function);
    }
    (function, parameter)
}

fn read_text(
    function: &mut pg_sys::FmgrInfo,
    parameter: pg_sys::Oid,
    type_modifier: i32,
    text: &str,
) -> pg_sys::Datum {
    let text = CString::new(text).unwrap_or_default();
    // SAFETY: the function is the type's input function; it copies what it keeps.
    unsafe {
        pg_sys::InputFunctionCall(function, text.as_ptr().cast_mut(), parameter, type_modifier)
    }
}

/// The value of a constant expression: nothing if it is none, an absent value if it is null or of a type that
/// connectors do not compare.
pub fn to_constant(expression: crate::pg::expr::Expression<'_>) -> Option<Option<Value>> {
    let (type_oid, datum) = expression.constant()?;
    // SAFETY: the datum is the constant's own, of its own type.
    Some(datum.and_then(|datum| unsafe { to_value(type_oid, datum) }))
}
