//! What the Organization service's own description says of how to sign in (Dynamics page, section 0 and 2.7).

use crate::session::DynamicsSession;
use crate::{error, ntlm};
use crm_core::{CallStats, Result};
use crm_http::{Method, Request, StatusCode, Url, send_again};
use crm_xml::Reader;

/// Path of the service below the organisation's root.
pub(crate) const SERVICE: &str = "XRMServices/2011/Organization.svc";

/// What a description says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `ActiveDirectory`, `Federation` or `OnlineFederation`.
    pub authentication: Option<String>,
    /// An address at the token service.
    pub issuer: Option<String>,
    /// Another document that says the rest.
    import: Option<String>,
}

/// Asks for the description, which needs no sign-in.
///
/// # Errors
/// When it cannot be had, or is none.
pub(crate) async fn ask(session: &DynamicsSession, stats: &CallStats) -> Result<Policy> {
    let mut policy = fetch(
        session,
        &format!("{}{SERVICE}?wsdl", session.root().path()),
        stats,
    )
    .await?;
    if policy.authentication.is_none()
        && let Some(import) = policy.import.take()
    {
        policy = fetch(session, &import, stats).await?;
    }
    Ok(policy)
}

async fn fetch(session: &DynamicsSession, link: &str, stats: &CallStats) -> Result<Policy> {
    let url: Url = session.resolve(link)?;
    let request = Request::new(Method::GET, url);
    let attempt = || session.http().send(&request, None, stats);
    let reply = send_again(session.policy(), true, stats, attempt)
        .await?
        .reply;
    session.listen(&reply);
    if reply.status == StatusCode::UNAUTHORIZED
        && (ntlm::offers(&reply, "NTLM") || ntlm::offers(&reply, "Negotiate"))
    {
        // Even its description is for Windows accounts only.
        return Ok(Policy {
            authentication: Some("ActiveDirectory".into()),
            ..Policy::default()
        });
    }
    if !reply.status.is_success() {
        return Err(error::from_reply(&reply));
    }
    read(&reply.body)
}

/// Reads a description. Its policies come in several versions of the standard, so places are known by their names.
fn read(body: &[u8]) -> Result<Policy> {
    let mut reader = Reader::new(body)?;
    let mut policy = Policy::default();
    let mut path: Vec<String> = Vec::new();
    let mut identifier = None;
    loop {
        if !reader.child()? {
            if path.pop().is_none() {
                break;
            }
            continue;
        }
        let local = reader.name().1.to_owned();
        let parent = path.last().map(String::as_str).unwrap_or_default();
        let wanted = match (parent, local.as_str()) {
            ("AuthenticationPolicy", "Authentication") => Some(&mut policy.authentication),
            ("SecureTokenService", "Identifier") => Some(&mut identifier),
            ("MetadataReference", "Address") if path.iter().any(|name| name == "Issuer") => {
                Some(&mut policy.issuer)
            }
            (_, "import") => {
                let location = reader.attribute("", "location")?;
                if let Some(location) = location.filter(|location| location.contains("wsdl")) {
                    policy.import = Some(location.into_owned());
                }
                None
            }
            _ => None,
        };
        match wanted {
            Some(wanted) if wanted.is_none() => {
                *wanted = Some(reader.text()?.trim().to_owned());
            }
            Some(_) => reader.skip()?,
            None => path.push(local),
        }
    }
    policy.issuer = policy.issuer.or(identifier);
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEDERATION: &str = r#"<?xml version="1.0" encoding="utf-8"?><wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"><wsp:Policy><wsp:ExactlyOne><wsp:All>
<ms-xrm:AuthenticationPolicy xmlns:ms-xrm="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ms-xrm:Authentication>Federation</ms-xrm:Authentication><ms-xrm:SecureTokenService><ms-xrm:Identifier>http://sts.contoso.example/adfs/services/trust</ms-xrm:Identifier></ms-xrm:SecureTokenService></ms-xrm:AuthenticationPolicy>
<sp:EndorsingSupportingTokens xmlns:sp="http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702"><wsp:Policy><sp:IssuedToken><sp:Issuer xmlns:wsa="http://www.w3.org/2005/08/addressing"><wsa:Address>http://www.w3.org/2005/08/addressing/anonymous</wsa:Address><wsa:Metadata><Metadata><MetadataSection><MetadataReference><wsa:Address>https://sts.contoso.example/adfs/services/trust/mex</wsa:Address></MetadataReference></MetadataSection></Metadata></wsa:Metadata></sp:Issuer></sp:IssuedToken></wsp:Policy></sp:EndorsingSupportingTokens>
</wsp:All></wsp:ExactlyOne></wsp:Policy></wsdl:definitions>"#;

    #[test]
    fn the_token_service_is_found() {
        let policy = read(FEDERATION.as_bytes()).unwrap();
        assert_eq!(policy.authentication.as_deref(), Some("Federation"));
        assert_eq!(
            policy.issuer.as_deref(),
            Some("https://sts.contoso.example/adfs/services/trust/mex")
        );
        let start = FEDERATION.find("<sp:Endorsing").unwrap();
        let end = FEDERATION.find("</wsp:All>").unwrap();
        let shorter = format!("{}{}", &FEDERATION[..start], &FEDERATION[end..]);
        let policy = read(shorter.as_bytes()).unwrap();
        assert_eq!(
            policy.issuer.as_deref(),
            Some("http://sts.contoso.example/adfs/services/trust")
        );
    }

    #[test]
    fn other_documents_point_on_or_are_none() {
        let importing = br#"<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"><wsdl:import namespace="urn:x" location="https://crm.contoso.example/XRMServices/2011/Organization.svc?wsdl=wsdl0"/></wsdl:definitions>"#;
        let policy = read(importing).unwrap();
        assert!(policy.import.unwrap().ends_with("?wsdl=wsdl0"));
        assert!(read(b"<html><body><p>hello</body></html>").is_err());
        assert!(read(b"<!DOCTYPE x><x/>").is_err());
    }
}
