//! Queries in FetchXML: the only place that writes names and literals into one (Dynamics page 13.3).

use crate::deparse::{field_name, object_name};
use crate::types::{Kind, TARGET_SUFFIX};
use crm_core::{
    Error, ErrorKind, Filter, Operator, RemoteQuery, Result, Value, format_date,
    format_instant_seconds, uuid_text,
};
use crm_xml::Writer;

/// Which part of a query's answer is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    /// The page, from 1.
    pub number: u32,
    /// Records a page.
    pub size: u32,
    /// What the page before said of where it ended.
    pub cookie: Option<&'a str>,
}

/// One page of a query.
///
/// # Errors
/// [`ErrorKind::FieldUnknown`] or [`ErrorKind::ObjectUnknown`] for a name that the vendor cannot have, and for values
/// that cannot be written, which `fit.rs` does not let through.
pub(crate) fn page(query: &RemoteQuery, part: Part<'_>) -> Result<String> {
    let number = part.number.to_string();
    let size = part.size.to_string();
    let mut attributes = vec![("count", size.as_str()), ("page", &number)];
    if let Some(cookie) = part.cookie {
        attributes.push(("paging-cookie", cookie));
    }
    let mut writer = begun(&attributes, &query.object)?;
    for name in attribute_names(query)? {
        leaf(&mut writer, "attribute", &[("name", name)]);
    }
    for sort in &query.sort {
        let descending = if sort.descending { "true" } else { "false" };
        let name = field_name(&sort.field)?;
        leaf(
            &mut writer,
            "order",
            &[("attribute", name), ("descending", descending)],
        );
    }
    // Pages of an order that is not unique may repeat or lose records (section 6).
    if !query.sort.iter().any(|sort| sort.field == query.identifier) {
        leaf(
            &mut writer,
            "order",
            &[("attribute", field_name(&query.identifier)?)],
        );
    }
    if let Some(condition) = &query.filter {
        filtered(&mut writer, condition)?;
    }
    writer.finish()
}

/// The records with these identifiers, all in one page.
///
/// # Errors
/// As [`page`].
pub(crate) fn lookup(query: &RemoteQuery, ids: &[String]) -> Result<String> {
    let size = ids.len().to_string();
    let mut writer = begun(&[("count", &size), ("page", "1")], &query.object)?;
    for name in attribute_names(query)? {
        leaf(&mut writer, "attribute", &[("name", name)]);
    }
    writer.open("filter", &[("type", "and")]);
    one_of(
        &mut writer,
        field_name(&query.identifier)?,
        ids.iter().map(String::as_str),
    );
    writer.finish()
}

/// The number of records that match the query's filter, under the name [`COUNT`].
///
/// # Errors
/// As [`page`].
pub(crate) fn count(query: &RemoteQuery) -> Result<String> {
    let mut writer = begun(&[("aggregate", "true")], &query.object)?;
    let name = field_name(&query.identifier)?;
    leaf(
        &mut writer,
        "attribute",
        &[("name", name), ("alias", COUNT), ("aggregate", "count")],
    );
    if let Some(condition) = &query.filter {
        filtered(&mut writer, condition)?;
    }
    writer.finish()
}

/// What the number of records is called in the answer.
pub(crate) const COUNT: &str = "n_records";

fn begun(attributes: &[(&str, &str)], object: &str) -> Result<Writer> {
    let mut writer = Writer::new();
    writer.open("fetch", attributes);
    writer.open("entity", &[("name", object_name(object)?)]);
    Ok(writer)
}

fn leaf(writer: &mut Writer, name: &'static str, attributes: &[(&str, &str)]) {
    writer.open(name, attributes).close();
}

