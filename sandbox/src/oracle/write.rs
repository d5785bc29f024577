//! Insert, Update, Delete and Execute of v2.0, and InsertOrUpdate of v1.0 (section 6 of the protocol page):
//! up to 20 records, found by user keys, all or none. A badly typed value is stored as nothing, silently.

use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use chrono_tz::Tz;

use super::envelope::Fault;
use super::objects::{Field, Kind, Object, system};
use super::picklists;
use super::store::{Deleted, Record, Store, user_id};
use super::{searchspec, time};
use crate::xml::{self, Node};

/// Most records of a message.
pub const MAX_RECORDS: usize = 20;

/// What is done with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Insert,
    Update,
    Delete,
    /// v1.0 only.
    InsertOrUpdate,
    /// Each record says for itself.
    Execute,
}

impl Operation {
    /// The word in element names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Insert => "Insert",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::InsertOrUpdate => "InsertOrUpdate",
            Self::Execute => "Execute",
        }
    }
}

/// Who writes, when, and how values are read.
pub struct Writer {
    pub user: usize,
    pub at: i64,
    pub zone: Tz,
    /// v1.0: its tags, `Y`/`N`, local dates.
    pub v1: bool,
}

/// Records written, by what was done.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct Written {
    pub inserted: u64,
    pub updated: u64,
    pub deleted: u64,
}

/// A record of the message: values by place, in the form they came.
struct Sent<'n> {
    operation: Operation,
    values: Vec<(usize, &'n str)>,
    /// Values of fields that name a parent.
    account_key: Option<&'n str>,
    skip: bool,
}

/// Carries a message out. `view` is the table's object under the tags the message's namespace stands for; the output element and what was written are returned.
///
/// # Errors
/// One fault for the whole message; nothing of it stays.
pub fn run(
    store: &mut Store,
    place: usize,
    view: &Object,
    operation: Operation,
    input: &Node,
    writer: &Writer,
) -> Result<(String, Written), Fault> {
    let object = store.tables[place].object.clone();
    let name = object.name;
    let (service, output, data) = match writer.v1 {
        true => (
            format!("urn:crmondemand/ws/{}/", object.word()),
            format!("{name}WS_{name}{}_Output", operation.word()),
            format!("urn:/crmondemand/xml/{}", object.word()),
        ),
        false => (
            view.service(),
            format!("{name}{}_Output", operation.word()),
            format!("urn:/crmondemand/xml/{name}/Data"),
        ),
    };
    let list_name = format!("ListOf{name}");
    let around = |fault: Fault| {
        fault.inside(
            &format!("{service}:{list_name}"),
            &format!("{name}{}", operation.word()),
        )
    };
    let records = records(&object, input, &data)?;
    let sent = records
        .iter()
        .map(|record| read(view, record, operation, writer))
        .collect::<Result<Vec<_>, _>>()
        .map_err(around)?;
    let mut batch = Batch {
        store,
        place,
        writer,
        undo: Vec::new(),
        trash: 0,
        keys: None,
        written: Written::default(),
    };
    batch.trash = batch.store.deleted.len();
    let mut out = format!("<ns:{output} xmlns:ns=\"{service}\"><{list_name} xmlns=\"{data}\">");
    for one in &sent {
        match batch.one(&object, one) {
            Ok(keys) => {
                out.push_str(&format!("<{name}>"));
                for (place, value) in keys {
                    let field = &object.fields[place];
                    let tag = if writer.v1 {
                        object.v1_tag(&field.name)
                    } else {
                        field.name.clone()
                    };
                    let is_moment = writer.v1 && field.kind == Kind::DateTime;
                    let local = is_moment
                        .then(|| time::from_xsd(&value, writer.zone))
                        .flatten()
                        .map(|at| time::local(at, writer.zone));
                    xml::element(&mut out, &tag, local.as_deref().unwrap_or(&value));
                }
                out.push_str(&format!("</{name}>"));
            }
            Err(fault) => {
                batch.take_back();
                return Err(around(fault));
            }
        }
    }
    out.push_str(&format!("</{list_name}></ns:{output}>"));
    let written = batch.written;
    Ok((out, written))
}

/// How many records a message carries: what it costs.
pub fn count(input: &Node) -> u64 {
    let lists = input
        .children
        .iter()
        .filter(|child| child.name.starts_with("ListOf"));
    lists.map(|list| list.children.len() as u64).sum()
}

