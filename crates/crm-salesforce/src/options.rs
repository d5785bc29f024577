//! The options that Salesforce has beside the common ones.

use crm_core::{OptionDef, OptionKind, Place};
use url::Url;

/// Version of the REST interface used where `api_version` does not say.
pub(crate) const DEFAULT_VERSION: &str = "66.0";

/// Values of `auth`.
pub(crate) const AUTH_FORMS: &[&str] = &[
    "password",
    "client_credentials",
    "jwt",
    "refresh_token",
    "soap",
];

pub(crate) const OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "auth",
        &[Place::Server],
        OptionKind::Choice(AUTH_FORMS),
        "How to sign in; the default follows from the options of the user mapping.",
    ),
    OptionDef::plain(
        "api_version",
        &[Place::Server],
        OptionKind::Version,
        "Version of the REST interface; default 66.0.",
    ),
    OptionDef::plain(
        "login_audience",
        &[Place::Server],
        OptionKind::HttpsUrl,
        "Audience of the JWT assertion; default the server's url.",
    ),
    OptionDef::plain(
        "transport",
        &[Place::Server, Place::Table],
        OptionKind::Choice(&["auto", "rest", "bulk"]),
        "How large sets of records travel: auto (jobs of the Bulk API where they save calls; the default), rest, bulk.",
    ),
    OptionDef::plain(
        "assignment_rules",
        &[Place::Server],
        OptionKind::Bool,
        "Whether the organisation's assignment rules run on records written in calls; default false.",
    ),
    OptionDef::plain(
        "duplicate_rules",
        &[Place::Server],
        OptionKind::Choice(&["block", "allow"]),
        "What a duplicate rule that only alerts does to a record written in a call: block (the default) or allow.",
    ),
    OptionDef::plain(
        "username",
        &[Place::UserMapping],
        OptionKind::Text,
        "The user to sign in as.",
    ),
    OptionDef::secret("password", "The user's password."),
    OptionDef::secret(
        "security_token",
        "The user's security token, appended to the password.",
    ),
    OptionDef::plain(
        "client_id",
        &[Place::UserMapping],
        OptionKind::Text,
        "Consumer key of the connected app.",
    ),
    OptionDef::secret("client_secret", "Consumer secret of the connected app."),
    OptionDef::secret("refresh_token", "A refresh token of the connected app."),
    OptionDef::secret("private_key", "RSA key in PEM for the JWT bearer flow."),
    OptionDef::secret_file(
        "private_key_file",
        "File on the database server with that key.",
    ),
];

/// The address is one that only Salesforce can answer for.
pub(crate) fn is_vendor_host(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    url.scheme() == "https"
        && url.port_or_known_default() == Some(443)
        && url
            .host_str()
            .is_some_and(|host| host == "salesforce.com" || host.ends_with(".salesforce.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vendors_own_hosts_are_trusted() {
        for (url, expected) in [
            ("https://login.salesforce.com", true),
            ("https://acme--uat.sandbox.my.salesforce.com/", true),
            ("https://login.salesforce.com:8443", false),
            ("http://login.salesforce.com", false),
            ("https://salesforce.com.evil.example", false),
            ("https://evilsalesforce.com", false),
            ("https://login.salesforce.com@evil.example", false),
            ("login.salesforce.com", false),
        ] {
            assert_eq!(is_vendor_host(url), expected, "{url}");
        }
    }
}
