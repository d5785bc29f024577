//! SOAP 1.1 and 1.2 around requests and answers, and the forms of a fault (sections 13.1 and 13.4 of the
//! protocol page).

use chrono::{SecondsFormat, Utc};
use uuid::Uuid;

use super::contract::{CONTRACTS, SERVICES};
use crate::dynamics::errors::Refusal;
use crate::salesforce::errors::Reply;
use crate::xml::{self, Node, escape};

pub const SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
pub const SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";
pub const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
pub const SECURITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
pub const UTILITY: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

/// Which of the two an endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V11,
    V12,
}

impl Version {
    fn namespace(self) -> &'static str {
        match self {
            Self::V11 => SOAP_11,
            Self::V12 => SOAP_12,
        }
    }

    /// Content type of answers.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::V11 => "text/xml; charset=utf-8",
            Self::V12 => "application/soap+xml; charset=utf-8",
        }
    }
}

/// A request taken apart.
pub struct Opened {
    pub header: Option<Node>,
    /// The element in the body.
    pub operation: Node,
}

impl Opened {
    /// The text of a header element of the addressing namespace.
    pub fn addressing(&self, name: &str) -> Option<&str> {
        let found = self
            .header
            .as_ref()?
            .children
            .iter()
            .find(|child| child.namespace == ADDRESSING && child.name == name)?;
        Some(found.text.trim())
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The organisation's own: what the Web API says with a code.
    Organization(Refusal),
    /// `InvalidSecurity`, or what the sign-in service says.
    Security {
        subcode: &'static str,
        reason: String,
    },
    /// What the deserialiser could not read: the server blames itself.
    Internal,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Organization(refusal)
    }
}

/// The refusal of a signed request, without a reason, as the server has it.
pub fn invalid_security() -> Fault {
    Fault::Security {
        subcode: "InvalidSecurity",
        reason: "An error occurred when verifying security for the message.".to_owned(),
    }
}

/// Takes a request apart.
///
/// # Errors
/// A fault for what is no envelope of that version.
pub fn open(body: &[u8], version: Version) -> Result<Opened, Fault> {
    let mut root = xml::parse(body).map_err(|_| Fault::Internal)?;
    if root.namespace != version.namespace() || root.name != "Envelope" {
        return Err(Fault::Internal);
    }
    let mut take = |name: &str| {
        let at = root
            .children
            .iter()
            .position(|child| child.name == name && child.namespace == version.namespace())?;
        Some(root.children.remove(at))
    };
    let header = take("Header");
    let operation = take("Body").and_then(|body| body.children.into_iter().next());
    operation
        .map(|operation| Opened { header, operation })
        .ok_or(Fault::Internal)
}

/// A moment with milliseconds.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The answer of an operation. `relates_to` is the request's `MessageID`.
pub fn reply(version: Version, action: &str, relates_to: Option<&str>, body: &str) -> Reply {
    Reply::typed(
        200,
        version.content_type(),
        around(version, action, relates_to, body),
    )
}

/// The action of an operation's answer.
pub fn action(operation: &str) -> String {
    format!("{SERVICES}/IOrganizationService/{operation}")
}

fn around(version: Version, action: &str, relates_to: Option<&str>, body: &str) -> String {
    let space = version.namespace();
    if version == Version::V11 {
        return format!("<s:Envelope xmlns:s=\"{space}\"><s:Body>{body}</s:Body></s:Envelope>");
    }
    let relates = relates_to.map_or(String::new(), |id| {
        format!("<a:RelatesTo>{}</a:RelatesTo>", escape(id))
    });
    let (created, expires) = (
        now(),
        (Utc::now() + chrono::Duration::minutes(5)).to_rfc3339_opts(SecondsFormat::Millis, true),
    );
    format!(
        "<s:Envelope xmlns:s=\"{space}\" xmlns:a=\"{ADDRESSING}\" xmlns:u=\"{UTILITY}\"><s:Header><a:Action s:mustUnderstand=\"1\">{action}</a:Action>{relates}<ActivityId CorrelationId=\"{}\" xmlns=\"http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics\">{}</ActivityId><o:Security s:mustUnderstand=\"1\" xmlns:o=\"{SECURITY}\"><u:Timestamp u:Id=\"_0\"><u:Created>{created}</u:Created><u:Expires>{expires}</u:Expires></u:Timestamp></o:Security></s:Header><s:Body>{body}</s:Body></s:Envelope>",
        Uuid::new_v4(),
        Uuid::nil()
    )
}

/// A hexadecimal code as the signed number of SOAP faults.
pub fn signed(code: &str) -> i32 {
    let digits = code.trim_start_matches("0x");
    // The same 32 bits, read with a sign.
    u32::from_str_radix(digits, 16).map_or(0, |bits| bits as i32)
}

