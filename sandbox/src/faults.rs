//! Faults on demand: which request gets which, and what each does to an answer.
//! Rules are held in order and used up one by one, so that a test meets the same fault each time.

mod table;

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

use crate::hold::Point;
use crate::salesforce::errors::{ApiError, JSON, Reply};

/// Depth of the `deep` fault unless `bytes` says otherwise.
const DEPTH: usize = 100_000;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Another status, with or without `Retry-After`.
    Status,
    /// The connection drops after `bytes` bytes of the body.
    Cut,
    /// The answer comes `ms` milliseconds later.
    Slow,
    /// No answer until a reset or the end of the server.
    Hang,
    /// The request is carried out, then the connection drops without an answer.
    LoseReply,
    /// The JSON ends half-way, with a fitting content length.
    Malformed,
    /// 401, and the token is really ended.
    Unauthorized,
    /// `nextRecordsUrl`, `resultUrl` or `contentUrl` leads to another host.
    ForeignNextLink,
    /// 302 to another host.
    Redirect,
    /// `bytes` records (1 unless given) are missing from the page; `totalSize` stays.
    ShortPage,
    /// A text value holds bytes that are no UTF-8.
    BadUtf8,
    /// A text value holds `\u0000`.
    Nul,
    /// Values of the first record have other types than described.
    WrongTypes,
    /// Very deep nesting.
    Deep,
    /// A body without end.
    Huge,
    /// 200 with an HTML page.
    Html,
    /// 200 with nothing.
    Empty,
    /// XML with entities that grow without bound.
    EntityBomb,
    /// The right bytes under another charset; SOAP only.
    WrongCharset,
    /// The request waits for `POST /release`, as `at` says.
    Hold,
}

impl Kind {
    /// The name in the admin interface.
    pub fn name(self) -> String {
        match serde_json::to_value(self) {
            Ok(Value::String(name)) => name,
            _ => String::new(),
        }
    }
}

/// A rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Occurs in path and query, encoded or decoded; empty fits every request.
    #[serde(default)]
    pub path: String,
    /// Fits every method when absent.
    pub method: Option<String>,
    pub kind: Kind,
    /// How often it strikes: once unless given; 0 for ever.
    pub times: Option<u64>,
    /// Matching requests that pass first.
    #[serde(default)]
    pub after: u64,
    /// For `status`: the status, 503 unless given.
    pub status: Option<u16>,
    /// For `status`: `Retry-After` in seconds.
    pub retry_after: Option<u64>,
    /// For `status`: `json`, `html` or `empty`; the usual form of that status unless given.
    pub body: Option<String>,
    /// For `status` with a JSON body.
    pub error_code: Option<String>,
    /// For `status` with a JSON body.
    pub message: Option<String>,
    /// For `cut`: body bytes sent; for `short_page`: records dropped; for `deep`: levels.
    pub bytes: Option<usize>,
    /// For `slow`: milliseconds; for the SOAP rate limit: how long to wait.
    pub ms: Option<u64>,
    /// For `hold`: where, `before` unless given.
    pub at: Option<Point>,
    /// For `hold` before: whether a released request is carried out, true unless given.
    pub apply_on_release: Option<bool>,
    /// For `redirect` and `foreign_next_link`: where to, `https://evil.example` unless given.
    pub host: Option<String>,
}

/// The rules in force.
#[derive(Default)]
pub struct Faults {
    rules: Mutex<Vec<Fault>>,
}

impl Faults {
    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule behind the others.
    pub fn add(&self, mut fault: Fault) {
        fault.times = match fault.times {
            None => Some(1),
            Some(0) => None,
            times => times,
        };
        self.rules().push(fault);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// The rules not used up.
    pub fn list(&self) -> Vec<Fault> {
        self.rules().clone()
    }

    /// The fault a request meets: the first rule that fits and has no requests left to let pass.
    pub fn take(&self, method: &str, targets: [&str; 2]) -> Option<Fault> {
        let mut rules = self.rules();
        let mut struck = None;
        for (place, rule) in rules.iter_mut().enumerate() {
            let fits = targets.iter().any(|target| target.contains(&rule.path))
                && rule
                    .method
                    .as_deref()
                    .is_none_or(|m| m.eq_ignore_ascii_case(method));
            if !fits {
                continue;
            }
            if rule.after > 0 {
                rule.after -= 1;
                continue;
            }
            let fault = rule.clone();
            let used_up = match &mut rule.times {
                Some(times) => {
                    *times -= 1;
                    *times == 0
                }
                None => false,
            };
            struck = Some((place, used_up, fault));
            break;
        }
        let (place, used_up, fault) = struck?;
        if used_up {
            rules.remove(place);
        }
        Some(fault)
    }
}

impl Fault {
    fn host(&self) -> &str {
        self.host.as_deref().unwrap_or("https://evil.example")
    }

