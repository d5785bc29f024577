//! Faults of the Organization service and of the token service (Dynamics page 13.4, 2.7).

use super::envelope::{CONTRACTS, is_nil, optional_text, pairs};
use crate::error;
use crm_core::{Error, Result};
use crm_http::StatusCode;
use crm_xml::Reader;
use std::time::Duration;

/// Codes of the database's own troubles: deadlock and the like (section 9).
const TROUBLES: &[i32] = &[-2_147_204_784];
/// Service protection limits (section 10).
const THROTTLED: &[i32] = &[-2_147_015_903, -2_147_015_902, -2_147_015_898];

/// One fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The vendor's number; 0 where it tells none.
    pub number: i32,
    /// The vendor's words.
    pub text: String,
    /// The innermost code of the SOAP layer, without its prefix, such as `InvalidSecurity`.
    pub soap_code: String,
    /// The server blames itself.
    pub is_receiver: bool,
    /// The service itself told it, in its own form: what was asked for has not been done.
    pub is_told: bool,
    /// When to come back, where it says.
    pub retry_after: Option<Duration>,
    /// The vendor's name for the call in its logs.
    pub activity: Option<String>,
}

impl Fault {
    /// The token is no longer taken.
    pub(crate) fn is_expiry(&self) -> bool {
        matches!(
            self.soap_code.as_str(),
            "InvalidSecurity" | "InvalidSecurityToken" | "FailedAuthentication" | "BadContextToken"
                | "MessageExpired" | "RequestFailed" if !self.is_told
        )
    }

    /// The same call may succeed later. What must not be done twice was not begun when the call is turned away at the
    /// door; a trouble of the database may come in the middle of several requests.
    pub(crate) fn is_passing(&self, repeatable: bool) -> bool {
        THROTTLED.contains(&self.number) || (repeatable && TROUBLES.contains(&self.number))
    }

    /// The server may have done what was asked for: it failed and cannot say where.
    pub(crate) fn may_be_done(&self) -> bool {
        self.is_receiver && !self.is_told
    }

    /// What the user is told.
    pub(crate) fn to_error(&self) -> Error {
        let error = error::from_fault(StatusCode::INTERNAL_SERVER_ERROR, &self.plain());
        match &self.activity {
            Some(activity) => {
                let detail = error.detail().unwrap_or_default();
                let detail = format!("{detail}\nActivity: {activity}");
                error.with_detail(detail)
            }
            None => error,
        }
    }

    fn plain(&self) -> error::Fault {
        error::Fault {
            code: error::code_of_number(self.number),
            text: if self.text.is_empty() {
                self.soap_code.clone()
            } else {
                self.text.clone()
            },
        }
    }
}

/// Reads the fault just opened, of either version of SOAP.
///
/// # Errors
/// When the document is malformed.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Fault> {
    let mut fault = Fault::default();
    let mut reason = String::new();
    while reader.child()? {
        let (_, local) = reader.name();
        match local {
            "Code" => read_code(reader, &mut fault)?,
            "Reason" => {
                while reader.child()? {
                    reason = reader.text()?.into_owned();
                }
            }
            "faultcode" => take_code(&reader.text()?, &mut fault),
            "faultstring" => reason = reader.text()?.into_owned(),
            "Detail" | "detail" => {
                while reader.child()? {
                    if reader.name() == (CONTRACTS, "OrganizationServiceFault") {
                        read_told(reader, &mut fault)?;
                    } else {
                        reader.skip()?;
                    }
                }
            }
            _ => reader.skip()?,
        }
    }
    if fault.text.is_empty() {
        fault.text = reason;
    }
    Ok(fault)
}

/// `Value` is the class of the fault, each `Subcode` inside says more.
fn read_code(reader: &mut Reader<'_>, fault: &mut Fault) -> Result<()> {
    let mut open = 1;
    while open > 0 {
        if !reader.child()? {
            open -= 1;
            continue;
        }
        match reader.name().1 {
            "Value" => take_code(&reader.text()?, fault),
            "Subcode" => open += 1,
            _ => reader.skip()?,
        }
    }
    Ok(())
}

fn take_code(told: &str, fault: &mut Fault) {
    let code = told.trim().rsplit(':').next().unwrap_or_default();
    match code {
        "Receiver" | "Server" => fault.is_receiver = true,
        "Sender" | "Client" => {}
        code => fault.soap_code = code.to_owned(),
    }
}

