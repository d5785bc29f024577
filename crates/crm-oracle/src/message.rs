//! Messages that write records, and what the answers tell of them (Oracle page 6.1).
//!
//! A record is always found by its identifier: what an upsert found by a user key is changed by the identifier that
//! was found, so that no message mixes keys, which the vendor refuses (Oracle page 6.2).

use crate::call::{Call, data_namespace, data_service};
use crate::envelope::{close_message, open_list};
use crate::rows::{Row, Rows};
use crate::tags::is_row_id;
use crm_core::{Error, ErrorKind, Result};
use crm_xml::{Reader, Writer};

/// What a message does with its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Insert,
    Update,
    Delete,
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::Insert => "Insert",
            Self::Update => "Update",
            Self::Delete => "Delete",
        }
    }
}

/// The operation that does `action` with `rows`; `custom_tags` as in [`data_service`].
///
/// # Errors
/// When a value cannot be said in XML.
pub(crate) fn call(all: &Rows, action: Action, rows: &[Row], custom_tags: bool) -> Result<Call> {
    let object = &all.object;
    let service = data_service(object, custom_tags);
    let operation = format!("{object}{}", action.word());
    let mut input = Writer::new();
    input.open(format!("{operation}_Input"), &[("xmlns", &service)]);
    input.open(
        format!("ListOf{object}"),
        &[("xmlns", &data_namespace(object))],
    );
    for row in rows {
        input.open(object.clone(), &[]);
        if action != Action::Insert
            && let Some(id) = &row.key
        {
            input.leaf(all.identifier.clone(), &[], id);
        }
        if action == Action::Insert
            && let (Some(name), Some(key)) = (&all.key, &row.key)
        {
            input.leaf(name.clone(), &[], key);
        }
        if action != Action::Delete {
            for (name, cell) in all.columns.iter().zip(&row.cells) {
                match cell {
                    Some(text) => input.leaf(name.clone(), &[], text),
                    // An empty element empties a field; a new record has nothing to empty (Oracle page 6.4).
                    None if action == Action::Update => input.leaf(name.clone(), &[], ""),
                    None => &mut input,
                };
            }
        }
        input.close();
    }
    let call = Call::new(service, operation, input.finish()?).for_data();
    let is_repeatable = match action {
        Action::Insert => false,
        Action::Update => !all.is_guarded(),
        Action::Delete => true,
    };
    Ok(if is_repeatable { call } else { call.once() })
}

/// Identifiers of the `n_sent` records that an answer tells of, in the order in which they were sent.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when it does not tell of each of them.
pub(crate) fn ids(body: &[u8], all: &Rows, n_sent: usize) -> Result<Vec<String>> {
    let mut reader = Reader::new(body)?;
    let mut found = Vec::with_capacity(n_sent);
    open_list(&mut reader, &format!("ListOf{}", all.object))?;
    while reader.child()? {
        if reader.name().1 != all.object {
            reader.skip()?;
            continue;
        }
        let mut id = None;
        while reader.child()? {
            if reader.name().1 == all.identifier {
                id = Some(reader.text()?.into_owned());
            } else {
                reader.skip()?;
            }
        }
        found.push(id.filter(|id| is_row_id(id)));
    }
    close_message(&mut reader)?;
    let told: Vec<String> = found.into_iter().flatten().collect();
    if told.len() == n_sent {
        return Ok(told);
    }
    Err(Error::new(
        ErrorKind::Undecodable,
        format!(
            "the reply tells of {} of {n_sent} records that were sent",
            told.len()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Form;

    fn rows(form: Form, key: Option<&str>, columns: &[&str], rows: Vec<Row>) -> Rows {
        Rows {
            object: "Contact".into(),
            form,
            identifier: "Id".into(),
            key: key.map(str::to_owned),
            columns: columns.iter().map(ToString::to_string).collect(),
            journal_key: None,
            key_is_ours: false,
            rows,
            rejects: Vec::new(),
        }
    }

    fn row(key: Option<&str>, cells: &[Option<&str>]) -> Row {
        Row {
            at: 0,
            key: key.map(str::to_owned),
            cells: cells.iter().map(|cell| cell.map(str::to_owned)).collect(),
        }
    }

    #[test]
    fn messages_as_the_service_wants_them() {
        let (open, close) = (
            "<ListOfContact xmlns=\"urn:/crmondemand/xml/Contact/Data\">",
            "</ListOfContact>",
        );
        for (form, key, action, sent, expected) in [
            (
                Form::Insert,
                None,
                Action::Insert,
                row(None, &[Some("A & <B>"), None]),
                "<Contact><JobTitle>A &amp; &lt;B&gt;</JobTitle></Contact>",
            ),
            (
                Form::Update,
                None,
                Action::Update,
                row(Some("1QA2-1"), &[Some("x"), None]),
                "<Contact><Id>1QA2-1</Id><JobTitle>x</JobTitle><Description></Description></Contact>",
            ),
            (
                Form::Upsert,
                Some("ExternalSystemId"),
                Action::Insert,
                row(Some("X-1"), &[Some("x"), None]),
                "<Contact><ExternalSystemId>X-1</ExternalSystemId><JobTitle>x</JobTitle></Contact>",
            ),
            (
                Form::Delete,
                None,
                Action::Delete,
                row(Some("1QA2-1"), &[]),
                "<Contact><Id>1QA2-1</Id></Contact>",
            ),
        ] {
            let all = rows(form, key, &["JobTitle", "Description"], Vec::new());
            let call = call(&all, action, std::slice::from_ref(&sent), false).unwrap();
            let word = action.word();
            assert_eq!(
                call.input,
                format!(
                    "<Contact{word}_Input xmlns=\"urn:crmondemand/ws/ecbs/contact/\">{open}{expected}{close}</Contact{word}_Input>"
                )
            );
            assert_eq!(call.repeatable, action != Action::Insert);
            assert!(call.data);
        }
        let guarded = rows(Form::Update, None, &["ModId"], Vec::new());
        let guarded = call(&guarded, Action::Update, &[], false).unwrap();
        assert!(!guarded.repeatable);
    }

    #[test]
    fn answers_tell_of_each_record_in_order() {
        let all = rows(Form::Insert, None, &[], Vec::new());
        let recorded = include_bytes!("../tests/fixtures/insert_contact_reply.xml");
        assert_eq!(
            ids(recorded, &all, 2).unwrap(),
            ["1QA2-34ISOP", "1QA2-34ISOQ"]
        );
        let fewer = ids(recorded, &all, 3).unwrap_err();
        assert_eq!(fewer.kind(), ErrorKind::Undecodable);
        let cut = &recorded[..recorded.len() - 20];
        assert_eq!(
            ids(cut, &all, 2).unwrap_err().kind(),
            ErrorKind::Undecodable
        );
        for bad in ["", "<a/>", "<html><body>x</body></html>"] {
            assert!(ids(bad.as_bytes(), &all, 0).is_err(), "{bad}");
        }
    }
}
