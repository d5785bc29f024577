//! What tests must know of a CRM, so that the same tests run for each: a test says `contact` and `lastname`, and the
//! descriptor says how the vendor calls them. Only descriptors, one file for each vendor, hold vendors' words.

use crm_sandbox::Sandbox;
use serde_json::{Map, Value};

/// Options of a foreign server or a user mapping.
pub type Options = Vec<(&'static str, String)>;

/// One CRM, reached in one way.
pub struct Crm {
    /// What it is called in the names of tests.
    pub name: &'static str,
    /// The foreign-data wrapper.
    pub wrapper: &'static str,
    /// Stands before the calls of the sandbox's own interface: which of its CRMs they are about.
    pub face: &'static str,
    /// How the sandbox's face is to behave in tests: a JSON document for its own address, or nothing.
    pub settings: &'static str,
    /// Options of the foreign server, `url` first.
    pub server: fn(&Sandbox) -> Options,
    /// Options of the usual user mapping, `password` among them.
    pub mapping: fn(&Sandbox) -> Options,
    /// What must never be logged.
    pub secrets: fn(&Sandbox) -> Vec<String>,
    /// The tables that tests work with.
    pub tables: &'static [Table],
    /// A table made by hand.
    pub handmade: Handmade,
    /// Record identifiers.
    pub identifiers: Identifiers,
    /// How queries look and travel.
    pub queries: Queries,
    /// How records are written.
    pub writes: Writes,
}

/// A table under the name that tests use.
pub struct Table {
    /// That name.
    pub name: &'static str,
    /// The object behind it.
    pub object: &'static str,
    /// Columns under the names that tests use, each with its field. Others keep the names that an import gives.
    pub columns: &'static [(&'static str, &'static str)],
    /// Those of them whose field has another column already, as they stand in CREATE FOREIGN TABLE.
    pub added: &'static [(&'static str, &'static str)],
    /// Columns that are read into another type than an import chooses.
    pub types: &'static [(&'static str, &'static str)],
}

/// Fields read into other types than an import chooses, each conversion among them, from an account in New York.
pub struct Handmade {
    /// The object.
    pub object: &'static str,
    /// The columns as they stand in CREATE FOREIGN TABLE, `id` first.
    pub columns: &'static str,
}

/// Record identifiers of a CRM.
pub struct Identifiers {
    /// Their type in PostgreSQL.
    pub sql_type: &'static str,
    /// A well-formed one of no contact.
    pub no_contact: &'static str,
    /// A well-formed one of no account.
    pub no_account: &'static str,
    /// An SQL expression over a number `n`: well-formed ones of no contact, as many as are wanted.
    pub made: &'static str,
    /// One of an account in another form that the CRM takes, if there is one: an expression over `id`.
    pub variant: &'static str,
    /// What is none, if the type can hold it, as an SQL expression.
    pub nonsense: &'static str,
    /// The canonical form of `id`, as an SQL expression.
    pub canonical: &'static str,
}

/// A request that tests wait for or strike.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// What occurs in its path.
    pub path: &'static str,
    /// So many requests with such a path pass before.
    pub after: u64,
    /// The sandbox's counter of such requests.
    pub counter: &'static str,
    /// What the counter shows, after a fresh sign-in and nothing else, once it has arrived.
    pub arrived: u64,
}

