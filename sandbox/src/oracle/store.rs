//! The records: recorded samples, contacts computed by their number, and what was written.
//! A record is kept sparse, values in the form of v2.0.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::objects::{Object, system};
use crate::generate::{Column, Contacts};
use crate::record_rules::RecordRules;
use crate::salesforce::{id as other_id, store::Cell};

/// Values by the place of their field.
pub type Record = BTreeMap<usize, String>;

/// Numbers an object has for its ids: five digits to base 36.
pub const BLOCK: u64 = 36 * 36 * 36 * 36 * 36;
const PREFIX: &str = "1QA2-";
/// First number of generated contacts; samples lie below.
const GENERATED: u64 = 1_000_000;
/// First number of written records: behind all others.
pub const WRITTEN: u64 = 30_000_000;

/// An entry of the trash.
#[derive(Debug, Clone)]
pub struct Deleted {
    pub id: String,
    pub object_id: String,
    pub kind: String,
    pub name: String,
    pub external: String,
    pub by: usize,
    /// Seconds since 1970.
    pub at: i64,
    /// What was deleted, to take it back; the samples of the trash have nothing.
    pub from: Option<From>,
}

/// A deleted record: where it was and what it held.
#[derive(Debug, Clone)]
pub struct From {
    pub table: usize,
    pub number: u64,
    pub record: Record,
}

impl Deleted {
    /// The entry for a record that is about to go.
    pub fn of(store: &mut Store, place: usize, number: u64, by: usize, at: i64) -> Self {
        let id = store.next_trash_id();
        let table = &store.tables[place];
        let object = &table.object;
        let name = object.keys.get(3).map_or_else(String::new, |key| {
            let parts: Vec<String> = key
                .iter()
                .rev()
                .filter(|place| object.fields[**place].name != "ContactEmail")
                .filter_map(|place| table.cell(number, *place))
                .collect();
            parts.join(", ")
        });
        Self {
            id,
            object_id: table.id(number),
            kind: object.deleted_as.to_owned(),
            name,
            external: table.cell(number, system::EXTERNAL).unwrap_or_default(),
            by,
            at,
            from: Some(From {
                table: place,
                number,
                record: table.record(number),
            }),
        }
    }
}

/// The records of one object.
pub struct Table {
    pub object: Object,
    pub(super) block: u64,
    pub(super) stored: BTreeMap<u64, Record>,
    pub(super) removed: BTreeSet<u64>,
    pub(super) next: u64,
    pub(super) generated: Option<Contacts>,
    pub(super) externals: HashMap<String, u64>,
    pub(super) columns: Vec<Option<Column>>,
    /// Grows with each change.
    pub version: u64,
}

/// All tables and the trash.
pub struct Store {
    pub tables: Vec<Table>,
    pub deleted: Vec<Deleted>,
    /// Records to refuse on demand.
    pub rules: RecordRules,
    /// Entries the trash ever had.
    pub(super) trashed: u64,
}

/// What a row id is made of.
pub fn make_id(block: u64, number: u64) -> String {
    let mut rest = block * BLOCK + number;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(rest % 36) as usize];
        rest /= 36;
    }
    format!("{PREFIX}{}", String::from_utf8_lossy(&digits))
}

/// The id of a user.
pub fn user_id(user: usize) -> String {
    make_id(1, user as u64 + 1)
}

impl Table {
    /// The id behind a number.
    pub fn id(&self, number: u64) -> String {
        make_id(self.block, number)
    }

    /// The number behind an id of this object, whether or not there is such a record.
    pub fn number(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(PREFIX).filter(|digits| digits.len() == 6)?;
        if digits.bytes().any(|b| b.is_ascii_lowercase()) {
            return None;
        }
        let whole = u64::from_str_radix(digits, 36).ok()?;
        (whole / BLOCK == self.block).then_some(whole % BLOCK)
    }

