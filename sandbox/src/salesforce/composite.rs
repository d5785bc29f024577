//! Several requests in one: `composite` with references between them, and `composite/batch`.
//! Section 8.3 of the protocol page.

use std::collections::HashMap;

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::errors::{ApiError, Reply};
use crate::request::{Host, Request};

/// Most subrequests of one call, and most of those that are queries or collections.
const MAX_PARTS: usize = 25;
const MAX_QUERIES: usize = 5;

/// A composite call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Composite {
    /// One part that fails takes the others back.
    #[serde(default)]
    pub all_or_none: bool,
    composite_request: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    method: String,
    url: String,
    reference_id: String,
    body: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    halt_on_error: bool,
    batch_requests: Vec<BatchPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchPart {
    method: String,
    url: String,
    rich_input: Option<Box<RawValue>>,
}

fn parse<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad("JSON_PARSER_ERROR", error.to_string()))
}

fn is_query(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or(url);
    path.contains("/query") || path.contains("/composite/sobjects")
}

fn check(urls: &[&str]) -> Result<(), ApiError> {
    let limit = |what: &str, most: usize| {
        ApiError::bad(
            "LIMIT_EXCEEDED",
            format!("the number of {what} must not exceed {most}"),
        )
    };
    if urls.is_empty() || urls.len() > MAX_PARTS {
        return Err(limit("subrequests", MAX_PARTS));
    }
    if urls.iter().filter(|url| is_query(url)).count() > MAX_QUERIES {
        return Err(limit("query and collection subrequests", MAX_QUERIES));
    }
    Ok(())
}

/// Builds a subrequest with the outer request's headers but no body type of its own.
fn subrequest(method: &str, url: &str, headers: &HeaderMap, body: String) -> Request {
    Request::new(method, url, headers.clone(), body.into(), Host::Instance)
}

/// The body as it stands, or null when there is none.
fn raw(reply: &Reply) -> Box<RawValue> {
    serde_json::from_slice(&reply.whole())
        .or_else(|_| serde_json::value::to_raw_value(&Value::Null))
        .unwrap_or_default()
}

impl Composite {
    /// Reads the call.
    ///
    /// # Errors
    /// 400 for a bad body, too many parts, a reference id used twice or a bad address.
    pub fn parse(request: &Request) -> Result<Self, ApiError> {
        let call: Self = parse(&request.body)?;
        let parts = &call.composite_request;
        check(&parts.iter().map(|p| p.url.as_str()).collect::<Vec<_>>())?;
        for (at, part) in parts.iter().enumerate() {
            if parts[..at]
                .iter()
                .any(|p| p.reference_id == part.reference_id)
            {
                return Err(ApiError::bad(
                    "JSON_PARSER_ERROR",
                    format!("reference id {} is used twice", part.reference_id),
                ));
            }
            if !part.url.starts_with("/services/data/") {
                return Err(ApiError::bad(
                    "JSON_PARSER_ERROR",
                    format!("bad subrequest url: {}", part.url),
                ));
            }
        }
        Ok(call)
    }
}

