//! FetchXML: read, bound to tables, and asked of the same rows with the same semantics as `$filter`.
//! Section 13.3 of the protocol page.

use uuid::Uuid;

use super::errors::Refusal;
use super::filter::{Day, Expr, Match, Operand, Operator, Path};
use super::model::{Attribute, Entity, Kind};
use super::query::{COUNT_CAP, PAGE, Query, Token};
use super::store::{RowRef, Store};
use super::value::{self, Val};
use crate::xml::{self, Node};

/// Rows that can be reached by page number alone; a cookie leads further.
const SIMPLE_PAGING: usize = 50_000;
/// Rows that an aggregate may go over.
const AGGREGATE_ROWS: usize = 50_000;
/// Deepest nesting of filters and links.
const MAX_DEPTH: usize = 16;

/// A query that was read.
pub struct Fetch {
    pub query: Query,
    pub links: Vec<Link>,
    pub page: usize,
    pub size: usize,
    /// `top`: there are no pages then.
    pub top: Option<usize>,
    pub counts: bool,
    /// Alias of a count over all rows, and the column whose nulls it leaves out.
    pub aggregate: Option<(String, Option<usize>)>,
    has_cookie: bool,
}

/// A table reached over a reference of the first, for its columns.
pub struct Link {
    pub alias: String,
    /// Columns followed, each with the table it leads to.
    pub steps: Vec<(usize, usize)>,
    pub columns: Vec<usize>,
}

/// A page of rows.
pub struct Found<'s> {
    pub rows: Vec<RowRef<'s>>,
    pub more: bool,
    pub cookie: Option<String>,
    /// All rows that fit, where they were to be counted; at most one more than the cap.
    pub total: Option<usize>,
}

struct Binder<'s> {
    store: &'s Store,
    root: usize,
    user: Uuid,
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "0x80040203", message)
}

fn no_column(entity: &Entity, name: &str) -> Refusal {
    Refusal::new(
        400,
        "0x80041103",
        format!(
            "'{}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'.",
            entity.name
        ),
    )
}

/// A column a query may name.
///
/// # Errors
/// `0x80041103` for an unknown one.
pub fn column(entity: &Entity, name: &str) -> Result<usize, Refusal> {
    entity
        .column(name)
        .filter(|at| entity.attributes[*at].is_property())
        .ok_or_else(|| no_column(entity, name))
}

/// Reads a query; `user` is the row of who asks.
///
/// # Errors
/// `0x80040203` for what is no FetchXML, `0x80041102` for an unknown table, `0x80041103` for an unknown
/// column.
pub fn parse(store: &Store, text: &str, user: Uuid) -> Result<Fetch, Refusal> {
    let root = xml::parse(text.as_bytes())
        .map_err(|error| Refusal::new(400, "0x80040201", format!("Invalid XML. {error}")))?;
    if root.name != "fetch" {
        return Err(bad(format!(
            "Invalid Child Node, valid node is fetch. NodeName = {}",
            root.name
        )));
    }
    let number = |name: &str| match root.attribute(name) {
        None => Ok(None),
        Some(text) => match text.trim().parse::<usize>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(bad(format!(
                "The value of {name} must be greater than zero."
            ))),
        },
    };
    let flag = |name: &str| matches!(root.attribute(name), Some("true" | "1"));
    if flag("distinct") {
        return Err(Refusal::unsupported(
            "distinct is not supported by this server.",
        ));
    }
    let [node] = root.children.as_slice() else {
        return Err(bad("The fetch element must hold one entity."));
    };
    let name = node.attribute("name").unwrap_or_default();
    let (table, entity) = store
        .schema
        .entity(name)
        .filter(|_| node.name == "entity")
        .ok_or_else(|| {
            Refusal::new(
                400,
                "0x80041102",
                format!("The entity with a name = '{name}' was not found in the MetadataCache."),
            )
        })?;
    let mut fetch = Fetch {
        query: Query::of(table, entity),
        links: Vec::new(),
        page: number("page")?.unwrap_or(1),
        size: number("count")?.unwrap_or(PAGE).min(PAGE),
        top: number("top")?,
        counts: flag("returntotalrecordcount"),
        aggregate: None,
        has_cookie: false,
    };
    if fetch.top.is_some_and(|top| top > PAGE) {
        return Err(bad("The top clause cannot be more than 5000."));
    }
    if fetch.top.is_some()
        && (root.attribute("page").is_some() || root.attribute("count").is_some())
    {
        return Err(bad(
            "The top attribute can't be specified with paging attribute page.",
        ));
    }
    if let Some(cookie) = root
        .attribute("paging-cookie")
        .filter(|text| !text.is_empty())
    {
        fetch.query.token = Some(Token {
            page: fetch.page,
            last: last_of(cookie, &entity.key)?,
        });
        fetch.has_cookie = true;
    }
    let binder = Binder {
        store,
        root: table,
        user,
    };
    fetch.query.labels = true;
    binder.entity(&mut fetch, node, &[], None, flag("aggregate"), 0)?;
    if fetch.query.columns.is_empty() {
        fetch.query.columns.extend(entity.column(&entity.key));
    }
    Ok(fetch)
}

