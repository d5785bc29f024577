//! The messages of `Execute`, and the operations they share with the service's own.

use std::fmt::Write as _;

use uuid::Uuid;

use super::contract::{CRM, Data};
use super::describe::{self, Filters};
use super::envelope::fault_members;
use super::values::{self, Written, result};
use crate::dynamics::Dynamics;
use crate::dynamics::errors::Refusal;
use crate::dynamics::names::{self, Name};
use crate::dynamics::store::{Store, made_id};
use crate::dynamics::value::Val;
use crate::dynamics::write::Writer;

/// Most requests of an `ExecuteMultiple`.
const MOST_REQUESTS: usize = 1_000;

/// An `OrganizationResponse`.
pub struct Response {
    /// `WhoAmI` and its like are of another namespace.
    space: &'static str,
    name: String,
    /// Pairs of the results.
    results: String,
}

impl Response {
    fn of(name: &str, results: impl Into<String>) -> Self {
        Self {
            space: super::contract::CONTRACTS,
            name: name.to_owned(),
            results: results.into(),
        }
    }

    /// The response as an element of that name.
    pub fn element(&self, tag: &str, attributes: &str) -> String {
        let name = tag.split_once(' ').map_or(tag, |(name, _)| name);
        format!(
            "<{tag} i:type=\"r:{0}Response\" xmlns:r=\"{1}\" {attributes}><b:ResponseName>{0}</b:ResponseName><b:Results>{2}</b:Results></{name}>",
            self.name, self.space, self.results
        )
    }
}

/// Makes a row of an `Entity`.
///
/// # Errors
/// What the values are refused for.
pub fn create(store: &mut Store, writer: &Writer, data: &Data) -> Result<Uuid, Refusal> {
    let mut written = values::written(store, data, true)?;
    let key = store.tables[written.table].entity;
    if let (Some(id), Some(at)) = (written.id, key.column(&key.key)) {
        written.values.retain(|(known, _)| *known != at);
        written.values.push((at, Val::Guid(id)));
    }
    writer.insert(store, written.table, &written.values)
}

/// Changes the row of an `Entity`.
///
/// # Errors
/// `0x80040217` where it is not, and what the values are refused for.
pub fn update(store: &mut Store, writer: &Writer, data: &Data) -> Result<(), Refusal> {
    let written = values::written(store, data, false)?;
    let id = named(store, &written)?;
    writer.set(store, written.table, id, &written.values)
}

/// The row a written `Entity` names: by its identifier or an alternate key.
fn named(store: &Store, written: &Written) -> Result<Uuid, Refusal> {
    let name = match (written.id, written.key.is_empty()) {
        (Some(id), _) => Name::Id(id),
        (None, false) => Name::Key(written.key.clone()),
        (None, true) => {
            return Err(Refusal::new(
                400,
                "0x80040203",
                "Entity Id must be specified for Update",
            ));
        }
    };
    match (names::find(store, written.table, &name), name) {
        (Some(id), _) => Ok(id),
        (None, Name::Id(id)) => {
            let entity = store.tables[written.table].entity;
            Err(Refusal::missing(&entity.name, &id.to_string()))
        }
        (None, Name::Key(_)) => Err(names::unknown_key()),
    }
}

/// The members of one row's `Entity`.
///
/// # Errors
/// `0x80040217` where there is none.
pub fn retrieve(
    store: &Store,
    name: &str,
    id: Uuid,
    columns: Option<&Data>,
) -> Result<String, Refusal> {
    let (table, entity) = values::known_table(store, name)?;
    let columns = values::column_set(entity, columns)?;
    let row = store.tables[table]
        .find(id)
        .ok_or_else(|| Refusal::missing(name, &id.to_string()))?;
    let mut out = String::new();
    values::entity(&mut out, store, table, row, &columns, &[]);
    Ok(out)
}

