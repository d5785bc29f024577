//! A server that is sign-in host and organisation in one, and sessions of it.

use crm_core::{
    Account, CallStats, ColumnType, Connector, Error, Page, Place, QueryField, RemoteQuery,
    Session, find_option,
};
use crm_dynamics::DYNAMICS;
use crm_http::testkit::{Answer, Seen, Server};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub const TENANT: &str = "3c6c9a25-9d6a-4a9d-9e4e-6f7a4b2f0d11";

/// A server that challenges, grants tokens and lists its entities; it answers everything else by `behaviour`, given how
/// often it was asked before and its own address.
pub async fn server(
    behaviour: impl Fn(&Seen, usize, &str) -> Answer + Send + Sync + 'static,
) -> Server {
    let n_asked = AtomicUsize::new(0);
    let n_tokens = AtomicUsize::new(0);
    Server::start(move |seen| {
        let own = format!("https://{}", seen.header("host").unwrap_or_default());
        if seen.target.contains("/oauth2/") {
            let number = n_tokens.fetch_add(1, Ordering::Relaxed) + 1;
            return granted(number);
        }
        if seen.header("authorization").is_none() {
            return challenge(&format!("{own}/{TENANT}/oauth2/authorize"), &own);
        }
        if seen
            .target
            .contains("EntityDefinitions?$select=LogicalName,EntitySetName")
        {
            return entities();
        }
        behaviour(seen, n_asked.fetch_add(1, Ordering::Relaxed), &own)
    })
    .await
    .unwrap()
}

pub fn granted(number: usize) -> Answer {
    let body = format!(
        r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"TEST-token{number}"}}"#
    );
    Answer::new(200, body)
}

pub fn challenge(authority: &str, resource: &str) -> Answer {
    let challenge = format!("Bearer authorization_uri={authority}, resource_id={resource}/");
    Answer::new(401, "")
        .header("www-authenticate", "Negotiate")
        .header("www-authenticate", &challenge)
}

pub fn entities() -> Answer {
    Answer::new(
        200,
        r#"{"value":[{"LogicalName":"account","EntitySetName":"accounts","PrimaryIdAttribute":"accountid"}]}"#,
    )
}

const BY_PASSWORD: &[(&str, &str)] = &[
    ("client_id", "TEST-app"),
    ("username", "user@contoso.example"),
    ("password", "TEST-pass word+&"),
];

pub fn session(server: &Server, more: &[(&str, &str)]) -> Arc<dyn Session> {
    session_at(server, &server.url(), more)
}

pub fn session_at(server: &Server, url: &str, more: &[(&str, &str)]) -> Arc<dyn Session> {
    let mut account = Account::new("crm");
    let ca_file = server.ca_file().display().to_string();
    let common = [
        ("url", url),
        ("ca_file", ca_file.as_str()),
        ("max_retries", "2"),
    ];
    for (name, value) in common.iter().chain(BY_PASSWORD).chain(more) {
        let option = [Place::UserMapping, Place::Server]
            .iter()
            .find_map(|place| find_option(DYNAMICS.options(), *place, name).ok());
        account.set(option.unwrap(), (*value).to_string());
    }
    DYNAMICS.open(account).unwrap()
}

/// Identifier and name of all accounts.
pub fn accounts() -> RemoteQuery {
    let fields = vec![
        QueryField::plain("accountid", "UniqueidentifierType", ColumnType::Text),
        QueryField::plain("name", "StringType", ColumnType::Text),
    ];
    RemoteQuery::all("account", "accountid", fields)
}

/// A page of accounts with these names.
pub fn page(names: &[&str], next: Option<&str>) -> Answer {
    let records: Vec<_> = names
        .iter()
        .map(|name| format!(r#"{{"@odata.etag":"W/\"1\"","name":"{name}"}}"#))
        .collect();
    let next = next.map_or(String::new(), |next| {
        format!(r#","@odata.nextLink":"{next}""#)
    });
    Answer::new(200, format!(r#"{{"value":[{}]{next}}}"#, records.join(",")))
}

pub async fn read(
    session: &Arc<dyn Session>,
    query: RemoteQuery,
    stats: &Arc<CallStats>,
) -> Result<Vec<Page>, Error> {
    let mut stream = Arc::clone(session).scan(query, Arc::clone(stats));
    let mut pages = Vec::new();
    while let Some(page) = stream.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

/// The names on these pages.
pub fn names(pages: &[Page]) -> Vec<String> {
    let names = pages.iter().flat_map(|page| {
        (0..page.n_rows).filter_map(|row| page.columns[1].text(row).map(str::to_owned))
    });
    names.collect()
}

/// Requests for records.
pub fn asked(server: &Server) -> Vec<Seen> {
    let seen = server.seen().into_iter();
    seen.filter(|seen| {
        seen.header("authorization").is_some() && !seen.target.contains("EntityDefinitions")
    })
    .collect()
}
