//! A reply looked over: a message without a fault, or why not and what can be done about it (Oracle page 9).

use crate::fault::Fault;
use crate::{error, fault};
use crm_core::{Error, ErrorKind};
use crm_http::header::CONTENT_TYPE;
use crm_http::{Reply, StatusCode};
use std::time::Duration;

/// Why a reply is none of success, and what can be done about it.
pub(crate) struct Refusal {
    /// What the user is told.
    pub error: Error,
    /// The vendor's own words, where it is a fault.
    pub fault: Option<Fault>,
    /// A new session may cure it.
    pub expired: bool,
    /// Whether to send the same again.
    pub again: Again,
    /// The CRM may have done what was asked for.
    pub may_be_done: bool,
}

/// Whether to send the same again.
pub(crate) enum Again {
    /// It would be answered the same.
    Never,
    /// After this time, for it was not let in.
    AfterPause(Duration),
    /// Where it does no harm twice.
    IfRepeatable,
}

/// Looks a reply over: a message in UTF-8 without a fault.
pub(crate) fn read(reply: &Reply) -> std::result::Result<(), Box<Refusal>> {
    let refusal = |error| Refusal {
        error,
        fault: None,
        expired: false,
        again: Again::Never,
        may_be_done: true,
    };
    if let Some(charset) = reply.header(CONTENT_TYPE.as_str()).and_then(other_charset) {
        return Err(Box::new(refusal(Error::new(
            ErrorKind::Undecodable,
            format!("the reply is in the character set \"{charset}\", not in UTF-8"),
        ))));
    }
    if !is_message(&reply.body) {
        let status = reply.status;
        return Err(Box::new(Refusal {
            // What an ended session is answered with is not documented.
            expired: matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
            may_be_done: status.is_success() || reply.may_be_done(),
            ..refusal(error::from_no_message(reply))
        }));
    }
    let text = std::str::from_utf8(&reply.body).map_err(|fault| {
        Box::new(refusal(
            Error::new(ErrorKind::Undecodable, "the reply is not UTF-8")
                .with_detail(format!("The first bad byte is at {}.", fault.valid_up_to())),
        ))
    })?;
    let Some(fault) = fault::find(text) else {
        return Ok(());
    };
    let again = match fault.code() {
        "SBL-ODU-01005" => Again::AfterPause(Duration::from_millis(fault.wait_ms.unwrap_or(5_000))),
        "SBL-ODU-01006" if fault.is_timeout() => Again::IfRepeatable,
        _ => Again::Never,
    };
    Err(Box::new(Refusal {
        expired: fault.is_expiry(),
        again,
        may_be_done: fault.may_be_done(),
        ..refusal(error::from_fault(&fault))
    }))
    .map_err(|mut refusal: Box<Refusal>| {
        refusal.fault = Some(fault);
        refusal
    })
}

/// The body begins as a SOAP message does.
pub(crate) fn is_message(body: &[u8]) -> bool {
    let start = &body[..body.len().min(1_024)];
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let start = start.trim_ascii_start();
    start.starts_with(b"<") && start.windows(8).any(|window| window == b"Envelope")
}

/// The character set that a header names, where it is not UTF-8.
fn other_charset(content_type: &str) -> Option<&str> {
    let charset = content_type.split(';').skip(1).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches('"'))
    })?;
    let is_known = ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known));
    (!is_known).then_some(charset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_http::Bytes;
    use crm_http::header::{HeaderMap, HeaderValue};

    fn reply(status: u16, content_type: &'static str, body: &'static str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        Reply {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    #[test]
    fn messages_pages_for_people_and_other_alphabets() {
        const GOOD: &str = "<e:Envelope xmlns:e=\"x\"><e:Body><a/></e:Body></e:Envelope>";
        let refused = |reply: &Reply| {
            let refusal = read(reply).err()?;
            Some((refusal.error.kind(), refusal.expired, refusal.may_be_done))
        };
        for (status, content_type, body, expected) in [
            (200, "text/xml", GOOD, None),
            (500, "text/xml; charset=UTF-8", GOOD, None),
            (
                200,
                "text/xml;charset=\"utf-8\"",
                "\u{feff} <?xml version=\"1.0\"?><Envelope/>",
                None,
            ),
            (
                200,
                "text/xml; charset=UTF-16",
                GOOD,
                Some((ErrorKind::Undecodable, false, true)),
            ),
            (
                200,
                "text/html",
                "<html>hello</html>",
                Some((ErrorKind::Undecodable, false, true)),
            ),
            (
                200,
                "text/xml",
                "",
                Some((ErrorKind::Undecodable, false, true)),
            ),
            (
                403,
                "text/html",
                "<html>no</html>",
                Some((ErrorKind::NotPermitted, true, false)),
            ),
            (
                503,
                "text/html",
                "<html>later</html>",
                Some((ErrorKind::ConnectionLost, false, true)),
            ),
        ] {
            let reply = reply(status, content_type, body);
            assert_eq!(refused(&reply), expected, "{status} {content_type} {body}");
        }
    }

    #[test]
    fn what_the_front_end_says_of_sessions_and_waits() {
        for (code, words, expired, may_be_done, again) in [
            ("SBL-ODU-01005", "too often", false, false, true),
            (
                "SBL-ODU-01006",
                "The session has expired",
                true,
                false,
                false,
            ),
            ("SBL-ODU-01006", "something", true, true, false),
            ("SBL-ODU-01006", "RIP_WAIT_ERROR_TIMEOUT", false, true, true),
            ("SBL-DAT-00553", "no access", false, false, false),
        ] {
            let body = format!(
                "<Envelope><Body><Fault><detail><ErrorCode>{code}</ErrorCode><ErrorMessage>{words}</ErrorMessage>\
                 </detail></Fault></Body></Envelope>"
            );
            let mut reply = reply(500, "text/xml", "");
            reply.body = body.into();
            let refusal = read(&reply).unwrap_err();
            assert_eq!(refusal.expired, expired, "{words}");
            assert_eq!(refusal.may_be_done, may_be_done, "{words}");
            assert_eq!(!matches!(refusal.again, Again::Never), again, "{words}");
            assert_eq!(refusal.fault.unwrap().code(), code);
        }
    }
}
