//! Server time and the zone-less dates of v1.0 and of the Service API (section 10 of the protocol page).

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;

/// The zone of the test users unless set otherwise.
pub const CENTRAL: &str = "(GMT-06:00) Central Time (US & Canada)";
const ZONES: &[(&str, Tz)] = &[
    (CENTRAL, Tz::America__Chicago),
    (
        "(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London",
        Tz::Europe__London,
    ),
    ("(GMT) Coordinated Universal Time", Tz::UTC),
    (
        "(GMT+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna",
        Tz::Europe__Berlin,
    ),
    (
        "(GMT+05:30) Calcutta, Chennai, Mumbai, New Delhi",
        Tz::Asia__Kolkata,
    ),
];
/// How v1-style moments are written.
const FORM: &str = "%m/%d/%Y %H:%M:%S";

/// The zone behind one of the texts the service knows.
pub fn zone(text: &str) -> Option<Tz> {
    ZONES
        .iter()
        .find(|(name, _)| *name == text)
        .map(|(_, zone)| *zone)
}

/// A moment (seconds since 1970) in a user's zone.
pub fn local(seconds: i64, zone: Tz) -> String {
    let moment = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    moment.with_timezone(&zone).format(FORM).to_string()
}

/// Reads a v1-style moment; a date alone is its midnight. The earlier one where two fit.
pub fn from_local(text: &str, zone: Tz) -> Option<i64> {
    let naive = NaiveDateTime::parse_from_str(text, FORM).ok().or_else(|| {
        NaiveDate::parse_from_str(text, "%m/%d/%Y")
            .ok()?
            .and_hms_opt(0, 0, 0)
    })?;
    zone.from_local_datetime(&naive)
        .earliest()
        .map(|moment| moment.timestamp())
}

/// A moment in XSD form.
pub fn xsd(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// Reads an XSD moment; one without zone is taken in the user's.
pub fn from_xsd(text: &str, zone: Tz) -> Option<i64> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.with_timezone(&Utc).timestamp());
    }
    let naive = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S").ok()?;
    zone.from_local_datetime(&naive)
        .earliest()
        .map(|moment| moment.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_and_winter_differ_by_an_hour() {
        let zone = zone(CENTRAL).unwrap();
        let winter = from_xsd("2024-02-03T10:11:12Z", zone).unwrap();
        let summer = from_xsd("2024-07-03T10:11:12Z", zone).unwrap();
        assert_eq!(local(winter, zone), "02/03/2024 04:11:12");
        assert_eq!(local(summer, zone), "07/03/2024 05:11:12");
        assert_eq!(from_local("07/03/2024 05:11:12", zone), Some(summer));
        assert_eq!(
            from_local("03/10/2024 02:30:00", zone),
            None,
            "no such hour"
        );
        assert_eq!(xsd(winter), "2024-02-03T10:11:12Z");
    }
}
