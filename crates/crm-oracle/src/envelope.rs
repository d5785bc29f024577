//! The SOAP envelope around an operation and its answer (Oracle page 1.3, 2.2).

use crm_core::{Error, ErrorKind, ExposeSecret, Result, SecretString};
use crm_xml::{Reader, Writer};

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

/// A message around `input`, the one element of its body, with its credentials in the header where they are given.
/// `SessionKeepAlive` makes the reply's cookie stand for them from then on.
///
/// # Errors
/// When the credentials hold a character that XML cannot carry.
pub(crate) fn message(credentials: Option<&Credentials<'_>>, input: &str) -> Result<String> {
    let mut message = Writer::new();
    message.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    message.open("e:Envelope", &[("xmlns:e", SOAP)]);
    if let Some(credentials) = credentials {
        message.open("e:Header", &[]);
        let must_understand = [("xmlns:w", WSSE), ("e:mustUnderstand", "1")];
        message.open("w:Security", &must_understand);
        message.open("w:UsernameToken", &[]);
        message.leaf("w:Username", &[], credentials.username);
        let password = credentials.password.expose_secret();
        message.leaf("w:Password", &[("Type", PASSWORD_TEXT)], password);
        message.close().close();
        message.leaf("ClientName", &[("xmlns", HEADERS)], credentials.client_name);
        message.leaf("SessionKeepAlive", &[("xmlns", HEADERS)], "true");
        message.close();
    }
    message.open("e:Body", &[]).raw(input);
    // The writer's own words would show the character, which is one of the secret's.
    message.finish().map_err(|_| {
        Error::new(
            ErrorKind::OptionValue,
            "the credentials hold a character that cannot be sent",
        )
    })
}

/// Opens the list inside the one element of a message's body. The vendor's answers are known by local names: which
/// namespace a list is in depends on the interface and its age (Oracle page 1.4).
///
/// # Errors
/// When the document is no such message.
pub(crate) fn open_list(reader: &mut Reader<'_>, name: &str) -> Result<()> {
    open_output(reader)?;
    while reader.child()? {
        if reader.name().1 == name {
            return Ok(());
        }
        reader.skip()?;
    }
    Err(reader.refuse(&format!("it has no {name}")))
}

/// Reads to the end of a message whose list has been read: what ends too early is no answer.
///
/// # Errors
/// When the rest is malformed or missing.
pub(crate) fn close_message(reader: &mut Reader<'_>) -> Result<()> {
    // The output, the body, the envelope; then there is nothing.
    for _ in 0..4 {
        while reader.child()? {
            reader.skip()?;
        }
    }
    Ok(())
}

/// Opens the one element of a message's body.
///
/// # Errors
/// When the document is no message.
pub(crate) fn open_output(reader: &mut Reader<'_>) -> Result<()> {
    if !reader.child()? || reader.name().1 != "Envelope" {
        return Err(reader.refuse("it is no message"));
    }
    loop {
        if !reader.child()? {
            return Err(reader.refuse("it has no body"));
        }
        if reader.name().1 == "Body" {
            break;
        }
        reader.skip()?;
    }
    match reader.child()? {
        true => Ok(()),
        false => Err(reader.refuse("its body is empty")),
    }
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
        let text = message(Some(&credentials), "<x/>").unwrap();
        assert!(text.contains("<w:Username>TESTCO/a&amp;b</w:Username>"));
        assert!(text.contains(">TEST-&lt;&amp;\"'&gt;</w:Password>"));
        assert!(text.ends_with("</e:Header><e:Body><x/></e:Body></e:Envelope>"));
        assert!(!message(None, "<x/>").unwrap().contains("Header"));
        let control = SecretString::from("TEST-\u{1}");
        let refused = Credentials {
            password: &control,
            ..credentials
        };
        assert!(message(Some(&refused), "<x/>").is_err());
    }
}
