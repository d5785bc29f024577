//! Writing rows: create, change, upsert, delete, references, the bulk actions. Section 7 of the protocol page.

use bigdecimal::BigDecimal;
use chrono::Datelike as _;
use serde_json::{Map, Value};
use std::str::FromStr as _;
use uuid::Uuid;

use super::errors::Refusal;
use super::model::{Attribute, Behavior, Entity, Kind};
use super::records::derive;
use super::store::{Change, Row, Store, made_id};
use super::value::{Val, read_many, read_moment, rounded};

/// Most values of a multi-select column.
const MOST_CHOSEN: usize = 150;

/// Who writes, when, and what the headers say.
#[derive(Debug, Clone)]
pub struct Writer {
    pub user: Uuid,
    /// Seconds since 1970.
    pub at: i64,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    /// Duplicate rules are on.
    pub detect_duplicates: bool,
    /// Rows that earlier parts of a change set made, by their Content-ID.
    pub references: Vec<(String, String)>,
}

/// What an upsert did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Created(Uuid),
    Updated(Uuid),
}

/// The name of a row in an address: its identifier or the values of a key.
#[derive(Debug, Clone)]
pub enum Name {
    Id(Uuid),
    Key(Vec<(usize, Val)>),
}

/// Reads what stands in the brackets of an address.
///
/// # Errors
/// 400 for what is no key of the table.
pub fn name(store: &Store, table: usize, text: &str) -> Result<Name, Refusal> {
    let entity = store.tables[table].entity;
    let bare = text
        .strip_prefix(&format!("{}=", entity.key))
        .unwrap_or(text);
    if let Ok(id) = Uuid::parse_str(bare.trim_matches('\'')) {
        return Ok(Name::Id(id));
    }
    let bad = || Refusal::syntax(format!("Invalid key '{text}'."));
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (property, value) = rest.split_once('=').ok_or_else(bad)?;
        let (value, behind) = match value.strip_prefix('\'') {
            Some(quoted) => until_quote(quoted).ok_or_else(bad)?,
            None => {
                let (value, behind) = value.split_once(',').unwrap_or((value, ""));
                (value.to_owned(), behind)
            }
        };
        rest = behind.trim_start_matches(',');
        let column = entity.property(property.trim()).ok_or_else(bad)?;
        let described = &entity.attributes[column];
        let value = match described.kind.is_reference() {
            true => Uuid::parse_str(&value).ok().map(Val::Guid),
            false => super::value::from_text(&value, described),
        };
        parts.push((column, value.ok_or_else(bad)?));
    }
    let mut names: Vec<&str> = parts
        .iter()
        .map(|(at, _)| entity.attributes[*at].name.as_str())
        .collect();
    names.sort_unstable();
    let known = entity.keys.iter().any(|key| {
        let mut columns: Vec<&str> = key.columns.iter().map(String::as_str).collect();
        columns.sort_unstable();
        columns == names
    });
    match known {
        true => Ok(Name::Key(parts)),
        false => Err(Refusal::syntax(
            "The specified key properties are not an alternate key of the entity.",
        )),
    }
}

fn until_quote(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut rest = text;
    loop {
        let (head, behind) = rest.split_once('\'')?;
        out.push_str(head);
        match behind.strip_prefix('\'') {
            Some(more) => {
                out.push('\'');
                rest = more;
            }
            None => return Some((out, behind)),
        }
    }
}

fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Text(a), Val::Text(b)) => a.to_lowercase() == b.to_lowercase(),
        (Val::Row(a, _), Val::Guid(b)) => a == b,
        (a, b) => a == b,
    }
}

/// The row a name stands for.
pub fn find(store: &Store, table: usize, name: &Name) -> Option<Uuid> {
    let table = &store.tables[table];
    match name {
        Name::Id(id) => table.find(*id).map(|row| table.id(row)),
        Name::Key(parts) => table
            .candidates(parts)
            .into_iter()
            .find(|row| parts.iter().all(|(at, v)| same(&table.get(*row, *at), v)))
            .map(|row| table.id(row)),
    }
}

fn unknown_key() -> Refusal {
    Refusal::new(
        404,
        "0x80060891",
        "A record with the specified key values does not exist in the entity.",
    )
}

