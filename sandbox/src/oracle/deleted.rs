//! `DeletedItemQueryPage` of the Service API (section 8.1 of the protocol page): the trash, by deletion date,
//! asked for in the manner of v1.0, dates in the user's zone.

use std::str::FromStr as _;

use chrono_tz::Tz;

use super::envelope::Fault;
use super::objects::{Kind, Object};
use super::searchspec::{self, Op, Spec};
use super::store::{Deleted, Store, user_id};
use super::time;
use crate::xml::{self, Node};

const DATA: &str = "urn:/crmondemand/xml/deleteditem";
const FIELDS: &[&str] = &[
    "DeletedItemId",
    "DeletedById",
    "DeletedBy",
    "DeletedDate",
    "Name",
    "ObjectId",
    "Type",
    "ExternalSystemId",
];
const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 100;

/// Answers a request; entries from before `oldest`, in seconds since 1970, are purged.
///
/// # Errors
/// SBL-EAI-04127 for an unknown element, SBL-EAI-13010 and 13011 for a bad expression.
pub fn answer(store: &Store, input: &Node, zone: Tz, oldest: i64) -> Result<String, Fault> {
    let number = |name: &str, usual: usize| match input.text_of(name) {
        None => Ok(usual),
        Some(text) => usize::from_str(text).map_err(|_| {
            Fault::one(
                "SBL-EAI-13011",
                format!("The value '{text}' does not fit the argument '{name}'"),
            )
        }),
    };
    let (start, size) = (number("StartRowNum", 0)?, number("PageSize", DEFAULT_PAGE)?);
    if size == 0 || size > MAX_PAGE {
        return Err(Fault::one(
            "SBL-EAI-13011",
            format!("The page size must be between 1 and {MAX_PAGE}"),
        ));
    }
    let here = |node: &&Node| node.namespace == DATA || node.namespace == input.namespace;
    let template = input
        .child("ListOfDeletedItem")
        .filter(here)
        .and_then(|list| list.child("DeletedItem"))
        .filter(here);
    let template = template
        .ok_or_else(|| Fault::one("SBL-EAI-13002", "The argument ListOfDeletedItem is missing"))?;
    let mut wanted = Vec::new();
    let mut tests = Vec::new();
    for element in &template.children {
        let name = FIELDS
            .iter()
            .find(|name| **name == element.name && here(&element));
        let name = name.ok_or_else(|| Fault::unknown_element(&element.name, "Deleted Item"))?;
        wanted.push(*name);
        if !element.text.trim().is_empty() {
            tests.push(bound(name, element.text.trim(), zone)?);
        }
    }
    let mut found: Vec<&Deleted> = store
        .deleted
        .iter()
        .filter(|entry| entry.at >= oldest)
        .filter(|entry| {
            tests
                .iter()
                .all(|(name, test)| searchspec::matches(test, zone, &|_| Some(value(entry, name))))
        })
        .collect();
    found.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let is_last = found.len() <= start + size;
    let mut out = format!(
        "<ns:DeletedItemWS_DeletedItemQueryPage_Output xmlns:ns=\"urn:crmondemand/ws/deleteditem/\"><ns:LastPage>{is_last}</ns:LastPage><ListOfDeletedItem xmlns=\"{DATA}\">"
    );
    for entry in found.into_iter().skip(start).take(size) {
        out.push_str("<DeletedItem>");
        for name in FIELDS.iter().filter(|name| wanted.contains(name)) {
            let text = match *name {
                "DeletedDate" => time::local(entry.at, zone),
                name => value(entry, name),
            };
            xml::element(&mut out, name, &text);
        }
        out.push_str("</DeletedItem>");
    }
    out.push_str("</ListOfDeletedItem></ns:DeletedItemWS_DeletedItemQueryPage_Output>");
    Ok(out)
}

/// The value a condition looks at; moments in XSD form.
fn value(entry: &Deleted, name: &str) -> String {
    match name {
        "DeletedItemId" => entry.id.clone(),
        "DeletedById" => user_id(entry.by),
        "DeletedBy" => ["ADMIN", "BUYER"]
            .get(entry.by)
            .copied()
            .unwrap_or("ADMIN")
            .to_owned(),
        "DeletedDate" => time::xsd(entry.at),
        "Name" => entry.name.clone(),
        "ObjectId" => entry.object_id.clone(),
        "Type" => entry.kind.clone(),
        _ => entry.external.clone(),
    }
}

fn bound(
    name: &'static str,
    text: &str,
    zone: Tz,
) -> Result<(&'static str, searchspec::Test), Fault> {
    let spec = searchspec::by_example(name, text)
        .map_err(|message| Fault::one("SBL-EAI-13010", message))?;
    // In the stored words the asterisks are characters; a wildcard fits those as well.
    let kind = if name == "DeletedDate" {
        Kind::DateTime
    } else {
        Kind::Text(255)
    };
    let object = Object::of_one(name, kind);
    refuse_bad_dates(&spec, kind, zone)?;
    Ok((name, searchspec::test(&spec, &object, zone, true)?))
}

/// The v1 form is the only one for dates here.
fn refuse_bad_dates(spec: &Spec, kind: Kind, zone: Tz) -> Result<(), Fault> {
    match spec {
        Spec::All(parts) | Spec::Any(parts) => parts
            .iter()
            .try_for_each(|part| refuse_bad_dates(part, kind, zone)),
        Spec::Test {
            op: Op::IsNull | Op::IsNotNull,
            ..
        } => Ok(()),
        Spec::Test { literal, .. }
            if kind == Kind::DateTime && time::from_local(literal, zone).is_none() =>
        {
            Err(Fault::one(
                "SBL-EAI-13011",
                format!("The value '{literal}' is not a date of the form MM/DD/YYYY HH:MM:SS"),
            ))
        }
        Spec::Test { .. } => Ok(()),
    }
}
