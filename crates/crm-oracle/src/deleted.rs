//! Deleted records of a period (spec L-1, Oracle page 8.1).

use crate::clock::{self, format_wall};
use crate::session::OracleSession;
use crate::trash::{self, Item, quoted};
use crate::zones::UserZone;
use crate::{describe, objects};
use crm_core::{
    CallStats, Deletion, Deletions, DeletionsOfPeriod, Error, ErrorKind, MICROS_PER_DAY,
    MICROS_PER_SECOND, Result,
};

/// The vendor purges what was deleted longer ago.
const KEPT_DAYS: i64 = 30;
/// A deletion is stamped when it begins, and shows when it is done.
const LATENESS: i64 = 60 * MICROS_PER_SECOND;

/// Words of the trash for types whose objects go by other names, as the vendor lists them.
const WORDS: &[(&str, &[&str])] = &[
    (
        "Activity",
        &["Action***Appointment", "Action***Task", "Action***Call"],
    ),
    ("Asset", &["Asset Mgmt - Asset"]),
    ("Dealer", &["Channel Partner"]),
    (
        "Note",
        &[
            "Account Note",
            "Contact Note",
            "Opportunity Note",
            "Lead Note",
            "Service Request Note",
        ],
    ),
    ("Vehicle", &["Auto Vehicle"]),
];

/// The entry is of a record of `object`. The vendor's list of words is known in part only: where it has none for the
/// object, the object's own name is looked for, however it is spaced.
fn is_of(object: &str, kind: &str) -> bool {
    let plain = |text: &str| {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let listed = WORDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(object));
    if listed.is_some_and(|(_, words)| words.contains(&kind)) {
        return true;
    }
    // Objects that companies define have this in front.
    let kind = kind.strip_prefix("OnDemand ").unwrap_or(kind);
    plain(kind) == plain(object)
}

/// Records of `object` deleted in a period, both ends included to the second. A record that was restored since is not
/// listed: it is in the trash no more.
///
/// # Errors
/// [`ErrorKind::NotSupported`] for an object whose records are never deleted, [`ErrorKind::ObjectUnknown`] for none; when
/// the period is none, or the CRM cannot be asked.
pub(crate) async fn deleted(
    session: &OracleSession,
    object: &str,
    start: i64,
    end: i64,
    stats: &CallStats,
) -> Result<Deletions> {
    if end < start {
        return Err(Error::new(
            ErrorKind::OptionValue,
            "the end of the period lies before its start",
        ));
    }
    if !is_tracked(session, object, stats).await? {
        return Err(Error::new(
            ErrorKind::NotSupported,
            format!("the CRM keeps no deletions of object \"{object}\""),
        )
        .with_hint("Its records are not deleted but made inactive."));
    }
    let now = clock::now(session, stats).await?;
    let mut found = DeletionsOfPeriod::new(start, end);
    let condition = window(now.zone, start, end)?;
    trash::each(session, &[("DeletedDate", condition)], stats, |item| {
        if is_of(object, &item.kind)
            && let Some(deletion) = deletion(item, now.zone, &found)
        {
            found.add(deletion);
        }
    })
    .await?;
    Ok(Deletions {
        records: found.into_records(),
        covered_until: Some(end.min(now.instant - LATENESS)),
        incomplete: incomplete(start, now.instant),
    })
}

/// The object's deletions are in the trash. One that is not among the vendor's is asked for, to tell it from a name
/// that is none.
async fn is_tracked(session: &OracleSession, object: &str, stats: &CallStats) -> Result<bool> {
    if let Some(known) = objects::find(object) {
        return Ok(describe::summary(known).deletions_tracked);
    }
    let described = describe::describe(session, object, stats).await?;
    Ok(described.summary.deletions_tracked)
}

/// What is asked of the date: wide enough for whatever the service takes the text of a clock for.
fn window(zone: UserZone, start: i64, end: i64) -> Result<String> {
    let moment = |at: Option<i64>| {
        let text = at.and_then(|at| zone.wall(at)).and_then(format_wall);
        text.map(|text| quoted(&text)).ok_or_else(|| {
            Error::new(
                ErrorKind::OptionValue,
                "the period lies outside what the CRM can read",
            )
        })
    };
    let from = moment(start.checked_sub(zone.slack(start)))?;
    let to = moment(end.checked_add(zone.slack(end)))?;
    Ok(format!(">= {from} AND <= {to}"))
}

