//! Microsoft Dynamics as the sandbox shows it, one fixture for each deployment.

use crm_core::{ColumnType, Conversion, ErrorKind, Route, Value};
use crm_dynamics::DYNAMICS as CONNECTOR;
use crm_sandbox::Sandbox;
use crm_tests::{
    Crm, DYNAMICS, DYNAMICS_2015, DYNAMICS_ADFS, DYNAMICS_APPLICATION, DYNAMICS_CLAIMS,
    DYNAMICS_NTLM, DYNAMICS_OFFICE_365, Options,
};

use crate::fixture::{Fixture, Paths, Records, SignIn, Typed, Writes};

/// Online, by password.
pub static FIXTURE: Fixture = fixture(&DYNAMICS, 1, ANY_LEAD);
/// Online, user name and password alone.
pub static OFFICE_365: Fixture = fixture(&DYNAMICS_OFFICE_365, 1, ANY_LEAD);
/// On premise, with a Windows account.
pub static NTLM: Fixture = fixture(&DYNAMICS_NTLM, 0, REDIRECT);
/// On premise, behind AD FS.
pub static ADFS: Fixture = Fixture {
    asks: [1, 1],
    refused: |sandbox| refused_on_premise(&ADFS, sandbox),
    ..fixture(&DYNAMICS_ADFS, 1, REDIRECT)
};
/// On premise, SOAP with a signed token of AD FS.
pub static CLAIMS: Fixture = by_soap(Fixture {
    refused: |sandbox| refused_on_premise(&CLAIMS, sandbox),
    ..fixture(&DYNAMICS_CLAIMS, 1, REDIRECT)
});
/// CRM 2015, SOAP with a Windows account.
pub static CRM_2015: Fixture = by_soap(fixture(&DYNAMICS_2015, 0, REDIRECT));

/// What leads to another host and is an error.
const ANY_LEAD: &[&str] = &["foreign_next_link", "redirect"];
/// On premise the path of a next link is used on the server's own host, whatever host it names.
const REDIRECT: &[&str] = &["redirect"];

const TEXT: &str = "StringType";

const fn fixture(crm: &'static Crm, login_calls: u64, leads: &'static [&'static str]) -> Fixture {
    Fixture {
        connector: &CONNECTOR,
        crm,
        sign_ins,
        login_calls,
        asks: [0, 0],
        refused: refused_online,
        retired: None,
        organisation: ["contosotest", "contosotest"],
        paths: Paths {
            sign_in: "/oauth2/",
            first: "/contacts?",
            next: "skiptoken",
            before_next: 0,
            objects: "/EntityDefinitions",
        },
        records: Records {
            object: "contact",
            identifier: ("contactid", "UniqueidentifierType"),
            text: ("fullname", TEXT),
            number: ("new_score", "DecimalType"),
            moment: ("modifiedon", "DateTimeType:UserLocal"),
            unknown_identifier: "00000000-0000-4000-8000-00000000000a",
        },
        wide: ("new_wide", 200),
        has_custom: true,
        leads,
        throttled: ErrorKind::AllotmentUsedUp,
        not_taken: ErrorKind::LoginRefused,
        page_sizes: (5_000, 500),
        // As SQL Server sorts: null before everything.
        orders: &[(false, true), (true, false)],
        lookup_size: 5_000,
        listing_calls: 4,
        describe_calls: |objects| objects,
        tells_usage: false,
        variants: None,
        writes: Writes {
            object: "contact",
            required: ("lastname", TEXT),
            also: &[],
            optional: ("emailaddress1", TEXT),
            key: ("new_externalkey", TEXT),
            unknown_identifier: "00000000-0000-4000-8000-00000000000a",
            refused: &[
                ("Refused by rule", "IsvAborted"),
                (
                    "A name of more than a hundred characters, which is as many as the last name of a contact may have in this organisation",
                    "0x80044331",
                ),
            ],
            locked: "0x80044150",
            method: Some("POST"),
            path: "/contacts",
            routes: &[Route::Calls],
            job_paths: &[],
            calls: &[11],
            typed: "new_alltypes",
            values,
            unfit,
            untracked: Some("new_wide"),
            typed_key: Some(("new_code", TEXT)),
            forbidden_calls: 1,
            log_days: None,
        },
    }
}

/// The same by SOAP, where what a message says tells it apart, not its address.
const fn by_soap(web: Fixture) -> Fixture {
    Fixture {
        paths: Paths {
            sign_in: "/adfs/services/trust/",
            first: "fetch:contact",
            next: "fetch:contact",
            before_next: 1,
            objects: ":RetrieveAllEntities",
        },
        writes: Writes {
            method: None,
            path: ":ExecuteMultiple",
            ..web.writes
        },
        ..web
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
            ("new_name", TEXT),
            ColumnType::Text,
            vec![
                text("plain"),
                text("a \"quote\", a comma; ünïcödé 😀"),
                text("NULL"),
            ],
        ),
        plain(
            ("new_memo", "MemoType"),
            ColumnType::Text,
            vec![
                text("two\nlines"),
                text("'single' \\ back"),
                text("--batch\r\nHTTP/1.1 200 OK"),
            ],
        ),
        plain(
            ("new_yesno", "BooleanType"),
            ColumnType::Bool,
            vec![Value::Bool(true), Value::Bool(false), Value::Bool(true)],
        ),
        plain(
            ("new_whole", "IntegerType"),
            ColumnType::Int32,
            vec![Value::Int(-5), Value::Int(2_147_483_647), Value::Int(0)],
        ),
        plain(
            ("new_decimal", "DecimalType"),
            ColumnType::Numeric,
            vec![
                numeric("12345678901.12345"),
                numeric("-0.00001"),
                numeric("20.50000"),
            ],
        ),
        plain(
            ("new_day", "DateTimeType:DateOnly"),
            ColumnType::Date,
            vec![Value::Date(0), Value::Date(-73_000), Value::Date(19_782)],
        ),
        plain(
            ("new_whenlocal", "DateTimeType:UserLocal"),
            ColumnType::Instant,
            moments.map(Value::Instant).to_vec(),
        ),
        Typed {
            field: ("new_whenlocal", "DateTimeType:UserLocal"),
            column_type: ColumnType::Timestamp,
            conversion: Conversion::WithoutTimeOffset,
            values: moments.map(Value::Timestamp).to_vec(),
        },
        plain(
            ("new_choice", "PicklistType"),
            ColumnType::Int32,
            vec![Value::Int(100_000_000), Value::Int(100_000_001)],
        ),
        Typed {
            field: ("new_decimal", "DecimalType"),
            column_type: ColumnType::Text,
            conversion: Conversion::CopyPaste,
            values: vec![text("12.50000"), text("0.25000"), text("-7.75000")],
        },
    ]
}

