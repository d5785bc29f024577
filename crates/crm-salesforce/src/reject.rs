//! What the CRM says of single records, by meaning (Salesforce page 8.5).

use crate::rows::Form;
use crm_core::{ErrorKind, Reject};
use serde::Deserialize;

/// More of a vendor's text than this is not kept.
const LONGEST_TEXT: usize = 2_000;

/// One fault of a record. The collections interface calls the code otherwise than all others.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordFault {
    /// The vendor's code.
    #[serde(default, alias = "errorCode")]
    pub status_code: String,
    /// The vendor's words.
    #[serde(default)]
    pub message: String,
    /// Fields to blame.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
}

impl RecordFault {
    /// Somebody else holds the record for a moment: sent again, it may go well.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(
            self.status_code.as_str(),
            "UNABLE_TO_LOCK_ROW" | "SERVER_UNAVAILABLE"
        )
    }

    /// There is no such record, or no more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(
            self.status_code.as_str(),
            "ENTITY_IS_DELETED" | "NOT_FOUND" | "INVALID_CROSS_REFERENCE_KEY"
        )
    }

    /// Reads `CODE:message:Field1,Field2 --`, the form of job results (section 7); parts may be missing.
    pub(crate) fn from_cell(cell: &str) -> Self {
        let cell = cell.trim();
        let (code, rest) = cell.split_once(':').unwrap_or((cell, ""));
        let is_code = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if !is_code(code.trim()) {
            return Self {
                message: cell.to_owned(),
                ..Self::default()
            };
        }
        let rest = rest.strip_suffix("--").unwrap_or(rest).trim_end();
        let is_field = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        // The list of fields is the last part; a message without one may hold a colon of its own.
        let (message, fields) = match rest.rsplit_once(':') {
            Some((message, names)) if names.split(',').all(|name| is_field(name.trim())) => {
                let names = names.split(',').map(|name| name.trim().to_owned());
                (message, Some(names.collect()))
            }
            Some((message, "")) => (message, None),
            _ => (rest, None),
        };
        Self {
            status_code: code.trim().to_owned(),
            message: message.trim().to_owned(),
            fields,
        }
    }
}

/// The reject for a record's faults; the first one gives the code.
pub(crate) fn reject(form: Form, faults: &[RecordFault]) -> Reject {
    let Some(first) = faults.first() else {
        return Reject::new(
            ErrorKind::RemoteFault,
            "UNKNOWN_EXCEPTION",
            "the CRM refused the record and gave no reason",
        );
    };
    let mut message: String = first.message.chars().take(LONGEST_TEXT).collect();
    for fault in &faults[1..] {
        let more: String = fault.message.chars().take(LONGEST_TEXT).collect();
        message.push_str(&format!("; {}: {more}", fault.status_code));
    }
    let symbol = match first.status_code.as_str() {
        "" => "UNKNOWN_EXCEPTION",
        code => code,
    };
    let mut reject = Reject::new(kind(form, first), symbol, message);
    for field in faults
        .iter()
        .flat_map(|fault| fault.fields.iter().flatten())
    {
        if !reject.fields.contains(field) {
            reject.fields.push(field.clone());
        }
    }
    reject
}

