//! Descriptions of entities by the Organization service (Dynamics page, sections 3, 4 and 13.2), in the same words as the
//! Web API's.

use super::envelope::{
    ARRAYS, CONTRACTS, METADATA, close_parameter, execute, executed, is_nil, open_parameter,
    optional_text, pairs, parameter, request_end, results,
};
use super::exchange::{self, Operation};
use super::multiple;
use crate::describe::Entity;
use crate::metadata::{Attribute, ChoiceOption, fields_of};
use crate::session::DynamicsSession;
use crm_core::{CallStats, Error, ErrorKind, ObjectSummary, RemoteObject, Result};
use crm_xml::{Reader, Writer};
use std::sync::Arc;

/// Entities described in one call: each may take megabytes.
const TOGETHER: usize = 20;
const NO_ID: &str = "00000000-0000-0000-0000-000000000000";

/// In which words descriptions are wanted.
#[derive(Clone, Copy)]
struct Wish {
    language: Option<u32>,
    as_labels: bool,
}

impl Wish {
    fn of(session: &DynamicsSession) -> Self {
        Self {
            language: session.language(),
            as_labels: session.shows_labels(),
        }
    }
}

/// All entities that can be read.
///
/// # Errors
/// As [`exchange::call`].
pub(crate) async fn objects(
    session: &DynamicsSession,
    stats: &CallStats,
) -> Result<Vec<ObjectSummary>> {
    let operation = Operation::reading("Execute", ask_for_all()?);
    let reply = exchange::call(session, &operation, stats).await?;
    let entities = all_of(&reply.body, Wish::of(session))?;
    Ok(entities
        .into_iter()
        .map(|entity| entity.object.summary)
        .collect())
}

/// These entities, in their order; known ones are not asked for again.
///
/// # Errors
/// As [`exchange::call`]; [`ErrorKind::ObjectUnknown`] where there is no such entity.
pub(crate) async fn entities(
    session: &DynamicsSession,
    objects: &[String],
    stats: &CallStats,
) -> Result<Vec<Arc<Entity>>> {
    let mut found = Vec::with_capacity(objects.len());
    for objects in objects.chunks(TOGETHER) {
        for entity in together(session, objects, stats).await? {
            let entity = Arc::new(entity);
            session
                .catalog()
                .put(&entity.object.summary.name, Arc::clone(&entity));
            found.push(entity);
        }
    }
    Ok(found)
}

async fn together(
    session: &DynamicsSession,
    objects: &[String],
    stats: &CallStats,
) -> Result<Vec<Entity>> {
    let wish = Wish::of(session);
    if let [object] = objects {
        let mut writer = execute("b:RetrieveEntityRequest");
        entity_parameters(&mut writer, object);
        let operation = Operation::reading("Execute", executed(writer, "RetrieveEntity")?);
        let reply = exchange::call(session, &operation, stats).await;
        let reply = reply.map_err(|error| about(object, error))?;
        let mut found = None;
        results(&reply.body, |key, reader| {
            described(key, reader, wish, &mut found)
        })?;
        let entity = found.ok_or_else(|| nothing(object));
        return Ok(vec![entity?]);
    }
    let mut writer = multiple::begin();
    for object in objects {
        multiple::open_request(&mut writer, "b:RetrieveEntityRequest");
        entity_parameters(&mut writer, object);
        request_end(&mut writer, "RetrieveEntity");
    }
    let operation = Operation::reading("Execute", multiple::end(writer)?);
    let reply = exchange::call(session, &operation, stats).await?;
    let mut found: Vec<Option<Entity>> = objects.iter().map(|_| None).collect();
    let faults = multiple::answers(&reply.body, objects.len(), |at, reader| {
        pairs(reader, |key, reader| {
            described(key, reader, wish, &mut found[at])
        })
    })?;
    let answers = objects.iter().zip(found).zip(faults);
    answers
        .map(|((object, entity), fault)| match fault {
            Some(fault) => Err(about(object, fault.to_error())),
            None => entity.ok_or_else(|| nothing(object)),
        })
        .collect()
}

