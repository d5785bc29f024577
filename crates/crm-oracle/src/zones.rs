//! The user's time zone, which dates of the Service API are in and do not name (Oracle page 10).

use crm_core::{
    MICROS_PER_DAY, MICROS_PER_SECOND, Zone, instant_of_wall_clock, wall_clock_in_zone,
};

pub(crate) const HOUR: i64 = 3_600 * MICROS_PER_SECOND;
/// Zones differ by quarters of an hour at the finest.
const QUARTER: i64 = HOUR / 4;
/// Clocks are put back by as much, somewhere or other.
const STEPS_BACK: [i64; 3] = [HOUR, HOUR / 2, 2 * HOUR];

/// Words of the vendor's names of zones, and the zones. A name is believed only if the zone's clock shows what the
/// service's clock shows.
const NAMES: &[(&str, &str)] = &[
    ("midway", "Pacific/Midway"),
    ("hawaii", "Pacific/Honolulu"),
    ("alaska", "America/Anchorage"),
    ("pacific time", "America/Los_Angeles"),
    ("arizona", "America/Phoenix"),
    ("mountain time", "America/Denver"),
    ("chihuahua", "America/Chihuahua"),
    ("central america", "America/Guatemala"),
    ("central time", "America/Chicago"),
    ("mexico city", "America/Mexico_City"),
    ("saskatchewan", "America/Regina"),
    ("bogota", "America/Bogota"),
    ("eastern time", "America/New_York"),
    ("indiana", "America/Indiana/Indianapolis"),
    ("atlantic time", "America/Halifax"),
    ("caracas", "America/Caracas"),
    ("santiago", "America/Santiago"),
    ("newfoundland", "America/St_Johns"),
    ("brasilia", "America/Sao_Paulo"),
    ("buenos aires", "America/Argentina/Buenos_Aires"),
    ("greenland", "America/Godthab"),
    ("azores", "Atlantic/Azores"),
    ("cape verde", "Atlantic/Cape_Verde"),
    ("casablanca", "Africa/Casablanca"),
    ("london", "Europe/London"),
    ("universal time", "UTC"),
    ("amsterdam", "Europe/Amsterdam"),
    ("belgrade", "Europe/Belgrade"),
    ("brussels", "Europe/Brussels"),
    ("sarajevo", "Europe/Sarajevo"),
    ("central africa", "Africa/Lagos"),
    ("athens", "Europe/Athens"),
    ("bucharest", "Europe/Bucharest"),
    ("cairo", "Africa/Cairo"),
    ("harare", "Africa/Harare"),
    ("helsinki", "Europe/Helsinki"),
    ("jerusalem", "Asia/Jerusalem"),
    ("baghdad", "Asia/Baghdad"),
    ("kuwait", "Asia/Kuwait"),
    ("moscow", "Europe/Moscow"),
    ("nairobi", "Africa/Nairobi"),
    ("tehran", "Asia/Tehran"),
    ("abu dhabi", "Asia/Dubai"),
    ("baku", "Asia/Baku"),
    ("kabul", "Asia/Kabul"),
    ("ekaterinburg", "Asia/Yekaterinburg"),
    ("islamabad", "Asia/Karachi"),
    ("chennai", "Asia/Kolkata"),
    ("kathmandu", "Asia/Kathmandu"),
    ("almaty", "Asia/Almaty"),
    ("dhaka", "Asia/Dhaka"),
    ("jayawardenepura", "Asia/Colombo"),
    ("rangoon", "Asia/Rangoon"),
    ("bangkok", "Asia/Bangkok"),
    ("krasnoyarsk", "Asia/Krasnoyarsk"),
    ("beijing", "Asia/Shanghai"),
    ("irkutsk", "Asia/Irkutsk"),
    ("singapore", "Asia/Singapore"),
    ("perth", "Australia/Perth"),
    ("taipei", "Asia/Taipei"),
    ("tokyo", "Asia/Tokyo"),
    ("seoul", "Asia/Seoul"),
    ("yakutsk", "Asia/Yakutsk"),
    ("adelaide", "Australia/Adelaide"),
    ("darwin", "Australia/Darwin"),
    ("brisbane", "Australia/Brisbane"),
    ("sydney", "Australia/Sydney"),
    ("hobart", "Australia/Hobart"),
    ("guam", "Pacific/Guam"),
    ("vladivostok", "Asia/Vladivostok"),
    ("magadan", "Asia/Magadan"),
    ("auckland", "Pacific/Auckland"),
    ("fiji", "Pacific/Fiji"),
    ("nuku", "Pacific/Tongatapu"),
];

/// What is known of the user's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UserZone {
    /// A zone with its rules.
    Known(Zone),
    /// How far its clock is ahead of UTC now; in another season it may be otherwise.
    Ahead(i64),
}

impl UserZone {
    /// The zone in which the clock shows `wall` at the moment `utc`, both in microseconds since 1970: the one of the
    /// account's option if its clock does, else the one that the service names.
    pub(crate) fn find(wall: i64, utc: i64, name: &str, option: Option<Zone>) -> Self {
        let ahead = ahead_of(wall, utc);
        let shows_it = |zone: &Zone| {
            wall_clock_in_zone(utc, *zone).is_some_and(|shown| ahead_of(shown, utc) == ahead)
        };
        let name = name.to_lowercase();
        let named = NAMES.iter().filter(|(word, _)| name.contains(word));
        let named = named.filter_map(|(_, zone)| zone.parse().ok());
        match option.into_iter().chain(named).find(shows_it) {
            Some(zone) => Self::Known(zone),
            None => Self::Ahead(ahead),
        }
    }

