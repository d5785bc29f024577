//! The server's own interface under `/_sandbox`: faults, counters, tokens, limits, for Salesforce; under
//! `/_sandbox/dynamics` and `/_sandbox/oracle` the same for the others. No sign-in.
//! README.md lists the calls.

pub mod change;
pub mod records;

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
struct Latency {
    ms: u64,
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

/// Which face a call is about: the part of the path behind `/_sandbox`, Salesforce without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    Salesforce,
    Dynamics,
    Oracle,
}

impl Face {
    /// The face and the rest of the path.
    fn of(path: &str) -> (Self, &str) {
        let below = |name: &str| {
            let rest = path.strip_prefix(name)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        if let Some(rest) = below("/dynamics") {
            return (Self::Dynamics, rest);
        }
        if let Some(rest) = below("/oracle") {
            return (Self::Oracle, rest);
        }
        (Self::Salesforce, below("/salesforce").unwrap_or(path))
    }
}

fn route(state: &State, request: &Request) -> Result<Reply, ApiError> {
    let (face, path) = Face::of(request.path.trim_start_matches("/_sandbox"));
    if let Some(reply) = shared(state, request, face, path)? {
        return Ok(reply);
    }
    match (face, request.method.as_str(), path) {
        (Face::Salesforce, ..) => salesforce(state, request, path),
        (Face::Dynamics, "POST", "/expire_delta_tokens") => {
            state.dynamics.expire_delta_tokens();
            Ok(Reply::bare(204))
        }
        (Face::Dynamics, "POST", "/prerender") => {
            let pages = state.dynamics.prerender()?;
            Ok(Reply::ok(&json!({"pages": pages})))
        }
        (Face::Dynamics, "POST", "/limits") => {
            state.dynamics.set_limits(&request.body)?;
            Ok(Reply::bare(204))
        }
        (Face::Dynamics, "GET", "/soap") => Ok(Reply::ok(&state.dynamics.soap_report())),
        (Face::Dynamics, ..) => records::route(&state.dynamics, request, path),
        (Face::Oracle, "POST", "/limits") => {
            let limits: Limits = parse(&request.body)?;
            state.oracle.limit(limits.used, limits.max);
            Ok(Reply::bare(204))
        }
        (Face::Oracle, _, "" | "/report") => state.oracle.admin(request, path),
        // Its pages are not kept: they are found by their start in no time.
        (Face::Oracle, "POST", "/prerender") => Ok(Reply::ok(&json!({"pages": 0}))),
        (Face::Oracle, ..) => records::route(&state.oracle, request, path),
    }
}

/// The calls that every face has, and whose effects do not stop at one: faults, counters, sign-ins.
fn shared(
    state: &State,
    request: &Request,
    face: Face,
    path: &str,
) -> Result<Option<Reply>, ApiError> {
    let done = || Ok(Some(Reply::bare(204)));
    match (request.method.as_str(), path) {
        ("GET", "") if face != Face::Oracle => Ok(Some(Reply::ok(&state.description))),
        ("POST", "/faults") => {
            match parse(&request.body)? {
                OneOrMany::One(fault) => state.faults.add(*fault),
                OneOrMany::Many(faults) => faults.into_iter().for_each(|f| state.faults.add(f)),
            }
            done()
        }
        ("GET", "/faults") => Ok(Some(Reply::ok(&json!(state.faults.list())))),
        ("DELETE", "/faults") => {
            state.faults.clear();
            done()
        }
        ("POST", "/latency") => {
            let latency: Latency = parse(&request.body)?;
            state.set_latency(latency.ms);
            done()
        }
        ("POST", "/reset") => {
            state.faults.clear();
            state.journal.clear();
            state.salesforce.reset();
            state.dynamics.reset();
            state.oracle.reset();
            state.release_hanging();
            done()
        }
        ("POST", "/expire_tokens") => {
            state.salesforce.doorman.expire(None);
            state.dynamics.expire_tokens();
            state.oracle.sessions.expire(None);
            done()
        }
        ("GET", "/requests") => {
            let mut report = state.journal.report();
            report["logins"] = state.salesforce.doorman.report();
            report["dynamics_logins"] = state.dynamics.tokens.report();
            report["writes"] = match face {
                Face::Salesforce => json!(state.salesforce.records().written),
                Face::Dynamics => json!(state.dynamics.writes()),
                Face::Oracle => state.oracle.writes(),
            };
            Ok(Some(Reply::ok(&report)))
        }
        ("DELETE", "/requests") => {
            state.journal.clear();
            state.salesforce.records_mut().written = Written::default();
            state.dynamics.clear_written();
            state.oracle.clear_written();
            done()
        }
        ("GET", "/last_query") => {
            let last = match face {
                Face::Salesforce => state.salesforce.last_query(),
                Face::Dynamics => state.dynamics.last_query(),
                Face::Oracle => state.oracle.last_query(),
            };
            Ok(Some(match last {
                Some(text) => Reply::typed(200, "text/plain; charset=UTF-8", text),
                None => Reply::bare(204),
            }))
        }
        _ => Ok(None),
    }
}

fn salesforce(state: &State, request: &Request, path: &str) -> Result<Reply, ApiError> {
    let salesforce = &state.salesforce;
    match (request.method.as_str(), path) {
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
        _ => records::route(salesforce, request, path),
    }
}