/// The attributes of the fields, each once; of none the identifier alone, for everything would come otherwise.
///
/// # Errors
/// As [`page`].
pub(crate) fn attribute_names(query: &RemoteQuery) -> Result<Vec<&str>> {
    let mut names: Vec<&str> = Vec::new();
    let fields = query.fields.iter().filter(|_| query.aggregates.is_empty());
    for field in fields {
        let name = match Kind::of(&field.remote_type) {
            Kind::Target => field
                .name
                .strip_suffix(TARGET_SUFFIX)
                .unwrap_or(&field.name),
            _ => &field.name,
        };
        let name = field_name(name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        names.push(field_name(&query.identifier)?);
    }
    Ok(names)
}

/// A condition stands in a filter of its own, whatever it is.
fn filtered(writer: &mut Writer, condition: &Filter<Value>) -> Result<()> {
    match condition {
        Filter::And(_) | Filter::Or(_) => self::condition(writer, condition),
        single => {
            writer.open("filter", &[("type", "and")]);
            self::condition(writer, single)?;
            writer.close();
            Ok(())
        }
    }
}

fn condition(writer: &mut Writer, condition: &Filter<Value>) -> Result<()> {
    match condition {
        Filter::And(parts) => group(writer, "and", parts),
        Filter::Or(arms) => group(writer, "or", arms),
        // What is empty is unequal to everything there, and to nothing in SQL (page 5.1).
        Filter::Compare {
            field,
            operator: Operator::NotEqual,
            value,
        } => {
            let name = field_name(field)?;
            writer.open("filter", &[("type", "and")]);
            test(writer, name, "ne", Some(&literal(value)?));
            test(writer, name, "not-null", None);
            writer.close();
            Ok(())
        }
        Filter::Compare {
            field,
            operator,
            value,
        } => {
            test(
                writer,
                field_name(field)?,
                word(*operator),
                Some(&literal(value)?),
            );
            Ok(())
        }
        Filter::In {
            field,
            values: Value::List(values),
        } => {
            let literals = values.iter().map(literal).collect::<Result<Vec<_>>>()?;
            one_of(
                writer,
                field_name(field)?,
                literals.iter().map(String::as_str),
            );
            Ok(())
        }
        Filter::In { .. } => Err(unsayable()),
        // `fit.rs` leaves plain characters and the `%` behind them.
        Filter::Like {
            field,
            pattern: Value::Text(pattern),
        } => {
            test(writer, field_name(field)?, "like", Some(pattern));
            Ok(())
        }
        Filter::Like { .. } => Err(unsayable()),
        Filter::IsNull { field } => {
            test(writer, field_name(field)?, "null", None);
            Ok(())
        }
        Filter::IsNotNull { field } => {
            test(writer, field_name(field)?, "not-null", None);
            Ok(())
        }
    }
}

fn group(writer: &mut Writer, kind: &str, parts: &[Filter<Value>]) -> Result<()> {
    writer.open("filter", &[("type", kind)]);
    for part in parts {
        condition(writer, part)?;
    }
    writer.close();
    Ok(())
}

fn test(writer: &mut Writer, name: &str, operator: &str, value: Option<&str>) {
    let mut attributes = vec![("attribute", name), ("operator", operator)];
    attributes.extend(value.map(|value| ("value", value)));
    leaf(writer, "condition", &attributes);
}

fn one_of<'v>(writer: &mut Writer, name: &str, values: impl Iterator<Item = &'v str>) {
    writer.open("condition", &[("attribute", name), ("operator", "in")]);
    for value in values {
        writer.leaf("value", &[], value);
    }
    writer.close();
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
    match value {
        Value::Bool(value) => Ok(if *value { "1" } else { "0" }.into()),
        Value::Int(value) => Ok(value.to_string()),
        Value::Numeric(text) | Value::Text(text) => Ok(text.clone()),
        Value::Date(day) => format_date(*day).ok_or_else(unsayable),
        Value::Instant(at) => format_instant_seconds(*at).ok_or_else(unsayable),
        // With a zone behind it, it would be moved into the user's (section 11).
        Value::Timestamp(at) => {
            let text = format_instant_seconds(*at).ok_or_else(unsayable)?;
            Ok(text.trim_end_matches('Z').to_owned())
        }
        Value::Uuid(bytes) => Ok(uuid_text(bytes)),
        Value::Time(_) | Value::Json(_) | Value::List(_) | Value::Placeholder(_) => {
            Err(unsayable())
        }
    }
}

