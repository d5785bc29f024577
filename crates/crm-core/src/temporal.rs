//! Dates and times on the wire: ISO 8601 as the CRMs write it.
//! Own parsers because general ones refuse what vendors send (`+0000` without a colon) and cost more on the hot path.

use chrono::{
    DateTime, Datelike, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc,
};
use std::str::FromStr;

/// Microseconds in a second.
pub const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// The account's time zone (spec D-1), an IANA name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(chrono_tz::Tz::UTC)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse()
            .map(Self)
            .map_err(|_| format!("time zone \"{name}\" is not known"))
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, nothing else around it.
pub fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 {
        return None;
    }
    date_part(bytes)
}

/// Microseconds since midnight of `HH:MM[:SS[.fraction]]`; a trailing `Z` is noise (Salesforce page 3.3).
pub fn parse_time(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (micros, rest) = time_part(text.as_bytes())?;
    rest.is_empty().then_some(micros)
}

/// Microseconds since the Unix epoch of `YYYY-MM-DDTHH:MM:SS[.fraction]` with `Z`, `+hhmm`, `+hh:mm` or `+hh`.
pub fn parse_instant(text: &str) -> Option<i64> {
    let (wall, offset) = split_offset(text)?;
    wall.checked_sub(offset?)
}

/// The digits of a date and time as sent, whatever offset follows them (`without_time_offset`).
pub fn parse_wall_clock(text: &str) -> Option<i64> {
    split_offset(text).map(|(wall, _)| wall)
}

/// The day in `zone` on which an instant (microseconds since the epoch) falls.
pub fn day_in_zone(instant: i64, zone: Zone) -> Option<i32> {
    let local = wall_clock_in_zone(instant, zone)?;
    i32::try_from(local.div_euclid(MICROS_PER_DAY)).ok()
}

/// The wall clock in `zone` at an instant, as microseconds since 1970-01-01 00:00:00.
pub fn wall_clock_in_zone(instant: i64, zone: Zone) -> Option<i64> {
    let utc = DateTime::<Utc>::from_timestamp_micros(instant)?.naive_utc();
    let offset = zone
        .0
        .offset_from_utc_datetime(&utc)
        .fix()
        .local_minus_utc();
    instant.checked_add(i64::from(offset) * MICROS_PER_SECOND)
}

/// The instant at which the wall clock in `zone` shows `wall`, microseconds since 1970-01-01 00:00:00; the inverse of
/// [`wall_clock_in_zone`]. As PostgreSQL reads such a time: what the clock skips is taken as if it had not yet been put
/// forward, what it shows twice is the later one.
pub fn instant_of_wall_clock(wall: i64, zone: Zone) -> Option<i64> {
    let local = DateTime::<Utc>::from_timestamp_micros(wall)?.naive_utc();
    let offset = match zone.0.offset_from_local_datetime(&local) {
        MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(_, offset) => offset,
        MappedLocalTime::None => {
            // No gap is longer than a day, and none follows another within one.
            let before = local.checked_sub_signed(chrono::Duration::days(1))?;
            zone.0.offset_from_local_datetime(&before).earliest()?
        }
    };
    let offset = i64::from(offset.fix().local_minus_utc());
    wall.checked_sub(offset * MICROS_PER_SECOND)
}

/// The instant at which a day begins in `zone`; where midnight is skipped, the first instant after the gap.
pub fn day_start_in_zone(day: i32, zone: Zone) -> Option<i64> {
    let midnight = civil(day)?.and_hms_opt(0, 0, 0)?;
    match zone.0.from_local_datetime(&midnight) {
        MappedLocalTime::Single(at) | MappedLocalTime::Ambiguous(at, _) => {
            Some(at.timestamp_micros())
        }
        MappedLocalTime::None => after_gap(midnight, zone),
    }
}

/// `YYYY-MM-DD`, or nothing outside years 1 to 9999.
pub fn format_date(day: i32) -> Option<String> {
    let date = civil(day)?;
    (1..=9999)
        .contains(&date.year())
        .then(|| date.format("%Y-%m-%d").to_string())
}

