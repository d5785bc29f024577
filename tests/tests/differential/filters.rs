//! Random conditions as SQL text.

use crm_tests::literal;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::domain::{Column, Domain, Kind};
use crate::literals::{pattern, pick, right_side, typed};

const OPERATORS: &[&str] = &["=", "<>", "<", "<=", ">", ">="];

/// A condition, with the parameters it names as `$1`, `$2`, ….
#[derive(Clone, Debug, Default)]
pub struct Condition {
    pub sql: String,
    /// Type and value of each, the value an SQL expression.
    pub parameters: Vec<(&'static str, String)>,
}

/// Makes conditions over the columns of a domain.
pub struct Generator<'a> {
    pub random: &'a mut StdRng,
    pub domain: &'a Domain,
    parameters: Vec<(&'static str, String)>,
}

impl<'a> Generator<'a> {
    pub fn new(random: &'a mut StdRng, domain: &'a Domain) -> Self {
        Self {
            random,
            domain,
            parameters: Vec::new(),
        }
    }

    /// The next condition.
    pub fn condition(&mut self) -> Condition {
        self.parameters.clear();
        let sql = self.tree(3);
        Condition {
            sql,
            parameters: std::mem::take(&mut self.parameters),
        }
    }

    fn tree(&mut self, depth: u32) -> String {
        let dice = self.random.random_range(0..100);
        if depth == 0 || dice < 45 {
            return self.leaf();
        }
        if dice >= 92 {
            return format!("NOT ({})", self.tree(depth - 1));
        }
        let word = if dice < 78 { " AND " } else { " OR " };
        let n_parts = self.random.random_range(2..4);
        let parts: Vec<_> = (0..n_parts)
            .map(|_| format!("({})", self.tree(depth - 1)))
            .collect();
        parts.join(word)
    }

    fn leaf(&mut self) -> String {
        let kinds: &[fn(Kind) -> bool] = match self.random.random_range(0..100) {
            0..38 => &[Kind::is_number],
            38..72 => &[|kind| matches!(kind, Kind::Date | Kind::Instant | Kind::Wall)],
            72..76 => &[|kind| kind == Kind::Time],
            76..84 => &[|kind| kind == Kind::Bool],
            _ => &[|kind| kind == Kind::Text],
        };
        let mut columns = self.domain.of_kinds(kinds[0]);
        if columns.is_empty() {
            columns = self.domain.columns.iter().collect();
        }
        // Columns without values are rarely worth a look.
        let filled: Vec<_> = columns
            .iter()
            .copied()
            .filter(|column| !column.values.is_empty())
            .collect();
        if !filled.is_empty() && self.random.random_bool(0.95) {
            columns = filled;
        }
        let column = pick(self.random, &columns);
        match self.random.random_range(0..100) {
            0..12 => format!("{} IS NULL", column.name),
            12..22 => format!("{} IS NOT NULL", column.name),
            22..29 => self.expression(column),
            _ => match column.kind {
                Kind::Bool => self.truth(column),
                Kind::Text => self.text(column),
                _ => self.on_a_line(column),
            },
        }
    }

    /// A value, as a constant or as a parameter.
    fn operand(&mut self, column: &Column) -> String {
        if self.random.random_bool(0.2) {
            let (type_name, value) = typed(self.random, column);
            let value = match self.random.random_bool(0.06) {
                true => "NULL".to_owned(),
                false => literal(value),
            };
            self.parameters.push((type_name, value));
            return format!("${}", self.parameters.len());
        }
        right_side(self.random, column)
    }

    fn on_a_line(&mut self, column: &Column) -> String {
        let name = &column.name;
        match self.random.random_range(0..20) {
            0..9 => {
                let operator = pick(self.random, OPERATORS);
                format!("{name} {operator} {}", self.operand(column))
            }
            9..11 => {
                let operator = pick(self.random, OPERATORS);
                format!("{} {operator} {name}", self.operand(column))
            }
            11..14 => {
                let (low, high) = (self.operand(column), self.operand(column));
                let word = pick(
                    self.random,
                    &["BETWEEN", "BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN"],
                );
                format!("{name} {word} {low} AND {high}")
            }
            14..17 => self.list(column),
            17..19 => self.subquery(column),
            _ => format!("{name} = {}", self.operand(column)),
        }
    }

