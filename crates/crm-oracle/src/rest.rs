//! The description of an object that the REST interface gives: types, lengths, what must be given, what can be queried
//! (Oracle page 12.4). Records never travel this way: it takes thirty requests a minute.

use crate::describe::Told;
use crate::error;
use crate::session::OracleSession;
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_http::Patience;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Attributes that one reply holds at most.
const PAGE: usize = 100;
/// No object has as many attributes; a service that repeats itself must come to an end.
const MOST_PAGES: usize = 50;
/// The interface counts requests by the minute.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    name: String,
    #[serde(default, rename = "type")]
    word: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    updatable: Option<bool>,
    #[serde(default)]
    mandatory: Option<bool>,
    #[serde(default)]
    queryable: Option<bool>,
    #[serde(default)]
    max_length: Option<Value>,
}

/// What the interface says of the fields of `object`.
///
/// # Errors
/// When it refuses the account or cannot be read.
pub(crate) async fn fields(
    session: &OracleSession,
    object: &str,
    stats: &CallStats,
) -> Result<Vec<Told>> {
    let mut told: Vec<Told> = Vec::new();
    for page in 0..MOST_PAGES {
        let path = format!(
            "latest/{}/describe?fields=attributes&limit={PAGE}&offset={}",
            resource(object),
            page * PAGE
        );
        let body = ask(session, &path, stats).await?;
        let attributes = attributes(&body)?;
        let n_known = told.len();
        for attribute in attributes {
            if told.iter().all(|known| known.tag != attribute.name) {
                told.push(attribute.into_told());
            }
        }
        if told.len() - n_known < PAGE {
            break;
        }
    }
    if told.is_empty() {
        return Err(Error::new(
            ErrorKind::ObjectUnknown,
            format!("the REST interface does not describe object \"{object}\""),
        )
        .with_hint("Set the server option metadata to 'builtin'."));
    }
    Ok(told)
}

async fn ask(session: &OracleSession, path: &str, stats: &CallStats) -> Result<Vec<u8>> {
    let mut patience = Patience::new(session.policy());
    loop {
        let reply = session.rest(path, stats).await?;
        if reply.status.is_success() {
            return Ok(reply.body.to_vec());
        }
        let words = String::from_utf8_lossy(&reply.body);
        let is_too_often = words.contains("maximum rate of requests");
        if !(is_too_often && patience.wait(Some(MINUTE), stats).await) {
            return Err(refusal(&reply));
        }
    }
}

fn refusal(reply: &crm_http::Reply) -> Error {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "Error")]
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fault {
        #[serde(default)]
        detail: Option<String>,
        #[serde(default)]
        title: Option<String>,
        #[serde(default)]
        error_code: Option<String>,
    }
    let error = error::from_no_message(reply);
    let told = serde_json::from_slice::<Refusal>(&reply.body).ok();
    let Some(fault) = told.and_then(|told| told.errors.into_iter().next()) else {
        return error;
    };
    let words = fault.detail.or(fault.title).unwrap_or_default();
    let error = Error::new(error.kind(), error.message()).with_detail(words);
    match fault.error_code {
        Some(code) => error.with_code(code),
        None => error,
    }
}

/// The name of an object in addresses: its plural.
fn resource(object: &str) -> String {
    match object.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{object}s"),
    }
}

/// The attributes of a reply: those of one resource, which stands by its name or in a list.
fn attributes(body: &[u8]) -> Result<Vec<Attribute>> {
    let undecodable = |_| Error::new(ErrorKind::Undecodable, "the description cannot be read");
    let mut reply: Value = serde_json::from_slice(body).map_err(undecodable)?;
    let resource = match reply.get_mut("Resources").map(Value::take) {
        Some(Value::Object(resources)) => resources.into_iter().map(|(_, value)| value).next(),
        Some(Value::Array(resources)) => resources.into_iter().next(),
        _ => None,
    };
    let attributes = resource.and_then(|mut resource| Some(resource.get_mut("attributes")?.take()));
    match attributes {
        Some(attributes) => serde_json::from_value(attributes).map_err(undecodable),
        None => Ok(Vec::new()),
    }
}