/// `YYYY-MM-DDTHH:MM:SSZ` of an instant in whole seconds, or nothing outside years 1 to 9999.
pub fn format_instant_seconds(instant: i64) -> Option<String> {
    let at = DateTime::<Utc>::from_timestamp(instant.div_euclid(MICROS_PER_SECOND), 0)?;
    (1..=9999)
        .contains(&at.year())
        .then(|| at.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ` of an instant cut to milliseconds, or nothing outside years 1 to 9999.
pub fn format_instant_millis(instant: i64) -> Option<String> {
    let at = DateTime::<Utc>::from_timestamp_micros(instant)?;
    (1..=9999)
        .contains(&at.year())
        .then(|| at.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// `HH:MM:SS.mmm` of a time of day cut to milliseconds, or nothing for what is none (24:00 included).
pub fn format_time_millis(time: i64) -> Option<String> {
    if !(0..MICROS_PER_DAY).contains(&time) {
        return None;
    }
    let (seconds, millis) = (time / MICROS_PER_SECOND, time % MICROS_PER_SECOND / 1_000);
    Some(format!(
        "{:02}:{:02}:{:02}.{millis:03}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    ))
}

fn after_gap(midnight: NaiveDateTime, zone: Zone) -> Option<i64> {
    // No zone skips more than a day; quarter hours are the finest step any zone has used for a gap's end.
    (1..=96).find_map(|quarter| {
        let later = midnight + chrono::Duration::minutes(15 * quarter);
        zone.0
            .from_local_datetime(&later)
            .earliest()
            .map(|at| at.timestamp_micros())
    })
}

fn civil(day: i32) -> Option<NaiveDate> {
    NaiveDate::from_epoch_days(day)
}

fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0_u32, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u32::from(byte - b'0'))
    })
}

fn date_part(bytes: &[u8]) -> Option<i32> {
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = i32::try_from(digits(&bytes[..4])?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(&bytes[5..7])?, digits(&bytes[8..10])?)
        .map(|date| date.to_epoch_days())
}

fn time_part(bytes: &[u8]) -> Option<(i64, &[u8])> {
    if bytes.len() < 5 || bytes[2] != b':' {
        return None;
    }
    let (hour, minute) = (digits(&bytes[..2])?, digits(&bytes[3..5])?);
    let (second, mut rest) = match bytes.get(5) {
        Some(b':') if bytes.len() >= 8 => (digits(&bytes[6..8])?, &bytes[8..]),
        _ => (0, &bytes[5..]),
    };
    // 24:00:00 and a leap second's 60 are refused: PostgreSQL would move them to another day.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros = 0_i64;
    if rest.first() == Some(&b'.') {
        let n_digits = rest[1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if n_digits == 0 {
            return None;
        }
        let mut unit = MICROS_PER_SECOND / 10;
        for byte in &rest[1..=n_digits.min(6)] {
            micros += i64::from(byte - b'0') * unit;
            unit /= 10;
        }
        rest = &rest[n_digits + 1..];
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    Some((seconds * MICROS_PER_SECOND + micros, rest))
}

/// The wall clock and, where one is given, the offset from UTC, both in microseconds.
fn split_offset(text: &str) -> Option<(i64, Option<i64>)> {
    let bytes = text.as_bytes();
    if bytes.len() < 16 || !matches!(bytes[10], b'T' | b' ') {
        return None;
    }
    let (time, rest) = time_part(&bytes[11..])?;
    let wall = i64::from(date_part(bytes)?) * MICROS_PER_DAY + time;
    let offset = match rest {
        [] => None,
        [b'Z'] => Some(0),
        [sign @ (b'+' | b'-'), digits_and_colon @ ..] => {
            let (hours, minutes) = match digits_and_colon {
                [a, b] => (digits(&[*a, *b])?, 0),
                [a, b, c, d] | [a, b, b':', c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = i64::from(hours * 3600 + minutes * 60);
            let magnitude = seconds * MICROS_PER_SECOND;
            Some(if *sign == b'-' { -magnitude } else { magnitude })
        }
        _ => return None,
    };
    Some((wall, offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_in_every_vendor_form() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000+0000", Some(0)),
            ("1970-01-01T00:00:01Z", Some(1_000_000)),
            ("1970-01-01T01:00:00+01:00", Some(0)),
            ("1969-12-31T16:00:00-0800", Some(0)),
            ("2024-02-29T23:59:59.1234567Z", Some(1_709_251_199_123_456)),
            ("2023-02-29T00:00:00Z", None),
            ("2024-01-01T24:00:00Z", None),
            ("2024-01-01T00:00:00", None),
            ("2024-01-01T00:00:00.Z", None),
            ("2024-01-01", None),
            ("tomorrow at noon, please", None),
        ] {
            assert_eq!(parse_instant(text), expected, "{text}");
        }
    }

    #[test]
    fn wall_clock_ignores_the_offset() {
        assert_eq!(
            parse_wall_clock("1970-01-02T03:04:05.006+0900"),
            Some(MICROS_PER_DAY + (3 * 3600 + 4 * 60 + 5) * MICROS_PER_SECOND + 6_000)
        );
    }

    #[test]
    fn dates_and_times() {
        assert_eq!(parse_date("1970-01-02"), Some(1));
        assert_eq!(parse_date("1970-1-2"), None);
        assert_eq!(parse_date("1970-01-02T00:00:00Z"), None);
        assert_eq!(parse_time("14:30:00.000Z"), Some(52_200_000_000));
        assert_eq!(parse_time("14:30"), Some(52_200_000_000));
        assert_eq!(parse_time("25:00:00"), None);
        assert_eq!(format_date(-1).as_deref(), Some("1969-12-31"));
        assert_eq!(format_date(i32::MAX), None);
        assert_eq!(
            format_instant_seconds(-1).as_deref(),
            Some("1969-12-31T23:59:59Z")
        );
        assert_eq!(format_instant_seconds(i64::MAX), None);
    }

    #[test]
    fn instants_and_times_to_milliseconds() {
        for (instant, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_999_999, "1970-01-01T00:00:01.999Z"),
            // Cut towards the past on both sides of the epoch, so that what is read back is never later.
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(format_instant_millis(instant).as_deref(), Some(expected));
        }
        assert_eq!(format_instant_millis(i64::MAX), None);
        assert_eq!(
            format_time_millis(52_200_123_456).as_deref(),
            Some("14:30:00.123")
        );
        assert_eq!(format_time_millis(MICROS_PER_DAY), None);
        assert_eq!(format_time_millis(-1), None);
    }

    #[test]
    fn wall_clocks_that_skip_and_repeat_are_read_as_postgresql_does() {
        let zone: Zone = "America/New_York".parse().unwrap();
        let wall = |text: &str| parse_wall_clock(text).unwrap();
        for (shown, expected) in [
            ("2024-07-01T12:00:00Z", "2024-07-01T16:00:00Z"),
            // 02:30 is skipped on this night: half past two of the old time.
            ("2024-03-10T02:30:00Z", "2024-03-10T07:30:00Z"),
            // 01:30 comes twice: the second one, of standard time.
            ("2024-11-03T01:30:00Z", "2024-11-03T06:30:00Z"),
        ] {
            let instant = instant_of_wall_clock(wall(shown), zone);
            assert_eq!(instant, parse_instant(expected), "{shown}");
        }
        // A whole day was skipped.
        let apia: Zone = "Pacific/Apia".parse().unwrap();
        assert_eq!(
            instant_of_wall_clock(wall("2011-12-30T12:00:00Z"), apia),
            parse_instant("2011-12-30T22:00:00Z")
        );
        assert_eq!(instant_of_wall_clock(i64::MAX, zone), None);
    }

    #[test]
    fn days_follow_the_zone_and_its_gaps() {
        let vienna: Zone = "Europe/Vienna".parse().unwrap();
        // 2024-03-30T23:30Z is 00:30 on the 31st in Vienna.
        let late = parse_instant("2024-03-30T23:30:00Z").unwrap();
        assert_eq!(day_in_zone(late, vienna), parse_date("2024-03-31"));
        // Beirut skipped midnight on 2022-03-27: the day began at 01:00 local, 22:00Z the day before.
        let beirut: Zone = "Asia/Beirut".parse().unwrap();
        assert_eq!(
            day_start_in_zone(parse_date("2022-03-27").unwrap(), beirut),
            parse_instant("2022-03-26T22:00:00Z")
        );
        assert!("Mars/Olympus".parse::<Zone>().is_err());
    }
}