/// The deletion that an entry tells of, at the first of its possible moments that lies in the period.
fn deletion(item: Item, zone: UserZone, period: &DeletionsOfPeriod) -> Option<Deletion> {
    let readings = zone.instants(item.deleted_at?);
    let at = readings.into_iter().find(|at| period.contains(*at))?;
    let told = |text: String| Some(text).filter(|text| !text.is_empty());
    Some(Deletion {
        id: item.object_id,
        deleted_at: Some(at),
        name: told(item.name),
        deleted_by: told(item.deleted_by),
    })
}

fn incomplete(start: i64, now: i64) -> Option<String> {
    (start < now - KEPT_DAYS * MICROS_PER_DAY).then(|| {
        format!(
            "Oracle CRM On Demand purges deleted records after {KEPT_DAYS} days; earlier deletions may be missing"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zones::HOUR;
    use crm_core::{parse_instant, parse_wall_clock};

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    fn chicago() -> UserZone {
        UserZone::Known("America/Chicago".parse().unwrap())
    }

    #[test]
    fn words_of_the_trash() {
        for (object, kind, expected) in [
            ("Contact", "Contact", true),
            ("Contact", "Contact Attachment", false),
            ("Activity", "Action***Task", true),
            ("Activity", "Action***Appointment", true),
            ("Asset", "Asset Mgmt - Asset", true),
            ("ServiceRequest", "Service Request", true),
            ("CustomObject1", "OnDemand Custom Object 1", true),
            ("Note", "Account Note", true),
            ("Account", "Account Note", false),
        ] {
            assert_eq!(is_of(object, kind), expected, "{object} {kind}");
        }
    }

    #[test]
    fn windows_are_in_the_users_clock_and_wider_than_asked() {
        let summer = window(
            chicago(),
            at("2024-07-01T13:30:00Z"),
            at("2024-07-01T14:30:00Z"),
        );
        assert_eq!(
            summer.unwrap(),
            ">= '07/01/2024 08:29:59' AND <= '07/01/2024 09:30:01'"
        );
        // On the night when the clock is put back nobody knows which hour the service means.
        let night = window(
            chicago(),
            at("2024-11-03T06:30:00Z"),
            at("2024-11-03T06:31:00Z"),
        );
        assert_eq!(
            night.unwrap(),
            ">= '11/02/2024 23:30:00' AND <= '11/03/2024 02:31:00'"
        );
        assert!(window(chicago(), i64::MIN, 0).is_err());
    }

    #[test]
    fn entries_are_cut_to_the_period() {
        let period = DeletionsOfPeriod::new(at("2024-11-03T06:20:00Z"), at("2024-11-03T06:40:00Z"));
        let entry = |shown: &str| Item {
            object_id: "1QA2-1".into(),
            name: "Doe".into(),
            deleted_at: parse_wall_clock(shown),
            ..Item::default()
        };
        // Half past one comes twice, the first time in the period.
        let told = deletion(entry("2024-11-03T01:30:00"), chicago(), &period).unwrap();
        assert_eq!(told.deleted_at, Some(at("2024-11-03T06:30:00Z")));
        assert_eq!((told.name.as_deref(), told.deleted_by), (Some("Doe"), None));
        assert!(deletion(entry("2024-11-03T01:50:00"), chicago(), &period).is_none());
        let unsure = UserZone::Ahead(-6 * HOUR);
        assert!(deletion(entry("2024-11-03T01:30:00"), unsure, &period).is_some());
    }

    #[test]
    fn what_may_be_missing_is_told() {
        let now = at("2024-07-01T13:30:00Z");
        let long_ago = incomplete(at("2024-05-01T00:00:00Z"), now).unwrap();
        assert!(long_ago.contains("30 days"), "{long_ago}");
        assert_eq!(incomplete(at("2024-06-20T00:00:00Z"), now), None);
    }
}