/// The row a cookie ends with.
fn last_of(cookie: &str, key: &str) -> Result<Uuid, Refusal> {
    let broken = || Refusal::new(400, "0x80040203", "Malformed XML in the Paging Cookie");
    let root = xml::parse(cookie.as_bytes()).map_err(|_| broken())?;
    let last = root
        .child(key)
        .and_then(|node| node.attribute("last"))
        .ok_or_else(broken)?;
    Uuid::parse_str(last.trim_matches(['{', '}'])).map_err(|_| broken())
}

impl Binder<'_> {
    /// The table a way of references ends at.
    fn end(&self, steps: &[(usize, usize)]) -> &'static Entity {
        let table = steps.last().map_or(self.root, |(_, table)| *table);
        self.store.tables[table].entity
    }

    fn path(&self, steps: &[(usize, usize)], name: &str) -> Result<Path, Refusal> {
        let entity = self.end(steps);
        let at = column(entity, name)?;
        Ok(Path {
            steps: steps.to_vec(),
            column: at,
            attribute: &entity.attributes[at],
        })
    }

    fn entity(
        &self,
        fetch: &mut Fetch,
        node: &Node,
        steps: &[(usize, usize)],
        alias: Option<&str>,
        aggregate: bool,
        depth: usize,
    ) -> Result<(), Refusal> {
        if depth > MAX_DEPTH {
            return Err(bad("The query is nested too deeply."));
        }
        let entity = self.end(steps);
        let mut columns = Vec::new();
        for child in &node.children {
            match child.name.as_str() {
                "attribute" if aggregate => {
                    fetch.aggregate = Some(aggregated(entity, child)?);
                }
                "attribute" => {
                    let name = child.attribute("name").unwrap_or_default();
                    columns.push(column(entity, name)?);
                }
                "all-attributes" => {
                    columns.extend(
                        (0..entity.attributes.len())
                            .filter(|at| entity.attributes[*at].is_property()),
                    );
                }
                "order" => {
                    let name = child.attribute("attribute").unwrap_or_default();
                    let falling = matches!(child.attribute("descending"), Some("true" | "1"));
                    fetch.query.order.push((self.path(steps, name)?, falling));
                }
                "filter" => {
                    let filter = self.filter(child, steps, depth + 1)?;
                    narrow(&mut fetch.query, filter);
                }
                "link-entity" => self.link(fetch, child, steps, depth + 1)?,
                other => {
                    return Err(bad(format!(
                        "Invalid Child Node, valid nodes are filter, order, link-entity, attribute, all-attributes, no-attrs. NodeName = {other}"
                    )));
                }
            }
        }
        match alias {
            None => {
                columns.sort_unstable();
                columns.dedup();
                let key = entity.column(&entity.key);
                columns.extend(key.filter(|key| !columns.contains(key)));
                fetch.query.columns = columns;
            }
            Some(alias) => fetch.links.push(Link {
                alias: alias.to_owned(),
                steps: steps.to_vec(),
                columns,
            }),
        }
        Ok(())
    }

    /// A table reached by its key; the other way round there may be many rows, which this server cannot do.
    fn link(
        &self,
        fetch: &mut Fetch,
        node: &Node,
        steps: &[(usize, usize)],
        depth: usize,
    ) -> Result<(), Refusal> {
        let name = node.attribute("name").unwrap_or_default();
        let (table, target) = self.store.schema.entity(name).ok_or_else(|| {
            bad(format!(
                "The entity with a name = '{name}' was not found in the MetadataCache."
            ))
        })?;
        let from = node.attribute("from").unwrap_or_default();
        let to = self.path(steps, node.attribute("to").unwrap_or_default())?;
        if from != target.key || !to.attribute.kind.is_reference() {
            return Err(Refusal::unsupported(
                "This server follows links from a reference to the key of its row only.",
            ));
        }
        let mut further = steps.to_vec();
        further.push((to.column, table));
        let usual = format!("{}{}", target.name, fetch.links.len() + 1);
        let alias = node.attribute("alias").unwrap_or(&usual).to_owned();
        if node.attribute("link-type") != Some("outer") {
            let key = self.path(&further, &target.key)?;
            narrow(
                &mut fetch.query,
                Expr::Compare(Operator::Ne, key, Operand::Value(Val::Null)),
            );
        }
        self.entity(fetch, node, &further, Some(&alias), false, depth)
    }

    fn filter(&self, node: &Node, steps: &[(usize, usize)], depth: usize) -> Result<Expr, Refusal> {
        if depth > MAX_DEPTH {
            return Err(bad("The query is nested too deeply."));
        }
        let any = match node.attribute("type") {
            None | Some("and") => false,
            Some("or") => true,
            Some(other) => return Err(bad(format!("Invalid filter type '{other}'."))),
        };
        let mut out: Option<Expr> = None;
        for child in &node.children {
            let one = match child.name.as_str() {
                "condition" => self.condition(child, steps)?,
                "filter" => self.filter(child, steps, depth + 1)?,
                other => {
                    return Err(bad(format!(
                        "Invalid Child Node, valid nodes are condition, filter. NodeName = {other}"
                    )));
                }
            };
            out = Some(match (out, any) {
                (None, _) => one,
                (Some(left), true) => Expr::Or(Box::new(left), Box::new(one)),
                (Some(left), false) => Expr::And(Box::new(left), Box::new(one)),
            });
        }
        Ok(out.unwrap_or(Expr::Constant(true)))
    }

    fn condition(&self, node: &Node, steps: &[(usize, usize)]) -> Result<Expr, Refusal> {
        let name = node.attribute("attribute").unwrap_or_default();
        let path = self.path(steps, name)?;
        let word = node.attribute("operator").unwrap_or_default();
        let listed: Vec<&str> = node
            .children
            .iter()
            .filter(|child| child.name == "value")
            .map(|child| child.text.as_str())
            .collect();
        let single = node.attribute("value").or(listed.first().copied());
        let text = || {
            single.ok_or_else(|| {
                bad(format!(
                    "The condition on '{name}' with the operator '{word}' needs a value."
                ))
            })
        };
        let value = |text: &str| read(path.attribute, text);
        let compared = |operator: Operator| -> Result<Expr, Refusal> {
            let operand = Operand::Value(value(text()?)?);
            Ok(Expr::Compare(operator, path.clone(), operand))
        };
        let null = |operator| Expr::Compare(operator, path.clone(), Operand::Value(Val::Null));
        let matched = |kind, text: &str| Expr::Match(kind, path.clone(), text.to_owned());
        let not = |expr| Expr::Not(Box::new(expr));
        let me = || {
            let user = Operand::Value(Val::Guid(self.user));
            Expr::Compare(Operator::Eq, path.clone(), user)
        };
        let many = |texts: &[&str]| {
            texts
                .iter()
                .map(|t| value(t))
                .collect::<Result<Vec<_>, _>>()
        };
        let day = |kind| -> Result<Expr, Refusal> {
            let text = text()?;
            let day = text.get(..10).and_then(|head| head.parse().ok());
            let day = day.ok_or_else(|| unreadable(path.attribute, text))?;
            Ok(Expr::Day(kind, path.clone(), day))
        };
        let chosen = |negated| -> Result<Expr, Refusal> {
            let values = listed
                .iter()
                .map(|text| {
                    text.trim()
                        .parse()
                        .map_err(|_| unreadable(path.attribute, text))
                })
                .collect::<Result<Vec<i32>, _>>()?;
            Ok(Expr::Chosen(path.clone(), values, negated))
        };
        Ok(match word {
            "eq" => compared(Operator::Eq)?,
            "ne" | "neq" => compared(Operator::Ne)?,
            "gt" => compared(Operator::Gt)?,
            "ge" => compared(Operator::Ge)?,
            "lt" => compared(Operator::Lt)?,
            "le" => compared(Operator::Le)?,
            "null" => null(Operator::Eq),
            "not-null" => null(Operator::Ne),
            "like" => matched(Match::Like, text()?),
            "not-like" => not(matched(Match::Like, text()?)),
            "begins-with" => matched(Match::StartsWith, text()?),
            "not-begin-with" => not(matched(Match::StartsWith, text()?)),
            "ends-with" => matched(Match::EndsWith, text()?),
            "not-end-with" => not(matched(Match::EndsWith, text()?)),
            "in" => Expr::In(path.clone(), many(&listed)?, false),
            "not-in" => Expr::In(path.clone(), many(&listed)?, true),
            "between" | "not-between" => {
                let [low, high] = listed.as_slice() else {
                    return Err(bad("The between operator needs two values."));
                };
                let between = Expr::Between(path.clone(), value(low)?, value(high)?);
                match word {
                    "between" => between,
                    _ => not(between),
                }
            }
            "on" => day(Day::On)?,
            "on-or-after" => day(Day::OnOrAfter)?,
            "on-or-before" => day(Day::OnOrBefore)?,
            "not-on" => not(day(Day::On)?),
            "contain-values" => chosen(false)?,
            "not-contain-values" => chosen(true)?,
            "eq-userid" => me(),
            "ne-userid" => not(me()),
            other => {
                return Err(Refusal::new(
                    400,
                    "0x8004111e",
                    format!("The condition operator '{other}' is not supported."),
                ));
            }
        })
    }
}