/// `POST {V}/composite`: the answer, and whether a part failed.
pub fn composite(
    call: &Composite,
    headers: &HeaderMap,
    answer: &dyn Fn(&Request) -> Reply,
) -> (Reply, bool) {
    let mut bodies: HashMap<String, Value> = HashMap::new();
    let mut answers: Vec<(u16, Box<RawValue>, Value, String)> = Vec::new();
    let mut failed = false;
    for part in &call.composite_request {
        let body = part.body.as_ref().map_or("", |body| body.get());
        let filled = resolve(&part.url, &bodies, str::to_owned)
            .and_then(|url| resolve(body, &bodies, in_json).map(|body| (url, body)));
        let reply = match filled {
            Ok((url, body)) => answer(&subrequest(&part.method, &url, headers, body)),
            Err(error) => error.into(),
        };
        failed |= reply.status >= 400;
        let headers: serde_json::Map<String, Value> = reply
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
            .collect();
        let body = raw(&reply);
        let tree = serde_json::from_str(body.get()).unwrap_or(Value::Null);
        bodies.insert(part.reference_id.clone(), tree);
        answers.push((
            reply.status,
            body,
            headers.into(),
            part.reference_id.clone(),
        ));
    }
    let halted = json!([{
        "errorCode": "PROCESSING_HALTED",
        "message": "The transaction was rolled back since another operation in the same transaction failed.",
    }]);
    let mut out = String::from("{\"compositeResponse\":[");
    for (at, (status, body, headers, reference)) in answers.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        let rolled_back = call.all_or_none && failed && *status < 400;
        let (status, body) = match rolled_back {
            true => (400, halted.to_string()),
            false => (*status, body.get().to_owned()),
        };
        out.push_str(&format!(
            "{{\"body\":{body},\"httpHeaders\":{headers},\"httpStatusCode\":{status},\"referenceId\":{}}}",
            Value::from(reference.as_str())
        ));
    }
    out.push_str("]}");
    (Reply::json(200, out), failed)
}

/// Text as it stands inside a JSON string.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Puts values of earlier answers in place of `@{reference.path[0].Field}`.
fn resolve(
    text: &str,
    bodies: &HashMap<String, Value>,
    written: impl Fn(&str) -> String,
) -> Result<String, ApiError> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("@{") {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let bad = || {
            ApiError::bad(
                "PROCESSING_HALTED",
                "Invalid reference specified. No value found",
            )
        };
        let end = inner.find('}').ok_or_else(bad)?;
        let (reference, path) = inner[..end].split_once('.').ok_or_else(bad)?;
        let pointer: String = path
            .replace('[', ".")
            .replace(']', "")
            .split('.')
            .map(|step| format!("/{step}"))
            .collect();
        let value = bodies
            .get(reference)
            .and_then(|body| body.pointer(&pointer))
            .ok_or_else(bad)?;
        match value {
            Value::String(text) => out.push_str(&written(text)),
            other => out.push_str(&other.to_string()),
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// `POST {V}/composite/batch`.
///
/// # Errors
/// 400 for a bad body or too many parts.
pub fn batch(request: &Request, answer: &dyn Fn(&Request) -> Reply) -> Result<Reply, ApiError> {
    let call: Batch = parse(&request.body)?;
    let urls: Vec<&str> = call.batch_requests.iter().map(|p| p.url.as_str()).collect();
    check(&urls)?;
    let mut failed = false;
    let mut parts = Vec::new();
    for part in &call.batch_requests {
        if failed && call.halt_on_error {
            parts.push(
                "{\"statusCode\":412,\"result\":[{\"errorCode\":\"BATCH_PROCESSING_HALTED\",\"message\":\"Batch processing halted per request\"}]}"
                    .to_owned(),
            );
            continue;
        }
        let url = format!("/services/data/{}", part.url.trim_start_matches('/'));
        let reply = answer(&subrequest(
            &part.method,
            &url,
            &request.headers,
            part.rich_input
                .as_ref()
                .map_or_else(String::new, |body| body.get().to_owned()),
        ));
        failed |= reply.status >= 400;
        parts.push(format!(
            "{{\"statusCode\":{},\"result\":{}}}",
            reply.status,
            raw(&reply).get()
        ));
    }
    Ok(Reply::json(
        200,
        format!(
            "{{\"hasErrors\":{failed},\"results\":[{}]}}",
            parts.join(",")
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_reach_into_earlier_answers() {
        let bodies = HashMap::from([(
            "one".to_owned(),
            json!({"records": [{"Id": "001"}], "n": 3}),
        )]);
        let check = |text: &str| resolve(text, &bodies, str::to_owned).ok();
        assert_eq!(
            check("/a/@{one.records[0].Id}/@{one.n}").as_deref(),
            Some("/a/001/3")
        );
        assert_eq!(check("/a/@{two.n}"), None);
        assert_eq!(check("/a/@{one.n"), None);
    }
}
