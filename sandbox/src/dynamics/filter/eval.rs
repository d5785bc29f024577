//! Conditions on rows, as SQL Server behind Dynamics answers them: text without regard to case, `ne` and
//! `not` true for null, wildcards in text matches. Section 5.1.

use std::cmp::Ordering;

use chrono::{DateTime, NaiveDate};
use uuid::Uuid;

use super::{Day, Expr, Match, Operand, Operator, Path};
use crate::dynamics::store::{RowRef, Store, place};
use crate::dynamics::value::Val;

/// Whether a row of a table fits.
pub fn holds(store: &Store, table: usize, row: RowRef<'_>, expr: &Expr) -> bool {
    let value = |path: &Path| follow(store, table, row, path);
    match expr {
        Expr::Constant(yes) => *yes,
        Expr::And(a, b) => holds(store, table, row, a) && holds(store, table, row, b),
        Expr::Or(a, b) => holds(store, table, row, a) || holds(store, table, row, b),
        Expr::Not(inner) => !holds(store, table, row, inner),
        Expr::Compare(operator, left, right) => {
            let left = value(left);
            match right {
                Operand::Value(right) => compare(*operator, &left, right),
                Operand::Path(right) => compare(*operator, &left, &value(right)),
            }
        }
        Expr::Match(kind, path, pattern) => match value(path) {
            Val::Text(text) => {
                let pattern = match kind {
                    Match::Contains => format!("%{pattern}%"),
                    Match::StartsWith => format!("{pattern}%"),
                    Match::EndsWith => format!("%{pattern}"),
                    Match::Like => pattern.clone(),
                };
                like(&folded(&text), &folded(&pattern))
            }
            _ => false,
        },
        Expr::In(path, values, negated) => {
            let left = value(path);
            let found = values
                .iter()
                .any(|right| compare(Operator::Eq, &left, right));
            found != *negated
        }
        Expr::Between(path, low, high) => {
            let left = value(path);
            compare(Operator::Ge, &left, low) && compare(Operator::Le, &left, high)
        }
        Expr::Day(kind, path, day) => day_of(&value(path)).is_some_and(|at| match kind {
            Day::On => at == *day,
            Day::OnOrAfter => at >= *day,
            Day::OnOrBefore => at <= *day,
        }),
        Expr::Chosen(path, wanted, negated) => match value(path) {
            Val::Many(chosen) => wanted.iter().any(|one| chosen.contains(one)) != *negated,
            _ => *negated,
        },
    }
}

/// The identifiers of the only rows that can fit, where the condition names them.
pub fn named_rows(expr: &Expr) -> Option<Vec<Uuid>> {
    let id = |value: &Val| match value {
        Val::Guid(id) => Some(*id),
        _ => None,
    };
    let is_id = |path: &Path| path.steps.is_empty() && path.attribute.is_id;
    match expr {
        Expr::And(a, b) => named_rows(a).or_else(|| named_rows(b)),
        Expr::Or(a, b) => Some([named_rows(a)?, named_rows(b)?].concat()),
        Expr::Compare(Operator::Eq, path, Operand::Value(value)) if is_id(path) => {
            Some(vec![id(value)?])
        }
        Expr::In(path, values, false) if is_id(path) => values.iter().map(id).collect(),
        _ => None,
    }
}

fn day_of(value: &Val) -> Option<NaiveDate> {
    match value {
        Val::Date(day) => Some(*day),
        Val::Time(at) => Some(DateTime::from_timestamp(*at, 0)?.date_naive()),
        _ => None,
    }
}

/// The value at the end of a path; null where a reference is empty or leads to another table.
pub fn follow(store: &Store, table: usize, row: RowRef<'_>, path: &Path) -> Val {
    let (mut table, mut row) = (table, row);
    for (column, target) in &path.steps {
        let next = match store.tables[table].get(row, *column) {
            Val::Row(id, at) if at == *target => store.tables[at].find(id),
            _ => None,
        };
        let Some(next) = next else {
            return Val::Null;
        };
        table = *target;
        row = next;
    }
    store.tables[table].get(row, path.column)
}

/// A comparison; null equals null only, and differs from everything else.
fn compare(operator: Operator, left: &Val, right: &Val) -> bool {
    let ordering = match (left, right) {
        (Val::Null, Val::Null) => return operator == Operator::Eq,
        (Val::Null, _) | (_, Val::Null) => return operator == Operator::Ne,
        _ => order(left, right),
    };
    let Some(ordering) = ordering else {
        return operator == Operator::Ne;
    };
    match operator {
        Operator::Eq => ordering == Ordering::Equal,
        Operator::Ne => ordering != Ordering::Equal,
        Operator::Gt => ordering == Ordering::Greater,
        Operator::Ge => ordering != Ordering::Less,
        Operator::Lt => ordering == Ordering::Less,
        Operator::Le => ordering != Ordering::Greater,
    }
}

