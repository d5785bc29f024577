//! Queries in OData: the only place that writes names and literals into an address (Dynamics page, section 5).
//!
//! A query is made as plain options; they are encoded when they become part of an address. In what is shown, the
//! entity's name in braces stands for its set where the table does not say what the server calls it.

use crate::ids;
use crate::scan::page_size;
use crate::types::property;
use crm_core::{
    Error, ErrorKind, Filter, Operator, RemoteQuery, Result, Value, format_date,
    format_instant_seconds, is_plain_number, uuid_text,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::Write;

/// Longest address of a GET, and of one inside a batch (section 1).
pub(crate) const LONGEST_ADDRESS: usize = 32_768;
pub(crate) const LONGEST_IN_BATCH: usize = 65_536;
/// Lists of identifiers and numbers longer than this go as one condition, which a query has not so many of.
const LONGEST_CHAIN: usize = 30;
/// What EXPLAIN shows of a long list of identifiers.
pub(crate) const SHOWN_IDS: usize = 5;

/// What an address need not encode in the value of an option: RFC 3986 lets the rest stand, the vendor names these as
/// safe.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'$')
    .remove(b':');

/// The query as it is shown.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] or [`ErrorKind::ObjectUnknown`] for a name that no address can hold;
/// [`ErrorKind::NumberOutOfRange`] for a value that cannot be written, which `fit.rs` does not let through.
pub(crate) fn query(query: &RemoteQuery) -> Result<String> {
    let set = match &query.collection {
        Some(set) => set_name(set)?.to_owned(),
        None => format!("{{{}}}", object_name(&query.object)?),
    };
    if is_count(query) {
        let filter = match &query.filter {
            Some(filter) => format!("?$filter={}", self::filter(filter)?),
            None => String::new(),
        };
        return Ok(format!("{set}/$count{filter}"));
    }
    let mut options = options(query)?;
    if let Some(ids) = &query.lookup {
        let shown = ids.iter().take(SHOWN_IDS).cloned().collect::<Vec<_>>();
        let mut condition = id_condition(&query.identifier, &shown)?;
        if ids.len() > SHOWN_IDS {
            let _ = write!(condition, " … {} more", ids.len() - SHOWN_IDS);
        }
        options.push(("$filter", condition));
    }
    let options = options
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    let options: Vec<_> = options.collect();
    Ok(format!("{set}?{}", options.join("&")))
}

/// The query is for the number of records and nothing else.
pub(crate) fn is_count(query: &RemoteQuery) -> bool {
    !query.aggregates.is_empty()
}

/// All that is wanted fits into one page.
pub(crate) fn is_single(query: &RemoteQuery) -> bool {
    let page = u64::from(page_size(query));
    query.limit.is_some_and(|limit| limit <= page)
}

/// The options of a query, not encoded: fields, condition, order, limit.
///
/// # Errors
/// As [`query`].
pub(crate) fn options(query: &RemoteQuery) -> Result<Vec<(&'static str, String)>> {
    let mut options = vec![("$select", selected(query)?)];
    if let Some(condition) = &query.filter {
        options.push(("$filter", filter(condition)?));
    }
    if !query.sort.is_empty() {
        let mut order: Vec<String> = Vec::new();
        for sort in &query.sort {
            let name = field_name(&sort.field)?;
            let direction = if sort.descending { "desc" } else { "asc" };
            order.push(format!("{name} {direction}"));
        }
        // Pages of an order that is not unique may repeat or lose records (section 6).
        if !query.sort.iter().any(|sort| sort.field == query.identifier) {
            order.push(format!("{} asc", field_name(&query.identifier)?));
        }
        options.push(("$orderby", order.join(",")));
    }
    // More than a page holds comes page by page, and the reading ends with the limit.
    if let Some(limit) = query.limit.filter(|_| is_single(query)) {
        options.push(("$top", limit.to_string()));
    }
    Ok(options)
}

/// Encoded options, as they stand behind the question mark of an address.
pub(crate) fn encoded(options: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in options {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(&encode(value));
    }
    text
}

/// The value of an option, encoded.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, &PLAIN).to_string()
}

/// There is a parameter without a value in the query.
pub(crate) fn has_placeholder(condition: &Filter<Value>) -> bool {
    match condition {
        Filter::And(parts) | Filter::Or(parts) => parts.iter().any(has_placeholder),
        Filter::Compare { value, .. }
        | Filter::In { values: value, .. }
        | Filter::Like { pattern: value, .. } => match value {
            Value::List(values) => values
                .iter()
                .any(|value| matches!(value, Value::Placeholder(_))),
            value => matches!(value, Value::Placeholder(_)),
        },
        Filter::IsNull { .. } | Filter::IsNotNull { .. } => false,
    }
}

/// The properties of the fields, each once, and of no field the identifier: everything would come otherwise.
fn selected(query: &RemoteQuery) -> Result<String> {
    let mut properties: Vec<String> = Vec::new();
    if query.aggregates.is_empty() {
        for field in &query.fields {
            let name = property(&field.name, &field.remote_type);
            let name = field_name(&name)?;
            if !properties.iter().any(|known| known == name) {
                properties.push(name.to_owned());
            }
        }
    }
    if properties.is_empty() {
        properties.push(field_name(&query.identifier)?.to_owned());
    }
    Ok(properties.join(","))
}

