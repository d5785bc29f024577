//! How Salesforce's answer to a condition, an order or an aggregate compares with SQL's (Salesforce page 4.3, 4.4).
//! The values themselves are fitted in `fit.rs`.

use crm_core::{
    AggregateFunction, Capability, ColumnType, Conversion, FieldFacts, Operator, Shape,
};

/// What a field holds, as far as comparing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// The record identifier.
    Id,
    /// A lookup: usually an identifier, on external objects any text.
    Reference,
    /// Text that ignores case.
    Text,
    /// Text whose `LIKE` looks at the label instead of the value.
    Picklist,
    /// Several texts in one.
    MultiPicklist,
    /// Truth value; its empty state counts as false.
    Boolean,
    /// 32-bit integer.
    Int,
    /// 64-bit integer.
    Long,
    /// Decimal number.
    Decimal,
    /// Day.
    Date,
    /// Point in time.
    Instant,
    /// Time of day.
    Time,
    /// Cannot be filtered at all.
    Opaque,
    /// A text column whose field's type the table does not say: it may be anything.
    Unsaid,
}

impl FieldKind {
    /// Decided by the vendor's type word, or by the column where the table does not say.
    pub(crate) fn of(field: &FieldFacts) -> Self {
        if field.identifier {
            return Self::Id;
        }
        match field.remote_type.to_ascii_lowercase().as_str() {
            "id" => Self::Id,
            "reference" => Self::Reference,
            "string" | "textarea" | "phone" | "email" | "url" => Self::Text,
            "picklist" | "combobox" => Self::Picklist,
            "multipicklist" => Self::MultiPicklist,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "double" | "currency" | "percent" => Self::Decimal,
            "date" => Self::Date,
            "datetime" => Self::Instant,
            "time" => Self::Time,
            "" => match field.column_type {
                ColumnType::Bool => Self::Boolean,
                ColumnType::Int32
                | ColumnType::Int64
                | ColumnType::Float64
                | ColumnType::Numeric => Self::Decimal,
                ColumnType::Date => Self::Date,
                ColumnType::Instant => Self::Instant,
                ColumnType::Time => Self::Time,
                ColumnType::TextArray => Self::MultiPicklist,
                ColumnType::Text => Self::Unsaid,
                _ => Self::Opaque,
            },
            // anyType, base64, encryptedstring, address, location, complexvalue and words not known here.
            _ => Self::Opaque,
        }
    }

    /// A number of any kind.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Long | Self::Decimal)
    }
}

const CASE: Capability =
    Capability::No("the CRM compares text without regard to case, so records would be missed");
const TEXT_ORDER: Capability = Capability::No("the CRM orders text differently");
const OPAQUE: Capability = Capability::No("the CRM does not filter by fields of this type");
const NO_PATTERN: Capability =
    Capability::No("the CRM has no pattern match on fields of this type");

