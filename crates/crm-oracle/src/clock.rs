//! The service's clock (Oracle page 10): it shows the user's wall clock, so that the zone is found by comparing.

use crate::envelope::{close_message, open_output};
use crate::session::OracleSession;
use crate::sign_in::server_time;
use crate::zones::UserZone;
use chrono::NaiveDateTime;
use crm_core::{CallStats, Error, ErrorKind, Result, Zone};
use crm_xml::Reader;
use std::time::SystemTime;

/// How the Service API writes a moment (Oracle page 10).
const FORM: &str = "%m/%d/%Y %H:%M:%S";

/// What the service's clock shows.
#[derive(Clone, Debug)]
pub(crate) struct Now {
    /// Microseconds since the Unix epoch.
    pub instant: i64,
    /// The user's zone.
    pub zone: UserZone,
}

/// Asks for the time.
///
/// # Errors
/// When the CRM cannot be asked, or says no time.
pub(crate) async fn now(session: &OracleSession, stats: &CallStats) -> Result<Now> {
    let answered = session.call(&server_time(), stats).await?;
    // The host's own clock tells UTC; where a proxy has removed it, this machine's has to do.
    let utc = answered.date.unwrap_or_else(local_clock);
    let option = session
        .option("time_zone")
        .and_then(|name| name.parse().ok());
    read(&answered.body, utc, option)
}

pub(crate) fn read(body: &[u8], utc: i64, option: Option<Zone>) -> Result<Now> {
    let mut reader = Reader::new(body)?;
    open_output(&mut reader)?;
    let (mut shown, mut zone_name) = (None, String::new());
    while reader.child()? {
        match reader.name().1 {
            "CurrentServerTime" => shown = parse_wall(&reader.text()?),
            "TimeZone" => zone_name = reader.text()?.into_owned(),
            _ => reader.skip()?,
        }
    }
    close_message(&mut reader)?;
    let shown = shown.ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply does not tell the CRM's time",
        )
    })?;
    let zone = UserZone::find(shown, utc, &zone_name, option);
    // Of two moments that show the same, the one nearer to now.
    let readings = match zone {
        UserZone::Known(_) => zone.instants(shown),
        UserZone::Ahead(ahead) => vec![shown - ahead],
    };
    let instant = readings.into_iter().min_by_key(|at| (at - utc).abs());
    Ok(Now {
        instant: instant.unwrap_or(utc),
        zone,
    })
}

/// `MM/DD/YYYY HH:MM:SS` as microseconds of a wall clock.
pub(crate) fn parse_wall(text: &str) -> Option<i64> {
    let wall = NaiveDateTime::parse_from_str(text.trim(), FORM).ok()?;
    Some(wall.and_utc().timestamp_micros())
}

/// A wall clock as the Service API writes it; nothing outside years 1 to 9999.
pub(crate) fn format_wall(wall: i64) -> Option<String> {
    use chrono::{DateTime, Datelike};
    let at = DateTime::from_timestamp_micros(wall)?;
    (1..=9999)
        .contains(&at.year())
        .then(|| at.format(FORM).to_string())
}

fn local_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::parse_instant;

    #[test]
    fn the_recorded_clock_is_read_in_the_users_zone() {
        let body = include_bytes!("../tests/fixtures/server_time.xml");
        let utc = parse_instant("2024-07-01T13:29:58Z").unwrap();
        let now = read(body, utc, None).unwrap();
        assert_eq!(now.instant, parse_instant("2024-07-01T13:30:00Z").unwrap());
        assert_eq!(
            now.zone,
            UserZone::Known("America/Chicago".parse().unwrap())
        );
        // This machine's clock may be wrong by days.
        let wrong = utc - 5 * crm_core::MICROS_PER_DAY;
        assert_eq!(read(body, wrong, None).unwrap().instant, now.instant);
        for bad in [
            "",
            "<a/>",
            "<e:Envelope xmlns:e='x'><e:Body><o/></e:Body></e:Envelope>",
        ] {
            assert!(read(bad.as_bytes(), utc, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn moments_of_the_service_api() {
        let wall = parse_wall("02/03/2024 23:59:59").unwrap();
        assert_eq!(format_wall(wall).as_deref(), Some("02/03/2024 23:59:59"));
        for bad in [
            "2024-02-03T10:00:00Z",
            "02/30/2024 10:00:00",
            "",
            "13/01/2024 00:00:00",
        ] {
            assert_eq!(parse_wall(bad), None, "{bad}");
        }
        assert_eq!(format_wall(i64::MAX), None);
    }
}
