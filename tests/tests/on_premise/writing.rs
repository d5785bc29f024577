//! What is written by one way is read by another; deletions are found in the audit.

use std::sync::Arc;

use crm_core::{
    CallStats, Conversion, ErrorKind, NoTickets, Operation, RecordOutcome, RemoteQuery, Route,
    Session, Value, WriteBatch, WriteField, WriteRecord,
};

use super::{Organisation, WAYS, Way, query_of, read};

fn batch(operation: Operation, fields: &[(&str, &str)], records: Vec<WriteRecord>) -> WriteBatch {
    WriteBatch {
        object: "contact".into(),
        identifier: "contactid".into(),
        operation,
        key_field: None,
        journal_key: None,
        key_is_ours: false,
        fields: fields
            .iter()
            .map(|(name, remote_type)| WriteField {
                name: (*name).into(),
                remote_type: (*remote_type).into(),
                conversion: Conversion::Default,
            })
            .collect(),
        records,
        route: Route::Calls,
    }
}

fn record(key: Option<&str>, values: Vec<Option<Value>>) -> WriteRecord {
    WriteRecord {
        key: key.map(|key| Value::Text(key.into())),
        values,
    }
}

fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}

async fn written(session: &Arc<dyn Session>, batch: &WriteBatch) -> Vec<RecordOutcome> {
    let reply = session
        .write(batch, &NoTickets, &CallStats::default())
        .await;
    assert!(reply.failure.is_none(), "{:?}", reply.failure);
    reply.outcomes
}