/// Refuses tables that nobody writes.
fn writable(entity: &Entity, what: &str) -> Result<(), Refusal> {
    match entity.intersect || matches!(entity.name.as_str(), "audit" | "organization") {
        true => Err(Refusal::new(
            405,
            "0x80040800",
            format!(
                "The '{what}' method does not support entities of type '{}'.",
                entity.name
            ),
        )),
        false => Ok(()),
    }
}

impl Writer {
    /// Makes a row.
    ///
    /// # Errors
    /// What the values are refused for; 412 for a key that is taken.
    pub fn create(
        &self,
        store: &mut Store,
        table: usize,
        body: &Map<String, Value>,
        preset: &[(usize, Val)],
    ) -> Result<Uuid, Refusal> {
        let entity = store.tables[table].entity;
        writable(entity, "Create")?;
        let mut row = Row {
            id: Uuid::nil(),
            values: vec![Val::Null; entity.attributes.len()],
            version: 0,
        };
        for (at, value) in preset {
            row.values[*at] = value.clone();
        }
        self.apply(store, entity, &mut row, body, true)?;
        let key = entity.column(&entity.key);
        let chosen = key.and_then(|key| match row.values[key] {
            Val::Guid(id) => Some(id),
            _ => None,
        });
        row.id = chosen.unwrap_or_else(|| store.take_id(entity.code));
        if store.tables[table].find(row.id).is_some() {
            return Err(Refusal::new(
                412,
                "0x80040237",
                "Cannot insert duplicate key.",
            ));
        }
        let created = entity
            .column("overriddencreatedon")
            .map(|at| row.values[at].clone())
            .filter(|value| *value != Val::Null)
            .unwrap_or(Val::Time(self.at));
        let users = store.schema.entity("systemuser").map_or(0, |(at, _)| at);
        let units = store.schema.entity("businessunit").map_or(0, |(at, _)| at);
        let currencies = store
            .schema
            .entity("transactioncurrency")
            .map_or(0, |(at, _)| at);
        let user = Val::Row(self.user, users);
        let stamps = [
            (entity.key.as_str(), Val::Guid(row.id)),
            ("createdon", created),
            ("createdby", user.clone()),
            ("owningbusinessunit", Val::Row(made_id(10, 1), units)),
        ];
        let defaults = [
            ("ownerid", user),
            ("statecode", Val::Int(0)),
            (
                "transactioncurrencyid",
                Val::Row(made_id(9_105, 1), currencies),
            ),
            ("exchangerate", Val::Number(1.into())),
        ];
        for (name, value) in stamps {
            if let Some(at) = entity.column(name) {
                row.values[at] = value;
            }
        }
        for (name, value) in defaults {
            if let Some(at) = entity.column(name)
                && row.values[at] == Val::Null
            {
                row.values[at] = value;
            }
        }
        settle_status(entity, &mut row, None)?;
        for (at, column) in entity.attributes.iter().enumerate() {
            let required = column.required.as_deref() == Some("SystemRequired");
            if required && row.values[at] == Val::Null && !column.kind.is_choice() {
                return Err(Refusal::new(
                    400,
                    "0x80040203",
                    format!(
                        "Attribute '{}' cannot be NULL for entity '{}'.",
                        column.name, entity.name
                    ),
                ));
            }
        }
        self.unique(store, table, &row)?;
        self.duplicates(store, table, &row)?;
        let id = row.id;
        self.put(store, table, row, 1);
        Ok(id)
    }

    /// Changes a row that is there.
    ///
    /// # Errors
    /// 404 where it is not, 412 where it was changed meanwhile, and what the values are refused for.
    pub fn update(
        &self,
        store: &mut Store,
        table: usize,
        id: Uuid,
        body: &Map<String, Value>,
    ) -> Result<(), Refusal> {
        let entity = store.tables[table].entity;
        writable(entity, "Update")?;
        let found = store.tables[table]
            .find(id)
            .ok_or_else(|| Refusal::missing(&entity.name, &id.to_string()))?;
        self.check_version(store.tables[table].version(found))?;
        let old = store.tables[table].copy(found);
        let mut row = old.clone();
        self.apply(store, entity, &mut row, body, false)?;
        settle_status(entity, &mut row, Some(&old))?;
        for (at, column) in entity.attributes.iter().enumerate() {
            let required = column.required.as_deref() == Some("SystemRequired");
            if required && row.values[at] == Val::Null && old.values[at] != Val::Null {
                return Err(Refusal::new(
                    400,
                    "0x80040203",
                    format!(
                        "Attribute '{}' cannot be NULL for entity '{}'.",
                        column.name, entity.name
                    ),
                ));
            }
        }
        self.unique(store, table, &row)?;
        self.put(store, table, row, 2);
        Ok(())
    }

