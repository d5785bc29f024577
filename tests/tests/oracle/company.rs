//! A company at the sandbox, and sessions there.

use std::sync::Arc;

use crm_core::{
    Account, CallStats, ColumnType, Connector, Error, Page, Place, QueryField, RemoteQuery, Result,
    Session, find_option,
};
use crm_oracle::ORACLE;
use crm_sandbox::{Config, Sandbox};
use crm_tests::{Admin, open_file};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox with contacts.
pub struct Company {
    pub sandbox: Sandbox,
    pub admin: Admin,
    _folder: TempDir,
    ca_file: String,
}

impl Company {
    /// With so many contacts, and some more.
    pub async fn start(contacts: u32) -> Self {
        let config = Config {
            contacts,
            ..Config::default()
        };
        Self::of(crm_sandbox::start(config).await.expect("a sandbox"))
    }

    /// At this sandbox.
    pub fn of(sandbox: Sandbox) -> Self {
        let admin = Admin::new(&sandbox.admin_url, &sandbox.ca_pem, "/oracle");
        let folder = TempDir::new().expect("a folder");
        let ca_file = open_file(folder.path(), "ca.pem", &sandbox.ca_pem);
        Self {
            sandbox,
            admin,
            _folder: folder,
            ca_file,
        }
    }

    /// A session of the usual user, with `more` options.
    pub fn session(&self, more: &[(&'static str, &str)]) -> Arc<dyn Session> {
        let oracle = &self.sandbox.oracle;
        let url = self.sandbox.instance_url.clone();
        let ours = [
            ("ca_file", self.ca_file.as_str()),
            ("url", url.as_str()),
            ("connect_timeout", "5"),
            ("request_timeout", "30"),
            ("max_retries", "3"),
            ("retry_timeout", "10"),
            ("username", &oracle.username),
            ("password", &oracle.password),
        ];
        let mut account = Account::new("sandbox");
        for (name, value) in ours.into_iter().chain(more.iter().copied()) {
            let option = find_option(ORACLE.options(), Place::Server, name)
                .or_else(|_| find_option(ORACLE.options(), Place::UserMapping, name))
                .unwrap_or_else(|error| panic!("{error:?}"));
            account.set(option, value.to_owned());
        }
        ORACLE
            .open(account)
            .unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// Changes settings of the service.
    pub async fn set(&self, settings: Value) {
        self.admin.post("", settings).await;
    }

    /// Sessions that are open there.
    pub async fn open_sessions(&self) -> u64 {
        let report = self.admin.get("/report").await;
        report["sessions"].as_u64().expect("a number")
    }

    /// # Panics
    /// When an error shows the password.
    pub fn keeps_secrets(&self, error: &Error) {
        let told = format!("{error} {error:?}");
        assert!(!told.contains(&self.sandbox.oracle.password), "{told}");
        assert!(!told.contains("JSESSIONID"), "{told}");
    }
}

/// Contacts with their names and when they were changed.
pub fn contacts() -> RemoteQuery {
    let fields = vec![
        QueryField::plain("Id", "ID", ColumnType::Text),
        QueryField::plain("ContactLastName", "Text (Short)", ColumnType::Text),
        QueryField::plain("ModifiedDate", "Date/Time", ColumnType::Instant),
    ];
    RemoteQuery::all("Contact", "Id", fields)
}

/// All pages, and what stopped the reading.
pub async fn pages(
    session: &Arc<dyn Session>,
    query: RemoteQuery,
    stats: &Arc<CallStats>,
) -> (Vec<Page>, Option<Error>) {
    let mut stream = Arc::clone(session).scan(query, Arc::clone(stats));
    let mut pages = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(page)) => pages.push(page),
            Ok(None) => return (pages, None),
            Err(error) => return (pages, Some(error)),
        }
    }
}

/// Identifiers of all records that a query finds.
pub async fn ids(session: &Arc<dyn Session>, query: RemoteQuery) -> Result<Vec<String>> {
    let (pages, error) = pages(session, query, &Arc::default()).await;
    match error {
        Some(error) => Err(error),
        None => Ok(texts(&pages, 0)),
    }
}

/// The texts of a column, nulls left out.
pub fn texts(pages: &[Page], column: usize) -> Vec<String> {
    let of_page = |page: &Page| {
        let column = page.columns[column].clone();
        (0..page.n_rows)
            .filter_map(move |row| column.text(row).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    pages.iter().flat_map(of_page).collect()
}

/// A fault for the next page of contacts.
pub fn on_page(mut fault: Value) -> Value {
    fault["path"] = json!("ContactQueryPage");
    fault
}
