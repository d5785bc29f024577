//! The grammar of `$filter` and `$orderby`, bound to a table while it is read. Names are case-sensitive.

use std::collections::HashMap;

use bigdecimal::{BigDecimal, ToPrimitive as _};
use uuid::Uuid;

use super::lexer::{Token, tokens};
use super::{Day, Expr, Match, Operand, Operator, Path};
use crate::dynamics::errors::Refusal;
use crate::dynamics::model::{Behavior, Entity, Kind, Schema};
use crate::dynamics::value::{Val, read_many};

/// Nesting that is still read.
const DEPTH: usize = 100;
/// Functions of OData that Dynamics does not have.
const UNKNOWN_FUNCTIONS: &[&str] = &[
    "length",
    "tolower",
    "toupper",
    "trim",
    "concat",
    "indexof",
    "substring",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "date",
    "time",
    "now",
    "round",
    "floor",
    "ceiling",
    "cast",
    "isof",
    "any",
    "all",
];
const PREFIX: &str = "Microsoft.Dynamics.CRM.";

struct Parser {
    schema: &'static Schema,
    entity: &'static Entity,
    tokens: Vec<Token>,
    at: usize,
}

/// Reads a condition.
///
/// # Errors
/// 400 for what is not understood, 501 for what Dynamics does not do.
pub fn parse(
    schema: &'static Schema,
    entity: &'static Entity,
    text: &str,
    aliases: &HashMap<String, String>,
) -> Result<Expr, Refusal> {
    let mut parser = Parser::new(schema, entity, text, aliases)?;
    let expr = parser.or(0)?;
    parser.end()?;
    Ok(expr)
}

/// Reads `$orderby`: paths, each descending or not.
///
/// # Errors
/// As [`parse`].
pub fn parse_order(
    schema: &'static Schema,
    entity: &'static Entity,
    text: &str,
    aliases: &HashMap<String, String>,
) -> Result<Vec<(Path, bool)>, Refusal> {
    let mut parser = Parser::new(schema, entity, text, aliases)?;
    let mut out = Vec::new();
    loop {
        let Some(Token::Word(name)) = parser.next() else {
            return Err(parser.unexpected());
        };
        let path = parser.path(&name)?;
        let descending = match parser.peek() {
            Some(Token::Word(word)) if word == "asc" || word == "desc" => {
                let descending = word == "desc";
                parser.at += 1;
                descending
            }
            _ => false,
        };
        out.push((path, descending));
        if !parser.eat(',') {
            break;
        }
    }
    parser.end()?;
    Ok(out)
}

