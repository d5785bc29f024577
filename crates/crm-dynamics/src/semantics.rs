//! How the vendor's answer to a condition, an order or an aggregate compares with SQL's (Dynamics page 5.1).
//! The values themselves are fitted in `fit.rs`.

use crate::types::Kind;
use crm_core::{
    AggregateFunction, Capability, ColumnType, Conversion, FieldFacts, Operator, Shape,
};

/// What a field holds, as far as comparing goes: a record identifier is one whatever else is said of it.
pub(crate) fn kind_of(field: &FieldFacts) -> Kind {
    match Kind::of(&field.remote_type) {
        Kind::Unsaid if field.identifier => Kind::Guid,
        kind => kind,
    }
}

const CASE: Capability =
    Capability::No("the CRM compares text without regard to case, so records would be missed");
const TEXT_ORDER: Capability = Capability::No("the CRM orders text differently");
const NO_PATTERN: Capability =
    Capability::No("the CRM has no pattern match on fields of this type");

/// Which conditions the vendor answers with the same records, with more, or not at all.
pub(crate) fn capability(field: &FieldFacts, shape: Shape) -> Capability {
    let kind = kind_of(field);
    match (kind, shape) {
        (Kind::Unsaid, _) => Capability::No(
            "the column option remote_type is not set, and the condition depends on it",
        ),
        (Kind::Other, _) => Capability::No("the CRM does not filter by fields of this type"),
        (_, Shape::IsNull | Shape::IsNotNull) => Capability::Exact,
        (Kind::Choices, _) => {
            // A comparison of sets has its own rules, and the search in them lags behind writes (page 5).
            Capability::No("sets of options are not compared remotely")
        }
        (Kind::File | Kind::Target, _) => {
            Capability::No("the CRM does not filter by fields of this type")
        }
        _ if !shows_values(kind, field.column_type) => match kind {
            Kind::Choice => Capability::No("labels are compared here, the CRM compares numbers"),
            Kind::Decimal | Kind::Money | Kind::Double => {
                Capability::No("the column holds whole numbers, the field also others")
            }
            _ => Capability::No("the column shows another type than the field has"),
        },
        (Kind::Int | Kind::BigInt | Kind::Choice | Kind::Day, Shape::Compare(_) | Shape::In) => {
            Capability::Exact
        }
        // Digits behind those of the field may be cut there (page 5.1).
        (Kind::Decimal | Kind::Money, Shape::Compare(_) | Shape::In) => Capability::Lossy,
        (Kind::Double, Shape::Compare(Operator::NotEqual)) => {
            Capability::No("the CRM rounds such numbers, so records would be missed")
        }
        (Kind::Double, Shape::Compare(_) | Shape::In) => Capability::Lossy,
        // Whether fractions of a second take part in a comparison is not documented:
        // these two mean the same either way.
        (
            Kind::Instant | Kind::WallClock,
            Shape::Compare(Operator::Less | Operator::GreaterOrEqual),
        ) => Capability::Exact,
        (Kind::Instant | Kind::WallClock, Shape::Compare(Operator::NotEqual)) => {
            Capability::No("the CRM compares whole seconds, so records would be missed")
        }
        (Kind::Instant | Kind::WallClock, Shape::Compare(_) | Shape::In) => Capability::Lossy,
        (Kind::Boolean, Shape::Compare(Operator::Equal)) => Capability::Lossy,
        (
            Kind::Guid | Kind::Lookup,
            Shape::Compare(Operator::Equal | Operator::NotEqual) | Shape::In,
        ) => Capability::Exact,
        (Kind::Guid | Kind::Lookup, _) => Capability::No("the CRM orders identifiers differently"),
        (Kind::Text, Shape::Compare(Operator::Equal) | Shape::In | Shape::Like) => {
            Capability::Lossy
        }
        (Kind::Text, Shape::Compare(Operator::NotEqual)) => CASE,
        (Kind::Text, Shape::Compare(_)) => TEXT_ORDER,
        (_, Shape::Like) => NO_PATTERN,
        _ => Capability::No("the CRM does not compare fields of this type like this"),
    }
}

/// The column shows the field's values as they are compared.
fn shows_values(kind: Kind, column_type: ColumnType) -> bool {
    match kind {
        Kind::Int | Kind::Choice => matches!(
            column_type,
            ColumnType::Int32 | ColumnType::Int64 | ColumnType::Numeric
        ),
        Kind::BigInt => matches!(column_type, ColumnType::Int64 | ColumnType::Numeric),
        Kind::Decimal | Kind::Money | Kind::Double => {
            matches!(column_type, ColumnType::Numeric | ColumnType::Float64)
        }
        Kind::Guid | Kind::Lookup => matches!(column_type, ColumnType::Uuid | ColumnType::Text),
        Kind::Text => column_type == ColumnType::Text,
        Kind::Boolean => column_type == ColumnType::Bool,
        Kind::Instant => column_type == ColumnType::Instant,
        Kind::WallClock => column_type == ColumnType::Timestamp,
        Kind::Day => column_type == ColumnType::Date,
        Kind::Choices | Kind::Target | Kind::File | Kind::Unsaid | Kind::Other => false,
    }
}

