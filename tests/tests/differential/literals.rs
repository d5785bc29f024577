//! The right sides of comparisons: values that occur, values next to them, values no CRM can hold, and every way of
//! writing them that does not fail.

use crm_tests::literal;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::domain::{Column, Kind};

/// One of a list.
pub fn pick<'a, T: ?Sized>(random: &mut StdRng, list: &[&'a T]) -> &'a T {
    list[random.random_range(0..list.len())]
}

/// A value that occurs, if any does.
pub fn occurring<'a>(random: &mut StdRng, column: &'a Column) -> Option<&'a str> {
    if column.values.is_empty() {
        return None;
    }
    Some(&column.values[random.random_range(0..column.values.len())])
}

/// A value of the column's own type, written with its type.
pub fn typed(random: &mut StdRng, column: &Column) -> (&'static str, String) {
    match column.kind {
        Kind::Int => (
            "int",
            whole(random, column, &["2147483647", "-2147483648", "0", "100"]),
        ),
        Kind::Big => (
            "bigint",
            whole(
                random,
                column,
                &["9223372036854775807", "9007199254740993", "0", "7"],
            ),
        ),
        Kind::Numeric => ("numeric", number(random, column)),
        Kind::Float => ("float8", number(random, column)),
        Kind::Date => ("date", day(random, column)),
        Kind::Instant => ("timestamptz", moment(random, column)),
        Kind::Wall => ("timestamp", moment(random, column).replace("+00", "")),
        Kind::Time => ("time", "14:30:00".into()),
        Kind::Bool => ("boolean", pick(random, &["true", "false"]).into()),
        Kind::Text => ("text", text(random, column)),
    }
}

/// A value that can be compared with the column, often of another type than its own: an SQL expression.
pub fn right_side(random: &mut StdRng, column: &Column) -> String {
    let (type_name, value) = typed(random, column);
    let own = format!("{}::{type_name}", literal(&value));
    let dice = random.random_range(0..10);
    match column.kind {
        Kind::Int | Kind::Big | Kind::Numeric | Kind::Float => match dice {
            0..=3 => own,
            4 => random.random_range(-50..5_000).to_string(),
            5 => format!(
                "{}.{}",
                random.random_range(-5..900),
                random.random_range(0..1_000)
            ),
            6 => format!("{}::bigint", random.random_range(-9..999_999_999_999_i64)),
            7 => format!("{}::smallint", random.random_range(0..300)),
            8 => format!(
                "{}e{}",
                random.random_range(1..99),
                random.random_range(-2..9)
            ),
            _ => format!("{}::float8", literal(number(random, column))),
        },
        Kind::Date | Kind::Instant | Kind::Wall => match dice {
            0..=5 => own,
            6 => format!("{}::date", literal(day(random, column))),
            7 => format!("{}::timestamptz", literal(moment(random, column))),
            8 => format!(
                "{}::timestamp",
                literal(moment(random, column).replace("+00", ""))
            ),
            _ => format!(
                "now() - interval '{} hours'",
                random.random_range(0..30_000)
            ),
        },
        Kind::Time | Kind::Bool | Kind::Text => own,
    }
}

fn whole(random: &mut StdRng, column: &Column, edges: &[&str]) -> String {
    match occurring(random, column) {
        Some(value) if random.random_bool(0.7) => value.to_owned(),
        _ => pick(random, edges).to_owned(),
    }
}

fn number(random: &mut StdRng, column: &Column) -> String {
    let edge = [
        "NaN",
        "Infinity",
        "-Infinity",
        "0",
        "-0.0",
        "1e300",
        "1e-30",
        "12345678901234567890.123456789",
        "9007199254740993",
        "0.1",
        "0.10000000000000001",
        "99999999999999.99",
        "300.00",
        "-5",
    ];
    match occurring(random, column) {
        Some(value) if random.random_bool(0.55) => value.to_owned(),
        // Next to one that occurs.
        Some(value) if random.random_bool(0.3) && !value.contains('e') => {
            let digits = pick(random, &["0", "1", "000001", "9"]);
            match value.contains('.') {
                true => format!("{value}{digits}"),
                false => format!("{value}.{digits}"),
            }
        }
        _ => pick(random, &edge).to_owned(),
    }
}

fn day(random: &mut StdRng, column: &Column) -> String {
    let edges = [
        "infinity",
        "-infinity",
        "0044-03-15 BC",
        "1699-12-31",
        "1700-01-01",
        "4000-12-31",
        "4001-01-01",
        "5874897-12-31",
        "2024-02-29",
        "2024-06-15",
    ];
    match occurring(random, column) {
        Some(value) if random.random_bool(0.7) => value[..10.min(value.len())].to_owned(),
        _ => pick(random, &edges).to_owned(),
    }
}

fn moment(random: &mut StdRng, column: &Column) -> String {
    let edges = [
        "infinity",
        "-infinity",
        "0044-03-15 12:00:00+00 BC",
        "1699-12-31 23:59:59.999999+00",
        "1700-01-01 00:00:00+00",
        "4000-12-31 00:00:00+00",
        "4000-12-31 23:59:59.999999+00",
        "9999-01-01 00:00:00+00",
        "2024-01-31 23:59:59.9995+00",
        "2024-03-31 01:30:00+00",
        "2024-05-05 00:00:00+00",
    ];
    let Some(value) = occurring(random, column).filter(|_| random.random_bool(0.75)) else {
        return pick(random, &edges).to_owned();
    };
    let value = value.trim_end_matches("+00");
    let (value, has_time) = (value.to_owned(), value.len() > 10);
    match (has_time, value.contains('.'), random.random_range(0..5)) {
        (false, ..) => format!("{value} 12:00:00+00"),
        (true, false, 0) => format!("{value}.000001+00"),
        (true, false, 1) => format!("{value}.999999+00"),
        (true, false, 2) => format!("{value}.5+00"),
        (true, true, 0) => format!(
            "{}.000001+00",
            &value[..value.find('.').unwrap_or(value.len())]
        ),
        _ => format!("{value}+00"),
    }
}

fn text(random: &mut StdRng, column: &Column) -> String {
    let edges = [
        "",
        " ",
        "acme",
        "ACME",
        "it's",
        "a\\b",
        "x' OR Name != '",
        "100%",
        "__",
        "line\nbreak",
        "Ünïcödé 🎈",
        "null",
        "\u{1}",
    ];
    if random.random_bool(0.02) {
        return "long ".repeat(1_000);
    }
    let Some(value) = occurring(random, column).filter(|_| random.random_bool(0.7)) else {
        return pick(random, &edges).to_owned();
    };
    match random.random_range(0..6) {
        0 => value.to_uppercase(),
        1 => value.to_lowercase(),
        2 => format!("{value} "),
        _ => value.to_owned(),
    }
}

/// A pattern for LIKE that does not fail.
pub fn pattern(random: &mut StdRng, column: &Column) -> String {
    let value = text(random, column);
    let escaped: String = value
        .chars()
        .take(40)
        .flat_map(|c| match c {
            '\\' | '%' | '_' => vec!['\\', c],
            c => vec![c],
        })
        .collect();
    let start: String = value
        .chars()
        .take(random.random_range(0..6))
        .filter(|c| *c != '\\')
        .collect();
    match random.random_range(0..7) {
        0 => escaped,
        1 => format!("%{start}"),
        2 => format!("%{start}%"),
        3 => format!("{start}_%"),
        4 => format!("{start}\\%%"),
        _ => format!("{start}%"),
    }
}
