//! A query into a search specification: the only place that writes a name or a literal into one (Oracle page 4.2).

use crate::tags;
use crm_core::{
    Error, ErrorKind, Filter, RemoteQuery, Result, Value, format_date, format_instant_seconds,
    is_plain_number,
};
use std::fmt::Write;

/// EXPLAIN shows so many identifiers of a lookup.
const SHOWN_IDS: usize = 3;

/// The query as EXPLAIN shows it, and without its end as `crm.query` takes it: the object, its fields in parentheses, the
/// search specification, how many records are asked for. Parameters not yet known stand as `$1`.
///
/// # Errors
/// [`ErrorKind::ObjectUnknown`], [`ErrorKind::FieldUnknown`] for a name that the service cannot have,
/// [`ErrorKind::NotSupported`] for what a specification cannot say.
pub(crate) fn query(query: &RemoteQuery) -> Result<String> {
    let fields = tags(query)?.join(",");
    let mut text = format!("{}({fields})", tags::object(&query.object)?);
    if let Some(ids) = &query.lookup {
        let shown = ids.iter().take(SHOWN_IDS).cloned().map(Value::Text);
        let list = Filter::In {
            field: query.identifier.clone(),
            values: Value::List(shown.collect()),
        };
        if !ids.is_empty() {
            let _ = write!(text, " {}", filter(&list)?);
        }
        if ids.len() > SHOWN_IDS {
            let _ = write!(text, " … {} more", ids.len() - SHOWN_IDS);
        }
    } else if let Some(condition) = &query.filter {
        let _ = write!(text, " {}", filter(condition)?);
    }
    if let Some(limit) = query.limit {
        let _ = write!(text, " first {limit}");
    }
    Ok(text)
}

/// Tags of the query's fields, each once, the identifier first: pages are found by it.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] for a name that is no tag.
pub(crate) fn tags(query: &RemoteQuery) -> Result<Vec<&str>> {
    let mut tags = vec![tags::field(&query.identifier)?];
    for field in &query.fields {
        let name = tags::field(&field.name)?;
        if !tags.contains(&name) {
            tags.push(name);
        }
    }
    Ok(tags)
}

/// A condition as a search specification. Joined expressions stand in parentheses, a lone one does not.
///
/// # Errors
/// As [`query`].
pub(crate) fn filter(condition: &Filter<Value>) -> Result<String> {
    match condition {
        Filter::And(parts) => joined(parts.iter().map(filter), " AND "),
        Filter::Or(arms) => joined(arms.iter().map(filter), " OR "),
        Filter::Compare {
            field,
            operator,
            value,
        } => expression(field, operator.symbol(), value),
        Filter::In {
            field,
            values: Value::List(values),
        } => joined(
            values.iter().map(|value| expression(field, "=", value)),
            " OR ",
        ),
        Filter::In { field, values } => expression(field, "=", values),
        // Without regard to case, so that ILIKE finds its records as well.
        Filter::Like { field, pattern } => expression(field, "~LIKE", pattern),
        Filter::IsNull { field } => Ok(format!("[{}] IS NULL", tags::field(field)?)),
        Filter::IsNotNull { field } => Ok(format!("[{}] IS NOT NULL", tags::field(field)?)),
    }
}

/// A specification of those records that `wanted` finds behind an identifier.
///
/// # Errors
/// As [`query`].
pub(crate) fn behind(
    identifier: &str,
    id: Option<&str>,
    wanted: Option<String>,
) -> Result<Option<String>> {
    let Some(id) = id else {
        return Ok(wanted);
    };
    let behind = Ok(format!("[{}] > {}", tags::field(identifier)?, quoted(id)));
    joined(std::iter::once(behind).chain(wanted.map(Ok)), " AND ").map(Some)
}

fn joined(parts: impl Iterator<Item = Result<String>>, conjunction: &str) -> Result<String> {
    let mut parts = parts.collect::<Result<Vec<_>>>()?;
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    let parts: Vec<_> = parts.iter().map(|part| format!("({part})")).collect();
    Ok(parts.join(conjunction))
}

fn expression(field: &str, operator: &str, value: &Value) -> Result<String> {
    Ok(format!(
        "[{}] {operator} {}",
        tags::field(field)?,
        literal(value)?
    ))
}

/// A literal: always in quotes, numbers and dates too.
fn literal(value: &Value) -> Result<String> {
    let text = match value {
        Value::Int(number) => number.to_string(),
        Value::Numeric(digits) if is_plain_number(digits) => digits.clone(),
        Value::Date(day) => format_date(*day).ok_or_else(|| unsayable("a date"))?,
        Value::Instant(instant) => {
            format_instant_seconds(*instant).ok_or_else(|| unsayable("a time"))?
        }
        Value::Text(text) => text.clone(),
        Value::Placeholder(number) => return Ok(format!("${number}")),
        _ => return Err(unsayable("a value")),
    };
    Ok(quoted(&text))
}

