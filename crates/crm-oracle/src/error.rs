//! Oracle's error codes and what they mean to someone who writes SQL (Oracle page 9.4).

use crate::fault::Fault;
use crm_core::{Error, ErrorKind};
use crm_http::{Reply, StatusCode};

/// Of a body that is no message, so much is shown.
const SHOWN_BODY: usize = 300;

/// Codes, the kind they mean, what the user is told, and what to do about it where that is known.
type Row = (
    &'static [&'static str],
    ErrorKind,
    &'static str,
    Option<&'static str>,
);

const REIMPORT: &str = "If the field was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.";

/// The first row with a code that stands anywhere in the fault counts, so that causes come before what wraps them.
const TABLE: &[Row] = &[
    (
        &["SBL-ODU-01005"],
        ErrorKind::ConnectionLost,
        "the CRM asks for fewer requests",
        Some("Raise the server options max_retries and retry_timeout."),
    ),
    (
        &["SBL-SBL-70172"],
        ErrorKind::AllotmentUsedUp,
        "the company's allotment of operations or requests is used up",
        Some("It refills over 24 hours."),
    ),
    (
        &["SBL-EAI-04127", "SBL-UNU-00133"],
        ErrorKind::FieldUnknown,
        "the CRM does not know a field",
        Some(REIMPORT),
    ),
    (
        &[
            "SBL-DAT-00542",
            "SBL-DAT-00553",
            "SBL-DAT-00278",
            "SBL-DAT-00279",
            "SBL-DAT-00284",
            "SBL-ODS-00446",
            "SBL-ODS-00336",
        ],
        ErrorKind::NotPermitted,
        "the account may not do this",
        Some(
            "The user's role needs access to the record type, and the record must be visible to the user.",
        ),
    ),
    (
        &["SBL-ODU-01011"],
        ErrorKind::NotPermitted,
        "the account may not use this service",
        Some("The user's role needs the privilege \"Enable Web Services Access\"."),
    ),
    (
        &["SBL-DAT-00500"],
        ErrorKind::NotSupported,
        "the query finds more records than the CRM returns",
        Some("Narrow the WHERE clause, best by a range of a date or an indexed field."),
    ),
    (
        &["SBL-DAT-00407"],
        ErrorKind::NotSupported,
        "the CRM does not count the records of this object",
        None,
    ),
    (
        &["SBL-DAT-00225"],
        ErrorKind::ValidationRule,
        "a value is not in the picklist",
        None,
    ),
    (
        &[
            "SBL-DAT-00381",
            "SBL-DAT-00382",
            "SBL-DAT-00357",
            "SBL-EAI-04383",
        ],
        ErrorKind::DuplicateKey,
        "such a record exists",
        None,
    ),
    (
        &["SBL-EAI-04401", "SBL-DAT-00523"],
        ErrorKind::RecordLocked,
        "the record was changed by someone else meanwhile",
        None,
    ),
    (
        &["SBL-EAI-04378", "SBL-EAI-04403"],
        ErrorKind::RecordUnknown,
        "the record does not exist",
        None,
    ),
    (
        &["SBL-EAI-04397"],
        ErrorKind::RequiredField,
        "the record has no complete user key",
        None,
    ),
    (
        &["SBL-EAI-04390"],
        ErrorKind::DuplicateKey,
        "several records have this key",
        None,
    ),
    (
        &["SBL-EAI-13002", "SBL-EAI-13010", "SBL-EAI-13011"],
        ErrorKind::RemoteFault,
        "the CRM does not understand the query",
        None,
    ),
    (
        &["SBL-ODU-01008"],
        ErrorKind::RemoteFault,
        "the CRM does not take a character of the message",
        None,
    ),
    (
        &["SBL-ODU-01006"],
        ErrorKind::ConnectionLost,
        "the CRM did not answer in time, or ended the session",
        Some("Run the statement again."),
    ),
    (
        &[
            "SBL-ODS-50085",
            "SBL-ODS-50720",
            "SBL-ODS-50731",
            "SBL-ODS-50735",
        ],
        ErrorKind::NotSupported,
        "the field has no picklist that can be read",
        None,
    ),
    (
        &[
            "SBL-EAI-04375",
            "SBL-EAI-04186",
            "SBL-EAI-04421",
            "SBL-DAT-00235",
            "SBL-DAT-00412",
            "SBL-DAT-00421",
            "SBL-DAT-00476",
            "SBL-DAT-00498",
            "SBL-DAT-00510",
            "SBL-DAT-00521",
            "SBL-DAT-00565",
            "SBL-DAT-56810",
            "SBL-ODS-50736",
            "SBL-ODS-50751",
        ],
        ErrorKind::ValidationRule,
        "the CRM refuses the data",
        None,
    ),
];

/// What a fault means; [`ErrorKind::RemoteFault`] where no code of it is known.
pub(crate) fn kind_of(fault: &Fault) -> ErrorKind {
    row_of(fault).map_or(ErrorKind::RemoteFault, |row| row.1)
}

fn row_of(fault: &Fault) -> Option<&'static Row> {
    TABLE
        .iter()
        .find(|row| row.0.iter().any(|code| fault.has(code)))
}

