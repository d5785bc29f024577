//! What an on-premise server offers (Dynamics page, section 0).

use crate::session::{Access, DynamicsSession};
use crm_core::{CallStats, Error, ErrorKind, Result};

/// Asks the server without signing in.
///
/// # Errors
/// When it cannot be reached or offers nothing that is known here.
pub(crate) async fn access(_session: &DynamicsSession, _stats: &CallStats) -> Result<Access> {
    Err(
        Error::new(ErrorKind::OptionMissing, "the way to sign in is not known")
            .with_hint("Set the server option auth to ntlm, adfs or ws_trust."),
    )
}
