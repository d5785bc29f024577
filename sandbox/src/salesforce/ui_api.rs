//! UI API: record types of an object and the picklist values each of them allows.
//! Section 3.5 of the protocol page.

use serde_json::{Map, Value, json};

use super::custom_object;
use super::describe::{MASTER_RECORD_TYPE, bits};
use super::errors::{ApiError, Reply};
use super::id;
use super::store::{SObject, Store};
use crate::generate::mix;

/// Objects the UI API knows, beside custom ones: fewer than describe does.
const SUPPORTED: &[&str] = &[
    "Account",
    "Campaign",
    "Case",
    "Contact",
    "Lead",
    "Opportunity",
    "User",
];
/// First version with the values of all fields in one answer; one field is a version older.
const ALL_FIELDS_SINCE: u32 = 42;
const SINCE: u32 = 41;

/// Answers below `{V}/ui-api/object-info`; `path` holds the segments behind that.
///
/// # Errors
/// 404 for an unknown path, version or field; 400 for an object the UI API does not know and for a
/// record type the object does not have.
pub fn answer(store: &Store, version: &str, path: &[&str]) -> Result<Reply, ApiError> {
    let major: u32 = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or_default();
    let Some((name, rest)) = path.split_first().filter(|_| major >= SINCE) else {
        return Err(ApiError::not_found());
    };
    let object = store
        .by_name(name)
        .filter(|object| object.name.ends_with("__c") || SUPPORTED.contains(&object.name.as_str()))
        .ok_or_else(|| {
            ApiError::bad(
                "INVALID_TYPE",
                format!("Object {name} is not supported in UI API"),
            )
        })?;
    let info = Info::of(object, version);
    match rest {
        [] => Ok(Reply::ok(&info.object_info())),
        ["picklist-values", record_type] if major >= ALL_FIELDS_SINCE => {
            info.all_values(record_type)
        }
        ["picklist-values", record_type, field] => info.one_field(record_type, field),
        _ => Err(ApiError::not_found()),
    }
}

/// An object as described, for one API version.
struct Info {
    name: String,
    describe: Value,
    version: String,
}

impl Info {
    fn of(object: &SObject, version: &str) -> Self {
        Self {
            name: object.name.clone(),
            describe: serde_json::from_str(&object.describe).unwrap_or_default(),
            version: version.to_owned(),
        }
    }

    fn fields(&self) -> impl Iterator<Item = &Value> {
        self.describe["fields"].as_array().into_iter().flatten()
    }

    fn field(&self, name: &str) -> Option<&Value> {
        self.fields().find(|field| field["name"] == name)
    }

    fn record_types(&self) -> impl Iterator<Item = &Value> {
        self.describe["recordTypeInfos"]
            .as_array()
            .into_iter()
            .flatten()
    }

    fn object_info(&self) -> Value {
        let default = self
            .record_types()
            .find(|info| info["defaultRecordTypeMapping"] == true)
            .map_or_else(
                || MASTER_RECORD_TYPE.into(),
                |info| info["recordTypeId"].clone(),
            );
        let infos: Map<String, Value> = self
            .record_types()
            .filter_map(|info| {
                let id = info["recordTypeId"].as_str()?.to_owned();
                let mut entry = Map::new();
                for member in [
                    "available",
                    "defaultRecordTypeMapping",
                    "master",
                    "name",
                    "recordTypeId",
                ] {
                    entry.insert(member.to_owned(), info[member].clone());
                }
                Some((id, Value::Object(entry)))
            })
            .collect();
        let fields: Map<String, Value> = self
            .fields()
            .filter_map(|field| {
                let name = field["name"].as_str()?.to_owned();
                let controlling: Vec<&Value> = [&field["controllerName"]]
                    .into_iter()
                    .filter(|name| name.is_string())
                    .collect();
                let entry = json!({
                    "apiName": name, "controllerName": field["controllerName"],
                    "controllingFields": controlling, "createable": field["createable"],
                    "dataType": data_type(&field["type"]), "label": field["label"],
                    "length": field["length"], "required": field["nillable"] == false,
                    "updateable": field["updateable"],
                });
                Some((name, entry))
            })
            .collect();
        let attribute = |name: &str| &self.describe[name];
        self.tagged(json!({
            "apiName": self.name, "createable": attribute("createable"),
            "custom": attribute("custom"), "defaultRecordTypeId": default,
            "deletable": attribute("deletable"), "fields": fields,
            "keyPrefix": attribute("keyPrefix"), "label": attribute("label"),
            "labelPlural": attribute("labelPlural"), "queryable": attribute("queryable"),
            "recordTypeInfos": infos, "updateable": attribute("updateable"),
        }))
    }

