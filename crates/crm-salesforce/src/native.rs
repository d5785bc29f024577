//! A statement in the vendor's own language, passed through as it is: read-only, a document a record (spec S-14).

use crate::scan;
use crate::session::SalesforceSession;
use crm_core::json;
use crm_core::{
    BoxFuture, CallStats, CellDecoder, CellReject, Column, ColumnType, Conversion, Error,
    ErrorKind, Page, PageStream, Raw, Result,
};
use crm_http::{Call, Followed};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;

/// The documents of one statement, a page of one JSON column at a time.
pub(crate) struct Documents {
    session: Arc<SalesforceSession>,
    stats: Arc<CallStats>,
    state: State,
    followed: Followed,
    announced: Option<u64>,
    delivered: u64,
}

enum State {
    First(String),
    Next(String),
    Finished,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply<'a> {
    total_size: Option<i64>,
    done: Option<bool>,
    next_records_url: Option<String>,
    #[serde(borrow)]
    records: Vec<&'a RawValue>,
}

impl Documents {
    /// A statement to run; nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::NotSupported`] for anything that is not a query: the query address runs nothing else, but the
    /// user should hear it here.
    pub(crate) fn new(
        session: Arc<SalesforceSession>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Self> {
        let statement = statement.trim().trim_end_matches(';').trim_end();
        let first_word = statement.split_whitespace().next().unwrap_or_default();
        if !first_word.eq_ignore_ascii_case("select") {
            return Err(Error::new(
                ErrorKind::NotSupported,
                "only a SELECT of SOQL can be passed through",
            ));
        }
        Ok(Self {
            session,
            stats,
            state: State::First(statement.to_owned()),
            followed: Followed::default(),
            announced: None,
            delivered: 0,
        })
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        loop {
            let body = match &self.state {
                State::Finished => return Ok(None),
                State::First(statement) => {
                    scan::run_statement(&self.session, statement, &self.stats).await?
                }
                State::Next(link) => {
                    let call = Call::get(link).for_data();
                    self.session.call(&call, &self.stats).await?.body
                }
            };
            if json::is_markup(&body) {
                return Err(json::not_json("records"));
            }
            let reply: Reply<'_> =
                serde_json::from_slice(&body).map_err(|fault| json::undecodable(&fault))?;
            let is_first = matches!(self.state, State::First(_));
            if is_first {
                self.announced = reply.total_size.and_then(|total| u64::try_from(total).ok());
            }
            // A bare COUNT() has no records, only their number (page 4.5).
            let is_count = is_first
                && reply.records.is_empty()
                && reply.done == Some(true)
                && self.announced.is_some_and(|count| count > 0);
            if is_count {
                self.state = State::Finished;
                let count = format!("{{\"count\":{}}}", self.announced.unwrap_or_default());
                return page_of(std::iter::once(count.as_str()), body.len()).map(Some);
            }
            self.delivered += reply.records.len() as u64;
            self.state = self.after(&reply)?;
            if !reply.records.is_empty() {
                let records = reply.records.iter().map(|record| record.get());
                return page_of(records, body.len()).map(Some);
            }
        }
    }

    fn after(&mut self, reply: &Reply<'_>) -> Result<State> {
        match (reply.done, &reply.next_records_url) {
            (Some(true), _) | (None, None) => {
                if let Some(announced) = self.announced
                    && self.delivered < announced
                {
                    return Err(Error::new(
                        ErrorKind::ShortRead,
                        format!(
                            "{} of {announced} announced records arrived",
                            self.delivered
                        ),
                    ));
                }
                Ok(State::Finished)
            }
            (_, Some(link)) if self.followed.note(link) => Ok(State::Next(link.clone())),
            _ => Err(Error::new(
                ErrorKind::Undecodable,
                "the reply does not lead to a next page",
            )),
        }
    }
}

fn page_of<'a>(documents: impl Iterator<Item = &'a str>, n_bytes: usize) -> Result<Page> {
    let decoder = CellDecoder {
        column_type: ColumnType::Json,
        conversion: Conversion::Default,
        zone: crm_core::Zone::default(),
        separator: ';',
    };
    let mut column = Column::new(ColumnType::Json);
    let mut rejects = Vec::new();
    for document in documents {
        if let Err(reason) = decoder.append(Raw::Json(document), &mut column) {
            column.push_null();
            rejects.push(CellReject {
                row: column.len() - 1,
                column: 0,
                record: None,
                raw: String::new(),
                reason,
            });
        }
    }
    Ok(Page {
        n_rows: column.len(),
        columns: vec![column],
        rejects,
        bytes: n_bytes,
    })
}

impl PageStream for Documents {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.advance())
    }
}
