//! The records of one object: recorded ones, generated ones computed from their number, and those made
//! while the server runs. Of generated records only what was changed is kept.

use std::borrow::Cow;
use std::collections::HashMap;

use super::id;
use super::store::{Cell, Field};
use crate::generate::{Column, Contacts};

/// Number of the first id made while the server runs; recorded and generated ones lie below.
const FIRST_CREATED: u64 = 2_000_000_000;

/// Where a record is once it is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// In the recycle bin: queryAll still sees it.
    Bin,
    /// Removed for good: only the deletion log knows its id.
    Erased,
}

/// Values by field place.
pub type Values = Vec<(usize, Cell)>;

/// Records by row number: recorded, then generated, then created ones.
pub struct Rows {
    recorded: Vec<Vec<Cell>>,
    generated: Option<(Contacts, Vec<Option<Column>>)>,
    created: Vec<Vec<Cell>>,
    /// Changed values of generated records.
    changed: HashMap<u32, Values>,
    gone: HashMap<u32, Gone>,
    by_id: HashMap<String, u32>,
    /// Rows that at some time held a value, for fields that can be looked up by it.
    by_key: HashMap<usize, HashMap<String, Vec<u32>>>,
    id_field: usize,
    issued: u64,
    /// Every row touched by a write, in order.
    touched: Vec<u32>,
}

impl Rows {
    /// Takes recorded rows; a row is in the recycle bin when its `deleted_field` is true.
    pub fn new(
        recorded: Vec<Vec<Cell>>,
        fields: &[Field],
        id_field: usize,
        deleted_field: Option<usize>,
    ) -> Self {
        let mut rows = Self {
            recorded: Vec::new(),
            generated: None,
            created: Vec::new(),
            changed: HashMap::new(),
            gone: HashMap::new(),
            by_id: HashMap::new(),
            by_key: fields
                .iter()
                .enumerate()
                .filter(|(place, field)| *place != id_field && field.is_key())
                .map(|(place, _)| (place, HashMap::new()))
                .collect(),
            id_field,
            issued: 0,
            touched: Vec::new(),
        };
        for (row, cells) in (0u32..).zip(&recorded) {
            if let Some(Cell::Text(id)) = cells.get(id_field) {
                rows.by_id.insert(id.to_string(), row);
            }
            if deleted_field.is_some_and(|field| cells[field] == Cell::Bool(true)) {
                rows.gone.insert(row, Gone::Bin);
            }
            for (field, value) in cells.iter().enumerate() {
                rows.index(row, field, value, &fields[field]);
            }
        }
        rows.recorded = recorded;
        rows
    }

    /// Puts generated records behind the recorded ones; nothing may have been created yet.
    pub fn generate(&mut self, contacts: Contacts, fields: &[Field]) {
        let columns = fields.iter().map(|field| Column::of(&field.name)).collect();
        self.generated = Some((contacts, columns));
    }

    /// Row number of the first generated record.
    pub fn first_generated(&self) -> u32 {
        self.recorded.len() as u32
    }

    /// How many records are generated.
    pub fn count_generated(&self) -> u32 {
        self.generated.as_ref().map_or(0, |(c, _)| c.count())
    }

    fn first_created(&self) -> u32 {
        self.first_generated() + self.count_generated()
    }

    /// Number of records, deleted ones included.
    pub fn len(&self) -> u32 {
        self.first_created() + self.created.len() as u32
    }