/// Which conditions Salesforce answers with the same records, with more, or not at all.
pub(crate) fn capability(field: &FieldFacts, shape: Shape) -> Capability {
    use FieldKind as Kind;
    let kind = FieldKind::of(field);
    match (kind, shape) {
        (Kind::Opaque, _) => OPAQUE,
        (_, Shape::Compare(_) | Shape::In) if field.column_type == ColumnType::Uuid => {
            Capability::No("the CRM holds no values of this type")
        }
        (Kind::Decimal, _)
            if matches!(field.column_type, ColumnType::Int32 | ColumnType::Int64) =>
        {
            Capability::No("the column holds whole numbers, the field also others")
        }
        (_, Shape::Compare(_) | Shape::In) if field.column_type == ColumnType::Timestamp => {
            Capability::No("the column shows the clock of a zone, the CRM compares moments")
        }
        (Kind::Boolean, Shape::IsNull | Shape::IsNotNull) => {
            Capability::No("the CRM takes an empty truth value for false")
        }
        (Kind::Unsaid, Shape::IsNull | Shape::IsNotNull) => Capability::No(
            "the column option remote_type is not set, and a null test depends on it",
        ),
        (_, Shape::IsNull | Shape::IsNotNull) => Capability::Exact,
        (Kind::Boolean, Shape::Compare(Operator::Equal)) => Capability::Lossy,
        (Kind::Boolean, _) => Capability::No("the CRM takes an empty truth value for false"),
        (
            Kind::Int | Kind::Long | Kind::Decimal | Kind::Date,
            Shape::Compare(Operator::NotEqual),
        ) => {
            // It adds the empty ones.
            Capability::Lossy
        }
        (Kind::Int | Kind::Long | Kind::Decimal | Kind::Date, Shape::Compare(_) | Shape::In) => {
            Capability::Exact
        }
        // Whether fractions of a second take part in a comparison is not documented:
        // these two mean the same either way.
        (Kind::Instant, Shape::Compare(Operator::Less | Operator::GreaterOrEqual)) => {
            Capability::Exact
        }
        (Kind::Instant, Shape::Compare(Operator::NotEqual)) => {
            Capability::No("the CRM compares whole seconds, so records would be missed")
        }
        (Kind::Instant, Shape::Compare(_) | Shape::In) => Capability::Lossy,
        (Kind::Time, _) => Capability::No("times of day are not compared remotely"),
        (Kind::MultiPicklist, Shape::Compare(Operator::Equal) | Shape::In)
            if field.column_type != ColumnType::Text =>
        {
            Capability::No("lists are not compared remotely")
        }
        (
            Kind::Id
            | Kind::Reference
            | Kind::Text
            | Kind::Picklist
            | Kind::MultiPicklist
            | Kind::Unsaid,
            Shape::Compare(Operator::Equal) | Shape::In,
        ) => Capability::Lossy,
        (Kind::Text, Shape::Like) => Capability::Lossy,
        (_, Shape::Like) => NO_PATTERN,
        (_, Shape::Compare(Operator::NotEqual)) => CASE,
        (_, Shape::Compare(_)) => TEXT_ORDER,
    }
}

/// Whether the remote order of this field is PostgreSQL's, nulls being placed by the query.
///
/// Text sorts without case and picklists by definition. Currency is marked unsortable by `describe.rs` where the
/// organisation has several currencies, for it is sorted by converted amounts there.
pub(crate) fn sorts_alike(field: &FieldFacts) -> bool {
    field.sortable && is_ordered_alike(field)
}

/// Whether the aggregate's answer is PostgreSQL's.
pub(crate) fn aggregates_alike(function: AggregateFunction, field: Option<&FieldFacts>) -> bool {
    match (function, field) {
        (AggregateFunction::CountAll, _) => true,
        // What has no common order, as amounts in several currencies, has no largest either.
        (AggregateFunction::Min | AggregateFunction::Max, Some(field)) => {
            field.sortable && is_ordered_alike(field)
        }
        (AggregateFunction::Min | AggregateFunction::Max, None) => false,
    }
}

