//! A request as the faces see it: read off the wire, decoded, free of HTTP library types.
//! The host tells which server the client believes it talks to: sign-in or instance.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::HeaderMap;

/// The two names this server answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// `localhost`: stands for `login.salesforce.com`.
    Login,
    /// `127.0.0.1` or `[::1]`: stands for the instance and its My Domain name.
    Instance,
}

/// A request, its body read whole.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Percent-decoded path without a trailing slash.
    pub path: String,
    /// The parts of the path between slashes, each decoded: a value in it may hold slashes itself.
    pub segments: Vec<String>,
    /// Decoded query parameters in order.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub host: Host,
    /// What was agreed on this connection; the parts of a batch have one of their own.
    pub connection: Arc<Connection>,
}

/// A connection's sign-in: NTLM belongs to the connection, not to a request.
#[derive(Debug, Default)]
pub struct Connection {
    /// The challenge sent last, and the user that answered one.
    pub ntlm: Mutex<(Option<[u8; 8]>, Option<usize>)>,
}

impl Request {
    /// Builds a request from a path with an optional query string.
    pub fn new(method: &str, target: &str, headers: HeaderMap, body: Bytes, host: Host) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let segments = path
            .trim_end_matches('/')
            .split('/')
            .skip(1)
            .map(|part| decode(part, false))
            .collect();
        let path = decode(path, false);
        let path = match path.trim_end_matches('/') {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        Self {
            method: method.to_owned(),
            path,
            segments,
            query: pairs(query),
            headers,
            body,
            host,
            connection: Arc::default(),
        }
    }

    /// A query parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Splits and decodes `a=b&c=d`.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent-encoding; `plus` turns `+` into a space, as in a query string.
fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (None, b'+') if plus => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_is_a_space_in_the_query_only() {
        let request = Request::new(
            "GET",
            "/a+b/%43/?q=SELECT+Id%2BName%20x&z",
            HeaderMap::new(),
            Bytes::new(),
            Host::Instance,
        );
        assert_eq!(request.path, "/a+b/C");
        assert_eq!(request.segments, ["a+b", "C"]);
        assert_eq!(request.parameter("q"), Some("SELECT Id+Name x"));
        assert_eq!(request.parameter("z"), Some(""));
        assert_eq!(decode("%zz%4", false), "%zz%4");
    }
}