    /// PATCH: changes, or makes where the headers allow it.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::update`].
    pub fn upsert(
        &self,
        store: &mut Store,
        table: usize,
        name: &Name,
        body: &Map<String, Value>,
    ) -> Result<Done, Refusal> {
        let entity = store.tables[table].entity;
        let found = find(store, table, name);
        match (found, name) {
            (Some(_), _) if self.if_none_match.as_deref() == Some("*") => Err(Refusal::new(
                412,
                "0x80040237",
                "A record with matching key values already exists.",
            )),
            (Some(id), _) => {
                self.update(store, table, id, body)?;
                Ok(Done::Updated(id))
            }
            (None, Name::Id(id)) if self.if_match.is_some() => {
                Err(Refusal::missing(&entity.name, &id.to_string()))
            }
            (None, Name::Key(_)) if self.if_match.is_some() => Err(unknown_key()),
            (None, Name::Id(id)) => {
                let preset = entity.column(&entity.key).map(|at| (at, Val::Guid(*id)));
                let id = self.create(store, table, body, preset.as_slice())?;
                Ok(Done::Created(id))
            }
            (None, Name::Key(parts)) => {
                let id = self.create(store, table, body, parts)?;
                Ok(Done::Created(id))
            }
        }
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// 404, 412; 405 for an account that contacts still point at.
    pub fn delete(&self, store: &mut Store, table: usize, name: &Name) -> Result<(), Refusal> {
        let entity = store.tables[table].entity;
        writable(entity, "Delete")?;
        let id = match (find(store, table, name), name) {
            (Some(id), _) => id,
            (None, Name::Id(id)) => return Err(Refusal::missing(&entity.name, &id.to_string())),
            (None, Name::Key(_)) => return Err(unknown_key()),
        };
        if let Some(row) = store.tables[table].find(id) {
            self.check_version(store.tables[table].version(row))?;
        }
        if matches!(
            entity.name.as_str(),
            "systemuser" | "businessunit" | "transactioncurrency"
        ) {
            return Err(Refusal::new(
                405,
                "0x80040227",
                "The object you tried to delete is associated with another object and cannot be deleted.",
            ));
        }
        store.remove(table, id);
        let version = store.take_version();
        store.tables[table].deleted.push(Change { id, version });
        self.audit(store, table, id, 3);
        Ok(())
    }

    fn put(&self, store: &mut Store, table: usize, mut row: Row, operation: i64) {
        let entity = store.tables[table].entity;
        row.version = store.take_version();
        let users = store.schema.entity("systemuser").map_or(0, |(at, _)| at);
        let stamps = [
            ("modifiedon", Val::Time(self.at)),
            ("modifiedby", Val::Row(self.user, users)),
            ("versionnumber", Val::Int(row.version)),
        ];
        for (name, value) in stamps {
            if let Some(at) = entity.column(name) {
                row.values[at] = value;
            }
        }
        derive(entity, &mut row);
        let id = row.id;
        store.put(table, row);
        self.audit(store, table, id, operation);
    }

    /// Writes the audit of a change, where the organisation and the table are audited.
    fn audit(&self, store: &mut Store, table: usize, id: Uuid, operation: i64) {
        let entity = store.tables[table].entity;
        let Some((at, audits)) = store.schema.entity("audit").filter(|_| entity.audit) else {
            return;
        };
        if !store.auditing {
            return;
        }
        let users = store.schema.entity("systemuser").map_or(0, |(at, _)| at);
        let audit_id = store.take_id(audits.code);
        let version = store.take_version();
        let mut row = Row {
            id: audit_id,
            values: vec![Val::Null; audits.attributes.len()],
            version,
        };
        for (name, value) in [
            ("auditid", Val::Guid(audit_id)),
            ("createdon", Val::Time(self.at)),
            ("operation", Val::Int(operation)),
            ("action", Val::Int(operation)),
            ("objecttypecode", Val::Text(entity.name.clone())),
            ("objectid", Val::Row(id, table)),
            ("userid", Val::Row(self.user, users)),
            ("transactionid", Val::Guid(Uuid::nil())),
            ("attributemask", Val::Text("47,45".to_owned())),
        ] {
            if let Some(column) = audits.column(name) {
                row.values[column] = value;
            }
        }
        store.put(at, row);
    }

    fn check_version(&self, version: i64) -> Result<(), Refusal> {
        let wanted = self.if_match.as_deref().unwrap_or("*");
        match wanted == "*" || wanted == format!("W/\"{version}\"") {
            true => Ok(()),
            false => Err(Refusal::new(
                412,
                "0x80060882",
                "The version of the existing record doesn't match the RowVersion property provided.",
            )),
        }
    }

    /// Refuses a value of an alternate key that another row has.
    fn unique(&self, store: &Store, table: usize, row: &Row) -> Result<(), Refusal> {
        let table = &store.tables[table];
        for key in &table.entity.keys {
            let columns: Vec<usize> = key
                .columns
                .iter()
                .filter_map(|name| table.entity.column(name))
                .collect();
            if columns.iter().any(|at| row.values[*at] == Val::Null) {
                continue;
            }
            let old = table.find(row.id).map(|old| table.copy(old));
            let changed = old.is_none_or(|old| {
                columns
                    .iter()
                    .any(|at| !same(&old.values[*at], &row.values[*at]))
            });
            let values: Vec<(usize, Val)> = columns
                .iter()
                .map(|at| (*at, row.values[*at].clone()))
                .collect();
            let taken = changed
                && table.candidates(&values).into_iter().any(|other| {
                    table.id(other) != row.id
                        && columns
                            .iter()
                            .all(|at| same(&table.get(other, *at), &row.values[*at]))
                });
            if taken {
                return Err(Refusal::new(
                    412,
                    "0x80060892",
                    format!(
                        "A record that has the attribute values {} already exists. The entity key {} requires that this set of attributes contains unique values.",
                        key.columns.join(", "),
                        key.name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The organisation's rule: two contacts or accounts do not share an e-mail address.
    fn duplicates(&self, store: &Store, table: usize, row: &Row) -> Result<(), Refusal> {
        let table = &store.tables[table];
        let column = table.entity.column("emailaddress1");
        let (true, Some(column)) = (self.detect_duplicates, column) else {
            return Ok(());
        };
        let wanted = &row.values[column];
        let found = *wanted != Val::Null
            && table
                .candidates(&[(column, wanted.clone())])
                .into_iter()
                .any(|other| same(&table.get(other, column), wanted));
        match found {
            true => Err(Refusal::new(
                500,
                "0x80040333",
                "A record was not created or updated because a duplicate of the current record already exists.",
            )),
            false => Ok(()),
        }
    }

    /// Puts the values of a body into a row.
    fn apply(
        &self,
        store: &Store,
        entity: &'static Entity,
        row: &mut Row,
        body: &Map<String, Value>,
        creating: bool,
    ) -> Result<(), Refusal> {
        for (name, value) in body {
            if let Some(navigation) = name.strip_suffix("@odata.bind") {
                self.bind(store, entity, row, navigation, value)?;
                continue;
            }
            if name.starts_with('@') || name.contains("@") {
                continue;
            }
            let Some(at) = entity.property(name) else {
                match (entity.navigation(name), value) {
                    (Some((at, _)), Value::Null) => {
                        row.values[at] = Val::Null;
                        continue;
                    }
                    (Some(_), _) => {
                        return Err(Refusal::unsupported(format!(
                            "Deep insert into '{name}' is not supported by this server."
                        )));
                    }
                    (None, _) => {
                        return Err(Refusal::new(
                            400,
                            "0x80048d19",
                            format!(
                                "Error identified in Payload provided by the user for Entity :'{}', Error Message: The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{}'. Make sure to only use property names that are defined by the type.",
                                entity.set, entity.name
                            ),
                        ));
                    }
                }
            };
            let column = &entity.attributes[at];
            if column.kind.is_reference() {
                return Err(Refusal::new(
                    400,
                    "0x80048d19",
                    "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
                ));
            }
            // What only the server writes is passed over, as Dynamics does; so is the key on a change.
            if column.read_only || (column.is_id && !creating) {
                continue;
            }
            row.values[at] = read(entity, column, value)?;
        }
        Ok(())
    }

    fn bind(
        &self,
        store: &Store,
        entity: &'static Entity,
        row: &mut Row,
        navigation: &str,
        value: &Value,
    ) -> Result<(), Refusal> {
        let (at, targets) = entity.navigation(navigation).ok_or_else(|| {
            Refusal::new(
                400,
                "0x80048d19",
                format!(
                    "Error identified in Payload provided by the user for Entity :'{}', Error Message: An undeclared property '{navigation}' which only has property annotations in the payload but no property value was found in the payload.",
                    entity.set
                ),
            )
        })?;
        let text = match value {
            Value::Null => {
                row.values[at] = Val::Null;
                return Ok(());
            }
            Value::String(text) => text.as_str(),
            _ => return Err(Refusal::argument("A reference is an address.")),
        };
        let text = match self
            .references
            .iter()
            .find(|(id, _)| *text == format!("${id}"))
        {
            Some((_, address)) => address.as_str(),
            None => text,
        };
        let (table, found) = reference(store, text)?;
        let target = &store.schema.entities[table].name;
        if !targets.contains(&target.as_str()) {
            return Err(Refusal::argument(format!(
                "The entity '{target}' is no target of '{navigation}'."
            )));
        }
        row.values[at] = Val::Row(found, table);
        Ok(())
    }
}

/// The row an address such as `/accounts(<guid>)` stands for; it must be there.
pub fn reference(store: &Store, address: &str) -> Result<(usize, Uuid), Refusal> {
    let bad = || Refusal::syntax(format!("Invalid reference '{address}'."));
    let last = address.rsplit_once('/').map_or(address, |(_, last)| last);
    let (set, key) = last
        .split_once('(')
        .and_then(|(set, rest)| Some((set, rest.strip_suffix(')')?)))
        .ok_or_else(bad)?;
    let (table, entity) = store.schema.set(set).ok_or_else(|| Refusal::segment(set))?;
    let name = name(store, table, key)?;
    match (find(store, table, &name), name) {
        (Some(id), _) => Ok((table, id)),
        (None, Name::Id(id)) => Err(Refusal::missing(&entity.name, &id.to_string())),
        (None, Name::Key(_)) => Err(unknown_key()),
    }
}

/// Keeps state and status together: a status belongs to its state.
fn settle_status(entity: &'static Entity, row: &mut Row, old: Option<&Row>) -> Result<(), Refusal> {
    let (Some(state), Some(status)) = (entity.column("statecode"), entity.column("statuscode"))
    else {
        return Ok(());
    };
    let Val::Int(state_value) = row.values[state] else {
        return Err(Refusal::argument("statecode cannot be null."));
    };
    if entity.name == "opportunity" && old.is_some_and(|old| old.values[state] != row.values[state])
    {
        return Err(Refusal::new(
            400,
            "0x80040203",
            "This message can not be used to set the state of opportunity. In order to set state of opportunity, use the WinOpportunity or LoseOpportunity message.",
        ));
    }
    let changed_state = old.is_some_and(|old| old.values[state] != row.values[state]);
    let same_status = old.is_some_and(|old| old.values[status] == row.values[status]);
    if row.values[status] == Val::Null || (changed_state && same_status) {
        let first = entity.attributes[state]
            .choices
            .iter()
            .find(|choice| i64::from(choice.value) == state_value);
        row.values[status] = first
            .and_then(|choice| choice.state)
            .map_or(Val::Null, |default| Val::Int(default.into()));
    }
    let belongs = entity.attributes[status].choices.iter().any(|choice| {
        row.values[status] == Val::Int(choice.value.into())
            && choice.state.map(i64::from) == Some(state_value)
    });
    match belongs {
        true => Ok(()),
        false => Err(Refusal::new(
            400,
            "0x80048408",
            format!(
                "The status code is not valid for state code {state_value} of {}.",
                entity.name
            ),
        )),
    }
}

/// A JSON value as a value of a column.
fn read(entity: &Entity, column: &Attribute, value: &Value) -> Result<Val, Refusal> {
    let payload = |expected: &str| {
        Refusal::new(
            400,
            "0x80048d19",
            format!(
                "Error identified in Payload provided by the user for Entity :'{}', Error Message: Cannot convert the literal '{value}' to the expected type '{expected}'.",
                entity.set
            ),
        )
    };
    let outside = || {
        Refusal::new(
            400,
            "0x80044330",
            format!(
                "A validation error occurred. The value of '{}' on record of type '{}' is outside the valid range.",
                column.name, entity.name
            ),
        )
    };
    if value.is_null() {
        return Ok(Val::Null);
    }
    Ok(match column.kind {
        Kind::String | Kind::Memo | Kind::EntityName => {
            let text = value.as_str().ok_or_else(|| payload("Edm.String"))?;
            if let Some(most) = column.length
                && text.encode_utf16().count() > most
            {
                return Err(Refusal::new(
                    400,
                    "0x80044331",
                    format!(
                        "A validation error occurred.  The length of the '{}' attribute of the '{}' entity exceeded the maximum allowed length of '{most}'.",
                        column.name, entity.name
                    ),
                ));
            }
            match text {
                // The empty text is stored as null.
                "" => Val::Null,
                text => Val::Text(text.to_owned()),
            }
        }
        Kind::Image => Val::Text(
            value
                .as_str()
                .ok_or_else(|| payload("Edm.Binary"))?
                .to_owned(),
        ),
        Kind::Boolean => Val::Bool(value.as_bool().ok_or_else(|| payload("Edm.Boolean"))?),
        Kind::Integer | Kind::BigInt => {
            let number = value.as_i64().ok_or_else(|| payload("Edm.Int32"))?;
            let (low, high) = match column.kind {
                Kind::Integer => (i32::MIN.into(), i32::MAX.into()),
                _ => (i64::MIN, i64::MAX),
            };
            let (low, high) = (column.min.unwrap_or(low), column.max.unwrap_or(high));
            if number < low || number > high {
                return Err(outside());
            }
            Val::Int(number)
        }
        Kind::Decimal | Kind::Double | Kind::Money => {
            let number = match value {
                Value::Number(number) => BigDecimal::from_str(&number.to_string()).ok(),
                _ => None,
            };
            let number = number.ok_or_else(|| payload("Edm.Decimal"))?;
            let limit = match column.kind {
                Kind::Money => BigDecimal::from(922_337_203_685_478_i64),
                _ => BigDecimal::from(100_000_000_000_i64),
            };
            if number.abs() > limit {
                return Err(outside());
            }
            Val::Number(rounded(&number, column.scale()))
        }
        Kind::Picklist | Kind::State | Kind::Status => {
            let number = value.as_i64().ok_or_else(|| payload("Edm.Int32"))?;
            if column.label_of(number).is_none() {
                return Err(outside());
            }
            Val::Int(number)
        }
        Kind::MultiSelectPicklist => {
            let text = value.as_str().ok_or_else(|| payload("Edm.String"))?;
            if text.is_empty() {
                return Ok(Val::Null);
            }
            let values = read_many(text).ok_or_else(|| payload("Edm.String"))?;
            let known = values
                .iter()
                .all(|v| column.label_of(i64::from(*v)).is_some());
            if !known || values.len() > MOST_CHOSEN {
                return Err(outside());
            }
            Val::Many(values)
        }
        Kind::DateTime if column.behavior == Behavior::DateOnly => {
            let day: chrono::NaiveDate = value
                .as_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| payload("Edm.Date"))?;
            if day.year() < 1753 {
                return Err(outside());
            }
            Val::Date(day)
        }
        Kind::DateTime => {
            let at = value
                .as_str()
                .and_then(read_moment)
                .ok_or_else(|| payload("Edm.DateTimeOffset"))?;
            // The first of January 1753.
            if at < -6_847_804_800 {
                return Err(outside());
            }
            Val::Time(at)
        }
        Kind::Uniqueidentifier | Kind::File => {
            let text = value.as_str().ok_or_else(|| payload("Edm.Guid"))?;
            Val::Guid(Uuid::parse_str(text).map_err(|_| payload("Edm.Guid"))?)
        }
        _ => return Err(payload("Edm.Untyped")),
    })
}
