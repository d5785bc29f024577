//! From the server's expressions to the neutral conditions that the rules of `crm-core` judge.

use crate::options::CollectedTable;
use crate::pg::datum::to_constant;
use crate::pg::expr::{Expression, View};
use crm_core::{
    ColumnType, Condition, Decision, FieldFacts, Operand, Operator, Refusal, Value, ValueClass,
    decide,
};
use pgrx::pg_sys;

/// Casts between date and time types, some by the session's zone: evaluated when the scan starts.
const DATE_OF_TIMESTAMPTZ: u32 = 1178;
const DATE_OF_TIMESTAMP: u32 = 2029;
const TIMESTAMP_OF_DATE: u32 = 2024;
const TIMESTAMPTZ_OF_DATE: u32 = 1174;
const TIMESTAMPTZ_OF_TIMESTAMP: u32 = 2028;

/// Translates the conditions of one relation, collecting the expressions that are evaluated when the scan starts.
pub struct Translator<'a> {
    table: &'a CollectedTable,
    /// Facts of all columns, in the order of the table's columns.
    fields: Vec<FieldFacts>,
    relation: u32,
    parameters: Vec<Expression<'a>>,
}

/// A field on the left of a comparison.
struct Left {
    field: usize,
    /// A lossless cast of a whole number stood around it.
    widened: bool,
}

impl<'a> Translator<'a> {
    /// For the relation with that index in the range table.
    pub fn new(table: &'a CollectedTable, relation: u32) -> Self {
        Self {
            fields: table
                .columns
                .iter()
                .map(|column| column.facts.clone())
                .collect(),
            table,
            relation,
            parameters: Vec::new(),
        }
    }

    /// Facts of all columns; what a [`Condition`] of this translator names by number.
    pub fn fields(&self) -> &[FieldFacts] {
        &self.fields
    }

    /// The expressions that the operands name by number.
    pub fn parameters(&self) -> &[Expression<'a>] {
        &self.parameters
    }

    /// What the rules say of a condition. Expressions of what is not sent are not evaluated.
    pub fn decide(&mut self, expression: Expression<'a>) -> (Condition, Decision) {
        let before = self.parameters.len();
        let condition = self.condition(expression);
        let decision = decide(
            &condition,
            &self.fields,
            self.table.options.pushdown,
            self.table.connector,
        );
        if decision.pushed.is_none() && self.lookup_of(&condition).is_none() {
            self.parameters.truncate(before);
        }
        (condition, decision)
    }

    /// The identifiers that a condition asks for, if it is one on the record identifier (S-4).
    pub fn lookup_of(&self, condition: &Condition) -> Option<Operand> {
        let (field, operand) = match condition {
            Condition::Compare {
                field,
                operator: Operator::Equal,
                operand,
                class: ValueClass::Text | ValueClass::Uuid,
            }
            | Condition::In {
                field,
                operand,
                class: ValueClass::Text | ValueClass::Uuid,
            } => (field, operand),
            _ => return None,
        };
        self.fields[*field].identifier.then(|| operand.clone())
    }

