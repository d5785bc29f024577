//! Tables, columns, option sets, keys and references as the service describes them, with all they have;
//! who asks picks. Sections 3 and 4 of the protocol page.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::dynamics::model::{Attribute, Behavior, Entity, Kind, Schema};
use crate::dynamics::store::Table;

const LANGUAGE: u32 = 1_033;
/// Second language of the organisation; only the custom table is translated.
const GERMAN: u32 = 1_031;

/// The identifier of a described thing: of its name, so that it stays the same.
pub fn meta_id(name: &str) -> Uuid {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    Uuid::from_bytes(bytes)
}

/// The identifier of a table's description.
pub fn entity_id(entity: &Entity) -> String {
    entity
        .meta
        .clone()
        .unwrap_or_else(|| meta_id(&entity.name).to_string())
}

/// A text in the languages of the organisation.
pub fn label(text: &str, translated: bool) -> Value {
    if text.is_empty() {
        return json!({"LocalizedLabels": [], "UserLocalizedLabel": null});
    }
    let one = |text: &str, language: u32| {
        json!({
            "Label": text, "LanguageCode": language, "IsManaged": true,
            "MetadataId": meta_id(&format!("{language}/{text}")), "HasChanged": null,
        })
    };
    let mut all = vec![one(text, LANGUAGE)];
    if translated {
        all.push(one(&format!("{text} (de)"), GERMAN));
    }
    json!({"LocalizedLabels": all, "UserLocalizedLabel": one(text, LANGUAGE)})
}

fn managed(value: Value, name: &str) -> Value {
    json!({"Value": value, "CanBeChanged": true, "ManagedPropertyLogicalName": name})
}

fn schema_name(entity: &Entity) -> String {
    match entity.custom {
        true => entity.name.clone(),
        false => {
            let mut letters = entity.name.chars();
            letters
                .next()
                .map(|first| first.to_uppercase().chain(letters).collect())
                .unwrap_or_default()
        }
    }
}

