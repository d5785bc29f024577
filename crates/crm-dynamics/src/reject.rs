//! What the CRM says of single records, by meaning (Dynamics page, section 9), and the same said here before a call.

use crate::batch::PartReply;
use crate::error::{self, Fault};
use crm_core::{Error, ErrorKind, Reject};
use crm_http::StatusCode;

/// More of a vendor's text than this is not kept.
const LONGEST_TEXT: usize = 2_000;

/// A code of the vendor, the name it publishes for it, and what it means when a record is refused with it.
#[derive(Debug)]
pub(crate) struct Code {
    /// As it stands on the wire, in lower case.
    pub code: &'static str,
    /// The vendor's name; the code itself where none is published.
    pub symbol: &'static str,
    kind: ErrorKind,
}

const fn code(code: &'static str, symbol: &'static str, kind: ErrorKind) -> Code {
    Code { code, symbol, kind }
}

pub(crate) const DOES_NOT_EXIST: Code =
    code("0x80040217", "ObjectDoesNotExist", ErrorKind::LookupMissing);
pub(crate) const INVALID_ARGUMENT: Code =
    code("0x80040203", "InvalidArgument", ErrorKind::ValidationRule);
pub(crate) const TOO_LONG: Code = code("0x80044331", "0x80044331", ErrorKind::TextTooLong);
pub(crate) const OUT_OF_RANGE: Code = code("0x80044330", "0x80044330", ErrorKind::NumberOutOfRange);
pub(crate) const PAYLOAD: Code = code("0x80048d19", "0x80048d19", ErrorKind::ValidationRule);
const DUPLICATE: Code = code("0x80040237", "DuplicateRecord", ErrorKind::DuplicateKey);
const DUPLICATE_KEY: Code = code(
    "0x80060892",
    "DuplicateRecordEntityKey",
    ErrorKind::DuplicateKey,
);

/// Codes by which single records are refused.
const CODES: &[Code] = &[
    DOES_NOT_EXIST,
    code(
        "0x80060891",
        "RecordNotFoundByEntityKey",
        ErrorKind::LookupMissing,
    ),
    DUPLICATE,
    DUPLICATE_KEY,
    code(
        "0x80040333",
        "DuplicateRecordsFound",
        ErrorKind::DuplicateKey,
    ),
    code(
        "0x80060882",
        "ConcurrencyVersionMismatch",
        ErrorKind::RecordLocked,
    ),
    code("0x80040220", "PrivilegeDenied", ErrorKind::NotPermitted),
    code("0x80040299", "0x80040299", ErrorKind::NotPermitted),
    code("0x80048306", "0x80048306", ErrorKind::NotPermitted),
    code("0x80041103", "0x80041103", ErrorKind::FieldUnknown),
    INVALID_ARGUMENT,
    TOO_LONG,
    OUT_OF_RANGE,
    PAYLOAD,
    code("0x80048408", "0x80048408", ErrorKind::ValidationRule),
    code(
        "0x80040227",
        "CannotDeleteDueToAssociation",
        ErrorKind::ValidationRule,
    ),
    code("0x80040265", "IsvAborted", ErrorKind::ValidationRule),
    code("0x80044150", "0x80044150", ErrorKind::RecordLocked),
    code("0x80044151", "0x80044151", ErrorKind::RecordLocked),
    code("0x80072321", "0x80072321", ErrorKind::AllotmentUsedUp),
    code("0x80072322", "0x80072322", ErrorKind::AllotmentUsedUp),
    code("0x80072326", "0x80072326", ErrorKind::AllotmentUsedUp),
];

/// What the vendor says of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RecordFault {
    /// Status of the part of the reply, 0 where replies have none.
    pub status: u16,
    /// The vendor's code as on the wire; old servers leave it empty.
    pub code: String,
    /// The vendor's words.
    pub message: String,
}

impl RecordFault {
    /// What a part of a reply says.
    pub(crate) fn of(reply: &PartReply<'_>) -> Self {
        let fault = reply.fault();
        Self {
            status: reply.status,
            code: fault.code,
            message: fault.text,
        }
    }

    /// The same as the failure of a call.
    pub(crate) fn error(&self) -> Error {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let fault = Fault {
            code: self.code.clone(),
            text: self.message.clone(),
        };
        error::from_fault(status, &fault)
    }