fn records<'n>(object: &Object, input: &'n Node, data: &str) -> Result<Vec<&'n Node>, Fault> {
    let service = input.namespace.as_str();
    let here = |node: &Node| node.namespace == data || node.namespace == service;
    let list_name = format!("ListOf{}", object.name);
    let mut list = None;
    for argument in &input.children {
        match argument.name.as_str() {
            name if name == list_name && here(argument) => list = Some(argument),
            "LOVLanguageMode" | "ViewMode" | "Echo" | "AvailableForBatchRestore"
                if argument.namespace == service => {}
            other => return Err(Fault::unknown_element(other, object.name)),
        }
    }
    let records: Vec<&Node> = list
        .map(|list| list.children.iter().collect())
        .unwrap_or_default();
    if records.is_empty() {
        return Err(Fault::one(
            "SBL-EAI-13002",
            format!("The argument {list_name} is missing or empty"),
        ));
    }
    if records.len() > MAX_RECORDS {
        return Err(Fault::front(
            "SBL-ODU-01007",
            format!("The number of records must be at most {MAX_RECORDS}"),
        ));
    }
    match records
        .iter()
        .find(|record| record.name != object.name || !here(record))
    {
        Some(record) => Err(Fault::unknown_element(&record.name, object.name)),
        None => Ok(records),
    }
}

fn read<'n>(
    object: &Object,
    record: &'n Node,
    operation: Operation,
    writer: &Writer,
) -> Result<Sent<'n>, Fault> {
    let mut skip = false;
    let own = match (operation, record.attribute("operation")) {
        (Operation::Execute, Some("insert")) => Operation::Insert,
        (Operation::Execute, Some("update")) => Operation::Update,
        (Operation::Execute, Some("delete")) => Operation::Delete,
        (Operation::Execute, Some("skipnode")) => {
            skip = true;
            Operation::Update
        }
        (Operation::Execute, word) => {
            return Err(Fault::one(
                "SBL-EAI-04009",
                format!("The operation '{}' is unknown", word.unwrap_or_default()),
            ));
        }
        (other, _) => other,
    };
    let mut values = Vec::new();
    let mut account_key = None;
    for element in &record.children {
        if element.namespace != record.namespace {
            return Err(Fault::unknown_element(&element.name, object.name));
        }
        let tag = element.name.as_str();
        let place = if writer.v1 {
            object.place_of_v1(tag)
        } else {
            object.place(tag)
        };
        let place =
            place.filter(|place| !object.fields[*place].hidden && element.children.is_empty());
        let place = place.ok_or_else(|| Fault::unknown_element(tag, object.name))?;
        match tag {
            "AccountExternalSystemId" => account_key = Some(element.text.as_str()),
            _ => values.push((place, element.text.as_str())),
        }
    }
    Ok(Sent {
        operation: own,
        values,
        account_key,
        skip,
    })
}

/// A message under way.
struct Batch<'s> {
    store: &'s mut Store,
    place: usize,
    writer: &'s Writer,
    /// What was kept of each touched record before.
    undo: Vec<(u64, Option<Record>, bool)>,
    trash: usize,
    /// The key columns the first record was found by.
    keys: Option<Vec<usize>>,
    written: Written,
}

