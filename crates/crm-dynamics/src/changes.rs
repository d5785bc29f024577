//! What has changed since a change token was given: delta links (Dynamics page, section 8).
//!
//! A token is the delta link itself, which names the columns that it was made for: with others everything is read anew.

use crate::ids;
use crate::query::Prepared;
use crate::scan::{self, Request};
use crate::session::DynamicsSession;
use crm_core::json::{self, Walk};
use crm_core::{
    BoxFuture, CallStats, ChangePage, ChangeStream, Error, ErrorKind, RemoteQuery, Result,
};
use crm_http::{Followed, Url};
use serde::Deserialize;
use std::sync::Arc;

/// Asks for a delta link behind the records.
const TRACK: &str = "odata.track-changes";

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
        is_first_reading: token.is_none(),
        prepared: None,
        state: State::First(token),
        followed: Followed::default(),
    })
}

struct Changes {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    query: RemoteQuery,
    /// Everything is read, for there was no token.
    is_first_reading: bool,
    prepared: Option<Prepared>,
    state: State,
    followed: Followed,
}

/// Where a reading stands. Changed only after a page has arrived, so that a `next` given up on may be called again.
#[derive(Clone)]
enum State {
    First(Option<String>),
    Next(String),
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
        let prepared = match &self.prepared {
            Some(prepared) => prepared.clone(),
            None => {
                let object = &self.query.object;
                // What its description says need not be found out by a call that is refused.
                let known = self.session.catalog().entity(object);
                if known.is_some_and(|entity| !entity.object.summary.changes_tracked) {
                    return Err(untracked(object));
                }
                let query = self.query.clone();
                let prepared = Prepared::new(&self.session, query, &self.stats).await?;
                self.prepared.insert(prepared).clone()
            }
        };
        let link = match &self.state {
            State::Finished => return Ok(None),
            State::Failed(error) => return Err(error.clone()),
            State::First(None) => scan::first_link(&self.session, &prepared)?,
            State::First(Some(token)) => self.link_of(token, &prepared)?,
            State::Next(link) => link.clone(),
        };
        let mut preferences = prepared.preferences(Some(scan::page_size(&self.query)));
        if self.is_first_reading {
            let others = preferences.unwrap_or_default();
            preferences = Some(format!("{TRACK},{others}"));
        }
        let request = Request {
            session: &self.session,
            preferences: preferences.as_deref(),
            stats: &self.stats,
        };
        let body = request.body(&link).await;
        let parts = body.and_then(|body| {
            let parts = Parts::of(body.bytes())?;
            let page = prepared.decoder.query_reply(parts.records.as_bytes())?.page;
            Ok((page, parts))
        });
        let (mut page, parts) =
            parts.map_err(|error| told(&self.query.object, prepared.about(error)))?;
        page.bytes = parts.n_bytes;
        match parts.next {
            Some(next) if self.followed.note(&next) => self.state = State::Next(next),
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the replies lead in a circle",
                ));
            }
            // A server that does not track a table may pass over the wish.
            None if parts.delta.is_none() => return Err(untracked(&self.query.object)),
            None => self.state = State::Finished,
        }
        Ok(Some(ChangePage {
            page,
            deleted: parts.deleted,
            token: match self.state {
                State::Finished => parts.delta,
                _ => None,
            },
        }))
    }

    /// The link of a token, if it was made for this reading.
    fn link_of(&self, token: &str, prepared: &Prepared) -> Result<String> {
        let own = self
            .session
            .resolve(&scan::first_link(&self.session, prepared)?)?;
        let told = self.session.resolve(token);
        match told {
            Ok(told) if told.path() == own.path() && selected(&told) == selected(&own) => {
                Ok(token.to_owned())
            }
            _ => Err(made_for_others(&self.query.object)),
        }
    }
}

