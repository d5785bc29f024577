//! Deleted records of a period (L-1): the audit lists them, where it is kept (Dynamics page, section 8).

use crate::audited::{Audit, DELETION, Period, about_audit};
use crate::records::{self, Record};
use crate::session::DynamicsSession;
use crate::{deparse, ids};
use crm_core::{CallStats, Deletion, Deletions, Error, ErrorKind, Result, parse_instant};
use std::collections::HashSet;

/// Identifiers that the audit is asked for at once; each takes 60 characters of an address.
const AT_ONCE: usize = 200;
/// The annotation that says what people read.
const FORMATTED: &str = "OData.Community.Display.V1.FormattedValue";

/// Records deleted in a period, both ends included to the second, and who deleted them. A record that was made again
/// since is still listed.
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
    let filter = format!(
        "{} and createdon ge {} and createdon lt {}",
        of_object(object),
        period.first,
        period.behind
    );
    let link = session.path(&format!(
        "audits?$select=_objectid_value,createdon,_userid_value&$filter={}&$orderby={}",
        deparse::encode(&filter),
        deparse::encode("createdon asc,auditid asc")
    ));
    let annotations = [FORMATTED, "Microsoft.Dynamics.CRM.lookuplogicalname"];
    records::each(session, link, &annotations, stats, |record| {
        if is_of(record, object)
            && let Some(deletion) = deletion(record)
        {
            period.found.add(deletion);
        }
    })
    .await
    .map_err(about_audit)?;
    Ok(period.deletions(audit, session.presumed_now()))
}

/// Which of these records of an audited table the audit says were deleted; nothing where it cannot be asked.
///
/// # Errors
/// As [`DynamicsSession::call`].
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
        let wanted: Vec<String> = (chunk.iter())
            .map(|id| format!("_objectid_value eq {id}"))
            .collect();
        let filter = format!("{} and ({})", of_object(object), wanted.join(" or "));
        let link = session.path(&format!(
            "audits?$select=_objectid_value&$filter={}",
            deparse::encode(&filter)
        ));
        let asked = records::each(session, link, &[], stats, |record| {
            deleted.extend(record.text("_objectid_value").and_then(ids::canonical));
        })
        .await;
        match asked {
            Err(error) if error.kind() == ErrorKind::NotPermitted => return Ok(None),
            other => other?,
        }
    }
    Ok(Some(deleted))
}

fn of_object(object: &str) -> String {
    format!("operation eq {DELETION} and objecttypecode eq '{object}'")
}

/// The lookup says whose identifier it is, where it says anything.
fn is_of(record: &Record<'_>, object: &str) -> bool {
    let told = record.text("_objectid_value@Microsoft.Dynamics.CRM.lookuplogicalname");
    told.is_none_or(|told| told == object)
}

fn deletion(record: &Record<'_>) -> Option<Deletion> {
    let formatted = |name: &str| record.text(&format!("{name}@{FORMATTED}"));
    let id = ids::canonical(record.text("_objectid_value")?)?;
    // A record that is gone has its name no more on some servers: then its identifier stands there.
    let name = formatted("_objectid_value").filter(|name| ids::canonical(name).is_none());
    let who = formatted("_userid_value").or_else(|| record.text("_userid_value"));
    Some(Deletion {
        deleted_at: Some(parse_instant(record.text("createdon")?)?),
        name: name.map(str::to_owned),
        deleted_by: who.map(str::to_owned),
        id,
    })
}

/// Asks the organisation; a server that does not know how long it keeps its audit is asked without it.
async fn audit_of(session: &DynamicsSession, stats: &CallStats) -> Result<Audit> {
    let ask = async |columns: &str| {
        let link = session.path(&format!("organizations?$select={columns}"));
        let mut audit = Audit::default();
        records::each(session, link, &[], stats, |record| {
            audit.is_kept |= record.truth("isauditenabled") == Some(true);
            let days = record.number("auditretentionperiodv2");
            audit.days = days.filter(|days| *days > 0);
        })
        .await?;
        Ok::<_, Error>(audit)
    };
    match ask("isauditenabled,auditretentionperiodv2").await {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::FieldUnknown | ErrorKind::RemoteFault
            ) =>
        {
            ask("isauditenabled").await
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_audit_are_deletions() {
        let read = |json: &str| {
            let record = serde_json::from_str(json).unwrap();
            let record = Record::of(&record);
            is_of(&record, "contact")
                .then(|| deletion(&record))
                .flatten()
        };
        let told = read(
            r#"{"_objectid_value@Microsoft.Dynamics.CRM.lookuplogicalname":"contact",
            "_objectid_value@OData.Community.Display.V1.FormattedValue":"Ann",
            "_objectid_value":"0E76DC8A-0000-11ed-9db1-000d3a320482","createdon":"2022-05-12T22:19:12Z",
            "_userid_value@OData.Community.Display.V1.FormattedValue":"Jane Roe",
            "_userid_value":"4026be43-6b69-e111-8f65-78e7d1620f5e","attributemask":"47,45"}"#,
        )
        .unwrap();
        assert_eq!(told.id, "0e76dc8a-0000-11ed-9db1-000d3a320482");
        assert_eq!(told.deleted_at, parse_instant("2022-05-12T22:19:12Z"));
        assert_eq!(told.name.as_deref(), Some("Ann"));
        assert_eq!(told.deleted_by.as_deref(), Some("Jane Roe"));
        let bare = read(
            r#"{"_objectid_value":"0e76dc8a-0000-11ed-9db1-000d3a320482","createdon":"2022-05-12T22:19:12Z",
            "_objectid_value@OData.Community.Display.V1.FormattedValue":"0e76dc8a-0000-11ed-9db1-000d3a320482",
            "_userid_value":"4026be43-6b69-e111-8f65-78e7d1620f5e"}"#,
        )
        .unwrap();
        assert_eq!(bare.name, None);
        assert!(bare.deleted_by.is_some());
        for other in [
            r#"{"_objectid_value@Microsoft.Dynamics.CRM.lookuplogicalname":"account","_objectid_value":"0e76dc8a-0000-11ed-9db1-000d3a320482","createdon":"2022-05-12T22:19:12Z"}"#,
            r#"{"_objectid_value":null,"createdon":"2022-05-12T22:19:12Z"}"#,
            r#"{"_objectid_value":"0e76dc8a-0000-11ed-9db1-000d3a320482","createdon":"yesterday"}"#,
            "{}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
