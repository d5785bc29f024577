//! Queries as EXPLAIN shows them, with parameters where values are not known yet. Nothing of this is sent.

use super::fetch::{Part, count, lookup, page};
use crate::deparse::{SHOWN_IDS, is_count};
use crate::scan::page_size;
use crm_core::{Filter, RemoteQuery, Result, Value, comparison};
use std::fmt::Write;

/// The first of the queries that are sent for this one, for EXPLAIN.
///
/// # Errors
/// As [`page`].
pub(crate) fn shown_query(query: &RemoteQuery) -> Result<String> {
    let query = &RemoteQuery {
        filter: query.filter.as_ref().map(with_placeholders),
        ..query.clone()
    };
    if is_count(query) {
        return count(query);
    }
    if let Some(ids) = &query.lookup {
        let mut text = lookup(query, &ids[..ids.len().min(SHOWN_IDS)])?;
        if ids.len() > SHOWN_IDS {
            let _ = write!(text, " … {} more", ids.len() - SHOWN_IDS);
        }
        return Ok(text);
    }
    let size = u64::from(page_size(query));
    let size = query.limit.map_or(size, |limit| limit.clamp(1, size));
    let part = Part {
        number: 1,
        size: u32::try_from(size).unwrap_or(u32::MAX),
        cookie: None,
    };
    page(query, part)
}

/// The filter with `$1` and the like where values are not known yet: to be shown, for a query that is sent has values.
fn with_placeholders(filter: &Filter<Value>) -> Filter<Value> {
    let all = |parts: &[Filter<Value>]| parts.iter().map(with_placeholders).collect();
    let text = |number: &usize| Value::Text(format!("${number}"));
    match filter {
        Filter::And(parts) => Filter::And(all(parts)),
        Filter::Or(arms) => Filter::Or(all(arms)),
        Filter::Compare {
            field,
            operator,
            value: Value::Placeholder(number),
        } => comparison(field, *operator, text(number)),
        Filter::In {
            field,
            values: Value::Placeholder(number),
        } => Filter::In {
            field: field.clone(),
            values: Value::List(vec![text(number)]),
        },
        Filter::Like {
            field,
            pattern: Value::Placeholder(number),
        } => Filter::Like {
            field: field.clone(),
            pattern: text(number),
        },
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{ColumnType, Operator, QueryField};

    fn query() -> RemoteQuery {
        let fields = vec![QueryField::plain("name", "StringType", ColumnType::Text)];
        RemoteQuery::all("account", "accountid", fields)
    }

    #[test]
    fn a_shown_query_names_parameters_and_a_few_identifiers() {
        let parameter = comparison("revenue", Operator::Greater, Value::Placeholder(1));
        let shown_of = |query: RemoteQuery| shown_query(&query).unwrap();
        let text = shown_of(RemoteQuery {
            filter: Some(parameter),
            limit: Some(3),
            ..query()
        });
        assert!(
            text.contains("count=\"3\"") && text.contains("value=\"$1\""),
            "{text}"
        );
        let text = shown_of(RemoteQuery {
            filter: Some(Filter::In {
                field: "accountid".into(),
                values: Value::Placeholder(2),
            }),
            ..query()
        });
        assert!(text.contains("<value>$2</value>"), "{text}");
        let text = shown_of(RemoteQuery {
            lookup: Some((0..7).map(|n| n.to_string()).collect()),
            ..query()
        });
        assert!(text.contains("<value>4</value>") && !text.contains("<value>5</value>"));
        assert!(text.ends_with(" … 2 more"), "{text}");
    }
}
