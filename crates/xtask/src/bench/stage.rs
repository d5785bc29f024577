//! What contestants meet: a sandbox with so many records, a PostgreSQL server, foreign tables between them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cleanup::TemporaryDir;
use crate::cluster::{Access, Cluster};
use crate::pg::Postgres;
use crate::proc;
use crate::sandbox::Sandbox;
use crate::user::ServerUser;
use crate::workspace::Workspace;

use super::matrix::{Cell, Crm};
use super::tools::{self, Tools};

/// The database that all contestants load into.
pub const DATABASE: &str = "bench";
/// The table that they load.
pub const TARGET: &str = "target.contact";
/// The wrapper that the rival of the supabase-wrappers framework is reached by.
const WRAPPERS_SQL: &str = "CREATE FUNCTION wrappers_handler() RETURNS fdw_handler \
     AS :'wrappers_library', 'pages_fdw_handler_wrapper' LANGUAGE c STRICT;
     CREATE FOREIGN DATA WRAPPER wrappers HANDLER wrappers_handler;
     CREATE SERVER wrappers FOREIGN DATA WRAPPER wrappers \
     OPTIONS (origin :'instance_url', ca_file :'ca_file', token :'token');";
/// Settings of the server, all from its manual's advice for loading much data.
const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "256MB"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("max_wal_size", "4GB"),
    ("autovacuum", "off"),
];

/// Sandbox, server and tables for one number of records.
pub struct Stage {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// The server.
    pub cluster: Cluster,
    /// Whether the framework's wrapper is there.
    pub has_wrappers: bool,
    /// Whether this build reads by bulk jobs; the foreign table `bulk.contact` does then.
    pub reads_in_bulk: bool,
    floor: PathBuf,
    scratch: TemporaryDir,
}

/// A column as contestants are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name in the CRM.
    pub field: String,
    /// Its name in PostgreSQL.
    pub name: String,
    /// Its type in PostgreSQL.
    #[serde(rename = "type")]
    pub sql_type: String,
}

/// What is read in one cell.
pub struct Reading {
    /// The cell.
    pub cell: Cell,
    /// Records that there are.
    pub rows: u64,
    /// The query that crm_fdw sends, and all others too.
    pub query: String,
    /// The columns in the query's order.
    pub columns: Vec<Column>,
    /// Version of the interface that crm_fdw speaks.
    pub version: String,
}

impl Reading {
    /// The columns as they stand in SELECT.
    pub fn list(&self) -> &'static str {
        self.cell.crm.columns(self.cell.width)
    }
}

impl Stage {
    /// Starts all of it for so many records.
    ///
    /// # Errors
    /// Fails when something does not start.
    pub fn start(
        workspace: &Workspace,
        postgres: &Postgres,
        user: &ServerUser,
        program: &Path,
        tools: &Tools,
        rows: u64,
    ) -> Result<Self> {
        let arguments = ["--contacts".to_owned(), rows.to_string()];
        let sandbox = Sandbox::start(program, user, &arguments)?;
        let cluster = Cluster::start(postgres, user, Access::Password, SETTINGS)?;
        cluster.create_database(DATABASE)?;
        let mut stage = Self {
            sandbox,
            cluster,
            has_wrappers: tools.wrappers.is_ok(),
            reads_in_bulk: false,
            floor: tools.floor.clone(),
            scratch: user.private_dir()?,
        };
        stage.ask("POST", "/oracle", Some(&json!({"session_limit": 1_000})))?;
        let raw = stage.published(&tools.raw, user)?;
        let setup = workspace.root.join(tools::FOLDER).join("setup.sql");
        let setup = std::fs::read_to_string(setup).context("cannot read setup.sql")?;
        stage.sql_with(&[("raw_library", &raw)], &setup)?;
        if let Ok(library) = &tools.wrappers {
            let library = stage.published(library, user)?;
            let token = proc::read(stage.floor().arg("token"))?;
            let variables = [("wrappers_library", library.as_str()), ("token", &token)];
            stage.sql_with(&variables, WRAPPERS_SQL)?;
        }
        let plan = stage.sql("EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM bulk.contact")?;
        stage.reads_in_bulk = plan.contains("Transport: bulk");
        Ok(stage)
    }

