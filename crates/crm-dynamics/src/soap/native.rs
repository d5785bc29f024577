//! A query in FetchXML, passed through as it is (spec S-14): it can do nothing but read. Pages are asked for one after
//! the other, unless the query says itself which part it wants.

use super::exchange::{self, Operation};
use super::pages::query_body;
use super::records::Typed;
use super::rows::{Row, escaped, shown};
use crate::native::page_of;
use crate::scan::LARGEST_PAGE;
use crate::session::DynamicsSession;
use crm_core::{BoxFuture, CallStats, Error, ErrorKind, Page, PageStream, Result, json};
use crm_xml::Reader;
use std::sync::Arc;

/// Starts reading; nothing is sent yet.
///
/// # Errors
/// [`ErrorKind::NotSupported`] for anything but a query in FetchXML.
pub(crate) fn start(
    session: Arc<DynamicsSession>,
    statement: &str,
    stats: Arc<CallStats>,
) -> Result<Box<dyn PageStream>> {
    let statement = Statement::of(statement)?;
    Ok(Box::new(Documents {
        session,
        stats,
        statement,
        state: State::Page {
            number: 1,
            cookie: None,
        },
    }))
}

/// A query, cut where the part that is wanted can be named.
struct Statement {
    /// `<fetch`.
    begin: String,
    /// Everything behind it.
    rest: String,
    /// It says itself which part it wants, or cannot come in parts.
    is_single: bool,
    has_count: bool,
}

impl Statement {
    fn of(statement: &str) -> Result<Self> {
        let refused = || {
            Error::new(
                ErrorKind::NotSupported,
                "the query is not one in FetchXML",
            )
            .with_hint("Over SOAP a query is passed through in FetchXML: <fetch><entity name=\"account\">...</entity></fetch>.")
        };
        let mut reader = Reader::new(statement.as_bytes()).map_err(|_| refused())?;
        let is_fetch = reader.child().map_err(|_| refused())? && reader.name() == ("", "fetch");
        if !is_fetch {
            return Err(refused());
        }
        let has = |name: &str| -> Result<bool> { Ok(reader.attribute("", name)?.is_some()) };
        let is_single = has("page")? || has("top")? || has("aggregate")? || has("paging-cookie")?;
        let has_count = has("count")?;
        reader.finish().map_err(|_| refused())?;
        // Comments may stand in front of the element, and name it.
        let begin = "<fetch";
        let at = statement
            .match_indices(begin)
            .map(|(at, _)| at)
            .find(|at| {
                Reader::new(&statement.as_bytes()[*at..]).is_ok_and(|mut reader| {
                    reader.child().is_ok_and(|is| is) && reader.finish().is_ok()
                })
            })
            .ok_or_else(refused)?;
        Ok(Self {
            begin: begin.to_owned(),
            rest: statement[at + begin.len()..].to_owned(),
            is_single,
            has_count,
        })
    }

    fn page(&self, number: u32, cookie: Option<&str>) -> Result<String> {
        let mut text = self.begin.clone();
        if !self.is_single {
            if !self.has_count {
                text.push_str(&format!(" count=\"{LARGEST_PAGE}\""));
            }
            text.push_str(&format!(" page=\"{number}\""));
            if let Some(cookie) = cookie {
                text.push_str(&format!(" paging-cookie=\"{}\"", escaped(cookie)?));
            }
        }
        text.push_str(&self.rest);
        Ok(text)
    }
}

struct Documents {
    session: Arc<DynamicsSession>,
    stats: Arc<CallStats>,
    statement: Statement,
    state: State,
}

#[derive(Clone)]
enum State {
    Page { number: u32, cookie: Option<String> },
    Finished,
}

