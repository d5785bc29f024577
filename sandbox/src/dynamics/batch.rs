//! `$batch`: multipart requests, change sets that hold together, answers in request order. Section 7.4.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::errors::Refusal;
use super::query::Prefer;
use crate::request::{Host, Request};
use crate::salesforce::errors::Reply;

/// Most operations in a batch.
const MOST: usize = 1_000;
/// Longest address of a GET in a batch.
const MAX_ADDRESS: usize = 65_536;

/// A part of a batch.
enum Part {
    Single(Box<Inner>),
    ChangeSet(Vec<Inner>),
}

/// One request of a batch.
pub struct Inner {
    pub content_id: Option<String>,
    /// As it stands in the request line.
    pub target: String,
    pub request: Request,
}

/// Whatever carries out the parts.
pub trait Runner {
    /// Address of the service, for targets relative to it.
    fn base(&self) -> &str;
    /// One request outside a change set.
    fn single(&self, inner: &Inner) -> Reply;
    /// A change set: all answers, or the one it failed with.
    fn change_set(&self, parts: Vec<Inner>) -> Result<Vec<(Option<String>, Reply)>, Refusal>;
}

/// Answers a batch.
///
/// # Errors
/// 400 for a body that is no batch or holds too much.
pub fn answer(request: &Request, runner: &dyn Runner) -> Result<Reply, Refusal> {
    let kind = request.header("content-type").unwrap_or_default();
    let boundary = boundary(kind)
        .ok_or_else(|| Refusal::syntax("The content type of a batch names a boundary."))?;
    let text = std::str::from_utf8(&request.body)
        .map_err(|_| Refusal::syntax("The batch is not UTF-8."))?;
    let parts = sections(text, &boundary)?
        .into_iter()
        .map(|section| part(section, runner.base()))
        .collect::<Result<Vec<_>, _>>()?;
    let count: usize = parts
        .iter()
        .map(|part| match part {
            Part::Single(_) => 1,
            Part::ChangeSet(inner) => inner.len(),
        })
        .sum();
    if count > MOST {
        return Err(Refusal::argument(format!(
            "The number of operations in a batch exceeds the limit of {MOST}."
        )));
    }
    let goes_on = Prefer::of(request).continue_on_error;
    let outer = format!("batchresponse_{}", Uuid::new_v4());
    let mut out = String::new();
    let mut status = 200;
    for part in parts {
        out.push_str(&format!("--{outer}\r\n"));
        let failed = match part {
            Part::Single(inner) => {
                let reply = match inner.target.len() > MAX_ADDRESS {
                    true => Refusal::argument("The address is too long.").into(),
                    false => runner.single(&inner),
                };
                write(&mut out, inner.content_id.as_deref(), &reply);
                (reply.status >= 400).then_some(reply.status)
            }
            Part::ChangeSet(inner) => match runner.change_set(inner) {
                Ok(replies) => {
                    let nested = format!("changesetresponse_{}", Uuid::new_v4());
                    out.push_str(&format!(
                        "Content-Type: multipart/mixed; boundary={nested}\r\n\r\n"
                    ));
                    for (id, reply) in replies {
                        out.push_str(&format!("--{nested}\r\n"));
                        write(&mut out, id.as_deref(), &reply);
                    }
                    out.push_str(&format!("--{nested}--\r\n"));
                    None
                }
                Err(refusal) => {
                    let reply = Reply::from(refusal);
                    write(&mut out, None, &reply);
                    Some(reply.status)
                }
            },
        };
        if let Some(failed) = failed
            && !goes_on
        {
            // The first failure ends the batch and is its status.
            status = failed;
            break;
        }
    }
    out.push_str(&format!("--{outer}--\r\n"));
    Ok(Reply {
        content_type: None,
        ..Reply::json(status, out)
    }
    .header("Content-Type", format!("multipart/mixed; boundary={outer}"))
    .header("OData-Version", "4.0"))
}

fn boundary(kind: &str) -> Option<String> {
    let rest = kind.strip_prefix("multipart/mixed")?;
    let (_, value) = rest.split_once("boundary=")?;
    let value = value.split(';').next().unwrap_or_default().trim();
    Some(value.trim_matches('"').to_owned()).filter(|value| !value.is_empty())
}

