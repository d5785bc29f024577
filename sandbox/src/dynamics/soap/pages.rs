//! Answers to queries: pages of rows by FetchXML, and what changed since a token.

use std::fmt::Write as _;

use uuid::Uuid;

use super::contract::Data;
use super::values;
use crate::dynamics::errors::Refusal;
use crate::dynamics::query::{COUNT_CAP, METADATA_VERSION, PAGE};
use crate::dynamics::store::{RowRef, Store};
use crate::dynamics::{Dynamics, fetch};
use crate::salesforce::errors::Reply;
use crate::xml::escape;

const CHANGES: &str = "http://schemas.microsoft.com/xrm/7.1/Contracts";

impl Dynamics {
    /// The members of an `EntityCollection` for a query.
    ///
    /// # Errors
    /// What the query is refused for; 501 for a query that is no FetchXML.
    pub fn found(&self, query: &Data, user: Uuid) -> Result<String, Refusal> {
        if query.kind.1 != "FetchExpression" {
            return Err(Refusal::unsupported(format!(
                "Queries of the type {} are not supported by this server.",
                query.kind.1
            )));
        }
        let text = query.text_of("Query").unwrap_or_default();
        let store = self.records();
        let fetch = fetch::parse(&store, text, user)?;
        self.asked_soap(text);
        let reply = self.kept_page(
            &store,
            fetch.query.table,
            format!("soap {user} {text}"),
            || {
                let page = self.fetched(&store, &fetch)?;
                Ok(Reply::typed(200, "text/xml", page))
            },
        )?;
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    fn fetched(&self, store: &Store, fetch: &fetch::Fetch) -> Result<String, Refusal> {
        let entity = fetch.query.entity;
        if let Some((alias, of)) = &fetch.aggregate {
            let count = fetch.counted(store, *of)?;
            return Ok(format!(
                "<b:Entities><b:Entity><b:Attributes><b:KeyValuePairOfstringanyType><c:key>{0}</c:key><c:value i:type=\"b:AliasedValue\"><b:AttributeLogicalName>{1}</b:AttributeLogicalName><b:EntityLogicalName>{2}</b:EntityLogicalName><b:Value i:type=\"x:int\">{count}</b:Value></c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:EntityState i:nil=\"true\"/><b:FormattedValues/><b:Id>{3}</b:Id><b:LogicalName>{2}</b:LogicalName><b:RelatedEntities/></b:Entity></b:Entities>{4}",
                escape(alias),
                entity.key,
                entity.name,
                Uuid::nil(),
                tail(&entity.name, false, None, None)
            ));
        }
        let found = fetch.run(store, self.page_cap)?;
        let mut out = String::with_capacity(found.rows.len() * 1_024 + 512);
        out.push_str("<b:Entities>");
        for row in &found.rows {
            out.push_str("<b:Entity>");
            values::entity(
                &mut out,
                store,
                fetch.query.table,
                *row,
                &fetch.query.columns,
                &fetch.links,
            );
            out.push_str("</b:Entity>");
        }
        out.push_str("</b:Entities>");
        let cookie = found.cookie.as_deref();
        out.push_str(&tail(&entity.name, found.more, cookie, found.total));
        Ok(out)
    }

    /// The `BusinessEntityChanges` of a `RetrieveEntityChanges` request.
    ///
    /// # Errors
    /// 501 for a table that is not tracked, `0x80044352` for a token of long ago.
    pub fn entity_changes(&self, parameters: &Data) -> Result<String, Refusal> {
        let store = self.records();
        let text = |name: &str| parameters.pair(name).map(|data| data.text.as_str());
        let name = text("EntityName").unwrap_or_default();
        let (table, entity) = values::known_table(&store, name)?;
        let rows = &store.tables[table];
        if !rows.tracked {
            return Err(Refusal::unsupported(format!(
                "Change tracking is not enabled for entity {name}."
            )));
        }
        let columns = values::column_set(entity, parameters.pair("Columns"))?;
        let since: Option<i64> = match text("DataVersion").filter(|token| !token.is_empty()) {
            None => None,
            Some(token) => {
                let version = token.split('!').next().and_then(|part| part.parse().ok());
                Some(version.ok_or_else(|| Refusal::argument("The data version is not valid."))?)
            }
        };
        if since.is_some_and(|since| since < store.oldest_version) {
            return Err(Refusal::new(
                400,
                "0x80044352",
                "Version stamp associated with the client has expired. Please perform a full sync.",
            ));
        }
        let page = parameters.pair("PageInfo");
        let number = |name: &str, usual: usize| {
            page.and_then(|page| page.text_of(name))
                .and_then(|text| text.trim().parse().ok())
                .filter(|number| *number > 0)
                .unwrap_or(usual)
        };
        let size = number("Count", PAGE).min(PAGE);
        let skipped = (number("PageNumber", 1) - 1) * size;
        let changed: Vec<RowRef<'_>> = rows
            .scan(None)
            .filter(|row| since.is_none_or(|since| rows.version(*row) > since))
            .collect();
        let gone: Vec<Uuid> = rows
            .deleted
            .iter()
            .filter(|change| since.is_some_and(|since| change.version > since))
            .map(|change| change.id)
            .filter(|id| rows.find(*id).is_none())
            .collect();
        let mut out = format!("<k:Changes xmlns:k=\"{CHANGES}\">");
        for row in changed.iter().skip(skipped).take(size) {
            out.push_str("<k:anyType i:type=\"k:NewOrUpdatedItem\"><k:NewOrUpdatedEntity>");
            values::entity(&mut out, &store, table, *row, &columns, &[]);
            out.push_str("</k:NewOrUpdatedEntity><k:Type>NewOrUpdated</k:Type></k:anyType>");
        }
        let left = size.saturating_sub(changed.len().saturating_sub(skipped));
        for id in gone
            .iter()
            .skip(skipped.saturating_sub(changed.len()))
            .take(left)
        {
            // Writing to a text does not fail.
            let _ = write!(
                out,
                "<k:anyType i:type=\"k:RemovedOrDeletedItem\"><k:RemovedItem><b:Id>{id}</b:Id><b:LogicalName>{name}</b:LogicalName><b:Name i:nil=\"true\"/></k:RemovedItem><k:Type>RemoveOrDeleted</k:Type></k:anyType>"
            );
        }
        let more = changed.len() + gone.len() > skipped + size;
        let _ = write!(
            out,
            "</k:Changes><k:DataToken xmlns:k=\"{CHANGES}\">{}!{}</k:DataToken><k:GlobalMetadataVersion xmlns:k=\"{CHANGES}\">{METADATA_VERSION}</k:GlobalMetadataVersion><k:MoreRecords xmlns:k=\"{CHANGES}\">{more}</k:MoreRecords><k:PagingCookie xmlns:k=\"{CHANGES}\">{}</k:PagingCookie>",
            store.version(),
            chrono::Utc::now().format("%m/%d/%Y %H:%M:%S"),
            escape(&format!("<cookie page=\"{}\"/>", number("PageNumber", 1)))
        );
        Ok(out)
    }
}

fn tail(name: &str, more: bool, cookie: Option<&str>, total: Option<usize>) -> String {
    let cookie = match cookie {
        Some(cookie) => format!("<b:PagingCookie>{}</b:PagingCookie>", escape(cookie)),
        None => "<b:PagingCookie i:nil=\"true\"/>".to_owned(),
    };
    let count = total.map_or("-1".to_owned(), |total| total.min(COUNT_CAP).to_string());
    format!(
        "<b:EntityName>{name}</b:EntityName><b:MinActiveRowVersion>-1</b:MinActiveRowVersion><b:MoreRecords>{more}</b:MoreRecords>{cookie}<b:TotalRecordCount>{count}</b:TotalRecordCount><b:TotalRecordCountLimitExceeded>{}</b:TotalRecordCountLimitExceeded>",
        total.is_some_and(|total| total > COUNT_CAP)
    )
}
