//! Writing: each operation by each route, what is refused, what it costs, and that no answer that is lost loses or
//! doubles a record.

use std::sync::Arc;

use crm_core::{
    CallStats, CellDecoder, Column, Conversion, ErrorKind, NoTickets, Operation, Page, QueryField,
    Raw, RecordOutcome, RemoteQuery, Route, Session, Value, WriteBatch, WriteField, WriteRecord,
    WriteReply, Zone,
};
use serde_json::json;

use crate::fixture::{Fixture, Remote, Typed, all_pages, identifier_of};

crate::for_each_fixture!(
    records_are_created_changed_and_deleted_by_each_route,
    values_of_every_type_are_read_back_as_written,
    what_is_refused_is_told_record_by_record,
    what_the_metadata_speaks_against_the_crm_refuses,
    ten_thousand_records_cost_few_calls,
    locked_records_are_sent_again_and_no_others,
    a_lost_answer_neither_loses_nor_doubles_a_record,
    what_a_call_turned_away_has_not_applied,
    deletions_whose_answer_was_lost_are_settled,
);

crate::for_each_token!(a_session_that_ends_is_renewed_while_writing);

fn field((name, remote_type): (&str, &str)) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: remote_type.into(),
        conversion: Conversion::Default,
    }
}

fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| Value::Text(text.into()))
}

/// Records of the required text, the optional one and the key; an empty text is an absent value.
pub fn batch(
    fixture: &Fixture,
    operation: Operation,
    route: Route,
    records: &[(&str, [&str; 2])],
) -> WriteBatch {
    let writes = &fixture.writes;
    WriteBatch {
        object: writes.object.into(),
        identifier: fixture.records.identifier.0.into(),
        operation,
        key_field: (operation == Operation::Upsert).then(|| field(writes.key)),
        journal_key: None,
        key_is_ours: false,
        fields: match operation {
            Operation::Delete => Vec::new(),
            _ => [writes.required, writes.optional]
                .into_iter()
                .chain(writes.also.iter().map(|also| also.0))
                .map(field)
                .collect(),
        },
        records: records
            .iter()
            .map(|(key, values)| WriteRecord {
                key: (operation != Operation::Create).then(|| Value::Text((*key).into())),
                values: match operation {
                    Operation::Delete => Vec::new(),
                    _ => values
                        .iter()
                        .copied()
                        .chain(writes.also.iter().map(|also| also.1))
                        .map(text)
                        .collect(),
                },
            })
            .collect(),
        route,
    }
}

/// Creates with the key as a third field, which the export journal may have made up.
fn journalled(fixture: &Fixture, route: Route, is_ours: bool, keys: &[&str]) -> WriteBatch {
    let records: Vec<_> = keys.iter().map(|_| ("", ["Journalled", ""])).collect();
    let mut batch = batch(fixture, Operation::Create, route, &records);
    batch.fields.push(field(fixture.writes.key));
    for (record, key) in batch.records.iter_mut().zip(keys) {
        record.values.push(text(key));
    }
    batch.journal_key = Some(fixture.writes.key.0.into());
    batch.key_is_ours = is_ours;
    batch
}

/// Lets a fault strike calls that write records.
fn strike_at(fixture: &Fixture, fault: &mut serde_json::Value) {
    fault["path"] = json!(fixture.writes.path);
    if let Some(method) = fixture.writes.method {
        fault["method"] = json!(method);
    }
}

/// Has the object described, as an export does before it writes.
async fn describe(fixture: &Fixture, session: &Arc<dyn Session>) {
    let object = [fixture.writes.object.to_owned()];
    session
        .describe(&object, &CallStats::default())
        .await
        .unwrap();
}

