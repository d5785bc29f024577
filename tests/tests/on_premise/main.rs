//! Dynamics on premise by every way in: what the SOAP service tells must be what the Web API tells of the same
//! organisation, and what is written by one is read by the other.

mod reading;
mod signing_in;
mod writing;

use std::sync::Arc;

use crm_core::{
    Account, CallStats, ColumnType, Connector, Error, Page, Place, QueryField, RemoteQuery, Result,
    Session, find_option,
};
use crm_dynamics::DYNAMICS;
use crm_sandbox::{Config, Sandbox};
use crm_tests::{Admin, open_file};
use tempfile::TempDir;

/// A way into the sandbox's organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The Web API, with a Windows account.
    Ntlm,
    /// The Web API, with a token of AD FS.
    Adfs,
    /// SOAP, with a signed token of AD FS.
    WsTrust,
    /// SOAP, with a Windows account: a server from before the Web API.
    OldNtlm,
}

const WAYS: [Way; 4] = [Way::Ntlm, Way::Adfs, Way::WsTrust, Way::OldNtlm];

/// A sandbox and accounts there.
struct Organisation {
    sandbox: Sandbox,
    ca: TempDir,
}

impl Organisation {
    async fn start(contacts: u32) -> Self {
        let config = Config {
            contacts,
            ..Config::default()
        };
        let sandbox = crm_sandbox::start(config).await.expect("a sandbox");
        let ca = TempDir::new().expect("a folder");
        open_file(ca.path(), "ca.pem", &sandbox.ca_pem);
        Self { sandbox, ca }
    }

    fn told(&self, name: &str) -> String {
        let text = &self.sandbox.description()["dynamics"][name];
        text.as_str().unwrap_or_else(|| panic!("{name}")).to_owned()
    }

    /// The options of a way; `names` is whether `auth` is named.
    fn options(&self, way: Way, names: bool) -> Vec<(&'static str, String)> {
        let (url, auth, user) = match way {
            Way::Ntlm => ("ad_url", "ntlm", "windows_username"),
            Way::Adfs => ("ifd_url", "adfs", "windows_username"),
            Way::WsTrust => ("claims_url", "ws_trust", "windows_username"),
            Way::OldNtlm => ("crm2015_url", "ntlm", "windows_username"),
        };
        let mut options = vec![
            ("url", self.told(url)),
            ("deployment", "on_premise".to_owned()),
            ("username", self.told(user)),
            ("password", self.told("password")),
            (
                "ca_file",
                self.ca.path().join("ca.pem").display().to_string(),
            ),
            ("max_retries", "2".into()),
            ("retry_timeout", "10".into()),
        ];
        if way == Way::Adfs {
            options.push(("client_id", self.told("public_client_id")));
        }
        if matches!(way, Way::Adfs | Way::WsTrust) {
            options.push(("authority", self.sandbox.login_url.clone()));
        }
        if names {
            options.push(("auth", auth.to_owned()));
        }
        options
    }

    fn open(options: &[(&'static str, String)]) -> Result<Arc<dyn Session>> {
        let mut account = Account::new("sandbox");
        for (name, value) in options {
            let definition = find_option(DYNAMICS.options(), Place::Server, name)
                .or_else(|_| find_option(DYNAMICS.options(), Place::UserMapping, name))
                .unwrap_or_else(|error| panic!("{error:?}"));
            account.set(definition, value.clone());
        }
        DYNAMICS.open(account)
    }

    /// The sandbox reads no member of a message that is out of place, as real servers do, and keeps a list of them.
    async fn nothing_was_misplaced(&self) {
        let admin = Admin::new(&self.sandbox.admin_url, &self.sandbox.ca_pem, "/dynamics");
        let report = admin.get("/soap").await;
        assert_eq!(report["misplaced"], serde_json::json!([]), "{report}");
    }

    fn session(&self, way: Way) -> Arc<dyn Session> {
        Self::open(&self.options(way, true)).unwrap_or_else(|error| panic!("{error:?}"))
    }
}

async fn read(
    session: &Arc<dyn Session>,
    query: RemoteQuery,
) -> std::result::Result<Vec<Page>, Error> {
    let stats = Arc::new(CallStats::default());
    let mut stream = Arc::clone(session).scan(query, stats);
    let mut pages = Vec::new();
    while let Some(page) = stream.next().await? {
        pages.push(page);
    }
    Ok(pages)
}

/// Records as texts, sorted: each field by its name, raw.
fn shown(pages: &[Page]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    for page in pages {
        assert!(page.rejects.is_empty(), "{:?}", page.rejects);
        for row in 0..page.n_rows {
            let cells = page.columns.iter();
            rows.push(cells.map(|column| shown_cell(column, row)).collect());
        }
    }
    rows.sort();
    rows
}

fn shown_cell(column: &crm_core::Column, row: usize) -> Option<String> {
    use crm_core::ColumnData as Data;
    if column.is_null(row) {
        return None;
    }
    Some(match column.data() {
        Data::Bool(values) => values[row].to_string(),
        Data::Int32(values) | Data::Date(values) => values[row].to_string(),
        Data::Int64(values)
        | Data::Timestamp(values)
        | Data::Instant(values)
        | Data::Time(values) => values[row].to_string(),
        Data::Float64(values) => values[row].to_string(),
        // Digits behind the point may be padded.
        Data::Numeric(texts) => {
            let text = texts.get(row);
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text.to_owned(),
            }
        }
        Data::Text(texts) | Data::Json(texts) => texts.get(row).to_owned(),
        Data::Uuid(values) => crm_core::uuid_text(&values[row]),
        Data::TextArray(lists) => {
            let parts = lists.range(row).map(|at| lists.elements().get(at));
            parts.collect::<Vec<_>>().join("|")
        }
        Data::Int32Array(lists) => format!("{:?}", &lists.elements()[lists.range(row)]),
    })
}

/// A query for these fields of an object, as it is described.
async fn query_of(session: &Arc<dyn Session>, object: &str) -> RemoteQuery {
    let stats = CallStats::default();
    let described = session.describe(&[object.to_owned()], &stats).await;
    let described = described
        .unwrap_or_else(|error| panic!("{error:?}"))
        .remove(0);
    let mut identifier = String::new();
    let mut fields = Vec::new();
    for field in described.fields {
        if field.identifier {
            identifier = field.name.clone();
        }
        let column_type = field.column_type.unwrap_or(ColumnType::Text);
        fields.push(QueryField::plain(
            &field.name,
            &field.remote_type,
            column_type,
        ));
    }
    RemoteQuery::all(object, &identifier, fields)
}
