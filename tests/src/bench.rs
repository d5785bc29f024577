//! A sandbox, a session, a foreign server between them, all for one test alone.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use crm_sandbox::{Config, Sandbox};
use tempfile::TempDir;

use crate::admin::Admin;
use crate::cluster::Place;
use crate::crm::{Crm, options_sql};
use crate::database::{Database, literal};
use crate::log::ServerLog;
use crate::salesforce::SALESFORCE;

/// Held while what all tests share is changed, such as the extension and the rights on it: two sessions at once would
/// trip over each other ("tuple concurrently updated").
const SHARED: u64 = 7_232_661;

/// What one test works with. End it with [`Bench::finish`].
pub struct Bench {
    /// Which CRM it is.
    pub crm: &'static Crm,
    /// The CRM.
    pub sandbox: Sandbox,
    /// Its faults and counters.
    pub admin: Admin,
    /// A superuser's session, its search path the schema below.
    pub db: Database,
    /// Name of the foreign server and of the schema.
    pub name: String,
    /// The server's log since the start.
    pub log: ServerLog,
    place: Place,
    ca: TempDir,
}

impl Bench {
    /// Salesforce in a plain sandbox.
    pub async fn plain(label: &str) -> Self {
        Self::start(label, Config::default()).await
    }

    /// Salesforce in a sandbox as configured.
    pub async fn start(label: &str, config: Config) -> Self {
        Self::of(&SALESFORCE, label, config).await
    }

    /// A sandbox as configured, and a server with a mapping that signs in the usual way.
    pub async fn of(crm: &'static Crm, label: &str, config: Config) -> Self {
        Self::of_on(Place::shared(), crm, label, config).await
    }

    /// The same on a server of the test's own.
    pub async fn of_on(place: Place, crm: &'static Crm, label: &str, config: Config) -> Self {
        let bench = Self::bare_on(place, crm, label, config).await;
        bench.create_server("").await;
        bench.create_mapping(&bench.password_mapping()).await;
        bench
    }

    /// Salesforce in a sandbox as configured and an empty schema; no foreign server yet.
    ///
    /// # Panics
    /// When sandbox or server are not there.
    pub async fn bare(label: &str, config: Config) -> Self {
        Self::bare_on(Place::shared(), &SALESFORCE, label, config).await
    }

    async fn bare_on(place: Place, crm: &'static Crm, label: &str, config: Config) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{label}_{}_{number}", std::process::id());
        let sandbox = crm_sandbox::start(config).await.expect("a sandbox");
        let admin = Admin::of(crm, &sandbox.admin_url, &sandbox.ca_pem).await;
        let ca = authority_file(&sandbox.ca_pem);
        let log = ServerLog::from_here(&place);
        let db = Database::connect_to(&place, None).await;
        // Each is a transaction of its own: the extension is there for others before the lock is gone.
        for sql in [
            format!("SELECT pg_advisory_lock({SHARED}); SET client_min_messages = warning"),
            "CREATE EXTENSION IF NOT EXISTS crm_fdw".to_owned(),
            format!("RESET client_min_messages; SELECT pg_advisory_unlock({SHARED})"),
            format!("CREATE SCHEMA {name}; SET search_path = {name}, public"),
        ] {
            db.run(&sql).await;
        }
        Self {
            crm,
            sandbox,
            admin,
            db,
            name,
            log,
            place,
            ca,
        }
    }

    /// Another session like [`Bench::db`].
    pub async fn session(&self) -> Database {
        let session = Database::connect_to(&self.place, None).await;
        session
            .run(&format!("SET search_path = {}, public", self.name))
            .await;
        session
    }

    /// Runs statements that touch what all tests share, as one transaction and while no other test does.
    pub async fn run_alone(&self, sql: &str) {
        self.db
            .run(&format!("SELECT pg_advisory_xact_lock({SHARED}); {sql}"))
            .await;
    }

