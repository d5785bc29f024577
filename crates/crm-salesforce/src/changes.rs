//! Deleted records and the clock of the CRM (Salesforce page, section 9).
//!
//! The deletion log is asked; the recycle bin only where the log is not kept or has gaps, since it forgets what was
//! deleted for good.

use crate::deparse;
use crate::records::{self, encoded};
use crate::session::SalesforceSession;
use crm_core::json;
use crm_core::{
    CallStats, Deletion, Deletions, DeletionsOfPeriod, Error, ErrorKind, MICROS_PER_DAY,
    MICROS_PER_SECOND, Result, format_instant_seconds, parse_instant,
};
use crm_http::Call;
use serde::Deserialize;

const MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// The vendor refuses to look back further.
const LONGEST_AGO: i64 = 30 * MICROS_PER_DAY;
/// Deletions older than this may be missing without a word.
const SURE_AGO: i64 = 15 * MICROS_PER_DAY;

/// The CRM's clock, in whole seconds, as a reply's header tells it. The list of versions is the one address that is
/// not counted against the account's allotment (section 10).
///
/// # Errors
/// [`ErrorKind::Undecodable`] when the reply has no date.
pub(crate) async fn clock(session: &SalesforceSession, stats: &CallStats) -> Result<i64> {
    let reply = session.call(&Call::get("/services/data"), stats).await?;
    reply.date().ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply does not tell the CRM's time",
        )
        .with_hint("A proxy may have removed the header Date.")
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    deleted_records: Vec<Entry>,
    #[serde(default)]
    earliest_date_available: Option<String>,
    #[serde(default)]
    latest_date_covered: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    deleted_date: String,
}

/// Records deleted in a period, both ends included to the second. A record that was restored since is still listed.
///
/// # Errors
/// [`ErrorKind::OptionValue`] when the period begins more than 30 days ago, [`ErrorKind::NotSupported`] for an object
/// whose deletions nobody keeps.
pub(crate) async fn deleted(
    session: &SalesforceSession,
    object: &str,
    start: i64,
    end: i64,
    stats: &CallStats,
) -> Result<Deletions> {
    let object = deparse::object_name(object)?;
    if end < start {
        return Err(Error::new(
            ErrorKind::OptionValue,
            "the end of the period lies before its start",
        ));
    }
    if start < session.presumed_now() - LONGEST_AGO {
        return Err(too_long_ago());
    }
    let mut found = DeletionsOfPeriod::new(start, end);
    let mut asked = Asked::default();
    // The vendor cuts seconds off both ends, and wants more than a minute between them.
    let first = start - start.rem_euclid(MINUTE);
    let last = (end - end.rem_euclid(MINUTE) + MINUTE).max(first + 2 * MINUTE);
    let mut windows = vec![(first, last)];
    while let Some((from, to)) = windows.pop() {
        match ask(session, object, from, to, stats).await {
            Ok(reply) => {
                asked.note(&reply, to);
                for entry in reply.deleted_records {
                    found.add(deletion(&entry)?);
                }
            }
            Err(error) if error.code() == Some("EXCEEDED_ID_LIMIT") && to - from >= 4 * MINUTE => {
                let half = (to - from) / 2;
                let middle = from + half - half.rem_euclid(MINUTE);
                // The earlier half is asked first, so that what is covered grows without a gap.
                windows.push((middle, to));
                windows.push((from, middle));
            }
            Err(error) if error.code() == Some("INVALID_REPLICATION_DATE") => {
                return Err(match error.detail() {
                    Some(detail) => too_long_ago().with_detail(detail),
                    None => too_long_ago(),
                });
            }
            Err(error) if error.code() == Some("EXCEEDED_ID_LIMIT") => return Err(error),
            Err(error) if is_of_the_object(&error) => {
                let described = session.describe_one(object, stats).await?;
                if described.summary.deletions_tracked {
                    return Err(error);
                }
                search_bin(session, object, &mut found, stats).await?;
                return Ok(Deletions {
                    records: found.into_records(),
                    covered_until: None,
                    incomplete: Some(
                        "Salesforce keeps no deletion log of this object; only records in the recycle bin are listed"
                            .into(),
                    ),
                });
            }
            Err(error) => return Err(error),
        }
    }
    let incomplete = asked.incomplete(start, session.presumed_now());
    if incomplete.is_some() {
        // The bin may know more; when it cannot be asked, the list is as incomplete as it says.
        match search_bin(session, object, &mut found, stats).await {
            Err(error) if !is_of_the_object(&error) => return Err(error),
            _ => {}
        }
    }
    Ok(Deletions {
        records: found.into_records(),
        covered_until: asked.covered_until.map(|until| until.min(end)),
        incomplete,
    })
}

/// What the answers say of the log.
#[derive(Default)]
struct Asked {
    earliest: Option<i64>,
    covered_until: Option<i64>,
    has_gap: bool,
}

impl Asked {
    fn note(&mut self, reply: &Reply, to: i64) {
        let moment = |text: &Option<String>| text.as_deref().and_then(parse_instant);
        if let Some(earliest) = moment(&reply.earliest_date_available) {
            self.earliest = Some(self.earliest.map_or(earliest, |known| known.max(earliest)));
        }
        // A later window covers nothing where an earlier one ends too soon.
        if let Some(until) = moment(&reply.latest_date_covered)
            && !self.has_gap
        {
            self.covered_until = Some(until);
            self.has_gap = until < to;
        }
    }

