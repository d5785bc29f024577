//! GROUP BY and the aggregate functions: rows fall into groups, groups into AggregateResult rows.
//! Counts are integers; sums and averages of decimals carry a point, as in the recorded answers.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use bigdecimal::{BigDecimal, ToPrimitive};

use super::ast::Function;
use super::eval::{cell, compare, folds, key_order, sortable, window, write_cell};
use super::plan::{Aggregate, GroupFilter, GroupItem, Output, Plan, SortBy};
use super::value::{Datum, Number, datum, sort_order};
use crate::salesforce::errors::ApiError;
use crate::salesforce::store::{Cell, Store};

/// Most groups one answer holds; a grouped query has no next page (section 4.5).
const MAX_GROUPS: usize = 2_000;

struct Group {
    keys: Vec<Cell>,
    rows: Vec<u32>,
}

/// The rendered rows of a grouped statement.
///
/// # Errors
/// `EXCEEDED_ID_LIMIT` for more groups than [`MAX_GROUPS`].
pub fn groups(plan: &Plan, store: &Store, rows: &[u32]) -> Result<Vec<String>, ApiError> {
    let Output::Groups {
        items,
        group_by,
        having,
    } = &plan.output
    else {
        return Ok(Vec::new());
    };
    let mut places: HashMap<Vec<Option<String>>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    if group_by.is_empty() {
        groups.push(Group {
            keys: Vec::new(),
            rows: rows.to_vec(),
        });
    } else {
        for &row in rows {
            let cells: Vec<Cell> = group_by
                .iter()
                .map(|path| cell(store, plan.object, row, path).into_owned())
                .collect();
            let key = cells
                .iter()
                .zip(group_by)
                .map(|(cell, path)| match cell {
                    Cell::Text(text) if folds(&path.field) => Some(text.to_lowercase()),
                    Cell::Text(text) => Some(text.to_string()),
                    Cell::Number(text) => Some(text.to_string()),
                    Cell::Bool(flag) => Some(flag.to_string()),
                    _ => None,
                })
                .collect();
            let place = *places.entry(key).or_insert_with(|| {
                groups.push(Group {
                    keys: cells,
                    rows: Vec::new(),
                });
                groups.len() - 1
            });
            groups[place].rows.push(row);
        }
    }
    let passes = |group: &Group| {
        having
            .as_ref()
            .is_none_or(|filter| holds(filter, group, plan, store))
    };
    let mut groups: Vec<Group> = groups.into_iter().filter(passes).collect();
    sort(&mut groups, plan, store);
    let groups = window(groups, plan);
    if groups.len() > MAX_GROUPS {
        return Err(ApiError::bad(
            "EXCEEDED_ID_LIMIT",
            "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch",
        ));
    }
    Ok(groups
        .iter()
        .map(|group| render(group, items, plan, store))
        .collect())
}

fn holds(filter: &GroupFilter, group: &Group, plan: &Plan, store: &Store) -> bool {
    let each = |arm: &GroupFilter| holds(arm, group, plan, store);
    match filter {
        GroupFilter::And(arms) => arms.iter().all(each),
        GroupFilter::Or(arms) => arms.iter().any(each),
        GroupFilter::Not(inner) => !each(inner),
        GroupFilter::Compare {
            aggregate,
            op,
            value,
        } => compare(&reading(aggregate, group, plan, store), *op, value),
        GroupFilter::Key { place, op, value } => {
            let Output::Groups { group_by, .. } = &plan.output else {
                return false;
            };
            compare(
                &datum(&group.keys[*place], &group_by[*place].field),
                *op,
                value,
            )
        }
    }
}

/// An aggregate as a comparable value.
fn reading(aggregate: &Aggregate, group: &Group, plan: &Plan, store: &Store) -> Datum {
    match (compute(aggregate, group, plan, store), &aggregate.path) {
        (Cell::Number(text), _) => Number::parse(&text).map_or(Datum::Null, Datum::Number),
        (other, Some(path)) => datum(&other, &path.field),
        _ => Datum::Null,
    }
}

