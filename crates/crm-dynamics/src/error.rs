//! The vendor's error codes and what they mean to someone who writes SQL (Dynamics page, sections 9 and 2.4).

use crate::auth::Form;
use crm_core::{Error, ErrorKind};
use crm_http::{Reply, StatusCode};
use serde::Deserialize;

/// Longer vendor texts are cut: some repeat the whole query.
const LONGEST_TEXT: usize = 2_000;

/// One fault in a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The vendor's code, such as `0x80040217`, in lower case; empty where it has none.
    pub code: String,
    /// The vendor's words.
    pub text: String,
}

/// A code, the kind it means, what the user is told, and what to do about it where that is known.
type Row = (&'static str, ErrorKind, &'static str, Option<&'static str>);

const REIMPORT: &str = "If the object or a field was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.";
const LATER: &str = "Try again later, or raise the server options max_retries and retry_timeout.";
const ROLE: &str = "An administrator must give the user a security role that allows it.";

/// Codes of the Web API and of the SOAP service, which are the same numbers.
const TABLE: &[Row] = &[
    (
        "0x80040217",
        ErrorKind::RecordUnknown,
        "the record does not exist",
        None,
    ),
    (
        "0x80060891",
        ErrorKind::RecordUnknown,
        "no record has these key values",
        None,
    ),
    (
        "0x80040237",
        ErrorKind::DuplicateKey,
        "a record with this key exists",
        None,
    ),
    (
        "0x80060892",
        ErrorKind::DuplicateKey,
        "a record with this key exists",
        None,
    ),
    (
        "0x80040333",
        ErrorKind::DuplicateKey,
        "a duplicate detection rule refuses the record",
        None,
    ),
    (
        "0x80040220",
        ErrorKind::NotPermitted,
        "the account may not do this",
        Some(ROLE),
    ),
    (
        "0x80040299",
        ErrorKind::NotPermitted,
        "the account may not do this",
        Some(ROLE),
    ),
    (
        "0x80048306",
        ErrorKind::NotPermitted,
        "the account may not do this",
        Some(ROLE),
    ),
    (
        "0x80072560",
        ErrorKind::NotPermitted,
        "the user is not a member of the organisation",
        Some("An application needs an application user with a security role in the environment."),
    ),
    // What FetchXML is told of an entity that is not there.
    (
        "0x80041102",
        ErrorKind::ObjectUnknown,
        "the CRM does not know the object",
        Some(REIMPORT),
    ),
    (
        "0x80041103",
        ErrorKind::FieldUnknown,
        "the CRM does not know a field of the query",
        Some(REIMPORT),
    ),
    (
        "0x80060888",
        ErrorKind::FieldUnknown,
        "the CRM does not take the query",
        Some(REIMPORT),
    ),
    (
        "0x8006088a",
        ErrorKind::ObjectUnknown,
        "the CRM does not know the object",
        Some(REIMPORT),
    ),
    (
        "0x80044331",
        ErrorKind::TextTooLong,
        "a text is longer than the field",
        None,
    ),
    (
        "0x80040265",
        ErrorKind::ValidationRule,
        "a plug-in of the organisation refuses this",
        None,
    ),
    (
        "0x80040227",
        ErrorKind::ValidationRule,
        "the record cannot be deleted while others refer to it",
        None,
    ),
    (
        "0x80060882",
        ErrorKind::RecordLocked,
        "somebody else has changed the record",
        None,
    ),
    (
        "0x80044150",
        ErrorKind::RecordLocked,
        "the CRM's database could not do this now",
        Some(LATER),
    ),
    (
        "0x80044151",
        ErrorKind::ConnectionLost,
        "the query ran too long for the CRM",
        Some("Narrow the WHERE clause, best by a range of a date or an indexed field."),
    ),
    (
        "0x8004e023",
        ErrorKind::NotSupported,
        "the CRM aggregates no more than 50,000 records",
        None,
    ),
    (
        "0x80044352",
        ErrorKind::ChangeTokenExpired,
        "the change token has expired",
        None,
    ),
    (
        "0x8004a104",
        ErrorKind::NotPermitted,
        "the organisation is disabled",
        None,
    ),
    (
        "0x80072321",
        ErrorKind::AllotmentUsedUp,
        "the account's calls take more time than the CRM allows",
        Some(LATER),
    ),
    (
        "0x80072322",
        ErrorKind::AllotmentUsedUp,
        "the account makes more calls than the CRM allows",
        Some(LATER),
    ),
    (
        "0x80072326",
        ErrorKind::AllotmentUsedUp,
        "the account makes more calls at once than the CRM allows",
        Some(LATER),
    ),
];

/// The error that a reply other than success means.
pub(crate) fn from_reply(reply: &Reply) -> Error {
    let fault = fault_of(&reply.body).unwrap_or_default();
    let mut error = from_fault(reply.status, &fault);
    if let Some(request) = reply
        .header("x-ms-service-request-id")
        .or_else(|| reply.header("req_id"))
    {
        let detail = error.detail().unwrap_or_default();
        let detail = format!("{detail}\nRequest: {}", shortened(request, 100));
        error = error.with_detail(detail);
    }
    error
}

/// The error that a status and its fault mean.
pub(crate) fn from_fault(status: StatusCode, fault: &Fault) -> Error {
    let known = TABLE.iter().find(|row| row.0 == fault.code);
    let (kind, message, hint) = match known {
        Some((_, kind, message, hint)) => (*kind, *message, *hint),
        None => by_status(status, &fault.text),
    };
    let mut error = Error::new(kind, message).with_detail(detail(status, fault));
    if !fault.code.is_empty() {
        error = error.with_code(&fault.code);
    }
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The fault that a body names, if it is one: `{"error":{"code","message"}}` of any version.
pub(crate) fn fault_of(body: &[u8]) -> Option<Fault> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(alias = "odata.error")]
        error: Entry,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: Option<String>,
        #[serde(default)]
        message: serde_json::Value,
    }
    // A page for people, or nothing at all: the status says what there is to say.
    let Body { error } = serde_json::from_slice(body).ok()?;
    let text = match &error.message {
        serde_json::Value::String(text) => text.clone(),
        // Old versions wrap it with its language.
        other => other
            .get("value")
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned(),
    };
    Some(Fault {
        code: code_of(&error.code.unwrap_or_default()),
        text,
    })
}

