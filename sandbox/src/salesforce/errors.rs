//! The answers a REST call can get: a body with a status, or an error in Salesforce's array form.
//! Codes and statuses follow section 8.5 of the protocol page; [`Reply`] is what the HTTP layer sends.

use axum::body::Bytes;
use serde_json::json;

/// Content type of every JSON answer.
pub const JSON: &str = "application/json;charset=UTF-8";

/// An answer, not yet on the wire.
#[derive(Debug, Clone)]
pub struct Reply {
    /// HTTP status code.
    pub status: u16,
    /// `Content-Type`; `None` sends no body type, as on a bare 304.
    pub content_type: Option<&'static str>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// The beginning of the body, where the rest is shared with other answers.
    pub lead: Bytes,
    /// The body behind that.
    pub body: Bytes,
    /// The body compressed beforehand, beginning and all, so that a page served often is compressed once.
    pub gzip: Option<Bytes>,
}

impl Reply {
    /// A JSON answer with a body already rendered.
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: Some(JSON),
            headers: Vec::new(),
            lead: Bytes::new(),
            body: body.into(),
            gzip: None,
        }
    }

    /// A 200 with this value.
    pub fn ok(value: &serde_json::Value) -> Self {
        Self::json(200, value.to_string())
    }

    /// An answer of another type than JSON.
    pub fn typed(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            content_type: Some(content_type),
            ..Self::json(status, body)
        }
    }

    /// An answer without a body.
    pub fn bare(status: u16) -> Self {
        Self {
            content_type: None,
            ..Self::json(status, Bytes::new())
        }
    }

    /// Beginning and rest of the body in one piece.
    pub fn whole(&self) -> Bytes {
        match self.lead.is_empty() {
            true => self.body.clone(),
            false => [&self.lead[..], &self.body[..]].concat().into(),
        }
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A refused call: `[{"message":…,"errorCode":…,"fields":[…]}]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    /// HTTP status code.
    pub status: u16,
    /// `errorCode` on the wire.
    pub code: String,
    /// `message` on the wire.
    pub message: String,
    /// `fields` on the wire; left out when empty.
    pub fields: Vec<String>,
}

impl ApiError {
    /// An error with any status.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// A 400 with this code.
    pub fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }

    /// A statement Salesforce cannot read.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::bad("MALFORMED_QUERY", message)
    }

    /// An unknown path or object.
    pub fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    /// A method the path does not know.
    pub fn method(method: &str) -> Self {
        Self::new(
            405,
            "METHOD_NOT_ALLOWED",
            format!("HTTP Method '{method}' not allowed"),
        )
    }

    /// A token that is unknown, ended or missing.
    pub fn session() -> Self {
        Self::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
    }

    /// The error as the array every non-2xx answer carries.
    pub fn to_json(&self) -> serde_json::Value {
        let mut entry = json!({"message": self.message, "errorCode": self.code});
        if !self.fields.is_empty() {
            entry["fields"] = json!(self.fields);
        }
        json!([entry])
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        Self::json(error.status, error.to_json().to_string())
    }
}
