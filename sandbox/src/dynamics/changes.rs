//! Change tracking: delta links and what changed since one was given. Section 8 of the protocol page.

use std::fmt::Write as _;

use super::errors::{Refusal, reply};
use super::model::Entity;
use super::query::{Query, Reader, link};
use super::store::Table;
use super::value::quoted;
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// The link under which the changes after this moment can be asked for.
pub fn delta_link(reader: &Reader<'_>, entity: &Entity, request: &Request) -> String {
    let stamp = chrono::Utc::now().format("%m%%2f%d%%2f%Y%%20%H%%3a%M%%3a%S");
    let token = format!("{}%21{stamp}", reader.store.version());
    link(reader.base, &entity.set, request, "$deltatoken", &token)
}

/// Refuses what change tracking does not go with.
///
/// # Errors
/// 400 for options that are not allowed, 501 for a table that is not tracked.
pub fn check(table: &Table, request: &Request) -> Result<(), Refusal> {
    for name in ["$filter", "$orderby", "$expand", "$top"] {
        if request.parameter(name).is_some() {
            return Err(Refusal::argument(format!(
                "The {name} option is not supported with change tracking."
            )));
        }
    }
    match table.tracked {
        true => Ok(()),
        false => Err(Refusal::unsupported(format!(
            "Change tracking is not enabled for entity {}.",
            table.entity.name
        ))),
    }
}

/// What changed since a token: new and changed rows first, then the deleted ones.
///
/// # Errors
/// 400 for a token that cannot be read or is older than the server remembers.
pub fn since(
    reader: &Reader<'_>,
    query: &Query,
    request: &Request,
    token: &str,
) -> Result<Reply, Refusal> {
    check(&reader.store.tables[query.table], request)?;
    let version: i64 = token
        .split('!')
        .next()
        .and_then(|version| version.parse().ok())
        .ok_or_else(|| Refusal::argument("The delta token is not valid."))?;
    if version < reader.store.oldest_version {
        return Err(Refusal::new(
            400,
            "0x80044352",
            "Version stamp associated with the client has expired. Please perform a full sync.",
        ));
    }
    let table = &reader.store.tables[query.table];
    let context = format!("{}/$metadata#{}", reader.base, query.entity.set);
    let mut out = format!(
        "{{\"@odata.context\":{},\"@odata.deltaLink\":{},\"value\":[",
        quoted(&format!("{context}/$delta")),
        quoted(&delta_link(reader, query.entity, request))
    );
    let mut separator = "";
    for row in table.scan(None).filter(|row| table.version(*row) > version) {
        out.push_str(separator);
        separator = ",";
        reader.row(&mut out, query, row, None);
    }
    for change in &table.deleted {
        if change.version > version && table.find(change.id).is_none() {
            // Writing to a text does not fail.
            let _ = write!(
                out,
                "{separator}{{\"@odata.context\":{},\"id\":\"{}\",\"reason\":\"deleted\"}}",
                quoted(&format!("{context}/$deletedEntity")),
                change.id
            );
            separator = ",";
        }
    }
    out.push_str("]}");
    Ok(reply(200, out).header("Preference-Applied", "odata.track-changes"))
}
