//! Microsoft Dynamics as the sandbox shows it: online with an application of one's own, online with a user alone, and
//! on premise with each way to sign in, by the Web API and by SOAP.

use crm_sandbox::Sandbox;

use crate::crm::{
    BadValue, Crm, Handmade, Identifiers, Options, Queries, Request, Table, Writes, bad,
};
use crate::odata;

/// Online, by user name and password through an application.
pub static DYNAMICS: Crm = crm("dynamics", online, by_password);
/// Online, by the application itself.
pub static DYNAMICS_APPLICATION: Crm = crm("dynamics_application", online, by_application);
/// Online, as what `office_365` meant: user name and password alone.
pub static DYNAMICS_OFFICE_365: Crm = crm("dynamics_office_365", office_365, by_user);
/// On premise, with a Windows account.
pub static DYNAMICS_NTLM: Crm = crm("dynamics_ntlm", windows, by_windows_account);
/// On premise behind AD FS, which gives tokens for a password.
pub static DYNAMICS_ADFS: Crm = crm("dynamics_adfs", adfs, by_domain_user);

/// On premise behind AD FS without OAuth: SOAP, each message signed.
pub static DYNAMICS_CLAIMS: Crm = by_soap(crm("dynamics_claims", claims, by_windows_account));
/// CRM 2015, which has SOAP alone, with a Windows account.
pub static DYNAMICS_2015: Crm = by_soap(crm("dynamics_2015", crm2015, by_windows_account));

const fn crm(
    name: &'static str,
    server: fn(&Sandbox) -> Options,
    mapping: fn(&Sandbox) -> Options,
) -> Crm {
    Crm {
        name,
        wrapper: "dynamics",
        face: "/dynamics",
        settings: "",
        server,
        mapping,
        secrets,
        tables: TABLES,
        handmade: Handmade {
            object: "new_alltypes",
            columns: "id uuid OPTIONS (field 'new_alltypesid', remote_type 'UniqueidentifierType'),
                float float8 OPTIONS (field 'new_float', remote_type 'DoubleType'),
                money float8 OPTIONS (field 'new_money', remote_type 'MoneyType'),
                wide_int bigint OPTIONS (field 'new_whole', remote_type 'IntegerType'),
                exact_int numeric OPTIONS (field 'new_whole', remote_type 'IntegerType'),
                exact_long numeric OPTIONS (field 'new_big', remote_type 'BigIntType'),
                untold numeric OPTIONS (field 'new_decimal'),
                wall timestamp OPTIONS (field 'new_when', remote_type 'DateTimeType:TimeZoneIndependent',
                    conversion 'without_time_offset'),
                day_there date OPTIONS (field 'createdon', remote_type 'DateTimeType:UserLocal', conversion 'date_only'),
                moment timestamptz OPTIONS (field 'new_whenlocal', remote_type 'DateTimeType:UserLocal'),
                untold_moment timestamptz OPTIONS (field 'createdon'),
                day date OPTIONS (field 'new_day', remote_type 'DateTimeType:DateOnly'),
                raw text OPTIONS (field 'new_decimal', remote_type 'DecimalType', conversion 'copy_paste'),
                raw_moment text OPTIONS (field 'new_whenlocal', remote_type 'DateTimeType:UserLocal',
                    conversion 'copy_paste'),
                words text OPTIONS (field 'new_name', remote_type 'StringType'),
                untold_words text OPTIONS (field 'new_name'),
                truth boolean OPTIONS (field 'new_yesno', remote_type 'BooleanType'),
                key text OPTIONS (field 'new_code', remote_type 'StringType')",
        },
        identifiers: Identifiers {
            sql_type: "uuid",
            no_contact: "00000000-0000-4000-8000-00000000000a",
            no_account: "00000000-0000-4000-8000-00000000000b",
            made: "('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid",
            variant: "{id}",
            nonsense: "'00000000-0000-4000-8000-00000000000c'",
            canonical: "{id}",
        },
        queries: Queries {
            language: "OData",
            limits: |query| query.contains("$top=10") || query.contains("maxpagesize=10"),
            read_elsewhere: Some(odata::conditions_are_read),
            filters: |query| query.contains("$filter=") || query.starts_with("none"),
            sorts: |query| query.contains("$orderby="),
            aggregates: |query| query.contains("$apply=") || query.contains("/$count"),
            takes_orders: true,
            // Texts and sets of options sort otherwise there, and few of the orders drawn leave them out.
            orders_sent: 0.04,
            takes_aggregates: true,
            sent: [0.4, 0.5],
            idle_sync: 4,
            changes_by_token: true,
            page: 5_000,
            most_calls: 201,
            many: 1_000_000,
            filled: "id, accountid, lastname, firstname, salutation, name, address1_line1, address1_city,
                address1_stateorprovince, address1_postalcode, address1_country, telephone1, mobilephone, email, title,
                department, birthdate, ownerid, createddate, lastmodifieddate, score, visits, balance, new_isvip,
                statecode",
            lookup: 5_000,
            sign_in: Request {
                path: "/oauth2/",
                after: 0,
                counter: "login",
                arrived: 1,
            },
            objects: Request {
                path: "/EntityDefinitions",
                after: 0,
                counter: "describe_global",
                arrived: 1,
            },
            first: Request {
                path: "/contacts?",
                after: 0,
                counter: "dynamics_query",
                arrived: 1,
            },
            next: Request {
                path: "skiptoken",
                after: 0,
                counter: "dynamics_query_more",
                arrived: 1,
            },
            by_id: Request {
                path: "/contacts?",
                after: 0,
                counter: "dynamics_query",
                arrived: 1,
            },
        },
        writes: Writes {
            batch: 1_000,
            small_batch: 200,
            by_calls: None,
            by_jobs: None,
            create: ("POST", "/contacts"),
            described_by: None,
            create_with_key: ("POST", "/contacts"),
            upsert: &[("POST", "/contacts")],
            upsert_batch: 200,
            update: ("POST", "/contacts"),
            delete: ("POST", "/contacts"),
            journal_key: "externalkey",
            settles_itself: false,
            chooses_identifiers: true,
            logged_removal: "bin",
            refused: ("0x80040265", "IsvAborted"),
            read_only: &["createddate", "lastmodifieddate", "name"],
            bad_values: BAD_VALUES,
            incomplete: (
                "INSERT INTO alltypes (new_name) VALUES ('Alone')",
                "new_code",
            ),
            unknown_record: "ObjectDoesNotExist",
            deleted_record: "ObjectDoesNotExist",
            makes_named_records: true,
            locked: "0x80044150",
            refused_call: "0x80060888",
            most_calls: [11, 11],
        },
    }
}

