//! Which addresses belong to this face, and what each request counts as in the journal.

use super::{Realm, ntlm, soap};
use crate::request::Request;

/// The deployments; the one without a prefix comes last.
pub const REALMS: [Realm; 5] = [
    Realm::Ad,
    Realm::Ifd,
    Realm::Claims,
    Realm::Old,
    Realm::Online,
];

/// The deployment an address of the Web API belongs to, and the rest behind `/api/data`.
pub fn realm(path: &str) -> Option<(Realm, &str)> {
    REALMS.into_iter().find_map(|realm| {
        let rest = path
            .strip_prefix(realm.prefix())?
            .strip_prefix("/api/data")?;
        (rest.is_empty() || rest.starts_with('/')).then_some((realm, rest))
    })
}

/// Whether an address belongs to this face.
pub fn is_mine(path: &str) -> bool {
    let token = path.ends_with("/oauth2/token") || path.ends_with("/oauth2/v2.0/token");
    (token && !path.starts_with("/services/"))
        || path.ends_with("/.well-known/openid-configuration")
        || path.starts_with("/adfs/")
        || realm(path).is_some()
        || soap::endpoint(path).is_some()
}

/// The counter of requests that only ask for a challenge.
pub const GREETING: &str = "greeting";

/// The counter a request belongs to.
pub fn kind(request: &Request) -> &'static str {
    if soap::endpoint(&request.path).is_some() {
        return match request.method.as_str() {
            "GET" => "versions",
            _ => soap::kind(&request.body),
        };
    }
    let Some((_, rest)) = realm(&request.path) else {
        return "login";
    };
    if ntlm::greets(request) {
        return GREETING;
    }
    if rest.ends_with("/$batch") {
        return batch_kind(request);
    }
    let mut segments = rest.trim_matches('/').split('/').skip(1);
    let first = segments.next().unwrap_or_default();
    match (request.method.as_str(), first) {
        (_, "") => "versions",
        (_, "WhoAmI" | "WhoAmI()") => "identity",
        (_, "EntityDefinitions" | "$metadata") => "describe_global",
        (_, name) if name.starts_with("EntityDefinitions") => "describe",
        (_, name) if name.starts_with("GlobalOptionSetDefinitions") => "picklist_values",
        (_, name) if name.starts_with("Retrieve") => "limits",
        ("GET", "audits") => "deleted",
        ("GET", name) if name.contains('(') => "dynamics_record",
        ("GET", _) if request.parameter("$skiptoken").is_some() => "dynamics_query_more",
        ("GET", _) => "dynamics_query",
        _ => "dynamics_write",
    }
}

/// A batch of GETs for descriptions, of GETs for rows, or one that writes.
fn batch_kind(request: &Request) -> &'static str {
    let lines = request_lines(request);
    let reads = lines.iter().all(|line| line.starts_with("GET "));
    match reads {
        true if lines.iter().all(|line| line.contains("/EntityDefinitions")) => "describe",
        true => "dynamics_batch_read",
        false => "dynamics_batch",
    }
}

/// The request lines of a batch's parts; none for what is no batch.
fn request_lines(request: &Request) -> Vec<&str> {
    const METHODS: &[&str] = &["GET ", "POST ", "PATCH ", "PUT ", "DELETE "];
    let text = match request.path.ends_with("/$batch") {
        true => std::str::from_utf8(&request.body).unwrap_or_default(),
        false => "",
    };
    text.lines()
        .filter(|line| {
            METHODS.iter().any(|method| line.starts_with(method)) && line.ends_with(" HTTP/1.1")
        })
        .collect()
}

/// What of a request's body faults go by: the lines of a batch's parts, operation and message of SOAP.
pub fn marks(request: &Request) -> Vec<String> {
    let own = |line: &str| line.to_owned();
    if soap::endpoint(&request.path).is_none() {
        return request_lines(request).into_iter().map(own).collect();
    }
    let text = String::from_utf8_lossy(&request.body);
    let (operation, message) = soap::words(&text);
    let mut out = vec![format!(":{operation}"), format!(":{message}")];
    out.extend(soap::fetched(&text).map(|name| format!("fetch:{name}")));
    out
}

/// True for the counters that carry records.
pub fn is_data(kind: &str) -> bool {
    kind.starts_with("dynamics_") || kind == "deleted"
}
