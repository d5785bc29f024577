//! What became of records whose answer was lost (spec X-6): the CRM is asked for them by their identifiers or keys.
//!
//! An update or upsert names its record and can simply be sent again. Of a create without an identifier or key of its
//! own nobody can tell.

use crate::batch::{self, Part};
use crate::encode::Wire;
use crate::rows::{Look, Row};
use crate::session::DynamicsSession;
use crate::write::rows;
use crate::{deleted, ids, navigation};
use crm_core::{CallStats, Operation, Outcomes, Plain, RecordOutcome, Result, WriteBatch, json};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Settles the records of `batch`.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn settle(
    session: &DynamicsSession,
    batch: &WriteBatch,
    stats: &CallStats,
) -> Result<Vec<RecordOutcome>> {
    let mut all = rows(session, batch, stats).await?;
    // What could not be written was not sent, and stays refused.
    let rejects = std::mem::take(&mut all.rejects);
    let mut outcomes = Outcomes::new(batch.records.len(), rejects);
    match batch.operation {
        Operation::Create => look_for(session, &all.rows, &mut outcomes, stats).await?,
        Operation::Delete => {
            look_for_deleted(session, batch, &all.rows, &mut outcomes, stats).await?;
        }
        // It names its record and leaves the same when it is sent again.
        Operation::Update | Operation::Upsert => {}
    }
    Ok(outcomes.into_reply().outcomes)
}

/// Looks for created records by their identifier or key.
async fn look_for(
    session: &DynamicsSession,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    for row in rows.iter().filter(|row| row.look.is_none()) {
        outcomes.set(row.at, RecordOutcome::Unknown);
    }
    for (row, found) in look(session, rows, stats).await? {
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

/// A record that is still there was not deleted. Of one that is not, the audit tells whether it was deleted or never
/// was; without an audit it is gone all the same, which is what was asked for.
async fn look_for_deleted(
    session: &DynamicsSession,
    batch: &WriteBatch,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Result<()> {
    let looked = look(session, rows, stats).await?;
    let gone: Vec<&Row> = (looked.into_iter())
        .filter(|(_, found)| found.is_none())
        .map(|(row, _)| row)
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = gone.iter().filter_map(|row| row.id.clone()).collect();
    let audited = deleted::known_deletions(session, &batch.object, &ids, stats).await?;
    for row in gone {
        let id = row.id.clone().unwrap_or_default();
        if audited.as_ref().is_none_or(|audited| audited.contains(&id)) {
            outcomes.set(row.at, RecordOutcome::Accepted { id, created: None });
        }
    }
    Ok(())
}

/// The identifiers of the records that are there, for those rows that can be looked for.
async fn look<'r>(
    session: &DynamicsSession,
    rows: &'r [Row],
    stats: &CallStats,
) -> Result<Vec<(&'r Row, Option<String>)>> {
    let wanted: Vec<(&Row, &Look, Part)> = (rows.iter())
        .filter_map(|row| {
            let look = row.look.as_ref()?;
            Some((row, look, Part::get(look.target.clone())))
        })
        .collect();
    let mut found = Vec::with_capacity(wanted.len());
    for chunk in wanted.chunks(batch::LARGEST_BATCH) {
        let parts: Vec<Part> = chunk.iter().map(|(_, _, part)| part.clone()).collect();
        let ids = navigation::read(session, &parts, stats, |at, body| {
            let (row, look, _) = &chunk[at];
            match &look.key {
                None => Ok(row.id.clone()),
                Some((property, value)) => id_in_list(body, property, value),
            }
        })
        .await?;
        found.extend(chunk.iter().map(|(row, _, _)| *row).zip(ids));
    }
    Ok(found)
}

#[derive(Deserialize)]
struct List {
    value: Vec<Map<String, Value>>,
}

/// The identifier of the record in a list whose property has this value letter for letter: the CRM compares without
/// regard to case.
fn id_in_list(body: &[u8], property: &str, value: &Wire) -> Result<Option<String>> {
    let list: List = json::parse(body, "records")?;
    let has_value = |record: &&Map<String, Value>| match (record.get(property), value) {
        (Some(Value::Number(told)), wire) => {
            let told = Plain::parse(&told.to_string()).map(|number| number.text());
            told.is_some() && told == wire.digits().and_then(Plain::parse).map(|n| n.text())
        }
        (Some(Value::String(told)), wire) => wire.text() == Some(told.as_str()),
        _ => false,
    };
    let found = list.value.iter().find(has_value);
    Ok(found.and_then(|record| {
        let others = |name: &str| name == property || name.contains('@') || name.starts_with('_');
        let mut properties = record.iter().filter(|(name, _)| !others(name));
        properties.find_map(|(_, value)| ids::canonical(value.as_str()?))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_compared_letter_for_letter() {
        let body = br#"{"value":[
            {"@odata.etag":"W/\"1\"","new_key":"ABC","contactid":"00000000-0000-0000-0000-000000000001"},
            {"@odata.etag":"W/\"2\"","new_key":"abc","contactid":"00000000-0000-0000-0000-000000000002"}]}"#;
        let id = |text: &str| id_in_list(body, "new_key", &Wire::Text(text.into())).unwrap();
        assert_eq!(id("abc").unwrap(), "00000000-0000-0000-0000-000000000002");
        assert_eq!(id("Abc"), None);
        let body =
            br#"{"value":[{"n":20000.50,"contactid":"00000000-0000-0000-0000-000000000003"}]}"#;
        let number = id_in_list(body, "n", &Wire::Number("20000.5".into())).unwrap();
        assert_eq!(number.unwrap(), "00000000-0000-0000-0000-000000000003");
        assert!(id_in_list(b"<html>", "n", &Wire::Null).is_err());
    }
}
