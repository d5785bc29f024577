//! One foreign scan: parameters in, rows out.

use crate::error::warn;
use crate::exec::changes;
use crate::options::CollectedTable;
use crate::pg::catalog::may_write;
use crate::pg::datum::{LocalType, RowWriter};
use crate::pg::rejects::{self, KeptReject};
use crate::plan::private::ScanPlan;
use crate::plan::table::{identifiers, remote_query};
use crate::progress;
use crate::runtime;
use crate::session;
use crate::statistics;
use crm_core::{
    Bound, CallStats, Dialect, Error, ErrorKind, KeyForm, Operand, Page, RemoteQuery, Result,
    Session, Value, bind,
};
use crm_export::shown_record;
use pgrx::{notice, pg_sys};
use std::sync::Arc;

/// Identifiers of a query that is kept for EXPLAIN.
const MOST_KEPT: usize = 10_000;

/// What was spent and done so far, for EXPLAIN ANALYZE.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What was sent; nothing if no query was needed.
    pub sent: Option<Sent>,
    /// Pages received.
    pub pages: u64,
    /// Records received.
    pub records: u64,
}

/// A query that was sent. How it was said may be known only when it has been answered.
#[derive(Clone, Debug)]
pub enum Sent {
    /// The query itself.
    Query(Box<RemoteQuery>),
    /// One with so many identifiers that only its text is kept.
    Text(String),
}

impl Sent {
    /// The query as it went, in the dialect of the account where one is known.
    pub fn shown(&self, table: &CollectedTable, dialect: Option<&Dialect>) -> Result<String> {
        match (self, dialect) {
            (Self::Text(text), _) => Ok(text.clone()),
            (Self::Query(query), Some(dialect)) => (dialect.deparse)(query),
            (Self::Query(query), None) => table.connector.deparse(query),
        }
    }
}

/// A scan in execution. Dropping it stops its traffic.
pub struct ScanState {
    plan: ScanPlan,
    table: CollectedTable,
    session: Arc<dyn Session>,
    writer: RowWriter,
    /// For each column of a page, its place in the slot.
    places: Vec<usize>,
    stats: Arc<CallStats>,
    progress: Progress,
    told_progress: progress::Progress,
    source: Source,
    page: Page,
    /// The next row of `page`.
    row: usize,
    /// The next of the page's rejects.
    reject: usize,
    /// Rejects of the page that have been told of: a rewind does not repeat them.
    told: usize,
    /// Identifiers in another form have been told of.
    told_of_variants: bool,
    /// Pages since the scan was last started; while there is one, a rescan can rewind.
    pages_since_start: u64,
}

enum Source {
    /// Nothing was asked yet.
    Idle,
    /// Pages are coming.
    Open(runtime::Scan),
    /// No further page will come.
    Finished,
}

impl ScanState {
    /// Prepares a scan; nothing is sent before the first row is asked for.
    pub fn new(plan: ScanPlan, table: CollectedTable, session: Arc<dyn Session>) -> Self {
        let types = plan
            .outputs
            .iter()
            .map(|output| LocalType::new(pg_sys::Oid::from(output.type_oid), output.type_modifier))
            .collect();
        let places = plan
            .outputs
            .iter()
            .map(|output| usize::try_from(output.attribute - 1).unwrap_or(0))
            .collect();
        Self {
            told_progress: progress::Progress::of(table.relation),
            stats: session::stats_of_table(&table.server, table.relation),
            plan,
            table,
            session,
            writer: RowWriter::new(types),
            places,
            progress: Progress::default(),
            source: Source::Idle,
            page: Page::default(),
            row: 0,
            reject: 0,
            told: 0,
            told_of_variants: false,
            pages_since_start: 0,
        }
    }

    /// What was spent.
    pub fn stats(&self) -> &CallStats {
        &self.stats
    }

    /// What was done.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes the next row through `emit`, which gets a place in the slot and a datum; false at the end.
    /// `parameters` are asked for once, before the first request.
    ///
    /// # Errors
    /// What stops the scan.
    pub fn next_row(
        &mut self,
        parameters: impl FnOnce() -> Vec<Option<Value>>,
        mut emit: impl FnMut(usize, Option<pg_sys::Datum>),
    ) -> Result<bool> {
        if matches!(self.source, Source::Idle) {
            self.open(&parameters())?;
        }
        while self.row >= self.page.n_rows {
            if !self.next_page()? {
                return Ok(false);
            }
        }
        let row = self.row;
        self.report_rejects(row)?;
        let places = &self.places;
        self.writer.write(&self.page.columns, row, |column, datum| {
            emit(places[column], datum);
        });
        self.row += 1;
        Ok(true)
    }

    /// Stops before the next call if so many more would break a bound (S-13).
    ///
    /// # Errors
    /// [`ErrorKind::AllotmentUsedUp`].
    pub fn expect_calls(&self, calls: f64) -> Result<()> {
        self.stats
            .budget()
            .expect(calls.ceil() as u64, self.session.usage())
            .map_err(|error| self.in_context(error))
    }

    /// The table that is read.
    pub fn table(&self) -> &CollectedTable {
        &self.table
    }

