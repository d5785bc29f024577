use super::*;
use crm_core::ColumnType;

const WISH: Wish = Wish {
    language: None,
    as_labels: false,
};

#[test]
fn the_recorded_entity() {
    let body = include_str!("../../../tests/fixtures/soap/retrieve_entity_response.xml");
    let mut found = None;
    results(body.as_bytes(), |key, reader| {
        described(key, reader, WISH, &mut found)
    })
    .unwrap();
    let entity = found.unwrap();
    assert_eq!(entity.primary_id, "opportunityid");
    assert_eq!(entity.primary_name.as_deref(), Some("name"));
    assert_eq!(entity.type_code, Some(3));
    assert!(!entity.is_audited);
    assert!(!entity.tracks_changes);
    let object = &entity.object;
    assert_eq!(
        (&*object.summary.name, &*object.summary.label),
        ("opportunity", "Opportunity")
    );
    // Shadows of the lookup are left out.
    let fields: Vec<_> = object
        .fields
        .iter()
        .map(|field| (&*field.name, &*field.remote_type, field.column_type))
        .collect();
    assert_eq!(
        fields,
        [
            ("accountid", "LookupType", Some(ColumnType::Uuid)),
            (
                "actualclosedate",
                "DateTimeType:UserLocal",
                Some(ColumnType::Instant)
            ),
            ("actualvalue", "MoneyType", Some(ColumnType::Numeric)),
        ]
    );
    assert_eq!(object.fields[0].references, ["account"]);
    assert!(!object.fields[0].creatable);
    assert_eq!(object.fields[2].precision, Some((15, 2)));
}

#[test]
fn the_recorded_list() {
    let body = include_str!("../../../tests/fixtures/soap/retrieve_all_entities.xml");
    let found = all_of(body.as_bytes(), WISH).unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|entity| &*entity.object.summary.name)
        .collect();
    assert_eq!(
        names,
        [
            "opportunity",
            "new_tinderboxdocument",
            "new_tinderboxcontent"
        ]
    );
    assert!(found.iter().all(|entity| !entity.primary_id.is_empty()));
}

fn attribute_of(inner: &str) -> Attribute {
    let body = format!(
        r#"<m:AttributeMetadata xmlns:m="{METADATA}" xmlns:b="{CONTRACTS}" xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns:k="http://schemas.microsoft.com/xrm/2013/Metadata" xmlns:r="{ARRAYS}">{inner}</m:AttributeMetadata>"#
    );
    let mut reader = Reader::new(body.as_bytes()).unwrap();
    assert!(reader.child().unwrap());
    attribute(&mut reader, Some(1031)).unwrap()
}

fn label_of(english: &str, german: &str) -> String {
    let one = |text: &str, code: u32| {
        format!(
            "<m:MetadataId i:nil=\"true\"/><b:IsManaged>true</b:IsManaged><b:Label>{text}</b:Label><b:LanguageCode>{code}</b:LanguageCode>"
        )
    };
    format!(
        "<b:LocalizedLabels><b:LocalizedLabel>{0}</b:LocalizedLabel><b:LocalizedLabel>{1}</b:LocalizedLabel></b:LocalizedLabels><b:UserLocalizedLabel>{0}</b:UserLocalizedLabel>",
        one(english, 1033),
        one(german, 1031)
    )
}

#[test]
fn option_sets_with_labels_by_language() {
    let option = |value: u32, english: &str, german: &str, more: &str| {
        format!(
            "<m:OptionMetadata><m:Label>{}</m:Label><m:Value>{value}</m:Value>{more}</m:OptionMetadata>",
            label_of(english, german)
        )
    };
    let status = attribute_of(&format!(
        "<m:LogicalName>statuscode</m:LogicalName><m:AttributeType>Status</m:AttributeType><m:AttributeTypeName><k:Value>StatusType</k:Value></m:AttributeTypeName><m:DisplayName>{}</m:DisplayName><m:OptionSet><m:Name>shared</m:Name><m:IsGlobal>true</m:IsGlobal><m:Options>{}{}</m:Options></m:OptionSet>",
        label_of("Status", "Zustand"),
        option(1, "Open", "Offen", "<m:State>0</m:State>"),
        option(2, "Won", "Gewonnen", "<m:State>1</m:State>"),
    ));
    assert_eq!(
        (&*status.type_name, &*status.label),
        ("StatusType", "Zustand")
    );
    assert_eq!(status.global_set.as_deref(), Some("shared"));
    let told: Vec<_> = status
        .options
        .iter()
        .map(|option| (&*option.value, &*option.label, option.state.as_deref()))
        .collect();
    assert_eq!(
        told,
        [("1", "Offen", Some("0")), ("2", "Gewonnen", Some("1"))]
    );

    let truth = attribute_of(&format!(
        "<m:LogicalName>donotemail</m:LogicalName><m:AttributeType>Boolean</m:AttributeType><m:DefaultValue>true</m:DefaultValue><m:OptionSet><m:Name>x</m:Name><m:IsGlobal>false</m:IsGlobal><m:FalseOption><m:Label>{}</m:Label><m:Value>0</m:Value></m:FalseOption><m:TrueOption><m:Label>{}</m:Label><m:Value>1</m:Value></m:TrueOption></m:OptionSet>",
        label_of("No", "Nein"),
        label_of("Yes", "Ja"),
    ));
    assert_eq!(truth.type_name, "BooleanType");
    assert_eq!(truth.global_set, None);
    assert_eq!(truth.options[1].value, "true");
    assert_eq!(truth.options[1].label, "Ja");
    assert_eq!(truth.chosen.as_deref(), Some("true"));
}

#[test]
fn what_types_say_more_of() {
    let date = attribute_of(
        "<m:LogicalName>d</m:LogicalName><m:AttributeTypeName><k:Value>DateTimeType</k:Value></m:AttributeTypeName><m:DateTimeBehavior><k:Value>DateOnly</k:Value></m:DateTimeBehavior><m:IsValidForCreate>true</m:IsValidForCreate><m:RequiredLevel><b:CanBeChanged>false</b:CanBeChanged><b:Value>SystemRequired</b:Value></m:RequiredLevel><m:SourceType>1</m:SourceType>",
    );
    assert_eq!(date.behavior.as_deref(), Some("DateOnly"));
    assert_eq!(date.required_level, "SystemRequired");
    assert!(date.creatable && !date.updatable && date.computed);
    let lookup = attribute_of(
        "<m:LogicalName>c</m:LogicalName><m:Targets><r:string>account</r:string><r:string>contact</r:string></m:Targets><m:MaxLength i:nil=\"true\"/>",
    );
    assert_eq!(lookup.targets, ["account", "contact"]);
    assert_eq!(lookup.length, None);
}

#[test]
fn unknown_entities_are_told() {
    let fault = Error::new(ErrorKind::RemoteFault, "the CRM refused the call")
        .with_code("0x80041102")
        .with_detail("Could not find an entity with name nope and object type code 0");
    let error = about("nope", fault);
    assert_eq!(error.kind(), ErrorKind::ObjectUnknown);
    assert!(error.message().contains("\"nope\""));
    let other = about(
        "x",
        Error::new(ErrorKind::NotPermitted, "the account may not do this"),
    );
    assert_eq!(other.kind(), ErrorKind::NotPermitted);
}