    /// The answer of a fault that stands in for the real one; `None` for those that change it.
    pub fn instead(&self, path: &str) -> Option<Reply> {
        let page = "<html><head><title>Salesforce</title></head><body>Stand by. We are setting things up.</body></html>";
        Some(match self.kind {
            Kind::Status => self.status_reply(page),
            Kind::Redirect => Reply::bare(302).header("Location", format!("{}{path}", self.host())),
            Kind::Html => Reply::typed(200, "text/html; charset=UTF-8", page),
            Kind::Empty => Reply::json(200, Bytes::new()),
            Kind::EntityBomb => Reply::typed(200, "text/xml; charset=UTF-8", entity_bomb()),
            Kind::Unauthorized => ApiError::session().into(),
            Kind::Deep => {
                let depth = self.bytes.unwrap_or(DEPTH);
                let body = format!(
                    "{{\"totalSize\":1,\"done\":true,\"records\":[{{\"attributes\":{{\"type\":\"Account\"}},\"Name\":{}1{}}}]}}",
                    "{\"a\":".repeat(depth),
                    "}".repeat(depth)
                );
                Reply::json(200, body)
            }
            _ => return None,
        })
    }

    fn status_reply(&self, page: &'static str) -> Reply {
        let status = self.status.unwrap_or(503);
        let usual = match status {
            406 | 420 => "empty",
            414 | 429 | 431 | 502..=504 => "html",
            _ => "json",
        };
        let wanted = match self.error_code {
            Some(_) => "json",
            None => usual,
        };
        let reply = match self.body.as_deref().unwrap_or(wanted) {
            "html" => Reply::typed(status, "text/html; charset=UTF-8", page),
            "empty" => Reply::bare(status),
            _ => {
                let code = match status {
                    401 => "INVALID_SESSION_ID",
                    403 => "REQUEST_LIMIT_EXCEEDED",
                    404 => "NOT_FOUND",
                    502..=504 => "SERVER_UNAVAILABLE",
                    429 => "REQUEST_LIMIT_EXCEEDED",
                    500.. => "UNKNOWN_EXCEPTION",
                    _ => "INVALID_OPERATION",
                };
                let code = self.error_code.as_deref().unwrap_or(code);
                let message = self.message.as_deref().unwrap_or("fault on demand");
                ApiError::new(status, code, message).into()
            }
        };
        match self.retry_after {
            Some(seconds) => reply.header("Retry-After", seconds.to_string()),
            None => reply,
        }
    }

