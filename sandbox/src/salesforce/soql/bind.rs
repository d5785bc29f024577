//! Looks up the names of a parsed statement: objects, fields, parents, groups and order keys.
//! Unknown and duplicate names, sorts and groups a field does not allow are refused here.

use std::collections::HashSet;
use std::sync::Arc;

use super::ast::{Call, Expr, Function, Item, Op, Operand, Path, Query, Right, Value};
use super::plan::{
    Aggregate, End, FieldPath, GroupFilter, GroupItem, Hop, Node, Output, ParentColumn, Plan,
    SortBy, SortKey,
};
use super::value::{self, Bound};
use crate::salesforce::errors::ApiError;
use crate::salesforce::store::{Kind, SObject, Store};

/// Deepest chain of parents (section 4.6).
const MAX_PARENTS: usize = 5;
/// Most rows OFFSET may skip (trap 26).
const MAX_OFFSET: u64 = 2_000;

/// Binds a statement.
///
/// # Errors
/// `INVALID_TYPE`, `INVALID_FIELD`, `MALFORMED_QUERY`, `INVALID_QUERY_FILTER_OPERATOR`,
/// `NUMBER_OUTSIDE_VALID_RANGE`, `INVALID_TYPE_FOR_OPERATION`, all with status 400.
pub fn bind(query: &Query, store: &Store) -> Result<Plan, ApiError> {
    bind_at(query, store, 0)
}

/// Binds a statement that stands `depth` semi-joins deep.
pub fn bind_at(query: &Query, store: &Store, depth: usize) -> Result<Plan, ApiError> {
    let object = store.place(&query.from.text).ok_or_else(|| {
        ApiError::bad(
            "INVALID_TYPE",
            format!(
                "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name.",
                query.from.text
            ),
        )
    })?;
    let binder = Binder {
        store,
        object,
        alias: query.alias.as_deref(),
    };
    let described = store.object(object);
    if !described.queryable {
        return Err(ApiError::bad(
            "INVALID_TYPE_FOR_OPERATION",
            format!("entity type {} does not support query", described.name),
        ));
    }
    if described.needs_filter && query.filter.is_none() {
        return Err(ApiError::malformed(format!(
            "Implementation restriction: {} requires a filter by a single Id",
            described.name
        )));
    }
    let mut joins = 0;
    let filter = match &query.filter {
        Some(expr) => Some(binder.filter(expr, depth, false, &mut joins)?),
        None => None,
    };
    let (output, long_texts) = binder.output(query)?;
    let order = query
        .order_by
        .iter()
        .map(|order| {
            Ok(SortKey {
                by: binder.sort_by(&order.key, &output)?,
                descending: order.descending,
                nulls_last: order.nulls_last,
            })
        })
        .collect::<Result<Vec<_>, ApiError>>()?;
    let offset = query.offset.unwrap_or(0);
    if offset > MAX_OFFSET {
        return Err(ApiError::bad(
            "NUMBER_OUTSIDE_VALID_RANGE",
            format!("Maximum SOQL offset allowed is {MAX_OFFSET}"),
        ));
    }
    Ok(Plan {
        object,
        output,
        filter,
        order,
        limit: query.limit,
        offset,
        long_texts,
    })
}

/// A statement's object and the names its paths may start with.
pub struct Binder<'a> {
    pub store: &'a Store,
    /// Place of the object in the store.
    pub object: usize,
    pub alias: Option<&'a str>,
}

fn unknown_field(name: &str, object: &SObject) -> ApiError {
    ApiError::bad(
        "INVALID_FIELD",
        format!(
            "No such column '{name}' on entity '{}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name.",
            object.name
        ),
    )
}

