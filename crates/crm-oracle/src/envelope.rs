//! The SOAP envelope around an operation (Oracle page 1.3, 2.2).

use crm_core::{ExposeSecret, SecretString};
use quick_xml::escape::escape;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// With this namespace the service takes credentials without opening a session (Oracle page 2.2).
const WSSE: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const PASSWORD_TEXT: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText";
/// Namespace of the service's own headers.
const HEADERS: &str = "urn:crmondemand/ws";

/// Credentials that travel in a message.
pub(crate) struct Credentials<'a> {
    pub username: &'a str,
    pub password: &'a SecretString,
    pub client_name: &'a str,
}

/// A message around `input`, the one element of its body.
pub(crate) fn message(credentials: Option<&Credentials<'_>>, input: &str) -> String {
    let header = credentials.map(header).unwrap_or_default();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><e:Envelope xmlns:e=\"{SOAP}\">{header}<e:Body>{input}</e:Body></e:Envelope>"
    )
}

/// `SessionKeepAlive` makes the reply's cookie stand for the credentials from then on.
fn header(credentials: &Credentials<'_>) -> String {
    format!(
        concat!(
            "<e:Header><w:Security xmlns:w=\"{}\" e:mustUnderstand=\"1\"><w:UsernameToken>",
            "<w:Username>{}</w:Username><w:Password Type=\"{}\">{}</w:Password>",
            "</w:UsernameToken></w:Security><ClientName xmlns=\"{}\">{}</ClientName>",
            "<SessionKeepAlive xmlns=\"{}\">true</SessionKeepAlive></e:Header>"
        ),
        WSSE,
        escape(credentials.username),
        PASSWORD_TEXT,
        escape(credentials.password.expose_secret()),
        HEADERS,
        escape(credentials.client_name),
        HEADERS,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_escaped_and_stand_in_the_header_alone() {
        let password = SecretString::from("TEST-<&\"'>");
        let credentials = Credentials {
            username: "TESTCO/a&b",
            password: &password,
            client_name: "crm_fdw",
        };
        let text = message(Some(&credentials), "<x/>");
        assert!(text.contains("<w:Username>TESTCO/a&amp;b</w:Username>"));
        assert!(text.contains(">TEST-&lt;&amp;&quot;&apos;&gt;</w:Password>"));
        assert!(text.ends_with("</e:Header><e:Body><x/></e:Body></e:Envelope>"));
        assert!(!message(None, "<x/>").contains("Header"));
    }
}
