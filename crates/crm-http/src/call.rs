//! One call to a signed-in host, and how it can end. A connector's session sends it.

use crate::service::Reply;
use bytes::Bytes;
use crm_core::Error;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};

/// One call to a signed-in host.
#[derive(Debug)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// A path, or a link that a reply gave.
    pub link: String,
    /// Its headers, beside those of every call.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Option<Bytes>,
    /// It is for records.
    pub data: bool,
    /// It does no harm when it arrives twice.
    pub repeatable: bool,
}

/// A reply of success.
#[derive(Debug)]
pub struct Answered {
    /// The reply.
    pub reply: Reply,
    /// An earlier try, whose reply was lost, may have done what was asked for.
    pub done_before: bool,
}

/// No reply of success.
#[derive(Debug)]
pub struct Trouble {
    /// What the user is told.
    pub error: Error,
    /// The vendor may have done what was asked for all the same.
    pub may_be_done: bool,
    /// Status of the last reply, where there was one.
    pub status: Option<StatusCode>,
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

impl Call {
    /// A call without a body that may be sent again.
    pub fn new(method: Method, link: impl Into<String>) -> Self {
        Self {
            method,
            link: link.into(),
            headers: Vec::new(),
            body: None,
            data: false,
            repeatable: true,
        }
    }

    /// A GET.
    pub fn get(link: impl Into<String>) -> Self {
        Self::new(Method::GET, link)
    }

    /// A POST of JSON that only reads.
    pub fn post(link: impl Into<String>, body: Vec<u8>) -> Self {
        Self::new(Method::POST, link).body("application/json", body)
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.header(CONTENT_TYPE, HeaderValue::from_static(content_type))
    }

    /// Marks it as doing something that must not be done twice.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Marks it as fetching records.
    #[must_use]
    pub fn for_data(mut self) -> Self {
        self.data = true;
        self
    }
}
