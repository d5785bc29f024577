use super::*;
use crate::testkit::field;
use crm_core::{ColumnType, Conversion, Operation, RemoteField, Route, parse_instant};

pub(crate) const ID: &str = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";

/// A contact with an attribute of each kind.
pub(crate) fn contact() -> Entity {
    let plain = |name: &str, remote_type: &str| field(name, remote_type, Some(ColumnType::Text));
    let lookup = |name: &str, remote_type: &str, targets: &[&str]| RemoteField {
        references: targets.iter().map(ToString::to_string).collect(),
        ..plain(name, remote_type)
    };
    let mut entity = Entity {
        primary_id: "contactid".into(),
        keys: vec![vec!["new_key".into()]],
        ..Entity::default()
    };
    entity.object.summary.name = "contact".into();
    entity.object.fields = vec![
        plain("contactid", "UniqueidentifierType"),
        plain("lastname", "StringType"),
        plain("new_key", "StringType"),
        plain("numberofchildren", "IntegerType"),
        plain("new_big", "BigIntType"),
        plain("new_decimal", "DecimalType"),
        plain("new_double", "DoubleType"),
        plain("creditlimit", "MoneyType"),
        plain("donotemail", "BooleanType"),
        plain("birthdate", "DateTimeType:DateOnly"),
        plain("new_at", "DateTimeType:UserLocal"),
        plain("gendercode", "PicklistType"),
        plain("new_several", "MultiSelectPicklistType"),
        lookup("accountid", "LookupType", &["account"]),
        lookup("parentcustomerid", "CustomerType", &["account", "contact"]),
    ];
    entity
}

pub(crate) fn batch(
    operation: Operation,
    fields: &[&str],
    records: &[(Option<&str>, &[Option<Value>])],
) -> WriteBatch {
    WriteBatch {
        object: "contact".into(),
        identifier: "contactid".into(),
        operation,
        key_field: None,
        journal_key: None,
        key_is_ours: false,
        fields: fields.iter().map(|name| write_field(name)).collect(),
        records: records
            .iter()
            .map(|(key, values)| WriteRecord {
                key: key.map(|key| Value::Text(key.into())),
                values: values.to_vec(),
            })
            .collect(),
        route: Route::Calls,
    }
}

pub(crate) fn write_field(name: &str) -> WriteField {
    WriteField {
        name: name.into(),
        remote_type: String::new(),
        conversion: Conversion::Default,
    }
}

pub(crate) fn text(text: &str) -> Option<Value> {
    Some(Value::Text(text.into()))
}

fn rows_of(batch: &WriteBatch, found: &[(&str, &str)]) -> Rows {
    let entity = contact();
    let found = found
        .iter()
        .map(|(id, entity)| ((*id).to_owned(), (*entity).to_owned()));
    let columns = Columns::new(batch, &entity).unwrap();
    columns.rows(batch, &found.collect(), Zone::default())
}

/// The attributes of the one request of a batch.
fn attributes(field: &str, value: Option<Value>) -> String {
    let batch = batch(Operation::Update, &[field], &[(Some(ID), &[value])]);
    let mut rows = rows_of(&batch, &[]);
    assert!(rows.rejects.is_empty(), "{:?}", rows.rejects);
    let request = rows.rows.remove(0).request;
    let start = request
        .find("<c:value i:type=\"b:Entity\"><b:Attributes>")
        .unwrap();
    let start = start + "<c:value i:type=\"b:Entity\"><b:Attributes>".len();
    let end = request.find("</b:Attributes>").unwrap();
    request[start..end].to_owned()
}

