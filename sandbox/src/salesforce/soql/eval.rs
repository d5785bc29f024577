//! Runs a bound statement: which records match, in which order, and how each is written as JSON.
//! Nulls follow section 4.3: two-valued logic, a missing parent counts as null.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::io::Write as _;

use super::aggregate;
use super::ast::Op;
use super::plan::{End, FieldPath, Filter, Hop, Node, Output, ParentColumn, Plan, SortBy, SortKey};
use super::value::{Bound, Datum, datum, like, order, sort_order};
use crate::salesforce::errors::ApiError;
use crate::salesforce::store::{Cell, Field, Kind, Store};

/// What a statement found.
pub enum Found {
    /// Places of the records, LIMIT and OFFSET applied.
    Records(Vec<u32>),
    /// The number `COUNT()` gives.
    Count(u64),
    /// Rendered AggregateResult rows.
    Groups(Vec<String>),
}

/// Runs a statement; `all` includes the recycle bin, as queryAll does.
///
/// # Errors
/// `EXCEEDED_ID_LIMIT` for more groups than one answer holds.
pub fn run(plan: &Plan, store: &Store, all: bool) -> Result<Found, ApiError> {
    let rows = matching(plan, store, all);
    Ok(match &plan.output {
        Output::Count => {
            let count = rows.len() as u64;
            let after = count.saturating_sub(plan.offset);
            Found::Count(plan.limit.map_or(after, |limit| after.min(limit)))
        }
        Output::Groups { .. } => Found::Groups(aggregate::groups(plan, store, &rows)?),
        Output::Records(_) => {
            let rows = sorted(rows, &plan.order, plan, store);
            Found::Records(window(rows, plan))
        }
    })
}

/// The records that match, in stored order.
fn matching(plan: &Plan, store: &Store, all: bool) -> Vec<u32> {
    let object = store.object(plan.object);
    let filter = plan
        .filter
        .as_ref()
        .map(|filter| prepare(filter, store, all));
    (0..object.len())
        .filter(|&row| object.is_visible(row, all))
        .filter(|&row| {
            filter
                .as_ref()
                .is_none_or(|f| matches(f, store, plan.object, row))
        })
        .collect()
}

/// LIMIT and OFFSET over rows, or over groups.
pub fn window<T>(rows: Vec<T>, plan: &Plan) -> Vec<T> {
    let skip = usize::try_from(plan.offset).unwrap_or(usize::MAX);
    let take = plan
        .limit
        .map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    if skip == 0 && take >= rows.len() {
        return rows;
    }
    rows.into_iter().skip(skip).take(take).collect()
}