    /// Changes a real answer; one without a place to change stays as it is.
    pub fn distort(&self, reply: &mut Reply) {
        let body = reply.whole();
        reply.lead = Bytes::new();
        let is_csv = reply.content_type == Some("text/csv");
        let changed = match self.kind {
            Kind::Malformed => Some(body.slice(..body.len() / 2)),
            _ if is_csv => table::distort(self.kind, &body, self.bytes.unwrap_or(1)),
            Kind::ForeignNextLink => foreign_link(&body, self.host()),
            Kind::ShortPage => short_page(&body, self.bytes.unwrap_or(1)),
            Kind::BadUtf8 => insert(&body, b"\xff\xfe"),
            Kind::Nul => insert(&body, b"\\u0000"),
            Kind::WrongTypes => wrong_types(&body),
            _ => None,
        };
        if changed.is_some() {
            reply.gzip = None;
        }
        reply.body = changed.unwrap_or(body);
    }
}

/// A small document whose entities grow without bound.
pub fn entity_bomb() -> String {
    let mut out = String::from("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x0 \"boom\">");
    for level in 1..30 {
        let below = level - 1;
        out.push_str(&format!(
            "<!ENTITY x{level} \"&x{below};&x{below};&x{below};&x{below};\">"
        ));
    }
    out.push_str("]><a>&x29;</a>");
    out
}

/// An endless page, piece by piece.
pub fn huge_piece(first: bool) -> Bytes {
    let record = "{\"attributes\":{\"type\":\"Account\",\"url\":\"/services/data/v66.0/sobjects/Account/0015x00000000001AA\"},\"Id\":\"0015x00000000001AA\",\"Name\":\"more and more\"},";
    let start = match first {
        true => "{\"totalSize\":1,\"done\":true,\"records\":[",
        false => "",
    };
    Bytes::from(format!("{start}{}", record.repeat(400)))
}

/// The content type of the endless page.
pub const HUGE_TYPE: &str = JSON;

fn foreign_link(body: &[u8], host: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let at = ["nextRecordsUrl", "resultUrl", "contentUrl"]
        .iter()
        .find_map(|name| {
            let marker = format!("\"{name}\":\"");
            Some(text.find(&marker)? + marker.len())
        })?;
    let slash = match text[at..].starts_with('/') {
        true => "",
        false => "/",
    };
    Some(Bytes::from(format!(
        "{}{host}{slash}{}",
        &text[..at],
        &text[at..]
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    total_size: i64,
    done: bool,
    next_records_url: Option<String>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

fn short_page(body: &[u8], dropped: usize) -> Option<Bytes> {
    let page: Page<'_> = serde_json::from_slice(body).ok()?;
    let kept = page.records.len().saturating_sub(dropped);
    let records: Vec<&str> = page.records[..kept].iter().map(|r| r.get()).collect();
    let next = page.next_records_url.map_or(String::new(), |url| {
        format!("\"nextRecordsUrl\":\"{url}\",")
    });
    Some(Bytes::from(format!(
        "{{\"totalSize\":{},\"done\":{},{next}\"records\":[{}]}}",
        page.total_size,
        page.done,
        records.join(",")
    )))
}

/// Puts bytes at the start of the first plain text value: no address, type, id or date.
fn insert(body: &[u8], bytes: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let from = text.find("\"records\":").unwrap_or(0);
    let at = text[from..]
        .match_indices("\":\"")
        .map(|(at, _)| from + at)
        .find(|&at| {
            let key = text[..at].rsplit('"').next().unwrap_or_default();
            let value = &text[at + 3..];
            let date = value.as_bytes().first().is_some_and(u8::is_ascii_digit);
            !matches!(key, "type" | "url" | "nextRecordsUrl") && !key.ends_with("Id") && !date
        })?
        + 3;
    Some(Bytes::from([&body[..at], bytes, &body[at..]].concat()))
}

fn wrong_types(body: &[u8]) -> Option<Bytes> {
    let mut value: Value = serde_json::from_slice(body).ok()?;
    let record = value.get_mut("records")?.get_mut(0)?.as_object_mut()?;
    for (name, value) in record.iter_mut() {
        if name == "attributes" || name == "Id" {
            continue;
        }
        *value = match value {
            Value::Number(_) => json!("twelve"),
            Value::Bool(_) => json!("perhaps"),
            Value::String(text) => json!({"unexpected": [text]}),
            Value::Object(_) => json!(17),
            _ => json!([null]),
        };
    }
    Some(Bytes::from(value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Fault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_rule_lets_pass_then_strikes_then_is_gone() {
        let faults = Faults::default();
        faults.add(rule(
            r#"{"path":"/query","kind":"slow","after":1,"times":2}"#,
        ));
        let hit = |target: &str| faults.take("GET", [target, target]).is_some();
        assert!(!hit("/other"));
        assert_eq!(
            [hit("/query"), hit("/query"), hit("/query"), hit("/query")],
            [false, true, true, false]
        );
        assert!(faults.list().is_empty());
        faults.add(rule(r#"{"kind":"slow","times":0,"method":"post"}"#));
        assert!(faults.take("GET", ["/", "/"]).is_none());
        assert!((0..5).all(|_| faults.take("POST", ["/", "/"]).is_some()));
    }

    #[test]
    fn pages_are_distorted_where_it_hurts() {
        let page = br#"{"totalSize":2,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g-2","records":[{"attributes":{"type":"A","url":"/u"},"Id":"001","Date":"2024-01-01","Amount":20000.00,"Name":"x"},{"Id":"002"}]}"#;
        let distorted = |kind: &str| {
            let mut reply = Reply::json(200, Bytes::from_static(page));
            rule(&format!(r#"{{"kind":"{kind}"}}"#)).distort(&mut reply);
            reply.body.to_vec()
        };
        let text = |kind: &str| String::from_utf8(distorted(kind)).unwrap();
        assert!(
            text("foreign_next_link")
                .contains("\"https://evil.example/services/data/v66.0/query/01g-2\"")
        );
        let short = text("short_page");
        assert!(
            short.contains("\"totalSize\":2")
                && !short.contains("002")
                && short.contains("20000.00")
        );
        assert!(text("nul").contains(r#""Name":"\u0000x""#));
        assert!(distorted("bad_utf8").windows(3).any(|w| w == b"\"\xff\xfe"));
        assert!(text("wrong_types").contains(r#""Amount":"twelve""#));
        assert!(serde_json::from_slice::<Value>(&distorted("malformed")).is_err());
    }
}