    fn incomplete(&self, start: i64, now: i64) -> Option<String> {
        if let Some(earliest) = self.earliest.filter(|earliest| *earliest > start) {
            let since = format_instant_seconds(earliest).unwrap_or_default();
            return Some(format!(
                "the deletion log reaches back to {since} only; earlier deletions may be missing"
            ));
        }
        (start < now - SURE_AGO).then(|| {
            "Salesforce promises deletions of the last 15 days; earlier ones may be missing".into()
        })
    }
}

async fn ask(
    session: &SalesforceSession,
    object: &str,
    from: i64,
    to: i64,
    stats: &CallStats,
) -> Result<Reply> {
    let moment = |at: i64| {
        let text = format_instant_seconds(at).ok_or_else(|| {
            Error::new(
                ErrorKind::OptionValue,
                "the period lies outside what the CRM can read",
            )
        })?;
        Ok::<_, Error>(encoded(&text.replace('Z', "+00:00")))
    };
    let rest = format!(
        "sobjects/{object}/deleted/?start={}&end={}",
        moment(from)?,
        moment(to)?
    );
    let call = Call::get(session.path(&rest)).for_data();
    let reply = session.call(&call, stats).await?;
    json::parse(&reply.body, "deleted records")
}

fn deletion(entry: &Entry) -> Result<Deletion> {
    let id = crate::ids::canonical(&entry.id);
    match (id, parse_instant(&entry.deleted_date)) {
        (Some(id), Some(at)) => Ok(Deletion {
            id,
            deleted_at: Some(at),
            name: None,
            deleted_by: None,
        }),
        _ => Err(Error::new(
            ErrorKind::Undecodable,
            "the reply holds a deletion without identifier or date",
        )),
    }
}

/// Adds what the recycle bin holds. A deletion moves the record's stamp, which is the only date the bin tells.
async fn search_bin(
    session: &SalesforceSession,
    object: &str,
    found: &mut DeletionsOfPeriod,
    stats: &CallStats,
) -> Result<()> {
    let described = session.describe_one(object, stats).await?;
    let has = |name: &str| described.fields.iter().any(|field| field.name == name);
    if !has("IsDeleted") || !has("SystemModstamp") {
        return Err(Error::new(
            ErrorKind::NotSupported,
            format!("the CRM keeps no deletions of object \"{object}\""),
        ));
    }
    let seconds = |second: i64| format_instant_seconds(second * MICROS_PER_SECOND);
    let (first, last) = found.seconds();
    let (Some(from), Some(to)) = (seconds(first), seconds(last + 1)) else {
        return Ok(());
    };
    let name = if has("Name") { ",Name" } else { "" };
    let soql = format!(
        "SELECT Id,SystemModstamp{name} FROM {object} WHERE IsDeleted = TRUE AND SystemModstamp >= {from} AND SystemModstamp < {to}"
    );
    let mut in_bin = Vec::new();
    records::each(session, &soql, true, stats, |record| {
        if let Some(id) = record.id() {
            in_bin.push(Deletion {
                id,
                deleted_at: record
                    .text("SystemModstamp")
                    .as_deref()
                    .and_then(parse_instant),
                name: record.text("Name"),
                deleted_by: None,
            });
        }
    })
    .await?;
    for deletion in in_bin {
        match found.get_mut(&deletion.id) {
            // The log's date is the deletion's own.
            Some(known) => known.name = deletion.name,
            None => found.add(deletion),
        }
    }
    Ok(())
}

/// The refusal may be about the object, rather than the account or the moment.
fn is_of_the_object(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::RemoteFault
            | ErrorKind::NotSupported
            | ErrorKind::ObjectUnknown
            | ErrorKind::FieldUnknown
            | ErrorKind::NotPermitted
    )
}

fn too_long_ago() -> Error {
    Error::new(
        ErrorKind::OptionValue,
        "Salesforce tells deletions of the last 30 days only",
    )
    .with_hint("Begin the period later, or compare all identifiers with a copy.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    #[test]
    fn what_is_covered_ends_at_the_first_gap() {
        let reply = |earliest: &str, until: &str| Reply {
            deleted_records: Vec::new(),
            earliest_date_available: Some(earliest.into()),
            latest_date_covered: Some(until.into()),
        };
        let (from, middle, to) = (
            at("2024-01-01T10:00:00Z"),
            at("2024-01-01T11:00:00Z"),
            at("2024-01-01T12:00:00Z"),
        );
        let early = "2023-12-31T00:00:00.000+0000";
        let mut asked = Asked::default();
        asked.note(&reply(early, "2024-01-01T11:00:00.000+0000"), middle);
        asked.note(&reply(early, "2024-01-01T11:30:00.000+0000"), to);
        assert_eq!(asked.covered_until, Some(at("2024-01-01T11:30:00Z")));
        let mut asked = Asked::default();
        asked.note(&reply(early, "2024-01-01T10:40:00.000+0000"), middle);
        asked.note(&reply(early, "2024-01-01T12:00:00.000+0000"), to);
        assert_eq!(asked.covered_until, Some(at("2024-01-01T10:40:00Z")));
        assert_eq!(asked.incomplete(from, to), None);
        assert!(
            asked
                .incomplete(from, to + SURE_AGO)
                .unwrap()
                .contains("15 days")
        );
        let too_early = at("2023-12-30T00:00:00Z");
        let told = asked.incomplete(too_early, to).unwrap();
        assert!(told.contains("2023-12-31T00:00:00Z"), "{told}");
    }
}
