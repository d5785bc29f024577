//! What the server's fault rules mean on this face: XML where the other faces speak JSON.

use axum::body::Bytes;

use super::envelope::{self, Fault, XML};
use crate::faults::{Fault as Rule, Kind, entity_bomb};
use crate::salesforce::errors::Reply;

const PAGE: &str = "<html><head><title>Oracle CRM On Demand</title></head><body>The service is under maintenance.</body></html>";
const DEPTH: usize = 100_000;

/// The answer of a fault that stands in for the real one; `None` for those that change it.
pub fn instead(rule: &Rule) -> Option<Reply> {
    Some(match rule.kind {
        Kind::Status => status(rule),
        Kind::Html => Reply::typed(200, "text/html; charset=UTF-8", PAGE),
        Kind::Empty => Reply::typed(200, XML, ""),
        Kind::Deep => {
            let depth = rule.bytes.unwrap_or(DEPTH);
            envelope::reply(&format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth)))
        }
        Kind::EntityBomb => Reply::typed(200, XML, entity_bomb()),
        Kind::Redirect => {
            let host = rule.host.as_deref().unwrap_or("https://evil.example");
            Reply::bare(302).header("Location", format!("{host}/Services/Integration"))
        }
        _ => return None,
    })
}

/// A status with HTML, or a fault when a code is given: shape B for the front end's codes, A for others.
fn status(rule: &Rule) -> Reply {
    let status = rule.status.unwrap_or(503);
    let message = rule.message.as_deref().unwrap_or("fault on demand");
    let reply = match rule.error_code.as_deref() {
        Some(code @ "SBL-ODU-01005") => {
            let wait_ms = rule.ms.and_then(|ms| i64::try_from(ms).ok()).or(Some(40));
            Fault::FrontEnd {
                code: code.to_owned(),
                message: message.to_owned(),
                wait_ms,
            }
            .reply(status, false)
        }
        Some(code) if code.starts_with("SBL-ODU") || code.starts_with("SBL-SBL-7") => {
            Fault::front(code, message).reply(status, false)
        }
        Some(code) => Fault::one(code, message).reply(status, false),
        None if rule.body.as_deref() == Some("empty") => Reply::bare(status),
        None => Reply::typed(status, "text/html; charset=UTF-8", PAGE),
    };
    match rule.retry_after {
        Some(seconds) => reply.header("Retry-After", seconds.to_string()),
        None => reply,
    }
}

/// Changes a real answer; one without a place to change stays as it is.
pub fn distort(rule: &Rule, reply: &mut Reply) {
    let body = reply.body.clone();
    let changed = match rule.kind {
        Kind::Malformed => Some(body.slice(..body.len() / 2)),
        Kind::ShortPage => short(&body, rule.bytes.unwrap_or(1)),
        Kind::BadUtf8 => insert(&body, b"\xff\xfe"),
        Kind::Nul => insert(&body, b"&#0;"),
        Kind::WrongTypes => mistyped(&body),
        Kind::WrongCharset => {
            reply.content_type = Some("text/xml; charset=UTF-16");
            None
        }
        _ => None,
    };
    if let Some(changed) = changed {
        reply.body = changed;
    }
}

/// Where the records of a page begin and end.
fn records(text: &str) -> Option<(usize, usize)> {
    let list = text.find("<ListOf")?;
    let from = list + text[list..].find('>')? + 1;
    let to = text[from..].find("</ListOf")? + from;
    (to > from).then_some((from, to))
}

fn short(body: &[u8], dropped: usize) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let (from, to) = records(text)?;
    let name = text[from..].strip_prefix('<')?.split('>').next()?;
    let start = format!("<{name}>");
    let places: Vec<usize> = text[from..to]
        .match_indices(&start)
        .map(|(at, _)| from + at)
        .collect();
    let cut = *places.get(places.len().saturating_sub(dropped))?;
    Some(Bytes::from(format!("{}{}", &text[..cut], &text[to..])))
}

/// Puts bytes before the first closing tag of a value in the records.
fn insert(body: &[u8], bytes: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let (from, to) = records(text)?;
    let at = text[from..to].rfind("</")?;
    let at = text[from..from + at].rfind("</")? + from;
    Some(Bytes::from([&body[..at], bytes, &body[at..]].concat()))
}

fn mistyped(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let mut out = text.to_owned();
    for tag in [
        "ModId",
        "ModifiedDate",
        "CreatedDate",
        "CustomBoolean0",
        "CustomInteger0",
        "CustomNumber0",
    ] {
        let (start, end) = (format!("<{tag}>"), format!("</{tag}>"));
        if let Some(at) = out.find(&start) {
            let from = at + start.len();
            let to = from + out[from..].find(&end)?;
            out.replace_range(from..to, "twelve");
        }
    }
    Some(Bytes::from(out))
}

/// An endless answer, piece by piece.
pub fn endless_piece(first: bool) -> Bytes {
    let record =
        "<Contact><Id>1QA2-34ISOM</Id><ContactLastName>more and more</ContactLastName></Contact>";
    let start = match first {
        true => {
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><SOAP-ENV:Envelope xmlns:SOAP-ENV=\"http://schemas.xmlsoap.org/soap/envelope/\"><SOAP-ENV:Body><ns:ContactQueryPage_Output xmlns:ns=\"urn:crmondemand/ws/ecbs/contact/\"><ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Data\" lastpage=\"true\">"
        }
        false => "",
    };
    Bytes::from(format!("{start}{}", record.repeat(400)))
}