    fn index(&self, number: u64) -> Option<u32> {
        let index = u32::try_from(number.checked_sub(GENERATED)?).ok()?;
        (index < self.generated?.count()).then_some(index)
    }

    /// Whether some of the records are computed.
    pub fn has_generated(&self) -> bool {
        self.generated.is_some_and(|contacts| contacts.count() > 0)
    }

    /// Whether this number is that of a computed record, changed meanwhile or not.
    pub fn is_generated(&self, number: u64) -> bool {
        self.index(number).is_some()
    }

    /// Whether there is a record.
    pub fn has(&self, number: u64) -> bool {
        self.stored.contains_key(&number)
            || self.index(number).is_some() && !self.removed.contains(&number)
    }

    /// The first record at or behind a number, by id.
    pub fn at_or_behind(&self, from: u64) -> Option<u64> {
        let stored = self.stored.range(from..).next().map(|(number, _)| *number);
        let mut number = from.max(GENERATED);
        while self.index(number).is_some() && self.removed.contains(&number) {
            number += 1;
        }
        let generated = self.index(number).map(|_| number);
        stored.into_iter().chain(generated).min()
    }

    /// One value of one record; `None` when blank.
    pub fn cell(&self, number: u64, place: usize) -> Option<String> {
        if place == system::ID {
            return Some(self.id(number));
        }
        if let Some(record) = self.stored.get(&number) {
            return record.get(&place).cloned();
        }
        self.computed(self.index(number)?, place)
    }

    fn computed(&self, index: u32, place: usize) -> Option<String> {
        match place {
            system::MOD_ID => return Some("0".to_owned()),
            system::CREATED_BY | system::MODIFIED_BY => return Some(user_id(0)),
            _ => {}
        }
        let column = self.columns.get(place).copied().flatten()?;
        match self.generated?.cell(index, Some(column)) {
            Cell::Bool(flag) => Some(flag.to_string()),
            Cell::Number(number) if column == Column::Visits => {
                Some(number.trim_end_matches(".0").to_owned())
            }
            Cell::Number(number) => Some(number.into()),
            Cell::Text(text) => Some(match column {
                Column::AccountId => make_id(2, other_id::number("001", &text)?),
                Column::OwnerId => user_id(0),
                Column::CreatedDate | Column::LastModifiedDate | Column::LastContacted => {
                    text.replace(".000+0000", "Z")
                }
                _ => text.into(),
            }),
            _ => None,
        }
    }

    /// A record as a whole, to change it.
    pub fn record(&self, number: u64) -> Record {
        if let Some(record) = self.stored.get(&number) {
            return record.clone();
        }
        (0..self.object.fields.len())
            .filter(|place| *place != system::ID)
            .filter_map(|place| Some((place, self.cell(number, place)?)))
            .collect()
    }

    /// What is kept of a record, for taking a change back.
    pub fn kept(&self, number: u64) -> (Option<Record>, bool) {
        (
            self.stored.get(&number).cloned(),
            self.removed.contains(&number),
        )
    }

    /// Keeps a record, or nothing of it; `removed` hides a generated one.
    pub fn keep(&mut self, number: u64, record: Option<Record>, removed: bool) {
        self.version += 1;
        if let Some(old) = self
            .stored
            .remove(&number)
            .and_then(|old| old.get(&system::EXTERNAL).cloned())
        {
            self.externals.remove(&old);
        }
        if let Some(record) = record {
            if let Some(key) = record.get(&system::EXTERNAL) {
                self.externals.insert(key.clone(), number);
            }
            self.stored.insert(number, record);
        }
        match removed {
            true => self.removed.insert(number),
            false => self.removed.remove(&number),
        };
    }

