//! What has changed since a change token was given, by the Organization service (Dynamics page, sections 8 and 13.2).
//!
//! A token is what the service gave, behind the names of the fields that were read with it: with others everything is
//! read anew, for the service would tell nothing of records that have not changed.

use super::envelope::{
    CHANGES, CONTRACTS, INSTANCE, close_parameter, execute, executed, open_parameter,
    optional_text, parameter, results,
};
use super::exchange::{self, Operation};
use super::fetch::attribute_names;
use super::pages::{Ready, ready};
use crate::changes::{made_for_others, told, untracked};
use crate::ids;
use crate::query::with_query;
use crate::scan::page_size;
use crate::session::DynamicsSession;
use crm_core::{
    BoxFuture, CallStats, ChangePage, ChangeStream, Error, ErrorKind, RemoteQuery, Result,
};
use crm_xml::Reader;
use std::sync::Arc;

/// Between the names of the fields and what the service gave.
const BEHIND_FIELDS: char = '\n';

/// Starts reading changes; nothing is sent yet.
pub(crate) fn start(
    session: Arc<DynamicsSession>,
    query: RemoteQuery,
    token: Option<String>,
    stats: Arc<CallStats>,
) -> Box<dyn ChangeStream> {
    Box::new(Changes {
        session,
        stats,
        query,
        token,
        ready: None,
        state: State::Page {
            number: 1,
            cookie: None,
        },
    })
}

struct Changes {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    token: Option<String>,
    ready: Option<Ready>,
    state: State,
}

/// Where a reading stands. Changed only after a page has arrived, so that a `next` given up on may be called again.
#[derive(Clone)]
enum State {
    Page { number: u32, cookie: Option<String> },
    Finished,
    Failed(Error),
}

impl ChangeStream for Changes {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<ChangePage>>> {
        Box::pin(async move {
            let result = self.advance().await;
            if let Err(error) = &result {
                self.state = State::Failed(error.clone());
            }
            result
        })
    }
}

impl Changes {
    async fn advance(&mut self) -> Result<Option<ChangePage>> {
        let (number, cookie) = match self.state.clone() {
            State::Finished => return Ok(None),
            State::Failed(error) => return Err(error),
            State::Page { number, cookie } => (number, cookie),
        };
        let ready = match &self.ready {
            Some(ready) => ready.clone(),
            None => {
                let ready = ready(&self.session, self.query.clone(), &self.stats).await?;
                self.ready.insert(ready).clone()
            }
        };
        let object = &self.query.object;
        let names = attribute_names(&ready.query)?;
        let asked = Asked {
            object,
            names: &names,
            number,
            size: page_size(&self.query),
            cookie: cookie.as_deref(),
            token: self.own_token(&names)?,
        };
        let operation = Operation::reading("Execute", asked.body()?).for_data();
        let reply = exchange::call(&self.session, &operation, &self.stats).await;
        let reply = reply.map_err(|error| {
            let shown = format!("changes of {object}: {}", names.join(", "));
            told(object, with_query(error, Ok(shown)))
        })?;
        let answered = answered(&reply.body, &ready)?;
        if answered.more {
            // Whether the cookie names its page is not documented; the page's number goes with it, so the same one again
            // is a circle only where nothing comes of it.
            let is_empty = answered.page.page.n_rows == 0 && answered.page.deleted.is_empty();
            if is_empty && cookie.is_some() && cookie == answered.cookie {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the replies lead in a circle",
                ));
            }
            self.state = State::Page {
                number: number.saturating_add(1),
                cookie: answered.cookie,
            };
            return Ok(Some(answered.page));
        }
        let token = answered.token.ok_or_else(|| untracked(object))?;
        self.state = State::Finished;
        Ok(Some(ChangePage {
            token: Some(format!("{}{BEHIND_FIELDS}{token}", names.join(","))),
            ..answered.page
        }))
    }

    /// What the service gave, if it was for these fields.
    fn own_token(&self, names: &[&str]) -> Result<Option<&str>> {
        let Some(token) = &self.token else {
            return Ok(None);
        };
        match token.split_once(BEHIND_FIELDS) {
            Some((fields, token)) if fields == names.join(",") => Ok(Some(token)),
            _ => Err(made_for_others(&self.query.object)),
        }
    }
}

