//! A query into SOQL: the only place that writes a name or a literal into a statement (Salesforce page 4.1, 4.2).

use crm_core::{
    Aggregate, AggregateFunction, Error, ErrorKind, Filter, Operator, RemoteQuery, Result, Value,
    format_date, format_instant_seconds, is_plain_number,
};
use std::fmt::Write;

/// Longest statement in characters.
const LONGEST_STATEMENT: usize = 100_000;
/// EXPLAIN shows so many identifiers of a lookup.
const SHOWN_IDS: usize = 3;

/// The statement as EXPLAIN shows it; parameters not yet known stand as `$1`.
///
/// # Errors
/// [`ErrorKind::ObjectUnknown`], [`ErrorKind::FieldUnknown`] for a name Salesforce cannot have,
/// [`ErrorKind::NotSupported`] for a statement longer than it reads.
pub(crate) fn query(query: &RemoteQuery) -> Result<String> {
    let mut soql = head(query)?;
    if let Some(ids) = &query.lookup {
        let shown: Vec<_> = ids.iter().take(SHOWN_IDS).map(|id| text(id)).collect();
        let name = field_name(&query.identifier)?;
        let _ = write!(soql, " WHERE {name} IN ({}", shown.join(","));
        if ids.len() > SHOWN_IDS {
            let _ = write!(soql, ",… {} more", ids.len() - SHOWN_IDS);
        }
        soql.push(')');
        return Ok(soql);
    }
    if let Some(condition) = &query.filter {
        let _ = write!(soql, " WHERE {}", filter(condition)?);
    }
    if query.aggregates.is_empty() {
        add_order_and_limit(query, &mut soql)?;
    }
    checked_length(soql)
}

/// The statement to send.
///
/// # Errors
/// As [`query`]; also for a parameter that has no value.
pub(crate) fn statement(remote: &RemoteQuery) -> Result<String> {
    if remote.filter.as_ref().is_some_and(has_placeholder) {
        return Err(without_value());
    }
    query(remote)
}

/// The statement that counts the records of the query's filter.
///
/// # Errors
/// As [`statement`].
pub(crate) fn count(remote: &RemoteQuery) -> Result<String> {
    let count = RemoteQuery {
        fields: Vec::new(),
        lookup: None,
        sort: Vec::new(),
        limit: None,
        aggregates: vec![Aggregate {
            function: AggregateFunction::CountAll,
            field: String::new(),
        }],
        ..remote.clone()
    };
    statement(&count)
}

/// The query asks for the number of records and nothing else, which has a form of its own (4.5).
pub(crate) fn is_count(query: &RemoteQuery) -> bool {
    matches!(
        query.aggregates.as_slice(),
        [Aggregate {
            function: AggregateFunction::CountAll,
            ..
        }]
    )
}

/// The name under which the aggregate at `index` comes back.
pub(crate) fn alias(index: usize) -> String {
    format!("a{index}")
}

/// A condition. Groups inside groups are always parenthesised: SOQL refuses AND and OR side by side.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] for a name Salesforce cannot have; [`ErrorKind::NumberOutOfRange`] for a value outside
/// what can be written, which `fit.rs` does not let through.
pub(crate) fn filter(condition: &Filter<Value>) -> Result<String> {
    match condition {
        Filter::And(parts) => group(parts, " AND "),
        Filter::Or(arms) => group(arms, " OR "),
        Filter::Compare {
            field,
            operator,
            value,
        } => Ok(format!(
            "{} {} {}",
            field_name(field)?,
            symbol(*operator),
            literal(value)?
        )),
        Filter::In { field, values } => Ok(format!("{} IN {}", field_name(field)?, list(values)?)),
        Filter::Like { field, pattern } => Ok(format!(
            "{} LIKE {}",
            field_name(field)?,
            match pattern {
                // The pattern's own escapes are those of the literal (4.2), so they pass as they are.
                Value::Text(pattern) => like_pattern(pattern),
                other => literal(other)?,
            }
        )),
        Filter::IsNull { field } => Ok(format!("{} = null", field_name(field)?)),
        Filter::IsNotNull { field } => Ok(format!("{} != null", field_name(field)?)),
    }
}

fn head(query: &RemoteQuery) -> Result<String> {
    let mut columns: Vec<String> = Vec::new();
    if is_count(query) {
        columns.push("COUNT()".into());
    } else if !query.aggregates.is_empty() {
        for (index, aggregate) in query.aggregates.iter().enumerate() {
            let call = match aggregate.function {
                AggregateFunction::CountAll => format!("COUNT({})", field_name(&query.identifier)?),
                AggregateFunction::Min => format!("MIN({})", field_name(&aggregate.field)?),
                AggregateFunction::Max => format!("MAX({})", field_name(&aggregate.field)?),
            };
            columns.push(format!("{call} {}", alias(index)));
        }
    } else {
        for field in &query.fields {
            let name = field_name(&field.name)?;
            // A field named twice is refused. Names that differ in case are two fields, or the vendor's to refuse.
            if !columns.iter().any(|known| known == name) {
                columns.push(name.into());
            }
        }
        if columns.is_empty() {
            columns.push(field_name(&query.identifier)?.into());
        }
    }
    let object = object_name(&query.object)?;
    Ok(format!("SELECT {} FROM {object}", columns.join(",")))
}

