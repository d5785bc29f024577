//! The options of one external account, read together.

use crate::error::{Error, ErrorKind, Result};
use crate::options::{OptionDef, Place, parse_bool};
use crate::temporal::Zone;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::fmt;

/// The options of one external account: server and user mapping together.
/// Two accounts are equal when every option is, secrets included: that is how a cached session notices ALTER.
#[derive(Clone, Default)]
pub struct Account {
    server: String,
    plain: BTreeMap<String, String>,
    secrets: BTreeMap<String, SecretString>,
    is_guarded: bool,
}

impl Account {
    /// The account behind the foreign server of that name.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            ..Self::default()
        }
    }

    /// Adds one option as its definition says.
    pub fn set(&mut self, option: &OptionDef, value: String) {
        self.is_guarded |= option.guarded;
        if option.secret {
            self.secrets.insert(option.name.into(), value.into());
        } else {
            self.plain.insert(option.name.into(), value);
        }
    }

    /// Name of the foreign server, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// An option that is not secret.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// A secret option.
    pub fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets.get(name)
    }

    /// The option is given, secret or not.
    pub fn has(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secrets.contains_key(name)
    }

    /// Holds at least one secret, or names where one is.
    pub fn has_secret(&self) -> bool {
        self.is_guarded
    }

    /// An option that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::OptionMissing`] naming it.
    pub fn require(&self, name: &str, place: Place) -> Result<&str> {
        self.get(name).ok_or_else(|| self.missing(name, place))
    }

    /// A secret that must be there.
    ///
    /// # Errors
    /// [`ErrorKind::OptionMissing`] naming it.
    pub fn require_secret(&self, name: &str) -> Result<&SecretString> {
        self.secret(name)
            .ok_or_else(|| self.missing(name, Place::UserMapping))
    }

    /// A whole-number option, or `default`. The validator has checked its form.
    pub fn integer(&self, name: &str, default: u64) -> u64 {
        self.get(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }

    /// A truth-value option, or `default`.
    pub fn boolean(&self, name: &str, default: bool) -> bool {
        self.get(name).and_then(parse_bool).unwrap_or(default)
    }

    /// The account's zone (D-1).
    pub fn zone(&self) -> Zone {
        self.get("time_zone")
            .and_then(|name| name.parse().ok())
            .unwrap_or_default()
    }

    fn missing(&self, name: &str, place: Place) -> Error {
        let error = Error::new(
            ErrorKind::OptionMissing,
            format!(
                "option \"{name}\" is missing for server \"{}\"",
                self.server
            ),
        );
        error.with_hint(match place {
            Place::UserMapping => {
                format!("Add it with ALTER USER MAPPING … OPTIONS (ADD {name} '…').")
            }
            _ => format!("Add it with ALTER SERVER … OPTIONS (ADD {name} '…')."),
        })
    }
}

impl PartialEq for Account {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.server == other.server
            && self.plain == other.plain
            && self.secrets.len() == other.secrets.len()
            && self
                .secrets
                .iter()
                .zip(&other.secrets)
                .all(|(a, b)| a.0 == b.0 && a.1.expose_secret() == b.1.expose_secret())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("server", &self.server)
            .field("options", &self.plain.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::check_option;

    #[test]
    fn nothing_secret_is_printed() {
        static SECRETS: &[OptionDef] = &[OptionDef::secret("password", "")];
        let mut account = Account::new("sf");
        account.set(&SECRETS[0], "TEST-correct-horse".into());
        assert!(!format!("{account:?}").contains("horse"));
        assert!(account.has_secret());
        let mut by_file = Account::new("sf");
        by_file.set(&OptionDef::secret_file("key_file", ""), "/key".into());
        assert!(by_file.has_secret());
        let mut other = account.clone();
        assert_eq!(account, other);
        other.set(&SECRETS[0], "TEST-battery".into());
        assert_ne!(account, other);
        let error = check_option(SECRETS, Place::UserMapping, "password", "").unwrap_err();
        assert!(error.hint().is_none());
    }
}
