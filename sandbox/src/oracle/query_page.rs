//! `QueryPage` of v2.0 (sections 4.1 and 5 of the protocol page): template, searchspec, sort, paging.

use std::cmp::Ordering;
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use chrono_tz::Tz;

use super::envelope::Fault;
use super::objects::{Kind, Object, system};
use super::picklists;
use super::searchspec::{self, Op, Spec, Test};
use super::session::User;
use super::settings::Settings;
use super::store::Table;
use crate::xml::{self, Node};

/// Records on a page unless asked otherwise, and at most.
const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 100;
/// Results kept for the pages behind the first.
const KEPT: usize = 4;
/// Rows found on the way by id before a result is kept instead.
const SHORT: usize = 1_000;

/// Results of queries whose next pages may be asked for.
#[derive(Default)]
pub struct Results {
    kept: Mutex<VecDeque<(String, Arc<Vec<u64>>)>>,
    last: Mutex<Option<String>>,
}

impl Results {
    /// The searchspec run last; empty without one.
    pub fn last(&self) -> Option<String> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Forgets all results.
    pub fn reset(&self) {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// What a request asks for.
struct Query {
    spec: Option<Spec>,
    test: Option<Test>,
    /// Fields wanted, in the order of the object's definition.
    columns: Vec<usize>,
    /// Places to sort by, true for descending.
    sort: Vec<(usize, bool)>,
    size: usize,
    start: usize,
    counted: bool,
    display: bool,
}

/// Who asks, and under which rules.
pub struct Asker<'a> {
    pub user: User,
    pub settings: &'a Settings,
    pub zone: Tz,
    pub page_cap: Option<usize>,
}

/// Answers a request; the output element is returned. `object` is that of the table, under the tags the
/// request's namespace stands for.
///
/// # Errors
/// A fault of either shape.
pub fn answer(
    table: &Table,
    object: &Object,
    results: &Results,
    input: &Node,
    asker: &Asker<'_>,
) -> Result<String, Fault> {
    let list_name = format!("ListOf{}", object.name);
    let service = object.service();
    let query = read(object, input, asker).map_err(|fault| {
        fault.inside(
            &format!("{service}:{list_name}"),
            &format!("{}QueryPage", object.name),
        )
    })?;
    let last = input
        .child(&list_name)
        .and_then(|list| list.child(object.name))
        .and_then(|record| record.attribute("searchspec"));
    *results.last.lock().unwrap_or_else(PoisonError::into_inner) =
        Some(last.unwrap_or_default().to_owned());
    if asker
        .settings
        .row_ceiling
        .is_some_and(|most| query.start + query.size > most)
    {
        return Err(Fault::one(
            "SBL-DAT-00500",
            "There were more rows than could be returned. Please refine your query to bring back fewer rows",
        ));
    }
    let (rows, is_last, count) = page(table, results, &query, asker);
    let mut out = String::with_capacity(rows.len() * query.columns.len() * 40 + 400);
    out.push_str(&format!(
        "<ns:{0}QueryPage_Output xmlns:ns=\"{service}\"><ListOf{0} xmlns=\"urn:/crmondemand/xml/{0}/Data\"",
        object.name
    ));
    if query.counted {
        out.push_str(&format!(" recordcount=\"{count}\""));
    }
    out.push_str(&format!(" lastpage=\"{is_last}\">"));
    for row in rows {
        record(&mut out, table, object, row, &query);
    }
    out.push_str(&format!(
        "</ListOf{0}></ns:{0}QueryPage_Output>",
        object.name
    ));
    Ok(out)
}

fn record(out: &mut String, table: &Table, object: &Object, row: u64, query: &Query) {
    let name = object.name;
    out.push('<');
    out.push_str(name);
    out.push('>');
    for place in &query.columns {
        let field = &object.fields[*place];
        match table.cell(row, *place) {
            Some(value) if query.display && matches!(field.kind, Kind::Pick | Kind::MultiPick) => {
                let tag = object.v1_tag(&table.object.fields[*place].name);
                xml::element(out, &field.name, &picklists::display(name, &tag, &value));
            }
            Some(value) => xml::element(out, &field.name, &value),
            None if field.kind.is_text() => xml::element(out, &field.name, ""),
            None => {}
        }
    }
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

fn read(object: &Object, input: &Node, asker: &Asker<'_>) -> Result<Query, Fault> {
    let service = input.namespace.as_str();
    let data = format!("urn:/crmondemand/xml/{}/Query", object.name);
    let here = |node: &Node| node.namespace == data || node.namespace == service;
    let list_name = format!("ListOf{}", object.name);
    let mut list = None;
    for argument in &input.children {
        match argument.name.as_str() {
            name if name == list_name && here(argument) => list = Some(argument),
            "BookName" | "BookId" | "LOVLanguageMode" | "IncludeSubBooks" | "ViewMode"
                if argument.namespace == service => {}
            other => return Err(Fault::unknown_element(other, object.name)),
        }
    }
    let missing = || {
        Fault::one(
            "SBL-EAI-13002",
            format!("The argument {list_name} is missing"),
        )
    };
    let list = list.ok_or_else(missing)?;
    let record = list
        .children
        .iter()
        .find(|node| node.name == object.name && here(node))
        .ok_or_else(missing)?;
    let number = |name: &str, usual: usize| match list.attribute(name) {
        None => Ok(usual),
        Some(text) => text.trim().parse::<usize>().map_err(|_| {
            Fault::one(
                "SBL-EAI-13011",
                format!("The value '{text}' does not fit the attribute '{name}'"),
            )
        }),
    };
    let size = number("pagesize", DEFAULT_PAGE)?;
    if size == 0 || size > MAX_PAGE {
        return Err(Fault::one(
            "SBL-EAI-13011",
            format!("The page size must be between 1 and {MAX_PAGE}"),
        ));
    }
    let counted = list.attribute("recordcountneeded") == Some("true");
    if counted && object.name == "Activity" {
        return Err(Fault::one(
            "SBL-DAT-00407",
            "Method 'Count Records' of business component 'Action' is not allowed for SQL objects in the 'Forward only mode'",
        ));
    }
    let mut parts = Vec::new();
    if let Some(text) = record
        .attribute("searchspec")
        .filter(|text| !text.trim().is_empty())
    {
        let spec = searchspec::parse(text, asker.settings.strict_searchspec);
        parts.push(spec.map_err(|message| Fault::one("SBL-EAI-13010", message))?);
    }
    let mut columns = Vec::new();
    let mut sort = Vec::new();
    for element in &record.children {
        let place = object
            .place(&element.name)
            .filter(|place| !object.fields[*place].hidden && here(element));
        let place = place.ok_or_else(|| Fault::unknown_element(&element.name, object.name))?;
        columns.push(place);
        let example = element.text.trim();
        if !example.is_empty() {
            let spec = searchspec::by_example(&element.name, example);
            parts.push(spec.map_err(|message| Fault::one("SBL-EAI-13010", message))?);
        }
        if let Some(order) = element.attribute("sortorder") {
            if matches!(object.fields[place].kind, Kind::Long(_)) {
                return Err(Fault::one(
                    "SBL-DAT-00498",
                    format!("The field '{}' cannot be sorted by", element.name),
                ));
            }
            let rank: u32 = element
                .attribute("sortsequence")
                .and_then(|text| text.parse().ok())
                .unwrap_or(1);
            sort.push((rank, place, order.eq_ignore_ascii_case("DESC")));
        }
    }
    columns.sort_unstable();
    columns.dedup();
    sort.sort_unstable();
    let spec = (!parts.is_empty()).then_some(Spec::All(parts));
    let test = spec
        .as_ref()
        .map(|spec| searchspec::test(spec, object, asker.zone, asker.settings.wildcards_in_equals))
        .transpose()?;
    Ok(Query {
        spec,
        test,
        columns,
        sort: sort
            .into_iter()
            .map(|(_, place, descending)| (place, descending))
            .collect(),
        size: size.min(asker.page_cap.unwrap_or(size)),
        start: number("startrownum", 0)?,
        counted,
        display: input.text_of("LOVLanguageMode") == Some("LDC"),
    })
}

/// Rows of the page, whether it is the last, and how many there are (when counted).
fn page(
    table: &Table,
    results: &Results,
    query: &Query,
    asker: &Asker<'_>,
) -> (Vec<u64>, bool, usize) {
    let by_id = query.sort == [(system::ID, false)];
    let end = query.start + query.size;
    if by_id && !query.counted && end <= SHORT {
        let mut rows: Vec<u64> = found(table, query, asker.zone).take(end + 1).collect();
        let is_last = rows.len() <= end;
        rows.truncate(end);
        return (rows.split_off(query.start.min(rows.len())), is_last, 0);
    }
    let key = format!(
        "{} {} {} {:?} {:?}",
        table.object.name, table.version, asker.user.order, query.spec, query.sort
    );
    let mut kept = results.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let known = kept
        .iter()
        .find(|(known, _)| *known == key)
        .map(|(_, rows)| Arc::clone(rows));
    let rows = known.unwrap_or_else(|| {
        let rows = Arc::new(sorted(table, query, asker));
        kept.push_back((key, Arc::clone(&rows)));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        rows
    });
    let from = query.start.min(rows.len());
    let to = end.min(rows.len());
    (rows[from..to].to_vec(), to == rows.len(), rows.len())
}

/// The rows that fit, by id; the condition's own bounds on the id save the way to them.
fn found<'a>(table: &'a Table, query: &'a Query, zone: Tz) -> impl Iterator<Item = u64> + 'a {
    let test = query.test.as_ref();
    candidates(table, test).filter(move |row| {
        test.is_none_or(|test| searchspec::matches(test, zone, &|place| table.cell(*row, place)))
    })
}

fn candidates<'a>(table: &'a Table, test: Option<&Test>) -> Box<dyn Iterator<Item = u64> + 'a> {
    if let Some(named) = test.and_then(|test| named(table, test)) {
        return Box::new(named.into_iter().filter(|number| table.has(*number)));
    }
    let mut from = test.map_or(0, |test| lower_bound(table, test));
    Box::new(std::iter::from_fn(move || {
        let row = table.at_or_behind(from)?;
        from = row + 1;
        Some(row)
    }))
}