/// Outcomes in the end: what has no answer is settled, and sent again where it was not applied.
async fn in_the_end(session: &Arc<dyn Session>, batch: &WriteBatch) -> Vec<String> {
    let reply = write(session, batch).await;
    if reply.failure.is_none() {
        return accepted(&reply);
    }
    let stats = CallStats::default();
    let settled = session.settle(batch, None, &stats).await.unwrap();
    let id = |outcome: &RecordOutcome| match outcome {
        RecordOutcome::Accepted { id, .. } => Some(id.clone()),
        RecordOutcome::NotApplied => None,
        other => panic!("{other:?}"),
    };
    let ids: Option<Vec<String>> = settled.iter().map(id).collect();
    match ids {
        Some(ids) => ids,
        None => accepted(&write(session, batch).await),
    }
}

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

fn symbol(outcome: &RecordOutcome) -> &str {
    match outcome {
        RecordOutcome::Rejected(reject) => reject.word(),
        other => panic!("{other:?}"),
    }
}

/// The required and the optional text of records.
pub async fn stored(remote: &Remote, session: &Arc<dyn Session>, ids: &[String]) -> Vec<String> {
    let writes = &remote.fixture.writes;
    let of = |(name, remote_type): (&str, &str)| {
        QueryField::plain(name, remote_type, crm_core::ColumnType::Text)
    };
    let mut query = remote.fixture.records.query();
    query.object = writes.object.into();
    query.fields = vec![of(writes.required), of(writes.optional)];
    query.lookup = Some(ids.to_vec());
    let pages = all_pages(session, query, &Arc::default()).await;
    let cell = |column: &Column, row| column.text(row).unwrap_or("-").to_owned();
    let row = |page: &Page, row| {
        format!(
            "{} {}",
            cell(&page.columns[0], row),
            cell(&page.columns[1], row)
        )
    };
    let rows = |page: &Page| (0..page.n_rows).map(|at| row(page, at)).collect::<Vec<_>>();
    pages.iter().flat_map(rows).collect()
}

async fn records_are_created_changed_and_deleted_by_each_route(fixture: &'static Fixture) {
    for &route in fixture.writes.routes {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[]);
        let write = async |operation, records: &[(&str, [&str; 2])]| {
            write(&session, &batch(fixture, operation, route, records)).await
        };
        let reply = write(
            Operation::Create,
            &[("", ["One", "one@example.com"]), ("", ["Two", ""])],
        )
        .await;
        let ids = accepted(&reply);
        assert_ne!(ids[0], ids[1]);
        assert_eq!(
            stored(&remote, &session, &ids).await,
            ["One one@example.com", "Two -"]
        );
        // An absent value empties the field; others stay.
        let reply = write(
            Operation::Update,
            &[
                (ids[0].as_str(), ["One more", ""]),
                (ids[1].as_str(), ["Two", "two@example.com"]),
            ],
        )
        .await;
        assert_eq!(accepted(&reply), ids);
        assert_eq!(
            stored(&remote, &session, &ids).await,
            ["One more -", "Two two@example.com"]
        );
        let upserts = [("TEST-k1", ["Three", ""]), ("TEST-k2", ["Four", ""])];
        let made = accepted(&write(Operation::Upsert, &upserts).await);
        let reply = write(
            Operation::Upsert,
            &[("TEST-k2", ["Four more", ""]), ("TEST-k3", ["Five", ""])],
        )
        .await;
        let told: Vec<_> = reply
            .outcomes
            .iter()
            .map(|outcome| match outcome {
                RecordOutcome::Accepted { id, created } => (made.contains(id), *created),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(told, [(true, Some(false)), (false, Some(true))]);
        assert_eq!(
            stored(&remote, &session, &made).await,
            ["Three -", "Four more -"]
        );
        let gone = [(ids[0].as_str(), ["", ""]), (made[0].as_str(), ["", ""])];
        assert_eq!(
            accepted(&write(Operation::Delete, &gone).await),
            [ids[0].clone(), made[0].clone()]
        );
        assert!(
            stored(&remote, &session, &[ids[0].clone(), made[0].clone()])
                .await
                .is_empty()
        );
        let again = write(Operation::Delete, &gone).await;
        for outcome in &again.outcomes {
            let RecordOutcome::Rejected(reject) = outcome else {
                panic!("{outcome:?}")
            };
            assert_eq!(reject.kind, ErrorKind::RecordUnknown, "{reject:?}");
        }
    }
}

async fn values_of_every_type_are_read_back_as_written(fixture: &'static Fixture) {
    for &route in fixture.writes.routes {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[("time_zone", "America/New_York")]);
        let mut n_keys = 0;
        for typed in (fixture.writes.values)() {
            let shown = format!(
                "{:?} {:?} {:?}",
                typed.field, typed.column_type, typed.conversion
            );
            let batch = WriteBatch {
                object: fixture.writes.typed.into(),
                fields: [WriteField {
                    conversion: typed.conversion,
                    ..field(typed.field)
                }]
                .into_iter()
                .chain(fixture.writes.typed_key.map(field))
                .collect(),
                records: (typed.values.iter())
                    .map(|value| WriteRecord {
                        key: None,
                        values: [Some(value.clone())]
                            .into_iter()
                            .chain(fixture.writes.typed_key.map(|_| {
                                n_keys += 1;
                                text(&format!("TEST-{n_keys}"))
                            }))
                            .collect(),
                    })
                    .collect(),
                ..batch(fixture, Operation::Create, route, &[])
            };
            let ids = accepted(&write(&session, &batch).await);
            let columns = read(&remote, &session, &typed, &ids).await;
            let expected = expected(&typed);
            assert_eq!(columns, expected, "{shown} {route:?}");
        }
    }
}

