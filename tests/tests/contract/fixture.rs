//! What the tests must know of a CRM, and how they use it.

use std::collections::HashSet;
use std::sync::Arc;

use crm_core::{
    Account, CallStats, Column, ColumnType, Connector, Conversion, Error, ErrorKind, FieldFacts,
    Filter, Page, Place, QueryField, RemoteObject, RemoteQuery, Result, Route, Session, Value,
    find_option,
};
use crm_sandbox::{Config, Sandbox};
use crm_tests::{Admin, Crm, Options, open_file};
use tempfile::TempDir;

/// One CRM as its sandbox shows it.
pub struct Fixture {
    /// The connector.
    pub connector: &'static dyn Connector,
    /// What the tests with a server know of it, the usual sign-in among it.
    pub crm: &'static Crm,
    /// Every form of sign-in.
    pub sign_ins: fn(&Sandbox) -> Vec<SignIn>,
    /// Requests that the usual sign-in takes, and nothing else.
    pub login_calls: u64,
    /// Requests that ask the CRM where to sign in: before the first sign-in, and before each later one.
    pub asks: [u64; 2],
    /// Sign-ins that are refused by what the CRM says.
    pub refused: fn(&Sandbox) -> Vec<Options>,
    /// An option that asks for an interface version the CRM has given up.
    pub retired: Option<(&'static str, &'static str)>,
    /// The organisation's name and identifier: sign-ins may tell either.
    pub organisation: [&'static str; 2],
    /// What occurs in the address of each call.
    pub paths: Paths,
    /// An object with as many records as the sandbox is told to generate, and some more.
    pub records: Records,
    /// An object whose field list is too long for an address, if the CRM's addresses hold one, and as many fields as it
    /// has at least.
    pub wide: (&'static str, usize),
    /// There are objects of the customer's own.
    pub has_custom: bool,
    /// Kinds of a reply that leads elsewhere.
    pub leads: &'static [&'static str],
    /// What a reply with status 429 means in the end.
    pub throttled: ErrorKind,
    /// What it means that a new sign-in is not taken either.
    pub not_taken: ErrorKind,
    /// Most and fewest records of a page.
    pub page_sizes: (u32, u32),
    /// Orders that the CRM can give: descending, nulls first.
    pub orders: &'static [(bool, bool)],
    /// Identifiers fetched in one call.
    pub lookup_size: usize,
    /// Most calls that the list of objects takes, with the sign-in and what finds out which one it is.
    pub listing_calls: u64,
    /// Most calls that describing so many objects takes.
    pub describe_calls: fn(u64) -> u64,
    /// The CRM tells how much of an allotment is used.
    pub tells_usage: bool,
    /// An object whose variants differ in the values they offer, and how many variants it has, where the CRM has such.
    pub variants: Option<(&'static str, u64)>,
    /// What is written, and how it is refused.
    pub writes: Writes,
}

/// One form of sign-in.
pub struct SignIn {
    /// What [`crm_core::AccountInfo::auth`] says.
    pub auth: &'static str,
    /// What [`crm_core::AccountInfo::user`] says.
    pub user: String,
    /// Requests that nothing but the sign-in needs, and which the sandbox counts as such.
    pub calls: u64,
    /// Its options.
    pub options: Options,
}

/// An object that is written, in [`Records::object`]'s form: its identifier has the same name.
pub struct Writes {
    /// The object.
    pub object: &'static str,
    /// A text that a record must have, and the vendor's word for its type.
    pub required: (&'static str, &'static str),
    /// Texts that a new record must have as well, likewise, with a value.
    pub also: &'static [((&'static str, &'static str), &'static str)],
    /// A text that may be empty, likewise.
    pub optional: (&'static str, &'static str),
    /// A key of another system, likewise.
    pub key: (&'static str, &'static str),
    /// A well-formed identifier of no record.
    pub unknown_identifier: &'static str,
    /// Values of the required field that are refused, with the symbol.
    pub refused: &'static [(&'static str, &'static str)],
    /// Symbol of a record that is locked, and that of one that was deleted before.
    pub locked: &'static str,
    /// The method of every call that writes records, where reading shares its addresses.
    pub method: Option<&'static str>,
    /// What occurs in the address of every call that writes records.
    pub path: &'static str,
    /// How records travel.
    pub routes: &'static [Route],
    /// What occurs in the addresses of a job: its upload, its start, its results.
    pub job_paths: &'static [&'static str],
    /// Most calls for exporting 10,000 records, by each of the routes.
    pub calls: &'static [u64],
    /// An object with a field of each type.
    pub typed: &'static str,
    /// Those fields, with values in the form in which they are read.
    pub values: fn() -> Vec<Typed>,
    /// Values that the description of a field of [`Writes::typed`] speaks against.
    pub unfit: fn() -> Vec<(&'static str, Value)>,
    /// An object whose deletions are not tracked, if there is one.
    pub untracked: Option<&'static str>,
    /// A text of [`Writes::typed`] that must be there and different in each record, if there is one.
    pub typed_key: Option<(&'static str, &'static str)>,
    /// Calls that one refused with 403 takes.
    pub forbidden_calls: u64,
    /// Days that the deletion log is asked for at most, and those it is sure of, where it has such bounds.
    pub log_days: Option<(i64, i64)>,
}

