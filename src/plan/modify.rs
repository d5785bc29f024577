//! What a write sends: which columns, under which remote names, and whether the table takes it at all.

use crate::options::{CollectedTable, LocalColumn};
use crm_core::{Error, ErrorKind, Operation, Result, Route, WriteField};
use crm_export::{Statement, Target};

/// The columns of one foreign table that one statement writes.
pub struct WritePlan {
    /// The kind of statement.
    pub statement: Statement,
    /// Columns written, the identifier's not among them.
    pub columns: Vec<LocalColumn>,
    /// The column of the record identifier.
    pub identifier: Option<LocalColumn>,
}

impl WritePlan {
    /// For a statement that writes the columns of these numbers; no call is made.
    ///
    /// # Errors
    /// A table or a column that its options say is not writable, or a missing identifier column.
    pub fn new(
        table: &CollectedTable,
        name: &str,
        statement: Statement,
        attributes: &[i16],
    ) -> Result<Self> {
        let writable = table.options.writable;
        let (allowed, does) = match statement {
            Statement::Insert => (writable.insert, "does not allow inserts"),
            Statement::Update => (writable.update, "does not allow updates"),
            Statement::Delete => (writable.delete, "does not allow deletes"),
        };
        if !allowed {
            return Err(Error::new(
                ErrorKind::NotSupported,
                format!("foreign table \"{name}\" {does}"),
            ));
        }
        let identifier = table
            .columns
            .iter()
            .find(|column| column.facts.identifier)
            .cloned();
        if identifier.is_none() && statement != Statement::Insert {
            return Err(Error::new(
                ErrorKind::FieldUnknown,
                format!("foreign table \"{name}\" has no identifier column"),
            )
            .with_hint("UPDATE and DELETE name records by it: give its column the option identifier 'true'."));
        }
        let mut columns = Vec::new();
        for column in attributes.iter().filter_map(|number| table.column(*number)) {
            let is_identifier = column.facts.identifier;
            let holds = match statement {
                Statement::Insert => column.insertable || column.updatable || is_identifier,
                Statement::Update => column.updatable && !is_identifier,
                Statement::Delete => true,
            };
            if !holds {
                return Err(read_only(name, column));
            }
            if !is_identifier {
                columns.push(column.clone());
            }
        }
        Ok(Self {
            statement,
            columns,
            identifier,
        })
    }

    /// Where its records go.
    pub fn target(&self, table: &CollectedTable) -> Target {
        let options = &table.options;
        Target {
            server: table.server.name.clone(),
            object: options.object.clone(),
            identifier: table.identifier(),
            key: options.key.clone(),
            journal_key: options.journal_key.clone(),
            takes_identifiers: table.connector.takes_identifiers(&options.object),
            transport: options.transport.clone(),
            batch_size: options.batch_size,
            zone: options.zone,
            statement: self.statement,
            fields: self.columns.iter().map(written_field).collect(),
        }
    }

    /// What most records will need; the records themselves decide.
    pub fn likely_operation(&self, table: &CollectedTable) -> Operation {
        let writes_key = || {
            table.options.key.as_deref().is_some_and(|key| {
                let mut columns = self.columns.iter();
                columns.any(|column| column.facts.name.eq_ignore_ascii_case(key))
            })
        };
        match self.statement {
            Statement::Update => Operation::Update,
            Statement::Delete => Operation::Delete,
            Statement::Insert if writes_key() => Operation::Upsert,
            Statement::Insert => Operation::Create,
        }
    }

    /// How so many records are expected to travel.
    pub fn route(&self, table: &CollectedTable, records: f64) -> Route {
        let transport = table.options.transport.as_deref();
        let operation = self.likely_operation(table);
        let n_records = records.clamp(1.0, 1e12) as usize;
        table
            .connector
            .write_route(operation, n_records, transport, true)
    }

    /// Records in one batch of that kind.
    pub fn batch_size(&self, table: &CollectedTable, route: Route) -> usize {
        let limits = table
            .connector
            .write_limits(self.likely_operation(table), route);
        let wanted = table.options.batch_size.unwrap_or(limits.records);
        wanted.min(limits.records)
    }

    /// Records that are collected before they are sent: as many as the largest batch that they may travel in.
    pub fn most_collected(&self, table: &CollectedTable) -> usize {
        let operation = self.likely_operation(table);
        let job = table.connector.write_limits(operation, Route::Job).records;
        self.batch_size(table, self.route(table, job as f64))
    }

    /// Data calls that so many records are expected to take.
    pub fn expected_calls(&self, table: &CollectedTable, records: f64) -> f64 {
        let route = self.route(table, records);
        let operation = self.likely_operation(table);
        let at_best = table
            .connector
            .estimate_write_calls(operation, route, records.max(1.0));
        match route {
            Route::Calls => at_best.max((records / self.batch_size(table, route) as f64).ceil()),
            Route::Job => at_best,
        }
    }
}

fn written_field(column: &LocalColumn) -> WriteField {
    WriteField {
        name: column.facts.name.clone(),
        remote_type: column.facts.remote_type.clone(),
        conversion: column.facts.conversion,
    }
}

fn read_only(table: &str, column: &LocalColumn) -> Error {
    let error = Error::new(
        ErrorKind::NotSupported,
        format!(
            "column \"{}\" of foreign table \"{table}\" cannot be written",
            column.name
        ),
    );
    if column.facts.identifier {
        return error.with_hint(
            "It identifies the record: a record keeps the identifier that the CRM gave it.",
        );
    }
    error
        .with_detail(format!(
            "The CRM computes field \"{}\", or lets this account only read it.",
            column.facts.name
        ))
        .with_hint("Leave the column out of the statement.")
}
