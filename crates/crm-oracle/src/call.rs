//! One SOAP operation, and how it can end. It is sent by [`crate::session::OracleSession::exchange`].

use crate::fault::Fault;
use crm_core::Error;
use crm_http::Bytes;

/// Stands in front of the object in the namespace of its service in version 2.0 (Oracle page 1.4).
const DATA_SERVICE: &str = "urn:crmondemand/ws/ecbs/";
/// Behind it the service understands the company's own tags (Oracle page 1.4).
const CUSTOM_TAGS: &str = "10/2004";

/// Namespace of the service for the records of `object`: `urn:crmondemand/ws/ecbs/contact/`.
pub(crate) fn data_service(object: &str, custom_tags: bool) -> String {
    let suffix = if custom_tags { CUSTOM_TAGS } else { "" };
    format!("{DATA_SERVICE}{}/{suffix}", object.to_ascii_lowercase())
}

/// Namespace of a list of records that ask: filters and wanted fields.
pub(crate) fn query_namespace(object: &str) -> String {
    format!("urn:/crmondemand/xml/{object}/Query")
}

/// Namespace of a list of records that hold values, in requests and replies.
pub(crate) fn data_namespace(object: &str) -> String {
    format!("urn:/crmondemand/xml/{object}/Data")
}

/// One SOAP operation.
pub(crate) struct Call {
    /// Namespace of its service.
    pub service: String,
    /// Its name, as in `ContactQueryPage`.
    pub operation: String,
    /// The one element of the message's body, as XML.
    pub input: String,
    /// It is for records.
    pub data: bool,
    /// It does no harm when it arrives twice.
    pub repeatable: bool,
}

impl Call {
    /// A call that only reads and may be sent again.
    pub(crate) fn new(
        service: impl Into<String>,
        operation: impl Into<String>,
        input: String,
    ) -> Self {
        Self {
            service: service.into(),
            operation: operation.into(),
            input,
            data: false,
            repeatable: true,
        }
    }

    /// Marks it as carrying records.
    #[must_use]
    pub(crate) fn for_data(mut self) -> Self {
        self.data = true;
        self
    }

    /// Marks it as doing something that must not be done twice.
    #[must_use]
    pub(crate) fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// The value of the header that names the operation, with its quotes (Oracle page 1.3).
    pub(crate) fn action(&self) -> String {
        format!("\"document/{}:{}\"", self.service, self.operation)
    }
}

/// A reply without a fault.
pub(crate) struct Answered {
    /// Its body: XML in UTF-8.
    pub body: Bytes,
    /// The host's clock, microseconds since the Unix epoch, where the reply tells.
    pub date: Option<i64>,
}

/// No reply of success.
pub(crate) struct Trouble {
    /// What the user is told.
    pub error: Error,
    /// The vendor's own words, where the reply was a fault.
    pub fault: Option<Fault>,
    /// The vendor may have done what was asked for all the same.
    pub may_be_done: bool,
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_namespaces_and_the_action() {
        let service = data_service("ServiceRequest", false);
        assert_eq!(service, "urn:crmondemand/ws/ecbs/servicerequest/");
        assert_eq!(
            data_service("Contact", true),
            "urn:crmondemand/ws/ecbs/contact/10/2004"
        );
        assert_eq!(
            query_namespace("ServiceRequest"),
            "urn:/crmondemand/xml/ServiceRequest/Query"
        );
        assert_eq!(
            data_namespace("Contact"),
            "urn:/crmondemand/xml/Contact/Data"
        );
        let call = Call::new(service, "ServiceRequestQueryPage", String::new());
        assert_eq!(
            call.action(),
            "\"document/urn:crmondemand/ws/ecbs/servicerequest/:ServiceRequestQueryPage\""
        );
    }
}
