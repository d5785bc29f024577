//! Salesforce's error codes and what they mean to someone who writes SQL (Salesforce page 8.5).

use crm_core::{Error, ErrorKind};
use crm_http::{Reply, StatusCode};
use serde::Deserialize;

/// Longer vendor texts are cut: some repeat the whole query.
const LONGEST_TEXT: usize = 2_000;

/// One fault in a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The vendor's code, such as `INVALID_FIELD`.
    pub code: String,
    /// The vendor's words.
    pub text: String,
}

/// A code, the kind it means, what the user is told, and what to do about it where that is known.
type Row = (&'static str, ErrorKind, &'static str, Option<&'static str>);

const REIMPORT: &str = "If the field or object was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.";

const TABLE: &[Row] = &[
    (
        "INVALID_TYPE",
        ErrorKind::ObjectUnknown,
        "the CRM does not know the object",
        Some(REIMPORT),
    ),
    (
        "NOT_FOUND",
        ErrorKind::ObjectUnknown,
        "the CRM does not know the object",
        Some(REIMPORT),
    ),
    (
        "INVALIDENTITY",
        ErrorKind::ObjectUnknown,
        "the CRM does not know the object",
        Some(REIMPORT),
    ),
    (
        "INVALID_FIELD",
        ErrorKind::FieldUnknown,
        "the CRM does not take a field of the query",
        Some(REIMPORT),
    ),
    (
        "INVALID_QUERY_FILTER_OPERATOR",
        ErrorKind::FieldUnknown,
        "the CRM cannot compare a field like this",
        Some("Set the column option filterable to 'false', and the condition is checked here."),
    ),
    (
        "INVALID_SESSION_ID",
        ErrorKind::LoginRefused,
        "the session was refused",
        None,
    ),
    (
        "INVALID_AUTH_HEADER",
        ErrorKind::LoginRefused,
        "the session was refused",
        None,
    ),
    (
        "REQUEST_LIMIT_EXCEEDED",
        ErrorKind::AllotmentUsedUp,
        "the account's API calls are used up",
        Some(
            "The daily allotment refills over 24 hours; SELECT * FROM crm.check(…) shows the calls left.",
        ),
    ),
    (
        "LIMIT_EXCEEDED",
        ErrorKind::AllotmentUsedUp,
        "a limit of the account is reached",
        None,
    ),
    (
        "TXN_SECURITY_METERING_ERROR",
        ErrorKind::NotPermitted,
        "a security policy of the account stopped the call",
        None,
    ),
    (
        "API_DISABLED_FOR_ORG",
        ErrorKind::NotPermitted,
        "the API is not enabled for this account",
        Some(
            "The user's profile needs the permission \"API Enabled\", and the edition must include the API.",
        ),
    ),
    (
        "API_CURRENTLY_DISABLED",
        ErrorKind::NotPermitted,
        "the API is closed for the moment",
        None,
    ),
    (
        "INSUFFICIENT_ACCESS",
        ErrorKind::NotPermitted,
        "the account may not do this",
        None,
    ),
    (
        "INSUFFICIENT_ACCESS_OR_READONLY",
        ErrorKind::NotPermitted,
        "the account may not do this",
        None,
    ),
    (
        "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY",
        ErrorKind::NotPermitted,
        "the account may not use a record that is referred to",
        None,
    ),
    (
        "FORBIDDEN",
        ErrorKind::NotPermitted,
        "the account may not do this",
        None,
    ),
    (
        "QUERY_TIMEOUT",
        ErrorKind::ConnectionLost,
        "the query ran too long for the CRM",
        Some("Narrow the WHERE clause, best by a range of a date or an indexed field."),
    ),
    (
        "QUERY_TOO_COMPLICATED",
        ErrorKind::NotSupported,
        "the query is too complicated for the CRM",
        Some("Ask for fewer columns; formula fields count most."),
    ),
    (
        "OPERATION_TOO_LARGE",
        ErrorKind::NotSupported,
        "the query is too large for the CRM",
        Some("Narrow the WHERE clause."),
    ),
    (
        "INVALID_QUERY_LOCATOR",
        ErrorKind::ConnectionLost,
        "the CRM closed the query while it was being read",
        Some("Run the statement again."),
    ),
    (
        "MALFORMED_QUERY",
        ErrorKind::RemoteFault,
        "the CRM does not understand the query",
        None,
    ),
    (
        "INVALID_TYPE_FOR_OPERATION",
        ErrorKind::NotSupported,
        "the CRM does not let this object be read like this",
        None,
    ),
    (
        "EXTERNAL_OBJECT_UNSUPPORTED_EXCEPTION",
        ErrorKind::NotSupported,
        "the CRM does not let this object be read like this",
        None,
    ),
    (
        "EXTERNAL_OBJECT_EXCEPTION",
        ErrorKind::RemoteFault,
        "the system behind an external object failed",
        None,
    ),
    (
        "NUMBER_OUTSIDE_VALID_RANGE",
        ErrorKind::NumberOutOfRange,
        "a number is out of the CRM's range",
        None,
    ),
    (
        "MALFORMED_ID",
        ErrorKind::RemoteFault,
        "the CRM does not take an identifier",
        None,
    ),
    (
        "INVALID_ID_FIELD",
        ErrorKind::RemoteFault,
        "the CRM does not take an identifier",
        None,
    ),
    (
        "UNABLE_TO_LOCK_ROW",
        ErrorKind::RecordLocked,
        "a record is locked",
        None,
    ),
    (
        "SERVER_UNAVAILABLE",
        ErrorKind::ConnectionLost,
        "the CRM is not available now",
        None,
    ),
    (
        "UNSUPPORTED_API_VERSION",
        ErrorKind::NotSupported,
        "the CRM no longer has this API version",
        Some("Set the server option api_version to a newer one."),
    ),
    (
        "UNKNOWN_EXCEPTION",
        ErrorKind::RemoteFault,
        "the CRM failed",
        None,
    ),
];

/// The error that a reply other than success means.
pub(crate) fn from_reply(reply: &Reply) -> Error {
    let fault = faults(&reply.body).into_iter().next().unwrap_or_default();
    from_fault(reply.status, &fault)
}

/// The error that a status and its first fault mean.
pub(crate) fn from_fault(status: StatusCode, fault: &Fault) -> Error {
    let known = TABLE.iter().find(|row| row.0 == fault.code);
    let (kind, message, hint) = match known {
        Some((_, kind, message, hint)) => (*kind, *message, *hint),
        None => by_status(status),
    };
    let hint = match fault.code.as_str() {
        "INVALID_FIELD" if fault.text.contains("can not be filtered") => {
            Some("Set the column option filterable to 'false', and the condition is checked here.")
        }
        "INVALID_FIELD" if fault.text.contains("can not be sorted") => {
            Some("Set the column option sortable to 'false'.")
        }
        _ => hint,
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

/// The faults a body names: an array of them, a single one, or none when it is something else.
pub(crate) fn faults(body: &[u8]) -> Vec<Fault> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Body {
        Many(Vec<Entry>),
        One(Entry),
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(alias = "error", alias = "exceptionCode", alias = "statusCode")]
        #[serde(rename = "errorCode", default)]
        code: Option<String>,
        #[serde(alias = "error_description", alias = "exceptionMessage")]
        #[serde(rename = "message", default)]
        text: Option<String>,
    }
    let entries = match serde_json::from_slice(body) {
        Ok(Body::Many(entries)) => entries,
        Ok(Body::One(entry)) => vec![entry],
        // A page for people, or nothing at all: the status says what there is to say.
        Err(_) => Vec::new(),
    };
    entries
        .into_iter()
        .map(|entry| Fault {
            code: entry.code.unwrap_or_default(),
            text: entry.text.unwrap_or_default(),
        })
        .filter(|fault| *fault != Fault::default())
        .collect()
}

fn by_status(status: StatusCode) -> (ErrorKind, &'static str, Option<&'static str>) {
    match status.as_u16() {
        401 => (ErrorKind::LoginRefused, "the session was refused", None),
        403 => (ErrorKind::NotPermitted, "the account may not do this", None),
        404 => (
            ErrorKind::RemoteFault,
            "the CRM has nothing at this address",
            Some("Check the server options url and api_version."),
        ),
        410 => (
            ErrorKind::NotSupported,
            "the CRM no longer has this API version",
            Some("Set the server option api_version to a newer one."),
        ),
        414 | 431 => (
            ErrorKind::RemoteFault,
            "the query is too long for the CRM",
            Some("Ask for fewer columns or a shorter list of values."),
        ),
        429 => (
            ErrorKind::AllotmentUsedUp,
            "the CRM asks for fewer calls",
            Some("Try again later, or raise the server options max_retries and retry_timeout."),
        ),
        406 | 420 | 502..=504 => (
            ErrorKind::ConnectionLost,
            "the CRM is not available now",
            None,
        ),
        _ => (ErrorKind::RemoteFault, "the CRM refused the call", None),
    }
}

fn detail(status: StatusCode, fault: &Fault) -> String {
    let text: String = fault.text.chars().take(LONGEST_TEXT).collect();
    match (fault.code.is_empty(), text.is_empty()) {
        (true, true) => format!("HTTP status {}", status.as_u16()),
        (true, false) => text,
        (false, true) => fault.code.clone(),
        (false, false) => format!("{}: {text}", fault.code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        let fault = faults(body.as_bytes()).into_iter().next();
        from_fault(status, &fault.unwrap_or_default())
    }

    #[test]
    fn codes_and_statuses_by_meaning() {
        for (status, body, kind, code) in [
            (
                400,
                r#"[{"message":"No such column 'foo' on sobject of type Bar","errorCode":"INVALID_FIELD"}]"#,
                ErrorKind::FieldUnknown,
                Some("INVALID_FIELD"),
            ),
            (
                400,
                r#"{"errorCode":"INVALID_TYPE","message":"sObject type 'X' is not supported."}"#,
                ErrorKind::ObjectUnknown,
                Some("INVALID_TYPE"),
            ),
            (
                403,
                r#"[{"message":"TotalRequests Limit exceeded.","errorCode":"REQUEST_LIMIT_EXCEEDED","fields":[]}]"#,
                ErrorKind::AllotmentUsedUp,
                Some("REQUEST_LIMIT_EXCEEDED"),
            ),
            (
                400,
                r#"[{"errorCode":"BRAND_NEW","message":"x"}]"#,
                ErrorKind::RemoteFault,
                Some("BRAND_NEW"),
            ),
            (
                400,
                r#"{"error":"invalid_grant"}"#,
                ErrorKind::RemoteFault,
                Some("invalid_grant"),
            ),
            (410, "<html>gone</html>", ErrorKind::NotSupported, None),
            (431, "", ErrorKind::RemoteFault, None),
            (503, "<html>", ErrorKind::ConnectionLost, None),
            (500, "[]", ErrorKind::RemoteFault, None),
            (401, "[1,2]", ErrorKind::LoginRefused, None),
        ] {
            let error = error(status, body);
            assert_eq!(error.kind(), kind, "{body}");
            assert_eq!(error.code(), code, "{body}");
            let message = error.message();
            assert!(message.starts_with(char::is_lowercase) && !message.ends_with('.'));
        }
    }

    #[test]
    fn a_field_that_cannot_be_filtered_says_what_to_do() {
        let body = r#"[{"message":"field 'Description' can not be filtered in a query call","errorCode":"INVALID_FIELD"}]"#;
        let error = error(400, body);
        assert!(error.hint().unwrap().contains("filterable"));
        assert_eq!(
            error.detail(),
            Some("INVALID_FIELD: field 'Description' can not be filtered in a query call")
        );
    }

    #[test]
    fn the_tables_codes_are_unique() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..at].iter().all(|other| other.0 != row.0),
                "{}",
                row.0
            );
        }
    }
}
