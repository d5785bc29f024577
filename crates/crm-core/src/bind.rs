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
                field: sent_name(facts_of(field, fields), connector),
            },
            exact: true,
        },
        Filter::IsNotNull { field } => Bound::Filter {
            filter: Filter::IsNotNull {
                field: sent_name(facts_of(field, fields), connector),
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
            let facts = facts_of(field, fields);
            let name = sent_name(facts, connector);
            let filter = with_name(with_value(filter, value.clone()), &name);
            // EXPLAIN shows a parameter in its place; there is no value to fit.
            if let Value::Placeholder(_) = value {
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
            leaf(&name, connector.fit(facts, filter))
        }
    }
}

fn facts_of<'f>(field: &str, fields: &'f [FieldFacts]) -> &'f FieldFacts {
    let facts = fields.iter().find(|facts| facts.name == field);
    facts.expect("a planned filter names fields of its table")
}

fn sent_name(facts: &FieldFacts, connector: &dyn Connector) -> String {
    connector.condition_name(facts).into_owned()
}

/// One comparison, list or pattern under another name.
fn with_name(mut filter: Filter<Value>, name: &str) -> Filter<Value> {
    if let Filter::Compare { field, .. } | Filter::In { field, .. } | Filter::Like { field, .. } =
        &mut filter
    {
        name.clone_into(field);
    }
    filter
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::ValueClass;
    use crate::query::Operator;
    use crate::testkit::{Imaginary, fields};

    fn amount(operator: Operator, operand: Operand) -> Filter<Operand> {
        Filter::Compare {
            field: "amount".into(),
            operator,
            value: operand,
        }
    }

    fn constant(value: i64) -> Operand {
        Operand::Constant(Value::Int(value))
    }

    fn parameter(index: usize) -> Operand {
        Operand::Parameter {
            index,
            class: ValueClass::Number,
        }
    }

    fn sent(filter: Filter<Value>) -> Bound {
        Bound::Filter {
            filter,
            exact: true,
        }
    }

    fn equals(value: Value) -> Filter<Value> {
        Filter::Compare {
            field: "amount".into(),
            operator: Operator::Equal,
            value,
        }
    }

    #[test]
    fn groups_fold_around_what_is_decided_here() {
        let never = || amount(Operator::Equal, constant(2000));
        let some = || amount(Operator::Equal, constant(1));
        let late = || amount(Operator::Equal, parameter(0));
        let nan = Some(Value::Numeric("NaN".into()));
        let not_null = || Filter::IsNotNull {
            field: "amount".into(),
        };
        for (filter, values, expected) in [
            (Filter::And(vec![never(), some()]), vec![], Bound::Never),
            (Filter::Or(vec![never(), never()]), vec![], Bound::Never),
            (
                Filter::Or(vec![never(), some()]),
                vec![],
                sent(equals(Value::Int(1))),
            ),
            (
                amount(Operator::Less, constant(2000)),
                vec![],
                sent(not_null()),
            ),
            (late(), vec![None], Bound::Never),
            (
                late(),
                vec![Some(Value::Int(3))],
                sent(equals(Value::Int(3))),
            ),
            (late(), vec![nan.clone()], Bound::Always { exact: false }),
            (
                Filter::And(vec![late(), some()]),
                vec![nan.clone()],
                Bound::Filter {
                    filter: equals(Value::Int(1)),
                    exact: false,
                },
            ),
            (
                Filter::Or(vec![late(), some()]),
                vec![nan],
                Bound::Always { exact: false },
            ),
            (
                Filter::In {
                    field: "amount".into(),
                    values: parameter(0),
                },
                vec![Some(Value::List(Vec::new()))],
                Bound::Never,
            ),
            (
                Filter::In {
                    field: "amount".into(),
                    values: parameter(0),
                },
                vec![Some(Value::List(vec![Value::Int(1); 501]))],
                Bound::Always { exact: false },
            ),
            (
                late(),
                vec![Some(Value::Placeholder(1))],
                Bound::Filter {
                    filter: equals(Value::Placeholder(1)),
                    exact: false,
                },
            ),
        ] {
            let bound = bind(&filter, &values, &fields(), &Imaginary);
            assert_eq!(bound, expected, "{filter:?} {values:?}");
        }
    }

    #[test]
    fn a_field_goes_under_its_name_in_conditions() {
        let hidden = || Filter::<Operand>::IsNull {
            field: "hidden".into(),
        };
        let late = Filter::Compare {
            field: "hidden".into(),
            operator: Operator::Equal,
            value: parameter(0),
        };
        let filter = Filter::And(vec![hidden(), late]);
        for value in [Value::Int(3), Value::Placeholder(1)] {
            let bound = bind(&filter, &[Some(value.clone())], &fields(), &Imaginary);
            let Bound::Filter { filter, .. } = bound else {
                panic!("{bound:?}");
            };
            let expected = Filter::And(vec![
                Filter::IsNull {
                    field: "_hidden".into(),
                },
                Filter::Compare {
                    field: "_hidden".into(),
                    operator: Operator::Equal,
                    value,
                },
            ]);
            assert_eq!(filter, expected);
        }
    }

    #[test]
    fn only_an_exact_filter_lets_a_limit_through() {
        assert!(Bound::Never.is_exact());
        assert!(Bound::Always { exact: true }.is_exact());
        assert!(!Bound::Always { exact: false }.is_exact());
    }
}