    /// Makes a cell ready: delays, tables, pages. What is left of other cells is gone.
    ///
    /// # Errors
    /// Fails when the foreign table cannot be read.
    pub fn enter(&self, cell: Cell) -> Result<Reading> {
        self.latency(0)?;
        let table = cell.crm.table();
        let list = cell.crm.columns(cell.width);
        let plan = self.sql(&format!(
            "EXPLAIN (VERBOSE, COSTS OFF) SELECT {list} FROM {table}"
        ))?;
        let query = remote_query(&plan).context("the plan shows no remote query")?;
        let rows = self.sql(&format!("SELECT count(*) FROM {table}"))?;
        let rows: u64 = rows.parse().context("no number of records")?;
        let described = self.sql(&columns_sql(table, list))?;
        let columns = in_order_of(&query, columns_in(&described)?);
        let version = match cell.crm {
            Crm::Salesforce => self.sql("SELECT api_version FROM crm.check('sf')")?,
            Crm::Dynamics | Crm::Oracle => String::new(),
        };
        let reading = Reading {
            cell,
            rows,
            query,
            columns,
            version: version.trim_start_matches('v').to_owned(),
        };
        self.make_tables(&reading)?;
        self.make_pages(&reading)?;
        self.latency(cell.latency_ms)?;
        Ok(reading)
    }

    fn make_tables(&self, reading: &Reading) -> Result<()> {
        let (table, rows) = (reading.cell.crm.table(), reading.rows);
        let names: Vec<&str> = reading
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let names = names.join(", ");
        let definitions: Vec<String> = reading
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.sql_type))
            .collect();
        let definitions = definitions.join(", ");
        self.sql(&format!(
            "SET client_min_messages = warning;
             DROP TABLE IF EXISTS {TARGET};
             DROP FOREIGN TABLE IF EXISTS raw.contact;
             DROP TABLE IF EXISTS raw.sample;
             CREATE TABLE raw.sample AS SELECT {names} FROM {table} LIMIT 2000;
             CREATE FOREIGN TABLE raw.contact ({definitions}) SERVER raw OPTIONS (sample 'raw.sample', rows '{rows}');"
        ))?;
        if reading.cell.crm == Crm::Salesforce && self.has_wrappers {
            // The framework's columns are called like the fields.
            let definitions: Vec<String> = reading
                .columns
                .iter()
                .map(|column| format!("\"{}\" {}", column.field, column.sql_type))
                .collect();
            let path = format!(
                "/services/data/v{}/query?q={}",
                reading.version,
                reading.query.replace(' ', "+")
            );
            self.sql(&format!(
                "SET client_min_messages = warning;
                 DROP FOREIGN TABLE IF EXISTS wrappers.contact;
                 CREATE FOREIGN TABLE wrappers.contact ({}) SERVER wrappers OPTIONS (path '{path}');",
                definitions.join(", ")
            ))?;
        }
        Ok(())
    }

    /// Has the sandbox render all pages once, so that clients are measured and not the sandbox.
    fn make_pages(&self, reading: &Reading) -> Result<()> {
        let face = reading.cell.crm.face();
        let body = match reading.cell.crm {
            Crm::Salesforce => json!({"soql": reading.query, "version": reading.version}),
            Crm::Dynamics | Crm::Oracle => {
                let (table, list) = (reading.cell.crm.table(), reading.list());
                self.sql(&format!("SELECT {list} FROM {table} OFFSET 1"))?;
                json!({})
            }
        };
        self.ask("POST", &format!("{face}/prerender"), Some(&body))?;
        Ok(())
    }

    /// Sets how much longer each answer takes.
    ///
    /// # Errors
    /// Fails when the sandbox does not answer.
    pub fn latency(&self, ms: u64) -> Result<()> {
        self.ask("POST", "/latency", Some(&json!({ "ms": ms })))?;
        Ok(())
    }

    /// Sets the sandbox's counters to nothing.
    ///
    /// # Errors
    /// Fails when the sandbox does not answer.
    pub fn clear_counters(&self) -> Result<()> {
        self.ask("DELETE", "/requests", None)?;
        Ok(())
    }

    /// Requests for records, and bytes of all answers, since the counters were cleared.
    ///
    /// # Errors
    /// Fails when the sandbox does not answer.
    pub fn counters(&self) -> Result<(u64, u64)> {
        let report = self.ask("GET", "/requests", None)?;
        let number = |name: &str| report[name].as_u64().context("the sandbox tells no counts");
        Ok((number("data_calls")?, number("bytes")?))
    }

    /// Runs statements as the superuser and gives what they print, without headings.
    ///
    /// # Errors
    /// Fails with the server's words when one fails.
    pub fn sql(&self, text: &str) -> Result<String> {
        self.sql_with(&[], text)
    }

    fn sql_with(&self, variables: &[(&str, &str)], text: &str) -> Result<String> {
        let script = self.scratch.path().join("script.sql");
        let mut start = self.sandbox.psql_variables();
        let mut psql = self.psql();
        psql.arg("--file").arg(&script);
        for (name, value) in variables {
            // By the environment, for arguments can be read by everyone on the machine.
            psql.env(format!("BENCH_{}", name.to_uppercase()), value);
            start.push_str(&format!("\\getenv {name} BENCH_{}\n", name.to_uppercase()));
        }
        std::fs::write(&script, format!("{start}{text}\n"))?;
        proc::read(&mut psql)
    }

    /// A psql that prints values alone and stops at the first error.
    pub fn psql(&self) -> Command {
        let mut psql = self.cluster.client("psql", DATABASE);
        psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .args(["--set", "ON_ERROR_STOP=1"])
            .envs(self.sandbox.environment());
        psql
    }

    /// The bare HTTP client, with the sandbox's folder as its first argument.
    pub fn floor(&self) -> Command {
        let mut floor = Command::new(&self.floor);
        floor.arg(&self.sandbox.state_dir);
        floor
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut floor = self.floor();
        floor.args(["admin", method, path]);
        if let Some(body) = body {
            floor.arg(body.to_string());
        }
        let answer = proc::read(&mut floor)?;
        Ok(serde_json::from_str(&answer).unwrap_or(Value::Null))
    }

    /// A copy of a library that the server's user can read.
    fn published(&self, library: &Path, user: &ServerUser) -> Result<String> {
        let name = library.file_name().context("a library has a name")?;
        let copy = self.scratch.path().join(name);
        std::fs::copy(library, &copy)
            .with_context(|| format!("cannot copy {}", library.display()))?;
        user.own(&copy)?;
        Ok(copy.display().to_string())
    }
}

