//! Which of some records are there, and what became of those whose answer was lost (spec X-6).

use super::requests::{Row, Rows};
use super::rows::{self, Inner, escaped};
use super::writing;
use crate::deparse::{field_name, object_name};
use crate::encode::Wire;
use crate::ids;
use crate::session::DynamicsSession;
use crm_core::{CallStats, Operation, Outcomes, Plain, RecordOutcome, Result, WriteBatch};
use std::collections::{HashMap, HashSet};

/// Values in one condition; each is a parameter of the server's own query, which takes some two thousand.
const AT_ONCE: usize = 500;

/// Which of several entities each identifier is of, by asking for it in each. What is nowhere is left out.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn find(
    session: &DynamicsSession,
    wanted: &HashSet<(String, String)>,
    stats: &CallStats,
) -> Result<HashSet<(String, String)>> {
    let mut by_entity: HashMap<&str, Vec<String>> = HashMap::new();
    for (id, entity) in wanted {
        by_entity.entry(entity).or_default().push(id.clone());
    }
    let mut found = HashSet::new();
    for (entity, ids) in by_entity {
        let there = existing(session, entity, &ids, stats).await?;
        found.extend(there.into_iter().map(|id| (id, entity.to_owned())));
    }
    Ok(found)
}

/// Which of these identifiers an entity has records of.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn existing(
    session: &DynamicsSession,
    object: &str,
    ids: &[String],
    stats: &CallStats,
) -> Result<HashSet<String>> {
    let mut found = HashSet::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let entity = session.entity(object, stats).await?;
    let id = field_name(&entity.primary_id)?;
    for chunk in ids.chunks(AT_ONCE) {
        let inner = listed(object, &[id], id, chunk.iter().map(String::as_str))?;
        rows::each(session, Inner::records(&inner), stats, |row| {
            let told = row.text(id).or(row.id.as_deref());
            found.extend(told.and_then(ids::canonical));
            Ok(())
        })
        .await?;
    }
    Ok(found)
}

/// The query for records whose attribute has one of these values.
fn listed<'v>(
    object: &str,
    attributes: &[&str],
    name: &str,
    values: impl Iterator<Item = &'v str>,
) -> Result<String> {
    let mut inner = format!("<entity name=\"{}\">", object_name(object)?);
    for attribute in attributes {
        inner.push_str(&format!("<attribute name=\"{attribute}\"/>"));
    }
    inner.push_str(&format!(
        "<filter><condition attribute=\"{name}\" operator=\"in\">"
    ));
    for value in values {
        inner.push_str(&format!("<value>{}</value>", escaped(value)?));
    }
    inner.push_str("</condition></filter></entity>");
    Ok(inner)
}

/// Settles the records of `batch`. An update or upsert names its record and can simply be sent again.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn settle(
    session: &DynamicsSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    let mut all = writing::rows(session, batch, stats).await?;
    // What could not be written was not sent, and stays refused.
    let rejects = std::mem::take(&mut all.rejects);
    let mut outcomes = Outcomes::new(batch.records.len(), rejects);
    match batch.operation {
        Operation::Create => created(session, batch, &all, &mut outcomes, stats).await?,
        Operation::Delete => deleted(session, batch, &all.rows, &mut outcomes, stats).await?,
        Operation::Update | Operation::Upsert => {}
    }
    Ok(outcomes.into_reply().outcomes)
}

/// Looks for created records by their identifier or key.
async fn created(
    session: &DynamicsSession,
    batch: &WriteBatch,
    all: &Rows,
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let ids: Vec<String> = all.rows.iter().filter_map(|row| row.id.clone()).collect();
    let there = existing(session, &batch.object, &ids, stats).await?;
    let keyed: Vec<&Row> = all.rows.iter().filter(|row| row.id.is_none()).collect();
    let by_key = by_key(session, batch, all, &keyed, stats).await?;
    for row in &all.rows {
        let found = match (&row.id, &row.key) {
            (Some(id), _) => Some(id).filter(|id| there.contains(*id)).cloned(),
            (None, Some(key)) => by_key.get(&letters(key)).cloned(),
            // Nobody can tell.
            (None, None) => {
                outcomes.set(row.at, RecordOutcome::Unknown);
                continue;
            }
        };
        let outcome = match found {
            Some(id) => RecordOutcome::Accepted {
                id,
                created: Some(true),
            },
            None => RecordOutcome::NotApplied,
        };
        outcomes.set(row.at, outcome);
    }
    Ok(())
}

/// Identifiers of the records with the journal keys of `rows`, by key. The CRM compares without regard to case; here
/// every letter counts.
async fn by_key(
    session: &DynamicsSession,
    batch: &WriteBatch,
    all: &Rows,
    rows: &[&Row],
    stats: &CallStats,
) -> Result<HashMap<String, String>> {
    let mut found = HashMap::new();
    let Some(journal) = &all.journal else {
        return Ok(found);
    };
    let entity = session.entity(&batch.object, stats).await?;
    let (id, name) = (field_name(&entity.primary_id)?, field_name(&journal.name)?);
    let keys: Vec<&str> = rows
        .iter()
        .filter_map(|row| {
            let key = row.key.as_ref()?;
            key.text().or_else(|| key.digits())
        })
        .collect();
    for chunk in keys.chunks(AT_ONCE) {
        let inner = listed(&batch.object, &[id, name], name, chunk.iter().copied())?;
        rows::each(session, Inner::records(&inner), stats, |row| {
            let told = row.text(id).or(row.id.as_deref()).and_then(ids::canonical);
            if let (Some(id), Some(key)) = (told, row.text(name)) {
                found.insert(plain(key), id);
            }
            Ok(())
        })
        .await?;
    }
    Ok(found)
}

/// A key as it is compared.
fn letters(key: &Wire) -> String {
    plain(key.text().or_else(|| key.digits()).unwrap_or_default())
}

/// Numbers are written in more than one way.
fn plain(text: &str) -> String {
    Plain::parse(text).map_or_else(|| text.to_owned(), |number| number.text())
}

/// A record that is still there was not deleted. Of one that is not, the audit tells whether it was deleted or never
/// was; without an audit it is gone all the same, which is what was asked for.
async fn deleted(
    session: &DynamicsSession,
    batch: &WriteBatch,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let ids: Vec<String> = rows.iter().filter_map(|row| row.id.clone()).collect();
    let there = existing(session, &batch.object, &ids, stats).await?;
    let gone: Vec<String> = ids.into_iter().filter(|id| !there.contains(id)).collect();
    let audited = super::audit::known_deletions(session, &batch.object, &gone, stats).await?;
    for row in rows {
        let Some(id) = row.id.clone().filter(|id| !there.contains(id)) else {
            continue;
        };
        if audited.as_ref().is_none_or(|audited| audited.contains(&id)) {
            outcomes.set(row.at, RecordOutcome::Accepted { id, created: None });
        }
    }
    Ok(())
}
