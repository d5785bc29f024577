//! Refusals in the form of section 9: `{"error":{"code","message"}}`, and answers with OData headers.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::faults::{Fault, Kind};
use crate::salesforce::errors::Reply;

/// Content type of data and errors.
pub const JSON: &str = "application/json; odata.metadata=minimal";

/// The page AD FS shows to browsers.
pub const SIGN_IN_PAGE: &str = "<html><head><title>Sign In</title></head><body>Sign in with your organizational account</body></html>";

/// A refused call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// Hexadecimal code as on the wire.
    pub code: Cow<'static, str>,
    /// `message` on the wire.
    pub message: String,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal with any status.
    pub fn new(
        status: u16,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// An address, query option or payload that cannot be understood.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(400, "0x80060888", message)
    }

    /// A value the server does not take.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(400, "0x80040203", message)
    }

    /// A part of the path that names nothing.
    pub fn segment(name: &str) -> Self {
        Self::new(
            404,
            "0x8006088a",
            format!("Resource not found for the segment '{name}'."),
        )
    }

    /// A property the table does not have.
    pub fn property(entity: &str, name: &str) -> Self {
        Self::syntax(format!(
            "Could not find a property named '{name}' on type 'Microsoft.Dynamics.CRM.{entity}'."
        ))
    }

    /// A row that is not there.
    pub fn missing(entity: &str, id: &str) -> Self {
        Self::new(
            404,
            "0x80040217",
            format!("{entity} With Id = {id} Does Not Exist"),
        )
    }

    /// A method the resource does not know.
    pub fn method(method: &str) -> Self {
        Self::new(
            405,
            "0x80060888",
            format!("The requested resource does not support http method '{method}'."),
        )
    }

    /// What the server cannot do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(501, "0x80060888", message)
    }
}

/// The body of an error.
pub fn body(code: &str, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}

/// A JSON answer with the headers of the Web API.
pub fn reply(status: u16, body: impl Into<axum::body::Bytes>) -> Reply {
    Reply::typed(status, JSON, body).header("OData-Version", "4.0")
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let answer = reply(
            refusal.status,
            body(&refusal.code, &refusal.message).to_string(),
        );
        match refusal.retry_after {
            Some(seconds) => answer.header("Retry-After", seconds.to_string()),
            None => answer,
        }
    }
}

/// The answer of a fault whose usual form differs between the faces; `None` for the others.
pub fn fault(fault: &Fault) -> Option<Reply> {
    match fault.kind {
        // What a proxy or an expired browser session answers.
        Kind::Html => Some(Reply::typed(200, "text/html; charset=utf-8", SIGN_IN_PAGE)),
        Kind::Deep => {
            let depth = fault.bytes.unwrap_or(100_000);
            let body = format!(
                "{{\"value\":[{{\"name\":{}1{}}}]}}",
                "{\"a\":".repeat(depth),
                "}".repeat(depth)
            );
            Some(reply(200, body))
        }
        Kind::Status if fault.body.as_deref().is_none_or(|body| body == "json") => {
            let status = fault.status.unwrap_or(503);
            if fault.body.is_none() && fault.error_code.is_none() && matches!(status, 502..=504) {
                return None;
            }
            let (code, message) = match status {
                429 => (
                    "0x80072322",
                    "Number of requests exceeded the limit of 6000 over time window of 300 seconds.",
                ),
                401 => ("0x80040220", "The token is not valid."),
                403 => ("0x80040220", "Principal user is missing a privilege."),
                500.. => ("0x80044150", "Generic SQL error."),
                _ => ("0x80040203", "fault on demand"),
            };
            let code = fault.error_code.as_deref().unwrap_or(code);
            let message = fault.message.as_deref().unwrap_or(message);
            let answer = reply(status, body(code, message).to_string());
            Some(match fault.retry_after {
                Some(seconds) => answer.header("Retry-After", seconds.to_string()),
                None => answer,
            })
        }
        _ => None,
    }
}
