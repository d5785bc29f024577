//! The sign-in of the SOAP partner API, for accounts without a connected app (Salesforce page 2.3).
//! Its envelope and its reply; the session it gives serves REST as a bearer token.

use crm_core::{Error, ErrorKind, Result};
use quick_xml::escape::escape;
use serde::Deserialize;

/// `login()` is gone from version 65.0 on, so this does not follow the option `api_version`.
pub(crate) const PATH: &str = "/services/Soap/u/64.0";

/// A granted login.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Granted {
    pub server_url: String,
    pub session_id: String,
    #[serde(default)]
    pub password_expired: bool,
    #[serde(default)]
    pub user_info: UserInfo,
}

/// Who signed in.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct UserInfo {
    pub organization_id: String,
    pub organization_name: String,
    pub user_name: String,
}

/// A reply: granted, or refused with the vendor's code and words.
#[derive(Debug)]
pub(crate) enum Answer {
    Granted(Box<Granted>),
    Refused { code: String, text: String },
}

/// The request's body. `password` has the security token appended.
pub(crate) fn envelope(username: &str, password: &str) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>"#,
            r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>"#,
            r#"<login xmlns="urn:partner.soap.sforce.com">"#,
            "<username>{}</username><password>{}</password></login></e:Body></e:Envelope>"
        ),
        escape(username),
        escape(password)
    )
}

/// Reads a reply of either kind.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it is neither.
pub(crate) fn parse(body: &str) -> Result<Answer> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Envelope {
        body: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        #[serde(rename = "loginResponse")]
        response: Option<Response>,
        #[serde(rename = "Fault")]
        fault: Option<Fault>,
    }
    #[derive(Deserialize)]
    struct Response {
        result: Granted,
    }
    #[derive(Deserialize)]
    struct Fault {
        #[serde(default)]
        faultcode: String,
        #[serde(default)]
        faultstring: String,
    }
    let unreadable = || Error::new(ErrorKind::Undecodable, "the sign-in's reply cannot be read");
    // The parser's own words would show the reply, session included.
    let envelope: Envelope = quick_xml::de::from_str(body).map_err(|_| unreadable())?;
    match envelope.body {
        Body {
            response: Some(response),
            ..
        } => Ok(Answer::Granted(Box::new(response.result))),
        Body {
            fault: Some(fault), ..
        } => {
            // With and without a prefix; the text repeats the code.
            let code = fault
                .faultcode
                .rsplit(':')
                .next()
                .unwrap_or_default()
                .trim();
            let text = fault.faultstring.trim();
            let text = text.strip_prefix(code).unwrap_or(text);
            Ok(Answer::Refused {
                code: code.into(),
                text: text.trim_start_matches([':', ' ']).into(),
            })
        }
        Body { .. } => Err(unreadable()),
    }
}

/// The origin for data in a login's `serverUrl`; very old organisations put `-api` into the host's first label.
pub(crate) fn instance_of(server_url: &str) -> Result<String> {
    let unreadable = || {
        Error::new(
            ErrorKind::Undecodable,
            "the sign-in names an address for data that is not one",
        )
    };
    let url = url::Url::parse(server_url).map_err(|_| unreadable())?;
    let host = url.host_str().ok_or_else(unreadable)?;
    let host = match host.split_once('.') {
        Some((first, rest)) => match first.strip_suffix("-api") {
            Some(first) => format!("{first}.{rest}"),
            None => host.to_string(),
        },
        None => host.to_string(),
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Ok(format!("{}://{host}{port}", url.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_reply() {
        let body = include_str!("../tests/fixtures/soap_login_response.xml");
        let Answer::Granted(granted) = parse(body).unwrap() else {
            panic!("refused")
        };
        assert_eq!(granted.session_id, "00Dx00000000qlE!SESSION_ID_REMOVED");
        assert_eq!(granted.user_info.user_name, "user@mycompany.com");
        assert_eq!(granted.user_info.organization_name, "my.org 144");
        assert!(!granted.password_expired);
        assert_eq!(
            instance_of(&granted.server_url).unwrap(),
            "https://na1.salesforce.com"
        );
    }

    #[test]
    fn faults_with_and_without_prefix() {
        for code in ["INVALID_LOGIN", "sf:INVALID_LOGIN"] {
            let body = format!(
                r#"<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:sf="urn:fault.partner.soap.sforce.com"><soapenv:Body><soapenv:Fault><faultcode>{code}</faultcode><faultstring>INVALID_LOGIN: Invalid username &amp; password</faultstring><detail><sf:LoginFault><sf:exceptionCode>INVALID_LOGIN</sf:exceptionCode></sf:LoginFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"#
            );
            let Answer::Refused { code, text } = parse(&body).unwrap() else {
                panic!("granted")
            };
            assert_eq!(code, "INVALID_LOGIN");
            assert_eq!(text, "Invalid username & password");
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c SYSTEM "file:///etc/passwd">]><Envelope><Body><Fault><faultstring>&b;&c;</faultstring></Fault></Body></Envelope>"#;
        for body in ["", "<html>", "<a/>", "<Envelope><Body/></Envelope>", bomb] {
            let error = parse(body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Undecodable, "{body}");
        }
    }

    #[test]
    fn credentials_stay_in_their_elements() {
        let body = envelope("a&b", "</password><x>'\"");
        assert!(body.contains("<username>a&amp;b</username>"));
        assert!(!body.contains("<x>"));
    }

    #[test]
    fn hosts_of_old_organisations() {
        for (given, expected) in [
            (
                "https://na1-api.salesforce.com/services/Soap/u/64.0/00D",
                "https://na1.salesforce.com",
            ),
            ("https://localhost:8443/services", "https://localhost:8443"),
            ("http://na1.salesforce.com/", "http://na1.salesforce.com"),
        ] {
            assert_eq!(instance_of(given).unwrap(), expected);
        }
        assert!(instance_of("na1").is_err());
    }
}
