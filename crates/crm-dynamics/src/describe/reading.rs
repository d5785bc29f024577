//! Metadata of the Web API (Dynamics page, sections 3 and 4). All requests of an entity, or of several, go in one call.

use super::shapes::{Definition, Detail, Listed, OptionSet, Single, Source};
use super::{Entity, Navigation};
use crate::batch::{self, Part, PartReply};
use crate::deparse;
use crate::metadata::fields_of;
use crate::session::DynamicsSession;
use crm_core::{
    CallStats, Enumeration, Error, ErrorKind, ObjectSummary, RemoteObject, Result, json,
};
use crm_http::Call;
use std::collections::HashMap;
use std::sync::Arc;

/// Entities described in one call: their replies are large, and a batch takes no more than 1,000 requests.
const TOGETHER: usize = 20;

const HEAD: &str = "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,ObjectTypeCode,IsCustomEntity,IsIntersect,ChangeTrackingEnabled,IsAuditEnabled,DisplayName";

/// What a cast to a type of attributes is asked for (3.2). An optional one is left out where the server has no such type.
struct Cast {
    name: &'static str,
    asks: &'static str,
    since: &'static str,
}

const fn cast(name: &'static str, asks: &'static str) -> Cast {
    Cast {
        name,
        asks,
        since: "8.0",
    }
}

const CASTS: &[Cast] = &[
    cast("String", "$select=LogicalName,MaxLength"),
    cast("Memo", "$select=LogicalName,MaxLength"),
    cast("Decimal", "$select=LogicalName,Precision,MaxValue"),
    cast("Money", "$select=LogicalName,Precision,MaxValue"),
    cast("DateTime", "$select=LogicalName,DateTimeBehavior"),
    cast("Lookup", "$select=LogicalName,Targets"),
    cast(
        "Picklist",
        "$select=LogicalName,DefaultFormValue&$expand=OptionSet,GlobalOptionSet",
    ),
    cast(
        "State",
        "$select=LogicalName,DefaultFormValue&$expand=OptionSet,GlobalOptionSet",
    ),
    cast(
        "Status",
        "$select=LogicalName,DefaultFormValue&$expand=OptionSet,GlobalOptionSet",
    ),
    cast(
        "Boolean",
        "$select=LogicalName,DefaultValue&$expand=OptionSet,GlobalOptionSet",
    ),
    Cast {
        name: "MultiSelectPicklist",
        asks: "$select=LogicalName,DefaultFormValue&$expand=OptionSet,GlobalOptionSet",
        since: "9.0",
    },
];

/// All entities that can be read.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn objects(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<Vec<ObjectSummary>> {
    let link = session.path(&format!("EntityDefinitions?$select={HEAD}"));
    let reply = session.call(&Call::get(link), stats).await?;
    let listed: Listed<Definition> = json::parse(&reply.body, "a list of objects")?;
    let mut objects = Vec::new();
    for definition in listed.value {
        // What has no set cannot be addressed (3.1).
        if definition.address().is_some() {
            objects.push(definition.summary(session.language()));
        }
    }
    Ok(objects)
}

