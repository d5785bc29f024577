//! Salesforce as the sandbox shows it.

use crm_sandbox::Sandbox;

use crate::crm::{
    BadValue, Crm, Handmade, Identifiers, Options, Queries, Request, Table, Writes, bad,
};

/// The usual way to Salesforce: signed in by password.
pub static SALESFORCE: Crm = Crm {
    name: "salesforce",
    wrapper: "salesforce",
    face: "",
    settings: "",
    server: |sandbox| vec![("url", sandbox.login_url.clone())],
    mapping,
    secrets,
    tables: &[
        Table {
            name: "contact",
            object: "Contact",
            columns: &[
                ("id", "Id"),
                ("firstname", "FirstName"),
                ("lastname", "LastName"),
                ("name", "Name"),
                ("title", "Title"),
                ("department", "Department"),
                ("email", "Email"),
                ("birthdate", "Birthdate"),
                ("externalkey", "ExternalKey__c"),
                ("score", "Score__c"),
                ("visits", "Visits__c"),
                ("balance", "Balance__c"),
                ("accountid", "AccountId"),
                ("createddate", "CreatedDate"),
                ("lastmodifieddate", "LastModifiedDate"),
            ],
            added: &[],
            types: &[],
        },
        Table {
            name: "account",
            object: "Account",
            columns: &[
                ("id", "Id"),
                ("name", "Name"),
                ("phone", "Phone"),
                ("site", "Site"),
                ("industry", "Industry"),
                ("annualrevenue", "AnnualRevenue"),
                ("numberofemployees", "NumberOfEmployees"),
                ("createddate", "CreatedDate"),
                ("lastmodifieddate", "LastModifiedDate"),
            ],
            added: &[],
            types: &[],
        },
        Table {
            name: "opportunity",
            object: "Opportunity",
            columns: &[
                ("id", "Id"),
                ("name", "Name"),
                ("accountid", "AccountId"),
                ("amount", "Amount"),
                ("stagename", "StageName"),
                ("closedate", "CloseDate"),
                ("createddate", "CreatedDate"),
            ],
            added: &[],
            types: &[],
        },
        Table {
            name: "alltypes",
            object: "AllTypes__c",
            columns: &[("id", "Id"), ("whole", "Int__c")],
            added: &[],
            types: &[],
        },
        Table {
            name: "wide",
            object: "Wide__c",
            columns: &[("id", "Id")],
            added: &[],
            types: &[],
        },
        Table {
            name: "lead",
            object: "Lead",
            columns: &[("id", "Id"), ("lastname", "LastName")],
            added: &[],
            types: &[],
        },
    ],
    handmade: Handmade {
        object: "AllTypes__c",
        columns: "id text OPTIONS (field 'Id'),
            float float8 OPTIONS (field 'Number__c', remote_type 'double'),
            money float8 OPTIONS (field 'Currency__c', remote_type 'currency'),
            wide_int bigint OPTIONS (field 'Int__c', remote_type 'int'),
            exact_int numeric OPTIONS (field 'Int__c', remote_type 'int'),
            exact_long numeric OPTIONS (field 'Long__c', remote_type 'long'),
            untold numeric OPTIONS (field 'Total__c'),
            wall timestamp OPTIONS (field 'DateTime__c', remote_type 'datetime', conversion 'without_time_offset'),
            day_there date OPTIONS (field 'CreatedDate', remote_type 'datetime', conversion 'date_only'),
            moment timestamptz OPTIONS (field 'DateTime__c', remote_type 'datetime'),
            untold_moment timestamptz OPTIONS (field 'CreatedDate'),
            day date OPTIONS (field 'Date__c', remote_type 'date'),
            raw text OPTIONS (field 'Number__c', remote_type 'double', conversion 'copy_paste'),
            raw_moment text OPTIONS (field 'DateTime__c', remote_type 'datetime', conversion 'copy_paste'),
            words text OPTIONS (field 'Text__c', remote_type 'string'),
            untold_words text OPTIONS (field 'Text__c'),
            truth boolean OPTIONS (field 'Check__c', remote_type 'boolean'),
            key text OPTIONS (field 'ExternalId__c', remote_type 'string', case_sensitive 'true')",
    },
    identifiers: Identifiers {
        sql_type: "text",
        no_contact: "003000009zzzzzzAAA",
        no_account: "001000009zzzzzzAAA",
        made: "'003' || lpad(n::text, 12, '0') || 'AAA'",
        variant: "left({id}, 15)",
        nonsense: "'nonsense'",
        canonical: "crm.id18({id})",
    },
    queries: Queries {
        language: "SOQL",
        limits: |query| query.ends_with(" LIMIT 10"),
        read_elsewhere: None,
        filters: |query| query.contains(" WHERE ") || query.starts_with("none"),
        sorts: |query| query.contains(" ORDER BY "),
        aggregates: |query| {
            ["COUNT(", "MIN(", "MAX("]
                .iter()
                .any(|function| query.starts_with(&format!("SELECT {function}")))
        },
        takes_orders: true,
        orders_sent: 0.33,
        takes_aggregates: true,
        sent: [0.4, 0.6],
        idle_sync: 4,
        changes_by_token: false,
        page: 2_000,
        most_calls: 501,
        many: 1_000_000,
        filled: "id, accountid, lastname, firstname, salutation, name, mailingstreet, mailingcity, mailingstate, \
            mailingpostalcode, mailingcountry, phone, mobilephone, email, title, department, leadsource, birthdate, \
            ownerid, createddate, lastmodifieddate, score, visits, balance, isvip__c",
        lookup: 2_000,
        sign_in: Request {
            path: "/token",
            after: 0,
            counter: "login",
            arrived: 1,
        },
        objects: Request {
            path: "/sobjects",
            after: 0,
            counter: "describe_global",
            arrived: 1,
        },
        first: Request {
            path: "/query?",
            after: 0,
            counter: "query",
            arrived: 1,
        },
        next: Request {
            path: "/query/",
            after: 0,
            counter: "query_more",
            arrived: 1,
        },
        by_id: Request {
            path: "/composite/sobjects",
            after: 0,
            counter: "retrieve",
            arrived: 1,
        },
    },
    writes: Writes {
        batch: 200,
        small_batch: 200,
        by_calls: Some("rest"),
        by_jobs: Some("bulk"),
        create: ("POST", "/composite/sobjects"),
        described_by: None,
        create_with_key: ("PATCH", "/composite/sobjects"),
        upsert: &[("PATCH", "/composite/sobjects")],
        upsert_batch: 200,
        update: ("PATCH", "/composite/sobjects"),
        delete: ("DELETE", "/composite/sobjects"),
        journal_key: "externalkey",
        settles_itself: false,
        chooses_identifiers: false,
        logged_removal: "erased",
        refused: (
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        ),
        read_only: &["createddate", "lastmodifieddate", "name"],
        bad_values: BAD_VALUES,
        incomplete: (
            "INSERT INTO contact (firstname) VALUES ('Alone')",
            "lastname",
        ),
        unknown_record: "INVALID_CROSS_REFERENCE_KEY",
        deleted_record: "ENTITY_IS_DELETED",
        makes_named_records: false,
        locked: "UNABLE_TO_LOCK_ROW",
        refused_call: "INVALID_FIELD",
        most_calls: [51, 51],
    },
};