    fn condition(&mut self, expression: Expression<'a>) -> Condition {
        match expression.view() {
            View::And(parts) => {
                Condition::And(parts.into_iter().map(|part| self.condition(part)).collect())
            }
            View::Or(arms) => {
                Condition::Or(arms.into_iter().map(|arm| self.condition(arm)).collect())
            }
            View::Not(inner) => match self.field_of(inner) {
                // A bare truth column negated is a comparison with false.
                Ok(left) => self.truth(left.field, false),
                Err(_) => Condition::Not(Box::new(self.condition(inner))),
            },
            View::Column { .. } => match self.field_of(expression) {
                Ok(left) => self.truth(left.field, true),
                Err(refusal) => Condition::Opaque(refusal),
            },
            View::NullTest { argument, is_null } => match self.field_of(argument) {
                Ok(Left { field, .. }) if is_null => Condition::IsNull { field },
                Ok(Left { field, .. }) => Condition::IsNotNull { field },
                Err(refusal) => Condition::Opaque(refusal),
            },
            View::TruthTest {
                argument,
                value: Some(value),
                negated: false,
            } => match self.field_of(argument) {
                Ok(left) => self.truth(left.field, value),
                Err(refusal) => Condition::Opaque(refusal),
            },
            View::TruthTest { .. } => Condition::Opaque(Refusal::Negation),
            View::Operation {
                name,
                deterministic,
                left,
                right,
            } => self.operation(name, deterministic, left, right),
            View::ArrayOperation {
                name,
                any,
                deterministic,
                left,
                array,
            } => self.array_operation(name, any, deterministic, left, array),
            View::Constant | View::Relabel(_) | View::Cast { .. } | View::Other => {
                Condition::Opaque(if expression.names_columns() {
                    Refusal::LeftSide
                } else {
                    Refusal::RightSide
                })
            }
        }
    }

    fn truth(&self, field: usize, value: bool) -> Condition {
        if self.fields[field].column_type != ColumnType::Bool {
            return Condition::Opaque(Refusal::LeftSide);
        }
        Condition::Compare {
            field,
            operator: Operator::Equal,
            operand: Operand::Constant(Value::Bool(value)),
            class: ValueClass::Boolean,
        }
    }

    fn operation(
        &mut self,
        name: &str,
        deterministic: bool,
        left: Expression<'a>,
        right: Expression<'a>,
    ) -> Condition {
        if left.names_columns() && right.names_columns() {
            return Condition::Opaque(Refusal::TwoFields);
        }
        if name == "~~" || name == "~~*" {
            return match self.field_of(left) {
                Ok(Left { field, .. }) if deterministic => {
                    match self.operand(right, ValueClass::Text) {
                        Some((pattern, _)) => Condition::Like { field, pattern },
                        None => Condition::Opaque(Refusal::RightSide),
                    }
                }
                Ok(_) => Condition::Opaque(Refusal::Operator),
                Err(refusal) => Condition::Opaque(refusal),
            };
        }
        let Some(operator) = operator_named(name) else {
            return Condition::Opaque(Refusal::Operator);
        };
        let (found, other, operator) = match self.field_of(left) {
            Ok(found) => (Ok(found), right, operator),
            Err(_) if right.names_columns() => (self.field_of(right), left, operator.commuted()),
            Err(refusal) => (Err(refusal), right, operator),
        };
        let left = match found {
            Ok(left) => left,
            Err(refusal) => return Condition::Opaque(refusal),
        };
        if !other.is_fixed() {
            return Condition::Opaque(Refusal::RightSide);
        }
        self.comparison(&left, operator, deterministic, other)
    }