    fn list(&mut self, column: &Column) -> String {
        let name = &column.name;
        let n_values = self.random.random_range(1..6);
        let mut values: Vec<String> = Vec::new();
        let (type_name, _) = typed(self.random, column);
        for _ in 0..n_values {
            let value = typed(self.random, column).1;
            values.push(format!("{}::{type_name}", literal(value)));
        }
        if self.random.random_bool(0.25) {
            values.push("NULL".into());
        }
        let values = values.join(", ");
        match self.random.random_range(0..8) {
            0 => format!("{name} NOT IN ({values})"),
            1 => format!("{name} <> ALL (ARRAY[{values}]::{type_name}[])"),
            2 => format!("{name} = ANY (ARRAY[{values}]::{type_name}[])"),
            3 => {
                self.parameters.push((
                    array_of(type_name),
                    format!("ARRAY[{values}]::{type_name}[]"),
                ));
                format!("{name} = ANY (${})", self.parameters.len())
            }
            4 => format!("{name} = ANY ('{{}}'::{type_name}[])"),
            _ => format!("{name} IN ({values})"),
        }
    }

    fn subquery(&mut self, column: &Column) -> String {
        let name = &column.name;
        let source = match column.kind {
            Kind::Int => "whole",
            Kind::Big => "whole::bigint",
            Kind::Numeric | Kind::Float => "decimal",
            Kind::Date => "day",
            Kind::Instant | Kind::Wall => "moment",
            _ => return format!("{name} IS NOT NULL"),
        };
        let source = match column.kind {
            Kind::Float => format!("{source}::float8"),
            Kind::Wall => format!("{source}::timestamp"),
            _ => source.to_owned(),
        };
        let operator = pick(self.random, OPERATORS);
        match self.random.random_range(0..5) {
            0 => format!("{name} {operator} (SELECT max({source}) FROM points)"),
            1 => format!("{name} {operator} (SELECT {source} FROM points WHERE whole = 17)"),
            2 => format!("{name} {operator} (SELECT {source} FROM points WHERE false)"),
            3 => format!("{name} = ANY (ARRAY(SELECT {source} FROM points))"),
            _ => format!("{name} IN (SELECT {source} FROM points)"),
        }
    }

    fn truth(&mut self, column: &Column) -> String {
        let name = &column.name;
        match self.random.random_range(0..10) {
            0 => name.clone(),
            1 => format!("NOT {name}"),
            2 => format!("{name} = true"),
            3 => format!("{name} = false"),
            4 => format!("{name} <> true"),
            5 => format!("{name} IS TRUE"),
            6 => format!("{name} IS NOT TRUE"),
            7 => format!("{name} IS FALSE"),
            8 => format!("{name} IS UNKNOWN"),
            _ => format!("{name} = {}", self.operand(column)),
        }
    }

    fn text(&mut self, column: &Column) -> String {
        let name = &column.name;
        match self.random.random_range(0..12) {
            0..4 => format!("{name} = {}", self.operand(column)),
            4 => format!("{name} <> {}", self.operand(column)),
            5 => {
                let operator = pick(self.random, OPERATORS);
                format!("{name} {operator} {}", self.operand(column))
            }
            6 | 7 => self.list(column),
            8 | 9 => format!("{name} LIKE {}", literal(pattern(self.random, column))),
            10 => format!("{name} ILIKE {}", literal(pattern(self.random, column))),
            _ => format!("{name} NOT LIKE {}", literal(pattern(self.random, column))),
        }
    }

    /// What stays here whatever the mode: expressions, casts, two columns.
    fn expression(&mut self, column: &Column) -> String {
        let name = &column.name;
        match column.kind {
            kind if kind.is_number() => {
                let numbers = self.domain.of_kinds(Kind::is_number);
                let other = pick(self.random, &numbers);
                match self.random.random_range(0..4) {
                    0 => format!("{name}::numeric + 1 > 100"),
                    1 => format!("{name} > {}", other.name),
                    2 => format!("{name}::text LIKE '1%'"),
                    _ => format!("coalesce({name}, 7) = 7"),
                }
            }
            Kind::Date | Kind::Instant | Kind::Wall => match self.random.random_range(0..4) {
                0 => format!("extract(year FROM {name}) = 2024"),
                1 => format!("{name}::date = {}::date", literal("2024-01-31")),
                2 => format!("date_trunc('month', {name}) < now()"),
                _ => format!(
                    "{name} IS DISTINCT FROM {}",
                    right_side(self.random, column)
                ),
            },
            Kind::Text => match self.random.random_range(0..4) {
                0 => format!("lower({name}) = lower({})", self.operand(column)),
                1 => format!("{name} ~ '^[A-M]'"),
                2 => format!("length({name}) > 10"),
                _ => format!("{name} || 'x' LIKE '%ex'"),
            },
            _ => format!("{name} IS NOT DISTINCT FROM {}", self.operand(column)),
        }
    }
}

fn array_of(type_name: &str) -> &'static str {
    match type_name {
        "int" => "int[]",
        "bigint" => "bigint[]",
        "numeric" => "numeric[]",
        "float8" => "float8[]",
        "date" => "date[]",
        "timestamptz" => "timestamptz[]",
        "timestamp" => "timestamp[]",
        "time" => "time[]",
        "boolean" => "boolean[]",
        _ => "text[]",
    }
}
