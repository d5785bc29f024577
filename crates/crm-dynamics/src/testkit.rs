//! Descriptions and a signed-in session for tests.

use crate::describe::Entity;
use crate::options::OPTIONS;
use crate::session::DynamicsSession;
use crm_core::{Account, ColumnType, Place, RemoteField, find_option};
use crm_http::testkit::{Answer, Server};
use std::sync::Arc;

/// A field that may be written and has nothing else to say.
pub(crate) fn field(name: &str, remote_type: &str, column_type: Option<ColumnType>) -> RemoteField {
    RemoteField {
        name: name.into(),
        label: name.into(),
        remote_type: remote_type.into(),
        column_type,
        length: None,
        precision: None,
        nullable: true,
        creatable: true,
        updatable: true,
        required: false,
        filterable: true,
        sortable: false,
        case_sensitive: false,
        external_key: false,
        identifier: false,
        modification_stamp: false,
        computed: false,
        enumeration: None,
        restricted: false,
        values: Vec::new(),
        references: Vec::new(),
    }
}

/// The signed-in session of an account at `server`, which gives a token to everybody and knows `entity`.
pub(crate) fn session(server: &Server, entity: Entity) -> DynamicsSession {
    session_with(server, entity, &[])
}

/// The same with `more` options.
pub(crate) fn session_with(
    server: &Server,
    entity: Entity,
    more: &[(&str, &str)],
) -> DynamicsSession {
    let mut account = Account::new("crm");
    let url = server.url();
    let ca_file = server.ca_file().display().to_string();
    for (name, value) in [
        ("url", url.as_str()),
        ("authority", &url),
        ("tenant", "contoso.example"),
        ("ca_file", &ca_file),
        ("client_id", "TEST-client"),
        ("client_secret", "TEST-secret"),
        ("max_retries", "2"),
        ("retry_timeout", "10"),
    ]
    .into_iter()
    .chain(more.iter().copied())
    {
        let option = find_option(OPTIONS, Place::Server, name)
            .or_else(|_| find_option(OPTIONS, Place::UserMapping, name));
        account.set(option.unwrap(), value.into());
    }
    let session = DynamicsSession::new(account).unwrap();
    let name = entity.object.summary.name.clone();
    session.catalog().put(&name, Arc::new(entity));
    session
}

/// The answer to a sign-in.
pub(crate) fn token() -> Answer {
    Answer::new(
        200,
        r#"{"token_type":"Bearer","expires_in":3599,"access_token":"TEST-token"}"#,
    )
    .header("content-type", "application/json")
}

/// The requests in a batch: request line, header lines, an empty line, body.
pub(crate) fn requests(batch: &str) -> Vec<String> {
    let parts = batch.split("--batch_crm_fdw").skip(1);
    parts
        .filter_map(|part| {
            let (_, request) = part.split_once("\r\n\r\n")?;
            Some(request.trim_end().replace("\r\n", "\n"))
        })
        .collect()
}

/// An answer in parts: status and header lines, an empty line, body.
pub(crate) fn in_parts<'a>(status: u16, parts: impl IntoIterator<Item = &'a str>) -> Answer {
    let mut body = String::new();
    for part in parts {
        let part = part.replace('\n', "\r\n");
        body.push_str(&format!(
            "--batchresponse_x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {part}\r\n"
        ));
    }
    body.push_str("--batchresponse_x--\r\n");
    Answer::new(status, body).header("content-type", "multipart/mixed; boundary=batchresponse_x")
}
