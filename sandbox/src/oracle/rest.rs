//! The REST face as far as a source of metadata goes: a session by Basic authentication, and `describe`
//! (sections 2.5 and 12.4 of the protocol page). What the page leaves open, the words for types and what
//! `limit` counts, is a choice named in README.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Oracle;
use super::mapping;
use super::objects::{Field, Kind, Object};
use super::settings::Settings;
use crate::request::Request;
use crate::salesforce::errors::Reply;

const PATH: &str = "/OnDemand/user/Rest";
const JSON: &str = "application/vnd.oracle.adf.resource+json";
/// What a page holds unless asked otherwise, and at most.
const DEFAULT_LIMIT: usize = 2;
const MAX_LIMIT: usize = 100;

/// Whether an address belongs to the REST face.
pub fn is_here(path: &str) -> bool {
    path.strip_prefix(PATH)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn error(status: u16, code: &str, title: &str, path: &str) -> Reply {
    let body = json!({"Error": [{
        "problemType": "https://support.oracle.com/", "title": title, "httpStatus": status,
        "detail": format!("{title}({code})"), "problemInstance": format!("urn:ocrmod:{path}"),
        "errorCode": code,
    }]});
    Reply::typed(status, JSON, body.to_string())
}

impl Oracle {
    /// Answers a request to the REST face.
    pub fn rest(&self, request: &Request, settings: &Settings) -> Reply {
        let path = request.path.strip_prefix(PATH).unwrap_or_default();
        let unknown = || {
            error(
                404,
                "SBL-ODU-01011",
                "The resource is not known",
                &request.path,
            )
        };
        if path == "/Connection" {
            if request.parameter("action") == Some("logoff") {
                return self.sessions.logoff(request);
            }
            let credentials = request
                .header("authorization")
                .and_then(|text| text.strip_prefix("Basic "))
                .and_then(|text| STANDARD.decode(text.trim()).ok())
                .and_then(|bytes| String::from_utf8(bytes).ok());
            let pair = credentials.as_deref().and_then(|text| text.split_once(':'));
            return self.sessions.open_for(pair, settings, self.clock.now());
        }
        if !self
            .sessions
            .admits_rest(request, settings, self.clock.now())
        {
            return error(403, "SBL-ODU-01006", "There is no session", &request.path);
        }
        if !self.sessions.rest_rate(request, settings, self.clock.now()) {
            return error(
                403,
                "SBL-ODU-01005",
                "The maximum rate of requests was exceeded. A maximum of 30 requests per minute is allowed.",
                &request.path,
            );
        }
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["latest", "describe"]) => self.described(request, None),
            ("GET", ["latest", resource, "describe"]) => {
                let known = self
                    .records()
                    .tables
                    .iter()
                    .any(|table| plural(table.object.name) == *resource);
                match known {
                    true => self.described(request, Some(resource)),
                    false => unknown(),
                }
            }
            _ => unknown(),
        }
    }

    fn described(&self, request: &Request, only: Option<&str>) -> Reply {
        let number = |name: &str, usual: usize| {
            request
                .parameter(name)
                .map_or(Ok(usual), |text| text.parse::<usize>())
        };
        let (Ok(limit), Ok(offset)) = (number("limit", DEFAULT_LIMIT), number("offset", 0)) else {
            return error(
                400,
                "SBL-EAI-13011",
                "limit and offset are numbers",
                &request.path,
            );
        };
        let limit = limit.clamp(1, MAX_LIMIT);
        let store = self.records();
        let mut resources = Map::new();
        let mut last = true;
        let chosen: Vec<&Object> = store
            .tables
            .iter()
            .map(|table| &table.object)
            .filter(|object| only.is_none_or(|only| plural(object.name) == only))
            .collect();
        let shown = match only {
            Some(_) => chosen.as_slice(),
            None => {
                last = offset + limit >= chosen.len();
                let from = offset.min(chosen.len());
                &chosen[from..(from + limit).min(chosen.len())]
            }
        };
        for object in shown {
            let mut all: Vec<Value> = object.fields.iter().map(attribute).collect();
            if only.is_some() {
                last = offset + limit >= all.len();
                all = all.into_iter().skip(offset).take(limit).collect();
            }
            resources.insert(
                plural(object.name),
                json!({"title": object.service_name, "attributes": all}),
            );
        }
        let body = json!({
            "Resources": resources,
            "_contextInfo": {"limit": limit, "offset": offset, "lastpage": last},
        });
        Reply::typed(200, JSON, body.to_string())
    }
}

/// The name of a resource: several of the object.
fn plural(object: &str) -> String {
    match object.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{object}s"),
    }
}

fn attribute(field: &Field) -> Value {
    let kind = match field.kind {
        Kind::Bool => "boolean",
        Kind::Int => "integer",
        Kind::Decimal => "number",
        Kind::Date => "date",
        Kind::DateTime => "datetime",
        _ => "string",
    };
    let length = match field.kind {
        Kind::Text(most) | Kind::Long(most) => Some(most),
        Kind::Phone => Some(40),
        Kind::Pick | Kind::Id => Some(30),
        Kind::MultiPick => Some(330),
        _ => None,
    };
    json!({
        "name": field.name, "type": kind, "updatable": !field.read_only,
        "mandatory": field.required,
        "queryable": !field.hidden, "title": mapping::title(&field.name), "maxLength": length,
        "optimized": field.name.starts_with("Indexed"), "copyenabled": true, "postdefault": false,
        "markfortranslation": false,
    })
}
