//! Date literals (`TODAY`, `LAST_N_DAYS:7`): which names there are and what span each covers.
//! The organisation's zone is UTC, its weeks start on Sunday and its fiscal year is the calendar year.

use chrono::{Datelike, Days, Months, NaiveDate};

const PLAIN: &[&str] = &[
    "YESTERDAY",
    "TODAY",
    "TOMORROW",
    "LAST_WEEK",
    "THIS_WEEK",
    "NEXT_WEEK",
    "LAST_MONTH",
    "THIS_MONTH",
    "NEXT_MONTH",
    "LAST_90_DAYS",
    "NEXT_90_DAYS",
    "THIS_QUARTER",
    "LAST_QUARTER",
    "NEXT_QUARTER",
    "THIS_YEAR",
    "LAST_YEAR",
    "NEXT_YEAR",
];
const NUMBERED: &[&str] = &[
    "LAST_N_DAYS",
    "NEXT_N_DAYS",
    "N_DAYS_AGO",
    "LAST_N_MONTHS",
    "NEXT_N_MONTHS",
    "LAST_N_YEARS",
    "NEXT_N_YEARS",
];

/// True for the name of a date literal, in capitals.
pub fn is_name(word: &str) -> bool {
    PLAIN.contains(&word) || NUMBERED.contains(&word)
}

/// True for the literals written `NAME:n`.
pub fn takes_number(word: &str) -> bool {
    NUMBERED.contains(&word)
}

/// First day, and the first day after, of a literal as seen on `today`; `None` beyond the calendar.
pub fn span(name: &str, count: i64, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let n = u64::try_from(count).ok()?;
    let months = u32::try_from(count).ok()?;
    let week = today.checked_sub_days(Days::new(today.weekday().num_days_from_sunday().into()))?;
    let month = today.with_day(1)?;
    let quarter = month.with_month0(month.month0() / 3 * 3)?;
    let year = NaiveDate::from_ymd_opt(today.year(), 1, 1)?;
    let tomorrow = today.succ_opt()?;
    let days = |from: NaiveDate, shift: i64, length: u64| {
        let start = from.checked_add_signed(chrono::TimeDelta::try_days(shift)?)?;
        Some((start, start.checked_add_days(Days::new(length))?))
    };
    let back = |from: NaiveDate, by: u32| from.checked_sub_months(Months::new(by));
    let ahead = |from: NaiveDate, by: u32| from.checked_add_months(Months::new(by));
    match name {
        "YESTERDAY" => days(today, -1, 1),
        "TODAY" => days(today, 0, 1),
        "TOMORROW" => days(today, 1, 1),
        "LAST_WEEK" => days(week, -7, 7),
        "THIS_WEEK" => days(week, 0, 7),
        "NEXT_WEEK" => days(week, 7, 7),
        "LAST_MONTH" => Some((back(month, 1)?, month)),
        "THIS_MONTH" => Some((month, ahead(month, 1)?)),
        "NEXT_MONTH" => Some((ahead(month, 1)?, ahead(month, 2)?)),
        "LAST_90_DAYS" => Some((today.checked_sub_days(Days::new(90))?, tomorrow)),
        "NEXT_90_DAYS" => days(tomorrow, 0, 90),
        "THIS_QUARTER" => Some((quarter, ahead(quarter, 3)?)),
        "LAST_QUARTER" => Some((back(quarter, 3)?, quarter)),
        "NEXT_QUARTER" => Some((ahead(quarter, 3)?, ahead(quarter, 6)?)),
        "THIS_YEAR" => Some((year, ahead(year, 12)?)),
        "LAST_YEAR" => Some((back(year, 12)?, year)),
        "NEXT_YEAR" => Some((ahead(year, 12)?, ahead(year, 24)?)),
        "LAST_N_DAYS" => Some((today.checked_sub_days(Days::new(n))?, tomorrow)),
        "NEXT_N_DAYS" => days(tomorrow, 0, n),
        "N_DAYS_AGO" => days(today, -count, 1),
        "LAST_N_MONTHS" => Some((back(month, months)?, month)),
        "NEXT_N_MONTHS" => Some((ahead(month, 1)?, ahead(month, months.checked_add(1)?)?)),
        "LAST_N_YEARS" => Some((back(year, months.checked_mul(12)?)?, year)),
        "NEXT_N_YEARS" => Some((
            ahead(year, 12)?,
            ahead(year, months.checked_add(1)?.checked_mul(12)?)?,
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_follow_the_calendar() {
        let day = |y, m, d| NaiveDate::from_ymd_opt(y, m, d).unwrap();
        let today = day(2025, 11, 5);
        for (name, n, from, to) in [
            ("TODAY", 0, day(2025, 11, 5), day(2025, 11, 6)),
            ("THIS_WEEK", 0, day(2025, 11, 2), day(2025, 11, 9)),
            ("LAST_MONTH", 0, day(2025, 10, 1), day(2025, 11, 1)),
            ("THIS_QUARTER", 0, day(2025, 10, 1), day(2026, 1, 1)),
            ("LAST_N_DAYS", 7, day(2025, 10, 29), day(2025, 11, 6)),
            ("NEXT_N_YEARS", 2, day(2026, 1, 1), day(2028, 1, 1)),
        ] {
            assert_eq!(span(name, n, today), Some((from, to)), "{name}");
        }
        assert!(
            PLAIN
                .iter()
                .chain(NUMBERED)
                .all(|n| span(n, 1, today).is_some())
        );
    }
}
