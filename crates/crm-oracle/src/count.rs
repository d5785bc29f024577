//! How many records match a query: in one call, or where the CRM does not count the records of an object, in two for
//! each doubling of their number (Oracle page 4.1).

use crate::decode::{PageDecoder, QueryReply};
use crate::query_page::QueryPage;
use crate::scan::{about, specification};
use crate::session::OracleSession;
use crate::tags;
use crm_core::{CallStats, Error, ErrorKind, RemoteQuery, Result};

/// The CRM's code where it does not count.
const UNCOUNTED: &str = "SBL-DAT-00407";
/// No object has as many records.
const MOST: u64 = 1 << 40;

/// How many records match the query's filter.
///
/// # Errors
/// As [`OracleSession::call`].
pub(crate) async fn count(
    session: &OracleSession,
    query: &RemoteQuery,
    stats: &CallStats,
) -> Result<u64> {
    let counter = Counter {
        session,
        query,
        stats,
        spec: specification(session, query, None)?,
        decoder: PageDecoder::new(&query.object, &query.identifier, &[], session.zone()),
    };
    if let Some(count) = counter.ask(0, true).await?.and_then(|reply| reply.count) {
        return Ok(count);
    }
    let mut search = Search::default();
    while let Some(passed) = search.question() {
        let reply = counter.ask(passed, false).await?;
        let has_more = reply.is_some_and(|reply| !reply.ids.is_empty());
        search.answer(has_more);
        if search.low >= MOST {
            return Err(Error::new(
                ErrorKind::Undecodable,
                "the CRM gives records however many are passed over",
            ));
        }
    }
    Ok(search.low)
}

struct Counter<'a> {
    session: &'a OracleSession,
    query: &'a RemoteQuery,
    stats: &'a CallStats,
    spec: Option<String>,
    decoder: PageDecoder,
}

impl Counter<'_> {
    /// One record behind `passed` others; nothing where the CRM does not count.
    async fn ask(&self, passed: u64, counted: bool) -> Result<Option<QueryReply>> {
        let identifier = [tags::field(&self.query.identifier)?];
        let page = QueryPage {
            spec: self.spec.as_deref(),
            size: 1,
            start: passed,
            counted,
            ..self
                .session
                .query_page(tags::object(&self.query.object)?, &identifier)
        };
        let call = page.call()?.for_data();
        match self.session.exchange(&call, self.stats).await {
            Ok(answered) => self.decoder.reply(&answered.body).map(Some),
            Err(trouble)
                if trouble
                    .fault
                    .as_ref()
                    .is_some_and(|fault| fault.has(UNCOUNTED)) =>
            {
                Ok(None)
            }
            Err(trouble) => Err(about(self.query, trouble.error)),
        }
    }
}

/// The search for a number by asking whether there are more than so many.
#[derive(Debug, Default)]
struct Search {
    /// There are at least so many.
    low: u64,
    /// There are fewer than so many, once that is known.
    high: Option<u64>,
}

impl Search {
    /// Are there more than so many? Nothing when the number is known.
    fn question(&self) -> Option<u64> {
        match self.high {
            None if self.low == 0 => Some(0),
            None => Some(2 * self.low - 1),
            Some(high) if high - self.low > 1 => Some(self.low + (high - self.low) / 2 - 1),
            Some(_) => None,
        }
    }

    fn answer(&mut self, is_more: bool) {
        let Some(asked) = self.question() else {
            return;
        };
        if is_more {
            self.low = asked + 1;
        } else {
            self.high = Some(asked + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_in_two_calls_for_each_doubling() {
        for number in [0, 1, 2, 3, 4, 7, 8, 9, 100, 9_999, 1_000_000] {
            let mut search = Search::default();
            let mut n_calls = 0;
            while let Some(asked) = search.question() {
                search.answer(number > asked);
                n_calls += 1;
            }
            assert_eq!(search.low, number);
            let doublings = u64::BITS - number.leading_zeros();
            assert!(n_calls <= 2 * doublings + 1, "{number}: {n_calls}");
        }
    }
}