impl Parser {
    fn new(
        schema: &'static Schema,
        entity: &'static Entity,
        text: &str,
        aliases: &HashMap<String, String>,
    ) -> Result<Self, Refusal> {
        let mut out = Vec::new();
        for token in tokens(text)? {
            match &token {
                Token::Word(word) if word.starts_with('@') => {
                    let value = aliases.get(word).ok_or_else(|| {
                        Refusal::syntax(format!("The parameter alias '{word}' has no value."))
                    })?;
                    out.extend(tokens(value)?);
                }
                _ => out.push(token),
            }
        }
        Ok(Self {
            schema,
            entity,
            tokens: out,
            at: 0,
        })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    fn eat(&mut self, mark: char) -> bool {
        let found = self.peek() == Some(&Token::Mark(mark));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: char) -> Result<(), Refusal> {
        match self.eat(mark) {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn eat_word(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(word)) if word == wanted);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&self) -> Refusal {
        Refusal::syntax(format!(
            "Syntax error at position {} of the expression.",
            self.at
        ))
    }

    fn end(&self) -> Result<(), Refusal> {
        match self.at == self.tokens.len() {
            true => Ok(()),
            false => Err(self.unexpected()),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Expr, Refusal> {
        if depth > DEPTH {
            return Err(Refusal::syntax("The expression is nested too deeply."));
        }
        let mut left = self.and(depth)?;
        while self.eat_word("or") {
            left = Expr::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Expr, Refusal> {
        let mut left = self.not(depth)?;
        while self.eat_word("and") {
            left = Expr::And(Box::new(left), Box::new(self.not(depth)?));
        }
        Ok(left)
    }

    fn not(&mut self, depth: usize) -> Result<Expr, Refusal> {
        if depth > DEPTH {
            return Err(Refusal::syntax("The expression is nested too deeply."));
        }
        if self.eat_word("not") {
            return Ok(Expr::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.eat('(') {
            let inner = self.or(depth + 1)?;
            self.expect(')')?;
            return Ok(inner);
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Expr, Refusal> {
        let left = self.next().ok_or_else(|| self.unexpected())?;
        if let Token::Word(name) = &left {
            if self.peek() == Some(&Token::Mark('(')) {
                return self.function(&name.clone());
            }
            if !matches!(name.as_str(), "true" | "false" | "null") {
                let path = self.path(name)?;
                return self.comparison(path);
            }
            if self.at == self.tokens.len() || !self.is_operator() {
                return Ok(Expr::Constant(name == "true"));
            }
        }
        // A literal on the left is turned round.
        let operator = self.operator()?;
        let Some(Token::Word(name)) = self.next() else {
            return Err(self.unexpected());
        };
        let path = self.path(&name)?;
        let value = literal(&left, &path)?;
        let turned = match operator {
            Operator::Gt => Operator::Lt,
            Operator::Ge => Operator::Le,
            Operator::Lt => Operator::Gt,
            Operator::Le => Operator::Ge,
            same => same,
        };
        Ok(Expr::Compare(turned, path, Operand::Value(value)))
    }

    fn is_operator(&self) -> bool {
        matches!(self.peek(), Some(Token::Word(word))
            if matches!(word.as_str(), "eq" | "ne" | "gt" | "ge" | "lt" | "le"))
    }

    fn operator(&mut self) -> Result<Operator, Refusal> {
        let Some(Token::Word(word)) = self.next() else {
            return Err(self.unexpected());
        };
        Ok(match word.as_str() {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "gt" => Operator::Gt,
            "ge" => Operator::Ge,
            "lt" => Operator::Lt,
            "le" => Operator::Le,
            "in" | "has" | "add" | "sub" | "mul" | "div" | "mod" => {
                return Err(Refusal::syntax(format!(
                    "The operator '{word}' is not supported."
                )));
            }
            other => {
                return Err(Refusal::syntax(format!(
                    "Syntax error: '{other}' is no operator."
                )));
            }
        })
    }

    fn comparison(&mut self, path: Path) -> Result<Expr, Refusal> {
        if !self.is_operator() {
            if path.attribute.kind == Kind::Boolean
                && (self.at == self.tokens.len()
                    || matches!(self.peek(), Some(Token::Mark(')')))
                    || matches!(self.peek(), Some(Token::Word(w)) if w == "and" || w == "or"))
            {
                return Ok(Expr::Compare(
                    Operator::Eq,
                    path,
                    Operand::Value(Val::Bool(true)),
                ));
            }
            self.operator()?;
        }
        let operator = self.operator()?;
        let right = self.next().ok_or_else(|| self.unexpected())?;
        if let Token::Word(name) = &right
            && !matches!(name.as_str(), "true" | "false" | "null")
        {
            let other = self.path(name)?;
            // Two columns must be of one row and one type.
            if !other.steps.is_empty() || !path.steps.is_empty() || !alike(&path, &other) {
                return Err(incompatible(&path, &format!("{:?}", other.attribute.kind)));
            }
            return Ok(Expr::Compare(operator, path, Operand::Path(other)));
        }
        let value = literal(&right, &path)?;
        Ok(Expr::Compare(operator, path, Operand::Value(value)))
    }

    /// A property, perhaps behind navigation properties.
    fn path(&self, name: &str) -> Result<Path, Refusal> {
        let mut entity = self.entity;
        let mut steps = Vec::new();
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                let column = entity
                    .property(part)
                    .ok_or_else(|| Refusal::property(&entity.name, part))?;
                return Ok(Path {
                    steps,
                    column,
                    attribute: &entity.attributes[column],
                });
            }
            let (column, targets) = entity
                .navigation(part)
                .ok_or_else(|| Refusal::property(&entity.name, part))?;
            let target = targets.first().copied().unwrap_or_default();
            let (at, next) = self
                .schema
                .entity(target)
                .ok_or_else(|| Refusal::property(&entity.name, part))?;
            steps.push((column, at));
            entity = next;
        }
        Err(self.unexpected())
    }

    fn function(&mut self, name: &str) -> Result<Expr, Refusal> {
        let text_match = match name {
            "contains" => Some(Match::Contains),
            "startswith" => Some(Match::StartsWith),
            "endswith" => Some(Match::EndsWith),
            _ => None,
        };
        if let Some(kind) = text_match {
            self.expect('(')?;
            let Some(Token::Word(name)) = self.next() else {
                return Err(self.unexpected());
            };
            if self.peek() == Some(&Token::Mark('(')) {
                return self.function(&name);
            }
            let path = self.path(&name)?;
            self.expect(',')?;
            let Some(Token::Text(pattern)) = self.next() else {
                return Err(incompatible(&path, "Edm.String"));
            };
            self.expect(')')?;
            let is_text = matches!(
                path.attribute.kind,
                Kind::String | Kind::Memo | Kind::EntityName
            );
            if !is_text {
                return Err(Refusal::syntax(format!(
                    "No function signature for the function with name '{name}' matches the specified arguments."
                )));
            }
            return Ok(Expr::Match(kind, path, pattern));
        }
        if let Some(short) = name.strip_prefix(PREFIX) {
            return self.dynamics_function(short);
        }
        let last = name.rsplit('/').next().unwrap_or(name);
        match UNKNOWN_FUNCTIONS.contains(&last) {
            true => Err(Refusal::unsupported(format!(
                "The function '{last}' is not supported."
            ))),
            false => Err(Refusal::syntax(format!(
                "An unknown function with name '{name}' was found."
            ))),
        }
    }

    /// `In(PropertyName='x',PropertyValues=["a"])` and its like.
    fn dynamics_function(&mut self, name: &str) -> Result<Expr, Refusal> {
        self.expect('(')?;
        let (mut property, mut values) = (None, Vec::new());
        loop {
            let Some(Token::Word(parameter)) = self.next() else {
                return Err(self.unexpected());
            };
            self.expect('=')?;
            match parameter.as_str() {
                "PropertyName" => match self.next() {
                    Some(Token::Text(text)) => property = Some(text),
                    _ => return Err(self.unexpected()),
                },
                "PropertyValues" => {
                    self.expect('[')?;
                    while !self.eat(']') {
                        match self.next() {
                            Some(Token::Text(text)) => values.push(text),
                            _ => return Err(self.unexpected()),
                        }
                        self.eat(',');
                    }
                }
                "PropertyValue" => match self.next() {
                    Some(Token::Text(text)) => values.push(text),
                    Some(Token::Date(day)) => values.push(day.to_string()),
                    Some(Token::Time(at)) => values.push(crate::dynamics::value::moment(at)),
                    _ => return Err(self.unexpected()),
                },
                other => {
                    return Err(Refusal::syntax(format!(
                        "The function has no parameter '{other}'."
                    )));
                }
            }
            if !self.eat(',') {
                break;
            }
        }
        self.expect(')')?;
        let property = property.ok_or_else(|| self.unexpected())?;
        // A plain column name stands for a reference here, too.
        let path = self
            .path(&property)
            .or_else(|refusal| match self.entity.column(&property) {
                Some(column) if self.entity.attributes[column].kind.is_reference() => Ok(Path {
                    steps: Vec::new(),
                    column,
                    attribute: &self.entity.attributes[column],
                }),
                _ => Err(refusal),
            })?;
        let read = |text: &String| -> Result<Val, Refusal> {
            let bad =
                || Refusal::argument(format!("The value '{text}' is not valid for '{property}'."));
            match path.attribute.kind {
                kind if kind.is_reference() => {
                    Uuid::parse_str(text).map(Val::Guid).map_err(|_| bad())
                }
                _ => crate::dynamics::value::from_text(text, path.attribute).ok_or_else(bad),
            }
        };
        let day = |text: &str| {
            text.get(..10)
                .and_then(|day| day.parse().ok())
                .ok_or_else(|| Refusal::argument(format!("'{text}' is no date.")))
        };
        match (name, values.as_slice()) {
            ("In" | "NotIn", [_, ..]) => {
                let values = values.iter().map(read).collect::<Result<_, _>>()?;
                Ok(Expr::In(path, values, name == "NotIn"))
            }
            ("Between", [low, high]) => Ok(Expr::Between(path.clone(), read(low)?, read(high)?)),
            ("ContainValues" | "DoesNotContainValues", [_, ..]) => {
                if path.attribute.kind != Kind::MultiSelectPicklist {
                    return Err(incompatible(&path, "MultiSelectPicklist"));
                }
                let values = read_many(&values.join(","))
                    .ok_or_else(|| Refusal::argument("The values are no numbers."))?;
                Ok(Expr::Chosen(path, values, name == "DoesNotContainValues"))
            }
            ("On", [text]) => Ok(Expr::Day(Day::On, path, day(text)?)),
            ("OnOrAfter", [text]) => Ok(Expr::Day(Day::OnOrAfter, path, day(text)?)),
            ("OnOrBefore", [text]) => Ok(Expr::Day(Day::OnOrBefore, path, day(text)?)),
            _ => Err(Refusal::syntax(format!(
                "The query function '{PREFIX}{name}' is not known or lacks values."
            ))),
        }
    }
}

fn alike(a: &Path, b: &Path) -> bool {
    let group = |kind: Kind| match kind {
        Kind::Memo | Kind::EntityName | Kind::MultiSelectPicklist => Kind::String,
        Kind::Picklist | Kind::State | Kind::Status => Kind::Integer,
        Kind::Customer | Kind::Owner | Kind::Lookup => Kind::Uniqueidentifier,
        Kind::Money => Kind::Decimal,
        other => other,
    };
    group(a.attribute.kind) == group(b.attribute.kind)
        && a.attribute.behavior == b.attribute.behavior
}

fn edm(path: &Path) -> &'static str {
    match path.attribute.kind {
        Kind::Integer | Kind::Picklist | Kind::State | Kind::Status => "Edm.Int32",
        Kind::BigInt => "Edm.Int64",
        Kind::Decimal | Kind::Money => "Edm.Decimal",
        Kind::Double => "Edm.Double",
        Kind::Boolean => "Edm.Boolean",
        Kind::DateTime if path.attribute.behavior == Behavior::DateOnly => "Edm.Date",
        Kind::DateTime => "Edm.DateTimeOffset",
        Kind::Uniqueidentifier | Kind::Lookup | Kind::Customer | Kind::Owner | Kind::File => {
            "Edm.Guid"
        }
        Kind::Image => "Edm.Binary",
        _ => "Edm.String",
    }
}

fn incompatible(path: &Path, other: &str) -> Refusal {
    Refusal::syntax(format!(
        "A binary operator with incompatible types was detected. Found operand types '{}' and '{other}'.",
        edm(path)
    ))
}

/// A literal as a value of the column it is held against.
fn literal(token: &Token, path: &Path) -> Result<Val, Refusal> {
    let wanted = edm(path);
    let whole = |number: &BigDecimal| number.is_integer().then(|| number.to_i64()).flatten();
    let many = path.attribute.kind == Kind::MultiSelectPicklist;
    Ok(match (token, wanted) {
        (Token::Word(word), _) if word == "null" => Val::Null,
        (Token::Word(word), "Edm.Boolean") => Val::Bool(word == "true"),
        (Token::Number(number), "Edm.Int32") => match whole(number) {
            Some(number) if i32::try_from(number).is_ok() => Val::Int(number),
            _ => return Err(incompatible(path, "Edm.Decimal")),
        },
        (Token::Number(number), "Edm.Int64") => {
            Val::Int(whole(number).ok_or_else(|| incompatible(path, "Edm.Decimal"))?)
        }
        (Token::Number(number), "Edm.Decimal" | "Edm.Double") => Val::Number(number.clone()),
        (Token::Text(text), "Edm.String") if many => {
            Val::Many(read_many(text).ok_or_else(|| incompatible(path, "Edm.String"))?)
        }
        (Token::Text(text), "Edm.String") => Val::Text(text.clone()),
        (Token::Guid(id), "Edm.Guid") => Val::Guid(*id),
        (Token::Text(text), "Edm.Guid") => {
            Val::Guid(Uuid::parse_str(text).map_err(|_| incompatible(path, "Edm.String"))?)
        }
        (Token::Date(day), "Edm.Date") => Val::Date(*day),
        (Token::Time(at), "Edm.DateTimeOffset") => Val::Time(*at),
        // A day is promoted to its first moment.
        (Token::Date(day), "Edm.DateTimeOffset") => {
            Val::Time(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp())
        }
        (token, _) => {
            let found = match token {
                Token::Text(_) => "Edm.String",
                Token::Number(_) => "Edm.Decimal",
                Token::Guid(_) => "Edm.Guid",
                Token::Date(_) => "Edm.Date",
                Token::Time(_) => "Edm.DateTimeOffset",
                _ => "Edm.Boolean",
            };
            return Err(incompatible(path, found));
        }
    })
}
