//! Where the reading of a query stands (Oracle page 5).
//!
//! Pages are sorted by identifier and each goes on behind the last one of the page before, so that they neither repeat
//! nor skip a record whatever is written meanwhile, whichever session asks, and however many there are.

use crm_core::{Error, ErrorKind, Result};

/// Where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// At the first record.
    First,
    /// Behind this identifier.
    Behind(String),
    /// By number, for the CRM sorts identifiers in an order of its own. The first identifier of the page before shows
    /// whether there is any progress.
    ByNumber {
        /// Records read so far.
        n_passed: u64,
        /// The page before began with it.
        first: String,
    },
    /// There is no further page.
    End,
}

impl Position {
    /// All has been read.
    pub(crate) fn is_end(&self) -> bool {
        *self == Self::End
    }

    /// The identifier behind which the next page begins, and the records to pass over.
    pub(crate) fn from(&self) -> (Option<&str>, u64) {
        match self {
            Self::Behind(id) => (Some(id), 0),
            Self::ByNumber { n_passed, .. } => (None, *n_passed),
            Self::First | Self::End => (None, 0),
        }
    }

    /// Where to go on after a page with these identifiers, of `size` records at most; `last` is what the CRM says of its
    /// being the last one.
    ///
    /// # Errors
    /// [`ErrorKind::Undecodable`] when the CRM does not keep to an order that it kept to before.
    pub(crate) fn after(&self, ids: &[String], last: Option<bool>, size: u32) -> Result<Self> {
        let (Some(first), Some(end)) = (ids.first(), ids.last()) else {
            return Ok(Self::End);
        };
        // Where the CRM does not say, a page that is not full is the last one.
        let is_last = last.unwrap_or(ids.len() < size as usize);
        let is_sorted = ids.is_sorted_by(|one, next| one < next);
        let next = match self {
            // What came before may have gaps then.
            Self::Behind(id) if !is_sorted || first <= id => return Err(out_of_order()),
            Self::ByNumber { first: before, .. } if before == first => return Err(out_of_order()),
            Self::ByNumber { n_passed, .. } => Self::ByNumber {
                n_passed: n_passed + ids.len() as u64,
                first: first.clone(),
            },
            Self::First if !is_sorted => Self::ByNumber {
                n_passed: ids.len() as u64,
                first: first.clone(),
            },
            _ => Self::Behind(end.clone()),
        };
        Ok(if is_last { Self::End } else { next })
    }
}

fn out_of_order() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the CRM does not return records in the order of their identifiers",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn where_a_page_leads() {
        let behind = |id: &str| Position::Behind(id.into());
        let by_number = |n_passed, first: &str| Position::ByNumber {
            n_passed,
            first: first.into(),
        };
        for (from, page, last, expected) in [
            (Position::First, "1-A 1-B", Some(false), Some(behind("1-B"))),
            (Position::First, "1-A 1-B", Some(true), Some(Position::End)),
            (Position::First, "", Some(false), Some(Position::End)),
            // Not said: a full page leads on, another one does not.
            (Position::First, "1-A 1-B", None, Some(behind("1-B"))),
            (Position::First, "1-A", None, Some(Position::End)),
            // A server may give smaller pages than asked for.
            (Position::First, "1-A", Some(false), Some(behind("1-A"))),
            (behind("1-B"), "1-C 1-D", Some(false), Some(behind("1-D"))),
            (behind("1-B"), "1-B 1-C", Some(false), None),
            (behind("1-B"), "1-D 1-C", Some(true), None),
            (
                Position::First,
                "1-B 1-A",
                Some(false),
                Some(by_number(2, "1-B")),
            ),
            (
                by_number(2, "1-B"),
                "1-D 1-C",
                Some(false),
                Some(by_number(4, "1-D")),
            ),
            (by_number(2, "1-B"), "1-B 1-A", Some(false), None),
            (by_number(4, "1-D"), "1-E", Some(true), Some(Position::End)),
        ] {
            let next = from.after(&ids(page), last, 2).ok();
            assert_eq!(next, expected, "{from:?} {page}");
        }
    }
}