/// The columns of a foreign table that are in a list, as `field`, `name` and `type` with bars between them.
fn columns_sql(table: &str, list: &str) -> String {
    format!(
        "SELECT o.option_value, a.attname, format_type(a.atttypid, NULL)
         FROM regexp_split_to_table('{list}', ', *') WITH ORDINALITY AS l (name, place)
         JOIN pg_attribute a ON a.attrelid = '{table}'::regclass AND a.attname = l.name
         CROSS JOIN pg_options_to_table(a.attfdwoptions) o WHERE o.option_name = 'field' ORDER BY l.place"
    )
}

fn columns_in(lines: &str) -> Result<Vec<Column>> {
    let column = |line: &str| {
        let [field, name, sql_type] = line.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        Some(Column {
            field: field.to_owned(),
            name: name.to_owned(),
            sql_type: sql_type.to_owned(),
        })
    };
    let columns: Option<Vec<_>> = lines.lines().map(column).collect();
    columns.context("the columns cannot be told")
}

/// The query behind `Remote …:` in a plan.
fn remote_query(plan: &str) -> Option<String> {
    plan.lines().find_map(|line| {
        let (_, query) = line.trim().strip_prefix("Remote ")?.split_once(": ")?;
        Some(query.to_owned())
    })
}

/// In the order of the query and by the names that it has; those that it does not name stay behind as they are.
fn in_order_of(query: &str, mut columns: Vec<Column>) -> Vec<Column> {
    let list = query
        .strip_prefix("SELECT ")
        .map(|rest| rest.split(" FROM ").next().unwrap_or_default())
        .or_else(|| query.split_once("$select=")?.1.split('&').next())
        .unwrap_or_default();
    let places: Vec<&str> = list.split(',').map(str::trim).collect();
    let place = |field: &str| places.iter().position(|place| *place == field);
    for column in &mut columns {
        // Dynamics gives the identifier of another record under a name of its own.
        let reference = format!("_{}_value", column.field);
        if place(&reference).is_some() {
            column.field = reference;
        }
    }
    columns.sort_by_key(|column| place(&column.field).unwrap_or(usize::MAX));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(field: &str) -> Column {
        Column {
            field: field.to_owned(),
            name: field.to_lowercase(),
            sql_type: "text".to_owned(),
        }
    }

    #[test]
    fn the_remote_query_is_found_in_a_plan() {
        let plan =
            "Foreign Scan on sf.contact\n  Output: id\n  Remote SOQL: SELECT Id FROM Contact\n";
        let query = remote_query(plan);
        assert_eq!(query.as_deref(), Some("SELECT Id FROM Contact"));
        assert_eq!(remote_query("Result"), None);
    }

    #[test]
    fn columns_stand_as_in_the_query() {
        let columns = vec![column("Name"), column("Id"), column("other")];
        let ordered = in_order_of("SELECT Id,Name FROM Contact", columns);
        assert_eq!(ordered, [column("Id"), column("Name"), column("other")]);
        let columns = vec![column("owner"), column("name")];
        let ordered = in_order_of("{contact}?$select=name,_owner_value", columns);
        let fields: Vec<&str> = ordered.iter().map(|column| column.field.as_str()).collect();
        assert_eq!(fields, ["name", "_owner_value"]);
    }

    #[test]
    fn columns_are_read_from_lines() {
        assert_eq!(columns_in("Id|id|text").unwrap(), [column("Id")]);
        assert!(columns_in("Id|id").is_err());
    }
}
