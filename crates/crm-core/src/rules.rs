//! Which conditions are sent to the CRM: the rules S-2, S-3 and S-5 of the specification.
//!
//! A table says which kinds of value may be compared in which way in each mode; the connector says what its CRM
//! does with that comparison; the tree rules put AND and OR together. What is kept here carries the rule's name.

use crate::condition::{Condition, Operand, ValueClass};
use crate::connector::{Capability, Connector, Fit, Shape};
use crate::query::{Filter, Operator};
use crate::schema::{Conversion, FieldFacts};
use crate::value::{ColumnType, Value};
use serde::{Deserialize, Serialize};

/// How much is sent, an option of server and table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pushdown {
    /// Numbers, dates and null tests (S-2).
    #[default]
    Connector,
    /// Also text and truth values where the CRM answers with a superset (S-5).
    Extended,
    /// Nothing, record identification apart.
    Off,
}

impl Pushdown {
    /// The mode an option value names.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "connector" => Some(Self::Connector),
            "extended" => Some(Self::Extended),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// Why a condition, or its exactness, stays here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The option says so.
    PushdownOff,
    /// A negated group or comparison.
    Negation,
    /// The left side is an expression or a function.
    LeftSide,
    /// The left side is cast to another type.
    Cast,
    /// Two fields, or a field and a row of another table.
    TwoFields,
    /// The right side is not known before the scan starts.
    RightSide,
    /// Text, in connector mode.
    Text,
    /// A truth value, in connector mode.
    Boolean,
    /// A 128-bit identifier that is not the record's own, in connector mode.
    Uuid,
    /// A value of a type that the CRMs do not compare.
    Type,
    /// An operator outside the list.
    Operator,
    /// `NOT IN`, `<> ALL`.
    NotIn,
    /// The column's conversion changes what is compared.
    Conversion,
    /// The CRM cannot filter by that field or in that way; its reason.
    Vendor(String),
    /// The CRM cannot hold or read that value; its reason.
    Value(String),
    /// One arm of an OR stays here, so all do.
    OrArm,
    /// The CRM may return more than SQL would.
    Superset,
    /// The value is known only when the scan starts.
    LateValue,
    /// Records are fetched by their identifier, so nothing else is asked of the CRM.
    Lookup,
    /// The list is too long to send as a filter.
    LongList,
}

impl Refusal {
    /// The rule's name in the specification.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::PushdownOff => "S-5",
            Self::Negation | Self::NotIn => "S-2.2",
            Self::LeftSide | Self::Cast | Self::TwoFields | Self::Conversion => "S-2.3",
            Self::RightSide
            | Self::Text
            | Self::Boolean
            | Self::Uuid
            | Self::Type
            | Self::Operator => "S-2.4",
            Self::Vendor(_) | Self::Value(_) | Self::LongList => "S-2.5",
            Self::OrArm | Self::Superset | Self::LateValue => "S-3",
            Self::Lookup => "S-4",
        }
    }

    /// The reason in words, for EXPLAIN.
    pub fn words(&self) -> String {
        match self {
            Self::PushdownOff => "pushdown is off".into(),
            Self::Negation => "a negation is not sent".into(),
            Self::LeftSide => "the left side is not a bare field".into(),
            Self::Cast => "the field is cast to another type".into(),
            Self::TwoFields => "two columns are compared".into(),
            Self::RightSide => "the right side is not fixed before the scan starts".into(),
            Self::Text => "text is compared only with pushdown 'extended'".into(),
            Self::Boolean => "truth values are compared only with pushdown 'extended'".into(),
            Self::Uuid => "identifiers are compared only with pushdown 'extended'".into(),
            Self::Type => "values of this type are not compared remotely".into(),
            Self::Operator => "the operator is not one the CRM has".into(),
            Self::NotIn => "NOT IN is not sent".into(),
            Self::Conversion => "the column's conversion changes what is compared".into(),
            Self::Vendor(reason) | Self::Value(reason) => reason.clone(),
            Self::OrArm => "an arm of the OR stays here".into(),
            Self::Superset => "the CRM may return more".into(),
            Self::LateValue => "the value is known only at execution".into(),
            Self::Lookup => "records are fetched by identifier".into(),
            Self::LongList => "the list is too long to send".into(),
        }
    }
}