fn sort(groups: &mut [Group], plan: &Plan, store: &Store) {
    let Output::Groups { group_by, .. } = &plan.output else {
        return;
    };
    let data = |group: &Group| -> Vec<Datum> {
        plan.order
            .iter()
            .map(|key| match &key.by {
                SortBy::Aggregate(aggregate) => reading(aggregate, group, plan, store),
                SortBy::Field(path) => group_by
                    .iter()
                    .position(|by| by.name == path.name)
                    .map_or(Datum::Null, |place| {
                        sortable(&group.keys[place], &path.field)
                    }),
            })
            .collect()
    };
    groups.sort_by(|a, b| {
        plan.order
            .iter()
            .zip(data(a).iter().zip(&data(b)))
            .map(|(key, (a, b))| key_order(key, a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
}

fn render(group: &Group, items: &[GroupItem], plan: &Plan, store: &Store) -> String {
    let mut out = b"{\"attributes\":{\"type\":\"AggregateResult\"}".to_vec();
    for item in items {
        let (name, value) = match item {
            GroupItem::Key { place, name } => (name, group.keys[*place].clone()),
            GroupItem::Aggregate { aggregate, name } => {
                (name, compute(aggregate, group, plan, store))
            }
        };
        let _ = write!(out, ",\"{name}\":");
        write_cell(&mut out, &value);
    }
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

/// The value of an aggregate in a group.
fn compute(aggregate: &Aggregate, group: &Group, plan: &Plan, store: &Store) -> Cell {
    let count = |n: usize| Cell::Number(n.to_string().into());
    let Some(path) = &aggregate.path else {
        return count(group.rows.len());
    };
    let values = || {
        group
            .rows
            .iter()
            .map(|&row| cell(store, plan.object, row, path).into_owned())
            .filter(|cell| *cell != Cell::Null)
    };
    let numbers = || {
        values().filter_map(|cell| match cell {
            Cell::Number(text) => Number::parse(&text).map(|n| n.decimal()),
            _ => None,
        })
    };
    match aggregate.function {
        Function::Count => count(values().count()),
        Function::CountDistinct => {
            let distinct: HashSet<String> = values()
                .map(|cell| match cell {
                    Cell::Text(text) if folds(&path.field) => text.to_lowercase(),
                    Cell::Text(text) | Cell::Number(text) => text.to_string(),
                    other => format!("{other:?}"),
                })
                .collect();
            count(distinct.len())
        }
        Function::Min | Function::Max => {
            let best = values().reduce(|best, next| {
                let order =
                    sort_order(&sortable(&next, &path.field), &sortable(&best, &path.field));
                let wanted = match aggregate.function {
                    Function::Min => Ordering::Less,
                    _ => Ordering::Greater,
                };
                if order == wanted { next } else { best }
            });
            best.unwrap_or(Cell::Null)
        }
        Function::Sum => {
            let (sum, any) =
                numbers().fold((BigDecimal::from(0), false), |(sum, _), n| (sum + n, true));
            match any {
                true => Cell::Number(decimal_text(&sum, &path.field.remote_type).into()),
                false => Cell::Null,
            }
        }
        Function::Avg => {
            let all: Vec<BigDecimal> = numbers().collect();
            if all.is_empty() {
                return Cell::Null;
            }
            let sum: BigDecimal = all.iter().sum();
            let average = sum.to_f64().unwrap_or_default() / all.len() as f64;
            Cell::Number(format!("{average:?}").into())
        }
    }
}

/// A sum in wire form: integers stay integers, decimals carry at least one digit behind the point.
fn decimal_text(sum: &BigDecimal, remote_type: &str) -> String {
    let text = sum.normalized().to_plain_string();
    match remote_type {
        "int" | "long" => text,
        _ if text.contains('.') => text,
        _ => format!("{text}.0"),
    }
}
