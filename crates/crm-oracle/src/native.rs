//! A query in the service's own words, passed through as it is: an object, in parentheses the fields wanted, and a
//! search specification (spec S-14). A document a record.

use crate::decode::{last_page, without_identifier};
use crate::describe;
use crate::envelope::{close_message, open_list};
use crate::kind::FieldKind;
use crate::objects;
use crate::position::Position;
use crate::query_page::{LARGEST_PAGE, QueryPage};
use crate::session::OracleSession;
use crate::{deparse, tags};
use crm_core::{
    BoxFuture, CallStats, CellDecoder, CellReject, Column, ColumnType, Conversion, Error,
    ErrorKind, Page, PageStream, Raw, Result, Zone,
};
use crm_xml::Reader;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The name of every object's identifier.
const IDENTIFIER: &str = "Id";

/// A statement taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    object: String,
    /// Fields wanted; all that are known where none are named.
    fields: Vec<String>,
    spec: Option<String>,
}

/// The documents of one statement, a page of one JSON column at a time.
pub(crate) struct Documents {
    session: Arc<OracleSession>,
    stats: Arc<CallStats>,
    statement: Statement,
    position: Position,
}

impl Documents {
    /// A statement to run; nothing is sent yet. Whatever it says, it can only read.
    ///
    /// # Errors
    /// [`ErrorKind::NotSupported`] when it does not begin with the name of an object.
    pub(crate) fn new(
        session: Arc<OracleSession>,
        statement: &str,
        stats: Arc<CallStats>,
    ) -> Result<Self> {
        Ok(Self {
            session,
            stats,
            statement: parse(statement)?,
            position: Position::First,
        })
    }

    async fn advance(&mut self) -> Result<Option<Page>> {
        if self.position.is_end() {
            return Ok(None);
        }
        if self.statement.fields.is_empty() {
            let object = &self.statement.object;
            let described = describe::describe(&self.session, object, &self.stats).await?;
            self.statement.object = described.summary.name;
            self.statement.fields = described
                .fields
                .into_iter()
                .map(|field| field.name)
                .collect();
        }
        let mut wanted = vec![IDENTIFIER];
        for field in &self.statement.fields {
            let field = tags::field(field)?;
            if !wanted.contains(&field) {
                wanted.push(field);
            }
        }
        let (behind, start) = self.position.from();
        let spec = deparse::behind(IDENTIFIER, behind, self.statement.spec.clone())?;
        let page = QueryPage {
            spec: spec.as_deref(),
            start,
            ..self.session.query_page(&self.statement.object, &wanted)
        };
        let answered = self
            .session
            .call(&page.call()?.for_data(), &self.stats)
            .await?;
        let found = documents(&answered.body, &self.statement.object, &wanted)?;
        self.position = self.position.after(&found.ids, found.last, LARGEST_PAGE)?;
        if found.documents.is_empty() {
            return Ok(None);
        }
        page_of(&found.documents, answered.body.len()).map(Some)
    }
}

impl PageStream for Documents {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.advance())
    }
}

/// `Contact`, `Contact [A] = '1'`, `Contact(Id,A) ([A] = '1') AND ([B] IS NULL)`.
fn parse(statement: &str) -> Result<Statement> {
    let text = statement.trim().trim_end_matches(';').trim_end();
    let end = text
        .find(|character: char| !character.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let malformed = || {
        Error::new(
            ErrorKind::NotSupported,
            "the query is not an object and a search specification",
        )
        .with_hint("Write the object, in parentheses the fields wanted, and the condition, as in Contact(Id,ContactLastName) [ContactLastName] LIKE 'D*'.")
    };
    let name = tags::object(name).map_err(|_| malformed())?;
    let object = objects::find(name)
        .map_or(name, |known| known.name)
        .to_owned();
    // A specification may begin with a parenthesis too, but with a field in brackets inside it.
    let (fields, spec) = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
        Some((list, spec)) if !list.contains('[') => {
            let fields = list.split(',').map(|field| {
                let field = tags::field(field.trim())?;
                Ok(field.to_owned())
            });
            (fields.collect::<Result<Vec<_>>>()?, spec)
        }
        _ => (Vec::new(), rest),
    };
    let spec = spec.trim();
    if !(spec.is_empty() || spec.starts_with(['[', '('])) {
        return Err(malformed());
    }
    Ok(Statement {
        object,
        fields,
        spec: (!spec.is_empty()).then(|| spec.to_owned()),
    })
}

#[derive(Debug, Default)]
struct Found {
    documents: Vec<String>,
    ids: Vec<String>,
    last: Option<bool>,
}