    /// Adds the tag that changes with the content.
    fn tagged(&self, mut value: Value) -> Value {
        let text = value.to_string();
        let sum = text.bytes().fold(0, |sum, byte| mix(sum ^ u64::from(byte)));
        value["eTag"] = format!("{sum:016x}").into();
        value
    }

    fn record_type(&self, text: &str) -> Result<String, ApiError> {
        let wanted = id::normalise(text);
        self.record_types()
            .filter_map(|info| info["recordTypeId"].as_str())
            .find(|known| wanted.as_deref() == Some(*known))
            .map(str::to_owned)
            .ok_or_else(|| {
                ApiError::bad(
                    "INVALID_RECORD_TYPE_ID",
                    format!("The record type {text} does not belong to {}", self.name),
                )
            })
    }

    fn all_values(&self, record_type: &str) -> Result<Reply, ApiError> {
        let record_type = self.record_type(record_type)?;
        let values: Map<String, Value> = self
            .fields()
            .filter(|field| is_picklist(field))
            .filter_map(|field| {
                let name = field["name"].as_str()?.to_owned();
                Some((name, self.values(&record_type, field)))
            })
            .collect();
        Ok(Reply::ok(
            &self.tagged(json!({"picklistFieldValues": values})),
        ))
    }

    fn one_field(&self, record_type: &str, name: &str) -> Result<Reply, ApiError> {
        let record_type = self.record_type(record_type)?;
        let field = self
            .field(name)
            .filter(|field| is_picklist(field))
            .ok_or_else(ApiError::not_found)?;
        Ok(Reply::ok(&self.values(&record_type, field)))
    }

    /// The active values of a field that the record type allows, in the order of the definition, each
    /// with its place there.
    fn active<'v>(&self, record_type: &str, field: &'v Value) -> Vec<(usize, &'v Value)> {
        let name = field["name"].as_str().unwrap_or_default();
        let allowed = match self.name.as_str() {
            "Custom__c" => custom_object::allowed(record_type, name),
            _ => None,
        };
        let fits = |value: &Value| {
            value["active"] == true
                && allowed
                    .is_none_or(|list| value["value"].as_str().is_some_and(|v| list.contains(&v)))
        };
        field["picklistValues"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
            .filter(|(_, value)| fits(value))
            .collect()
    }

    fn values(&self, record_type: &str, field: &Value) -> Value {
        // Each controlling value with its place in the described list; here they are numbered anew.
        let controlling: Vec<(usize, String)> = match field["controllerName"].as_str() {
            None => Vec::new(),
            Some(name) => match self.field(name) {
                Some(controller) if controller["type"] == "boolean" => {
                    vec![(0, "false".to_owned()), (1, "true".to_owned())]
                }
                Some(controller) => self
                    .active(record_type, controller)
                    .into_iter()
                    .filter_map(|(place, value)| Some((place, value["value"].as_str()?.to_owned())))
                    .collect(),
                None => Vec::new(),
            },
        };
        let controller_values: Map<String, Value> = controlling
            .iter()
            .zip(0..)
            .map(|((_, value), number)| (value.clone(), Value::from(number)))
            .collect();
        let entry = |value: &Value| {
            let set = bits(value["validFor"].as_str().unwrap_or_default());
            let valid: Vec<usize> = controlling
                .iter()
                .enumerate()
                .filter(|(_, (place, _))| set.contains(place))
                .map(|(number, _)| number)
                .collect();
            json!({
                "attributes": null, "label": value["label"], "validFor": valid,
                "value": value["value"],
            })
        };
        let active = self.active(record_type, field);
        let default = active
            .iter()
            .find(|(_, value)| value["defaultValue"] == true)
            .map(|(_, value)| entry(value));
        let list: Vec<Value> = active.iter().map(|(_, value)| entry(value)).collect();
        let name = field["name"].as_str().unwrap_or_default();
        let url = format!(
            "/services/data/v{}/ui-api/object-info/{}/picklist-values/{record_type}/{name}",
            self.version, self.name
        );
        self.tagged(json!({
            "controllerValues": controller_values, "defaultValue": default, "url": url,
            "values": list,
        }))
    }
}

fn is_picklist(field: &Value) -> bool {
    matches!(field["type"].as_str(), Some("picklist" | "multipicklist"))
}

/// The UI API's name of a field type: `picklist` is `Picklist`.
fn data_type(remote_type: &Value) -> String {
    let text = remote_type.as_str().unwrap_or_default();
    match text {
        "multipicklist" => "MultiPicklist".to_owned(),
        "datetime" => "DateTime".to_owned(),
        "textarea" => "TextArea".to_owned(),
        _ => {
            let mut letters = text.chars();
            letters.next().map_or(String::new(), |first| {
                first.to_uppercase().chain(letters).collect()
            })
        }
    }
}