/// A condition. Groups inside groups are always parenthesised.
///
/// # Errors
/// As [`query`].
pub(crate) fn filter(condition: &Filter<Value>) -> Result<String> {
    match condition {
        Filter::And(parts) => group(parts, " and "),
        Filter::Or(arms) => group(arms, " or "),
        Filter::Compare {
            field,
            operator: Operator::NotEqual,
            value,
        } => {
            // What is empty is unequal to everything there, and to nothing in SQL (page 5.1).
            let name = field_name(field)?;
            Ok(format!(
                "({name} ne {} and {name} ne null)",
                literal(value)?
            ))
        }
        Filter::Compare {
            field,
            operator,
            value,
        } => Ok(format!(
            "{} {} {}",
            field_name(field)?,
            word(*operator),
            literal(value)?
        )),
        Filter::In {
            field,
            values: Value::List(values),
        } => one_of(field_name(field)?, values),
        Filter::In { field, values } => {
            // A list that is not known yet, in EXPLAIN.
            Ok(format!(
                "{} eq any of {}",
                field_name(field)?,
                literal(values)?
            ))
        }
        Filter::Like { field, pattern } => {
            let beginning = match pattern {
                Value::Text(pattern) => text(pattern.strip_suffix('%').unwrap_or(pattern)),
                other => literal(other)?,
            };
            Ok(format!("startswith({},{beginning})", field_name(field)?))
        }
        Filter::IsNull { field } => Ok(format!("{} eq null", field_name(field)?)),
        Filter::IsNotNull { field } => Ok(format!("{} ne null", field_name(field)?)),
    }
}

fn group(parts: &[Filter<Value>], separator: &str) -> Result<String> {
    let parts: Result<Vec<String>> = parts
        .iter()
        .map(|part| {
            let text = filter(part)?;
            let is_group = matches!(part, Filter::And(_) | Filter::Or(_));
            Ok(if is_group { format!("({text})") } else { text })
        })
        .collect();
    Ok(parts?.join(separator))
}

/// A field equal to one of these values: a chain of comparisons, which every version reads, or one condition where
/// there are many.
fn one_of(name: &str, values: &[Value]) -> Result<String> {
    let is_text_alike =
        |value: &Value| matches!(value, Value::Int(_) | Value::Numeric(_) | Value::Uuid(_));
    if values.len() > LONGEST_CHAIN && values.iter().all(is_text_alike) {
        let values = values.iter().map(literal).collect::<Result<Vec<_>>>()?;
        return Ok(in_function(name, &values));
    }
    let arms: Result<Vec<_>> = values
        .iter()
        .map(|value| Ok(format!("{name} eq {}", literal(value)?)))
        .collect();
    Ok(format!("({})", arms?.join(" or ")))
}

/// The vendor's function for lists. Values go as texts, whatever they are (section 5).
fn in_function(name: &str, values: &[String]) -> String {
    format!(
        "Microsoft.Dynamics.CRM.In(PropertyName='{name}',PropertyValues=[\"{}\"])",
        values.join("\",\"")
    )
}

/// The condition that finds records by their identifiers.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] for a name that no address can hold.
pub(crate) fn id_condition(identifier: &str, ids: &[String]) -> Result<String> {
    let name = field_name(identifier)?;
    let ids = ids.iter().filter_map(|id| ids::canonical(id));
    let ids: Vec<_> = ids.collect();
    if ids.len() > LONGEST_CHAIN {
        return Ok(in_function(name, &ids));
    }
    let arms = ids.iter().map(|id| format!("{name} eq {id}"));
    Ok(arms.collect::<Vec<_>>().join(" or "))
}

fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Equal => "eq",
        Operator::NotEqual => "ne",
        Operator::Less => "lt",
        Operator::LessOrEqual => "le",
        Operator::Greater => "gt",
        Operator::GreaterOrEqual => "ge",
    }
}

fn literal(value: &Value) -> Result<String> {
    let unsayable = || {
        Error::new(
            ErrorKind::NumberOutOfRange,
            "a value cannot be written in the CRM's query language",
        )
    };
    match value {
        Value::Bool(value) => Ok(value.to_string()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Numeric(digits) if is_plain_number(digits) => Ok(digits.clone()),
        Value::Text(value) => Ok(text(value)),
        Value::Date(day) => format_date(*day).ok_or_else(unsayable),
        // A wall clock looks the same (section 11).
        Value::Instant(at) | Value::Timestamp(at) => {
            format_instant_seconds(*at).ok_or_else(unsayable)
        }
        Value::Uuid(bytes) => Ok(uuid_text(bytes)),
        Value::Placeholder(number) => Ok(format!("${number}")),
        Value::Numeric(_) | Value::Time(_) | Value::Json(_) | Value::List(_) => Err(unsayable()),
    }
}

/// A text literal, in quotes, which are doubled inside.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// An entity, as it may stand in an address.
///
/// # Errors
/// [`ErrorKind::ObjectUnknown`] for a name the vendor cannot have.
pub(crate) fn object_name(name: &str) -> Result<&str> {
    checked_object(name, "Check the table option object.")
}

/// An entity set, as it may stand in an address.
///
/// # Errors
/// As [`object_name`].
pub(crate) fn set_name(name: &str) -> Result<&str> {
    checked_object(name, "Check the table option collection.")
}

fn checked_object<'n>(name: &'n str, hint: &str) -> Result<&'n str> {
    if is_name(name) {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::ObjectUnknown,
        format!("\"{name}\" is not a name an object can have"),
    )
    .with_hint(hint))
}

/// A property, as it may stand in an address.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] for a name the vendor cannot have.
pub(crate) fn field_name(name: &str) -> Result<&str> {
    if is_name(name) {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::FieldUnknown,
        format!("\"{name}\" is not a name a field can have"),
    )
    .with_hint("Check the column option field."))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A GUID as it may stand in an address.
///
/// # Errors
/// [`ErrorKind::Undecodable`] for a text that is none.
pub(crate) fn guid(text: &str) -> Result<String> {
    ids::canonical(text)
        .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply holds no identifier"))
}

#[cfg(test)]
mod tests;