/// The error that a fault means.
pub(crate) fn from_fault(fault: &Fault) -> Error {
    let row = row_of(fault);
    let (kind, message, hint) = row.map_or(
        (ErrorKind::RemoteFault, "the CRM failed", None),
        |(_, kind, message, hint)| (*kind, *message, *hint),
    );
    let mut detail = Vec::new();
    for entry in &fault.entries {
        // The words usually repeat the code.
        let told = entry.code.is_empty() || entry.message.contains(&entry.code);
        match told {
            true => detail.push(entry.message.clone()),
            false => detail.push(format!("{}: {}", entry.code, entry.message)),
        }
    }
    if let Some(log_file) = &fault.log_file {
        detail.push(format!("Log file: {log_file}"));
    }
    let mut error = Error::new(kind, message).with_detail(detail.join("\n"));
    if !fault.code().is_empty() {
        error = error.with_code(fault.code());
    }
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

/// The error that a reply without a message means: a page for people, or nothing.
pub(crate) fn from_no_message(reply: &Reply) -> Error {
    let shown = readable(&reply.body);
    let status = reply.status;
    let (kind, message) = match status.as_u16() {
        200..=299 => (
            ErrorKind::Undecodable,
            "the CRM answered with something else than a message",
        ),
        401 => (ErrorKind::LoginRefused, "the session was refused"),
        403 => (ErrorKind::NotPermitted, "the account may not do this"),
        404 => (
            ErrorKind::NotSupported,
            "the CRM has no web services at this address",
        ),
        429 | 502..=504 => (ErrorKind::ConnectionLost, "the CRM is not available now"),
        _ => (ErrorKind::RemoteFault, "the CRM failed"),
    };
    let error = Error::new(kind, message).with_detail(if shown.is_empty() {
        format!("HTTP {}", status.as_u16())
    } else {
        format!("HTTP {}: {shown}", status.as_u16())
    });
    let error = match status {
        StatusCode::NOT_FOUND => error.with_hint("Check the server option url."),
        _ => error,
    };
    if status.is_success() {
        error
    } else {
        error.with_code(format!("HTTP {}", status.as_u16()))
    }
}

/// The words of a body that people were meant to read, without its tags, shortened.
pub(crate) fn readable(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(8 * SHOWN_BODY)]);
    let mut words = String::new();
    let mut in_tag = false;
    for character in text.chars() {
        match character {
            '<' => {
                in_tag = true;
                words.push(' ');
            }
            '>' if in_tag => in_tag = false,
            _ if in_tag => {}
            character if character.is_control() || character == '\u{FFFD}' => words.push(' '),
            character => words.push(character),
        }
    }
    let words: Vec<_> = words.split_whitespace().collect();
    let words = words.join(" ");
    words[..words.floor_char_boundary(SHOWN_BODY)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{self, Entry};

    #[test]
    fn the_two_recorded_shapes() {
        let unknown =
            fault::find(include_str!("../tests/fixtures/fault_unknown_field.xml")).unwrap();
        assert_eq!(unknown.code(), "SBL-EAI-04316");
        assert_eq!(unknown.symbol(), Some("IDS_EAI_ERR_INTOBJHIER_ELEM_UNKN"));
        assert_eq!(unknown.entries.len(), 2);
        assert_eq!(unknown.message().lines().count(), 2);
        assert_eq!(
            unknown.log_file.as_deref(),
            Some("OnDemandServicesObjMgr_enu_4711.log")
        );
        assert!(!unknown.from_front_end);
        let error = from_fault(&unknown);
        assert_eq!(error.kind(), ErrorKind::FieldUnknown);
        assert_eq!(error.code(), Some("SBL-EAI-04316"));
        assert!(error.detail().unwrap().contains("'ShoeSize'"));
        let rate = fault::find(include_str!("../tests/fixtures/fault_rate_limit.xml")).unwrap();
        assert_eq!((rate.code(), rate.wait_ms), ("SBL-ODU-01005", Some(40)));
        assert!(rate.from_front_end && rate.symbol().is_none());
    }

    #[test]
    fn causes_count_before_what_wraps_them() {
        let entry = |code: &str, message: &str| Entry {
            code: code.into(),
            message: message.into(),
            ..Entry::default()
        };
        for (entries, expected) in [
            (vec![entry("SBL-DAT-00553", "no")], ErrorKind::NotPermitted),
            (
                vec![entry(
                    "SBL-EAI-04376",
                    "the picklist refuses it(SBL-DAT-00225)(SBL-EAI-04376)",
                )],
                ErrorKind::ValidationRule,
            ),
            (
                vec![
                    entry("SBL-EAI-04316", "outer"),
                    entry("SBL-UNU-00133", "in"),
                ],
                ErrorKind::FieldUnknown,
            ),
            (vec![entry("SBL-XYZ-1", "new")], ErrorKind::RemoteFault),
        ] {
            let fault = Fault {
                entries,
                ..Fault::default()
            };
            assert_eq!(kind_of(&fault), expected, "{fault:?}");
        }
    }

    #[test]
    fn codes_stand_in_one_row_only() {
        let mut codes: Vec<_> = TABLE.iter().flat_map(|row| row.0).collect();
        let n_codes = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), n_codes);
    }

    #[test]
    fn what_people_were_meant_to_read() {
        let page =
            b"<html><head><title>Oracle</title></head><body>Down &amp; out\x07</body></html>";
        assert_eq!(readable(page), "Oracle Down &amp; out");
        assert!(readable(&b"x".repeat(100_000)).len() <= SHOWN_BODY);
        assert_eq!(readable(&[0xff, 0xfe]), "");
    }
}
