//! Several requests in one call: `$batch` as multipart bodies, written and read (Dynamics page, section 7.4).
//!
//! Each part carries a whole request or reply of its own. Parts are carried out one after the other, each by itself.

use crate::error::{self, Fault};
use crm_core::{Error, ErrorKind, Result};
use crm_http::StatusCode;
use crm_http::header::{HeaderName, HeaderValue};
use std::fmt::Write;

/// What the body of a batch is. The delimiter stands at the beginning of a line, and nothing in a part begins a line
/// like that: addresses are encoded, and JSON is written without line ends.
pub(crate) const CONTENT_TYPE: &str = "multipart/mixed; boundary=batch_crm_fdw";
const DELIMITER: &str = "--batch_crm_fdw";
/// Header and value that ask for the replies behind one that failed, too.
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(crate) const GO_ON: HeaderValue = HeaderValue::from_static("odata.continue-on-error");
/// Requests that one batch takes.
pub(crate) const LARGEST_BATCH: usize = 1_000;
/// Change sets lie within a batch, and nothing lies within them.
const DEEPEST: usize = 2;

/// One request of a batch.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Its method.
    pub method: &'static str,
    /// Its path, from the root of the host, and query, encoded.
    pub target: String,
    /// Headers of its own; those of the batch do not hold for it.
    pub headers: Vec<(&'static str, &'static str)>,
    /// What it prefers, as the header of that name says.
    pub prefer: Option<String>,
    /// Its body, JSON without line ends.
    pub body: Option<String>,
}

impl Part {
    /// A request that reads.
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self {
            method: "GET",
            target: target.into(),
            headers: Vec::new(),
            prefer: None,
            body: None,
        }
    }

    /// The same with these preferences.
    pub(crate) fn preferring(mut self, preferences: Option<&str>) -> Self {
        self.prefer = preferences.map(str::to_owned);
        self
    }

    /// Appends it to a batch.
    pub(crate) fn push_to(&self, batch: &mut String) {
        batch.push_str(DELIMITER);
        batch.push_str(
            "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        );
        // Writing to a text does not fail.
        let _ = write!(batch, "{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            let _ = write!(batch, "{name}: {value}\r\n");
        }
        if let Some(preferences) = &self.prefer {
            let _ = write!(batch, "Prefer: {preferences}\r\n");
        }
        match &self.body {
            Some(body) => {
                batch.push_str("Content-Type: application/json; type=entry\r\n\r\n");
                batch.push_str(body);
                batch.push_str("\r\n");
            }
            None => batch.push_str("Accept: application/json\r\n\r\n\r\n"),
        }
    }
}

/// The body of a batch with these requests.
pub(crate) fn body<'a>(parts: impl IntoIterator<Item = &'a Part>) -> String {
    let mut batch = String::new();
    for part in parts {
        part.push_to(&mut batch);
    }
    end(&mut batch);
    batch
}

/// Ends a batch.
pub(crate) fn end(batch: &mut String) {
    batch.push_str(DELIMITER);
    batch.push_str("--\r\n");
}

/// The reply to one request of a batch.
#[derive(Clone, Debug)]
pub(crate) struct PartReply<'a> {
    /// Its status.
    pub status: u16,
    /// Its header lines.
    headers: Headers<'a>,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> PartReply<'a> {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let is_it = |(known, _): &&(&str, &str)| known.eq_ignore_ascii_case(name);
        self.headers.iter().find(is_it).map(|(_, value)| *value)
    }

    /// The request was carried out.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What it says went wrong.
    pub(crate) fn fault(&self) -> Fault {
        error::fault_of(self.body).unwrap_or_default()
    }

    /// The same as an error.
    pub(crate) fn error(&self) -> Error {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        error::from_fault(status, &self.fault())
    }
}

/// The replies to a batch are in parts, rather than one reply to it as a whole.
pub(crate) fn is_multipart(content_type: Option<&str>) -> bool {
    content_type.is_some_and(|kind| starts_with(kind.as_bytes(), b"multipart/"))
}