    /// The value of a field in a record; null beyond the last record.
    pub fn cell(&self, row: u32, field: usize) -> Cow<'_, Cell> {
        if let Some(cells) = self.recorded.get(row as usize) {
            return Cow::Borrowed(&cells[field]);
        }
        if let Some((contacts, columns)) = &self.generated
            && row < self.first_created()
        {
            let changed = match self.changed.is_empty() {
                true => None,
                false => self.changed.get(&row),
            };
            if let Some((_, cell)) = changed
                .into_iter()
                .flatten()
                .find(|(place, _)| *place == field)
            {
                return Cow::Borrowed(cell);
            }
            return Cow::Owned(contacts.cell(row - self.first_generated(), columns[field]));
        }
        match self.created.get((row - self.first_created()) as usize) {
            Some(cells) => Cow::Borrowed(&cells[field]),
            None => Cow::Owned(Cell::Null),
        }
    }

    /// The 18-character id of a record.
    pub fn id(&self, row: u32) -> String {
        match self.cell(row, self.id_field).as_ref() {
            Cell::Text(id) => id.to_string(),
            _ => String::new(),
        }
    }

    /// Where a record is, if it was deleted.
    pub fn gone(&self, row: u32) -> Option<Gone> {
        match self.gone.is_empty() {
            true => None,
            false => self.gone.get(&row).copied(),
        }
    }

    /// Whether a query meets a record; `all` is queryAll.
    pub fn is_visible(&self, row: u32, all: bool) -> bool {
        match self.gone(row) {
            None => row < self.len(),
            Some(Gone::Bin) => all,
            Some(Gone::Erased) => false,
        }
    }

    /// The record with an 18-character id, deleted or not.
    pub fn find(&self, prefix: Option<&str>, id18: &str) -> Option<u32> {
        if let Some(row) = self.by_id.get(id18) {
            return Some(*row);
        }
        let (contacts, _) = self.generated.as_ref()?;
        let number = id::number(prefix?, id18)?;
        Some(self.first_generated() + contacts.index_of(number)?)
    }

    /// Records outside the recycle bin whose field holds a value, compared as the field compares text.
    pub fn holding(&self, place: usize, field: &Field, value: &str) -> Vec<u32> {
        let wanted = fold(field, value);
        let holds = |row: &u32| {
            self.is_visible(*row, false)
                && match self.cell(*row, place).as_ref() {
                    Cell::Text(text) | Cell::Number(text) => fold(field, text) == wanted,
                    _ => false,
                }
        };
        let known = self.by_key.get(&place).and_then(|keys| keys.get(&wanted));
        let computed = self.generated.as_ref().and_then(|(contacts, columns)| {
            let index = contacts.index_of_value(columns[place]?, value)?;
            Some(self.first_generated() + index)
        });
        let mut rows: Vec<u32> = known.into_iter().flatten().copied().collect();
        rows.extend(computed);
        rows.sort_unstable();
        rows.dedup();
        rows.retain(holds);
        rows
    }

    /// A new 18-character id.
    pub fn next_id(&mut self, prefix: &str) -> String {
        self.issued += 1;
        id::make(prefix, FIRST_CREATED + self.issued)
    }

    /// Adds a record and returns its row number.
    pub fn create(&mut self, cells: Vec<Cell>, fields: &[Field]) -> u32 {
        let row = self.len();
        for (field, value) in cells.iter().enumerate() {
            self.index(row, field, value, &fields[field]);
        }
        if let Some(Cell::Text(id)) = cells.get(self.id_field) {
            self.by_id.insert(id.to_string(), row);
        }
        self.created.push(cells);
        self.touched.push(row);
        row
    }

    /// Takes back the record created last.
    pub fn uncreate(&mut self, row: u32) {
        if row + 1 == self.len()
            && let Some(cells) = self.created.pop()
        {
            if let Some(Cell::Text(id)) = cells.get(self.id_field) {
                self.by_id.remove(id.as_ref());
            }
            self.gone.remove(&row);
            self.touched.push(row);
        }
    }

    /// Sets values of a record and returns what they were.
    pub fn set(&mut self, row: u32, values: Values, fields: &[Field]) -> Values {
        let mut before = Vec::with_capacity(values.len());
        for (field, value) in values {
            before.push((field, self.cell(row, field).into_owned()));
            self.index(row, field, &value, &fields[field]);
            let created = self.first_created();
            let kept = match self.recorded.get_mut(row as usize) {
                Some(cells) => Some(cells),
                None if row >= created => self.created.get_mut((row - created) as usize),
                None => None,
            };
            match kept {
                Some(cells) => cells[field] = value,
                None => {
                    let changed = self.changed.entry(row).or_default();
                    match changed.iter_mut().find(|(place, _)| *place == field) {
                        Some((_, cell)) => *cell = value,
                        None => changed.push((field, value)),
                    }
                }
            }
        }
        self.touched.push(row);
        before
    }

    /// Moves a record into the recycle bin, out of it, or away, and returns where it was.
    pub fn set_gone(&mut self, row: u32, gone: Option<Gone>) -> Option<Gone> {
        self.touched.push(row);
        match gone {
            Some(gone) => self.gone.insert(row, gone),
            None => self.gone.remove(&row),
        }
    }

    /// Rows touched by writes so far, in order; the number of them dates a copy of the records.
    pub fn touched(&self) -> &[u32] {
        &self.touched
    }

    fn index(&mut self, row: u32, place: usize, value: &Cell, field: &Field) {
        if let Some(keys) = self.by_key.get_mut(&place)
            && let Cell::Text(text) | Cell::Number(text) = value
        {
            keys.entry(fold(field, text)).or_default().push(row);
        }
    }
}

fn fold(field: &Field, value: &str) -> String {
    match field.case_sensitive {
        true => value.to_owned(),
        false => value.to_lowercase(),
    }
}
