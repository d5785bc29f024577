//! A server that signs in everybody, and sessions of it.

use crm_core::{
    Account, Connector, Conversion, Operation, Place, RecordOutcome, Route, Session, Value,
    WriteBatch, WriteField, WriteRecord, WriteReply, find_option,
};
use crm_http::testkit::{Answer, Seen, Server};
use crm_salesforce::SALESFORCE;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A server that grants tokens and answers everything else by `behaviour`, given how often it was asked before.
pub async fn server(
    behaviour: impl Fn(&Seen, usize, &str) -> Answer + Send + Sync + 'static,
) -> Server {
    let n_asked = AtomicUsize::new(0);
    let n_tokens = AtomicUsize::new(0);
    Server::start(move |seen| {
        let own = format!("https://{}", seen.header("host").unwrap_or_default());
        if seen.target.ends_with("/oauth2/token") {
            let number = n_tokens.fetch_add(1, Ordering::Relaxed) + 1;
            return granted(&own, number);
        }
        behaviour(seen, n_asked.fetch_add(1, Ordering::Relaxed), &own)
    })
    .await
    .unwrap()
}

fn granted(own: &str, number: usize) -> Answer {
    Answer::new(
        200,
        format!(
            r#"{{"access_token":"TEST!token{number}","instance_url":"{own}","refresh_token":"TEST-refresh{number}",
                "id":"{own}/id/00Dx0000000BV7z/005x00000012Q9P","token_type":"Bearer"}}"#
        ),
    )
}

pub fn account(server: &Server, options: &[(&str, &str)]) -> Account {
    let mut account = Account::new("sf");
    let ca_file = server.ca_file().display().to_string();
    let common = [
        ("url", server.url()),
        ("ca_file", ca_file),
        ("max_retries", "2".into()),
    ];
    for (name, value) in common {
        let option = find_option(SALESFORCE.options(), Place::Server, name).unwrap();
        account.set(option, value);
    }
    for (name, value) in options {
        let option = [Place::UserMapping, Place::Server]
            .iter()
            .find_map(|place| find_option(SALESFORCE.options(), *place, name).ok());
        account.set(option.unwrap(), (*value).to_string());
    }
    account
}

const BY_REFRESH: &[(&str, &str)] = &[
    ("client_id", "TEST-app"),
    ("refresh_token", "TEST-refresh0"),
];

pub fn session(server: &Server) -> Arc<dyn Session> {
    SALESFORCE.open(account(server, BY_REFRESH)).unwrap()
}

pub fn refused(status: u16, code: &str, text: &str) -> Answer {
    Answer::new(
        status,
        format!(r#"[{{"errorCode":"{code}","message":"{text}"}}]"#),
    )
}

/// A session with more options.
pub fn session_with(server: &Server, more: &[(&str, &str)]) -> Arc<dyn Session> {
    let options = [BY_REFRESH, more].concat();
    SALESFORCE.open(account(server, &options)).unwrap()
}

/// A batch of contacts with text fields; a value of `-` is an absent one.
pub fn batch(operation: Operation, fields: &[&str], records: &[(&str, &[&str])]) -> WriteBatch {
    let text = |text: &str| (text != "-").then(|| Value::Text(text.into()));
    WriteBatch {
        object: "Contact".into(),
        identifier: "Id".into(),
        operation,
        key_field: (operation == Operation::Upsert).then(|| field("Ext__c")),
        journal_key: None,
        key_is_ours: false,
        fields: fields.iter().map(|name| field(name)).collect(),
        records: records
            .iter()
            .map(|(key, values)| WriteRecord {
                key: (operation != Operation::Create).then(|| Value::Text((*key).into())),
                values: values.iter().map(|value| text(value)).collect(),
            })
            .collect(),
        route: Route::Calls,
    }
}

fn field(name: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: "string".into(),
        conversion: Conversion::Default,
    }
}

/// An identifier with that number in it.
pub fn id(number: usize) -> String {
    SALESFORCE
        .canonical_key(&format!("003D00000{number:06}"))
        .unwrap()
}

/// A short word for each outcome: the identifier, the symbol of a reject, or what else became of it.
pub fn words(reply: &WriteReply) -> Vec<String> {
    words_of(&reply.outcomes)
}

/// The same for outcomes.
pub fn words_of(outcomes: &[RecordOutcome]) -> Vec<String> {
    let word = |outcome: &RecordOutcome| match outcome {
        RecordOutcome::Accepted { id, created } => match created {
            Some(true) => format!("+{id}"),
            Some(false) => format!("={id}"),
            None => id.clone(),
        },
        RecordOutcome::Rejected(reject) => reject.symbol.clone(),
        RecordOutcome::NotApplied => "not applied".into(),
        RecordOutcome::Unknown => "unknown".into(),
    };
    outcomes.iter().map(word).collect()
}

/// Requests after the sign-in, as method and target.
pub fn asked(server: &Server) -> Vec<String> {
    let seen = server.seen().into_iter();
    seen.filter(|seen| !seen.target.ends_with("/oauth2/token"))
        .map(|seen| format!("{} {}", seen.method, seen.target))
        .collect()
}