    fn known(&self) -> Option<&'static Code> {
        let code = self.code.to_ascii_lowercase();
        CODES.iter().find(|known| known.code == code)
    }

    /// Somebody else holds the record, or the server is too busy for it: sent again, it may go well. Either way the
    /// record was not applied, for each is a transaction of its own (7.4).
    pub(crate) fn may_pass(&self) -> bool {
        match self.known().map(|known| known.kind) {
            Some(ErrorKind::RecordLocked) => self.status != 412,
            Some(ErrorKind::AllotmentUsedUp) => true,
            _ => matches!(self.status, 429 | 503),
        }
    }

    /// The account is to slow down: nothing about the record.
    pub(crate) fn is_throttled(&self) -> bool {
        self.status == 429
            || self
                .known()
                .is_some_and(|known| known.kind == ErrorKind::AllotmentUsedUp)
    }

    /// There is no such record, or no more.
    pub(crate) fn is_gone(&self, id: &str) -> bool {
        if self.code.eq_ignore_ascii_case(DOES_NOT_EXIST.code) {
            return self.names(id) || !self.message.contains("With Id");
        }
        self.status == 404 && matches!(self.code.as_str(), "" | "0x0")
    }

    /// A record with such a key or identifier is there already. Which of the two, the code does not always tell.
    pub(crate) fn is_duplicate(&self) -> bool {
        let is_it = |known: &Code| self.code.eq_ignore_ascii_case(known.code);
        is_it(&DUPLICATE) || is_it(&DUPLICATE_KEY)
    }

    fn names(&self, id: &str) -> bool {
        !id.is_empty() && self.message.to_ascii_lowercase().contains(id)
    }
}

/// The reject for a fault of the record with identifier `id`, as far as it has one, among whose fields are `names`.
pub(crate) fn reject<'a>(
    fault: &RecordFault,
    id: Option<&str>,
    names: impl Iterator<Item = &'a str>,
) -> Reject {
    let known = fault.known();
    let symbol = match (known, fault.code.as_str()) {
        (Some(known), _) => known.symbol.to_owned(),
        (None, "" | "0x0") => format!("HTTP {}", fault.status),
        (None, code) => code.to_owned(),
    };
    let message: String = fault.message.chars().take(LONGEST_TEXT).collect();
    let message = if message.is_empty() {
        "the CRM refused the record and gave no reason".to_owned()
    } else {
        message
    };
    let mut reject = Reject::new(kind(fault, known, id), symbol, message);
    reject.code = Some(fault.code.clone()).filter(|code| !code.is_empty());
    for name in names {
        if quotes(&fault.message, name) && !reject.fields.iter().any(|known| known == name) {
            reject.fields.push(name.to_owned());
        }
    }
    reject
}

fn kind(fault: &RecordFault, known: Option<&Code>, id: Option<&str>) -> ErrorKind {
    if id.is_some_and(|id| fault.is_gone(id)) {
        return ErrorKind::RecordUnknown;
    }
    let lower = fault.message.to_ascii_lowercase();
    match known.map(|known| known.kind) {
        Some(ErrorKind::ValidationRule)
            if lower.contains("cannot be null") || lower.contains("required field") =>
        {
            ErrorKind::RequiredField
        }
        Some(ErrorKind::ValidationRule)
            if lower.contains("does not exist on type")
                || lower.contains("undeclared property") =>
        {
            ErrorKind::FieldUnknown
        }
        Some(kind) => kind,
        None => match fault.status {
            401 | 403 => ErrorKind::NotPermitted,
            404 => ErrorKind::LookupMissing,
            412 => ErrorKind::DuplicateKey,
            429 => ErrorKind::AllotmentUsedUp,
            503 => ErrorKind::ConnectionLost,
            _ => ErrorKind::RemoteFault,
        },
    }
}

/// The vendor's words name the field, in any quotes.
fn quotes(message: &str, name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    message.match_indices(name).any(|(at, _)| {
        let before = message[..at].chars().next_back();
        let after = message[at + name.len()..].chars().next();
        let is_quote = |mark: Option<char>| matches!(mark, Some('\'' | '"'));
        is_quote(before) && is_quote(after)
    })
}

