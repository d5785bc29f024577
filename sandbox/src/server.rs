//! The wire: TLS connections, requests read whole, faults applied, answers sent and logged.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Response, Uri, header};
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures_util::stream;
use rustls::ServerConfig;
use serde_json::json;
use tower::service_fn;

use crate::State;
use crate::faults::{self, Fault, Kind};
use crate::hold::Point;
use crate::journal::Entry;
use crate::request::{Connection, Host, Request};
use crate::salesforce::{self, errors::Reply};
use crate::{admin, dynamics, gzip, oracle};

/// Stops a listener.
pub type Handle = axum_server::Handle<SocketAddr>;

/// Longest request line with headers, in bytes (section 4.6 of the Salesforce page).
const MAX_HEAD: usize = 16_384;
/// Largest request body: a little over the largest upload of a bulk job.
const MAX_BODY: usize = 128 << 20;
/// Answers shorter than this are not compressed.
const MIN_GZIP: usize = 1_024;

/// The connection is to be dropped without an answer.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped on demand")]
struct Dropped;

/// Serves a listener until its handle is told to stop.
pub fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    state: Arc<State>,
) -> std::io::Result<Handle> {
    listener.set_nonblocking(true)?;
    let acceptor =
        RustlsAcceptor::new(RustlsConfig::from_config(tls)).acceptor(NoDelayAcceptor::new());
    let handle = Handle::new();
    let server = axum_server::from_tcp(listener)?
        .acceptor(acceptor)
        .handle(handle.clone());
    let make = service_fn(move |_: SocketAddr| {
        let (state, connection) = (Arc::clone(&state), Arc::<Connection>::default());
        let service = service_fn(move |request: axum::http::Request<_>| {
            let (state, connection) = (Arc::clone(&state), Arc::clone(&connection));
            async move {
                let (head, body) = request.into_parts();
                handle_request(state, head, Body::new(body), connection).await
            }
        });
        async move { Ok::<_, Infallible>(service) }
    });
    tokio::spawn(async move {
        // A listener that fails is noticed by the clients; nobody else is there to be told.
        let _ = server.serve(make).await;
    });
    Ok(handle)
}

async fn handle_request(
    state: Arc<State>,
    head: axum::http::request::Parts,
    body: Body,
    connection: Arc<Connection>,
) -> Result<Response<Body>, Dropped> {
    let target = head
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str())
        .to_owned();
    let host = host_of(&head.headers, &head.uri);
    let too_long = too_long(&target, &head.headers);
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return Ok(respond(
            &state,
            &head.headers,
            plain(413, "Request Entity Too Large"),
        )
        .0);
    };
    let mut request = Request::new(head.method.as_str(), &target, head.headers, body, host);
    request.connection = connection;
    if let Some(reply) = held(&state, &request).await {
        return Ok(respond(&state, &request.headers, reply).0);
    }
    if request.path.starts_with("/_sandbox") {
        let reply = blocking(&state, &request, |state, request| {
            admin::answer(state, request)
        })
        .await;
        return Ok(respond(&state, &request.headers, reply).0);
    }
    let soap = oracle::is_here(&request.path);
    let (kind, is_data) = match dynamics::is_mine(&request.path) {
        true => {
            let kind = dynamics::kind(&request);
            (kind, dynamics::is_data(kind))
        }
        false if soap => {
            let kind = oracle::kind(&request);
            (kind, oracle::is_data(kind))
        }
        false => {
            let kind = salesforce::kind(&request.method, &request.path);
            (kind, salesforce::is_data(kind))
        }
    };
    state.journal.count(kind, is_data);
    let mut decoded = format!(
        "{}?{}",
        request.path,
        request
            .query
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join("&")
    );
    if soap {
        // All SOAP requests have one address: rules tell them apart by their action.
        decoded.push(' ');
        decoded.push_str(oracle::action(&request));
    }
    if dynamics::is_mine(&request.path) {
        for mark in dynamics::marks(&request) {
            decoded.push(' ');
            decoded.push_str(&mark);
        }
    }
    // A fault strikes a call, not the greeting of the connection it comes over.
    let fault = (kind != dynamics::GREETING)
        .then(|| state.faults.take(&request.method, [&target, &decoded]))
        .flatten();
    let latency = state.latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let outcome = outcome(&state, &request, fault.as_ref(), too_long).await;
    let (response, status, bytes) = match outcome {
        Ok((response, bytes)) => {
            let status = response.status().as_u16();
            (Ok(response), status, bytes)
        }
        Err(dropped) => (Err(dropped), 0, 0),
    };
    state.journal.log(Entry {
        query: match soap {
            true => Some(oracle::action(&request).to_owned()).filter(|action| !action.is_empty()),
            false => {
                let asked = request.parameter("q");
                let asked = asked.or_else(|| request.parameter("$filter"));
                asked.map(str::to_owned)
            }
        },
        method: request.method,
        path: request.path,
        host: match request.host {
            Host::Login => "login",
            Host::Instance => "instance",
        },
        status,
        bytes,
        fault: fault.map(|fault| fault.kind.name()),
    });
    response
}