/// The same organisation where records travel by SOAP: what is asked in FetchXML, and what of a message tells it apart.
const fn by_soap(web: Crm) -> Crm {
    Crm {
        queries: Queries {
            language: "FetchXML",
            limits: |query| query.contains("count=\"10\""),
            read_elsewhere: None,
            filters: |query| query.contains("<filter") || query.starts_with("none"),
            sorts: |query| {
                let orders = query.matches("<order ").count();
                orders > 1
            },
            aggregates: |query| query.contains("aggregate=\"true\""),
            sign_in: message("/adfs/services/trust/", 0, "login"),
            objects: message(":RetrieveAllEntities", 0, "describe_global"),
            first: message("fetch:contact", 0, "dynamics_query"),
            next: message("fetch:contact", 1, "dynamics_query_more"),
            by_id: message("fetch:contact", 0, "dynamics_query"),
            ..web.queries
        },
        writes: Writes {
            create: ("POST", ":ExecuteMultiple"),
            create_with_key: ("POST", ":ExecuteMultiple"),
            upsert: &[("POST", ":ExecuteMultiple")],
            update: ("POST", ":ExecuteMultiple"),
            delete: ("POST", ":ExecuteMultiple"),
            ..web.writes
        },
        ..web
    }
}

const fn message(path: &'static str, after: u64, counter: &'static str) -> Request {
    Request {
        path,
        after,
        counter,
        arrived: 1,
    }
}

const TABLES: &[Table] = &[
    Table {
        name: "contact",
        object: "contact",
        columns: &[
            ("id", "contactid"),
            ("firstname", "firstname"),
            ("lastname", "lastname"),
            ("name", "fullname"),
            ("title", "jobtitle"),
            ("department", "department"),
            ("email", "emailaddress1"),
            ("birthdate", "birthdate"),
            ("externalkey", "new_externalkey"),
            ("score", "new_score"),
            ("visits", "new_visits"),
            ("balance", "annualincome"),
            ("accountid", "parentcustomerid"),
            ("createddate", "createdon"),
            ("lastmodifieddate", "modifiedon"),
        ],
        added: &[],
        types: &[],
    },
    Table {
        name: "account",
        object: "account",
        columns: &[
            ("id", "accountid"),
            ("name", "name"),
            ("phone", "telephone1"),
            ("site", "websiteurl"),
            ("industry", "industrycode"),
            ("annualrevenue", "revenue"),
            ("numberofemployees", "numberofemployees"),
            ("description", "description"),
            ("createddate", "createdon"),
            ("lastmodifieddate", "modifiedon"),
        ],
        added: &[],
        types: &[("industry", "text")],
    },
    Table {
        name: "opportunity",
        object: "opportunity",
        columns: &[
            ("id", "opportunityid"),
            ("name", "name"),
            ("accountid", "parentaccountid"),
            ("amount", "estimatedvalue"),
            ("stagename", "stepname"),
            ("closedate", "estimatedclosedate"),
            ("createddate", "createdon"),
        ],
        added: &[],
        types: &[],
    },
    Table {
        name: "alltypes",
        object: "new_alltypes",
        columns: &[("id", "new_alltypesid"), ("whole", "new_whole")],
        added: &[],
        types: &[],
    },
    Table {
        name: "wide",
        object: "new_wide",
        columns: &[("id", "new_wideid")],
        added: &[],
        types: &[],
    },
];