/// What the vendor says of `object`, where it says that there are no tokens.
pub(crate) fn told(object: &str, error: Error) -> Error {
    let says_untracked = error.detail().is_some_and(|detail| {
        let detail = detail.to_ascii_lowercase();
        detail.contains("change tracking") && detail.contains("not enabled")
    });
    if !says_untracked {
        return error;
    }
    match error.detail() {
        Some(detail) => untracked(object).with_detail(detail),
        None => untracked(object),
    }
}

/// The error for an object of which the vendor gives no change tokens.
pub(crate) fn untracked(object: &str) -> Error {
    Error::new(
        ErrorKind::NotSupported,
        format!("the CRM tracks no changes of object \"{object}\""),
    )
    .with_hint("An administrator can switch change tracking on in the table's properties.")
}

/// The error for a change token that was made for other fields of `object`.
pub(crate) fn made_for_others(object: &str) -> Error {
    Error::new(
        ErrorKind::ChangeTokenExpired,
        format!("the change token of object \"{object}\" was made for other fields"),
    )
}

fn selected(link: &Url) -> Option<String> {
    let mut options = link.query_pairs();
    let (_, fields) = options.find(|(name, _)| name == "$select")?;
    Some(fields.into_owned())
}

/// A reply with changes, taken apart.
#[derive(Debug, Default)]
struct Parts {
    /// The same without deletions and links.
    records: String,
    deleted: Vec<String>,
    next: Option<String>,
    delta: Option<String>,
    n_bytes: usize,
}

/// What stands among the records for one that is gone.
#[derive(Deserialize)]
struct Gone {
    #[serde(rename = "@odata.context")]
    context: Option<String>,
    id: Option<String>,
}

impl Parts {
    fn of(body: &[u8]) -> Result<Self> {
        let mut walk = Walk::new(json::text_of(body, "changes")?);
        let mut parts = Self {
            records: String::with_capacity(body.len()),
            n_bytes: body.len(),
            ..Self::default()
        };
        parts.records.push('{');
        walk.open_object()?;
        while walk.has_key()? {
            let key = walk.key()?.into_owned();
            match key.as_str() {
                "value" => parts.changes(&mut walk)?,
                "@odata.nextLink" => parts.next = text(&mut walk)?,
                "@odata.deltaLink" => parts.delta = text(&mut walk)?,
                // The decoder of records knows what else may stand there.
                other => {
                    let before = walk.rest();
                    walk.skip_value()?;
                    let value = &before[..before.len() - walk.rest().len()];
                    parts.member(other, value);
                }
            }
        }
        walk.finish()?;
        parts.records.push('}');
        Ok(parts)
    }

    fn member(&mut self, name: &str, value: &str) {
        if self.records.len() > 1 {
            self.records.push(',');
        }
        json::push_text(name, &mut self.records);
        self.records.push(':');
        self.records.push_str(value);
    }

    fn changes(&mut self, walk: &mut Walk<'_>) -> Result<()> {
        if self.records.len() > 1 {
            self.records.push(',');
        }
        self.records.push_str("\"value\":[");
        let mut separator = "";
        walk.open_list()?;
        while walk.has_element()? {
            let before = walk.rest();
            walk.skip_value()?;
            let change = &before[..before.len() - walk.rest().len()];
            match gone(change)? {
                Some(id) => self.deleted.push(id),
                None => {
                    self.records.push_str(separator);
                    self.records.push_str(change);
                    separator = ",";
                }
            }
        }
        self.records.push(']');
        Ok(())
    }
}

/// The identifier of a record that is gone. One that is not has no such context.
fn gone(change: &str) -> Result<Option<String>> {
    if !change.contains("$deletedEntity") {
        return Ok(None);
    }
    let told: Gone = serde_json::from_str(change).map_err(|fault| json::undecodable(&fault))?;
    let is_gone = |context: &String| context.ends_with("/$deletedEntity");
    if !told.context.as_ref().is_some_and(is_gone) {
        return Ok(None);
    }
    let id = told.id.as_deref().unwrap_or_default();
    // Some servers name the record by its address.
    let bare = id
        .rsplit_once('(')
        .map_or(id, |(_, key)| key.trim_end_matches(')'));
    ids::canonical(bare).map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply tells of a deletion without saying of which record",
        )
    })
}

