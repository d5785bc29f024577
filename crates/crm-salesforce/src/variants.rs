//! Which values of a picklist each record type offers (Salesforce page 3.5): the user interface's API tells, for fewer
//! objects than can be described.

use crate::session::SalesforceSession;
use crate::{deparse, ids};
use crm_core::json;
use crm_core::{CallStats, ErrorKind, RemoteObject, Result};
use crm_http::Call;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};

/// Values by field, for one record type.
type Offered = HashMap<String, HashSet<String>>;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    picklist_field_values: Option<HashMap<String, Picklist>>,
}

#[derive(Deserialize)]
struct Picklist {
    #[serde(default)]
    values: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    value: String,
}

/// Asks for each active record type; an object that this API does not know stays as it was described.
///
/// # Errors
/// When the account cannot be reached or may make no more calls.
pub(crate) async fn fill(
    session: &SalesforceSession,
    mut object: RemoteObject,
    stats: &CallStats,
) -> Result<RemoteObject> {
    if !object
        .fields
        .iter()
        .any(|field| field.enumeration.is_some())
    {
        return Ok(object);
    }
    let mut told: Vec<(String, Offered)> = Vec::new();
    for variant in object.variants.iter().filter(|variant| variant.active) {
        let Some(id) = ids::canonical(&variant.id) else {
            continue;
        };
        match ask(session, &object.summary.name, &id, stats).await {
            Ok(Some(offered)) => told.push((variant.name.clone(), offered)),
            Ok(None) => return Ok(object),
            Err(error) if is_of_the_account(error.kind()) => {
                return Err(error.in_context(format!("object \"{}\"", object.summary.name)));
            }
            Err(_) => return Ok(object),
        }
    }
    apply(&mut object, &told);
    Ok(object)
}

async fn ask(
    session: &SalesforceSession,
    object: &str,
    record_type: &str,
    stats: &CallStats,
) -> Result<Option<Offered>> {
    let object = deparse::object_name(object)?;
    let rest = format!("ui-api/object-info/{object}/picklist-values/{record_type}");
    let reply = session.call(&Call::get(session.path(&rest)), stats).await?;
    let reply: Reply = json::parse(&reply.body, "the values of a record type")?;
    let values_of = |list: Picklist| list.values.into_iter().map(|entry| entry.value).collect();
    Ok(reply.picklist_field_values.map(|fields| {
        let by_field = fields.into_iter();
        by_field
            .map(|(name, list)| (name, values_of(list)))
            .collect()
    }))
}

/// Nothing about the object: the next one would fare the same.
fn is_of_the_account(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::CannotConnect
            | ErrorKind::ConnectionLost
            | ErrorKind::LoginRefused
            | ErrorKind::AllotmentUsedUp
            | ErrorKind::Undecodable
    )
}

fn apply(object: &mut RemoteObject, told: &[(String, Offered)]) {
    for field in &mut object.fields {
        // A field that no record type tells of is offered whole everywhere, or nobody knows.
        if !told
            .iter()
            .any(|(_, offered)| offered.contains_key(&field.name))
        {
            continue;
        }
        for value in &mut field.values {
            let offers = |offered: &Offered| {
                let values = offered.get(&field.name);
                values.is_some_and(|values| values.contains(&value.value))
            };
            let names = told.iter().filter(|(_, offered)| offers(offered));
            value.variants = Some(names.map(|(name, _)| name.clone()).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe;

    #[test]
    fn values_know_the_record_types_that_offer_them() {
        let body = br#"{"name":"X__c","fields":[
            {"name":"City__c","type":"picklist","picklistValues":[{"value":"Paris","active":true},{"value":"Rome","active":true}]},
            {"name":"Other__c","type":"picklist","picklistValues":[{"value":"a","active":true}]}]}"#;
        let mut object = describe::object(body).unwrap();
        let offered = |values: &[&str]| {
            let values = values.iter().map(ToString::to_string).collect();
            Offered::from([("City__c".to_owned(), values)])
        };
        let told = [
            ("North".to_owned(), offered(&["Paris"])),
            ("South".to_owned(), offered(&["Paris", "Rome"])),
        ];
        apply(&mut object, &told);
        let variants =
            |field: usize, value: usize| object.fields[field].values[value].variants.clone();
        assert_eq!(variants(0, 0), Some(vec!["North".into(), "South".into()]));
        assert_eq!(variants(0, 1), Some(vec!["South".into()]));
        assert_eq!(variants(1, 0), None);
    }
}