fn ask_for_all() -> Result<String> {
    let mut writer = execute("b:RetrieveAllEntitiesRequest");
    parameter(&mut writer, "EntityFilters", "m:EntityFilters", "Entity");
    parameter(&mut writer, "RetrieveAsIfPublished", "x:boolean", "false");
    executed(writer, "RetrieveAllEntities")
}

fn entity_parameters(writer: &mut Writer, object: &str) {
    parameter(
        writer,
        "EntityFilters",
        "m:EntityFilters",
        "Entity Attributes",
    );
    parameter(writer, "MetadataId", "g:guid", NO_ID);
    parameter(writer, "RetrieveAsIfPublished", "x:boolean", "false");
    open_parameter(writer, "LogicalName", "x:string");
    writer.text(object);
    close_parameter(writer);
}

fn all_of(body: &[u8], wish: Wish) -> Result<Vec<Entity>> {
    let mut found = Vec::new();
    results(body, |key, reader| {
        if key != "EntityMetadata" {
            return reader.skip();
        }
        while reader.child_named(METADATA, "EntityMetadata")? {
            let told = entity(reader, wish)?;
            if told.is_readable {
                found.push(told.entity);
            }
        }
        Ok(())
    })?;
    Ok(found)
}

fn described(
    key: &str,
    reader: &mut Reader<'_>,
    wish: Wish,
    found: &mut Option<Entity>,
) -> Result<()> {
    if key == "EntityMetadata" {
        *found = Some(entity(reader, wish)?.entity);
        return Ok(());
    }
    reader.skip()
}

fn nothing(object: &str) -> Error {
    Error::new(
        ErrorKind::Undecodable,
        format!("the reply does not describe object \"{object}\""),
    )
}

/// A fault about an entity's name means that there is none.
fn about(object: &str, error: Error) -> Error {
    let is_unknown = error.kind() == ErrorKind::RecordUnknown
        || error.detail().is_some_and(|detail| {
            detail.contains("Could not find an entity") || detail.contains("Could not find entity")
        });
    if !is_unknown {
        return error.in_context(format!("object \"{object}\""));
    }
    let unknown = Error::new(
        ErrorKind::ObjectUnknown,
        format!("object \"{object}\": the CRM does not know the object"),
    );
    let unknown = unknown.with_detail(error.detail().unwrap_or_default());
    let unknown = match error.code() {
        Some(code) => unknown.with_code(code),
        None => unknown,
    };
    unknown.with_hint("If it was renamed or removed in the CRM, or is hidden from this account, import the foreign table again.")
}

/// What is told of an entity.
struct Told {
    entity: Entity,
    /// Its records can be asked for, as far as anything is said.
    is_readable: bool,
}

/// Reads the entity just opened, and closes it.
fn entity(reader: &mut Reader<'_>, wish: Wish) -> Result<Told> {
    let mut entity = Entity::default();
    let mut name = String::new();
    let (mut label, mut attributes) = (None, Vec::new());
    let (mut is_custom, mut is_link, mut is_private) = (false, false, false);
    let mut set = Some(String::new());
    while reader.child()? {
        let (METADATA, local) = reader.name() else {
            reader.skip()?;
            continue;
        };
        match local {
            "LogicalName" => name = reader.text()?.into_owned(),
            // Older servers tell none, for they have no use for it; one that is told to be none is.
            "EntitySetName" => set = optional_text(reader)?.filter(|set| !set.is_empty()),
            "PrimaryIdAttribute" => {
                entity.primary_id = optional_text(reader)?.unwrap_or_default();
            }
            "PrimaryNameAttribute" => entity.primary_name = optional_text(reader)?,
            "ObjectTypeCode" => entity.type_code = number(reader)?,
            "IsCustomEntity" => is_custom = truth(reader)?,
            "IsIntersect" => is_link = truth(reader)?,
            "IsPrivate" => is_private = truth(reader)?,
            "ChangeTrackingEnabled" => entity.tracks_changes = truth(reader)?,
            "IsAuditEnabled" => entity.is_audited = inner(reader)?.as_deref() == Some("true"),
            "DisplayName" => label = self::label(reader, wish.language)?,
            "Attributes" => {
                while reader.child_named(METADATA, "AttributeMetadata")? {
                    attributes.push(attribute(reader, wish.language)?);
                }
            }
            "Keys" => {
                while reader.child()? {
                    entity.keys.push(key(reader)?);
                }
            }
            _ => reader.skip()?,
        }
    }
    if name.is_empty() {
        return Err(reader.refuse("an entity has no name"));
    }
    let is_readable = set.is_some() && !is_private && !entity.primary_id.is_empty();
    let set = set.filter(|set| !set.is_empty());
    entity.set = set.clone().unwrap_or_default();
    entity.object = RemoteObject {
        fields: fields_of(&name, attributes, &entity.keys, wish.as_labels),
        summary: ObjectSummary {
            label: label.unwrap_or_else(|| name.clone()),
            name,
            collection: set,
            custom: is_custom,
            selectable: true,
            // Records of a link between two entities come and go by associating alone (3.1).
            insertable: !is_link,
            updatable: !is_link,
            deletable: !is_link,
            changes_tracked: entity.tracks_changes,
            deletions_tracked: entity.is_audited,
        },
        variants: Vec::new(),
    };
    Ok(Told {
        entity,
        is_readable,
    })
}

