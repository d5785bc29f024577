use super::*;
use crm_core::{ColumnType, RemoteField};
use serde_json::{Value, json};

fn label(english: &str, german: &str) -> Value {
    let localized = |label: &str, code: u32| json!({"Label": label, "LanguageCode": code});
    json!({
        "LocalizedLabels": [localized(english, 1033), localized(german, 1031)],
        "UserLocalizedLabel": localized(english, 1033),
    })
}

/// An attribute that may be read and written, with these changes.
fn attribute(name: &str, type_name: &str, changes: Value) -> Value {
    let mut attribute = json!({
        "LogicalName": name,
        "AttributeType": "Virtual",
        "AttributeTypeName": {"Value": type_name},
        "AttributeOf": null,
        "IsPrimaryId": false,
        "IsValidForRead": true,
        "IsValidForCreate": true,
        "IsValidForUpdate": true,
        "IsValidODataAttribute": true,
        "RequiredLevel": {"Value": "None", "CanBeChanged": true},
        "DisplayName": label(name, &format!("{name} auf Deutsch")),
    });
    let changes = changes.as_object().cloned().unwrap_or_default();
    attribute.as_object_mut().unwrap().extend(changes);
    attribute
}

fn definition() -> Value {
    json!({
        "LogicalName": "account",
        "EntitySetName": "accounts",
        "PrimaryIdAttribute": "accountid",
        "PrimaryNameAttribute": "name",
        "ObjectTypeCode": 1,
        "IsCustomEntity": false,
        "IsIntersect": false,
        "ChangeTrackingEnabled": true,
        "IsAuditEnabled": {"Value": true, "CanBeChanged": true},
        "DisplayName": label("Account", "Firma"),
        "Attributes": [
            attribute("accountid", "UniqueidentifierType", json!({
                "IsPrimaryId": true, "RequiredLevel": {"Value": "SystemRequired"},
            })),
            attribute("name", "StringType", json!({"RequiredLevel": {"Value": "SystemRequired"}})),
            attribute("accountnumber", "StringType", json!({"RequiredLevel": {"Value": "ApplicationRequired"}})),
            attribute("revenue", "MoneyType", json!({})),
            attribute("revenue_base", "MoneyType", json!({"IsValidForCreate": false, "IsValidForUpdate": false})),
            attribute("customertypecode", "PicklistType", json!({})),
            attribute("statuscode", "StatusType", json!({})),
            attribute("donotphone", "BooleanType", json!({})),
            attribute("new_tags", "MultiSelectPicklistType", json!({})),
            attribute("primarycontactid", "LookupType", json!({})),
            attribute("primarycontactidname", "StringType", json!({"AttributeOf": "primarycontactid"})),
            attribute("customerid", "CustomerType", json!({})),
            attribute("ownerid", "OwnerType", json!({"RequiredLevel": {"Value": "SystemRequired"}})),
            attribute("birthday", "DateTimeType", json!({})),
            attribute("modifiedon", "DateTimeType", json!({"IsValidForCreate": false, "IsValidForUpdate": false})),
            attribute("new_sum", "DecimalType", json!({})),
            attribute("entityimage", "ImageType", json!({})),
            attribute("parties", "PartyListType", json!({})),
            attribute("hidden", "StringType", json!({"IsValidForRead": false})),
            attribute("inner", "StringType", json!({"IsValidODataAttribute": false})),
            attribute("new_hologram", "HologramType", json!({})),
            // As a version before the better word tells it.
            {"LogicalName": "versionnumber", "AttributeType": "BigInt", "IsValidForRead": true},
        ],
        "Keys": [
            {"LogicalName": "number", "KeyAttributes": ["accountnumber"]},
            {"LogicalName": "two", "KeyAttributes": ["name", "revenue"]},
        ],
        "ManyToOneRelationships": [
            {
                "ReferencingAttribute": "primarycontactid",
                "ReferencedEntity": "contact",
                "ReferencingEntityNavigationPropertyName": "primarycontactid",
            },
            {
                "ReferencingAttribute": "customerid",
                "ReferencedEntity": "account",
                "ReferencingEntityNavigationPropertyName": "customerid_account",
            },
            {"ReferencingAttribute": "broken"},
        ],
    })
}

