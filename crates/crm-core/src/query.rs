//! What is asked of a CRM: projection, filter, order, limit.

use crate::schema::Conversion;
use crate::value::{ColumnType, Value};
use serde::{Deserialize, Serialize};

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// The operator that means the same with the sides swapped.
    #[must_use]
    pub fn commuted(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    /// Its spelling in SQL, which the CRMs share.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// A remote filter. `V` is what stands on the right: an operand in a plan, a value when it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Filter<V> {
    /// All of them; never empty.
    And(Vec<Filter<V>>),
    /// Any of them; never empty.
    Or(Vec<Filter<V>>),
    /// A field compared with a value.
    Compare {
        /// Remote field name.
        field: String,
        /// How.
        operator: Operator,
        /// With what.
        value: V,
    },
    /// A field equal to one of a list of values.
    In {
        /// Remote field name.
        field: String,
        /// The list.
        values: V,
    },
    /// Text that matches an SQL `LIKE` pattern with backslash as escape.
    Like {
        /// Remote field name.
        field: String,
        /// The pattern.
        pattern: V,
    },
    /// Empty.
    IsNull {
        /// Remote field name.
        field: String,
    },
    /// Not empty.
    IsNotNull {
        /// Remote field name.
        field: String,
    },
}

/// One field of the projection and how its values are wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueryField {
    /// Remote name; may be a path through a parent, as `Owner.Name`.
    pub name: String,
    /// The vendor's word for the type, if known.
    pub remote_type: String,
    /// The decoded form.
    pub column_type: ColumnType,
    /// The column's conversion.
    pub conversion: Conversion,
}

/// One sort key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// Remote field name.
    pub field: String,
    /// Largest first.
    pub descending: bool,
    /// Empty ones first.
    pub nulls_first: bool,
}

/// An aggregate the CRM may compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AggregateFunction {
    /// Number of records.
    CountAll,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
}

/// One aggregate over a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Which.
    pub function: AggregateFunction,
    /// Remote field name; empty for a count of records.
    pub field: String,
}

/// Everything one scan asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct RemoteQuery {
    /// Remote object name.
    pub object: String,
    /// Its name in addresses, where that is another one and known: see [`crate::ObjectSummary::collection`].
    pub collection: Option<String>,
    /// What is read, in the order in which pages carry it. With aggregates: their results, in order.
    pub fields: Vec<QueryField>,
    /// Name of the record identifier.
    pub identifier: String,
    /// Records wanted; all when absent.
    pub filter: Option<Filter<Value>>,
    /// Fetch just these records by identifier (S-4); then no filter, order, limit or aggregate is given.
    pub lookup: Option<Vec<String>>,
    /// Order wanted; any when empty.
    pub sort: Vec<Sort>,
    /// At most so many records.
    pub limit: Option<u64>,
    /// Aggregates instead of records; empty for records.
    pub aggregates: Vec<Aggregate>,
    /// Records a page, if the user wants fewer than the CRM's maximum.
    pub page_size: Option<u32>,
}

impl RemoteQuery {
    /// All records of an object, these fields of them.
    pub fn all(object: &str, identifier: &str, fields: Vec<QueryField>) -> Self {
        Self {
            object: object.into(),
            collection: None,
            fields,
            identifier: identifier.into(),
            filter: None,
            lookup: None,
            sort: Vec::new(),
            limit: None,
            aggregates: Vec::new(),
            page_size: None,
        }
    }
}

impl QueryField {
    /// A field of that type without a conversion.
    pub fn plain(name: &str, remote_type: &str, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            remote_type: remote_type.into(),
            column_type,
            conversion: Conversion::Default,
        }
    }
}