    /// A number for a new record.
    pub fn new_number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// The records whose fields at `places` hold these values, at most two.
    pub fn find(&self, places: &[usize], values: &[&str]) -> Vec<u64> {
        if places == [system::ID] {
            return self
                .number(values[0])
                .filter(|number| self.has(*number))
                .into_iter()
                .collect();
        }
        let fits = |number: &u64| {
            places.iter().zip(values).all(|(place, value)| {
                self.cell(*number, *place).as_deref().unwrap_or_default() == *value
            })
        };
        if places == [system::EXTERNAL] {
            let stored = self.externals.get(values[0]).copied();
            return stored
                .into_iter()
                .chain(self.traced(places, values))
                .filter(fits)
                .take(1)
                .collect();
        }
        let mut found: Vec<u64> = self.stored.keys().copied().filter(fits).take(2).collect();
        let traced = self
            .traced(places, values)
            .filter(|n| !found.contains(n) && fits(n));
        found.extend(traced);
        found
    }

    /// The generated record that may hold one of the values: some of them carry its number.
    fn traced(&self, places: &[usize], values: &[&str]) -> Option<u64> {
        let contacts = self.generated?;
        places.iter().zip(values).find_map(|(place, value)| {
            let column = self.columns.get(*place).copied().flatten()?;
            let index = match column {
                Column::LastName => value.rsplit(' ').next()?.parse().ok()?,
                _ => contacts.index_of_value(column, value)?,
            };
            let number = GENERATED + u64::from(index);
            (self.index(number).is_some() && self.has(number)).then_some(number)
        })
    }
}

/// The generator's column behind a contact field.
pub fn column(tag: &str) -> Option<Column> {
    Some(match tag {
        "ContactFirstName" => Column::FirstName,
        "ContactLastName" => Column::LastName,
        "MrMrs" => Column::Salutation,
        "ContactEmail" => Column::Email,
        "JobTitle" => Column::Title,
        "Department" => Column::Department,
        "WorkPhone" => Column::Phone,
        "CellularPhone" => Column::MobilePhone,
        "AccountId" => Column::AccountId,
        "LeadSource" => Column::LeadSource,
        "DateofBirth" => Column::Birthdate,
        "PrimaryAddress" => Column::MailingStreet,
        "PrimaryCity" => Column::MailingCity,
        "PrimaryProvince" => Column::MailingState,
        "PrimaryZipCode" => Column::MailingPostalCode,
        "PrimaryCountry" => Column::MailingCountry,
        "OwnerId" => Column::OwnerId,
        "CreatedDate" => Column::CreatedDate,
        "ModifiedDate" => Column::LastModifiedDate,
        "ExternalSystemId" => Column::ExternalKey,
        "CustomNumber0" => Column::Score,
        "CustomInteger0" => Column::Visits,
        "CustomCurrency0" => Column::Balance,
        "CustomBoolean0" => Column::IsVip,
        "CustomDate0" => Column::LastContacted,
        _ => return None,
    })
}

impl Store {
    /// The place of a table by the object's SOAP name.
    pub fn place(&self, object: &str) -> Option<usize> {
        self.tables
            .iter()
            .position(|table| table.object.name == object)
    }

    /// A table by the object's name in the Service API.
    pub fn by_service_name(&self, name: &str) -> Option<&Table> {
        self.tables
            .iter()
            .find(|table| table.object.service_name == name)
    }

    /// Whether any table has a record of that id.
    pub fn knows(&self, id: &str) -> bool {
        self.tables
            .iter()
            .any(|table| table.number(id).is_some_and(|number| table.has(number)))
    }

    /// The id of the next entry of the trash.
    pub(super) fn next_trash_id(&mut self) -> String {
        self.trashed += 1;
        make_id(30, self.trashed - 1)
    }

    /// Takes a deleted record back; its entry leaves the trash.
    pub fn take_back(&mut self, table: usize, id: &str) -> Option<()> {
        let at = self.deleted.iter().position(|entry| {
            entry.object_id == id && entry.from.as_ref().is_some_and(|from| from.table == table)
        })?;
        let from = self.deleted.remove(at).from?;
        self.tables[table].keep(from.number, Some(from.record), false);
        Some(())
    }
}
