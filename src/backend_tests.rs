//! Tests that need a backend but no CRM: datums, expressions, plan data.
#![allow(unsafe_code)]

pub mod crm;
mod identifiers;

#[pgrx::pg_schema]
mod tests {
    use crate::pg::datum::{LocalType, RowWriter};
    use crate::pg::numeric;
    use crate::pg::written::to_written;
    use crate::plan::private::ScanPlan;
    use crm_core::{CellDecoder, Column, Conversion, Raw, Value, Zone};
    use pgrx::prelude::*;
    use std::ffi::CString;

    /// The bytes of the server's own `numeric` for a text.
    fn server_numeric(text: &str) -> Vec<u8> {
        let c_text = CString::new(text).unwrap();
        // SAFETY: numeric_in reads the string and gives a varlena in the current context.
        unsafe {
            let datum = pg_sys::OidInputFunctionCall(
                pg_sys::F_NUMERIC_IN.into(),
                c_text.as_ptr().cast_mut(),
                pg_sys::NUMERICOID,
                -1,
            );
            let start = datum.cast_mut_ptr::<u8>();
            let length = pgrx::varlena::varsize_any(start.cast());
            std::slice::from_raw_parts(start, length).to_vec()
        }
    }

    #[pg_test]
    fn decimals_are_the_bytes_the_server_would_make() {
        for text in [
            "0",
            "-0",
            "0.00",
            "1",
            "-1",
            "10",
            "9999",
            "10000",
            "10001",
            "100000000",
            "0.1",
            "0.0001",
            "0.00001",
            "-0.00000001",
            "123456789.987654321",
            "20000.0000",
            "00012.500",
            "99999999999999999999999999999999.99",
            "+7",
            "1.",
            ".5",
            "-.05",
        ] {
            let mut room = vec![0_u8; numeric::longest(text.len())];
            let length = numeric::encode(text, &mut room).expect(text);
            assert_eq!(room[..length], server_numeric(text), "{text}");
        }
        for general in ["1e5", "", "-", "x", &format!("0.{}1", "0".repeat(80))] {
            let mut room = vec![0_u8; numeric::longest(general.len())];
            assert_eq!(numeric::encode(general, &mut room), None, "{general}");
        }
    }

    /// What a raw value of the wire becomes in a column of that SQL type, as the server prints it.
    fn shown(sql_type: &str, conversion: Conversion, raw: Raw<'_>) -> Option<String> {
        let type_oid = Spi::get_one::<pg_sys::Oid>(&format!("SELECT '{sql_type}'::regtype::oid"))
            .unwrap()
            .unwrap();
        let local = LocalType::new(type_oid, -1);
        let mut column = Column::new(local.decoded());
        let decoder = CellDecoder {
            column_type: local.decoded(),
            conversion,
            zone: "Europe/Vienna".parse::<Zone>().unwrap(),
            separator: ';',
        };
        decoder.append(raw, &mut column).unwrap();
        let mut shown = None;
        RowWriter::new(vec![local]).write(&[column], 0, |_, datum| {
            shown = datum.map(|datum| {
                let mut output = pg_sys::InvalidOid;
                let mut is_varlena = false;
                // SAFETY: the datum is of the type whose output function is looked up.
                unsafe {
                    pg_sys::getTypeOutputInfo(type_oid, &raw mut output, &raw mut is_varlena);
                    let text = pg_sys::OidOutputFunctionCall(output, datum);
                    std::ffi::CStr::from_ptr(text).to_str().unwrap().to_owned()
                }
            });
        });
        shown
    }