/// The members of an `OrganizationServiceFault`, under the prefix given.
pub fn fault_members(refusal: &Refusal, prefix: &str) -> String {
    let p = match prefix {
        "" => String::new(),
        prefix => format!("{prefix}:"),
    };
    let nil = "xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" i:nil=\"true\"";
    let mut details = String::new();
    if let Some(seconds) = refusal.retry_after {
        // A TimeSpan, as the vendor's own client reads it.
        details = format!(
            "<d:KeyValuePairOfstringanyType><c:key>Retry-After</c:key><c:value i:type=\"e:duration\" xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:e=\"http://schemas.microsoft.com/2003/10/Serialization/\">PT{seconds}S</c:value></d:KeyValuePairOfstringanyType>"
        );
    }
    format!(
        "<{p}ActivityId>{}</{p}ActivityId><{p}ErrorCode>{}</{p}ErrorCode><{p}ErrorDetails xmlns:c=\"http://schemas.datacontract.org/2004/07/System.Collections.Generic\" xmlns:d=\"{CONTRACTS}\">{details}</{p}ErrorDetails><{p}HelpLink {nil}/><{p}Message>{}</{p}Message><{p}Timestamp>{}</{p}Timestamp><{p}ExceptionRetriable>false</{p}ExceptionRetriable><{p}ExceptionSource {nil}/><{p}InnerFault {nil}/><{p}OriginalException {nil}/><{p}TraceText {nil}/>",
        Uuid::new_v4(),
        signed(&refusal.code),
        escape(&refusal.message),
        Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true),
    )
}

impl Fault {
    /// The answer: HTTP 500 whatever it is about. `operation` is empty where none was understood.
    pub fn reply(&self, version: Version, operation: &str, relates_to: Option<&str>) -> Reply {
        let (sender, subcode, reason) = match self {
            Self::Organization(refusal) => (true, String::new(), refusal.message.clone()),
            Self::Security { subcode, reason } => (true, format!("o:{subcode}"), reason.clone()),
            Self::Internal => (
                false,
                "w:InternalServiceFault".to_owned(),
                "The server was unable to process the request due to an internal error.".to_owned(),
            ),
        };
        let detail = match self {
            Self::Organization(refusal) => format!(
                "<OrganizationServiceFault xmlns=\"{CONTRACTS}\">{}</OrganizationServiceFault>",
                fault_members(refusal, "")
            ),
            _ => String::new(),
        };
        let spaces = format!(
            "xmlns:o=\"{SECURITY}\" xmlns:w=\"http://schemas.microsoft.com/net/2005/12/windowscommunicationfoundation/dispatcher\""
        );
        let reason = escape(&reason);
        let body = match version {
            Version::V11 => {
                let code = match (subcode.as_str(), sender) {
                    ("", true) => "s:Client",
                    ("", false) => "s:Server",
                    (subcode, _) => subcode,
                };
                let detail = match detail.as_str() {
                    "" => String::new(),
                    detail => format!("<detail>{detail}</detail>"),
                };
                format!(
                    "<s:Fault><faultcode {spaces}>{code}</faultcode><faultstring xml:lang=\"en-US\">{reason}</faultstring>{detail}</s:Fault>"
                )
            }
            Version::V12 => {
                let code = match sender {
                    true => "s:Sender",
                    false => "s:Receiver",
                };
                let subcode = match subcode.as_str() {
                    "" => String::new(),
                    subcode => {
                        format!("<s:Subcode><s:Value {spaces}>{subcode}</s:Value></s:Subcode>")
                    }
                };
                let detail = match detail.as_str() {
                    "" => String::new(),
                    detail => format!("<s:Detail>{detail}</s:Detail>"),
                };
                format!(
                    "<s:Fault><s:Code><s:Value>{code}</s:Value>{subcode}</s:Code><s:Reason><s:Text xml:lang=\"en-US\">{reason}</s:Text></s:Reason>{detail}</s:Fault>"
                )
            }
        };
        let action = match (self, operation) {
            (Self::Organization(_), operation) if !operation.is_empty() => {
                action(&format!("{operation}OrganizationServiceFaultFault"))
            }
            _ => "http://www.w3.org/2005/08/addressing/soap/fault".to_owned(),
        };
        Reply::typed(
            500,
            version.content_type(),
            around(version, &action, relates_to, &body),
        )
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_told_with_a_sign() {
        assert_eq!(super::signed("0x80040217"), -2_147_220_969);
        assert_eq!(super::signed("0x80041103"), -2_147_217_149);
        assert_eq!(super::signed("none"), 0);
    }
}