/// The answer after any fault, with the bytes it carries; an error drops the connection.
async fn outcome(
    state: &Arc<State>,
    request: &Request,
    fault: Option<&Fault>,
    too_long: Option<Reply>,
) -> Result<(Response<Body>, usize), Dropped> {
    if let Some(fault) = fault {
        match fault.kind {
            Kind::Hang => {
                let mut hanging = state.hanging.subscribe();
                // Fails only when the server is gone, which ends the wait as well.
                let _ = hanging.changed().await;
                return Err(Dropped);
            }
            Kind::Hold => {
                let reply = hold(state, request, fault).await.ok_or(Dropped)?;
                return Ok(respond(state, &request.headers, reply));
            }
            Kind::Huge => {
                let soap = oracle::is_here(&request.path) || dynamics::is_soap(&request.path);
                return Ok((endless(soap), 0));
            }
            Kind::Unauthorized if dynamics::is_mine(&request.path) => {
                let reply = state.dynamics.unauthorized(request);
                return Ok(respond(state, &request.headers, reply));
            }
            Kind::Unauthorized if oracle::is_here(&request.path) => {
                state.oracle.sessions.expire(Some(request));
            }
            Kind::Unauthorized => state.salesforce.doorman.expire(Some(request)),
            Kind::Slow => {
                tokio::time::sleep(Duration::from_millis(fault.ms.unwrap_or(1_000))).await;
            }
            _ => {}
        }
        let instead = match oracle::is_here(&request.path) {
            true => oracle::instead(fault),
            false if dynamics::is_mine(&request.path) => {
                dynamics::instead(fault, &request.path).or_else(|| fault.instead(&request.path))
            }
            false => fault.instead(&request.path),
        };
        if let Some(reply) = instead {
            dynamics::admit(request);
            return Ok(respond(state, &request.headers, reply));
        }
    }
    let mut reply = match too_long {
        Some(reply) => reply,
        None => blocking(state, request, face).await,
    };
    let Some(fault) = fault else {
        return Ok(respond(state, &request.headers, reply));
    };
    if fault.kind == Kind::LoseReply {
        return Err(Dropped);
    }
    let own = match oracle::is_here(&request.path) {
        true => {
            oracle::distort(fault, &mut reply);
            true
        }
        false => {
            dynamics::is_mine(&request.path) && dynamics::distort(fault, &request.path, &mut reply)
        }
    };
    if !own {
        fault.distort(&mut reply);
    }
    if fault.kind == Kind::Cut {
        let sent = fault.bytes.unwrap_or(0);
        let (response, whole) = respond(state, &request.headers, reply);
        return Ok((cut(response, sent).await, sent.min(whole)));
    }
    Ok(respond(state, &request.headers, reply))
}

/// The admin calls that wait: for a request to be held, and for held ones to end.
async fn held(state: &State, request: &Request) -> Option<Reply> {
    let number = |name: &str| request.parameter(name).and_then(|text| text.parse().ok());
    let path = request.path.strip_prefix("/_sandbox")?;
    let path = ["/salesforce", "/dynamics", "/oracle"]
        .iter()
        .find_map(|face| path.strip_prefix(face))
        .unwrap_or(path);
    match (request.method.as_str(), path) {
        ("GET", "/held") => {
            let most = Duration::from_millis(number("wait_ms").unwrap_or(0));
            let count = number("count").unwrap_or(1);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            Some(Reply::ok(&state.holds.wait(count, most).await))
        }
        ("POST", "/release") => {
            let released = state.holds.release(true).await;
            Some(Reply::ok(&json!({"released": released})))
        }
        ("POST", "/reset") => {
            state.holds.release(false).await;
            None
        }
        _ => None,
    }
}

/// Holds a request as its fault says. The work is a task of its own, for the request ends with its
/// connection when the client goes. `None` when it is given up.
async fn hold(state: &Arc<State>, request: &Request, fault: &Fault) -> Option<Reply> {
    let at = fault.at.unwrap_or(Point::Before);
    let apply = fault.apply_on_release.unwrap_or(true);
    let (state, request) = (Arc::clone(state), request.clone());
    let work = tokio::spawn(async move {
        let (method, path) = (request.method.clone(), request.path.clone());
        let done = match at {
            Point::Before => None,
            Point::After => Some(blocking(&state, &request, face).await),
        };
        let mut ticket = state.holds.hold(&method, &path, at);
        let go_on = ticket.wait().await;
        let reply = match done {
            Some(reply) => go_on.then_some(reply),
            None if go_on && apply => Some(blocking(&state, &request, face).await),
            None => None,
        };
        ticket.finish();
        reply
    });
    work.await.ok().flatten()
}