/// Reads the service's own fault, just opened; also the one of a single request among several.
///
/// # Errors
/// When the document is malformed.
pub(crate) fn read_told(reader: &mut Reader<'_>, fault: &mut Fault) -> Result<()> {
    fault.is_told = true;
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "ErrorCode") => {
                fault.number = reader.text()?.trim().parse().unwrap_or_default();
            }
            (CONTRACTS, "Message") => {
                fault.text = optional_text(reader)?.unwrap_or_default();
            }
            (CONTRACTS, "ActivityId") => fault.activity = optional_text(reader)?,
            (CONTRACTS, "ErrorDetails") if !is_nil(reader)? => {
                pairs(reader, |key, reader| {
                    if key == "Retry-After" {
                        fault.retry_after = span(&reader.text()?);
                        return Ok(());
                    }
                    reader.skip()
                })?;
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// A span as .NET writes it, `00:00:07.25` or `1.00:00:00`, as XML Schema does, `PT7.25S`, or in seconds.
fn span(told: &str) -> Option<Duration> {
    let told = told.trim();
    let seconds = if let Some(rest) = told.strip_prefix("PT") {
        let mut seconds = 0.0;
        let mut rest = rest;
        while let Some(at) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
            let number: f64 = rest[..at].parse().ok()?;
            seconds += number
                * match &rest[at..=at] {
                    "H" => 3_600.0,
                    "M" => 60.0,
                    "S" => 1.0,
                    _ => return None,
                };
            rest = &rest[at + 1..];
        }
        seconds
    } else if told.contains(':') {
        let mut parts = told.split(':');
        let hours = parts.next()?;
        let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
        let number = |text: &str| text.parse::<f64>().ok();
        let (minutes, seconds) = (number(parts.next()?)?, number(parts.next()?)?);
        number(days)? * 86_400.0 + number(hours)? * 3_600.0 + minutes * 60.0 + seconds
    } else {
        told.parse().ok()?
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{Message, open};
    use super::*;
    use crm_core::ErrorKind;

    fn fault_of(body: &str) -> Fault {
        let Ok(Message::Fault(mut reader)) = open(body.as_bytes()) else {
            panic!("no fault: {body}")
        };
        read(&mut reader).unwrap()
    }

    fn version_12(code: &str, detail: &str) -> String {
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault><s:Code>{code}</s:Code><s:Reason><s:Text xml:lang="en">words</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault></s:Body></s:Envelope>"#
        )
    }

    #[test]
    fn the_recorded_fault() {
        let fault = fault_of(include_str!("../../tests/fixtures/soap/sender_fault.xml"));
        assert_eq!(fault.number, -2_147_217_149);
        assert!(fault.is_told && !fault.may_be_done() && !fault.is_expiry());
        let error = fault.to_error();
        assert_eq!(error.kind(), ErrorKind::FieldUnknown);
        assert_eq!(error.code(), Some("0x80041103"));
        assert!(error.detail().unwrap().contains("ticketsymbol"));
    }

    #[test]
    fn layers_without_the_services_own_words() {
        let expired = fault_of(&version_12(
            "<s:Value>s:Sender</s:Value><s:Subcode><s:Value xmlns:a='urn:x'>a:InvalidSecurity</s:Value></s:Subcode>",
            "",
        ));
        assert!(expired.is_expiry() && !expired.may_be_done());
        let malformed = fault_of(&version_12(
            "<s:Value>s:Receiver</s:Value><s:Subcode><s:Value>a:InternalServiceFault</s:Value></s:Subcode>",
            "",
        ));
        assert!(malformed.may_be_done());
        assert_eq!(malformed.to_error().detail(), Some("words"));
        let old = fault_of(
            r#"<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Server</faultcode><faultstring>old words</faultstring><detail/></s:Fault></s:Body></s:Envelope>"#,
        );
        assert_eq!((&*old.text, old.is_receiver), ("old words", true));
    }

    #[test]
    fn throttling_says_when_to_come_back() {
        let detail = r#"<OrganizationServiceFault xmlns="http://schemas.microsoft.com/xrm/2011/Contracts" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><ActivityId>6a21</ActivityId><ErrorCode>-2147015902</ErrorCode><ErrorDetails xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic"><KeyValuePairOfstringanyType><c:key>Retry-After</c:key><c:value i:type="d:duration" xmlns:d="http://schemas.microsoft.com/2003/10/Serialization/">PT1M7.5S</c:value></KeyValuePairOfstringanyType></ErrorDetails><Message>Number of requests exceeded</Message><InnerFault><ErrorCode>1</ErrorCode><Message>inner</Message></InnerFault></OrganizationServiceFault>"#;
        let fault = fault_of(&version_12("<s:Value>s:Sender</s:Value>", detail));
        assert!(fault.is_passing(false));
        assert_eq!(fault.retry_after, Some(Duration::from_millis(67_500)));
        assert_eq!(fault.text, "Number of requests exceeded");
        let error = fault.to_error();
        assert_eq!(error.kind(), ErrorKind::AllotmentUsedUp);
        assert!(error.detail().unwrap().ends_with("Activity: 6a21"));
    }

    #[test]
    fn spans_in_all_forms() {
        for (told, expected) in [
            ("00:00:07", Some(7.0)),
            ("1.01:00:00.5", Some(90_000.5)),
            ("PT7.25S", Some(7.25)),
            ("PT1H", Some(3_600.0)),
            ("30", Some(30.0)),
            ("soon", None),
            ("-1", None),
            ("PT1X", None),
            ("1:2", None),
        ] {
            let expected = expected.map(Duration::from_secs_f64);
            assert_eq!(span(told), expected, "{told}");
        }
    }
}
