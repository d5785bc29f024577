//! Salesforce records by the `supabase-wrappers` framework, in the way of its own wrappers for REST services: a page is
//! read as a JSON document, a record becomes a row of cells.
//!
//! The table's options are those of a benchmark: the address of the first page and a token that is good already, so
//! that what is measured is reading.

use std::collections::HashMap;
use std::time::Duration;

use pgrx::PgSqlErrorCode;
use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{AnyNumeric, pg_sys};
use reqwest::{Certificate, Client};
use serde_json::Value;
use supabase_wrappers::prelude::*;

pgrx::pg_module_magic!();

/// What can go wrong, said in words.
struct Failed(String);

impl From<Failed> for ErrorReport {
    fn from(failed: Failed) -> Self {
        ErrorReport::new(PgSqlErrorCode::ERRCODE_FDW_ERROR, failed.0, "")
    }
}

impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

#[wrappers_fdw(
    version = "0.1.0",
    author = "crm_fdw",
    website = "none",
    error_type = "Failed"
)]
struct PagesFdw {
    runtime: Runtime,
    client: Client,
    origin: String,
    token: String,
    next: Option<String>,
    columns: Vec<Column>,
    records: std::vec::IntoIter<Value>,
}

impl PagesFdw {
    fn fetch(&mut self, path: &str) -> Result<(), Failed> {
        let request = self
            .client
            .get(format!("{}{path}", self.origin))
            .bearer_auth(&self.token);
        let text = self.runtime.block_on(async {
            let reply = request.send().await?.error_for_status()?;
            reply.text().await
        })?;
        let mut page: Value = serde_json::from_str(&text)?;
        self.next = page["nextRecordsUrl"].as_str().map(str::to_owned);
        let Value::Array(records) = page["records"].take() else {
            return Err(Failed("a page has no records".to_owned()));
        };
        self.records = records.into_iter();
        Ok(())
    }
}

impl ForeignDataWrapper<Failed> for PagesFdw {
    fn new(server: ForeignServer) -> Result<Self, Failed> {
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority =
            std::fs::read(require_option("ca_file", &server.options).map_err(missing)?)?;
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&authority)?])
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()?;
        Ok(Self {
            runtime: create_async_runtime()?,
            client,
            origin: require_option("origin", &server.options)
                .map_err(missing)?
                .to_owned(),
            token: require_option("token", &server.options)
                .map_err(missing)?
                .to_owned(),
            next: None,
            columns: Vec::new(),
            records: Vec::new().into_iter(),
        })
    }

    fn begin_scan(
        &mut self,
        _quals: &[Qual],
        columns: &[Column],
        _sorts: &[Sort],
        _limit: &Option<Limit>,
        options: &HashMap<String, String>,
    ) -> Result<(), Failed> {
        self.columns = columns.to_vec();
        let path = require_option("path", options).map_err(missing)?.to_owned();
        self.fetch(&path)
    }

    fn iter_scan(&mut self, row: &mut Row) -> Result<Option<()>, Failed> {
        let record = loop {
            if let Some(record) = self.records.next() {
                break record;
            }
            let Some(next) = self.next.take() else {
                return Ok(None);
            };
            self.fetch(&next)?;
        };
        for column in &self.columns {
            let field = field_of(&record, &column.name);
            row.push(&column.name, cell(field, column.type_oid)?);
        }
        Ok(Some(()))
    }

    fn end_scan(&mut self) -> Result<(), Failed> {
        self.records = Vec::new().into_iter();
        Ok(())
    }
}

fn missing(error: OptionsError) -> Failed {
    Failed(error.to_string())
}

/// Columns are named as fields are.
fn field_of<'r>(record: &'r Value, name: &str) -> &'r Value {
    &record[name]
}

fn cell(value: &Value, type_oid: pg_sys::Oid) -> Result<Option<Cell>, Failed> {
    let cell = match (value, type_oid) {
        (Value::Null, _) => return Ok(None),
        (Value::Bool(truth), _) => Cell::Bool(*truth),
        (Value::Number(number), pg_sys::INT4OID) => {
            Cell::I32(i32::try_from(number.as_f64().unwrap_or_default() as i64)?)
        }
        (Value::Number(number), _) => {
            let number: AnyNumeric = number.to_string().as_str().try_into()?;
            Cell::Numeric(number)
        }
        (Value::String(text), pg_sys::DATEOID) => Cell::Date(date(text)?),
        (Value::String(text), pg_sys::TIMESTAMPTZOID) => Cell::Timestamptz(moment(text)?),
        (Value::String(text), _) => Cell::String(text.clone()),
        (Value::Array(_) | Value::Object(_), _) => Cell::String(value.to_string()),
    };
    Ok(Some(cell))
}

/// `2020-01-31`.
fn date(text: &str) -> Result<Date, Failed> {
    Ok(text.parse()?)
}

/// `2020-01-31T12:30:00.000+0000`.
fn moment(text: &str) -> Result<TimestampWithTimeZone, Failed> {
    Ok(text.parse()?)
}
