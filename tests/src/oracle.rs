//! Oracle CRM On Demand as the sandbox shows it.

use crm_sandbox::Sandbox;

use crate::crm::{
    BadValue, Crm, Handmade, Identifiers, Options, Queries, Request, Table, Writes, bad,
};

/// Signed in by a session of its own.
pub static ORACLE: Crm = crm("oracle", by_session);
/// Signed in by the header of each message.
pub static ORACLE_WS_SECURITY: Crm = crm("oracle_ws_security", by_ws_security);

const fn crm(name: &'static str, server: fn(&Sandbox) -> Options) -> Crm {
    Crm {
        name,
        wrapper: "oracle_on_demand",
        face: "/oracle",
        settings: r#"{"session_limit": 1000}"#,
        server,
        mapping,
        secrets,
        tables: TABLES,
        handmade: Handmade {
            object: "ServiceRequest",
            columns: "id text OPTIONS (field 'Id'),
                float float8 OPTIONS (field 'CustomNumber0', remote_type 'Number'),
                money float8 OPTIONS (field 'CustomCurrency0', remote_type 'Currency'),
                wide_int bigint OPTIONS (field 'CustomInteger0', remote_type 'Integer'),
                exact_int numeric OPTIONS (field 'CustomInteger0', remote_type 'Integer'),
                untold numeric OPTIONS (field 'CustomNumber0'),
                wall timestamp OPTIONS (field 'CustomDate0', remote_type 'Date/Time', conversion 'without_time_offset'),
                day_there date OPTIONS (field 'CreatedDate', remote_type 'Date/Time', conversion 'date_only'),
                moment timestamptz OPTIONS (field 'CustomDate0', remote_type 'Date/Time'),
                untold_moment timestamptz OPTIONS (field 'CreatedDate'),
                day date OPTIONS (field 'CustomDate25', remote_type 'Date'),
                raw text OPTIONS (field 'CustomNumber0', remote_type 'Number', conversion 'copy_paste'),
                raw_moment text OPTIONS (field 'CustomDate0', remote_type 'Date/Time', conversion 'copy_paste'),
                words text OPTIONS (field 'Subject', remote_type 'Text (Short)'),
                untold_words text OPTIONS (field 'Subject'),
                truth boolean OPTIONS (field 'CustomBoolean0', remote_type 'Checkbox'),
                key text OPTIONS (field 'ExternalSystemId', remote_type 'Text (Short)')",
        },
        identifiers: Identifiers {
            sql_type: "text",
            no_contact: "1QA2-ZZZZZZ",
            no_account: "1QA2-ZZZZZY",
            made: "'1QA2-' || n",
            variant: "{id}",
            nonsense: "'nonsense'",
            canonical: "{id}",
        },
        queries: Queries {
            language: "Search Spec",
            limits: |query| query.contains("10"),
            read_elsewhere: None,
            filters: |query| query.contains('[') || query.starts_with("none"),
            sorts: |query| query.contains("sortorder"),
            aggregates: |_| false,
            takes_orders: false,
            orders_sent: 0.0,
        takes_aggregates: false,
            sent: [0.4, 0.5],
            idle_sync: 6,
        changes_by_token: false,
            page: 100,
            most_calls: 1_013,
            many: 100_000,
            filled: "id, accountid, lastname, firstname, mrmrs, primaryaddress, primarycity, primaryprovince,
                primaryzipcode, primarycountry, workphone, cellularphone, email, title, department, leadsource, birthdate,
                ownerid, createddate, lastmodifieddate, score, visits, balance, customboolean0, externalkey",
            lookup: 100,
            sign_in: Request {
                path: "command=login",
                after: 0,
                counter: "soap_login",
                arrived: 1,
            },
            objects: Request {
                path: ":GetServerTime",
                after: 0,
                counter: "soap_time",
                arrived: 1,
            },
            first: Request {
                path: ":ContactQueryPage",
                after: 0,
                counter: "soap_query",
                arrived: 1,
            },
            next: Request {
                path: ":ContactQueryPage",
                after: 1,
                counter: "soap_query",
                arrived: 2,
            },
            by_id: Request {
                path: ":ContactQueryPage",
                after: 0,
                counter: "soap_query",
                arrived: 1,
            },
        },
        writes: Writes {
            batch: 20,
            small_batch: 20,
            by_calls: None,
            by_jobs: None,
            create: ("POST", ":ContactInsert"),
            described_by: Some("soap_query"),
            create_with_key: ("POST", ":ContactInsert"),
            upsert: &[("POST", ":ContactUpdate"), ("POST", ":ContactInsert")],
            upsert_batch: 100,
            update: ("POST", ":ContactUpdate"),
            delete: ("POST", ":ContactDelete"),
            journal_key: "externalkey",
            settles_itself: true,
        chooses_identifiers: false,
            logged_removal: "bin",
            refused: ("SBL-DAT-00225", "SBL-EAI-04316"),
            read_only: &["createddate", "lastmodifieddate"],
            bad_values: BAD_VALUES,
            incomplete: (
                "INSERT INTO contact (firstname) VALUES ('Alone')",
                "lastname",
            ),
            unknown_record: "SBL-EAI-04378",
            deleted_record: "SBL-EAI-04378",
            makes_named_records: false,
            locked: "SBL-DAT-00523",
            refused_call: "SBL-DAT-00553",
            most_calls: [501, 1_600],
        },
    }
}