const RESTRICTED: &str = "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST";

#[rustfmt::skip]
const BAD_VALUES: &[BadValue] = &[
    bad("contact (lastname, firstname)", "'Good', 'f'", "repeat('x', 121), 'f'", "STRING_TOO_LONG", "lastname"),
    bad("contact (firstname, lastname)", "'f', 'Good'", "'f', NULL", "REQUIRED_FIELD_MISSING", "lastname"),
    bad("alltypes (restrictedpick__c, text__c)", "'A', 'Good'", "'Z', 'Good'", RESTRICTED, "restrictedpick__c"),
    bad("alltypes (text__c, fixedmulti__c)", "'Good', '{A,B}'", "'Good', '{A,Z}'", RESTRICTED, "fixedmulti__c"),
    bad("alltypes (text__c, multi__c)", "'Good', '{A,B}'", "'Good', '{A,NULL}'", "INVALID_VALUE", "multi__c"),
    bad("alltypes (text__c, number__c)", "'Good', 1.5", "'Good', 'NaN'", "NUMBER_OUTSIDE_VALID_RANGE", "number__c"),
    bad("contact (lastname, birthdate)", "'Good', '1980-01-01'", "'Good', 'infinity'", "FIELD_INTEGRITY_EXCEPTION",
        "birthdate"),
];

fn mapping(sandbox: &Sandbox) -> Options {
    let credentials = &sandbox.credentials;
    vec![
        ("username", credentials.username.clone()),
        ("password", credentials.password.clone()),
        ("security_token", credentials.security_token.clone()),
        ("client_id", credentials.client_id.clone()),
        ("client_secret", credentials.client_secret.clone()),
    ]
}

fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let credentials = &sandbox.credentials;
    let key_line = credentials.private_key.lines().nth(1).expect("a PEM key");
    let form = |text: &str| text.replace('&', "%26").replace('<', "%3C");
    vec![
        credentials.password.clone(),
        form(&credentials.password),
        credentials.security_token.clone(),
        credentials.client_secret.clone(),
        credentials.refresh_token.clone(),
        key_line.to_owned(),
        // Every access token of this face has this in it.
        "!AR8".to_owned(),
    ]
}
