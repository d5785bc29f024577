//! The options that Dynamics has beside the common ones.

use crate::types::Kind;
use crm_core::{ColumnType, OptionDef, OptionKind, Place, RemoteField};
use url::Url;

/// Version of the Web API used online where `api_version` does not say (Dynamics page, section 1).
pub(crate) const ONLINE_VERSION: &str = "9.2";
/// The same on premise, where newer ones are not safe to assume.
pub(crate) const ON_PREMISE_VERSION: &str = "9.0";
/// The last of the versions before 9.0, which servers of 2016 have.
pub(crate) const OLD_VERSION: &str = "8.2";

/// Values of `auth`.
pub(crate) const AUTH_FORMS: &[&str] =
    &["password", "client_credentials", "ntlm", "adfs", "ws_trust"];

/// The public application that the vendor offers for accounts that used to sign in with a password alone (2.2).
pub(crate) const PUBLIC_CLIENT: &str = "51f81489-12ee-4a9e-aaae-a2591f45987d";

/// Sign-in hosts of the vendor, the only ones beside the server and `authority` that see a password.
const SIGN_IN_HOSTS: &[&str] = &[
    "login.microsoftonline.com",
    "login.microsoft.com",
    "login.windows.net",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
];

/// Ends of the vendor's own host names, public and sovereign clouds.
const DATA_HOSTS: &[&str] = &[
    ".dynamics.com",
    ".microsoftdynamics.us",
    ".appsplatform.us",
    ".dynamics.cn",
];

/// What a scan goes over, as far as the options tell: sign-in by WS-Trust leads to the SOAP service alone, and what an
/// older server on premise offers is found out by asking.
pub(crate) fn transport(server: &dyn Fn(&str) -> Option<String>) -> &'static str {
    match (server("auth").as_deref(), server("deployment").as_deref()) {
        (Some("ws_trust"), _) => "soap",
        (None, Some("on_premise")) => "rest or soap",
        _ => "rest",
    }
}

pub(crate) const OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "deployment",
        &[Place::Server],
        OptionKind::Choice(&["web_api", "office_365", "on_premise"]),
        "What the server is: web_api (online, with an application of one's own; the default), office_365 (online, user and password alone), on_premise.",
    ),
    OptionDef::plain(
        "auth",
        &[Place::Server],
        OptionKind::Choice(AUTH_FORMS),
        "How to sign in; the default follows from the deployment, the options of the user mapping and what the server offers.",
    ),
    OptionDef::plain(
        "tenant",
        &[Place::Server],
        OptionKind::Text,
        "Directory that the user belongs to, a GUID or a domain; the default is what the server names.",
    ),
    OptionDef::plain(
        "authority",
        &[Place::Server],
        OptionKind::HttpsUrl,
        "Address of the sign-in host where it is none of the vendor's own, as that of AD FS.",
    )
    .for_superusers(),
    OptionDef::plain(
        "api_version",
        &[Place::Server],
        OptionKind::Choice(&["8.0", "8.1", "8.2", "9.0", "9.1", "9.2"]),
        "Version of the Web API; default 9.2 online, 9.0 or 8.2 on premise.",
    ),
    OptionDef::plain(
        "value_format",
        &[Place::Server, Place::Table],
        OptionKind::Choice(&["value", "label"]),
        "How option sets are shown: value (the number; the default) or label. Of a server: in tables that are imported; of a table: as crm.refresh makes its columns.",
    ),
    OptionDef::plain(
        "collection",
        &[Place::Table],
        OptionKind::Text,
        "Name of the object's entity set, which an import writes down; asked for once in a session where it is not set.",
    ),
    OptionDef::plain(
        "language",
        &[Place::Server],
        OptionKind::Integer(1, 65_535),
        "Language code of labels, such as 1033 for English; default the user's own.",
    ),
    OptionDef::plain(
        "bulk_actions",
        &[Place::Server],
        OptionKind::Bool,
        "Whether many records are written by one action for all of them where the object has such: quicker, but a refusal sends them all once more; default false.",
    ),
    OptionDef::plain(
        "username",
        &[Place::UserMapping],
        OptionKind::Text,
        "The user to sign in as: user@domain, or on premise also DOMAIN\\user.",
    ),
    OptionDef::secret("password", "The user's password."),
    OptionDef::plain(
        "client_id",
        &[Place::UserMapping],
        OptionKind::Text,
        "Identifier of the application registered in the directory or in AD FS.",
    ),
    OptionDef::secret("client_secret", "Secret of that application."),
];

