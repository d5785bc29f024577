//! How the CRM's answer to a condition compares with SQL's (Oracle page 4.2). The values are fitted in `fit.rs`.

use crate::kind::FieldKind;
use crm_core::{Capability, ColumnType, FieldFacts, Operator, Shape};

const UNKNOWN: Capability = Capability::No(
    "the column option remote_type is not set or not known, and the comparison depends on it",
);
const COMPUTED: Capability =
    Capability::No("the CRM puts the field together when it is read and does not filter by it");
const CASE: Capability = Capability::No(
    "whether the CRM compares the field with regard to case is not known, so records could be missed",
);
const TEXT_ORDER: Capability = Capability::No("the CRM orders text differently");
const NO_PATTERN: Capability =
    Capability::No("the CRM has no pattern match on fields of this type");
const TRUTH: Capability =
    Capability::No("how the CRM writes truth values in a condition is not documented");

/// Which conditions the CRM answers with the same records, with more, or not at all.
pub(crate) fn capability(field: &FieldFacts, shape: Shape) -> Capability {
    use FieldKind as Kind;
    let kind = FieldKind::of(field);
    match (kind, shape) {
        (Kind::Unknown, _) => UNKNOWN,
        (Kind::Computed, _) => COMPUTED,
        (Kind::Boolean, _) => TRUTH,
        (_, Shape::IsNull | Shape::IsNotNull) => Capability::Exact,
        (Kind::Decimal, _)
            if matches!(field.column_type, ColumnType::Int32 | ColumnType::Int64) =>
        {
            Capability::No("the column holds whole numbers, the field also others")
        }
        (_, Shape::Compare(_) | Shape::In) if field.column_type == ColumnType::Timestamp => {
            Capability::No("the column shows the clock of a zone, the CRM compares moments")
        }
        // A client that ran against the service took empty ones to be left out, as SQL has it; nobody documents it.
        (Kind::Int | Kind::Decimal | Kind::Date, Shape::Compare(Operator::NotEqual)) => {
            Capability::Lossy
        }
        (Kind::Int | Kind::Decimal | Kind::Date, Shape::Compare(_) | Shape::In) => {
            Capability::Exact
        }
        (Kind::Instant, Shape::Compare(Operator::NotEqual)) => {
            Capability::No("the CRM compares whole seconds, so records would be missed")
        }
        // Times may come without a zone; what such a clock shows twice is asked for twice (D-1).
        (Kind::Instant, Shape::Compare(_) | Shape::In) => Capability::Lossy,
        (Kind::Time, _) => Capability::No("times of day are not compared remotely"),
        (Kind::Phone, _) => Capability::No("the CRM compares phone numbers in a form of its own"),
        (Kind::LongText, _) => Capability::No("the CRM compares long texts too slowly"),
        (Kind::MultiPicklist, _) => Capability::No("lists are not compared remotely"),
        (Kind::Id | Kind::Text | Kind::Picklist, Shape::Compare(Operator::Equal) | Shape::In) => {
            Capability::Lossy
        }
        (Kind::Text, Shape::Like) => Capability::Lossy,
        (_, Shape::Like) => NO_PATTERN,
        (_, Shape::Compare(Operator::NotEqual)) => CASE,
        (_, Shape::Compare(_)) => TEXT_ORDER,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crm_core::Conversion;

    pub(crate) fn facts(remote_type: &str, column_type: ColumnType) -> FieldFacts {
        FieldFacts {
            name: "F".into(),
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
        let column_type = FieldKind::of_word(remote_type).column_type();
        facts(remote_type, column_type.unwrap_or(ColumnType::Text))
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
            ("ID", "L-----L-EE"),
            ("Text (Short)", "L-----LLEE"),
            ("Text (Long)", "--------EE"),
            ("Picklist", "L-----L-EE"),
            ("Multi-Select Picklist", "--------EE"),
            ("Phone", "--------EE"),
            ("Checkbox", "----------"),
            ("Integer", "ELEEEEE-EE"),
            ("Number", "ELEEEEE-EE"),
            ("Currency", "ELEEEEE-EE"),
            ("Date", "ELEEEEE-EE"),
            ("Date/Time", "L-LLLLL-EE"),
            ("Time", "--------EE"),
            ("Web Link", "----------"),
            ("Hologram", "----------"),
        ] {
            let field = usual(remote_type);
            let letters: String = shapes.iter().map(|shape| letter(&field, *shape)).collect();
            assert_eq!(letters, expected, "{remote_type}");
        }
        for (column_type, expected) in [
            (ColumnType::Text, "----------"),
            (ColumnType::Bool, "----------"),
            (ColumnType::Numeric, "ELEEEEE-EE"),
            (ColumnType::Int32, "--------EE"),
            (ColumnType::Date, "ELEEEEE-EE"),
            (ColumnType::Instant, "L-LLLLL-EE"),
            (ColumnType::Json, "----------"),
        ] {
            let field = facts("", column_type);
            let letters: String = shapes.iter().map(|shape| letter(&field, *shape)).collect();
            assert_eq!(letters, expected, "{column_type:?}");
        }
        // A wall clock is not compared with moments.
        let clock = facts("Date/Time", ColumnType::Timestamp);
        let letters: String = shapes.iter().map(|shape| letter(&clock, *shape)).collect();
        assert_eq!(letters, "--------EE");
    }
}