/// `<attribute name='x' alias='n' aggregate='count'/>`; other aggregates are not known here.
fn aggregated(entity: &Entity, node: &Node) -> Result<(String, Option<usize>), Refusal> {
    let at = column(entity, node.attribute("name").unwrap_or_default())?;
    let alias = node
        .attribute("alias")
        .ok_or_else(|| bad("An aggregate needs an alias."))?;
    match node.attribute("aggregate") {
        Some("count") => Ok((alias.to_owned(), None)),
        Some("countcolumn") => Ok((alias.to_owned(), Some(at))),
        other => Err(Refusal::unsupported(format!(
            "The aggregate '{}' is not supported by this server.",
            other.unwrap_or_default()
        ))),
    }
}

fn narrow(query: &mut Query, filter: Expr) {
    query.filter = Some(match query.filter.take() {
        Some(before) => Expr::And(Box::new(before), Box::new(filter)),
        None => filter,
    });
}

fn unreadable(attribute: &Attribute, text: &str) -> Refusal {
    bad(format!(
        "The value '{text}' of the condition on '{}' has not the type of the attribute.",
        attribute.name
    ))
}

/// A value of a condition; a day stands for its midnight, a text may be empty.
fn read(attribute: &Attribute, text: &str) -> Result<Val, Refusal> {
    let bad = || unreadable(attribute, text);
    match attribute.kind {
        Kind::String | Kind::Memo | Kind::EntityName => Ok(Val::Text(text.to_owned())),
        _ if text.is_empty() => Err(bad()),
        kind if kind.is_reference() => {
            let id = Uuid::parse_str(text.trim()).map_err(|_| bad())?;
            Ok(Val::Guid(id))
        }
        kind if kind.is_choice() => text.trim().parse().map(Val::Int).map_err(|_| bad()),
        Kind::DateTime => {
            let whole = format!("{text}T00:00:00Z");
            let day = text.get(..10).unwrap_or(text);
            value::from_text(text, attribute)
                .or_else(|| value::from_text(&whole, attribute))
                .or_else(|| value::from_text(day, attribute))
                .ok_or_else(bad)
        }
        _ => value::from_text(text.trim(), attribute).ok_or_else(bad),
    }
}

