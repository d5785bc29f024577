//! Records of an answer into a page of columns: the hot path of this transport (Dynamics page 13.2, 13.3).
//!
//! A walk over the document puts each cell straight into its column: no tree for a record, no string for a plain cell.
//! What a record does not hold is null.

use super::envelope::{CHOICES, CONTRACTS, GENERIC, INSTANCE, answer, is_nil};
use crate::decode::{Labels, cell, labels_of, shows_labels};
use crate::ids;
use crate::types::{Kind, TARGET_SUFFIX};
use crm_core::{
    CellDecoder, Conversion, EnumerationValue, Page, PageBuilder, Raw, RemoteQuery, Result, Zone,
};
use crm_xml::Reader;
use std::borrow::Cow;

/// One page of an answer.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// Its records.
    pub page: Page,
    /// How the answer goes on.
    pub rest: Rest,
}

/// How an answer goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rest {
    /// There are more records.
    pub more: bool,
    /// Where the next page begins; without it pages are counted.
    pub cookie: Option<String>,
}

/// Turns answers to one query into pages.
#[derive(Debug)]
pub(crate) struct RecordDecoder {
    entries: Vec<Entry>,
    cells: Vec<CellDecoder>,
}

/// An attribute that is expected in a record, and the columns that show it.
#[derive(Debug)]
struct Entry {
    name: String,
    columns: Vec<usize>,
    /// Columns of days, which come as midnights (section 11).
    days: Vec<usize>,
    /// Columns that show to what kind of record a lookup leads.
    targets: Vec<usize>,
    /// Columns that show labels in place of values (N-3).
    labelled: Vec<(usize, Labels)>,
}

impl RecordDecoder {
    /// A decoder for the fields of `query`; `values` gives the values of an option set's field.
    pub(crate) fn new<'v>(
        query: &RemoteQuery,
        zone: Zone,
        values: impl Fn(&str) -> &'v [EnumerationValue],
    ) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for (column, field) in query.fields.iter().enumerate() {
            let kind = Kind::of(&field.remote_type);
            let name = match kind {
                Kind::Target => field
                    .name
                    .strip_suffix(TARGET_SUFFIX)
                    .unwrap_or(&field.name),
                _ => &field.name,
            };
            let known = entries.iter().position(|entry| entry.name == name);
            let at = known.unwrap_or_else(|| {
                entries.push(Entry {
                    name: name.to_owned(),
                    columns: Vec::new(),
                    days: Vec::new(),
                    targets: Vec::new(),
                    labelled: Vec::new(),
                });
                entries.len() - 1
            });
            let entry = &mut entries[at];
            if shows_labels(field) {
                let labels = values(&field.name).iter();
                let labels = labels.map(|value| (value.value.clone(), value.label.clone()));
                entry.labelled.push((column, labels.collect()));
            } else if kind == Kind::Target {
                entry.targets.push(column);
            } else if kind == Kind::Day && field.conversion != Conversion::CopyPaste {
                entry.days.push(column);
            } else {
                entry.columns.push(column);
            }
        }
        Self {
            entries,
            cells: query.fields.iter().map(|field| cell(field, zone)).collect(),
        }
    }

    /// A page of one record that holds `count` alone.
    pub(crate) fn count_page(&self, count: u64, n_bytes: usize) -> Page {
        let mut page = self.page();
        let digits = count.to_string();
        for column in 0..self.cells.len() {
            page.append(column, Ok(Raw::Number(&digits)), &digits);
        }
        page.end_record();
        page.finish(n_bytes)
    }

    /// An empty page for records.
    pub(crate) fn page(&self) -> PageBuilder<'_> {
        PageBuilder::new(&self.cells)
    }

    /// The answer to a query.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn answer(&self, body: &[u8]) -> Result<Answered> {
        let mut reader = answer(body, "RetrieveMultiple")?;
        let mut page = self.page();
        let rest = self.collection(&mut reader, &mut page)?;
        reader.finish()?;
        Ok(Answered {
            page: page.finish(body.len()),
            rest,
        })
    }

    /// The collection of records just opened, and closes it.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn collection(
        &self,
        reader: &mut Reader<'_>,
        page: &mut PageBuilder<'_>,
    ) -> Result<Rest> {
        let mut rest = Rest::default();
        let mut has_records = false;
        while reader.child()? {
            match reader.name() {
                (CONTRACTS, "Entities") => {
                    has_records = true;
                    while reader.child_named(CONTRACTS, "Entity")? {
                        self.record(reader, page)?;
                    }
                }
                (CONTRACTS, "MoreRecords") => rest.more = &*reader.text()? == "true",
                (CONTRACTS, "PagingCookie") => {
                    let nil = is_nil(reader)?;
                    let text = reader.text()?;
                    // People who print answers break them into lines.
                    let cookie = text.trim();
                    rest.cookie = (!nil && !cookie.is_empty()).then(|| cookie.to_owned());
                }
                _ => reader.skip()?,
            }
        }
        if has_records {
            Ok(rest)
        } else {
            Err(reader.refuse("it holds no records, not even none"))
        }
    }

    /// The record just opened, as the next one of `page`, and closes it.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn record(&self, reader: &mut Reader<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        let n_rejects = page.n_rejects();
        let mut id = None;
        while reader.child()? {
            match reader.name() {
                (CONTRACTS, "Attributes") => self.attributes(reader, page)?,
                (CONTRACTS, "Id") => id = Some(reader.text()?),
                _ => reader.skip()?,
            }
        }
        if page.n_rejects() > n_rejects {
            let id = id.and_then(|id| ids::canonical(&id));
            page.name_record(n_rejects, id.as_deref());
        }
        page.end_record();
        Ok(())
    }

    fn attributes(&self, reader: &mut Reader<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        let mut expected = 0;
        while reader.child()? {
            if !reader.child_named(GENERIC, "key")? {
                return Err(reader.refuse("an attribute has no name"));
            }
            let key = reader.text()?;
            let is_next = self
                .entries
                .get(expected)
                .is_some_and(|next| next.name == *key);
            let found = if is_next {
                Some(expected)
            } else {
                self.entries.iter().position(|entry| entry.name == *key)
            };
            if let Some(at) = found
                && reader.child_named(GENERIC, "value")?
            {
                expected = at + 1;
                self.entries[at].put(reader, page)?;
            }
            while reader.child()? {
                reader.skip()?;
            }
        }
        Ok(())
    }
}

