//! Records of the few reads that are no scan: small ones, looked at by name.

use super::envelope::{self, CONTRACTS, optional_text};
use super::exchange::{self, Operation};
use super::pages::query_body;
use super::records::{Typed, value};
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_xml::Reader;
use std::borrow::Cow;

/// Records of a page.
const PAGE_SIZE: u32 = 5_000;

/// One record.
#[derive(Debug, Default)]
pub(crate) struct Row<'i> {
    /// Its identifier.
    pub id: Option<String>,
    /// Its attributes in the order in which they came.
    pub attributes: Vec<(String, Typed<'i>)>,
}

impl<'i> Row<'i> {
    /// An attribute, if the record holds it.
    pub(crate) fn get(&self, name: &str) -> Option<&Typed<'i>> {
        let mut found = self.attributes.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value)
    }

    /// An attribute as text; of a reference the identifier.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Typed::Bool(text) | Typed::Number(text) | Typed::Text(text) => Some(text),
            Typed::Reference { id, .. } => Some(id),
            Typed::Null | Typed::Records => None,
        }
    }
}

/// The conditions and fields of a query: what stands inside `<fetch>`.
pub(crate) struct Inner<'a> {
    text: &'a str,
    data: bool,
}

impl<'a> Inner<'a> {
    /// A query for records.
    pub(crate) fn records(text: &'a str) -> Self {
        Self { text, data: true }
    }

    /// A query for what a sign-in wants to know.
    pub(crate) fn apart(text: &'a str) -> Self {
        Self { text, data: false }
    }
}

/// Reads all pages of a query and shows each record.
///
/// # Errors
/// As [`exchange::call`].
pub(crate) async fn each(
    session: &DynamicsSession,
    inner: Inner<'_>,
    stats: &CallStats,
    mut show: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let (mut number, mut cookie) = (1_u32, None::<String>);
    loop {
        let place = match &cookie {
            Some(cookie) => format!(" paging-cookie=\"{}\"", escaped(cookie)?),
            None => String::new(),
        };
        let fetch = format!(
            "<fetch count=\"{PAGE_SIZE}\" page=\"{number}\"{place}>{}</fetch>",
            inner.text
        );
        let operation = Operation {
            data: inner.data,
            ..Operation::reading("RetrieveMultiple", query_body(&fetch)?)
        };
        let reply = exchange::call(session, &operation, stats).await?;
        let (more, next) = shown(&reply.body, &mut show)?;
        if !more {
            return Ok(());
        }
        if cookie.is_some() && cookie == next {
            return Err(Error::new(
                ErrorKind::Undecodable,
                "the replies lead in a circle",
            ));
        }
        (number, cookie) = (number.saturating_add(1), next);
    }
}

/// Text as it stands in an attribute.
///
/// # Errors
/// When it holds a character that XML cannot carry.
pub(crate) fn escaped(text: &str) -> Result<String> {
    let mut writer = crm_xml::Writer::new();
    writer.open("a", &[("b", text)]);
    let whole = writer.finish()?;
    let inner = whole.strip_prefix("<a b=\"");
    let inner = inner.and_then(|rest| rest.strip_suffix("\"></a>"));
    Ok(inner.unwrap_or_default().to_owned())
}

/// Shows the records of an answer; whether there are more, and where they begin.
///
/// # Errors
/// When it is none.
pub(crate) fn shown(
    body: &[u8],
    show: &mut impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<(bool, Option<String>)> {
    let mut reader = envelope::answer(body, "RetrieveMultiple")?;
    let (mut has_records, mut more, mut cookie) = (false, false, None);
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "Entities") => {
                has_records = true;
                while reader.child_named(CONTRACTS, "Entity")? {
                    show(&row(&mut reader)?)?;
                }
            }
            (CONTRACTS, "MoreRecords") => more = &*reader.text()? == "true",
            (CONTRACTS, "PagingCookie") => {
                let told = optional_text(&mut reader)?;
                cookie = told
                    .map(|told| told.trim().to_owned())
                    .filter(|told| !told.is_empty());
            }
            _ => reader.skip()?,
        }
    }
    if !has_records {
        return Err(reader.refuse("it holds no records, not even none"));
    }
    reader.finish()?;
    Ok((more, cookie))
}

/// The record just opened, and closes it.
///
/// # Errors
/// When it is malformed.
pub(crate) fn row<'i>(reader: &mut Reader<'i>) -> Result<Row<'i>> {
    let mut row = Row::default();
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "Attributes") => envelope::pairs(reader, |key, reader| {
                row.attributes.push((key.to_owned(), value(reader)?));
                Ok(())
            })?,
            (CONTRACTS, "Id") => row.id = Some(reader.text().map(Cow::into_owned)?),
            _ => reader.skip()?,
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_records() {
        let body = include_str!("../../tests/fixtures/soap/retrieve_multiple_result.xml");
        let mut ids = Vec::new();
        let (more, cookie) = shown(body.as_bytes(), &mut |row| {
            assert_eq!(row.text("accountid"), row.id.as_deref());
            assert!(row.get("name").is_none());
            ids.push(row.id.clone());
            Ok(())
        })
        .unwrap();
        assert_eq!(ids.len(), 3);
        assert!(!more && cookie.is_some());
    }

    #[test]
    fn text_in_an_attribute() {
        assert_eq!(
            escaped("<a b=\"1\">&").unwrap(),
            "&lt;a b=&quot;1&quot;>&amp;"
        );
        assert!(escaped("\u{1}").is_err());
    }
}
