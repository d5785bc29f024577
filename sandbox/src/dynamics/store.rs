//! The rows of every table: recorded ones kept, generated contacts computed, both in one order.
//! Rows lie in SQL Server's order of identifiers, by which Dynamics sorts when nothing else is asked.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::BigDecimal;
use chrono::NaiveDate;
use uuid::Uuid;

use super::model::{Entity, Kind, Schema};
use super::value::{self, Val};
use crate::generate::{Column, Contacts};
use crate::record_rules::RecordRules;
use crate::salesforce::id;
use crate::salesforce::store::Cell;

/// Place of a row: its identifier, the last group first (section 5.1).
pub type Place = [u8; 16];

/// Number of the first generated contact; recorded rows lie below.
const FIRST_GENERATED: u64 = 1_000_000;
/// Version of the first generated contact, and of whatever is written after the start.
const GENERATED_VERSION: i64 = 2_000_000;

/// The place of an identifier.
pub fn place(id: Uuid) -> Place {
    let b = id.as_bytes();
    [
        b[10], b[11], b[12], b[13], b[14], b[15], b[8], b[9], b[7], b[6], b[5], b[4], b[3], b[2],
        b[1], b[0],
    ]
}

/// The identifier of a row the server made at its start.
pub fn made_id(code: u32, number: u64) -> Uuid {
    Uuid::from_u128((u128::from(code) << 96) | (0x4000_8000_u128 << 48) | u128::from(number))
}

/// A stored row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub id: Uuid,
    pub values: Vec<Val>,
    pub version: i64,
}

/// A row of either sort.
#[derive(Debug, Clone, Copy)]
pub enum RowRef<'a> {
    Stored(&'a Row),
    Generated(u32),
}

/// A deletion, for delta links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: Uuid,
    pub version: i64,
}

/// A table.
pub struct Table {
    pub entity: &'static Entity,
    code: u32,
    rows: BTreeMap<Place, Row>,
    /// Generated rows that were deleted.
    gone: BTreeSet<Place>,
    generated: Option<Generated>,
    /// Deleted rows, oldest first.
    pub deleted: Vec<Change>,
    /// What deleted rows held, for those who take them back.
    pub bin: BTreeMap<Uuid, Row>,
    /// Whether changes are audited, where the organisation audits at all.
    pub audited: bool,
    /// Whether changes can be asked for by a token.
    pub tracked: bool,
}

struct Generated {
    contacts: Contacts,
    columns: Vec<Source>,
}

/// Where a value of a generated contact comes from.
#[derive(Clone, Copy)]
enum Source {
    None,
    Cell(Column),
    Number(i64),
    Version,
    Owner,
    Account,
    Currency,
}

impl Table {
    fn new(entity: &'static Entity) -> Self {
        Self {
            entity,
            code: entity.code,
            rows: BTreeMap::new(),
            gone: BTreeSet::new(),
            generated: None,
            deleted: Vec::new(),
            bin: BTreeMap::new(),
            audited: entity.audit,
            tracked: entity.tracking,
        }
    }

    /// Whether some of the rows are computed.
    pub fn has_generated(&self) -> bool {
        self.generated
            .as_ref()
            .is_some_and(|generated| generated.contacts.count() > 0)
    }

    /// Whether this identifier is that of a computed row, changed meanwhile or not.
    pub fn is_generated(&self, id: Uuid) -> bool {
        self.generated_index(id).is_some()
    }

    /// The identifier of a row.
    pub fn id(&self, row: RowRef<'_>) -> Uuid {
        match row {
            RowRef::Stored(row) => row.id,
            RowRef::Generated(index) => made_id(self.code, FIRST_GENERATED + u64::from(index)),
        }
    }

    /// The version of a row.
    pub fn version(&self, row: RowRef<'_>) -> i64 {
        match row {
            RowRef::Stored(row) => row.version,
            RowRef::Generated(index) => GENERATED_VERSION + i64::from(index),
        }
    }

    /// A value of a row.
    pub fn get(&self, row: RowRef<'_>, column: usize) -> Val {
        let index = match row {
            RowRef::Stored(row) => return row.values[column].clone(),
            RowRef::Generated(index) => index,
        };
        match &self.generated {
            Some(generated) => generated.value(self, index, column),
            None => Val::Null,
        }
    }

