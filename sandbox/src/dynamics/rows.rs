//! Which write an address and a method ask for, alone or as part of a batch, and what it answers.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::batch::{Inner, Runner};
use super::entra::Caller;
use super::errors::{Refusal, reply};
use super::names::{self, Name};
use super::query::{self, Prefer, Reader};
use super::store::Store;
use super::traffic::realm;
use super::typed;
use super::write::{Done, Writer};
use super::{Dynamics, Realm};
use crate::request::Request;
use crate::salesforce::errors::Reply;

/// A bulk action's targets.
const MOST_TARGETS: usize = 1_000;
const PREFIX: &str = "Microsoft.Dynamics.CRM.";

/// One signed-in call's surroundings.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub realm: Realm,
    pub caller: Caller,
    /// Address of the service with its version.
    pub base: &'a str,
}

/// The caller of a batch, for its parts.
pub struct Parts<'a> {
    pub face: &'a Dynamics,
    pub call: Call<'a>,
}

impl Dynamics {
    /// Who writes, and what the headers of a request say.
    pub fn writer(&self, request: &Request, caller: Caller) -> Writer {
        let header = |name: &str| request.header(name).map(str::to_owned);
        Writer {
            user: super::user_id(caller),
            at: self.now(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            detect_duplicates: header("mscrm.suppressduplicatedetection")
                .is_some_and(|value| value.eq_ignore_ascii_case("false")),
            references: Vec::new(),
        }
    }

    /// Carries out a write.
    pub fn write(
        &self,
        store: &mut Store,
        request: &Request,
        segments: &[&str],
        base: &str,
        writer: &Writer,
    ) -> Result<Reply, Refusal> {
        let (set, key) = match segments[0].split_once('(') {
            Some((set, rest)) => (set, rest.strip_suffix(')')),
            None => (segments[0], None),
        };
        let (table, entity) = store.schema.set(set).ok_or_else(|| Refusal::segment(set))?;
        let name = key.map(|key| names::name(store, table, key)).transpose()?;
        let method = request.method.as_str();
        match (method, &name, &segments[1..]) {
            ("POST", None, []) => {
                let body = object(request)?;
                let id = writer.create(store, table, &body, &[])?;
                self.written(store, request, base, table, Done::Created(id))
            }
            ("POST", None, [action]) => {
                let action = action.strip_prefix(PREFIX).unwrap_or(action);
                store.begin();
                let outcome = multiple(store, writer, table, action, request, base);
                store.end(outcome.is_ok());
                outcome
            }
            ("PATCH", Some(name), []) => {
                let body = object(request)?;
                let done = writer.upsert(store, table, name, &body)?;
                self.written(store, request, base, table, done)
            }
            ("DELETE", Some(name), []) => {
                writer.delete(store, table, name)?;
                Ok(Reply::bare(204).header("OData-Version", "4.0"))
            }
            ("PUT", Some(name), [property]) => {
                let mut body = object(request)?;
                let value = body
                    .remove("value")
                    .ok_or_else(|| Refusal::syntax("The property 'value' is missing."))?;
                change(store, writer, table, name, property, value)
            }
            ("DELETE", Some(name), [property]) => {
                if entity.property(property).is_none() {
                    return Err(Refusal::property(&entity.name, property));
                }
                change(store, writer, table, name, property, Value::Null)
            }
            ("DELETE", Some(name), [navigation, "$ref"]) => {
                let property = format!("{navigation}@odata.bind");
                change(store, writer, table, name, &property, Value::Null)
            }
            ("PUT", Some(name), [navigation, "$ref"]) => {
                let body = object(request)?;
                let target = body.get("@odata.id").cloned();
                let target = target
                    .ok_or_else(|| Refusal::syntax("The property '@odata.id' is missing."))?;
                let property = format!("{navigation}@odata.bind");
                change(store, writer, table, name, &property, target)
            }
            (other, _, _) => Err(Refusal::method(other)),
        }
    }

    /// 204 with the address of the row, or the row itself where it was asked for.
    fn written(
        &self,
        store: &Store,
        request: &Request,
        base: &str,
        table: usize,
        done: Done,
    ) -> Result<Reply, Refusal> {
        let (id, status) = match done {
            Done::Created(id) => (id, 201),
            Done::Updated(id) => (id, 200),
        };
        let entity = store.tables[table].entity;
        let prefer = Prefer::of(request);
        if !prefer.representation {
            let address = format!("{base}/{}({id})", entity.set);
            return Ok(Reply::bare(204)
                .header("OData-Version", "4.0")
                .header("OData-EntityId", address));
        }
        let reader = Reader {
            store,
            base,
            prefer: &prefer,
            page_cap: None,
        };
        let query = query::parse(store, table, request, true)?;
        let row = store.tables[table]
            .find(id)
            .ok_or_else(|| Refusal::missing(&entity.name, &id.to_string()))?;
        Ok(reader.one(&query, row, status))
    }
}

/// Changes one property of a row.
fn change(
    store: &mut Store,
    writer: &Writer,
    table: usize,
    name: &Name,
    property: &str,
    value: Value,
) -> Result<Reply, Refusal> {
    let entity = store.tables[table].entity;
    let id = names::find(store, table, name)
        .ok_or_else(|| Refusal::missing(&entity.name, "the given key"))?;
    let mut body = Map::new();
    body.insert(property.to_owned(), value);
    writer.update(store, table, id, &body)?;
    Ok(Reply::bare(204).header("OData-Version", "4.0"))
}

/// The body as an object.
fn object(request: &Request) -> Result<Map<String, Value>, Refusal> {
    let json = request
        .header("content-type")
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json"));
    if !json {
        return Err(Refusal::new(
            415,
            "0x80060888",
            "The content type of the request is not supported.",
        ));
    }
    let whole = serde_json::from_slice::<&RawValue>(&request.body);
    match whole.map(typed::with_exact_numbers) {
        Ok(Ok(Value::Object(map))) => Ok(map),
        _ => Err(Refusal::new(
            400,
            "0x80048d19",
            "Error identified in Payload provided by the user: the body is no JSON object.",
        )),
    }
}

/// `CreateMultiple` and its like: all rows or none.
fn multiple(
    store: &mut Store,
    writer: &Writer,
    table: usize,
    action: &str,
    request: &Request,
    base: &str,
) -> Result<Reply, Refusal> {
    let entity = store.tables[table].entity;
    if action == "DeleteMultiple" {
        return Err(Refusal::unsupported(
            "DeleteMultiple has not yet been implemented.",
        ));
    }
    if !matches!(
        action,
        "CreateMultiple" | "UpdateMultiple" | "UpsertMultiple"
    ) {
        return Err(Refusal::segment(action));
    }
    let mut body = object(request)?;
    let Some(Value::Array(targets)) = body.remove("Targets") else {
        return Err(Refusal::argument("The parameter 'Targets' is missing."));
    };
    if targets.is_empty() || targets.len() > MOST_TARGETS {
        return Err(Refusal::argument(
            "The number of targets is outside the valid range.",
        ));
    }
    let mut ids = Vec::new();
    for target in targets {
        let Value::Object(mut target) = target else {
            return Err(Refusal::argument("A target is no object."));
        };
        let kind = target.get("@odata.type").and_then(Value::as_str);
        if kind.map(|kind| kind.trim_start_matches('#'))
            != Some(&format!("{PREFIX}{}", entity.name))
        {
            return Err(Refusal::argument(
                "A target lacks the type of the table in '@odata.type'.",
            ));
        }
        if action == "CreateMultiple" {
            ids.push(writer.create(store, table, &target, &[])?);
            continue;
        }
        let address = target.remove("@odata.id");
        let key = match (&address, target.remove(&entity.key)) {
            (_, Some(Value::String(id))) => id,
            (Some(Value::String(address)), None) => address
                .split_once('(')
                .and_then(|(_, rest)| rest.strip_suffix(')'))
                .unwrap_or_default()
                .to_owned(),
            _ => return Err(Refusal::argument("A target lacks its key.")),
        };
        let name = names::name(store, table, &key)?;
        let writer = Writer {
            if_match: (action == "UpdateMultiple").then(|| "*".to_owned()),
            ..writer.clone()
        };
        writer.upsert(store, table, &name, &target)?;
    }
    Ok(match action {
        "CreateMultiple" => reply(
            200,
            json!({
                "@odata.context":
                    format!("{base}/$metadata#{PREFIX}CreateMultipleResponse"),
                "Ids": ids.iter().map(Uuid::to_string).collect::<Vec<_>>(),
            })
            .to_string(),
        ),
        _ => Reply::bare(204).header("OData-Version", "4.0"),
    })
}

impl Parts<'_> {
    /// The path of a part below the version, or why it has none.
    fn segments(&self, request: &Request) -> Result<Vec<String>, Refusal> {
        let (found, _) = realm(&request.path).ok_or_else(|| Refusal::segment(&request.path))?;
        if found != self.call.realm {
            return Err(Refusal::segment(&request.path));
        }
        let depth = found.prefix().matches('/').count() + 3;
        Ok(request.segments.iter().skip(depth).cloned().collect())
    }
}