impl Entry {
    /// The value just opened into the columns that show it, and closes it.
    fn put(&self, reader: &mut Reader<'_>, page: &mut PageBuilder<'_>) -> Result<()> {
        let value = value(reader)?;
        let (raw, shown) = match &value {
            Typed::Null => (Ok(Raw::Null), ""),
            Typed::Bool(text) => {
                let raw = match &**text {
                    "true" => Raw::Bool(true),
                    "false" => Raw::Bool(false),
                    other => Raw::Text(other),
                };
                (Ok(raw), &**text)
            }
            Typed::Number(text) => (Ok(Raw::Number(text)), &**text),
            Typed::Text(text) => (Ok(Raw::Text(text)), &**text),
            Typed::Reference { id, .. } => (Ok(Raw::Text(id)), &**id),
            Typed::Records => (Err("it is a list of records"), ""),
        };
        for column in &self.columns {
            page.append(*column, raw, shown);
        }
        for column in &self.days {
            let day = shown.split_once('T').map_or(shown, |(day, _)| day);
            let raw = match raw {
                Ok(Raw::Text(_)) => Ok(Raw::Text(day)),
                other => other,
            };
            page.append(*column, raw, shown);
        }
        for (column, labels) in &self.labelled {
            let label;
            let raw = match raw {
                Ok(Raw::Number(value) | Raw::Text(value)) => {
                    label = labels_of(value, labels);
                    Ok(Raw::Text(&label))
                }
                other => other,
            };
            page.append(*column, raw, shown);
        }
        if let Typed::Reference { target, .. } = &value {
            for column in &self.targets {
                page.append(*column, Ok(Raw::Text(target)), target);
            }
        }
        Ok(())
    }
}