fn id_of(outcome: &RecordOutcome) -> String {
    match outcome {
        RecordOutcome::Accepted { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    }
}

/// Last and first name, as the other transport tells them.
async fn names(session: &Arc<dyn Session>, id: &str) -> Option<(Option<String>, Option<String>)> {
    let fields = ["lastname", "firstname"]
        .map(|name| crm_core::QueryField::plain(name, "StringType", crm_core::ColumnType::Text));
    let query = RemoteQuery {
        lookup: Some(vec![id.to_owned()]),
        ..RemoteQuery::all("contact", "contactid", fields.to_vec())
    };
    let pages = read(session, query).await.unwrap();
    let page = pages.first()?;
    let of = |column: usize| page.columns[column].text(0).map(str::to_owned);
    Some((of(0), of(1)))
}

const FIELDS: [(&str, &str); 2] = [("lastname", "StringType"), ("firstname", "StringType")];

#[tokio::test(flavor = "multi_thread")]
async fn records_live_and_die_by_every_way() {
    let place = Organisation::start(0).await;
    for way in WAYS {
        let session = place.session(way);
        let other = place.session(if way == Way::Ntlm {
            Way::WsTrust
        } else {
            Way::Ntlm
        });
        let long = "x".repeat(200);
        let create = batch(
            Operation::Create,
            &FIELDS,
            vec![
                record(None, vec![text("Ünïcode <&> \"x\""), text("A")]),
                record(None, vec![text(&long), text("B")]),
                record(None, vec![text("Third"), None]),
            ],
        );
        let outcomes = written(&session, &create).await;
        let id = id_of(&outcomes[0]);
        match &outcomes[1] {
            RecordOutcome::Rejected(reject) => {
                assert_eq!(reject.kind, ErrorKind::TextTooLong, "{way:?} {reject:?}");
            }
            other => panic!("{way:?} {other:?}"),
        }
        let known = names(&other, &id).await.unwrap();
        assert_eq!(
            known,
            (Some("Ünïcode <&> \"x\"".into()), Some("A".into())),
            "{way:?}"
        );

        let update = batch(
            Operation::Update,
            &FIELDS[1..],
            vec![
                record(Some(&id), vec![None]),
                record(
                    Some("00000000-0000-4000-8000-0000000000aa"),
                    vec![text("x")],
                ),
            ],
        );
        let outcomes = written(&session, &update).await;
        assert_eq!(id_of(&outcomes[0]), id);
        match &outcomes[1] {
            RecordOutcome::Rejected(reject) => {
                assert_eq!(reject.kind, ErrorKind::RecordUnknown, "{way:?} {reject:?}");
            }
            other => panic!("{way:?} {other:?}"),
        }
        assert_eq!(names(&other, &id).await.unwrap().1, None, "{way:?}");
        assert!(
            names(&other, "00000000-0000-4000-8000-0000000000aa")
                .await
                .is_none(),
            "{way:?}"
        );

        let delete = batch(Operation::Delete, &[], vec![record(Some(&id), vec![])]);
        assert_eq!(id_of(&written(&session, &delete).await[0]), id);
        assert!(names(&other, &id).await.is_none(), "{way:?}");
        let stats = CallStats::default();
        let now = session.clock(&stats).await.unwrap();
        let hour = 3_600_000_000;
        let deleted = session
            .deleted("contact", now - hour, now + hour, &stats)
            .await;
        let deleted = deleted.unwrap_or_else(|error| panic!("{way:?} {error:?}"));
        let found = deleted.records.iter().find(|deletion| deletion.id == id);
        assert!(
            found.is_some_and(|deletion| deletion.deleted_by.is_some()),
            "{way:?} {deleted:?}"
        );
    }
    place.nothing_was_misplaced().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn identifiers_of_ours_are_never_written_twice() {
    let place = Organisation::start(0).await;
    for (n, way) in WAYS.into_iter().enumerate() {
        let session = place.session(way);
        let id = format!("00000000-0000-4000-8000-0000000000b{n}");
        let fields = [("contactid", "UniqueidentifierType"), FIELDS[0]];
        let values = |name: &str| vec![text(&id), text(name)];
        let mut create = batch(
            Operation::Create,
            &fields,
            vec![record(None, values("first"))],
        );
        create.journal_key = Some("contactid".into());
        create.key_is_ours = true;
        let stats = CallStats::default();
        let before = session.settle(&create, None, &stats).await.unwrap();
        assert_eq!(before, [RecordOutcome::NotApplied], "{way:?}");
        assert_eq!(id_of(&written(&session, &create).await[0]), id, "{way:?}");
        // A second try of the same record finds the first; the record stays as it is.
        create.records[0].values = values("second");
        assert_eq!(id_of(&written(&session, &create).await[0]), id, "{way:?}");
        assert_eq!(
            names(&session, &id).await.unwrap().0.as_deref(),
            Some("first")
        );
        let after = session.settle(&create, None, &stats).await.unwrap();
        assert_eq!(id_of(&after[0]), id, "{way:?}");
        // Given by the user, it is an upsert.
        let mut upsert = batch(
            Operation::Upsert,
            &FIELDS[..1],
            vec![record(Some(&id), vec![text("third")])],
        );
        upsert.key_field = Some(WriteField {
            name: "contactid".into(),
            remote_type: "UniqueidentifierType".into(),
            conversion: Conversion::Default,
        });
        assert_eq!(id_of(&written(&session, &upsert).await[0]), id, "{way:?}");
        assert_eq!(
            names(&session, &id).await.unwrap().0.as_deref(),
            Some("third")
        );
    }
}

/// Identifiers of changed and of deleted records, and the token for the next time.
async fn changes(
    session: &Arc<dyn Session>,
    query: &RemoteQuery,
    token: Option<&str>,
) -> crm_core::Result<(Vec<String>, Vec<String>, String)> {
    let stats = Arc::new(CallStats::default());
    let stream = Arc::clone(session).changes(query.clone(), token.map(str::to_owned), stats);
    let mut stream = stream.expect("change tokens");
    let (mut changed, mut deleted, mut last) = (Vec::new(), Vec::new(), None);
    while let Some(page) = stream.next().await? {
        assert!(last.is_none(), "a token comes with the last page");
        let records = 0..page.page.n_rows;
        changed.extend(records.filter_map(|row| super::shown_cell(&page.page.columns[0], row)));
        deleted.extend(page.deleted);
        last = page.token;
    }
    Ok((changed, deleted, last.expect("a token")))
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_read_since_a_token() {
    let place = Organisation::start(6_000).await;
    for way in [Way::WsTrust, Way::Adfs] {
        let session = place.session(way);
        let mut query = query_of(&session, "contact").await;
        query
            .fields
            .retain(|field| ["contactid", "lastname"].contains(&field.name.as_str()));
        query.fields.sort_by(|a, b| a.name.cmp(&b.name));
        let (all, _, token) = changes(&session, &query, None).await.unwrap();
        assert!(all.len() > 6_000);
        let (none, gone, token) = changes(&session, &query, Some(&token)).await.unwrap();
        assert!(none.is_empty() && gone.is_empty(), "{way:?} {none:?}");

        let create = batch(
            Operation::Create,
            &FIELDS[..1],
            vec![record(None, vec![text("New")])],
        );
        let id = id_of(&written(&session, &create).await[0]);
        let delete = batch(Operation::Delete, &[], vec![record(Some(&all[0]), vec![])]);
        written(&session, &delete).await;
        let (changed, gone, token) = changes(&session, &query, Some(&token)).await.unwrap();
        assert_eq!(changed, [id], "{way:?}");
        assert_eq!(gone, [all[0].clone()], "{way:?}");

        // With other fields everything must be read anew.
        query.fields.truncate(1);
        let error = changes(&session, &query, Some(&token)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ChangeTokenExpired, "{way:?}");
    }
}
