//! Lookups as they are written: the name that binds one, and the address of the record it leads to (Dynamics page 7.3).
//!
//! Both come from the metadata: neither the case of a navigation property nor the plural of a table can be guessed.

use crate::batch::{self, Part};
use crate::describe::{Entity, Navigation};
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, Result, json};
use crm_http::Call;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// What an address of a record is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// Name of the table in addresses.
    pub set: String,
    /// The column that identifies records.
    pub primary_id: String,
}

/// Addresses of the organisation's tables by logical name; asked for once in a session.
#[derive(Debug, Default)]
pub(crate) struct Addresses(OnceLock<Arc<HashMap<String, Address>>>);

#[derive(Deserialize)]
struct List {
    value: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    logical_name: String,
    entity_set_name: Option<String>,
    primary_id_attribute: Option<String>,
}

/// Addresses of all tables.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn addresses(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<Arc<HashMap<String, Address>>> {
    let held = &session.addresses().0;
    if let Some(known) = held.get() {
        return Ok(Arc::clone(known));
    }
    let rest = "EntityDefinitions?$select=LogicalName,EntitySetName,PrimaryIdAttribute";
    let reply = session.call(&Call::get(session.path(rest)), stats).await?;
    let list: List = json::parse(&reply.body, "a list of objects")?;
    let tables = list.value.into_iter().filter_map(|table| {
        let address = Address {
            set: table.entity_set_name?,
            primary_id: table.primary_id_attribute?,
        };
        Some((table.logical_name, address))
    });
    Ok(Arc::clone(held.get_or_init(|| {
        Arc::new(tables.collect::<HashMap<_, _>>())
    })))
}

/// A lookup column of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lookup {
    /// Its logical name.
    pub attribute: String,
    bindings: Vec<Navigation>,
    /// Tables whose records it may lead to.
    pub targets: Vec<String>,
}

impl Lookup {
    /// The lookup of that name, if the table has one.
    pub(crate) fn of(entity: &Entity, name: &str) -> Option<Self> {
        let is_it = |navigation: &&Navigation| navigation.attribute.eq_ignore_ascii_case(name);
        let bindings: Vec<_> = entity.navigations.iter().filter(is_it).cloned().collect();
        let attribute = bindings.first()?.attribute.clone();
        let mut fields = entity.object.fields.iter();
        let field = fields.find(|field| field.name.eq_ignore_ascii_case(name));
        let mut targets = field.map_or_else(Vec::new, |field| field.references.clone());
        if targets.is_empty() {
            targets = bindings.iter().map(|known| known.target.clone()).collect();
        }
        targets.dedup();
        Some(Self {
            attribute,
            bindings,
            targets,
        })
    }

    /// The property that binds a record of `target`. An owner has one for users and teams alike, whose relation is
    /// told of a table that stands for both.
    pub(crate) fn property(&self, target: &str) -> Option<&str> {
        let exact = self.bindings.iter().find(|known| known.target == target);
        let first = self.bindings.first()?;
        let is_only = self
            .bindings
            .iter()
            .all(|known| known.property == first.property);
        let found = exact.or_else(|| is_only.then_some(first))?;
        Some(&found.property)
    }

    /// Any property: emptying one empties the lookup.
    pub(crate) fn any_property(&self) -> Option<&str> {
        self.bindings.first().map(|known| known.property.as_str())
    }

    /// The table, where there is one only.
    pub(crate) fn only_target(&self) -> Option<&str> {
        match &self.targets[..] {
            [target] => Some(target),
            _ => None,
        }
    }
}

