//! Windows accounts over HTTP: NTLM, whose state belongs to one connection (Dynamics page 2.5).

use crm_core::{Account, CallStats, Error, ErrorKind, Result};
use crm_http::{Failure, HttpOptions, Outcome, Request, Stage};

/// Connections signed in by a Windows account.
pub(crate) struct Windows;

impl Windows {
    /// Connections for the account; nothing is connected yet.
    ///
    /// # Errors
    /// For options that cannot be used.
    pub(crate) fn new(_account: &Account, _options: &HttpOptions) -> Result<Self> {
        Ok(Self)
    }

    /// Sends `request` once over a connection that is signed in.
    pub(crate) async fn send(&self, _request: &Request, _stats: &CallStats) -> Outcome {
        Err(Failure {
            stage: Stage::CannotBeSent,
            error: Error::new(
                ErrorKind::NotSupported,
                "Windows accounts cannot sign in yet",
            ),
        })
    }
}
