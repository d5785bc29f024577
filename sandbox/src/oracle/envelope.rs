//! SOAP 1.1 around requests and answers, and the two shapes of a fault (section 9.1 of the protocol page):
//! A from the application with a stack of errors, B from the front end with one code.

use crate::salesforce::errors::Reply;
use crate::xml::{self, Node};

/// Content type of every SOAP answer.
pub const XML: &str = "text/xml; charset=UTF-8";
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
/// Name of the log file every application fault tells.
pub const LOG_FILE: &str = "OnDemandServicesObjMgr_enu_4711.log";

/// One entry of an application fault, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `SBL-…`, without parentheses.
    pub code: String,
    /// `IDS_…`; empty as a rule.
    pub symbol: String,
    /// Sentence, without the code.
    pub message: String,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Shape A.
    Application(Vec<Entry>),
    /// Shape B; the wait in milliseconds belongs to the rate limit.
    FrontEnd {
        code: String,
        message: String,
        wait_ms: Option<i64>,
    },
}

impl Fault {
    /// Shape A with one entry.
    pub fn one(code: &str, message: impl Into<String>) -> Self {
        Self::with_symbol(code, "", message)
    }

    /// Shape A with one entry that has a symbol.
    pub fn with_symbol(code: &str, symbol: &str, message: impl Into<String>) -> Self {
        Self::Application(vec![Entry {
            code: code.to_owned(),
            symbol: symbol.to_owned(),
            message: message.into(),
        }])
    }

    /// Shape B.
    pub fn front(code: &str, message: impl Into<String>) -> Self {
        Self::FrontEnd {
            code: code.to_owned(),
            message: message.into(),
            wait_ms: None,
        }
    }

    /// An element the object does not have.
    pub fn unknown_element(tag: &str, component: &str) -> Self {
        Self::with_symbol(
            "SBL-EAI-04127",
            "IDS_EAI_ERR_INTOBJHIER_ELEM_UNKN",
            format!(
                "Element with XML tag '{tag}' is not found in the definition of EAI Integration Component '{component}'"
            ),
        )
    }

    /// Puts the entry that names the operation around an application fault.
    pub fn inside(self, argument: &str, operation: &str) -> Self {
        match self {
            Self::Application(mut entries) => {
                let message =
                    format!("Error while processing argument {argument} for operation {operation}");
                entries.insert(
                    0,
                    Entry {
                        code: "SBL-EAI-04316".to_owned(),
                        symbol: String::new(),
                        message,
                    },
                );
                Self::Application(entries)
            }
            other => other,
        }
    }

    /// The answer; `bare` leaves the parentheses around codes out.
    pub fn reply(&self, status: u16, bare: bool) -> Reply {
        let mut out = String::from(DECLARATION);
        match self {
            Self::Application(entries) => {
                let text = |entry: &Entry| {
                    xml::escape(&format!("{}({})", entry.message, entry.code)).into_owned()
                };
                out.push_str(&format!("<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP}\"><SOAP-ENV:Body><SOAP-ENV:Fault><faultcode>SOAP-ENV:Server</faultcode>"));
                let first = entries.first().map(text).unwrap_or_default();
                xml_raw(&mut out, "faultstring", &first);
                out.push_str(
                    "<detail><siebelf:siebdetail xmlns:siebelf=\"http://www.siebel.com/ws/fault\">",
                );
                xml_raw(&mut out, "siebelf:logfilename", LOG_FILE);
                out.push_str("<siebelf:errorstack>");
                for entry in entries {
                    out.push_str("<siebelf:error>");
                    let code = match bare {
                        true => entry.code.clone(),
                        false => format!("({})", entry.code),
                    };
                    xml::element(&mut out, "siebelf:errorcode", &code);
                    xml::element(&mut out, "siebelf:errorsymbol", &entry.symbol);
                    xml_raw(&mut out, "siebelf:errormsg", &text(entry));
                    out.push_str("</siebelf:error>");
                }
                out.push_str("</siebelf:errorstack></siebelf:siebdetail></detail></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>");
            }
            Self::FrontEnd {
                code,
                message,
                wait_ms,
            } => {
                out.push_str(&format!("<soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><soap:Fault><faultcode>soap:Server</faultcode><faultstring>Server</faultstring><detail>"));
                xml::element(&mut out, "ErrorCode", code);
                xml::element(&mut out, "ErrorMessage", message);
                if let Some(wait) = wait_ms {
                    xml::element(&mut out, "RequestWait", &wait.to_string());
                }
                out.push_str("</detail></soap:Fault></soap:Body></soap:Envelope>");
            }
        }
        Reply::typed(status, XML, out)
    }
}

fn xml_raw(out: &mut String, name: &str, escaped: &str) {
    out.push_str(&format!("<{name}>{escaped}</{name}>"));
}

/// An answer around a rendered output element.
pub fn reply(output: &str) -> Reply {
    Reply::typed(
        200,
        XML,
        format!(
            "{DECLARATION}<SOAP-ENV:Envelope xmlns:SOAP-ENV=\"{SOAP}\"><SOAP-ENV:Body>{output}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
        ),
    )
}

/// Header (if any) and the one element of the body.
///
/// # Errors
/// Shape B for what is no SOAP 1.1 request.
pub fn open(body: &[u8]) -> Result<(Option<Node>, Node), Fault> {
    let bad = |message: String| Fault::front("SBL-ODU-01008", message);
    let mut root = xml::parse(body).map_err(|error| bad(format!("Not well formed: {error}")))?;
    if root.namespace != SOAP || root.name != "Envelope" {
        return Err(bad("The request is not a SOAP 1.1 envelope".to_owned()));
    }
    let take = |root: &mut Node, name: &str| {
        let at = root
            .children
            .iter()
            .position(|child| child.name == name && child.namespace == SOAP)?;
        Some(root.children.remove(at))
    };
    let header = take(&mut root, "Header");
    let content = take(&mut root, "Body").and_then(|body| body.children.into_iter().next());
    match content {
        Some(input) => Ok((header, input)),
        None => Err(bad("The body of the envelope is empty".to_owned())),
    }
}