/// A reject that is made here in the vendor's stead.
pub(crate) fn ours(code: &Code, kind: ErrorKind, message: impl Into<String>) -> Reject {
    let mut reject = Reject::new(kind, code.symbol, message);
    reject.code = Some(code.code.to_owned());
    reject
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

    fn fault(status: u16, code: &str, message: &str) -> RecordFault {
        RecordFault {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    #[test]
    fn kinds_symbols_and_fields() {
        let names = ["subject", "name", "customerid"];
        for (status, code, message, id, kind, symbol, fields) in [
            (
                400,
                "0x80044331",
                "A validation error occurred.  The length of the 'subject' attribute of the 'task' entity exceeded the maximum allowed length of '200'.",
                None,
                ErrorKind::TextTooLong,
                "0x80044331",
                &["subject"][..],
            ),
            (
                400,
                "0x80040203",
                "Attribute 'name' cannot be NULL for entity 'account'.",
                None,
                ErrorKind::RequiredField,
                "InvalidArgument",
                &["name"],
            ),
            (
                404,
                "0x80040217",
                "account With Id = 6BA7B810-9DAD-11D1-80B4-00C04FD430C8 Does Not Exist",
                Some(ID),
                ErrorKind::RecordUnknown,
                "ObjectDoesNotExist",
                &[],
            ),
            (
                404,
                "0x80040217",
                "contact With Id = 11111111-9dad-11d1-80b4-00c04fd430c8 Does Not Exist",
                Some(ID),
                ErrorKind::LookupMissing,
                "ObjectDoesNotExist",
                &[],
            ),
            (
                404,
                "0x80040217",
                "contact With Id = 11111111-9dad-11d1-80b4-00c04fd430c8 Does Not Exist",
                None,
                ErrorKind::LookupMissing,
                "ObjectDoesNotExist",
                &[],
            ),
            (
                404,
                "",
                "Not found",
                Some(ID),
                ErrorKind::RecordUnknown,
                "HTTP 404",
                &[],
            ),
            (
                412,
                "0x80040237",
                "Cannot insert duplicate key.",
                None,
                ErrorKind::DuplicateKey,
                "DuplicateRecord",
                &[],
            ),
            // Duplicate rules answer with either status (7.6).
            (
                500,
                "0x80040333",
                "a duplicate",
                None,
                ErrorKind::DuplicateKey,
                "DuplicateRecordsFound",
                &[],
            ),
            (
                412,
                "0x80040333",
                "a duplicate",
                None,
                ErrorKind::DuplicateKey,
                "DuplicateRecordsFound",
                &[],
            ),
            (
                403,
                "0x80040220",
                "missing prvCreate",
                None,
                ErrorKind::NotPermitted,
                "PrivilegeDenied",
                &[],
            ),
            (
                403,
                "0x8004ffff",
                "no",
                None,
                ErrorKind::NotPermitted,
                "0x8004ffff",
                &[],
            ),
            (
                400,
                "0x80040265",
                "the plug-in says no",
                None,
                ErrorKind::ValidationRule,
                "IsvAborted",
                &[],
            ),
            (
                400,
                "0x80048d19",
                "Error Message: The property 'customerid' does not exist on type 'Microsoft.Dynamics.CRM.account'.",
                None,
                ErrorKind::FieldUnknown,
                "0x80048d19",
                &["customerid"],
            ),
            (
                400,
                "0x0",
                "",
                None,
                ErrorKind::RemoteFault,
                "HTTP 400",
                &[],
            ),
        ] {
            let reject = reject(&fault(status, code, message), id, names.into_iter());
            assert_eq!(
                (reject.kind, reject.symbol.as_str()),
                (kind, symbol),
                "{message}"
            );
            assert_eq!(reject.fields, fields, "{message}");
            assert!(!reject.message.is_empty());
            assert_eq!(
                reject.code.as_deref(),
                Some(code).filter(|code| !code.is_empty())
            );
        }
    }

    #[test]
    fn what_passes_and_what_does_not() {
        for (status, code, passes) in [
            (500, "0x80044150", true),
            (500, "0x80044151", true),
            (429, "0x80072322", true),
            (429, "", true),
            (503, "", true),
            (500, "0x80040333", false),
            (412, "0x80060882", false),
            (400, "0x80044331", false),
            (500, "", false),
        ] {
            assert_eq!(
                fault(status, code, "m").may_pass(),
                passes,
                "{status} {code}"
            );
        }
        assert!(fault(429, "0x80072321", "").is_throttled());
        assert!(!fault(500, "0x80044150", "").is_throttled());
    }
}