#[rustfmt::skip]
const BAD_VALUES: &[BadValue] = &[
    bad("contact (lastname, firstname)", "'Good', 'f'", "repeat('x', 121), 'f'", "0x80044331", "lastname"),
    bad("alltypes (new_name, new_code)", "'Good', left(md5(random()::text), 20)", "'Good', NULL",
        "REQUIRED_FIELD_MISSING", "new_code"),
    bad("alltypes (new_code, new_choice)", "left(md5(random()::text), 20), 100000001", "'Bad', 77",
        "0x80044330", "new_choice"),
    bad("alltypes (new_code, new_decimal)", "left(md5(random()::text), 20), 1.5", "'Bad', 'NaN'", "0x80044330",
        "new_decimal"),
    bad("contact (lastname, birthdate)", "'Good', '1980-01-01'", "'Good', 'infinity'", "0x80044330", "birthdate"),
];

/// A text of the description of this face.
fn told(sandbox: &Sandbox, name: &str) -> String {
    let text = &sandbox.description()["dynamics"][name];
    text.as_str().expect("a text").to_owned()
}

fn online(sandbox: &Sandbox) -> Options {
    vec![
        ("url", told(sandbox, "organisation_url")),
        ("deployment", "web_api".into()),
        ("authority", sandbox.login_url.clone()),
        ("tenant", told(sandbox, "tenant")),
    ]
}

fn office_365(sandbox: &Sandbox) -> Options {
    let mut options = online(sandbox);
    options[1].1 = "office_365".into();
    options
}

fn windows(sandbox: &Sandbox) -> Options {
    vec![
        ("url", told(sandbox, "ad_url")),
        ("deployment", "on_premise".into()),
        ("auth", "ntlm".into()),
    ]
}

fn adfs(sandbox: &Sandbox) -> Options {
    vec![
        ("url", told(sandbox, "ifd_url")),
        ("deployment", "on_premise".into()),
        ("auth", "adfs".into()),
        ("authority", format!("{}/adfs", sandbox.login_url)),
    ]
}

fn claims(sandbox: &Sandbox) -> Options {
    vec![
        ("url", told(sandbox, "claims_url")),
        ("deployment", "on_premise".into()),
        ("auth", "ws_trust".into()),
        ("authority", sandbox.login_url.clone()),
    ]
}

fn crm2015(sandbox: &Sandbox) -> Options {
    let mut options = windows(sandbox);
    options[0].1 = told(sandbox, "crm2015_url");
    options
}

fn by_password(sandbox: &Sandbox) -> Options {
    let mut options = by_user(sandbox);
    options.push(("client_id", told(sandbox, "public_client_id")));
    options
}

fn by_user(sandbox: &Sandbox) -> Options {
    vec![
        ("username", told(sandbox, "username")),
        ("password", told(sandbox, "password")),
    ]
}

fn by_domain_user(sandbox: &Sandbox) -> Options {
    let mut options = by_windows_account(sandbox);
    options.push(("client_id", told(sandbox, "public_client_id")));
    options
}

fn by_windows_account(sandbox: &Sandbox) -> Options {
    vec![
        ("username", told(sandbox, "windows_username")),
        ("password", told(sandbox, "password")),
    ]
}

fn by_application(sandbox: &Sandbox) -> Options {
    vec![
        ("client_id", told(sandbox, "client_id")),
        ("client_secret", told(sandbox, "client_secret")),
    ]
}

fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let (password, secret) = (told(sandbox, "password"), told(sandbox, "client_secret"));
    vec![
        password.replace('&', "%26").replace('<', "%3C"),
        password.replace('&', "&amp;").replace('<', "&lt;"),
        password,
        secret.replace('&', "%26"),
        secret,
        // Every access token of this face begins so.
        "eyJhbGciOiJub25l".to_owned(),
    ]
}
