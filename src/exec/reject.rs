//! Records and values that a CRM, a check or a conversion refuses: said, kept, or the end of the statement (E-1 to E-4).

use crate::error::warn;
use crate::guc;
use crate::options::CollectedTable;
use crate::pg::rejects::{self, KeptReject};
use crm_core::{Error, Reject, Result};
use crm_export::Statement;

/// Why a record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was refused.
    Reject,
    /// The call that carried it failed; it was certainly not applied.
    Error,
    /// It was sent without an answer.
    Unknown,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

/// How refused records of one write are told of.
pub struct Report<'a> {
    table: &'a CollectedTable,
    name: &'a str,
    statement: Statement,
}

impl<'a> Report<'a> {
    /// For a statement on a table.
    pub fn new(table: &'a CollectedTable, name: &'a str, statement: Statement) -> Self {
        Self {
            table,
            name,
            statement,
        }
    }

    /// One refused record: a WARNING, a row where `process_rejects` says so, or the end of the statement.
    /// `row` is its place in the statement, `record` its content as JSON.
    ///
    /// # Errors
    /// The reject itself where `on_reject` is `error`.
    pub fn reject(
        &mut self,
        reject: &Reject,
        row: u64,
        record: &str,
        remote_id: Option<String>,
    ) -> Result<()> {
        let error = self.told(reject, row, remote_id.as_deref());
        if self.table.options.stop_at_reject {
            return Err(error);
        }
        warn(&error);
        if self.table.options.process_rejects || guc::retried_rejects() > 0 {
            self.keep(Kind::Reject, reject, record, remote_id)?;
        }
        Ok(())
    }

    /// One record of a call that failed, kept for later (E-4); the failure itself is told of once, elsewhere.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn failure(
        &mut self,
        kind: Kind,
        failure: &Error,
        record: &str,
        remote_id: Option<String>,
    ) -> Result<()> {
        let symbol = failure.code().unwrap_or("CALL_FAILED");
        let reject = Reject::new(failure.kind(), symbol, failure.to_string());
        self.keep(kind, &reject, record, remote_id)
    }

    fn keep(
        &mut self,
        kind: Kind,
        reject: &Reject,
        record: &str,
        remote_id: Option<String>,
    ) -> Result<()> {
        rejects::keep(&KeptReject {
            server: &self.table.server.name,
            relation: self.table.relation,
            operation: operation_name(self.statement),
            kind: kind.name(),
            record,
            remote_id: remote_id.as_deref(),
            column: self.column_of(reject).as_deref(),
            symbol: &reject.symbol,
            message: &reject.message,
            code: reject.code.as_deref(),
            log_file: reject.log_file.as_deref(),
            tries: guc::retried_rejects() + 1,
        })
    }

    /// The local column that is to blame, where the reject names its field.
    fn column_of(&self, reject: &Reject) -> Option<String> {
        let field = reject.fields.first()?;
        let mut columns = self.table.columns.iter();
        let column = columns.find(|column| column.facts.name.eq_ignore_ascii_case(field));
        Some(column.map_or_else(|| field.clone(), |column| column.name.clone()))
    }

    fn told(&self, reject: &Reject, row: u64, remote_id: Option<&str>) -> Error {
        let record = match remote_id {
            Some(id) => format!("record \"{id}\""),
            None => format!("record {row} of the statement"),
        };
        let mut detail = match reject.word() {
            "" => reject.message.clone(),
            word => format!("{word}: {}", reject.message),
        };
        if !reject.fields.is_empty() {
            detail.push_str(&format!("\nFields: {}", reject.fields.join(", ")));
        }
        let column = self
            .column_of(reject)
            .map_or_else(String::new, |column| format!(", column \"{column}\""));
        Error::new(
            reject.kind,
            format!(
                "{record} was refused by {} foreign table \"{}\"{column}",
                match self.statement {
                    Statement::Insert => "INSERT into",
                    Statement::Update => "UPDATE of",
                    Statement::Delete => "DELETE from",
                },
                self.name
            ),
        )
        .with_code(reject.word())
        .with_detail(detail)
    }
}

fn operation_name(statement: Statement) -> &'static str {
    match statement {
        Statement::Insert => "insert",
        Statement::Update => "update",
        Statement::Delete => "delete",
    }
}