impl Dynamics {
    /// Carries out a request of `Execute`.
    ///
    /// # Errors
    /// What it is refused for; `0x80040203` for a message this server does not know.
    pub fn execute(&self, request: &Data, writer: &Writer) -> Result<Response, Refusal> {
        let name = match request.text_of("RequestName") {
            Some(name) => name,
            None => request.kind.1.trim_end_matches("Request"),
        };
        let empty = Data {
            name: String::new(),
            kind: request.kind.clone(),
            is_nil: true,
            text: String::new(),
            children: Vec::new(),
        };
        let parameters = request.get("Parameters").unwrap_or(&empty);
        let text = |key: &str| parameters.pair(key).map(|data| data.text.trim());
        match name {
            "ExecuteMultiple" => self.multiple(parameters, writer),
            "ExecuteTransaction" => self.transaction(parameters, writer),
            "RetrieveMultiple" => {
                let query = wanted(parameters, "Query")?;
                let page = self.found(query, writer.user)?;
                Ok(Response::of(
                    name,
                    result("EntityCollection", "b:EntityCollection", &page),
                ))
            }
            "RetrieveEntityChanges" => {
                let changes = self.entity_changes(parameters)?;
                Ok(Response::of(
                    name,
                    format!(
                        "<b:KeyValuePairOfstringanyType><c:key>EntityChanges</c:key><c:value i:type=\"q:BusinessEntityChanges\" xmlns:q=\"http://schemas.microsoft.com/xrm/7.1/Contracts\">{changes}</c:value></b:KeyValuePairOfstringanyType>"
                    ),
                ))
            }
            "WhoAmI" => Ok(Response {
                space: CRM,
                name: name.to_owned(),
                results: [
                    ("UserId", writer.user),
                    ("BusinessUnitId", made_id(10, 1)),
                    ("OrganizationId", made_id(1_019, 1)),
                ]
                .map(|(key, id)| result(key, "g:guid", &id.to_string()))
                .concat(),
            }),
            "RetrieveVersion" => Ok(Response {
                space: CRM,
                name: name.to_owned(),
                results: result("Version", "x:string", "9.0.45.11"),
            }),
            "Retrieve" => {
                let store = self.records();
                let target = wanted(parameters, "Target")?;
                let (table, id) = values::reference(&store, target)?;
                let entity = &store.schema.entities[table].name;
                let row = retrieve(&store, entity, id, parameters.pair("ColumnSet"))?;
                Ok(Response::of(name, result("Entity", "b:Entity", &row)))
            }
            "RetrieveEntity" => {
                let store = self.records();
                let table = describe::named(&store, text("LogicalName"))?;
                let filters = Filters::of(text("EntityFilters").unwrap_or("Entity"));
                let described = describe::entity(&store, table, filters, "c:value")?;
                Ok(Response::of(
                    name,
                    described_pair("EntityMetadata", &described),
                ))
            }
            "RetrieveAllEntities" => {
                let store = self.records();
                let filters = Filters::of(text("EntityFilters").unwrap_or("Entity"));
                let mut all = String::new();
                for table in &store.tables {
                    all.push_str(&describe::entity(
                        &store,
                        table,
                        filters,
                        "d:EntityMetadata",
                    )?);
                }
                let described = format!(
                    "<c:value i:type=\"d:ArrayOfEntityMetadata\" xmlns:d=\"http://schemas.microsoft.com/xrm/2011/Metadata\">{all}</c:value>"
                );
                Ok(Response::of(
                    name,
                    described_pair("EntityMetadata", &described),
                ))
            }
            "RetrieveAttribute" => {
                let store = self.records();
                let table = describe::named(&store, text("EntityLogicalName"))?;
                let column = text("LogicalName").unwrap_or_default();
                let at = table.entity.column(column).ok_or_else(|| {
                    Refusal::new(
                        400,
                        "0x80040217",
                        format!("Could not find an attribute with specified name: {column}"),
                    )
                })?;
                let described = describe::column(table.entity, at, "c:value")?;
                Ok(Response::of(
                    name,
                    described_pair("AttributeMetadata", &described),
                ))
            }
            "RetrieveAllOptionSets" | "RetrieveOptionSet" => self.option_sets(name, text("Name")),
            _ => {
                let mut store = self.records_mut();
                single(&mut store, name, parameters, writer)
            }
        }
    }