    /// The foreign server, with `more` options behind those of every test.
    pub async fn create_server(&self, more: &str) {
        let (_, url) = (self.crm.server)(&self.sandbox).swap_remove(0);
        let sql = self.create_server_sql(&self.name, &url, more);
        self.db.run(&sql).await;
    }

    /// The statement that makes a foreign server which trusts the sandbox's authority and gives up soon.
    pub fn create_server_sql(&self, name: &str, url: &str, more: &str) -> String {
        let mut options = (self.crm.server)(&self.sandbox);
        assert_eq!(options[0].0, "url");
        options[0].1 = url.to_owned();
        format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER {} OPTIONS ({}, ca_file {}, \
             connect_timeout '5', request_timeout '60', max_retries '2', retry_timeout '10'{}{more})",
            self.crm.wrapper,
            options_sql(&options),
            literal(self.ca_file()),
            if more.is_empty() { "" } else { ", " },
        )
    }

    /// A user mapping for the session's user with these options.
    pub async fn create_mapping(&self, options: &str) {
        let sql = format!(
            "CREATE USER MAPPING FOR CURRENT_USER SERVER {} OPTIONS ({options})",
            self.name
        );
        self.db.run(&sql).await;
    }

    /// The file of the sandbox's authority, readable by the server.
    pub fn ca_file(&self) -> String {
        self.ca.path().join("ca.pem").display().to_string()
    }

    /// Options of a user mapping that signs in the usual way.
    pub fn password_mapping(&self) -> String {
        options_sql(&(self.crm.mapping)(&self.sandbox))
    }

    /// The same with another password.
    pub fn mapping_with_password(&self, password: &str) -> String {
        let mut options = (self.crm.mapping)(&self.sandbox);
        for (name, value) in &mut options {
            if *name == "password" {
                password.clone_into(value);
            }
        }
        options_sql(&options)
    }

    /// Collects tables under the names that tests use, their columns too; the notices of it are dropped.
    pub async fn collect(&self, tables: &[&str]) {
        for name in tables {
            let table = self.crm.table(name);
            self.import(&[table.object]).await;
            let imported = table.object.to_lowercase();
            if imported != *name {
                let sql = format!("ALTER FOREIGN TABLE {imported} RENAME TO {name}");
                self.db.run(&sql).await;
            }
            for (column, field) in table.columns {
                let imported = field.to_lowercase();
                let added = table.added.iter().find(|(name, _)| name == column);
                if let Some((_, definition)) = added {
                    let sql =
                        format!("ALTER FOREIGN TABLE {name} ADD COLUMN {column} {definition}");
                    self.db.run(&sql).await;
                    continue;
                }
                if imported == *column {
                    continue;
                }
                // Another field may have come under that name.
                let sql = format!(
                    "ALTER FOREIGN TABLE {name} DROP COLUMN IF EXISTS {column};
                     ALTER FOREIGN TABLE {name} RENAME COLUMN {imported} TO {column}"
                );
                self.db.run(&sql).await;
            }
            for (column, sql_type) in table.types {
                let sql =
                    format!("ALTER FOREIGN TABLE {name} ALTER COLUMN {column} TYPE {sql_type}");
                self.db.run(&sql).await;
            }
        }
        self.db.notes();
    }

    /// Changes records in the CRM as its other users would, in the names that tests use: see `/records` in
    /// `sandbox/README.md`.
    pub async fn change(&self, table: &str, change: serde_json::Value) -> serde_json::Value {
        let change = self.crm.in_its_words(table, &change);
        self.admin.change(change).await
    }

    /// Identifiers of the records in the CRM whose field has this value, letter for letter.
    pub async fn find(&self, table: &str, column: &str, value: &str) -> Vec<String> {
        let (object, field) = (self.crm.table(table).object, self.crm.field(table, column));
        self.admin.find(object, field, value).await
    }

    /// Data calls without those that only read, where a new session asks for the description of an object by such.
    pub async fn writing_calls(&self) -> u64 {
        let all = self.admin.data_calls().await;
        match self.crm.writes.described_by {
            Some(counter) => all - self.admin.calls(counter).await,
            None => all,
        }
    }

    /// Sets the option `transport` of a table, where the CRM has a choice.
    pub async fn travel(&self, table: &str, transport: Option<&str>) {
        if let Some(transport) = transport {
            let sql = format!("ALTER FOREIGN TABLE {table} OPTIONS (ADD transport '{transport}')");
            self.db.run(&sql).await;
        }
    }

    /// Collects these objects into the schema, under their lower-case names; the notices of it are dropped.
    pub async fn import(&self, objects: &[&str]) {
        let objects: Vec<_> = objects.iter().map(|name| name.to_lowercase()).collect();
        self.db
            .run(&format!(
                "IMPORT FOREIGN SCHEMA \"all\" LIMIT TO ({}) FROM SERVER {} INTO {}",
                objects.join(", "),
                self.name,
                self.name
            ))
            .await;
        self.db.notes();
    }

    /// Makes a local table `<object>_copy` of each of these foreign tables, read without any help of the CRM.
    pub async fn copy(&self, tables: &[&str]) {
        for table in tables {
            self.db
                .run(&format!(
                    "ALTER FOREIGN TABLE {table} OPTIONS (ADD pushdown 'off');
                     CREATE TABLE {table}_copy AS SELECT * FROM {table};
                     ALTER FOREIGN TABLE {table} OPTIONS (DROP pushdown)"
                ))
                .await;
        }
        self.db.notes();
    }

    /// What EXPLAIN says, as JSON: the plan's root.
    ///
    /// # Panics
    /// When it is none.
    pub async fn plan(&self, options: &str, sql: &str) -> serde_json::Value {
        let text = self
            .db
            .value(&format!("EXPLAIN (FORMAT JSON{options}) {sql}"))
            .await;
        let plan: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        plan[0]["Plan"].clone()
    }

    /// The queries that a statement would send, outermost first.
    pub async fn remote_queries(&self, sql: &str) -> Vec<String> {
        let plan = self.plan(", VERBOSE, COSTS OFF", sql).await;
        let mut found = Vec::new();
        collect(&plan, &self.crm.explained_as(), &mut found);
        found
    }

    /// Checks that the log holds no secret, and removes what the test made in the database.
    ///
    /// # Panics
    /// When the session is dead or a secret was logged.
    pub async fn finish(self) {
        self.finish_with_secrets(&[]).await;
    }

    /// The same with further secrets to look for.
    pub async fn finish_with_secrets(self, others: &[&str]) {
        self.db.is_alive().await;
        let name = &self.name;
        self.db
            .run(&format!(
                "SET client_min_messages = error;
                 DROP SERVER IF EXISTS {name} CASCADE;
                 DROP SCHEMA {name} CASCADE"
            ))
            .await;
        let mut secrets = (self.crm.secrets)(&self.sandbox);
        secrets.extend(others.iter().map(|secret| (*secret).to_owned()));
        self.log.has_none_of(&secrets);
        self.sandbox.shutdown();
    }
}

/// Every text of that name in a plan.
fn collect(plan: &serde_json::Value, name: &str, found: &mut Vec<String>) {
    if let Some(text) = plan[name].as_str() {
        found.push(text.to_owned());
    }
    for inner in plan["Plans"].as_array().into_iter().flatten() {
        collect(inner, name, found);
    }
}

/// The server runs as another user: the folder is open to all.
fn authority_file(pem: &str) -> TempDir {
    let dir = TempDir::new().expect("a folder");
    open_file(dir.path(), "ca.pem", pem);
    dir
}

/// Writes a file into our folder `dir` that every user of the machine can read; gives its path.
///
/// # Panics
/// When it cannot be written.
pub fn open_file(dir: &Path, name: &str, text: &str) -> String {
    let open = |mode| Permissions::from_mode(mode);
    let file = dir.join(name);
    std::fs::write(&file, text).expect("a file");
    std::fs::set_permissions(&file, open(0o644)).expect("our own file");
    std::fs::set_permissions(dir, open(0o755)).expect("our own folder");
    file.display().to_string()
}