impl Runner for Parts<'_> {
    fn base(&self) -> &str {
        self.call.base
    }

    fn single(&self, inner: &Inner) -> Reply {
        self.segments(&inner.request)
            .and_then(|segments| {
                let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
                match segments.first() {
                    Some(&"$batch") => Err(Refusal::syntax("A batch cannot hold a batch.")),
                    _ => self.face.resource(&inner.request, &segments, self.call),
                }
            })
            .unwrap_or_else(Reply::from)
    }

    fn change_set(&self, parts: Vec<Inner>) -> Result<Vec<(Option<String>, Reply)>, Refusal> {
        let mut store = self.face.records_mut();
        store.begin();
        let mut references: Vec<(String, String)> = Vec::new();
        let mut out = Vec::new();
        for part in parts {
            let writer = Writer {
                references: references.clone(),
                ..self.face.writer(&part.request, self.call.caller)
            };
            let outcome = self.segments(&part.request).and_then(|mut segments| {
                let earlier = segments.first().and_then(|first| {
                    let id = first.strip_prefix('$')?;
                    references.iter().find(|(known, _)| known == id)
                });
                if let Some((_, address)) = earlier {
                    let last = address.rsplit('/').next().unwrap_or_default();
                    segments[0] = last.to_owned();
                }
                let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
                if segments.is_empty() {
                    return Err(Refusal::segment(""));
                }
                self.face.write(
                    &mut store,
                    &part.request,
                    &segments,
                    self.call.base,
                    &writer,
                )
            });
            match outcome {
                Ok(reply) => {
                    let made = reply
                        .headers
                        .iter()
                        .find(|(name, _)| *name == "OData-EntityId");
                    if let (Some(id), Some((_, address))) = (&part.content_id, made) {
                        references.push((id.clone(), address.clone()));
                    }
                    out.push((part.content_id, reply));
                }
                Err(refusal) => {
                    store.end(false);
                    return Err(refusal);
                }
            }
        }
        store.end(true);
        Ok(out)
    }
}
