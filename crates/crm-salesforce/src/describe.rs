//! Remote metadata into objects and fields (Salesforce page, section 3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crm_core::json;
use crm_core::{
    ColumnType, EnumerationValue, ObjectSummary, RecordVariant, RemoteField, RemoteObject, Result,
};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Fields that say when a record was last changed, the first present one first (I-1).
pub(crate) const MODIFICATION_FIELDS: &[&str] = &["LastModifiedDate", "SystemModstamp"];

/// Descriptions are large: a session that has read so many begins anew.
const MOST_HELD: usize = 100;
/// The record type of records that have none, without the suffix (3.5).
const MASTER_RECORD_TYPE: &str = "012000000000000";

/// An object described, and when the vendor last changed it.
#[derive(Clone)]
pub(crate) struct Described {
    pub object: RemoteObject,
    /// The vendor's own stamp, sent back as it came (3.4).
    pub modified: String,
}

/// Objects described in this session.
#[derive(Default)]
pub(crate) struct DescribeCache(Mutex<HashMap<String, Described>>);

impl DescribeCache {
    pub(crate) fn get(&self, object: &str) -> Option<Described> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&object.to_ascii_lowercase()).cloned()
    }

    pub(crate) fn put(&self, object: &str, described: Described) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= MOST_HELD {
            held.clear();
        }
        held.insert(object.to_ascii_lowercase(), described);
    }
}

/// The list of all objects.
#[derive(Deserialize)]
pub(crate) struct GlobalDescribe {
    sobjects: Vec<ObjectHead>,
}