fn details() -> Value {
    let option = |value: i64, english: &str, german: &str| json!({"Value": value, "Label": label(english, german)});
    let mut active = option(1, "Active", "Aktiv");
    active["State"] = json!(0);
    json!({"value": [
        {"LogicalName": "name", "MaxLength": 160},
        {"LogicalName": "revenue", "Precision": 2, "MaxValue": 922_337_203_685_477.0},
        {"LogicalName": "new_sum", "Precision": 3, "MaxValue": 1000},
        {"LogicalName": "birthday", "DateTimeBehavior": {"Value": "DateOnly"}},
        {"LogicalName": "primarycontactid", "Targets": ["contact"]},
        {"LogicalName": "customerid", "Targets": ["account", "contact"]},
        {"LogicalName": "ownerid", "Targets": ["systemuser", "team"]},
        {
            "LogicalName": "customertypecode",
            "DefaultFormValue": 2,
            "OptionSet": {
                "Name": "account_customertypecode",
                "IsGlobal": false,
                "Options": [option(1, "Competitor", "Konkurrent"), option(2, "Consultant", "Berater")],
            },
            "GlobalOptionSet": null,
        },
        {"LogicalName": "statuscode", "OptionSet": {"Options": [active]}},
        {
            "LogicalName": "new_tags",
            "DefaultFormValue": -1,
            "OptionSet": null,
            "GlobalOptionSet": {"Name": "new_colours", "IsGlobal": true, "Options": [option(7, "Red", "Rot")]},
        },
        {
            "LogicalName": "donotphone",
            "DefaultValue": false,
            "OptionSet": {
                "TrueOption": option(1, "Do Not Allow", "Nicht zulassen"),
                "FalseOption": option(0, "Allow", "Zulassen"),
            },
        },
    ]})
}

fn entity_of(definition: &Value, language: Option<u32>, as_labels: bool) -> Result<Entity> {
    let definition = definition.to_string();
    let sources = json!({"value": [
        {"LogicalName": "name", "SourceType": 0},
        {"LogicalName": "new_sum", "SourceType": 1},
        {"LogicalName": "revenue", "SourceType": null},
    ]});
    let (sources, details) = (sources.to_string(), details().to_string());
    let replies = [
        Ok(definition.as_bytes()),
        Ok(sources.as_bytes()),
        Ok(details.as_bytes()),
    ];
    read(&replies, language, as_labels)
}

fn field<'e>(entity: &'e Entity, name: &str) -> &'e RemoteField {
    let found = entity.object.fields.iter().find(|field| field.name == name);
    found.unwrap_or_else(|| panic!("no field {name}"))
}