/// A filter whose semi-joins have been run.
enum Ready<'a> {
    And(Vec<Ready<'a>>),
    Or(Vec<Ready<'a>>),
    Not(Box<Ready<'a>>),
    Test(&'a Filter),
    Ids {
        path: &'a FieldPath,
        negated: bool,
        ids: HashSet<String>,
    },
}

fn prepare<'a>(filter: &'a Filter, store: &Store, all: bool) -> Ready<'a> {
    let each = |arms: &'a [Filter]| arms.iter().map(|arm| prepare(arm, store, all)).collect();
    match filter {
        Filter::And(arms) => Ready::And(each(arms)),
        Filter::Or(arms) => Ready::Or(each(arms)),
        Filter::Not(inner) => Ready::Not(Box::new(prepare(inner, store, all))),
        Filter::SemiJoin {
            path,
            negated,
            plan,
            column,
        } => {
            let ids = matching(plan, store, all)
                .into_iter()
                .filter_map(|row| match cell(store, plan.object, row, column).as_ref() {
                    Cell::Text(id) => Some(id[..15.min(id.len())].to_owned()),
                    _ => None,
                })
                .collect();
            Ready::Ids {
                path,
                negated: *negated,
                ids,
            }
        }
        test => Ready::Test(test),
    }
}

fn matches(filter: &Ready<'_>, store: &Store, object: usize, row: u32) -> bool {
    match filter {
        Ready::And(arms) => arms.iter().all(|arm| matches(arm, store, object, row)),
        Ready::Or(arms) => arms.iter().any(|arm| matches(arm, store, object, row)),
        Ready::Not(inner) => !matches(inner, store, object, row),
        Ready::Ids { path, negated, ids } => {
            let found = match cell(store, object, row, path).as_ref() {
                Cell::Text(id) => id.get(..15).is_some_and(|id| ids.contains(id)),
                _ => false,
            };
            found != *negated
        }
        Ready::Test(test) => holds(test, store, object, row),
    }
}

fn holds(test: &Filter, store: &Store, object: usize, row: u32) -> bool {
    match test {
        Filter::Compare { path, op, value } => {
            let cell = cell(store, object, row, path);
            compare(&datum(&cell, &path.field), *op, value)
        }
        Filter::In {
            path,
            negated,
            values,
        } => {
            let cell = cell(store, object, row, path);
            let datum = datum(&cell, &path.field);
            values.iter().any(|value| compare(&datum, Op::Eq, value)) != *negated
        }
        Filter::Like { path, pattern } => match cell(store, object, row, path).as_ref() {
            Cell::Text(text) => like(label(text, &path.field), pattern),
            _ => false,
        },
        Filter::Includes {
            path,
            negated,
            sets,
        } => {
            let cell = cell(store, object, row, path);
            let included = match datum(&cell, &path.field) {
                Datum::Text(text) => {
                    let values: HashSet<&str> = text.split(';').collect();
                    sets.iter()
                        .any(|set| set.iter().all(|value| values.contains(value.as_str())))
                }
                _ => false,
            };
            included != *negated
        }
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::SemiJoin { .. } => false,
    }
}

/// LIKE on a picklist compares the label (section 4.3).
fn label<'a>(text: &'a str, field: &'a Field) -> &'a str {
    field
        .picklist
        .get(text)
        .map_or(text, |(_, label)| label.as_str())
}

/// One comparison: `!=` is the opposite of `=`, nulls included; `<` and `>` never hold for null.
pub fn compare(datum: &Datum, op: Op, value: &Bound) -> bool {
    let equal = || match (datum, value) {
        (Datum::Null, Bound::Null) => true,
        _ => order(datum, value) == Some(Ordering::Equal),
    };
    match op {
        Op::Ne | Op::NotIn => !equal(),
        Op::Lt => order(datum, value) == Some(Ordering::Less),
        Op::Gt => order(datum, value) == Some(Ordering::Greater),
        Op::Le => matches!(order(datum, value), Some(Ordering::Less | Ordering::Equal)),
        Op::Ge => matches!(
            order(datum, value),
            Some(Ordering::Greater | Ordering::Equal)
        ),
        _ => equal(),
    }
}

/// The object and record a hop leads to.
fn follow(store: &Store, object: usize, row: u32, hop: &Hop) -> Option<(usize, u32)> {
    match store.object(object).cell(row, hop.lookup).as_ref() {
        Cell::Text(id) => match hop.target {
            Some(target) => Some((target, store.object(target).find(id)?)),
            None => store.locate(id),
        },
        _ => None,
    }
}

/// The value at the end of a path.
pub fn cell<'s>(store: &'s Store, object: usize, row: u32, path: &FieldPath) -> Cow<'s, Cell> {
    let mut at = (object, row);
    for hop in &path.hops {
        match follow(store, at.0, at.1, hop) {
            Some(next) => at = next,
            None => return Cow::Owned(Cell::Null),
        }
    }
    match &path.end {
        End::Place(place) => store.object(at.0).cell(at.1, *place),
        End::Named(name) => named(store, at, name),
    }
}

/// `Id`, `Name` or `Type` of a record of any object.
fn named<'s>(store: &'s Store, (object, row): (usize, u32), name: &str) -> Cow<'s, Cell> {
    let object = store.object(object);
    match name {
        "Type" => Cow::Owned(Cell::text(&object.name)),
        _ => object
            .field(name)
            .map_or(Cow::Owned(Cell::Null), |place| object.cell(row, place)),
    }
}

/// A cell as it sorts: picklists by their place in the definition, unlisted values after them.
pub fn sortable(cell: &Cell, field: &Field) -> Datum {
    if let Cell::Text(text) = cell
        && let Some((place, _)) = field.picklist.get(text.as_ref())
    {
        return Datum::Text(format!("\u{0}{place:08}"));
    }
    datum(cell, field)
}