    /// Starts over. A first page still held serves again if no parameter has changed.
    pub fn rescan(&mut self, parameters_changed: bool) {
        let can_rewind = !parameters_changed && self.pages_since_start <= 1;
        if !can_rewind {
            self.source = Source::Idle;
            self.page = Page::default();
            self.pages_since_start = 0;
        }
        self.row = 0;
        self.reject = 0;
    }

    /// Stops the traffic and lets the page go.
    pub fn close(&mut self) {
        self.source = Source::Finished;
        self.page = Page::default();
        self.row = 0;
    }

    fn open(&mut self, parameters: &[Option<Value>]) -> Result<()> {
        let Some(query) = self.bound_query(parameters)? else {
            self.source = Source::Finished;
            if !self.plan.aggregates.is_empty() {
                self.page = aggregates_of_nothing(&self.plan)?;
            }
            return Ok(());
        };
        if let (true, Some(keys)) = (self.plan.trusts_identifiers, &query.lookup) {
            self.page = identifiers_themselves(&self.plan, keys)?;
            self.source = Source::Finished;
            return Ok(());
        }
        let changes = changes::stream(self.table.relation, &self.session, &query, &self.stats)?;
        // What is known now is better than what the planner guessed.
        let calls = match (&query.lookup, &changes) {
            (Some(keys), _) => self
                .table
                .connector
                .estimate_calls(&query, keys.len() as f64),
            (None, Some(changes)) if changes.goes_on => 1.0,
            (None, _) => self.plan.estimated_calls,
        };
        self.expect_calls(calls)?;
        // A query that cannot be said is refused before anything is sent.
        let text = self.table.connector.deparse(&query)?;
        let is_long = query
            .lookup
            .as_ref()
            .is_some_and(|keys| keys.len() > MOST_KEPT);
        self.progress.sent = Some(if is_long {
            Sent::Text(text)
        } else {
            Sent::Query(Box::new(query.clone()))
        });
        let (session, stats) = (Arc::clone(&self.session), Arc::clone(&self.stats));
        self.told_progress.begin();
        let scan = match changes {
            Some(changes) => runtime::Scan::start(move || changes.stream)?,
            None => runtime::Scan::start(move || session.scan(query, stats))?,
        };
        self.source = Source::Open(scan);
        Ok(())
    }

    /// The query to send, or nothing if no record can match.
    fn bound_query(&mut self, parameters: &[Option<Value>]) -> Result<Option<RemoteQuery>> {
        if let Some(operand) = &self.plan.lookup {
            let keys = keys_of(operand, parameters, &self.table, &mut self.told_of_variants);
            let query =
                (!keys.is_empty()).then(|| remote_query(&self.plan, None, Some(keys), None));
            return Ok(query);
        }
        let bound = match &self.plan.filter {
            None => Bound::Always { exact: true },
            Some(filter) => bind(
                filter,
                parameters,
                &self.plan.filter_fields,
                self.table.connector,
            ),
        };
        let all_sent =
            !self.plan.notes.is_empty() && self.plan.notes.iter().all(|note| !note.checked);
        if all_sent && !bound.is_exact() {
            // Nothing would be checked here either: better no answer than a wrong one.
            return Err(Error::new(
                ErrorKind::RemoteFault,
                "the conditions cannot be sent as they were planned",
            ));
        }
        // A limit goes only with a filter that means what SQL means (S-7).
        let limit = self.plan.limit.filter(|_| bound.is_exact());
        match bound {
            Bound::Never => Ok(None),
            Bound::Always { .. } => Ok(Some(remote_query(&self.plan, None, None, limit))),
            Bound::Filter { filter, .. } => {
                Ok(Some(remote_query(&self.plan, Some(filter), None, limit)))
            }
        }
    }

    fn next_page(&mut self) -> Result<bool> {
        let Source::Open(scan) = &mut self.source else {
            return Ok(false);
        };
        let page = match scan.next_page() {
            Ok(page) => page,
            Err(error) if error.kind() == ErrorKind::ShortRead && !self.plan.stop_at_short_read => {
                warn(&self.in_context(error));
                None
            }
            Err(error) if error.kind() == ErrorKind::ShortRead => {
                return Err(self.in_context(error).with_hint(
                    "If records of this object vanish while they are read, set the server option short_read to 'warning'.",
                ));
            }
            Err(error) => return Err(self.in_context(error)),
        };
        let Some(page) = page else {
            self.source = Source::Finished;
            return Ok(false);
        };
        self.pages_since_start += 1;
        self.progress.pages += 1;
        self.progress.records += page.n_rows as u64;
        self.stats.add_page(page.n_rows as u64);
        self.told_progress.tell(&self.stats);
        self.page = page;
        self.row = 0;
        self.reject = 0;
        self.told = 0;
        Ok(true)
    }

