//! What there is: API versions, resources, describeGlobal, describe, and their 304s.
//! Sections 1 and 3 of the protocol page.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::errors::{ApiError, Reply};
use super::store::Store;
use crate::request::Request;

/// Oldest version that still answers.
const OLDEST: u32 = 31;
/// Oldest version in the list.
const OLDEST_LISTED: u32 = 41;
/// Newest version.
const NEWEST: u32 = 68;

/// When the organisation's metadata last changed, as an IMF-fixdate.
pub const LAST_MODIFIED: &str = "Wed, 05 Nov 2025 08:00:00 GMT";

/// `GET /services/data`: needs no session; the last entry is the alias of the newest.
pub fn versions() -> Reply {
    let mut list: Vec<Value> = (OLDEST_LISTED..=NEWEST)
        .map(|version| {
            // Three releases a year; 66 is Spring '26.
            let season = ["Spring", "Summer", "Winter"][(version % 3) as usize];
            let year = (version + 13) / 3;
            json!({
                "label": format!("{season} '{year:02}"),
                "url": format!("/services/data/v{version}.0"),
                "version": format!("{version}.0"),
            })
        })
        .collect();
    list.push(json!({
        "label": "Latest Release", "url": "/services/data/latest", "version": "XX.0",
    }));
    Reply::ok(&Value::Array(list))
}

/// The version in a path, such as `66.0` of `v66.0`.
///
/// # Errors
/// 410 for a retired version, 404 for one that never was.
pub fn version(segment: &str) -> Result<String, ApiError> {
    if segment == "latest" {
        return Ok(format!("{NEWEST}.0"));
    }
    let major = segment
        .strip_prefix('v')
        .and_then(|text| text.strip_suffix(".0"))
        .and_then(|text| text.parse::<u32>().ok())
        .ok_or_else(ApiError::not_found)?;
    match major {
        OLDEST..=NEWEST => Ok(format!("{major}.0")),
        7..OLDEST => Err(ApiError::new(
            410,
            "UNSUPPORTED_API_VERSION",
            "This API version is retired. Please use a newer API version.",
        )),
        _ => Err(ApiError::not_found()),
    }
}

/// `GET {V}`: the resources of a version.
pub fn resources(version: &str) -> Reply {
    let names = ["sobjects", "query", "queryAll", "composite", "limits"];
    let map: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| {
            let url = format!("/services/data/v{version}/{name}");
            ((*name).to_owned(), url.into())
        })
        .collect();
    Reply::ok(&Value::Object(map))
}

/// `GET {V}/sobjects`.
pub fn global(store: &Store, version: &str, request: &Request) -> Reply {
    conditional(request, || {
        let entries: Vec<&Value> = store.objects().iter().map(|o| &o.global).collect();
        json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": entries})
            .to_string()
            .replace("/vXX.0/", &format!("/v{version}/"))
    })
}

/// `GET {V}/sobjects/{Object}/describe`.
///
/// # Errors
/// 404 for an unknown object.
pub fn describe(
    store: &Store,
    name: &str,
    version: &str,
    instance_url: &str,
    request: &Request,
) -> Result<Reply, ApiError> {
    let object = store.by_name(name).ok_or_else(ApiError::not_found)?;
    Ok(conditional(request, || {
        object
            .describe
            .replace("/vXX.0/", &format!("/v{version}/"))
            .replace("https://INSTANCE", instance_url)
    }))
}

/// `GET {V}/sobjects/{Object}`: its entry, and the records looked at last (none).
///
/// # Errors
/// 404 for an unknown object.
pub fn basics(store: &Store, name: &str, version: &str) -> Result<Reply, ApiError> {
    let object = store.by_name(name).ok_or_else(ApiError::not_found)?;
    let body = json!({"objectDescribe": object.global, "recentItems": []}).to_string();
    Ok(Reply::json(
        200,
        body.replace("/vXX.0/", &format!("/v{version}/")),
    ))
}

/// Answers 304 without a body when the client's copy is as new (section 3.4).
fn conditional(request: &Request, body: impl FnOnce() -> String) -> Reply {
    let at = |text: &str| DateTime::parse_from_rfc2822(text).map(|t| t.with_timezone(&Utc));
    let unchanged = request
        .header("if-modified-since")
        .and_then(|since| at(since).ok())
        .zip(at(LAST_MODIFIED).ok())
        .is_some_and(|(since, changed)| since >= changed);
    let reply = match unchanged {
        true => Reply::bare(304),
        false => Reply::json(200, body()),
    };
    reply.header("Last-Modified", LAST_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_release_calendar() {
        let list: Value = serde_json::from_slice(&versions().body).unwrap();
        let label = |v: &str| {
            let found = list.as_array().unwrap().iter().find(|e| e["version"] == v);
            found.unwrap()["label"].as_str().unwrap().to_owned()
        };
        assert_eq!(label("64.0"), "Summer '25");
        assert_eq!(label("65.0"), "Winter '26");
        assert_eq!(label("66.0"), "Spring '26");
        assert_eq!(label("67.0"), "Summer '26");
        assert_eq!(label("68.0"), "Winter '27");
        assert_eq!(list[list.as_array().unwrap().len() - 1]["version"], "XX.0");
    }

    #[test]
    fn retired_and_unknown_versions_are_told_apart() {
        assert_eq!(version("v66.0").as_deref(), Ok("66.0"));
        assert_eq!(version("latest").as_deref(), Ok("68.0"));
        for (segment, status) in [
            ("v30.0", 410),
            ("v7.0", 410),
            ("v99.0", 404),
            ("66.0", 404),
            ("v66", 404),
        ] {
            assert_eq!(version(segment).unwrap_err().status, status, "{segment}");
        }
    }
}
