//! The audit's deletions, and changes by delta link.

use std::sync::Arc;

use crm_core::{
    CallStats, ColumnType, ErrorKind, MICROS_PER_SECOND, Operation, QueryField, RemoteQuery,
    Result, Session,
};
use serde_json::json;

use crate::organisation::{Organisation, accepted, batch, text, write};

const LASTNAME: (&str, &str) = ("lastname", "StringType");

/// Names, deletions and the token of one reading.
type Reading = (Vec<String>, Vec<String>, String);

async fn read(
    session: &Arc<dyn Session>,
    object: &str,
    fields: &[(&str, &str)],
    token: Option<&str>,
) -> Result<Reading> {
    let columns = fields
        .iter()
        .map(|(name, remote_type)| QueryField::plain(name, remote_type, ColumnType::Text));
    let query = RemoteQuery::all(object, &format!("{object}id"), columns.collect());
    let token = token.map(str::to_owned);
    let changes = Arc::clone(session).changes(query, token, Arc::default());
    let mut changes = changes.expect("it reads changes by token");
    let (mut names, mut deleted, mut last) = (Vec::new(), Vec::new(), None);
    while let Some(page) = changes.next().await? {
        let column = &page.page.columns[0];
        let rows = 0..page.page.n_rows;
        names.extend(rows.filter_map(|row| column.text(row)).map(str::to_owned));
        deleted.extend(page.deleted);
        assert!(last.is_none(), "a page behind the last");
        last = page.token;
    }
    Ok((names, deleted, last.expect("a token")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_tells_what_has_changed_since_and_nothing_else() {
    let organisation = Organisation::start(12_000).await;
    let session = organisation.session(&[]);
    let fields = [LASTNAME, ("contactid", "UniqueidentifierType")];
    let (names, deleted, token) = read(&session, "contact", &fields, None).await.unwrap();
    assert!(names.len() >= 12_000 && deleted.is_empty());
    let (names, deleted, same) = read(&session, "contact", &fields, Some(&token))
        .await
        .unwrap();
    assert_eq!((names.len(), deleted.len()), (0, 0));
    let create = batch(
        "contact",
        Operation::Create,
        &[LASTNAME],
        &[("", &[text("Stays")]), ("", &[text("Goes")])],
    );
    let ids = accepted(&write(&session, &create).await);
    let gone = batch("contact", Operation::Delete, &[], &[(&ids[1], &[])]);
    accepted(&write(&session, &gone).await);
    for token in [&token, &same] {
        let (names, deleted, _) = read(&session, "contact", &fields, Some(token))
            .await
            .unwrap();
        assert_eq!(
            (names, deleted),
            (vec!["Stays".to_owned()], vec![ids[1].clone()])
        );
    }
    // Made for other fields, and given up by the CRM.
    let error = read(&session, "contact", &fields[..1], Some(&token))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChangeTokenExpired, "{error:?}");
    organisation
        .admin
        .post("/expire_delta_tokens", json!({}))
        .await;
    let error = read(&session, "contact", &fields, Some(&token))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChangeTokenExpired, "{error:?}");
    let subject = [("subject", "StringType")];
    let error = read(&session, "lead", &subject, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_tells_who_deleted_and_says_when_it_is_not_kept() {
    let organisation = Organisation::start(10).await;
    let session = organisation.session(&[]);
    let stats = CallStats::default();
    let create = batch(
        "contact",
        Operation::Create,
        &[LASTNAME],
        &[("", &[text("Gone")])],
    );
    let ids = accepted(&write(&session, &create).await);
    let gone = batch("contact", Operation::Delete, &[], &[(&ids[0], &[])]);
    accepted(&write(&session, &gone).await);
    let now = session.clock(&stats).await.unwrap();
    let period = (now - 3_600 * MICROS_PER_SECOND, now + MICROS_PER_SECOND);
    let deleted = async |object: &str| session.deleted(object, period.0, period.1, &stats).await;
    let deletions = deleted("contact").await.unwrap();
    let mut found = deletions
        .records
        .iter()
        .filter(|record| record.id == ids[0]);
    let record = found.next().expect("it is listed");
    assert!(
        record.deleted_at.is_some() && record.deleted_by.is_some(),
        "{record:?}"
    );
    assert_eq!(deletions.incomplete, None);
    let error = deleted("task").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(
        error.message().contains("\"task\"") && error.hint().is_some(),
        "{error:?}"
    );
    organisation
        .admin
        .deletion_log(json!({"enabled": false}))
        .await;
    let error = deleted("contact").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    assert!(error.message().contains("organisation"), "{error:?}");
}
