//! A planned filter meets the values of this execution.

use crate::condition::Operand;
use crate::connector::{Connector, Fit};
use crate::query::Filter;
use crate::rules::{LONGEST_LIST, with_value};
use crate::schema::FieldFacts;
use crate::value::Value;

/// A filter with its values, ready to be sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// No record can match: nothing need be sent at all.
    Never,
    /// Every record may match.
    Always {
        /// And every record does.
        exact: bool,
    },
    /// Send this.
    Filter {
        /// The remote filter.
        filter: Filter<Value>,
        /// It means the same as the planned one.
        exact: bool,
    },
}

impl Bound {
    /// It means the same as the planned filter, so a limit may be sent with it (S-7).
    pub fn is_exact(&self) -> bool {
        match self {
            Self::Never => true,
            Self::Always { exact } | Self::Filter { exact, .. } => *exact,
        }
    }
}

/// Puts `parameters` into a planned filter; an absent one is null, which no comparison matches.
pub fn bind(
    filter: &Filter<Operand>,
    parameters: &[Option<Value>],
    fields: &[FieldFacts],
    connector: &dyn Connector,
) -> Bound {
    match filter {
        Filter::And(parts) => all_of(
            parts
                .iter()
                .map(|part| bind(part, parameters, fields, connector)),
        ),
        Filter::Or(arms) => any_of(
            arms.iter()
                .map(|arm| bind(arm, parameters, fields, connector)),
        ),
        Filter::IsNull { field } => Bound::Filter {
            filter: Filter::IsNull {
                field: field.clone(),
            },
            exact: true,
        },
        Filter::IsNotNull { field } => Bound::Filter {
            filter: Filter::IsNotNull {
                field: field.clone(),
            },
            exact: true,
        },
        Filter::Compare {
            field,
            value: operand,
            ..
        }
        | Filter::In {
            field,
            values: operand,
        }
        | Filter::Like {
            field,
            pattern: operand,
        } => {
            let value = match operand {
                Operand::Constant(value) => Some(value.clone()),
                Operand::Parameter { index, .. } => parameters[*index].clone(),
            };
            let Some(value) = value else {
                return Bound::Never;
            };
            // EXPLAIN shows a parameter in its place; there is no value to fit.
            if let Value::Placeholder(_) = value {
                let filter = with_value(filter, value);
                return Bound::Filter {
                    filter,
                    exact: false,
                };
            }
            if let Value::List(values) = &value {
                if values.is_empty() {
                    return Bound::Never;
                }
                if values.len() > LONGEST_LIST {
                    return Bound::Always { exact: false };
                }
            }
            let facts = fields.iter().find(|facts| facts.name == *field);
            let facts = facts.expect("a planned filter names fields of its table");
            leaf(field, connector.fit(facts, with_value(filter, value)))
        }
    }
}

fn leaf(field: &str, fit: Fit) -> Bound {
    match fit {
        Fit::Send { filter, exact } => Bound::Filter { filter, exact },
        Fit::NotNull => Bound::Filter {
            filter: Filter::IsNotNull {
                field: field.into(),
            },
            exact: true,
        },
        Fit::Never => Bound::Never,
        Fit::Unpushable(_) => Bound::Always { exact: false },
    }
}

fn all_of(parts: impl Iterator<Item = Bound>) -> Bound {
    let (mut filters, mut all_exact) = (Vec::new(), true);
    for part in parts {
        match part {
            Bound::Never => return Bound::Never,
            Bound::Always { exact } => all_exact &= exact,
            Bound::Filter { filter, exact } => {
                all_exact &= exact;
                filters.push(filter);
            }
        }
    }
    group(filters, Filter::And, all_exact).unwrap_or(Bound::Always { exact: all_exact })
}

fn any_of(arms: impl Iterator<Item = Bound>) -> Bound {
    let (mut filters, mut all_exact, mut always) = (Vec::new(), true, None);
    for arm in arms {
        match arm {
            Bound::Never => {}
            Bound::Always { exact } => always = Some(always.unwrap_or(false) || exact),
            Bound::Filter { filter, exact } => {
                all_exact &= exact;
                filters.push(filter);
            }
        }
    }
    match always {
        Some(exact) => Bound::Always { exact },
        None => group(filters, Filter::Or, all_exact).unwrap_or(Bound::Never),
    }
}

fn group(
    mut filters: Vec<Filter<Value>>,
    kind: fn(Vec<Filter<Value>>) -> Filter<Value>,
    exact: bool,
) -> Option<Bound> {
    let filter = match filters.len() {
        0 => return None,
        1 => filters.pop()?,
        _ => kind(filters),
    };
    Some(Bound::Filter { filter, exact })
}