fn attribute(reader: &mut Reader<'_>, language: Option<u32>) -> Result<Attribute> {
    let mut attribute = Attribute {
        readable: true,
        ..Attribute::default()
    };
    let (mut old_type, mut label) = (None, None);
    while reader.child()? {
        let (METADATA, local) = reader.name() else {
            reader.skip()?;
            continue;
        };
        match local {
            "LogicalName" => attribute.name = reader.text()?.into_owned(),
            "AttributeType" => old_type = optional_text(reader)?,
            "AttributeTypeName" => attribute.type_name = inner(reader)?.unwrap_or_default(),
            "AttributeOf" => {
                attribute.attribute_of = optional_text(reader)?.filter(|of| !of.is_empty());
            }
            "IsPrimaryId" => attribute.is_primary_id = truth(reader)?,
            "IsValidForRead" => attribute.readable = truth(reader)?,
            "IsValidForCreate" => attribute.creatable = truth(reader)?,
            "IsValidForUpdate" => attribute.updatable = truth(reader)?,
            "RequiredLevel" => attribute.required_level = inner(reader)?.unwrap_or_default(),
            "SourceType" => attribute.computed = number(reader)?.is_some_and(|kind| kind != 0),
            "DateTimeBehavior" => attribute.behavior = inner(reader)?,
            "MaxLength" => attribute.length = parsed(reader)?,
            "Precision" => attribute.decimals = parsed(reader)?,
            "MaxValue" => attribute.largest = parsed(reader)?,
            "DisplayName" => label = self::label(reader, language)?,
            "Targets" => {
                while reader.child_named(ARRAYS, "string")? {
                    attribute.targets.push(reader.text()?.into_owned());
                }
            }
            "DefaultFormValue" | "DefaultValue" => attribute.chosen = optional_text(reader)?,
            "OptionSet" if !is_nil(reader)? => options(reader, language, &mut attribute)?,
            _ => reader.skip()?,
        }
    }
    if attribute.name.is_empty() {
        return Err(reader.refuse("an attribute has no name"));
    }
    if attribute.type_name.is_empty() {
        // Versions without the better word have its first part (3.3).
        attribute.type_name = format!("{}Type", old_type.unwrap_or_default());
    }
    attribute.label = label.unwrap_or_else(|| attribute.name.clone());
    Ok(attribute)
}

