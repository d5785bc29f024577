//! Builds describe documents for objects no recording exists of, with every attribute a recorded one has.
//! Attribute meanings are sections 3.1 to 3.3 of the protocol page.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The record type of objects and users without one.
pub const MASTER_RECORD_TYPE: &str = "012000000000000AAA";

/// A field to be described; the flags start as Salesforce sets them for the type.
#[derive(Debug, Clone)]
pub struct FieldSpec {
    name: String,
    document: Map<String, Value>,
}

impl FieldSpec {
    /// A nullable, writable field.
    pub fn new(name: &str, remote_type: &str) -> Self {
        let compound = matches!(remote_type, "address" | "location" | "complexvalue");
        let opaque = matches!(
            remote_type,
            "base64" | "anyType" | "encryptedstring" | "json" | "hologram"
        );
        let multi = remote_type == "multipicklist";
        let filterable = !opaque && !matches!(remote_type, "complexvalue");
        let sortable = filterable && !compound && !multi;
        let continuous = matches!(
            remote_type,
            "double" | "currency" | "percent" | "datetime" | "time"
        );
        let soap_type = match remote_type {
            "id" | "reference" => "tns:ID",
            "boolean" => "xsd:boolean",
            "int" => "xsd:int",
            "long" => "xsd:long",
            "double" | "currency" | "percent" => "xsd:double",
            "date" => "xsd:date",
            "datetime" => "xsd:dateTime",
            "time" => "xsd:time",
            "base64" => "xsd:base64Binary",
            "anyType" => "xsd:anyType",
            "address" => "urn:address",
            "location" => "urn:location",
            _ => "xsd:string",
        };
        let custom = name.ends_with("__c") || name.ends_with("__s");
        let document = json!({
            "aggregatable": sortable && remote_type != "boolean", "aiPredictionField": false,
            "autoNumber": false, "byteLength": 0, "calculated": false, "calculatedFormula": null,
            "cascadeDelete": false, "caseSensitive": false, "compoundFieldName": null,
            "controllerName": null, "createable": !compound, "custom": custom, "defaultValue": null,
            "defaultValueFormula": null, "defaultedOnCreate": remote_type == "boolean",
            "dependentPicklist": false, "deprecatedAndHidden": false,
            "digits": if remote_type == "int" { 9 } else { 0 },
            "displayLocationInDecimal": remote_type == "location",
            "encrypted": remote_type == "encryptedstring", "externalId": false,
            "extraTypeInfo": null, "filterable": filterable, "filteredLookupInfo": null,
            "formulaTreatNullNumberAsZero": false, "groupable": sortable && !continuous,
            "highScaleNumber": false, "htmlFormatted": false, "idLookup": false,
            "inlineHelpText": null, "label": label_of(name), "length": 0, "mask": null,
            "maskType": null, "name": name, "nameField": false, "namePointing": false,
            "nillable": remote_type != "boolean", "permissionable": custom, "picklistValues": [],
            "polymorphicForeignKey": false, "precision": 0,
            "queryByDistance": matches!(remote_type, "address" | "location"),
            "referenceTargetField": null, "referenceTo": [], "relationshipName": null,
            "relationshipOrder": null, "restrictedDelete": false, "restrictedPicklist": false,
            "scale": 0, "searchPrefilterable": false, "soapType": soap_type, "sortable": sortable,
            "type": remote_type, "unique": false, "updateable": !compound,
            "writeRequiresMasterRead": false,
        });
        let document = match document {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let spec = Self {
            name: name.to_owned(),
            document,
        };
        match remote_type {
            "id" | "reference" => spec.length(18),
            "phone" => spec.length(40),
            "email" => spec.length(80),
            "picklist" | "url" | "combobox" => spec.length(255),
            _ => spec,
        }
    }

    /// Sets any attribute.
    pub fn set(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        self.document.insert(attribute.to_owned(), value.into());
        self
    }

    /// Characters; long text cannot be filtered, sorted or grouped.
    pub fn length(self, characters: u64) -> Self {
        let long = self.document["type"] == "textarea" && characters > 255;
        let spec = self
            .set("length", characters)
            .set("byteLength", characters * 3);
        match long {
            true => ["filterable", "sortable", "groupable", "aggregatable"]
                .iter()
                .fold(spec, |spec, flag| spec.set(flag, false)),
            false => spec,
        }
    }

    /// Digits in all and behind the point.
    pub fn digits(self, precision: u64, scale: u64) -> Self {
        self.set("precision", precision).set("scale", scale)
    }

    /// A value the server supplies: not writable, never null.
    pub fn system(self) -> Self {
        self.set("nillable", false)
            .set("createable", false)
            .set("updateable", false)
            .set("defaultedOnCreate", true)
    }

    /// Objects a lookup points to, and the name of the way there.
    pub fn refers(self, objects: &[&str], relationship: &str) -> Self {
        let many = objects.len() > 1;
        self.set("referenceTo", json!(objects))
            .set("relationshipName", relationship)
            .set("polymorphicForeignKey", many)
            .set("namePointing", many)
    }

    /// Values and labels in definition order; a value starting with `-` is inactive.
    pub fn values(self, values: &[(&str, &str)]) -> Self {
        let list: Vec<Value> = values
            .iter()
            .enumerate()
            .map(|(place, (value, label))| {
                json!({
                    "active": !value.starts_with('-'), "defaultValue": place == 0, "label": label,
                    "validFor": null, "value": value.trim_start_matches('-'),
                })
            })
            .collect();
        self.set("picklistValues", list)
    }

    /// Makes the values depend on another field: the i-th goes with the controlling values in `valid[i]`.
    /// A controlling value keeps its place, inactive or not (section 3.5).
    pub fn depends_on(
        mut self,
        controller: &str,
        controlling: &[(&str, &str)],
        valid: &[&[&str]],
    ) -> Self {
        let place = |name: &&str| {
            controlling
                .iter()
                .position(|(value, _)| value.trim_start_matches('-') == *name)
        };
        let values = self
            .document
            .get_mut("picklistValues")
            .and_then(Value::as_array_mut);
        for (value, valid) in values.into_iter().flatten().zip(valid) {
            let places: Vec<usize> = valid.iter().filter_map(place).collect();
            value["validFor"] = bitmap(&places, controlling.len()).into();
        }
        self.set("dependentPicklist", true)
            .set("controllerName", controller)
    }

    /// The described field.
    pub fn build(self) -> Value {
        Value::Object(self.document)
    }

    /// The API name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A bitmap of places as Salesforce writes it: bit 0 is the highest of the first byte, in whole groups of
/// four letters, of which trailing empty ones are cut when any other is there.
fn bitmap(places: &[usize], length: usize) -> String {
    let mut bytes = vec![0u8; length.div_ceil(24).max(1) * 3];
    for place in places {
        bytes[place >> 3] |= 0x80 >> (place % 8);
    }
    while bytes.len() > 3 && bytes.ends_with(&[0, 0, 0]) {
        bytes.truncate(bytes.len() - 3);
    }
    STANDARD.encode(bytes)
}

/// The places set in such a bitmap.
pub fn bits(bitmap: &str) -> Vec<usize> {
    let bytes = STANDARD.decode(bitmap).unwrap_or_default();
    (0..bytes.len() * 8)
        .filter(|place| bytes[place >> 3] & (0x80 >> (place % 8)) != 0)
        .collect()
}

/// `Visits__c` is labelled `Visits`; `FirstName` stays as it is.
fn label_of(name: &str) -> String {
    name.trim_end_matches("__c")
        .trim_end_matches("__s")
        .replace("__", " ")
        .replace('_', " ")
}

/// The fields nearly every object begins and ends with.
pub fn standard_fields(name_length: u64) -> (Vec<FieldSpec>, Vec<FieldSpec>) {
    let user = |name: &str, relationship: &str| {
        FieldSpec::new(name, "reference")
            .refers(&["User"], relationship)
            .system()
    };
    let first = vec![
        FieldSpec::new("Id", "id").system().set("idLookup", true),
        FieldSpec::new("IsDeleted", "boolean").system(),
        FieldSpec::new("Name", "string")
            .length(name_length)
            .set("nameField", true)
            .set("idLookup", true),
    ];
    let last = vec![
        FieldSpec::new("CreatedDate", "datetime").system(),
        user("CreatedById", "CreatedBy"),
        FieldSpec::new("LastModifiedDate", "datetime").system(),
        user("LastModifiedById", "LastModifiedBy"),
        FieldSpec::new("SystemModstamp", "datetime").system(),
    ];
    (first, last)
}

/// The lookup to the owner.
pub fn owner() -> FieldSpec {
    FieldSpec::new("OwnerId", "reference")
        .refers(&["User"], "Owner")
        .set("nillable", false)
        .set("defaultedOnCreate", true)
}

/// A describe document around fields.
pub fn object(name: &str, key_prefix: Option<&str>, fields: Vec<FieldSpec>) -> Value {
    let label = label_of(name);
    let fields: Vec<Value> = fields.into_iter().map(FieldSpec::build).collect();
    let root = format!("/services/data/vXX.0/sobjects/{name}");
    json!({
        "actionOverrides": [], "activateable": false, "associateEntityType": null,
        "associateParentEntity": null, "childRelationships": [], "compactLayoutable": true,
        "createable": true, "custom": name.ends_with("__c"), "customSetting": false,
        "deepCloneable": false, "defaultImplementation": null, "deletable": true,
        "deprecatedAndHidden": false, "extendedBy": null, "extendsInterfaces": null,
        "feedEnabled": false, "fields": fields, "hasSubtypes": false, "implementedBy": null,
        "implementsInterfaces": null, "isInterface": false, "isSubtype": false,
        "keyPrefix": key_prefix, "label": label, "labelPlural": format!("{label}s"),
        "layoutable": true, "listviewable": null, "lookupLayoutable": null, "mergeable": false,
        "mruEnabled": true, "name": name, "namedLayoutInfos": [], "networkScopeFieldName": null,
        "queryable": true, "recordTypeInfos": [{
            "active": true, "available": true, "defaultRecordTypeMapping": true,
            "developerName": "Master", "master": true, "name": "Master",
            "recordTypeId": MASTER_RECORD_TYPE,
            "urls": {"layout": format!("{root}/describe/layouts/{MASTER_RECORD_TYPE}")},
        }],
        "replicateable": true, "retrieveable": true, "searchLayoutable": true, "searchable": true,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [{"label": format!("All {label}s"), "name": "everything"}],
        "triggerable": true, "undeletable": true, "updateable": true,
        "urls": urls(name),
    })
}

/// Where an object is found.
pub fn urls(name: &str) -> Value {
    let root = format!("/services/data/vXX.0/sobjects/{name}");
    json!({
        "rowTemplate": format!("{root}/{{ID}}"), "describe": format!("{root}/describe"),
        "sobject": root,
    })
}

/// The describeGlobal entry that goes with a describe document.
pub fn global_entry(describe: &Value) -> Value {
    const ATTRIBUTES: &[&str] = &[
        "activateable",
        "associateEntityType",
        "associateParentEntity",
        "createable",
        "custom",
        "customSetting",
        "deepCloneable",
        "deletable",
        "deprecatedAndHidden",
        "feedEnabled",
        "hasSubtypes",
        "isInterface",
        "isSubtype",
        "keyPrefix",
        "label",
        "labelPlural",
        "layoutable",
        "mergeable",
        "mruEnabled",
        "name",
        "queryable",
        "replicateable",
        "retrieveable",
        "searchable",
        "triggerable",
        "undeletable",
        "updateable",
        "urls",
    ];
    let entry: Map<String, Value> = ATTRIBUTES
        .iter()
        .map(|name| ((*name).to_owned(), describe[*name].clone()))
        .collect();
    Value::Object(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_are_those_salesforce_writes() {
        for (places, length, text) in [
            (&[0][..], 2, "gAAA"),
            (&[1], 2, "QAAA"),
            (&[0, 1], 2, "wAAA"),
            (&[], 28, "AAAA"),
            (&[9], 28, "AEAA"),
            (&[27], 28, "AAAAEAAA"),
        ] {
            assert_eq!(bitmap(places, length), text);
            assert_eq!(bits(text), places);
        }
    }
}
