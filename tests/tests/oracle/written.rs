//! Contacts to write, and what became of them.

use std::sync::Arc;

use crm_core::{
    CallStats, Conversion, NoTickets, Operation, RecordOutcome, Reject, Route, Session, Value,
    WriteBatch, WriteField, WriteRecord, WriteReply,
};
use serde_json::json;

use crate::company::Company;

/// Contacts with this value.
pub async fn find(company: &Company, field: &str, value: &str) -> Vec<String> {
    company.admin.find("Contact", field, value).await
}

/// Messages that were sent to write records.
pub async fn messages(company: &Company) -> u64 {
    company.admin.calls("soap_write").await
}

/// Refuses contacts with this job title.
pub async fn refuse(company: &Company, title: &str, code: &str) {
    let rule =
        json!({"object": "Contact", "field": "JobTitle", "value": title, "code": code, "times": 0});
    company.admin.record_rule(rule).await;
}

fn field(name: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: "Text (Short)".into(),
        conversion: Conversion::Default,
    }
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| Value::Text(text.into()))
}

/// Contacts with these fields, each record its key (empty for a new one) and its values, an empty text for none.
pub fn contacts(operation: Operation, fields: &[&str], records: &[(&str, &[&str])]) -> WriteBatch {
    WriteBatch {
        object: "Contact".into(),
        identifier: "Id".into(),
        operation,
        key_field: (operation == Operation::Upsert).then(|| field("ExternalSystemId")),
        journal_key: None,
        key_is_ours: false,
        fields: fields.iter().copied().map(field).collect(),
        records: records
            .iter()
            .map(|(key, values)| WriteRecord {
                key: text(key),
                values: values.iter().copied().map(text).collect(),
            })
            .collect(),
        route: Route::Calls,
    }
}

/// New contacts with these job titles, and their names.
pub fn titled(titles: &[&str]) -> WriteBatch {
    let names: Vec<_> = (0..titles.len()).map(|n| format!("Titled {n}")).collect();
    let values: Vec<[&str; 3]> = (titles.iter().zip(&names))
        .map(|(title, name)| ["Test", name, title])
        .collect();
    let records: Vec<(&str, &[&str])> = values.iter().map(|values| ("", &values[..])).collect();
    let fields = ["ContactFirstName", "ContactLastName", "JobTitle"];
    contacts(Operation::Create, &fields, &records)
}

/// Sends a batch.
pub async fn write(session: &Arc<dyn Session>, batch: &WriteBatch) -> WriteReply {
    session
        .write(batch, &NoTickets, &CallStats::default())
        .await
}

/// Identifiers of records that were all accepted.
pub fn accepted(reply: &WriteReply) -> Vec<String> {
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    let id = |outcome: &RecordOutcome| match outcome {
        RecordOutcome::Accepted { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    reply.outcomes.iter().map(id).collect()
}

/// The reject of a record.
pub fn rejected(outcome: &RecordOutcome) -> &Reject {
    match outcome {
        RecordOutcome::Rejected(reject) => reject,
        other => panic!("{other:?}"),
    }
}