/// What lies between the delimiters.
fn sections<'t>(text: &'t str, boundary: &str) -> Result<Vec<&'t str>, Refusal> {
    let delimiter = format!("--{boundary}");
    let mut out = Vec::new();
    let mut start: Option<usize> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end();
        if bare == delimiter || bare == format!("{delimiter}--") {
            if let Some(start) = start {
                out.push(&text[start..at]);
            }
            start = (bare == delimiter).then_some(at + line.len());
            if start.is_none() {
                return Ok(out);
            }
        }
        at += line.len();
    }
    Err(Refusal::syntax("The multipart body has no end."))
}

/// The header lines and what follows the empty line.
fn head(section: &str) -> (Vec<(String, String)>, &str) {
    let mut headers = Vec::new();
    let mut at = 0;
    for line in section.split_inclusive('\n') {
        at += line.len();
        let bare = line.trim_end();
        if bare.is_empty() {
            break;
        }
        if let Some((name, value)) = bare.split_once(':') {
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    (headers, &section[at..])
}

fn value<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn part(section: &str, base: &str) -> Result<Part, Refusal> {
    let (headers, body) = head(section);
    let kind = value(&headers, "content-type").unwrap_or_default();
    match boundary(kind) {
        Some(nested) => {
            let inner = sections(body, &nested)?
                .into_iter()
                .map(|section| inner(section, base))
                .collect::<Result<Vec<_>, _>>()?;
            match inner.iter().any(|inner| inner.request.method == "GET") {
                true => Err(Refusal::syntax("A GET is not allowed in a change set.")),
                false => Ok(Part::ChangeSet(inner)),
            }
        }
        None => inner(section, base).map(|inner| Part::Single(Box::new(inner))),
    }
}

fn inner(section: &str, base: &str) -> Result<Inner, Refusal> {
    let (outer, message) = head(section);
    if !value(&outer, "content-type").is_some_and(|kind| kind.starts_with("application/http")) {
        return Err(Refusal::syntax("A part of a batch is application/http."));
    }
    let (line, rest) = message
        .split_once('\n')
        .ok_or_else(|| Refusal::syntax("A part of a batch has no request line."))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let (Some(method), Some(target)) = (words.first(), words.get(1)) else {
        return Err(Refusal::syntax("The request line of a part is not valid."));
    };
    let (headers, body) = head(rest);
    let mut map = HeaderMap::new();
    for (name, value) in &headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            map.append(name, value);
        }
    }
    // Absolute addresses are cut down to their path.
    let whole = match target.starts_with('/') || target.contains("://") {
        true => (*target).to_owned(),
        false => format!("{base}/{target}"),
    };
    let path = match whole
        .split('?')
        .next()
        .and_then(|path| path.split_once("://"))
    {
        Some((scheme, _)) => {
            let rest = &whole[scheme.len() + 3..];
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        None => whole.as_str(),
    };
    let body = body.trim_end().to_owned();
    Ok(Inner {
        content_id: value(&outer, "content-id").map(str::to_owned),
        target: path.to_owned(),
        request: Request::new(method, path, map, body.into(), Host::Instance),
    })
}

fn write(out: &mut String, content_id: Option<&str>, reply: &Reply) {
    out.push_str("Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n");
    if let Some(id) = content_id {
        out.push_str(&format!("Content-ID: {id}\r\n"));
    }
    let status = axum::http::StatusCode::from_u16(reply.status).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    out.push_str(&format!("\r\nHTTP/1.1 {} {reason}\r\n", reply.status));
    if reply.status >= 400 {
        out.push_str(&format!("REQ_ID: {}\r\n", Uuid::new_v4()));
    }
    if let Some(kind) = reply.content_type {
        out.push_str(&format!("Content-Type: {kind}\r\n"));
    }
    for (name, value) in &reply.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
        if *name == "OData-EntityId" {
            out.push_str(&format!("Location: {value}\r\n"));
        }
    }
    out.push_str("\r\n");
    out.push_str(&String::from_utf8_lossy(&reply.whole()));
    out.push_str("\r\n");
}
