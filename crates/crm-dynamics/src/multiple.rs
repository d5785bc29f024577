//! Records written by one action for all of them (Dynamics page, section 7.5): quicker in the CRM, all or nothing, and
//! without a word about single records. Only where the option `bulk_actions` asks for it.
//!
//! Whatever goes wrong, the records are sent once more in the usual way, which tells of each: so records alone that
//! have an identifier beforehand go like this.

use crate::plan::Form;
use crate::rows::{Row, Rows};
use crate::session::DynamicsSession;
use crm_core::{CallStats, ErrorKind, Outcomes, RecordOutcome, json};
use crm_http::{Call, Method, StatusCode};
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Fewer records are not worth the risk of being sent twice.
const FEWEST: usize = 10;

/// Objects whose records no such action writes, as far as it has been tried in a session.
#[derive(Debug, Default)]
pub(crate) struct Refusers(Mutex<HashSet<String>>);

impl Refusers {
    fn has(&self, object: &str) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(object)
    }

    fn add(&self, object: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(object.to_owned());
    }
}

/// What became of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// All records are written; their outcomes are known.
    Written,
    /// Not tried, or certainly nothing was written.
    Nothing,
    /// Nobody knows.
    Lost,
    /// The account may make no more calls; the records' outcomes are known.
    Failed,
}

/// Writes rows by one action, if that is wanted and can be.
pub(crate) async fn send(
    session: &DynamicsSession,
    object: &str,
    all: &Rows,
    rows: &[Row],
    outcomes: &mut Outcomes,
    stats: &CallStats,
) -> Tried {
    let Some(action) = action_of(all) else {
        return Tried::Nothing;
    };
    let is_wanted = session.account().boolean("bulk_actions", false) && rows.len() >= FEWEST;
    if !is_wanted || session.refusers().has(object) {
        return Tried::Nothing;
    }
    let Some(body) = body(all, object, rows) else {
        return Tried::Nothing;
    };
    let path = session.path(&format!("{}/Microsoft.Dynamics.CRM.{action}", all.set));
    let call = Call::new(Method::POST, path)
        .body("application/json; charset=utf-8", body)
        .for_data()
        .once();
    let trouble = match session.exchange(&call, stats).await {
        Ok(answered) if all.form != Form::Create || n_made(&answered.reply.body) == rows.len() => {
            for row in rows {
                let id = row.id.clone().unwrap_or_default();
                let created = match all.form {
                    Form::Create => Some(true),
                    Form::Update => Some(false),
                    _ => None,
                };
                outcomes.set(row.at, RecordOutcome::Accepted { id, created });
            }
            return Tried::Written;
        }
        Ok(_) => return Tried::Lost,
        Err(trouble) => trouble,
    };
    let is_unknown_here = matches!(
        trouble.status,
        Some(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
    );
    if is_unknown_here {
        session.refusers().add(object);
        return Tried::Nothing;
    }
    if trouble.may_be_done {
        return Tried::Lost;
    }
    let is_of_the_account = matches!(
        trouble.error.kind(),
        ErrorKind::AllotmentUsedUp
            | ErrorKind::CannotConnect
            | ErrorKind::ConnectionLost
            | ErrorKind::LoginRefused
    );
    if !is_of_the_account {
        return Tried::Nothing;
    }
    outcomes.fail(trouble.error);
    Tried::Failed
}

fn action_of(all: &Rows) -> Option<&'static str> {
    match all.form {
        Form::Create if all.ids_are_ours => Some("CreateMultiple"),
        Form::Update => Some("UpdateMultiple"),
        Form::Upsert => Some("UpsertMultiple"),
        // Standard tables have no such action.
        Form::Create | Form::Delete => None,
    }
}