impl Documents {
    async fn advance(&mut self) -> Result<Option<Page>> {
        loop {
            let State::Page { number, cookie } = self.state.clone() else {
                return Ok(None);
            };
            let fetch = self.statement.page(number, cookie.as_deref())?;
            let operation = Operation::reading("RetrieveMultiple", query_body(&fetch)?).for_data();
            let reply = exchange::call(&self.session, &operation, &self.stats).await?;
            let mut documents = Vec::new();
            let (more, next) = shown(&reply.body, &mut |row| {
                documents.push(document(row));
                Ok(())
            })?;
            if more && cookie.is_some() && cookie == next {
                return Err(Error::new(
                    ErrorKind::Undecodable,
                    "the replies lead in a circle",
                ));
            }
            self.state = if more && !self.statement.is_single {
                State::Page {
                    number: number.saturating_add(1),
                    cookie: next,
                }
            } else {
                State::Finished
            };
            if !documents.is_empty() {
                let documents = documents.iter().map(String::as_str);
                return page_of(documents, reply.body.len()).map(Some);
            }
        }
    }
}

impl PageStream for Documents {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Page>>> {
        Box::pin(self.advance())
    }
}

/// A record as JSON. Beside a reference stand the entity that it leads to and the name of its record.
fn document(row: &Row<'_>) -> String {
    let mut text = String::from("{");
    let member = |text: &mut String, name: &str, suffix: &str| {
        if text.len() > 1 {
            text.push(',');
        }
        json::push_text(&format!("{name}{suffix}"), text);
        text.push(':');
    };
    for (name, value) in &row.attributes {
        member(&mut text, name, "");
        match value {
            Typed::Null | Typed::Records => text.push_str("null"),
            Typed::Bool(truth) if matches!(&**truth, "true" | "false") => text.push_str(truth),
            Typed::Number(digits) if json::is_number(digits) => text.push_str(digits),
            Typed::Bool(other) | Typed::Number(other) | Typed::Text(other) => {
                json::push_text(other, &mut text);
            }
            Typed::Reference {
                id,
                target,
                name: of,
            } => {
                json::push_text(id, &mut text);
                member(&mut text, name, "@type");
                json::push_text(target, &mut text);
                if let Some(of) = of {
                    member(&mut text, name, "@name");
                    json::push_text(of, &mut text);
                }
            }
        }
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_come_in_pages_unless_they_say_otherwise() {
        for (statement, first, second) in [
            (
                "<fetch><entity name='account'/></fetch>",
                "<fetch count=\"5000\" page=\"1\"><entity name='account'/></fetch>",
                "<fetch count=\"5000\" page=\"2\" paging-cookie=\"&lt;c/>\"><entity name='account'/></fetch>",
            ),
            (
                "<!-- <fetch --><fetch count='10' distinct='true'><entity name='a'/></fetch>",
                "<fetch page=\"1\" count='10' distinct='true'><entity name='a'/></fetch>",
                "<fetch page=\"2\" paging-cookie=\"&lt;c/>\" count='10' distinct='true'><entity name='a'/></fetch>",
            ),
            (
                "<fetch top='3'><entity name='a'/></fetch>",
                "<fetch top='3'><entity name='a'/></fetch>",
                "<fetch top='3'><entity name='a'/></fetch>",
            ),
        ] {
            let told = Statement::of(statement).unwrap();
            assert_eq!(told.page(1, None).unwrap(), first);
            assert_eq!(told.page(2, Some("<c/>")).unwrap(), second);
        }
        for other in [
            "accounts?$select=name",
            "<other/>",
            "<fetch>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><fetch>&b;</fetch>",
            "",
        ] {
            let error = Statement::of(other).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::NotSupported, "{other}");
        }
    }

    #[test]
    fn records_become_documents() {
        let row = Row {
            id: None,
            attributes: vec![
                ("name".into(), Typed::Text("a\"b".into())),
                ("revenue".into(), Typed::Number("20000.0000".into())),
                ("odd".into(), Typed::Number("INF".into())),
                ("donotemail".into(), Typed::Bool("true".into())),
                ("none".into(), Typed::Null),
                (
                    "ownerid".into(),
                    Typed::Reference {
                        id: "1".into(),
                        target: "team".into(),
                        name: Some("Jane".into()),
                    },
                ),
            ],
        };
        assert_eq!(
            document(&row),
            r#"{"name":"a\"b","revenue":20000.0000,"odd":"INF","donotemail":true,"none":null,"ownerid":"1","ownerid@type":"team","ownerid@name":"Jane"}"#
        );
        assert_eq!(document(&Row::default()), "{}");
    }
}