/// How two values of one type compare; `None` for different types.
fn order(left: &Val, right: &Val) -> Option<Ordering> {
    let id = |value: &Val| -> Option<Uuid> {
        match value {
            Val::Guid(id) | Val::Row(id, _) => Some(*id),
            _ => None,
        }
    };
    match (left, right) {
        (Val::Bool(a), Val::Bool(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Int(b)) | (Val::Time(a), Val::Time(b)) => Some(a.cmp(b)),
        (Val::Number(a), Val::Number(b)) => Some(a.cmp(b)),
        (Val::Int(a), Val::Number(b)) => Some(bigdecimal::BigDecimal::from(*a).cmp(b)),
        (Val::Number(a), Val::Int(b)) => Some(a.cmp(&bigdecimal::BigDecimal::from(*b))),
        (Val::Text(a), Val::Text(b)) => Some(folded(a).trim_end().cmp(folded(b).trim_end())),
        (Val::Date(a), Val::Date(b)) => Some(a.cmp(b)),
        (Val::Many(a), Val::Many(b)) => Some(a.cmp(b)),
        _ => Some(place(id(left)?).cmp(&place(id(right)?))),
    }
}

/// A text without its case.
fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// How two rows stand in an order: nulls lowest, references by the name of their row, choices by their
/// label where `labels` says so.
pub fn compare_for_order(
    store: &Store,
    table: usize,
    rows: (RowRef<'_>, RowRef<'_>),
    orders: &[(Path, bool)],
    labels: bool,
) -> Ordering {
    let key = |row, path: &Path| match follow(store, table, row, path) {
        Val::Row(id, at) => store.title(at, id).map_or(Val::Null, Val::Text),
        Val::Int(number) if labels && path.attribute.kind.is_choice() => path
            .attribute
            .label_of(number)
            .map_or(Val::Int(number), |label| Val::Text(label.to_owned())),
        other => other,
    };
    orders
        .iter()
        .map(|(path, descending)| {
            let (a, b) = (key(rows.0, path), key(rows.1, path));
            let ordering = match (&a, &b) {
                (Val::Null, Val::Null) => Ordering::Equal,
                (Val::Null, _) => Ordering::Less,
                (_, Val::Null) => Ordering::Greater,
                _ => order(&a, &b).unwrap_or(Ordering::Equal),
            };
            match descending {
                true => ordering.reverse(),
                false => ordering,
            }
        })
        .find(|ordering| *ordering != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// SQL's LIKE with `%`, `_`, `[set]` and `[^set]`.
pub fn like(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut place) = (0, 0);
    // Where to go on when the last `%` has to take one more.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let matched = match pattern.get(place) {
            Some('%') => {
                retry = Some((at, place + 1));
                place += 1;
                continue;
            }
            None if at == text.len() => return true,
            None => None,
            Some(_) if at == text.len() => None,
            Some('_') => Some(1),
            Some('[') => class(&pattern[place..], text[at]),
            Some(one) => (*one == text[at]).then_some(1),
        };
        match (matched, retry) {
            (Some(used), _) => {
                at += 1;
                place += used;
            }
            (None, Some((from, behind))) if from < text.len() => {
                at = from + 1;
                place = behind;
                retry = Some((at, behind));
            }
            _ => return false,
        }
    }
}

/// The length of a character class that takes this character. One without end takes nothing.
fn class(pattern: &[char], c: char) -> Option<usize> {
    let end = pattern.iter().skip(2).position(|p| *p == ']')? + 2;
    let (negated, members) = match pattern[1] {
        '^' => (true, &pattern[2..end]),
        _ => (false, &pattern[1..end]),
    };
    let mut found = false;
    let mut at = 0;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            found |= members[at] <= c && c <= members[at + 2];
            at += 3;
        } else {
            found |= members[at] == c;
            at += 1;
        }
    }
    (found != negated).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn wildcards_act_and_can_be_escaped() {
        for (text, pattern, fits) in [
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("a%c", "%[%]%", true),
            ("abc", "%[%]%", false),
            ("a[c", "a[[]c", true),
            ("abc", "a[a-c]c", true),
            ("abc", "a[^a-c]c", false),
            ("aab", "%ab", true),
            ("", "%", true),
            ("", "", true),
            ("mississippi", "%iss%ppi", true),
            ("abc", "a[bc", false),
        ] {
            assert_eq!(like(text, pattern), fits, "{text} {pattern}");
        }
    }
}