/// What becomes of one condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is sent, if anything: never narrower than the condition.
    pub pushed: Option<Filter<Operand>>,
    /// What is sent means the same, so it need not be checked again.
    pub exact: bool,
    /// Why it is not sent, or not exact.
    pub reasons: Vec<Refusal>,
}

impl Decision {
    fn kept(reason: Refusal) -> Self {
        Self {
            pushed: None,
            exact: false,
            reasons: vec![reason],
        }
    }
}

/// Longer lists are checked here: a filter that long meets the limits of every CRM.
pub(crate) const LONGEST_LIST: usize = 500;

/// A row of the table: in each mode, a comparison of that kind passes or is kept for a reason.
struct Row {
    class: ValueClass,
    kind: Kind,
    connector: Option<Refusal>,
    extended: Option<Refusal>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Equal,
    NotEqual,
    Order,
    In,
    Like,
}

const fn passes(class: ValueClass, kind: Kind) -> Row {
    Row {
        class,
        kind,
        connector: None,
        extended: None,
    }
}

const fn extended_only(class: ValueClass, kind: Kind, otherwise: Refusal) -> Row {
    Row {
        class,
        kind,
        connector: Some(otherwise),
        extended: None,
    }
}

/// S-2.4 and S-5 as data. What is not in the table is not sent.
const TABLE: &[Row] = &[
    passes(ValueClass::Integer, Kind::Equal),
    passes(ValueClass::Integer, Kind::NotEqual),
    passes(ValueClass::Integer, Kind::Order),
    passes(ValueClass::Integer, Kind::In),
    passes(ValueClass::Number, Kind::Equal),
    passes(ValueClass::Number, Kind::NotEqual),
    passes(ValueClass::Number, Kind::Order),
    passes(ValueClass::Number, Kind::In),
    passes(ValueClass::Date, Kind::Equal),
    passes(ValueClass::Date, Kind::NotEqual),
    passes(ValueClass::Date, Kind::Order),
    passes(ValueClass::Date, Kind::In),
    passes(ValueClass::Instant, Kind::Equal),
    passes(ValueClass::Instant, Kind::NotEqual),
    passes(ValueClass::Instant, Kind::Order),
    passes(ValueClass::Instant, Kind::In),
    passes(ValueClass::Timestamp, Kind::Equal),
    passes(ValueClass::Timestamp, Kind::NotEqual),
    passes(ValueClass::Timestamp, Kind::Order),
    passes(ValueClass::Timestamp, Kind::In),
    extended_only(ValueClass::Text, Kind::Equal, Refusal::Text),
    extended_only(ValueClass::Text, Kind::NotEqual, Refusal::Text),
    extended_only(ValueClass::Text, Kind::Order, Refusal::Text),
    extended_only(ValueClass::Text, Kind::In, Refusal::Text),
    extended_only(ValueClass::Text, Kind::Like, Refusal::Text),
    extended_only(ValueClass::Boolean, Kind::Equal, Refusal::Boolean),
    extended_only(ValueClass::Uuid, Kind::Equal, Refusal::Uuid),
    extended_only(ValueClass::Uuid, Kind::NotEqual, Refusal::Uuid),
    extended_only(ValueClass::Uuid, Kind::In, Refusal::Uuid),
];

/// Judges one condition of a WHERE clause; `fields` are what its indexes name.
pub fn decide(
    condition: &Condition,
    fields: &[FieldFacts],
    mode: Pushdown,
    connector: &dyn Connector,
) -> Decision {
    if mode == Pushdown::Off {
        return Decision::kept(Refusal::PushdownOff);
    }
    Judge {
        fields,
        mode,
        connector,
    }
    .judge(condition)
}

struct Judge<'a> {
    fields: &'a [FieldFacts],
    mode: Pushdown,
    connector: &'a dyn Connector,
}

