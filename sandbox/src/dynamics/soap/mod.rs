//! The Organization service: `Organization.svc` for messages signed by a token, `Organization.svc/web` for
//! those that HTTP signs in. Section 13 of the protocol page.

mod c14n;
pub mod contract;
mod describe;
pub mod distort;
mod envelope;
mod execute;
mod pages;
mod trust;
mod values;
mod wsdl;

pub use trust::Trust;

use std::sync::PoisonError;

use uuid::Uuid;

use super::entra::{Caller, Issuer};
use super::errors::Refusal;
use super::names::Name;
use super::write::Writer;
use super::{Dynamics, Realm, ntlm};
use crate::request::Request;
use crate::salesforce::errors::Reply;
use contract::{Data, SERVICES, contract};
use envelope::{Fault, Version};

/// Where the service is, below the organisation.
pub const PATH: &str = "/XRMServices/2011/Organization.svc";
/// Where the sign-in service is, below its own host.
pub const STS: &str = "/adfs/services/trust/13/usernamemixed";
/// The operations of the service.
pub const OPERATIONS: [&str; 8] = [
    "Create",
    "Retrieve",
    "Update",
    "Delete",
    "RetrieveMultiple",
    "Execute",
    "Associate",
    "Disassociate",
];

/// What stands behind the path of the service: nothing, or `web`.
pub(super) fn endpoint(path: &str) -> Option<(Realm, bool)> {
    super::traffic::REALMS.into_iter().find_map(|realm| {
        let rest = path.strip_prefix(realm.prefix())?.strip_prefix(PATH)?;
        match rest {
            "" => Some((realm, false)),
            "/web" => Some((realm, true)),
            _ => None,
        }
    })
}

/// The version an address speaks; `None` for those that do not speak SOAP.
pub fn version(path: &str) -> Option<Version> {
    match endpoint(path) {
        Some((_, true)) => Some(Version::V11),
        Some((_, false)) => Some(Version::V12),
        None => (path == STS).then_some(Version::V12),
    }
}

/// Who calls and whether HTTP or the message signed in, and the request itself.
struct Call<'r> {
    request: &'r Request,
    realm: Realm,
    web: bool,
    version: Version,
}

impl Dynamics {
    /// Answers the sign-in service of WS-Trust.
    pub fn sts(&self, request: &Request) -> Reply {
        let address = format!("{}{STS}", self.login_url);
        let organisations: Vec<String> = [Realm::Ifd, Realm::Claims]
            .iter()
            .map(|realm| format!("{}{}", self.instance_url, realm.prefix()))
            .collect();
        let (reply, signed_in) = self.trust.issue(request, &address, &organisations);
        self.tokens.count(signed_in);
        reply
    }

    /// Answers a request to the service.
    pub(super) fn soap(&self, request: &Request, realm: Realm, web: bool) -> Reply {
        let address = format!("{}{}{PATH}", self.instance_url, realm.prefix());
        if request.method == "GET" {
            return wsdl::answer(request, realm, &address, &self.login_url).unwrap_or_else(|| {
                Reply::typed(
                    200,
                    "text/html; charset=UTF-8",
                    "<html><body>Organization Service</body></html>",
                )
            });
        }
        let version = match web {
            true => Version::V11,
            false => Version::V12,
        };
        let call = Call {
            request,
            realm,
            web,
            version,
        };
        let by_http = match self.by_http(&call) {
            Ok(caller) => caller,
            Err(reply) => return *reply,
        };
        let opened = match envelope::open(&request.body, version) {
            Ok(opened) => opened,
            Err(fault) => return fault.reply(version, "", None),
        };
        let relates = opened.addressing("MessageID").map(str::to_owned);
        let relates = relates.as_deref();
        let operation = opened.operation.name.as_str();
        let known = match OPERATIONS.contains(&operation) && opened.operation.namespace == SERVICES
        {
            true => operation,
            false => "",
        };
        let outcome = self
            .caller(&call, &opened, by_http)
            .and_then(|caller| self.operation(&call, &opened, caller));
        match outcome {
            Ok(body) => {
                let action = envelope::action(&format!("{operation}Response"));
                envelope::reply(version, &action, relates, &body)
            }
            Err(fault) => fault.reply(version, known, relates),
        }
    }

