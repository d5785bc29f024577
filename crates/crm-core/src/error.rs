//! What can go wrong, by meaning.
//! The PostgreSQL side turns a kind into an SQLSTATE; nothing here knows one.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of anything that can fail in these crates.
pub type Result<T> = std::result::Result<T, Error>;

/// What an error means to the user, whatever the vendor calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The host was not reached: name, route, TLS.
    CannotConnect,
    /// The connection broke or the remote side did not answer in time.
    ConnectionLost,
    /// The CRM refused the credentials. Never retried: accounts lock.
    LoginRefused,
    /// The account may not do this.
    NotPermitted,
    /// No such object.
    ObjectUnknown,
    /// No such field, or not usable like this.
    FieldUnknown,
    /// An option nobody knows.
    OptionUnknown,
    /// A required option is absent.
    OptionMissing,
    /// An option's value makes no sense.
    OptionValue,
    /// The account's daily or concurrent allotment is used up.
    AllotmentUsedUp,
    /// Somebody else holds the record.
    RecordLocked,
    /// A record with that key exists.
    DuplicateKey,
    /// A required field is empty.
    RequiredField,
    /// A referenced record does not exist.
    LookupMissing,
    /// A rule or a restricted enumeration refuses the value.
    ValidationRule,
    /// The record does not exist, or is deleted.
    RecordUnknown,
    /// Text longer than the field.
    TextTooLong,
    /// A number outside the field's range.
    NumberOutOfRange,
    /// The reply is not what the protocol promises.
    Undecodable,
    /// The reply holds fewer records than announced (spec S-10).
    ShortRead,
    /// The CRM no longer knows what has changed since a change token was given.
    ChangeTokenExpired,
    /// This side's disk is full or failed; nothing relies on what was to be written.
    StorageFailed,
    /// A file of this side does not hold what was written.
    StorageCorrupt,
    /// Asked for something this connector or deployment does not do.
    NotSupported,
    /// Anything the vendor reports that has no better name.
    RemoteFault,
}

/// One failure, told in the user's terms.
///
/// `message` is one line, lower case, without a full stop; `detail` holds the vendor's code and text;
/// `hint` says what to do, and is present only when that is known.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    code: Option<String>,
}

impl Error {
    /// A new error of `kind`; `message` says what failed.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            code: None,
        }
    }

    /// Adds the vendor's own words, a request id or the remote query.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what the user can do about it, as a full sentence.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the vendor's error code, such as `INVALID_FIELD`.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Puts `context` in front of the message: what was being done when it failed.
    #[must_use]
    pub fn in_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// The same error without `secret`: a host that repeats what it was sent must not bring it into a message.
    #[must_use]
    pub fn without(mut self, secret: &SecretString) -> Self {
        let secret = secret.expose_secret();
        if secret.is_empty() {
            return self;
        }
        for text in [&mut self.detail, &mut self.code].into_iter().flatten() {
            if text.contains(secret) {
                *text = text.replace(secret, "…");
            }
        }
        self
    }

    /// What it means.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// One line, lower case.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The vendor's words, if any.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// What to do, if known.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The vendor's code, if any.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