/// One page that is asked for.
struct Asked<'a> {
    object: &'a str,
    names: &'a [&'a str],
    number: u32,
    size: u32,
    cookie: Option<&'a str>,
    token: Option<&'a str>,
}

impl Asked<'_> {
    fn body(&self) -> Result<String> {
        let mut writer = execute("b:RetrieveEntityChangesRequest");
        parameter(&mut writer, "EntityName", "x:string", self.object);
        open_parameter(&mut writer, "Columns", "b:ColumnSet");
        writer.leaf("b:AllColumns", &[], "false");
        writer.open("b:Columns", &[]);
        for name in self.names {
            writer.leaf("r:string", &[], name);
        }
        writer.close();
        close_parameter(&mut writer);
        open_parameter(&mut writer, "PageInfo", "b:PagingInfo");
        writer.leaf("b:Count", &[], &self.size.to_string());
        writer.leaf("b:PageNumber", &[], &self.number.to_string());
        match self.cookie {
            Some(cookie) => writer.leaf("b:PagingCookie", &[], cookie),
            None => writer.leaf("b:PagingCookie", &[("i:nil", "true")], ""),
        };
        writer.leaf("b:ReturnTotalRecordCount", &[], "false");
        close_parameter(&mut writer);
        // There is none the first time (13.2).
        if let Some(token) = self.token {
            parameter(&mut writer, "DataVersion", "x:string", token);
        }
        executed(writer, "RetrieveEntityChanges")
    }
}

/// One page of changes.
#[derive(Default)]
struct Answered {
    page: ChangePage,
    more: bool,
    cookie: Option<String>,
    token: Option<String>,
}

fn answered(body: &[u8], ready: &Ready) -> Result<Answered> {
    let mut answered = Answered::default();
    let mut page = ready.decoder.page();
    let mut is_told = false;
    results(body, |key, reader| {
        if key != "EntityChanges" {
            return reader.skip();
        }
        is_told = true;
        while reader.child()? {
            match reader.name() {
                (CHANGES, "Changes") => {
                    while reader.child()? {
                        change(reader, ready, &mut page, &mut answered.page.deleted)?;
                    }
                }
                (CHANGES, "DataToken") => answered.token = optional_text(reader)?,
                (CHANGES, "MoreRecords") => answered.more = &*reader.text()? == "true",
                (CHANGES, "PagingCookie") => {
                    answered.cookie = optional_text(reader)?.filter(|cookie| !cookie.is_empty());
                }
                _ => reader.skip()?,
            }
        }
        Ok(())
    })?;
    if !is_told {
        return Err(Error::new(
            ErrorKind::Undecodable,
            "the reply tells of no changes, not even of none",
        ));
    }
    answered.page.page = page.finish(body.len());
    Ok(answered)
}

/// The change just opened: a record, or the identifier of one that is gone.
fn change(
    reader: &mut Reader<'_>,
    ready: &Ready,
    page: &mut crm_core::PageBuilder<'_>,
    deleted: &mut Vec<String>,
) -> Result<()> {
    let kind = reader.attribute(INSTANCE, "type")?;
    let is_gone = kind.is_some_and(|kind| kind.ends_with("RemovedOrDeletedItem"));
    while reader.child()? {
        match reader.name() {
            (CHANGES, "NewOrUpdatedEntity") if !is_gone => ready.decoder.record(reader, page)?,
            (CHANGES, "RemovedItem") if is_gone => {
                let mut id = None;
                while reader.child()? {
                    if reader.name() == (CONTRACTS, "Id") {
                        id = ids::canonical(&reader.text()?);
                    } else {
                        reader.skip()?;
                    }
                }
                deleted.push(id.ok_or_else(|| reader.refuse("what is gone has no identifier"))?);
            }
            _ => reader.skip()?,
        }
    }
    Ok(())
}

