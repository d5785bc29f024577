//! A connector of a CRM that does not exist, for the tests of rules and binding.

use crate::error::{Error, ErrorKind, Result};
use crate::{
    Account, AggregateFunction, Capability, ColumnType, Connector, Conversion, FieldFacts, Filter,
    Fit, KeyForm, Operation, Operator, OptionDef, Pushdown, Reject, RemoteField, RemoteQuery,
    Route, Session, Shape, Value, WriteLimits, Zone,
};
use std::borrow::Cow;
use std::sync::Arc;

/// Numbers exactly, `<>` with more than asked, texts without regard to case, no order of texts; holds numbers
/// from -1,000 to 1,000 and cannot read `NaN`. The field `hidden` has another name in conditions.
pub(crate) struct Imaginary;

impl Connector for Imaginary {
    fn name(&self) -> &'static str {
        "imaginary"
    }

    fn query_language(&self) -> &'static str {
        "Query"
    }

    fn options(&self) -> &'static [OptionDef] {
        &[]
    }

    fn is_vendor_host(&self, _url: &str) -> bool {
        false
    }

    fn modification_fields(&self, _object: &str) -> &'static [&'static str] {
        &["modified"]
    }

    fn default_identifier(&self, _object: &str) -> &'static str {
        "id"
    }

    fn capability(&self, field: &FieldFacts, shape: Shape, _mode: Pushdown) -> Capability {
        match (field.column_type, shape) {
            (ColumnType::Text, Shape::Compare(Operator::Equal) | Shape::In | Shape::Like) => {
                Capability::Lossy
            }
            (ColumnType::Text, Shape::Compare(_)) => Capability::No("texts are sorted differently"),
            (_, Shape::Compare(Operator::NotEqual)) => Capability::Lossy,
            _ => Capability::Exact,
        }
    }

    fn condition_name<'f>(&self, field: &'f FieldFacts) -> Cow<'f, str> {
        if field.name == "hidden" {
            Cow::Borrowed("_hidden")
        } else {
            Cow::Borrowed(&field.name)
        }
    }

    fn fit(&self, _field: &FieldFacts, filter: Filter<Value>) -> Fit {
        if let Filter::Compare {
            operator, value, ..
        } = &filter
        {
            match (operator, value) {
                (_, Value::Numeric(text)) if text == "NaN" => {
                    return Fit::Unpushable("it has no such number");
                }
                (Operator::Less, Value::Int(1001..)) => return Fit::NotNull,
                (_, Value::Int(1001..)) => return Fit::Never,
                _ => {}
            }
        }
        Fit::Send {
            filter,
            exact: true,
        }
    }

    fn sorts_alike(&self, _field: &FieldFacts) -> bool {
        true
    }

    fn aggregates_alike(&self, _function: AggregateFunction, _field: Option<&FieldFacts>) -> bool {
        true
    }

    fn key_form(&self, _text: &str) -> KeyForm {
        KeyForm::Canonical
    }

    fn canonical_key(&self, text: &str) -> Option<String> {
        Some(text.into())
    }

    fn deparse(&self, _query: &RemoteQuery) -> Result<String> {
        Err(no_network())
    }

    fn lookup_batch(&self, _query: &RemoteQuery) -> usize {
        100
    }

    fn estimate_calls(&self, _query: &RemoteQuery, _rows: f64) -> f64 {
        1.0
    }

    fn write_limits(&self, _operation: Operation, _route: Route) -> WriteLimits {
        WriteLimits {
            records: 10,
            bytes: 1_000,
        }
    }

    fn write_route(
        &self,
        _operation: Operation,
        _records: usize,
        _transport: Option<&str>,
        _settles: bool,
    ) -> Route {
        Route::Calls
    }

    fn estimate_write_calls(&self, _operation: Operation, _route: Route, records: f64) -> f64 {
        (records / 10.0).ceil()
    }

    fn check_value(
        &self,
        _field: &RemoteField,
        _conversion: Conversion,
        _value: Option<&Value>,
        _zone: Zone,
    ) -> Option<Reject> {
        None
    }

    fn open(&self, _account: Account) -> Result<Arc<dyn Session>> {
        Err(no_network())
    }
}

fn no_network() -> Error {
    Error::new(ErrorKind::NotSupported, "it does not exist")
}

/// Fields 0 to 6: a number, a day, a point in time, a text, a truth value, a number that cannot be filtered by, and a
/// 128-bit identifier.
pub(crate) fn fields() -> Vec<FieldFacts> {
    let field = |name: &str, column_type, filterable| FieldFacts {
        name: name.into(),
        remote_type: String::new(),
        column_type,
        conversion: Conversion::Default,
        filterable,
        sortable: true,
        case_sensitive: false,
        identifier: false,
    };
    vec![
        field("amount", ColumnType::Numeric, true),
        field("day", ColumnType::Date, true),
        field("at", ColumnType::Instant, true),
        field("name", ColumnType::Text, true),
        field("vip", ColumnType::Bool, true),
        field("hidden", ColumnType::Numeric, false),
        field("parent", ColumnType::Uuid, true),
    ]
}