    fn comparison(
        &mut self,
        left: &Left,
        operator: Operator,
        deterministic: bool,
        right: Expression<'a>,
    ) -> Condition {
        let field = left.field;
        let column_type = self.fields[field].column_type;
        let right_type = right.type_oid();
        let (class, right, operator) = match (column_type, right_type) {
            (ColumnType::Int32 | ColumnType::Int64, _) if is_whole(right_type) => {
                (ValueClass::Integer, right, operator)
            }
            (ColumnType::Int32, pg_sys::NUMERICOID | pg_sys::FLOAT8OID | pg_sys::FLOAT4OID)
            | (ColumnType::Int64, pg_sys::NUMERICOID)
                if left.widened =>
            {
                (ValueClass::Number, right, operator)
            }
            (ColumnType::Numeric, pg_sys::NUMERICOID)
            | (ColumnType::Float64, pg_sys::FLOAT8OID | pg_sys::FLOAT4OID) => {
                (ValueClass::Number, right, operator)
            }
            (ColumnType::Date, pg_sys::DATEOID) => (ValueClass::Date, right, operator),
            (ColumnType::Date, pg_sys::TIMESTAMPTZOID) => match by_day(operator) {
                Some(operator) => {
                    let right = right.cast_by(DATE_OF_TIMESTAMPTZ, pg_sys::DATEOID);
                    (ValueClass::Date, right, operator)
                }
                None => return Condition::Opaque(Refusal::Cast),
            },
            (ColumnType::Date, pg_sys::TIMESTAMPOID) => match by_day(operator) {
                Some(operator) => {
                    let right = right.cast_by(DATE_OF_TIMESTAMP, pg_sys::DATEOID);
                    (ValueClass::Date, right, operator)
                }
                None => return Condition::Opaque(Refusal::Cast),
            },
            (ColumnType::Instant, pg_sys::TIMESTAMPTZOID) => (ValueClass::Instant, right, operator),
            (ColumnType::Instant, pg_sys::DATEOID) if is_beyond_instants(right) => {
                return Condition::Opaque(Refusal::Cast);
            }
            (ColumnType::Instant, pg_sys::DATEOID) => {
                let right = right.cast_by(TIMESTAMPTZ_OF_DATE, pg_sys::TIMESTAMPTZOID);
                (ValueClass::Instant, right, operator)
            }
            (ColumnType::Instant, pg_sys::TIMESTAMPOID) => {
                let right = right.cast_by(TIMESTAMPTZ_OF_TIMESTAMP, pg_sys::TIMESTAMPTZOID);
                (ValueClass::Instant, right, operator)
            }
            (ColumnType::Timestamp, pg_sys::TIMESTAMPOID) => {
                (ValueClass::Timestamp, right, operator)
            }
            (ColumnType::Timestamp, pg_sys::DATEOID) if !is_beyond_instants(right) => {
                let right = right.cast_by(TIMESTAMP_OF_DATE, pg_sys::TIMESTAMPOID);
                (ValueClass::Timestamp, right, operator)
            }
            // A clock's reading becomes a moment by the session's zone, in which one hour may come twice.
            (ColumnType::Timestamp, pg_sys::DATEOID | pg_sys::TIMESTAMPTZOID) => {
                return Condition::Opaque(Refusal::Cast);
            }
            (ColumnType::Text, pg_sys::TEXTOID | pg_sys::VARCHAROID) if deterministic => {
                (ValueClass::Text, right, operator)
            }
            (ColumnType::Bool, pg_sys::BOOLOID) => (ValueClass::Boolean, right, operator),
            (ColumnType::Uuid, pg_sys::UUIDOID) => (ValueClass::Uuid, right, operator),
            _ => (ValueClass::Other, right, operator),
        };
        match self.operand(right, class) {
            Some((operand, class)) => Condition::Compare {
                field,
                operator,
                operand,
                class,
            },
            None => Condition::Opaque(Refusal::Type),
        }
    }

    fn array_operation(
        &mut self,
        name: &str,
        any: bool,
        deterministic: bool,
        left: Expression<'a>,
        array: Expression<'a>,
    ) -> Condition {
        if array.names_columns() {
            return Condition::Opaque(Refusal::TwoFields);
        }
        let field = match self.field_of(left) {
            Ok(left) => left.field,
            Err(refusal) => return Condition::Opaque(refusal),
        };
        match (name, any) {
            ("=", true) => {}
            ("<>", false) => return Condition::NotIn { field },
            _ => return Condition::Opaque(Refusal::Operator),
        }
        if !array.is_fixed() {
            return Condition::Opaque(Refusal::RightSide);
        }
        let class = match (self.fields[field].column_type, array.type_oid()) {
            (
                ColumnType::Int32 | ColumnType::Int64,
                pg_sys::INT2ARRAYOID | pg_sys::INT4ARRAYOID | pg_sys::INT8ARRAYOID,
            ) => ValueClass::Integer,
            (
                ColumnType::Int32 | ColumnType::Int64 | ColumnType::Numeric,
                pg_sys::NUMERICARRAYOID,
            ) => ValueClass::Number,
            (ColumnType::Date, pg_sys::DATEARRAYOID) => ValueClass::Date,
            (ColumnType::Instant, pg_sys::TIMESTAMPTZARRAYOID) => ValueClass::Instant,
            (ColumnType::Timestamp, pg_sys::TIMESTAMPARRAYOID) => ValueClass::Timestamp,
            (ColumnType::Text, pg_sys::TEXTARRAYOID | pg_sys::VARCHARARRAYOID) if deterministic => {
                ValueClass::Text
            }
            (ColumnType::Uuid, pg_sys::UUIDARRAYOID) => ValueClass::Uuid,
            _ => return Condition::Opaque(Refusal::Type),
        };
        match self.operand(array, class) {
            Some((operand, class)) => Condition::In {
                field,
                operand,
                class,
            },
            None => Condition::Opaque(Refusal::Type),
        }
    }