    fn option_sets(&self, message: &str, name: Option<&str>) -> Result<Response, Refusal> {
        let store = self.records();
        let mut found = Vec::new();
        for entity in &store.schema.entities {
            for (at, column) in entity.attributes.iter().enumerate() {
                let Some(set) = column.global.as_deref() else {
                    continue;
                };
                if message == "RetrieveAllOptionSets" {
                    found.push(describe::global(entity, at, "d:OptionSetMetadataBase")?);
                } else if Some(set) == name {
                    let described = describe::global(entity, at, "c:value")?;
                    return Ok(Response::of(
                        message,
                        described_pair("OptionSetMetadata", &described),
                    ));
                }
            }
        }
        match message {
            "RetrieveAllOptionSets" => {
                let described = format!(
                    "<c:value i:type=\"d:ArrayOfOptionSetMetadataBase\" xmlns:d=\"http://schemas.microsoft.com/xrm/2011/Metadata\">{}</c:value>",
                    found.concat()
                );
                Ok(Response::of(
                    message,
                    described_pair("OptionSetMetadata", &described),
                ))
            }
            _ => Err(Refusal::new(
                400,
                "0x80040217",
                format!(
                    "Could not find optionset with name {}",
                    name.unwrap_or_default()
                ),
            )),
        }
    }

    /// Requests one after another, each for itself.
    fn multiple(&self, parameters: &Data, writer: &Writer) -> Result<Response, Refusal> {
        let requests = wanted(parameters, "Requests")?;
        let settings = parameters.pair("Settings");
        let on = |name: &str| {
            settings
                .and_then(|settings| settings.text_of(name))
                .is_some_and(|text| matches!(text.trim(), "true" | "1"))
        };
        let (go_on, tell) = (on("ContinueOnError"), on("ReturnResponses"));
        if requests.children.len() > MOST_REQUESTS {
            return Err(Refusal::new(
                400,
                "0x80044193",
                format!(
                    "Message: ExecuteMultiple, batch size {} exceeds the maximum batch size {MOST_REQUESTS}.",
                    requests.children.len()
                ),
            ));
        }
        let mut out = String::new();
        let mut faulted = false;
        for (at, request) in requests.children.iter().enumerate() {
            if matches!(
                request.text_of("RequestName"),
                Some("ExecuteMultiple" | "ExecuteTransaction")
            ) {
                return Err(Refusal::argument(
                    "A request of this message cannot be part of an ExecuteMultiple request.",
                ));
            }
            // Writing to a text does not fail.
            match self.execute(request, writer) {
                Ok(response) if tell => {
                    let _ = write!(
                        out,
                        "<e:ExecuteMultipleResponseItem><e:Fault i:nil=\"true\"/><e:RequestIndex>{at}</e:RequestIndex>{}</e:ExecuteMultipleResponseItem>",
                        response.element("e:Response", "")
                    );
                }
                Ok(_) => {}
                Err(refusal) => {
                    faulted = true;
                    let _ = write!(
                        out,
                        "<e:ExecuteMultipleResponseItem><e:Fault>{}</e:Fault><e:RequestIndex>{at}</e:RequestIndex><e:Response i:nil=\"true\"/></e:ExecuteMultipleResponseItem>",
                        fault_members(&refusal, "b")
                    );
                    if !go_on {
                        break;
                    }
                }
            }
        }
        Ok(Response::of(
            "ExecuteMultiple",
            format!(
                "{}<b:KeyValuePairOfstringanyType><c:key>Responses</c:key><c:value i:type=\"e:OrganizationResponseCollection\" xmlns:e=\"http://schemas.microsoft.com/xrm/2012/Contracts\">{out}</c:value></b:KeyValuePairOfstringanyType>",
                result("IsFaulted", "x:boolean", &faulted.to_string())
            ),
        ))
    }