fn kind(form: Form, fault: &RecordFault) -> ErrorKind {
    let blames_no_field = fault
        .fields
        .iter()
        .flatten()
        .all(|field| field.eq_ignore_ascii_case("Id"));
    let is_about_the_record = blames_no_field && matches!(form, Form::Update | Form::Delete);
    match fault.status_code.as_str() {
        "REQUIRED_FIELD_MISSING" | "MISSING_ARGUMENT" => ErrorKind::RequiredField,
        "STRING_TOO_LONG" => ErrorKind::TextTooLong,
        "NUMBER_OUTSIDE_VALID_RANGE" => ErrorKind::NumberOutOfRange,
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
        | "FIELD_CUSTOM_VALIDATION_EXCEPTION"
        | "FIELD_FILTER_VALIDATION_EXCEPTION"
        | "FIELD_INTEGRITY_EXCEPTION"
        | "INVALID_EMAIL_ADDRESS"
        | "INVALID_TYPE_ON_FIELD_IN_RECORD"
        | "TOO_MANY_ENUM_VALUE" => ErrorKind::ValidationRule,
        "DUPLICATE_VALUE" | "DUPLICATE_EXTERNAL_ID" | "DUPLICATES_DETECTED" => {
            ErrorKind::DuplicateKey
        }
        "INVALID_CROSS_REFERENCE_KEY" | "MALFORMED_ID" | "INVALID_ID_FIELD"
            if is_about_the_record =>
        {
            ErrorKind::RecordUnknown
        }
        "INVALID_CROSS_REFERENCE_KEY" | "MALFORMED_ID" | "INVALID_ID_FIELD" => {
            ErrorKind::LookupMissing
        }
        "ENTITY_IS_DELETED" | "NOT_FOUND" => ErrorKind::RecordUnknown,
        "UNABLE_TO_LOCK_ROW" | "ENTITY_IS_LOCKED" => ErrorKind::RecordLocked,
        "INVALID_FIELD" | "INVALID_FIELD_FOR_INSERT_UPDATE" => ErrorKind::FieldUnknown,
        "INVALID_TYPE" => ErrorKind::ObjectUnknown,
        "INSUFFICIENT_ACCESS"
        | "INSUFFICIENT_ACCESS_OR_READONLY"
        | "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY"
        | "TXN_SECURITY_METERING_ERROR" => ErrorKind::NotPermitted,
        "STORAGE_LIMIT_EXCEEDED" | "LIMIT_EXCEEDED" => ErrorKind::AllotmentUsedUp,
        "SERVER_UNAVAILABLE" => ErrorKind::ConnectionLost,
        _ => ErrorKind::RemoteFault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_jobs_are_taken_apart() {
        for (cell, code, message, fields) in [
            (
                "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
                "REQUIRED_FIELD_MISSING",
                "Required fields are missing: [LastName]",
                &["LastName"][..],
            ),
            (
                "DUPLICATE_VALUE:duplicate value found: Ext__c duplicates value on record with id: 001D000000IqhSL:--",
                "DUPLICATE_VALUE",
                "duplicate value found: Ext__c duplicates value on record with id: 001D000000IqhSL",
                &[],
            ),
            (
                "STRING_TOO_LONG:too large:First_Name__c,LastName --",
                "STRING_TOO_LONG",
                "too large",
                &["First_Name__c", "LastName"],
            ),
            ("UNABLE_TO_LOCK_ROW", "UNABLE_TO_LOCK_ROW", "", &[]),
            ("UNKNOWN_EXCEPTION:", "UNKNOWN_EXCEPTION", "", &[]),
            (
                "something went wrong: badly",
                "",
                "something went wrong: badly",
                &[],
            ),
            ("", "", "", &[]),
        ] {
            let fault = RecordFault::from_cell(cell);
            assert_eq!(fault.status_code, code, "{cell}");
            assert_eq!(fault.message, message, "{cell}");
            assert_eq!(fault.fields.unwrap_or_default(), fields, "{cell}");
        }
    }

    #[test]
    fn kinds_by_meaning() {
        let fault = |code: &str, fields: &[&str]| RecordFault {
            status_code: code.into(),
            message: "m".into(),
            fields: Some(fields.iter().map(ToString::to_string).collect()),
        };
        for (form, code, fields, expected) in [
            (
                Form::Create,
                "STRING_TOO_LONG",
                &["Name"][..],
                ErrorKind::TextTooLong,
            ),
            (
                Form::Create,
                "DUPLICATES_DETECTED",
                &[],
                ErrorKind::DuplicateKey,
            ),
            (
                Form::Create,
                "INVALID_CROSS_REFERENCE_KEY",
                &["AccountId"],
                ErrorKind::LookupMissing,
            ),
            (
                Form::Update,
                "INVALID_CROSS_REFERENCE_KEY",
                &["AccountId"],
                ErrorKind::LookupMissing,
            ),
            (
                Form::Update,
                "INVALID_CROSS_REFERENCE_KEY",
                &[],
                ErrorKind::RecordUnknown,
            ),
            (
                Form::Delete,
                "MALFORMED_ID",
                &["Id"],
                ErrorKind::RecordUnknown,
            ),
            (
                Form::Delete,
                "ENTITY_IS_DELETED",
                &[],
                ErrorKind::RecordUnknown,
            ),
            (Form::Create, "BRAND_NEW", &[], ErrorKind::RemoteFault),
            (Form::Create, "", &[], ErrorKind::RemoteFault),
        ] {
            let reject = reject(form, &[fault(code, fields)]);
            assert_eq!(reject.kind, expected, "{code}");
            assert_eq!(reject.fields, fields, "{code}");
            assert!(!reject.symbol.is_empty());
        }
        let several = [
            fault("STRING_TOO_LONG", &["A"]),
            fault("INVALID_EMAIL_ADDRESS", &["B", "A"]),
        ];
        let reject = reject(Form::Create, &several);
        assert_eq!(reject.message, "m; INVALID_EMAIL_ADDRESS: m");
        assert_eq!(reject.fields, ["A", "B"]);
        assert_eq!(super::reject(Form::Create, &[]).symbol, "UNKNOWN_EXCEPTION");
    }
}