    /// Who HTTP signs in: nobody at the endpoint whose messages are signed.
    fn by_http(&self, call: &Call<'_>) -> Result<Option<Caller>, Box<Reply>> {
        let bearer = |issuer| {
            let caller = self.tokens.caller(call.request, issuer);
            match caller {
                Some(caller) => Ok(Some(caller)),
                None => Err(Box::new(self.challenge(call.realm))),
            }
        };
        match (call.web, call.realm) {
            (false, _) => Ok(None),
            (true, Realm::Online) => bearer(Issuer::Entra),
            (true, Realm::Ifd) => bearer(Issuer::Adfs),
            (true, Realm::Ad | Realm::Old) => {
                ntlm::user(call.request).map(|user| Some(Caller::User(user)))
            }
            (true, Realm::Claims) => Err(Box::new(self.sign_in_page())),
        }
    }

    fn caller(
        &self,
        call: &Call<'_>,
        opened: &envelope::Opened,
        by_http: Option<Caller>,
    ) -> Result<Caller, Fault> {
        match (by_http, call.realm) {
            (Some(Caller::Stranger), _) => Err(Refusal::new(
                403,
                "0x80072560",
                "The user is not a member of the organization.",
            )
            .into()),
            (Some(caller), _) => Ok(caller),
            (None, Realm::Ifd | Realm::Claims) => {
                let organisation = format!("{}{}", self.instance_url, call.realm.prefix());
                let user = self.trust.signer(call.request, opened, &organisation)?;
                Ok(Caller::User(user))
            }
            // Windows accounts would need the security of messages, which this server does not speak.
            (None, _) => Err(envelope::invalid_security()),
        }
    }

    /// Carries an operation out and gives the element of its answer.
    fn operation(
        &self,
        call: &Call<'_>,
        opened: &envelope::Opened,
        caller: Caller,
    ) -> Result<String, Fault> {
        let node = &opened.operation;
        let action = envelope::action(&node.name);
        let given = match call.version {
            Version::V11 => call
                .request
                .header("soapaction")
                .map(|text| text.trim_matches('"')),
            Version::V12 => opened.addressing("Action"),
        };
        if given != Some(&action) || !OPERATIONS.contains(&node.name.as_str()) {
            return Err(Fault::Security {
                subcode: "ActionNotSupported",
                reason: format!(
                    "The message with Action '{}' cannot be processed at the receiver, due to a ContractFilter mismatch at the EndpointDispatcher.",
                    given.unwrap_or_default()
                ),
            });
        }
        self.admit(call.realm)?;
        let contract = contract().map_err(|_| Fault::Internal)?;
        let mut misplaced = Vec::new();
        let data = contract
            .read(node, &mut misplaced)
            .map_err(|_| Fault::Internal)?;
        if !misplaced.is_empty() {
            self.misplaced
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(misplaced);
        }
        let writer = Writer::of(super::user_id(caller), self.now());
        Ok(self.carried_out(&data, &writer)?)
    }

    fn carried_out(&self, data: &Data, writer: &Writer) -> Result<String, Refusal> {
        let spaces = values::SPACES;
        let null = |name: &str| {
            Refusal::new(
                400,
                "0x80040203",
                format!("Value cannot be null. Parameter name: {name}"),
            )
        };
        let id = || -> Result<Uuid, Refusal> {
            data.text_of("id")
                .and_then(|text| Uuid::parse_str(text.trim()).ok())
                .ok_or_else(|| null("id"))
        };
        let body = match data.name.as_str() {
            "Create" => {
                let entity = data.get("entity").ok_or_else(|| null("entity"))?;
                let id = execute::create(&mut self.records_mut(), writer, entity)?;
                format!("<CreateResult>{id}</CreateResult>")
            }
            "Update" => {
                let entity = data.get("entity").ok_or_else(|| null("entity"))?;
                execute::update(&mut self.records_mut(), writer, entity)?;
                String::new()
            }
            "Delete" => {
                let mut store = self.records_mut();
                let name = data
                    .text_of("entityName")
                    .ok_or_else(|| null("entityName"))?;
                let (table, _) = values::known_table(&store, name)?;
                writer.delete(&mut store, table, &Name::Id(id()?))?;
                String::new()
            }
            "Retrieve" => {
                let store = self.records();
                let name = data
                    .text_of("entityName")
                    .ok_or_else(|| null("entityName"))?;
                let row = execute::retrieve(&store, name, id()?, data.get("columnSet"))?;
                format!("<RetrieveResult {spaces}>{row}</RetrieveResult>")
            }
            "RetrieveMultiple" => {
                let query = data.get("query").ok_or_else(|| null("query"))?;
                let page = self.found(query, writer.user)?;
                return Ok(format!(
                    "<RetrieveMultipleResponse xmlns=\"{SERVICES}\"><RetrieveMultipleResult {spaces}>{page}</RetrieveMultipleResult></RetrieveMultipleResponse>"
                ));
            }
            "Execute" => {
                let request = data.get("request").ok_or_else(|| null("request"))?;
                let response = self.execute(request, writer)?;
                response.element("ExecuteResult", spaces)
            }
            other => {
                return Err(Refusal::unsupported(format!(
                    "The operation {other} is not supported by this server."
                )));
            }
        };
        Ok(format!(
            "<{0}Response xmlns=\"{SERVICES}\">{body}</{0}Response>",
            data.name
        ))
    }
}

