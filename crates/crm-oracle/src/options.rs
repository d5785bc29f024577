//! The options that Oracle CRM On Demand has beside the common ones.

use crm_core::{OptionDef, OptionKind, Place};
use crm_http::Url;

/// Values of `auth`: the session login, or the WS-Security header (Oracle page 2.1, 2.2).
pub(crate) const AUTH_FORMS: &[&str] = &["session", "ws_security"];

pub(crate) const OPTIONS: &[OptionDef] = &[
    OptionDef::plain(
        "auth",
        &[Place::Server],
        OptionKind::Choice(AUTH_FORMS),
        "How to sign in: session (a login of its own; the default) or ws_security (credentials in the header of a message).",
    ),
    OptionDef::plain(
        "client_name",
        &[Place::Server],
        OptionKind::Text,
        "Name under which the company's usage page shows these calls; default crm_fdw.",
    ),
    OptionDef::plain(
        "metadata",
        &[Place::Server],
        OptionKind::Choice(&["builtin", "rest"]),
        "Where fields of objects are known from: builtin (the standard fields, and the custom ones that the mapping service names; the default) or rest (the description that the REST interface gives).",
    ),
    OptionDef::plain(
        "custom_tags",
        &[Place::Server],
        OptionKind::Bool,
        "Whether custom fields go by the company's own tags instead of the generic ones such as CustomText0; default false.",
    ),
    OptionDef::plain(
        "view_mode",
        &[Place::Server],
        OptionKind::Choice(&[
            "Broadest",
            "AllBooks",
            "Organization",
            "Personal",
            "Sales Rep",
            "Manager",
            "EmployeeManager",
            "ManagerBooks",
            "Context",
        ]),
        "Which records of the company the user's queries see; default Broadest.",
    ),
    OptionDef::plain(
        "language",
        &[Place::Server],
        OptionKind::Text,
        "Language of what picklists show, in three letters such as ENU or DEU; default the user's own.",
    ),
    OptionDef::plain(
        "username",
        &[Place::UserMapping],
        OptionKind::Text,
        "The user sign-in identifier: COMPANY/user.",
    ),
    OptionDef::secret("password", "The user's password."),
];

/// The address is one that only Oracle can answer for (A-5; Oracle page 1.1).
pub(crate) fn is_vendor_host(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return false;
    };
    url.scheme() == "https"
        && url.port_or_known_default() == Some(443)
        && url
            .host_str()
            .is_some_and(|host| host.ends_with(".crmondemand.com"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vendors_own_hosts_are_trusted() {
        for (url, expected) in [
            ("https://secure-ausomxapa.crmondemand.com", true),
            ("https://secure-slsomxdia.crmondemand.com/", true),
            ("https://secure-ausomxapa.crmondemand.com:8443", false),
            ("http://secure-ausomxapa.crmondemand.com", false),
            ("https://secure.crmondemand.com.evil.example", false),
            ("https://evilcrmondemand.com", false),
            ("https://a.crmondemand.com@evil.example", false),
            ("secure-ausomxapa.crmondemand.com", false),
        ] {
            assert_eq!(is_vendor_host(url), expected, "{url}");
        }
    }
}
