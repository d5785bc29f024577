//! What the audit can tell of deletions, whichever transport asks it (L-1, Dynamics page, section 8).

use crate::describe::Entity;
use crm_core::{
    Deletions, DeletionsOfPeriod, Error, ErrorKind, MICROS_PER_SECOND, Result,
    format_instant_seconds,
};

/// The number of deletions among the operations that the audit lists.
pub(crate) const DELETION: u8 = 3;

/// A period, and what was deleted in it.
pub(crate) struct Period {
    start: i64,
    end: i64,
    /// Its first second.
    pub first: String,
    /// The second behind its last.
    pub behind: String,
    /// The deletions found.
    pub found: DeletionsOfPeriod,
}

impl Period {
    /// A period, both ends included to the second.
    ///
    /// # Errors
    /// [`ErrorKind::OptionValue`] when it ends before it begins, or the CRM cannot read it.
    pub(crate) fn new(start: i64, end: i64) -> Result<Self> {
        let wrong = |message| Error::new(ErrorKind::OptionValue, message);
        if end < start {
            return Err(wrong("the end of the period lies before its start"));
        }
        let found = DeletionsOfPeriod::new(start, end);
        let (first, last) = found.seconds();
        let moment = |second: i64| {
            let text = second.checked_mul(MICROS_PER_SECOND);
            text.and_then(format_instant_seconds)
                .ok_or_else(|| wrong("the period lies outside what the CRM can read"))
        };
        Ok(Self {
            start,
            end,
            first: moment(first)?,
            behind: moment(last.saturating_add(1))?,
            found,
        })
    }

    /// What was found, as far as the audit goes at `now`.
    pub(crate) fn deletions(self, audit: Audit, now: i64) -> Deletions {
        Deletions {
            records: self.found.into_records(),
            covered_until: Some(self.end.min(now)),
            incomplete: audit.incomplete(self.start, now),
        }
    }
}

/// What the organisation says of its audit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Audit {
    /// Changes leave a trace.
    pub is_kept: bool,
    /// Days that it is kept; absent where it is for ever, or nobody says.
    pub days: Option<i64>,
}

impl Audit {
    /// Deletions of the entity are in the audit, if it reaches back so far.
    ///
    /// # Errors
    /// [`ErrorKind::NotSupported`] saying what is not audited.
    pub(crate) fn demand(self, entity: &Entity) -> Result<()> {
        if !self.is_kept {
            return Err(not_audited("of the organisation").with_hint("An administrator can switch auditing on in the settings of the environment; deletions before that are not known."));
        }
        if !entity.is_audited {
            let object = format!("of object \"{}\"", entity.object.summary.name);
            return Err(not_audited(&object).with_hint("An administrator can switch auditing on in the table's properties; deletions before that are not known."));
        }
        Ok(())
    }

    fn incomplete(self, start: i64, now: i64) -> Option<String> {
        let days = self.days?;
        let earliest = now.checked_sub(days.checked_mul(crm_core::MICROS_PER_DAY)?)?;
        (start < earliest).then(|| {
            let since = format_instant_seconds(earliest).unwrap_or_default();
            format!("the audit is kept for {days} days and reaches back to {since} only; earlier deletions may be missing")
        })
    }
}

fn not_audited(what: &str) -> Error {
    Error::new(
        ErrorKind::NotSupported,
        format!("the deletions {what} are not known, for it is not audited"),
    )
}

/// Says which privilege is missing.
pub(crate) fn about_audit(error: Error) -> Error {
    if error.kind() != ErrorKind::NotPermitted {
        return error;
    }
    error.with_hint(
        "Deletions are read from the audit: the user needs the privilege View Audit Summary.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{MICROS_PER_DAY, parse_instant};

    #[test]
    fn how_long_the_audit_is_kept_is_told() {
        let now = parse_instant("2024-03-01T00:00:00Z").unwrap();
        let kept = |days| Audit {
            is_kept: true,
            days,
        };
        assert_eq!(kept(None).incomplete(0, now), None);
        assert_eq!(
            kept(Some(30)).incomplete(now - 29 * MICROS_PER_DAY, now),
            None
        );
        let told = kept(Some(30)).incomplete(now - 31 * MICROS_PER_DAY, now);
        let told = told.unwrap();
        assert!(
            told.contains("30 days") && told.contains("2024-01-31"),
            "{told}"
        );
        assert_eq!(kept(Some(i64::MAX)).incomplete(0, now), None);
    }
}