/// The field's type is said, has an order that both sides share, and the column shows it undistorted.
fn is_ordered_alike(field: &FieldFacts) -> bool {
    if field.conversion != Conversion::Default || field.remote_type.is_empty() {
        return false;
    }
    match FieldKind::of(field) {
        FieldKind::Int => matches!(
            field.column_type,
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Numeric
        ),
        FieldKind::Long => matches!(field.column_type, ColumnType::Int64 | ColumnType::Numeric),
        FieldKind::Decimal => {
            matches!(field.column_type, ColumnType::Numeric | ColumnType::Float64)
        }
        FieldKind::Date => field.column_type == ColumnType::Date,
        FieldKind::Instant => field.column_type == ColumnType::Instant,
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn facts(remote_type: &str, column_type: ColumnType) -> FieldFacts {
        FieldFacts {
            name: "F__c".into(),
            remote_type: remote_type.into(),
            column_type,
            conversion: Conversion::Default,
            filterable: true,
            sortable: true,
            case_sensitive: false,
            identifier: false,
        }
    }

    /// The default column of a vendor type, as `describe.rs` makes it.
    pub(crate) fn usual(remote_type: &str) -> FieldFacts {
        let column_type = crate::describe::column_type(&remote_type.to_ascii_lowercase())
            .unwrap_or(ColumnType::Text);
        facts(remote_type, column_type)
    }

    /// `E` exact, `L` lossy, `-` no.
    fn letter(field: &FieldFacts, shape: Shape) -> char {
        match capability(field, shape) {
            Capability::Exact => 'E',
            Capability::Lossy => 'L',
            Capability::No(reason) => {
                assert!(reason.len() > 10);
                '-'
            }
        }
    }

    #[test]
    fn the_capability_table() {
        let shapes = [
            Shape::Compare(Operator::Equal),
            Shape::Compare(Operator::NotEqual),
            Shape::Compare(Operator::Less),
            Shape::Compare(Operator::LessOrEqual),
            Shape::Compare(Operator::Greater),
            Shape::Compare(Operator::GreaterOrEqual),
            Shape::In,
            Shape::Like,
            Shape::IsNull,
            Shape::IsNotNull,
        ];
        //  in this order:  =  <>  <  <=  >  >=  in  like  null  not null
        for (remote_type, expected) in [
            ("id", "L-----L-EE"),
            ("reference", "L-----L-EE"),
            ("string", "L-----LLEE"),
            ("textarea", "L-----LLEE"),
            ("picklist", "L-----L-EE"),
            ("combobox", "L-----L-EE"),
            ("multipicklist", "--------EE"),
            ("boolean", "L---------"),
            ("int", "ELEEEEE-EE"),
            ("long", "ELEEEEE-EE"),
            ("double", "ELEEEEE-EE"),
            ("currency", "ELEEEEE-EE"),
            ("date", "ELEEEEE-EE"),
            ("datetime", "L-ELLEL-EE"),
            ("time", "--------EE"),
            ("anyType", "----------"),
            ("base64", "----------"),
            ("encryptedstring", "----------"),
            ("address", "----------"),
            ("location", "----------"),
            ("somethingNew", "----------"),
        ] {
            let field = usual(remote_type);
            let letters: String = shapes.iter().map(|shape| letter(&field, *shape)).collect();
            assert_eq!(letters, expected, "{remote_type}");
        }
        for (column_type, expected) in [
            (ColumnType::Text, "L-----L---"),
            (ColumnType::Bool, "L---------"),
            (ColumnType::Numeric, "ELEEEEE-EE"),
            (ColumnType::Date, "ELEEEEE-EE"),
            (ColumnType::Instant, "L-ELLEL-EE"),
            (ColumnType::Json, "----------"),
        ] {
            let field = facts("", column_type);
            let letters: String = shapes.iter().map(|shape| letter(&field, *shape)).collect();
            assert_eq!(letters, expected, "{column_type:?}");
        }
        // A wall clock is not compared with moments.
        let clock = facts("datetime", ColumnType::Timestamp);
        let letters: String = shapes.iter().map(|shape| letter(&clock, *shape)).collect();
        assert_eq!(letters, "--------EE");
    }

    #[test]
    fn orders_and_aggregates_that_are_postgresqls() {
        for (remote_type, expected) in [
            ("int", true),
            ("double", true),
            ("currency", true),
            ("percent", true),
            ("date", true),
            ("datetime", true),
            ("time", false),
            ("string", false),
            ("id", false),
            ("picklist", false),
            ("boolean", false),
            ("", false),
        ] {
            let field = usual(remote_type);
            assert_eq!(sorts_alike(&field), expected, "{remote_type}");
            let largest = aggregates_alike(AggregateFunction::Max, Some(&field));
            assert_eq!(largest, expected, "{remote_type}");
            let unsortable = FieldFacts {
                sortable: false,
                ..field
            };
            assert!(!sorts_alike(&unsortable));
        }
        // A number shown as text, or an instant cut to its day, has another order here.
        assert!(!sorts_alike(&facts("double", ColumnType::Text)));
        assert!(!sorts_alike(&facts("datetime", ColumnType::Timestamp)));
        assert!(!sorts_alike(&facts("double", ColumnType::Int32)));
        assert!(aggregates_alike(AggregateFunction::CountAll, None));
        assert!(!aggregates_alike(AggregateFunction::Min, None));
    }
}
