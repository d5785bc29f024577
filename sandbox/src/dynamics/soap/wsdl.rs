//! The service's description, to be read without signing in: the authentication policy, by which clients
//! find out how to sign in, and the contract. Sections 0 and 2.7 of the protocol page.

use super::contract::FILES;
use crate::dynamics::Realm;
use crate::request::Request;
use crate::salesforce::errors::Reply;

const PORT_TYPE: &str = include_str!("../../../data/dynamics/xsd/wsdl0.xml");

/// Answers `?wsdl`, `?wsdl=wsdl0` and `?xsd=xsdN`; `address` is that of the service.
pub fn answer(request: &Request, realm: Realm, address: &str, sts: &str) -> Option<Reply> {
    let xml = |text: String| Some(Reply::typed(200, "text/xml; charset=UTF-8", text));
    if let Some(name) = request.parameter("xsd") {
        let number: u32 = name.strip_prefix("xsd")?.parse().ok()?;
        let (_, text) = FILES.iter().find(|(known, _)| *known == number)?;
        return xml(located(text, address));
    }
    match request.parameter("wsdl")? {
        "wsdl0" => xml(located(PORT_TYPE, address)),
        _ => xml(description(realm, address, sts)),
    }
}

/// Fills in where imported schemas are.
fn located(text: &str, address: &str) -> String {
    let mut out = text.trim_start_matches('\u{feff}').to_owned();
    for (number, schema) in FILES {
        let Some(space) = schema
            .split_once("targetNamespace=\"")
            .and_then(|(_, rest)| rest.split_once('"'))
        else {
            continue;
        };
        let import = format!("import namespace=\"{}\"", space.0);
        let whole = format!("{import} schemaLocation=\"{address}?xsd=xsd{number}\"");
        out = out.replace(&format!("{import} />"), &format!("{whole} />"));
    }
    // The untyped DataSet is not among the schemas.
    out.replace("<xsd:import />", "")
}

fn description(realm: Realm, address: &str, sts: &str) -> String {
    let kind = match realm {
        Realm::Online => "OnlineFederation",
        Realm::Ad | Realm::Old => "ActiveDirectory",
        Realm::Ifd | Realm::Claims => "Federation",
    };
    let policy = match realm {
        Realm::Ad | Realm::Old => String::new(),
        _ => format!(
            "<ms-xrm:SecureTokenService><ms-xrm:Identifier>{sts}/adfs/services/trust</ms-xrm:Identifier></ms-xrm:SecureTokenService>"
        ),
    };
    let tokens = match realm {
        Realm::Ad | Realm::Old => String::new(),
        _ => format!(
            "<sp:EndorsingSupportingTokens><wsp:Policy><sp:IssuedToken sp:IncludeToken=\"http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702/IncludeToken/AlwaysToRecipient\"><Issuer xmlns=\"http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702\"><Address xmlns=\"http://www.w3.org/2005/08/addressing\">http://www.w3.org/2005/08/addressing/anonymous</Address><Metadata xmlns=\"http://www.w3.org/2005/08/addressing\"><Metadata xmlns=\"http://schemas.xmlsoap.org/ws/2004/09/mex\"><wsx:MetadataSection xmlns=\"\"><wsx:MetadataReference><Address xmlns=\"http://www.w3.org/2005/08/addressing\">{sts}/adfs/services/trust/mex</Address></wsx:MetadataReference></wsx:MetadataSection></Metadata></Metadata></Issuer></sp:IssuedToken></wsp:Policy></sp:EndorsingSupportingTokens>"
        ),
    };
    // Only messages signed by a token go to the first port; the other takes the sign-in of HTTP.
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><wsdl:definitions name=\"OrganizationService\" targetNamespace=\"http://schemas.microsoft.com/xrm/2011/Contracts\" xmlns:wsdl=\"http://schemas.xmlsoap.org/wsdl/\" xmlns:wsp=\"http://schemas.xmlsoap.org/ws/2004/09/policy\" xmlns:wsu=\"http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd\" xmlns:sp=\"http://docs.oasis-open.org/ws-sx/ws-securitypolicy/200702\" xmlns:wsx=\"http://schemas.xmlsoap.org/ws/2004/09/mex\" xmlns:soap=\"http://schemas.xmlsoap.org/wsdl/soap/\" xmlns:tns=\"http://schemas.microsoft.com/xrm/2011/Contracts\" xmlns:i0=\"http://schemas.microsoft.com/xrm/2011/Contracts/Services\"><wsp:Policy wsu:Id=\"CustomBinding_IOrganizationService_policy\"><wsp:ExactlyOne><wsp:All>{tokens}<ms-xrm:AuthenticationPolicy xmlns:ms-xrm=\"http://schemas.microsoft.com/xrm/2011/Contracts/Services\"><ms-xrm:Authentication>{kind}</ms-xrm:Authentication>{policy}</ms-xrm:AuthenticationPolicy></wsp:All></wsp:ExactlyOne></wsp:Policy><wsdl:import namespace=\"http://schemas.microsoft.com/xrm/2011/Contracts/Services\" location=\"{address}?wsdl=wsdl0\"/><wsdl:binding name=\"WebBinding\" type=\"i0:IOrganizationService\"><soap:binding transport=\"http://schemas.xmlsoap.org/soap/http\"/>{}</wsdl:binding><wsdl:service name=\"OrganizationService\"><wsdl:port name=\"Web\" binding=\"tns:WebBinding\"><soap:address location=\"{address}/web\"/></wsdl:port></wsdl:service></wsdl:definitions>",
        super::OPERATIONS
            .map(|name| format!("<wsdl:operation name=\"{name}\"><soap:operation soapAction=\"{}\" style=\"document\"/><wsdl:input><soap:body use=\"literal\"/></wsdl:input><wsdl:output><soap:body use=\"literal\"/></wsdl:output></wsdl:operation>", super::envelope::action(name)))
            .concat()
    )
}