    /// What its clock shows at a moment.
    pub(crate) fn wall(self, instant: i64) -> Option<i64> {
        match self {
            Self::Known(zone) => wall_clock_in_zone(instant, zone),
            Self::Ahead(ahead) => instant.checked_add(ahead),
        }
    }

    /// The moments at which its clock shows `wall`, the likeliest first: two where the clock was put back, and an hour
    /// around where it is not known when it is.
    pub(crate) fn instants(self, wall: i64) -> Vec<i64> {
        match self {
            Self::Known(zone) => {
                let Some(later) = instant_of_wall_clock(wall, zone) else {
                    return Vec::new();
                };
                let is_shown = |at: &i64| wall_clock_in_zone(*at, zone) == Some(wall);
                let earlier = STEPS_BACK.iter().map(|step| later - step).find(is_shown);
                std::iter::once(later).chain(earlier).collect()
            }
            Self::Ahead(ahead) => {
                let at = wall.saturating_sub(ahead);
                vec![at, at.saturating_sub(HOUR), at.saturating_add(HOUR)]
            }
        }
    }

    /// How far from the moment `instant` a clock's text may be read otherwise than meant.
    pub(crate) fn slack(self, instant: i64) -> i64 {
        let ahead = |at: i64| Some(self.wall(at)? - at);
        let day_before = instant.saturating_sub(MICROS_PER_DAY);
        let day_after = instant.saturating_add(MICROS_PER_DAY);
        match self {
            Self::Known(_) if ahead(day_before) == ahead(day_after) => MICROS_PER_SECOND,
            _ => 2 * HOUR,
        }
    }
}

/// How far a clock is ahead of UTC, in quarters of an hour within half a day: this machine's clock may be wrong.
fn ahead_of(wall: i64, utc: i64) -> i64 {
    let apart = wall.saturating_sub(utc).saturating_add(QUARTER / 2);
    let quarters = apart.div_euclid(QUARTER);
    let of_day = MICROS_PER_DAY / QUARTER;
    // A clock 13 or 14 hours ahead is one 11 or 10 behind, a day later: a named zone tells them apart.
    let quarters = match quarters {
        -48..=56 => quarters,
        other => (other + of_day / 2).rem_euclid(of_day) - of_day / 2,
    };
    quarters * QUARTER
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{parse_instant, parse_wall_clock};

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    fn wall(text: &str) -> i64 {
        parse_wall_clock(text).unwrap()
    }

    fn known(name: &str) -> UserZone {
        UserZone::Known(name.parse().unwrap())
    }

    const CENTRAL: &str = "(GMT-06:00) Central Time (US & Canada)";

    #[test]
    fn every_zone_of_the_table_exists() {
        for (word, zone) in NAMES {
            assert!(zone.parse::<Zone>().is_ok(), "{zone}");
            assert_eq!(*word, word.to_lowercase());
        }
    }

    #[test]
    fn the_clock_decides_which_zone_it_is() {
        let summer = (wall("2024-07-01T08:30:00"), at("2024-07-01T13:29:20Z"));
        let find = |name, option: Option<&str>| {
            UserZone::find(
                summer.0,
                summer.1,
                name,
                option.map(|zone| zone.parse().unwrap()),
            )
        };
        assert_eq!(find(CENTRAL, None), known("America/Chicago"));
        // The option counts where it fits, and is passed over where it does not.
        assert_eq!(
            find(CENTRAL, Some("America/Winnipeg")),
            known("America/Winnipeg")
        );
        assert_eq!(find(CENTRAL, Some("UTC")), known("America/Chicago"));
        assert_eq!(
            find("(GMT-06:00) Nowhere", None),
            UserZone::Ahead(-5 * HOUR)
        );
        // The name says another zone than the clock shows.
        assert_eq!(find("(GMT) London", None), UserZone::Ahead(-5 * HOUR));
        let london = UserZone::find(
            wall("2024-07-01T09:00:00"),
            at("2024-07-01T08:00:01Z"),
            "(GMT) Greenwich Mean Time : Dublin, Edinburgh, Lisbon, London",
            Some("UTC".parse().unwrap()),
        );
        assert_eq!(london, known("Europe/London"));
        let tonga = UserZone::find(
            wall("2024-07-02T02:00:00"),
            at("2024-07-01T13:00:00Z"),
            "(GMT+13:00) Nuku'alofa",
            None,
        );
        assert_eq!(tonga, known("Pacific/Tongatapu"));
        let kolkata = UserZone::find(
            wall("2024-07-01T05:30:00"),
            at("2024-07-01T00:00:00Z"),
            "",
            None,
        );
        assert_eq!(kolkata, UserZone::Ahead(11 * HOUR / 2));
    }

    #[test]
    fn a_clock_put_back_shows_an_hour_twice() {
        let chicago = known("America/Chicago");
        let twice = chicago.instants(wall("2024-11-03T01:30:00"));
        assert_eq!(
            twice,
            [at("2024-11-03T07:30:00Z"), at("2024-11-03T06:30:00Z")]
        );
        assert_eq!(
            chicago.instants(wall("2024-07-01T08:30:00")),
            [at("2024-07-01T13:30:00Z")]
        );
        assert_eq!(chicago.slack(at("2024-07-01T00:00:00Z")), MICROS_PER_SECOND);
        assert_eq!(chicago.slack(at("2024-11-03T00:00:00Z")), 2 * HOUR);
        assert_eq!(UserZone::Ahead(0).instants(HOUR), [HOUR, 0, 2 * HOUR]);
        // Half an hour, on Lord Howe Island.
        let howe = known("Australia/Lord_Howe").instants(wall("2024-04-07T01:45:00"));
        assert_eq!(howe.len(), 2);
        assert_eq!(howe[0] - howe[1], HOUR / 2);
    }
}