/// The records of a reply as documents: every wanted field, empty ones as null, numbers and truth values as such.
fn documents(body: &[u8], object: &str, wanted: &[&str]) -> Result<Found> {
    let known = objects::find(object);
    let kind_of = |tag: &str| {
        let field = known
            .and_then(|known| known.field(tag))
            .or_else(|| objects::custom(tag));
        field.map_or(FieldKind::Text, |field| FieldKind::of_word(field.word))
    };
    let kinds: Vec<_> = wanted.iter().map(|tag| kind_of(tag)).collect();
    let mut reader = Reader::new(body)?;
    open_list(&mut reader, &format!("ListOf{object}"))?;
    let mut found = Found {
        last: last_page(&reader)?,
        ..Found::default()
    };
    while reader.child()? {
        if reader.name().1 != object {
            reader.skip()?;
            continue;
        }
        let mut values = vec![Value::Null; wanted.len()];
        while reader.child()? {
            let Some(at) = wanted.iter().position(|tag| *tag == reader.name().1) else {
                reader.skip()?;
                continue;
            };
            values[at] = json(kinds[at], &reader.text()?);
        }
        let id = values.first().and_then(Value::as_str).map(str::to_owned);
        found.ids.push(id.ok_or_else(without_identifier)?);
        let document: Map<String, Value> = wanted
            .iter()
            .map(|tag| (*tag).to_owned())
            .zip(values)
            .collect();
        found.documents.push(Value::Object(document).to_string());
    }
    close_message(&mut reader)?;
    Ok(found)
}

fn json(kind: FieldKind, text: &str) -> Value {
    if text.is_empty() {
        return Value::Null;
    }
    let as_it_is = || Value::from(text);
    match kind {
        FieldKind::Boolean => match text {
            "true" | "Y" | "1" => Value::Bool(true),
            "false" | "N" | "0" => Value::Bool(false),
            _ => as_it_is(),
        },
        FieldKind::Int => text.parse::<i64>().map_or_else(|_| as_it_is(), Value::from),
        FieldKind::MultiPicklist => text.split(';').map(Value::from).collect(),
        // Decimals would pass through a float.
        _ => as_it_is(),
    }
}

fn page_of(documents: &[String], n_bytes: usize) -> Result<Page> {
    let decoder = CellDecoder {
        column_type: ColumnType::Json,
        conversion: Conversion::Default,
        zone: Zone::default(),
        separator: ';',
    };
    let mut column = Column::new(ColumnType::Json);
    let mut rejects = Vec::new();
    for document in documents {
        if let Err(reason) = decoder.append(Raw::Json(document), &mut column) {
            column.push_null();
            rejects.push(CellReject {
                row: column.len() - 1,
                column: 0,
                record: None,
                raw: String::new(),
                reason,
            });
        }
    }
    Ok(Page {
        n_rows: column.len(),
        columns: vec![column],
        rejects,
        bytes: n_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_taken_apart() {
        let statement = |object: &str, fields: &[&str], spec: Option<&str>| Statement {
            object: object.into(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            spec: spec.map(str::to_owned),
        };
        for (text, expected) in [
            ("contact", Some(statement("Contact", &[], None))),
            (
                "CustomObject7;",
                Some(statement("CustomObject7", &[], None)),
            ),
            (
                " Contact [A] = 'x;' ; ",
                Some(statement("Contact", &[], Some("[A] = 'x;'"))),
            ),
            (
                "Contact(Id, A) ([A] = '1') AND ([B] IS NULL)",
                Some(statement(
                    "Contact",
                    &["Id", "A"],
                    Some("([A] = '1') AND ([B] IS NULL)"),
                )),
            ),
            (
                "Contact([A] = '1') OR ([A] = '2')",
                Some(statement(
                    "Contact",
                    &[],
                    Some("([A] = '1') OR ([A] = '2')"),
                )),
            ),
            ("", None),
            ("[A] = '1'", None),
            ("Contact where A = 1", None),
            ("Contact(A B)", None),
        ] {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn the_recorded_page_as_documents() {
        let body = include_bytes!("../tests/fixtures/query_page_contact_first.xml");
        let wanted = [
            "Id",
            "ContactFirstName",
            "CustomBoolean0",
            "CustomInteger0",
            "CustomCurrency0",
            "CustomMultiSelectPickList0",
        ];
        let found = documents(body, "Contact", &wanted).unwrap();
        assert_eq!(found.ids, ["1QA2-34ISOM", "1QA2-34ISON"]);
        let first: Value = serde_json::from_str(&found.documents[0]).unwrap();
        assert_eq!(
            first,
            serde_json::json!({"Id": "1QA2-34ISOM", "ContactFirstName": "Ann", "CustomBoolean0": true, "CustomInteger0": -7,
                "CustomCurrency0": "12345678901234.56", "CustomMultiSelectPickList0": ["Mail", "Phone"]})
        );
        let second: Value = serde_json::from_str(&found.documents[1]).unwrap();
        assert!(second["ContactFirstName"].is_null() && second["CustomInteger0"].is_null());
        let page = page_of(&found.documents, body.len()).unwrap();
        assert_eq!((page.n_rows, page.rejects.len()), (2, 0));
    }
}
