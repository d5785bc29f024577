//! The server's own interface under `/_sandbox`: faults, counters, tokens, limits. No sign-in.
//! README.md lists the calls.

mod records;

use serde::Deserialize;
use serde_json::json;

use crate::State;
use crate::faults::Fault;
use crate::request::Request;
use crate::salesforce::errors::{ApiError, Reply};
use crate::salesforce::store::Written;

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Fault>),
    One(Box<Fault>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    used: Option<u64>,
    max: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Prerender {
    soql: String,
    version: Option<String>,
    /// Records on a page of a bulk result; a REST query's pages unless given.
    bulk: Option<usize>,
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))
}

/// Answers a request whose path starts with `/_sandbox`.
pub fn answer(state: &State, request: &Request) -> Reply {
    route(state, request).unwrap_or_else(Reply::from)
}

fn route(state: &State, request: &Request) -> Result<Reply, ApiError> {
    let path = request.path.trim_start_matches("/_sandbox");
    let salesforce = &state.salesforce;
    match (request.method.as_str(), path) {
        ("GET", "") => Ok(Reply::ok(&state.description)),
        ("POST", "/faults") => {
            match parse(&request.body)? {
                OneOrMany::One(fault) => state.faults.add(*fault),
                OneOrMany::Many(faults) => faults.into_iter().for_each(|f| state.faults.add(f)),
            }
            Ok(Reply::bare(204))
        }
        ("GET", "/faults") => Ok(Reply::ok(&json!(state.faults.list()))),
        ("DELETE", "/faults") => {
            state.faults.clear();
            Ok(Reply::bare(204))
        }
        ("POST", "/reset") => {
            state.faults.clear();
            state.journal.clear();
            salesforce.reset();
            state.dynamics.reset();
            state.oracle.reset();
            state.release_hanging();
            Ok(Reply::bare(204))
        }
        ("POST", "/expire_tokens") => {
            salesforce.doorman.expire(None);
            state.dynamics.tokens.expire(None);
            state.oracle.sessions.expire(None);
            Ok(Reply::bare(204))
        }
        ("GET", "/requests") => {
            let mut report = state.journal.report();
            report["logins"] = salesforce.doorman.report();
            report["dynamics_logins"] = state.dynamics.tokens.report();
            report["writes"] = json!(salesforce.records().written);
            Ok(Reply::ok(&report))
        }
        ("DELETE", "/requests") => {
            state.journal.clear();
            salesforce.records_mut().written = Written::default();
            Ok(Reply::bare(204))
        }
        ("POST", "/dynamics/expire_delta_tokens") => {
            state.dynamics.expire_delta_tokens();
            Ok(Reply::bare(204))
        }
        ("GET", "/last_query") => match salesforce.last_query() {
            Some(soql) => Ok(Reply::typed(200, "text/plain; charset=UTF-8", soql)),
            None => Ok(Reply::bare(204)),
        },
        ("POST", "/limits") => {
            let limits: Limits = parse(&request.body)?;
            salesforce.allotment.set(limits.used, limits.max);
            Ok(Reply::bare(204))
        }
        ("POST", "/prerender") => {
            let wanted: Prerender = parse(&request.body)?;
            let version = wanted.version.as_deref().unwrap_or("66.0");
            let pages = match wanted.bulk {
                Some(size) => salesforce.prerender_bulk(&wanted.soql, size)?,
                None => salesforce.prerender(&wanted.soql, version.trim_start_matches('v'))?,
            };
            Ok(Reply::ok(&json!({"pages": pages})))
        }
        ("GET", "/bulk") => Ok(Reply::ok(&salesforce.bulk.settings())),
        ("POST", "/bulk") => {
            salesforce.bulk.change(salesforce, &request.body)?;
            Ok(Reply::bare(204))
        }
        _ => match path.strip_prefix("/oracle") {
            Some(rest) => state.oracle.admin(request, rest),
            None => records::route(salesforce, request, path),
        },
    }
}