/// One column of these records.
async fn read(
    remote: &Remote,
    session: &Arc<dyn Session>,
    typed: &Typed,
    ids: &[String],
) -> Column {
    let object = [remote.fixture.writes.typed.to_owned()];
    let described = session.describe(&object, &CallStats::default()).await;
    let query = RemoteQuery {
        object: remote.fixture.writes.typed.into(),
        identifier: identifier_of(&described.unwrap()[0]),
        fields: vec![QueryField {
            name: typed.field.0.into(),
            remote_type: typed.field.1.into(),
            column_type: typed.column_type,
            conversion: typed.conversion,
        }],
        lookup: Some(ids.to_vec()),
        ..remote.fixture.records.query()
    };
    let pages = all_pages(session, query, &Arc::default()).await;
    assert_eq!(pages.len(), 1);
    assert!(pages[0].rejects.is_empty(), "{:?}", pages[0].rejects);
    pages[0].columns[0].clone()
}

/// A column that holds the values, made without the wire's help.
fn expected(typed: &Typed) -> Column {
    let decoder = CellDecoder {
        column_type: typed.column_type,
        conversion: typed.conversion,
        zone: Zone::default(),
        separator: ';',
    };
    let mut column = Column::new(typed.column_type);
    for value in &typed.values {
        let shown = match value {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Numeric(text) | Value::Text(text) => text.clone(),
            Value::Date(day) => crm_core::format_date(*day).unwrap(),
            Value::Instant(at) | Value::Timestamp(at) => {
                crm_core::format_instant_millis(*at).unwrap()
            }
            Value::Time(time) => crm_core::format_time_millis(*time).unwrap(),
            Value::List(parts) => {
                let part = |part: &Value| match part {
                    Value::Text(text) => text.clone(),
                    other => panic!("{other:?}"),
                };
                parts.iter().map(part).collect::<Vec<_>>().join(";")
            }
            other => panic!("{other:?}"),
        };
        decoder.append(Raw::Text(&shown), &mut column).unwrap();
    }
    column
}