/// A table's own description, without its parts.
pub fn describe(table: &Table) -> Map<String, Value> {
    let entity = table.entity;
    let owner = entity.owner.as_deref().unwrap_or("UserOwned");
    let value = json!({
        "MetadataId": entity_id(entity),
        "LogicalName": entity.name,
        "SchemaName": schema_name(entity),
        "EntitySetName": entity.set,
        "LogicalCollectionName": entity.set,
        "PrimaryIdAttribute": entity.key,
        "PrimaryNameAttribute": entity.title,
        "ObjectTypeCode": entity.code,
        "IsCustomEntity": entity.custom,
        "IsIntersect": entity.intersect,
        "IsActivity": entity.activity,
        "IsPrivate": false,
        "IsLogicalEntity": false,
        "IsManaged": !entity.custom,
        "TableType": "Standard",
        "DataProviderId": null,
        "IsValidForAdvancedFind": entity.name != "audit",
        "ChangeTrackingEnabled": table.tracked,
        "IsAuditEnabled": managed(table.audited.into(), "canmodifyauditsettings"),
        "CanChangeTrackingBeEnabled": managed(true.into(), "canchangetrackingbeenabled"),
        "IsOptimisticConcurrencyEnabled": !matches!(entity.name.as_str(), "audit" | "organization"),
        "IsKnowledgeManagementEnabled": false,
        "OwnershipType": owner,
        "DisplayName": label(&entity.label, entity.custom),
        "DisplayCollectionName": label(&entity.plural, entity.custom),
        "Description": label("", false),
        "HasChanged": null,
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A column's description, with what its type adds.
pub fn attribute(entity: &Entity, at: usize, cast: bool) -> Map<String, Value> {
    let column = &entity.attributes[at];
    let required = column.required.as_deref().unwrap_or("None");
    let valid = column.of.is_none() || column.kind != Kind::Virtual;
    let schema_name = column
        .schema_name
        .clone()
        .unwrap_or_else(|| column.name.clone());
    let value = json!({
        "@odata.type": format!("#{}", column.kind.metadata_type()),
        "MetadataId": meta_id(&format!("{}.{}", entity.name, column.name)),
        "LogicalName": column.name,
        "SchemaName": schema_name,
        "EntityLogicalName": entity.name,
        "AttributeType": column.kind.legacy_name(),
        "AttributeTypeName": {"Value": column.kind.type_name()},
        "AttributeOf": column.of,
        "ColumnNumber": at + 1,
        "IsPrimaryId": column.is_id,
        "IsPrimaryName": column.is_title,
        "IsValidForRead": valid && column.is_property(),
        "IsValidForCreate": !column.read_only,
        "IsValidForUpdate": !column.read_only && !column.is_id && column.name != "overriddencreatedon",
        "IsValidODataAttribute": column.is_property(),
        "IsLogical": column.of.is_some(),
        "IsCustomAttribute": column.name.starts_with("new_"),
        "IsManaged": !column.name.starts_with("new_"),
        "IsValidForAdvancedFind": managed(true.into(), "canmodifysearchsettings"),
        "IsAuditEnabled": managed(true.into(), "canmodifyauditsettings"),
        "RequiredLevel": managed(required.into(), "canmodifyrequirementlevelsettings"),
        "DisplayName": label(&column.label, entity.custom),
        "Description": label(&column.description, false),
        "SourceType": null,
        "HasChanged": null,
    });
    let mut map = match value {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if cast {
        map.shift_remove("@odata.type");
    }
    typed(&mut map, column);
    map
}

/// What the type of a column adds.
fn typed(map: &mut Map<String, Value>, column: &Attribute) {
    let mut put = |name: &str, value: Value| {
        map.insert(name.to_owned(), value);
    };
    match column.kind {
        Kind::String | Kind::EntityName => {
            let format = column.format.as_deref().unwrap_or("Text");
            put("MaxLength", json!(column.length.unwrap_or(100)));
            put("Format", json!(format));
            put("FormatName", json!({"Value": format}));
        }
        Kind::Memo => {
            put("MaxLength", json!(column.length.unwrap_or(2_000)));
            put("Format", json!("TextArea"));
        }
        Kind::Integer => {
            put("MinValue", json!(column.min.unwrap_or(i32::MIN.into())));
            put("MaxValue", json!(column.max.unwrap_or(i32::MAX.into())));
            put("Format", json!("None"));
        }
        Kind::BigInt => {
            put("MinValue", json!(i64::MIN));
            put("MaxValue", json!(i64::MAX));
        }
        Kind::Decimal | Kind::Double => {
            put("Precision", json!(column.scale()));
            put("MinValue", json!(-100_000_000_000_i64));
            put("MaxValue", json!(100_000_000_000_i64));
        }
        Kind::Money => {
            put("Precision", json!(column.scale()));
            put("PrecisionSource", json!(2));
            put("IsBaseCurrency", json!(column.base.is_some()));
            put("CalculationOf", json!(column.base));
            put("MinValue", json!(-922_337_203_685_477_i64));
            put("MaxValue", json!(922_337_203_685_477_i64));
        }
        Kind::DateTime => {
            let format = column
                .date_format
                .as_deref()
                .unwrap_or(match column.behavior {
                    Behavior::DateOnly => "DateOnly",
                    _ => "DateAndTime",
                });
            put("Format", json!(format));
            put(
                "DateTimeBehavior",
                json!({"Value": format!("{:?}", column.behavior)}),
            );
        }
        Kind::Boolean => put("DefaultValue", json!(column.chosen == Some(1))),
        // Recorded descriptions say in both ways that there is none.
        Kind::State | Kind::Status => put("DefaultFormValue", json!(column.chosen)),
        Kind::Picklist | Kind::MultiSelectPicklist => {
            put("DefaultFormValue", json!(column.chosen.unwrap_or(-1)));
        }
        Kind::Lookup | Kind::Customer | Kind::Owner | Kind::PartyList => {
            put("Targets", json!(column.targets));
        }
        _ => {}
    }
}

/// The option set of a column, as `OptionSet` or `GlobalOptionSet`.
pub fn option_set(entity: &Entity, column: &Attribute) -> Value {
    let translated = entity.custom;
    let option = |value: i32, text: &str| {
        json!({
            "Value": value, "Label": label(text, translated), "Description": label("", false),
            "Color": null, "IsManaged": !entity.custom, "ExternalValue": "",
            "MetadataId": null, "HasChanged": null,
        })
    };
    let name = column
        .global
        .clone()
        .unwrap_or_else(|| format!("{}_{}", entity.name, column.name));
    let kind = match column.kind {
        Kind::MultiSelectPicklist => "Picklist".to_owned(),
        other => format!("{other:?}"),
    };
    let mut set = json!({
        "MetadataId": meta_id(&name), "HasChanged": null, "Name": name,
        "IsGlobal": column.global.is_some(), "IsCustomOptionSet": entity.custom,
        "IsManaged": !entity.custom, "OptionSetType": kind,
        "DisplayName": label(&column.label, translated),
        "Description": label(&column.description, false),
    });
    let choice = |value: i32| column.choices.iter().find(|choice| choice.value == value);
    if column.kind == Kind::Boolean {
        let named = |value: i32, usual: &str| {
            option(
                value,
                choice(value).map_or(usual, |choice| choice.label.as_str()),
            )
        };
        set["TrueOption"] = named(1, "Yes");
        set["FalseOption"] = named(0, "No");
        return set;
    }
    let options: Vec<Value> = column
        .choices
        .iter()
        .map(|choice| {
            let mut out = option(choice.value, &choice.label);
            match column.kind {
                Kind::Status => out["State"] = json!(choice.state),
                Kind::State => {
                    out["DefaultStatus"] = json!(choice.state);
                    out["InvariantName"] = json!(choice.label);
                }
                _ => {}
            }
            out
        })
        .collect();
    set["Options"] = json!(options);
    set
}

/// Whether a column has an option set.
pub fn has_options(kind: Kind) -> bool {
    kind.is_choice() || matches!(kind, Kind::MultiSelectPicklist | Kind::Boolean)
}

/// The alternate keys of a table.
pub fn keys(entity: &Entity) -> Vec<Value> {
    entity
        .keys
        .iter()
        .map(|key| {
            json!({
                "MetadataId": meta_id(&format!("{}.{}", entity.name, key.name)),
                "LogicalName": key.name, "SchemaName": key.name,
                "EntityLogicalName": entity.name, "KeyAttributes": key.columns,
                "EntityKeyIndexStatus": "Active", "DisplayName": label(&key.name, false),
            })
        })
        .collect()
}

/// The references of a table to others.
pub fn relationships(schema: &Schema, entity: &Entity) -> Vec<Value> {
    let mut out = Vec::new();
    for column in entity.attributes.iter().filter(|c| c.kind.is_reference()) {
        for (target, navigation) in column.targets.iter().zip(&column.navigation) {
            let key = schema
                .entities
                .iter()
                .find(|other| other.name == *target)
                .map_or("ownerid", |other| other.key.as_str());
            let name = format!("{}_{target}_{}", entity.name, column.name);
            out.push(json!({
                "MetadataId": meta_id(&name), "SchemaName": name,
                "ReferencingEntity": entity.name, "ReferencingAttribute": column.name,
                "ReferencedEntity": target, "ReferencedAttribute": key,
                "ReferencingEntityNavigationPropertyName": navigation,
                "ReferencedEntityNavigationPropertyName": name,
                "RelationshipType": "OneToManyRelationship", "IsCustomRelationship": entity.custom,
            }));
        }
    }
    out
}
