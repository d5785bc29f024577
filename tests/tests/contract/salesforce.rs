//! Salesforce as the sandbox shows it.

use crm_core::{ColumnType, Conversion, ErrorKind, Route, Value};
use crm_salesforce::SALESFORCE;
use crm_sandbox::Sandbox;
use crm_tests::{Options, SALESFORCE as SALESFORCE_CRM};

use crate::fixture::{Fixture, Paths, Records, SignIn, Typed, Writes};

pub static FIXTURE: Fixture = Fixture {
    connector: &SALESFORCE,
    crm: &SALESFORCE_CRM,
    sign_ins,
    login_calls: 1,
    asks: [0, 0],
    refused,
    retired: Some(("api_version", "25.0")),
    organisation: ["CRM Sandbox Test Org", "00D5x0000000001EAA"],
    paths: Paths {
        sign_in: "/token",
        first: "/query?",
        next: "/query/",
        before_next: 0,
        objects: "/sobjects",
    },
    records: Records {
        object: "Contact",
        identifier: ("Id", "id"),
        text: ("Name", "string"),
        number: ("Score__c", "double"),
        moment: ("LastModifiedDate", "datetime"),
        unknown_identifier: "003000009zzzzzzAAA",
    },
    wide: ("Wide__c", 200),
    has_custom: true,
    leads: &["foreign_next_link", "redirect"],
    throttled: ErrorKind::AllotmentUsedUp,
    not_taken: ErrorKind::LoginRefused,
    page_sizes: (2_000, 200),
    orders: &[(false, false), (false, true), (true, false), (true, true)],
    lookup_size: 2_000,
    listing_calls: 2,
    describe_calls: |objects| objects.div_ceil(25),
    tells_usage: true,
    variants: Some(("Custom__c", 2)),
    writes: Writes {
        object: "Contact",
        required: ("LastName", "string"),
        also: &[],
        optional: ("Email", "email"),
        key: ("ExternalKey__c", "string"),
        unknown_identifier: "003000009zzzzzzAAA",
        refused: &[
            ("", "REQUIRED_FIELD_MISSING"),
            ("Refused by rule", "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
            (
                "A name of more than eighty characters, which is as many as the last name of a contact may have",
                "STRING_TOO_LONG",
            ),
        ],
        locked: "UNABLE_TO_LOCK_ROW",
        method: None,
        path: "/composite/sobjects",
        routes: &[Route::Calls, Route::Job],
        job_paths: &["/batches", "jobs/ingest/", "successfulResults"],
        calls: &[51, 11],
        typed: "AllTypes__c",
        values,
        unfit,
        untracked: Some("UserLicense"),
        typed_key: None,
        forbidden_calls: 1,
        log_days: Some((30, 15)),
    },
};

fn values() -> Vec<Typed> {
    let text = |text: &str| Value::Text(text.into());
    let numeric = |digits: &str| Value::Numeric(digits.into());
    let plain = |field, column_type, values| Typed {
        field,
        column_type,
        conversion: Conversion::Default,
        values,
    };
    // 2024-07-01T12:34:56.789Z and 1970-01-01; 1.5 s before the epoch.
    let moments = [1_719_837_296_789_000, 0, -1_500_000];
    vec![
        plain(
            ("Text__c", "string"),
            ColumnType::Text,
            vec![
                text("plain"),
                text("a \"quote\", a comma; a\nline, ünïcödé 😀"),
                text("NULL"),
            ],
        ),
        plain(
            ("LongText__c", "textarea"),
            ColumnType::Text,
            vec![text("two\nlines"), text("'single' \\ back"), text("#N/A")],
        ),
        plain(
            ("Check__c", "boolean"),
            ColumnType::Bool,
            vec![Value::Bool(true), Value::Bool(false), Value::Bool(true)],
        ),
        plain(
            ("Int__c", "int"),
            ColumnType::Int32,
            vec![Value::Int(-5), Value::Int(2_147_483_647), Value::Int(0)],
        ),
        plain(
            ("Number__c", "double"),
            ColumnType::Numeric,
            vec![
                numeric("123456789012.123456"),
                numeric("-0.000001"),
                numeric("20.5"),
            ],
        ),
        plain(
            ("Date__c", "date"),
            ColumnType::Date,
            vec![Value::Date(0), Value::Date(-98_615), Value::Date(19_782)],
        ),
        plain(
            ("DateTime__c", "datetime"),
            ColumnType::Instant,
            moments.map(Value::Instant).to_vec(),
        ),
        Typed {
            field: ("DateTime__c", "datetime"),
            column_type: ColumnType::Timestamp,
            conversion: Conversion::WithoutTimeOffset,
            values: moments.map(Value::Timestamp).to_vec(),
        },
        Typed {
            field: ("DateTime__c", "datetime"),
            column_type: ColumnType::Timestamp,
            conversion: Conversion::Default,
            values: moments.map(Value::Timestamp).to_vec(),
        },
        Typed {
            field: ("DateTime__c", "datetime"),
            column_type: ColumnType::Date,
            conversion: Conversion::DateOnly,
            values: vec![Value::Date(0), Value::Date(-98_614), Value::Date(19_782)],
        },
        plain(
            ("Time__c", "time"),
            ColumnType::Time,
            vec![
                Value::Time(0),
                Value::Time(52_200_123_000),
                Value::Time(86_399_999_000),
            ],
        ),
        plain(
            ("Multi__c", "multipicklist"),
            ColumnType::TextArray,
            vec![
                Value::List(vec![text("A")]),
                Value::List(vec![text("A"), text("Red & Blue")]),
                Value::List(vec![text("B"), text("C")]),
            ],
        ),
        Typed {
            field: ("Currency__c", "currency"),
            column_type: ColumnType::Text,
            conversion: Conversion::CopyPaste,
            values: vec![text("12.5"), text("0.25"), text("-7.75")],
        },
    ]
}

fn unfit() -> Vec<(&'static str, Value)> {
    let text = |text: &str| Value::Text(text.into());
    vec![
        ("Text__c", Value::Text("x".repeat(256))),
        ("RestrictedPick__c", text("Z")),
        ("FixedMulti__c", Value::List(vec![text("A"), text("Z")])),
        ("Currency__c", Value::Numeric("12345678901234567.5".into())),
        ("Int__c", Value::Int(9_000_000_000)),
        ("Account__c", text("not an identifier")),
        ("Date__c", Value::Date(-200_000)),
        ("DateTime__c", Value::Instant(i64::MAX)),
        ("Number__c", Value::Numeric("NaN".into())),
        ("Address__c", Value::Json("{}".into())),
    ]
}

fn with(url: &str, sandbox: &Sandbox, names: &[&'static str]) -> Options {
    let credentials = &sandbox.credentials;
    let value = |name: &str| match name {
        "username" => &credentials.username,
        "password" => &credentials.password,
        "security_token" => &credentials.security_token,
        "client_id" => &credentials.client_id,
        "client_secret" => &credentials.client_secret,
        "refresh_token" => &credentials.refresh_token,
        "private_key" => &credentials.private_key,
        other => panic!("no credential is named {other}"),
    };
    let mut options: Options = vec![("url", url.to_owned())];
    options.extend(names.iter().map(|name| (*name, value(name).clone())));
    options
}

fn sign_ins(sandbox: &Sandbox) -> Vec<SignIn> {
    let (login, instance) = (&sandbox.login_url, &sandbox.instance_url);
    let form = |auth, options| SignIn {
        auth,
        user: sandbox.credentials.username.clone(),
        calls: 1,
        options,
    };
    let at = |url, names: &[&'static str]| with(url, sandbox, names);
    vec![
        form("password", FIXTURE.usual(sandbox)),
        form(
            "soap",
            at(login, &["username", "password", "security_token"]),
        ),
        form(
            "client_credentials",
            at(instance, &["client_id", "client_secret"]),
        ),
        form(
            "refresh_token",
            at(login, &["client_id", "client_secret", "refresh_token"]),
        ),
        form("jwt", at(login, &["client_id", "username", "private_key"])),
    ]
}

fn refused(sandbox: &Sandbox) -> Vec<Options> {
    let changed = |base: Options, name: &'static str, value: &str| {
        let mut options = base;
        options.retain(|option| option.0 != name);
        options.push((name, value.to_owned()));
        options
    };
    let forms = sign_ins(sandbox).into_iter().map(|form| form.options);
    let [password, soap, app, refresh, jwt] =
        <[_; 5]>::try_from(forms.collect::<Vec<_>>()).expect("five forms");
    vec![
        changed(password.clone(), "password", "TEST-wrong"),
        changed(password.clone(), "client_secret", "TEST-wrong"),
        changed(password, "username", &sandbox.credentials.expired_username),
        changed(soap.clone(), "password", "TEST-wrong"),
        // Accepted, but good for nothing but changing the password.
        changed(soap, "username", &sandbox.credentials.expired_username),
        // Only an organisation's own host takes it.
        changed(app, "url", &sandbox.login_url),
        changed(refresh, "refresh_token", "TEST-wrong"),
        changed(jwt, "client_id", "TEST-other-app"),
    ]
}