/// A value by what its own type says.
#[derive(Debug, PartialEq)]
pub(crate) enum Typed<'i> {
    /// None.
    Null,
    /// A truth value.
    Bool(Cow<'i, str>),
    /// A number, also that of an option or an amount of money.
    Number(Cow<'i, str>),
    /// Anything else that is plain; several options with commas between.
    Text(Cow<'i, str>),
    /// Another record.
    Reference {
        /// Its identifier.
        id: Cow<'i, str>,
        /// Its entity.
        target: Cow<'i, str>,
        /// Its name, where told.
        name: Option<String>,
    },
    /// A list of records.
    Records,
}

/// What a type's word says of the form.
#[derive(Clone, Copy)]
enum Form {
    Bool,
    Number,
    Text,
    /// A number in an element of its own.
    Wrapped,
    Several,
    Reference,
    /// A value of a joined record in an element of its own.
    Aliased,
    Records,
}

impl Form {
    fn of(type_word: Option<&str>) -> Self {
        let local = type_word.map(|word| word.rsplit(':').next().unwrap_or(word));
        match local.unwrap_or_default() {
            "boolean" => Self::Bool,
            "int" | "long" | "short" | "byte" | "decimal" | "double" | "float" => Self::Number,
            "OptionSetValue" | "Money" | "BooleanManagedProperty" => Self::Wrapped,
            "OptionSetValueCollection" => Self::Several,
            "EntityReference" => Self::Reference,
            "AliasedValue" => Self::Aliased,
            "EntityCollection" | "ArrayOfEntity" => Self::Records,
            _ => Self::Text,
        }
    }
}

/// Reads the value just opened, and closes it.
///
/// # Errors
/// When it is not what its type says.
pub(crate) fn value<'i>(reader: &mut Reader<'i>) -> Result<Typed<'i>> {
    if is_nil(reader)? {
        reader.skip()?;
        return Ok(Typed::Null);
    }
    let form = Form::of(reader.attribute(INSTANCE, "type")?.as_deref());
    Ok(match form {
        Form::Bool => Typed::Bool(reader.text()?),
        Form::Number => Typed::Number(reader.text()?),
        Form::Text => Typed::Text(canonical(reader.text()?)),
        Form::Wrapped => match wrapped(reader, CONTRACTS)? {
            Some(text) => Typed::Number(text),
            None => Typed::Null,
        },
        Form::Several => match several(reader)? {
            numbers if numbers.is_empty() => Typed::Null,
            numbers => Typed::Text(numbers.into()),
        },
        Form::Reference => reference(reader)?,
        Form::Aliased => {
            let mut inner = Typed::Null;
            while reader.child_named(CONTRACTS, "Value")? {
                inner = value(reader)?;
            }
            inner
        }
        Form::Records => {
            reader.skip()?;
            Typed::Records
        }
    })
}

/// Identifiers are compared letter for letter here; some services write them in capitals.
fn canonical(text: Cow<'_, str>) -> Cow<'_, str> {
    let may_be = text.len() == 36 && text.bytes().any(|byte| byte.is_ascii_uppercase());
    match ids::canonical(&text).filter(|_| may_be) {
        Some(canonical) => Cow::Owned(canonical),
        None => text,
    }
}

/// The text of the element `Value` inside the one just opened, which is closed.
fn wrapped<'i>(reader: &mut Reader<'i>, namespace: &str) -> Result<Option<Cow<'i, str>>> {
    let mut found = None;
    while reader.child_named(namespace, "Value")? {
        let nil = is_nil(reader)?;
        let text = reader.text()?;
        found = (!nil).then_some(text);
    }
    Ok(found)
}

/// Numbers of options with commas between.
fn several(reader: &mut Reader<'_>) -> Result<String> {
    let mut numbers = String::new();
    while reader.child_named(CHOICES, "OptionSetValue")? {
        if let Some(number) = wrapped(reader, CONTRACTS)? {
            if !numbers.is_empty() {
                numbers.push(',');
            }
            numbers.push_str(&number);
        }
    }
    Ok(numbers)
}

fn reference<'i>(reader: &mut Reader<'i>) -> Result<Typed<'i>> {
    let (mut id, mut target, mut name) = (None, Cow::Borrowed(""), None);
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "Id") => id = Some(canonical(reader.text()?)),
            (CONTRACTS, "LogicalName") => target = reader.text()?,
            (CONTRACTS, "Name") => name = super::envelope::optional_text(reader)?,
            _ => reader.skip()?,
        }
    }
    match id {
        Some(id) => Ok(Typed::Reference { id, target, name }),
        None => Err(reader.refuse("a reference has no identifier")),
    }
}

#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