/// Finds out which of several tables each identifier is of, by asking for it in each. What is nowhere is left out.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn find(
    session: &DynamicsSession,
    wanted: &HashSet<(String, String)>,
    stats: &CallStats,
) -> Result<HashSet<(String, String)>> {
    let addresses = addresses(session, stats).await?;
    let mut asked = Vec::new();
    for (id, target) in wanted {
        if let Some(address) = addresses.get(target) {
            let rest = format!("{}({id})?$select={}", address.set, address.primary_id);
            asked.push(((id, target), Part::get(session.path(&rest))));
        }
    }
    let mut found = HashSet::new();
    for chunk in asked.chunks(batch::LARGEST_BATCH) {
        let parts: Vec<Part> = chunk.iter().map(|(_, part)| part.clone()).collect();
        let there = exist(session, &parts, stats).await?;
        for (((id, target), _), is_there) in chunk.iter().zip(there) {
            if is_there {
                found.insert(((*id).clone(), (*target).clone()));
            }
        }
    }
    Ok(found)
}

/// Whether each of the records that `parts` ask for is there.
///
/// # Errors
/// As [`read`].
pub(crate) async fn exist(
    session: &DynamicsSession,
    parts: &[Part],
    stats: &CallStats,
) -> Result<Vec<bool>> {
    let found = read(session, parts, stats, |_, _| Ok(Some(()))).await?;
    Ok(found.iter().map(Option::is_some).collect())
}

/// What `found` makes of each record that `parts` ask for, by its place and body; nothing where there is none.
///
/// # Errors
/// As [`DynamicsSession::call`]; what the CRM says of a record other than that there is none.
pub(crate) async fn read<T>(
    session: &DynamicsSession,
    parts: &[Part],
    stats: &CallStats,
    found: impl Fn(usize, &[u8]) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let reply = session.call_together(parts, true, stats).await?;
    let replies = batch::replies(reply.header("content-type"), &reply.body)?;
    if replies.len() != parts.len() {
        return Err(Error::new(
            ErrorKind::Undecodable,
            format!(
                "the reply answers {} of {} requests",
                replies.len(),
                parts.len()
            ),
        ));
    }
    let judged = replies
        .iter()
        .enumerate()
        .map(|(at, reply)| match reply.status {
            404 => Ok(None),
            _ if reply.is_success() => found(at, reply.body),
            _ => Err(reply.error()),
        });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crm_core::{ColumnType, RemoteField};

    fn entity(navigations: &[(&str, &str, &str)], references: &[(&str, &[&str])]) -> Entity {
        let mut entity = Entity::default();
        for (attribute, target, property) in navigations {
            entity.navigations.push(Navigation {
                attribute: (*attribute).into(),
                target: (*target).into(),
                property: (*property).into(),
            });
        }
        for (name, targets) in references {
            entity.object.fields.push(RemoteField {
                references: targets.iter().map(ToString::to_string).collect(),
                ..crate::testkit::field(name, "LookupType", Some(ColumnType::Uuid))
            });
        }
        entity
    }

    #[test]
    fn names_come_from_the_metadata() {
        let entity = entity(
            &[
                ("customerid", "account", "customerid_account"),
                ("customerid", "contact", "customerid_contact"),
                ("new_accountid", "account", "new_AccountId"),
                ("ownerid", "owner", "ownerid"),
            ],
            &[
                ("customerid", &["account", "contact"]),
                ("new_accountid", &["account"]),
                ("ownerid", &["systemuser", "team"]),
            ],
        );
        let lookup = |name: &str| Lookup::of(&entity, name).unwrap();
        let customer = lookup("customerid");
        assert_eq!(customer.property("contact"), Some("customerid_contact"));
        assert_eq!(customer.property("lead"), None);
        assert_eq!(customer.only_target(), None);
        assert_eq!(customer.any_property(), Some("customerid_account"));
        let account = lookup("new_accountid");
        assert_eq!(account.property("account"), Some("new_AccountId"));
        assert_eq!(account.only_target(), Some("account"));
        // The owner's relation is told of a table that stands for users and teams.
        let owner = lookup("ownerid");
        for target in ["systemuser", "team"] {
            assert_eq!(owner.property(target), Some("ownerid"));
        }
        assert_eq!(owner.targets, ["systemuser", "team"]);
        assert_eq!(Lookup::of(&entity, "name"), None);
    }
}
