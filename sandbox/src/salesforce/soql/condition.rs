//! Conditions of WHERE: each operator checked against the field's description, literals against its type,
//! semi-joins against their limits (section 4.3).

use chrono::NaiveDate;

use super::ast::{Expr, Item, Op, Operand, Query, Right, Value};
use super::bind::{Binder, bind_at};
use super::plan::{FieldPath, Filter, Output};
use super::value::{self, Bound};
use crate::salesforce::errors::ApiError;
use crate::salesforce::store::{Field, Kind};

impl Binder<'_> {
    /// Binds a condition; `joins` counts the semi-joins of the statement.
    pub fn filter(
        &self,
        expr: &Expr,
        depth: usize,
        under_or: bool,
        joins: &mut usize,
    ) -> Result<Filter, ApiError> {
        match expr {
            Expr::And(arms) => arms
                .iter()
                .map(|arm| self.filter(arm, depth, under_or, joins))
                .collect::<Result<_, _>>()
                .map(Filter::And),
            Expr::Or(arms) => arms
                .iter()
                .map(|arm| self.filter(arm, depth, true, joins))
                .collect::<Result<_, _>>()
                .map(Filter::Or),
            Expr::Not(inner) => self
                .filter(inner, depth, under_or, joins)
                .map(|inner| Filter::Not(Box::new(inner))),
            Expr::Test { left, op, right } => {
                let Operand::Field(path) = left else {
                    return Err(ApiError::malformed(
                        "aggregate functions are not allowed in WHERE",
                    ));
                };
                let path = self.path(path)?;
                let today = self.store.today();
                check_operator(&path.field, &path.name, *op)?;
                match right {
                    Right::One(literal) => compare(path, *op, &literal.value, today),
                    Right::List(list) if matches!(op, Op::Includes | Op::Excludes) => {
                        includes(path, *op, list.iter().map(|l| &l.value), today)
                    }
                    Right::List(list) => {
                        let values = list
                            .iter()
                            .map(|literal| value::bind(&literal.value, *op, &path.field, today))
                            .collect::<Result<_, _>>()?;
                        Ok(Filter::In {
                            path,
                            negated: *op == Op::NotIn,
                            values,
                        })
                    }
                    Right::Query(inner) => {
                        *joins += 1;
                        self.semi_join(path, *op, inner, (depth, under_or, *joins))
                    }
                }
            }
        }
    }

    fn semi_join(
        &self,
        path: FieldPath,
        op: Op,
        inner: &Query,
        (depth, under_or, joins): (usize, bool, usize),
    ) -> Result<Filter, ApiError> {
        if joins > 2 {
            return Err(ApiError::bad(
                "EXCEEDED_MAX_SEMIJOIN_SUBSELECTS",
                "maximum 2 semi-join sub-selects are allowed",
            ));
        }
        if depth > 0 || under_or {
            return Err(ApiError::malformed(
                "Semi join sub-selects are not allowed in nested sub-selects or with OR",
            ));
        }
        if path.field.kind != Kind::Id {
            return Err(ApiError::malformed(format!(
                "semi join sub-selects need an ID field, not '{}'",
                path.name
            )));
        }
        let plan = bind_at(inner, self.store, depth + 1)?;
        if plan.object == self.object {
            return Err(ApiError::malformed(
                "The inner and outer selects should not be on the same object type",
            ));
        }
        let binder = Binder {
            store: self.store,
            object: plan.object,
            alias: inner.alias.as_deref(),
        };
        let column = match (inner.select.as_slice(), &plan.output) {
            ([Item::Field { path, .. }], Output::Records(_)) => binder.path(path)?,
            _ => {
                return Err(ApiError::malformed(
                    "semi join sub-selects return exactly one field",
                ));
            }
        };
        if column.field.kind != Kind::Id || inner.limit.is_some() || !inner.order_by.is_empty() {
            return Err(ApiError::malformed(
                "semi join sub-selects return an ID field, without ORDER BY and LIMIT",
            ));
        }
        Ok(Filter::SemiJoin {
            path,
            negated: op == Op::NotIn,
            plan: Box::new(plan),
            column,
        })
    }
}

fn compare(path: FieldPath, op: Op, literal: &Value, today: NaiveDate) -> Result<Filter, ApiError> {
    let value = value::bind(literal, op, &path.field, today)?;
    Ok(match (op, literal) {
        (Op::Like, Value::Text(text)) => Filter::Like {
            path,
            pattern: text.pattern.clone(),
        },
        _ => Filter::Compare { path, op, value },
    })
}

fn includes<'v>(
    path: FieldPath,
    op: Op,
    literals: impl Iterator<Item = &'v Value>,
    today: NaiveDate,
) -> Result<Filter, ApiError> {
    let sets = literals
        .map(
            |literal| match value::bind(literal, op, &path.field, today)? {
                Bound::Text(text) => Ok(text.split(';').map(str::to_owned).collect()),
                _ => Err(ApiError::malformed("INCLUDES takes strings")),
            },
        )
        .collect::<Result<_, _>>()?;
    Ok(Filter::Includes {
        path,
        negated: op == Op::Excludes,
        sets,
    })
}

fn check_operator(field: &Field, name: &str, op: Op) -> Result<(), ApiError> {
    if !field.filterable {
        return Err(ApiError::bad(
            "INVALID_FIELD",
            format!("field '{name}' can not be filtered in a query call"),
        ));
    }
    let fits = match op {
        Op::Eq | Op::Ne | Op::In | Op::NotIn => field.kind != Kind::Opaque,
        Op::Lt | Op::Le | Op::Gt | Op::Ge => {
            !matches!(field.kind, Kind::Bool | Kind::MultiPicklist | Kind::Opaque)
        }
        Op::Like => field.kind == Kind::Text,
        Op::Includes | Op::Excludes => field.kind == Kind::MultiPicklist,
    };
    if fits {
        return Ok(());
    }
    Err(ApiError::bad(
        "INVALID_QUERY_FILTER_OPERATOR",
        format!(
            "invalid operator on field '{name}' of type {}",
            field.remote_type
        ),
    ))
}