fn unfit() -> Vec<(&'static str, Value)> {
    vec![
        ("new_name", Value::Text("x".repeat(2_001))),
        ("new_choice", Value::Int(77)),
        ("new_decimal", Value::Numeric("123456789012345.5".into())),
    ]
}

fn sign_ins(sandbox: &Sandbox) -> Vec<SignIn> {
    let told = |name: &str| {
        let text = &sandbox.description()["dynamics"][name];
        text.as_str().expect("a text").to_owned()
    };
    let form = |auth, calls, crm: &Crm| {
        let user = match auth {
            "client_credentials" => "application@contoso.test".to_owned(),
            _ => told("username"),
        };
        let mut options = (crm.server)(sandbox);
        options.extend((crm.mapping)(sandbox));
        SignIn {
            auth,
            user,
            calls,
            options,
        }
    };
    vec![
        form("password", 1, &DYNAMICS),
        form("client_credentials", 1, &DYNAMICS_APPLICATION),
        form("password", 1, &DYNAMICS_OFFICE_365),
        form("ntlm", 0, &DYNAMICS_NTLM),
        form("adfs", 1, &DYNAMICS_ADFS),
        form("ws_trust", 1, &DYNAMICS_CLAIMS),
        form("ntlm", 0, &DYNAMICS_2015),
    ]
}

fn refused_on_premise(fixture: &Fixture, sandbox: &Sandbox) -> Vec<Options> {
    vec![
        fixture.changed(sandbox, "password", "TEST-wrong"),
        fixture.changed(sandbox, "username", "CONTOSO\\TEST-nobody"),
    ]
}

fn refused_online(sandbox: &Sandbox) -> Vec<Options> {
    let told = |name: &str| {
        let text = &sandbox.description()["dynamics"][name];
        text.as_str().expect("a text").to_owned()
    };
    let changed = |name, value: &str| FIXTURE.changed(sandbox, name, value);
    vec![
        changed("password", "TEST-wrong"),
        changed("username", "TEST-nobody@contoso.test"),
        changed("username", &told("expired_username")),
        changed("username", &told("mfa_username")),
        changed("username", &told("disabled_username")),
        changed("tenant", "other-tenant.example"),
        changed("client_id", "00000000-0000-4000-8000-000000000000"),
    ]
}