/// What a request counts as in the journal, by what its body says.
pub fn kind(body: &[u8]) -> &'static str {
    let text = String::from_utf8_lossy(body);
    let (operation, name) = words(&text);
    match (operation, name) {
        ("RetrieveMultiple", _) if fetched(&text) == Some("audit") => "deleted",
        ("RetrieveMultiple", _) if text.contains("paging-cookie") => "dynamics_query_more",
        ("RetrieveMultiple", _) | ("Execute", "RetrieveMultiple" | "RetrieveEntityChanges") => {
            "dynamics_query"
        }
        ("Retrieve", _) | ("Execute", "Retrieve") => "dynamics_record",
        ("Execute", "WhoAmI") => "identity",
        ("Execute", "RetrieveVersion") => "versions",
        ("Execute", "RetrieveAllEntities") => "describe_global",
        ("Execute", "RetrieveEntity" | "RetrieveAttribute") => "describe",
        ("Execute", "RetrieveAllOptionSets" | "RetrieveOptionSet") => "picklist_values",
        ("Execute", "ExecuteMultiple" | "ExecuteTransaction") => "dynamics_batch",
        ("", _) => "other",
        _ => "dynamics_write",
    }
}

/// The table a body's FetchXML asks for, as faults go by it; quotes may be escaped there or not.
pub fn fetched(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("entity name=")?;
    let rest = ["&quot;", "&apos;", "&#34;", "&#39;", "\"", "'"]
        .iter()
        .find_map(|quote| rest.strip_prefix(quote))?;
    rest.split(['"', '\'', '&']).next()
}

/// The operation and the message of a body, found without reading it whole: faults tell requests apart by
/// them.
pub fn words(text: &str) -> (&str, &str) {
    let body = text.find("Body").map_or("", |at| &text[at..]);
    let operation = OPERATIONS
        .into_iter()
        .filter_map(|name| {
            let at = body
                .find(&format!("{name} "))
                .or_else(|| body.find(&format!("{name}>")))?;
            matches!(body.as_bytes()[at.saturating_sub(1)], b'<' | b':').then_some((at, name))
        })
        .min()
        .map_or("", |(_, name)| name);
    let name = body
        // The outermost request's name comes last, behind those of the requests within.
        .rfind("RequestName>")
        .and_then(|end| {
            let head = &body[..end];
            let from = head.rfind("RequestName>")? + "RequestName>".len();
            head[from..].split('<').next()
        })
        .unwrap_or("");
    (operation, name)
}

#[cfg(test)]
mod tests {
    use super::{fetched, kind, words};

    #[test]
    fn bodies_are_told_apart_without_reading_them() {
        let execute = |name: &str, inner: &str| {
            format!(
                "<s:Body><Execute xmlns='x'><request><b:Parameters>{inner}</b:Parameters><b:RequestName>{name}</b:RequestName></request></Execute></s:Body>"
            )
        };
        let create = "<b:RequestName>Create</b:RequestName>";
        let multiple = execute("ExecuteMultiple", create);
        assert_eq!(words(&multiple), ("Execute", "ExecuteMultiple"));
        assert_eq!(kind(multiple.as_bytes()), "dynamics_batch");
        assert_eq!(kind(execute("WhoAmI", "").as_bytes()), "identity");
        for (quote, table, expected) in [
            ("&quot;", "audit", "deleted"),
            ("'", "audit", "deleted"),
            ("\"", "contact", "dynamics_query"),
        ] {
            let body = format!(
                "<a:Body><RetrieveMultiple xmlns='x'>&lt;fetch>&lt;entity name={quote}{table}{quote}></RetrieveMultiple>"
            );
            assert_eq!(fetched(&body), Some(table));
            assert_eq!(kind(body.as_bytes()), expected);
        }
        assert_eq!(kind(b"<s:Body><Delete xmlns='x'>"), "dynamics_write");
        assert_eq!(kind(b"nothing"), "other");
    }
}