impl Fetch {
    /// The page asked for.
    ///
    /// # Errors
    /// 400 for a page that only a cookie leads to.
    pub fn run<'s>(&self, store: &'s Store, page_cap: Option<usize>) -> Result<Found<'s>, Refusal> {
        let table = &store.tables[self.query.table];
        let size = self.top.unwrap_or(self.size).min(page_cap.unwrap_or(PAGE));
        let skipped = match self.has_cookie {
            true => 0,
            false => (self.page - 1) * size,
        };
        if skipped + size > SIMPLE_PAGING && self.page > 1 && !self.has_cookie {
            return Err(bad(
                "Paging cookie is required when trying to retrieve a set of records on any high pages.",
            ));
        }
        let (mut rows, more) = self.query.rows(store, skipped + size);
        let rows = rows.split_off(skipped.min(rows.len()));
        let cookie = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) if self.top.is_none() => {
                let braced = |row: &RowRef<'_>| table.id(*row).to_string().to_uppercase();
                Some(format!(
                    "<cookie page=\"{}\"><{key} last=\"{{{}}}\" first=\"{{{}}}\" /></cookie>",
                    self.page,
                    braced(last),
                    braced(first),
                    key = table.entity.key
                ))
            }
            _ => None,
        };
        Ok(Found {
            rows,
            more: more && self.top.is_none(),
            cookie,
            total: self.counts.then(|| self.query.count(store, COUNT_CAP)),
        })
    }

    /// The count an aggregate asks for.
    ///
    /// # Errors
    /// `0x8004e023` for more rows than an aggregate may go over.
    pub fn counted(&self, store: &Store, of: Option<usize>) -> Result<usize, Refusal> {
        let table = &store.tables[self.query.table];
        let mut seen = 0;
        let mut count = 0;
        for row in table.scan(None).filter(|row| self.query.fits(store, *row)) {
            seen += 1;
            if seen > AGGREGATE_ROWS {
                return Err(Refusal::new(
                    400,
                    "0x8004e023",
                    "The maximum record limit is exceeded. Reduce the number of records.",
                ));
            }
            count += usize::from(of.is_none_or(|at| table.get(row, at) != Val::Null));
        }
        Ok(count)
    }
}
