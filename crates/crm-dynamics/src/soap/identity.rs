//! Who is signed in, and where.

use super::envelope::{optional_text, results};
use super::rows::{self, Inner};
use crate::ids;
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Result};

/// The identifiers of user and organisation in the answer to the question who one is.
///
/// # Errors
/// [`ErrorKind::Undecodable`] when they are not told.
pub(crate) fn read(body: &[u8]) -> Result<(String, String)> {
    let (mut user, mut organization) = (None, None);
    results(body, |key, reader| {
        let told = match key {
            "UserId" => &mut user,
            "OrganizationId" => &mut organization,
            _ => return reader.skip(),
        };
        *told = optional_text(reader)?.and_then(|id| ids::canonical(id.trim()));
        Ok(())
    })?;
    user.zip(organization).ok_or_else(|| {
        Error::new(
            ErrorKind::Undecodable,
            "the reply does not say who is signed in",
        )
    })
}

/// The names of user and organisation, where they may be read: who may not is still who he is.
pub(crate) async fn names(
    session: &DynamicsSession,
    user: &str,
    organization: &str,
    stats: &CallStats,
) -> (Option<String>, Option<String>) {
    let name = async |entity: &str, field: &str, id: &str| {
        let inner = format!(
            "<entity name=\"{entity}\"><attribute name=\"{field}\"/><filter><condition attribute=\"{entity}id\" operator=\"eq\" value=\"{id}\"/></filter></entity>"
        );
        let mut found = None;
        let asked = rows::each(session, Inner::apart(&inner), stats, |row| {
            found = row
                .text(field)
                .filter(|name| !name.is_empty())
                .map(str::to_owned);
            Ok(())
        });
        asked.await.ok().and(found)
    };
    (
        name("systemuser", "domainname", user).await,
        name("organization", "name", organization).await,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_identity() {
        let body = include_str!("../../tests/fixtures/soap/who_am_i_result.xml");
        let (user, organization) = read(body.as_bytes()).unwrap();
        assert_eq!(user, "1bfa3886-df7e-468c-8435-b5adfb0441ed");
        assert_eq!(organization, "0140d597-e270-494a-89e1-bd0b43774e50");
        let without = body.replace("UserId", "SomeId");
        assert_eq!(
            read(without.as_bytes()).unwrap_err().kind(),
            ErrorKind::Undecodable
        );
    }
}