/// Whether the remote order of this field is PostgreSQL's, where the nulls lie as [`places_nulls`] says.
///
/// Texts sort without case, lookups by the name of their record, identifiers by groups of bytes; doubles are rounded
/// when they are shown, so that equal ones need not be.
pub(crate) fn sorts_alike(field: &FieldFacts) -> bool {
    field.sortable
        && field.conversion == Conversion::Default
        && matches!(
            Kind::of(&field.remote_type),
            Kind::Int
                | Kind::BigInt
                | Kind::Decimal
                | Kind::Money
                | Kind::Day
                | Kind::Instant
                | Kind::WallClock
        )
        && shows_values(kind_of(field), field.column_type)
        && field.column_type != ColumnType::Float64
}

/// Nulls sort lowest there, and no query can say otherwise.
pub(crate) fn places_nulls(descending: bool, nulls_first: bool) -> bool {
    descending != nulls_first
}

/// Whether the aggregate's answer is PostgreSQL's: records are counted, and nothing more is asked (page 5).
pub(crate) fn aggregates_alike(function: AggregateFunction, _field: Option<&FieldFacts>) -> bool {
    function == AggregateFunction::CountAll
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn facts(remote_type: &str, column_type: ColumnType) -> FieldFacts {
        FieldFacts {
            name: "f".into(),
            remote_type: remote_type.into(),
            column_type,
            conversion: Conversion::Default,
            filterable: true,
            sortable: true,
            case_sensitive: false,
            identifier: false,
        }
    }

    /// The default column of a vendor type.
    pub(crate) fn usual(remote_type: &str) -> FieldFacts {
        let column_type = Kind::of(remote_type).column_type(false);
        facts(remote_type, column_type.unwrap_or(ColumnType::Text))
    }

    #[test]
    fn conditions_by_type() {
        use Shape::{Compare, In, IsNotNull, IsNull, Like};
        let (equal, not_equal) = (Compare(Operator::Equal), Compare(Operator::NotEqual));
        let (less, greater) = (Compare(Operator::Less), Compare(Operator::Greater));
        let at_least = Compare(Operator::GreaterOrEqual);
        // E: exact, L: lossy, -: not sent.
        for (remote_type, expected) in [
            ("IntegerType", "EEEEEE-EE"),
            ("BigIntType", "EEEEEE-EE"),
            ("PicklistType", "EEEEEE-EE"),
            ("DecimalType", "LLLLLL-EE"),
            ("MoneyType", "LLLLLL-EE"),
            ("DoubleType", "L-LLLL-EE"),
            ("DateTimeType:DateOnly", "EEEEEE-EE"),
            ("DateTimeType:UserLocal", "L-ELEL-EE"),
            ("DateTimeType:TimeZoneIndependent", "L-ELEL-EE"),
            ("BooleanType", "L------EE"),
            ("StringType", "L----LLEE"),
            ("LookupType", "EE---E-EE"),
            ("UniqueidentifierType", "EE---E-EE"),
            ("MultiSelectPicklistType", "-------EE"),
            ("HologramType", "---------"),
            ("", "---------"),
        ] {
            let shapes = [
                equal, not_equal, less, greater, at_least, In, Like, IsNull, IsNotNull,
            ];
            let found = shapes.map(|shape| match capability(&usual(remote_type), shape) {
                Capability::Exact => 'E',
                Capability::Lossy => 'L',
                Capability::No(_) => '-',
            });
            assert_eq!(String::from_iter(found), expected, "{remote_type}");
        }
    }

    #[test]
    fn columns_of_another_type_are_compared_here() {
        for (remote_type, column_type) in [
            ("PicklistType", ColumnType::Text),
            ("DecimalType", ColumnType::Int32),
            ("DateTimeType:UserLocal", ColumnType::Date),
            ("DateTimeType:DateOnly", ColumnType::Instant),
            ("BigIntType", ColumnType::Int32),
        ] {
            let field = facts(remote_type, column_type);
            let found = capability(&field, Shape::Compare(Operator::Equal));
            assert!(matches!(found, Capability::No(_)), "{remote_type}");
            assert_eq!(capability(&field, Shape::IsNull), Capability::Exact);
            assert!(!sorts_alike(&field), "{remote_type}");
        }
    }

    #[test]
    fn orders_that_both_sides_share() {
        for (remote_type, expected) in [
            ("IntegerType", true),
            ("BigIntType", true),
            ("DecimalType", true),
            ("MoneyType", true),
            ("DoubleType", false),
            ("DateTimeType:DateOnly", true),
            ("DateTimeType:UserLocal", true),
            ("DateTimeType:TimeZoneIndependent", true),
            ("StringType", false),
            ("PicklistType", false),
            ("LookupType", false),
            ("UniqueidentifierType", false),
            ("BooleanType", false),
            ("", false),
        ] {
            assert_eq!(sorts_alike(&usual(remote_type)), expected, "{remote_type}");
        }
        let unsortable = FieldFacts {
            sortable: false,
            ..usual("IntegerType")
        };
        assert!(!sorts_alike(&unsortable));
        assert!(places_nulls(false, true) && places_nulls(true, false));
        assert!(!places_nulls(false, false) && !places_nulls(true, true));
    }
}