/// Reads the option set just opened into its attribute.
fn options(
    reader: &mut Reader<'_>,
    language: Option<u32>,
    attribute: &mut Attribute,
) -> Result<()> {
    let (mut name, mut is_global) = (None, false);
    // Records hold truth values, not the numbers of their options.
    let (mut no, mut yes) = (None, None);
    while reader.child()? {
        let (METADATA, local) = reader.name() else {
            reader.skip()?;
            continue;
        };
        match local {
            "Name" => name = optional_text(reader)?,
            "IsGlobal" => is_global = truth(reader)?,
            "Options" => {
                while reader.child_named(METADATA, "OptionMetadata")? {
                    attribute.options.extend(option(reader, language)?);
                }
            }
            "FalseOption" => no = option(reader, language)?,
            "TrueOption" => yes = option(reader, language)?,
            _ => reader.skip()?,
        }
    }
    for (value, told) in [("false", no), ("true", yes)] {
        attribute.options.extend(told.map(|told| ChoiceOption {
            value: value.into(),
            ..told
        }));
    }
    attribute.global_set = name.filter(|name| is_global && !name.is_empty());
    Ok(())
}

fn option(reader: &mut Reader<'_>, language: Option<u32>) -> Result<Option<ChoiceOption>> {
    let (mut value, mut label, mut state) = (None, None, None);
    while reader.child()? {
        match reader.name() {
            (METADATA, "Value") => value = optional_text(reader)?,
            (METADATA, "Label") => label = self::label(reader, language)?,
            (METADATA, "State") => state = optional_text(reader)?,
            _ => reader.skip()?,
        }
    }
    Ok(value.map(|value| ChoiceOption {
        label: label.unwrap_or_else(|| value.clone()),
        value,
        state,
    }))
}

/// The label just opened: in the language wanted, else in the user's, else the first (section 4).
fn label(reader: &mut Reader<'_>, language: Option<u32>) -> Result<Option<String>> {
    let (mut wanted, mut users, mut first) = (None, None, None);
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "LocalizedLabels") => {
                while reader.child_named(CONTRACTS, "LocalizedLabel")? {
                    let (text, code) = localized(reader)?;
                    if language.is_some() && code == language && wanted.is_none() {
                        wanted = text;
                    } else if first.is_none() {
                        first = text;
                    }
                }
            }
            (CONTRACTS, "UserLocalizedLabel") => users = localized(reader)?.0,
            _ => reader.skip()?,
        }
    }
    Ok(wanted.or(users).or(first))
}

fn localized(reader: &mut Reader<'_>) -> Result<(Option<String>, Option<u32>)> {
    let (mut text, mut code) = (None, None);
    while reader.child()? {
        match reader.name() {
            (CONTRACTS, "Label") => text = optional_text(reader)?,
            (CONTRACTS, "LanguageCode") => code = parsed(reader)?,
            _ => reader.skip()?,
        }
    }
    Ok((text, code))
}

/// The attributes of the alternate key just opened.
fn key(reader: &mut Reader<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while reader.child()? {
        if reader.name().1 != "KeyAttributes" {
            reader.skip()?;
            continue;
        }
        while reader.child_named(ARRAYS, "string")? {
            names.push(reader.text()?.into_owned());
        }
    }
    Ok(names)
}

/// A value in an element of its own, whose namespace depends on whose it is.
fn inner(reader: &mut Reader<'_>) -> Result<Option<String>> {
    let mut found = None;
    while reader.child()? {
        if reader.name().1 == "Value" {
            found = optional_text(reader)?;
        } else {
            reader.skip()?;
        }
    }
    Ok(found)
}

fn truth(reader: &mut Reader<'_>) -> Result<bool> {
    Ok(matches!(&*reader.text()?, "true" | "1"))
}

fn number(reader: &mut Reader<'_>) -> Result<Option<i64>> {
    parsed(reader)
}

fn parsed<T: std::str::FromStr>(reader: &mut Reader<'_>) -> Result<Option<T>> {
    Ok(reader.text()?.trim().parse().ok())
}

/// The bodies that this file makes, for a validator.
#[cfg(test)]
pub(crate) fn bodies() -> Result<Vec<(&'static str, String)>> {
    let mut one = execute("b:RetrieveEntityRequest");
    entity_parameters(&mut one, "account");
    Ok(vec![
        ("retrieve_all_entities", ask_for_all()?),
        ("retrieve_entity", executed(one, "RetrieveEntity")?),
    ])
}

#[cfg(test)]
mod tests;