    #[pg_test]
    fn every_type_arrives_as_the_server_prints_it() {
        Spi::run("SET timezone = 'UTC'; SET datestyle = 'ISO'").unwrap();
        let instant = Raw::Text("2024-07-01T22:30:00.123+0000");
        for (sql_type, conversion, raw, expected) in [
            (
                "text",
                Conversion::Default,
                Raw::Text("Füße 😀"),
                Some("Füße 😀"),
            ),
            ("text", Conversion::Default, Raw::Null, None),
            ("varchar", Conversion::Default, Raw::Text(""), Some("")),
            ("boolean", Conversion::Default, Raw::Bool(true), Some("t")),
            (
                "integer",
                Conversion::Default,
                Raw::Number("-7"),
                Some("-7"),
            ),
            (
                "smallint",
                Conversion::Default,
                Raw::Number("12"),
                Some("12"),
            ),
            (
                "bigint",
                Conversion::Default,
                Raw::Number("9007199254740993"),
                Some("9007199254740993"),
            ),
            (
                "double precision",
                Conversion::Default,
                Raw::Number("0.1"),
                Some("0.1"),
            ),
            (
                "numeric",
                Conversion::Default,
                Raw::Number("20000.0000"),
                Some("20000.0000"),
            ),
            (
                "numeric",
                Conversion::Default,
                Raw::Number("1.5E3"),
                Some("1500"),
            ),
            (
                "date",
                Conversion::Default,
                Raw::Text("0001-01-01"),
                Some("0001-01-01"),
            ),
            ("date", Conversion::DateOnly, instant, Some("2024-07-02")),
            (
                "timestamptz",
                Conversion::Default,
                instant,
                Some("2024-07-01 22:30:00.123+00"),
            ),
            (
                "timestamp",
                Conversion::Default,
                instant,
                Some("2024-07-02 00:30:00.123"),
            ),
            (
                "timestamp",
                Conversion::WithoutTimeOffset,
                instant,
                Some("2024-07-01 22:30:00.123"),
            ),
            (
                "text",
                Conversion::CopyPaste,
                instant,
                Some("2024-07-01T22:30:00.123+0000"),
            ),
            (
                "time",
                Conversion::Default,
                Raw::Text("14:30:00.000Z"),
                Some("14:30:00"),
            ),
            (
                "uuid",
                Conversion::Default,
                Raw::Text("6FAB1E63-4A4C-4DD3-8FA9-2B8A3F4C5D6E"),
                Some("6fab1e63-4a4c-4dd3-8fa9-2b8a3f4c5d6e"),
            ),
            (
                "jsonb",
                Conversion::Default,
                Raw::Json("{\"b\":1,\"a\":[2]}"),
                Some("{\"a\": [2], \"b\": 1}"),
            ),
            (
                "json",
                Conversion::Default,
                Raw::Json("{\"b\":1}"),
                Some("{\"b\":1}"),
            ),
            (
                "text[]",
                Conversion::Default,
                Raw::Text("a;b c"),
                Some("{a,\"b c\"}"),
            ),
            (
                "integer[]",
                Conversion::Default,
                Raw::Text("1;2"),
                Some("{1,2}"),
            ),
            (
                "inet",
                Conversion::Default,
                Raw::Text("10.0.0.1"),
                Some("10.0.0.1"),
            ),
        ] {
            assert_eq!(
                shown(sql_type, conversion, raw).as_deref(),
                expected,
                "{sql_type} {raw:?}"
            );
        }
    }

    /// What a text that PostgreSQL reads as that SQL type is to a connector.
    fn written(sql_type: &str, text: &str) -> Result<Value, String> {
        let query = format!("SELECT '{sql_type}'::regtype::oid");
        let type_oid = Spi::get_one::<pg_sys::Oid>(&query).unwrap().unwrap();
        let c_text = CString::new(text).unwrap();
        let (mut input, mut parameter) = (pg_sys::InvalidOid, pg_sys::InvalidOid);
        // SAFETY: the datum is made by the input function of its own type.
        unsafe {
            pg_sys::getTypeInputInfo(type_oid, &raw mut input, &raw mut parameter);
            let text = c_text.as_ptr().cast_mut();
            to_written(
                type_oid,
                pg_sys::OidInputFunctionCall(input, text, parameter, -1),
            )
        }
    }