impl Judge<'_> {
    fn judge(&self, condition: &Condition) -> Decision {
        match condition {
            Condition::And(parts) => self.all_of(parts),
            Condition::Or(arms) => self.any_of(arms),
            Condition::Not(_) => Decision::kept(Refusal::Negation),
            Condition::Opaque(reason) => Decision::kept(reason.clone()),
            Condition::NotIn { .. } => Decision::kept(Refusal::NotIn),
            Condition::IsNull { field } => self.null_test(*field, Shape::IsNull),
            Condition::IsNotNull { field } => self.null_test(*field, Shape::IsNotNull),
            Condition::Compare {
                field,
                operator,
                operand,
                class,
            } => {
                let kind = match operator {
                    Operator::Equal => Kind::Equal,
                    Operator::NotEqual => Kind::NotEqual,
                    _ => Kind::Order,
                };
                let facts = &self.fields[*field];
                let filter = Filter::Compare {
                    field: facts.name.clone(),
                    operator: *operator,
                    value: operand.clone(),
                };
                self.comparison(
                    facts,
                    Shape::Compare(*operator),
                    kind,
                    *class,
                    operand,
                    filter,
                )
            }
            Condition::In {
                field,
                operand,
                class,
            } => {
                if let Operand::Constant(Value::List(values)) = operand
                    && values.len() > LONGEST_LIST
                {
                    return Decision::kept(Refusal::LongList);
                }
                let facts = &self.fields[*field];
                let filter = Filter::In {
                    field: facts.name.clone(),
                    values: operand.clone(),
                };
                self.comparison(facts, Shape::In, Kind::In, *class, operand, filter)
            }
            Condition::Like { field, pattern } => {
                let facts = &self.fields[*field];
                let filter = Filter::Like {
                    field: facts.name.clone(),
                    pattern: pattern.clone(),
                };
                self.comparison(
                    facts,
                    Shape::Like,
                    Kind::Like,
                    ValueClass::Text,
                    pattern,
                    filter,
                )
            }
        }
    }

    /// S-3: what passes is sent; leaving a part out widens the answer, so the whole is checked again.
    fn all_of(&self, parts: &[Condition]) -> Decision {
        let decisions: Vec<_> = parts.iter().map(|part| self.judge(part)).collect();
        let exact = decisions.iter().all(|decision| decision.exact);
        let reasons = merged_reasons(&decisions);
        let mut pushed: Vec<_> = decisions
            .into_iter()
            .filter_map(|decision| decision.pushed)
            .collect();
        Decision {
            pushed: match pushed.len() {
                0 => None,
                1 => pushed.pop(),
                _ => Some(Filter::And(pushed)),
            },
            exact,
            reasons,
        }
    }

    /// S-3: an OR list goes only if every arm does.
    fn any_of(&self, arms: &[Condition]) -> Decision {
        let decisions: Vec<_> = arms.iter().map(|arm| self.judge(arm)).collect();
        let mut reasons = merged_reasons(&decisions);
        let exact = decisions.iter().all(|decision| decision.exact);
        let pushed: Option<Vec<_>> = decisions
            .into_iter()
            .map(|decision| decision.pushed)
            .collect();
        match pushed {
            Some(pushed) => Decision {
                pushed: Some(Filter::Or(pushed)),
                exact,
                reasons,
            },
            None => {
                reasons.push(Refusal::OrArm);
                Decision {
                    pushed: None,
                    exact: false,
                    reasons,
                }
            }
        }
    }

    fn null_test(&self, field: usize, shape: Shape) -> Decision {
        let facts = &self.fields[field];
        if !facts.filterable {
            return Decision::kept(not_filterable());
        }
        let field = facts.name.clone();
        let filter = match shape {
            Shape::IsNull => Filter::IsNull { field },
            _ => Filter::IsNotNull { field },
        };
        match self.connector.capability(facts, shape, self.mode) {
            Capability::No(reason) => Decision::kept(Refusal::Vendor(reason.into())),
            capability => sent(filter, capability == Capability::Exact),
        }
    }

    fn comparison(
        &self,
        facts: &FieldFacts,
        shape: Shape,
        kind: Kind,
        class: ValueClass,
        operand: &Operand,
        filter: Filter<Operand>,
    ) -> Decision {
        let row = TABLE
            .iter()
            .find(|row| row.class == class && row.kind == kind);
        let refusal = match (row, self.mode) {
            (None, _) => Some(match class {
                ValueClass::Boolean => Refusal::Boolean,
                ValueClass::Other => Refusal::Type,
                _ => Refusal::Operator,
            }),
            (Some(row), Pushdown::Extended) => row.extended.clone(),
            (Some(row), _) => row.connector.clone(),
        };
        if let Some(refusal) = refusal {
            return Decision::kept(refusal);
        }
        if facts.conversion != Conversion::Default {
            return Decision::kept(Refusal::Conversion);
        }
        if !facts.filterable {
            return Decision::kept(not_filterable());
        }
        let exact = match self.connector.capability(facts, shape, self.mode) {
            Capability::No(reason) => return Decision::kept(Refusal::Vendor(reason.into())),
            capability => capability == Capability::Exact,
        };
        match operand {
            Operand::Parameter { class, .. } => {
                // Whether a value has to be widened is known when it comes, and then it is too late to check here.
                // Against a 32-bit field every whole number is decided exactly; nothing else is taken for certain.
                let certain = *class == ValueClass::Integer
                    && facts.column_type == ColumnType::Int32
                    && kind != Kind::In
                    && matches!(
                        self.connector
                            .fit(facts, with_value(&filter, Value::Int(0))),
                        Fit::Send { exact: true, .. }
                    );
                let mut decision = sent(filter, exact && certain);
                if exact && !certain {
                    decision.reasons = vec![Refusal::LateValue];
                }
                decision
            }
            Operand::Constant(value) => {
                match self
                    .connector
                    .fit(facts, with_value(&filter, value.clone()))
                {
                    Fit::Unpushable(reason) => Decision::kept(Refusal::Value(reason.into())),
                    Fit::Send { exact: fits, .. } => sent(filter, exact && fits),
                    Fit::NotNull | Fit::Never => sent(filter, exact),
                }
            }
        }
    }
}