#[test]
fn attributes_become_fields_and_shadows_do_not() {
    let entity = entity_of(&definition(), None, false).unwrap();
    let shown: Vec<_> = entity
        .object
        .fields
        .iter()
        .map(|field| {
            (
                field.name.as_str(),
                field.remote_type.as_str(),
                field.column_type,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("accountid", "UniqueidentifierType", Some(ColumnType::Uuid)),
            ("name", "StringType", Some(ColumnType::Text)),
            ("accountnumber", "StringType", Some(ColumnType::Text)),
            ("revenue", "MoneyType", Some(ColumnType::Numeric)),
            ("revenue_base", "MoneyType", Some(ColumnType::Numeric)),
            ("customertypecode", "PicklistType", Some(ColumnType::Int32)),
            ("statuscode", "StatusType", Some(ColumnType::Int32)),
            ("donotphone", "BooleanType", Some(ColumnType::Bool)),
            (
                "new_tags",
                "MultiSelectPicklistType",
                Some(ColumnType::Int32Array)
            ),
            ("primarycontactid", "LookupType", Some(ColumnType::Uuid)),
            ("customerid", "CustomerType", Some(ColumnType::Uuid)),
            ("customerid@type", "LookupTarget", Some(ColumnType::Text)),
            ("ownerid", "OwnerType", Some(ColumnType::Uuid)),
            ("ownerid@type", "LookupTarget", Some(ColumnType::Text)),
            ("birthday", "DateTimeType:DateOnly", Some(ColumnType::Date)),
            (
                "modifiedon",
                "DateTimeType:UserLocal",
                Some(ColumnType::Instant)
            ),
            ("new_sum", "DecimalType", Some(ColumnType::Numeric)),
            ("new_hologram", "HologramType", None),
            ("versionnumber", "BigIntType", Some(ColumnType::Int64)),
        ]
    );
    let labelled = entity_of(&definition(), None, true).unwrap();
    for (name, expected) in [
        ("customertypecode", ColumnType::Text),
        ("new_tags", ColumnType::TextArray),
        ("donotphone", ColumnType::Bool),
    ] {
        assert_eq!(field(&labelled, name).column_type, Some(expected), "{name}");
    }
}

#[test]
fn what_may_be_given_and_what_must_be() {
    let entity = entity_of(&definition(), None, false).unwrap();
    for (name, creatable, updatable, required, external_key) in [
        ("accountid", true, false, false, false),
        ("name", true, true, true, false),
        // Only the server's own level is kept by the server.
        ("accountnumber", true, true, false, true),
        ("revenue_base", false, false, false, false),
        ("ownerid", true, true, false, false),
        ("customerid@type", true, true, false, false),
        ("versionnumber", false, false, false, false),
    ] {
        let field = field(&entity, name);
        let found = (
            field.creatable,
            field.updatable,
            field.required,
            field.external_key,
        );
        assert_eq!(
            found,
            (creatable, updatable, required, external_key),
            "{name}"
        );
    }
    assert!(field(&entity, "accountid").identifier);
    assert!(field(&entity, "modifiedon").modification_stamp);
    assert!(field(&entity, "new_sum").computed && !field(&entity, "name").computed);
    assert_eq!(field(&entity, "name").length, Some(160));
    assert_eq!(field(&entity, "revenue").precision, Some((17, 2)));
    assert_eq!(field(&entity, "new_sum").precision, Some((7, 3)));
    let customer = field(&entity, "customerid");
    assert_eq!(customer.references, ["account", "contact"]);
    assert_eq!(
        entity.keys,
        [vec!["accountnumber"], vec!["name", "revenue"]]
    );
    let properties: Vec<_> = entity
        .navigations
        .iter()
        .map(|known| &known.property)
        .collect();
    assert_eq!(properties, ["primarycontactid", "customerid_account"]);
    assert!(entity.is_audited && entity.tracks_changes);
    assert_eq!(
        (entity.set.as_str(), entity.primary_id.as_str()),
        ("accounts", "accountid")
    );
}

#[test]
fn the_option_of_a_new_record_is_marked() {
    let entity = entity_of(&definition(), None, false).unwrap();
    for (name, expected) in [
        ("customertypecode", Some("2")),
        ("donotphone", Some("false")),
        ("new_tags", None),
        ("statuscode", None),
    ] {
        let mut values = field(&entity, name).values.iter();
        let chosen = values.find(|value| value.is_default);
        assert_eq!(chosen.map(|value| value.value.as_str()), expected, "{name}");
    }
}

#[test]
fn option_sets_with_labels_by_language() {
    for (language, expected) in [
        (None, ["Competitor", "Red", "Allow", "Active", "Account"]),
        (
            Some(1031),
            ["Konkurrent", "Rot", "Zulassen", "Aktiv", "Firma"],
        ),
        // A language that is not provided falls back to the user's.
        (
            Some(1036),
            ["Competitor", "Red", "Allow", "Active", "Account"],
        ),
    ] {
        let entity = entity_of(&definition(), language, false).unwrap();
        let first = |name: &str| field(&entity, name).values[0].clone();
        let labels = ["customertypecode", "new_tags", "donotphone", "statuscode"].map(first);
        let mut labels: Vec<_> = labels.iter().map(|value| value.label.as_str()).collect();
        labels.push(&entity.object.summary.label);
        assert_eq!(labels, expected, "{language:?}");
    }
    let entity = entity_of(&definition(), None, false).unwrap();
    let local = field(&entity, "customertypecode");
    assert_eq!(
        local.enumeration.as_deref(),
        Some("account.customertypecode")
    );
    assert!(local.restricted && local.values.len() == 2);
    let global = field(&entity, "new_tags");
    assert_eq!(global.enumeration.as_deref(), Some("new_colours"));
    let truth = field(&entity, "donotphone");
    let values: Vec<_> = truth
        .values
        .iter()
        .map(|value| value.value.as_str())
        .collect();
    assert_eq!(values, ["false", "true"]);
    let status = &field(&entity, "statuscode").values[0];
    assert_eq!(status.controlling.as_deref(), Some(&["0".to_owned()][..]));
}

#[test]
fn an_entity_comes_bare_or_as_a_list_of_one() {
    let wrapped = json!({"@odata.context": "x", "value": [definition()]});
    assert_eq!(entity_of(&wrapped, None, false).unwrap().set, "accounts");
    let mut without_records = definition();
    without_records["EntitySetName"] = Value::Null;
    let error = entity_of(&without_records, None, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotSupported);
    for body in [json!({"value": []}), json!([]), json!({"LogicalName": 5})] {
        let error = entity_of(&body, None, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Undecodable, "{body}");
    }
    let recorded = include_str!("../../../tests/fixtures/webapi_exchanges.json");
    let recorded: Vec<Value> = serde_json::from_str(recorded).unwrap();
    let one = recorded
        .iter()
        .find(|one| one["name"] == "picklist_attribute");
    let body = one.unwrap()["response"]["body"].as_str().unwrap();
    let detail: Detail = serde_json::from_str(body).unwrap();
    let options = detail.option_set.unwrap().choices(None);
    assert_eq!(
        (options[0].value.as_str(), options[0].label.as_str()),
        ("0", "Sunday")
    );
}
