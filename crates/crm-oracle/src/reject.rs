//! What a fault says of records, by meaning (Oracle page 9.2, 9.4).

use crate::error::kind_of;
use crate::fault::Fault;
use crate::rows::{Row, Rows, USER_KEYS};
use crm_core::{ErrorKind, Reject};

/// Keys shorter than this occur in a message by chance.
const SHORTEST_KEY: usize = 4;

/// The fault lies in the call, its names or the account, not in a record: every record would fare the same (E-1).
pub(crate) fn is_about_call(fault: &Fault) -> bool {
    if fault.has("SBL-ODU-01008") {
        return false;
    }
    // No access to the object as a whole (Oracle page 14.19).
    if fault.from_front_end || fault.has("SBL-DAT-00553") {
        return true;
    }
    matches!(
        kind_of(fault),
        ErrorKind::FieldUnknown
            | ErrorKind::ObjectUnknown
            | ErrorKind::AllotmentUsedUp
            | ErrorKind::ConnectionLost
            | ErrorKind::LoginRefused
    )
}

/// Somebody else was at the record: sent again, it may go well.
pub(crate) fn may_pass(fault: &Fault) -> bool {
    kind_of(fault) == ErrorKind::RecordLocked
}

/// The four columns of a reject (E-3): the first code, the first symbol, all messages, the log file.
pub(crate) fn reject(all: &Rows, fault: &Fault) -> Reject {
    let message = match fault.message() {
        message if message.trim().is_empty() => {
            "the CRM refused the record and gave no reason".to_owned()
        }
        message => message,
    };
    let mut reject = Reject::new(kind_of(fault), fault.symbol().unwrap_or_default(), message);
    reject.fields = named_fields(all, &reject.message);
    reject.code = Some(fault.code().to_owned()).filter(|code| !code.is_empty());
    reject.log_file = fault.log_file.clone();
    reject
}

/// The one of `rows` whose key the fault names: no more than a good guess where to look first.
pub(crate) fn suspect(all: &Rows, rows: &[Row], fault: &Fault) -> Option<usize> {
    let message = fault.message();
    let keys: Vec<usize> = (0..all.columns.len())
        .filter(|at| USER_KEYS.contains(&all.columns[*at].as_str()))
        .collect();
    let is_named = |row: &Row| {
        let cells = keys.iter().filter_map(|at| row.cells[*at].as_ref());
        cells
            .chain(&row.key)
            .any(|key| key.len() >= SHORTEST_KEY && stands_in(&message, key))
    };
    let mut named = (0..rows.len()).filter(|at| is_named(&rows[*at]));
    match (named.next(), named.next()) {
        (Some(only), None) => Some(only),
        _ => None,
    }
}

/// `word` stands in `text` as a word of its own.
fn stands_in(text: &str, word: &str) -> bool {
    let is_edge = |character: Option<char>| {
        !character.is_some_and(|character| character.is_alphanumeric() || character == '-')
    };
    text.match_indices(word).any(|(at, _)| {
        is_edge(text[..at].chars().next_back()) && is_edge(text[at + word.len()..].chars().next())
    })
}

/// Columns that the message names, in quotes or behind the word "field".
fn named_fields(all: &Rows, message: &str) -> Vec<String> {
    let mut named: Vec<String> = Vec::new();
    let quoted = message.split(['\'', '"']).skip(1).step_by(2);
    let behind = message
        .split("field ")
        .skip(1)
        .filter_map(|rest| rest.split_whitespace().next());
    for word in quoted.chain(behind) {
        let word = word.trim_matches(['\'', '"', '.', ',', ':']);
        let is_column = all
            .columns
            .iter()
            .chain(&all.key)
            .any(|known| known == word);
        if is_column && !named.iter().any(|known| known == word) {
            named.push(word.to_owned());
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Entry;
    use crate::rows::Form;

    fn fault(entries: &[(&str, &str, &str)]) -> Fault {
        Fault {
            entries: (entries.iter())
                .map(|(code, symbol, message)| Entry {
                    code: (*code).into(),
                    symbol: (*symbol).into(),
                    message: (*message).into(),
                })
                .collect(),
            log_file: Some("x.log".into()),
            ..Fault::default()
        }
    }

    fn rows() -> Rows {
        let row = |key: &str, external: &str| Row {
            at: 0,
            key: Some(key.into()),
            cells: vec![Some(external.into()), Some("Status".into())],
        };
        Rows {
            object: "Contact".into(),
            form: Form::Update,
            identifier: "Id".into(),
            key: None,
            columns: vec!["ExternalSystemId".into(), "Status".into()],
            journal_key: None,
            key_is_ours: false,
            rows: vec![row("1QA2-1", "X-100"), row("1QA2-12", "X-2")],
            rejects: Vec::new(),
        }
    }

    #[test]
    fn the_four_columns() {
        let told = fault(&[
            ("SBL-EAI-04316", "", "Error while processing argument"),
            (
                "SBL-EAI-04378",
                "IDS_ERR_EAI_SA_NO_MATCH",
                "No record matches",
            ),
        ]);
        let told = reject(&rows(), &told);
        assert_eq!(told.code.as_deref(), Some("SBL-EAI-04316"));
        assert_eq!(told.symbol, "IDS_ERR_EAI_SA_NO_MATCH");
        assert_eq!(
            told.message,
            "Error while processing argument\nNo record matches"
        );
        assert_eq!(told.log_file.as_deref(), Some("x.log"));
        assert_eq!(told.kind, ErrorKind::RecordUnknown);
        let silent = reject(&rows(), &fault(&[("SBL-DAT-00225", "", " ")]));
        assert!(silent.symbol.is_empty() && !silent.message.trim().is_empty());
        assert_eq!(silent.word(), "SBL-DAT-00225");
    }

    #[test]
    fn fields_that_are_named() {
        for (message, expected) in [
            (
                "The value entered in field Status of buscomp Contact does not match any value",
                &["Status"][..],
            ),
            (
                "'Status' is a required field. Please enter a value for the field",
                &["Status"],
            ),
            ("Status is open", &[]),
            ("the field 'Other' is closed", &[]),
        ] {
            let told = reject(&rows(), &fault(&[("SBL-DAT-00498", "", message)]));
            assert_eq!(told.fields, expected, "{message}");
        }
    }

    #[test]
    fn the_record_that_a_message_names() {
        let all = rows();
        let suspect = |message: &str| suspect(&all, &all.rows, &fault(&[("X", "", message)]));
        assert_eq!(
            suspect("No record with Id 1QA2-12 (SBL-EAI-04378)"),
            Some(1)
        );
        assert_eq!(suspect("[External = \"X-100\"] exists"), Some(0));
        assert_eq!(suspect("1QA2-1 and 1QA2-12 are the same"), None);
        assert_eq!(suspect("1QA2-123 is not there; X-2 neither"), None);
    }

    #[test]
    fn whose_fault_it_is() {
        let front = Fault {
            from_front_end: true,
            ..fault(&[("SBL-ODU-01011", "", "")])
        };
        assert!(is_about_call(&front));
        for (code, expected) in [
            ("SBL-EAI-04127", true),
            ("SBL-SBL-70172", true),
            ("SBL-DAT-00553", true),
            ("SBL-DAT-00542", false),
            ("SBL-DAT-00225", false),
            ("SBL-EAI-04378", false),
            ("SBL-NEW-00001", false),
            ("SBL-ODU-01008", false),
        ] {
            assert_eq!(is_about_call(&fault(&[(code, "", "")])), expected, "{code}");
        }
        assert!(may_pass(&fault(&[("SBL-DAT-00523", "", "")])));
    }
}
