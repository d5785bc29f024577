//! Parses tokens into a [`Query`], refusing what the grammar of section 4.1 refuses:
//! AND mixed with OR without parentheses, a field on the right side, IS NULL, NOT LIKE.

use super::ast::{
    Call, Expr, Function, Item, Literal, Name, Op, Operand, Order, Path, Query, Right, Value,
};
use super::lexer::{Spanned, Token, tokens};
use crate::salesforce::errors::ApiError;

/// Words that can be neither a field nor an alias.
const RESERVED: &[&str] = &[
    "AND", "ASC", "DESC", "EXCLUDES", "FIRST", "FROM", "GROUP", "HAVING", "IN", "INCLUDES", "LAST",
    "LIKE", "LIMIT", "NOT", "NULL", "NULLS", "OR", "SELECT", "WHERE", "WITH", "ORDER", "OFFSET",
    "USING", "FOR", "TRUE", "FALSE",
];

/// Deepest nesting of parentheses, so that a hostile statement cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Parses a statement.
///
/// # Errors
/// `MALFORMED_QUERY`, status 400, with the position of the token that does not fit.
pub fn parse(statement: &str) -> Result<Query, ApiError> {
    let mut parser = Parser {
        tokens: tokens(statement)?,
        next: 0,
        depth: 0,
    };
    let query = parser.query()?;
    match parser.peek() {
        Token::End => Ok(query),
        _ => Err(parser.unexpected()),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.next].token
    }

    fn at(&self) -> usize {
        self.tokens[self.next].at
    }

    fn advance(&mut self) -> Token {
        let token = self.peek().clone();
        if self.next + 1 < self.tokens.len() {
            self.next += 1;
        }
        token
    }

    fn unexpected(&self) -> ApiError {
        let shown = match self.peek() {
            Token::Word(word) => format!("'{word}'"),
            Token::Literal(Value::Number(text)) => format!("'{text}'"),
            Token::Literal(_) => "literal".to_owned(),
            Token::Comma => "','".to_owned(),
            Token::Dot => "'.'".to_owned(),
            Token::Colon => "':'".to_owned(),
            Token::Open => "'('".to_owned(),
            Token::Close => "')'".to_owned(),
            Token::Compare(op) => format!("'{op}'"),
            Token::End => "'<EOF>'".to_owned(),
        };
        ApiError::malformed(format!(
            "unexpected token: {shown} at Row:1:Column:{}",
            self.at() + 1
        ))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), ApiError> {
        if self.accept(word) {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn symbol(&mut self, token: &Token) -> Result<(), ApiError> {
        if self.peek() == token {
            self.advance();
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    fn name(&mut self) -> Result<Name, ApiError> {
        let at = self.at();
        match self.peek() {
            Token::Word(word) if !RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word)) => {
                let text = word.clone();
                self.advance();
                Ok(Name { text, at })
            }
            _ => Err(self.unexpected()),
        }
    }

    fn optional_alias(&mut self) -> Option<String> {
        self.name().ok().map(|name| name.text)
    }

    fn path(&mut self) -> Result<Path, ApiError> {
        let first = self.name()?;
        let mut parts = vec![first.text];
        while *self.peek() == Token::Dot {
            self.advance();
            parts.push(self.name()?.text);
        }
        Ok(Path {
            parts,
            at: first.at,
        })
    }

    fn query(&mut self) -> Result<Query, ApiError> {
        self.expect("SELECT")?;
        let mut select = vec![self.item()?];
        while *self.peek() == Token::Comma {
            self.advance();
            select.push(self.item()?);
        }
        self.expect("FROM")?;
        let from = self.name()?;
        let alias = self.optional_alias();
        let filter = match self.accept("WHERE") {
            true => Some(self.condition()?),
            false => None,
        };
        let mut group_by = Vec::new();
        let mut having = None;
        if self.accept("GROUP") {
            self.expect("BY")?;
            group_by.push(self.path()?);
            while *self.peek() == Token::Comma {
                self.advance();
                group_by.push(self.path()?);
            }
            if self.accept("HAVING") {
                having = Some(self.condition()?);
            }
        }
        let mut order_by = Vec::new();
        if self.accept("ORDER") {
            self.expect("BY")?;
            order_by.push(self.order()?);
            while *self.peek() == Token::Comma {
                self.advance();
                order_by.push(self.order()?);
            }
        }
        let limit = match self.accept("LIMIT") {
            true => Some(self.whole_number()?),
            false => None,
        };
        let offset = match self.accept("OFFSET") {
            true => Some(self.whole_number()?),
            false => None,
        };
        Ok(Query {
            select,
            from,
            alias,
            filter,
            group_by,
            having,
            order_by,
            limit,
            offset,
        })
    }

    fn item(&mut self) -> Result<Item, ApiError> {
        let at = self.at();
        let path = self.path()?;
        if *self.peek() == Token::Open {
            let call = self.call(&path, at)?;
            let alias = self.optional_alias();
            return Ok(Item::Aggregate { call, alias });
        }
        let alias = self.optional_alias();
        Ok(Item::Field { path, alias })
    }

    fn call(&mut self, name: &Path, at: usize) -> Result<Call, ApiError> {
        let function = match name.text().to_ascii_uppercase().as_str() {
            "COUNT" => Function::Count,
            "COUNT_DISTINCT" => Function::CountDistinct,
            "MIN" => Function::Min,
            "MAX" => Function::Max,
            "SUM" => Function::Sum,
            "AVG" => Function::Avg,
            _ => return Err(self.unexpected()),
        };
        self.symbol(&Token::Open)?;
        let argument = match (function, self.peek()) {
            (Function::Count, Token::Close) => None,
            _ => Some(self.path()?),
        };
        self.symbol(&Token::Close)?;
        Ok(Call {
            function,
            argument,
            at,
        })
    }

    fn operand(&mut self) -> Result<Operand, ApiError> {
        let at = self.at();
        let path = self.path()?;
        if *self.peek() == Token::Open {
            return self.call(&path, at).map(Operand::Aggregate);
        }
        Ok(Operand::Field(path))
    }

    fn order(&mut self) -> Result<Order, ApiError> {
        let key = self.operand()?;
        let descending = self.accept("DESC");
        if !descending {
            self.accept("ASC");
        }
        let mut nulls_last = false;
        if self.accept("NULLS") {
            nulls_last = self.accept("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order {
            key,
            descending,
            nulls_last,
        })
    }

    fn whole_number(&mut self) -> Result<u64, ApiError> {
        if let Token::Literal(Value::Number(text)) = self.peek()
            && let Ok(number) = text.parse::<u64>()
        {
            self.advance();
            return Ok(number);
        }
        Err(self.unexpected())
    }

    /// A chain of one kind of operator; the other kind needs parentheses.
    fn condition(&mut self) -> Result<Expr, ApiError> {
        let first = self.negated()?;
        let (word, other) = if self.is_word("AND") {
            ("AND", "OR")
        } else if self.is_word("OR") {
            ("OR", "AND")
        } else {
            return Ok(first);
        };
        let mut arms = vec![first];
        while self.accept(word) {
            arms.push(self.negated()?);
        }
        if self.is_word(other) {
            return Err(self.unexpected());
        }
        Ok(if word == "AND" {
            Expr::And(arms)
        } else {
            Expr::Or(arms)
        })
    }

    /// NOT stands before one expression: a comparison or a group in parentheses.
    fn negated(&mut self) -> Result<Expr, ApiError> {
        if self.accept("NOT") {
            return Ok(Expr::Not(Box::new(self.simple()?)));
        }
        self.simple()
    }

    fn simple(&mut self) -> Result<Expr, ApiError> {
        if *self.peek() != Token::Open {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ApiError::bad(
                "QUERY_TOO_COMPLICATED",
                "Query is either selecting too many fields or the filter conditions are too complicated.",
            ));
        }
        self.advance();
        let inner = self.condition()?;
        self.symbol(&Token::Close)?;
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Expr, ApiError> {
        let left = self.operand()?;
        let op = match self.peek() {
            Token::Compare("=") => Op::Eq,
            Token::Compare("!=" | "<>") => Op::Ne,
            Token::Compare("<") => Op::Lt,
            Token::Compare("<=") => Op::Le,
            Token::Compare(">") => Op::Gt,
            Token::Compare(">=") => Op::Ge,
            Token::Word(word) => match word.to_ascii_uppercase().as_str() {
                "LIKE" => Op::Like,
                "IN" => Op::In,
                "NOT" => Op::NotIn,
                "INCLUDES" => Op::Includes,
                "EXCLUDES" => Op::Excludes,
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.advance();
        if op == Op::NotIn {
            self.expect("IN")?;
        }
        let right = match op {
            Op::In | Op::NotIn | Op::Includes | Op::Excludes => self.list(op)?,
            _ => Right::One(self.literal()?),
        };
        Ok(Expr::Test { left, op, right })
    }

    fn list(&mut self, op: Op) -> Result<Right, ApiError> {
        self.symbol(&Token::Open)?;
        if self.is_word("SELECT") && matches!(op, Op::In | Op::NotIn) {
            if self.depth > MAX_DEPTH {
                return Err(self.unexpected());
            }
            self.depth += 1;
            let query = self.query()?;
            self.depth -= 1;
            self.symbol(&Token::Close)?;
            return Ok(Right::Query(Box::new(query)));
        }
        let mut literals = vec![self.literal()?];
        while *self.peek() == Token::Comma {
            self.advance();
            literals.push(self.literal()?);
        }
        self.symbol(&Token::Close)?;
        Ok(Right::List(literals))
    }

    fn literal(&mut self) -> Result<Literal, ApiError> {
        let at = self.at();
        let value = match self.peek() {
            Token::Literal(value) => value.clone(),
            Token::Word(word) => match word.to_ascii_uppercase() {
                w if w == "NULL" => Value::Null,
                w if w == "TRUE" => Value::Bool(true),
                w if w == "FALSE" => Value::Bool(false),
                w if super::dates::is_name(&w) => return self.range(w, at),
                _ => return Err(self.unexpected()),
            },
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(Literal { value, at })
    }

    fn range(&mut self, name: String, at: usize) -> Result<Literal, ApiError> {
        self.advance();
        let mut count = None;
        if super::dates::takes_number(&name) {
            self.symbol(&Token::Colon)?;
            count = Some(self.whole_number()?.min(1_000_000) as i64);
        }
        Ok(Literal {
            value: Value::Range(name, count),
            at,
        })
    }
}
