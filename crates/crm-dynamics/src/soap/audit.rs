//! Deleted records by the audit, asked in FetchXML (L-1, Dynamics page, section 8).

use super::records::Typed;
use super::rows::{self, Inner, Row, escaped};
use crate::audited::{Audit, DELETION, Period, about_audit};
use crate::deparse::object_name;
use crate::describe::Entity;
use crate::ids;
use crate::session::DynamicsSession;
use crm_core::{CallStats, Deletion, Deletions, Error, ErrorKind, Result, parse_instant};
use std::collections::HashSet;

/// Identifiers in one condition.
const AT_ONCE: usize = 500;

/// Records deleted in a period, both ends included to the second, and who deleted them.
///
/// # Errors
/// [`ErrorKind::NotSupported`] when the organisation or the table is not audited, [`ErrorKind::NotPermitted`] when the
/// user may not read the audit, [`ErrorKind::OptionValue`] when the period ends before it begins.
pub(crate) async fn deleted(
    session: &DynamicsSession,
    object: &str,
    start: i64,
    end: i64,
    stats: &CallStats,
) -> Result<Deletions> {
    let mut period = Period::new(start, end)?;
    let entity = session.entity(object, stats).await?;
    let audit = audit_of(session, stats).await?;
    audit.demand(&entity)?;
    let more = format!(
        "<condition attribute=\"createdon\" operator=\"ge\" value=\"{}\"/><condition attribute=\"createdon\" operator=\"lt\" value=\"{}\"/>",
        period.first, period.behind
    );
    let deletions = of_entity(session, &entity, object, &more, stats).await;
    for deletion in deletions.map_err(about_audit)? {
        period.found.add(deletion);
    }
    Ok(period.deletions(audit, session.presumed_now()))
}

/// Which of these records of an audited entity the audit says were deleted; nothing where it cannot be asked.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn known_deletions(
    session: &DynamicsSession,
    object: &str,
    ids: &[String],
    stats: &CallStats,
) -> Result<Option<HashSet<String>>> {
    let entity = session.entity(object, stats).await?;
    if !entity.is_audited || !audit_of(session, stats).await?.is_kept {
        return Ok(None);
    }
    let mut deleted = HashSet::new();
    for chunk in ids.chunks(AT_ONCE) {
        let mut more = String::from("<condition attribute=\"objectid\" operator=\"in\">");
        for id in chunk {
            more.push_str(&format!("<value>{}</value>", escaped(id)?));
        }
        more.push_str("</condition>");
        match of_entity(session, &entity, object, &more, stats).await {
            Err(error) if error.kind() == ErrorKind::NotPermitted => return Ok(None),
            found => deleted.extend(found?.into_iter().map(|deletion| deletion.id)),
        }
    }
    Ok(Some(deleted))
}

/// The deletions of an entity's records that meet more conditions. Old servers know entities in the audit by number
/// alone, and say so by a fault.
async fn of_entity(
    session: &DynamicsSession,
    entity: &Entity,
    object: &str,
    more: &str,
    stats: &CallStats,
) -> Result<Vec<Deletion>> {
    let named = ask(session, object_name(object)?, object, more, stats).await;
    match (named, entity.type_code) {
        (Err(error), Some(number)) if is_about_query(&error) => {
            ask(session, &number.to_string(), object, more, stats).await
        }
        (named, _) => named,
    }
}

fn is_about_query(error: &Error) -> bool {
    error.code().is_some()
        && matches!(
            error.kind(),
            ErrorKind::RemoteFault | ErrorKind::FieldUnknown | ErrorKind::ValidationRule
        )
}

async fn ask(
    session: &DynamicsSession,
    entity: &str,
    object: &str,
    more: &str,
    stats: &CallStats,
) -> Result<Vec<Deletion>> {
    let inner = format!(
        "<entity name=\"audit\"><attribute name=\"objectid\"/><attribute name=\"createdon\"/><attribute name=\"userid\"/><order attribute=\"createdon\"/><order attribute=\"auditid\"/><filter type=\"and\"><condition attribute=\"operation\" operator=\"eq\" value=\"{DELETION}\"/><condition attribute=\"objecttypecode\" operator=\"eq\" value=\"{entity}\"/>{more}</filter></entity>"
    );
    let mut deletions = Vec::new();
    rows::each(session, Inner::records(&inner), stats, |row| {
        deletions.extend(deletion(row, object));
        Ok(())
    })
    .await?;
    Ok(deletions)
}

