//! Deleted records as the Service API lists them, the oldest first (Oracle page 8.1).

use crate::call::Call;
use crate::clock::parse_wall;
use crate::envelope::{close_message, open_output};
use crate::find::VALUES_IN_QUERY;
use crate::session::OracleSession;
use crm_core::{CallStats, Error, ErrorKind, Result};
use crm_xml::{Reader, Writer};

const SERVICE: &str = "urn:crmondemand/ws/deleteditem/";
const DATA: &str = "urn:/crmondemand/xml/deleteditem";
/// Entries of a page.
const PAGE: usize = 100;
/// What is asked for, in the order of the service description.
const FIELDS: &[&str] = &[
    "DeletedItemId",
    "DeletedBy",
    "DeletedDate",
    "Name",
    "ObjectId",
    "Type",
    "ExternalSystemId",
];

/// One deleted record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    /// Identifier of the record.
    pub object_id: String,
    /// The vendor's word for its type.
    pub kind: String,
    pub name: String,
    pub deleted_by: String,
    /// What the user's clock showed, microseconds.
    pub deleted_at: Option<i64>,
    /// Its key of another system.
    pub external: String,
}

/// Shows every entry that meets the conditions, each a field and what is asked of it as the service writes it.
///
/// # Errors
/// When the CRM cannot be asked.
pub(crate) async fn each(
    session: &OracleSession,
    conditions: &[(&str, String)],
    stats: &CallStats,
    mut show: impl FnMut(Item),
) -> Result<()> {
    let mut start = 0;
    loop {
        let call = page(conditions, start)?;
        let answered = session.call(&call, stats).await?;
        let (items, is_last) = read(&answered.body)?;
        start += items.len();
        let is_done = is_last || items.is_empty();
        items.into_iter().for_each(&mut show);
        if is_done {
            return Ok(());
        }
    }
}

/// Shows every entry whose `field` has one of `values`, in which no wildcard stands.
///
/// # Errors
/// As [`each`].
pub(crate) async fn with_value(
    session: &OracleSession,
    field: &str,
    values: &[String],
    stats: &CallStats,
    mut show: impl FnMut(Item),
) -> Result<()> {
    for wanted in values.chunks(VALUES_IN_QUERY) {
        let tests = wanted.iter().map(|value| format!("= {}", quoted(value)));
        let condition = (field, tests.collect::<Vec<_>>().join(" OR "));
        each(session, &[condition], stats, &mut show).await?;
    }
    Ok(())
}

/// A literal of a condition; a quote in it is doubled.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn page(conditions: &[(&str, String)], start: usize) -> Result<Call> {
    let mut input = Writer::new();
    input.open(
        "DeletedItemWS_DeletedItemQueryPage_Input",
        &[("xmlns", SERVICE)],
    );
    input.leaf("StartRowNum", &[], &start.to_string());
    input.leaf("PageSize", &[], &PAGE.to_string());
    input.open("ListOfDeletedItem", &[("xmlns", DATA)]);
    input.open("DeletedItem", &[]);
    for field in FIELDS {
        let condition = conditions.iter().find(|(name, _)| name == field);
        input.leaf(*field, &[], condition.map_or("", |(_, text)| text));
    }
    Ok(Call::new(SERVICE, "DeletedItemQueryPage", input.finish()?).for_data())
}

pub(crate) fn read(body: &[u8]) -> Result<(Vec<Item>, bool)> {
    let mut reader = Reader::new(body)?;
    open_output(&mut reader)?;
    let mut items = Vec::new();
    let mut is_last = None;
    while reader.child()? {
        match reader.name().1 {
            "LastPage" => is_last = Some(reader.text()?.trim() == "true"),
            "ListOfDeletedItem" => {
                while reader.child()? {
                    items.push(item(&mut reader)?);
                }
            }
            _ => reader.skip()?,
        }
    }
    close_message(&mut reader)?;
    let is_last = is_last.ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply does not tell whether more deleted records follow",
        )
    })?;
    Ok((items, is_last))
}

fn item(reader: &mut Reader<'_>) -> Result<Item> {
    let mut item = Item::default();
    while reader.child()? {
        let name = reader.name().1.to_owned();
        let text = reader.text()?;
        match name.as_str() {
            "ObjectId" => item.object_id = text.into_owned(),
            "Type" => item.kind = text.into_owned(),
            "Name" => item.name = text.into_owned(),
            "DeletedBy" => item.deleted_by = text.into_owned(),
            "DeletedDate" => item.deleted_at = parse_wall(&text),
            "ExternalSystemId" => item.external = text.into_owned(),
            _ => {}
        }
    }
    if item.object_id.is_empty() || item.deleted_at.is_none() {
        return Err(Error::new(
            ErrorKind::Undecodable,
            "the reply holds a deletion without identifier or date",
        ));
    }
    Ok(item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_trash_is_read() {
        let body = include_bytes!("../tests/fixtures/deleted_items_last_page.xml");
        let (items, is_last) = read(body).unwrap();
        assert!(is_last);
        let told: Vec<_> = (items.iter())
            .map(|item| {
                (
                    item.object_id.as_str(),
                    item.kind.as_str(),
                    item.name.as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("1QA2-34ISOM", "Contact", "Doe, Ann"),
                ("1QA2-21SEFX", "Account", "Contoso & Sons"),
                ("1QA2-7ASSET", "Asset Mgmt - Asset", "Asset 1"),
            ]
        );
        assert_eq!(items[2].deleted_by, "JSMITH");
        assert_eq!(items[0].external, "X-1");
        assert_eq!(items[1].deleted_at, parse_wall("02/03/2024 23:59:59"));
        for cut in [1, 300, body.len() - 10] {
            assert!(read(&body[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn conditions_stand_in_their_fields() {
        let call = page(&[("DeletedDate", ">= '01/31/2024 10:00:00'".into())], 100).unwrap();
        assert!(
            call.input
                .contains("<DeletedDate>&gt;= '01/31/2024 10:00:00'</DeletedDate>")
        );
        assert!(
            call.input
                .contains("<StartRowNum>100</StartRowNum><PageSize>100</PageSize>")
        );
        assert!(call.input.contains("<Type></Type>"));
        assert_eq!(quoted("a'b"), "'a''b'");
    }
}
