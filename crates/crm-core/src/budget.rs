//! How many calls a statement may make (spec S-13).

use crate::connector::Usage;
use crate::error::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound on calls, shared by all scans of a statement that it binds.
#[derive(Clone, Debug)]
pub struct CallLimit {
    most: u64,
    made: Arc<AtomicU64>,
    source: &'static str,
}

impl CallLimit {
    /// At most `most` calls; `source` names the setting that says so.
    pub fn new(most: u64, source: &'static str) -> Self {
        Self {
            most,
            made: Arc::default(),
            source,
        }
    }

    fn left(&self) -> u64 {
        self.most.saturating_sub(self.made.load(Ordering::Relaxed))
    }
}

/// What a scan may spend: several bounds at once, and a share of the account's allotment that must stay.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    limits: Vec<CallLimit>,
    reserve_percent: Option<u64>,
}

impl Budget {
    /// All of `limits`, and `reserve_percent` of the allotment untouched.
    pub fn new(limits: Vec<CallLimit>, reserve_percent: Option<u64>) -> Self {
        Self {
            limits,
            reserve_percent,
        }
    }

    /// Takes one call out of the budget; `heard` is the account's allotment as last heard.
    ///
    /// # Errors
    /// [`ErrorKind::AllotmentUsedUp`] when the call would break a bound: it must not be sent then.
    pub fn spend(&self, heard: Option<Usage>) -> Result<()> {
        self.check_reserve(1, heard)?;
        for limit in &self.limits {
            if limit.left() == 0 {
                return Err(Error::new(
                    ErrorKind::AllotmentUsedUp,
                    format!(
                        "the statement has made the {} API calls it may make",
                        limit.most
                    ),
                )
                .with_hint(raise_it(limit)));
            }
        }
        for limit in &self.limits {
            limit.made.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Stops a plan that is expected to break a bound, before its first call.
    ///
    /// # Errors
    /// [`ErrorKind::AllotmentUsedUp`].
    pub fn expect(&self, calls: u64, heard: Option<Usage>) -> Result<()> {
        for limit in &self.limits {
            if calls > limit.left() {
                return Err(Error::new(
                    ErrorKind::AllotmentUsedUp,
                    format!(
                        "the statement is expected to take {calls} API calls, but {} are left of the {} it may make",
                        limit.left(),
                        limit.most
                    ),
                )
                .with_hint(format!(
                    "{} ANALYZE the foreign table if the estimate is wrong.",
                    raise_it(limit)
                )));
            }
        }
        self.check_reserve(calls, heard)
    }

    fn check_reserve(&self, calls: u64, heard: Option<Usage>) -> Result<()> {
        let (Some(percent), Some(usage)) = (self.reserve_percent, heard) else {
            return Ok(());
        };
        let kept = usage.allowed.saturating_mul(percent).div_ceil(100);
        if usage.used.saturating_add(calls).saturating_add(kept) <= usage.allowed {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::AllotmentUsedUp,
            format!("{calls} more API calls would leave less than {percent} % of the account's allotment"),
        )
        .with_detail(format!("{} of {} calls are used.", usage.used, usage.allowed))
        .with_hint("Narrow the statement, wait, or lower the server option api_reserve."))
    }
}

fn raise_it(limit: &CallLimit) -> String {
    format!("Narrow the statement, or raise {}.", limit.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARD: Option<Usage> = Some(Usage {
        used: 890,
        allowed: 1000,
    });

    #[test]
    fn the_call_that_would_break_a_bound_is_refused() {
        let budget = Budget::new(vec![CallLimit::new(2, "a"), CallLimit::new(5, "b")], None);
        assert!(budget.spend(None).is_ok());
        assert!(budget.spend(None).is_ok());
        let error = budget.spend(None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AllotmentUsedUp);
        assert_eq!(
            error.message(),
            "the statement has made the 2 API calls it may make"
        );
        assert_eq!(error.hint(), Some("Narrow the statement, or raise a."));
    }

    #[test]
    fn scans_of_one_statement_share_a_bound() {
        let limit = CallLimit::new(2, "a");
        let one = Budget::new(vec![limit.clone()], None);
        let other = Budget::new(vec![limit], None);
        assert!(one.spend(None).is_ok());
        assert!(other.expect(2, None).is_err());
        assert!(other.spend(None).is_ok());
        assert!(one.spend(None).is_err());
    }

    #[test]
    fn a_share_of_the_allotment_stays() {
        let budget = Budget::new(Vec::new(), Some(10));
        for (calls, good) in [(1, true), (10, true), (11, false)] {
            assert_eq!(budget.expect(calls, HEARD).is_ok(), good, "{calls}");
            assert!(
                budget.expect(calls, None).is_ok(),
                "nothing heard, nothing to keep"
            );
        }
        assert!(Budget::default().spend(HEARD).is_ok());
    }
}