fn deletion(row: &Row<'_>, object: &str) -> Option<Deletion> {
    let Typed::Reference { id, target, name } = row.get("objectid")? else {
        return None;
    };
    // The reference says whose identifier it is, where it says anything.
    if !target.is_empty() && target != object {
        return None;
    }
    let who = match row.get("userid") {
        Some(Typed::Reference { id, name, .. }) => {
            Some(name.clone().unwrap_or_else(|| id.to_string()))
        }
        _ => None,
    };
    // A record that is gone has its name no more on some servers: then its identifier stands there.
    let name = name.clone().filter(|name| ids::canonical(name).is_none());
    Some(Deletion {
        id: ids::canonical(id)?,
        deleted_at: Some(parse_instant(row.text("createdon")?)?),
        name: name.filter(|name| !name.is_empty()),
        deleted_by: who,
    })
}

/// Asks the organisation; a server that does not know how long it keeps its audit is asked without it.
async fn audit_of(session: &DynamicsSession, stats: &CallStats) -> Result<Audit> {
    let ask = async |more: &str| {
        let inner = format!(
            "<entity name=\"organization\"><attribute name=\"isauditenabled\"/>{more}</entity>"
        );
        let mut audit = Audit::default();
        rows::each(session, Inner::records(&inner), stats, |row| {
            audit.is_kept |= row.text("isauditenabled") == Some("true");
            let days = row.text("auditretentionperiodv2");
            audit.days = days
                .and_then(|days| days.parse().ok())
                .filter(|days| *days > 0);
            Ok(())
        })
        .await?;
        Ok::<_, Error>(audit)
    };
    match ask("<attribute name=\"auditretentionperiodv2\"/>").await {
        Err(error) if is_about_query(&error) => ask("").await,
        told => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(object: Typed<'static>, created: &'static str) -> Row<'static> {
        Row {
            id: None,
            attributes: vec![
                ("objectid".into(), object),
                ("createdon".into(), Typed::Text(created.into())),
                (
                    "userid".into(),
                    Typed::Reference {
                        id: "4026be43-6b69-e111-8f65-78e7d1620f5e".into(),
                        target: "systemuser".into(),
                        name: Some("Jane Roe".into()),
                    },
                ),
            ],
        }
    }

    fn reference(target: &'static str, name: Option<&str>) -> Typed<'static> {
        Typed::Reference {
            id: "0E76DC8A-0000-11ed-9db1-000d3a320482".into(),
            target: target.into(),
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn rows_of_the_audit_are_deletions() {
        let told = deletion(
            &row(reference("contact", Some("Ann")), "2022-05-12T22:19:12Z"),
            "contact",
        );
        let told = told.unwrap();
        assert_eq!(told.id, "0e76dc8a-0000-11ed-9db1-000d3a320482");
        assert_eq!(told.deleted_at, parse_instant("2022-05-12T22:19:12Z"));
        assert_eq!(told.name.as_deref(), Some("Ann"));
        assert_eq!(told.deleted_by.as_deref(), Some("Jane Roe"));
        let id = "0e76dc8a-0000-11ed-9db1-000d3a320482";
        let bare = deletion(
            &row(reference("", Some(id)), "2022-05-12T22:19:12Z"),
            "contact",
        );
        assert_eq!(bare.unwrap().name, None);
        for other in [
            row(reference("account", None), "2022-05-12T22:19:12Z"),
            row(reference("contact", None), "yesterday"),
            row(Typed::Null, "2022-05-12T22:19:12Z"),
            Row::default(),
        ] {
            assert_eq!(deletion(&other, "contact"), None);
        }
    }
}