    /// Requests that all take effect, or none.
    fn transaction(&self, parameters: &Data, writer: &Writer) -> Result<Response, Refusal> {
        let requests = wanted(parameters, "Requests")?;
        let mut store = self.records_mut();
        store.begin();
        for request in &requests.children {
            let name = request.text_of("RequestName").unwrap_or_default();
            let done = match request.get("Parameters") {
                Some(inner) => single(&mut store, name, inner, writer),
                None => Err(Refusal::argument("The request has no parameters.")),
            };
            if let Err(refusal) = done {
                store.end(false);
                return Err(refusal);
            }
        }
        store.end(true);
        Ok(Response::of("ExecuteTransaction", ""))
    }
}

/// A message that writes one row.
fn single(
    store: &mut Store,
    name: &str,
    parameters: &Data,
    writer: &Writer,
) -> Result<Response, Refusal> {
    match name {
        "Create" => {
            let id = create(store, writer, wanted(parameters, "Target")?)?;
            Ok(Response::of(name, result("id", "g:guid", &id.to_string())))
        }
        "Update" => {
            let target = wanted(parameters, "Target")?;
            let mut writer = writer.clone();
            if let Some("IfRowVersionMatches") = parameters
                .pair("ConcurrencyBehavior")
                .map(|data| data.text.trim())
            {
                let version = target.text_of("RowVersion").unwrap_or_default();
                writer.if_match = Some(format!("W/\"{version}\""));
            }
            update(store, &writer, target)?;
            Ok(Response::of(name, ""))
        }
        "Upsert" => {
            let target = wanted(parameters, "Target")?;
            let written = values::written(store, target, true)?;
            let entity = store.tables[written.table].entity;
            let (id, created) = match named(store, &written) {
                Ok(id) => {
                    let mut values = written.values;
                    values.retain(|(at, _)| !entity.attributes[*at].is_id);
                    writer.set(store, written.table, id, &values)?;
                    (id, false)
                }
                Err(refusal) if matches!(&*refusal.code, "0x80040217" | "0x80060891") => {
                    let mut values = written.key;
                    values.extend(written.values);
                    if let (Some(id), Some(at)) = (written.id, entity.column(&entity.key)) {
                        values.push((at, Val::Guid(id)));
                    }
                    (writer.insert(store, written.table, &values)?, true)
                }
                Err(other) => return Err(other),
            };
            store.written.upserted += 1;
            let reference = format!(
                "<b:Id>{id}</b:Id><b:LogicalName>{}</b:LogicalName><b:Name i:nil=\"true\"/>",
                entity.name
            );
            Ok(Response::of(
                name,
                result("RecordCreated", "x:boolean", &created.to_string())
                    + &result("Target", "b:EntityReference", &reference),
            ))
        }
        "Delete" => {
            let (table, id) = values::reference(store, wanted(parameters, "Target")?)?;
            writer.delete(store, table, &Name::Id(id))?;
            Ok(Response::of(name, ""))
        }
        "SetState" => {
            let (table, id) = values::reference(store, wanted(parameters, "EntityMoniker")?)?;
            let entity = store.tables[table].entity;
            let mut values = Vec::new();
            for (key, column) in [("State", "statecode"), ("Status", "statuscode")] {
                let number = parameters
                    .pair(key)
                    .and_then(|data| data.text_of("Value"))
                    .and_then(|text| text.trim().parse().ok());
                if let (Some(at), Some(number)) = (entity.column(column), number) {
                    // A status of -1 is the usual one of the state.
                    let value = match number {
                        -1 => Val::Null,
                        number => Val::Int(number),
                    };
                    values.push((at, value));
                }
            }
            writer.set(store, table, id, &values)?;
            Ok(Response {
                space: CRM,
                name: name.to_owned(),
                results: String::new(),
            })
        }
        other => Err(Refusal::new(
            400,
            "0x80040203",
            format!("The message '{other}' is not supported by this server."),
        )),
    }
}

fn wanted<'d>(parameters: &'d Data, name: &str) -> Result<&'d Data, Refusal> {
    parameters.pair(name).ok_or_else(|| {
        Refusal::new(
            400,
            "0x80040203",
            format!("Required field '{name}' is missing"),
        )
    })
}

fn described_pair(key: &str, element: &str) -> String {
    format!(
        "<b:KeyValuePairOfstringanyType><c:key>{key}</c:key>{element}</b:KeyValuePairOfstringanyType>"
    )
}
