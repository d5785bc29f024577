//! What the server's fault rules mean to the Organization service and its sign-in: XML where the Web API
//! speaks JSON.

use axum::body::Bytes;

use super::envelope::{self, Fault, Version};
use crate::dynamics::errors::{Refusal, SIGN_IN_PAGE};
use crate::faults::{Fault as Rule, Kind, entity_bomb};
use crate::salesforce::errors::Reply;

const DEPTH: usize = 100_000;

/// The answer of a fault that stands in for the real one, in the version of the endpoint; `None` for those that change it.
pub fn instead(rule: &Rule, version: Version) -> Option<Reply> {
    let xml = version.content_type();
    Some(match rule.kind {
        Kind::Status => status(rule, version),
        Kind::Html => Reply::typed(200, "text/html; charset=utf-8", SIGN_IN_PAGE),
        Kind::Empty => Reply::typed(200, xml, ""),
        Kind::Deep => {
            let depth = rule.bytes.unwrap_or(DEPTH);
            let body = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
            envelope::reply(version, "", None, &body)
        }
        Kind::EntityBomb => Reply::typed(200, xml, entity_bomb()),
        _ => return None,
    })
}

/// A status with HTML, or a fault when a code or a message is given.
fn status(rule: &Rule, version: Version) -> Reply {
    let status = rule.status.unwrap_or(503);
    let mut reply = match (&rule.error_code, status) {
        (None, status) if status != 429 && rule.message.is_none() => match rule.body.as_deref() {
            Some("empty") => Reply::bare(status),
            _ => Reply::typed(
                status,
                "text/html; charset=utf-8",
                "<html><body>Service Unavailable</body></html>",
            ),
        },
        (code, _) => {
            let code = code.clone().unwrap_or_else(|| match status {
                429 => "0x80072322".to_owned(),
                _ => "0x80040216".to_owned(),
            });
            let message = rule.message.as_deref().unwrap_or("fault on demand");
            let mut refusal = Refusal::new(status, code, message);
            refusal.retry_after = rule.retry_after;
            let mut reply = Fault::Organization(refusal).reply(version, "Execute", None);
            reply.status = match status {
                // Limits come as faults like any other.
                429 => 500,
                status => status,
            };
            reply
        }
    };
    if let Some(seconds) = rule.retry_after {
        reply = reply.header("Retry-After", seconds.to_string());
    }
    reply
}

/// Changes a real answer; one without a place to change stays as it is. False for the faults that are the
/// same on all faces.
pub fn distort(rule: &Rule, reply: &mut Reply) -> bool {
    let body = reply.whole();
    let changed = match rule.kind {
        Kind::ShortPage => short(&body, rule.bytes.unwrap_or(1)),
        Kind::BadUtf8 => insert(&body, b"\xff\xfe"),
        Kind::Nul => insert(&body, b"&#0;"),
        Kind::WrongTypes => mistyped(&body),
        Kind::WrongCharset => {
            reply.content_type = Some("text/xml; charset=UTF-16");
            None
        }
        _ => return false,
    };
    if let Some(changed) = changed {
        reply.lead = Bytes::new();
        reply.body = changed;
    }
    true
}

fn short(body: &[u8], dropped: usize) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let places: Vec<usize> = text.match_indices("<b:Entity>").map(|(at, _)| at).collect();
    let cut = *places.get(places.len().checked_sub(dropped)?)?;
    let end = text.rfind("</b:Entities>")?;
    Some(Bytes::from(format!("{}{}", &text[..cut], &text[end..])))
}

/// Puts bytes at the start of the first text of a row.
fn insert(body: &[u8], bytes: &[u8]) -> Option<Bytes> {
    const MARK: &str = "<c:value i:type=\"x:string\">";
    let text = std::str::from_utf8(body).ok()?;
    let at = text.find(MARK)? + MARK.len();
    Some(Bytes::from([&body[..at], bytes, &body[at..]].concat()))
}

/// Values of the first row become a word.
fn mistyped(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let end = text.find("</b:Entity>")?;
    let mut row = text[..end].to_owned();
    for kind in ["x:int", "x:long", "x:decimal", "x:boolean", "x:dateTime"] {
        let mark = format!("i:type=\"{kind}\">");
        if let Some(at) = row.find(&mark) {
            let from = at + mark.len();
            let to = from + row[from..].find('<')?;
            row.replace_range(from..to, "twelve");
        }
    }
    Some(Bytes::from(format!("{row}{}", &text[end..])))
}