async fn what_is_refused_is_told_record_by_record(fixture: &'static Fixture) {
    for &route in fixture.writes.routes {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[]);
        let rule = json!({"object": fixture.writes.object, "field": fixture.writes.required.0,
            "value": "Refused by rule", "code": fixture.crm.writes.refused.0, "times": 0});
        remote.admin.record_rule(rule).await;
        let mut records = vec![("", ["Taken", ""])];
        records.extend(
            fixture
                .writes
                .refused
                .iter()
                .map(|(value, _)| ("", [*value, ""])),
        );
        records.push(("", ["Taken too", ""]));
        let reply = write(
            &session,
            &batch(fixture, Operation::Create, route, &records),
        )
        .await;
        assert!(reply.failure.is_none(), "{:?}", reply.failure);
        let last = reply.outcomes.len() - 1;
        for at in [0, last] {
            assert!(matches!(reply.outcomes[at], RecordOutcome::Accepted { .. }));
        }
        for (outcome, (value, expected)) in
            reply.outcomes[1..last].iter().zip(fixture.writes.refused)
        {
            assert_eq!(symbol(outcome), *expected, "{value}");
            let RecordOutcome::Rejected(reject) = outcome else {
                panic!("{outcome:?}")
            };
            assert_ne!(reject.kind, ErrorKind::RemoteFault, "{reject:?}");
            assert!(!reject.message.is_empty());
        }
        let unknown = [
            (fixture.writes.unknown_identifier, ["x", ""]),
            ("no identifier", ["x", ""]),
        ];
        for operation in [Operation::Update, Operation::Delete] {
            let reply = write(&session, &batch(fixture, operation, route, &unknown)).await;
            assert!(reply.failure.is_none(), "{:?}", reply.failure);
            for outcome in &reply.outcomes {
                let RecordOutcome::Rejected(reject) = outcome else {
                    panic!("{outcome:?}")
                };
                assert_eq!(
                    reject.kind,
                    ErrorKind::RecordUnknown,
                    "{operation:?} {reject:?}"
                );
            }
        }
    }
}

async fn what_the_metadata_speaks_against_the_crm_refuses(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let object = fixture.writes.typed.to_owned();
    let described = session
        .describe(&[object], &CallStats::default())
        .await
        .unwrap();
    let field = |name: &str| {
        let mut fields = described[0].fields.iter();
        fields
            .find(|field| field.name == name)
            .expect("a field")
            .clone()
    };
    let check = |name: &str, conversion, value: &Value| {
        let field = field(name);
        fixture
            .connector
            .check_value(&field, conversion, Some(value), Zone::default())
    };
    for (name, value) in (fixture.writes.unfit)() {
        let reject = check(name, Conversion::Default, &value);
        let reject = reject.unwrap_or_else(|| panic!("{name} {value:?} passes"));
        assert!(
            reject.message.contains(name) && reject.fields == [name],
            "{reject:?}"
        );
        let batch = WriteBatch {
            object: fixture.writes.typed.into(),
            fields: vec![WriteField {
                name: name.into(),
                remote_type: field(name).remote_type,
                conversion: Conversion::Default,
            }],
            records: vec![WriteRecord {
                key: None,
                values: vec![Some(value.clone())],
            }],
            ..batch(fixture, Operation::Create, Route::Calls, &[])
        };
        let reply = write(&session, &batch).await;
        let RecordOutcome::Rejected(refused) = &reply.outcomes[0] else {
            panic!("{name} {value:?}: {reply:?}")
        };
        // A CRM may put one refusal into another, and name both.
        assert!(
            refused.word() == reject.word() || refused.message.contains(reject.word()),
            "{name} {value:?}: {refused:?}"
        );
    }
    for typed in (fixture.writes.values)() {
        for value in &typed.values {
            let reject = check(typed.field.0, typed.conversion, value);
            assert_eq!(reject, None, "{:?} {value:?}", typed.field);
        }
    }
}