/// The option sets that belong to no entity, whether some attribute uses them or not (section 4): the whole list, for
/// it takes no filter.
///
/// # Errors
/// As [`DynamicsSession::call`].
pub(crate) async fn shared_sets(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<Vec<Enumeration>> {
    let call = Call::get(session.path("GlobalOptionSetDefinitions"));
    let reply = session.call(&call, stats).await?;
    let listed: Listed<OptionSet> = json::parse(&reply.body, "a list of option sets")?;
    let language = session.language();
    let named = listed.value.into_iter();
    Ok(named.filter_map(|set| set.shared(language)).collect())
}

/// These entities with their attributes, in their order.
///
/// # Errors
/// As [`DynamicsSession::call`]; [`ErrorKind::ObjectUnknown`] where there is no such entity.
pub(crate) async fn entities(
    session: &DynamicsSession,
    objects: &[String],
    stats: &CallStats,
) -> Result<Vec<Arc<Entity>>> {
    let mut found = Vec::with_capacity(objects.len());
    let casts: Vec<_> = CASTS
        .iter()
        .filter(|cast| session.version() >= cast.since)
        .collect();
    for together in objects.chunks(TOGETHER) {
        let mut parts = Vec::new();
        for object in together {
            add_parts(session, deparse::object_name(object)?, &casts, &mut parts);
        }
        let reply = session.call_together(&parts, false, stats).await?;
        let replies = batch::replies(reply.header("content-type"), &reply.body)?;
        let n_parts = casts.len() + 2;
        if replies.len() != together.len() * n_parts {
            return Err(incomplete());
        }
        for (object, replies) in together.iter().zip(replies.chunks(n_parts)) {
            let bodies: Vec<_> = replies.iter().map(body_of).collect();
            let entity = read(&bodies, session.language(), session.shows_labels());
            let entity = entity.map_err(|error| about(object, error))?;
            let entity = Arc::new(entity);
            session.catalog().put(object, Arc::clone(&entity));
            found.push(entity);
        }
    }
    Ok(found)
}

/// The requests of one entity: itself, how its attributes are computed, and each type of attributes.
fn add_parts(session: &DynamicsSession, object: &str, casts: &[&Cast], parts: &mut Vec<Part>) {
    // Before 9.0 nothing tells it (3.3).
    let is_property = if session.version() < "9.0" {
        ""
    } else {
        ",IsValidODataAttribute"
    };
    let base = format!("EntityDefinitions(LogicalName='{object}')");
    parts.push(Part::get(session.path(&format!(
        "{base}?$select={HEAD}&$expand=Attributes($select=LogicalName,AttributeType,AttributeTypeName,AttributeOf,IsPrimaryId,IsValidForRead,IsValidForCreate,IsValidForUpdate,RequiredLevel,DisplayName{is_property}),Keys($select=LogicalName,KeyAttributes),ManyToOneRelationships($select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName)"
    ))));
    parts.push(Part::get(session.path(&format!(
        "{base}/Attributes?$select=LogicalName,SourceType"
    ))));
    for cast in casts {
        parts.push(Part::get(session.path(&format!(
            "{base}/Attributes/Microsoft.Dynamics.CRM.{}AttributeMetadata?{}",
            cast.name, cast.asks
        ))));
    }
}

fn incomplete() -> Error {
    Error::new(
        ErrorKind::Undecodable,
        "the reply answers fewer requests than were sent",
    )
}

/// Reads the replies to the requests that [`add_parts`] makes.
fn read(replies: &[Result<&[u8]>], language: Option<u32>, as_labels: bool) -> Result<Entity> {
    let [definition, sources, typed @ ..] = replies else {
        return Err(incomplete());
    };
    let what = "the description of an object";
    let found: Single<Definition> = json::parse(body(definition)?, what)?;
    let mut definition = found
        .one()
        .ok_or_else(|| Error::new(ErrorKind::Undecodable, "the reply describes no object"))?;
    let address = definition
        .address()
        .ok_or_else(|| unreadable(&definition.logical_name))?;
    let mut details: HashMap<String, Detail> = HashMap::new();
    for reply in typed {
        let listed: Listed<Detail> = json::parse(body(reply)?, "fields of an object")?;
        let named = listed.value.into_iter();
        details.extend(named.map(|detail| (detail.logical_name.clone(), detail)));
    }
    // Not every version tells how attributes come about; then none is known to be computed.
    let sources = body(sources).ok().and_then(|body| {
        let listed: Listed<Source> = json::parse(body, "fields of an object").ok()?;
        Some(listed.value)
    });
    let computed = sources.unwrap_or_default().into_iter();
    let computed: Vec<String> = computed
        .filter(|source| source.source_type.is_some_and(|kind| kind != 0))
        .map(|source| source.logical_name)
        .collect();
    let attributes = std::mem::take(&mut definition.attributes);
    let attributes = attributes.into_iter().map(|base| {
        let detail = details.remove(&base.logical_name).unwrap_or_default();
        let is_computed = computed.contains(&base.logical_name);
        base.into_attribute(detail, is_computed, language)
    });
    let attributes = attributes.collect();
    let keys = definition.keys.iter().map(|key| key.key_attributes.clone());
    let keys: Vec<_> = keys.collect();
    let relationships = std::mem::take(&mut definition.many_to_one_relationships);
    let navigations = relationships.into_iter().filter_map(|relationship| {
        Some(Navigation {
            attribute: relationship.referencing_attribute?,
            target: relationship.referenced_entity?,
            property: relationship.referencing_entity_navigation_property_name?,
        })
    });
    Ok(Entity {
        set: address.set,
        primary_id: address.primary_id,
        primary_name: definition.primary_name_attribute.clone(),
        type_code: definition.object_type_code,
        is_audited: definition.is_audit_enabled.is_true(),
        tracks_changes: definition.change_tracking_enabled.is_true(),
        navigations: navigations.collect(),
        object: RemoteObject {
            fields: fields_of(&definition.logical_name, attributes, &keys, as_labels),
            summary: definition.summary(language),
            variants: Vec::new(),
        },
        keys,
    })
}

fn body<'b>(reply: &Result<&'b [u8]>) -> Result<&'b [u8]> {
    reply.as_ref().copied().map_err(Clone::clone)
}

fn body_of<'b>(reply: &PartReply<'b>) -> Result<&'b [u8]> {
    if reply.is_success() {
        Ok(reply.body)
    } else {
        Err(reply.error())
    }
}

fn about(object: &str, error: Error) -> Error {
    // There is no record of that name: there is no entity of that name.
    let error = if error.kind() == ErrorKind::RecordUnknown
        || error.code().is_some_and(|code| code == "0x80060888")
    {
        let unknown = Error::new(ErrorKind::ObjectUnknown, "the CRM does not know the object");
        let unknown = unknown.with_detail(error.detail().unwrap_or_default());
        unknown.with_hint("If it was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.")
    } else {
        error
    };
    error.in_context(format!("object \"{object}\""))
}

fn unreadable(object: &str) -> Error {
    Error::new(
        ErrorKind::NotSupported,
        format!("object \"{object}\" has no records that can be read"),
    )
}

#[cfg(test)]
mod tests;
