//! Writing rows: create, change, upsert, delete, references, the bulk actions. Section 7 of the protocol page.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::errors::Refusal;
use super::model::Entity;
use super::names::{Name, find, reference, same, unknown_key};
use super::records::derive;
use super::store::{Change, Row, Store, made_id};
use super::typed::{read, settle_status};
use super::value::Val;

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

fn blank(entity: &Entity) -> Row {
    Row {
        id: Uuid::nil(),
        values: vec![Val::Null; entity.attributes.len()],
        version: 0,
    }
}

/// A row that a record rule meets is refused, as by a plug-in or a lock.
fn struck(store: &mut Store, entity: &'static Entity, row: &Row) -> Result<(), Refusal> {
    if store.rules.is_empty() {
        return Ok(());
    }
    let struck = store.rules.strike(&entity.name, |rule| {
        entity.column(&rule.field).is_some_and(|at| {
            super::value::plain(&row.values[at], &entity.attributes[at]) == rule.value
        })
    });
    let Some(rule) = struck else {
        return Ok(());
    };
    // Generic SQL errors, as for a deadlock, are the server's fault; a plug-in's refusal is not.
    let status = rule.status.unwrap_or(match rule.code.as_str() {
        "0x80044150" | "0x80044151" | "0x80040333" => 500,
        "0x80040237" | "0x80060892" => 412,
        _ => 400,
    });
    let message = rule
        .message
        .unwrap_or_else(|| "refused on demand".to_owned());
    Err(Refusal::new(status, rule.code, message))
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
    /// One without headers.
    pub fn of(user: Uuid, at: i64) -> Self {
        Self {
            user,
            at,
            if_match: None,
            if_none_match: None,
            detect_duplicates: false,
            references: Vec::new(),
        }
    }

    /// Makes a row of what a body says.
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
        let mut row = blank(entity);
        for (at, value) in preset {
            row.values[*at] = value.clone();
        }
        self.apply(store, entity, &mut row, body, true)?;
        self.make(store, table, row)
    }

    /// Makes a row of values that are read already.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn insert(
        &self,
        store: &mut Store,
        table: usize,
        values: &[(usize, Val)],
    ) -> Result<Uuid, Refusal> {
        let entity = store.tables[table].entity;
        writable(entity, "Create")?;
        let mut row = blank(entity);
        for (at, value) in values {
            row.values[*at] = value.clone();
        }
        self.make(store, table, row)
    }

    fn make(&self, store: &mut Store, table: usize, mut row: Row) -> Result<Uuid, Refusal> {
        let entity = store.tables[table].entity;
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
        struck(store, entity, &row)?;
        self.unique(store, table, &row)?;
        self.duplicates(store, table, &row)?;
        let id = row.id;
        self.put(store, table, row, 1);
        store.written.created += 1;
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
        let old = self.changeable(store, table, id)?;
        let mut row = old.clone();
        self.apply(store, entity, &mut row, body, false)?;
        self.change(store, table, &old, row)
    }

    /// Changes a row to values that are read already; the key among them is passed over.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn set(
        &self,
        store: &mut Store,
        table: usize,
        id: Uuid,
        values: &[(usize, Val)],
    ) -> Result<(), Refusal> {
        let old = self.changeable(store, table, id)?;
        let mut row = old.clone();
        for (at, value) in values {
            row.values[*at] = value.clone();
        }
        self.change(store, table, &old, row)
    }

    fn changeable(&self, store: &Store, table: usize, id: Uuid) -> Result<Row, Refusal> {
        let table = &store.tables[table];
        writable(table.entity, "Update")?;
        let found = table
            .find(id)
            .ok_or_else(|| Refusal::missing(&table.entity.name, &id.to_string()))?;
        self.check_version(table.version(found))?;
        Ok(table.copy(found))
    }

    fn change(
        &self,
        store: &mut Store,
        table: usize,
        old: &Row,
        mut row: Row,
    ) -> Result<(), Refusal> {
        let entity = store.tables[table].entity;
        settle_status(entity, &mut row, Some(old))?;
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
        struck(store, entity, &row)?;
        self.unique(store, table, &row)?;
        self.put(store, table, row, 2);
        store.written.updated += 1;
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
                // With If-Match it was no upsert.
                store.written.upserted += u64::from(self.if_match.is_none());
                Ok(Done::Updated(id))
            }
            (None, Name::Id(id)) if self.if_match.is_some() => {
                Err(Refusal::missing(&entity.name, &id.to_string()))
            }
            (None, Name::Key(_)) if self.if_match.is_some() => Err(unknown_key()),
            (None, Name::Id(id)) => {
                let preset = entity.column(&entity.key).map(|at| (at, Val::Guid(*id)));
                let id = self.create(store, table, body, preset.as_slice())?;
                store.written.upserted += 1;
                Ok(Done::Created(id))
            }
            (None, Name::Key(parts)) => {
                let id = self.create(store, table, body, parts)?;
                store.written.upserted += 1;
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
            let row = store.tables[table].copy(row);
            struck(store, entity, &row)?;
            store.tables[table].bin.insert(id, row);
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
        store.written.deleted += 1;
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
        let audited = store.tables[table].audited;
        let Some((at, audits)) = store.schema.entity("audit").filter(|_| audited) else {
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
                store.duplicate_status,
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