/// A field, how its column wants it, and values.
pub struct Typed {
    /// Name and the vendor's word for the type.
    pub field: (&'static str, &'static str),
    /// The column's type.
    pub column_type: ColumnType,
    /// The column's conversion.
    pub conversion: Conversion,
    /// Values that are read as they were written.
    pub values: Vec<Value>,
}

/// Parts of addresses.
pub struct Paths {
    /// Sign-in.
    pub sign_in: &'static str,
    /// The first page of a query.
    pub first: &'static str,
    /// A further page.
    pub next: &'static str,
    /// Requests with that in their address before the one for the second page.
    pub before_next: u64,
    /// The list of objects.
    pub objects: &'static str,
}

/// An object and fields of it.
pub struct Records {
    /// The object.
    pub object: &'static str,
    /// Its identifier and the vendor's word for its type.
    pub identifier: (&'static str, &'static str),
    /// A text and the vendor's word for its type.
    pub text: (&'static str, &'static str),
    /// A decimal number, null in some records, likewise.
    pub number: (&'static str, &'static str),
    /// A moment, likewise.
    pub moment: (&'static str, &'static str),
    /// A well-formed identifier of no record.
    pub unknown_identifier: &'static str,
}

impl Records {
    /// Identifier, text, number and moment, in this order.
    pub fn fields(&self) -> Vec<QueryField> {
        [
            (self.identifier.0, self.identifier.1, ColumnType::Text),
            (self.text.0, self.text.1, ColumnType::Text),
            (self.number.0, self.number.1, ColumnType::Numeric),
            (self.moment.0, self.moment.1, ColumnType::Instant),
        ]
        .into_iter()
        .map(|(name, remote_type, column_type)| QueryField {
            name: name.into(),
            remote_type: remote_type.into(),
            column_type,
            conversion: Conversion::Default,
        })
        .collect()
    }

    /// All records with these fields.
    pub fn query(&self) -> RemoteQuery {
        RemoteQuery::all(self.object, self.identifier.0, self.fields())
    }

    /// What planning knows of one of [`Records::fields`].
    pub fn facts(&self, field: usize) -> FieldFacts {
        let field = self.fields().swap_remove(field);
        FieldFacts {
            identifier: field.name == self.identifier.0,
            name: field.name,
            remote_type: field.remote_type,
            column_type: field.column_type,
            conversion: field.conversion,
            filterable: true,
            sortable: true,
            case_sensitive: false,
        }
    }

    /// Records whose number is more than `least`.
    pub fn number_above(&self, least: i64) -> Filter<Value> {
        Filter::Compare {
            field: self.number.0.into(),
            operator: crm_core::Operator::Greater,
            value: Value::Int(least),
        }
    }
}

impl Fixture {
    /// Options of the usual sign-in.
    pub fn usual(&self, sandbox: &Sandbox) -> Options {
        let mut options = (self.crm.server)(sandbox);
        options.extend((self.crm.mapping)(sandbox));
        options
    }

    /// The same with another value of an option.
    pub fn changed(&self, sandbox: &Sandbox, name: &'static str, value: &str) -> Options {
        let mut options = self.usual(sandbox);
        options.retain(|option| option.0 != name);
        options.push((name, value.to_owned()));
        options
    }

    /// Generated records that fill three pages and a half.
    pub fn some_pages(&self) -> u32 {
        self.page_sizes.0 * 7 / 2
    }
}

