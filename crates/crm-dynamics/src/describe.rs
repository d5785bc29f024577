//! What is known of the organisation's entities (Dynamics page, section 3), whichever transport told it.

mod reading;
mod shapes;

pub(crate) use reading::{entities, objects, shared_sets};

use crm_core::RemoteObject;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::{Duration, Instant};

/// Fields that say when a record was last changed, the first present one first (I-1).
pub(crate) const MODIFICATION_FIELDS: &[&str] = &["modifiedon"];

/// Descriptions are large: a session that has read so many begins anew.
const MOST_HELD: usize = 200;

/// One entity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entity {
    /// Name on the wire in addresses, such as `accounts`.
    pub set: String,
    /// The attribute that identifies records.
    pub primary_id: String,
    /// The attribute that names records for people, where there is one.
    pub primary_name: Option<String>,
    /// The vendor's number of the entity, which old audit rows carry.
    pub type_code: Option<i64>,
    /// Deletions leave a trace in the audit, if the organisation keeps one.
    pub is_audited: bool,
    /// Change tokens are given.
    pub tracks_changes: bool,
    /// The neutral description.
    pub object: RemoteObject,
    /// Names under which lookups are written.
    pub navigations: Vec<Navigation>,
    /// Alternate keys: the attributes of each.
    pub keys: Vec<Vec<String>>,
}

/// The name under which a lookup to one kind of record is written (7.3). Its case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Navigation {
    /// The lookup attribute's logical name.
    pub attribute: String,
    /// The entity it leads to.
    pub target: String,
    /// The navigation property.
    pub property: String,
}

/// A description this old is asked for anew: attributes and options may have been added since.
const LONGEST_HELD: Duration = Duration::from_secs(600);

/// Entities described in this session, by logical name.
#[derive(Default)]
pub(crate) struct Catalog(Mutex<HashMap<String, (Instant, Arc<Entity>)>>);

impl Catalog {
    /// What is known of an entity.
    pub(crate) fn entity(&self, object: &str) -> Option<Arc<Entity>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, entity) = held.get(object)?;
        (told.elapsed() < LONGEST_HELD).then(|| Arc::clone(entity))
    }

    /// Keeps what was told.
    pub(crate) fn put(&self, object: &str, entity: Arc<Entity>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST_HELD {
            held.clear();
        }
        held.insert(object.to_owned(), (Instant::now(), entity));
    }
}

/// The identifier of an entity whose table does not say: its name and `id`, or that of all activities.
pub(crate) fn usual_identifier(object: &str) -> &'static str {
    /// Names made once and kept: there are no more than tables made by hand.
    static MADE: Mutex<Option<HashMap<String, &'static str>>> = Mutex::new(None);
    const ACTIVITIES: &[&str] = &[
        "activitypointer",
        "appointment",
        "email",
        "fax",
        "letter",
        "phonecall",
        "recurringappointmentmaster",
        "serviceappointment",
        "socialactivity",
        "task",
    ];
    if ACTIVITIES.contains(&object) {
        return "activityid";
    }
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = made.get_or_insert_default();
    if let Some(known) = made.get(object) {
        return known;
    }
    let name: &'static str = format!("{object}id").leak();
    made.insert(object.to_owned(), name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_description_is_held_for_a_while() {
        let catalog = Catalog::default();
        catalog.put("account", Arc::default());
        tokio::time::advance(LONGEST_HELD - Duration::from_secs(1)).await;
        assert!(catalog.entity("account").is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(catalog.entity("account").is_none());
    }

    #[test]
    fn identifiers_have_usual_names() {
        for (object, expected) in [
            ("account", "accountid"),
            ("task", "activityid"),
            ("new_thing", "new_thingid"),
            ("new_thing", "new_thingid"),
        ] {
            assert_eq!(usual_identifier(object), expected);
        }
    }
}