/// Order by one key, nulls included: first unless the key says last, for ASC and DESC alike.
pub fn key_order(key: &SortKey, a: &Datum, b: &Datum) -> Ordering {
    let null = |datum: &Datum| matches!(datum, Datum::Null);
    match (null(a), null(b)) {
        (true, true) => Ordering::Equal,
        (true, false) if key.nulls_last => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if key.nulls_last => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) if key.descending => sort_order(b, a),
        (false, false) => sort_order(a, b),
    }
}

fn sorted(rows: Vec<u32>, keys: &[SortKey], plan: &Plan, store: &Store) -> Vec<u32> {
    if keys.is_empty() {
        return rows;
    }
    let mut decorated: Vec<(Vec<Datum>, u32)> = rows
        .into_iter()
        .map(|row| {
            let data = keys
                .iter()
                .map(|key| match &key.by {
                    SortBy::Field(path) => {
                        sortable(&cell(store, plan.object, row, path), &path.field)
                    }
                    SortBy::Aggregate(_) => Datum::Null,
                })
                .collect();
            (data, row)
        })
        .collect();
    decorated.sort_by(|(a, _), (b, _)| {
        keys.iter()
            .zip(a.iter().zip(b))
            .map(|(key, (a, b))| key_order(key, a, b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    });
    decorated.into_iter().map(|(_, row)| row).collect()
}

/// Writes a record as a query result shows it. `version` is two digits, a point and a zero.
pub fn render(
    out: &mut Vec<u8>,
    store: &Store,
    object: usize,
    row: u32,
    nodes: &[Node],
    version: &str,
) {
    open(out, store, object, row, version);
    for node in nodes {
        out.push(b',');
        match node {
            Node::Field(place) => {
                let described = store.object(object);
                let field = &described.fields[*place];
                let _ = write!(out, "\"{}\":", field.name);
                let cell = described.cell(row, *place);
                match cell.as_ref() {
                    Cell::Blob(_) => {
                        let id = described.id(row);
                        let (object, field) = (&described.name, &field.name);
                        let _ = write!(
                            out,
                            "\"/services/data/v{version}/sobjects/{object}/{id}/{field}\""
                        );
                    }
                    other => write_cell(out, other),
                }
            }
            Node::Parent { name, hop, columns } => {
                let _ = write!(out, "\"{name}\":");
                match follow(store, object, row, hop) {
                    None => out.extend_from_slice(b"null"),
                    Some(parent) => render_parent(out, store, parent, hop, columns, version),
                }
            }
        }
    }
    out.push(b'}');
}

fn open(out: &mut Vec<u8>, store: &Store, object: usize, row: u32, version: &str) {
    let described = store.object(object);
    let (name, id) = (&described.name, described.id(row));
    let _ = write!(
        out,
        "{{\"attributes\":{{\"type\":\"{name}\",\"url\":\"/services/data/v{version}/sobjects/{name}/{id}\"}}"
    );
}

fn render_parent(
    out: &mut Vec<u8>,
    store: &Store,
    (object, row): (usize, u32),
    hop: &Hop,
    columns: &[ParentColumn],
    version: &str,
) {
    if hop.target.is_some() {
        let nodes: Vec<Node> = columns
            .iter()
            .filter_map(|column| match column {
                ParentColumn::Known(node) => Some(node.clone()),
                ParentColumn::Named(_) => None,
            })
            .collect();
        return render(out, store, object, row, &nodes, version);
    }
    open(out, store, object, row, version);
    for column in columns {
        if let ParentColumn::Named(name) = column {
            let _ = write!(out, ",\"{name}\":");
            write_cell(out, &named(store, (object, row), name));
        }
    }
    out.push(b'}');
}

/// A value in wire form.
pub fn write_cell(out: &mut Vec<u8>, cell: &Cell) {
    match cell {
        Cell::Null | Cell::Blob(_) => out.extend_from_slice(b"null"),
        Cell::Bool(true) => out.extend_from_slice(b"true"),
        Cell::Bool(false) => out.extend_from_slice(b"false"),
        Cell::Number(text) | Cell::Object(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Text(text) => {
            if serde_json::to_writer(&mut *out, text).is_err() {
                out.extend_from_slice(b"null");
            }
        }
    }
}

/// True for a field whose groups ignore case.
pub fn folds(field: &Field) -> bool {
    matches!(field.kind, Kind::Text | Kind::MultiPicklist) && !field.case_sensitive
}