    /// The bare field that an expression is, relabelled or losslessly widened at most.
    fn field_of(&self, expression: Expression<'a>) -> Result<Left, Refusal> {
        match expression.view() {
            View::Column {
                relation,
                attribute,
            } if relation == self.relation => self
                .table
                .columns
                .iter()
                .position(|column| column.number == attribute)
                .map(|field| Left {
                    field,
                    widened: false,
                })
                .ok_or(Refusal::LeftSide),
            View::Column { .. } => Err(Refusal::TwoFields),
            View::Relabel(inner) => self.field_of(inner),
            View::Cast { argument, from, to } if is_lossless(from, to) => {
                self.field_of(argument).map(|left| Left {
                    widened: true,
                    ..left
                })
            }
            View::Cast { .. } => Err(Refusal::Cast),
            _ => Err(Refusal::LeftSide),
        }
    }

    /// The right side: its value if it is a constant, else a parameter. Nothing for a type no connector knows.
    fn operand(
        &mut self,
        right: Expression<'a>,
        class: ValueClass,
    ) -> Option<(Operand, ValueClass)> {
        match to_constant(right) {
            Some(Some(value)) => Some((Operand::Constant(value), class)),
            // A null constant matches nothing, and a type that is not known here is left to the server.
            Some(None) => None,
            None => {
                if class == ValueClass::Other || !right.is_fixed() {
                    return None;
                }
                let index = self.parameters.len();
                self.parameters.push(right);
                Some((Operand::Parameter { index, class }, class))
            }
        }
    }
}

fn operator_named(name: &str) -> Option<Operator> {
    Some(match name {
        "=" => Operator::Equal,
        "<>" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        _ => return None,
    })
}

/// A day compared with a moment, said of the moment's day: never narrower, and checked again since the
/// moment is a parameter. A day starts at midnight, so `>` needs the moment's own day only at midnight.
fn by_day(operator: Operator) -> Option<Operator> {
    Some(match operator {
        Operator::Equal => Operator::Equal,
        Operator::Less | Operator::LessOrEqual => Operator::LessOrEqual,
        Operator::Greater | Operator::GreaterOrEqual => Operator::GreaterOrEqual,
        Operator::NotEqual => return None,
    })
}

/// A date so far away that no point in time reaches it; casting it would raise an error that comparing does not.
fn is_beyond_instants(right: Expression<'_>) -> bool {
    const LAST_DAY_OF_INSTANTS: i32 = 106_000_000;
    matches!(
        to_constant(right),
        Some(Some(Value::Date(day)))
            if (LAST_DAY_OF_INSTANTS..i32::MAX).contains(&day.saturating_abs())
    )
}

fn is_whole(type_oid: pg_sys::Oid) -> bool {
    matches!(
        type_oid,
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID
    )
}

fn is_lossless(from: pg_sys::Oid, to: pg_sys::Oid) -> bool {
    matches!(
        (from, to),
        (
            pg_sys::INT4OID,
            pg_sys::INT8OID | pg_sys::NUMERICOID | pg_sys::FLOAT8OID
        ) | (pg_sys::INT8OID, pg_sys::NUMERICOID)
    )
}