    #[pg_test]
    fn every_type_is_written_as_the_value_it_holds() {
        Spi::run(
            "SET timezone = 'Europe/Vienna'; SET datestyle = 'German';
             CREATE DOMAIN amount AS numeric(8, 3); CREATE TYPE mood AS ENUM ('glad', 'sad')",
        )
        .unwrap();
        let text = |text: &str| Value::Text(text.into());
        let digits = |digits: &str| Value::Numeric(digits.into());
        for (sql_type, given, expected) in [
            ("boolean", "on", Value::Bool(true)),
            ("smallint", "-7", Value::Int(-7)),
            ("integer", "2147483647", Value::Int(2_147_483_647)),
            ("bigint", "-9223372036854775808", Value::Int(i64::MIN)),
            ("numeric", "1.50", digits("1.50")),
            ("numeric", "1e20", digits("100000000000000000000")),
            ("numeric", "NaN", digits("NaN")),
            ("amount", "2.5", digits("2.500")),
            ("text", " a ", text(" a ")),
            ("varchar", "ä", text("ä")),
            ("bpchar", "a", text("a")),
            ("mood", "sad", text("sad")),
            ("inet", "10.0.0.1", text("10.0.0.1")),
            ("date", "1970-01-02", Value::Date(1)),
            ("date", "infinity", Value::Date(i32::MAX)),
            (
                "timestamptz",
                "1970-01-01 01:00:01",
                Value::Instant(1_000_000),
            ),
            ("timestamptz", "-infinity", Value::Instant(i64::MIN)),
            (
                "timestamp",
                "1970-01-01 01:00:01",
                Value::Timestamp(3_601_000_000),
            ),
            ("timestamp", "infinity", Value::Timestamp(i64::MAX)),
            ("time", "00:00:01.5", Value::Time(1_500_000)),
            (
                "uuid",
                "00000000-0000-0000-0000-0000000000ff",
                Value::Uuid(0xff_u128.to_be_bytes()),
            ),
            (
                "jsonb",
                "{\"b\":1, \"a\":2}",
                Value::Json("{\"a\": 2, \"b\": 1}".into()),
            ),
            ("json", "[1,  2]", Value::Json("[1,  2]".into())),
            (
                "text[]",
                "{a,\"b c\"}",
                Value::List(vec![text("a"), text("b c")]),
            ),
            ("varchar[]", "{}", Value::List(Vec::new())),
            (
                "integer[]",
                "{1,-2}",
                Value::List(vec![Value::Int(1), Value::Int(-2)]),
            ),
        ] {
            assert_eq!(written(sql_type, given), Ok(expected), "{sql_type} {given}");
        }
        for (sql_type, given) in [("double precision", "0.1"), ("real", "0.1")] {
            let Ok(Value::Numeric(digits)) = written(sql_type, given) else {
                panic!("{sql_type} is a number");
            };
            assert_eq!(digits.parse::<f32>(), Ok(0.1), "{sql_type}: {digits}");
        }
        assert!(written("text[]", "{a,NULL}").is_err());
        assert!(written("integer[]", "{NULL}").is_err());
    }

    #[pg_test]
    fn a_remote_name_becomes_one_that_needs_no_quotes() {
        for (remote, keep_case, expected) in [
            ("AnnualRevenue", false, "annualrevenue"),
            ("AnnualRevenue", true, "AnnualRevenue"),
            ("customerid@type", false, "customerid_type"),
            ("Rabatt_für_Händler__c", false, "rabatt_für_händler__c"),
        ] {
            assert_eq!(crate::exec::import::local_name(remote, keep_case), expected);
        }
    }

    #[pg_test]
    fn a_plan_survives_the_plan_node() {
        let plan = ScanPlan {
            object: "Account".into(),
            collection: None,
            identifier: "Id".into(),
            outputs: Vec::new(),
            filter_fields: Vec::new(),
            filter: Some(crm_core::Filter::Compare {
                field: "AnnualRevenue".into(),
                operator: crm_core::Operator::Greater,
                value: crm_core::Operand::Constant(crm_core::Value::Numeric("1e6".into())),
            }),
            lookup: None,
            sort: Vec::new(),
            limit: Some(10),
            aggregates: Vec::new(),
            fetch_size: None,
            stop_at_reject: false,
            stop_at_short_read: true,
            trusts_identifiers: false,
            notes: Vec::new(),
            texts: Vec::new(),
            estimated_rows: 1e6,
            estimated_calls: 500.0,
        };
        let list = crate::pg::list::carrying_text(&plan.to_text());
        // SAFETY: the list was made a line above, and a plan node's list is copied like this.
        let copied = unsafe {
            let copy = pg_sys::copyObjectImpl(list.cast()).cast();
            ScanPlan::from_text(crate::pg::list::carried_text(copy))
        };
        assert_eq!(copied.to_text(), plan.to_text());
        assert_eq!(copied.limit, Some(10));
    }
}