async fn ten_thousand_records_cost_few_calls(fixture: &'static Fixture) {
    for (&route, &most) in fixture.writes.routes.iter().zip(fixture.writes.calls) {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[]);
        let size = fixture
            .connector
            .write_limits(Operation::Create, route)
            .records;
        let stats = CallStats::default();
        let mut ids = std::collections::HashSet::new();
        for start in (0..10_000).step_by(size) {
            let names: Vec<_> = (start..10_000.min(start + size))
                .map(|n| format!("Many {n}"))
                .collect();
            let records: Vec<_> = names.iter().map(|name| ("", [name.as_str(), ""])).collect();
            let batch = batch(fixture, Operation::Create, route, &records);
            ids.extend(accepted(&session.write(&batch, &NoTickets, &stats).await));
        }
        assert_eq!(ids.len(), 10_000);
        assert!(
            stats.data_calls() <= most,
            "{route:?}: {}",
            stats.data_calls()
        );
        assert_eq!(stats.data_calls(), remote.admin.data_calls().await);
        let estimate = fixture
            .connector
            .estimate_write_calls(Operation::Create, route, 10_000.0);
        assert!(estimate <= most as f64);
    }
}

async fn locked_records_are_sent_again_and_no_others(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let rule = |times: u64| {
        json!({"object": fixture.writes.object, "field": fixture.writes.required.0, "value": "Locked",
                "code": fixture.writes.locked, "times": times})
    };
    let records = [("", ["Free", ""]), ("", ["Locked", ""])];
    let batch = batch(fixture, Operation::Create, Route::Calls, &records);
    remote.admin.record_rule(rule(1)).await;
    let stats = CallStats::default();
    accepted(&session.write(&batch, &NoTickets, &stats).await);
    assert_eq!((stats.data_calls(), stats.retries()), (2, 1));
    for name in ["Free", "Locked"] {
        let found = remote
            .admin
            .find(fixture.writes.object, fixture.writes.required.0, name)
            .await;
        assert_eq!(found.len(), 1, "{name}");
    }
    remote.admin.record_rule(rule(0)).await;
    let reply = write(&session, &batch).await;
    let RecordOutcome::Rejected(reject) = &reply.outcomes[1] else {
        panic!("{reply:?}")
    };
    assert_eq!(reject.kind, ErrorKind::RecordLocked);
}

async fn a_lost_answer_neither_loses_nor_doubles_a_record(fixture: &'static Fixture) {
    for fault in [
        json!({"kind": "lose_reply"}),
        json!({"kind": "cut", "bytes": 3}),
        json!({"kind": "malformed"}),
    ] {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[]);
        let strike = async || {
            let mut fault = fault.clone();
            strike_at(fixture, &mut fault);
            remote.admin.fault(fault).await;
        };
        let count = async |name: &str| {
            let (object, field) = (fixture.writes.object, fixture.writes.required.0);
            remote.admin.find(object, field, name).await.len()
        };
        describe(fixture, &session).await;
        // A create is not sent again: nobody knows what became of it.
        strike().await;
        let create = batch(
            fixture,
            Operation::Create,
            Route::Calls,
            &[("", ["Plain", ""])],
        );
        let reply = write(&session, &create).await;
        assert_eq!(reply.outcomes, [RecordOutcome::Unknown], "{fault}");
        assert!(reply.failure.is_some());
        assert_eq!(count("Plain").await, 1, "{fault}");
        // With a key of its own it can be found; with one that only we can have made it is sent again.
        strike().await;
        let theirs = journalled(fixture, Route::Calls, false, &["TEST-theirs"]);
        assert_eq!(
            write(&session, &theirs).await.outcomes,
            [RecordOutcome::Unknown]
        );
        let stats = CallStats::default();
        let settled = session.settle(&theirs, None, &stats).await.unwrap();
        let found = remote
            .admin
            .find(fixture.writes.object, fixture.writes.key.0, "TEST-theirs")
            .await;
        assert!(
            matches!(&settled[..], [RecordOutcome::Accepted { id, .. }] if found == [id.clone()]),
            "{settled:?}"
        );
        strike().await;
        let ours = journalled(fixture, Route::Calls, true, &["TEST-ours1", "TEST-ours2"]);
        let ids = in_the_end(&session, &ours).await;
        for (key, id) in ["TEST-ours1", "TEST-ours2"].iter().zip(&ids) {
            let found = remote
                .admin
                .find(fixture.writes.object, fixture.writes.key.0, key)
                .await;
            assert_eq!(found, std::slice::from_ref(id), "{fault}");
        }
        // The rest can be repeated.
        for operation in [Operation::Update, Operation::Upsert, Operation::Delete] {
            strike().await;
            let key = match operation {
                Operation::Upsert => "TEST-ours2",
                _ => ids[0].as_str(),
            };
            let batch = batch(fixture, operation, Route::Calls, &[(key, ["Repeated", ""])]);
            in_the_end(&session, &batch).await;
        }
        assert_eq!(count("Repeated").await, 1, "{fault}");
    }
}

