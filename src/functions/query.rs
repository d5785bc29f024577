//! A query in the CRM's own language (S-14).

use crate::error::OrRaise;
use crate::options::connector_of;
use crate::pg::catalog::{current_user, server_by_name};
use crate::runtime::Scan;
use crate::session;
use crm_core::{Error, Page};
use pgrx::prelude::*;

/// The records of a native query as JSON documents, just as they came; `crm.query` makes them `jsonb` rows.
#[pg_extern(strict)]
fn native_query(server: &str, query: &str) -> SetOfIterator<'static, String> {
    let found = server_by_name(server);
    let session = session::open(&found, current_user()).or_raise();
    let stats = session::stats(&found);
    let stream = session
        .native(query, stats)
        .map_err(|error| session::noted(&found, about(server, error)));
    let stream = stream.or_raise();
    let scan = Scan::start(move || stream).or_raise();
    SetOfIterator::new(Documents {
        server: server.to_owned(),
        scan,
        page: Page::default(),
        row: 0,
    })
}

/// Names that the CRM adds to each record of a native query beside its fields.
#[pg_extern(strict, stable)]
fn record_annotations(server: &str) -> Vec<&'static str> {
    let connector = connector_of(&server_by_name(server)).or_raise();
    connector.annotations().to_vec()
}

struct Documents {
    server: String,
    scan: Scan,
    page: Page,
    row: usize,
}

impl Iterator for Documents {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            while self.row < self.page.n_rows {
                let row = self.row;
                self.row += 1;
                if let Some(document) = self.page.columns[0].text(row) {
                    return Some(document.to_owned());
                }
                let reason = self.page.rejects.iter().find(|reject| reject.row == row);
                let reason = reason.map_or("", |reject| reject.reason.as_str());
                warning!("a record of the query is left out: {reason}");
            }
            self.page = self
                .scan
                .next_page()
                .map_err(|error| about(&self.server, error))
                .or_raise()?;
            self.row = 0;
        }
    }
}

fn about(server: &str, error: Error) -> Error {
    error.in_context(format!("could not run the query on server \"{server}\""))
}
