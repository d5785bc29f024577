//! Oracle CRM On Demand as the sandbox shows it.

use crm_core::{ColumnType, Conversion, ErrorKind, Route, Value};
use crm_oracle::ORACLE as CONNECTOR;
use crm_sandbox::Sandbox;
use crm_tests::{Crm, ORACLE, ORACLE_WS_SECURITY, Options};

use crate::fixture::{Fixture, Paths, Records, SignIn, Typed, Writes};

/// Signed in by a session of its own.
pub static FIXTURE: Fixture = fixture(&ORACLE, 1);
/// Signed in by the header of each message.
pub static WS_SECURITY: Fixture = fixture(&ORACLE_WS_SECURITY, 0);

const TEXT: &str = "Text (Short)";

const fn fixture(crm: &'static Crm, login_calls: u64) -> Fixture {
    Fixture {
        connector: &CONNECTOR,
        crm,
        sign_ins,
        login_calls,
        asks: [0, 0],
        refused,
        retired: None,
        organisation: ["TESTCO", "TESTCO"],
        paths: Paths {
            sign_in: "command=login",
            first: ":ContactQueryPage",
            next: ":ContactQueryPage",
            before_next: 1,
            objects: ":GetServerTime",
        },
        records: Records {
            object: "Contact",
            identifier: ("Id", "ID"),
            text: ("ContactLastName", TEXT),
            number: ("CustomNumber0", "Number"),
            moment: ("ModifiedDate", "Date/Time"),
            unknown_identifier: "1QA2-ZZZZZZ",
        },
        wide: ("Contact", 50),
        has_custom: false,
        leads: &["redirect"],
        throttled: ErrorKind::ConnectionLost,
        not_taken: ErrorKind::ConnectionLost,
        page_sizes: (100, 20),
        orders: &[],
        lookup_size: 100,
        listing_calls: 2,
        describe_calls: |objects| 3 * objects,
        tells_usage: false,
        variants: None,
        writes: Writes {
            object: "Contact",
            required: ("ContactLastName", TEXT),
            also: &[(("ContactFirstName", TEXT), "Given")],
            optional: ("JobTitle", TEXT),
            key: ("ExternalSystemId", TEXT),
            unknown_identifier: "1QA2-ZZZZZZ",
            refused: &[
                ("", "SBL-EAI-04316"),
                ("Refused by rule", "SBL-EAI-04316"),
                (
                    "A name of more than fifty characters, which is as many as a last name may have",
                    "SBL-EAI-04316",
                ),
            ],
            locked: "SBL-DAT-00523",
            method: None,
            path: ":Contact",
            routes: &[Route::Calls],
            job_paths: &[],
            calls: &[501],
            typed: "ServiceRequest",
            values,
            unfit,
            untracked: None,
            typed_key: None,
            forbidden_calls: 2,
            log_days: None,
        },
    }
}

fn values() -> Vec<Typed> {
    let text = |text: &str| Value::Text(text.into());
    let numeric = |digits: &str| Value::Numeric(digits.into());
    let plain = |field, column_type, values| Typed {
        field,
        column_type,
        conversion: Conversion::Default,
        values,
    };
    // 2024-07-01T12:34:56Z, 1970-01-01, a second before.
    let moments = [1_719_837_296_000_000, 0, -1_000_000];
    vec![
        plain(
            ("CustomText0", TEXT),
            ColumnType::Text,
            vec![
                text("plain"),
                text("a \"quote\", a comma; <tag> & ünïcödé 😀"),
                text("NULL"),
            ],
        ),
        plain(
            ("Description", "Text (Long)"),
            ColumnType::Text,
            vec![text("two\nlines"), text("'single' \\ back"), text("]]>")],
        ),
        plain(
            ("CustomBoolean0", "Checkbox"),
            ColumnType::Bool,
            vec![Value::Bool(true), Value::Bool(false), Value::Bool(true)],
        ),
        plain(
            ("CustomInteger0", "Integer"),
            ColumnType::Int32,
            vec![Value::Int(-5), Value::Int(2_147_483_647), Value::Int(0)],
        ),
        plain(
            ("CustomNumber0", "Number"),
            ColumnType::Numeric,
            vec![
                numeric("123456.123456"),
                numeric("-0.000001"),
                numeric("20.5"),
            ],
        ),
        plain(
            ("CustomDate25", "Date"),
            ColumnType::Date,
            vec![Value::Date(0), Value::Date(19_782), Value::Date(-365)],
        ),
        plain(
            ("CustomDate0", "Date/Time"),
            ColumnType::Instant,
            moments.map(Value::Instant).to_vec(),
        ),
        Typed {
            field: ("CustomDate0", "Date/Time"),
            column_type: ColumnType::Date,
            conversion: Conversion::DateOnly,
            values: vec![Value::Date(0), Value::Date(19_782), Value::Date(-365)],
        },
        Typed {
            field: ("CustomNumber0", "Number"),
            column_type: ColumnType::Text,
            conversion: Conversion::CopyPaste,
            values: vec![text("12.5"), text("0.25"), text("-7.75")],
        },
    ]
}

/// What the service would store as nothing, silently, is refused here; what it refuses itself, with its symbol.
fn unfit() -> Vec<(&'static str, Value)> {
    vec![("CustomText0", Value::Text("x".repeat(256)))]
}

fn sign_ins(sandbox: &Sandbox) -> Vec<SignIn> {
    let form = |auth, calls, fixture: &Fixture| SignIn {
        auth,
        user: sandbox.oracle.username.clone(),
        calls,
        options: fixture.usual(sandbox),
    };
    vec![
        form("session", 1, &FIXTURE),
        form("ws_security", 0, &WS_SECURITY),
    ]
}

fn refused(sandbox: &Sandbox) -> Vec<Options> {
    let changed = |name: &'static str, value: &str| {
        let mut options = FIXTURE.usual(sandbox);
        options.retain(|option| option.0 != name);
        options.push((name, value.to_owned()));
        options
    };
    vec![
        changed("password", "TEST-wrong"),
        changed("username", "TESTCO/nobody"),
    ]
}