impl Binder<'_> {
    fn own(&self) -> &SObject {
        self.store.object(self.object)
    }

    /// The parts of a path without the object's alias or name in front.
    fn parts<'p>(&self, path: &'p Path) -> &'p [String] {
        let first = &path.parts[0];
        let is_alias = self.alias.is_some_and(|a| a.eq_ignore_ascii_case(first));
        let is_object = path.parts.len() > 1
            && self.own().name.eq_ignore_ascii_case(first)
            && self.own().relationship(first).is_none();
        match path.parts.len() > 1 && (is_alias || is_object) {
            true => &path.parts[1..],
            false => &path.parts,
        }
    }

    /// Looks up a field path.
    ///
    /// # Errors
    /// `INVALID_FIELD` for an unknown step.
    pub fn path(&self, path: &Path) -> Result<FieldPath, ApiError> {
        let parts = self.parts(path);
        let mut place = self.object;
        let mut hops = Vec::new();
        let mut names = Vec::new();
        for (step, part) in parts.iter().enumerate() {
            let object = self.store.object(place);
            if step + 1 == parts.len() {
                let end = object
                    .field(part)
                    .ok_or_else(|| unknown_field(part, object))?;
                let field = object.fields[end].clone();
                names.push(field.name.clone());
                return Ok(FieldPath {
                    hops,
                    end: End::Place(end),
                    field: Arc::new(field),
                    name: names.join("."),
                });
            }
            let lookup = object.relationship(part).ok_or_else(|| {
                ApiError::bad(
                    "INVALID_FIELD",
                    format!(
                        "Didn't understand relationship '{part}' in field path. If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship name."
                    ),
                )
            })?;
            if hops.len() == MAX_PARENTS {
                return Err(ApiError::bad(
                    "INVALID_FIELD",
                    format!("maximum relationship depth of {MAX_PARENTS} exceeded"),
                ));
            }
            let field = &object.fields[lookup];
            names.push(field.relationship.clone().unwrap_or_default());
            let target = match field.reference_to.as_slice() {
                [one] => Some(self.store.place(one).ok_or_else(|| {
                    ApiError::bad("INVALID_FIELD", format!("cannot reach parent '{part}'"))
                })?),
                _ => None,
            };
            hops.push(Hop { lookup, target });
            match target {
                Some(target) => place = target,
                None => return self.polymorphic(hops, names, &parts[step + 1..]),
            }
        }
        Err(ApiError::malformed("empty field path"))
    }

    /// Below a lookup to several objects only what all of them have can be named (trap 22).
    fn polymorphic(
        &self,
        hops: Vec<Hop>,
        mut names: Vec<String>,
        rest: &[String],
    ) -> Result<FieldPath, ApiError> {
        let known = ["Id", "Name", "Type"];
        let found = match rest {
            [one] => known.iter().find(|name| name.eq_ignore_ascii_case(one)),
            _ => None,
        };
        let name = found.ok_or_else(|| {
            ApiError::bad(
                "INVALID_FIELD",
                format!("No such column '{}' on entity 'Name'.", rest.join(".")),
            )
        })?;
        names.push((*name).to_owned());
        let user = self.store.by_name("User");
        let model = user.and_then(|user| {
            let like = if *name == "Id" { "Id" } else { "Name" };
            user.field(like).map(|place| user.fields[place].clone())
        });
        let mut field = model.ok_or_else(|| ApiError::bad("INVALID_FIELD", "no Name entity"))?;
        field.name = (*name).to_owned();
        Ok(FieldPath {
            hops,
            end: End::Named((*name).to_owned()),
            field: Arc::new(field),
            name: names.join("."),
        })
    }

    fn output(&self, query: &Query) -> Result<(Output, bool), ApiError> {
        let aggregated = query
            .select
            .iter()
            .any(|item| matches!(item, Item::Aggregate { .. }));
        let bare_count = query
            .select
            .iter()
            .any(|item| matches!(item, Item::Aggregate { call, .. } if call.argument.is_none()));
        if bare_count && query.group_by.is_empty() {
            if query.select.len() > 1 {
                return Err(ApiError::malformed(
                    "COUNT() must be the only element in the SELECT list",
                ));
            }
            if !query.order_by.is_empty() {
                return Err(ApiError::malformed("COUNT() cannot be used with ORDER BY"));
            }
            return Ok((Output::Count, false));
        }
        if aggregated || !query.group_by.is_empty() {
            return Ok((self.groups(query)?, false));
        }
        let mut seen = HashSet::new();
        let mut nodes: Vec<Node> = Vec::new();
        let mut long_texts = 0;
        for item in &query.select {
            let Item::Field { path, alias } = item else {
                continue;
            };
            if let Some(alias) = alias {
                return Err(ApiError::malformed(format!("unexpected token: '{alias}'")));
            }
            let bound = self.path(path)?;
            if !seen.insert(bound.name.clone()) {
                return Err(ApiError::bad(
                    "INVALID_FIELD",
                    format!("duplicate field selected: {}", bound.name),
                ));
            }
            long_texts += usize::from(bound.field.is_long_text());
            add_column(&mut nodes, &bound);
        }
        Ok((Output::Records(nodes), long_texts > 1))
    }

    fn groups(&self, query: &Query) -> Result<Output, ApiError> {
        if query.limit.is_some() && query.group_by.is_empty() {
            return Err(ApiError::malformed(
                "Non-grouped query that uses overall aggregate functions cannot also use LIMIT",
            ));
        }
        let mut group_by = Vec::new();
        for path in &query.group_by {
            let bound = self.path(path)?;
            if !bound.field.groupable {
                return Err(ApiError::malformed(format!(
                    "field '{}' can not be grouped in a query call",
                    bound.name
                )));
            }
            group_by.push(bound);
        }
        let mut items = Vec::new();
        let mut unnamed = 0;
        let mut seen = HashSet::new();
        for item in &query.select {
            let item = match item {
                Item::Field { path, alias } => {
                    let bound = self.path(path)?;
                    let place = group_by
                        .iter()
                        .position(|key| key.name == bound.name)
                        .ok_or_else(|| {
                            ApiError::malformed(format!(
                                "Field must be grouped or aggregated: {}",
                                bound.name
                            ))
                        })?;
                    let name = alias.clone().unwrap_or_else(|| bound.field.name.clone());
                    GroupItem::Key { place, name }
                }
                Item::Aggregate { call, alias } => {
                    let name = alias.clone().unwrap_or_else(|| {
                        unnamed += 1;
                        format!("expr{}", unnamed - 1)
                    });
                    GroupItem::Aggregate {
                        aggregate: self.aggregate(call)?,
                        name,
                    }
                }
            };
            let (GroupItem::Key { name, .. } | GroupItem::Aggregate { name, .. }) = &item;
            if !seen.insert(name.to_lowercase()) {
                return Err(ApiError::malformed(format!("duplicate alias: {name}")));
            }
            items.push(item);
        }
        let having = match &query.having {
            Some(expr) => Some(self.having(expr, &group_by)?),
            None => None,
        };
        Ok(Output::Groups {
            items,
            group_by,
            having,
        })
    }

    fn aggregate(&self, call: &Call) -> Result<Aggregate, ApiError> {
        let path = match &call.argument {
            Some(path) => Some(self.path(path)?),
            None => None,
        };
        if let Some(path) = &path {
            let numeric = path.field.kind == Kind::Number;
            let fits = match call.function {
                Function::Sum | Function::Avg => numeric && path.field.aggregatable,
                _ => path.field.aggregatable,
            };
            if !fits {
                return Err(ApiError::malformed(format!(
                    "field {} does not support aggregate operator {:?}",
                    path.name, call.function
                )));
            }
        }
        Ok(Aggregate {
            function: call.function,
            path,
        })
    }

    fn having(&self, expr: &Expr, group_by: &[FieldPath]) -> Result<GroupFilter, ApiError> {
        let all = |arms: &[Expr]| -> Result<Vec<_>, ApiError> {
            arms.iter().map(|arm| self.having(arm, group_by)).collect()
        };
        Ok(match expr {
            Expr::And(arms) => GroupFilter::And(all(arms)?),
            Expr::Or(arms) => GroupFilter::Or(all(arms)?),
            Expr::Not(inner) => GroupFilter::Not(Box::new(self.having(inner, group_by)?)),
            Expr::Test { left, op, right } => {
                let Right::One(literal) = right else {
                    return Err(ApiError::malformed("HAVING compares with a single value"));
                };
                if *op == Op::Like {
                    return Err(ApiError::malformed("HAVING does not support LIKE"));
                }
                match left {
                    Operand::Aggregate(call) => {
                        let aggregate = self.aggregate(call)?;
                        let counts =
                            matches!(call.function, Function::Count | Function::CountDistinct);
                        let value = match (&aggregate.path, &literal.value) {
                            (Some(path), value) if !counts => {
                                value::bind(value, *op, &path.field, self.store.today())?
                            }
                            (_, Value::Number(text)) => value::Number::parse(text)
                                .map(Bound::Number)
                                .ok_or_else(|| ApiError::malformed("bad number in HAVING"))?,
                            _ => return Err(ApiError::malformed("a count compares with a number")),
                        };
                        GroupFilter::Compare {
                            aggregate,
                            op: *op,
                            value,
                        }
                    }
                    Operand::Field(path) => {
                        let bound = self.path(path)?;
                        let place = group_by.iter().position(|key| key.name == bound.name);
                        let place = place.ok_or_else(|| {
                            ApiError::malformed(format!(
                                "Field must be grouped or aggregated: {}",
                                bound.name
                            ))
                        })?;
                        GroupFilter::Key {
                            place,
                            op: *op,
                            value: value::bind(
                                &literal.value,
                                *op,
                                &bound.field,
                                self.store.today(),
                            )?,
                        }
                    }
                }
            }
        })
    }

    fn sort_by(&self, key: &Operand, output: &Output) -> Result<SortBy, ApiError> {
        match key {
            Operand::Aggregate(call) => match output {
                Output::Groups { .. } => self.aggregate(call).map(SortBy::Aggregate),
                _ => Err(ApiError::malformed(
                    "Ordered field must be grouped or aggregated",
                )),
            },
            Operand::Field(path) => {
                let bound = self.path(path)?;
                if !bound.field.sortable {
                    return Err(ApiError::bad(
                        "INVALID_FIELD",
                        format!("field '{}' can not be sorted in a query call", bound.name),
                    ));
                }
                if let Output::Groups { group_by, .. } = output
                    && !group_by.iter().any(|key| key.name == bound.name)
                {
                    return Err(ApiError::malformed(format!(
                        "Ordered field must be grouped or aggregated: {}",
                        bound.name
                    )));
                }
                Ok(SortBy::Field(bound))
            }
        }
    }
}