    /// A row by its identifier.
    pub fn find(&self, id: Uuid) -> Option<RowRef<'_>> {
        let at = place(id);
        if let Some(row) = self.rows.get(&at) {
            return Some(RowRef::Stored(row));
        }
        let index = self.generated_index(id)?;
        (!self.gone.contains(&at)).then_some(RowRef::Generated(index))
    }

    fn generated_index(&self, id: Uuid) -> Option<u32> {
        let number = u64::try_from(id.as_u128() & 0xffff_ffff_ffff).ok()?;
        let index = u32::try_from(number.checked_sub(FIRST_GENERATED)?).ok()?;
        let count = self.generated.as_ref()?.contacts.count();
        (index < count && made_id(self.code, number) == id).then_some(index)
    }

    /// All rows behind a place, in order.
    pub fn scan(&self, after: Option<Place>) -> impl Iterator<Item = RowRef<'_>> {
        let start = match after {
            Some(place) => (std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded),
            None => (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
        };
        let mut stored = self.rows.range(start).peekable();
        let count = self.generated.as_ref().map_or(0, |g| g.contacts.count());
        let mut index = after.map_or(0, |after| self.first_behind(after, count));
        std::iter::from_fn(move || {
            loop {
                let next = (index < count)
                    .then(|| place(made_id(self.code, FIRST_GENERATED + u64::from(index))));
                let take_stored = match (stored.peek(), next) {
                    (Some((at, _)), Some(next)) if **at == next => {
                        index += 1;
                        true
                    }
                    (Some((at, _)), Some(next)) => **at < next,
                    (stored, _) => stored.is_some(),
                };
                if take_stored {
                    return stored.next().map(|(_, row)| RowRef::Stored(row));
                }
                let next = next?;
                index += 1;
                if !self.gone.contains(&next) {
                    return Some(RowRef::Generated(index - 1));
                }
            }
        })
    }

    /// The first generated row behind a place.
    fn first_behind(&self, after: Place, count: u32) -> u32 {
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            match place(made_id(self.code, FIRST_GENERATED + u64::from(middle))) > after {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        low
    }

    /// The rows that may have these values; generated ones are traced back from a value where that goes.
    pub fn candidates(&self, values: &[(usize, Val)]) -> Vec<RowRef<'_>> {
        let traced = self.generated.as_ref().and_then(|generated| {
            values.iter().find_map(|(at, value)| {
                let (Source::Cell(column), Val::Text(text)) = (generated.columns[*at], value)
                else {
                    return None;
                };
                matches!(column, Column::ExternalKey | Column::Email)
                    .then(|| generated.contacts.index_of_value(column, text))
            })
        });
        let Some(traced) = traced else {
            return self.scan(None).collect();
        };
        let made = traced
            .map(|index| made_id(self.code, FIRST_GENERATED + u64::from(index)))
            .and_then(|id| self.find(id))
            .filter(|row| matches!(row, RowRef::Generated(_)));
        self.rows.values().map(RowRef::Stored).chain(made).collect()
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        let generated = self
            .generated
            .as_ref()
            .map_or(0, |g| g.contacts.count() as usize);
        let replaced = self
            .rows
            .values()
            .filter(|row| self.generated_index(row.id).is_some())
            .count();
        self.rows.len() + generated - self.gone.len() - replaced
    }

    /// A row's values, to be changed and put back.
    pub fn copy(&self, row: RowRef<'_>) -> Row {
        match row {
            RowRef::Stored(row) => row.clone(),
            RowRef::Generated(_) => Row {
                id: self.id(row),
                values: (0..self.entity.attributes.len())
                    .map(|column| self.get(row, column))
                    .collect(),
                version: self.version(row),
            },
        }
    }

    /// Puts a row in its place, new or in the place of another.
    fn put(&mut self, row: Row) {
        let at = place(row.id);
        self.gone.remove(&at);
        self.rows.insert(at, row);
    }

    /// Takes a row away; says whether it was there.
    fn remove(&mut self, id: Uuid) -> bool {
        let at = place(id);
        let generated = self.generated_index(id).is_some() && !self.gone.contains(&at);
        let stored = self.rows.remove(&at).is_some();
        if generated {
            self.gone.insert(at);
        }
        generated || stored
    }
}

/// How a place looked before it was written.
struct Before {
    table: usize,
    id: Uuid,
    row: Option<Row>,
    gone: bool,
}

