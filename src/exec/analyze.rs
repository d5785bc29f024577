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
    let stats = session::stats(&table.server);
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
    /// Gives every sampled row to `emit` as values and null flags, `width` wide.
    pub fn for_each_row(
        &self,
        width: usize,
        most: usize,
        mut emit: impl FnMut(&mut [pg_sys::Datum], &mut [bool]),
    ) {
        let types = self
            .plan
            .outputs
            .iter()
            .map(|output| LocalType::new(pg_sys::Oid::from(output.type_oid), output.type_modifier))
            .collect();
        let mut writer = RowWriter::new(types);
        let rows = self
            .pages
            .iter()
            .flat_map(|page| (0..page.n_rows).map(move |row| (page, row)));
        for (page, row) in rows.take(most) {
            let mut values = vec![pg_sys::Datum::from(0_usize); width];
            let mut nulls = vec![true; width];
            writer.write(&page.columns, row, |column, datum| {
                let place = usize::try_from(self.plan.outputs[column].attribute - 1).unwrap_or(0);
                if let Some(datum) = datum {
                    values[place] = datum;
                    nulls[place] = false;
                }
            });
            emit(&mut values, &mut nulls);
        }
    }
}