async fn what_a_call_turned_away_has_not_applied(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    for (fault, n_calls) in [
        (
            json!({"kind": "status", "status": 429, "retry_after": 0, "times": 3}),
            3,
        ),
        (
            json!({"kind": "status", "status": 503, "retry_after": 0, "times": 3}),
            3,
        ),
        (json!({"kind": "status", "status": 400, "times": 3}), 1),
        (
            json!({"kind": "status", "status": 403, "times": 3}),
            fixture.writes.forbidden_calls,
        ),
        (json!({"kind": "status", "status": 414, "times": 3}), 1),
    ] {
        remote.admin.reset().await;
        let session = remote.session(&[]);
        describe(fixture, &session).await;
        let mut on = fault.clone();
        strike_at(fixture, &mut on);
        remote.admin.fault(on).await;
        let create = batch(
            fixture,
            Operation::Create,
            Route::Calls,
            &[("", ["Turned away", ""])],
        );
        let stats = CallStats::default();
        let reply = session.write(&create, &NoTickets, &stats).await;
        assert_eq!(reply.outcomes, [RecordOutcome::NotApplied], "{fault}");
        assert!(reply.failure.is_some());
        assert_eq!(stats.data_calls(), n_calls, "{fault}");
        let found = remote
            .admin
            .find(
                fixture.writes.object,
                fixture.writes.required.0,
                "Turned%20away",
            )
            .await;
        assert!(found.is_empty());
    }
}

async fn a_session_that_ends_is_renewed_while_writing(fixture: &'static Fixture) {
    for &route in fixture.writes.routes {
        let remote = Remote::start(fixture, 10).await;
        let session = remote.session(&[]);
        let create = batch(fixture, Operation::Create, route, &[("", ["First", ""])]);
        accepted(&write(&session, &create).await);
        remote.admin.expire_tokens().await;
        let create = batch(fixture, Operation::Create, route, &[("", ["Second", ""])]);
        accepted(&write(&session, &create).await);
        assert_eq!(remote.sign_ins().await, 2);
        let found = remote
            .admin
            .find(fixture.writes.object, fixture.writes.required.0, "Second")
            .await;
        assert_eq!(found.len(), 1);
    }
}

async fn deletions_whose_answer_was_lost_are_settled(fixture: &'static Fixture) {
    let remote = Remote::start(fixture, 10).await;
    let session = remote.session(&[]);
    let names = [("", ["Deleted", ""]), ("", ["Left", ""])];
    let made = batch(fixture, Operation::Create, Route::Calls, &names);
    let ids = accepted(&write(&session, &made).await);
    let of = |ids: &[&str]| {
        let records: Vec<_> = ids.iter().map(|id| (*id, ["", ""])).collect();
        batch(fixture, Operation::Delete, Route::Calls, &records)
    };
    accepted(&write(&session, &of(&[&ids[0]])).await);
    let both = of(&[&ids[0], &ids[1]]);
    let settled = session.settle(&both, None, &CallStats::default()).await;
    let settled = settled.unwrap();
    assert!(
        matches!(&settled[..], [RecordOutcome::Accepted { id, .. }, RecordOutcome::NotApplied] if *id == ids[0]),
        "{settled:?}"
    );
}