/// The replies in `body`, in the order of the requests; those of a change set one by one.
///
/// # Errors
/// [`ErrorKind::Undecodable`] for a body that is not in parts, or ends within one.
pub(crate) fn replies<'a>(
    content_type: Option<&str>,
    body: &'a [u8],
) -> Result<Vec<PartReply<'a>>> {
    let mut found = Vec::new();
    collect(content_type.unwrap_or_default(), body, DEEPEST, &mut found)?;
    Ok(found)
}

fn collect<'a>(
    content_type: &str,
    body: &'a [u8],
    depth: usize,
    found: &mut Vec<PartReply<'a>>,
) -> Result<()> {
    let boundary = match boundary_of(content_type) {
        Some(boundary) => boundary.as_bytes(),
        // The first line is a delimiter, whatever the header has lost on its way.
        None => first_line(body)
            .and_then(|line| line.strip_prefix(b"--"))
            .filter(|boundary| !boundary.is_empty())
            .ok_or_else(|| undecodable("the reply to several requests is not in parts"))?,
    };
    for section in sections(body, boundary)? {
        let (headers, rest) = head(section)?;
        let kind = value(&headers, "content-type").unwrap_or_default();
        if starts_with(kind.as_bytes(), b"multipart/") {
            if depth <= 1 {
                return Err(undecodable("the parts of the reply lie too deep"));
            }
            collect(kind, rest, depth - 1, found)?;
        } else {
            found.push(reply(rest)?);
        }
    }
    Ok(())
}

/// What lies between the delimiters.
fn sections<'a>(body: &'a [u8], boundary: &[u8]) -> Result<Vec<&'a [u8]>> {
    let mut found = Vec::new();
    let mut begin: Option<usize> = None;
    let mut at = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at += line.len();
        let Some(rest) = line
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(boundary))
        else {
            continue;
        };
        let is_last = match rest.trim_ascii() {
            b"" => false,
            b"--" => true,
            _ => continue,
        };
        if let Some(begin) = begin {
            found.push(&body[begin..start]);
        }
        if is_last {
            return Ok(found);
        }
        begin = Some(at);
    }
    Err(undecodable("the reply to several requests breaks off"))
}

/// Names and values of header lines.
type Headers<'a> = Vec<(&'a str, &'a str)>;

/// Header lines up to an empty one, and what follows it.
fn head(section: &[u8]) -> Result<(Headers<'_>, &[u8])> {
    let mut headers = Vec::new();
    let mut at = 0;
    for line in section.split_inclusive(|byte| *byte == b'\n') {
        at += line.len();
        let line = line.trim_ascii_end();
        if line.is_empty() {
            return Ok((headers, &section[at..]));
        }
        let line = std::str::from_utf8(line)
            .map_err(|_| undecodable("a header of the reply is not text"))?;
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim(), value.trim()));
        }
    }
    Ok((headers, &section[section.len()..]))
}

/// A status line, headers and a body.
fn reply(message: &[u8]) -> Result<PartReply<'_>> {
    let no_status = || undecodable("a part of the reply has no status");
    let end = message.iter().position(|byte| *byte == b'\n');
    let (line, rest) = message.split_at(end.map_or(message.len(), |end| end + 1));
    let line = std::str::from_utf8(line).map_err(|_| no_status())?;
    let mut words = line.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let status = words.next().and_then(|word| word.parse::<u16>().ok());
    let status = status.filter(|status| is_http && (100..600).contains(status));
    let (headers, body) = head(rest)?;
    Ok(PartReply {
        status: status.ok_or_else(no_status)?,
        headers,
        body: body.trim_ascii_end(),
    })
}

fn boundary_of(content_type: &str) -> Option<&str> {
    let mut parameters = content_type.split(';').skip(1);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("boundary");
        is_it.then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty()).then_some(value)
}

fn first_line(body: &[u8]) -> Option<&[u8]> {
    let line = body.split(|byte| *byte == b'\n').next()?;
    Some(line.trim_ascii_end())
}

fn value<'a>(headers: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(found.1)
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn undecodable(message: &str) -> Error {
    Error::new(ErrorKind::Undecodable, message)
}

#[cfg(test)]
mod tests;