    /// D-2: each value that did not convert is said once, when its row is given out.
    fn report_rejects(&mut self, row: usize) -> Result<()> {
        while let Some(reject) = self.page.rejects.get(self.reject) {
            if reject.row != row {
                break;
            }
            self.reject += 1;
            if self.reject <= self.told {
                continue;
            }
            self.told = self.reject;
            self.stats.add_reject();
            let output = &self.plan.outputs[reject.column];
            let column = self
                .table
                .column(output.attribute)
                .map_or(output.facts.name.as_str(), |column| column.name.as_str());
            let record = match &reject.record {
                Some(record) => format!("\"{record}\""),
                None => self.record_at(row),
            };
            let error = Error::new(
                ErrorKind::Undecodable,
                format!(
                    "value of column \"{column}\" of foreign table \"{}\" does not convert: {}",
                    crate::pg::catalog::relation_name(self.table.relation),
                    reject.reason
                ),
            )
            .with_detail(format!("Record {record}, value: {}", reject.raw));
            if self.plan.stop_at_reject {
                return Err(error.with_hint(
                    "The column option conversion 'copy_paste' reads the raw text; on_reject 'warning' goes on with a null.",
                ));
            }
            warn(&error);
            // Nothing is written where it cannot be: on a standby, or beside parallel workers (S-12).
            if self.table.options.process_rejects && may_write() {
                let column = column.to_owned();
                rejects::keep(&KeptReject {
                    server: &self.table.server.name,
                    relation: self.table.relation,
                    operation: "select",
                    kind: "reject",
                    record: &shown_record([(
                        column.as_str(),
                        Some(&Value::Text(reject.raw.clone())),
                    )]),
                    remote_id: reject.record.as_deref(),
                    column: Some(&column),
                    symbol: "INVALID_VALUE",
                    message: &reject.reason,
                    code: None,
                    log_file: None,
                    tries: 1,
                })?;
            }
        }
        Ok(())
    }

    /// The record identifier of a row, if it was read.
    fn record_at(&self, row: usize) -> String {
        self.plan
            .outputs
            .iter()
            .position(|output| output.facts.identifier)
            .and_then(|at| self.page.columns[at].text(row))
            .map_or_else(|| "without identifier".into(), |key| format!("\"{key}\""))
    }

    fn in_context(&self, error: Error) -> Error {
        let error = error.in_context(format!(
            "could not read object \"{}\" from server \"{}\"",
            self.plan.object, self.table.server.name
        ));
        statistics::failed(self.table.server.oid, Some(self.table.relation), &error);
        error
    }
}

/// The identifiers asked for, each once; those that name no record are left out (S-4).
fn keys_of(
    operand: &Operand,
    parameters: &[Option<Value>],
    table: &CollectedTable,
    told_of_variants: &mut bool,
) -> Vec<String> {
    let value = match operand {
        Operand::Constant(value) => Some(value),
        Operand::Parameter { index, .. } => parameters[*index].as_ref(),
    };
    let candidates = value.map(identifiers).unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    let mut variants = Vec::new();
    let mut keys = Vec::new();
    for key in candidates {
        match table.connector.key_form(&key) {
            KeyForm::Canonical if seen.insert(key.clone()) => keys.push(key),
            KeyForm::Variant => variants.push(key),
            KeyForm::Canonical | KeyForm::Invalid => {}
        }
    }
    if let Some(first) = variants.first()
        && !*told_of_variants
    {
        *told_of_variants = true;
        notice!(
            "identifier \"{first}\" equals no record's: {} ({} such here)",
            table.connector.canonical_form(),
            variants.len()
        );
    }
    keys
}

/// A row for each identifier, as if it had been read.
fn identifiers_themselves(plan: &ScanPlan, keys: &[String]) -> Result<Page> {
    let mut columns = Vec::new();
    for output in &plan.outputs {
        let decoder = plain_decoder(output.facts.column_type);
        let mut column = crm_core::Column::new(output.facts.column_type);
        for key in keys {
            decoder
                .append(crm_core::Raw::Text(key), &mut column)
                .map_err(|reason| Error::new(ErrorKind::Undecodable, reason))?;
        }
        columns.push(column);
    }
    Ok(Page {
        n_rows: keys.len(),
        columns,
        rejects: Vec::new(),
        bytes: 0,
    })
}

fn plain_decoder(column_type: crm_core::ColumnType) -> crm_core::CellDecoder {
    crm_core::CellDecoder {
        column_type,
        conversion: crm_core::Conversion::Default,
        zone: crm_core::Zone::default(),
        separator: ';',
    }
}

/// One row: a count of zero, no smallest and no largest value.
fn aggregates_of_nothing(plan: &ScanPlan) -> Result<Page> {
    let mut columns = Vec::new();
    for (output, aggregate) in plan.outputs.iter().zip(&plan.aggregates) {
        let mut column = crm_core::Column::new(output.facts.column_type);
        let raw = match aggregate.function {
            crm_core::AggregateFunction::CountAll => crm_core::Raw::Number("0"),
            _ => crm_core::Raw::Null,
        };
        plain_decoder(output.facts.column_type)
            .append(raw, &mut column)
            .map_err(|reason| Error::new(ErrorKind::Undecodable, reason))?;
        columns.push(column);
    }
    Ok(Page {
        n_rows: 1,
        columns,
        rejects: Vec::new(),
        bytes: 0,
    })
}