impl Batch<'_> {
    fn take_back(&mut self) {
        for (number, record, removed) in self.undo.drain(..).rev() {
            self.store.tables[self.place].keep(number, record, removed);
        }
        self.store.deleted.truncate(self.trash);
    }

    fn keep(&mut self, number: u64, record: Option<Record>, removed: bool) {
        let table = &mut self.store.tables[self.place];
        let (old, was_removed) = table.kept(number);
        self.undo.push((number, old, was_removed));
        table.keep(number, record, removed);
    }

    /// Carries one record out and gives its status keys.
    fn one(&mut self, object: &Object, sent: &Sent<'_>) -> Result<Vec<(usize, String)>, Fault> {
        let number = match sent.operation {
            Operation::Insert => None,
            Operation::InsertOrUpdate => self.found(object, sent)?,
            _ => Some(self.found(object, sent)?.ok_or_else(|| {
                Fault::one(
                    "SBL-EAI-04378",
                    format!("No record of '{}' matches the user key", object.name),
                )
            })?),
        };
        if let Some(number) = number {
            self.check_version(object, sent, number)?;
        }
        match (sent.operation, number) {
            _ if sent.skip => Ok(self.status(number.unwrap_or_default())),
            (Operation::Delete, Some(number)) => {
                let status = self.status(number);
                self.delete(object, number)?;
                Ok(status)
            }
            (_, number) => {
                let number = self.save(object, sent, number)?;
                Ok(self.status(number))
            }
        }
    }

    /// The record a user key names; the first record fixes the columns for all.
    fn found(&mut self, object: &Object, sent: &Sent<'_>) -> Result<Option<u64>, Fault> {
        let value = |place: &usize| {
            sent.values
                .iter()
                .find(|(known, text)| known == place && !text.trim().is_empty())
                .map(|(_, text)| text.trim())
        };
        let complete = |key: &&Vec<usize>| key.iter().all(|place| value(place).is_some());
        let several = || {
            Fault::with_symbol(
                "SBL-EAI-04390",
                "IDS_ERR_EAI_SA_MULTIPLE_MATCH",
                format!(
                    "Multiple matches found for instance of integration component '{}'",
                    object.name
                ),
            )
        };
        let key = match &self.keys {
            Some(key) if complete(&key) => key.clone(),
            Some(_) => return Err(several()),
            None => object.keys.iter().find(complete).cloned().ok_or_else(|| {
                Fault::with_symbol(
                    "SBL-EAI-04397",
                    "IDS_ERR_EAI_SA_NO_USERKEY",
                    format!(
                        "No user key can be used for the Integration Component instance '{}'",
                        object.name
                    ),
                )
            })?,
        };
        let values: Vec<&str> = key.iter().filter_map(value).collect();
        let found = self.store.tables[self.place].find(&key, &values);
        self.keys = Some(key);
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            _ => Err(several()),
        }
    }

    fn check_version(&self, object: &Object, sent: &Sent<'_>, number: u64) -> Result<(), Fault> {
        let told = sent
            .values
            .iter()
            .find(|(place, _)| *place == system::MOD_ID)
            .map(|(_, text)| text.trim());
        let held = self.store.tables[self.place].cell(number, system::MOD_ID);
        match told.filter(|told| !told.is_empty()) {
            Some(told) if held.as_deref() != Some(told) => Err(Fault::one(
                "SBL-DAT-00523",
                format!(
                    "The selected record of '{}' has been modified by another user since it was retrieved",
                    object.name
                ),
            )),
            _ => Ok(()),
        }
    }

    fn delete(&mut self, object: &Object, number: u64) -> Result<(), Fault> {
        let record = self.store.tables[self.place].record(number);
        self.struck(object, number, &record)?;
        let entry = Deleted::of(
            self.store,
            self.place,
            number,
            self.writer.user,
            self.writer.at,
        );
        self.store.deleted.push(entry);
        self.keep(number, None, true);
        self.written.deleted += 1;
        Ok(())
    }

    /// A record that a record rule meets is refused, as by a validation rule or a lock.
    fn struck(&mut self, object: &Object, number: u64, record: &Record) -> Result<(), Fault> {
        if self.store.rules.is_empty() {
            return Ok(());
        }
        let id = self.store.tables[self.place].id(number);
        let struck = self.store.rules.strike(object.name, |rule| {
            object.place(&rule.field).is_some_and(|place| match place {
                system::ID => id == rule.value,
                place => record.get(&place).map_or("", String::as_str) == rule.value,
            })
        });
        match struck {
            None => Ok(()),
            Some(rule) => {
                let message = rule.message.as_deref().unwrap_or("Refused on demand");
                Err(Fault::one(&rule.code, message))
            }
        }
    }

    fn save(
        &mut self,
        object: &Object,
        sent: &Sent<'_>,
        number: Option<u64>,
    ) -> Result<u64, Fault> {
        let table = &mut self.store.tables[self.place];
        let is_new = number.is_none();
        let number = number.unwrap_or_else(|| table.new_number());
        let mut record = if is_new {
            Record::new()
        } else {
            table.record(number)
        };
        let key = self.keys.clone().unwrap_or_default();
        for (place, text) in &sent.values {
            let field = &object.fields[*place];
            if matches!(*place, system::ID | system::MOD_ID) || !is_new && key.contains(place) {
                continue;
            }
            if field.read_only {
                return Err(Fault::one(
                    "SBL-EAI-04375",
                    format!(
                        "The field '{}' of '{}' is read-only",
                        field.name, object.name
                    ),
                ));
            }
            self.checked(object, field, text)?;
            match stored(field.kind, text, self.writer) {
                Some(value) => record.insert(*place, value),
                None => record.remove(place),
            };
        }
        self.resolve_account(object, sent, &mut record)?;
        if is_new {
            let missing = object
                .fields
                .iter()
                .enumerate()
                .find(|(place, field)| field.required && !record.contains_key(place));
            if let Some((_, field)) = missing {
                return Err(Fault::one(
                    "SBL-DAT-00498",
                    format!(
                        "'{}' is a required field. Please enter a value for the field",
                        field.name
                    ),
                ));
            }
        }
        self.check_unique(object, &record, number)?;
        self.struck(object, number, &record)?;
        stamp(&mut record, self.writer.at, self.writer.user, is_new);
        self.keep(number, Some(record), false);
        match is_new {
            true => self.written.inserted += 1,
            false => self.written.updated += 1,
        }
        Ok(number)
    }

    fn resolve_account(
        &self,
        object: &Object,
        sent: &Sent<'_>,
        record: &mut Record,
    ) -> Result<(), Fault> {
        let (Some(key), Some(place)) = (
            sent.account_key.filter(|key| !key.is_empty()),
            object.place("AccountId"),
        ) else {
            return Ok(());
        };
        let accounts = self
            .store
            .place("Account")
            .map(|place| &self.store.tables[place]);
        let found = accounts
            .and_then(|table| Some(table.id(*table.find(&[system::EXTERNAL], &[key]).first()?)));
        let id = found.ok_or_else(|| bounded(object, "AccountExternalSystemId"))?;
        record.insert(place, id);
        Ok(())
    }

    fn check_unique(&self, object: &Object, record: &Record, number: u64) -> Result<(), Fault> {
        for place in [system::EXTERNAL, system::INTEGRATION] {
            let Some(value) = record.get(&place) else {
                continue;
            };
            let found = self.store.tables[self.place].find(&[place], &[value]);
            if found.iter().any(|other| *other != number) {
                return Err(Fault::one(
                    "SBL-DAT-00381",
                    format!(
                        "A record of '{}' identical to the one you have created already exists ({})",
                        object.name, object.fields[place].name
                    ),
                ));
            }
        }
        Ok(())
    }

    /// What is refused rather than stored: length, values outside a list, parents that do not exist.
    fn checked(&self, object: &Object, field: &Field, text: &str) -> Result<(), Fault> {
        let most = match field.kind {
            Kind::Text(most) | Kind::Long(most) => most,
            Kind::Phone => 40,
            Kind::Pick | Kind::Id => 30,
            Kind::MultiPick => 330,
            _ => return Ok(()),
        };
        if text.chars().count() > most {
            return Err(Fault::one(
                "SBL-DAT-00235",
                format!(
                    "The value of the field '{}' is longer than {most} characters",
                    field.name
                ),
            ));
        }
        let tag = object.v1_tag(&field.name);
        let known = match field.kind {
            _ if text.is_empty() => true,
            Kind::Pick => picklists::allows(object.service_name, &tag, text),
            Kind::MultiPick => text
                .split(';')
                .all(|code| picklists::allows(object.service_name, &tag, code)),
            Kind::Id => self.store.knows(text),
            _ => true,
        };
        match known {
            true => Ok(()),
            false => Err(bounded(object, &field.name)),
        }
    }

    /// Only these come back, whatever was written (section 6.1).
    fn status(&self, number: u64) -> Vec<(usize, String)> {
        let table = &self.store.tables[self.place];
        [
            system::MODIFIED,
            system::CREATED,
            system::MODIFIED_BY,
            system::CREATED_BY,
            system::MOD_ID,
            system::ID,
            system::EXTERNAL,
        ]
        .into_iter()
        .map(|place| (place, table.cell(number, place).unwrap_or_default()))
        .collect()
    }
}