/// A code as this table spells it: `0x0` and blanks say nothing.
pub(crate) fn code_of(told: &str) -> String {
    let code = told.trim().to_ascii_lowercase();
    if code == "0x0" { String::new() } else { code }
}

/// The code of a signed number, as the SOAP service tells it.
pub(crate) fn code_of_number(number: i32) -> String {
    if number == 0 {
        return String::new();
    }
    format!("{number:#010x}")
}

fn by_status(status: StatusCode, text: &str) -> (ErrorKind, &'static str, Option<&'static str>) {
    match status.as_u16() {
        401 => (
            ErrorKind::LoginRefused,
            "the server refused the sign-in",
            Some(
                "The account may be none of the organisation: an application needs an application user with a security role in the environment.",
            ),
        ),
        403 => (
            ErrorKind::NotPermitted,
            "the account may not do this",
            Some(ROLE),
        ),
        404 if text.contains("Resource not found for the segment") => (
            ErrorKind::ObjectUnknown,
            "the CRM does not know the object",
            Some(REIMPORT),
        ),
        404 => (
            ErrorKind::RemoteFault,
            "the CRM has nothing at this address",
            Some("Check the server options url and api_version."),
        ),
        400 if text.contains("Could not find a property named") => (
            ErrorKind::FieldUnknown,
            "the CRM does not know a field of the query",
            Some(REIMPORT),
        ),
        405 | 501 => (
            ErrorKind::NotSupported,
            "the CRM does not let this object be used like this",
            None,
        ),
        412 => (
            ErrorKind::DuplicateKey,
            "the record is not as it should be for this",
            None,
        ),
        413 | 414 | 431 => (
            ErrorKind::RemoteFault,
            "the request is too long for the CRM",
            Some("Ask for fewer columns or a shorter list of values."),
        ),
        429 => (
            ErrorKind::AllotmentUsedUp,
            "the CRM asks for fewer calls",
            Some(LATER),
        ),
        502..=504 => (
            ErrorKind::ConnectionLost,
            "the CRM is not available now",
            None,
        ),
        _ => (ErrorKind::RemoteFault, "the CRM refused the call", None),
    }
}

fn detail(status: StatusCode, fault: &Fault) -> String {
    let text = shortened(&fault.text, LONGEST_TEXT);
    match (fault.code.is_empty(), text.is_empty()) {
        (true, true) => format!("HTTP status {}", status.as_u16()),
        (true, false) => text,
        (false, true) => fault.code.clone(),
        (false, false) => format!("{}: {text}", fault.code),
    }
}