/// All records, each with its type and identifier; nothing where one has none.
fn body(all: &Rows, object: &str, rows: &[Row]) -> Option<String> {
    let mut body = String::from("{\"Targets\":[");
    for (at, row) in rows.iter().enumerate() {
        let (id, record) = (row.id.as_deref()?, row.part.body.as_deref()?);
        let properties = record.strip_prefix('{')?;
        if at > 0 {
            body.push(',');
        }
        body.push_str("{\"@odata.type\":");
        json::push_text(&format!("Microsoft.Dynamics.CRM.{object}"), &mut body);
        // A new record says its identifier itself.
        if all.form != Form::Create {
            body.push(',');
            json::push_text(&all.primary_id, &mut body);
            body.push(':');
            json::push_text(id, &mut body);
        }
        if properties != "}" {
            body.push(',');
        }
        body.push_str(properties);
    }
    body.push_str("]}");
    Some(body)
}

/// How many records the reply says were made.
fn n_made(body: &[u8]) -> usize {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Made {
        ids: Vec<String>,
    }
    serde_json::from_slice::<Made>(body).map_or(0, |made| made.ids.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Entity;
    use crate::testkit::{self, in_parts, requests};
    use crm_core::{
        Conversion, Operation, Route, Value, WriteBatch, WriteField, WriteRecord, WriteReply,
    };
    use crm_http::testkit::{Answer, Seen, Server};
    use std::sync::atomic::{AtomicUsize, Ordering};

    const N: usize = 12;
    const ACTION: &str = "/contacts/Microsoft.Dynamics.CRM.CreateMultiple";

    fn id(at: usize) -> String {
        format!("00000000-0000-4000-8000-0000000000{at:02}")
    }

    /// Creates with identifiers of ours, or changes of these records.
    fn batch(operation: Operation) -> WriteBatch {
        let field = |name: &str, remote_type: &str| WriteField {
            name: name.into(),
            remote_type: remote_type.into(),
            conversion: Conversion::Default,
        };
        let is_new = operation == Operation::Create;
        let mut fields = vec![field("lastname", "StringType")];
        if is_new {
            fields.push(field("contactid", "UniqueidentifierType"));
        }
        let record = |at: usize| {
            let mut values = vec![Some(Value::Text(format!("Name {at}")))];
            values.extend(is_new.then(|| Some(Value::Text(id(at)))));
            WriteRecord {
                key: (!is_new).then(|| Value::Text(id(at))),
                values,
            }
        };
        WriteBatch {
            object: "contact".into(),
            identifier: "contactid".into(),
            operation,
            key_field: None,
            journal_key: is_new.then(|| "contactid".into()),
            key_is_ours: is_new,
            fields,
            records: (0..N).map(record).collect(),
            route: Route::Calls,
        }
    }

    /// Writes once or twice where the action is answered like this and each record of the n-th batch like that; and what
    /// was asked.
    async fn write(
        batch: &WriteBatch,
        n_times: usize,
        action: Answer,
        record: fn(usize, usize) -> &'static str,
    ) -> (WriteReply, Vec<Seen>) {
        let n_batches = AtomicUsize::new(0);
        let answering = move |seen: &Seen| match seen.target.as_str() {
            target if target.ends_with("/token") => testkit::token(),
            target if target.ends_with("/$batch") => {
                let n_before = n_batches.fetch_add(1, Ordering::Relaxed);
                let n_asked = requests(&seen.body).len();
                in_parts(200, (0..n_asked).map(|at| record(n_before, at)))
            }
            _ => action.clone(),
        };
        let server = Server::start(answering).await.unwrap();
        let mut entity = Entity {
            set: "contacts".into(),
            primary_id: "contactid".into(),
            ..Entity::default()
        };
        entity.object.summary.name = "contact".into();
        let session = testkit::session_with(&server, entity, &[("bulk_actions", "true")]);
        let stats = CallStats::default();
        let mut reply = crate::write::write(&session, batch, &stats).await;
        for _ in 1..n_times {
            reply = crate::write::write(&session, batch, &stats).await;
        }
        let seen = server.seen().into_iter();
        (
            reply,
            seen.filter(|seen| !seen.target.ends_with("/token"))
                .collect(),
        )
    }

    fn all_accepted(reply: &WriteReply, created: bool) -> bool {
        assert!(reply.failure.is_none(), "{:?}", reply.failure);
        reply.outcomes.iter().enumerate().all(|(at, outcome)| {
            *outcome
                == RecordOutcome::Accepted {
                    id: id(at),
                    created: Some(created),
                }
        })
    }

    fn made() -> Answer {
        let ids: Vec<String> = (0..N).map(|at| format!("\"{}\"", id(at))).collect();
        Answer::new(200, format!("{{\"Ids\":[{}]}}", ids.join(",")))
    }

    const DONE: &str = "204 No Content\n\n";

    #[tokio::test]
    async fn one_action_writes_all_records() {
        let (reply, seen) = write(&batch(Operation::Create), 1, made(), |_, _| DONE).await;
        assert!(all_accepted(&reply, true));
        assert_eq!(seen.len(), 1);
        assert!(seen[0].target.ends_with(ACTION), "{}", seen[0].target);
        let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
        let last = &body["Targets"][N - 1];
        assert_eq!(last["@odata.type"], "Microsoft.Dynamics.CRM.contact");
        assert_eq!(
            (&last["contactid"], &last["lastname"]),
            (&id(11).into(), &"Name 11".into())
        );
        let nothing = Answer::new(204, "");
        let (reply, seen) = write(&batch(Operation::Update), 1, nothing, |_, _| DONE).await;
        assert!(all_accepted(&reply, false));
        assert!(seen[0].target.ends_with("UpdateMultiple"));
        let body: serde_json::Value = serde_json::from_str(&seen[0].body).unwrap();
        assert_eq!(body["Targets"][0]["contactid"], id(0));
        let mut few = batch(Operation::Update);
        few.records.truncate(FEWEST - 1);
        let (_, seen) = write(&few, 1, made(), |_, _| DONE).await;
        assert!(seen[0].target.ends_with("/$batch"));
    }

    #[tokio::test]
    async fn what_is_refused_as_a_whole_is_told_record_by_record() {
        let refused = Answer::new(
            400,
            r#"{"error":{"code":"0x80044331","message":"too long"}}"#,
        );
        let record = |_: usize, at: usize| match at {
            3 => {
                "400 Bad Request\n\n{\"error\":{\"code\":\"0x80044331\",\"message\":\"too long\"}}"
            }
            _ => DONE,
        };
        let (reply, seen) = write(&batch(Operation::Create), 2, refused, record).await;
        assert!(reply.failure.is_none());
        for (at, outcome) in reply.outcomes.iter().enumerate() {
            let is_rejected = matches!(outcome, RecordOutcome::Rejected(_));
            assert_eq!(is_rejected, at == 3, "{at} {outcome:?}");
        }
        assert_eq!(seen.len(), 4, "the action is tried with each batch");
        // An object without the action is not asked for it again.
        for status in [404, 405, 501] {
            let (reply, seen) = write(
                &batch(Operation::Create),
                2,
                Answer::new(status, ""),
                |_, _| DONE,
            )
            .await;
            assert!(all_accepted(&reply, true));
            assert_eq!(seen.len(), 3, "{status}");
        }
    }

    #[tokio::test]
    async fn a_lost_answer_is_settled_by_the_usual_way() {
        const TAKEN: &str = "412 Precondition Failed\n\n{\"error\":{\"code\":\"0x80040237\",\"message\":\"Cannot insert duplicate key.\"}}";
        const THERE: &str = "200 OK\n\n{}";
        for lost in [
            Answer::cut("{\"Ids\":[]}"),
            Answer::new(500, ""),
            Answer::new(200, "<html>"),
            Answer::new(200, "{\"Ids\":[]}"),
        ] {
            // All were made; the batch is refused, and the look for them finds them.
            let shown = format!("{lost:?}");
            let record = |n_before: usize, _: usize| if n_before == 0 { TAKEN } else { THERE };
            let (reply, seen) = write(&batch(Operation::Create), 1, lost, record).await;
            assert!(all_accepted(&reply, true), "{shown}");
            assert_eq!(seen.len(), 3, "{shown}");
        }
    }
}
