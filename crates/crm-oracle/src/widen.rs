//! Conditions on points in time, widened where a clock without a zone cannot tell two moments apart.
//!
//! A time that comes without a zone is read in the account's, and what the clock shows twice in autumn as the later one
//! (D-1). A record of the earlier one is thus read as later than the CRM holds it, and a condition from a moment on must
//! ask for it too; it is checked again here.

use crm_core::{
    Filter, MICROS_PER_SECOND, Operator, Value, Zone, instant_of_wall_clock, wall_clock_in_zone,
};

/// Clocks are put back by whole quarters of an hour, and by no more than three hours.
const QUARTER: i64 = 15 * 60 * MICROS_PER_SECOND;
const MOST_QUARTERS: i64 = 12;

/// The condition, with lower bounds moved to the earliest moment that is read as one within it.
pub(crate) fn widen(filter: Filter<Value>, zone: Zone) -> Filter<Value> {
    match filter {
        Filter::And(parts) => {
            Filter::And(parts.into_iter().map(|part| widen(part, zone)).collect())
        }
        Filter::Or(arms) => Filter::Or(arms.into_iter().map(|arm| widen(arm, zone)).collect()),
        Filter::Compare {
            field,
            operator: operator @ (Operator::Greater | Operator::GreaterOrEqual),
            value: Value::Instant(instant),
        } => Filter::Compare {
            field,
            operator,
            value: Value::Instant(earliest_read_as(instant, zone)),
        },
        other => other,
    }
}

/// A moment no later than any that is read as `instant` or later.
fn earliest_read_as(instant: i64, zone: Zone) -> i64 {
    let read_as = |moment: i64| {
        let wall = wall_clock_in_zone(moment, zone)?;
        instant_of_wall_clock(wall, zone)
    };
    let is_moved_behind = |moment: &i64| read_as(*moment).is_some_and(|read| read >= instant);
    let before = (1..=MOST_QUARTERS).filter_map(|quarter| instant.checked_sub(quarter * QUARTER));
    let earliest = before.filter(is_moved_behind).min();
    let is_itself_moved = read_as(instant).is_some_and(|read| read > instant);
    match earliest {
        Some(earliest) => earliest.saturating_sub(QUARTER),
        None if is_itself_moved => instant.saturating_sub(QUARTER),
        None => instant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::parse_instant;
    use proptest::prelude::*;

    fn at(text: &str) -> i64 {
        parse_instant(text).unwrap()
    }

    #[test]
    fn only_around_the_hour_that_comes_twice() {
        let zone: Zone = "America/New_York".parse().unwrap();
        // 01:00 to 02:00 comes twice on 2024-11-03: from 05:00Z and from 06:00Z.
        for (moment, is_widened) in [
            ("2024-11-03T03:00:00Z", false),
            ("2024-11-03T05:05:00Z", true),
            ("2024-11-03T06:30:00Z", true),
            ("2024-11-03T06:59:00Z", true),
            ("2024-11-03T08:00:00Z", false),
            ("2024-03-10T07:00:00Z", false),
        ] {
            let earliest = earliest_read_as(at(moment), zone);
            assert_eq!(earliest < at(moment), is_widened, "{moment}");
            assert!(at(moment) - earliest <= 5 * QUARTER, "{moment}");
            assert_eq!(earliest_read_as(at(moment), Zone::default()), at(moment));
        }
    }

    proptest! {
        #[test]
        fn no_record_is_missed(second in 1_730_000_000_i64..1_731_000_000, before in 0_i64..10_800, zone in 0..3_usize) {
            let names = ["America/New_York", "Europe/Vienna", "Australia/Lord_Howe"];
            let zone: Zone = names[zone].parse().unwrap();
            let (bound, held) = (second * MICROS_PER_SECOND, (second - before) * MICROS_PER_SECOND);
            let wall = wall_clock_in_zone(held, zone).unwrap();
            let read = instant_of_wall_clock(wall, zone).unwrap();
            // What is read as within the bound is asked for.
            prop_assert!(read < bound || held >= earliest_read_as(bound, zone));
        }
    }
}