impl GlobalDescribe {
    pub(crate) fn into_objects(self) -> Vec<ObjectSummary> {
        self.sobjects
            .into_iter()
            .filter(|object| !object.deprecated_and_hidden)
            .map(ObjectHead::into_summary)
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectHead {
    name: String,
    #[serde(default)]
    label: String,
    #[serde(default)]
    custom: bool,
    #[serde(default)]
    queryable: bool,
    #[serde(default)]
    createable: bool,
    #[serde(default)]
    updateable: bool,
    #[serde(default)]
    deletable: bool,
    #[serde(default)]
    replicateable: bool,
    #[serde(default)]
    deprecated_and_hidden: bool,
}

impl ObjectHead {
    fn into_summary(self) -> ObjectSummary {
        ObjectSummary {
            name: self.name,
            collection: None,
            label: self.label,
            custom: self.custom,
            selectable: self.queryable,
            insertable: self.createable,
            updatable: self.updateable,
            deletable: self.deletable,
            changes_tracked: self.replicateable,
            deletions_tracked: self.replicateable,
        }
    }
}

#[derive(Deserialize)]
struct ObjectDescribe {
    #[serde(flatten)]
    head: ObjectHead,
    fields: Vec<FieldDescribe>,
    #[serde(default, rename = "recordTypeInfos")]
    record_types: Vec<RecordTypeInfo>,
}

/// Old versions tell the identifier and the label alone.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordTypeInfo {
    record_type_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    developer_name: Option<String>,
    #[serde(default = "is_true")]
    active: bool,
    #[serde(default)]
    master: bool,
}

fn is_true() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FieldDescribe {
    name: String,
    #[serde(default)]
    label: String,
    #[serde(rename = "type")]
    remote_type: String,
    #[serde(default)]
    length: u32,
    #[serde(default)]
    precision: u32,
    #[serde(default)]
    scale: u32,
    #[serde(default)]
    digits: u32,
    #[serde(default)]
    nillable: bool,
    #[serde(default)]
    createable: bool,
    #[serde(default)]
    updateable: bool,
    #[serde(default)]
    defaulted_on_create: bool,
    #[serde(default)]
    filterable: bool,
    #[serde(default)]
    sortable: bool,
    #[serde(default)]
    case_sensitive: bool,
    #[serde(default)]
    external_id: bool,
    #[serde(default)]
    id_lookup: bool,
    #[serde(default)]
    reference_to: Option<Vec<String>>,
    #[serde(default)]
    picklist_values: Option<Vec<PicklistValue>>,
    #[serde(default)]
    restricted_picklist: bool,
    #[serde(default)]
    calculated: bool,
    #[serde(default)]
    controller_name: Option<String>,
    #[serde(default)]
    deprecated_and_hidden: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PicklistValue {
    #[serde(default)]
    value: String,
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    default_value: bool,
    #[serde(default)]
    valid_for: Option<String>,
}

/// Reads the description of one object.
///
/// # Errors
/// When it is not one.
pub(crate) fn object(body: &[u8]) -> Result<RemoteObject> {
    let described: ObjectDescribe = json::parse(body, "the description of an object")?;
    let object_name = described.head.name.clone();
    let has = |name: &str| {
        described
            .fields
            .iter()
            .any(|field| field.name == name && field.remote_type == "datetime")
    };
    // I-1: the first of these that is present.
    let stamp = MODIFICATION_FIELDS.iter().copied().find(|name| has(name));
    // The field is there exactly where the organisation has several currencies.
    let has_currencies = described
        .fields
        .iter()
        .any(|field| field.name == "CurrencyIsoCode");
    let variants = described
        .record_types
        .iter()
        // The master stands for records without a type and has every value.
        .filter(|kind| !kind.master && !kind.record_type_id.starts_with(MASTER_RECORD_TYPE))
        .map(|kind| RecordVariant {
            id: kind.record_type_id.clone(),
            name: kind
                .developer_name
                .clone()
                .unwrap_or_else(|| kind.name.clone()),
            label: kind.name.clone(),
            active: kind.active,
        })
        .collect();
    let controllers: Vec<(String, Vec<String>)> = described
        .fields
        .iter()
        .filter(|field| described.controls(&field.name))
        .map(|field| (field.name.clone(), controlling_values(field)))
        .collect();
    let fields = described
        .fields
        .into_iter()
        .filter(|field| !field.deprecated_and_hidden)
        .map(|field| {
            let controller = field.controller_name.as_deref().and_then(|name| {
                let known = controllers
                    .iter()
                    .find(|(controller, _)| controller == name);
                known.map(|(_, values)| values.as_slice())
            });
            let values = enumeration_values(&field, controller);
            let mut remote = remote_field(&object_name, field, stamp);
            remote.values = values;
            // Amounts are sorted as converted there, and returned as they are.
            remote.sortable &= !(has_currencies && remote.remote_type == "currency");
            remote
        })
        .collect();
    Ok(RemoteObject {
        summary: described.head.into_summary(),
        fields,
        variants,
    })
}

fn remote_field(object: &str, field: FieldDescribe, stamp: Option<&str>) -> RemoteField {
    let remote_type = field.remote_type.to_ascii_lowercase();
    let is_enumeration = matches!(
        remote_type.as_str(),
        "picklist" | "multipicklist" | "combobox"
    );
    let precision = match field.precision {
        0 if field.digits > 0 => Some((field.digits, 0)),
        0 => None,
        digits => Some((digits, field.scale)),
    };
    RemoteField {
        label: field.label,
        column_type: column_type(&remote_type),
        length: (field.length > 0).then_some(field.length),
        precision,
        nullable: field.nillable,
        creatable: field.createable,
        updatable: field.updateable,
        required: field.createable && !field.nillable && !field.defaulted_on_create,
        filterable: field.filterable,
        sortable: field.sortable,
        case_sensitive: field.case_sensitive,
        external_key: field.external_id || field.id_lookup,
        identifier: remote_type == "id" && field.name == "Id",
        modification_stamp: stamp == Some(field.name.as_str()),
        computed: field.calculated,
        restricted: is_enumeration && field.restricted_picklist,
        enumeration: is_enumeration.then(|| format!("{object}.{}", field.name)),
        values: Vec::new(),
        references: field.reference_to.unwrap_or_default(),
        name: field.name,
        remote_type: field.remote_type,
    }
}

impl ObjectDescribe {
    /// Another field's values depend on this one.
    fn controls(&self, name: &str) -> bool {
        let controlled = |field: &FieldDescribe| field.controller_name.as_deref() == Some(name);
        self.fields.iter().any(controlled)
    }
}

/// The values of a controlling field, in the order that the bits of its dependents count (3.5).
fn controlling_values(field: &FieldDescribe) -> Vec<String> {
    if field.remote_type.eq_ignore_ascii_case("boolean") {
        return vec!["false".into(), "true".into()];
    }
    let values = field.picklist_values.iter().flatten();
    values.map(|value| value.value.clone()).collect()
}

fn enumeration_values(
    field: &FieldDescribe,
    controller: Option<&[String]>,
) -> Vec<EnumerationValue> {
    field
        .picklist_values
        .iter()
        .flatten()
        .map(|value| EnumerationValue {
            value: value.value.clone(),
            label: value.label.clone().unwrap_or_else(|| value.value.clone()),
            active: value.active,
            is_default: value.default_value,
            controlling: controller.map(|controller| {
                let bits = value.valid_for.as_deref().map(bits_of).unwrap_or_default();
                let is_set = |at: usize| {
                    bits.get(at >> 3)
                        .is_some_and(|byte| byte & (0x80 >> (at % 8)) != 0)
                };
                let valid = controller.iter().enumerate().filter(|(at, _)| is_set(*at));
                valid.map(|(_, value)| value.clone()).collect()
            }),
            variants: None,
        })
        .collect()
}

/// The bytes of `validFor`, whose trailing zeros may have been cut off (3.5).
fn bits_of(text: &str) -> Vec<u8> {
    let padded = text.trim_end_matches('=');
    let missing = padded.len().next_multiple_of(4) - padded.len();
    let padded = format!("{padded}{}", "A".repeat(missing));
    STANDARD.decode(padded).unwrap_or_default()
}

/// The decoded form of a field type; nothing for a type that the vendor has added since (3.3).
pub(crate) fn column_type(remote_type: &str) -> Option<ColumnType> {
    Some(match remote_type {
        "boolean" => ColumnType::Bool,
        "int" => ColumnType::Int32,
        "long" => ColumnType::Int64,
        "double" | "currency" | "percent" => ColumnType::Numeric,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::Instant,
        "time" => ColumnType::Time,
        "multipicklist" => ColumnType::TextArray,
        "address" | "location" | "complexvalue" => ColumnType::Json,
        "id"
        | "reference"
        | "string"
        | "textarea"
        | "phone"
        | "email"
        | "url"
        | "picklist"
        | "combobox"
        | "base64"
        | "anytype"
        | "encryptedstring"
        | "datacategorygroupreference"
        | "masterrecord"
        | "json"
        | "byte"
        | "calculated"
        | "textarray"
        | "floatarray" => ColumnType::Text,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(remote_type: &str) -> RemoteField {
        let body = format!(
            r#"{{"name":"Thing__c","custom":true,"queryable":true,"fields":[
            {{"name":"Id","type":"id","length":18,"filterable":true}},
            {{"name":"X__c","type":"{remote_type}","precision":18,"scale":2,"createable":true,"referenceTo":null}}]}}"#
        );
        object(body.as_bytes()).unwrap().fields.remove(1)
    }

    #[test]
    fn types_follow_the_table_and_new_ones_are_noticed() {
        for (remote_type, expected) in [
            ("currency", Some(ColumnType::Numeric)),
            ("datetime", Some(ColumnType::Instant)),
            ("multipicklist", Some(ColumnType::TextArray)),
            ("location", Some(ColumnType::Json)),
            ("anyType", Some(ColumnType::Text)),
            ("hologram", None),
        ] {
            assert_eq!(field(remote_type).column_type, expected, "{remote_type}");
        }
    }

    #[test]
    fn what_must_be_given_and_what_it_is() {
        let field = field("currency");
        assert!(field.required && !field.identifier);
        assert_eq!(field.precision, Some((18, 2)));
        assert_eq!(field.enumeration, None);
    }

    #[test]
    fn amounts_in_several_currencies_have_no_common_order() {
        let amounts = |more: &str| {
            let body = format!(
                r#"{{"name":"X","fields":[{{"name":"Amount","type":"currency","sortable":true}}{more}]}}"#
            );
            object(body.as_bytes()).unwrap().fields[0].sortable
        };
        assert!(amounts(""));
        assert!(!amounts(r#",{"name":"CurrencyIsoCode","type":"picklist"}"#));
    }

    #[test]
    fn hidden_fields_are_left_out_and_old_forms_are_read() {
        let body = br#"{"name":"X","fields":[{"name":"Gone","type":"string","deprecatedAndHidden":true}]}"#;
        assert!(object(body).unwrap().fields.is_empty());
        let old = include_bytes!("../tests/fixtures/sobject_describe_success_response.json");
        assert!(!object(old).unwrap().fields.is_empty());
        let account = object(include_bytes!("../tests/fixtures/describe_Account.json")).unwrap();
        assert_eq!(account.fields.len(), 68);
        assert!(
            account
                .fields
                .iter()
                .all(|field| field.column_type.is_some())
        );
        let listed = include_bytes!("../tests/fixtures/describe_global.json");
        let listed: GlobalDescribe = json::parse(listed, "").unwrap();
        let objects = listed.into_objects();
        let account = objects
            .iter()
            .find(|object| object.name == "Account")
            .unwrap();
        assert!(account.selectable && account.insertable && account.deletions_tracked);
    }

    #[test]
    fn dependent_values_know_what_controls_them() {
        // gAAA: the first bit; QA, cut short: the second; wA: both.
        let body = br#"{"name":"X__c","fields":[
            {"name":"Country__c","type":"picklist","picklistValues":[
                {"value":"FR","label":"France","active":true,"defaultValue":true},
                {"value":"ES","label":null,"active":false,"defaultValue":false}]},
            {"name":"City__c","type":"picklist","controllerName":"Country__c","picklistValues":[
                {"value":"Paris","active":true,"validFor":"gAAA"},
                {"value":"Madrid","active":true,"validFor":"QA"},
                {"value":"Both","active":true,"validFor":"wA=="},
                {"value":"Nowhere","active":true}]}]}"#;
        let fields = object(body).unwrap().fields;
        let controlling: Vec<_> = fields[1]
            .values
            .iter()
            .map(|value| value.controlling.clone().unwrap().join("+"))
            .collect();
        assert_eq!(controlling, ["FR", "ES", "FR+ES", ""]);
        let country = &fields[0].values;
        assert_eq!(
            (country[0].label.as_str(), country[1].label.as_str()),
            ("France", "ES")
        );
        assert!(country[0].is_default && !country[1].active && country[0].controlling.is_none());
    }

    #[test]
    fn record_types_are_the_objects_variants() {
        let body = br#"{"name":"X__c","fields":[],"recordTypeInfos":[
            {"recordTypeId":"012000000000000AAA","name":"Master","master":true,"active":true},
            {"recordTypeId":"0125x0000000001AAA","name":"Partner","developerName":"Partner_X","active":false,"master":false},
            {"recordTypeId":"0125x0000000002AAA","name":"Old"}]}"#;
        let variants = object(body).unwrap().variants;
        let told: Vec<_> = variants
            .iter()
            .map(|kind| (kind.name.as_str(), kind.label.as_str(), kind.active))
            .collect();
        assert_eq!(
            told,
            [("Partner_X", "Partner", false), ("Old", "Old", true)]
        );
    }

    #[test]
    fn recorded_descriptions_are_read() {
        let body = include_bytes!("../tests/fixtures/describe_opportunity.json");
        let opportunity = object(body).unwrap();
        assert_eq!(opportunity.summary.name, "Opportunity");
        assert_eq!(opportunity.fields.len(), 40);
        let of = |name: &str| opportunity.fields.iter().find(|f| f.name == name).unwrap();
        assert!(of("Id").identifier);
        assert!(of("LastModifiedDate").modification_stamp);
        assert!(!of("SystemModstamp").modification_stamp);
        assert_eq!(of("Amount").column_type, Some(ColumnType::Numeric));
        assert_eq!(of("AccountId").references, ["Account"]);
        assert_eq!(
            of("StageName").enumeration.as_deref(),
            Some("Opportunity.StageName")
        );
    }
}