/// The answer of the face an address belongs to.
fn face(state: &State, request: &Request) -> Reply {
    match dynamics::is_mine(&request.path) {
        true => state.dynamics.answer(request),
        false if oracle::is_here(&request.path) => state.oracle.answer(request),
        false => state.salesforce.answer(request),
    }
}

/// Runs an answer off the network threads: a query over a million records takes a while.
async fn blocking(
    state: &Arc<State>,
    request: &Request,
    answer: impl FnOnce(&State, &Request) -> Reply + Send + 'static,
) -> Reply {
    let (state, request) = (Arc::clone(state), request.clone());
    tokio::task::spawn_blocking(move || answer(&state, &request))
        .await
        .unwrap_or_else(|_| plain(500, "the sandbox itself failed"))
}

/// Turns an answer into a response and says how many body bytes it has.
fn respond(state: &State, headers: &HeaderMap, reply: Reply) -> (Response<Body>, usize) {
    let accepts = headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .any(|value| value.to_str().is_ok_and(|v| v.contains("gzip")));
    // What was compressed ahead is meant to be sent so: Bulk results always are.
    let length = reply.lead.len() + reply.body.len();
    let compress = accepts && (reply.gzip.is_some() || state.config.gzip && length >= MIN_GZIP);
    let (body, bytes) = match compress {
        true => {
            let packed = reply.gzip.clone().unwrap_or_else(|| gzip(&reply.whole()));
            let bytes = packed.len();
            (Body::from(packed), bytes)
        }
        false if reply.lead.is_empty() => (Body::from(reply.body.clone()), length),
        false => {
            let pieces = [reply.lead.clone(), reply.body.clone()].map(Ok::<_, Infallible>);
            (Body::from_stream(stream::iter(pieces)), length)
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = axum::http::StatusCode::from_u16(reply.status).unwrap_or_default();
    let out = response.headers_mut();
    if let Some(content_type) = reply.content_type {
        out.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if !reply.lead.is_empty() {
        // A body in pieces does not say by itself how long it is.
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    if compress {
        out.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if let Ok(date) = HeaderValue::from_str(&state.salesforce.clock.http_date()) {
        out.insert(header::DATE, date);
    }
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            out.append(name, value);
        }
    }
    (response, bytes)
}

fn plain(status: u16, text: &'static str) -> Reply {
    let body = format!("<html><body><h1>{status} {text}</h1></body></html>");
    Reply::typed(status, "text/html", body)
}

/// 414 for the address alone, 431 for address and headers together; neither answer is JSON.
fn too_long(target: &str, headers: &HeaderMap) -> Option<Reply> {
    let fields: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if dynamics::is_mine(target.split('?').next().unwrap_or_default()) {
        let over = target.len() > dynamics::MAX_ADDRESS;
        return over.then(|| plain(414, "URI Too Long"));
    }
    if target.len() > MAX_HEAD {
        return Some(plain(414, "URI Too Long"));
    }
    (target.len() + fields > MAX_HEAD).then(|| plain(431, "Request Header Fields Too Large"))
}

fn host_of(headers: &HeaderMap, uri: &Uri) -> Host {
    let name = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| uri.authority().map(|a| a.as_str()))
        .unwrap_or_default();
    match name.split(':').next() {
        Some(name) if name.eq_ignore_ascii_case("localhost") => Host::Login,
        _ => Host::Instance,
    }
}

fn endless(soap: bool) -> Response<Body> {
    let pieces = stream::unfold(true, move |first| async move {
        let piece = match soap {
            true => oracle::endless_piece(first),
            false => faults::huge_piece(first),
        };
        Some((Ok::<_, Infallible>(piece), false))
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(match soap {
            true => "text/xml; charset=UTF-8",
            false => faults::HUGE_TYPE,
        }),
    );
    response
}

/// The same response, announced in full, whose body breaks off after `sent` bytes.
async fn cut(response: Response<Body>, sent: usize) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    let start = body.slice(..sent.min(body.len()));
    let mut step = 0;
    let pieces = stream::poll_fn(move |context| {
        step += 1;
        match step {
            1 if !start.is_empty() => Poll::Ready(Some(Ok::<Bytes, Dropped>(start.clone()))),
            // Pending once, so that what was sent is flushed before the connection goes.
            1 | 2 => {
                context.waker().wake_by_ref();
                step = 2;
                Poll::Pending
            }
            _ => Poll::Ready(Some(Err(Dropped))),
        }
    });
    Response::from_parts(head, Body::from_stream(pieces))
}