/// A sandbox and an account there.
pub struct Remote {
    pub fixture: &'static Fixture,
    pub sandbox: Sandbox,
    pub admin: Admin,
    ca: TempDir,
    ca_file: String,
}

impl Remote {
    /// A sandbox with so many generated records.
    pub async fn start(fixture: &'static Fixture, records: u32) -> Self {
        let config = Config {
            contacts: records,
            ..Config::default()
        };
        let sandbox = crm_sandbox::start(config).await.expect("a sandbox");
        let admin = Admin::of(fixture.crm, &sandbox.admin_url, &sandbox.ca_pem).await;
        let ca = TempDir::new().expect("a folder");
        let ca_file = open_file(ca.path(), "ca.pem", &sandbox.ca_pem);
        Self {
            fixture,
            sandbox,
            admin,
            ca,
            ca_file,
        }
    }

    /// A session of the usual sign-in with `more` options, the later ones before the earlier.
    pub fn session(&self, more: &[(&'static str, &str)]) -> Arc<dyn Session> {
        let mut options = self.fixture.usual(&self.sandbox);
        options.extend(
            more.iter()
                .map(|(name, value)| (*name, (*value).to_owned())),
        );
        self.session_with(options)
    }

    /// A session with these options and those that every test needs.
    pub fn session_with(&self, options: Options) -> Arc<dyn Session> {
        let opened = self.open(options);
        opened.unwrap_or_else(|error| panic!("{error:?}"))
    }

    /// The same, or why it is not opened.
    pub fn open(&self, options: Options) -> Result<Arc<dyn Session>> {
        let connector = self.fixture.connector;
        let mut account = Account::new("sandbox");
        let ours = [
            ("ca_file", self.ca_file.clone()),
            ("connect_timeout", "5".into()),
            ("request_timeout", "30".into()),
            ("max_retries", "2".into()),
            ("retry_timeout", "10".into()),
        ];
        for (name, value) in ours.into_iter().chain(options) {
            let definition = find_option(connector.options(), Place::Server, name)
                .or_else(|_| find_option(connector.options(), Place::UserMapping, name))
                .unwrap_or_else(|error| panic!("{error:?}"));
            account.set(definition, value);
        }
        connector.open(account)
    }

    /// Where the authority's file lies.
    pub fn ca_folder(&self) -> &std::path::Path {
        self.ca.path()
    }

    /// How often the CRM was asked to sign somebody in.
    pub async fn sign_ins(&self) -> u64 {
        let sign_in = &self.fixture.crm.queries.sign_in;
        self.admin.calls(sign_in.counter).await
    }

    /// # Panics
    /// When an error shows a secret in any form.
    pub fn keeps_secrets(&self, error: &Error) {
        let told = format!("{error} {error:?}");
        for secret in (self.fixture.crm.secrets)(&self.sandbox) {
            assert!(!told.contains(&secret), "{told}");
        }
    }
}

/// All pages of a query.
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

/// All pages of a query that works.
pub async fn all_pages(
    session: &Arc<dyn Session>,
    query: RemoteQuery,
    stats: &Arc<CallStats>,
) -> Vec<Page> {
    match pages(session, query, stats).await {
        (pages, None) => pages,
        (_, Some(error)) => panic!("{error:?}"),
    }
}

/// Why a query does not work.
pub async fn failure(session: &Arc<dyn Session>, query: RemoteQuery) -> Error {
    let (pages, error) = pages(session, query, &Arc::default()).await;
    error.unwrap_or_else(|| panic!("went well: {} pages", pages.len()))
}

/// The texts of a column of all pages, in order; nulls left out.
pub fn texts(pages: &[Page], column: usize) -> Vec<String> {
    pages
        .iter()
        .flat_map(|page| {
            let column: &Column = &page.columns[column];
            assert_eq!(column.len(), page.n_rows);
            (0..page.n_rows).filter_map(|row| column.text(row).map(str::to_owned))
        })
        .collect()
}

/// Name of the field that identifies an object's records.
pub fn identifier_of(described: &RemoteObject) -> String {
    let mut fields = described.fields.iter();
    let found = fields.find(|field| field.identifier);
    found.expect("an identifier").name.clone()
}

/// How many different texts.
pub fn distinct(texts: &[String]) -> usize {
    texts.iter().collect::<HashSet<_>>().len()
}

/// Rows of all pages.
pub fn rows(pages: &[Page]) -> usize {
    pages.iter().map(|page| page.n_rows).sum()
}