fn shortened(text: &str, longest: usize) -> String {
    text.chars().take(longest).collect()
}

#[derive(Default, Deserialize)]
struct TokenFault {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
    #[serde(default)]
    error_codes: Vec<u64>,
}

/// What a refused sign-in means (2.4). The vendor's numbers serve hints only.
pub(crate) fn refused_sign_in(reply: &Reply, form: Form) -> Error {
    let fault: TokenFault = serde_json::from_slice(&reply.body).unwrap_or_default();
    if !matches!(reply.status.as_u16(), 400..=403) || fault.error.is_empty() {
        return from_reply(reply);
    }
    let first_line = fault.error_description.lines().next().unwrap_or_default();
    let described = shortened(first_line, LONGEST_TEXT);
    let number = fault.error_codes.first().copied();
    let number = number.or_else(|| number_in(first_line, "AADSTS"));
    let detail = if described.is_empty() {
        fault.error.clone()
    } else {
        format!("{}: {described}", fault.error)
    };
    let code = number.map_or_else(|| fault.error.clone(), |number| format!("AADSTS{number}"));
    let is_transient = matches!(number, Some(50_033 | 90_006))
        || matches!(
            fault.error.as_str(),
            "temporarily_unavailable" | "server_error"
        );
    if is_transient {
        return Error::new(
            ErrorKind::ConnectionLost,
            "the CRM refuses sign-ins for the moment",
        )
        .with_code(code)
        .with_detail(detail);
    }
    let error = Error::new(ErrorKind::LoginRefused, "the CRM refused the sign-in")
        .with_code(code)
        .with_detail(detail);
    match sign_in_hint(&fault.error, number, first_line, form) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn number_in(text: &str, mark: &str) -> Option<u64> {
    let (_, rest) = text.split_once(mark)?;
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[..length].parse().ok()
}

fn sign_in_hint(error: &str, number: Option<u64>, text: &str, form: Form) -> Option<&'static str> {
    Some(match number {
        Some(50_126 | 50_064 | 50_056) => {
            "Check username and password in the user mapping. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called."
        }
        Some(50_034 | 51_004) => {
            "The directory does not know the user. Check username and the server option tenant."
        }
        Some(50_053) => {
            "The user is locked after too many sign-ins; wait, or ask an administrator."
        }
        Some(50_055 | 50_144) => {
            "The password has expired: set a new one in the CRM and ALTER the user mapping."
        }
        Some(50_057) => "The user is disabled; an administrator can enable it.",
        Some(50_072 | 50_074 | 50_076 | 50_079 | 50_158) => {
            "The user must prove more than a password, which a database cannot do. Sign in as an application: give client_id and client_secret and set the server option auth to client_credentials."
        }
        Some(53_000..=53_003 | 50_131) => {
            "A conditional access policy blocks this sign-in. Use client_credentials, or ask an administrator to except the application."
        }
        Some(65_001 | 65_002) => {
            "An administrator of the directory must consent to the application, or give client_id of one of your own."
        }
        Some(70_002 | 7_000_215) => "Check client_secret in the user mapping.",
        Some(7_000_222) => {
            "The application's secret has expired: make a new one and ALTER the user mapping."
        }
        Some(7_000_218) => {
            "Allow public client flows for the application, or give client_secret in the user mapping."
        }
        Some(700_016) => {
            "The directory does not know the application. Check client_id and the server option tenant."
        }
        Some(90_002) => "There is no such directory. Check the server option tenant.",
        Some(70_011 | 50_001 | 500_011) => {
            "The directory does not know the organisation. Check the server option url."
        }
        Some(50_196) => "The sign-in was asked for too often; wait some minutes.",
        _ if text.contains("MSIS9605") => {
            "AD FS lets this application not use the organisation: grant it the permission with Grant-AdfsApplicationPermission."
        }
        _ if text.contains("MSIS9659") || (form == Form::Adfs && error == "invalid_grant") => {
            "Check username and password in the user mapping; AD FS wants DOMAIN\\user or user@domain. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called."
        }
        _ => match error {
            "invalid_grant" => {
                "Check username and password in the user mapping. The sign-in is not tried again, since accounts lock, until the mapping is altered or crm.disconnect is called."
            }
            "invalid_client" | "unauthorized_client" => {
                "Check client_id and client_secret of the application."
            }
            "unsupported_grant_type" => {
                "The sign-in host does not allow this way; choose another with the server option auth."
            }
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests;