/// The only rows that can fit, where the condition lists their ids.
fn named(table: &Table, test: &Test) -> Option<BTreeSet<u64>> {
    match test {
        Test::One {
            place,
            op: Op::Equal,
            pattern,
            wild: false,
            ..
        } if *place == system::ID => Some(BTreeSet::from([table.number(pattern)?])),
        Test::One { .. } => None,
        Test::Any(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(|part| named(table, part)).collect();
            Some(parts?.into_iter().flatten().collect())
        }
        Test::All(parts) => parts.iter().find_map(|part| named(table, part)),
    }
}

fn lower_bound(table: &Table, test: &Test) -> u64 {
    match test {
        Test::One {
            place,
            op: Op::Greater | Op::AtLeast | Op::Equal,
            pattern,
            wild: false,
            ..
        } if *place == system::ID => table.number(pattern).unwrap_or(0),
        Test::All(parts) => parts
            .iter()
            .map(|part| lower_bound(table, part))
            .max()
            .unwrap_or(0),
        Test::Any(parts) => parts
            .iter()
            .map(|part| lower_bound(table, part))
            .min()
            .unwrap_or(0),
        Test::One { .. } => 0,
    }
}

/// All rows that fit, in order. Without a sort the order holds within a session only.
fn sorted(table: &Table, query: &Query, asker: &Asker<'_>) -> Vec<u64> {
    let mut rows: Vec<u64> = found(table, query, asker.zone).collect();
    match query.sort.as_slice() {
        [] => {
            let turn = usize::try_from(asker.user.order).unwrap_or(0) * 7;
            let middle = turn % rows.len().max(1);
            rows.rotate_left(middle);
        }
        [(system::ID, false)] => {}
        [(system::ID, true)] => rows.reverse(),
        keys => {
            let value = |row: u64, place: usize| {
                let text = table.cell(row, place).filter(|text| !text.is_empty())?;
                searchspec::literal(table.object.fields[place].kind, &text, asker.zone)
            };
            let mut decorated: Vec<_> = rows
                .into_iter()
                .map(|row| {
                    (
                        keys.iter()
                            .map(|(place, _)| value(row, *place))
                            .collect::<Vec<_>>(),
                        row,
                    )
                })
                .collect();
            decorated.sort_by(|(left, _), (right, _)| {
                for ((a, b), (_, descending)) in left.iter().zip(right).zip(keys) {
                    let order = match (a, b) {
                        (None, None) => Ordering::Equal,
                        (None, _) => Ordering::Greater,
                        (_, None) => Ordering::Less,
                        (Some(a), Some(b)) => searchspec::compare(a, b).unwrap_or(Ordering::Equal),
                    };
                    if order != Ordering::Equal {
                        return if *descending { order.reverse() } else { order };
                    }
                }
                Ordering::Equal
            });
            rows = decorated.into_iter().map(|(_, row)| row).collect();
        }
    }
    rows
}
