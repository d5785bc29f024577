//! Salesforce as the sandbox shows it.

use crm_salesforce::SALESFORCE;
use crm_sandbox::Sandbox;

use crate::fixture::{Fixture, Options, Paths, Records};

pub const FIXTURE: Fixture = Fixture {
    connector: &SALESFORCE,
    usual,
    sign_ins,
    refused,
    retired: ("api_version", "25.0"),
    user: |sandbox| &sandbox.credentials.username,
    organisation: ["CRM Sandbox Test Org", "00D5x0000000001EAA"],
    paths: Paths {
        sign_in: "/token",
        first: "/query?",
        next: "/query/",
        objects: "/sobjects",
    },
    records: Records {
        object: "Contact",
        identifier: "Id",
        text: ("Name", "string"),
        number: ("Score__c", "double"),
        moment: ("LastModifiedDate", "datetime"),
        unknown_identifier: "003000009zzzzzzAAA",
    },
    wide: "Wide__c",
    page_sizes: (2_000, 200),
    lookup_size: 2_000,
    describe_size: 25,
};

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

fn usual(sandbox: &Sandbox) -> Options {
    let names = [
        "username",
        "password",
        "security_token",
        "client_id",
        "client_secret",
    ];
    with(&sandbox.login_url, sandbox, &names)
}

fn sign_ins(sandbox: &Sandbox) -> Vec<(&'static str, Options)> {
    let (login, instance) = (&sandbox.login_url, &sandbox.instance_url);
    let app = ["client_id", "client_secret"];
    vec![
        ("password", usual(sandbox)),
        (
            "soap",
            with(login, sandbox, &["username", "password", "security_token"]),
        ),
        ("client_credentials", with(instance, sandbox, &app)),
        (
            "refresh_token",
            with(
                login,
                sandbox,
                &["client_id", "client_secret", "refresh_token"],
            ),
        ),
        (
            "jwt",
            with(login, sandbox, &["client_id", "username", "private_key"]),
        ),
    ]
}

fn refused(sandbox: &Sandbox) -> Vec<Options> {
    let changed = |base: Options, name: &'static str, value: &str| {
        let mut options = base;
        options.retain(|option| option.0 != name);
        options.push((name, value.to_owned()));
        options
    };
    let [password, soap, app, refresh, jwt] = <[_; 5]>::try_from(sign_ins(sandbox))
        .expect("five forms")
        .map(|form| form.1);
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