impl Attribute {
    fn into_told(self) -> Told {
        let length = self.max_length.and_then(|length| match length {
            Value::Number(number) => number.as_u64(),
            Value::String(digits) => digits.trim().parse().ok(),
            _ => None,
        });
        Told {
            tag: self.name,
            label: self.title.unwrap_or_default(),
            word: self.word,
            length: length
                .and_then(|length| u32::try_from(length).ok())
                .filter(|length| *length > 0),
            updatable: self.updatable,
            required: self.mandatory,
            queryable: self.queryable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ORACLE;
    use crm_core::{Account, Connector, Place, find_option};
    use crm_http::testkit::{Answer, Seen, Server};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn both_forms_of_a_description() {
        let attribute = r#"{"name":"AccountName","type":"string","updatable":true,"mandatory":true,"queryable":true,
            "title":"Account Name","maxLength":"100","optimized":true}"#;
        for body in [
            format!(r#"{{"Resources":{{"Accounts":{{"attributes":[{attribute}]}}}}}}"#),
            format!(r#"{{"Resources":[{{"name":"Accounts","attributes":[{attribute}]}}]}}"#),
        ] {
            let told = attributes(body.as_bytes()).unwrap().remove(0).into_told();
            assert_eq!(
                (told.tag.as_str(), told.label.as_str()),
                ("AccountName", "Account Name")
            );
            assert_eq!((told.length, told.required), (Some(100), Some(true)));
        }
        for empty in [
            "{}",
            r#"{"Resources":{}}"#,
            r#"{"Resources":{"Accounts":{}}}"#,
        ] {
            assert!(attributes(empty.as_bytes()).unwrap().is_empty(), "{empty}");
        }
        for bad in ["", "<html>", r#"{"Resources":{"A":{"attributes":[1]}}}"#] {
            assert!(attributes(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    /// A service that signs in both ways and describes accounts: a hundred and two attributes, on two pages.
    fn answer(seen: &Seen, n_forgotten: &AtomicUsize) -> Answer {
        let session = |name: &str| {
            Answer::new(200, "").header("set-cookie", &format!("JSESSIONID=TEST-{name}; Path=/"))
        };
        let target = seen.target.as_str();
        if target.contains("command=login") {
            return session("soap");
        }
        if target.contains("/Rest/Connection?") || target.contains("command=logoff") {
            return Answer::new(200, "");
        }
        if target.ends_with("/Rest/Connection") {
            let credentials = seen.header("authorization");
            // TESTCO/ada:TEST-ä
            return match credentials {
                Some("Basic VEVTVENPL2FkYTpURVNULcOk") => session("rest"),
                _ => Answer::new(401, ""),
            };
        }
        if let Some(query) = target.strip_prefix("/OnDemand/user/Rest/latest/Accounts/describe?") {
            let is_forgotten =
                n_forgotten
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            if is_forgotten.is_ok() || seen.header("cookie") != Some("JSESSIONID=TEST-rest") {
                return Answer::new(403, "");
            }
            let numbers = if query.ends_with("offset=0") {
                0..100
            } else {
                100..102
            };
            let attributes: Vec<_> = numbers
                .map(|number| serde_json::json!({"name": format!("CustomText{number}"), "type": "string", "maxLength": 40,
                    "updatable": true, "title": format!("Text {number}")}))
                .collect();
            let body = serde_json::json!({"Resources": {"Accounts": {"attributes": attributes}}});
            return Answer::new(200, body.to_string());
        }
        Answer::new(
            200,
            "<Envelope xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"><Body><AccountQueryPage_Output/></Body></Envelope>",
        )
        .header("content-type", "text/xml")
    }

    #[tokio::test]
    async fn an_object_is_described_page_by_page_in_a_session_that_is_given_back() {
        let n_forgotten = Arc::new(AtomicUsize::new(1));
        let server = Server::start(move |seen| answer(seen, &n_forgotten))
            .await
            .unwrap();
        let mut account = Account::new("crm");
        let (url, ca_file) = (server.url(), server.ca_file().display().to_string());
        for (name, value) in [
            ("url", url.as_str()),
            ("ca_file", &ca_file),
            ("metadata", "rest"),
            ("username", "TESTCO/ada"),
            ("password", "TEST-ä"),
        ] {
            let option = find_option(ORACLE.options(), Place::Server, name)
                .or_else(|_| find_option(ORACLE.options(), Place::UserMapping, name));
            account.set(option.unwrap(), value.to_owned());
        }
        let session = ORACLE.open(account).unwrap();
        let objects = ["Account".to_owned()];
        let described = session
            .describe(&objects, &CallStats::default())
            .await
            .unwrap();
        let texts: Vec<_> = described[0]
            .fields
            .iter()
            .filter(|field| field.name.starts_with("CustomText"))
            .collect();
        assert_eq!(texts.len(), 102);
        assert_eq!(
            (texts[0].label.as_str(), texts[0].length),
            ("Text 0", Some(40))
        );
        let count = |part: &str| {
            let seen = server.seen();
            seen.iter()
                .filter(|seen| seen.target.contains(part))
                .count()
        };
        // Once more when the first session was not known, and given back at the end.
        assert_eq!(count("/Rest/Connection"), 3);
        assert_eq!(count("/describe?"), 3);
        assert_eq!((count("command=login"), count("action=logoff")), (1, 1));
    }

    #[test]
    fn names_in_addresses() {
        for (object, expected) in [
            ("Account", "Accounts"),
            ("Activity", "Activities"),
            ("Opportunity", "Opportunities"),
            ("ServiceRequest", "ServiceRequests"),
        ] {
            assert_eq!(resource(object), expected);
        }
    }
}
