//! Credentials and options in the SOAP header (section 2.2 of the protocol page).

use crate::xml::Node;

/// The namespace that makes a request stateless.
const OASIS: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
const COMMON: &str = "urn:crmondemand/ws";

/// What the header says about the sender.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// The older namespace: such a request signs in and takes a session.
    pub stateful: bool,
    /// The session may authenticate later requests without credentials.
    pub keep_alive: bool,
}

/// Reads a header.
pub fn sender(header: Option<&Node>) -> Sender {
    let Some(header) = header else {
        return Sender::default();
    };
    let security = header.child("Security");
    let token = security.and_then(|security| security.child("UsernameToken"));
    let credentials = token.and_then(|token| {
        let user = token.text_of("Username")?;
        let password = &token.child("Password")?.text;
        Some((user.to_owned(), password.clone()))
    });
    Sender {
        stateful: security.is_some_and(|security| security.namespace != OASIS),
        keep_alive: header.children.iter().any(|child| {
            child.name == "SessionKeepAlive"
                && child.namespace == COMMON
                && child.text.trim() == "true"
        }),
        credentials,
    }
}