/// How queries look and travel.
pub struct Queries {
    /// The query language, as EXPLAIN calls it.
    pub language: &'static str,
    /// The query says that ten records are wanted.
    pub limits: fn(&str) -> bool,
    /// Has a parser that nobody here wrote read the conditions of the requests in the sandbox's journal, and gives how
    /// many different ones there were; nothing where there is no such parser of the language.
    pub read_elsewhere: Option<fn(&Value) -> usize>,
    /// Something of a filter is in the query.
    pub filters: fn(&str) -> bool,
    /// The query has an order.
    pub sorts: fn(&str) -> bool,
    /// The query computes an aggregate.
    pub aggregates: fn(&str) -> bool,
    /// Orders are sent (S-6).
    pub takes_orders: bool,
    /// Least share of random orders that are sent: the CRM may have but one place for nulls.
    pub orders_sent: f64,
    /// Aggregates are sent (S-7).
    pub takes_aggregates: bool,
    /// Least share of random filters of which something is sent, with pushdown `connector` and `extended`.
    pub sent: [f64; 2],
    /// Most calls of a sync that finds no change.
    pub idle_sync: u64,
    /// A sync reads changes by a token of the CRM.
    pub changes_by_token: bool,
    /// Records of a page.
    pub page: u64,
    /// Most calls that reading a million records takes, or as many as [`Queries::many`] says.
    pub most_calls: u64,
    /// Records that the test of many records reads.
    pub many: u32,
    /// Columns of the generated contacts that hold values, 25 of them; as an import names them, or as tests do.
    pub filled: &'static str,
    /// Identifiers that one call fetches.
    pub lookup: u64,
    /// Signing in.
    pub sign_in: Request,
    /// The list of objects.
    pub objects: Request,
    /// The first page of contacts.
    pub first: Request,
    /// The second page of contacts.
    pub next: Request,
    /// Fetching contacts by their identifiers.
    pub by_id: Request,
}

/// How contacts are written.
pub struct Writes {
    /// Records of one call.
    pub batch: u64,
    /// The option `batch_size` and the records of one call then, for tests that need several calls for 1,000 records.
    pub small_batch: u64,
    /// The value of the option `transport` for records that travel by calls, where the CRM has a choice.
    pub by_calls: Option<&'static str>,
    /// The same for jobs, where the CRM has such.
    pub by_jobs: Option<&'static str>,
    /// Method and part of the path of the calls that create records.
    pub create: (&'static str, &'static str),
    /// The sandbox's counter of data calls that only read, where descriptions are asked for by such.
    pub described_by: Option<&'static str>,
    /// Creates whose key the extension made up.
    pub create_with_key: (&'static str, &'static str),
    /// Upserts by the journal key's field, half of whose records are there: the kinds of calls, each of which carries
    /// as many of them, in their order.
    pub upsert: &'static [(&'static str, &'static str)],
    /// Records of an upsert that travel in several calls and whose outcomes are noted when the last has come.
    pub upsert_batch: u64,
    /// Changes by identifier.
    pub update: (&'static str, &'static str),
    /// Deletions by identifier.
    pub delete: (&'static str, &'static str),
    /// A column, of those that tests name, that can settle a create: the option `journal_key`.
    pub journal_key: &'static str,
    /// A call whose answer is lost is settled within the statement, which may go well then.
    pub settles_itself: bool,
    /// An export makes the identifiers of created records itself, where no journal key is set.
    pub chooses_identifiers: bool,
    /// How records are deleted behind the interface so that nothing but the deletion log says so; `bin` works too.
    pub logged_removal: &'static str,
    /// Code and symbol of a record that a rule of the organisation refuses.
    pub refused: (&'static str, &'static str),
    /// Columns that nobody can write.
    pub read_only: &'static [&'static str],
    /// Values that the description of their field speaks against.
    pub bad_values: &'static [BadValue],
    /// A statement that leaves out what a new record must have, and the column of that.
    pub incomplete: (&'static str, &'static str),
    /// Symbol of a record that is not there and never was.
    pub unknown_record: &'static str,
    /// Symbol of a record that was deleted.
    pub deleted_record: &'static str,
    /// A record that is given with an identifier and not there is made under it.
    pub makes_named_records: bool,
    /// Symbol of a record that is locked.
    pub locked: &'static str,
    /// A symbol with which a call as a whole may be refused.
    pub refused_call: &'static str,
    /// Most calls for 10,000 records, and for as many of which one in a hundred is refused.
    pub most_calls: [u64; 2],
}

/// A value that is refused before a call is spent.
pub struct BadValue {
    /// The table and columns of an INSERT, as they stand in SQL.
    pub columns: &'static str,
    /// A row that is accepted.
    pub good: &'static str,
    /// A row that is not.
    pub bad: &'static str,
    /// Symbol of the reject.
    pub symbol: &'static str,
    /// The column that it names.
    pub column: &'static str,
}