/// Adds a column at its place in the tree of parents.
fn add_column(nodes: &mut Vec<Node>, path: &FieldPath) {
    let names: Vec<&str> = path.name.split('.').collect();
    let Some((hop, rest)) = path.hops.split_first() else {
        if let End::Place(place) = path.end {
            nodes.push(Node::Field(place));
        }
        return;
    };
    let found = nodes
        .iter()
        .position(|node| matches!(node, Node::Parent { hop: h, .. } if h == hop));
    let at = found.unwrap_or_else(|| {
        nodes.push(Node::Parent {
            name: names[0].to_owned(),
            hop: hop.clone(),
            columns: Vec::new(),
        });
        nodes.len() - 1
    });
    let Node::Parent { columns, .. } = &mut nodes[at] else {
        return;
    };
    if let (End::Named(name), true) = (&path.end, rest.is_empty()) {
        columns.push(ParentColumn::Named(name.clone()));
        return;
    }
    let below = FieldPath {
        hops: rest.to_vec(),
        end: path.end.clone(),
        field: Arc::clone(&path.field),
        name: names[1..].join("."),
    };
    let mut known: Vec<Node> = columns
        .iter()
        .filter_map(|column| match column {
            ParentColumn::Known(node) => Some(node.clone()),
            ParentColumn::Named(_) => None,
        })
        .collect();
    add_column(&mut known, &below);
    *columns = known.into_iter().map(ParentColumn::Known).collect();
}