fn unsayable() -> Error {
    Error::new(
        ErrorKind::NumberOutOfRange,
        "a value cannot be written in the CRM's query language",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{ColumnType, QueryField, Sort, comparison};

    fn query() -> RemoteQuery {
        RemoteQuery::all(
            "account",
            "accountid",
            vec![
                QueryField::plain("name", "StringType", ColumnType::Text),
                QueryField::plain("primarycontactid", "LookupType", ColumnType::Uuid),
                QueryField::plain("customerid", "CustomerType", ColumnType::Uuid),
                QueryField::plain("customerid@type", "LookupTarget", ColumnType::Text),
            ],
        )
    }

    const FIRST: Part<'_> = Part {
        number: 1,
        size: 5_000,
        cookie: None,
    };

    /// The part of a page's text between the fields and the end.
    fn conditions(filter: Filter<Value>) -> String {
        let query = RemoteQuery {
            filter: Some(filter),
            fields: Vec::new(),
            ..query()
        };
        let text = page(&query, FIRST).unwrap();
        let start = text.find("<filter").unwrap();
        let end = text.find("</entity>").unwrap();
        text[start..end].replace("\"></condition>", "\"/>")
    }

    #[test]
    fn fields_order_and_pages() {
        let mut query = query();
        assert_eq!(
            page(&query, FIRST).unwrap(),
            r#"<fetch count="5000" page="1"><entity name="account"><attribute name="name"></attribute><attribute name="primarycontactid"></attribute><attribute name="customerid"></attribute><order attribute="accountid"></order></entity></fetch>"#
        );
        query.fields.clear();
        query.sort = vec![Sort {
            field: "createdon".into(),
            descending: true,
            nulls_first: false,
        }];
        let next = Part {
            number: 2,
            size: 100,
            cookie: Some("<cookie page=\"1\"><accountid last=\"{A}\"/></cookie>"),
        };
        assert_eq!(
            page(&query, next).unwrap(),
            r#"<fetch count="100" page="2" paging-cookie="&lt;cookie page=&quot;1&quot;>&lt;accountid last=&quot;{A}&quot;/>&lt;/cookie>"><entity name="account"><attribute name="accountid"></attribute><order attribute="createdon" descending="true"></order><order attribute="accountid"></order></entity></fetch>"#
        );
    }

    #[test]
    fn conditions_in_groups() {
        let text = |text: &str| Value::Text(text.into());
        for (filter, expected) in [
            (
                comparison("statecode", Operator::Equal, Value::Int(0)),
                r#"<filter type="and"><condition attribute="statecode" operator="eq" value="0"/></filter>"#,
            ),
            (
                comparison("revenue", Operator::NotEqual, Value::Numeric("1.50".into())),
                r#"<filter type="and"><filter type="and"><condition attribute="revenue" operator="ne" value="1.50"/><condition attribute="revenue" operator="not-null"/></filter></filter>"#,
            ),
            (
                Filter::Or(vec![
                    comparison("name", Operator::Equal, text("O'B & \"x\" <y>\n")),
                    Filter::And(vec![
                        comparison("createdon", Operator::GreaterOrEqual, Value::Instant(0)),
                        comparison("new_wall", Operator::Less, Value::Timestamp(1_000_000)),
                        comparison("new_day", Operator::LessOrEqual, Value::Date(1)),
                        comparison("donotemail", Operator::Equal, Value::Bool(true)),
                    ]),
                ]),
                r#"<filter type="or"><condition attribute="name" operator="eq" value="O'B &amp; &quot;x&quot; &lt;y>&#xA;"/><filter type="and"><condition attribute="createdon" operator="ge" value="1970-01-01T00:00:00Z"/><condition attribute="new_wall" operator="lt" value="1970-01-01T00:00:01"/><condition attribute="new_day" operator="le" value="1970-01-02"/><condition attribute="donotemail" operator="eq" value="1"/></filter></filter>"#,
            ),
            (
                Filter::In {
                    field: "accountid".into(),
                    values: Value::List(vec![Value::Uuid([1; 16]), Value::Uuid([2; 16])]),
                },
                r#"<filter type="and"><condition attribute="accountid" operator="in"><value>01010101-0101-0101-0101-010101010101</value><value>02020202-0202-0202-0202-020202020202</value></condition></filter>"#,
            ),
            (
                Filter::And(vec![
                    Filter::IsNull { field: "a".into() },
                    Filter::IsNotNull { field: "b".into() },
                    Filter::Like {
                        field: "name".into(),
                        pattern: text("Ac%"),
                    },
                ]),
                r#"<filter type="and"><condition attribute="a" operator="null"/><condition attribute="b" operator="not-null"/><condition attribute="name" operator="like" value="Ac%"/></filter>"#,
            ),
        ] {
            assert_eq!(conditions(filter), expected);
        }
    }

    #[test]
    fn records_by_identifier_and_their_number() {
        let ids = ["a".to_owned(), "b".to_owned()];
        let text = lookup(&query(), &ids).unwrap();
        assert!(text.contains(r#"operator="in"><value>a</value><value>b</value></condition>"#));
        let text = count(&query()).unwrap();
        assert_eq!(
            text,
            r#"<fetch aggregate="true"><entity name="account"><attribute name="accountid" alias="n_records" aggregate="count"></attribute></entity></fetch>"#
        );
    }

    #[test]
    fn names_and_values_that_cannot_be_said() {
        let mut named = query();
        named.object = "account\"/>".into();
        assert_eq!(
            page(&named, FIRST).unwrap_err().kind(),
            ErrorKind::ObjectUnknown
        );
        let mut named = query();
        named.fields[0].name = "a b".into();
        assert_eq!(
            page(&named, FIRST).unwrap_err().kind(),
            ErrorKind::FieldUnknown
        );
        let mut held = query();
        held.filter = Some(comparison("a", Operator::Equal, Value::Placeholder(1)));
        assert!(page(&held, FIRST).is_err());
        held.filter = Some(comparison(
            "a",
            Operator::Equal,
            Value::Text("\u{1}".into()),
        ));
        assert_eq!(
            page(&held, FIRST).unwrap_err().kind(),
            ErrorKind::ValidationRule
        );
    }
}
