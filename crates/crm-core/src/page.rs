//! A page of records as columns: what the network thread hands to PostgreSQL's side.
//!
//! Texts of a column lie end to end in one buffer, so that a page of 2,000 records costs a few allocations
//! for each column and none for each cell.

use crate::value::ColumnType;

/// Texts one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TextColumn {
    bytes: String,
    ends: Vec<usize>,
}

impl TextColumn {
    /// Appends one text.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    /// The text at `row`.
    pub fn get(&self, row: usize) -> &str {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.bytes[start..self.ends[row]]
    }

    /// How many texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}

/// Lists of values one behind the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListColumn<T> {
    elements: T,
    ends: Vec<usize>,
}

impl<T> ListColumn<T> {
    /// All elements of all lists.
    pub fn elements(&self) -> &T {
        &self.elements
    }

    /// The range of elements that belong to `row`.
    pub fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        start..self.ends[row]
    }
}

impl ListColumn<TextColumn> {
    /// Appends one list of texts.
    pub fn push<'a>(&mut self, list: impl Iterator<Item = &'a str>) {
        for text in list {
            self.elements.push(text);
        }
        self.ends.push(self.elements.len());
    }
}

impl ListColumn<Vec<i32>> {
    /// Appends one list of integers.
    pub fn push(&mut self, list: impl Iterator<Item = i32>) {
        self.elements.extend(list);
        self.ends.push(self.elements.len());
    }
}

/// The values of one column, one Rust type each; see [`ColumnType`] for units.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum ColumnData {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    Numeric(TextColumn),
    Text(TextColumn),
    Json(TextColumn),
    Date(Vec<i32>),
    Timestamp(Vec<i64>),
    Instant(Vec<i64>),
    Time(Vec<i64>),
    Uuid(Vec<[u8; 16]>),
    TextArray(ListColumn<TextColumn>),
    Int32Array(ListColumn<Vec<i32>>),
}

/// One column of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    present: Vec<bool>,
    data: ColumnData,
}

impl Column {
    /// An empty column of a type.
    pub fn new(column_type: ColumnType) -> Self {
        let data = match column_type {
            ColumnType::Bool => ColumnData::Bool(Vec::new()),
            ColumnType::Int32 => ColumnData::Int32(Vec::new()),
            ColumnType::Int64 => ColumnData::Int64(Vec::new()),
            ColumnType::Float64 => ColumnData::Float64(Vec::new()),
            ColumnType::Numeric => ColumnData::Numeric(TextColumn::default()),
            ColumnType::Text => ColumnData::Text(TextColumn::default()),
            ColumnType::Json => ColumnData::Json(TextColumn::default()),
            ColumnType::Date => ColumnData::Date(Vec::new()),
            ColumnType::Timestamp => ColumnData::Timestamp(Vec::new()),
            ColumnType::Instant => ColumnData::Instant(Vec::new()),
            ColumnType::Time => ColumnData::Time(Vec::new()),
            ColumnType::Uuid => ColumnData::Uuid(Vec::new()),
            ColumnType::TextArray => ColumnData::TextArray(ListColumn::default()),
            ColumnType::Int32Array => ColumnData::Int32Array(ListColumn::default()),
        };
        Self {
            present: Vec::new(),
            data,
        }
    }

    /// The values; where [`Column::is_null`] the value is a meaningless default.
    pub fn data(&self) -> &ColumnData {
        &self.data
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.present.len()
    }

    /// Holds no row.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// The value at `row` is absent.
    pub fn is_null(&self, row: usize) -> bool {
        !self.present[row]
    }

    /// The text at `row`, where this column holds texts.
    pub fn text(&self, row: usize) -> Option<&str> {
        match &self.data {
            ColumnData::Numeric(texts) | ColumnData::Text(texts) | ColumnData::Json(texts)
                if self.present[row] =>
            {
                Some(texts.get(row))
            }
            _ => None,
        }
    }

    /// Appends an absent value.
    pub fn push_null(&mut self) {
        match &mut self.data {
            ColumnData::Bool(values) => values.push(false),
            ColumnData::Int32(values) | ColumnData::Date(values) => values.push(0),
            ColumnData::Int64(values)
            | ColumnData::Timestamp(values)
            | ColumnData::Instant(values)
            | ColumnData::Time(values) => values.push(0),
            ColumnData::Float64(values) => values.push(0.0),
            ColumnData::Numeric(texts) | ColumnData::Text(texts) | ColumnData::Json(texts) => {
                texts.push("");
            }
            ColumnData::Uuid(values) => values.push([0; 16]),
            ColumnData::TextArray(lists) => lists.push(std::iter::empty()),
            ColumnData::Int32Array(lists) => lists.push(std::iter::empty()),
        }
        self.present.push(false);
    }

    pub(crate) fn data_mut(&mut self) -> &mut ColumnData {
        &mut self.data
    }

    pub(crate) fn mark_present(&mut self) {
        self.present.push(true);
    }
}

/// A value that did not convert (spec D-2): the cell is null in the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellReject {
    /// Row in the page.
    pub row: usize,
    /// Column in the page.
    pub column: usize,
    /// The record's identifier, where the reply tells it; also when it was not asked for.
    pub record: Option<String>,
    /// What was sent, shortened where it is very long.
    pub raw: String,
    /// Why it does not convert.
    pub reason: String,
}

/// One page of records.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Records in it.
    pub n_rows: usize,
    /// One column for each field of the query, in its order, each of `n_rows` values.
    pub columns: Vec<Column>,
    /// Values that did not convert.
    pub rejects: Vec<CellReject>,
    /// Bytes of the reply it came in, decompressed.
    pub bytes: usize,
}
