//! ANALYZE: a sample of whole pages within a budget of calls, and the CRM's own count (S-12).

use crate::options::CollectedTable;
use crate::pg::datum::{LocalType, RowWriter};
use crate::plan::private::ScanPlan;
use crate::plan::table::{TablePlan, remote_query};
use crate::runtime;
use crate::session;
use crm_core::{Error, Page, Result, Session};
use pgrx::pg_sys;
use std::sync::Arc;

/// A sample of a foreign table.
pub struct Sample {
    /// Rows in the CRM.
    pub total: u64,
    /// Pages from which rows are drawn.
    pages: Vec<Page>,
    plan: ScanPlan,
}

/// Reads pages until they hold `wanted` rows. The CRMs give records in no useful order, so the first pages are
/// taken as they come: a random sample would need every page.
///
/// # Errors
/// What the CRM says.
pub fn sample(table: &CollectedTable, session: Arc<dyn Session>, wanted: usize) -> Result<Sample> {
    let attributes: Vec<i16> = table.columns.iter().map(|column| column.number).collect();
    let plan = TablePlan::new(table, 1, &[]).scan(&attributes, Vec::new(), None, 0.0);
    let query = remote_query(&plan, None, None, None);
    let counted = query.clone();
    let counting = Arc::clone(&session);
    let in_context = |error: Error| {
        error.in_context(format!(
            "could not sample object \"{}\" of server \"{}\"",
            table.options.object, table.server.name
        ))
    };
    let stats = session::stats_of_table(&table.server, table.relation);
    let counter = Arc::clone(&stats);
    let total = runtime::run(async move { counting.count(&counted, &counter).await })
        .map_err(in_context)?;
    let mut scan = runtime::Scan::start(move || session.scan(query, stats))?;
    let (mut pages, mut seen) = (Vec::new(), 0);
    while seen < wanted {
        let Some(page) = scan.next_page().map_err(in_context)? else {
            break;
        };
        seen += page.n_rows;
        pages.push(page);
    }
    Ok(Sample { total, pages, plan })
}

impl Sample {
    /// Rows in it.
    pub fn n_rows(&self) -> usize {
        self.pages.iter().map(|page| page.n_rows).sum()
    }

    /// Reads the rows one by one, each `width` columns wide.
    pub fn reader(&self, width: usize) -> SampleReader<'_> {
        let types = self
            .plan
            .outputs
            .iter()
            .map(|output| LocalType::new(pg_sys::Oid::from(output.type_oid), output.type_modifier))
            .collect();
        SampleReader {
            sample: self,
            writer: RowWriter::new(types),
            values: vec![pg_sys::Datum::from(0_usize); width],
            nulls: vec![true; width],
            page: 0,
            first: 0,
        }
    }
}

/// Reads the rows of a sample, in their order.
pub struct SampleReader<'a> {
    sample: &'a Sample,
    writer: RowWriter,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
    /// The page of the last row, and the number of its first row.
    page: usize,
    first: usize,
}

impl SampleReader<'_> {
    /// Row `at` as values and null flags; numbers only grow. The values live in the current memory context.
    pub fn read(&mut self, at: usize) -> (&mut [pg_sys::Datum], &mut [bool]) {
        while at >= self.first + self.sample.pages[self.page].n_rows {
            self.first += self.sample.pages[self.page].n_rows;
            self.page += 1;
        }
        let page = &self.sample.pages[self.page];
        let outputs = &self.sample.plan.outputs;
        let (values, nulls) = (&mut self.values, &mut self.nulls);
        nulls.fill(true);
        self.writer
            .write(&page.columns, at - self.first, |column, datum| {
                let place = usize::try_from(outputs[column].attribute - 1).unwrap_or(0);
                if let Some(datum) = datum {
                    values[place] = datum;
                    nulls[place] = false;
                }
            });
        (values, nulls)
    }
}
