//! The columns of a table by kind, and values that occur in them.

use crm_tests::{Database, literal};

/// What a column holds, as far as filters on it differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `integer`
    Int,
    /// `bigint`
    Big,
    /// `numeric`
    Numeric,
    /// `double precision`
    Float,
    /// `date`
    Date,
    /// `timestamp with time zone`
    Instant,
    /// `timestamp without time zone`
    Wall,
    /// `time`
    Time,
    /// `boolean`
    Bool,
    /// `text`
    Text,
}

impl Kind {
    fn of(type_name: &str) -> Option<Self> {
        Some(match type_name {
            "integer" => Self::Int,
            "bigint" => Self::Big,
            "numeric" => Self::Numeric,
            "double precision" => Self::Float,
            "date" => Self::Date,
            "timestamp with time zone" => Self::Instant,
            "timestamp without time zone" => Self::Wall,
            "time without time zone" => Self::Time,
            "boolean" => Self::Bool,
            "text" => Self::Text,
            _ => return None,
        })
    }

    /// A number on a line without days.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Big | Self::Numeric | Self::Float)
    }

    /// Orders of it are the same everywhere.
    pub fn is_ordered(self) -> bool {
        self.is_number() || matches!(self, Self::Date | Self::Instant | Self::Wall)
    }
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name, quoted if needed.
    pub name: String,
    pub kind: Kind,
    /// Values that occur, as text in ISO form and UTC; none for a column of nulls.
    pub values: Vec<String>,
}

/// Columns worth filtering by.
#[derive(Clone, Debug)]
pub struct Domain {
    pub columns: Vec<Column>,
}

impl Domain {
    /// Of the local table `copy`, which holds at least one row.
    pub async fn of(db: &Database, copy: &str) -> Self {
        let columns = db
            .rows(&format!(
                "SELECT quote_ident(attname), format_type(atttypid, NULL) FROM pg_attribute
                 WHERE attrelid = {}::regclass AND attnum > 0 ORDER BY attnum",
                literal(copy)
            ))
            .await;
        let mut found = Vec::new();
        for column in columns {
            let text = |at: usize| column[at].clone().expect("a name");
            let Some(kind) = Kind::of(&text(1)) else {
                continue;
            };
            let name = text(0);
            // In an order that does not depend on where the rows lie.
            let values = db
                .column(&format!(
                    "SELECT v FROM (SELECT DISTINCT {name}::text AS v FROM {copy} WHERE {name} IS NOT NULL) AS d
                     ORDER BY md5(v) LIMIT 60"
                ))
                .await;
            found.push(Column { name, kind, values });
        }
        Self { columns: found }
    }

    /// Columns of these kinds.
    pub fn of_kinds(&self, wanted: impl Fn(Kind) -> bool) -> Vec<&Column> {
        self.columns
            .iter()
            .filter(|column| wanted(column.kind))
            .collect()
    }
}