fn text(walk: &mut Walk<'_>) -> Result<Option<String>> {
    let before = walk.rest();
    walk.skip_value()?;
    let value = &before[..before.len() - walk.rest().len()];
    serde_json::from_str(value).map_err(|fault| json::undecodable(&fault))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Entity;
    use crate::testkit;
    use crm_core::{ColumnType, QueryField};
    use crm_http::testkit::{Answer, Seen, Server};

    fn recorded() -> String {
        let all = include_str!("../tests/fixtures/webapi_exchanges.json");
        let all: Vec<serde_json::Value> = serde_json::from_str(all).unwrap();
        let one = all
            .iter()
            .find(|one| one["name"] == "change_tracking_first");
        one.unwrap()["response"]["body"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_recorded_first_reading_has_a_token() {
        let parts = Parts::of(recorded().as_bytes()).unwrap();
        assert!(
            parts
                .delta
                .unwrap()
                .contains("$deltatoken=919042%2108%2f22")
        );
        assert!(parts.next.is_none() && parts.deleted.is_empty());
        let records: serde_json::Value = serde_json::from_str(&parts.records).unwrap();
        assert_eq!(records["value"][0]["name"], "Monte Orton");
        assert!(records.get("@odata.deltaLink").is_none());
    }

    #[test]
    fn deletions_stand_apart_from_records() {
        let body = r#"{"@odata.context":"x/$metadata#accounts/$delta","value":[
            {"name":"says \"reason\" and $deletedEntity","accountid":"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
            {"@odata.context":"x/$metadata#accounts/$deletedEntity","id":"6BA7B810-9DAD-11D1-80B4-00C04FD430C9","reason":"deleted"},
            {"@odata.context":"x/$metadata#accounts/$deletedEntity","id":"https://x/accounts(6ba7b810-9dad-11d1-80b4-00c04fd430ca)","reason":"deleted"}],
            "@odata.nextLink":"https://x/next"}"#;
        let parts = Parts::of(body.as_bytes()).unwrap();
        assert_eq!(
            parts.deleted,
            [
                "6ba7b810-9dad-11d1-80b4-00c04fd430c9",
                "6ba7b810-9dad-11d1-80b4-00c04fd430ca"
            ]
        );
        assert_eq!(parts.next.as_deref(), Some("https://x/next"));
        let records: serde_json::Value = serde_json::from_str(&parts.records).unwrap();
        assert_eq!(records["value"].as_array().unwrap().len(), 1);
    }

    const SET: &str = "/api/data/v9.2/accounts?$select=name,accountid";
    const ONE: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c1";
    const TWO: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c2";

    /// A server that knows three addresses, and whether it was asked to track changes at the first one.
    async fn server() -> Server {
        let asked = |seen: &Seen| seen.header("prefer").unwrap_or_default().to_owned();
        let answering = move |seen: &Seen| {
            let target = seen.target.as_str();
            if target.ends_with("/token") {
                return testkit::token();
            }
            let body = match target.strip_prefix(SET) {
                Some("") => {
                    assert!(asked(seen).contains(TRACK), "{}", asked(seen));
                    format!(
                        r#"{{"value":[{{"name":"A","accountid":"{ONE}"}}],"@odata.nextLink":"{SET}&$skiptoken=2"}}"#
                    )
                }
                Some("&$skiptoken=2") => {
                    assert!(asked(seen).contains(TRACK), "{}", asked(seen));
                    format!(
                        r#"{{"@odata.deltaLink":"{SET}&$deltatoken=7%21x","value":[{{"name":"B","accountid":"{TWO}"}}]}}"#
                    )
                }
                Some("&$deltatoken=7%21x") => format!(
                    r#"{{"value":[{{"name":"C","accountid":"{TWO}"}},
                    {{"@odata.context":"x#accounts/$deletedEntity","id":"{ONE}","reason":"deleted"}}],
                    "@odata.deltaLink":"{SET}&$deltatoken=8%21x"}}"#
                ),
                Some("&$deltatoken=1") => {
                    let body =
                        r#"{"error":{"code":"0x80044352","message":"Version stamp has expired"}}"#;
                    return Answer::new(400, body);
                }
                Some("&$deltatoken=2") => {
                    let body = r#"{"error":{"code":"0x80040216","message":"Change tracking is not enabled for entity account"}}"#;
                    return Answer::new(400, body);
                }
                _ => r#"{"value":[]}"#.to_owned(),
            };
            Answer::new(200, body).header("content-type", "application/json")
        };
        Server::start(answering).await.unwrap()
    }

    async fn read(
        server: &Server,
        token: Option<&str>,
    ) -> Result<(Vec<String>, Vec<String>, String)> {
        read_where(server, token, true).await
    }

    async fn read_where(
        server: &Server,
        token: Option<&str>,
        is_tracked: bool,
    ) -> Result<(Vec<String>, Vec<String>, String)> {
        let mut entity = Entity {
            set: "accounts".into(),
            primary_id: "accountid".into(),
            ..Entity::default()
        };
        entity.object.summary.name = "account".into();
        entity.object.summary.changes_tracked = is_tracked;
        let session = Arc::new(testkit::session(server, entity));
        let fields = ["name", "accountid"];
        let types = ["StringType", "UniqueidentifierType"];
        let fields = fields
            .iter()
            .zip(types)
            .map(|(name, remote_type)| QueryField::plain(name, remote_type, ColumnType::Text));
        let query = RemoteQuery::all("account", "accountid", fields.collect());
        let token = token.map(|token| format!("{}{SET}{token}", server.url()));
        let mut changes = start(session, query, token, Arc::default());
        let (mut names, mut deleted, mut last) = (Vec::new(), Vec::new(), None);
        while let Some(page) = changes.next().await? {
            assert!(last.is_none(), "a page behind the one with the token");
            let column = &page.page.columns[0];
            names.extend(
                (0..page.page.n_rows)
                    .filter_map(|row| column.text(row))
                    .map(str::to_owned),
            );
            deleted.extend(page.deleted);
            last = page.token;
        }
        Ok((names, deleted, last.expect("a token")))
    }

    #[tokio::test]
    async fn everything_first_and_then_what_has_changed() {
        let server = server().await;
        let (names, deleted, token) = read(&server, None).await.unwrap();
        assert_eq!(
            (names, deleted.len()),
            (vec!["A".to_owned(), "B".to_owned()], 0)
        );
        assert!(token.ends_with("$deltatoken=7%21x"), "{token}");
        let (names, deleted, token) = read(&server, Some("&$deltatoken=7%21x")).await.unwrap();
        assert_eq!(
            (names, deleted),
            (vec!["C".to_owned()], vec![ONE.to_owned()])
        );
        assert!(token.ends_with("$deltatoken=8%21x"), "{token}");
        for (token, expected) in [
            ("&$deltatoken=1", ErrorKind::ChangeTokenExpired),
            ("&$deltatoken=2", ErrorKind::NotSupported),
            // A server that passes over the wish.
            ("&$deltatoken=3", ErrorKind::NotSupported),
            // Made for other fields.
            (
                ",telephone1&$deltatoken=7%21x",
                ErrorKind::ChangeTokenExpired,
            ),
        ] {
            let error = read(&server, Some(token)).await.unwrap_err();
            assert_eq!(error.kind(), expected, "{token} {error:?}");
        }
        let before = server.seen().len();
        let error = read_where(&server, None, false).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotSupported);
        assert_eq!(server.seen().len(), before, "nothing is asked");
    }

    #[test]
    fn what_is_harmed_is_refused() {
        let nameless = r#"{"value":[{"@odata.context":"x#a/$deletedEntity","reason":"deleted"}]}"#;
        for body in [
            nameless,
            "",
            "<html>",
            r#"{"value":[{"a":1}"#,
            r#"{"value":7}"#,
        ] {
            assert!(Parts::of(body.as_bytes()).is_err(), "{body}");
        }
    }
}