/// Text as a literal; a quote in it is doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn unsayable(what: &str) -> Error {
    Error::new(
        ErrorKind::NotSupported,
        format!("the CRM cannot read {what} of the condition"),
    )
}

/// A parameter that has no value yet stands in the condition.
pub(crate) fn has_placeholder(condition: &Filter<Value>) -> bool {
    match condition {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(has_placeholder),
        Filter::Compare { value, .. }
        | Filter::In { values: value, .. }
        | Filter::Like { pattern: value, .. } => match value {
            Value::Placeholder(_) => true,
            Value::List(values) => values
                .iter()
                .any(|value| matches!(value, Value::Placeholder(_))),
            _ => false,
        },
        Filter::IsNull { .. } | Filter::IsNotNull { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{ColumnType, Operator, QueryField};
    use proptest::prelude::*;

    fn compare(operator: Operator, value: Value) -> Filter<Value> {
        Filter::Compare {
            field: "A".into(),
            operator,
            value,
        }
    }

    fn null() -> Filter<Value> {
        Filter::IsNull { field: "B".into() }
    }

    #[test]
    fn conditions_in_the_grammar() {
        let one = || compare(Operator::GreaterOrEqual, Value::Int(-7));
        let list = |values: Vec<Value>| Filter::In {
            field: "A".into(),
            values: Value::List(values),
        };
        for (condition, expected) in [
            (one(), "[A] >= '-7'"),
            (
                compare(Operator::NotEqual, Value::Numeric("1.50".into())),
                "[A] <> '1.50'",
            ),
            (
                compare(Operator::Equal, Value::Date(0)),
                "[A] = '1970-01-01'",
            ),
            (
                compare(Operator::Less, Value::Instant(1_000_000)),
                "[A] < '1970-01-01T00:00:01Z'",
            ),
            (
                compare(Operator::Equal, Value::Text("O'Br'ien\"".into())),
                "[A] = 'O''Br''ien\"'",
            ),
            (compare(Operator::Equal, Value::Placeholder(2)), "[A] = $2"),
            (
                Filter::And(vec![one(), null()]),
                "([A] >= '-7') AND ([B] IS NULL)",
            ),
            (
                Filter::Or(vec![Filter::And(vec![one(), null()]), null()]),
                "(([A] >= '-7') AND ([B] IS NULL)) OR ([B] IS NULL)",
            ),
            (list(vec![Value::Int(1)]), "[A] = '1'"),
            (
                list(vec![Value::Int(1), Value::Int(2)]),
                "([A] = '1') OR ([A] = '2')",
            ),
            (
                Filter::Like {
                    field: "A".into(),
                    pattern: Value::Text("D*".into()),
                },
                "[A] ~LIKE 'D*'",
            ),
            (Filter::IsNotNull { field: "B".into() }, "[B] IS NOT NULL"),
        ] {
            assert_eq!(filter(&condition).unwrap(), expected);
        }
        for bad in [
            Value::Bool(true),
            Value::Numeric("1e5".into()),
            Value::Numeric("NaN".into()),
            Value::Date(i32::MAX),
            Value::Instant(i64::MIN),
        ] {
            let error = filter(&compare(Operator::Equal, bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSupported);
        }
    }

    #[test]
    fn the_identifier_is_always_asked_for() {
        let field = |name: &str| QueryField::plain(name, "", ColumnType::Text);
        let mut remote =
            RemoteQuery::all("Contact", "Id", vec![field("A"), field("Id"), field("A")]);
        assert_eq!(query(&remote).unwrap(), "Contact(Id,A)");
        remote.filter = Some(null());
        remote.limit = Some(10);
        assert_eq!(
            query(&remote).unwrap(),
            "Contact(Id,A) [B] IS NULL first 10"
        );
        remote.limit = None;
        remote.lookup = Some((1..=5).map(|number| format!("1-{number}")).collect());
        assert_eq!(
            query(&remote).unwrap(),
            "Contact(Id,A) ([Id] = '1-1') OR ([Id] = '1-2') OR ([Id] = '1-3') … 2 more"
        );
    }

    #[test]
    fn what_lies_behind_an_identifier() {
        let behind =
            |id, wanted: Option<&str>| behind("Id", id, wanted.map(str::to_owned)).unwrap();
        assert_eq!(behind(None, None), None);
        assert_eq!(behind(None, Some("x")).as_deref(), Some("x"));
        assert_eq!(behind(Some("1-A"), None).as_deref(), Some("[Id] > '1-A'"));
        assert_eq!(
            behind(Some("1-A"), Some("([B] IS NULL) OR ([C] IS NULL)")).as_deref(),
            Some("([Id] > '1-A') AND (([B] IS NULL) OR ([C] IS NULL))")
        );
    }

    proptest! {
        #[test]
        fn a_literal_ends_where_it_should(text in any::<String>()) {
            let written = quoted(&text);
            let inner = &written[1..written.len() - 1];
            prop_assert_eq!(inner.replace("''", "\u{0}").matches('\'').count(), 0);
            prop_assert_eq!(inner.replace("''", "'"), text);
        }
    }
}