/// The type of an option set's column where the table's `value_format` decides it.
pub(crate) fn told_type(
    field: &RemoteField,
    table: &dyn Fn(&str) -> Option<String>,
) -> Option<ColumnType> {
    let as_labels = table("value_format")? == "label";
    match Kind::of(&field.remote_type) {
        kind @ (Kind::Choice | Kind::Choices) => kind.column_type(as_labels),
        _ => None,
    }
}

/// The address is one that only the vendor can answer for.
pub(crate) fn is_vendor_host(url: &str) -> bool {
    is_plain_https(url, |host| DATA_HOSTS.iter().any(|end| host.ends_with(end)))
}

/// The address belongs to one of the vendor's sign-in hosts.
pub(crate) fn is_sign_in_host(url: &Url) -> bool {
    is_plain_https(url.as_str(), |host| SIGN_IN_HOSTS.contains(&host))
}

fn is_plain_https(url: &str, is_known: impl Fn(&str) -> bool) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    url.scheme() == "https"
        && url.port_or_known_default() == Some(443)
        && url.host_str().is_some_and(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit;

    #[test]
    fn a_tables_value_format_decides_the_type_of_option_sets() {
        let told = |remote_type: &str, said: Option<&str>| {
            let field = testkit::field("f", remote_type, None);
            told_type(&field, &|name| {
                assert_eq!(name, "value_format");
                said.map(str::to_owned)
            })
        };
        for (remote_type, value, label) in [
            (
                "PicklistType",
                Some(ColumnType::Int32),
                Some(ColumnType::Text),
            ),
            (
                "StatusType",
                Some(ColumnType::Int32),
                Some(ColumnType::Text),
            ),
            (
                "MultiSelectPicklistType",
                Some(ColumnType::Int32Array),
                Some(ColumnType::TextArray),
            ),
            ("StringType", None, None),
            ("BooleanType", None, None),
        ] {
            assert_eq!(told(remote_type, Some("value")), value, "{remote_type}");
            assert_eq!(told(remote_type, Some("label")), label, "{remote_type}");
            assert_eq!(told(remote_type, None), None, "{remote_type}");
        }
    }

    #[test]
    fn only_the_vendors_own_hosts_are_trusted() {
        for (url, expected) in [
            ("https://contoso.crm4.dynamics.com", true),
            ("https://contoso.api.crm.dynamics.com/", true),
            ("https://contoso.crm.microsoftdynamics.us", true),
            ("https://contoso.crm4.dynamics.com:8443", false),
            ("http://contoso.crm4.dynamics.com", false),
            ("https://contoso.dynamics.com.evil.example", false),
            ("https://evildynamics.com", false),
            ("https://crm.contoso.example/Org", false),
            ("contoso.crm4.dynamics.com", false),
        ] {
            assert_eq!(is_vendor_host(url), expected, "{url}");
        }
        for (url, expected) in [
            (
                "https://login.microsoftonline.com/common/oauth2/authorize",
                true,
            ),
            ("https://login.windows.net/", true),
            ("https://login.microsoftonline.com.evil.example/", false),
            ("https://login.microsoftonline.com:444/", false),
            ("https://evil.example/login.microsoftonline.com", false),
        ] {
            let url = Url::parse(url).unwrap();
            assert_eq!(is_sign_in_host(&url), expected, "{url}");
        }
    }
}