/// The bodies that this file makes, for a validator.
#[cfg(test)]
pub(crate) fn bodies() -> Result<Vec<(&'static str, String)>> {
    let asked = Asked {
        object: "account",
        names: &["accountid", "name"],
        number: 1,
        size: 5_000,
        cookie: None,
        token: None,
    };
    let again = Asked {
        number: 2,
        cookie: Some("<cookie page=\"1\"/>"),
        token: Some("919042!08/22/2017 08:10:44"),
        ..asked
    };
    Ok(vec![
        ("changes_first", asked.body()?),
        ("changes_next", again.body()?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::records::RecordDecoder;
    use crm_core::{ColumnType, QueryField, Zone};

    fn ready_for() -> Ready {
        let field = QueryField::plain("name", "StringType", ColumnType::Text);
        let query = RemoteQuery::all("account", "accountid", vec![field]);
        Ready {
            decoder: Arc::new(RecordDecoder::new(&query, Zone::default(), |_| &[])),
            query: Arc::new(query),
        }
    }

    fn answer(changes: &str) -> String {
        format!(
            r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><ExecuteResponse xmlns="http://schemas.microsoft.com/xrm/2011/Contracts/Services"><ExecuteResult xmlns:b="{CONTRACTS}" xmlns:i="{INSTANCE}" xmlns:c="http://schemas.datacontract.org/2004/07/System.Collections.Generic" xmlns:k="{CHANGES}"><b:Results><b:KeyValuePairOfstringanyType><c:key>EntityChanges</c:key><c:value i:type="k:BusinessEntityChanges">{changes}</c:value></b:KeyValuePairOfstringanyType></b:Results></ExecuteResult></ExecuteResponse></s:Body></s:Envelope>"#
        )
    }

    #[test]
    fn records_deletions_and_the_token() {
        let body = answer(
            r#"<k:Changes><k:anyType i:type="k:NewOrUpdatedItem"><k:NewOrUpdatedEntity><b:Attributes><b:KeyValuePairOfstringanyType><c:key>name</c:key><c:value>Acme</c:value></b:KeyValuePairOfstringanyType></b:Attributes><b:Id>00000000-0000-0000-0000-000000000001</b:Id></k:NewOrUpdatedEntity><k:Type>NewOrUpdated</k:Type></k:anyType><k:anyType i:type="k:RemovedOrDeletedItem"><k:RemovedItem><b:Id>00000000-0000-0000-0000-00000000000A</b:Id><b:LogicalName>account</b:LogicalName></k:RemovedItem><k:Type>RemoveOrDeleted</k:Type></k:anyType></k:Changes><k:DataToken>7!08/22/2017</k:DataToken><k:MoreRecords>false</k:MoreRecords><k:PagingCookie i:nil="true"/>"#,
        );
        let answered = answered(body.as_bytes(), &ready_for()).unwrap();
        assert_eq!(answered.page.page.columns[0].text(0), Some("Acme"));
        assert_eq!(
            answered.page.deleted,
            ["00000000-0000-0000-0000-00000000000a"]
        );
        assert_eq!(answered.token.as_deref(), Some("7!08/22/2017"));
        assert!(!answered.more && answered.cookie.is_none());
    }

    #[test]
    fn what_tells_of_no_changes_is_refused() {
        let none = answer("").replace("EntityChanges", "Other");
        assert!(answered(none.as_bytes(), &ready_for()).is_err());
        let nameless = answer(
            r#"<k:Changes><k:anyType i:type="k:RemovedOrDeletedItem"><k:RemovedItem/></k:anyType></k:Changes>"#,
        );
        assert!(answered(nameless.as_bytes(), &ready_for()).is_err());
    }

    #[test]
    fn the_token_is_left_out_the_first_time() {
        let bodies = bodies().unwrap();
        assert!(!bodies[0].1.contains("DataVersion"));
        assert!(bodies[1].1.contains("<c:key>DataVersion</c:key><c:value i:type=\"x:string\">919042!08/22/2017 08:10:44</c:value>"));
    }
}
