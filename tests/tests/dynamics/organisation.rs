//! An organisation at the sandbox, sessions there, and batches of records.

use std::sync::Arc;

use crm_core::{
    Account, CallStats, ColumnType, Connector, Conversion, NoTickets, Operation, Page, Place,
    QueryField, RecordOutcome, Reject, RemoteQuery, Route, Session, Value, WriteBatch, WriteField,
    WriteRecord, WriteReply, find_option,
};
use crm_dynamics::DYNAMICS;
use crm_sandbox::{Config, Sandbox};
use crm_tests::{Admin, open_file};
use tempfile::TempDir;

/// A sandbox with contacts.
pub struct Organisation {
    pub sandbox: Sandbox,
    pub admin: Admin,
    _folder: TempDir,
    ca_file: String,
}

impl Organisation {
    /// With so many contacts, and some more.
    pub async fn start(contacts: u32) -> Self {
        let config = Config {
            contacts,
            ..Config::default()
        };
        let sandbox = crm_sandbox::start(config).await.expect("a sandbox");
        let admin = Admin::new(&sandbox.admin_url, &sandbox.ca_pem, "/dynamics");
        let folder = TempDir::new().expect("a folder");
        let ca_file = open_file(folder.path(), "ca.pem", &sandbox.ca_pem);
        Self {
            sandbox,
            admin,
            _folder: folder,
            ca_file,
        }
    }

    /// A session of the application, with `more` options.
    pub fn session(&self, more: &[(&'static str, &str)]) -> Arc<dyn Session> {
        let told = |name: &str| {
            let text = &self.sandbox.description()["dynamics"][name];
            text.as_str().expect("a text").to_owned()
        };
        let ours = [
            ("ca_file", self.ca_file.clone()),
            ("url", told("organisation_url")),
            ("authority", self.sandbox.login_url.clone()),
            ("tenant", told("tenant")),
            ("client_id", told("client_id")),
            ("client_secret", told("client_secret")),
            ("request_timeout", "30".into()),
            ("max_retries", "2".into()),
            ("retry_timeout", "10".into()),
        ];
        let mut account = Account::new("sandbox");
        let more = more
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in ours.into_iter().chain(more) {
            let option = find_option(DYNAMICS.options(), Place::Server, name)
                .or_else(|_| find_option(DYNAMICS.options(), Place::UserMapping, name))
                .unwrap_or_else(|error| panic!("{error:?}"));
            account.set(option, value);
        }
        DYNAMICS
            .open(account)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }
}

/// A field with the type that its description tells.
pub fn field(name: &str, remote_type: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: remote_type.into(),
        conversion: Conversion::Default,
    }
}

/// A text, or nothing.
pub fn text(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| Value::Text(text.into()))
}

/// A batch for an object whose identifier is its name with `id` behind it.
pub fn batch(
    object: &str,
    operation: Operation,
    fields: &[(&str, &str)],
    records: &[(&str, &[Option<Value>])],
) -> WriteBatch {
    WriteBatch {
        object: object.into(),
        identifier: format!("{object}id"),
        operation,
        key_field: None,
        journal_key: None,
        key_is_ours: false,
        fields: fields
            .iter()
            .map(|(name, kind)| field(name, kind))
            .collect(),
        records: (records.iter())
            .map(|(key, values)| WriteRecord {
                key: (operation != Operation::Create).then(|| Value::Text((*key).into())),
                values: values.to_vec(),
            })
            .collect(),
        route: Route::Calls,
    }
}

/// Sends a batch outside an export job.
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

/// Why a record was refused.
pub fn rejected(outcome: &RecordOutcome) -> &Reject {
    match outcome {
        RecordOutcome::Rejected(reject) => reject,
        other => panic!("{other:?}"),
    }
}

/// All pages of a query.
pub async fn pages(session: &Arc<dyn Session>, query: RemoteQuery) -> Vec<Page> {
    let mut stream = Arc::clone(session).scan(query, Arc::default());
    let mut pages = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(page)) => pages.push(page),
            Ok(None) => return pages,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// These fields of one record as texts; `-` for what is absent.
pub async fn stored(
    session: &Arc<dyn Session>,
    object: &str,
    id: &str,
    fields: &[(&str, &str, ColumnType)],
) -> Vec<String> {
    let columns = fields
        .iter()
        .map(|(name, remote_type, column_type)| QueryField::plain(name, remote_type, *column_type));
    let mut query = RemoteQuery::all(object, &format!("{object}id"), columns.collect());
    query.lookup = Some(vec![id.to_owned()]);
    let pages = pages(session, query).await;
    assert_eq!(pages.iter().map(|page| page.n_rows).sum::<usize>(), 1);
    let page = &pages[0];
    assert!(page.rejects.is_empty(), "{:?}", page.rejects);
    let shown = |column: &crm_core::Column| match column.is_null(0) {
        true => "-".to_owned(),
        false => column.text(0).unwrap_or("?").to_owned(),
    };
    page.columns.iter().map(shown).collect()
}