impl Generated {
    fn new(entity: &Entity, contacts: Contacts) -> Self {
        let columns = entity
            .attributes
            .iter()
            .map(|column| match column.name.as_str() {
                "firstname" => Source::Cell(Column::FirstName),
                "lastname" => Source::Cell(Column::LastName),
                "fullname" => Source::Cell(Column::Name),
                "salutation" => Source::Cell(Column::Salutation),
                "address1_line1" => Source::Cell(Column::MailingStreet),
                "address1_city" => Source::Cell(Column::MailingCity),
                "address1_stateorprovince" => Source::Cell(Column::MailingState),
                "address1_postalcode" => Source::Cell(Column::MailingPostalCode),
                "address1_country" => Source::Cell(Column::MailingCountry),
                "telephone1" => Source::Cell(Column::Phone),
                "mobilephone" => Source::Cell(Column::MobilePhone),
                "emailaddress1" => Source::Cell(Column::Email),
                "jobtitle" => Source::Cell(Column::Title),
                "department" => Source::Cell(Column::Department),
                "birthdate" => Source::Cell(Column::Birthdate),
                "createdon" => Source::Cell(Column::CreatedDate),
                "modifiedon" => Source::Cell(Column::SystemModstamp),
                "new_score" => Source::Cell(Column::Score),
                "new_visits" => Source::Cell(Column::Visits),
                "annualincome" => Source::Cell(Column::Balance),
                "new_isvip" => Source::Cell(Column::IsVip),
                "new_lastcontacted" => Source::Cell(Column::LastContacted),
                "new_externalkey" => Source::Cell(Column::ExternalKey),
                "statecode" => Source::Number(0),
                "statuscode" => Source::Number(1),
                "versionnumber" => Source::Version,
                "ownerid" | "createdby" | "modifiedby" => Source::Owner,
                "parentcustomerid" => Source::Account,
                "transactioncurrencyid" => Source::Currency,
                "contactid" => Source::Cell(Column::Id),
                _ => Source::None,
            })
            .collect();
        Self { contacts, columns }
    }

    fn value(&self, table: &Table, index: u32, at: usize) -> Val {
        let cell = |column| self.contacts.cell(index, Some(column));
        match self.columns[at] {
            Source::None => Val::Null,
            Source::Number(number) => Val::Int(number),
            Source::Version => Val::Int(GENERATED_VERSION + i64::from(index)),
            Source::Cell(Column::Id) => Val::Guid(table.id(RowRef::Generated(index))),
            Source::Owner => match cell(Column::OwnerId) {
                Cell::Text(text) => reference(8, USERS, id::number("005", &text)),
                _ => Val::Null,
            },
            Source::Account => match cell(Column::AccountId) {
                Cell::Text(text) => reference(1, ACCOUNTS, id::number("001", &text)),
                _ => Val::Null,
            },
            Source::Currency => Val::Row(made_id(9_105, 1), CURRENCIES),
            Source::Cell(column) => {
                let described = &table.entity.attributes[at];
                match cell(column) {
                    Cell::Null | Cell::Blob(_) => Val::Null,
                    Cell::Bool(yes) => Val::Bool(yes),
                    Cell::Number(text) => number(&text, described.kind, described.scale()),
                    Cell::Text(text) | Cell::Object(text) => match described.kind {
                        Kind::DateTime => instant(&text),
                        _ => Val::Text(text.to_string()),
                    },
                }
            }
        }
    }
}

/// Places of the tables that generated contacts point at; [`Store::new`] checks them.
const ACCOUNTS: usize = 0;
const USERS: usize = 5;
const CURRENCIES: usize = 8;

fn reference(code: u32, table: usize, number: Option<u64>) -> Val {
    number.map_or(Val::Null, |number| Val::Row(made_id(code, number), table))
}

fn number(text: &str, kind: Kind, scale: i64) -> Val {
    match kind {
        Kind::Integer => text
            .split('.')
            .next()
            .and_then(|whole| whole.parse().ok())
            .map_or(Val::Null, Val::Int),
        _ => text.parse::<BigDecimal>().map_or(Val::Null, |exact| {
            Val::Number(value::rounded(&exact, scale))
        }),
    }
}

/// Reads the generator's moments (`2024-01-02T03:04:05.000+0000`) and days.
fn instant(text: &str) -> Val {
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let day = || NaiveDate::from_ymd_opt(part(0, 4)? as i32, part(5, 7)?, part(8, 10)?);
    let Some(day) = day() else {
        return Val::Null;
    };
    let time = (part(11, 13), part(14, 16), part(17, 19));
    match time {
        (Some(hour), Some(minute), Some(second)) => day
            .and_hms_opt(hour, minute, second)
            .map_or(Val::Null, |at| Val::Time(at.and_utc().timestamp())),
        _ => Val::Date(day),
    }
}

/// Rows written, by what was done; those of a change set that was taken back do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    pub created: u64,
    pub updated: u64,
    pub deleted: u64,
    /// Counted as created or updated as well.
    pub upserted: u64,
}

/// All tables.
pub struct Store {
    pub schema: &'static Schema,
    pub tables: Vec<Table>,
    /// Delta tokens below this are expired.
    pub oldest_version: i64,
    /// Whether changes are audited.
    pub auditing: bool,
    /// Rows to refuse on demand.
    pub rules: RecordRules,
    /// HTTP status of a duplicate that was detected: 500, or 412 on some of the vendor's pages.
    pub duplicate_status: u16,
    /// Rows written through the API.
    pub written: Written,
    /// What a change set has written so far.
    before: Option<Vec<Before>>,
    written_before: Written,
    next_version: i64,
    next_number: u64,
}