/// The system fields of a record that is written at a moment, in seconds since 1970.
pub fn stamp(record: &mut Record, at: i64, user: usize, is_new: bool) {
    let (at, by) = (time::xsd(at), user_id(user));
    if is_new {
        record.insert(system::CREATED, at.clone());
        record.insert(system::CREATED_BY, by.clone());
    }
    let version = record
        .get(&system::MOD_ID)
        .and_then(|text| text.parse().ok())
        .map_or(0, |held: i64| held + 1);
    record.insert(system::MOD_ID, version.to_string());
    record.insert(system::MODIFIED, at);
    record.insert(system::MODIFIED_BY, by);
}

fn bounded(object: &Object, field: &str) -> Fault {
    Fault::one(
        "SBL-DAT-00225",
        format!(
            "The value entered in field {field} of buscomp {} does not match any value in the bounded pick list PickList {field}.",
            object.name
        ),
    )
}

/// What v2.0 makes of a value (section 3.7): nothing for a bad one, 0 for a bad integer, N for a bad boolean.
fn stored(kind: Kind, text: &str, writer: &Writer) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let moment = |text: &str| match writer.v1 {
        true => time::from_local(text, writer.zone),
        false => time::from_xsd(text, writer.zone),
    };
    match kind {
        Kind::Bool => {
            let flag = matches!(searchspec::literal(Kind::Bool, text, writer.zone), Some(value) if value == searchspec::literal(Kind::Bool, "Y", writer.zone)?);
            Some(flag.to_string())
        }
        Kind::Int => Some(text.trim().parse::<i32>().unwrap_or(0).to_string()),
        Kind::Decimal if text.bytes().any(|b| matches!(b, b'e' | b'E')) => None,
        Kind::Decimal => BigDecimal::from_str(text.trim())
            .ok()
            .map(|number| number.to_plain_string()),
        Kind::Date if writer.v1 => NaiveDate::parse_from_str(text, "%m/%d/%Y")
            .ok()
            .map(|day| day.to_string()),
        Kind::Date => NaiveDate::from_str(text).ok().map(|day| day.to_string()),
        Kind::DateTime => moment(text).map(time::xsd),
        _ => Some(text.to_owned()),
    }
}
