//! Faults that change an answer of this face: where its pages keep their rows and their links.

use axum::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::faults::{Fault, Kind};
use crate::salesforce::errors::Reply;

/// Changes a real answer; one without a place to change stays as it is. False for the faults that are the
/// same on both faces.
pub fn distort(fault: &Fault, reply: &mut Reply) -> bool {
    let host = fault.host.as_deref().unwrap_or("https://evil.example");
    let changed = match fault.kind {
        Kind::ForeignNextLink => foreign_link(&reply.body, host),
        Kind::ShortPage => short_page(&reply.body, fault.bytes.unwrap_or(1)),
        Kind::BadUtf8 => insert(&reply.body, b"\xff\xfe"),
        Kind::Nul => insert(&reply.body, b"\\u0000"),
        Kind::WrongTypes => wrong_types(&reply.body),
        _ => return false,
    };
    if let Some(body) = changed {
        reply.body = body;
        reply.gzip = None;
    }
    true
}

fn foreign_link(body: &[u8], host: &str) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let at = ["@odata.nextLink", "@odata.deltaLink"]
        .iter()
        .find_map(|name| {
            let marker = format!("\"{name}\":\"");
            Some(text.find(&marker)? + marker.len())
        })?;
    let path = at + text[at..].find("/api/data")?;
    Some(Bytes::from(format!(
        "{}{host}{}",
        &text[..at],
        &text[path..]
    )))
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
}

fn short_page(body: &[u8], dropped: usize) -> Option<Bytes> {
    let page: Page<'_> = serde_json::from_slice(body).ok()?;
    let kept = page.value.len().saturating_sub(dropped);
    let rows: Vec<&str> = page.value[..kept].iter().map(|row| row.get()).collect();
    let next = page.next.map_or(String::new(), |next| {
        format!(",\"@odata.nextLink\":{}", json!(next))
    });
    Some(Bytes::from(format!(
        "{{\"@odata.context\":{},\"value\":[{}]{next}}}",
        json!(page.context),
        rows.join(",")
    )))
}

/// Puts bytes at the start of the first text of a row that is no annotation, identifier or moment.
fn insert(body: &[u8], bytes: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let from = text.find("\"value\":").unwrap_or(0);
    let at = text[from..]
        .match_indices("\":\"")
        .map(|(at, _)| from + at)
        .find(|&at| {
            let key = text[..at].rsplit('"').next().unwrap_or_default();
            let value = &text[at + 3..];
            let digit = value.as_bytes().first().is_some_and(u8::is_ascii_digit);
            !key.contains('@') && !key.ends_with("id") && !digit
        })?
        + 3;
    Some(Bytes::from([&body[..at], bytes, &body[at..]].concat()))
}

fn wrong_types(body: &[u8]) -> Option<Bytes> {
    let mut page: Value = serde_json::from_slice(body).ok()?;
    let row = page.get_mut("value")?.get_mut(0)?.as_object_mut()?;
    for (name, value) in row.iter_mut() {
        if name.contains('@') || name.ends_with("id") {
            continue;
        }
        *value = match value {
            Value::Number(_) => json!("twelve"),
            Value::Bool(_) => json!("perhaps"),
            Value::String(text) => json!({"unexpected": [text]}),
            _ => json!([null]),
        };
    }
    Some(Bytes::from(page.to_string()))
}