/// The same as [`BadValue`] in fewer words.
pub(crate) const fn bad(
    columns: &'static str,
    good: &'static str,
    bad: &'static str,
    symbol: &'static str,
    column: &'static str,
) -> BadValue {
    BadValue {
        columns,
        good,
        bad,
        symbol,
        column,
    }
}

impl Writes {
    /// Value of the option `batch_size` for small batches; none where they are the usual ones.
    pub fn small_batch_option(&self) -> Option<u64> {
        (self.small_batch != self.batch).then_some(self.small_batch)
    }
}

impl Crm {
    /// A table by the name that tests use.
    ///
    /// # Panics
    /// When the descriptor has none.
    pub fn table(&self, name: &str) -> &Table {
        let mut tables = self.tables.iter();
        let found = tables.find(|table| table.name == name);
        found.unwrap_or_else(|| panic!("{} has no table {name}", self.name))
    }

    /// The field behind a column.
    ///
    /// # Panics
    /// When the descriptor has none.
    pub fn field(&self, table: &str, column: &str) -> &'static str {
        let mut columns = self.table(table).columns.iter();
        let found = columns.find(|(name, _)| *name == column);
        match found {
            Some((_, field)) => field,
            None => panic!("{} has no column {column} of {table}", self.name),
        }
    }

    /// EXPLAIN's name for the query.
    pub fn explained_as(&self) -> String {
        format!("Remote {}", self.queries.language)
    }

    /// A change of records in the sandbox (`object`, `set`, `create` and so on) in the vendor's words.
    pub fn in_its_words(&self, table: &str, change: &Value) -> Value {
        let fields = |values: &Value| -> Value {
            let renamed: Map<String, Value> = values
                .as_object()
                .expect("values by column")
                .iter()
                .map(|(column, value)| (self.field(table, column).to_owned(), value.clone()))
                .collect();
            renamed.into()
        };
        let mut change = change.clone();
        change["object"] = self.table(table).object.into();
        if !change["set"].is_null() {
            change["set"] = fields(&change["set"]);
        }
        if let Some(records) = change["create"].as_array() {
            change["create"] = records.iter().map(fields).collect();
        }
        // Looking a member up has made it.
        if let Some(members) = change.as_object_mut() {
            members.retain(|_, value| !value.is_null());
        }
        change
    }
}

/// Options as they stand between parentheses in SQL.
pub fn options_sql(options: &Options) -> String {
    let sql: Vec<_> = options
        .iter()
        .map(|(name, value)| format!("{name} {}", crate::literal(value)))
        .collect();
    sql.join(", ")
}

/// Runs test functions, which take a [`Crm`], for each CRM: each under the CRM's name.
#[macro_export]
macro_rules! for_each_crm {
    ($($test:ident),+ $(,)?) => {
        $crate::for_one_crm!(salesforce, SALESFORCE, $($test),+);
        $crate::for_one_crm!(dynamics, DYNAMICS, $($test),+);
        $crate::for_one_crm!(oracle, ORACLE, $($test),+);
    };
}

/// The same for the further deployments of a CRM that has several: other ways in and other transports to the same
/// organisation. What is slow and does not depend on them need not run for each.
#[macro_export]
macro_rules! for_each_deployment {
    ($($test:ident),+ $(,)?) => {
        $crate::for_one_crm!(dynamics_application, DYNAMICS_APPLICATION, $($test),+);
        $crate::for_one_crm!(dynamics_office_365, DYNAMICS_OFFICE_365, $($test),+);
        $crate::for_one_crm!(dynamics_ntlm, DYNAMICS_NTLM, $($test),+);
        $crate::for_one_crm!(dynamics_adfs, DYNAMICS_ADFS, $($test),+);
        $crate::for_one_crm!(dynamics_claims, DYNAMICS_CLAIMS, $($test),+);
        $crate::for_one_crm!(dynamics_2015, DYNAMICS_2015, $($test),+);
    };
}

/// The same for one.
#[macro_export]
macro_rules! for_one_crm {
    ($module:ident, $crm:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[::tokio::test(flavor = "multi_thread")]
                async fn $test() {
                    super::$test(&$crate::$crm).await;
                }
            )+
        }
    };
}