const TABLES: &[Table] = &[
    Table {
        name: "contact",
        object: "Contact",
        columns: &[
            ("id", "Id"),
            ("firstname", "ContactFirstName"),
            ("lastname", "ContactLastName"),
            ("name", "ContactLastName"),
            ("title", "JobTitle"),
            ("department", "Department"),
            ("email", "ContactEmail"),
            ("birthdate", "DateofBirth"),
            ("externalkey", "ExternalSystemId"),
            ("score", "CustomNumber0"),
            ("visits", "CustomInteger0"),
            ("balance", "CustomCurrency0"),
            ("accountid", "AccountId"),
            ("createddate", "CreatedDate"),
            ("lastmodifieddate", "ModifiedDate"),
        ],
        added: &[(
            "name",
            "text OPTIONS (field 'ContactLastName', remote_type 'Text (Short)')",
        )],
        types: &[],
    },
    Table {
        name: "account",
        object: "Account",
        columns: &[
            ("id", "Id"),
            ("name", "AccountName"),
            ("phone", "MainPhone"),
            ("site", "WebSite"),
            ("industry", "Industry"),
            ("annualrevenue", "AnnualRevenues"),
            ("numberofemployees", "NumberEmployees"),
            ("description", "Description"),
            ("createddate", "CreatedDate"),
            ("lastmodifieddate", "ModifiedDate"),
        ],
        added: &[],
        types: &[],
    },
    Table {
        name: "opportunity",
        object: "Opportunity",
        columns: &[
            ("id", "Id"),
            ("name", "OpportunityName"),
            ("accountid", "AccountId"),
            ("amount", "Revenue"),
            ("stagename", "SalesStage"),
            ("closedate", "CloseDate"),
            ("createddate", "CreatedDate"),
        ],
        added: &[],
        types: &[],
    },
    Table {
        name: "alltypes",
        object: "ServiceRequest",
        columns: &[("id", "Id"), ("whole", "CustomInteger0")],
        added: &[],
        types: &[],
    },
    // Messages have no bound of their own.
    Table {
        name: "wide",
        object: "Contact",
        columns: &[("id", "Id")],
        added: &[],
        types: &[],
    },
];

#[rustfmt::skip]
const BAD_VALUES: &[BadValue] = &[
    bad("contact (lastname, firstname)", "'Good', 'f'", "repeat('x', 121), 'f'", "SBL-DAT-00235", "lastname"),
    bad("contact (firstname, lastname)", "'f', 'Good'", "'f', NULL", "REQUIRED_FIELD_MISSING", "lastname"),
    bad("contact (firstname, lastname, score)", "'f', 'Good', 1.5", "'f', 'Good', 'NaN'", "SBL-EAI-13011", "score"),
    bad("contact (firstname, lastname, birthdate)", "'f', 'Good', '1980-01-01'", "'f', 'Good', 'infinity'",
        "SBL-EAI-13011", "birthdate"),
];

fn by_session(sandbox: &Sandbox) -> Options {
    vec![("url", sandbox.instance_url.clone())]
}

fn by_ws_security(sandbox: &Sandbox) -> Options {
    let mut options = by_session(sandbox);
    options.push(("auth", "ws_security".into()));
    options
}

fn mapping(sandbox: &Sandbox) -> Options {
    vec![
        ("username", sandbox.oracle.username.clone()),
        ("password", sandbox.oracle.password.clone()),
    ]
}

fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let password = &sandbox.oracle.password;
    vec![
        password.clone(),
        password.replace('&', "&amp;").replace('<', "&lt;"),
        "JSESSIONID=".to_owned(),
    ]
}