/// The same condition with its value in place.
pub(crate) fn with_value(filter: &Filter<Operand>, value: Value) -> Filter<Value> {
    match filter {
        Filter::Compare {
            field, operator, ..
        } => Filter::Compare {
            field: field.clone(),
            operator: *operator,
            value,
        },
        Filter::In { field, .. } => Filter::In {
            field: field.clone(),
            values: value,
        },
        Filter::Like { field, .. } => Filter::Like {
            field: field.clone(),
            pattern: value,
        },
        Filter::IsNull { field } => Filter::IsNull {
            field: field.clone(),
        },
        Filter::IsNotNull { field } => Filter::IsNotNull {
            field: field.clone(),
        },
        Filter::And(_) | Filter::Or(_) => unreachable!("a group has no value of its own"),
    }
}

fn sent(filter: Filter<Operand>, exact: bool) -> Decision {
    Decision {
        pushed: Some(filter),
        exact,
        reasons: if exact {
            Vec::new()
        } else {
            vec![Refusal::Superset]
        },
    }
}

fn not_filterable() -> Refusal {
    Refusal::Vendor("the CRM does not filter by this field".into())
}

fn merged_reasons(decisions: &[Decision]) -> Vec<Refusal> {
    let mut reasons: Vec<Refusal> = Vec::new();
    for reason in decisions.iter().flat_map(|decision| &decision.reasons) {
        if !reasons.contains(reason) {
            reasons.push(reason.clone());
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Imaginary, fields};

    const AMOUNT: usize = 0;
    const DAY: usize = 1;
    const AT: usize = 2;
    const NAME: usize = 3;
    const VIP: usize = 4;
    const HIDDEN: usize = 5;
    const PARENT: usize = 6;

    fn compare(field: usize, operator: Operator, value: Value) -> Condition {
        let class = match value {
            Value::Bool(_) => ValueClass::Boolean,
            Value::Int(_) => ValueClass::Integer,
            Value::Numeric(_) => ValueClass::Number,
            Value::Text(_) => ValueClass::Text,
            Value::Date(_) => ValueClass::Date,
            Value::Instant(_) => ValueClass::Instant,
            Value::Uuid(_) => ValueClass::Uuid,
            Value::Timestamp(_) => ValueClass::Timestamp,
            Value::Time(_) | Value::Json(_) | Value::List(_) | Value::Placeholder(_) => {
                ValueClass::Other
            }
        };
        Condition::Compare {
            field,
            operator,
            operand: Operand::Constant(value),
            class,
        }
    }

    fn number(operator: Operator) -> Condition {
        compare(AMOUNT, operator, Value::Int(5))
    }

    fn text(field: usize) -> Condition {
        compare(field, Operator::Equal, Value::Text("x".into()))
    }

    fn list(field: usize, class: ValueClass, length: i64) -> Condition {
        Condition::In {
            field,
            operand: Operand::Constant(Value::List((0..length).map(Value::Int).collect())),
            class,
        }
    }

    /// How a decision looks in the tables below: sent and exact, sent and rechecked, or kept with the first reason.
    #[derive(Debug, PartialEq)]
    enum Verdict {
        Exact,
        Rechecked,
        Kept(Refusal),
    }

    fn verdict(condition: &Condition, mode: Pushdown) -> Verdict {
        let decision = decide(condition, &fields(), mode, &Imaginary);
        match (decision.pushed, decision.exact) {
            (Some(_), true) => Verdict::Exact,
            (Some(_), false) => Verdict::Rechecked,
            (None, exact) => {
                assert!(!exact, "what is not sent must be checked here");
                Verdict::Kept(decision.reasons[0].clone())
            }
        }
    }

    #[test]
    fn each_rule_in_both_modes() {
        use Verdict::{Exact, Kept, Rechecked};
        let vendor = |reason: &str| Kept(Refusal::Vendor(reason.into()));
        let unfiltered = "the CRM does not filter by this field";
        for (condition, connector, extended) in [
            (number(Operator::Equal), Exact, Exact),
            (number(Operator::Less), Exact, Exact),
            (number(Operator::NotEqual), Rechecked, Rechecked),
            (
                compare(AMOUNT, Operator::Greater, Value::Numeric("1.5".into())),
                Exact,
                Exact,
            ),
            (
                compare(AMOUNT, Operator::Less, Value::Numeric("NaN".into())),
                Kept(Refusal::Value("it has no such number".into())),
                Kept(Refusal::Value("it has no such number".into())),
            ),
            (
                compare(DAY, Operator::GreaterOrEqual, Value::Date(0)),
                Exact,
                Exact,
            ),
            (compare(AT, Operator::Less, Value::Instant(0)), Exact, Exact),
            (list(AMOUNT, ValueClass::Integer, 3), Exact, Exact),
            (
                list(AMOUNT, ValueClass::Integer, 501),
                Kept(Refusal::LongList),
                Kept(Refusal::LongList),
            ),
            (text(NAME), Kept(Refusal::Text), Rechecked),
            (
                compare(PARENT, Operator::Equal, Value::Uuid([7; 16])),
                Kept(Refusal::Uuid),
                Exact,
            ),
            (
                compare(PARENT, Operator::NotEqual, Value::Uuid([7; 16])),
                Kept(Refusal::Uuid),
                Rechecked,
            ),
            (
                list(PARENT, ValueClass::Uuid, 2),
                Kept(Refusal::Uuid),
                Exact,
            ),
            (
                compare(PARENT, Operator::Less, Value::Uuid([7; 16])),
                Kept(Refusal::Operator),
                Kept(Refusal::Operator),
            ),
            (
                compare(NAME, Operator::Less, Value::Text("x".into())),
                Kept(Refusal::Text),
                vendor("texts are sorted differently"),
            ),
            (
                Condition::Like {
                    field: NAME,
                    pattern: Operand::Constant(Value::Text("x%".into())),
                },
                Kept(Refusal::Text),
                Rechecked,
            ),
            (
                compare(VIP, Operator::Equal, Value::Bool(true)),
                Kept(Refusal::Boolean),
                Exact,
            ),
            (
                compare(VIP, Operator::Less, Value::Bool(true)),
                Kept(Refusal::Boolean),
                Kept(Refusal::Boolean),
            ),
            (Condition::IsNull { field: NAME }, Exact, Exact),
            (Condition::IsNotNull { field: AMOUNT }, Exact, Exact),
            (
                Condition::IsNull { field: HIDDEN },
                vendor(unfiltered),
                vendor(unfiltered),
            ),
            (
                compare(HIDDEN, Operator::Equal, Value::Int(1)),
                vendor(unfiltered),
                vendor(unfiltered),
            ),
            (
                Condition::NotIn { field: AMOUNT },
                Kept(Refusal::NotIn),
                Kept(Refusal::NotIn),
            ),
            (
                Condition::Not(Box::new(number(Operator::Equal))),
                Kept(Refusal::Negation),
                Kept(Refusal::Negation),
            ),
            (
                Condition::Opaque(Refusal::TwoFields),
                Kept(Refusal::TwoFields),
                Kept(Refusal::TwoFields),
            ),
        ] {
            assert_eq!(
                verdict(&condition, Pushdown::Connector),
                connector,
                "{condition:?}"
            );
            assert_eq!(
                verdict(&condition, Pushdown::Extended),
                extended,
                "{condition:?}"
            );
            assert_eq!(
                verdict(&condition, Pushdown::Off),
                Kept(Refusal::PushdownOff)
            );
        }
    }

    #[test]
    fn an_and_list_sends_what_passes() {
        let condition = Condition::And(vec![number(Operator::Equal), text(NAME)]);
        let decision = decide(&condition, &fields(), Pushdown::Connector, &Imaginary);
        assert!(matches!(decision.pushed, Some(Filter::Compare { .. })));
        assert!(!decision.exact);
        assert_eq!(decision.reasons, [Refusal::Text]);
    }

    #[test]
    fn an_or_list_goes_only_if_every_arm_does() {
        let passing = Condition::Or(vec![number(Operator::Equal), number(Operator::Less)]);
        assert_eq!(verdict(&passing, Pushdown::Connector), Verdict::Exact);
        let failing = Condition::Or(vec![number(Operator::Equal), text(NAME)]);
        let decision = decide(&failing, &fields(), Pushdown::Connector, &Imaginary);
        assert_eq!(decision.pushed, None);
        assert_eq!(decision.reasons, [Refusal::Text, Refusal::OrArm]);
    }

    #[test]
    fn an_arm_may_go_in_its_weaker_form() {
        let weak = Condition::And(vec![number(Operator::Greater), text(NAME)]);
        let condition = Condition::Or(vec![number(Operator::Equal), weak]);
        let decision = decide(&condition, &fields(), Pushdown::Connector, &Imaginary);
        let Some(Filter::Or(arms)) = decision.pushed else {
            panic!("not sent")
        };
        assert_eq!(arms.len(), 2);
        assert!(!decision.exact);
    }

    #[test]
    fn levels_alternate_as_groups() {
        let inner = Condition::Or(vec![number(Operator::Less), number(Operator::Greater)]);
        let condition = Condition::And(vec![number(Operator::NotEqual), inner]);
        let decision = decide(&condition, &fields(), Pushdown::Connector, &Imaginary);
        let Some(Filter::And(parts)) = decision.pushed else {
            panic!("not sent")
        };
        assert!(matches!(parts[1], Filter::Or(_)));
    }

    #[test]
    fn a_late_value_is_rechecked_unless_it_is_a_whole_number() {
        let parameter = |class| Condition::Compare {
            field: AMOUNT,
            operator: Operator::Less,
            operand: Operand::Parameter { index: 0, class },
            class,
        };
        let whole = parameter(ValueClass::Integer);
        assert_eq!(verdict(&whole, Pushdown::Connector), Verdict::Rechecked);
        let mut narrow = fields();
        narrow[AMOUNT].column_type = ColumnType::Int32;
        assert!(decide(&whole, &narrow, Pushdown::Connector, &Imaginary).exact);
        let late = decide(
            &parameter(ValueClass::Number),
            &fields(),
            Pushdown::Connector,
            &Imaginary,
        );
        assert!(late.pushed.is_some() && !late.exact);
        assert_eq!(late.reasons, [Refusal::LateValue]);
    }

    #[test]
    fn a_conversion_keeps_comparisons_here_and_lets_null_tests_go() {
        let mut fields = fields();
        fields[AT].conversion = Conversion::DateOnly;
        let decided =
            |condition: &Condition| decide(condition, &fields, Pushdown::Extended, &Imaginary);
        let comparison = decided(&compare(AT, Operator::Less, Value::Date(0)));
        assert_eq!(comparison.reasons, [Refusal::Conversion]);
        assert!(decided(&Condition::IsNull { field: AT }).exact);
    }
}
