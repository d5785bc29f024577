//! The part of the admin interface that looks at records and writes around a CRM's interface: counts,
//! searches, record errors on demand, the clock, bulk changes. Every face answers the same calls.

use serde::Deserialize;
use serde_json::{Value, json};

use super::change::{Change, Late};
use super::parse;
use crate::record_rules::{RecordRule, RecordRules};
use crate::request::Request;
use crate::salesforce::clock::Clock;
use crate::salesforce::errors::{ApiError, Reply};

/// The records of one face, as tests look at them from behind.
pub trait Records {
    /// The clock that stamps records.
    fn clock(&self) -> &Clock;

    /// Changes that wait for their commit.
    fn late(&self) -> &Late;

    /// `count` of the records there are, `deleted` of those that can come back.
    ///
    /// # Errors
    /// 404 for an unknown object.
    fn count(&self, object: &str) -> Result<Value, ApiError>;

    /// Identifiers of the records whose field has a value, letter for letter.
    ///
    /// # Errors
    /// 404 for an unknown object, 400 for an unknown field.
    fn find(&self, object: &str, field: &str, value: &str) -> Result<Vec<String>, ApiError>;

    /// Makes a change under a stamp in seconds since 1970 and says how many records it met.
    ///
    /// # Errors
    /// 404 for an unknown object; 400 for an unknown field, identifier or value.
    fn make(&self, change: &Change, at: i64) -> Result<Value, ApiError>;

    /// Looks at the record rules, or changes them.
    fn rules(&self, look: &mut dyn FnMut(&mut RecordRules));

    /// How the log of deletions behaves.
    ///
    /// # Errors
    /// 400 for settings the face does not know.
    fn deletion_log(&self, settings: &[u8]) -> Result<(), ApiError>;
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<RecordRule>),
    One(Box<RecordRule>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Offset {
    offset_s: i64,
}

/// Answers what the rest of the admin interface does not know.
///
/// # Errors
/// 404 for an unknown call or object, 400 for a body that does not fit.
pub fn route(face: &dyn Records, request: &Request, path: &str) -> Result<Reply, ApiError> {
    match (request.method.as_str(), path) {
        ("GET", "/record_count") => Ok(Reply::ok(&face.count(wanted(request, "object")?)?)),
        ("GET", "/find") => {
            let object = wanted(request, "object")?;
            let (field, value) = (wanted(request, "field")?, wanted(request, "value")?);
            Ok(Reply::ok(&json!({"ids": face.find(object, field, value)?})))
        }
        ("POST", "/record_rules") => {
            let added = match parse(&request.body)? {
                OneOrMany::One(rule) => vec![*rule],
                OneOrMany::Many(rules) => rules,
            };
            face.rules(&mut |rules| added.iter().for_each(|rule| rules.add(rule.clone())));
            Ok(Reply::bare(204))
        }
        ("GET", "/record_rules") => {
            let mut list = json!([]);
            face.rules(&mut |rules| list = json!(rules.list()));
            Ok(Reply::ok(&list))
        }
        ("DELETE", "/record_rules") => {
            face.rules(&mut RecordRules::clear);
            Ok(Reply::bare(204))
        }
        ("GET", "/clock") => Ok(Reply::ok(&json!({
            "now": face.clock().now(), "offset_s": face.clock().offset(),
        }))),
        ("POST", "/clock") => {
            let wanted: Offset = parse(&request.body)?;
            face.clock().set_offset(wanted.offset_s);
            Ok(Reply::bare(204))
        }
        ("POST", "/deletion_log") => {
            face.deletion_log(&request.body)?;
            Ok(Reply::bare(204))
        }
        ("POST", "/records") => {
            let change: Change = parse(&request.body)?;
            let at = change.stamp(face.clock().now())?;
            if change.late {
                face.late().add(change, at);
                return Ok(Reply::ok(&json!({"late": true})));
            }
            Ok(Reply::ok(&face.make(&change, at)?))
        }
        ("POST", "/commit") => {
            let waiting = face.late().take();
            let made: Result<Vec<Value>, ApiError> = waiting
                .iter()
                .map(|(change, at)| face.make(change, *at))
                .collect();
            Ok(Reply::ok(&json!(made?)))
        }
        _ => Err(ApiError::not_found()),
    }
}

fn wanted<'r>(request: &'r Request, name: &str) -> Result<&'r str, ApiError> {
    request
        .parameter(name)
        .ok_or_else(|| ApiError::bad("MISSING_ARGUMENT", format!("{name} is missing")))
}