#[test]
fn each_type_has_its_form() {
    for (field, value, expected) in [
        (
            "lastname",
            text("O'B & <y>"),
            r#"<c:value i:type="x:string">O'B &amp; &lt;y&gt;</c:value>"#,
        ),
        ("lastname", None, r#"<c:value i:nil="true"></c:value>"#),
        (
            "numberofchildren",
            Some(Value::Int(2)),
            r#"<c:value i:type="x:int">2</c:value>"#,
        ),
        (
            "new_big",
            Some(Value::Int(9_007_199_254_740_993)),
            r#"<c:value i:type="x:long">9007199254740993</c:value>"#,
        ),
        (
            "new_decimal",
            Some(Value::Numeric("1.50".into())),
            r#"<c:value i:type="x:decimal">1.5</c:value>"#,
        ),
        (
            "new_double",
            Some(Value::Numeric("1.5".into())),
            r#"<c:value i:type="x:double">1.5</c:value>"#,
        ),
        (
            "creditlimit",
            Some(Value::Int(5)),
            r#"<c:value i:type="b:Money"><b:Value>5</b:Value></c:value>"#,
        ),
        (
            "donotemail",
            Some(Value::Bool(true)),
            r#"<c:value i:type="x:boolean">true</c:value>"#,
        ),
        (
            "birthdate",
            Some(Value::Date(0)),
            r#"<c:value i:type="x:dateTime">1970-01-01T00:00:00Z</c:value>"#,
        ),
        (
            "new_at",
            Some(Value::Instant(
                parse_instant("2024-01-02T03:04:05Z").unwrap(),
            )),
            r#"<c:value i:type="x:dateTime">2024-01-02T03:04:05Z</c:value>"#,
        ),
        (
            "gendercode",
            Some(Value::Int(1)),
            r#"<c:value i:type="b:OptionSetValue"><b:Value>1</b:Value></c:value>"#,
        ),
        (
            "new_several",
            Some(Value::List(vec![Value::Int(1), Value::Int(9)])),
            r#"<c:value i:type="o:OptionSetValueCollection"><o:OptionSetValue><b:Value>1</b:Value></o:OptionSetValue><o:OptionSetValue><b:Value>9</b:Value></o:OptionSetValue></c:value>"#,
        ),
        (
            "accountid",
            text(ID),
            r#"<c:value i:type="b:EntityReference"><b:Id>6ba7b810-9dad-11d1-80b4-00c04fd430c8</b:Id><b:LogicalName>account</b:LogicalName><b:Name i:nil="true"></b:Name></c:value>"#,
        ),
        ("accountid", None, r#"<c:value i:nil="true"></c:value>"#),
    ] {
        assert_eq!(
            attributes(field, value),
            format!(
                "<b:KeyValuePairOfstringanyType><c:key>{field}</c:key>{expected}</b:KeyValuePairOfstringanyType>"
            )
        );
    }
}

#[test]
fn each_operation_names_its_record() {
    let name = &["lastname"][..];
    let created = rows_of(
        &batch(Operation::Create, name, &[(None, &[text("A")])]),
        &[],
    );
    let row = &created.rows[0];
    assert_eq!(row.id, None);
    assert!(
        row.request
            .starts_with("<n:OrganizationRequest i:type=\"b:CreateRequest\"><b:Parameters>")
    );
    assert!(row.request.contains(&format!("<b:Id>{NO_ID}</b:Id><b:LogicalName>contact</b:LogicalName><b:RelatedEntities></b:RelatedEntities>")));
    assert!(!created.plan.is_repeatable());

    let mut chosen = batch(
        Operation::Create,
        &["contactid", "lastname"],
        &[(None, &[text(ID), text("A")])],
    );
    chosen.journal_key = Some("contactid".into());
    chosen.key_is_ours = true;
    let rows = rows_of(&chosen, &[]);
    assert_eq!(rows.rows[0].id.as_deref(), Some(ID));
    assert!(rows.plan.ids_are_ours && rows.plan.is_repeatable());
    assert!(rows.rows[0].request.contains(&format!("<b:Id>{ID}</b:Id>")));
    assert!(!rows.rows[0].request.contains("<c:key>contactid</c:key>"));

    let capitals = ID.to_uppercase();
    let updated = rows_of(
        &batch(Operation::Update, name, &[(Some(&capitals), &[text("A")])]),
        &[],
    );
    assert!(updated.rows[0].request.contains("b:UpdateRequest"));
    assert!(
        updated.rows[0]
            .request
            .contains(&format!("<b:Id>{ID}</b:Id>"))
    );

    let deleted = rows_of(&batch(Operation::Delete, &[], &[(Some(ID), &[])]), &[]);
    assert!(deleted.rows[0].request.contains(&format!("<c:value i:type=\"b:EntityReference\"><b:Id>{ID}</b:Id><b:LogicalName>contact</b:LogicalName>")));

    let mut keyed = batch(Operation::Upsert, name, &[(Some("K"), &[text("A")])]);
    keyed.key_field = Some(write_field("new_key"));
    let rows = rows_of(&keyed, &[]);
    assert!(rows.rows[0].request.contains("b:UpsertRequest"));
    assert!(rows.rows[0].request.contains(
        "<b:KeyAttributes><k:KeyValuePairOfstringanyType><c:key>new_key</c:key><c:value i:type=\"x:string\">K</c:value></k:KeyValuePairOfstringanyType></b:KeyAttributes>"
    ));
}

#[test]
fn lookups_of_several_entities() {
    let fields = &["parentcustomerid", "parentcustomerid@type"][..];
    let of = |said: Option<Value>| batch(Operation::Create, fields, &[(None, &[text(ID), said])]);
    let rows = rows_of(&of(text("Contact")), &[]);
    assert!(
        rows.rows[0]
            .request
            .contains("<b:LogicalName>contact</b:LogicalName><b:Name")
    );
    let rows = rows_of(&of(None), &[(ID, "account")]);
    assert!(
        rows.rows[0]
            .request
            .contains("<b:LogicalName>account</b:LogicalName><b:Name")
    );
    let entity = contact();
    let unsaid = Columns::new(&of(None), &entity)
        .unwrap()
        .unsaid(&of(None).records);
    assert_eq!(unsaid.len(), 2);
    for (said, kind) in [
        (None, ErrorKind::LookupMissing),
        (text("lead"), ErrorKind::ValidationRule),
    ] {
        let rows = rows_of(&of(said), &[]);
        assert_eq!(rows.rejects[0].1.kind, kind);
        assert_eq!(rows.rejects[0].1.fields, ["parentcustomerid"]);
    }
    let alone = batch(
        Operation::Create,
        &["parentcustomerid@type"],
        &[(None, &[text("account")])],
    );
    assert!(Columns::new(&alone, &entity).is_err());
}

#[test]
fn what_cannot_be_said_is_refused_here() {
    let refused = batch(
        Operation::Create,
        &["lastname"],
        &[(None, &[text("a\u{1}b")]), (None, &[text("fine")])],
    );
    let rows = rows_of(&refused, &[]);
    assert_eq!(rows.rejects.len(), 1);
    assert_eq!(rows.rejects[0].0, 0);
    assert_eq!(rows.rows[0].at, 1);
    let nobody = batch(Operation::Delete, &[], &[(Some("x"), &[])]);
    assert_eq!(
        rows_of(&nobody, &[]).rejects[0].1.kind,
        ErrorKind::RecordUnknown
    );
}