impl Store {
    /// Empty tables, and the generated contacts.
    ///
    /// # Errors
    /// A sentence when the schema lacks a table that generated contacts need.
    pub fn new(schema: &'static Schema, contacts: Contacts) -> Result<Self, String> {
        let mut tables: Vec<Table> = schema.entities.iter().map(Table::new).collect();
        for (name, expected) in [
            ("account", ACCOUNTS),
            ("systemuser", USERS),
            ("transactioncurrency", CURRENCIES),
        ] {
            if schema.entity(name).map(|(at, _)| at) != Some(expected) {
                return Err(format!("entities.json: {name} is out of place"));
            }
        }
        let (at, entity) = schema
            .entity("contact")
            .ok_or("entities.json: no contact")?;
        tables[at].generated = Some(Generated::new(entity, contacts));
        Ok(Self {
            schema,
            tables,
            oldest_version: 0,
            auditing: true,
            rules: RecordRules::default(),
            duplicate_status: 500,
            written: Written::default(),
            before: None,
            written_before: Written::default(),
            next_version: GENERATED_VERSION + i64::from(contacts.count()),
            next_number: FIRST_GENERATED + u64::from(contacts.count()),
        })
    }

    /// A table by its logical name.
    pub fn table(&self, name: &str) -> Option<&Table> {
        let (at, _) = self.schema.entity(name)?;
        Some(&self.tables[at])
    }

    /// Puts a row in its place, new or in the place of another.
    pub fn put(&mut self, table: usize, row: Row) {
        self.remember(table, row.id);
        self.tables[table].put(row);
    }

    /// Takes a row away; says whether it was there.
    pub fn remove(&mut self, table: usize, id: Uuid) -> bool {
        self.remember(table, id);
        self.tables[table].remove(id)
    }

    fn remember(&mut self, table: usize, id: Uuid) {
        let at = place(id);
        let old = &self.tables[table];
        if let Some(before) = &mut self.before {
            before.push(Before {
                table,
                id,
                row: old.rows.get(&at).cloned(),
                gone: old.gone.contains(&at),
            });
        }
    }

    /// From here on what is written can be taken back.
    pub fn begin(&mut self) {
        self.before = Some(Vec::new());
        self.written_before = self.written;
    }

    /// Keeps what was written since [`Self::begin`], or takes it back.
    pub fn end(&mut self, keep: bool) {
        for before in self.before.take().unwrap_or_default().into_iter().rev() {
            if keep {
                continue;
            }
            let table = &mut self.tables[before.table];
            let at = place(before.id);
            match before.row {
                Some(row) => drop(table.rows.insert(at, row)),
                None => drop(table.rows.remove(&at)),
            }
            match before.gone {
                true => table.gone.insert(at),
                false => table.gone.remove(&at),
            };
            table.deleted.retain(|change| change.id != before.id);
        }
        if !keep {
            self.written = self.written_before;
            // Pages rendered meanwhile are stale.
            self.take_version();
        }
    }

    /// The version of the next write.
    pub fn take_version(&mut self) -> i64 {
        self.next_version += 1;
        self.next_version
    }

    /// The version of the last write.
    pub fn version(&self) -> i64 {
        self.next_version
    }

    /// An identifier for a new row; the later ones lie behind the earlier ones.
    pub fn take_id(&mut self, code: u32) -> Uuid {
        self.next_number += 1;
        made_id(code, self.next_number)
    }

    /// Switches the audit of the whole organisation, and lets its row say so.
    pub fn set_auditing(&mut self, on: bool) {
        self.auditing = on;
        let Some((at, entity)) = self.schema.entity("organization") else {
            return;
        };
        let version = self.take_version();
        if let Some(column) = entity.column("isauditenabled") {
            for row in self.tables[at].rows.values_mut() {
                row.values[column] = Val::Bool(on);
                row.version = version;
            }
        }
    }

    /// Lets go of the audits from before a moment, in seconds since 1970.
    pub fn forget_audits(&mut self, before: i64) {
        let Some((at, entity)) = self.schema.entity("audit") else {
            return;
        };
        if let Some(column) = entity.column("createdon") {
            self.tables[at]
                .rows
                .retain(|_, row| !matches!(row.values[column], Val::Time(made) if made < before));
        }
        self.take_version();
    }

    /// The name of a row, as annotations show it.
    pub fn title(&self, table: usize, id: Uuid) -> Option<String> {
        let table = &self.tables[table];
        let column = table.entity.column(table.entity.title.as_deref()?)?;
        match table.get(table.find(id)?, column) {
            Val::Text(text) => Some(text),
            _ => None,
        }
    }
}
