//! Records by the value of one field, for the few reads that are no scan: upserts and settling.

use crate::deparse;
use crate::envelope::{close_message, open_list};
use crate::query_page::QueryPage;
use crate::session::OracleSession;
use crate::tags::is_row_id;
use crm_core::{CallStats, Error, ErrorKind, Filter, Result, Value};
use crm_xml::Reader;

/// Values in one search specification: a client is known to send as many (Oracle page 4.2).
pub(crate) const VALUES_IN_QUERY: usize = 50;

/// One record: its identifier, and the field it was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub id: String,
    pub value: String,
}

/// Records of `object` whose `field` has one of `values`.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn by_field(
    session: &OracleSession,
    object: &str,
    identifier: &str,
    field: &str,
    values: &[String],
    stats: &CallStats,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut tags = vec![identifier];
    if field != identifier {
        tags.push(field);
    }
    for wanted in values.chunks(VALUES_IN_QUERY) {
        let condition = deparse::filter(&condition(field, wanted))?;
        let mut start = 0;
        loop {
            let page = QueryPage {
                spec: Some(&condition),
                // A record that this view leaves out has its key all the same.
                view_mode: None,
                start,
                ..session.query_page(object, &tags)
            };
            let answered = session.call(&page.call()?.for_data(), stats).await?;
            let (records, is_last) = read(&answered.body, object, identifier, field)?;
            start += records.len() as u64;
            let is_done = is_last || records.is_empty();
            found.extend(records);
            if is_done {
                break;
            }
        }
    }
    Ok(found)
}

/// The records among `found` that have `value`: told apart by case where the CRM tells them apart.
pub(crate) fn with_value<'a>(found: &'a [Found], value: &str) -> Vec<&'a Found> {
    let value = value.trim();
    let exact: Vec<_> = found
        .iter()
        .filter(|one| one.value.trim() == value)
        .collect();
    if !exact.is_empty() {
        return exact;
    }
    let folded = value.to_lowercase();
    let is_it = |one: &&Found| one.value.trim().to_lowercase() == folded;
    found.iter().filter(is_it).collect()
}

/// One of these values. Whether a wildcard acts in a comparison is told both ways (Oracle page 4.2), and that a
/// backslash disarms it only of patterns: texts that hold either are looked for by a pattern.
fn condition(field: &str, values: &[String]) -> Filter<Value> {
    let (special, plain): (Vec<_>, Vec<_>) = values
        .iter()
        .partition(|value| value.contains(['*', '?', '\\']));
    let mut arms: Vec<_> = special
        .into_iter()
        .map(|value| Filter::Like {
            field: field.to_owned(),
            pattern: Value::Text(escaped(value)),
        })
        .collect();
    if !plain.is_empty() {
        arms.push(Filter::In {
            field: field.to_owned(),
            values: Value::List(plain.into_iter().cloned().map(Value::Text).collect()),
        });
    }
    Filter::Or(arms)
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        if matches!(character, '*' | '?' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

pub(crate) fn read(
    body: &[u8],
    object: &str,
    identifier: &str,
    field: &str,
) -> Result<(Vec<Found>, bool)> {
    let mut reader = Reader::new(body)?;
    open_list(&mut reader, &format!("ListOf{object}"))?;
    let is_last = reader.attribute("", "lastpage")?.as_deref() == Some("true");
    let mut found = Vec::new();
    while reader.child()? {
        let (mut id, mut value) = (None, None);
        while reader.child()? {
            let name = reader.name().1.to_owned();
            let text = reader.text()?;
            if name == identifier {
                id = Some(text.clone().into_owned());
            }
            if name == field {
                value = Some(text.into_owned());
            }
        }
        match (id.filter(|id| is_row_id(id)), value) {
            (Some(id), Some(value)) => found.push(Found { id, value }),
            _ => {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the reply holds a record without the fields that were asked for",
                ));
            }
        }
    }
    close_message(&mut reader)?;
    Ok((found, is_last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, value: &str) -> Found {
        Found {
            id: id.into(),
            value: value.into(),
        }
    }

    #[test]
    fn recorded_pages_are_read() {
        let first = include_bytes!("../tests/fixtures/query_page_contact_first.xml");
        let (records, is_last) = read(first, "Contact", "Id", "ExternalSystemId").unwrap();
        assert_eq!(
            records,
            [found("1QA2-34ISOM", "X-1"), found("1QA2-34ISON", "")]
        );
        assert!(!is_last);
        let last = include_bytes!("../tests/fixtures/query_page_contact_last.xml");
        assert!(read(last, "Contact", "Id", "Id").unwrap().1);
        assert!(read(last, "Contact", "Id", "Absent").is_err());
        assert!(read(&last[..400], "Contact", "Id", "Id").is_err());
    }

    #[test]
    fn what_acts_as_a_wildcard_is_disarmed() {
        let spec = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            deparse::filter(&condition("K", &values)).unwrap()
        };
        assert_eq!(spec(&["a'b"]), "[K] = 'a''b'");
        assert_eq!(spec(&["a", "b"]), "([K] = 'a') OR ([K] = 'b')");
        let mixed = spec(&[r"a*\?", "b"]);
        assert!(
            mixed.contains(r"~LIKE 'a\*\\\?'") && mixed.contains("([K] = 'b')"),
            "{mixed}"
        );
    }

    #[test]
    fn values_are_told_apart_by_case_where_the_crm_does() {
        let all = [found("1", "X-1"), found("2", "x-1"), found("3", "Y-1 ")];
        let ids = |value: &str| -> Vec<&str> {
            let matching = with_value(&all, value);
            matching.iter().map(|one| one.id.as_str()).collect()
        };
        assert_eq!(ids("x-1"), ["2"]);
        assert_eq!(ids("y-1"), ["3"]);
        assert!(ids("z").is_empty());
        assert_eq!(with_value(&all[..1], "x-1").len(), 1);
    }
}