/// An object, as it may stand in a statement or an address.
///
/// # Errors
/// [`ErrorKind::ObjectUnknown`] for a name Salesforce cannot have.
pub(crate) fn object_name(name: &str) -> Result<&str> {
    if is_name(name) && !name.contains('.') {
        return Ok(name);
    }
    Err(Error::new(
        ErrorKind::ObjectUnknown,
        format!("\"{name}\" is not a name an object can have"),
    )
    .with_hint("Check the table option object."))
}

fn add_order_and_limit(query: &RemoteQuery, soql: &mut String) -> Result<()> {
    for (at, sort) in query.sort.iter().enumerate() {
        let _ = write!(
            soql,
            "{} {} {} NULLS {}",
            if at == 0 { " ORDER BY" } else { "," },
            field_name(&sort.field)?,
            if sort.descending { "DESC" } else { "ASC" },
            if sort.nulls_first { "FIRST" } else { "LAST" },
        );
    }
    if let Some(limit) = query.limit {
        let _ = write!(soql, " LIMIT {limit}");
    }
    Ok(())
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

fn symbol(operator: Operator) -> &'static str {
    match operator {
        Operator::NotEqual => "!=",
        other => other.symbol(),
    }
}

fn list(values: &Value) -> Result<String> {
    let Value::List(values) = values else {
        return Ok(format!("({})", literal(values)?));
    };
    let literals: Result<Vec<String>> = values.iter().map(literal).collect();
    Ok(format!("({})", literals?.join(",")))
}

fn literal(value: &Value) -> Result<String> {
    let unsayable = || {
        Error::new(
            ErrorKind::NumberOutOfRange,
            "a value cannot be written in the CRM's query language",
        )
    };
    match value {
        Value::Bool(true) => Ok("TRUE".into()),
        Value::Bool(false) => Ok("FALSE".into()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Numeric(digits) if is_plain_number(digits) => Ok(digits.clone()),
        Value::Text(value) => Ok(text(value)),
        Value::Date(day) => format_date(*day).ok_or_else(unsayable),
        Value::Instant(instant) => format_instant_seconds(*instant).ok_or_else(unsayable),
        Value::Placeholder(number) => Ok(format!("${number}")),
        Value::Numeric(_)
        | Value::Timestamp(_)
        | Value::Time(_)
        | Value::Uuid(_)
        | Value::Json(_)
        | Value::List(_) => Err(unsayable()),
    }
}

/// A text literal, in quotes.
fn text(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for character in value.chars() {
        push_escaped(character, &mut quoted);
    }
    quoted.push('\'');
    quoted
}

/// As [`text`], but `\%` and `\_` pass as the pattern's escapes.
fn like_pattern(pattern: &str) -> String {
    let mut quoted = String::with_capacity(pattern.len() + 2);
    quoted.push('\'');
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match (character, characters.peek()) {
            ('\\', Some(escaped @ ('%' | '_'))) => {
                quoted.push('\\');
                quoted.push(*escaped);
                characters.next();
            }
            _ => push_escaped(character, &mut quoted),
        }
    }
    quoted.push('\'');
    quoted
}

fn push_escaped(character: char, quoted: &mut String) {
    match character {
        '\'' => quoted.push_str("\\'"),
        '\\' => quoted.push_str("\\\\"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\u{8}' => quoted.push_str("\\b"),
        '\u{c}' => quoted.push_str("\\f"),
        // C0 and C1 controls and the line separators that some parsers end a line at.
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' => {
            let _ = write!(quoted, "\\u{:04X}", u32::from(character));
        }
        plain => quoted.push(plain),
    }
}

/// A field or a path through parents, as it may stand in a statement.
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
    name.split('.').all(|part| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn checked_length(soql: String) -> Result<String> {
    if soql.len() <= LONGEST_STATEMENT {
        return Ok(soql);
    }
    Err(Error::new(
        ErrorKind::NotSupported,
        format!("the query is longer than the {LONGEST_STATEMENT} characters the CRM reads"),
    )
    .with_hint("Ask for fewer columns or a shorter list of values."))
}

fn has_placeholder(condition: &Filter<Value>) -> bool {
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

fn without_value() -> Error {
    Error::new(
        ErrorKind::NotSupported,
        "a query with a parameter that has no value cannot be sent",
    )
}

#[cfg(test)]
mod tests;
